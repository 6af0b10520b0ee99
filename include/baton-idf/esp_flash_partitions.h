// What partition table and otadata look like on flash, by ESP-IDF's names.
// SPDX-License-Identifier: MIT
#ifndef BATON_IDF_ESP_FLASH_PARTITIONS_H
#define BATON_IDF_ESP_FLASH_PARTITIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "esp_err.h"
#include "sdkconfig.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ESP_PARTITION_MAGIC      0x50AA
#define ESP_PARTITION_MAGIC_MD5  0xEBEB
#define ESP_PARTITION_MD5_OFFSET 16

#define PART_TYPE_APP         0x00
#define PART_SUBTYPE_FACTORY  0x00
#define PART_SUBTYPE_OTA_FLAG 0x10
#define PART_SUBTYPE_OTA_MASK 0x0F
#define PART_SUBTYPE_TEST     0x20
#define PART_TYPE_DATA        0x01
#define PART_SUBTYPE_DATA_OTA 0x00
#define PART_FLAG_ENCRYPTED   (1 << 0)
#define PART_FLAG_READONLY    (1 << 1)

#define ESP_PARTITION_TABLE_OFFSET      CONFIG_PARTITION_TABLE_OFFSET
#define ESP_PARTITION_TABLE_MAX_LEN     0xC00
#define ESP_PARTITION_TABLE_MAX_ENTRIES (ESP_PARTITION_TABLE_MAX_LEN / 32)

// UNDEFINED is past what ISO C gives an enumerator.
__extension__ typedef enum {
    ESP_OTA_IMG_NEW = 0x0U,
    ESP_OTA_IMG_PENDING_VERIFY = 0x1U,
    ESP_OTA_IMG_VALID = 0x2U,
    ESP_OTA_IMG_INVALID = 0x3U,
    ESP_OTA_IMG_ABORTED = 0x4U,
    ESP_OTA_IMG_UNDEFINED = 0xFFFFFFFFU,
} esp_ota_img_states_t;

typedef struct {
    uint32_t ota_seq;
    uint8_t seq_label[20];
    uint32_t ota_state;
    uint32_t crc; // of ota_seq alone
} esp_ota_select_entry_t;

typedef struct {
    uint32_t offset;
    uint32_t size;
} esp_partition_pos_t;

typedef struct {
    uint16_t magic;
    uint8_t type;
    uint8_t subtype;
    esp_partition_pos_t pos;
    uint8_t label[16];
    uint32_t flags;
} esp_partition_info_t;

// Checks a table as the bootloader does (no overlaps, no alignment).
esp_err_t esp_partition_table_verify(
        const esp_partition_info_t *partition_table, bool log_errors,
        int *num_partitions);

#ifdef __cplusplus
}
#endif

#endif
