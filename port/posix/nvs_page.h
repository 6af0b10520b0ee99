// Pages of non-volatile storage: what nvs.c builds on.
// SPDX-License-Identifier: MIT
#ifndef BATON_POSIX_NVS_PAGE_H
#define BATON_POSIX_NVS_PAGE_H

#include "baton-posix/nvs.h"

#define NVS_PAGE_BYTES  4096u
#define NVS_ENTRY_BYTES 32u
#define NVS_ENTRIES     126u
#define NVS_CHUNK_ANY   0xFFu

// Types that only the format knows.
#define NVS_TYPE_ANY      0x00
#define NVS_TYPE_OLD_BLOB 0x41
#define NVS_TYPE_INDEX    0x48

enum { NVS_FREE, NVS_ACTIVE, NVS_FULL, NVS_FREEING };

// A value and where it is.
struct nvs_item {
    uint32_t page;
    uint32_t index;
    uint8_t ns;
    uint8_t type;
    uint8_t span; // entries
    uint8_t chunk;
    const uint8_t *raw; // its first entry; the data of a string follow it
};

uint32_t baton_nvs_page_u32(const uint8_t *p);
uint32_t baton_nvs_page_u16(const uint8_t *p);
void baton_nvs_page_put_u32(uint8_t *p, uint32_t value);
uint32_t baton_nvs_page_crc(const uint8_t *data, size_t len);

// Walks the values, in no particular order. Start with a struct of zeros.
bool baton_nvs_page_next(const struct baton_nvs *self, struct nvs_item *item);

// Reads everything, and says what each page is.
int baton_nvs_page_load(struct baton_nvs *self);

// Copies every page that needs it.
int baton_nvs_page_copy_all(struct baton_nvs *self);

// The page to append to, -1 where there is none.
int baton_nvs_page_current(const struct baton_nvs *self);

// Begins a new page to append to, which may hold values already.
int baton_nvs_page_request(struct baton_nvs *self);

// Appends entries to the current page, which has room.
int baton_nvs_page_append(
        struct baton_nvs *self, const uint8_t *entries, uint8_t span);

// Takes a value away.
int baton_nvs_page_drop(struct baton_nvs *self, const struct nvs_item *item);

#endif
