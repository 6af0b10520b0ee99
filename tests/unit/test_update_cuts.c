// The update writer, cut at every operation, and over flash that fails.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/update_slot.h"
#include "baton/error.h"

static bool holds(struct world *world, const uint8_t *image, size_t len) {
    return memcmp(slot_bytes(world), image, len) == 0;
}

// The slot verifies only when it holds exactly the new or the old image.
static void check_slot(struct world *world, const uint8_t *image, size_t len,
        const uint8_t *old, size_t old_len, const char *id) {
    static struct baton_image verifier;
    struct baton_image_config config = {
            .crypto = world->crypto, .chip = &world->chip};
    const struct baton_partition *slot = world_app(world, 0x11);
    if (slot_bytes(world)[0] != BATON_IMAGE_MAGIC) {
        return; // no image, whatever follows
    }
    uint8_t buf[512];
    uint8_t *copy = malloc(world->nor.flash.size_bytes);
    struct baton_nor_state kept = world->state;
    memcpy(copy, world->bytes, world->nor.flash.size_bytes);
    int err = baton_image_verify(&verifier, &config, &world->nor.flash,
            slot->addr, slot->size_bytes, buf, sizeof(buf));
    // Looking must not use up a weak range's one good read.
    memcpy(world->bytes, copy, world->nor.flash.size_bytes);
    world->state = kept;
    free(copy);
    if (err == 0 && !holds(world, image, len) && !holds(world, old, old_len)) {
        fail_msg("%s: a mixed slot verifies", id);
    }
}

// Where an agent goes on: the last right sector before the first that differs,
// found by reading, as after a reboot nothing else is known.
static uint32_t find_resume_off(
        struct world *world, const uint8_t *image, size_t len) {
    const struct baton_flash *flash = &world->nor.flash;
    uint32_t off = SECTOR;
    while (off < len) {
        uint8_t sector[SECTOR];
        size_t take = len - off < SECTOR ? len - off : SECTOR;
        flash->read(flash->context, world_app(world, 0x11)->addr + off, sector,
                take);
        if (memcmp(sector, image + off, take) != 0) {
            break;
        }
        off += SECTOR;
    }
    return off - SECTOR;
}

// Reads ahead by a sector, as some ports do: then a comparison reads a weak page
// only once, when it still reads right.
static struct {
    const struct baton_flash *inner;
    uint32_t addr;
    uint8_t data[SECTOR];
} ahead;
static int read_ahead(void *context, uint32_t addr, void *buf, size_t len) {
    (void)context;
    const struct baton_flash *inner = ahead.inner;
    uint32_t from = addr / SECTOR * SECTOR;
    if (len > SECTOR - addr % SECTOR) {
        return inner->read(inner->context, addr, buf, len);
    }
    if (from != ahead.addr) {
        ahead.addr = UINT32_MAX;
        int err = inner->read(inner->context, from, ahead.data, SECTOR);
        if (err != 0) {
            return err;
        }
        ahead.addr = from;
    }
    memcpy(buf, ahead.data + addr % SECTOR, len);
    return 0;
}
static int program_behind(
        void *context, uint32_t addr, const void *buf, size_t len) {
    (void)context;
    ahead.addr = UINT32_MAX;
    return ahead.inner->program(ahead.inner->context, addr, buf, len);
}
static int erase_behind(void *context, uint32_t addr, size_t len) {
    (void)context;
    ahead.addr = UINT32_MAX;
    return ahead.inner->erase(ahead.inner->context, addr, len);
}
static struct baton_flash with_ahead(const struct baton_flash *flash) {
    ahead.inner = flash;
    ahead.addr = UINT32_MAX;
    struct baton_flash result = *flash;
    result.read = read_ahead;
    result.program = program_behind;
    result.erase = erase_behind;
    return result;
}

// Every operation of an update, cut in every mode, then the job finished in
// one go: from the start, or from the offset where it stopped; by sectors, or
// with several that gather.
static void cut_everywhere(
        bool over_old, bool resume, uint32_t program_bytes, uint32_t sectors) {
    struct world_image spec = {.payload_bytes = 90000, .fill = 5};
    struct world_image old = {.payload_bytes = 120000, .fill = 6};
    size_t len;
    uint8_t *image = world_make_image(&spec, &len);
    size_t old_len;
    uint8_t *old_image = world_make_image(&old, &old_len);
    uint64_t total = UINT64_MAX;
    for (uint64_t at = 1; at <= total; at++) {
        for (int mode = BATON_NOR_CUT_BEFORE; mode <= BATON_NOR_CUT_WEAK;
                mode++) {
            char id[80];
            snprintf(id, sizeof(id),
                    "old %d resume %d unit %u sectors %u op %u mode %s",
                    over_old, resume, (unsigned)program_bytes,
                    (unsigned)sectors, (unsigned)at,
                    baton_nor_cut_name((enum baton_nor_cut)mode));
            struct world world;
            world_begin(&world, WORLD_A_B, 0x20000, program_bytes);
            if (over_old) {
                memcpy(slot_bytes(&world), old_image, old_len);
            }
            struct baton_update_config config = configure(&world);
            config.image_bytes = (uint32_t)len;
            gather(&config, sectors);
            struct baton_flash flash = with_ahead(config.flash);
            config.flash = sectors > 1 ? &flash : config.flash;
            world.state.seed = (uint32_t)at * 8u + (uint32_t)mode;
            baton_nor_plan_cut(
                    &world.nor, at, (enum baton_nor_cut)mode, UINT32_MAX);
            int err = run_update(&config, image, len, SECTOR);
            uint32_t done = baton_update_offset(&update);
            if (err == 0) { // past the last operation
                total = at - 1;
                world_end(&world);
                break;
            }
            baton_nor_power_on(&world.nor);
            ahead.addr = UINT32_MAX;
            check_slot(&world, image, len, old_image, old_len, id);
            if (resume) {
                config.resume_off =
                        sectors == 1 ? find_resume_off(&world, image, len)
                                     : done;
            }
            err = baton_update_begin(&update, &config);
            if (err == 0) {
                err = baton_update_write(&update, image + config.resume_off,
                        len - config.resume_off);
            }
            if (err == 0 && config.resume_off != 0) {
                err = baton_update_write_at(&update, 0, image, SECTOR);
            }
            err = err != 0 ? err : baton_update_end(&update);
            uint32_t written = update.stats.sectors_erased
                               + 16u * update.stats.blocks_erased;
            if (err != 0 || !holds(&world, image, len)) {
                fail_msg("%s: recovery says %s", id, baton_error_name(err));
            }
            // What was complete before the cut is not written again, but for
            // the first sector and the one in flight.
            uint32_t left = (uint32_t)(len - done + SECTOR - 1) / SECTOR;
            if (written > left + 16u + sectors + 1u) {
                fail_msg("%s: %u sectors erased, %u were left", id,
                        (unsigned)written, (unsigned)left);
            }
            world_end(&world);
        }
    }
    assert_true(total > 300);
    free(old_image);
    free(image);
}

static void test_cuts_fresh(void **state) {
    (void)state;
    cut_everywhere(false, false, 1, 1);
    cut_everywhere(false, false, 1, 16);
}
static void test_cuts_over_old(void **state) {
    (void)state;
    cut_everywhere(true, false, 4, 1);
    cut_everywhere(true, false, 4, 3);
}
static void test_cuts_resumed(void **state) {
    (void)state;
    cut_everywhere(true, true, 16, 1);
    cut_everywhere(false, true, 32, 1);
    cut_everywhere(true, true, 16, 16);
    cut_everywhere(false, true, 32, 3);
}

// The flash fails at every call in turn: the error comes out and sticks.
static int failing_read_countdown;
static const struct baton_flash *inner;
static int failing_read(void *context, uint32_t addr, void *buf, size_t len) {
    (void)context;
    if (failing_read_countdown-- == 0) {
        return BATON_ERR_IO;
    }
    return inner->read(inner->context, addr, buf, len);
}

static void test_read_faults(void **state) {
    (void)state;
    struct world_image spec = {.payload_bytes = 10000, .fill = 5};
    size_t len;
    uint8_t *image = world_make_image(&spec, &len);
    int err = BATON_ERR_IO;
    for (int at = 0; err != 0; at++) {
        assert_true(at < 10000);
        struct world world;
        begin_world(&world, 0x10000);
        struct baton_update_config config = configure(&world);
        struct baton_flash flash = world.nor.flash;
        inner = &world.nor.flash;
        flash.read = failing_read;
        config.flash = &flash;
        failing_read_countdown = at;
        err = run_update(&config, image, len, SECTOR);
        if (err != 0) {
            assert_int_equal(err, BATON_ERR_IO);
            assert_int_equal(baton_update_end(&update), BATON_ERR_IO);
        }
        world_end(&world);
    }
    free(image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_cuts_fresh),
            cmocka_unit_test(test_cuts_over_old),
            cmocka_unit_test(test_cuts_resumed),
            cmocka_unit_test(test_read_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
