// The payload decoder's model of Xtensa code: what refers to an address.
// SPDX-License-Identifier: MIT
//
// Calls, jumps, and loads of literals are relative to their own address; the
// literals are words between the functions, mostly addresses. Instructions of
// two and three bytes, and literals among them, leave no sure way to tell where
// one begins; so an aligned word that looks like an address is taken for a
// literal, and a function's first instruction (entry) on an aligned address
// begins a unit, whatever the instruction before it seemed to be. Fields of
// formats: "Xtensa Instruction Set Architecture Reference Manual".
#include "codec_state.h"

#include "bytes.h"

static bool fits(uint32_t value, unsigned bits) {
    return value + (1u << (bits - 1)) < 1u << bits;
}

static bool is_literal(const struct codec_view *view, uint32_t off) {
    if (((view->addr + off) & 3) != 0 || view->len < off + 4) {
        return false;
    }
    uint32_t word = get_u32(view->at + off);
    return word >= 0x3C000000 && word < 0x43000000
           && baton_codec_place_of(view, word) != CODEC_PLACE_NONE;
}

static bool is_entry(const struct codec_view *view, uint32_t off) {
    return ((view->addr + off) & 3) == 0 && view->len >= off + 2
           && view->at[off] == 0x36 && (view->at[off + 1] & 15) == 1;
}

static void read_instruction(
        const struct codec_view *view, struct codec_unit *unit) {
    uint32_t word = unit->word & 0xFFFFFF;
    uint32_t op0 = word & 15;
    unit->class = (uint8_t)op0;
    if (op0 >= 8) {
        unit->len = op0 >= 14 ? 4 : 2;
        return;
    }
    unit->word = word;
    unit->len = 3;
    // Bits 6 ... 23, as a signed number.
    uint32_t offset = ((word >> 6) ^ 0x20000) - 0x20000;
    if (op0 == 5) {
        unit->kind = CODEC_CALL;
        unit->target = (view->addr & ~3u) + 4 + (offset << 2);
    } else if (op0 == 1) {
        unit->kind = CODEC_L32R;
        unit->target =
                ((view->addr + 3) & ~3u) + (0xFFFC0000 | (word >> 8 << 2));
    } else if (op0 == 6 && (word >> 4 & 3) == 0) {
        unit->kind = CODEC_J;
        unit->target = view->addr + 4 + offset;
    } else if ((word & 0xF00F) == 0xA002) {
        uint32_t number = (word & 0xF00) | word >> 16;
        unit->kind = CODEC_MOVI;
        unit->target = CODEC_NUMBERS + (number ^ 0x800) - 0x800;
    }
}

void baton_codec_xtensa_read(
        const struct codec_view *view, struct codec_unit *unit) {
    if (view->len < 4) {
        return;
    }
    unit->word = get_u32(view->at);
    if (is_literal(view, 0)) {
        unit->kind = CODEC_POINTER;
        unit->len = 4;
        unit->target = unit->word;
        unit->class = 17;
        return;
    }
    read_instruction(view, unit);
    for (uint8_t off = 1; off < unit->len; off++) {
        if (is_literal(view, off) || is_entry(view, off)) {
            unit->kind = CODEC_PLAIN;
            unit->len = off;
        }
    }
}

bool baton_codec_xtensa_build(const struct codec_unit *unit, uint32_t target,
        uint32_t addr, uint32_t *word) {
    uint32_t offset;
    switch (unit->kind) {
    case CODEC_CALL:
        offset = target - ((addr & ~3u) + 4);
        *word = (unit->word & 0x3F) | (offset << 4 & 0xFFFFC0);
        return (offset & 3) == 0 && fits(offset, 20);
    case CODEC_L32R:
        offset = target - ((addr + 3) & ~3u);
        *word = (unit->word & 0xFF) | (offset << 6 & 0xFFFF00);
        return (offset & 3) == 0 && offset >= 0xFFFC0000;
    case CODEC_J:
        offset = target - addr - 4;
        *word = (unit->word & 0x3F) | (offset << 6 & 0xFFFFC0);
        return fits(offset, 18);
    default:
        offset = target - CODEC_NUMBERS;
        *word = (unit->word & 0xF0FF) | (offset & 0xF00)
                | (offset << 16 & 0xFF0000);
        return fits(offset, 12);
    }
}
