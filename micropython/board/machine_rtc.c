// machine.RTC: the clock, and the memory that outlives a deep sleep.
// SPDX-License-Identifier: MIT
//
// The clock is this machine's, in UTC; setting it moves the board's alone,
// until the next boot.
#include "firmware.h"

#include <string.h>

#include "py/runtime.h"
#include "shared/timeutils/timeutils.h"

struct rtc_object {
    mp_obj_base_t base;
};

static const struct rtc_object rtc = {{&baton_machine_rtc_type}};

static mp_obj_t rtc_make_new(const mp_obj_type_t *type, size_t n_args,
        size_t n_kw, const mp_obj_t *args) {
    (void)type;
    (void)args;
    mp_arg_check_num(n_args, n_kw, 0, 0, false);
    return MP_OBJ_FROM_PTR(&rtc);
}

static mp_obj_t get_datetime(void) {
    int64_t seconds;
    int32_t micros;
    timeutils_struct_time_t t;
    baton_clock_now(&seconds, &micros);
    timeutils_seconds_since_2000_to_struct_time((mp_uint_t)seconds, &t);
    mp_obj_t items[] = {
            MP_OBJ_NEW_SMALL_INT(t.tm_year),
            MP_OBJ_NEW_SMALL_INT(t.tm_mon),
            MP_OBJ_NEW_SMALL_INT(t.tm_mday),
            MP_OBJ_NEW_SMALL_INT(t.tm_wday),
            MP_OBJ_NEW_SMALL_INT(t.tm_hour),
            MP_OBJ_NEW_SMALL_INT(t.tm_min),
            MP_OBJ_NEW_SMALL_INT(t.tm_sec),
            MP_OBJ_NEW_SMALL_INT(micros),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}

// The two setters differ in where the hour stands.
static mp_obj_t set_datetime(mp_obj_t date, size_t hour_at) {
    mp_obj_t *items;
    mp_int_t value[8];
    mp_obj_get_array_fixed_n(date, 8, &items);
    for (size_t i = 0; i < 8; i++) {
        value[i] = mp_obj_get_int(items[i]);
    }
    int64_t wanted = (int64_t)timeutils_seconds_since_2000((mp_uint_t)value[0],
            (mp_uint_t)value[1], (mp_uint_t)value[2], (mp_uint_t)value[hour_at],
            (mp_uint_t)value[hour_at + 1], (mp_uint_t)value[hour_at + 2]);
    int64_t now;
    int32_t micros;
    baton_clock_now(&now, &micros);
    baton_clock_offset_s += wanted - now;
    return mp_const_none;
}

static mp_obj_t rtc_datetime(size_t n_args, const mp_obj_t *args) {
    return n_args == 1 ? get_datetime() : set_datetime(args[1], 4);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(datetime_obj, 1, 2, rtc_datetime);

static mp_obj_t rtc_init(mp_obj_t self, mp_obj_t date) {
    (void)self;
    return set_datetime(date, 3);
}
static MP_DEFINE_CONST_FUN_OBJ_2(init_obj, rtc_init);

static mp_obj_t rtc_memory(size_t n_args, const mp_obj_t *args) {
    struct baton_board_state *state = baton_board.state;
    if (n_args == 1) {
        return mp_obj_new_bytes(state->rtc, state->rtc_len_bytes);
    }
    mp_buffer_info_t buf;
    mp_get_buffer_raise(args[1], &buf, MP_BUFFER_READ);
    if (buf.len > sizeof(state->rtc)) {
        mp_raise_ValueError(MP_ERROR_TEXT("buffer too long"));
    }
    memcpy(state->rtc, buf.buf, buf.len);
    state->rtc_len_bytes = (uint32_t)buf.len;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(memory_obj, 1, 2, rtc_memory);

static const mp_rom_map_elem_t rtc_locals_table[] = {
        {MP_ROM_QSTR(MP_QSTR_init), MP_ROM_PTR(&init_obj)},
        {MP_ROM_QSTR(MP_QSTR_datetime), MP_ROM_PTR(&datetime_obj)},
        {MP_ROM_QSTR(MP_QSTR_memory), MP_ROM_PTR(&memory_obj)},
};
static MP_DEFINE_CONST_DICT(rtc_locals, rtc_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(baton_machine_rtc_type, MP_QSTR_RTC, MP_TYPE_FLAG_NONE,
        make_new, rtc_make_new, locals_dict, &rtc_locals);
