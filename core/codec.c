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

struct reader {
    const uint8_t *at;
    size_t left;
    bool is_short;
};

static const uint8_t *take(struct reader *self, size_t len) {
    static const uint8_t nothing[SHA];
    if (self->left < len) {
        self->is_short = true;
        self->left = 0;
        return nothing;
    }
    const uint8_t *at = self->at;
    self->at += len;
    self->left -= len;
    return at;
}

// Seven bits a byte, the lowest first, up to four bytes.
static uint32_t take_number(struct reader *self) {
    uint32_t value = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
        uint8_t byte = take(self, 1)[0];
        value |= (uint32_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0) {
            break;
        }
    }
    return value;
}

static void take_machine(struct reader *in, struct baton_codec_info *out) {
    unsigned areas = out->machine >> 4;
    out->machine &= 15;
    if (out->encoding == BATON_CODEC_DELTA) {
        out->old_code = get_u16(take(in, 2));
    }
    out->new_code = get_u16(take(in, 2));
    for (unsigned i = 0; i < areas && i < BATON_CODEC_AREAS_MAX; i++) {
        const uint8_t *area = take(in, 3);
        out->areas[i].addr = (uint32_t)get_u16(area) << 16;
        out->areas[i].len = (uint32_t)area[2] << 16;
    }
}

static uint32_t body_end(const struct baton_codec_info *info) {
    return info->new_bytes
           - ((info->features & CODEC_FEATURE_DIGEST) != 0 ? SHA : 0);
}

static bool is_sound(const struct baton_codec_info *info) {
    if (info->encoding > BATON_CODEC_DELTA || info->new_bytes == 0
            || info->new_bytes
                       > BATON_CODEC_SEGMENTS_MAX * BATON_CODEC_SEGMENT_BYTES
            || info->old_bytes
                       > BATON_CODEC_SEGMENTS_MAX * BATON_CODEC_SEGMENT_BYTES
            || (info->encoding == BATON_CODEC_DELTA) != (info->old_bytes != 0)
            || (info->machine & 15) > CODEC_XTENSA
            || info->machine >> 4 > BATON_CODEC_AREAS_MAX) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        if (info->literal_log2[i] < 4 || info->literal_log2[i] > 13) {
            return false;
        }
    }
    return info->map_entries >= 8 && info->map_entries <= 4096;
}

static void take_segments(struct reader *in, struct baton_codec_info *out) {
    uint32_t off = 0;
    out->segment_count = (out->new_bytes - 1) / BATON_CODEC_SEGMENT_BYTES + 1;
    for (uint32_t i = 0; i <= out->segment_count; i++) {
        out->segment_off[i] = off;
        if (i == out->segment_count) {
            break;
        }
        uint32_t rest = out->new_bytes - i * BATON_CODEC_SEGMENT_BYTES;
        off += out->encoding != BATON_CODEC_RAW   ? take_number(in)
               : rest < BATON_CODEC_SEGMENT_BYTES ? rest
                                                  : BATON_CODEC_SEGMENT_BYTES;
    }
}

int baton_codec_header_read(
        const uint8_t *head, size_t len, struct baton_codec_info *out) {
    struct reader in = {.at = head, .left = len};
    memset(out, 0, sizeof(*out));
    const uint8_t *fixed = take(&in, 12);
    if (len >= 4 && memcmp(head, "BatP", 4) != 0) {
        return BATON_ERR_CODEC_FORMAT;
    }
    if (len >= 7
            && (head[4] != CODEC_VERSION
                    || (head[6] & ~CODEC_FEATURE_DIGEST) != 0)) {
        return BATON_ERR_CODEC_VERSION;
    }
    out->encoding = fixed[5] & 15;
    out->profile = fixed[5] >> 4;
    out->features = fixed[6];
    out->machine = fixed[7];
    out->literal_log2[0] = fixed[8] & 15;
    out->literal_log2[1] = fixed[8] >> 4;
    out->literal_log2[2] = fixed[9];
    out->map_entries = get_u16(fixed + 10);
    out->new_bytes = take_number(&in);
    memcpy(out->new_sha256, take(&in, SHA), SHA);
    if (out->encoding == BATON_CODEC_DELTA) {
        out->old_bytes = take_number(&in);
        memcpy(out->old_sha256, take(&in, SHA), SHA);
    }
    if (!in.is_short && !is_sound(out)) {
        return BATON_ERR_CODEC_FORMAT;
    }
    if (out->machine != 0) {
        take_machine(&in, out);
    }
    if (!in.is_short) {
        take_segments(&in, out);
    }
    if (in.is_short) {
        return BATON_ERR_CODEC_TRUNCATED;
    }
    out->header_bytes = (uint32_t)(len - in.left);
    for (uint32_t i = 0; i <= out->segment_count; i++) {
        out->segment_off[i] += out->header_bytes;
    }
    out->payload_bytes = out->segment_off[out->segment_count];
    out->state_bytes =
            (uint32_t)(sizeof(struct codec)
                       + out->map_entries * sizeof(struct codec_map_entry)
                       + (2u << out->literal_log2[0])
                       + (2u << out->literal_log2[1])
                       + (2u << out->literal_log2[2]));
    // The digest is all in the last segment, with something before it.
    return (out->features & CODEC_FEATURE_DIGEST) == 0
                           || out->new_bytes
                                      > (out->segment_count
                                                - 1) * BATON_CODEC_SEGMENT_BYTES
                                                + SHA
                   ? 0
                   : BATON_ERR_CODEC_FORMAT;
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
