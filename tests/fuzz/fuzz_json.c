// Fuzzes the JSON reader: what passes the check is walked and read.
// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>

#include "baton/error.h"
#include "baton/json.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_scalar(const struct baton_json *value) {
    uint64_t number = 0;
    const char *text;
    size_t len = 0;
    size_t room = (size_t)(value->end - value->at);
    if (baton_json_read_number(value, UINT32_MAX, &number)) {
        require(number <= UINT32_MAX, "numbers keep to their bound");
    } else if (baton_json_read_text(value, room, &text, &len)) {
        require(len + 2 <= room && strlen(text) == len,
                "a text is no longer than it was written");
    }
}

// Bounded by the depth that the check allows.
static void walk_value(const struct baton_json *value, unsigned depth) {
    struct baton_json_walk walk;
    struct baton_json name;
    struct baton_json member;
    require(value->at < value->end, "a value is never empty");
    if (!baton_json_walk_begin(&walk, value)) {
        read_scalar(value);
        return;
    }
    require(depth < BATON_JSON_DEPTH_MAX, "the depth is bounded");
    while (baton_json_walk_next(&walk, &name, &member)) {
        require(member.at > value->at && member.end < value->end,
                "a member lies within");
        walk_value(&member, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    require(text != NULL, "memory");
    memcpy(text, data, size);
    int err = baton_json_check(text, size);
    require(memcmp(text, data, size) == 0, "a check only reads");
    require(err == 0 || err == BATON_ERR_JSON_FORMAT
                    || err == BATON_ERR_JSON_DUPLICATE
                    || err == BATON_ERR_JSON_LIMIT,
            "the status is one of four");
    if (err == 0) {
        struct baton_json document = {text, text + size};
        while (*document.at != '{') {
            document.at++;
        }
        while (document.end[-1] != '}') {
            document.end--;
        }
        walk_value(&document, 0);
    }
    free(text);
    return 0;
}
