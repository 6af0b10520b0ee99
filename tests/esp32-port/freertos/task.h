// Stands in for ESP-IDF: the handle of a task.
// SPDX-License-Identifier: MIT
#ifndef ESP32_PORT_TASK_H
#define ESP32_PORT_TASK_H

typedef struct task *TaskHandle_t;

#endif
