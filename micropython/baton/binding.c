// What the binding's sources need of MicroPython, compiled in or loaded.
// SPDX-License-Identifier: MIT
#include "binding.h"

#include "baton/error.h"

#if MICROPY_ENABLE_DYNRUNTIME
// Names of a loaded module's own are not constants: this one is MicroPython's.
#undef mp_type_type
extern const mp_obj_type_t mp_type_type;
static const mp_obj_type_t handle_type = {
        .base = {&mp_type_type},
        .name = MP_QSTR_object,
};
#else
static MP_DEFINE_CONST_OBJ_TYPE(handle_type, MP_QSTR_handle, MP_TYPE_FLAG_NONE);
#endif

MP_NOINLINE void baton_binding_check(int err) {
    if (err != 0) {
        mp_raise_OSError(err);
    }
}

uint32_t baton_binding_u32(mp_obj_t object) {
    // Where a word has no more than 32 bits, the value alone has lost the rest.
    uint32_t value = (uint32_t)mp_obj_get_int_truncated(object);
    mp_obj_t rest =
            mp_binary_op(MP_BINARY_OP_RSHIFT, object, MP_OBJ_NEW_SMALL_INT(32));
    baton_binding_check(mp_obj_is_true(rest) ? BATON_ERR_ARG : 0);
    return value;
}

void baton_binding_data(mp_obj_t object, mp_buffer_info_t *out) {
    mp_get_buffer_raise(object, out, MP_BUFFER_READ);
    if (out->buf == NULL) { // of an empty bytearray
        out->buf = out;
    }
}

const uint8_t *baton_binding_bytes(mp_obj_t object, size_t len) {
    mp_buffer_info_t data;
    baton_binding_data(object, &data);
    if (data.len != len) {
        baton_binding_check(BATON_ERR_ARG);
    }
    return data.buf;
}

mp_obj_t baton_binding_call(
        mp_obj_t object, qstr name, size_t count, const mp_obj_t *args) {
    mp_obj_t call[2 + 3];
    mp_load_method(object, name, call);
    for (size_t i = 0; i < count; i++) {
        call[2 + i] = args[i];
    }
#if MICROPY_ENABLE_DYNRUNTIME
    return mp_fun_table.call_method_n_kw(count, 0, call);
#else
    return mp_call_method_n_kw(count, 0, call);
#endif
}

void baton_binding_unpack(mp_obj_t sequence, size_t count, mp_obj_t *out) {
#if MICROPY_ENABLE_DYNRUNTIME
    mp_fun_table.unpack_sequence(sequence, count, out);
#else
    mp_unpack_sequence(sequence, count, out);
#endif
}

void *baton_binding_new_handle(size_t kind, size_t size) {
    struct baton_binding_handle *self = m_malloc(size);
    memset(self, 0, size);
    self->base.type = &handle_type;
    self->kind = kind;
    return self;
}

void *baton_binding_handle(mp_obj_t object, size_t kind) {
    struct baton_binding_handle *self = MP_OBJ_TO_PTR(object);
    if (mp_obj_get_type(object) != &handle_type || self->kind != kind) {
        baton_binding_check(BATON_ERR_ARG);
    }
    return self;
}
