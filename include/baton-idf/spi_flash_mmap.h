// ESP-IDF's name for where the flash sector's size is defined.
// SPDX-License-Identifier: MIT
#ifndef BATON_IDF_SPI_FLASH_MMAP_H
#define BATON_IDF_SPI_FLASH_MMAP_H

#include "esp_flash.h"

#define SPI_FLASH_MMU_PAGE_SIZE 0x10000

#endif
