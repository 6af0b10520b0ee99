// The seams between Baton and the platform: structs of callbacks.
// SPDX-License-Identifier: MIT
//
// A port fills these structs in and keeps them alive as long as anything that
// was given them is in use. Every callback gets the struct's `context` first
// and returns 0 or a negative `enum baton_err`; callbacks are never called
// from more than one place at once for the same struct.
#ifndef BATON_PORT_H
#define BATON_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Geometry that holds for every ESP32-class chip.
#define BATON_SECTOR_BYTES 4096u
#define BATON_BLOCK_BYTES  65536u

// NOR flash, addressed from the first byte of the chip.
//
// The rules of NOR hold here, and a port that is not the chip itself enforces
// them:
// - an erase sets every bit of whole sectors; nothing else sets a bit;
// - a program only clears bits. Programming a bit from 0 to 1 is refused with
//   BATON_ERR_NOR by a port that can tell, and corrupts silently on one that
//   cannot: callers erase first;
// - reads have any address and length inside the chip; programs start and end
//   on `program_bytes`; erases start and end on `sector_bytes`. Anything else
//   is BATON_ERR_ARG, anything past the end BATON_ERR_RANGE, and neither
//   touches the flash;
// - a call that returns 0 is finished: its bytes survive a power cut. A cut
//   inside an erase or a program leaves the touched range undefined, and what
//   reads right there may read differently later.
struct baton_flash {
    void *context;

    // Errors: BATON_ERR_RANGE, BATON_ERR_IO.
    int (*read)(void *context, uint32_t addr, void *buf, size_t len);

    // Errors: BATON_ERR_ARG (alignment), BATON_ERR_RANGE, BATON_ERR_NOR,
    // BATON_ERR_IO.
    int (*program)(void *context, uint32_t addr, const void *buf, size_t len);

    // One call is one erase command where len is sector_bytes or block_bytes
    // (then aligned to it); longer ranges are a port's own loop.
    // Errors: BATON_ERR_ARG (alignment), BATON_ERR_RANGE, BATON_ERR_IO.
    int (*erase)(void *context, uint32_t addr, size_t len);

    uint32_t size_bytes;    // the whole chip; a multiple of sector_bytes
    uint32_t sector_bytes;  // smallest erase; 0 means 4096
    uint32_t block_bytes;   // a larger single erase command; 0 means none
    uint32_t program_bytes; // smallest program, a power of two up to 32; 0
                            // means 1 (16 or 32 on encrypted flash)
};

// Hash functions a port has to offer.
enum baton_hash {
    BATON_HASH_SHA256, // 32 bytes: images
    BATON_HASH_MD5,    // 16 bytes: the partition table's own checksum row
};

#define BATON_SHA256_BYTES 32u
#define BATON_MD5_BYTES    16u

// Memory of one running hash, owned by whoever runs it. A port may keep a
// library's context in it, but nothing that has to be released: a hash that is
// given up is simply forgotten.
struct baton_hash_state {
    uint64_t opaque[32];
};

struct baton_crypto {
    void *context;

    // Errors of all three: BATON_ERR_CRYPTO.
    int (*hash_start)(void *context, struct baton_hash_state *state,
            enum baton_hash kind);
    int (*hash_update)(void *context, struct baton_hash_state *state,
            const void *data, size_t len);
    // Writes 32 or 16 bytes to digest.
    int (*hash_finish)(
            void *context, struct baton_hash_state *state, uint8_t *digest);
};

// What the running chip is: facts from eFuse and build, no callbacks.
#define BATON_CHIP_ANY 0xFFFFu

struct baton_chip {
    uint16_t id;             // the image header's chip id; BATON_CHIP_ANY: take
                             // whatever the image says
    uint16_t revision;       // major * 100 + minor
    uint16_t block_revision; // eFuse block, major * 100 + minor
    bool ignore_max_revision;       // the "disable wafer version" eFuse
    bool ignore_max_block_revision; // the "disable block version" eFuse
    uint8_t mmu_page_log2;   // build default where selectable; 0 means 16
    uint32_t secure_version; // number of bits set in the eFuse field
};

#endif
