# A firmware that never does anything.
# SPDX-License-Identifier: MIT
        .globl  start
start:  j       start
        .fill   64, 4, 0
