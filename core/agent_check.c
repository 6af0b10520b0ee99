// Checking a channel: fetch the manifest, judge it, see to the keys.
// SPDX-License-Identifier: MIT
//
// The manifest is fetched again after the keys were: a key that was withdrawn
// must not install anything, and whoever holds it would never make a device
// look at the keys by itself.
#include <string.h>

#include "agent_parts.h"
#include "baton/error.h"

#define KEYS_PATH "keys.jws"

int baton_agent_check_identify(struct baton_agent *self) {
    if (!self->is_identified) {
        int err = baton_agent_identity_step(self);
        if (err != 0 || !self->is_identified) {
            return err;
        }
    }
    if (!baton_agent_parts_is_channel(self->url)) {
        return baton_agent_plain_start(self);
    }
    struct baton_trust *trust = &self->scratch.check.trust;
    int err = baton_trust_load(trust, self->config.store);
    for (size_t i = 0; i < self->source.pin_count && err == 0; i++) {
        err = baton_trust_pin_key(trust, self->source.pins[i]);
    }
    self->keys_fetched = !trust->has_root;
    self->phase = PHASE_CHANNEL_OPEN;
    return err;
}

// ---- Documents -----------------------------------------------------------

static int open_document(struct baton_agent *self, uint32_t max_bytes) {
    // The signature in the document vouches for it, whatever brings it.
    self->release.is_signed = true;
    self->fill = 0;
    int err = baton_agent_parts_open(self, 0, 0, NULL);
    if (err != 0) {
        return err;
    }
    return self->response.body_bytes > max_bytes ? BATON_ERR_JWS_TOO_LARGE : 0;
}

// Gathers a document in work. *is_whole when its end came.
static int read_document(
        struct baton_agent *self, uint32_t max_bytes, bool *is_whole) {
    *is_whole = false;
    // One byte more than is allowed tells a longer one.
    uint8_t spare;
    bool is_full = self->fill == max_bytes;
    uint8_t *to = (uint8_t *)self->config.work + self->fill;
    size_t got;
    int err = baton_agent_parts_read(self, is_full ? &spare : to,
            is_full ? 1u : max_bytes - self->fill, &got);
    if (err != 0) {
        return err;
    }
    if (is_full && got != 0) {
        return BATON_ERR_JWS_TOO_LARGE;
    }
    self->fill += (uint32_t)got;
    *is_whole = got == 0;
    if (*is_whole) {
        self->failures = 0; // not before: a part of it is no use
        baton_agent_parts_close(self);
    }
    // What a text editor adds is no part of it.
    const char *text = self->config.work;
    while (*is_whole && self->fill > 0
            && (text[self->fill - 1] == '\n' || text[self->fill - 1] == '\r')) {
        self->fill--;
    }
    return 0;
}

// ---- Keys ----------------------------------------------------------------

int baton_agent_check_keys_open(struct baton_agent *self) {
    if (!self->is_open) {
        int err = baton_manifest_url(self->url, KEYS_PATH, self->target_url,
                sizeof(self->target_url));
        if (err != 0) {
            return err;
        }
    }
    int err = open_document(self, BATON_KEYS_BYTES_MAX);
    if (err == BATON_ERR_HTTP_NOT_FOUND && self->wanted_err == 0) {
        // A publisher need not put it beside every channel.
        self->keys_fetched = true;
        baton_agent_parts_close(self);
        self->phase = PHASE_CHANNEL_OPEN;
        return 0;
    }
    if (err == BATON_ERR_HTTP_NOT_FOUND) {
        return self->wanted_err;
    }
    self->phase = err == 0 ? PHASE_KEYS_READ : self->phase;
    return err;
}

static struct baton_trust_time read_time(const struct baton_agent *self) {
    return baton_trust_time_read(self->config.clock, self->config.build_unix_s);
}

int baton_agent_check_keys_read(struct baton_agent *self) {
    bool is_whole;
    int err = read_document(self, BATON_KEYS_BYTES_MAX, &is_whole);
    if (err != 0 || !is_whole) {
        return err;
    }
    struct baton_trust_time time = read_time(self);
    self->keys_fetched = true;
    err = baton_trust_install_keys(&self->scratch.check.trust,
            self->config.crypto, self->config.store, self->config.work,
            self->fill, &time);
    // A mirror that lags behind serves old keys beside an older manifest; the
    // newer set that is installed goes on to judge it.
    if (err == BATON_ERR_KEYS_OLD) {
        err = self->wanted_err;
    }
    self->phase = PHASE_CHANNEL_OPEN;
    return err;
}

static int fetch_keys(struct baton_agent *self, int why) {
    if (self->keys_fetched) {
        return why;
    }
    self->wanted_err = why;
    self->phase = PHASE_KEYS_OPEN;
    return 0;
}

// ---- The manifest --------------------------------------------------------

int baton_agent_check_channel_open(struct baton_agent *self) {
    memcpy(self->target_url, self->url, strlen(self->url) + 1);
    int err = open_document(self, BATON_MANIFEST_BYTES_MAX);
    self->phase = err == 0 ? PHASE_CHANNEL_READ : self->phase;
    return err;
}

static const char *any_if_empty(const char *name) {
    return name != NULL && name[0] != '\0' ? name : NULL;
}

static struct baton_device_facts facts_of(const struct baton_agent *self) {
    const struct baton_agent_config *config = &self->config;
    struct baton_device_facts facts = {
            .product = any_if_empty(config->product),
            .board = any_if_empty(config->board),
            .id = config->device_id,
            .id_len = config->device_id_len,
            .mpy = config->mpy,
            .mpy_count = config->mpy_count,
            .secure_version = config->chip->secure_version,
            .slot_bytes = baton_agent_parts_target(self)->size_bytes,
            .chip_id = config->chip->id,
            .bootloader = config->bootloader,
    };
    return facts;
}

static int judge(struct baton_agent *self) {
    struct baton_manifest *manifest = &self->scratch.check.manifest;
    const struct baton_trust *trust = &self->scratch.check.trust;
    struct baton_device_facts facts = facts_of(self);
    struct baton_trust_time time = read_time(self);
    struct baton_manifest_options options = {
            .need_clock = self->config.require_clock};
    return baton_manifest_judge(
            manifest, trust, self->config.crypto, &facts, &time, &options);
}

static int note_sequence(struct baton_agent *self) {
    return baton_trust_note_sequence(&self->scratch.check.trust,
            self->config.store, self->scratch.check.manifest.sequence);
}

// This release ends here, and nothing is wrong with it.
void baton_agent_check_decline(struct baton_agent *self, int err) {
    if (err != 0) {
        baton_agent_parts_tell(self, BATON_AGENT_EVENT_DECLINED, err, 0);
    }
    baton_agent_parts_close(self);
    self->status.error = err;
    baton_agent_parts_go(self, BATON_AGENT_IDLE, PHASE_REST);
}

static void copy_text(char *to, size_t capacity, const char *from) {
    size_t len = strlen(from);
    len = len < capacity ? len : capacity - 1;
    memcpy(to, from, len);
    to[len] = '\0';
}

static void take_release(struct baton_agent *self, int payload) {
    const struct baton_manifest *manifest = &self->scratch.check.manifest;
    const struct baton_manifest_payload *from = &manifest->payloads[payload];
    struct baton_agent_release *to = &self->release;
    to->is_signed = true;
    to->has_sha256 = true;
    to->has_id = true;
    to->encoding = from->encoding;
    to->payload = (uint8_t)payload;
    to->sequence = manifest->sequence;
    to->image_bytes = manifest->image_bytes;
    to->payload_bytes = from->bytes;
    to->list_bytes = manifest->list_bytes;
    memcpy(to->sha256, manifest->image_sha256, BATON_SHA256_BYTES);
    memcpy(to->journal_id, to->sha256, BATON_SHA256_BYTES);
    memcpy(to->list_sha256, manifest->list_sha256, BATON_SHA256_BYTES);
    copy_text(to->path, sizeof(to->path), from->path);
    copy_text(to->of.list_path, sizeof(to->of.list_path), manifest->list_path);
    copy_text(self->status.to, sizeof(self->status.to), manifest->version);
    self->status.sequence = manifest->sequence;
}

int baton_agent_check_tried(
        struct baton_agent *self, const uint8_t *id, bool *is_current) {
    struct baton_agent_tried tried;
    *is_current = false;
    int err = baton_agent_trial_load(self, &tried);
    if (err != 0 || memcmp(tried.id, id, sizeof(tried.id)) != 0) {
        return err;
    }
    // A cut may have come between the confirmation and its note.
    bool is_good = tried.verdict == BATON_AGENT_VERDICT_GOOD
                   || tried.verdict == BATON_AGENT_VERDICT_TRYING;
    *is_current = is_good && (int)tried.slot == self->config.running;
    bool is_over = tried.verdict == BATON_AGENT_VERDICT_FAILED
                   || (tried.verdict == BATON_AGENT_VERDICT_OPEN
                           && tried.tries >= self->config.inconclusive_max);
    return is_over ? BATON_ERR_RELEASE_FAILED : 0;
}

static int install(struct baton_agent *self) {
    const struct baton_manifest *manifest = &self->scratch.check.manifest;
    bool is_current; // the digest has told that already
    int err =
            baton_agent_check_tried(self, manifest->image_sha256, &is_current);
    if (err != 0) {
        baton_agent_check_decline(self, err);
        return 0;
    }
    struct baton_manifest_wish wish = {.base_bytes = self->identity_bytes,
            .base_sha256 = self->identity_bytes != 0 ? self->identity : NULL,
            .state_bytes = baton_agent_payload_room(self),
            .failed = self->failed};
    int payload = baton_manifest_payload_pick(manifest, &wish);
    if (payload < 0) {
        return self->payload_err != 0 ? self->payload_err : payload;
    }
    if (!self->keys_fetched) {
        return fetch_keys(self, 0);
    }
    baton_agent_parts_tell(
            self, BATON_AGENT_EVENT_FOUND, 0, manifest->sequence);
    // The answer to "not now" is a new check: by then there may be another.
    self->phase = PHASE_CHANNEL_OPEN;
    if (!baton_agent_parts_may(self, BATON_AGENT_MAY_FETCH, manifest)) {
        return 0;
    }
    take_release(self, payload);
    return baton_agent_fetch_begin(self);
}

static int decide(struct baton_agent *self) {
    const struct baton_manifest *manifest = &self->scratch.check.manifest;
    int err = judge(self);
    if (err == BATON_ERR_KEYS_EXPIRED) {
        return fetch_keys(self, err);
    }
    if (err != 0 && err != BATON_ERR_MANIFEST_ROLLOUT) {
        return err;
    }
    // By a key that was withdrawn a number must not count: it could be the
    // highest there is, and shut out every release of the owner's.
    if (manifest->sequence > self->scratch.check.trust.sequence
            && !self->keys_fetched) {
        return fetch_keys(self, 0);
    }
    int noted = note_sequence(self);
    if (noted != 0) {
        return noted;
    }
    if (baton_agent_identity_is(
                self, manifest->image_bytes, manifest->image_sha256)) {
        baton_agent_parts_tell(self, BATON_AGENT_EVENT_CURRENT, 0, 0);
        baton_agent_check_decline(self, 0);
        return 0;
    }
    if (err != 0) {
        baton_agent_check_decline(self, err);
        return 0;
    }
    return install(self);
}

int baton_agent_check_channel_read(struct baton_agent *self) {
    bool is_whole;
    int err = read_document(self, BATON_MANIFEST_BYTES_MAX, &is_whole);
    if (err != 0 || !is_whole) {
        return err;
    }
    err = baton_manifest_open(&self->scratch.check.manifest, self->config.work,
            self->fill, &self->scratch.check.trust, self->config.crypto);
    if (err == BATON_ERR_KEY_UNKNOWN) {
        return fetch_keys(self, err);
    }
    return err != 0 ? err : decide(self);
}
