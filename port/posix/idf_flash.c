// ESP-IDF's flash functions over a baton_flash.
// SPDX-License-Identifier: MIT
#include "baton-idf/esp_flash.h"

#include <string.h>

#include "baton/error.h"
#include "baton-idf/esp_ota_ops.h"
#include "idf_state.h"

// The driver holds the bus for no more than this.
#define CIPHER_BYTES      16u // of one block
#define WRITE_CHUNK_BYTES 8192u

#define PROGRAM_BYTES_MAX 32u

struct esp_flash_t {
    char is_default; // there is only this one
};

static struct esp_flash_t default_chip;
esp_flash_t *esp_flash_default_chip = &default_chip;

int baton_idf_flash_error(int err) {
    switch (err) {
    case 0:
        return ESP_OK;
    case BATON_ERR_ARG:
    case BATON_ERR_RANGE:
        return ESP_ERR_INVALID_ARG;
    default:
        return ESP_ERR_FLASH_OP_FAIL;
    }
}

static uint32_t sector_bytes(const struct baton_flash *flash) {
    return flash->sector_bytes != 0 ? flash->sector_bytes : BATON_SECTOR_BYTES;
}

static bool is_inside(
        const struct baton_flash *flash, uint32_t addr, uint32_t len) {
    return addr <= flash->size_bytes && len <= flash->size_bytes - addr;
}

static bool overlaps(const esp_partition_t *p, uint32_t addr, uint32_t len) {
    return (addr >= p->address && addr - p->address < p->size)
           || (addr < p->address && len > p->address - addr);
}

static bool touches_readonly(uint32_t addr, uint32_t len) {
    esp_partition_iterator_t it = esp_partition_find(
            ESP_PARTITION_TYPE_ANY, ESP_PARTITION_SUBTYPE_ANY, NULL);
    while (it != NULL) {
        const esp_partition_t *p = esp_partition_get(it);
        if (p->readonly && overlaps(p, addr, len)) {
            esp_partition_iterator_release(it);
            return true;
        }
        it = esp_partition_next(it);
    }
    return false;
}

// Guards read-only partitions, and what the chip needs to boot.
static esp_err_t check_region(uint32_t addr, uint32_t len) {
    if (touches_readonly(addr, len)) {
        return ESP_ERR_NOT_ALLOWED;
    }
    if (baton_idf_state.config.protect == BATON_IDF_PROTECT_NONE
            || baton_idf_state.unprotected) {
        return ESP_OK;
    }
    uint32_t table_end =
            baton_idf_state.config.table_addr + ESP_PARTITION_TABLE_MAX_LEN;
    if (addr > table_end) {
        const esp_partition_t *running = esp_ota_get_running_partition();
        if (running == NULL) {
            return ESP_ERR_INVALID_STATE;
        }
        if (!overlaps(running, addr, len)) {
            return ESP_OK;
        }
    }
    if (baton_idf_state.config.protect == BATON_IDF_PROTECT_FAILS) {
        return ESP_ERR_INVALID_ARG;
    }
    baton_idf_fatal(
            "write to the bootloader, the partition table or the running "
            "application");
    return ESP_ERR_INVALID_STATE;
}

bool esp_flash_encryption_enabled(void) {
    return baton_idf_state.config.flash_encryption;
}

esp_err_t esp_flash_get_size(esp_flash_t *chip, uint32_t *out_size) {
    (void)chip;
    if (baton_idf_state.config.flash == NULL) {
        return ESP_ERR_FLASH_NOT_INITIALISED;
    }
    if (out_size == NULL) {
        return ESP_ERR_INVALID_ARG;
    }
    *out_size = baton_idf_state.config.flash->size_bytes;
    return ESP_OK;
}

esp_err_t esp_flash_read(
        esp_flash_t *chip, void *buffer, uint32_t address, uint32_t length) {
    (void)chip;
    const struct baton_flash *flash = baton_idf_state.config.flash;
    if (flash == NULL) {
        return ESP_ERR_FLASH_NOT_INITIALISED;
    }
    if (buffer == NULL || !is_inside(flash, address, length)) {
        return ESP_ERR_INVALID_ARG;
    }
    if (length == 0) {
        return ESP_OK;
    }
    return baton_idf_flash_error(
            flash->read(flash->context, address, buffer, length));
}

// One program of whole units. Where the flash refuses bytes that would set a
// bit and the board is to behave as the bare chip, programs what the chip
// would hold then.
static esp_err_t program(const struct baton_flash *flash, uint32_t addr,
        const uint8_t *data, uint32_t len) {
    int err = flash->program(flash->context, addr, data, len);
    if (err != BATON_ERR_NOR || !baton_idf_state.config.blind_program) {
        return baton_idf_flash_error(err);
    }
    uint8_t now[256];
    while (len > 0) {
        uint32_t step = len < sizeof(now) ? len : (uint32_t)sizeof(now);
        err = flash->read(flash->context, addr, now, step);
        for (uint32_t i = 0; i < step; i++) {
            now[i] &= data[i];
        }
        if (err == 0) {
            err = flash->program(flash->context, addr, now, step);
        }
        if (err != 0) {
            return baton_idf_flash_error(err);
        }
        addr += step;
        data += step;
        len -= step;
    }
    return ESP_OK;
}

// How much of a write goes into the next program: up to a whole chunk, or what
// of it falls into a single unit that has to be filled up.
static uint32_t next_step(uint32_t addr, uint32_t len, uint32_t unit) {
    uint32_t head = addr % unit;
    if (head != 0) {
        uint32_t rest = unit - head;
        return len < rest ? len : rest;
    }
    if (len < unit) {
        return len;
    }
    uint32_t whole = len - len % unit;
    return whole < WRITE_CHUNK_BYTES ? whole : WRITE_CHUNK_BYTES;
}

// Part of one unit: what is around it is programmed as it is there already.
static esp_err_t program_part(const struct baton_flash *flash, uint32_t addr,
        const uint8_t *data, uint32_t len) {
    uint32_t head = addr % flash->program_bytes;
    uint8_t unit[PROGRAM_BYTES_MAX];
    int err = flash->read(
            flash->context, addr - head, unit, flash->program_bytes);
    if (err != 0) {
        return baton_idf_flash_error(err);
    }
    memcpy(unit + head, data, len);
    return program(flash, addr - head, unit, flash->program_bytes);
}

static esp_err_t write_bytes(const struct baton_flash *flash, uint32_t addr,
        const uint8_t *data, uint32_t len) {
    uint32_t unit = flash->program_bytes != 0 ? flash->program_bytes : 1;
    while (len > 0) {
        uint32_t step = next_step(addr, len, unit);
        esp_err_t err;
        if (step % unit == 0) {
            err = program(flash, addr, data, step);
        } else {
            err = program_part(flash, addr, data, step);
        }
        if (err != ESP_OK) {
            return err;
        }
        addr += step;
        data += step;
        len -= step;
    }
    return ESP_OK;
}

esp_err_t esp_flash_write(esp_flash_t *chip, const void *buffer,
        uint32_t address, uint32_t length) {
    (void)chip;
    const struct baton_flash *flash = baton_idf_state.config.flash;
    if (flash == NULL) {
        return ESP_ERR_FLASH_NOT_INITIALISED;
    }
    esp_err_t err = check_region(address, length);
    if (err != ESP_OK) {
        return err;
    }
    if (buffer == NULL || !is_inside(flash, address, length)) {
        return ESP_ERR_INVALID_ARG;
    }
    return write_bytes(flash, address, buffer, length);
}

// Bits of ciphertext cannot be cleared on purpose: what is written over
// something else reads as rubbish on a chip. Bytes are kept plain here, so this
// is found by looking.
static bool is_blank_or_same(const struct baton_flash *flash, uint32_t addr,
        const uint8_t *data, uint32_t len) {
    uint8_t now[CIPHER_BYTES];
    for (uint32_t at = 0; at < len; at += CIPHER_BYTES) {
        if (flash->read(flash->context, addr + at, now, sizeof(now)) != 0) {
            return true; // the write tells
        }
        bool is_blank = true;
        for (size_t i = 0; i < sizeof(now); i++) {
            is_blank = is_blank && now[i] == 0xFF;
        }
        if (!is_blank && memcmp(now, data + at, sizeof(now)) != 0) {
            return false;
        }
    }
    return true;
}

esp_err_t esp_flash_write_encrypted(esp_flash_t *chip, uint32_t address,
        const void *buffer, uint32_t length) {
    (void)chip;
    const struct baton_flash *flash = baton_idf_state.config.flash;
    if (flash == NULL) {
        return ESP_ERR_FLASH_NOT_INITIALISED;
    }
    if (buffer == NULL || !is_inside(flash, address, length)
            || address % CIPHER_BYTES != 0) {
        return ESP_ERR_INVALID_ARG;
    }
    if (length % CIPHER_BYTES != 0) {
        return ESP_ERR_INVALID_SIZE;
    }
    if (!baton_idf_state.config.blind_program
            && !is_blank_or_same(flash, address, buffer, length)) {
        return ESP_ERR_FLASH_OP_FAIL;
    }
    return write_bytes(flash, address, buffer, length);
}

esp_err_t esp_flash_erase_region(
        esp_flash_t *chip, uint32_t start, uint32_t len) {
    (void)chip;
    const struct baton_flash *flash = baton_idf_state.config.flash;
    if (flash == NULL) {
        return ESP_ERR_FLASH_NOT_INITIALISED;
    }
    esp_err_t err = check_region(start, len);
    if (err != ESP_OK) {
        return err;
    }
    uint32_t sector = sector_bytes(flash);
    if (!is_inside(flash, start, len) || start % sector != 0
            || len % sector != 0) {
        return ESP_ERR_INVALID_ARG;
    }
    while (len > 0) {
        uint32_t block = flash->block_bytes;
        bool whole = block != 0 && start % block == 0 && len >= block;
        uint32_t step = whole ? block : sector;
        int failed = flash->erase(flash->context, start, step);
        if (failed != 0) {
            return baton_idf_flash_error(failed);
        }
        start += step;
        len -= step;
    }
    return ESP_OK;
}
