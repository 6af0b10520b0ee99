// The application descriptor and the first bytes of an image, decoded.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "baton/error.h"
#include "baton/image.h"
#include "bytes.h"
#include "image_rules.h"

// The text fields: where they lie in the descriptor, and in the struct, which
// has one byte more for the terminator.
struct field {
    uint8_t off;
    uint8_t len;
    uint16_t member;
};

#define FIELD(off, len, name)                                                  \
    { off, len, (uint16_t)offsetof(struct baton_app_descriptor, name) }

static const struct field fields[] = {
        FIELD(16, 32, version),
        FIELD(48, 32, project_name),
        FIELD(80, 16, time),
        FIELD(96, 16, date),
        FIELD(112, 32, idf_version),
};

#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

#define ELF_SHA256_OFF 144u

// The numbers at both ends.
#define NUMBERS_BYTES 8u
#define TAIL_OFF      DESCRIPTOR_MIN_BLOCK_OFF

static int decode_numbers(const uint8_t head[NUMBERS_BYTES],
        const uint8_t tail[NUMBERS_BYTES], struct baton_app_descriptor *out) {
    out->secure_version = get_u32(head + DESCRIPTOR_SECURE_VERSION_OFF);
    out->min_block_revision = get_u16(tail);
    out->max_block_revision = get_u16(tail + 2);
    out->mmu_page_log2 = tail[4];
    out->spi_mode = tail[5];
    return get_u32(head) == DESCRIPTOR_MAGIC ? 0 : BATON_ERR_IMAGE_DESCRIPTOR;
}

int baton_image_decode_descriptor(
        const uint8_t raw[BATON_IMAGE_DESCRIPTOR_BYTES],
        struct baton_app_descriptor *out) {
    memset(out, 0, sizeof(*out));
    if (get_u32(raw) != DESCRIPTOR_MAGIC) {
        return BATON_ERR_IMAGE_DESCRIPTOR;
    }
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        memcpy((char *)out + fields[i].member, raw + fields[i].off,
                fields[i].len);
    }
    memcpy(out->elf_sha256, raw + ELF_SHA256_OFF, BATON_SHA256_BYTES);
    return decode_numbers(raw, raw + TAIL_OFF, out);
}

void baton_image_encode_descriptor(const struct baton_app_descriptor *in,
        uint8_t raw[BATON_IMAGE_DESCRIPTOR_BYTES]) {
    memset(raw, 0, BATON_IMAGE_DESCRIPTOR_BYTES);
    put_u32(raw, DESCRIPTOR_MAGIC);
    put_u32(raw + DESCRIPTOR_SECURE_VERSION_OFF, in->secure_version);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const char *text = (const char *)in + fields[i].member;
        for (size_t k = 0; k < fields[i].len && text[k] != 0; k++) {
            raw[fields[i].off + k] = (uint8_t)text[k];
        }
    }
    memcpy(raw + ELF_SHA256_OFF, in->elf_sha256, BATON_SHA256_BYTES);
    put_u16(raw + TAIL_OFF, in->min_block_revision);
    put_u16(raw + TAIL_OFF + 2, in->max_block_revision);
    raw[TAIL_OFF + 4] = in->mmu_page_log2;
    raw[TAIL_OFF + 5] = in->spi_mode;
}

int baton_image_decode(
        const uint8_t *head, size_t len, struct baton_image_info *out) {
    memset(out, 0, sizeof(*out));
    if (len > 0 && head[0] != BATON_IMAGE_MAGIC) {
        return BATON_ERR_IMAGE_MAGIC;
    }
    if (len < BATON_IMAGE_HEADER_BYTES) {
        return BATON_ERR_IMAGE_TRUNCATED;
    }
    baton_image_rules_decode_header(head, &out->header);
    out->has_digest = out->header.digest_appended != 0;
    out->has_descriptor =
            len >= BATON_IMAGE_HEAD_BYTES
            && baton_image_decode_descriptor(
                       head + BATON_IMAGE_DESCRIPTOR_OFF, &out->descriptor)
                       == 0;
    return 0;
}

// Field by field: a copy of all 256 bytes is more than a small stack has.
int baton_image_describe(const struct baton_flash *flash, uint32_t addr,
        struct baton_app_descriptor *out) {
    memset(out, 0, sizeof(*out));
    uint8_t head[NUMBERS_BYTES];
    uint8_t tail[NUMBERS_BYTES];
    uint32_t at = addr + BATON_IMAGE_DESCRIPTOR_OFF;
    int err = flash->read(flash->context, at, head, sizeof(head));
    if (err != 0) {
        return err;
    }
    if (get_u32(head) != DESCRIPTOR_MAGIC) {
        return BATON_ERR_IMAGE_DESCRIPTOR;
    }
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        err = flash->read(flash->context, at + fields[i].off,
                (char *)out + fields[i].member, fields[i].len);
        if (err != 0) {
            return err;
        }
    }
    err = flash->read(flash->context, at + ELF_SHA256_OFF, out->elf_sha256,
            BATON_SHA256_BYTES);
    if (err != 0) {
        return err;
    }
    err = flash->read(flash->context, at + TAIL_OFF, tail, sizeof(tail));
    return err != 0 ? err : decode_numbers(head, tail, out);
}
