// The entry and the system calls of Linux on Xtensa, for qemu-xtensa.
// SPDX-License-Identifier: MIT
        .text
        .global _start
        .p2align 2
_start: call8 run
        mov a6, a10
        movi a2, 118    // exit
        syscall

        .global read_bytes
        .p2align 2
read_bytes:
        entry a1, 32
        mov a6, a2
        movi a2, 12
        syscall
        retw

        .global write_bytes
        .p2align 2
write_bytes:
        entry a1, 32
        mov a6, a2
        movi a2, 13
        syscall
        retw
