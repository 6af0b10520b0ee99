// The hashes of our own: the standards' vectors, and mbed TLS beside them.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "baton-freestanding/crypto.h"
#include "baton-posix/crypto.h"
#include "baton/error.h"

static struct baton_crypto own;
static uint8_t data[8192];

static uint32_t next_random(uint32_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static void fill_data(void) {
    uint32_t seed = 0x2545F491;
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)next_random(&seed);
    }
}

static size_t digest_bytes(enum baton_hash kind) {
    return kind == BATON_HASH_SHA256 ? BATON_SHA256_BYTES : BATON_MD5_BYTES;
}

static void hash_text(enum baton_hash kind, const char *text, size_t times,
        char hex[2 * BATON_SHA256_BYTES + 1]) {
    struct baton_hash_state state;
    uint8_t digest[BATON_SHA256_BYTES];
    assert_int_equal(own.hash_start(own.context, &state, kind), 0);
    for (size_t i = 0; i < times; i++) {
        assert_int_equal(
                own.hash_update(own.context, &state, text, strlen(text)), 0);
    }
    assert_int_equal(own.hash_finish(own.context, &state, digest), 0);
    for (size_t i = 0; i < digest_bytes(kind); i++) {
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
}

struct vector {
    const char *text;
    size_t times;
    const char *hex;
};

// FIPS 180-4's examples, and the empty message.
static void test_sha256_vectors(void **state) {
    (void)state;
    static const struct vector vectors[] = {
            {"", 1,
                    "e3b0c44298fc1c149afbf4c8996fb924"
                    "27ae41e4649b934ca495991b7852b855"},
            {"abc", 1,
                    "ba7816bf8f01cfea414140de5dae2223"
                    "b00361a396177a9cb410ff61f20015ad"},
            {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
                    "248d6a61d20638b8e5c026930c3e6039"
                    "a33ce45964ff2167f6ecedd419db06c1"},
            {"a", 1000000,
                    "cdc76e5c9914fb9281a1c7e284d73e67"
                    "f1809a48a497200e046d39ccc7112cd0"},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        char hex[2 * BATON_SHA256_BYTES + 1];
        hash_text(BATON_HASH_SHA256, vectors[i].text, vectors[i].times, hex);
        assert_string_equal(hex, vectors[i].hex);
    }
}

// RFC 1321, appendix A.5.
static void test_md5_vectors(void **state) {
    (void)state;
    static const struct vector vectors[] = {
            {"", 1, "d41d8cd98f00b204e9800998ecf8427e"},
            {"a", 1, "0cc175b9c0f1b6a831c399e269772661"},
            {"abc", 1, "900150983cd24fb0d6963f7d28e17f72"},
            {"message digest", 1, "f96b697d7cb7938d525a2f31aaf161d0"},
            {"abcdefghijklmnopqrstuvwxyz", 1,
                    "c3fcd3d76192e4007dfb496cca67e13b"},
            {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                    1, "d174ab98d277d9f5a5611c2c9f419d9f"},
            {"1234567890", 8, "57edf4a22be3c955ac49da2e2107b67a"},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        char hex[2 * BATON_SHA256_BYTES + 1];
        hash_text(BATON_HASH_MD5, vectors[i].text, vectors[i].times, hex);
        assert_string_equal(hex, vectors[i].hex);
    }
}

static void compute(const struct baton_crypto *crypto, enum baton_hash kind,
        size_t len, size_t first, uint8_t *digest) {
    struct baton_hash_state state;
    memset(&state, 0x5A, sizeof(state));
    assert_int_equal(crypto->hash_start(crypto->context, &state, kind), 0);
    assert_int_equal(
            crypto->hash_update(crypto->context, &state, data, first), 0);
    assert_int_equal(crypto->hash_update(crypto->context, &state, data + first,
                             len - first),
            0);
    assert_int_equal(crypto->hash_finish(crypto->context, &state, digest), 0);
}

static void compare(enum baton_hash kind, size_t len, size_t first) {
    const struct baton_crypto *psa = baton_crypto_psa();
    assert_non_null(psa);
    uint8_t want[BATON_SHA256_BYTES];
    uint8_t got[BATON_SHA256_BYTES + 1];
    memset(got, 0xA5, sizeof(got));
    compute(psa, kind, len, 0, want);
    compute(&own, kind, len, first, got);
    size_t n = digest_bytes(kind);
    if (memcmp(got, want, n) != 0 || got[n] != 0xA5) {
        fail_msg("kind %d, %zu bytes, the first %zu apart", (int)kind, len,
                first);
    }
}

// Every length up to 300, cut in two everywhere.
static void test_every_length(void **state) {
    (void)state;
    for (size_t len = 0; len <= 300; len++) {
        for (size_t first = 0; first <= len; first++) {
            compare(BATON_HASH_SHA256, len, first);
            compare(BATON_HASH_MD5, len, first);
        }
    }
}

static void test_random_pieces(void **state) {
    (void)state;
    const struct baton_crypto *psa = baton_crypto_psa();
    uint32_t seed = 0xC0FFEE11;
    for (int round = 0; round < 2000; round++) {
        struct baton_hash_state ours;
        struct baton_hash_state theirs;
        uint32_t replay = seed;
        enum baton_hash kind =
                next_random(&seed) & 1 ? BATON_HASH_SHA256 : BATON_HASH_MD5;
        own.hash_start(own.context, &ours, kind);
        psa->hash_start(psa->context, &theirs, kind);
        size_t pieces = next_random(&seed) % 12;
        for (size_t i = 0; i < pieces; i++) {
            size_t limit = next_random(&seed) & 1 ? 130 : 4000;
            size_t off = next_random(&seed) % 4096;
            size_t len = next_random(&seed) % limit;
            own.hash_update(own.context, &ours, data + off, len);
            psa->hash_update(psa->context, &theirs, data + off, len);
        }
        uint8_t got[BATON_SHA256_BYTES];
        uint8_t want[BATON_SHA256_BYTES];
        own.hash_finish(own.context, &ours, got);
        psa->hash_finish(psa->context, &theirs, want);
        if (memcmp(got, want, digest_bytes(kind)) != 0) {
            fail_msg("round %d, seed 0x%x", round, replay);
        }
    }
}

static void test_unknown_kind(void **state) {
    (void)state;
    struct baton_hash_state hash;
    assert_int_equal(own.hash_start(own.context, &hash, (enum baton_hash)2),
            BATON_ERR_CRYPTO);
}

int main(void) {
    baton_crypto_init(&own);
    fill_data();
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_sha256_vectors),
            cmocka_unit_test(test_md5_vectors),
            cmocka_unit_test(test_every_length),
            cmocka_unit_test(test_random_pieces),
            cmocka_unit_test(test_unknown_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
