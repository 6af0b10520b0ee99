// The agent's seams over a Python object: package/baton/port.py has them.
// SPDX-License-Identifier: MIT
//
// Python decides nothing here: each callback is one call of a method, which
// returns a number. What a method raises goes through to Python's caller.
#ifndef BATON_MICROPYTHON_PYTHON_PORT_H
#define BATON_MICROPYTHON_PYTHON_PORT_H

#include "baton/port.h"
#include "binding.h"

struct baton_python_port {
    mp_obj_t object;
    mp_obj_t window; // a bytearray that is laid over what is to be moved
    uint64_t ticks_ms;
    uint32_t ticks_last;
    struct baton_store store;
    struct baton_clock clock;
    struct baton_random random;
    struct baton_reset reset;
};

void baton_python_port_begin(struct baton_python_port *self, mp_obj_t object);

// Calls a method that returns a number.
int baton_python_ask(
        mp_obj_t object, qstr name, size_t count, const mp_obj_t *args);

// A bytearray over memory; until the next call, which must be with NULL once
// Python is done with it.
mp_obj_t baton_python_lay(mp_obj_t window, const void *buf, size_t len);

#endif
