// Fetching by esp_http_client.
// SPDX-License-Identifier: MIT
//
// ESP-IDF's client does connections, TLS and framing. What an answer means is
// judged by core/http_*.c from its header lines, and redirects are followed
// here, so that every transport has the same rules. Connecting, the handshake
// and waiting for the header block up to their time limits: the agent wants a
// task of its own on ESP-IDF.
#include "baton-esp-idf/port.h"

#include <string.h>

#include "baton/error.h"
#include "esp_crt_bundle.h"
#include "esp_http_client.h"
#include "esp_timer.h"
#include "esp_tls_errors.h"
#include "sdkconfig.h"

// How long a read waits for bytes.
#define STEP_MS 500

// mbed TLS' verification result, as esp-tls passes it on.
enum {
    FLAG_EXPIRED = 0x01,
    FLAG_NAME = 0x04,
    FLAG_FUTURE = 0x0200,
};

static uint32_t now_ms(void) {
    return (uint32_t)((uint64_t)esp_timer_get_time() / 1000u);
}

// ---- Header lines --------------------------------------------------------

static void push_text(struct baton_esp_idf *self, const char *text) {
    size_t used;
    if (self->verdict == BATON_ERR_AGAIN) {
        self->verdict =
                baton_http_head_push(&self->head, text, strlen(text), &used);
    }
}

static esp_err_t take_event(esp_http_client_event_t *event) {
    struct baton_esp_idf *self = event->user_data;
    if (event->event_id == HTTP_EVENT_ON_HEADER) {
        push_text(self, event->header_key);
        push_text(self, ": ");
        push_text(self, event->header_value);
        push_text(self, "\r\n");
    }
    return ESP_OK;
}

static void begin_head(struct baton_esp_idf *self) {
    uint64_t unix_s = 0;
    (void)self->clock.now(self->clock.context, &unix_s);
    baton_http_head_begin(&self->head, &self->response, self->location,
            sizeof(self->location), (uint32_t)unix_s);
    self->verdict = BATON_ERR_AGAIN;
    // The client keeps the status line to itself; the status is set when the
    // whole header came.
    push_text(self, "HTTP/1.1 200 \r\n");
}

static int judge_head(struct baton_esp_idf *self) {
    push_text(self, "\r\n");
    if (self->verdict != 0) {
        return self->verdict == BATON_ERR_AGAIN ? BATON_ERR_HTTP_FORMAT
                                                : self->verdict;
    }
    self->head.status = (uint16_t)esp_http_client_get_status_code(self->client);
    return baton_http_head_judge(&self->head, &self->request);
}

// ---- One hop -------------------------------------------------------------

static int judge_tls(int flags) {
    if ((flags & FLAG_FUTURE) != 0) {
        return BATON_ERR_TLS_NOT_YET_VALID;
    }
    if ((flags & FLAG_EXPIRED) != 0) {
        return BATON_ERR_TLS_EXPIRED;
    }
    return (flags & FLAG_NAME) != 0 ? BATON_ERR_TLS_HOST
                                    : BATON_ERR_TLS_UNTRUSTED;
}

static int judge_connection(struct baton_esp_idf *self) {
    int code = 0;
    int flags = 0;
    esp_err_t err = esp_http_client_get_and_clear_last_tls_error(
            self->client, &code, &flags);
    if (flags != 0) {
        return judge_tls(flags);
    }
    switch (err) {
    case ESP_ERR_ESP_TLS_CANNOT_RESOLVE_HOSTNAME:
        return BATON_ERR_NET_DNS;
    case ESP_ERR_ESP_TLS_CONNECTION_TIMEOUT:
        return BATON_ERR_NET_TIMEOUT;
    case ESP_ERR_MBEDTLS_SSL_HANDSHAKE_FAILED:
        return BATON_ERR_TLS;
    default:
        return BATON_ERR_NET_CONNECT;
    }
}

// Writes a number in decimal at the end of a text.
static void put_number(char *text, uint32_t value) {
    char digits[10];
    size_t count = 0;
    size_t len = strlen(text);
    do {
        digits[count++] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0);
    while (count > 0) {
        text[len++] = digits[--count];
    }
    text[len] = '\0';
}

static int set_headers(struct baton_esp_idf *self, const char *url) {
    const struct baton_request *request = &self->request;
    esp_http_client_handle_t client = self->client;
    esp_err_t err =
            esp_http_client_set_header(client, "Accept-Encoding", "identity");
    if (request->from != 0 || request->to != 0) {
        char range[32] = "bytes=";
        put_number(range, request->from);
        memcpy(range + strlen(range), "-", 2);
        if (request->to != 0) {
            put_number(range, request->to - 1u);
        }
        err |= esp_http_client_set_header(client, "Range", range);
        if (request->etag != NULL) {
            err |= esp_http_client_set_header(
                    client, "If-Range", request->etag);
        }
    }
    if (request->known_etag != NULL) {
        err |= esp_http_client_set_header(
                client, "If-None-Match", request->known_etag);
    }
    struct baton_http_url own;
    struct baton_http_url hop;
    bool is_own = baton_http_url_parse(&own, request->url) == 0
                  && baton_http_url_parse(&hop, url) == 0
                  && baton_http_url_is_same_origin(&own, &hop);
    if (self->options.authorization != NULL && is_own) {
        err |= esp_http_client_set_header(
                client, "Authorization", self->options.authorization);
    }
    return err == ESP_OK ? 0 : BATON_ERR_NOMEM;
}

static int make_client(struct baton_esp_idf *self, const char *url) {
    esp_http_client_config_t config = {
            .url = url,
            .user_agent = "baton",
            .cert_pem = self->options.ca_pem,
            .timeout_ms = (int)self->options.limits.connect_ms,
            .disable_auto_redirect = true,
            .event_handler = take_event,
            .user_data = self,
            .buffer_size = 1024,
            .buffer_size_tx = 1024,
            .keep_alive_enable = false,
    };
#if CONFIG_MBEDTLS_CERTIFICATE_BUNDLE
    if (self->options.ca_pem == NULL) {
        config.crt_bundle_attach = esp_crt_bundle_attach;
    }
#endif
    self->client = esp_http_client_init(&config);
    return self->client == NULL ? BATON_ERR_NOMEM : set_headers(self, url);
}

static int check_clock(const struct baton_esp_idf *self, const char *url) {
    uint64_t unix_s;
    bool is_known =
            self->clock.now(self->clock.context, &unix_s) != BATON_CLOCK_NONE;
    return strncmp(url, "https", 5) != 0 || is_known ? 0 : BATON_ERR_TLS_CLOCK;
}

static void close_client(void *context) {
    struct baton_esp_idf *self = context;
    if (self->client != NULL) {
        esp_http_client_cleanup(self->client);
    }
    self->client = NULL;
}

static int run_hop(struct baton_esp_idf *self, const char *url) {
    close_client(self);
    int err = check_clock(self, url);
    err = err != 0 ? err : make_client(self, url);
    if (err != 0) {
        return err;
    }
    begin_head(self);
    if (esp_http_client_open(self->client, 0) != ESP_OK) {
        return judge_connection(self);
    }
    esp_http_client_set_timeout_ms(
            self->client, (int)self->options.limits.answer_ms);
    if (esp_http_client_fetch_headers(self->client) < 0) {
        return BATON_ERR_NET_TIMEOUT;
    }
    return judge_head(self);
}

// ---- The transport -------------------------------------------------------

static int begin_body(struct baton_esp_idf *self) {
    self->has_length = self->response.body_bytes != 0;
    self->left = self->response.body_bytes;
    if (self->left > self->options.limits.body_bytes) {
        return BATON_ERR_NET_TOO_MUCH;
    }
    esp_http_client_set_timeout_ms(self->client, STEP_MS);
    memset(&self->pace, 0, sizeof(self->pace));
    return 0;
}

// Where a redirect leads, unless it must not be followed.
static int find_next(struct baton_esp_idf *self, const char *from) {
    uint8_t limit = self->options.limits.redirects;
    if (limit == 255 || self->redirects >= limit) {
        return BATON_ERR_HTTP_REDIRECTS;
    }
    self->redirects++;
    int err = baton_http_url_resolve(from, self->location,
            sizeof(self->location), 0, self->request.may_downgrade);
    if (err != 0) {
        return err;
    }
    memcpy(self->url, self->location, strlen(self->location) + 1);
    return 0;
}

static int open_url(void *context, const struct baton_request *request,
        struct baton_response *response) {
    struct baton_esp_idf *self = context;
    self->request = *request;
    self->redirects = 0;
    const char *url = request->url;
    int err = run_hop(self, url);
    while (err == BATON_HTTP_FOLLOW) {
        err = find_next(self, url);
        url = self->url;
        err = err != 0 ? err : run_hop(self, url);
    }
    err = err != 0 ? err : begin_body(self);
    *response = self->response;
    if (err != 0) {
        close_client(self);
    }
    return err;
}

// What the end of the bytes means: the client says 0 for an end and, in some
// releases, for a pause that was too long.
static int judge_end(struct baton_esp_idf *self) {
    if (esp_http_client_is_complete_data_received(self->client)
            || (self->has_length && self->left == 0)) {
        return 0;
    }
    return self->has_length ? BATON_ERR_HTTP_LENGTH : BATON_ERR_NET_RESET;
}

static int read_body(void *context, void *buf, size_t len, size_t *got) {
    struct baton_esp_idf *self = context;
    *got = 0;
    if (self->client == NULL) {
        return BATON_ERR_NET_RESET;
    }
    if (self->response.unchanged || (self->has_length && self->left == 0)) {
        return 0;
    }
    baton_http_pace_start(&self->pace, now_ms());
    int count = esp_http_client_read(self->client, buf, (int)len);
    bool is_pause = count == -ESP_ERR_HTTP_EAGAIN;
    int slow = baton_http_pace_stop(&self->pace, &self->options.limits,
            now_ms(), count > 0 ? (size_t)count : 0);
    if (slow != 0) {
        return slow;
    }
    if (count < 0) {
        return is_pause ? BATON_ERR_AGAIN : BATON_ERR_NET_RESET;
    }
    if (count == 0) {
        return judge_end(self);
    }
    if (self->has_length && (uint32_t)count > self->left) {
        return BATON_ERR_HTTP_LENGTH;
    }
    self->left -= self->has_length ? (uint32_t)count : 0;
    *got = (size_t)count;
    return 0;
}

void baton_esp_idf_transport(struct baton_esp_idf *self) {
    self->transport =
            (struct baton_transport){self, open_url, read_body, close_client};
}
