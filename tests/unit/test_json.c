// The JSON reader: what it takes, what it refuses, how it walks.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "baton/error.h"
#include "baton/json.h"

static int check(const char *text) {
    return baton_json_check(text, strlen(text));
}

static void test_good(void **state) {
    (void)state;
    static const char *const good[] = {
            "{}",
            " \t\r\n{ } \n",
            "{\"a\":1}",
            "{ \"a\" : [ ] , \"b\" : { } }",
            "{\"a\":[1,[2,{\"a\":[]}],{\"a\":{}}],\"b\":\"\"}",
            "{\"a\":[{\"a\":0},{\"a\":0}],\"A\":{\"a\":0}}",
            "{\"\":null,\"a\":true,\"b\":false}",
            "{\"a\":[0,-0,1.5,-1e9,1E+10,0.0e-1,12345678901234567890]}",
            "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"}",
            "{\"caf\xC3\xA9\":\"\xF0\x9F\x98\x80 \x7F\"}",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (check(good[i]) != 0) {
            fail_msg("refused: %s", good[i]);
        }
        // Cut anywhere before its last brace it is not whole.
        size_t len = strlen(good[i]);
        size_t last = (size_t)(strrchr(good[i], '}') - good[i]);
        for (size_t cut = 0; cut < len; cut++) {
            assert_int_equal(baton_json_check(good[i], cut),
                    cut > last ? 0 : BATON_ERR_JSON_FORMAT);
        }
    }
}

static void test_bad(void **state) {
    (void)state;
    static const char *const bad[] = {"", " ", "[]", "1", "\"a\"", "null",
            "{}{}", "{} x", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
            "{\"a\":1 \"b\":2}", "{\"a\":1]", "{\"a\":[1}", "{\"a\":[1,]}",
            "{\"a\":[,1]}", "{a:1}", "{'a':1}", "{\"a\":01}", "{\"a\":-}",
            "{\"a\":+1}", "{\"a\":1.}", "{\"a\":.5}", "{\"a\":1e}",
            "{\"a\":0x1}", "{\"a\":NaN}", "{\"a\":Infinity}", "{\"a\":tru}",
            "{\"a\":True}", "{\"a\":truex}", "{\"a\":\"\n\"}",
            "{\"a\":\"\x01\"}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}",
            "{\"a\":\"\\u000g\"}", "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\\ud800\\u0041\"}", "{\"a\":\"\\udc00\"}",
            "{\"a\":\"\\udc00\\udc00\"}", "{\"a\":\"\\u0000\"}",
            "{\"\\u0061\":1}", "{\"a\\n\":1}", "{\"a\":\"\xC3\"}",
            "{\"a\":\"\xC0\x80\"}", "{\"a\":\"\xED\xA0\x80\"}",
            "\xEF\xBB\xBF{}", "{\"a\":1/**/}", "{\"a\":1}\x01", "{\"a\" 1}",
            "{\"a\"::1}", "{{}}", "{\"a\":\"b}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (check(bad[i]) != BATON_ERR_JSON_FORMAT) {
            fail_msg("%d: %s", check(bad[i]), bad[i]);
        }
    }
    assert_int_equal(baton_json_check("{}\0", 3), BATON_ERR_JSON_FORMAT);
    assert_int_equal(
            baton_json_check("{\"a\":\"\0\"}", 9), BATON_ERR_JSON_FORMAT);
}

static void test_duplicates(void **state) {
    (void)state;
    static const char *const bad[] = {"{\"a\":1,\"a\":1}",
            "{\"a\":1,\"b\":2,\"a\":3}", "{\"b\":{\"a\":1,\"a\":2}}",
            "{\"b\":[{},{\"x\":{\"a\":1}},{\"c\":0,\"a\":1,\"a\":2}]}",
            "{\"\":1,\"\":2}", "{\"a\":{\"x\":1},\"b\":[],\"a\":{}}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(check(bad[i]), BATON_ERR_JSON_DUPLICATE);
    }
}

static void test_limits(void **state) {
    (void)state;
    char text[1024];
    for (unsigned depth = 1; depth <= 40; depth++) {
        // {"a":[[[...]]]}
        strcpy(text, "{\"a\":");
        for (unsigned i = 1; i < depth; i++) {
            strcat(text, "[");
        }
        strcat(text, depth == 1 ? "0" : "");
        for (unsigned i = 1; i < depth; i++) {
            strcat(text, "]");
        }
        strcat(text, "}");
        assert_int_equal(check(text),
                depth <= BATON_JSON_DEPTH_MAX ? 0 : BATON_ERR_JSON_LIMIT);
    }
    for (unsigned names = 1; names <= 80; names++) {
        strcpy(text, "{");
        for (unsigned i = 0; i < names; i++) {
            snprintf(text + strlen(text), 16, "%s\"n%u\":0", i ? "," : "", i);
        }
        strcat(text, "}");
        assert_int_equal(check(text),
                names <= BATON_JSON_NAMES_MAX ? 0 : BATON_ERR_JSON_LIMIT);
    }
    // Names of objects that were left count no more.
    strcpy(text, "{\"a\":[0");
    for (unsigned i = 0; i < 40; i++) {
        strcat(text, ",{\"b\":0,\"c\":0}");
    }
    strcat(text, "]}");
    assert_int_equal(check(text), 0);
    static char large[BATON_JSON_BYTES_MAX + 2];
    memset(large, ' ', sizeof(large));
    large[0] = '{';
    large[1] = '}';
    assert_int_equal(baton_json_check(large, BATON_JSON_BYTES_MAX), 0);
    assert_int_equal(baton_json_check(large, BATON_JSON_BYTES_MAX + 1),
            BATON_ERR_JSON_LIMIT);
}

static struct baton_json whole(char *text) {
    assert_int_equal(check(text), 0);
    return (struct baton_json){text, text + strlen(text)};
}

static void test_walk(void **state) {
    (void)state;
    char text[] = "{ \"a\" : \"x,}\\\"]\" ,\"b\":[1 , {\"c\":[]},\"\\\\\"],"
                  "\"d\":{\"e\":5},\"f\":-1.5e3 }";
    static const char *const names[] = {"a", "b", "d", "f"};
    static const char *const values[] = {
            "\"x,}\\\"]\"", "[1 , {\"c\":[]},\"\\\\\"]", "{\"e\":5}", "-1.5e3"};
    struct baton_json document = whole(text);
    struct baton_json_walk walk;
    struct baton_json name;
    struct baton_json value;
    assert_true(baton_json_walk_begin(&walk, &document));
    for (size_t i = 0; i < 4; i++) {
        assert_true(baton_json_walk_next(&walk, &name, &value));
        assert_true(baton_json_is_named(&name, names[i]));
        assert_int_equal(value.end - value.at, strlen(values[i]));
        assert_memory_equal(value.at, values[i], strlen(values[i]));
    }
    assert_false(baton_json_walk_next(&walk, &name, &value));
    assert_false(baton_json_walk_next(&walk, &name, &value));

    assert_true(baton_json_find(&document, "b", &value));
    assert_true(baton_json_walk_begin(&walk, &value));
    unsigned count = 0;
    while (baton_json_walk_next(&walk, &name, &value)) {
        count++;
    }
    assert_int_equal(count, 3);
    assert_false(baton_json_find(&document, "c", &value));
    assert_true(baton_json_find(&document, "d", &value));
    assert_true(baton_json_find(&value, "e", &value));
    assert_false(baton_json_walk_begin(&walk, &value));
    assert_false(baton_json_find(&value, "e", &value));
}

static void test_numbers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t most;
        int is_good;
        uint64_t value;
    } cases[] = {{"0", 0, 1, 0}, {"1", 0, 0, 0}, {"10", 10, 1, 10},
            {"11", 10, 0, 0}, {"255", 255, 1, 255}, {"256", 255, 0, 0},
            {"4294967295", UINT32_MAX, 1, UINT32_MAX},
            {"4294967296", UINT32_MAX, 0, 0},
            {"18446744073709551615", UINT64_MAX, 1, UINT64_MAX},
            {"18446744073709551616", UINT64_MAX, 0, 0},
            {"99999999999999999999999", UINT64_MAX, 0, 0},
            {"-1", UINT64_MAX, 0, 0}, {"-0", UINT64_MAX, 0, 0},
            {"1.0", UINT64_MAX, 0, 0}, {"1e1", UINT64_MAX, 0, 0},
            {"true", UINT64_MAX, 0, 0}, {"\"1\"", UINT64_MAX, 0, 0},
            {"[]", UINT64_MAX, 0, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[64];
        snprintf(text, sizeof(text), "{\"n\":%s}", cases[i].text);
        struct baton_json document = whole(text);
        struct baton_json value;
        uint64_t number = 77;
        assert_true(baton_json_find(&document, "n", &value));
        assert_int_equal(baton_json_read_number(&value, cases[i].most, &number),
                cases[i].is_good);
        assert_true(number == (cases[i].is_good ? cases[i].value : 77));
    }
}

static void test_texts(void **state) {
    (void)state;
    char text[] = "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC"
                  "\\ud83d\\ude00\\u0041z\",\"b\":\"\",\"c\":7}";
    static const char wanted[] =
            "\"\\/\b\f\n\r\t\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"
            "Az";
    struct baton_json document = whole(text);
    struct baton_json value;
    const char *out;
    size_t len;
    assert_true(baton_json_find(&document, "a", &value));
    assert_false(baton_json_read_text(&value, sizeof(wanted) - 2, &out, &len));
    assert_true(baton_json_read_text(&value, sizeof(wanted) - 1, &out, &len));
    assert_string_equal(out, wanted);
    assert_int_equal(len, sizeof(wanted) - 1);

    char other[] = "{\"b\":\"\",\"c\":7}";
    document = whole(other);
    assert_true(baton_json_find(&document, "c", &value));
    assert_false(baton_json_read_text(&value, 10, &out, &len));
    assert_true(baton_json_find(&document, "b", &value));
    assert_true(baton_json_read_text(&value, 0, &out, &len));
    assert_string_equal(out, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_good),
            cmocka_unit_test(test_bad),
            cmocka_unit_test(test_duplicates),
            cmocka_unit_test(test_limits),
            cmocka_unit_test(test_walk),
            cmocka_unit_test(test_numbers),
            cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
