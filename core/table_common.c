// What the files of the partition table share: keywords, places, faults.
// SPDX-License-Identifier: MIT
#include "table_common.h"

#include <string.h>

#define APP_STEP_BYTES 0x10000u
#define STEP_BYTES     0x1000u

static const struct baton_table_keyword types[] = {
        {0, BATON_TYPE_APP, "app"},
        {0, BATON_TYPE_DATA, "data"},
        {0, BATON_TYPE_BOOTLOADER, "bootloader"},
        {0, BATON_TYPE_TABLE, "partition_table"},
};

static const struct baton_table_keyword subtypes[] = {
        {BATON_TYPE_APP, BATON_SUBTYPE_APP_FACTORY, "factory"},
        {BATON_TYPE_APP, 0x10, "ota_0"},
        {BATON_TYPE_APP, 0x11, "ota_1"},
        {BATON_TYPE_APP, 0x12, "ota_2"},
        {BATON_TYPE_APP, 0x13, "ota_3"},
        {BATON_TYPE_APP, 0x14, "ota_4"},
        {BATON_TYPE_APP, 0x15, "ota_5"},
        {BATON_TYPE_APP, 0x16, "ota_6"},
        {BATON_TYPE_APP, 0x17, "ota_7"},
        {BATON_TYPE_APP, 0x18, "ota_8"},
        {BATON_TYPE_APP, 0x19, "ota_9"},
        {BATON_TYPE_APP, 0x1A, "ota_10"},
        {BATON_TYPE_APP, 0x1B, "ota_11"},
        {BATON_TYPE_APP, 0x1C, "ota_12"},
        {BATON_TYPE_APP, 0x1D, "ota_13"},
        {BATON_TYPE_APP, 0x1E, "ota_14"},
        {BATON_TYPE_APP, 0x1F, "ota_15"},
        {BATON_TYPE_APP, BATON_SUBTYPE_APP_TEST, "test"},
        {BATON_TYPE_APP, 0x30, "tee_0"},
        {BATON_TYPE_APP, 0x31, "tee_1"},
        {BATON_TYPE_DATA, BATON_SUBTYPE_DATA_OTA, "ota"},
        {BATON_TYPE_DATA, 0x01, "phy"},
        {BATON_TYPE_DATA, BATON_SUBTYPE_DATA_NVS, "nvs"},
        {BATON_TYPE_DATA, BATON_SUBTYPE_DATA_COREDUMP, "coredump"},
        {BATON_TYPE_DATA, 0x04, "nvs_keys"},
        {BATON_TYPE_DATA, 0x05, "efuse"},
        {BATON_TYPE_DATA, BATON_SUBTYPE_DATA_UNDEFINED, "undefined"},
        {BATON_TYPE_DATA, 0x80, "esphttpd"},
        {BATON_TYPE_DATA, 0x81, "fat"},
        {BATON_TYPE_DATA, 0x82, "spiffs"},
        {BATON_TYPE_DATA, 0x83, "littlefs"},
        {BATON_TYPE_DATA, BATON_SUBTYPE_DATA_TEE_OTA, "tee_ota"},
        {BATON_TYPE_BOOTLOADER, BATON_SUBTYPE_BOOTLOADER_PRIMARY, "primary"},
        {BATON_TYPE_BOOTLOADER, 0x01, "ota"},
        {BATON_TYPE_BOOTLOADER, BATON_SUBTYPE_BOOTLOADER_RECOVERY, "recovery"},
        {BATON_TYPE_TABLE, BATON_SUBTYPE_TABLE_PRIMARY, "primary"},
        {BATON_TYPE_TABLE, 0x01, "ota"},
};

const struct baton_table_keyword *baton_table_type_at(size_t index) {
    size_t count = sizeof(types) / sizeof(types[0]);
    return index < count ? &types[index] : NULL;
}

const struct baton_table_keyword *baton_table_subtype_at(size_t index) {
    size_t count = sizeof(subtypes) / sizeof(subtypes[0]);
    return index < count ? &subtypes[index] : NULL;
}

const char *baton_table_type_name(uint8_t type) {
    const struct baton_table_keyword *k;
    for (size_t i = 0; (k = baton_table_type_at(i)) != NULL; i++) {
        if (k->value == type) {
            return k->name;
        }
    }
    return NULL;
}

const char *baton_table_subtype_name(uint8_t type, uint8_t subtype) {
    const struct baton_table_keyword *k;
    for (size_t i = 0; (k = baton_table_subtype_at(i)) != NULL; i++) {
        if (k->type == type && k->value == subtype) {
            return k->name;
        }
    }
    return NULL;
}

uint32_t baton_table_type_step(uint8_t type) {
    return type == BATON_TYPE_APP ? APP_STEP_BYTES : STEP_BYTES;
}

bool baton_table_is_primary(uint8_t type, uint8_t subtype) {
    return (type == BATON_TYPE_BOOTLOADER
                   && subtype == BATON_SUBTYPE_BOOTLOADER_PRIMARY)
           || (type == BATON_TYPE_TABLE
                   && subtype == BATON_SUBTYPE_TABLE_PRIMARY);
}

uint32_t baton_table_addr(const struct baton_table_options *options) {
    if (options == NULL) {
        return BATON_TABLE_ADDR;
    }
    bool is_default = options->table_addr == 0 && !options->table_at_zero;
    return is_default ? BATON_TABLE_ADDR : options->table_addr;
}

uint64_t baton_table_first_free(const struct baton_table_options *options) {
    return (uint64_t)baton_table_addr(options) + BATON_TABLE_SECTOR_BYTES;
}

void baton_table_fault_clear(struct baton_table_fault *fault) {
    if (fault != NULL) {
        memset(fault, 0, sizeof(*fault));
        fault->row = -1;
        fault->other_row = -1;
        fault->field = -1;
    }
}

void baton_table_fault_set(struct baton_table_fault *fault, int row,
        int other_row, const char *text, size_t len) {
    if (fault == NULL) {
        return;
    }
    size_t kept = len < sizeof(fault->text) ? len : sizeof(fault->text) - 1;
    fault->row = row;
    fault->other_row = other_row;
    memcpy(fault->text, text, kept);
    fault->text[kept] = 0;
}
