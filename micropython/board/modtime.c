// The chip's half of the module time: whole seconds since 2000, UTC.
// SPDX-License-Identifier: MIT
//
// Included by MicroPython's extmod/modtime.c, which builds the module.
#include "board/firmware.h"

#include "shared/timeutils/timeutils.h"

static mp_obj_t mp_time_time_get(void) {
    int64_t seconds;
    int32_t micros;
    baton_clock_now(&seconds, &micros);
    return mp_obj_new_int_from_ll(seconds);
}

// localtime([seconds]), gmtime([seconds])
static mp_obj_t baton_time_localtime(size_t n_args, const mp_obj_t *args) {
    int64_t seconds;
    int32_t micros;
    baton_clock_now(&seconds, &micros);
    if (n_args > 0 && args[0] != mp_const_none) {
        seconds = mp_obj_get_int(args[0]);
    }
    timeutils_struct_time_t t;
    timeutils_seconds_since_2000_to_struct_time((mp_uint_t)seconds, &t);
    mp_obj_t items[] = {
            MP_OBJ_NEW_SMALL_INT(t.tm_year),
            MP_OBJ_NEW_SMALL_INT(t.tm_mon),
            MP_OBJ_NEW_SMALL_INT(t.tm_mday),
            MP_OBJ_NEW_SMALL_INT(t.tm_hour),
            MP_OBJ_NEW_SMALL_INT(t.tm_min),
            MP_OBJ_NEW_SMALL_INT(t.tm_sec),
            MP_OBJ_NEW_SMALL_INT(t.tm_wday),
            MP_OBJ_NEW_SMALL_INT(t.tm_yday),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(
        baton_time_localtime_obj, 0, 1, baton_time_localtime);

static mp_obj_t baton_time_mktime(mp_obj_t tuple) {
    size_t len;
    mp_obj_t *items;
    mp_obj_get_array(tuple, &len, &items);
    if (len < 8 || len > 9) {
        mp_raise_TypeError(
                MP_ERROR_TEXT("mktime needs a tuple of length 8 or 9"));
    }
    return mp_obj_new_int_from_ll((long long)timeutils_mktime_2000(
            (mp_uint_t)mp_obj_get_int(items[0]), mp_obj_get_int(items[1]),
            mp_obj_get_int(items[2]), mp_obj_get_int(items[3]),
            mp_obj_get_int(items[4]), mp_obj_get_int(items[5])));
}
static MP_DEFINE_CONST_FUN_OBJ_1(baton_time_mktime_obj, baton_time_mktime);

#define MICROPY_PY_TIME_EXTRA_GLOBALS                                          \
    {MP_ROM_QSTR(MP_QSTR_gmtime), MP_ROM_PTR(&baton_time_localtime_obj)},      \
            {MP_ROM_QSTR(MP_QSTR_localtime),                                   \
                    MP_ROM_PTR(&baton_time_localtime_obj)},                    \
            {MP_ROM_QSTR(MP_QSTR_mktime), MP_ROM_PTR(&baton_time_mktime_obj)},
