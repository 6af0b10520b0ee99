// For MicroPython's headers where there is no C library.
// SPDX-License-Identifier: MIT
#include <stddef.h>
#include <stdint.h>
