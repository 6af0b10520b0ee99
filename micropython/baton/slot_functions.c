// Verify, write, switch, confirm: the smallest set that updates a device.
// SPDX-License-Identifier: MIT
//
// Partitions are named by their place among those given to flash(). A chip is
// its id, or None for any; its revision cannot be had from Python, so an
// image's demands on it are left to the bootloader.
#include "baton-freestanding/crypto.h"
#include "baton/error.h"
#include "baton/slots.h"
#include "baton/update.h"
#include "slot_functions.h"

void baton_binding_chip(struct baton_chip *chip, mp_obj_t id) {
    memset(chip, 0, sizeof(*chip));
    chip->id = BATON_CHIP_ANY;
    if (id != mp_const_none) {
        chip->id = (uint16_t)baton_binding_u32(id);
    }
    chip->revision = UINT16_MAX;
    chip->block_revision = UINT16_MAX;
    chip->ignore_max_revision = true;
    chip->ignore_max_block_revision = true;
}

struct baton_partition_flash *baton_binding_flash(mp_obj_t object) {
    struct baton_partition_flash *self =
            baton_binding_handle(object, BATON_HANDLE_FLASH);
    baton_partition_flash_forget(self);
    return self;
}

enum { WORK_BYTES = 2 * BATON_SECTOR_BYTES };

// flash(block, partition ...): opens partitions. block is a bytearray of 64 KiB,
// with which the larger erase command is used, or None, as in the small module
static mp_obj_t flash_open(size_t n_args, const mp_obj_t *args) {
    return MP_OBJ_FROM_PTR(
            baton_partition_flash_open(args[0], n_args - 1, args + 1));
}
BATON_FUNCTION(baton_flash_obj, 2, 1 + BATON_PARTITIONS_MAX, flash_open);

// ahead(flash, memory): reads by pieces of the memory's size
static mp_obj_t flash_ahead(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    baton_partition_flash_ahead(baton_binding_flash(args[0]), args[1]);
    return mp_const_none;
}
BATON_FUNCTION(baton_ahead_obj, 2, 2, flash_ahead);

// ---- Images --------------------------------------------------------------

static mp_obj_t text(const char *field) {
    return mp_obj_new_str(field, strlen(field));
}

// (bytes, SHA-256 or None, chip, secure version, version, project, date, time,
// ESP-IDF)
static mp_obj_t make_info(const struct baton_image_info *info) {
    const struct baton_app_descriptor *app = &info->descriptor;
    mp_obj_t items[] = {
            mp_obj_new_int_from_uint(info->len_bytes),
            info->has_digest
                    ? mp_obj_new_bytes(info->digest, sizeof(info->digest))
                    : mp_const_none,
            mp_obj_new_int_from_uint(info->header.chip_id),
            mp_obj_new_int_from_uint(app->secure_version),
            text(app->version),
            text(app->project_name),
            text(app->date),
            text(app->time),
            text(app->idf_version),
    };
    return mp_obj_new_tuple(sizeof(items) / sizeof(items[0]), items);
}

// verify(flash, partition, chip): reads the image and tells what it is.
static mp_obj_t image_verify(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct scratch {
        struct baton_image image;
        struct baton_image_config config;
        struct baton_crypto crypto;
        struct baton_chip chip;
    };
    struct baton_partition_flash *flash = baton_binding_flash(args[0]);
    const struct baton_flash_partition *at =
            baton_partition_flash_at(flash, args[1]);
    struct scratch *my = m_malloc(sizeof(*my) + BATON_SECTOR_BYTES);
    memset(my, 0, sizeof(*my));
    baton_binding_chip(&my->chip, args[2]);
    baton_crypto_init(&my->crypto);
    my->config.crypto = &my->crypto;
    my->config.chip = &my->chip;
    baton_binding_check(
            baton_image_verify(&my->image, &my->config, &flash->flash, at->addr,
                    at->size_bytes, my + 1, BATON_SECTOR_BYTES));
    return make_info(baton_image_result(&my->image));
}
BATON_FUNCTION(baton_verify_obj, 3, 3, image_verify);

// ---- An update -----------------------------------------------------------

struct baton_update_handle *baton_binding_enter(mp_obj_t object) {
    struct baton_update_handle *self =
            baton_binding_handle(object, BATON_HANDLE_UPDATE);
    if (self->is_busy) {
        baton_binding_check(BATON_ERR_STATE);
    }
    self->is_busy = true;
    baton_partition_flash_forget(self->flash);
    return self;
}

void baton_binding_leave(struct baton_update_handle *self, int err) {
    self->is_busy = false;
    baton_binding_check(err);
}

#ifndef BATON_SMALL
// Bits of sectors that stay as they are; NULL for None.
static const uint8_t *get_keep(mp_obj_t object, uint32_t slot_bytes) {
    if (object == mp_const_none) {
        return NULL;
    }
    mp_buffer_info_t keep;
    baton_binding_data(object, &keep);
    if (keep.len < (slot_bytes / BATON_SECTOR_BYTES + 7u) / 8u) {
        baton_binding_check(BATON_ERR_ARG);
    }
    return keep.buf; // alive by this pointer alone
}

// What an update that goes on knows of the one before it.
static void set_resumed(struct baton_update_config *config, size_t n_args,
        const mp_obj_t *args) {
    if (n_args > 7 && args[7] != mp_const_none) {
        config->resume_head =
                baton_binding_bytes(args[7], BATON_UPDATE_HEAD_BYTES);
    }
    config->keep = n_args > 8 ? get_keep(args[8], config->slot_bytes) : NULL;
}

// Memory of Python's in which sectors gather, and one more behind them. It is
// kept alive by the pointer to it.
static void set_memory(struct baton_update_config *config, size_t n_args,
        const mp_obj_t *args) {
    if (n_args <= 9 || args[9] == mp_const_none) {
        config->work = m_malloc(WORK_BYTES);
        config->work_len = WORK_BYTES;
        return;
    }
    mp_buffer_info_t memory;
    mp_get_buffer_raise(args[9], &memory, MP_BUFFER_WRITE);
    if (memory.len < WORK_BYTES
            || memory.len > BATON_BLOCK_BYTES + BATON_SECTOR_BYTES) {
        baton_binding_check(BATON_ERR_ARG);
    }
    config->work = memory.buf;
    config->work_len = memory.len;
    config->gather_bytes = (uint32_t)memory.len - BATON_SECTOR_BYTES;
}

#endif

// begin(flash, slot, running, chip, file bytes=0, resume=0, SHA-256=None,
//     head=None, keep=None, memory=None); the last three, of which the small
//     module has none, as in baton/update.h: memory is for the sectors that
//     gather and one more
static mp_obj_t update_begin(size_t n_args, const mp_obj_t *args) {
    struct baton_partition_flash *flash = baton_binding_flash(args[0]);
    const struct baton_flash_partition *slot =
            baton_partition_flash_at(flash, args[1]);
    const struct baton_flash_partition *running =
            baton_partition_flash_at(flash, args[2]);
    struct baton_update_handle *self =
            baton_binding_new_handle(BATON_HANDLE_UPDATE, sizeof(*self));
    void *volatile pinned = self;
    self->flash = flash; // kept alive
    baton_binding_chip(&self->chip, args[3]);
    baton_crypto_init(&self->crypto);
    struct baton_update_config config = {0};
    config.flash = &flash->flash;
    config.crypto = &self->crypto;
    config.chip = &self->chip;
    config.slot_addr = slot->addr;
    config.slot_bytes = slot->size_bytes;
    config.running_addr = running->addr;
    config.running_bytes = running->size_bytes;
    config.image_bytes = n_args > 4 ? baton_binding_u32(args[4]) : 0;
    config.resume_off = n_args > 5 ? baton_binding_u32(args[5]) : 0;
    if (n_args > 6 && args[6] != mp_const_none) {
        memcpy(self->sha256, baton_binding_bytes(args[6], BATON_SHA256_BYTES),
                BATON_SHA256_BYTES);
        config.sha256 = self->sha256;
    }
#ifndef BATON_SMALL
    set_resumed(&config, n_args, args);
    set_memory(&config, n_args, args);
#else
    config.work = m_malloc(WORK_BYTES);
    config.work_len = WORK_BYTES;
#endif
    baton_binding_check(baton_update_begin(&self->update, &config));
    return MP_OBJ_FROM_PTR(pinned);
}
BATON_FUNCTION(baton_begin_obj, 4, 10, update_begin);

// write(update, data, offset=after the last): how many bytes are safe on flash
static mp_obj_t update_write(size_t n_args, const mp_obj_t *args) {
    mp_buffer_info_t data;
    baton_binding_data(args[1], &data);
    uint32_t off = n_args > 2 ? baton_binding_u32(args[2]) : 0;
    struct baton_update_handle *self = baton_binding_enter(args[0]);
    baton_binding_leave(self,
            n_args > 2 ? baton_update_write_at(
                    &self->update, off, data.buf, data.len)
                       : baton_update_write(&self->update, data.buf, data.len));
    return mp_obj_new_int_from_uint(baton_update_offset(&self->update));
}
BATON_FUNCTION(baton_write_obj, 2, 3, update_write);

#ifndef BATON_SMALL
// flush(update): writes the whole sectors that have gathered; returns as write()
static mp_obj_t update_flush(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct baton_update_handle *self = baton_binding_enter(args[0]);
    baton_binding_leave(self, baton_update_flush(&self->update));
    return mp_obj_new_int_from_uint(baton_update_offset(&self->update));
}
BATON_FUNCTION(baton_flush_obj, 1, 1, update_flush);
#endif

// end(update, by steps=False): verifies, and tells what the image is as verify()
// does; by steps a buffer is read by each call, and all but the last give None
static mp_obj_t update_end(size_t n_args, const mp_obj_t *args) {
    struct baton_update_handle *self = baton_binding_enter(args[0]);
    bool by_steps = n_args > 1 && mp_obj_is_true(args[1]);
    int err = by_steps ? baton_update_end_step(&self->update)
                       : baton_update_end(&self->update);
    if (err == BATON_UPDATE_MORE) {
        self->is_busy = false;
        return mp_const_none;
    }
    baton_binding_leave(self, err);
    return make_info(baton_update_info(&self->update));
}
BATON_FUNCTION(baton_end_obj, 1, 2, update_end);

// ---- Records -------------------------------------------------------------

// The arguments that begin every call: (flash, otadata, slots, slot ...)
struct records_call {
    const struct baton_flash *flash;
    uint32_t addr;
    uint32_t count;
    uint32_t slot;
};

static struct records_call get_records(const mp_obj_t *args) {
    struct baton_partition_flash *flash = baton_binding_flash(args[0]);
    const struct baton_flash_partition *at =
            baton_partition_flash_at(flash, args[1]);
    if (at->size_bytes < BATON_OTADATA_BYTES) {
        baton_binding_check(BATON_ERR_OTADATA_SIZE);
    }
    return (struct records_call){&flash->flash, at->addr,
            baton_binding_u32(args[2]), baton_binding_u32(args[3])};
}

static mp_obj_t done(int err) {
    baton_binding_check(err);
    return mp_const_none;
}

// settle(flash, otadata, slots, running slot)
static mp_obj_t slots_settle(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct records_call my = get_records(args);
    return done(baton_slots_settle(my.flash, my.addr, my.count, my.slot));
}
BATON_FUNCTION(baton_settle_obj, 4, 4, slots_settle);

// switch(flash, otadata, slots, slot, state)
static mp_obj_t slots_switch(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct records_call my = get_records(args);
    return done(baton_slots_switch(my.flash, my.addr, my.count, my.slot,
            baton_binding_u32(args[4]), BATON_SLOTS_OTHER_COPY));
}
BATON_FUNCTION(baton_switch_obj, 5, 5, slots_switch);

// confirm(flash, otadata, slots, running slot, another one boots)
static mp_obj_t slots_confirm(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct records_call my = get_records(args);
    return done(baton_slots_confirm(
            my.flash, my.addr, my.count, my.slot, mp_obj_is_true(args[4])));
}
BATON_FUNCTION(baton_confirm_obj, 5, 5, slots_confirm);

// reject(flash, otadata, slots, running slot)
static mp_obj_t slots_reject(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct records_call my = get_records(args);
    return done(baton_slots_reject(my.flash, my.addr, my.count, my.slot));
}
BATON_FUNCTION(baton_reject_obj, 4, 4, slots_reject);
