// Finding and checking the form of a Secure Boot v2 signature sector.
// SPDX-License-Identifier: MIT
#include <psa/crypto.h>
#include <string.h>

#include "../core/crc32.h"
#include "firmware.h"

#define BLOCK_BYTES   1216u
#define BLOCK_MAGIC   0xE7u
#define BLOCK_CRC_OFF 1196u
#define DIGEST_OFF    4u

#define VERSION_RSA   2u
#define VERSION_ECDSA 3u

static uint32_t read_u32(const uint8_t *p) {
    return (uint32_t)p[0] | ((uint32_t)p[1] << 8) | ((uint32_t)p[2] << 16)
           | ((uint32_t)p[3] << 24);
}

static bool is_sha384(const uint8_t *block) {
    return block[1] == VERSION_ECDSA && block[2] == 1;
}

static const char *name_scheme(const uint8_t *block) {
    if (block[1] == VERSION_RSA) {
        return "RSA-3072";
    }
    switch (block[is_sha384(block) ? 52 : 36]) {
    case 1:
        return "ECDSA P-192";
    case 2:
        return "ECDSA P-256";
    case 3:
        return "ECDSA P-384";
    default:
        return "ECDSA, unknown curve";
    }
}

static bool has_digest_of(
        const uint8_t *block, const uint8_t *data, size_t len) {
    uint8_t digest[PSA_HASH_MAX_SIZE];
    size_t digest_len;
    psa_algorithm_t algorithm =
            is_sha384(block) ? PSA_ALG_SHA_384 : PSA_ALG_SHA_256;
    return psa_hash_compute(
                   algorithm, data, len, digest, sizeof(digest), &digest_len)
                   == PSA_SUCCESS
           && memcmp(digest, block + DIGEST_OFF, digest_len) == 0;
}

void firmware_find_signature(struct firmware_signature *self,
        const uint8_t *image, size_t image_len, size_t file_len) {
    size_t padded = (image_len + BATON_SECTOR_BYTES - 1) / BATON_SECTOR_BYTES
                    * BATON_SECTOR_BYTES;
    memset(self, 0, sizeof(*self));
    if (padded > file_len || file_len - padded < BATON_SECTOR_BYTES) {
        return;
    }
    self->off = (uint32_t)padded;
    for (uint8_t i = 0; i < FIRMWARE_BLOCKS_MAX; i++) {
        const uint8_t *block = image + padded + i * BLOCK_BYTES;
        bool is_block =
                block[0] == BLOCK_MAGIC
                && (block[1] == VERSION_RSA || block[1] == VERSION_ECDSA);
        if (!is_block) {
            return;
        }
        self->blocks[i].scheme = name_scheme(block);
        self->blocks[i].crc_ok = ~crc32_extend(UINT32_MAX, block, BLOCK_CRC_OFF)
                                 == read_u32(block + BLOCK_CRC_OFF);
        self->blocks[i].digest_ok = has_digest_of(block, image, padded);
        self->block_count++;
    }
}
