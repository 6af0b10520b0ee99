// Non-volatile storage in ESP-IDF's format: values by namespace and key.
// SPDX-License-Identifier: MIT
//
// A blob is an index entry and chunks, each of at most what a page holds. The
// chunks of a new value are numbered from 0 or from 128, whichever the old
// value does not use; the new index goes last, then the old index is dropped,
// then its chunks. At mount an index without its chunks and chunks without
// their index go, and of two values of a key the older one.
#include "baton-posix/nvs.h"

#include <stdlib.h>
#include <string.h>

#include "nvs_page.h"

#define CHUNK_MAX_BYTES ((NVS_ENTRIES - 1) * NVS_ENTRY_BYTES)
#define SECOND_VERSION  0x80u
#define NS_OF_NAMES     0
#define NS_MAX          254

// Offsets inside an entry.
#define KEY_OFF   8
#define KEY_BYTES 16
#define DATA_OFF  24
#define COUNT_OFF 28 // of an index: number of chunks, then the first one

static bool is_key(const struct nvs_item *item, uint8_t ns, const char *key) {
    return item->ns == ns
           && strncmp(key, (const char *)item->raw + KEY_OFF,
                      BATON_NVS_NAME_MAX)
                      == 0;
}

static bool find(const struct baton_nvs *self, uint8_t ns, uint8_t type,
        const char *key, uint8_t chunk, struct nvs_item *item) {
    *item = (struct nvs_item){0};
    while (baton_nvs_page_next(self, item)) {
        if (is_key(item, ns, key) && item->chunk == chunk
                && (type == NVS_TYPE_ANY || type == item->type)) {
            return true;
        }
    }
    return false;
}

// Blobs.

static bool covers(const struct nvs_item *index, const struct nvs_item *data) {
    uint8_t first = index->raw[COUNT_OFF + 1];
    return data->chunk >= first && data->chunk - first < index->raw[COUNT_OFF];
}

static bool has_index(
        const struct baton_nvs *self, const struct nvs_item *data) {
    struct nvs_item index = {0};
    while (baton_nvs_page_next(self, &index)) {
        if (index.type == NVS_TYPE_INDEX && index.ns == data->ns
                && memcmp(index.raw + KEY_OFF, data->raw + KEY_OFF, KEY_BYTES)
                           == 0
                && covers(&index, data)) {
            return true;
        }
    }
    return false;
}

static bool has_chunks(
        const struct baton_nvs *self, const struct nvs_item *index) {
    const char *key = (const char *)index->raw + KEY_OFF;
    uint32_t len = 0;
    for (uint8_t i = 0; i < index->raw[COUNT_OFF]; i++) {
        struct nvs_item data;
        uint8_t chunk = (uint8_t)(index->raw[COUNT_OFF + 1] + i);
        if (!find(self, index->ns, BATON_NVS_BLOB, key, chunk, &data)) {
            return false;
        }
        len += baton_nvs_page_u16(data.raw + DATA_OFF);
    }
    return len == baton_nvs_page_u32(index->raw + DATA_OFF);
}

// Chunks that no index leads to, of every key.
static int drop_orphans(struct baton_nvs *self) {
    struct nvs_item item = {0};
    while (baton_nvs_page_next(self, &item)) {
        if (item.type == BATON_NVS_BLOB && !has_index(self, &item)) {
            int err = baton_nvs_page_drop(self, &item);
            if (err != ESP_OK) {
                return err;
            }
        }
    }
    return ESP_OK;
}

// Mount.

static bool is_later(const struct baton_nvs *self, const struct nvs_item *a,
        const struct nvs_item *b) {
    return a->page == b->page
                   ? a->index > b->index
                   : self->pages[a->page].seq > self->pages[b->page].seq;
}

// Whether a later value of the same key is there. Pages of older ESP-IDF may
// hold two values of different types on purpose.
static bool is_outdated(
        const struct baton_nvs *self, const struct nvs_item *item) {
    struct nvs_item other = {0};
    while (baton_nvs_page_next(self, &other)) {
        if (other.ns == item->ns && other.chunk == item->chunk
                && memcmp(other.raw + KEY_OFF, item->raw + KEY_OFF, KEY_BYTES)
                           == 0
                && is_later(self, &other, item)
                && (other.type == item->type
                        || self->pages[other.page].is_ours)) {
            return true;
        }
    }
    return false;
}

static int drop_leftovers(struct baton_nvs *self) {
    struct nvs_item item = {0};
    while (baton_nvs_page_next(self, &item)) {
        bool is_broken =
                item.type == NVS_TYPE_INDEX && !has_chunks(self, &item);
        if (is_broken || is_outdated(self, &item)) {
            int err = baton_nvs_page_drop(self, &item);
            if (err != ESP_OK) {
                return err;
            }
        }
    }
    return drop_orphans(self);
}

int baton_nvs_mount(struct baton_nvs *self, const struct baton_flash *flash,
        uint32_t addr, uint32_t size_bytes) {
    memset(self, 0, sizeof(*self));
    self->page_count = size_bytes / NVS_PAGE_BYTES;
    if (addr % NVS_PAGE_BYTES != 0 || size_bytes % NVS_PAGE_BYTES != 0
            || self->page_count < 3 || self->page_count > BATON_NVS_PAGES_MAX) {
        return ESP_ERR_INVALID_ARG;
    }
    self->flash = flash;
    self->addr = addr;
    self->image = malloc(size_bytes);
    if (self->image == NULL) {
        return ESP_ERR_NO_MEM;
    }
    int err = baton_nvs_page_load(self);
    if (err == ESP_OK) {
        err = drop_leftovers(self);
    }
    if (err == ESP_OK) {
        err = baton_nvs_page_copy_all(self);
    }
    if (err != ESP_OK) {
        baton_nvs_unmount(self);
    }
    return err;
}

void baton_nvs_unmount(struct baton_nvs *self) {
    free(self->image);
    memset(self, 0, sizeof(*self));
}

static int check(const struct baton_nvs *self) {
    return self->image == NULL || self->has_failed ? ESP_ERR_NVS_INVALID_STATE
                                                   : ESP_OK;
}

int baton_nvs_commit(const struct baton_nvs *self) {
    return check(self);
}

// Writing.

// Before the first change every page has to be one of ours.
static int start_change(struct baton_nvs *self, const char *key) {
    int err = check(self);
    if (err != ESP_OK) {
        return err;
    }
    if (strlen(key) > BATON_NVS_NAME_MAX) {
        return ESP_ERR_NVS_KEY_TOO_LONG;
    }
    for (uint32_t i = 0; i < self->page_count; i++) {
        struct baton_nvs_page *p = &self->pages[i];
        p->needs_copy = p->state != NVS_FREE && !p->is_ours;
    }
    return baton_nvs_page_copy_all(self);
}

static void make_entry(uint8_t *raw, uint8_t ns, uint8_t type, uint8_t span,
        uint8_t chunk, const char *key) {
    memset(raw, 0xFF, NVS_ENTRY_BYTES);
    raw[0] = ns;
    raw[1] = type;
    raw[2] = span;
    raw[3] = chunk;
    for (size_t i = 0; i < KEY_BYTES; i++) {
        raw[KEY_OFF + i] = (uint8_t)*key;
        key += *key != '\0';
    }
}

static void seal_entry(uint8_t *raw) {
    uint8_t covered[28];
    memcpy(covered, raw, 4);
    memcpy(covered + 4, raw + 8, 24);
    baton_nvs_page_put_u32(
            raw + 4, baton_nvs_page_crc(covered, sizeof(covered)));
}

static uint32_t room(const struct baton_nvs *self) {
    int page = baton_nvs_page_current(self);
    return page < 0 ? 0 : NVS_ENTRIES - self->pages[page].next_free;
}

static int append(
        struct baton_nvs *self, const uint8_t *entries, uint8_t span) {
    if (room(self) < span) {
        int err = baton_nvs_page_request(self);
        if (err != ESP_OK) {
            return err;
        }
    }
    return room(self) < span ? ESP_ERR_NVS_NOT_ENOUGH_SPACE
                             : baton_nvs_page_append(self, entries, span);
}

static int append_bytes(struct baton_nvs *self, uint8_t ns, uint8_t type,
        const char *key, uint8_t chunk, const uint8_t *data, size_t len) {
    uint8_t entries[NVS_ENTRIES * NVS_ENTRY_BYTES];
    size_t span = 1 + (len + NVS_ENTRY_BYTES - 1) / NVS_ENTRY_BYTES;
    make_entry(entries, ns, type, (uint8_t)span, chunk, key);
    entries[DATA_OFF] = (uint8_t)len;
    entries[DATA_OFF + 1] = (uint8_t)(len >> 8);
    baton_nvs_page_put_u32(entries + 28, baton_nvs_page_crc(data, len));
    seal_entry(entries);
    memset(entries + NVS_ENTRY_BYTES, 0xFF, (span - 1) * NVS_ENTRY_BYTES);
    if (len > 0) {
        memcpy(entries + NVS_ENTRY_BYTES, data, len);
    }
    return append(self, entries, (uint8_t)span);
}

// After the new value is there: every other one of the key, then their chunks.
static int drop_older(struct baton_nvs *self, uint8_t ns, const char *key) {
    struct nvs_item item = {0};
    while (baton_nvs_page_next(self, &item)) {
        if (is_key(&item, ns, key) && item.chunk == NVS_CHUNK_ANY
                && is_outdated(self, &item)) {
            int err = baton_nvs_page_drop(self, &item);
            if (err != ESP_OK) {
                return err;
            }
        }
    }
    return drop_orphans(self);
}

int baton_nvs_set_number(struct baton_nvs *self, uint8_t ns,
        enum baton_nvs_type type, const char *key, const void *value) {
    size_t len = (size_t)type & 0x0F;
    if (((size_t)type & 0xE0) != 0 || len > 8) {
        return ESP_ERR_INVALID_ARG;
    }
    int err = check(self);
    struct nvs_item old;
    if (err == ESP_OK && find(self, ns, (uint8_t)type, key, NVS_CHUNK_ANY, &old)
            && memcmp(old.raw + DATA_OFF, value, len) == 0) {
        return ESP_OK;
    }
    err = start_change(self, key);
    if (err != ESP_OK) {
        return err;
    }
    uint8_t entry[NVS_ENTRY_BYTES];
    make_entry(entry, ns, (uint8_t)type, 1, NVS_CHUNK_ANY, key);
    memcpy(entry + DATA_OFF, value, len);
    seal_entry(entry);
    err = append(self, entry, 1);
    return err != ESP_OK ? err : drop_older(self, ns, key);
}

// Puts the chunks where there is room; the first one not into the last scraps
// of a page. Leaves room for the index.
static int append_chunks(struct baton_nvs *self, uint8_t ns, const char *key,
        uint8_t first, const uint8_t *data, size_t len, uint8_t *count) {
    *count = 0;
    do {
        size_t tail = room(self) > 1 ? (room(self) - 1) * NVS_ENTRY_BYTES : 0;
        bool is_scrap = *count == 0 && (tail < len || tail == 0)
                        && tail < CHUNK_MAX_BYTES / 10;
        if (is_scrap) {
            int err = baton_nvs_page_request(self);
            if (err != ESP_OK) {
                return err;
            }
            if ((room(self) > 1 ? (room(self) - 1) * NVS_ENTRY_BYTES : 0)
                    <= tail) {
                return ESP_ERR_NVS_NOT_ENOUGH_SPACE;
            }
            continue;
        }
        if (tail == 0) {
            return ESP_ERR_NVS_NOT_ENOUGH_SPACE;
        }
        size_t size = len < tail ? len : tail;
        int err = append_bytes(self, ns, BATON_NVS_BLOB, key,
                (uint8_t)(first + *count), data, size);
        (*count)++;
        data += size;
        len -= size;
        if (err == ESP_OK && (len > 0 || tail - size < NVS_ENTRY_BYTES)) {
            err = baton_nvs_page_request(self);
        }
        if (err != ESP_OK || len == 0) {
            return err;
        }
    } while (true);
}

static bool holds(struct baton_nvs *self, uint8_t ns, enum baton_nvs_type type,
        const char *key, const void *data, size_t len) {
    size_t now = 0;
    if (baton_nvs_get_bytes(self, ns, type, key, NULL, &now) != ESP_OK
            || now != len) {
        return false;
    }
    uint8_t *value = malloc(len + 1);
    bool same =
            value != NULL
            && baton_nvs_get_bytes(self, ns, type, key, value, &now) == ESP_OK
            && memcmp(value, data, len) == 0;
    free(value);
    return same;
}

static int set_blob(struct baton_nvs *self, uint8_t ns, const char *key,
        const void *data, size_t len) {
    if (len > (self->page_count - 1) * CHUNK_MAX_BYTES) {
        return ESP_ERR_NVS_VALUE_TOO_LONG;
    }
    struct nvs_item old;
    uint8_t first = 0;
    if (find(self, ns, NVS_TYPE_INDEX, key, NVS_CHUNK_ANY, &old)
            && old.raw[COUNT_OFF + 1] == 0) {
        first = SECOND_VERSION;
    }
    uint8_t count;
    int err = append_chunks(self, ns, key, first, data, len, &count);
    uint8_t entry[NVS_ENTRY_BYTES];
    make_entry(entry, ns, NVS_TYPE_INDEX, 1, NVS_CHUNK_ANY, key);
    baton_nvs_page_put_u32(entry + DATA_OFF, (uint32_t)len);
    entry[COUNT_OFF] = count;
    entry[COUNT_OFF + 1] = first;
    seal_entry(entry);
    if (err == ESP_OK) {
        err = append(self, entry, 1);
    }
    if (err == ESP_OK) {
        return drop_older(self, ns, key);
    }
    // The chunks that made it are of no use.
    if (!self->has_failed) {
        (void)drop_orphans(self);
    }
    return err;
}

int baton_nvs_set_bytes(struct baton_nvs *self, uint8_t ns,
        enum baton_nvs_type type, const char *key, const void *data,
        size_t len) {
    if (type != BATON_NVS_STR && type != BATON_NVS_BLOB) {
        return ESP_ERR_INVALID_ARG;
    }
    int err = check(self);
    if (err == ESP_OK && holds(self, ns, type, key, data, len)) {
        return ESP_OK;
    }
    if (type == BATON_NVS_STR && len > BATON_NVS_STR_MAX) {
        return ESP_ERR_NVS_VALUE_TOO_LONG;
    }
    err = start_change(self, key);
    if (err != ESP_OK) {
        return err;
    }
    if (type == BATON_NVS_BLOB) {
        return set_blob(self, ns, key, data, len);
    }
    err = append_bytes(self, ns, BATON_NVS_STR, key, NVS_CHUNK_ANY, data, len);
    return err != ESP_OK ? err : drop_older(self, ns, key);
}

static int drop_matching(struct baton_nvs *self, uint8_t ns, const char *key) {
    struct nvs_item item = {0};
    while (baton_nvs_page_next(self, &item)) {
        if (item.ns == ns && item.chunk == NVS_CHUNK_ANY
                && (key == NULL || is_key(&item, ns, key))) {
            int err = baton_nvs_page_drop(self, &item);
            if (err != ESP_OK) {
                return err;
            }
        }
    }
    return drop_orphans(self);
}

int baton_nvs_erase_key(struct baton_nvs *self, uint8_t ns, const char *key) {
    int err = check(self);
    struct nvs_item item;
    if (err == ESP_OK
            && !find(self, ns, NVS_TYPE_ANY, key, NVS_CHUNK_ANY, &item)) {
        err = ESP_ERR_NVS_NOT_FOUND;
    }
    if (err == ESP_OK) {
        err = start_change(self, "");
    }
    return err != ESP_OK ? err : drop_matching(self, ns, key);
}

int baton_nvs_erase_all(struct baton_nvs *self, uint8_t ns) {
    int err = start_change(self, "");
    return err != ESP_OK ? err : drop_matching(self, ns, NULL);
}

// Reading.

int baton_nvs_get_number(struct baton_nvs *self, uint8_t ns,
        enum baton_nvs_type type, const char *key, void *value) {
    size_t len = (size_t)type & 0x0F;
    if (((size_t)type & 0xE0) != 0 || len > 8) {
        return ESP_ERR_INVALID_ARG;
    }
    int err = check(self);
    if (err != ESP_OK) {
        return err;
    }
    struct nvs_item item;
    if (!find(self, ns, (uint8_t)type, key, NVS_CHUNK_ANY, &item)) {
        return ESP_ERR_NVS_NOT_FOUND;
    }
    memcpy(value, item.raw + DATA_OFF, len);
    return ESP_OK;
}

// The bytes of one item; false where they are damaged.
static bool read_item(const struct nvs_item *item, uint8_t *out) {
    uint32_t len = baton_nvs_page_u16(item->raw + DATA_OFF);
    const uint8_t *data = item->raw + NVS_ENTRY_BYTES;
    if (baton_nvs_page_crc(data, len) != baton_nvs_page_u32(item->raw + 28)) {
        return false;
    }
    memcpy(out, data, len);
    return true;
}

static bool read_chunks(const struct baton_nvs *self,
        const struct nvs_item *index, const char *key, uint8_t *out) {
    for (uint8_t i = 0; i < index->raw[COUNT_OFF]; i++) {
        struct nvs_item data;
        uint8_t chunk = (uint8_t)(index->raw[COUNT_OFF + 1] + i);
        if (!find(self, index->ns, BATON_NVS_BLOB, key, chunk, &data)
                || !read_item(&data, out)) {
            return false;
        }
        out += baton_nvs_page_u16(data.raw + DATA_OFF);
    }
    return true;
}

int baton_nvs_get_bytes(struct baton_nvs *self, uint8_t ns,
        enum baton_nvs_type type, const char *key, void *data, size_t *len) {
    if (type != BATON_NVS_STR && type != BATON_NVS_BLOB) {
        return ESP_ERR_INVALID_ARG;
    }
    int err = check(self);
    if (err != ESP_OK) {
        return err;
    }
    bool is_blob = type == BATON_NVS_BLOB;
    struct nvs_item item;
    uint32_t size;
    if (is_blob && find(self, ns, NVS_TYPE_INDEX, key, NVS_CHUNK_ANY, &item)) {
        size = baton_nvs_page_u32(item.raw + DATA_OFF);
    } else if (find(self, ns,
                       is_blob ? NVS_TYPE_OLD_BLOB : (uint8_t)BATON_NVS_STR,
                       key, NVS_CHUNK_ANY, &item)) {
        size = baton_nvs_page_u16(item.raw + DATA_OFF);
    } else {
        return ESP_ERR_NVS_NOT_FOUND;
    }
    if (data == NULL || *len < size) {
        *len = size;
        return data == NULL ? ESP_OK : ESP_ERR_NVS_INVALID_LENGTH;
    }
    *len = size;
    bool is_good = item.type == NVS_TYPE_INDEX
                           ? read_chunks(self, &item, key, data)
                           : read_item(&item, data);
    if (is_good) {
        return ESP_OK;
    }
    // Damaged values are as good as none, and go.
    err = start_change(self, "");
    if (err == ESP_OK) {
        err = drop_matching(self, ns, key);
    }
    return err != ESP_OK ? err : ESP_ERR_NVS_NOT_FOUND;
}

int baton_nvs_open(struct baton_nvs *self, const char *name, bool can_create,
        uint8_t *ns) {
    int err = check(self);
    if (err != ESP_OK) {
        return err;
    }
    if (strlen(name) > BATON_NVS_NAME_MAX) {
        return ESP_ERR_NVS_KEY_TOO_LONG;
    }
    if (baton_nvs_get_number(self, NS_OF_NAMES, BATON_NVS_U8, name, ns)
            == ESP_OK) {
        return ESP_OK;
    }
    if (!can_create) {
        return ESP_ERR_NVS_NOT_FOUND;
    }
    bool is_taken[256] = {false};
    struct nvs_item item = {0};
    while (baton_nvs_page_next(self, &item)) {
        if (item.ns == NS_OF_NAMES) {
            is_taken[item.raw[DATA_OFF]] = true;
        }
    }
    for (unsigned i = 1; i <= NS_MAX; i++) {
        if (!is_taken[i]) {
            *ns = (uint8_t)i;
            return baton_nvs_set_number(
                    self, NS_OF_NAMES, BATON_NVS_U8, name, ns);
        }
    }
    return ESP_ERR_NVS_NOT_ENOUGH_SPACE;
}
