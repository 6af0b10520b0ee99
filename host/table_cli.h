// What the table subcommands share: options, reading, errors, warnings.
// SPDX-License-Identifier: MIT
#ifndef BATON_HOST_TABLE_CLI_H
#define BATON_HOST_TABLE_CLI_H

#include <cjson/cJSON.h>
#include <getopt.h>
#include <stdio.h>

#include "baton/table.h"
#include "cli.h"

enum table_format {
    TABLE_FORMAT_CSV,
    TABLE_FORMAT_BINARY,
    TABLE_FORMAT_FLASH, // inside a flash image or a merged .bin
    TABLE_FORMAT_LAYOUT,
};

struct table_cli {
    const char *command;
    struct baton_table_options options;
    struct baton_hash_state hash; // for options
    bool no_verify;
    bool is_quiet;
    bool as_json;
    bool has_offset;

    // What was read.
    const char *path;
    enum table_format format;
    uint8_t *data; // the file; CSV is in UTF-8 here
    size_t len;
    size_t table_off; // where a binary table was found in the file
    bool has_md5_row;
    struct baton_partition *rows;
    size_t count;
    struct baton_table_fault fault;
};

// The options of the vendor's generator, for the array of getopt_long.
enum {
    TABLE_OPTION_FIRST = 1000,
    TABLE_OPTION_FLASH_SIZE = TABLE_OPTION_FIRST,
    TABLE_OPTION_DISABLE_MD5SUM,
    TABLE_OPTION_NO_VERIFY,
    TABLE_OPTION_VERIFY,
    TABLE_OPTION_OFFSET,
    TABLE_OPTION_PRIMARY,
    TABLE_OPTION_RECOVERY,
    TABLE_OPTION_SECURE,
    TABLE_OPTION_JSON,
    TABLE_OPTION_LAST = TABLE_OPTION_JSON,
};

// clang-format off
#define TABLE_OPTIONS \
    {"flash-size", required_argument, NULL, TABLE_OPTION_FLASH_SIZE}, \
    {"disable-md5sum", no_argument, NULL, TABLE_OPTION_DISABLE_MD5SUM}, \
    {"no-verify", no_argument, NULL, TABLE_OPTION_NO_VERIFY}, \
    {"verify", no_argument, NULL, TABLE_OPTION_VERIFY}, \
    {"offset", required_argument, NULL, TABLE_OPTION_OFFSET}, \
    {"primary-bootloader-offset", required_argument, NULL, \
            TABLE_OPTION_PRIMARY}, \
    {"recovery-bootloader-offset", required_argument, NULL, \
            TABLE_OPTION_RECOVERY}, \
    {"secure", optional_argument, NULL, TABLE_OPTION_SECURE}, \
    {"json", no_argument, NULL, TABLE_OPTION_JSON}, \
    {"quiet", no_argument, NULL, 'q'}, \
    {"help", no_argument, NULL, 'h'}
// clang-format on

// The lines of --help for them.
#define TABLE_OPTIONS_HELP                                                     \
    "  --offset ADDR       where the table lies in flash; default: 0x8000\n"   \
    "  --flash-size SIZE   check that the partitions fit: 4MB, 0x400000\n"     \
    "  --no-verify         do not check the rules (alignment, overlaps, "      \
    "...)\n"                                                                   \
    "  --disable-md5sum    a table without an MD5 row\n"                       \
    "  --primary-bootloader-offset ADDR, --recovery-bootloader-offset ADDR\n"  \
    "                      for CSV rows that describe these bootloaders\n"     \
    "  --secure [v1|v2]    require app sizes that fit Secure Boot (v1)\n"      \
    "  --json              report as JSON, errors too\n"                       \
    "  -q, --quiet         no warnings\n"

void table_cli_begin(struct table_cli *self, const char *command);
void table_cli_end(struct table_cli *self);

// Takes an option of TABLE_OPTIONS; `c` is what getopt_long returned. False
// where its argument is wrong, or it is none of them: printed.
bool table_cli_option(struct table_cli *self, int c, int argc, char **argv);

// Checks the options against each other. False: printed.
bool table_cli_check_options(const struct table_cli *self);

// Reads a table from a file, or a layout that is built in. Returns CLI_OK, or
// an exit code, all being said.
int table_cli_read(struct table_cli *self, const char *path);
int table_cli_read_layout(struct table_cli *self, const char *name);

// The line of a CSV that a row stands on; 0 where there is none.
uint32_t table_cli_line(const struct table_cli *self, int row);

// Verifies as the options say. Returns 0 or the error, with self->fault set.
int table_cli_verify(struct table_cli *self);

// Says what is wrong, in text or JSON. Returns CLI_REFUSED.
int table_cli_refuse(const struct table_cli *self, int err);

// Adds a description of the error to a JSON object.
void table_cli_add_error(const struct table_cli *self, cJSON *json, int err);

// Adds the warnings to a JSON object, or prints them to standard error.
void table_cli_add_warnings(const struct table_cli *self, cJSON *json);
void table_cli_print_warnings(const struct table_cli *self);

// Adds the rows, and what follows from them, to a JSON object.
void table_cli_add_rows(const struct table_cli *self, cJSON *json);

// Prints "5 partitions, 2 slots, ending at 0x310000", and ends the line.
void table_cli_print_summary(const struct table_cli *self);

// Prints a JSON object to standard output, and frees it.
void table_cli_print_json(cJSON *json);

// Copies text for a terminal or JSON: what is not UTF-8 or not printable is
// replaced by U+FFFD. Returns `out`; `columns` may be NULL.
const char *table_cli_clean(
        const char *text, char *out, size_t capacity, size_t *columns);
#define TABLE_CLI_CLEAN_BYTES(len) (3 * (len) + 1)

// The number of the slot that a row is, -1 for none.
int table_cli_slot(const struct baton_partition *row);

// The address behind the last partition.
uint64_t table_cli_end_addr(const struct table_cli *self);

#endif
