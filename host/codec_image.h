// The payload encoder's view of an image, shared by its steps.
// SPDX-License-Identifier: MIT
#ifndef BATON_HOST_CODEC_IMAGE_H
#define BATON_HOST_CODEC_IMAGE_H

#include "../core/codec_state.h"

// Where a byte of the new image is copied from: an offset in the base,
// CODEC_SELF plus an offset in the new image, or nowhere.
#define CODEC_SELF    0x10000000
#define CODEC_LITERAL (-1)

struct codec_image {
    const uint8_t *data;
    uint32_t len;
    uint32_t code; // a bit for each segment that holds code
    uint32_t areas[BATON_CODEC_AREAS_MAX];
    struct codec_layout layout; // areas first
};

// An image whose references are replaced by what they refer to, so that the
// same code looks the same wherever it lies.
struct codec_normal {
    uint8_t *bytes;
    bool *is_reference; // a byte that stands for a reference
};

// What to find sources for, and how.
struct codec_align {
    struct codec_image old_image;
    struct codec_image new_image;
    struct codec_normal old_normal;
    struct codec_normal new_normal;
    int32_t *suffixes; // of old_normal, sorted
    int32_t *source;   // of every byte of the new image
};

// Fills in code and layout from the headers of an ESP image; plain data has
// none. Areas are found by codec_image_find_areas, and set by _set_areas.
void codec_image_open(
        struct codec_image *self, const uint8_t *data, uint32_t len);

// The addresses outside the segments that many pointers of an image have.
void codec_image_find_areas(
        const struct codec_image *self, uint32_t areas[BATON_CODEC_AREAS_MAX]);
void codec_image_set_areas(
        struct codec_image *self, const uint32_t areas[BATON_CODEC_AREAS_MAX]);

// What to put in the place of a reference to an address: a hash of what is
// there, or of which address in the base corresponds. 0 where that is unknown.
typedef uint32_t (*codec_identity)(
        const void *context, const struct codec_image *image, uint32_t target);

// The bytes of an image with references replaced. False: out of memory.
bool codec_normalise(const struct codec_image *image, codec_identity identity,
        const void *context, struct codec_normal *out);
// Replaces references by hashes of the content they refer to.
bool codec_normalise_by_content(
        const struct codec_image *image, struct codec_normal *out);
// Replaces them by where the alignment found so far maps them.
bool codec_normalise_by_alignment(struct codec_align *self);

// Finds blocks of the new image that resemble the base: self->source.
bool codec_match(struct codec_align *self);
// Then, among those and shorter ones, the cheapest way to copy.
bool codec_choose(struct codec_align *self);
// All of it. The caller frees self->source. False: out of memory.
bool codec_align(struct codec_align *self, const struct codec_image *old_image,
        const struct codec_image *new_image);

struct codec_view codec_image_view(const struct codec_image *self, uint32_t off,
        const struct codec_segment *segment, struct codec_registers *registers);

#endif
