// Chips: names, bootloader addresses, flash-mapped windows.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "baton/image.h"

static void test_chips(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint16_t id;
        uint32_t bootloader_addr;
    } chips[] = {{"esp32", 0, 0x1000}, {"esp32s2", 2, 0x1000},
            {"esp32c3", 5, 0}, {"esp32s3", 9, 0}, {"esp32c2", 12, 0},
            {"esp32c6", 13, 0}, {"esp32h2", 16, 0}, {"esp32p4", 18, 0x2000},
            {"esp32c61", 20, 0}, {"esp32c5", 23, 0x2000}, {"esp32h21", 25, 0},
            {"esp32h4", 28, 0x2000}, {"esp32s31", 32, 0x2000}};
    size_t count = sizeof(chips) / sizeof(chips[0]);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(baton_chip_name(chips[i].id), chips[i].name);
        assert_int_equal(baton_chip_id(chips[i].name), chips[i].id);
        assert_int_equal(baton_chip_bootloader_addr(chips[i].id),
                chips[i].bootloader_addr);
        bool is_xtensa = i < 2 || chips[i].id == 9;
        assert_int_equal(baton_chip_is_riscv(chips[i].id), !is_xtensa);
        uint32_t data_addr = baton_chip_data_addr(chips[i].id);
        assert_true(baton_chip_is_mapped(chips[i].id, 0, data_addr));
        assert_false(baton_chip_is_mapped(chips[i].id, 0, data_addr - 1));
    }
    size_t named = 0;
    for (uint32_t id = 0; id <= 0xFFFF; id++) {
        named += baton_chip_name((uint16_t)id) != NULL ? 1 : 0;
    }
    assert_int_equal(named, count);
    assert_int_equal(baton_chip_id("esp8266"), BATON_CHIP_ANY);
    assert_false(baton_chip_is_mapped(777, 0, 0x3F400020));
    assert_false(baton_chip_is_riscv(777));
    assert_false(baton_chip_has_page_choice(777));
    assert_int_equal(baton_chip_data_addr(777), 0);
}

static void test_windows(void **state) {
    (void)state;
    static const struct {
        uint16_t id;
        uint8_t page_log2;
        uint32_t from;
        uint32_t to;
    } windows[] = {{0, 0, 0x400D0000, 0x40400000},
            {0, 0, 0x3F400000, 0x3F800000}, {2, 0, 0x40080000, 0x40800000},
            {2, 0, 0x3F000000, 0x3FF80000}, {9, 0, 0x42000000, 0x44000000},
            {9, 0, 0x3C000000, 0x3E000000}, {12, 0, 0x42000000, 0x42400000},
            {12, 0, 0x3C000000, 0x3C400000}, {5, 0, 0x42000000, 0x42800000},
            {5, 0, 0x3C000000, 0x3C800000}, {13, 0, 0x42000000, 0x43000000},
            {13, 15, 0x42000000, 0x42800000}, {16, 14, 0x42000000, 0x42400000},
            {16, 13, 0x42000000, 0x42200000}, {23, 0, 0x42000000, 0x44000000},
            {20, 0, 0x42000000, 0x44000000}, {28, 0, 0x42000000, 0x44000000},
            {25, 0, 0x42000000, 0x43000000}, {18, 0, 0x40000000, 0x44000000},
            {18, 0, 0x48000000, 0x4C000000}, {32, 0, 0x40000000, 0x44000000},
            {32, 0, 0x50000000, 0x54000000}};
    for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        uint16_t id = windows[i].id;
        uint8_t page = windows[i].page_log2;
        assert_true(baton_chip_is_mapped(id, page, windows[i].from));
        assert_true(baton_chip_is_mapped(id, page, windows[i].to - 1));
        assert_false(baton_chip_is_mapped(id, page, windows[i].from - 1));
        assert_false(baton_chip_is_mapped(id, page, windows[i].to));
    }
}

static void test_pages(void **state) {
    (void)state;
    for (unsigned wanted = 0; wanted < 256; wanted++) {
        assert_int_equal(baton_chip_page_log2(0, (uint8_t)wanted, 15), 16);
        bool is_valid = wanted >= 13 && wanted <= 18;
        assert_int_equal(baton_chip_page_log2(13, (uint8_t)wanted, 15),
                is_valid ? wanted : 15);
        assert_int_equal(baton_chip_page_log2(13, (uint8_t)wanted, 0),
                is_valid ? wanted : 16);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_chips),
            cmocka_unit_test(test_windows),
            cmocka_unit_test(test_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
