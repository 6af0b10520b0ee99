// select.select(), which MicroPython's unix port leaves out.
// SPDX-License-Identifier: MIT
#include "firmware.h"

#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"

// Appends what of `objects` is ready to `ready`.
static void collect(mp_obj_t objects, mp_uint_t wanted, mp_obj_t ready) {
    size_t count;
    mp_obj_t *items;
    mp_obj_get_array(objects, &count, &items);
    for (size_t i = 0; i < count; i++) {
        const mp_stream_p_t *stream =
                mp_get_stream_raise(items[i], MP_STREAM_OP_IOCTL);
        int errcode = 0;
        mp_uint_t events =
                stream->ioctl(items[i], MP_STREAM_POLL, wanted, &errcode);
        if (events == MP_STREAM_ERROR) {
            mp_raise_OSError(errcode);
        }
        if (events & (wanted | MP_STREAM_POLL_HUP | MP_STREAM_POLL_ERR)) {
            mp_obj_list_append(ready, items[i]);
        }
    }
}

// select(readable, writable, exceptional[, seconds])
static mp_obj_t module_select(size_t n_args, const mp_obj_t *args) {
    static const mp_uint_t wanted[3] = {
            MP_STREAM_POLL_RD, MP_STREAM_POLL_WR, MP_STREAM_POLL_ERR};
    bool for_ever = n_args < 4 || args[3] == mp_const_none;
    uint64_t end_us = baton_clock_us();
    if (!for_ever) {
        mp_float_t seconds = mp_obj_get_float(args[3]);
        end_us += (uint64_t)(seconds * MICROPY_FLOAT_CONST(1000000.0));
    }
    for (;;) {
        mp_obj_t ready[3];
        size_t count = 0;
        for (size_t i = 0; i < 3; i++) {
            ready[i] = mp_obj_new_list(0, NULL);
            collect(args[i], wanted[i], ready[i]);
            count += (size_t)MP_OBJ_SMALL_INT_VALUE(mp_obj_len(ready[i]));
        }
        if (count > 0 || (!for_ever && baton_clock_us() >= end_us)) {
            return mp_obj_new_tuple(3, ready);
        }
        mp_hal_delay_ms(1);
    }
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(select_obj, 3, 4, module_select);

// MicroPython calls this by name, for attributes that the module itself does
// not have.
void baton_select_find_attribute(mp_obj_t self, qstr name, mp_obj_t *dest);
void baton_select_find_attribute(mp_obj_t self, qstr name, mp_obj_t *dest) {
    (void)self;
    if (dest[0] == MP_OBJ_NULL && name == MP_QSTR_select) {
        dest[0] = MP_OBJ_FROM_PTR(&select_obj);
    }
}

extern const mp_obj_module_t mp_module_select;
MP_REGISTER_MODULE_DELEGATION(mp_module_select, baton_select_find_attribute);
