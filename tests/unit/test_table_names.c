// The partition table's keywords, finding rows, and the built-in layouts.
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

static void test_names(void **state) {
    (void)state;
    static const struct {
        uint8_t type;
        uint8_t subtype;
        const char *name;
    } known[] = {
            {0, 0x00, "factory"},
            {0, 0x10, "ota_0"},
            {0, 0x1F, "ota_15"},
            {0, 0x20, "test"},
            {0, 0x30, "tee_0"},
            {0, 0x31, "tee_1"},
            {1, 0x00, "ota"},
            {1, 0x01, "phy"},
            {1, 0x02, "nvs"},
            {1, 0x03, "coredump"},
            {1, 0x04, "nvs_keys"},
            {1, 0x05, "efuse"},
            {1, 0x06, "undefined"},
            {1, 0x80, "esphttpd"},
            {1, 0x81, "fat"},
            {1, 0x82, "spiffs"},
            {1, 0x83, "littlefs"},
            {1, 0x90, "tee_ota"},
            {2, 0x00, "primary"},
            {2, 0x01, "ota"},
            {2, 0x02, "recovery"},
            {3, 0x00, "primary"},
            {3, 0x01, "ota"},
    };
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        assert_string_equal(
                baton_table_subtype_name(known[i].type, known[i].subtype),
                known[i].name);
    }
    size_t found = 0;
    for (unsigned kind = 0; kind < 0x10000; kind++) {
        found += baton_table_subtype_name((uint8_t)(kind >> 8), (uint8_t)kind)
                                 != NULL
                         ? 1
                         : 0;
    }
    assert_int_equal(found, COUNT_OF(known) + 14); // ota_1 to ota_14
    assert_string_equal(baton_table_type_name(0), "app");
    assert_string_equal(baton_table_type_name(1), "data");
    assert_string_equal(baton_table_type_name(2), "bootloader");
    assert_string_equal(baton_table_type_name(3), "partition_table");
    for (unsigned type = 4; type < 0x100; type++) {
        assert_null(baton_table_type_name((uint8_t)type));
    }
}

static void test_misnamed(void **state) {
    (void)state;
    static const struct {
        uint8_t type;
        uint8_t subtype;
        const char *label;
        bool is_misnamed;
    } cases[] = {
            {1, 2, "nvs", false},
            {1, 3, "nvs", true},
            {0, 2, "nvs", true},
            {0, 0x10, "ota_0", false},
            {0, 0x11, "ota_0", true},
            {1, 0, "ota", false},
            {2, 1, "ota", false},
            {3, 1, "ota", false},
            {3, 0, "ota", true},
            {0, 1, "ota", true},
            {0, 0, "app", false},
            {0, 0x55, "app", false},
            {1, 0x55, "app", true},
            {3, 0, "partition_table", false},
            {1, 6, "partition_table", true},
            {1, 0, "otadata", false},
            {1, 6, "", false},
            {1, 6, "NVS", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct baton_partition row =
                make_row(cases[i].type, cases[i].subtype, 0, 0, cases[i].label);
        if (baton_table_is_misnamed(&row) != cases[i].is_misnamed) {
            fail_msg("case %zu: %s", i, cases[i].label);
        }
    }
}

static void test_find(void **state) {
    (void)state;
    struct baton_partition rows[SOUND_ROWS];
    make_sound(rows);
    assert_ptr_equal(baton_table_find(rows, SOUND_ROWS, 0, 0x11), &rows[4]);
    assert_ptr_equal(baton_table_find(rows, SOUND_ROWS, 1, 0), &rows[1]);
    assert_null(baton_table_find(rows, SOUND_ROWS, 0, 0));
    assert_null(baton_table_find(rows, 4, 0, 0x11));
    rows[0].type = 0;
    rows[0].subtype = 0x11;
    assert_ptr_equal(baton_table_find(rows, SOUND_ROWS, 0, 0x11), &rows[0]);
    assert_ptr_equal(
            baton_table_find_label(rows, SOUND_ROWS, "ota_1"), &rows[4]);
    assert_ptr_equal(
            baton_table_find_label(rows, SOUND_ROWS, "sixteen_letters_"),
            &rows[5]);
    assert_null(baton_table_find_label(rows, SOUND_ROWS, "sixteen_letters_x"));
    assert_null(baton_table_find_label(rows, SOUND_ROWS, "ota_"));
    assert_null(baton_table_find_label(rows, 0, "ota_1"));
}

// Every set of slots: the run from ota_0 on counts.
static void test_slot_count(void **state) {
    (void)state;
    for (unsigned set = 0; set < 0x10000; set++) {
        struct baton_partition rows[16];
        size_t count = 0;
        uint32_t run = 0;
        for (unsigned slot = 16; slot-- > 0;) {
            if ((set >> slot & 1) != 0) {
                rows[count++] = make_row(0, (uint8_t)(0x10 + slot), 0, 0, "p");
            }
        }
        while (run < 16 && (set >> run & 1) != 0) {
            run++;
        }
        assert_int_equal(baton_table_slot_count(rows, count), run);
    }
    struct baton_partition other = make_row(1, 0x10, 0, 0, "p");
    assert_int_equal(baton_table_slot_count(&other, 1), 0);
}

static void test_layouts(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t rows;
        uint32_t slots;
        uint32_t slot_bytes;
        uint32_t end;
        uint32_t flash_bytes;
    } known[] = {
            {"micropython-4mib-ota", 5, 2, 0x180000, 0x310000, 0x400000},
            {"micropython-8mib-ota", 5, 2, 0x270000, 0x4F0000, 0x800000},
            {"idf-two-ota", 6, 2, 0x100000, 0x310000, 0x400000},
            {"idf-single-app", 3, 0, 0, 0x110000, 0x200000},
    };
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        struct baton_table_options options = {
                .flash_bytes = known[i].flash_bytes};
        struct baton_partition rows[8];
        size_t count;
        assert_string_equal(baton_table_layout_name(i), known[i].name);
        const char *csv = baton_table_layout_csv(known[i].name);
        assert_int_equal(baton_table_parse_csv(csv, strlen(csv), &options, rows,
                                 COUNT_OF(rows), &count, NULL),
                0);
        assert_int_equal(baton_table_verify(rows, count, &options, NULL), 0);
        assert_int_equal(count, known[i].rows);
        assert_int_equal(baton_table_slot_count(rows, count), known[i].slots);
        assert_int_equal(rows[count - 1].addr + rows[count - 1].size_bytes,
                known[i].end);
        if (known[i].slots != 0) {
            assert_int_equal(baton_table_find(rows, count, 0, 0x10)->size_bytes,
                    known[i].slot_bytes);
            assert_int_equal(baton_table_find(rows, count, 1, 0)->addr, 0xD000);
        }
    }
    assert_null(baton_table_layout_name(COUNT_OF(known)));
    assert_null(baton_table_layout_csv("micropython"));
    assert_null(baton_table_layout_csv(""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_names),
            cmocka_unit_test(test_misnamed),
            cmocka_unit_test(test_find),
            cmocka_unit_test(test_slot_count),
            cmocka_unit_test(test_layouts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
