// Application images put together by hand, without the project's builder.
// SPDX-License-Identifier: MIT
#ifndef BATON_TESTS_IMAGES_H
#define BATON_TESTS_IMAGES_H

#include "baton/image.h"

struct images_segment {
    uint32_t load_addr;
    uint32_t len;
};

// Zero gives one segment of 256 bytes that is a descriptor, for ESP32, with a
// digest.
struct images_spec {
    uint16_t chip_id;
    uint16_t min_revision;
    uint16_t max_revision;
    struct images_segment segments[18]; // up to the first of load_addr 0 and
                                        // length 0
    bool no_descriptor;
    uint8_t mmu_page_log2;
    uint16_t min_block_revision;
    uint16_t max_block_revision;
    uint32_t secure_version;
    uint8_t digest_appended; // 0: 1
    bool no_digest;
};

// Bytes of an image being put together; free data.
struct images {
    uint8_t *data;
    size_t len;
    uint32_t data_end; // where the last segment ends
};

void images_make(struct images *self, const struct images_spec *spec);

// Works checksum and digest out again after a change.
void images_seal(struct images *self);

// The same for bytes that may be no image at all: follows the segment headers
// as far as they go, and does nothing where they lead out.
void images_seal_any(struct images *self);

void images_free(struct images *self);

// Verifies in pieces of `step` bytes; step 0: all at once.
int images_verify(struct baton_image *image,
        const struct baton_image_config *config, const uint8_t *data,
        size_t len, size_t step);

#endif
