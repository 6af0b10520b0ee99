// A release's manifest: read, refused.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "../lib/signed_manifest.h"
#include "baton/error.h"
#include "baton/image.h"

// ---- Reading --------------------------------------------------------------

static void test_good(void **state) {
    (void)state;
    assert_int_equal(open_with(NULL, NULL), 0);
    assert_string_equal(manifest.product, "lamp");
    assert_string_equal(manifest.board, "lamp-c3");
    assert_string_equal(manifest.version, "1.2.0");
    assert_string_equal(manifest.notes, "Caf\xC3\xA9\nlights");
    assert_string_equal(manifest.salt, "x1");
    assert_string_equal(manifest.list_path, "lists/ab12");
    assert_true(manifest.issued == 1700000000u);
    assert_true(manifest.expires == 1800000000u);
    assert_int_equal(manifest.sequence, 7);
    assert_int_equal(manifest.secure_version, 2);
    assert_int_equal(manifest.image_bytes, 100000);
    assert_int_equal(manifest.list_bytes, 200);
    assert_int_equal(manifest.chip_id, 5);
    assert_int_equal(manifest.rollout_permille, 250);
    assert_int_equal(manifest.mpy, 774);
    assert_int_equal(manifest.boot, BATON_BOOTLOADER_ROLLBACK);
    assert_int_equal(manifest.payload_count, 3);
    for (unsigned i = 0; i < 32; i++) {
        assert_int_equal(manifest.image_sha256[i], i);
        assert_int_equal(manifest.list_sha256[i], i == 0 ? 255 : i);
        assert_int_equal(manifest.payloads[0].base_sha256[i], 0);
        assert_int_equal(manifest.payloads[2].base_sha256[i], i == 0 ? 255 : i);
    }
    assert_string_equal(manifest.payloads[1].path, "payloads/cd.packed");
    assert_int_equal(manifest.payloads[1].encoding, BATON_CODEC_PACKED);
    assert_int_equal(manifest.payloads[1].profile, BATON_CODEC_PROFILE_S);
    assert_int_equal(manifest.payloads[2].profile, BATON_CODEC_PROFILE_M);
    assert_int_equal(manifest.payloads[2].base_bytes, 99000);
}

static void test_optional(void **state) {
    (void)state;
    static const char *const optional[] = {
            "board", "rollout", "boot", "secure_version", "mpy", "notes"};
    for (size_t i = 0; i < release_member_count; i++) {
        const char *name = release_members[i].name;
        int expected = BATON_ERR_MANIFEST_FORMAT;
        for (size_t k = 0; k < sizeof(optional) / sizeof(optional[0]); k++) {
            expected = strcmp(optional[k], name) == 0 ? 0 : expected;
        }
        assert_int_equal(open_with(name, NULL), expected);
    }
    open_with("rollout", NULL);
    assert_int_equal(manifest.rollout_permille, 1000);
    assert_string_equal(manifest.salt, "");
    open_with("board", NULL);
    assert_string_equal(manifest.board, "");
}

static void test_unknown_members_are_ignored(void **state) {
    (void)state;
    assert_int_equal(open_with("later", "{\"x\":[1.5,null,\"\\u00e9\"]}"), 0);
    assert_int_equal(manifest.sequence, 7);
    assert_int_equal(open_with("format", "2"), BATON_ERR_MANIFEST_VERSION);
    // A later format may change anything else.
    assert_int_equal(
            open_payload("{\"format\":2}"), BATON_ERR_MANIFEST_VERSION);
    assert_int_equal(open_payload("{\"format\":0}"), BATON_ERR_MANIFEST_FORMAT);
    assert_int_equal(open_payload("{}"), BATON_ERR_MANIFEST_FORMAT);
}

#define LONG32            "12345678901234567890123456789012"
#define LONG63            LONG32 "1234567890123456789012345678901"
#define IMAGE(bytes, sha) "{\"bytes\":" bytes ",\"sha256\":\"" sha "\"}"
#define LIST(bytes, path)                                                      \
    "{\"bytes\":" bytes ",\"sha256\":\"" OTHER_SHA256 "\",\"path\":\"" path    \
    "\"}"
#define RAW(bytes, sha)                                                        \
    "[{\"encoding\":\"raw\",\"bytes\":" bytes ",\"sha256\":\"" sha             \
    "\",\"path\":\"p\"}]"

static void test_values(void **state) {
    (void)state;
    static const struct {
        const char *name;
        const char *value;
        int err;
    } cases[] = {
            {"product", "\"" LONG32 "\"", 0},
            {"product", "\"" LONG32 "3\"", BATON_ERR_MANIFEST_FORMAT},
            {"product", "\"\"", BATON_ERR_MANIFEST_FORMAT},
            {"product", "5", BATON_ERR_MANIFEST_FORMAT},
            {"product", "\"a\\u0007\"", BATON_ERR_MANIFEST_FORMAT},
            {"product", "\"a\\n\"", BATON_ERR_MANIFEST_FORMAT},
            {"product", "\"a\\u007f\"", BATON_ERR_MANIFEST_FORMAT},
            {"version", "\"" LONG63 "\"", 0},
            {"version", "\"" LONG63 "4\"", BATON_ERR_MANIFEST_FORMAT},
            {"notes", "\"a\\tb\\u001b\"", BATON_ERR_MANIFEST_FORMAT},
            {"chip", "65534", 0},
            {"chip", "65535", BATON_ERR_MANIFEST_FORMAT},
            {"chip", "\"esp32\"", BATON_ERR_MANIFEST_FORMAT},
            {"sequence", "1", 0},
            {"sequence", "0", BATON_ERR_MANIFEST_FORMAT},
            {"sequence", "4294967295", 0},
            {"sequence", "4294967296", BATON_ERR_MANIFEST_FORMAT},
            {"sequence", "-1", BATON_ERR_MANIFEST_FORMAT},
            {"sequence", "7.0", BATON_ERR_MANIFEST_FORMAT},
            {"issued", "253402300799", BATON_ERR_MANIFEST_FORMAT},
            {"expires", "253402300799", 0},
            {"expires", "253402300800", BATON_ERR_MANIFEST_FORMAT},
            {"expires", "0", 0},
            {"expires", "1700000000", BATON_ERR_MANIFEST_FORMAT},
            {"image", IMAGE("100001", RELEASE_SHA256),
                    BATON_ERR_MANIFEST_FORMAT}, // the raw payload differs
            {"image", IMAGE("100000", OTHER_SHA256), BATON_ERR_MANIFEST_FORMAT},
            {"image", IMAGE("16777217", RELEASE_SHA256),
                    BATON_ERR_MANIFEST_FORMAT},
            {"image", IMAGE("0", RELEASE_SHA256), BATON_ERR_MANIFEST_FORMAT},
            {"image", "[]", BATON_ERR_MANIFEST_FORMAT},
            {"image",
                    IMAGE("100000", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBka"
                                    "Gxwd"),
                    BATON_ERR_MANIFEST_FORMAT},
            {"image",
                    IMAGE("100000", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBka"
                                    "Gxwd"
                                    "Hh9"),
                    BATON_ERR_MANIFEST_FORMAT}, // unused bits
            {"list", LIST("192", "lists/a"), BATON_ERR_MANIFEST_FORMAT},
            {"list", LIST("208", "lists/a"), BATON_ERR_MANIFEST_FORMAT},
            {"payloads", "[]", BATON_ERR_MANIFEST_FORMAT},
            {"payloads", "{}", BATON_ERR_MANIFEST_FORMAT},
            {"payloads", "[1]", BATON_ERR_MANIFEST_FORMAT},
            {"payloads", RAW("100000", RELEASE_SHA256), 0},
            {"payloads", RAW("99999", RELEASE_SHA256),
                    BATON_ERR_MANIFEST_FORMAT},
            {"payloads", RAW("100000", OTHER_SHA256),
                    BATON_ERR_MANIFEST_FORMAT},
            {"payloads",
                    "[{\"encoding\":\"delta\",\"profile\":\"S\",\"bytes\":1,"
                    "\"sha256\":\"" OTHER_SHA256 "\",\"path\":\"p\"}]",
                    BATON_ERR_MANIFEST_FORMAT}, // no base
            {"payloads",
                    "[{\"encoding\":\"packed\",\"profile\":\"S\",\"bytes\":0,"
                    "\"sha256\":\"" OTHER_SHA256 "\",\"path\":\"p\"}]",
                    BATON_ERR_MANIFEST_FORMAT},
            {"rollout", "{\"permille\":0,\"salt\":\"\"}", 0},
            {"rollout", "{\"permille\":1000,\"salt\":\"" LONG32 "\"}", 0},
            {"rollout", "{\"permille\":1001,\"salt\":\"\"}",
                    BATON_ERR_MANIFEST_FORMAT},
            {"rollout", "{\"permille\":10}", BATON_ERR_MANIFEST_FORMAT},
            {"boot", "255", 0},
            {"boot", "256", BATON_ERR_MANIFEST_FORMAT},
            {"mpy", "65536", BATON_ERR_MANIFEST_FORMAT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int err = open_with(cases[i].name, cases[i].value);
        if (err != cases[i].err) {
            fail_msg("%s %s: %d", cases[i].name, cases[i].value, err);
        }
    }
}

static void test_paths(void **state) {
    (void)state;
    static const struct {
        const char *path;
        int is_good;
    } cases[] = {{"a", 1}, {"a/b", 1}, {"a.b", 1}, {"A-Z_09/x.y.z", 1}, {"", 0},
            {"/a", 0}, {"a/", 0}, {"a//b", 0}, {".", 0}, {"..", 0}, {"../a", 0},
            {"a/../b", 0}, {"a/./b", 0}, {"a/.b", 0}, {"http://h/a", 0},
            {"a:b", 0}, {"//h/a", 0}, {"a?b", 0}, {"a#b", 0}, {"a%2e", 0},
            {"a b", 0}, {"a\\\\b", 0}, {"a@b", 0}, {"\\u00e9", 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char list[256];
        snprintf(list, sizeof(list), LIST("200", "%s"), cases[i].path);
        int err = open_with("list", list);
        if (err != (cases[i].is_good ? 0 : BATON_ERR_MANIFEST_FORMAT)) {
            fail_msg("%s: %d", cases[i].path, err);
        }
    }
    char path[130];
    char list[300];
    memset(path, 'a', sizeof(path));
    path[127] = 0;
    snprintf(list, sizeof(list), LIST("200", "%s"), path);
    assert_int_equal(open_with("list", list), 0);
    path[127] = 'a';
    path[128] = 0;
    snprintf(list, sizeof(list), LIST("200", "%s"), path);
    assert_int_equal(open_with("list", list), BATON_ERR_MANIFEST_FORMAT);
}

static void test_payload_count(void **state) {
    (void)state;
    for (unsigned count = 1; count <= 10; count++) {
        char list[2048] = "[";
        for (unsigned i = 0; i < count; i++) {
            strcat(list, i > 0 ? "," : "");
            strcat(list, "{\"encoding\":\"raw\",\"bytes\":100000,\"sha256\":"
                         "\"" RELEASE_SHA256 "\",\"path\":\"p\"}");
        }
        strcat(list, "]");
        assert_int_equal(open_with("payloads", list),
                count <= 8 ? 0 : BATON_ERR_MANIFEST_FORMAT);
    }
}

// ---- The signature --------------------------------------------------------

static size_t make(char *out, size_t capacity) {
    static char payload[5000];
    release_write(payload, sizeof(payload), NULL, NULL);
    return signer_sign(
            &release_key, BATON_JWS_TYPE_RELEASE, payload, out, capacity);
}

static void test_every_truncation(void **state) {
    (void)state;
    char whole[8192];
    size_t len = make(whole, sizeof(whole));
    for (size_t cut = 0; cut < len; cut++) {
        memcpy(buf, whole, cut);
        assert_int_equal(
                baton_manifest_open(&manifest, buf, cut, &trust, crypto),
                BATON_ERR_JWS_FORMAT);
    }
}

static void test_every_addition(void **state) {
    (void)state;
    size_t len = make(buf, sizeof(buf));
    for (size_t more = 1; more < 100; more++) {
        buf[len + more - 1] = more % 7 == 0 ? '.' : 'A';
        assert_int_equal(
                baton_manifest_open(&manifest, buf, len + more, &trust, crypto),
                BATON_ERR_JWS_FORMAT);
    }
}

// Whatever one byte becomes, the release is refused, and before the payload is
// decoded: the buffer is as it was.
static void test_every_byte(void **state) {
    (void)state;
    static const uint8_t flips[] = {0x01, 0x20, 0x80};
    char whole[8192];
    size_t len = make(whole, sizeof(whole));
    for (size_t at = 0; at < len; at++) {
        char wrong[8192];
        memcpy(wrong, whole, len);
        wrong[at] = (char)(wrong[at] ^ flips[at % 3]);
        memcpy(buf, wrong, len);
        int err = baton_manifest_open(&manifest, buf, len, &trust, crypto);
        if (err != BATON_ERR_SIGNATURE && err != BATON_ERR_JWS_FORMAT
                && err != BATON_ERR_JWS_ALGORITHM && err != BATON_ERR_JWS_TYPE
                && err != BATON_ERR_KEY_UNKNOWN) {
            fail_msg("byte %zu: %d", at, err);
        }
        assert_memory_equal(buf, wrong, len);
        assert_null(manifest.product);
    }
    memcpy(buf, whole, len);
    assert_int_equal(
            baton_manifest_open(&manifest, buf, len, &trust, crypto), 0);
}

static void test_header(void **state) {
    (void)state;
    static const struct {
        const char *header;
        int err;
    } cases[] = {
            {"{\"typ\":\"baton-release+jws\",\"kid\":\"%s\",\"alg\":\"ES256\"}",
                    0},
            {"{ \"alg\" : \"ES256\",\"kid\":\"%s\",\"typ\":"
             "\"baton-release+jws\" }",
                    0},
            {"{\"alg\":\"none\"}", BATON_ERR_JWS_ALGORITHM},
            {"{\"alg\":\"none\",\"kid\":\"%s\",\"typ\":\"baton-release+jws\"}",
                    BATON_ERR_JWS_ALGORITHM},
            {"{\"alg\":\"HS256\",\"kid\":\"%s\",\"typ\":\"baton-release+jws\"}",
                    BATON_ERR_JWS_ALGORITHM},
            {"{\"alg\":\"ES384\",\"kid\":\"%s\",\"typ\":\"baton-release+jws\"}",
                    BATON_ERR_JWS_ALGORITHM},
            {"{\"alg\":\"es256\",\"kid\":\"%s\",\"typ\":\"baton-release+jws\"}",
                    BATON_ERR_JWS_ALGORITHM},
            {"{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"baton-keys+jws\"}",
                    BATON_ERR_JWS_TYPE},
            {"{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"JWT\"}",
                    BATON_ERR_JWS_TYPE},
            {"{\"alg\":\"ES256\",\"kid\":\"%s\"}", BATON_ERR_JWS_FORMAT},
            {"{\"alg\":\"ES256\",\"typ\":\"baton-release+jws\"}",
                    BATON_ERR_JWS_FORMAT},
            {"{\"kid\":\"%s\",\"typ\":\"baton-release+jws\"}",
                    BATON_ERR_JWS_FORMAT},
            {"{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"baton-release+jws\","
             "\"b64\":false}",
                    BATON_ERR_JWS_FORMAT},
            {"{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"baton-release+jws\","
             "\"crit\":[]}",
                    BATON_ERR_JWS_FORMAT},
            {"{\"alg\":\"ES256\",\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":"
             "\"baton-release+jws\"}",
                    BATON_ERR_JWS_FORMAT},
            {"{\"alg\":\"ES256\",\"kid\":\"%.20s\",\"typ\":"
             "\"baton-release+jws\"}",
                    BATON_ERR_JWS_FORMAT},
            {"{\"alg\":\"ES256\",\"kid\":\"%sx\",\"typ\":\"baton-release+"
             "jws\"}",
                    BATON_ERR_JWS_FORMAT},
            {"{\"alg\":\"ES256\",\"kid\":5,\"typ\":\"baton-release+jws\"}",
                    BATON_ERR_JWS_FORMAT},
            {"{\"alg\":[],\"kid\":\"%s\",\"typ\":\"baton-release+jws\"}",
                    BATON_ERR_JWS_ALGORITHM},
            {" {\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"baton-release+"
             "jws\"}",
                    BATON_ERR_JWS_FORMAT},
            {"{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"baton-release+"
             "jws\"}\n",
                    BATON_ERR_JWS_FORMAT},
            {"[]", BATON_ERR_JWS_FORMAT},
            {"", BATON_ERR_JWS_FORMAT},
    };
    static char payload[5000];
    release_write(payload, sizeof(payload), NULL, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char header[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(header, sizeof(header), cases[i].header, release_key.key_id);
#pragma GCC diagnostic pop
        size_t len = signer_sign_raw(&release_key, header, payload,
                strlen(payload), buf, sizeof(buf));
        int err = baton_manifest_open(&manifest, buf, len, &trust, crypto);
        if (err != cases[i].err) {
            fail_msg("%s: %d", header, err);
        }
    }
}

static void test_payload_is_json_only_behind_a_signature(void **state) {
    (void)state;
    assert_int_equal(open_payload("{"), BATON_ERR_JSON_FORMAT);
    assert_int_equal(open_payload(""), BATON_ERR_JSON_FORMAT);
    assert_int_equal(
            open_payload("{\"a\":1,\"a\":2}"), BATON_ERR_JSON_DUPLICATE);
    assert_int_equal(open_payload("{\"a\":[[[[[[[[[[[1]]]]]]]]]]]}"),
            BATON_ERR_JSON_LIMIT);
    size_t len = signer_sign(
            &release_key, BATON_JWS_TYPE_RELEASE, "{", buf, sizeof(buf));
    buf[len - 10] = buf[len - 10] == 'A' ? 'B' : 'A';
    assert_int_equal(baton_manifest_open(&manifest, buf, len, &trust, crypto),
            BATON_ERR_SIGNATURE);
}

static void test_length(void **state) {
    (void)state;
    // Notes make it as long as is wanted: up to 4096 bytes are taken.
    static char notes[4096];
    static char payload[5000];
    int last = 0;
    size_t last_len = 0;
    for (size_t count = 1000; count < 3000; count++) {
        notes[0] = '"';
        memset(notes + 1, 'n', count);
        strcpy(notes + 1 + count, "\"");
        release_write(payload, sizeof(payload), "notes", notes);
        size_t len = signer_sign(&release_key, BATON_JWS_TYPE_RELEASE, payload,
                buf, sizeof(buf));
        if (len < 4090) {
            continue;
        }
        last = baton_manifest_open(&manifest, buf, len, &trust, crypto);
        last_len = len;
        assert_int_equal(last, len <= 4096 ? 0 : BATON_ERR_JWS_TOO_LARGE);
        if (last != 0) {
            break;
        }
    }
    assert_int_equal(last, BATON_ERR_JWS_TOO_LARGE);
    assert_in_range(last_len, 4097, 4099);
}

static void test_failing_crypto(void **state) {
    (void)state;
    struct baton_crypto without = *crypto;
    without.verify_p256 = NULL;
    size_t len = make(buf, sizeof(buf));
    assert_int_equal(baton_manifest_open(&manifest, buf, len, &trust, &without),
            BATON_ERR_CRYPTO);
    struct baton_trust nothing;
    baton_trust_load(&nothing, NULL);
    assert_int_equal(baton_manifest_open(&manifest, buf, len, &nothing, crypto),
            BATON_ERR_TRUST_NONE);
    baton_trust_set_root(&nothing, NULL, release_key.key);
    assert_int_equal(baton_manifest_open(&manifest, buf, len, &nothing, crypto),
            BATON_ERR_KEY_UNKNOWN); // a root signs no releases
}

// The updater's share of 8 KiB: what a release and its trust take of it.
static void test_sizes(void **state) {
    (void)state;
    assert_true(sizeof(struct baton_manifest) <= 900);
    assert_true(sizeof(struct baton_trust) <= 360);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_good),
            cmocka_unit_test(test_optional),
            cmocka_unit_test(test_unknown_members_are_ignored),
            cmocka_unit_test(test_values),
            cmocka_unit_test(test_paths),
            cmocka_unit_test(test_payload_count),
            cmocka_unit_test(test_every_truncation),
            cmocka_unit_test(test_every_addition),
            cmocka_unit_test(test_every_byte),
            cmocka_unit_test(test_header),
            cmocka_unit_test(test_payload_is_json_only_behind_a_signature),
            cmocka_unit_test(test_length),
            cmocka_unit_test(test_failing_crypto),
            cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
