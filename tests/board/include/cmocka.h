// As much of cmocka as the C tests use, for running them on a board.
// SPDX-License-Identifier: MIT
#ifndef BOARD_CMOCKA_H
#define BOARD_CMOCKA_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
    int (*setup)(void **state);
};

#define cmocka_unit_test(f)                                                    \
    { #f, f, NULL }
#define cmocka_unit_test_setup(f, setup)                                       \
    { #f, f, setup }

// The number of tests that failed. `before` is called once, first of all; NULL:
// nothing is.
int board_run_tests(const struct CMUnitTest *tests, size_t count,
        int (*before)(void **state));
#define cmocka_run_group_tests(tests, before, after)                           \
    ((void)(after), board_run_tests(tests, sizeof(tests) / sizeof((tests)[0]), \
                            before))

// Ends the test that runs.
_Noreturn void board_fail_test(
        const char *file, int line, const char *format, ...);
#define fail_msg(...) board_fail_test(__FILE__, __LINE__, __VA_ARGS__)

void print_message(const char *format, ...);

#define BOARD_CHECK(condition)                                                 \
    ((condition) ? (void)0                                                     \
                 : board_fail_test(__FILE__, __LINE__, "%s", #condition))
#define BOARD_NUMBER(x) ((uintmax_t)(x))

#define assert_true(x)         BOARD_CHECK(x)
#define assert_false(x)        BOARD_CHECK(!(x))
#define assert_null(x)         BOARD_CHECK((x) == NULL)
#define assert_non_null(x)     BOARD_CHECK((x) != NULL)
#define assert_ptr_equal(a, b) BOARD_CHECK((a) == (b))
#define assert_int_not_equal(a, b)                                             \
    BOARD_CHECK(BOARD_NUMBER(a) != BOARD_NUMBER(b))
#define assert_in_range(x, from, to)                                           \
    board_assert_range(BOARD_NUMBER(x), BOARD_NUMBER(from), BOARD_NUMBER(to),  \
            __FILE__, __LINE__)
#define assert_memory_equal(a, b, n) BOARD_CHECK(memcmp(a, b, n) == 0)
#define assert_string_equal(a, b)    board_assert_text(a, b, __FILE__, __LINE__)
#define assert_int_equal(a, b)                                                 \
    board_assert_number(BOARD_NUMBER(a), BOARD_NUMBER(b), __FILE__, __LINE__)

void board_assert_text(
        const char *a, const char *b, const char *file, int line);
void board_assert_number(uintmax_t a, uintmax_t b, const char *file, int line);
void board_assert_range(
        uintmax_t x, uintmax_t from, uintmax_t to, const char *file, int line);

#endif
