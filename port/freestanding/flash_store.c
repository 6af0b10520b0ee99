// A struct baton_store in two sectors of flash.
// SPDX-License-Identifier: MIT
#include "baton-freestanding/flash_store.h"

#include <string.h>

#include "baton/error.h"

#define HEAD        BATON_FLASH_STORE_HEAD_BYTES
#define MAGIC       0x31545342u // "BST1"
#define KEY_MAX     15u
#define ENTRY_BYTES 3u // before key and value
#define PROGRAM_MAX 32u

static uint32_t get_u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16
           | (uint32_t)p[3] << 24;
}

static void put_u32(uint8_t *p, uint32_t value) {
    for (unsigned i = 0; i < 4; i++) {
        p[i] = (uint8_t)(value >> 8u * i);
    }
}

static uint32_t extend_crc(uint32_t crc, const uint8_t *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1u) != 0 ? 0xEDB88320u : 0u);
        }
    }
    return crc;
}

// Of sequence, length and entries.
static uint32_t compute_crc(const uint8_t *sector, uint32_t used_bytes) {
    uint32_t crc = extend_crc(UINT32_MAX, sector + 4, 8);
    return ~extend_crc(crc, sector + HEAD, used_bytes);
}

static uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

static uint32_t copy_addr(const struct baton_flash_store *self, uint8_t copy) {
    return self->addr + copy * self->sector_bytes;
}

// ---- Entries in memory ---------------------------------------------------

static uint32_t value_bytes(const uint8_t *entry) {
    return (uint32_t)entry[1] | (uint32_t)entry[2] << 8;
}

static uint32_t entry_bytes(const uint8_t *entry) {
    return ENTRY_BYTES + entry[0] + value_bytes(entry);
}

// True where the entries fill their length exactly.
static bool are_whole(const uint8_t *entries, uint32_t used_bytes) {
    uint32_t at = 0;
    while (at < used_bytes) {
        if (used_bytes - at < ENTRY_BYTES
                || entry_bytes(entries + at) > used_bytes - at) {
            return false;
        }
        at += entry_bytes(entries + at);
    }
    return true;
}

// Where a key's entry begins; used_bytes where there is none.
static uint32_t find(const struct baton_flash_store *self, const char *key) {
    size_t len = strlen(key);
    const uint8_t *entries = self->values + HEAD;
    uint32_t at = 0;
    while (at < self->used_bytes) {
        const uint8_t *entry = entries + at;
        if (entry[0] == len && memcmp(entry + ENTRY_BYTES, key, len) == 0) {
            return at;
        }
        at += entry_bytes(entry);
    }
    return at;
}

// ---- Sectors -------------------------------------------------------------

// Reads a sector once, and judges what was read. Returns false where it holds
// no values.
static bool read_copy(const struct baton_flash_store *self, uint8_t copy,
        uint8_t *to, int *err) {
    *err = self->flash->read(
            self->flash->context, copy_addr(self, copy), to, self->capacity);
    uint32_t used_bytes = get_u32(to + 8);
    return *err == 0 && get_u32(to) == MAGIC
           && used_bytes <= self->capacity - HEAD
           && get_u32(to + 12) == compute_crc(to, used_bytes)
           && are_whole(to + HEAD, used_bytes);
}

static int erase_copy(const struct baton_flash_store *self, uint8_t copy) {
    return self->flash->erase(
            self->flash->context, copy_addr(self, copy), self->sector_bytes);
}

// Programs a sector's values: entries first, the head makes them count.
static int program_copy(const struct baton_flash_store *self, uint8_t copy,
        uint8_t *sector, uint32_t used_bytes) {
    const struct baton_flash *flash = self->flash;
    uint32_t addr = copy_addr(self, copy);
    uint32_t padded =
            (used_bytes + PROGRAM_MAX - 1u) / PROGRAM_MAX * PROGRAM_MAX;
    padded = smaller(padded, self->capacity - HEAD);
    memset(sector + HEAD + used_bytes, 0xFF, padded - used_bytes);
    int err =
            flash->program(flash->context, addr + HEAD, sector + HEAD, padded);
    return err != 0 ? err : flash->program(flash->context, addr, sector, HEAD);
}

static void put_head(uint8_t *sector, uint32_t seq, uint32_t used_bytes) {
    memset(sector, 0xFF, HEAD);
    put_u32(sector, MAGIC);
    put_u32(sector + 4, seq);
    put_u32(sector + 8, used_bytes);
    put_u32(sector + 12, compute_crc(sector, used_bytes));
}

// Puts `next` into the other sector, then erases the one of before. Whatever
// fails, what was in force stays so in memory, and on flash until the head of
// the new one is there.
static int replace(struct baton_flash_store *self, uint32_t used_bytes) {
    uint8_t other = self->copy ^ 1u;
    put_head(self->next, self->seq + 1u, used_bytes);
    int err = self->is_other_bare ? 0 : erase_copy(self, other);
    self->is_other_bare = false;
    if (err == 0) {
        err = program_copy(self, other, self->next, used_bytes);
    }
    if (err != 0) {
        return err;
    }
    uint8_t *before = self->values;
    self->values = self->next;
    self->next = before;
    self->used_bytes = used_bytes;
    self->seq++;
    self->copy = other;
    err = erase_copy(self, other ^ 1u);
    self->is_other_bare = err == 0;
    return err;
}

// ---- The callbacks -------------------------------------------------------

static int get_value(void *context, const char *key, void *buf, size_t *len) {
    const struct baton_flash_store *self = context;
    uint32_t at = find(self, key);
    if (at == self->used_bytes) {
        return BATON_ERR_NOENT;
    }
    const uint8_t *entry = self->values + HEAD + at;
    size_t capacity = *len;
    *len = value_bytes(entry);
    if (*len > capacity) {
        return BATON_ERR_NOSPC;
    }
    memcpy(buf, entry + ENTRY_BYTES + entry[0], *len);
    return 0;
}

// Copies all entries but the key's to `next`; returns how many bytes they are.
static uint32_t copy_others(
        const struct baton_flash_store *self, const char *key) {
    uint32_t at = find(self, key);
    const uint8_t *entries = self->values + HEAD;
    uint32_t end = at;
    if (at < self->used_bytes) {
        end += entry_bytes(entries + at);
    }
    memcpy(self->next + HEAD, entries, at);
    memcpy(self->next + HEAD + at, entries + end, self->used_bytes - end);
    return self->used_bytes - (end - at);
}

static bool is_same(const struct baton_flash_store *self, const char *key,
        const void *data, size_t len) {
    uint32_t at = find(self, key);
    const uint8_t *entry = self->values + HEAD + at;
    return at < self->used_bytes && value_bytes(entry) == len
           && memcmp(entry + ENTRY_BYTES + entry[0], data, len) == 0;
}

static int set_value(
        void *context, const char *key, const void *data, size_t len) {
    struct baton_flash_store *self = context;
    size_t key_len = strlen(key);
    if (key_len == 0 || key_len > KEY_MAX) {
        return BATON_ERR_ARG;
    }
    if (is_same(self, key, data, len)) {
        return 0;
    }
    uint32_t used_bytes = copy_others(self, key);
    uint32_t room = self->capacity - HEAD - used_bytes;
    if (len > UINT16_MAX || ENTRY_BYTES + key_len + len > room) {
        return BATON_ERR_NOSPC;
    }
    uint8_t *entry = self->next + HEAD + used_bytes;
    entry[0] = (uint8_t)key_len;
    entry[1] = (uint8_t)len;
    entry[2] = (uint8_t)(len >> 8);
    // NOLINTNEXTLINE(bugprone-not-null-terminated-result): none is kept
    memcpy(entry + ENTRY_BYTES, key, key_len);
    memcpy(entry + ENTRY_BYTES + key_len, data, len);
    return replace(self, used_bytes + entry_bytes(entry));
}

static int remove_value(void *context, const char *key) {
    struct baton_flash_store *self = context;
    return find(self, key) == self->used_bytes
                   ? 0
                   : replace(self, copy_others(self, key));
}

// ---- Beginning -----------------------------------------------------------

// Both sectors hold values: a change was cut short after the new ones counted.
// They may be weak, so they are written again while the old ones are there.
static int finish_change(struct baton_flash_store *self) {
    int err = erase_copy(self, self->copy);
    if (err == 0) {
        err = program_copy(self, self->copy, self->values, self->used_bytes);
    }
    if (err == 0) {
        err = erase_copy(self, self->copy ^ 1u);
    }
    self->is_other_bare = err == 0;
    return err;
}

static int load(struct baton_flash_store *self) {
    int err;
    bool has_first = read_copy(self, 0, self->values, &err);
    if (err != 0) {
        return err;
    }
    bool has_second = read_copy(self, 1, self->next, &err);
    if (err != 0 || (!has_first && !has_second)) {
        return err;
    }
    bool is_second =
            has_second
            && (!has_first
                    || get_u32(self->next + 4) > get_u32(self->values + 4));
    if (is_second) {
        uint8_t *first = self->values;
        self->values = self->next;
        self->next = first;
        self->copy = 1;
    }
    self->seq = get_u32(self->values + 4);
    self->used_bytes = get_u32(self->values + 8);
    return has_first && has_second ? finish_change(self) : 0;
}

int baton_flash_store_begin(struct baton_flash_store *self,
        const struct baton_flash *flash, uint32_t addr, void *work,
        size_t work_len) {
    uint32_t sector =
            flash->sector_bytes != 0 ? flash->sector_bytes : BATON_SECTOR_BYTES;
    size_t capacity = work_len / 2 / PROGRAM_MAX * PROGRAM_MAX;
    if (addr % sector != 0 || capacity <= HEAD || capacity > sector
            || flash->program_bytes > PROGRAM_MAX) {
        return BATON_ERR_ARG;
    }
    *self = (struct baton_flash_store){
            .store = {self, get_value, set_value, remove_value},
            .flash = flash,
            .addr = addr,
            .sector_bytes = sector,
            .capacity = (uint32_t)capacity,
            .values = work,
            .next = (uint8_t *)work + capacity,
    };
    return load(self);
}
