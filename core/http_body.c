// The body of an answer: content, and the framing between.
// SPDX-License-Identifier: MIT
#include "baton/http.h"

#include "baton/error.h"

enum {
    SIZE_FIRST, // the first digit of a chunk's size
    SIZE,
    EXTENSION, // behind the size, up to the line's end
    CHUNK_END, // the line's end behind a chunk
    TRAILER_START,
    TRAILER,
};

int baton_http_body_begin(struct baton_http_body *self,
        const struct baton_http_head *head, uint32_t limit_bytes) {
    const struct baton_response *response = head->response;
    bool is_counted = head->has_length && !head->is_chunked;
    uint32_t length = is_counted ? head->length : response->body_bytes;
    *self = (struct baton_http_body){.limit = limit_bytes};
    if (response->unchanged) {
        self->is_end = true;
        return 0;
    }
    if (length > limit_bytes) {
        return BATON_ERR_NET_TOO_MUCH;
    }
    self->is_exact = is_counted || head->status == 206;
    if (self->is_exact) {
        self->limit = length;
    }
    self->is_chunked = head->is_chunked;
    self->is_open = !self->is_chunked && !self->is_exact;
    if (!self->is_chunked) {
        self->left = self->limit;
        self->is_end = self->left == 0;
    }
    return 0;
}

static int check_end(struct baton_http_body *self) {
    self->is_end = true;
    bool is_short = self->is_exact && self->received != self->limit;
    return is_short ? BATON_ERR_HTTP_LENGTH : 0;
}

static int read_digit(char c) {
    char folded = (char)(c | 0x20);
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return folded >= 'a' && folded <= 'f' ? folded - 'a' + 10 : -1;
}

// Nothing that comes fits the limit any more.
static int refuse(const struct baton_http_body *self) {
    return self->is_exact ? BATON_ERR_HTTP_LENGTH : BATON_ERR_NET_TOO_MUCH;
}

static int end_size(struct baton_http_body *self) {
    self->state = self->size == 0 ? TRAILER_START : CHUNK_END;
    self->left = self->size;
    self->size = 0;
    return self->left > self->limit - self->received ? refuse(self) : 0;
}

static int add_digit(struct baton_http_body *self, int digit) {
    if (self->size > UINT32_MAX >> 4) {
        return refuse(self);
    }
    self->size = self->size << 4 | (uint32_t)digit;
    self->state = SIZE;
    return 0;
}

static int frame_size(struct baton_http_body *self, char c) {
    int digit = read_digit(c);
    if (digit >= 0) {
        return add_digit(self, digit);
    }
    bool is_over = c == ';' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (self->state == SIZE_FIRST || !is_over) {
        return BATON_ERR_HTTP_FORMAT;
    }
    self->state = EXTENSION;
    return c == '\n' ? end_size(self) : 0;
}

static int frame_byte(struct baton_http_body *self, char c) {
    switch (self->state) {
    case SIZE_FIRST:
    case SIZE:
        return frame_size(self, c);
    case EXTENSION:
        return c == '\n' ? end_size(self) : 0;
    case CHUNK_END:
        if (c == '\n') {
            self->state = SIZE_FIRST;
        }
        return c == '\n' || c == '\r' ? 0 : BATON_ERR_HTTP_FORMAT;
    case TRAILER_START:
        if (c == '\n') {
            return check_end(self);
        }
        self->state = c == '\r' ? TRAILER_START : TRAILER;
        return 0;
    default:
        if (c == '\n') {
            self->state = TRAILER_START;
        }
        return 0;
    }
}

int baton_http_body_frame(struct baton_http_body *self, const void *data,
        size_t len, size_t *used) {
    const char *text = data;
    *used = 0;
    while (!self->is_end && self->left == 0) {
        if (*used == len) {
            return BATON_ERR_AGAIN;
        }
        if (!self->is_chunked) {
            // As much as is taken was taken, and this shows that there is more.
            return refuse(self);
        }
        if (self->framing++ >= BATON_HTTP_HEADER_BYTES) {
            return BATON_ERR_HTTP_HEADER_SIZE;
        }
        int err = frame_byte(self, text[(*used)++]);
        if (err) {
            return err;
        }
    }
    return 0;
}

void baton_http_body_take(struct baton_http_body *self, size_t count) {
    self->left -= (uint32_t)count;
    self->received += (uint32_t)count;
    self->framing = 0;
    self->is_end = self->left == 0 && self->is_exact && !self->is_chunked;
}

int baton_http_body_cut(struct baton_http_body *self) {
    if (self->is_end || self->is_open) {
        self->is_end = true;
        self->left = 0;
        return 0;
    }
    return BATON_ERR_HTTP_LENGTH;
}
