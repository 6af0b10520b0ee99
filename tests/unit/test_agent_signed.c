// Signed channels: what is fetched of a release, trials and their ends.
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

static const struct world_image old_image = {
        .fill = 1, .payload_bytes = 100000, .version = "v1"};
static const struct world_image new_image = {
        .fill = 2, .payload_bytes = 100000, .version = "v2"};
// Shares all but the first sector and the last with new_image.
static const struct world_image near_image = {
        .fill = 2, .payload_bytes = 100000, .version = "v0"};

static const struct baton_agent_source channel = {
        .url = "http://host/fw/stable.jws"};

static struct agent_world device;
static struct agent_release release;
static struct signer release_key;
static struct signer first_key;
static struct signer next_key;
static struct signer root_key;
static char keys_jws[2100];
static uint8_t *image;
static size_t image_len;

static void serve_keys(unsigned version, const struct signer *key) {
    char payload[1000];
    snprintf(payload, sizeof(payload),
            "{\"format\":1,\"version\":%u,\"expires\":1800000000,\"keys\":[%s]"
            "}",
            version, key->jwk);
    size_t len = signer_sign(
            &root_key, "baton-keys+jws", payload, keys_jws, sizeof(keys_jws));
    agent_world_serve(&device, "fw/keys.jws", keys_jws, len, "");
}

static void publish(uint32_t sequence, const struct world_image *spec) {
    free(image);
    free(release.list);
    image = world_make_image(spec, &image_len);
    device.server.file_count = 0;
    serve_keys(1, &release_key);
    agent_world_publish(
            &device, &release, &release_key, image, image_len, sequence);
}

static void begin(void) {
    struct baton_trust trust;
    if (root_key.id == 0) {
        signer_begin(&root_key, 1);
        signer_begin(&first_key, 2);
        signer_begin(&next_key, 3);
    }
    release_key = first_key;
    agent_world_begin(&device, SLOT, &old_image, 1);
    device.config.product = "lamp";
    assert_int_equal(baton_trust_load(&trust, &device.store.store), 0);
    assert_int_equal(
            baton_trust_set_root(&trust, &device.store.store, root_key.key), 0);
    image = NULL;
    release.list = NULL;
    publish(7, &new_image);
}

static void end(void) {
    free(image);
    free(release.list);
    agent_world_end(&device);
}

static void boot(enum baton_cause cause) {
    assert_int_equal(agent_world_boot(&device, cause), 0);
}

static void update_to_trial(void) {
    boot(BATON_CAUSE_POWER);
    assert_int_equal(
            agent_world_update(&device, &channel), BATON_AGENT_REBOOTING);
    boot(BATON_CAUSE_RESET);
    assert_int_equal(agent_world_running(&device), 1);
}

static void test_life(void **state) {
    (void)state;
    begin();
    update_to_trial();
    assert_int_equal(device.armed_ms, 300000);
    assert_int_equal(agent_world_update(&device, &channel), 0);
    assert_int_equal(agent_world_state(&device), BATON_STATE_VALID);
    assert_int_equal(device.armed_ms, 0);
    const struct baton_agent_status *status = baton_agent_status(&device.agent);
    assert_string_equal(status->from, "v7");
    uint64_t operations = device.world.state.stats.operations;
    unsigned writes = device.store.writes;
    boot(BATON_CAUSE_POWER);
    assert_int_equal(agent_world_update(&device, &channel), 0);
    assert_int_equal(device.world.state.stats.operations, operations);
    assert_int_equal(device.store.writes, writes);
    end();
}

static void test_product(void **state) {
    (void)state;
    begin();
    device.config.product = "kettle";
    boot(BATON_CAUSE_POWER);
    assert_int_equal(
            agent_world_update(&device, &channel), BATON_ERR_MANIFEST_PRODUCT);
    device.config.product = "";
    device.config.board = "";
    boot(BATON_CAUSE_POWER);
    assert_int_equal(
            agent_world_update(&device, &channel), BATON_AGENT_REBOOTING);
    end();
}

// Of a release that shares most of its sectors with what the slot holds, the
// others are fetched.
static void test_shared_sectors(void **state) {
    (void)state;
    begin();
    world_put_image(&device.world, 0x11, &near_image);
    boot(BATON_CAUSE_POWER);
    assert_int_equal(
            agent_world_update(&device, &channel), BATON_AGENT_REBOOTING);
    uint32_t documents =
            (uint32_t)(3 * sizeof(release.jws) + sizeof(keys_jws)) + 8 * 30;
    assert_in_range(device.server.sent, SECTOR, 2 * SECTOR + documents);
    boot(BATON_CAUSE_RESET);
    assert_int_equal(agent_world_running(&device), 1);
    end();
}

// So that runs of sectors to fetch lie between those that the slot has.
#define SPOILED 3
static void spoil_sectors(void) {
    const struct baton_partition *slot = world_app(&device.world, 0x11);
    for (uint32_t i = 0; i < SPOILED; i++) {
        device.world.bytes[slot->addr + (5 + 6 * i) * SECTOR + 300] ^= 1;
    }
}

static void cut_everywhere(bool shared, const char *name) {
    static const enum baton_nor_cut modes[] = {BATON_NOR_CUT_BEFORE,
            BATON_NOR_CUT_TORN, BATON_NOR_CUT_GARBAGE, BATON_NOR_CUT_AFTER,
            BATON_NOR_CUT_WEAK};
    for (size_t mode = 0; mode < sizeof(modes) / sizeof(modes[0]); mode++) {
        for (uint64_t at = 1;; at += shared ? 1 : 7) {
            begin();
            if (shared) {
                world_put_image(&device.world, 0x11, &near_image);
                spoil_sectors();
            }
            baton_nor_plan_cut(&device.world.nor, at, modes[mode], UINT32_MAX);
            unsigned boots = 0;
            bool was_cut = false;
            int err;
            do {
                was_cut = was_cut || device.world.state.powered == 0;
                bool by_power = boots == 0 || device.world.state.powered == 0;
                err = agent_world_boot(&device,
                        by_power ? BATON_CAUSE_POWER : BATON_CAUSE_RESET);
                err = err != 0 ? err : agent_world_update(&device, &channel);
                boots++;
                bool goes_on = err == BATON_AGENT_REBOOTING
                               || device.world.state.powered == 0;
                if (err != 0 && !goes_on) {
                    fail_msg("%s, %s at %u: %s", name,
                            baton_nor_cut_name(modes[mode]), (unsigned)at,
                            baton_error_name(err));
                }
            } while (err != 0 && boots < 20);
            uint64_t documents = 4 * 4200 + boots * 600;
            uint64_t most =
                    (shared ? (4 + SPOILED) * SECTOR : image_len + 2 * SECTOR)
                    + documents;
            bool is_right = agent_world_running(&device) == 1
                            && agent_world_state(&device) == BATON_STATE_VALID
                            && device.server.sent <= most;
            if (!is_right) {
                fail_msg("%s, %s at %u: slot %u, %u bytes sent", name,
                        baton_nor_cut_name(modes[mode]), (unsigned)at,
                        (unsigned)agent_world_running(&device),
                        (unsigned)device.server.sent);
            }
            end();
            if (!was_cut) {
                break;
            }
        }
    }
}

static void test_cuts(void **state) {
    (void)state;
    cut_everywhere(false, "blank slot");
}

static void test_cuts_shared(void **state) {
    (void)state;
    cut_everywhere(true, "shared sectors");
}

// ---- Trials --------------------------------------------------------------

// Three crashes, and the old version is back; this release is over until a
// higher sequence comes.
static void test_crashes(void **state) {
    (void)state;
    begin();
    update_to_trial();
    for (unsigned i = 0; i < 2; i++) {
        boot(BATON_CAUSE_WATCHDOG);
        assert_int_equal(agent_world_running(&device), 1);
    }
    boot(BATON_CAUSE_WATCHDOG); // the third: the trial is over
    assert_int_equal(agent_world_run(&device), BATON_AGENT_REBOOTING);
    boot(BATON_CAUSE_RESET);
    assert_int_equal(agent_world_running(&device), 0);
    assert_int_equal(device.last[BATON_AGENT_EVENT_ROLLED_BACK].err,
            BATON_ERR_TRIAL_CRASHED);
    assert_int_equal(
            baton_agent_status(&device.agent)->error, BATON_ERR_TRIAL_CRASHED);
    uint64_t sent = device.server.sent;
    assert_int_equal(
            agent_world_update(&device, &channel), BATON_ERR_RELEASE_FAILED);
    assert_true(device.server.sent - sent < SECTOR);
    publish(8, &near_image);
    assert_int_equal(
            agent_world_update(&device, &channel), BATON_AGENT_REBOOTING);
    boot(BATON_CAUSE_RESET);
    assert_int_equal(agent_world_running(&device), 1);
    end();
}

// A version that dies before it can count is the bootloader's to roll back.
static void test_dies_at_once(void **state) {
    (void)state;
    begin();
    boot(BATON_CAUSE_POWER);
    assert_int_equal(
            agent_world_update(&device, &channel), BATON_AGENT_REBOOTING);
    assert_int_equal(world_boot(&device.world, NULL, &device.boot), 0);
    assert_int_equal(device.boot.index, 1); // and it never came so far
    boot(BATON_CAUSE_WATCHDOG);
    assert_int_equal(agent_world_running(&device), 0);
    assert_int_equal(device.last[BATON_AGENT_EVENT_ROLLED_BACK].err,
            BATON_ERR_TRIAL_DIED);
    assert_int_equal(
            agent_world_update(&device, &channel), BATON_ERR_RELEASE_FAILED);
    end();
}

// Nobody is there for anybody: the release is tried again, three times, and
// without fetching it.
static void test_no_network(void **state) {
    (void)state;
    begin();
    update_to_trial();
    for (unsigned i = 0; i < 3; i++) {
        device.server.open_err = BATON_ERR_NET_DNS;
        assert_int_equal(
                agent_world_update(&device, &channel), BATON_AGENT_REBOOTING);
        boot(BATON_CAUSE_RESET);
        assert_int_equal(agent_world_running(&device), 0);
        assert_int_equal(device.last[BATON_AGENT_EVENT_ROLLED_BACK].err,
                BATON_ERR_TRIAL_NO_NETWORK);
        device.server.open_err = 0;
        uint64_t sent = device.server.sent;
        uint64_t start = device.now_ms;
        int result = agent_world_update(&device, &channel);
        assert_true(device.server.sent - sent < 4 * SECTOR);
        assert_true(i == 2 || device.now_ms - start >= (i + 1) * 300000);
        if (i == 2) {
            assert_int_equal(result, BATON_ERR_RELEASE_FAILED);
            break;
        }
        assert_int_equal(result, BATON_AGENT_REBOOTING);
        boot(BATON_CAUSE_RESET);
        assert_int_equal(agent_world_running(&device), 1);
    }
    end();
}

// The server was reached and the version still is not healthy: that counts.
static void test_unhealthy(void **state) {
    (void)state;
    begin();
    device.config.confirm_by_application = true;
    update_to_trial();
    assert_int_equal(
            agent_world_update(&device, &channel), BATON_AGENT_REBOOTING);
    boot(BATON_CAUSE_RESET);
    assert_int_equal(agent_world_running(&device), 0);
    assert_int_equal(device.last[BATON_AGENT_EVENT_ROLLED_BACK].err,
            BATON_ERR_TRIAL_TIMEOUT);
    end();
}

static void test_confirmed_by_application(void **state) {
    (void)state;
    begin();
    device.config.confirm_by_application = true;
    device.server.open_err = 0;
    update_to_trial();
    device.server.open_err = BATON_ERR_NET_CONNECT;
    assert_int_equal(baton_agent_check(&device.agent, &channel), 0);
    for (unsigned i = 0; i < 50; i++) {
        baton_agent_step(&device.agent, NULL);
    }
    assert_int_equal(agent_world_state(&device), BATON_STATE_NEW);
    assert_int_equal(baton_agent_confirm(&device.agent), 0);
    baton_agent_cancel(&device.agent); // of the check that would follow
    assert_int_equal(agent_world_run(&device), 0);
    assert_int_equal(agent_world_state(&device), BATON_STATE_VALID);
    end();
}

static void test_rejected(void **state) {
    (void)state;
    begin();
    update_to_trial();
    assert_int_equal(baton_agent_reject(&device.agent), 0);
    assert_int_equal(agent_world_run(&device), BATON_AGENT_REBOOTING);
    boot(BATON_CAUSE_RESET);
    assert_int_equal(agent_world_running(&device), 0);
    assert_int_equal(device.last[BATON_AGENT_EVENT_ROLLED_BACK].err,
            BATON_ERR_TRIAL_REJECTED);
    end();
}

// Ten boots of any cause, and a trial is over.
static void test_power_cycles(void **state) {
    (void)state;
    begin();
    update_to_trial();
    unsigned boots = 1;
    while (agent_world_running(&device) == 1 && boots < 20) {
        boot(BATON_CAUSE_POWER);
        if (device.agent.state == BATON_AGENT_REBOOTING) {
            assert_int_equal(agent_world_run(&device), BATON_AGENT_REBOOTING);
            boot(BATON_CAUSE_RESET);
        }
        boots++;
    }
    assert_int_equal(agent_world_running(&device), 0);
    assert_in_range(boots, 10, 12);
    end();
}

static void test_revert(void **state) {
    (void)state;
    begin();
    update_to_trial();
    assert_int_equal(baton_agent_revert(&device.agent), BATON_ERR_STATE);
    assert_int_equal(agent_world_update(&device, &channel), 0);
    assert_int_equal(baton_agent_revert(&device.agent), 0);
    assert_int_equal(agent_world_run(&device), BATON_AGENT_REBOOTING);
    boot(BATON_CAUSE_RESET);
    assert_int_equal(agent_world_running(&device), 0);
    assert_int_equal(agent_world_state(&device), BATON_STATE_VALID);
    assert_int_equal(
            agent_world_update(&device, &channel), BATON_ERR_RELEASE_FAILED);
    // Not into a slot that does not verify.
    world_put_image(&device.world, 0x11, &new_image);
    device.world.bytes[device.slots[1].addr + 5000] ^= 1;
    assert_int_equal(baton_agent_revert(&device.agent), 0);
    assert_int_equal(agent_world_run(&device), BATON_ERR_IMAGE_CHECKSUM);
    end();
}

// ---- Questions -----------------------------------------------------------

static unsigned asked[4];

static uint32_t say_later(void *context, enum baton_agent_question question,
        const struct baton_manifest *manifest) {
    (void)context;
    if (question == BATON_AGENT_MAY_FETCH) {
        assert_string_equal(manifest->version, "v7");
    }
    return asked[question]++ < 2 ? 60000 : 0;
}

static void test_questions(void **state) {
    (void)state;
    begin();
    memset(asked, 0, sizeof(asked));
    device.config.decide = say_later;
    uint64_t start = device.now_ms;
    update_to_trial();
    assert_true(device.now_ms - start >= 6 * 60000);
    assert_int_equal(asked[BATON_AGENT_MAY_FETCH], 3);
    assert_int_equal(asked[BATON_AGENT_MAY_SWITCH], 3);
    assert_int_equal(asked[BATON_AGENT_MAY_REBOOT], 3);
    assert_int_equal(agent_world_update(&device, &channel), 0);
    assert_int_equal(asked[BATON_AGENT_MAY_CONFIRM], 3);
    end();
}

static void test_keep_running(void **state) {
    (void)state;
    begin();
    device.config.keep_running = true;
    boot(BATON_CAUSE_POWER);
    assert_int_equal(baton_agent_switch(&device.agent), BATON_ERR_STATE);
    assert_int_equal(baton_agent_check(&device.agent, &channel), 0);
    unsigned steps = 0;
    while (baton_agent_step(&device.agent, NULL) != BATON_AGENT_READY) {
        assert_true(++steps < 100000);
    }
    assert_int_equal(agent_world_state(&device), BATON_STATE_VALID);
    assert_int_equal(baton_agent_switch(&device.agent), 0);
    assert_int_equal(
            baton_agent_step(&device.agent, NULL), BATON_AGENT_REBOOTING);
    assert_int_equal(device.reboots, 0);
    end();
}

// ---- Reports ---------------------------------------------------------------

static void test_report(void **state) {
    (void)state;
    static const uint8_t id[] = {0xA4, 0xCF, 0x12};
    begin();
    device.config.report_url = "http://host/r?k=1";
    device.config.device_id = id;
    device.config.device_id_len = sizeof(id);
    update_to_trial();
    assert_string_equal(device.server.report, "");
    assert_int_equal(agent_world_update(&device, &channel), 0);
    static const char good[] =
            "http://host/"
            "r?k=1&id=a4cf12&from=v1&to=v7&sequence=7&error=0&bytes=";
    assert_memory_equal(device.server.report, good, sizeof(good) - 1);
    // Once.
    device.server.report[0] = '\0';
    assert_int_equal(agent_world_update(&device, &channel), 0);
    boot(BATON_CAUSE_POWER);
    assert_int_equal(agent_world_update(&device, &channel), 0);
    assert_string_equal(device.server.report, "");
    // A rollback is told by the old version, as soon as it can be.
    publish(8, &near_image);
    assert_int_equal(
            agent_world_update(&device, &channel), BATON_AGENT_REBOOTING);
    boot(BATON_CAUSE_RESET);
    assert_int_equal(baton_agent_reject(&device.agent), 0);
    assert_int_equal(agent_world_run(&device), BATON_AGENT_REBOOTING);
    boot(BATON_CAUSE_RESET);
    device.server.open_err = BATON_ERR_NET_DNS;
    (void)agent_world_update(&device, &channel);
    device.server.open_err = 0;
    boot(BATON_CAUSE_POWER);
    assert_int_equal(
            agent_world_update(&device, &channel), BATON_ERR_RELEASE_FAILED);
    static const char bad[] = "http://host/r?k=1&id=a4cf12&from=v7&to=v8"
                              "&sequence=8&error=-328&bytes=";
    assert_memory_equal(device.server.report, bad, sizeof(bad) - 1);
    end();
}

// ---- Keys ----------------------------------------------------------------

// A key that was withdrawn installs nothing more, although nothing about its
// own release makes a device look for new keys.
static void test_withdrawn_key(void **state) {
    (void)state;
    begin();
    update_to_trial();
    assert_int_equal(agent_world_update(&device, &channel), 0);
    publish(9, &near_image);
    serve_keys(2, &next_key);
    assert_int_equal(
            agent_world_update(&device, &channel), BATON_ERR_KEY_UNKNOWN);
    // What the new key signs is taken.
    release_key = next_key;
    publish(9, &near_image);
    serve_keys(2, &next_key);
    assert_int_equal(
            agent_world_update(&device, &channel), BATON_AGENT_REBOOTING);
    end();
}

static void test_wrong_payload(void **state) {
    (void)state;
    begin();
    boot(BATON_CAUSE_POWER);
    image[60000] ^= 1;
    assert_int_equal(
            agent_world_update(&device, &channel), BATON_ERR_IMAGE_CHECKSUM);
    // What was fetched wrong is not believed when the right file is there.
    image[60000] ^= 1;
    assert_int_equal(
            agent_world_update(&device, &channel), BATON_AGENT_REBOOTING);
    boot(BATON_CAUSE_RESET);
    assert_int_equal(agent_world_running(&device), 1);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_life),
            cmocka_unit_test(test_product),
            cmocka_unit_test(test_shared_sectors),
            cmocka_unit_test(test_cuts),
            cmocka_unit_test(test_cuts_shared),
            cmocka_unit_test(test_crashes),
            cmocka_unit_test(test_dies_at_once),
            cmocka_unit_test(test_no_network),
            cmocka_unit_test(test_unhealthy),
            cmocka_unit_test(test_confirmed_by_application),
            cmocka_unit_test(test_rejected),
            cmocka_unit_test(test_power_cycles),
            cmocka_unit_test(test_revert),
            cmocka_unit_test(test_questions),
            cmocka_unit_test(test_keep_running),
            cmocka_unit_test(test_report),
            cmocka_unit_test(test_withdrawn_key),
            cmocka_unit_test(test_wrong_payload),
    };
    return cmocka_run_group_tests_name("agent_signed", tests, NULL, NULL);
}
