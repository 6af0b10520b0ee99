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

// The logistic function of x / 256 at multiples of 64, times 65536.
static const uint16_t logistic[49] = {32768, 36843, 40793, 44511, 47911, 50941,
        53581, 55834, 57724, 59287, 60565, 61598, 62428, 63090, 63615, 64030,
        64357, 64614, 64816, 64974, 65097, 65194, 65269, 65328, 65374, 65410,
        65438, 65459, 65476, 65489, 65500, 65508, 65514, 65519, 65523, 65526,
        65528, 65530, 65531, 65532, 65533, 65534, 65534, 65535, 65535, 65535,
        65535, 65535, 65535};

// The logit of p / 8192 below one half, negated, times 256: for each p below
// 64, for each eighth below 512, for each 64th.
static const uint16_t logit_fine[64] = {2484, 2307, 2129, 2025, 1952, 1895,
        1848, 1808, 1774, 1744, 1717, 1693, 1670, 1650, 1631, 1613, 1597, 1581,
        1566, 1552, 1539, 1527, 1515, 1503, 1492, 1482, 1472, 1462, 1453, 1444,
        1435, 1427, 1419, 1411, 1403, 1396, 1388, 1381, 1374, 1368, 1361, 1355,
        1349, 1343, 1337, 1331, 1325, 1320, 1314, 1309, 1304, 1299, 1294, 1289,
        1284, 1279, 1275, 1270, 1266, 1261, 1257, 1252, 1248, 1244};
static const uint16_t logit_middle[64] = {1986, 1681, 1546, 1458, 1392, 1340,
        1296, 1259, 1226, 1197, 1171, 1148, 1126, 1106, 1087, 1070, 1054, 1038,
        1024, 1010, 997, 984, 972, 961, 950, 940, 929, 920, 910, 901, 892, 884,
        876, 867, 860, 852, 845, 838, 831, 824, 817, 810, 804, 798, 792, 786,
        780, 774, 769, 763, 758, 753, 747, 742, 737, 732, 727, 723, 718, 713,
        709, 704, 700, 696};
static const int16_t logit_coarse[65] = {1423, 1137, 1003, 915, 848, 795, 750,
        711, 677, 646, 618, 593, 569, 547, 527, 508, 489, 472, 455, 440, 424,
        410, 396, 382, 369, 356, 344, 332, 320, 309, 298, 287, 276, 266, 255,
        245, 235, 226, 216, 207, 197, 188, 179, 170, 161, 152, 144, 135, 127,
        118, 110, 101, 93, 85, 77, 68, 60, 52, 44, 36, 28, 20, 12, 4, -4};

static int squash(int x) {
    unsigned magnitude = (unsigned)(x < 0 ? -x : x);
    if (magnitude > 3071) {
        magnitude = 3071;
    }
    unsigned i = magnitude >> 6;
    unsigned step = (unsigned)(logistic[i + 1] - logistic[i]);
    int p = (int)(logistic[i] + (step * (magnitude & 63) >> 6));
    p = p > 65534 ? 65534 : p;
    return x < 0 ? 65536 - p : p;
}

static int stretch(unsigned p) {
    unsigned q = p < 4096 ? p : 8192 - p;
    int x = q < 64    ? logit_fine[q]
            : q < 512 ? logit_middle[q >> 3]
                      : logit_coarse[q >> 6];
    return p < 4096 ? -x : x;
}

uint32_t baton_codec_hash(uint32_t a, uint32_t b) {
    uint32_t h = a * 0x9E3779B1u + b * 0x85EBCA77u;
    h ^= h >> 15;
    h *= 0x2C1B3C6Du;
    return h ^ (h >> 13);
}

unsigned baton_codec_log2(uint32_t value) {
    unsigned bits = 0;
    for (; value != 0; value >>= 1) {
        bits++;
    }
    return bits;
}

// ---- Range decoder

static uint32_t take_byte(struct codec *self) {
    if (self->in_at < self->in_len) {
        return self->in[self->in_at++];
    }
    self->in_past++;
    return 0;
}

void baton_codec_coder_begin(struct codec *self) {
    self->range = UINT32_MAX;
    self->code = 0;
    self->in_past = 0;
    for (int i = 0; i < 4; i++) {
        self->code = self->code << 8 | take_byte(self);
    }
}

// Yes has probability p / 65536, 0 < p < 65536.
static int decide(struct codec *self, enum codec_question question,
        int32_t number, uint32_t p) {
    if (self->oracle != NULL) {
        return self->oracle(self->oracle_context, question, number, p);
    }
    uint32_t bound =
            (self->range >> 16) * p + (((self->range & 0xFFFF) * p) >> 16);
    int yes = self->code < bound;
    if (yes) {
        self->range = bound;
    } else {
        self->code -= bound;
        self->range -= bound;
    }
    while (self->range < 1u << 24) {
        self->range <<= 8;
        self->code = self->code << 8 | take_byte(self);
    }
    return yes;
}

// ---- Counters

static void update(
        struct codec *self, codec_counter *counter, int yes, unsigned limit) {
    static const uint8_t rates[8] = {1, 2, 2, 3, 4, 5, 5, 5};

    // One in how many, less one, is counted.
    static const uint8_t odds[8] = {0, 1, 3, 3, 7, 15, 31, 255};
    self->dice = self->dice * 1664525u + 1013904223u;
    int p = *counter >> 3;
    unsigned seen = *counter & 7;
    int step = ((yes ? 8191 : 0) - p) * 256 >> rates[seen];
    p += (step + (int)(self->dice >> 24)) >> 8;
    p = p < 1 ? 1 : p > 8190 ? 8190 : p;
    if (seen < limit && (self->dice >> 16 & odds[seen]) == 0) {
        seen++;
    }
    *counter = (codec_counter)((unsigned)p << 3 | seen);
}

int baton_codec_ask(struct codec *self, enum codec_question question,
        int32_t number, codec_counter *counter) {
    uint32_t p = (uint32_t)(*counter >> 3) << 3;
    p = p < 32 ? 32 : p > 65503 ? 65503 : p;
    int yes = decide(self, question, number, p);
    update(self, counter, yes, 7);
    return yes;
}

int baton_codec_ask_mixed(struct codec *self, enum codec_question question,
        int32_t number, int16_t *weights) {
    int logits[CODEC_MIXED];
    int sum = 0;
    for (unsigned i = 0; i < CODEC_MIXED; i++) {
        logits[i] = stretch(*self->mixed[i] >> 3);
        sum += weights[i] * logits[i];
    }
    int p = squash(sum >> 14);
    int yes = decide(self, question, number, (uint32_t)p);
    int miss = ((yes << 16) - p) * 20;
    for (unsigned i = 0; i < CODEC_MIXED; i++) {
        int step = (logits[i] * (miss >> 6) + (1 << 13)) >> 14;
        int weight = weights[i] + step;
        weights[i] = (int16_t)(weight > 32767    ? 32767
                               : weight < -32768 ? -32768
                                                 : weight);
        update(self, self->mixed[i], yes, question == CODEC_ASK_BIT ? 4 : 7);
    }
    return yes;
}

// ---- Numbers

// self->base, plus a number coded as adaptive Exp-Golomb: how many bits it has,
// then the bits after the first, of which the highest and the two lowest have
// counters of their own.
int32_t baton_codec_ask_number(struct codec *self, enum codec_question question,
        struct codec_golomb *golomb, bool is_signed) {
    int bits = 0;
    while (bits < (int)CODEC_EXPONENTS - 1
            && baton_codec_ask(self, question, CODEC_PART_EXPONENT << 8 | bits,
                    &golomb->exponent[bits])) {
        bits++;
    }
    uint32_t number = 1;
    for (int i = bits - 1; i >= 0; i--) {
        codec_counter *counter = i == bits - 1 ? &golomb->high[bits]
                                 : i == 1      ? &golomb->low[0]
                                 : i == 0      ? &golomb->low[1 + (number & 1)]
                                               : &golomb->middle;
        number = number << 1
                 | (unsigned)baton_codec_ask(
                         self, question, CODEC_PART_BIT << 8 | i, counter);
    }
    number--;
    if (is_signed && number != 0
            && baton_codec_ask(
                    self, question, CODEC_PART_SIGN << 8, &golomb->sign)) {
        number = 0 - number;
    }
    return (int32_t)((uint32_t)self->base + number);
}
