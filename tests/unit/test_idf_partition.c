// ESP-IDF's partition functions on a PC: the table as the application reads
// it, bytes, guards, digests.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/idf_world.h"
#include "baton-idf/esp_flash.h"

#define SLOT_BYTES 0x20000u
#define ANY_TYPE   ESP_PARTITION_TYPE_ANY
#define ANY_SUB    ESP_PARTITION_SUBTYPE_ANY
#define app        idf_world_app

static struct idf_world w;

// Factory, ota_0, ota_1 at 0x10000, 0x30000, 0x50000, and three data
// partitions cut off the end of ota_1.
static void begin(void) {
    idf_world_begin(&w, WORLD_FACTORY_A_B, SLOT_BYTES, 0x00);
    w.world.rows[w.world.row_count - 1].size_bytes = 0x10000;
    static const struct baton_partition rows[] = {
            {.type = BATON_TYPE_DATA,
                    .subtype = 0x06,
                    .addr = 0x60000,
                    .size_bytes = 0x3000,
                    .label = "sixteen-byte-lab"},
            {.type = BATON_TYPE_DATA,
                    .subtype = 0x06,
                    .addr = 0x64000,
                    .size_bytes = 0x2000,
                    .label = "locked",
                    .flags = BATON_PARTITION_READONLY},
            {.type = 0x40,
                    .subtype = 0x06,
                    .addr = 0x67000,
                    .size_bytes = 0x2000,
                    .label = "secret",
                    .flags = BATON_PARTITION_ENCRYPTED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        idf_world_add_row(&w, &rows[i]);
    }
    idf_world_attach(&w);
}

static void end(void) {
    idf_world_end(&w);
}

static const esp_partition_t *by_label(const char *label) {
    return esp_partition_find_first(ANY_TYPE, ANY_SUB, label);
}

static const esp_partition_t *plain(void) {
    return by_label("sixteen-byte-lab");
}

static void test_fields(void **state) {
    (void)state;
    begin();
    const esp_partition_t *p = plain();
    assert_ptr_equal(p->flash_chip, esp_flash_default_chip);
    assert_int_equal(p->type, ESP_PARTITION_TYPE_DATA);
    assert_int_equal(p->subtype, ESP_PARTITION_SUBTYPE_DATA_UNDEFINED);
    assert_int_equal(p->address, 0x60000);
    assert_int_equal(p->size, 0x3000);
    assert_int_equal(p->erase_size, 0x1000);
    assert_string_equal(p->label, "sixteen-byte-lab");
    assert_false(p->encrypted);
    assert_false(p->readonly);
    assert_true(by_label("locked")->readonly);
    // The flag alone is nothing while flash encryption is off.
    assert_false(by_label("secret")->encrypted);
    end();
}

static void test_encrypted_flags(void **state) {
    (void)state;
    begin();
    w.config.flash_encryption = true;
    idf_world_attach(&w);
    assert_true(by_label("secret")->encrypted);
    assert_true(app(0x10)->encrypted);
    assert_true(by_label("p1")->encrypted);  // otadata
    assert_false(by_label("p0")->encrypted); // nvs
    assert_false(plain()->encrypted);
    end();
}

static unsigned count(
        esp_partition_type_t type, esp_partition_subtype_t subtype) {
    unsigned n = 0;
    uint32_t last = 0;
    for (esp_partition_iterator_t it = esp_partition_find(type, subtype, NULL);
            it != NULL; it = esp_partition_next(it)) {
        // Table order is the order of addresses here.
        assert_true(esp_partition_get(it)->address > last);
        last = esp_partition_get(it)->address;
        n++;
    }
    return n;
}

static void test_find(void **state) {
    (void)state;
    begin();
    assert_int_equal(count(ANY_TYPE, ANY_SUB), 8);
    assert_int_equal(count(ESP_PARTITION_TYPE_APP, ANY_SUB), 3);
    assert_int_equal(count(ESP_PARTITION_TYPE_DATA, ANY_SUB), 4);
    assert_int_equal(count(ESP_PARTITION_TYPE_DATA,
                             ESP_PARTITION_SUBTYPE_DATA_UNDEFINED),
            2);
    assert_int_equal(count(ESP_PARTITION_TYPE_BOOTLOADER, ANY_SUB), 0);
    // A subtype means nothing without a type.
    assert_null(esp_partition_find(
            ANY_TYPE, ESP_PARTITION_SUBTYPE_DATA_UNDEFINED, NULL));
    assert_null(by_label("nothing"));
    assert_null(by_label("sixteen-byte-la"));
    assert_null(esp_partition_find_first(
            ESP_PARTITION_TYPE_APP, ANY_SUB, "locked"));
    assert_ptr_equal(esp_partition_find_first(
                             ESP_PARTITION_TYPE_DATA, ANY_SUB, "locked"),
            by_label("locked"));
    esp_partition_iterator_release(NULL);
    EXPECT_FATAL(&w, esp_partition_next(NULL));
    EXPECT_FATAL(&w, esp_partition_get(NULL));
    end();
}

static void test_verify(void **state) {
    (void)state;
    begin();
    esp_partition_t copy = *plain();
    assert_ptr_equal(esp_partition_verify(&copy), plain());
    copy.readonly = true; // not compared
    copy.erase_size = 1;
    assert_ptr_equal(esp_partition_verify(&copy), plain());
    copy.label[0] = '\0'; // an empty label matches any
    assert_ptr_equal(esp_partition_verify(&copy), plain());
    for (int field = 0; field < 7; field++) {
        copy = *plain();
        copy.flash_chip = field == 0 ? NULL : copy.flash_chip;
        copy.type = field == 1 ? ESP_PARTITION_TYPE_APP : copy.type;
        copy.subtype =
                field == 2 ? ESP_PARTITION_SUBTYPE_DATA_FAT : copy.subtype;
        copy.address += field == 3 ? 0x1000 : 0;
        copy.size += field == 4 ? 0x1000 : 0;
        copy.encrypted = field == 5;
        copy.label[3] = field == 6 ? 'T' : copy.label[3];
        assert_null(esp_partition_verify(&copy));
    }
    EXPECT_FATAL(&w, esp_partition_verify(NULL));
    end();
}

// The table as the application reads it.

static void test_table_needs_its_md5(void **state) {
    (void)state;
    begin();
    uint8_t *row = w.world.bytes + 0x8000 + 32 * w.world.row_count;
    assert_int_equal(row[0], 0xEB);
    row[20] ^= 1;
    idf_world_attach(&w);
    assert_null(esp_partition_find(ANY_TYPE, ANY_SUB, NULL));
    row[20] ^= 1;
    // Not cached: the next call reads again.
    assert_non_null(app(0x10));
    row[0] = 0xFF;
    row[1] = 0xFF;
    assert_non_null(app(0x10)); // still in memory
    esp_partition_unload_all();
    assert_null(app(0x10));
    end();
}

static void test_table_ends_where_the_bootloaders_does_not(void **state) {
    (void)state;
    begin();
    // Rubbish behind the MD5 row is the bootloader's concern.
    memset(w.world.bytes + 0x8000 + 32 * (w.world.row_count + 1), 0x11, 64);
    idf_world_attach(&w);
    assert_non_null(app(0x10));
    esp_partition_info_t rows[ESP_PARTITION_TABLE_MAX_ENTRIES];
    memcpy(rows, w.world.bytes + 0x8000, sizeof(rows));
    int n;
    assert_int_equal(
            esp_partition_table_verify(rows, true, &n), ESP_ERR_INVALID_STATE);
    end();
}

static void test_table_verify(void **state) {
    (void)state;
    begin();
    esp_partition_info_t rows[ESP_PARTITION_TABLE_MAX_ENTRIES];
    esp_partition_info_t good[ESP_PARTITION_TABLE_MAX_ENTRIES];
    memcpy(good, w.world.bytes + 0x8000, sizeof(good));
    int n;
    assert_int_equal(esp_partition_table_verify(good, true, &n), ESP_OK);
    assert_int_equal(n, 8);
    size_t md5 = w.world.row_count;
    // Without the MD5 row it is fine too.
    memcpy(rows, good, sizeof(rows));
    memset(&rows[md5], 0xFF, sizeof(rows[md5]));
    assert_int_equal(esp_partition_table_verify(rows, true, &n), ESP_OK);
    assert_int_equal(n, 8);
    rows[0].pos.offset = 0x1000000;
    assert_int_equal(
            esp_partition_table_verify(rows, true, &n), ESP_ERR_INVALID_SIZE);
    rows[0].pos.offset = 0x9000;
    rows[0].pos.size = 0xFFFFFFFF;
    assert_int_equal(
            esp_partition_table_verify(rows, true, &n), ESP_ERR_INVALID_SIZE);
    memcpy(rows, good, sizeof(rows));
    rows[2].type = 0x55;
    assert_int_equal(
            esp_partition_table_verify(rows, true, &n), ESP_ERR_INVALID_STATE);
    memcpy(rows, good, sizeof(rows));
    rows[md5 + 1] = rows[md5]; // a second MD5 row
    assert_int_equal(
            esp_partition_table_verify(rows, true, &n), ESP_ERR_INVALID_STATE);
    memcpy(rows, good, sizeof(rows));
    rows[1].magic = 0x50AB;
    assert_int_equal(
            esp_partition_table_verify(rows, true, &n), ESP_ERR_INVALID_STATE);
    memset(rows, 0xFF, sizeof(rows)); // an end in the first row
    assert_int_equal(
            esp_partition_table_verify(rows, true, &n), ESP_ERR_INVALID_STATE);
    end();
}

static void test_unreadable_table(void **state) {
    (void)state;
    begin();
    w.config.table_addr = 0xFFFFF000;
    idf_world_attach(&w);
    assert_null(app(0x10));
    end();
}

// Bytes.

static const struct {
    size_t off;
    size_t len;
    esp_err_t err;
} ranges[] = {
        {0, 0, ESP_OK},
        {0, 0x3000, ESP_OK},
        {1, 1, ESP_OK},
        {0x2FFF, 1, ESP_OK},
        {0x3000, 0, ESP_OK},
        {0x3000, 1, ESP_ERR_INVALID_SIZE},
        {0x3001, 0, ESP_ERR_INVALID_ARG},
        {1, 0x3000, ESP_ERR_INVALID_SIZE},
        {0, SIZE_MAX, ESP_ERR_INVALID_SIZE},
        {1, SIZE_MAX, ESP_ERR_INVALID_SIZE},
        {SIZE_MAX, 1, ESP_ERR_INVALID_ARG},
};

static void test_ranges(void **state) {
    (void)state;
    begin();
    static uint8_t buf[0x3000];
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        print_message("range %zu\n", i);
        size_t off = ranges[i].off;
        size_t len = ranges[i].len;
        assert_int_equal(
                esp_partition_read(plain(), off, buf, len), ranges[i].err);
        assert_int_equal(
                esp_partition_read_raw(plain(), off, buf, len), ranges[i].err);
        idf_world_log(&w);
        assert_int_equal(
                esp_partition_write(plain(), off, buf, len), ranges[i].err);
        assert_int_equal(
                esp_partition_write_raw(plain(), off, buf, len), ranges[i].err);
        if (ranges[i].err != ESP_OK) {
            assert_string_equal(idf_world_log(&w), "");
        }
        const void *mapped;
        esp_partition_mmap_handle_t handle;
        assert_int_equal(esp_partition_mmap(plain(), off, len,
                                 ESP_PARTITION_MMAP_DATA, &mapped, &handle),
                ranges[i].err);
        if (ranges[i].err == ESP_OK) {
            assert_memory_equal(mapped, w.world.bytes + 0x60000 + off, len);
            esp_partition_munmap(handle);
        }
    }
    end();
}

static void test_erase_checks_in_order(void **state) {
    (void)state;
    begin();
    static const struct {
        size_t off;
        size_t len;
        esp_err_t err;
    } vectors[] = {
            {0x3001, 0, ESP_ERR_INVALID_ARG},
            {0x1000, 0x3000, ESP_ERR_INVALID_SIZE},
            {0, 1, ESP_ERR_INVALID_SIZE},
            {1, 1, ESP_ERR_INVALID_SIZE}, // the length is told first
            {1, 0x1000, ESP_ERR_INVALID_ARG},
            {1, 0, ESP_ERR_INVALID_ARG},
            {0x3000, 0, ESP_OK},
            {0x1000, 0x2000, ESP_OK},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        print_message("vector %zu\n", i);
        assert_int_equal(esp_partition_erase_range(
                                 plain(), vectors[i].off, vectors[i].len),
                vectors[i].err);
    }
    assert_string_equal(idf_world_log(&w), "E 61000 1000; E 62000 1000; ");
    end();
}

static void test_erase_uses_blocks(void **state) {
    (void)state;
    begin();
    assert_int_equal(
            esp_partition_erase_range(app(0x10), 0x1000, 0x1F000), ESP_OK);
    const char *log = idf_world_log(&w);
    assert_memory_equal(log, "E 31000 1000; E 32000 1000; ", 28);
    assert_non_null(strstr(log, "E 3f000 1000; E 40000 10000; "));
    w.flash.block_bytes = 0;
    assert_int_equal(
            esp_partition_erase_range(app(0x10), 0x10000, 0x10000), ESP_OK);
    assert_non_null(strstr(idf_world_log(&w), "E 40000 1000; E 41000 1000; "));
    end();
}

static void test_readonly(void **state) {
    (void)state;
    begin();
    const esp_partition_t *locked = by_label("locked");
    // Before everything else, an offset out of range too.
    assert_int_equal(
            esp_partition_write(locked, 0x9999, "x", 1), ESP_ERR_NOT_ALLOWED);
    assert_int_equal(esp_partition_write_raw(locked, 0x9999, "x", 1),
            ESP_ERR_NOT_ALLOWED);
    assert_int_equal(
            esp_partition_erase_range(locked, 0x9999, 1), ESP_ERR_NOT_ALLOWED);
    uint8_t byte;
    assert_int_equal(esp_partition_read(locked, 0, &byte, 1), ESP_OK);
    // Nor by address.
    assert_int_equal(
            esp_flash_write(NULL, "x", 0x64000, 1), ESP_ERR_NOT_ALLOWED);
    assert_int_equal(
            esp_flash_write(NULL, "xyz", 0x63FFE, 3), ESP_ERR_NOT_ALLOWED);
    assert_int_equal(
            esp_flash_erase_region(NULL, 0x63000, 0x2000), ESP_ERR_NOT_ALLOWED);
    assert_int_equal(esp_flash_write(NULL, "xy", 0x63FFE, 2), ESP_OK);
    end();
}

static void test_null_partition(void **state) {
    (void)state;
    begin();
    uint8_t byte = 0;
    EXPECT_FATAL(&w, esp_partition_read(NULL, 0, &byte, 1));
    EXPECT_FATAL(&w, esp_partition_write(NULL, 0, &byte, 1));
    EXPECT_FATAL(&w, esp_partition_erase_range(NULL, 0, 4096));
    EXPECT_FATAL(&w, esp_partition_get_sha256(NULL, &byte));
    const void *mapped;
    esp_partition_mmap_handle_t handle;
    EXPECT_FATAL(&w, esp_partition_mmap(NULL, 0, 1, ESP_PARTITION_MMAP_DATA,
                             &mapped, &handle));
    assert_int_equal(
            esp_partition_read(plain(), 0, NULL, 1), ESP_ERR_INVALID_ARG);
    assert_int_equal(
            esp_partition_write(plain(), 0, NULL, 1), ESP_ERR_INVALID_ARG);
    end();
}

static void test_encrypted_alignment(void **state) {
    (void)state;
    begin();
    w.config.flash_encryption = true;
    idf_world_attach(&w);
    const esp_partition_t *secret = by_label("secret");
    uint8_t data[48] = {0};
    assert_int_equal(
            esp_partition_write(secret, 8, data, 16), ESP_ERR_INVALID_ARG);
    assert_int_equal(
            esp_partition_write(secret, 16, data, 8), ESP_ERR_INVALID_SIZE);
    assert_int_equal(esp_partition_write(secret, 16, data, 0), ESP_OK);
    assert_int_equal(esp_partition_write(secret, 16, data, 48), ESP_OK);
    // Raw and unencrypted partitions do not mind; reads never do.
    assert_int_equal(esp_partition_write_raw(secret, 8, data, 3), ESP_OK);
    assert_int_equal(esp_partition_write(plain(), 1, data, 3), ESP_OK);
    assert_int_equal(esp_partition_read(secret, 3, data, 5), ESP_OK);
    end();
}

// A chip that programs 16 bytes at a time takes writes of any alignment.
static void test_larger_program_unit(void **state) {
    (void)state;
    static const uint32_t units[] = {1, 4, 16, 32};
    for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
        for (uint32_t off = 0; off < 40; off++) {
            begin();
            w.world.nor.flash.program_bytes = units[u];
            w.flash.program_bytes = units[u];
            idf_world_attach(&w);
            uint8_t data[100];
            for (size_t i = 0; i < sizeof(data); i++) {
                data[i] = (uint8_t)i;
            }
            // In two calls that share a unit.
            assert_int_equal(
                    esp_partition_write(plain(), off, data, 50), ESP_OK);
            assert_int_equal(
                    esp_partition_write(plain(), off + 50, data + 50, 50),
                    ESP_OK);
            const uint8_t *at = w.world.bytes + 0x60000;
            assert_memory_equal(at + off, data, sizeof(data));
            assert_int_equal(at[off + 100], 0xFF);
            if (off > 0) {
                assert_int_equal(at[off - 1], 0xFF);
            }
            end();
        }
    }
}

static void test_write_chunks(void **state) {
    (void)state;
    begin();
    static uint8_t data[0x3000];
    assert_int_equal(
            esp_partition_write(plain(), 0, data, sizeof(data)), ESP_OK);
    assert_string_equal(idf_world_log(&w), "P 60000 2000; P 62000 1000; ");
    end();
}

// Writes that would stop the chip from booting.
static void try_write(uint32_t addr, uint32_t len, bool is_safe) {
    begin();
    uint8_t zeros[2] = {0};
    if (is_safe) {
        assert_int_equal(esp_flash_write(NULL, zeros, addr, len), ESP_OK);
    } else {
        EXPECT_FATAL(&w, esp_flash_write(NULL, zeros, addr, len));
    }
    w.config.protect = BATON_IDF_PROTECT_FAILS;
    idf_world_attach(&w);
    assert_int_equal(esp_flash_write(NULL, zeros, addr, len),
            is_safe ? ESP_OK : ESP_ERR_INVALID_ARG);
    w.config.protect = BATON_IDF_PROTECT_NONE;
    idf_world_attach(&w);
    assert_int_equal(esp_flash_write(NULL, zeros, addr, len), ESP_OK);
    end();
}

static void test_dangerous_writes(void **state) {
    (void)state;
    static const struct {
        uint32_t addr;
        uint32_t len;
        bool is_safe;
    } vectors[] = {
            {0x0, 1, false},
            {0x8000, 1, false},
            {0x8C00, 1, false}, // the end of the table included
            {0x8C01, 1, true},
            {0xFFFF, 1, true},
            {0xFFFF, 2, false}, // into factory, which is running
            {0x10000, 1, false},
            {0x10000, 0, false},
            {0x2FFFF, 1, false},
            {0x30000, 1, true},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        print_message("vector %zu\n", i);
        try_write(vectors[i].addr, vectors[i].len, vectors[i].is_safe);
    }
    begin();
    EXPECT_FATAL(&w, esp_partition_erase_range(app(0), 0, 0x1000));
    assert_string_equal(idf_world_log(&w), "");
    end();
}

static void test_flash_functions(void **state) {
    (void)state;
    begin();
    uint32_t size;
    assert_int_equal(esp_flash_get_size(NULL, &size), ESP_OK);
    assert_int_equal(size, w.flash.size_bytes);
    assert_int_equal(esp_flash_get_size(NULL, NULL), ESP_ERR_INVALID_ARG);
    uint8_t byte;
    assert_int_equal(esp_flash_read(NULL, &byte, size, 0), ESP_OK);
    assert_int_equal(esp_flash_read(NULL, &byte, size, 1), ESP_ERR_INVALID_ARG);
    assert_int_equal(
            esp_flash_read(NULL, &byte, 1, 0xFFFFFFFF), ESP_ERR_INVALID_ARG);
    assert_int_equal(
            esp_flash_write(NULL, &byte, size, 1), ESP_ERR_INVALID_ARG);
    assert_int_equal(
            esp_flash_erase_region(NULL, 0x60001, 0x1000), ESP_ERR_INVALID_ARG);
    assert_int_equal(
            esp_flash_erase_region(NULL, 0x60000, 1), ESP_ERR_INVALID_ARG);
    assert_int_equal(esp_flash_erase_region(NULL, 0x60000, 0), ESP_OK);
    baton_idf_detach();
    assert_int_equal(
            esp_flash_get_size(NULL, &size), ESP_ERR_FLASH_NOT_INITIALISED);
    assert_int_equal(
            esp_flash_read(NULL, &byte, 0, 1), ESP_ERR_FLASH_NOT_INITIALISED);
    assert_int_equal(
            esp_flash_write(NULL, &byte, 0, 1), ESP_ERR_FLASH_NOT_INITIALISED);
    assert_int_equal(esp_flash_erase_region(NULL, 0, 4096),
            ESP_ERR_FLASH_NOT_INITIALISED);
    end();
}

// copy.

static void test_copy(void **state) {
    (void)state;
    begin();
    const esp_partition_t *src = app(0x11);
    const esp_partition_t *dest = plain();
    assert_int_equal(
            esp_partition_copy(NULL, 0, src, 0, 1), ESP_ERR_INVALID_ARG);
    assert_int_equal(
            esp_partition_copy(dest, 0, NULL, 0, 1), ESP_ERR_INVALID_ARG);
    assert_int_equal(
            esp_partition_copy(dest, 0, dest, 0, 1), ESP_ERR_INVALID_ARG);
    assert_int_equal(
            esp_partition_copy(dest, 0x3001, src, 0, 0), ESP_ERR_INVALID_SIZE);
    assert_int_equal(
            esp_partition_copy(dest, 0, src, 0x10001, 0), ESP_ERR_INVALID_SIZE);
    assert_int_equal(
            esp_partition_copy(dest, 0, src, 0, 0x3001), ESP_ERR_INVALID_SIZE);
    assert_int_equal(
            esp_partition_copy(src, 0, dest, 0, 0x3001), ESP_ERR_INVALID_SIZE);
    // The rest of the source does not fit.
    assert_int_equal(esp_partition_copy(dest, 0, src, 0, SIZE_MAX),
            ESP_ERR_INVALID_SIZE);
    assert_string_equal(idf_world_log(&w), "");
    assert_int_equal(
            esp_partition_copy(dest, 1, src, 0, 1), ESP_ERR_INVALID_ARG);
    assert_int_equal(esp_partition_copy(dest, 0x1000, src, 16, 100), ESP_OK);
    assert_string_equal(idf_world_log(&w), "E 61000 1000; P 61000 64; ");
    assert_memory_equal(w.world.bytes + 0x61000, w.world.bytes + 0x50010, 100);
    // All that is left of the source, all of the destination erased.
    assert_int_equal(
            esp_partition_copy(dest, 0x1000, src, 0xF000, UINT32_MAX), ESP_OK);
    assert_string_equal(
            idf_world_log(&w), "E 61000 1000; E 62000 1000; P 61000 1000; ");
    assert_int_equal(esp_partition_copy(by_label("locked"), 0, src, 0, 1),
            ESP_ERR_NOT_ALLOWED);
    end();
}

// Digests.

static void sha256(const uint8_t *data, size_t len, uint8_t *digest) {
    const struct baton_crypto *crypto = w.world.crypto;
    struct baton_hash_state hash;
    crypto->hash_start(crypto->context, &hash, BATON_HASH_SHA256);
    crypto->hash_update(crypto->context, &hash, data, len);
    crypto->hash_finish(crypto->context, &hash, digest);
}

static void test_sha256(void **state) {
    (void)state;
    begin();
    uint8_t digest[32];
    uint8_t expected[32];
    assert_int_equal(
            esp_partition_get_sha256(plain(), NULL), ESP_ERR_INVALID_ARG);
    assert_int_equal(esp_partition_get_sha256(plain(), digest), ESP_OK);
    sha256(w.world.bytes + 0x60000, 0x3000, expected);
    assert_memory_equal(digest, expected, 32);
    // Applications: the appended digest, or all of the image.
    size_t len;
    struct world_image spec = {.fill = 9};
    uint8_t *image = world_make_image(&spec, &len);
    world_put_image(&w.world, 0x10, &spec);
    assert_int_equal(esp_partition_get_sha256(app(0x10), digest), ESP_OK);
    assert_memory_equal(digest, image + len - 32, 32);
    free(image);
    spec.no_digest = true;
    image = world_make_image(&spec, &len);
    world_put_image(&w.world, 0x10, &spec);
    assert_int_equal(esp_partition_get_sha256(app(0x10), digest), ESP_OK);
    sha256(image, len, expected);
    assert_memory_equal(digest, expected, 32);
    free(image);
    spec.chip_id = 5;
    world_put_image(&w.world, 0x10, &spec);
    assert_int_equal(
            esp_partition_get_sha256(app(0x10), digest), ESP_ERR_IMAGE_INVALID);
    end();
}

static void test_identity(void **state) {
    (void)state;
    begin();
    const struct world_image spec = {.fill = 9};
    world_put_image(&w.world, 0x10, &spec);
    assert_false(esp_partition_check_identity(app(0), app(0x10)));
    world_put_image(&w.world, 0, &spec);
    assert_true(esp_partition_check_identity(app(0), app(0x10)));
    // What lies behind the image does not count.
    w.world.bytes[0x3FFFF] = 0;
    assert_true(esp_partition_check_identity(app(0), app(0x10)));
    w.world.bytes[0x30000] = 0;
    assert_false(esp_partition_check_identity(app(0), app(0x10)));
    end();
}

// External partitions.

static void test_register_external(void **state) {
    (void)state;
    begin();
    const esp_partition_t *p = plain();
    const esp_partition_type_t type = ESP_PARTITION_TYPE_DATA;
    const esp_partition_subtype_t sub = ESP_PARTITION_SUBTYPE_DATA_FAT;
    esp_flash_t *chip = esp_flash_default_chip;
    assert_int_equal(esp_partition_register_external(
                             chip, 0x60000, 0x1000, "over", type, sub, &p),
            ESP_ERR_INVALID_ARG);
    assert_null(p);
    assert_int_equal(esp_partition_register_external(chip, w.flash.size_bytes,
                             0x1000, "past", type, sub, &p),
            ESP_ERR_INVALID_SIZE);
    assert_int_equal(esp_partition_register_external(chip, 0x69000, 0x1000,
                             "a-label-that-is-far-too-long", type, sub, &p),
            ESP_OK);
    assert_string_equal(p->label, "a-label-that-is-");
    assert_ptr_equal(esp_partition_find_first(type, sub, NULL), p);
    assert_int_equal(esp_partition_write(p, 0, "hello", 5), ESP_OK);
    assert_memory_equal(w.world.bytes + 0x69000, "hello", 5);
    assert_int_equal(
            esp_partition_deregister_external(plain()), ESP_ERR_INVALID_ARG);
    esp_partition_t stranger = *p;
    assert_int_equal(
            esp_partition_deregister_external(&stranger), ESP_ERR_NOT_FOUND);
    assert_int_equal(esp_partition_deregister_external(p), ESP_OK);
    assert_null(esp_partition_find_first(type, sub, NULL));
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_fields),
            cmocka_unit_test(test_encrypted_flags),
            cmocka_unit_test(test_find),
            cmocka_unit_test(test_verify),
            cmocka_unit_test(test_table_needs_its_md5),
            cmocka_unit_test(test_table_ends_where_the_bootloaders_does_not),
            cmocka_unit_test(test_table_verify),
            cmocka_unit_test(test_unreadable_table),
            cmocka_unit_test(test_ranges),
            cmocka_unit_test(test_erase_checks_in_order),
            cmocka_unit_test(test_erase_uses_blocks),
            cmocka_unit_test(test_readonly),
            cmocka_unit_test(test_null_partition),
            cmocka_unit_test(test_encrypted_alignment),
            cmocka_unit_test(test_larger_program_unit),
            cmocka_unit_test(test_write_chunks),
            cmocka_unit_test(test_dangerous_writes),
            cmocka_unit_test(test_flash_functions),
            cmocka_unit_test(test_copy),
            cmocka_unit_test(test_sha256),
            cmocka_unit_test(test_identity),
            cmocka_unit_test(test_register_external),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
