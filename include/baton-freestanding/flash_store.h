// A struct baton_store in two sectors of flash, for where there is no NVS.
// SPDX-License-Identifier: MIT
//
// All values together lie in one sector; a change writes all of them to the
// other one and then erases the first. So a cut leaves the values of before or
// of after, in whatever order it comes, also where what it hit reads right for
// a while. Made for few values that seldom change: each change costs an erase
// of both sectors.
//
// Format of a sector, numbers little-endian: "BST1", u32 sequence, u32 bytes of
// entries, u32 CRC-32 of the two numbers and the entries, 16 bytes 0xFF; then
// the entries: u8 length of the key, u16 length of the value, key, value. The
// first 32 bytes are written last. The larger sequence is in force.
#ifndef BATON_FREESTANDING_FLASH_STORE_H
#define BATON_FREESTANDING_FLASH_STORE_H

#include "baton/port.h"

#define BATON_FLASH_STORE_HEAD_BYTES 32u

// Fields are private, but for `store`: hand that to Baton.
struct baton_flash_store {
    struct baton_store store; // context is this struct
    const struct baton_flash *flash;
    uint32_t addr;
    uint32_t sector_bytes;
    uint32_t capacity;   // of a sector as it is used, head included
    uint8_t *values;     // head and entries, as they are on flash
    uint8_t *next;       // and as they are to be
    uint32_t used_bytes; // of entries
    uint32_t seq;
    uint8_t copy;       // which sector holds them
    bool is_other_bare; // this run erased the other one
};

// Reads what is there; blank or damaged sectors are an empty store.
//
// flash      borrowed as long as the store is used
// addr       of the first of two sectors, sector-aligned
// work       borrowed too; half of it holds all values and 32 bytes
// work_len   up to two sectors; 4640 bytes hold one value of the largest size,
//            2048 bytes, and 200 bytes of others
// Flash      reads; writes only where a change was cut short near its end: it
//            is written again, then the values of before are erased
// Returns    0, BATON_ERR_ARG, BATON_ERR_RANGE, BATON_ERR_NOR, BATON_ERR_IO
//
// get        nothing on flash is touched
// set, remove  two erases and the programs in between; nothing where nothing
//            changes. A cut leaves the old values or the new ones, which the
//            next begin makes sure of. Errors besides those of struct
//            baton_store: BATON_ERR_ARG (a key of no or of more than 15
//            characters), BATON_ERR_NOR
int baton_flash_store_begin(struct baton_flash_store *self,
        const struct baton_flash *flash, uint32_t addr, void *work,
        size_t work_len);

#endif
