// What the module _baton offers Python: one list for every kind of build.
// SPDX-License-Identifier: MIT
#ifndef BATON_MICROPYTHON_FUNCTIONS_H
#define BATON_MICROPYTHON_FUNCTIONS_H

#include "binding.h"

// The smallest set that updates a device.
#define BATON_FUNCTIONS_SMALL(X)                                               \
    X(MP_QSTR_flash, baton_flash_obj)                                          \
    X(MP_QSTR_verify, baton_verify_obj)                                        \
    X(MP_QSTR_begin, baton_begin_obj)                                          \
    X(MP_QSTR_write, baton_write_obj)                                          \
    X(MP_QSTR_end, baton_end_obj)                                              \
    X(MP_QSTR_settle, baton_settle_obj)                                        \
    X(MP_QSTR_switch, baton_switch_obj)                                        \
    X(MP_QSTR_confirm, baton_confirm_obj)                                      \
    X(MP_QSTR_reject, baton_reject_obj)

// What a module has besides that is not small.
#define BATON_FUNCTIONS_MORE(X)                                                \
    X(MP_QSTR_check, baton_check_obj)                                          \
    X(MP_QSTR_stats, baton_stats_obj)                                          \
    X(MP_QSTR_records, baton_records_obj)                                      \
    X(MP_QSTR_verify_p256, baton_verify_p256_obj)

#ifdef BATON_SMALL
#define BATON_FUNCTIONS(X) BATON_FUNCTIONS_SMALL(X)
#else
#define BATON_FUNCTIONS(X) BATON_FUNCTIONS_SMALL(X) BATON_FUNCTIONS_MORE(X)
#endif

#define BATON_DECLARE_FUNCTION(name, object)                                   \
    extern const mp_obj_fun_builtin_var_t object;
BATON_FUNCTIONS(BATON_DECLARE_FUNCTION)

#endif
