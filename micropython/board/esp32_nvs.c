// esp32.NVS: values that outlive a reset, in the partition "nvs".
// SPDX-License-Identifier: MIT
#include "firmware.h"

#include "py/runtime.h"

#include "baton-posix/nvs.h"
#include "esp_partition.h"

struct nvs_object {
    mp_obj_base_t base;
    uint8_t ns;
};

static struct baton_nvs storage;
static bool is_mounted;

// As ESP32's start-up does: what cannot be used is erased and made anew.
static esp_err_t mount(void) {
    const esp_partition_t *nvs = esp_partition_find_first(
            ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_NVS, "nvs");
    if (nvs == NULL) {
        return ESP_ERR_NVS_NOT_INITIALIZED;
    }
    const struct baton_flash *flash = &baton_board.nor.flash;
    esp_err_t err = baton_nvs_mount(&storage, flash, nvs->address, nvs->size);
    if (err == ESP_ERR_NVS_NO_FREE_PAGES
            || err == ESP_ERR_NVS_NEW_VERSION_FOUND) {
        err = esp_partition_erase_range(nvs, 0, nvs->size);
        if (err == ESP_OK) {
            err = baton_nvs_mount(&storage, flash, nvs->address, nvs->size);
        }
    }
    is_mounted = err == ESP_OK;
    return err;
}

static mp_obj_t nvs_make_new(const mp_obj_type_t *type, size_t n_args,
        size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, 1, false);
    const char *name = mp_obj_str_get_str(args[0]);
    if (!is_mounted) {
        baton_firmware_check(mount());
    }
    uint8_t ns;
    baton_firmware_check(baton_nvs_open(&storage, name, true, &ns));
    struct nvs_object *self = mp_obj_malloc(struct nvs_object, type);
    self->ns = ns;
    return MP_OBJ_FROM_PTR(self);
}

static void nvs_print(
        const mp_print_t *print, mp_obj_t self, mp_print_kind_t kind) {
    (void)self;
    (void)kind;
    mp_printf(print, "<NVS namespace>");
}

static uint8_t get_namespace(mp_obj_t self_in) {
    const struct nvs_object *self = MP_OBJ_TO_PTR(self_in);
    return self->ns;
}

static mp_obj_t set_i32(mp_obj_t self, mp_obj_t key, mp_obj_t value_in) {
    const char *name = mp_obj_str_get_str(key);
    int32_t value = baton_firmware_int(value_in);
    baton_firmware_check(baton_nvs_set_number(
            &storage, get_namespace(self), BATON_NVS_I32, name, &value));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(set_i32_obj, set_i32);

static mp_obj_t get_i32(mp_obj_t self, mp_obj_t key) {
    int32_t value;
    baton_firmware_check(baton_nvs_get_number(&storage, get_namespace(self),
            BATON_NVS_I32, mp_obj_str_get_str(key), &value));
    return mp_obj_new_int(value);
}
static MP_DEFINE_CONST_FUN_OBJ_2(get_i32_obj, get_i32);

static mp_obj_t set_blob(mp_obj_t self, mp_obj_t key, mp_obj_t value) {
    const char *name = mp_obj_str_get_str(key);
    mp_buffer_info_t buf;
    mp_get_buffer_raise(value, &buf, MP_BUFFER_READ);
    baton_firmware_check(baton_nvs_set_bytes(&storage, get_namespace(self),
            BATON_NVS_BLOB, name, buf.buf, buf.len));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(set_blob_obj, set_blob);

// Returns how long the value is.
static mp_obj_t get_blob(mp_obj_t self, mp_obj_t key, mp_obj_t value) {
    const char *name = mp_obj_str_get_str(key);
    mp_buffer_info_t buf;
    mp_get_buffer_raise(value, &buf, MP_BUFFER_WRITE);
    size_t len = buf.len;
    baton_firmware_check(baton_nvs_get_bytes(&storage, get_namespace(self),
            BATON_NVS_BLOB, name, buf.buf, &len));
    return mp_obj_new_int_from_uint(len);
}
static MP_DEFINE_CONST_FUN_OBJ_3(get_blob_obj, get_blob);

static mp_obj_t erase_key(mp_obj_t self, mp_obj_t key) {
    baton_firmware_check(baton_nvs_erase_key(
            &storage, get_namespace(self), mp_obj_str_get_str(key)));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(erase_key_obj, erase_key);

static mp_obj_t commit_all(mp_obj_t self) {
    (void)self;
    baton_firmware_check(baton_nvs_commit(&storage));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(commit_obj, commit_all);

static const mp_rom_map_elem_t nvs_locals_table[] = {
        {MP_ROM_QSTR(MP_QSTR_get_i32), MP_ROM_PTR(&get_i32_obj)},
        {MP_ROM_QSTR(MP_QSTR_set_i32), MP_ROM_PTR(&set_i32_obj)},
        {MP_ROM_QSTR(MP_QSTR_get_blob), MP_ROM_PTR(&get_blob_obj)},
        {MP_ROM_QSTR(MP_QSTR_set_blob), MP_ROM_PTR(&set_blob_obj)},
        {MP_ROM_QSTR(MP_QSTR_erase_key), MP_ROM_PTR(&erase_key_obj)},
        {MP_ROM_QSTR(MP_QSTR_commit), MP_ROM_PTR(&commit_obj)},
};
static MP_DEFINE_CONST_DICT(nvs_locals, nvs_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(baton_esp32_nvs_type, MP_QSTR_NVS, MP_TYPE_FLAG_NONE,
        make_new, nvs_make_new, print, nvs_print, locals_dict, &nvs_locals);
