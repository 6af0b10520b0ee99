// The update code of an ESP-IDF application.
// SPDX-License-Identifier: MIT
#ifndef APP_UPDATE_H
#define APP_UPDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "esp_err.h"

// Reads up to len bytes of the new image; 0 at its end.
typedef size_t (*app_read_t)(void *from, void *buffer, size_t len);

// At every boot: starts the storage; confirms an image on trial, or goes back.
void app_start(bool (*works)(void));

// Writes an image to the next slot and chooses it. The caller restarts.
esp_err_t app_update(app_read_t read, void *from);

// Updates made so far.
uint32_t app_update_count(void);

#endif
