// The rules of an image's header and segments.
// SPDX-License-Identifier: MIT
#include "image_rules.h"

#include "baton/error.h"
#include "bytes.h"

#define CHIP_ID_ESP32 0u

void baton_image_rules_decode_header(
        const uint8_t raw[BATON_IMAGE_HEADER_BYTES],
        struct baton_image_header *out) {
    out->segment_count = raw[1];
    out->spi_mode = raw[2];
    out->spi_speed = raw[3] & 0x0Fu;
    out->spi_size = raw[3] >> 4;
    out->entry_addr = get_u32(raw + 4);
    out->wp_pin = raw[8];
    out->chip_id = get_u16(raw + 12);
    out->min_revision = get_u16(raw + 15);
    out->max_revision = get_u16(raw + 17);
    out->digest_appended = raw[23];
}

// A chip of which only "any" is known has no revisions to compare with.
static const struct baton_chip *known_chip(
        const struct baton_image_config *config) {
    bool is_known = config->chip != NULL && config->chip->id != BATON_CHIP_ANY;
    return is_known ? config->chip : NULL;
}

uint16_t baton_image_rules_chip(const struct baton_image_header *header,
        const struct baton_image_config *config) {
    const struct baton_chip *chip = known_chip(config);
    return chip != NULL ? chip->id : header->chip_id;
}

static bool is_limit(uint16_t max_revision) {
    return max_revision != 0 && max_revision != 0xFFFFu;
}

static int check_revision(const struct baton_image_header *header,
        const struct baton_chip *chip, bool is_bootloader) {
    if (chip->revision < header->min_revision) {
        return BATON_ERR_IMAGE_REVISION;
    }
    bool has_max = !is_bootloader && !chip->ignore_max_revision
                   && is_limit(header->max_revision);
    return has_max && chip->revision > header->max_revision
                   ? BATON_ERR_IMAGE_REVISION
                   : 0;
}

int baton_image_rules_header(const struct baton_image_header *header,
        const struct baton_image_config *config) {
    const struct baton_chip *chip = known_chip(config);
    if (chip != NULL && header->chip_id != chip->id) {
        return BATON_ERR_IMAGE_CHIP;
    }
    int err = chip != NULL ? check_revision(header, chip, config->is_bootloader)
                           : 0;
    if (err != 0) {
        return err;
    }
    if (header->segment_count > BATON_IMAGE_SEGMENTS_MAX) {
        return BATON_ERR_IMAGE_SEGMENT_COUNT;
    }
    return config->need_digest && header->digest_appended == 0
                   ? BATON_ERR_IMAGE_NO_DIGEST
                   : 0;
}

int baton_image_rules_length(const struct baton_image_segment *segment,
        const struct baton_image_config *config) {
    if (segment->len_bytes % 4 != 0
            || segment->len_bytes >= BATON_IMAGE_SIZE_MAX) {
        return BATON_ERR_IMAGE_SEGMENT;
    }
    bool is_short = segment->len_bytes < BATON_IMAGE_DESCRIPTOR_BYTES;
    return segment->index == 0 && !config->is_bootloader && is_short
                   ? BATON_ERR_IMAGE_SEGMENT
                   : 0;
}

int baton_image_rules_page(const uint8_t *raw, uint16_t chip_id,
        const struct baton_image_config *config, uint8_t *page_log2) {
    uint8_t default_log2 =
            config->chip != NULL ? config->chip->mmu_page_log2 : 0;
    uint8_t wanted_log2 = raw != NULL ? raw[DESCRIPTOR_MMU_PAGE_OFF] : 0;
    *page_log2 = baton_chip_page_log2(chip_id, wanted_log2, default_log2);
    return raw != NULL && baton_chip_has_page_choice(chip_id)
                           && get_u32(raw) != DESCRIPTOR_MAGIC
                   ? BATON_ERR_IMAGE_DESCRIPTOR
                   : 0;
}

int baton_image_rules_mapping(struct baton_image_segment *segment,
        uint16_t chip_id, uint8_t page_log2) {
    segment->mapped =
            baton_chip_is_mapped(chip_id, page_log2, segment->load_addr);
    uint32_t page_mask = ((uint32_t)1 << page_log2) - 1;
    uint32_t skew = (segment->load_addr ^ segment->data_off) & page_mask;
    return segment->mapped && skew != 0 ? BATON_ERR_IMAGE_MAPPING : 0;
}

int baton_image_rules_block_revision(const uint8_t *raw, uint16_t chip_id,
        const struct baton_image_config *config) {
    const struct baton_chip *chip = known_chip(config);
    if (chip == NULL || chip_id == CHIP_ID_ESP32) {
        return 0;
    }
    uint16_t min = get_u16(raw + DESCRIPTOR_MIN_BLOCK_OFF);
    uint16_t max = get_u16(raw + DESCRIPTOR_MAX_BLOCK_OFF);
    bool is_above = !chip->ignore_max_block_revision && is_limit(max)
                    && chip->block_revision > max;
    return chip->block_revision < min || is_above ? BATON_ERR_IMAGE_REVISION
                                                  : 0;
}
