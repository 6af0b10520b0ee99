// The flash contract on the board's own flash, in its small sectors and in its
// large ones, and what its layout promises.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "../lib/flash_contract.h"
#include "baton/error.h"
#include "flash.h"

static struct board_flash flash;
static uint8_t work[2 * BOARD_FLASH_SECTOR_BYTES];

static void expect_kept(
        const struct baton_flash *view, uint32_t addr, uint32_t sector) {
    struct flash_contract contract = {
            .flash = view,
            .addr = addr,
            .len_bytes = 4 * sector,
            .tells_nor = true,
            .reprograms = true,
            .work = work,
    };
    struct flash_contract_fault fault;
    const char *name;
    size_t count = 0;
    while ((name = flash_contract_run(&contract, count, &fault)) != NULL) {
        count++;
        if (fault.what != NULL) {
            fail_msg("%s: %s at 0x%lx (%s)", name, fault.what,
                    (unsigned long)fault.addr, baton_error_name(fault.err));
        }
    }
    assert_true(count > 10);
}

static void test_small_sectors(void **state) {
    (void)state;
    expect_kept(&flash.records, 0x10000, BATON_SECTOR_BYTES);
}

static void test_large_sectors(void **state) {
    (void)state;
    expect_kept(&flash.images, 0x240000, BOARD_FLASH_SECTOR_BYTES);
}

// What native modules for an ESP32 see: across the border, too.
static void test_as_esp32(void **state) {
    (void)state;
    expect_kept(&flash.as_esp32, 0x80000, BATON_SECTOR_BYTES);
    expect_kept(&flash.as_esp32, BOARD_FLASH_SMALL_BYTES - 0x2000,
            BATON_SECTOR_BYTES);
}

// Every byte of the flash is a byte of its own on the chip.
static void test_layout(void **state) {
    (void)state;
    const struct baton_flash *f = &flash.records;
    assert_int_equal(f->erase(f->context, 0, f->size_bytes), 0);
    uint32_t step = BATON_SECTOR_BYTES;
    for (uint32_t addr = 0; addr < f->size_bytes; addr += step) {
        uint8_t mark[4] = {(uint8_t)(addr >> 12), (uint8_t)(addr >> 20), 1, 2};
        assert_int_equal(f->program(f->context, addr, mark, 4), 0);
    }
    for (uint32_t addr = 0; addr < f->size_bytes; addr += step) {
        uint8_t raw[4];
        assert_int_equal(f->read(f->context, addr, raw, 4), 0);
        assert_int_equal(raw[0], (uint8_t)(addr >> 12));
        assert_int_equal(raw[1], (uint8_t)(addr >> 20));
    }
}

// Across the border between the small sectors and the large ones.
static void test_border(void **state) {
    (void)state;
    const struct baton_flash *f = &flash.records;
    uint32_t border = BOARD_FLASH_SMALL_BYTES;
    assert_int_equal(f->erase(f->context, border - BATON_SECTOR_BYTES,
                             BATON_SECTOR_BYTES + BOARD_FLASH_SECTOR_BYTES),
            0);
    for (size_t i = 0; i < 5000; i++) {
        work[i] = (uint8_t)(i * 7);
    }
    assert_int_equal(f->program(f->context, border - 2500, work, 5000), 0);
    uint8_t *back = work + 8192;
    assert_int_equal(f->read(f->context, border - 2500, back, 5000), 0);
    assert_memory_equal(work, back, 5000);
    // Less than a large sector is not erased, nor is one from its middle.
    assert_int_equal(
            f->erase(f->context, border, BATON_SECTOR_BYTES), BATON_ERR_ARG);
    assert_int_equal(f->erase(f->context, border + BATON_SECTOR_BYTES,
                             BOARD_FLASH_SECTOR_BYTES),
            BATON_ERR_ARG);
    assert_int_equal(f->read(f->context, border - 2500, back, 5000), 0);
    assert_memory_equal(work, back, 5000);
}

int main(void) {
    board_flash_begin(&flash);
    board_flash_begin_esp32(&flash);
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_small_sectors),
            cmocka_unit_test(test_large_sectors),
            cmocka_unit_test(test_as_esp32),
            cmocka_unit_test(test_layout),
            cmocka_unit_test(test_border),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
