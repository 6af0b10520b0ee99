// `baton flash make`: a flash file from a partition table and images.
// SPDX-License-Identifier: MIT
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "cli.h"
#include "commands.h"
#include "flash_file.h"

#define COMMAND         "baton flash make"
#define CONTENTS_MAX    64u
#define FLASH_BYTES_MAX 0x1000000u
#define OPTION_CONTENT  1000 // and on: the partition options, by place

// A file and the partition it goes into.
struct content {
    const char *name; // as the option was called
    const char *path;
    const struct baton_partition *row;
    uint8_t *data;
    size_t len;
    struct baton_image_info info; // of an application
};

struct make {
    const char *layout;
    const char *table_path;
    const char *out_path;
    const char *bootloader_path;
    const char *boot;
    const char *boot_state;
    const char *chip_name;
    uint32_t size_bytes;
    bool is_forced;
    bool as_json;
    uint16_t chip_id; // BATON_CHIP_ANY: not known yet
    const char *chip_from;
    struct baton_partition rows[BATON_TABLE_ROWS_MAX];
    size_t row_count;
    struct content contents[CONTENTS_MAX];
    size_t content_count;
    uint8_t *bytes;
    struct baton_nor nor;
    struct baton_nor_state nor_state;
};

static void print_help(void) {
    printf("Usage: " COMMAND " (--layout NAME | --table FILE) [OPTIONS] "
           "-o FLASH\n\n"
           "Makes a flash file for 'baton sim', byte for byte what a chip's "
           "flash would hold,\nand the board file beside it (FLASH.board: "
           "chip, eFuse, wear). Both are made\nanew where they exist.\n\n"
           "  --layout NAME       a table that is built in:");
    const char *name;
    for (size_t i = 0; (name = baton_table_layout_name(i)) != NULL; i++) {
        printf("%s%s", i == 0 ? "\n                      " : ", ", name);
    }
    printf("\n"
           "  --table FILE        a table, CSV or binary\n"
           "  --PARTITION FILE    what goes into a partition, by its label or, "
           "for an\n                      application, by its subtype: "
           "--factory, --ota_0, --vfs ...\n"
           "  --bootloader FILE   the second-stage bootloader (not needed by "
           "'baton sim')\n"
           "  --boot PARTITION    write otadata so that this slot boots\n"
           "  --boot-state STATE  its state: valid (default), new, undefined\n"
           "  --size SIZE         of the flash: 1M ... 16M; default: the "
           "smallest that fits\n"
           "  --chip CHIP         default: the one the images are for, else "
           "esp32\n"
           "  --force             take images that do not verify\n"
           "  --json              report as JSON\n"
           "  -o, --output FLASH  the file to make\n\n"
           "Example:\n"
           "  baton flash make --layout micropython-4mib-ota \\\n"
           "      --ota_0 old.app-bin -o dev.bin\n\n"
           "Exit codes: 0 made, 1 refused, 2 wrong usage.\n");
}

static bool refuse(const char *what, const char *why, const char *next) {
    fprintf(stderr, COMMAND ": %s: %s\n", what, why);
    if (next != NULL) {
        fprintf(stderr, "  next: %s\n", next);
    }
    return false;
}

// ---- The table -----------------------------------------------------------

static bool refuse_table(
        const char *what, int err, const struct baton_table_fault *fault) {
    char where[160];
    snprintf(where, sizeof(where), "%s", what);
    if (fault->line != 0) {
        snprintf(where, sizeof(where), "%s: line %u", what,
                (unsigned)fault->line);
    } else if (fault->text[0] != '\0') {
        snprintf(where, sizeof(where), "%s: '%s'", what, fault->text);
    }
    cli_refuse(COMMAND, where, err);
    return false;
}

static bool parse_table(
        struct make *self, const char *what, const uint8_t *data, size_t len) {
    struct baton_table_options options = {.crypto = baton_crypto_psa()};
    struct baton_table_fault fault = {.row = -1, .other_row = -1};
    bool is_binary = len >= 2 && data[0] == 0xAA && data[1] == 0x50;
    int err = is_binary ? baton_table_parse(data, len, &options, self->rows,
                      BATON_TABLE_ROWS_MAX, &self->row_count, &fault)
                        : baton_table_parse_csv((const char *)data, len,
                                &options, self->rows, BATON_TABLE_ROWS_MAX,
                                &self->row_count, &fault);
    if (!err) {
        err = baton_table_verify(self->rows, self->row_count, &options, &fault);
    }
    return err == 0 || refuse_table(what, err, &fault);
}

static bool load_table(struct make *self) {
    if (self->layout != NULL) {
        const char *csv = baton_table_layout_csv(self->layout);
        if (csv == NULL) {
            return refuse(self->layout, "no such layout",
                    "'" COMMAND " --help' lists them");
        }
        return parse_table(
                self, self->layout, (const uint8_t *)csv, strlen(csv));
    }
    uint8_t *data;
    size_t len;
    if (!cli_read_file(self->table_path, &data, &len)) {
        return false;
    }
    bool ok = parse_table(self, self->table_path, data, len);
    free(data);
    return ok;
}

static bool choose_size(struct make *self) {
    uint32_t end = 0;
    for (size_t i = 0; i < self->row_count; i++) {
        uint32_t row_end = self->rows[i].addr + self->rows[i].size_bytes;
        end = row_end > end ? row_end : end;
    }
    uint32_t fitting = 0x100000;
    while (fitting < end && fitting < FLASH_BYTES_MAX) {
        fitting *= 2;
    }
    if (self->size_bytes == 0) {
        self->size_bytes = fitting;
    }
    if (end > self->size_bytes) {
        char why[80];
        snprintf(why, sizeof(why), "it ends at 0x%x, the flash at 0x%x",
                (unsigned)end, (unsigned)self->size_bytes);
        return refuse("the partition table", why,
                end > FLASH_BYTES_MAX ? "a flash has at most 16 MiB here"
                                      : "give a larger --size");
    }
    return true;
}

// By label, or an application by the name of its subtype.
static const struct baton_partition *find_row(
        const struct make *self, const char *name) {
    const struct baton_partition *row =
            baton_table_find_label(self->rows, self->row_count, name);
    for (size_t i = 0; row == NULL && i < self->row_count; i++) {
        const struct baton_partition *r = &self->rows[i];
        const char *subtype = baton_table_subtype_name(r->type, r->subtype);
        if (r->type == BATON_TYPE_APP && subtype != NULL
                && strcmp(subtype, name) == 0) {
            row = r;
        }
    }
    return row;
}

static bool refuse_name(const struct make *self, const char *name) {
    fprintf(stderr,
            COMMAND ": there is no partition '%s' in the table\n"
                    "  next: it has",
            name);
    for (size_t i = 0; i < self->row_count; i++) {
        fprintf(stderr, "%s %s", i == 0 ? "" : ",", self->rows[i].label);
    }
    fprintf(stderr, "\n");
    return false;
}

// ---- What goes in --------------------------------------------------------

static bool verify_app(struct content *content, const struct make *self) {
    struct baton_image image;
    struct baton_chip chip = {.id = self->chip_id};
    struct baton_board_state state;
    memset(&state, 0, sizeof(state));
    baton_board_set_chip(&state, self->chip_id);
    chip = baton_board_chip(&state);
    struct baton_image_config config = {
            .crypto = baton_crypto_psa(),
            .chip = self->chip_id != BATON_CHIP_ANY ? &chip : NULL,
            .limit_bytes = content->row->size_bytes,
    };
    int err = baton_image_check(
            content->data, content->len, (uint32_t)content->len, &config);
    if (err == 0) {
        err = baton_image_begin(&image, &config);
    }
    if (err == 0) {
        (void)baton_image_push(&image, content->data, content->len);
        err = baton_image_finish(&image);
        content->info = *baton_image_result(&image);
    }
    if (err == 0 || self->is_forced) {
        return true;
    }
    cli_refuse(COMMAND, content->path, err);
    if (err == BATON_ERR_IMAGE_CHIP
            && baton_image_decode(content->data, content->len, &content->info)
                       == 0) {
        fprintf(stderr, "  it is for %s",
                flash_chip_text(content->info.header.chip_id));
        fprintf(stderr, ", this flash for %s (%s)\n",
                flash_chip_text(self->chip_id), self->chip_from);
    }
    return false;
}

static bool check_content(struct make *self, struct content *content) {
    const struct baton_partition *row = content->row;
    if (content->len > row->size_bytes) {
        char why[120];
        snprintf(why, sizeof(why), "%zu bytes do not fit '%s' of %u bytes",
                content->len, row->label, (unsigned)row->size_bytes);
        return refuse(content->path, why,
                row->type == BATON_TYPE_APP
                        ? baton_error_hint(BATON_ERR_IMAGE_TOO_LARGE)
                        : NULL);
    }
    if (row->type != BATON_TYPE_APP) {
        return true;
    }
    struct baton_image_info info;
    if (self->chip_id == BATON_CHIP_ANY
            && baton_image_decode(content->data, content->len, &info) == 0
            && baton_chip_name(info.header.chip_id) != NULL) {
        self->chip_id = info.header.chip_id;
        self->chip_from = content->path;
    }
    return verify_app(content, self);
}

static bool load_contents(struct make *self) {
    for (size_t i = 0; i < self->content_count; i++) {
        struct content *content = &self->contents[i];
        content->row = find_row(self, content->name);
        if (content->row == NULL) {
            return refuse_name(self, content->name);
        }
        if (!cli_read_file(content->path, &content->data, &content->len)
                || !check_content(self, content)) {
            return false;
        }
        for (size_t k = 0; k < i; k++) {
            if (self->contents[k].row == content->row) {
                return refuse(content->row->label, "given twice", NULL);
            }
        }
    }
    if (self->chip_id == BATON_CHIP_ANY) {
        self->chip_id = baton_chip_id("esp32");
    }
    return true;
}

static bool place_table(struct make *self) {
    struct baton_table_options options = {.crypto = baton_crypto_psa()};
    int err = baton_table_encode(self->rows, self->row_count, &options,
            self->bytes + BATON_TABLE_ADDR);
    if (err) {
        cli_refuse(COMMAND, NULL, err);
    }
    return err == 0;
}

static bool place_bootloader(struct make *self) {
    if (self->bootloader_path == NULL) {
        return true;
    }
    uint8_t *data;
    size_t len;
    if (!cli_read_file(self->bootloader_path, &data, &len)) {
        return false;
    }
    uint32_t addr = baton_chip_bootloader_addr(self->chip_id);
    struct baton_image_info info;
    bool ok = false;
    if (baton_image_decode(data, len, &info) != 0) {
        refuse(self->bootloader_path, "this is not a bootloader",
                "a bootloader begins with the byte 0xE9");
    } else if (baton_image_identify(data, len) == 0) {
        refuse(self->bootloader_path,
                "this is an application, not a bootloader",
                "give it to --factory or --ota_0");
    } else if (info.header.chip_id != self->chip_id) {
        cli_refuse(COMMAND, self->bootloader_path, BATON_ERR_IMAGE_CHIP);
    } else if (len > BATON_TABLE_ADDR - addr) {
        refuse(self->bootloader_path,
                "it reaches over the partition table at 0x8000",
                "is this a merged .bin? give the bootloader alone");
    } else {
        memcpy(self->bytes + addr, data, len);
        ok = true;
    }
    free(data);
    return ok;
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
    return false;
}

static bool place_choice(struct make *self) {
    if (self->boot == NULL) {
        return true;
    }
    const struct baton_partition *row = find_row(self, self->boot);
    if (row == NULL) {
        return refuse_name(self, self->boot);
    }
    bool is_slot = row->type == BATON_TYPE_APP
                   && (row->subtype & 0xF0u) == BATON_SUBTYPE_APP_OTA_0;
    const struct baton_partition *otadata = baton_table_find(self->rows,
            self->row_count, BATON_TYPE_DATA, BATON_SUBTYPE_DATA_OTA);
    if (row->type == BATON_TYPE_APP && row->subtype == 0) {
        return true; // blank otadata boots factory
    }
    if (!is_slot || otadata == NULL) {
        return refuse(self->boot,
                is_slot ? "the table has no otadata to write the choice to"
                        : "it is no slot that otadata can choose",
                NULL);
    }
    uint32_t state = BATON_STATE_VALID;
    (void)parse_state(self->boot_state, &state);
    uint32_t count = baton_table_slot_count(self->rows, self->row_count);
    int err = baton_slots_switch(&self->nor.flash, otadata->addr, count,
            row->subtype - BATON_SUBTYPE_APP_OTA_0, state,
            BATON_SLOTS_SAME_COPY);
    if (err) {
        cli_refuse(COMMAND, self->boot, err);
    }
    return err == 0;
}

static bool fill_flash(struct make *self) {
    self->bytes = malloc(self->size_bytes);
    if (self->bytes == NULL) {
        cli_refuse(COMMAND, NULL, BATON_ERR_NOMEM);
        return false;
    }
    memset(self->bytes, 0xFF, self->size_bytes);
    int err = baton_nor_begin(&self->nor, self->bytes, self->size_bytes, 1,
            &self->nor_state, NULL);
    if (err) {
        cli_refuse(COMMAND, self->out_path, err);
        return false;
    }
    if (!place_table(self)) {
        return false;
    }
    for (size_t i = 0; i < self->content_count; i++) {
        const struct content *c = &self->contents[i];
        memcpy(self->bytes + c->row->addr, c->data, c->len);
    }
    return place_bootloader(self) && place_choice(self);
}

static bool write_board(const struct make *self) {
    struct baton_board_state *state = malloc(sizeof(*state));
    int err = BATON_ERR_NOMEM;
    if (state != NULL) {
        baton_board_defaults(state, self->out_path, self->size_bytes);
        baton_board_set_chip(state, self->chip_id);
        err = baton_board_create(self->out_path, state);
    }
    free(state);
    if (err) {
        cli_refuse(COMMAND, self->out_path, err);
    }
    return err == 0;
}

// ---- The report ----------------------------------------------------------

static void find_names(const struct content *c, struct baton_names *names) {
    memset(names, 0, sizeof(*names));
    if (c->row->type == BATON_TYPE_APP) {
        flash_file_names(c->data, c->len, &c->info, names);
    }
}

static void print_report(const struct make *self) {
    printf("%s: %u MiB flash for %s\n", self->out_path,
            (unsigned)(self->size_bytes >> 20), flash_chip_text(self->chip_id));
    for (size_t i = 0; i < self->row_count; i++) {
        const struct baton_partition *row = &self->rows[i];
        printf("  0x%06x  %5u KiB  %-16s", (unsigned)row->addr,
                (unsigned)(row->size_bytes >> 10), row->label);
        for (size_t k = 0; k < self->content_count; k++) {
            const struct content *c = &self->contents[k];
            struct baton_names names;
            if (c->row == row) {
                find_names(c, &names);
                printf(" %s  %s", c->path, names.version);
            }
        }
        printf("\n");
    }
    printf("  next: baton sim --flash %s --fs DIR\n", self->out_path);
}

static void print_json(const struct make *self) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "file", self->out_path);
    cJSON_AddNumberToObject(json, "size", self->size_bytes);
    cJSON_AddStringToObject(json, "chip", flash_chip_text(self->chip_id));
    cJSON *contents = cJSON_AddArrayToObject(json, "contents");
    for (size_t i = 0; i < self->content_count; i++) {
        const struct content *c = &self->contents[i];
        struct baton_names names;
        find_names(c, &names);
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "partition", c->row->label);
        cJSON_AddNumberToObject(item, "addr", c->row->addr);
        cJSON_AddStringToObject(item, "file", c->path);
        cJSON_AddNumberToObject(item, "length", (double)c->len);
        if (c->row->type == BATON_TYPE_APP) {
            cJSON_AddStringToObject(item, "version", names.version);
        }
        cJSON_AddItemToArray(contents, item);
    }
    flash_print_json(json);
}

// ---- Arguments -----------------------------------------------------------

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

static bool check_arguments(struct make *self) {
    uint32_t state;
    if ((self->layout == NULL) == (self->table_path == NULL)) {
        cli_usage(COMMAND, "give --layout NAME or --table FILE");
        return false;
    }
    if (self->out_path == NULL || strcmp(self->out_path, "-") == 0) {
        cli_usage(COMMAND, "give -o FLASH, a file");
        return false;
    }
    if (!parse_state(self->boot_state, &state)) {
        cli_usage(COMMAND, "--boot-state is valid, new or undefined");
        return false;
    }
    bool size_ok = self->size_bytes == 0
                   || (self->size_bytes >= 0x100000
                           && self->size_bytes <= FLASH_BYTES_MAX
                           && (self->size_bytes & (self->size_bytes - 1)) == 0);
    if (!size_ok) {
        cli_usage(COMMAND, "--size is 1M, 2M, 4M, 8M or 16M");
        return false;
    }
    if (self->chip_name != NULL) {
        self->chip_id = baton_chip_id(self->chip_name);
        self->chip_from = "--chip";
        if (self->chip_id == BATON_CHIP_ANY) {
            cli_usage(COMMAND, "unknown chip '%s'", self->chip_name);
            return false;
        }
    }
    return true;
}

static bool add_content(struct make *self, const char *name, const char *path) {
    if (self->content_count == CONTENTS_MAX) {
        cli_usage(COMMAND, "too many partitions given");
        return false;
    }
    self->contents[self->content_count++] =
            (struct content){.name = name, .path = path};
    return true;
}

// Options that are not known to getopt name partitions, which are known only
// once the table is: they are taken out of argv first.
static bool take_contents(
        struct make *self, int *argc, char **argv, const struct option *known) {
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

static int parse_arguments(struct make *self, int argc, char **argv) {
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
            self->boot_state = optarg;
            break;
        case 's':
            ok = parse_size(optarg, &self->size_bytes) && ok;
            break;
        case 'c':
            self->chip_name = optarg;
            break;
        case 'f':
            self->is_forced = true;
            break;
        case 'j':
            self->as_json = true;
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

static int make_flash(struct make *self) {
    if (baton_crypto_psa() == NULL) {
        return cli_refuse(COMMAND, NULL, BATON_ERR_CRYPTO);
    }
    if (!load_table(self) || !choose_size(self) || !load_contents(self)
            || !fill_flash(self)
            || !cli_write_file(self->out_path, self->bytes, self->size_bytes)
            || !write_board(self)) {
        return CLI_REFUSED;
    }
    if (self->as_json) {
        print_json(self);
    } else {
        print_report(self);
    }
    return CLI_OK;
}

int cmd_flash_make(int argc, char **argv) {
    static struct make self;
    self.chip_id = BATON_CHIP_ANY;
    self.boot_state = "valid";
    int code = parse_arguments(&self, argc, argv);
    if (code == CLI_OK) {
        code = make_flash(&self);
    } else if (code < 0) {
        code = CLI_OK;
    }
    for (size_t i = 0; i < self.content_count; i++) {
        free(self.contents[i].data);
    }
    free(self.bytes);
    return code;
}
