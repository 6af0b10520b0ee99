// What a file is by its first bytes, the check before the first erase, and
// images read from flash.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/images.h"
#include "baton-posix/crypto.h"
#include "baton/error.h"

static struct baton_image image;

static const struct baton_chip esp32 = {.id = 0, .revision = 300};

static struct baton_image_config configure(const struct baton_chip *chip) {
    struct baton_image_config config = {
            .crypto = baton_crypto_psa(),
            .chip = chip,
    };
    return config;
}

// ---- Kinds of files ------------------------------------------------------

static void expect_kind(
        const char *what, const void *data, size_t len, int want) {
    // A copy of its own length, so that a sanitizer sees over-reads.
    uint8_t *head = malloc(len + (len == 0));
    memcpy(head, data, len);
    int err = baton_image_identify(head, len);
    struct baton_image_config config = configure(NULL);
    int check = baton_image_check(head, len, (uint32_t)len, &config);
    free(head);
    if (err != want || check != want) {
        fail_msg("%s: %s, check says %s", what, baton_error_name(err),
                baton_error_name(check));
    }
}

static void test_other_files(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t len; // 0: strlen
        int err;
    } files[] = {
            {"\x7F"
             "ELF\x01\x01\x01",
                    0, BATON_ERR_IS_ELF},
            {"\x1F\x8B\x08\x00 rest", 0, BATON_ERR_IS_GZIP},
            {"PK\x03\x04 rest", 0, BATON_ERR_IS_ZIP},
            {"PK\x05\x06 rest", 0, BATON_ERR_IS_ZIP},
            {"UF2\n WQ]\x9E", 0, BATON_ERR_IS_UF2},
            {"\xAA\x50\x01\x02", 0, BATON_ERR_IS_TABLE},
            {"<!DOCTYPE html><html>", 0, BATON_ERR_IS_HTML},
            {"<html lang=\"en\">", 0, BATON_ERR_IS_HTML},
            {"<HTML>", 0, BATON_ERR_IS_HTML},
            {"\n\r\n \t <html>", 0, BATON_ERR_IS_HTML},
            {"\xEF\xBB\xBF<!doctype html>", 0, BATON_ERR_IS_HTML},
            {"\xEF\xBB\xBF \n<html>", 0, BATON_ERR_IS_HTML},
            {"<!-- saved --><html>", 0, BATON_ERR_IS_HTML},
            {"<?xml version=\"1.0\"?><Error>", 0, BATON_ERR_IS_HTML},
            {"<head><title>404", 0, BATON_ERR_IS_HTML},
            {"<h1>Not found</h1>", 0, BATON_ERR_IS_HTML},
            {"404: Not Found", 0, BATON_ERR_IS_TEXT},
            {"{\"message\": \"Not Found\"}", 0, BATON_ERR_IS_TEXT},
            {"version https://git-lfs.github.com/spec/v1\n", 0,
                    BATON_ERR_IS_TEXT},
            {":020000040800F2\r\n", 0, BATON_ERR_IS_TEXT},
            {"<a>", 0, BATON_ERR_IS_HTML},
            {"<z>", 0, BATON_ERR_IS_HTML},
            {"<A>", 0, BATON_ERR_IS_HTML},
            {"<Z>", 0, BATON_ERR_IS_HTML},
            {"<@>", 0, BATON_ERR_IS_TEXT},
            {"<[>", 0, BATON_ERR_IS_TEXT},
            {"<`>", 0, BATON_ERR_IS_TEXT},
            {"<{>", 0, BATON_ERR_IS_TEXT},
            {"~tilde~", 0, BATON_ERR_IS_TEXT},
            {"delete\x7F", 0, BATON_ERR_IMAGE_MAGIC},
            {"<", 0, BATON_ERR_IS_TEXT},
            {"< 5", 0, BATON_ERR_IS_TEXT},
            {" \n", 0, BATON_ERR_IS_TEXT},
            {"", 0, BATON_ERR_IS_EMPTY},
            {"\xFF", 1, BATON_ERR_IS_BLANK},
            {"\xFF\xFF\xFF\xFF\xFF", 5, BATON_ERR_IS_BLANK},
            {"\xFF\xFF\xFF\xFE", 4, BATON_ERR_IMAGE_MAGIC},
            {"\0\0\0\0\0", 5, BATON_ERR_IMAGE_MAGIC},
            {"text\x01", 5, BATON_ERR_IMAGE_MAGIC},
            {"\xE8", 1, BATON_ERR_IMAGE_MAGIC},
            {"\x1F", 1, BATON_ERR_IMAGE_MAGIC},
            {"\xE9", 1, BATON_ERR_IMAGE_TRUNCATED},
            {"\xE9\x02\x02\x20", 4, BATON_ERR_IMAGE_TRUNCATED},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        size_t len = files[i].len != 0 ? files[i].len : strlen(files[i].text);
        expect_kind(files[i].text, files[i].text, len, files[i].err);
    }
}

static void test_blank(void **state) {
    (void)state;
    uint8_t blank[400];
    memset(blank, 0xFF, sizeof(blank));
    expect_kind("blank", blank, 288, BATON_ERR_IS_BLANK);
    blank[287] = 0;
    expect_kind("nearly blank", blank, 288, BATON_ERR_IMAGE_MAGIC);
}

static void test_esp8266(void **state) {
    (void)state;
    uint8_t head[288] = {0xE9, 1, 2, 0x40};
    memcpy(head + 4, "\x00\xF0\x10\x40", 4); // entry
    memcpy(head + 8, "\x00\xF0\x10\x40", 4); // where it loads
    memcpy(head + 12, "\xA0\x0D\x00\x00", 4);
    expect_kind("esp8266", head, 288, BATON_ERR_IS_ESP8266);
    expect_kind("esp8266", head, 16, BATON_ERR_IS_ESP8266);
    expect_kind("esp8266", head, 15, BATON_ERR_IMAGE_TRUNCATED);
    static const struct {
        uint32_t load_addr;
        bool is_esp8266;
    } loads[] = {{0x400FFFFC, false}, {0x40100000, true}, {0x4010FFFC, true},
            {0x40110000, false}};
    for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
        for (int k = 0; k < 4; k++) {
            head[8 + k] = (uint8_t)(loads[i].load_addr >> (8 * k));
        }
        expect_kind("load address", head, 16,
                loads[i].is_esp8266 ? BATON_ERR_IS_ESP8266
                                    : BATON_ERR_IMAGE_TRUNCATED);
    }
    expect_kind("esp8266 v2", "\xEA\x04\x02\x40", 4, BATON_ERR_IS_ESP8266);
}

static void test_otadata(void **state) {
    (void)state;
    uint8_t head[288];
    memset(head, 0xFF, sizeof(head));
    memcpy(head, "\x01\0\0\0", 4);
    memcpy(head + 28, "\x9A\x98\x43\x47", 4);
    expect_kind("otadata", head, 288, BATON_ERR_IS_OTADATA);
    expect_kind("otadata", head, 32, BATON_ERR_IS_OTADATA);
    expect_kind("otadata", head, 31, BATON_ERR_IMAGE_MAGIC);
    head[28] ^= 1;
    expect_kind("not otadata", head, 288, BATON_ERR_IMAGE_MAGIC);
}

// By the newest bootloaders' own descriptor, and the old ones without.
static void test_bootloaders(void **state) {
    (void)state;
    static const struct {
        uint16_t chip_id;
        uint32_t load_addr;
    } chips[] = {{0, 0x3FFF0018}, {0, 0x40078000}, {2, 0x3FFE6108},
            {5, 0x3FCD5820}, {9, 0x3FCE2810}, {13, 0x4086AD08},
            {16, 0x4083CFD0}, {18, 0x4FF29ED0}, {23, 0x40840000}};
    for (size_t i = 0; i < 2 * sizeof(chips) / sizeof(chips[0]); i++) {
        struct images made;
        struct images_spec spec = {.chip_id = chips[i / 2].chip_id,
                .segments = {{chips[i / 2].load_addr, 300}},
                .no_descriptor = true};
        images_make(&made, &spec);
        if (i % 2 == 1) {
            made.data[32] = 0x50;
        }
        expect_kind("bootloader", made.data, made.len, BATON_ERR_IS_BOOTLOADER);
        images_free(&made);
    }
}

// First segment mapped and no descriptor: old, or made by something else. Of
// an unknown chip no more can be said.
static void test_no_descriptor(void **state) {
    (void)state;
    struct images made;
    images_make(&made, &(struct images_spec){.no_descriptor = true});
    expect_kind("old", made.data, made.len, BATON_ERR_IMAGE_DESCRIPTOR);
    images_free(&made);
    images_make(&made, &(struct images_spec){.no_descriptor = true,
                               .segments = {{0x20, 28}, {0x3F400040, 400}}});
    expect_kind(
            "padding first", made.data, made.len, BATON_ERR_IMAGE_DESCRIPTOR);
    images_free(&made);
    images_make(&made,
            &(struct images_spec){.no_descriptor = true, .chip_id = 777});
    expect_kind("unknown", made.data, made.len, BATON_ERR_IMAGE_DESCRIPTOR);
    images_free(&made);
}

// Every shorter head of an image is one cut short, never anything else.
static void test_short_heads(void **state) {
    (void)state;
    struct images made;
    images_make(&made, &(struct images_spec){0});
    struct baton_image_config config = configure(&esp32);
    for (size_t len = 1; len < BATON_IMAGE_HEAD_BYTES; len++) {
        expect_kind("head", made.data, len, BATON_ERR_IMAGE_TRUNCATED);
    }
    assert_int_equal(baton_image_check(made.data, 288, 0, &config), 0);
    images_free(&made);
}

// ---- The check -----------------------------------------------------------

static int check(const struct images_spec *spec, uint32_t total_bytes,
        const struct baton_image_config *config) {
    struct images made;
    images_make(&made, spec);
    int err = baton_image_check(
            made.data, BATON_IMAGE_HEAD_BYTES, total_bytes, config);
    images_free(&made);
    return err;
}

static void test_check_refusals(void **state) {
    (void)state;
    struct baton_chip chip = {.id = 0, .revision = 300, .secure_version = 2};
    struct baton_image_config config = configure(&chip);
    struct images_spec spec = {.secure_version = 2};
    assert_int_equal(check(&spec, 0, &config), 0);
    spec.secure_version = 1;
    assert_int_equal(check(&spec, 0, &config), BATON_ERR_IMAGE_SECURE_VERSION);
    spec.secure_version = 3;
    spec.chip_id = 5;
    spec.segments[0] = (struct images_segment){0x3C000020, 256};
    assert_int_equal(check(&spec, 0, &config), BATON_ERR_IMAGE_CHIP);
    spec = (struct images_spec){.min_revision = 301, .secure_version = 2};
    assert_int_equal(check(&spec, 0, &config), BATON_ERR_IMAGE_REVISION);
    spec = (struct images_spec){.no_digest = true, .secure_version = 2};
    assert_int_equal(check(&spec, 0, &config), 0);
    config.need_digest = true;
    assert_int_equal(check(&spec, 0, &config), BATON_ERR_IMAGE_NO_DIGEST);
}

static void test_check_segment(void **state) {
    (void)state;
    struct images made;
    struct baton_image_config config = configure(&esp32);
    images_make(&made, &(struct images_spec){0});
    made.data[1] = 17;
    assert_int_equal(baton_image_check(made.data, 288, 0, &config),
            BATON_ERR_IMAGE_SEGMENT_COUNT);
    made.data[1] = 0;
    assert_int_equal(baton_image_check(made.data, 288, 0, &config),
            BATON_ERR_IMAGE_SEGMENT_COUNT);
    made.data[1] = 1;
    made.data[28] = 252;
    made.data[29] = 0;
    assert_int_equal(baton_image_check(made.data, 288, 0, &config),
            BATON_ERR_IMAGE_SEGMENT);
    made.data[28] = 1;
    made.data[29] = 1;
    assert_int_equal(baton_image_check(made.data, 288, 0, &config),
            BATON_ERR_IMAGE_SEGMENT);
    made.data[28] = 0;
    made.data[24] += 4;
    assert_int_equal(baton_image_check(made.data, 288, 0, &config),
            BATON_ERR_IMAGE_MAPPING);
    images_free(&made);
}

static void test_check_sizes(void **state) {
    (void)state;
    struct baton_image_config config = configure(&esp32);
    struct images_spec spec = {.segments = {{0x3F400020, 8192}}};
    config.limit_bytes = 8192;
    assert_int_equal(check(&spec, 0, &config), BATON_ERR_IMAGE_TOO_LARGE);
    config.limit_bytes = 8192 + 4096;
    assert_int_equal(check(&spec, 0, &config), 0);
    assert_int_equal(check(&spec, 8192 + 4096, &config), 0);
    assert_int_equal(
            check(&spec, 8192 + 4097, &config), BATON_ERR_IMAGE_TOO_LARGE);
    assert_int_equal(check(&spec, 8192, &config), BATON_ERR_IMAGE_TRUNCATED);
    config.limit_bytes = 0;
    assert_int_equal(check(&spec, BATON_IMAGE_SIZE_MAX + 1, &config),
            BATON_ERR_IMAGE_TOO_LARGE);
}

static void test_check_other_chips(void **state) {
    (void)state;
    struct baton_chip chip = {.id = 13, .revision = 1, .block_revision = 3};
    struct baton_image_config config = configure(&chip);
    struct images_spec spec = {.chip_id = 13, .segments = {{0x42008020, 256}}};
    assert_int_equal(check(&spec, 0, &config), BATON_ERR_IMAGE_MAPPING);
    spec.mmu_page_log2 = 15;
    assert_int_equal(check(&spec, 0, &config), 0);
    spec.min_block_revision = 4;
    assert_int_equal(check(&spec, 0, &config), BATON_ERR_IMAGE_REVISION);
}

// What the check refuses of a whole image with a descriptor the verifier
// refuses too, and the other way round for what the first 288 bytes show:
// every value of each of them.
static void test_check_agrees(void **state) {
    (void)state;
    struct images made;
    struct baton_image_config config = configure(&esp32);
    images_make(&made, &(struct images_spec){.segments = {{0x3F400020, 264}}});
    for (size_t at = 0; at < 36; at++) {
        for (unsigned value = 0; value < 256; value++) {
            uint8_t kept = made.data[at];
            made.data[at] = (uint8_t)value;
            images_seal(&made);
            int err = baton_image_check(
                    made.data, 288, (uint32_t)made.len, &config);
            int verdict =
                    images_verify(&image, &config, made.data, made.len, 0);
            // Without descriptor an image for ESP32 verifies, and is refused
            // as an update.
            bool lost_descriptor = at >= 32 || (at >= 24 && at < 28);
            if (err != 0 && verdict == 0 && !lost_descriptor) {
                fail_msg("byte %zu = 0x%02x: %s", at, value,
                        baton_error_name(err));
            }
            bool is_first = verdict == BATON_ERR_IMAGE_MAGIC
                            || verdict == BATON_ERR_IMAGE_CHIP
                            || verdict == BATON_ERR_IMAGE_REVISION
                            || verdict == BATON_ERR_IMAGE_SEGMENT_COUNT;
            if (err == 0 && is_first) {
                fail_msg("byte %zu = 0x%02x: %s later", at, value,
                        baton_error_name(verdict));
            }
            made.data[at] = kept;
        }
    }
    images_free(&made);
}

// ---- Decoding ------------------------------------------------------------

static void test_decode(void **state) {
    (void)state;
    struct images made;
    struct baton_image_info info;
    images_make(&made,
            &(struct images_spec){
                    .chip_id = 9, .min_revision = 2, .max_revision = 199});
    assert_int_equal(
            baton_image_decode(made.data, 0, &info), BATON_ERR_IMAGE_TRUNCATED);
    assert_int_equal(baton_image_decode((const uint8_t *)"text", 0, &info),
            BATON_ERR_IMAGE_TRUNCATED);
    assert_int_equal(baton_image_decode(made.data, 23, &info),
            BATON_ERR_IMAGE_TRUNCATED);
    assert_int_equal(baton_image_decode(made.data, 24, &info), 0);
    assert_false(info.has_descriptor);
    assert_int_equal(info.header.segment_count, 1);
    assert_int_equal(info.header.spi_mode, 2);
    assert_int_equal(info.header.spi_speed, 0);
    assert_int_equal(info.header.spi_size, 2);
    assert_int_equal(info.header.entry_addr, 0x40081234);
    assert_int_equal(info.header.wp_pin, 0xEE);
    assert_int_equal(info.header.chip_id, 9);
    assert_int_equal(info.header.min_revision, 2);
    assert_int_equal(info.header.max_revision, 199);
    assert_int_equal(info.header.digest_appended, 1);
    assert_true(info.has_digest);
    assert_false(info.digest_ok);
    assert_int_equal(baton_image_decode(made.data, 287, &info), 0);
    assert_false(info.has_descriptor);
    assert_int_equal(baton_image_decode(made.data, 288, &info), 0);
    assert_true(info.has_descriptor);
    assert_string_equal(info.descriptor.version, "v1.2.3");
    made.data[0] = 0xE8;
    assert_int_equal(
            baton_image_decode(made.data, 1, &info), BATON_ERR_IMAGE_MAGIC);
    images_free(&made);
}

static void test_descriptor_round_trip(void **state) {
    (void)state;
    struct images made;
    struct baton_app_descriptor d;
    uint8_t raw[BATON_IMAGE_DESCRIPTOR_BYTES];
    images_make(&made, &(struct images_spec){.secure_version = 0x01020304,
                               .min_block_revision = 0x0506,
                               .max_block_revision = 0x0708,
                               .mmu_page_log2 = 9});
    assert_int_equal(baton_image_decode_descriptor(made.data + 32, &d), 0);
    baton_image_encode_descriptor(&d, raw);
    assert_memory_equal(raw, made.data + 32, sizeof(raw));
    // What stands behind a terminator is not written.
    memcpy(d.version, "ab\0junk", 8);
    baton_image_encode_descriptor(&d, raw);
    assert_memory_equal(raw + 16, "ab\0\0\0\0\0\0", 8);
    raw[0] ^= 1;
    assert_int_equal(
            baton_image_decode_descriptor(raw, &d), BATON_ERR_IMAGE_DESCRIPTOR);
    images_free(&made);
}

// ---- On flash ------------------------------------------------------------

struct chip_flash {
    uint8_t bytes[0x30000];
    unsigned left; // reads that still work
    unsigned reads;
};

static int read_flash(void *context, uint32_t addr, void *buf, size_t len) {
    struct chip_flash *self = context;
    self->reads++;
    if (self->left-- == 0) {
        self->left = 0;
        return BATON_ERR_IO;
    }
    if (addr > sizeof(self->bytes) || len > sizeof(self->bytes) - addr) {
        return BATON_ERR_RANGE;
    }
    memcpy(buf, self->bytes + addr, len);
    return 0;
}

static struct chip_flash chip_flash;

static struct baton_flash begin_flash(void) {
    memset(chip_flash.bytes, 0xFF, sizeof(chip_flash.bytes));
    chip_flash.left = 1000000;
    chip_flash.reads = 0;
    struct baton_flash flash = {.context = &chip_flash,
            .read = read_flash,
            .size_bytes = sizeof(chip_flash.bytes)};
    return flash;
}

static void put_image(
        uint32_t addr, const struct images_spec *spec, struct images *made) {
    images_make(made, spec);
    memcpy(chip_flash.bytes + addr, made->data, made->len);
}

static void test_verify_on_flash(void **state) {
    (void)state;
    static const size_t works[] = {64, 100, 288, 4096, 65536};
    struct baton_flash flash = begin_flash();
    struct baton_image_config config = configure(&esp32);
    struct images made;
    uint8_t *work = malloc(65536);
    put_image(0x10000, &(struct images_spec){.segments = {{0x3F400020, 20000}}},
            &made);
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        assert_int_equal(baton_image_verify(&image, &config, &flash, 0x10000,
                                 0x10000, work, works[i]),
                0);
        assert_int_equal(baton_image_result(&image)->len_bytes, made.len);
    }
    // Exactly as large as the partition, and a byte larger.
    uint32_t len = (uint32_t)made.len;
    assert_int_equal(baton_image_verify(
                             &image, &config, &flash, 0x10000, len, work, 4096),
            0);
    assert_int_equal(baton_image_verify(&image, &config, &flash, 0x10000,
                             len - 1, work, 4096),
            BATON_ERR_IMAGE_TOO_LARGE);
    assert_int_equal(
            baton_image_verify(&image, &config, &flash, 0x10000, 0, work, 4096),
            BATON_ERR_IMAGE_TOO_LARGE);
    // A blank slot.
    assert_int_equal(baton_image_verify(&image, &config, &flash, 0x20000,
                             0x10000, work, 4096),
            BATON_ERR_IMAGE_MAGIC);
    images_free(&made);
    free(work);
}

static void test_verify_arguments(void **state) {
    (void)state;
    struct baton_flash flash = begin_flash();
    struct baton_image_config config = configure(&esp32);
    uint8_t work[64];
    assert_int_equal(
            baton_image_verify(&image, &config, &flash, 0, 0x1000, work, 63),
            BATON_ERR_ARG);
    assert_int_equal(baton_image_verify(&image, &config, &flash, 0,
                             BATON_IMAGE_SIZE_MAX + 1, work, 64),
            BATON_ERR_ARG);
    assert_int_equal(baton_image_verify(&image, &config, &flash,
                             flash.size_bytes + 1, 0x1000, work, 64),
            BATON_ERR_RANGE);
    assert_int_equal(chip_flash.reads, 0);
}

// A partition may reach past the chip's end; an image in it may not.
static void test_end_of_chip(void **state) {
    (void)state;
    struct baton_flash flash = begin_flash();
    struct baton_image_config config = configure(&esp32);
    struct images made;
    uint8_t work[4096];
    uint32_t size = flash.size_bytes;
    images_make(&made, &(struct images_spec){.segments = {{0x3F400020, 4000}}});
    uint32_t addr = size - (uint32_t)made.len;
    memcpy(chip_flash.bytes + addr, made.data, made.len);
    assert_int_equal(baton_image_verify(&image, &config, &flash, addr, 0x20000,
                             work, sizeof(work)),
            0);
    memcpy(chip_flash.bytes + addr + 16, made.data, made.len - 16);
    assert_int_equal(baton_image_verify(&image, &config, &flash, addr + 16,
                             0x20000, work, sizeof(work)),
            BATON_ERR_RANGE);
    assert_int_equal(baton_image_verify(&image, &config, &flash, size, 0x1000,
                             work, sizeof(work)),
            BATON_ERR_RANGE);
    images_free(&made);
}

static void test_read_faults(void **state) {
    (void)state;
    struct baton_flash flash = begin_flash();
    struct baton_image_config config = configure(&esp32);
    struct baton_app_descriptor d;
    struct images made;
    uint8_t work[64];
    put_image(
            0, &(struct images_spec){.segments = {{0x3F400020, 1000}}}, &made);
    int err = BATON_ERR_IO;
    for (unsigned n = 0; err != 0; n++) {
        chip_flash.left = n;
        err = baton_image_verify(
                &image, &config, &flash, 0, 0x10000, work, sizeof(work));
        assert_int_equal(err, n < (made.len + 63) / 64 ? BATON_ERR_IO : 0);
    }
    err = BATON_ERR_IO;
    for (unsigned n = 0; err != 0; n++) {
        chip_flash.left = n;
        err = baton_image_describe(&flash, 0, &d);
        assert_true(err == 0 || err == BATON_ERR_IO);
        assert_true(n < 20);
    }
    images_free(&made);
}

static void test_describe(void **state) {
    (void)state;
    struct baton_flash flash = begin_flash();
    struct baton_app_descriptor d;
    struct baton_image_info info;
    struct images made;
    put_image(0x1000, &(struct images_spec){.secure_version = 3}, &made);
    assert_int_equal(baton_image_describe(&flash, 0x1000, &d), 0);
    assert_int_equal(baton_image_decode(made.data, made.len, &info), 0);
    assert_memory_equal(&d, &info.descriptor, sizeof(d));
    assert_int_equal(baton_image_describe(&flash, 0x2000, &d),
            BATON_ERR_IMAGE_DESCRIPTOR);
    assert_int_equal(baton_image_describe(&flash, flash.size_bytes - 32, &d),
            BATON_ERR_RANGE);
    images_free(&made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_other_files),
            cmocka_unit_test(test_blank),
            cmocka_unit_test(test_esp8266),
            cmocka_unit_test(test_otadata),
            cmocka_unit_test(test_bootloaders),
            cmocka_unit_test(test_no_descriptor),
            cmocka_unit_test(test_short_heads),
            cmocka_unit_test(test_check_refusals),
            cmocka_unit_test(test_check_segment),
            cmocka_unit_test(test_check_sizes),
            cmocka_unit_test(test_check_other_chips),
            cmocka_unit_test(test_check_agrees),
            cmocka_unit_test(test_decode),
            cmocka_unit_test(test_descriptor_round_trip),
            cmocka_unit_test(test_verify_on_flash),
            cmocka_unit_test(test_verify_arguments),
            cmocka_unit_test(test_end_of_chip),
            cmocka_unit_test(test_read_faults),
            cmocka_unit_test(test_describe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
