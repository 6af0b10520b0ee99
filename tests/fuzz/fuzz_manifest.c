// Fuzzes signed documents: as they come, and past the signature.
// SPDX-License-Identifier: MIT
//
// Input: a byte, then for 0 a JWS, for 1 a release's JSON, for 2 a key set's.
// For 1 and 2 every signature is right, so that the fuzzer gets past it.
#include <string.h>

#include "baton-posix/crypto.h"
#include "baton/base64.h"
#include "baton/error.h"
#include "baton/jws.h"
#include "baton/manifest.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char buf[8192];
static struct baton_trust trust;

static int accept(void *context, const uint8_t key[BATON_P256_KEY_BYTES],
        const uint8_t digest[BATON_SHA256_BYTES],
        const uint8_t signature[BATON_P256_SIGNATURE_BYTES]) {
    (void)context;
    (void)key;
    (void)digest;
    (void)signature;
    return 0;
}

static size_t wrap(const struct baton_crypto *crypto, const char *type,
        const uint8_t *payload, size_t len) {
    static const uint8_t signature[BATON_P256_SIGNATURE_BYTES];
    char id[BATON_KEY_ID_CHARS + 1];
    char header[160];
    baton_trust_key_id(crypto, trust.keys[0], id);
    snprintf(header, sizeof(header),
            "{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"%s\"}", id, type);
    baton_base64_encode(header, strlen(header), buf);
    strcat(buf, ".");
    baton_base64_encode(payload, len, buf + strlen(buf));
    strcat(buf, ".");
    baton_base64_encode(signature, sizeof(signature), buf + strlen(buf));
    return strlen(buf);
}

static void check_text(const char *text, size_t most) {
    bool is_inside = text >= buf && text < buf + sizeof(buf);
    require(is_inside || text[0] == 0, "texts lie in the buffer");
    require(strlen(text) <= most, "texts keep to their bounds");
}

static void check_release(const struct baton_manifest *m) {
    check_text(m->product, BATON_MANIFEST_NAME_MAX);
    check_text(m->board, BATON_MANIFEST_NAME_MAX);
    check_text(m->salt, BATON_MANIFEST_NAME_MAX);
    check_text(m->version, BATON_MANIFEST_VERSION_MAX);
    check_text(m->list_path, BATON_MANIFEST_PATH_MAX);
    check_text(m->notes, BATON_MANIFEST_BYTES_MAX);
    require(m->payload_count >= 1
                    && m->payload_count <= BATON_MANIFEST_PAYLOADS_MAX,
            "there are payloads");
    for (unsigned i = 0; i < m->payload_count; i++) {
        check_text(m->payloads[i].path, BATON_MANIFEST_PATH_MAX);
        const char *path = m->payloads[i].path;
        require(path[0] != '/' && path[0] != '.' && strchr(path, ':') == NULL
                        && strstr(path, "//") == NULL
                        && strstr(path, "/.") == NULL,
                "a path stays below the channel's folder");
    }
    const struct baton_manifest_wish wish = {.state_bytes = SIZE_MAX - 1};
    int pick = baton_manifest_payload_pick(m, &wish);
    require(pick < m->payload_count, "a payload of its own is picked");
}

static void run_release(const struct baton_crypto *crypto, size_t len) {
    static struct baton_manifest manifest;
    int err = baton_manifest_open(&manifest, buf, len, &trust, crypto);
    require(err <= 0, "a status is no positive number");
    require(baton_error_name(err)[0] == 'B', "a status has a name");
    if (err == 0) {
        check_release(&manifest);
        return;
    }
    const struct baton_manifest zero = {0};
    require(memcmp(&manifest, &zero, sizeof(zero)) == 0,
            "after an error nothing is told");
}

static void run_keys(const struct baton_crypto *crypto, size_t len) {
    struct baton_trust next = trust;
    const struct baton_trust_time now = {.unix_s = 1000};
    int err = baton_trust_install_keys(&next, crypto, NULL, buf, len, &now);
    require(err <= 0, "a status is no positive number");
    require(err == 0 || memcmp(&next, &trust, sizeof(next)) == 0,
            "an error changes nothing");
    require(next.key_count <= BATON_TRUST_KEYS_MAX, "the keys fit");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct baton_crypto *real = baton_crypto_psa();
    struct baton_crypto lenient = *real;
    lenient.verify_p256 = accept;
    if (size == 0 || size > 5000) {
        return 0;
    }
    if (trust.key_count == 0) {
        static const uint8_t key[BATON_P256_KEY_BYTES] = {1};
        baton_trust_set_root(&trust, NULL, key);
        baton_trust_pin_key(&trust, key);
    }
    if (data[0] == 1) {
        run_release(&lenient,
                wrap(&lenient, BATON_JWS_TYPE_RELEASE, data + 1, size - 1));
    } else if (data[0] == 2) {
        run_keys(&lenient,
                wrap(&lenient, BATON_JWS_TYPE_KEYS, data + 1, size - 1));
    } else {
        memcpy(buf, data + 1, size - 1);
        run_release(real, size - 1);
        memcpy(buf, data + 1, size - 1);
        run_keys(&lenient, size - 1);
    }
    return 0;
}
