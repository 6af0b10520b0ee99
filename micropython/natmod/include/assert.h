// For MicroPython's headers where there is no C library: nothing is asserted.
// SPDX-License-Identifier: MIT
#undef assert
#define assert(expression) ((void)0)
