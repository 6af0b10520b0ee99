// The smallest complete port: a flash in RAM, and one update on it.
// SPDX-License-Identifier: MIT
//
// Usage: update FLASH.bin IMAGE.app-bin
// Reads a flash file (of `baton flash make`, or from a chip), writes the image
// to the slot that does not run, switches to it, and says what would boot. The
// file itself is not changed.
#include <stdio.h>
#include <string.h>

#include "baton-posix/crypto.h"
#include "baton/boot.h"
#include "baton/error.h"
#include "baton/slots.h"
#include "baton/table.h"
#include "baton/update.h"

static uint8_t flash_bytes[16u << 20];
static uint8_t image_bytes[16u << 20];

// ---- The port: what a new platform writes ---------------------------------

static bool is_inside(uint32_t addr, size_t len, uint32_t size) {
    return addr <= size && len <= size - addr;
}

static int read_flash(void *context, uint32_t addr, void *buf, size_t len) {
    const uint32_t *size = context;
    if (!is_inside(addr, len, *size)) {
        return BATON_ERR_RANGE;
    }
    memcpy(buf, flash_bytes + addr, len);
    return 0;
}

static int program_flash(
        void *context, uint32_t addr, const void *buf, size_t len) {
    const uint32_t *size = context;
    const uint8_t *data = buf;
    if (!is_inside(addr, len, *size)) {
        return BATON_ERR_RANGE;
    }
    for (size_t i = 0; i < len; i++) {
        flash_bytes[addr + i] &= data[i]; // as NOR does: bits only fall
    }
    return 0;
}

static int erase_flash(void *context, uint32_t addr, size_t len) {
    const uint32_t *size = context;
    if (!is_inside(addr, len, *size)) {
        return BATON_ERR_RANGE;
    }
    if (addr % BATON_SECTOR_BYTES != 0 || len % BATON_SECTOR_BYTES != 0) {
        return BATON_ERR_ARG;
    }
    memset(flash_bytes + addr, 0xFF, len);
    return 0;
}

// ---- The update -----------------------------------------------------------

static int fail(const char *what, int err) {
    fprintf(stderr, "%s: %s\n  next: %s\n", what, baton_strerror(err),
            baton_error_hint(err));
    return 1;
}

static uint32_t read_file(const char *path, uint8_t *out, size_t capacity) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 0;
    }
    size_t len = fread(out, 1, capacity, file);
    fclose(file);
    return (uint32_t)len;
}

static int write_image(const struct baton_update_config *config, size_t len) {
    static struct baton_update update;
    int err = baton_update_begin(&update, config);
    // Any piece size does: this is what came from the network in one read.
    for (size_t at = 0; at < len && err == 0; at += 1460) {
        size_t take = len - at < 1460 ? len - at : 1460;
        err = baton_update_write(&update, image_bytes + at, take);
    }
    return err != 0 ? err : baton_update_end(&update);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "Usage: update FLASH.bin IMAGE.app-bin\n");
        return 2;
    }
    uint32_t size = read_file(argv[1], flash_bytes, sizeof(flash_bytes));
    uint32_t image_len = read_file(argv[2], image_bytes, sizeof(image_bytes));
    if (size == 0 || image_len == 0) {
        return 2;
    }
    struct baton_flash flash = {.context = &size,
            .read = read_flash,
            .program = program_flash,
            .erase = erase_flash,
            .size_bytes = size,
            .block_bytes = BATON_BLOCK_BYTES};
    const struct baton_crypto *crypto = baton_crypto_psa();
    struct baton_chip chip = {.id = BATON_CHIP_ANY};

    // What runs: the bootloader's own decision. A chip would just know.
    static struct baton_image image;
    static uint8_t work[2 * BATON_SECTOR_BYTES];
    struct baton_boot_config boot = {.flash = &flash,
            .crypto = crypto,
            .chip = &chip,
            .work = work,
            .work_len = sizeof(work)};
    struct baton_boot_result now;
    int err = baton_boot_decide(&image, &boot, &now);
    if (err != 0 || now.index == BATON_BOOT_NONE) {
        return fail("boot", err != 0 ? err : BATON_ERR_NOTHING_BOOTS);
    }
    chip.id = now.info.header.chip_id;

    static struct baton_partition rows[BATON_TABLE_ROWS_MAX];
    size_t count;
    static struct baton_hash_state hash;
    struct baton_table_options options = {.crypto = crypto, .hash = &hash};
    err = baton_table_load(
            &flash, &options, rows, BATON_TABLE_ROWS_MAX, &count);
    if (err != 0) {
        return fail("table", err);
    }
    uint32_t slots = baton_table_slot_count(rows, count);
    uint32_t next = now.index == 0 && slots > 1 ? 1 : 0;
    const struct baton_partition *slot = baton_table_find(rows, count,
            BATON_TYPE_APP, (uint8_t)(BATON_SUBTYPE_APP_OTA_0 + next));
    const struct baton_partition *otadata = baton_table_find(
            rows, count, BATON_TYPE_DATA, BATON_SUBTYPE_DATA_OTA);
    if (slot == NULL || otadata == NULL) {
        return fail("table", BATON_ERR_NO_OTADATA);
    }

    struct baton_update_config config = {.flash = &flash,
            .crypto = crypto,
            .chip = &chip,
            .slot_addr = slot->addr,
            .slot_bytes = slot->size_bytes,
            .running_addr = now.addr,
            .running_bytes = now.size_bytes,
            .image_bytes = image_len,
            .work = work,
            .work_len = sizeof(work)};
    err = write_image(&config, image_len);
    if (err != 0) {
        return fail(argv[2], err);
    }
    err = baton_slots_switch(&flash, otadata->addr, slots, next,
            BATON_STATE_NEW, BATON_SLOTS_SAME_COPY);
    if (err != 0) {
        return fail("switch", err);
    }
    struct baton_boot_result then;
    err = baton_boot_decide(&image, &boot, &then);
    if (err != 0) {
        return fail("boot", err);
    }
    printf("%s ran, %s boots: %s\n", baton_boot_index_name(now.index),
            baton_boot_index_name(then.index), then.info.descriptor.version);
    return 0;
}
