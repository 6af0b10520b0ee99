// The board file beside a flash: defaults, refusals, and what is left when the
// process that writes is killed.
// SPDX-License-Identifier: MIT
#define _DEFAULT_SOURCE

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "baton-posix/board.h"
#include "baton/error.h"

#define SIZE_BYTES 0x100000u

static uint8_t bytes[SIZE_BYTES];
static uint8_t old_bytes[SIZE_BYTES];
static char dir[40];
static char path[64];

static uint32_t next_random(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void fill(uint8_t *to, size_t len, uint32_t seed) {
    for (size_t i = 0; i < len; i++) {
        to[i] = (uint8_t)next_random(&seed);
    }
}

static int make_flash_file(void **context) {
    (void)context;
    strcpy(dir, "/tmp/baton-nor-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/dev.bin", dir);
    FILE *file = fopen(path, "wb");
    memset(bytes, 0xFF, SIZE_BYTES);
    size_t n = file != NULL ? fwrite(bytes, 1, SIZE_BYTES, file) : 0;
    return file != NULL && fclose(file) == 0 && n == SIZE_BYTES ? 0 : -1;
}

static int remove_flash_file(void **context) {
    (void)context;
    char board[80];
    snprintf(board, sizeof(board), "%s.board", path);
    unlink(board);
    unlink(path);
    return rmdir(dir);
}

static void test_board_defaults(void **context) {
    (void)context;
    struct baton_board_state peeked;
    assert_int_equal(baton_board_peek(path, &peeked), BATON_ERR_NOENT);
    struct baton_board board;
    assert_int_equal(baton_board_open(&board, path), 0);
    assert_int_equal(board.chip.id, 0);
    assert_int_equal(board.chip.revision, 300);
    assert_int_equal(board.state->reset_cause, BATON_RESET_POWER_ON);
    assert_int_equal(board.nor.flash.size_bytes, SIZE_BYTES);
    assert_string_equal(board.nor.profile->name, "w25q32jv");
    assert_int_equal(board.state->mac[0] & 3, 0);
    board.state->chip_id = 5;
    board.state->secure_version = 3;
    strcpy(board.state->profile, "gd25q32c");
    baton_board_refresh(&board);
    assert_int_equal(board.chip.id, 5);
    assert_int_equal(board.chip.secure_version, 3);
    assert_string_equal(board.nor.profile->name, "gd25q32c");
    uint8_t zero = 0;
    assert_int_equal(
            board.nor.flash.program(board.nor.flash.context, 9, &zero, 1), 0);
    assert_int_equal(board.state->clock_us, 600);
    baton_board_close(&board);
    assert_int_equal(baton_board_peek(path, &peeked), 0);
    assert_int_equal(peeked.chip_id, 5);
    assert_int_equal(peeked.clock_us, 600);
    assert_int_equal(baton_board_open(&board, path), 0);
    assert_int_equal(board.flash_bytes[9], 0);
    assert_int_equal(board.state->nor.stats.page_programs, 1);
    baton_board_close(&board);
}

static void test_board_refuses(void **context) {
    (void)context;
    struct baton_board board;
    assert_int_equal(
            baton_board_open(&board, "/nonexistent/x"), BATON_ERR_NOENT);
    assert_int_equal(baton_board_open(&board, path), 0);
    board.state->format++;
    baton_board_close(&board);
    assert_int_equal(baton_board_open(&board, path), BATON_ERR_ARG);
    struct baton_board_state fresh;
    baton_board_defaults(&fresh, path, 2 * SIZE_BYTES);
    assert_int_equal(baton_board_create(path, &fresh), 0);
    assert_int_equal(baton_board_open(&board, path), BATON_ERR_ARG);
    baton_board_defaults(&fresh, path, SIZE_BYTES);
    assert_int_equal(baton_board_create(path, &fresh), 0);
    assert_int_equal(baton_board_open(&board, path), 0);
    baton_board_close(&board);
    char board_path[80];
    snprintf(board_path, sizeof(board_path), "%s.board", path);
    assert_int_equal(truncate(board_path, 100), 0);
    assert_int_equal(baton_board_open(&board, path), BATON_ERR_ARG);
    assert_int_equal(truncate(path, 3 * SIZE_BYTES), 0);
    assert_int_equal(baton_board_open(&board, path), BATON_ERR_ARG);
    unsetenv(BATON_BOARD_ENV);
    assert_int_equal(baton_board_attach(&board), BATON_ERR_NOENT);
}

static void test_attach_exits_at_a_cut(void **context) {
    (void)context;
    struct baton_board board;
    assert_int_equal(baton_board_open(&board, path), 0);
    baton_nor_plan_cut(&board.nor, 3, BATON_NOR_CUT_WEAK, 0);
    pid_t child = fork();
    if (child == 0) {
        setenv(BATON_BOARD_ENV, path, 1);
        struct baton_board mine;
        if (baton_board_attach(&mine) != 0) {
            _exit(1);
        }
        for (uint32_t i = 0;; i++) {
            mine.nor.flash.erase(mine.nor.flash.context, i * 4096, 4096);
        }
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), BATON_EXIT_POWER_CUT);
    assert_int_equal(board.state->nor.stats.operations, 3);
    assert_int_equal(board.state->nor.powered, 0);
    assert_int_equal(board.state->nor.weak[0].addr, 0x2000);
    baton_board_close(&board);
}

// ---- Killed at any moment ------------------------------------------------

// Operation number i of a sequence that both sides know.
struct step {
    bool is_erase;
    uint32_t addr;
    uint32_t len;
    uint32_t seed;
};

static struct step step_at(uint32_t i) {
    uint32_t seed = i * 7919u + 13u;
    struct step s = {.seed = seed};
    if (i % 5 == 0) {
        s.is_erase = true;
        s.len = next_random(&seed) % 4 == 0 ? BATON_BLOCK_BYTES : 4096;
        s.addr = next_random(&seed) % (SIZE_BYTES / s.len) * s.len;
        return s;
    }
    s.len = 1 + next_random(&seed) % 256;
    s.addr = next_random(&seed) % (SIZE_BYTES / 256) * 256;
    return s;
}

// Bytes to program over `old`, so that the rule holds.
static void step_data(const struct step *s, const uint8_t *old, uint8_t *out) {
    fill(out, s->len, s->seed);
    for (uint32_t i = 0; i < s->len; i++) {
        out[i] &= old[i];
    }
}

static void write_for_ever(volatile uint32_t *finished) {
    struct baton_board board;
    uint8_t data[256];
    if (baton_board_open(&board, path) != 0) {
        _exit(1);
    }
    const struct baton_flash *f = &board.nor.flash;
    for (uint32_t i = 0;; i++) {
        struct step s = step_at(i);
        int err;
        if (s.is_erase) {
            err = f->erase(f->context, s.addr, s.len);
        } else {
            step_data(&s, board.flash_bytes + s.addr, data);
            err = f->program(f->context, s.addr, data, s.len);
        }
        if (err) {
            _exit(2);
        }
        *finished = i + 1;
    }
}

static void apply_step(const struct step *s, uint8_t *to) {
    uint8_t data[256];
    if (s->is_erase) {
        memset(to + s->addr, 0xFF, s->len);
        return;
    }
    step_data(s, to + s->addr, data);
    memcpy(to + s->addr, data, s->len);
}

// The step in flight may have happened in part; everything else is exact.
static void expect_after_kill(
        const uint8_t *found, uint32_t finished, uint32_t round) {
    memset(old_bytes, 0xFF, SIZE_BYTES);
    for (uint32_t i = 0; i < finished; i++) {
        struct step s = step_at(i);
        apply_step(&s, old_bytes);
    }
    struct step s = step_at(finished);
    memcpy(bytes, old_bytes, SIZE_BYTES);
    apply_step(&s, bytes);
    for (uint32_t a = 0; a < SIZE_BYTES; a++) {
        if (found[a] != old_bytes[a] && found[a] != bytes[a]) {
            fail_msg("round %u, %u steps finished: 0x%x is %02x, neither %02x "
                     "nor %02x",
                    round, finished, a, found[a], old_bytes[a], bytes[a]);
        }
    }
}

static void test_survives_sigkill(void **context) {
    volatile uint32_t *finished = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(finished, MAP_FAILED);
    uint32_t seed = 4711;
    for (uint32_t round = 0; round < 60; round++) {
        assert_int_equal(make_flash_file(context), 0);
        *finished = 0;
        uint32_t goal = next_random(&seed) % 3000;
        pid_t child = fork();
        if (child == 0) {
            write_for_ever(finished);
        }
        while (*finished < goal && waitpid(child, NULL, WNOHANG) == 0) {
        }
        kill(child, SIGKILL);
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        struct baton_board board;
        assert_int_equal(baton_board_open(&board, path), 0);
        expect_after_kill(board.flash_bytes, *finished, round);
        const struct baton_nor_stats *stats = &board.state->nor.stats;
        assert_in_range(stats->operations, *finished, *finished + 1);
        assert_in_range(stats->sector_erases + stats->block_erases
                                + stats->page_programs,
                *finished, stats->operations);
        assert_int_equal(stats->violations, 0);
        baton_board_close(&board);
        remove_flash_file(context);
    }
    munmap((void *)(uintptr_t)finished, 4096);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(
                    test_board_defaults, make_flash_file, remove_flash_file),
            cmocka_unit_test_setup_teardown(
                    test_board_refuses, make_flash_file, remove_flash_file),
            cmocka_unit_test_setup_teardown(test_attach_exits_at_a_cut,
                    make_flash_file, remove_flash_file),
            cmocka_unit_test(test_survives_sigkill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
