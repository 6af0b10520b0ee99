// What SHA-256 and MD5 share: blocks of 64 bytes, padding, a length at the end.
// SPDX-License-Identifier: MIT
#include "baton-freestanding/crypto.h"

#include <string.h>

#include "baton/error.h"

#define LENGTH_OFF (BATON_DIGEST_BLOCK_BYTES - 8u)

_Static_assert(sizeof(struct baton_digest) <= sizeof(struct baton_hash_state),
        "struct baton_hash_state is too small");

// BATON_WITHOUT_MD5 is for builds that read no tables.
#ifdef BATON_WITHOUT_MD5
#define HAS_MD5 false
#else
#define HAS_MD5 true
#endif

// MD5 begins with the words 0123456789abcdef... of RFC 1321, SHA-256 with the
// fractions of the square roots of the first eight primes.
static const uint32_t first_of_md5[8] = {
        0x67452301u, 0xEFCDAB89u, 0x98BADCFEu, 0x10325476u};
static const uint32_t first_of_sha256[8] = {0x6A09E667u, 0xBB67AE85u,
        0x3C6EF372u, 0xA54FF53Au, 0x510E527Fu, 0x9B05688Cu, 0x1F83D9ABu,
        0x5BE0CD19u};

static bool is_md5(const struct baton_digest *self) {
    return HAS_MD5 && self->kind == BATON_HASH_MD5;
}

static void compress(struct baton_digest *self, const uint8_t *block) {
    if (is_md5(self)) {
        baton_md5_compress(self->words, block);
    } else {
        baton_sha256_compress(self->words, block);
    }
    self->blocks++;
}

void baton_digest_start(struct baton_digest *self, enum baton_hash kind) {
    self->kind = kind == BATON_HASH_MD5 ? BATON_HASH_MD5 : BATON_HASH_SHA256;
    self->blocks = 0;
    self->fill = 0;
    memcpy(self->words, is_md5(self) ? first_of_md5 : first_of_sha256,
            sizeof(self->words));
}

void baton_digest_update(
        struct baton_digest *self, const void *data, size_t len) {
    const uint8_t *from = data;
    while (len > 0) {
        size_t room = BATON_DIGEST_BLOCK_BYTES - self->fill;
        size_t n = len < room ? len : room;
        if (n == BATON_DIGEST_BLOCK_BYTES) {
            compress(self, from);
        } else {
            memcpy(self->block + self->fill, from, n);
            self->fill = (uint8_t)(self->fill + n);
        }
        if (self->fill == BATON_DIGEST_BLOCK_BYTES) {
            compress(self, self->block);
            self->fill = 0;
        }
        from += n;
        len -= n;
    }
}

// SHA-256 writes the highest byte first, MD5 the lowest.
static void put_word(const struct baton_digest *self, uint8_t *out, size_t at,
        uint32_t value) {
    for (size_t i = 0; i < 4; i++) {
        unsigned shift = (unsigned)(is_md5(self) ? 8u * i : 24u - 8u * i);
        out[at + i] = (uint8_t)(value >> shift);
    }
}

void baton_digest_finish(struct baton_digest *self, uint8_t *out) {
    uint32_t bits = self->blocks << 9 | (uint32_t)self->fill << 3;
    size_t at = self->fill;
    self->block[at++] = 0x80;
    if (at > LENGTH_OFF) {
        memset(self->block + at, 0, BATON_DIGEST_BLOCK_BYTES - at);
        compress(self, self->block);
        at = 0;
    }
    memset(self->block + at, 0, BATON_DIGEST_BLOCK_BYTES - at);
    put_word(self, self->block, LENGTH_OFF + (is_md5(self) ? 0u : 4u), bits);
    compress(self, self->block);
    for (size_t i = 0; i < (is_md5(self) ? 4u : 8u); i++) {
        put_word(self, out, 4u * i, self->words[i]);
    }
}

void baton_digest_sha256(
        const void *data, size_t len, uint8_t out[BATON_SHA256_BYTES]) {
    struct baton_digest digest;
    baton_digest_start(&digest, BATON_HASH_SHA256);
    baton_digest_update(&digest, data, len);
    baton_digest_finish(&digest, out);
}

static int start_hash(
        void *context, struct baton_hash_state *state, enum baton_hash kind) {
    (void)context;
    if (kind != BATON_HASH_SHA256 && (!HAS_MD5 || kind != BATON_HASH_MD5)) {
        return BATON_ERR_CRYPTO;
    }
    baton_digest_start((struct baton_digest *)state, kind);
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

void baton_crypto_init(struct baton_crypto *out) {
    out->context = NULL;
    out->hash_start = start_hash;
    out->hash_update = update_hash;
    out->hash_finish = finish_hash;
    out->verify_p256 = NULL;
}
