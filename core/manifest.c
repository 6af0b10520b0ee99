// Reading a release's signed manifest.
// SPDX-License-Identifier: MIT
#include "baton/manifest.h"

#include <string.h>

#include "baton/error.h"
#include "baton/image.h"
#include "baton/jws.h"
#include "fields.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// Of a payload or profile that a later release brings: never picked.
#define UNKNOWN  0xFFu
#define WORD_MAX 16u

// ---- Readers --------------------------------------------------------------

// A path that stays below the channel file's folder on every server: segments
// of letters, digits and "-_.", none empty, none beginning with a dot.
static bool is_path(const char *text) {
    bool at_start = true;
    for (; *text != 0; text++) {
        char c = *text;
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
                        || (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (!is_plain && (at_start || (c != '.' && c != '/'))) {
            return false;
        }
        at_start = c == '/';
    }
    return !at_start;
}

static bool read_path(
        void *out, const struct baton_json *value, uint32_t limit) {
    return baton_fields_text(out, value, limit) && is_path(*(const char **)out);
}

// Notes are for people: lines and tabs are fine.
static bool read_notes(
        void *out, const struct baton_json *value, uint32_t limit) {
    const char *text;
    size_t len;
    if (!baton_json_read_text(value, limit, &text, &len)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F) {
            return false;
        }
    }
    *(const char **)out = text;
    return true;
}

// One of some words, as its place among them; another word is of a later
// release.
static bool read_word(void *out, const struct baton_json *value,
        const char *const *words, size_t count) {
    const char *text;
    if (!baton_fields_text(&text, value, WORD_MAX)) {
        return false;
    }
    *(uint8_t *)out = UNKNOWN;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            *(uint8_t *)out = (uint8_t)i;
        }
    }
    return true;
}

static bool read_encoding(
        void *out, const struct baton_json *value, uint32_t limit) {
    static const char *const words[] = {
            [BATON_CODEC_RAW] = "raw",
            [BATON_CODEC_PACKED] = "packed",
            [BATON_CODEC_DELTA] = "delta",
    };
    (void)limit;
    return read_word(out, value, words, COUNT(words));
}

static bool read_profile(
        void *out, const struct baton_json *value, uint32_t limit) {
    static const char *const words[] = {
            [BATON_CODEC_PROFILE_S] = "S",
            [BATON_CODEC_PROFILE_M] = "M",
    };
    (void)limit;
    return read_word(out, value, words, COUNT(words));
}

#define M(member) offsetof(struct baton_manifest, member)
#define P(member) offsetof(struct baton_manifest_payload, member)

static bool read_base(
        void *out, const struct baton_json *value, uint32_t limit) {
    static const struct baton_field fields[] = {
            {"bytes", baton_fields_u32, BATON_IMAGE_SIZE_MAX, P(base_bytes),
                    false},
            {"sha256", baton_fields_bytes32, 0, P(base_sha256), false},
    };
    (void)limit;
    return baton_fields_read(out, value, fields, COUNT(fields));
}

static bool read_payload(
        struct baton_manifest_payload *out, const struct baton_json *value) {
    static const struct baton_field fields[] = {
            {"encoding", read_encoding, 0, P(encoding), false},
            {"bytes", baton_fields_u32, BATON_IMAGE_SIZE_MAX, P(bytes), false},
            {"sha256", baton_fields_bytes32, 0, P(sha256), false},
            {"path", read_path, BATON_MANIFEST_PATH_MAX, P(path), false},
            {"profile", read_profile, 0, P(profile), true},
            {"base", read_base, 0, 0, true},
    };
    return baton_fields_read(out, value, fields, COUNT(fields));
}

static bool read_payloads(
        void *out, const struct baton_json *value, uint32_t limit) {
    struct baton_manifest *self = out;
    struct baton_json_walk walk;
    struct baton_json name;
    struct baton_json element;
    if (!baton_json_walk_begin(&walk, value) || walk.is_object) {
        return false;
    }
    while (baton_json_walk_next(&walk, &name, &element)) {
        if (self->payload_count == limit) {
            return false;
        }
        struct baton_manifest_payload *payload =
                &self->payloads[self->payload_count];
        payload->profile = UNKNOWN;
        if (!read_payload(payload, &element)) {
            return false;
        }
        self->payload_count++;
    }
    return self->payload_count > 0;
}

static bool read_image(
        void *out, const struct baton_json *value, uint32_t limit) {
    static const struct baton_field fields[] = {
            {"bytes", baton_fields_u32, BATON_IMAGE_SIZE_MAX, M(image_bytes),
                    false},
            {"sha256", baton_fields_bytes32, 0, M(image_sha256), false},
    };
    (void)limit;
    return baton_fields_read(out, value, fields, COUNT(fields));
}

static bool read_list(
        void *out, const struct baton_json *value, uint32_t limit) {
    static const struct baton_field fields[] = {
            {"bytes", baton_fields_u32, UINT32_MAX, M(list_bytes), false},
            {"sha256", baton_fields_bytes32, 0, M(list_sha256), false},
            {"path", read_path, BATON_MANIFEST_PATH_MAX, M(list_path), false},
    };
    (void)limit;
    return baton_fields_read(out, value, fields, COUNT(fields));
}

static bool read_rollout(
        void *out, const struct baton_json *value, uint32_t limit) {
    static const struct baton_field fields[] = {
            {"permille", baton_fields_u16, 1000, M(rollout_permille), false},
            {"salt", baton_fields_text, BATON_MANIFEST_NAME_MAX, M(salt),
                    false},
    };
    (void)limit;
    return baton_fields_read(out, value, fields, COUNT(fields));
}

static const struct baton_field members[] = {
        {"product", baton_fields_text, BATON_MANIFEST_NAME_MAX, M(product),
                false},
        {"chip", baton_fields_u16, BATON_CHIP_ANY - 1, M(chip_id), false},
        {"version", baton_fields_text, BATON_MANIFEST_VERSION_MAX, M(version),
                false},
        {"sequence", baton_fields_u32, UINT32_MAX, M(sequence), false},
        {"issued", baton_fields_time, 0, M(issued), false},
        {"expires", baton_fields_time, 0, M(expires), false},
        {"image", read_image, 0, 0, false},
        {"list", read_list, 0, 0, false},
        {"payloads", read_payloads, BATON_MANIFEST_PAYLOADS_MAX, 0, false},
        {"board", baton_fields_text, BATON_MANIFEST_NAME_MAX, M(board), true},
        {"rollout", read_rollout, 0, 0, true},
        {"boot", baton_fields_u8, UINT8_MAX, M(boot), true},
        {"secure_version", baton_fields_u32, UINT32_MAX, M(secure_version),
                true},
        {"mpy", baton_fields_u16, UINT16_MAX, M(mpy), true},
        {"notes", read_notes, BATON_MANIFEST_BYTES_MAX, M(notes), true},
};

// ---- What must hold between members ---------------------------------------

static bool is_payload_sound(const struct baton_manifest *self,
        const struct baton_manifest_payload *payload) {
    if (payload->bytes == 0) {
        return false;
    }
    switch (payload->encoding) {
    case BATON_CODEC_RAW:
        return payload->bytes == self->image_bytes
               && memcmp(payload->sha256, self->image_sha256,
                          BATON_SHA256_BYTES)
                          == 0;
    case BATON_CODEC_DELTA:
        return payload->base_bytes != 0;
    default:
        return true;
    }
}

static bool is_sound(const struct baton_manifest *self) {
    uint32_t sectors = self->image_bytes / BATON_SECTOR_BYTES
                       + (self->image_bytes % BATON_SECTOR_BYTES != 0 ? 1 : 0);
    if (self->sequence == 0 || self->image_bytes == 0 || self->product[0] == 0
            || self->list_bytes != sectors * BATON_MANIFEST_LIST_ENTRY_BYTES
            || (self->expires != 0 && self->expires <= self->issued)) {
        return false;
    }
    for (unsigned i = 0; i < self->payload_count; i++) {
        if (!is_payload_sound(self, &self->payloads[i])) {
            return false;
        }
    }
    return true;
}

static int read_manifest(
        struct baton_manifest *out, const struct baton_json *payload) {
    int err = baton_fields_format(payload);
    if (err != 0) {
        return err;
    }
    out->board = "";
    out->notes = "";
    out->salt = "";
    out->rollout_permille = 1000;
    return baton_fields_read(out, payload, members, COUNT(members))
                           && is_sound(out)
                   ? 0
                   : BATON_ERR_MANIFEST_FORMAT;
}

int baton_manifest_open(struct baton_manifest *out, char *buf, size_t len,
        const struct baton_trust *trust, const struct baton_crypto *crypto) {
    const struct baton_jws_config config = {
            .crypto = crypto,
            .type = BATON_JWS_TYPE_RELEASE,
            .bytes_max = BATON_MANIFEST_BYTES_MAX,
            .keys = trust->keys,
            .key_count = trust->key_count,
    };
    memset(out, 0, sizeof(*out));
    if (!trust->has_root && trust->key_count == 0) {
        return BATON_ERR_TRUST_NONE;
    }
    struct baton_json payload;
    int err = baton_jws_open(&config, buf, len, &payload);
    if (err == 0) {
        err = read_manifest(out, &payload);
    }
    if (err != 0) {
        memset(out, 0, sizeof(*out));
    }
    return err;
}
