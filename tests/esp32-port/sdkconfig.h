// Stands in for ESP-IDF: the options of an ESP32-C3.
// SPDX-License-Identifier: MIT
#ifndef BATON_IDF_SDKCONFIG_H // in place of include/baton-idf/sdkconfig.h
#define BATON_IDF_SDKCONFIG_H

#define CONFIG_IDF_TARGET                     "esp32c3"
#define CONFIG_IDF_TARGET_ESP32C3             1
#define CONFIG_IDF_TARGET_ARCH_RISCV          1
#define CONFIG_FREERTOS_UNICORE               1
#define CONFIG_PARTITION_TABLE_OFFSET         0x8000
#define CONFIG_PARTITION_TABLE_MD5            1
#define CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE 1

#endif
