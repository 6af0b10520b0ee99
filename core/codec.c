// The payload decoder: its header, and bytes in, bytes out.
// SPDX-License-Identifier: MIT
//
//   header --> body (a restart segment after the other) --> digest --> done
//         \--> stored -------------------------------------------------/
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

#define SHA BATON_SHA256_BYTES

enum phase {
    PHASE_HEADER,
    PHASE_STORED,
    PHASE_SEGMENT, // a segment begins
    PHASE_BODY,
    PHASE_DIGEST,
    PHASE_DONE,
};

// ---- Header

// Where the fields lie, little-endian; then three bytes for each restart
// segment, its length in the payload. docs/CODEC.md has them all.
enum header {
    HEADER_VERSION = 4,
    HEADER_ENCODING = 5,
    HEADER_PROFILE = 6,
    HEADER_FEATURES = 7,
    HEADER_MACHINE = 8,
    HEADER_LITERALS = 9,
    HEADER_MAP = 12,
    HEADER_NEW_BYTES = 14,
    HEADER_NEW_SHA256 = 18,
    HEADER_OLD_BYTES = 50,
    HEADER_OLD_SHA256 = 54,
    HEADER_OLD_CODE = 86,
    HEADER_NEW_CODE = 88,
    HEADER_AREAS = 90,
    HEADER_LENGTHS = 96,
};

static uint32_t body_end(const struct baton_codec_info *info) {
    return info->new_bytes
           - ((info->features & CODEC_FEATURE_DIGEST) != 0 ? SHA : 0);
}

static void decode_header(const uint8_t *head, struct baton_codec_info *out) {
    out->encoding = head[HEADER_ENCODING];
    out->profile = head[HEADER_PROFILE];
    out->features = head[HEADER_FEATURES];
    out->machine = head[HEADER_MACHINE];
    memcpy(out->literal_log2, head + HEADER_LITERALS, 3);
    out->map_entries = get_u16(head + HEADER_MAP);
    out->new_bytes = get_u32(head + HEADER_NEW_BYTES);
    memcpy(out->new_sha256, head + HEADER_NEW_SHA256, SHA);
    out->old_bytes = get_u32(head + HEADER_OLD_BYTES);
    memcpy(out->old_sha256, head + HEADER_OLD_SHA256, SHA);
    out->old_code = get_u16(head + HEADER_OLD_CODE);
    out->new_code = get_u16(head + HEADER_NEW_CODE);
    for (unsigned i = 0; i < BATON_CODEC_AREAS_MAX; i++) {
        const uint8_t *area = head + HEADER_AREAS + 3 * i;
        out->areas[i].addr = (uint32_t)get_u16(area) << 16;
        out->areas[i].len = (uint32_t)area[2] << 16;
    }
}

static bool is_sound(const struct baton_codec_info *info) {
    bool is_delta = info->encoding == BATON_CODEC_DELTA;
    bool ok = info->encoding <= BATON_CODEC_DELTA
              && info->profile <= BATON_CODEC_PROFILE_M && info->new_bytes > 0
              && info->new_bytes <= BATON_CODEC_IMAGE_MAX
              && info->old_bytes <= BATON_CODEC_IMAGE_MAX
              && is_delta == (info->old_bytes > 0)
              && info->machine <= CODEC_XTENSA && info->map_entries >= 8
              && info->map_entries <= 4096;
    for (int i = 0; i < 3; i++) {
        ok = ok && info->literal_log2[i] >= 8 && info->literal_log2[i] <= 13;
    }
    return ok;
}

static void count_state(struct baton_codec_info *out) {
    size_t bytes = sizeof(struct codec)
                   + out->map_entries * sizeof(struct codec_map_entry);
    for (int i = 0; i < 3; i++) {
        bytes += sizeof(codec_counter) << out->literal_log2[i];
    }
    out->state_bytes = out->encoding == BATON_CODEC_RAW ? 0 : (uint32_t)bytes;
}

static bool fits_profile(const struct baton_codec_info *info) {
    return info->state_bytes <= (info->profile == BATON_CODEC_PROFILE_S
                                         ? BATON_CODEC_STATE_S_BYTES
                                         : BATON_CODEC_STATE_M_BYTES);
}

// The segments' offsets, by their lengths; what is stored has that of the
// image.
static void add_segments(const uint8_t *at, struct baton_codec_info *out) {
    uint32_t off = out->header_bytes;
    for (uint32_t i = 0; i < out->segment_count; i++) {
        uint32_t rest = out->new_bytes - i * BATON_CODEC_SEGMENT_BYTES;
        out->segment_off[i] = off;
        off += out->encoding != BATON_CODEC_RAW
                       ? get_u16(at + 3 * i) | (uint32_t)at[3 * i + 2] << 16
               : rest < BATON_CODEC_SEGMENT_BYTES ? rest
                                                  : BATON_CODEC_SEGMENT_BYTES;
    }
    out->segment_off[out->segment_count] = off;
    out->payload_bytes = off;
}

int baton_codec_header_read(
        const uint8_t *head, size_t len, struct baton_codec_info *out) {
    memset(out, 0, sizeof(*out));
    if (len >= 4 && memcmp(head, "BatP", 4) != 0) {
        return BATON_ERR_CODEC_FORMAT;
    }
    if (len > 4 && head[HEADER_VERSION] != CODEC_VERSION) {
        return BATON_ERR_CODEC_VERSION;
    }
    if (len < HEADER_LENGTHS) {
        return BATON_ERR_CODEC_TRUNCATED;
    }
    decode_header(head, out);
    if ((out->features & ~CODEC_FEATURE_DIGEST) != 0) {
        return BATON_ERR_CODEC_VERSION;
    }
    if (!is_sound(out)) {
        return BATON_ERR_CODEC_FORMAT;
    }
    out->segment_count = (out->new_bytes - 1) / BATON_CODEC_SEGMENT_BYTES + 1;
    out->header_bytes =
            HEADER_LENGTHS
            + (out->encoding == BATON_CODEC_RAW ? 0 : 3 * out->segment_count);
    if (len < out->header_bytes) {
        return BATON_ERR_CODEC_TRUNCATED;
    }
    // The digest is all in the last segment, with something before it.
    if (body_end(out) > out->new_bytes
            || body_end(out) <= (out->segment_count - 1)
                                        * BATON_CODEC_SEGMENT_BYTES) {
        return BATON_ERR_CODEC_FORMAT;
    }
    add_segments(head + HEADER_LENGTHS, out);
    count_state(out);
    return fits_profile(out) ? 0 : BATON_ERR_CODEC_FORMAT;
}

// ---- Begin

// Lays out the state: the model, then the tables whose sizes a payload sets.
static void place_tables(struct codec *model, uint8_t *state) {
    const struct baton_codec_info *info = model->info;
    uint8_t *at = state + sizeof(*model);
    model->map.entries = (void *)at;
    model->map.capacity = info->map_entries;
    at += info->map_entries * sizeof(struct codec_map_entry);
    for (int i = 0; i < 3; i++) {
        model->literal_table[i] = (void *)at;
        at += 2u << info->literal_log2[i];
    }
}

int baton_codec_model_init(struct codec *model,
        const struct baton_codec_config *config,
        const struct baton_codec_info *info) {
    memset(model, 0, sizeof(*model));
    model->config = config;
    model->info = info;
    place_tables(model, config->state);
    return baton_codec_layout_read_old(model);
}

// Gets ready for the segment k of the image.
int baton_codec_segment_begin(struct codec *model, uint32_t k) {
    const struct baton_codec_info *info = model->info;
    uint32_t end = body_end(info);
    int err = baton_codec_layout_restart(model, k * BATON_CODEC_SEGMENT_BYTES);
    if (end - model->new_off > BATON_CODEC_SEGMENT_BYTES) {
        end = model->new_off + BATON_CODEC_SEGMENT_BYTES;
    }
    model->new_end = end;
    model->range = 0;
    model->in_at = 0;
    model->in_len = 0;
    model->in_left = info->segment_off[k + 1] - info->segment_off[k];
    baton_codec_model_begin(model);
    return err;
}

int baton_codec_begin(struct baton_codec *self,
        const struct baton_codec_config *config,
        const struct baton_codec_info *info) {
    memset(self, 0, sizeof(*self));
    self->config = *config;
    self->info = info;
    self->phase = PHASE_HEADER;
    bool packed = info->encoding != BATON_CODEC_RAW;
    bool hashes = (info->features & CODEC_FEATURE_DIGEST) != 0;
    if (config->write == NULL || (packed && config->read_new == NULL)
            || (info->old_bytes != 0 && config->read_old == NULL)
            || (hashes && config->crypto == NULL)
            || (uintptr_t)config->state % sizeof(void *) != 0) {
        return BATON_ERR_ARG;
    }
    if (!packed) {
        return 0;
    }
    if (config->state_len < info->state_bytes) {
        return BATON_ERR_CODEC_MEMORY;
    }
    self->model = config->state;
    return baton_codec_model_init(self->model, &self->config, info);
}

int baton_codec_resume(struct baton_codec *self, uint32_t k) {
    if (k >= self->info->segment_count) {
        return BATON_ERR_ARG;
    }
    self->segment = k;
    self->in_off = self->info->segment_off[k];
    self->phase = self->model != NULL ? PHASE_SEGMENT : PHASE_STORED;
    return 0;
}

// ---- Push

struct input {
    const uint8_t *data;
    size_t len;
};

static void skip(struct baton_codec *self, struct input *in, uint32_t len) {
    in->data += len;
    in->len -= len;
    self->in_off += len;
}

static void push_header(struct baton_codec *self, struct input *in) {
    uint32_t left = self->info->header_bytes - self->in_off;
    skip(self, in, in->len < left ? (uint32_t)in->len : left);
    if (self->in_off == self->info->header_bytes) {
        self->phase = self->model != NULL ? PHASE_SEGMENT : PHASE_STORED;
    }
}

static int push_stored(struct baton_codec *self, struct input *in) {
    uint32_t len = self->info->payload_bytes - self->in_off;
    len = len < CODEC_PAGE_BYTES ? len : CODEC_PAGE_BYTES;
    len = len < in->len ? len : (uint32_t)in->len;
    int err = self->config.write(self->config.context, in->data, len);
    skip(self, in, len);
    if (self->in_off == self->info->payload_bytes) {
        self->phase = PHASE_DONE;
    }
    return err;
}

static int begin_segment(struct baton_codec *self) {
    int err = baton_codec_segment_begin(self->model, self->segment);
    self->phase = PHASE_BODY;
    return err;
}

// Moves input into the model's buffer. True when a step may begin.
static bool fill_input(struct baton_codec *self, struct input *in) {
    struct codec *model = self->model;
    uint32_t have = (uint32_t)(model->in_len - model->in_at);
    if (have < CODEC_STEP_BYTES && model->in_left > 0) {
        memmove(model->in, model->in + model->in_at, have);
        uint32_t len = CODEC_IN_BYTES - have;
        len = len < model->in_left ? len : model->in_left;
        len = len < in->len ? len : (uint32_t)in->len;
        memcpy(model->in + have, in->data, len);
        skip(self, in, len);
        model->in_at = 0;
        model->in_len = (uint16_t)(have + len);
        model->in_left -= len;
        have += len;
    }
    return have >= CODEC_STEP_BYTES || model->in_left == 0;
}

static int end_segment(struct baton_codec *self) {
    struct codec *model = self->model;
    int err = baton_codec_flush(model);
    if (err) {
        return err;
    }
    if (model->in_at != model->in_len || model->in_left != 0) {
        return BATON_ERR_CODEC_CORRUPT;
    }
    self->segment++;
    self->phase = self->segment < self->info->segment_count ? PHASE_SEGMENT
                  : (self->info->features & CODEC_FEATURE_DIGEST) != 0
                          ? PHASE_DIGEST
                          : PHASE_DONE;
    return 0;
}

static int push_body(struct baton_codec *self) {
    struct codec *model = self->model;
    if (model->range == 0) {
        baton_codec_coder_begin(model);
    }
    int err = baton_codec_step(model);
    if (err) {
        return err;
    }
    if (model->in_past > 4) {
        return BATON_ERR_CODEC_CORRUPT;
    }
    return model->new_off == model->new_end ? end_segment(self) : 0;
}

// Hashes a piece of the image; after the last one, writes the digest.
static int push_digest(struct baton_codec *self) {
    const struct baton_crypto *crypto = self->config.crypto;
    uint8_t *piece = self->model->window;
    uint32_t left = body_end(self->info) - self->hashed;
    uint32_t len = left < CODEC_WINDOW_BYTES ? left : CODEC_WINDOW_BYTES;
    int err = self->hashed == 0 ? crypto->hash_start(
                      crypto->context, &self->hash, BATON_HASH_SHA256)
                                : 0;
    if (err) {
        return err;
    }
    if (left == 0) {
        self->phase = PHASE_DONE;
        err = crypto->hash_finish(crypto->context, &self->hash, piece);
        return err ? err : self->config.write(self->config.context, piece, SHA);
    }
    err = self->config.read_new(self->config.context, self->hashed, piece, len);
    self->hashed += len;
    return err ? err
               : crypto->hash_update(crypto->context, &self->hash, piece, len);
}

// One piece of work. *wants: there is none without more input.
static int work(struct baton_codec *self, struct input *in, bool *wants) {
    switch (self->phase) {
    case PHASE_HEADER:
        *wants = in->len == 0;
        push_header(self, in);
        return 0;
    case PHASE_STORED:
        *wants = in->len == 0;
        return *wants ? 0 : push_stored(self, in);
    case PHASE_SEGMENT:
        return begin_segment(self);
    case PHASE_BODY:
        *wants = !fill_input(self, in);
        return *wants ? 0 : push_body(self);
    case PHASE_DIGEST:
        return push_digest(self);
    default:
        *wants = true;
        return in->len == 0 ? 0 : BATON_ERR_CODEC_FORMAT;
    }
}

static uint32_t progress(const struct baton_codec *self) {
    return self->hashed + baton_codec_offset(self);
}

int baton_codec_push(
        struct baton_codec *self, const void *data, size_t len, size_t *used) {
    struct input in = {.data = data, .len = len};
    uint32_t start = progress(self);
    bool wants = false;
    while (self->status == 0 && !wants) {
        if (self->config.budget_bytes != 0
                && progress(self) - start >= self->config.budget_bytes) {
            break;
        }
        self->status = work(self, &in, &wants);
    }
    *used = len - in.len;
    return self->status != 0 || wants ? self->status : BATON_CODEC_MORE;
}

uint32_t baton_codec_offset(const struct baton_codec *self) {
    if (self->model == NULL) {
        return self->in_off < self->info->header_bytes
                       ? 0
                       : self->in_off - self->info->header_bytes;
    }
    return self->phase == PHASE_SEGMENT || self->phase == PHASE_HEADER
                   ? self->segment * BATON_CODEC_SEGMENT_BYTES
           : self->phase == PHASE_DONE ? self->info->new_bytes
                                       : self->model->new_off;
}

int baton_codec_end(const struct baton_codec *self) {
    if (self->status != 0) {
        return self->status;
    }
    return self->phase == PHASE_DONE ? 0 : BATON_ERR_CODEC_TRUNCATED;
}
