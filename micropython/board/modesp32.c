// The module esp32.
// SPDX-License-Identifier: MIT
#include "modesp32.h"

#include "py/runtime.h"

// What would end a deep sleep. No pin ever changes here, so a sleep with a time
// ends by it, and one without does not end.
static mp_obj_t take_wake_source(
        size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    (void)n_args;
    (void)args;
    (void)kw_args;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(wake_on_obj, 0, take_wake_source);

static const mp_rom_map_elem_t esp32_globals_table[] = {
        {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_esp32)},
        {MP_ROM_QSTR(MP_QSTR_wake_on_ext0), MP_ROM_PTR(&wake_on_obj)},
        {MP_ROM_QSTR(MP_QSTR_wake_on_ext1), MP_ROM_PTR(&wake_on_obj)},
        {MP_ROM_QSTR(MP_QSTR_wake_on_touch), MP_ROM_PTR(&wake_on_obj)},
        {MP_ROM_QSTR(MP_QSTR_gpio_deep_sleep_hold), MP_ROM_PTR(&wake_on_obj)},
        {MP_ROM_QSTR(MP_QSTR_WAKEUP_ALL_LOW), MP_ROM_FALSE},
        {MP_ROM_QSTR(MP_QSTR_WAKEUP_ANY_HIGH), MP_ROM_TRUE},
        {MP_ROM_QSTR(MP_QSTR_NVS), MP_ROM_PTR(&baton_esp32_nvs_type)},
        {MP_ROM_QSTR(MP_QSTR_Partition), MP_ROM_PTR(&esp32_partition_type)},
};
static MP_DEFINE_CONST_DICT(esp32_globals, esp32_globals_table);

const mp_obj_module_t baton_esp32_module = {
        .base = {&mp_type_module},
        .globals = (mp_obj_dict_t *)&esp32_globals,
};
MP_REGISTER_MODULE(MP_QSTR_esp32, baton_esp32_module);
