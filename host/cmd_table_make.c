// `baton table make`: a binary partition table from CSV or a built-in layout.
// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#include <string.h>
#include <unistd.h>

#include "baton/error.h"
#include "commands.h"
#include "table_cli.h"

#define COMMAND "baton table make"

struct make {
    struct table_cli table;
    const char *layout;
    const char *in_path;
    const char *out_path;
    bool wants_help;
};

static void print_help(void) {
    printf("Usage: " COMMAND " (CSV | --layout NAME) -o FILE [OPTIONS]\n\n"
           "Makes the binary partition table that a chip reads, byte for byte "
           "the one that\nESP-IDF's generator makes of the same CSV.\n\n"
           "  -o, --output FILE   the table to write; - for standard output\n"
           "  --layout NAME       a table that is built in:\n");
    const char *name;
    for (size_t i = 0; (name = baton_table_layout_name(i)) != NULL; i++) {
        printf("                      %s\n", name);
    }
    printf(TABLE_OPTIONS_HELP
            "\nExample:\n"
            "  baton table make partitions.csv -o table.bin\n\n"
            "Exit codes: 0 made, 1 refused, 2 wrong usage.\n");
}

static int parse_options(struct make *self, int argc, char **argv) {
    static const struct option options[] = {
            {"output", required_argument, NULL, 'o'},
            {"layout", required_argument, NULL, 'l'},
            TABLE_OPTIONS,
            {NULL, 0, NULL, 0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "o:qh", options, NULL)) != -1) {
        if (c == 'o') {
            self->out_path = optarg;
        } else if (c == 'l') {
            self->layout = optarg;
        } else if (c == 'h') {
            self->wants_help = true;
            return CLI_OK;
        } else if (!table_cli_option(&self->table, c, argc, argv)) {
            return CLI_USAGE;
        }
    }
    int given = argc - optind;
    if (given > 1 || (self->layout != NULL) == (given == 1)) {
        return cli_usage(COMMAND, "give one CSV, or --layout");
    }
    self->in_path = given == 1 ? argv[optind] : NULL;
    bool to_stdout = self->out_path == NULL || strcmp(self->out_path, "-") == 0;
    if (self->out_path == NULL && isatty(STDOUT_FILENO)) {
        return cli_usage(COMMAND, "give the file to write with -o");
    }
    if (to_stdout && self->table.as_json) {
        return cli_usage(COMMAND, "--json needs -o FILE");
    }
    self->out_path = to_stdout ? "-" : self->out_path;
    return table_cli_check_options(&self->table) ? CLI_OK : CLI_USAGE;
}

static int read_input(struct make *self) {
    struct table_cli *table = &self->table;
    if (self->layout != NULL) {
        return table_cli_read_layout(table, self->layout);
    }
    int code = table_cli_read(table, self->in_path);
    if (code == CLI_OK && table->format != TABLE_FORMAT_CSV) {
        return cli_usage(COMMAND,
                "%s holds a binary table already; its CSV: baton table show "
                "--csv %s",
                self->in_path, self->in_path);
    }
    return code;
}

static void report(const struct make *self) {
    const struct table_cli *table = &self->table;
    if (!table->as_json) {
        table_cli_print_warnings(table);
    }
    if (table->as_json) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddStringToObject(json, "file", self->out_path);
        cJSON_AddBoolToObject(json, "ok", true);
        table_cli_add_rows(table, json);
        table_cli_add_warnings(table, json);
        table_cli_print_json(json);
    } else if (strcmp(self->out_path, "-") != 0 && !table->is_quiet) {
        printf("%s: ", self->out_path);
        table_cli_print_summary(table);
    }
}

static int make(struct make *self) {
    struct table_cli *table = &self->table;
    uint8_t out[BATON_TABLE_BYTES];
    int code = read_input(self);
    if (code != CLI_OK) {
        return code;
    }
    int err = table_cli_verify(table);
    if (err == 0) {
        err = baton_table_encode(
                table->rows, table->count, &table->options, out);
    }
    if (err != 0) {
        return table_cli_refuse(table, err);
    }
    if (!cli_write_file(self->out_path, out, sizeof(out))) {
        return table->as_json ? table_cli_refuse(table, BATON_ERR_IO)
                              : CLI_REFUSED;
    }
    report(self);
    return CLI_OK;
}

int cmd_table_make(int argc, char **argv) {
    struct make self = {.layout = NULL};
    table_cli_begin(&self.table, COMMAND);
    int code = parse_options(&self, argc, argv);
    if (self.wants_help) {
        print_help();
    } else if (code == CLI_OK) {
        code = make(&self);
    }
    table_cli_end(&self.table);
    return code;
}
