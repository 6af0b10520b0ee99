// A small virtual chip in memory for tests: flash, table, images.
// SPDX-License-Identifier: MIT
#ifndef BATON_TESTS_WORLD_H
#define BATON_TESTS_WORLD_H

#include "baton-posix/nor.h"
#include "baton/boot.h"
#include "baton/slots.h"
#include "baton/table.h"

#define WORLD_OTADATA_ADDR 0xD000u

enum world_table {
    WORLD_FACTORY_A_B, // factory, ota_0, ota_1
    WORLD_A_B,
    WORLD_FACTORY_A,
    WORLD_A_GAP, // ota_0, ota_2
    WORLD_TEST,  // test alone
};

// What goes into a test image. Zero gives a good one for ESP32.
struct world_image {
    uint16_t chip_id;
    uint32_t secure_version;
    uint32_t payload_bytes; // after the descriptor; 0 means 1000
    uint8_t fill;           // seed of the payload
    bool no_digest;
    bool is_bad; // one payload byte flipped after the digest was made
    const char *version;
};

struct world {
    struct baton_nor nor;
    struct baton_nor_state state;
    const struct baton_crypto *crypto;
    struct baton_chip chip;
    uint8_t *bytes;
    uint32_t slot_bytes;
    struct baton_partition rows[8];
    size_t row_count;
};

// A blank chip with this table. slot_bytes is the size of every app partition,
// a multiple of 0x1000; slots lie 0x10000-aligned from 0x10000 on.
void world_begin(struct world *self, enum world_table table,
        uint32_t slot_bytes, uint32_t program_bytes);
void world_end(struct world *self);

const struct baton_partition *world_app(
        const struct world *self, uint8_t subtype);

// Makes an image; the caller frees it.
uint8_t *world_make_image(const struct world_image *spec, size_t *len);

// Puts an image into a partition, past the flash's own rules.
void world_put_image(struct world *self, uint8_t app_subtype,
        const struct world_image *spec);

// Puts a record into otadata; crc_wrong flips a bit of its CRC.
void world_put_record(struct world *self, int copy, uint32_t seq,
        uint32_t state, bool crc_wrong);

// Decides as the bootloader does.
int world_boot(struct world *self, const struct baton_boot_config *options,
        struct baton_boot_result *result);

// Deterministic numbers.
uint32_t world_random(uint32_t *seed);

#endif
