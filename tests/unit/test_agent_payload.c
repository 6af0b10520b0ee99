// Packed and delta payloads in the agent: picked, decoded, resumed, given up.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../host/codec_encode.h"
#include "../lib/agent_world.h"
#include "baton/error.h"

#define SLOT    0x100000u
#define SECTOR  4096u
#define SEGMENT BATON_CODEC_SEGMENT_BYTES

static const struct baton_agent_source channel = {
        .url = "http://host/fw/stable.jws"};

static struct agent_world device;
static struct agent_release release;
static struct signer root_key;
static struct signer release_key;
static char keys_jws[2100];
static uint8_t *old_image;
static uint8_t *new_image;
static size_t image_len;
static struct codec_pack packed = {.encoding = BATON_CODEC_PACKED};
static struct codec_pack delta = {.encoding = BATON_CODEC_DELTA};

// Changes bytes of an image's only segment, and makes it whole again.
static void change(uint8_t *image, size_t at, uint8_t value) {
    image[image_len - 33] ^= (uint8_t)(image[at] ^ value);
    image[at] = value;
}

static void seal(uint8_t *image) {
    agent_world_sha256(image, image_len - 32, image + image_len - 32);
}

// Two images that share most of their bytes, at places that have moved.
static void make_images(void) {
    struct world_image spec = {.fill = 3, .payload_bytes = 600000};
    uint32_t seed = 5;
    old_image = world_make_image(&spec, &image_len);
    new_image = world_make_image(&spec, &image_len);
    for (size_t i = 300; i < image_len - 64; i++) {
        size_t block = i / 512;
        uint8_t value = (uint8_t)(block * 37 + (i % 512 < 16 ? i * 7 : i / 16));
        change(old_image, i, value);
    }
    for (size_t i = 300; i < image_len - 64; i++) {
        bool is_new = i % 6000 < 60;
        uint8_t value = old_image[i + (i > 200000 ? 20 : 0)];
        change(new_image, i, is_new ? (uint8_t)world_random(&seed) : value);
    }
    seal(old_image);
    seal(new_image);
    packed.new = delta.new = new_image;
    packed.new_len = delta.new_len = (uint32_t)image_len;
    delta.old = old_image;
    delta.old_len = (uint32_t)image_len;
    assert_int_equal(codec_pack(&packed), 0);
    assert_int_equal(codec_pack(&delta), 0);
    assert_true(packed.info.segment_count == 3);
    assert_true(delta.payload_len < packed.payload_len);
    assert_true(packed.payload_len < image_len);
}

static int begin_all(void **state) {
    (void)state;
    signer_begin(&root_key, 1);
    signer_begin(&release_key, 2);
    make_images();
    return 0;
}

static int end_all(void **state) {
    (void)state;
    free(old_image);
    free(new_image);
    free(packed.payload);
    free(delta.payload);
    return 0;
}

static void publish(const struct codec_pack *pack) {
    release.coded = pack->payload;
    release.coded_len = pack->payload_len;
    release.coding = pack->encoding == BATON_CODEC_DELTA ? "delta" : "packed";
    release.base = pack->old;
    release.base_len = pack->old_len;
    agent_world_publish(
            &device, &release, &release_key, new_image, image_len, 7);
}

static void begin(const struct codec_pack *pack) {
    static const struct world_image any = {0};
    struct baton_trust trust;
    agent_world_begin(&device, SLOT, &any, 1);
    memcpy(device.world.bytes + device.slots[0].addr, old_image, image_len);
    assert_int_equal(baton_trust_load(&trust, &device.store.store), 0);
    assert_int_equal(
            baton_trust_set_root(&trust, &device.store.store, root_key.key), 0);
    char payload[1000];
    snprintf(payload, sizeof(payload),
            "{\"format\":1,\"version\":1,\"expires\":1800000000,"
            "\"keys\":[%s]}",
            release_key.jwk);
    size_t len = signer_sign(
            &root_key, "baton-keys+jws", payload, keys_jws, sizeof(keys_jws));
    agent_world_serve(&device, "fw/keys.jws", keys_jws, len, "");
    publish(pack);
}

static void end(void) {
    free(release.list);
    agent_world_end(&device);
}

static void update_whole(const struct codec_pack *pack, uint8_t encoding) {
    begin(pack);
    assert_int_equal(agent_world_boot(&device, BATON_CAUSE_POWER), 0);
    assert_int_equal(
            agent_world_update(&device, &channel), BATON_AGENT_REBOOTING);
    assert_int_equal(baton_agent_status(&device.agent)->encoding, encoding);
    assert_int_equal(agent_world_boot(&device, BATON_CAUSE_RESET), 0);
    assert_int_equal(agent_world_running(&device), 1);
    assert_memory_equal(
            device.world.bytes + device.slots[1].addr, new_image, image_len);
    assert_true(device.server.sent < pack->payload_len + 16000);
    end();
}

static void test_packed(void **state) {
    (void)state;
    update_whole(&packed, BATON_CODEC_PACKED);
}

static void test_delta(void **state) {
    (void)state;
    update_whole(&delta, BATON_CODEC_DELTA);
}

// The connection breaks again and again: nothing of the payload comes twice.
static void test_broken_connection(void **state) {
    (void)state;
    for (uint64_t at = 1; at < delta.payload_len + 9000; at += 911) {
        begin(&delta);
        assert_int_equal(agent_world_boot(&device, BATON_CAUSE_POWER), 0);
        device.server.break_after = at;
        device.server.break_err = BATON_ERR_NET_RESET;
        assert_int_equal(
                agent_world_update(&device, &channel), BATON_AGENT_REBOOTING);
        assert_true(device.server.sent < delta.payload_len + 16000);
        end();
    }
}

// Without memory for the codec, or with another base, the raw image is taken;
// so it is when the payload turns out to be broken.
static void test_falls_back(void **state) {
    (void)state;
    begin(&delta);
    device.config.codec_len = 0;
    assert_int_equal(agent_world_boot(&device, BATON_CAUSE_POWER), 0);
    assert_int_equal(
            agent_world_update(&device, &channel), BATON_AGENT_REBOOTING);
    assert_int_equal(
            baton_agent_status(&device.agent)->encoding, BATON_CODEC_RAW);
    end();
    for (size_t at = 0; at < delta.payload_len; at += 97) {
        begin(&delta);
        assert_int_equal(agent_world_boot(&device, BATON_CAUSE_POWER), 0);
        delta.payload[at] ^= 0x10;
        int err = agent_world_update(&device, &channel);
        delta.payload[at] ^= 0x10;
        assert_int_equal(err, BATON_AGENT_REBOOTING);
        assert_int_equal(agent_world_boot(&device, BATON_CAUSE_RESET), 0);
        assert_int_equal(agent_world_running(&device), 1);
        assert_memory_equal(device.world.bytes + device.slots[1].addr,
                new_image, image_len);
        end();
    }
}

// A cut costs what was fetched since the restart point before it; no sector
// that was on flash is written again but the one in flight and the first.
static void cut_some(const struct codec_pack *pack, uint64_t step) {
    static const enum baton_nor_cut modes[] = {BATON_NOR_CUT_TORN,
            BATON_NOR_CUT_GARBAGE, BATON_NOR_CUT_AFTER, BATON_NOR_CUT_WEAK};
    uint32_t longest = 0;
    for (uint32_t i = 0; i < pack->info.segment_count; i++) {
        uint32_t len =
                pack->info.segment_off[i + 1] - pack->info.segment_off[i];
        longest = len > longest ? len : longest;
    }
    bool was_cut = true;
    for (uint64_t at = 1; was_cut; at += step) {
        begin(pack);
        enum baton_nor_cut mode = modes[at % 4];
        baton_nor_plan_cut(&device.world.nor, at, mode, UINT32_MAX);
        was_cut = false;
        int err = BATON_AGENT_REBOOTING;
        for (unsigned boots = 0; err != 0 && boots < 8; boots++) {
            bool by_power = boots == 0 || device.world.state.powered == 0;
            err = agent_world_boot(
                    &device, by_power ? BATON_CAUSE_POWER : BATON_CAUSE_RESET);
            err = err != 0 ? err : agent_world_update(&device, &channel);
            was_cut = was_cut || device.world.state.powered == 0;
        }
        uint64_t erased = device.world.state.stats.sector_erases
                          + 16 * device.world.state.stats.block_erases;
        bool is_right =
                err == 0 && agent_world_running(&device) == 1
                && device.server.sent < pack->payload_len + longest + 20000
                && erased < image_len / SECTOR + 32;
        if (!is_right) {
            fail_msg("%s at %u: %s, slot %u, %u bytes, %u erased",
                    baton_nor_cut_name(mode), (unsigned)at,
                    baton_error_name(err),
                    (unsigned)agent_world_running(&device),
                    (unsigned)device.server.sent, (unsigned)erased);
        }
        end();
    }
}

static void test_cuts_delta(void **state) {
    (void)state;
    cut_some(&delta, 29);
}

static void test_cuts_packed(void **state) {
    (void)state;
    cut_some(&packed, 61);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_packed),
            cmocka_unit_test(test_delta),
            cmocka_unit_test(test_broken_connection),
            cmocka_unit_test(test_falls_back),
            cmocka_unit_test(test_cuts_delta),
            cmocka_unit_test(test_cuts_packed),
    };
    return cmocka_run_group_tests_name(
            "agent_payload", tests, begin_all, end_all);
}
