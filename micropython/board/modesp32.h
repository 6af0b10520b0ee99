// What the ESP32 port declares, for modules that are built for it as well.
// SPDX-License-Identifier: MIT
#ifndef BATON_BOARD_MODESP32_H
#define BATON_BOARD_MODESP32_H

#include "firmware.h"

#include "py/mpthread.h"

extern const mp_obj_type_t esp32_partition_type;

#define check_esp_err(code) baton_firmware_check(code)

// ESP-IDF's functions may be called by one thread at a time here
// (baton-posix/idf.h), and take no time.
#undef MP_THREAD_GIL_EXIT
#undef MP_THREAD_GIL_ENTER
#define MP_THREAD_GIL_EXIT()
#define MP_THREAD_GIL_ENTER()

#endif
