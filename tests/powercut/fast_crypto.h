// Hashes by OpenSSL, for sweeps.
// SPDX-License-Identifier: MIT
#ifndef BATON_TESTS_FAST_CRYPTO_H
#define BATON_TESTS_FAST_CRYPTO_H

#include "baton/port.h"

const struct baton_crypto *fast_crypto(void);

#endif
