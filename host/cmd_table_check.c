// `baton table check`: whether a partition table keeps the rules.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "table_cli.h"

#define COMMAND "baton table check"

static void print_help(void) {
    printf("Usage: " COMMAND " [OPTIONS] FILE\n\n"
           "Checks a partition table (binary, CSV, or inside a flash image) by "
           "the rules of\nESP-IDF's generator: alignment, names, overlaps, "
           "otadata, sizes. Doubtful things\nthat a chip accepts are told as "
           "warnings.\n\n" TABLE_OPTIONS_HELP "\nExample:\n"
           "  baton table check --flash-size 4MB partitions.csv\n\n"
           "Exit codes: 0 right, 1 not, 2 wrong usage.\n");
}

static int check(struct table_cli *table, const char *path) {
    int code = table_cli_read(table, path);
    if (code != CLI_OK) {
        return code;
    }
    int err = table_cli_verify(table);
    if (err != 0) {
        return table_cli_refuse(table, err);
    }
    if (table->as_json) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddStringToObject(json, "file", path);
        cJSON_AddBoolToObject(json, "ok", true);
        table_cli_add_rows(table, json);
        table_cli_add_warnings(table, json);
        table_cli_print_json(json);
        return CLI_OK;
    }
    table_cli_print_warnings(table);
    if (!table->is_quiet) {
        printf("%s: ok: ", path);
        table_cli_print_summary(table);
    }
    return CLI_OK;
}

static int parse_options(
        struct table_cli *table, bool *wants_help, int argc, char **argv) {
    static const struct option options[] = {
            TABLE_OPTIONS,
            {NULL, 0, NULL, 0},
    };
    int c;
    *wants_help = false;
    while ((c = getopt_long(argc, argv, "qh", options, NULL)) != -1) {
        if (c == 'h') {
            *wants_help = true;
            return CLI_OK;
        }
        if (!table_cli_option(table, c, argc, argv)) {
            return CLI_USAGE;
        }
    }
    if (argc - optind != 1) {
        return cli_usage(COMMAND, "give one file");
    }
    return table_cli_check_options(table) ? CLI_OK : CLI_USAGE;
}

int cmd_table_check(int argc, char **argv) {
    struct table_cli table;
    bool wants_help;
    table_cli_begin(&table, COMMAND);
    int code = parse_options(&table, &wants_help, argc, argv);
    if (wants_help) {
        print_help();
    } else if (code == CLI_OK) {
        code = check(&table, argv[optind]);
    }
    table_cli_end(&table);
    return code;
}
