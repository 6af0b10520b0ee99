// A port to start from: every seam of baton/port.h, filled in once.
// SPDX-License-Identifier: MIT
//
// Copy this header and port/template/port.c to your project and replace the
// functions under "The chip" by your chip's; what stands above them checks what
// the contract asks, and can stay. As it is here the chip is an array, so that
// the tests can hold the template to the contract (tests/contract).
#ifndef BATON_TEMPLATE_PORT_H
#define BATON_TEMPLATE_PORT_H

#include "baton-freestanding/flash_store.h"
#include "baton/port.h"

#define TEMPLATE_FLASH_BYTES 0x100000u
#define TEMPLATE_PAGE_BYTES  256u    // the most that one program command takes
#define TEMPLATE_STORE_ADDR  0xE000u // two sectors that no partition has
#define TEMPLATE_STORE_WORK  4640u

struct template_port {
    struct baton_flash flash;
    struct baton_crypto crypto;
    struct baton_chip chip;
    struct baton_clock clock;
    struct baton_random random;
    struct baton_reset reset;
    struct baton_flash_store store; // hand &store.store to Baton
    uint8_t store_work[TEMPLATE_STORE_WORK];
};

// Fills everything in. Call it once; the struct stays where it is as long as
// anything of Baton runs.
//
// Flash      what baton_flash_store_begin does
// Returns    0, and those of baton_flash_store_begin
int template_port_begin(struct template_port *self);

// ---- The chip: replace these ---------------------------------------------

// Reads; any address and length inside the chip.
int template_chip_read(uint32_t addr, void *buf, size_t len);

// Programs up to one page, inside one page. Returns when the chip has finished.
int template_chip_program(uint32_t addr, const void *buf, size_t len);

// Erases one sector, or one block. Returns when the chip has finished.
int template_chip_erase(uint32_t addr, size_t len);

// Milliseconds since the start; comes round after 49 days.
uint32_t template_chip_ms(void);

// Any number; noise of an ADC, a serial number, the time of the first packet.
uint32_t template_chip_noise(void);

enum baton_cause template_chip_cause(void);
void template_chip_reset(void);

// Starts a watchdog that nothing feeds; 0 stops it.
int template_chip_arm(uint32_t ms);

#endif
