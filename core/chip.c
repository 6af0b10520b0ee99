// Chips by id: names, bootloader addresses, flash-mapped windows.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "baton/image.h"

#define PAGE_LOG2_DEFAULT 16u
#define PAGE_LOG2_MIN     13u
#define PAGE_LOG2_MAX     18u

// The MMU of these chips has this many entries, so the window grows with the
// page.
#define MMU_ENTRIES 256u

// The high half of its addresses: all begin and end on 64 KiB.
struct window {
    uint16_t from;
    uint16_t to; // one past the end; 0: MMU_ENTRIES pages
};

enum { RISCV = 1, PAGE_CHOICE = 2 };

struct chip {
    uint8_t id;
    uint8_t flags;
    uint8_t bootloader_sector;
    struct window windows[2]; // code, constants; one for both: second from 0
};

static const struct chip chips[] = {
        {0, 0, 1, {{0x400D, 0x4040}, {0x3F40, 0x3F80}}},
        {2, 0, 1, {{0x4008, 0x4080}, {0x3F00, 0x3FF8}}},
        {5, RISCV, 0, {{0x4200, 0x4280}, {0x3C00, 0x3C80}}},
        {9, 0, 0, {{0x4200, 0x4400}, {0x3C00, 0x3E00}}},
        {12, RISCV | PAGE_CHOICE, 0, {{0x4200, 0x4240}, {0x3C00, 0x3C40}}},
        {13, RISCV | PAGE_CHOICE, 0, {{0x4200, 0}, {0, 0}}},
        {16, RISCV | PAGE_CHOICE, 0, {{0x4200, 0}, {0, 0}}},
        {18, RISCV, 2, {{0x4000, 0x4400}, {0x4800, 0x4C00}}},
        {20, RISCV | PAGE_CHOICE, 0, {{0x4200, 0x4400}, {0, 0}}},
        {23, RISCV, 2, {{0x4200, 0x4400}, {0, 0}}},
        {25, RISCV | PAGE_CHOICE, 0, {{0x4200, 0x4300}, {0, 0}}},
        {28, RISCV | PAGE_CHOICE, 2, {{0x4200, 0x4400}, {0, 0}}},
        {32, RISCV | PAGE_CHOICE, 2, {{0x4000, 0x4400}, {0x5000, 0x5400}}},
};

#define CHIPS (sizeof(chips) / sizeof(chips[0]))

// In that order; apart, as devices need none.
static const char names[CHIPS][10] = {
        "esp32",
        "esp32s2",
        "esp32c3",
        "esp32s3",
        "esp32c2",
        "esp32c6",
        "esp32h2",
        "esp32p4",
        "esp32c61",
        "esp32c5",
        "esp32h21",
        "esp32h4",
        "esp32s31",
};

static const struct chip *find_chip(uint16_t chip_id) {
    for (size_t i = 0; i < CHIPS; i++) {
        if (chips[i].id == chip_id) {
            return &chips[i];
        }
    }
    return NULL;
}

static uint32_t addr_of(uint16_t high) {
    return (uint32_t)high << 16;
}

const char *baton_chip_name(uint16_t chip_id) {
    const struct chip *chip = find_chip(chip_id);
    return chip != NULL ? names[chip - chips] : NULL;
}

uint16_t baton_chip_id(const char *name) {
    for (size_t i = 0; i < CHIPS; i++) {
        if (strcmp(names[i], name) == 0) {
            return chips[i].id;
        }
    }
    return BATON_CHIP_ANY;
}

uint32_t baton_chip_bootloader_addr(uint16_t chip_id) {
    const struct chip *chip = find_chip(chip_id);
    return chip != NULL ? (uint32_t)chip->bootloader_sector << 12 : 0;
}

bool baton_chip_has_page_choice(uint16_t chip_id) {
    const struct chip *chip = find_chip(chip_id);
    return chip != NULL && (chip->flags & PAGE_CHOICE) != 0;
}

bool baton_chip_is_riscv(uint16_t chip_id) {
    const struct chip *chip = find_chip(chip_id);
    return chip != NULL && (chip->flags & RISCV) != 0;
}

uint32_t baton_chip_data_addr(uint16_t chip_id) {
    const struct chip *chip = find_chip(chip_id);
    if (chip == NULL) {
        return 0;
    }
    // The P4's second window is of another memory, not of flash constants.
    bool has_own = chip->windows[1].from != 0
                   && chip->windows[1].from < chip->windows[0].from;
    return addr_of(chip->windows[has_own ? 1 : 0].from);
}

uint8_t baton_chip_page_log2(
        uint16_t chip_id, uint8_t wanted_log2, uint8_t default_log2) {
    if (!baton_chip_has_page_choice(chip_id)) {
        return PAGE_LOG2_DEFAULT;
    }
    if (wanted_log2 >= PAGE_LOG2_MIN && wanted_log2 <= PAGE_LOG2_MAX) {
        return wanted_log2;
    }
    return default_log2 != 0 ? default_log2 : PAGE_LOG2_DEFAULT;
}

bool baton_chip_is_mapped(
        uint16_t chip_id, uint8_t mmu_page_log2, uint32_t addr) {
    const struct chip *chip = find_chip(chip_id);
    if (chip == NULL) {
        return false;
    }
    uint8_t page_log2 = mmu_page_log2 != 0 ? mmu_page_log2 : PAGE_LOG2_DEFAULT;
    for (size_t i = 0; i < 2 && chip->windows[i].from != 0; i++) {
        const struct window *window = &chip->windows[i];
        uint32_t from = addr_of(window->from);
        uint32_t to = window->to != 0 ? addr_of(window->to)
                                      : from + (MMU_ENTRIES << page_log2);
        if (addr >= from && addr < to) {
            return true;
        }
    }
    return false;
}
