// The options of `baton sim`.
// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "sim.h"

#define COMMAND   SIM_COMMAND
#define MAX_BOOTS 100u

static void print_help(void) {
    printf("Usage: baton sim --flash FLASH --fs DIR [OPTIONS]\n"
           "\n"
           "A virtual ESP32: decides on the flash file as the bootloader\n"
           "does, runs a real MicroPython with DIR (boot.py, main.py) as its\n"
           "file system, and boots it again after a reset, a deep sleep, a\n"
           "crash, a watchdog or a power cut, with the matching reset cause.\n"
           "It runs this machine's MicroPython, not the code of the image.\n"
           "Chip, eFuse, RTC memory and wear are kept in FLASH.board.\n"
           "\n"
           "  --flash FLASH       from 'baton flash make', or read from a "
           "chip\n"
           "  --fs DIR            the device's file system\n"
           "  --max-boots N       stop after N boots, soft resets included;\n"
           "                      default 100, 0: no limit\n"
           "  --timeout SECONDS   of real time, then stop\n"
           "  --no-repl           no prompt at the end, even on a terminal\n"
           "  --micropython FILE  default: $BATON_MICROPYTHON, else the\n"
           "                      interpreter that is built with this program\n"
           "\n"
           "The chip, kept in FLASH.board:\n"
           "  --chip CHIP         default: what the images are for\n"
           "  --chip-rev X.Y      its revision\n"
           "  --secure-version N  of the eFuse\n"
           "  --mac XX:XX:XX:XX:XX:XX\n"
           "  --profile NAME      flash timing:");
    const struct baton_nor_profile *p;
    for (size_t i = 0; (p = baton_nor_profile_at(i)) != NULL; i++) {
        printf("%s%s",
                i == 0       ? " "
                : i % 3 == 0 ? ",\n                      "
                             : ", ",
                p->name);
    }
    printf("\n"
           "\n"
           "Its surroundings, in this run:\n"
           "  --map HOST:PORT=HOST:PORT\n"
           "                      where an address that scripts use really "
           "is;\n"
           "                      up to 8\n"
           "  --wifi MODE         joins (default), no-ap, bad-key\n"
           "  --wifi-delay MS     until it has joined\n"
           "  --no-rollback       firmware built without rollback\n"
           "  --anti-rollback     firmware built with anti-rollback\n"
           "  --idf-release X.Y   whose OTA functions it has: 5.4, 5.5\n"
           "                      (default, as MicroPython), 6.0 or 6.1\n"
           "  --verify-on-wake    verify the image after deep sleep, too\n"
           "  --encrypted         firmware with flash encryption: its rules, "
           "not\n"
           "                      its cipher\n"
           "\n"
           "A power cut:\n"
           "  --cut-at N          at the N-th flash operation of this run, "
           "once;\n"
           "                      sector erases, block erases and page "
           "programs\n"
           "                      count, those of the bootloader included\n"
           "  --cut-mode MODE     before, torn (default), garbage, after, "
           "weak\n"
           "  --torn-bytes N      how much of it happens; default: by the "
           "seed\n"
           "  --brownout          the supply falls instead: the chip knows\n"
           "  --seed N            of torn lengths, rubbish and weak bits\n"
           "  While the firmware runs, the signal USR1 to this program cuts\n"
           "  the power, and USR2 is a brownout.\n"
           "\n"
           "Output:\n"
           "  --quiet             only what the firmware prints; the summary\n"
           "                      goes to standard error\n"
           "  --verbose           flash statistics after every boot\n"
           "  --json              a report as the last line of standard "
           "output\n"
           "\n"
           "Example:\n"
           "  baton sim --flash dev.bin --fs devfs --max-boots 3\n"
           "\n"
           "Exit codes: 0 scripts ended, REPL closed, or asleep for ever;\n"
           "  1 nothing boots, or the flash cannot be used; 2 wrong usage;\n"
           "  3 a script ended in an exception; 4 maximum of boots reached;\n"
           "  5 time is up; 6 the interpreter does not start;\n"
           "  128 + N stopped by signal N\n");
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
    OPTION_IDF_RELEASE,
    OPTION_VERIFY_ON_WAKE,
    OPTION_ENCRYPTED,
    OPTION_CUT_AT,
    OPTION_CUT_MODE,
    OPTION_TORN_BYTES,
    OPTION_BROWNOUT,
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
        {"idf-release", required_argument, NULL, OPTION_IDF_RELEASE},
        {"verify-on-wake", no_argument, NULL, OPTION_VERIFY_ON_WAKE},
        {"encrypted", no_argument, NULL, OPTION_ENCRYPTED},
        {"cut-at", required_argument, NULL, OPTION_CUT_AT},
        {"cut-mode", required_argument, NULL, OPTION_CUT_MODE},
        {"torn-bytes", required_argument, NULL, OPTION_TORN_BYTES},
        {"brownout", no_argument, NULL, OPTION_BROWNOUT},
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
    memcpy(host, copy, (size_t)(colon - copy) + 1);
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

static bool parse_release(struct sim_options *o, const char *text) {
    static const struct {
        const char *name;
        const char *number; // enum baton_idf_release
    } releases[] = {
            {"5.4", "504"}, {"5.5", "505"}, {"6.0", "600"}, {"6.1", "601"}};
    for (size_t i = 0; i < sizeof(releases) / sizeof(releases[0]); i++) {
        if (strcmp(releases[i].name, text) == 0) {
            o->idf_release = releases[i].number;
            return true;
        }
    }
    return wrong("--idf-release", text, "5.4, 5.5, 6.0 or 6.1");
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
    case OPTION_IDF_RELEASE:
        return parse_release(o, value);
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
    case OPTION_ENCRYPTED:
        o->is_encrypted = true;
        return true;
    case OPTION_BROWNOUT:
        o->is_brownout = true;
        return true;
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

int sim_parse_options(struct sim_options *o, int argc, char **argv) {
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
