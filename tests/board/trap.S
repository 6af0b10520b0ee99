# A firmware that traps at its first instruction.
# SPDX-License-Identifier: MIT
        .globl  start
start:  unimp
        .fill   64, 4, 0
