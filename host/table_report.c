// What the table subcommands say: errors, warnings, rows as JSON.
// SPDX-License-Identifier: MIT
#include <stdarg.h>
#include <string.h>

#include "baton/error.h"
#include "baton/image.h"
#include "table_cli.h"

#define LABEL_BYTES TABLE_CLI_CLEAN_BYTES(BATON_TABLE_LABEL_BYTES)
#define NOTE_BYTES  320u

// Takes the next code point off the text; 0xFFFD for what is none.
static uint32_t next_point(const uint8_t **text) {
    static const uint32_t first[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *p = *text;
    size_t sequence = p[0] < 0x80                    ? 1
                      : p[0] >= 0xC2 && p[0] <= 0xDF ? 2
                      : p[0] >= 0xE0 && p[0] <= 0xEF ? 3
                      : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4
                                                     : 0;
    uint32_t point = sequence > 1 ? p[0] & (0xFFu >> (sequence + 1)) : p[0];
    *text = p + 1;
    for (size_t k = 1; k < sequence; k++) {
        if ((p[k] & 0xC0) != 0x80) {
            return 0xFFFD;
        }
        point = point << 6 | (p[k] & 0x3Fu);
    }
    if (sequence == 0 || point < first[sequence] || point > 0x10FFFF
            || (point >= 0xD800 && point <= 0xDFFF)) {
        return 0xFFFD;
    }
    *text = p + sequence;
    return point;
}

const char *table_cli_clean(
        const char *text, char *out, size_t capacity, size_t *columns) {
    const uint8_t *at = (const uint8_t *)text;
    size_t len = 0;
    size_t points = 0;
    while (*at != 0) {
        const uint8_t *from = at;
        uint32_t point = next_point(&at);
        size_t point_len = (size_t)(at - from);
        const char *bytes = (const char *)from;
        // Control characters could play tricks with a terminal.
        if (point == 0xFFFD || point < 0x20
                || (point >= 0x7F && point < 0xA0)) {
            bytes = "\xEF\xBF\xBD";
            point_len = 3;
        }
        if (len + point_len >= capacity) {
            break;
        }
        memcpy(out + len, bytes, point_len);
        len += point_len;
        points++;
    }
    out[len] = 0;
    if (columns != NULL) {
        *columns = points;
    }
    return out;
}

static const char *row_label(
        const struct table_cli *self, int row, char out[LABEL_BYTES]) {
    return table_cli_clean(self->rows[row].label, out, LABEL_BYTES, NULL);
}

// "'ota_1' (line 4)", or "(row 3)" where there are no lines.
static const char *row_name(
        const struct table_cli *self, int row, char out[NOTE_BYTES]) {
    char label[LABEL_BYTES];
    uint32_t line = table_cli_line(self, row);
    snprintf(out, NOTE_BYTES, "'%s' (%s %u)", row_label(self, row, label),
            line != 0 ? "line" : "row",
            line != 0 ? (unsigned)line : (unsigned)row + 1);
    return out;
}

static uint64_t row_end(const struct table_cli *self, int row) {
    return (uint64_t)self->rows[row].addr + self->rows[row].size_bytes;
}

static void describe_overlap(const struct table_cli *self, char *out) {
    const struct baton_table_fault *fault = &self->fault;
    char other[NOTE_BYTES];
    unsigned addr = self->rows[fault->row].addr;
    if (fault->other_row < 0) {
        snprintf(out, NOTE_BYTES,
                "it begins at 0x%x, and the partition table ends at 0x%llx",
                addr, (unsigned long long)self->options.table_addr + 0x1000);
        return;
    }
    snprintf(out, NOTE_BYTES, "it begins at 0x%x, and %.200s ends at 0x%llx",
            addr, row_name(self, fault->other_row, other),
            (unsigned long long)row_end(self, fault->other_row));
}

static void describe_alignment(const struct table_cli *self, char *out) {
    const struct baton_partition *row = &self->rows[self->fault.row];
    bool is_app = row->type == BATON_TYPE_APP;
    unsigned step = is_app ? 0x10000 : 0x1000;
    unsigned size_step = self->options.secure_boot_v1 ? 0x10000 : 0x1000;
    if (row->addr % step != 0) {
        snprintf(out, NOTE_BYTES, "its offset 0x%x is no multiple of 0x%x",
                (unsigned)row->addr, step);
    } else {
        snprintf(out, NOTE_BYTES, "its size 0x%x is no multiple of 0x%x",
                (unsigned)row->size_bytes, size_step);
    }
}

static void describe_otadata(const struct table_cli *self, char *out) {
    const struct baton_table_fault *fault = &self->fault;
    char other[NOTE_BYTES];
    if (fault->other_row >= 0) {
        snprintf(out, NOTE_BYTES, "the first one is %.200s",
                row_name(self, fault->other_row, other));
    } else {
        snprintf(out, NOTE_BYTES, "its size is 0x%x",
                (unsigned)self->rows[fault->row].size_bytes);
    }
}

// What a file without a table is, where that can be told.
static void describe_file(const struct table_cli *self, char *out) {
    int kind = baton_image_identify(self->data, self->len);
    if (kind == 0 || kind == BATON_ERR_IMAGE_DESCRIPTOR) {
        snprintf(out, NOTE_BYTES, "this is an application or bootloader image");
    } else if (kind != BATON_ERR_IMAGE_MAGIC && kind != BATON_ERR_IS_TEXT) {
        snprintf(out, NOTE_BYTES, "%s", baton_strerror(kind));
    }
}

// The keywords that the field may hold.
static void describe_keywords(const struct table_cli *self, char *out) {
    const struct baton_table_fault *fault = &self->fault;
    bool is_type = fault->field == 1;
    uint8_t type = self->rows[fault->row].type;
    const char *type_name = baton_table_type_name(type);
    size_t len = 0;
    if (!is_type && type_name == NULL) {
        snprintf(out, NOTE_BYTES, "type 0x%02x has no keywords", type);
        return;
    }
    for (unsigned value = 0; value < 0x100 && len < NOTE_BYTES; value++) {
        const char *name =
                is_type ? baton_table_type_name((uint8_t)value)
                        : baton_table_subtype_name(type, (uint8_t)value);
        if (name == NULL) {
            continue;
        }
        const char *lead = len > 0 ? "" : is_type ? "the types" : type_name;
        const char *link = len > 0 ? "," : is_type ? " are" : " has";
        len += (size_t)snprintf(
                out + len, NOTE_BYTES - len, "%s%s %s", lead, link, name);
    }
}

// One sentence on the values behind an error; empty where there are none.
static void describe(const struct table_cli *self, int err, char *out) {
    const struct baton_table_fault *fault = &self->fault;
    char other[NOTE_BYTES];
    out[0] = 0;
    switch (err) {
    case BATON_ERR_TABLE_OVERLAP:
        describe_overlap(self, out);
        break;
    case BATON_ERR_TABLE_ALIGN:
        describe_alignment(self, out);
        break;
    case BATON_ERR_TABLE_OTADATA:
        describe_otadata(self, out);
        break;
    case BATON_ERR_TABLE_DUPLICATE:
        snprintf(out, NOTE_BYTES, "the other is %.200s",
                row_name(self, fault->other_row, other));
        break;
    case BATON_ERR_TABLE_NVS:
        snprintf(out, NOTE_BYTES, "its size is 0x%x",
                (unsigned)self->rows[fault->row].size_bytes);
        break;
    case BATON_ERR_TABLE_FLASH_SIZE:
        snprintf(out, NOTE_BYTES, "it ends at 0x%llx, the flash at 0x%x",
                (unsigned long long)row_end(self, fault->row),
                (unsigned)self->options.flash_bytes);
        break;
    case BATON_ERR_CSV_KEYWORD:
        describe_keywords(self, out);
        break;
    case BATON_ERR_TABLE_ABSENT:
        describe_file(self, out);
        break;
    default:
        break;
    }
}

static uint32_t fault_line(const struct table_cli *self) {
    const struct baton_table_fault *fault = &self->fault;
    return fault->line != 0 ? fault->line : table_cli_line(self, fault->row);
}

static bool is_row_error(const struct table_cli *self, int err) {
    return self->fault.row >= 0 && self->rows != NULL
           && err != BATON_ERR_TABLE_ABSENT && err != BATON_ERR_CRYPTO
           && err != BATON_ERR_IO && err != BATON_ERR_NOMEM;
}

static const char *const field_names[] = {
        "name", "type", "subtype", "offset", "size", "flags"};

static void print_error(const struct table_cli *self, int err) {
    const struct baton_table_fault *fault = &self->fault;
    char text[TABLE_CLI_CLEAN_BYTES(sizeof(fault->text))];
    char detail[NOTE_BYTES];
    uint32_t line = fault_line(self);
    fprintf(stderr, "%s: %s: ", self->command, self->path);
    if (self->format == TABLE_FORMAT_FLASH) {
        fprintf(stderr, "the table at 0x%zx: ", self->table_off);
    }
    if (line != 0) {
        fprintf(stderr, "line %u: ", (unsigned)line);
    }
    if (fault->field >= 0) {
        fprintf(stderr, "%s: ", field_names[fault->field]);
    } else if (line == 0 && is_row_error(self, err)) {
        fprintf(stderr, "row %d: ", fault->row + 1);
    }
    if (fault->text[0] != 0 || fault->field > 0) {
        fprintf(stderr, "'%s': ",
                table_cli_clean(fault->text, text, sizeof(text), NULL));
    }
    fprintf(stderr, "%s (%s)\n", baton_strerror(err), baton_error_name(err));
    describe(self, err, detail);
    if (detail[0] != 0) {
        fprintf(stderr, "  %s\n", detail);
    }
    if (baton_error_hint(err)[0] != 0) {
        fprintf(stderr, "  next: %s\n", baton_error_hint(err));
    }
}

void table_cli_add_error(const struct table_cli *self, cJSON *json, int err) {
    const struct baton_table_fault *fault = &self->fault;
    char text[TABLE_CLI_CLEAN_BYTES(sizeof(fault->text))];
    char detail[NOTE_BYTES];
    cJSON *error = cJSON_AddObjectToObject(json, "error");
    uint32_t line = fault_line(self);
    describe(self, err, detail);
    cJSON_AddStringToObject(error, "code", baton_error_name(err));
    cJSON_AddNumberToObject(error, "number", err);
    cJSON_AddStringToObject(error, "message", baton_strerror(err));
    cJSON_AddStringToObject(error, "detail", detail);
    cJSON_AddStringToObject(error, "next", baton_error_hint(err));
    if (line != 0) {
        cJSON_AddNumberToObject(error, "line", line);
    }
    if (fault->field >= 0) {
        cJSON_AddStringToObject(error, "field", field_names[fault->field]);
    }
    if (is_row_error(self, err)) {
        cJSON_AddNumberToObject(error, "row", fault->row + 1);
    }
    if (is_row_error(self, err) && fault->other_row >= 0) {
        cJSON_AddNumberToObject(error, "other_row", fault->other_row + 1);
    }
    cJSON_AddStringToObject(error, "text",
            table_cli_clean(fault->text, text, sizeof(text), NULL));
}

int table_cli_refuse(const struct table_cli *self, int err) {
    if (!self->as_json) {
        print_error(self, err);
        return CLI_REFUSED;
    }
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "file", self->path);
    cJSON_AddBoolToObject(json, "ok", false);
    table_cli_add_error(self, json, err);
    table_cli_print_json(json);
    return CLI_REFUSED;
}

// Where warnings go: an array, or standard error.
struct warnings {
    const struct table_cli *table;
    cJSON *array;
};

__attribute__((format(printf, 2, 3))) static void warn(
        const struct warnings *self, const char *format, ...) {
    char text[2 * NOTE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (self->array != NULL) {
        cJSON_AddItemToArray(self->array, cJSON_CreateString(text));
    } else {
        fprintf(stderr, "%s: warning: %s\n", self->table->command, text);
    }
}

// A name that was cut: the row with the same label, if there is one.
static int find_same_label(const struct table_cli *self, int row) {
    for (int i = 0; i < row; i++) {
        if (memcmp(self->rows[i].label, self->rows[row].label,
                    BATON_TABLE_LABEL_BYTES)
                == 0) {
            return i;
        }
    }
    return -1;
}

static bool is_clean(const char *label) {
    char text[LABEL_BYTES];
    return strcmp(label, table_cli_clean(label, text, sizeof(text), NULL)) == 0;
}

static void warn_of_name(const struct warnings *self, int index) {
    const struct table_cli *table = self->table;
    const struct baton_partition *row = &table->rows[index];
    char name[NOTE_BYTES];
    char other[NOTE_BYTES];
    int same = find_same_label(table, index);
    row_name(table, index, name);
    if (row->name_rest != 0) {
        warn(self, "%s is cut: a name has 16 bytes", name);
        if (same >= 0) {
            warn(self, "%s has the same name as %s when cut", name,
                    row_name(table, same, other));
        }
    }
    if (!is_clean(row->label)) {
        warn(self, "%s has a name with unprintable characters", name);
    }
    if (baton_table_is_misnamed(row)) {
        warn(self,
                "%s has the name of another type or subtype than its own "
                "(0x%02x, 0x%02x): a mistake?",
                name, row->type, row->subtype);
    }
}

static void warn_of_row(const struct warnings *self, int index) {
    const struct baton_partition *row = &self->table->rows[index];
    uint32_t unknown =
            row->flags
            & ~(BATON_PARTITION_ENCRYPTED | BATON_PARTITION_READONLY);
    char name[NOTE_BYTES];
    warn_of_name(self, index);
    if (unknown != 0) {
        warn(self, "%s has unknown flags 0x%08x: a newer format?",
                row_name(self->table, index, name), (unsigned)unknown);
    }
    if (row->size_bytes == 0) {
        warn(self, "%s is empty", row_name(self->table, index, name));
    }
}

static void find_warnings(const struct warnings *self) {
    const struct table_cli *table = self->table;
    bool is_binary = table->format == TABLE_FORMAT_BINARY
                     || table->format == TABLE_FORMAT_FLASH;
    for (size_t i = 0; i < table->count; i++) {
        warn_of_row(self, (int)i);
    }
    if (table->count == 0) {
        warn(self, "the table has no partitions");
    }
    if (is_binary && !table->has_md5_row && !table->options.no_md5) {
        warn(self, "the table has no MD5 row: applications built with default "
                   "settings will not read it");
    }
}

void table_cli_add_warnings(const struct table_cli *self, cJSON *json) {
    struct warnings warnings = {self, cJSON_AddArrayToObject(json, "warnings")};
    find_warnings(&warnings);
}

void table_cli_print_warnings(const struct table_cli *self) {
    struct warnings warnings = {self, NULL};
    if (!self->is_quiet) {
        find_warnings(&warnings);
    }
}

static void add_keyword(cJSON *json, const char *key, const char *keyword) {
    if (keyword != NULL) {
        cJSON_AddStringToObject(json, key, keyword);
    } else {
        cJSON_AddNullToObject(json, key);
    }
}

static void add_flags(cJSON *json, uint32_t flags) {
    cJSON *array = cJSON_AddArrayToObject(json, "flags");
    if ((flags & BATON_PARTITION_ENCRYPTED) != 0) {
        cJSON_AddItemToArray(array, cJSON_CreateString("encrypted"));
    }
    if ((flags & BATON_PARTITION_READONLY) != 0) {
        cJSON_AddItemToArray(array, cJSON_CreateString("readonly"));
    }
    cJSON_AddNumberToObject(json, "flags_raw", flags);
}

static cJSON *row_json(const struct table_cli *self, int index) {
    const struct baton_partition *row = &self->rows[index];
    cJSON *json = cJSON_CreateObject();
    char label[LABEL_BYTES];
    cJSON_AddStringToObject(json, "name", row_label(self, index, label));
    add_keyword(json, "type", baton_table_type_name(row->type));
    cJSON_AddNumberToObject(json, "type_number", row->type);
    add_keyword(
            json, "subtype", baton_table_subtype_name(row->type, row->subtype));
    cJSON_AddNumberToObject(json, "subtype_number", row->subtype);
    cJSON_AddNumberToObject(json, "offset", row->addr);
    cJSON_AddNumberToObject(json, "size", row->size_bytes);
    cJSON_AddNumberToObject(json, "end", (double)row_end(self, index));
    add_flags(json, row->flags);
    int slot = table_cli_slot(row);
    if (slot >= 0) {
        cJSON_AddNumberToObject(json, "slot", slot);
    }
    return json;
}

int table_cli_slot(const struct baton_partition *row) {
    bool is_slot =
            row->type == BATON_TYPE_APP && (row->subtype & 0xF0u) == 0x10u;
    return is_slot ? row->subtype & 0x0F : -1;
}

void table_cli_add_rows(const struct table_cli *self, cJSON *json) {
    const struct baton_partition *otadata = baton_table_find(
            self->rows, self->count, BATON_TYPE_DATA, BATON_SUBTYPE_DATA_OTA);
    cJSON_AddNumberToObject(json, "table_offset", self->options.table_addr);
    cJSON *rows = cJSON_AddArrayToObject(json, "partitions");
    for (size_t i = 0; i < self->count; i++) {
        cJSON_AddItemToArray(rows, row_json(self, (int)i));
    }
    cJSON_AddNumberToObject(
            json, "slots", baton_table_slot_count(self->rows, self->count));
    cJSON_AddBoolToObject(json, "otadata", otadata != NULL);
    cJSON_AddNumberToObject(json, "end", (double)table_cli_end_addr(self));
}

void table_cli_print_summary(const struct table_cli *self) {
    unsigned slots = baton_table_slot_count(self->rows, self->count);
    printf("%zu partition%s, %u slot%s, ending at 0x%llx\n", self->count,
            self->count == 1 ? "" : "s", slots, slots == 1 ? "" : "s",
            (unsigned long long)table_cli_end_addr(self));
}

void table_cli_print_json(cJSON *json) {
    char *text = cJSON_Print(json);
    if (text != NULL) {
        puts(text);
    }
    cJSON_free(text);
    cJSON_Delete(json);
}
