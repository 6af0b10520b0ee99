// The one function of PSA Crypto that the tests' own images need, by the hashes
// that the board has.
// SPDX-License-Identifier: MIT
#ifndef BOARD_PSA_CRYPTO_H
#define BOARD_PSA_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

typedef int psa_status_t;

enum { PSA_SUCCESS, PSA_ALG_SHA_256 };

psa_status_t psa_crypto_init(void);
psa_status_t psa_hash_compute(int algorithm, const uint8_t *data, size_t len,
        uint8_t *hash, size_t hash_size, size_t *hash_len);

#endif
