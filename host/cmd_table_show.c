// `baton table show`: a partition table, for people, as JSON or as CSV.
// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>

#include "baton/error.h"
#include "commands.h"
#include "table_cli.h"

#define COMMAND "baton table show"

// The columns of the table. Numbers stand to the right.
enum column { NAME, TYPE, SUBTYPE, OFFSET, SIZE, BYTES, END, FLAGS, COLUMNS };

#define CELL_BYTES 80u

struct line {
    char cell[COLUMNS][CELL_BYTES];
    size_t width[COLUMNS];
};

struct show {
    struct table_cli table;
    bool as_csv;
    bool wants_help;
};

static void print_help(void) {
    printf("Usage: " COMMAND " [OPTIONS] FILE\n\n"
           "Shows a partition table: binary, CSV, or the one inside a flash "
           "image or a merged\n.bin (looked for at the table's offset, then at "
           "every 0x1000 up to 0x20000).\n\n"
           "  --csv               as CSV, byte for byte what ESP-IDF's "
           "generator writes\n" TABLE_OPTIONS_HELP "\nExamples:\n"
           "  baton table show table.bin\n"
           "  baton table show --csv dev.bin > partitions.csv\n\n"
           "Exit codes: 0 shown, 1 no table, or a broken one, 2 wrong "
           "usage.\n");
}

static void set_cell(struct line *self, enum column column, const char *text) {
    table_cli_clean(text, self->cell[column], CELL_BYTES, &self->width[column]);
}

// Three significant figures are enough beside the exact size.
static void format_size(uint32_t bytes, char out[CELL_BYTES]) {
    if (bytes >= 1u << 20) {
        snprintf(out, CELL_BYTES, "%.4g MiB", bytes / 1048576.0);
    } else if (bytes >= 1u << 10) {
        snprintf(out, CELL_BYTES, "%.4g KiB", bytes / 1024.0);
    } else {
        snprintf(out, CELL_BYTES, "%u B", (unsigned)bytes);
    }
}

static void set_keyword(struct line *self, enum column column,
        const char *keyword, uint8_t value) {
    char number[8];
    snprintf(number, sizeof(number), "0x%02x", value);
    set_cell(self, column, keyword != NULL ? keyword : number);
}

// Flags, and what a row is to the bootloader.
static void set_marks(const struct show *self, struct line *line,
        const struct baton_partition *row) {
    char text[CELL_BYTES];
    int slot = table_cli_slot(row);
    int slots =
            (int)baton_table_slot_count(self->table.rows, self->table.count);
    snprintf(text, sizeof(text), "%s%s",
            (row->flags & BATON_PARTITION_ENCRYPTED) != 0 ? "encrypted " : "",
            (row->flags & BATON_PARTITION_READONLY) != 0 ? "readonly " : "");
    size_t len = strlen(text);
    if (slot >= 0) {
        snprintf(text + len, sizeof(text) - len, "<- slot %d%s", slot,
                slot >= slots ? " (not used: a slot before it is missing)"
                              : "");
    } else if (row->type == BATON_TYPE_DATA
               && row->subtype == BATON_SUBTYPE_DATA_OTA) {
        snprintf(text + len, sizeof(text) - len, "<- which slot boots");
    }
    set_cell(line, FLAGS, text);
}

static void fill_line(const struct show *self, struct line *line,
        const struct baton_partition *row) {
    char text[CELL_BYTES];
    set_cell(line, NAME, row->label);
    set_keyword(line, TYPE, baton_table_type_name(row->type), row->type);
    set_keyword(line, SUBTYPE,
            baton_table_subtype_name(row->type, row->subtype), row->subtype);
    snprintf(text, sizeof(text), "0x%06x", (unsigned)row->addr);
    set_cell(line, OFFSET, text);
    format_size(row->size_bytes, text);
    set_cell(line, SIZE, text);
    snprintf(text, sizeof(text), "0x%06x", (unsigned)row->size_bytes);
    set_cell(line, BYTES, text);
    snprintf(text, sizeof(text), "0x%06llx",
            (unsigned long long)row->addr + row->size_bytes);
    set_cell(line, END, text);
    set_marks(self, line, row);
}

static void fill_heading(struct line *line) {
    static const char *const titles[COLUMNS] = {
            "name", "type", "subtype", "offset", "size", "bytes", "end", ""};
    for (int column = 0; column < COLUMNS; column++) {
        set_cell(line, (enum column)column, titles[column]);
    }
}

static void print_line(const struct line *line, const size_t *width) {
    for (int column = 0; column < FLAGS; column++) {
        int pad = (int)(width[column] - line->width[column]);
        bool is_right = column >= OFFSET;
        printf("  %*s%s%*s", is_right ? pad : 0, "", line->cell[column],
                is_right ? 0 : pad, "");
    }
    printf("%s%s\n", line->width[FLAGS] != 0 ? "  " : "", line->cell[FLAGS]);
}

static void print_lines(const struct line *lines, size_t count) {
    size_t width[COLUMNS] = {0};
    for (size_t i = 0; i < count; i++) {
        for (int column = 0; column < COLUMNS; column++) {
            size_t cell = lines[i].width[column];
            width[column] = cell > width[column] ? cell : width[column];
        }
    }
    for (size_t i = 0; i < count; i++) {
        print_line(&lines[i], width);
    }
}

static void print_place(const struct table_cli *table) {
    switch (table->format) {
    case TABLE_FORMAT_CSV:
        printf(" (CSV)");
        break;
    case TABLE_FORMAT_FLASH:
        printf(" (table found at 0x%zx of the file", table->table_off);
        if (table->table_off != table->options.table_addr) {
            printf(", 0x%x in flash", (unsigned)table->options.table_addr);
        }
        printf(")");
        break;
    default:
        printf(" (binary)");
        break;
    }
}

// The size of the flash, given or that of a whole image; 0: not known.
static uint64_t flash_bytes(const struct table_cli *table) {
    uint64_t len = table->len;
    bool is_whole = table->format == TABLE_FORMAT_FLASH && len >= 0x100000
                    && (len & (len - 1)) == 0
                    && table->table_off == table->options.table_addr;
    if (table->options.flash_bytes != 0) {
        return table->options.flash_bytes;
    }
    return is_whole ? len : 0;
}

static bool has_file_system(const struct table_cli *table) {
    return baton_table_find_label(table->rows, table->count, "vfs") != NULL
           || baton_table_find_label(table->rows, table->count, "ffat") != NULL;
}

static void print_notes(const struct table_cli *table) {
    const struct baton_partition *otadata = baton_table_find(
            table->rows, table->count, BATON_TYPE_DATA, BATON_SUBTYPE_DATA_OTA);
    uint32_t slots = baton_table_slot_count(table->rows, table->count);
    uint64_t end = table_cli_end_addr(table);
    uint64_t flash = flash_bytes(table);
    if (slots < 2 || otadata == NULL) {
        printf("\n  No updates over the air with this table: they need ota_0, "
               "ota_1 and otadata.\n");
    }
    if (flash > end) {
        char size[CELL_BYTES];
        format_size((uint32_t)(flash - end), size);
        printf("\n  0x%06llx to 0x%06llx (%s) is in no partition%s.\n",
                (unsigned long long)end, (unsigned long long)flash, size,
                has_file_system(table)
                        ? ""
                        : "; MicroPython makes its file system there");
    }
}

static int print_text(const struct show *self) {
    const struct table_cli *table = &self->table;
    struct line *lines = calloc(table->count + 1, sizeof(*lines));
    if (lines == NULL) {
        return table_cli_refuse(table, BATON_ERR_NOMEM);
    }
    printf("%s", table->path);
    print_place(table);
    printf(": ");
    table_cli_print_summary(table);
    printf("\n");
    fill_heading(&lines[0]);
    for (size_t i = 0; i < table->count; i++) {
        fill_line(self, &lines[i + 1], &table->rows[i]);
    }
    print_lines(lines, table->count + 1);
    print_notes(table);
    free(lines);
    return CLI_OK;
}

static int print_csv(const struct table_cli *table) {
    size_t capacity = BATON_TABLE_CSV_BYTES(table->count);
    size_t len;
    char *text = malloc(capacity);
    int err = text != NULL ? baton_table_format_csv(
                      table->rows, table->count, text, capacity, &len)
                           : BATON_ERR_NOMEM;
    bool ok = err == 0 && cli_write_file("-", text, len);
    free(text);
    if (err != 0) {
        return table_cli_refuse(table, err);
    }
    return ok ? CLI_OK : CLI_REFUSED;
}

static void print_json(const struct table_cli *table, int err) {
    static const char *const formats[] = {"csv", "binary", "flash", "layout"};
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "file", table->path);
    cJSON_AddStringToObject(json, "format", formats[table->format]);
    cJSON_AddBoolToObject(json, "ok", err == 0);
    if (table->format == TABLE_FORMAT_FLASH) {
        cJSON_AddNumberToObject(json, "found_at", (double)table->table_off);
    }
    if (table->format != TABLE_FORMAT_CSV) {
        cJSON_AddBoolToObject(json, "md5", table->has_md5_row);
    }
    table_cli_add_rows(table, json);
    if (err != 0) {
        table_cli_add_error(table, json, err);
    }
    table_cli_add_warnings(table, json);
    table_cli_print_json(json);
}

// A table that breaks a rule is shown all the same, except as CSV: there the
// vendor's generator refuses it.
static int show(struct show *self, const char *path) {
    struct table_cli *table = &self->table;
    int code = table_cli_read(table, path);
    if (code != CLI_OK) {
        return code;
    }
    int err = table_cli_verify(table);
    if (self->as_csv && err != 0) {
        return table_cli_refuse(table, err);
    }
    if (table->as_json) {
        print_json(table, err);
        return CLI_OK;
    }
    code = self->as_csv ? print_csv(table) : print_text(self);
    fflush(stdout);
    if (err != 0) {
        table_cli_refuse(table, err);
    }
    table_cli_print_warnings(table);
    return code;
}

static int parse_options(struct show *self, int argc, char **argv) {
    static const struct option options[] = {
            {"csv", no_argument, NULL, 'c'},
            TABLE_OPTIONS,
            {NULL, 0, NULL, 0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "qh", options, NULL)) != -1) {
        if (c == 'c') {
            self->as_csv = true;
        } else if (c == 'h') {
            self->wants_help = true;
            return CLI_OK;
        } else if (!table_cli_option(&self->table, c, argc, argv)) {
            return CLI_USAGE;
        }
    }
    if (argc - optind != 1) {
        return cli_usage(COMMAND, "give one file");
    }
    if (self->as_csv && self->table.as_json) {
        return cli_usage(COMMAND, "--csv and --json exclude each other");
    }
    return table_cli_check_options(&self->table) ? CLI_OK : CLI_USAGE;
}

int cmd_table_show(int argc, char **argv) {
    struct show self = {.as_csv = false};
    table_cli_begin(&self.table, COMMAND);
    int code = parse_options(&self, argc, argv);
    if (self.wants_help) {
        print_help();
    } else if (code == CLI_OK) {
        code = show(&self, argv[optind]);
    }
    table_cli_end(&self.table);
    return code;
}
