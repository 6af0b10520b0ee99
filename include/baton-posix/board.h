// The virtual ESP32: a flash file and, beside it, everything else a board has.
// SPDX-License-Identifier: MIT
//
// `dev.bin` is the flash, byte for byte what a real chip's would be.
// `dev.bin.board` holds chip id, eFuse, MAC, RTC memory, reset cause, wear,
// clocks and the plan of a power cut. Both are mapped shared, so a process that
// is killed at any moment loses nothing that was finished. The supervisor
// (`baton sim`) and the interpreter it starts open the same board, never
// writing at the same time.
#ifndef BATON_POSIX_BOARD_H
#define BATON_POSIX_BOARD_H

#include "baton-posix/nor.h"

// Environment variable through which the interpreter finds its board.
#define BATON_BOARD_ENV "BATON_BOARD"
// And the release of ESP-IDF it behaves as, an enum baton_idf_release in
// decimal; not set: MicroPython's.
#define BATON_BOARD_RELEASE_ENV "BATON_IDF_RELEASE"

// Set to 1: flash encryption is on. Partitions that it covers take whole blocks
// of 16 bytes, and none twice; the bytes themselves are kept plain.
#define BATON_BOARD_ENCRYPTED_ENV "BATON_ENCRYPTED"

// MicroPython's numbers for machine.reset_cause().
enum baton_reset_cause {
    BATON_RESET_POWER_ON = 1,
    BATON_RESET_HARD = 2, // machine.reset()
    BATON_RESET_WATCHDOG = 3,
    BATON_RESET_DEEP_SLEEP = 4,
    BATON_RESET_SOFT = 5,
    BATON_RESET_BROWNOUT = 6, // the chip knows it; MicroPython reports 1
    BATON_RESET_PANIC = 7,    // a crash; MicroPython reports 2
};

// How the interpreter process ended, as its exit status; the supervisor takes
// anything else (a signal, another status) as a crash of the firmware.
enum baton_board_exit {
    BATON_EXIT_SCRIPTS_DONE = 0,
    BATON_EXIT_RESET = 64,      // state->reset_cause says which
    BATON_EXIT_SOFT_RESET = 65, // interpreter restarts, no bootloader
    BATON_EXIT_DEEP_SLEEP = 66, // state->sleep_us; 0: for ever
    BATON_EXIT_POWER_CUT = 67,
    BATON_EXIT_SCRIPT_ERROR = 68, // boot.py or main.py ended in an exception
    BATON_EXIT_REPL_CLOSED = 69,
};

enum baton_wifi_mode {
    BATON_WIFI_JOINS,   // after wifi_delay_ms
    BATON_WIFI_NO_AP,   // status 201
    BATON_WIFI_BAD_KEY, // status 202
};

#define BATON_RTC_BYTES     2048u
#define BATON_BOARD_MAPS    8u
#define BATON_BOARD_SECTORS 4096u // of 16 MiB
#define BATON_BOARD_MAGIC   0x424F5431u
#define BATON_BOARD_FORMAT  1u

// The board file's name is the flash file's with this appended.
#define BATON_BOARD_SUFFIX ".board"

// Address a script uses, and where it leads on this machine.
struct baton_board_map {
    char host[64];
    uint16_t port;
    char to_host[64];
    uint16_t to_port; // 0: entry unused
};

// The board file, mapped. Fixed-width, this machine's byte order.
struct baton_board_state {
    uint32_t magic;
    uint32_t format;
    uint32_t flash_bytes;
    uint32_t program_bytes;

    uint16_t chip_id;
    uint16_t chip_revision;
    uint32_t secure_version; // eFuse
    uint8_t mac[6];          // also machine.unique_id()
    uint8_t no_rollback;     // bootloader and application built without
    uint8_t anti_rollback;   // bootloader and application built with
    char profile[24];        // flash timing

    uint32_t reset_cause; // of the boot that runs now, or comes next
    uint32_t boots;       // bootloader runs so far
    int32_t running;      // BATON_BOOT_FACTORY, _TEST or a slot
    uint32_t running_addr;
    uint32_t running_bytes;
    uint64_t sleep_us;
    uint64_t clock_us;       // virtual time: flash, boots and sleeps
    uint32_t wdt_timeout_ms; // 0: not armed

    uint32_t wifi_mode;
    uint32_t wifi_delay_ms;
    struct baton_board_map maps[BATON_BOARD_MAPS];

    uint32_t rtc_len_bytes;
    uint8_t rtc[BATON_RTC_BYTES];

    struct baton_nor_state nor;
    uint32_t wear[BATON_BOARD_SECTORS]; // erases of each sector
};

struct baton_board {
    struct baton_board_state *state;
    struct baton_nor nor; // nor.flash is the flash; a broken NOR rule is told
                          // on standard error
    uint8_t *flash_bytes;
    struct baton_chip chip;
    int flash_fd;
    int state_fd;
};

// Fills in a new board's state: an ESP32 (revision 3.0), w25q32jv, the power
// just on, a MAC derived from the flash file's path.
void baton_board_defaults(struct baton_board_state *state,
        const char *flash_path, uint32_t flash_bytes);

// A common revision of a chip, so that images of today fit; 0 where none is
// known.
uint16_t baton_board_revision(uint16_t chip_id);

// Sets the chip and its revision.
void baton_board_set_chip(struct baton_board_state *state, uint16_t chip_id);

// The chip facts of a state.
struct baton_chip baton_board_chip(const struct baton_board_state *state);

// Reads the board file of a flash file and changes nothing.
//
// Returns 0, BATON_ERR_NOENT (there is none), BATON_ERR_ARG (not a board file
//         of this format), BATON_ERR_IO
int baton_board_peek(const char *flash_path, struct baton_board_state *out);

// Writes a flash file's board file anew, replacing one that exists.
//
// Returns 0, BATON_ERR_ARG (path too long), BATON_ERR_IO
int baton_board_create(
        const char *flash_path, const struct baton_board_state *state);

// Opens a flash file and its board file; makes the latter by
// baton_board_defaults where it does not exist. The flash file must exist and
// be 1, 2, 4, 8 or 16 MiB long. The power is on afterwards. self must stay
// where it is.
//
// Returns 0, BATON_ERR_NOENT, BATON_ERR_ARG (size, or a board file of another
//         format or flash size), BATON_ERR_IO
int baton_board_open(struct baton_board *self, const char *flash_path);

// Opens the board that BATON_BOARD_ENV names, as the firmware: a power cut ends
// the process at once with BATON_EXIT_POWER_CUT.
//
// Returns as baton_board_open; BATON_ERR_NOENT also where the variable is unset
int baton_board_attach(struct baton_board *self);

void baton_board_close(struct baton_board *self);

// Brings self->chip and the flash timing up to date with the state.
void baton_board_refresh(struct baton_board *self);

#endif
