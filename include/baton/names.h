// The version a person knows a firmware by, found in the image itself.
// SPDX-License-Identifier: MIT
//
// MicroPython leaves the fields of the application descriptor empty. What its
// prompt shows stands as text in read-only data:
//
//   v1.25.0 on 2025-04-15
//   MicroPython v1.25.0 on 2025-04-15; Generic ESP32 module with ESP32
//   MicroPython-1.25.0-xtensa-IDFv5.2.2-with-newlib4.3.0
//
// The scanner takes an image in chunks of any size, keeps the current line of
// text only, and collects what it finds. CircuitPython's lines have the same
// form.
#ifndef BATON_NAMES_H
#define BATON_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BATON_NAMES_SYSTEM_BYTES  16u
#define BATON_NAMES_VERSION_BYTES 48u
#define BATON_NAMES_DATE_BYTES    11u
#define BATON_NAMES_BOARD_BYTES   72u
#define BATON_NAMES_CHIP_BYTES    24u
#define BATON_NAMES_LINE_BYTES    256u

// What was found; an empty string where nothing was.
struct baton_names {
    char system[BATON_NAMES_SYSTEM_BYTES];   // "MicroPython"
    char version[BATON_NAMES_VERSION_BYTES]; // "v1.25.0"
    char date[BATON_NAMES_DATE_BYTES];       // "2025-04-15"
    char board[BATON_NAMES_BOARD_BYTES];     // "Generic ESP32 module"
    char chip[BATON_NAMES_CHIP_BYTES];       // "ESP32"
    // Private.
    uint8_t version_rank; // how sure the version is
    uint8_t board_rank;
    uint16_t fill;
    bool is_cut; // the line began before what is in the buffer
    bool is_end; // and ends with it
    char line[BATON_NAMES_LINE_BYTES];
};

void baton_names_begin(struct baton_names *self);

// Takes the next bytes of the image; any length, 0 allowed.
void baton_names_push(struct baton_names *self, const void *data, size_t len);

// Says that no more bytes come. The fields hold what was found.
void baton_names_finish(struct baton_names *self);

#endif
