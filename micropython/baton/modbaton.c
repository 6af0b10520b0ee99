// ESP-IDF's over-the-air update functions for MicroPython: baton.Partition.
// SPDX-License-Identifier: MIT
//
// One source for the ESP32 port and for the virtual board: it knows ESP-IDF's
// names and MicroPython's, nothing else.
//
// The type here stands on the port's own esp32_partition_type: it makes its
// objects by that type's functions and gives them its own type. So every method
// of before is the port's, and what the port's objects hold inside does not
// matter. With BATON_EXTEND_ESP32 the linker (--wrap=esp32_partition_type) puts
// this type where the module esp32 names its own, and `esp32.Partition` is
// `baton.Partition`. docs/MICROPYTHON.md has the whole story.
#include <string.h>

#include "py/mphal.h"
#include "py/objlist.h"
#include "py/runtime.h"

#include "esp_app_desc.h"
#include "esp_ota_ops.h"
#include "esp_partition.h"
#include "modesp32.h"

#if BATON_AGENT
#include "functions.h"
#endif

#if BATON_EXTEND_ESP32
#define stock_type     __real_esp32_partition_type
#define partition_type __wrap_esp32_partition_type
#else
#define stock_type     esp32_partition_type
#define partition_type baton_partition_type
#endif

extern const mp_obj_type_t stock_type;
extern const mp_obj_type_t partition_type;

// An OTA handle that is open. ESP-IDF keeps its handles over a soft reset; the
// garbage collector ends these then, and they end ESP-IDF's.
struct baton_ota {
    mp_obj_base_t base;
    struct baton_ota *next;
    esp_ota_handle_t handle;
    bool is_sequential;
};
MP_REGISTER_ROOT_POINTER(struct baton_ota *baton_otas);

// True while a thread is in one of ESP-IDF's functions; the GIL guards it.
static bool is_flash_busy;

// Other threads run Python while the flash works. Only one is let in here at a
// time: ESP-IDF guards the flash, but not its list of handles.
static void begin_flash(void) {
    while (is_flash_busy) {
        mp_hal_delay_ms(1);
    }
    is_flash_busy = true;
    MP_THREAD_GIL_EXIT();
}

// Returns None, or raises OSError.
static mp_obj_t end_flash(esp_err_t err) {
    MP_THREAD_GIL_ENTER();
    is_flash_busy = false;
    check_esp_err(err);
    return mp_const_none;
}

// A handle, size or offset: 32 bits, where -1 and 0xffffffff are the same.
static uint32_t get_u32(mp_obj_t value) {
    mp_int_t word;
    if (mp_obj_is_exact_type(value, &mp_type_int)) { // not a small one
        word = (mp_int_t)mp_obj_int_get_uint_checked(value);
    } else {
        word = mp_obj_get_int(value);
    }
    if (word != (mp_int_t)(uint32_t)word && word != (int32_t)word) {
        mp_raise_msg(&mp_type_OverflowError, NULL);
    }
    return (uint32_t)word;
}

static void get_data(mp_obj_t object, mp_buffer_info_t *buf) {
    mp_get_buffer_raise(object, buf, MP_BUFFER_READ);
    if (buf->buf == NULL) { // of an empty bytearray
        buf->buf = "";
    }
}

// A member of the type, or else of the port's type, bound to `self`; dest stays
// as it is where there is none.
static void load_member(
        const mp_obj_type_t *type, mp_obj_t self, qstr name, mp_obj_t *dest) {
    for (;; type = &stock_type) {
        mp_map_elem_t *member =
                mp_map_lookup(&MP_OBJ_TYPE_GET_SLOT(type, locals_dict)->map,
                        MP_OBJ_NEW_QSTR(name), MP_MAP_LOOKUP);
        if (member != NULL) {
            mp_convert_member_lookup(self, type, member->value, dest);
            return;
        }
        if (type == &stock_type) {
            return;
        }
    }
}

static mp_obj_t adopt(mp_obj_t stock_object) {
    ((mp_obj_base_t *)MP_OBJ_TO_PTR(stock_object))->type = &partition_type;
    return stock_object;
}

// Begins work in the flash as well.
static const esp_partition_t *begin_partition(mp_obj_t self) {
    mp_obj_t info[2];
    mp_obj_t *items;
    mp_load_method(self, MP_QSTR_info, info);
    mp_obj_get_array_fixed_n(mp_call_method_n_kw(0, 0, info), 6, &items);
    const esp_partition_t *partition = esp_partition_find_first(
            (esp_partition_type_t)MP_OBJ_SMALL_INT_VALUE(items[0]),
            (esp_partition_subtype_t)MP_OBJ_SMALL_INT_VALUE(items[1]),
            mp_obj_str_get_str(items[4]));
    // Of two with everything the same but their place, never the wrong one.
    if (partition != NULL
            && partition->address
                       != (uint32_t)MP_OBJ_SMALL_INT_VALUE(items[2])) {
        partition = NULL;
    }
    begin_flash();
    return partition; // ESP-IDF refuses NULL
}

static mp_obj_t partition_make_new(const mp_obj_type_t *type, size_t n_args,
        size_t n_kw, const mp_obj_t *args) {
    (void)type;
    return adopt(MP_OBJ_TYPE_GET_SLOT(&stock_type, make_new)(
            &stock_type, n_args, n_kw, args));
}

static void partition_print(
        const mp_print_t *print, mp_obj_t self, mp_print_kind_t kind) {
    MP_OBJ_TYPE_GET_SLOT(&stock_type, print)(print, self, kind);
}

static mp_obj_t find_call(
        mp_obj_t self, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_obj_t stock[2];
    load_member(&stock_type, self, MP_QSTR_find, stock);
    mp_obj_t found = mp_call_function_n_kw(stock[0], n_args, n_kw, args);
    mp_obj_list_t *list = MP_OBJ_TO_PTR(found);
    for (mp_obj_t *item = list->items + list->len; item > list->items;) {
        adopt(*--item);
    }
    return found;
}
static MP_DEFINE_CONST_OBJ_TYPE(
        find_type, MP_QSTR_function, MP_TYPE_FLAG_NONE, call, find_call);
static const mp_obj_base_t find_obj = {&find_type};

static mp_obj_t partition_get_next_update(mp_obj_t self) {
    mp_obj_t stock[2] = {MP_OBJ_NULL, MP_OBJ_NULL};
    load_member(&stock_type, self, MP_QSTR_get_next_update, stock);
    return adopt(mp_call_method_n_kw(0, 0, stock));
}
static MP_DEFINE_CONST_FUN_OBJ_1(
        get_next_update_obj, partition_get_next_update);

static mp_obj_t partition_mark_invalid(mp_obj_t cls) {
    (void)cls;
    begin_flash();
    return end_flash(esp_ota_mark_app_invalid_rollback_and_reboot());
}
static MP_DEFINE_CONST_FUN_OBJ_1(mark_invalid_fun_obj, partition_mark_invalid);
static MP_DEFINE_CONST_CLASSMETHOD_OBJ(
        mark_invalid_obj, MP_ROM_PTR(&mark_invalid_fun_obj));

static mp_obj_t partition_check_rollback(mp_obj_t cls) {
    (void)cls;
    begin_flash();
    bool is_possible = esp_ota_check_rollback_is_possible();
    end_flash(ESP_OK);
    return mp_obj_new_bool(is_possible);
}
static MP_DEFINE_CONST_FUN_OBJ_1(
        check_rollback_fun_obj, partition_check_rollback);
static MP_DEFINE_CONST_CLASSMETHOD_OBJ(
        check_rollback_obj, MP_ROM_PTR(&check_rollback_fun_obj));

static mp_obj_t partition_app_description(mp_obj_t self) {
    enum { TEXTS = 5 };
    const esp_partition_t *partition = begin_partition(self);
    esp_app_desc_t app;
    end_flash(esp_ota_get_partition_description(partition, &app));
    mp_obj_t items[1 + TEXTS + 1];
    items[0] = mp_obj_new_int_from_uint(app.secure_version);
    const char *text = (const char *)&app + offsetof(esp_app_desc_t, version);
    for (size_t i = 0; i < TEXTS; i++) {
        size_t size = i & 2 ? sizeof(app.time) : sizeof(app.version);
        // One that fills its field has no terminator.
        items[1 + i] = mp_obj_new_str(text, strnlen(text, size));
        text += size;
    }
    items[1 + TEXTS] =
            mp_obj_new_bytes(app.app_elf_sha256, sizeof(app.app_elf_sha256));
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
_Static_assert(
        offsetof(esp_app_desc_t, time) == offsetof(esp_app_desc_t, version) + 64
                && offsetof(esp_app_desc_t, idf_ver)
                           == offsetof(esp_app_desc_t, time) + 32,
        "two long texts, two short ones, a long one");
static MP_DEFINE_CONST_FUN_OBJ_1(
        app_description_obj, partition_app_description);

static mp_obj_t partition_app_state(mp_obj_t self) {
    const esp_partition_t *partition = begin_partition(self);
    esp_ota_img_states_t state;
    end_flash(esp_ota_get_state_partition(partition, &state));
    return mp_obj_new_int((int32_t)state);
}
static MP_DEFINE_CONST_FUN_OBJ_1(app_state_obj, partition_app_state);

static struct baton_ota *find_ota(esp_ota_handle_t handle) {
    struct baton_ota *ota = MP_STATE_VM(baton_otas);
    while (ota != NULL && ota->handle != handle) {
        ota = ota->next;
    }
    return ota;
}

// False where the handle is not in the list.
static MP_NOINLINE bool forget_ota(esp_ota_handle_t handle) {
    struct baton_ota **at = &MP_STATE_VM(baton_otas);
    for (; *at != NULL; at = &(*at)->next) {
        if ((*at)->handle == handle) {
            *at = (*at)->next;
            return true;
        }
    }
    return false;
}

// What is in the list is alive until a soft reset ends everything.
static mp_obj_t ota_del(mp_obj_t self_in) {
    struct baton_ota *self = MP_OBJ_TO_PTR(self_in);
    if (forget_ota(self->handle)) {
        esp_ota_abort(self->handle);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(ota_del_obj, ota_del);

static const mp_rom_map_elem_t ota_locals_table[] = {
        {MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&ota_del_obj)},
};
static MP_DEFINE_CONST_DICT(ota_locals, ota_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(
        ota_type, MP_QSTR_, MP_TYPE_FLAG_NONE, locals_dict, &ota_locals);

static mp_obj_t partition_ota_begin(
        size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    static const mp_arg_t allowed[] = {
            {MP_QSTR_image_size, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_INT(0)}},
    };
    mp_arg_val_t arg;
    mp_arg_parse_all(n_args - 1, pos_args + 1, kw_args, 1, allowed, &arg);
    uint32_t size = get_u32(arg.u_obj);
    struct baton_ota *ota =
            mp_obj_malloc_with_finaliser(struct baton_ota, &ota_type);
    ota->is_sequential = size == (uint32_t)OTA_WITH_SEQUENTIAL_WRITES;
    ota->handle = 0;
    const esp_partition_t *partition = begin_partition(pos_args[0]);
    esp_err_t err = esp_ota_begin(partition, size, &ota->handle);
    if (err != ESP_OK) {
        // A failed erase leaves a handle that Python would never see.
        esp_ota_abort(ota->handle);
    }
    end_flash(err);
    ota->next = MP_STATE_VM(baton_otas);
    MP_STATE_VM(baton_otas) = ota;
    return mp_obj_new_int_from_uint(ota->handle);
}
static MP_DEFINE_CONST_FUN_OBJ_KW(ota_begin_obj, 1, partition_ota_begin);

static mp_obj_t partition_ota_write(
        mp_obj_t self, mp_obj_t handle_in, mp_obj_t data) {
    (void)self;
    esp_ota_handle_t handle = get_u32(handle_in);
    mp_buffer_info_t buf;
    get_data(data, &buf);
    begin_flash();
    return end_flash(esp_ota_write(handle, buf.buf, buf.len));
}
static MP_DEFINE_CONST_FUN_OBJ_3(ota_write_obj, partition_ota_write);

// ESP-IDF stops the chip where a sequential handle is given an offset, so that
// only handles that are known here to be none get through.
static mp_obj_t partition_ota_write_with_offset(
        size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct baton_ota *ota = find_ota(get_u32(args[1]));
    uint32_t offset = get_u32(args[3]);
    mp_buffer_info_t buf;
    get_data(args[2], &buf);
    esp_err_t err = ESP_ERR_INVALID_ARG;
    begin_flash();
    if (ota != NULL) {
        err = ota->is_sequential ? ESP_ERR_INVALID_STATE
                                 : esp_ota_write_with_offset(
                                         ota->handle, buf.buf, buf.len, offset);
    }
    return end_flash(err);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(
        ota_write_with_offset_obj, 4, 4, partition_ota_write_with_offset);

// The handle is gone, whatever `function` returns.
static mp_obj_t close_ota(
        mp_obj_t handle_in, esp_err_t (*function)(esp_ota_handle_t)) {
    esp_ota_handle_t handle = get_u32(handle_in);
    begin_flash();
    esp_err_t err = function(handle);
    end_flash(ESP_OK);
    forget_ota(handle);
    check_esp_err(err);
    return mp_const_none;
}

static mp_obj_t partition_ota_end(mp_obj_t self, mp_obj_t handle) {
    (void)self;
    return close_ota(handle, esp_ota_end);
}
static MP_DEFINE_CONST_FUN_OBJ_2(ota_end_obj, partition_ota_end);

static mp_obj_t partition_ota_abort(mp_obj_t self, mp_obj_t handle) {
    (void)self;
    return close_ota(handle, esp_ota_abort);
}
static MP_DEFINE_CONST_FUN_OBJ_2(ota_abort_obj, partition_ota_abort);

static const mp_rom_map_elem_t partition_locals_table[] = {
        {MP_ROM_QSTR(MP_QSTR_find), MP_ROM_PTR(&find_obj)},
        {MP_ROM_QSTR(MP_QSTR_get_next_update),
                MP_ROM_PTR(&get_next_update_obj)},
        {MP_ROM_QSTR(MP_QSTR_mark_app_invalid_rollback_and_reboot),
                MP_ROM_PTR(&mark_invalid_obj)},
        {MP_ROM_QSTR(MP_QSTR_check_rollback_is_possible),
                MP_ROM_PTR(&check_rollback_obj)},
        {MP_ROM_QSTR(MP_QSTR_app_description),
                MP_ROM_PTR(&app_description_obj)},
        {MP_ROM_QSTR(MP_QSTR_app_state), MP_ROM_PTR(&app_state_obj)},
        {MP_ROM_QSTR(MP_QSTR_ota_begin), MP_ROM_PTR(&ota_begin_obj)},
        {MP_ROM_QSTR(MP_QSTR_ota_write), MP_ROM_PTR(&ota_write_obj)},
        {MP_ROM_QSTR(MP_QSTR_ota_write_with_offset),
                MP_ROM_PTR(&ota_write_with_offset_obj)},
        {MP_ROM_QSTR(MP_QSTR_ota_end), MP_ROM_PTR(&ota_end_obj)},
        {MP_ROM_QSTR(MP_QSTR_ota_abort), MP_ROM_PTR(&ota_abort_obj)},
        {MP_ROM_QSTR(MP_QSTR_APP_STATE_NEW), MP_ROM_INT(ESP_OTA_IMG_NEW)},
        {MP_ROM_QSTR(MP_QSTR_APP_STATE_PENDING_VERIFY),
                MP_ROM_INT(ESP_OTA_IMG_PENDING_VERIFY)},
        {MP_ROM_QSTR(MP_QSTR_APP_STATE_VALID), MP_ROM_INT(ESP_OTA_IMG_VALID)},
        {MP_ROM_QSTR(MP_QSTR_APP_STATE_INVALID),
                MP_ROM_INT(ESP_OTA_IMG_INVALID)},
        {MP_ROM_QSTR(MP_QSTR_APP_STATE_ABORTED),
                MP_ROM_INT(ESP_OTA_IMG_ABORTED)},
        {MP_ROM_QSTR(MP_QSTR_APP_STATE_UNDEFINED),
                MP_ROM_INT((int32_t)ESP_OTA_IMG_UNDEFINED)},
        {MP_ROM_QSTR(MP_QSTR_OTA_SIZE_UNKNOWN),
                MP_ROM_INT((int32_t)OTA_SIZE_UNKNOWN)},
        {MP_ROM_QSTR(MP_QSTR_OTA_WITH_SEQUENTIAL_WRITES),
                MP_ROM_INT((int32_t)OTA_WITH_SEQUENTIAL_WRITES)},
};
static MP_DEFINE_CONST_DICT(partition_locals, partition_locals_table);

// MicroPython looks for members of a type in its parent too, but not for those
// of its objects.
static void partition_attr(mp_obj_t self, qstr name, mp_obj_t *dest) {
    if (dest[0] == MP_OBJ_NULL) { // nothing can be set
        load_member(&partition_type, self, name, dest);
    }
}

MP_DEFINE_CONST_OBJ_TYPE(partition_type, MP_QSTR_Partition, MP_TYPE_FLAG_NONE,
        make_new, partition_make_new, print, partition_print, attr,
        partition_attr, locals_dict, &partition_locals, parent, &stock_type);

static const mp_rom_map_elem_t baton_globals_table[] = {
        {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_baton)},
        {MP_ROM_QSTR(MP_QSTR_Partition), MP_ROM_PTR(&partition_type)},
};
static MP_DEFINE_CONST_DICT(baton_globals, baton_globals_table);

const mp_obj_module_t baton_module = {
        .base = {&mp_type_module},
        .globals = (mp_obj_dict_t *)&baton_globals,
};
// Extensible: the Python package `baton` comes first where there is one.
MP_REGISTER_EXTENSIBLE_MODULE(MP_QSTR_baton, baton_module);

#if BATON_AGENT
// What the package stands on.
#define FUNCTION_ROW(name, object) {MP_ROM_QSTR(name), MP_ROM_PTR(&object)},

static const mp_rom_map_elem_t baton_private_globals_table[] = {
        {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__baton)},
        {MP_ROM_QSTR(MP_QSTR_Partition), MP_ROM_PTR(&partition_type)},
        BATON_FUNCTIONS(FUNCTION_ROW)};
static MP_DEFINE_CONST_DICT(baton_private_globals, baton_private_globals_table);

const mp_obj_module_t baton_private_module = {
        .base = {&mp_type_module},
        .globals = (mp_obj_dict_t *)&baton_private_globals,
};
#if BATON_TRIES_NATIVE
MP_REGISTER_EXTENSIBLE_MODULE(MP_QSTR__baton, baton_private_module);
#else
MP_REGISTER_MODULE(MP_QSTR__baton, baton_private_module);
#endif
#endif
