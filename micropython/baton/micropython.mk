# The module baton, for MicroPython's make (USER_C_MODULES).
# SPDX-License-Identifier: MIT

# Of the ports that build with make only the virtual board has ESP-IDF's
# functions.
ifdef BATON_LIB
SRC_USERMOD_C += $(addprefix $(USERMOD_DIR)/, \
	agent_functions.c \
	binding.c \
	chip_functions.c \
	codec_functions.c \
	error_functions.c \
	modbaton.c \
	more_functions.c \
	partition_flash.c \
	python_port.c \
	python_stream.c \
	slot_functions.c)
CFLAGS_USERMOD += -I$(USERMOD_DIR)/../board -DBATON_AGENT=1
# A native _baton.mpy in the file system comes first there, to be tried.
CFLAGS_USERMOD += -DBATON_TRIES_NATIVE=1

# BATON_EXTEND_ESP32=0 leaves esp32.Partition as the port has it.
BATON_EXTEND_ESP32 ?= 1
ifneq ($(BATON_EXTEND_ESP32),0)
CFLAGS_USERMOD += -DBATON_EXTEND_ESP32=1
LDFLAGS_USERMOD += -Wl,--wrap=esp32_partition_type
endif
endif
