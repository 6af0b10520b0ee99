// The rules a partition table has to keep.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "baton/error.h"
#include "baton/table.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct baton_partition make_row(uint8_t type, uint8_t subtype,
        uint32_t addr, uint32_t size_bytes, const char *label) {
    struct baton_partition row = {.type = type,
            .subtype = subtype,
            .addr = addr,
            .size_bytes = size_bytes};
    snprintf(row.label, sizeof(row.label), "%s", label);
    return row;
}

// A table for updates, sound in every rule.
#define SOUND_ROWS 7u
static void make_sound(struct baton_partition rows[SOUND_ROWS]) {
    rows[0] = make_row(1, 2, 0x9000, 0x4000, "settings");
    rows[1] = make_row(1, 0, 0xD000, 0x2000, "otadata");
    rows[2] = make_row(1, 1, 0xF000, 0x1000, "phy_init");
    rows[3] = make_row(0, 0x10, 0x10000, 0x180000, "ota_0");
    rows[4] = make_row(0, 0x11, 0x190000, 0x180000, "ota_1");
    rows[5] = make_row(1, 0x81, 0x310000, 0xF0000, "sixteen_letters_");
    rows[6] = make_row(0x40, 0xEE, 0x400000, 0x123, "own");
    rows[5].flags = BATON_PARTITION_ENCRYPTED;
    rows[6].flags = BATON_PARTITION_READONLY | 0x80000000u;
}

static int verify(const struct baton_partition *rows, size_t count,
        const struct baton_table_options *options, int row, int other_row) {
    struct baton_table_fault fault;
    int err = baton_table_verify(rows, count, options, &fault);
    assert_int_equal(baton_table_verify(rows, count, options, NULL), err);
    assert_int_equal(fault.row, row);
    assert_int_equal(fault.other_row, other_row);
    if (row >= 0) {
        assert_string_equal(fault.text, rows[row].label);
    }
    return err;
}

static void test_verify_sound(void **state) {
    (void)state;
    struct baton_partition rows[SOUND_ROWS];
    make_sound(rows);
    assert_int_equal(verify(rows, SOUND_ROWS, NULL, -1, -1), 0);
    assert_int_equal(verify(rows, 0, NULL, -1, -1), 0);
    // The order of rows is free.
    struct baton_partition first = rows[0];
    rows[0] = rows[4];
    rows[4] = first;
    assert_int_equal(verify(rows, SOUND_ROWS, NULL, -1, -1), 0);
}

static void test_verify_alignment(void **state) {
    (void)state;
    struct baton_table_options secure = {.secure_boot_v1 = true};
    for (unsigned type = 0; type < 0x100; type++) {
        uint32_t step = type == 0 ? 0x10000 : 0x1000;
        for (uint32_t addr = 0x10000; addr <= 0x20000; addr += 0x400) {
            struct baton_partition row =
                    make_row((uint8_t)type, 0x44, addr, 0x10000, "p");
            bool is_good = addr % step == 0;
            assert_int_equal(verify(&row, 1, NULL, is_good ? -1 : 0, -1),
                    is_good ? 0 : BATON_ERR_TABLE_ALIGN);
        }
    }
    for (uint32_t size = 0; size <= 0x20000; size += 0x200) {
        struct baton_partition row = make_row(0, 0x10, 0x10000, size, "p");
        bool is_good = size % 0x1000 == 0;
        assert_int_equal(verify(&row, 1, NULL, is_good ? -1 : 0, -1),
                is_good ? 0 : BATON_ERR_TABLE_ALIGN);
        is_good = size % 0x10000 == 0;
        assert_int_equal(verify(&row, 1, &secure, is_good ? -1 : 0, -1),
                is_good ? 0 : BATON_ERR_TABLE_ALIGN);
        row.type = 1;
        assert_int_equal(verify(&row, 1, &secure, -1, -1), 0);
    }
}

static void test_verify_flags_and_nvs(void **state) {
    (void)state;
    for (unsigned kind = 0; kind < 0x10000; kind++) {
        uint8_t type = (uint8_t)(kind >> 8);
        uint8_t subtype = (uint8_t)kind;
        bool is_otadata = type == 1 && (subtype == 0 || subtype == 0x90);
        uint32_t size = is_otadata ? 0x2000 : 0x4000;
        struct baton_partition row =
                make_row(type, subtype, 0x10000, size, "p");
        row.flags = BATON_PARTITION_READONLY;
        bool is_refused = type == 1 && (subtype == 0 || subtype == 3);
        assert_int_equal(verify(&row, 1, NULL, is_refused ? 0 : -1, -1),
                is_refused ? BATON_ERR_TABLE_READONLY : 0);
    }
    for (uint32_t size = 0; size <= 0x4000; size += 0x100) {
        struct baton_partition row = make_row(1, 2, 0x9000, size, "p");
        bool is_good = size >= 0x3000;
        assert_int_equal(verify(&row, 1, NULL, is_good ? -1 : 0, -1),
                is_good ? 0 : BATON_ERR_TABLE_NVS);
        row.flags = BATON_PARTITION_READONLY;
        assert_int_equal(verify(&row, 1, NULL, -1, -1), 0);
    }
}

static void test_verify_names(void **state) {
    (void)state;
    struct baton_partition rows[SOUND_ROWS];
    for (int a = 0; a < (int)SOUND_ROWS; a++) {
        for (int b = a + 1; b < (int)SOUND_ROWS; b++) {
            make_sound(rows);
            memcpy(rows[b].label, rows[a].label, sizeof(rows[b].label));
            assert_int_equal(verify(rows, SOUND_ROWS, NULL, b, a),
                    BATON_ERR_TABLE_DUPLICATE);
            // Names that differ only past the label are different names.
            rows[b].name_rest = 1;
            assert_int_equal(verify(rows, SOUND_ROWS, NULL, -1, -1), 0);
        }
    }
}

static void test_verify_places(void **state) {
    (void)state;
    struct baton_partition rows[3];
    // Every arrangement of three partitions of up to three sectors.
    for (unsigned n = 0; n < 6 * 6 * 6 * 3 * 3 * 3; n++) {
        unsigned digits = n;
        bool overlaps = false;
        for (unsigned i = 0; i < 3; i++) {
            char label[2] = {(char)('a' + i), 0};
            uint32_t addr = 0x9000 + 0x1000 * (digits % 6);
            digits /= 6;
            rows[i] = make_row(1, 6, addr, 0x1000 * (1 + digits % 3), label);
            digits /= 3;
        }
        for (unsigned i = 0; i < 3; i++) {
            for (unsigned k = 0; k < 3; k++) {
                overlaps =
                        overlaps
                        || (i != k && rows[i].addr >= rows[k].addr
                                && rows[i].addr
                                           < rows[k].addr + rows[k].size_bytes);
            }
        }
        int err = baton_table_verify(rows, 3, NULL, NULL);
        if (err != (overlaps ? BATON_ERR_TABLE_OVERLAP : 0)) {
            fail_msg("arrangement %u: %d", n, err);
        }
    }
    // The row that follows in flash, not in the table, is the one told.
    rows[0] = make_row(1, 6, 0x20000, 0x1000, "a");
    rows[1] = make_row(1, 6, 0x10000, 0x11000, "b");
    assert_int_equal(verify(rows, 2, NULL, 0, 1), BATON_ERR_TABLE_OVERLAP);
    rows[1].size_bytes = 0x10000;
    assert_int_equal(verify(rows, 2, NULL, -1, -1), 0);
    // Ends past 4 GiB do not wrap around.
    rows[0] = make_row(1, 6, 0xFFFFF000, 0xFFFFFFFF, "a");
    rows[1] = make_row(1, 6, 0x9000, 0x1000, "b");
    assert_int_equal(verify(rows, 2, NULL, -1, -1), 0);
    rows[1].addr = 0xFFFFF000;
    assert_int_equal(verify(rows, 2, NULL, 1, 0), BATON_ERR_TABLE_OVERLAP);
}

static void test_verify_below_table(void **state) {
    (void)state;
    static const uint32_t table_addrs[] = {0, 0x8000, 0x9000, 0x10000};
    for (size_t i = 0; i < COUNT_OF(table_addrs); i++) {
        struct baton_table_options options = {.table_addr = table_addrs[i]};
        uint32_t first_free =
                (table_addrs[i] != 0 ? table_addrs[i] : 0x8000) + 0x1000;
        for (uint32_t addr = 0; addr < 0x14000; addr += 0x1000) {
            struct baton_partition row = make_row(1, 6, addr, 0x1000, "p");
            bool is_good = addr >= first_free;
            assert_int_equal(verify(&row, 1, &options, is_good ? -1 : 0, -1),
                    is_good ? 0 : BATON_ERR_TABLE_OVERLAP);
            // The boot chain itself lies there.
            for (uint8_t type = 2; type <= 3; type++) {
                row.type = type;
                row.subtype = 0;
                assert_int_equal(verify(&row, 1, &options, -1, -1), 0);
                row.subtype = 1;
                assert_int_equal(
                        verify(&row, 1, &options, is_good ? -1 : 0, -1),
                        is_good ? 0 : BATON_ERR_TABLE_OVERLAP);
            }
        }
    }
    struct baton_table_options at_zero = {.table_at_zero = true};
    struct baton_partition row = make_row(1, 6, 0x1000, 0x1000, "p");
    assert_int_equal(verify(&row, 1, &at_zero, -1, -1), 0);
    row.addr = 0;
    assert_int_equal(verify(&row, 1, &at_zero, 0, -1), BATON_ERR_TABLE_OVERLAP);
}

static void test_verify_otadata(void **state) {
    (void)state;
    static const uint8_t subtypes[] = {0x00, 0x90};
    for (size_t i = 0; i < COUNT_OF(subtypes); i++) {
        struct baton_partition rows[2];
        for (uint32_t size = 0; size <= 0x4000; size += 0x1000) {
            rows[0] = make_row(1, subtypes[i], 0x9000, size, "a");
            bool is_good = size == 0x2000;
            assert_int_equal(verify(rows, 1, NULL, is_good ? -1 : 0, -1),
                    is_good ? 0 : BATON_ERR_TABLE_OTADATA);
        }
        rows[0] = make_row(1, subtypes[i], 0x9000, 0x2000, "a");
        rows[1] = make_row(1, subtypes[i], 0xB000, 0x2000, "b");
        assert_int_equal(verify(rows, 2, NULL, 1, 0), BATON_ERR_TABLE_OTADATA);
        rows[1].subtype = 0x91;
        assert_int_equal(verify(rows, 2, NULL, -1, -1), 0);
    }
}

static void test_verify_flash_size(void **state) {
    (void)state;
    struct baton_partition rows[SOUND_ROWS];
    struct baton_table_options options = {.flash_bytes = 0x400123};
    struct baton_table_fault fault;
    make_sound(rows);
    assert_int_equal(verify(rows, SOUND_ROWS, &options, -1, -1), 0);
    options.flash_bytes--;
    assert_int_equal(verify(rows, SOUND_ROWS, &options, 6, -1),
            BATON_ERR_TABLE_FLASH_SIZE);
    // The vendor's tool looks at the row with the highest offset alone, and at
    // the first of two such rows.
    rows[5].size_bytes = 0x10000000;
    assert_int_equal(
            baton_table_verify_flash(rows, SOUND_ROWS, 0x400123, &fault), 0);
    rows[5].addr = 0x400000;
    assert_int_equal(
            baton_table_verify_flash(rows, SOUND_ROWS, 0x400123, &fault),
            BATON_ERR_TABLE_FLASH_SIZE);
    assert_int_equal(fault.row, 5);
    assert_int_equal(baton_table_verify_flash(rows, 0, 1, &fault), 0);
}

// The first rule that is broken is the one told, in the vendor's order.
static void test_verify_order(void **state) {
    (void)state;
    struct baton_partition rows[3];
    struct baton_table_options options = {.flash_bytes = 0x10000};
    rows[0] = make_row(1, 0, 0x20000, 0x3000, "a");
    rows[1] = make_row(1, 0, 0x20000, 0x3000, "a");
    rows[2] = make_row(1, 2, 0x30001, 0x1000, "c");
    assert_int_equal(verify(rows, 3, &options, 2, -1), BATON_ERR_TABLE_ALIGN);
    rows[2].addr = 0x30000;
    assert_int_equal(verify(rows, 3, &options, 2, -1), BATON_ERR_TABLE_NVS);
    rows[2].size_bytes = 0x3000;
    assert_int_equal(
            verify(rows, 3, &options, 1, 0), BATON_ERR_TABLE_DUPLICATE);
    rows[1].label[0] = 'b';
    assert_int_equal(verify(rows, 3, &options, 1, 0), BATON_ERR_TABLE_OVERLAP);
    rows[1].addr = 0x24000;
    assert_int_equal(verify(rows, 3, &options, 1, 0), BATON_ERR_TABLE_OTADATA);
    rows[1].subtype = 6;
    assert_int_equal(verify(rows, 3, &options, 0, -1), BATON_ERR_TABLE_OTADATA);
    rows[0].size_bytes = 0x2000;
    assert_int_equal(
            verify(rows, 3, &options, 2, -1), BATON_ERR_TABLE_FLASH_SIZE);
    options.flash_bytes = 0x33000;
    assert_int_equal(verify(rows, 3, &options, -1, -1), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_verify_sound),
            cmocka_unit_test(test_verify_alignment),
            cmocka_unit_test(test_verify_flags_and_nvs),
            cmocka_unit_test(test_verify_names),
            cmocka_unit_test(test_verify_places),
            cmocka_unit_test(test_verify_below_table),
            cmocka_unit_test(test_verify_otadata),
            cmocka_unit_test(test_verify_flash_size),
            cmocka_unit_test(test_verify_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
