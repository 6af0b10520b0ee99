// Text as the vendor's table generator reads it: lines, fields, numbers.
// SPDX-License-Identifier: MIT
#include "text.h"

#include <string.h>

#include "baton/table.h"

#define POINT_MAX     0x10FFFFu
#define POINT_INVALID 0x110000u // plus the byte
#define KELVIN_SIGN   0x212Au

#define INT_MAGNITUDE_MAX ((int64_t)1 << 40)

// The length of the sequence a byte begins; 0 for one that begins none.
static size_t sequence_len(uint8_t lead) {
    if (lead < 0x80) {
        return 1;
    }
    if (lead >= 0xC2 && lead <= 0xDF) {
        return 2;
    }
    if (lead >= 0xE0 && lead <= 0xEF) {
        return 3;
    }
    return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

static uint32_t lead_bits(uint8_t lead, size_t sequence) {
    return sequence == 1 ? lead : lead & (0xFFu >> (sequence + 1));
}

// True for a point that may stand in a sequence of this length: neither
// overlong nor a surrogate.
static bool is_well_formed(uint32_t point, size_t sequence) {
    static const uint32_t first[] = {0, 0, 0x80, 0x800, 0x10000};
    bool is_surrogate = point >= 0xD800 && point <= 0xDFFF;
    return sequence != 0 && point >= first[sequence] && point <= POINT_MAX
           && !is_surrogate;
}

// The length of the well-formed sequence the text begins with; 0 for none.
static size_t well_formed_len(const char *text, size_t len) {
    size_t sequence = sequence_len((uint8_t)text[0]);
    if (sequence > len) {
        return 0;
    }
    uint32_t point = lead_bits((uint8_t)text[0], sequence);
    for (size_t k = 1; k < sequence; k++) {
        uint8_t byte = (uint8_t)text[k];
        if ((byte & 0xC0) != 0x80) {
            return 0;
        }
        point = point << 6 | (byte & 0x3F);
    }
    return is_well_formed(point, sequence) ? sequence : 0;
}

size_t baton_text_utf8_len(const char *text, size_t len) {
    size_t at = 0;
    while (at < len) {
        size_t sequence = well_formed_len(text + at, len - at);
        if (sequence == 0) {
            break;
        }
        at += sequence;
    }
    return at;
}

size_t baton_text_put(uint32_t point, char out[4]) {
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point > POINT_MAX) {
        return 0;
    }
    size_t sequence = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t k = sequence - 1; k > 0; k--) {
        out[k] = (char)(0x80 | (point & 0x3F));
        point >>= 6;
    }
    out[0] = (char)((0xF00u >> sequence) | point);
    return sequence;
}

bool baton_text_is_space(uint32_t point) {
    static const uint16_t others[] = {
            0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000};
    if (point <= 0x20) {
        return point == 0x20 || (point >= 0x09 && point <= 0x0D)
               || (point >= 0x1C && point <= 0x1F);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (point == others[i]) {
            return true;
        }
    }
    return point >= 0x2000 && point <= 0x200A;
}

uint32_t baton_text_lower(uint32_t point) {
    if (point == KELVIN_SIGN) {
        return 'k';
    }
    return point >= 'A' && point <= 'Z' ? point + ('a' - 'A') : point;
}

// The value of a decimal digit of any script but ASCII; -1 for anything else.
static int script_digit(uint32_t point) {
    // Code points of the zeros, nine more digits following each (Unicode 14).
    static const uint32_t zeros[] = {0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66,
            0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50, 0xED0,
            0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80,
            0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900,
            0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x104A0, 0x10D30, 0x11066,
            0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650,
            0x116C0, 0x11730, 0x118E0, 0x11950, 0x11C50, 0x11D50, 0x11DA0,
            0x16A60, 0x16AC0, 0x16B50, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC,
            0x1D7F6, 0x1E140, 0x1E2F0, 0x1E950, 0x1FBF0};
    for (size_t i = 0; i < sizeof(zeros) / sizeof(zeros[0]); i++) {
        if (point >= zeros[i] && point <= zeros[i] + 9) {
            return (int)(point - zeros[i]);
        }
    }
    return -1;
}

// The length of the line end at this place; 0 where there is none.
static size_t line_end_len(const char *text, size_t len) {
    uint8_t byte = (uint8_t)text[0];
    if (byte == '\r' && len > 1 && text[1] == '\n') {
        return 2;
    }
    if ((byte >= 0x0A && byte <= 0x0D) || (byte >= 0x1C && byte <= 0x1E)) {
        return 1;
    }
    if (len > 1 && memcmp(text, "\xC2\x85", 2) == 0) {
        return 2;
    }
    if (len > 2
            && (memcmp(text, "\xE2\x80\xA8", 3) == 0
                    || memcmp(text, "\xE2\x80\xA9", 3) == 0)) {
        return 3;
    }
    return 0;
}

size_t baton_text_line(const char *text, size_t len, size_t *next) {
    for (size_t i = 0; i < len; i++) {
        size_t end_len = line_end_len(text + i, len - i);
        if (end_len != 0) {
            *next = i + end_len;
            return i;
        }
    }
    *next = len;
    return len;
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '_';
}

// Finds the name at a '$': $NAME or ${ANYTHING}. Returns the length of the
// whole, 0 where it is neither.
static size_t find_variable(
        const char *at, const char *end, const char **name, size_t *name_len) {
    const char *p = at + 1;
    if (p < end && *p == '{') {
        const char *close = memchr(p, '}', (size_t)(end - p));
        *name = p + 1;
        *name_len = close != NULL ? (size_t)(close - p) - 1 : 0;
        return close != NULL ? (size_t)(close + 1 - at) : 0;
    }
    while (p < end && is_word(*p)) {
        p++;
    }
    *name = at + 1;
    *name_len = (size_t)(p - at) - 1;
    return *name_len != 0 ? (size_t)(p - at) : 0;
}

static const char *get_variable(const struct baton_table_options *options,
        const char *name, size_t name_len) {
    if (options == NULL || options->variable == NULL) {
        return NULL;
    }
    return options->variable(options->context, name, name_len);
}

// At a '$': goes on in the variable's value, or marks the text as literal. A
// value is not searched for further variables, nor is an unknown one's name.
static void expand(struct baton_text_cursor *self) {
    const char *name;
    size_t name_len;
    size_t len = find_variable(self->at, self->end, &name, &name_len);
    const char *value =
            len != 0 ? get_variable(self->options, name, name_len) : NULL;
    if (value == NULL) {
        self->literal_end = self->at + (len != 0 ? len : 1);
        return;
    }
    self->at += len;
    self->value = value;
    self->value_end = value + strlen(value);
}

static int next_byte(struct baton_text_cursor *self) {
    for (;;) {
        if (self->value < self->value_end) {
            return (uint8_t)*self->value++;
        }
        if (self->at >= self->end) {
            return -1;
        }
        if (*self->at != '$' || self->at < self->literal_end) {
            return (uint8_t)*self->at++;
        }
        expand(self);
    }
}

void baton_text_begin(struct baton_text_cursor *self, const char *line,
        size_t len, const struct baton_table_options *options) {
    self->at = line;
    self->end = line + len;
    self->literal_end = line;
    self->value = line;
    self->value_end = line;
    self->options = options;
}

uint32_t baton_text_next(struct baton_text_cursor *self) {
    int lead = next_byte(self);
    if (lead < 0x80) {
        return lead < 0 ? BATON_TEXT_END : (uint32_t)lead;
    }
    size_t sequence = sequence_len((uint8_t)lead);
    uint32_t point = lead_bits((uint8_t)lead, sequence);
    struct baton_text_cursor ahead = *self;
    for (size_t k = 1; k < sequence; k++) {
        int byte = next_byte(&ahead);
        if (byte < 0 || (byte & 0xC0) != 0x80) {
            return POINT_INVALID + (uint32_t)lead;
        }
        point = point << 6 | ((uint32_t)byte & 0x3F);
    }
    if (!is_well_formed(point, sequence)) {
        return POINT_INVALID + (uint32_t)lead;
    }
    *self = ahead;
    return point;
}

void baton_text_field(
        struct baton_text_cursor *self, struct baton_text_field *out) {
    size_t points = 0;
    out->cursor = *self;
    out->points = 0;
    for (;;) {
        uint32_t point = baton_text_next(self);
        if (point == BATON_TEXT_END || point == ',') {
            return;
        }
        points++;
        if (!baton_text_is_space(point)) {
            out->points = points;
        } else if (out->points == 0) {
            out->cursor = *self;
            points = 0;
        }
    }
}

uint32_t baton_text_field_next(struct baton_text_field *self) {
    if (self->points == 0) {
        return BATON_TEXT_END;
    }
    self->points--;
    return baton_text_next(&self->cursor);
}

// The next character of a number: digits of every script as ASCII, other white
// space as a space, what cannot stand in a number as '?'.
static uint32_t next_in_int(struct baton_text_field *field) {
    uint32_t point = baton_text_field_next(field);
    if (point < 0x7F || point == BATON_TEXT_END) {
        return point;
    }
    if (baton_text_is_space(point)) {
        return ' ';
    }
    int digit = script_digit(point);
    return digit >= 0 ? '0' + (uint32_t)digit : '?';
}

static uint32_t digit_value(uint32_t c) {
    uint32_t lower = baton_text_lower(c);
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return lower >= 'a' && lower <= 'z' ? lower - 'a' + 10 : UINT32_MAX;
}

// The base that a prefix stands for, 10 for none; `c` is the first character.
static uint32_t read_base(struct baton_text_field *field, uint32_t *c) {
    struct baton_text_field ahead = *field;
    if (*c != '0') {
        return 10;
    }
    uint32_t letter = baton_text_lower(next_in_int(&ahead));
    uint32_t base = letter == 'x' ? 16 : letter == 'o' ? 8 : 2;
    if (base == 2 && letter != 'b') {
        return 10;
    }
    *field = ahead;
    *c = next_in_int(field);
    if (*c == '_') {
        *c = next_in_int(field);
    }
    return base;
}

// Reads digits with single underscores between them; `c` is the first
// character, then the one behind the last digit.
static bool read_digits(struct baton_text_field *field, uint32_t base,
        uint32_t *c, int64_t *out) {
    *out = 0;
    if (digit_value(*c) >= base) {
        return false;
    }
    for (;;) {
        *out = *out * base + digit_value(*c);
        if (*out > INT_MAGNITUDE_MAX) {
            *out = INT_MAGNITUDE_MAX;
        }
        *c = next_in_int(field);
        bool has_underscore = *c == '_';
        if (has_underscore) {
            *c = next_in_int(field);
        }
        if (digit_value(*c) >= base) {
            return !has_underscore;
        }
    }
}

bool baton_text_field_int(const struct baton_text_field *self, int64_t *out) {
    struct baton_text_field field = *self;
    uint32_t c = next_in_int(&field);
    bool is_negative = c == '-';
    if (c == '-' || c == '+') {
        c = next_in_int(&field);
    }
    bool has_zero = c == '0';
    uint32_t base = read_base(&field, &c);
    int64_t magnitude;
    if (!read_digits(&field, base, &c, &magnitude)) {
        return false;
    }
    // A decimal number with a leading zero is refused unless it is zero.
    if (base == 10 && has_zero && magnitude != 0) {
        return false;
    }
    while (c == ' ' || (c >= '\t' && c <= '\r')) {
        c = next_in_int(&field);
    }
    *out = is_negative ? -magnitude : magnitude;
    return c == BATON_TEXT_END;
}
