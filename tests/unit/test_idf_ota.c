// ESP-IDF's OTA functions on a PC: the vendor's vectors, and each error of
// each call with what it leaves behind.
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

#define F 0x00
#define A 0x10
#define B 0x11

#define NEW     BATON_STATE_NEW
#define PENDING BATON_STATE_PENDING
#define VALID   BATON_STATE_VALID
#define INVALID BATON_STATE_INVALID
#define ABORTED BATON_STATE_ABORTED
#define NONE    0xFFFFFFFFu

#define SLOT_BYTES 0x20000u

static struct idf_world w;

// Factory, ota_0, ota_1 at 0x10000, 0x30000, 0x50000.
static void begin(uint32_t seq0, uint32_t state0, uint32_t seq1,
        uint32_t state1, uint8_t running) {
    idf_world_begin(&w, WORLD_FACTORY_A_B, SLOT_BYTES, running);
    if (seq0 != NONE) {
        world_put_record(&w.world, 0, seq0, state0, false);
    }
    if (seq1 != NONE) {
        world_put_record(&w.world, 1, seq1, state1, false);
    }
}

static void begin_release(enum baton_idf_release release) {
    w.config.release = release;
    idf_world_attach(&w);
}

static void end(void) {
    idf_world_end(&w);
}

#define app idf_world_app

static void assert_record(int copy, uint32_t seq, uint32_t state) {
    struct baton_slot_record record = idf_world_record(&w, copy);
    assert_int_equal(record.seq, seq);
    if (seq != NONE) {
        assert_int_equal(record.state, state);
        assert_int_equal(record.crc, baton_slots_crc(seq));
    }
}

static void assert_log(const char *expected) {
    assert_string_equal(idf_world_log(&w), expected);
}

static uint8_t *make_image(size_t *len, uint32_t payload_bytes) {
    const struct world_image spec = {
            .fill = 77, .payload_bytes = payload_bytes};
    return world_make_image(&spec, len);
}

// The vendor's vectors, row by row.

static void test_blank_from_factory(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    assert_ptr_equal(esp_ota_get_running_partition(), app(F));
    assert_ptr_equal(esp_ota_get_boot_partition(), app(F));
    assert_ptr_equal(esp_ota_get_next_update_partition(NULL), app(A));
    assert_false(esp_ota_check_rollback_is_possible());
    assert_int_equal(esp_ota_mark_app_valid_cancel_rollback(), ESP_FAIL);
    esp_ota_img_states_t ota_state;
    assert_int_equal(esp_ota_get_state_partition(app(F), &ota_state),
            ESP_ERR_NOT_SUPPORTED);
    assert_int_equal(
            esp_ota_get_state_partition(app(A), &ota_state), ESP_ERR_NOT_FOUND);
    assert_null(esp_ota_get_last_invalid_partition());
    assert_int_equal(esp_ota_erase_last_boot_app_partition(), ESP_FAIL);
    assert_log("");
    end();
}

static void test_set_boot_from_blank(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    assert_int_equal(esp_ota_set_boot_partition(app(A)), ESP_OK);
    assert_log("E d000 1000; P d000 20; ");
    assert_record(0, 1, NEW);
    assert_record(1, NONE, 0);
    assert_true(esp_ota_check_rollback_is_possible());
    end();
}

static void test_straight_to_the_second_slot(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    assert_int_equal(esp_ota_set_boot_partition(app(B)), ESP_OK);
    assert_record(0, 2, NEW);
    end();
}

static void test_copies_alternate(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    static const uint8_t slots[] = {A, B, A, B};
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(esp_ota_set_boot_partition(app(slots[i])), ESP_OK);
        assert_record((int)(i % 2), i + 1, NEW);
        assert_ptr_equal(esp_ota_get_boot_partition(), app(slots[i]));
    }
    end();
}

static void test_begin_while_unconfirmed(void **state) {
    (void)state;
    begin(1, VALID, 2, PENDING, B);
    esp_ota_handle_t handle = 99;
    assert_int_equal(esp_ota_begin(app(A), 0, &handle),
            ESP_ERR_OTA_ROLLBACK_INVALID_STATE);
    // The conflict is told first.
    assert_int_equal(
            esp_ota_begin(app(B), 0, &handle), ESP_ERR_OTA_PARTITION_CONFLICT);
    assert_int_equal(handle, 99);
    assert_log("");
    end();
}

static void test_mark_valid(void **state) {
    (void)state;
    begin(1, VALID, 2, PENDING, B);
    assert_int_equal(esp_ota_mark_app_valid_cancel_rollback(), ESP_OK);
    assert_log("E e000 1000; P e000 20; ");
    assert_record(1, 2, VALID);
    // Again: nothing to write.
    assert_int_equal(esp_ota_mark_app_valid_cancel_rollback(), ESP_OK);
    assert_log("");
    end();
}

static void test_mark_invalid(void **state) {
    (void)state;
    begin(1, VALID, 2, PENDING, B);
    assert_int_equal(esp_ota_mark_app_invalid_rollback_and_reboot(), ESP_OK);
    assert_int_equal(w.restarts, 1);
    assert_record(1, 2, INVALID);
    assert_ptr_equal(esp_ota_get_boot_partition(), app(A));
    assert_ptr_equal(esp_ota_get_last_invalid_partition(), app(B));
    end();
}

static void test_begin_erases_then_forgets(void **state) {
    (void)state;
    begin(1, VALID, 2, VALID, B);
    esp_ota_handle_t handle;
    assert_int_equal(esp_ota_begin(app(A), 4096, &handle), ESP_OK);
    assert_int_equal(handle, 1);
    assert_log("E 30000 1000; E d000 1000; ");
    esp_ota_img_states_t ota_state;
    assert_int_equal(
            esp_ota_get_state_partition(app(A), &ota_state), ESP_ERR_NOT_FOUND);
    end();
}

static void test_begin_after_fallback_keeps_records(void **state) {
    (void)state;
    begin(1, VALID, 2, VALID, A);
    esp_ota_handle_t handle;
    assert_int_equal(esp_ota_begin(app(B), 4096, &handle), ESP_OK);
    assert_log("E 50000 1000; ");
    assert_record(0, 1, VALID);
    assert_record(1, 2, VALID);
    end();
}

static void test_set_boot_factory(void **state) {
    (void)state;
    begin(1, VALID, 2, VALID, A);
    assert_int_equal(esp_ota_set_boot_partition(app(F)), ESP_OK);
    assert_log("E d000 1000; E e000 1000; ");
    assert_ptr_equal(esp_ota_get_boot_partition(), app(F));
    end();
}

static void test_begin_larger_than_the_slot(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    begin_release(BATON_IDF_V6_1);
    esp_ota_handle_t handle = 0;
    assert_int_equal(
            esp_ota_begin(app(A), 0x30000, &handle), ESP_ERR_INVALID_SIZE);
    assert_int_equal(handle, 1);
    assert_int_equal(
            esp_ota_begin(app(A), 0, &handle), ESP_ERR_OTA_ALREADY_IN_PROGRESS);
    assert_log("");
    assert_int_equal(esp_ota_abort(1), ESP_OK);
    // Before v6.1 a second handle is granted; before v5.5 the first was not.
    begin_release(BATON_IDF_V5_5);
    assert_int_equal(
            esp_ota_begin(app(A), 0x30000, &handle), ESP_ERR_INVALID_SIZE);
    assert_int_equal(esp_ota_begin(app(A), 0x1000, &handle), ESP_OK);
    assert_int_equal(handle, 2);
    begin_release(BATON_IDF_V5_4);
    handle = 99;
    assert_int_equal(
            esp_ota_begin(app(A), 0x30000, &handle), ESP_ERR_INVALID_SIZE);
    assert_int_equal(handle, 99);
    assert_int_equal(esp_ota_abort(1), ESP_ERR_NOT_FOUND);
    end();
}

static void test_sequential_erases_as_it_goes(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    size_t len;
    uint8_t *image = make_image(&len, 8000);
    assert_true(len >= 8272);
    esp_ota_handle_t handle;
    assert_int_equal(
            esp_ota_begin(app(A), OTA_WITH_SEQUENTIAL_WRITES, &handle), ESP_OK);
    assert_log("");
    assert_int_equal(esp_ota_write(handle, image, 1000), ESP_OK);
    assert_log("E 30000 1000; P 30000 3e8; ");
    assert_int_equal(esp_ota_write(handle, image + 1000, 4000), ESP_OK);
    assert_log("E 31000 1000; P 303e8 fa0; ");
    assert_int_equal(esp_ota_write(handle, image + 5000, 3272), ESP_OK);
    assert_log("E 32000 1000; P 31388 cc8; ");
    assert_int_equal(esp_ota_write(handle, image + 8272, len - 8272), ESP_OK);
    assert_int_equal(esp_ota_end(handle), ESP_OK);
    free(image);
    end();
}

static void test_wrong_magic_can_be_retried(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    size_t len;
    uint8_t *image = make_image(&len, 0);
    esp_ota_handle_t handle;
    assert_int_equal(
            esp_ota_begin(app(A), OTA_WITH_SEQUENTIAL_WRITES, &handle), ESP_OK);
    image[0] = 0xE8;
    assert_int_equal(
            esp_ota_write(handle, image, 100), ESP_ERR_OTA_VALIDATE_FAILED);
    assert_log("E 30000 1000; ");
    image[0] = 0xE9;
    assert_int_equal(esp_ota_write(handle, image, len), ESP_OK);
    assert_int_equal(esp_ota_end(handle), ESP_OK);
    free(image);
    end();
}

static void test_data_partition(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    const esp_partition_t *nvs = esp_partition_find_first(
            ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_NVS, NULL);
    esp_ota_handle_t handle;
    assert_int_equal(esp_ota_begin(nvs, 0, &handle), ESP_OK);
    assert_log("E 9000 1000; E a000 1000; E b000 1000; E c000 1000; ");
    assert_int_equal(esp_ota_write(handle, "anything", 8), ESP_OK);
    assert_int_equal(esp_ota_end(handle), ESP_OK);
    begin_release(BATON_IDF_V5_4);
    nvs = esp_partition_find_first(
            ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_NVS, NULL);
    assert_int_equal(esp_ota_begin(nvs, 0, &handle), ESP_ERR_INVALID_ARG);
    end();
}

static void test_old_set_boot_twice(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    assert_int_equal(esp_ota_set_boot_partition(app(A)), ESP_OK);
    assert_int_equal(esp_ota_set_boot_partition(app(A)), ESP_OK);
    assert_record(0, 1, NEW);
    assert_record(1, 1, NEW);
    end();
}

static void test_old_set_boot_on_copy_1(void **state) {
    (void)state;
    begin(1, VALID, 2, VALID, B);
    assert_int_equal(esp_ota_set_boot_partition(app(B)), ESP_OK);
    assert_record(0, 2, NEW);
    assert_record(1, 2, VALID);
    esp_ota_img_states_t ota_state;
    assert_int_equal(esp_ota_get_state_partition(app(B), &ota_state), ESP_OK);
    assert_int_equal(ota_state, ESP_OTA_IMG_NEW);
    end();
}

static void test_old_set_boot_on_copy_0(void **state) {
    (void)state;
    begin(3, VALID, 2, VALID, A);
    assert_int_equal(esp_ota_set_boot_partition(app(A)), ESP_OK);
    assert_record(0, 3, VALID);
    assert_record(1, 3, NEW);
    esp_ota_img_states_t ota_state;
    assert_int_equal(esp_ota_get_state_partition(app(A), &ota_state), ESP_OK);
    assert_int_equal(ota_state, ESP_OTA_IMG_VALID);
    end();
}

static void test_new_set_boot_rewrites_in_place(void **state) {
    (void)state;
    begin(1, VALID, 2, VALID, B);
    begin_release(BATON_IDF_V6_0);
    assert_int_equal(esp_ota_set_boot_partition(app(B)), ESP_OK);
    assert_log("E e000 1000; P e000 20; ");
    assert_record(0, 1, VALID);
    assert_record(1, 2, NEW);
    end();
}

static void test_end_without_a_write(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    esp_ota_handle_t handle;
    assert_int_equal(esp_ota_begin(app(A), 4096, &handle), ESP_OK);
    assert_int_equal(esp_ota_end(handle), ESP_ERR_INVALID_ARG);
    assert_int_equal(esp_ota_end(handle), ESP_ERR_NOT_FOUND);
    end();
}

// begin.

static void test_begin_arguments(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    esp_ota_handle_t handle = 99;
    assert_int_equal(esp_ota_begin(NULL, 0, &handle), ESP_ERR_INVALID_ARG);
    assert_int_equal(esp_ota_begin(app(A), 0, NULL), ESP_ERR_INVALID_ARG);
    esp_partition_t stranger = *app(A);
    stranger.size -= 0x1000;
    assert_int_equal(esp_ota_begin(&stranger, 0, &handle), ESP_ERR_NOT_FOUND);
    // Not a slot goes before "is running".
    assert_int_equal(esp_ota_begin(app(F), 0, &handle), ESP_ERR_INVALID_ARG);
    assert_int_equal(handle, 99);
    assert_log("");
    // A copy of the table's row is as good as the row.
    esp_partition_t copy = *app(A);
    assert_int_equal(esp_ota_begin(&copy, 1, &handle), ESP_OK);
    assert_log("E 30000 1000; ");
    end();
}

static void test_begin_sizes(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    static const struct {
        size_t size;
        const char *log;
    } vectors[] = {
            {0, "E 30000 10000; E 40000 10000; "},
            {OTA_SIZE_UNKNOWN, "E 30000 10000; E 40000 10000; "},
            {OTA_WITH_SEQUENTIAL_WRITES, ""},
            {SLOT_BYTES, "E 30000 10000; E 40000 10000; "},
            {1, "E 30000 1000; "},
            {4097, "E 30000 1000; E 31000 1000; "},
            {0x10001, "E 30000 10000; E 40000 1000; "},
            // Rounded up in 32 bits this is nothing.
            {0xFFFFFFFD, ""},
            {0xFFFFF001, ""},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        esp_ota_handle_t handle;
        assert_int_equal(
                esp_ota_begin(app(A), vectors[i].size, &handle), ESP_OK);
        assert_int_equal(handle, i + 1);
        assert_log(vectors[i].log);
        assert_int_equal(esp_ota_abort(handle), ESP_OK);
    }
    end();
}

// Begin forgets the other record whatever its state, but only a written one,
// and only with rollback.
static void test_begin_forgets_the_other_record(void **state) {
    (void)state;
    static const uint32_t states[] = {
            NEW, PENDING, VALID, INVALID, ABORTED, 7, NONE};
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        for (int variant = 0; variant < 3; variant++) {
            begin(1, states[i], 2, VALID, B);
            if (variant == 1) {
                world_put_record(&w.world, 0, 1, states[i], true);
            }
            w.config.no_rollback = variant == 2;
            idf_world_attach(&w);
            esp_ota_handle_t handle;
            assert_int_equal(esp_ota_begin(app(A), 1, &handle), ESP_OK);
            assert_log(variant == 0 ? "E 30000 1000; E d000 1000; "
                                    : "E 30000 1000; ");
            end();
        }
    }
    begin(1, VALID, 2, VALID, B);
    begin_release(BATON_IDF_V5_4);
    esp_ota_handle_t handle;
    assert_int_equal(esp_ota_begin(app(A), 1, &handle), ESP_OK);
    assert_log("E 30000 1000; ");
    end();
}

static void test_begin_unconfirmed_needs_rollback(void **state) {
    (void)state;
    begin(1, VALID, 2, PENDING, B);
    w.config.no_rollback = true;
    idf_world_attach(&w);
    esp_ota_handle_t handle;
    assert_int_equal(esp_ota_begin(app(A), 1, &handle), ESP_OK);
    end();
}

static void test_begin_flash_fault_leaves_a_handle(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    w.world.state.powered = 1;
    baton_nor_plan_cut(&w.world.nor, 1, BATON_NOR_CUT_BEFORE, 0);
    esp_ota_handle_t handle = 0;
    assert_int_equal(
            esp_ota_begin(app(A), 4096, &handle), ESP_ERR_FLASH_OP_FAIL);
    assert_int_equal(handle, 1);
    assert_int_equal(esp_ota_abort(handle), ESP_OK);
    end();
}

// resume.

static void test_resume(void **state) {
    (void)state;
    begin(1, VALID, 2, VALID, B);
    size_t len;
    uint8_t *image = make_image(&len, 6000);
    esp_ota_handle_t handle;
    assert_int_equal(esp_ota_begin(app(A), len, &handle), ESP_OK);
    assert_int_equal(esp_ota_write(handle, image, 5000), ESP_OK);
    assert_int_equal(esp_ota_abort(handle), ESP_OK);
    idf_world_log(&w);
    // Goes on in the middle of a sector that is already erased.
    assert_int_equal(
            esp_ota_resume(app(A), OTA_WITH_SEQUENTIAL_WRITES, 5000, &handle),
            ESP_OK);
    assert_int_equal(handle, 2);
    assert_log("");
    assert_int_equal(esp_ota_write(handle, image + 5000, len - 5000), ESP_OK);
    assert_log("P 31388 538; ");
    assert_int_equal(esp_ota_end(handle), ESP_OK);
    free(image);
    end();
}

static void test_resume_errors(void **state) {
    (void)state;
    begin(1, VALID, 2, PENDING, B);
    esp_ota_handle_t handle = 99;
    assert_int_equal(esp_ota_resume(NULL, 0, 0, &handle), ESP_ERR_INVALID_ARG);
    assert_int_equal(esp_ota_resume(app(A), 0, 0, NULL), ESP_ERR_INVALID_ARG);
    assert_int_equal(esp_ota_resume(app(A), 0, SLOT_BYTES + 1, &handle),
            ESP_ERR_INVALID_ARG);
    esp_partition_t stranger = *app(A);
    stranger.address += 0x1000;
    assert_int_equal(
            esp_ota_resume(&stranger, 0, 0, &handle), ESP_ERR_NOT_FOUND);
    assert_int_equal(
            esp_ota_resume(app(F), 0, 0, &handle), ESP_ERR_INVALID_ARG);
    assert_int_equal(esp_ota_resume(app(B), 0, 0, &handle),
            ESP_ERR_OTA_PARTITION_CONFLICT);
    assert_int_equal(handle, 99);
    assert_int_equal(esp_ota_resume(app(A), 0, SLOT_BYTES, &handle), ESP_OK);
    begin_release(BATON_IDF_V6_1);
    assert_int_equal(esp_ota_resume(app(A), 0, 0, &handle), ESP_OK);
    assert_int_equal(esp_ota_resume(app(A), 0, 0, &handle),
            ESP_ERR_OTA_ALREADY_IN_PROGRESS);
    begin_release(BATON_IDF_MASTER);
    assert_int_equal(esp_ota_resume(app(A), 0, 0, &handle),
            ESP_ERR_OTA_ROLLBACK_INVALID_STATE);
    begin_release(BATON_IDF_V5_4);
    assert_int_equal(
            esp_ota_resume(app(A), 0, 0, &handle), ESP_ERR_NOT_SUPPORTED);
    assert_log("");
    end();
}

// A resumed handle at 0 still looks at the magic, one past it does not.
static void test_resume_magic(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    memset(w.world.bytes + 0x30000, 0xFF, SLOT_BYTES);
    esp_ota_handle_t handle;
    assert_int_equal(esp_ota_resume(app(A), 0, 0, &handle), ESP_OK);
    assert_int_equal(
            esp_ota_write(handle, "x", 1), ESP_ERR_OTA_VALIDATE_FAILED);
    assert_int_equal(esp_ota_resume(app(A), 0, 16, &handle), ESP_OK);
    assert_int_equal(esp_ota_write(handle, "x", 1), ESP_OK);
    end();
}

// write.

static void test_write_checks_in_order(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    assert_int_equal(esp_ota_write(5, NULL, 0), ESP_ERR_INVALID_ARG);
    assert_int_equal(esp_ota_write(5, "x", 0), ESP_OK);
    assert_int_equal(esp_ota_write(5, "x", 1), ESP_ERR_INVALID_ARG);
    assert_int_equal(
            esp_ota_write_with_offset(5, NULL, 0, 0), ESP_ERR_INVALID_ARG);
    assert_int_equal(
            esp_ota_write_with_offset(5, "x", 0, 0), ESP_ERR_INVALID_ARG);
    esp_ota_handle_t handle;
    assert_int_equal(esp_ota_begin(app(A), 0, &handle), ESP_OK);
    assert_int_equal(esp_ota_write(handle, NULL, 1), ESP_ERR_INVALID_ARG);
    assert_int_equal(
            esp_ota_write(handle, "x", 1), ESP_ERR_OTA_VALIDATE_FAILED);
    // Only the first byte is looked at, once.
    assert_int_equal(esp_ota_write(handle, "\xE9", 1), ESP_OK);
    assert_int_equal(esp_ota_write(handle, "x", 1), ESP_OK);
    end();
}

static void test_write_past_the_end(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    static uint8_t image[SLOT_BYTES + 1];
    memset(image, 0xE9, sizeof(image));
    esp_ota_handle_t handle;
    assert_int_equal(esp_ota_begin(app(A), 0, &handle), ESP_OK);
    idf_world_log(&w);
    assert_int_equal(
            esp_ota_write(handle, image, sizeof(image)), ESP_ERR_INVALID_SIZE);
    assert_log("");
    assert_int_equal(esp_ota_write(handle, image, SLOT_BYTES), ESP_OK);
    assert_int_equal(esp_ota_write(handle, image, 1), ESP_ERR_INVALID_SIZE);
    assert_int_equal(esp_ota_end(handle), ESP_ERR_OTA_VALIDATE_FAILED);
    // Sequential: the erase refuses.
    idf_world_log(&w);
    assert_int_equal(
            esp_ota_begin(app(A), OTA_WITH_SEQUENTIAL_WRITES, &handle), ESP_OK);
    assert_int_equal(
            esp_ota_write(handle, image, sizeof(image)), ESP_ERR_INVALID_SIZE);
    assert_log("");
    assert_int_equal(esp_ota_write(handle, image, SLOT_BYTES), ESP_OK);
    assert_int_equal(esp_ota_write(handle, image, 1), ESP_ERR_INVALID_SIZE);
    end();
}

static void test_write_with_offset(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    size_t len;
    uint8_t *image = make_image(&len, 9000);
    esp_ota_handle_t handle;
    assert_int_equal(esp_ota_begin(app(A), len, &handle), ESP_OK);
    idf_world_log(&w);
    // No look at the magic, any order, and zero bytes are nothing.
    assert_int_equal(esp_ota_write_with_offset(handle, "", 0, 0), ESP_OK);
    assert_log("");
    for (size_t off = len; off > 0;) {
        size_t step = off > 1000 ? 1000 : off;
        off -= step;
        assert_int_equal(esp_ota_write_with_offset(
                                 handle, image + off, step, (uint32_t)off),
                ESP_OK);
    }
    assert_int_equal(
            esp_ota_write_with_offset(handle, image, 1, SLOT_BYTES + 1),
            ESP_ERR_INVALID_ARG);
    assert_int_equal(esp_ota_write_with_offset(handle, image, 1, SLOT_BYTES),
            ESP_ERR_INVALID_SIZE);
    assert_int_equal(esp_ota_end(handle), ESP_OK);
    assert_int_equal(esp_ota_set_boot_partition(app(A)), ESP_OK);
    free(image);
    end();
}

static void test_write_with_offset_on_sequential(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    esp_ota_handle_t handle;
    assert_int_equal(
            esp_ota_begin(app(A), OTA_WITH_SEQUENTIAL_WRITES, &handle), ESP_OK);
    EXPECT_FATAL(&w, esp_ota_write_with_offset(handle, "x", 1, 0));
    assert_non_null(strstr(w.fatal_text, "OTA_WITH_SEQUENTIAL_WRITES"));
    // Nothing was held: the handle still works.
    assert_int_equal(esp_ota_abort(handle), ESP_OK);
    assert_log("");
    end();
}

static void test_unerased_write(void **state) {
    (void)state;
    for (int blind = 0; blind < 2; blind++) {
        begin(NONE, 0, NONE, 0, F);
        w.config.blind_program = blind != 0;
        idf_world_attach(&w);
        memset(w.world.bytes + 0x30000, 0x0F, SLOT_BYTES);
        esp_ota_handle_t handle;
        assert_int_equal(esp_ota_begin(app(A), 4096, &handle), ESP_OK);
        esp_err_t err =
                esp_ota_write_with_offset(handle, "\xFF\x3C\x55", 3, 4096);
        assert_int_equal(err, blind ? ESP_OK : ESP_ERR_FLASH_OP_FAIL);
        const uint8_t expected[3] = {
                0x0F, blind ? 0x0C : 0x0F, blind ? 0x05 : 0x0F};
        assert_memory_equal(w.world.bytes + 0x31000, expected, 3);
        end();
    }
}

// end and abort.

static void test_end_verifies(void **state) {
    (void)state;
    begin(1, VALID, NONE, 0, A);
    size_t len;
    uint8_t *image = make_image(&len, 0);
    image[len - 1] ^= 1;
    esp_ota_handle_t handle;
    assert_int_equal(esp_ota_begin(app(B), 0, &handle), ESP_OK);
    assert_int_equal(esp_ota_write(handle, image, len), ESP_OK);
    assert_int_equal(esp_ota_end(handle), ESP_ERR_OTA_VALIDATE_FAILED);
    // The handle is gone, the boot choice untouched.
    assert_int_equal(esp_ota_end(handle), ESP_ERR_NOT_FOUND);
    assert_ptr_equal(esp_ota_get_boot_partition(), app(A));
    free(image);
    end();
}

static void test_end_does_not_switch(void **state) {
    (void)state;
    begin(1, VALID, NONE, 0, A);
    size_t len;
    uint8_t *image = make_image(&len, 0);
    esp_ota_handle_t handle;
    assert_int_equal(esp_ota_begin(app(B), 0, &handle), ESP_OK);
    assert_int_equal(esp_ota_write(handle, image, len), ESP_OK);
    idf_world_log(&w);
    assert_int_equal(esp_ota_end(handle), ESP_OK);
    assert_log("");
    assert_ptr_equal(esp_ota_get_boot_partition(), app(A));
    free(image);
    end();
}

static void test_abort(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    esp_ota_handle_t first;
    esp_ota_handle_t second;
    assert_int_equal(esp_ota_begin(app(A), 1, &first), ESP_OK);
    assert_int_equal(esp_ota_begin(app(B), 1, &second), ESP_OK);
    idf_world_log(&w);
    assert_int_equal(esp_ota_abort(first), ESP_OK);
    assert_int_equal(esp_ota_abort(first), ESP_ERR_NOT_FOUND);
    assert_int_equal(esp_ota_write(first, "\xE9", 1), ESP_ERR_INVALID_ARG);
    assert_int_equal(esp_ota_write(second, "\xE9", 1), ESP_OK);
    assert_int_equal(esp_ota_begin(app(A), 1, &first), ESP_OK);
    assert_int_equal(first, 3);
    assert_int_equal(baton_idf_abort_all(), 2);
    assert_int_equal(esp_ota_abort(second), ESP_ERR_NOT_FOUND);
    assert_int_equal(esp_ota_begin(app(A), 1, &first), ESP_OK);
    assert_int_equal(first, 4);
    end();
}

// set_final_partition, bootloader and table.

static const struct baton_partition staging_table = {.type = BATON_TYPE_TABLE,
        .subtype = 1,
        .addr = 0x70000,
        .size_bytes = 0x1000,
        .label = "table2"};
static const struct baton_partition primary_table = {.type = BATON_TYPE_TABLE,
        .subtype = 0,
        .addr = 0x8000,
        .size_bytes = 0x1000,
        .label = "table"};
static const struct baton_partition plain_data = {.type = BATON_TYPE_DATA,
        .subtype = 0x82,
        .addr = 0x71000,
        .size_bytes = 0x2000,
        .label = "plain"};

static const esp_partition_t *by_label(const char *label) {
    return esp_partition_find_first(
            ESP_PARTITION_TYPE_ANY, ESP_PARTITION_SUBTYPE_ANY, label);
}

static void begin_with_more_rows(void) {
    begin(NONE, 0, NONE, 0, F);
    // The world's chip has 0x70000 bytes in use, and room behind.
    w.world.rows[w.world.row_count - 1].size_bytes = 0x10000;
    struct baton_partition row = staging_table;
    row.addr = 0x60000;
    idf_world_add_row(&w, &row);
    row = plain_data;
    row.addr = 0x61000;
    idf_world_add_row(&w, &row);
    idf_world_add_row(&w, &primary_table);
    idf_world_attach(&w);
}

static void test_final_errors(void **state) {
    (void)state;
    begin_with_more_rows();
    assert_int_equal(
            esp_ota_set_final_partition(9, NULL, false), ESP_ERR_INVALID_ARG);
    assert_int_equal(
            esp_ota_set_final_partition(9, app(A), false), ESP_ERR_NOT_FOUND);
    esp_ota_handle_t handle;
    assert_int_equal(esp_ota_begin(app(A), 4096, &handle), ESP_OK);
    esp_partition_t stranger = *app(B);
    stranger.address += 4096;
    assert_int_equal(esp_ota_set_final_partition(handle, &stranger, false),
            ESP_ERR_NOT_FOUND);
    assert_int_equal(esp_ota_set_final_partition(handle, app(A), true), ESP_OK);
    assert_int_equal(
            esp_ota_set_final_partition(handle, by_label("plain"), false),
            ESP_OK);
    // Now the final partition's type rules: no magic is asked for.
    assert_int_equal(esp_ota_write(handle, "data", 4), ESP_OK);
    assert_int_equal(esp_ota_set_final_partition(handle, app(A), false),
            ESP_ERR_INVALID_STATE);
    assert_int_equal(esp_ota_end(handle), ESP_OK);
    // A resumed handle may be told later.
    assert_int_equal(esp_ota_resume(app(A), 0, 100, &handle), ESP_OK);
    assert_int_equal(
            esp_ota_set_final_partition(handle, by_label("plain"), false),
            ESP_OK);
    begin_release(BATON_IDF_V5_4);
    assert_int_equal(esp_ota_set_final_partition(1, app(A), false),
            ESP_ERR_NOT_SUPPORTED);
    end();
}

static void test_final_copy(void **state) {
    (void)state;
    begin_with_more_rows();
    esp_ota_handle_t handle;
    assert_int_equal(esp_ota_begin(app(A), 8192, &handle), ESP_OK);
    const esp_partition_t *plain = by_label("plain");
    assert_int_equal(esp_ota_set_final_partition(handle, plain, true), ESP_OK);
    assert_int_equal(esp_ota_write(handle, "moved", 5), ESP_OK);
    idf_world_log(&w);
    assert_int_equal(esp_ota_end(handle), ESP_OK);
    assert_log("E 61000 1000; E 62000 1000; P 61000 1000; P 62000 1000; ");
    assert_memory_equal(w.world.bytes + 0x61000, "moved\xFF", 6);
    // Final larger than staging.
    assert_int_equal(esp_ota_begin(plain, 0, &handle), ESP_OK);
    assert_int_equal(esp_ota_set_final_partition(handle, app(B), true), ESP_OK);
    size_t len;
    uint8_t *image = make_image(&len, 0);
    assert_int_equal(esp_ota_write(handle, image, len), ESP_OK);
    assert_int_equal(esp_ota_end(handle), ESP_ERR_INVALID_SIZE);
    free(image);
    end();
}

static void test_v6_1_claims_final_too(void **state) {
    (void)state;
    begin_with_more_rows();
    begin_release(BATON_IDF_V6_1);
    esp_ota_handle_t handle;
    esp_ota_handle_t other;
    assert_int_equal(esp_ota_begin(app(A), 4096, &handle), ESP_OK);
    assert_int_equal(
            esp_ota_set_final_partition(handle, app(B), false), ESP_OK);
    assert_int_equal(esp_ota_begin(app(B), 4096, &other),
            ESP_ERR_OTA_ALREADY_IN_PROGRESS);
    end();
}

static void test_table_update(void **state) {
    (void)state;
    begin_with_more_rows();
    uint8_t table[BATON_TABLE_BYTES];
    memcpy(table, w.world.bytes + 0x8000, sizeof(table));
    esp_ota_handle_t handle;
    const esp_partition_t *staging = by_label("table2");
    assert_int_equal(esp_ota_begin(staging, 0, &handle), ESP_OK);
    assert_int_equal(
            esp_ota_set_final_partition(handle, by_label("table"), true),
            ESP_OK);
    table[0] = 0xAB;
    assert_int_equal(esp_ota_write(handle, table, sizeof(table)),
            ESP_ERR_OTA_VALIDATE_FAILED);
    table[0] = 0xAA;
    table[100] ^= 1; // the MD5 row no longer fits
    assert_int_equal(esp_ota_write(handle, table, sizeof(table)), ESP_OK);
    assert_int_equal(esp_ota_end(handle), ESP_ERR_OTA_VALIDATE_FAILED);
    table[100] ^= 1;
    assert_int_equal(esp_ota_begin(staging, 0, &handle), ESP_OK);
    assert_int_equal(
            esp_ota_set_final_partition(handle, by_label("table"), true),
            ESP_OK);
    assert_int_equal(esp_ota_write(handle, table, sizeof(table)), ESP_OK);
    idf_world_log(&w);
    // The guard of the table's own sector was lowered by begin.
    assert_int_equal(esp_ota_end(handle), ESP_OK);
    assert_log("E 8000 1000; P 8000 1000; ");
    assert_memory_equal(w.world.bytes + 0x8000, table, sizeof(table));
    end();
}

// Flash encryption's rules.

static void begin_encrypted(void) {
    begin(NONE, 0, NONE, 0, F);
    w.config.flash_encryption = true;
    idf_world_attach(&w);
}

static void test_encrypted_writes_whole_blocks(void **state) {
    (void)state;
    begin_encrypted();
    size_t len;
    uint8_t *image = make_image(&len, 0);
    esp_ota_handle_t handle;
    assert_int_equal(esp_ota_begin(app(A), len, &handle), ESP_OK);
    idf_world_log(&w);
    assert_int_equal(esp_ota_write(handle, image, 5), ESP_OK);
    assert_log("");
    assert_int_equal(esp_ota_write(handle, image + 5, 40), ESP_OK);
    assert_log("P 30000 10; P 30010 10; ");
    assert_int_equal(esp_ota_write_with_offset(handle, image, 5, 0),
            ESP_ERR_INVALID_ARG);
    assert_int_equal(esp_ota_write(handle, image + 45, len - 45), ESP_OK);
    assert_int_equal(esp_ota_end(handle), ESP_OK);
    assert_memory_equal(w.world.bytes + 0x30000, image, len);
    free(image);
    end();
}

static void test_encrypted_partial_end(void **state) {
    (void)state;
    begin_encrypted();
    const esp_partition_t *nvs = esp_partition_find_first(
            ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_NVS, NULL);
    assert_false(nvs->encrypted);
    assert_true(app(A)->encrypted);
    esp_ota_handle_t handle;
    // Fewer than one block: nothing counts as written.
    assert_int_equal(esp_ota_begin(nvs, 0, &handle), ESP_OK);
    assert_int_equal(esp_ota_write(handle, "12345", 5), ESP_OK);
    assert_int_equal(esp_ota_end(handle), ESP_ERR_INVALID_ARG);
    // The rest of the last block: zeros while no waiting block was completed
    // yet, ones afterwards.
    assert_int_equal(esp_ota_begin(nvs, 0, &handle), ESP_OK);
    assert_int_equal(esp_ota_write(handle, "0123456789abcdefghi", 19), ESP_OK);
    assert_int_equal(esp_ota_end(handle), ESP_OK);
    assert_memory_equal(
            w.world.bytes + 0x9010, "ghi\0\0\0\0\0\0\0\0\0\0\0\0\0\xFF", 17);
    assert_int_equal(esp_ota_begin(nvs, 0, &handle), ESP_OK);
    assert_int_equal(esp_ota_write(handle, "0123456789", 10), ESP_OK);
    assert_int_equal(esp_ota_write(handle, "abcdefghi", 9), ESP_OK);
    assert_int_equal(esp_ota_end(handle), ESP_OK);
    assert_memory_equal(w.world.bytes + 0x9000,
            "0123456789abcdefghi\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
            "\xFF\xFF\xFF",
            33);
    end();
}

static void test_encrypted_flush_fails(void **state) {
    (void)state;
    begin_encrypted();
    const esp_partition_t *nvs = esp_partition_find_first(
            ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_NVS, NULL);
    esp_ota_handle_t handle;
    assert_int_equal(esp_ota_begin(nvs, 0, &handle), ESP_OK);
    assert_int_equal(esp_ota_write(handle, "0123456789abcdefghi", 19), ESP_OK);
    baton_nor_plan_cut(&w.world.nor, 1, BATON_NOR_CUT_BEFORE, 0);
    assert_int_equal(esp_ota_end(handle), ESP_ERR_INVALID_STATE);
    assert_int_equal(esp_ota_end(handle), ESP_ERR_NOT_FOUND);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_blank_from_factory),
            cmocka_unit_test(test_set_boot_from_blank),
            cmocka_unit_test(test_straight_to_the_second_slot),
            cmocka_unit_test(test_copies_alternate),
            cmocka_unit_test(test_begin_while_unconfirmed),
            cmocka_unit_test(test_mark_valid),
            cmocka_unit_test(test_mark_invalid),
            cmocka_unit_test(test_begin_erases_then_forgets),
            cmocka_unit_test(test_begin_after_fallback_keeps_records),
            cmocka_unit_test(test_set_boot_factory),
            cmocka_unit_test(test_begin_larger_than_the_slot),
            cmocka_unit_test(test_sequential_erases_as_it_goes),
            cmocka_unit_test(test_wrong_magic_can_be_retried),
            cmocka_unit_test(test_data_partition),
            cmocka_unit_test(test_old_set_boot_twice),
            cmocka_unit_test(test_old_set_boot_on_copy_1),
            cmocka_unit_test(test_old_set_boot_on_copy_0),
            cmocka_unit_test(test_new_set_boot_rewrites_in_place),
            cmocka_unit_test(test_end_without_a_write),
            cmocka_unit_test(test_begin_arguments),
            cmocka_unit_test(test_begin_sizes),
            cmocka_unit_test(test_begin_forgets_the_other_record),
            cmocka_unit_test(test_begin_unconfirmed_needs_rollback),
            cmocka_unit_test(test_begin_flash_fault_leaves_a_handle),
            cmocka_unit_test(test_resume),
            cmocka_unit_test(test_resume_errors),
            cmocka_unit_test(test_resume_magic),
            cmocka_unit_test(test_write_checks_in_order),
            cmocka_unit_test(test_write_past_the_end),
            cmocka_unit_test(test_write_with_offset),
            cmocka_unit_test(test_write_with_offset_on_sequential),
            cmocka_unit_test(test_unerased_write),
            cmocka_unit_test(test_end_verifies),
            cmocka_unit_test(test_end_does_not_switch),
            cmocka_unit_test(test_abort),
            cmocka_unit_test(test_final_errors),
            cmocka_unit_test(test_final_copy),
            cmocka_unit_test(test_v6_1_claims_final_too),
            cmocka_unit_test(test_table_update),
            cmocka_unit_test(test_encrypted_writes_whole_blocks),
            cmocka_unit_test(test_encrypted_partial_end),
            cmocka_unit_test(test_encrypted_flush_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
