// `baton sim`: the virtual ESP32's supervisor, from power on to its end.
// SPDX-License-Identifier: MIT
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "cli.h"
#include "commands.h"
#include "flash_file.h"
#include "sim.h"

#define COMMAND         "baton sim"
#define MAX_BOOTS       100u
#define INTERPRETER_ENV "BATON_MICROPYTHON"

static void print_help(void) {
    printf("Usage: " COMMAND " --flash FLASH --fs DIR [OPTIONS]\n\n"
           "A virtual ESP32: runs the bootloader's decision on the flash file, "
           "then a real\nMicroPython with DIR (boot.py, main.py) as its file "
           "system, and boots it again after\na reset, a deep sleep, a crash, "
           "a "
           "watchdog or a power cut, with the matching reset\ncause. It runs "
           "the host's MicroPython, not the machine code of the image. Chip, "
           "eFuse,\nRTC memory and wear are kept in FLASH.board.\n\n"
           "  --flash FLASH        from 'baton flash make', or read from a "
           "chip\n"
           "  --fs DIR             the device's file system\n"
           "  --max-boots N        stop after N boots (default 100, 0: no "
           "limit); a soft reset\n                       counts\n"
           "  --timeout SECONDS    of real time, then stop\n"
           "  --no-repl            no prompt at the end, even on a terminal\n"
           "  --micropython FILE   the interpreter; default: $" INTERPRETER_ENV
           ", or\n                       micropython/micropython beside this "
           "program\n\n"
           "The chip (kept in FLASH.board):\n"
           "  --chip CHIP          default: what the images are for\n"
           "  --chip-rev X.Y       --secure-version N       --mac "
           "XX:XX:XX:XX:XX:XX\n"
           "  --profile NAME       flash timing:");
    const struct baton_nor_profile *p;
    for (size_t i = 0; (p = baton_nor_profile_at(i)) != NULL; i++) {
        printf("%s %s", i == 0 ? "" : ",", p->name);
    }
    printf("\n\n"
           "Its surroundings (this run only):\n"
           "  --map HOST:PORT=HOST:PORT   where an address that scripts use "
           "really is; up to 8\n"
           "  --wifi MODE          joins (default), no-ap, bad-key\n"
           "  --wifi-delay MS      until it has joined\n"
           "  --no-rollback        firmware built without rollback\n"
           "  --anti-rollback      firmware built with anti-rollback\n"
           "  --verify-on-wake     verify the image after deep sleep, too\n\n"
           "A power cut:\n"
           "  --cut-at N           at the N-th flash operation (sector or "
           "block erase, page program)\n                       of this run, "
           "those of the bootloader included; once\n"
           "  --cut-mode MODE      before, torn (default), garbage, after, "
           "weak\n"
           "  --torn-bytes N       how much of it happens; default: by the "
           "seed\n"
           "  --seed N             of torn lengths, rubbish and weak bits\n\n"
           "Output:\n"
           "  --quiet              only what the firmware prints; the summary "
           "on standard error\n"
           "  --verbose            flash statistics after every boot\n"
           "  --json               a report as the last line of standard "
           "output\n\n"
           "Example:\n"
           "  baton sim --flash dev.bin --fs devfs --max-boots 3\n\n"
           "Exit codes: 0 scripts ended, REPL closed or asleep for ever,\n"
           "  1 nothing boots, or the flash cannot be used, 2 wrong usage,\n"
           "  3 a script ended in an exception, 4 maximum of boots reached, "
           "5 time is up,\n"
           "  6 the interpreter does not start, 128 + N stopped by signal "
           "N.\n");
}

// ---- Arguments -----------------------------------------------------------

enum {
    OPTION_FLASH = 1000,
    OPTION_FS,
    OPTION_MAX_BOOTS,
    OPTION_TIMEOUT,
    OPTION_NO_REPL,
    OPTION_MICROPYTHON,
    OPTION_CHIP,
    OPTION_CHIP_REV,
    OPTION_SECURE_VERSION,
    OPTION_MAC,
    OPTION_PROFILE,
    OPTION_MAP,
    OPTION_WIFI,
    OPTION_WIFI_DELAY,
    OPTION_NO_ROLLBACK,
    OPTION_ANTI_ROLLBACK,
    OPTION_VERIFY_ON_WAKE,
    OPTION_CUT_AT,
    OPTION_CUT_MODE,
    OPTION_TORN_BYTES,
    OPTION_SEED,
    OPTION_QUIET,
    OPTION_VERBOSE,
    OPTION_JSON,
};

static const struct option long_options[] = {
        {"help", no_argument, NULL, 'h'},
        {"flash", required_argument, NULL, OPTION_FLASH},
        {"fs", required_argument, NULL, OPTION_FS},
        {"max-boots", required_argument, NULL, OPTION_MAX_BOOTS},
        {"timeout", required_argument, NULL, OPTION_TIMEOUT},
        {"no-repl", no_argument, NULL, OPTION_NO_REPL},
        {"micropython", required_argument, NULL, OPTION_MICROPYTHON},
        {"chip", required_argument, NULL, OPTION_CHIP},
        {"chip-rev", required_argument, NULL, OPTION_CHIP_REV},
        {"secure-version", required_argument, NULL, OPTION_SECURE_VERSION},
        {"mac", required_argument, NULL, OPTION_MAC},
        {"profile", required_argument, NULL, OPTION_PROFILE},
        {"map", required_argument, NULL, OPTION_MAP},
        {"wifi", required_argument, NULL, OPTION_WIFI},
        {"wifi-delay", required_argument, NULL, OPTION_WIFI_DELAY},
        {"no-rollback", no_argument, NULL, OPTION_NO_ROLLBACK},
        {"anti-rollback", no_argument, NULL, OPTION_ANTI_ROLLBACK},
        {"verify-on-wake", no_argument, NULL, OPTION_VERIFY_ON_WAKE},
        {"cut-at", required_argument, NULL, OPTION_CUT_AT},
        {"cut-mode", required_argument, NULL, OPTION_CUT_MODE},
        {"torn-bytes", required_argument, NULL, OPTION_TORN_BYTES},
        {"seed", required_argument, NULL, OPTION_SEED},
        {"quiet", no_argument, NULL, OPTION_QUIET},
        {"verbose", no_argument, NULL, OPTION_VERBOSE},
        {"json", no_argument, NULL, OPTION_JSON},
        {NULL, 0, NULL, 0},
};

static bool wrong(const char *option, const char *value, const char *want) {
    cli_usage(COMMAND, "%s: '%s' is not %s", option, value, want);
    return false;
}

// A revision as people write it ("3.0"), or as images count it (300).
static bool parse_revision(struct sim_options *o, const char *text) {
    unsigned major;
    unsigned minor = 0;
    int end = 0;
    if (sscanf(text, "%3u.%2u%n", &major, &minor, &end) == 2
            && text[end] == '\0') {
        o->chip_revision = (int32_t)(major * 100 + minor);
        return o->chip_revision <= UINT16_MAX;
    }
    uint32_t number;
    if (!cli_parse_u32("--chip-rev", text, &number) || number > UINT16_MAX) {
        return wrong("--chip-rev", text, "a revision such as 3.0");
    }
    o->chip_revision = (int32_t)number;
    return true;
}

static bool parse_mac(struct sim_options *o, const char *text) {
    unsigned b[6];
    int end = 0;
    bool ok = sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2],
                      &b[3], &b[4], &b[5], &end)
                      == 6
              && text[end] == '\0';
    for (int i = 0; ok && i < 6; i++) {
        o->mac[i] = (uint8_t)b[i];
    }
    o->has_mac = ok;
    return ok || wrong("--mac", text, "six bytes, XX:XX:XX:XX:XX:XX");
}

static bool parse_endpoint(
        const char *text, size_t len, char host[64], uint16_t *port) {
    char copy[96];
    if (len >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text, len);
    copy[len] = '\0';
    char *colon = strrchr(copy, ':');
    if (colon == NULL || colon == copy || colon - copy > 63) {
        return false;
    }
    *colon = '\0';
    char *end;
    unsigned long number = strtoul(colon + 1, &end, 10);
    if (end == colon + 1 || *end != '\0' || number == 0 || number > 65535) {
        return false;
    }
    strcpy(host, copy);
    *port = (uint16_t)number;
    return true;
}

static bool parse_map(struct sim_options *o, const char *text) {
    const char *equals = strchr(text, '=');
    if (o->map_count == BATON_BOARD_MAPS) {
        cli_usage(COMMAND, "at most %u addresses can be mapped",
                BATON_BOARD_MAPS);
        return false;
    }
    struct baton_board_map *map = &o->maps[o->map_count];
    if (equals == NULL
            || !parse_endpoint(
                    text, (size_t)(equals - text), map->host, &map->port)
            || !parse_endpoint(equals + 1, strlen(equals + 1), map->to_host,
                    &map->to_port)) {
        return wrong("--map", text, "HOST:PORT=HOST:PORT");
    }
    o->map_count++;
    return true;
}

static bool parse_wifi(struct sim_options *o, const char *text) {
    static const char *const modes[] = {
            [BATON_WIFI_JOINS] = "joins",
            [BATON_WIFI_NO_AP] = "no-ap",
            [BATON_WIFI_BAD_KEY] = "bad-key",
    };
    for (int i = 0; i <= BATON_WIFI_BAD_KEY; i++) {
        if (strcmp(modes[i], text) == 0) {
            o->wifi_mode = (enum baton_wifi_mode)i;
            return true;
        }
    }
    return wrong("--wifi", text, "joins, no-ap or bad-key");
}

static bool parse_cut_mode(struct sim_options *o, const char *text) {
    o->cut_mode = baton_nor_cut_mode(text);
    return o->cut_mode != BATON_NOR_CUT_NONE
           || wrong("--cut-mode", text, "before, torn, garbage, after or weak");
}

static bool parse_name_options(
        struct sim_options *o, int option, const char *value) {
    switch (option) {
    case OPTION_FLASH:
        o->flash_path = value;
        return true;
    case OPTION_FS:
        o->fs_path = value;
        return true;
    case OPTION_MICROPYTHON:
        o->interpreter = value;
        return true;
    case OPTION_CHIP:
        o->chip_name = value;
        return baton_chip_id(value) != BATON_CHIP_ANY
               || wrong("--chip", value, "a chip (esp32, esp32c3 ...)");
    case OPTION_PROFILE:
        o->profile = value;
        return baton_nor_profile(value) != NULL
               || wrong("--profile", value, "a profile");
    case OPTION_CHIP_REV:
        return parse_revision(o, value);
    case OPTION_MAC:
        return parse_mac(o, value);
    case OPTION_MAP:
        return parse_map(o, value);
    case OPTION_WIFI:
        return parse_wifi(o, value);
    case OPTION_CUT_MODE:
        return parse_cut_mode(o, value);
    default:
        cli_usage(COMMAND, "see the options");
        return false;
    }
}

static bool parse_option(struct sim_options *o, int option, const char *value) {
    switch (option) {
    case OPTION_MAX_BOOTS:
        return cli_parse_u32("--max-boots", value, &o->max_boots);
    case OPTION_TIMEOUT:
        return cli_parse_u32("--timeout", value, &o->timeout_s);
    case OPTION_SECURE_VERSION:
        o->has_secure_version = true;
        return cli_parse_u32("--secure-version", value, &o->secure_version);
    case OPTION_WIFI_DELAY:
        return cli_parse_u32("--wifi-delay", value, &o->wifi_delay_ms);
    case OPTION_CUT_AT:
        return cli_parse_u32("--cut-at", value, &o->cut_at);
    case OPTION_TORN_BYTES:
        return cli_parse_u32("--torn-bytes", value, &o->torn_bytes);
    case OPTION_SEED:
        return cli_parse_u32("--seed", value, &o->seed);
    case OPTION_NO_REPL:
        o->no_repl = true;
        return true;
    case OPTION_NO_ROLLBACK:
        o->no_rollback = true;
        return true;
    case OPTION_ANTI_ROLLBACK:
        o->anti_rollback = true;
        return true;
    case OPTION_VERIFY_ON_WAKE:
        o->verifies_on_wake = true;
        return true;
    case OPTION_QUIET:
        o->is_quiet = true;
        return true;
    case OPTION_VERBOSE:
        o->is_verbose = true;
        return true;
    case OPTION_JSON:
        o->as_json = true;
        return true;
    default:
        return parse_name_options(o, option, value);
    }
}

static bool check_options(const struct sim_options *o) {
    struct stat st;
    if (o->flash_path == NULL || o->fs_path == NULL) {
        cli_usage(COMMAND, "give --flash FLASH and --fs DIR");
        return false;
    }
    if (o->no_rollback && o->anti_rollback) {
        cli_usage(COMMAND, "--anti-rollback needs rollback");
        return false;
    }
    if (stat(o->fs_path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        cli_usage(COMMAND, "--fs: %s is not a directory", o->fs_path);
        return false;
    }
    return true;
}

// Returns CLI_OK, CLI_USAGE, or -1 when help was asked for.
static int parse_arguments(struct sim_options *o, int argc, char **argv) {
    *o = (struct sim_options){
            .max_boots = MAX_BOOTS,
            .cut_mode = BATON_NOR_CUT_TORN,
            .torn_bytes = UINT32_MAX,
            .chip_revision = -1,
    };
    int option;
    while ((option = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        if (option == 'h') {
            print_help();
            return -1;
        }
        if (!parse_option(o, option, optarg)) {
            return CLI_USAGE;
        }
    }
    if (optind < argc) {
        return cli_usage(COMMAND, "unexpected argument '%s'", argv[optind]);
    }
    return check_options(o) ? CLI_OK : CLI_USAGE;
}

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
    const char *given = getenv(INTERPRETER_ENV);
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
    struct baton_table_options options = {.crypto = baton_crypto_psa()};
    struct baton_partition rows[BATON_TABLE_ROWS_MAX];
    size_t count = 0;
    if (baton_table_parse(self->board.flash_bytes + BATON_TABLE_ADDR,
                BATON_TABLE_BYTES, &options, rows, BATON_TABLE_ROWS_MAX, &count,
                NULL)
            != 0) {
        return;
    }
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
        fprintf(stderr,
                COMMAND ": %s: another 'baton sim' runs on this flash\n"
                        "  next: wait for it, or copy the file\n",
                path);
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

static void restore_power(struct sim *self) {
    struct baton_board_state *state = self->board.state;
    const struct baton_nor_state *nor = &state->nor;
    char torn[48] = "";
    if (nor->last_cut_mode == BATON_NOR_CUT_TORN) {
        snprintf(torn, sizeof(torn), " (%u of them happened)",
                (unsigned)nor->last_cut_torn);
    }
    say(self,
            "\npower cut, mode %s, at flash operation %" PRIu64
            ": %s at 0x%06x, %u bytes%s",
            baton_nor_cut_name((enum baton_nor_cut)nor->last_cut_mode),
            nor->last_cut_number - self->stats_before.operations,
            baton_nor_op_name((enum baton_nor_op)nor->last_cut_op),
            (unsigned)nor->last_cut_addr, (unsigned)nor->last_cut_bytes, torn);
    baton_nor_power_on(&self->board.nor);
    state->reset_cause = BATON_RESET_POWER_ON;
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

static void note_crash(struct sim *self) {
    self->crashes++;
    self->board.state->reset_cause = BATON_RESET_HARD;
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
    case BATON_EXIT_RESET:
        return; // the interpreter has set the cause
    default:
        say(self, "\nthe firmware crashed: it ended with status %d", status);
        note_crash(self);
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
        break;
    }
    if (self->board.state->nor.powered == 0) {
        restore_power(self);
    } else if (child.kind == SIM_CHILD_KILLED) {
        say(self, "\nthe firmware crashed: signal %d (%s)", child.value,
                strsignal(child.value));
        note_crash(self);
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
    char interpreter[PATH_MAX];
    char flash_path[PATH_MAX];
    char fs_path[PATH_MAX];
    struct sim_options *o = &self->options;
    if (baton_crypto_psa() == NULL) {
        return cli_refuse(COMMAND, NULL, BATON_ERR_CRYPTO);
    }
    if (o->interpreter == NULL) {
        o->interpreter = find_interpreter(interpreter);
    }
    if (o->interpreter == NULL) {
        fprintf(stderr, COMMAND ": the virtual board's MicroPython is missing\n"
                                "  next: scripts/micropython builds it, or "
                                "give --micropython FILE\n");
        self->end = SIM_END_NO_INTERPRETER;
        return sim_exit_code(self);
    }
    o->flash_path = absolute(o->flash_path, flash_path);
    o->fs_path = absolute(o->fs_path, fs_path);
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
    int code = parse_arguments(&self.options, argc, argv);
    if (code != CLI_OK) {
        return code < 0 ? CLI_OK : code;
    }
    return run(&self);
}
