// A transport over a connection in Python: package/baton/net.py has it.
// SPDX-License-Identifier: MIT
#include "python_stream.h"

#include "baton/error.h"
#include "python_port.h"

static int connect_stream(void *context, const char *host, size_t host_len,
        uint16_t port, bool is_tls) {
    struct baton_python_stream *self = context;
    if (self->object == MP_OBJ_NULL) {
        return BATON_ERR_STATE;
    }
    mp_obj_t args[] = {
            mp_obj_new_str(host, host_len),
            MP_OBJ_NEW_SMALL_INT(port),
            mp_obj_new_bool(is_tls),
    };
    return baton_python_ask(self->object, MP_QSTR_connect, 3, args);
}

static int move_bytes(struct baton_python_stream *self, qstr name,
        const void *buf, size_t len, size_t *done) {
    mp_obj_t arg = baton_python_lay(self->window, buf, len);
    int result = baton_python_ask(self->object, name, 1, &arg);
    baton_python_lay(self->window, NULL, 0);
    *done = result > 0 ? (size_t)result : 0;
    return result < 0 ? result : 0;
}

static int send_bytes(
        void *context, const void *data, size_t len, size_t *done) {
    int err = move_bytes(context, MP_QSTR_send, data, len, done);
    return err == 0 && *done == 0 ? BATON_ERR_AGAIN : err;
}

static int receive_bytes(void *context, void *buf, size_t len, size_t *got) {
    return move_bytes(context, MP_QSTR_recv, buf, len, got);
}

static void close_stream(void *context) {
    struct baton_python_stream *self = context;
    if (self->object != MP_OBJ_NULL) {
        baton_binding_call(self->object, MP_QSTR_close, 0, NULL);
    }
}

int baton_python_stream_begin(struct baton_python_stream *self,
        const struct baton_clock *clock, mp_obj_t object,
        mp_obj_t authorization) {
    struct baton_http_config config;
    memset(&config, 0, sizeof(config));
    self->object = object;
    self->window = mp_obj_new_bytearray_by_ref(0, NULL);
    self->authorization = authorization;
    self->stream.context = self;
    self->stream.connect = connect_stream;
    self->stream.send = send_bytes;
    self->stream.recv = receive_bytes;
    self->stream.close = close_stream;
    config.stream = &self->stream;
    config.clock = clock;
    if (authorization != mp_const_none) {
        config.authorization = mp_obj_str_get_str(authorization);
    }
    config.url = self->url;
    config.url_bytes = sizeof(self->url);
    config.buf = self->buf;
    config.buf_bytes = sizeof(self->buf);
    return baton_http_begin(&self->http, &config);
}
