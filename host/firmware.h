// What a firmware file holds: one image, or a flash's worth of things.
// SPDX-License-Identifier: MIT
#ifndef BATON_HOST_FIRMWARE_H
#define BATON_HOST_FIRMWARE_H

#include "baton/image.h"
#include "baton/names.h"
#include "baton/table.h"

#define FIRMWARE_APPS_MAX   18u // factory, test, 16 slots
#define FIRMWARE_BLOCKS_MAX 3u

// A Secure Boot v2 signature sector. Only its form is checked: whether the
// signatures are by anybody's key is not.
struct firmware_signature {
    uint32_t off;        // of the sector, from the start of the image
    uint8_t block_count; // 0: there is no signature sector
    struct {
        const char *scheme; // "RSA-3072", "ECDSA P-256" ...
        bool crc_ok;
        bool digest_ok; // its digest is that of this image
    } blocks[FIRMWARE_BLOCKS_MAX];
};

struct firmware_image {
    uint32_t off; // in the file
    int err;      // 0: whole and right
    bool is_bootloader;
    struct baton_image_info info;
    uint8_t segment_count;
    struct baton_image_segment segments[BATON_IMAGE_SEGMENTS_MAX];
    uint8_t page_log2; // of the flash mapping it is laid out for
    // An application's.
    struct baton_names names;
    struct firmware_signature signature;
    // A bootloader's, from its own descriptor; empty where it is older.
    char idf_version[33];
    char date[25];
};

struct firmware {
    const uint8_t *data;
    size_t len;
    uint8_t sha256[BATON_SHA256_BYTES]; // of the whole file
    int err; // 0: a good application image; else what it is instead, or what
             // is wrong with it
    bool has_image; // an application or a bootloader begins it
    struct firmware_image image;
    uint32_t trailing_bytes; // after the image
    bool trailing_is_blank;  // and they are all 0xFF

    // A merged file, a read-out of a flash, or a table alone.
    bool has_table;
    uint32_t table_off;  // in the file
    uint32_t flash_base; // flash address of the file's first byte
    struct baton_partition rows[BATON_TABLE_ROWS_MAX];
    size_t row_count;
    size_t app_count; // applications that are in the file
    struct {
        size_t row;
        struct firmware_image image;
    } apps[FIRMWARE_APPS_MAX];
};

// Looks through a whole file. data stays the caller's and is pointed into.
void firmware_survey(struct firmware *self, const uint8_t *data, size_t len);

// What kind of file an error of the survey says it is, one word in JSON:
// "application", "bootloader", "merged", "partition_table", "elf" ...
const char *firmware_kind(const struct firmware *self);

// The version a person knows an application by: the descriptor's, else the one
// found in its data; "" for none. *from becomes "descriptor", "text" or "".
const char *firmware_version(
        const struct firmware_image *image, const char **from);

// The project: the descriptor's, else the system found in the data; or "".
const char *firmware_project(const struct firmware_image *image);

// False where the descriptor carries no digest of an ELF: all zeros.
bool firmware_has_elf_sha256(const struct baton_app_descriptor *descriptor);

// The kind of memory a segment is for: "flash_code", "iram", "padding" ...
const char *firmware_memory(
        uint16_t chip_id, uint8_t page_log2, uint32_t load_addr);

// Looks for a signature sector after an image; image_len is the length that
// was verified.
void firmware_find_signature(struct firmware_signature *self,
        const uint8_t *image, size_t image_len, size_t file_len);

// SPI settings of the header as people write them: "dio", "40m", "4MB"; "?"
// for values that mean nothing.
const char *firmware_flash_mode(uint8_t spi_mode);
const char *firmware_flash_frequency(uint16_t chip_id, uint8_t spi_speed);
const char *firmware_flash_size(uint8_t spi_size);
// And back: the value, or -1.
int firmware_parse_flash_mode(const char *text);
int firmware_parse_flash_frequency(uint16_t chip_id, const char *text);
int firmware_parse_flash_size(const char *text);

// Options: a chip by name, and a revision, "3.1" or "301". On failure they
// print what is wrong.
bool firmware_parse_chip(
        const char *command, const char *text, uint16_t *chip_id);
bool firmware_parse_revision(
        const char *option, const char *text, uint32_t *out);

// Both print one file's survey to standard output.
void firmware_print_text(const char *path, const struct firmware *self);
void firmware_print_json(const char *path, const struct firmware *self);

// A file that could not be read, as JSON in the same form.
void firmware_print_json_unread(const char *path);

// Another command's verdict on the file, as JSON: err as it found it.
void firmware_print_json_verdict(
        const char *path, const struct firmware *self, int err);

#endif
