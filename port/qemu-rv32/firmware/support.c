// What MicroPython's QEMU port leaves to the board: the clock, the end of a
// program, traps.
// SPDX-License-Identifier: MIT
#include "py/mphal.h"
#include "py/mpstate.h"
#include "shared/runtime/pyexec.h"

#include "firmware.h"

void __wrap_set_interrupt_table(void);
_Noreturn void __wrap_exit(int status);
int __real_pyexec_friendly_repl(void);
int __wrap_pyexec_friendly_repl(void);

static struct board_device device;
static int device_err;

struct board_device *board_firmware_device(int *err) {
    *err = device_err;
    return &device;
}

// The port's first call. Its own table is not set: a trap goes to the
// bootloader, which resets the board.
void __wrap_set_interrupt_table(void) {
    device_err = board_device_begin(&device);
}

// machine.reset() ends with 0, what MicroPython cannot go on from with others.
_Noreturn void __wrap_exit(int status) {
    board_reset(status == 0 ? BOARD_CAUSE_SOFT : BOARD_CAUSE_PANIC);
}

// The port knows no files. An interpreter that has just begun has nothing
// mounted: it mounts, then runs what is there, as other boards do.
int __wrap_pyexec_friendly_repl(void) {
    if (MP_STATE_VM(vfs_mount_table) == NULL) {
        pyexec_frozen_module("_boot.py", false);
        pyexec_file_if_exists("boot.py");
        pyexec_file_if_exists("main.py");
    }
    return __real_pyexec_friendly_repl();
}

mp_uint_t mp_hal_ticks_ms(void) {
    return board_ticks_ms();
}

mp_uint_t mp_hal_ticks_cpu(void) {
    return *(volatile uint32_t *)BOARD_TIME_ADDR;
}

mp_uint_t mp_hal_ticks_us(void) {
    return board_ticks_us();
}

// The board has no calendar: files are dated from its power on.
uint64_t mp_hal_time_ns(void) {
    return (uint64_t)board_ticks_ms() * 1000000u;
}

static void wait_ticks(mp_uint_t ticks) {
    mp_uint_t from = mp_hal_ticks_cpu();
    while (mp_hal_ticks_cpu() - from < ticks) {
    }
}

void mp_hal_delay_us(mp_uint_t us) {
    wait_ticks(us * 10u);
}

void mp_hal_delay_ms(mp_uint_t ms) {
    for (; ms > 0; ms--) {
        wait_ticks(BOARD_TICKS_PER_MS);
    }
}
