// Checking a plain image: its first bytes decide whether it is fetched.
// SPDX-License-Identifier: MIT
//
// The first 288 bytes are asked for as a range. A server that knows ranges
// sends no more than that for an image that is refused or runs already; from
// one that does not, the body goes on from there.
#include <string.h>

#include "agent_parts.h"
#include "baton/error.h"
#include "bytes.h"

int baton_agent_plain_start(struct baton_agent *self) {
    struct baton_agent_release *release = &self->release;
    const uint8_t *sha256 = self->source.sha256;
    release->encoding = BATON_CODEC_RAW;
    release->has_sha256 = sha256 != NULL;
    if (sha256 != NULL) {
        memcpy(release->sha256, sha256, BATON_SHA256_BYTES);
    }
    if (sha256 != NULL && baton_agent_identity_is(self, 0, sha256)) {
        baton_agent_parts_tell(self, BATON_AGENT_EVENT_CURRENT, 0, 0);
        baton_agent_check_decline(self, 0);
        return 0;
    }
    self->phase = PHASE_PLAIN_OPEN;
    return 0;
}

// What the journal calls this file: its digest, or else its URL, length and
// strong ETag together. Without any of them nothing can be resumed.
static int name_file(struct baton_agent *self) {
    struct baton_agent_release *release = &self->release;
    release->has_id = release->has_sha256;
    memcpy(release->journal_id, release->sha256, BATON_SHA256_BYTES);
    const char *etag = self->response.etag;
    if (release->has_id || etag[0] == '\0' || release->image_bytes == 0) {
        return 0;
    }
    const struct baton_crypto *crypto = self->config.crypto;
    struct baton_hash_state *hash = &self->scratch.hash;
    uint8_t raw[4];
    put_u32(raw, release->image_bytes);
    int err = crypto->hash_start(crypto->context, hash, BATON_HASH_SHA256);
    if (err == 0) {
        err = crypto->hash_update(
                crypto->context, hash, self->url, strlen(self->url) + 1);
    }
    if (err == 0) {
        err = crypto->hash_update(crypto->context, hash, raw, sizeof(raw));
    }
    if (err == 0) {
        err = crypto->hash_update(crypto->context, hash, etag, strlen(etag));
    }
    if (err == 0) {
        err = crypto->hash_finish(crypto->context, hash, release->journal_id);
    }
    release->has_id = err == 0;
    return err;
}

int baton_agent_plain_open(struct baton_agent *self) {
    memcpy(self->target_url, self->url, strlen(self->url) + 1);
    self->fill = 0;
    int err = baton_agent_parts_open(self, 0, BATON_IMAGE_HEAD_BYTES, NULL);
    if (err != 0) {
        return err;
    }
    struct baton_agent_release *release = &self->release;
    release->image_bytes = self->response.total_bytes;
    release->payload_bytes = release->image_bytes;
    memcpy(release->of.etag, self->response.etag, BATON_ETAG_BYTES);
    uint32_t room = baton_agent_parts_target(self)->size_bytes;
    if (release->image_bytes > room) {
        return BATON_ERR_IMAGE_TOO_LARGE;
    }
    self->phase = PHASE_PLAIN_HEAD;
    return name_file(self);
}

// True where the running image begins with the same bytes and they name the
// build: the descriptor's digest of the ELF file is there.
static int compare_head(
        struct baton_agent *self, const uint8_t *head, bool *is_same) {
    const struct baton_flash *flash = self->config.flash;
    uint32_t bytes = self->release.image_bytes;
    bool names_build = false;
    for (uint32_t i = 0; i < BATON_SHA256_BYTES; i++) {
        names_build |= head[BATON_IMAGE_DESCRIPTOR_OFF + 144u + i] != 0;
    }
    *is_same = names_build && self->identity_bytes != 0
               && (bytes == 0 || bytes == self->identity_bytes);
    for (uint32_t at = 0; at < BATON_IMAGE_HEAD_BYTES && *is_same; at += 32u) {
        uint8_t piece[32];
        int err = flash->read(flash->context, self->config.place.addr + at,
                piece, sizeof(piece));
        if (err != 0) {
            return err;
        }
        *is_same = memcmp(piece, head + at, sizeof(piece)) == 0;
    }
    return 0;
}

static int judge_head(struct baton_agent *self, const uint8_t *head) {
    struct baton_image_config config = {.crypto = self->config.crypto,
            .chip = self->config.chip,
            .limit_bytes = baton_agent_parts_target(self)->size_bytes,
            .need_digest = !self->release.has_sha256};
    return baton_image_check(
            head, self->fill, self->release.image_bytes, &config);
}

// Whether the running image is this one, or one that failed here before.
static int find_current(
        struct baton_agent *self, const uint8_t *head, bool *is_same) {
    const struct baton_agent_release *release = &self->release;
    int err = 0;
    if (release->has_id) {
        err = baton_agent_check_tried(self, release->journal_id, is_same);
    }
    // The store can be older than what runs (flashed by a cable, say).
    *is_same = *is_same && release->image_bytes == self->identity_bytes;
    if (err == 0 && !*is_same && !release->has_sha256) {
        err = compare_head(self, head, is_same);
    }
    return err;
}

// Asks the application, then fetches; what came already is the beginning.
static int install(struct baton_agent *self, const uint8_t *head) {
    baton_agent_parts_tell(self, BATON_AGENT_EVENT_FOUND, 0, 0);
    if (!baton_agent_parts_may(self, BATON_AGENT_MAY_FETCH, NULL)) {
        baton_agent_parts_close(self);
        self->phase = PHASE_PLAIN_OPEN;
        return 0;
    }
    uint32_t have = self->fill;
    // The whole file is on its way where the server does not know ranges.
    bool goes_on = self->response.body_bytes != BATON_IMAGE_HEAD_BYTES
                   || self->release.image_bytes == BATON_IMAGE_HEAD_BYTES;
    if (!goes_on) {
        baton_agent_parts_close(self);
    }
    int err = baton_agent_fetch_begin(self);
    if (err != 0 || self->phase != PHASE_BODY_OPEN || self->is_resumed) {
        baton_agent_parts_close(self);
        return err;
    }
    self->pos = 0;
    self->at = 0;
    self->run_end = self->release.image_bytes;
    err = baton_agent_fetch_feed(self, head, have);
    self->phase = goes_on ? PHASE_BODY_READ : PHASE_BODY_OPEN;
    return err;
}

int baton_agent_plain_head(struct baton_agent *self) {
    size_t room;
    uint8_t *head = baton_agent_parts_io(self, &room);
    size_t got;
    int err = baton_agent_parts_read(
            self, head + self->fill, BATON_IMAGE_HEAD_BYTES - self->fill, &got);
    self->fill += (uint32_t)got;
    if (err != 0 || (got != 0 && self->fill < BATON_IMAGE_HEAD_BYTES)) {
        return err;
    }
    bool is_same = false;
    err = judge_head(self, head);
    err = err != 0 ? err : find_current(self, head, &is_same);
    bool is_over = err == BATON_ERR_RELEASE_FAILED || (err == 0 && is_same);
    if (!is_over) {
        return err != 0 ? err : install(self, head);
    }
    if (is_same) {
        baton_agent_parts_tell(self, BATON_AGENT_EVENT_CURRENT, 0, 0);
    }
    baton_agent_check_decline(self, err);
    return 0;
}
