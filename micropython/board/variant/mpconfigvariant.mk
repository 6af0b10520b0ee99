# The virtual ESP32 as a variant of MicroPython's unix port: make's part.
# SPDX-License-Identifier: MIT
#
# BATON_ROOT is the repository, BATON_LIB its library (scripts/micropython).

PROG = micropython
FROZEN_MANIFEST = $(VARIANT_DIR)/../frozen/manifest.py
MP_CONFIGFILE = <mpconfigvirtual.h>
QSTR_GLOBAL_DEPENDENCIES += $(VARIANT_DIR)/mpconfigvirtual.h
# Upstream's unix port does not look at MP_CONFIGFILE itself.
CFLAGS += -DMP_CONFIGFILE="$(MP_CONFIGFILE)"

# What a script could reach this machine with.
MICROPY_PY_FFI = 0
MICROPY_PY_TERMIOS = 0
MICROPY_PY_BTREE = 0
# The board has its own (modsocket.c).
MICROPY_PY_SOCKET = 0

# TLS from the system's mbed TLS, which libbaton.a uses too; MicroPython's own
# copy must not stand beside it.
MICROPY_SSL_AXTLS = 0
MICROPY_SSL_MBEDTLS = 0
CFLAGS += -DMICROPY_SSL_MBEDTLS=1
TLS_LIBS = -lmbedtls -lmbedx509 -lmbedcrypto

# The chip's REPL and its way to run boot.py and main.py.
SHARED_SRC_C_EXTRA += runtime/pyexec.c

# The board starts at start.c's main.
$(BUILD)/main.o: CFLAGS += -Dmain=baton_unused_unix_main
# These two list the type of a file system that could mount this machine's.
$(BUILD)/extmod/modos.o $(BUILD)/extmod/modvfs.o: \
	CFLAGS += -DBATON_HIDE_VFS_POSIX

# The names and numbers that scripts know are those of the chip's C library.
$(BUILD)/py/moderrno.o: CFLAGS += -DBATON_CHIP_ERRNO

# The prompt's first line names the image in the running slot.
$(BUILD)/shared/runtime/pyexec.o: CFLAGS += -DBATON_LIVE_BANNER

LDFLAGS += $(BATON_LIB) $(TLS_LIBS)
$(BUILD)/$(PROG): $(BATON_LIB)
