// Payload encoder: from an image and the way to copy it, a payload.
// SPDX-License-Identifier: MIT
#ifndef BATON_HOST_CODEC_ENCODE_H
#define BATON_HOST_CODEC_ENCODE_H

#include "codec_image.h"

// Where the bytes go, for people who ask.
enum codec_purpose {
    CODEC_FOR_COPIES,     // that bytes and units are as predicted
    CODEC_FOR_REFERENCES, // targets that the address map did not predict
    CODEC_FOR_FIXES,      // bytes mended within a copy
    CODEC_FOR_LITERALS,   // bytes that are new
    CODEC_FOR_REALIGNMENTS,
    CODEC_PURPOSES,
};

struct codec_report {
    uint32_t header_bytes;
    uint32_t segment_count; // of the image, not restart segments
    // Of each segment of the new image, in 1/256 bits; the last: outside.
    uint64_t cost[CODEC_SEGMENTS + 1][CODEC_PURPOSES];
    uint32_t addr[CODEC_SEGMENTS + 1];
    uint32_t bytes[CODEC_SEGMENTS + 1];
    bool is_code[CODEC_SEGMENTS + 1];
    uint32_t references; // mispredicted
    uint32_t fixes;
    uint32_t literals;
    uint32_t realignments;
};

struct codec_pack {
    const uint8_t *old; // NULL: no base
    uint32_t old_len;
    const uint8_t *new;
    uint32_t new_len;
    uint8_t encoding; // enum baton_codec_encoding
    uint8_t profile;
    void (*on_progress)(uint32_t done, uint32_t total); // may be NULL

    struct codec_report report; // filled in
    struct baton_codec_info info;
    uint8_t *payload; // the caller frees it
    size_t payload_len;
};

// Encodes, decodes the result and compares it with the image.
//
// Returns  0, BATON_ERR_NOMEM, BATON_ERR_IMAGE_TOO_LARGE (over 16 MiB),
//          BATON_ERR_IS_EMPTY, BATON_ERR_CODEC_DIGEST (what was decoded
//          differs: a fault of the encoder)
int codec_pack(struct codec_pack *self);

// Decodes a whole payload. `old` may be NULL where none is needed. The caller
// frees *out.
//
// Returns  0, all of baton_codec_header_read, _push and _end,
//          BATON_ERR_CODEC_BASE, BATON_ERR_CODEC_DIGEST, BATON_ERR_NOMEM
int codec_unpack(const uint8_t *payload, size_t payload_len, const uint8_t *old,
        size_t old_len, uint8_t **out, size_t *out_len);

// ---- Parts

// One way to set the format's tables.
struct codec_settings {
    uint8_t literal_log2[3];
    uint8_t map_eighth;
};

// Encodes all restart segments. *out has room for the header, then one piece
// for each, of lens[i] bytes; the caller frees it.
int codec_encode(const struct codec_align *align,
        const struct baton_codec_info *info, uint8_t **out, uint32_t *lens,
        struct codec_report *report);

// A range encoder.
struct codec_writer {
    uint8_t *bytes;
    size_t len;
    size_t capacity;
    uint64_t low;
    uint32_t range;
    uint32_t held; // bytes that a carry may still change
    uint8_t first; // of those
    uint8_t lead;  // left out in front
    bool failed;
};

void codec_writer_begin(struct codec_writer *self);
void codec_writer_put(
        struct codec_writer *self, bool yes, uint32_t probability);
// Ends the piece that begins at `start` with as few bytes as tell it.
void codec_writer_end(struct codec_writer *self, size_t start);

#endif
