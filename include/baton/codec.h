// Payloads: an image as it travels, decoded while it is downloaded.
// SPDX-License-Identifier: MIT
//
// A payload is a header and an encoded image (docs/CODEC.md): raw (stored),
// packed (needs no base), or delta (against the image in the running slot).
// The decoder takes the payload in pieces of any size, writes the image
// strictly in order, and needs no memory but what the caller gives it.
//
//   header_read --> begin --> push ... push --> end
//                     |         ^
//                     +-resume--+   (input and output from a restart point)
//
// A payload that this decoder cannot hold, or that is for another base, is told
// by its header: before anything is written. What it decodes to is judged by
// the new image's SHA-256: the decoder itself only makes sure that no payload,
// however broken, reads or writes out of bounds or runs without end.
#ifndef BATON_CODEC_H
#define BATON_CODEC_H

#include "baton/port.h"

// Bytes that always hold a whole header.
#define BATON_CODEC_HEADER_MAX 512u
// Output between two restart points.
#define BATON_CODEC_SEGMENT_BYTES 262144u
// A payload's image has at most this many segments (16 MiB).
#define BATON_CODEC_SEGMENTS_MAX 64u
// Memory that holds the state of any payload of a profile; together with
// struct baton_codec at most 16 KiB and 32 KiB.
#define BATON_CODEC_STATE_S_BYTES 15904u
#define BATON_CODEC_STATE_M_BYTES 32128u

#define BATON_CODEC_AREAS_MAX 2u
// The largest image, and base.
#define BATON_CODEC_IMAGE_MAX                                                  \
    (BATON_CODEC_SEGMENTS_MAX * BATON_CODEC_SEGMENT_BYTES)

enum baton_codec_encoding {
    BATON_CODEC_RAW = 0,
    BATON_CODEC_PACKED = 1,
    BATON_CODEC_DELTA = 2,
};

enum baton_codec_profile {
    BATON_CODEC_PROFILE_S = 0, // state within 16 KiB
    BATON_CODEC_PROFILE_M = 1, // state within 32 KiB
};

// What a header says.
struct baton_codec_info {
    // As they lie in the header, see docs/CODEC.md.
    uint8_t encoding;
    uint8_t features;        // optional parts of the format that it uses
    uint8_t machine;         // whose instructions
    uint8_t literal_log2[3]; // sizes of the literal contexts' tables
    uint8_t map_eighth;      // entries of the address map, divided by 8
    uint8_t profile;         // enum baton_codec_profile that holds it
    uint32_t new_bytes;
    uint32_t old_bytes; // the base's length; 0: needs none
    uint32_t code; // a bit for each segment that holds code, from bit 0 on of
                   // the base, from bit 16 on of the image
    // Addresses outside the segments that pointers may have: 64 KiB units, from
    // the high half on as many as the low half says.
    uint32_t areas[BATON_CODEC_AREAS_MAX];
    uint8_t new_sha256[BATON_SHA256_BYTES];
    uint8_t old_sha256[BATON_SHA256_BYTES]; // of old_bytes; zero without
    uint32_t state_bytes;   // memory this payload needs, for config.state
    uint32_t header_bytes;  // of the payload; then the first segment begins
    uint32_t payload_bytes; // the whole of it
    uint32_t segment_count; // restart points, the beginning included
    // Where in the payload a segment begins; the entry after the last one is
    // payload_bytes.
    uint32_t segment_off[BATON_CODEC_SEGMENTS_MAX + 1];
};

// Reads a header and checks all of it: version, features, sizes.
//
// head, len  the payload's first bytes; BATON_CODEC_HEADER_MAX always suffice
// Returns    0, BATON_ERR_CODEC_TRUNCATED (more bytes are needed),
//            BATON_ERR_CODEC_FORMAT (not a payload, or sizes that contradict
//            each other), BATON_ERR_CODEC_VERSION (made by a later release)
int baton_codec_header_read(
        const uint8_t *head, size_t len, struct baton_codec_info *out);

// All callbacks return 0 or a negative enum baton_err, which push hands on.
struct baton_codec_config {
    void *context;

    // Reads the base: [off, off + len) lies within info.old_bytes. Not called
    // for raw and packed payloads.
    int (*read_old)(void *context, uint32_t off, void *buf, size_t len);

    // Reads back what `write` was given, however recently: bytes that wait in
    // a buffer for their sector to fill are read too. [off, off + len) lies
    // within what was written; from resume on, also before it.
    int (*read_new)(void *context, uint32_t off, void *buf, size_t len);

    // Takes the next bytes of the new image, 256 at most.
    int (*write)(void *context, const void *data, size_t len);

    // SHA-256, for images whose appended digest is computed and not sent.
    const struct baton_crypto *crypto;

    // Memory for the model: info.state_bytes or more, aligned to 4; borrowed
    // until end.
    void *state;
    size_t state_len;

    // Most bytes of output made, or of the image hashed, by one push; a push
    // goes up to 512 over it. 0: no bound.
    uint32_t budget_bytes;
};

// push was stopped by its budget: call it again with what is left, even when
// that is nothing.
#define BATON_CODEC_MORE 1

struct codec;

// A decoder. Fields are private.
struct baton_codec {
    struct baton_codec_config config;
    const struct baton_codec_info *info;
    struct codec *model; // in config.state
    uint32_t in_off;     // of the payload: the next byte to come
    uint32_t segment;
    uint32_t hashed; // bytes of the image
    struct baton_hash_state hash;
};

// Gets ready to decode from the start. The info is borrowed until the end.
//
// Flash       of a delta, the base's headers are read
// Returns     0, BATON_ERR_ARG (a callback or crypto is missing, state is not
//             aligned), BATON_ERR_CODEC_MEMORY (state_len is less than
//             info.state_bytes), those of read_old
int baton_codec_begin(struct baton_codec *self,
        const struct baton_codec_config *config,
        const struct baton_codec_info *info);

// After begin: decodes from restart point k instead. Nothing of an earlier
// decoder is needed but the image's first k * 256 KiB, by read_new. The next
// byte pushed is info.segment_off[k] of the payload, the next one written is
// k * BATON_CODEC_SEGMENT_BYTES of the image.
//
// Flash       the headers of the base and of what was written are read
// Returns     0, BATON_ERR_ARG (no such restart point), those of read_old and
//             read_new
int baton_codec_resume(struct baton_codec *self, uint32_t k);

// Takes the payload's next bytes, header included when begun from the start.
//
// data, len   borrowed for the call; any length, 0 allowed
// used        how many were taken; all of them when it returns 0
// Flash       what the callbacks do
// Returns     0 (the next bytes are wanted, or everything is done),
//             BATON_CODEC_MORE, BATON_ERR_CODEC_CORRUPT, BATON_ERR_CODEC_FORMAT
//             (bytes after the payload's end), BATON_ERR_CRYPTO, those of the
//             callbacks. An error sticks.
int baton_codec_push(
        struct baton_codec *self, const void *data, size_t len, size_t *used);

// Where in the image the next byte goes that is given to write.
uint32_t baton_codec_offset(const struct baton_codec *self);

// After the last push: is the image whole? Its SHA-256 is for the caller to
// check (baton_update_end does, given config.sha256).
//
// Returns     0, BATON_ERR_CODEC_TRUNCATED (the payload is cut short, or push
//             was not called until it returned 0), and push's sticking error
int baton_codec_end(const struct baton_codec *self);

#endif
