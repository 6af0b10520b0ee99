// Fuzzes the push verifier: any chunks, and from flash, give one result.
// SPDX-License-Identifier: MIT
//
// Input: flags, chip, page, limit, then 4 chunk sizes, then the image. One flag
// has checksum and digest made right first, which no fuzzer would find.
#include <string.h>

#include "../lib/images.h"
#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "require.h"

#define OPTION_BYTES 8u
#define CHUNKS_OFF   4u
#define IMAGE_MAX    (1u << 16)

enum {
    FLAG_BOOTLOADER = 1,
    FLAG_NEED_DIGEST = 2,
    FLAG_SEAL = 4,
    FLAG_LIMIT = 8,
    FLAG_IGNORE_MAX = 16,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    uint8_t count;
    uint32_t end; // of the segments so far
};

static void note(void *context, const struct baton_image_segment *segment) {
    struct seen *seen = context;
    uint32_t header_off = seen->count == 0 ? 24 : seen->end;
    require(segment->index == seen->count, "segments come in order");
    require(segment->data_off == header_off + 8, "and lie end to end");
    require(segment->len_bytes % 4 == 0, "their length is whole words");
    require(seen->count < BATON_IMAGE_SEGMENTS_MAX, "there are 16 at most");
    seen->count++;
    seen->end = segment->data_off + segment->len_bytes;
}

static int push_chunks(struct baton_image *image,
        const struct baton_image_config *config, const uint8_t *options,
        const uint8_t *data, size_t size) {
    int err = baton_image_begin(image, config);
    size_t at = 0;
    for (unsigned i = 0; err == 0 && at < size; i++) {
        size_t count = options[CHUNKS_OFF + i % 4];
        // Large numbers stand for larger chunks.
        count = count > 200 ? (count - 200) * 300 : count;
        count = count > size - at ? size - at : count;
        int status = baton_image_push(image, data + at, count);
        require(status <= BATON_IMAGE_MORE, "a status is known");
        at += count;
        if (i > 4 && count == 0) {
            // Four sizes of 0 would never end.
            (void)baton_image_push(image, data + at, size - at);
            break;
        }
    }
    return err != 0 ? err : baton_image_finish(image);
}

struct file {
    const uint8_t *data;
    size_t size;
};

static int read_file(void *context, uint32_t addr, void *buf, size_t len) {
    const struct file *file = context;
    require(addr <= file->size && len <= file->size - addr,
            "flash is read inside its bounds");
    memcpy(buf, file->data + addr, len);
    return 0;
}

static int verify_flash(struct baton_image *image,
        const struct baton_image_config *config, const uint8_t *data,
        size_t size, size_t work_len) {
    static uint8_t work[512];
    struct file file = {data, size};
    struct baton_flash flash = {
            .context = &file, .read = read_file, .size_bytes = (uint32_t)size};
    uint32_t limit = config->limit_bytes != 0 ? config->limit_bytes
                                              : BATON_IMAGE_SIZE_MAX;
    return baton_image_verify(
            image, config, &flash, 0, limit, work, 64 + work_len);
}

static void require_good(const struct baton_image_info *info,
        const struct baton_image_config *config, const uint8_t *data,
        size_t size, const struct seen *seen) {
    require(info->len_bytes <= size, "the image is inside the file");
    require(config->limit_bytes == 0 || info->len_bytes <= config->limit_bytes,
            "the image is inside the slot");
    require(seen->count == info->header.segment_count, "all segments seen");
    require(!info->has_digest || info->digest_ok || config->is_bootloader,
            "the digest is right");
    require(info->has_digest || !config->need_digest, "there is a digest");
    uint32_t end = seen->count != 0 ? seen->end : 24;
    uint32_t want = ((end + 16) & ~15u) + (info->has_digest ? 32 : 0);
    require(info->len_bytes == want, "its length is that of its parts");
    if (info->has_descriptor) {
        int err = baton_image_check(
                data, BATON_IMAGE_HEAD_BYTES, info->len_bytes, config);
        require(err == 0 || err == BATON_ERR_IS_ESP8266,
                "the check takes what verifies");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct baton_image whole;
    static struct baton_image other;
    static uint8_t buf[IMAGE_MAX];
    if (size < OPTION_BYTES || size > IMAGE_MAX) {
        return 0;
    }
    const uint8_t *options = data;
    struct images made = {.data = buf, .len = size - OPTION_BYTES};
    memcpy(buf, data + OPTION_BYTES, made.len);
    if ((options[0] & FLAG_SEAL) != 0) {
        images_seal_any(&made);
    }
    struct baton_chip chip = {
            .id = options[1] == 0xFF ? BATON_CHIP_ANY : options[1] % 34,
            .revision = 300,
            .block_revision = 100,
            .ignore_max_revision = (options[0] & FLAG_IGNORE_MAX) != 0,
            .ignore_max_block_revision = (options[0] & FLAG_IGNORE_MAX) != 0,
            .mmu_page_log2 = options[2] % 4 == 0 ? 0 : 13 + options[2] % 6};
    struct seen seen = {0};
    struct baton_image_config config = {.crypto = baton_crypto_psa(),
            .chip = &chip,
            .is_bootloader = (options[0] & FLAG_BOOTLOADER) != 0,
            .need_digest = (options[0] & FLAG_NEED_DIGEST) != 0,
            .limit_bytes =
                    (options[0] & FLAG_LIMIT) != 0 ? options[3] * 16u : 0,
            .on_segment = note,
            .context = &seen};
    int err = images_verify(&whole, &config, made.data, made.len, 0);
    require(err <= 0, "finish decides");
    if (err == 0) {
        require_good(&whole.info, &config, made.data, made.len, &seen);
    }
    config.on_segment = NULL;
    require(push_chunks(&other, &config, options, made.data, made.len) == err,
            "chunks give the same result");
    require(memcmp(&whole.info, &other.info, sizeof(whole.info)) == 0,
            "chunks give the same info");
    int want = err == BATON_ERR_IMAGE_TRUNCATED || err == BATON_ERR_IS_EMPTY
                       ? BATON_ERR_RANGE
                       : err;
    require(verify_flash(
                    &other, &config, made.data, made.len, options[CHUNKS_OFF])
                    == want,
            "flash gives the same result");
    return 0;
}
