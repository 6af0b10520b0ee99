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

// The n-th last byte of the output.
static unsigned recent(const struct codec *self, unsigned n) {
    return self->page[CODEC_RECENT_BYTES + self->page_len - n];
}

// Where byte's candidate, having agreed so far, goes on: 1 + its next bit; 0:
// it does not agree.
static unsigned expect(unsigned candidate, unsigned partial, unsigned bit) {
    return (candidate | 256) >> (bit + 1) == partial
                   ? 1 + (candidate >> bit & 1)
                   : 0;
}

// What instruction the byte is of, and where in it; of data, where in a word.
static unsigned literal_phase(const struct codec *self) {
    if (self->new_place != CODEC_PLACE_CODE) {
        return ((self->new_off + self->new_bias) & 1)
               | (recent(self, 1) >> 4) << 1;
    }
    if (self->unit_at >= self->unit_len) {
        return 4;
    }
    unsigned class = self->info->machine == CODEC_RV32
                             ? self->unit_first >> 2 & 31u
                             : self->unit_first & 15u;
    return self->unit_at | 4 | class << 3;
}

unsigned baton_codec_ask_literal(struct codec *self, int old, unsigned class) {
    struct codec_model *m = &self->model;
    const uint8_t *log2 = self->info->literal_log2;
    unsigned is_code = self->new_place == CODEC_PLACE_CODE;
    unsigned has_old = old >= 0;
    unsigned last = recent(self, 1) >> (log2[1] < 11 ? 6 : 0);
    unsigned before = log2[2] < 11 ? 0 : recent(self, 2);
    uint32_t base[3] = {
            baton_codec_hash(1 + class, has_old | literal_phase(self) << 1),
            baton_codec_hash(0x100 + last, is_code),
            baton_codec_hash(0x7000 + before, is_code)};
    unsigned expected[3] = {(unsigned)(old + self->last_difference[0]) & 255,
            (unsigned)(old + self->last_difference[1]) & 255, (unsigned)old};
    unsigned set = has_old ? 2 + (class == 4) : is_code;
    unsigned partial = 1;
    for (unsigned bit = 8; bit-- > 0;) {
        for (unsigned i = 0; i < 3; i++) {
            uint32_t slot = base[i] + partial * 0x9E35u;
            self->mixed[i] =
                    &self->literal_table[i][slot & ((1u << log2[i]) - 1)];
        }
        unsigned agreed = 0;
        for (unsigned i = 0; i < 3 && has_old; i++) {
            agreed = agreed * 3 + expect(expected[i], partial, bit);
        }
        self->mixed[3] = &m->expected[bit * 27 + agreed];
        partial = partial << 1
                  | (unsigned)baton_codec_ask_mixed(self, CODEC_ASK_BIT,
                          (int32_t)bit, m->literal_weight[set * 8 + bit]);
    }
    partial &= 255;
    int32_t difference = (int32_t)partial - old;
    if (has_old && difference != self->last_difference[0]) {
        self->last_difference[1] = self->last_difference[0];
        self->last_difference[0] = difference;
    }
    return partial;
}
