// Signed documents: JWS in compact form, ES256.
// SPDX-License-Identifier: MIT
#include "baton/jws.h"

#include <string.h>

#include "baton/base64.h"
#include "baton/error.h"
#include "baton/trust.h"

// Longer than any header that is accepted.
#define HEADER_BYTES_MAX 192u

#define SIGNATURE_CHARS BATON_BASE64_CHARS(BATON_P256_SIGNATURE_BYTES)

struct parts {
    size_t header_len;  // characters, from the start
    size_t payload_len; // from behind the first dot
    char key_id[BATON_KEY_ID_CHARS + 1];
    uint8_t signature[BATON_P256_SIGNATURE_BYTES];
};

// Finds the two dots and decodes the signature.
static int split(struct parts *self, const char *buf, size_t len) {
    const char *first = memchr(buf, '.', len);
    if (first == NULL) {
        return BATON_ERR_JWS_FORMAT;
    }
    const char *payload = first + 1;
    const char *second = memchr(payload, '.', (size_t)(buf + len - payload));
    if (second == NULL || (size_t)(buf + len - second) != 1 + SIGNATURE_CHARS) {
        return BATON_ERR_JWS_FORMAT;
    }
    self->header_len = (size_t)(first - buf);
    self->payload_len = (size_t)(second - payload);
    size_t count;
    return baton_base64_decode(second + 1, SIGNATURE_CHARS, self->signature,
            sizeof(self->signature), &count);
}

// One member of the header, which must be known; `alg` is judged already.
static int read_member(struct parts *self, const struct baton_json *name,
        const struct baton_json *value, const char *type) {
    if (baton_json_is_named(name, "alg")) {
        return 0;
    }
    const char *text;
    size_t len;
    if (!baton_json_read_text(value, HEADER_BYTES_MAX, &text, &len)) {
        return BATON_ERR_JWS_FORMAT;
    }
    if (baton_json_is_named(name, "typ")) {
        return strcmp(text, type) == 0 ? 0 : BATON_ERR_JWS_TYPE;
    }
    if (!baton_json_is_named(name, "kid") || len != BATON_KEY_ID_CHARS) {
        return BATON_ERR_JWS_FORMAT;
    }
    memcpy(self->key_id, text, len + 1);
    return 0;
}

// An unsigned document's header names its algorithm too, and no key: that is
// said before anything else about it.
static int judge_algorithm(const struct baton_json *header) {
    struct baton_json value;
    if (!baton_json_find(header, "alg", &value)) {
        return BATON_ERR_JWS_FORMAT;
    }
    static const char wanted[] = "\"ES256\"";
    size_t len = sizeof(wanted) - 1;
    return (size_t)(value.end - value.at) == len
                           && memcmp(value.at, wanted, len) == 0
                   ? 0
                   : BATON_ERR_JWS_ALGORITHM;
}

static int read_header(struct parts *self, const char *buf, const char *type) {
    char text[HEADER_BYTES_MAX];
    size_t len;
    if (baton_base64_decode(buf, self->header_len, text, sizeof(text), &len)
                    != 0
            || baton_json_check(text, len) != 0) {
        return BATON_ERR_JWS_FORMAT;
    }
    // A checked document begins with its brace, or with space, which is not
    // accepted here: one header, one spelling of its edges.
    struct baton_json header = {text, text + len};
    struct baton_json_walk walk;
    if (!baton_json_walk_begin(&walk, &header) || text[len - 1] != '}') {
        return BATON_ERR_JWS_FORMAT;
    }
    int err = judge_algorithm(&header);
    unsigned count = 0;
    struct baton_json name;
    struct baton_json value;
    while (err == 0 && baton_json_walk_next(&walk, &name, &value)) {
        err = read_member(self, &name, &value, type);
        count++;
    }
    if (err != 0) {
        return err;
    }
    // All are known and none is there twice.
    return count == 3 ? 0 : BATON_ERR_JWS_FORMAT;
}

static int find_key(const struct baton_jws_config *config, const char *key_id,
        const uint8_t **key) {
    for (size_t i = 0; i < config->key_count; i++) {
        char id[BATON_KEY_ID_CHARS + 1];
        int err = baton_trust_key_id(config->crypto, config->keys[i], id);
        if (err != 0) {
            return err;
        }
        if (strcmp(id, key_id) == 0) {
            *key = config->keys[i];
            return 0;
        }
    }
    return BATON_ERR_KEY_UNKNOWN;
}

static int verify(const struct baton_crypto *crypto, const char *buf,
        const struct parts *parts, const uint8_t *key) {
    struct baton_hash_state state;
    uint8_t digest[BATON_SHA256_BYTES];
    size_t signed_len = parts->header_len + 1 + parts->payload_len;
    int err = crypto->hash_start(crypto->context, &state, BATON_HASH_SHA256);
    if (err == 0) {
        err = crypto->hash_update(crypto->context, &state, buf, signed_len);
    }
    if (err == 0) {
        err = crypto->hash_finish(crypto->context, &state, digest);
    }
    if (err != 0) {
        return err;
    }
    return crypto->verify_p256 == NULL ? BATON_ERR_CRYPTO
                                       : crypto->verify_p256(crypto->context,
                                               key, digest, parts->signature);
}

int baton_jws_open(const struct baton_jws_config *config, char *buf, size_t len,
        struct baton_json *payload) {
    if (len > config->bytes_max) {
        return BATON_ERR_JWS_TOO_LARGE;
    }
    struct parts parts;
    int err = split(&parts, buf, len);
    if (err == 0) {
        err = read_header(&parts, buf, config->type);
    }
    const uint8_t *key = NULL;
    if (err == 0) {
        err = find_key(config, parts.key_id, &key);
    }
    if (err == 0) {
        err = verify(config->crypto, buf, &parts, key);
    }
    if (err != 0) {
        return err;
    }
    // The payload moves to the start: its text is behind the header's, and
    // decoding never gets ahead of what it reads.
    memmove(buf, buf + parts.header_len + 1, parts.payload_len);
    size_t count;
    err = baton_base64_decode(buf, parts.payload_len, buf, len, &count);
    if (err == 0) {
        err = baton_json_check(buf, count);
    }
    if (err != 0) {
        return err;
    }
    payload->at = memchr(buf, '{', count);
    payload->end = buf + count;
    while (payload->end[-1] != '}') {
        payload->end--;
    }
    return 0;
}
