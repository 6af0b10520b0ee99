// ESP-IDF's choice of what boots on a PC: set_boot, the states, going back,
// and what images say of themselves.
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
#include "baton-idf/esp_efuse.h"

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

// set_boot.

static void test_set_boot_checks_in_order(void **state) {
    (void)state;
    begin(1, VALID, NONE, 0, A);
    assert_int_equal(esp_ota_set_boot_partition(NULL), ESP_ERR_INVALID_ARG);
    const esp_partition_t *nvs = esp_partition_find_first(
            ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_NVS, NULL);
    // The image comes before the type.
    assert_int_equal(
            esp_ota_set_boot_partition(nvs), ESP_ERR_OTA_VALIDATE_FAILED);
    size_t len;
    uint8_t *image = make_image(&len, 0);
    memcpy(w.world.bytes + nvs->address, image, len);
    assert_int_equal(esp_ota_set_boot_partition(nvs), ESP_ERR_INVALID_ARG);
    // A slot past the gap-free run.
    esp_partition_t third = *app(B);
    third.subtype = ESP_PARTITION_SUBTYPE_APP_OTA_2;
    assert_int_equal(esp_ota_set_boot_partition(&third), ESP_ERR_INVALID_ARG);
    assert_log("");
    // The test application passes for slot 0, tee_1 for slot 1.
    esp_partition_t odd = *app(B);
    odd.subtype = ESP_PARTITION_SUBTYPE_APP_TEST;
    assert_int_equal(esp_ota_set_boot_partition(&odd), ESP_OK);
    assert_ptr_equal(esp_ota_get_boot_partition(), app(A));
    odd.subtype = ESP_PARTITION_SUBTYPE_APP_TEE_1;
    assert_int_equal(esp_ota_set_boot_partition(&odd), ESP_OK);
    assert_ptr_equal(esp_ota_get_boot_partition(), app(B));
    free(image);
    end();
}

static void test_set_boot_refuses_a_bad_image(void **state) {
    (void)state;
    begin(1, VALID, NONE, 0, A);
    const struct world_image bad = {.is_bad = true};
    world_put_image(&w.world, B, &bad);
    assert_int_equal(
            esp_ota_set_boot_partition(app(B)), ESP_ERR_OTA_VALIDATE_FAILED);
    const struct world_image other_chip = {.chip_id = 9};
    world_put_image(&w.world, B, &other_chip);
    assert_int_equal(
            esp_ota_set_boot_partition(app(B)), ESP_ERR_OTA_VALIDATE_FAILED);
    assert_log("");
    assert_int_equal(esp_ota_set_boot_partition_skip_validate(app(B)),
            ESP_ERR_NOT_SUPPORTED);
    begin_release(BATON_IDF_V6_1);
    assert_int_equal(esp_ota_set_boot_partition_skip_validate(NULL),
            ESP_ERR_INVALID_ARG);
    assert_int_equal(esp_ota_set_boot_partition_skip_validate(app(B)), ESP_OK);
    assert_ptr_equal(esp_ota_get_boot_partition(), app(B));
    end();
}

static void test_set_boot_keeps_the_label(void **state) {
    (void)state;
    begin(1, VALID, NONE, 0, A);
    memset(w.world.bytes + WORLD_OTADATA_ADDR + 0x1004, 0x5A, 20);
    assert_int_equal(esp_ota_set_boot_partition(app(B)), ESP_OK);
    struct baton_slot_record record = idf_world_record(&w, 1);
    assert_int_equal(record.seq, 2);
    for (size_t i = 0; i < sizeof(record.label); i++) {
        assert_int_equal(record.label[i], 0x5A);
    }
    end();
}

static void test_set_boot_without_rollback(void **state) {
    (void)state;
    begin(1, VALID, NONE, 0, A);
    w.config.no_rollback = true;
    idf_world_attach(&w);
    assert_int_equal(esp_ota_set_boot_partition(app(B)), ESP_OK);
    assert_record(1, 2, BATON_STATE_UNDEFINED);
    end();
}

static void test_no_otadata(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    // Turn otadata into some other data partition.
    w.world.rows[1].subtype = 0x40;
    struct baton_partition last = w.world.rows[--w.world.row_count];
    idf_world_add_row(&w, &last);
    idf_world_attach(&w);
    assert_int_equal(esp_ota_set_boot_partition(app(A)), ESP_ERR_NOT_FOUND);
    assert_int_equal(esp_ota_set_boot_partition(app(F)), ESP_ERR_NOT_FOUND);
    assert_null(esp_ota_get_boot_partition());
    assert_int_equal(
            esp_ota_mark_app_valid_cancel_rollback(), ESP_ERR_NOT_FOUND);
    assert_int_equal(esp_ota_mark_app_invalid_rollback(), ESP_ERR_NOT_FOUND);
    assert_false(esp_ota_check_rollback_is_possible());
    esp_ota_img_states_t ota_state;
    assert_int_equal(
            esp_ota_get_state_partition(app(A), &ota_state), ESP_ERR_NOT_FOUND);
    assert_null(esp_ota_get_last_invalid_partition());
    assert_int_equal(esp_ota_erase_last_boot_app_partition(), ESP_FAIL);
    assert_int_equal(esp_ota_invalidate_inactive_ota_data_slot(), ESP_FAIL);
    end();
}

// The vendor's arithmetic at the end of the numbers, and at their beginning.
static void test_sequence_ends(void **state) {
    (void)state;
    begin(0xFFFFFFFE, VALID, NONE, 0, B);
    assert_int_equal(esp_ota_set_boot_partition(app(A)), ESP_OK);
    assert_record(1, 0xFFFFFFFF, NEW); // which nobody can use
    assert_ptr_equal(esp_ota_get_boot_partition(), app(B));
    end();
    const struct baton_partition third = {.subtype = 0x12,
            .addr = 0x60000,
            .size_bytes = 0x10000,
            .label = "third"};
    begin(0, 0xFFFFFFFF, NONE, 0, A);
    w.world.rows[w.world.row_count - 1].size_bytes = 0x10000;
    idf_world_add_row(&w, &third);
    const struct world_image spec = {.fill = 3};
    world_put_image(&w.world, 0x12, &spec);
    idf_world_attach(&w);
    // Of three slots, 0 is slot 0, and also the smallest number for slot 2.
    assert_ptr_equal(esp_ota_get_boot_partition(), app(A));
    assert_int_equal(esp_ota_set_boot_partition(app(0x12)), ESP_OK);
    assert_int_equal(idf_world_record(&w, 1).seq, 0);
    assert_ptr_equal(esp_ota_get_boot_partition(), app(A));
    // No number is left for it: the chip would count for ever.
    world_put_record(&w.world, 0, 0xFFFFFFFE, VALID, false);
    idf_world_log(&w);
    EXPECT_FATAL(&w, esp_ota_set_boot_partition(app(A)));
    assert_log("");
    end();
}

// Running, next, boot.

static void test_running_is_found_by_address(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    w.config.running_addr = 0x30000 + SLOT_BYTES - 1;
    idf_world_attach(&w);
    assert_ptr_equal(esp_ota_get_running_partition(), app(A));
    w.config.running_addr = 0x9000; // data
    idf_world_attach(&w);
    EXPECT_FATAL(&w, esp_ota_get_running_partition());
    end();
}

static void test_next_goes_round(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    assert_ptr_equal(esp_ota_get_next_update_partition(app(F)), app(A));
    assert_ptr_equal(esp_ota_get_next_update_partition(app(A)), app(B));
    assert_ptr_equal(esp_ota_get_next_update_partition(app(B)), app(A));
    esp_partition_t stranger = *app(A);
    stranger.address += 4096;
    EXPECT_FATAL(&w, esp_ota_get_next_update_partition(&stranger));
    end();
    idf_world_begin(&w, WORLD_FACTORY_A, SLOT_BYTES, A);
    // The only slot is running: that one, and begin says what is wrong.
    assert_ptr_equal(esp_ota_get_next_update_partition(NULL), app(A));
    end();
    idf_world_begin(&w, WORLD_TEST, SLOT_BYTES, 0x20);
    assert_null(esp_ota_get_next_update_partition(NULL));
    assert_ptr_equal(esp_ota_get_boot_partition(), app(0x20));
    assert_int_equal(esp_ota_get_app_partition_count(), 0);
    end();
}

static void test_gap_in_the_slots(void **state) {
    (void)state;
    idf_world_begin(&w, WORLD_A_GAP, SLOT_BYTES, A);
    assert_int_equal(esp_ota_get_app_partition_count(), 1);
    // The walk does not mind the gap, the count does.
    assert_ptr_equal(esp_ota_get_next_update_partition(NULL), app(0x12));
    assert_int_equal(
            esp_ota_set_boot_partition(app(0x12)), ESP_ERR_INVALID_ARG);
    end();
}

static void test_boot_partition_looks_at_records(void **state) {
    (void)state;
    static const struct {
        uint32_t seq0, state0, seq1, state1;
        bool bad0, bad1;
        uint8_t boots;
    } vectors[] = {
            {NONE, 0, NONE, 0, false, false, F},
            {1, INVALID, 2, ABORTED, false, false, F},
            {1, VALID, 2, VALID, true, true, F},
            {1, VALID, 2, VALID, false, false, B},
            {1, VALID, 2, VALID, false, true, A},
            {3, VALID, 2, VALID, false, false, A},
            {2, VALID, 2, NEW, false, false, B},
            {1, 7, NONE, 0, false, false, A},
            {0xFFFFFFFE, VALID, 1, VALID, false, false, B},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        begin(NONE, 0, NONE, 0, F);
        world_put_record(&w.world, 0, vectors[i].seq0, vectors[i].state0,
                vectors[i].bad0);
        world_put_record(&w.world, 1, vectors[i].seq1, vectors[i].state1,
                vectors[i].bad1);
        print_message("vector %zu\n", i);
        assert_ptr_equal(esp_ota_get_boot_partition(), app(vectors[i].boots));
        end();
    }
}

static void test_boot_default_without_factory(void **state) {
    (void)state;
    idf_world_begin(&w, WORLD_A_B, SLOT_BYTES, A);
    assert_ptr_equal(esp_ota_get_boot_partition(), app(A));
    end();
}

// Confirming and going back.

static void test_mark_valid_acts_on_the_record(void **state) {
    (void)state;
    begin(1, VALID, NONE, 0, A);
    assert_int_equal(esp_ota_set_boot_partition(app(B)), ESP_OK);
    assert_int_equal(esp_ota_mark_app_valid_cancel_rollback(), ESP_OK);
    // A is running, and the slot that never ran is confirmed.
    assert_record(1, 2, VALID);
    end();
}

static void test_rollback_possible(void **state) {
    (void)state;
    static const struct {
        uint32_t seq0, state0, seq1, state1;
        uint8_t bad; // subtype of the bad image; 0xFF none
        bool possible;
    } vectors[] = {
            {1, VALID, 2, PENDING, 0xFF, true},
            {1, VALID, 2, PENDING, A, false},     // factory is not considered
            {1, INVALID, 2, PENDING, 0xFF, true}, // factory
            {1, INVALID, 2, PENDING, F, false},
            {NONE, 0, 2, PENDING, 0xFF, true},
            {1, ABORTED, 2, INVALID, 0xFF, false},
            {NONE, 0, NONE, 0, 0xFF, false},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        begin(vectors[i].seq0, vectors[i].state0, vectors[i].seq1,
                vectors[i].state1, B);
        if (vectors[i].bad != 0xFF) {
            const struct world_image bad = {.is_bad = true};
            world_put_image(&w.world, vectors[i].bad, &bad);
        }
        print_message("vector %zu\n", i);
        assert_int_equal(
                esp_ota_check_rollback_is_possible(), vectors[i].possible);
        bool has_active = i != 5 && i != 6;
        assert_int_equal(esp_ota_mark_app_invalid_rollback(),
                vectors[i].possible ? ESP_OK
                : has_active        ? ESP_ERR_OTA_ROLLBACK_FAILED
                                    : ESP_FAIL);
        assert_int_equal(w.restarts, 0);
        end();
    }
}

static void test_mark_invalid_refused_does_not_restart(void **state) {
    (void)state;
    begin(1, VALID, NONE, 0, A);
    const struct world_image bad = {.is_bad = true};
    world_put_image(&w.world, F, &bad);
    assert_int_equal(esp_ota_mark_app_invalid_rollback_and_reboot(),
            ESP_ERR_OTA_ROLLBACK_FAILED);
    assert_int_equal(w.restarts, 0);
    assert_log("");
    begin_release(BATON_IDF_V5_4);
    assert_int_equal(
            esp_ota_mark_app_invalid_rollback(), ESP_ERR_NOT_SUPPORTED);
    end();
}

static void test_state_is_the_first_match(void **state) {
    (void)state;
    begin(1, ABORTED, 3, VALID, A);
    esp_ota_img_states_t ota_state;
    assert_int_equal(
            esp_ota_get_state_partition(NULL, &ota_state), ESP_ERR_INVALID_ARG);
    assert_int_equal(
            esp_ota_get_state_partition(app(A), NULL), ESP_ERR_INVALID_ARG);
    assert_int_equal(esp_ota_get_state_partition(app(A), &ota_state), ESP_OK);
    assert_int_equal(ota_state, ESP_OTA_IMG_ABORTED);
    world_put_record(&w.world, 0, 1, ABORTED, true);
    assert_int_equal(esp_ota_get_state_partition(app(A), &ota_state), ESP_OK);
    assert_int_equal(ota_state, ESP_OTA_IMG_VALID);
    // Sequence 0 over erased bytes is a good record, of slot 1.
    memset(w.world.bytes + WORLD_OTADATA_ADDR, 0xFF, 32);
    memset(w.world.bytes + WORLD_OTADATA_ADDR, 0, 4);
    assert_int_equal(esp_ota_get_state_partition(app(B), &ota_state), ESP_OK);
    assert_true(ota_state == ESP_OTA_IMG_UNDEFINED);
    end();
}

static void test_last_invalid(void **state) {
    (void)state;
    begin(1, INVALID, 2, ABORTED, F);
    assert_ptr_equal(esp_ota_get_last_invalid_partition(), app(A));
    const struct world_image bad = {.is_bad = true};
    world_put_image(&w.world, A, &bad);
    assert_null(esp_ota_get_last_invalid_partition());
    world_put_record(&w.world, 0, 4, INVALID, false);
    // The smaller sequence number is copy 1's now, of a slot that verifies.
    assert_ptr_equal(esp_ota_get_last_invalid_partition(), app(B));
    end();
}

static void test_erase_last_boot(void **state) {
    (void)state;
    begin(1, VALID, 2, VALID, B);
    assert_int_equal(esp_ota_erase_last_boot_app_partition(), ESP_OK);
    assert_log("E 30000 10000; E 40000 10000; E d000 1000; ");
    assert_int_equal(esp_ota_erase_last_boot_app_partition(), ESP_FAIL);
    end();
    begin(1, VALID, 2, VALID, A);
    assert_int_equal(esp_ota_erase_last_boot_app_partition(), ESP_FAIL);
    assert_int_equal(esp_ota_invalidate_inactive_ota_data_slot(), ESP_FAIL);
    assert_log("");
    end();
    begin(1, ABORTED, 2, VALID, B);
    assert_int_equal(esp_ota_invalidate_inactive_ota_data_slot(), ESP_OK);
    assert_log("E d000 1000; ");
    end();
}

// Anti-rollback.

static void begin_anti(uint32_t efuse) {
    begin(1, VALID, 2, PENDING, B);
    const struct world_image old = {.secure_version = 1};
    const struct world_image new = {.secure_version = 2};
    world_put_image(&w.world, A, &old);
    world_put_image(&w.world, B, &new);
    w.world.chip.secure_version = efuse;
    w.config.anti_rollback = true;
    idf_world_attach(&w);
}

static void test_anti_rollback_burns_on_confirm(void **state) {
    (void)state;
    begin_anti(1);
    assert_true(esp_ota_check_rollback_is_possible());
    assert_int_equal(esp_ota_mark_app_valid_cancel_rollback(), ESP_OK);
    assert_int_equal(esp_efuse_read_secure_version(), 2);
    assert_false(esp_ota_check_rollback_is_possible());
    end();
    // An eFuse above the running image: the record is written all the same.
    begin_anti(3);
    assert_int_equal(esp_ota_mark_app_valid_cancel_rollback(), ESP_FAIL);
    assert_record(1, 2, VALID);
    assert_int_equal(esp_efuse_read_secure_version(), 3);
    end();
}

static void test_anti_rollback_destroys_an_old_image(void **state) {
    (void)state;
    begin_anti(2);
    assert_int_equal(
            esp_ota_set_boot_partition(app(A)), ESP_ERR_OTA_SMALL_SEC_VER);
    assert_log("E 30000 10000; E 40000 10000; ");
    // Factory is not asked for its version.
    assert_int_equal(esp_ota_set_boot_partition(app(F)), ESP_OK);
    end();
}

static void test_anti_rollback_ignores_factory(void **state) {
    (void)state;
    begin_anti(0);
    world_put_record(&w.world, 0, 1, INVALID, false);
    assert_false(esp_ota_check_rollback_is_possible());
    end();
}

static void test_efuse_rules(void **state) {
    (void)state;
    begin_anti(5);
    assert_int_equal(esp_efuse_update_secure_version(33), ESP_ERR_INVALID_ARG);
    assert_int_equal(esp_efuse_update_secure_version(4), ESP_FAIL);
    assert_int_equal(esp_efuse_update_secure_version(5), ESP_OK);
    assert_int_equal(esp_efuse_update_secure_version(32), ESP_OK);
    assert_true(esp_efuse_check_secure_version(32));
    assert_false(esp_efuse_check_secure_version(31));
    end();
}

// Descriptions.

static void test_partition_description(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    const struct world_image spec = {
            .version = "v1.26.1-thirty-two-bytes-of-text", .chip_id = 0};
    world_put_image(&w.world, A, &spec);
    esp_app_desc_t desc;
    assert_int_equal(esp_ota_get_partition_description(NULL, &desc),
            ESP_ERR_INVALID_ARG);
    assert_int_equal(esp_ota_get_partition_description(app(A), NULL),
            ESP_ERR_INVALID_ARG);
    const esp_partition_t *nvs = esp_partition_find_first(
            ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_NVS, NULL);
    assert_int_equal(esp_ota_get_partition_description(nvs, &desc),
            ESP_ERR_NOT_SUPPORTED);
    assert_int_equal(esp_ota_get_partition_description(app(A), &desc), ESP_OK);
    assert_memory_equal(desc.version, spec.version, 32);
    w.world.bytes[0x30020] ^= 1;
    assert_int_equal(esp_ota_get_partition_description(app(A), &desc),
            ESP_ERR_NOT_FOUND);
    end();
}

static void test_bootloader_description(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    esp_bootloader_desc_t desc;
    assert_int_equal(esp_ota_get_bootloader_description(NULL, NULL),
            ESP_ERR_INVALID_ARG);
    assert_int_equal(
            esp_ota_get_bootloader_description(NULL, &desc), ESP_ERR_NOT_FOUND);
    w.world.bytes[0x1020] = 0x50;
    memcpy(w.world.bytes + 0x1028, "v5.5.2", 7);
    assert_int_equal(esp_ota_get_bootloader_description(NULL, &desc), ESP_OK);
    assert_string_equal(desc.idf_ver, "v5.5.2");
    end();
}

static void test_running_description(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, A);
    memset(w.world.bytes + 0x30000 + 32 + 144, 0xAB, 32);
    const esp_app_desc_t *desc = esp_app_get_description();
    assert_int_equal(desc->magic_word, ESP_APP_DESC_MAGIC_WORD);
    assert_ptr_equal(esp_ota_get_app_description(), desc);
    char text[65];
    assert_int_equal(esp_app_get_elf_sha256(text, sizeof(text)), 65);
    assert_int_equal(strspn(text, "ab"), 64);
    assert_int_equal(esp_ota_get_app_elf_sha256(text, 10), 9);
    assert_string_equal(text, "abababab");
    assert_int_equal(esp_app_get_elf_sha256(text, 1), 1);
    assert_string_equal(text, "");
    end();
}

static void test_check_image_validity(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    esp_image_header_t header = {.magic = 0xE9, .chip_id = 0};
    const esp_partition_type_t type = ESP_PARTITION_TYPE_APP;
    assert_int_equal(esp_ota_check_image_validity(type, &header, NULL),
            ESP_ERR_NOT_SUPPORTED);
    w.world.bytes[0x10020 + 181] = 2;
    begin_release(BATON_IDF_V6_1);
    assert_int_equal(esp_ota_check_image_validity(type, NULL, NULL),
            ESP_ERR_INVALID_ARG);
    assert_int_equal(esp_ota_check_image_validity(
                             ESP_PARTITION_TYPE_DATA, &header, NULL),
            ESP_ERR_INVALID_ARG);
    assert_int_equal(esp_ota_check_image_validity(type, &header, NULL), ESP_OK);
    header.min_chip_rev_full = 301;
    assert_int_equal(esp_ota_check_image_validity(type, &header, NULL),
            ESP_ERR_INVALID_VERSION);
    header.min_chip_rev_full = 0;
    header.max_chip_rev_full = 299;
    assert_int_equal(esp_ota_check_image_validity(type, &header, NULL),
            ESP_ERR_INVALID_VERSION);
    assert_int_equal(esp_ota_check_image_validity(
                             ESP_PARTITION_TYPE_BOOTLOADER, &header, NULL),
            ESP_OK);
    header.max_chip_rev_full = 0;
    header.chip_id = 9;
    assert_int_equal(esp_ota_check_image_validity(type, &header, NULL),
            ESP_ERR_INVALID_VERSION);
    header.chip_id = 0;
    esp_app_desc_t desc = {.spi_flash_mode = 0};
    assert_int_equal(
            esp_ota_check_image_validity(type, &header, &desc), ESP_OK);
    desc.spi_flash_mode = 3;
    assert_int_equal(esp_ota_check_image_validity(type, &header, &desc),
            ESP_ERR_OTA_SPI_MODE_MISMATCH);
    desc.spi_flash_mode = 2;
    assert_int_equal(
            esp_ota_check_image_validity(type, &header, &desc), ESP_OK);
    end();
}

// esp_image_verify's own codes.

static void test_image_codes(void **state) {
    (void)state;
    static const struct {
        uint32_t off;
        uint8_t flip;
        esp_err_t err;
    } vectors[] = {
            {0, 0x01, ESP_ERR_IMAGE_INVALID},   // magic
            {12, 0x09, ESP_FAIL},               // chip
            {1, 0x01, ESP_ERR_IMAGE_INVALID},   // segment count 0
            {1, 0x10, ESP_ERR_IMAGE_INVALID},   // 17
            {400, 0x80, ESP_ERR_IMAGE_INVALID}, // data: checksum
            {24, 0x04, ESP_ERR_IMAGE_INVALID},  // mapped 4 off
            {28, 0x01, ESP_ERR_IMAGE_INVALID},  // segment length
            {31, 0x01, ESP_ERR_IMAGE_INVALID},  // 16 MiB
    };
    begin(NONE, 0, NONE, 0, F);
    const esp_partition_pos_t pos = {0x30000, SLOT_BYTES};
    esp_image_metadata_t data;
    assert_int_equal(esp_image_verify(ESP_IMAGE_VERIFY, &pos, &data), ESP_OK);
    assert_int_equal(data.start_addr, 0x30000);
    assert_int_equal(data.image.magic, 0xE9);
    assert_int_equal(data.segments[0].load_addr, 0x3F400020);
    assert_int_equal(data.segment_data[0], 0x30020);
    assert_int_equal(data.mmu_page_size, 0x10000);
    assert_memory_equal(data.image_digest,
            w.world.bytes + 0x30000 + data.image_len - 32, 32);
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        print_message("vector %zu\n", i);
        w.world.bytes[0x30000 + vectors[i].off] ^= vectors[i].flip;
        assert_int_equal(esp_image_verify(ESP_IMAGE_VERIFY, &pos, &data),
                vectors[i].err);
        assert_int_equal(data.image_len, 0);
        w.world.bytes[0x30000 + vectors[i].off] ^= vectors[i].flip;
    }
    assert_int_equal(esp_image_verify(ESP_IMAGE_VERIFY, NULL, &data),
            ESP_ERR_INVALID_ARG);
    const esp_partition_pos_t huge = {0x30000, 0x1000001};
    assert_int_equal(esp_image_verify(ESP_IMAGE_VERIFY, &huge, &data),
            ESP_ERR_INVALID_ARG);
    end();
}

static void test_error_names(void **state) {
    (void)state;
    assert_string_equal(esp_err_to_name(0), "ESP_OK");
    assert_string_equal(esp_err_to_name(-1), "ESP_FAIL");
    assert_string_equal(esp_err_to_name(0x1503), "ESP_ERR_OTA_VALIDATE_FAILED");
    assert_string_equal(
            esp_err_to_name(0x1508), "ESP_ERR_OTA_SPI_MODE_MISMATCH");
    assert_string_equal(esp_err_to_name(0x1102), "ESP_ERR_NVS_NOT_FOUND");
    assert_string_equal(esp_err_to_name(0x2002), "ESP_ERR_IMAGE_INVALID");
    assert_string_equal(esp_err_to_name(0x6001), "ESP_ERR_FLASH_OP_FAIL");
    assert_string_equal(esp_err_to_name(0x77777), "UNKNOWN ERROR");
    char text[32];
    assert_string_equal(
            esp_err_to_name_r(0x105, text, sizeof(text)), "ESP_ERR_NOT_FOUND");
    assert_string_equal(esp_err_to_name_r(0x777, text, sizeof(text)),
            "Unknown error 0x777(1911)");
}

static void test_attach_arguments(void **state) {
    (void)state;
    begin(NONE, 0, NONE, 0, F);
    struct baton_idf_config config = w.config;
    config.flash = NULL;
    assert_int_not_equal(baton_idf_attach(&config), 0);
    config = w.config;
    config.crypto = NULL;
    assert_int_not_equal(baton_idf_attach(&config), 0);
    config = w.config;
    config.anti_rollback = true;
    config.burn_secure_version = NULL;
    assert_int_not_equal(baton_idf_attach(&config), 0);
    // Nothing attached: everything fails, nothing crashes.
    assert_null(app(A));
    esp_ota_handle_t handle;
    esp_partition_t part = {.size = 4096};
    assert_int_equal(esp_ota_begin(&part, 0, &handle), ESP_ERR_NOT_FOUND);
    assert_int_equal(
            esp_ota_set_boot_partition(&part), ESP_ERR_OTA_VALIDATE_FAILED);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_set_boot_checks_in_order),
            cmocka_unit_test(test_set_boot_refuses_a_bad_image),
            cmocka_unit_test(test_set_boot_keeps_the_label),
            cmocka_unit_test(test_set_boot_without_rollback),
            cmocka_unit_test(test_no_otadata),
            cmocka_unit_test(test_sequence_ends),
            cmocka_unit_test(test_running_is_found_by_address),
            cmocka_unit_test(test_next_goes_round),
            cmocka_unit_test(test_gap_in_the_slots),
            cmocka_unit_test(test_boot_partition_looks_at_records),
            cmocka_unit_test(test_boot_default_without_factory),
            cmocka_unit_test(test_mark_valid_acts_on_the_record),
            cmocka_unit_test(test_rollback_possible),
            cmocka_unit_test(test_mark_invalid_refused_does_not_restart),
            cmocka_unit_test(test_state_is_the_first_match),
            cmocka_unit_test(test_last_invalid),
            cmocka_unit_test(test_erase_last_boot),
            cmocka_unit_test(test_anti_rollback_burns_on_confirm),
            cmocka_unit_test(test_anti_rollback_destroys_an_old_image),
            cmocka_unit_test(test_anti_rollback_ignores_factory),
            cmocka_unit_test(test_efuse_rules),
            cmocka_unit_test(test_partition_description),
            cmocka_unit_test(test_bootloader_description),
            cmocka_unit_test(test_running_description),
            cmocka_unit_test(test_check_image_validity),
            cmocka_unit_test(test_image_codes),
            cmocka_unit_test(test_error_names),
            cmocka_unit_test(test_attach_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
