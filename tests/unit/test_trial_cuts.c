// The trial, cut at every operation: what a power cut leaves of it.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "../lib/trial_chip.h"

enum deed {
    DEED_BOOT, // as every boot
    DEED_MARK,
    DEED_END,
    DEED_CRASH_OVER, // a boot that reaches the cap of failures
    DEED_SOFT_OVER,  // a soft reset that reaches the cap of boots
    DEED_CONFIRM,
    DEEDS,
};

// Boots and counts `boots` times; the deed follows.
static void prepare_deed(uint32_t unit, enum deed deed, int boots) {
    begin(unit);
    struct baton_trial_config config = configure(0, 0);
    struct baton_trial_count count;
    for (int i = 0; i < boots; i++) {
        assert_int_equal(boot(), NEW);
        run_trial(&config, BATON_CAUSE_POWER, &count);
    }
    if (deed == DEED_BOOT || deed == DEED_CRASH_OVER) {
        assert_int_equal(boot(), NEW);
    }
}

static void do_deed(enum deed deed, int boots) {
    struct baton_trial_config config = configure(0, 0);
    enum baton_trial_verdict verdict;
    switch (deed) {
    case DEED_MARK:
        (void)baton_trial_mark_reset(&config);
        break;
    case DEED_END:
        (void)baton_trial_end(&config, BATON_TRIAL_END_INCONCLUSIVE);
        break;
    case DEED_CRASH_OVER:
        config.max_failures = 1;
        (void)baton_trial_boot(&config, BATON_CAUSE_CRASH, &verdict, NULL);
        break;
    case DEED_SOFT_OVER:
        config.max_boots = (uint8_t)boots;
        (void)baton_trial_boot(&config, BATON_CAUSE_SOFT, &verdict, NULL);
        break;
    case DEED_CONFIRM:
        (void)baton_slots_confirm(config.flash, ADDR, 2, NEW, true);
        break;
    default:
        (void)baton_trial_boot(&config, BATON_CAUSE_POWER, &verdict, NULL);
        break;
    }
}

// After the cut: whatever runs, the trial comes to its end within its caps, and
// the old version is never lost. Returns the number of boots the new one got.
static int end_trial(const char *what) {
    static const uint8_t max_boots = 10;
    struct baton_trial_config config = configure(max_boots, 0);
    enum baton_trial_verdict verdict;
    for (int i = 0; i < 30; i++) {
        int index = boot();
        if (memcmp(raw(0), "\1\0\0\0", 4) != 0 || raw(0)[24] != 2) {
            fail_msg("%s: the old version's record was touched", what);
        }
        if (index == OLD) {
            return i;
        }
        if (index != NEW) {
            fail_msg("%s: boots %d", what, index);
        }
        assert_int_equal(baton_slots_settle(&world.nor.flash, ADDR, 2, NEW), 0);
        assert_int_equal(
                baton_trial_boot(&config, BATON_CAUSE_POWER, &verdict, NULL),
                0);
        if (verdict == BATON_TRIAL_NONE) {
            return -1; // confirmed
        }
    }
    fail_msg("%s: the trial does not end", what);
    return 0;
}

static void judge_cut(enum deed deed, int trial_boots, const char *what) {
    if (deed == DEED_CONFIRM) {
        return; // confirmed, on trial, or back: each is right
    }
    if (trial_boots < 0) {
        fail_msg("%s: an unconfirmed version is confirmed", what);
    }
    // Boots before the cut are part of the count, but for a cut that made
    // rubbish of it: then it can begin anew once.
    if (trial_boots > 11) {
        fail_msg("%s: %d boots more", what, trial_boots);
    }
}

static bool cut_deed(uint32_t unit, enum deed deed, int boots,
        const struct baton_nor_state *plan) {
    char what[96];
    prepare_deed(unit, deed, boots);
    world.state.seed = plan->seed;
    baton_nor_plan_cut(&world.nor, plan->cut_at,
            (enum baton_nor_cut)plan->cut_mode, plan->cut_torn);
    do_deed(deed, boots);
    bool was_cut = world.state.powered == 0;
    snprintf(what, sizeof(what), "unit %u, deed %d after %d, cut %d:%s:%u",
            (unsigned)unit, (int)deed, boots, (int)plan->cut_at,
            baton_nor_cut_name((enum baton_nor_cut)plan->cut_mode),
            (unsigned)plan->cut_torn);
    baton_nor_power_on(&world.nor);
    world.state.cut_at = 0;
    judge_cut(deed, end_trial(what), what);
    world_end(&world);
    return was_cut;
}

static uint32_t cut_everywhere(uint32_t unit, enum deed deed, int boots) {
    uint32_t cuts = 0;
    for (uint32_t mode = BATON_NOR_CUT_BEFORE; mode <= BATON_NOR_CUT_WEAK;
            mode++) {
        bool is_torn = mode == BATON_NOR_CUT_TORN;
        bool is_random =
                mode == BATON_NOR_CUT_GARBAGE || mode == BATON_NOR_CUT_WEAK;
        uint32_t variants = is_torn ? 33 : is_random ? 24 : 1;
        for (uint32_t v = 0; v < variants; v++) {
            struct baton_nor_state plan = {.cut_mode = mode,
                    .cut_torn = is_torn ? v : UINT32_MAX,
                    .seed = v + 1};
            for (plan.cut_at = 1; cut_deed(unit, deed, boots, &plan);
                    plan.cut_at++) {
                cuts++;
            }
        }
    }
    return cuts;
}

static void test_cuts(void **state) {
    (void)state;
    uint32_t cuts = 0;
    for (size_t u = 0; u < UNITS; u++) {
        for (int deed = 0; deed < DEEDS; deed++) {
            for (int boots = 1; boots <= 3; boots++) {
                uint32_t here =
                        cut_everywhere(units[u], (enum deed)deed, boots);
                assert_true(here > 0);
                cuts += here;
            }
        }
    }
    print_message("%u cuts\n", (unsigned)cuts);
    assert_true(cuts > 5000);
}

// A cut before the bit is cleared leaves the vendor's one boot: the old version
// is back, and the count tells how far the new one came.
static void test_cut_before_rearm(void **state) {
    (void)state;
    for (uint64_t at = 1; at <= 2; at++) {
        begin(1);
        assert_int_equal(boot(), NEW);
        baton_nor_plan_cut(&world.nor, at, BATON_NOR_CUT_BEFORE, 0);
        struct baton_trial_config config = configure(0, 0);
        enum baton_trial_verdict verdict;
        assert_int_equal(
                baton_trial_boot(&config, BATON_CAUSE_POWER, &verdict, NULL),
                BATON_ERR_IO);
        assert_int_equal(verdict, BATON_TRIAL_NONE);
        baton_nor_power_on(&world.nor);
        assert_int_equal(boot(), OLD);
        struct baton_slot_record record;
        struct baton_trial_count count;
        assert_int_equal(baton_trial_look(&config, NEW, &record, &count), 0);
        assert_int_equal(record.state, BATON_STATE_ABORTED);
        assert_int_equal(count.counted, at == 2);
        assert_false(count.over);
        world_end(&world);
    }
}

// An end whose rewrite was cut is completed by the next boot.
static void test_cut_end(void **state) {
    (void)state;
    begin(1);
    struct baton_trial_config config = configure(0, 0);
    struct baton_trial_count count;
    assert_int_equal(boot(), NEW);
    run_trial(&config, BATON_CAUSE_RESET, &count);
    // The label is written, the erase has not begun.
    baton_nor_plan_cut(&world.nor, 2, BATON_NOR_CUT_BEFORE, 0);
    assert_int_equal(
            baton_trial_end(&config, BATON_TRIAL_END_GIVEN_UP), BATON_ERR_IO);
    baton_nor_power_on(&world.nor);
    assert_int_equal(boot(), NEW);
    assert_int_equal(
            run_trial(&config, BATON_CAUSE_POWER, &count), BATON_TRIAL_OVER);
    assert_true(count.given_up);
    expect_rollback(&config, 1, 0);
    world_end(&world);
}

// What a cut left weak is mended where no bootloader rewrote it in between.
static void test_weak_label(void **state) {
    (void)state;
    uint32_t mended = 0;
    for (uint32_t seed = 1; seed <= 64; seed++) {
        begin(1);
        struct baton_trial_config config = configure(0, 0);
        struct baton_trial_count count;
        assert_int_equal(boot(), NEW);
        run_trial(&config, BATON_CAUSE_RESET, &count);
        world.state.seed = seed;
        baton_nor_plan_cut(&world.nor, 1, BATON_NOR_CUT_WEAK, 0);
        assert_int_equal(baton_trial_mark_reset(&config), BATON_ERR_IO);
        baton_nor_power_on(&world.nor);
        uint64_t erases = world.state.stats.sector_erases;
        assert_int_equal(run_trial(&config, BATON_CAUSE_WAKE, &count),
                BATON_TRIAL_GOES_ON);
        mended += world.state.stats.sector_erases != erases;
        assert_int_equal(boot(), NEW);
        assert_int_equal(run_trial(&config, BATON_CAUSE_POWER, &count),
                BATON_TRIAL_GOES_ON);
        assert_int_equal(count.boots, 3);
        world_end(&world);
    }
    assert_true(mended > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_cuts),
            cmocka_unit_test(test_cut_before_rearm),
            cmocka_unit_test(test_cut_end),
            cmocka_unit_test(test_weak_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
