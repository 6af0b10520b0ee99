// The module esp32.
// SPDX-License-Identifier: MIT
#include "modesp32.h"

#include "py/runtime.h"

static const mp_rom_map_elem_t esp32_globals_table[] = {
        {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_esp32)},
        {MP_ROM_QSTR(MP_QSTR_NVS), MP_ROM_PTR(&baton_esp32_nvs_type)},
        {MP_ROM_QSTR(MP_QSTR_Partition), MP_ROM_PTR(&esp32_partition_type)},
};
static MP_DEFINE_CONST_DICT(esp32_globals, esp32_globals_table);

const mp_obj_module_t baton_esp32_module = {
        .base = {&mp_type_module},
        .globals = (mp_obj_dict_t *)&esp32_globals,
};
MP_REGISTER_MODULE(MP_QSTR_esp32, baton_esp32_module);
