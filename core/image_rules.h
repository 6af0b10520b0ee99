// The rules of an image's header and segments, shared by the verifier and the
// check of the first bytes.
// SPDX-License-Identifier: MIT
#ifndef BATON_CORE_IMAGE_RULES_H
#define BATON_CORE_IMAGE_RULES_H

#include "baton/image.h"

#define IMAGE_SEGMENT_HEADER_BYTES 8u

// Below this a load address means "not loaded".
#define IMAGE_LOADABLE_FROM 0x10000000u

// Offsets inside the descriptor.
#define DESCRIPTOR_MAGIC              0xABCD5432u
#define DESCRIPTOR_SECURE_VERSION_OFF 4u
#define DESCRIPTOR_MIN_BLOCK_OFF      176u
#define DESCRIPTOR_MAX_BLOCK_OFF      178u
#define DESCRIPTOR_MMU_PAGE_OFF       180u

void baton_image_rules_decode_header(
        const uint8_t raw[BATON_IMAGE_HEADER_BYTES],
        struct baton_image_header *out);

// The chip whose windows apply.
uint16_t baton_image_rules_chip(const struct baton_image_header *header,
        const struct baton_image_config *config);

// Returns 0, BATON_ERR_IMAGE_CHIP, _REVISION, _SEGMENT_COUNT, _NO_DIGEST
int baton_image_rules_header(const struct baton_image_header *header,
        const struct baton_image_config *config);

// The length alone: what can be judged before the page size is known.
//
// Returns 0, BATON_ERR_IMAGE_SEGMENT
int baton_image_rules_length(const struct baton_image_segment *segment,
        const struct baton_image_config *config);

// What the descriptor's bytes say about pages: the page size as a power of
// two. raw is NULL where none is looked at (a bootloader).
//
// Returns 0, BATON_ERR_IMAGE_DESCRIPTOR
int baton_image_rules_page(const uint8_t *raw, uint16_t chip_id,
        const struct baton_image_config *config, uint8_t *page_log2);

// Fills in segment->mapped.
//
// Returns 0, BATON_ERR_IMAGE_MAPPING
int baton_image_rules_mapping(struct baton_image_segment *segment,
        uint16_t chip_id, uint8_t page_log2);

// The eFuse block revision the descriptor asks for.
//
// Returns 0, BATON_ERR_IMAGE_REVISION
int baton_image_rules_block_revision(const uint8_t *raw, uint16_t chip_id,
        const struct baton_image_config *config);

#endif
