// sys.version and sys.implementation: the firmware in the running slot.
// SPDX-License-Identifier: MIT
//
// MicroPython's module sys is constant. The linker puts a copy in its place
// (--wrap=mp_module_sys), in which a boot fills in what the image says.
#include "firmware.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "py/builtin.h"
#include "py/objstr.h"
#include "py/objtuple.h"
#include "py/runtime.h"

#define ENTRIES_MAX  48
#define FIELDS_MAX   12
#define CHIP_MAXSIZE 0x7FFFFFFF

// A tuple with room for its items, and for the names of them behind.
struct tuple {
    mp_obj_tuple_t head;
    mp_obj_t items[FIELDS_MAX];
};

static char version_text[112];
static char machine_text[128];
static mp_obj_str_t version;
static mp_obj_str_t machine;
static struct tuple numbers;
static struct tuple implementation;
static mp_map_elem_t entries[ENTRIES_MAX];
static mp_obj_dict_t globals;

extern const mp_obj_module_t __real_mp_module_sys;
extern const mp_obj_module_t __wrap_mp_module_sys;
const mp_obj_module_t __wrap_mp_module_sys = {
        .base = {&mp_type_module},
        .globals = &globals,
};

const char *baton_sys_banner(void) {
    return version_text + strlen("3.4.0; ");
}

static mp_obj_t make_text(mp_obj_str_t *self, const char *text) {
    self->base.type = &mp_type_str;
    self->len = strlen(text);
    self->data = (const byte *)text;
    self->hash = qstr_compute_hash(self->data, self->len);
    return MP_OBJ_FROM_PTR(self);
}

// "1.26.1" or "1.27.0-preview.31.gc1a" as (1, 26, 1, "") and the like.
static bool make_numbers(const char *release) {
    unsigned major, minor, micro;
    int end = 0;
    if (sscanf(release, "%u.%u.%u%n", &major, &minor, &micro, &end) != 3) {
        return false;
    }
    numbers.head.base.type = &mp_type_tuple;
    numbers.head.len = 4;
    numbers.head.items[0] = MP_OBJ_NEW_SMALL_INT(major);
    numbers.head.items[1] = MP_OBJ_NEW_SMALL_INT(minor);
    numbers.head.items[2] = MP_OBJ_NEW_SMALL_INT(micro);
    numbers.head.items[3] = MP_OBJ_NEW_QSTR(
            strncmp(release + end, "-preview", 8) == 0 ? (qstr)MP_QSTR_preview
                                                       : (qstr)MP_QSTR_);
    return true;
}

// The interpreter's own tuple, with the image's version and machine.
static mp_obj_t make_implementation(
        mp_obj_t own, const struct baton_firmware_name *name) {
    const mp_obj_tuple_t *tuple = MP_OBJ_TO_PTR(own);
    memcpy(&implementation, tuple,
            sizeof(*tuple) + (tuple->len + 1) * sizeof(mp_obj_t));
    if (make_numbers(name->release)) {
        implementation.head.items[1] = MP_OBJ_FROM_PTR(&numbers);
    }
    snprintf(machine_text, sizeof(machine_text), "%s", name->machine);
    implementation.head.items[2] = make_text(&machine, machine_text);
    return MP_OBJ_FROM_PTR(&implementation);
}

static void put(mp_obj_t key, mp_obj_t value) {
    mp_map_elem_t *entry = mp_map_lookup(&globals.map, key, MP_MAP_LOOKUP);
    if (entry != NULL) {
        entry->value = value;
    }
}

void baton_sys_begin(void) {
    const mp_map_t *own = &__real_mp_module_sys.globals->map;
    struct baton_firmware_name name;
    if (own->used > ENTRIES_MAX) {
        abort();
    }
    memcpy(entries, own->table, own->used * sizeof(entries[0]));
    globals = *__real_mp_module_sys.globals;
    globals.map.table = entries;
    baton_firmware_name(&name);
    // An image that is not MicroPython's says nothing of it.
    const char *text = name.version[0] != '\0' ? name.version : "?";
    snprintf(version_text, sizeof(version_text), "3.4.0; MicroPython %s", text);
    put(MP_OBJ_NEW_QSTR(MP_QSTR_version), make_text(&version, version_text));
    put(MP_OBJ_NEW_QSTR(MP_QSTR_maxsize), MP_OBJ_NEW_SMALL_INT(CHIP_MAXSIZE));
    mp_map_elem_t *entry = mp_map_lookup(&globals.map,
            MP_OBJ_NEW_QSTR(MP_QSTR_implementation), MP_MAP_LOOKUP);
    if (entry != NULL) {
        entry->value = make_implementation(entry->value, &name);
    }
}
