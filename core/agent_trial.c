// The trial: counted at boot, ended by health, by time or by the application;
// and what the old version makes of one that failed.
// SPDX-License-Identifier: MIT
//
// The deadline is the chip's: armed here, at boot, it resets whatever the
// program does. The one that steps watch comes a little earlier, and has the
// time to write down whether there was a network at all.
#include <string.h>

#include "agent_parts.h"
#include "baton/error.h"

#define GATE_RETRY_MS 5000u

static uint32_t soft_deadline_ms(const struct baton_agent *self) {
    return self->config.trial_ms - self->config.trial_ms / 8u;
}

static void fill_trial(struct baton_agent *self) {
    const struct baton_agent_config *config = &self->config;
    struct baton_trial_config trial = {.flash = config->flash,
            .otadata_addr = config->otadata_addr,
            .slot_count = config->slot_count,
            .running = (uint32_t)config->running,
            .max_boots = config->trial_max_boots,
            .max_failures = config->trial_max_failures};
    self->trial = trial;
}

static int arm(const struct baton_agent *self, uint32_t ms) {
    const struct baton_reset *reset = self->config.reset;
    return reset->arm != NULL ? reset->arm(reset->context, ms) : 0;
}

// ---- After a rollback ----------------------------------------------------

// Why the bootloader, or the new version itself, went back.
static int read_cause(const struct baton_agent *self,
        const struct baton_slot_record *record,
        const struct baton_trial_count *count, enum baton_cause cause) {
    uint8_t most = self->config.trial_max_failures;
    if (record->state == BATON_STATE_INVALID || count->given_up) {
        return BATON_ERR_TRIAL_REJECTED;
    }
    // A script that waits for a network that is down for everybody ends by the
    // deadline, again and again, and a lamp by its switch.
    bool saw_nothing = count->over && !count->network && !count->crashed;
    if (count->inconclusive || saw_nothing) {
        return BATON_ERR_TRIAL_NO_NETWORK;
    }
    if (count->failures >= (most != 0 ? most : 3u)) {
        return BATON_ERR_TRIAL_CRASHED;
    }
    if (count->over) {
        return BATON_ERR_TRIAL_TIMEOUT;
    }
    bool by_power = cause == BATON_CAUSE_POWER || cause == BATON_CAUSE_BROWNOUT;
    return by_power ? BATON_ERR_TRIAL_CUT : BATON_ERR_TRIAL_DIED;
}

static int conclude(
        struct baton_agent *self, struct baton_agent_tried *tried, int why) {
    bool is_open =
            why == BATON_ERR_TRIAL_NO_NETWORK || why == BATON_ERR_TRIAL_CUT;
    tried->verdict =
            is_open ? BATON_AGENT_VERDICT_OPEN : BATON_AGENT_VERDICT_FAILED;
    tried->tries++;
    self->status.error = why;
    self->status.unreported = true;
    baton_agent_parts_tell(self, BATON_AGENT_EVENT_ROLLED_BACK, why, 0);
    int err = baton_agent_status_save(self);
    return err != 0 ? err : baton_agent_trial_save(self, tried);
}

// How the trial ended that the store knows of.
static int look_back(struct baton_agent *self) {
    struct baton_agent_tried tried;
    int err = baton_agent_trial_load(self, &tried);
    bool is_mine = tried.slot == (uint32_t)self->config.running;
    if (err != 0 || tried.verdict != BATON_AGENT_VERDICT_TRYING || is_mine) {
        return err;
    }
    struct baton_slot_record record;
    struct baton_trial_count count;
    err = baton_trial_look(&self->trial, tried.slot, &record, &count);
    bool is_back = record.state == BATON_STATE_ABORTED
                   || record.state == BATON_STATE_INVALID;
    // A record that points there no more was lost to a cut while it was
    // written, or never written: nothing is known against the version.
    if (err != 0 || record.seq == UINT32_MAX || !is_back) {
        return err;
    }
    const struct baton_reset *reset = self->config.reset;
    enum baton_cause cause = reset->cause(reset->context);
    return conclude(self, &tried, read_cause(self, &record, &count, cause));
}

// ---- At boot -------------------------------------------------------------

int baton_agent_trial_begin(struct baton_agent *self) {
    const struct baton_agent_config *config = &self->config;
    const struct baton_reset *reset = config->reset;
    fill_trial(self);
    if (config->running < 0) {
        return 0;
    }
    // Where the bootloader decided nothing, a record that points elsewhere is
    // what this program itself wrote before, not one that was passed over.
    enum baton_cause cause = reset->cause(reset->context);
    bool is_decided = cause != BATON_CAUSE_SOFT && cause != BATON_CAUSE_WAKE;
    int err = 0;
    if (is_decided) {
        err = baton_slots_settle(config->flash, config->otadata_addr,
                config->slot_count, (uint32_t)config->running);
    }
    if (err != 0) {
        return err;
    }
    enum baton_trial_verdict verdict;
    struct baton_trial_count count;
    err = baton_trial_boot(&self->trial, cause, &verdict, &count);
    if (err != 0 || verdict == BATON_TRIAL_NONE) {
        return err != 0 ? err : look_back(self);
    }
    if (verdict == BATON_TRIAL_OVER) {
        baton_agent_parts_go(self, BATON_AGENT_REBOOTING, PHASE_REBOOT);
        return 0;
    }
    self->status.trial_boot = count.boots;
    self->trial_started_ms = baton_agent_parts_now(self);
    baton_agent_parts_go(self, BATON_AGENT_TRIAL, PHASE_GATE);
    baton_agent_parts_tell(self, BATON_AGENT_EVENT_TRIAL, 0, count.boots);
    // Without a timer of the chip's the steps still watch the time.
    (void)arm(self, config->trial_ms);
    return 0;
}

// ---- The gate ------------------------------------------------------------

static bool is_on_trial(const struct baton_agent *self) {
    return self->state == BATON_AGENT_TRIAL
           || (self->state == BATON_AGENT_WAITING
                   && self->wait_state == BATON_AGENT_TRIAL);
}

static int end_trial(struct baton_agent *self, enum baton_trial_end why) {
    baton_agent_parts_close(self);
    int err = baton_trial_end(&self->trial, why);
    if (err == 0) {
        baton_agent_parts_go(self, BATON_AGENT_REBOOTING, PHASE_REBOOT);
    }
    return err;
}

int baton_agent_trial_watch(struct baton_agent *self) {
    if (!is_on_trial(self)) {
        return 0;
    }
    uint64_t ran_ms = baton_agent_parts_now(self) - self->trial_started_ms;
    if (ran_ms < soft_deadline_ms(self)) {
        return 0;
    }
    // Who was never online cannot know whether the new version could be.
    bool saw = self->saw_network || self->saw_server;
    return end_trial(
            self, saw ? BATON_TRIAL_END_TIMEOUT : BATON_TRIAL_END_INCONCLUSIVE);
}

// Nobody was there: the network is down, or the server, for everybody maybe.
static bool is_absence(int err) {
    return err == BATON_ERR_NET_DNS || err == BATON_ERR_NET_CONNECT
           || err == BATON_ERR_NET_TIMEOUT || err == BATON_ERR_NET_RESET
           || err == BATON_ERR_NET_STALLED || err == BATON_ERR_TLS_CLOCK;
}

// Any answer of the server's will do, also one that says no.
static bool is_answer(int err) {
    return err == 0 || err == BATON_ERR_HTTP_NOT_FOUND
           || err == BATON_ERR_HTTP_DENIED || err == BATON_ERR_HTTP_STATUS
           || err == BATON_ERR_HTTP_BUSY || err == BATON_ERR_HTTP_RANGE
           || err == BATON_ERR_HTTP_DOWNGRADE;
}

static int ask_server(struct baton_agent *self) {
    memcpy(self->target_url, self->url, strlen(self->url) + 1);
    int err = baton_agent_parts_open(self, 0, 1, NULL);
    if (err == BATON_ERR_AGAIN) {
        return err;
    }
    baton_agent_parts_close(self);
    if (!is_absence(err) && !self->saw_network) {
        self->saw_network = true;
        int noted = baton_trial_note_network(&self->trial);
        if (noted != 0) {
            return noted;
        }
    }
    self->saw_server = is_answer(err);
    if (!self->saw_server) {
        uint32_t most = self->config.retry_max_ms;
        uint32_t ms = most < GATE_RETRY_MS ? most : GATE_RETRY_MS;
        baton_agent_parts_tell(self, BATON_AGENT_EVENT_RETRY, err, ms);
        baton_agent_parts_wait(self, ms);
    }
    return 0;
}

int baton_agent_trial_gate(struct baton_agent *self) {
    if (self->wants_confirm) {
        self->goal = GOAL_CONFIRM;
        self->at = 0;
        self->phase = PHASE_OTHER;
        return 0;
    }
    if (!self->saw_server && self->url[0] != '\0') {
        return ask_server(self);
    }
    if (!self->saw_server || self->config.confirm_by_application) {
        return BATON_ERR_AGAIN;
    }
    self->wants_confirm =
            baton_agent_parts_may(self, BATON_AGENT_MAY_CONFIRM, NULL);
    return 0;
}

// ---- The other slot ------------------------------------------------------

// The slot that the other record points at, if the bootloader would take it.
static int find_other(const struct baton_agent *self, uint32_t *slot) {
    const struct baton_agent_config *config = &self->config;
    struct baton_slots slots;
    int err = baton_slots_load(config->flash, config->otadata_addr, &slots);
    *slot = UINT32_MAX;
    if (err != 0) {
        return err;
    }
    int active = baton_slots_active(&slots);
    const struct baton_slot_record *record = &slots.copy[active == 0 ? 1 : 0];
    if (active >= 0 && baton_slots_is_usable(record)) {
        *slot = baton_slots_slot(record, config->slot_count);
    }
    if (*slot == (uint32_t)config->running) {
        *slot = UINT32_MAX;
    }
    return 0;
}

static int begin_other(struct baton_agent *self) {
    struct baton_image_config *config = &self->scratch.other.config;
    memset(config, 0, sizeof(*config));
    config->crypto = self->config.crypto;
    config->chip = self->config.chip;
    config->limit_bytes = self->config.slots[self->other].size_bytes;
    return baton_image_begin(&self->scratch.other.image, config);
}

// Verifies a sector of the other slot. Returns BATON_IMAGE_MORE, 0, or why that
// slot does not boot; *err says when the flash cannot be read.
static int verify_other(struct baton_agent *self, int *err) {
    const struct baton_flash *flash = self->config.flash;
    const struct baton_boot_place *place = &self->config.slots[self->other];
    uint32_t sector = baton_agent_parts_sector(self);
    if (self->at == 0) {
        *err = begin_other(self);
    }
    if (*err != 0 || self->at >= place->size_bytes) {
        return baton_image_finish(&self->scratch.other.image);
    }
    *err = flash->read(
            flash->context, place->addr + self->at, self->config.work, sector);
    self->at += sector;
    return *err != 0 ? *err
                     : baton_image_push(&self->scratch.other.image,
                             self->config.work, sector);
}

static int revert(struct baton_agent *self) {
    const struct baton_agent_config *config = &self->config;
    struct baton_agent_tried tried = {.verdict = BATON_AGENT_VERDICT_FAILED,
            .slot = (uint32_t)config->running,
            .sequence = self->status.sequence};
    memcpy(tried.id, self->identity, sizeof(tried.id));
    int err = baton_agent_trial_save(self, &tried);
    if (err == 0) {
        err = baton_slots_switch(config->flash, config->otadata_addr,
                config->slot_count, self->other, BATON_STATE_VALID,
                BATON_SLOTS_OTHER_COPY);
    }
    if (err == 0) {
        baton_agent_parts_tell(
                self, BATON_AGENT_EVENT_SWITCHED, 0, self->other);
        baton_agent_parts_go(self, BATON_AGENT_REBOOTING, PHASE_REBOOT);
    }
    return err;
}

static int choose_other(struct baton_agent *self) {
    if (self->goal == GOAL_REVERT) {
        self->other = self->target;
        return 0;
    }
    return find_other(self, &self->other);
}

int baton_agent_trial_other(struct baton_agent *self) {
    // What must not come back is named by its digest.
    if (self->goal == GOAL_REVERT && !self->is_identified) {
        int err = baton_agent_identity_step(self);
        self->at = self->is_identified ? 0 : self->at;
        return err;
    }
    int err = self->at == 0 ? choose_other(self) : 0;
    if (err != 0) {
        return err;
    }
    int status = BATON_ERR_SLOT;
    if (self->other != UINT32_MAX) {
        status = verify_other(self, &err);
    }
    if (err != 0 || status == BATON_IMAGE_MORE) {
        return err;
    }
    if (self->goal == GOAL_REVERT) {
        return status != 0 ? status : revert(self);
    }
    self->other_boots = status == 0;
    self->phase = PHASE_CONFIRM;
    return 0;
}

static int remember_good(const struct baton_agent *self) {
    struct baton_agent_tried tried;
    int err = baton_agent_trial_load(self, &tried);
    bool is_it = tried.verdict == BATON_AGENT_VERDICT_TRYING
                 && (int)tried.slot == self->config.running;
    if (err != 0 || !is_it) {
        return err; // it came by another way than the agent
    }
    tried.verdict = BATON_AGENT_VERDICT_GOOD;
    return baton_agent_trial_save(self, &tried);
}

int baton_agent_trial_confirm(struct baton_agent *self) {
    const struct baton_agent_config *config = &self->config;
    int err = baton_slots_confirm(config->flash, config->otadata_addr,
            config->slot_count, (uint32_t)config->running, self->other_boots);
    err = err != 0 ? err : arm(self, 0);
    if (err != 0) {
        return err;
    }
    self->wants_confirm = false;
    self->status.trial_boot = 0;
    self->status.unreported = true;
    self->status.error = 0;
    baton_agent_parts_tell(
            self, BATON_AGENT_EVENT_CONFIRMED, 0, (uint32_t)config->running);
    baton_agent_parts_go(self, BATON_AGENT_IDLE, PHASE_REST);
    err = remember_good(self);
    return err != 0 ? err : baton_agent_status_save(self);
}

// ---- The calls -----------------------------------------------------------

int baton_agent_confirm(struct baton_agent *self) {
    if (self->state == BATON_AGENT_IDLE) {
        return 0;
    }
    if (!is_on_trial(self)) {
        return BATON_ERR_STATE;
    }
    self->wants_confirm = true;
    self->wait_until_ms = 0;
    return 0;
}

int baton_agent_reject(struct baton_agent *self) {
    if (!is_on_trial(self)) {
        return BATON_ERR_STATE;
    }
    return end_trial(self, BATON_TRIAL_END_GIVEN_UP);
}

int baton_agent_revert(struct baton_agent *self) {
    if (self->state != BATON_AGENT_IDLE) {
        return BATON_ERR_STATE;
    }
    if (self->config.slot_count < 2 || self->config.running < 0) {
        return BATON_ERR_SLOT;
    }
    self->goal = GOAL_REVERT;
    self->at = 0;
    baton_agent_parts_go(self, BATON_AGENT_VERIFYING, PHASE_OTHER);
    return 0;
}
