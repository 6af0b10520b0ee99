// Runs boot decisions described on standard input, one line each, for an
// independent model to compare with.
// SPDX-License-Identifier: MIT
//
// A case is a line of words:
//   rollback anti test efuse md5 (0 absent, 1 right, 2 wrong)
//   rows, then for each: type subtype slot-number size image secure-version
//        (image: 0 blank, 1 good, 2 damaged, 3 other chip, 4 no digest,
//         5 no descriptor, 6 good but longer than the partition)
//   for each copy: present seq state crc (0 right, 1 wrong, 2 as erased) label
// The answer: index, eFuse burnt (0 none), both records as hex, operations.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/world.h"
#include "baton-posix/crypto.h"

#define FLASH_BYTES 0x140000u

static uint8_t flash_bytes[FLASH_BYTES];
static struct baton_nor nor;
static struct baton_nor_state nor_state;

static uint32_t number(void) {
    uint32_t value;
    if (scanf("%" SCNu32, &value) != 1) {
        fprintf(stderr, "boot_driver: a number is missing\n");
        exit(2);
    }
    return value;
}

static void put_u32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

// Images are made once for each kind and secure version.
static void put_image(uint32_t addr, uint32_t kind, uint32_t version) {
    static uint8_t *made[7][4];
    static size_t lens[7][4];
    if (kind == 0) {
        return;
    }
    uint8_t **image = &made[kind][version];
    if (*image == NULL) {
        struct world_image spec = {.secure_version = version,
                .payload_bytes = kind == 6 ? 5000 : 200,
                .fill = (uint8_t)version,
                .chip_id = kind == 3 ? 5 : 0,
                .no_digest = kind == 4 || kind == 5};
        *image = world_make_image(&spec, &lens[kind][version]);
        if (kind == 2) {
            (*image)[300] ^= 1;
        }
        if (kind == 5) {
            // Without a digest only the checksum notices; keep it right.
            (*image)[32] ^= 0x10;
            (*image)[lens[kind][version] - 1] ^= 0x10;
        }
    }
    memcpy(flash_bytes + addr, *image, lens[kind][version]);
}

static void read_rows(uint32_t md5) {
    uint8_t *row = flash_bytes + BATON_TABLE_ADDR;
    uint32_t count = number();
    for (uint32_t i = 0; i < count; i++, row += 32) {
        memset(row, 0, 32);
        row[0] = 0xAA;
        row[1] = 0x50;
        row[2] = (uint8_t)number();
        row[3] = (uint8_t)number();
        uint32_t addr = number();
        uint32_t size = number();
        put_u32(row + 4, addr);
        put_u32(row + 8, size);
        uint32_t kind = number();
        uint32_t version = number();
        if (addr < FLASH_BYTES - 0x2000u) {
            put_image(addr, kind, version);
        }
    }
    if (md5 == 0) {
        return;
    }
    const struct baton_crypto *crypto = baton_crypto_psa();
    struct baton_hash_state hash;
    crypto->hash_start(crypto->context, &hash, BATON_HASH_MD5);
    crypto->hash_update(crypto->context, &hash, flash_bytes + BATON_TABLE_ADDR,
            count * 32u);
    row[0] = 0xEB;
    row[1] = 0xEB;
    crypto->hash_finish(crypto->context, &hash, row + 16);
    row[16] ^= md5 == 2 ? 1 : 0;
}

static void read_copy(int copy) {
    uint8_t *at = flash_bytes + WORLD_OTADATA_ADDR + (uint32_t)copy * 0x1000u;
    bool present = number() != 0;
    uint32_t seq = number();
    uint32_t status = number();
    uint32_t crc = number();
    uint32_t label = number();
    if (!present) {
        return;
    }
    put_u32(at, seq);
    memset(at + 4, (int)label, 20);
    put_u32(at + 24, status);
    put_u32(at + 28, crc == 2
                             ? 0xFFFFFFFFu
                             : baton_slots_crc(seq) ^ (crc == 1 ? 0x800u : 0u));
}

static int burn(void *context, uint32_t version) {
    *(uint32_t *)context = version;
    return 0;
}

static void print_copy(int copy) {
    const uint8_t *at =
            flash_bytes + WORLD_OTADATA_ADDR + (uint32_t)copy * 0x1000u;
    for (int i = 0; i < 32; i++) {
        printf("%02x", at[i]);
    }
    putchar(' ');
}

static void run_case(uint32_t rollback) {
    static struct baton_image image;
    static uint8_t work[512];
    memset(flash_bytes, 0xFF, sizeof(flash_bytes));
    memset(&nor_state, 0, sizeof(nor_state));
    baton_nor_begin(&nor, flash_bytes, FLASH_BYTES, 1, &nor_state, NULL);
    bool anti = number() != 0;
    bool test = number() != 0;
    struct baton_chip chip = {.revision = 300};
    chip.secure_version = number();
    read_rows(number());
    read_copy(0);
    read_copy(1);
    uint32_t burnt = 0;
    struct baton_boot_config config = {.flash = &nor.flash,
            .crypto = baton_crypto_psa(),
            .chip = &chip,
            .no_rollback = rollback == 0,
            .anti_rollback = anti,
            .test_requested = test,
            .burn_secure_version = burn,
            .context = &burnt,
            .work = work,
            .work_len = sizeof(work)};
    struct baton_boot_result result;
    if (baton_boot_decide(&image, &config, &result) != 0) {
        printf("refused\n");
        return;
    }
    printf("%d %u ", result.index, (unsigned)burnt);
    print_copy(0);
    print_copy(1);
    printf("%u\n", (unsigned)nor_state.stats.sector_erases);
}

int main(void) {
    uint32_t rollback;
    while (scanf("%" SCNu32, &rollback) == 1) {
        run_case(rollback);
    }
    return 0;
}
