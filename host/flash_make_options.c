// The options of `baton flash make`.
// SPDX-License-Identifier: MIT
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "baton/slots.h"
#include "cli.h"
#include "flash_make.h"

#define COMMAND FLASH_MAKE_COMMAND

static void print_help(void) {
    printf("Usage: baton flash make (--layout NAME | --table FILE) [OPTIONS]\n"
           "                        -o FLASH\n"
           "\n"
           "Makes a flash file for 'baton sim', byte for byte what a chip's\n"
           "flash would hold, and the board file beside it (FLASH.board:\n"
           "chip, eFuse, wear). Both are made anew where they exist.\n"
           "\n"
           "  --layout NAME       a table that is built in:");
    const char *name;
    for (size_t i = 0; (name = baton_table_layout_name(i)) != NULL; i++) {
        printf("%s%s",
                i == 0       ? "\n                      "
                : i % 2 == 0 ? ",\n                      "
                             : ", ",
                name);
    }
    printf("\n"
           "  --table FILE        a table, CSV or binary\n"
           "  --PARTITION FILE    what goes into a partition, by its label "
           "or,\n"
           "                      for an application, by its subtype:\n"
           "                      --factory, --ota_0, --nvs ...\n"
           "  --bootloader FILE   the second-stage bootloader; 'baton sim'\n"
           "                      needs none\n"
           "  --boot PARTITION    write otadata so that this slot boots\n"
           "  --boot-state STATE  its state: valid (default), new, undefined\n"
           "  --size SIZE         of the flash, 1MB ... 16MB; default: the\n"
           "                      smallest that holds the table\n"
           "  --chip CHIP         default: the one the images are for\n"
           "  --force             take images that do not verify\n"
           "  --json              report as JSON\n"
           "  -o, --output FLASH  the file to make\n"
           "\n"
           "Example:\n"
           "  baton flash make --layout micropython-4mib-ota \\\n"
           "      --ota_0 old.app-bin -o dev.bin\n"
           "\n"
           "Exit codes: 0 made, 1 refused, 2 wrong usage\n");
}

// Turns "4MB" into the "4M" that sizes are written as elsewhere.
static bool parse_size(const char *text, uint32_t *out) {
    char plain[24];
    size_t len = strlen(text);
    if (len > 1 && len < sizeof(plain)
            && (text[len - 1] == 'B' || text[len - 1] == 'b')) {
        memcpy(plain, text, len - 1);
        plain[len - 1] = '\0';
        text = plain;
    }
    return cli_parse_u32("--size", text, out);
}

static bool parse_state(const char *name, uint32_t *state) {
    static const struct {
        const char *name;
        uint32_t state;
    } states[] = {
            {"valid", BATON_STATE_VALID},
            {"new", BATON_STATE_NEW},
            {"undefined", BATON_STATE_UNDEFINED},
    };
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (strcmp(states[i].name, name) == 0) {
            *state = states[i].state;
            return true;
        }
    }
    cli_usage(COMMAND, "--boot-state is valid, new or undefined");
    return false;
}

static bool parse_chip(struct flash_make *self, const char *name) {
    self->chip_id = baton_chip_id(name);
    self->chip_from = "--chip";
    if (self->chip_id == BATON_CHIP_ANY) {
        cli_usage(COMMAND, "unknown chip '%s'", name);
        return false;
    }
    return true;
}

static bool check_arguments(struct flash_make *self) {
    if ((self->layout == NULL) == (self->table_path == NULL)) {
        cli_usage(COMMAND, "give --layout NAME or --table FILE");
        return false;
    }
    if (self->out_path == NULL || strcmp(self->out_path, "-") == 0) {
        cli_usage(COMMAND, "give -o FLASH, a file");
        return false;
    }
    bool size_ok = self->size_bytes == 0
                   || (self->size_bytes >= 0x100000
                           && self->size_bytes <= FLASH_MAKE_SIZE_BYTES_MAX
                           && (self->size_bytes & (self->size_bytes - 1)) == 0);
    if (!size_ok) {
        cli_usage(COMMAND, "--size is 1M, 2M, 4M, 8M or 16M");
        return false;
    }
    return true;
}

static bool add_content(
        struct flash_make *self, const char *name, const char *path) {
    if (self->content_count == FLASH_MAKE_CONTENTS_MAX) {
        cli_usage(COMMAND, "too many partitions given");
        return false;
    }
    self->contents[self->content_count++] =
            (struct flash_content){.name = name, .path = path};
    return true;
}

// Options that are not known to getopt name partitions, which are known only
// once the table is: they are taken out of argv first.
static bool take_contents(struct flash_make *self, int *argc, char **argv,
        const struct option *known) {
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        char *arg = argv[i];
        if (strcmp(arg, "-o") == 0 && i + 1 < *argc) {
            argv[kept++] = arg;
            argv[kept++] = argv[++i];
            continue;
        }
        if (strncmp(arg, "--", 2) != 0 || arg[2] == '\0') {
            argv[kept++] = arg;
            continue;
        }
        size_t len = strcspn(arg + 2, "=");
        const struct option *o = known;
        while (o->name != NULL
                && (strlen(o->name) != len
                        || strncmp(o->name, arg + 2, len) != 0)) {
            o++;
        }
        bool has_value = arg[2 + len] == '=';
        if (o->name != NULL) {
            argv[kept++] = arg;
            if (o->has_arg == required_argument && !has_value
                    && i + 1 < *argc) {
                argv[kept++] = argv[++i];
            }
            continue;
        }
        if (!has_value && i + 1 >= *argc) {
            cli_usage(COMMAND, "%s needs a file", arg);
            return false;
        }
        arg[2 + len] = '\0';
        const char *path = has_value ? arg + 2 + len + 1 : argv[++i];
        if (!add_content(self, arg + 2, path)) {
            return false;
        }
    }
    *argc = kept;
    return true;
}

int flash_make_parse_options(struct flash_make *self, int argc, char **argv) {
    static const struct option options[] = {
            {"help", no_argument, NULL, 'h'},
            {"layout", required_argument, NULL, 'l'},
            {"table", required_argument, NULL, 't'},
            {"output", required_argument, NULL, 'o'},
            {"bootloader", required_argument, NULL, 'b'},
            {"boot", required_argument, NULL, 'B'},
            {"boot-state", required_argument, NULL, 'S'},
            {"size", required_argument, NULL, 's'},
            {"chip", required_argument, NULL, 'c'},
            {"force", no_argument, NULL, 'f'},
            {"json", no_argument, NULL, 'j'},
            {NULL, 0, NULL, 0},
    };
    if (!take_contents(self, &argc, argv, options)) {
        return CLI_USAGE;
    }
    self->chip_id = BATON_CHIP_ANY;
    self->boot_state = BATON_STATE_VALID;
    int option;
    bool ok = true;
    while ((option = getopt_long(argc, argv, "ho:", options, NULL)) != -1) {
        switch (option) {
        case 'h':
            print_help();
            return -1;
        case 'l':
            self->layout = optarg;
            break;
        case 't':
            self->table_path = optarg;
            break;
        case 'o':
            self->out_path = optarg;
            break;
        case 'b':
            self->bootloader_path = optarg;
            break;
        case 'B':
            self->boot = optarg;
            break;
        case 'S':
            ok = parse_state(optarg, &self->boot_state) && ok;
            break;
        case 's':
            ok = parse_size(optarg, &self->size_bytes) && ok;
            break;
        case 'c':
            ok = parse_chip(self, optarg) && ok;
            break;
        case 'f':
            self->is_forced = true;
            break;
        case 'j':
            self->as_json = true;
            cli_refuse_in_json();
            break;
        default:
            return cli_usage(COMMAND, "see the options");
        }
    }
    if (optind < argc) {
        return cli_usage(COMMAND, "unexpected argument '%s'", argv[optind]);
    }
    return ok && check_arguments(self) ? CLI_OK : CLI_USAGE;
}
