// Packed and delta payloads, decoded into the slot of an update.
// SPDX-License-Identifier: MIT
//
// What Python downloads goes through push() in pieces of any size; the update
// (begin) receives the image, and end() of it verifies the result. The decoder
// reads the base from the partition that runs, and what it wrote before through
// the update, which knows what is not on flash yet.
#include "baton/codec.h"

#include "baton/error.h"
#include "slot_functions.h"

// Output of one push: a call takes milliseconds.
enum { BUDGET_BYTES = 2048 };

// Of kind BATON_HANDLE_CODEC.
struct codec_handle {
    struct baton_binding_handle handle;
    struct baton_update_handle *update;
    const struct baton_flash *flash;
    uint32_t base_addr;
    mp_obj_t state;       // kept alive
    mp_obj_t memory;      // of `ahead`
    uint8_t *ahead;       // what follows in the base
    uint32_t ahead_bytes; // its size
    uint32_t ahead_off;
    uint32_t ahead_len;
    struct baton_codec_info info;
    struct baton_codec codec;
};

static int read_base(
        const struct codec_handle *self, uint32_t off, void *buf, size_t len) {
    return self->flash->read(
            self->flash->context, self->base_addr + off, buf, len);
}

// A copy goes on where it is, most of the time.
static int read_old(void *context, uint32_t off, void *buf, size_t len) {
    struct codec_handle *self = context;
    if (len > self->ahead_bytes) {
        return read_base(self, off, buf, len);
    }
    if (off < self->ahead_off
            || off - self->ahead_off + len > self->ahead_len) {
        uint32_t left = self->info.old_bytes - off;
        uint32_t take = left < self->ahead_bytes ? left : self->ahead_bytes;
        self->ahead_len = 0;
        int err = read_base(self, off, self->ahead, take);
        if (err != 0) {
            return err;
        }
        self->ahead_off = off;
        self->ahead_len = take;
    }
    memcpy(buf, self->ahead + (off - self->ahead_off), len);
    return 0;
}

static int read_new(void *context, uint32_t off, void *buf, size_t len) {
    struct codec_handle *self = context;
    return baton_update_read(&self->update->update, off, buf, len);
}

static int write_new(void *context, const void *data, size_t len) {
    struct codec_handle *self = context;
    return baton_update_write(&self->update->update, data, len);
}

static void read_head(mp_obj_t object, struct baton_codec_info *out) {
    mp_buffer_info_t head;
    baton_binding_data(object, &head);
    baton_binding_check(baton_codec_header_read(head.buf, head.len, out));
}

static mp_obj_t number(uint32_t value) {
    return mp_obj_new_int_from_uint(value);
}

// payload(head): (header bytes, encoding, profile, state bytes, image bytes,
// image SHA-256, base bytes, base SHA-256, offsets, payload bytes) of the first
// bytes of a payload: 512 always do. `offsets` tells where in the payload each
// 256 KiB of the image begin.
static mp_obj_t payload_read(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct baton_codec_info info;
    mp_obj_t offsets[BATON_CODEC_SEGMENTS_MAX];
    read_head(args[0], &info);
    for (uint32_t i = 0; i < info.segment_count; i++) {
        offsets[i] = number(info.segment_off[i]);
    }
    mp_obj_t items[] = {
            number(info.header_bytes),
            number(info.encoding),
            number(info.profile),
            number(info.state_bytes),
            number(info.new_bytes),
            mp_obj_new_bytes(info.new_sha256, sizeof(info.new_sha256)),
            number(info.old_bytes),
            mp_obj_new_bytes(info.old_sha256, sizeof(info.old_sha256)),
            mp_obj_new_tuple(info.segment_count, offsets),
            number(info.payload_bytes),
    };
    return mp_obj_new_tuple(sizeof(items) / sizeof(items[0]), items);
}
BATON_FUNCTION(baton_payload_obj, 1, 1, payload_read);

static void find(mp_obj_t memory, mp_buffer_info_t *out) {
    mp_get_buffer_raise(memory, out, MP_BUFFER_WRITE);
}

// What Python lends is to stay where it is.
static void check_place(mp_obj_t memory, const void *buf, size_t len) {
    mp_buffer_info_t now;
    find(memory, &now);
    if (now.buf != buf || now.len < len) {
        baton_binding_check(BATON_ERR_STATE);
    }
}

static void check_lent(const struct codec_handle *self) {
    const struct baton_codec_config *config = &self->codec.config;
    check_place(self->state, config->state, config->state_len);
    if (self->memory != MP_OBJ_NULL) {
        check_place(self->memory, self->ahead, self->ahead_bytes);
    }
}

static void set_ahead(struct codec_handle *self, mp_obj_t memory) {
    mp_buffer_info_t ahead;
    find(memory, &ahead);
    self->memory = memory;
    self->ahead = ahead.buf;
    self->ahead_bytes = (uint32_t)ahead.len;
}

// codec(update, running, head, state, ahead=None): a decoder that writes into
// the update, from where that one begins: 0 or a multiple of 256 KiB. The first
// byte to push is then offsets[k] of the payload (for 0 that is byte 0). Whether
// the base is the right one is for the caller to see by its length and SHA-256.
// state is a bytearray of `state bytes` at least, lent until finish(); so is
// ahead, memory of any length in which the base is read ahead.
static mp_obj_t codec_begin(size_t n_args, const mp_obj_t *args) {
    struct baton_update_handle *update = baton_binding_enter(args[0]);
    struct codec_handle *self =
            baton_binding_new_handle(BATON_HANDLE_CODEC, sizeof(*self));
    void *volatile pinned = self;
    baton_binding_leave(update, 0); // nothing was done to it so far
    const struct baton_flash_partition *base =
            baton_partition_flash_at(update->flash, args[1]);
    mp_buffer_info_t state;
    self->update = update;
    self->flash = &update->flash->flash;
    self->base_addr = base->addr;
    self->state = args[3];
    read_head(args[2], &self->info);
    find(self->state, &state);
    if (n_args > 4 && args[4] != mp_const_none) {
        set_ahead(self, args[4]);
    }
    struct baton_codec_config config = {0};
    config.context = self;
    config.read_old = read_old;
    config.read_new = read_new;
    config.write = write_new;
    config.crypto = &update->crypto;
    config.state = state.buf;
    config.state_len = state.len;
    config.budget_bytes = BUDGET_BYTES;
    uint32_t off = baton_update_offset(&update->update);
    if (off % BATON_CODEC_SEGMENT_BYTES != 0) {
        baton_binding_check(BATON_ERR_ARG);
    }
    if (self->info.old_bytes > base->size_bytes) {
        baton_binding_check(BATON_ERR_CODEC_BASE);
    }
    int err = baton_codec_begin(&self->codec, &config, &self->info);
    if (err == 0 && off != 0) {
        err = baton_codec_resume(&self->codec, off / BATON_CODEC_SEGMENT_BYTES);
    }
    baton_binding_check(err);
    return MP_OBJ_FROM_PTR(pinned);
}
BATON_FUNCTION(baton_codec_obj, 4, 5, codec_begin);

// push(codec, data): (bytes taken, whether to call again with what is left even
// if that is nothing, how many bytes of the image are safe on flash)
static mp_obj_t codec_push(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct codec_handle *self =
            baton_binding_handle(args[0], BATON_HANDLE_CODEC);
    mp_buffer_info_t data;
    baton_binding_data(args[1], &data);
    check_lent(self);
    struct baton_update_handle *update =
            baton_binding_enter(MP_OBJ_FROM_PTR(self->update));
    size_t used = 0;
    int status = baton_codec_push(&self->codec, data.buf, data.len, &used);
    baton_binding_leave(update, status < 0 ? status : 0);
    mp_obj_t items[] = {
            number((uint32_t)used),
            mp_obj_new_bool(status == BATON_CODEC_MORE),
            number(baton_update_offset(&update->update)),
    };
    return mp_obj_new_tuple(sizeof(items) / sizeof(items[0]), items);
}
BATON_FUNCTION(baton_push_obj, 2, 2, codec_push);

// finish(codec): raises where the payload did not come to its end. The image is
// for end() of the update to verify.
static mp_obj_t codec_finish(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct codec_handle *self =
            baton_binding_handle(args[0], BATON_HANDLE_CODEC);
    check_lent(self);
    baton_binding_check(baton_codec_end(&self->codec));
    return mp_const_none;
}
BATON_FUNCTION(baton_finish_obj, 1, 1, codec_finish);
