// ESP-IDF's flash chip functions, over the flash that is attached.
// SPDX-License-Identifier: MIT
#ifndef BATON_IDF_ESP_FLASH_H
#define BATON_IDF_ESP_FLASH_H

#include <stdbool.h>
#include <stdint.h>

#include "esp_err.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ESP_ERR_FLASH_OP_FAIL          (ESP_ERR_FLASH_BASE + 1)
#define ESP_ERR_FLASH_OP_TIMEOUT       (ESP_ERR_FLASH_BASE + 2)
#define ESP_ERR_FLASH_NOT_INITIALISED  (ESP_ERR_FLASH_BASE + 3)
#define ESP_ERR_FLASH_UNSUPPORTED_HOST (ESP_ERR_FLASH_BASE + 4)
#define ESP_ERR_FLASH_UNSUPPORTED_CHIP (ESP_ERR_FLASH_BASE + 5)
#define ESP_ERR_FLASH_PROTECTED        (ESP_ERR_FLASH_BASE + 6)

#define SPI_FLASH_SEC_SIZE 4096

typedef struct esp_flash_t esp_flash_t;

// The attached flash. NULL as a chip means the same.
extern esp_flash_t *esp_flash_default_chip;

esp_err_t esp_flash_get_size(esp_flash_t *chip, uint32_t *out_size);
esp_err_t esp_flash_read(
        esp_flash_t *chip, void *buffer, uint32_t address, uint32_t length);
esp_err_t esp_flash_write(esp_flash_t *chip, const void *buffer,
        uint32_t address, uint32_t length);
// The rules of an encrypted write hold; the bytes stay as they are.
esp_err_t esp_flash_write_encrypted(esp_flash_t *chip, uint32_t address,
        const void *buffer, uint32_t length);
esp_err_t esp_flash_erase_region(
        esp_flash_t *chip, uint32_t start, uint32_t len);

// Whether the attached board has flash encryption (baton-posix/idf.h).
bool esp_flash_encryption_enabled(void);

#ifdef __cplusplus
}
#endif

#endif
