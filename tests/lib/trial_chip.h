// A chip with an old version and a new one on trial.
// SPDX-License-Identifier: MIT
//
// After cmocka's headers.
#ifndef BATON_TESTS_TRIAL_CHIP_H
#define BATON_TESTS_TRIAL_CHIP_H

#include "baton/error.h"
#include "baton/trial.h"
#include "world.h"

#define OLD  0 // slot of the confirmed version; record in copy 0
#define NEW  1 // slot of the one on trial; record in copy 1
#define ADDR WORLD_OTADATA_ADDR

static const uint32_t units[] = {1, 4, 16, 32};
#define UNITS (sizeof(units) / sizeof(units[0]))

static struct world world;

static inline void begin(uint32_t unit) {
    static const struct world_image old = {.fill = 1};
    static const struct world_image new = {.fill = 2};
    world_begin(&world, WORLD_A_B, 0x2000, unit);
    world_put_image(&world, BATON_SUBTYPE_APP_OTA_0, &old);
    world_put_image(&world, BATON_SUBTYPE_APP_OTA_0 + 1, &new);
    world_put_record(&world, 0, 1, BATON_STATE_VALID, false);
    assert_int_equal(baton_slots_switch(&world.nor.flash, ADDR, 2, NEW,
                             BATON_STATE_NEW, BATON_SLOTS_OTHER_COPY),
            0);
}

static inline uint8_t *raw(int copy) {
    return world.bytes + ADDR + (uint32_t)copy * BATON_SECTOR_BYTES;
}

static inline struct baton_slot_record record_of(int copy) {
    struct baton_slot_record record;
    baton_slots_decode(raw(copy), &record);
    return record;
}

// What the bootloader boots.
static inline int boot(void) {
    static struct baton_boot_result result;
    assert_int_equal(world_boot(&world, NULL, &result), 0);
    return result.index;
}

static inline struct baton_trial_config configure(
        uint8_t boots, uint8_t failures) {
    struct baton_trial_config config = {.flash = &world.nor.flash,
            .otadata_addr = ADDR,
            .slot_count = 2,
            .running = NEW,
            .max_boots = boots,
            .max_failures = failures};
    return config;
}

static inline enum baton_trial_verdict run_trial(
        const struct baton_trial_config *config, enum baton_cause cause,
        struct baton_trial_count *count) {
    enum baton_trial_verdict verdict;
    int err = baton_trial_boot(config, cause, &verdict, count);
    assert_int_equal(err, 0);
    return verdict;
}

// The trial is over: one more boot of the bootloader brings the old version,
// and it learns how the trial went.
static inline void expect_rollback(
        const struct baton_trial_config *config, uint8_t boots, uint8_t fails) {
    struct baton_slot_record record;
    struct baton_trial_count count;
    assert_int_equal(boot(), OLD);
    assert_int_equal(baton_trial_look(config, NEW, &record, &count), 0);
    assert_int_equal(record.state, BATON_STATE_ABORTED);
    assert_int_equal(count.boots, boots);
    assert_int_equal(count.failures, fails);
    assert_true(count.over);
    assert_int_equal(record_of(0).state, BATON_STATE_VALID);
}

#endif
