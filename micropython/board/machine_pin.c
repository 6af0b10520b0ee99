// machine.Pin: levels that are kept, with nothing connected.
// SPDX-License-Identifier: MIT
//
// An input reads its pull-up, or the board's own one on GPIO 0 (the boot
// button); anything else reads low.
#include "firmware.h"

#include "py/runtime.h"
#include "py/mphal.h"
#include "extmod/modmachine.h"
#include "extmod/virtpin.h"

#define PINS 64

enum {
    PULL_DOWN = 1,
    PULL_UP = 2,
};

// ESP-IDF's numbers.
enum {
    MODE_IN = 1,
    MODE_OUT = 3,
    MODE_OPEN_DRAIN = 7,
    MODE_OUTPUT_BIT = 2,
};

enum {
    IRQ_RISING = 1,
    IRQ_FALLING = 2,
    WAKE_LOW = 4,
    WAKE_HIGH = 5,
};

struct pin_object {
    mp_obj_base_t base;
    uint8_t id;
    uint8_t mode;
    uint8_t pull;
    uint8_t level;
};

static struct pin_object pins[PINS];

// How many pins the chip has, and the first that is input only.
static void get_limits(int32_t *count, int32_t *input_only) {
    static const struct {
        uint16_t chip_id;
        uint8_t count;
        uint8_t input_only;
    } chips[] = {
            {0, 40, 34},
            {2, 47, 46},
            {5, 22, 22},
            {9, 49, 49},
            {12, 21, 21},
            {13, 31, 31},
            {16, 28, 28},
    };
    *count = PINS;
    *input_only = PINS;
    for (size_t i = 0; i < MP_ARRAY_SIZE(chips); i++) {
        if (chips[i].chip_id == baton_board.state->chip_id) {
            *count = chips[i].count;
            *input_only = chips[i].input_only;
        }
    }
}

static struct pin_object *find_pin(mp_obj_t id_in) {
    if (mp_obj_is_type(id_in, &baton_machine_pin_type)) {
        return MP_OBJ_TO_PTR(id_in);
    }
    int32_t count, input_only;
    get_limits(&count, &input_only);
    int32_t id = mp_obj_is_int(id_in) ? baton_firmware_int(id_in) : -1;
    if (id < 0 || id >= count) {
        mp_raise_ValueError(MP_ERROR_TEXT("invalid pin"));
    }
    struct pin_object *self = &pins[id];
    if (self->base.type == NULL) {
        self->base.type = &baton_machine_pin_type;
        self->id = (uint8_t)id;
        self->mode = MODE_IN;
        self->pull = id == 0 ? PULL_UP : 0;
    }
    return self;
}

static int read_level(const struct pin_object *self) {
    if (self->mode & MODE_OUTPUT_BIT) {
        return self->level;
    }
    return self->pull & PULL_UP ? 1 : 0;
}

static void set_mode(struct pin_object *self, mp_obj_t mode_in) {
    int32_t count, input_only;
    int32_t mode = baton_firmware_int(mode_in);
    get_limits(&count, &input_only);
    if (self->id >= input_only && (mode & MODE_OUTPUT_BIT)) {
        mp_raise_ValueError(MP_ERROR_TEXT("pin can only be input"));
    }
    self->mode = (uint8_t)mode;
}

static void init_pin(struct pin_object *self, size_t n_args,
        const mp_obj_t *pos_args, mp_map_t *kw_args) {
    enum { ARG_MODE, ARG_PULL, ARG_VALUE, ARG_DRIVE, ARG_HOLD, ARGS };
    static const mp_arg_t allowed[ARGS] = {
            {MP_QSTR_mode, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
            {MP_QSTR_pull, MP_ARG_OBJ, {.u_rom_obj = MP_ROM_INT(-1)}},
            {MP_QSTR_value, MP_ARG_KW_ONLY | MP_ARG_OBJ,
                    {.u_rom_obj = MP_ROM_NONE}},
            {MP_QSTR_drive, MP_ARG_KW_ONLY | MP_ARG_OBJ,
                    {.u_rom_obj = MP_ROM_NONE}},
            {MP_QSTR_hold, MP_ARG_KW_ONLY | MP_ARG_OBJ,
                    {.u_rom_obj = MP_ROM_NONE}},
    };
    mp_arg_val_t args[ARGS];
    mp_arg_parse_all(n_args, pos_args, kw_args, ARGS, allowed, args);
    if (args[ARG_VALUE].u_obj != mp_const_none) {
        self->level = mp_obj_is_true(args[ARG_VALUE].u_obj);
    }
    if (args[ARG_MODE].u_obj != mp_const_none) {
        set_mode(self, args[ARG_MODE].u_obj);
    }
    mp_obj_t pull = args[ARG_PULL].u_obj;
    if (pull == mp_const_none) {
        self->pull = 0;
    } else if (pull != MP_OBJ_NEW_SMALL_INT(-1)) {
        self->pull = (uint8_t)baton_firmware_int(pull);
    }
}

static mp_obj_t pin_make_new(const mp_obj_type_t *type, size_t n_args,
        size_t n_kw, const mp_obj_t *args) {
    (void)type;
    mp_arg_check_num(n_args, n_kw, 1, MP_OBJ_FUN_ARGS_MAX, true);
    struct pin_object *self = find_pin(args[0]);
    if (n_args > 1 || n_kw > 0) {
        mp_map_t kw_args;
        mp_map_init_fixed_table(&kw_args, n_kw, args + n_args);
        init_pin(self, n_args - 1, args + 1, &kw_args);
    }
    return MP_OBJ_FROM_PTR(self);
}

static void pin_print(
        const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
    (void)kind;
    const struct pin_object *self = MP_OBJ_TO_PTR(self_in);
    mp_printf(print, "Pin(%u)", (unsigned)self->id);
}

static mp_obj_t pin_call(
        mp_obj_t self_in, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    struct pin_object *self = MP_OBJ_TO_PTR(self_in);
    mp_arg_check_num(n_args, n_kw, 0, 1, false);
    if (n_args == 0) {
        return MP_OBJ_NEW_SMALL_INT(read_level(self));
    }
    self->level = mp_obj_is_true(args[0]);
    return mp_const_none;
}

static mp_obj_t pin_init(
        size_t n_args, const mp_obj_t *args, mp_map_t *kw_args) {
    init_pin(MP_OBJ_TO_PTR(args[0]), n_args - 1, args + 1, kw_args);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(init_obj, 1, pin_init);

static mp_obj_t pin_value(size_t n_args, const mp_obj_t *args) {
    return pin_call(args[0], n_args - 1, 0, args + 1);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(value_obj, 1, 2, pin_value);

static mp_obj_t pin_on(mp_obj_t self_in) {
    struct pin_object *self = MP_OBJ_TO_PTR(self_in);
    self->level = 1;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(on_obj, pin_on);

static mp_obj_t pin_off(mp_obj_t self_in) {
    struct pin_object *self = MP_OBJ_TO_PTR(self_in);
    self->level = 0;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(off_obj, pin_off);

static mp_obj_t pin_toggle(mp_obj_t self_in) {
    struct pin_object *self = MP_OBJ_TO_PTR(self_in);
    self->level = !self->level;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(toggle_obj, pin_toggle);

// No level ever changes from outside, so the handler never runs.
static mp_obj_t pin_irq(size_t n_args, const mp_obj_t *args, mp_map_t *kw) {
    (void)n_args;
    (void)kw;
    return args[0];
}
static MP_DEFINE_CONST_FUN_OBJ_KW(irq_obj, 1, pin_irq);

static mp_uint_t pin_ioctl(
        mp_obj_t self_in, mp_uint_t request, uintptr_t arg, int *errcode) {
    (void)errcode;
    struct pin_object *self = MP_OBJ_TO_PTR(self_in);
    switch (request) {
    case MP_PIN_READ:
        return (mp_uint_t)read_level(self);
    case MP_PIN_WRITE:
        self->level = arg != 0;
        return 0;
    default:
        return (mp_uint_t)-1;
    }
}

static const mp_pin_p_t pin_protocol = {.ioctl = pin_ioctl};

static const mp_rom_map_elem_t pin_locals_table[] = {
        {MP_ROM_QSTR(MP_QSTR_init), MP_ROM_PTR(&init_obj)},
        {MP_ROM_QSTR(MP_QSTR_value), MP_ROM_PTR(&value_obj)},
        {MP_ROM_QSTR(MP_QSTR_on), MP_ROM_PTR(&on_obj)},
        {MP_ROM_QSTR(MP_QSTR_off), MP_ROM_PTR(&off_obj)},
        {MP_ROM_QSTR(MP_QSTR_toggle), MP_ROM_PTR(&toggle_obj)},
        {MP_ROM_QSTR(MP_QSTR_irq), MP_ROM_PTR(&irq_obj)},
        {MP_ROM_QSTR(MP_QSTR_IN), MP_ROM_INT(MODE_IN)},
        {MP_ROM_QSTR(MP_QSTR_OUT), MP_ROM_INT(MODE_OUT)},
        {MP_ROM_QSTR(MP_QSTR_OPEN_DRAIN), MP_ROM_INT(MODE_OPEN_DRAIN)},
        {MP_ROM_QSTR(MP_QSTR_PULL_UP), MP_ROM_INT(PULL_UP)},
        {MP_ROM_QSTR(MP_QSTR_PULL_DOWN), MP_ROM_INT(PULL_DOWN)},
        {MP_ROM_QSTR(MP_QSTR_IRQ_RISING), MP_ROM_INT(IRQ_RISING)},
        {MP_ROM_QSTR(MP_QSTR_IRQ_FALLING), MP_ROM_INT(IRQ_FALLING)},
        {MP_ROM_QSTR(MP_QSTR_WAKE_LOW), MP_ROM_INT(WAKE_LOW)},
        {MP_ROM_QSTR(MP_QSTR_WAKE_HIGH), MP_ROM_INT(WAKE_HIGH)},
        {MP_ROM_QSTR(MP_QSTR_DRIVE_0), MP_ROM_INT(0)},
        {MP_ROM_QSTR(MP_QSTR_DRIVE_1), MP_ROM_INT(1)},
        {MP_ROM_QSTR(MP_QSTR_DRIVE_2), MP_ROM_INT(2)},
        {MP_ROM_QSTR(MP_QSTR_DRIVE_3), MP_ROM_INT(3)},
};
static MP_DEFINE_CONST_DICT(pin_locals, pin_locals_table);

MP_DEFINE_CONST_OBJ_TYPE(baton_machine_pin_type, MP_QSTR_Pin, MP_TYPE_FLAG_NONE,
        make_new, pin_make_new, print, pin_print, call, pin_call, protocol,
        &pin_protocol, locals_dict, &pin_locals);
