// ECDSA verification on P-256, for places where no library can be reached.
// SPDX-License-Identifier: MIT
//
// Curve and algorithm: FIPS 186-5 and SP 800-186 (secp256r1); with SHA-256 as
// the digest it is the ES256 of RFC 7518.
#ifndef BATON_FREESTANDING_P256_H
#define BATON_FREESTANDING_P256_H

#include "baton/port.h"

// Verifies one signature. All numbers are big-endian.
//
// public_key  X and Y of the key's point
// digest      of the signed message
// signature   r and s
// Stack       less than 1 KiB; about the same time for every input that is
//             not refused at once. Nothing here is secret, and nothing is kept
//             from who measures the time
// Returns     0, or BATON_ERR_SIGNATURE for everything else: r or s is 0 or not
//             below the group's order, a coordinate is not below the field's
//             prime, the point is not on the curve, or the signature is not by
//             this key
int baton_p256_verify(const uint8_t public_key[BATON_P256_KEY_BYTES],
        const uint8_t digest[BATON_SHA256_BYTES],
        const uint8_t signature[BATON_P256_SIGNATURE_BYTES]);

// The same as a callback, `verify_p256` of struct baton_crypto.
int baton_p256_callback(void *context, const uint8_t key[BATON_P256_KEY_BYTES],
        const uint8_t digest[BATON_SHA256_BYTES],
        const uint8_t signature[BATON_P256_SIGNATURE_BYTES]);

#endif
