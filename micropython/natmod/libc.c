// What compilers and the core ask of a C library, for code that has none.
// SPDX-License-Identifier: MIT
//
// Copying and filling go to MicroPython's, which are fast; the rest is small.
#include <string.h>

#include "py/dynruntime.h"

// A call of these is smaller than what they do.
#define APART __attribute__((noinline))

APART void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    return mp_fun_table.memmove_(to, from, n);
}

APART void *memmove(void *to, const void *from, size_t n) {
    return mp_fun_table.memmove_(to, from, n);
}

APART void *memset(void *s, int c, size_t n) {
    return mp_fun_table.memset_(s, c, n);
}

APART int memcmp(const void *a, const void *b, size_t n) {
    const unsigned char *left = a;
    const unsigned char *right = b;
    for (; n > 0; n--, left++, right++) {
        if (*left != *right) {
            return *left - *right;
        }
    }
    return 0;
}

void *memchr(const void *s, int c, size_t n) {
    const unsigned char *at = s;
    for (; n > 0; n--, at++) {
        if (*at == (unsigned char)c) {
            return (void *)(uintptr_t)at;
        }
    }
    return NULL;
}

APART size_t strlen(const char *s) {
    size_t len = 0;
    while (s[len] != '\0') {
        len++;
    }
    return len;
}

char *strchr(const char *s, int c) {
    for (; *s != (char)c; s++) {
        if (*s == '\0') {
            return NULL;
        }
    }
    return (char *)(uintptr_t)s;
}

size_t strcspn(const char *s, const char *reject) {
    size_t len = 0;
    while (s[len] != '\0' && strchr(reject, s[len]) == NULL) {
        len++;
    }
    return len;
}

int strcmp(const char *a, const char *b) {
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t n) {
    for (; n > 0 && *a == *b; a++, b++, n--) {
        if (*a == '\0') {
            return 0;
        }
    }
    return n == 0 ? 0 : (unsigned char)*a - (unsigned char)*b;
}

// Shifts of 64 bits by a number that is not known when compiled. Their names
// are the compiler's.
#if UINTPTR_MAX == UINT32_MAX
uint64_t __ashldi3(uint64_t value, int by);
uint64_t __lshrdi3(uint64_t value, int by);

static uint64_t join(uint32_t high, uint32_t low) {
    return (uint64_t)high << 32 | low;
}

uint64_t __ashldi3(uint64_t value, int by) {
    uint32_t low = (uint32_t)value;
    uint32_t high = (uint32_t)(value >> 32);
    if (by == 0) {
        return value;
    }
    return by < 32 ? join(high << by | low >> (32 - by), low << by)
                   : join(low << (by - 32), 0);
}

uint64_t __lshrdi3(uint64_t value, int by) {
    uint32_t low = (uint32_t)value;
    uint32_t high = (uint32_t)(value >> 32);
    if (by == 0) {
        return value;
    }
    return by < 32 ? join(high >> by, low >> by | high << (32 - by))
                   : join(0, high >> (by - 32));
}
#endif
