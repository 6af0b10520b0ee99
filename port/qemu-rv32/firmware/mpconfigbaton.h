// MicroPython's QEMU port with what the board has besides: a clock, and a
// standard input that can be read as bytes.
// SPDX-License-Identifier: MIT
#include "mpconfigport.h"

#undef MICROPY_PY_SYS_PLATFORM
#define MICROPY_PY_SYS_PLATFORM "baton-rv32"
#undef MICROPY_PY_TIME
#define MICROPY_PY_TIME (1)
#undef MICROPY_PY_SYS_STDIO_BUFFER
#define MICROPY_PY_SYS_STDIO_BUFFER (1)
