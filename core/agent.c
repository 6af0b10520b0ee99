// The update agent's engine: states, steps, waits, retries.
// SPDX-License-Identifier: MIT
#include "baton/agent.h"

#include <string.h>

#include "agent_parts.h"
#include "baton/error.h"

#define DEFAULT_RETRY_MIN_MS    1000u
#define DEFAULT_RETRY_MAX_MS    300000u
#define DEFAULT_RETRY_MAX_COUNT 10u
#define DEFAULT_TOTAL_SLOTS     4u
#define DEFAULT_TRIAL_MS        300000u
#define DEFAULT_INCONCLUSIVE    3u

// What a phase does, and where a retry of it begins.
static const struct {
    int (*run)(struct baton_agent *self);
    uint8_t again;
} phases[PHASE_COUNT] = {
        [PHASE_REPORT] = {baton_agent_report_send, PHASE_REPORT},
        [PHASE_IDENTIFY] = {baton_agent_check_identify, PHASE_IDENTIFY},
        [PHASE_CHANNEL_OPEN] = {baton_agent_check_channel_open,
                PHASE_CHANNEL_OPEN},
        [PHASE_CHANNEL_READ] = {baton_agent_check_channel_read,
                PHASE_CHANNEL_OPEN},
        [PHASE_KEYS_OPEN] = {baton_agent_check_keys_open, PHASE_KEYS_OPEN},
        [PHASE_KEYS_READ] = {baton_agent_check_keys_read, PHASE_KEYS_OPEN},
        [PHASE_PLAIN_OPEN] = {baton_agent_plain_open, PHASE_PLAIN_OPEN},
        [PHASE_PLAIN_HEAD] = {baton_agent_plain_head, PHASE_PLAIN_OPEN},
        [PHASE_LIST_OPEN] = {baton_agent_list_open, PHASE_LIST_OPEN},
        [PHASE_LIST_READ] = {baton_agent_list_read, PHASE_LIST_OPEN},
        [PHASE_BODY_OPEN] = {baton_agent_fetch_open, PHASE_BODY_OPEN},
        [PHASE_BODY_READ] = {baton_agent_fetch_read, PHASE_BODY_OPEN},
        [PHASE_END] = {baton_agent_install_end, PHASE_END},
        [PHASE_READY] = {baton_agent_install_ready, PHASE_READY},
        [PHASE_REBOOT] = {baton_agent_install_reboot, PHASE_REBOOT},
        [PHASE_GATE] = {baton_agent_trial_gate, PHASE_GATE},
        [PHASE_OTHER] = {baton_agent_trial_other, PHASE_OTHER},
        [PHASE_CONFIRM] = {baton_agent_trial_confirm, PHASE_CONFIRM},
};

// ---- Small things --------------------------------------------------------

uint64_t baton_agent_parts_now(const struct baton_agent *self) {
    return self->config.clock->ticks_ms(self->config.clock->context);
}

void baton_agent_parts_tell(
        struct baton_agent *self, uint8_t kind, int err, uint32_t value) {
    if (self->config.event == NULL) {
        return;
    }
    struct baton_agent_event event = {kind, err, value};
    self->config.event(self->config.context, &event);
}

void baton_agent_parts_go(
        struct baton_agent *self, enum baton_agent_state state, uint8_t phase) {
    self->phase = phase;
    if (self->state == state) {
        return;
    }
    self->state = (uint8_t)state;
    baton_agent_parts_tell(self, BATON_AGENT_EVENT_STATE, 0, (uint32_t)state);
}

void baton_agent_parts_wait(struct baton_agent *self, uint32_t ms) {
    if (self->state != BATON_AGENT_WAITING) {
        self->wait_state = self->state;
    }
    self->wait_until_ms = baton_agent_parts_now(self) + ms;
    baton_agent_parts_go(self, BATON_AGENT_WAITING, self->phase);
}

bool baton_agent_parts_may(struct baton_agent *self,
        enum baton_agent_question question,
        const struct baton_manifest *release) {
    if (self->config.decide == NULL) {
        return true;
    }
    uint32_t ms = self->config.decide(self->config.context, question, release);
    if (ms != 0) {
        baton_agent_parts_wait(self, ms);
    }
    return ms == 0;
}

const struct baton_boot_place *baton_agent_parts_target(
        const struct baton_agent *self) {
    return &self->config.slots[self->target];
}

uint32_t baton_agent_parts_sector(const struct baton_agent *self) {
    uint32_t bytes = self->config.flash->sector_bytes;
    return bytes != 0 ? bytes : BATON_SECTOR_BYTES;
}

uint8_t *baton_agent_parts_io(const struct baton_agent *self, size_t *len) {
    uint32_t sector = baton_agent_parts_sector(self);
    *len = self->config.work_len - sector;
    return (uint8_t *)self->config.work + sector;
}

// ---- The transport -------------------------------------------------------

int baton_agent_parts_open(struct baton_agent *self, uint32_t from, uint32_t to,
        const char *etag) {
    const struct baton_transport *transport = self->config.transport;
    struct baton_request request = {.url = self->target_url,
            .from = from,
            .to = to,
            .etag = etag,
            .may_downgrade =
                    self->release.is_signed || self->release.has_sha256};
    if (!self->is_open) {
        memset(&self->response, 0, sizeof(self->response));
        self->status.attempts++;
    }
    self->is_open = true;
    return transport->open(transport->context, &request, &self->response);
}

int baton_agent_parts_read(
        struct baton_agent *self, void *buf, size_t len, size_t *got) {
    const struct baton_transport *transport = self->config.transport;
    *got = 0;
    int err = transport->read(transport->context, buf, len, got);
    if (err != 0 || *got == 0) {
        return err;
    }
    self->status.bytes += (uint32_t)*got;
    return self->status.bytes > self->config.total_max_bytes
                   ? BATON_ERR_NET_TOO_MUCH
                   : 0;
}

void baton_agent_parts_gain(struct baton_agent *self, uint32_t bytes) {
    self->gained += bytes;
    if (self->gained >= baton_agent_parts_sector(self)) {
        self->failures = 0;
    }
}

void baton_agent_parts_close(struct baton_agent *self) {
    const struct baton_transport *transport = self->config.transport;
    if (self->is_open) {
        transport->close(transport->context);
    }
    self->is_open = false;
}

// ---- Ends and retries ----------------------------------------------------

void baton_agent_parts_finish(struct baton_agent *self, int err) {
    baton_agent_parts_close(self);
    baton_update_abort(&self->scratch.fetch.update);
    bool was_update = self->status.total != 0;
    self->status.error = err;
    uint64_t ms = baton_agent_parts_now(self) - self->started_ms;
    self->status.seconds = (uint32_t)ms / 1000u;
    if (err != 0) {
        baton_agent_parts_tell(self, BATON_AGENT_EVENT_FAILED, err, 0);
    }
    // A check that found nothing leaves no trace on flash.
    if (was_update) {
        self->status.unreported = true;
        (void)baton_agent_status_save(self);
    }
    baton_agent_parts_go(self, BATON_AGENT_IDLE, PHASE_REST);
}

// The back-off doubles with each failure; half of it is by chance, so that a
// fleet does not come back all at once.
static uint32_t back_off_ms(const struct baton_agent *self) {
    const struct baton_agent_config *config = &self->config;
    uint32_t ms = config->retry_min_ms;
    for (uint16_t i = 1; i < self->failures && ms < config->retry_max_ms; i++) {
        ms *= 2u;
    }
    if (ms > config->retry_max_ms) {
        ms = config->retry_max_ms;
    }
    uint32_t chance = 0;
    config->random->fill(config->random->context, &chance, sizeof(chance));
    uint32_t half = ms / 2u;
    ms = half + (half != 0 ? chance % half : 0);
    uint32_t asked_s = self->response.retry_after_s;
    uint32_t most_s = config->retry_max_ms / 1000u;
    asked_s = asked_s < most_s ? asked_s : most_s;
    return ms > asked_s * 1000u ? ms : asked_s * 1000u;
}

static void retry_later(struct baton_agent *self, int err) {
    self->failures++;
    self->gained = 0;
    if (self->failures > self->config.retry_max_count) {
        baton_agent_parts_finish(self, err);
        return;
    }
    uint32_t ms = back_off_ms(self);
    baton_agent_parts_close(self);
    // What follows may be of another file, where nothing tells them apart.
    self->is_resumed = self->is_resumed || self->phase == PHASE_BODY_READ;
    self->phase = phases[self->phase].again;
    baton_agent_parts_tell(self, BATON_AGENT_EVENT_RETRY, err, ms);
    baton_agent_parts_wait(self, ms);
}

static void handle(struct baton_agent *self, int err) {
    if (err == 0 || err == BATON_ERR_AGAIN) {
        return;
    }
    if (baton_error_is_retryable(err) && err != BATON_ERR_HTTP_CHANGED) {
        retry_later(self, err);
        return;
    }
    if (self->phase >= PHASE_LIST_OPEN && self->phase <= PHASE_END) {
        err = baton_agent_install_recover(self, err);
    }
    if (err != 0) {
        baton_agent_parts_finish(self, err);
    }
}

// ---- The calls -----------------------------------------------------------

static void set_defaults(struct baton_agent *self) {
    struct baton_agent_config *config = &self->config;
    if (config->retry_min_ms == 0) {
        config->retry_min_ms = DEFAULT_RETRY_MIN_MS;
    }
    if (config->retry_max_ms == 0) {
        config->retry_max_ms = DEFAULT_RETRY_MAX_MS;
    }
    if (config->retry_max_count == 0) {
        config->retry_max_count = DEFAULT_RETRY_MAX_COUNT;
    }
    if (config->trial_ms == 0) {
        config->trial_ms = DEFAULT_TRIAL_MS;
    }
    if (config->inconclusive_max == 0) {
        config->inconclusive_max = DEFAULT_INCONCLUSIVE;
    }
    if (config->total_max_bytes == 0) {
        uint32_t slot = baton_agent_parts_target(self)->size_bytes;
        config->total_max_bytes = slot * DEFAULT_TOTAL_SLOTS;
    }
}

static bool is_complete(const struct baton_agent_config *config) {
    bool has_seams = config->flash != NULL && config->crypto != NULL
                     && config->chip != NULL && config->transport != NULL
                     && config->store != NULL && config->clock != NULL
                     && config->random != NULL && config->reset != NULL;
    return has_seams && config->slots != NULL && config->slot_count >= 1
           && config->slot_count <= BATON_SLOTS_MAX && config->work != NULL
           && config->running < (int)config->slot_count
           && (config->running >= 0 || config->place.size_bytes != 0);
}

// The slot after the one that runs; from factory the first.
static uint32_t choose_target(const struct baton_agent_config *config) {
    return (uint32_t)(config->running + 1) % config->slot_count;
}

int baton_agent_begin(
        struct baton_agent *self, const struct baton_agent_config *config) {
    memset(self, 0, sizeof(*self));
    if (!is_complete(config)) {
        return BATON_ERR_ARG;
    }
    self->config = *config;
    if (config->running == BATON_BOOT_FACTORY || config->running < 0) {
        self->config.running = BATON_BOOT_FACTORY;
    } else {
        self->config.place = config->slots[config->running];
    }
    self->target = choose_target(&self->config);
    uint32_t sector = baton_agent_parts_sector(self);
    size_t io = config->codec_len != 0 ? BATON_AGENT_CODEC_IO_BYTES
                                       : BATON_AGENT_IO_BYTES;
    if (config->work_len < sector + io
            || config->work_len < BATON_MANIFEST_BYTES_MAX) {
        return BATON_ERR_ARG;
    }
    set_defaults(self);
    int err = baton_agent_status_load(self);
    return err != 0 ? err : baton_agent_trial_begin(self);
}

// True where the URL's path ends in ".jws".
bool baton_agent_parts_is_channel(const char *url) {
    size_t len = 0;
    while (url[len] != '\0' && url[len] != '?' && url[len] != '#') {
        len++;
    }
    return len >= 4 && memcmp(url + len - 4, ".jws", 4) == 0;
}

// Nothing unsigned is taken where there is a key to check with, unless the
// caller says so; without one, something else has to vouch for it.
static int judge_source(
        struct baton_agent *self, const struct baton_agent_source *source) {
    bool is_https = strncmp(source->url, "https://", 8) == 0;
    if (!is_https && strncmp(source->url, "http://", 7) != 0) {
        return BATON_ERR_URL;
    }
    if (baton_agent_parts_is_channel(source->url) || source->allow_unsigned) {
        return 0;
    }
    struct baton_trust *trust = &self->scratch.check.trust;
    int err = baton_trust_load(trust, self->config.store);
    if (err != 0) {
        return err;
    }
    bool vouched = source->sha256 != NULL || (is_https && source->trusted_tls);
    return !trust->has_root && vouched ? 0 : BATON_ERR_UNSIGNED;
}

// Also while it waits before it asks the server again.
static bool is_on_trial(const struct baton_agent *self) {
    return self->state == BATON_AGENT_TRIAL
           || (self->state == BATON_AGENT_WAITING
                   && self->wait_state == BATON_AGENT_TRIAL);
}

static void copy_source(
        struct baton_agent *self, const struct baton_agent_source *source) {
    memcpy(self->url, source->url, strlen(source->url) + 1);
    self->source = *source;
    self->source.url = self->url;
    if (source->sha256 != NULL) {
        memcpy(self->source_sha256, source->sha256, BATON_SHA256_BYTES);
        self->source.sha256 = self->source_sha256;
    }
}

void baton_agent_parts_start(struct baton_agent *self) {
    // What runs is named by the last update that was confirmed.
    const struct baton_agent_status *last = &self->status;
    bool is_done = last->error == 0 && last->to[0] != '\0';
    char from[BATON_AGENT_VERSION_BYTES];
    memcpy(from, is_done ? last->to : last->from, sizeof(from));
    memset(&self->status, 0, sizeof(self->status));
    memcpy(self->status.from, from, sizeof(from));
    memset(&self->release, 0, sizeof(self->release));
    memset(&self->response, 0, sizeof(self->response));
    self->started_ms = baton_agent_parts_now(self);
    self->failures = 0;
    self->failed = 0;
    self->payload_err = 0;
    self->wanted_err = 0;
    self->keys_fetched = false;
    self->is_fresh = false;
    self->held_back = false;
    self->wants_check = false;
    self->at = 0;
    baton_agent_parts_go(self, BATON_AGENT_CHECKING, PHASE_IDENTIFY);
}

static void start_check(struct baton_agent *self) {
    if (baton_agent_report_is_due(self)) {
        self->wants_check = false;
        baton_agent_parts_go(self, BATON_AGENT_CHECKING, PHASE_REPORT);
    } else {
        baton_agent_parts_start(self);
    }
}

int baton_agent_check(
        struct baton_agent *self, const struct baton_agent_source *source) {
    bool is_trial = is_on_trial(self);
    if (self->state != BATON_AGENT_IDLE && !is_trial) {
        return BATON_ERR_STATE;
    }
    if (source->url == NULL || strlen(source->url) >= sizeof(self->url)) {
        return BATON_ERR_URL;
    }
    if (self->phase == PHASE_OTHER) {
        self->at = 0; // the scratch memory is used here: verify once more
    }
    int err = judge_source(self, source);
    if (err != 0) {
        return err;
    }
    copy_source(self, source);
    if (is_trial) {
        self->wants_check = true;
    } else {
        start_check(self);
    }
    return 0;
}

// What comes after a trial that went well.
static void go_on_checking(struct baton_agent *self) {
    if (self->state == BATON_AGENT_IDLE && self->wants_check) {
        start_check(self);
    }
}

static void fill_progress(
        const struct baton_agent *self, struct baton_agent_progress *progress) {
    if (progress == NULL) {
        return;
    }
    progress->wait_ms = 0;
    if (self->state == BATON_AGENT_WAITING) {
        uint64_t now = baton_agent_parts_now(self);
        progress->wait_ms = self->wait_until_ms > now
                                    ? (uint32_t)(self->wait_until_ms - now)
                                    : 0;
    }
    progress->done = self->status.done;
    progress->total = self->release.image_bytes;
    progress->err = self->status.error;
}

int baton_agent_step(
        struct baton_agent *self, struct baton_agent_progress *progress) {
    if (self->config.feed != NULL) {
        self->config.feed(self->config.context);
    }
    int err = baton_agent_trial_watch(self);
    if (self->state == BATON_AGENT_WAITING
            && baton_agent_parts_now(self) >= self->wait_until_ms) {
        baton_agent_parts_go(self, self->wait_state, self->phase);
    }
    bool is_active =
            self->state != BATON_AGENT_WAITING && self->phase != PHASE_REST;
    if (err == 0 && is_active) {
        err = phases[self->phase].run(self);
    }
    handle(self, err);
    go_on_checking(self);
    self->status.state = self->state;
    fill_progress(self, progress);
    return self->state;
}

int baton_agent_run(struct baton_agent *self,
        void (*sleep)(void *context, uint32_t ms), void *context) {
    for (;;) {
        struct baton_agent_progress progress;
        int state = baton_agent_step(self, &progress);
        bool is_held = self->config.keep_running
                       && (state == BATON_AGENT_READY
                               || state == BATON_AGENT_REBOOTING);
        if (state == BATON_AGENT_IDLE) {
            return progress.err;
        }
        // A reset that came back: a simulation's.
        if (is_held
                || (state == BATON_AGENT_REBOOTING
                        && self->phase == PHASE_REST)) {
            return state;
        }
        if (progress.wait_ms != 0) {
            sleep(context, progress.wait_ms);
        }
    }
}

void baton_agent_cancel(struct baton_agent *self) {
    if (!is_on_trial(self) && self->state != BATON_AGENT_REBOOTING) {
        baton_agent_parts_close(self);
        baton_update_abort(&self->scratch.fetch.update);
        baton_agent_parts_go(self, BATON_AGENT_IDLE, PHASE_REST);
    }
    self->wants_check = false;
}

const struct baton_agent_status *baton_agent_status(
        const struct baton_agent *self) {
    return &self->status;
}

const char *baton_agent_state_name(int state) {
    static const char *const names[] = {"idle", "checking", "fetching",
            "verifying", "ready", "rebooting", "trial", "waiting"};
    bool is_known =
            state >= 0 && state < (int)(sizeof(names) / sizeof(names[0]));
    return is_known ? names[state] : "unknown";
}
