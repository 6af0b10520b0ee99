# MicroPython's QEMU port for Baton's board: given to its make as BOARD_DIR.
# SPDX-License-Identifier: MIT
QEMU_ARCH = riscv32
QEMU_MACHINE = virt

CFLAGS += -DQEMU_SOC_VIRT -DMICROPY_HW_MCU_NAME='"$(RV32_ARCH)"'
CFLAGS += -I$(BOARD_DIR) '-DMP_CONFIGFILE="mpconfigbaton.h"'

LDSCRIPT = $(BOARD_DIR)/firmware.ld
SRC_BOARD_O += shared/runtime/gchelper_native.o shared/runtime/gchelper_rv32i.o
MPY_CROSS_FLAGS += -march=rv32imc

MICROPY_VFS_LFS2 = 1
# Room for a block of 256 KiB, a sector of the slots.
MICROPY_HEAP_SIZE = 524288
