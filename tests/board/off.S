# A firmware that switches the board off.
# SPDX-License-Identifier: MIT
        .globl  start
start:  li      t0, 0x5555
        li      t1, 0x100000
        sw      t0, 0(t1)
        j       .
        .fill   64, 4, 0
