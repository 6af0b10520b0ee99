// Fuzzes the ELF reader; what it takes has to build an image that verifies.
// SPDX-License-Identifier: MIT
//
// Input: chip, flags, then the ELF.
#include <string.h>

#include "../lib/images.h"
#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "require.h"

#define OPTION_BYTES 2u
#define PARTS_MAX    64u
#define OUT_MAX      (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t out[OUT_MAX];
static size_t out_len;

static int collect(void *context, const void *data, size_t len) {
    (void)context;
    if (len > OUT_MAX - out_len) {
        return BATON_ERR_NOSPC;
    }
    memcpy(out + out_len, data, len);
    out_len += len;
    return 0;
}

static void require_parts(const struct baton_image_part *parts, size_t count,
        const uint8_t *elf, size_t len) {
    for (size_t i = 0; i < count; i++) {
        require(parts[i].data >= elf
                        && parts[i].len_bytes
                                   <= len - (size_t)(parts[i].data - elf),
                "parts lie in the file");
        require(parts[i].len_bytes > 0, "parts have bytes");
        require(i == 0
                        || parts[i].load_addr - parts[i - 1].load_addr
                                   >= parts[i - 1].len_bytes,
                "parts are in order and apart");
    }
}

// Each part's first and last byte where its segment says.
struct places {
    uint8_t count;
    struct baton_image_segment segments[BATON_IMAGE_SEGMENTS_MAX];
};

static void note(void *context, const struct baton_image_segment *segment) {
    struct places *places = context;
    places->segments[places->count++] = *segment;
}

static bool is_loaded(
        const struct places *places, uint32_t addr, uint8_t value) {
    for (uint8_t i = 0; i < places->count; i++) {
        uint32_t off = addr - places->segments[i].load_addr;
        if (off < places->segments[i].len_bytes) {
            return out[places->segments[i].data_off + off] == value;
        }
    }
    return false;
}

static void require_image(const struct baton_image_spec *spec) {
    static struct baton_image image;
    struct places places = {0};
    // A page size that the descriptor does not say is the build's; any that
    // lays the image out will do.
    int err = BATON_ERR_IMAGE_MAPPING;
    for (uint8_t page = 16; page >= 13 && err == BATON_ERR_IMAGE_MAPPING;
            page--) {
        struct baton_chip chip = {.id = BATON_CHIP_ANY, .mmu_page_log2 = page};
        struct baton_image_config config = {.crypto = baton_crypto_psa(),
                .chip = &chip,
                .on_segment = note,
                .context = &places};
        places.count = 0;
        err = images_verify(&image, &config, out, out_len, 0);
    }
    bool is_bare = !spec->add_descriptor && !image.info.has_descriptor;
    if (is_bare) {
        // What has no descriptor need not pass the rules that ask for one.
        return;
    }
    require(err == 0, "what is built verifies");
    require(image.info.len_bytes == out_len, "to its last byte");
    for (size_t i = 0; i < spec->part_count; i++) {
        const struct baton_image_part *part = &spec->parts[i];
        uint32_t last = part->len_bytes - 1;
        require(is_loaded(&places, part->load_addr, part->data[0])
                        && is_loaded(&places, part->load_addr + last,
                                part->data[last]),
                "every part is loaded");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct baton_image_builder builder;
    static struct baton_image_part parts[PARTS_MAX];
    if (size < OPTION_BYTES) {
        return 0;
    }
    const uint8_t *elf = data + OPTION_BYTES;
    size_t len = size - OPTION_BYTES;
    struct baton_image_spec spec = {
            .header = {.chip_id = data[0] % 34, .digest_appended = data[1] & 1},
            .add_descriptor = (data[1] & 2) != 0,
            .descriptor = {.mmu_page_log2 = 16},
            .parts = parts,
            .crypto = baton_crypto_psa(),
    };
    int err = baton_image_parse_elf(elf, len, spec.header.chip_id, parts,
            PARTS_MAX, &spec.part_count, &spec.header.entry_addr);
    if (err != 0) {
        require(err < 0, "a status is known");
        return 0;
    }
    require_parts(parts, spec.part_count, elf, len);
    out_len = 0;
    err = baton_image_build(&builder, &spec, collect, NULL);
    require(err == 0 || err == BATON_ERR_ELF_LAYOUT
                    || err == BATON_ERR_IMAGE_CHIP || err == BATON_ERR_NOSPC,
            "a build has a result");
    if (err == 0) {
        require_image(&spec);
    }
    return 0;
}
