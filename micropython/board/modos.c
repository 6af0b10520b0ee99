// os.uname(): the firmware in the running slot, not this interpreter.
// SPDX-License-Identifier: MIT
#include "firmware.h"

#include "py/objstr.h"
#include "py/objtuple.h"
#include "py/runtime.h"

static const qstr uname_fields[] = {
        MP_QSTR_sysname,
        MP_QSTR_nodename,
        MP_QSTR_release,
        MP_QSTR_version,
        MP_QSTR_machine,
};

static mp_obj_t os_uname(void) {
    struct baton_firmware_name name;
    baton_firmware_name(&name);
    mp_obj_t items[] = {
            MP_OBJ_NEW_QSTR(MP_QSTR_esp32),
            MP_OBJ_NEW_QSTR(MP_QSTR_esp32),
            mp_obj_new_str_from_cstr(name.release),
            mp_obj_new_str_from_cstr(name.version),
            mp_obj_new_str_from_cstr(name.machine),
    };
    return mp_obj_new_attrtuple(
            uname_fields, MP_ARRAY_SIZE(uname_fields), items);
}
static MP_DEFINE_CONST_FUN_OBJ_0(uname_obj, os_uname);

static mp_obj_t os_sync(void) {
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(sync_obj, os_sync);

// MicroPython calls this by name, for attributes that the module itself does not have.
void baton_os_find_attribute(mp_obj_t self, qstr name, mp_obj_t *dest);
void baton_os_find_attribute(mp_obj_t self, qstr name, mp_obj_t *dest) {
    (void)self;
    if (dest[0] != MP_OBJ_NULL) {
        return;
    }
    if (name == MP_QSTR_uname) {
        dest[0] = MP_OBJ_FROM_PTR(&uname_obj);
    } else if (name == MP_QSTR_sync) {
        dest[0] = MP_OBJ_FROM_PTR(&sync_obj);
    }
}

extern const mp_obj_module_t mp_module_os;
MP_REGISTER_MODULE_DELEGATION(mp_module_os, baton_os_find_attribute);
