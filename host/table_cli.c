// What the table subcommands share: options and reading.
// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#include "table_cli.h"

#include <iconv.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "baton/image.h"

// Where a table is looked for in a file that does not begin with one.
#define SEARCH_STEP_BYTES 0x1000u
#define SEARCH_END        0x20000u
// More rows than any table on flash has; files with more are refused.
#define ROWS_MAX 4096u

static void clear_fault(struct table_cli *self) {
    memset(&self->fault, 0, sizeof(self->fault));
    self->fault.row = -1;
    self->fault.other_row = -1;
    self->fault.field = -1;
}

void table_cli_begin(struct table_cli *self, const char *command) {
    memset(self, 0, sizeof(*self));
    self->command = command;
    clear_fault(self);
    self->options.table_addr = BATON_TABLE_ADDR;
}

void table_cli_end(struct table_cli *self) {
    free(self->data);
    free(self->rows);
    self->data = NULL;
    self->rows = NULL;
}

// "4MB" as the vendor's tool has it, or any size cli_parse_u32 knows.
static bool parse_flash_size(const char *text, uint32_t *out) {
    char copy[32];
    size_t len = strlen(text);
    if (len > 2 && len < sizeof(copy)
            && strcasecmp(text + len - 2, "MB") == 0) {
        memcpy(copy, text, len - 1);
        copy[len - 1] = 0;
        text = copy;
    }
    if (!cli_parse_u32("--flash-size", text, out)) {
        return false;
    }
    if (*out < BATON_BLOCK_BYTES) {
        fprintf(stderr,
                "baton: --flash-size: %u bytes is no flash (use 4MB or "
                "0x400000)\n",
                (unsigned)*out);
        return false;
    }
    return true;
}

// The version may stand in a word of its own, as with the vendor's tool.
static bool parse_secure(struct table_cli *self, int argc, char **argv) {
    const char *version = optarg;
    if (version == NULL && optind < argc
            && (strcasecmp(argv[optind], "v1") == 0
                    || strcasecmp(argv[optind], "v2") == 0)) {
        version = argv[optind++];
    }
    if (version != NULL && strcasecmp(version, "v1") != 0
            && strcasecmp(version, "v2") != 0) {
        fprintf(stderr, "baton: --secure: '%s' is neither v1 nor v2\n",
                version);
        return false;
    }
    self->options.secure_boot_v1 =
            version == NULL || strcasecmp(version, "v1") == 0;
    return true;
}

static bool parse_offset(struct table_cli *self) {
    struct baton_table_options *options = &self->options;
    self->has_offset = true;
    bool ok = cli_parse_u32("--offset", optarg, &options->table_addr);
    options->table_at_zero = options->table_addr == 0;
    return ok;
}

static bool take_option(struct table_cli *self, int c, int argc, char **argv) {
    struct baton_table_options *options = &self->options;
    switch (c) {
    case TABLE_OPTION_FLASH_SIZE:
        return parse_flash_size(optarg, &options->flash_bytes);
    case TABLE_OPTION_DISABLE_MD5SUM:
        options->no_md5 = true;
        return true;
    case TABLE_OPTION_NO_VERIFY:
        self->no_verify = true;
        return true;
    case TABLE_OPTION_VERIFY: // the default
        return true;
    case TABLE_OPTION_OFFSET:
        return parse_offset(self);
    case TABLE_OPTION_PRIMARY:
        options->has_primary = true;
        return cli_parse_u32("--primary-bootloader-offset", optarg,
                &options->primary_bootloader_addr);
    case TABLE_OPTION_RECOVERY:
        options->has_recovery = true;
        return cli_parse_u32("--recovery-bootloader-offset", optarg,
                &options->recovery_bootloader_addr);
    case TABLE_OPTION_SECURE:
        return parse_secure(self, argc, argv);
    case TABLE_OPTION_JSON:
        self->as_json = true;
        return true;
    case 'q':
        self->is_quiet = true;
        return true;
    default: // getopt_long has said what is wrong
        return false;
    }
}

bool table_cli_option(struct table_cli *self, int c, int argc, char **argv) {
    bool ok = take_option(self, c, argc, argv);
    if (!ok) {
        fprintf(stderr, "  next: %s --help\n", self->command);
    }
    return ok;
}

bool table_cli_check_options(const struct table_cli *self) {
    const struct baton_table_options *options = &self->options;
    if (options->has_primary
            && options->primary_bootloader_addr >= options->table_addr) {
        cli_usage(self->command,
                "the primary bootloader (0x%x) must lie below the table (0x%x)",
                (unsigned)options->primary_bootloader_addr,
                (unsigned)options->table_addr);
        return false;
    }
    return true;
}

// Names with a '=' are no variables, whatever getenv makes of them.
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

static bool starts_with(
        const struct table_cli *self, const char *bytes, size_t len) {
    return self->len >= len && memcmp(self->data, bytes, len) == 0;
}

// The encoding that a byte order mark tells; NULL for UTF-8 and for none.
static const char *find_encoding(const struct table_cli *self) {
    if (starts_with(self, "\xFF\xFE\0\0", 4)) {
        return "UTF-32LE";
    }
    if (starts_with(self, "\0\0\xFE\xFF", 4)) {
        return "UTF-32BE";
    }
    if (starts_with(self, "\xFF\xFE", 2)) {
        return "UTF-16LE";
    }
    return starts_with(self, "\xFE\xFF", 2) ? "UTF-16BE" : NULL;
}

// Replaces the text by its UTF-8, byte order mark included.
static int convert(struct table_cli *self, const char *encoding) {
    iconv_t converter = iconv_open("UTF-8", encoding);
    size_t capacity = 2 * self->len;
    char *out = malloc(capacity);
    char *in_at = (char *)self->data;
    char *out_at = out;
    size_t in_left = self->len;
    size_t out_left = capacity;
    int err = converter == (iconv_t)-1 || out == NULL ? BATON_ERR_NOMEM : 0;
    if (err == 0
            && iconv(converter, &in_at, &in_left, &out_at, &out_left)
                       == (size_t)-1) {
        err = BATON_ERR_CSV_TEXT;
    }
    if (converter != (iconv_t)-1) {
        iconv_close(converter);
    }
    if (err != 0) {
        free(out);
        return err;
    }
    free(self->data);
    self->data = (uint8_t *)out;
    self->len = capacity - out_left;
    return 0;
}

static int make_rows(struct table_cli *self, size_t capacity) {
    free(self->rows);
    // One more than is parsed: a row that is refused can be looked at.
    self->rows = calloc(capacity + 1, sizeof(*self->rows));
    return self->rows != NULL ? 0 : BATON_ERR_NOMEM;
}

static bool is_row_at(const struct table_cli *self, size_t off, uint8_t first,
        uint8_t second) {
    return off + 2 <= self->len && self->data[off] == first
           && self->data[off + 1] == second;
}

static bool has_md5_row(const struct table_cli *self) {
    for (size_t i = 0; i <= self->count; i++) {
        size_t off = self->table_off + i * BATON_TABLE_ROW_BYTES;
        if (is_row_at(self, off, 0xEB, 0xEB)) {
            return true;
        }
    }
    return false;
}

static int parse_binary(struct table_cli *self, size_t off, size_t len) {
    size_t capacity = len / BATON_TABLE_ROW_BYTES;
    capacity = capacity < ROWS_MAX ? capacity : ROWS_MAX;
    self->table_off = off;
    int err = make_rows(self, capacity);
    if (err != 0) {
        return err;
    }
    err = baton_table_parse(self->data + off, len, &self->options, self->rows,
            capacity, &self->count, &self->fault);
    self->has_md5_row = err == 0 && has_md5_row(self);
    return err == BATON_ERR_NOSPC ? BATON_ERR_TABLE_ROWS : err;
}

// True for what is better called no table at all than a bad CSV.
static bool is_another_file(const struct table_cli *self) {
    int kind = baton_image_identify(self->data, self->len);
    bool may_be_text = kind == BATON_ERR_IS_TEXT || kind == BATON_ERR_IS_EMPTY
                       || kind == BATON_ERR_IMAGE_MAGIC;
    return !may_be_text || memchr(self->data, 0, self->len) != NULL;
}

static int parse_csv(struct table_cli *self) {
    const char *encoding = find_encoding(self);
    self->format = TABLE_FORMAT_CSV;
    int err = encoding != NULL ? convert(self, encoding) : 0;
    if (err == 0) {
        err = make_rows(self, BATON_TABLE_ROWS_MAX);
    }
    if (err == 0) {
        err = baton_table_parse_csv((const char *)self->data, self->len,
                &self->options, self->rows, BATON_TABLE_ROWS_MAX, &self->count,
                &self->fault);
    }
    if (err != 0 && encoding == NULL && is_another_file(self)) {
        clear_fault(self);
        return BATON_ERR_TABLE_ABSENT;
    }
    return err == BATON_ERR_NOSPC ? BATON_ERR_TABLE_ROWS : err;
}

// The flash address of a file's first byte: a merged .bin begins with the
// bootloader, which on some chips is not at the beginning of the flash.
static uint32_t file_base_addr(const struct table_cli *self) {
    struct baton_image_info info;
    if (self->len < BATON_IMAGE_HEADER_BYTES
            || self->data[0] != BATON_IMAGE_MAGIC) {
        return 0;
    }
    (void)baton_image_decode(self->data, self->len, &info);
    return baton_chip_bootloader_addr(info.header.chip_id);
}

static int try_table_at(struct table_cli *self, size_t off) {
    if (!is_row_at(self, off, 0xAA, 0x50)) {
        return BATON_ERR_TABLE_ABSENT;
    }
    size_t len = self->len - off;
    self->format = TABLE_FORMAT_FLASH;
    return parse_binary(
            self, off, len < BATON_TABLE_BYTES ? len : BATON_TABLE_BYTES);
}

// Finds the table in a flash image: where it belongs, or else at the first
// sector that holds one. A damaged one is told of where there is no good one.
static int search_flash(struct table_cli *self) {
    size_t damaged_off = self->options.table_addr;
    int err = try_table_at(self, damaged_off);
    int damage = err;
    for (size_t off = 0; err != 0 && off <= SEARCH_END;
            off += SEARCH_STEP_BYTES) {
        err = try_table_at(self, off);
        if (damage == BATON_ERR_TABLE_ABSENT) {
            damage = err;
            damaged_off = off;
        }
    }
    if (err != 0) {
        return damage != BATON_ERR_TABLE_ABSENT
                       ? try_table_at(self, damaged_off)
                       : BATON_ERR_TABLE_ABSENT;
    }
    if (!self->has_offset) {
        self->options.table_addr =
                file_base_addr(self) + (uint32_t)self->table_off;
        self->options.table_at_zero = self->options.table_addr == 0;
    }
    return 0;
}

static int parse(struct table_cli *self) {
    if (is_row_at(self, 0, 0xAA, 0x50)) {
        self->format = TABLE_FORMAT_BINARY;
        return parse_binary(self, 0, self->len);
    }
    // Every table has bytes of 0xFF, and no CSV has them but in UTF-16.
    bool may_be_flash = find_encoding(self) == NULL
                        && memchr(self->data, 0xFF, self->len) != NULL;
    int err = may_be_flash ? search_flash(self) : BATON_ERR_TABLE_ABSENT;
    return err == BATON_ERR_TABLE_ABSENT ? parse_csv(self) : err;
}

int table_cli_read(struct table_cli *self, const char *path) {
    self->path = path;
    self->options.variable = get_variable;
    self->options.crypto = baton_crypto_psa();
    self->options.hash = &self->hash;
    if (self->options.crypto == NULL) {
        return table_cli_refuse(self, BATON_ERR_CRYPTO);
    }
    if (!cli_read_file(path, &self->data, &self->len)) {
        bool is_there = access(path, F_OK) == 0;
        if (self->as_json) {
            table_cli_refuse(self, is_there ? BATON_ERR_IO : BATON_ERR_NOENT);
        }
        return CLI_REFUSED;
    }
    int err = parse(self);
    return err != 0 ? table_cli_refuse(self, err) : CLI_OK;
}

int table_cli_read_layout(struct table_cli *self, const char *name) {
    const char *csv = baton_table_layout_csv(name);
    if (csv == NULL) {
        cli_usage(self->command, "there is no layout '%s'", name);
        return CLI_USAGE;
    }
    self->path = name;
    self->options.crypto = baton_crypto_psa();
    self->options.hash = &self->hash;
    if (self->options.crypto == NULL) {
        return table_cli_refuse(self, BATON_ERR_CRYPTO);
    }
    self->data = (uint8_t *)strdup(csv);
    self->len = strlen(csv);
    int err = self->data != NULL ? parse_csv(self) : BATON_ERR_NOMEM;
    self->format = TABLE_FORMAT_LAYOUT;
    return err != 0 ? table_cli_refuse(self, err) : CLI_OK;
}

uint32_t table_cli_line(const struct table_cli *self, int row) {
    struct baton_table_fault fault;
    size_t count;
    if (self->format != TABLE_FORMAT_CSV || row < 0
            || (size_t)row >= BATON_TABLE_ROWS_MAX) {
        return 0;
    }
    // There is no room for just this row.
    struct baton_partition *rows = calloc((size_t)row + 1, sizeof(*rows));
    if (rows == NULL) {
        return 0;
    }
    (void)baton_table_parse_csv((const char *)self->data, self->len,
            &self->options, rows, (size_t)row, &count, &fault);
    free(rows);
    return fault.line;
}

int table_cli_verify(struct table_cli *self) {
    const struct baton_table_options *options = &self->options;
    if (!self->no_verify) {
        return baton_table_verify(
                self->rows, self->count, options, &self->fault);
    }
    if (options->flash_bytes == 0) {
        return 0;
    }
    return baton_table_verify_flash(
            self->rows, self->count, options->flash_bytes, &self->fault);
}

uint64_t table_cli_end_addr(const struct table_cli *self) {
    uint64_t end = 0;
    for (size_t i = 0; i < self->count; i++) {
        uint64_t row_end =
                (uint64_t)self->rows[i].addr + self->rows[i].size_bytes;
        end = row_end > end ? row_end : end;
    }
    return end;
}
