// The entry of the native module: makes the functions its attributes.
// SPDX-License-Identifier: MIT
#include "functions.h"

__attribute__((used)) mp_obj_t mpy_init(
        mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args);

#define STORE(name, object) mp_store_global(name, MP_OBJ_FROM_PTR(&object));

mp_obj_t mpy_init(
        mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    (void)n_args;
    (void)n_kw;
    (void)args;
    MP_DYNRUNTIME_INIT_ENTRY
    BATON_FUNCTIONS(STORE)
    MP_DYNRUNTIME_INIT_EXIT
}
