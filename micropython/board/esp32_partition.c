// esp32.Partition, with the errors and the quirks of the chip's.
// SPDX-License-Identifier: MIT
#include "modesp32.h"

#include <errno.h>

#include "py/runtime.h"
#include "extmod/vfs.h"

#include "baton-posix/idf.h"
#include "esp_ota_ops.h"
#include "esp_partition.h"

#define SECTOR_BYTES 4096u

enum {
    PARTITION_BOOT,
    PARTITION_RUNNING,
};

struct partition_object {
    mp_obj_base_t base;
    const esp_partition_t *partition;
    uint8_t *cache; // one sector; NULL for blocks of a sector or more
    uint16_t block_bytes;
};

static mp_obj_t new_object(const esp_partition_t *partition, int32_t block) {
    if (partition == NULL) {
        mp_raise_OSError(ENOENT);
    }
    struct partition_object *self =
            mp_obj_malloc(struct partition_object, &esp32_partition_type);
    self->partition = partition;
    self->block_bytes = (uint16_t)block; // cut to 16 bits, as on the chip
    self->cache = NULL;
    if (self->block_bytes < SECTOR_BYTES) {
        self->cache = m_new(uint8_t, SECTOR_BYTES);
    }
    return MP_OBJ_FROM_PTR(self);
}

static const esp_partition_t *find_label(const char *label) {
    const esp_partition_t *found = esp_partition_find_first(
            ESP_PARTITION_TYPE_APP, ESP_PARTITION_SUBTYPE_ANY, label);
    if (found == NULL) {
        found = esp_partition_find_first(
                ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, label);
    }
    return found;
}

static const esp_partition_t *find_id(mp_obj_t id) {
    if (!mp_obj_is_int(id)) {
        return find_label(mp_obj_str_get_str(id));
    }
    switch (baton_firmware_int(id)) {
    case PARTITION_BOOT:
        return esp_ota_get_boot_partition();
    case PARTITION_RUNNING:
        return esp_ota_get_running_partition();
    default:
        mp_raise_ValueError(NULL);
    }
}

static mp_obj_t partition_make_new(const mp_obj_type_t *type, size_t n_args,
        size_t n_kw, const mp_obj_t *args) {
    (void)type;
    mp_arg_check_num(n_args, n_kw, 1, 2, false);
    const esp_partition_t *partition = find_id(args[0]);
    int32_t block = SECTOR_BYTES;
    if (n_args > 1) {
        block = baton_firmware_int(args[1]);
    }
    return new_object(partition, block);
}

static void partition_print(
        const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    const struct partition_object *self = MP_OBJ_TO_PTR(self_in);
    const esp_partition_t *p = self->partition;
    mp_printf(print,
            "<Partition type=%u, subtype=%u, address=%u, size=%u, label=%s, "
            "encrypted=%u>",
            (unsigned)p->type, (unsigned)p->subtype, (unsigned)p->address,
            (unsigned)p->size, p->label, (unsigned)p->encrypted);
}

static mp_obj_t partition_find(
        size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum { ARG_TYPE, ARG_SUBTYPE, ARG_LABEL, ARG_BLOCK_SIZE, ARGS };
    static const mp_arg_t allowed[ARGS] = {
            {MP_QSTR_type, MP_ARG_INT, {.u_int = ESP_PARTITION_TYPE_APP}},
            {MP_QSTR_subtype, MP_ARG_INT, {.u_int = ESP_PARTITION_SUBTYPE_ANY}},
            {MP_QSTR_label, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
            {MP_QSTR_block_size, MP_ARG_INT, {.u_int = SECTOR_BYTES}},
    };
    mp_arg_val_t args[ARGS];
    mp_arg_parse_all(n_args, pos_args, kw_args, ARGS, allowed, args);
    const char *label = NULL;
    if (args[ARG_LABEL].u_obj != mp_const_none) {
        label = mp_obj_str_get_str(args[ARG_LABEL].u_obj);
    }
    mp_obj_t list = mp_obj_new_list(0, NULL);
    esp_partition_iterator_t i =
            esp_partition_find((esp_partition_type_t)args[ARG_TYPE].u_int,
                    (esp_partition_subtype_t)args[ARG_SUBTYPE].u_int, label);
    for (; i != NULL; i = esp_partition_next(i)) {
        mp_obj_list_append(list, new_object(esp_partition_get(i),
                                         (int32_t)args[ARG_BLOCK_SIZE].u_int));
    }
    return list;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(find_fun_obj, 0, partition_find);
static MP_DEFINE_CONST_STATICMETHOD_OBJ(find_obj, MP_ROM_PTR(&find_fun_obj));

static mp_obj_t partition_info(mp_obj_t self_in) {
    const struct partition_object *self = MP_OBJ_TO_PTR(self_in);
    const esp_partition_t *p = self->partition;
    mp_obj_t items[] = {
            MP_OBJ_NEW_SMALL_INT(p->type),
            MP_OBJ_NEW_SMALL_INT(p->subtype),
            mp_obj_new_int_from_uint(p->address),
            mp_obj_new_int_from_uint(p->size),
            mp_obj_new_str_from_cstr(p->label),
            mp_obj_new_bool(p->encrypted),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
static MP_DEFINE_CONST_FUN_OBJ_1(info_obj, partition_info);

// 32-bit arithmetic: a negative number wraps, and is refused further down.
static uint32_t block_off(
        const struct partition_object *self, mp_obj_t number) {
    return (uint32_t)baton_firmware_int(number) * self->block_bytes;
}

static mp_obj_t partition_readblocks(size_t n_args, const mp_obj_t *args) {
    const struct partition_object *self = MP_OBJ_TO_PTR(args[0]);
    uint32_t off = block_off(self, args[1]);
    mp_buffer_info_t buf;
    mp_get_buffer_raise(args[2], &buf, MP_BUFFER_WRITE);
    if (n_args > 3) {
        off += (uint32_t)baton_firmware_int(args[3]);
    }
    baton_firmware_check(
            esp_partition_read(self->partition, off, buf.buf, buf.len));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(
        readblocks_obj, 3, 4, partition_readblocks);

// Erases [off, end) and keeps what else its sectors hold.
static void erase_within_sectors(
        const struct partition_object *self, uint32_t off, uint32_t end) {
    const esp_partition_t *p = self->partition;
    uint32_t sector = off - off % SECTOR_BYTES;
    for (; sector < end; sector += SECTOR_BYTES) {
        uint32_t head = sector < off ? off - sector : 0;
        uint32_t tail =
                sector + SECTOR_BYTES > end ? end - sector : SECTOR_BYTES;
        if (head > 0 || tail < SECTOR_BYTES) {
            baton_firmware_check(
                    esp_partition_read(p, sector, self->cache, SECTOR_BYTES));
        }
        baton_firmware_check(
                esp_partition_erase_range(p, sector, SECTOR_BYTES));
        if (head > 0) {
            baton_firmware_check(
                    esp_partition_write(p, sector, self->cache, head));
        }
        if (tail < SECTOR_BYTES) {
            baton_firmware_check(esp_partition_write(
                    p, sector + tail, self->cache + tail, SECTOR_BYTES - tail));
        }
    }
}

static mp_obj_t partition_writeblocks(size_t n_args, const mp_obj_t *args) {
    const struct partition_object *self = MP_OBJ_TO_PTR(args[0]);
    uint32_t off = block_off(self, args[1]);
    mp_buffer_info_t buf;
    mp_get_buffer_raise(args[2], &buf, MP_BUFFER_READ);
    if (n_args > 3) {
        off += (uint32_t)baton_firmware_int(args[3]);
    } else if (self->block_bytes >= SECTOR_BYTES) {
        baton_firmware_check(
                esp_partition_erase_range(self->partition, off, buf.len));
    } else {
        erase_within_sectors(self, off, off + (uint32_t)buf.len);
    }
    baton_firmware_check(
            esp_partition_write(self->partition, off, buf.buf, buf.len));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(
        writeblocks_obj, 3, 4, partition_writeblocks);

static mp_obj_t erase_block(
        const struct partition_object *self, mp_obj_t number) {
    if (self->block_bytes != SECTOR_BYTES) {
        return MP_OBJ_NEW_SMALL_INT(-EINVAL);
    }
    baton_firmware_check(esp_partition_erase_range(
            self->partition, block_off(self, number), SECTOR_BYTES));
    return MP_OBJ_NEW_SMALL_INT(0);
}

static mp_obj_t count_blocks(const struct partition_object *self) {
    if (self->block_bytes == 0) {
        mp_printf(&mp_plat_print, "panic: division by zero\n");
        baton_firmware_reset(BATON_RESET_HARD);
    }
    return MP_OBJ_NEW_SMALL_INT(self->partition->size / self->block_bytes);
}

static mp_obj_t partition_ioctl(
        mp_obj_t self_in, mp_obj_t operation, mp_obj_t arg) {
    const struct partition_object *self = MP_OBJ_TO_PTR(self_in);
    switch (baton_firmware_int(operation)) {
    case MP_BLOCKDEV_IOCTL_INIT:
    case MP_BLOCKDEV_IOCTL_DEINIT:
    case MP_BLOCKDEV_IOCTL_SYNC:
        return MP_OBJ_NEW_SMALL_INT(0);
    case MP_BLOCKDEV_IOCTL_BLOCK_COUNT:
        return count_blocks(self);
    case MP_BLOCKDEV_IOCTL_BLOCK_SIZE:
        return MP_OBJ_NEW_SMALL_INT(self->block_bytes);
    case MP_BLOCKDEV_IOCTL_BLOCK_ERASE:
        return erase_block(self, arg);
    default:
        return mp_const_none;
    }
}
static MP_DEFINE_CONST_FUN_OBJ_3(ioctl_obj, partition_ioctl);

static mp_obj_t partition_set_boot(mp_obj_t self_in) {
    const struct partition_object *self = MP_OBJ_TO_PTR(self_in);
    baton_firmware_check(esp_ota_set_boot_partition(self->partition));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(set_boot_obj, partition_set_boot);

static mp_obj_t partition_get_next_update(mp_obj_t self_in) {
    const struct partition_object *self = MP_OBJ_TO_PTR(self_in);
    return new_object(
            esp_ota_get_next_update_partition(self->partition), SECTOR_BYTES);
}
static MP_DEFINE_CONST_FUN_OBJ_1(
        get_next_update_obj, partition_get_next_update);

static mp_obj_t partition_mark_valid(mp_obj_t cls) {
    (void)cls;
    baton_firmware_check(esp_ota_mark_app_valid_cancel_rollback());
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(mark_valid_fun_obj, partition_mark_valid);
static MP_DEFINE_CONST_CLASSMETHOD_OBJ(
        mark_valid_obj, MP_ROM_PTR(&mark_valid_fun_obj));

static const mp_rom_map_elem_t partition_locals_table[] = {
        {MP_ROM_QSTR(MP_QSTR_find), MP_ROM_PTR(&find_obj)},
        {MP_ROM_QSTR(MP_QSTR_info), MP_ROM_PTR(&info_obj)},
        {MP_ROM_QSTR(MP_QSTR_readblocks), MP_ROM_PTR(&readblocks_obj)},
        {MP_ROM_QSTR(MP_QSTR_writeblocks), MP_ROM_PTR(&writeblocks_obj)},
        {MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&ioctl_obj)},
        {MP_ROM_QSTR(MP_QSTR_set_boot), MP_ROM_PTR(&set_boot_obj)},
        {MP_ROM_QSTR(MP_QSTR_get_next_update),
                MP_ROM_PTR(&get_next_update_obj)},
        {MP_ROM_QSTR(MP_QSTR_mark_app_valid_cancel_rollback),
                MP_ROM_PTR(&mark_valid_obj)},
        {MP_ROM_QSTR(MP_QSTR_BOOT), MP_ROM_INT(PARTITION_BOOT)},
        {MP_ROM_QSTR(MP_QSTR_RUNNING), MP_ROM_INT(PARTITION_RUNNING)},
        {MP_ROM_QSTR(MP_QSTR_TYPE_APP), MP_ROM_INT(ESP_PARTITION_TYPE_APP)},
        {MP_ROM_QSTR(MP_QSTR_TYPE_DATA), MP_ROM_INT(ESP_PARTITION_TYPE_DATA)},
};
static MP_DEFINE_CONST_DICT(partition_locals, partition_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(esp32_partition_type, MP_QSTR_Partition,
        MP_TYPE_FLAG_NONE, make_new, partition_make_new, print, partition_print,
        locals_dict, &partition_locals);
