// What string0.c and the compiler leave of a C library.
// SPDX-License-Identifier: MIT
#include <stdarg.h>
#include <stdio.h>

#include "host.h"
#include "py/mpprint.h"

enum { EXIT_ABORTED = 70 };

int printf(const char *format, ...) {
    va_list args;
    va_start(args, format);
    int len = mp_vprintf(&mp_plat_print, format, args);
    va_end(args);
    return len;
}

void abort(void) {
    linux_exit(EXIT_ABORTED);
}

char *strrchr(const char *text, int c) {
    const char *found = NULL;
    for (;; text++) {
        if (*text == (char)c) {
            found = text;
        }
        if (*text == '\0') {
            return (char *)found;
        }
    }
}

// ---- Arithmetic of 64 bits, of which the processor has none ---------------

uint64_t __muldi3(uint64_t a, uint64_t b);
uint64_t __udivdi3(uint64_t a, uint64_t b);
uint64_t __umoddi3(uint64_t a, uint64_t b);
int64_t __divdi3(int64_t a, int64_t b);

uint64_t __muldi3(uint64_t a, uint64_t b) {
    uint32_t a0 = (uint32_t)a & 0xFFFFu;
    uint32_t a1 = (uint32_t)a >> 16;
    uint32_t b0 = (uint32_t)b & 0xFFFFu;
    uint32_t b1 = (uint32_t)b >> 16;
    uint32_t low = a0 * b0;
    uint32_t middle = a1 * b0 + (low >> 16);
    uint32_t more = a0 * b1 + (middle & 0xFFFFu);
    uint32_t high = a1 * b1 + (middle >> 16) + (more >> 16)
                    + (uint32_t)(a >> 32) * (uint32_t)b
                    + (uint32_t)a * (uint32_t)(b >> 32);
    return (uint64_t)high << 32 | (more << 16 | (low & 0xFFFFu));
}
