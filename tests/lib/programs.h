// Images that hold made-up programs, as two builds of one source would.
// SPDX-License-Identifier: MIT
#ifndef BATON_TESTS_PROGRAMS_H
#define BATON_TESTS_PROGRAMS_H

#include "images.h"

struct programs_spec {
    uint16_t chip_id;   // a RISC-V chip (5: esp32c3) or an Xtensa one (0)
    uint32_t seed;      // two images of one seed are builds of one source
    unsigned functions; // of some 60 bytes each
    // The function that grew, so that all behind it moved; functions: none.
    unsigned changed;
    unsigned constants; // of 16 bytes each; 0: 200 of them and a descriptor
};

// Makes an image of constants and code: functions call each other, load
// addresses of constants, branch, and hold numbers.
void programs_make(struct images *self, const struct programs_spec *spec);

// A sequence of numbers that is the same everywhere.
uint32_t programs_random(uint32_t *state);

#endif
