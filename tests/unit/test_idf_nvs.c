// ESP-IDF's storage functions on a PC: handles, modes, types, the partition.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "../lib/idf_world.h"
#include "baton-idf/nvs_flash.h"

static struct idf_world w;

static void begin(void) {
    idf_world_begin(&w, WORLD_A_B, 0x10000, 0x10);
    // The partition is found by its label.
    memcpy(w.world.rows[0].label, "nvs", 4);
    struct baton_partition last = w.world.rows[--w.world.row_count];
    idf_world_add_row(&w, &last);
    idf_world_attach(&w);
}

static void end(void) {
    idf_world_end(&w);
}

static void test_needs_init(void **state) {
    (void)state;
    begin();
    nvs_handle_t handle;
    assert_int_equal(nvs_open("app", NVS_READWRITE, &handle),
            ESP_ERR_NVS_NOT_INITIALIZED);
    assert_int_equal(nvs_flash_deinit(), ESP_ERR_NVS_NOT_INITIALIZED);
    assert_int_equal(nvs_flash_init(), ESP_OK);
    assert_int_equal(nvs_flash_init(), ESP_OK);
    assert_int_equal(nvs_open("app", NVS_READWRITE, &handle), ESP_OK);
    assert_int_equal(nvs_flash_deinit(), ESP_OK);
    assert_int_equal(nvs_commit(handle), ESP_ERR_NVS_INVALID_HANDLE);
    end();
}

static void test_no_partition(void **state) {
    (void)state;
    idf_world_begin(&w, WORLD_A_B, 0x10000, 0x10);
    assert_int_equal(nvs_flash_init(), ESP_ERR_NOT_FOUND);
    assert_int_equal(nvs_flash_erase(), ESP_ERR_NOT_FOUND);
    end();
}

static void test_modes(void **state) {
    (void)state;
    begin();
    assert_int_equal(nvs_flash_init(), ESP_OK);
    nvs_handle_t reader;
    nvs_handle_t writer;
    assert_int_equal(
            nvs_open("app", NVS_READONLY, &reader), ESP_ERR_NVS_NOT_FOUND);
    assert_int_equal(nvs_open("app", NVS_READWRITE, &writer), ESP_OK);
    assert_int_equal(nvs_open("app", NVS_READONLY, &reader), ESP_OK);
    assert_int_not_equal(reader, writer);
    assert_int_equal(nvs_set_i32(writer, "x", -7), ESP_OK);
    assert_int_equal(nvs_set_i32(reader, "x", 1), ESP_ERR_NVS_READ_ONLY);
    assert_int_equal(nvs_erase_key(reader, "x"), ESP_ERR_NVS_READ_ONLY);
    assert_int_equal(nvs_erase_all(reader), ESP_ERR_NVS_READ_ONLY);
    assert_int_equal(nvs_set_blob(reader, "x", "", 0), ESP_ERR_NVS_READ_ONLY);
    int32_t value;
    assert_int_equal(nvs_get_i32(reader, "x", &value), ESP_OK);
    assert_int_equal(value, -7);
    nvs_close(reader);
    nvs_close(reader);
    assert_int_equal(
            nvs_get_i32(reader, "x", &value), ESP_ERR_NVS_INVALID_HANDLE);
    assert_int_equal(nvs_commit(writer), ESP_OK);
    assert_int_equal(nvs_erase_key(writer, "x"), ESP_OK);
    assert_int_equal(nvs_erase_key(writer, "x"), ESP_ERR_NVS_NOT_FOUND);
    end();
}

#define ROUND_TRIP(suffix, ctype, number)                                      \
    do {                                                                       \
        ctype stored = 0;                                                      \
        assert_int_equal(                                                      \
                nvs_set_##suffix(handle, #suffix, (ctype)(number)), ESP_OK);   \
        assert_int_equal(nvs_get_##suffix(handle, #suffix, &stored), ESP_OK);  \
        assert_true(stored == (ctype)(number));                                \
    } while (0)

static void test_types(void **state) {
    (void)state;
    begin();
    assert_int_equal(nvs_flash_init(), ESP_OK);
    nvs_handle_t handle;
    assert_int_equal(nvs_open("app", NVS_READWRITE, &handle), ESP_OK);
    ROUND_TRIP(i8, int8_t, INT8_MIN);
    ROUND_TRIP(u8, uint8_t, UINT8_MAX);
    ROUND_TRIP(i16, int16_t, INT16_MIN);
    ROUND_TRIP(u16, uint16_t, UINT16_MAX);
    ROUND_TRIP(i32, int32_t, INT32_MIN);
    ROUND_TRIP(u32, uint32_t, UINT32_MAX);
    ROUND_TRIP(i64, int64_t, INT64_MIN);
    ROUND_TRIP(u64, uint64_t, UINT64_MAX);
    assert_int_equal(nvs_set_str(handle, "s", "text"), ESP_OK);
    char text[8];
    size_t len = 4;
    assert_int_equal(
            nvs_get_str(handle, "s", text, &len), ESP_ERR_NVS_INVALID_LENGTH);
    assert_int_equal(len, 5);
    assert_int_equal(nvs_get_str(handle, "s", text, &len), ESP_OK);
    assert_string_equal(text, "text");
    assert_int_equal(
            nvs_get_str(handle, "s", text, NULL), ESP_ERR_NVS_INVALID_LENGTH);
    assert_int_equal(nvs_set_blob(handle, "b", "\0\1\2", 3), ESP_OK);
    len = 0;
    assert_int_equal(nvs_get_blob(handle, "b", NULL, &len), ESP_OK);
    assert_int_equal(len, 3);
    assert_int_equal(nvs_get_blob(handle, "b", text, &len), ESP_OK);
    assert_memory_equal(text, "\0\1\2", 3);
    assert_int_equal(
            nvs_get_str(handle, "b", text, &len), ESP_ERR_NVS_NOT_FOUND);
    end();
}

// Values survive a reset, and nvs_flash_erase ends them.
static void test_reset_and_erase(void **state) {
    (void)state;
    begin();
    assert_int_equal(nvs_flash_init(), ESP_OK);
    nvs_handle_t handle;
    assert_int_equal(nvs_open("app", NVS_READWRITE, &handle), ESP_OK);
    assert_int_equal(nvs_set_u8(handle, "x", 9), ESP_OK);
    idf_world_attach(&w);
    assert_int_equal(nvs_flash_init(), ESP_OK);
    assert_int_equal(nvs_open("app", NVS_READONLY, &handle), ESP_OK);
    assert_int_equal(handle, 1);
    uint8_t value;
    assert_int_equal(nvs_get_u8(handle, "x", &value), ESP_OK);
    assert_int_equal(value, 9);
    assert_int_equal(nvs_flash_erase(), ESP_OK);
    assert_int_equal(nvs_flash_init(), ESP_OK);
    assert_int_equal(
            nvs_open("app", NVS_READONLY, &handle), ESP_ERR_NVS_NOT_FOUND);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_needs_init),
            cmocka_unit_test(test_no_partition),
            cmocka_unit_test(test_modes),
            cmocka_unit_test(test_types),
            cmocka_unit_test(test_reset_and_erase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
