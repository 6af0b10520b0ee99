// What the applications of a sweep do.
// SPDX-License-Identifier: MIT
#include "scenarios.h"

#include <string.h>

// ---- Setting out ---------------------------------------------------------

static void prepare_blank(struct device *device) {
    device_put_image(device, 0, IMAGE_OLD);
}

static void prepare_first(struct device *device) {
    device_put_image(device, 0, IMAGE_OLD);
    device_put_record(device, 0, 1, BATON_STATE_VALID);
    device->confirmed = IMAGE_OLD;
}

// The old image runs in the second slot, the first holds one older still.
static void prepare_second(struct device *device) {
    device_put_image(device, 0, IMAGE_FACTORY);
    device_put_image(device, 1, IMAGE_OLD);
    device_put_record(device, 0, 1, BATON_STATE_VALID);
    device_put_record(device, 1, 2, BATON_STATE_VALID);
    device->confirmed = IMAGE_OLD;
}

// An update that stopped in its second sector: no header, one good sector,
// then rubbish.
static void prepare_half_written(struct device *device) {
    prepare_first(device);
    device_put_image(device, 1, IMAGE_NEW);
    uint8_t *slot = device->bytes + device_slot_addr(1);
    memset(slot, 0xFF, BATON_UPDATE_HEAD_BYTES);
    for (size_t i = 6000; i < 12288; i++) {
        slot[i] = (uint8_t)(i * 31u);
    }
}

static void prepare_written(struct device *device) {
    prepare_first(device);
    device_put_image(device, 1, IMAGE_NEW);
}

static void prepare_factory(struct device *device) {
    device_put_image(device, BATON_BOOT_FACTORY, IMAGE_FACTORY);
    device->confirmed = IMAGE_FACTORY;
}

// No record leads to the old image: it boots because nothing else does.
static void prepare_no_record(struct device *device) {
    prepare_first(device);
    device->bytes[DEVICE_OTADATA_ADDR + 28] ^= 1;
    device_put_record(device, 1, 1, BATON_STATE_VALID);
    device->bytes[DEVICE_OTADATA_ADDR + BATON_SECTOR_BYTES + 28] ^= 1;
}

// ---- Running -------------------------------------------------------------

static int other_slot(const struct device_port *port) {
    return port->device->running == 0 ? 1 : 0;
}

static bool is_new(const struct device_port *port) {
    return port->device->image == IMAGE_NEW;
}

static enum scenario_end update_in(
        struct device_port *port, enum device_order order) {
    int slot = other_slot(port);
    if (device_update(port, slot, order) == 0) {
        device_switch(port, slot);
    }
    return SCENARIO_RESET;
}

// Confirms where rollback is in use; elsewhere there is nothing to confirm.
static enum scenario_end confirm_and_stay(struct device_port *port) {
    int err = device_confirm(port);
    return err == 0 ? SCENARIO_DONE : SCENARIO_RESET;
}

static enum scenario_end run_update(struct device_port *port) {
    return is_new(port) ? confirm_and_stay(port)
                        : update_in(port, ORDER_FORWARD);
}

static enum scenario_end run_shuffled(struct device_port *port) {
    return is_new(port) ? confirm_and_stay(port)
                        : update_in(port, ORDER_SHUFFLED);
}

static enum scenario_end run_aborted(struct device_port *port) {
    if (port->device->update_aborted) {
        return SCENARIO_DONE;
    }
    int err = device_abort_update(port, other_slot(port));
    return err == 0 ? SCENARIO_DONE : SCENARIO_RESET;
}

static enum scenario_end run_switch(struct device_port *port) {
    if (is_new(port)) {
        return confirm_and_stay(port);
    }
    device_switch(port, other_slot(port));
    return SCENARIO_RESET;
}

// The new image crashes every time.
static enum scenario_end run_crash(struct device_port *port) {
    if (is_new(port)) {
        return SCENARIO_RESET;
    }
    return device_was_given_up(port, other_slot(port))
                   ? SCENARIO_DONE
                   : update_in(port, ORDER_FORWARD);
}

// The new image is confirmed, and later rejected all the same.
static enum scenario_end run_reject(struct device_port *port) {
    struct device *device = port->device;
    if (!is_new(port)) {
        return device->may_leave ? SCENARIO_DONE
                                 : update_in(port, ORDER_FORWARD);
    }
    if (device_confirm(port) == 0) {
        device_reject(port);
    }
    return SCENARIO_RESET;
}

// By the time the new image runs, the old one has rotted away.
static enum scenario_end run_rotten(struct device_port *port) {
    if (is_new(port)) {
        uint8_t *old = port->device->bytes + device_slot_addr(0);
        memset(old + 1000, 0, 16);
    }
    return run_update(port);
}

// ---- Trials --------------------------------------------------------------

// The old version switches to the new one until a trial has gone wrong.
static enum scenario_end run_old(struct device_port *port) {
    if (device_was_given_up(port, other_slot(port))) {
        return SCENARIO_DONE;
    }
    device_switch(port, other_slot(port));
    return SCENARIO_RESET;
}

// The next boot is one whose cause is not a reset by software.
static enum scenario_end end_boot(
        struct device_port *port, enum baton_cause cause) {
    port->device->cause = cause;
    return SCENARIO_RESET;
}

// The trial is over; or nothing is left of it, which is the end as well.
static enum scenario_end end_early(const struct device_port *port) {
    return port->device->trial_lost ? SCENARIO_DONE : SCENARIO_RESET;
}

// Two resets that are wanted, then healthy.
static enum scenario_end run_trial(struct device_port *port) {
    struct baton_trial_count count;
    if (!is_new(port)) {
        device_switch(port, other_slot(port));
        return SCENARIO_RESET;
    }
    enum baton_trial_verdict verdict = device_trial(port, &count);
    if (verdict == BATON_TRIAL_OVER) {
        return SCENARIO_RESET;
    }
    if (verdict == BATON_TRIAL_GOES_ON && count.boots < 3) {
        device_mark_reset(port);
        return SCENARIO_RESET;
    }
    return confirm_and_stay(port);
}

static enum scenario_end run_trial_rotten(struct device_port *port) {
    if (is_new(port)) {
        uint8_t *old = port->device->bytes + device_slot_addr(0);
        memset(old + 1000, 0, 16);
    }
    return run_trial(port);
}

// Every boot ends in the watchdog.
static enum scenario_end run_trial_crash(struct device_port *port) {
    if (!is_new(port)) {
        return run_old(port);
    }
    device_trial(port, NULL);
    if (port->device->trial_lost) {
        return SCENARIO_DONE;
    }
    return end_boot(port, BATON_CAUSE_WATCHDOG);
}

// No boot fails, and none is healthy.
static enum scenario_end run_trial_boots(struct device_port *port) {
    static const enum baton_cause causes[] = {BATON_CAUSE_RESET,
            BATON_CAUSE_POWER, BATON_CAUSE_BROWNOUT, BATON_CAUSE_WAKE};
    struct baton_trial_count count;
    if (!is_new(port)) {
        return run_old(port);
    }
    if (device_trial(port, &count) != BATON_TRIAL_GOES_ON) {
        return end_early(port);
    }
    device_mark_reset(port);
    return end_boot(port, causes[count.boots % 4]);
}

// The second boot runs out of time.
static enum scenario_end run_trial_end(struct device_port *port) {
    struct baton_trial_count count;
    if (!is_new(port)) {
        return run_old(port);
    }
    if (device_trial(port, &count) != BATON_TRIAL_GOES_ON) {
        return end_early(port);
    }
    if (count.boots < 2) {
        device_mark_reset(port);
    } else {
        device_end_trial(port, BATON_TRIAL_END_TIMEOUT);
    }
    return SCENARIO_RESET;
}

// The second boot does not get as far as counting.
static enum scenario_end run_trial_dies(struct device_port *port) {
    if (!is_new(port)) {
        return run_old(port);
    }
    if (port->device->trial_boots < 2) {
        device_trial(port, NULL);
        device_mark_reset(port);
    }
    return end_early(port);
}

const struct scenario scenarios[] = {
        {"blank-otadata", false, false, false, IMAGE_NEW, prepare_blank,
                run_update},
        {"first-update", false, false, false, IMAGE_NEW, prepare_first,
                run_update},
        {"second-update", false, false, false, IMAGE_NEW, prepare_second,
                run_update},
        {"half-written", false, false, false, IMAGE_NEW, prepare_half_written,
                run_update},
        {"aborted", false, false, false, IMAGE_OLD, prepare_first, run_aborted},
        {"switch", false, false, false, IMAGE_NEW, prepare_written, run_switch},
        {"crash", false, true, false, IMAGE_OLD, prepare_first, run_crash},
        {"reject", false, true, false, IMAGE_OLD, prepare_first, run_reject},
        {"factory", true, false, false, IMAGE_NEW, prepare_factory, run_update},
        {"write-at", false, false, false, IMAGE_NEW, prepare_first,
                run_shuffled},
        {"no-record", false, false, true, IMAGE_NEW, prepare_no_record,
                run_update},
        {"rotten", false, true, true, IMAGE_NEW, prepare_first, run_rotten},
        {"trial", false, true, false, IMAGE_NEW, prepare_written, run_trial},
        {"trial-rotten", false, true, true, IMAGE_NEW, prepare_written,
                run_trial_rotten},
        {"trial-crash", false, true, false, IMAGE_OLD, prepare_written,
                run_trial_crash},
        {"trial-boots", false, true, false, IMAGE_OLD, prepare_written,
                run_trial_boots},
        {"trial-end", false, true, false, IMAGE_OLD, prepare_written,
                run_trial_end},
        {"trial-dies", false, true, false, IMAGE_OLD, prepare_written,
                run_trial_dies},
};

const unsigned scenario_count = sizeof(scenarios) / sizeof(scenarios[0]);
