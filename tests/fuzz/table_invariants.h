// What must hold of any partition table that was accepted.
// SPDX-License-Identifier: MIT
#ifndef BATON_TESTS_FUZZ_TABLE_INVARIANTS_H
#define BATON_TESTS_FUZZ_TABLE_INVARIANTS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "baton/table.h"

static inline void require(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

static inline bool is_same_row(
        const struct baton_partition *a, const struct baton_partition *b) {
    return a->type == b->type && a->subtype == b->subtype && a->addr == b->addr
           && a->size_bytes == b->size_bytes && a->flags == b->flags
           && memcmp(a->label, b->label, sizeof(a->label)) == 0;
}

// A label that stands for itself in a CSV.
static inline bool is_plain(const char label[BATON_TABLE_LABEL_BYTES + 1]) {
    size_t len = strlen(label);
    for (size_t i = 0; i < BATON_TABLE_LABEL_BYTES; i++) {
        bool is_right = i < len ? label[i] > ' ' && label[i] <= '~'
                                          && strchr(",#$", label[i]) == NULL
                                : label[i] == 0;
        if (!is_right) {
            return false;
        }
    }
    return true;
}

// Encoded and parsed again, rows are the same; only labels that were cut inside
// a letter, or hold a zero byte, cannot come back.
static inline void require_binary_again(const struct baton_partition *rows,
        size_t count, const struct baton_table_options *options) {
    struct baton_partition back[BATON_TABLE_ROWS_MAX];
    uint8_t out[BATON_TABLE_BYTES];
    size_t back_count;
    int err = baton_table_encode(rows, count, options, out);
    require(err == (count <= 94 ? 0 : BATON_ERR_TABLE_ROWS), "rows that fit");
    if (err != 0) {
        return;
    }
    err = baton_table_parse(out, sizeof(out), options, back,
            BATON_TABLE_ROWS_MAX, &back_count, NULL);
    require(err == 0 || err == BATON_ERR_TABLE_LABEL, "own table is read");
    for (size_t i = 0; err == 0 && i < count; i++) {
        struct baton_partition row = rows[i];
        size_t len = strlen(row.label);
        memset(row.label + len, 0, sizeof(row.label) - len);
        require(back_count == count && is_same_row(&row, &back[i]),
                "encoded rows are the same");
    }
}

// Written as CSV and read again, rows are the same, where labels are plain.
static inline void require_csv_again(const struct baton_partition *rows,
        size_t count, const struct baton_table_options *options) {
    struct baton_partition back[BATON_TABLE_ROWS_MAX];
    static char text[BATON_TABLE_CSV_BYTES(BATON_TABLE_ROWS_MAX)];
    size_t back_count;
    size_t len;
    bool is_representable = true;
    for (size_t i = 0; i < count; i++) {
        is_representable = is_representable && is_plain(rows[i].label);
    }
    require(baton_table_format_csv(
                    rows, count, text, BATON_TABLE_CSV_BYTES(count), &len)
                    == 0,
            "there is room for the CSV");
    int err = baton_table_parse_csv(
            text, len, options, back, BATON_TABLE_ROWS_MAX, &back_count, NULL);
    if (!is_representable) {
        return;
    }
    require(err == 0 && back_count == count, "own CSV is read");
    for (size_t i = 0; i < count; i++) {
        struct baton_partition row = rows[i];
        row.flags &= BATON_PARTITION_ENCRYPTED | BATON_PARTITION_READONLY;
        require(is_same_row(&row, &back[i]), "formatted rows are the same");
    }
}

#endif
