// Reports: how an update ended, as a GET that any web server can log.
// SPDX-License-Identifier: MIT
//
//   <report_url>?id=a4cf12058ae0&from=v1&to=v2&sequence=7&error=-325
//       &bytes=1430000&seconds=41&attempts=3
//
// A static server's access log is enough to read them from. A report waits for
// the next check, is sent once, and what is answered does not matter.
#include <string.h>

#include "agent_parts.h"
#include "baton/error.h"

// A text that grows; one that does not fit is none.
struct text {
    char *out;
    size_t len;
    size_t capacity;
};

static void put_char(struct text *self, char c) {
    if (self->len < self->capacity) {
        self->out[self->len] = c;
    }
    self->len++;
}

static void put_text(struct text *self, const char *text) {
    while (*text != '\0') {
        put_char(self, *text++);
    }
}

static void put_hex(struct text *self, uint8_t byte) {
    static const char digits[] = "0123456789abcdef";
    put_char(self, digits[byte >> 4]);
    put_char(self, digits[byte & 15u]);
}

// A value in a query: letters, digits and a few signs as they are.
static void put_value(struct text *self, const char *text) {
    for (; *text != '\0'; text++) {
        char c = *text;
        bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
                        || (c >= 'A' && c <= 'Z') || c == '.' || c == '-'
                        || c == '_';
        if (is_plain) {
            put_char(self, c);
        } else {
            put_char(self, '%');
            put_hex(self, (uint8_t)c);
        }
    }
}

static void put_number(struct text *self, const char *name, int64_t value) {
    char digits[12];
    size_t count = 0;
    uint32_t rest = (uint32_t)(value < 0 ? -value : value);
    put_text(self, name);
    if (value < 0) {
        put_char(self, '-');
    }
    do {
        digits[count++] = (char)('0' + rest % 10u);
        rest /= 10u;
    } while (rest != 0);
    while (count > 0) {
        put_char(self, digits[--count]);
    }
}

static int write_url(struct baton_agent *self) {
    const struct baton_agent_status *status = &self->status;
    struct text text = {self->target_url, 0, sizeof(self->target_url) - 1u};
    bool has_query = false;
    for (const char *c = self->config.report_url; *c != '\0'; c++) {
        has_query = has_query || *c == '?';
    }
    put_text(&text, self->config.report_url);
    put_text(&text, has_query ? "&id=" : "?id=");
    for (size_t i = 0; i < self->config.device_id_len; i++) {
        put_hex(&text, self->config.device_id[i]);
    }
    put_text(&text, "&from=");
    put_value(&text, status->from);
    put_text(&text, "&to=");
    put_value(&text, status->to);
    put_number(&text, "&sequence=", status->sequence);
    put_number(&text, "&error=", status->error);
    put_number(&text, "&bytes=", status->bytes);
    put_number(&text, "&seconds=", status->seconds);
    put_number(&text, "&attempts=", status->attempts);
    if (text.len > text.capacity) {
        return BATON_ERR_URL;
    }
    self->target_url[text.len] = '\0';
    return 0;
}

bool baton_agent_report_is_due(const struct baton_agent *self) {
    return self->status.unreported && self->config.report_url != NULL;
}

int baton_agent_report_send(struct baton_agent *self) {
    int err = self->is_open ? 0 : write_url(self);
    if (err == 0) {
        err = baton_agent_parts_open(self, 0, 1, NULL);
    }
    if (err == BATON_ERR_AGAIN) {
        return err;
    }
    baton_agent_parts_close(self);
    // Without a server the check would fail as well: the report waits.
    if (err == 0 || !baton_error_is_retryable(err)) {
        self->status.unreported = false;
        err = baton_agent_status_save(self);
    } else {
        err = 0;
    }
    baton_agent_parts_start(self);
    return err;
}
