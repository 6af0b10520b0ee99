// SHA-256 for the native module; MD5 is for tables, which Python reads here.
// SPDX-License-Identifier: MIT
#include "crypto.h"

#include "baton-freestanding/crypto.h"
#include "baton/error.h"

// Never called: the only hash that start_hash begins is the other one.
void baton_md5_compress(
        uint32_t words[8], const uint8_t block[BATON_DIGEST_BLOCK_BYTES]) {
    (void)words;
    (void)block;
}

static int start_hash(
        void *context, struct baton_hash_state *state, enum baton_hash kind) {
    (void)context;
    if (kind != BATON_HASH_SHA256) {
        return BATON_ERR_CRYPTO;
    }
    baton_digest_start((struct baton_digest *)state, BATON_HASH_SHA256);
    return 0;
}

static int update_hash(void *context, struct baton_hash_state *state,
        const void *data, size_t len) {
    (void)context;
    baton_digest_update((struct baton_digest *)state, data, len);
    return 0;
}

static int finish_hash(
        void *context, struct baton_hash_state *state, uint8_t *digest) {
    (void)context;
    baton_digest_finish((struct baton_digest *)state, digest);
    return 0;
}

void baton_native_crypto_init(struct baton_crypto *out) {
    out->context = NULL;
    out->hash_start = start_hash;
    out->hash_update = update_hash;
    out->hash_finish = finish_hash;
    out->verify_p256 = NULL;
}
