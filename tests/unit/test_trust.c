// What a device trusts: the store, key sets, time, and the attacks on them.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../lib/release.h"
#include "../lib/signer.h"
#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "baton/jws.h"
#include "baton/manifest.h"

static struct signer root;
static struct signer other_root;
static struct signer keys[6];
static const struct baton_crypto *crypto;
static struct memory_store memory;
static struct baton_trust trust;
static struct baton_manifest manifest;
static char buf[8192];

static const struct baton_trust_time now = {
        .unix_s = 1750000000, .is_set = true};

static int setup(void **state) {
    (void)state;
    crypto = baton_crypto_psa();
    signer_begin(&root, 100);
    signer_begin(&other_root, 101);
    for (uint8_t i = 0; i < 6; i++) {
        signer_begin(&keys[i], i);
    }
    return 0;
}

static int begin(void **state) {
    (void)state;
    memory_store_begin(&memory);
    assert_int_equal(baton_trust_load(&trust, &memory.store), 0);
    return baton_trust_set_root(&trust, &memory.store, root.key);
}

// A set of keys[first] ... keys[last]; sequence 0 leaves it out.
static size_t make_set(const struct signer *signer, unsigned version,
        unsigned long long expires, uint32_t sequence, const char *key_list) {
    char payload[3000];
    char reset[40] = "";
    if (sequence != 0) {
        snprintf(reset, sizeof(reset), ",\"sequence\":%u", sequence);
    }
    snprintf(payload, sizeof(payload),
            "{\"format\":1,\"version\":%u,\"expires\":%llu,\"keys\":[%s]%s}",
            version, expires, key_list, reset);
    return signer_sign(signer, BATON_JWS_TYPE_KEYS, payload, buf, sizeof(buf));
}

static int install(size_t len) {
    return baton_trust_install_keys(
            &trust, crypto, &memory.store, buf, len, &now);
}

static int install_key(unsigned version, uint32_t sequence, unsigned key) {
    return install(make_set(&root, version, 0, sequence, keys[key].jwk));
}

static int open_release(const struct signer *signer, const char *sequence) {
    static char payload[5000];
    release_write(payload, sizeof(payload), "sequence", sequence);
    size_t len = signer_sign(
            signer, BATON_JWS_TYPE_RELEASE, payload, buf, sizeof(buf));
    return baton_manifest_open(&manifest, buf, len, &trust, crypto);
}

static int judge_at(const struct baton_trust_time *time) {
    const struct baton_device_facts facts = {.product = "lamp",
            .board = "lamp-c3",
            .slot_bytes = 0x180000,
            .chip_id = 5,
            .bootloader = BATON_BOOTLOADER_ROLLBACK};
    const struct baton_manifest_options options = {.ignore_rollout = true};
    return baton_manifest_judge(
            &manifest, &trust, crypto, &facts, time, &options);
}

// What a device does with a release it is given.
static int take(const struct signer *signer, uint32_t sequence) {
    char text[16];
    snprintf(text, sizeof(text), "%u", sequence);
    int err = open_release(signer, text);
    err = err != 0 ? err : judge_at(&now);
    return err != 0 ? err
                    : baton_trust_note_sequence(
                            &trust, &memory.store, manifest.sequence);
}

// The device starts again.
static void reload(void) {
    assert_int_equal(baton_trust_load(&trust, &memory.store), 0);
}

// ---- Keys and the store ---------------------------------------------------

static void test_key_id(void **state) {
    (void)state;
    // The key of RFC 7515 A.3; its thumbprint by `jose jwk thp`.
    static const char text[] = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU."
                               "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    uint8_t key[64];
    char id[44];
    assert_int_equal(baton_trust_key_parse(text, key), 0);
    assert_int_equal(key[0], 0x7F);
    assert_int_equal(key[63], 0xAD);
    assert_int_equal(baton_trust_key_id(crypto, key, id), 0);
    assert_string_equal(id, "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
}

static void test_key_parse_refusals(void **state) {
    (void)state;
    char text[100];
    uint8_t key[64] = {7};
    for (size_t len = 0; len < 95; len++) {
        memset(text, 'A', sizeof(text));
        text[43] = '.';
        text[len] = 0;
        assert_int_equal(baton_trust_key_parse(text, key),
                len == 87 ? 0 : BATON_ERR_KEY_FORMAT);
    }
    memset(text, 'A', sizeof(text));
    text[87] = 0;
    assert_int_equal(baton_trust_key_parse(text, key), BATON_ERR_KEY_FORMAT);
    for (size_t at = 0; at < 87; at++) {
        memset(text, 'A', 87);
        text[43] = '.';
        text[at] = '=';
        assert_int_equal(
                baton_trust_key_parse(text, key), BATON_ERR_KEY_FORMAT);
    }
}

static void test_empty_store(void **state) {
    (void)state;
    memory_store_begin(&memory);
    assert_int_equal(baton_trust_load(&trust, &memory.store), 0);
    assert_false(trust.has_root);
    assert_int_equal(install(make_set(&root, 1, 0, 0, keys[0].jwk)),
            BATON_ERR_TRUST_NONE);
    assert_int_equal(open_release(&keys[0], "1"), BATON_ERR_TRUST_NONE);
    assert_int_equal(memory.writes, 0);
}

static void test_everything_survives_a_restart(void **state) {
    (void)state;
    char list[1024];
    snprintf(list, sizeof(list), "%s,%s,%s,%s", keys[0].jwk, keys[1].jwk,
            keys[2].jwk, keys[3].jwk);
    assert_int_equal(install(make_set(&root, 3, 0x1234567890ull, 0, list)), 0);
    assert_int_equal(take(&keys[3], 40), 0);
    struct baton_trust before = trust;
    reload();
    assert_int_equal(trust.key_count, 4);
    assert_int_equal(trust.keys_version, 3);
    assert_true(trust.keys_expires == 0x1234567890ull);
    assert_int_equal(trust.sequence, 40);
    assert_memory_equal(trust.root, root.key, 64);
    for (unsigned i = 0; i < 4; i++) {
        assert_memory_equal(trust.keys[i], keys[i].key, 64);
        assert_memory_equal(before.keys[i], keys[i].key, 64);
    }
}

static void test_nothing_new_writes_nothing(void **state) {
    (void)state;
    assert_int_equal(install_key(1, 0, 0), 0);
    assert_int_equal(take(&keys[0], 5), 0);
    unsigned writes = memory.writes;
    assert_int_equal(baton_trust_set_root(&trust, &memory.store, root.key), 0);
    assert_int_equal(install_key(1, 0, 0), 0);
    assert_int_equal(take(&keys[0], 5), 0);
    assert_int_equal(memory.writes, writes);
}

static void test_new_root_forgets_the_old_ones_keys(void **state) {
    (void)state;
    assert_int_equal(install_key(1, 0, 0), 0);
    assert_int_equal(take(&keys[0], 500), 0);
    assert_int_equal(
            baton_trust_set_root(&trust, &memory.store, other_root.key), 0);
    for (int restart = 0; restart < 2; restart++) {
        assert_int_equal(trust.key_count, 0);
        assert_int_equal(trust.keys_version, 0);
        assert_int_equal(trust.sequence, 0);
        assert_int_equal(take(&keys[0], 501), BATON_ERR_KEY_UNKNOWN);
        assert_int_equal(install_key(9, 0, 0), BATON_ERR_KEY_UNKNOWN);
        reload();
    }
    assert_int_equal(install(make_set(&other_root, 1, 0, 0, keys[1].jwk)), 0);
    assert_int_equal(take(&keys[1], 1), 0);
    reload();
    assert_int_equal(trust.sequence, 1);
}

static void test_damaged_values_trust_nothing(void **state) {
    (void)state;
    assert_int_equal(install_key(1, 0, 0), 0);
    assert_int_equal(take(&keys[0], 5), 0);
    for (int value = 0; value < 3; value++) {
        struct memory_store saved = memory;
        size_t len = memory.values[value].len;
        for (size_t wrong = 0; wrong <= len + 1; wrong++) {
            memory.values[value].len = wrong;
            int err = baton_trust_load(&trust, &memory.store);
            assert_int_equal(err, wrong == len ? 0 : BATON_ERR_TRUST_STORE);
            assert_int_equal(trust.has_root, wrong == len);
            assert_int_equal(trust.key_count, wrong == len ? 1 : 0);
        }
        memory = saved;
        memory.values[value].data[0] = 2; // of a later release
        assert_int_equal(
                baton_trust_load(&trust, &memory.store), BATON_ERR_TRUST_STORE);
        memory = saved;
    }
    reload();
}

// A write that fails leaves what is in memory and in the store as it was.
static void test_failing_writes(void **state) {
    (void)state;
    assert_int_equal(install_key(1, 0, 0), 0);
    assert_int_equal(take(&keys[0], 5), 0);
    struct memory_store stored = memory;
    for (int what = 0; what < 3; what++) {
        memory.fails_at = memory.writes + 1;
        struct baton_trust before = trust;
        int err = what == 0   ? install_key(2, 1, 1)
                  : what == 1 ? take(&keys[0], 6)
                              : baton_trust_set_root(
                                      &trust, &memory.store, other_root.key);
        assert_int_equal(err, BATON_ERR_IO);
        assert_memory_equal(&trust, &before, sizeof(trust));
        assert_memory_equal(
                memory.values, stored.values, sizeof(stored.values));
        // Nothing takes more than one write, so there is no cut in between.
        assert_int_equal(memory.writes, memory.fails_at);
        memory.fails_at = 0;
    }
}

static void test_pinned_keys(void **state) {
    (void)state;
    memory_store_begin(&memory);
    baton_trust_load(&trust, &memory.store);
    assert_int_equal(baton_trust_pin_key(&trust, keys[0].key), 0);
    assert_int_equal(take(&keys[0], 9), 0);
    assert_int_equal(take(&keys[1], 10), BATON_ERR_KEY_UNKNOWN);
    reload();
    assert_int_equal(trust.key_count, 0); // the program brings them each time
    assert_int_equal(trust.sequence, 9);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(baton_trust_pin_key(&trust, keys[i].key),
                i < 4 ? 0 : BATON_ERR_NOSPC);
    }
    begin(NULL);
    assert_int_equal(install_key(1, 0, 0), 0);
    assert_int_equal(baton_trust_pin_key(&trust, keys[1].key), BATON_ERR_STATE);
}

// ---- Key sets -------------------------------------------------------------

static void test_set_members(void **state) {
    (void)state;
    char payload[1024];
    static const struct {
        const char *text; // %s is a key
        int err;
    } cases[] = {
            {"{\"format\":1,\"version\":1,\"expires\":0,\"keys\":[%s],"
             "\"later\":[]}",
                    0},
            {"{\"format\":2}", BATON_ERR_MANIFEST_VERSION},
            {"{\"version\":1,\"expires\":0,\"keys\":[%s]}",
                    BATON_ERR_MANIFEST_FORMAT},
            {"{\"format\":1,\"expires\":0,\"keys\":[%s]}",
                    BATON_ERR_MANIFEST_FORMAT},
            {"{\"format\":1,\"version\":0,\"expires\":0,\"keys\":[%s]}",
                    BATON_ERR_MANIFEST_FORMAT},
            {"{\"format\":1,\"version\":1,\"keys\":[%s]}",
                    BATON_ERR_MANIFEST_FORMAT},
            {"{\"format\":1,\"version\":1,\"expires\":0}",
                    BATON_ERR_MANIFEST_FORMAT},
            {"{\"format\":1,\"version\":1,\"expires\":0,\"keys\":[]}",
                    BATON_ERR_MANIFEST_FORMAT},
            {"{\"format\":1,\"version\":1,\"expires\":0,\"keys\":%s}",
                    BATON_ERR_MANIFEST_FORMAT},
            {"{\"format\":1,\"version\":1,\"expires\":0,\"keys\":[%s,%s,%s,%s,"
             "%s]}",
                    BATON_ERR_MANIFEST_FORMAT},
            {"{\"format\":1,\"version\":1,\"version\":2,\"expires\":0,"
             "\"keys\":[%s]}",
                    BATON_ERR_JSON_DUPLICATE},
            {"{\"format\":1,\"version\":1,\"expires\":0,\"keys\":[%s]",
                    BATON_ERR_JSON_FORMAT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin(NULL);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(payload, sizeof(payload), cases[i].text, keys[0].jwk,
                keys[1].jwk, keys[2].jwk, keys[3].jwk, keys[4].jwk);
#pragma GCC diagnostic pop
        size_t len = signer_sign(
                &root, BATON_JWS_TYPE_KEYS, payload, buf, sizeof(buf));
        int err = install(len);
        if (err != cases[i].err) {
            fail_msg("%s: %d", cases[i].text, err);
        }
        assert_int_equal(trust.keys_version, err == 0 ? 1 : 0);
    }
}

#define X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define JWK(kty, crv, x, y, more)                                              \
    "{\"kty\":\"" kty "\",\"crv\":\"" crv "\",\"x\":\"" x "\",\"y\":\"" y      \
    "\"" more "}"

static void test_set_keys(void **state) {
    (void)state;
    static const struct {
        const char *jwk;
        int err;
    } cases[] = {
            {JWK("EC", "P-256", X, Y, ""), 0},
            {JWK("EC", "P-256", X, Y, ",\"use\":\"sig\",\"kid\":\"a\""), 0},
            {JWK("EC", "P-384", X, Y, ""), BATON_ERR_MANIFEST_FORMAT},
            {JWK("EC", "secp256k1", X, Y, ""), BATON_ERR_MANIFEST_FORMAT},
            {JWK("OKP", "P-256", X, Y, ""), BATON_ERR_MANIFEST_FORMAT},
            {JWK("EC", "P-256", X "A", Y, ""), BATON_ERR_MANIFEST_FORMAT},
            {JWK("EC", "P-256", X, "", ""), BATON_ERR_MANIFEST_FORMAT},
            {JWK("EC", "P-256", X, Y, ",\"d\":\"" X "\""),
                    BATON_ERR_MANIFEST_FORMAT}, // a private key
            {"{\"kty\":\"oct\",\"k\":\"" X "\"}", BATON_ERR_MANIFEST_FORMAT},
            {"1", BATON_ERR_MANIFEST_FORMAT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin(NULL);
        int err = install(make_set(&root, 1, 0, 0, cases[i].jwk));
        if (err != cases[i].err) {
            fail_msg("%s: %d", cases[i].jwk, err);
        }
    }
}

static void test_set_expiry(void **state) {
    (void)state;
    assert_int_equal(install(make_set(&root, 1, now.unix_s, 0, keys[0].jwk)),
            BATON_ERR_KEYS_EXPIRED);
    assert_int_equal(
            install(make_set(&root, 1, now.unix_s + 1, 0, keys[0].jwk)), 0);
    // Later its releases are not taken any more, until a new set is there.
    const struct baton_trust_time later = {.unix_s = now.unix_s + 1};
    assert_int_equal(open_release(&keys[0], "5"), 0);
    assert_int_equal(judge_at(&now), 0);
    assert_int_equal(judge_at(&later), BATON_ERR_KEYS_EXPIRED);
    assert_int_equal(install_key(2, 0, 0), 0);
    assert_int_equal(open_release(&keys[0], "5"), 0);
    assert_int_equal(judge_at(&later), 0);
}

static void test_every_byte_of_a_set(void **state) {
    (void)state;
    char whole[4096];
    size_t len = make_set(&root, 1, 0, 7, keys[0].jwk);
    memcpy(whole, buf, len);
    struct baton_trust before = trust;
    for (size_t at = 0; at < len; at++) {
        memcpy(buf, whole, len);
        buf[at] = (char)(buf[at] ^ (at % 2 == 0 ? 0x01 : 0x80));
        assert_true(install(len) < 0);
        assert_true(install(at) < 0);
        assert_memory_equal(&trust, &before, sizeof(trust));
    }
    assert_int_equal(memory.writes, 1); // the root's
    memcpy(buf, whole, len);
    assert_int_equal(install(len), 0);
    assert_int_equal(trust.sequence, 7);
}

static void test_long_set(void **state) {
    (void)state;
    char list[2048];
    snprintf(list, sizeof(list), "%.*s,\"more\":\"%01500d\"}",
            (int)strlen(keys[0].jwk) - 1, keys[0].jwk, 0);
    assert_int_equal(
            install(make_set(&root, 1, 0, 0, list)), BATON_ERR_JWS_TOO_LARGE);
}

// ---- Attacks, by TUF's names ----------------------------------------------

// Another's software: signed by a key that nobody here vouches for.
static void test_attack_arbitrary_software(void **state) {
    (void)state;
    assert_int_equal(install_key(1, 0, 0), 0);
    assert_int_equal(take(&keys[1], 5), BATON_ERR_KEY_UNKNOWN);
    // It claims to be the known key.
    struct signer liar = keys[1];
    memcpy(liar.key_id, keys[0].key_id, sizeof(liar.key_id));
    assert_int_equal(take(&liar, 5), BATON_ERR_SIGNATURE);
    // A root that nobody installed vouches for it.
    assert_int_equal(install(make_set(&other_root, 2, 0, 0, keys[1].jwk)),
            BATON_ERR_KEY_UNKNOWN);
    liar = other_root;
    memcpy(liar.key_id, root.key_id, sizeof(liar.key_id));
    assert_int_equal(install(make_set(&liar, 2, 0, 0, keys[1].jwk)),
            BATON_ERR_SIGNATURE);
    // The release key vouches for it: release keys change no keys.
    assert_int_equal(install(make_set(&keys[0], 2, 0, 0, keys[1].jwk)),
            BATON_ERR_KEY_UNKNOWN);
    liar = keys[0];
    memcpy(liar.key_id, root.key_id, sizeof(liar.key_id));
    assert_int_equal(install(make_set(&liar, 2, 0, 0, keys[1].jwk)),
            BATON_ERR_SIGNATURE);
    assert_int_equal(take(&keys[1], 5), BATON_ERR_KEY_UNKNOWN);
    assert_int_equal(take(&keys[0], 5), 0);
}

// An old release, signed and all, is given out again.
static void test_attack_rollback(void **state) {
    (void)state;
    assert_int_equal(install_key(1, 0, 0), 0);
    assert_int_equal(take(&keys[0], 8), 0);
    for (int restart = 0; restart < 2; restart++) {
        assert_int_equal(take(&keys[0], 7), BATON_ERR_MANIFEST_OLD);
        assert_int_equal(take(&keys[0], 8), 0);
        reload();
    }
    // The same with an old key set, which knew a key that was withdrawn.
    assert_int_equal(install_key(3, 0, 1), 0);
    assert_int_equal(install_key(2, 0, 0), BATON_ERR_KEYS_OLD);
    reload();
    assert_int_equal(install_key(2, 0, 0), BATON_ERR_KEYS_OLD);
    // A new key set without a reset takes the sequence number along.
    assert_int_equal(take(&keys[1], 7), BATON_ERR_MANIFEST_OLD);
    reload();
    assert_int_equal(take(&keys[1], 7), BATON_ERR_MANIFEST_OLD);
    assert_int_equal(take(&keys[1], 8), 0);
}

// The same release is given out for ever, so that a fix never arrives.
static void test_attack_freeze(void **state) {
    (void)state;
    assert_int_equal(install_key(1, 0, 0), 0);
    assert_int_equal(open_release(&keys[0], "5"), 0); // until 1800000000
    struct baton_trust_time time = {.unix_s = 1799999999, .is_set = true};
    assert_int_equal(judge_at(&time), 0);
    time.unix_s = 1800000000;
    assert_int_equal(judge_at(&time), BATON_ERR_MANIFEST_EXPIRED);
    // A clock that was turned back, or was never set, does not help beyond the
    // build of what runs.
    uint64_t build = baton_trust_build_time("Feb 01 2027", "00:00:00");
    assert_true(build > 1800000000);
    time = baton_trust_time_read(NULL, build);
    assert_int_equal(judge_at(&time), BATON_ERR_MANIFEST_EXPIRED);
}

// A release for another product, board or chip, by the right key.
static void test_attack_wrong_software(void **state) {
    (void)state;
    static const struct {
        const char *name;
        const char *value;
        int err;
    } cases[] = {{"product", "\"kettle\"", BATON_ERR_MANIFEST_PRODUCT},
            {"board", "\"lamp-s3\"", BATON_ERR_MANIFEST_BOARD},
            {"chip", "9", BATON_ERR_MANIFEST_CHIP}};
    assert_int_equal(install_key(1, 0, 0), 0);
    for (size_t i = 0; i < 3; i++) {
        static char payload[5000];
        release_write(payload, sizeof(payload), cases[i].name, cases[i].value);
        size_t len = signer_sign(
                &keys[0], BATON_JWS_TYPE_RELEASE, payload, buf, sizeof(buf));
        assert_int_equal(
                baton_manifest_open(&manifest, buf, len, &trust, crypto), 0);
        assert_int_equal(judge_at(&now), cases[i].err);
    }
    // A key set is no release, a release no key set, whoever signed them.
    size_t len = make_set(&keys[0], 2, 0, 0, keys[0].jwk);
    assert_int_equal(baton_manifest_open(&manifest, buf, len, &trust, crypto),
            BATON_ERR_JWS_TYPE);
    static char payload[5000];
    release_write(payload, sizeof(payload), NULL, NULL);
    len = signer_sign(&root, BATON_JWS_TYPE_RELEASE, payload, buf, sizeof(buf));
    assert_int_equal(install(len), BATON_ERR_JWS_TYPE);
}

// A stolen release key signs the highest number there is, and locks out every
// release of the owner; a new key set undoes it.
static void test_attack_fast_forward(void **state) {
    (void)state;
    assert_int_equal(install_key(1, 0, 0), 0);
    assert_int_equal(take(&keys[0], 12), 0);
    assert_int_equal(take(&keys[0], UINT32_MAX), 0);
    assert_int_equal(take(&keys[0], 13), BATON_ERR_MANIFEST_OLD);
    assert_int_equal(install_key(2, 12, 1), 0);
    for (int restart = 0; restart < 2; restart++) {
        assert_int_equal(trust.sequence, 12);
        assert_int_equal(take(&keys[1], 11), BATON_ERR_MANIFEST_OLD);
        assert_int_equal(take(&keys[0], UINT32_MAX), BATON_ERR_KEY_UNKNOWN);
        reload();
    }
    assert_int_equal(take(&keys[1], 13), 0);
    reload();
    assert_int_equal(trust.sequence, 13);
}

// A release key is stolen; the owner withdraws it by a new key set.
static void test_attack_key_compromise(void **state) {
    (void)state;
    char both[512];
    snprintf(both, sizeof(both), "%s,%s", keys[0].jwk, keys[1].jwk);
    assert_int_equal(install(make_set(&root, 1, 0, 0, both)), 0);
    assert_int_equal(take(&keys[0], 3), 0);
    assert_int_equal(take(&keys[1], 4), 0);
    assert_int_equal(install_key(2, 0, 1), 0);
    for (int restart = 0; restart < 2; restart++) {
        assert_int_equal(take(&keys[0], 6), BATON_ERR_KEY_UNKNOWN);
        assert_int_equal(take(&keys[1], 5), 0);
        reload();
    }
    // Who stole it cannot bring it back.
    assert_int_equal(
            install(make_set(&root, 1, 0, 0, both)), BATON_ERR_KEYS_OLD);
    assert_int_equal(
            install(make_set(&keys[0], 3, 0, 0, both)), BATON_ERR_KEY_UNKNOWN);
}

// ---- Time -----------------------------------------------------------------

static uint64_t clock_s;
static enum baton_clock_trust clock_trust;

static enum baton_clock_trust read_clock(void *context, uint64_t *unix_s) {
    (void)context;
    *unix_s = clock_s;
    return clock_trust;
}

static void test_time(void **state) {
    (void)state;
    const struct baton_clock clock = {.now = read_clock};
    static const struct {
        uint64_t clock_s;
        uint64_t build;
        enum baton_clock_trust trust;
        uint64_t unix_s;
        bool is_set;
    } cases[] = {
            {5000, 0, BATON_CLOCK_SET, 5000, true},
            {5000, 4000, BATON_CLOCK_SET, 5000, true},
            {5000, 6000, BATON_CLOCK_SET, 6000, false},
            {5000, 4000, BATON_CLOCK_FLOOR, 5000, false},
            {5000, 6000, BATON_CLOCK_FLOOR, 6000, false},
            {5000, 4000, BATON_CLOCK_NONE, 4000, false},
            {5000, 0, BATON_CLOCK_NONE, 0, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        clock_s = cases[i].clock_s;
        clock_trust = cases[i].trust;
        struct baton_trust_time time =
                baton_trust_time_read(&clock, cases[i].build);
        assert_true(time.unix_s == cases[i].unix_s);
        assert_int_equal(time.is_set, cases[i].is_set);
    }
    assert_true(baton_trust_time_read(NULL, 77).unix_s == 77);
}

// Every day of two centuries, against the C library.
static void test_build_time(void **state) {
    (void)state;
    for (time_t at = 366 * 86400L; at < 200L * 366 * 86400; at += 86399) {
        char date[32];
        char clock[32];
        struct tm *tm = gmtime(&at);
        strftime(date, sizeof(date), "%b %e %Y", tm);
        strftime(clock, sizeof(clock), "%H:%M:%S", tm);
        assert_true(
                baton_trust_build_time(date, clock) + 86400 == (uint64_t)at);
    }
    assert_true(baton_trust_build_time("Jan 02 1971", "") == 365 * 86400ull);
    static const char *const wrong[] = {"", "Sep 11", "Sep 11 20255",
            "sep 11 2025", "Sep 32 2025", "Sep  0 2025", "Sep 1x 2025",
            "Sep 11 1969", "2025-09-11", "Sep 11 2 25"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_true(baton_trust_build_time(wrong[i], "12:00:00") == 0);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void) {
    const struct CMUnitTest tests[] = {
            TEST(test_key_id),
            TEST(test_key_parse_refusals),
            TEST(test_empty_store),
            TEST(test_everything_survives_a_restart),
            TEST(test_nothing_new_writes_nothing),
            TEST(test_new_root_forgets_the_old_ones_keys),
            TEST(test_damaged_values_trust_nothing),
            TEST(test_failing_writes),
            TEST(test_pinned_keys),
            TEST(test_set_members),
            TEST(test_set_keys),
            TEST(test_set_expiry),
            TEST(test_every_byte_of_a_set),
            TEST(test_long_set),
            TEST(test_attack_arbitrary_software),
            TEST(test_attack_rollback),
            TEST(test_attack_freeze),
            TEST(test_attack_wrong_software),
            TEST(test_attack_fast_forward),
            TEST(test_attack_key_compromise),
            TEST(test_time),
            TEST(test_build_time),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
