// Reading the members of a JSON object by a table.
// SPDX-License-Identifier: MIT
#ifndef BATON_CORE_FIELDS_H
#define BATON_CORE_FIELDS_H

#include "baton/json.h"

// One member: its reader stores the value at `out` + off. Readers return false
// for a value that is not of their kind, or past `limit`.
struct baton_field {
    const char *name;
    bool (*read)(void *out, const struct baton_json *value, uint32_t limit);
    uint32_t limit;
    uint16_t off;
    bool is_optional;
};

// Reads an object: false where a member is missing or its reader says so. Other
// members are ignored. Up to 32 fields.
bool baton_fields_read(void *out, const struct baton_json *object,
        const struct baton_field *fields, size_t count);

// Judges a document's member "format": 1 is this one.
//
// Returns     0, BATON_ERR_MANIFEST_VERSION (a later one),
//             BATON_ERR_MANIFEST_FORMAT (none)
int baton_fields_format(const struct baton_json *document);

// Whole numbers up to limit; times up to the end of the year 9999.
bool baton_fields_u8(void *out, const struct baton_json *value, uint32_t limit);
bool baton_fields_u16(
        void *out, const struct baton_json *value, uint32_t limit);
bool baton_fields_u32(
        void *out, const struct baton_json *value, uint32_t limit);
bool baton_fields_time(
        void *out, const struct baton_json *value, uint32_t limit);

// const char *: a text of up to limit bytes, without control characters.
bool baton_fields_text(
        void *out, const struct baton_json *value, uint32_t limit);

// 32 bytes in base64url; limit is not used.
bool baton_fields_bytes32(
        void *out, const struct baton_json *value, uint32_t limit);

#endif
