// The boot decision over a flash whose table, records and slots are hostile.
// SPDX-License-Identifier: MIT
//
// Input: a byte of options, 192 bytes of table, 64 of records, the rest is what
// each of the slots begins with.
#include <stdint.h>
#include <string.h>

#include "baton-posix/crypto.h"
#include "baton-posix/nor.h"
#include "baton/boot.h"
#include "require.h"

#define FLASH_BYTES   0x20000u
#define TABLE_BYTES   192u
#define OTADATA_ADDR  0xD000u
#define OTADATA_BYTES 0x2000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t bytes[FLASH_BYTES];
static uint8_t before[FLASH_BYTES];
static struct baton_nor_state state;
static struct baton_nor nor;

static const uint8_t *take(
        const uint8_t **data, size_t *size, uint8_t *to, size_t len) {
    size_t count = *size < len ? *size : len;
    memcpy(to, *data, count);
    *data += count;
    *size -= count;
    return to;
}

static uint8_t lay_out(const uint8_t *data, size_t size) {
    uint8_t options = 0;
    memset(bytes, 0xFF, sizeof(bytes));
    take(&data, &size, &options, 1);
    take(&data, &size, bytes + BATON_TABLE_ADDR, TABLE_BYTES);
    take(&data, &size, bytes + OTADATA_ADDR, 32);
    take(&data, &size, bytes + OTADATA_ADDR + BATON_SECTOR_BYTES, 32);
    for (uint32_t addr = 0x10000; addr < FLASH_BYTES; addr += 0x4000) {
        size_t count = size < 0x4000 ? size : 0x4000;
        memcpy(bytes + addr, data, count);
    }
    return options;
}

static int burn(void *context, uint32_t version) {
    *(uint32_t *)context = version;
    return 0;
}

static int decide(
        uint8_t options, bool dry_run, struct baton_boot_result *result) {
    static struct baton_image image;
    static uint8_t work[256];
    static uint32_t burnt;
    struct baton_chip chip = {
            .revision = 300, .secure_version = (options >> 4) & 3u};
    struct baton_boot_config config = {.flash = &nor.flash,
            .crypto = baton_crypto_psa(),
            .chip = &chip,
            .no_rollback = (options & 1u) != 0,
            .anti_rollback = (options & 3u) == 2u,
            .test_requested = (options & 4u) != 0,
            .dry_run = dry_run,
            .burn_secure_version = burn,
            .context = &burnt,
            .work = work,
            .work_len = sizeof(work)};
    return baton_boot_decide(&image, &config, result);
}

// Explains every step; returns how many there are but for failed writes, which
// a dry run cannot foresee.
static size_t explain(const struct baton_boot_result *result) {
    size_t steps = 0;
    for (size_t i = 0; i < result->event_count; i++) {
        char line[120];
        int err = baton_boot_explain(&result->events[i], line, sizeof(line));
        require(err == 0, "every step reads as a line");
        steps += result->events[i].step != BATON_BOOT_WRITE_FAILED;
    }
    return steps;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t options = lay_out(data, size);
    memset(&state, 0, sizeof(state));
    baton_nor_begin(&nor, bytes, FLASH_BYTES, 1, &state, NULL);
    memcpy(before, bytes, sizeof(bytes));
    struct baton_boot_result dry;
    struct baton_boot_result wet;
    require(decide(options, true, &dry) == 0, "a dry run decides");
    require(memcmp(before, bytes, sizeof(bytes)) == 0, "and writes nothing");
    require(decide(options, false, &wet) == 0, "a boot decides");
    bool is_as_told = explain(&dry) == explain(&wet);
    if (state.stats.operations == 0) {
        require(dry.index == wet.index, "a dry run says what boots");
        require(is_as_told, "and why");
        return 0;
    }
    // A hostile table may put otadata over anything; that is what is written.
    uint32_t otadata = wet.layout.otadata.addr;
    memcpy(before + otadata, bytes + otadata, OTADATA_BYTES);
    require(memcmp(before, bytes, sizeof(bytes)) == 0,
            "nothing but otadata is written");
    return 0;
}
