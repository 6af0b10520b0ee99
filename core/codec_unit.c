// The payload decoder's units: instructions and words that refer to something.
// SPDX-License-Identifier: MIT
//
// An image is taken as a sequence of units. Those that refer to an address, or
// hold a number that tends to change together with others, are predicted
// through the address map; the rest are expected to stay as they are. To read
// an address into data that holds none costs little: the map then predicts no
// change. One table says which units there are, where the bits of their offset
// or number lie, and what it is relative to.
//
// RISC-V ("The RISC-V Instruction Set Manual, Volume I"): jumps, branches and
// pairs of a hi and a lo part. A hi part's target is known only with its lo
// part, so that is looked for a short way ahead; registers remember hi parts
// until something else is written to them, so that the lo parts that follow,
// several for one hi part often, need no bits of their own. Immediates that
// are no part of an address are numbers of strings, or offsets of fields.
//
// Xtensa ("Xtensa Instruction Set Architecture Reference Manual"): calls, jumps
// and loads of literals, which are words between the functions, mostly
// addresses. Instructions of two and three bytes, and literals among them,
// leave no sure way to tell where one begins; so an aligned word that looks
// like an address is taken for a literal, and a function's first instruction
// (entry) on an aligned address begins a unit, whatever the instruction before
// it seemed to be.
#include "bytes.h"
#include "codec_state.h"

#define LOOK_INSTRUCTIONS 24

enum base {
    BASE_NONE,
    BASE_NUMBERS,
    BASE_REGISTER, // rs1's hi part; where it has none, BASE_NUMBERS
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
        FIELD(0, 16, 0) | LAST, // 1
        FIELD(3, 16, 0) | LAST, // 2
        FIELD(21, 10, 1), FIELD(20, 1, 11), FIELD(12, 8, 12),
        FIELD(31, 1, 20) | LAST, // 3: jal
        FIELD(8, 4, 1), FIELD(25, 6, 5), FIELD(7, 1, 11),
        FIELD(31, 1, 12) | LAST, // 7: branches
        FIELD(3, 3, 1), FIELD(11, 1, 4), FIELD(2, 1, 5), FIELD(7, 1, 6),
        FIELD(6, 1, 7), FIELD(9, 2, 8), FIELD(8, 1, 10),
        FIELD(12, 1, 11) | LAST, // 11: c.j, c.jal
        FIELD(3, 2, 1), FIELD(10, 2, 3), FIELD(2, 1, 5), FIELD(5, 2, 6),
        FIELD(12, 1, 8) | LAST,                 // 19: c.beqz, c.bnez
        FIELD(12, 20, 12) | LAST,               // 24: lui, auipc
        FIELD(20, 12, 0) | LAST,                // 25: I
        FIELD(7, 5, 0), FIELD(25, 7, 5) | LAST, // 26: S
        FIELD(6, 18, 2) | LAST,                 // 28: call
        FIELD(8, 16, 2) | LAST,                 // 29: l32r
        FIELD(6, 18, 0) | LAST,                 // 30: j
};

static const struct form {
    uint8_t field; // the first one
    uint8_t width; // of the number, which is signed
    uint8_t base;
} forms[CODEC_KINDS] = {
        [CODEC_POINTER] = {0, 32, BASE_NONE},
        [CODEC_RELATIVE] = {0, 32, BASE_ADDR},
        [CODEC_BACK] = {0, 32, BASE_ADDR},
        [CODEC_NUMBER] = {1, 32, BASE_NUMBERS},
        [CODEC_OBJECT] = {2, 32, BASE_NUMBERS},
        [CODEC_JAL] = {3, 21, BASE_ADDR},
        [CODEC_BRANCH] = {7, 13, BASE_ADDR},
        [CODEC_CJ] = {11, 12, BASE_ADDR},
        [CODEC_CB] = {19, 9, BASE_ADDR},
        [CODEC_HI] = {24, 32, BASE_UPPER},
        [CODEC_ADD] = {25, 12, BASE_REGISTER},
        [CODEC_LOAD] = {25, 12, BASE_REGISTER},
        [CODEC_JALR] = {25, 12, BASE_REGISTER},
        [CODEC_STORE] = {26, 12, BASE_REGISTER},
        [CODEC_CALL] = {28, 20, BASE_CALL},
        [CODEC_L32R] = {29, 32, BASE_LITERAL},
        [CODEC_J] = {30, 18, BASE_ADDR},
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
    case BASE_NUMBERS:
        return CODEC_NUMBERS;
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

static uint32_t number_of(struct codec_unit *unit) {
    uint32_t number = exchange(unit, NULL);
    return unit->kind == CODEC_BACK ? 0 - number : number;
}

uint32_t baton_codec_unit_target(
        struct codec_unit *unit, uint32_t addr, unsigned side) {
    return base_of(unit, addr, side) + number_of(unit);
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

static bool is_number(uint32_t word) {
    return word - 64 < 0x2000 - 64;
}

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
    return (word & 7) == 2 && is_number(word >> 3) ? CODEC_OBJECT : CODEC_PLAIN;
}

static void read_data(const struct codec_view *view, struct codec_unit *unit) {
    uint32_t word = unit->word;
    if (unit->len == 4) {
        unit->kind = find_data(view, word);
        if (unit->kind == CODEC_PLAIN
                && (is_number(word & 0xFFFF) || is_number(word >> 16))) {
            unit->len = 2;
        }
    }
    if (unit->len == 2) {
        unit->class ++;
        unit->word = word &= 0xFFFF;
        unit->kind = is_number(word) ? CODEC_NUMBER : CODEC_PLAIN;
    }
}

// ---- Instructions

// By class; of Xtensa's from 64 on.
static const uint8_t kinds[64 + 16] = {
        [0x03 >> 2] = CODEC_LOAD,
        [0x07 >> 2] = CODEC_LOAD,
        [0x13 >> 2] = CODEC_ADD,
        [0x17 >> 2] = CODEC_HI,
        [0x23 >> 2] = CODEC_STORE,
        [0x27 >> 2] = CODEC_STORE,
        [0x37 >> 2] = CODEC_HI,
        [0x63 >> 2] = CODEC_BRANCH,
        [0x67 >> 2] = CODEC_JALR,
        [0x6F >> 2] = CODEC_JAL,
        [32 + (1 << 2 | 1)] = CODEC_CJ,
        [32 + (5 << 2 | 1)] = CODEC_CJ,
        [32 + (6 << 2 | 1)] = CODEC_CB,
        [32 + (7 << 2 | 1)] = CODEC_CB,
        [64 + 1] = CODEC_L32R,
        [64 + 5] = CODEC_CALL,
        [64 + 6] = CODEC_J,
};

// Of additions only those of an immediate, and of jumps not the branches.
static uint32_t find_kind(uint32_t word, uint32_t class) {
    uint32_t kind = kinds[class];
    return (kind == CODEC_ADD && (word & 0x7000) != 0)
                           || (kind == CODEC_J && (word & 0x30) != 0)
                   ? CODEC_PLAIN
                   : kind;
}

static uint32_t rs1_of(uint32_t word) {
    return word >> 15 & 31;
}

static uint32_t find_lo(const struct codec_view *view, uint32_t reg) {
    uint32_t at = 4;
    for (int i = 0; i < LOOK_INSTRUCTIONS && at + 4 <= view->len; i++) {
        struct codec_unit unit = {.word = baton_codec_word(view->at + at, 4)};
        if ((unit.word & 3) != 3) {
            at += 2;
            continue;
        }
        at += 4;
        unit.kind = find_kind(unit.word, unit.word >> 2 & 31);
        if (unit.kind >= CODEC_ADD && rs1_of(unit.word) == reg) {
            return exchange(&unit, NULL);
        }
    }
    return 0;
}

static void read_rv32(const struct codec_view *view, struct codec_unit *unit) {
    struct codec_registers *registers = view->registers;
    uint32_t rs1 = rs1_of(unit->word);
    unit->class = unit->word >> 2 & 31;
    unit->reg = unit->word >> 7 & 31;
    unit->len = 4;
    if ((unit->word & 3) != 3) {
        unit->word &= 0xFFFF;
        unit->len = 2;
        unit->class = 32 + (unit->word >> 13 << 2 | (unit->word & 3));
    }
    unit->kind = find_kind(unit->word, unit->class);
    for (int side = 0; side < 2; side++) {
        unit->base[side] = registers->value[0][rs1] != 0
                                   ? registers->value[side][rs1]
                                   : CODEC_NUMBERS + (rs1 << 20);
    }
    if (unit->kind != CODEC_BRANCH && unit->kind != CODEC_STORE
            && unit->len == 4) {
        registers->value[0][unit->reg] = 0;
    }
}

void baton_codec_unit_note(struct codec_unit *unit, uint32_t old_addr,
        uint32_t word, uint32_t addr, struct codec_registers *registers) {
    registers->value[0][unit->reg] = baton_codec_unit_target(unit, old_addr, 0);
    unit->word = word;
    registers->value[1][unit->reg] = baton_codec_unit_target(unit, addr, 1);
}

static bool is_literal(const struct codec_view *view, uint32_t off) {
    if (((view->addr + off) & 3) != 0 || view->len < off + 4) {
        return false;
    }
    uint32_t word = baton_codec_word(view->at + off, 4);
    return word - 0x3C000000 < 0x07000000
           && baton_codec_layout_place(view->layout, word) != CODEC_PLACE_NONE;
}

static bool is_entry(const struct codec_view *view, uint32_t off) {
    return ((view->addr + off) & 3) == 0 && view->len >= off + 2
           && (baton_codec_word(view->at + off, 2) & 0xFFF) == 0x136;
}

static void read_xtensa(
        const struct codec_view *view, struct codec_unit *unit) {
    unit->class = unit->word & 15;
    if (is_literal(view, 0)) {
        unit->kind = CODEC_POINTER;
        unit->class = 17;
        return;
    }
    unit->len = unit->class < 14 ? 2 : 4;
    if (unit->class < 8) {
        unit->len = 3;
        unit->word &= 0xFFFFFF;
    }
    unit->kind = find_kind(unit->word, 64 + unit->class);
    for (uint32_t off = 1; off < unit->len; off++) {
        if (is_literal(view, off) || is_entry(view, off)) {
            unit->kind = CODEC_PLAIN;
            unit->len = off;
        }
    }
}

// ---- Both

void baton_codec_unit_read(
        const struct codec_view *view, struct codec_unit *unit) {
    uint32_t to_word = 4 - (view->addr & 3);
    bool is_code = view->place == CODEC_PLACE_CODE && view->len >= 4;
    unit->kind = CODEC_PLAIN;
    unit->class = 64 + 2 * view->place;
    unit->len = to_word < view->len ? to_word : view->len;
    uint32_t len = is_code ? 4 : unit->len;
    unit->word = len == 4 ? get_u32(view->at) : baton_codec_word(view->at, len);
    if (is_code && view->layout->machine == CODEC_XTENSA) {
        read_xtensa(view, unit);
    } else if (is_code && (view->addr & 1) == 0) {
        read_rv32(view, unit);
    } else if (view->place == CODEC_PLACE_DATA) {
        read_data(view, unit);
    }
    if (unit->kind == CODEC_PLAIN) {
        return;
    }
    unit->number = number_of(unit);
    if (unit->kind == CODEC_HI) {
        unit->number += find_lo(view, unit->reg);
    }
    unit->target = base_of(unit, view->addr, 0) + unit->number;
    // lui loads numbers, too.
    if (unit->kind == CODEC_HI && is_lui(unit->word)
            && baton_codec_layout_place(view->layout, unit->target)
                       == CODEC_PLACE_NONE) {
        unit->kind = CODEC_PLAIN;
    }
}
