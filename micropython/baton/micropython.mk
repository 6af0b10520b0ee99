# The module baton, for MicroPython's make (USER_C_MODULES).
# SPDX-License-Identifier: MIT

# Of the ports that build with make only the virtual board has ESP-IDF's
# functions.
ifdef BATON_LIB
SRC_USERMOD_C += $(USERMOD_DIR)/modbaton.c
CFLAGS_USERMOD += -I$(USERMOD_DIR)/../board

# BATON_EXTEND_ESP32=0 leaves esp32.Partition as the port has it.
BATON_EXTEND_ESP32 ?= 1
ifneq ($(BATON_EXTEND_ESP32),0)
CFLAGS_USERMOD += -DBATON_EXTEND_ESP32=1
LDFLAGS_USERMOD += -Wl,--wrap=esp32_partition_type
endif
endif
