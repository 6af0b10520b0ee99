// ESP-IDF's name for where esp_flash_encryption_enabled is declared.
// SPDX-License-Identifier: MIT
#ifndef BATON_IDF_ESP_FLASH_ENCRYPT_H
#define BATON_IDF_ESP_FLASH_ENCRYPT_H

#include "esp_flash.h"

#endif
