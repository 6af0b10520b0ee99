// The partition table in binary: rows, MD5, what is damaged.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton-posix/crypto.h"
#include "baton-posix/nor.h"
#include "baton/error.h"
#include "baton/table.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct baton_table_options with_md5(void) {
    static struct baton_hash_state hash;
    return (struct baton_table_options){
            .crypto = baton_crypto_psa(), .hash = &hash};
}

static struct baton_partition make_row(uint8_t type, uint8_t subtype,
        uint32_t addr, uint32_t size_bytes, const char *label) {
    struct baton_partition row = {.type = type,
            .subtype = subtype,
            .addr = addr,
            .size_bytes = size_bytes};
    snprintf(row.label, sizeof(row.label), "%s", label);
    return row;
}

// A table for updates, sound in every rule.
#define SOUND_ROWS 7u
static void make_sound(struct baton_partition rows[SOUND_ROWS]) {
    rows[0] = make_row(1, 2, 0x9000, 0x4000, "settings");
    rows[1] = make_row(1, 0, 0xD000, 0x2000, "otadata");
    rows[2] = make_row(1, 1, 0xF000, 0x1000, "phy_init");
    rows[3] = make_row(0, 0x10, 0x10000, 0x180000, "ota_0");
    rows[4] = make_row(0, 0x11, 0x190000, 0x180000, "ota_1");
    rows[5] = make_row(1, 0x81, 0x310000, 0xF0000, "sixteen_letters_");
    rows[6] = make_row(0x40, 0xEE, 0x400000, 0x123, "own");
    rows[5].flags = BATON_PARTITION_ENCRYPTED;
    rows[6].flags = BATON_PARTITION_READONLY | 0x80000000u;
}

static void assert_same_rows(const struct baton_partition *a,
        const struct baton_partition *b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(a[i].type, b[i].type);
        assert_int_equal(a[i].subtype, b[i].subtype);
        assert_int_equal(a[i].addr, b[i].addr);
        assert_int_equal(a[i].size_bytes, b[i].size_bytes);
        assert_memory_equal(a[i].label, b[i].label, sizeof(a[i].label));
        assert_int_equal(a[i].flags, b[i].flags);
    }
}

static void test_row_bytes(void **state) {
    (void)state;
    static const uint8_t raw[32] = {0xAA, 0x50, 0x01, 0x82, 0x78, 0x56, 0x34,
            0x12, 0xF0, 0xDE, 0xBC, 0x9A, 's', 'i', 'x', 't', 'e', 'e', 'n',
            '_', 'l', 'e', 't', 't', 'e', 'r', 's', '_', 0x03, 0x00, 0x00,
            0x80};
    struct baton_partition row;
    uint8_t out[BATON_TABLE_BYTES];
    struct baton_table_options options = {.no_md5 = true};
    assert_int_equal(baton_table_decode_row(raw, &row), 0);
    assert_int_equal(row.type, 1);
    assert_int_equal(row.subtype, 0x82);
    assert_int_equal(row.addr, 0x12345678);
    assert_int_equal(row.size_bytes, 0x9ABCDEF0);
    assert_string_equal(row.label, "sixteen_letters_");
    assert_int_equal(row.flags, 0x80000003);
    assert_int_equal(baton_table_encode(&row, 1, &options, out), 0);
    assert_memory_equal(out, raw, sizeof(raw));
    for (size_t i = sizeof(raw); i < sizeof(out); i++) {
        assert_int_equal(out[i], 0xFF);
    }
}

static void test_row_label_ends_at_zero(void **state) {
    (void)state;
    uint8_t raw[32] = {0xAA, 0x50};
    struct baton_partition row;
    memcpy(raw + 12, "ab\0cdefghijklmno", 16);
    assert_int_equal(baton_table_decode_row(raw, &row), 0);
    assert_string_equal(row.label, "ab");
    for (size_t i = 2; i < sizeof(row.label); i++) {
        assert_int_equal(row.label[i], 0);
    }
}

static void test_row_magic(void **state) {
    (void)state;
    uint8_t raw[32] = {0};
    struct baton_partition row;
    for (unsigned magic = 0; magic < 0x10000; magic++) {
        raw[0] = (uint8_t)magic;
        raw[1] = (uint8_t)(magic >> 8);
        assert_int_equal(baton_table_decode_row(raw, &row),
                magic == 0x50AA ? 0 : BATON_ERR_TABLE_MAGIC);
    }
}

// The bytes of a small table, its MD5 worked out by another program.
static void test_md5_row(void **state) {
    (void)state;
    static const uint8_t md5_row[32] = {0xEB, 0xEB, 0xFF, 0xFF, 0xFF, 0xFF,
            0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x90,
            0xF3, 0x90, 0x5A, 0x9F, 0xF4, 0x2E, 0x59, 0x0B, 0x9D, 0xD0, 0x4D,
            0xA8, 0x0A, 0xC5, 0xAD};
    struct baton_table_options options = with_md5();
    struct baton_partition row = make_row(1, 2, 0x9000, 0x4000, "nvs");
    uint8_t out[BATON_TABLE_BYTES];
    assert_int_equal(baton_table_encode(&row, 1, &options, out), 0);
    assert_memory_equal(out + 32, md5_row, sizeof(md5_row));
    assert_int_equal(out[64], 0xFF);
}

static void test_round_trip(void **state) {
    (void)state;
    struct baton_partition rows[SOUND_ROWS];
    struct baton_partition back[SOUND_ROWS];
    struct baton_table_fault fault;
    uint8_t out[BATON_TABLE_BYTES];
    size_t count;
    make_sound(rows);
    for (int no_md5 = 0; no_md5 < 2; no_md5++) {
        struct baton_table_options options = with_md5();
        options.no_md5 = no_md5 != 0;
        assert_int_equal(
                baton_table_encode(rows, SOUND_ROWS, &options, out), 0);
        assert_int_equal(baton_table_parse(out, sizeof(out), &options, back,
                                 SOUND_ROWS, &count, &fault),
                0);
        assert_int_equal(count, SOUND_ROWS);
        assert_same_rows(rows, back, count);
    }
}

// Every length from nothing to the whole: the end row decides.
static void test_parse_cut_short(void **state) {
    (void)state;
    struct baton_table_options options = with_md5();
    struct baton_partition rows[SOUND_ROWS];
    struct baton_partition back[SOUND_ROWS];
    uint8_t out[BATON_TABLE_BYTES];
    size_t needed = (SOUND_ROWS + 2) * 32;
    make_sound(rows);
    assert_int_equal(baton_table_encode(rows, SOUND_ROWS, &options, out), 0);
    for (size_t len = 0; len <= sizeof(out); len++) {
        uint8_t *copy = malloc(len + 1);
        size_t count;
        memcpy(copy, out, len);
        int expected = len >= needed   ? 0
                       : len % 32 == 0 ? BATON_ERR_TABLE_END
                                       : BATON_ERR_TABLE_LENGTH;
        int err = baton_table_parse(
                copy, len, &options, back, SOUND_ROWS, &count, NULL);
        free(copy);
        if (err != expected) {
            fail_msg("length %zu: %d, not %d", len, err, expected);
        }
    }
}

// The MD5 row finds every flipped bit of the rows and of itself; its padding
// alone is not looked at.
static void test_parse_flipped_bits(void **state) {
    (void)state;
    struct baton_table_options options = with_md5();
    struct baton_partition rows[SOUND_ROWS];
    struct baton_partition back[SOUND_ROWS + 1];
    uint8_t out[BATON_TABLE_BYTES];
    size_t count;
    size_t md5_off = SOUND_ROWS * 32;
    make_sound(rows);
    assert_int_equal(baton_table_encode(rows, SOUND_ROWS, &options, out), 0);
    for (size_t bit = 0; bit < (md5_off + 32) * 8; bit++) {
        size_t at = bit / 8;
        out[at] ^= (uint8_t)(1u << bit % 8);
        int err = baton_table_parse(
                out, sizeof(out), &options, back, SOUND_ROWS + 1, &count, NULL);
        out[at] ^= (uint8_t)(1u << bit % 8);
        bool is_padding = at >= md5_off + 2 && at < md5_off + 16;
        int expected = is_padding    ? 0
                       : at % 32 < 2 ? BATON_ERR_TABLE_MAGIC
                                     : BATON_ERR_TABLE_MD5;
        if (err != expected) {
            fail_msg("bit %zu of byte %zu: %d, not %d", bit % 8, at, err,
                    expected);
        }
    }
}

static void test_parse_md5_options(void **state) {
    (void)state;
    struct baton_table_options options = with_md5();
    struct baton_partition rows[SOUND_ROWS];
    struct baton_partition back[SOUND_ROWS];
    struct baton_table_fault fault;
    uint8_t out[BATON_TABLE_BYTES];
    size_t count;
    make_sound(rows);
    assert_int_equal(baton_table_encode(rows, 3, &options, out), 0);

    // A second MD5 row, and one between rows, are right by what precedes them.
    memcpy(out + 4 * 32, out + 3 * 32, 32);
    assert_int_equal(baton_table_parse(out, sizeof(out), &options, back,
                             SOUND_ROWS, &count, &fault),
            0);
    assert_int_equal(count, 3);
    memcpy(out + 4 * 32, out, 32);
    assert_int_equal(baton_table_parse(out, sizeof(out), &options, back,
                             SOUND_ROWS, &count, &fault),
            0);
    assert_int_equal(count, 4);
    memcpy(out + 5 * 32, out + 3 * 32, 32);
    assert_int_equal(baton_table_parse(out, sizeof(out), &options, back,
                             SOUND_ROWS, &count, &fault),
            BATON_ERR_TABLE_MD5);
    memset(out + 5 * 32, 0xFF, 32);

    // Without a hash function it is passed over; switched off, it is no row.
    out[3 * 32 + 20] ^= 1;
    options.crypto = NULL;
    assert_int_equal(baton_table_parse(out, sizeof(out), &options, back,
                             SOUND_ROWS, &count, &fault),
            0);
    assert_int_equal(count, 4);
    options.no_md5 = true;
    assert_int_equal(baton_table_parse(out, sizeof(out), &options, back,
                             SOUND_ROWS, &count, &fault),
            BATON_ERR_TABLE_MAGIC);
    assert_int_equal(fault.row, 3);
    assert_int_equal(
            baton_table_parse(out, sizeof(out), NULL, back, 3, &count, NULL),
            BATON_ERR_NOSPC);
}

static void test_parse_labels(void **state) {
    (void)state;
    static const struct {
        const char *label;
        bool is_good;
    } cases[] = {
            {"\xC3\xA9", true},
            {"\xE2\x82\xAC", true},
            {"\xF0\x9F\x98\x80", true},
            {"\xF4\x8F\xBF\xBF", true},
            {"a\x01\x7F", true},
            {"", true},
            {"\x80", false},         // continuation first
            {"\xC3", false},         // cut short
            {"\xC3(", false},        //
            {"\xC0\x80", false},     // overlong
            {"\xE0\x80\x80", false}, //
            {"\xED\x9F\xBF", true},
            {"\xED\xA0\x80", false}, // surrogates
            {"\xED\xBF\xBF", false}, //
            {"\xEE\x80\x80", true},
            {"\xF0\x80\x80\x80", false},
            {"\xF4\x90\x80\x80", false}, // past the last code point
            {"\xFF", false},
            {"fifteen_letters\xC3", false},
    };
    struct baton_table_options options = with_md5();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct baton_partition rows[2];
        struct baton_table_fault fault;
        uint8_t out[BATON_TABLE_BYTES];
        size_t count;
        rows[0] = make_row(1, 2, 0x9000, 0x4000, "first");
        rows[1] = make_row(1, 6, 0xD000, 0x4000, cases[i].label);
        assert_int_equal(baton_table_encode(rows, 2, &options, out), 0);
        int err = baton_table_parse(
                out, sizeof(out), &options, rows, 2, &count, &fault);
        if (err != (cases[i].is_good ? 0 : BATON_ERR_TABLE_LABEL)) {
            fail_msg("label %zu: %d", i, err);
        }
        assert_int_equal(fault.row, cases[i].is_good ? -1 : 1);
    }
}

static void test_encode_limits(void **state) {
    (void)state;
    struct baton_partition rows[BATON_TABLE_ROWS_MAX + 1];
    struct baton_partition back[BATON_TABLE_ROWS_MAX];
    uint8_t out[BATON_TABLE_BYTES];
    size_t count;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char label[17];
        snprintf(label, sizeof(label), "p%zu", i);
        rows[i] = make_row(1, 6, 0x9000 + (uint32_t)i * 0x1000, 0x1000, label);
    }
    struct baton_table_options options = with_md5();
    assert_int_equal(baton_table_encode(rows, 94, &options, out), 0);
    assert_int_equal(baton_table_parse(out, sizeof(out), &options, back, 95,
                             &count, NULL),
            0);
    assert_int_equal(count, 94);
    assert_int_equal(
            baton_table_encode(rows, 95, &options, out), BATON_ERR_TABLE_ROWS);
    options.no_md5 = true;
    assert_int_equal(baton_table_encode(rows, 95, &options, out), 0);
    assert_int_equal(baton_table_parse(out, sizeof(out), &options, back, 95,
                             &count, NULL),
            0);
    assert_int_equal(count, 95);
    assert_int_equal(
            baton_table_encode(rows, 96, &options, out), BATON_ERR_TABLE_ROWS);
    assert_int_equal(baton_table_encode(rows, 95, NULL, out), 0);
    assert_int_equal(baton_table_encode(rows, 0, NULL, out), 0);
    assert_int_equal(out[0], 0xFF);
}

// A hash function that fails at the n-th call, and a flash that does.
struct failing {
    const struct baton_crypto *crypto;
    const struct baton_flash *flash;
    int calls_left;
};

static bool fails(struct failing *self) {
    return self->calls_left-- == 0;
}

static int start(
        void *context, struct baton_hash_state *hash, enum baton_hash kind) {
    struct failing *self = context;
    return fails(self) ? BATON_ERR_CRYPTO
                       : self->crypto->hash_start(
                               self->crypto->context, hash, kind);
}

static int update(void *context, struct baton_hash_state *hash,
        const void *data, size_t len) {
    struct failing *self = context;
    return fails(self) ? BATON_ERR_CRYPTO
                       : self->crypto->hash_update(
                               self->crypto->context, hash, data, len);
}

static int finish(
        void *context, struct baton_hash_state *hash, uint8_t *digest) {
    struct failing *self = context;
    return fails(self) ? BATON_ERR_CRYPTO
                       : self->crypto->hash_finish(
                               self->crypto->context, hash, digest);
}

static int read_flash(void *context, uint32_t addr, void *buf, size_t len) {
    struct failing *self = context;
    return fails(self)
                   ? BATON_ERR_IO
                   : self->flash->read(self->flash->context, addr, buf, len);
}

static void test_hash_failures(void **state) {
    (void)state;
    struct failing failing = {.crypto = baton_crypto_psa()};
    const struct baton_crypto crypto = {&failing, start, update, finish, NULL};
    struct baton_hash_state hash;
    struct baton_table_options options = {.crypto = &crypto, .hash = &hash};
    struct baton_partition rows[SOUND_ROWS];
    uint8_t out[BATON_TABLE_BYTES];
    size_t count;
    int calls = (int)SOUND_ROWS + 2;
    for (int n = 0; n <= calls; n++) {
        make_sound(rows);
        failing.calls_left = n;
        assert_int_equal(baton_table_encode(rows, SOUND_ROWS, &options, out),
                n < calls ? BATON_ERR_CRYPTO : 0);
    }
    for (int n = 0; n <= calls; n++) {
        failing.calls_left = n;
        assert_int_equal(baton_table_parse(out, sizeof(out), &options, rows,
                                 SOUND_ROWS, &count, NULL),
                n < calls ? BATON_ERR_CRYPTO : 0);
    }
}

static void test_hash_needs_memory(void **state) {
    (void)state;
    struct baton_table_options options = with_md5();
    struct baton_partition rows[SOUND_ROWS];
    uint8_t out[BATON_TABLE_BYTES];
    size_t count;
    make_sound(rows);
    assert_int_equal(baton_table_encode(rows, SOUND_ROWS, &options, out), 0);
    options.hash = NULL;
    assert_int_equal(baton_table_parse(out, sizeof(out), &options, rows,
                             SOUND_ROWS, &count, NULL),
            BATON_ERR_ARG);
    assert_int_equal(baton_table_encode(rows, 1, &options, out), BATON_ERR_ARG);
}

static void test_load(void **state) {
    (void)state;
    static uint8_t bytes[0x20000];
    static struct baton_nor_state nor_state;
    struct baton_table_options options = with_md5();
    struct baton_partition rows[SOUND_ROWS];
    struct baton_partition back[SOUND_ROWS];
    struct baton_nor nor;
    size_t count;
    make_sound(rows);
    memset(bytes, 0xFF, sizeof(bytes));
    assert_int_equal(
            baton_nor_begin(&nor, bytes, sizeof(bytes), 1, &nor_state, NULL),
            0);
    // A blank table has no rows; bad labels are nobody's concern here.
    assert_int_equal(
            baton_table_load(&nor.flash, &options, back, SOUND_ROWS, &count),
            0);
    assert_int_equal(count, 0);
    rows[6].label[0] = '\xFF';
    assert_int_equal(
            baton_table_encode(rows, SOUND_ROWS, &options, bytes + 0x8000), 0);
    memcpy(bytes + 0xC000, bytes + 0x8000, BATON_TABLE_BYTES);
    assert_int_equal(
            baton_table_load(&nor.flash, &options, back, SOUND_ROWS, &count),
            0);
    assert_int_equal(count, SOUND_ROWS);
    assert_same_rows(rows, back, count);
    bytes[0x8005] ^= 1;
    assert_int_equal(
            baton_table_load(&nor.flash, &options, back, SOUND_ROWS, &count),
            BATON_ERR_TABLE_MD5);
    options.table_addr = 0xC000;
    assert_int_equal(
            baton_table_load(&nor.flash, &options, back, SOUND_ROWS, &count),
            0);
    assert_int_equal(baton_table_load(&nor.flash, &options, back,
                             SOUND_ROWS - 1, &count),
            BATON_ERR_NOSPC);
    options.table_addr = 0x1FFE0;
    memset(bytes + 0x1FFE0, 0xAA, 32);
    bytes[0x1FFE1] = 0x50;
    assert_int_equal(
            baton_table_load(&nor.flash, &options, back, SOUND_ROWS, &count),
            BATON_ERR_RANGE);
    // Rows to the very end of the table's part of the sector: no end row.
    options.table_addr = 0x10000;
    for (size_t i = 0; i < 96; i++) {
        memcpy(bytes + 0x10000 + 32 * i, bytes + 0xC000, 32);
    }
    struct baton_partition many[96];
    assert_int_equal(baton_table_load(&nor.flash, &options, many, 96, &count),
            BATON_ERR_TABLE_END);
}

static void test_load_failures(void **state) {
    (void)state;
    static uint8_t bytes[0x10000];
    static struct baton_nor_state nor_state;
    struct baton_table_options options = with_md5();
    struct baton_partition rows[SOUND_ROWS];
    struct baton_nor nor;
    struct failing failing;
    size_t count;
    make_sound(rows);
    memset(bytes, 0xFF, sizeof(bytes));
    assert_int_equal(
            baton_table_encode(rows, SOUND_ROWS, &options, bytes + 0x8000), 0);
    assert_int_equal(
            baton_nor_begin(&nor, bytes, sizeof(bytes), 1, &nor_state, NULL),
            0);
    struct baton_flash flash = nor.flash;
    flash.context = &failing;
    flash.read = read_flash;
    failing.flash = &nor.flash;
    int err = BATON_ERR_IO;
    int n = 0;
    for (; err != 0; n++) {
        assert_in_range(n, 0, 1000);
        failing.calls_left = n;
        err = baton_table_load(&flash, &options, rows, SOUND_ROWS, &count);
        assert_true(err == 0 || err == BATON_ERR_IO);
    }
    assert_true(n > (int)SOUND_ROWS + 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_row_bytes),
            cmocka_unit_test(test_row_label_ends_at_zero),
            cmocka_unit_test(test_row_magic),
            cmocka_unit_test(test_md5_row),
            cmocka_unit_test(test_round_trip),
            cmocka_unit_test(test_parse_cut_short),
            cmocka_unit_test(test_parse_flipped_bits),
            cmocka_unit_test(test_parse_md5_options),
            cmocka_unit_test(test_parse_labels),
            cmocka_unit_test(test_encode_limits),
            cmocka_unit_test(test_hash_failures),
            cmocka_unit_test(test_hash_needs_memory),
            cmocka_unit_test(test_load),
            cmocka_unit_test(test_load_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
