// The module esp: the flash chip as a whole.
// SPDX-License-Identifier: MIT
#include "firmware.h"

#include <errno.h>

#include "py/runtime.h"

#include "esp_flash.h"
#include "esp_log.h"

// Where the file system began on boards without a partition table.
#define USER_START_ADDR 0x200000

static void check(esp_err_t err) {
    if (err != ESP_OK) {
        mp_raise_OSError(EIO);
    }
}

static mp_obj_t flash_read(mp_obj_t addr, mp_obj_t buf_in) {
    mp_buffer_info_t buf;
    uint32_t from = (uint32_t)baton_firmware_int(addr);
    mp_get_buffer_raise(buf_in, &buf, MP_BUFFER_WRITE);
    check(esp_flash_read(NULL, buf.buf, from, (uint32_t)buf.len));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(flash_read_obj, flash_read);

static mp_obj_t flash_write(mp_obj_t addr, mp_obj_t buf_in) {
    mp_buffer_info_t buf;
    uint32_t to = (uint32_t)baton_firmware_int(addr);
    mp_get_buffer_raise(buf_in, &buf, MP_BUFFER_READ);
    check(esp_flash_write(NULL, buf.buf, to, (uint32_t)buf.len));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(flash_write_obj, flash_write);

static mp_obj_t flash_erase(mp_obj_t sector) {
    uint32_t addr = (uint32_t)baton_firmware_int(sector) * SPI_FLASH_SEC_SIZE;
    check(esp_flash_erase_region(NULL, addr, SPI_FLASH_SEC_SIZE));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(flash_erase_obj, flash_erase);

static mp_obj_t flash_size(void) {
    uint32_t size = 0;
    check(esp_flash_get_size(NULL, &size));
    return mp_obj_new_int_from_uint(size);
}
static MP_DEFINE_CONST_FUN_OBJ_0(flash_size_obj, flash_size);

static mp_obj_t flash_user_start(void) {
    return MP_OBJ_NEW_SMALL_INT(USER_START_ADDR);
}
static MP_DEFINE_CONST_FUN_OBJ_0(flash_user_start_obj, flash_user_start);

// There are no messages of ESP-IDF to turn on or off here.
static mp_obj_t osdebug(size_t n_args, const mp_obj_t *args) {
    if (n_args > 1) {
        baton_firmware_int(args[1]);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(osdebug_obj, 1, 2, osdebug);

static const mp_rom_map_elem_t esp_globals_table[] = {
        {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_esp)},
        {MP_ROM_QSTR(MP_QSTR_osdebug), MP_ROM_PTR(&osdebug_obj)},
        {MP_ROM_QSTR(MP_QSTR_flash_read), MP_ROM_PTR(&flash_read_obj)},
        {MP_ROM_QSTR(MP_QSTR_flash_write), MP_ROM_PTR(&flash_write_obj)},
        {MP_ROM_QSTR(MP_QSTR_flash_erase), MP_ROM_PTR(&flash_erase_obj)},
        {MP_ROM_QSTR(MP_QSTR_flash_size), MP_ROM_PTR(&flash_size_obj)},
        {MP_ROM_QSTR(MP_QSTR_flash_user_start),
                MP_ROM_PTR(&flash_user_start_obj)},
        {MP_ROM_QSTR(MP_QSTR_LOG_NONE), MP_ROM_INT(ESP_LOG_NONE)},
        {MP_ROM_QSTR(MP_QSTR_LOG_ERROR), MP_ROM_INT(ESP_LOG_ERROR)},
        {MP_ROM_QSTR(MP_QSTR_LOG_WARNING), MP_ROM_INT(ESP_LOG_WARN)},
        {MP_ROM_QSTR(MP_QSTR_LOG_INFO), MP_ROM_INT(ESP_LOG_INFO)},
        {MP_ROM_QSTR(MP_QSTR_LOG_DEBUG), MP_ROM_INT(ESP_LOG_DEBUG)},
        {MP_ROM_QSTR(MP_QSTR_LOG_VERBOSE), MP_ROM_INT(ESP_LOG_VERBOSE)},
};
static MP_DEFINE_CONST_DICT(esp_globals, esp_globals_table);

const mp_obj_module_t baton_esp_module = {
        .base = {&mp_type_module},
        .globals = (mp_obj_dict_t *)&esp_globals,
};
MP_REGISTER_MODULE(MP_QSTR_esp, baton_esp_module);
