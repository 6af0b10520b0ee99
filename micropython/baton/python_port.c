// The agent's seams over a Python object: package/baton/port.py has them.
// SPDX-License-Identifier: MIT
#include "python_port.h"

#include "baton/error.h"
#include "py/objarray.h"

#define VALUE_BYTES_MAX 2048u
#define TICKS_MASK      0x3FFFFFFFu // the shortest period of time.ticks_ms()

mp_obj_t baton_python_lay(mp_obj_t object, const void *buf, size_t len) {
    mp_obj_array_t *window = MP_OBJ_TO_PTR(object);
    window->items = (void *)(uintptr_t)buf;
    window->len = len;
    return object;
}

int baton_python_ask(
        mp_obj_t object, qstr name, size_t count, const mp_obj_t *args) {
    return (int)mp_obj_get_int(baton_binding_call(object, name, count, args));
}

static mp_obj_t new_text(const char *text) {
    return mp_obj_new_str(text, strlen(text));
}

// Calls a method with a key and a buffer.
static int move_value(struct baton_python_port *self, qstr name,
        const char *key, const void *buf, size_t len) {
    mp_obj_t args[] = {new_text(key), NULL};
    args[1] = baton_python_lay(self->window, buf, len);
    int result = baton_python_ask(self->object, name, 2, args);
    baton_python_lay(self->window, NULL, 0);
    return result;
}

static int get_value(void *context, const char *key, void *buf, size_t *len) {
    int result = move_value(context, MP_QSTR_get, key, buf, *len);
    if (result == BATON_ERR_NOSPC) {
        *len = VALUE_BYTES_MAX; // the chip does not say how long it is
    }
    if (result < 0) {
        return result;
    }
    *len = (size_t)result;
    return 0;
}

static int set_value(
        void *context, const char *key, const void *data, size_t len) {
    return move_value(context, MP_QSTR_set, key, data, len);
}

static int remove_value(void *context, const char *key) {
    struct baton_python_port *self = context;
    mp_obj_t arg = new_text(key);
    return baton_python_ask(self->object, MP_QSTR_remove, 1, &arg);
}

// Python's ticks begin anew every twelve days; some call comes in between.
static uint64_t read_ticks(void *context) {
    struct baton_python_port *self = context;
    mp_obj_t ticks = baton_binding_call(self->object, MP_QSTR_ticks, 0, NULL);
    uint32_t now = (uint32_t)mp_obj_get_int_truncated(ticks);
    self->ticks_ms += (now - self->ticks_last) & TICKS_MASK;
    self->ticks_last = now;
    return self->ticks_ms;
}

static enum baton_clock_trust read_clock(void *context, uint64_t *unix_s) {
    struct baton_python_port *self = context;
    mp_obj_t now = baton_binding_call(self->object, MP_QSTR_now, 0, NULL);
    *unix_s = baton_binding_u32(now);
    return *unix_s == 0 ? BATON_CLOCK_NONE : BATON_CLOCK_SET;
}

static void fill_random(void *context, void *buf, size_t len) {
    struct baton_python_port *self = context;
    mp_obj_t arg = baton_python_lay(self->window, buf, len);
    baton_python_ask(self->object, MP_QSTR_fill, 1, &arg);
    baton_python_lay(self->window, NULL, 0);
}

static enum baton_cause read_cause(void *context) {
    struct baton_python_port *self = context;
    return (enum baton_cause)baton_python_ask(
            self->object, MP_QSTR_cause, 0, NULL);
}

static void reboot(void *context) {
    struct baton_python_port *self = context;
    baton_binding_call(self->object, MP_QSTR_reboot, 0, NULL);
}

static int arm(void *context, uint32_t ms) {
    struct baton_python_port *self = context;
    mp_obj_t arg = mp_obj_new_int_from_uint(ms);
    return baton_python_ask(self->object, MP_QSTR_arm, 1, &arg);
}

void baton_python_port_begin(struct baton_python_port *self, mp_obj_t object) {
    self->object = object;
    self->window = mp_obj_new_bytearray_by_ref(0, NULL);
    self->store.context = self;
    self->store.get = get_value;
    self->store.set = set_value;
    self->store.remove = remove_value;
    self->clock.context = self;
    self->clock.ticks_ms = read_ticks;
    self->clock.now = read_clock;
    self->random.context = self;
    self->random.fill = fill_random;
    self->reset.context = self;
    self->reset.cause = read_cause;
    self->reset.reboot = reboot;
    self->reset.arm = arm;
}
