// Keys as files: PEM, JWK or text in, any of them out.
// SPDX-License-Identifier: MIT
#ifndef BATON_HOST_KEY_FILE_H
#define BATON_HOST_KEY_FILE_H

#include "baton/trust.h"

#define KEY_SCALAR_BYTES 32u
// "x.y" with a terminator.
#define KEY_TEXT_BYTES 88u

struct key {
    bool is_private;
    uint8_t scalar[KEY_SCALAR_BYTES]; // of a private one
    uint8_t point[BATON_P256_KEY_BYTES];
    char id[BATON_KEY_ID_CHARS + 1];
};

// Makes a new private key. On failure prints why.
bool key_generate(const char *command, struct key *out);

// Reads a P-256 key: PEM (SEC 1, PKCS#8, SubjectPublicKeyInfo; what else is in
// the file is passed over), a JWK, or "x.y" ("-": standard input). Warns of a
// private key that others can read. On failure prints why.
bool key_read(const char *command, const char *path, bool need_private,
        struct key *out);

// Overwrites what is secret.
void key_forget(struct key *self);

// Texts, each with a terminator; the JWK and the PEMs end in a line feed, and
// the caller frees them.
void key_write_text(const struct key *self, char out[KEY_TEXT_BYTES]);
char *key_write_jwk(const struct key *self, bool is_private);
char *key_write_pem(const struct key *self, bool is_private);

// Makes a new file, mode 0600; one that is there already is never overwritten.
// On failure prints why.
bool key_create_file(const char *command, const char *path, const char *text);

// Signs a SHA-256 digest, deterministically (RFC 6979). On failure prints why.
bool key_sign(const char *command, const struct key *self,
        const uint8_t digest[BATON_SHA256_BYTES],
        uint8_t signature[BATON_P256_SIGNATURE_BYTES]);

#endif
