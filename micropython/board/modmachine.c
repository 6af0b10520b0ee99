// The chip's half of the module machine.
// SPDX-License-Identifier: MIT
//
// Included by MicroPython's extmod/modmachine.c, which declares what is
// defined here and builds the module.
#include "board/firmware.h"

#include "py/mphal.h"

// ESP-IDF's numbers.
enum {
    WAKE_EXT0 = 2,
    WAKE_EXT1 = 3,
    WAKE_TIMER = 4,
    WAKE_TOUCHPAD = 5,
    WAKE_ULP = 6,
};

enum {
    SLEEP_LIGHT = 1,
    SLEEP_DEEP = 2,
};

static int32_t cpu_mhz = 160;

static void mp_machine_idle(void) {
    mp_hal_delay_ms(1);
}

BATON_NORETURN static void mp_machine_reset(void) {
    baton_firmware_reset(BATON_RESET_HARD);
}

static mp_int_t mp_machine_reset_cause(void) {
    uint32_t cause = baton_board.state->reset_cause;
    switch (cause) {
    case BATON_RESET_BROWNOUT:
        return BATON_RESET_POWER_ON;
    case BATON_RESET_PANIC:
        return BATON_RESET_HARD;
    default:
        return (mp_int_t)cause;
    }
}

static mp_obj_t mp_machine_unique_id(void) {
    const struct baton_board_state *state = baton_board.state;
    return mp_obj_new_bytes(state->mac, sizeof(state->mac));
}

static mp_obj_t mp_machine_get_freq(void) {
    return mp_obj_new_int(cpu_mhz * 1000000);
}

static void mp_machine_set_freq(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    int32_t mhz = baton_firmware_int(args[0]) / 1000000;
    if (mhz != 20 && mhz != 40 && mhz != 80 && mhz != 160 && mhz != 240) {
        mp_raise_ValueError(MP_ERROR_TEXT("frequency must be 20MHz, 40MHz, "
                                          "80Mhz, 160MHz or 240MHz"));
    }
    cpu_mhz = mhz;
}

static void mp_machine_lightsleep(size_t n_args, const mp_obj_t *args) {
    // Without a time only a pin would end it, and there is none that moves.
    int32_t ms = n_args > 0 ? baton_firmware_int(args[0]) : INT32_MAX;
    mp_hal_delay_ms(ms > 0 ? (mp_uint_t)ms : 0);
}

// No time given: for ever, which the supervisor knows as 0.
BATON_NORETURN static void mp_machine_deepsleep(
        size_t n_args, const mp_obj_t *args) {
    uint64_t sleep_us = 0;
    if (n_args > 0) {
        int32_t ms = baton_firmware_int(args[0]);
        sleep_us = ms > 0 ? (uint64_t)ms * 1000u : 1;
    }
    baton_board.state->sleep_us = sleep_us;
    baton_board.state->reset_cause = BATON_RESET_DEEP_SLEEP;
    baton_firmware_exit(BATON_EXIT_DEEP_SLEEP);
}

static mp_obj_t machine_wake_reason(void) {
    bool slept = baton_board.state->reset_cause == BATON_RESET_DEEP_SLEEP;
    return MP_OBJ_NEW_SMALL_INT(slept ? WAKE_TIMER : 0);
}
static MP_DEFINE_CONST_FUN_OBJ_0(machine_wake_reason_obj, machine_wake_reason);

// Nothing here interrupts a script, so there is nothing to hold off.
static mp_obj_t machine_disable_irq(void) {
    return MP_OBJ_NEW_SMALL_INT(0);
}
static MP_DEFINE_CONST_FUN_OBJ_0(machine_disable_irq_obj, machine_disable_irq);

static mp_obj_t machine_enable_irq(mp_obj_t state) {
    baton_firmware_int(state);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(machine_enable_irq_obj, machine_enable_irq);

// Bits that leave a pin go nowhere.
static mp_obj_t take_bitstream(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    mp_buffer_info_t buf;
    mp_get_buffer_raise(args[3], &buf, MP_BUFFER_READ);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(bitstream_obj, 4, 4, take_bitstream);

#define MICROPY_PY_MACHINE_EXTRA_GLOBALS                                       \
    {MP_ROM_QSTR(MP_QSTR_sleep), MP_ROM_PTR(&machine_lightsleep_obj)},         \
            {MP_ROM_QSTR(MP_QSTR_bitstream), MP_ROM_PTR(&bitstream_obj)},      \
            {MP_ROM_QSTR(MP_QSTR_disable_irq),                                 \
                    MP_ROM_PTR(&machine_disable_irq_obj)},                     \
            {MP_ROM_QSTR(MP_QSTR_enable_irq),                                  \
                    MP_ROM_PTR(&machine_enable_irq_obj)},                      \
            {MP_ROM_QSTR(MP_QSTR_Pin), MP_ROM_PTR(&baton_machine_pin_type)},   \
            {MP_ROM_QSTR(MP_QSTR_RTC), MP_ROM_PTR(&baton_machine_rtc_type)},   \
            {MP_ROM_QSTR(MP_QSTR_Timer),                                       \
                    MP_ROM_PTR(&baton_machine_timer_type)},                    \
            {MP_ROM_QSTR(MP_QSTR_WDT), MP_ROM_PTR(&baton_machine_wdt_type)},   \
            {MP_ROM_QSTR(MP_QSTR_SLEEP), MP_ROM_INT(SLEEP_LIGHT)},             \
            {MP_ROM_QSTR(MP_QSTR_DEEPSLEEP), MP_ROM_INT(SLEEP_DEEP)},          \
            {MP_ROM_QSTR(MP_QSTR_PWRON_RESET),                                 \
                    MP_ROM_INT(BATON_RESET_POWER_ON)},                         \
            {MP_ROM_QSTR(MP_QSTR_HARD_RESET), MP_ROM_INT(BATON_RESET_HARD)},   \
            {MP_ROM_QSTR(MP_QSTR_WDT_RESET),                                   \
                    MP_ROM_INT(BATON_RESET_WATCHDOG)},                         \
            {MP_ROM_QSTR(MP_QSTR_DEEPSLEEP_RESET),                             \
                    MP_ROM_INT(BATON_RESET_DEEP_SLEEP)},                       \
            {MP_ROM_QSTR(MP_QSTR_SOFT_RESET), MP_ROM_INT(BATON_RESET_SOFT)},   \
            {MP_ROM_QSTR(MP_QSTR_wake_reason),                                 \
                    MP_ROM_PTR(&machine_wake_reason_obj)},                     \
            {MP_ROM_QSTR(MP_QSTR_PIN_WAKE), MP_ROM_INT(WAKE_EXT0)},            \
            {MP_ROM_QSTR(MP_QSTR_EXT0_WAKE), MP_ROM_INT(WAKE_EXT0)},           \
            {MP_ROM_QSTR(MP_QSTR_EXT1_WAKE), MP_ROM_INT(WAKE_EXT1)},           \
            {MP_ROM_QSTR(MP_QSTR_TIMER_WAKE), MP_ROM_INT(WAKE_TIMER)},         \
            {MP_ROM_QSTR(MP_QSTR_TOUCHPAD_WAKE), MP_ROM_INT(WAKE_TOUCHPAD)},   \
            {MP_ROM_QSTR(MP_QSTR_ULP_WAKE), MP_ROM_INT(WAKE_ULP)},
