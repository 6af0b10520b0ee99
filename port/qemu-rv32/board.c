// The board's UART, clock and reset.
// SPDX-License-Identifier: MIT
#include "board.h"

#define UART_FIFO_OFF     2u
#define UART_FIFO_ON      0xC1u // trigger level 14: QEMU fills it so far
#define UART_STATUS_OFF   5u
#define UART_STATUS_EMPTY 0x20u // of the transmitter

#define TEST_FAIL      0x13333u // status 1
#define TEST_POWER_OFF 0x5555u
#define TEST_RESET     0x7777u

#define TIMER_INTERRUPT 0x80u // of mie

static volatile uint32_t *word_at(uint32_t addr) {
    return (volatile uint32_t *)addr;
}

static void print_char(char c) {
    volatile uint8_t *uart = (volatile uint8_t *)BOARD_UART_ADDR;
    while ((uart[UART_STATUS_OFF] & UART_STATUS_EMPTY) == 0) {
    }
    *uart = (uint8_t)c;
}

void board_uart_begin(void) {
    *(volatile uint8_t *)(BOARD_UART_ADDR + UART_FIFO_OFF) = UART_FIFO_ON;
}

void board_print(const char *text) {
    for (; *text != 0; text++) {
        print_char(*text);
    }
}

void board_print_hex(uint32_t value) {
    for (int shift = 28; shift >= 0; shift -= 4) {
        print_char("0123456789abcdef"[value >> shift & 0xFu]);
    }
}

// The two halves are read one after the other: again where the upper one has
// changed in between.
static uint32_t read_time(uint32_t *high) {
    uint32_t low;
    do {
        *high = *word_at(BOARD_TIME_ADDR + 4u);
        low = *word_at(BOARD_TIME_ADDR);
    } while (*word_at(BOARD_TIME_ADDR + 4u) != *high);
    return low;
}

uint32_t board_ticks_ms(void) {
    // 2^32 ticks are 429496 ms and 7296 ticks.
    uint32_t high;
    uint32_t low = read_time(&high);
    uint32_t rest = high % BOARD_TICKS_PER_MS * 7296u;
    return high * 429496u + high / BOARD_TICKS_PER_MS * 7296u
           + rest / BOARD_TICKS_PER_MS
           + (rest % BOARD_TICKS_PER_MS + low % BOARD_TICKS_PER_MS)
                     / BOARD_TICKS_PER_MS
           + low / BOARD_TICKS_PER_MS;
}

uint32_t board_ticks_us(void) {
    // 2^32 ticks are 429496729 us and 6 ticks.
    uint32_t high;
    uint32_t low = read_time(&high);
    return high * 429496729u + high / 10u * 6u + low / 10u
           + (high % 10u * 6u + low % 10u) / 10u;
}

void board_set_deadline(uint32_t ms) {
    uint32_t high;
    uint32_t low = read_time(&high);
    // In steps, so that no product of 64 bits is needed.
    uint32_t add = ms % 429496u * BOARD_TICKS_PER_MS;
    high += ms / 429496u + (low + add < low ? 1u : 0u);
    low += add;
    // Never, until both halves are there.
    *word_at(BOARD_TIMECMP_ADDR + 4u) = UINT32_MAX;
    *word_at(BOARD_TIMECMP_ADDR) = low;
    if (ms == 0) {
        return;
    }
    *word_at(BOARD_TIMECMP_ADDR + 4u) = high;
    __asm volatile("csrs mie, %0\n\tcsrsi mstatus, 8" ::"r"(TIMER_INTERRUPT)
                   : "memory");
}

static _Noreturn void finish(uint32_t how) {
    *word_at(BOARD_TEST_ADDR) = how;
    for (;;) {
    }
}

void board_reset(enum board_cause cause) {
    board_handover()->next_cause = cause;
    __asm volatile("csrci mstatus, 8" ::: "memory");
    finish(TEST_RESET);
}

void board_power_off(void) {
    finish(TEST_POWER_OFF);
}

void board_fail(void) {
    finish(TEST_FAIL);
}
