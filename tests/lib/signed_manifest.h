// A manifest that was signed by a key which is trusted, and opened.
// SPDX-License-Identifier: MIT
#ifndef BATON_TESTS_SIGNED_MANIFEST_H
#define BATON_TESTS_SIGNED_MANIFEST_H

#include "baton-posix/crypto.h"
#include "baton/jws.h"
#include "baton/manifest.h"
#include "release.h"
#include "signer.h"

static struct signer release_key;
static struct baton_trust trust;
static const struct baton_crypto *crypto;
static struct baton_manifest manifest;
static char buf[8192];

static inline int setup(void **state) {
    (void)state;
    crypto = baton_crypto_psa();
    signer_begin(&release_key, 1);
    baton_trust_load(&trust, NULL);
    return baton_trust_pin_key(&trust, release_key.key);
}

static inline int open_payload(const char *payload) {
    size_t len = signer_sign(
            &release_key, BATON_JWS_TYPE_RELEASE, payload, buf, sizeof(buf));
    return baton_manifest_open(&manifest, buf, len, &trust, crypto);
}

static inline int open_with(const char *name, const char *value) {
    static char payload[5000];
    release_write(payload, sizeof(payload), name, value);
    return open_payload(payload);
}

#endif
