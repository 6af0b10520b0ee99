// Fuzzes the partition table as CSV.
// SPDX-License-Identifier: MIT
#include "table_invariants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// By first letter: a number, a row, bytes that are no text.
static const char *get_variable(void *context, const char *name, size_t len) {
    (void)context;
    if (len == 0) {
        return NULL;
    }
    return name[0] == 'N'   ? "4K"
           : name[0] == 'R' ? "r,data,nvs,,4K"
           : name[0] == 'B' ? "\xC3(\xED\xA0\x80"
                            : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct baton_hash_state hash;
    struct baton_table_options options = {.crypto = baton_crypto_psa(),
            .hash = &hash,
            .has_primary = true,
            .has_recovery = true,
            .primary_bootloader_addr = 0x1000,
            .recovery_bootloader_addr = 0x200000,
            .flash_bytes = 0x400000,
            .variable = get_variable};
    struct baton_partition rows[BATON_TABLE_ROWS_MAX];
    struct baton_table_fault fault;
    size_t count;
    int err = baton_table_parse_csv((const char *)data, size, &options, rows,
            BATON_TABLE_ROWS_MAX, &count, &fault);
    if (err != 0) {
        require(fault.line != 0, "a fault has a line");
        return 0;
    }
    err = baton_table_verify(rows, count, &options, &fault);
    require((err != 0) == (fault.row >= 0), "a broken rule has a row");
    require_binary_again(rows, count, &options);
    require_csv_again(rows, count, &options);
    return 0;
}
