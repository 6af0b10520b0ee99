// The payload decoder: its header, and bytes in, bytes out.
// SPDX-License-Identifier: MIT
//
//   header --> body, a restart segment after the other --> digest --> done
//
// A restart segment is decoded by steps. A step begins only when the input it
// may take is there, or the segment's input ends, so that it never has to be
// suspended; in between, everything is in struct codec and pieces of input may
// have any length. Each segment begins with a new model and its own input, and
// so does a decoder that goes on after a restart.
#include "baton/codec.h"

#include <string.h>

#include "baton/error.h"
#include "bytes.h"
#include "codec_state.h"

#define SHA   BATON_SHA256_BYTES
#define MAGIC 0x50746142u // "BatP"

// ---- Header

// Where the fields lie, little-endian; then three bytes for each restart
// segment, its length in the payload. docs/CODEC.md has them all.
enum header {
    HEADER_ENCODING = 5,
    HEADER_WORDS = 12,
    HEADER_SHA256 = 32,
    HEADER_LENGTHS = 96,
};

uint32_t baton_codec_body_end(const struct baton_codec_info *info) {
    return info->new_bytes
           - ((info->features & CODEC_FEATURE_DIGEST) != 0 ? SHA : 0);
}

static void decode_header(const uint8_t *head, struct baton_codec_info *out) {
    memcpy(&out->encoding, head + HEADER_ENCODING, 7);
    uint32_t words[5];
    for (unsigned i = 0; i < 5; i++) {
        words[i] = baton_codec_word(head + HEADER_WORDS + 4 * i, 4);
    }
    out->new_bytes = words[0];
    out->old_bytes = words[1];
    out->code = words[2];
    out->areas[0] = words[3];
    out->areas[1] = words[4];
    memcpy(out->new_sha256, head + HEADER_SHA256, SHA);
    memcpy(out->old_sha256, head + HEADER_SHA256 + SHA, SHA);
}

// Checks every field, and counts the state that they ask for.
static bool is_sound(struct baton_codec_info *info) {
    bool is_delta = info->encoding == BATON_CODEC_DELTA;
    size_t bytes = sizeof(struct codec)
                   + info->map_eighth * 8 * sizeof(struct codec_map_entry);
    for (int i = 0; i < 3; i++) {
        if (info->literal_log2[i] - 8u > 5) {
            return false;
        }
        bytes += sizeof(codec_counter) << info->literal_log2[i];
    }
    info->state_bytes = (uint32_t)bytes;
    info->profile = bytes > BATON_CODEC_STATE_S_BYTES;
    return info->encoding <= BATON_CODEC_DELTA && info->machine <= CODEC_XTENSA
           && info->new_bytes - 1 < BATON_CODEC_IMAGE_MAX
           && info->old_bytes <= BATON_CODEC_IMAGE_MAX
           && is_delta == (info->old_bytes > 0) && info->map_eighth > 0
           && bytes <= BATON_CODEC_STATE_M_BYTES;
}

int baton_codec_header_read(
        const uint8_t *head, size_t len, struct baton_codec_info *out) {
    memset(out, 0, sizeof(*out));
    if (len >= 4 && baton_codec_word(head, 4) != MAGIC) {
        return BATON_ERR_CODEC_FORMAT;
    }
    if (len > 4 && head[4] != CODEC_VERSION) {
        return BATON_ERR_CODEC_VERSION;
    }
    if (len < HEADER_LENGTHS) {
        return BATON_ERR_CODEC_TRUNCATED;
    }
    decode_header(head, out);
    if (out->features > CODEC_FEATURE_DIGEST) {
        return BATON_ERR_CODEC_VERSION;
    }
    // The digest is all in the last segment, with something before it.
    uint32_t last = (out->new_bytes - 1) / BATON_CODEC_SEGMENT_BYTES;
    uint32_t body = baton_codec_body_end(out);
    if (!is_sound(out) || body - 1 > out->new_bytes
            || (body - 1) / BATON_CODEC_SEGMENT_BYTES != last) {
        return BATON_ERR_CODEC_FORMAT;
    }
    uint32_t off = HEADER_LENGTHS + 3 * (last + 1);
    out->header_bytes = off;
    out->segment_count = last + 1;
    if (len < off) {
        return BATON_ERR_CODEC_TRUNCATED;
    }
    for (uint32_t i = 0; i <= last; i++) {
        out->segment_off[i] = off;
        off += baton_codec_word(head + HEADER_LENGTHS + 3 * i, 3);
    }
    out->segment_off[last + 1] = off;
    out->payload_bytes = off;
    return 0;
}

// ---- Begin

static int begin_segment(struct baton_codec *self, uint32_t k) {
    self->segment = k;
    baton_codec_model_begin(self->model, self, self->info, k);
    return self->model->status;
}

int baton_codec_begin(struct baton_codec *self,
        const struct baton_codec_config *config,
        const struct baton_codec_info *info) {
    bool hashes = (info->features & CODEC_FEATURE_DIGEST) != 0;
    memset(self, 0, sizeof(*self));
    self->config = *config;
    self->info = info;
    self->model = config->state;
    self->hashed = hashes ? 0 : CODEC_NEVER;
    if (config->write == NULL || config->read_new == NULL
            || (info->old_bytes != 0 && config->read_old == NULL)
            || (hashes && config->crypto == NULL) || config->state == NULL
            || (uintptr_t)config->state % sizeof(void *) != 0) {
        return BATON_ERR_ARG;
    }
    return config->state_len < info->state_bytes ? BATON_ERR_CODEC_MEMORY
                                                 : begin_segment(self, 0);
}

int baton_codec_resume(struct baton_codec *self, uint32_t k) {
    if (k >= self->info->segment_count) {
        return BATON_ERR_ARG;
    }
    self->in_off = self->info->segment_off[k];
    return begin_segment(self, k);
}

// ---- Push

struct input {
    const uint8_t *data;
    size_t len;
};

// Takes input, `most` bytes or what there is, to `to` or to nowhere.
static uint32_t take(struct baton_codec *self, struct input *in, uint8_t *to,
        uint32_t most) {
    uint32_t len = in->len < most ? (uint32_t)in->len : most;
    if (to != NULL) {
        memcpy(to, in->data, len);
    }
    in->data += len;
    in->len -= len;
    self->in_off += len;
    return len;
}

// Moves input into the model's buffer. True when a step may begin.
static bool fill_input(struct baton_codec *self, struct input *in) {
    struct codec *model = self->model;
    uint32_t have = model->in_len - model->in_at;
    if (have < CODEC_STEP_BYTES && model->in_left > 0) {
        uint32_t room = CODEC_IN_BYTES - have;
        memmove(model->in, model->in + model->in_at, have);
        room = take(self, in, model->in + have,
                room < model->in_left ? room : model->in_left);
        have += room;
        model->in_left -= room;
        model->in_at = 0;
        model->in_len = have;
    }
    return have >= CODEC_STEP_BYTES || model->in_left == 0;
}

static void step_body(struct codec *model) {
    baton_codec_model_step(model);
    bool is_done = model->new_off == model->new_end;
    uint32_t past = model->in_at - model->in_len; // none: negative
    if (is_done) {
        baton_codec_layout_flush(model);
    }
    // At the end all input is used; up to four bytes beyond are zero.
    if ((int32_t)past > 4 || (is_done && (past > 4 || model->in_left != 0))) {
        baton_codec_fail(model, BATON_ERR_CODEC_CORRUPT);
    }
}

// The next bytes that the image's digest is of.
static int hash(struct baton_codec *self, const void *data, uint32_t len) {
    const struct baton_crypto *crypto = self->config.crypto;
    int err = self->hashed != 0 ? 0
                                : crypto->hash_start(crypto->context,
                                        &self->hash, BATON_HASH_SHA256);
    self->hashed += len;
    return err ? err
               : crypto->hash_update(crypto->context, &self->hash, data, len);
}

int baton_codec_write(
        struct baton_codec *self, const void *data, uint32_t len) {
    // Behind a restart not: step_digest reads all of it back.
    int err = self->hashed + len == self->model->new_off ? hash(self, data, len)
                                                         : 0;
    return err ? err : self->config.write(self->config.context, data, len);
}

// Hashes a piece that was not when it was made; after the last one, writes the
// digest.
static int step_digest(struct baton_codec *self) {
    const struct baton_crypto *crypto = self->config.crypto;
    uint8_t *piece = self->model->window;
    uint32_t left = self->model->new_end - self->hashed;
    uint32_t len = left < CODEC_WINDOW_BYTES ? left : CODEC_WINDOW_BYTES;
    if (left > 0) {
        baton_codec_layout_fetch(self->model, true, self->hashed, piece, len);
        return hash(self, piece, len);
    }
    self->model->new_off += SHA;
    int err = crypto->hash_finish(crypto->context, &self->hash, piece);
    return err ? err : self->config.write(self->config.context, piece, SHA);
}

// One piece of work. False: there is none without more input.
static bool work(struct baton_codec *self, struct input *in) {
    const struct baton_codec_info *info = self->info;
    struct codec *model = self->model;
    if (self->in_off < info->header_bytes) {
        return take(self, in, NULL, info->header_bytes - self->in_off) != 0;
    }
    if (model->new_off < model->new_end) {
        if (!fill_input(self, in)) {
            return false;
        }
        step_body(model);
    } else if (self->segment + 1 < info->segment_count) {
        (void)begin_segment(self, self->segment + 1);
    } else if (model->new_off < info->new_bytes) {
        baton_codec_fail(model, step_digest(self));
    } else {
        baton_codec_fail(model, in->len == 0 ? 0 : BATON_ERR_CODEC_FORMAT);
        return false;
    }
    return true;
}

// Bytes made, and then hashed.
static uint32_t progress(const struct baton_codec *self) {
    uint32_t made = self->model->new_off;
    return made < baton_codec_body_end(self->info) ? made : made + self->hashed;
}

int baton_codec_push(
        struct baton_codec *self, const void *data, size_t len, size_t *used) {
    struct input in = {.data = data, .len = len};
    uint32_t budget = self->config.budget_bytes;
    uint32_t start = progress(self);
    bool goes_on = true;
    bool has_budget = true;
    while (self->model->status == 0 && goes_on && has_budget) {
        goes_on = work(self, &in);
        has_budget = budget == 0 || progress(self) - start < budget;
    }
    *used = len - in.len;
    return self->model->status != 0 || !goes_on ? self->model->status
                                                : BATON_CODEC_MORE;
}

uint32_t baton_codec_offset(const struct baton_codec *self) {
    return self->model->new_off;
}

int baton_codec_end(const struct baton_codec *self) {
    const struct codec *model = self->model;
    return model->status != 0 ? model->status
           : model->new_off == self->info->new_bytes
                   ? 0
                   : BATON_ERR_CODEC_TRUNCATED;
}
