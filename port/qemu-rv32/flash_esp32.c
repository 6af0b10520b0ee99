// The board's flash as native code for an ESP32 knows flash: sectors of 4 KiB.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "baton/error.h"
#include "flash.h"

// A large sector in pieces, as no real chip would.
static int blank_piece(const struct board_flash *self, uint32_t at) {
    uint8_t blank[BOARD_FLASH_BUFFER_BYTES];
    memset(blank, 0xFF, sizeof(blank));
    int err = 0;
    for (uint32_t off = 0; err == 0 && off < BATON_SECTOR_BYTES;
            off += sizeof(blank)) {
        if (self->on_command != NULL) {
            self->on_command(at + off, blank, sizeof(blank));
        }
        err = board_flash_write_buffer(at + off, blank, sizeof(blank));
    }
    return err;
}

static int erase_as_esp32(void *context, uint32_t addr, size_t len) {
    const struct board_flash *self = context;
    int err = addr > BOARD_FLASH_BYTES || len > BOARD_FLASH_BYTES - addr
                      ? BATON_ERR_RANGE
                      : 0;
    if (err == 0
            && (addr % BATON_SECTOR_BYTES != 0
                    || len % BATON_SECTOR_BYTES != 0)) {
        err = BATON_ERR_ARG;
    }
    for (; err == 0 && len > 0; len -= BATON_SECTOR_BYTES) {
        uint32_t room;
        err = addr < BOARD_FLASH_SMALL_BYTES
                      ? self->records.erase(context, addr, BATON_SECTOR_BYTES)
                      : blank_piece(self, board_flash_locate(addr, &room));
        addr += BATON_SECTOR_BYTES;
    }
    return err;
}

void board_flash_begin_esp32(struct board_flash *self) {
    self->as_esp32 = self->records;
    self->as_esp32.erase = erase_as_esp32;
}
