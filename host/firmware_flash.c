// The SPI settings of an image header, and the memories of each chip.
// SPDX-License-Identifier: MIT
#include <string.h>
#include <strings.h>

#include "firmware.h"

static const char *const modes[] = {
        "qio", "qout", "dio", "dout", "fast_read", "slow_read"};

static const char *const sizes[] = {
        "1MB", "2MB", "4MB", "8MB", "16MB", "32MB", "64MB", "128MB"};

// The four values of the frequency nibble that mean anything.
struct frequencies {
    uint16_t chip_id;
    const char *of_0;
    const char *of_1;
    const char *of_2;
    const char *of_15;
};

static const struct frequencies frequencies[] = {
        {12, "30m", "20m", "15m", "60m"}, // C2
        {13, "80m", "?", "20m", "?"},     // C6
        {16, "24m", "16m", "12m", "48m"}, // H2
        {28, "24m", "16m", "12m", "48m"}, // H4
        {20, "40m", "?", "20m", "80m"},   // C61
        {23, "40m", "?", "20m", "80m"},   // C5
        {BATON_CHIP_ANY, "40m", "26m", "20m", "80m"},
};

static const struct frequencies *find_frequencies(uint16_t chip_id) {
    const struct frequencies *row = frequencies;
    while (row->chip_id != chip_id && row->chip_id != BATON_CHIP_ANY) {
        row++;
    }
    return row;
}

const char *firmware_flash_mode(uint8_t spi_mode) {
    return spi_mode < sizeof(modes) / sizeof(modes[0]) ? modes[spi_mode] : "?";
}

const char *firmware_flash_size(uint8_t spi_size) {
    return spi_size < sizeof(sizes) / sizeof(sizes[0]) ? sizes[spi_size] : "?";
}

const char *firmware_flash_frequency(uint16_t chip_id, uint8_t spi_speed) {
    const struct frequencies *row = find_frequencies(chip_id);
    switch (spi_speed) {
    case 0:
        return row->of_0;
    case 1:
        return row->of_1;
    case 2:
        return row->of_2;
    case 15:
        return row->of_15;
    default:
        return "?";
    }
}

int firmware_parse_flash_mode(const char *text) {
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcasecmp(text, modes[i]) == 0) {
            return (int)i;
        }
    }
    return -1;
}

int firmware_parse_flash_size(const char *text) {
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (strcasecmp(text, sizes[i]) == 0) {
            return (int)i;
        }
    }
    return -1;
}

int firmware_parse_flash_frequency(uint16_t chip_id, const char *text) {
    if (strcmp(text, "?") == 0) {
        return -1;
    }
    for (uint8_t value = 0; value < 16; value++) {
        if (strcasecmp(text, firmware_flash_frequency(chip_id, value)) == 0) {
            return value;
        }
    }
    return -1;
}

struct memory {
    uint16_t chip_id;
    uint32_t from;
    uint32_t to; // one past the end
    const char *name;
};

// What is neither mapped from flash nor below the loadable addresses.
static const struct memory memories[] = {
        {0, 0x3F800000, 0x3FC00000, "psram"},
        {0, 0x3FF80000, 0x3FF82000, "rtc_fast"},
        {0, 0x3FFAE000, 0x40000000, "dram"},
        {0, 0x40070000, 0x400C0000, "iram"},
        {0, 0x400C0000, 0x400C2000, "rtc_fast"},
        {0, 0x50000000, 0x50002000, "rtc_slow"},
        {2, 0x3FF9E000, 0x3FFA0000, "rtc_fast"},
        {2, 0x3FFB0000, 0x40000000, "dram"},
        {2, 0x40020000, 0x40070000, "iram"},
        {2, 0x40070000, 0x40072000, "rtc_fast"},
        {2, 0x50000000, 0x50002000, "rtc_slow"},
        {5, 0x3FC80000, 0x3FCE0000, "dram"},
        {5, 0x4037C000, 0x403E0000, "iram"},
        {5, 0x50000000, 0x50002000, "rtc_fast"},
        {9, 0x3FC88000, 0x3FD00000, "dram"},
        {9, 0x40370000, 0x403E0000, "iram"},
        {9, 0x50000000, 0x50002000, "rtc_slow"},
        {9, 0x600FE000, 0x60100000, "rtc_fast"},
        {12, 0x3FCA0000, 0x3FCE0000, "dram"},
        {12, 0x4037C000, 0x403C0000, "iram"},
        {13, 0x40800000, 0x40880000, "ram"},
        {13, 0x50000000, 0x50004000, "rtc_fast"},
        {16, 0x40800000, 0x40850000, "ram"},
        {16, 0x50000000, 0x50001000, "rtc_fast"},
        {18, 0x30100000, 0x30102000, "tcm"},
        {18, 0x4FF00000, 0x4FFC0000, "ram"},
        {18, 0x50108000, 0x50110000, "rtc_fast"},
        {20, 0x40800000, 0x40860000, "ram"},
        {23, 0x40800000, 0x40860000, "ram"},
        {23, 0x50000000, 0x50004000, "rtc_fast"},
        {25, 0x40800000, 0x40850000, "ram"},
        {28, 0x40810000, 0x40860000, "ram"},
        {28, 0x50000000, 0x50004000, "rtc_fast"},
        {32, 0x2F000000, 0x2F080000, "ram"},
        {32, 0x2E000000, 0x2E008000, "rtc_fast"},
};

// Chips with one window for both kinds, and one for external RAM beside it.
#define CHIP_P4  18u
#define CHIP_S31 32u

static const char *name_mapped(uint16_t chip_id, uint32_t load_addr) {
    uint32_t data_addr = baton_chip_data_addr(chip_id);
    if (chip_id == CHIP_P4 || chip_id == CHIP_S31) {
        return load_addr - data_addr < 0x4000000 ? "flash" : "psram";
    }
    bool is_one_window = data_addr >= 0x42000000;
    if (is_one_window) {
        return "flash";
    }
    return load_addr < 0x40000000 ? "flash_data" : "flash_code";
}

const char *firmware_memory(
        uint16_t chip_id, uint8_t page_log2, uint32_t load_addr) {
    if (baton_chip_is_mapped(chip_id, page_log2, load_addr)) {
        return name_mapped(chip_id, load_addr);
    }
    if (load_addr < 0x10000000) {
        return "padding";
    }
    for (size_t i = 0; i < sizeof(memories) / sizeof(memories[0]); i++) {
        const struct memory *memory = &memories[i];
        if (memory->chip_id == chip_id && load_addr >= memory->from
                && load_addr < memory->to) {
            return memory->name;
        }
    }
    return "unknown";
}
