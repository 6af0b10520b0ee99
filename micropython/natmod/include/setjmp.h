// For MicroPython's headers where there is no C library; never used.
// SPDX-License-Identifier: MIT
#ifndef BATON_NATMOD_SETJMP_H
#define BATON_NATMOD_SETJMP_H

typedef long jmp_buf[32];

#endif
