// Stands in for ESP-IDF: what MicroPython's pins need.
// SPDX-License-Identifier: MIT
#ifndef ESP32_PORT_GPIO_H
#define ESP32_PORT_GPIO_H

#include <stdint.h>

typedef int gpio_num_t;

enum {
    GPIO_MODE_INPUT,
    GPIO_MODE_OUTPUT,
    GPIO_MODE_INPUT_OUTPUT,
    GPIO_MODE_INPUT_OUTPUT_OD,
};

#define GPIO_OUT_REG 0x60004004

void esp_rom_gpio_pad_select_gpio(gpio_num_t pin);
int gpio_set_direction(gpio_num_t pin, int mode);
int gpio_set_level(gpio_num_t pin, uint32_t level);
int gpio_get_level(gpio_num_t pin);

#endif
