// Fuzzes base64url: what decodes is the one text of its bytes.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "baton/base64.h"
#include "baton/error.h"
#include "require.h"

#define BYTES_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_decode(const uint8_t *data, size_t size) {
    static uint8_t out[BYTES_MAX];
    static char again[BATON_BASE64_CHARS(BYTES_MAX) + 1];
    size_t len = 0;
    int err = baton_base64_decode(
            (const char *)data, size, out, sizeof(out), &len);
    require(err == 0 || err == BATON_ERR_JWS_FORMAT || err == BATON_ERR_NOSPC,
            "the status is one of three");
    if (err != 0) {
        return;
    }
    baton_base64_encode(out, len, again);
    require(strlen(again) == size && memcmp(again, data, size) == 0,
            "the text is the one its bytes have");
}

static void check_encode(const uint8_t *data, size_t size) {
    static char text[BATON_BASE64_CHARS(BYTES_MAX) + 1];
    size_t len = 0;
    baton_base64_encode(data, size, text);
    require(strlen(text) == BATON_BASE64_CHARS(size), "the length is known");
    int err = baton_base64_decode(text, strlen(text), text, size, &len);
    require(err == 0 && len == size && memcmp(text, data, size) == 0,
            "what is encoded comes back, in place");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size <= BYTES_MAX) {
        check_decode(data, size);
        check_encode(data, size);
    }
    return 0;
}
