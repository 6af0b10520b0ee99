# The board: QEMU's riscv32 machine `virt`, Baton's bootloader, MicroPython.
# SPDX-License-Identifier: MIT
#
# Part of the Makefile at the root; every path is from there.

BOARD_DIR := port/qemu-rv32
BOARD_BUILD := build/board
RV_CC := riscv64-unknown-elf-gcc

# Compilers of before GCC 11 know no separate extension for control registers.
RV_ARCH = $(eval RV_ARCH := $(if $(shell $(RV_CC) -march=rv32imac_zicsr_zifencei \
	-mabi=ilp32 -x c -fsyntax-only /dev/null 2>&1),rv32imac,\
	rv32imac_zicsr_zifencei))$(strip $(RV_ARCH))
RV_CFLAGS = -march=$(RV_ARCH) -mabi=ilp32 -Os -std=c11 $(WARNINGS) \
	-ffreestanding -fno-tree-loop-distribute-patterns -ffunction-sections \
	-fdata-sections -nostdinc -isystem $(shell $(RV_CC) \
	-print-file-name=include) -isystem scripts/freestanding -Iinclude \
	-I$(BOARD_DIR) -MMD -MP

# What the bootloader and the firmware are made of, beside MicroPython.
BOARD_CORE := $(wildcard core/*.c) $(wildcard port/freestanding/*.c) \
	$(addprefix $(BOARD_DIR)/,board.c flash.c flash_esp32.c)
board_objects = $(patsubst %,$(BOARD_BUILD)/obj/%.o,$(basename $(1)))
board_cut_objects = $(patsubst %,$(BOARD_BUILD)/cuts/%.o,$(basename $(1)))

$(BOARD_BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,RVCC,$<)
	$(Q)$(RV_CC) $(RV_CFLAGS) -c $< -o $@

$(BOARD_BUILD)/obj/%.o: %.S
	@mkdir -p $(@D)
	$(call say,RVCC,$<)
	$(Q)$(RV_CC) $(RV_CFLAGS) -c $< -o $@

# The same with power cuts at flash commands, for tests.
$(BOARD_BUILD)/cuts/%.o: %.c
	@mkdir -p $(@D)
	$(call say,RVCC,$<)
	$(Q)$(RV_CC) $(RV_CFLAGS) -DBOARD_CUTS=1 -c $< -o $@

$(BOARD_BUILD)/libboard.a: $(call board_objects,$(BOARD_CORE))
	@rm -f $@
	$(call say,AR,$@)
	$(Q)riscv64-unknown-elf-ar rcs $@ $^

$(BOARD_BUILD)/libcuts.a: $(call board_cut_objects,$(BOARD_DIR)/cut.c \
		$(BOARD_DIR)/device.c)
	@rm -f $@
	$(call say,AR,$@)
	$(Q)riscv64-unknown-elf-ar rcs $@ $^

BOOT_OBJ := $(call board_objects,$(addprefix $(BOARD_DIR)/,start.S string.c))
boot_link = $(Q)$(RV_CC) -march=$(RV_ARCH) -mabi=ilp32 -nostdlib \
	-Wl,--gc-sections -Wl,-T,$(BOARD_DIR)/bootloader.ld $^ -o $@

$(BOARD_BUILD)/bootloader.elf: $(BOOT_OBJ) \
		$(call board_objects,$(BOARD_DIR)/bootloader.c) \
		$(BOARD_BUILD)/libboard.a | $(BOARD_DIR)/bootloader.ld
	$(call say,LD,$@)
	$(boot_link)

$(BOARD_BUILD)/bootloader-cuts.elf: $(BOOT_OBJ) \
		$(call board_cut_objects,$(BOARD_DIR)/bootloader.c) \
		$(BOARD_BUILD)/libcuts.a $(BOARD_BUILD)/libboard.a \
		| $(BOARD_DIR)/bootloader.ld
	$(call say,LD,$@)
	$(boot_link)

# Short deadlines, for a test that waits for one.
$(BOARD_BUILD)/hasty/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(RV_CC) $(RV_CFLAGS) -DBOARD_TRIAL_MS=1000u -c $< -o $@

$(BOARD_BUILD)/bootloader-hasty.elf: $(BOOT_OBJ) \
		$(BOARD_BUILD)/hasty/$(BOARD_DIR)/bootloader.o \
		$(BOARD_BUILD)/libboard.a | $(BOARD_DIR)/bootloader.ld
	$(call say,LD,$@)
	$(boot_link)

# What flash unit 0 holds. The limit is for the bootloader that is shipped.
BOOT_BYTES_MAX := 12288
$(BOARD_BUILD)/%.bin: $(BOARD_BUILD)/%.elf
	$(Q)riscv64-unknown-elf-objcopy -O binary $< $@
	@size=$$(wc -c <$@); \
	$(if $(V)$(SILENT),:,printf '  %-4s %s: %d bytes (of %d)\n' SIZE $@ \
		$$size $(BOOT_BYTES_MAX)); \
	[ $$size -lt $(BOOT_BYTES_MAX) ] || { rm -f $@; \
		echo "$@ has $$size bytes" >&2; exit 1; }

# ---- Firmware -------------------------------------------------------------

FIRMWARE_LIBS := $(BOARD_BUILD)/libcuts.a $(BOARD_BUILD)/libboard.a
BOARD_IMAGES := $(BOARD_BUILD)/v1.26.0.app-bin $(BOARD_BUILD)/v1.26.1.app-bin
$(BOARD_BUILD)/v1.26.0.elf: FIRMWARE_DATE := 2025-08-09
$(BOARD_BUILD)/v1.26.1.elf: FIRMWARE_DATE := 2025-09-11

# The script knows what it is made of.
.PHONY: board-firmware
$(BOARD_BUILD)/v%.elf: board-firmware $(FIRMWARE_LIBS)
	@+V=$(V) scripts/micropython firmware --board BATON_RV32 --version v$* \
		--date $(FIRMWARE_DATE) --out $@

# Programs that a bootloader must survive: one traps at once, one never ends.
$(BOARD_BUILD)/%.elf: tests/board/%.S
	@mkdir -p $(@D)
	$(Q)$(RV_CC) -march=$(RV_ARCH) -mabi=ilp32 -nostdlib \
		-Wl,-Ttext=0x80000000,-e,start $< -o $@

$(BOARD_BUILD)/%.app-bin: $(BOARD_BUILD)/%.elf $(BUILD)/baton
	$(call say,IMG,$@)
	$(Q)$(BUILD)/baton image make --chip esp32c3 --elf $< --app-version $* \
		--project micropython -o $@ >/dev/null

# ---- C tests on the board -------------------------------------------------
#
# Those of the core that need no file system, as they are, with a small cmocka
# of our own; and the flash contract on the board's flash.

BOARD_TESTS := $(addprefix tests/unit/test_,base64 boot chip digest elf \
	error flash_store http http_body http_head http_url image image_build \
	image_check json names nor slots table table_csv table_names \
	table_place table_verify trial update) tests/board/test_flash_board
BOARD_TEST_ELF := $(patsubst %,$(BOARD_BUILD)/tests/%.elf,$(notdir \
	$(BOARD_TESTS)))
BOARD_TEST_LIB := $(patsubst %,$(BOARD_BUILD)/tests/obj/%.o,tests/lib/images \
	tests/lib/world tests/lib/flash_contract port/posix/nor \
	tests/board/runner)
# uint32_t is a long there, which printf's formats mind and the machine does
# not.
RV_TEST_CFLAGS = -march=$(RV_ARCH) -mabi=ilp32 -O2 -std=c11 -Wall -Wextra \
	-Werror -Wno-format --specs=picolibc.specs -ffunction-sections \
	-fdata-sections -Itests/board/include -Iinclude -I$(BOARD_DIR) -MMD -MP

$(BOARD_BUILD)/tests/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,RVCC,$<)
	$(Q)$(RV_CC) $(RV_TEST_CFLAGS) -c $< -o $@

# -march=rv32imac: some compilers find the library of this instruction set only
# by its plain name.
board_test_link = $(Q)$(RV_CC) -march=rv32imac -mabi=ilp32 \
	--specs=picolibc.specs -nostartfiles -Wl,--gc-sections \
	-T tests/board/ram.ld $^ -o $@

$(BOARD_BUILD)/tests/%.elf: $(BOARD_BUILD)/tests/obj/tests/unit/%.o \
		$(BOARD_TEST_LIB) $(call board_objects,$(BOARD_DIR)/start.S) \
		$(BOARD_BUILD)/libboard.a
	$(call say,LD,$@)
	$(board_test_link)

$(BOARD_BUILD)/tests/%.elf: $(BOARD_BUILD)/tests/obj/tests/board/%.o \
		$(BOARD_TEST_LIB) $(call board_objects,$(BOARD_DIR)/start.S) \
		$(BOARD_BUILD)/libboard.a
	$(call say,LD,$@)
	$(board_test_link)

.PHONY: board board-build board-kill
board-build: $(addprefix $(BOARD_BUILD)/,bootloader.bin bootloader-cuts.bin \
		bootloader-hasty.bin trap.app-bin hang.app-bin off.app-bin) $(BOARD_IMAGES) \
		$(BOARD_TEST_ELF)

board: ## See a RISC-V board in an emulator update its machine code
	@scripts/setup board
	$(SUBMAKE) board-build
	@scripts/board demo

board-kill: ## Kill that board at 1000 random moments, cut it at every command
	@scripts/setup board
	$(SUBMAKE) board-build
	@scripts/board kill
	@scripts/board cuts

.PRECIOUS: $(BOARD_BUILD)/%.elf $(BOARD_BUILD)/obj/%.o $(BOARD_BUILD)/tests/obj/%.o \
	$(BOARD_BUILD)/cuts/%.o

-include $(shell find $(BOARD_BUILD) -name '*.d' 2>/dev/null)
