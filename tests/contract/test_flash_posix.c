// The flash contract on the virtual NOR flash, and the contract on flashes
// that break it.
// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "baton-posix/board.h"
#include "baton/error.h"
#include "../lib/flash_contract.h"

#define REGION_BYTES (3 * BATON_BLOCK_BYTES)

static uint8_t work[2 * BATON_SECTOR_BYTES];

static struct flash_contract contract_for(const struct baton_flash *flash) {
    struct flash_contract c = {
            .flash = flash,
            .addr = flash->size_bytes - REGION_BYTES,
            .len_bytes = REGION_BYTES,
            .tells_nor = true,
            .reprograms = true,
            .work = work,
    };
    return c;
}

// Runs every rule; returns the name of the first that does not hold.
static const char *first_broken(
        const struct flash_contract *c, struct flash_contract_fault *fault) {
    const char *name;
    for (size_t i = 0; (name = flash_contract_run(c, i, fault)) != NULL; i++) {
        if (fault->what != NULL) {
            return name;
        }
    }
    return NULL;
}

static void expect_kept(const struct flash_contract *c, const char *about) {
    struct flash_contract_fault fault;
    const char *name = first_broken(c, &fault);
    if (name != NULL) {
        fail_msg("%s, program_bytes %u, size 0x%x: %s: %s at 0x%x (%s)", about,
                c->flash->program_bytes, c->flash->size_bytes, name, fault.what,
                fault.addr, baton_error_name(fault.err));
    }
}

struct memory_flash {
    struct baton_nor nor;
    struct baton_nor_state state;
    uint32_t wear[BATON_BOARD_SECTORS];
    uint8_t *bytes;
};

static void open_memory(
        struct memory_flash *self, uint32_t size, uint32_t program_bytes) {
    memset(self, 0, sizeof(*self));
    self->bytes = malloc(size);
    assert_non_null(self->bytes);
    memset(self->bytes, 0x5A, size);
    assert_int_equal(baton_nor_begin(&self->nor, self->bytes, size,
                             program_bytes, &self->state, self->wear),
            0);
}

static void test_memory(void **context) {
    (void)context;
    static const uint32_t sizes[] = {
            3 * BATON_BLOCK_BYTES, 0x100000, 0x180000, 0x400000, 0x1000000};
    static const uint32_t units[] = {1, 2, 4, 8, 16, 32};
    static struct memory_flash flash;
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
            open_memory(&flash, sizes[s], units[u]);
            struct flash_contract c = contract_for(&flash.nor.flash);
            expect_kept(&c, "memory");
            c.addr = 0;
            expect_kept(&c, "memory, from 0");
            flash.nor.flash.block_bytes = 0;
            flash.nor.flash.sector_bytes = 0;
            expect_kept(&c, "memory, defaults left out");
            free(flash.bytes);
        }
    }
}

static void test_board_file(void **context) {
    (void)context;
    char dir[] = "/tmp/baton-contract-XXXXXX";
    char path[64];
    char board_path[80];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/dev.bin", dir);
    snprintf(board_path, sizeof(board_path), "%s.board", path);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), 0x200000), 0);
    fclose(file);
    static const uint32_t units[] = {1, 4, 16, 32};
    for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
        struct baton_board board;
        assert_int_equal(baton_board_open(&board, path), 0);
        board.state->program_bytes = units[u];
        baton_board_close(&board);
        assert_int_equal(baton_board_open(&board, path), 0);
        assert_int_equal(board.nor.flash.program_bytes, units[u]);
        board.nor.violation = NULL;
        struct flash_contract c = contract_for(&board.nor.flash);
        expect_kept(&c, "board file");
        baton_board_close(&board);
    }
    unlink(path);
    unlink(board_path);
    rmdir(dir);
}

// ---- Flashes with one fault each: the contract must see it ---------------

enum defect {
    DEFECT_NONE,
    DEFECT_SETS_BITS,
    DEFECT_NO_NOR_CHECK,
    DEFECT_PARTIAL_REFUSAL,
    DEFECT_ERASE_SHORT,
    DEFECT_ERASE_LONG,
    DEFECT_ERASE_TO_ZERO,
    DEFECT_BLOCK_IS_SECTOR,
    DEFECT_PAGE_WRAPS,
    DEFECT_READ_ALIGNED_ONLY,
    DEFECT_READ_OVERRUNS,
    DEFECT_WRONG_RANGE_CODE,
    DEFECT_SUM_OVERFLOWS,
    DEFECT_ALIGNS_SILENTLY,
    DEFECT_ZERO_REFUSED,
    DEFECT_SPOILS_SOURCE,
    DEFECT_COUNT,
};

struct broken_flash {
    struct memory_flash good;
    struct baton_flash flash;
    enum defect defect;
};

static int read_broken(void *context, uint32_t addr, void *buf, size_t len) {
    struct broken_flash *self = context;
    struct baton_flash *good = &self->good.nor.flash;
    uint8_t *to = buf;
    if (self->defect == DEFECT_READ_ALIGNED_ONLY && addr % 4 != 0) {
        return BATON_ERR_ARG;
    }
    if (self->defect == DEFECT_ZERO_REFUSED && len == 0) {
        return BATON_ERR_ARG;
    }
    if (self->defect == DEFECT_SUM_OVERFLOWS
            && (uint64_t)addr + len > UINT32_MAX
            && (uint32_t)(addr + len) <= good->size_bytes) {
        return 0;
    }
    int err = good->read(good->context, addr, buf, len);
    if (self->defect == DEFECT_READ_OVERRUNS && err == 0 && len % 4 != 0) {
        to[len] = 0;
    }
    if (self->defect == DEFECT_WRONG_RANGE_CODE && err == BATON_ERR_RANGE) {
        return BATON_ERR_ARG;
    }
    return err;
}

static int program_broken(
        void *context, uint32_t addr, const void *buf, size_t len) {
    struct broken_flash *self = context;
    struct baton_flash *good = &self->good.nor.flash;
    uint8_t *bytes = self->good.bytes;
    const uint8_t *data = buf;
    uint32_t unit = good->program_bytes;
    bool inside = addr <= good->size_bytes && len <= good->size_bytes - addr;
    bool aligned = addr % unit == 0 && len % unit == 0;
    if (self->defect == DEFECT_ALIGNS_SILENTLY && inside) {
        return good->program(
                good->context, addr / unit * unit, buf, len / unit * unit);
    }
    if (!inside || !aligned) {
        return good->program(good->context, addr, buf, len);
    }
    for (size_t i = 0; self->defect == DEFECT_SETS_BITS && i < len; i++) {
        bytes[addr + i] = data[i];
    }
    for (size_t i = 0; self->defect == DEFECT_NO_NOR_CHECK && i < len; i++) {
        bytes[addr + i] &= data[i];
    }
    if (self->defect == DEFECT_SETS_BITS
            || self->defect == DEFECT_NO_NOR_CHECK) {
        return 0;
    }
    if (self->defect == DEFECT_PAGE_WRAPS) {
        uint32_t page = addr / 256 * 256;
        for (size_t i = 0; i < len; i++) {
            bytes[page + (addr + i) % 256] &= data[i];
        }
        return 0;
    }
    if (self->defect == DEFECT_PARTIAL_REFUSAL) {
        int err = 0;
        for (size_t i = 0; err == 0 && i < len; i += unit) {
            err = good->program(
                    good->context, addr + (uint32_t)i, data + i, unit);
        }
        return err;
    }
    int err = good->program(good->context, addr, buf, len);
    if (self->defect == DEFECT_SPOILS_SOURCE && len > 0) {
        ((uint8_t *)(uintptr_t)buf)[len - 1] ^= 1;
    }
    return err;
}

static int erase_broken(void *context, uint32_t addr, size_t len) {
    struct broken_flash *self = context;
    struct baton_flash *good = &self->good.nor.flash;
    if (self->defect == DEFECT_BLOCK_IS_SECTOR && len == BATON_BLOCK_BYTES) {
        return good->erase(good->context, addr, BATON_SECTOR_BYTES);
    }
    if (self->defect == DEFECT_ALIGNS_SILENTLY && addr < good->size_bytes) {
        len = len / BATON_SECTOR_BYTES * BATON_SECTOR_BYTES;
        addr = addr / BATON_SECTOR_BYTES * BATON_SECTOR_BYTES;
    }
    uint8_t saved = addr + len <= good->size_bytes && len > 0
                            ? self->good.bytes[addr + len - 1]
                            : 0;
    int err = good->erase(good->context, addr, len);
    if (err || len == 0) {
        return err;
    }
    if (self->defect == DEFECT_ERASE_SHORT) {
        self->good.bytes[addr + len - 1] = saved;
    } else if (self->defect == DEFECT_ERASE_LONG
               && addr + len < good->size_bytes) {
        self->good.bytes[addr + len] = 0xFF;
    } else if (self->defect == DEFECT_ERASE_TO_ZERO) {
        memset(self->good.bytes + addr, 0, len);
    }
    return err;
}

static void test_contract_sees_faults(void **context) {
    (void)context;
    static const char *const expected[DEFECT_COUNT] = {
            [DEFECT_SETS_BITS] = "refuses_to_set_a_bit",
            [DEFECT_NO_NOR_CHECK] = "refuses_to_set_a_bit",
            [DEFECT_PARTIAL_REFUSAL] = "refuses_to_set_a_bit",
            [DEFECT_ERASE_SHORT] = "erases_a_sector",
            [DEFECT_ERASE_LONG] = "erases_a_sector",
            [DEFECT_ERASE_TO_ZERO] = "erases_a_sector",
            [DEFECT_BLOCK_IS_SECTOR] = "erases_a_block",
            [DEFECT_PAGE_WRAPS] = "erases_a_sector",
            [DEFECT_READ_ALIGNED_ONLY] = "programs_at_any_unit",
            [DEFECT_READ_OVERRUNS] = "reads_any_range",
            [DEFECT_WRONG_RANGE_CODE] = "stays_inside_the_chip",
            [DEFECT_SUM_OVERFLOWS] = "stays_inside_the_chip",
            [DEFECT_ALIGNS_SILENTLY] = "refuses_bad_alignment",
            [DEFECT_ZERO_REFUSED] = "reads_any_range",
            [DEFECT_SPOILS_SOURCE] = "leaves_the_source_alone",
    };
    static struct broken_flash broken;
    for (int defect = DEFECT_NONE; defect < DEFECT_COUNT; defect++) {
        open_memory(&broken.good, 0x100000,
                defect == DEFECT_READ_ALIGNED_ONLY ? 1 : 4);
        broken.defect = (enum defect)defect;
        broken.flash = broken.good.nor.flash;
        broken.flash.context = &broken;
        broken.flash.read = read_broken;
        broken.flash.program = program_broken;
        broken.flash.erase = erase_broken;
        struct flash_contract c = contract_for(&broken.flash);
        struct flash_contract_fault fault;
        const char *seen = first_broken(&c, &fault);
        if (expected[defect] == NULL
                        ? seen != NULL
                        : seen == NULL || strcmp(seen, expected[defect]) != 0) {
            fail_msg("defect %d: expected %s, saw %s (%s)", defect,
                    expected[defect], seen, fault.what);
        }
        free(broken.good.bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_memory),
            cmocka_unit_test(test_board_file),
            cmocka_unit_test(test_contract_sees_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
