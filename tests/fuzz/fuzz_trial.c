// A trial over records whose every byte is hostile, label above all, in any
// order of boots, marks and ends.
// SPDX-License-Identifier: MIT
//
// Input: a byte each for the unit of flash, slots and caps; 64 bytes of records;
// then one byte for each call.
#include <stdint.h>
#include <string.h>

#include "baton-posix/nor.h"
#include "baton/error.h"
#include "baton/trial.h"
#include "require.h"

#define FLASH_BYTES 0x10000u
#define STEPS_MAX   64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t bytes[FLASH_BYTES];
static struct baton_nor_state state;
static struct baton_nor nor;

static struct baton_slots load(void) {
    struct baton_slots slots;
    require(baton_slots_load(&nor.flash, 0, &slots) == 0, "records are read");
    return slots;
}

static struct baton_trial_config lay_out(const uint8_t *data) {
    static const uint32_t units[] = {1, 4, 16, 32};
    memset(bytes, 0xFF, BATON_OTADATA_BYTES);
    memcpy(bytes, data + 3, 32);
    memcpy(bytes + BATON_SECTOR_BYTES, data + 35, 32);
    memset(&state, 0, sizeof(state));
    baton_nor_begin(
            &nor, bytes, FLASH_BYTES, units[data[0] & 3u], &state, NULL);
    struct baton_trial_config config = {.flash = &nor.flash,
            .slot_count = (data[1] & 3u) + 1u,
            .running = data[1] >> 4,
            .max_boots = data[2] & 31u,
            .max_failures = data[2] >> 5};
    // Half of the inputs have records whose CRC is right.
    for (uint32_t copy = 0; copy < 2 && (data[0] & 4u) != 0; copy++) {
        uint8_t *raw = bytes + copy * BATON_SECTOR_BYTES;
        struct baton_slot_record record;
        baton_slots_decode(raw, &record);
        record.crc = baton_slots_crc(record.seq);
        baton_slots_encode(&record, raw);
    }
    return config;
}

// What the vendor's bootloader does to the records; returns the slot.
static uint32_t run_bootloader(const struct baton_trial_config *config) {
    struct baton_slots slots = load();
    for (int copy = 0; copy < 2; copy++) {
        if (slots.copy[copy].state == BATON_STATE_PENDING) {
            slots.copy[copy].state = BATON_STATE_ABORTED;
            baton_slots_store(&nor.flash, 0, copy, &slots.copy[copy]);
        }
    }
    int active = baton_slots_active(&slots);
    if (active < 0) {
        return UINT32_MAX;
    }
    if (slots.copy[active].state == BATON_STATE_NEW) {
        slots.copy[active].state = BATON_STATE_PENDING;
        baton_slots_store(&nor.flash, 0, active, &slots.copy[active]);
    }
    return baton_slots_slot(&slots.copy[active], config->slot_count);
}

static bool is_on_trial(const struct baton_trial_config *config,
        const struct baton_slots *slots, int active) {
    return active >= 0 && config->running < config->slot_count
           && baton_slots_slot(&slots->copy[active], config->slot_count)
                      == config->running
           && slots->copy[active].state != BATON_STATE_VALID
           && slots->copy[active].state != BATON_STATE_UNDEFINED;
}

static void check_boot(const struct baton_trial_config *config, int active,
        enum baton_trial_verdict verdict,
        const struct baton_trial_count *count) {
    uint32_t cap = config->max_boots != 0 ? config->max_boots : 10u;
    if (verdict == BATON_TRIAL_NONE) {
        return;
    }
    uint32_t now = load().copy[active].state;
    bool goes_on = verdict == BATON_TRIAL_GOES_ON;
    require(now == (goes_on ? BATON_STATE_NEW : BATON_STATE_PENDING),
            "the state says what the verdict says");
    require(!goes_on || (count->counted && count->boots <= cap),
            "a trial goes on within its cap");
    require(count->over == !goes_on, "the label says it, too");
}

static int call(const struct baton_trial_config *config, uint8_t step,
        int active, bool is_on) {
    enum baton_trial_verdict verdict;
    struct baton_trial_count count;
    struct baton_slot_record record;
    switch (step % 5u) {
    case 0: {
        int err = baton_trial_boot(
                config, (enum baton_cause)(step / 5u % 8u), &verdict, &count);
        require((verdict != BATON_TRIAL_NONE) == (err == 0 && is_on),
                "a verdict is for a trial");
        check_boot(config, active, verdict, &count);
        return err;
    }
    case 1:
        return baton_trial_mark_reset(config);
    case 2:
        return baton_trial_note_network(config);
    case 3:
        return baton_trial_end(config, (enum baton_trial_end)(step / 5u % 4u));
    default:
        return baton_trial_look(config, step / 5u % 5u, &record, &count);
    }
}

static void check_call(const struct baton_trial_config *config, uint8_t step) {
    struct baton_slots before = load();
    int active = baton_slots_active(&before);
    bool is_on = is_on_trial(config, &before, active);
    uint64_t operations = state.stats.operations;
    int err = call(config, step, active, is_on);
    require(err == 0 || err == BATON_ERR_ARG || err == BATON_ERR_STATE,
            "nothing else goes wrong");
    struct baton_slots after = load();
    if (!is_on || err != 0) {
        require(state.stats.operations == operations,
                "nothing is written without a trial, or in error");
        return;
    }
    struct baton_slot_record *now = &after.copy[active];
    require(now->seq == before.copy[active].seq
                    && now->crc == before.copy[active].crc,
            "the choice stays");
    memcpy(now->label, before.copy[active].label, BATON_OTADATA_COUNT_BYTES);
    now->state = before.copy[active].state;
    require(memcmp(&after, &before, sizeof(after)) == 0,
            "nothing else changes");
}

// Whatever came before: with nothing but power cycles, a trial ends.
static void check_end(const struct baton_trial_config *config) {
    enum baton_trial_verdict verdict;
    for (unsigned boots = 0; boots < 40; boots++) {
        if (run_bootloader(config) != config->running
                || baton_trial_boot(config, BATON_CAUSE_POWER, &verdict, NULL)
                           != 0
                || verdict == BATON_TRIAL_NONE) {
            return;
        }
    }
    require(false, "a trial ends");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3 + 64) {
        return 0;
    }
    struct baton_trial_config config = lay_out(data);
    for (size_t i = 3 + 64; i < size && i < 3 + 64 + STEPS_MAX; i++) {
        if (data[i] == 0xFF) {
            run_bootloader(&config);
        } else {
            check_call(&config, data[i]);
        }
    }
    check_end(&config);
    require(state.stats.violations == 0, "no bit is set without an erase");
    return 0;
}
