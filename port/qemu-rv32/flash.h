// Flash unit 1 of the board: two x16 chips with Intel's command set (CFI 01)
// side by side on a bus of 32 bits, sectors of 256 KiB.
// SPDX-License-Identifier: MIT
//
// Records need sectors of their own, 4 KiB apart in the vendor's formats, and
// images need room. So the driver lays the chip out as chips with boot sectors
// are: 64 small sectors in front, large ones behind them.
//
//   address              sector    on the chip
//   0x000000 - 0x03FFFF  4 KiB     each at the start of a sector of its own,
//                                  0x0000000, 0x0040000 ... 0x0FC0000
//   0x040000 - 0x3FFFFF  256 KiB   0x1000000 on, one to one
//
// The chip is emulated without the rule that a program only clears bits, so the
// driver reads before it programs and refuses what sets one.
#ifndef BOARD_FLASH_H
#define BOARD_FLASH_H

#include "baton/port.h"

#define BOARD_FLASH_BYTES        0x400000u
#define BOARD_FLASH_SMALL_BYTES  0x40000u // of the small sectors together
#define BOARD_FLASH_SECTOR_BYTES 0x40000u // of a large one
#define BOARD_FLASH_BUFFER_BYTES 2048u    // programmed by one command

//
// Native modules and scripts that are made for an ESP32 know no sectors but
// those of 4 KiB. For them alone there is a third view of the chip, in which a
// large sector is erased in pieces by programming 0xFF: the emulated chip does
// that, a real one does not. Neither bootloader nor `baton.Partition` use it.
struct board_flash {
    // The same chip twice: what is erased in small sectors, and what in large
    // ones. An erase in the other one's part is BATON_ERR_ARG, unless it fits
    // the sectors there.
    struct baton_flash records;
    struct baton_flash images;
    struct baton_flash as_esp32; // 4 KiB everywhere; filled in where asked for
    // Called before each command with what it is about to do (data NULL: an
    // erase), for tests that cut the power there; NULL: nothing is called.
    void (*on_command)(uint32_t at, const uint8_t *data, size_t len);
};

void board_flash_begin(struct board_flash *self);

// Fills in the third view; without, it stays empty.
void board_flash_begin_esp32(struct board_flash *self);

// Where an address is on the chip, and how many bytes from there follow it.
uint32_t board_flash_locate(uint32_t addr, uint32_t *room);

// ---- One command each, by the chip's own addresses -----------------------
//
// Errors: BATON_ERR_IO

int board_flash_erase_sector(uint32_t at);

// len > 0, inside one buffer (2048 bytes, aligned).
int board_flash_write_buffer(uint32_t at, const uint8_t *data, size_t len);

// What the chip holds.
const uint8_t *board_flash_bytes(uint32_t at);

#endif
