// The header of an answer, read byte by byte, and what it means.
// SPDX-License-Identifier: MIT
//
// A line is judged when the first byte of the next one is there, as a line that
// begins with a blank goes on with the one before. Only the first bytes of a
// line are kept; Location goes straight to the caller's buffer.
#include "baton/http.h"

#include <string.h>

#include "baton/error.h"
#include "http_text.h"

enum { IN_LINE, AFTER_LINE, BEFORE_LAST };

static void begin_line(struct baton_http_head *self) {
    self->state = IN_LINE;
    self->line_len = 0;
    self->is_cut = false;
    self->is_location = false;
}

// What one answer says; an interim one is forgotten by this.
static void begin_answer(struct baton_http_head *self) {
    self->is_status_read = false;
    self->has_length = false;
    self->has_range = false;
    self->has_range_total = false;
    self->is_chunked = false;
    self->is_encoded = false;
    self->length = 0;
    self->range_total = 0;
    self->location_len = 0;
    self->retry_date_s = 0;
    memset(self->response, 0, sizeof(*self->response));
    begin_line(self);
}

void baton_http_head_begin(struct baton_http_head *self,
        struct baton_response *response, char *location, size_t location_bytes,
        uint32_t now_s) {
    memset(self, 0, sizeof(*self));
    self->response = response;
    self->location = location;
    self->location_bytes = location_bytes;
    begin_answer(self);
    self->date_s = now_s;
}

// ---- Values ----------------------------------------------------------------

// "Sun, 06 Nov 1994 08:49:37 GMT" in seconds since 1970; 0 for anything else,
// the two older forms included.
static uint32_t read_date(const char *text) {
    static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    uint32_t n[5]; // day, year, hour, minute, second
    uint32_t month = 0;
    if (strlen(text) != 29 || text[3] != ',') {
        return 0;
    }
    while (month < 12
            && !baton_http_text_is_same(months + 3 * month, text + 8, 3)) {
        month++;
    }
    static const uint8_t places[] = {5, 12, 17, 20, 23};
    for (size_t i = 0; i < 5; i++) {
        if (baton_http_text_number(text + places[i], &n[i]) == NULL) {
            return 0;
        }
    }
    if (month == 12 || n[0] - 1 > 30 || n[1] < 1970 || n[1] > 2105 || n[2] > 23
            || n[3] > 59 || n[4] > 60) {
        return 0;
    }
    // Years that begin in March have their leap day last.
    uint32_t year = n[1] - (month < 2 ? 1 : 0);
    uint32_t days = year * 365 + year / 4 - year / 100 + year / 400
                    + ((month + 10) % 12 * 153 + 2) / 5 + n[0] - 1 - 719468;
    return ((days * 24 + n[2]) * 60 + n[3]) * 60 + n[4];
}

static void take_etag(struct baton_http_head *self, const char *value) {
    size_t len = strlen(value);
    struct baton_response *response = self->response;
    response->etag[0] = 0;
    if (self->is_cut || len < 2 || len >= BATON_ETAG_BYTES || value[0] != '"'
            || value[len - 1] != '"') {
        return;
    }
    for (size_t i = 1; i < len - 1; i++) {
        if ((unsigned char)value[i] <= ' ' || value[i] == '"') {
            return;
        }
    }
    memcpy(response->etag, value, len + 1);
}

static int take_length(struct baton_http_head *self, const char *value) {
    uint32_t length;
    const char *end = baton_http_text_number(value, &length);
    if (end == NULL || *end != 0
            || (self->has_length && self->length != length)) {
        return BATON_ERR_HTTP_FORMAT;
    }
    self->has_length = true;
    self->length = length;
    return length == UINT32_MAX ? BATON_ERR_NET_TOO_MUCH : 0;
}

// "bytes 0-99/1234", "bytes 0-99/*", or with 416 "bytes */1234".
static int take_range(struct baton_http_head *self, const char *value) {
    uint32_t last = 0;
    const char *at = baton_http_text_after(value, "bytes ");
    if (at != NULL && *at == '*') {
        at++;
    } else if (at != NULL) {
        self->has_range = true;
        at = baton_http_text_number(at, &self->range_from);
        at = at != NULL && *at == '-' ? baton_http_text_number(at + 1, &last)
                                      : NULL;
    }
    if (at == NULL || *at != '/' || last < self->range_from) {
        return BATON_ERR_HTTP_FORMAT;
    }
    self->range_to = last + 1;
    if (at[1] != '*') {
        self->has_range_total = true;
        at = baton_http_text_number(at + 1, &self->range_total);
    } else {
        at += 2;
    }
    if (at == NULL || *at != 0) {
        return BATON_ERR_HTTP_FORMAT;
    }
    bool is_huge = last == UINT32_MAX || self->range_total == UINT32_MAX;
    return is_huge ? BATON_ERR_NET_TOO_MUCH : 0;
}

static void take_retry_after(struct baton_http_head *self, const char *value) {
    const char *end =
            baton_http_text_number(value, &self->response->retry_after_s);
    if (end == NULL) {
        self->retry_date_s = read_date(value);
    }
}

static bool is_same_text(const char *value, const char *text) {
    const char *end = baton_http_text_after(value, text);
    return end != NULL && *end == 0;
}

// Whether a list of words has this one.
static bool has_word(const char *value, const char *word) {
    while (*value != 0) {
        const char *end = baton_http_text_after(value, word);
        if (end != NULL && (*end == 0 || *end == ',' || *end == ' ')) {
            return true;
        }
        while (*value != 0 && *value != ',') {
            value++;
        }
        while (*value == ',' || *value == ' ') {
            value++;
        }
    }
    return false;
}

static void take_connection(struct baton_http_head *self, const char *value) {
    if (has_word(value, "close")) {
        self->keeps_alive = false;
    } else if (has_word(value, "keep-alive")) {
        self->keeps_alive = true;
    }
}

// The value of a header by its place in `names`.
static int take(
        struct baton_http_head *self, unsigned name, const char *value) {
    uint32_t date;
    switch (name) {
    case 0:
        return take_length(self, value);
    case 1:
        return take_range(self, value);
    case 2:
        take_etag(self, value);
        return 0;
    case 3:
        take_retry_after(self, value);
        return 0;
    case 4:
        date = read_date(value);
        self->date_s = date != 0 ? date : self->date_s;
        return 0;
    case 5:
        self->is_chunked = is_same_text(value, "chunked");
        self->is_encoded = self->is_encoded || !self->is_chunked;
        return 0;
    case 6:
        self->is_encoded = self->is_encoded || !is_same_text(value, "identity");
        return 0;
    case 7:
        take_connection(self, value);
        return 0;
    default:
        return 0;
    }
}

// ---- Lines -----------------------------------------------------------------

static const char names[] = "content-length\0content-range\0etag\0retry-after\0"
                            "date\0transfer-encoding\0content-encoding\0"
                            "connection\0";

static int end_status(struct baton_http_head *self) {
    uint32_t status;
    const char *at = self->line + 9; // behind "HTTP/1.1 "
    bool is_status = self->line_len >= 12 && at[-1] == ' '
                     && baton_http_text_number(at, &status) == at + 3
                     && status >= 100 && (at[3] == ' ' || at[3] == 0);
    if (!is_status) {
        return BATON_ERR_HTTP_FORMAT;
    }
    self->is_status_read = true;
    self->status = (uint16_t)status;
    self->keeps_alive = self->line[7] != '0';
    return 0;
}

static char *skip_blanks(char *text) {
    while (*text == ' ' || *text == '\t') {
        text++;
    }
    return text;
}

static size_t trim(const char *text, size_t len) {
    while (len > 0
            && (text[len - 1] == ' ' || text[len - 1] == '\t'
                    || text[len - 1] == '\r')) {
        len--;
    }
    return len;
}

static int end_line(struct baton_http_head *self) {
    if (self->is_location) {
        self->location_len = (uint32_t)trim(self->location, self->location_len);
        self->location[self->location_len] = 0;
        return 0;
    }
    self->line_len = (uint8_t)trim(self->line, self->line_len);
    self->line[self->line_len] = 0;
    if (!self->is_status_read) {
        return end_status(self);
    }
    unsigned index = 0;
    for (const char *name = names; *name != 0; name += strlen(name) + 1) {
        const char *end = baton_http_text_after(self->line, name);
        if (end != NULL && *end == ':') {
            char *value = self->line + (end + 1 - self->line);
            return take(self, index, skip_blanks(value));
        }
        index++;
    }
    bool is_header = self->is_cut || memchr(self->line, ':', self->line_len);
    return is_header ? 0 : BATON_ERR_HTTP_FORMAT;
}

static int put_location(struct baton_http_head *self, char c) {
    if (self->location_len == 0 && (c == ' ' || c == '\t')) {
        return 0;
    }
    if (self->location_len + 1 >= self->location_bytes) {
        return BATON_ERR_HTTP_HEADER_SIZE;
    }
    self->location[self->location_len++] = c;
    return 0;
}

static int put(struct baton_http_head *self, char c) {
    static const char start[] = "HTTP/1.";
    if (!self->is_status_read && self->line_len < sizeof(start) - 1
            && c != start[self->line_len]) {
        return BATON_ERR_HTTP_FORMAT;
    }
    if (self->is_location) {
        return put_location(self, c);
    }
    if (self->line_len + 1u >= sizeof(self->line)) {
        self->is_cut = true;
        return 0;
    }
    self->line[self->line_len++] = c;
    if (self->line_len == 9 && self->is_status_read
            && baton_http_text_is_same(self->line, "location:", 9)) {
        self->is_location = true;
        self->location_len = 0;
    }
    return 0;
}

// The first byte behind a line decides whether the line is over. Sets *is_end
// behind the empty line.
static int pass_line_end(struct baton_http_head *self, char c, bool *is_end) {
    if (self->state == AFTER_LINE) {
        if (c == ' ' || c == '\t') {
            self->state = IN_LINE;
            self->line_len = (uint8_t)trim(self->line, self->line_len);
            return put(self, ' ');
        }
        int err = end_line(self);
        if (err) {
            return err;
        }
        if (c != '\r' && c != '\n') {
            begin_line(self);
            return put(self, c);
        }
    }
    if (c == '\r' && self->state == AFTER_LINE) {
        self->state = BEFORE_LAST;
        return 0;
    }
    *is_end = c == '\n';
    return *is_end ? 0 : BATON_ERR_HTTP_FORMAT;
}

static int push_byte(struct baton_http_head *self, char c, bool *is_end) {
    if (self->count >= BATON_HTTP_HEADER_BYTES) {
        return BATON_ERR_HTTP_HEADER_SIZE;
    }
    self->count++;
    if (c == 0) {
        return BATON_ERR_HTTP_FORMAT;
    }
    if (self->state != IN_LINE) {
        return pass_line_end(self, c, is_end);
    }
    if (c == '\n') {
        self->state = AFTER_LINE;
        return 0;
    }
    return put(self, c);
}

// Where Retry-After was a date, it becomes a time from now.
static void end_answer(struct baton_http_head *self) {
    if (self->retry_date_s > self->date_s && self->date_s != 0) {
        self->response->retry_after_s = self->retry_date_s - self->date_s;
    }
}

int baton_http_head_push(struct baton_http_head *self, const void *data,
        size_t len, size_t *used) {
    const char *text = data;
    for (size_t i = 0; i < len; i++) {
        bool is_end = false;
        int err = push_byte(self, text[i], &is_end);
        *used = i + 1;
        if (err) {
            return err;
        }
        if (is_end && self->status >= 200) {
            end_answer(self);
            return 0;
        }
        if (is_end) {
            // Switching protocols was not asked for.
            if (self->status == 101) {
                return BATON_ERR_HTTP_FORMAT;
            }
            begin_answer(self);
        }
    }
    *used = len;
    return BATON_ERR_AGAIN;
}
