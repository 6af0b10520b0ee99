// The trial: every cause, every count, through the real bootloader.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "../lib/trial_chip.h"

// ---- No trial ------------------------------------------------------------

static void expect_nothing(uint32_t status, uint32_t running) {
    begin(1);
    world_put_record(&world, 1, 2, status, false);
    uint64_t operations = world.state.stats.operations;
    struct baton_trial_config config = configure(0, 0);
    config.running = running;
    struct baton_trial_count count;
    assert_int_equal(
            run_trial(&config, BATON_CAUSE_CRASH, &count), BATON_TRIAL_NONE);
    assert_false(count.counted);
    assert_int_equal(baton_trial_mark_reset(&config), 0);
    assert_int_equal(
            baton_trial_end(&config, BATON_TRIAL_END_TIMEOUT), BATON_ERR_STATE);
    assert_int_equal(world.state.stats.operations, operations);
    world_end(&world);
}

static void test_no_trial(void **state) {
    (void)state;
    expect_nothing(BATON_STATE_VALID, NEW);
    expect_nothing(BATON_STATE_UNDEFINED, NEW);
    expect_nothing(BATON_STATE_ABORTED, NEW);
    expect_nothing(BATON_STATE_INVALID, NEW);
    // The record in force is another slot's, or the factory's turn.
    expect_nothing(BATON_STATE_NEW, OLD);
    expect_nothing(BATON_STATE_PENDING, OLD);
    expect_nothing(BATON_STATE_PENDING, UINT32_MAX);
    // And with no record at all.
    begin(1);
    memset(raw(0), 0xFF, 0x2000);
    struct baton_trial_config config = configure(0, 0);
    struct baton_trial_count count;
    assert_int_equal(
            run_trial(&config, BATON_CAUSE_POWER, &count), BATON_TRIAL_NONE);
    world_end(&world);
}

static void test_bad_caps(void **state) {
    (void)state;
    begin(1);
    enum baton_trial_verdict verdict;
    struct baton_trial_config config = configure(17, 0);
    assert_int_equal(
            baton_trial_boot(&config, BATON_CAUSE_POWER, &verdict, NULL),
            BATON_ERR_ARG);
    config = configure(0, 9);
    assert_int_equal(
            baton_trial_boot(&config, BATON_CAUSE_POWER, &verdict, NULL),
            BATON_ERR_ARG);
    boot();
    config = configure(16, 8);
    assert_int_equal(
            baton_trial_boot(&config, BATON_CAUSE_POWER, &verdict, NULL), 0);
    assert_int_equal(verdict, BATON_TRIAL_GOES_ON);
    assert_int_equal(
            baton_trial_end(&config, (enum baton_trial_end)3), BATON_ERR_ARG);
    world_end(&world);
}

// ---- Causes --------------------------------------------------------------

static const struct {
    enum baton_cause cause;
    bool fails;        // a boot that ended so
    bool fails_marked; // ... after baton_trial_mark_reset
} causes[] = {
        {BATON_CAUSE_UNKNOWN, true, false},
        {BATON_CAUSE_POWER, false, false},
        {BATON_CAUSE_BROWNOUT, false, false},
        {BATON_CAUSE_WAKE, false, false},
        {BATON_CAUSE_RESET, true, false},
        {BATON_CAUSE_CRASH, true, true},
        {BATON_CAUSE_WATCHDOG, true, true},
        {BATON_CAUSE_SOFT, false, false},
};
#define CAUSES (sizeof(causes) / sizeof(causes[0]))

// The second boot is judged by what ended the first; the first one never.
static void judge_cause(uint32_t unit, size_t i, bool is_marked) {
    begin(unit);
    struct baton_trial_config config = configure(0, 0);
    struct baton_trial_count count;
    assert_int_equal(boot(), NEW);
    assert_int_equal(
            run_trial(&config, causes[i].cause, &count), BATON_TRIAL_GOES_ON);
    assert_int_equal(count.boots, 1);
    assert_int_equal(count.failures, 0);
    if (is_marked) {
        assert_int_equal(baton_trial_mark_reset(&config), 0);
    }
    assert_int_equal(boot(), NEW);
    assert_int_equal(
            run_trial(&config, causes[i].cause, &count), BATON_TRIAL_GOES_ON);
    bool fails = is_marked ? causes[i].fails_marked : causes[i].fails;
    assert_int_equal(
            count.crashed, causes[i].cause == BATON_CAUSE_CRASH
                                   || causes[i].cause == BATON_CAUSE_WATCHDOG);
    assert_false(count.network);
    if (count.boots != 2 || count.failures != fails) {
        fail_msg("cause %d, marked %d: %d boots, %d failures",
                (int)causes[i].cause, is_marked, count.boots, count.failures);
    }
    // A mark is for its own boot alone.
    assert_int_equal(boot(), NEW);
    run_trial(&config, causes[i].cause, &count);
    assert_int_equal(count.failures, fails + causes[i].fails);
    world_end(&world);
}

static void test_causes(void **state) {
    (void)state;
    for (size_t u = 0; u < UNITS; u++) {
        for (size_t i = 0; i < CAUSES; i++) {
            judge_cause(units[u], i, false);
            judge_cause(units[u], i, true);
        }
    }
}

// A mark for each of the 16 boots.
static void test_marks(void **state) {
    (void)state;
    for (size_t u = 0; u < UNITS; u++) {
        begin(units[u]);
        struct baton_trial_config config = configure(16, 1);
        struct baton_trial_count count;
        for (int i = 1; i <= 16; i++) {
            assert_int_equal(boot(), NEW);
            assert_int_equal(run_trial(&config, BATON_CAUSE_RESET, &count),
                    BATON_TRIAL_GOES_ON);
            assert_int_equal(count.boots, i);
            assert_int_equal(count.failures, 0);
            assert_int_equal(baton_trial_mark_reset(&config), 0);
        }
        world_end(&world);
    }
}

// ---- Caps ----------------------------------------------------------------

static void run_to_cap(uint32_t unit, uint8_t max_boots, uint8_t max_failures,
        enum baton_cause cause) {
    begin(unit);
    struct baton_trial_config config = configure(max_boots, max_failures);
    struct baton_trial_count count;
    int boots = max_boots != 0 ? max_boots : 10;
    int failures = max_failures != 0 ? max_failures : 3;
    bool is_failure = cause == BATON_CAUSE_CRASH;
    int allowed = is_failure && failures < boots ? failures : boots;
    for (int i = 1; i <= allowed; i++) {
        assert_int_equal(boot(), NEW);
        assert_int_equal(
                run_trial(&config, cause, &count), BATON_TRIAL_GOES_ON);
        assert_int_equal(count.boots, i);
        assert_int_equal(count.failures, is_failure ? i - 1 : 0);
    }
    assert_int_equal(boot(), NEW);
    assert_int_equal(run_trial(&config, cause, &count), BATON_TRIAL_OVER);
    uint8_t fails = is_failure ? (uint8_t)allowed : 0;
    assert_int_equal(count.failures, fails);
    expect_rollback(&config, (uint8_t)allowed, fails);
    world_end(&world);
}

static void test_caps(void **state) {
    (void)state;
    for (size_t u = 0; u < UNITS; u++) {
        for (uint8_t boots = 0; boots <= 16; boots++) {
            run_to_cap(units[u], boots, 0, BATON_CAUSE_POWER);
            run_to_cap(units[u], boots, 8, BATON_CAUSE_CRASH);
        }
        for (uint8_t failures = 0; failures <= 8; failures++) {
            run_to_cap(units[u], 16, failures, BATON_CAUSE_CRASH);
        }
    }
}

// On flash that clears bits a trial's boot is two programs and no erase.
static void test_costs(void **state) {
    (void)state;
    begin(1);
    struct baton_trial_config config = configure(0, 0);
    struct baton_trial_count count;
    boot();
    struct baton_nor_stats then = world.state.stats;
    run_trial(&config, BATON_CAUSE_CRASH, &count);
    assert_int_equal(world.state.stats.operations - then.operations, 2);
    assert_int_equal(
            world.state.stats.bytes_programmed - then.bytes_programmed, 2);
    assert_int_equal(baton_trial_mark_reset(&config), 0);
    assert_int_equal(world.state.stats.operations - then.operations, 3);
    assert_int_equal(world.state.stats.sector_erases, then.sector_erases);
    // Marking twice is marking once.
    assert_int_equal(baton_trial_mark_reset(&config), 0);
    assert_int_equal(world.state.stats.operations - then.operations, 3);
    world_end(&world);
}

// ---- Without the bootloader ----------------------------------------------

// Soft resets, and wakes that skip the bootloader's decision, find the record
// NEW. They count; and OVER takes the trial out of the next real boot.
static void test_shortcuts(void **state) {
    (void)state;
    static const enum baton_cause shortcuts[] = {
            BATON_CAUSE_SOFT, BATON_CAUSE_WAKE};
    for (size_t u = 0; u < UNITS * 2; u++) {
        enum baton_cause cause = shortcuts[u % 2];
        begin(units[u / 2]);
        struct baton_trial_config config = configure(3, 0);
        struct baton_trial_count count;
        assert_int_equal(boot(), NEW);
        for (int i = 1; i <= 3; i++) {
            assert_int_equal(
                    run_trial(&config, cause, &count), BATON_TRIAL_GOES_ON);
            assert_int_equal(count.boots, i);
            assert_int_equal(record_of(1).state, BATON_STATE_NEW);
        }
        assert_int_equal(run_trial(&config, cause, &count), BATON_TRIAL_OVER);
        assert_int_equal(record_of(1).state, BATON_STATE_PENDING);
        uint64_t operations = world.state.stats.operations;
        assert_int_equal(run_trial(&config, cause, &count), BATON_TRIAL_OVER);
        assert_int_equal(world.state.stats.operations, operations);
        expect_rollback(&config, 3, 0);
        world_end(&world);
    }
}

// ---- Ends ----------------------------------------------------------------

static const struct {
    enum baton_trial_end why;
    uint8_t failures;
    bool inconclusive;
    bool given_up;
} ends[] = {
        {BATON_TRIAL_END_TIMEOUT, 1, false, false},
        {BATON_TRIAL_END_INCONCLUSIVE, 0, true, false},
        {BATON_TRIAL_END_GIVEN_UP, 0, false, true},
};
#define ENDS 3u

static void run_end(uint32_t unit, size_t i, bool is_armed) {
    begin(unit);
    struct baton_trial_config config = configure(0, 0);
    struct baton_slot_record record;
    struct baton_trial_count count;
    assert_int_equal(boot(), NEW);
    if (is_armed) {
        run_trial(&config, BATON_CAUSE_RESET, &count);
    }
    assert_int_equal(baton_trial_end(&config, ends[i].why), 0);
    assert_int_equal(record_of(1).state, BATON_STATE_PENDING);
    expect_rollback(&config, is_armed, ends[i].failures);
    assert_int_equal(baton_trial_look(&config, NEW, &record, &count), 0);
    assert_int_equal(count.counted, is_armed);
    assert_int_equal(count.inconclusive, ends[i].inconclusive);
    assert_int_equal(count.given_up, ends[i].given_up);
    assert_int_equal(count.network, ends[i].failures);
    assert_false(count.crashed);
    world_end(&world);
}

static void test_ends(void **state) {
    (void)state;
    for (size_t u = 0; u < UNITS; u++) {
        for (size_t i = 0; i < ENDS; i++) {
            run_end(units[u], i, true);
            run_end(units[u], i, false);
        }
    }
}

// Noted once for a trial, where that costs no rewrite.
static void test_network(void **state) {
    (void)state;
    for (size_t u = 0; u < UNITS; u++) {
        begin(units[u]);
        struct baton_trial_config config = configure(0, 0);
        struct baton_slot_record record;
        struct baton_trial_count count;
        assert_int_equal(boot(), NEW);
        run_trial(&config, BATON_CAUSE_RESET, &count);
        assert_false(count.network);
        uint64_t operations = world.state.stats.operations;
        assert_int_equal(baton_trial_note_network(&config), 0);
        assert_int_equal(baton_trial_note_network(&config), 0);
        bool is_noted = units[u] <= 4;
        assert_int_equal(world.state.stats.operations, operations + is_noted);
        assert_int_equal(boot(), NEW);
        run_trial(&config, BATON_CAUSE_POWER, &count);
        assert_int_equal(count.network, is_noted);
        assert_int_equal(count.boots, 2);
        assert_int_equal(baton_trial_end(&config, BATON_TRIAL_END_GIVEN_UP), 0);
        assert_int_equal(boot(), OLD);
        assert_int_equal(baton_trial_look(&config, NEW, &record, &count), 0);
        assert_int_equal(count.network, is_noted);
        // Confirmed and settled versions have nothing to note.
        operations = world.state.stats.operations;
        config.running = OLD;
        assert_int_equal(baton_trial_note_network(&config), 0);
        assert_int_equal(world.state.stats.operations, operations);
        world_end(&world);
    }
}

// ---- Labels --------------------------------------------------------------

static void put_label(const char *label, size_t len) {
    uint8_t *at = raw(1);
    memcpy(at + 4, label, len);
}

// Somebody else's bytes are no count, and the rest of them stays.
static void test_foreign_labels(void **state) {
    (void)state;
    static const char *const labels[] = {"ota_1_release_v1.2.3",
            "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            "\xff\xfe\xff\xff\xff\xff"
            "--------------",
            "\xfe\xff\xfd\xff\xff\xff--------------",
            "\x7f\xff\xff\xff\xff\xff--------------"};
    for (size_t u = 0; u < UNITS; u++) {
        for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
            begin(units[u]);
            put_label(labels[i], BATON_OTADATA_LABEL_BYTES);
            struct baton_trial_config config = configure(2, 0);
            struct baton_trial_count count;
            for (int n = 1; n <= 2; n++) {
                assert_int_equal(boot(), NEW);
                assert_int_equal(run_trial(&config, BATON_CAUSE_POWER, &count),
                        BATON_TRIAL_GOES_ON);
                assert_int_equal(count.boots, n);
                assert_int_equal(count.failures, 0);
            }
            assert_memory_equal(
                    raw(1) + 4 + BATON_OTADATA_COUNT_BYTES, labels[i] + 7, 13);
            assert_int_equal(boot(), NEW);
            assert_int_equal(run_trial(&config, BATON_CAUSE_POWER, &count),
                    BATON_TRIAL_OVER);
            expect_rollback(&config, 2, 0);
            world_end(&world);
        }
    }
}

// A foreign label tells nothing, and marks and ends do no harm.
static void test_foreign_label_alone(void **state) {
    (void)state;
    begin(1);
    put_label("factory build 2026!!", BATON_OTADATA_LABEL_BYTES);
    assert_int_equal(boot(), NEW);
    struct baton_trial_config config = configure(0, 0);
    struct baton_slot_record record;
    struct baton_trial_count count;
    assert_int_equal(baton_trial_look(&config, NEW, &record, &count), 0);
    assert_false(count.counted || count.over || count.given_up);
    uint64_t operations = world.state.stats.operations;
    assert_int_equal(baton_trial_mark_reset(&config), 0);
    assert_int_equal(world.state.stats.operations, operations);
    assert_int_equal(baton_trial_end(&config, BATON_TRIAL_END_GIVEN_UP), 0);
    assert_int_equal(boot(), OLD);
    assert_int_equal(baton_trial_look(&config, NEW, &record, &count), 0);
    assert_true(count.given_up && count.over);
    world_end(&world);
}

// As esp_ota_set_boot_partition does it: the label stays.
static void set_boot_as_vendor(uint32_t slot) {
    struct baton_slots slots;
    int copy;
    struct baton_slot_record record;
    const struct baton_flash *flash = &world.nor.flash;
    assert_int_equal(baton_slots_load(flash, ADDR, &slots), 0);
    assert_int_equal(baton_slots_plan(&slots, 2, slot, BATON_STATE_NEW,
                             BATON_SLOTS_OTHER_COPY, &copy, &record),
            0);
    assert_int_equal(baton_slots_store(flash, ADDR, copy, &record), 0);
}

// The same slot is tried again. by_vendor: the label of the last trial is still
// there; it is that of a trial Baton ended, or of one the bootloader did.
static void try_again(uint32_t unit, bool by_vendor, bool was_ended) {
    begin(unit);
    struct baton_trial_config config = configure(3, 2);
    struct baton_trial_count count;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(boot(), NEW);
        run_trial(&config, BATON_CAUSE_CRASH, &count);
    }
    assert_int_equal(boot(), NEW);
    if (was_ended) {
        assert_int_equal(run_trial(&config, BATON_CAUSE_CRASH, &count),
                BATON_TRIAL_OVER);
    }
    assert_int_equal(boot(), OLD);
    if (by_vendor) {
        set_boot_as_vendor(NEW);
    } else {
        assert_int_equal(baton_slots_switch(&world.nor.flash, ADDR, 2, NEW,
                                 BATON_STATE_NEW, BATON_SLOTS_OTHER_COPY),
                0);
    }
    assert_int_equal(boot(), NEW);
    assert_int_equal(
            run_trial(&config, BATON_CAUSE_POWER, &count), BATON_TRIAL_GOES_ON);
    bool goes_on = by_vendor && !was_ended;
    assert_int_equal(count.boots, goes_on ? 3 : 1);
    assert_int_equal(count.failures, goes_on ? 1 : 0);
    world_end(&world);
}

static void test_second_trial(void **state) {
    (void)state;
    for (size_t u = 0; u < UNITS; u++) {
        for (int i = 0; i < 4; i++) {
            try_again(units[u], (i & 1) != 0, (i & 2) != 0);
        }
    }
}

// ---- Looking back --------------------------------------------------------

static void test_look(void **state) {
    (void)state;
    begin(1);
    struct baton_trial_config config = configure(0, 0);
    struct baton_slot_record record;
    struct baton_trial_count count;
    // A first boot that the power ended before anything was counted.
    assert_int_equal(boot(), NEW);
    assert_int_equal(boot(), OLD);
    assert_int_equal(baton_trial_look(&config, NEW, &record, &count), 0);
    assert_int_equal(record.state, BATON_STATE_ABORTED);
    assert_int_equal(record.seq, 2);
    assert_false(count.counted || count.over);
    assert_int_equal(baton_trial_look(&config, OLD, &record, NULL), 0);
    assert_int_equal(record.state, BATON_STATE_VALID);
    // Two records of one slot: the newer; of equal ones, copy 0.
    world_put_record(&world, 0, 4, BATON_STATE_VALID, false);
    assert_int_equal(baton_trial_look(&config, NEW, &record, &count), 0);
    assert_int_equal(record.seq, 4);
    world_put_record(&world, 0, 2, BATON_STATE_NEW, false);
    assert_int_equal(baton_trial_look(&config, NEW, &record, &count), 0);
    assert_int_equal(record.state, BATON_STATE_NEW);
    // None that is whole.
    world_put_record(&world, 0, 2, BATON_STATE_NEW, true);
    memset(raw(1), 0xFF, 32);
    assert_int_equal(baton_trial_look(&config, NEW, &record, &count), 0);
    assert_int_equal(record.seq, UINT32_MAX);
    assert_false(count.counted);
    world_end(&world);
}

// Both records point at the running slot, as ESP-IDF before 6.0 leaves it when
// the running slot is chosen again: the one in force is on trial.
static void test_same_slot_twice(void **state) {
    (void)state;
    begin(1);
    world_put_record(&world, 0, 2, BATON_STATE_NEW, false);
    world_put_record(&world, 1, 2, BATON_STATE_VALID, false);
    assert_int_equal(boot(), NEW);
    struct baton_trial_config config = configure(1, 0);
    struct baton_trial_count count;
    assert_int_equal(
            run_trial(&config, BATON_CAUSE_RESET, &count), BATON_TRIAL_GOES_ON);
    assert_int_equal(boot(), NEW);
    assert_int_equal(
            run_trial(&config, BATON_CAUSE_POWER, &count), BATON_TRIAL_OVER);
    uint8_t other[32];
    memcpy(other, raw(1), sizeof(other));
    assert_int_equal(boot(), NEW); // by the other record, confirmed
    assert_int_equal(
            run_trial(&config, BATON_CAUSE_RESET, &count), BATON_TRIAL_NONE);
    assert_memory_equal(raw(1), other, sizeof(other));
    world_end(&world);
}

// ---- Beside the other calls ----------------------------------------------

// A record that was re-armed says NEW while it runs: it can be confirmed and
// rejected, and settle leaves it alone.
static void judge_rearmed(uint32_t unit, bool other_boots) {
    begin(unit);
    struct baton_trial_config config = configure(0, 0);
    struct baton_trial_count count;
    assert_int_equal(boot(), NEW);
    run_trial(&config, BATON_CAUSE_RESET, &count);
    assert_int_equal(record_of(1).state, BATON_STATE_NEW);
    uint64_t operations = world.state.stats.operations;
    assert_int_equal(baton_slots_settle(&world.nor.flash, ADDR, 2, NEW), 0);
    assert_int_equal(world.state.stats.operations, operations);
    assert_int_equal(
            baton_slots_confirm(&world.nor.flash, ADDR, 2, NEW, other_boots),
            0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(boot(), NEW);
        assert_int_equal(run_trial(&config, BATON_CAUSE_CRASH, &count),
                BATON_TRIAL_NONE);
    }
    struct baton_slot_record record;
    assert_int_equal(baton_trial_look(&config, NEW, &record, &count), 0);
    assert_int_equal(record.state, BATON_STATE_VALID);
    assert_false(count.counted);
    world_end(&world);
}

static void test_rearmed(void **state) {
    (void)state;
    for (size_t u = 0; u < UNITS; u++) {
        judge_rearmed(units[u], true);
        judge_rearmed(units[u], false);
        begin(units[u]);
        struct baton_trial_config config = configure(0, 0);
        struct baton_trial_count count;
        assert_int_equal(boot(), NEW);
        run_trial(&config, BATON_CAUSE_RESET, &count);
        assert_int_equal(baton_slots_reject(&world.nor.flash, ADDR, 2, NEW), 0);
        assert_int_equal(boot(), OLD);
        assert_int_equal(record_of(1).state, BATON_STATE_INVALID);
        world_end(&world);
    }
}

// A state that nobody writes is on trial, too: the bootloader would boot it for
// ever.
static void test_unknown_state(void **state) {
    (void)state;
    for (size_t u = 0; u < UNITS; u++) {
        begin(units[u]);
        world_put_record(&world, 1, 2, 0x10001, false);
        struct baton_trial_config config = configure(1, 0);
        struct baton_trial_count count;
        assert_int_equal(boot(), NEW);
        assert_int_equal(run_trial(&config, BATON_CAUSE_POWER, &count),
                BATON_TRIAL_GOES_ON);
        assert_int_equal(record_of(1).state, BATON_STATE_NEW);
        assert_int_equal(boot(), NEW);
        assert_int_equal(run_trial(&config, BATON_CAUSE_POWER, &count),
                BATON_TRIAL_OVER);
        expect_rollback(&config, 1, 0);
        world_end(&world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_no_trial),
            cmocka_unit_test(test_bad_caps),
            cmocka_unit_test(test_causes),
            cmocka_unit_test(test_marks),
            cmocka_unit_test(test_caps),
            cmocka_unit_test(test_costs),
            cmocka_unit_test(test_shortcuts),
            cmocka_unit_test(test_ends),
            cmocka_unit_test(test_network),
            cmocka_unit_test(test_foreign_labels),
            cmocka_unit_test(test_foreign_label_alone),
            cmocka_unit_test(test_second_trial),
            cmocka_unit_test(test_look),
            cmocka_unit_test(test_same_slot_twice),
            cmocka_unit_test(test_rearmed),
            cmocka_unit_test(test_unknown_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
