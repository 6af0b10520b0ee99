// Signed documents: read, sign, look into.
// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#include "release.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton-posix/crypto.h"
#include "baton/base64.h"
#include "baton/error.h"
#include "baton/jws.h"
#include "cli.h"

const char *release_text(const cJSON *payload, const char *name) {
    const char *text = cJSON_GetStringValue(
            cJSON_GetObjectItemCaseSensitive(payload, name));
    return text != NULL ? text : "";
}

double release_number(const cJSON *payload, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(payload, name);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

void release_set_number(cJSON *payload, const char *name, double value) {
    cJSON *item = cJSON_GetObjectItemCaseSensitive(payload, name);
    if (item != NULL) {
        cJSON_SetNumberValue(item, value);
    } else {
        cJSON_AddNumberToObject(payload, name, value);
    }
}

// ---- Reading --------------------------------------------------------------

// Decodes one part in place, with a terminator, and parses it.
static cJSON *parse_part(char *text, size_t len) {
    size_t count;
    if (baton_base64_decode(text, len, text, len, &count) != 0) {
        return NULL;
    }
    text[count] = 0;
    return strlen(text) == count && baton_json_check(text, count) == 0
                   ? cJSON_Parse(text)
                   : NULL;
}

static bool parse_document(
        char *data, size_t len, struct release_document *out) {
    char *first = memchr(data, '.', len);
    char *second = first != NULL ? memchr(
                           first + 1, '.', len - (size_t)(first + 1 - data))
                                 : NULL;
    if (second == NULL) {
        return false;
    }
    out->payload = parse_part(first + 1, (size_t)(second - first - 1));
    cJSON *header = parse_part(data, (size_t)(first - data));
    snprintf(out->type, sizeof(out->type), "%s", release_text(header, "typ"));
    snprintf(out->key_id, sizeof(out->key_id), "%s",
            release_text(header, "kid"));
    bool ok = out->payload != NULL && header != NULL;
    cJSON_Delete(header);
    return ok;
}

bool release_document_read(
        const char *command, const char *path, struct release_document *out) {
    uint8_t *data;
    size_t len;
    memset(out, 0, sizeof(*out));
    if (!cli_read_file(path, &data, &len)) {
        return false;
    }
    int err = len > BATON_MANIFEST_BYTES_MAX           ? BATON_ERR_JWS_TOO_LARGE
              : parse_document((char *)data, len, out) ? 0
                                                       : BATON_ERR_JWS_FORMAT;
    free(data);
    if (err != 0) {
        release_document_free(out);
        cli_refuse(command, path, err);
    }
    return err == 0;
}

// At most the new key and the one before it.
#define SIGNERS_MAX 2u

bool release_document_open(const char *command, const char *path,
        const char *type, const struct key *keys, size_t key_count,
        struct release_document *out) {
    uint8_t points[SIGNERS_MAX][BATON_P256_KEY_BYTES];
    uint8_t *data;
    size_t len;
    struct baton_json payload;
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < key_count && i < SIGNERS_MAX; i++) {
        memcpy(points[i], keys[i].point, sizeof(points[i]));
    }
    const struct baton_jws_config config = {
            .crypto = baton_crypto_psa(),
            .type = type,
            .bytes_max = BATON_MANIFEST_BYTES_MAX,
            .keys = (const uint8_t(*)[BATON_P256_KEY_BYTES])points,
            .key_count = key_count,
    };
    if (!cli_read_file(path, &data, &len)) {
        return false;
    }
    int err = baton_jws_open(&config, (char *)data, len, &payload);
    if (err == 0) {
        *payload.end = 0;
        out->payload = cJSON_Parse(payload.at);
        err = out->payload == NULL ? BATON_ERR_JSON_FORMAT : 0;
    }
    free(data);
    if (err != 0) {
        cli_refuse(command, path, err);
    }
    return err == 0;
}

void release_document_free(struct release_document *self) {
    cJSON_Delete(self->payload);
    memset(self, 0, sizeof(*self));
}

// ---- Signing --------------------------------------------------------------

// What a device that trusts this key would say of it, past any expiry.
static int try_document(
        const char *jws, const char *type, const struct key *key) {
    struct baton_trust trust;
    baton_trust_load(&trust, NULL);
    size_t len = strlen(jws);
    char *copy = strdup(jws);
    int err = BATON_ERR_NOMEM;
    if (copy != NULL && strcmp(type, BATON_JWS_TYPE_KEYS) == 0) {
        const struct baton_trust_time never = {.unix_s = 0};
        baton_trust_set_root(&trust, NULL, key->point);
        err = baton_trust_install_keys(
                &trust, baton_crypto_psa(), NULL, copy, len, &never);
    } else if (copy != NULL) {
        static struct baton_manifest manifest;
        baton_trust_pin_key(&trust, key->point);
        err = baton_manifest_open(
                &manifest, copy, len, &trust, baton_crypto_psa());
    }
    free(copy);
    return err;
}

// Header, dot, payload; a dot and the signature fit behind it.
static char *encode(
        const char *payload, const char *type, const struct key *key) {
    char header[160];
    snprintf(header, sizeof(header),
            "{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"%s\"}", key->id, type);
    size_t header_chars = BATON_BASE64_CHARS(strlen(header));
    size_t payload_chars = BATON_BASE64_CHARS(strlen(payload));
    char *out = malloc(header_chars + payload_chars + 96);
    if (out != NULL) {
        baton_base64_encode(header, strlen(header), out);
        out[header_chars] = '.';
        baton_base64_encode(payload, strlen(payload), out + header_chars + 1);
    }
    return out;
}

char *release_sign(const char *command, const cJSON *payload, const char *type,
        const struct key *key) {
    char *text = cJSON_PrintUnformatted(payload);
    char *jws = text != NULL ? encode(text, type, key) : NULL;
    cJSON_free(text);
    if (jws == NULL) {
        cli_refuse(command, NULL, BATON_ERR_NOMEM);
        return NULL;
    }
    size_t len = strlen(jws);
    uint8_t digest[BATON_SHA256_BYTES];
    uint8_t signature[BATON_P256_SIGNATURE_BYTES];
    if (!release_sha256(jws, len, digest)
            || !key_sign(command, key, digest, signature)) {
        free(jws);
        return NULL;
    }
    jws[len] = '.';
    baton_base64_encode(signature, sizeof(signature), jws + len + 1);
    int err = try_document(jws, type, key);
    if (err != 0) {
        cli_refuse(command, "a device would refuse it", err);
        free(jws);
        return NULL;
    }
    return jws;
}
