// The update writer: what it refuses, what it erases, what it reads back.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/update_slot.h"
#include "baton/error.h"

// Any chunk size gives the same flash, and the other slot is never touched.
static void test_chunking(void **state) {
    (void)state;
    static const size_t steps[] = {
            1, 7, 31, 32, 288, 1021, 4095, 4096, 4097, 100000};
    struct world_image spec = {.payload_bytes = 21000, .fill = 1};
    size_t len;
    uint8_t *image = world_make_image(&spec, &len);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct world world;
        begin_world(&world, 0x20000);
        uint8_t *before = malloc(0x20000);
        memcpy(before, world.bytes + 0x10000, 0x20000);
        struct baton_update_config config = configure(&world);
        assert_int_equal(run_update(&config, image, len, steps[i]), 0);
        assert_memory_equal(slot_bytes(&world), image, len);
        assert_memory_equal(before, world.bytes + 0x10000, 0x20000);
        assert_int_equal(baton_update_info(&update)->len_bytes, len);
        free(before);
        world_end(&world);
    }
    free(image);
}

// Until `end` has verified it, no byte of the header is on flash.
static void test_head_comes_last(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, 0x20000);
    struct world_image spec = {.payload_bytes = 30000, .fill = 2};
    size_t len;
    uint8_t *image = world_make_image(&spec, &len);
    struct baton_update_config config = configure(&world);
    assert_int_equal(baton_update_begin(&update, &config), 0);
    assert_int_equal(baton_update_write(&update, image, len), 0);
    for (size_t i = 0; i < BATON_UPDATE_HEAD_BYTES; i++) {
        assert_int_equal(slot_bytes(&world)[i], 0xFF);
    }
    assert_int_equal(baton_update_end(&update), 0);
    assert_memory_equal(slot_bytes(&world), image, len);
    // An ended update takes no more calls.
    assert_int_equal(baton_update_write(&update, image, 1), BATON_ERR_STATE);
    assert_int_equal(baton_update_end(&update), BATON_ERR_STATE);
    free(image);
    world_end(&world);
}

// A wrong file is refused by name before the first erase.
static void test_refusals_before_erase(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, 0x20000);
    struct baton_update_config config = configure(&world);
    struct world_image c3 = {.chip_id = 5};
    struct world_image bare = {.no_digest = true};
    size_t len;
    uint8_t *image = world_make_image(&c3, &len);
    assert_int_equal(
            run_update(&config, image, len, 100), BATON_ERR_IMAGE_CHIP);
    // The error sticks.
    assert_int_equal(
            baton_update_write(&update, image, 1), BATON_ERR_IMAGE_CHIP);
    assert_int_equal(baton_update_end(&update), BATON_ERR_IMAGE_CHIP);
    free(image);

    image = world_make_image(&bare, &len);
    assert_int_equal(
            run_update(&config, image, len, 100), BATON_ERR_IMAGE_NO_DIGEST);
    free(image);

    static const char page[] = "<!DOCTYPE html><html><body>404</body></html>";
    assert_int_equal(
            run_update(&config, (const uint8_t *)page, sizeof(page) - 1, 100),
            BATON_ERR_IS_HTML);

    uint8_t blank[512];
    memset(blank, 0xFF, sizeof(blank));
    assert_int_equal(
            run_update(&config, blank, sizeof(blank), 512), BATON_ERR_IS_BLANK);

    config.image_bytes = config.slot_bytes + 1;
    assert_int_equal(
            baton_update_begin(&update, &config), BATON_ERR_IMAGE_TOO_LARGE);
    assert_int_equal(world.state.stats.operations, 0);
    world_end(&world);
}

static void test_refuses_configs(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, 0x20000);
    struct baton_update_config good = configure(&world);
    struct baton_update_config config = good;
    config.slot_addr += 1;
    assert_int_equal(baton_update_begin(&update, &config), BATON_ERR_ARG);
    config = good;
    config.work_len = SECTOR - 1;
    assert_int_equal(baton_update_begin(&update, &config), BATON_ERR_ARG);
    config = good;
    config.resume_off = 100;
    assert_int_equal(baton_update_begin(&update, &config), BATON_ERR_ARG);
    static const uint32_t units[] = {3, 24, 33, 64, 4096};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        struct baton_flash flash = world.nor.flash;
        flash.program_bytes = units[i];
        config = good;
        config.flash = &flash;
        assert_int_equal(baton_update_begin(&update, &config), BATON_ERR_ARG);
    }
    config = good;
    config.flash = NULL;
    assert_int_equal(baton_update_begin(&update, &config), BATON_ERR_ARG);
    config = good;
    config.slot_addr = 0xFFFFF000u;
    assert_int_equal(baton_update_begin(&update, &config), BATON_ERR_RANGE);
    // Every overlap with the running slot, touching sides excepted.
    for (int64_t shift = -0x20000; shift <= 0x20000; shift += SECTOR) {
        config = good;
        config.slot_addr = (uint32_t)(0x30000 + shift);
        config.slot_bytes = 0x10000;
        config.running_addr = 0x30000;
        config.running_bytes = 0x8000;
        bool overlaps = config.slot_addr < 0x38000
                        && config.slot_addr + 0x10000 > 0x30000;
        assert_int_equal(baton_update_begin(&update, &config),
                overlaps ? BATON_ERR_RUNNING_SLOT : 0);
    }
    world_end(&world);
}

static void test_lengths(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, 0x10000);
    struct world_image spec = {.payload_bytes = 10000, .fill = 2};
    size_t len;
    uint8_t *image = world_make_image(&spec, &len);
    struct baton_update_config config = configure(&world);

    config.image_bytes = (uint32_t)len; // garbage behind the end
    assert_int_equal(baton_update_begin(&update, &config), 0);
    assert_int_equal(baton_update_write(&update, image, len), 0);
    assert_int_equal(baton_update_write(&update, "x", 1), BATON_ERR_RANGE);

    assert_int_equal(
            run_update(&config, image, len - 1, 1000), BATON_ERR_INCOMPLETE);
    config.image_bytes = 0;
    assert_int_equal(run_update(&config, image, len - 1, 1000),
            BATON_ERR_IMAGE_TRUNCATED);
    assert_int_equal(slot_bytes(&world)[0], 0xFF);

    // Past the slot.
    assert_int_equal(baton_update_begin(&update, &config), 0);
    assert_int_equal(baton_update_write(&update, image, len), 0);
    int err = 0;
    for (int i = 0; i < 10 && err == 0; i++) {
        err = baton_update_write(&update, image, len);
    }
    assert_int_equal(err, BATON_ERR_IMAGE_TOO_LARGE);
    free(image);
    world_end(&world);
}

// An image that fills the slot to its last byte.
static void test_exactly_full(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, 0x10000);
    struct world_image spec = {.payload_bytes = 0x10000 - 288 - 48, .fill = 2};
    size_t len;
    uint8_t *image = world_make_image(&spec, &len);
    assert_int_equal(len, 0x10000);
    struct baton_update_config config = configure(&world);
    assert_int_equal(run_update(&config, image, len, 5000), 0);
    assert_memory_equal(slot_bytes(&world), image, len);
    free(image);
    world_end(&world);
}

static void test_sha256(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, 0x20000);
    struct world_image spec = {
            .payload_bytes = 10000, .fill = 2, .no_digest = true};
    size_t len;
    uint8_t *image = world_make_image(&spec, &len);
    struct baton_hash_state hash;
    uint8_t digest[32];
    const struct baton_crypto *crypto = world.crypto;
    crypto->hash_start(crypto->context, &hash, BATON_HASH_SHA256);
    crypto->hash_update(crypto->context, &hash, image, len);
    crypto->hash_finish(crypto->context, &hash, digest);
    struct baton_update_config config = configure(&world);
    config.sha256 = digest;
    assert_int_equal(run_update(&config, image, len, 999), 0);
    assert_memory_equal(slot_bytes(&world), image, len);
    // The same with the length known, and a wrong hash.
    config.image_bytes = (uint32_t)len;
    assert_int_equal(run_update(&config, image, len, 999), 0);
    digest[31] ^= 1;
    assert_int_equal(
            run_update(&config, image, len, 999), BATON_ERR_IMAGE_SHA256);
    assert_int_equal(slot_bytes(&world)[0], 0xFF);
    free(image);
    world_end(&world);
}

// Each sector of the image differs, or not, from what is there.
static void test_identical_sectors_are_skipped(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, 0x20000);
    struct world_image spec = {.payload_bytes = 60000, .fill = 3};
    world_put_image(&world, 0x11, &spec);
    size_t len;
    uint8_t *image = world_make_image(&spec, &len);
    struct baton_update_config config = configure(&world);
    config.no_block_erase = true;
    config.image_bytes = (uint32_t)len;
    assert_int_equal(run_update(&config, image, len, 1000), 0);
    uint32_t sectors = (uint32_t)((len + SECTOR - 1) / SECTOR);
    assert_int_equal(update.stats.sectors_skipped, sectors - 1);
    assert_int_equal(update.stats.sectors_erased, 1);
    // One sector damaged: that one is written again, and the first.
    slot_bytes(&world)[5 * SECTOR + 7] ^= 1;
    assert_int_equal(run_update(&config, image, len, 1000), 0);
    assert_int_equal(update.stats.sectors_skipped, sectors - 2);
    assert_int_equal(update.stats.sectors_erased, 2);
    assert_memory_equal(slot_bytes(&world), image, len);
    free(image);
    world_end(&world);
}

// Flash that reads blank is not believed, except where this update erased it.
static void test_blank_is_not_believed(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, 0x40000);
    struct world_image spec = {.payload_bytes = 150000, .fill = 3};
    size_t len;
    uint8_t *image = world_make_image(&spec, &len);
    struct baton_update_config config = configure(&world);
    config.image_bytes = (uint32_t)len;
    config.no_block_erase = true;
    assert_int_equal(run_update(&config, image, len, 4096), 0);
    uint32_t sectors = (uint32_t)((len + SECTOR - 1) / SECTOR);
    assert_int_equal(update.stats.sectors_erased, sectors);
    world_end(&world);

    begin_world(&world, 0x40000);
    config = configure(&world);
    config.image_bytes = (uint32_t)len;
    assert_int_equal(run_update(&config, image, len, 4096), 0);
    // A blank chip counts as unfinished: its first block goes by sectors, so
    // that what an update left there is used; then whole blocks.
    assert_int_equal(update.stats.blocks_erased, 1);
    assert_int_equal(update.stats.sectors_erased, sectors - 16);
    assert_memory_equal(slot_bytes(&world), image, len);
    free(image);
    world_end(&world);
}

static void test_blocks_over_an_old_image(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, 0x40000);
    struct world_image old = {.payload_bytes = 200000, .fill = 7};
    world_put_image(&world, 0x11, &old);
    struct world_image spec = {.payload_bytes = 150000, .fill = 3};
    size_t len;
    uint8_t *image = world_make_image(&spec, &len);
    struct baton_update_config config = configure(&world);
    config.image_bytes = (uint32_t)len;
    assert_int_equal(run_update(&config, image, len, 4096), 0);
    uint32_t sectors = (uint32_t)((len + SECTOR - 1) / SECTOR);
    assert_int_equal(update.stats.blocks_erased, 2);
    assert_int_equal(update.stats.sectors_erased, sectors - 32);
    assert_memory_equal(slot_bytes(&world), image, len);
    // Beyond the image nothing was erased.
    size_t end = (len + SECTOR - 1) / SECTOR * SECTOR;
    size_t old_len;
    uint8_t *old_image = world_make_image(&old, &old_len);
    assert_memory_equal(
            slot_bytes(&world) + end, old_image + end, old_len - end);
    free(old_image);
    free(image);
    world_end(&world);
}

// Sectors in every order give the same image.
static void test_write_at_any_order(void **state) {
    (void)state;
    struct world_image spec = {.payload_bytes = 30000, .fill = 4};
    size_t len;
    uint8_t *image = world_make_image(&spec, &len);
    uint32_t sectors = (uint32_t)((len + SECTOR - 1) / SECTOR);
    for (uint32_t seed = 1; seed <= 200; seed++) {
        struct world world;
        begin_world(&world, 0x10000);
        struct baton_update_config config = configure(&world);
        config.image_bytes = (uint32_t)len;
        config.work_len = seed % 2 != 0 ? SECTOR : 2 * SECTOR;
        if (seed % 4 == 0) {
            gather(&config, seed % 16 + 1);
        }
        assert_int_equal(baton_update_begin(&update, &config), 0);
        uint32_t order[16];
        uint32_t rng = seed;
        for (uint32_t i = 0; i < sectors; i++) {
            uint32_t j = world_random(&rng) % (i + 1);
            order[i] = order[j];
            order[j] = i;
        }
        for (uint32_t i = 0; i < sectors; i++) {
            uint32_t off = order[i] * SECTOR;
            size_t take = len - off < SECTOR ? len - off : SECTOR;
            size_t half = take / 2;
            assert_int_equal(
                    baton_update_write_at(&update, off, image + off, half), 0);
            assert_int_equal(
                    baton_update_write_at(&update, off + (uint32_t)half,
                            image + off + half, take - half),
                    0);
        }
        if (baton_update_end(&update) != 0
                || memcmp(slot_bytes(&world), image, len) != 0) {
            fail_msg("order from seed %u", (unsigned)seed);
        }
        world_end(&world);
    }
    free(image);
}

static void test_write_at_refuses(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, 0x10000);
    struct world_image spec = {.payload_bytes = 30000, .fill = 4};
    size_t len;
    uint8_t *image = world_make_image(&spec, &len);
    struct baton_update_config config = configure(&world);
    assert_int_equal(baton_update_begin(&update, &config), 0);
    assert_int_equal(baton_update_write_at(&update, 100, image, 10),
            BATON_ERR_ARG); // not on a sector
    assert_int_equal(baton_update_begin(&update, &config), 0);
    assert_int_equal(baton_update_write_at(&update, 0, image, 1000), 0);
    assert_int_equal(baton_update_write_at(&update, SECTOR, image, 10),
            BATON_ERR_ARG); // leaves a sector half done
    assert_int_equal(baton_update_begin(&update, &config), 0);
    assert_int_equal(baton_update_write_at(&update, 0x11000, image, 10),
            BATON_ERR_ARG); // past the slot
    // The first sector is missing: no image, whatever lies there.
    assert_int_equal(baton_update_begin(&update, &config), 0);
    assert_int_equal(
            baton_update_write_at(&update, SECTOR, image + SECTOR, SECTOR), 0);
    assert_int_equal(baton_update_end(&update), BATON_ERR_INCOMPLETE);
    free(image);
    world_end(&world);
}

static void test_abort(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, 0x10000);
    struct baton_update_config config = configure(&world);
    assert_int_equal(baton_update_begin(&update, &config), 0);
    baton_update_abort(&update);
    assert_int_equal(baton_update_end(&update), BATON_ERR_STATE);
    assert_int_equal(baton_update_write(&update, "x", 1), BATON_ERR_STATE);
    assert_int_equal(world.state.stats.operations, 0);
    world_end(&world);
}

// What was taken can be read back at every moment, whatever is still in memory.
static void test_read_back(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, 0x20000);
    struct world_image spec = {.payload_bytes = 9000, .fill = 5};
    size_t len;
    uint8_t *image = world_make_image(&spec, &len);
    struct baton_update_config config = configure(&world);
    assert_int_equal(baton_update_begin(&update, &config), 0);
    assert_null(baton_update_head(&update));
    uint8_t *back = malloc(len);
    for (size_t at = 0; at < len; at += 61) {
        size_t take = len - at < 61 ? len - at : 61;
        assert_int_equal(baton_update_write(&update, image + at, take), 0);
        assert_int_equal(baton_update_read(&update, 0, back, at + take), 0);
        assert_memory_equal(back, image, at + take);
        size_t from = (at + take) * 2 / 3;
        size_t rest = at + take - from;
        // Flash is not asked for what waits in memory.
        uint64_t reads = world.nor.state->stats.bytes_read;
        assert_int_equal(
                baton_update_read(&update, baton_update_offset(&update), back,
                        (at + take) % 4096),
                0);
        assert_int_equal(world.nor.state->stats.bytes_read - reads, 0);
        assert_int_equal(
                baton_update_read(&update, (uint32_t)from, back, rest), 0);
        assert_memory_equal(back, image + from, rest);
        assert_int_equal(
                baton_update_read(&update, (uint32_t)from, back, rest + 1),
                BATON_ERR_ARG);
    }
    assert_memory_equal(baton_update_head(&update), image, 32);
    free(back);
    free(image);
    world_end(&world);
}

// Of an image that gathers by blocks each block is one erase and one program,
// but for the first sector; what is flushed early stays where it belongs.
static void test_gathers(void **state) {
    (void)state;
    struct world_image spec = {.payload_bytes = 150000, .fill = 6};
    size_t len;
    uint8_t *image = world_make_image(&spec, &len);
    for (uint32_t step = 1; step <= 3000; step = step * 3 + 1) {
        struct world world;
        begin_world(&world, 0x30000);
        struct baton_update_config config = configure(&world);
        config.image_bytes = (uint32_t)len;
        struct world_image old = {.fill = 8};
        world_put_image(&world, 0x11, &old);
        gather(&config, 16);
        const struct baton_nor_stats *stats = &world.nor.state->stats;
        assert_int_equal(run_update(&config, image, len, step), 0);
        assert_memory_equal(slot_bytes(&world), image, len);
        assert_int_equal(stats->block_erases, len / 65536);
        // The rest, by sectors.
        assert_int_equal(
                stats->sector_erases, (len % 65536 + SECTOR - 1) / SECTOR);
        assert_int_equal(baton_update_begin(&update, &config), 0);
        for (size_t at = 0; at < len; at += step) {
            size_t take = len - at < step ? len - at : step;
            assert_int_equal(baton_update_write(&update, image + at, take), 0);
            uint32_t whole = (uint32_t)(at + take) / SECTOR * SECTOR;
            if ((at / step) % 5 == 0) {
                assert_int_equal(baton_update_flush(&update), 0);
                assert_int_equal(baton_update_offset(&update), whole);
            }
        }
        int err = BATON_UPDATE_MORE;
        while (err == BATON_UPDATE_MORE) {
            uint64_t read = stats->bytes_read;
            err = baton_update_end_step(&update);
            // What ESP-IDF reads by one command, however much was given.
            assert_true(stats->bytes_read - read
                        <= 16384 + BATON_UPDATE_HEAD_BYTES);
        }
        assert_int_equal(err, 0);
        assert_memory_equal(slot_bytes(&world), image, len);
        assert_int_equal(baton_update_flush(&update), BATON_ERR_STATE);
        world_end(&world);
    }
    free(image);
}

// A head kept over a restart saves the first sector from being written again,
// and `end` works in steps that each read no more than a sector.
static void test_resume_head(void **state) {
    (void)state;
    struct world world;
    begin_world(&world, 0x20000);
    struct world_image spec = {.payload_bytes = 50000, .fill = 6};
    size_t len;
    uint8_t *image = world_make_image(&spec, &len);
    uint8_t digest[32];
    struct baton_hash_state hash;
    const struct baton_crypto *crypto = world.crypto;
    assert_int_equal(crypto->hash_start(NULL, &hash, BATON_HASH_SHA256), 0);
    assert_int_equal(crypto->hash_update(NULL, &hash, image, len), 0);
    assert_int_equal(crypto->hash_finish(NULL, &hash, digest), 0);
    struct baton_update_config config = configure(&world);
    config.image_bytes = (uint32_t)len;
    config.sha256 = digest;
    for (uint32_t at = SECTOR; at < len; at += SECTOR) {
        assert_int_equal(baton_update_begin(&update, &config), 0);
        assert_int_equal(baton_update_write(&update, image, at), 0);
        uint8_t head[32];
        memcpy(head, baton_update_head(&update), sizeof(head));
        // The power goes; only what is on flash and the head are left.
        struct baton_update_config resumed = config;
        resumed.resume_off = at;
        resumed.resume_head = head;
        assert_int_equal(baton_update_begin(&update, &resumed), 0);
        uint64_t erases = world.nor.state->stats.sector_erases;
        assert_int_equal(baton_update_write(&update, image + at, len - at), 0);
        uint64_t most = (len - at + SECTOR - 1) / SECTOR;
        assert_true(world.nor.state->stats.sector_erases - erases <= most);
        unsigned steps = 0;
        int err = BATON_UPDATE_MORE;
        while (err == BATON_UPDATE_MORE) {
            uint64_t read = world.nor.state->stats.bytes_read;
            err = baton_update_end_step(&update);
            assert_true(world.nor.state->stats.bytes_read - read
                        <= config.work_len + BATON_UPDATE_HEAD_BYTES);
            steps++;
        }
        assert_int_equal(err, 0);
        assert_true(steps > 2 * len / config.work_len);
        assert_memory_equal(slot_bytes(&world), image, len);
        assert_int_equal(baton_update_end_step(&update), BATON_ERR_STATE);
    }
    config.resume_head = digest;
    assert_int_equal(baton_update_begin(&update, &config), BATON_ERR_ARG);
    free(image);
    world_end(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_chunking),
            cmocka_unit_test(test_head_comes_last),
            cmocka_unit_test(test_refusals_before_erase),
            cmocka_unit_test(test_refuses_configs),
            cmocka_unit_test(test_lengths),
            cmocka_unit_test(test_exactly_full),
            cmocka_unit_test(test_sha256),
            cmocka_unit_test(test_identical_sectors_are_skipped),
            cmocka_unit_test(test_blank_is_not_believed),
            cmocka_unit_test(test_blocks_over_an_old_image),
            cmocka_unit_test(test_write_at_any_order),
            cmocka_unit_test(test_write_at_refuses),
            cmocka_unit_test(test_read_back),
            cmocka_unit_test(test_gathers),
            cmocka_unit_test(test_resume_head),
            cmocka_unit_test(test_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
