// Text as the vendor's table generator reads it: lines, fields, numbers.
// SPDX-License-Identifier: MIT
//
// The generator is a Python program, and the bytes it makes depend on Python's
// ideas of white space, line ends, digits and integers, beyond ASCII too. They
// are reproduced here so that a file means the same to both.
//
// Nothing is copied: a line is read through a cursor that puts in the values
// of environment variables as it goes, so a line may have any length.
#ifndef BATON_CORE_TEXT_H
#define BATON_CORE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BATON_TEXT_END UINT32_MAX

struct baton_table_options;

struct baton_text_cursor {
    const char *at; // rest of the line as written
    const char *end;
    const char *literal_end; // before it '$' stands for itself
    const char *value;       // rest of a variable's value
    const char *value_end;
    const struct baton_table_options *options;
};

// A field of a line, white space around it left out.
struct baton_text_field {
    struct baton_text_cursor cursor;
    size_t points; // code points left to read
};

// How much of the text, from its beginning, is well-formed UTF-8.
size_t baton_text_utf8_len(const char *text, size_t len);

// The length of the first line; *next is where the one after it begins, or
// `len`.
size_t baton_text_line(const char *text, size_t len, size_t *next);

void baton_text_begin(struct baton_text_cursor *self, const char *line,
        size_t len, const struct baton_table_options *options);

// The next code point, or BATON_TEXT_END. Bytes that are not UTF-8 (they can
// come from a variable) are given as points above 0x10FFFF.
uint32_t baton_text_next(struct baton_text_cursor *self);

bool baton_text_is_space(uint32_t point);

// ASCII lower case; K, the Kelvin sign, is the one other letter whose lower
// case is ASCII.
uint32_t baton_text_lower(uint32_t point);

// Writes a code point as UTF-8. Returns the number of bytes, 0 for a point that
// is none.
size_t baton_text_put(uint32_t point, char out[4]);

// Reads up to the next comma, which is left behind, or the end.
void baton_text_field(
        struct baton_text_cursor *self, struct baton_text_field *out);

uint32_t baton_text_field_next(struct baton_text_field *self);

// Reads the field as an integer in Python's notation, base given by its
// prefix. Values past 2^40 are given as 2^40.
bool baton_text_field_int(const struct baton_text_field *self, int64_t *out);

#endif
