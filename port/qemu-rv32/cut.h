// Power cuts at a chosen flash command, for tests: before it, in the middle of
// it, or after it.
// SPDX-License-Identifier: MIT
//
// The plan lies in RAM that survives a reset, so it counts through the
// bootloader and the firmware, and ends with the power.
#ifndef BOARD_CUT_H
#define BOARD_CUT_H

#include "flash.h"

enum board_cut_kind {
    BOARD_CUT_BEFORE,  // nothing of the command happened
    BOARD_CUT_TORN,    // of a program: the first half; of an erase: all but
                       // the first 1024 bytes
    BOARD_CUT_GARBAGE, // of a program: only some of the bits were cleared; of
                       // an erase: rubbish in the first 2048 bytes
    BOARD_CUT_AFTER,   // all of it
};

#define BOARD_CUT_MAGIC 0x43555431u

struct board_cut {
    uint32_t magic; // BOARD_CUT_MAGIC, or there is no plan
    uint32_t at;    // which command, from 1; 0: only count
    uint32_t kind;  // enum board_cut_kind
    uint32_t count; // commands so far
};

struct board_cut *board_cut_plan(void);

// Makes the driver follow the plan. A bootloader built without BOARD_CUTS has
// an empty function here.
#if BOARD_CUTS
void board_cut_install(struct board_flash *flash);
#else
static inline void board_cut_install(struct board_flash *flash) {
    (void)flash;
}
#endif

#endif
