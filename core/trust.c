// What a device trusts: a root key, its key set, the highest sequence seen.
// SPDX-License-Identifier: MIT
#include "baton/trust.h"

#include <string.h>

#include "baton/base64.h"
#include "baton/error.h"
#include "baton/jws.h"
#include "bytes.h"
#include "fields.h"

// Values in the store, each with the version of its layout first:
//
//   trust.root  1, key
//   trust.keys  1, root's tag (8), version (4), expires (8), sequence (4),
//               count (1), keys
//   trust.seq   1, root's tag (8), version of the key set it was seen under
//               (4), sequence (4)
//
// The sequence in trust.keys is where the set starts from; trust.seq counts
// only under the set it was written under, and both only under their root (the
// tag: the first bytes of its X, zeros without a root). So one write replaces
// the root and all below it, and one write installs a key set together with
// the sequence number it resets.
#define NAME_ROOT  "trust.root"
#define NAME_KEYS  "trust.keys"
#define NAME_SEQ   "trust.seq"
#define LAYOUT     1u
#define TAG_BYTES  8u
#define ROOT_BYTES (1u + BATON_P256_KEY_BYTES)
#define HEAD_BYTES 26u
#define KEYS_BYTES (HEAD_BYTES + BATON_TRUST_KEYS_MAX * BATON_P256_KEY_BYTES)
#define SEQ_BYTES  17u

// ---- The store ------------------------------------------------------------

// Reads a value; *len is 0 where there is none.
static int get(const struct baton_store *store, const char *name, uint8_t *raw,
        size_t *len) {
    int err = store->get(store->context, name, raw, len);
    if (err == BATON_ERR_NOENT) {
        *len = 0;
        return 0;
    }
    if (err == BATON_ERR_NOSPC
            || (err == 0 && (*len == 0 || raw[0] != LAYOUT))) {
        return BATON_ERR_TRUST_STORE;
    }
    return err;
}

static int load_root(
        struct baton_trust *self, const struct baton_store *store) {
    uint8_t raw[ROOT_BYTES];
    size_t len = sizeof(raw);
    int err = get(store, NAME_ROOT, raw, &len);
    if (err != 0 || len == 0) {
        return err;
    }
    if (len != sizeof(raw)) {
        return BATON_ERR_TRUST_STORE;
    }
    self->has_root = true;
    memcpy(self->root, raw + 1, BATON_P256_KEY_BYTES);
    return 0;
}

static bool is_of_root(const struct baton_trust *self, const uint8_t *raw) {
    return memcmp(raw + 1, self->root, TAG_BYTES) == 0;
}

static int load_keys(
        struct baton_trust *self, const struct baton_store *store) {
    uint8_t raw[KEYS_BYTES];
    size_t len = sizeof(raw);
    int err = get(store, NAME_KEYS, raw, &len);
    if (err != 0 || len == 0) {
        return err;
    }
    uint8_t count = len >= HEAD_BYTES ? raw[25] : UINT8_MAX;
    if (count > BATON_TRUST_KEYS_MAX
            || len != HEAD_BYTES + count * BATON_P256_KEY_BYTES) {
        return BATON_ERR_TRUST_STORE;
    }
    if (!self->has_root || !is_of_root(self, raw)) {
        return 0;
    }
    self->keys_version = get_u32(raw + 9);
    self->keys_expires = get_u32(raw + 13) | (uint64_t)get_u32(raw + 17) << 32;
    self->sequence = get_u32(raw + 21);
    self->key_count = count;
    memcpy(self->keys, raw + HEAD_BYTES, len - HEAD_BYTES);
    return 0;
}

static int load_sequence(
        struct baton_trust *self, const struct baton_store *store) {
    uint8_t raw[SEQ_BYTES];
    size_t len = sizeof(raw);
    int err = get(store, NAME_SEQ, raw, &len);
    if (err != 0 || len == 0) {
        return err;
    }
    if (len != sizeof(raw)) {
        return BATON_ERR_TRUST_STORE;
    }
    uint32_t sequence = get_u32(raw + 13);
    if (is_of_root(self, raw) && get_u32(raw + 9) == self->keys_version
            && sequence > self->sequence) {
        self->sequence = sequence;
    }
    return 0;
}

int baton_trust_load(
        struct baton_trust *self, const struct baton_store *store) {
    memset(self, 0, sizeof(*self));
    int err = 0;
    if (store != NULL) {
        err = load_root(self, store);
        err = err != 0 ? err : load_keys(self, store);
        err = err != 0 ? err : load_sequence(self, store);
    }
    if (err != 0) {
        memset(self, 0, sizeof(*self));
    }
    return err;
}

static int save_root(const struct baton_store *store,
        const uint8_t key[BATON_P256_KEY_BYTES]) {
    uint8_t raw[ROOT_BYTES] = {LAYOUT};
    memcpy(raw + 1, key, BATON_P256_KEY_BYTES);
    return store->set(store->context, NAME_ROOT, raw, sizeof(raw));
}

int baton_trust_set_root(struct baton_trust *self,
        const struct baton_store *store,
        const uint8_t key[BATON_P256_KEY_BYTES]) {
    if (self->has_root && memcmp(self->root, key, BATON_P256_KEY_BYTES) == 0) {
        return 0;
    }
    int err = store != NULL ? save_root(store, key) : 0;
    if (err != 0) {
        return err;
    }
    memset(self, 0, sizeof(*self));
    self->has_root = true;
    memcpy(self->root, key, BATON_P256_KEY_BYTES);
    return 0;
}

int baton_trust_pin_key(
        struct baton_trust *self, const uint8_t key[BATON_P256_KEY_BYTES]) {
    if (self->keys_version != 0) {
        return BATON_ERR_STATE;
    }
    if (self->key_count == BATON_TRUST_KEYS_MAX) {
        return BATON_ERR_NOSPC;
    }
    memcpy(self->keys[self->key_count], key, BATON_P256_KEY_BYTES);
    self->key_count++;
    return 0;
}

int baton_trust_note_sequence(struct baton_trust *self,
        const struct baton_store *store, uint32_t sequence) {
    if (sequence <= self->sequence) {
        return 0;
    }
    if (store != NULL) {
        uint8_t raw[SEQ_BYTES] = {LAYOUT};
        memcpy(raw + 1, self->root, TAG_BYTES);
        put_u32(raw + 9, self->keys_version);
        put_u32(raw + 13, sequence);
        int err = store->set(store->context, NAME_SEQ, raw, sizeof(raw));
        if (err != 0) {
            return err;
        }
    }
    self->sequence = sequence;
    return 0;
}

// ---- Key sets -------------------------------------------------------------

// What a key set says.
struct key_set {
    uint64_t expires;
    uint32_t version;
    uint32_t sequence; // 0: not reset
    uint8_t key_count;
    uint8_t keys[BATON_TRUST_KEYS_MAX][BATON_P256_KEY_BYTES];
};

struct jwk {
    const char *type;
    const char *curve;
    uint8_t point[BATON_P256_KEY_BYTES];
};

static bool refuse(void *out, const struct baton_json *value, uint32_t limit) {
    (void)out;
    (void)value;
    (void)limit;
    return false;
}

static bool read_key(const struct baton_json *value, uint8_t *key) {
    static const struct baton_field fields[] = {
            {"kty", baton_fields_text, 8, offsetof(struct jwk, type), false},
            {"crv", baton_fields_text, 8, offsetof(struct jwk, curve), false},
            {"x", baton_fields_bytes32, 0, offsetof(struct jwk, point), false},
            {"y", baton_fields_bytes32, 0, offsetof(struct jwk, point) + 32,
                    false},
            // A private key that was published is nobody's secret any more.
            {"d", refuse, 0, 0, true},
    };
    struct jwk jwk;
    if (!baton_fields_read(
                &jwk, value, fields, sizeof(fields) / sizeof(fields[0]))
            || strcmp(jwk.type, "EC") != 0 || strcmp(jwk.curve, "P-256") != 0) {
        return false;
    }
    memcpy(key, jwk.point, BATON_P256_KEY_BYTES);
    return true;
}

static bool read_keys(
        void *out, const struct baton_json *value, uint32_t limit) {
    struct key_set *set = out;
    struct baton_json_walk walk;
    struct baton_json name;
    struct baton_json element;
    if (!baton_json_walk_begin(&walk, value) || walk.is_object) {
        return false;
    }
    while (baton_json_walk_next(&walk, &name, &element)) {
        if (set->key_count == limit
                || !read_key(&element, set->keys[set->key_count])) {
            return false;
        }
        set->key_count++;
    }
    return set->key_count > 0;
}

static int read_set(const struct baton_json *payload, struct key_set *set) {
    static const struct baton_field fields[] = {
            {"version", baton_fields_u32, UINT32_MAX,
                    offsetof(struct key_set, version), false},
            {"expires", baton_fields_time, 0, offsetof(struct key_set, expires),
                    false},
            {"keys", read_keys, BATON_TRUST_KEYS_MAX, 0, false},
            {"sequence", baton_fields_u32, UINT32_MAX,
                    offsetof(struct key_set, sequence), true},
    };
    memset(set, 0, sizeof(*set));
    int err = baton_fields_format(payload);
    if (err != 0) {
        return err;
    }
    bool ok = baton_fields_read(
            set, payload, fields, sizeof(fields) / sizeof(fields[0]));
    return ok && set->version != 0 ? 0 : BATON_ERR_MANIFEST_FORMAT;
}

static int open_set(const struct baton_trust *self,
        const struct baton_crypto *crypto, char *buf, size_t len,
        struct key_set *set) {
    const struct baton_jws_config config = {
            .crypto = crypto,
            .type = BATON_JWS_TYPE_KEYS,
            .bytes_max = BATON_KEYS_BYTES_MAX,
            .keys = &self->root,
            .key_count = 1,
    };
    struct baton_json payload;
    int err = baton_jws_open(&config, buf, len, &payload);
    return err != 0 ? err : read_set(&payload, set);
}

static int save_set(const struct baton_trust *self,
        const struct baton_store *store, const struct key_set *set,
        uint32_t sequence) {
    uint8_t raw[KEYS_BYTES];
    size_t len = HEAD_BYTES + set->key_count * BATON_P256_KEY_BYTES;
    raw[0] = LAYOUT;
    memcpy(raw + 1, self->root, TAG_BYTES);
    put_u32(raw + 9, set->version);
    put_u32(raw + 13, (uint32_t)set->expires);
    put_u32(raw + 17, (uint32_t)(set->expires >> 32));
    put_u32(raw + 21, sequence);
    raw[25] = set->key_count;
    memcpy(raw + HEAD_BYTES, set->keys, len - HEAD_BYTES);
    return store->set(store->context, NAME_KEYS, raw, len);
}

// With the new set comes the sequence number it starts from: its own, or the
// highest seen under the set before it.
static int install(struct baton_trust *self, const struct baton_store *store,
        const struct key_set *set) {
    uint32_t sequence = set->sequence != 0 ? set->sequence : self->sequence;
    int err = store != NULL ? save_set(self, store, set, sequence) : 0;
    if (err != 0) {
        return err;
    }
    self->keys_version = set->version;
    self->keys_expires = set->expires;
    self->sequence = sequence;
    self->key_count = set->key_count;
    memcpy(self->keys, set->keys, sizeof(self->keys));
    return 0;
}

int baton_trust_install_keys(struct baton_trust *self,
        const struct baton_crypto *crypto, const struct baton_store *store,
        char *buf, size_t len, const struct baton_trust_time *time) {
    if (!self->has_root) {
        return BATON_ERR_TRUST_NONE;
    }
    struct key_set set;
    int err = open_set(self, crypto, buf, len, &set);
    if (err != 0) {
        return err;
    }
    if (set.version < self->keys_version) {
        return BATON_ERR_KEYS_OLD;
    }
    if (set.expires != 0 && set.expires <= time->unix_s) {
        return BATON_ERR_KEYS_EXPIRED;
    }
    return set.version == self->keys_version ? 0 : install(self, store, &set);
}
