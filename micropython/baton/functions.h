// What the module _baton offers Python: one list for every kind of build.
// SPDX-License-Identifier: MIT
#ifndef BATON_MICROPYTHON_FUNCTIONS_H
#define BATON_MICROPYTHON_FUNCTIONS_H

#include "binding.h"

// The smallest set that updates a device.
#define BATON_FUNCTIONS_SMALL(X)                                               \
    X(MP_QSTR_flash, baton_flash_obj)                                          \
    X(MP_QSTR_ahead, baton_ahead_obj)                                          \
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
    X(MP_QSTR_flush, baton_flush_obj)                                          \
    X(MP_QSTR_head, baton_head_obj)                                            \
    X(MP_QSTR_stats, baton_stats_obj)                                          \
    X(MP_QSTR_records, baton_records_obj)                                      \
    X(MP_QSTR_verify_p256, baton_verify_p256_obj)

// Packed and delta payloads.
#define BATON_FUNCTIONS_CODEC(X)                                               \
    X(MP_QSTR_payload, baton_payload_obj)                                      \
    X(MP_QSTR_codec, baton_codec_obj)                                          \
    X(MP_QSTR_push, baton_push_obj)                                            \
    X(MP_QSTR_finish, baton_finish_obj)

// The agent, for the package `baton`.
#define BATON_FUNCTIONS_AGENT(X)                                               \
    X(MP_QSTR_agent, baton_agent_obj)                                          \
    X(MP_QSTR_agent_check, baton_agent_check_obj)                              \
    X(MP_QSTR_agent_codec_bytes, baton_agent_codec_bytes_obj)                  \
    X(MP_QSTR_agent_step, baton_agent_step_obj)                                \
    X(MP_QSTR_agent_confirm, baton_agent_confirm_obj)                          \
    X(MP_QSTR_agent_reject, baton_agent_reject_obj)                            \
    X(MP_QSTR_agent_revert, baton_agent_revert_obj)                            \
    X(MP_QSTR_agent_switch, baton_agent_switch_obj)                            \
    X(MP_QSTR_agent_cancel, baton_agent_cancel_obj)                            \
    X(MP_QSTR_agent_mark, baton_agent_mark_obj)                                \
    X(MP_QSTR_agent_status, baton_agent_status_obj)

// Where ESP-IDF can be called, and flash is cheap: in a firmware of one's own.
#define BATON_FUNCTIONS_CHIP(X)                                                \
    X(MP_QSTR_error, baton_error_obj)                                          \
    X(MP_QSTR_arm, baton_chip_arm_obj)                                         \
    X(MP_QSTR_cause, baton_chip_cause_obj)                                     \
    X(MP_QSTR_erase, baton_chip_erase_obj)

#if defined(BATON_SMALL)
#define BATON_FUNCTIONS(X) BATON_FUNCTIONS_SMALL(X)
#elif defined(BATON_STOCK)
#define BATON_FUNCTIONS(X)                                                     \
    BATON_FUNCTIONS_SMALL(X)                                                   \
    BATON_FUNCTIONS_MORE(X)                                                    \
    BATON_FUNCTIONS_CODEC(X)
#elif BATON_AGENT && MICROPY_ENABLE_DYNRUNTIME
#define BATON_FUNCTIONS(X)                                                     \
    BATON_FUNCTIONS_SMALL(X)                                                   \
    BATON_FUNCTIONS_MORE(X)                                                    \
    BATON_FUNCTIONS_CODEC(X)                                                   \
    BATON_FUNCTIONS_AGENT(X)
#elif BATON_AGENT
#define BATON_FUNCTIONS(X)                                                     \
    BATON_FUNCTIONS_SMALL(X)                                                   \
    BATON_FUNCTIONS_MORE(X)                                                    \
    BATON_FUNCTIONS_CODEC(X)                                                   \
    BATON_FUNCTIONS_AGENT(X)                                                   \
    BATON_FUNCTIONS_CHIP(X)
#else
#define BATON_FUNCTIONS(X) BATON_FUNCTIONS_SMALL(X) BATON_FUNCTIONS_MORE(X)
#endif

#define BATON_DECLARE_FUNCTION(name, object)                                   \
    extern const mp_obj_fun_builtin_var_t object;
BATON_FUNCTIONS(BATON_DECLARE_FUNCTION)

#endif
