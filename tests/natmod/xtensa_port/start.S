// The entry, the system calls of Linux, and what is done with the windows of
// the registers: jumping out of functions, and putting all on the stack.
// SPDX-License-Identifier: MIT
        .text
        .global _start
        .p2align 2
_start: mov a6, a1
        call4 run
        movi a2, 118    // exit
        syscall

// Calls a function of Linux with up to six arguments.
        .macro linux name, number
        .global \name
        .p2align 2
\name:  entry a1, 32
        mov a8, a6
        mov a9, a7
        mov a6, a2
        movi a2, \number
        syscall
        retw
        .endm

        linux linux_open, 8
        linux linux_close, 9
        linux linux_read, 12
        linux linux_write, 13
        linux linux_map, 80
        linux linux_exit, 118
        linux linux_handle, 226

// Goes a2 calls deep. The oldest window goes to the stack wherever a call needs
// its registers: after as many as there are windows, only the last is left.
        .global spill
        .p2align 2
spill:  entry a1, 32
        beqz a2, 1f
        addi a10, a2, -1
        call8 spill
1:      retw

        .global with_stack
        .p2align 2
with_stack:
        entry a1, 32
        movi a10, 12
        call8 spill
        addi a10, a1, -16       // the caller's a0 to a3
        callx8 a2
        retw

// A jump buffer is a0 and a1 of setjmp, then a0 to a7 of its caller, which are
// in two places of the stack: below a1 of setjmp, and below a1 of whoever
// called the caller.
        .macro areas caller_a1
        addi \caller_a1, \caller_a1, -16
        l32i \caller_a1, \caller_a1, 4
        addi \caller_a1, \caller_a1, -32
        .endm

        .macro copy from, from_off, to, to_off
        l32i a7, \from, \from_off
        s32i a7, \to, \to_off
        l32i a7, \from, \from_off + 4
        s32i a7, \to, \to_off + 4
        l32i a7, \from, \from_off + 8
        s32i a7, \to, \to_off + 8
        l32i a7, \from, \from_off + 12
        s32i a7, \to, \to_off + 12
        .endm

        .global setjmp
        .p2align 2
setjmp: entry a1, 32
        movi a10, 12
        call8 spill
        s32i a0, a2, 0
        s32i a1, a2, 4
        addi a3, a1, -16
        copy a3, 0, a2, 8
        l32i a4, a2, 12
        areas a4
        copy a4, 0, a2, 24
        movi a2, 0
        retw

// The functions that are left have their registers on the stack only. Returning
// as setjmp did brings back its caller's from there.
        .global longjmp
        .p2align 2
longjmp:
        entry a1, 32
        movi a10, 12
        call8 spill
        l32i a0, a2, 0
        l32i a1, a2, 4
        addi a4, a1, -16
        copy a2, 8, a4, 0
        l32i a4, a2, 12
        areas a4
        copy a2, 24, a4, 0
        mov a2, a3
        retw
