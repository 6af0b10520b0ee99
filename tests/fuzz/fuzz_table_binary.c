// Fuzzes the partition table in binary.
// SPDX-License-Identifier: MIT
#include "table_invariants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Rows in the order of their addresses, none of the boot chain: what a CSV can
// say without options.
static bool is_in_order(const struct baton_partition *rows, size_t count) {
    uint64_t end = BATON_TABLE_ADDR + 0x1000u;
    for (size_t i = 0; i < count; i++) {
        if (rows[i].addr < end || rows[i].type == BATON_TYPE_BOOTLOADER
                || rows[i].type == BATON_TYPE_TABLE) {
            return false;
        }
        end = (uint64_t)rows[i].addr + rows[i].size_bytes;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct baton_hash_state hash;
    struct baton_table_options options = {
            .crypto = baton_crypto_psa(), .hash = &hash};
    struct baton_partition rows[BATON_TABLE_ROWS_MAX];
    size_t count;
    int err = baton_table_parse(
            data, size, &options, rows, BATON_TABLE_ROWS_MAX, &count, NULL);
    if (err == BATON_ERR_TABLE_MD5) {
        options.crypto = NULL; // a fuzzer finds no MD5
        err = baton_table_parse(
                data, size, &options, rows, BATON_TABLE_ROWS_MAX, &count, NULL);
        options.crypto = baton_crypto_psa();
    }
    if (err != 0) {
        return 0;
    }
    (void)baton_table_verify(rows, count, &options, NULL);
    require_binary_again(rows, count, &options);
    if (is_in_order(rows, count)) {
        require_csv_again(rows, count, &options);
    }
    return 0;
}
