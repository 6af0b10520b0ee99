// Hashes and signatures from mbed TLS through PSA Crypto.
// SPDX-License-Identifier: MIT
#include "baton-posix/crypto.h"

#include <psa/crypto.h>
#include <string.h>

#include "baton/error.h"

// mbed TLS keeps a running hash inside the operation and allocates nothing, so
// an operation that is given up needs no psa_hash_abort.
_Static_assert(sizeof(psa_hash_operation_t) <= sizeof(struct baton_hash_state),
        "struct baton_hash_state is too small for this mbed TLS");

static int start_hash(
        void *context, struct baton_hash_state *state, enum baton_hash kind) {
    (void)context;
    psa_hash_operation_t *operation = (psa_hash_operation_t *)state;
    memset(state, 0, sizeof(*state));
    *operation = psa_hash_operation_init();
    psa_algorithm_t algorithm =
            kind == BATON_HASH_SHA256 ? PSA_ALG_SHA_256 : PSA_ALG_MD5;
    if (psa_hash_setup(operation, algorithm) != PSA_SUCCESS) {
        return BATON_ERR_CRYPTO;
    }
    return 0;
}

static int update_hash(void *context, struct baton_hash_state *state,
        const void *data, size_t len) {
    (void)context;
    if (len == 0) {
        return 0;
    }
    if (psa_hash_update((psa_hash_operation_t *)state, data, len)
            != PSA_SUCCESS) {
        return BATON_ERR_CRYPTO;
    }
    return 0;
}

static int finish_hash(
        void *context, struct baton_hash_state *state, uint8_t *digest) {
    (void)context;
    uint8_t out[BATON_SHA256_BYTES];
    size_t len = 0;
    if (psa_hash_finish((psa_hash_operation_t *)state, out, sizeof(out), &len)
            != PSA_SUCCESS) {
        return BATON_ERR_CRYPTO;
    }
    memcpy(digest, out, len);
    return 0;
}

static int verify_p256(void *context, const uint8_t key[BATON_P256_KEY_BYTES],
        const uint8_t digest[BATON_SHA256_BYTES],
        const uint8_t signature[BATON_P256_SIGNATURE_BYTES]) {
    (void)context;
    uint8_t point[1 + BATON_P256_KEY_BYTES] = {0x04}; // uncompressed
    memcpy(point + 1, key, BATON_P256_KEY_BYTES);
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_set_key_type(
            &attributes, PSA_KEY_TYPE_ECC_PUBLIC_KEY(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_VERIFY_HASH);
    psa_set_key_algorithm(&attributes, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
    psa_key_id_t id;
    psa_status_t status =
            psa_import_key(&attributes, point, sizeof(point), &id);
    if (status == PSA_ERROR_INVALID_ARGUMENT) {
        return BATON_ERR_SIGNATURE; // not a point of the curve
    }
    if (status != PSA_SUCCESS) {
        return BATON_ERR_CRYPTO;
    }
    status = psa_verify_hash(id, PSA_ALG_ECDSA(PSA_ALG_SHA_256), digest,
            BATON_SHA256_BYTES, signature, BATON_P256_SIGNATURE_BYTES);
    psa_destroy_key(id);
    if (status == PSA_SUCCESS) {
        return 0;
    }
    return status == PSA_ERROR_INVALID_SIGNATURE ? BATON_ERR_SIGNATURE
                                                 : BATON_ERR_CRYPTO;
}

static const struct baton_crypto psa = {
        .hash_start = start_hash,
        .hash_update = update_hash,
        .hash_finish = finish_hash,
        .verify_p256 = verify_p256,
};

const struct baton_crypto *baton_crypto_psa(void) {
    // psa_crypto_init may be called again at no cost.
    return psa_crypto_init() == PSA_SUCCESS ? &psa : NULL;
}
