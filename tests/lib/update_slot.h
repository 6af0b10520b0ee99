// A chip whose second slot is written by an update.
// SPDX-License-Identifier: MIT
#ifndef BATON_TESTS_UPDATE_SLOT_H
#define BATON_TESTS_UPDATE_SLOT_H

#include "baton/update.h"
#include "world.h"

#define SECTOR 4096u

static struct baton_update update;
static uint8_t work[17 * SECTOR];

static inline struct baton_update_config configure(struct world *world) {
    const struct baton_partition *slot = world_app(world, 0x11);
    const struct baton_partition *running = world_app(world, 0x10);
    struct baton_update_config config = {
            .flash = &world->nor.flash,
            .crypto = world->crypto,
            .chip = &world->chip,
            .slot_addr = slot->addr,
            .slot_bytes = slot->size_bytes,
            .running_addr = running->addr,
            .running_bytes = running->size_bytes,
            .work = work,
            .work_len = 2 * SECTOR,
    };
    return config;
}

// So many sectors gather, and there is room for one more.
static inline void gather(
        struct baton_update_config *config, uint32_t sectors) {
    config->gather_bytes = sectors * SECTOR;
    config->work_len = (sectors + 1u) * SECTOR;
}

static inline uint8_t *slot_bytes(struct world *world) {
    return world->bytes + world_app(world, 0x11)->addr;
}

// Writes a whole image in pieces of `step` bytes; returns the first error.
static inline int run_update(const struct baton_update_config *config,
        const uint8_t *image, size_t len, size_t step) {
    int err = baton_update_begin(&update, config);
    for (size_t at = config->resume_off; at < len && err == 0; at += step) {
        size_t take = len - at < step ? len - at : step;
        err = baton_update_write(&update, image + at, take);
    }
    return err != 0 ? err : baton_update_end(&update);
}

static inline void begin_world(struct world *world, uint32_t slot_size) {
    world_begin(world, WORLD_A_B, slot_size, 1);
    struct world_image old = {.fill = 9, .payload_bytes = slot_size / 2};
    world_put_image(world, 0x10, &old);
}

#endif
