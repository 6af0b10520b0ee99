// Stands in for ESP-IDF: the type of a bus.
// SPDX-License-Identifier: MIT
#ifndef ESP32_PORT_SPI_MASTER_H
#define ESP32_PORT_SPI_MASTER_H

#include "esp_err.h"

typedef int spi_host_device_t;

#endif
