// The push verifier of application images.
// SPDX-License-Identifier: MIT
//
// An image is read as a row of parts, each of a length that is known when the
// part begins:
//
//   header 24 -> { segment header 8 -> [descriptor 256] -> data } x count
//             -> padding and checksum 1..16 -> [digest 32] -> end
//
// The descriptor is a part only in the first segment of an application. Parts
// up to 256 bytes are collected in `buf`; data only passes through. A part is
// entered when it fits below the limit, else the image is too large; when its
// last byte is in, its `close` function judges it and enters the next one.
#include "baton/image.h"

#include <string.h>

#include "baton/error.h"
#include "bytes.h"
#include "image_rules.h"

#define CHECKSUM_SEED 0xEFu

enum {
    PART_HEADER,
    PART_SEGMENT_HEADER,
    PART_DESCRIPTOR,
    PART_DATA,
    PART_CHECKSUM,
    PART_DIGEST,
};

static int enter_part(struct baton_image *self, uint8_t part, uint32_t len) {
    self->part = part;
    self->left = len;
    self->have = 0;
    return len > self->limit_bytes - self->pos ? BATON_ERR_IMAGE_TOO_LARGE
                                               : BATON_IMAGE_MORE;
}

static uint16_t chip_of(const struct baton_image *self) {
    return baton_image_rules_chip(&self->info.header, self->config);
}

static int enter_segment(struct baton_image *self, uint8_t index) {
    self->segment.index = index;
    if (index < self->info.header.segment_count) {
        return enter_part(
                self, PART_SEGMENT_HEADER, IMAGE_SEGMENT_HEADER_BYTES);
    }
    // The checksum is the last byte of a 16-byte block.
    return enter_part(self, PART_CHECKSUM, 16 - self->pos % 16);
}

static int close_header(struct baton_image *self) {
    if (self->buf[0] != BATON_IMAGE_MAGIC) {
        return BATON_ERR_IMAGE_MAGIC;
    }
    baton_image_rules_decode_header(self->buf, &self->info.header);
    self->info.has_digest = self->info.header.digest_appended != 0;
    int err = baton_image_rules_header(&self->info.header, self->config);
    return err != 0 ? err : enter_segment(self, 0);
}

// Judges the segment where it lies, and goes on to what is left of its data.
static int enter_data(struct baton_image *self, uint32_t left) {
    int err = baton_image_rules_mapping(
            &self->segment, chip_of(self), self->mmu_page_log2);
    return err != 0 ? err : enter_part(self, PART_DATA, left);
}

static void report_segment(struct baton_image *self) {
    if (self->config->on_segment != NULL) {
        self->config->on_segment(self->config->context, &self->segment);
    }
}

static int close_segment_header(struct baton_image *self) {
    self->segment.load_addr = get_u32(self->buf);
    self->segment.len_bytes = get_u32(self->buf + 4);
    self->segment.data_off = self->pos;
    int err = baton_image_rules_length(&self->segment, self->config);
    if (err != 0) {
        return err;
    }
    if (self->segment.index == 0) {
        if (!self->config->is_bootloader) {
            return enter_part(
                    self, PART_DESCRIPTOR, BATON_IMAGE_DESCRIPTOR_BYTES);
        }
        baton_image_rules_page(
                NULL, chip_of(self), self->config, &self->mmu_page_log2);
    }
    int status = enter_data(self, self->segment.len_bytes);
    if (status == BATON_IMAGE_MORE) {
        report_segment(self);
    }
    return status;
}

// The page size is in the descriptor, so the first segment's mapping is judged
// here.
static int close_descriptor(struct baton_image *self) {
    self->info.has_descriptor =
            baton_image_decode_descriptor(self->buf, &self->info.descriptor)
            == 0;
    int err = baton_image_rules_page(
            self->buf, chip_of(self), self->config, &self->mmu_page_log2);
    if (err != 0) {
        return err;
    }
    int status = enter_data(
            self, self->segment.len_bytes - BATON_IMAGE_DESCRIPTOR_BYTES);
    err = status < 0 ? status
                     : baton_image_rules_block_revision(
                             self->buf, chip_of(self), self->config);
    if (err != 0) {
        return err;
    }
    report_segment(self);
    return status;
}

static int close_data(struct baton_image *self) {
    return enter_segment(self, (uint8_t)(self->segment.index + 1));
}

static int close_image(struct baton_image *self) {
    self->info.len_bytes = self->pos;
    return 0;
}

static int close_checksum(struct baton_image *self) {
    self->info.checksum = self->buf[self->have - 1];
    if (self->info.checksum != self->checksum) {
        return BATON_ERR_IMAGE_CHECKSUM;
    }
    return self->info.has_digest
                   ? enter_part(self, PART_DIGEST, BATON_SHA256_BYTES)
                   : close_image(self);
}

static int close_digest(struct baton_image *self) {
    const struct baton_crypto *crypto = self->config->crypto;
    uint8_t digest[BATON_SHA256_BYTES];
    memcpy(self->info.digest, self->buf, sizeof(digest));
    if (crypto->hash_finish(crypto->context, &self->hash, digest) != 0) {
        return BATON_ERR_CRYPTO;
    }
    self->info.digest_ok =
            memcmp(digest, self->info.digest, sizeof(digest)) == 0;
    return self->info.digest_ok || self->config->is_bootloader
                   ? close_image(self)
                   : BATON_ERR_IMAGE_DIGEST;
}

static int (*const close_part[])(struct baton_image *) = {
        [PART_HEADER] = close_header,
        [PART_SEGMENT_HEADER] = close_segment_header,
        [PART_DESCRIPTOR] = close_descriptor,
        [PART_DATA] = close_data,
        [PART_CHECKSUM] = close_checksum,
        [PART_DIGEST] = close_digest,
};

static uint8_t fold(uint8_t checksum, const uint8_t *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        checksum ^= data[i];
    }
    return checksum;
}

// Takes bytes of the current part only; returns how many.
static size_t take(struct baton_image *self, const uint8_t *data, size_t len) {
    const struct baton_crypto *crypto = self->config->crypto;
    size_t count = len < self->left ? len : self->left;
    bool is_hashed = self->part == PART_HEADER
                     || (self->info.has_digest && self->part != PART_DIGEST);
    if (is_hashed
            && crypto->hash_update(crypto->context, &self->hash, data, count)
                       != 0) {
        self->status = BATON_ERR_CRYPTO;
    }
    if (self->part == PART_DATA || self->part == PART_DESCRIPTOR) {
        self->checksum = fold(self->checksum, data, count);
    }
    if (self->part != PART_DATA) {
        memcpy(self->buf + self->have, data, count);
        self->have = (uint16_t)(self->have + count);
    }
    self->left -= (uint32_t)count;
    self->pos += (uint32_t)count;
    return count;
}

static int start(struct baton_image *self,
        const struct baton_image_config *config, uint32_t limit_bytes) {
    memset(self, 0, sizeof(*self));
    self->config = config;
    self->status = BATON_ERR_ARG;
    const struct baton_crypto *crypto = config->crypto;
    if (crypto == NULL || limit_bytes > BATON_IMAGE_SIZE_MAX) {
        return BATON_ERR_ARG;
    }
    self->limit_bytes = limit_bytes;
    self->checksum = CHECKSUM_SEED;
    int err =
            crypto->hash_start(crypto->context, &self->hash, BATON_HASH_SHA256);
    self->status =
            err != 0 ? BATON_ERR_CRYPTO
                     : enter_part(self, PART_HEADER, BATON_IMAGE_HEADER_BYTES);
    return err != 0 ? BATON_ERR_CRYPTO : 0;
}

int baton_image_begin(
        struct baton_image *self, const struct baton_image_config *config) {
    uint32_t limit_bytes = config->limit_bytes != 0 ? config->limit_bytes
                                                    : BATON_IMAGE_SIZE_MAX;
    return start(self, config, limit_bytes);
}

int baton_image_push(struct baton_image *self, const void *data, size_t len) {
    const uint8_t *next = data;
    while (self->status == BATON_IMAGE_MORE && len > 0) {
        size_t count = take(self, next, len);
        next += count;
        len -= count;
        // A segment may be empty: then its data closes at once.
        while (self->status == BATON_IMAGE_MORE && self->left == 0) {
            self->status = close_part[self->part](self);
        }
    }
    return self->status;
}

int baton_image_finish(struct baton_image *self) {
    if (self->status == BATON_IMAGE_MORE) {
        self->status =
                self->pos == 0 ? BATON_ERR_IS_EMPTY : BATON_ERR_IMAGE_TRUNCATED;
    }
    return self->status;
}

const struct baton_image_info *baton_image_result(
        const struct baton_image *self) {
    return &self->info;
}

static uint32_t smaller(uint32_t a, size_t b) {
    return a < b ? a : (uint32_t)b;
}

int baton_image_verify(struct baton_image *self,
        const struct baton_image_config *config,
        const struct baton_flash *flash, uint32_t addr, uint32_t limit_bytes,
        void *work, size_t work_len) {
    int err = work_len < 64 ? BATON_ERR_ARG : start(self, config, limit_bytes);
    if (err != 0) {
        return err;
    }
    if (addr > flash->size_bytes) {
        return BATON_ERR_RANGE;
    }
    uint32_t there = smaller(limit_bytes, flash->size_bytes - addr);
    uint32_t off = 0;
    while (self->status == BATON_IMAGE_MORE && off < there) {
        uint32_t count = smaller(there - off, work_len);
        err = flash->read(flash->context, addr + off, work, count);
        if (err != 0) {
            return err;
        }
        off += count;
        baton_image_push(self, work, count);
    }
    // What fits below the limit and is still not there lies past the chip.
    return self->status == BATON_IMAGE_MORE ? BATON_ERR_RANGE : self->status;
}
