// The rules a partition table has to keep, in the vendor's order.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "baton/error.h"
#include "table_common.h"

#define OTADATA_BYTES     0x2000u
#define NVS_BYTES_MIN     0x3000u // of one that is written to
#define APP_SIZE_STEP     0x1000u
#define APP_SIZE_STEP_SB1 0x10000u // Secure Boot v1 signs 64 KiB blocks

static bool is_kind(
        const struct baton_partition *row, uint8_t type, uint8_t subtype) {
    return row->type == type && row->subtype == subtype;
}

static int refuse(struct baton_table_fault *fault,
        const struct baton_partition *rows, size_t row, int other_row,
        int err) {
    const char *label = rows[row].label;
    baton_table_fault_set(fault, (int)row, other_row, label, strlen(label));
    return err;
}

static int check_row(
        const struct baton_partition *row, uint32_t app_size_step) {
    bool is_readonly = (row->flags & BATON_PARTITION_READONLY) != 0;
    if (row->addr % baton_table_type_step(row->type) != 0) {
        return BATON_ERR_TABLE_ALIGN;
    }
    if (row->type == BATON_TYPE_APP && row->size_bytes % app_size_step != 0) {
        return BATON_ERR_TABLE_ALIGN;
    }
    if (is_readonly
            && (is_kind(row, BATON_TYPE_DATA, BATON_SUBTYPE_DATA_OTA)
                    || is_kind(row, BATON_TYPE_DATA,
                            BATON_SUBTYPE_DATA_COREDUMP))) {
        return BATON_ERR_TABLE_READONLY;
    }
    if (!is_readonly && row->size_bytes < NVS_BYTES_MIN
            && is_kind(row, BATON_TYPE_DATA, BATON_SUBTYPE_DATA_NVS)) {
        return BATON_ERR_TABLE_NVS;
    }
    return 0;
}

static int check_each_row(const struct baton_partition *rows, size_t count,
        const struct baton_table_options *options,
        struct baton_table_fault *fault) {
    bool is_sb1 = options != NULL && options->secure_boot_v1;
    uint32_t app_size_step = is_sb1 ? APP_SIZE_STEP_SB1 : APP_SIZE_STEP;
    for (size_t i = 0; i < count; i++) {
        int err = check_row(&rows[i], app_size_step);
        if (err != 0) {
            return refuse(fault, rows, i, -1, err);
        }
    }
    return 0;
}

static int check_names(const struct baton_partition *rows, size_t count,
        struct baton_table_fault *fault) {
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (rows[i].name_rest == rows[k].name_rest
                    && memcmp(rows[i].label, rows[k].label,
                               BATON_TABLE_LABEL_BYTES)
                               == 0) {
                return refuse(
                        fault, rows, i, (int)k, BATON_ERR_TABLE_DUPLICATE);
            }
        }
    }
    return 0;
}

// Rows in the order of their addresses, equal ones in table order.
static bool is_after(
        const struct baton_partition *rows, size_t row, size_t other) {
    if (rows[row].addr != rows[other].addr) {
        return rows[row].addr > rows[other].addr;
    }
    return row > other;
}

// The row that follows `previous` in that order, the first for `count`;
// `count` where there is none.
static size_t find_next(
        const struct baton_partition *rows, size_t count, size_t previous) {
    size_t next = count;
    for (size_t i = 0; i < count; i++) {
        bool is_candidate = previous == count || is_after(rows, i, previous);
        if (is_candidate && (next == count || is_after(rows, next, i))) {
            next = i;
        }
    }
    return next;
}

static uint64_t end_of(const struct baton_partition *row) {
    return (uint64_t)row->addr + row->size_bytes;
}

static int check_places(const struct baton_partition *rows, size_t count,
        const struct baton_table_options *options,
        struct baton_table_fault *fault) {
    uint64_t first_free = baton_table_first_free(options);
    size_t last = count;
    for (size_t i = find_next(rows, count, count); i < count;
            i = find_next(rows, count, i)) {
        if (rows[i].addr < first_free
                && !baton_table_is_primary(rows[i].type, rows[i].subtype)) {
            return refuse(fault, rows, i, -1, BATON_ERR_TABLE_OVERLAP);
        }
        if (last < count && rows[i].addr < end_of(&rows[last])) {
            return refuse(fault, rows, i, (int)last, BATON_ERR_TABLE_OVERLAP);
        }
        last = i;
    }
    return 0;
}

// At most one row of a kind of otadata, and of the one size there is.
static int check_otadata(const struct baton_partition *rows, size_t count,
        uint8_t subtype, struct baton_table_fault *fault) {
    size_t first = count;
    for (size_t i = 0; i < count; i++) {
        if (!is_kind(&rows[i], BATON_TYPE_DATA, subtype)) {
            continue;
        }
        if (first < count) {
            return refuse(fault, rows, i, (int)first, BATON_ERR_TABLE_OTADATA);
        }
        first = i;
    }
    if (first < count && rows[first].size_bytes != OTADATA_BYTES) {
        return refuse(fault, rows, first, -1, BATON_ERR_TABLE_OTADATA);
    }
    return 0;
}

int baton_table_verify_flash(const struct baton_partition *rows, size_t count,
        uint32_t flash_bytes, struct baton_table_fault *fault) {
    size_t highest = 0;
    for (size_t i = 1; i < count; i++) {
        highest = rows[i].addr > rows[highest].addr ? i : highest;
    }
    baton_table_fault_clear(fault);
    if (count == 0 || end_of(&rows[highest]) <= flash_bytes) {
        return 0;
    }
    return refuse(fault, rows, highest, -1, BATON_ERR_TABLE_FLASH_SIZE);
}

int baton_table_verify(const struct baton_partition *rows, size_t count,
        const struct baton_table_options *options,
        struct baton_table_fault *fault) {
    baton_table_fault_clear(fault);
    int err = check_each_row(rows, count, options, fault);
    if (err == 0) {
        err = check_names(rows, count, fault);
    }
    if (err == 0) {
        err = check_places(rows, count, options, fault);
    }
    if (err == 0) {
        err = check_otadata(rows, count, BATON_SUBTYPE_DATA_OTA, fault);
    }
    if (err == 0) {
        err = check_otadata(rows, count, BATON_SUBTYPE_DATA_TEE_OTA, fault);
    }
    if (err != 0 || options == NULL || options->flash_bytes == 0) {
        return err;
    }
    return baton_table_verify_flash(rows, count, options->flash_bytes, fault);
}

static bool is_type_misnamed(const struct baton_partition *row) {
    const struct baton_table_keyword *k;
    for (size_t i = 0; (k = baton_table_type_at(i)) != NULL; i++) {
        if (strcmp(k->name, row->label) == 0) {
            return k->value != row->type;
        }
    }
    return false;
}

static bool is_subtype_misnamed(const struct baton_partition *row) {
    const struct baton_table_keyword *k;
    bool is_keyword = false;
    for (size_t i = 0; (k = baton_table_subtype_at(i)) != NULL; i++) {
        if (strcmp(k->name, row->label) != 0) {
            continue;
        }
        if (k->type == row->type) {
            return k->value != row->subtype;
        }
        is_keyword = true;
    }
    return is_keyword;
}

bool baton_table_is_misnamed(const struct baton_partition *row) {
    return is_type_misnamed(row) || is_subtype_misnamed(row);
}
