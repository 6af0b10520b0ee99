// A strict, bounded JSON reader that works in the text's own memory.
// SPDX-License-Identifier: MIT
#include "baton/json.h"

#include <string.h>

#include "baton/error.h"
#include "text.h"

// ---- Checking a document --------------------------------------------------

struct reader {
    const char *text;
    const char *at;
    const char *end;
    uint16_t names[BATON_JSON_NAMES_MAX]; // of open objects: where they begin
    uint8_t name_count;
    uint8_t depth;
    bool is_object[BATON_JSON_DEPTH_MAX];
    uint8_t first_name[BATON_JSON_DEPTH_MAX]; // of this object in `names`
};

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// The next character after white space; 0 at the end.
static char peek(struct reader *self) {
    while (self->at < self->end && is_space(*self->at)) {
        self->at++;
    }
    if (self->at == self->end) {
        return 0;
    }
    return *self->at;
}

static bool take(struct reader *self, char wanted) {
    if (self->at == self->end || *self->at != wanted) {
        return false;
    }
    self->at++;
    return true;
}

// Four hexadecimal digits; UINT32_MAX for anything else.
static uint32_t hex4(const char *at, const char *end) {
    uint32_t value = 0;
    if (end - at < 4) {
        return UINT32_MAX;
    }
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        uint32_t digit = is_digit(c)              ? (uint32_t)(c - '0')
                         : (c >= 'a' && c <= 'f') ? (uint32_t)(c - 'a') + 10
                         : (c >= 'A' && c <= 'F') ? (uint32_t)(c - 'A') + 10
                                                  : UINT32_MAX;
        if (digit == UINT32_MAX) {
            return UINT32_MAX;
        }
        value = value << 4 | digit;
    }
    return value;
}

// The code point of an escape that begins behind "\u", and where it ends; 0
// for a wrong one (U+0000 is wrong too).
static uint32_t unicode_escape(const char **at, const char *end) {
    uint32_t point = hex4(*at, end);
    if (point == UINT32_MAX || (point >= 0xDC00 && point < 0xE000)) {
        return 0;
    }
    *at += 4;
    if (point < 0xD800 || point >= 0xE000) {
        return point;
    }
    if (end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u') {
        return 0;
    }
    uint32_t low = hex4(*at + 2, end);
    if (low < 0xDC00 || low >= 0xE000) {
        return 0;
    }
    *at += 6;
    return 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
}

// What a letter behind a backslash stands for; 0 for a wrong one.
static char simple_escape(char letter) {
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *found = letter != 0 ? strchr(from, letter) : NULL;
    if (found == NULL) {
        return 0;
    }
    return to[found - from];
}

static int read_escape(struct reader *self) {
    if (self->at == self->end) {
        return BATON_ERR_JSON_FORMAT;
    }
    char letter = *self->at++;
    bool ok = letter == 'u' ? unicode_escape(&self->at, self->end) != 0
                            : simple_escape(letter) != 0;
    return ok ? 0 : BATON_ERR_JSON_FORMAT;
}

static int read_string(struct reader *self, bool can_escape) {
    if (!take(self, '"')) {
        return BATON_ERR_JSON_FORMAT;
    }
    while (self->at < self->end) {
        char c = *self->at++;
        if (c == '"') {
            return 0;
        }
        bool is_escape = c == '\\';
        if ((unsigned char)c < 0x20 || (is_escape && !can_escape)) {
            return BATON_ERR_JSON_FORMAT;
        }
        int err = is_escape ? read_escape(self) : 0;
        if (err != 0) {
            return err;
        }
    }
    return BATON_ERR_JSON_FORMAT;
}

// Two names, from behind their first quotes: no escapes, so bytes decide.
static bool is_same_name(const char *a, const char *b) {
    while (*a == *b && *a != '"') {
        a++;
        b++;
    }
    return *a == *b;
}

// A member's name and the colon behind it.
static int read_name(struct reader *self) {
    peek(self);
    const char *name = self->at + 1;
    int err = read_string(self, false);
    if (err != 0) {
        return err;
    }
    for (unsigned i = self->first_name[self->depth - 1]; i < self->name_count;
            i++) {
        if (is_same_name(self->text + self->names[i], name)) {
            return BATON_ERR_JSON_DUPLICATE;
        }
    }
    if (self->name_count == BATON_JSON_NAMES_MAX) {
        return BATON_ERR_JSON_LIMIT;
    }
    self->names[self->name_count++] = (uint16_t)(name - self->text);
    peek(self);
    return take(self, ':') ? 0 : BATON_ERR_JSON_FORMAT;
}

static size_t read_digits(struct reader *self) {
    const char *from = self->at;
    while (self->at < self->end && is_digit(*self->at)) {
        self->at++;
    }
    return (size_t)(self->at - from);
}

static int read_number(struct reader *self) {
    take(self, '-');
    const char *from = self->at;
    size_t count = read_digits(self);
    bool ok = count == 1 || (count > 1 && *from != '0');
    if (ok && take(self, '.')) {
        ok = read_digits(self) > 0;
    }
    if (ok && (take(self, 'e') || take(self, 'E'))) {
        if (!take(self, '+')) {
            take(self, '-');
        }
        ok = read_digits(self) > 0;
    }
    return ok ? 0 : BATON_ERR_JSON_FORMAT;
}

static int read_word(struct reader *self) {
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = strlen(words[i]);
        if ((size_t)(self->end - self->at) >= len
                && memcmp(self->at, words[i], len) == 0) {
            self->at += len;
            return 0;
        }
    }
    return BATON_ERR_JSON_FORMAT;
}

static void leave(struct reader *self) {
    self->at++;
    self->depth--;
    self->name_count = self->first_name[self->depth];
}

// Goes into an object or an array, up to where its first value begins, or out
// again where it is empty.
static int enter(struct reader *self, bool is_object, bool *wants_value) {
    if (self->depth == BATON_JSON_DEPTH_MAX) {
        return BATON_ERR_JSON_LIMIT;
    }
    self->at++;
    self->is_object[self->depth] = is_object;
    self->first_name[self->depth] = self->name_count;
    self->depth++;
    *wants_value = peek(self) != (is_object ? '}' : ']');
    if (!*wants_value) {
        leave(self);
        return 0;
    }
    return is_object ? read_name(self) : 0;
}

static int read_value(struct reader *self, bool *wants_value) {
    char c = peek(self);
    if (c == '{' || c == '[') {
        return enter(self, c == '{', wants_value);
    }
    *wants_value = false;
    if (c == '"') {
        return read_string(self, true);
    }
    return c == '-' || is_digit(c) ? read_number(self) : read_word(self);
}

// What follows a value inside an object or an array.
static int read_after(struct reader *self, bool *wants_value) {
    bool in_object = self->is_object[self->depth - 1];
    char c = peek(self);
    if (c == (in_object ? '}' : ']')) {
        leave(self);
        return 0;
    }
    if (!take(self, ',')) {
        return BATON_ERR_JSON_FORMAT;
    }
    *wants_value = true;
    return in_object ? read_name(self) : 0;
}

int baton_json_check(const char *text, size_t len) {
    if (len > BATON_JSON_BYTES_MAX) {
        return BATON_ERR_JSON_LIMIT;
    }
    struct reader self = {.text = text, .at = text, .end = text + len};
    if (peek(&self) != '{' || baton_text_utf8_len(text, len) != len) {
        return BATON_ERR_JSON_FORMAT;
    }
    bool wants_value = true;
    int err = 0;
    while (err == 0 && (wants_value || self.depth > 0)) {
        err = wants_value ? read_value(&self, &wants_value)
                          : read_after(&self, &wants_value);
    }
    if (err != 0) {
        return err;
    }
    peek(&self);
    return self.at == self.end ? 0 : BATON_ERR_JSON_FORMAT;
}

// ---- Walking through one that was checked ---------------------------------

static char *skip_space(char *at, const char *end) {
    while (at < end && is_space(*at)) {
        at++;
    }
    return at;
}

// Behind a string that begins here.
static char *skip_string(char *at, const char *end) {
    for (at++; at < end && *at != '"'; at++) {
        at += *at == '\\' ? 1 : 0;
    }
    return at < end ? at + 1 : at;
}

static char *skip_value(char *at, const char *end) {
    unsigned depth = 0;
    while (at < end) {
        char c = *at;
        if (c == '"') {
            at = skip_string(at, end);
        } else if (c == '{' || c == '[') {
            depth++;
            at++;
        } else if (depth > 0 && (c == '}' || c == ']')) {
            depth--;
            at++;
        } else if (depth == 0
                   && (is_space(c) || c == ',' || c == '}' || c == ']')) {
            break;
        } else {
            at++;
            continue;
        }
        if (depth == 0) {
            break;
        }
    }
    return at;
}

bool baton_json_walk_begin(
        struct baton_json_walk *self, const struct baton_json *value) {
    if (value->at == value->end || (*value->at != '{' && *value->at != '[')) {
        return false;
    }
    self->is_object = *value->at == '{';
    self->at = value->at + 1;
    self->end = value->end - 1;
    return true;
}

bool baton_json_walk_next(struct baton_json_walk *self, struct baton_json *name,
        struct baton_json *value) {
    self->at = skip_space(self->at, self->end);
    if (self->at < self->end && *self->at == ',') {
        self->at = skip_space(self->at + 1, self->end);
    }
    if (self->at == self->end) {
        return false;
    }
    if (self->is_object) {
        name->at = self->at + 1;
        self->at = skip_string(self->at, self->end);
        name->end = self->at - 1;
        self->at = skip_space(self->at, self->end);
        self->at = skip_space(self->at + 1, self->end); // past the colon
    }
    value->at = self->at;
    self->at = skip_value(self->at, self->end);
    value->end = self->at;
    return true;
}

bool baton_json_is_named(const struct baton_json *name, const char *text) {
    size_t len = strlen(text);
    return (size_t)(name->end - name->at) == len
           && memcmp(name->at, text, len) == 0;
}

bool baton_json_find(const struct baton_json *object, const char *name,
        struct baton_json *value) {
    struct baton_json_walk walk;
    struct baton_json found;
    if (!baton_json_walk_begin(&walk, object) || !walk.is_object) {
        return false;
    }
    while (baton_json_walk_next(&walk, &found, value)) {
        if (baton_json_is_named(&found, name)) {
            return true;
        }
    }
    return false;
}

bool baton_json_read_number(
        const struct baton_json *value, uint64_t most, uint64_t *out) {
    uint64_t number = 0;
    for (const char *at = value->at; at < value->end; at++) {
        if (!is_digit(*at)) {
            return false;
        }
        uint64_t digit = (uint64_t)(*at - '0');
        // In this order nothing wraps, and no 64-bit division is called for.
        if (digit > most || number > UINT64_MAX / 10u
                || number * 10u > most - digit) {
            return false;
        }
        number = number * 10 + digit;
    }
    *out = number;
    return value->at < value->end;
}

// Resolves the escapes of what lies between the quotes. Never ahead of itself:
// an escape is longer than its UTF-8.
static size_t unescape(char *text, const char *end) {
    char *to = text;
    const char *at = text;
    while (at < end) {
        if (*at != '\\') {
            *to++ = *at++;
        } else if (at[1] != 'u') {
            *to++ = simple_escape(at[1]);
            at += 2;
        } else {
            at += 2;
            to += baton_text_put(unicode_escape(&at, end), to);
        }
    }
    return (size_t)(to - text);
}

// How long unescape would make it.
static size_t unescaped_len(const char *at, const char *end) {
    size_t len = 0;
    while (at < end) {
        if (*at != '\\') {
            at++;
            len++;
        } else if (at[1] != 'u') {
            at += 2;
            len++;
        } else {
            char bytes[4];
            at += 2;
            len += baton_text_put(unicode_escape(&at, end), bytes);
        }
    }
    return len;
}

bool baton_json_read_text(const struct baton_json *value, size_t most,
        const char **out, size_t *len) {
    if (value->end - value->at < 2 || *value->at != '"') {
        return false;
    }
    char *text = value->at + 1;
    const char *end = value->end - 1;
    if (unescaped_len(text, end) > most) {
        return false;
    }
    *len = unescape(text, end);
    text[*len] = 0;
    *out = text;
    return true;
}
