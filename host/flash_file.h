// A flash file as the flash subcommands see it: bytes, board, table, images.
// SPDX-License-Identifier: MIT
#ifndef BATON_HOST_FLASH_FILE_H
#define BATON_HOST_FLASH_FILE_H

#include <cjson/cJSON.h>

#include "baton-posix/board.h"
#include "baton/boot.h"
#include "baton/names.h"

struct flash_file {
    const char *path;
    uint8_t *bytes;
    uint32_t size_bytes;
    const struct baton_flash *flash;
    // The board beside it: a copy, and the file itself where writing was asked
    // for.
    bool has_board;
    struct baton_board_state board;
    struct baton_board open_board;
    // Where there is no open board: the flash over this mapping.
    struct baton_nor nor;
    struct baton_nor_state nor_state;
    // The board's chip, or what the first application image says.
    struct baton_chip chip;
    bool is_chip_known;
    int table_err;
    size_t row_count;
    struct baton_partition rows[BATON_TABLE_ROWS_MAX];
};

// Opens a flash file. Without is_writable neither it nor its board changes,
// whatever is written through self->flash. On failure prints why. self must
// stay where it is.
bool flash_file_open(struct flash_file *self, const char *command,
        const char *path, bool is_writable);
void flash_file_close(struct flash_file *self);

// Verifies the image in a partition, as the bootloader does.
int flash_file_verify(struct flash_file *self, uint32_t addr,
        uint32_t limit_bytes, struct baton_image_info *info);

// The names a person knows an image by: out->version is the descriptor's, else
// the one that MicroPython keeps in its read-only data, or empty.
void flash_file_names(const uint8_t *bytes, size_t len,
        const struct baton_image_info *info, struct baton_names *out);

// Reads the partition table out of the bytes of a flash, a multiple of 64 KiB;
// no read is counted. Returns 0 or why there is none; then *count is 0.
int flash_load_table(uint8_t *bytes, uint32_t size_bytes,
        struct baton_partition rows[BATON_TABLE_ROWS_MAX], size_t *count);

// True when a 'baton sim' runs on this flash file; says so.
bool flash_is_in_use(const char *command, const char *path);

// The chip of the first application image among the rows; BATON_CHIP_ANY.
uint16_t flash_file_find_chip(const uint8_t *bytes, size_t len,
        const struct baton_partition *rows, size_t count);

// "esp32", or "chip 77" in a buffer of its own that the next call overwrites.
const char *flash_chip_text(uint16_t chip_id);

// Lower-case hexadecimal, terminated; out holds 2 * len + 1.
void flash_hex(const uint8_t *data, size_t len, char *out);

// Prints a JSON object to standard output, and frees it.
void flash_print_json(cJSON *json);

// One otadata record; count is the number of slots.
cJSON *flash_record_json(
        const struct baton_slots *records, int copy, uint32_t count);

#endif
