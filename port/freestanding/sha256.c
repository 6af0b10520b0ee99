// SHA-256's compression function (FIPS 180-4, section 6.2).
// SPDX-License-Identifier: MIT
#include "baton-freestanding/crypto.h"

// The first 32 bits of the fractions of the cube roots of the first 64 primes.
static const uint32_t round_words[64] = {
        0x428A2F98u,
        0x71374491u,
        0xB5C0FBCFu,
        0xE9B5DBA5u,
        0x3956C25Bu,
        0x59F111F1u,
        0x923F82A4u,
        0xAB1C5ED5u,
        0xD807AA98u,
        0x12835B01u,
        0x243185BEu,
        0x550C7DC3u,
        0x72BE5D74u,
        0x80DEB1FEu,
        0x9BDC06A7u,
        0xC19BF174u,
        0xE49B69C1u,
        0xEFBE4786u,
        0x0FC19DC6u,
        0x240CA1CCu,
        0x2DE92C6Fu,
        0x4A7484AAu,
        0x5CB0A9DCu,
        0x76F988DAu,
        0x983E5152u,
        0xA831C66Du,
        0xB00327C8u,
        0xBF597FC7u,
        0xC6E00BF3u,
        0xD5A79147u,
        0x06CA6351u,
        0x14292967u,
        0x27B70A85u,
        0x2E1B2138u,
        0x4D2C6DFCu,
        0x53380D13u,
        0x650A7354u,
        0x766A0ABBu,
        0x81C2C92Eu,
        0x92722C85u,
        0xA2BFE8A1u,
        0xA81A664Bu,
        0xC24B8B70u,
        0xC76C51A3u,
        0xD192E819u,
        0xD6990624u,
        0xF40E3585u,
        0x106AA070u,
        0x19A4C116u,
        0x1E376C08u,
        0x2748774Cu,
        0x34B0BCB5u,
        0x391C0CB3u,
        0x4ED8AA4Au,
        0x5B9CCA4Fu,
        0x682E6FF3u,
        0x748F82EEu,
        0x78A5636Fu,
        0x84C87814u,
        0x8CC70208u,
        0x90BEFFFAu,
        0xA4506CEBu,
        0xBEF9A3F7u,
        0xC67178F2u,
};

static uint32_t rotate(uint32_t x, unsigned n) {
    return x >> n | x << (32u - n);
}

static uint32_t get_be32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8
           | p[3];
}

// The schedule's next word takes the place of the one 16 rounds before.
static uint32_t extend(uint32_t schedule[16], unsigned round) {
    uint32_t before2 = schedule[(round + 14u) % 16u];
    uint32_t before15 = schedule[(round + 1u) % 16u];
    uint32_t s1 = rotate(before2, 17) ^ rotate(before2, 19) ^ before2 >> 10;
    uint32_t s0 = rotate(before15, 7) ^ rotate(before15, 18) ^ before15 >> 3;
    return schedule[round % 16u] += s1 + s0 + schedule[(round + 9u) % 16u];
}

void baton_sha256_compress(
        uint32_t words[8], const uint8_t block[BATON_DIGEST_BLOCK_BYTES]) {
    uint32_t schedule[16];
    uint32_t v[8]; // a ... h
    for (unsigned i = 0; i < 8; i++) {
        v[i] = words[i];
    }
    for (unsigned i = 0; i < 64; i++) {
        uint32_t word = i < 16 ? schedule[i] = get_be32(block + 4u * i)
                               : extend(schedule, i);
        uint32_t a = v[0];
        uint32_t e = v[4];
        uint32_t t1 = v[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25))
                      + ((e & v[5]) ^ (~e & v[6])) + round_words[i] + word;
        uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22))
                      + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        for (unsigned k = 7; k > 0; k--) {
            v[k] = v[k - 1];
        }
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (unsigned i = 0; i < 8; i++) {
        words[i] += v[i];
    }
}
