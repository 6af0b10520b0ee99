// Baton's table of errors for Python.
// SPDX-License-Identifier: MIT
#include "baton/error.h"

#include "functions.h"

// error(code): its name, sentence and next step.
static mp_obj_t describe(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    int code = (int)mp_obj_get_int(args[0]);
    const char *name = baton_error_name(code);
    const char *text = baton_strerror(code);
    const char *hint = baton_error_hint(code);
    mp_obj_t items[] = {
            mp_obj_new_str(name, strlen(name)),
            mp_obj_new_str(text, strlen(text)),
            mp_obj_new_str(hint, strlen(hint)),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(baton_error_obj, 1, 1, describe);
