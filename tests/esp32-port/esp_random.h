// Stands in for ESP-IDF: random numbers.
// SPDX-License-Identifier: MIT
#ifndef ESP32_PORT_ESP_RANDOM_H
#define ESP32_PORT_ESP_RANDOM_H

#include <stdint.h>

uint32_t esp_random(void);

#endif
