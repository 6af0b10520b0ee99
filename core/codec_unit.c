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

bool baton_codec_is_address(const struct codec_view *view, uint32_t word) {
    for (uint32_t i = 0; i < view->layout->count; i++) {
        const struct codec_segment *s = &view->layout->segments[i];
        if (word - s->addr < s->len) {
            return word != 0;
        }
    }
    for (unsigned i = 0; i < BATON_CODEC_AREAS_MAX; i++) {
        if (word - view->areas[i].addr < view->areas[i].len) {
            return word != 0;
        }
    }
    return false;
}

static bool is_code(const struct codec_view *view, uint32_t word) {
    for (uint32_t i = 0; i < view->layout->count; i++) {
        const struct codec_segment *s = &view->layout->segments[i];
        if (s->is_code && word - s->addr < s->len) {
            return true;
        }
    }
    return false;
}

static bool is_number(uint32_t word) {
    return word - 64 < 0x2000 - 64;
}

static void read_number(
        const struct codec_view *view, struct codec_unit *unit) {
    uint32_t half = get_u16(view->at);
    unit->len = 2;
    unit->word = half;
    unit->class = 1;
    if (is_number(half)) {
        unit->kind = CODEC_NUMBER;
        unit->target = CODEC_NUMBERS + half;
    }
}

// Reads an aligned word.
static void read_word(const struct codec_view *view, struct codec_unit *unit) {
    uint32_t word = get_u32(view->at);
    uint32_t next = view->len >= 8 ? get_u32(view->at + 4) : 0;
    unit->len = 4;
    unit->word = word;
    if (baton_codec_is_address(view, word)) {
        unit->kind = CODEC_POINTER;
        unit->target = word;
    } else if (is_code(view, view->addr + word)) {
        unit->kind = CODEC_RELATIVE;
        unit->target = view->addr + word;
    } else if ((word & 3) == 0 && word - 1 < 0x80000 - 1
               && !baton_codec_is_address(view, next)
               && is_code(view, view->addr + 4 + next)) {
        unit->kind = CODEC_BACK;
        unit->target = view->addr - word;
    } else if ((word & 7) == 2 && is_number(word >> 3)) {
        unit->kind = CODEC_OBJECT;
        unit->target = CODEC_NUMBERS + (word >> 3);
    } else if (is_number(word & 0xFFFF) || is_number(word >> 16)) {
        read_number(view, unit);
    }
}

void baton_codec_unit_read(
        const struct codec_view *view, struct codec_unit *unit) {
    unit->kind = CODEC_PLAIN;
    unit->len = 1;
    unit->class = 0;
    if (view->addr != 0 && view->machine == CODEC_RV32) {
        baton_codec_rv32_read(view, unit);
    } else if (view->addr != 0 && view->machine == CODEC_XTENSA) {
        baton_codec_xtensa_read(view, unit);
    } else if (view->addr != 0 && (view->addr & 3) == 0 && view->len >= 4) {
        read_word(view, unit);
    } else if (view->addr != 0 && (view->addr & 3) == 2 && view->len >= 2) {
        read_number(view, unit);
    } else {
        uint32_t len = 4 - (view->addr & 3);
        unit->len = (uint8_t)(len < view->len ? len : view->len);
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
