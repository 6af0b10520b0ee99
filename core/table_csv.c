// The partition table as CSV text, in both directions.
// SPDX-License-Identifier: MIT
//
// A file is read line by line and field by field, and each row is placed as
// soon as it is read, since its place depends on the rows before it alone.
#include <string.h>

#include "baton/error.h"
#include "table_common.h"
#include "text.h"

#define UTF8_BOM "\xEF\xBB\xBF"

enum field_index { NAME, TYPE, SUBTYPE, OFFSET, SIZE, FLAGS, FIELD_COUNT };

// What is known between two rows.
struct reader {
    const struct baton_table_options *options;
    struct baton_table_fault *fault;
    int64_t last_end; // where the next row goes at the earliest
    int last_row;     // the row that ends there; -1: the table itself
    int row;
    int field;
};

// A row as it is written, before it is placed.
struct draft {
    struct baton_partition *out;
    bool has_addr;
    int64_t addr;
    int64_t size; // negative: minus the address of the end
};

static int refuse_field(
        struct reader *self, const struct baton_text_field *field, int err) {
    struct baton_text_field rest = *field;
    char text[sizeof(self->fault->text)] = "";
    size_t len = 0;
    while (rest.points > 0 && len + 4 <= sizeof(text)) {
        len += baton_text_put(baton_text_field_next(&rest), text + len);
    }
    baton_table_fault_set(self->fault, self->row, -1, text, len);
    if (self->fault != NULL) {
        self->fault->field = self->field;
    }
    return err;
}

// The keywords a field may hold instead of a number.
struct keywords {
    const struct baton_table_keyword *(*at)(size_t index);
    uint8_t type;
};

// The size of a multiplier suffix in steps of 1024; 0 for any other letter.
static uint32_t suffix_steps(uint32_t point) {
    uint32_t lower = baton_text_lower(point);
    return lower == 'k' ? 1 : lower == 'm' ? 2 : 0;
}

// Takes the run of multiplier suffixes off the end of a field. Returns how
// many times 1024 they multiply by.
static uint32_t cut_suffixes(struct baton_text_field *field) {
    struct baton_text_field rest = *field;
    uint32_t steps = 0;
    size_t run = 0;
    while (rest.points > 0) {
        uint32_t step = suffix_steps(baton_text_field_next(&rest));
        steps = step != 0 ? steps + step : 0;
        run = step != 0 ? run + 1 : 0;
    }
    field->points -= run;
    return steps;
}

static int64_t multiply(int64_t value, uint32_t steps) {
    const int64_t magnitude_max = (int64_t)1 << 40;
    while (steps > 0 && value != 0 && value < magnitude_max
            && value > -magnitude_max) {
        value *= 1024;
        steps--;
    }
    return value;
}

static bool is_same_lower(
        const struct baton_text_field *field, const char *text) {
    struct baton_text_field rest = *field;
    bool matches = rest.points == strlen(text);
    while (matches && rest.points > 0) {
        uint32_t point = baton_text_lower(baton_text_field_next(&rest));
        matches = point == (uint8_t)*text++;
    }
    return matches;
}

static bool find_keyword(const struct keywords *keywords,
        const struct baton_text_field *field, int64_t *out) {
    const struct baton_table_keyword *k;
    for (size_t i = 0; (k = keywords->at(i)) != NULL; i++) {
        if (k->type == keywords->type && is_same_lower(field, k->name)) {
            *out = k->value;
            return true;
        }
    }
    return false;
}

// Reads a number with suffixes; `keywords` may be NULL. A suffix multiplies a
// keyword's value too, so that "appk" is app times 1024: what the vendor's
// generator makes of it.
static int read_number(struct reader *self,
        const struct baton_text_field *field, const struct keywords *keywords,
        int64_t *out) {
    struct baton_text_field body = *field;
    uint32_t steps = cut_suffixes(&body);
    int64_t value;
    bool is_found =
            baton_text_field_int(&body, &value)
            || (keywords != NULL && find_keyword(keywords, &body, &value));
    if (!is_found) {
        return refuse_field(self, field,
                keywords != NULL ? BATON_ERR_CSV_KEYWORD
                                 : BATON_ERR_CSV_NUMBER);
    }
    *out = multiply(value, steps);
    return 0;
}

// Cuts a name to its label, and notes in a hash what the label does not tell.
static int read_name(struct reader *self, const struct baton_text_field *field,
        struct baton_partition *out) {
    struct baton_text_field rest = *field;
    uint32_t hash = 0;
    size_t len = 0;
    while (rest.points > 0) {
        char bytes[4];
        size_t count = baton_text_put(baton_text_field_next(&rest), bytes);
        if (count == 0) {
            return refuse_field(self, field, BATON_ERR_CSV_TEXT);
        }
        for (size_t i = 0; i < count; i++, len++) {
            if (len < BATON_TABLE_LABEL_BYTES) {
                out->label[len] = bytes[i];
            }
            if (len >= BATON_TABLE_LABEL_BYTES || bytes[i] == 0) {
                hash = (hash ^ (uint8_t)bytes[i] ^ 0x100u) * 0x01000193u;
            }
        }
    }
    hash ^= hash >> 16;
    out->name_rest = (uint16_t)hash;
    return 0;
}

static int read_type(struct reader *self, const struct baton_text_field *field,
        struct draft *out) {
    const struct keywords keywords = {baton_table_type_at, 0};
    int64_t value;
    if (field->points == 0) {
        return refuse_field(self, field, BATON_ERR_CSV_FIELD);
    }
    int err = read_number(self, field, &keywords, &value);
    if (err != 0) {
        return err;
    }
    if (value < 0 || value > UINT8_MAX) {
        return refuse_field(self, field, BATON_ERR_CSV_RANGE);
    }
    out->out->type = (uint8_t)value;
    return 0;
}

static int read_subtype(struct reader *self,
        const struct baton_text_field *field, struct draft *out) {
    const struct keywords keywords = {baton_table_subtype_at, out->out->type};
    int64_t value = BATON_SUBTYPE_DATA_UNDEFINED;
    if (field->points == 0 && out->out->type == BATON_TYPE_APP) {
        return refuse_field(self, field, BATON_ERR_CSV_FIELD);
    }
    if (field->points != 0) {
        int err = read_number(self, field, &keywords, &value);
        if (err != 0) {
            return err;
        }
    }
    if (value < 0 || value > UINT8_MAX) {
        return refuse_field(self, field, BATON_ERR_CSV_RANGE);
    }
    out->out->subtype = (uint8_t)value;
    return 0;
}

// The rows of the boot chain lie where the options say, whatever the field
// holds. *is_fixed tells that this is one of them.
static int fix_offset(struct reader *self, const struct baton_text_field *field,
        struct draft *out, bool *is_fixed) {
    const struct baton_table_options *options = self->options;
    const struct baton_partition *row = out->out;
    bool is_recovery = row->type == BATON_TYPE_BOOTLOADER
                       && row->subtype == BATON_SUBTYPE_BOOTLOADER_RECOVERY;
    *is_fixed = is_recovery || baton_table_is_primary(row->type, row->subtype);
    if (!*is_fixed) {
        return 0;
    }
    out->has_addr = true;
    if (row->type == BATON_TYPE_TABLE) {
        out->addr = baton_table_addr(options);
        return 0;
    }
    if (options == NULL
            || !(is_recovery ? options->has_recovery : options->has_primary)) {
        return refuse_field(self, field, BATON_ERR_CSV_OFFSET);
    }
    out->addr = is_recovery ? options->recovery_bootloader_addr
                            : options->primary_bootloader_addr;
    return 0;
}

static int read_offset(struct reader *self,
        const struct baton_text_field *field, struct draft *out) {
    bool is_fixed;
    int err = fix_offset(self, field, out, &is_fixed);
    if (err != 0 || is_fixed) {
        return err;
    }
    out->has_addr = field->points != 0;
    if (!out->has_addr) {
        return 0;
    }
    return read_number(self, field, NULL, &out->addr);
}

static int read_size(struct reader *self, const struct baton_text_field *field,
        struct draft *out) {
    const struct baton_table_options *options = self->options;
    if (out->out->type == BATON_TYPE_TABLE) {
        out->size = BATON_TABLE_SECTOR_BYTES;
        return 0;
    }
    if (out->out->type == BATON_TYPE_BOOTLOADER) {
        if (options == NULL || !options->has_primary) {
            return refuse_field(self, field, BATON_ERR_CSV_OFFSET);
        }
        out->size = (int64_t)baton_table_addr(options)
                    - options->primary_bootloader_addr;
        return 0;
    }
    if (field->points == 0) {
        return refuse_field(self, field, BATON_ERR_CSV_FIELD);
    }
    return read_number(self, field, NULL, &out->size);
}

// Takes the next flag out of a field that separates them with colons. A flag
// keeps the white space around it, and is not known with it.
static struct baton_text_field next_flag(struct baton_text_field *field) {
    struct baton_text_field flag = {field->cursor, 0};
    while (field->points > 0 && baton_text_field_next(field) != ':') {
        flag.points++;
    }
    return flag;
}

static bool is_same(const struct baton_text_field *field, const char *text) {
    struct baton_text_field rest = *field;
    bool matches = rest.points == strlen(text);
    while (matches && rest.points > 0) {
        matches = baton_text_field_next(&rest) == (uint8_t)*text++;
    }
    return matches;
}

static int read_flags(struct reader *self, const struct baton_text_field *field,
        struct draft *out) {
    struct baton_text_field rest = *field;
    while (rest.points > 0) {
        struct baton_text_field flag = next_flag(&rest);
        if (is_same(&flag, "encrypted")) {
            out->out->flags |= BATON_PARTITION_ENCRYPTED;
        } else if (is_same(&flag, "readonly")) {
            out->out->flags |= BATON_PARTITION_READONLY;
        } else if (flag.points > 0) {
            return refuse_field(self, &flag, BATON_ERR_CSV_FLAG);
        }
    }
    return 0;
}

static int read_fields(struct reader *self, struct baton_text_cursor *line,
        struct draft *out) {
    static int (*const readers[FIELD_COUNT])(struct reader *,
            const struct baton_text_field *, struct draft *) = {
            NULL, read_type, read_subtype, read_offset, read_size, read_flags};
    struct baton_text_field field;
    baton_text_field(line, &field);
    self->field = NAME;
    int err = read_name(self, &field, out->out);
    for (int i = TYPE; i < FIELD_COUNT && err == 0; i++) {
        baton_text_field(line, &field);
        self->field = i;
        err = readers[i](self, &field, out);
    }
    return err;
}

// Gives a row its address and size, after all rows before it.
static int place(struct reader *self, struct draft *draft) {
    struct baton_partition *row = draft->out;
    bool is_placed = !baton_table_is_primary(row->type, row->subtype);
    int err = 0;
    if (is_placed && !draft->has_addr) {
        int64_t step = baton_table_type_step(row->type);
        draft->addr = (self->last_end + step - 1) & -step;
    }
    if (is_placed && draft->size < 0) {
        draft->size = -draft->size - draft->addr;
    }
    bool has_bad_addr = draft->addr < 0 || draft->addr > UINT32_MAX;
    if (is_placed && draft->addr < self->last_end) {
        err = BATON_ERR_TABLE_OVERLAP;
    } else if (has_bad_addr || draft->size < 0 || draft->size > UINT32_MAX) {
        err = BATON_ERR_CSV_RANGE;
    }
    row->addr = (uint32_t)draft->addr;
    row->size_bytes = (uint32_t)draft->size;
    if (err != 0) {
        int other_row = err == BATON_ERR_TABLE_OVERLAP ? self->last_row : -1;
        baton_table_fault_set(self->fault, self->row, other_row, row->label,
                strlen(row->label));
        if (self->fault != NULL && err == BATON_ERR_CSV_RANGE) {
            self->fault->field = has_bad_addr ? OFFSET : SIZE;
        }
        return err;
    }
    if (is_placed) {
        self->last_end = draft->addr + draft->size;
        self->last_row = self->row;
    }
    return 0;
}

static int read_row(struct reader *self, struct baton_text_cursor *line,
        struct baton_partition *out) {
    struct draft draft = {.out = out};
    memset(out, 0, sizeof(*out));
    int err = read_fields(self, line, &draft);
    return err != 0 ? err : place(self, &draft);
}

// Moves to the first character that counts. *is_row is false for a blank line
// and a comment; a line that begins with a variable nobody knows is refused
// even where it is one of those.
static int begin_line(
        struct reader *self, struct baton_text_cursor *line, bool *is_row) {
    struct baton_text_cursor ahead = *line;
    uint32_t point = baton_text_next(&ahead);
    if (point == '$') {
        uint32_t letter = baton_text_next(&ahead);
        if ((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z')
                || letter == '_') {
            struct baton_text_field field;
            baton_text_field(line, &field);
            return refuse_field(self, &field, BATON_ERR_CSV_VARIABLE);
        }
    }
    while (baton_text_is_space(point)) {
        *line = ahead;
        point = baton_text_next(&ahead);
    }
    *is_row = point != '#' && point != BATON_TEXT_END;
    return 0;
}

static int read_line(struct reader *self, const char *text, size_t len,
        struct baton_partition *rows, size_t capacity, size_t *count) {
    struct baton_text_cursor line;
    bool is_row = false;
    baton_text_begin(&line, text, len, self->options);
    self->row = (int)*count;
    self->field = NAME;
    int err = begin_line(self, &line, &is_row);
    if (err != 0 || !is_row) {
        return err;
    }
    if (*count == capacity) {
        baton_table_fault_set(self->fault, self->row, -1, "", 0);
        return BATON_ERR_NOSPC;
    }
    err = read_row(self, &line, &rows[*count]);
    *count += err == 0 ? 1 : 0;
    return err;
}

static void set_line(struct baton_table_fault *fault, uint32_t line) {
    if (fault != NULL) {
        fault->line = line;
    }
}

// The number of the line that a place in the text lies on.
static uint32_t line_at(const char *text, size_t len) {
    uint32_t line = 1;
    while (len > 0) {
        size_t next;
        size_t line_len = baton_text_line(text, len, &next);
        line += line_len < len ? 1 : 0;
        text += next;
        len -= next;
    }
    return line;
}

int baton_table_parse_csv(const char *text, size_t len,
        const struct baton_table_options *options, struct baton_partition *rows,
        size_t capacity, size_t *count, struct baton_table_fault *fault) {
    struct reader reader = {.options = options, .fault = fault, .last_row = -1};
    reader.last_end = (int64_t)baton_table_first_free(options);
    *count = 0;
    baton_table_fault_clear(fault);
    size_t valid_len = baton_text_utf8_len(text, len);
    if (valid_len < len) {
        set_line(fault, line_at(text, valid_len));
        return BATON_ERR_CSV_TEXT;
    }
    size_t at = 0;
    if (len >= 3 && memcmp(text, UTF8_BOM, 3) == 0) {
        at = 3;
    }
    for (uint32_t line = 1; at < len; line++) {
        size_t next;
        size_t line_len = baton_text_line(text + at, len - at, &next);
        int err =
                read_line(&reader, text + at, line_len, rows, capacity, count);
        if (err != 0) {
            set_line(fault, line);
            return err;
        }
        at += next;
    }
    return 0;
}

// Text that grows in the caller's buffer, one byte kept for the terminator.
struct writer {
    char *out;
    size_t capacity;
    size_t len;
    bool is_full;
};

static void put_text(struct writer *self, const char *text, size_t len) {
    if (self->is_full || len >= self->capacity - self->len) {
        self->is_full = true;
        return;
    }
    memcpy(self->out + self->len, text, len);
    self->len += len;
}

static void put_string(struct writer *self, const char *text) {
    put_text(self, text, strlen(text));
}

static void put_number(struct writer *self, uint32_t value, uint32_t base) {
    char digits[10];
    size_t at = sizeof(digits);
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    put_text(self, digits + at, sizeof(digits) - at);
}

static void put_hex(struct writer *self, uint32_t value) {
    put_string(self, "0x");
    put_number(self, value, 16);
}

static void put_keyword(
        struct writer *self, const char *keyword, uint8_t value) {
    if (keyword != NULL) {
        put_string(self, keyword);
    } else {
        put_number(self, value, 10);
    }
}

static void put_size(struct writer *self, uint32_t size_bytes) {
    if (size_bytes % 0x100000u == 0) {
        put_number(self, size_bytes / 0x100000u, 10);
        put_string(self, "M");
    } else if (size_bytes % 0x400u == 0) {
        put_number(self, size_bytes / 0x400u, 10);
        put_string(self, "K");
    } else {
        put_hex(self, size_bytes);
    }
}

static void put_flags(struct writer *self, uint32_t flags) {
    bool is_encrypted = (flags & BATON_PARTITION_ENCRYPTED) != 0;
    bool is_readonly = (flags & BATON_PARTITION_READONLY) != 0;
    put_string(self, is_encrypted ? "encrypted" : "");
    put_string(self, is_encrypted && is_readonly ? ":" : "");
    put_string(self, is_readonly ? "readonly" : "");
}

static void put_row(struct writer *self, const struct baton_partition *row) {
    put_string(self, row->label);
    put_string(self, ",");
    put_keyword(self, baton_table_type_name(row->type), row->type);
    put_string(self, ",");
    put_keyword(self, baton_table_subtype_name(row->type, row->subtype),
            row->subtype);
    put_string(self, ",");
    put_hex(self, row->addr);
    put_string(self, ",");
    put_size(self, row->size_bytes);
    put_string(self, ",");
    put_flags(self, row->flags);
    put_string(self, "\n");
}

int baton_table_format_csv(const struct baton_partition *rows, size_t count,
        char *out, size_t capacity, size_t *len) {
    struct writer writer = {out, capacity, 0, capacity == 0};
    put_string(&writer, "# ESP-IDF Partition Table\n"
                        "# Name, Type, SubType, Offset, Size, Flags\n");
    for (size_t i = 0; i < count; i++) {
        put_row(&writer, &rows[i]);
    }
    *len = writer.len;
    if (capacity != 0) {
        out[writer.len] = 0;
    }
    return writer.is_full ? BATON_ERR_NOSPC : 0;
}
