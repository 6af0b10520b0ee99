// The partition table: its binary and its CSV form, both directions.
// SPDX-License-Identifier: MIT
//
// Format: ESP-IDF's partition table (docs/FORMAT.md): 32-byte rows, an MD5 row,
// an end row, padded with 0xFF to 0xC00 bytes. What is written here is
// byte-identical with the vendor's generator.
//
// Nothing here allocates: rows live in an array of the caller's.
#ifndef BATON_TABLE_H
#define BATON_TABLE_H

#include "baton/port.h"

#define BATON_TABLE_ADDR        0x8000u // default flash address
#define BATON_TABLE_BYTES       0xC00u  // the part of its sector that is used
#define BATON_TABLE_ROW_BYTES   32u
#define BATON_TABLE_ROWS_MAX    95u // rows that fit beside the end row
#define BATON_TABLE_LABEL_BYTES 16u

// Room that always holds the CSV text of `count` rows, terminator included.
#define BATON_TABLE_CSV_BYTES(count) (96u + 96u * (size_t)(count))

enum {
    BATON_TYPE_APP = 0x00,
    BATON_TYPE_DATA = 0x01,
    BATON_TYPE_BOOTLOADER = 0x02,
    BATON_TYPE_TABLE = 0x03,
};

enum {
    BATON_SUBTYPE_APP_FACTORY = 0x00,
    BATON_SUBTYPE_APP_OTA_0 = 0x10, // ... ota_15 = 0x1F
    BATON_SUBTYPE_APP_TEST = 0x20,
    BATON_SUBTYPE_DATA_OTA = 0x00, // otadata
    BATON_SUBTYPE_DATA_NVS = 0x02,
    BATON_SUBTYPE_DATA_UNDEFINED = 0x06,
};

#define BATON_PARTITION_ENCRYPTED 0x1u
#define BATON_PARTITION_READONLY  0x2u

struct baton_partition {
    uint8_t type;
    uint8_t subtype;
    // From CSV: a hash of what a name has beyond its label, 0 for nothing. The
    // vendor's generator cuts names at 16 bytes and compares them uncut.
    uint16_t name_rest;
    uint32_t addr;
    uint32_t size_bytes;
    char label[BATON_TABLE_LABEL_BYTES + 1]; // always terminated here
    uint32_t flags; // BATON_PARTITION_*, unknown bits kept
};

// Where a table went wrong, for a message.
struct baton_table_fault {
    uint32_t line; // CSV: line number from 1; 0 where none applies
    int row;       // index of the row from 0; -1 where none applies
    int other_row; // the row it collides with; -1
    int field;     // CSV: 0 (name) to 5 (flags); -1 where none applies
    char text[48]; // the offending field or name, cut to fit; may be empty
};

struct baton_table_options {
    uint32_t table_addr; // 0 means BATON_TABLE_ADDR
    bool table_at_zero;  // the table does lie at address 0
    bool no_md5;         // write no MD5 row; in a table that is read it is a
                         // row with a wrong magic, as for the vendor's tool
    bool has_primary;    // primary_bootloader_addr is given
    bool has_recovery;   // recovery_bootloader_addr is given
    uint32_t primary_bootloader_addr;
    uint32_t recovery_bootloader_addr;
    uint32_t flash_bytes;              // 0: do not check against a flash size
    bool secure_boot_v1;               // app sizes in steps of 0x10000
    const struct baton_crypto *crypto; // for the MD5 row; NULL: neither
                                       // checked nor written
    struct baton_hash_state *hash;     // memory for it; needed with crypto
    // CSV: value of an environment variable, or NULL; NULL callback: none set.
    const char *(*variable)(void *context, const char *name, size_t len);
    void *context;
};

// Decodes one row of 32 bytes. What follows a zero byte in the label is lost.
//
// Returns 0, BATON_ERR_TABLE_MAGIC
int baton_table_decode_row(
        const uint8_t raw[BATON_TABLE_ROW_BYTES], struct baton_partition *out);

// Reads a binary table, as the vendor's generator reads it: up to the end row;
// unknown flag bits are kept.
//
// data, len   the table; trailing bytes after the end row are ignored
// rows, capacity, count  caller's array; *count rows were filled
// options     may be NULL: defaults
// fault       may be NULL
// Returns     0, BATON_ERR_TABLE_LENGTH, _MAGIC, _MD5, _END, _LABEL,
//             BATON_ERR_NOSPC (more rows than capacity), BATON_ERR_CRYPTO,
//             BATON_ERR_ARG (crypto without hash)
int baton_table_parse(const uint8_t *data, size_t len,
        const struct baton_table_options *options, struct baton_partition *rows,
        size_t capacity, size_t *count, struct baton_table_fault *fault);

// Reads the table from flash, in pieces of one row. Labels may hold any bytes:
// neither bootloader nor application minds them.
//
// Returns     0, BATON_ERR_TABLE_MAGIC, _MD5, _END, BATON_ERR_NOSPC,
//             BATON_ERR_CRYPTO, BATON_ERR_ARG, BATON_ERR_RANGE, BATON_ERR_IO
int baton_table_load(const struct baton_flash *flash,
        const struct baton_table_options *options, struct baton_partition *rows,
        size_t capacity, size_t *count);

// Writes the binary table, MD5 row and padding included. Does not verify it.
//
// Returns     0, BATON_ERR_TABLE_ROWS, BATON_ERR_CRYPTO, BATON_ERR_ARG
int baton_table_encode(const struct baton_partition *rows, size_t count,
        const struct baton_table_options *options,
        uint8_t out[BATON_TABLE_BYTES]);

// Reads CSV (UTF-8, with or without byte order mark), places rows without an
// offset, and resolves sizes that are given as an end.
//
// rows        with _TABLE_OVERLAP rows[*count] is the row that has no place
// fault       may be NULL; line and row are set with every error, so that
//             parsing with a capacity of n tells the line of row n
// Returns     0, BATON_ERR_CSV_*, BATON_ERR_TABLE_OVERLAP,
//             BATON_ERR_NOSPC (more rows than capacity)
int baton_table_parse_csv(const char *text, size_t len,
        const struct baton_table_options *options, struct baton_partition *rows,
        size_t capacity, size_t *count, struct baton_table_fault *fault);

// Writes CSV as the vendor's generator does, two header lines first. The text
// is terminated; *len does not count the terminator.
//
// Returns     0, BATON_ERR_NOSPC (never with BATON_TABLE_CSV_BYTES)
int baton_table_format_csv(const struct baton_partition *rows, size_t count,
        char *out, size_t capacity, size_t *len);

// Checks the rules of the vendor's generator: alignment, names, overlaps,
// otadata, sizes, and the flash size where options give one.
//
// Returns     0, BATON_ERR_TABLE_ALIGN, _READONLY, _NVS, _DUPLICATE, _OVERLAP,
//             _OTADATA, _FLASH_SIZE
int baton_table_verify(const struct baton_partition *rows, size_t count,
        const struct baton_table_options *options,
        struct baton_table_fault *fault);

// Checks only that the row with the highest address ends inside a flash of
// this size.
//
// Returns     0, BATON_ERR_TABLE_FLASH_SIZE
int baton_table_verify_flash(const struct baton_partition *rows, size_t count,
        uint32_t flash_bytes, struct baton_table_fault *fault);

// True when the label is the keyword of another type or subtype than the
// row's: most likely a mistake, though a table may have it so.
bool baton_table_is_misnamed(const struct baton_partition *row);

// A type or subtype as a keyword ("app", "ota_0"), or NULL.
const char *baton_table_type_name(uint8_t type);
const char *baton_table_subtype_name(uint8_t type, uint8_t subtype);

// The first row with this type and subtype, or with this label; NULL.
const struct baton_partition *baton_table_find(
        const struct baton_partition *rows, size_t count, uint8_t type,
        uint8_t subtype);
const struct baton_partition *baton_table_find_label(
        const struct baton_partition *rows, size_t count, const char *label);

// How many slots the application side counts: the gap-free run ota_0, ota_1...
uint32_t baton_table_slot_count(
        const struct baton_partition *rows, size_t count);

// Layouts that are built in, by name, as CSV text: "micropython-4mib-ota",
// "micropython-8mib-ota", "idf-two-ota", "idf-single-app". NULL: no such name.
// `index` walks the names: baton_table_layout_name(0), (1) ... until NULL.
const char *baton_table_layout_csv(const char *name);
const char *baton_table_layout_name(size_t index);

#endif
