// Makes signed documents for tests, right ones and wrong ones.
// SPDX-License-Identifier: MIT
#include "signer.h"

#include <psa/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton-posix/crypto.h"
#include "baton/base64.h"
#include "baton/error.h"
#include "baton/trust.h"

static void must(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "signer: %s\n", what);
        abort();
    }
}

void signer_begin(struct signer *self, uint8_t number) {
    const struct baton_crypto *crypto = baton_crypto_psa();
    uint8_t scalar[32];
    memset(scalar, number + 1, sizeof(scalar));
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_set_key_type(
            &attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_SIGN_HASH);
    psa_set_key_algorithm(&attributes, PSA_ALG_ECDSA(PSA_ALG_SHA_256));
    psa_key_id_t id;
    must(psa_import_key(&attributes, scalar, sizeof(scalar), &id)
                    == PSA_SUCCESS,
            "import");
    uint8_t point[65];
    size_t len;
    must(psa_export_public_key(id, point, sizeof(point), &len) == PSA_SUCCESS,
            "export");
    self->id = id;
    memcpy(self->key, point + 1, 64);
    must(baton_trust_key_id(crypto, self->key, self->key_id) == 0, "id");
    char x[44];
    char y[44];
    baton_base64_encode(self->key, 32, x);
    baton_base64_encode(self->key + 32, 32, y);
    snprintf(self->jwk, sizeof(self->jwk),
            "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"}", x,
            y);
}

size_t signer_sign_raw(const struct signer *self, const char *header,
        const void *payload, size_t len, char *out, size_t capacity) {
    size_t header_len = strlen(header);
    size_t signed_len =
            BATON_BASE64_CHARS(header_len) + 1 + BATON_BASE64_CHARS(len);
    must(signed_len + 88 <= capacity, "room");
    baton_base64_encode(header, header_len, out);
    strcat(out, ".");
    baton_base64_encode(payload, len, out + strlen(out));
    uint8_t digest[32];
    uint8_t signature[64];
    size_t count;
    must(psa_hash_compute(PSA_ALG_SHA_256, (uint8_t *)out, signed_len, digest,
                 sizeof(digest), &count)
                    == PSA_SUCCESS,
            "hash");
    must(psa_sign_hash(self->id, PSA_ALG_ECDSA(PSA_ALG_SHA_256), digest,
                 sizeof(digest), signature, sizeof(signature), &count)
                    == PSA_SUCCESS,
            "sign");
    out[signed_len] = '.';
    baton_base64_encode(signature, sizeof(signature), out + signed_len + 1);
    return strlen(out);
}

size_t signer_sign(const struct signer *self, const char *type,
        const char *payload, char *out, size_t capacity) {
    char header[160];
    snprintf(header, sizeof(header),
            "{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"%s\"}", self->key_id,
            type);
    return signer_sign_raw(
            self, header, payload, strlen(payload), out, capacity);
}

// ---- The store ------------------------------------------------------------

static int find(struct memory_store *self, const char *key) {
    for (int i = 0; i < MEMORY_STORE_VALUES; i++) {
        if (self->values[i].used && strcmp(self->values[i].key, key) == 0) {
            return i;
        }
    }
    return -1;
}

static int get(void *context, const char *key, void *buf, size_t *len) {
    struct memory_store *self = context;
    int at = find(self, key);
    if (at < 0) {
        return BATON_ERR_NOENT;
    }
    size_t capacity = *len;
    *len = self->values[at].len;
    if (*len > capacity) {
        return BATON_ERR_NOSPC;
    }
    memcpy(buf, self->values[at].data, *len);
    return 0;
}

static int fails(struct memory_store *self) {
    self->writes++;
    return self->fails_at != 0 && self->writes >= self->fails_at;
}

static int set(void *context, const char *key, const void *data, size_t len) {
    struct memory_store *self = context;
    if (fails(self)) {
        return BATON_ERR_IO;
    }
    int at = find(self, key);
    for (int i = 0; at < 0 && i < MEMORY_STORE_VALUES; i++) {
        at = self->values[i].used ? -1 : i;
    }
    must(at >= 0 && strlen(key) < 16 && len <= sizeof(self->values[0].data),
            "store");
    self->values[at].used = 1;
    strcpy(self->values[at].key, key);
    memcpy(self->values[at].data, data, len);
    self->values[at].len = len;
    return 0;
}

static int forget(void *context, const char *key) {
    struct memory_store *self = context;
    if (fails(self)) {
        return BATON_ERR_IO;
    }
    int at = find(self, key);
    if (at >= 0) {
        self->values[at].used = 0;
    }
    return 0;
}

void memory_store_begin(struct memory_store *self) {
    memset(self, 0, sizeof(*self));
    self->store = (struct baton_store){
            .context = self, .get = get, .set = set, .remove = forget};
}
