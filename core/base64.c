// base64url without padding, strictly.
// SPDX-License-Identifier: MIT
#include "baton/base64.h"

#include "baton/error.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz0123456789-_";

void baton_base64_encode(const void *data, size_t len, char *out) {
    const uint8_t *bytes = data;
    uint32_t bits = 0;
    unsigned count = 0; // of bits that wait
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | bytes[i];
        for (count += 8; count >= 6; count -= 6) {
            *out++ = alphabet[bits >> (count - 6) & 63u];
        }
    }
    if (count > 0) {
        *out++ = alphabet[bits << (6 - count) & 63u];
    }
    *out = 0;
}

// 64 for a letter that is none of the alphabet.
static uint32_t value_of(char letter) {
    if (letter >= 'A' && letter <= 'Z') {
        return (uint32_t)(letter - 'A');
    }
    if (letter >= 'a' && letter <= 'z') {
        return (uint32_t)(letter - 'a') + 26;
    }
    if (letter >= '0' && letter <= '9') {
        return (uint32_t)(letter - '0') + 52;
    }
    return letter == '-' ? 62 : letter == '_' ? 63 : 64;
}

int baton_base64_decode(const char *text, size_t len, void *out,
        size_t capacity, size_t *out_len) {
    if (len % 4 == 1) {
        return BATON_ERR_JWS_FORMAT;
    }
    if (len / 4 * 3 + len % 4 * 3 / 4 > capacity) {
        return BATON_ERR_NOSPC;
    }
    uint8_t *bytes = out;
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < len; i++) {
        uint32_t value = value_of(text[i]);
        if (value > 63) {
            return BATON_ERR_JWS_FORMAT;
        }
        bits = bits << 6 | value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            *bytes++ = (uint8_t)(bits >> count);
        }
    }
    if ((bits & ((1u << count) - 1)) != 0) {
        return BATON_ERR_JWS_FORMAT;
    }
    *out_len = (size_t)(bytes - (uint8_t *)out);
    return 0;
}
