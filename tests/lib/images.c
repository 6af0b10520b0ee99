// Application images put together by hand, without the project's builder.
// SPDX-License-Identifier: MIT
#include "images.h"

#include <psa/crypto.h>
#include <stdlib.h>
#include <string.h>

static void put(uint8_t *p, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; i++) {
        p[i] = (uint8_t)(value >> (8 * i));
    }
}

static void make_descriptor(uint8_t *raw, const struct images_spec *spec) {
    put(raw, 0xABCD5432, 4);
    put(raw + 4, spec->secure_version, 4);
    memcpy(raw + 16, "v1.2.3", 6);
    memset(raw + 48, 'p', 32); // a full field has no terminator
    memcpy(raw + 80, "12:34:56", 8);
    memcpy(raw + 96, "Sep 11 2025", 11);
    memcpy(raw + 112, "v5.4.2", 6);
    memset(raw + 144, 0x5E, 32);
    put(raw + 176, spec->min_block_revision, 2);
    put(raw + 178, spec->max_block_revision, 2);
    raw[180] = spec->mmu_page_log2;
}

static void put_header(
        uint8_t *raw, const struct images_spec *spec, uint8_t count) {
    raw[0] = 0xE9;
    raw[1] = count;
    raw[2] = 2;
    raw[3] = 0x20;
    put(raw + 4, 0x40081234, 4);
    raw[8] = 0xEE;
    put(raw + 12, spec->chip_id, 2);
    put(raw + 15, spec->min_revision, 2);
    put(raw + 17, spec->max_revision, 2);
    raw[23] = spec->digest_appended != 0 ? spec->digest_appended : 1;
    raw[23] = spec->no_digest ? 0 : raw[23];
}

void images_make(struct images *self, const struct images_spec *spec) {
    static const struct images_segment plain = {0x3F400020, 256};
    uint32_t total = 24;
    uint8_t count = 0;
    struct images_spec full = *spec;
    if (full.segments[0].load_addr == 0 && full.segments[0].len == 0) {
        full.segments[0] = plain;
    }
    while (full.segments[count].load_addr != 0
            || full.segments[count].len != 0) {
        total += 8 + full.segments[count++].len;
    }
    self->len = ((total + 16) & ~15u) + (spec->no_digest ? 0 : 32);
    self->data = calloc(1, self->len);
    self->data_end = total;
    put_header(self->data, spec, count);
    uint32_t at = 24;
    for (uint8_t i = 0; i < count; i++) {
        put(self->data + at, full.segments[i].load_addr, 4);
        put(self->data + at + 4, full.segments[i].len, 4);
        at += 8;
        for (uint32_t k = 0; k < full.segments[i].len; k++) {
            self->data[at + k] = (uint8_t)(k * 7 + i * 31 + (k >> 8));
        }
        if (i == 0 && !spec->no_descriptor) {
            memset(self->data + at, 0, 256);
            make_descriptor(self->data + at, spec);
        }
        at += full.segments[i].len;
    }
    images_seal(self);
}

void images_seal(struct images *self) {
    uint8_t checksum = 0xEF;
    uint32_t at = 24;
    while (at < self->data_end) {
        uint32_t len = (uint32_t)self->data[at + 4]
                       | (uint32_t)self->data[at + 5] << 8
                       | (uint32_t)self->data[at + 6] << 16;
        for (uint32_t i = 0; i < len && at + 8 + i < self->data_end; i++) {
            checksum ^= self->data[at + 8 + i];
        }
        at += 8 + len;
    }
    uint32_t end = (self->data_end + 16) & ~15u;
    self->data[end - 1] = checksum;
    if (self->len > end) {
        size_t len;
        (void)psa_crypto_init();
        (void)psa_hash_compute(
                PSA_ALG_SHA_256, self->data, end, self->data + end, 32, &len);
    }
}

void images_seal_any(struct images *self) {
    uint32_t at = 24;
    for (uint8_t i = 0; self->len >= 24 && i < self->data[1]; i++) {
        if (self->len - at < 8) {
            return;
        }
        uint32_t len = (uint32_t)self->data[at + 4]
                       | (uint32_t)self->data[at + 5] << 8
                       | (uint32_t)self->data[at + 6] << 16
                       | (uint32_t)self->data[at + 7] << 24;
        if (len > self->len - at - 8) {
            return;
        }
        at += 8 + len;
    }
    uint32_t end = (at + 16) & ~15u;
    if (self->len < end + 32) {
        return;
    }
    size_t file_len = self->len;
    self->data_end = at;
    self->len = end + 32;
    images_seal(self);
    self->len = file_len;
}

void images_free(struct images *self) {
    free(self->data);
    self->data = NULL;
}

int images_verify(struct baton_image *image,
        const struct baton_image_config *config, const uint8_t *data,
        size_t len, size_t step) {
    int err = baton_image_begin(image, config);
    size_t piece = step != 0 ? step : len;
    for (size_t at = 0; at < len && err == 0; at += piece) {
        size_t count = len - at < piece ? len - at : piece;
        (void)baton_image_push(image, data + at, count);
    }
    return err != 0 ? err : baton_image_finish(image);
}
