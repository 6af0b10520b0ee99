// What a device trusts: a root key, the key set it signed, the highest
// sequence number seen.
// SPDX-License-Identifier: MIT
//
// Formats: docs/FORMAT.md, "Signed documents". Two levels: the root key, kept
// offline, signs key sets and nothing else; the keys of the newest key set
// sign releases and can change no keys. A key set is a document of its own
// (`keys.jws` beside the channel file) with a version that only rises, and may
// set the highest sequence number seen back, which undoes what a stolen release
// key did to it.
//
// In the store: "trust.root", "trust.keys", "trust.seq". A value is replaced as
// a whole, and a key set takes its sequence number with it, so that there is no
// order of power cuts that leaves half of one set and half of another.
//
// When to fetch keys.jws (the agent's part):
// - baton_manifest_open says BATON_ERR_KEY_UNKNOWN;
// - baton_manifest_judge says BATON_ERR_KEYS_EXPIRED;
// - a release was judged good and would be installed now, or has a sequence
//   number higher than any before: once before that. A release key that was
//   withdrawn stops there, as whoever holds it would never make the first two
//   happen; and a number that it signed must not count, or the highest one
//   would shut out the owner.
// Then baton_trust_install_keys, and the release is opened and judged again.
#ifndef BATON_TRUST_H
#define BATON_TRUST_H

#include "baton/port.h"

#define BATON_TRUST_KEYS_MAX 4u
// The longest key set, as JWS.
#define BATON_KEYS_BYTES_MAX 2048u
// A key's id as text: base64url of the SHA-256 of its JWK (RFC 7638).
#define BATON_KEY_ID_CHARS 43u

struct baton_trust {
    bool has_root;
    uint8_t root[BATON_P256_KEY_BYTES]; // X then Y
    uint32_t keys_version;              // 0: no key set was installed
    uint64_t keys_expires;              // unix seconds; 0: never
    uint8_t key_count;
    uint8_t keys[BATON_TRUST_KEYS_MAX][BATON_P256_KEY_BYTES];
    uint32_t sequence; // the highest seen; 0: none yet
};

// What is known of the time: it is `unix_s`, or later unless is_set.
struct baton_trust_time {
    uint64_t unix_s;
    bool is_set; // the clock was set: it is unix_s now
};

// Takes the best there is: the clock, and not before the build of what runs.
//
// clock         NULL: there is none
// build_unix_s  baton_trust_build_time of the running image; 0: not known
struct baton_trust_time baton_trust_time_read(
        const struct baton_clock *clock, uint64_t build_unix_s);

// A descriptor's build date ("Sep 11 2025") and time ("12:34:56") as unix
// seconds, taken as UTC less a day, since a build machine may be anywhere; 0
// where they are empty or not a date.
uint64_t baton_trust_build_time(const char *date, const char *time);

// Reads what is trusted from the store. A store with nothing in it is no error:
// has_root is false then, and nothing signed is accepted.
//
// store       NULL: starts with nothing
// Returns     0, BATON_ERR_TRUST_STORE (a value is damaged or of a later
//             release; nothing is trusted then), BATON_ERR_IO
int baton_trust_load(struct baton_trust *self, const struct baton_store *store);

// Makes a key the root. The one that is the root already changes nothing;
// another one forgets the key set and the sequence number.
//
// store       NULL: not kept, lives in *self only
// Flash       nothing where it is the root already; else one write
// Power loss  the old root with its key set and sequence number, or the new
//             one without
// Returns     0, BATON_ERR_NOSPC, BATON_ERR_IO
int baton_trust_set_root(struct baton_trust *self,
        const struct baton_store *store,
        const uint8_t key[BATON_P256_KEY_BYTES]);

// Trusts one more release key that the program itself brings, in *self only,
// until the next load: for devices without a root. It takes the place of no key
// set: with one installed this is BATON_ERR_STATE.
//
// Returns     0, BATON_ERR_STATE, BATON_ERR_NOSPC (BATON_TRUST_KEYS_MAX)
int baton_trust_pin_key(
        struct baton_trust *self, const uint8_t key[BATON_P256_KEY_BYTES]);

// Judges a key set and installs it where it is newer than the one there is.
//
// store       NULL: lives in *self only
// buf, len    the JWS, without a terminator; overwritten once its signature
//             holds
// time        not past the set's expiry as far as is known
// Flash       one write; none where nothing is installed
// Power loss  the old key set and sequence number, or the new ones
// Returns     0 (installed, or it is the installed version already),
//             BATON_ERR_TRUST_NONE (there is no root key),
//             BATON_ERR_JWS_FORMAT, _JWS_ALGORITHM, _JWS_TYPE, _JWS_TOO_LARGE,
//             BATON_ERR_KEY_UNKNOWN (not by this root), BATON_ERR_SIGNATURE,
//             BATON_ERR_JSON_FORMAT, _JSON_DUPLICATE, _JSON_LIMIT,
//             BATON_ERR_MANIFEST_FORMAT, _MANIFEST_VERSION,
//             BATON_ERR_KEYS_OLD, _KEYS_EXPIRED, BATON_ERR_CRYPTO,
//             BATON_ERR_NOSPC, BATON_ERR_IO. *self is as before then
int baton_trust_install_keys(struct baton_trust *self,
        const struct baton_crypto *crypto, const struct baton_store *store,
        char *buf, size_t len, const struct baton_trust_time *time);

// Remembers a sequence number where it is higher than all before. Call it when
// baton_manifest_judge has returned 0 or BATON_ERR_MANIFEST_ROLLOUT and, with a
// root, keys.jws was looked at.
//
// store       NULL: in *self only
// Flash       one write where it is higher, else none
// Power loss  the old number or the new one
// Returns     0, BATON_ERR_NOSPC, BATON_ERR_IO
int baton_trust_note_sequence(struct baton_trust *self,
        const struct baton_store *store, uint32_t sequence);

// A key's id (RFC 7638): what a signed document's `kid` says.
//
// out         43 characters and a terminator
// Returns     0, BATON_ERR_CRYPTO
int baton_trust_key_id(const struct baton_crypto *crypto,
        const uint8_t key[BATON_P256_KEY_BYTES],
        char out[BATON_KEY_ID_CHARS + 1]);

// Reads a public key given as text: the JWK's x and y, each 43 characters of
// base64url, one behind the other with a '.' between ("x.y", 87 characters).
//
// Returns     0, BATON_ERR_KEY_FORMAT
int baton_trust_key_parse(const char *text, uint8_t key[BATON_P256_KEY_BYTES]);

#endif
