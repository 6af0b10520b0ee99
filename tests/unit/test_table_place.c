// Rows of a CSV in their places, and rows written as CSV.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton/error.h"
#include "baton/table.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ROWS            16u

struct parsed {
    int err;
    struct baton_partition rows[ROWS];
    size_t count;
    struct baton_table_fault fault;
};

// The text is copied to memory of its own length, so that a sanitizer sees a
// read past its end.
static void parse_bytes(struct parsed *out, const char *text, size_t len,
        const struct baton_table_options *options) {
    char *copy = malloc(len + (len == 0));
    memcpy(copy, text, len);
    out->err = baton_table_parse_csv(
            copy, len, options, out->rows, ROWS, &out->count, &out->fault);
    free(copy);
}

static void test_placing(void **state) {
    (void)state;
    static const char text[] =
            "a,data,nvs,,0x4000\n"
            "b,data,ota,,0x2000\n"
            "c,app,ota_0,,1M\n"    // up to the next 64 KiB
            "d,data,fat,,0x123\n"  // ends anywhere
            "e,64,1,,-2M\n"        // from the next 4 KiB to an address
            "f,app,ota_1,3M,-4M\n" // a gap before it
            "g,data,fat,,0\n"      // nothing
            "h,data,fat,,4K\n";    // begins where nothing did
    static const uint32_t places[][2] = {{0x9000, 0x4000}, {0xD000, 0x2000},
            {0x10000, 0x100000}, {0x110000, 0x123}, {0x111000, 0xEF000},
            {0x300000, 0x100000}, {0x400000, 0}, {0x400000, 0x1000}};
    struct parsed p;
    parse_bytes(&p, text, sizeof(text) - 1, NULL);
    assert_int_equal(p.err, 0);
    assert_int_equal(p.count, COUNT_OF(places));
    for (size_t i = 0; i < p.count; i++) {
        assert_int_equal(p.rows[i].addr, places[i][0]);
        assert_int_equal(p.rows[i].size_bytes, places[i][1]);
    }
}

static void test_placing_behind_the_table(void **state) {
    (void)state;
    static const uint32_t addrs[] = {0, 0x8000, 0x8001, 0x10000, 0xFFFFE000};
    for (size_t i = 0; i < COUNT_OF(addrs); i++) {
        struct baton_table_options options = {.table_addr = addrs[i]};
        uint32_t table_addr = addrs[i] != 0 ? addrs[i] : 0x8000;
        struct parsed p;
        parse_bytes(&p, "a,data,nvs,,0x4000", 18, &options);
        assert_int_equal(p.err, 0);
        assert_int_equal(p.rows[0].addr, (table_addr + 0x1FFF) & ~0xFFFu);
    }
    struct baton_table_options options = {.table_at_zero = true};
    struct parsed p;
    parse_bytes(&p, "a,data,nvs,,0x4000", 18, &options);
    assert_int_equal(p.rows[0].addr, 0x1000);
    options.table_at_zero = false;
    options.table_addr = 0xFFFFF000;
    parse_bytes(&p, "a,data,nvs,,0x4000", 18, &options);
    assert_int_equal(p.err, BATON_ERR_CSV_RANGE);
}

static void test_boot_chain(void **state) {
    (void)state;
    struct baton_table_options options = {.table_addr = 0x9000,
            .has_primary = true,
            .has_recovery = true,
            .primary_bootloader_addr = 0x1000,
            .recovery_bootloader_addr = 0x200000};
    static const char text[] = "bl,bootloader,primary,what,ever\n"
                               "pt,partition_table,primary,,\n"
                               "app,app,factory,,1M\n"
                               "bl2,bootloader,ota,,\n"
                               "pt2,partition_table,ota,,9M\n"
                               "rec,bootloader,recovery,N/A,N/A\n"
                               "x,bootloader,7,,\n";
    static const uint32_t places[][2] = {{0x1000, 0x8000}, {0x9000, 0x1000},
            {0x10000, 0x100000}, {0x110000, 0x8000}, {0x118000, 0x1000},
            {0x200000, 0x8000}, {0x208000, 0x8000}};
    struct parsed p;
    parse_bytes(&p, text, sizeof(text) - 1, &options);
    assert_int_equal(p.err, 0);
    assert_int_equal(p.count, COUNT_OF(places));
    for (size_t i = 0; i < p.count; i++) {
        assert_int_equal(p.rows[i].addr, places[i][0]);
        assert_int_equal(p.rows[i].size_bytes, places[i][1]);
    }
    assert_int_equal(baton_table_verify(p.rows, p.count, &options, NULL), 0);
    // The recovery bootloader takes its place among the others.
    options.recovery_bootloader_addr = 0x110000;
    parse_bytes(&p, text, sizeof(text) - 1, &options);
    assert_int_equal(p.err, BATON_ERR_TABLE_OVERLAP);
    assert_int_equal(p.fault.row, 5);
    assert_int_equal(p.fault.other_row, 4);
    assert_int_equal(p.rows[5].addr, 0x110000);
}

// An overlap names the row before it that takes part, or none for the table.
static void test_overlap_fault(void **state) {
    (void)state;
    struct baton_table_options options = {0};
    static const char text[] =
            "pt,partition_table,primary,,\na,1,1,0x1000,4K\n";
    struct parsed p;
    parse_bytes(&p, text, sizeof(text) - 1, &options);
    assert_int_equal(p.err, BATON_ERR_TABLE_OVERLAP);
    assert_int_equal(p.fault.row, 1);
    assert_int_equal(p.fault.other_row, -1);
    assert_int_equal(p.rows[1].addr, 0x1000);
}

static void test_capacity(void **state) {
    (void)state;
    static const char text[] = "# c\na,1,1,,4K\n\nb,1,1,,4K\nc,1,1,,4K";
    static const uint32_t lines[] = {2, 4, 5};
    for (size_t capacity = 0; capacity <= 3; capacity++) {
        struct baton_partition *rows = calloc(capacity + 1, sizeof(*rows));
        struct baton_table_fault fault;
        size_t count;
        int err = baton_table_parse_csv(
                text, sizeof(text) - 1, NULL, rows, capacity, &count, &fault);
        free(rows);
        assert_int_equal(err, capacity < 3 ? BATON_ERR_NOSPC : 0);
        assert_int_equal(count, capacity);
        assert_int_equal(fault.line, capacity < 3 ? lines[capacity] : 0);
        assert_int_equal(fault.row, capacity < 3 ? (int)capacity : -1);
    }
}

static struct baton_partition longest_row(void) {
    return (struct baton_partition){.type = 3,
            .subtype = 0xFF,
            .addr = 0xFFFFFFFF,
            .size_bytes = 0xFFFFFFFF,
            .label = "sixteen_letters_",
            .flags = 0xFFFFFFFF};
}

static void test_format(void **state) {
    (void)state;
    static const struct {
        struct baton_partition row;
        const char *text;
    } cases[] = {
            {{.type = 0,
                     .subtype = 0x10,
                     .addr = 0x10000,
                     .size_bytes = 0x180000,
                     .label = "ota_0"},
                    "ota_0,app,ota_0,0x10000,1536K,\n"},
            {{.type = 1,
                     .subtype = 2,
                     .addr = 0x9000,
                     .size_bytes = 0x4000,
                     .label = "nvs",
                     .flags = 1},
                    "nvs,data,nvs,0x9000,16K,encrypted\n"},
            {{.type = 1,
                     .subtype = 0x40,
                     .addr = 0,
                     .size_bytes = 0,
                     .label = "",
                     .flags = 2},
                    ",data,64,0x0,0M,readonly\n"},
            {{.type = 0x40,
                     .subtype = 0xFF,
                     .addr = 0xABCDEF,
                     .size_bytes = 0x401,
                     .label = "x",
                     .flags = 7},
                    "x,64,255,0xabcdef,0x401,encrypted:readonly\n"},
            {{.type = 2,
                     .subtype = 2,
                     .addr = 0x200000,
                     .size_bytes = 0x40000000,
                     .label = "r",
                     .flags = 0x80000000},
                    "r,bootloader,recovery,0x200000,1024M,\n"},
            {{.type = 3,
                     .subtype = 9,
                     .addr = 1,
                     .size_bytes = 0xFFF00000,
                     .label = "p"},
                    "p,partition_table,9,0x1,4095M,\n"},
            {{.type = 1,
                     .subtype = 0x90,
                     .addr = 1,
                     .size_bytes = 1024,
                     .label = "\xC3\xA9"},
                    "\xC3\xA9,data,tee_ota,0x1,1K,\n"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char out[256];
        char expected[256];
        size_t len;
        snprintf(expected, sizeof(expected),
                "# ESP-IDF Partition Table\n"
                "# Name, Type, SubType, Offset, Size, Flags\n%s",
                cases[i].text);
        assert_int_equal(baton_table_format_csv(
                                 &cases[i].row, 1, out, sizeof(out), &len),
                0);
        assert_string_equal(out, expected);
        assert_int_equal(len, strlen(expected));
    }
}

// Every capacity from nothing to enough.
static void test_format_capacity(void **state) {
    (void)state;
    struct baton_partition rows[3] = {
            longest_row(), longest_row(), longest_row()};
    char whole[BATON_TABLE_CSV_BYTES(3)];
    size_t whole_len;
    assert_int_equal(
            baton_table_format_csv(rows, 3, whole, sizeof(whole), &whole_len),
            0);
    for (size_t capacity = 0; capacity <= whole_len + 1; capacity++) {
        char *out = malloc(capacity + (capacity == 0));
        size_t len;
        int err = baton_table_format_csv(rows, 3, out, capacity, &len);
        assert_int_equal(err, capacity > whole_len ? 0 : BATON_ERR_NOSPC);
        if (capacity != 0) {
            assert_in_range(len, 0, capacity - 1);
            assert_int_equal(out[len], 0);
            assert_memory_equal(out, whole, len);
        }
        free(out);
    }
    size_t len;
    assert_int_equal(
            baton_table_format_csv(rows, 0, whole, sizeof(whole), &len), 0);
    assert_int_equal(len, 69);
}

// What was written reads back the same, for rows a CSV can hold.
static void test_format_and_parse(void **state) {
    (void)state;
    uint32_t seed = 1;
    for (unsigned round = 0; round < 5000; round++) {
        struct baton_partition rows[ROWS];
        struct parsed p;
        char text[BATON_TABLE_CSV_BYTES(ROWS)];
        size_t len;
        uint32_t at = 0x9000;
        memset(rows, 0, sizeof(rows));
        for (size_t i = 0; i < ROWS; i++) {
            seed = seed * 1664525u + 1013904223u;
            uint32_t bits = seed >> 8;
            rows[i].type = (uint8_t)(bits % 3 < 2 ? bits % 2 : 4 + bits % 252);
            rows[i].subtype = (uint8_t)(bits >> 7);
            rows[i].addr = at + (bits >> 9 & 0xFFF);
            rows[i].size_bytes = bits % 5 == 0 ? bits : (bits & 0xFF) << 12;
            rows[i].flags = bits >> 20 & 3;
            snprintf(rows[i].label, sizeof(rows[i].label), "p%zu_%x", i,
                    (unsigned)bits);
            at = rows[i].addr + rows[i].size_bytes;
        }
        assert_int_equal(
                baton_table_format_csv(rows, ROWS, text, sizeof(text), &len),
                0);
        parse_bytes(&p, text, len, NULL);
        if (p.err != 0 || p.count != ROWS
                || memcmp(p.rows, rows, sizeof(rows)) != 0) {
            fail_msg("round %u: %d at row %d\n%s", round, p.err, p.fault.row,
                    text);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_placing),
            cmocka_unit_test(test_placing_behind_the_table),
            cmocka_unit_test(test_boot_chain),
            cmocka_unit_test(test_overlap_fault),
            cmocka_unit_test(test_capacity),
            cmocka_unit_test(test_format),
            cmocka_unit_test(test_format_capacity),
            cmocka_unit_test(test_format_and_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
