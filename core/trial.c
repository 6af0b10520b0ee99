// The trial of a new version: counting in the label, re-arming by one bit.
// SPDX-License-Identifier: MIT
//
// A change is worked out on the record in memory and then brought to flash in
// the cheapest way that flash allows: by clearing bits, the label before the
// state, or by rewriting the record.
#include "baton/trial.h"

#include <string.h>

#include "baton/error.h"

#define BOOTS_DEFAULT    10u
#define FAILURES_DEFAULT 3u

#define RAW_LABEL 4u // offsets in the 32 bytes of a record
#define RAW_FLAGS 9u
#define RAW_SEEN  10u
#define RAW_STATE 24u
#define RAW_CRC   28u

// Label bytes.
#define AT_BOOTS    0u
#define AT_FAILURES 2u
#define AT_MARKS    3u
#define AT_FLAGS    5u
#define AT_SEEN     6u

#define FLAG_INCONCLUSIVE 0x01u
#define FLAG_GIVEN_UP     0x02u
#define FLAG_OVER         0x04u
#define FLAG_CLOSED       0x08u // the state says so, too
#define FLAGS_UNUSED      0xF0u

#define SEEN_NETWORK 0x01u
#define SEEN_CRASH   0x02u

#define PARTS 4u // of a record, programmed one after the other

// Single bits can be cleared where a unit is no larger than the state.
#define BIT_UNIT_MAX 4u

struct trial {
    bool is_on;
    int copy;
    struct baton_slot_record record;
};

// ---- What a label says ---------------------------------------------------

static uint32_t load_bits(const uint8_t *label, uint32_t at) {
    return (uint32_t)label[at] | (uint32_t)label[at + 1] << 8;
}

// How many bits are cleared, from the lowest up; -1 where they are not in
// order.
static int count_cleared(uint32_t bits, uint32_t width) {
    uint32_t cleared = ~bits & ((1u << width) - 1u);
    int count = 0;
    while ((cleared & 1u) != 0) {
        cleared >>= 1;
        count++;
    }
    return cleared == 0 ? count : -1;
}

static int count_boots(const uint8_t *label) {
    return count_cleared(load_bits(label, AT_BOOTS), 16);
}

static int count_failures(const uint8_t *label) {
    return count_cleared(label[AT_FAILURES], 8);
}

// Nothing here clears the upper flags: without them it is somebody else's.
static bool is_foreign(const uint8_t *label) {
    return count_boots(label) < 0 || count_failures(label) < 0
           || (label[AT_FLAGS] & FLAGS_UNUSED) == 0;
}

static bool has_flag(const uint8_t *label, uint32_t flag) {
    return (label[AT_FLAGS] & flag) == 0;
}

static void set_flags(uint8_t *label, uint32_t flags) {
    label[AT_FLAGS] = (uint8_t)(label[AT_FLAGS] & ~flags);
}

static void set_seen(uint8_t *label, uint32_t bits) {
    label[AT_SEEN] = (uint8_t)(label[AT_SEEN] & ~bits);
}

// The reset that ended boot `boot` (from 1) was wanted.
static bool is_marked(const uint8_t *label, int boot) {
    return (load_bits(label, AT_MARKS) >> (boot - 1) & 1u) == 0;
}

void baton_trial_decode(const uint8_t label[BATON_OTADATA_LABEL_BYTES],
        struct baton_trial_count *out) {
    memset(out, 0, sizeof(*out));
    if (is_foreign(label)) {
        return;
    }
    out->boots = (uint8_t)count_boots(label);
    out->failures = (uint8_t)count_failures(label);
    out->counted = out->boots != 0;
    out->inconclusive = has_flag(label, FLAG_INCONCLUSIVE);
    out->given_up = has_flag(label, FLAG_GIVEN_UP);
    out->over = has_flag(label, FLAG_OVER);
    out->network = (label[AT_SEEN] & SEEN_NETWORK) == 0;
    out->crashed = (label[AT_SEEN] & SEEN_CRASH) == 0;
}

static void add_boot(uint8_t *label) {
    uint32_t bits = load_bits(label, AT_BOOTS);
    bits &= bits << 1; // the lowest bit that is set is cleared
    label[AT_BOOTS] = (uint8_t)bits;
    label[AT_BOOTS + 1] = (uint8_t)(bits >> 8);
}

static void add_failure(uint8_t *label) {
    label[AT_FAILURES] =
            (uint8_t)(label[AT_FAILURES] & (uint32_t)label[AT_FAILURES] << 1);
}

// ---- From and to flash ---------------------------------------------------

// The record in force, and whether it has the running slot on trial. A state
// that nobody writes counts as one: it must not stay for good.
static int load_trial(
        const struct baton_trial_config *config, struct trial *self) {
    struct baton_slots slots;
    memset(self, 0, sizeof(*self));
    int err = baton_slots_load(config->flash, config->otadata_addr, &slots);
    if (err) {
        return err;
    }
    int active = baton_slots_active(&slots);
    if (active < 0 || config->running >= config->slot_count) {
        return 0;
    }
    self->copy = active;
    self->record = slots.copy[active];
    self->is_on = baton_slots_slot(&self->record, config->slot_count)
                          == config->running
                  && self->record.state != BATON_STATE_VALID
                  && self->record.state != BATON_STATE_UNDEFINED;
    return 0;
}

// Programs the bytes from..to of a record that differ, widened to whole units.
static int program_part(const struct baton_trial_config *config,
        uint32_t record_addr, const uint8_t *now, const uint8_t *then,
        const uint32_t range[2]) {
    const struct baton_flash *flash = config->flash;
    uint32_t unit = flash->program_bytes != 0 ? flash->program_bytes : 1;
    uint32_t from = range[0];
    uint32_t to = range[1];
    while (from < to && now[from] == then[from]) {
        from++;
    }
    while (to > from && now[to - 1] == then[to - 1]) {
        to--;
    }
    if (from == to) {
        return 0;
    }
    from -= from % unit;
    to += (unit - to % unit) % unit;
    return flash->program(
            flash->context, record_addr + from, then + from, to - from);
}

static bool can_clear(const struct baton_flash *flash, const uint8_t *now,
        const uint8_t *then) {
    bool is_possible = flash->program_bytes <= BIT_UNIT_MAX;
    for (uint32_t i = 0; i < BATON_OTADATA_RECORD_BYTES; i++) {
        is_possible = is_possible && (then[i] & ~(uint32_t)now[i]) == 0;
    }
    return is_possible;
}

// Brings a record to flash that differs in label and state only. Bits that do
// not stay cleared, left weak by a cut before, are mended by a rewrite.
static int write_record(const struct baton_trial_config *config,
        struct trial *self, const struct baton_slot_record *record) {
    // A cut can clear any bit of what is being programmed: what ends a trial is
    // not touched by what counts in it.
    static const uint32_t parts[][2] = {
            {RAW_LABEL, RAW_FLAGS},
            {RAW_FLAGS, RAW_SEEN},
            {RAW_SEEN, RAW_STATE},
            {RAW_STATE, RAW_CRC},
    };
    const struct baton_flash *flash = config->flash;
    uint32_t addr =
            config->otadata_addr + (uint32_t)self->copy * BATON_SECTOR_BYTES;
    uint8_t now[BATON_OTADATA_RECORD_BYTES];
    uint8_t then[BATON_OTADATA_RECORD_BYTES];
    baton_slots_encode(&self->record, now);
    baton_slots_encode(record, then);
    self->record = *record;
    if (memcmp(now, then, sizeof(now)) == 0) {
        return 0;
    }
    if (can_clear(flash, now, then)) {
        int err = 0;
        for (size_t i = 0; i < PARTS && err == 0; i++) {
            err = program_part(config, addr, now, then, parts[i]);
        }
        if (err == 0) {
            err = flash->read(flash->context, addr, now, sizeof(now));
        }
        if (err != 0 || memcmp(now, then, sizeof(now)) == 0) {
            return err;
        }
    }
    return baton_slots_store(flash, config->otadata_addr, self->copy, record);
}

// Takes the trial out of the next boot. What says so in the label is on flash
// before a record is rewritten, so that a cut cannot make it go on.
static int finish(const struct baton_trial_config *config, struct trial *self,
        struct baton_slot_record *record) {
    set_flags(record->label, FLAG_OVER);
    if (record->state != BATON_STATE_PENDING
            && config->flash->program_bytes <= BIT_UNIT_MAX) {
        int err = write_record(config, self, record);
        if (err) {
            return err;
        }
    }
    set_flags(record->label, FLAG_CLOSED);
    record->state = BATON_STATE_PENDING;
    return write_record(config, self, record);
}

// ---- The calls -----------------------------------------------------------

// The cause of a boot that the bootloader did not decide.
static bool is_shortcut(enum baton_cause cause) {
    return cause == BATON_CAUSE_SOFT || cause == BATON_CAUSE_WAKE;
}

// Whether the boot before, one of this trial, failed.
static bool has_failed(const uint8_t *label, enum baton_cause cause) {
    int boots = count_boots(label);
    if (boots == 0) {
        return false;
    }
    switch (cause) {
    case BATON_CAUSE_CRASH:
    case BATON_CAUSE_WATCHDOG:
        return true;
    case BATON_CAUSE_RESET:
    case BATON_CAUSE_UNKNOWN:
        return !is_marked(label, boots);
    default:
        return false;
    }
}

// A new trial whose label is not blank: somebody else's, or left by a trial
// that had ended when esp_ota_set_boot_partition began this one.
static bool is_stale(const uint8_t *label, enum baton_cause cause) {
    return is_foreign(label)
           || (has_flag(label, FLAG_CLOSED) && !is_shortcut(cause));
}

static bool is_at_cap(
        const struct baton_trial_config *config, const uint8_t *label) {
    uint32_t boots = config->max_boots != 0 ? config->max_boots : BOOTS_DEFAULT;
    uint32_t failures =
            config->max_failures != 0 ? config->max_failures : FAILURES_DEFAULT;
    return (uint32_t)count_boots(label) >= boots
           || (uint32_t)count_failures(label) >= failures;
}

int baton_trial_boot(const struct baton_trial_config *config,
        enum baton_cause cause, enum baton_trial_verdict *verdict,
        struct baton_trial_count *count) {
    struct trial trial;
    *verdict = BATON_TRIAL_NONE;
    if (count != NULL) {
        memset(count, 0, sizeof(*count));
    }
    if (config->max_boots > BATON_TRIAL_BOOTS_MAX
            || config->max_failures > BATON_TRIAL_FAILURES_MAX) {
        return BATON_ERR_ARG;
    }
    int err = load_trial(config, &trial);
    if (err != 0 || !trial.is_on) {
        return err;
    }
    struct baton_slot_record record = trial.record;
    if (is_stale(record.label, cause)) {
        memset(record.label, 0xFF, BATON_OTADATA_COUNT_BYTES);
    }
    bool is_over = has_flag(record.label, FLAG_OVER);
    if (!is_over) {
        if (has_failed(record.label, cause)) {
            add_failure(record.label);
            bool is_certain =
                    cause == BATON_CAUSE_CRASH || cause == BATON_CAUSE_WATCHDOG;
            set_seen(record.label, is_certain ? SEEN_CRASH : 0);
        }
        is_over = is_at_cap(config, record.label);
    }
    if (is_over) {
        err = finish(config, &trial, &record);
    } else {
        add_boot(record.label);
        record.state = BATON_STATE_NEW;
        err = write_record(config, &trial, &record);
    }
    if (err) {
        return err;
    }
    *verdict = is_over ? BATON_TRIAL_OVER : BATON_TRIAL_GOES_ON;
    if (count != NULL) {
        baton_trial_decode(record.label, count);
    }
    return 0;
}

int baton_trial_mark_reset(const struct baton_trial_config *config) {
    struct trial trial;
    int err = load_trial(config, &trial);
    if (err != 0 || !trial.is_on) {
        return err;
    }
    struct baton_slot_record record = trial.record;
    int boots = count_boots(record.label);
    if (is_foreign(record.label) || boots == 0) {
        return 0; // not counted: no later boot will ask
    }
    uint32_t bit = (uint32_t)boots - 1u;
    uint8_t *mark = &record.label[AT_MARKS + bit / 8u];
    *mark = (uint8_t)(*mark & ~(1u << bit % 8u));
    return write_record(config, &trial, &record);
}

int baton_trial_note_network(const struct baton_trial_config *config) {
    struct trial trial;
    int err = load_trial(config, &trial);
    if (err != 0 || !trial.is_on || is_foreign(trial.record.label)
            || config->flash->program_bytes > BIT_UNIT_MAX) {
        return err;
    }
    struct baton_slot_record record = trial.record;
    set_seen(record.label, SEEN_NETWORK);
    return write_record(config, &trial, &record);
}

int baton_trial_end(
        const struct baton_trial_config *config, enum baton_trial_end why) {
    struct trial trial;
    int err = load_trial(config, &trial);
    if (err) {
        return err;
    }
    if (!trial.is_on) {
        return BATON_ERR_STATE;
    }
    struct baton_slot_record record = trial.record;
    if (is_foreign(record.label)) {
        memset(record.label, 0xFF, BATON_OTADATA_COUNT_BYTES);
    }
    switch (why) {
    case BATON_TRIAL_END_TIMEOUT:
        add_failure(record.label);
        set_seen(record.label, SEEN_NETWORK);
        break;
    case BATON_TRIAL_END_INCONCLUSIVE:
        set_flags(record.label, FLAG_INCONCLUSIVE);
        break;
    case BATON_TRIAL_END_GIVEN_UP:
        set_flags(record.label, FLAG_GIVEN_UP);
        break;
    default:
        return BATON_ERR_ARG;
    }
    return finish(config, &trial, &record);
}

// A record as flash and its maker left it: any state, but a right CRC.
static bool points_at(const struct baton_slot_record *record,
        const struct baton_trial_config *config, uint32_t slot) {
    return record->seq != UINT32_MAX
           && record->crc == baton_slots_crc(record->seq)
           && baton_slots_slot(record, config->slot_count) == slot;
}

int baton_trial_look(const struct baton_trial_config *config, uint32_t slot,
        struct baton_slot_record *record, struct baton_trial_count *count) {
    struct baton_slots slots;
    memset(record, 0xFF, sizeof(*record));
    if (count != NULL) {
        memset(count, 0, sizeof(*count));
    }
    int err = baton_slots_load(config->flash, config->otadata_addr, &slots);
    if (err) {
        return err;
    }
    bool first = points_at(&slots.copy[0], config, slot);
    bool second = points_at(&slots.copy[1], config, slot);
    if (!first && !second) {
        return 0;
    }
    bool take_second =
            second && (!first || slots.copy[1].seq > slots.copy[0].seq);
    *record = slots.copy[take_second ? 1 : 0];
    if (count != NULL) {
        baton_trial_decode(record->label, count);
    }
    return 0;
}
