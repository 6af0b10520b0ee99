# Baton's front door: `make help` lists what there is.
# SPDX-License-Identifier: MIT

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
	-Wmissing-prototypes -Werror
BATON_CFLAGS := -std=c11 $(WARNINGS) -Iinclude -MMD -MP
PREFIX ?= /usr/local

# SAN=1 and FUZZER=1 build in trees of their own, so that they never mix.
BUILD := build
ifdef SAN
BUILD := build/san
SANITIZE := -fsanitize=address,undefined
else ifdef FUZZER
BUILD := build/fuzzer
CC := clang
SANITIZE := -fsanitize=address,undefined,fuzzer-no-link
endif
ifdef SANITIZE
BATON_CFLAGS += $(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS += $(SANITIZE)
endif

PSA_LIBS := -lmbedcrypto
PACK_LIBS := -ldivsufsort -lm
HOST_LIBS := $(PSA_LIBS) -lcjson $(PACK_LIBS)
CURL_LIBS := -lcurl

# V=1 shows whole commands, -s nothing.
Q := $(if $(V),,@)
SILENT := $(findstring s,$(filter-out --%,$(firstword -$(MAKEFLAGS))))
say = @$(if $(V)$(SILENT),:,printf '  %-4s %s\n' $(1) $(2))
# Every processor, unless the caller said -j.
JOBS := $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
SUBMAKE := @+$(MAKE) --no-print-directory $(JOBS)

CORE_SRC := $(sort $(wildcard core/*.c))
PORT_SRC := $(sort $(wildcard port/posix/*.c port/freestanding/*.c))
HOST_SRC := $(sort $(wildcard host/*.c))
TEST_SRC := $(sort $(wildcard tests/unit/test_*.c tests/contract/test_*.c))
# Programs that an independent model in Python compares itself with.
DRIVER_SRC := $(sort $(wildcard tests/interop/*_driver.c))
TEST_LIB_SRC := $(sort $(wildcard tests/lib/*.c port/template/*.c))
# The payload encoder, which tests use as well.
PACK_SRC := $(sort $(wildcard host/codec_*.c))
POWERCUT_SRC := $(sort $(wildcard tests/powercut/*.c))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))

objects = $(1:%.c=$(BUILD)/obj/%.o)
TEST_BIN := $(TEST_SRC:%.c=$(BUILD)/%)
DRIVER_BIN := $(DRIVER_SRC:%.c=$(BUILD)/%)
FUZZ_REPLAY := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/fuzz-replay/%)
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(BUILD)/fuzz/%)

.PHONY: all
all: $(BUILD)/baton ## Build the host command (the default)

# Says what is missing before the compiler does.
$(BUILD)/.libraries:
	@mkdir -p $(@D)
	@printf '#include <%s>\n' psa/crypto.h cjson/cJSON.h curl/curl.h \
		divsufsort.h | $(CC) -x c -E - >/dev/null 2>&1 || { \
		echo "make: a compiler, mbed TLS, cJSON, libcurl or" \
		"libdivsufsort is missing; next: scripts/setup build" >&2; \
		exit 1; }
	@touch $@

$(BUILD)/obj/%.o: %.c | $(BUILD)/.libraries
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS) $(BATON_CFLAGS) -c $< -o $@

$(BUILD)/libbaton.a: $(call objects,$(CORE_SRC) $(PORT_SRC))
$(BUILD)/libtest.a: $(call objects,$(TEST_LIB_SRC))
$(BUILD)/libpack.a: $(call objects,$(PACK_SRC))
$(BUILD)/lib%.a:
	@rm -f $@
	$(call say,AR,$@)
	$(Q)$(AR) rcs $@ $^

link = $(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) $(filter %.o %.a,$^) $(1) -o $@

$(BUILD)/baton: $(call objects,$(HOST_SRC)) $(BUILD)/libbaton.a
	$(call say,LD,$@)
	$(call link,$(HOST_LIBS))

$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(BUILD)/libtest.a \
		$(BUILD)/libpack.a $(BUILD)/libbaton.a
	$(call say,LD,$@)
	$(call link,$(PSA_LIBS) -lcmocka $(PACK_LIBS) $(MORE_LIBS))
$(BUILD)/tests/interop/transport_driver: MORE_LIBS := $(CURL_LIBS) -lssl -lcrypto

# Payloads are made by the encoder of the host command.

# The ESP-IDF component, over a PC's implementation of what it calls.
ESP_IDF_OBJ := $(call objects,$(wildcard port/esp-idf/*.c))
$(BUILD)/tests/unit/test_esp_idf: $(ESP_IDF_OBJ)
$(BUILD)/tests/unit/test_esp_idf: MORE_LIBS := $(BUILD)/libbaton.a
$(ESP_IDF_OBJ) $(BUILD)/obj/tests/unit/test_esp_idf.o: \
	CFLAGS += -Itests/esp-idf/stubs -Iinclude/baton-idf

# The virtual ESP32's interpreter; the script knows what it is made of, and is
# done at once when nothing of that has changed.
.PHONY: micropython
micropython: $(BUILD)/libbaton.a ## Build the virtual ESP32's interpreter
	@+BUILD=$(BUILD) SAN=$(SAN) V=$(V) scripts/micropython board
$(BUILD)/micropython/micropython: micropython ;

.PHONY: natmod
natmod: ## Build the native modules (.mpy) for stock MicroPython
	@scripts/setup natmod
	@scripts/natmod

$(BUILD)/powercut: $(call objects,$(POWERCUT_SRC)) $(BUILD)/libtest.a \
		$(BUILD)/libbaton.a
	$(call say,LD,$@)
	$(call link,$(PSA_LIBS) -lcrypto)

$(BUILD)/examples/update: $(BUILD)/obj/examples/c/update.o $(BUILD)/libbaton.a
	$(call say,LD,$@)
	$(call link,$(PSA_LIBS))

$(BUILD)/examples/device: $(BUILD)/obj/examples/device-c/device.o \
		$(BUILD)/libbaton.a
	$(call say,LD,$@)
	$(call link,$(PSA_LIBS) -lcurl)

# Corpus replay: any compiler, no fuzzer runtime.
$(BUILD)/fuzz-replay/%: $(BUILD)/obj/tests/fuzz/%.o \
		$(BUILD)/obj/tests/fuzz/replay.o $(BUILD)/libtest.a \
		$(BUILD)/libpack.a $(BUILD)/libbaton.a
	$(call say,LD,$@)
	$(call link,$(PSA_LIBS) $(PACK_LIBS))

# The fuzzer itself: only in the FUZZER=1 tree. Tracing the operands of a range
# decoder's comparisons says nothing, and takes three quarters of the time.
ifdef FUZZER
$(call objects,$(filter core/codec%,$(CORE_SRC))): \
	CFLAGS += -fno-sanitize-coverage=trace-cmp
endif
$(BUILD)/fuzz/%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/libtest.a \
		$(BUILD)/libpack.a $(BUILD)/libbaton.a
	$(call say,LD,$@)
	$(call link,$(PSA_LIBS) $(PACK_LIBS) -fsanitize=fuzzer)

.PRECIOUS: $(BUILD)/obj/%.o
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

.PHONY: test test-c test-build test-natmod check size fuzz fuzz-build \
	fuzz-replay
test: ## Install what is missing, build, run every test
	@scripts/setup test
	$(SUBMAKE) all micropython test-build board-build test-natmod
	@scripts/run-tests

test-build: $(TEST_BIN) $(DRIVER_BIN) $(FUZZ_REPLAY) $(BUILD)/powercut \
		$(BUILD)/examples/device $(BUILD)/examples/update

# Those that can be built here; a test tells why one cannot.
test-natmod:
	-@+scripts/natmod

test-c: ## Build and run only the C tests and the fuzz corpus (SAN=1: sanitized)
	$(SUBMAKE) test-build
	@BUILD=$(BUILD) scripts/run-tests unit fuzz-replay

check: ## Format, rules, analysis, sanitizers (CHECK=name: one of them)
	@scripts/setup check
	@scripts/check $(CHECK)

size: ## Text, data, stack of the core on RISC-V and Cortex-M
	@scripts/setup size
	$(SUBMAKE) -s build/board/bootloader.bin
	@scripts/size

fuzz: ## Fuzz the parsers (FUZZ=image: one; FUZZ_RUNS=10000000: how long)
	@scripts/setup fuzz
	$(SUBMAKE) FUZZER=1 fuzz-build
	@scripts/fuzz $(FUZZ)

.PHONY: bench bench-gate
bench: ## Compare with other codecs (PAIRS=dir: your old and new images too)
	@scripts/setup bench
	$(SUBMAKE) all
	@bench/pairs
	@BUILD=$(BUILD) .venv-bench/bin/python bench/bench.py $(BUILD)/bench/pairs \
		$(PAIRS) --json $(BUILD)/bench/results.json $(if $(DOC),--doc $(DOC))

bench-gate: ## Fail where the last bench misses the codec's goals
	@scripts/setup size
	@BUILD=$(BUILD) bench/gate

.PHONY: powercut
powercut: ## Cut the power at every flash operation, twice (ID=case: replay one)
	@scripts/setup test
	$(SUBMAKE) $(BUILD)/powercut
	@scripts/powercut $(ID)

SECONDS ?= 3600
POLICY ?= c
.PHONY: chaos
chaos: ## Devices under bad networks, power cuts, changes (SECONDS=3600, POLICY=python)
	@scripts/setup test
	$(SUBMAKE) all $(BUILD)/examples/device $(if $(filter python,$(POLICY)),micropython)
	@.venv/bin/python tests/chaos/chaos.py --seconds $(SECONDS) --policy $(POLICY)

fuzz-build: $(FUZZ_BIN)

fuzz-replay: ## Run the corpus, cut short and altered, without a fuzzer
	$(SUBMAKE) $(FUZZ_REPLAY)
	@BUILD=$(BUILD) scripts/run-tests fuzz-replay

include port/qemu-rv32/board.mk

.PHONY: demo install clean distclean help
demo: ## See a virtual ESP32 update itself (FIRMWARE=file: a real image)
	@scripts/setup demo
	$(SUBMAKE) all micropython
	@scripts/demo $(if $(FIRMWARE),"$(FIRMWARE)")

INSTALL := install -D -m 755
INTERPRETER := $(BUILD)/micropython/micropython
install: all ## Install the command, and what was built beside it (PREFIX, DESTDIR)
	$(INSTALL) $(BUILD)/baton $(DESTDIR)$(PREFIX)/bin/baton
	[ ! -x $(INTERPRETER) ] || $(INSTALL) $(INTERPRETER) \
		$(DESTDIR)$(PREFIX)/lib/baton/micropython
	[ ! -d $(BUILD)/packages ] || { mkdir -p $(DESTDIR)$(PREFIX)/share/baton && \
		cp -R $(BUILD)/packages $(DESTDIR)$(PREFIX)/share/baton/; }

clean: ## Remove everything that was built
	rm -rf build

distclean: clean ## Remove the Python environments too
	rm -rf .venv .venv-bench

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' \
		$(MAKEFILE_LIST)
