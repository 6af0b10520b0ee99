// The payload decoder's decisions: range coder, counters, logistic mixing.
// SPDX-License-Identifier: MIT
//
// Every decision has a probability, and costs what that probability says: a
// binary range coder (carry-less on this side) with 16-bit probabilities.
// A probability is a counter's, which adapts to what it has seen, or is mixed
// from several counters': their logits are added with weights that adapt to
// whose counter was right (logistic mixing). All of it is integer arithmetic of
// 32 bits, so that two machines never differ. Counters have 13 bits and round
// at random, which lets them come closer to 0 and 1 than their steps are wide.
#include "codec_state.h"

// The logistic function of x / 256 at multiples of 128, times 65536.
static const uint16_t logistic[25] = {32768, 40793, 47911, 53581, 57724, 60565,
        62428, 63615, 64357, 64816, 65097, 65269, 65374, 65438, 65476, 65500,
        65514, 65523, 65528, 65531, 65533, 65534, 65534, 65534, 65534};

// 256 times the logit of 1 - (q + 1/2) / 8192: of q below 32, of multiples of 32
// up to 512, then of 256 up to 4096.
static const uint16_t logits[62] = {2484, 2203, 2072, 1986, 1922, 1870, 1827,
        1791, 1759, 1730, 1705, 1681, 1660, 1640, 1622, 1605, 1589, 1574, 1559,
        1546, 1533, 1521, 1509, 1498, 1487, 1477, 1467, 1458, 1448, 1439, 1431,
        1423, 1415, 1238, 1134, 1060, 1002, 954, 914, 879, 847, 819, 794, 771,
        749, 729, 711, 693, 581, 498, 432, 375, 326, 281, 240, 202, 165, 131,
        97, 64, 32, 0};

static int squash(int x) {
    int sign = -(x < 0);
    int magnitude = x ^ sign;
    if (magnitude > 3071) {
        magnitude = 3071;
    }
    const uint16_t *at = &logistic[magnitude >> 7];
    int p = at[0] + ((at[1] - at[0]) * (magnitude & 127) >> 7);
    return (p ^ sign) & 0xFFFF;
}

// The logit of p / 8192 + 1/2.
static int stretch(int p) {
    // Of the less likely side; between the table's rows it is near a line.
    int sign = -(p < 0);
    int q = 4095 - (p ^ sign);
    const uint16_t *at = logits;
    int shift = 0;
    if (q > 511) {
        at += 47 - 2;
        shift = 8;
    } else if (q > 31) {
        at += 32 - 1;
        shift = 5;
    }
    at += q >> shift;
    int rest = q & ((1 << shift) - 1);
    return (at[0] - ((at[0] - at[1]) * rest >> shift)) ^ sign;
}

uint32_t baton_codec_hash(uint32_t a, uint32_t b) {
    uint32_t h = a * 0x9E3779B1u + b * 0x85EBCA77u;
    h ^= h >> 15;
    h *= 0x2C1B3C6Du;
    return h ^ (h >> 13);
}

uint32_t baton_codec_coder_byte(struct codec *self) {
    uint32_t at = self->in_at++;
    return at < self->in_len ? self->in[at] : 0;
}

// Yes has probability p / 65536, 0 < p < 65536.
static bool decide(struct codec *self, const void *asked, uint32_t p) {
    self->dice = self->dice * 1664525u + 1013904223u;
    if (self->oracle != NULL) {
        return self->oracle(self->oracle_context, asked, p);
    }
    while (self->range < 1u << 24) {
        self->range <<= 8;
        self->code = self->code << 8 | baton_codec_coder_byte(self);
    }
    uint32_t bound = (self->range >> 16) * p;
    bool yes = self->code < bound;
    if (yes) {
        self->range = bound;
    } else {
        self->code -= bound;
        self->range -= bound;
    }
    return yes;
}

// What counters learn from a decision.
static void update(const struct codec *self, codec_counter *const *counters,
        unsigned count, bool yes, int limit) {
    // Of 256: how far it goes, and how often that is counted.
    static const uint8_t rates[8] = {120, 64, 48, 36, 20, 10, 8, 8};
    int dice = (int)(self->dice >> 24);
    int target = yes ? 4095 : -4096;
    for (; count > 0; count--) {
        codec_counter *counter = *counters++;
        int p = *counter >> 3;
        int seen = *counter & 7;
        int rate = rates[seen];
        p += ((target - p) * rate + 128) >> 8;
        if (seen < limit && dice < rate) {
            seen++;
        }
        *counter = (codec_counter)(p * 8 + seen);
    }
}

bool baton_codec_ask(struct codec *self, codec_counter *counter) {
    int p = 32768 + *counter - (*counter >> 10); // not 0 nor 65536
    bool yes = decide(self, counter, (uint32_t)p);
    update(self, &counter, 1, yes, 7);
    return yes;
}

bool baton_codec_ask_mixed(struct codec *self, int16_t *weights, int limit) {
    int inputs[CODEC_MIXED];
    int sum = 0;
    for (unsigned i = 0; i < CODEC_MIXED; i++) {
        inputs[i] = stretch(*self->mixed[i] >> 3);
        sum += (weights[i] + CODEC_WEIGHT) * inputs[i];
    }
    int p = squash(sum >> 14);
    bool yes = decide(self, weights, (uint32_t)p);
    int miss = ((yes ? 65536 : 0) - p) >> 2;
    for (unsigned i = 0; i < CODEC_MIXED; i++) {
        weights[i] =
                (int16_t)(weights[i] + ((inputs[i] * miss + (1 << 13)) >> 14));
    }
    update(self, self->mixed, CODEC_MIXED, yes, limit);
    return yes;
}

// Adaptive Exp-Golomb: how many bits it has, then the bits after the first, of
// which the highest and the two lowest have counters of their own.
uint32_t baton_codec_ask_number(
        struct codec *self, struct codec_golomb *golomb) {
    unsigned bits = 0;
    while (bits < CODEC_EXPONENTS - 1
            && baton_codec_ask(self, &golomb->exponent[bits])) {
        bits++;
    }
    uint32_t number = 1;
    for (unsigned i = bits; i-- > 0;) {
        codec_counter *counter =
                number == 1 ? &golomb->high[bits] : &golomb->low[i < 2 ? i : 2];
        number = number << 1 | baton_codec_ask(self, counter);
    }
    number--;
    return number != 0 && baton_codec_ask(self, &golomb->sign) ? 0 - number
                                                               : number;
}
