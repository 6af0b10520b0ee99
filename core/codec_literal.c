// The payload decoder's bytes that are not as predicted.
// SPDX-License-Identifier: MIT
//
// Bit by bit, the highest first, mixed from four counters: of what instruction
// the byte is of and where in it, of the byte before, of nothing but the bits
// so far, and, where a copy has a byte here, of how the bits so far agree with
// that byte and with it plus the differences seen last. In tables this small
// few contexts that fit do better than many that collide; larger tables take
// more of the bytes before.
#include "codec_state.h"

// Where a candidate, having agreed so far, goes on: 1 + its next bit; 0: it
// does not agree.
static uint32_t expect(uint32_t candidate, uint32_t partial, uint32_t bit) {
    candidate |= 256;
    return candidate >> (bit + 1) == partial ? 1 + (candidate >> bit & 1) : 0;
}

// What instruction the byte is of, and where in it; of data, where in a word.
static uint32_t phase_of(const struct codec *self, uint32_t last) {
    if (self->new_place != CODEC_PLACE_CODE) {
        return ((self->new_off + self->new_bias) & 1) | last >> 4 << 1;
    }
    if (self->phase >= self->phase_len) {
        return 4;
    }
    uint32_t first = self->phase_first;
    return self->phase | 4
           | (self->info->machine == CODEC_RV32 ? first >> 2 & 31 : first & 15)
                     << 3;
}

uint32_t baton_codec_literal_ask(struct codec *self, int old, uint32_t class) {
    const uint8_t *log2 = self->info->literal_log2;
    const uint8_t *recent = self->page + self->page_len;
    uint32_t is_code = self->new_place == CODEC_PLACE_CODE;
    uint32_t has_old = old >= 0;
    uint32_t last = recent[1];
    uint32_t base[3] = {
            baton_codec_hash(1 + class, has_old | phase_of(self, last) << 1),
            baton_codec_hash(
                    0x100 + (log2[1] < 11 ? last >> 6 : last), is_code),
            baton_codec_hash(0x7000 + (log2[2] < 11 ? 0 : recent[0]), is_code)};
    int16_t(*weights)[CODEC_MIXED] =
            &self->model.literal_weight[8 * (has_old ? class - 1 : is_code)];
    uint32_t partial = 1;
    for (uint32_t bit = 8; bit-- > 0;) {
        uint32_t agreed = 0;
        for (uint32_t i = 0; i < 3; i++) {
            uint32_t slot = base[i] + partial * 0x9E35u;
            uint32_t candidate = (uint32_t)old;
            candidate += i < 2 ? (uint32_t)self->last_difference[i] : 0;
            self->mixed[i] =
                    &self->literal_table[i][slot & ((1u << log2[i]) - 1)];
            agreed = agreed * 3 + expect(candidate & 255, partial, bit);
        }
        self->mixed[3] =
                &self->model.expected[bit * 27 + (has_old ? agreed : 0)];
        partial = partial << 1 | baton_codec_ask_mixed(self, weights[bit], 4);
    }
    partial &= 255;
    int32_t difference = (int32_t)partial - old;
    if (has_old && difference != self->last_difference[0]) {
        self->last_difference[1] = self->last_difference[0];
        self->last_difference[0] = difference;
    }
    return partial;
}
