// How long and how slow an answer may be.
// SPDX-License-Identifier: MIT
#include "baton/http.h"

#include "baton/error.h"

static void complete(uint32_t *value, uint32_t usual) {
    if (*value == 0) {
        *value = usual;
    }
}

void baton_http_limits_complete(struct baton_http_limits *self) {
    complete(&self->connect_ms, 15000);
    complete(&self->answer_ms, 30000);
    complete(&self->rate_bytes_s, 128);
    complete(&self->rate_s, 30);
    complete(&self->body_bytes, 64u << 20);
    if (self->redirects == 0) {
        self->redirects = 5;
    }
}

void baton_http_pace_start(struct baton_http_pace *self, uint32_t now_ms) {
    if (!self->is_waiting) {
        self->last_ms = now_ms;
    }
}

int baton_http_pace_stop(struct baton_http_pace *self,
        const struct baton_http_limits *limits, uint32_t now_ms, size_t got) {
    self->waited_ms += now_ms - self->last_ms;
    self->last_ms = now_ms;
    self->bytes += (uint32_t)got;
    self->is_waiting = got == 0;
    if (self->waited_ms / 1000 < limits->rate_s) {
        return 0;
    }
    bool is_slow = self->bytes / limits->rate_s < limits->rate_bytes_s;
    self->waited_ms = 0;
    self->bytes = 0;
    return is_slow ? BATON_ERR_NET_STALLED : 0;
}
