// Reads signed payloads for tests/interop/test_release_model.py.
// SPDX-License-Identifier: MIT
//
// Each line is a kind (json, release, keys) and a payload in hexadecimal; the
// answer is the error's name, and for what was read some of its facts. Every
// signature is right.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/signer.h"
#include "baton-posix/crypto.h"
#include "baton/base64.h"
#include "baton/error.h"
#include "baton/jws.h"
#include "baton/manifest.h"

enum { BYTES_MAX = 16384 };

static struct signer signer;
static char jws[2 * BYTES_MAX];
static uint8_t payload[BYTES_MAX];

static int accept(void *context, const uint8_t key[BATON_P256_KEY_BYTES],
        const uint8_t digest[BATON_SHA256_BYTES],
        const uint8_t signature[BATON_P256_SIGNATURE_BYTES]) {
    (void)context;
    (void)key;
    (void)digest;
    (void)signature;
    return 0;
}

static size_t decode_hex(const char *hex) {
    size_t len = 0;
    unsigned byte;
    while (len < sizeof(payload) && sscanf(hex + 2 * len, "%2x", &byte) == 1) {
        payload[len] = (uint8_t)byte;
        len++;
    }
    return len;
}

static size_t wrap(const char *type, size_t len) {
    char header[160];
    snprintf(header, sizeof(header),
            "{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"%s\"}", signer.key_id,
            type);
    static const uint8_t signature[BATON_P256_SIGNATURE_BYTES];
    baton_base64_encode(header, strlen(header), jws);
    strcat(jws, ".");
    baton_base64_encode(payload, len, jws + strlen(jws));
    strcat(jws, ".");
    baton_base64_encode(signature, sizeof(signature), jws + strlen(jws));
    return strlen(jws);
}

static void read_release(const struct baton_crypto *crypto, size_t len) {
    static struct baton_manifest m;
    struct baton_trust trust;
    baton_trust_load(&trust, NULL);
    baton_trust_pin_key(&trust, signer.key);
    len = wrap(BATON_JWS_TYPE_RELEASE, len);
    int err = baton_manifest_open(&m, jws, len, &trust, crypto);
    printf("%s", baton_error_name(err));
    if (err == 0) {
        bool is_in = false;
        static const uint8_t id[] = {1, 2, 3};
        baton_manifest_rollout(&m, crypto, id, sizeof(id), &is_in);
        const struct baton_manifest_wish wish = {
                .state_bytes = BATON_CODEC_STATE_S_BYTES};
        printf(" %u %u %u %d %d", (unsigned)m.sequence, (unsigned)m.image_bytes,
                m.payload_count, is_in, baton_manifest_payload_pick(&m, &wish));
    }
    printf("\n");
}

static void read_keys(const struct baton_crypto *crypto, size_t len) {
    struct baton_trust trust;
    const struct baton_trust_time time = {.unix_s = 1000};
    baton_trust_load(&trust, NULL);
    baton_trust_set_root(&trust, NULL, signer.key);
    len = wrap(BATON_JWS_TYPE_KEYS, len);
    int err = baton_trust_install_keys(&trust, crypto, NULL, jws, len, &time);
    printf("%s", baton_error_name(err));
    if (err == 0) {
        printf(" %u %u %u", (unsigned)trust.keys_version, trust.key_count,
                (unsigned)trust.sequence);
    }
    printf("\n");
}

int main(void) {
    static char line[2 * BYTES_MAX + 32];
    const struct baton_crypto *psa = baton_crypto_psa();
    struct baton_crypto crypto = *psa;
    crypto.verify_p256 = accept;
    signer_begin(&signer, 1);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        char *hex = strchr(line, ' ');
        if (hex == NULL) {
            return 2;
        }
        *hex = 0;
        size_t len = decode_hex(hex + 1);
        if (strcmp(line, "json") == 0) {
            printf("%s\n",
                    baton_error_name(baton_json_check((char *)payload, len)));
        } else if (strcmp(line, "release") == 0) {
            read_release(&crypto, len);
        } else {
            read_keys(&crypto, len);
        }
    }
    return 0;
}
