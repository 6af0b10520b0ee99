// Stands in for ESP-IDF: what MicroPython's atomic sections need.
// SPDX-License-Identifier: MIT
#ifndef ESP32_PORT_FREERTOS_H
#define ESP32_PORT_FREERTOS_H

#include "sdkconfig.h"

typedef int portMUX_TYPE;

void portENTER_CRITICAL(portMUX_TYPE *mutex);
void portEXIT_CRITICAL(portMUX_TYPE *mutex);

#endif
