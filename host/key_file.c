// Keys as files: PEM, JWK or text in, any of them out.
// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#include "key_file.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/version.h>
#include <psa/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "baton-posix/crypto.h"
#include "baton/base64.h"
#include "baton/error.h"
#include "cli.h"

#define COORDINATE_BYTES 32u
#define COORDINATE_CHARS BATON_BASE64_CHARS(COORDINATE_BYTES)
#define PEM_BYTES_MAX    512u

// A public key on P-256, up to its point (RFC 5480).
static const uint8_t public_head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A,
        0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE,
        0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};

// A private key on P-256 (RFC 5915): the scalar stands behind the head, the
// point behind the middle.
static const uint8_t private_head[] = {
        0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20};
static const uint8_t private_middle[] = {0xA0, 0x0A, 0x06, 0x08, 0x2A, 0x86,
        0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0xA1, 0x44, 0x03, 0x42, 0x00, 0x04};

void key_forget(struct key *self) {
    volatile uint8_t *secret = self->scalar;
    for (size_t i = 0; i < sizeof(self->scalar); i++) {
        secret[i] = 0;
    }
    self->is_private = false;
}

// ---- The library's keys ---------------------------------------------------

static psa_key_attributes_t attributes(void) {
    psa_key_attributes_t out = PSA_KEY_ATTRIBUTES_INIT;
    psa_set_key_type(&out, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    psa_set_key_bits(&out, 256);
    psa_set_key_usage_flags(
            &out, PSA_KEY_USAGE_SIGN_HASH | PSA_KEY_USAGE_EXPORT);
    psa_set_key_algorithm(&out, PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256));
    return out;
}

static bool import_scalar(const struct key *key, psa_key_id_t *id) {
    psa_key_attributes_t wanted = attributes();
    return baton_crypto_psa() != NULL
           && psa_import_key(&wanted, key->scalar, KEY_SCALAR_BYTES, id)
                      == PSA_SUCCESS;
}

static bool export_point(psa_key_id_t id, struct key *out) {
    uint8_t raw[1 + BATON_P256_KEY_BYTES];
    size_t len;
    if (psa_export_public_key(id, raw, sizeof(raw), &len) != PSA_SUCCESS
            || len != sizeof(raw)) {
        return false;
    }
    memcpy(out->point, raw + 1, BATON_P256_KEY_BYTES);
    return true;
}

static bool complete(struct key *key) {
    const struct baton_crypto *crypto = baton_crypto_psa();
    return crypto != NULL
           && baton_trust_key_id(crypto, key->point, key->id) == 0;
}

bool key_generate(const char *command, struct key *out) {
    psa_key_attributes_t wanted = attributes();
    psa_key_id_t id;
    size_t len;
    memset(out, 0, sizeof(*out));
    bool ok = baton_crypto_psa() != NULL
              && psa_generate_key(&wanted, &id) == PSA_SUCCESS;
    if (ok) {
        ok = psa_export_key(id, out->scalar, sizeof(out->scalar), &len)
                     == PSA_SUCCESS
             && len == sizeof(out->scalar) && export_point(id, out)
             && complete(out);
        psa_destroy_key(id);
    }
    out->is_private = ok;
    if (!ok) {
        cli_refuse(command, "making a key", BATON_ERR_CRYPTO);
    }
    return ok;
}

// The point that belongs to the scalar; false for a scalar out of range.
static bool derive_point(struct key *key) {
    psa_key_id_t id;
    if (!import_scalar(key, &id)) {
        return false;
    }
    bool ok = export_point(id, key);
    psa_destroy_key(id);
    return ok;
}

bool key_sign(const char *command, const struct key *self,
        const uint8_t digest[BATON_SHA256_BYTES],
        uint8_t signature[BATON_P256_SIGNATURE_BYTES]) {
    psa_key_id_t id;
    size_t len = 0;
    bool ok = self->is_private && import_scalar(self, &id);
    if (ok) {
        ok = psa_sign_hash(id, PSA_ALG_DETERMINISTIC_ECDSA(PSA_ALG_SHA_256),
                     digest, BATON_SHA256_BYTES, signature,
                     BATON_P256_SIGNATURE_BYTES, &len)
                     == PSA_SUCCESS
             && len == BATON_P256_SIGNATURE_BYTES;
        psa_destroy_key(id);
    }
    if (!ok) {
        cli_refuse(command, "signing", BATON_ERR_CRYPTO);
    }
    return ok;
}

// ---- Reading --------------------------------------------------------------

static bool decode_coordinate(
        const cJSON *json, const char *name, uint8_t *out) {
    const char *text =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
    size_t len;
    return text != NULL && strlen(text) == COORDINATE_CHARS
           && baton_base64_decode(
                      text, COORDINATE_CHARS, out, COORDINATE_BYTES, &len)
                      == 0;
}

static bool is_member(const cJSON *json, const char *name, const char *wanted) {
    const char *text =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
    return text != NULL && strcmp(text, wanted) == 0;
}

static bool read_jwk(const char *data, struct key *out) {
    cJSON *json = cJSON_Parse(data);
    uint8_t point[BATON_P256_KEY_BYTES];
    bool ok = is_member(json, "kty", "EC") && is_member(json, "crv", "P-256")
              && decode_coordinate(json, "x", point)
              && decode_coordinate(json, "y", point + COORDINATE_BYTES);
    if (ok && cJSON_HasObjectItem(json, "d")) {
        out->is_private = true;
        ok = decode_coordinate(json, "d", out->scalar) && derive_point(out)
             && memcmp(out->point, point, sizeof(point)) == 0;
    }
    memcpy(out->point, point, sizeof(point));
    cJSON_Delete(json);
    return ok;
}

static int parse_private(
        mbedtls_pk_context *pk, const uint8_t *data, size_t len) {
#if MBEDTLS_VERSION_MAJOR >= 3
    return mbedtls_pk_parse_key(pk, data, len, NULL, 0, mbedtls_psa_get_random,
            MBEDTLS_PSA_RANDOM_STATE);
#else
    return mbedtls_pk_parse_key(pk, data, len, NULL, 0);
#endif
}

// What the library read is written again in its one DER form, where everything
// has its place. It writes to the end of the buffer.
static bool take_parsed(mbedtls_pk_context *pk, struct key *out) {
    uint8_t der[256];
    int len = mbedtls_pk_write_pubkey_der(pk, der, sizeof(der));
    size_t wanted = sizeof(public_head) + BATON_P256_KEY_BYTES;
    if (len != (int)wanted
            || memcmp(der + sizeof(der) - wanted, public_head,
                       sizeof(public_head))
                       != 0) {
        return false;
    }
    memcpy(out->point, der + sizeof(der) - BATON_P256_KEY_BYTES,
            BATON_P256_KEY_BYTES);
    if (!out->is_private) {
        return true;
    }
    len = mbedtls_pk_write_key_der(pk, der, sizeof(der));
    const uint8_t *start = der + sizeof(der) - (len > 0 ? len : 0);
    bool ok = len > (int)(sizeof(private_head) + KEY_SCALAR_BYTES)
              && memcmp(start, private_head, 1) == 0
              && memcmp(start + 2, private_head + 2, sizeof(private_head) - 2)
                         == 0;
    if (ok) {
        memcpy(out->scalar, start + sizeof(private_head), KEY_SCALAR_BYTES);
    }
    memset(der, 0, sizeof(der));
    // The point of a file is not believed: a wrong one would sign in vain.
    uint8_t point[BATON_P256_KEY_BYTES];
    memcpy(point, out->point, sizeof(point));
    return ok && derive_point(out)
           && memcmp(point, out->point, sizeof(point)) == 0;
}

// PEM needs its terminator counted, which read files have.
static bool read_pem(const uint8_t *data, size_t len, struct key *out) {
    mbedtls_pk_context pk;
    mbedtls_pk_init(&pk);
    out->is_private = baton_crypto_psa() != NULL
                      && parse_private(&pk, data, len + 1) == 0;
    if (!out->is_private) {
        mbedtls_pk_free(&pk);
        mbedtls_pk_init(&pk);
    }
    bool ok = (out->is_private
                      || mbedtls_pk_parse_public_key(&pk, data, len + 1) == 0)
              && take_parsed(&pk, out);
    mbedtls_pk_free(&pk);
    return ok;
}

static bool read_text(const char *data, struct key *out) {
    char text[KEY_TEXT_BYTES];
    size_t len = strcspn(data, "\r\n");
    if (len >= sizeof(text) || data[len + strspn(data + len, "\r\n")] != 0) {
        return false;
    }
    memcpy(text, data, len);
    text[len] = 0;
    return baton_trust_key_parse(text, out->point) == 0;
}

static bool parse(const uint8_t *data, size_t len, struct key *out) {
    const char *text = (const char *)data;
    if (strlen(text) != len) {
        return false;
    }
    if (strstr(text, "-----BEGIN ") != NULL) {
        return read_pem(data, len, out);
    }
    if (text[strspn(text, " \t\r\n")] == '{') {
        return read_jwk(text, out);
    }
    return read_text(text, out);
}

static void warn_of_readers(const char *command, const char *path) {
    struct stat st;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode)
            && (st.st_mode & 077) != 0) {
        fprintf(stderr,
                "%s: warning: %s: others can read this private key\n"
                "  next: chmod 600 %s\n",
                command, path, path);
    }
}

bool key_read(const char *command, const char *path, bool need_private,
        struct key *out) {
    uint8_t *data;
    size_t len;
    memset(out, 0, sizeof(*out));
    if (!cli_read_file(path, &data, &len)) {
        return false;
    }
    bool ok = parse(data, len, out) && complete(out);
    bool is_locked = !ok
                     && (strstr((char *)data, "ENCRYPTED") != NULL
                             || strstr((char *)data, "Proc-Type:") != NULL);
    memset(data, 0, len);
    free(data);
    if (!ok) {
        key_forget(out);
        cli_refuse(command, path, BATON_ERR_KEY_FORMAT);
        if (is_locked) {
            fprintf(stderr, "  It is locked by a passphrase; unlock it with "
                            "'openssl pkey'.\n");
        }
        return false;
    }
    if (out->is_private) {
        warn_of_readers(command, path);
    } else if (need_private) {
        fprintf(stderr,
                "%s: %s: this is a public key; signing needs the private "
                "one\n  next: give the file that 'baton key new' made\n",
                command, path);
        return false;
    }
    return true;
}

// ---- Writing --------------------------------------------------------------

void key_write_text(const struct key *self, char out[KEY_TEXT_BYTES]) {
    baton_base64_encode(self->point, COORDINATE_BYTES, out);
    out[COORDINATE_CHARS] = '.';
    baton_base64_encode(self->point + COORDINATE_BYTES, COORDINATE_BYTES,
            out + COORDINATE_CHARS + 1);
}

char *key_write_jwk(const struct key *self, bool is_private) {
    char x[COORDINATE_CHARS + 1];
    char y[COORDINATE_CHARS + 1];
    char d[COORDINATE_CHARS + 1];
    baton_base64_encode(self->point, COORDINATE_BYTES, x);
    baton_base64_encode(self->point + COORDINATE_BYTES, COORDINATE_BYTES, y);
    baton_base64_encode(self->scalar, COORDINATE_BYTES, d);
    char *out = malloc(PEM_BYTES_MAX);
    if (out != NULL) {
        snprintf(out, PEM_BYTES_MAX,
                "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\""
                "%s%s%s}\n",
                x, y, is_private ? ",\"d\":\"" : "", is_private ? d : "",
                is_private ? "\"" : "");
    }
    memset(d, 0, sizeof(d));
    return out;
}

static size_t put(uint8_t *out, size_t at, const void *data, size_t len) {
    memcpy(out + at, data, len);
    return at + len;
}

char *key_write_pem(const struct key *self, bool is_private) {
    uint8_t der[160];
    size_t len = 0;
    if (is_private) {
        len = put(der, len, private_head, sizeof(private_head));
        len = put(der, len, self->scalar, KEY_SCALAR_BYTES);
        len = put(der, len, private_middle, sizeof(private_middle));
    } else {
        len = put(der, len, public_head, sizeof(public_head));
    }
    len = put(der, len, self->point, BATON_P256_KEY_BYTES);
    char *out = malloc(PEM_BYTES_MAX);
    size_t used;
    int failed =
            out == NULL
            || mbedtls_pem_write_buffer(
                       is_private ? "-----BEGIN EC PRIVATE KEY-----\n"
                                  : "-----BEGIN PUBLIC KEY-----\n",
                       is_private ? "-----END EC PRIVATE KEY-----\n"
                                  : "-----END PUBLIC KEY-----\n",
                       der, len, (unsigned char *)out, PEM_BYTES_MAX, &used)
                       != 0;
    memset(der, 0, sizeof(der));
    if (failed) {
        free(out);
        return NULL;
    }
    return out;
}

bool key_create_file(const char *command, const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0) {
        fprintf(stderr, "%s: %s: %s\n", command, path, strerror(errno));
        if (errno == EEXIST) {
            fprintf(stderr, "  next: give another name; a key is never "
                            "overwritten\n");
        }
        return false;
    }
    size_t len = strlen(text);
    bool ok = write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    if (!ok) {
        fprintf(stderr, "%s: %s: %s\n", command, path, strerror(errno));
        unlink(path);
    }
    return ok;
}
