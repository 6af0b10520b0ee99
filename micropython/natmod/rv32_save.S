# Saves and restores registers for functions compiled with -msave-restore.
# SPDX-License-Identifier: MIT
#
# The compiler calls __riscv_save_N through t0 for ra and the first N of s0 ...
# s11, expects them below the address that sp had, and sp lower by what they take
# in units of 16 bytes. It jumps to __riscv_restore_N to undo that and return.
# Here all are saved, as that is the shortest, also below the sp that is left:
# those were not changed, so that no restore needs them.

.macro begin what, numbers:vararg
    .irp n, \numbers
    .globl __riscv_\what\()_\n
__riscv_\what\()_\n:
    .endr
.endm

    .text
    .p2align 1
    begin save, 0, 1, 2, 3
    li t1, 48
    j save_all
    begin save, 4, 5, 6, 7
    li t1, 32
    j save_all
    begin save, 8, 9, 10, 11
    li t1, 16
    j save_all
    begin save, 12
    li t1, 0
save_all:
    addi sp, sp, -64
    sw ra, 60(sp)
    sw s0, 56(sp)
    sw s1, 52(sp)
    sw s2, 48(sp)
    sw s3, 44(sp)
    sw s4, 40(sp)
    sw s5, 36(sp)
    sw s6, 32(sp)
    sw s7, 28(sp)
    sw s8, 24(sp)
    sw s9, 20(sp)
    sw s10, 16(sp)
    sw s11, 12(sp)
    add sp, sp, t1
    jr t0

    begin restore, 12
    lw s11, 12(sp)
    addi sp, sp, 16
    begin restore, 8, 9, 10, 11
    lw s10, 0(sp)
    lw s9, 4(sp)
    lw s8, 8(sp)
    lw s7, 12(sp)
    addi sp, sp, 16
    begin restore, 4, 5, 6, 7
    lw s6, 0(sp)
    lw s5, 4(sp)
    lw s4, 8(sp)
    lw s3, 12(sp)
    addi sp, sp, 16
    begin restore, 0, 1, 2, 3
    lw s2, 0(sp)
    lw s1, 4(sp)
    lw s0, 8(sp)
    lw ra, 12(sp)
    addi sp, sp, 16
    ret
