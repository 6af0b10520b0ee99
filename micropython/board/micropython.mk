# The virtual ESP32's modules, for MicroPython's make (USER_C_MODULES).
# SPDX-License-Identifier: MIT

# Only the virtual board's own variant knows these.
ifdef BATON_LIB
SRC_USERMOD_C += $(addprefix $(USERMOD_DIR)/, \
	console.c \
	esp32_nvs.c \
	esp32_partition.c \
	esp_timer.c \
	files.c \
	firmware.c \
	machine_pin.c \
	machine_rtc.c \
	machine_timer.c \
	machine_wdt.c \
	modesp.c \
	modesp32.c \
	modnetwork.c \
	modos.c \
	modselect.c \
	modsocket.c \
	modsys.c \
	start.c \
	work.c)
CFLAGS_USERMOD += -I$(USERMOD_DIR)/.. -I$(BATON_ROOT)/include \
	-I$(BATON_ROOT)/include/baton-idf
LDFLAGS_USERMOD += \
	-Wl,--wrap=mp_hal_stdin_rx_chr,--wrap=mp_hal_set_interrupt_char \
	-Wl,--wrap=mp_thread_create,--wrap=mp_thread_finish \
	-Wl,--wrap=mp_module_sys
endif
