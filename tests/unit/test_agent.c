// The agent's whole life on a chip in memory, against a server in memory.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/agent_world.h"
#include "baton/error.h"

#define SLOT   0x40000u
#define SECTOR 4096u
#define IMAGE  "http://host/new.bin"
#define STABLE "http://host/fw/stable.jws"

static const struct world_image old_image = {
        .fill = 1, .payload_bytes = 40000, .version = "v1"};

static struct agent_world device;
static uint8_t *image;
static size_t image_len;
static uint8_t image_sha256[32];
static struct signer signer;

static void begin_sized(size_t bytes, uint32_t program_bytes) {
    struct world_image spec = {
            .fill = 2, .payload_bytes = (uint32_t)bytes, .version = "v2"};
    agent_world_begin(&device, SLOT, &old_image, program_bytes);
    image = world_make_image(&spec, &image_len);
    agent_world_sha256(image, image_len, image_sha256);
    agent_world_serve(&device, "new.bin", image, image_len, "\"1\"");
}

static void begin(void) {
    begin_sized(50000, 1);
    assert_int_equal(agent_world_boot(&device, BATON_CAUSE_POWER), 0);
}

static void end(void) {
    agent_world_end(&device);
    free(image);
}

static struct baton_agent_source by_digest(void) {
    struct baton_agent_source source = {.url = IMAGE, .sha256 = image_sha256};
    return source;
}

static const struct baton_agent_source unsigned_source = {
        .url = IMAGE, .allow_unsigned = true};

// From the reset into the new version to its confirmation.
static void confirm(const struct baton_agent_source *source) {
    assert_int_equal(agent_world_boot(&device, BATON_CAUSE_RESET), 0);
    assert_int_equal(agent_world_running(&device), 1);
    assert_int_equal(agent_world_update(&device, source), 0);
    assert_int_equal(agent_world_state(&device), BATON_STATE_VALID);
}

static void test_plain(void **state) {
    (void)state;
    begin();
    struct baton_agent_source source = by_digest();
    assert_int_equal(
            agent_world_update(&device, &source), BATON_AGENT_REBOOTING);
    confirm(&source);
    assert_int_equal(device.events[BATON_AGENT_EVENT_CONFIRMED], 1);
    assert_int_equal(device.events[BATON_AGENT_EVENT_CURRENT], 1);
    // A settled device writes nothing, and asks for nothing it has.
    uint64_t operations = device.world.state.stats.operations;
    uint64_t sent = device.server.sent;
    assert_int_equal(agent_world_boot(&device, BATON_CAUSE_POWER), 0);
    assert_int_equal(agent_world_update(&device, &source), 0);
    assert_int_equal(device.world.state.stats.operations, operations);
    assert_int_equal(device.server.sent, sent);
    end();
}

static void test_unsigned_current(void **state) {
    (void)state;
    begin();
    assert_int_equal(agent_world_update(&device, &unsigned_source),
            BATON_AGENT_REBOOTING);
    confirm(&unsigned_source);
    // Nothing but the first bytes is asked for: its name is remembered.
    uint64_t sent = device.server.sent;
    assert_int_equal(agent_world_update(&device, &unsigned_source), 0);
    assert_int_equal(device.server.sent - sent, 288);
    // Another file by that name is looked at as a whole.
    image[image_len - 1] ^= 1;
    agent_world_serve(&device, "new.bin", image, image_len, "\"2\"");
    assert_int_equal(agent_world_update(&device, &unsigned_source),
            BATON_ERR_IMAGE_DIGEST);
    assert_true(device.server.sent - sent >= image_len);
    end();
}

// Nothing vouches for an image unless somebody says so.
static void test_sources(void **state) {
    (void)state;
    begin();
    struct baton_agent_source source = {.url = IMAGE};
    assert_int_equal(
            baton_agent_check(&device.agent, &source), BATON_ERR_UNSIGNED);
    source.trusted_tls = true; // which http does not have
    assert_int_equal(
            baton_agent_check(&device.agent, &source), BATON_ERR_UNSIGNED);
    source.url = "https://host/new.bin";
    assert_int_equal(baton_agent_check(&device.agent, &source), 0);
    baton_agent_cancel(&device.agent);
    source.trusted_tls = false;
    assert_int_equal(
            baton_agent_check(&device.agent, &source), BATON_ERR_UNSIGNED);
    source.url = "ftp://host/new.bin";
    assert_int_equal(baton_agent_check(&device.agent, &source), BATON_ERR_URL);
    // With a root key a digest alone does not do.
    struct baton_trust trust;
    signer_begin(&signer, 1);
    assert_int_equal(baton_trust_load(&trust, &device.store.store), 0);
    assert_int_equal(
            baton_trust_set_root(&trust, &device.store.store, signer.key), 0);
    source = by_digest();
    assert_int_equal(
            baton_agent_check(&device.agent, &source), BATON_ERR_UNSIGNED);
    source.allow_unsigned = true;
    assert_int_equal(baton_agent_check(&device.agent, &source), 0);
    assert_int_equal(
            baton_agent_check(&device.agent, &source), BATON_ERR_STATE);
    end();
}

static void test_refusals(void **state) {
    (void)state;
    begin();
    uint64_t operations = device.world.state.stats.operations;
    static uint8_t page[400] = "<!DOCTYPE html><html>";
    agent_world_serve(&device, "new.bin", page, sizeof(page), "");
    assert_int_equal(
            agent_world_update(&device, &unsigned_source), BATON_ERR_IS_HTML);
    image[12] = 5; // for another chip
    agent_world_serve(&device, "new.bin", image, image_len, "");
    assert_int_equal(agent_world_update(&device, &unsigned_source),
            BATON_ERR_IMAGE_CHIP);
    agent_world_serve(&device, "new.bin", image, SLOT + 1, "");
    assert_int_equal(agent_world_update(&device, &unsigned_source),
            BATON_ERR_IMAGE_TOO_LARGE);
    device.server.file_count = 0;
    assert_int_equal(agent_world_update(&device, &unsigned_source),
            BATON_ERR_HTTP_NOT_FOUND);
    assert_int_equal(device.world.state.stats.operations, operations);
    end();
}

// The connection breaks after each 997th byte: what came is never asked for
// again, with or without a length known before.
static void test_broken_connection(void **state) {
    (void)state;
    for (int no_length = 0; no_length < 2; no_length++) {
        for (uint64_t at = 1; at < 51000; at += 997) {
            begin();
            device.server.no_length = no_length != 0;
            device.server.break_after = at;
            device.server.break_err = BATON_ERR_NET_RESET;
            struct baton_agent_source source = by_digest();
            int result = agent_world_update(&device, &source);
            if (no_length == 0) {
                assert_int_equal(result, BATON_AGENT_REBOOTING);
                assert_int_equal(device.server.sent, image_len);
            } else if (result != BATON_AGENT_REBOOTING) {
                // Without a length it cannot be continued, and says so.
                fail_msg("at %u: %d", (unsigned)at, result);
            }
            end();
        }
    }
}

static void test_no_ranges(void **state) {
    (void)state;
    begin();
    device.server.no_ranges = true;
    device.server.break_after = 30000;
    device.server.break_err = BATON_ERR_NET_RESET;
    struct baton_agent_source source = by_digest();
    assert_int_equal(
            agent_world_update(&device, &source), BATON_AGENT_REBOOTING);
    assert_in_range(device.server.sent, image_len + 29000, image_len + 30000);
    end();
}

// The file is replaced while it is fetched: what comes out is the new one.
static void replace_midway(const char *old_etag, const char *new_etag) {
    begin();
    agent_world_serve(&device, "new.bin", image, image_len, old_etag);
    device.server.break_after = 30000;
    device.server.break_err = BATON_ERR_NET_RESET;
    assert_int_equal(baton_agent_check(&device.agent, &unsigned_source), 0);
    while (device.events[BATON_AGENT_EVENT_RETRY] == 0) {
        baton_agent_step(&device.agent, NULL);
    }
    struct world_image other = {.fill = 9, .payload_bytes = 50000};
    size_t len;
    uint8_t *replaced = world_make_image(&other, &len);
    agent_world_serve(&device, "new.bin", replaced, len, new_etag);
    assert_int_equal(agent_world_run(&device), BATON_AGENT_REBOOTING);
    assert_int_equal(agent_world_boot(&device, BATON_CAUSE_RESET), 0);
    assert_int_equal(agent_world_running(&device), 1);
    assert_memory_equal(
            device.world.bytes + device.slots[1].addr, replaced, len);
    free(replaced);
    end();
}

static void test_changed(void **state) {
    (void)state;
    replace_midway("\"1\"", "\"2\"");
}

// Nothing tells the two files apart: once more, all of it.
static void test_changed_unnoticed(void **state) {
    (void)state;
    replace_midway("", "");
}

static void test_back_off(void **state) {
    (void)state;
    begin();
    device.server.open_err = BATON_ERR_NET_CONNECT;
    uint64_t start = device.now_ms;
    assert_int_equal(agent_world_update(&device, &unsigned_source),
            BATON_ERR_NET_CONNECT);
    assert_int_equal(device.events[BATON_AGENT_EVENT_RETRY], 10);
    assert_in_range(device.now_ms - start, 500000, 1100000);
    // The server's own wish counts.
    device.server.open_err = BATON_ERR_HTTP_BUSY;
    device.server.retry_after_s = 120;
    start = device.now_ms;
    assert_int_equal(
            agent_world_update(&device, &unsigned_source), BATON_ERR_HTTP_BUSY);
    assert_true(device.now_ms - start >= 1200000);
    end();
}

// ---- Power cuts ----------------------------------------------------------

static const enum baton_nor_cut cuts[] = {BATON_NOR_CUT_BEFORE,
        BATON_NOR_CUT_TORN, BATON_NOR_CUT_GARBAGE, BATON_NOR_CUT_AFTER,
        BATON_NOR_CUT_WEAK};

// Runs to the confirmed new version, through a cut of whatever comes first.
// Returns how many times it was cut.
static unsigned run_through(
        const struct baton_agent_source *source, const char *id) {
    unsigned count = 0;
    for (unsigned boots = 0; boots < 20; boots++) {
        enum baton_cause cause = boots == 0 || device.world.state.powered == 0
                                         ? BATON_CAUSE_POWER
                                         : BATON_CAUSE_RESET;
        int err = agent_world_boot(&device, cause);
        if (err == 0) {
            err = agent_world_update(&device, source);
        }
        if (device.world.state.powered == 0) {
            count++;
        } else if (err == 0 && agent_world_running(&device) == 1
                   && agent_world_state(&device) == BATON_STATE_VALID) {
            return count;
        } else if (err != 0 && err != BATON_AGENT_REBOOTING) {
            fail_msg("%s: %s", id, baton_error_name(err));
        }
    }
    fail_msg("%s: no end", id);
    return count;
}

// The bytes that come twice because of one cut: the sector in flight, what the
// transport had read of the next one, and the documents.
static void cut_everywhere(const struct baton_agent_source *source,
        void (*prepare)(void), uint32_t documents) {
    for (size_t mode = 0; mode < sizeof(cuts) / sizeof(cuts[0]); mode++) {
        for (uint64_t at = 1;; at++) {
            char id[64];
            snprintf(id, sizeof(id), "mode %s at %u",
                    baton_nor_cut_name(cuts[mode]), (unsigned)at);
            prepare();
            baton_nor_plan_cut(&device.world.nor, at, cuts[mode], UINT32_MAX);
            unsigned count = run_through(source, id);
            uint64_t most = image_len + 2 * SECTOR + documents;
            if (device.server.sent > most) {
                fail_msg("%s: %u bytes were sent, not %u", id,
                        (unsigned)device.server.sent, (unsigned)most);
            }
            assert_memory_equal(device.world.bytes + device.slots[1].addr,
                    image, image_len);
            end();
            if (count == 0) {
                assert_true(at > 200);
                break;
            }
        }
    }
}

static void prepare_plain(void) {
    begin_sized(50000, 1);
}

static void prepare_encrypted(void) {
    begin_sized(50000, 16);
}

static void test_cuts_by_digest(void **state) {
    (void)state;
    prepare_plain();
    struct baton_agent_source source = by_digest();
    end();
    cut_everywhere(&source, prepare_plain, 2 * 288);
}

static void test_cuts_unsigned(void **state) {
    (void)state;
    cut_everywhere(&unsigned_source, prepare_plain, 4 * 288);
}

static void test_cuts_encrypted(void **state) {
    (void)state;
    prepare_encrypted();
    struct baton_agent_source source = by_digest();
    end();
    cut_everywhere(&source, prepare_encrypted, 2 * 288);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_plain),
            cmocka_unit_test(test_unsigned_current),
            cmocka_unit_test(test_sources),
            cmocka_unit_test(test_refusals),
            cmocka_unit_test(test_broken_connection),
            cmocka_unit_test(test_no_ranges),
            cmocka_unit_test(test_changed),
            cmocka_unit_test(test_changed_unnoticed),
            cmocka_unit_test(test_back_off),
            cmocka_unit_test(test_cuts_by_digest),
            cmocka_unit_test(test_cuts_unsigned),
            cmocka_unit_test(test_cuts_encrypted),
    };
    return cmocka_run_group_tests_name("agent", tests, NULL, NULL);
}
