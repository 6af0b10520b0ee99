// The bootloader's descriptor, by ESP-IDF's names.
// SPDX-License-Identifier: MIT
#ifndef BATON_IDF_ESP_BOOTLOADER_DESC_H
#define BATON_IDF_ESP_BOOTLOADER_DESC_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ESP_BOOTLOADER_DESC_MAGIC_BYTE 0x50

typedef struct {
    uint8_t magic_byte;
    uint8_t reserved[2];
    uint8_t secure_version;
    uint32_t version;
    char idf_ver[32];
    char date_time[24];
    uint8_t reserved2[16];
} esp_bootloader_desc_t;

#ifdef __cplusplus
}
#endif

#endif
