// `baton flash make`: what its options and its work share.
// SPDX-License-Identifier: MIT
#ifndef BATON_HOST_FLASH_MAKE_H
#define BATON_HOST_FLASH_MAKE_H

#include "baton-posix/nor.h"
#include "baton/image.h"
#include "baton/table.h"

#define FLASH_MAKE_COMMAND        "baton flash make"
#define FLASH_MAKE_CONTENTS_MAX   64u
#define FLASH_MAKE_SIZE_BYTES_MAX 0x1000000u

// A file and the partition it goes into.
struct flash_content {
    const char *name; // as the option was called
    const char *path;
    const struct baton_partition *row;
    uint8_t *data;
    size_t len;
    struct baton_image_info info; // of an application
};

struct flash_make {
    const char *layout;
    const char *table_path;
    const char *out_path;
    const char *bootloader_path;
    const char *boot;
    uint32_t boot_state; // of the record --boot writes
    uint32_t size_bytes;
    bool is_forced;
    bool as_json;
    uint16_t chip_id; // BATON_CHIP_ANY: not known yet
    const char *chip_from;
    struct baton_partition rows[BATON_TABLE_ROWS_MAX];
    size_t row_count;
    struct flash_content contents[FLASH_MAKE_CONTENTS_MAX];
    size_t content_count;
    uint8_t *bytes;
    struct baton_nor nor;
    struct baton_nor_state nor_state;
};

// Returns CLI_OK, CLI_USAGE, or -1 when help was asked for and given.
int flash_make_parse_options(struct flash_make *self, int argc, char **argv);

#endif
