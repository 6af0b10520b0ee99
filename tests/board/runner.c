// Runs C tests on the board: no operating system, a heap that is never given
// back, results on the UART, the exit status through the board's own switch.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <psa/crypto.h>

#include "baton-freestanding/crypto.h"
#include "baton-posix/crypto.h"
#include "board.h"

_Noreturn void board_main(void);
_Noreturn void board_trap(uint32_t cause, uint32_t pc, uint32_t value);
int main(void);
void *sbrk(ptrdiff_t count);

extern char board_heap_start[];
extern char board_heap_end[];
extern char board_thread_start[];

static jmp_buf test_end;
static char text[256];

static int put_char(char c, FILE *file) {
    (void)file;
    char one[2] = {c, 0};
    board_print(one);
    return 0;
}

static FILE uart = FDEV_SETUP_STREAM(put_char, NULL, NULL, _FDEV_SETUP_WRITE);
FILE *const stdout = &uart;
FILE *const stderr = &uart;

void abort(void) {
    board_print("board: abort\n");
    board_fail();
}

void *sbrk(ptrdiff_t count) {
    static char *next = board_heap_start;
    char *was = next;
    if (count > board_heap_end - next) {
        return (void *)-1;
    }
    next += count;
    return was;
}

_Noreturn void board_fail_test(
        const char *file, int line, const char *format, ...) {
    snprintf(text, sizeof(text), "%s:%d: ", file, line);
    board_print(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    board_print(text);
    board_print("\n");
    longjmp(test_end, 1);
}

void print_message(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    board_print(text);
}

void board_assert_text(
        const char *a, const char *b, const char *file, int line) {
    if (strcmp(a, b) != 0) {
        board_fail_test(file, line, "\"%s\" is not \"%s\"", a, b);
    }
}

void board_assert_number(uintmax_t a, uintmax_t b, const char *file, int line) {
    if (a != b) {
        board_fail_test(file, line, "%ld (0x%lx) is not %ld (0x%lx)", (long)a,
                (unsigned long)a, (long)b, (unsigned long)b);
    }
}

void board_assert_range(
        uintmax_t x, uintmax_t from, uintmax_t to, const char *file, int line) {
    if (x < from || x > to) {
        board_fail_test(file, line, "%ld is not from %ld to %ld", (long)x,
                (long)from, (long)to);
    }
}

static int run_test(const struct CMUnitTest *test) {
    static void *state;
    if (setjmp(test_end) != 0) {
        snprintf(text, sizeof(text), "FAILED %s\n", test->name);
        board_print(text);
        return 1;
    }
    state = NULL;
    if (test->setup != NULL && test->setup(&state) != 0) {
        board_fail_test(test->name, 0, "its setup failed");
    }
    test->run(&state);
    return 0;
}

int board_run_tests(const struct CMUnitTest *tests, size_t count,
        int (*before)(void **state)) {
    void *state = NULL;
    if (before != NULL && before(&state) != 0) {
        board_print("board: what comes before the tests failed\n");
        return 1;
    }
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        failed += run_test(&tests[i]);
    }
    snprintf(text, sizeof(text), "board: %d passed, %d failed\n",
            (int)count - failed, failed);
    board_print(text);
    return failed;
}

void board_main(void) {
    __asm volatile("mv tp, %0" ::"r"(board_thread_start));
    board_uart_begin();
    if (main() != 0) {
        board_fail();
    }
    board_power_off();
}

void board_trap(uint32_t cause, uint32_t pc, uint32_t value) {
    snprintf(text, sizeof(text), "board: trap %lx at %lx, value %lx\n",
            (unsigned long)cause, (unsigned long)pc, (unsigned long)value);
    board_print(text);
    board_fail();
}

// ---- Where the tests ask for mbed TLS ------------------------------------

const struct baton_crypto *baton_crypto_psa(void) {
    static struct baton_crypto own;
    baton_crypto_init(&own);
    return &own;
}

psa_status_t psa_crypto_init(void) {
    return PSA_SUCCESS;
}

psa_status_t psa_hash_compute(int algorithm, const uint8_t *data, size_t len,
        uint8_t *hash, size_t hash_size, size_t *hash_len) {
    (void)algorithm;
    (void)hash_size;
    baton_digest_sha256(data, len, hash);
    *hash_len = BATON_SHA256_BYTES;
    return PSA_SUCCESS;
}
