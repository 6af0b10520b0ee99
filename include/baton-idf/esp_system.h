// A restart and what the last one was, by ESP-IDF's names.
// SPDX-License-Identifier: MIT
#ifndef BATON_IDF_ESP_SYSTEM_H
#define BATON_IDF_ESP_SYSTEM_H

#ifdef __cplusplus
extern "C" {
#endif

// Why this boot happened. ESP-IDF's numbers.
typedef enum {
    ESP_RST_UNKNOWN = 0,
    ESP_RST_POWERON = 1,
    ESP_RST_EXT = 2,
    ESP_RST_SW = 3,
    ESP_RST_PANIC = 4,
    ESP_RST_INT_WDT = 5,
    ESP_RST_TASK_WDT = 6,
    ESP_RST_WDT = 7,
    ESP_RST_DEEPSLEEP = 8,
    ESP_RST_BROWNOUT = 9,
    ESP_RST_SDIO = 10,
    ESP_RST_USB = 11, // from here on since v5.1 or later
    ESP_RST_JTAG = 12,
    ESP_RST_EFUSE = 13,
    ESP_RST_PWR_GLITCH = 14,
    ESP_RST_CPU_LOCKUP = 15,
} esp_reset_reason_t;

// What the attached board's `reset_reason` says.
esp_reset_reason_t esp_reset_reason(void);

// Calls the attached board's `restart`; ends the process with status 64 where
// there is none. Returns only where that callback does.
void esp_restart(void);

#ifdef __cplusplus
}
#endif

#endif
