# The module baton of the board's firmware (USER_C_MODULES).
# SPDX-License-Identifier: MIT
SRC_USERMOD_C += $(USERMOD_DIR)/modbaton.c $(USERMOD_DIR)/support.c
CFLAGS_USERMOD += -I$(USERMOD_DIR)/.. -I$(USERMOD_DIR)/../../../include
CFLAGS_USERMOD += -DBOARD_CUTS=1

# The end of the program is a reset of the board, traps are the bootloader's,
# and files are run before the first prompt.
LDFLAGS_USERMOD += -Wl,--wrap=exit -Wl,--wrap=set_interrupt_table
LDFLAGS_USERMOD += -Wl,--wrap=pyexec_friendly_repl
