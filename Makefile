# Baton's front door: `make help` lists what there is.
# SPDX-License-Identifier: MIT

BUILD ?= build
CC ?= gcc
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion \
	-Wmissing-prototypes -Werror
CFLAGS ?= -O2 -g
BATON_CFLAGS := -std=c11 $(WARNINGS) -Iinclude -MMD -MP
# An overriding BUILD and SAN make a second tree: `make SAN=1` is how the
# sanitizer run of `make check` builds.
ifdef SAN
BUILD := build/san
BATON_CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
LDFLAGS += -fsanitize=address,undefined
endif

PSA_LIBS := -lmbedcrypto
HOST_LIBS := $(PSA_LIBS) -lcjson

CORE_SRC := $(sort $(wildcard core/*.c))
PORT_SRC := $(sort $(wildcard port/posix/*.c))
HOST_SRC := $(sort $(wildcard host/*.c))
TEST_SRC := $(sort $(wildcard tests/unit/test_*.c tests/contract/test_*.c))
TEST_LIB_SRC := $(sort $(wildcard tests/lib/*.c))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))

CORE_OBJ := $(CORE_SRC:%.c=$(BUILD)/obj/%.o)
PORT_OBJ := $(PORT_SRC:%.c=$(BUILD)/obj/%.o)
HOST_OBJ := $(HOST_SRC:%.c=$(BUILD)/obj/%.o)
TEST_LIB_OBJ := $(TEST_LIB_SRC:%.c=$(BUILD)/obj/%.o)
TEST_BIN := $(patsubst %.c,$(BUILD)/%,$(TEST_SRC))
FUZZ_REPLAY := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz-replay/%,$(FUZZ_SRC))
FUZZ_BIN := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(FUZZ_SRC))

.PHONY: all
all: $(BUILD)/baton ## Build the host command (the default)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(BATON_CFLAGS) -c $< -o $@

$(BUILD)/libbaton.a: $(CORE_OBJ) $(PORT_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/baton: $(HOST_OBJ) $(BUILD)/libbaton.a
	$(CC) $(LDFLAGS) $^ $(HOST_LIBS) -o $@

$(BUILD)/tests/%: $(BUILD)/obj/tests/%.o $(TEST_LIB_OBJ) $(BUILD)/libbaton.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ $(PSA_LIBS) -lcmocka -o $@

# Corpus replay: any compiler, no fuzzer runtime.
$(BUILD)/fuzz-replay/%: $(BUILD)/obj/tests/fuzz/%.o \
		$(BUILD)/obj/tests/fuzz/replay.o $(BUILD)/libbaton.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ $(PSA_LIBS) -o $@

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

.PHONY: clean help
clean: ## Remove everything that was built
	rm -rf build

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | \
		sed -E 's/^([a-z-]+):.*## (.*)/  \1|\2/' | column -t -s'|'
