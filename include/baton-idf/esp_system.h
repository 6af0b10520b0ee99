// A restart, by ESP-IDF's name.
// SPDX-License-Identifier: MIT
#ifndef BATON_IDF_ESP_SYSTEM_H
#define BATON_IDF_ESP_SYSTEM_H

#ifdef __cplusplus
extern "C" {
#endif

// Calls the attached board's `restart`; ends the process with status 64 where
// there is none. Returns only where that callback does.
void esp_restart(void);

#ifdef __cplusplus
}
#endif

#endif
