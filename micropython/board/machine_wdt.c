// machine.WDT: bites even where a script hangs.
// SPDX-License-Identifier: MIT
#include "firmware.h"

#include <string.h>
#include <unistd.h>

#include "py/runtime.h"

struct wdt_object {
    mp_obj_base_t base;
};

static const struct wdt_object wdt = {{&baton_machine_wdt_type}};

static void bite(struct baton_alarm *self) {
    (void)self;
    static const char message[] =
            "\ntask_wdt: Task watchdog got triggered: "
            "machine.WDT was not fed in time\nRebooting...\n";
    ssize_t ignored = write(STDOUT_FILENO, message, strlen(message));
    (void)ignored;
    baton_firmware_reset(BATON_RESET_WATCHDOG);
}

static struct baton_alarm deadline = {.ring = bite};

static void start(uint32_t timeout_ms) {
    baton_board.state->wdt_timeout_ms = timeout_ms;
    baton_alarm_set(&deadline, (uint64_t)timeout_ms * 1000u, 0);
}

// A soft reset does not stop it. What was left of its time is not known any
// more: it begins anew.
void baton_wdt_begin(void) {
    const struct baton_board_state *state = baton_board.state;
    if (state->reset_cause == BATON_RESET_SOFT && state->wdt_timeout_ms != 0) {
        start(state->wdt_timeout_ms);
    }
}

static mp_obj_t wdt_make_new(const mp_obj_type_t *type, size_t n_args,
        size_t n_kw, const mp_obj_t *all_args) {
    (void)type;
    enum { ARG_ID, ARG_TIMEOUT, ARGS };
    static const mp_arg_t allowed[ARGS] = {
            {MP_QSTR_id, MP_ARG_INT, {.u_int = 0}},
            {MP_QSTR_timeout, MP_ARG_INT, {.u_int = 5000}},
    };
    mp_arg_val_t args[ARGS];
    mp_arg_parse_all_kw_array(n_args, n_kw, all_args, ARGS, allowed, args);
    if (args[ARG_ID].u_int != 0) {
        mp_raise_ValueError(NULL);
    }
    if (args[ARG_TIMEOUT].u_int <= 0 || args[ARG_TIMEOUT].u_int > INT32_MAX) {
        mp_raise_ValueError(MP_ERROR_TEXT("WDT timeout too short"));
    }
    start((uint32_t)args[ARG_TIMEOUT].u_int);
    return MP_OBJ_FROM_PTR(&wdt);
}

static mp_obj_t wdt_feed(mp_obj_t self) {
    (void)self;
    start(baton_board.state->wdt_timeout_ms);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(feed_obj, wdt_feed);

static const mp_rom_map_elem_t wdt_locals_table[] = {
        {MP_ROM_QSTR(MP_QSTR_feed), MP_ROM_PTR(&feed_obj)},
};
static MP_DEFINE_CONST_DICT(wdt_locals, wdt_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(baton_machine_wdt_type, MP_QSTR_WDT, MP_TYPE_FLAG_NONE,
        make_new, wdt_make_new, locals_dict, &wdt_locals);
