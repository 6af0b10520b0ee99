// Signed documents: JWS in compact form (RFC 7515), ES256 (RFC 7518).
// SPDX-License-Identifier: MIT
#ifndef BATON_JWS_H
#define BATON_JWS_H

#include "baton/json.h"
#include "baton/port.h"

#define BATON_JWS_TYPE_RELEASE "baton-release+jws"
#define BATON_JWS_TYPE_KEYS    "baton-keys+jws"

struct baton_jws_config {
    const struct baton_crypto *crypto;
    const char *type; // BATON_JWS_TYPE_*
    size_t bytes_max;
    const uint8_t (*keys)[BATON_P256_KEY_BYTES]; // one of which must have
    size_t key_count;                            // signed it
};

// Checks a document's signature and gives out its payload as checked JSON.
//
// The protected header has exactly the members alg, kid and typ; kid picks the
// key, and no key is tried that it does not name. Nothing of the payload is
// decoded before the signature holds.
//
// buf, len    overwritten from the start with the payload once the signature
//             holds; unchanged before
// Returns     0, BATON_ERR_JWS_TOO_LARGE, BATON_ERR_JWS_FORMAT,
//             _JWS_ALGORITHM, _JWS_TYPE, BATON_ERR_KEY_UNKNOWN,
//             BATON_ERR_SIGNATURE, BATON_ERR_CRYPTO,
//             BATON_ERR_JSON_FORMAT, _JSON_DUPLICATE, _JSON_LIMIT
int baton_jws_open(const struct baton_jws_config *config, char *buf, size_t len,
        struct baton_json *payload);

#endif
