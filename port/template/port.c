// A port to start from. See baton-template/port.h.
// SPDX-License-Identifier: MIT
#include "baton-template/port.h"

#include <string.h>

#include "baton-freestanding/crypto.h"
#include "baton-freestanding/p256.h"
#include "baton/error.h"

// ---- Flash ---------------------------------------------------------------
//
// What holds here (baton/port.h): a call that does not fit is refused and
// touches nothing; a call that returned 0 is on flash for good. A cut may leave
// anything in the range it hit, and nothing outside it: a driver that reads a
// sector, changes it and writes it back breaks that.

static int check_range(uint32_t addr, size_t len) {
    bool is_inside =
            addr <= TEMPLATE_FLASH_BYTES && len <= TEMPLATE_FLASH_BYTES - addr;
    return is_inside ? 0 : BATON_ERR_RANGE;
}

static int read_flash(void *context, uint32_t addr, void *buf, size_t len) {
    (void)context;
    int err = check_range(addr, len);
    return err != 0 ? err : template_chip_read(addr, buf, len);
}

// Chips wrap round at the end of a page, so no command goes past one. Where
// program_bytes is above 1 (encrypted flash), refuse here, with BATON_ERR_ARG,
// what is not whole units.
static int program_flash(
        void *context, uint32_t addr, const void *buf, size_t len) {
    (void)context;
    const uint8_t *from = buf;
    int err = check_range(addr, len);
    while (err == 0 && len > 0) {
        size_t room = TEMPLATE_PAGE_BYTES - addr % TEMPLATE_PAGE_BYTES;
        size_t count = len < room ? len : room;
        err = template_chip_program(addr, from, count);
        from += count;
        addr += (uint32_t)count;
        len -= count;
    }
    return err;
}

// The larger command only where a whole block is to go: one call of one block
// must be one command, as the chip may stand still for it.
static int erase_flash(void *context, uint32_t addr, size_t len) {
    (void)context;
    int err = check_range(addr, len);
    if (err == 0
            && (addr % BATON_SECTOR_BYTES != 0
                    || len % BATON_SECTOR_BYTES != 0)) {
        err = BATON_ERR_ARG;
    }
    while (err == 0 && len > 0) {
        bool is_block =
                addr % BATON_BLOCK_BYTES == 0 && len >= BATON_BLOCK_BYTES;
        uint32_t count = is_block ? BATON_BLOCK_BYTES : BATON_SECTOR_BYTES;
        err = template_chip_erase(addr, count);
        addr += count;
        len -= count;
    }
    return err;
}

// ---- Clock, random, reset ------------------------------------------------

// Milliseconds of this boot in 64 bits; asked at least once in 49 days.
static uint64_t read_ticks(void *context) {
    static uint32_t last;
    static uint32_t rounds;
    (void)context;
    uint32_t now = template_chip_ms();
    rounds += now < last ? 1u : 0u;
    last = now;
    return (uint64_t)rounds << 32 | now;
}

// Without a clock that keeps the time, nothing is known of the date: releases
// that expire are then refused unless an option allows them.
static enum baton_clock_trust read_clock(void *context, uint64_t *unix_s) {
    (void)context;
    *unix_s = 0;
    return BATON_CLOCK_NONE;
}

// Devices have to differ from each other, no more: nothing secret comes from
// here.
static void fill_random(void *context, void *buf, size_t len) {
    static uint32_t state;
    (void)context;
    uint8_t *to = buf;
    for (size_t i = 0; i < len; i++) {
        state = (state ^ template_chip_noise()) * 1664525u + 1013904223u;
        to[i] = (uint8_t)(state >> 24);
    }
}

static enum baton_cause read_cause(void *context) {
    (void)context;
    return template_chip_cause();
}

static void reboot(void *context) {
    (void)context;
    template_chip_reset();
}

// What ends a trial whose program stands still. A chip without such a timer
// leaves `arm` NULL, and a trial then ends at its next boot only.
static int arm_watchdog(void *context, uint32_t ms) {
    (void)context;
    return template_chip_arm(ms);
}

// ---- All of it -----------------------------------------------------------

int template_port_begin(struct template_port *self) {
    self->flash = (struct baton_flash){
            .read = read_flash,
            .program = program_flash,
            .erase = erase_flash,
            .size_bytes = TEMPLATE_FLASH_BYTES,
            .sector_bytes = BATON_SECTOR_BYTES,
            .block_bytes = BATON_BLOCK_BYTES,
            .program_bytes = 1,
    };
    baton_crypto_init(&self->crypto); // or the chip's own, or a library's
    self->crypto.verify_p256 = baton_p256_callback;
    self->chip = (struct baton_chip){.id = 5, .revision = 3}; // an ESP32-C3
    self->clock = (struct baton_clock){NULL, read_ticks, read_clock};
    self->random = (struct baton_random){NULL, fill_random};
    self->reset = (struct baton_reset){NULL, read_cause, reboot, arm_watchdog};
    return baton_flash_store_begin(&self->store, &self->flash,
            TEMPLATE_STORE_ADDR, self->store_work, sizeof(self->store_work));
}

// ---- The chip: replace these ---------------------------------------------
//
// Here it is an array that keeps the rules of NOR. A real chip keeps them by
// itself, and most cannot tell when they are broken: what is programmed over
// other data is then lost without an error.

static uint8_t bytes[TEMPLATE_FLASH_BYTES];
static uint32_t ms_now;
static uint32_t armed_ms;
static uint32_t resets;

int template_chip_read(uint32_t addr, void *buf, size_t len) {
    memcpy(buf, bytes + addr, len);
    return 0;
}

int template_chip_program(uint32_t addr, const void *buf, size_t len) {
    const uint8_t *from = buf;
    for (size_t i = 0; i < len; i++) {
        bytes[addr + i] &= from[i];
    }
    return 0;
}

int template_chip_erase(uint32_t addr, size_t len) {
    memset(bytes + addr, 0xFF, len);
    return 0;
}

uint32_t template_chip_ms(void) {
    return ms_now++;
}

uint32_t template_chip_noise(void) {
    return ms_now;
}

enum baton_cause template_chip_cause(void) {
    return resets == 0 ? BATON_CAUSE_POWER : BATON_CAUSE_RESET;
}

void template_chip_reset(void) {
    resets++;
    armed_ms = 0;
}

int template_chip_arm(uint32_t ms) {
    armed_ms = ms;
    return 0;
}
