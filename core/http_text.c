// What the HTTP files share: ASCII in any case, decimal numbers.
// SPDX-License-Identifier: MIT
#include "http_text.h"

static unsigned lower(char c) {
    unsigned byte = (unsigned char)c;
    return byte - 'A' < 26 ? byte + ('a' - 'A') : byte;
}

const char *baton_http_text_after(const char *text, const char *prefix) {
    while (*prefix != 0) {
        if (lower(*text) != (unsigned char)*prefix) {
            return NULL;
        }
        text++;
        prefix++;
    }
    return text;
}

const char *baton_http_text_number(const char *text, uint32_t *out) {
    uint32_t value = 0;
    if (*text < '0' || *text > '9') {
        return NULL;
    }
    while (*text >= '0' && *text <= '9') {
        uint32_t digit = (uint32_t)(*text - '0');
        value = value > (UINT32_MAX - digit) / 10 ? UINT32_MAX
                                                  : value * 10 + digit;
        text++;
    }
    *out = value;
    return text;
}

bool baton_http_text_is_same(const char *a, const char *b, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (lower(a[i]) != lower(b[i])) {
            return false;
        }
    }
    return true;
}
