// Pages of non-volatile storage in ESP-IDF's format.
// SPDX-License-Identifier: MIT
//
// A page is a sector: a header of 32 bytes, two bits of state for each of 126
// entries, the entries of 32 bytes. A value is one entry, or one and as many as
// its bytes need. Values are appended to the newest page; the older value of
// the key is marked erased after that. When one free page is left, the page
// with the least in it is marked as being freed, copied to the free one and
// erased.
//
// Beyond the vendor's rules:
// - Everything is read twice at mount. Where the second reading differs the
//   first one counts, and the page is copied: its bits are fading.
// - A page is erased before it is begun, unless this mount erased it: blank can
//   be what an interrupted erase left.
// - Pages begun here carry a mark in bytes of the header that the vendor leaves
//   unused but checks. In those an erased value is wiped to zeros before it is
//   marked, so a value that still checks out is one that counts, whatever an
//   interrupted write made of its state bits, which four entries share a byte
//   of. Other pages are copied before the first change.
// - Anything odd that an interrupted write left is never mended in place: the
//   values that count are copied to a new page.
#include "nvs_page.h"

#include <stdlib.h>
#include <string.h>

#include "baton-idf/esp_flash.h"

#define STATES_OFF  32u
#define ENTRIES_OFF 64u
#define VERSION_OFF 8u
#define MARK_OFF    9u
#define CRC_OFF     28u
#define VERSION     0xFE

static const uint8_t our_mark[4] = {'B', 'a', 't', 'n'};

// Bits of an entry's state.
enum { ERASED = 0, WRITTEN = 2, EMPTY = 3 };

// The first byte of a page's state; the other three are ones.
static const uint8_t page_states[] = {
        [NVS_FREE] = 0xFF,
        [NVS_ACTIVE] = 0xFE,
        [NVS_FULL] = 0xFC,
        [NVS_FREEING] = 0xF8,
};

uint32_t baton_nvs_page_u16(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

uint32_t baton_nvs_page_u32(const uint8_t *p) {
    return baton_nvs_page_u16(p) | baton_nvs_page_u16(p + 2) << 16;
}

void baton_nvs_page_put_u32(uint8_t *p, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint32_t update_crc(uint32_t crc, const uint8_t *data, size_t len) {
    // By half bytes.
    static const uint32_t table[16] = {0x00000000, 0x1DB71064, 0x3B6E20C8,
            0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
            0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0,
            0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

// The ROM's CRC with 0xFFFFFFFF as a previous result: a register of zeros.
uint32_t baton_nvs_page_crc(const uint8_t *data, size_t len) {
    return ~update_crc(0, data, len);
}

static uint8_t *page_at(const struct baton_nvs *self, uint32_t page) {
    return self->image + page * NVS_PAGE_BYTES;
}

static uint8_t *entry_at(
        const struct baton_nvs *self, uint32_t page, uint32_t index) {
    return page_at(self, page) + ENTRIES_OFF + index * NVS_ENTRY_BYTES;
}

static int state_of(
        const struct baton_nvs *self, uint32_t page, uint32_t index) {
    return page_at(self, page)[STATES_OFF + index / 4] >> (index % 4 * 2) & 3;
}

static bool is_all(const uint8_t *data, size_t len, uint8_t value) {
    for (size_t i = 0; i < len; i++) {
        if (data[i] != value) {
            return false;
        }
    }
    return true;
}

// Flash.

static int write_at(struct baton_nvs *self, const uint8_t *at,
        const uint8_t *data, size_t len) {
    size_t off = (size_t)(at - self->image);
    memcpy(self->image + off, data, len);
    uint32_t unit = self->flash->program_bytes;
    unit = unit != 0 ? unit : 1;
    size_t from = off - off % unit;
    size_t to = (off + len + unit - 1) / unit * unit;
    if (self->flash->program(self->flash->context, self->addr + (uint32_t)from,
                self->image + from, to - from)
            != 0) {
        self->has_failed = true;
        return ESP_ERR_FLASH_OP_FAIL;
    }
    return ESP_OK;
}

static int erase_page(struct baton_nvs *self, uint32_t page) {
    if (self->flash->erase(self->flash->context,
                self->addr + page * NVS_PAGE_BYTES, NVS_PAGE_BYTES)
            != 0) {
        self->has_failed = true;
        return ESP_ERR_FLASH_OP_FAIL;
    }
    memset(page_at(self, page), 0xFF, NVS_PAGE_BYTES);
    self->pages[page] = (struct baton_nvs_page){.is_sound = true};
    return ESP_OK;
}

static int mark_page(struct baton_nvs *self, uint32_t page, uint8_t state) {
    self->pages[page].state = state;
    // An odd state cannot be set right again; it counts as being freed.
    uint8_t bits = page_at(self, page)[0] & page_states[state];
    return write_at(self, page_at(self, page), &bits, 1);
}

static int mark_entries(struct baton_nvs *self, uint32_t page, uint32_t index,
        uint32_t count, unsigned state) {
    uint8_t bits[STATES_OFF];
    const uint8_t *states = page_at(self, page) + STATES_OFF;
    memcpy(bits, states, sizeof(bits));
    for (uint32_t i = index; i < index + count; i++) {
        unsigned shift = i % 4 * 2;
        bits[i / 4] =
                (uint8_t)((bits[i / 4] & ~(3u << shift)) | state << shift);
    }
    uint32_t first = index / 4;
    uint32_t last = (index + count - 1) / 4;
    return write_at(self, states + first, bits + first, last - first + 1);
}

// Looking.

static bool has_bytes(uint8_t type) {
    return type == BATON_NVS_STR || type == BATON_NVS_BLOB
           || type == NVS_TYPE_OLD_BLOB;
}

// A first entry that checks out by itself.
static bool is_entry(const uint8_t *raw, uint32_t room) {
    uint32_t crc = ~update_crc(update_crc(0, raw, 4), raw + 8, 24);
    if (crc != baton_nvs_page_u32(raw + 4) || raw[2] == 0 || raw[2] > room) {
        return false;
    }
    uint32_t len = has_bytes(raw[1]) ? baton_nvs_page_u16(raw + 24) : 0;
    return raw[2] == 1 + (len + NVS_ENTRY_BYTES - 1) / NVS_ENTRY_BYTES;
}

static bool is_written(
        const struct baton_nvs *self, const struct nvs_item *item) {
    for (uint32_t i = 0; i < item->span; i++) {
        if (state_of(self, item->page, item->index + i) != WRITTEN) {
            return false;
        }
    }
    return true;
}

static bool has_right_data(const struct nvs_item *item) {
    return !has_bytes(item->type)
           || baton_nvs_page_crc(item->raw + NVS_ENTRY_BYTES,
                      baton_nvs_page_u16(item->raw + 24))
                      == baton_nvs_page_u32(item->raw + 28);
}

static struct nvs_item item_at(
        const struct baton_nvs *self, uint32_t page, uint32_t index) {
    const uint8_t *raw = entry_at(self, page, index);
    return (struct nvs_item){.page = page,
            .index = index,
            .ns = raw[0],
            .type = raw[1],
            .span = raw[2],
            .chunk = raw[3],
            .raw = raw};
}

static bool is_value(
        const struct baton_nvs *self, uint32_t page, uint32_t index) {
    return (self->pages[page].values[index / 8] >> index % 8 & 1) != 0;
}

static void note_value(
        struct baton_nvs *self, uint32_t page, uint32_t index, bool is_there) {
    uint8_t bit = (uint8_t)(1u << index % 8);
    uint8_t *bits = &self->pages[page].values[index / 8];
    *bits = (uint8_t)(is_there ? *bits | bit : *bits & ~bit);
}

bool baton_nvs_page_next(const struct baton_nvs *self, struct nvs_item *item) {
    uint32_t page = item->page;
    uint32_t index = item->index + item->span;
    for (; page < self->page_count; page++, index = 0) {
        for (; index < NVS_ENTRIES; index++) {
            if (is_value(self, page, index)) {
                *item = item_at(self, page, index);
                return true;
            }
        }
    }
    return false;
}

// Loading.

// Whether a first entry that checks out begins a value that counts.
static bool counts(const struct baton_nvs *self, const struct nvs_item *item) {
    return is_written(self, item)
           || (self->pages[item->page].is_ours && has_right_data(item));
}

// Looks at one place; returns how many entries it takes.
static uint32_t scan_entry(
        struct baton_nvs *self, uint32_t page, uint32_t index) {
    struct baton_nvs_page *p = &self->pages[page];
    struct nvs_item item = item_at(self, page, index);
    int state = state_of(self, page, index);
    bool is_blank = false;
    bool is_odd;
    if (is_entry(item.raw, NVS_ENTRIES - index)
            && (p->is_ours || state == WRITTEN)) {
        bool is_good = counts(self, &item);
        note_value(self, page, index, is_good);
        p->used = (uint8_t)(p->used + (is_good ? item.span : 0));
        is_odd = is_good ? !is_written(self, &item) : state != ERASED;
    } else {
        item.span = 1;
        is_blank = is_all(item.raw, NVS_ENTRY_BYTES, 0xFF);
        is_odd = state != (is_blank ? EMPTY : ERASED);
    }
    // The vendor's own odds and ends go when the page is copied anyway.
    p->needs_copy = p->needs_copy || (p->is_ours && is_odd);
    if (!is_blank || state != EMPTY) {
        p->next_free = (uint8_t)(index + item.span);
    }
    return item.span;
}

static int scan_page(struct baton_nvs *self, uint32_t page, bool is_fading) {
    struct baton_nvs_page *p = &self->pages[page];
    const uint8_t *raw = page_at(self, page);
    *p = (struct baton_nvs_page){0};
    if (baton_nvs_page_crc(raw + 4, CRC_OFF - 4)
                    != baton_nvs_page_u32(raw + CRC_OFF)
            || raw[0] == page_states[NVS_FREE]) {
        return ESP_OK; // blank or rubbish: free, once it is erased
    }
    if (raw[VERSION_OFF] < VERSION) {
        return ESP_ERR_NVS_NEW_VERSION_FOUND;
    }
    p->seq = baton_nvs_page_u32(raw + 4);
    p->is_ours = memcmp(raw + MARK_OFF, our_mark, sizeof(our_mark)) == 0;
    p->needs_copy = is_fading;
    // A state that is none: it was just being changed, before any copying.
    p->state = NVS_FREEING;
    for (unsigned s = NVS_ACTIVE; s < NVS_FREEING; s++) {
        if (raw[0] == page_states[s] && is_all(raw + 1, 3, 0xFF)) {
            p->state = (uint8_t)s;
        }
    }
    p->needs_copy = p->needs_copy || p->state == NVS_FREEING;
    for (uint32_t index = 0; index < NVS_ENTRIES;) {
        index += scan_entry(self, page, index);
    }
    return ESP_OK;
}

static int newest(const struct baton_nvs *self) {
    int found = -1;
    for (uint32_t i = 0; i < self->page_count; i++) {
        if (self->pages[i].state != NVS_FREE
                && (found < 0 || self->pages[i].seq > self->pages[found].seq)) {
            found = (int)i;
        }
    }
    return found;
}

// Whether a page is being freed, other than this one.
static bool is_freeing(const struct baton_nvs *self, uint32_t but) {
    for (uint32_t i = 0; i < self->page_count; i++) {
        if (i != but && self->pages[i].state == NVS_FREEING) {
            return true;
        }
    }
    return false;
}

int baton_nvs_page_load(struct baton_nvs *self) {
    const struct baton_flash *flash = self->flash;
    for (uint32_t i = 0; i < self->page_count; i++) {
        uint32_t addr = self->addr + i * NVS_PAGE_BYTES;
        uint8_t again[NVS_PAGE_BYTES];
        uint8_t *raw = page_at(self, i);
        if (flash->read(flash->context, addr, raw, sizeof(again)) != 0
                || flash->read(flash->context, addr, again, sizeof(again))
                           != 0) {
            return ESP_ERR_FLASH_OP_FAIL;
        }
        int err = scan_page(self, i, memcmp(raw, again, sizeof(again)) != 0);
        if (err != ESP_OK) {
            return err;
        }
    }
    // A copy that was not finished begins anew.
    int last = newest(self);
    if (last >= 0 && self->pages[last].state == NVS_ACTIVE
            && is_freeing(self, (uint32_t)last)) {
        return erase_page(self, (uint32_t)last);
    }
    return ESP_OK;
}

// Changing.

int baton_nvs_page_current(const struct baton_nvs *self) {
    int last = newest(self);
    return last >= 0 && self->pages[last].state == NVS_ACTIVE ? last : -1;
}

// The next free page in turn, so that all of them wear alike.
static int find_free(const struct baton_nvs *self, uint32_t *count) {
    int found = -1;
    uint32_t from = (uint32_t)(newest(self) + 1);
    *count = 0;
    for (uint32_t i = 0; i < self->page_count; i++) {
        uint32_t page = (from + i) % self->page_count;
        if (self->pages[page].state == NVS_FREE) {
            found = found < 0 ? (int)page : found;
            (*count)++;
        }
    }
    return found;
}

static int begin_page(struct baton_nvs *self) {
    uint32_t count;
    int page = find_free(self, &count);
    if (page < 0) {
        return ESP_ERR_NVS_NOT_ENOUGH_SPACE;
    }
    int last = newest(self);
    uint32_t seq = last < 0 ? 0 : self->pages[last].seq + 1;
    struct baton_nvs_page *p = &self->pages[page];
    if (!p->is_sound) {
        int err = erase_page(self, (uint32_t)page);
        if (err != ESP_OK) {
            return err;
        }
    }
    uint8_t header[STATES_OFF];
    memset(header, 0xFF, sizeof(header));
    header[0] = page_states[NVS_ACTIVE];
    baton_nvs_page_put_u32(header + 4, seq);
    header[VERSION_OFF] = VERSION;
    memcpy(header + MARK_OFF, our_mark, sizeof(our_mark));
    baton_nvs_page_put_u32(
            header + CRC_OFF, baton_nvs_page_crc(header + 4, CRC_OFF - 4));
    *p = (struct baton_nvs_page){
            .state = NVS_ACTIVE, .is_ours = true, .seq = seq};
    return write_at(
            self, page_at(self, (uint32_t)page), header, sizeof(header));
}

int baton_nvs_page_append(
        struct baton_nvs *self, const uint8_t *entries, uint8_t span) {
    uint32_t page = (uint32_t)baton_nvs_page_current(self);
    struct baton_nvs_page *p = &self->pages[page];
    uint32_t index = p->next_free;
    int err = write_at(
            self, entry_at(self, page, index), entries, span * NVS_ENTRY_BYTES);
    if (err != ESP_OK) {
        return err;
    }
    p->next_free = (uint8_t)(index + span);
    p->used = (uint8_t)(p->used + span);
    note_value(self, page, index, true);
    return mark_entries(self, page, index, span, WRITTEN);
}

// A page that is appended to is closed before another is freed: an active page
// that is the newest beside one being freed is taken for an unfinished copy.
static int close_current(struct baton_nvs *self) {
    int page = baton_nvs_page_current(self);
    return page < 0 ? ESP_OK : mark_page(self, (uint32_t)page, NVS_FULL);
}

static int copy_page(struct baton_nvs *self, uint32_t page) {
    int err = ESP_OK;
    if (baton_nvs_page_current(self) != (int)page) {
        err = close_current(self);
    }
    if (err == ESP_OK) {
        err = mark_page(self, page, NVS_FREEING);
    }
    if (err == ESP_OK) {
        err = begin_page(self);
    }
    for (uint32_t index = 0; err == ESP_OK && index < NVS_ENTRIES; index++) {
        if (is_value(self, page, index)) {
            struct nvs_item item = item_at(self, page, index);
            err = baton_nvs_page_append(self, item.raw, item.span);
        }
    }
    // With one more page being freed the copy would be taken for unfinished.
    if (err == ESP_OK && is_freeing(self, page)) {
        err = close_current(self);
    }
    return err != ESP_OK ? err : erase_page(self, page);
}

int baton_nvs_page_copy_all(struct baton_nvs *self) {
    uint32_t count;
    if (find_free(self, &count) < 0) {
        return ESP_ERR_NVS_NO_FREE_PAGES;
    }
    for (uint32_t i = 0; i < self->page_count; i++) {
        if (!self->pages[i].needs_copy) {
            continue;
        }
        int err = copy_page(self, i);
        if (err != ESP_OK) {
            return err;
        }
    }
    return ESP_OK;
}

int baton_nvs_page_request(struct baton_nvs *self) {
    int err = close_current(self);
    if (err != ESP_OK) {
        return err;
    }
    uint32_t count;
    find_free(self, &count);
    if (count >= 2) {
        return begin_page(self);
    }
    int victim = -1;
    uint32_t least = NVS_ENTRIES;
    for (uint32_t i = 0; i < self->page_count; i++) {
        if (self->pages[i].state != NVS_FREE && self->pages[i].used < least) {
            victim = (int)i;
            least = self->pages[i].used;
        }
    }
    return victim < 0 ? ESP_ERR_NVS_NOT_ENOUGH_SPACE
                      : copy_page(self, (uint32_t)victim);
}

int baton_nvs_page_drop(struct baton_nvs *self, const struct nvs_item *item) {
    struct baton_nvs_page *p = &self->pages[item->page];
    size_t len = item->span * NVS_ENTRY_BYTES;
    uint8_t *raw = entry_at(self, item->page, item->index);
    p->used = (uint8_t)(p->used - item->span);
    note_value(self, item->page, item->index, false);
    if (p->needs_copy || !p->is_ours) {
        p->needs_copy = true; // which is made without it
        return ESP_OK;
    }
    // The first entry last: until it is gone it keeps the others from being
    // looked at.
    uint8_t zeros[NVS_PAGE_BYTES] = {0};
    int err = ESP_OK;
    if (item->span > 1) {
        err = write_at(
                self, raw + NVS_ENTRY_BYTES, zeros, len - NVS_ENTRY_BYTES);
    }
    if (err == ESP_OK) {
        err = write_at(self, raw, zeros, NVS_ENTRY_BYTES);
    }
    return err != ESP_OK ? err
                         : mark_entries(self, item->page, item->index,
                                 item->span, ERASED);
}
