// What every port's flash must do, as rules that run on any of them.
// SPDX-License-Identifier: MIT
//
// Freestanding: a test on a PC and a program on a board run the same rules.
// Everything between addr and addr + len_bytes is destroyed.
#ifndef FLASH_CONTRACT_H
#define FLASH_CONTRACT_H

#include "baton/port.h"

struct flash_contract {
    const struct baton_flash *flash;
    uint32_t addr;      // a multiple of block_bytes, or else of sector_bytes
    uint32_t len_bytes; // three blocks, or without block erase four sectors
    bool tells_nor;     // refuses to set a bit; others are not asked to
    bool reprograms;    // takes a second program that clears more bits (not so
                        // on encrypted flash)
    uint8_t *work;      // two sectors
};

struct flash_contract_fault {
    const char *what; // NULL: the rule holds
    uint32_t addr;
    int err;
};

// Runs one rule. Returns its name, or NULL where index is past the last.
const char *flash_contract_run(const struct flash_contract *self, size_t index,
        struct flash_contract_fault *fault);

#endif
