// Non-volatile storage: values, space, the format, and power cuts.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/world.h"
#include "baton-idf/esp_flash.h"
#include "baton-posix/nor.h"
#include "baton-posix/nvs.h"

#define CHIP_BYTES 0x10000u
#define NVS_ADDR   0x2000u

static uint8_t chip[CHIP_BYTES];
static struct baton_nor nor;
static struct baton_nor_state nor_state;
static struct baton_nvs nvs;
static uint32_t nvs_bytes;

static void mount(void) {
    assert_int_equal(
            baton_nvs_mount(&nvs, &nor.flash, NVS_ADDR, nvs_bytes), ESP_OK);
}

static void remount(void) {
    baton_nvs_unmount(&nvs);
    mount();
}

static void begin_unit(uint32_t pages, uint32_t program_bytes) {
    memset(chip, 0xFF, sizeof(chip));
    memset(&nor_state, 0, sizeof(nor_state));
    assert_int_equal(baton_nor_begin(&nor, chip, sizeof(chip), program_bytes,
                             &nor_state, NULL),
            0);
    nvs_bytes = pages * 4096;
    mount();
}

static void begin(uint32_t pages) {
    begin_unit(pages, 1);
}

static void end(void) {
    baton_nvs_unmount(&nvs);
    // Nothing around the range is touched.
    for (uint32_t i = 0; i < CHIP_BYTES; i++) {
        if (i < NVS_ADDR || i >= NVS_ADDR + nvs_bytes) {
            assert_int_equal(chip[i], 0xFF);
        }
    }
}

static uint8_t open_ns(const char *name) {
    uint8_t ns = 0;
    assert_int_equal(baton_nvs_open(&nvs, name, true, &ns), ESP_OK);
    return ns;
}

static int set_i32(uint8_t ns, const char *key, int32_t value) {
    return baton_nvs_set_number(&nvs, ns, BATON_NVS_I32, key, &value);
}

static int get_i32(uint8_t ns, const char *key, int32_t *value) {
    return baton_nvs_get_number(&nvs, ns, BATON_NVS_I32, key, value);
}

static void assert_i32(uint8_t ns, const char *key, int32_t expected) {
    int32_t value = 0;
    assert_int_equal(get_i32(ns, key, &value), ESP_OK);
    assert_int_equal(value, expected);
}

static int set_blob(uint8_t ns, const char *key, const void *data, size_t len) {
    return baton_nvs_set_bytes(&nvs, ns, BATON_NVS_BLOB, key, data, len);
}

static void fill(uint8_t *data, size_t len, uint32_t seed) {
    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t)world_random(&seed);
    }
}

static void assert_blob(
        uint8_t ns, const char *key, const void *expected, size_t len) {
    static uint8_t value[0x10000];
    size_t size = sizeof(value);
    assert_int_equal(
            baton_nvs_get_bytes(&nvs, ns, BATON_NVS_BLOB, key, value, &size),
            ESP_OK);
    assert_int_equal(size, len);
    assert_memory_equal(value, expected, len);
}

// Values.

static void test_numbers(void **state) {
    (void)state;
    begin(4);
    uint8_t ns = open_ns("app");
    static const enum baton_nvs_type types[] = {BATON_NVS_U8, BATON_NVS_I8,
            BATON_NVS_U16, BATON_NVS_I16, BATON_NVS_U32, BATON_NVS_I32,
            BATON_NVS_U64, BATON_NVS_I64};
    static const uint8_t bytes[8] = {0x81, 0x72, 0x63, 0x54, 1, 2, 3, 0x99};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%zu", i);
        assert_int_equal(
                baton_nvs_set_number(&nvs, ns, types[i], key, bytes), ESP_OK);
    }
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
            char key[16];
            snprintf(key, sizeof(key), "k%zu", i);
            uint8_t value[8];
            memset(value, 0xEE, sizeof(value));
            assert_int_equal(
                    baton_nvs_get_number(&nvs, ns, types[i], key, value),
                    ESP_OK);
            size_t len = (size_t)types[i] & 15;
            assert_memory_equal(value, bytes, len);
            for (size_t rest = len; rest < sizeof(value); rest++) {
                assert_int_equal(value[rest], 0xEE);
            }
        }
        remount();
    }
    end();
}

static void test_missing_and_other_types(void **state) {
    (void)state;
    begin(4);
    uint8_t ns = open_ns("app");
    uint8_t other = open_ns("other");
    int32_t value;
    assert_int_equal(get_i32(ns, "x", &value), ESP_ERR_NVS_NOT_FOUND);
    assert_int_equal(set_i32(ns, "x", 5), ESP_OK);
    assert_int_equal(get_i32(other, "x", &value), ESP_ERR_NVS_NOT_FOUND);
    uint32_t u;
    assert_int_equal(baton_nvs_get_number(&nvs, ns, BATON_NVS_U32, "x", &u),
            ESP_ERR_NVS_NOT_FOUND);
    size_t len = 0;
    assert_int_equal(
            baton_nvs_get_bytes(&nvs, ns, BATON_NVS_BLOB, "x", NULL, &len),
            ESP_ERR_NVS_NOT_FOUND);
    // A key holds one value, of one type.
    assert_int_equal(set_blob(ns, "x", "abc", 3), ESP_OK);
    assert_int_equal(get_i32(ns, "x", &value), ESP_ERR_NVS_NOT_FOUND);
    assert_blob(ns, "x", "abc", 3);
    assert_int_equal(set_i32(ns, "x", 6), ESP_OK);
    assert_int_equal(
            baton_nvs_get_bytes(&nvs, ns, BATON_NVS_BLOB, "x", NULL, &len),
            ESP_ERR_NVS_NOT_FOUND);
    assert_i32(ns, "x", 6);
    assert_int_equal(baton_nvs_get_number(&nvs, ns, BATON_NVS_STR, "x", &u),
            ESP_ERR_INVALID_ARG);
    assert_int_equal(
            baton_nvs_get_bytes(&nvs, ns, BATON_NVS_I32, "x", NULL, &len),
            ESP_ERR_INVALID_ARG);
    assert_int_equal(baton_nvs_set_bytes(&nvs, ns, BATON_NVS_I32, "x", "a", 1),
            ESP_ERR_INVALID_ARG);
    end();
}

static void test_names(void **state) {
    (void)state;
    begin(4);
    uint8_t ns;
    assert_int_equal(
            baton_nvs_open(&nvs, "app", false, &ns), ESP_ERR_NVS_NOT_FOUND);
    assert_int_equal(baton_nvs_open(&nvs, "a-sixteen-letter", true, &ns),
            ESP_ERR_NVS_KEY_TOO_LONG);
    assert_int_equal(open_ns("fifteen-letters"), 1);
    assert_int_equal(open_ns("app"), 2);
    assert_int_equal(open_ns("fifteen-letters"), 1);
    remount();
    assert_int_equal(open_ns("app"), 2);
    assert_int_equal(set_i32(2, "fifteen-letters", 1), ESP_OK);
    assert_int_equal(
            set_i32(2, "a-sixteen-letter", 1), ESP_ERR_NVS_KEY_TOO_LONG);
    assert_int_equal(
            set_blob(2, "a-sixteen-letter", "", 0), ESP_ERR_NVS_KEY_TOO_LONG);
    assert_i32(2, "fifteen-letters", 1);
    end();
}

static void test_namespaces_run_out(void **state) {
    (void)state;
    begin(8);
    for (int i = 1; i <= 254; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%d", i);
        assert_int_equal(open_ns(name), i);
    }
    uint8_t ns;
    assert_int_equal(baton_nvs_open(&nvs, "more", true, &ns),
            ESP_ERR_NVS_NOT_ENOUGH_SPACE);
    end();
}

static void test_strings(void **state) {
    (void)state;
    begin(4);
    uint8_t ns = open_ns("app");
    static char text[4001];
    memset(text, 'x', sizeof(text));
    text[3999] = '\0';
    assert_int_equal(
            baton_nvs_set_bytes(&nvs, ns, BATON_NVS_STR, "s", "hello", 6),
            ESP_OK);
    assert_int_equal(
            baton_nvs_set_bytes(&nvs, ns, BATON_NVS_STR, "long", text, 4000),
            ESP_OK);
    assert_int_equal(
            baton_nvs_set_bytes(&nvs, ns, BATON_NVS_STR, "s", text, 4001),
            ESP_ERR_NVS_VALUE_TOO_LONG);
    remount();
    static char value[4000];
    size_t len = 0;
    assert_int_equal(
            baton_nvs_get_bytes(&nvs, ns, BATON_NVS_STR, "long", NULL, &len),
            ESP_OK);
    assert_int_equal(len, 4000);
    assert_int_equal(
            baton_nvs_get_bytes(&nvs, ns, BATON_NVS_STR, "long", value, &len),
            ESP_OK);
    assert_memory_equal(value, text, 4000);
    len = 5;
    assert_int_equal(
            baton_nvs_get_bytes(&nvs, ns, BATON_NVS_STR, "s", value, &len),
            ESP_ERR_NVS_INVALID_LENGTH);
    assert_int_equal(len, 6);
    assert_int_equal(
            baton_nvs_get_bytes(&nvs, ns, BATON_NVS_STR, "s", value, &len),
            ESP_OK);
    assert_string_equal(value, "hello");
    end();
}

static void test_blobs(void **state) {
    (void)state;
    static uint8_t data[20000];
    fill(data, sizeof(data), 7);
    static const size_t lens[] = {
            0, 1, 31, 32, 33, 64, 3999, 4000, 4001, 8000, 13000, 16000};
    begin(6);
    uint8_t ns = open_ns("app");
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        // Twice: the chunks change sides.
        for (size_t round = 0; round < 2; round++) {
            print_message("%zu bytes\n", lens[i]);
            int err = set_blob(ns, "b", data + round, lens[i]);
            if (lens[i] > 8000) {
                // Old and new do not fit side by side.
                assert_int_equal(err, ESP_ERR_NVS_NOT_ENOUGH_SPACE);
                assert_blob(ns, "b", data + 1, 8000);
                remount();
                assert_blob(ns, "b", data + 1, 8000);
                continue;
            }
            assert_int_equal(err, ESP_OK);
            assert_blob(ns, "b", data + round, lens[i]);
            remount();
            assert_blob(ns, "b", data + round, lens[i]);
        }
    }
    assert_int_equal(
            set_blob(ns, "c", data, 20000), ESP_ERR_NVS_NOT_ENOUGH_SPACE);
    assert_int_equal(
            set_blob(ns, "c", data, 20001), ESP_ERR_NVS_VALUE_TOO_LONG);
    size_t len = 3;
    uint8_t few[3];
    assert_int_equal(
            baton_nvs_get_bytes(&nvs, ns, BATON_NVS_BLOB, "b", few, &len),
            ESP_ERR_NVS_INVALID_LENGTH);
    assert_int_equal(len, 8000);
    end();
}

static void test_erase(void **state) {
    (void)state;
    begin(4);
    uint8_t ns = open_ns("app");
    uint8_t other = open_ns("other");
    static uint8_t data[5000];
    fill(data, sizeof(data), 3);
    assert_int_equal(baton_nvs_erase_key(&nvs, ns, "x"), ESP_ERR_NVS_NOT_FOUND);
    assert_int_equal(set_i32(ns, "x", 1), ESP_OK);
    assert_int_equal(set_i32(other, "x", 2), ESP_OK);
    assert_int_equal(set_blob(ns, "b", data, sizeof(data)), ESP_OK);
    assert_int_equal(baton_nvs_erase_key(&nvs, ns, "x"), ESP_OK);
    assert_int_equal(baton_nvs_erase_key(&nvs, ns, "x"), ESP_ERR_NVS_NOT_FOUND);
    assert_int_equal(baton_nvs_erase_key(&nvs, ns, "b"), ESP_OK);
    remount();
    int32_t value;
    assert_int_equal(get_i32(ns, "x", &value), ESP_ERR_NVS_NOT_FOUND);
    assert_i32(other, "x", 2);
    size_t len = 0;
    assert_int_equal(
            baton_nvs_get_bytes(&nvs, ns, BATON_NVS_BLOB, "b", NULL, &len),
            ESP_ERR_NVS_NOT_FOUND);
    assert_int_equal(set_i32(ns, "y", 1), ESP_OK);
    assert_int_equal(set_blob(ns, "z", data, 100), ESP_OK);
    assert_int_equal(baton_nvs_erase_all(&nvs, ns), ESP_OK);
    assert_int_equal(get_i32(ns, "y", &value), ESP_ERR_NVS_NOT_FOUND);
    assert_i32(other, "x", 2);
    assert_int_equal(baton_nvs_commit(&nvs), ESP_OK);
    end();
}

// Wear.

static uint64_t writes(void) {
    return nor_state.stats.page_programs + nor_state.stats.sector_erases;
}

static void test_what_is_stored_is_not_written_again(void **state) {
    (void)state;
    begin(4);
    uint64_t before = writes();
    remount();
    assert_true(writes() == before); // a blank range stays blank
    uint8_t ns = open_ns("app");
    assert_int_equal(set_i32(ns, "x", 5), ESP_OK);
    assert_int_equal(set_blob(ns, "b", "abc", 3), ESP_OK);
    before = writes();
    for (int i = 0; i < 3; i++) {
        remount();
        ns = open_ns("app");
        assert_int_equal(set_i32(ns, "x", 5), ESP_OK);
        assert_int_equal(set_blob(ns, "b", "abc", 3), ESP_OK);
    }
    assert_true(writes() == before);
    end();
}

static void test_wear_is_level(void **state) {
    (void)state;
    begin(4);
    uint32_t wear[CHIP_BYTES / 4096] = {0};
    nor.wear = wear;
    uint8_t ns = open_ns("app");
    for (int i = 0; i < 126 * 40; i++) {
        assert_int_equal(set_i32(ns, "count", i), ESP_OK);
    }
    // One erase for each page filled; the page with the namespace, which never
    // changes, takes no part.
    for (uint32_t page = 1; page < 4; page++) {
        uint32_t erases = wear[NVS_ADDR / 4096 + page];
        print_message("page %u: %u erases\n", page, erases);
        assert_in_range(erases, 12, 14);
    }
    end();
}

// Space.

static void test_full(void **state) {
    (void)state;
    begin(3);
    uint8_t ns = open_ns("app");
    // Two pages hold values, the third is the spare one.
    int stored = 0;
    for (;; stored++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", stored);
        int err = set_i32(ns, key, stored);
        if (err != ESP_OK) {
            assert_int_equal(err, ESP_ERR_NVS_NOT_ENOUGH_SPACE);
            break;
        }
    }
    assert_int_equal(stored, 2 * 126 - 1); // one is the namespace
    remount();
    for (int i = 0; i < stored; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        assert_i32(ns, key, i);
    }
    // There is room again after an erase, and only then for a change.
    assert_int_equal(set_i32(ns, "k0", -1), ESP_ERR_NVS_NOT_ENOUGH_SPACE);
    assert_i32(ns, "k0", 0);
    assert_int_equal(baton_nvs_erase_key(&nvs, ns, "k9"), ESP_OK);
    assert_int_equal(set_i32(ns, "k0", -1), ESP_OK);
    assert_i32(ns, "k0", -1);
    end();
}

static void test_mount_arguments(void **state) {
    (void)state;
    begin(4);
    struct baton_nvs other;
    static const struct {
        uint32_t addr;
        uint32_t size;
    } vectors[] = {{0x2001, 0x3000}, {0x2000, 0x3001}, {0x2000, 0x2000},
            {0x2000, 65 * 4096}};
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        assert_int_equal(baton_nvs_mount(&other, &nor.flash, vectors[i].addr,
                                 vectors[i].size),
                ESP_ERR_INVALID_ARG);
    }
    assert_int_equal(baton_nvs_mount(&other, &nor.flash, 0xE000, 0x4000),
            ESP_ERR_FLASH_OP_FAIL);
    baton_nvs_unmount(&other);
    uint8_t ns;
    assert_int_equal(
            baton_nvs_open(&other, "a", true, &ns), ESP_ERR_NVS_INVALID_STATE);
    assert_int_equal(baton_nvs_commit(&other), ESP_ERR_NVS_INVALID_STATE);
    end();
}

static void test_rubbish(void **state) {
    (void)state;
    begin(4);
    baton_nvs_unmount(&nvs);
    // Rubbish pages are free pages.
    fill(chip + NVS_ADDR, 3 * 4096, 5);
    mount();
    uint8_t ns = open_ns("app");
    assert_int_equal(set_i32(ns, "x", 1), ESP_OK);
    remount();
    assert_i32(ns, "x", 1);
    // A format newer than this one.
    chip[NVS_ADDR + 3 * 4096 + 8] = 0xFE;
    end();
}

static uint32_t page_of_value(void) {
    for (uint32_t page = 0; page < nvs_bytes / 4096; page++) {
        if (chip[NVS_ADDR + page * 4096] == 0xFE) {
            return NVS_ADDR + page * 4096;
        }
    }
    fail_msg("no active page");
    return 0;
}

// Rewrites the CRC of a page's header after a change of it.
static void seal_header(uint32_t page) {
    uint32_t crc = 0;
    for (uint32_t i = 4; i < 28; i++) {
        crc ^= chip[page + i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1u) != 0 ? 0xEDB88320u : 0u);
        }
    }
    crc = ~crc;
    for (int i = 0; i < 4; i++) {
        chip[page + 28 + (uint32_t)i] = (uint8_t)(crc >> (8 * i));
    }
}

static void test_newer_format(void **state) {
    (void)state;
    begin(4);
    assert_int_equal(set_i32(open_ns("app"), "x", 1), ESP_OK);
    uint32_t page = page_of_value();
    chip[page + 8] = 0xFD;
    seal_header(page);
    baton_nvs_unmount(&nvs);
    assert_int_equal(baton_nvs_mount(&nvs, &nor.flash, NVS_ADDR, nvs_bytes),
            ESP_ERR_NVS_NEW_VERSION_FOUND);
    end();
}

static void test_no_free_page(void **state) {
    (void)state;
    begin(4);
    assert_int_equal(set_i32(open_ns("app"), "x", 1), ESP_OK);
    baton_nvs_unmount(&nvs);
    uint32_t page = page_of_value();
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t at = NVS_ADDR + i * 4096;
        if (at != page) {
            memcpy(chip + at, chip + page, 4096);
            chip[at + 4] = (uint8_t)(i + 1);
            seal_header(at);
        }
    }
    assert_int_equal(baton_nvs_mount(&nvs, &nor.flash, NVS_ADDR, nvs_bytes),
            ESP_ERR_NVS_NO_FREE_PAGES);
    end();
}

// A value whose bytes were damaged is as good as none.
static void test_damaged_data(void **state) {
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        begin(4);
        uint8_t ns = open_ns("app");
        enum baton_nvs_type type = kind ? BATON_NVS_STR : BATON_NVS_BLOB;
        assert_int_equal(set_i32(ns, "x", 1), ESP_OK);
        assert_int_equal(
                baton_nvs_set_bytes(&nvs, ns, type, "d", "precious", 9),
                ESP_OK);
        baton_nvs_unmount(&nvs);
        uint8_t *at = chip + page_of_value();
        while (memcmp(at, "precious", 9) != 0) {
            at++;
        }
        at[2] &= 0x20;
        mount();
        char value[9];
        size_t len = sizeof(value);
        assert_int_equal(baton_nvs_get_bytes(&nvs, ns, type, "d", value, &len),
                ESP_ERR_NVS_NOT_FOUND);
        remount();
        assert_int_equal(baton_nvs_get_bytes(&nvs, ns, type, "d", NULL, &len),
                ESP_ERR_NVS_NOT_FOUND);
        assert_i32(ns, "x", 1);
        end();
    }
}

// The format, byte by byte.
static void test_layout(void **state) {
    (void)state;
    begin(4);
    assert_int_equal(set_i32(open_ns("storage"), "answer", 42), ESP_OK);
    const uint8_t *page = chip + NVS_ADDR;
    static const uint8_t header[8] = {0xFE, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0};
    assert_memory_equal(page, header, 8);
    assert_int_equal(page[8], 0xFE);
    assert_int_equal(page[32], 0xFA); // two entries written
    assert_int_equal(page[33], 0xFF);
    static const uint8_t name[4] = {0, 0x01, 1, 0xFF};
    assert_memory_equal(page + 64, name, 4);
    assert_memory_equal(page + 72,
            "storage\0\0\0\0\0\0\0\0\0\x01\xFF\xFF\xFF"
            "\xFF\xFF\xFF\xFF",
            24);
    static const uint8_t value[4] = {1, 0x14, 1, 0xFF};
    assert_memory_equal(page + 96, value, 4);
    assert_memory_equal(page + 104,
            "answer\0\0\0\0\0\0\0\0\0\0\x2A\0\0\0"
            "\xFF\xFF\xFF\xFF",
            24);
    end();
}

// Random changes beside a plain model, over many page copies.

#define KEYS 24

struct model {
    bool is_set[KEYS];
    size_t len[KEYS]; // 0: a number
    uint32_t seed[KEYS];
};

static void key_name(uint32_t index, char out[16]) {
    snprintf(out, 16, "key%u", (unsigned)index);
}

static void assert_key(const struct model *model, uint8_t ns, uint32_t i) {
    char key[16];
    key_name(i, key);
    int32_t number;
    if (!model->is_set[i]) {
        size_t len = 0;
        assert_int_equal(get_i32(ns, key, &number), ESP_ERR_NVS_NOT_FOUND);
        assert_int_equal(
                baton_nvs_get_bytes(&nvs, ns, BATON_NVS_BLOB, key, NULL, &len),
                ESP_ERR_NVS_NOT_FOUND);
    } else if (model->len[i] == 0) {
        assert_i32(ns, key, (int32_t)model->seed[i]);
    } else {
        static uint8_t data[6000];
        fill(data, model->len[i], model->seed[i]);
        assert_blob(ns, key, data, model->len[i]);
    }
}

static void change(struct model *model, uint8_t ns, uint32_t *seed) {
    uint32_t i = world_random(seed) % KEYS;
    char key[16];
    key_name(i, key);
    uint32_t what = world_random(seed) % 10;
    struct model next = *model;
    int err;
    if (what == 0) {
        err = baton_nvs_erase_key(&nvs, ns, key);
        assert_int_equal(
                err, model->is_set[i] ? ESP_OK : ESP_ERR_NVS_NOT_FOUND);
        next.is_set[i] = false;
    } else {
        next.is_set[i] = true;
        next.seed[i] = world_random(seed);
        static const size_t lens[] = {0, 0, 0, 0, 1, 40, 300, 5000};
        next.len[i] = lens[world_random(seed) % 8];
        static uint8_t data[6000];
        fill(data, next.len[i], next.seed[i]);
        err = next.len[i] == 0 ? set_i32(ns, key, (int32_t)next.seed[i])
                               : set_blob(ns, key, data, next.len[i]);
        assert_true(err == ESP_OK || err == ESP_ERR_NVS_NOT_ENOUGH_SPACE);
    }
    if (err == ESP_OK) {
        *model = next;
    }
}

static void test_random_changes(void **state) {
    (void)state;
    for (uint32_t pages = 3; pages <= 6; pages++) {
        for (uint32_t unit = 1; unit <= 32; unit *= 32) {
            begin_unit(pages, unit);
            uint32_t seed = pages * 1000 + unit;
            print_message("seed %u\n", seed);
            struct model model = {0};
            uint8_t ns = open_ns("random");
            for (int step = 0; step < 3000; step++) {
                change(&model, ns, &seed);
                if (step % 50 == 0) {
                    remount();
                }
                if (step % 10 == 0) {
                    for (uint32_t i = 0; i < KEYS; i++) {
                        assert_key(&model, ns, i);
                    }
                }
            }
            end();
        }
    }
}

// Power cuts. A script of changes is cut at every flash operation in every way;
// after the next mount every key has its value, the one in flight its old or
// its new one, and everything goes on working.

struct step {
    const char *key;
    int kind; // 0 erase, 1 number, 2 string, 3 blob
    uint32_t seed;
    size_t len;
};

static const struct step script[] = {
        {"a", 1, 1, 0},
        {"b", 1, 2, 0},
        {"c", 3, 3, 10},
        {"a", 1, 4, 0},
        {"d", 3, 5, 700},
        {"b", 0, 0, 0},
        {"d", 3, 6, 1500},
        {"e", 2, 7, 90},
        {"c", 3, 8, 4200}, // over two pages
        {"e", 2, 9, 33},
        {"a", 1, 10, 0},
        {"c", 1, 11, 0}, // another type
        {"d", 3, 12, 3000},
        {"b", 1, 13, 0},
        {"e", 0, 0, 0},
        {"d", 0, 0, 0},
};
#define STEPS (sizeof(script) / sizeof(script[0]))

static int apply(uint8_t ns, const struct step *step) {
    uint8_t data[6000];
    fill(data, step->len, step->seed);
    switch (step->kind) {
    case 0:
        return baton_nvs_erase_key(&nvs, ns, step->key);
    case 1:
        return set_i32(ns, step->key, (int32_t)step->seed);
    case 2:
        return baton_nvs_set_bytes(
                &nvs, ns, BATON_NVS_STR, step->key, data, step->len);
    default:
        return set_blob(ns, step->key, data, step->len);
    }
}

static bool holds(uint8_t ns, const struct step *step) {
    static uint8_t expected[6000];
    static uint8_t value[6000];
    size_t len = sizeof(value);
    fill(expected, step->len, step->seed);
    int32_t number;
    switch (step->kind) {
    case 0: {
        size_t none = 0;
        return get_i32(ns, step->key, &number) == ESP_ERR_NVS_NOT_FOUND
               && baton_nvs_get_bytes(
                          &nvs, ns, BATON_NVS_STR, step->key, NULL, &none)
                          == ESP_ERR_NVS_NOT_FOUND
               && baton_nvs_get_bytes(
                          &nvs, ns, BATON_NVS_BLOB, step->key, NULL, &none)
                          == ESP_ERR_NVS_NOT_FOUND;
    }
    case 1:
        return get_i32(ns, step->key, &number) == ESP_OK
               && number == (int32_t)step->seed;
    default:
        return baton_nvs_get_bytes(&nvs, ns,
                       step->kind == 2 ? BATON_NVS_STR : BATON_NVS_BLOB,
                       step->key, value, &len)
                       == ESP_OK
               && len == step->len && memcmp(value, expected, len) == 0;
    }
}

// What key held before step `at`.
static struct step before(const char *key, size_t at) {
    struct step found = {key, 0, 0, 0};
    for (size_t i = 0; i < at; i++) {
        if (strcmp(script[i].key, key) == 0) {
            found = script[i];
        }
    }
    return found;
}

static const char *const script_keys[] = {"a", "b", "c", "d", "e"};

struct plan {
    uint64_t at;
    enum baton_nor_cut mode;
    uint32_t torn;
    uint32_t seed;
};

static void check_keys(uint8_t ns, size_t done, const struct plan *plan) {
    for (size_t i = 0; i < 5; i++) {
        struct step old = before(script_keys[i], done);
        bool in_flight =
                done < STEPS && strcmp(script[done].key, script_keys[i]) == 0;
        if (!holds(ns, &old) && !(in_flight && holds(ns, &script[done]))) {
            fail_msg("key %s lost in step %zu: cut %u at %u torn %u seed %u",
                    script_keys[i], done, (unsigned)plan->mode,
                    (unsigned)plan->at, (unsigned)plan->torn,
                    (unsigned)plan->seed);
        }
    }
    for (int i = 0; i < 20; i++) {
        char key[16];
        snprintf(key, sizeof(key), "old%d", i);
        assert_i32(ns, key, 1000 + i);
    }
}

static uint8_t base[CHIP_BYTES];
static size_t steps_before_cut;

static void load_base(void) {
    baton_nvs_unmount(&nvs);
    memcpy(chip, base, sizeof(chip));
    memset(&nor_state, 0, sizeof(nor_state));
    nor_state.powered = 1;
}

// Runs the script until the power goes; false if it did not go.
static bool run_until_cut(const struct plan *plan) {
    load_base();
    nor_state.seed = plan->seed;
    baton_nor_plan_cut(&nor, plan->at, plan->mode, plan->torn);
    steps_before_cut = 0;
    uint8_t ns;
    if (baton_nvs_mount(&nvs, &nor.flash, NVS_ADDR, nvs_bytes) == ESP_OK
            && baton_nvs_open(&nvs, "cuts", false, &ns) == ESP_OK) {
        while (steps_before_cut < STEPS
                && apply(ns, &script[steps_before_cut]) == ESP_OK) {
            steps_before_cut++;
        }
    }
    if (nor_state.cuts == 0) {
        assert_int_equal(steps_before_cut, STEPS);
        return false;
    }
    baton_nvs_unmount(&nvs);
    baton_nor_power_on(&nor);
    return true;
}

static void check_after_cut(const struct plan *plan) {
    mount();
    uint8_t ns = open_ns("cuts");
    check_keys(ns, steps_before_cut, plan);
    // And with nothing changed by the look, nor by time.
    remount();
    check_keys(ns, steps_before_cut, plan);
    // Settled: the next mount writes nothing.
    uint64_t count = nor_state.stats.operations;
    remount();
    assert_true(nor_state.stats.operations == count);
    for (size_t i = steps_before_cut; i < STEPS; i++) {
        int err = apply(ns, &script[i]);
        bool was_done = err == ESP_ERR_NVS_NOT_FOUND && script[i].kind == 0
                        && i == steps_before_cut;
        assert_true(err == ESP_OK || was_done);
    }
    remount();
    check_keys(ns, STEPS, plan);
}

static const struct plan variants[] = {
        {0, BATON_NOR_CUT_BEFORE, 0, 1},
        {0, BATON_NOR_CUT_AFTER, 0, 1},
        {0, BATON_NOR_CUT_TORN, 1, 1},
        {0, BATON_NOR_CUT_TORN, 4, 1},
        {0, BATON_NOR_CUT_TORN, 31, 1},
        {0, BATON_NOR_CUT_TORN, 33, 1},
        {0, BATON_NOR_CUT_TORN, 100, 1},
        {0, BATON_NOR_CUT_TORN, 2000, 1},
        {0, BATON_NOR_CUT_GARBAGE, 0, 1},
        {0, BATON_NOR_CUT_GARBAGE, 0, 2},
        {0, BATON_NOR_CUT_GARBAGE, 0, 3},
        {0, BATON_NOR_CUT_GARBAGE, 0, 4},
        {0, BATON_NOR_CUT_WEAK, 0, 1},
        {0, BATON_NOR_CUT_WEAK, 0, 2},
        {0, BATON_NOR_CUT_WEAK, 0, 3},
};
#define VARIANTS (sizeof(variants) / sizeof(variants[0]))

static void make_base(uint32_t pages, int filling) {
    begin(pages);
    uint8_t ns = open_ns("cuts");
    // Some of it overwritten, so that pages are worth copying.
    for (int round = 0; round < filling; round++) {
        for (int i = 0; i < 20; i++) {
            char key[16];
            snprintf(key, sizeof(key), "old%d", i);
            assert_int_equal(
                    set_i32(ns, key, 1000 + i + (filling - 1 - round)), ESP_OK);
        }
    }
    memcpy(base, chip, sizeof(base));
}

static unsigned cut_everywhere(void) {
    unsigned cuts = 0;
    for (size_t v = 0; v < VARIANTS; v++) {
        for (uint64_t at = 1;; at++) {
            struct plan plan = variants[v];
            plan.at = at;
            if (!run_until_cut(&plan)) {
                break;
            }
            check_after_cut(&plan);
            cuts++;
        }
    }
    return cuts;
}

static void test_power_cuts(void **state) {
    (void)state;
    // Nearly empty; and so full of old values that pages are copied soon.
    static const struct {
        uint32_t pages;
        int filling;
    } bases[] = {{5, 1}, {4, 11}};
    unsigned cuts = 0;
    for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
        make_base(bases[i].pages, bases[i].filling);
        cuts += cut_everywhere();
        end();
    }
    print_message("%u cuts\n", cuts);
    assert_true(cuts > 5000);
}

// The page as the vendor makes it: nothing but ones in the unused bytes.
static void make_foreign_base(void) {
    make_base(4, 3);
    baton_nvs_unmount(&nvs);
    for (uint32_t page = NVS_ADDR; page < NVS_ADDR + nvs_bytes; page += 4096) {
        if (chip[page + 8] == 0xFE) {
            memset(chip + page + 9, 0xFF, 19);
            seal_header(page);
        }
    }
    memcpy(base, chip, sizeof(base));
}

static void test_power_cuts_of_foreign_pages(void **state) {
    (void)state;
    make_foreign_base();
    unsigned cuts = cut_everywhere();
    print_message("%u cuts\n", cuts);
    assert_true(cuts > 1000);
    end();
}

// One more cut at every operation of the mount that follows.
static unsigned cut_recovery(const struct plan *plan, size_t variant) {
    static uint8_t after_first[CHIP_BYTES];
    struct baton_nor_state state_first = nor_state;
    memcpy(after_first, chip, sizeof(chip));
    unsigned cuts = 0;
    for (uint64_t then = 1;; then++) {
        memcpy(chip, after_first, sizeof(chip));
        nor_state = state_first;
        baton_nor_plan_cut(
                &nor, then, variants[variant].mode, variants[variant].torn);
        (void)baton_nvs_mount(&nvs, &nor.flash, NVS_ADDR, nvs_bytes);
        baton_nvs_unmount(&nvs);
        if (nor_state.cuts == state_first.cuts) {
            return cuts;
        }
        baton_nor_power_on(&nor);
        check_after_cut(plan);
        baton_nvs_unmount(&nvs);
        cuts++;
    }
}

static void test_cuts_of_the_recovery(void **state) {
    (void)state;
    make_base(4, 11);
    unsigned cuts = 0;
    for (size_t v = 0; v < VARIANTS; v++) {
        for (uint64_t at = 1 + v % 11;; at += 11) {
            struct plan plan = variants[v];
            plan.at = at;
            if (!run_until_cut(&plan)) {
                break;
            }
            size_t second = (size_t)(at / 11 + v) % VARIANTS;
            cuts += cut_recovery(&plan, second);
        }
    }
    print_message("%u cuts\n", cuts);
    assert_true(cuts > 1000);
    end();
}

// Flash that fails instead of going away.
static void test_flash_faults(void **state) {
    (void)state;
    make_base(4, 11);
    for (uint64_t at = 1;; at++) {
        struct plan plan = {at, BATON_NOR_CUT_BEFORE, 0, 1};
        load_base();
        baton_nor_plan_cut(&nor, plan.at, plan.mode, plan.torn);
        mount();
        uint8_t ns = open_ns("cuts");
        size_t i = 0;
        int err = ESP_OK;
        while (i < STEPS && (err = apply(ns, &script[i])) == ESP_OK) {
            i++;
        }
        if (nor_state.cuts == 0) {
            break;
        }
        assert_int_equal(err, ESP_ERR_FLASH_OP_FAIL);
        baton_nor_power_on(&nor);
        assert_int_equal(apply(ns, &script[i]), ESP_ERR_NVS_INVALID_STATE);
        assert_int_equal(baton_nvs_commit(&nvs), ESP_ERR_NVS_INVALID_STATE);
    }
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_numbers),
            cmocka_unit_test(test_missing_and_other_types),
            cmocka_unit_test(test_names),
            cmocka_unit_test(test_namespaces_run_out),
            cmocka_unit_test(test_strings),
            cmocka_unit_test(test_blobs),
            cmocka_unit_test(test_erase),
            cmocka_unit_test(test_what_is_stored_is_not_written_again),
            cmocka_unit_test(test_wear_is_level),
            cmocka_unit_test(test_full),
            cmocka_unit_test(test_mount_arguments),
            cmocka_unit_test(test_rubbish),
            cmocka_unit_test(test_newer_format),
            cmocka_unit_test(test_no_free_page),
            cmocka_unit_test(test_damaged_data),
            cmocka_unit_test(test_layout),
            cmocka_unit_test(test_random_changes),
            cmocka_unit_test(test_power_cuts),
            cmocka_unit_test(test_power_cuts_of_foreign_pages),
            cmocka_unit_test(test_cuts_of_the_recovery),
            cmocka_unit_test(test_flash_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
