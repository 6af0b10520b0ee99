// MD5's compression function (RFC 1321, section 3.4).
// SPDX-License-Identifier: MIT
#include "baton-freestanding/crypto.h"

// The whole part of 2^32 times |sin(i + 1)|.
static const uint32_t round_words[64] = {
        0xD76AA478u,
        0xE8C7B756u,
        0x242070DBu,
        0xC1BDCEEEu,
        0xF57C0FAFu,
        0x4787C62Au,
        0xA8304613u,
        0xFD469501u,
        0x698098D8u,
        0x8B44F7AFu,
        0xFFFF5BB1u,
        0x895CD7BEu,
        0x6B901122u,
        0xFD987193u,
        0xA679438Eu,
        0x49B40821u,
        0xF61E2562u,
        0xC040B340u,
        0x265E5A51u,
        0xE9B6C7AAu,
        0xD62F105Du,
        0x02441453u,
        0xD8A1E681u,
        0xE7D3FBC8u,
        0x21E1CDE6u,
        0xC33707D6u,
        0xF4D50D87u,
        0x455A14EDu,
        0xA9E3E905u,
        0xFCEFA3F8u,
        0x676F02D9u,
        0x8D2A4C8Au,
        0xFFFA3942u,
        0x8771F681u,
        0x6D9D6122u,
        0xFDE5380Cu,
        0xA4BEEA44u,
        0x4BDECFA9u,
        0xF6BB4B60u,
        0xBEBFBC70u,
        0x289B7EC6u,
        0xEAA127FAu,
        0xD4EF3085u,
        0x04881D05u,
        0xD9D4D039u,
        0xE6DB99E5u,
        0x1FA27CF8u,
        0xC4AC5665u,
        0xF4292244u,
        0x432AFF97u,
        0xAB9423A7u,
        0xFC93A039u,
        0x655B59C3u,
        0x8F0CCC92u,
        0xFFEFF47Du,
        0x85845DD1u,
        0x6FA87E4Fu,
        0xFE2CE6E0u,
        0xA3014314u,
        0x4E0811A1u,
        0xF7537E82u,
        0xBD3AF235u,
        0x2AD7D2BBu,
        0xEB86D391u,
};

static uint32_t get_le32(const uint8_t *p) {
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8
           | p[0];
}

// The round's function of b, c and d, and which word of the block goes in.
static uint32_t mix(const uint32_t v[4], unsigned round, unsigned *word) {
    uint32_t b = v[1];
    uint32_t c = v[2];
    uint32_t d = v[3];
    switch (round / 16u) {
    case 0:
        *word = round;
        return (b & c) | (~b & d);
    case 1:
        *word = 5u * round + 1u;
        return (d & b) | (~d & c);
    case 2:
        *word = 3u * round + 5u;
        return b ^ c ^ d;
    default:
        *word = 7u * round;
        return c ^ (b | ~d);
    }
}

void baton_md5_compress(
        uint32_t words[8], const uint8_t block[BATON_DIGEST_BLOCK_BYTES]) {
    static const uint8_t shifts[4][4] = {
            {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    uint32_t v[4] = {words[0], words[1], words[2], words[3]};
    for (unsigned i = 0; i < 64; i++) {
        unsigned word;
        uint32_t sum = v[0] + mix(v, i, &word) + round_words[i];
        sum += get_le32(block + 4u * (word % 16u));
        unsigned n = shifts[i / 16u][i % 4u];
        v[0] = v[3];
        v[3] = v[2];
        v[2] = v[1];
        v[1] += sum << n | sum >> (32u - n);
    }
    for (unsigned i = 0; i < 4; i++) {
        words[i] += v[i];
    }
}
