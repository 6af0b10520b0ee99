// A transport over a connection in Python: package/baton/net.py has it.
// SPDX-License-Identifier: MIT
#ifndef BATON_MICROPYTHON_PYTHON_STREAM_H
#define BATON_MICROPYTHON_PYTHON_STREAM_H

#include "baton/http.h"
#include "binding.h"

// The longest redirect that is followed; object stores sign theirs.
#define BATON_PYTHON_URL_BYTES    1024u
#define BATON_PYTHON_BUFFER_BYTES 256u

struct baton_python_stream {
    mp_obj_t object; // MP_OBJ_NULL: nothing can be reached
    mp_obj_t window;
    mp_obj_t authorization; // kept alive
    struct baton_stream stream;
    struct baton_http http;
    char url[BATON_PYTHON_URL_BYTES];
    uint8_t buf[BATON_PYTHON_BUFFER_BYTES];
};

// object         the connection, or MP_OBJ_NULL
// authorization  a str, or None
// Returns        0, BATON_ERR_ARG (authorization)
int baton_python_stream_begin(struct baton_python_stream *self,
        const struct baton_clock *clock, mp_obj_t object,
        mp_obj_t authorization);

#endif
