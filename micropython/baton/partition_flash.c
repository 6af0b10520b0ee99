// Flash through MicroPython's esp32.Partition, or any block device like it.
// SPDX-License-Identifier: MIT
#include "partition_flash.h"

#include "baton/error.h"
#include "py/objarray.h"

enum { INFO_ADDR = 2, INFO_SIZE = 3, INFO_ENCRYPTED = 5, INFO_ITEMS = 6 };
enum { ERASE_BLOCK = 6 };
enum { ENCRYPTED_UNIT = 16 };

static const struct baton_flash_partition *find(
        const struct baton_partition_flash *self, uint32_t addr, size_t len) {
    for (size_t i = 0; i < self->count; i++) {
        const struct baton_flash_partition *it = &self->partition[i];
        if (addr >= it->addr && addr - it->addr <= it->size_bytes
                && len <= it->size_bytes - (addr - it->addr)) {
            return it;
        }
    }
    return NULL;
}

// Lays the window over memory for one call of a method (number, window, off).
static mp_obj_t move(struct baton_partition_flash *self, uint32_t addr,
        void *buf, size_t len, qstr method) {
    const struct baton_flash_partition *it = find(self, addr, len);
    uint32_t off = addr - it->addr;
    mp_obj_array_t *window = MP_OBJ_TO_PTR(self->window);
    window->items = buf;
    window->len = len;
    mp_obj_t args[] = {MP_OBJ_NEW_SMALL_INT(off / BATON_SECTOR_BYTES),
            self->window, MP_OBJ_NEW_SMALL_INT(off % BATON_SECTOR_BYTES)};
    mp_obj_t result = baton_binding_call(it->object, method, 3, args);
    window->items = NULL;
    window->len = 0;
    return result;
}

void baton_partition_flash_forget(struct baton_partition_flash *self) {
    self->ahead_len = 0;
}

// Small reads come in rows: one call of Python serves several.
static int read_flash(void *context, uint32_t addr, void *buf, size_t len) {
    struct baton_partition_flash *self = context;
    if (find(self, addr, len) == NULL) {
        return BATON_ERR_RANGE;
    }
    if (len >= self->ahead_bytes) {
        move(self, addr, buf, len, MP_QSTR_readblocks);
        return 0;
    }
    if (addr < self->ahead_addr
            || addr - self->ahead_addr + len > self->ahead_len) {
        size_t ahead = self->ahead_bytes;
        if (find(self, addr, ahead) == NULL) {
            ahead = len;
        }
        self->ahead_len = 0;
        move(self, addr, self->ahead, ahead, MP_QSTR_readblocks);
        self->ahead_addr = addr;
        self->ahead_len = (uint32_t)ahead;
    }
    memcpy(buf, self->ahead + (addr - self->ahead_addr), len);
    return 0;
}

static int program_flash(
        void *context, uint32_t addr, const void *buf, size_t len) {
    struct baton_partition_flash *self = context;
    if (find(self, addr, len) == NULL) {
        return BATON_ERR_RANGE;
    }
    self->ahead_len = 0;
    move(self, addr, (void *)(uintptr_t)buf, len, MP_QSTR_writeblocks);
    return 0;
}

static int erase_flash(void *context, uint32_t addr, size_t len) {
    struct baton_partition_flash *self = context;
    const struct baton_flash_partition *it = find(self, addr, len);
    if (it == NULL) {
        return BATON_ERR_RANGE;
    }
    self->ahead_len = 0;
    mp_obj_t number =
            MP_OBJ_NEW_SMALL_INT((addr - it->addr) / BATON_SECTOR_BYTES);
#ifndef BATON_SMALL
    if (len == BATON_BLOCK_BYTES && self->erase != MP_OBJ_NULL) {
        mp_obj_t args[] = {mp_obj_new_int_from_uint(addr),
                MP_OBJ_NEW_SMALL_INT(BATON_BLOCK_BYTES)};
        mp_call_function_n_kw(self->erase, 2, 0, args);
        return 0;
    }
    if (len == BATON_BLOCK_BYTES && self->blank != MP_OBJ_NULL) {
        mp_obj_t args[] = {number, self->blank};
        baton_binding_call(it->object, MP_QSTR_writeblocks, 2, args);
        return 0;
    }
#endif
    if (len != BATON_SECTOR_BYTES) {
        return BATON_ERR_ARG;
    }
    mp_obj_t args[] = {MP_OBJ_NEW_SMALL_INT(ERASE_BLOCK), number};
    mp_obj_t result = baton_binding_call(it->object, MP_QSTR_ioctl, 2, args);
    return result == MP_OBJ_NEW_SMALL_INT(0) ? 0 : BATON_ERR_IO;
}

static void add_partition(struct baton_partition_flash *self, mp_obj_t object) {
    mp_obj_t items[INFO_ITEMS]; // from the last to the first
    baton_binding_unpack(baton_binding_call(object, MP_QSTR_info, 0, NULL),
            INFO_ITEMS, items);
    struct baton_flash_partition *it = &self->partition[self->count++];
    it->object = object;
    it->addr = baton_binding_u32(items[INFO_ITEMS - 1 - INFO_ADDR]);
    it->size_bytes = baton_binding_u32(items[INFO_ITEMS - 1 - INFO_SIZE]);
    if (items[INFO_ITEMS - 1 - INFO_ENCRYPTED] != mp_const_false) {
        self->flash.program_bytes = ENCRYPTED_UNIT;
    }
    if (it->addr + it->size_bytes > self->flash.size_bytes) {
        self->flash.size_bytes = it->addr + it->size_bytes;
    }
}

#ifndef BATON_SMALL
static void take_block(struct baton_partition_flash *self, mp_obj_t block) {
    if (block == mp_const_none) {
        return;
    }
    mp_buffer_info_t buf;
    self->flash.block_bytes = BATON_BLOCK_BYTES;
    if (!mp_get_buffer(block, &buf, MP_BUFFER_WRITE)) {
        self->erase = block;
        return;
    }
    if (buf.len != BATON_BLOCK_BYTES) {
        baton_binding_check(BATON_ERR_ARG);
    }
    memset(buf.buf, 0xFF, buf.len);
    self->blank = block;
}
#endif

void baton_partition_flash_ahead(
        struct baton_partition_flash *self, mp_obj_t memory) {
    mp_buffer_info_t buf;
    mp_get_buffer_raise(memory, &buf, MP_BUFFER_WRITE);
    self->memory = memory;
    self->ahead = buf.buf;
    self->ahead_bytes = (uint32_t)buf.len;
    self->ahead_len = 0;
}

struct baton_partition_flash *baton_partition_flash_open(
        mp_obj_t block, size_t count, const mp_obj_t *partitions) {
    struct baton_partition_flash *self =
            baton_binding_new_handle(BATON_HANDLE_FLASH, sizeof(*self));
    void *volatile pinned = self;
    self->flash.context = self;
    self->flash.read = read_flash;
    self->flash.program = program_flash;
    self->flash.erase = erase_flash;
    self->ahead = self->own_ahead;
    self->ahead_bytes = sizeof(self->own_ahead);
    self->window = mp_obj_new_bytearray_by_ref(0, NULL);
    for (size_t i = 0; i < count; i++) {
        add_partition(self, partitions[i]);
    }
#ifndef BATON_SMALL
    take_block(self, block);
#else
    (void)block;
#endif
    return pinned;
}

const struct baton_flash_partition *baton_partition_flash_at(
        const struct baton_partition_flash *self, mp_obj_t index) {
    uint32_t at = baton_binding_u32(index);
    if (at >= self->count) {
        baton_binding_check(BATON_ERR_RANGE);
    }
    return &self->partition[at];
}
