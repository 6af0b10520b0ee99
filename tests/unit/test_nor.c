// The virtual NOR flash: operations, power cuts, wear, time.
// SPDX-License-Identifier: MIT
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton-posix/nor.h"
#include "baton/error.h"

#define SIZE_BYTES 0x100000u

static uint8_t bytes[SIZE_BYTES];
static uint8_t old_bytes[SIZE_BYTES];
static uint32_t wear[SIZE_BYTES / BATON_SECTOR_BYTES];
static struct baton_nor_state state;
static struct baton_nor nor;

static int setup(void **context) {
    (void)context;
    memset(&state, 0, sizeof(state));
    memset(wear, 0, sizeof(wear));
    memset(bytes, 0xFF, sizeof(bytes));
    return baton_nor_begin(&nor, bytes, SIZE_BYTES, 1, &state, wear);
}

static int erase(uint32_t addr, size_t len) {
    return nor.flash.erase(nor.flash.context, addr, len);
}

static int program(uint32_t addr, const void *data, size_t len) {
    return nor.flash.program(nor.flash.context, addr, data, len);
}

static int read_at(uint32_t addr, void *buf, size_t len) {
    return nor.flash.read(nor.flash.context, addr, buf, len);
}

static uint32_t next_random(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void fill(uint8_t *to, size_t len, uint32_t seed) {
    for (size_t i = 0; i < len; i++) {
        to[i] = (uint8_t)next_random(&seed);
    }
}

// ---- What counts as one operation ----------------------------------------

static void test_counts_operations(void **context) {
    (void)context;
    static const struct {
        bool is_erase;
        uint32_t addr;
        uint32_t len;
        uint32_t operations;
        uint32_t blocks;
    } cases[] = {
            {true, 0, 0, 0, 0},
            {true, 0x1000, 0x1000, 1, 0},
            {true, 0x1000, 0x10000, 16, 0},
            {true, 0x10000, 0x10000, 1, 1},
            {true, 0x10000, 0xF000, 15, 0},
            {true, 0x10000, 0x11000, 2, 1},
            {true, 0xF000, 0x12000, 3, 1},
            {true, 0x8000, 0x30000, 18, 2},
            {true, 0, SIZE_BYTES, 16, 16},
            {false, 0, 0, 0, 0},
            {false, 0, 1, 1, 0},
            {false, 0, 256, 1, 0},
            {false, 1, 256, 2, 0},
            {false, 255, 2, 2, 0},
            {false, 0x1080, 4096, 17, 0},
            {false, 0x1000, 4096, 16, 0},
    };
    static uint8_t data[4096];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        setup(NULL);
        int err = cases[i].is_erase
                          ? erase(cases[i].addr, cases[i].len)
                          : program(cases[i].addr, data, cases[i].len);
        assert_int_equal(err, 0);
        assert_int_equal(state.stats.operations, cases[i].operations);
        assert_int_equal(state.stats.block_erases, cases[i].blocks);
        uint64_t small = cases[i].operations - cases[i].blocks;
        assert_int_equal(
                state.stats.sector_erases, cases[i].is_erase ? small : 0);
        assert_int_equal(
                state.stats.page_programs, cases[i].is_erase ? 0 : small);
        assert_int_equal(state.stats.bytes_programmed,
                cases[i].is_erase ? 0 : cases[i].len);
    }
}

static void test_wear(void **context) {
    (void)context;
    assert_int_equal(erase(0x10000, 0x10000), 0);
    assert_int_equal(erase(0x11000, 0x1000), 0);
    assert_int_equal(erase(0xF000, 0x2000), 0);
    for (uint32_t s = 0; s < sizeof(wear) / sizeof(wear[0]); s++) {
        uint32_t want = s == 15 ? 1 : s == 16 || s == 17 ? 2 : 0;
        want = s > 17 && s < 32 ? 1 : want;
        assert_int_equal(wear[s], want);
    }
}

static void test_profiles_and_clock(void **context) {
    (void)context;
    const struct baton_nor_profile *p;
    uint8_t page[256] = {0};
    size_t count = 0;
    for (size_t i = 0; (p = baton_nor_profile_at(i)) != NULL; i++, count++) {
        assert_ptr_equal(baton_nor_profile(p->name), p);
        setup(NULL);
        uint64_t clock_us = 1000;
        nor.profile = p;
        nor.clock_us = &clock_us;
        assert_int_equal(erase(0, 0x1000), 0);
        assert_int_equal(erase(0x10000, 0x10000), 0);
        assert_int_equal(program(0x80, page, 256), 0);
        // One read of 1000 bytes and a thousand of one byte cost the same.
        static uint8_t buf[1000];
        assert_int_equal(read_at(5, buf, 1000), 0);
        uint64_t want = p->erase_sector_us + p->erase_block_us
                        + 2 * p->program_page_us + p->read_ns_per_byte;
        assert_int_equal(state.stats.busy_us, want);
        for (uint32_t b = 0; b < 1000; b++) {
            assert_int_equal(read_at(b, buf, 1), 0);
        }
        assert_int_equal(state.stats.busy_us, want + p->read_ns_per_byte);
        assert_int_equal(clock_us, 1000 + state.stats.busy_us);
        assert_int_equal(state.stats.bytes_read, 2000);
    }
    assert_true(count >= 2);
    p = baton_nor_profile("w25q32jv");
    assert_non_null(p);
    assert_int_equal(p->program_page_us, 400);
    assert_int_equal(p->erase_sector_us, 45000);
    assert_int_equal(p->erase_block_us, 150000);
    p = baton_nor_profile("gd25q32c");
    assert_non_null(p);
    assert_int_equal(p->program_page_us, 600);
    assert_int_equal(p->erase_sector_us, 50000);
    assert_int_equal(p->erase_block_us, 250000);
    assert_null(baton_nor_profile("w25"));
    assert_null(baton_nor_profile(""));
}

static void test_names(void **context) {
    (void)context;
    for (int mode = BATON_NOR_CUT_BEFORE; mode <= BATON_NOR_CUT_WEAK; mode++) {
        const char *name = baton_nor_cut_name((enum baton_nor_cut)mode);
        assert_int_equal(baton_nor_cut_mode(name), mode);
    }
    assert_int_equal(baton_nor_cut_mode("none"), BATON_NOR_CUT_NONE);
    assert_int_equal(baton_nor_cut_mode("Torn"), BATON_NOR_CUT_NONE);
    assert_string_equal(
            baton_nor_op_name(BATON_NOR_OP_ERASE_BLOCK), "block erase");
}

static void test_begin_refuses(void **context) {
    (void)context;
    struct baton_nor bad;
    static const uint32_t units[] = {0, 3, 12, 33, 64};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        assert_int_equal(baton_nor_begin(&bad, bytes, SIZE_BYTES, units[i],
                                 &state, NULL),
                BATON_ERR_ARG);
    }
    assert_int_equal(
            baton_nor_begin(&bad, bytes, 0, 1, &state, NULL), BATON_ERR_ARG);
    assert_int_equal(baton_nor_begin(&bad, bytes, 0x11000, 1, &state, NULL),
            BATON_ERR_ARG);
    assert_int_equal(baton_nor_begin(&bad, NULL, SIZE_BYTES, 1, &state, NULL),
            BATON_ERR_ARG);
    assert_int_equal(baton_nor_begin(&bad, bytes, SIZE_BYTES, 1, NULL, NULL),
            BATON_ERR_ARG);
}

static char violation[160];

static void note_violation(void *context, uint32_t addr, const char *what) {
    assert_ptr_equal(context, &nor);
    snprintf(violation, sizeof(violation), "%x %s", addr, what);
}

static void test_violations_are_told(void **context) {
    (void)context;
    uint8_t data[] = {0xFF, 0xFF, 0x0F, 0xF1};
    nor.violation = note_violation;
    nor.context = &nor;
    assert_int_equal(program(0x2000, data, 4), 0);
    assert_int_equal(state.stats.operations, 1);
    data[3] = 0xF2;
    assert_int_equal(program(0x2000, data, 4), BATON_ERR_NOR);
    assert_string_equal(violation,
            "2003 program at 0x002000 (4 bytes) would set bits at 0x002003: "
            "0xf2 over 0xf1");
    assert_int_equal(state.stats.violations, 1);
    assert_int_equal(state.stats.operations, 1);
}

// ---- Power cuts ----------------------------------------------------------

struct range {
    uint32_t addr;
    uint32_t len;
};

// The operations of one erase of 0x12000 bytes and one program of 700.
static const struct range ops[] = {{0xF000, 0x1000}, {0x10000, 0x10000},
        {0x20000, 0x1000}, {0xF080, 128}, {0xF100, 256}, {0xF200, 256},
        {0xF300, 60}};
#define OP_COUNT   (sizeof(ops) / sizeof(ops[0]))
#define ERASE_OPS  3u
#define DATA_BYTES 700u

static uint8_t data700[DATA_BYTES];

static void start_cut_case(void) {
    setup(NULL);
    fill(bytes, SIZE_BYTES, 77);
    fill(data700, DATA_BYTES, 78);
    memcpy(old_bytes, bytes, SIZE_BYTES);
}

static int run_ops(void) {
    int err = erase(0xF000, 0x12000);
    return err ? err : program(0xF080, data700, DATA_BYTES);
}

// The byte an operation leaves when all of it happens.
static uint8_t done_byte(size_t op, uint32_t addr) {
    return op < ERASE_OPS ? 0xFF : data700[addr - 0xF080];
}

static uint8_t before_byte(size_t op, uint32_t addr) {
    return op < ERASE_OPS ? old_bytes[addr] : 0xFF;
}

// Every byte outside the operation that was cut must be as the finished ones
// left it.
static void expect_others_whole(size_t cut) {
    for (uint32_t a = 0; a < SIZE_BYTES; a++) {
        uint8_t want = old_bytes[a];
        bool is_cut = false;
        for (size_t op = 0; op < OP_COUNT && op <= cut; op++) {
            bool inside = a >= ops[op].addr && a - ops[op].addr < ops[op].len;
            is_cut = inside ? op == cut : is_cut;
            want = inside && op < cut ? done_byte(op, a) : want;
        }
        if (!is_cut && bytes[a] != want) {
            fail_msg("cut %zu: 0x%x is %02x, not %02x", cut, a, bytes[a], want);
        }
    }
}

static unsigned power_offs;

static void count_power_off(void *context) {
    (void)context;
    power_offs++;
}

static void cut_at(size_t op, enum baton_nor_cut mode, uint32_t torn) {
    start_cut_case();
    power_offs = 0;
    nor.power_off = count_power_off;
    baton_nor_plan_cut(&nor, op + 1, mode, torn);
    assert_int_equal(run_ops(), BATON_ERR_IO);
    assert_int_equal(power_offs, 1);
    assert_int_equal(state.cuts, 1);
    assert_int_equal(state.stats.operations, op + 1);
    assert_int_equal(state.last_cut_mode, mode);
    assert_int_equal(state.last_cut_addr, ops[op].addr);
    assert_int_equal(state.last_cut_bytes, ops[op].len);
    assert_int_equal(state.last_cut_number, op + 1);
    uint8_t byte;
    assert_int_equal(read_at(0, &byte, 1), BATON_ERR_IO);
    assert_int_equal(program(0, &byte, 1), BATON_ERR_IO);
    assert_int_equal(erase(0, 0x1000), BATON_ERR_IO);
    assert_int_equal(state.stats.operations, op + 1);
    expect_others_whole(op);
    baton_nor_power_on(&nor);
    assert_int_equal(read_at(0, &byte, 1), 0);
}

static void test_cut_before_and_after(void **context) {
    (void)context;
    for (size_t op = 0; op < OP_COUNT; op++) {
        cut_at(op, BATON_NOR_CUT_BEFORE, UINT32_MAX);
        uint64_t touched = state.stats.sector_erases + state.stats.block_erases
                           + state.stats.page_programs;
        assert_int_equal(touched, op);
        for (uint32_t i = 0; i < ops[op].len; i++) {
            assert_int_equal(
                    bytes[ops[op].addr + i], before_byte(op, ops[op].addr + i));
        }
        cut_at(op, BATON_NOR_CUT_AFTER, UINT32_MAX);
        for (uint32_t i = 0; i < ops[op].len; i++) {
            assert_int_equal(
                    bytes[ops[op].addr + i], done_byte(op, ops[op].addr + i));
        }
    }
}

static void expect_torn(size_t op, uint32_t torn) {
    for (uint32_t i = 0; i < ops[op].len; i++) {
        uint32_t a = ops[op].addr + i;
        uint8_t want = i < torn ? done_byte(op, a) : before_byte(op, a);
        assert_int_equal(bytes[a], want);
    }
}

static void test_cut_torn(void **context) {
    (void)context;
    for (size_t op = 0; op < OP_COUNT; op++) {
        const uint32_t lens[] = {
                0, 1, 37, ops[op].len - 1, ops[op].len, ops[op].len + 9};
        for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
            cut_at(op, BATON_NOR_CUT_TORN, lens[i]);
            uint32_t torn = lens[i] < ops[op].len ? lens[i] : ops[op].len;
            assert_int_equal(state.last_cut_torn, torn);
            expect_torn(op, torn);
        }
    }
}

static void test_cut_torn_by_seed(void **context) {
    (void)context;
    uint32_t shortest = UINT32_MAX;
    uint32_t longest = 0;
    for (uint32_t seed = 0; seed < 500; seed++) {
        for (int again = 0; again < 2; again++) {
            setup(NULL);
            state.seed = seed;
            uint8_t page[256] = {0};
            baton_nor_plan_cut(&nor, 1, BATON_NOR_CUT_TORN, UINT32_MAX);
            assert_int_equal(program(0, page, 256), BATON_ERR_IO);
            uint32_t torn = 0;
            while (torn < 256 && bytes[torn] == 0) {
                torn++;
            }
            assert_int_equal(torn, state.last_cut_torn);
            assert_in_range(torn, 1, 255);
            shortest = torn < shortest ? torn : shortest;
            longest = torn > longest ? torn : longest;
            static uint32_t first;
            if (again) {
                assert_int_equal(torn, first);
            }
            first = torn;
        }
    }
    assert_true(shortest < 16 && longest > 240);
}

static void test_cut_garbage(void **context) {
    (void)context;
    for (size_t op = 0; op < OP_COUNT; op++) {
        cut_at(op, BATON_NOR_CUT_GARBAGE, UINT32_MAX);
        uint32_t neither = 0;
        for (uint32_t i = 0; i < ops[op].len; i++) {
            uint32_t a = ops[op].addr + i;
            neither += bytes[a] != done_byte(op, a)
                       && bytes[a] != before_byte(op, a);
        }
        assert_true(neither > ops[op].len / 2);
    }
    // Rubbish of a program only clears bits.
    setup(NULL);
    memset(bytes, 0x3C, 0x1000);
    uint8_t page[256] = {0};
    baton_nor_plan_cut(&nor, 1, BATON_NOR_CUT_GARBAGE, 0);
    assert_int_equal(program(0, page, 256), BATON_ERR_IO);
    for (uint32_t i = 0; i < 256; i++) {
        assert_int_equal(bytes[i] & ~0x3C, 0);
    }
}

static uint32_t count_flipped(uint32_t addr, uint32_t len, size_t op) {
    static uint8_t buf[BATON_BLOCK_BYTES];
    assert_int_equal(read_at(addr, buf, len), 0);
    uint32_t flipped = 0;
    for (uint32_t i = 0; i < len; i++) {
        flipped +=
                (uint32_t)__builtin_popcount(buf[i] ^ done_byte(op, addr + i));
    }
    return flipped;
}

static void test_cut_weak(void **context) {
    (void)context;
    for (size_t op = 0; op < OP_COUNT; op++) {
        cut_at(op, BATON_NOR_CUT_WEAK, UINT32_MAX);
        uint32_t addr = ops[op].addr;
        uint32_t len = ops[op].len;
        assert_int_equal(count_flipped(addr, len, op), 0);
        uint32_t flipped = count_flipped(addr, len, op);
        assert_in_range(flipped, 1, len / 8);
        assert_int_equal(count_flipped(addr, len, op), flipped);
        // Part by part the same bits.
        uint32_t sum = 0;
        for (uint32_t i = 0; i < len; i += 4) {
            sum += count_flipped(addr + i, 4, op);
        }
        assert_int_equal(sum, flipped);
        // Over a new start, too.
        struct baton_nor_state kept = state;
        memset(&nor, 0, sizeof(nor));
        state = kept;
        assert_int_equal(
                baton_nor_begin(&nor, bytes, SIZE_BYTES, 1, &state, wear), 0);
        assert_int_equal(count_flipped(addr, len, op), flipped);
        // An erase heals.
        uint32_t from = addr / 0x1000 * 0x1000;
        assert_int_equal(erase(from, len < 0x1000 ? 0x1000 : len), 0);
        static uint8_t buf[BATON_BLOCK_BYTES];
        for (int i = 0; i < 2; i++) {
            assert_int_equal(read_at(addr, buf, len), 0);
            for (uint32_t b = 0; b < len; b++) {
                assert_int_equal(buf[b], 0xFF);
            }
        }
    }
}

// Each page of the range has a first read of its own.
static void test_weak_pages(void **context) {
    (void)context;
    cut_at(0, BATON_NOR_CUT_WEAK, 0);
    for (uint32_t page = 0; page < 16; page++) {
        assert_int_equal(count_flipped(0xF000 + page * 256, 24, 0), 0);
    }
    uint32_t first = count_flipped(0xF000, 0x1000, 0);
    assert_true(first > 0);
}

static uint32_t count_zero_bits(uint32_t addr, uint32_t len) {
    static uint8_t buf[BATON_BLOCK_BYTES];
    assert_int_equal(read_at(addr, buf, len), 0);
    uint32_t zeros = 0;
    for (uint32_t i = 0; i < len; i++) {
        zeros += (uint32_t)__builtin_popcount(buf[i] ^ 0xFFu);
    }
    return zeros;
}

static void cut_erase_weak(uint32_t addr, uint32_t len) {
    baton_nor_plan_cut(&nor, 1, BATON_NOR_CUT_WEAK, 0);
    assert_int_equal(erase(addr, len), BATON_ERR_IO);
    baton_nor_power_on(&nor);
}

// A sector erased in the middle of a weak block leaves both sides weak, with
// the same bits as before, whether or not there is room for a second entry.
static void test_weak_is_split(void **context) {
    (void)context;
    for (uint32_t others = 0; others < BATON_NOR_WEAK_MAX; others++) {
        setup(NULL);
        cut_erase_weak(0x10000, 0x10000);
        for (uint32_t i = 0; i < others; i++) {
            cut_erase_weak(0x30000 + i * 0x1000, 0x1000);
        }
        count_zero_bits(0x10000, 0x10000);
        uint32_t left = count_zero_bits(0x10000, 0x5000);
        uint32_t middle = count_zero_bits(0x15000, 0x1000);
        uint32_t right = count_zero_bits(0x16000, 0xA000);
        assert_true(left > 0 && middle > 0 && right > 0);
        assert_int_equal(erase(0x15000, 0x1000), 0);
        assert_int_equal(count_zero_bits(0x10000, 0x5000), left);
        assert_int_equal(count_zero_bits(0x15000, 0x1000), 0);
        assert_int_equal(count_zero_bits(0x16000, 0xA000), right);
        assert_int_equal(erase(0x10000, 0x10000), 0);
        assert_int_equal(count_zero_bits(0x10000, 0x10000), 0);
        assert_int_equal(count_zero_bits(0x10000, 0x10000), 0);
    }
}

// More weak ranges than entries: none of them becomes sound by itself.
static void test_many_weak_ranges(void **context) {
    (void)context;
    enum { COUNT = 3 * BATON_NOR_WEAK_MAX };
    for (uint32_t i = 0; i < COUNT; i++) {
        cut_erase_weak(i * 0x1000, 0x1000);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        count_zero_bits(i * 0x1000, 0x1000);
        assert_true(count_zero_bits(i * 0x1000, 0x1000) > 0);
        assert_int_equal(erase(i * 0x1000, 0x1000), 0);
        count_zero_bits(i * 0x1000, 0x1000);
        assert_int_equal(count_zero_bits(i * 0x1000, 0x1000), 0);
    }
}

// Two weak programs of one page do not hide each other's flips.
static void test_weak_programs_share_a_page(void **context) {
    (void)context;
    uint8_t zeros[32] = {0};
    for (uint32_t i = 0; i < 2; i++) {
        baton_nor_plan_cut(&nor, 1, BATON_NOR_CUT_WEAK, 0);
        assert_int_equal(program(i * 32, zeros, 32), BATON_ERR_IO);
        baton_nor_power_on(&nor);
    }
    assert_int_equal(count_zero_bits(0, 64), 512);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(count_zero_bits(i * 32, 32), 255);
    }
}

static void test_plan(void **context) {
    (void)context;
    uint8_t zero = 0;
    assert_int_equal(program(0, &zero, 1), 0);
    baton_nor_plan_cut(&nor, 2, BATON_NOR_CUT_BEFORE, 0);
    assert_int_equal(program(1, &zero, 1), 0);
    assert_int_equal(program(2, &zero, 1), BATON_ERR_IO);
    baton_nor_power_on(&nor);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(program(2 + i, &zero, 1), 0);
    }
    baton_nor_plan_cut(&nor, 1, BATON_NOR_CUT_NONE, 0);
    assert_int_equal(program(200, &zero, 1), 0);
    baton_nor_plan_cut(&nor, 0, BATON_NOR_CUT_AFTER, 0);
    assert_int_equal(program(201, &zero, 1), 0);
    assert_int_equal(state.cuts, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup(test_counts_operations, setup),
            cmocka_unit_test_setup(test_wear, setup),
            cmocka_unit_test_setup(test_profiles_and_clock, setup),
            cmocka_unit_test(test_names),
            cmocka_unit_test_setup(test_begin_refuses, setup),
            cmocka_unit_test_setup(test_violations_are_told, setup),
            cmocka_unit_test(test_cut_before_and_after),
            cmocka_unit_test(test_cut_torn),
            cmocka_unit_test(test_cut_torn_by_seed),
            cmocka_unit_test(test_cut_garbage),
            cmocka_unit_test(test_cut_weak),
            cmocka_unit_test(test_weak_pages),
            cmocka_unit_test_setup(test_weak_is_split, setup),
            cmocka_unit_test_setup(test_many_weak_ranges, setup),
            cmocka_unit_test_setup(test_weak_programs_share_a_page, setup),
            cmocka_unit_test_setup(test_plan, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
