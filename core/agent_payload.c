// Fetching a packed or delta payload: what comes is decoded into the slot.
// SPDX-License-Identifier: MIT
//
// The header is fetched first. Where an earlier attempt left sectors on flash,
// decoding begins at the restart point before the first one that is missing;
// what is made again up to there is compared and not written.
#include <string.h>

#include "agent_parts.h"
#include "baton/error.h"

// Output of one push: a sector at most is written by a step.
#define BUDGET_BYTES 1024u

bool baton_agent_payload_is_coded(const struct baton_agent *self) {
    return self->release.encoding != BATON_CODEC_RAW;
}

// In front of the memory that the codec is given.
static struct baton_agent_codec *codec_of(const struct baton_agent *self) {
    return self->config.codec;
}

size_t baton_agent_payload_room(const struct baton_agent *self) {
    size_t own = sizeof(struct baton_agent_codec);
    size_t len = self->config.codec_len;
    return len > own ? len - own : 0;
}

// ---- What the codec calls ------------------------------------------------

static int read_old(void *context, uint32_t off, void *buf, size_t len) {
    struct baton_agent *self = context;
    const struct baton_flash *flash = self->config.flash;
    return flash->read(flash->context, self->config.place.addr + off, buf, len);
}

static int read_new(void *context, uint32_t off, void *buf, size_t len) {
    struct baton_agent *self = context;
    return baton_update_read(&self->scratch.fetch.update, off, buf, len);
}

static int write_new(void *context, const void *data, size_t len) {
    struct baton_agent *self = context;
    const uint8_t *from = data;
    uint32_t size = baton_agent_parts_sector(self);
    while (len > 0) {
        uint32_t room = size - self->at % size;
        uint32_t take = len < room ? (uint32_t)len : room;
        int err = baton_update_write(&self->scratch.fetch.update, from, take);
        if (err != 0) {
            return err;
        }
        self->at += take;
        from += take;
        len -= take;
        // Behind a restart point sectors come again that are marked already.
        uint32_t marked = self->journal.marked * size;
        if (self->at % size == 0 && self->at > marked) {
            err = baton_agent_fetch_mark(self, self->at);
        }
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

// ---- The header ----------------------------------------------------------

static int check_info(const struct baton_agent *self) {
    const struct baton_codec_info *info = &codec_of(self)->info;
    const struct baton_agent_release *release = &self->release;
    bool is_it =
            info->encoding == release->encoding
            && info->payload_bytes == release->payload_bytes
            && info->new_bytes == release->image_bytes
            && memcmp(info->new_sha256, release->sha256, BATON_SHA256_BYTES)
                       == 0;
    if (!is_it) {
        return BATON_ERR_CODEC_FORMAT;
    }
    bool fits =
            info->old_bytes == 0
            || baton_agent_identity_is(self, info->old_bytes, info->old_sha256);
    if (!fits) {
        return BATON_ERR_CODEC_BASE;
    }
    return info->state_bytes <= baton_agent_payload_room(self)
                   ? 0
                   : BATON_ERR_CODEC_MEMORY;
}

static int begin_codec(struct baton_agent *self) {
    const struct baton_codec_info *info = &codec_of(self)->info;
    struct baton_codec *codec = &codec_of(self)->codec;
    struct baton_codec_config config = {.context = self,
            .read_old = read_old,
            .read_new = read_new,
            .write = write_new,
            .crypto = self->config.crypto,
            .state = codec_of(self) + 1,
            .state_len = baton_agent_payload_room(self),
            .budget_bytes = BUDGET_BYTES};
    int err = check_info(self);
    if (err != 0) {
        return err;
    }
    uint32_t done = self->journal.marked * baton_agent_parts_sector(self);
    uint32_t k = done / BATON_CODEC_SEGMENT_BYTES;
    self->at = k * BATON_CODEC_SEGMENT_BYTES;
    err = baton_agent_fetch_update(self, self->at);
    err = err != 0 ? err : baton_codec_begin(codec, &config, info);
    if (err == 0 && k != 0) {
        err = baton_codec_resume(codec, k); // reads what was written
    }
    self->codec_ready = err == 0;
    return err;
}

// The header gathers behind the sector; it is pushed again from the beginning.
static int read_header(struct baton_agent *self) {
    size_t room;
    uint8_t *io = baton_agent_parts_io(self, &room);
    if (room > BATON_CODEC_HEADER_MAX) {
        room = BATON_CODEC_HEADER_MAX;
    }
    size_t got;
    int err = baton_agent_parts_read(
            self, io + self->fill, room - self->fill, &got);
    if (err != 0) {
        return err;
    }
    self->fill += (uint32_t)got;
    err = baton_codec_header_read(io, self->fill, &codec_of(self)->info);
    if (err == BATON_ERR_CODEC_TRUNCATED && got != 0 && self->fill < room) {
        return 0;
    }
    err = err != 0 ? err : begin_codec(self);
    if (err != 0) {
        return err;
    }
    uint32_t k = self->at / BATON_CODEC_SEGMENT_BYTES;
    self->pos = self->fill;
    if (k != 0) {
        // The bytes in between were decoded before the cut.
        self->fill = 0;
        self->pos = codec_of(self)->info.segment_off[k];
    }
    if (self->is_resumed) {
        baton_agent_parts_close(self);
        self->phase = PHASE_BODY_OPEN;
    }
    return 0;
}

// ---- The body ------------------------------------------------------------

int baton_agent_payload_open(struct baton_agent *self) {
    uint32_t most = self->release.payload_bytes;
    uint32_t from = self->pos > self->run_end ? self->pos : self->run_end;
    from = self->codec_ready ? from : 0;
    if (from != 0 && from >= most) {
        self->phase = PHASE_BODY_READ; // all of it waits in memory
        return 0;
    }
    // Only a header's worth, where what follows may lie elsewhere.
    bool may_jump = !self->codec_ready && self->is_resumed;
    uint32_t to = may_jump && most > BATON_CODEC_HEADER_MAX
                          ? BATON_CODEC_HEADER_MAX
                          : 0;
    int err = baton_agent_fetch_request(self, from, to);
    if (err != 0) {
        return err;
    }
    self->pos = self->response.from;
    self->run_end = from;
    self->fill = self->codec_ready ? self->fill : 0;
    self->phase = PHASE_BODY_READ;
    return 0;
}

static int end_body(struct baton_agent *self) {
    int err = baton_codec_end(&codec_of(self)->codec);
    if (err == 0) {
        err = baton_agent_fetch_mark(self, self->release.image_bytes);
    }
    if (err != 0) {
        return err;
    }
    baton_agent_parts_close(self);
    baton_agent_parts_go(self, BATON_AGENT_VERIFYING, PHASE_END);
    return 0;
}

// Pushes what waits in the io buffer; what the codec leaves moves to its front.
static int push_some(struct baton_agent *self) {
    size_t room;
    uint8_t *io = baton_agent_parts_io(self, &room);
    size_t used = 0;
    int err = baton_codec_push(&codec_of(self)->codec, io, self->fill, &used);
    if (err < 0) {
        return err;
    }
    self->fill -= (uint32_t)used;
    memmove(io, io + used, self->fill);
    self->codec_pending = err == BATON_CODEC_MORE;
    return 0;
}

int baton_agent_payload_read(struct baton_agent *self) {
    if (!self->codec_ready) {
        return read_header(self);
    }
    if (self->codec_pending || self->fill != 0) {
        return push_some(self);
    }
    if (self->pos >= self->release.payload_bytes) {
        return end_body(self);
    }
    size_t room;
    uint8_t *io = baton_agent_parts_io(self, &room);
    uint32_t skip = self->run_end - self->pos;
    if (self->pos < self->run_end && skip < room) {
        room = skip;
    }
    size_t got;
    int err = baton_agent_parts_read(self, io, room, &got);
    if (err != 0) {
        return err;
    }
    if (got == 0) {
        return BATON_ERR_HTTP_LENGTH;
    }
    bool is_new = self->pos >= self->run_end;
    self->pos += (uint32_t)got;
    self->fill = is_new ? (uint32_t)got : 0;
    baton_agent_parts_gain(self, self->fill);
    return 0;
}
