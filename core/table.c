// The partition table in binary: decoding, encoding, finding rows.
// SPDX-License-Identifier: MIT
#include "baton/table.h"

#include <string.h>

#include "baton/error.h"
#include "bytes.h"
#include "table_common.h"
#include "text.h"

#define ROW_MAGIC     0x50AAu
#define ROW_MAGIC_MD5 0xEBEBu
#define MD5_OFF       16u

// Where rows come from: memory or flash.
struct source {
    int (*read)(const struct source *self, size_t off,
            uint8_t raw[BATON_TABLE_ROW_BYTES]);
    size_t len;
    const uint8_t *data;
    const struct baton_flash *flash;
    uint32_t addr;
};

static int read_memory(const struct source *self, size_t off,
        uint8_t raw[BATON_TABLE_ROW_BYTES]) {
    memcpy(raw, self->data + off, BATON_TABLE_ROW_BYTES);
    return 0;
}

static int read_flash(const struct source *self, size_t off,
        uint8_t raw[BATON_TABLE_ROW_BYTES]) {
    return self->flash->read(self->flash->context, self->addr + (uint32_t)off,
            raw, BATON_TABLE_ROW_BYTES);
}

static int read_row(const struct source *self, size_t index,
        uint8_t raw[BATON_TABLE_ROW_BYTES]) {
    size_t off = index * BATON_TABLE_ROW_BYTES;
    if (off >= self->len) {
        return BATON_ERR_TABLE_END;
    }
    if (self->len - off < BATON_TABLE_ROW_BYTES) {
        return BATON_ERR_TABLE_LENGTH;
    }
    return self->read(self, off, raw);
}

static bool is_end_row(const uint8_t raw[BATON_TABLE_ROW_BYTES]) {
    for (size_t i = 0; i < BATON_TABLE_ROW_BYTES; i++) {
        if (raw[i] != 0xFF) {
            return false;
        }
    }
    return true;
}

int baton_table_decode_row(
        const uint8_t raw[BATON_TABLE_ROW_BYTES], struct baton_partition *out) {
    if (get_u16(raw) != ROW_MAGIC) {
        return BATON_ERR_TABLE_MAGIC;
    }
    memset(out, 0, sizeof(*out));
    out->type = raw[2];
    out->subtype = raw[3];
    out->addr = get_u32(raw + 4);
    out->size_bytes = get_u32(raw + 8);
    for (size_t i = 0; i < BATON_TABLE_LABEL_BYTES && raw[12 + i] != 0; i++) {
        out->label[i] = (char)raw[12 + i];
    }
    out->flags = get_u32(raw + 28);
    return 0;
}

static void encode_row(
        const struct baton_partition *row, uint8_t raw[BATON_TABLE_ROW_BYTES]) {
    put_u16(raw, ROW_MAGIC);
    raw[2] = row->type;
    raw[3] = row->subtype;
    put_u32(raw + 4, row->addr);
    put_u32(raw + 8, row->size_bytes);
    memcpy(raw + 12, row->label, BATON_TABLE_LABEL_BYTES);
    put_u32(raw + 28, row->flags);
}

// The MD5 of the first `count` rows, MD5 rows among them left out.
static int digest_rows(const struct source *source, size_t count,
        const struct baton_table_options *options,
        uint8_t digest[BATON_MD5_BYTES]) {
    const struct baton_crypto *crypto = options->crypto;
    struct baton_hash_state *hash = options->hash;
    if (hash == NULL) {
        return BATON_ERR_ARG;
    }
    int err = crypto->hash_start(crypto->context, hash, BATON_HASH_MD5);
    for (size_t i = 0; i < count && err == 0; i++) {
        uint8_t raw[BATON_TABLE_ROW_BYTES];
        err = read_row(source, i, raw);
        if (err == 0 && get_u16(raw) != ROW_MAGIC_MD5) {
            err = crypto->hash_update(crypto->context, hash, raw, sizeof(raw));
        }
    }
    if (err != 0) {
        return err;
    }
    return crypto->hash_finish(crypto->context, hash, digest);
}

static int check_md5_row(const struct source *source, size_t index,
        const struct baton_table_options *options,
        const uint8_t raw[BATON_TABLE_ROW_BYTES]) {
    uint8_t digest[BATON_MD5_BYTES];
    if (options == NULL || options->crypto == NULL) {
        return 0;
    }
    int err = digest_rows(source, index, options, digest);
    if (err != 0) {
        return err;
    }
    bool is_same = memcmp(digest, raw + MD5_OFF, sizeof(digest)) == 0;
    return is_same ? 0 : BATON_ERR_TABLE_MD5;
}

static int read_table(const struct source *source,
        const struct baton_table_options *options, struct baton_partition *rows,
        size_t capacity, size_t *count) {
    bool has_md5 = options == NULL || !options->no_md5;
    *count = 0;
    for (size_t i = 0;; i++) {
        uint8_t raw[BATON_TABLE_ROW_BYTES];
        int err = read_row(source, i, raw);
        if (err != 0) {
            return err;
        }
        if (is_end_row(raw)) {
            return 0;
        }
        if (has_md5 && get_u16(raw) == ROW_MAGIC_MD5) {
            err = check_md5_row(source, i, options, raw);
        } else if (*count == capacity) {
            err = BATON_ERR_NOSPC;
        } else {
            err = baton_table_decode_row(raw, &rows[*count]);
            *count += err == 0 ? 1 : 0;
        }
        if (err != 0) {
            return err;
        }
    }
}

int baton_table_parse(const uint8_t *data, size_t len,
        const struct baton_table_options *options, struct baton_partition *rows,
        size_t capacity, size_t *count, struct baton_table_fault *fault) {
    struct source source = {.read = read_memory, .len = len, .data = data};
    baton_table_fault_clear(fault);
    int err = read_table(&source, options, rows, capacity, count);
    if (err != 0) {
        baton_table_fault_set(fault, (int)*count, -1, "", 0);
        return err;
    }
    for (size_t i = 0; i < *count; i++) {
        size_t label_len = strlen(rows[i].label);
        if (baton_text_utf8_len(rows[i].label, label_len) < label_len) {
            baton_table_fault_set(fault, (int)i, -1, rows[i].label, label_len);
            return BATON_ERR_TABLE_LABEL;
        }
    }
    return 0;
}

int baton_table_load(const struct baton_flash *flash,
        const struct baton_table_options *options, struct baton_partition *rows,
        size_t capacity, size_t *count) {
    struct source source = {
            .read = read_flash,
            .len = BATON_TABLE_BYTES,
            .flash = flash,
            .addr = baton_table_addr(options),
    };
    return read_table(&source, options, rows, capacity, count);
}

int baton_table_encode(const struct baton_partition *rows, size_t count,
        const struct baton_table_options *options,
        uint8_t out[BATON_TABLE_BYTES]) {
    bool has_md5 =
            options != NULL && !options->no_md5 && options->crypto != NULL;
    size_t rows_max = BATON_TABLE_ROWS_MAX - (has_md5 ? 1 : 0);
    if (count > rows_max) {
        return BATON_ERR_TABLE_ROWS;
    }
    memset(out, 0xFF, BATON_TABLE_BYTES);
    for (size_t i = 0; i < count; i++) {
        encode_row(&rows[i], out + i * BATON_TABLE_ROW_BYTES);
    }
    if (!has_md5) {
        return 0;
    }
    struct source source = {
            .read = read_memory, .len = BATON_TABLE_BYTES, .data = out};
    uint8_t *md5_row = out + count * BATON_TABLE_ROW_BYTES;
    put_u16(md5_row, ROW_MAGIC_MD5);
    return digest_rows(&source, count, options, md5_row + MD5_OFF);
}

const struct baton_partition *baton_table_find(
        const struct baton_partition *rows, size_t count, uint8_t type,
        uint8_t subtype) {
    for (size_t i = 0; i < count; i++) {
        if (rows[i].type == type && rows[i].subtype == subtype) {
            return &rows[i];
        }
    }
    return NULL;
}

const struct baton_partition *baton_table_find_label(
        const struct baton_partition *rows, size_t count, const char *label) {
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].label, label) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

uint32_t baton_table_slot_count(
        const struct baton_partition *rows, size_t count) {
    uint32_t slots = 0;
    while (slots < 16
            && baton_table_find(rows, count, BATON_TYPE_APP,
                       (uint8_t)(BATON_SUBTYPE_APP_OTA_0 + slots))
                       != NULL) {
        slots++;
    }
    return slots;
}
