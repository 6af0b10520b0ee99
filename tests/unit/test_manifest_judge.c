// A release's manifest judged; which payload, which URL.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "../lib/signed_manifest.h"
#include "baton/error.h"
#include "baton/image.h"

// ---- Judging --------------------------------------------------------------

static const uint8_t device_id[] = {0x24, 0x0A, 0xC4, 0x01, 0x02, 0x03};
static const uint16_t modules[] = {773, 774};

static struct baton_device_facts good_facts(void) {
    return (struct baton_device_facts){.product = "lamp",
            .board = "lamp-c3",
            .id = device_id,
            .id_len = sizeof(device_id),
            .mpy = modules,
            .mpy_count = 2,
            .secure_version = 2,
            .slot_bytes = 0x180000,
            .chip_id = 5,
            .bootloader = BATON_BOOTLOADER_ROLLBACK};
}

static int judge(const struct baton_device_facts *facts,
        const struct baton_trust_time *time, bool need_clock) {
    const struct baton_manifest_options options = {
            .need_clock = need_clock, .ignore_rollout = true};
    return baton_manifest_judge(
            &manifest, &trust, crypto, facts, time, &options);
}

static void test_judge_kind(void **state) {
    (void)state;
    assert_int_equal(open_with(NULL, NULL), 0);
    const struct baton_trust_time now = {.unix_s = 1750000000, .is_set = true};
    struct baton_device_facts facts = good_facts();
    assert_int_equal(judge(&facts, &now, true), 0);
    facts.product = "lam";
    assert_int_equal(judge(&facts, &now, true), BATON_ERR_MANIFEST_PRODUCT);
    facts.product = NULL;
    assert_int_equal(judge(&facts, &now, true), 0);
    facts.board = "lamp-s3";
    assert_int_equal(judge(&facts, &now, true), BATON_ERR_MANIFEST_BOARD);
    facts.board = NULL;
    facts.chip_id = 9;
    assert_int_equal(judge(&facts, &now, true), BATON_ERR_MANIFEST_CHIP);
    facts.chip_id = BATON_CHIP_ANY;
    assert_int_equal(judge(&facts, &now, true), 0);

    assert_int_equal(open_with("board", NULL), 0); // for any board
    facts.board = "another";
    assert_int_equal(judge(&facts, &now, true), 0);
}

static void test_judge_fit(void **state) {
    (void)state;
    assert_int_equal(open_with(NULL, NULL), 0);
    const struct baton_trust_time now = {.unix_s = 1750000000, .is_set = true};
    struct baton_device_facts facts = good_facts();
    facts.secure_version = 3;
    assert_int_equal(judge(&facts, &now, true), BATON_ERR_IMAGE_SECURE_VERSION);
    facts = good_facts();
    facts.slot_bytes = 99999;
    assert_int_equal(judge(&facts, &now, true), BATON_ERR_IMAGE_TOO_LARGE);
    facts.slot_bytes = 100000;
    assert_int_equal(judge(&facts, &now, true), 0);
    facts.bootloader = BATON_BOOTLOADER_ANY;
    assert_int_equal(judge(&facts, &now, true), BATON_ERR_MANIFEST_BOOTLOADER);
    facts = good_facts();
    facts.mpy_count = 1;
    assert_int_equal(judge(&facts, &now, true), BATON_ERR_MANIFEST_MPY);
    facts.mpy_count = 0;
    assert_int_equal(judge(&facts, &now, true), 0);
    assert_int_equal(open_with("mpy", NULL), 0);
    facts.mpy_count = 2; // Baton's module would be lost
    assert_int_equal(judge(&facts, &now, true), BATON_ERR_MANIFEST_MPY);
}

static void test_judge_age(void **state) {
    (void)state;
    assert_int_equal(open_with(NULL, NULL), 0); // expires at 1800000000
    struct baton_device_facts facts = good_facts();
    struct baton_trust_time time = {.unix_s = 1799999999, .is_set = true};
    assert_int_equal(judge(&facts, &time, true), 0);
    time.unix_s++;
    assert_int_equal(judge(&facts, &time, true), BATON_ERR_MANIFEST_EXPIRED);
    // A floor is enough to tell that it is over, not that it is not.
    time.is_set = false;
    assert_int_equal(judge(&facts, &time, false), BATON_ERR_MANIFEST_EXPIRED);
    time.unix_s = 0;
    assert_int_equal(judge(&facts, &time, false), 0);
    assert_int_equal(judge(&facts, &time, true), BATON_ERR_MANIFEST_NO_CLOCK);

    time.is_set = true;
    time.unix_s = 5000;
    trust.keys_expires = 5000;
    assert_int_equal(judge(&facts, &time, true), BATON_ERR_KEYS_EXPIRED);
    trust.keys_expires = 0;
    trust.sequence = 7;
    assert_int_equal(judge(&facts, &time, true), 0);
    trust.sequence = 8;
    assert_int_equal(judge(&facts, &time, true), BATON_ERR_MANIFEST_OLD);
    trust.sequence = 0;

    assert_int_equal(open_with("expires", "0"), 0);
    time.unix_s = 253402300800;
    assert_int_equal(judge(&facts, &time, true), 0);
}

static void set_permille(uint16_t permille) {
    manifest.rollout_permille = permille;
}

static bool is_in(const uint8_t *id) {
    bool in = false;
    assert_int_equal(baton_manifest_rollout(&manifest, crypto, id, 6, &in), 0);
    return in;
}

// Every device comes in at one point and stays in; the share is as it says.
static void test_rollout(void **state) {
    (void)state;
    enum { DEVICES = 2000 };
    static const uint16_t steps[] = {0, 1, 10, 100, 250, 500, 900, 999, 1000};
    static uint8_t was_in[DEVICES];
    assert_int_equal(open_with(NULL, NULL), 0);
    for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
        int count = 0;
        set_permille(steps[s]);
        for (unsigned i = 0; i < DEVICES; i++) {
            const uint8_t id[6] = {
                    0x24, 0x0A, 0xC4, 0, (uint8_t)(i >> 8), (uint8_t)i};
            bool in = is_in(id);
            assert_true(in || !was_in[i]);
            was_in[i] = in;
            count += in;
        }
        int expected = DEVICES * steps[s] / 1000;
        assert_in_range(count + 100, expected + 30, expected + 170);
        assert_true(steps[s] != 0 || count == 0);
        assert_true(steps[s] != 1000 || count == DEVICES);
    }
    // From a hash by another program: SHA-256("x1" 00 240ac4010203) begins
    // with bc 31 16 bf, which is place 735 of 1000.
    set_permille(735);
    assert_false(is_in(device_id));
    set_permille(736);
    assert_true(is_in(device_id));
    const struct baton_trust_time now = {.unix_s = 1750000000, .is_set = true};
    struct baton_device_facts facts = good_facts();
    assert_int_equal(
            baton_manifest_judge(&manifest, &trust, crypto, &facts, &now, NULL),
            0);
    set_permille(735);
    assert_int_equal(
            baton_manifest_judge(&manifest, &trust, crypto, &facts, &now, NULL),
            BATON_ERR_MANIFEST_ROLLOUT);
    assert_int_equal(judge(&facts, &now, true), 0);
}

// ---- Payloads and URLs ----------------------------------------------------

static void test_pick(void **state) {
    (void)state;
    assert_int_equal(open_with(NULL, NULL), 0); // raw, packed S, delta M
    struct baton_manifest_wish wish = {0};
    assert_int_equal(baton_manifest_payload_pick(&manifest, &wish), 0);
    wish.state_bytes = BATON_CODEC_STATE_S_BYTES - 1;
    assert_int_equal(baton_manifest_payload_pick(&manifest, &wish), 0);
    wish.state_bytes++;
    assert_int_equal(baton_manifest_payload_pick(&manifest, &wish), 1);
    wish.state_bytes = BATON_CODEC_STATE_M_BYTES;
    assert_int_equal(baton_manifest_payload_pick(&manifest, &wish), 1);
    uint8_t base[32];
    memcpy(base, manifest.payloads[2].base_sha256, 32);
    wish.base_sha256 = base;
    wish.base_bytes = 98999;
    assert_int_equal(baton_manifest_payload_pick(&manifest, &wish), 1);
    wish.base_bytes = 99000;
    assert_int_equal(baton_manifest_payload_pick(&manifest, &wish), 2);
    base[31] ^= 1;
    assert_int_equal(baton_manifest_payload_pick(&manifest, &wish), 1);
    base[31] ^= 1;
    wish.failed = 1u << 2;
    assert_int_equal(baton_manifest_payload_pick(&manifest, &wish), 1);
    wish.failed |= 1u << 1;
    assert_int_equal(baton_manifest_payload_pick(&manifest, &wish), 0);
    wish.failed |= 1u;
    assert_int_equal(baton_manifest_payload_pick(&manifest, &wish),
            BATON_ERR_MANIFEST_PAYLOAD);
}

static void test_later_encodings_are_passed_over(void **state) {
    (void)state;
    static const char payloads[] =
            "[{\"encoding\":\"quantum\",\"bytes\":1,\"sha256\":\"" OTHER_SHA256
            "\",\"path\":\"p\"},"
            "{\"encoding\":\"packed\",\"profile\":\"XL\",\"bytes\":2,"
            "\"sha256\":\"" OTHER_SHA256 "\",\"path\":\"p\"},"
            "{\"encoding\":\"packed\",\"bytes\":3,\"sha256\":\"" OTHER_SHA256
            "\",\"path\":\"p\"},"
            "{\"encoding\":\"raw\",\"bytes\":100000,\"sha256\":"
            "\"" RELEASE_SHA256 "\",\"path\":\"p\"}]";
    assert_int_equal(open_with("payloads", payloads), 0);
    const struct baton_manifest_wish wish = {
            .state_bytes = SIZE_MAX - 1, .base_bytes = 0};
    assert_int_equal(baton_manifest_payload_pick(&manifest, &wish), 3);
}

static void test_url(void **state) {
    (void)state;
    static const struct {
        const char *channel;
        const char *wanted;
    } cases[] = {
            {"http://h/a/stable.jws", "http://h/a/p/q"},
            {"https://h:8443/stable.jws?k=/v#/x", "https://h:8443/p/q"},
            {"HTTPS://h/a/", "HTTPS://h/a/p/q"},
            {"http://h", "http://h/p/q"},
            {"http://h?x=/y", "http://h/p/q"},
            {"http://h/", "http://h/p/q"},
            {"http://", NULL},
            {"http:///a", NULL},
            {"httpx://h/a", NULL},
            {"http:/h/a", NULL},
            {"htt", NULL},
            {"ftp://h/a", NULL},
            {"/a/b", NULL},
            {"", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[64];
        const char *channel = cases[i].channel;
        const char *wanted = cases[i].wanted;
        if (wanted == NULL) {
            assert_int_equal(
                    baton_manifest_url(channel, "p/q", out, 64), BATON_ERR_ARG);
            continue;
        }
        size_t need = strlen(wanted) + 1;
        assert_int_equal(baton_manifest_url(channel, "p/q", out, need), 0);
        assert_string_equal(out, wanted);
        assert_int_equal(baton_manifest_url(channel, "p/q", out, need - 1),
                BATON_ERR_NOSPC);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_judge_kind),
            cmocka_unit_test(test_judge_fit),
            cmocka_unit_test(test_judge_age),
            cmocka_unit_test(test_rollout),
            cmocka_unit_test(test_pick),
            cmocka_unit_test(test_later_encodings_are_passed_over),
            cmocka_unit_test(test_url),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
