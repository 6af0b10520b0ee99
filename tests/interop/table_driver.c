// Converts partition tables one after the other, for tests that try thousands.
// SPDX-License-Identifier: MIT
//
// Each request on standard input: 'C' (CSV to binary) or 'B' (binary to CSV),
// a byte of switches, four u32 (table address, primary and recovery bootloader
// address, flash size), a u32 length and the data; each answer on standard
// output: an i32 error, a u32 length and the data. Numbers are little-endian.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "baton/table.h"

enum {
    NO_MD5 = 1,
    NO_VERIFY = 2,
    HAS_PRIMARY = 4,
    HAS_RECOVERY = 8,
    SECURE_V1 = 16,
    AT_ZERO = 32,
};

static const char *get_variable(void *context, const char *name, size_t len) {
    char copy[256];
    (void)context;
    if (len >= sizeof(copy) || memchr(name, 0, len) != NULL
            || memchr(name, '=', len) != NULL) {
        return NULL;
    }
    memcpy(copy, name, len);
    copy[len] = 0;
    return getenv(copy);
}

static int verify(const struct baton_partition *rows, size_t count,
        const struct baton_table_options *options, bool is_wanted) {
    struct baton_table_fault fault;
    if (is_wanted) {
        return baton_table_verify(rows, count, options, &fault);
    }
    if (options->flash_bytes == 0) {
        return 0;
    }
    return baton_table_verify_flash(rows, count, options->flash_bytes, &fault);
}

static bool read_u32(uint32_t *out) {
    uint8_t raw[4];
    if (fread(raw, 1, 4, stdin) != 4) {
        return false;
    }
    *out = raw[0] | (uint32_t)raw[1] << 8 | (uint32_t)raw[2] << 16
           | (uint32_t)raw[3] << 24;
    return true;
}

static void write_u32(uint32_t value) {
    for (int i = 0; i < 4; i++) {
        putchar((int)(value >> (8 * i) & 0xFF));
    }
}

static int convert(char kind, const char *data, size_t len,
        const struct baton_table_options *options, bool is_verified,
        struct baton_partition *rows, size_t capacity, char *out,
        size_t *out_len) {
    size_t count;
    struct baton_table_fault fault;
    *out_len = 0;
    int err = kind == 'C' ? baton_table_parse_csv(
                      data, len, options, rows, capacity, &count, &fault)
                          : baton_table_parse((const uint8_t *)data, len,
                                  options, rows, capacity, &count, &fault);
    if (err == 0) {
        err = verify(rows, count, options, is_verified);
    }
    if (err == 0 && kind == 'C') {
        err = baton_table_encode(rows, count, options, (uint8_t *)out);
        *out_len = err == 0 ? BATON_TABLE_BYTES : 0;
    } else if (err == 0) {
        err = baton_table_format_csv(
                rows, count, out, BATON_TABLE_CSV_BYTES(count), out_len);
    }
    return err;
}

int main(void) {
    int kind;
    while ((kind = getchar()) != EOF) {
        struct baton_table_options options = {0};
        int switches = getchar();
        uint32_t len;
        if (!read_u32(&options.table_addr)
                || !read_u32(&options.primary_bootloader_addr)
                || !read_u32(&options.recovery_bootloader_addr)
                || !read_u32(&options.flash_bytes) || !read_u32(&len)) {
            return 1;
        }
        options.table_at_zero = (switches & AT_ZERO) != 0;
        options.no_md5 = (switches & NO_MD5) != 0;
        options.has_primary = (switches & HAS_PRIMARY) != 0;
        options.has_recovery = (switches & HAS_RECOVERY) != 0;
        options.secure_boot_v1 = (switches & SECURE_V1) != 0;
        struct baton_hash_state hash;
        options.crypto = baton_crypto_psa();
        options.hash = &hash;
        options.variable = get_variable;
        // Memory of exactly the right size lets a sanitizer see an overrun.
        size_t capacity = len / BATON_TABLE_ROW_BYTES + BATON_TABLE_ROWS_MAX;
        char *data = malloc(len + (len == 0));
        struct baton_partition *rows = malloc(capacity * sizeof(*rows));
        char *out = malloc(BATON_TABLE_CSV_BYTES(capacity) + BATON_TABLE_BYTES);
        if (data == NULL || rows == NULL || out == NULL
                || fread(data, 1, len, stdin) != len) {
            return 1;
        }
        size_t out_len;
        int err = convert((char)kind, data, len, &options,
                (switches & NO_VERIFY) == 0, rows, capacity, out, &out_len);
        write_u32((uint32_t)err);
        write_u32((uint32_t)out_len);
        fwrite(out, 1, out_len, stdout);
        fflush(stdout);
        free(out);
        free(rows);
        free(data);
    }
    return 0;
}
