// Hash functions from mbed TLS (PSA Crypto).
// SPDX-License-Identifier: MIT
#ifndef BATON_POSIX_CRYPTO_H
#define BATON_POSIX_CRYPTO_H

#include "baton/port.h"

// SHA-256 and MD5 by PSA Crypto. Initialises the library at the first call;
// NULL when that fails.
const struct baton_crypto *baton_crypto_psa(void);

#endif
