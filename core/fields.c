// Reading the members of a JSON object by a table.
// SPDX-License-Identifier: MIT
#include "fields.h"

#include <string.h>

#include "baton/base64.h"
#include "baton/error.h"

#define TIME_MAX 253402300799u

bool baton_fields_read(void *out, const struct baton_json *object,
        const struct baton_field *fields, size_t count) {
    struct baton_json_walk walk;
    struct baton_json name;
    struct baton_json value;
    if (!baton_json_walk_begin(&walk, object) || !walk.is_object) {
        return false;
    }
    uint32_t missing = 0;
    for (size_t i = 0; i < count; i++) {
        missing |= fields[i].is_optional ? 0 : (uint32_t)1 << i;
    }
    while (baton_json_walk_next(&walk, &name, &value)) {
        for (size_t i = 0; i < count; i++) {
            const struct baton_field *field = &fields[i];
            if (!baton_json_is_named(&name, field->name)) {
                continue;
            }
            if (!field->read((char *)out + field->off, &value, field->limit)) {
                return false;
            }
            missing &= ~((uint32_t)1 << i);
            break;
        }
    }
    return missing == 0;
}

int baton_fields_format(const struct baton_json *document) {
    struct baton_json value;
    uint64_t format;
    if (!baton_json_find(document, "format", &value)
            || !baton_json_read_number(&value, UINT32_MAX, &format)
            || format == 0) {
        return BATON_ERR_MANIFEST_FORMAT;
    }
    return format == 1 ? 0 : BATON_ERR_MANIFEST_VERSION;
}

bool baton_fields_u8(
        void *out, const struct baton_json *value, uint32_t limit) {
    uint64_t number;
    if (!baton_json_read_number(value, limit, &number)) {
        return false;
    }
    *(uint8_t *)out = (uint8_t)number;
    return true;
}

bool baton_fields_u16(
        void *out, const struct baton_json *value, uint32_t limit) {
    uint64_t number;
    if (!baton_json_read_number(value, limit, &number)) {
        return false;
    }
    *(uint16_t *)out = (uint16_t)number;
    return true;
}

bool baton_fields_u32(
        void *out, const struct baton_json *value, uint32_t limit) {
    uint64_t number;
    if (!baton_json_read_number(value, limit, &number)) {
        return false;
    }
    *(uint32_t *)out = (uint32_t)number;
    return true;
}

bool baton_fields_time(
        void *out, const struct baton_json *value, uint32_t limit) {
    (void)limit;
    return baton_json_read_number(value, TIME_MAX, out);
}

bool baton_fields_text(
        void *out, const struct baton_json *value, uint32_t limit) {
    const char *text;
    size_t len;
    if (!baton_json_read_text(value, limit, &text, &len)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) {
            return false;
        }
    }
    *(const char **)out = text;
    return true;
}

bool baton_fields_bytes32(
        void *out, const struct baton_json *value, uint32_t limit) {
    (void)limit;
    const char *text;
    size_t len;
    size_t count;
    return baton_json_read_text(value, BATON_BASE64_CHARS(32), &text, &len)
           && len == BATON_BASE64_CHARS(32)
           && baton_base64_decode(text, len, out, 32, &count) == 0;
}
