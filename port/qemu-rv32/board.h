// QEMU's riscv32 machine `virt` as Baton's board: what lies where, and what the
// bootloader and the firmware leave each other in RAM.
// SPDX-License-Identifier: MIT
#ifndef BOARD_H
#define BOARD_H

#include "baton/boot.h"

#ifdef __ASSEMBLER__
#error "board.h is for C; start.S has its own few numbers"
#endif

#define BOARD_TEST_ADDR     0x00100000u // resets, switches off
#define BOARD_TIMECMP_ADDR  0x02004000u
#define BOARD_TIME_ADDR     0x0200BFF8u // counts at 10 MHz
#define BOARD_UART_ADDR     0x10000000u
#define BOARD_FLASH0_ADDR   0x20000000u // bootloader, run in place
#define BOARD_FLASH1_ADDR   0x22000000u // table, records, images
#define BOARD_RAM_ADDR      0x80000000u // for what an image loads
#define BOARD_RAM_END       0x87FE0000u // from here on it is the bootloader's
#define BOARD_HANDOVER_ADDR 0x87FFF000u // struct board_handover

#define BOARD_TICKS_PER_MS 10000u

// A trial that has neither been confirmed nor asked for more time by then ends
// with a reset, and that one with the firmware of before.
#ifndef BOARD_TRIAL_MS
#define BOARD_TRIAL_MS 60000u
#endif

// Images are made for the chip whose instruction set the board has.
#define BOARD_CHIP_ID 5u // esp32c3

// Why the board started. The numbers are those of MicroPython's ESP32 port,
// which has no name for a panic; esp_reset_reason() has.
enum board_cause {
    BOARD_CAUSE_POWER_ON = 1,
    BOARD_CAUSE_WATCHDOG = 3, // a trial's time was over
    BOARD_CAUSE_SOFT = 5,     // asked for
    BOARD_CAUSE_PANIC = 6,    // a trap
};

#define BOARD_HANDOVER_MAGIC 0x424E5442u

// RAM survives a reset, so this page carries what one boot tells the next.
struct board_handover {
    uint32_t magic;      // BOARD_HANDOVER_MAGIC, or the rest is rubbish
    uint32_t next_cause; // enum board_cause of the boot to come; 0: not said
    uint32_t cause;      // of this boot
    uint32_t boots;      // since power on
    uint32_t trap[3];    // mcause, mepc and mtval of the last panic
    struct baton_boot_result result; // what was decided, and why
};

_Static_assert(sizeof(struct board_handover) <= 0xF00,
        "the handover leaves the page's end to struct board_cut");

static inline struct board_handover *board_handover(void) {
    return (struct board_handover *)BOARD_HANDOVER_ADDR;
}

// ---- UART, clock, reset: board.c -----------------------------------------

void board_uart_begin(void); // 16 bytes are kept until they are read
void board_print(const char *text);
void board_print_hex(uint32_t value);

uint32_t board_ticks_ms(void); // since power on; comes round after 49 days
uint32_t board_ticks_us(void); // and this after 71 minutes

// Resets the board in so many milliseconds, unless it is called again before; 0
// takes the deadline away.
void board_set_deadline(uint32_t ms);

_Noreturn void board_reset(enum board_cause cause);
_Noreturn void board_power_off(void);
_Noreturn void board_fail(void); // power off; the emulator's exit status is 1

#endif
