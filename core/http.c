// The client: one request at a time over a byte stream.
// SPDX-License-Identifier: MIT
//
//   idle --open--> connecting --> sending --> header --> body --> over
//                      ^------- redirect -------'
//
// Every step either gets something done or returns BATON_ERR_AGAIN; an error
// closes the connection and stays until the next open. The request is written
// anew whenever a part of it is sent, so it needs no memory of its own.
#include "baton/http.h"

#include <string.h>

#include "baton/error.h"

enum { IDLE, CONNECTING, SENDING, HEADER, BODY, OVER };

#define BUFFER_MIN_BYTES 64u
#define STEP_MS          500u // how long one call goes on
#define NO_REDIRECTS     255u

static uint32_t now_ms(const struct baton_http *self) {
    const struct baton_clock *clock = self->config.clock;
    return (uint32_t)clock->ticks_ms(clock->context);
}

static void hang_up(struct baton_http *self) {
    const struct baton_stream *stream = self->config.stream;
    stream->close(stream->context);
    self->is_kept = false;
    self->is_reused = false;
    self->buf_len = 0;
}

// ---- The request -----------------------------------------------------------

// Writes what lies behind the first `skip` bytes of a text into a buffer.
struct writer {
    uint8_t *buf;
    size_t bytes;
    size_t len;
    size_t skip;
};

static void write(struct writer *writer, const char *text, size_t len) {
    size_t skipped = writer->skip < len ? writer->skip : len;
    writer->skip -= skipped;
    text += skipped;
    len -= skipped;
    size_t room = writer->bytes - writer->len;
    size_t count = len < room ? len : room;
    memcpy(writer->buf + writer->len, text, count);
    writer->len += count;
}

static void write_text(struct writer *writer, const char *text) {
    write(writer, text, strlen(text));
}

static void write_number(struct writer *writer, uint32_t value) {
    char digits[10];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    write(writer, digits + at, sizeof(digits) - at);
}

static void write_header(
        struct writer *writer, const char *name, const char *value) {
    if (value != NULL) {
        write_text(writer, name);
        write_text(writer, value);
    }
}

static void write_range(
        struct writer *writer, const struct baton_request *request) {
    if (request->from == 0 && request->to == 0) {
        return;
    }
    write_text(writer, "\r\nRange: bytes=");
    write_number(writer, request->from);
    write_text(writer, "-");
    if (request->to != 0) {
        write_number(writer, request->to - 1);
    }
    write_header(writer, "\r\nIf-Range: ", request->etag);
}

static const char *get_authorization(
        const struct baton_http *self, const struct baton_http_url *url) {
    struct baton_http_url first;
    bool is_allowed = baton_http_url_parse(&first, self->request.url) == 0
                      && baton_http_url_is_same_origin(&first, url);
    return is_allowed ? self->config.authorization : NULL;
}

static void write_request(const struct baton_http *self, struct writer *writer,
        const struct baton_http_url *url) {
    const char *agent = self->config.user_agent;
    write_text(writer, url->path[0] == '/' ? "GET " : "GET /");
    write(writer, url->path, url->path_len);
    write_text(writer, " HTTP/1.1\r\nHost: ");
    // With the port where the address has one.
    write(writer, url->host, (size_t)(url->path - url->host));
    write_text(writer, "\r\nAccept-Encoding: identity");
    write_header(writer, "\r\nUser-Agent: ", agent != NULL ? agent : "baton");
    write_range(writer, &self->request);
    write_header(writer, "\r\nIf-None-Match: ", self->request.known_etag);
    write_header(writer, "\r\nAuthorization: ", get_authorization(self, url));
    write_text(writer, "\r\n\r\n");
}

// ---- The steps of opening --------------------------------------------------

static void begin_hop(struct baton_http *self) {
    self->state = CONNECTING;
    self->sent = 0;
    self->since_ms = now_ms(self);
}

static void begin_header(struct baton_http *self) {
    const struct baton_clock *clock = self->config.clock;
    uint64_t unix_s = 0;
    size_t at =
            self->current == self->config.url ? strlen(self->current) + 1 : 0;
    if (clock->now(clock->context, &unix_s) != BATON_CLOCK_SET) {
        unix_s = 0;
    }
    baton_http_head_begin(&self->head, self->head.response,
            self->config.url + at, self->config.url_bytes - at,
            (uint32_t)unix_s);
    self->state = HEADER;
    self->buf_at = 0;
    self->buf_len = 0;
}

static int step_connect(
        struct baton_http *self, const struct baton_http_url *url) {
    const struct baton_stream *stream = self->config.stream;
    const struct baton_clock *clock = self->config.clock;
    uint64_t unix_s;
    int err = 0;
    if (!self->is_reused) {
        if (url->is_https && self->config.needs_clock
                && clock->now(clock->context, &unix_s) == BATON_CLOCK_NONE) {
            return BATON_ERR_TLS_CLOCK;
        }
        bool is_literal = url->host[0] == '[';
        err = stream->connect(stream->context, url->host + is_literal,
                url->host_len - (is_literal ? 2u : 0u), url->port,
                url->is_https);
    }
    if (err == 0) {
        self->state = SENDING;
        self->since_ms = now_ms(self);
    }
    return err;
}

static int step_send(
        struct baton_http *self, const struct baton_http_url *url) {
    const struct baton_stream *stream = self->config.stream;
    struct writer writer = {.buf = self->config.buf,
            .bytes = self->config.buf_bytes,
            .skip = self->sent};
    write_request(self, &writer, url);
    if (writer.len == 0) {
        begin_header(self);
        return 0;
    }
    size_t done = 0;
    int err = stream->send(stream->context, writer.buf, writer.len, &done);
    self->sent += (uint32_t)done;
    return err;
}

// The rest of a redirect's answer is not worth reading.
static int follow(struct baton_http *self) {
    struct baton_http_config *config = &self->config;
    hang_up(self);
    if (config->limits.redirects == NO_REDIRECTS
            || self->redirects >= config->limits.redirects) {
        return BATON_ERR_HTTP_REDIRECTS;
    }
    self->redirects++;
    int err = baton_http_url_resolve(self->current, config->url,
            config->url_bytes, (size_t)(self->head.location - config->url),
            self->request.may_downgrade);
    self->current = config->url;
    begin_hop(self);
    return err;
}

static int receive(struct baton_http *self) {
    const struct baton_stream *stream = self->config.stream;
    size_t got = 0;
    int err = stream->recv(
            stream->context, self->config.buf, self->config.buf_bytes, &got);
    self->buf_at = 0;
    self->buf_len = (uint32_t)got;
    return err;
}

static int step_header(struct baton_http *self) {
    size_t used = 0;
    int err = receive(self);
    if (err) {
        return err;
    }
    if (self->buf_len == 0) {
        return BATON_ERR_NET_RESET;
    }
    err = baton_http_head_push(
            &self->head, self->config.buf, self->buf_len, &used);
    if (err) {
        return err == BATON_ERR_AGAIN ? 0 : err;
    }
    self->buf_at = (uint32_t)used;
    self->buf_len -= (uint32_t)used;
    err = baton_http_head_judge(&self->head, &self->request);
    if (err == BATON_HTTP_FOLLOW) {
        return follow(self);
    }
    if (err == 0) {
        err = baton_http_body_begin(
                &self->body, &self->head, self->config.limits.body_bytes);
        self->state = BODY;
    }
    return err;
}

static int step(struct baton_http *self) {
    struct baton_http_url url;
    int err = baton_http_url_parse(&url, self->current);
    if (err) {
        return err;
    }
    uint32_t limit_ms = self->config.limits.answer_ms;
    if (self->state == CONNECTING) {
        limit_ms = self->config.limits.connect_ms;
        err = step_connect(self, &url);
    } else if (self->state == SENDING) {
        err = step_send(self, &url);
    } else {
        err = step_header(self);
    }
    bool is_waiting =
            err == BATON_ERR_AGAIN || (err == 0 && self->state != BODY);
    if (is_waiting && now_ms(self) - self->since_ms > limit_ms) {
        return BATON_ERR_NET_TIMEOUT;
    }
    // A server may end a kept connection at any time, or have sent more than
    // it said: that is no failure of this request.
    if (self->is_reused
            && (err == BATON_ERR_NET_RESET || err == BATON_ERR_HTTP_FORMAT)) {
        hang_up(self);
        begin_hop(self);
        return 0;
    }
    return err;
}

// ---- The transport ---------------------------------------------------------

static void close_request(void *context);

static int start(struct baton_http *self, const struct baton_request *request) {
    struct baton_http_url url;
    struct baton_http_url kept;
    close_request(self);
    self->request = *request;
    int err = baton_http_url_parse(&url, request->url);
    if (err) {
        return err;
    }
    if (request->to != 0 && request->to <= request->from) {
        return BATON_ERR_ARG;
    }
    bool is_reused = self->is_kept
                     && baton_http_url_parse(&kept, self->config.url) == 0
                     && baton_http_url_is_same_origin(&url, &kept);
    if (!is_reused) {
        hang_up(self);
    }
    self->is_kept = false;
    self->is_reused = is_reused;
    self->redirects = 0;
    self->current = self->request.url;
    begin_hop(self);
    return 0;
}

static int open_url(void *context, const struct baton_request *request,
        struct baton_response *response) {
    struct baton_http *self = context;
    bool is_begun = self->state >= CONNECTING && self->state <= HEADER
                    && baton_http_request_is_same(&self->request, request);
    uint32_t start_ms = now_ms(self);
    int err = 0;
    self->head.response = response;
    if (!is_begun) {
        memset(response, 0, sizeof(*response));
        err = start(self, request);
    }
    while (err == 0 && self->state != BODY) {
        err = step(self);
        if (err == 0 && now_ms(self) - start_ms > STEP_MS
                && self->state != BODY) {
            err = BATON_ERR_AGAIN;
        }
    }
    if (err != 0 && err != BATON_ERR_AGAIN) {
        hang_up(self);
        self->state = IDLE;
    }
    memset(&self->pace, 0, sizeof(self->pace));
    return err;
}

static size_t take_buffered(struct baton_http *self, uint8_t *to, size_t len) {
    size_t count = self->buf_len < len ? self->buf_len : len;
    memcpy(to, self->config.buf + self->buf_at, count);
    self->buf_at += (uint32_t)count;
    self->buf_len -= (uint32_t)count;
    return count;
}

// Content goes straight to the reader, but for the last of it: bytes that come
// behind the end must not stay unseen in a connection that is kept.
static int take_content(
        struct baton_http *self, void *to, size_t len, size_t *got) {
    const struct baton_stream *stream = self->config.stream;
    struct baton_http_body *body = &self->body;
    len = len < body->left ? len : body->left;
    int err = 0;
    if (self->buf_len == 0 && body->left < self->config.buf_bytes) {
        err = receive(self);
    }
    if (self->buf_len > 0) {
        *got = take_buffered(self, to, len);
    } else if (err == 0 && body->left >= self->config.buf_bytes) {
        len = len < body->left ? len : len - 1;
        err = stream->recv(stream->context, to, len, got);
    }
    if (err) {
        return err;
    }
    if (*got == 0) {
        return baton_http_body_cut(body);
    }
    baton_http_body_take(body, *got);
    return 0;
}

static int pass_framing(struct baton_http *self) {
    size_t used = 0;
    int err = self->buf_len == 0 ? receive(self) : 0;
    if (err) {
        return err;
    }
    if (self->buf_len == 0) {
        return baton_http_body_cut(&self->body);
    }
    err = baton_http_body_frame(
            &self->body, self->config.buf + self->buf_at, self->buf_len, &used);
    self->buf_at += (uint32_t)used;
    self->buf_len -= (uint32_t)used;
    return err == BATON_ERR_AGAIN ? 0 : err;
}

static int read_body(void *context, void *buf, size_t len, size_t *got) {
    struct baton_http *self = context;
    *got = 0;
    if (self->state == OVER || len == 0) {
        return len == 0 ? 0 : self->err;
    }
    if (self->state != BODY) {
        return BATON_ERR_STATE;
    }
    uint32_t start_ms = now_ms(self);
    int err = 0;
    baton_http_pace_start(&self->pace, start_ms);
    while (err == 0 && *got == 0 && !self->body.is_end) {
        err = self->body.left > 0 ? take_content(self, buf, len, got)
                                  : pass_framing(self);
        if (err == 0 && *got == 0 && now_ms(self) - start_ms > STEP_MS) {
            err = BATON_ERR_AGAIN;
        }
    }
    int slow = baton_http_pace_stop(
            &self->pace, &self->config.limits, now_ms(self), *got);
    if (slow != 0 && (err == BATON_ERR_AGAIN || *got != 0)) {
        err = slow;
        *got = 0;
    }
    if (err != BATON_ERR_AGAIN && *got == 0) {
        self->err = err;
        self->state = OVER;
    }
    return err;
}

// Whether what was asked for came, and nothing more, and the connection may
// serve another request.
static bool is_reusable(const struct baton_http *self) {
    return (self->state == BODY || self->state == OVER) && self->body.is_end
           && self->err == 0 && self->head.keeps_alive && self->buf_len == 0
           && !self->body.is_open;
}

static void close_request(void *context) {
    struct baton_http *self = context;
    struct baton_http_url url;
    if (self->state == IDLE) {
        return;
    }
    bool is_kept =
            is_reusable(self) && baton_http_url_parse(&url, self->current) == 0;
    if (is_kept && self->current != self->config.url) {
        size_t len = (size_t)(url.path - self->current);
        is_kept = len < self->config.url_bytes;
        if (is_kept) {
            memcpy(self->config.url, self->current, len);
            self->config.url[len] = 0;
        }
    }
    if (!is_kept) {
        hang_up(self);
    }
    self->is_kept = is_kept;
    self->state = IDLE;
    self->err = 0;
}

static bool is_header_text(const char *text) {
    for (; text != NULL && *text != 0; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7F) {
            return false;
        }
    }
    return true;
}

int baton_http_begin(
        struct baton_http *self, const struct baton_http_config *config) {
    if (config->url_bytes < BUFFER_MIN_BYTES
            || config->buf_bytes < BUFFER_MIN_BYTES
            || !is_header_text(config->authorization)
            || !is_header_text(config->user_agent)) {
        return BATON_ERR_ARG;
    }
    memset(self, 0, sizeof(*self));
    self->config = *config;
    baton_http_limits_complete(&self->config.limits);
    self->transport = (struct baton_transport){.context = self,
            .open = open_url,
            .read = read_body,
            .close = close_request};
    return 0;
}

void baton_http_end(struct baton_http *self) {
    close_request(self);
    hang_up(self);
}
