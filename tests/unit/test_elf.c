// Reading ELF files: what is loaded, and that no file is believed.
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

#define XTENSA 0x5E
#define RISCV  0xF3

struct section {
    uint32_t type;
    uint32_t flags;
    uint32_t addr;
    uint32_t len;
};

// A file: header, the sections' bytes, the section headers.
struct elf {
    uint8_t data[4096];
    size_t len;
};

static void put(uint8_t *p, uint32_t value, int count) {
    for (int i = 0; i < count; i++) {
        p[i] = (uint8_t)(value >> (8 * i));
    }
}

static void make_elf(struct elf *self, uint16_t machine,
        const struct section *sections, uint32_t count) {
    uint8_t *p = self->data;
    memset(self, 0, sizeof(*self));
    memcpy(p,
            "\x7F"
            "ELF\x01\x01\x01",
            7);
    put(p + 16, 2, 2);
    put(p + 18, machine, 2);
    put(p + 20, 1, 4);
    put(p + 24, 0x40081234, 4);
    put(p + 40, 52, 2);
    put(p + 46, 40, 2);
    put(p + 48, count, 2);
    uint32_t at = 52;
    uint32_t offs[80];
    for (uint32_t i = 0; i < count; i++) {
        offs[i] = at;
        for (uint32_t k = 0; k < sections[i].len && sections[i].type != 8;
                k++) {
            p[at++] = (uint8_t)(i * 16 + k);
        }
    }
    put(p + 32, at, 4);
    for (uint32_t i = 0; i < count; i++, at += 40) {
        put(p + at + 4, sections[i].type, 4);
        put(p + at + 8, sections[i].flags, 4);
        put(p + at + 12, sections[i].addr, 4);
        put(p + at + 16, offs[i], 4);
        put(p + at + 20, sections[i].len, 4);
    }
    self->len = at;
}

static struct baton_image_part parts[64];
static size_t count;
static uint32_t entry;

static int parse(const struct elf *elf, uint16_t chip_id) {
    return baton_image_parse_elf(
            elf->data, elf->len, chip_id, parts, 64, &count, &entry);
}

static const struct section program[] = {
        {0, 0, 0, 0}, {1, 6, 0x40080000, 33}, // code
        {8, 3, 0x3FFB1000, 500},              // .bss
        {1, 2, 0x3F400020, 7},                // constants
        {3, 0, 0, 20},                        // strings
        {14, 3, 0x3FFB0000, 8},               // initialisers
        {15, 3, 0x3FFB0008, 8}, {16, 3, 0x3FFB0010, 4},
        {1, 0, 0x12345678, 9},  // not in memory
        {1, 2, 0x20, 5},        // nor where nothing is loaded
        {1, 2, 0x50000000, 0},  // nor without bytes
        {7, 2, 0x3FFC0000, 12}, // a note
};
#define SECTIONS (sizeof(program) / sizeof(program[0]))

static void test_sections(void **state) {
    (void)state;
    static const struct section want[] = {{1, 0, 0x3F400020, 7},
            {14, 0, 0x3FFB0000, 8}, {15, 0, 0x3FFB0008, 8},
            {16, 0, 0x3FFB0010, 4}, {1, 0, 0x40080000, 33}};
    static const uint8_t index[] = {3, 5, 6, 7, 1};
    struct elf elf;
    make_elf(&elf, XTENSA, program, SECTIONS);
    assert_int_equal(parse(&elf, 0), 0);
    assert_int_equal(count, 5);
    assert_int_equal(entry, 0x40081234);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(parts[i].load_addr, want[i].addr);
        assert_int_equal(parts[i].len_bytes, want[i].len);
        assert_int_equal(parts[i].data[0], (uint8_t)(index[i] * 16));
    }
}

static void test_capacity(void **state) {
    (void)state;
    struct elf elf;
    make_elf(&elf, XTENSA, program, SECTIONS);
    for (size_t capacity = 0; capacity < 5; capacity++) {
        assert_int_equal(baton_image_parse_elf(elf.data, elf.len, 0, parts,
                                 capacity, &count, &entry),
                BATON_ERR_NOSPC);
    }
    assert_int_equal(baton_image_parse_elf(
                             elf.data, elf.len, 0, parts, 5, &count, &entry),
            0);
}

static void test_machine(void **state) {
    (void)state;
    static const struct section one[] = {{1, 2, 0x80000000, 16}};
    static const struct {
        uint16_t chip_id;
        uint16_t machine;
    } chips[] = {{0, XTENSA}, {2, XTENSA}, {9, XTENSA}, {5, RISCV}, {12, RISCV},
            {13, RISCV}, {16, RISCV}, {18, RISCV}, {20, RISCV}, {23, RISCV},
            {25, RISCV}, {28, RISCV}, {32, RISCV}};
    struct elf elf;
    for (size_t i = 0; i < sizeof(chips) / sizeof(chips[0]); i++) {
        make_elf(&elf, chips[i].machine, one, 1);
        assert_int_equal(parse(&elf, chips[i].chip_id), 0);
        make_elf(&elf, chips[i].machine ^ XTENSA ^ RISCV, one, 1);
        assert_int_equal(parse(&elf, chips[i].chip_id), BATON_ERR_ELF_MACHINE);
        make_elf(&elf, 40, one, 1); // ARM
        assert_int_equal(parse(&elf, chips[i].chip_id), BATON_ERR_ELF_MACHINE);
    }
}

static void test_refused_files(void **state) {
    (void)state;
    static const struct {
        uint32_t off;
        uint32_t value;
        int bytes;
        int err;
    } changes[] = {
            {0, 0, 1, BATON_ERR_ELF_FORMAT},
            {4, 2, 1, BATON_ERR_ELF_FORMAT}, // 64 bit
            {5, 2, 1, BATON_ERR_ELF_FORMAT}, // big-endian
            {6, 0, 1, BATON_ERR_ELF_FORMAT},
            {16, 1, 2, BATON_ERR_ELF_FORMAT}, // an object file
            {16, 3, 2, BATON_ERR_ELF_FORMAT}, // a shared object
            {32, 0xFFFFFFFF, 4, BATON_ERR_ELF_FORMAT},
            {46, 39, 2, BATON_ERR_ELF_FORMAT},
            {46, 0, 2, BATON_ERR_ELF_FORMAT},
            {48, 0, 2, BATON_ERR_ELF_FORMAT},
            {48, 0xFFFF, 2, BATON_ERR_ELF_FORMAT},
            {48, 1, 2, BATON_ERR_ELF_EMPTY},
    };
    struct elf elf;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        make_elf(&elf, XTENSA, program, SECTIONS);
        put(elf.data + changes[i].off, changes[i].value, changes[i].bytes);
        if (parse(&elf, 0) != changes[i].err) {
            fail_msg("offset %u", (unsigned)changes[i].off);
        }
    }
}

static void test_overlap(void **state) {
    (void)state;
    struct elf elf;
    for (uint32_t len = 0x0E; len <= 0x12; len++) {
        const struct section two[] = {
                {1, 2, 0x3FFB0010, 4}, {1, 2, 0x3FFB0000, len}};
        make_elf(&elf, XTENSA, two, 2);
        assert_int_equal(
                parse(&elf, 0), len <= 0x10 ? 0 : BATON_ERR_ELF_LAYOUT);
    }
    const struct section top[] = {{1, 2, 0xFFFFFFF0, 16}};
    make_elf(&elf, XTENSA, top, 1);
    assert_int_equal(parse(&elf, 0), BATON_ERR_ELF_LAYOUT);
}

static void test_truncation(void **state) {
    (void)state;
    struct elf elf;
    make_elf(&elf, XTENSA, program, SECTIONS);
    for (size_t len = 0; len < elf.len; len++) {
        uint8_t *cut = malloc(len + (len == 0));
        memcpy(cut, elf.data, len);
        assert_int_equal(
                baton_image_parse_elf(cut, len, 0, parts, 64, &count, &entry),
                BATON_ERR_ELF_FORMAT);
        free(cut);
    }
}

// Every value of every byte: what still parses points into the file, and
// builds an image that verifies or is refused by its layout.
static int collect(void *context, const void *data, size_t len) {
    struct images *made = context;
    uint8_t *larger = realloc(made->data, made->len + len);
    assert_non_null(larger);
    memcpy(larger + made->len, data, len);
    made->data = larger;
    made->len += len;
    return 0;
}

static void build(const struct elf *elf) {
    static struct baton_image_builder builder;
    static struct baton_image image;
    struct images made = {0};
    for (size_t i = 0; i < count; i++) {
        assert_true(parts[i].data >= elf->data);
        assert_true(parts[i].data + parts[i].len_bytes <= elf->data + elf->len);
    }
    struct baton_image_spec spec = {.header = {.digest_appended = 1},
            .add_descriptor = true,
            .parts = parts,
            .part_count = count,
            .crypto = baton_crypto_psa()};
    int err = baton_image_build(&builder, &spec, collect, &made);
    if (err == 0) {
        struct baton_image_config config = {.crypto = baton_crypto_psa()};
        err = images_verify(&image, &config, made.data, made.len, 0);
        assert_int_equal(err, 0);
        assert_true(baton_image_result(&image)->has_descriptor);
    } else {
        assert_int_equal(err, BATON_ERR_ELF_LAYOUT);
    }
    free(made.data);
}

static void test_every_byte(void **state) {
    (void)state;
    struct elf elf;
    make_elf(&elf, XTENSA, program, 6);
    unsigned parsed = 0;
    for (size_t at = 0; at < elf.len; at++) {
        for (unsigned flip = 1; flip < 256; flip += at < 52 ? 1 : 14) {
            elf.data[at] ^= (uint8_t)flip;
            int err = parse(&elf, 0);
            if (err == 0) {
                build(&elf);
                parsed++;
            }
            elf.data[at] ^= (uint8_t)flip;
        }
    }
    assert_true(parsed > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_sections),
            cmocka_unit_test(test_capacity),
            cmocka_unit_test(test_machine),
            cmocka_unit_test(test_refused_files),
            cmocka_unit_test(test_overlap),
            cmocka_unit_test(test_truncation),
            cmocka_unit_test(test_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
