// The push verifier: the vendor's checks, in any chunks, over every byte.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/images.h"
#include "baton-posix/crypto.h"
#include "baton/error.h"

static struct baton_image image;

// The device of the vendor's vectors: ESP32, revision 3.0.
static const struct baton_chip esp32 = {.id = 0, .revision = 300};

static struct baton_image_config configure(const struct baton_chip *chip) {
    struct baton_image_config config = {
            .crypto = baton_crypto_psa(),
            .chip = chip,
    };
    return config;
}

static int verify(const struct images *made, const struct baton_chip *chip) {
    struct baton_image_config config = configure(chip);
    return images_verify(&image, &config, made->data, made->len, 0);
}

static int verify_spec(
        const struct images_spec *spec, const struct baton_chip *chip) {
    struct images made;
    images_make(&made, spec);
    int err = verify(&made, chip);
    images_free(&made);
    return err;
}

// Images of many shapes, all good.
static const struct images_spec shapes[] = {
        {0},
        {.no_digest = true},
        {.digest_appended = 2},
        {.segments = {{0x3F400020, 260}}},
        {.segments = {{0x3F400020, 1000}, {0x3FFB0000, 64}, {0x40080000, 4},
                 {0x50000000, 0}, {0, 64000}, {0x400DFE74, 5000}}},
        {.segments = {{0x3F400020, 256}, {0x3FFB0000, 0}}},
        {.segments = {{0x40080000, 300}}, .no_descriptor = true},
        {.chip_id = 5,
                .segments = {{0x3C000020, 512}, {0x4037C000, 12}},
                .max_revision = 99},
        {.chip_id = 13, .segments = {{0x42000020, 512}, {0x40800000, 12}}},
        {.chip_id = 13,
                .segments = {{0x42008020, 512}, {0x40800000, 12}},
                .mmu_page_log2 = 15},
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static void test_good_images(void **state) {
    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        struct images made;
        images_make(&made, &shapes[i]);
        assert_int_equal(verify(&made, NULL), 0);
        const struct baton_image_info *info = baton_image_result(&image);
        assert_int_equal(info->len_bytes, made.len);
        assert_int_equal(info->header.chip_id, shapes[i].chip_id);
        assert_int_equal(info->has_digest, !shapes[i].no_digest);
        assert_int_equal(info->digest_ok, !shapes[i].no_digest);
        assert_int_equal(info->has_descriptor, !shapes[i].no_descriptor);
        if (info->has_digest) {
            assert_memory_equal(info->digest, made.data + made.len - 32, 32);
        }
        images_free(&made);
    }
}

static void test_descriptor_fields(void **state) {
    (void)state;
    struct images_spec spec = {.secure_version = 7,
            .min_block_revision = 1,
            .max_block_revision = 199,
            .mmu_page_log2 = 16};
    assert_int_equal(verify_spec(&spec, NULL), 0);
    const struct baton_app_descriptor *d =
            &baton_image_result(&image)->descriptor;
    char full[33];
    memset(full, 'p', 32);
    full[32] = 0;
    assert_int_equal(d->secure_version, 7);
    assert_string_equal(d->version, "v1.2.3");
    assert_string_equal(d->project_name, full);
    assert_string_equal(d->time, "12:34:56");
    assert_string_equal(d->date, "Sep 11 2025");
    assert_string_equal(d->idf_version, "v5.4.2");
    assert_int_equal(d->elf_sha256[31], 0x5E);
    assert_int_equal(d->min_block_revision, 1);
    assert_int_equal(d->max_block_revision, 199);
    assert_int_equal(d->mmu_page_log2, 16);
}

// Any chunk size gives the same result, also for damaged images.
static void test_chunking(void **state) {
    (void)state;
    static const size_t steps[] = {1, 2, 3, 5, 7, 11, 13, 17, 24, 31, 32, 61,
            127, 256, 257, 288, 1021, 4093, 4096, 65537};
    for (size_t i = 0; i < 4 * SHAPES; i++) {
        struct images made;
        images_make(&made, &shapes[i / 4]);
        size_t at = i % 4 == 1 ? made.len - 1 : i % 4 == 2 ? 24 : 100;
        made.data[at] ^= i % 4 == 0 ? 0 : 1;
        int want = verify(&made, NULL);
        struct baton_image_info want_info = *baton_image_result(&image);
        for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
            struct baton_image_config config = configure(NULL);
            assert_int_equal(images_verify(&image, &config, made.data, made.len,
                                     steps[k]),
                    want);
            assert_memory_equal(
                    baton_image_result(&image), &want_info, sizeof(want_info));
        }
        images_free(&made);
    }
}

static void test_truncation(void **state) {
    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        struct images made;
        images_make(&made, &shapes[i]);
        size_t step = made.len > 5000 ? 997 : 1;
        struct baton_image_config config = configure(NULL);
        for (size_t len = 0; len < made.len; len += step) {
            // A copy of its own length, so that a sanitizer sees over-reads.
            uint8_t *cut = malloc(len + (len == 0));
            memcpy(cut, made.data, len);
            assert_int_equal(images_verify(&image, &config, cut, len, 0),
                    len == 0 ? BATON_ERR_IS_EMPTY : BATON_ERR_IMAGE_TRUNCATED);
            assert_int_equal(baton_image_result(&image)->len_bytes, 0);
            free(cut);
        }
        images_free(&made);
    }
}

// Every value of every byte of a small image ends in an error, but one: a
// digest_appended of 0 makes an image without a digest, which need_digest
// refuses.
static void test_every_byte(void **state) {
    (void)state;
    struct images_spec spec = {
            .segments = {{0x3F400020, 256}, {0x3FFB0000, 24}}};
    struct images made;
    images_make(&made, &spec);
    struct baton_image_config config = configure(&esp32);
    for (size_t at = 0; at < made.len; at++) {
        for (unsigned flip = 1; flip < 256; flip++) {
            made.data[at] ^= (uint8_t)flip;
            int err = images_verify(&image, &config, made.data, made.len, 0);
            bool lost_digest = at == 23 && made.data[23] == 0;
            if (lost_digest ? err != 0 : err >= 0) {
                fail_msg("byte %zu flipped by 0x%02x: %d", at, flip, err);
            }
            made.data[at] ^= (uint8_t)flip;
        }
    }
    made.data[23] = 0;
    config.need_digest = true;
    assert_int_equal(images_verify(&image, &config, made.data, made.len, 0),
            BATON_ERR_IMAGE_NO_DIGEST);
    images_free(&made);
}

// The vendor's corruption vectors, with what esp_image_verify() says.
#define VENDOR_OK      0
#define VENDOR_FAIL    (-1)
#define VENDOR_INVALID 0x2002

static int vendor_code(int err) {
    switch (err) {
    case 0:
        return VENDOR_OK;
    case BATON_ERR_IMAGE_CHIP:
    case BATON_ERR_IMAGE_REVISION:
    case BATON_ERR_IMAGE_DESCRIPTOR:
        return VENDOR_FAIL;
    default:
        return VENDOR_INVALID;
    }
}

static void patch(uint8_t *p, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; i++) {
        p[i] = (uint8_t)(value >> (8 * i));
    }
}

static void test_vendor_vectors(void **state) {
    (void)state;
    static const struct {
        const char *what;
        uint32_t off;
        uint32_t value;
        int bytes;
        bool is_sealed; // checksum and digest made anew
        int err;
        int vendor;
    } vectors[] = {
            {"magic E8", 0, 0xE8, 1, false, BATON_ERR_IMAGE_MAGIC, 0x2002},
            {"chip 9", 12, 9, 2, true, BATON_ERR_IMAGE_CHIP, -1},
            {"min 301", 15, 301, 2, true, BATON_ERR_IMAGE_REVISION, -1},
            {"min 300", 15, 300, 2, true, 0, 0},
            {"max 299", 17, 299, 2, true, BATON_ERR_IMAGE_REVISION, -1},
            {"max 300", 17, 300, 2, true, 0, 0},
            {"max 0", 17, 0, 2, true, 0, 0},
            {"max 65535", 17, 65535, 2, true, 0, 0},
            {"old min revision", 14, 255, 1, true, 0, 0},
            {"count 0", 1, 0, 1, true, BATON_ERR_IMAGE_CHECKSUM, 0x2002},
            {"count 17", 1, 17, 1, true, BATON_ERR_IMAGE_SEGMENT_COUNT, 0x2002},
            {"data byte", 300, 0x56, 1, false, BATON_ERR_IMAGE_CHECKSUM,
                    0x2002},
            {"mapped address off by 4", 24, 0x3F400024, 4, true,
                    BATON_ERR_IMAGE_MAPPING, 0x2002},
            {"address in RAM", 24, 0x40080000, 4, true, 0, 0},
            {"address 0", 24, 0, 4, true, 0, 0},
            {"descriptor magic", 32, 0, 4, true, 0, 0},
            {"length 8193", 28, 8193, 4, false, BATON_ERR_IMAGE_SEGMENT,
                    0x2002},
            {"length 16 MiB", 28, 0x1000000, 4, false, BATON_ERR_IMAGE_SEGMENT,
                    0x2002},
            {"length 252", 28, 252, 4, false, BATON_ERR_IMAGE_SEGMENT, 0x2002},
            {"hash_appended 2", 23, 2, 1, true, 0, 0},
            {"SPI mode", 2, 0xFF, 1, true, 0, 0},
            {"entry", 4, 0, 4, true, 0, 0},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct images made;
        images_make(
                &made, &(struct images_spec){.segments = {{0x3F400020, 8192}}});
        patch(made.data + vectors[i].off, vectors[i].value, vectors[i].bytes);
        if (vectors[i].is_sealed) {
            images_seal(&made);
        }
        int err = verify(&made, &esp32);
        if (err != vectors[i].err || vendor_code(err) != vectors[i].vendor) {
            fail_msg("%s: %s", vectors[i].what, baton_error_name(err));
        }
        images_free(&made);
    }
}

static void test_digest_vectors(void **state) {
    (void)state;
    struct images made;
    images_make(&made, &(struct images_spec){0});
    made.data[made.len - 1] ^= 1;
    assert_int_equal(verify(&made, &esp32), BATON_ERR_IMAGE_DIGEST);
    made.data[made.len - 1] ^= 1;
    // The padding in front of the checksum is covered by the digest alone.
    made.data[made.len - 34] ^= 1;
    assert_int_equal(verify(&made, &esp32), BATON_ERR_IMAGE_DIGEST);
    made.data[23] = 0;
    assert_int_equal(verify(&made, &esp32), 0);
    assert_int_equal(baton_image_result(&image)->len_bytes, made.len - 32);
    images_free(&made);
}

// No segments and the right checksum: the vendor takes it.
static void test_no_segments(void **state) {
    (void)state;
    uint8_t raw[32] = {0xE9};
    raw[31] = 0xEF;
    struct baton_image_config config = configure(&esp32);
    assert_int_equal(images_verify(&image, &config, raw, 32, 0), 0);
    raw[31] = 0xEE;
    assert_int_equal(images_verify(&image, &config, raw, 32, 0),
            BATON_ERR_IMAGE_CHECKSUM);
}

static void test_partition_size(void **state) {
    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        struct images made;
        images_make(&made, &shapes[i]);
        struct baton_image_config config = configure(NULL);
        uint32_t step = made.len > 5000 ? 499 : 1;
        for (uint32_t limit = 1; limit < made.len; limit += step) {
            config.limit_bytes = limit;
            assert_int_equal(
                    images_verify(&image, &config, made.data, made.len, 0),
                    BATON_ERR_IMAGE_TOO_LARGE);
        }
        config.limit_bytes = (uint32_t)made.len;
        assert_int_equal(
                images_verify(&image, &config, made.data, made.len, 0), 0);
        images_free(&made);
    }
    struct baton_image_config config = configure(NULL);
    config.limit_bytes = BATON_IMAGE_SIZE_MAX + 1;
    assert_int_equal(baton_image_begin(&image, &config), BATON_ERR_ARG);
    assert_int_equal(baton_image_push(&image, "", 1), BATON_ERR_ARG);
}

// What follows the image is ignored, and the result stays.
static void test_trailing_bytes(void **state) {
    (void)state;
    struct images made;
    images_make(&made, &(struct images_spec){0});
    struct baton_image_config config = configure(&esp32);
    assert_int_equal(baton_image_begin(&image, &config), 0);
    assert_int_equal(baton_image_push(&image, made.data, 0), BATON_IMAGE_MORE);
    assert_int_equal(baton_image_push(&image, made.data, made.len - 1),
            BATON_IMAGE_MORE);
    assert_int_equal(baton_image_push(&image, made.data + made.len - 1, 1), 0);
    assert_int_equal(baton_image_push(&image, made.data, made.len), 0);
    assert_int_equal(baton_image_finish(&image), 0);
    assert_int_equal(baton_image_result(&image)->len_bytes, made.len);
    images_free(&made);
}

// Sixteen segments are the most there can be.
static void test_sixteen_segments(void **state) {
    (void)state;
    struct images_spec spec = {.segments = {{0x3F400020, 256}}};
    for (int i = 1; i < 16; i++) {
        spec.segments[i] = (struct images_segment){0x3FFB0000, 4};
    }
    assert_int_equal(verify_spec(&spec, &esp32), 0);
    spec.segments[16] = spec.segments[15];
    assert_int_equal(verify_spec(&spec, &esp32), BATON_ERR_IMAGE_SEGMENT_COUNT);
}

static void test_first_error_sticks(void **state) {
    (void)state;
    struct images made;
    images_make(&made, &(struct images_spec){.chip_id = 5});
    struct baton_image_config config = configure(&esp32);
    assert_int_equal(baton_image_begin(&image, &config), 0);
    assert_int_equal(
            baton_image_push(&image, made.data, 24), BATON_ERR_IMAGE_CHIP);
    assert_int_equal(baton_image_push(&image, made.data + 24, 100),
            BATON_ERR_IMAGE_CHIP);
    assert_int_equal(baton_image_finish(&image), BATON_ERR_IMAGE_CHIP);
    images_free(&made);
}

static void test_revisions(void **state) {
    (void)state;
    struct baton_chip chip = {.id = 0, .revision = 301};
    struct images_spec spec = {.min_revision = 100, .max_revision = 300};
    assert_int_equal(verify_spec(&spec, &chip), BATON_ERR_IMAGE_REVISION);
    chip.ignore_max_revision = true;
    assert_int_equal(verify_spec(&spec, &chip), 0);
    chip.revision = 99;
    assert_int_equal(verify_spec(&spec, &chip), BATON_ERR_IMAGE_REVISION);
    // Of a chip of which nothing is known nothing is demanded.
    chip.id = BATON_CHIP_ANY;
    assert_int_equal(verify_spec(&spec, &chip), 0);
}

static void test_block_revisions(void **state) {
    (void)state;
    struct baton_chip chip = {.id = 5, .revision = 4, .block_revision = 102};
    struct images_spec spec = {.chip_id = 5,
            .segments = {{0x3C000020, 256}},
            .min_block_revision = 103};
    assert_int_equal(verify_spec(&spec, &chip), BATON_ERR_IMAGE_REVISION);
    spec.min_block_revision = 102;
    assert_int_equal(verify_spec(&spec, &chip), 0);
    spec.max_block_revision = 102;
    assert_int_equal(verify_spec(&spec, &chip), 0);
    spec.max_block_revision = 101;
    assert_int_equal(verify_spec(&spec, &chip), BATON_ERR_IMAGE_REVISION);
    chip.ignore_max_block_revision = true;
    assert_int_equal(verify_spec(&spec, &chip), 0);
    // ESP32 has no such rule.
    spec = (struct images_spec){.min_block_revision = 103};
    assert_int_equal(verify_spec(&spec, &esp32), 0);
}

// Where the page is selectable the descriptor has to be there and says it.
static void test_selectable_page(void **state) {
    (void)state;
    struct images_spec spec = {.chip_id = 13, .segments = {{0x42008020, 256}}};
    assert_int_equal(verify_spec(&spec, NULL), BATON_ERR_IMAGE_MAPPING);
    spec.mmu_page_log2 = 15;
    assert_int_equal(verify_spec(&spec, NULL), 0);
    for (unsigned log2 = 0; log2 < 256; log2++) {
        spec.mmu_page_log2 = (uint8_t)log2;
        assert_int_equal(verify_spec(&spec, NULL),
                log2 >= 13 && log2 <= 15 ? 0 : BATON_ERR_IMAGE_MAPPING);
    }
    struct baton_chip chip = {.id = 13, .mmu_page_log2 = 15};
    spec.mmu_page_log2 = 0; // not said: the build's default
    assert_int_equal(verify_spec(&spec, &chip), 0);
    spec.no_descriptor = true;
    assert_int_equal(verify_spec(&spec, &chip), BATON_ERR_IMAGE_DESCRIPTOR);
}

static void test_bootloader(void **state) {
    (void)state;
    struct images_spec spec = {.no_descriptor = true,
            .max_revision = 100,
            .segments = {{0x3FFF0018, 4}, {0x40078000, 64}}};
    struct images made;
    images_make(&made, &spec);
    assert_int_equal(verify(&made, &esp32), BATON_ERR_IMAGE_REVISION);
    assert_int_equal(verify(&made, NULL), BATON_ERR_IMAGE_SEGMENT);
    struct baton_image_config config = configure(&esp32);
    config.is_bootloader = true;
    assert_int_equal(images_verify(&image, &config, made.data, made.len, 0), 0);
    assert_true(baton_image_result(&image)->digest_ok);
    made.data[2] = 0; // as a flashing tool patches it
    assert_int_equal(images_verify(&image, &config, made.data, made.len, 0), 0);
    assert_false(baton_image_result(&image)->digest_ok);
    images_free(&made);
}

struct seen {
    uint8_t count;
    struct baton_image_segment segments[16];
};

static void note(void *context, const struct baton_image_segment *segment) {
    struct seen *seen = context;
    seen->segments[seen->count++] = *segment;
}

static void test_segments_are_reported(void **state) {
    (void)state;
    struct images made;
    struct seen seen = {0};
    images_make(&made, &shapes[4]);
    struct baton_image_config config = configure(&esp32);
    config.on_segment = note;
    config.context = &seen;
    assert_int_equal(images_verify(&image, &config, made.data, made.len, 1), 0);
    assert_int_equal(seen.count, 6);
    uint32_t off = 24;
    for (uint8_t i = 0; i < seen.count; i++) {
        const struct images_segment *want = &shapes[4].segments[i];
        assert_int_equal(seen.segments[i].index, i);
        assert_int_equal(seen.segments[i].load_addr, want->load_addr);
        assert_int_equal(seen.segments[i].len_bytes, want->len);
        assert_int_equal(seen.segments[i].data_off, off + 8);
        assert_int_equal(seen.segments[i].mapped, i == 0 || i == 5);
        off += 8 + want->len;
    }
    images_free(&made);
}

// ---- The hash fails ------------------------------------------------------

struct faulty {
    const struct baton_crypto *real;
    unsigned left; // calls that still work
};

static bool fails(struct faulty *self) {
    return self->left == 0 || self->left-- == 0;
}

static int faulty_start(
        void *context, struct baton_hash_state *state, enum baton_hash kind) {
    struct faulty *self = context;
    return fails(self)
                   ? BATON_ERR_CRYPTO
                   : self->real->hash_start(self->real->context, state, kind);
}

static int faulty_update(void *context, struct baton_hash_state *state,
        const void *data, size_t len) {
    struct faulty *self = context;
    return fails(self) ? BATON_ERR_CRYPTO
                       : self->real->hash_update(
                               self->real->context, state, data, len);
}

static int faulty_finish(
        void *context, struct baton_hash_state *state, uint8_t *digest) {
    struct faulty *self = context;
    return fails(self) ? BATON_ERR_CRYPTO
                       : self->real->hash_finish(
                               self->real->context, state, digest);
}

static void test_hash_faults(void **state) {
    (void)state;
    struct images made;
    images_make(&made, &shapes[4]);
    int err = BATON_ERR_CRYPTO;
    unsigned calls = 0;
    for (; err != 0; calls++) {
        struct faulty faulty = {baton_crypto_psa(), calls};
        struct baton_crypto crypto = {
                &faulty, faulty_start, faulty_update, faulty_finish, NULL};
        struct baton_image_config config = {.crypto = &crypto};
        err = images_verify(&image, &config, made.data, made.len, 0);
        assert_true(err == 0 || err == BATON_ERR_CRYPTO);
        assert_true(calls < 100);
    }
    assert_true(calls > 10);
    struct baton_image_config config = {0};
    assert_int_equal(baton_image_begin(&image, &config), BATON_ERR_ARG);
    images_free(&made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_good_images),
            cmocka_unit_test(test_descriptor_fields),
            cmocka_unit_test(test_chunking),
            cmocka_unit_test(test_truncation),
            cmocka_unit_test(test_every_byte),
            cmocka_unit_test(test_vendor_vectors),
            cmocka_unit_test(test_digest_vectors),
            cmocka_unit_test(test_no_segments),
            cmocka_unit_test(test_partition_size),
            cmocka_unit_test(test_trailing_bytes),
            cmocka_unit_test(test_sixteen_segments),
            cmocka_unit_test(test_first_error_sticks),
            cmocka_unit_test(test_revisions),
            cmocka_unit_test(test_block_revisions),
            cmocka_unit_test(test_selectable_page),
            cmocka_unit_test(test_bootloader),
            cmocka_unit_test(test_segments_are_reported),
            cmocka_unit_test(test_hash_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
