// The virtual ESP32 as a variant of MicroPython's unix port: feature level.
// SPDX-License-Identifier: MIT
#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)
#define MICROPY_FLOAT_IMPL       (MICROPY_FLOAT_IMPL_FLOAT)
#define MICROPY_PY_SYS_PLATFORM  "esp32"

#include "variants/mpconfigvariant_common.h"
