// SPDX-License-Identifier: MIT
#pragma once

#include "FreeRTOS.h"

void vTaskDelay(TickType_t ticks);
BaseType_t xTaskCreate(void (*code)(void *), const char *name, uint32_t stack,
        void *parameters, UBaseType_t priority, void **created);
