// What the files of the ESP-IDF layer share.
// SPDX-License-Identifier: MIT
#ifndef BATON_POSIX_IDF_STATE_H
#define BATON_POSIX_IDF_STATE_H

#include "baton-idf/esp_err.h"
#include "baton-idf/esp_flash.h"
#include "baton-idf/esp_flash_partitions.h"
#include "baton-idf/esp_partition.h"
#include "baton-posix/idf.h"

struct baton_idf_state {
    struct baton_idf_config config; // all zeros: nothing is attached
    uint32_t bootloader_addr;       // images here get a bootloader's checks
    bool unprotected;               // an update of bootloader or table began
};

extern struct baton_idf_state baton_idf_state;

// Says that ESP-IDF would assert or abort here. Returns where the hook does.
void baton_idf_fatal(const char *what);

// Forget what belongs to the board that was attached.
void baton_idf_partition_reset(void);
void baton_idf_boot_reset(void);
void baton_idf_ota_reset(void);
void baton_idf_nvs_reset(void);

uint16_t baton_idf_chip_id(void);

// Bootloader's check of an image in [addr, addr + size).
esp_err_t baton_idf_image_validate(uint32_t addr, uint32_t size);

bool baton_idf_is_ota_app(const esp_partition_t *partition);

#endif
