// The table of errors: every code has its words, and its own name.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "baton/error.h"

enum { LAST = -500, NET_FIRST = -399, NET_LAST = -370 };

static int is_known(int err) {
    return strcmp(baton_error_name(err), "BATON_ERR_UNKNOWN") != 0;
}

static void test_words(void **state) {
    (void)state;
    int count = 0;
    for (int err = 0; err >= LAST; err--) {
        const char *text = baton_strerror(err);
        if (!is_known(err)) {
            assert_string_equal(text, "unknown error");
            assert_string_equal(baton_error_hint(err), "");
            continue;
        }
        count++;
        assert_true(strlen(text) > 5);
        assert_int_not_equal(text[strlen(text) - 1], '.');
        for (int other = 0; other > err; other--) {
            assert_true(
                    !is_known(other)
                    || strcmp(baton_error_name(other), baton_error_name(err))
                               != 0);
        }
    }
    assert_true(count > 100);
}

// Whoever has no network in front of them needs the next step most.
static void test_network_hints(void **state) {
    (void)state;
    int count = 0;
    for (int err = NET_LAST; err >= NET_FIRST; err--) {
        if (is_known(err)) {
            count++;
            assert_true(strlen(baton_error_hint(err)) > 10);
        }
    }
    assert_int_equal(count, 26);
}

static void test_retryable(void **state) {
    static const int yes[] = {BATON_ERR_IO, BATON_ERR_AGAIN, BATON_ERR_NOMEM,
            BATON_ERR_READBACK, BATON_ERR_NET_DNS, BATON_ERR_NET_CONNECT,
            BATON_ERR_NET_RESET, BATON_ERR_NET_TIMEOUT, BATON_ERR_NET_STALLED,
            BATON_ERR_TLS, BATON_ERR_TLS_NOT_YET_VALID, BATON_ERR_TLS_CLOCK,
            BATON_ERR_HTTP_FORMAT, BATON_ERR_HTTP_BUSY, BATON_ERR_HTTP_CHANGED,
            BATON_ERR_HTTP_LENGTH};
    (void)state;
    int count = 0;
    for (int err = 0; err >= LAST; err--) {
        count += baton_error_is_retryable(err);
    }
    assert_int_equal(count, sizeof(yes) / sizeof(yes[0]));
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        assert_true(baton_error_is_retryable(yes[i]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_words),
            cmocka_unit_test(test_network_hints),
            cmocka_unit_test(test_retryable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
