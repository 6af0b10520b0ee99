// The firmware's main: a boot of the chip from its first script to its end.
// SPDX-License-Identifier: MIT
//
// As on ESP32: boot.py, then main.py unless boot.py ended in an exception, then
// the REPL. Without a REPL the chip would wait there for ever; this process
// ends as soon as nothing is left that could still happen (a watchdog, a timer,
// a thread).
#include "firmware.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "py/builtin.h"
#include "py/cstack.h"
#include "py/gc.h"
#include "py/mphal.h"
#include "py/mpthread.h"
#include "py/runtime.h"
#include "extmod/vfs.h"
#include "genhdr/mpversion.h"
#include "shared/readline/readline.h"
#include "shared/runtime/pyexec.h"

// Objects take up to twice the chip's memory on a 64-bit machine: this much
// holds what a stock ESP32's 145 to 160 KB of free heap would.
#define HEAP_BYTES_DEFAULT (256u * 1024u)
#define HEAP_BYTES_MIN     (32u * 1024u)
#define STACK_BYTES        (40000u * (sizeof(void *) / 4))

static const char usage[] =
        "The virtual ESP32's MicroPython " MICROPY_GIT_TAG
        ". Start it by 'baton sim'.\n"
        "\n"
        "Environment: BATON_BOARD  flash file\n"
        "             BATON_FS     directory with boot.py and main.py\n"
        "             BATON_REPL   1: a prompt after the scripts; raw: for "
        "tools\n"
        "             BATON_HEAP   bytes of heap (K, M), default 256K; 4M is\n"
        "                          a chip with PSRAM\n"
        "             BATON_SSID   the network that a scan finds\n";

static size_t heap_bytes(void) {
    const char *text = getenv("BATON_HEAP");
    if (text == NULL) {
        return HEAP_BYTES_DEFAULT;
    }
    char *end;
    unsigned long bytes = strtoul(text, &end, 0);
    bytes <<= *end == 'K' ? 10 : *end == 'M' ? 20 : 0;
    return bytes >= HEAP_BYTES_MIN ? bytes : HEAP_BYTES_MIN;
}

static void mount_files(const char *directory) {
    mp_obj_t path = mp_obj_new_str_from_cstr(directory);
    mp_obj_t args[] = {
            MP_OBJ_TYPE_GET_SLOT(&baton_files_type, make_new)(
                    &baton_files_type, 1, 0, &path),
            MP_OBJ_NEW_QSTR(MP_QSTR__slash_),
    };
    mp_vfs_mount(2, args, (mp_map_t *)&mp_const_empty_map);
}

static bool start_interpreter(const char *directory) {
    size_t bytes = heap_bytes();
    char *heap = malloc(bytes);
    if (heap == NULL) {
        return false;
    }
    gc_init(heap, heap + bytes);
    mp_init();
    baton_sys_begin();
    mp_obj_list_append(mp_sys_path, mp_obj_new_str_from_cstr("/lib"));
    readline_init0();
    nlr_buf_t nlr;
    if (nlr_push(&nlr) != 0) {
        fprintf(stderr, "micropython: %s is not a directory\n", directory);
        return false;
    }
    mount_files(directory);
    nlr_pop();
    return true;
}

BATON_NORETURN static void soft_reset(void) {
    mp_hal_stdout_tx_str("MPY: soft reboot\r\n");
    baton_board.state->reset_cause = BATON_RESET_SOFT;
    baton_firmware_exit(BATON_EXIT_SOFT_RESET);
}

// Returns whether the scripts ended without an exception. As on the chip a tool
// that is in the raw REPL gets back to it by a soft reset without main.py.
static bool run_scripts(void) {
    pyexec_frozen_module("_boot.py", false);
    int ret = pyexec_file_if_exists("boot.py");
    if (!(ret & PYEXEC_FORCED_EXIT) && ret != 0
            && pyexec_mode_kind == PYEXEC_MODE_FRIENDLY_REPL) {
        ret = pyexec_file_if_exists("main.py");
    }
    if (ret & PYEXEC_FORCED_EXIT) {
        soft_reset();
    }
    return ret != 0;
}

BATON_NORETURN static void run_repl(void) {
    baton_console_repl(true);
    int ret = 0;
    while (ret == 0) {
        ret = pyexec_mode_kind == PYEXEC_MODE_RAW_REPL ? pyexec_raw_repl()
                                                       : pyexec_friendly_repl();
    }
    if (baton_console_is_at_end()) {
        baton_firmware_exit(BATON_EXIT_REPL_CLOSED);
    }
    // Of the soft reset a person or a tool asked for at the prompt the
    // supervisor need not know; the kind of prompt has to be kept.
    bool is_raw = pyexec_mode_kind == PYEXEC_MODE_RAW_REPL;
    if (setenv("BATON_REPL", is_raw ? "raw" : "1", 1) == 0) {
        mp_hal_stdout_tx_str("MPY: soft reboot\r\n");
        baton_board.state->reset_cause = BATON_RESET_SOFT;
        baton_console_restore();
        execl("/proc/self/exe", "micropython", (char *)NULL);
    }
    soft_reset();
}

static void wait_for_work(void) {
    nlr_buf_t nlr;
    if (nlr_push(&nlr) == 0) {
        mp_hal_set_interrupt_char(CHAR_CTRL_C);
        // In this order: what has rung last is still waiting to be run.
        while (baton_work_is_pending() || mp_sched_num_pending() > 0) {
            mp_hal_delay_ms(5);
        }
        nlr_pop();
    } else {
        mp_obj_print_exception(&mp_plat_print, MP_OBJ_FROM_PTR(nlr.ret_val));
    }
}

static int run(void) {
    const char *directory = getenv("BATON_FS");
    if (directory == NULL || !start_interpreter(directory)) {
        fputs(usage, stderr);
        return 2;
    }
    baton_wdt_begin();
    const char *repl = getenv("BATON_REPL");
    if (repl != NULL && strcmp(repl, "raw") == 0) {
        pyexec_mode_kind = PYEXEC_MODE_RAW_REPL;
    }
    bool is_good = run_scripts();
    if (repl != NULL && *repl != '\0' && strcmp(repl, "0") != 0) {
        run_repl();
    }
    wait_for_work();
    baton_firmware_exit(
            is_good ? BATON_EXIT_SCRIPTS_DONE : BATON_EXIT_SCRIPT_ERROR);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        bool asked = strcmp(argv[1], "--help") == 0;
        fputs(usage, asked ? stdout : stderr);
        return asked ? 0 : 2;
    }
    if (!baton_firmware_begin()) {
        return 2;
    }
    baton_clock_us();
    baton_console_begin();
    mp_thread_init();
    mp_cstack_init_with_sp_here(STACK_BYTES);
    return run();
}
