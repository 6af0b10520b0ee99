// What a file is, and whether it suits this device, by its first 288 bytes.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "baton/error.h"
#include "baton/image.h"
#include "baton/slots.h"
#include "bytes.h"
#include "image_rules.h"

#define SEGMENT_DATA_OFF 32u

// ESP8266 images begin with the same byte; their first segment follows a
// header of 8 bytes and loads to instruction RAM.
#define ESP8266_HEAD_BYTES 16u
#define ESP8266_IRAM_FROM  0x40100000u
#define ESP8266_IRAM_TO    0x40110000u

struct signature {
    int err;
    uint8_t len;
    uint8_t bytes[4];
};

static const struct signature signatures[] = {
        {BATON_ERR_IS_ELF, 4, {0x7F, 'E', 'L', 'F'}},
        {BATON_ERR_IS_GZIP, 2, {0x1F, 0x8B}},
        {BATON_ERR_IS_ZIP, 4, {'P', 'K', 3, 4}},
        {BATON_ERR_IS_ZIP, 4, {'P', 'K', 5, 6}},
        {BATON_ERR_IS_ZIP, 4, {'P', 'K', 7, 8}},
        {BATON_ERR_IS_ESP8266, 2, {0xEA, 4}}, // for its later bootloaders
        {BATON_ERR_IS_UF2, 4, {'U', 'F', '2', '\n'}},
        {BATON_ERR_IS_TABLE, 2, {0xAA, 0x50}},
};

static int match_signature(const uint8_t *head, size_t len) {
    for (size_t i = 0; i < sizeof(signatures) / sizeof(signatures[0]); i++) {
        const struct signature *s = &signatures[i];
        if (len >= s->len && memcmp(head, s->bytes, s->len) == 0) {
            return s->err;
        }
    }
    return 0;
}

static bool is_blank(const uint8_t *head, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (head[i] != 0xFF) {
            return false;
        }
    }
    return true;
}

static bool is_space(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_letter(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// A byte order mark and white space in front of text.
static size_t skip_lead(const uint8_t *head, size_t len) {
    bool has_mark = len >= 3 && memcmp(head, "\xEF\xBB\xBF", 3) == 0;
    size_t i = has_mark ? 3 : 0;
    while (i < len && is_space(head[i])) {
        i++;
    }
    return i;
}

// A tag, a declaration or a comment: HTML, or the XML of an object store.
static bool is_markup(const uint8_t *text, size_t len) {
    return len >= 2 && text[0] == '<'
           && (is_letter(text[1]) || text[1] == '!' || text[1] == '?');
}

static bool is_text(const uint8_t *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (!is_space(text[i]) && (text[i] < 0x20 || text[i] > 0x7E)) {
            return false;
        }
    }
    return true;
}

// A record of otadata as the whole partition begins with it, or the file that
// Arduino flashes as boot_app0.bin.
static bool is_otadata(const uint8_t *head, size_t len) {
    if (len < BATON_OTADATA_RECORD_BYTES) {
        return false;
    }
    struct baton_slot_record record;
    baton_slots_decode(head, &record);
    return record.crc == baton_slots_crc(record.seq);
}

static int identify_other(const uint8_t *head, size_t len) {
    if (is_blank(head, len)) {
        return BATON_ERR_IS_BLANK;
    }
    int err = match_signature(head, len);
    if (err != 0) {
        return err;
    }
    if (is_otadata(head, len)) {
        return BATON_ERR_IS_OTADATA;
    }
    size_t lead = skip_lead(head, len);
    if (is_markup(head + lead, len - lead)) {
        return BATON_ERR_IS_HTML;
    }
    return is_text(head + lead, len - lead) ? BATON_ERR_IS_TEXT
                                            : BATON_ERR_IMAGE_MAGIC;
}

static bool is_esp8266(const uint8_t *head, size_t len) {
    if (len < ESP8266_HEAD_BYTES) {
        return false;
    }
    uint32_t load_addr = get_u32(head + 8);
    return load_addr >= ESP8266_IRAM_FROM && load_addr < ESP8266_IRAM_TO;
}

// An application begins with what is read through the flash cache; a
// bootloader, of whatever age, with what is loaded to RAM.
static int identify_image(const uint8_t *head) {
    if (get_u32(head + BATON_IMAGE_DESCRIPTOR_OFF) == DESCRIPTOR_MAGIC) {
        return 0;
    }
    uint16_t chip_id = get_u16(head + 12);
    uint32_t load_addr = get_u32(head + BATON_IMAGE_HEADER_BYTES);
    // Every known chip has such addresses.
    return baton_chip_data_addr(chip_id) != 0
                           && load_addr >= IMAGE_LOADABLE_FROM
                           && !baton_chip_is_mapped(chip_id, 0, load_addr)
                   ? BATON_ERR_IS_BOOTLOADER
                   : BATON_ERR_IMAGE_DESCRIPTOR;
}

int baton_image_identify(const uint8_t *head, size_t len) {
    if (len == 0) {
        return BATON_ERR_IS_EMPTY;
    }
    if (head[0] != BATON_IMAGE_MAGIC) {
        return identify_other(head, len);
    }
    if (is_esp8266(head, len)) {
        return BATON_ERR_IS_ESP8266;
    }
    return len < BATON_IMAGE_HEAD_BYTES ? BATON_ERR_IMAGE_TRUNCATED
                                        : identify_image(head);
}

static int check_first_segment(const uint8_t *head,
        const struct baton_image_header *header,
        const struct baton_image_config *config,
        struct baton_image_segment *segment) {
    const uint8_t *descriptor = head + BATON_IMAGE_DESCRIPTOR_OFF;
    uint16_t chip_id = baton_image_rules_chip(header, config);
    uint8_t page_log2;
    int err = baton_image_rules_length(segment, config);
    if (err == 0) {
        err = baton_image_rules_page(descriptor, chip_id, config, &page_log2);
    }
    if (err == 0) {
        err = baton_image_rules_mapping(segment, chip_id, page_log2);
    }
    if (err == 0) {
        err = baton_image_rules_block_revision(descriptor, chip_id, config);
    }
    return err;
}

static int check_sizes(const struct baton_image_segment *segment,
        uint32_t total_bytes, uint32_t limit_bytes) {
    uint32_t limit = limit_bytes != 0 ? limit_bytes : BATON_IMAGE_SIZE_MAX;
    uint32_t end = segment->data_off + segment->len_bytes;
    if (end > limit || total_bytes > limit) {
        return BATON_ERR_IMAGE_TOO_LARGE;
    }
    return total_bytes != 0 && end > total_bytes ? BATON_ERR_IMAGE_TRUNCATED
                                                 : 0;
}

int baton_image_check(const uint8_t *head, size_t len, uint32_t total_bytes,
        const struct baton_image_config *config) {
    int err = baton_image_identify(head, len);
    if (err != 0) {
        return err;
    }
    struct baton_image_header header;
    baton_image_rules_decode_header(head, &header);
    err = baton_image_rules_header(&header, config);
    if (err != 0) {
        return err;
    }
    if (header.segment_count == 0) {
        // The vendor's verifier has no such rule: the checksum fails there.
        return BATON_ERR_IMAGE_SEGMENT_COUNT;
    }
    struct baton_image_segment segment = {
            .load_addr = get_u32(head + BATON_IMAGE_HEADER_BYTES),
            .len_bytes = get_u32(head + BATON_IMAGE_HEADER_BYTES + 4),
            .data_off = SEGMENT_DATA_OFF,
    };
    err = check_first_segment(head, &header, config, &segment);
    if (err == 0) {
        err = check_sizes(&segment, total_bytes, config->limit_bytes);
    }
    if (err != 0) {
        return err;
    }
    uint32_t secure_version = get_u32(
            head + BATON_IMAGE_DESCRIPTOR_OFF + DESCRIPTOR_SECURE_VERSION_OFF);
    return config->chip != NULL && secure_version < config->chip->secure_version
                   ? BATON_ERR_IMAGE_SECURE_VERSION
                   : 0;
}
