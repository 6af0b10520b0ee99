// The payload decoder's units: words of data, and whose instructions to read.
// SPDX-License-Identifier: MIT
//
// An image is taken as a sequence of units, each an instruction or a word of
// data. Those that refer to an address, or hold a number that tends to change
// together with others, are predicted through the address map; the rest are
// expected to stay as they are. To read an address into data that holds none
// costs little: the map then predicts no change.
#include "codec_state.h"

#include "bytes.h"

enum codec_place baton_codec_place_of(
        const struct codec_view *view, uint32_t word) {
    for (uint32_t i = 0; i < view->layout->count; i++) {
        const struct codec_segment *s = &view->layout->segments[i];
        if (word - s->addr < s->len) {
            return s->is_code ? CODEC_PLACE_CODE : CODEC_PLACE_DATA;
        }
    }
    for (unsigned i = 0; i < BATON_CODEC_AREAS_MAX; i++) {
        if (word - view->areas[i].addr < view->areas[i].len) {
            return CODEC_PLACE_DATA;
        }
    }
    return CODEC_PLACE_NONE;
}

static bool is_code(const struct codec_view *view, uint32_t word) {
    return baton_codec_place_of(view, word) == CODEC_PLACE_CODE;
}

static bool is_number(uint32_t word) {
    return word - 64 < 0x2000 - 64;
}

static void read_number(struct codec_unit *unit) {
    unit->len = 2;
    unit->word &= 0xFFFF;
    unit->class = 1;
    if (is_number(unit->word)) {
        unit->kind = CODEC_NUMBER;
        unit->target = CODEC_NUMBERS + unit->word;
    }
}

// Reads an aligned word.
static void read_word(const struct codec_view *view, struct codec_unit *unit) {
    uint32_t word = unit->word;
    uint32_t next = view->len >= 8 ? get_u32(view->at + 4) : 0;
    unit->kind = CODEC_PLAIN;
    unit->target = word;
    if (baton_codec_place_of(view, word) != CODEC_PLACE_NONE) {
        unit->kind = CODEC_POINTER;
    } else if (view->has_relative && is_code(view, view->addr + word)) {
        unit->kind = CODEC_RELATIVE;
        unit->target = view->addr + word;
    } else if (view->has_relative && (word & 3) == 0 && word - 1 < 0x80000 - 1
               && is_code(view, view->addr + 4 + next)) {
        unit->kind = CODEC_BACK;
        unit->target = view->addr - word;
    } else if ((word & 7) == 2 && is_number(word >> 3)) {
        unit->kind = CODEC_OBJECT;
        unit->target = CODEC_NUMBERS + (word >> 3);
    } else if (is_number(word & 0xFFFF) || is_number(word >> 16)) {
        read_number(unit);
    }
}

void baton_codec_unit_read(
        const struct codec_view *view, struct codec_unit *unit) {
    uint32_t to_word = 4 - (view->addr & 3);
    unit->kind = CODEC_PLAIN;
    unit->class = 0;
    unit->len = (uint8_t)(to_word < view->len ? to_word : view->len);
    unit->word = 0;
    if (unit->len == 4) {
        unit->word = get_u32(view->at);
    }
    for (unsigned i = unit->len & 3u; i-- > 0;) {
        unit->word = unit->word << 8 | view->at[i];
    }
    if (view->addr == 0) {
        return;
    }
    if (view->machine == CODEC_RV32) {
        baton_codec_rv32_read(view, unit);
    } else if (view->machine == CODEC_XTENSA) {
        baton_codec_xtensa_read(view, unit);
    } else if (unit->len == 4) {
        read_word(view, unit);
    } else if (unit->len == 2) {
        read_number(unit);
    }
}

bool baton_codec_unit_build(const struct codec_unit *unit, uint32_t target,
        uint32_t addr, const struct codec_registers *registers,
        uint32_t *word) {
    switch (unit->kind) {
    case CODEC_POINTER:
        *word = target;
        return true;
    case CODEC_RELATIVE:
        *word = target - addr;
        return true;
    case CODEC_BACK:
        *word = addr - target;
        return true;
    case CODEC_NUMBER:
        *word = target - CODEC_NUMBERS;
        return *word < 0x10000;
    case CODEC_OBJECT:
        *word = ((target - CODEC_NUMBERS) << 3) | 2;
        return target - CODEC_NUMBERS < 0x10000;
    case CODEC_CALL:
    case CODEC_L32R:
    case CODEC_J:
    case CODEC_MOVI:
        return baton_codec_xtensa_build(unit, target, addr, word);
    default:
        return baton_codec_rv32_build(unit, target, addr, registers, word);
    }
}
