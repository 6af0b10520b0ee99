// The end of an update: read everything back, verify it, program the head.
// SPDX-License-Identifier: MIT
//
// One pass pushes the image through the verifier; a second one, where the
// digest of the whole file is known, hashes it in the same memory. Each step
// fills the buffer once, so that a caller that must not block can go in between.
#include <string.h>

#include "baton/error.h"
#include "update_parts.h"

// ESP-IDF reads as much by one command, and begins another for what is beyond.
#define READ_BYTES_MAX 16384u

// What one pass reads next: the head from memory, as it is not on flash yet,
// then a buffer at a time.
static int read_next(
        struct baton_update *self, const uint8_t **data, uint32_t *len) {
    if (self->end_at == 0 && self->have_head) {
        *data = self->head;
        *len = BATON_UPDATE_HEAD_BYTES;
        return 0;
    }
    uint32_t left = self->end_limit - self->end_at;
    // Nothing gathers any more, and no sector is held.
    uint32_t most = (uint32_t)self->config.work_len;
    most -= most % self->sector_bytes;
    most = most < READ_BYTES_MAX ? most : READ_BYTES_MAX;
    *len = left < most ? left : most;
    *data = baton_update_parts_buffer(self);
    return baton_update_parts_read_slot(
            self, self->end_at, baton_update_parts_buffer(self), *len);
}

// Pushes the image through the verifier. When it is whole the pass for the
// file's own digest follows, or nothing.
static int verify_some(struct baton_update *self) {
    const uint8_t *data;
    uint32_t len;
    int err = read_next(self, &data, &len);
    if (err != 0) {
        return err;
    }
    int status = baton_image_push(&self->image, data, len);
    self->end_at += len;
    if (status == BATON_IMAGE_MORE && self->end_at < self->end_limit) {
        return BATON_UPDATE_MORE;
    }
    err = baton_image_finish(&self->image);
    if (err != 0 || self->config.sha256 == NULL) {
        return err;
    }
    if (self->config.image_bytes == 0
            && self->end_limit == self->config.slot_bytes) {
        self->end_limit = baton_image_result(&self->image)->len_bytes;
    }
    const struct baton_crypto *crypto = self->config.crypto;
    self->end_at = 0;
    self->state = STATE_HASHING;
    err = crypto->hash_start(
            crypto->context, &self->image.hash, BATON_HASH_SHA256);
    return err != 0 ? err : BATON_UPDATE_MORE;
}

static int hash_some(struct baton_update *self) {
    const struct baton_crypto *crypto = self->config.crypto;
    struct baton_hash_state *hash = &self->image.hash;
    const uint8_t *data;
    uint32_t len;
    int err = read_next(self, &data, &len);
    if (err == 0) {
        err = crypto->hash_update(crypto->context, hash, data, len);
        self->end_at += len;
    }
    if (err != 0 || self->end_at < self->end_limit) {
        return err != 0 ? err : BATON_UPDATE_MORE;
    }
    uint8_t digest[BATON_SHA256_BYTES];
    err = crypto->hash_finish(crypto->context, hash, digest);
    if (err != 0) {
        return err;
    }
    bool is_same = memcmp(digest, self->config.sha256, sizeof(digest)) == 0;
    return is_same ? 0 : BATON_ERR_IMAGE_SHA256;
}

static int program_head(struct baton_update *self) {
    if (!self->have_head) {
        return 0;
    }
    const struct baton_flash *flash = self->config.flash;
    int err = flash->program(flash->context, self->config.slot_addr, self->head,
            sizeof(self->head));
    self->stats.bytes_programmed += (uint32_t)sizeof(self->head);
    bool is_same = true;
    if (err == 0) {
        err = baton_update_parts_compare(
                self, 0, self->head, sizeof(self->head), &is_same);
    }
    return err == 0 && !is_same ? BATON_ERR_READBACK : err;
}

// Writes what is left and sets the limits of the passes.
static int begin_end(struct baton_update *self) {
    const struct baton_update_config *config = &self->config;
    bool in_order = self->sequential && config->resume_off == 0;
    uint32_t came = self->off;
    int err = baton_update_parts_finish(self);
    if (err != 0) {
        return err;
    }
    bool is_short = in_order && came != 0 && came < config->image_bytes;
    if (is_short || (self->started && !self->have_head)) {
        return BATON_ERR_INCOMPLETE;
    }
    uint32_t limit = in_order && came != 0 ? came : config->slot_bytes;
    self->end_limit = config->image_bytes != 0 ? config->image_bytes : limit;
    self->end_at = 0;
    self->state = STATE_VERIFYING;
    err = baton_image_begin(&self->image, &self->image_config);
    return err != 0 ? err : BATON_UPDATE_MORE;
}

static int end_some(struct baton_update *self) {
    if (self->state == STATE_WRITING) {
        return begin_end(self);
    }
    int err = self->state == STATE_VERIFYING ? verify_some(self)
                                             : hash_some(self);
    return err != 0 ? err : program_head(self);
}

int baton_update_end_step(struct baton_update *self) {
    if (self->state < STATE_WRITING || self->state > STATE_HASHING) {
        return self->status != 0 ? self->status : BATON_ERR_STATE;
    }
    int err = end_some(self);
    if (err < 0) {
        return baton_update_parts_fail(self, err);
    }
    if (err == 0) {
        self->state = STATE_DONE;
    }
    return err;
}

int baton_update_end(struct baton_update *self) {
    if (self->state != STATE_WRITING) {
        return self->status != 0 ? self->status : BATON_ERR_STATE;
    }
    int err = BATON_UPDATE_MORE;
    while (err == BATON_UPDATE_MORE) {
        err = baton_update_end_step(self);
    }
    return err;
}
