// Starting ESP-IDF's non-volatile storage, over the flash that is attached.
// SPDX-License-Identifier: MIT
#ifndef BATON_IDF_NVS_FLASH_H
#define BATON_IDF_NVS_FLASH_H

#include "nvs.h"

#ifdef __cplusplus
extern "C" {
#endif

// The partition labelled "nvs", data of subtype nvs.
esp_err_t nvs_flash_init(void);
esp_err_t nvs_flash_deinit(void);
esp_err_t nvs_flash_erase(void);

#ifdef __cplusplus
}
#endif

#endif
