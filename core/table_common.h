// What the files of the partition table share: keywords, places, faults.
// SPDX-License-Identifier: MIT
#ifndef BATON_CORE_TABLE_COMMON_H
#define BATON_CORE_TABLE_COMMON_H

#include "baton/table.h"

enum {
    BATON_SUBTYPE_BOOTLOADER_PRIMARY = 0x00,
    BATON_SUBTYPE_BOOTLOADER_RECOVERY = 0x02,
    BATON_SUBTYPE_TABLE_PRIMARY = 0x00,
    BATON_SUBTYPE_DATA_COREDUMP = 0x03,
    BATON_SUBTYPE_DATA_TEE_OTA = 0x90,
};

#define BATON_TABLE_SECTOR_BYTES 0x1000u // what the table itself takes

struct baton_table_keyword {
    uint8_t type; // the type whose subtype this is; 0 for a type itself
    uint8_t value;
    const char *name;
};

// The keywords of types and of subtypes, walked by index; NULL past the last.
const struct baton_table_keyword *baton_table_type_at(size_t index);
const struct baton_table_keyword *baton_table_subtype_at(size_t index);

// The step in which offsets of this type lie.
uint32_t baton_table_type_step(uint8_t type);

// True for the rows that describe the boot chain in front of the partitions:
// the primary bootloader and the primary table.
bool baton_table_is_primary(uint8_t type, uint8_t subtype);

// The table's address, and the address behind its sector.
uint32_t baton_table_addr(const struct baton_table_options *options);
uint64_t baton_table_first_free(const struct baton_table_options *options);

// Fills in a fault where one is asked for.
void baton_table_fault_clear(struct baton_table_fault *fault);
void baton_table_fault_set(struct baton_table_fault *fault, int row,
        int other_row, const char *text, size_t len);

#endif
