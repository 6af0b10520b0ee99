// SPDX-License-Identifier: MIT
#include <stddef.h>
void abort(void) __attribute__((noreturn));
void *malloc(size_t);
void *realloc(void *, size_t);
void free(void *);
