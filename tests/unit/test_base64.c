// base64url: vectors, round trips, and that each text is the only one.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "baton/base64.h"
#include "baton/error.h"

static int decode(const char *text, uint8_t *out, size_t *len) {
    return baton_base64_decode(text, strlen(text), out, 64, len);
}

static void test_vectors(void **state) {
    (void)state;
    // RFC 4648 section 10 without its padding, and letters 62 and 63.
    static const char *const vectors[][2] = {{"", ""}, {"f", "Zg"},
            {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"},
            {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"},
            {"\xFB\xEF\xFF", "--__"}};
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        char text[16];
        uint8_t back[64];
        size_t len = 99;
        size_t count = strlen(vectors[i][0]);
        baton_base64_encode(vectors[i][0], count, text);
        assert_string_equal(text, vectors[i][1]);
        assert_int_equal(strlen(text), BATON_BASE64_CHARS(count));
        assert_int_equal(decode(text, back, &len), 0);
        assert_int_equal(len, count);
        assert_memory_equal(back, vectors[i][0], count);
    }
}

// Of all texts of 1 to 3 bytes' worth of any characters, exactly those are
// taken that an encoder makes, and they come back the same.
static void check_all(size_t chars, unsigned long expected) {
    unsigned long taken = 0;
    unsigned long end = 1ul << (8 * chars);
    for (unsigned long n = 0; n < end; n++) {
        char text[4] = {(char)(n & 0xFF), (char)(n >> 8 & 0xFF),
                (char)(n >> 16 & 0xFF)};
        uint8_t out[4];
        char again[8];
        size_t len;
        int err = baton_base64_decode(text, chars, out, sizeof(out), &len);
        if (err == 0) {
            taken++;
            baton_base64_encode(out, len, again);
            assert_memory_equal(again, text, chars);
        } else {
            assert_int_equal(err, BATON_ERR_JWS_FORMAT);
        }
    }
    assert_int_equal(taken, expected);
}

static void test_only_canonical(void **state) {
    (void)state;
    check_all(1, 0);
    check_all(2, 1ul << 8);
    check_all(3, 1ul << 16);
}

static void test_refusals(void **state) {
    (void)state;
    static const char *const wrong[] = {"A", "AAAAA", "Zg==", "Zm8=", "Zh",
            "Zm9", "Zm9v Yg", "Zm9v\n", "+/+/", "Zg.", "Z\x80", "ZZZZZ"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t out[64];
        size_t len;
        assert_int_equal(decode(wrong[i], out, &len), BATON_ERR_JWS_FORMAT);
    }
    uint8_t small[3];
    size_t len;
    assert_int_equal(
            baton_base64_decode("Zm9v", 4, small, 2, &len), BATON_ERR_NOSPC);
    assert_int_equal(baton_base64_decode("Zm9v", 4, small, 3, &len), 0);
}

static void test_in_place(void **state) {
    (void)state;
    for (size_t count = 0; count <= 48; count++) {
        uint8_t data[48];
        char buf[80];
        size_t len;
        for (size_t i = 0; i < count; i++) {
            data[i] = (uint8_t)(i * 91 + count);
        }
        baton_base64_encode(data, count, buf);
        assert_int_equal(
                baton_base64_decode(buf, strlen(buf), buf, sizeof(buf), &len),
                0);
        assert_int_equal(len, count);
        assert_memory_equal(buf, data, count);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_vectors),
            cmocka_unit_test(test_only_canonical),
            cmocka_unit_test(test_refusals),
            cmocka_unit_test(test_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
