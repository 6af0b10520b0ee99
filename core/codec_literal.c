// The payload decoder's bytes that are not as predicted.
// SPDX-License-Identifier: MIT
//
// Bit by bit, the highest first, mixed from four counters: of what instruction
// the byte is of and where in it, of the byte before, of a byte farther away (of
// data in a copy: of the one that the copy has here), and of nothing but the
// bits so far and where in an instruction or a half word they are. Where a copy
// has a byte here, the last is instead of how the bits so far agree with that
// byte and with it plus the differences seen last. In tables this small few
// contexts that fit do better than many that collide; larger tables take more
// of the bytes before. Whom to believe depends on the place more than on
// anything else, so it has weights of its own.
#include "codec_state.h"

// Where a candidate, having agreed so far, goes on: 1 + its next bit; 0: it
// does not agree.
static uint32_t expect(uint32_t candidate, uint32_t partial, uint32_t bit) {
    candidate = ((candidate & 255) | 256) >> bit;
    return candidate >> 1 == partial ? 1 + (candidate & 1) : 0;
}

// Where in an instruction the byte is: 2 to 5; of data, odd or even.
static uint32_t place_of(const struct codec *self, uint32_t is_code) {
    if (!is_code) {
        return (self->new_off + self->new_bias) & 1;
    }
    return 2 + (self->phase < self->phase_len ? self->phase : 0);
}

// That, and what instruction it is of; of data, what is before.
static uint32_t phase_of(const struct codec *self, uint32_t at, uint32_t last) {
    uint32_t first = at < 2 ? last >> 4 : 0;
    if (at > 2) {
        first = self->phase_first;
        first = self->info->machine == CODEC_RV32 ? first >> 2 & 31
                                                  : first & 15;
    }
    return at | first << 3;
}

uint32_t baton_codec_literal_ask(struct codec *self, int old) {
    const uint8_t *log2 = self->info->literal_log2;
    const uint8_t *recent = self->page + self->page_len;
    uint32_t is_code = self->new_place == CODEC_PLACE_CODE;
    uint32_t has_old = old >= 0;
    uint32_t last = recent[1];
    uint32_t before = log2[2] < 11 ? 0 : recent[0];
    uint32_t at = place_of(self, is_code);
    uint32_t base[CODEC_MIXED] = {
            baton_codec_hash(1, has_old | phase_of(self, at, last) << 1),
            baton_codec_hash(
                    0x100 + (log2[1] < 11 ? last >> 6 : last), is_code),
            baton_codec_hash(
                    0x7000 + (has_old > is_code ? 256 + (uint32_t)old : before),
                    at),
            baton_codec_hash(0x9000, at)};
    uint32_t candidates[3] = {(uint32_t)(old + self->last_difference[0]),
            (uint32_t)(old + self->last_difference[1]), (uint32_t)old};
    int16_t(*weights)[CODEC_MIXED] =
            &self->model.literal_weight[4 * at + 24 * has_old];
    uint32_t partial = 1;
    for (uint32_t bit = 8; bit-- > 0;) {
        for (uint32_t i = 0; i < CODEC_MIXED; i++) {
            uint32_t slot = base[i] + partial * 0x9E35u;
            const struct codec_table *table = &self->literal_table[i];
            self->mixed[i] = &table->counters[slot & table->mask];
        }
        if (has_old) {
            uint32_t agreed = bit;
            for (uint32_t i = 0; i < 3; i++) {
                agreed = agreed * 3 + expect(candidates[i], partial, bit);
            }
            self->mixed[3] = &self->model.expected[agreed];
        }
        partial =
                partial << 1
                | baton_codec_ask_mixed(self, weights[bit >> (1 + has_old)], 4);
    }
    partial &= 255;
    int32_t difference = (int32_t)partial - old;
    if (has_old && difference != self->last_difference[0]) {
        self->last_difference[1] = self->last_difference[0];
        self->last_difference[0] = difference;
    }
    return partial;
}
