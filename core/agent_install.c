// From a slot that is written to a reset into it, and what is done when the
// image turns out to be wrong.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "agent_parts.h"
#include "baton/error.h"

static uint32_t count_sectors(const struct baton_agent *self) {
    uint32_t sector = baton_agent_parts_sector(self);
    return (self->release.image_bytes + sector - 1u) / sector;
}

int baton_agent_install_end(struct baton_agent *self) {
    int err = baton_update_end_step(&self->scratch.fetch.update);
    if (err != 0) {
        return err == BATON_UPDATE_MORE ? 0 : err;
    }
    const struct baton_image_info *info =
            baton_update_info(&self->scratch.fetch.update);
    self->status.done = info->len_bytes;
    if (self->status.to[0] == '\0' && info->has_descriptor) {
        memcpy(self->status.to, info->descriptor.version,
                sizeof(self->status.to));
    }
    // The last sector, which `end` wrote: if this version is tried again,
    // nothing is fetched.
    struct baton_journal_place place = baton_agent_fetch_place(self);
    err = baton_journal_mark(&self->journal, &place, count_sectors(self));
    if (err == 0) {
        baton_agent_parts_go(self, BATON_AGENT_READY, PHASE_READY);
    }
    return err;
}

static bool is_tried_again(
        const struct baton_agent *self, const struct baton_agent_tried *tried) {
    return tried->verdict == BATON_AGENT_VERDICT_OPEN
           && memcmp(tried->id, self->release.journal_id, sizeof(tried->id))
                      == 0;
}

// A trial without any network says nothing; the next one of the same version
// waits, longer each time, as a network that failed once may fail again.
static int hold_back(struct baton_agent *self) {
    struct baton_agent_tried tried;
    int err = baton_agent_trial_load(self, &tried);
    if (err == 0 && is_tried_again(self, &tried)) {
        baton_agent_parts_wait(self, self->config.retry_max_ms * tried.tries);
    }
    self->held_back = err == 0;
    return err;
}

int baton_agent_install_ready(struct baton_agent *self) {
    if (!self->held_back) {
        return hold_back(self);
    }
    if (self->config.keep_running
            || !baton_agent_parts_may(self, BATON_AGENT_MAY_SWITCH, NULL)) {
        return BATON_ERR_AGAIN;
    }
    return baton_agent_install_switch(self);
}

// The store first: if the switch follows and the new version fails, the old one
// knows which it was. If it does not follow, the record names a slot that
// nothing points at, which means nothing.
static int remember_trial(struct baton_agent *self) {
    struct baton_agent_tried tried;
    int err = baton_agent_trial_load(self, &tried);
    if (err != 0) {
        return err;
    }
    const uint8_t *id = self->release.journal_id;
    tried.tries = is_tried_again(self, &tried) ? tried.tries : 0;
    tried.verdict = BATON_AGENT_VERDICT_TRYING;
    tried.slot = self->target;
    tried.sequence = self->release.sequence;
    memcpy(tried.id, id, sizeof(tried.id));
    return baton_agent_trial_save(self, &tried);
}

int baton_agent_install_switch(struct baton_agent *self) {
    const struct baton_agent_config *config = &self->config;
    uint64_t ms = baton_agent_parts_now(self) - self->started_ms;
    self->status.seconds = (uint32_t)ms / 1000u;
    self->status.error = 0;
    int err = remember_trial(self);
    err = err != 0 ? err : baton_agent_status_save(self);
    // Without rollback in the bootloader there is no trial.
    uint32_t state = config->bootloader == BATON_BOOTLOADER_ROLLBACK
                             ? BATON_STATE_NEW
                             : BATON_STATE_UNDEFINED;
    if (err == 0) {
        err = baton_slots_switch(config->flash, config->otadata_addr,
                config->slot_count, self->target, state,
                BATON_SLOTS_OTHER_COPY);
    }
    if (err != 0) {
        return err;
    }
    baton_agent_parts_tell(self, BATON_AGENT_EVENT_SWITCHED, 0, self->target);
    baton_agent_parts_go(self, BATON_AGENT_REBOOTING, PHASE_REBOOT);
    return 0;
}

int baton_agent_switch(struct baton_agent *self) {
    if (self->state != BATON_AGENT_READY) {
        return BATON_ERR_STATE;
    }
    return baton_agent_install_switch(self);
}

int baton_agent_install_reboot(struct baton_agent *self) {
    if (self->config.keep_running
            || !baton_agent_parts_may(self, BATON_AGENT_MAY_REBOOT, NULL)) {
        return BATON_ERR_AGAIN;
    }
    self->phase = PHASE_REST;
    self->config.reset->reboot(self->config.reset->context);
    return 0;
}

// Flash that does not do what it should is no fault of the payload's.
static bool is_flash_error(int err) {
    return err == BATON_ERR_IO || err == BATON_ERR_NOR || err == BATON_ERR_RANGE
           || err == BATON_ERR_READBACK || err == BATON_ERR_ARG
           || err == BATON_ERR_CRYPTO || err == BATON_ERR_STATE;
}

static int start_over(struct baton_agent *self, uint8_t phase) {
    baton_agent_parts_close(self);
    baton_update_abort(&self->scratch.fetch.update);
    self->is_resumed = false;
    self->at = 0;
    baton_agent_parts_go(self, BATON_AGENT_CHECKING, phase);
    return 0;
}

int baton_agent_install_recover(struct baton_agent *self, int err) {
    if (is_flash_error(err) || err == BATON_ERR_NET_TOO_MUCH) {
        return err;
    }
    // Another file now: look at it anew, once. What is on flash is compared.
    if (err == BATON_ERR_HTTP_CHANGED && !self->is_fresh) {
        self->is_fresh = true;
        return start_over(self, PHASE_PLAIN_OPEN);
    }
    // What was found on flash may be to blame: fetch all of it once more.
    bool was_found = self->is_resumed || self->uses_map;
    if (was_found && !self->is_fresh) {
        self->is_fresh = true;
        baton_agent_parts_close(self);
        baton_update_abort(&self->scratch.fetch.update);
        self->fill = 0;
        self->pos = 0;
        self->run_end = 0;
        return baton_agent_fetch_begin(self);
    }
    if (!self->release.is_signed) {
        return err;
    }
    self->failed |= (uint8_t)(1u << self->release.payload);
    self->payload_err = err;
    self->is_fresh = false;
    return start_over(self, PHASE_IDENTIFY);
}
