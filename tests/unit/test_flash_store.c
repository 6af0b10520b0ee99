// The store in two sectors: what it keeps, and what every cut leaves.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "baton-freestanding/flash_store.h"
#include "baton-posix/nor.h"
#include "baton/error.h"

#define FLASH_BYTES 0x10000u
#define STORE_ADDR  0x2000u
#define WORK_BYTES  4640u

static uint8_t bytes[FLASH_BYTES];
static uint8_t kept[FLASH_BYTES];
static uint8_t work[WORK_BYTES];
static struct baton_nor nor;
static struct baton_nor_state nor_state;
static struct baton_flash_store store;

static void begin_chip(uint32_t program_bytes) {
    memset(bytes, 0xFF, sizeof(bytes));
    memset(&nor_state, 0, sizeof(nor_state));
    assert_int_equal(baton_nor_begin(&nor, bytes, sizeof(bytes), program_bytes,
                             &nor_state, NULL),
            0);
}

// The chip as `kept` has it, and nothing of it weak.
static void restore(void) {
    begin_chip(1);
    memcpy(bytes, kept, sizeof(bytes));
}

static int boot(void) {
    memset(work, 0xA5, sizeof(work));
    return baton_flash_store_begin(
            &store, &nor.flash, STORE_ADDR, work, sizeof(work));
}

static int set(const char *key, const char *value) {
    return store.store.set(store.store.context, key, value, strlen(value));
}

static const char *get(const char *key) {
    static char value[64];
    size_t len = sizeof(value) - 1;
    int err = store.store.get(store.store.context, key, value, &len);
    if (err == BATON_ERR_NOENT) {
        return NULL;
    }
    assert_int_equal(err, 0);
    value[len] = 0;
    return value;
}

static void test_keeps_values(void **state) {
    (void)state;
    static const uint32_t units[] = {1, 4, 16, 32};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        begin_chip(units[i]);
        assert_int_equal(boot(), 0);
        assert_null(get("a"));
        assert_int_equal(set("a", "one"), 0);
        assert_int_equal(set("b", ""), 0);
        assert_int_equal(set("fifteen-letters", "three"), 0);
        assert_int_equal(set("a", "a longer one"), 0);
        for (int turn = 0; turn < 2; turn++) {
            assert_string_equal(get("a"), "a longer one");
            assert_string_equal(get("b"), "");
            assert_string_equal(get("fifteen-letters"), "three");
            assert_null(get("fifteen-letter"));
            assert_int_equal(boot(), 0);
        }
        assert_int_equal(store.store.remove(&store, "b"), 0);
        assert_int_equal(store.store.remove(&store, "b"), 0);
        assert_int_equal(boot(), 0);
        assert_null(get("b"));
        assert_string_equal(get("a"), "a longer one");
        assert_int_equal(nor_state.stats.violations, 0);
    }
}

static void test_limits(void **state) {
    (void)state;
    static uint8_t large[2048];
    begin_chip(1);
    assert_int_equal(boot(), 0);
    struct baton_store *s = &store.store;
    memset(large, 0x5A, sizeof(large));
    assert_int_equal(s->set(s->context, "large", large, sizeof(large)), 0);
    assert_int_equal(set("small", "value"), 0);
    assert_int_equal(s->set(s->context, "large2", large, 300), BATON_ERR_NOSPC);
    assert_int_equal(s->set(s->context, "", "x", 1), BATON_ERR_ARG);
    assert_int_equal(
            s->set(s->context, "sixteen-letters-", "x", 1), BATON_ERR_ARG);
    assert_int_equal(boot(), 0);
    size_t len = 100;
    assert_int_equal(s->get(s->context, "large", work, &len), BATON_ERR_NOSPC);
    assert_int_equal(len, sizeof(large));
    assert_string_equal(get("small"), "value");
    // Not aligned, too small, larger than a sector.
    assert_int_equal(baton_flash_store_begin(
                             &store, &nor.flash, 100, work, sizeof(work)),
            BATON_ERR_ARG);
    assert_int_equal(baton_flash_store_begin(&store, &nor.flash, 0, work, 100),
            BATON_ERR_ARG);
    assert_int_equal(baton_flash_store_begin(&store, &nor.flash, 0, work, 9000),
            BATON_ERR_ARG);
}

static void test_writes_only_changes(void **state) {
    (void)state;
    begin_chip(1);
    assert_int_equal(boot(), 0);
    assert_int_equal(nor_state.stats.operations, 0);
    assert_int_equal(set("a", "one"), 0);
    uint64_t operations = nor_state.stats.operations;
    assert_int_equal(set("a", "one"), 0);
    assert_int_equal(boot(), 0);
    assert_int_equal(set("a", "one"), 0);
    assert_int_equal(nor_state.stats.operations, operations);
    // The sector that this run has erased is not erased again.
    assert_int_equal(set("a", "two"), 0);
    uint64_t erases = nor_state.stats.sector_erases;
    assert_int_equal(set("a", "three"), 0);
    assert_int_equal(nor_state.stats.sector_erases, erases + 1);
}

// One change from `old` to `new`, "keep" beside it; then three boots. Returns
// false when the cut lies behind it.
static bool cut_once(enum baton_nor_cut mode, uint64_t at, uint32_t seed) {
    restore();
    assert_int_equal(boot(), 0);
    nor_state.seed = seed;
    baton_nor_plan_cut(&nor, at, mode, UINT32_MAX);
    int err = set("value", "new");
    bool was_cut = nor_state.powered == 0;
    baton_nor_power_on(&nor);
    if (!was_cut) {
        baton_nor_plan_cut(&nor, 0, BATON_NOR_CUT_NONE, 0);
        assert_int_equal(err, 0);
    }
    const char *first = NULL;
    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(boot(), 0);
        assert_string_equal(get("keep"), "this");
        const char *now = strcmp(get("value"), "old") == 0 ? "old" : "new";
        assert_string_equal(get("value"), now);
        if (first != NULL && strcmp(first, now) != 0) {
            fail_msg("%s at %d, seed %u: %s, then %s", baton_nor_cut_name(mode),
                    (int)at, (unsigned)seed, first, now);
        }
        if (!was_cut) {
            assert_string_equal(now, "new");
        }
        first = now;
    }
    return was_cut;
}

// Every operation of a change, cut in every way; and a second cut in what the
// boot after it does.
static void test_cuts(void **state) {
    (void)state;
    begin_chip(1);
    assert_int_equal(boot(), 0);
    assert_int_equal(set("keep", "this"), 0);
    assert_int_equal(set("value", "old"), 0);
    memcpy(kept, bytes, sizeof(kept));
    int cuts = 0;
    for (int mode = BATON_NOR_CUT_BEFORE; mode <= BATON_NOR_CUT_WEAK; mode++) {
        for (uint32_t seed = 1; seed <= 20; seed++) {
            for (uint64_t at = 1; cut_once((enum baton_nor_cut)mode, at, seed);
                    at++) {
                cuts++;
            }
        }
    }
    assert_true(cuts >= 5 * 20 * 3);
}

static void test_cut_twice(void **state) {
    (void)state;
    begin_chip(1);
    assert_int_equal(boot(), 0);
    assert_int_equal(set("keep", "this"), 0);
    assert_int_equal(set("value", "old"), 0);
    memcpy(kept, bytes, sizeof(kept));
    for (int mode = BATON_NOR_CUT_BEFORE; mode <= BATON_NOR_CUT_WEAK; mode++) {
        for (uint64_t at = 1; at <= 4; at++) {
            for (uint64_t again = 1; again <= 4; again++) {
                for (int second = mode; second <= BATON_NOR_CUT_WEAK;
                        second++) {
                    restore();
                    assert_int_equal(boot(), 0);
                    baton_nor_plan_cut(
                            &nor, at, (enum baton_nor_cut)mode, UINT32_MAX);
                    (void)set("value", "new");
                    baton_nor_power_on(&nor);
                    baton_nor_plan_cut(&nor, again, (enum baton_nor_cut)second,
                            UINT32_MAX);
                    (void)boot();
                    baton_nor_power_on(&nor);
                    baton_nor_plan_cut(&nor, 0, BATON_NOR_CUT_NONE, 0);
                    assert_int_equal(boot(), 0);
                    assert_string_equal(get("keep"), "this");
                    assert_non_null(get("value"));
                }
            }
        }
    }
}

// What is not a store's is an empty store, whatever it is.
static void test_rubbish(void **state) {
    (void)state;
    begin_chip(1);
    uint32_t seed = 7;
    for (int turn = 0; turn < 300; turn++) {
        for (size_t i = STORE_ADDR; i < STORE_ADDR + 0x2000; i++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[i] = (uint8_t)(seed >> 24);
        }
        // Heads that ask for a closer look.
        memcpy(bytes + STORE_ADDR, "BST1", 4);
        memcpy(bytes + STORE_ADDR + 8, "\x10\0\0\0", 4);
        memcpy(bytes + STORE_ADDR + 0x1000, "BST1", 4);
        assert_int_equal(boot(), 0);
        assert_null(get("a"));
        assert_int_equal(set("a", "x"), 0);
        assert_int_equal(boot(), 0);
        assert_string_equal(get("a"), "x");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_keeps_values),
            cmocka_unit_test(test_limits),
            cmocka_unit_test(test_writes_only_changes),
            cmocka_unit_test(test_cuts),
            cmocka_unit_test(test_cut_twice),
            cmocka_unit_test(test_rubbish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
