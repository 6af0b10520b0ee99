// Hash functions of our own, for where no library can be reached.
// SPDX-License-Identifier: MIT
//
// SHA-256 (FIPS 180-4) and MD5 (RFC 1321), made for small code and constant
// memory: no tables in RAM, no 64-bit arithmetic, 128 bytes of stack. A running
// hash is 104 bytes of the caller's. Freestanding C11: string.h's memcpy is all
// that is asked of a C library.
#ifndef BATON_FREESTANDING_CRYPTO_H
#define BATON_FREESTANDING_CRYPTO_H

#include "baton/port.h"

#define BATON_DIGEST_BLOCK_BYTES 64u

// A running hash of either kind. Fields are private.
struct baton_digest {
    uint32_t words[8];
    uint32_t blocks; // done with
    uint8_t fill;    // bytes in block, less than 64
    uint8_t kind;    // enum baton_hash
    uint8_t block[BATON_DIGEST_BLOCK_BYTES];
};

// Starts a hash; a kind that is not known gives SHA-256.
void baton_digest_start(struct baton_digest *self, enum baton_hash kind);

// Takes the next bytes; less than 512 MiB in all.
void baton_digest_update(
        struct baton_digest *self, const void *data, size_t len);

// Writes 32 bytes of SHA-256 or 16 of MD5; the hash is over.
void baton_digest_finish(struct baton_digest *self, uint8_t *out);

// SHA-256 of one piece.
void baton_digest_sha256(
        const void *data, size_t len, uint8_t out[BATON_SHA256_BYTES]);

// One block through the compression function: what the hashes are made of.
void baton_sha256_compress(
        uint32_t words[8], const uint8_t block[BATON_DIGEST_BLOCK_BYTES]);
void baton_md5_compress(
        uint32_t words[8], const uint8_t block[BATON_DIGEST_BLOCK_BYTES]);

// Fills in the callbacks; their context is not used. Native code that is loaded
// anywhere has no constants with addresses in them, so a function does it.
// verify_p256 is left NULL; where signatures are checked, put the callback of
// baton-freestanding/p256.h there.
//
// Errors of the callbacks: BATON_ERR_CRYPTO (a kind that is not known)
void baton_crypto_init(struct baton_crypto *out);

#endif
