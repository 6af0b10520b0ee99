// Stands in for ESP-IDF: what MicroPython's mutexes need.
// SPDX-License-Identifier: MIT
#ifndef ESP32_PORT_SEMPHR_H
#define ESP32_PORT_SEMPHR_H

typedef struct semaphore *SemaphoreHandle_t;
typedef struct {
    void *field[20];
} StaticSemaphore_t;

#endif
