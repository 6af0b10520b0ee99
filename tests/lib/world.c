// A small virtual chip in memory for tests: flash, table, images.
// SPDX-License-Identifier: MIT
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton-posix/crypto.h"

static void check(int err, const char *what) {
    if (err != 0) {
        fprintf(stderr, "world: %s failed: %d\n", what, err);
        abort();
    }
}

static void add_row(struct world *self, uint8_t type, uint8_t subtype,
        uint32_t addr, uint32_t size) {
    struct baton_partition *row = &self->rows[self->row_count];
    memset(row, 0, sizeof(*row));
    row->type = type;
    row->subtype = subtype;
    row->addr = addr;
    row->size_bytes = size;
    snprintf(row->label, sizeof(row->label), "p%u", (unsigned)self->row_count);
    self->row_count++;
}

static void add_rows(struct world *self, enum world_table table) {
    static const uint8_t apps[][4] = {
            [WORLD_FACTORY_A_B] = {0x00, 0x10, 0x11, 0xFF},
            [WORLD_A_B] = {0x10, 0x11, 0xFF, 0xFF},
            [WORLD_FACTORY_A] = {0x00, 0x10, 0xFF, 0xFF},
            [WORLD_A_GAP] = {0x10, 0x12, 0xFF, 0xFF},
            [WORLD_TEST] = {0x20, 0xFF, 0xFF, 0xFF},
    };
    add_row(self, BATON_TYPE_DATA, 0x02, 0x9000, 0x4000);
    add_row(self, BATON_TYPE_DATA, BATON_SUBTYPE_DATA_OTA, WORLD_OTADATA_ADDR,
            BATON_OTADATA_BYTES);
    uint32_t addr = 0x10000;
    for (size_t i = 0; apps[table][i] != 0xFF; i++) {
        add_row(self, BATON_TYPE_APP, apps[table][i], addr, self->slot_bytes);
        addr += (self->slot_bytes + 0xFFFFu) & ~0xFFFFu;
    }
}

// The table's bytes, written out here rather than by core/table.c so that a
// mistake there cannot hide one in what reads them.
static void write_table(struct world *self) {
    uint8_t *out = self->bytes + BATON_TABLE_ADDR;
    uint8_t *at = out;
    for (size_t i = 0; i < self->row_count; i++, at += 32) {
        const struct baton_partition *row = &self->rows[i];
        memset(at, 0, 32);
        at[0] = 0xAA;
        at[1] = 0x50;
        at[2] = row->type;
        at[3] = row->subtype;
        for (int byte = 0; byte < 4; byte++) {
            at[4 + byte] = (uint8_t)(row->addr >> (8 * byte));
            at[8 + byte] = (uint8_t)(row->size_bytes >> (8 * byte));
        }
        memcpy(at + 12, row->label, strlen(row->label));
    }
    struct baton_hash_state hash;
    check(self->crypto->hash_start(
                  self->crypto->context, &hash, BATON_HASH_MD5),
            "md5");
    check(self->crypto->hash_update(
                  self->crypto->context, &hash, out, (size_t)(at - out)),
            "md5");
    at[0] = 0xEB;
    at[1] = 0xEB;
    check(self->crypto->hash_finish(self->crypto->context, &hash, at + 16),
            "md5");
}

void world_begin(struct world *self, enum world_table table,
        uint32_t slot_bytes, uint32_t program_bytes) {
    memset(self, 0, sizeof(*self));
    self->slot_bytes = slot_bytes;
    self->crypto = baton_crypto_psa();
    self->chip.revision = 300;
    uint32_t each = (slot_bytes + 0xFFFFu) & ~0xFFFFu;
    uint32_t size = 0x10000u + 3u * each;
    self->bytes = malloc(size);
    memset(self->bytes, 0xFF, size);
    check(baton_nor_begin(&self->nor, self->bytes, size, program_bytes,
                  &self->state, NULL),
            "nor");
    add_rows(self, table);
    write_table(self);
}

void world_end(struct world *self) {
    free(self->bytes);
    self->bytes = NULL;
}

const struct baton_partition *world_app(
        const struct world *self, uint8_t subtype) {
    for (size_t i = 0; i < self->row_count; i++) {
        const struct baton_partition *row = &self->rows[i];
        if (row->type == BATON_TYPE_APP && row->subtype == subtype) {
            return row;
        }
    }
    fprintf(stderr, "world: no app partition 0x%02x\n", subtype);
    abort();
}

static void put_u32(uint8_t *at, uint32_t value) {
    for (int byte = 0; byte < 4; byte++) {
        at[byte] = (uint8_t)(value >> (8 * byte));
    }
}

static void append_digest(uint8_t *image, size_t len) {
    const struct baton_crypto *crypto = baton_crypto_psa();
    struct baton_hash_state hash;
    check(crypto->hash_start(crypto->context, &hash, BATON_HASH_SHA256), "sha");
    check(crypto->hash_update(crypto->context, &hash, image, len), "sha");
    check(crypto->hash_finish(crypto->context, &hash, image + len), "sha");
}

uint8_t *world_make_image(const struct world_image *spec, size_t *len) {
    uint32_t payload = spec->payload_bytes != 0 ? spec->payload_bytes : 1000u;
    payload = (payload + 3u) & ~3u;
    size_t data_end = 32u + 256u + payload;
    size_t padded = (data_end + 1u + 15u) & ~(size_t)15u;
    uint8_t *image = calloc(1, padded + 32u);
    image[0] = 0xE9;
    image[1] = 1;
    image[2] = 2;
    put_u32(image + 4, 0x40080000);
    image[8] = 0xEE;
    image[12] = (uint8_t)spec->chip_id;
    image[13] = (uint8_t)(spec->chip_id >> 8);
    image[23] = spec->no_digest ? 0 : 1;
    uint32_t load = spec->chip_id == 0 ? 0x3F400020u : 0x3C000020u;
    put_u32(image + 24, load);
    put_u32(image + 28, 256u + payload);
    put_u32(image + 32, 0xABCD5432u);
    put_u32(image + 36, spec->secure_version);
    if (spec->version != NULL) {
        memcpy(image + 48, spec->version, strlen(spec->version));
    }
    image[32 + 180] = 16;
    uint32_t seed = spec->fill * 7919u + 1u;
    for (size_t i = 32u + 256u; i < data_end; i++) {
        image[i] = (uint8_t)world_random(&seed);
    }
    uint8_t checksum = 0xEF;
    for (size_t i = 32; i < data_end; i++) {
        checksum ^= image[i];
    }
    image[padded - 1] = checksum;
    *len = padded;
    if (!spec->no_digest) {
        append_digest(image, padded);
        *len += 32;
    }
    if (spec->is_bad) {
        image[32u + 256u + payload / 2u] ^= 0x40u;
    }
    return image;
}

void world_put_image(struct world *self, uint8_t app_subtype,
        const struct world_image *spec) {
    size_t len;
    uint8_t *image = world_make_image(spec, &len);
    const struct baton_partition *row = world_app(self, app_subtype);
    if (len > row->size_bytes) {
        fprintf(stderr, "world: image of %zu bytes does not fit\n", len);
        abort();
    }
    memset(self->bytes + row->addr, 0xFF, row->size_bytes);
    memcpy(self->bytes + row->addr, image, len);
    free(image);
}

void world_put_record(struct world *self, int copy, uint32_t seq,
        uint32_t state, bool crc_wrong) {
    uint8_t *at = self->bytes + WORLD_OTADATA_ADDR + (uint32_t)copy * 0x1000u;
    memset(at, 0xFF, 0x1000);
    put_u32(at, seq);
    put_u32(at + 24, state);
    put_u32(at + 28, baton_slots_crc(seq) ^ (crc_wrong ? 0x100u : 0u));
}

int world_boot(struct world *self, const struct baton_boot_config *options,
        struct baton_boot_result *result) {
    static struct baton_image image;
    static uint8_t work[4096];
    struct baton_boot_config config = {0};
    if (options != NULL) {
        config = *options;
    }
    config.flash = &self->nor.flash;
    config.crypto = self->crypto;
    config.chip = &self->chip;
    config.work = work;
    config.work_len = sizeof(work);
    return baton_boot_decide(&image, &config, result);
}

uint32_t world_random(uint32_t *seed) {
    // xorshift32: never 0 from a seed that is not 0.
    uint32_t x = *seed != 0 ? *seed : 1u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    *seed = x;
    return x;
}
