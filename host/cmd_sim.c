// `baton sim`: the virtual ESP32's supervisor, from power on to its end.
// SPDX-License-Identifier: MIT
#define _XOPEN_SOURCE 700
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "cli.h"
#include "commands.h"
#include "flash_file.h"
#include "sim.h"

#define COMMAND SIM_COMMAND

// ---- Setting up ----------------------------------------------------------

// Scripts may change the directory; the board is found all the same. Links are
// left alone, since the board file lies beside the name that was given.
static const char *absolute(const char *path, char out[PATH_MAX]) {
    char cwd[PATH_MAX];
    if (path[0] == '/' || getcwd(cwd, sizeof(cwd)) == NULL
            || snprintf(out, PATH_MAX, "%s/%s", cwd, path) >= PATH_MAX) {
        return path;
    }
    return out;
}

// In a build tree, and as installed.
static const char *find_interpreter(char out[PATH_MAX]) {
    static const char *const places[] = {
            "micropython/micropython", "../lib/baton/micropython"};
    char self[PATH_MAX];
    const char *given = getenv(SIM_INTERPRETER_ENV);
    if (given != NULL && given[0] != '\0') {
        return given;
    }
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[len > 0 ? len : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (snprintf(out, PATH_MAX, "%s/%s", self, places[i]) < PATH_MAX
                && access(out, X_OK) == 0) {
            return out;
        }
    }
    return NULL;
}

static bool refuse_flash(const char *path, int err) {
    if (err == BATON_ERR_NOENT) {
        fprintf(stderr,
                COMMAND ": %s: no such file\n"
                        "  next: make it with 'baton flash make'\n",
                path);
    } else if (err == BATON_ERR_ARG) {
        fprintf(stderr,
                COMMAND ": %s: not a flash of 1, 2, 4, 8 or 16 MiB, or its "
                        "board file is of another flash\n"
                        "  next: 'baton flash info' tells more; FLASH.board "
                        "may be removed\n",
                path);
    } else {
        cli_refuse(COMMAND, path, err);
    }
    return false;
}

// The chip of a board that was never used is the one its images are for.
static void adopt_chip(struct sim *self) {
    struct baton_partition rows[BATON_TABLE_ROWS_MAX];
    size_t count;
    (void)flash_load_table(self->board.flash_bytes,
            self->board.nor.flash.size_bytes, rows, &count);
    uint16_t id = flash_file_find_chip(self->board.flash_bytes,
            self->board.nor.flash.size_bytes, rows, count);
    if (id != BATON_CHIP_ANY) {
        baton_board_set_chip(self->board.state, id);
    }
}

static void apply_options(struct sim *self) {
    const struct sim_options *o = &self->options;
    struct baton_board_state *state = self->board.state;
    uint16_t chip_id =
            o->chip_name != NULL ? baton_chip_id(o->chip_name) : state->chip_id;
    if (chip_id != state->chip_id) {
        baton_board_set_chip(state, chip_id);
    }
    if (o->chip_revision >= 0) {
        state->chip_revision = (uint16_t)o->chip_revision;
    }
    if (o->has_secure_version) {
        state->secure_version = o->secure_version;
    }
    if (o->has_mac) {
        memcpy(state->mac, o->mac, sizeof(state->mac));
    }
    if (o->profile != NULL) {
        snprintf(state->profile, sizeof(state->profile), "%s", o->profile);
    }
    state->no_rollback = o->no_rollback;
    state->anti_rollback = o->anti_rollback;
    state->wifi_mode = (uint32_t)o->wifi_mode;
    state->wifi_delay_ms = o->wifi_delay_ms;
    memcpy(state->maps, o->maps, sizeof(state->maps));
    state->nor.seed = o->seed;
    state->reset_cause = BATON_RESET_POWER_ON;
    state->sleep_us = 0;
    baton_board_refresh(&self->board);
    // Also takes back the plan of a run that was killed.
    baton_nor_plan_cut(&self->board.nor, o->cut_at, o->cut_mode, o->torn_bytes);
}

static bool open_board(struct sim *self) {
    const char *path = self->options.flash_path;
    if (flash_is_in_use(COMMAND, path)) {
        return false;
    }
    struct baton_board_state *peeked = malloc(sizeof(*peeked));
    if (peeked == NULL) {
        return refuse_flash(path, BATON_ERR_NOMEM);
    }
    bool is_new = baton_board_peek(path, peeked) == BATON_ERR_NOENT;
    free(peeked);
    int err = baton_board_open(&self->board, path);
    if (err) {
        return refuse_flash(path, err);
    }
    if (flock(self->board.state_fd, LOCK_EX | LOCK_NB) != 0) {
        (void)flash_is_in_use(COMMAND, path);
        baton_board_close(&self->board);
        return false;
    }
    if (is_new) {
        adopt_chip(self);
    }
    apply_options(self);
    const struct baton_board_state *state = self->board.state;
    self->stats_before = state->nor.stats;
    self->clock_before_us = state->clock_us;
    self->cuts_before = state->nor.cuts;
    return true;
}

// ---- Running -------------------------------------------------------------

// What happens to the chip from outside its firmware.
__attribute__((format(printf, 2, 3))) static void say(
        const struct sim *self, const char *format, ...) {
    if (self->options.is_quiet) {
        return;
    }
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
}

// The planned cut, or one that a signal asked for.
static void restore_power(struct sim *self) {
    struct baton_board_state *state = self->board.state;
    const struct baton_nor_state *nor = &state->nor;
    char torn[48] = "";
    if (nor->last_cut_mode == BATON_NOR_CUT_TORN) {
        snprintf(torn, sizeof(torn), " (%u of them happened)",
                (unsigned)nor->last_cut_torn);
    }
    const char *what = self->options.is_brownout ? "brownout" : "power cut";
    say(self,
            "\n%s, mode %s, at flash operation %" PRIu64
            ": %s at 0x%06x, %u bytes%s",
            what, baton_nor_cut_name((enum baton_nor_cut)nor->last_cut_mode),
            nor->last_cut_number - self->stats_before.operations,
            baton_nor_op_name((enum baton_nor_op)nor->last_cut_op),
            (unsigned)nor->last_cut_addr, (unsigned)nor->last_cut_bytes, torn);
    baton_nor_power_on(&self->board.nor);
    state->reset_cause = self->options.is_brownout ? BATON_RESET_BROWNOUT
                                                   : BATON_RESET_POWER_ON;
}

// The one that a signal asked for, at no flash operation in particular.
static void lose_power(struct sim *self, int sig) {
    bool is_brownout = sig == SIM_SIGNAL_BROWNOUT;
    say(self, "\n%s", is_brownout ? "brownout" : "power cut");
    self->board.state->reset_cause =
            is_brownout ? BATON_RESET_BROWNOUT : BATON_RESET_POWER_ON;
}

static void sleep_deeply(struct sim *self) {
    struct baton_board_state *state = self->board.state;
    if (state->sleep_us == 0) {
        self->end = SIM_END_ASLEEP;
        return;
    }
    say(self, "\ndeep sleep for %" PRIu64 ".%03u s", state->sleep_us / 1000000,
            (unsigned)(state->sleep_us / 1000 % 1000));
    state->clock_us += state->sleep_us;
    state->sleep_us = 0;
    state->reset_cause = BATON_RESET_DEEP_SLEEP;
}

// A crash is never hidden.
static void note_crash(
        struct sim *self, const char *how, int number, const char *name) {
    FILE *out = self->options.is_quiet ? stderr : stdout;
    fprintf(out, "\nthe firmware crashed: %s %d%s%s%s\n", how, number,
            name[0] != '\0' ? " (" : "", name, name[0] != '\0' ? ")" : "");
    self->crashes++;
    self->board.state->reset_cause = BATON_RESET_PANIC;
}

// What the end of the interpreter means. Sets self->end where the run is over,
// *is_soft where the bootloader does not run next.
static void handle_status(struct sim *self, int status, bool *is_soft) {
    switch (status) {
    case BATON_EXIT_SCRIPTS_DONE:
        self->end = SIM_END_SCRIPTS;
        return;
    case BATON_EXIT_SCRIPT_ERROR:
        self->end = SIM_END_EXCEPTION;
        return;
    case BATON_EXIT_REPL_CLOSED:
        self->end = SIM_END_REPL;
        return;
    case BATON_EXIT_DEEP_SLEEP:
        sleep_deeply(self);
        return;
    case BATON_EXIT_SOFT_RESET:
        *is_soft = true;
        self->board.state->reset_cause = BATON_RESET_SOFT;
        return;
    case BATON_EXIT_POWER_CUT:
        restore_power(self);
        return;
    case BATON_EXIT_RESET:
        return; // the interpreter has set the cause
    default:
        note_crash(self, "it ended with status", status, "");
    }
}

static void handle_child(
        struct sim *self, struct sim_child child, bool *is_soft) {
    *is_soft = false;
    switch (child.kind) {
    case SIM_CHILD_TIMEOUT:
        self->end = SIM_END_TIMEOUT;
        return;
    case SIM_CHILD_INTERRUPTED:
        self->end = SIM_END_INTERRUPTED;
        self->end_signal = child.value;
        return;
    case SIM_CHILD_NOT_STARTED:
        fprintf(stderr, COMMAND ": %s: %s\n", self->options.interpreter,
                strerror(child.value));
        self->end = SIM_END_NO_INTERPRETER;
        return;
    case SIM_CHILD_KILLED:
    case SIM_CHILD_EXITED:
    case SIM_CHILD_UNPOWERED:
        break;
    }
    if (self->board.state->nor.powered == 0) {
        restore_power(self);
    } else if (child.kind == SIM_CHILD_UNPOWERED) {
        lose_power(self, child.value);
    } else if (child.kind == SIM_CHILD_KILLED) {
        note_crash(self, "signal", child.value, strsignal(child.value));
    } else {
        handle_status(self, child.value, is_soft);
    }
}

static void log_statistics(const struct sim *self) {
    const struct baton_nor_stats *now = &self->board.state->nor.stats;
    const struct baton_nor_stats *then = &self->stats_before;
    if (!self->options.is_verbose) {
        return;
    }
    say(self,
            "flash so far: %" PRIu64 " operations (%" PRIu64
            " sector erases, %" PRIu64 " block erases, %" PRIu64
            " page programs), %" PRIu64 " bytes programmed, %" PRIu64
            " bytes read, busy %" PRIu64 " ms",
            now->operations - then->operations,
            now->sector_erases - then->sector_erases,
            now->block_erases - then->block_erases,
            now->page_programs - then->page_programs,
            now->bytes_programmed - then->bytes_programmed,
            now->bytes_read - then->bytes_read,
            (now->busy_us - then->busy_us) / 1000);
}

// True when the next start may begin.
static bool may_go_on(struct sim *self, uint32_t cycles) {
    if (self->end != SIM_END_NOT_YET) {
        return false; // how it ended is known, also at the last boot
    }
    int sig = sim_child_pending_signal(self);
    if (sig != 0) {
        self->end = SIM_END_INTERRUPTED;
        self->end_signal = sig;
    } else if (self->deadline_ms != 0 && sim_now_ms() >= self->deadline_ms) {
        self->end = SIM_END_TIMEOUT;
    } else if (self->options.max_boots != 0
               && cycles >= self->options.max_boots) {
        self->end = SIM_END_MAX_BOOTS;
    }
    return self->end == SIM_END_NOT_YET;
}

static void run_to_the_end(struct sim *self) {
    bool is_soft = false;
    for (uint32_t cycles = 0; may_go_on(self, cycles); cycles++) {
        enum sim_boot_outcome outcome = SIM_BOOTED;
        if (!is_soft) {
            outcome = sim_boot(self);
        }
        if (outcome == SIM_BOOT_POWER_CUT) {
            restore_power(self);
        } else if (outcome == SIM_BOOT_NOTHING) {
            self->end = SIM_END_NOTHING_BOOTS;
        } else {
            handle_child(self, sim_child_run(self), &is_soft);
        }
        log_statistics(self);
    }
}

static int run(struct sim *self) {
    struct sim_options *o = &self->options;
    if (baton_crypto_psa() == NULL) {
        return cli_refuse(COMMAND, NULL, BATON_ERR_CRYPTO);
    }
    if (o->interpreter == NULL) {
        o->interpreter = find_interpreter(self->interpreter);
    }
    if (o->interpreter == NULL) {
        fprintf(stderr, COMMAND ": the virtual board's MicroPython is missing\n"
                                "  next: scripts/micropython builds it, or "
                                "give --micropython FILE\n");
        self->end = SIM_END_NO_INTERPRETER;
        return sim_exit_code(self);
    }
    o->flash_path = absolute(o->flash_path, self->flash_path);
    o->fs_path = absolute(o->fs_path, self->fs_path);
    if (!open_board(self)) {
        return CLI_REFUSED;
    }
    self->has_repl = !o->no_repl && isatty(STDIN_FILENO);
    if (o->timeout_s != 0) {
        self->deadline_ms = sim_now_ms() + (uint64_t)o->timeout_s * 1000u;
    }
    sim_child_prepare(self);
    run_to_the_end(self);
    sim_report(self);
    baton_board_close(&self->board);
    return sim_exit_code(self);
}

int cmd_sim(int argc, char **argv) {
    static struct sim self;
    int code = sim_parse_options(&self.options, argc, argv);
    if (code != CLI_OK) {
        return code < 0 ? CLI_OK : code;
    }
    return run(&self);
}
