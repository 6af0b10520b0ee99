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

struct window {
    uint32_t from;
    uint32_t to; // one past the end; 0: MMU_ENTRIES pages
};

struct chip {
    uint16_t id;
    bool is_riscv;
    bool has_page_choice;
    uint16_t bootloader_addr;
    const char *name;
    struct window windows[2]; // code, constants; one for both: second from 0
};

static const struct chip chips[] = {
        {0, false, false, 0x1000, "esp32",
                {{0x400D0000, 0x40400000}, {0x3F400000, 0x3F800000}}},
        {2, false, false, 0x1000, "esp32s2",
                {{0x40080000, 0x40800000}, {0x3F000000, 0x3FF80000}}},
        {5, true, false, 0x0, "esp32c3",
                {{0x42000000, 0x42800000}, {0x3C000000, 0x3C800000}}},
        {9, false, false, 0x0, "esp32s3",
                {{0x42000000, 0x44000000}, {0x3C000000, 0x3E000000}}},
        {12, true, true, 0x0, "esp32c2",
                {{0x42000000, 0x42400000}, {0x3C000000, 0x3C400000}}},
        {13, true, true, 0x0, "esp32c6", {{0x42000000, 0}, {0, 0}}},
        {16, true, true, 0x0, "esp32h2", {{0x42000000, 0}, {0, 0}}},
        {18, true, false, 0x2000, "esp32p4",
                {{0x40000000, 0x44000000}, {0x48000000, 0x4C000000}}},
        {20, true, true, 0x0, "esp32c61", {{0x42000000, 0x44000000}, {0, 0}}},
        {23, true, false, 0x2000, "esp32c5",
                {{0x42000000, 0x44000000}, {0, 0}}},
        {25, true, true, 0x0, "esp32h21", {{0x42000000, 0x43000000}, {0, 0}}},
        {28, true, true, 0x2000, "esp32h4", {{0x42000000, 0x44000000}, {0, 0}}},
        {32, true, true, 0x2000, "esp32s31",
                {{0x40000000, 0x44000000}, {0x50000000, 0x54000000}}},
};

static const struct chip *find_chip(uint16_t chip_id) {
    for (size_t i = 0; i < sizeof(chips) / sizeof(chips[0]); i++) {
        if (chips[i].id == chip_id) {
            return &chips[i];
        }
    }
    return NULL;
}

const char *baton_chip_name(uint16_t chip_id) {
    const struct chip *chip = find_chip(chip_id);
    return chip != NULL ? chip->name : NULL;
}

uint16_t baton_chip_id(const char *name) {
    for (size_t i = 0; i < sizeof(chips) / sizeof(chips[0]); i++) {
        if (strcmp(chips[i].name, name) == 0) {
            return chips[i].id;
        }
    }
    return BATON_CHIP_ANY;
}

uint32_t baton_chip_bootloader_addr(uint16_t chip_id) {
    const struct chip *chip = find_chip(chip_id);
    return chip != NULL ? chip->bootloader_addr : 0;
}

bool baton_chip_has_page_choice(uint16_t chip_id) {
    const struct chip *chip = find_chip(chip_id);
    return chip != NULL && chip->has_page_choice;
}

bool baton_chip_is_riscv(uint16_t chip_id) {
    const struct chip *chip = find_chip(chip_id);
    return chip != NULL && chip->is_riscv;
}

uint32_t baton_chip_data_addr(uint16_t chip_id) {
    const struct chip *chip = find_chip(chip_id);
    if (chip == NULL) {
        return 0;
    }
    // The P4's second window is of another memory, not of flash constants.
    bool has_own = chip->windows[1].from != 0
                   && chip->windows[1].from < chip->windows[0].from;
    return chip->windows[has_own ? 1 : 0].from;
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
        uint32_t to = window->to != 0
                              ? window->to
                              : window->from + (MMU_ENTRIES << page_log2);
        if (addr >= window->from && addr < to) {
            return true;
        }
    }
    return false;
}
