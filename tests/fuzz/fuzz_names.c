// Fuzzes the scanner for versions: any chunks give one result, all of it text.
// SPDX-License-Identifier: MIT
//
// Input: a chunk size, then the bytes.
#include <string.h>

#include "baton/names.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require_text(const char *text, size_t capacity) {
    const char *end = memchr(text, 0, capacity);
    require(end != NULL, "text is terminated");
    for (; text < end; text++) {
        require(*text >= 0x20 && *text <= 0x7E, "text is printable");
    }
}

static bool is_same(const struct baton_names *a, const struct baton_names *b) {
    return strcmp(a->system, b->system) == 0
           && strcmp(a->version, b->version) == 0
           && strcmp(a->date, b->date) == 0 && strcmp(a->board, b->board) == 0
           && strcmp(a->chip, b->chip) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct baton_names whole;
    static struct baton_names pieces;
    if (size < 1) {
        return 0;
    }
    size_t step = data[0] == 0 ? 1 : data[0];
    baton_names_begin(&whole);
    baton_names_push(&whole, data + 1, size - 1);
    baton_names_finish(&whole);
    baton_names_begin(&pieces);
    for (size_t at = 1; at < size; at += step) {
        size_t count = size - at < step ? size - at : step;
        baton_names_push(&pieces, data + at, count);
    }
    baton_names_finish(&pieces);
    require(is_same(&whole, &pieces), "chunks give the same names");
    require_text(whole.system, sizeof(whole.system));
    require_text(whole.version, sizeof(whole.version));
    require_text(whole.date, sizeof(whole.date));
    require_text(whole.board, sizeof(whole.board));
    require_text(whole.chip, sizeof(whole.chip));
    require((whole.version[0] == 0) == (whole.system[0] == 0),
            "a version has a system");
    require((whole.board[0] == 0) == (whole.chip[0] == 0),
            "a board has a chip");
    return 0;
}
