// Releases as the host handles them: documents, and the tree they lie in.
// SPDX-License-Identifier: MIT
//
// A tree is a folder of plain static files:
//
//   stable.jws             a channel: the signed manifest; replaced as a whole
//   keys.jws               the key set, signed by the root key
//   payloads/<hex>.raw     named by the SHA-256 of what they hold, so that no
//   lists/<hex>            name ever means two things
#ifndef BATON_HOST_RELEASE_H
#define BATON_HOST_RELEASE_H

#include <cjson/cJSON.h>

#include "baton/manifest.h"
#include "key_file.h"

#define RELEASE_KEYS_NAME "keys.jws"
// "payloads/", a digest in hex, ".packed", a terminator.
#define RELEASE_PATH_BYTES 96u

// ---- Documents (release_document.c) ---------------------------------------

// A signed document, read without asking who signed it.
struct release_document {
    cJSON *payload;
    char type[32];
    char key_id[BATON_KEY_ID_CHARS + 1];
};

// On failure prints why. The caller frees with release_document_free.
bool release_document_read(
        const char *command, const char *path, struct release_document *out);

// The same, of one that one of these keys signed: what is signed anew must not
// be what somebody else put there. On failure prints why.
bool release_document_open(const char *command, const char *path,
        const char *type, const struct key *keys, size_t key_count,
        struct release_document *out);
void release_document_free(struct release_document *self);

// Signs a payload and makes sure that a device with this key takes it; NULL,
// and the reason printed, where it would not. `type` is BATON_JWS_TYPE_*. The
// caller frees.
char *release_sign(const char *command, const cJSON *payload, const char *type,
        const struct key *key);

// Members as text, number, or those of an object in it; 0 and "" for none.
const char *release_text(const cJSON *payload, const char *name);
double release_number(const cJSON *payload, const char *name);
void release_set_number(cJSON *payload, const char *name, double value);

// ---- The tree (release_tree.c) --------------------------------------------

// The names of a channel's and the key set's files; the caller frees. NULL, and
// the reason printed, for a name that is no channel's.
char *release_channel_path(
        const char *command, const char *dir, const char *channel);
char *release_join(const char *dir, const char *name);

// Makes a folder where it is missing.
bool release_make_folder(const char *command, const char *path);

// Puts bytes under their digest's name, folder made where missing; a file with
// those bytes is left alone.
//
// folder      "payloads" or "lists"
// suffix      "" or ".raw" ...
// path        receives the path within the tree
bool release_put(const char *command, const char *dir, const char *folder,
        const char *suffix, const void *data, size_t len,
        char path[RELEASE_PATH_BYTES]);

// Replaces a signed document at once: on disk before it takes the name.
bool release_publish(const char *command, const char *path, const char *jws);

bool release_sha256(
        const void *data, size_t len, uint8_t out[BATON_SHA256_BYTES]);

// An image's sector list; the caller frees.
uint8_t *release_make_list(const uint8_t *image, size_t len, size_t *list_len);

// Writes "payloads/", the digest in hex, and the suffix.
void release_payload_path(const char *folder,
        const uint8_t digest[BATON_SHA256_BYTES], const char *suffix,
        char path[RELEASE_PATH_BYTES]);

// ---- Payloads (release_payloads.c) ----------------------------------------

// Deltas that fit a manifest of 4096 bytes beside everything else.
#define RELEASE_BASES_MAX 5u

// An image to be published.
struct release_image {
    const char *command;
    const char *dir;
    const uint8_t *data;
    size_t len;
    uint8_t profile;  // enum baton_codec_profile
    bool is_raw_only; // not packed; deltas still, where there are bases
    const char *base_paths[RELEASE_BASES_MAX];
    size_t base_count;
};

// Adds bytes, sha256 and, where given, path.
void release_add_file(
        cJSON *object, const void *data, size_t len, const char *path);

// Puts the image, its packed form and a delta for each base into the tree, and
// their entries into the list; what saves little is left out. On failure
// prints why.
bool release_add_payloads(const struct release_image *image, cJSON *list);

// Decodes a packed payload or a delta, and compares with the release's image. A
// delta whose base is not in the tree counts as good.
//
// Returns     0, what codec_unpack returns
int release_decode(const char *dir, const struct baton_manifest *manifest,
        const struct baton_manifest_payload *payload, const uint8_t *data);

// ---- Options (release_options.c) ------------------------------------------

// All print what is wrong and return false on failure.

// Now, or SOURCE_DATE_EPOCH where that is set.
bool release_now(const char *command, uint64_t *unix_s);
// "90d" "12h" "2w" "1y" (from `now`), "2027-01-31", "@1800000000", "never" (0).
bool release_parse_time(const char *command, const char *option,
        const char *text, uint64_t now, uint64_t *out);
// "25", "25%", "2.5".
bool release_parse_percent(
        const char *command, const char *text, uint16_t *permille);
// "6.3" or "none".
bool release_parse_mpy(const char *command, const char *text, uint16_t *out);
// "none" or "rollback".
bool release_parse_boot(const char *command, const char *text, uint8_t *out);
// Of a MicroPython version ("v1.26.1"); 0 for one that is not known.
uint16_t release_mpy_of(const char *version);

// "2026-11-21 12:00 UTC" or "never".
void release_format_time(uint64_t unix_s, char out[24]);

#endif
