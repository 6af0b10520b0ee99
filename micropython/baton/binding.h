// What the binding's sources need of MicroPython, compiled in or loaded.
// SPDX-License-Identifier: MIT
//
// The same sources make a user C module and a native module (.mpy). Loaded code
// reaches MicroPython through a table of functions only, its names are numbers
// that are known when it is loaded, and it has no constants made of them. So
// the module is a list of functions (functions.h) of which each kind of build
// makes its own table, and what Python holds is of one plain type.
//
// A call into Python can raise, and then does not come back: what must hold in
// that case holds before the call.
#ifndef BATON_MICROPYTHON_BINDING_H
#define BATON_MICROPYTHON_BINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "py/mpconfig.h"
#if MICROPY_ENABLE_DYNRUNTIME
#include "py/dynruntime.h"
#else
#include "py/objarray.h"
#include "py/runtime.h"
#endif

// Raises OSError with one of Baton's codes, for all but 0. The package `baton`
// knows the sentences.
void baton_binding_check(int err);

// A number of 32 bits without a sign; more than 32 bits are ERR_ARG.
uint32_t baton_binding_u32(mp_obj_t object);

// Bytes to read; an empty buffer has an address, too.
void baton_binding_data(mp_obj_t object, mp_buffer_info_t *out);

// Exactly `len` bytes, or ERR_ARG. They live as long as the object.
const uint8_t *baton_binding_bytes(mp_obj_t object, size_t len);

// Calls object.name(args[0], ...), of up to three arguments.
mp_obj_t baton_binding_call(
        mp_obj_t object, qstr name, size_t count, const mp_obj_t *args);

// The items of a sequence of `count`, the last one first, or ValueError.
void baton_binding_unpack(mp_obj_t sequence, size_t count, mp_obj_t *out);

// What Python holds and hands back: a struct that begins with this one.
struct baton_binding_handle {
    mp_obj_base_t base;
    size_t kind;
};

enum {
    BATON_HANDLE_FLASH = 1,
    BATON_HANDLE_UPDATE,
    BATON_HANDLE_AGENT,
    BATON_HANDLE_CODEC,
};

// A new handle of `size` bytes, zero but for its head. Raises MemoryError.
//
// Until Python has it, keep it in a `void *volatile` and return that: calls of
// Python collect garbage, a pointer into an object does not keep it, and what a
// compiler leaves of a plain one may be just that.
void *baton_binding_new_handle(size_t kind, size_t size);

// Raises ERR_ARG where the object is no handle of this kind.
void *baton_binding_handle(mp_obj_t object, size_t kind);

#endif
