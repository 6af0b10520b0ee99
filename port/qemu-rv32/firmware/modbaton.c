// The module baton of the board's firmware: partitions and over-the-air updates
// under the names they have on ESP32, and what only this board has.
// SPDX-License-Identifier: MIT
//
// `esp32` is there as well, so that a script for a chip finds it: its Partition
// is the same but for its blocks, which have 4 KiB everywhere (flash.h).
#include "py/mphal.h"
#include "py/runtime.h"
#include "extmod/vfs.h"

#include "baton/error.h"
#include "cut.h"
#include "firmware.h"

enum {
    PARTITION_BOOT,
    PARTITION_RUNNING,
};

// The handle of the update that is under way; there is one at a time.
static mp_uint_t open_handle;

extern const mp_obj_type_t baton_partition_type;
extern const mp_obj_type_t baton_esp32_partition_type;

struct partition_object {
    mp_obj_base_t base;
    const struct baton_partition *row;
};

static void check(int err) {
    if (err == 0) {
        return;
    }
    const char *text = baton_strerror(err);
    mp_obj_t args[2] = {
            MP_OBJ_NEW_SMALL_INT(err), mp_obj_new_str(text, strlen(text))};
    nlr_raise(mp_obj_new_exception_args(&mp_type_OSError, 2, args));
}

static struct board_device *get_device(void) {
    int err;
    struct board_device *device = board_firmware_device(&err);
    check(err);
    return device;
}

static mp_obj_t new_partition(
        const mp_obj_type_t *type, const struct baton_partition *row) {
    if (row == NULL) {
        check(BATON_ERR_NOENT);
    }
    struct partition_object *self =
            mp_obj_malloc(struct partition_object, type);
    self->row = row;
    return MP_OBJ_FROM_PTR(self);
}

static const struct baton_partition *get_row(mp_obj_t self) {
    return ((struct partition_object *)MP_OBJ_TO_PTR(self))->row;
}

// ---- Which partition -----------------------------------------------------

static mp_obj_t partition_make_new(const mp_obj_type_t *type, size_t n_args,
        size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, 1, false);
    struct board_device *device = get_device();
    if (mp_obj_is_str(args[0])) {
        return new_partition(
                type, baton_table_find_label(device->rows, device->row_count,
                              mp_obj_str_get_str(args[0])));
    }
    switch (mp_obj_get_int(args[0])) {
    case PARTITION_BOOT:
        return new_partition(type, board_device_boot_row(device));
    case PARTITION_RUNNING:
        return new_partition(type, device->running);
    default:
        mp_raise_ValueError(NULL);
    }
}

static mp_obj_t partition_info(mp_obj_t self) {
    const struct baton_partition *row = get_row(self);
    mp_obj_t items[6] = {
            MP_OBJ_NEW_SMALL_INT(row->type),
            MP_OBJ_NEW_SMALL_INT(row->subtype),
            mp_obj_new_int_from_uint(row->addr),
            mp_obj_new_int_from_uint(row->size_bytes),
            mp_obj_new_str(row->label, strlen(row->label)),
            mp_obj_new_bool((row->flags & BATON_PARTITION_ENCRYPTED) != 0),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
static MP_DEFINE_CONST_FUN_OBJ_1(partition_info_obj, partition_info);

static void partition_print(
        const mp_print_t *print, mp_obj_t self, mp_print_kind_t kind) {
    (void)kind;
    const struct baton_partition *row = get_row(self);
    mp_printf(print,
            "<Partition type=%u, subtype=%u, address=%u, size=%u, label=%s>",
            row->type, row->subtype, (unsigned)row->addr,
            (unsigned)row->size_bytes, row->label);
}

static mp_obj_t partition_find(
        size_t n_args, const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum { ARG_type, ARG_subtype, ARG_label };
    static const mp_arg_t allowed[] = {
            {MP_QSTR_type, MP_ARG_INT, {.u_int = BATON_TYPE_APP}},
            {MP_QSTR_subtype, MP_ARG_INT, {.u_int = 0xFF}},
            {MP_QSTR_label, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
    };
    mp_arg_val_t arg[MP_ARRAY_SIZE(allowed)];
    mp_arg_parse_all(
            n_args, pos_args, kw_args, MP_ARRAY_SIZE(allowed), allowed, arg);
    const char *label = arg[ARG_label].u_obj == mp_const_none
                                ? NULL
                                : mp_obj_str_get_str(arg[ARG_label].u_obj);
    struct board_device *device = get_device();
    mp_obj_t list = mp_obj_new_list(0, NULL);
    for (size_t i = 0; i < device->row_count; i++) {
        const struct baton_partition *row = &device->rows[i];
        if (row->type == arg[ARG_type].u_int
                && (arg[ARG_subtype].u_int == 0xFF
                        || row->subtype == arg[ARG_subtype].u_int)
                && (label == NULL || strcmp(label, row->label) == 0)) {
            mp_obj_list_append(
                    list, new_partition(MP_OBJ_TO_PTR(pos_args[0]), row));
        }
    }
    return list;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(partition_find_fun_obj, 1, partition_find);
static MP_DEFINE_CONST_CLASSMETHOD_OBJ(
        partition_find_obj, MP_ROM_PTR(&partition_find_fun_obj));

static mp_obj_t partition_get_next_update(mp_obj_t self) {
    return new_partition(
            mp_obj_get_type(self), board_device_next_row(get_device()));
}
static MP_DEFINE_CONST_FUN_OBJ_1(
        partition_get_next_update_obj, partition_get_next_update);

// ---- Blocks: sectors, which are 4 KiB or 256 KiB -------------------------

static const struct baton_flash *get_flash(mp_obj_t self, uint32_t *sector) {
    struct board_device *device = get_device();
    const struct baton_flash *flash =
            mp_obj_get_type(self) == &baton_esp32_partition_type
                    ? &device->flash.as_esp32
                    : board_device_flash(device, get_row(self)->addr);
    *sector =
            flash->sector_bytes != 0 ? flash->sector_bytes : BATON_SECTOR_BYTES;
    return flash;
}

// Where a transfer goes; refuses what is not inside the partition.
static uint32_t get_addr(const struct baton_partition *row, uint32_t sector,
        size_t n_args, const mp_obj_t *args, size_t len) {
    mp_uint_t block = (mp_uint_t)mp_obj_get_int(args[1]);
    mp_uint_t off = n_args > 3 ? (mp_uint_t)mp_obj_get_int(args[3]) : 0;
    mp_uint_t count = row->size_bytes / sector;
    if (block >= count || off > row->size_bytes - block * sector
            || len > row->size_bytes - block * sector - off) {
        check(BATON_ERR_RANGE);
    }
    return row->addr + block * sector + off;
}

static mp_obj_t partition_readblocks(size_t n_args, const mp_obj_t *args) {
    const struct baton_partition *row = get_row(args[0]);
    mp_buffer_info_t buf;
    mp_get_buffer_raise(args[2], &buf, MP_BUFFER_WRITE);
    uint32_t sector;
    const struct baton_flash *flash = get_flash(args[0], &sector);
    uint32_t addr = get_addr(row, sector, n_args, args, buf.len);
    check(flash->read(flash->context, addr, buf.buf, buf.len));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(
        partition_readblocks_obj, 3, 4, partition_readblocks);

// Without an offset whole sectors are erased first.
static mp_obj_t partition_writeblocks(size_t n_args, const mp_obj_t *args) {
    const struct baton_partition *row = get_row(args[0]);
    mp_buffer_info_t buf;
    mp_get_buffer_raise(args[2], &buf, MP_BUFFER_READ);
    uint32_t sector;
    const struct baton_flash *flash = get_flash(args[0], &sector);
    uint32_t addr = get_addr(row, sector, n_args, args, buf.len);
    if (row == get_device()->running) {
        check(BATON_ERR_RUNNING_SLOT);
    }
    if (n_args == 3) {
        check(flash->erase(flash->context, addr, buf.len));
    }
    check(flash->program(flash->context, addr, buf.buf, buf.len));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(
        partition_writeblocks_obj, 3, 4, partition_writeblocks);

static mp_obj_t partition_ioctl(
        mp_obj_t self, mp_obj_t command, mp_obj_t value) {
    const struct baton_partition *row = get_row(self);
    uint32_t sector;
    const struct baton_flash *flash = get_flash(self, &sector);
    switch (mp_obj_get_int(command)) {
    case MP_BLOCKDEV_IOCTL_BLOCK_COUNT:
        return mp_obj_new_int_from_uint(row->size_bytes / sector);
    case MP_BLOCKDEV_IOCTL_BLOCK_SIZE:
        return mp_obj_new_int_from_uint(sector);
    case MP_BLOCKDEV_IOCTL_BLOCK_ERASE: {
        mp_uint_t block = (mp_uint_t)mp_obj_get_int(value);
        if (row == get_device()->running) {
            check(BATON_ERR_RUNNING_SLOT);
        }
        check(block < row->size_bytes / sector ? 0 : BATON_ERR_RANGE);
        check(flash->erase(flash->context, row->addr + block * sector, sector));
        return MP_OBJ_NEW_SMALL_INT(0);
    }
    default: // start, stop, sync: nothing to do
        return MP_OBJ_NEW_SMALL_INT(0);
    }
}
static MP_DEFINE_CONST_FUN_OBJ_3(partition_ioctl_obj, partition_ioctl);

// ---- The update ----------------------------------------------------------

static mp_obj_t partition_ota_begin(size_t n_args, const mp_obj_t *args) {
    mp_int_t size = n_args > 1 ? mp_obj_get_int(args[1]) : 0;
    check(board_device_update_begin(
            get_device(), get_row(args[0]), size < 0 ? 0 : (uint32_t)size));
    return mp_obj_new_int_from_uint(++open_handle);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(
        partition_ota_begin_obj, 1, 2, partition_ota_begin);

// The update that a handle is for; one of an earlier update is refused.
static struct board_device *get_update(mp_obj_t handle) {
    struct board_device *device = get_device();
    if (!device->is_updating
            || mp_obj_get_int_truncated(handle) != (mp_int_t)open_handle) {
        check(BATON_ERR_STATE);
    }
    return device;
}

static mp_obj_t partition_ota_write(
        mp_obj_t self, mp_obj_t handle, mp_obj_t data) {
    (void)self;
    struct board_device *device = get_update(handle);
    mp_buffer_info_t buf;
    mp_get_buffer_raise(data, &buf, MP_BUFFER_READ);
    check(baton_update_write(&device->update, buf.buf, buf.len));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(partition_ota_write_obj, partition_ota_write);

static mp_obj_t partition_ota_end(mp_obj_t self, mp_obj_t handle) {
    (void)self;
    struct board_device *device = get_update(handle);
    device->is_updating = false;
    check(baton_update_end(&device->update));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(partition_ota_end_obj, partition_ota_end);

static mp_obj_t partition_ota_abort(mp_obj_t self, mp_obj_t handle) {
    (void)self;
    struct board_device *device = get_update(handle);
    device->is_updating = false;
    baton_update_abort(&device->update);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(partition_ota_abort_obj, partition_ota_abort);

static mp_obj_t partition_set_boot(mp_obj_t self) {
    check(board_device_switch(get_device(), get_row(self)));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(partition_set_boot_obj, partition_set_boot);

// ---- The trial -----------------------------------------------------------

static mp_obj_t partition_mark_valid(mp_obj_t cls) {
    (void)cls;
    check(board_device_confirm(get_device()));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(
        partition_mark_valid_fun_obj, partition_mark_valid);
static MP_DEFINE_CONST_CLASSMETHOD_OBJ(
        partition_mark_valid_obj, MP_ROM_PTR(&partition_mark_valid_fun_obj));

static mp_obj_t partition_mark_invalid(mp_obj_t cls) {
    (void)cls;
    check(board_device_reject(get_device()));
    board_reset(BOARD_CAUSE_SOFT);
}
static MP_DEFINE_CONST_FUN_OBJ_1(
        partition_mark_invalid_fun_obj, partition_mark_invalid);
static MP_DEFINE_CONST_CLASSMETHOD_OBJ(partition_mark_invalid_obj,
        MP_ROM_PTR(&partition_mark_invalid_fun_obj));

static mp_obj_t partition_check_rollback(mp_obj_t cls) {
    (void)cls;
    return mp_obj_new_bool(board_device_can_roll_back(get_device()));
}
static MP_DEFINE_CONST_FUN_OBJ_1(
        partition_check_rollback_fun_obj, partition_check_rollback);
static MP_DEFINE_CONST_CLASSMETHOD_OBJ(partition_check_rollback_obj,
        MP_ROM_PTR(&partition_check_rollback_fun_obj));

static mp_obj_t partition_app_state(mp_obj_t self) {
    uint32_t state = 0;
    check(board_device_state(get_device(), get_row(self), &state));
    return mp_obj_new_int((int32_t)state);
}
static MP_DEFINE_CONST_FUN_OBJ_1(partition_app_state_obj, partition_app_state);

static mp_obj_t new_text(const char *text) {
    return mp_obj_new_str(text, strlen(text));
}

static mp_obj_t partition_app_description(mp_obj_t self) {
    struct baton_app_descriptor app;
    check(baton_image_describe(
            &get_device()->flash.images, get_row(self)->addr, &app));
    mp_obj_t items[7] = {
            mp_obj_new_int_from_uint(app.secure_version),
            new_text(app.version),
            new_text(app.project_name),
            new_text(app.time),
            new_text(app.date),
            new_text(app.idf_version),
            mp_obj_new_bytes(app.elf_sha256, sizeof(app.elf_sha256)),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
static MP_DEFINE_CONST_FUN_OBJ_1(
        partition_app_description_obj, partition_app_description);

static const mp_rom_map_elem_t partition_locals_table[] = {
        {MP_ROM_QSTR(MP_QSTR_find), MP_ROM_PTR(&partition_find_obj)},
        {MP_ROM_QSTR(MP_QSTR_info), MP_ROM_PTR(&partition_info_obj)},
        {MP_ROM_QSTR(MP_QSTR_get_next_update),
                MP_ROM_PTR(&partition_get_next_update_obj)},
        {MP_ROM_QSTR(MP_QSTR_readblocks),
                MP_ROM_PTR(&partition_readblocks_obj)},
        {MP_ROM_QSTR(MP_QSTR_writeblocks),
                MP_ROM_PTR(&partition_writeblocks_obj)},
        {MP_ROM_QSTR(MP_QSTR_ioctl), MP_ROM_PTR(&partition_ioctl_obj)},
        {MP_ROM_QSTR(MP_QSTR_ota_begin), MP_ROM_PTR(&partition_ota_begin_obj)},
        {MP_ROM_QSTR(MP_QSTR_ota_write), MP_ROM_PTR(&partition_ota_write_obj)},
        {MP_ROM_QSTR(MP_QSTR_ota_end), MP_ROM_PTR(&partition_ota_end_obj)},
        {MP_ROM_QSTR(MP_QSTR_ota_abort), MP_ROM_PTR(&partition_ota_abort_obj)},
        {MP_ROM_QSTR(MP_QSTR_set_boot), MP_ROM_PTR(&partition_set_boot_obj)},
        {MP_ROM_QSTR(MP_QSTR_mark_app_valid_cancel_rollback),
                MP_ROM_PTR(&partition_mark_valid_obj)},
        {MP_ROM_QSTR(MP_QSTR_mark_app_invalid_rollback_and_reboot),
                MP_ROM_PTR(&partition_mark_invalid_obj)},
        {MP_ROM_QSTR(MP_QSTR_check_rollback_is_possible),
                MP_ROM_PTR(&partition_check_rollback_obj)},
        {MP_ROM_QSTR(MP_QSTR_app_state), MP_ROM_PTR(&partition_app_state_obj)},
        {MP_ROM_QSTR(MP_QSTR_app_description),
                MP_ROM_PTR(&partition_app_description_obj)},
        {MP_ROM_QSTR(MP_QSTR_BOOT), MP_ROM_INT(PARTITION_BOOT)},
        {MP_ROM_QSTR(MP_QSTR_RUNNING), MP_ROM_INT(PARTITION_RUNNING)},
        {MP_ROM_QSTR(MP_QSTR_TYPE_APP), MP_ROM_INT(BATON_TYPE_APP)},
        {MP_ROM_QSTR(MP_QSTR_TYPE_DATA), MP_ROM_INT(BATON_TYPE_DATA)},
        {MP_ROM_QSTR(MP_QSTR_APP_STATE_NEW), MP_ROM_INT(BATON_STATE_NEW)},
        {MP_ROM_QSTR(MP_QSTR_APP_STATE_PENDING_VERIFY),
                MP_ROM_INT(BATON_STATE_PENDING)},
        {MP_ROM_QSTR(MP_QSTR_APP_STATE_VALID), MP_ROM_INT(BATON_STATE_VALID)},
        {MP_ROM_QSTR(MP_QSTR_APP_STATE_INVALID),
                MP_ROM_INT(BATON_STATE_INVALID)},
        {MP_ROM_QSTR(MP_QSTR_APP_STATE_ABORTED),
                MP_ROM_INT(BATON_STATE_ABORTED)},
        {MP_ROM_QSTR(MP_QSTR_APP_STATE_UNDEFINED), MP_ROM_INT(-1)},
};
static MP_DEFINE_CONST_DICT(partition_locals, partition_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(baton_partition_type, MP_QSTR_Partition,
        MP_TYPE_FLAG_NONE, make_new, partition_make_new, print, partition_print,
        locals_dict, &partition_locals);

MP_DEFINE_CONST_OBJ_TYPE(baton_esp32_partition_type, MP_QSTR_Partition,
        MP_TYPE_FLAG_NONE, make_new, partition_make_new, print, partition_print,
        locals_dict, &partition_locals);

// ---- The board -----------------------------------------------------------

// Why this boot happened, in the numbers of MicroPython's ESP32 port.
static mp_obj_t baton_reset_cause(void) {
    return mp_obj_new_int_from_uint(board_handover()->cause);
}
static MP_DEFINE_CONST_FUN_OBJ_0(baton_reset_cause_obj, baton_reset_cause);

// What the bootloader decided, line by line.
static mp_obj_t baton_boot_log(void) {
    const struct baton_boot_result *result = &board_handover()->result;
    mp_obj_t list = mp_obj_new_list(0, NULL);
    for (unsigned i = 0; i < result->event_count; i++) {
        char line[120];
        if (baton_boot_explain(&result->events[i], line, sizeof(line)) == 0) {
            mp_obj_list_append(list, new_text(line));
        }
    }
    return list;
}
static MP_DEFINE_CONST_FUN_OBJ_0(baton_boot_log_obj, baton_boot_log);

// Resets the board in so many milliseconds unless told again; 0: never.
static mp_obj_t baton_deadline(mp_obj_t ms) {
    board_set_deadline((uint32_t)mp_obj_get_int_truncated(ms));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(baton_deadline_obj, baton_deadline);

// Cuts the power at a flash command, counted from now (cut.h); 0: counts only.
// Returns how many there were since the last call.
static mp_obj_t baton_cut(mp_obj_t at, mp_obj_t kind) {
    struct board_cut *plan = board_cut_plan();
    uint32_t count = plan->magic == BOARD_CUT_MAGIC ? plan->count : 0;
    *plan = (struct board_cut){
            .magic = BOARD_CUT_MAGIC,
            .at = (uint32_t)mp_obj_get_int(at),
            .kind = (uint32_t)mp_obj_get_int(kind),
    };
    return mp_obj_new_int_from_uint(count);
}
static MP_DEFINE_CONST_FUN_OBJ_2(baton_cut_obj, baton_cut);

static const mp_rom_map_elem_t baton_globals_table[] = {
        {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_baton)},
        {MP_ROM_QSTR(MP_QSTR_Partition), MP_ROM_PTR(&baton_partition_type)},
        {MP_ROM_QSTR(MP_QSTR_reset_cause), MP_ROM_PTR(&baton_reset_cause_obj)},
        {MP_ROM_QSTR(MP_QSTR_boot_log), MP_ROM_PTR(&baton_boot_log_obj)},
        {MP_ROM_QSTR(MP_QSTR_deadline), MP_ROM_PTR(&baton_deadline_obj)},
        {MP_ROM_QSTR(MP_QSTR_cut), MP_ROM_PTR(&baton_cut_obj)},
};
static MP_DEFINE_CONST_DICT(baton_globals, baton_globals_table);

const mp_obj_module_t baton_module = {
        .base = {&mp_type_module},
        .globals = (mp_obj_dict_t *)&baton_globals,
};
// Extensible: a Python package `baton` comes first where there is one.
MP_REGISTER_EXTENSIBLE_MODULE(MP_QSTR_baton, baton_module);

static const mp_rom_map_elem_t esp32_globals_table[] = {
        {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_esp32)},
        {MP_ROM_QSTR(MP_QSTR_Partition),
                MP_ROM_PTR(&baton_esp32_partition_type)},
};
static MP_DEFINE_CONST_DICT(esp32_globals, esp32_globals_table);

const mp_obj_module_t baton_esp32_module = {
        .base = {&mp_type_module},
        .globals = (mp_obj_dict_t *)&esp32_globals,
};
MP_REGISTER_MODULE(MP_QSTR_esp32, baton_esp32_module);
