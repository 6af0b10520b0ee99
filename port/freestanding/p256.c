// ECDSA verification on P-256 in little code: no heap, no table of multiples.
// SPDX-License-Identifier: MIT
//
// Numbers are eight 32-bit words, the lowest first, always below their modulus.
// Products are Montgomery's: multiply() gives a * b / 2^256, and a number
// x is kept as x * 2^256 where it takes part in many of them.
//
// Points are projective (X : Y : Z) and added by the complete formulas of
// Renes, Costello and Batina (EUROCRYPT 2016) for a = -3, which hold for every
// pair of points of the curve: equal, opposite, infinite. So no case of an
// addition is special, none can be forgotten, and doubling is adding a point to
// itself. The formulas are kept as tables of steps over fifteen registers, as
// calls they would be ten times as large.
#include "baton-freestanding/p256.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "baton/error.h"

enum {
    WORDS = 8,
    BITS = 256,
};

struct modulus {
    uint32_t word[WORDS];
    uint32_t square[WORDS]; // 2^512 below it: brings a number into the form
    uint32_t inverse;       // -1 / word[0], of 2^32
};

struct point {
    uint32_t x[WORDS];
    uint32_t y[WORDS];
    uint32_t z[WORDS];
};

static const struct modulus field = {
        {0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0, 0, 0, 1, 0xFFFFFFFF},
        {3, 0, 0xFFFFFFFF, 0xFFFFFFFB, 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD, 4},
        1,
};

static const struct modulus order = {
        {0xFC632551, 0xF3B9CAC2, 0xA7179E84, 0xBCE6FAAD, 0xFFFFFFFF, 0xFFFFFFFF,
                0, 0xFFFFFFFF},
        {0xBE79EEA2, 0x83244C95, 0x49BD6FA6, 0x4699799C, 0x2B6BEC59, 0x2845B239,
                0xF3D95620, 0x66E12D94},
        0xEE00BC4F,
};

// The curve's b and its base point, times 2^256.
static const uint32_t curve_b[WORDS] = {0x29C4BDDF, 0xD89CDF62, 0x78843090,
        0xACF005CD, 0xF7212ED6, 0xE5A220AB, 0x04874834, 0xDC30061D};

static const struct point base = {
        {0x18A9143C, 0x79E730D4, 0x5FEDB601, 0x75BA95FC, 0x77622510, 0x79FB732B,
                0xA53755C6, 0x18905F76},
        {0xCE95560A, 0xDDF25357, 0xBA19E45C, 0x8B4AB8E4, 0xDD21F325, 0xD2E88688,
                0x25885D85, 0x8571FF18},
        {1, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFE, 0},
};

// Adds, and returns the carry. Any of the three may be the same.
static uint32_t add(uint32_t *out, const uint32_t *a, const uint32_t *b) {
    uint32_t carry = 0;
    for (size_t i = 0; i < WORDS; i++) {
        uint64_t sum = (uint64_t)a[i] + b[i] + carry;
        out[i] = (uint32_t)sum;
        carry = (uint32_t)(sum >> 32);
    }
    return carry;
}

// Subtracts, and returns the borrow. Any of the three may be the same.
static uint32_t subtract(uint32_t *out, const uint32_t *a, const uint32_t *b) {
    uint32_t borrow = 0;
    for (size_t i = 0; i < WORDS; i++) {
        uint64_t difference = (uint64_t)a[i] - b[i] - borrow;
        out[i] = (uint32_t)difference;
        borrow = (uint32_t)(difference >> 32) & 1u;
    }
    return borrow;
}

// Brings a number with this carry, below twice the modulus, below it.
static void reduce(uint32_t *number, uint32_t carry, const struct modulus *m) {
    uint32_t less[WORDS];
    if (carry >= subtract(less, number, m->word)) {
        memcpy(number, less, sizeof(less));
    }
}

// out = a * b / 2^256; below the modulus where one of a and b is.
static void multiply(uint32_t *out, const uint32_t *a, const uint32_t *b,
        const struct modulus *m) {
    uint32_t sum[WORDS] = {0};
    uint32_t top = 0;
    for (size_t i = 0; i < WORDS; i++) {
        // Adds a * b[i], and the multiple of the modulus that makes the lowest
        // word 0, which is then dropped.
        uint64_t high = 0;
        uint64_t multiple = 0;
        uint32_t factor = 0;
        for (size_t j = 0; j < WORDS; j++) {
            high += (uint64_t)a[j] * b[i] + sum[j];
            if (j == 0) {
                factor = (uint32_t)high * m->inverse;
            }
            multiple += (uint64_t)factor * m->word[j] + (uint32_t)high;
            if (j != 0) {
                sum[j - 1] = (uint32_t)multiple;
            }
            high >>= 32;
            multiple >>= 32;
        }
        high += multiple + top;
        sum[WORDS - 1] = (uint32_t)high;
        top = (uint32_t)(high >> 32);
    }
    reduce(sum, top, m);
    memcpy(out, sum, sizeof(sum));
}

static bool is_zero(const uint32_t *number) {
    uint32_t bits = 0;
    for (size_t i = 0; i < WORDS; i++) {
        bits |= number[i];
    }
    return bits == 0;
}

static bool is_below(const uint32_t *number, const struct modulus *m) {
    uint32_t unused[WORDS];
    return subtract(unused, number, m->word) != 0;
}

static uint32_t bit(const uint32_t *number, uint32_t index) {
    return number[index / 32u] >> (index % 32u) & 1u;
}

static void load(uint32_t *out, const uint8_t *raw) {
    for (size_t i = WORDS; i-- > 0; raw += 4) {
        out[i] = (uint32_t)raw[0] << 24 | (uint32_t)raw[1] << 16
                 | (uint32_t)raw[2] << 8 | raw[3];
    }
}

// ---- Points --------------------------------------------------------------

enum { X1, Y1, Z1, X2, Y2, Z2, X3, Y3, Z3, T0, T1, T2, T3, T4, B, REGISTERS };

struct machine {
    uint32_t reg[REGISTERS][WORDS];
};

#define STEP(op, out, a, b)                                                    \
    (uint16_t)((unsigned)(op) << 12 | (unsigned)(out) << 8                     \
               | (unsigned)(a) << 4 | (unsigned)(b))
#define MUL(out, a, b) STEP(1, out, a, b)
#define ADD(out, a, b) STEP(2, out, a, b)
#define SUB(out, a, b) STEP(3, out, a, b)

// (X3 : Y3 : Z3) = (X1 : Y1 : Z1) + (X2 : Y2 : Z2)
static const uint16_t addition[] = {MUL(T0, X1, X2), MUL(T1, Y1, Y2),
        MUL(T2, Z1, Z2),
        // T3 = X1 Y2 + X2 Y1, T4 = Y1 Z2 + Y2 Z1, Y3 = X1 Z2 + X2 Z1
        ADD(T3, X1, Y1), ADD(T4, X2, Y2), MUL(T3, T3, T4), ADD(T4, T0, T1),
        SUB(T3, T3, T4), ADD(T4, Y1, Z1), ADD(X3, Y2, Z2), MUL(T4, T4, X3),
        ADD(X3, T1, T2), SUB(T4, T4, X3), ADD(X3, X1, Z1), ADD(Y3, X2, Z2),
        MUL(X3, X3, Y3), ADD(Y3, T0, T2), SUB(Y3, X3, Y3),
        // X3, Z3 = Y1 Y2 +- 3 (X1 Z2 + X2 Z1 - b Z1 Z2)
        MUL(Z3, B, T2), SUB(X3, Y3, Z3), ADD(Z3, X3, X3), ADD(X3, X3, Z3),
        SUB(Z3, T1, X3), ADD(X3, T1, X3),
        // Y3 = 3 (b (X1 Z2 + X2 Z1) - 3 Z1 Z2 - X1 X2), T0 = 3 (X1 X2 - Z1 Z2)
        MUL(Y3, B, Y3), ADD(T1, T2, T2), ADD(T2, T1, T2), SUB(Y3, Y3, T2),
        SUB(Y3, Y3, T0), ADD(T1, Y3, Y3), ADD(Y3, T1, Y3), ADD(T1, T0, T0),
        ADD(T0, T1, T0), SUB(T0, T0, T2),
        // The sum
        MUL(T1, T4, Y3), MUL(T2, T0, Y3), MUL(Y3, X3, Z3), ADD(Y3, Y3, T2),
        MUL(X3, T3, X3), SUB(X3, X3, T1), MUL(Z3, T4, Z3), MUL(T1, T3, T0),
        ADD(Z3, Z3, T1), 0};

// T0 = X2^3 - 3 X2 + b - Y2^2, for Z2 = 1: 0 on the curve
static const uint16_t equation[] = {MUL(T0, X2, X2), ADD(T1, Z2, Z2),
        ADD(T1, T1, Z2), SUB(T0, T0, T1), MUL(T0, T0, X2), ADD(T0, T0, B),
        MUL(T1, Y2, Y2), SUB(T0, T0, T1), 0};

static void run(struct machine *self, const uint16_t *step) {
    for (; *step != 0; step++) {
        uint32_t *out = self->reg[*step >> 8 & 15u];
        const uint32_t *a = self->reg[*step >> 4 & 15u];
        const uint32_t *b = self->reg[*step & 15u];
        switch (*step >> 12) {
        case 1:
            multiply(out, a, b, &field);
            break;
        case 2:
            reduce(out, add(out, a, b), &field);
            break;
        default:
            if (subtract(out, a, b)) {
                add(out, out, field.word);
            }
        }
    }
}

// Adds a point to the first one. It may be the first one itself.
static void add_point(struct machine *self, const void *point) {
    memcpy(self->reg[X2], point, sizeof(struct point));
    run(self, addition);
    memcpy(self->reg[X1], self->reg[X3], sizeof(struct point));
}

// Loads the key's point; false where it is none of the curve.
static bool load_key(
        struct machine *self, struct point *key, const uint8_t *raw) {
    load(key->x, raw);
    load(key->y, raw + 32);
    if (!is_below(key->x, &field) || !is_below(key->y, &field)) {
        return false;
    }
    multiply(key->x, key->x, field.square, &field);
    multiply(key->y, key->y, field.square, &field);
    memcpy(key->z, base.z, sizeof(key->z));
    memcpy(self->reg[X2], key, sizeof(*key));
    run(self, equation);
    return is_zero(self->reg[T0]);
}

// The first point becomes u1 * base + u2 * key, both from the highest bit down
// at once.
static void combine(struct machine *self, const struct point *key,
        const uint32_t *u1, const uint32_t *u2) {
    struct point both;
    memcpy(self->reg[X1], key, sizeof(*key));
    add_point(self, &base);
    memcpy(&both, self->reg[X1], sizeof(both));
    const struct point *const choice[] = {NULL, &base, key, &both};
    memset(self->reg[X1], 0, sizeof(both)); // (0 : 1 : 0), infinity
    self->reg[Y1][0] = 1;
    for (uint32_t i = BITS; i-- > 0;) {
        add_point(self, self->reg[X1]);
        uint32_t which = bit(u1, i) | bit(u2, i) << 1;
        if (which != 0) {
            add_point(self, choice[which]);
        }
    }
}

// Whether the first point is finite and its x the field's `number`.
static bool has_x(struct machine *self, const uint32_t *number) {
    uint32_t *product = self->reg[T0];
    multiply(product, number, field.square, &field);
    multiply(product, product, self->reg[Z1], &field);
    return memcmp(product, self->reg[X1], sizeof(self->reg[X1])) == 0
           && !is_zero(self->reg[Z1]);
}

// ---- Signatures ----------------------------------------------------------

// number = 2^256 / number, for the order: number^(order - 2), in Montgomery's
// form. The registers are scratch.
static void invert(struct machine *self, uint32_t *number) {
    uint32_t *power = self->reg[T0];
    uint32_t *form = self->reg[T1];
    uint32_t *exponent = self->reg[T2];
    memcpy(exponent, order.word, sizeof(order.word));
    exponent[0] -= 2;
    multiply(form, number, order.square, &order);
    memcpy(power, form, sizeof(order.word));
    for (uint32_t i = BITS - 1; i-- > 0;) { // the highest bit is done
        multiply(power, power, power, &order);
        if (bit(exponent, i)) {
            multiply(power, power, form, &order);
        }
    }
    memcpy(number, power, sizeof(order.word));
}

static bool is_in_order(const uint32_t *number) {
    return !is_zero(number) && is_below(number, &order);
}

// x of the sum was reduced by the order when r was made of it; the field is a
// little larger, so that two x give the same r where the larger one exists.
static bool is_r(struct machine *self, uint32_t *r) {
    return has_x(self, r)
           || (add(r, r, order.word) == 0 && is_below(r, &field)
                   && has_x(self, r));
}

int baton_p256_verify(const uint8_t public_key[BATON_P256_KEY_BYTES],
        const uint8_t digest[BATON_SHA256_BYTES],
        const uint8_t signature[BATON_P256_SIGNATURE_BYTES]) {
    struct machine machine = {0};
    struct point key;
    uint32_t r[WORDS];
    uint32_t u1[WORDS];
    uint32_t u2[WORDS];
    load(r, signature);
    load(u2, signature + 32);
    if (!is_in_order(r) || !is_in_order(u2)) {
        return BATON_ERR_SIGNATURE;
    }
    memcpy(machine.reg[B], curve_b, sizeof(curve_b));
    invert(&machine, u2);
    if (!load_key(&machine, &key, public_key)) {
        return BATON_ERR_SIGNATURE;
    }
    load(u1, digest); // not below the order, but u2 is
    multiply(u1, u1, u2, &order);
    multiply(u2, r, u2, &order);
    combine(&machine, &key, u1, u2);
    return is_r(&machine, r) ? 0 : BATON_ERR_SIGNATURE;
}

int baton_p256_callback(void *context, const uint8_t key[BATON_P256_KEY_BYTES],
        const uint8_t digest[BATON_SHA256_BYTES],
        const uint8_t signature[BATON_P256_SIGNATURE_BYTES]) {
    (void)context;
    return baton_p256_verify(key, digest, signature);
}
