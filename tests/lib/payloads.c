// Decoding payloads from memory, with every callback's range checked.
// SPDX-License-Identifier: MIT
#include "payloads.h"

#include <stdlib.h>
#include <string.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"

// A push may go so far over its budget.
#define SLACK 520u

static int count_call(struct payloads *self) {
    self->calls++;
    return self->calls == self->fail_at ? BATON_ERR_IO : 0;
}

static int read_old(void *context, uint32_t off, void *buf, size_t len) {
    struct payloads *self = context;
    if (off > self->old_len || len > self->old_len - off) {
        return BATON_ERR_RANGE;
    }
    memcpy(buf, self->old + off, len);
    self->bytes_read += len;
    return count_call(self);
}

static int read_new(void *context, uint32_t off, void *buf, size_t len) {
    struct payloads *self = context;
    if (off > self->out_len || len > self->out_len - off) {
        return BATON_ERR_RANGE;
    }
    memcpy(buf, self->out + off, len);
    self->bytes_read += len;
    self->bytes_read_back += len;
    return count_call(self);
}

static int write_new(void *context, const void *data, size_t len) {
    struct payloads *self = context;
    if (len > 256 || len > self->out_max - self->out_len) {
        return BATON_ERR_RANGE;
    }
    memcpy(self->out + self->out_len, data, len);
    self->out_len += (uint32_t)len;
    return count_call(self);
}

// One push with a buffer that ends where the data do.
static int push(struct baton_codec *codec, const uint8_t *data, size_t len,
        size_t *used) {
    uint8_t *piece = malloc(len + 1);
    memcpy(piece + 1, data, len);
    uint32_t before = baton_codec_offset(codec);
    int err = baton_codec_push(codec, piece + 1, len, used);
    uint32_t made = baton_codec_offset(codec) - before;
    free(piece);
    uint32_t budget = codec->config.budget_bytes;
    return *used > len || (budget != 0 && made > budget + SLACK)
                           || (err == 0 && *used != len)
                   ? BATON_ERR_RANGE
                   : err;
}

static int push_all(struct baton_codec *codec, const struct payloads_job *job,
        size_t from) {
    size_t at = from;
    while (at < job->len) {
        size_t left = job->len - at;
        size_t len = job->step != 0 && job->step < left ? job->step : left;
        int err = BATON_CODEC_MORE;
        while (err == BATON_CODEC_MORE) {
            size_t used;
            err = push(codec, job->payload + at, len, &used);
            at += used;
            len -= used;
        }
        if (err != 0) {
            return err;
        }
    }
    return baton_codec_end(codec);
}

// A decoder that has failed goes on saying so.
static bool sticks(struct baton_codec *codec, int err) {
    size_t used;
    return baton_codec_push(codec, NULL, 0, &used) == err && used == 0
           && baton_codec_end(codec) == err;
}

int payloads_run(struct payloads *self, const struct payloads_job *job,
        const struct baton_codec_info *info, void *state) {
    struct baton_codec codec;
    struct baton_codec_config config = {.context = self,
            .read_old = read_old,
            .read_new = read_new,
            .write = write_new,
            .crypto = baton_crypto_psa(),
            .state = state,
            .state_len = info->state_bytes,
            .budget_bytes = job->budget};
    int err = baton_codec_begin(&codec, &config, info);
    if (err == 0 && job->restart != 0) {
        err = baton_codec_resume(&codec, job->restart);
    }
    self->reached = self->out_len;
    if (err) {
        return err;
    }
    size_t from = job->restart != 0 ? info->segment_off[job->restart] : 0;
    err = push_all(&codec, job, from);
    self->reached = baton_codec_offset(&codec);
    return err == 0 || err == BATON_ERR_CODEC_TRUNCATED || sticks(&codec, err)
                   ? err
                   : BATON_ERR_RANGE;
}

int payloads_decode(struct payloads *self, const struct payloads_job *job) {
    struct baton_codec_info info;
    uint32_t fail_at = self->fail_at;
    memset(self, 0, sizeof(*self));
    self->fail_at = fail_at;
    int err = baton_codec_header_read(job->payload, job->len, &info);
    if (err) {
        return err;
    }
    if (info.old_bytes > job->old_len) {
        return BATON_ERR_CODEC_BASE;
    }
    uint8_t *old = malloc(info.old_bytes + 1u);
    memcpy(old, job->old != NULL ? job->old : old, info.old_bytes);
    self->old = old;
    self->old_len = info.old_bytes;
    self->out_max = info.new_bytes;
    self->out = malloc(info.new_bytes);
    if (job->restart != 0) {
        self->out_len = job->restart * BATON_CODEC_SEGMENT_BYTES;
        memcpy(self->out, job->before, self->out_len);
    }
    void *state = malloc(info.state_bytes + 1u);
    err = payloads_run(self, job, &info, state);
    free(state);
    free(old);
    return err;
}
