# The first instructions after a reset, and the last ones after a trap.
# SPDX-License-Identifier: MIT
#
# The board starts at the first byte of flash unit 0. RAM survives a warm reset,
# so .bss is cleared here whatever it holds.

        .section .start, "ax"
        .globl  board_start
board_start:
        csrw    mie, zero
        la      t0, board_trap_entry
        csrw    mtvec, t0
        la      sp, board_stack_end
        la      t0, board_bss_start
        la      t1, board_bss_end
1:      bgeu    t0, t1, 2f
        sw      zero, 0(t0)
        addi    t0, t0, 4
        j       1b
2:      tail    board_main

# Whatever trapped, bootloader or firmware, is over: the stack is the
# bootloader's, which nothing uses any more.
        .balign 4
board_trap_entry:
        la      sp, board_stack_end
        csrr    a0, mcause
        csrr    a1, mepc
        csrr    a2, mtval
        tail    board_trap
