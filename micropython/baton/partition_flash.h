// Flash through MicroPython's esp32.Partition, or any block device like it.
// SPDX-License-Identifier: MIT
//
// Addresses are the chip's; each partition is reached through its own object.
// Used of it: info(), readblocks(n, buf, off), writeblocks(n, buf, off), which
// programs without an erase, ioctl(6, n), which erases one sector, and, where a
// block's worth of memory is given, writeblocks(n, buf), which erases by the
// larger command what it then writes.
#ifndef BATON_MICROPYTHON_PARTITION_FLASH_H
#define BATON_MICROPYTHON_PARTITION_FLASH_H

#include "baton/port.h"
#include "binding.h"

#define BATON_PARTITIONS_MAX   8u
#define BATON_READ_AHEAD_BYTES 512u

struct baton_flash_partition {
    mp_obj_t object;
    uint32_t addr;
    uint32_t size_bytes;
};

// A handle of kind BATON_HANDLE_FLASH. What a partition's method raises goes
// through to Python's caller.
struct baton_partition_flash {
    struct baton_binding_handle handle;
    struct baton_flash flash;
    size_t count;
    struct baton_flash_partition partition[BATON_PARTITIONS_MAX];
    mp_obj_t window; // a bytearray that is laid over what is to be moved
    mp_obj_t memory; // of `ahead`, where it was given
    mp_obj_t blank;  // a block of 0xFF, or MP_OBJ_NULL
    mp_obj_t erase;  // a function (address, bytes), or MP_OBJ_NULL
    uint32_t ahead_addr;
    uint32_t ahead_len;   // bytes of `ahead` that hold what flash holds
    uint32_t ahead_bytes; // its size
    uint8_t *ahead;
    uint8_t own_ahead[BATON_READ_AHEAD_BYTES];
};

// Opens partitions.
//
// block       a bytearray of 64 KiB, which is filled with 0xFF; or a function
//             that erases 64 KiB, given address and length; or None. The small
//             module takes None only
// count       of partitions, at most BATON_PARTITIONS_MAX
struct baton_partition_flash *baton_partition_flash_open(
        mp_obj_t block, size_t count, const mp_obj_t *partitions);

// Reads ahead into memory that Python gives, which is then not to be used for
// anything else; kept alive by the handle. The more, the fewer calls of Python
// and commands to the flash when an image is read back.
void baton_partition_flash_ahead(
        struct baton_partition_flash *self, mp_obj_t memory);

// Drops what was read ahead: a script may have written since the last call.
void baton_partition_flash_forget(struct baton_partition_flash *self);

// The partition of an index that Python gave; ERR_RANGE is raised.
const struct baton_flash_partition *baton_partition_flash_at(
        const struct baton_partition_flash *self, mp_obj_t index);

#endif
