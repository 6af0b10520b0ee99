// P-256 verification against PSA: random keys and messages, and damaged ones.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <psa/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "baton-freestanding/p256.h"
#include "baton/error.h"

enum { KEYS = 40, MESSAGES = 8 };

static psa_algorithm_t algorithm(void) {
    return PSA_ALG_ECDSA(PSA_ALG_SHA_256);
}

static psa_key_id_t make_key(uint8_t public_key[65]) {
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_set_key_type(
            &attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&attributes, 256);
    psa_set_key_algorithm(&attributes, algorithm());
    psa_set_key_usage_flags(
            &attributes, PSA_KEY_USAGE_SIGN_HASH | PSA_KEY_USAGE_VERIFY_HASH);
    psa_key_id_t key;
    size_t len;
    assert_int_equal(psa_generate_key(&attributes, &key), PSA_SUCCESS);
    assert_int_equal(
            psa_export_public_key(key, public_key, 65, &len), PSA_SUCCESS);
    assert_int_equal(len, 65);
    return key;
}

static int ask_psa(
        psa_key_id_t key, const uint8_t *digest, const uint8_t *signature) {
    psa_status_t status =
            psa_verify_hash(key, algorithm(), digest, 32, signature, 64);
    return status == PSA_SUCCESS ? 0 : BATON_ERR_SIGNATURE;
}

static void flip_bit(uint8_t *bytes, size_t count) {
    uint8_t where[2];
    assert_int_equal(psa_generate_random(where, sizeof(where)), PSA_SUCCESS);
    bytes[where[0] % count] ^= (uint8_t)(1u << (where[1] & 7));
}

static void check_message(psa_key_id_t key, const uint8_t *point) {
    uint8_t digest[32];
    uint8_t signature[64];
    size_t len;
    assert_int_equal(psa_generate_random(digest, 32), PSA_SUCCESS);
    assert_int_equal(
            psa_sign_hash(key, algorithm(), digest, 32, signature, 64, &len),
            PSA_SUCCESS);
    assert_int_equal(baton_p256_verify(point, digest, signature), 0);
    flip_bit(signature, sizeof(signature));
    assert_int_equal(baton_p256_verify(point, digest, signature),
            ask_psa(key, digest, signature));
    assert_int_equal(
            baton_p256_verify(point, digest, signature), BATON_ERR_SIGNATURE);
}

// P256_KEYS=n: that many keys, in place of the few of a default run.
static void test_random_keys(void **state) {
    (void)state;
    const char *wanted = getenv("P256_KEYS");
    long keys = wanted != NULL ? strtol(wanted, NULL, 10) : KEYS;
    assert_true(keys > 0);
    for (long i = 0; i < keys; i++) {
        uint8_t public_key[65];
        psa_key_id_t key = make_key(public_key);
        for (int j = 0; j < MESSAGES; j++) {
            check_message(key, public_key + 1);
        }
        assert_int_equal(psa_destroy_key(key), PSA_SUCCESS);
    }
}

// The example of RFC 7515, appendix A.3: key, SHA-256 of the signing input,
// and signature.
static const uint8_t rfc_key[64] = {0x7F, 0xCD, 0xCE, 0x27, 0x70, 0xF6, 0xC4,
        0x5D, 0x41, 0x83, 0xCB, 0xEE, 0x6F, 0xDB, 0x4B, 0x7B, 0x58, 0x07, 0x33,
        0x35, 0x7B, 0xE9, 0xEF, 0x13, 0xBA, 0xCF, 0x6E, 0x3C, 0x7B, 0xD1, 0x54,
        0x45, 0xC7, 0xF1, 0x44, 0xCD, 0x1B, 0xBD, 0x9B, 0x7E, 0x87, 0x2C, 0xDF,
        0xED, 0xB9, 0xEE, 0xB9, 0xF4, 0xB3, 0x69, 0x5D, 0x6E, 0xA9, 0x0B, 0x24,
        0xAD, 0x8A, 0x46, 0x23, 0x28, 0x85, 0x88, 0xE5, 0xAD};
static const uint8_t rfc_signature[64] = {0x0E, 0xD1, 0x21, 0x53, 0x79, 0x63,
        0x6C, 0x48, 0x3C, 0x2F, 0x7F, 0x15, 0x58, 0x07, 0xD4, 0x02, 0xA3, 0xB2,
        0x28, 0x03, 0x3A, 0xF9, 0x7C, 0x7E, 0x17, 0x81, 0x9A, 0xC3, 0x16, 0x9E,
        0xA6, 0x65, 0xC5, 0x0A, 0x07, 0xD3, 0x8C, 0x3C, 0x70, 0xE5, 0xD8, 0xF1,
        0x2D, 0xAF, 0x08, 0x4A, 0x54, 0x80, 0xA6, 0x65, 0x90, 0xC5, 0xF2, 0x93,
        0x50, 0x9A, 0x8F, 0x3F, 0x7F, 0x8A, 0x83, 0xA3, 0x54, 0xD5};

static void hash_rfc_text(uint8_t digest[32]) {
    static const char text[] =
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODA"
            "sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    size_t len;
    assert_int_equal(psa_hash_compute(PSA_ALG_SHA_256, (const uint8_t *)text,
                             strlen(text), digest, 32, &len),
            PSA_SUCCESS);
}

static void test_jws_example(void **state) {
    (void)state;
    uint8_t digest[32];
    hash_rfc_text(digest);
    assert_int_equal(baton_p256_verify(rfc_key, digest, rfc_signature), 0);
    assert_int_equal(
            baton_p256_callback(NULL, rfc_key, digest, rfc_signature), 0);
}

// Every bit counts, of key, digest and signature.
static void test_every_bit(void **state) {
    (void)state;
    uint8_t all[160];
    memcpy(all, rfc_key, 64);
    hash_rfc_text(all + 64);
    memcpy(all + 96, rfc_signature, 64);
    for (size_t i = 0; i < 8 * sizeof(all); i++) {
        all[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_equal(baton_p256_verify(all, all + 64, all + 96),
                BATON_ERR_SIGNATURE);
        all[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    assert_int_equal(baton_p256_verify(all, all + 64, all + 96), 0);
}

static int setup(void **state) {
    (void)state;
    return psa_crypto_init() == PSA_SUCCESS ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_random_keys),
            cmocka_unit_test(test_jws_example),
            cmocka_unit_test(test_every_bit),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
