// One-shot timers, by ESP-IDF's names, as far as the binding uses them.
// SPDX-License-Identifier: MIT
#ifndef BATON_BOARD_ESP_TIMER_H
#define BATON_BOARD_ESP_TIMER_H

#include <stdint.h>

#include "esp_err.h"

typedef struct esp_timer *esp_timer_handle_t;

// Called on the timers' own thread, whatever the interpreter does.
typedef void (*esp_timer_cb_t)(void *arg);

typedef struct {
    esp_timer_cb_t callback;
    void *arg;
    const char *name;
} esp_timer_create_args_t;

// Errors: ESP_ERR_INVALID_ARG, ESP_ERR_NO_MEM.
esp_err_t esp_timer_create(
        const esp_timer_create_args_t *args, esp_timer_handle_t *out);

// Errors: ESP_ERR_INVALID_ARG, ESP_ERR_INVALID_STATE (it runs).
esp_err_t esp_timer_start_once(esp_timer_handle_t timer, uint64_t timeout_us);

// Errors: ESP_ERR_INVALID_ARG, ESP_ERR_INVALID_STATE (it does not run).
esp_err_t esp_timer_stop(esp_timer_handle_t timer);

#endif
