// What a release is: its signed manifest, and whether it is for this device.
// SPDX-License-Identifier: MIT
//
// Format: docs/FORMAT.md, "Release": a JWS in compact form (RFC 7515), ES256,
// at most 4096 bytes. The signature is checked before anything of the payload
// is parsed. Nothing here writes to flash.
//
//   fetch channel file -> baton_manifest_open -> baton_manifest_judge
//     -> (keys.jws, see trust.h) -> baton_trust_note_sequence
//     -> baton_manifest_payload_pick -> baton_manifest_url -> fetch
#ifndef BATON_MANIFEST_H
#define BATON_MANIFEST_H

#include "baton/codec.h"
#include "baton/trust.h"

#define BATON_MANIFEST_BYTES_MAX    4096u
#define BATON_MANIFEST_PAYLOADS_MAX 8u
// Longest texts, without a terminator.
#define BATON_MANIFEST_NAME_MAX    32u // product, board, rollout's salt
#define BATON_MANIFEST_VERSION_MAX 63u
#define BATON_MANIFEST_PATH_MAX    127u
// The sector list: the first 8 bytes of the SHA-256 of each 4096 bytes of the
// image, the last ones fewer.
#define BATON_MANIFEST_LIST_ENTRY_BYTES 8u

// What a release asks of the bootloader.
enum baton_bootloader {
    BATON_BOOTLOADER_ANY = 0,
    BATON_BOOTLOADER_ROLLBACK = 1, // goes back from an unconfirmed version
};

struct baton_manifest_payload {
    const char *path; // relative to the channel file's URL
    uint32_t bytes;
    uint32_t base_bytes; // of the image a delta is against; else 0
    uint8_t encoding;    // enum baton_codec_encoding; raw is the image itself
    uint8_t profile;     // enum baton_codec_profile; of packed and delta
    uint8_t sha256[BATON_SHA256_BYTES];
    uint8_t base_sha256[BATON_SHA256_BYTES]; // of its base_bytes; else zero
};

// The facts of a release. Texts are UTF-8, terminated, without control
// characters, and lie in the buffer that was opened.
struct baton_manifest {
    const char *product;
    const char *board; // "": any
    const char *version;
    const char *notes; // may have line feeds; "": none
    const char *salt;  // of the rollout
    const char *list_path;
    uint64_t issued;   // unix seconds
    uint64_t expires;  // unix seconds; 0: never
    uint32_t sequence; // 1 and up
    uint32_t secure_version;
    uint32_t image_bytes;
    uint32_t list_bytes;
    uint16_t chip_id;
    uint16_t rollout_permille; // 1000: every device
    uint16_t mpy; // MicroPython's mpy version, sys.implementation._mpy & 0x3FF;
                  // 0: not MicroPython
    uint8_t boot; // enum baton_bootloader
    uint8_t payload_count;                    // 1 and up
    uint8_t image_sha256[BATON_SHA256_BYTES]; // of the whole file
    uint8_t list_sha256[BATON_SHA256_BYTES];
    struct baton_manifest_payload payloads[BATON_MANIFEST_PAYLOADS_MAX];
};

// Checks a release's signature against the trusted keys, and reads it.
//
// buf, len    the JWS, without a terminator, borrowed as long as *out is used.
//             Overwritten once the signature holds; before that, and so with
//             BATON_ERR_KEY_UNKNOWN, it stays as it is and can be opened again
// Returns     0; BATON_ERR_TRUST_NONE (no key is trusted and there is no
//             root: nothing signed can be accepted),
//             BATON_ERR_JWS_FORMAT, _JWS_ALGORITHM, _JWS_TYPE, _JWS_TOO_LARGE,
//             BATON_ERR_KEY_UNKNOWN (fetch keys.jws), BATON_ERR_SIGNATURE,
//             BATON_ERR_JSON_FORMAT, _JSON_DUPLICATE, _JSON_LIMIT,
//             BATON_ERR_MANIFEST_FORMAT, _MANIFEST_VERSION, BATON_ERR_CRYPTO.
//             *out is all zero then
int baton_manifest_open(struct baton_manifest *out, char *buf, size_t len,
        const struct baton_trust *trust, const struct baton_crypto *crypto);

// What a device knows of itself.
struct baton_device_facts {
    const char *product; // NULL: takes any
    const char *board;   // NULL: takes any
    const uint8_t *id;   // the rollout's: on ESP32 the 6 bytes of the base MAC
    size_t id_len;
    const uint16_t *mpy;     // mpy versions it has Baton's modules for
    size_t mpy_count;        // 0: needs none (compiled in, or not MicroPython)
    uint32_t secure_version; // the eFuse's
    uint32_t slot_bytes;     // of the slot that would be written
    uint16_t chip_id;        // BATON_CHIP_ANY: takes any
    uint8_t bootloader;      // enum baton_bootloader: what it can do
};

// All false is the default.
struct baton_manifest_options {
    // Refuse while the clock was not set since power-on. Otherwise a release
    // is expired only where the time known for sure (a clock kept over a reset,
    // the build date of what runs) is past its expiry.
    bool need_clock;
    bool ignore_rollout; // take it also where the percentage leaves it out
};

// Decides whether a release is for this device, and now. The first that does
// not hold is returned, in this order.
//
// facts, options  options may be NULL
// Returns     0, BATON_ERR_MANIFEST_PRODUCT, _MANIFEST_BOARD, _MANIFEST_CHIP,
//             BATON_ERR_MANIFEST_NO_CLOCK, BATON_ERR_KEYS_EXPIRED (the key set
//             is: fetch keys.jws), BATON_ERR_MANIFEST_EXPIRED,
//             _MANIFEST_OLD (sequence below the highest seen),
//             BATON_ERR_IMAGE_SECURE_VERSION, BATON_ERR_IMAGE_TOO_LARGE,
//             BATON_ERR_MANIFEST_BOOTLOADER, _MANIFEST_MPY, _MANIFEST_ROLLOUT
//             (not in the percentage yet), BATON_ERR_CRYPTO
int baton_manifest_judge(const struct baton_manifest *self,
        const struct baton_trust *trust, const struct baton_crypto *crypto,
        const struct baton_device_facts *facts,
        const struct baton_trust_time *time,
        const struct baton_manifest_options *options);

// What decides between payloads.
struct baton_manifest_wish {
    uint32_t base_bytes;        // length of the image that runs; 0: not known
    const uint8_t *base_sha256; // of those bytes; NULL: not known
    size_t state_bytes;         // memory for the codec; 0: raw only
    uint32_t failed;            // bit n: payload n was tried and failed
};

// The index of the smallest payload that this device can use.
//
// Returns     0 ... payload_count - 1, or BATON_ERR_MANIFEST_PAYLOAD (none, or
//             none left)
int baton_manifest_payload_pick(const struct baton_manifest *self,
        const struct baton_manifest_wish *wish);

// The URL of a payload, of the sector list or of "keys.jws": the path in place
// of what follows the last '/' of the channel file's URL, query left out.
//
// out, capacity  receives a terminated text
// Returns     0, BATON_ERR_ARG (not an http or https URL), BATON_ERR_NOSPC
int baton_manifest_url(
        const char *channel_url, const char *path, char *out, size_t capacity);

// True where a device is within the first permille of a rollout: with
// n = the first 4 bytes, big-endian, of SHA-256(salt, one zero byte, id),
// where floor(n * 1000 / 2^32) < permille. A higher permille never leaves out
// a device that a lower one had in.
//
// Returns     0 or BATON_ERR_CRYPTO
int baton_manifest_rollout(const struct baton_manifest *self,
        const struct baton_crypto *crypto, const uint8_t *id, size_t id_len,
        bool *is_in);

#endif
