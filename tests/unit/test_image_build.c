// Building images: layout, limits, faults; and everything built verifies.
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

#define OUT_BYTES (2u << 20)

static struct baton_image_builder builder;
static struct baton_image image;

// What a build wrote, and the segments its verification reported.
static struct {
    uint8_t data[OUT_BYTES];
    size_t len;
    unsigned left; // calls of the sink that still work
    unsigned calls;
    uint8_t count;
    struct baton_image_segment segments[16];
} out;

static uint8_t bytes[1u << 20]; // what parts are made of

static int sink(void *context, const void *data, size_t len) {
    (void)context;
    out.calls++;
    if (out.left-- == 0) {
        out.left = 0;
        return BATON_ERR_IO;
    }
    assert_true(len <= OUT_BYTES - out.len);
    memcpy(out.data + out.len, data, len);
    out.len += len;
    return 0;
}

static void note(void *context, const struct baton_image_segment *segment) {
    (void)context;
    out.segments[out.count++] = *segment;
}

static struct baton_image_spec configure(
        uint16_t chip_id, const struct baton_image_part *parts, size_t count) {
    struct baton_image_spec spec = {
            .header = {.chip_id = chip_id,
                    .spi_mode = 2,
                    .spi_speed = 15,
                    .spi_size = 2,
                    .entry_addr = 0x40081000,
                    .wp_pin = 0xEE,
                    .min_revision = 301,
                    .max_revision = 399,
                    .digest_appended = 1},
            .add_descriptor = true,
            .descriptor = {.version = "v9", .mmu_page_log2 = 16},
            .parts = parts,
            .part_count = count,
            .crypto = baton_crypto_psa(),
    };
    return spec;
}

static int build(const struct baton_image_spec *spec) {
    out.len = 0;
    out.left = 100000;
    out.calls = 0;
    return baton_image_build(&builder, spec, sink, NULL);
}

static void verify(void) {
    struct baton_image_config config = {
            .crypto = baton_crypto_psa(), .on_segment = note};
    out.count = 0;
    int err = images_verify(&image, &config, out.data, out.len, 0);
    if (err != 0) {
        fail_msg("what was built: %s", baton_error_name(err));
    }
    assert_int_equal(baton_image_result(&image)->len_bytes, out.len);
}

static void fill_bytes(void) {
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        seed = seed * 1103515245u + 12345u;
        bytes[i] = (uint8_t)(seed >> 16);
    }
}

// Every byte of a part is found where its segment says.
static void expect_loaded(const struct baton_image_part *part) {
    for (uint32_t i = 0; i < part->len_bytes; i++) {
        uint32_t addr = part->load_addr + i;
        uint8_t k = 0;
        while (k < out.count
                && addr - out.segments[k].load_addr
                           >= out.segments[k].len_bytes) {
            k++;
        }
        assert_true(k < out.count);
        uint32_t off =
                out.segments[k].data_off + (addr - out.segments[k].load_addr);
        assert_int_equal(out.data[off], part->data[i]);
    }
}

static void build_good(const struct baton_image_spec *spec) {
    assert_int_equal(build(spec), 0);
    verify();
    for (size_t i = 0; i < spec->part_count; i++) {
        expect_loaded(&spec->parts[i]);
    }
}

static void expect_segments(const struct images_segment *want, size_t count) {
    assert_int_equal(out.count, count);
    for (size_t i = 0; i < count; i++) {
        if (out.segments[i].load_addr != want[i].load_addr
                || out.segments[i].len_bytes != want[i].len) {
            fail_msg("segment %zu: 0x%x, %u bytes", i,
                    (unsigned)out.segments[i].load_addr,
                    (unsigned)out.segments[i].len_bytes);
        }
    }
}

static void test_descriptor_alone(void **state) {
    (void)state;
    static const uint16_t chips[] = {
            0, 2, 5, 9, 12, 13, 16, 18, 20, 23, 25, 28, 32};
    for (size_t i = 0; i < sizeof(chips) / sizeof(chips[0]); i++) {
        struct baton_image_spec spec = configure(chips[i], NULL, 0);
        build_good(&spec);
        assert_int_equal(out.count, 1);
        assert_int_equal(out.segments[0].load_addr,
                baton_chip_data_addr(chips[i]) + 0x20);
        struct baton_image_config config = {.need_digest = true};
        assert_int_equal(baton_image_check(
                                 out.data, out.len, (uint32_t)out.len, &config),
                0);
        assert_string_equal(
                baton_image_result(&image)->descriptor.version, "v9");
    }
}

static void test_header(void **state) {
    (void)state;
    static const uint8_t want[24] = {0xE9, 1, 2, 0x2F, 0x00, 0x10, 0x08, 0x40,
            0xEE, 0, 0, 0, 5, 0, 3, 0x2D, 0x01, 0x8F, 0x01, 0, 0, 0, 0, 1};
    struct baton_image_spec spec = configure(5, NULL, 0);
    build_good(&spec);
    assert_memory_equal(out.data, want, sizeof(want));
    spec.header.digest_appended = 0;
    size_t len = out.len;
    spec.crypto = NULL;
    build_good(&spec);
    assert_int_equal(out.len, len - 32);
    assert_int_equal(out.data[23], 0);
}

// Constants right behind the descriptor become one segment with it.
static void test_payload(void **state) {
    (void)state;
    for (uint32_t len = 0; len < 600; len++) {
        struct baton_image_part part = {0x3C000120, bytes, len};
        struct baton_image_spec spec = configure(5, &part, 1);
        build_good(&spec);
        assert_int_equal(out.count, 1);
        assert_int_equal(out.segments[0].len_bytes, 256 + ((len + 3) & ~3u));
    }
}

// A program that runs from RAM alone: descriptor, then its parts as they are.
static void test_ram_only(void **state) {
    (void)state;
    const struct baton_image_part parts[] = {
            {0x80000000, bytes, 100001}, {0x80400000, bytes + 7, 333}};
    struct baton_image_spec spec = configure(5, parts, 2);
    build_good(&spec);
    const struct images_segment want[] = {
            {0x3C000020, 256}, {0x80000000, 100004}, {0x80400000, 336}};
    expect_segments(want, 3);
}

// Parts for RAM fill the way to a mapped segment, split where they must be.
static void test_filling(void **state) {
    (void)state;
    const struct baton_image_part parts[] = {{0x3C000020, bytes, 1000},
            {0x3FC80000, bytes + 1, 100}, {0x40380000, bytes + 2, 0x10000},
            {0x42010020, bytes + 3, 70000}};
    memcpy(bytes, "\x32\x54\xCD\xAB", 4);
    struct baton_image_spec spec = configure(5, parts, 4);
    spec.add_descriptor = false;
    build_good(&spec);
    // From 0x20 + 1000 on: 8 + 100, 8 + x, 8 to 0x10020.
    uint32_t x = 0x10020 - 0x20 - 1000 - 8 - 100 - 8 - 8;
    const struct images_segment want[] = {{0x3C000020, 1000}, {0x3FC80000, 100},
            {0x40380000, x}, {0x42010020, 70000},
            {0x40380000 + x, 0x10000 - x}};
    expect_segments(want, 5);
}

// Without parts for RAM, or where only the headers fit, zeros fill.
static void test_padding(void **state) {
    (void)state;
    for (uint32_t len = 0xFE00; len < 0x10010; len += 4) {
        const struct baton_image_part parts[] = {
                {0x3C000020, bytes, len}, {0x42020020, bytes + 3, 64}};
        memcpy(bytes, "\x32\x54\xCD\xAB", 4);
        struct baton_image_spec spec = configure(5, parts, 2);
        spec.add_descriptor = false;
        build_good(&spec);
        uint32_t at = 0x20 + len + 8;
        if (at % 0x10000 == 0x20) {
            assert_int_equal(out.count, 2);
            continue;
        }
        assert_int_equal(out.count, 3);
        assert_int_equal(out.segments[1].load_addr, 0);
        for (uint32_t i = 0; i < out.segments[1].len_bytes; i++) {
            assert_int_equal(out.data[out.segments[1].data_off + i], 0);
        }
    }
}

// Parts that touch are one segment, also over a gap shorter than a word.
static void test_joining(void **state) {
    (void)state;
    for (uint32_t gap = 0; gap < 8; gap++) {
        const struct baton_image_part parts[] = {
                {0x3FC80000, bytes, 5}, {0x3FC80005 + gap, bytes + 9, 8}};
        struct baton_image_spec spec = configure(5, parts, 2);
        build_good(&spec);
        assert_int_equal(out.count, gap <= 3 ? 2 : 3);
        for (uint8_t i = 0; i < out.count; i++) {
            assert_int_equal(out.segments[i].load_addr % 4, 0);
        }
    }
}

// A run of parts may be split anywhere, also inside a gap or at a part's end.
static void test_split_run(void **state) {
    (void)state;
    for (uint32_t len = 65250; len < 65300; len++) {
        const struct baton_image_part parts[] = {{0x3C000020, bytes, 256},
                {0x3FC80001, bytes + 1, len - 2}, {0x3FC80000 + len, bytes, 6},
                {0x3FC80008 + len, bytes + 9, 90}, {0x42010020, bytes + 3, 64}};
        memcpy(bytes, "\x32\x54\xCD\xAB", 4);
        struct baton_image_spec spec = configure(5, parts, 5);
        spec.add_descriptor = false;
        build_good(&spec);
    }
}

// The descriptor's segment comes first though it lies higher.
static void test_descriptor_comes_first(void **state) {
    (void)state;
    const struct baton_image_part parts[] = {
            {0x42000020, bytes + 4, 5000}, {0x42010020, bytes, 3000}};
    memcpy(bytes, "\x32\x54\xCD\xAB", 4);
    bytes[180] = 16;
    struct baton_image_spec spec = configure(13, parts, 2);
    spec.add_descriptor = false;
    build_good(&spec);
    assert_int_equal(out.segments[0].load_addr, 0x42010020);
    assert_true(baton_image_result(&image)->has_descriptor);
    // One that cannot stand at 0x20 cannot come first.
    const struct baton_image_part wrong[] = {{0x42010024, bytes, 3000}};
    spec = configure(13, wrong, 1);
    spec.add_descriptor = false;
    assert_int_equal(build(&spec), BATON_ERR_ELF_LAYOUT);
}

// An added descriptor takes the first page of constants that is free.
static void test_descriptor_page(void **state) {
    (void)state;
    const struct baton_image_part parts[] = {
            {0x3C000000, bytes, 0x10004}, {0x3C020000, bytes, 16}};
    struct baton_image_spec spec = configure(5, parts, 2);
    build_good(&spec);
    assert_int_equal(out.segments[0].load_addr, 0x3C030020);
    const struct baton_image_part later[] = {{0x42000020, bytes, 100}};
    spec = configure(5, later, 1);
    build_good(&spec);
    assert_int_equal(out.segments[0].load_addr, 0x3C000020);
    spec = configure(13, later, 1);
    build_good(&spec);
    assert_int_equal(out.segments[0].load_addr, 0x42010020);
}

static void test_pages(void **state) {
    (void)state;
    for (uint8_t log2 = 13; log2 <= 16; log2++) {
        uint32_t page = (uint32_t)1 << log2;
        const struct baton_image_part parts[] = {{0x42000020, bytes, 256},
                {0x40800000, bytes + 1, 20},
                {0x42000020 + page, bytes + 2, 40}};
        for (int said = 0; said < 2; said++) {
            memset(bytes, 0, 256);
            memcpy(bytes, "\x32\x54\xCD\xAB", 4);
            bytes[180] = said != 0 ? log2 : 0;
            struct baton_image_part sorted[] = {parts[1], parts[0], parts[2]};
            struct baton_image_spec spec = configure(13, sorted, 3);
            spec.add_descriptor = false;
            spec.mmu_page_log2 = said != 0 ? 0 : log2;
            assert_int_equal(build(&spec), 0);
            assert_int_equal(out.data[page + 0x18 + 4], 40);
        }
    }
    fill_bytes();
}

// A page size that nobody says shows in where the descriptor lies.
static void test_page_is_guessed(void **state) {
    (void)state;
    memset(bytes, 0, 256);
    memcpy(bytes, "\x32\x54\xCD\xAB", 4);
    const struct baton_image_part parts[] = {
            {0x42008020, bytes, 256}, {0x42010020, bytes + 2, 40}};
    struct baton_image_spec spec = configure(13, parts, 2);
    spec.add_descriptor = false;
    assert_int_equal(build(&spec), 0);
    struct baton_chip chip = {.id = 13, .revision = 301, .mmu_page_log2 = 15};
    struct baton_image_config config = {
            .crypto = baton_crypto_psa(), .chip = &chip};
    assert_int_equal(images_verify(&image, &config, out.data, out.len, 0), 0);
    fill_bytes();
}

// On ESP32 a mapped segment never ends just inside a page.
static void test_esp32_last_page(void **state) {
    (void)state;
    for (uint32_t len = 0xFF00; len < 0x10040; len += 4) {
        struct baton_image_part part = {0x3F400120, bytes, len};
        struct baton_image_spec spec = configure(0, &part, 1);
        build_good(&spec);
        uint32_t end = out.segments[0].data_off + out.segments[0].len_bytes;
        assert_true(end % 0x10000 >= 0x24);
    }
}

static void expect_refused(
        uint16_t chip_id, const struct baton_image_part *parts, size_t count) {
    struct baton_image_spec spec = configure(chip_id, parts, count);
    assert_int_equal(build(&spec), BATON_ERR_ELF_LAYOUT);
    assert_int_equal(out.calls, 0);
}

static void test_refused_layouts(void **state) {
    (void)state;
    const struct baton_image_part overlap[] = {
            {0x3FC80000, bytes, 8}, {0x3FC80007, bytes, 8}};
    const struct baton_image_part order[] = {
            {0x3FC80010, bytes, 8}, {0x3FC80000, bytes, 8}};
    const struct baton_image_part low[] = {{0x0FFFFFFC, bytes, 4}};
    const struct baton_image_part wrap[] = {{0xFFFFFFF0, bytes, 15}};
    const struct baton_image_part huge[] = {{0x80000000, bytes, 0x1000000}};
    const struct baton_image_part full[] = {{0x3C000000, bytes, 1},
            {0x3C010000, bytes, 1}, {0x3C020000, bytes, 1}};
    expect_refused(5, overlap, 2);
    expect_refused(5, order, 2);
    expect_refused(5, low, 1);
    expect_refused(5, wrap, 1);
    expect_refused(5, huge, 1);
    struct baton_image_spec spec = configure(5, full, 3);
    build_good(&spec);
    spec.header.chip_id = 777;
    assert_int_equal(build(&spec), BATON_ERR_IMAGE_CHIP);
    spec = configure(5, full, 3);
    spec.crypto = NULL;
    assert_int_equal(build(&spec), BATON_ERR_ARG);
}

static void test_segment_limit(void **state) {
    (void)state;
    struct baton_image_part parts[16];
    for (uint32_t i = 0; i < 16; i++) {
        parts[i] =
                (struct baton_image_part){0x3FC80000 + 0x100 * i, bytes + i, 4};
    }
    struct baton_image_spec spec = configure(5, parts, 15);
    build_good(&spec);
    assert_int_equal(out.count, 16);
    expect_refused(5, parts, 16);
}

// A program with a section for each function: what alignment leaves between
// them is filled where they would be too many segments otherwise.
static void test_gaps_are_filled(void **state) {
    (void)state;
    static struct baton_image_part parts[3000];
    for (uint32_t gap = 4; gap < 80; gap += 4) {
        uint32_t addr = 0x80000000;
        for (uint32_t i = 0; i < 3000; i++) {
            parts[i] = (struct baton_image_part){addr, bytes + i, 1 + i % 30};
            addr = ((addr + parts[i].len_bytes + 3) & ~3u)
                   + (i % 2 == 0 ? gap : 0);
        }
        struct baton_image_spec spec = configure(5, parts, 3000);
        // The end of a part and what rounds it up to a word belong to the gap.
        if (gap <= 60) {
            build_good(&spec);
            assert_int_equal(out.count, 2);
        } else {
            expect_refused(5, parts, 3000);
        }
        // Few parts stay apart.
        spec.part_count = 10;
        build_good(&spec);
        assert_int_equal(out.count, 7);
    }
}

// Mapped parts of one page can only be one segment.
static void test_shared_page(void **state) {
    (void)state;
    static const uint32_t starts[] = {0x3C001000, 0x3C00FFFC, 0x3C00FFF8};
    for (size_t i = 0; i < 3; i++) {
        const struct baton_image_part parts[] = {{0x3C000020, bytes, 100},
                {starts[i], bytes + 1, 3}, {0x3C01FFF0, bytes + 2, 8},
                {0x3C020000, bytes + 3, 8}};
        struct baton_image_spec spec = configure(5, parts, 4);
        build_good(&spec);
        // The descriptor, the first page, the second, the third.
        assert_int_equal(out.segments[0].load_addr, 0x3C030020);
    }
}

// Larger than 16 MiB, by its parts or by the digest alone. What is refused is
// refused before a byte of it is read.
static void test_size_limit(void **state) {
    (void)state;
    const struct baton_image_part two[] = {
            {0x80000000, bytes, 0x900000}, {0x80A00000, bytes, 0x900000}};
    expect_refused(5, two, 2);
    // Header, descriptor's segment, this one, checksum: 16 MiB to the byte.
    const struct baton_image_part one[] = {
            {0x80000000, bytes, 0x1000000 - 24 - 8 - 256 - 8 - 16}};
    expect_refused(5, one, 1);
}

// Nothing is added that was not asked for.
static void test_no_descriptor(void **state) {
    (void)state;
    const struct baton_image_part parts[] = {
            {0x3FC80000, bytes + 1, 400}, {0x80000000, bytes + 2, 40}};
    struct baton_image_spec spec = configure(5, parts, 2);
    spec.add_descriptor = false;
    build_good(&spec);
    const struct images_segment want[] = {{0x3FC80000, 400}, {0x80000000, 40}};
    expect_segments(want, 2);
    assert_false(baton_image_result(&image)->has_descriptor);
}

struct faulty {
    unsigned left; // calls that still work
};

static int fault(struct faulty *self) {
    return self->left == 0 || self->left-- == 0 ? BATON_ERR_CRYPTO : 0;
}

static int start_hash(
        void *context, struct baton_hash_state *state, enum baton_hash kind) {
    (void)state;
    (void)kind;
    return fault(context);
}

static int update_hash(void *context, struct baton_hash_state *state,
        const void *data, size_t len) {
    (void)state;
    (void)data;
    (void)len;
    return fault(context);
}

static int finish_hash(
        void *context, struct baton_hash_state *state, uint8_t *digest) {
    (void)state;
    memset(digest, 0, 32);
    return fault(context);
}

static void test_hash_faults(void **state) {
    (void)state;
    const struct baton_image_part parts[] = {{0x3FC80000, bytes, 100}};
    struct baton_image_spec spec = configure(5, parts, 1);
    int err = BATON_ERR_CRYPTO;
    for (unsigned n = 0; err != 0; n++) {
        struct faulty faulty = {n};
        struct baton_crypto crypto = {
                &faulty, start_hash, update_hash, finish_hash, NULL};
        spec.crypto = &crypto;
        err = build(&spec);
        assert_true(err == 0 || err == BATON_ERR_CRYPTO);
        assert_true(n < 100);
    }
}

static void test_sink_faults(void **state) {
    (void)state;
    const struct baton_image_part parts[] = {
            {0x3FC80000, bytes, 100}, {0x42010020, bytes + 3, 70000}};
    struct baton_image_spec spec = configure(5, parts, 2);
    assert_int_equal(build(&spec), 0);
    unsigned calls = out.calls;
    for (unsigned n = 0; n < calls; n++) {
        out.len = 0;
        out.calls = 0;
        out.left = n;
        assert_int_equal(
                baton_image_build(&builder, &spec, sink, NULL), BATON_ERR_IO);
        assert_int_equal(out.calls, n + 1);
    }
}

// Random parts: what is accepted verifies and holds every byte.
static void test_random_layouts(void **state) {
    (void)state;
    static const uint32_t bases[] = {0x3F400000, 0x3FFB0000, 0x40080000,
            0x400D0000, 0x3C000000, 0x3FC80000, 0x40380000, 0x42000000,
            0x50000000, 0x80000000};
    static const uint16_t chips[] = {0, 5, 9, 13, 18};
    uint32_t seed = 12345;
    unsigned built = 0;
    for (unsigned round = 0; round < 3000; round++) {
        struct baton_image_part parts[12];
        size_t count = 0;
        uint32_t addr = 0;
        for (size_t i = 0; i < 10; i++) {
            seed = seed * 1103515245u + 12345u;
            uint32_t r = seed >> 8;
            uint32_t start = bases[i] + (r % 3) * 0x10000 + (r >> 4) % 80;
            if (start <= addr || (r >> 12) % 3 != 0) {
                continue;
            }
            uint32_t len = (r >> 3) % (r % 5 == 0 ? 70000 : 600);
            parts[count++] = (struct baton_image_part){start, bytes + i, len};
            addr = start + len;
        }
        struct baton_image_spec spec =
                configure(chips[round % 5], parts, count);
        int err = build(&spec);
        assert_true(err == 0 || err == BATON_ERR_ELF_LAYOUT);
        if (err == 0) {
            verify();
            assert_true(baton_image_result(&image)->has_descriptor);
            for (size_t i = 0; i < count; i++) {
                expect_loaded(&parts[i]);
            }
            built++;
        }
    }
    assert_true(built > 1000);
}

static int begin(void **state) {
    (void)state;
    fill_bytes();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_descriptor_alone),
            cmocka_unit_test(test_header),
            cmocka_unit_test(test_payload),
            cmocka_unit_test(test_ram_only),
            cmocka_unit_test(test_filling),
            cmocka_unit_test(test_padding),
            cmocka_unit_test(test_joining),
            cmocka_unit_test(test_split_run),
            cmocka_unit_test(test_descriptor_comes_first),
            cmocka_unit_test(test_descriptor_page),
            cmocka_unit_test(test_pages),
            cmocka_unit_test(test_page_is_guessed),
            cmocka_unit_test(test_esp32_last_page),
            cmocka_unit_test(test_refused_layouts),
            cmocka_unit_test(test_segment_limit),
            cmocka_unit_test(test_gaps_are_filled),
            cmocka_unit_test(test_shared_page),
            cmocka_unit_test(test_size_limit),
            cmocka_unit_test(test_no_descriptor),
            cmocka_unit_test(test_hash_faults),
            cmocka_unit_test(test_sink_faults),
            cmocka_unit_test(test_random_layouts),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
