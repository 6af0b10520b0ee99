// The payload decoder's units: instructions and words that refer to something.
// SPDX-License-Identifier: MIT
//
// An image is taken as a sequence of units. Those that refer to an address, or
// hold a number that tends to change together with others, are predicted
// through the address map; the rest are expected to stay as they are. To read
// an address into data that holds none costs little: the map then predicts no
// change. One table says which units there are, where the bits of their offset
// or number lie, and what it is relative to; codec_rv32.c and codec_xtensa.c
// say which instruction is which of them.
#include "bytes.h"
#include "codec_state.h"

enum base {
    BASE_NONE,
    BASE_REGISTER, // what the register rs1 holds
    BASE_UPPER,    // lui: none; auipc: the address
    BASE_ADDR,
    BASE_CALL,    // the word after the address's
    BASE_LITERAL, // 256 KiB before the word at or after the address
};

// Bits of the word and, from bit `to` on, of the number in it.
#define FIELD(from, bits, to) ((from) | ((bits)-1) << 5 | (to) << 10)
#define LAST                  0x8000
static const uint16_t fields[] = {
        FIELD(0, 32, 0) | LAST, // 0
        FIELD(21, 10, 1), FIELD(20, 1, 11), FIELD(12, 8, 12),
        FIELD(31, 1, 20) | LAST, // 1: jal
        FIELD(8, 4, 1), FIELD(25, 6, 5), FIELD(7, 1, 11),
        FIELD(31, 1, 12) | LAST, // 5: branches
        FIELD(3, 3, 1), FIELD(11, 1, 4), FIELD(2, 1, 5), FIELD(7, 1, 6),
        FIELD(6, 1, 7), FIELD(9, 2, 8), FIELD(8, 1, 10),
        FIELD(12, 1, 11) | LAST, // 9: c.j, c.jal
        FIELD(3, 2, 1), FIELD(10, 2, 3), FIELD(2, 1, 5), FIELD(5, 2, 6),
        FIELD(12, 1, 8) | LAST,                 // 17: c.beqz, c.bnez
        FIELD(12, 20, 12) | LAST,               // 22: lui, auipc
        FIELD(20, 12, 0) | LAST,                // 23: I
        FIELD(7, 5, 0), FIELD(25, 7, 5) | LAST, // 24: S
        FIELD(6, 18, 2) | LAST,                 // 26: call
        FIELD(8, 16, 2) | LAST,                 // 27: l32r
        FIELD(6, 18, 0) | LAST,                 // 28: j
};

static const struct form {
    uint8_t field; // the first one
    uint8_t width; // of the number, which is signed
    uint8_t base;
} forms[CODEC_KINDS] = {
        [CODEC_POINTER] = {0, 32, BASE_NONE},
        [CODEC_RELATIVE] = {0, 32, BASE_ADDR},
        [CODEC_BACK] = {0, 32, BASE_ADDR},
        [CODEC_JAL] = {1, 21, BASE_ADDR},
        [CODEC_BRANCH] = {5, 13, BASE_ADDR},
        [CODEC_CJ] = {9, 12, BASE_ADDR},
        [CODEC_CB] = {17, 9, BASE_ADDR},
        [CODEC_HI] = {22, 32, BASE_UPPER},
        [CODEC_ADD] = {23, 12, BASE_REGISTER},
        [CODEC_LOAD] = {23, 12, BASE_REGISTER},
        [CODEC_JALR] = {23, 12, BASE_REGISTER},
        [CODEC_STORE] = {24, 12, BASE_REGISTER},
        [CODEC_CALL] = {26, 20, BASE_CALL},
        [CODEC_L32R] = {27, 32, BASE_LITERAL},
        [CODEC_J] = {28, 18, BASE_ADDR},
};

uint32_t baton_codec_word(const uint8_t *at, uint32_t len) {
    uint32_t word = 0;
    while (len > 0) {
        word = word << 8 | at[--len];
    }
    return word;
}

// The number in a unit, after `put` has taken its place if there is one.
static uint32_t exchange(struct codec_unit *unit, const uint32_t *put) {
    const struct form *form = &forms[unit->kind];
    const uint16_t *at = &fields[form->field];
    uint32_t got = 0;
    uint32_t field;
    do {
        field = *at++;
        uint32_t mask = UINT32_MAX >> (31 - (field >> 5 & 31));
        uint32_t from = field & 31;
        uint32_t to = field >> 10 & 31;
        if (put != NULL) {
            unit->word &= ~(mask << from);
            unit->word |= (*put >> to & mask) << from;
        }
        got |= (unit->word >> from & mask) << to;
    } while ((field & LAST) == 0);
    uint32_t sign = 1u << (form->width - 1);
    return ((got & (2 * sign - 1)) ^ sign) - sign;
}

static bool is_lui(uint32_t word) {
    return (word & 0x20) != 0; // or auipc
}

// What a unit's number is relative to at an address of the base (side 0) or of
// the new image (1).
static uint32_t base_of(
        const struct codec_unit *unit, uint32_t addr, unsigned side) {
    switch (forms[unit->kind].base) {
    case BASE_REGISTER:
        return unit->base[side];
    case BASE_UPPER:
        return is_lui(unit->word) ? 0 : addr;
    case BASE_CALL:
        return (addr & ~3u) + 4;
    case BASE_LITERAL:
        return ((addr + 3) & ~3u) - 0x40000;
    case BASE_ADDR:
        return addr;
    default:
        return 0;
    }
}

uint32_t baton_codec_unit_number(struct codec_unit *unit) {
    uint32_t number = exchange(unit, NULL);
    return unit->kind == CODEC_BACK ? 0 - number : number;
}

uint32_t baton_codec_unit_target(
        struct codec_unit *unit, uint32_t addr, unsigned side) {
    return base_of(unit, addr, side) + baton_codec_unit_number(unit);
}

uint32_t baton_codec_unit_build(
        struct codec_unit *unit, uint32_t target, uint32_t addr) {
    uint32_t was = unit->word;
    uint32_t number = target - base_of(unit, addr, 1);
    if (number == unit->number) {
        return was; // most often
    }
    if (unit->kind == CODEC_HI) {
        number += 0x800; // the lo part is signed
    } else if (unit->kind == CODEC_BACK) {
        number = 0 - number;
    }
    bool fits = exchange(unit, &number) == number || unit->kind == CODEC_HI;
    uint32_t word = fits ? unit->word : was;
    unit->word = was;
    return word;
}

// ---- Data

static bool is_code(const struct codec_view *view, uint32_t addr) {
    return baton_codec_layout_place(view->layout, addr) == CODEC_PLACE_CODE;
}

static bool is_back(const struct codec_view *view, uint32_t word) {
    return (word & 3) == 0 && word - 1 < 0x80000 - 1 && view->len >= 8
           && is_code(view, view->addr + 4 + baton_codec_word(view->at + 4, 4));
}

static uint32_t find_data(const struct codec_view *view, uint32_t word) {
    if (baton_codec_layout_place(view->layout, word) != CODEC_PLACE_NONE) {
        return CODEC_POINTER;
    }
    if (view->layout->machine == CODEC_RV32) {
        if (is_code(view, view->addr + word)) {
            return CODEC_RELATIVE;
        }
        if (is_back(view, word)) {
            return CODEC_BACK;
        }
    }
    return CODEC_PLAIN;
}

static void read_data(const struct codec_view *view, struct codec_unit *unit) {
    uint32_t to_word = 4 - (view->addr & 3);
    unit->len = to_word < view->len ? to_word : view->len;
    if (view->place == CODEC_PLACE_NONE) {
        unit->len = 1; // where nothing has an address
    }
    unit->word = unit->len == 4 ? get_u32(view->at)
                                : baton_codec_word(view->at, unit->len);
    if (view->place == CODEC_PLACE_DATA && unit->len == 4) {
        unit->kind = find_data(view, unit->word);
    }
}

// ---- All

uint32_t baton_codec_unit_length(uint32_t machine, uint32_t first) {
    if (machine == CODEC_RV32) {
        return (first & 3) == 3 ? 4 : 2;
    }
    return (first & 15) < 8 ? 3 : (first & 15) < 14 ? 2 : 4;
}

void baton_codec_unit_read(
        const struct codec_view *view, struct codec_unit *unit) {
    bool is_code = view->place == CODEC_PLACE_CODE && view->len >= 4;
    unit->kind = CODEC_PLAIN;
    unit->class = 64 + 2 * view->place;
    unit->number = 0;
    if (is_code && view->layout->machine == CODEC_XTENSA) {
        baton_codec_xtensa_read(view, unit);
    } else if (is_code && (view->addr & 1) == 0) {
        baton_codec_rv32_read(view, unit);
    } else {
        read_data(view, unit);
    }
    if (unit->kind != CODEC_PLAIN) {
        unit->number += baton_codec_unit_number(unit);
        unit->target = base_of(unit, view->addr, 0) + unit->number;
    }
}
