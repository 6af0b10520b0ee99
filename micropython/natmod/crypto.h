// SHA-256 for the native module; MD5 is for tables, which Python reads here.
// SPDX-License-Identifier: MIT
#ifndef BATON_NATMOD_CRYPTO_H
#define BATON_NATMOD_CRYPTO_H

#include "baton/port.h"

void baton_native_crypto_init(struct baton_crypto *out);

#endif
