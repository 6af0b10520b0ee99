// Finding a firmware's version, date and board in its bytes.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton/names.h"

static struct baton_names names;

static void scan(const void *data, size_t len, size_t step) {
    baton_names_begin(&names);
    for (size_t at = 0; at < len; at += step) {
        size_t count = len - at < step ? len - at : step;
        baton_names_push(&names, (const uint8_t *)data + at, count);
    }
    baton_names_finish(&names);
}

static void expect(const char *system, const char *version, const char *date,
        const char *board, const char *chip) {
    assert_string_equal(names.system, system);
    assert_string_equal(names.version, version);
    assert_string_equal(names.date, date);
    assert_string_equal(names.board, board);
    assert_string_equal(names.chip, chip);
}

struct text {
    const char *data;
    size_t len;
    const char *want[5];
};

#define TEXT(s) s, sizeof(s) - 1

static const struct text texts[] = {
        {TEXT("v1.25.0 on 2025-04-15"),
                {"MicroPython", "v1.25.0", "2025-04-15", "", ""}},
        {TEXT("\0\x01MicroPython v1.25.0 on 2025-04-15; Generic ESP32 module "
              "with ESP32\r\n"),
                {"MicroPython", "v1.25.0", "2025-04-15", "Generic ESP32 module",
                        "ESP32"}},
        {TEXT("3.4.0; MicroPython v1.27.0 on 2025-12-09\0; ESP32C3 module "
              "with ESP32C3\0"),
                {"MicroPython", "v1.27.0", "2025-12-09", "ESP32C3 module",
                        "ESP32C3"}},
        {TEXT("x\0Generic ESP32 module with OTA with ESP32\0"
              "v1.19.1-966-g05bb26010 on 2023-03-14\0"),
                {"MicroPython", "v1.19.1-966-g05bb26010", "2023-03-14",
                        "Generic ESP32 module with OTA", "ESP32"}},
        {TEXT("MicroPython-1.25.0-xtensa-IDFv5.2.2-with-newlib4.3.0"),
                {"MicroPython", "v1.25.0", "", "", ""}},
        {TEXT("MicroPython-1.26.0-preview-riscv32-IDFv5.4.1"),
                {"MicroPython", "v1.26.0-preview", "", "", ""}},
        {TEXT("MicroPython-1.25.0-xtensa-IDFv5.2.2\0v1.26.1 on 2025-09-11\0"
              "MicroPython v1.26.2 on 2025-09-12\0v1.27.0 on 2025-12-09"),
                {"MicroPython", "v1.26.2", "2025-09-12", "", ""}},
        {TEXT("Adafruit CircuitPython 8.2.6 on 2023-09-12; Adafruit Feather "
              "ESP32S3 with ESP32S3\r\n"),
                {"CircuitPython", "8.2.6", "2023-09-12",
                        "Adafruit Feather ESP32S3", "ESP32S3"}},
        {TEXT("MicroPython-1.25.0-xtensa-IDFv5.2.2\0MicroPython-1.26.0-riscv"),
                {"MicroPython", "v1.25.0", "", "", ""}},
        {TEXT("v1.25.0 on 2025-04-15\0v1.26.0 on 2025-08-09"),
                {"MicroPython", "v1.25.0", "2025-04-15", "", ""}},
        // What looks alike and is not.
        {TEXT("8.2.6 on 2023-09-12"), {"", "", "", "", ""}},
        {TEXT("version on 2023-09-12"), {"", "", "", "", ""}},
        {TEXT("v1.2.3 on 2023-09-1"), {"", "", "", "", ""}},
        {TEXT("v1.2.3 on 2023-09-123"), {"", "", "", "", ""}},
        {TEXT("v1.2.3 on 2023/09/12"), {"", "", "", "", ""}},
        {TEXT(" on 2023-09-12"), {"", "", "", "", ""}},
        {TEXT("v1.2.3 on\x01"
              "2023-09-12"),
                {"", "", "", "", ""}},
        {TEXT("cannot join %s with ESP32"), {"", "", "", "", ""}},
        {TEXT("; a text with two words"), {"", "", "", "", ""}},
        {TEXT("MicroPython-x.y"), {"", "", "", "", ""}},
        {TEXT("v123456789012345678901234567890123456789012345678901 on "
              "2023-09-12"),
                {"", "", "", "", ""}},
};

static void test_texts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        scan(texts[i].data, texts[i].len, 1000);
        const char *const *want = texts[i].want;
        if (strcmp(names.version, want[1]) != 0) {
            fail_msg("%s: '%s'", texts[i].data, names.version);
        }
        expect(want[0], want[1], want[2], want[3], want[4]);
    }
}

// In a long line of text, at every offset, in any chunks.
static void test_long_lines(void **state) {
    (void)state;
    static const size_t steps[] = {1, 3, 7, 64, 255, 256, 257, 5000};
    static const char banner[] = " MicroPython v1.25.0 on 2025-04-15; Generic "
                                 "ESP32 module with ESP32";
    size_t len = sizeof(banner) - 1;
    char line[2000];
    for (size_t at = 0; at < 1200; at += at < 600 ? 1 : 37) {
        memset(line, 'a', sizeof(line));
        memcpy(line + at, banner, len);
        line[at + len] = 0;
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
            scan(line, sizeof(line), steps[i]);
            expect("MicroPython", "v1.25.0", "2025-04-15",
                    "Generic ESP32 module", "ESP32");
        }
    }
}

// A version that is too long is not taken, also where its beginning was dropped
// from the buffer.
static void test_cut_line(void **state) {
    (void)state;
    char line[1000];
    for (size_t at = 0; at < 400; at++) {
        memset(line, 'x', sizeof(line));
        line[at] = ' ';
        for (size_t i = 1; i <= 60; i += 2) {
            memcpy(line + at + i, "v1", 2);
        }
        memcpy(line + at + 61, " on 2025-04-15 ", 15);
        scan(line, sizeof(line), 1000);
        assert_string_equal(names.version, "");
    }
}

// The longest fields that fit, and one byte more.
static void test_field_sizes(void **state) {
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        char line[256];
        char version[64] = "v1";
        char board[80];
        char chip[32];
        memset(version + 2, '0', BATON_NAMES_VERSION_BYTES - 3 + more);
        version[BATON_NAMES_VERSION_BYTES - 1 + more] = 0;
        snprintf(line, sizeof(line), "%s on 2025-04-15", version);
        scan(line, strlen(line), 1000);
        assert_string_equal(names.version, more == 0 ? version : "");
        for (int field = 0; field < 2; field++) {
            size_t board_more = field == 0 ? more : 0;
            size_t chip_more = field == 1 ? more : 0;
            memset(board, 'b', sizeof(board));
            board[BATON_NAMES_BOARD_BYTES - 1 + board_more] = 0;
            memset(chip, 'C', sizeof(chip));
            chip[BATON_NAMES_CHIP_BYTES - 1 + chip_more] = 0;
            snprintf(line, sizeof(line), "; %s with %s", board, chip);
            scan(line, strlen(line), 1000);
            assert_string_equal(names.board, more == 0 ? board : "");
            assert_string_equal(names.chip, more == 0 ? chip : "");
        }
    }
    scan("; board with ", 13, 1000);
    assert_string_equal(names.board, "");
    scan(";  with ESP32", 13, 1000);
    assert_string_equal(names.board, "");
}

static void test_nothing(void **state) {
    (void)state;
    static const uint8_t binary[5000] = {1, 2, 3};
    scan("", 0, 1);
    expect("", "", "", "", "");
    scan(binary, sizeof(binary), 999);
    expect("", "", "", "", "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_texts),
            cmocka_unit_test(test_long_lines),
            cmocka_unit_test(test_cut_line),
            cmocka_unit_test(test_field_sizes),
            cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
