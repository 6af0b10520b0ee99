// The partition table as CSV: grammar, placing, and the text that is written.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton/error.h"
#include "baton/table.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ROWS            16u

struct parsed {
    int err;
    struct baton_partition rows[ROWS];
    size_t count;
    struct baton_table_fault fault;
};

static const char *get_variable(void *context, const char *name, size_t len) {
    static const char *const variables[][2] = {
            {"SIZE", "0x3000"},
            {"A", "1"},
            {"1", "one"},
            {"COMMAS", "v,data,fat,,4K"},
            {"EMPTY", ""},
            {"HASH", "# no row"},
            {"DOLLAR", "$A"},
            {"UNKNOWN", "$NOBODY"},
            {"SPACE", " \t "},
            {"LINES", "x\ny"},
            {"a b", "spaced"},
            {"BYTES", "\xC3("},
            {"_", "low"},
            {"K", "K"},
    };
    (void)context;
    for (size_t i = 0; i < COUNT_OF(variables); i++) {
        if (strlen(variables[i][0]) == len
                && memcmp(variables[i][0], name, len) == 0) {
            return variables[i][1];
        }
    }
    return NULL;
}

// The text is copied to memory of its own length, so that a sanitizer sees a
// read past its end.
static void parse_bytes(struct parsed *out, const char *text, size_t len,
        const struct baton_table_options *options) {
    char *copy = malloc(len + (len == 0));
    memcpy(copy, text, len);
    out->err = baton_table_parse_csv(
            copy, len, options, out->rows, ROWS, &out->count, &out->fault);
    free(copy);
}

static void parse(struct parsed *out, const char *text) {
    struct baton_table_options options = {.variable = get_variable};
    parse_bytes(out, text, strlen(text), &options);
}

static void test_row(void **state) {
    (void)state;
    struct parsed p;
    parse(&p, "vfs, data, fat, 0x110000, 1M, encrypted:readonly\n");
    assert_int_equal(p.err, 0);
    assert_int_equal(p.count, 1);
    assert_string_equal(p.rows[0].label, "vfs");
    assert_int_equal(p.rows[0].name_rest, 0);
    assert_int_equal(p.rows[0].type, 1);
    assert_int_equal(p.rows[0].subtype, 0x81);
    assert_int_equal(p.rows[0].addr, 0x110000);
    assert_int_equal(p.rows[0].size_bytes, 0x100000);
    assert_int_equal(p.rows[0].flags, 3);
    assert_int_equal(p.fault.line, 0);
    assert_int_equal(p.fault.row, -1);
    assert_int_equal(p.fault.field, -1);
}

// What is refused, and where the fault is said to be.
static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int err;
        uint32_t line;
        int field;
        const char *fault;
    } cases[] = {
            {"n", BATON_ERR_CSV_FIELD, 1, 1, ""},
            {"n,", BATON_ERR_CSV_FIELD, 1, 1, ""},
            {"\n\n n,app,,,1M", BATON_ERR_CSV_FIELD, 3, 2, ""},
            {"n,0,,,1M", BATON_ERR_CSV_FIELD, 1, 2, ""},
            {"n,data,,", BATON_ERR_CSV_FIELD, 1, 4, ""},
            {"n,data,,,", BATON_ERR_CSV_FIELD, 1, 4, ""},
            {"n,date,,,4K", BATON_ERR_CSV_KEYWORD, 1, 1, "date"},
            {"n,data,ota_0,,4K", BATON_ERR_CSV_KEYWORD, 1, 2, "ota_0"},
            {"n,64,fat,,4K", BATON_ERR_CSV_KEYWORD, 1, 2, "fat"},
            {"n,app,ota_16,,4K", BATON_ERR_CSV_KEYWORD, 1, 2, "ota_16"},
            {"n,data,,here,4K", BATON_ERR_CSV_NUMBER, 1, 3, "here"},
            {"n,data,,,4 K B", BATON_ERR_CSV_NUMBER, 1, 4, "4 K B"},
            {"n,data,,,k", BATON_ERR_CSV_NUMBER, 1, 4, "k"},
            {"n,256,1,,4K", BATON_ERR_CSV_RANGE, 1, 1, "256"},
            {"n,-1,1,,4K", BATON_ERR_CSV_RANGE, 1, 1, "-1"},
            {"n,1,256,,4K", BATON_ERR_CSV_RANGE, 1, 2, "256"},
            {"n,datak,1,,4K", BATON_ERR_CSV_RANGE, 1, 1, "datak"},
            {"n,1,1,0x100000000,4K", BATON_ERR_CSV_RANGE, 1, 3, "n"},
            {"n,1,1,,0x100000000", BATON_ERR_CSV_RANGE, 1, 4, "n"},
            {"n,1,1,,4K,secret", BATON_ERR_CSV_FLAG, 1, 5, "secret"},
            {"n,1,1,,4K,Encrypted", BATON_ERR_CSV_FLAG, 1, 5, "Encrypted"},
            {"n,1,1,,4K,readonly : encrypted", BATON_ERR_CSV_FLAG, 1, 5,
                    "readonly "},
            {"b,bootloader,primary", BATON_ERR_CSV_OFFSET, 1, 3, ""},
            {"b,bootloader,recovery,9", BATON_ERR_CSV_OFFSET, 1, 3, "9"},
            {"b,bootloader,ota,,N/A", BATON_ERR_CSV_OFFSET, 1, 4, "N/A"},
            {"# a\n$NOBODY # b", BATON_ERR_CSV_VARIABLE, 2, 0, "$NOBODY # b"},
            {"n,1,1,,4K\r\nm,1,1,0x9000,4K", BATON_ERR_TABLE_OVERLAP, 2, -1,
                    "m"},
            {"n,1,1,0x8fff,4K", BATON_ERR_TABLE_OVERLAP, 1, -1, "n"},
            {"n,1,1,-1,4K", BATON_ERR_TABLE_OVERLAP, 1, -1, "n"},
            {"\n\xFF", BATON_ERR_CSV_TEXT, 2, -1, ""},
            {"n,1,1,,4K\r\r\n# \xC3(", BATON_ERR_CSV_TEXT, 3, -1, ""},
            {"$BYTES,1,1,,4K", BATON_ERR_CSV_TEXT, 1, 0, "("},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct parsed p;
        parse(&p, cases[i].text);
        if (p.err != cases[i].err || p.fault.line != cases[i].line
                || p.fault.field != cases[i].field
                || strcmp(p.fault.text, cases[i].fault) != 0) {
            fail_msg("%s: %d, line %u, field %d, '%s'", cases[i].text, p.err,
                    (unsigned)p.fault.line, p.fault.field, p.fault.text);
        }
        assert_int_equal(
                baton_table_parse_csv(cases[i].text, strlen(cases[i].text),
                        &(struct baton_table_options){.variable = get_variable},
                        p.rows, ROWS, &p.count, NULL),
                p.err);
    }
}

// The number a field may hold, through the size of a row at address 0x9000.
static void test_numbers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t value; // -1: refused
    } cases[] = {
            {"0", 0}, {"00", 0}, {"0_0", 0}, {"-0", 0}, {"+7", 7}, {"10", 10},
            {"010", -1}, {"1_0", 10}, {"1__0", -1}, {"_1", -1}, {"1_", -1},
            {"0x1F", 31}, {"0X1f", 31}, {"0x_1", 1}, {"0x__1", -1},
            {"0x1_", -1}, {"0x", -1}, {"0x_", -1}, {"0xg", -1}, {"0o17", 15},
            {"0O17", 15}, {"0o8", -1}, {"0b101", 5}, {"0B101", 5}, {"0b2", -1},
            {"0b", -1}, {"- 1", -1}, {"--1", -1}, {"+-1", -1}, {"+", -1},
            {"0b12", -1}, // the first digit too large for each base
            {"0o18", -1}, {"1a", -1}, {"0x1g", -1}, {"1.5", -1}, {"1e3", -1},
            {"4k", 0x1000}, {"4K", 0x1000}, {"1m", 0x100000}, {"1M", 0x100000},
            {"1kk", 0x100000}, {"1km", 0x40000000}, {"1mk", 0x40000000},
            {"1MM", -1}, {"0MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM", 0},
            {"1 k", 1024}, {"1\tk", 1024}, {"1k k", -1}, {"1 k k", -1},
            {"0x10k", 0x4000}, {"k", -1}, {"kk", -1}, {"0x1\x1Fk", -1},
            {"4\xE2\x84\xAA", 0x1000}, // Kelvin sign
            {"\xEF\xBC\x91", 1},       // full-width 1
            {"\xD9\xA1\xD9\xA0", 10},  // Arabic-Indic 10
            {"\xF0\x9D\x9F\x97", 9},   // mathematical 9
            {"\xEF\xBC\x90x10", 16},   // full-width 0
            {"1\xE3\x80\x80k", 1024},  // ideographic space
            {"1\xC2\xA0k", 1024},      // no-break space
            {"\xC2\xB2", -1},          // superscript 2: no digit
            {"\xE2\x85\xA4", -1},      // Roman five: no digit
            {"1\x7F", -1}, {"4294967295", 0xFFFFFFFF}, {"4294967296", -1},
            {"0xFFFFFFFF", 0xFFFFFFFF}, {"0x100000000", -1},
            {"18446744073709551616", -1}, // 2^64
            {"18446744073709551617", -1},
            {"99999999999999999999999999999999999999", -1},
            {"0x00000000000000000000000000000000000000000000000000000001", 1},
            {"-0x9000", 0}, {"-0xA000", 0x1000}, {"-40K", 0x1000},
            {"-0x8FFF", -1}, {"-0x100008FFF", 0xFFFFFFFF}, {"-0x100009000", -1},
            {"-1M", 0xF7000}, {"-18446744073709588480", -1}, // -(2^64 + 0x9000)
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct parsed p;
        char text[128];
        snprintf(text, sizeof(text), "n,1,1,,%s", cases[i].text);
        parse(&p, text);
        bool is_right =
                cases[i].value < 0
                        ? p.err == BATON_ERR_CSV_NUMBER
                                  || p.err == BATON_ERR_CSV_RANGE
                        : p.err == 0 && p.rows[0].size_bytes == cases[i].value;
        if (!is_right) {
            fail_msg("%s: %d, 0x%x", cases[i].text, p.err,
                    (unsigned)p.rows[0].size_bytes);
        }
    }
}

// Every type and subtype by number and by keyword, in either case.
static void test_keywords(void **state) {
    (void)state;
    struct baton_table_options options = {.has_primary = true,
            .has_recovery = true,
            .recovery_bootloader_addr = 0x10000};
    for (unsigned kind = 0; kind < 0x10000; kind++) {
        uint8_t type = (uint8_t)(kind >> 8);
        uint8_t subtype = (uint8_t)kind;
        const char *name = baton_table_subtype_name(type, subtype);
        struct parsed p;
        char text[64];
        snprintf(text, sizeof(text), "n,%u,0x%X,,4K", type, subtype);
        parse_bytes(&p, text, strlen(text), &options);
        assert_int_equal(p.err, 0);
        assert_int_equal(p.rows[0].type, type);
        assert_int_equal(p.rows[0].subtype, subtype);
        if (name == NULL) {
            continue;
        }
        snprintf(text, sizeof(text), "n,%s,%s,,4K", baton_table_type_name(type),
                name);
        for (int upper = 0; upper < 2; upper++) {
            for (char *c = text + 2; upper && *c != 0; c++) {
                *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
            }
            parse_bytes(&p, text, strlen(text), &options);
            assert_int_equal(p.err, 0);
            assert_int_equal(p.rows[0].type, type);
            assert_int_equal(p.rows[0].subtype, subtype);
        }
    }
}

// A suffix multiplies a keyword too, which only zero survives.
static void test_keyword_suffixes(void **state) {
    (void)state;
    struct parsed p;
    parse(&p, "a,appk,factoryM,,64K\nb,APPkm,\n");
    assert_int_equal(p.err, BATON_ERR_CSV_FIELD);
    assert_int_equal(p.fault.line, 2);
    assert_int_equal(p.rows[0].type, 0);
    assert_int_equal(p.rows[0].subtype, 0);
    parse(&p, "a,data,nvs_\xE2\x84\xAA"
              "eys,,4K");
    assert_int_equal(p.err, 0);
    assert_int_equal(p.rows[0].subtype, 4);
    parse(&p, "a,data,\xE2\x84\xAA,,4K");
    assert_int_equal(p.err, BATON_ERR_CSV_KEYWORD);
    parse(&p, "a,app k,1,,4K");
    assert_int_equal(p.err, BATON_ERR_CSV_KEYWORD);
}

static void test_empty_subtype(void **state) {
    (void)state;
    for (unsigned type = 0; type < 0x100; type++) {
        struct baton_table_options options = {.has_primary = true};
        struct parsed p;
        char text[32];
        snprintf(text, sizeof(text), "n,%u,,,4K", type);
        parse_bytes(&p, text, strlen(text), &options);
        assert_int_equal(p.err, type == 0 ? BATON_ERR_CSV_FIELD : 0);
        if (type != 0) {
            assert_int_equal(p.rows[0].subtype, 6);
        }
    }
}

static void test_lines(void **state) {
    (void)state;
    static const struct {
        const char *end;
        bool is_end;
    } ends[] = {
            {"\n", true},
            {"\r", true},
            {"\r\n", true},
            {"\v", true},
            {"\f", true},
            {"\x1C", true},
            {"\x1D", true},
            {"\x1E", true},
            {"\xC2\x85", true},
            {"\xE2\x80\xA8", true},
            {"\xE2\x80\xA9", true},
            {"\x1F", false},
            {"\t", false},
            {"\xE2\x80\xAA", false},
            {"\xC2\x86", false},
    };
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        struct parsed p;
        char text[64];
        snprintf(text, sizeof(text), "# c%sa,1,1,,4K%sb", ends[i].end,
                ends[i].end);
        parse(&p, text);
        assert_int_equal(p.err, ends[i].is_end ? BATON_ERR_CSV_FIELD : 0);
        assert_int_equal(p.fault.line, ends[i].is_end ? 3 : 0);
        assert_int_equal(p.count, ends[i].is_end ? 1 : 0);
    }
    struct parsed p;
    parse(&p, "\n\r\n\n\r\r# x\n  \t# y\n \x1F \n,\n");
    assert_int_equal(p.fault.line, 9);
    parse(&p, "");
    assert_int_equal(p.err, 0);
    assert_int_equal(p.count, 0);
    parse(&p, "\xEF\xBB\xBF");
    assert_int_equal(p.err, 0);
}

// There are no trailing comments and no quotes.
static void test_text_is_taken_as_it_is(void **state) {
    (void)state;
    struct parsed p;
    parse(&p, "\"a\",1,1,,4K\nb # c,1,1,,4K,,rest,is,ignored\n,1,1,,4K\n");
    assert_int_equal(p.err, 0);
    assert_int_equal(p.count, 3);
    assert_string_equal(p.rows[0].label, "\"a\"");
    assert_string_equal(p.rows[1].label, "b # c");
    assert_string_equal(p.rows[2].label, "");
    parse(&p, "b,1,1,,4K # c\n");
    assert_int_equal(p.err, BATON_ERR_CSV_NUMBER);
    // One byte order mark is none of the text, a second one is a letter.
    parse(&p, "\xEF\xBB\xBF# c\n\xEF\xBB\xBFx,1,1,,4K");
    assert_int_equal(p.err, 0);
    assert_string_equal(p.rows[0].label, "\xEF\xBB\xBFx");
}

static void test_white_space(void **state) {
    (void)state;
    static const char *const spaces[] = {" ", "\t", "\x1F", "\xC2\xA0",
            "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x8A", "\xE2\x80\xAF",
            "\xE2\x81\x9F", "\xE3\x80\x80"};
    static const char *const letters[] = {"\x08", "\x7F", "\xC2\xAD",
            "\xE2\x80\x8B", "\xE2\x81\xA0", "\xEF\xBB\xBF"};
    for (size_t i = 0; i < COUNT_OF(spaces) + COUNT_OF(letters); i++) {
        bool is_space = i < COUNT_OF(spaces);
        const char *s = is_space ? spaces[i] : letters[i - COUNT_OF(spaces)];
        struct parsed p;
        char text[96];
        char label[16];
        snprintf(text, sizeof(text), "\n%s%sa%sb%s,1,%s1%s%s,,4K%s", s, s, s, s,
                is_space ? s : "", is_space ? s : "", is_space ? s : "",
                is_space ? s : "");
        snprintf(label, sizeof(label), "%s%sa%sb%s", is_space ? "" : s,
                is_space ? "" : s, s, is_space ? "" : s);
        parse(&p, text);
        assert_int_equal(p.err, 0);
        assert_string_equal(p.rows[0].label, label);
        snprintf(text, sizeof(text), "\n%s# c", s);
        parse(&p, text);
        assert_int_equal(p.err, is_space ? 0 : BATON_ERR_CSV_FIELD);
    }
}

static void test_names(void **state) {
    (void)state;
    struct parsed p;
    parse(&p, "fifteen_letters,1,1,,4K\n"
              "sixteen_letters_,1,1,,4K\n"
              "sixteen_letters_a,1,1,,4K\n"
              "sixteen_letters_b,1,1,,4K\n"
              "fifteen_letters\xC3\xA9,1,1,,4K\n");
    assert_int_equal(p.err, 0);
    assert_string_equal(p.rows[0].label, "fifteen_letters");
    for (size_t i = 1; i < 4; i++) {
        assert_string_equal(p.rows[i].label, "sixteen_letters_");
    }
    assert_string_equal(p.rows[4].label, "fifteen_letters\xC3");
    assert_int_equal(p.rows[1].name_rest, 0);
    assert_true(p.rows[2].name_rest != 0);
    assert_true(p.rows[3].name_rest != 0);
    assert_true(p.rows[2].name_rest != p.rows[3].name_rest);
    assert_int_equal(baton_table_verify(p.rows, 5, NULL, NULL), 0);

    // Zero bytes are part of a name, in the binary table too.
    struct baton_table_options options = {.no_md5 = true};
    uint8_t out[BATON_TABLE_BYTES];
    static const char zeros[] = "a\0b,1,1,,4K\na,1,1,,4K\na\0,1,1,,4K";
    parse_bytes(&p, zeros, sizeof(zeros) - 1, &options);
    assert_int_equal(p.err, 0);
    assert_int_equal(baton_table_verify(p.rows, 3, NULL, NULL), 0);
    assert_int_equal(baton_table_encode(p.rows, 3, &options, out), 0);
    assert_memory_equal(out + 12, "a\0b\0", 4);
}

static void test_variables(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int err;
        const char *label; // of the only row; NULL: no row
    } cases[] = {
            {"a,1,1,,$SIZE", 0, "a"},
            {"a,1,1,,${SIZE}", 0, "a"},
            {"a,1,1,,4${K}", 0, "a"},
            {"$COMMAS", 0, "v"},
            {"$1,1,1,,4K", 0, "one"},
            {"$_,1,1,,4K", 0, "low"},
            {"x$A,1,1,,4K", 0, "x1"},
            {"x${A}1,1,1,,4K", 0, "x11"},
            {"x$A1,1,1,,4K", 0, "x$A1"}, // the longest name is the name
            {"x$A9,1,1,,4K", 0, "x$A9"},
            {"x$Az,1,1,,4K", 0, "x$Az"},
            {"x$A-,1,1,,4K", 0, "x1-"},
            {"\xC2\x80\xDF\xBF\xE0\xA0\x80,1,1,,4K", 0,
                    "\xC2\x80\xDF\xBF\xE0\xA0\x80"},
            {"${a b},1,1,,4K", 0, "spaced"},
            {"x$,1,1,,4K", 0, "x$"},
            {"x${},1,1,,4K", 0, "x${}"},
            {"x${A,1,1,,4K", 0, "x${A"},
            {"x${A$A},1,1,,4K", 0, "x${A$A}"}, // nothing inside a name
            {"x$$A,1,1,,4K", 0, "x$1"},
            {"x\\$A,1,1,,4K", 0, "x\\1"},   // a backslash does not protect
            {"x$DOLLAR,1,1,,4K", 0, "x$A"}, // values are not looked into
            {"$EMPTY$SPACE", 0, NULL},
            {"$HASH", 0, NULL},
            {" $HASH", 0, NULL},
            {"$LINES,1,1,,4K", 0, "x\ny"},
            // A line may not begin with an unknown one; elsewhere it stays.
            {"# $NOBODY", 0, NULL},
            {" $NOBODY,1,1,,4K", 0, "$NOBODY"},
            {"x$NOBODY,1,1,,4K", 0, "x$NOBODY"},
            {"$NOBODY", BATON_ERR_CSV_VARIABLE, NULL},
            {"$UNKNOWN,1,1,,4K", BATON_ERR_CSV_VARIABLE, NULL},
            {"$DOLLAR,1,1,,4K", BATON_ERR_CSV_VARIABLE, NULL},
            {"${NOBODY},1,1,,4K", 0, "${NOBODY}"},
            {"$2,1,1,,4K", 0, "$2"},
            {"$\xE2\x84\xAA,1,1,,4K", 0, "$\xE2\x84\xAA"},
            {"\\$NOBODY,1,1,,4K", 0, "\\$NOBODY"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct parsed p;
        parse(&p, cases[i].text);
        bool is_right =
                p.err == cases[i].err
                && p.count == (cases[i].label != NULL ? 1 : 0)
                && (p.count == 0
                        || strcmp(p.rows[0].label, cases[i].label) == 0);
        if (!is_right) {
            fail_msg("%s: %d, %zu rows, '%s'", cases[i].text, p.err, p.count,
                    p.rows[0].label);
        }
    }
    // Without a callback no variable is known.
    struct parsed p;
    parse_bytes(&p, "x$A,1,1,,4K", 11, NULL);
    assert_string_equal(p.rows[0].label, "x$A");
}

static void test_flags(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint32_t flags;
    } cases[] = {
            {"", 0},
            {"encrypted", 1},
            {"readonly", 2},
            {"readonly:encrypted", 3},
            {"encrypted:encrypted", 1},
            {":", 0},
            {"::readonly:", 2},
            {" encrypted ", 1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct parsed p;
        char text[64];
        snprintf(text, sizeof(text), "a,1,1,,4K,%s", cases[i].text);
        parse(&p, text);
        assert_int_equal(p.err, 0);
        assert_int_equal(p.rows[0].flags, cases[i].flags);
    }
}

// A fault keeps as much of a field as fits, whole letters only.
static void test_fault_text(void **state) {
    (void)state;
    for (size_t lead = 0; lead < 8; lead++) {
        struct parsed p;
        char text[256] = "n,1,1,,";
        for (size_t i = 0; i < lead; i++) {
            strcat(text, "x");
        }
        for (size_t i = 0; i < 20; i++) {
            strcat(text, "\xE2\x82\xAC");
        }
        parse(&p, text);
        assert_int_equal(p.err, BATON_ERR_CSV_NUMBER);
        size_t len = strlen(p.fault.text);
        assert_in_range(len, 40, sizeof(p.fault.text) - 1);
        assert_int_equal((len - lead) % 3, 0);
        assert_memory_equal(p.fault.text, text + 7, len);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_row),
            cmocka_unit_test(test_refused),
            cmocka_unit_test(test_numbers),
            cmocka_unit_test(test_keywords),
            cmocka_unit_test(test_keyword_suffixes),
            cmocka_unit_test(test_empty_subtype),
            cmocka_unit_test(test_lines),
            cmocka_unit_test(test_text_is_taken_as_it_is),
            cmocka_unit_test(test_white_space),
            cmocka_unit_test(test_names),
            cmocka_unit_test(test_variables),
            cmocka_unit_test(test_flags),
            cmocka_unit_test(test_fault_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
