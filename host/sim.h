// The supervisor of the virtual ESP32: what its parts share.
// SPDX-License-Identifier: MIT
//
//   power on --> bootloader --> interpreter --+--> scripts done, error: ends
//        ^           ^               ^        |
//        |           |               +--------+ soft reset
//        |           +------------------------+ reset, watchdog, crash, wake
//        +------------------------------------+ power cut
#ifndef BATON_HOST_SIM_H
#define BATON_HOST_SIM_H

#include <limits.h>
#include <signal.h>
#include <stdio.h>

#include "baton-posix/board.h"
#include "baton/boot.h"
#include "baton/names.h"

#define SIM_COMMAND         "baton sim"
#define SIM_INTERPRETER_ENV "BATON_MICROPYTHON"

// Signals that take the power away for a moment while the firmware runs.
#define SIM_SIGNAL_POWER_CUT SIGUSR1
#define SIM_SIGNAL_BROWNOUT  SIGUSR2

// How a simulation ended.
enum sim_end {
    SIM_END_NOT_YET,
    SIM_END_SCRIPTS,
    SIM_END_REPL,
    SIM_END_ASLEEP,
    SIM_END_NOTHING_BOOTS,
    SIM_END_EXCEPTION,
    SIM_END_MAX_BOOTS,
    SIM_END_TIMEOUT,
    SIM_END_NO_INTERPRETER,
    SIM_END_INTERRUPTED,
};

struct sim_options {
    const char *flash_path;
    const char *fs_path;
    const char *interpreter;
    const char *chip_name;
    const char *profile;
    uint32_t max_boots; // 0: no limit
    uint32_t timeout_s; // 0: none
    uint32_t cut_at;
    enum baton_nor_cut cut_mode;
    uint32_t torn_bytes;
    bool is_brownout; // the cut is one
    uint32_t seed;
    int32_t chip_revision; // -1: not given
    bool has_secure_version;
    uint32_t secure_version;
    bool has_mac;
    uint8_t mac[6];
    enum baton_wifi_mode wifi_mode;
    uint32_t wifi_delay_ms;
    size_t map_count;
    struct baton_board_map maps[BATON_BOARD_MAPS];
    bool no_rollback;
    bool anti_rollback;
    const char *idf_release; // enum baton_idf_release in decimal, or NULL
    bool verifies_on_wake;
    bool is_encrypted;
    bool no_repl;
    bool as_json;
    bool is_quiet;
    bool is_verbose;
};

struct sim {
    struct sim_options options;
    char flash_path[PATH_MAX]; // what options point at once they are absolute
    char fs_path[PATH_MAX];
    char interpreter[PATH_MAX];
    struct baton_board board;
    bool has_repl;
    uint64_t deadline_ms;  // monotonic; 0: none
    sigset_t signals;      // those the supervisor waits for
    sigset_t stop_signals; // those of them that end the run, and SIGCHLD
    sigset_t old_signals;
    // What was there when the run began.
    struct baton_nor_stats stats_before;
    uint64_t clock_before_us;
    uint32_t cuts_before;
    uint64_t reset_at_us; // virtual time of the last reset
    uint32_t boots;       // bootloader runs
    uint32_t starts;      // of the interpreter
    uint32_t crashes;
    struct baton_boot_result boot;
    struct baton_names names; // of the image that runs
    enum sim_end end;
    int end_signal; // SIM_END_INTERRUPTED
};

// ---- sim_options.c -------------------------------------------------------

// Returns CLI_OK, CLI_USAGE, or -1 when help was asked for and given.
int sim_parse_options(struct sim_options *o, int argc, char **argv);

// ---- sim_boot.c ----------------------------------------------------------

enum sim_boot_outcome {
    SIM_BOOTED,
    SIM_BOOT_NOTHING,
    SIM_BOOT_POWER_CUT,
};

// Runs the bootloader on the board and says on the console what it does.
enum sim_boot_outcome sim_boot(struct sim *self);

// A console line in the manner of the chip's log; level is 'I', 'W' or 'E'.
void sim_log(const struct sim *self, char level, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

// ---- sim_child.c ---------------------------------------------------------

enum sim_child_kind {
    SIM_CHILD_EXITED, // value: status
    SIM_CHILD_KILLED, // value: signal
    SIM_CHILD_TIMEOUT,
    SIM_CHILD_INTERRUPTED, // value: the supervisor's signal
    SIM_CHILD_UNPOWERED,   // value: the signal that took the power away
    SIM_CHILD_NOT_STARTED, // value: errno
};

struct sim_child {
    enum sim_child_kind kind;
    int value;
};

// Blocks the signals that sim_child_run waits for.
void sim_child_prepare(struct sim *self);

// Runs the interpreter on the board until it ends. It never outlives this
// process.
struct sim_child sim_child_run(struct sim *self);

// A signal that asks to stop and came outside sim_child_run, or 0.
int sim_child_pending_signal(struct sim *self);

uint64_t sim_now_ms(void);

// ---- sim_report.c --------------------------------------------------------

// The exit status of `baton sim`.
int sim_exit_code(const struct sim *self);

// The closing line, and the JSON report where it was asked for.
void sim_report(const struct sim *self);

#endif
