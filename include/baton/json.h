// A strict, bounded JSON reader (RFC 8259) that works in the text's own memory.
// SPDX-License-Identifier: MIT
//
// A document is checked as a whole first; the other functions are for text that
// passed. Stricter than the RFC: the document is an object, names are unique
// within their object and written without escapes, no text holds a NUL, half a
// surrogate pair is refused, and so is what is not UTF-8.
#ifndef BATON_JSON_H
#define BATON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BATON_JSON_DEPTH_MAX 8u     // objects and arrays, the outermost counted
#define BATON_JSON_NAMES_MAX 64u    // of all objects open at a place
#define BATON_JSON_BYTES_MAX 65535u // of a document

// A value: all of its text, without space around it.
struct baton_json {
    char *at;
    char *end;
};

// Checks a whole document. No recursion; reads only.
//
// Returns     0, BATON_ERR_JSON_FORMAT, BATON_ERR_JSON_DUPLICATE,
//             BATON_ERR_JSON_LIMIT
int baton_json_check(const char *text, size_t len);

// Where a walk over an object or an array is.
struct baton_json_walk {
    char *at;
    char *end;
    bool is_object;
};

// False where the value is neither an object nor an array.
bool baton_json_walk_begin(
        struct baton_json_walk *self, const struct baton_json *value);

// The next member or element; false after the last one. The value is found
// before it is given out, so it may be overwritten meanwhile. `name` is left
// alone in arrays.
bool baton_json_walk_next(struct baton_json_walk *self, struct baton_json *name,
        struct baton_json *value);

// True where a name, as a walk gives it, is this one.
bool baton_json_is_named(const struct baton_json *name, const char *text);

// Finds an object's member; false where there is none.
bool baton_json_find(const struct baton_json *object, const char *name,
        struct baton_json *value);

// A number that is a whole one from 0 to `most`, written in digits alone.
bool baton_json_read_number(
        const struct baton_json *value, uint64_t most, uint64_t *out);

// A text: its escapes are resolved and a terminator is written, both in place,
// which ends the value's life as JSON. False where it is no text, or longer
// than `most` bytes (then it is left as it was).
bool baton_json_read_text(const struct baton_json *value, size_t most,
        const char **out, size_t *len);

#endif
