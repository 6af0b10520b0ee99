// Flash unit 1 of the board, by Intel's command set.
// SPDX-License-Identifier: MIT
#include "flash.h"

#include <string.h>

#include "baton/error.h"
#include "board.h"

// Commands go to both chips at once.
#define PAIR(byte)         ((uint32_t)(byte) << 16 | (uint32_t)(byte))
#define COMMAND_ERASE      PAIR(0x20)
#define COMMAND_CONFIRM    PAIR(0xD0)
#define COMMAND_BUFFER     PAIR(0xE8)
#define COMMAND_CLEAR      PAIR(0x50)
#define COMMAND_READ_ARRAY PAIR(0xFF)
#define STATUS_READY       PAIR(0x80)
#define STATUS_ERRORS      PAIR(0x3A) // erase, program, voltage, protection

#define LARGE_AT   0x1000000u // the first large sector, on the chip
#define POLLS_MAX  100000000u
#define WORD_BYTES 4u

static volatile uint32_t *word_at(uint32_t at) {
    return (volatile uint32_t *)(BOARD_FLASH1_ADDR + at);
}

const uint8_t *board_flash_bytes(uint32_t at) {
    return (const uint8_t *)(BOARD_FLASH1_ADDR + at);
}

static bool is_ready(uint32_t at) {
    return (*word_at(at) & STATUS_READY) == STATUS_READY;
}

static bool wait_ready(uint32_t at) {
    for (uint32_t i = 0; i < POLLS_MAX; i++) {
        if (is_ready(at)) {
            return true;
        }
    }
    return false;
}

// Waits for the command to end, and makes the chip readable again.
static int finish_command(uint32_t at) {
    bool is_over = wait_ready(at);
    uint32_t errors = *word_at(at) & STATUS_ERRORS;
    *word_at(at) = COMMAND_CLEAR;
    *word_at(at) = COMMAND_READ_ARRAY;
    // What the compiler has read of the chip before is no longer so.
    __asm volatile("" ::: "memory");
    return is_over && errors == 0 ? 0 : BATON_ERR_IO;
}

int board_flash_erase_sector(uint32_t at) {
    *word_at(at) = COMMAND_ERASE;
    *word_at(at) = COMMAND_CONFIRM;
    return finish_command(at);
}

// A word of the chip with as much of the data in it as lies there.
static uint32_t merge_word(
        uint32_t word_off, uint32_t at, const uint8_t *data, size_t len) {
    uint32_t word = 0;
    const uint8_t *old = board_flash_bytes(word_off);
    for (uint32_t i = 0; i < WORD_BYTES; i++) {
        uint32_t off = word_off + i - at;
        word |= (uint32_t)(off < len ? data[off] : old[i]) << 8u * i;
    }
    return word;
}

int board_flash_write_buffer(uint32_t at, const uint8_t *data, size_t len) {
    uint32_t words[BOARD_FLASH_BUFFER_BYTES / WORD_BYTES];
    uint32_t from = at - at % WORD_BYTES;
    uint32_t count = 0; // the chip cannot be read once the command began
    for (uint32_t off = from; off < at + len; off += WORD_BYTES) {
        words[count++] = merge_word(off, at, data, len);
    }
    *word_at(from) = COMMAND_BUFFER;
    if (!wait_ready(from)) {
        return finish_command(from);
    }
    *word_at(from) = PAIR(count - 1u);
    for (uint32_t i = 0; i < count; i++) {
        *word_at(from + i * WORD_BYTES) = words[i];
    }
    *word_at(from) = COMMAND_CONFIRM;
    return finish_command(from);
}

// ---- The layout ----------------------------------------------------------

static uint32_t smaller(uint32_t a, size_t b) {
    return a < b ? a : (uint32_t)b;
}

static uint32_t sector_bytes(uint32_t addr) {
    return addr < BOARD_FLASH_SMALL_BYTES ? BATON_SECTOR_BYTES
                                          : BOARD_FLASH_SECTOR_BYTES;
}

uint32_t board_flash_locate(uint32_t addr, uint32_t *room) {
    if (addr >= BOARD_FLASH_SMALL_BYTES) {
        *room = BOARD_FLASH_BYTES - addr;
        return LARGE_AT + (addr - BOARD_FLASH_SMALL_BYTES);
    }
    uint32_t off = addr % BATON_SECTOR_BYTES;
    *room = BATON_SECTOR_BYTES - off;
    return addr / BATON_SECTOR_BYTES * BOARD_FLASH_SECTOR_BYTES + off;
}

static int check_range(uint32_t addr, size_t len) {
    bool is_inside =
            addr <= BOARD_FLASH_BYTES && len <= BOARD_FLASH_BYTES - addr;
    return is_inside ? 0 : BATON_ERR_RANGE;
}

static int read_flash(void *context, uint32_t addr, void *buf, size_t len) {
    (void)context;
    int err = check_range(addr, len);
    uint8_t *to = buf;
    while (err == 0 && len > 0) {
        uint32_t room;
        const uint8_t *from =
                board_flash_bytes(board_flash_locate(addr, &room));
        uint32_t count = smaller(room, len);
        memcpy(to, from, count);
        to += count;
        addr += count;
        len -= count;
    }
    return err;
}

// True where no bit would be set.
static bool only_clears(uint32_t addr, const uint8_t *data, size_t len) {
    while (len > 0) {
        uint32_t room;
        const uint8_t *old = board_flash_bytes(board_flash_locate(addr, &room));
        uint32_t count = smaller(room, len);
        for (uint32_t i = 0; i < count; i++) {
            if ((data[i] & ~old[i]) != 0) {
                return false;
            }
        }
        data += count;
        addr += count;
        len -= count;
    }
    return true;
}

static int program_flash(
        void *context, uint32_t addr, const void *buf, size_t len) {
    const struct board_flash *self = context;
    const uint8_t *data = buf;
    int err = check_range(addr, len);
    if (err == 0 && !only_clears(addr, data, len)) {
        err = BATON_ERR_NOR;
    }
    while (err == 0 && len > 0) {
        uint32_t room;
        uint32_t at = board_flash_locate(addr, &room);
        uint32_t in_buffer =
                BOARD_FLASH_BUFFER_BYTES - at % BOARD_FLASH_BUFFER_BYTES;
        uint32_t count = smaller(smaller(room, len), in_buffer);
        if (self->on_command != NULL) {
            self->on_command(at, data, count);
        }
        err = board_flash_write_buffer(at, data, count);
        data += count;
        addr += count;
        len -= count;
    }
    return err;
}

// A range of whole sectors, small or large, begins and ends on sectors.
static bool is_whole(uint32_t addr, size_t len) {
    uint32_t end = addr + (uint32_t)len;
    return len == 0
           || (addr % sector_bytes(addr) == 0
                   && end % sector_bytes(end - 1u) == 0);
}

static int erase_flash(void *context, uint32_t addr, size_t len) {
    const struct board_flash *self = context;
    int err = check_range(addr, len);
    if (err == 0 && !is_whole(addr, len)) {
        err = BATON_ERR_ARG;
    }
    while (err == 0 && len > 0) {
        uint32_t room;
        uint32_t at = board_flash_locate(addr, &room);
        uint32_t count = sector_bytes(addr);
        if (self->on_command != NULL) {
            self->on_command(at, NULL, count);
        }
        err = board_flash_erase_sector(at);
        addr += count;
        len -= count;
    }
    return err;
}

void board_flash_begin(struct board_flash *self) {
    *self = (struct board_flash){
            .records = {.context = self,
                    .read = read_flash,
                    .program = program_flash,
                    .erase = erase_flash,
                    .size_bytes = BOARD_FLASH_BYTES},
    };
    self->images = self->records;
    self->images.sector_bytes = BOARD_FLASH_SECTOR_BYTES;
    // A reset may have come in the middle of a command.
    *word_at(0) = COMMAND_READ_ARRAY;
}
