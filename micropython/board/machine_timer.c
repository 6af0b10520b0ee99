// machine.Timer: the chip's four timers; callbacks run between bytecodes.
// SPDX-License-Identifier: MIT
#include "firmware.h"

#include "py/runtime.h"

#define TIMERS 4u

enum {
    MODE_ONE_SHOT,
    MODE_PERIODIC,
};

struct timer_object {
    mp_obj_base_t base;
    struct baton_alarm alarm;
    mp_obj_t callback;
    uint64_t started_us;
    uint64_t period_us;
    uint8_t id;
    uint8_t mode;
    bool is_started;
};

static void schedule(struct baton_alarm *alarm) {
    struct timer_object *self =
            (struct timer_object *)((char *)alarm
                                    - offsetof(struct timer_object, alarm));
    if (self->callback != mp_const_none) {
        mp_sched_schedule(self->callback, MP_OBJ_FROM_PTR(self));
    }
}

static void timer_print(
        const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    const struct timer_object *self = MP_OBJ_TO_PTR(self_in);
    mp_printf(print, "Timer(%u, mode=%q, period=%u)", (unsigned)self->id,
            self->mode == MODE_PERIODIC ? (qstr)MP_QSTR_PERIODIC
                                        : (qstr)MP_QSTR_ONE_SHOT,
            (unsigned)(self->period_us / 1000u));
}

static uint64_t period_of(const mp_arg_val_t *period,
        const mp_arg_val_t *tick_hz, const mp_arg_val_t *freq) {
    if (freq->u_obj != mp_const_none) {
        mp_float_t hz = mp_obj_get_float(freq->u_obj);
        return (uint64_t)(MICROPY_FLOAT_CONST(1000000.0) / hz);
    }
    if (tick_hz->u_int <= 0) {
        mp_raise_ValueError(NULL);
    }
    return (uint64_t)(uint32_t)period->u_int * 1000000u
           / (uint64_t)tick_hz->u_int;
}

static mp_obj_t init_timer(struct timer_object *self, size_t n_args,
        const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum { ARG_MODE, ARG_CALLBACK, ARG_PERIOD, ARG_TICK_HZ, ARG_FREQ, ARGS };
    static const mp_arg_t allowed[ARGS] = {
            {MP_QSTR_mode, MP_ARG_KW_ONLY | MP_ARG_INT,
                    {.u_int = MODE_PERIODIC}},
            {MP_QSTR_callback, MP_ARG_KW_ONLY | MP_ARG_OBJ,
                    {.u_rom_obj = MP_ROM_NONE}},
            {MP_QSTR_period, MP_ARG_KW_ONLY | MP_ARG_INT,
                    {.u_int = 0xffffffff}},
            {MP_QSTR_tick_hz, MP_ARG_KW_ONLY | MP_ARG_INT, {.u_int = 1000}},
            {MP_QSTR_freq, MP_ARG_KW_ONLY | MP_ARG_OBJ,
                    {.u_rom_obj = MP_ROM_NONE}},
    };
    mp_arg_val_t args[ARGS];
    baton_alarm_clear(&self->alarm);
    mp_arg_parse_all(n_args, pos_args, kw_args, ARGS, allowed, args);
    uint64_t period_us =
            period_of(&args[ARG_PERIOD], &args[ARG_TICK_HZ], &args[ARG_FREQ]);
    self->period_us = period_us > 0 ? period_us : 1;
    self->mode = args[ARG_MODE].u_int != 0 ? MODE_PERIODIC : MODE_ONE_SHOT;
    self->callback = args[ARG_CALLBACK].u_obj;
    self->started_us = baton_clock_us();
    self->is_started = true;
    self->alarm.ring = schedule;
    baton_alarm_set(&self->alarm, self->period_us,
            self->mode == MODE_PERIODIC ? self->period_us : 0);
    return mp_const_none;
}

static mp_obj_t timer_make_new(const mp_obj_type_t *type, size_t n_args,
        size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, MP_OBJ_FUN_ARGS_MAX, true);
    uint32_t id = (uint32_t)baton_firmware_int(args[0]);
    if (id >= TIMERS) {
        mp_raise_ValueError(MP_ERROR_TEXT("invalid Timer number"));
    }
    struct timer_object *self =
            MP_OBJ_TO_PTR(MP_STATE_VM(baton_machine_timers)[id]);
    if (self == NULL) {
        self = m_new0(struct timer_object, 1);
        self->base.type = type;
        self->callback = mp_const_none;
        self->id = (uint8_t)id;
        MP_STATE_VM(baton_machine_timers)[id] = MP_OBJ_FROM_PTR(self);
    }
    if (n_args > 1 || n_kw > 0) {
        mp_map_t kw_args;
        mp_map_init_fixed_table(&kw_args, n_kw, args + n_args);
        init_timer(self, n_args - 1, args + 1, &kw_args);
    }
    return MP_OBJ_FROM_PTR(self);
}

static mp_obj_t timer_init(
        size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    return init_timer(MP_OBJ_TO_PTR(args[0]), n_args - 1, args + 1, kw_args);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(init_obj, 1, timer_init);

static mp_obj_t timer_deinit(mp_obj_t self_in) {
    struct timer_object *self = MP_OBJ_TO_PTR(self_in);
    baton_alarm_clear(&self->alarm);
    self->is_started = false;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(deinit_obj, timer_deinit);

static mp_obj_t timer_value(mp_obj_t self_in) {
    const struct timer_object *self = MP_OBJ_TO_PTR(self_in);
    if (!self->is_started) {
        mp_raise_ValueError(MP_ERROR_TEXT("timer not set"));
    }
    uint64_t elapsed_us = baton_clock_us() - self->started_us;
    return mp_obj_new_int_from_ull(elapsed_us % self->period_us / 1000u);
}
static MP_DEFINE_CONST_FUN_OBJ_1(value_obj, timer_value);

static const mp_rom_map_elem_t timer_locals_table[] = {
        {MP_ROM_QSTR(MP_QSTR_init), MP_ROM_PTR(&init_obj)},
        {MP_ROM_QSTR(MP_QSTR_deinit), MP_ROM_PTR(&deinit_obj)},
        {MP_ROM_QSTR(MP_QSTR_value), MP_ROM_PTR(&value_obj)},
        {MP_ROM_QSTR(MP_QSTR_ONE_SHOT), MP_ROM_INT(MODE_ONE_SHOT)},
        {MP_ROM_QSTR(MP_QSTR_PERIODIC), MP_ROM_INT(MODE_PERIODIC)},
};
static MP_DEFINE_CONST_DICT(timer_locals, timer_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(baton_machine_timer_type, MP_QSTR_Timer,
        MP_TYPE_FLAG_NONE, make_new, timer_make_new, print, timer_print,
        locals_dict, &timer_locals);

MP_REGISTER_ROOT_POINTER(mp_obj_t baton_machine_timers[4]);
