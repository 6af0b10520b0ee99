// Hash functions from mbed TLS through PSA Crypto.
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

static const struct baton_crypto psa = {
        .hash_start = start_hash,
        .hash_update = update_hash,
        .hash_finish = finish_hash,
};

const struct baton_crypto *baton_crypto_psa(void) {
    // psa_crypto_init may be called again at no cost.
    return psa_crypto_init() == PSA_SUCCESS ? &psa : NULL;
}
