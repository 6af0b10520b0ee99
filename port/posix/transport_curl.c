// Fetching by libcurl: one transfer at a time, driven without blocking.
// SPDX-License-Identifier: MIT
//
// libcurl does connections, TLS and framing. What an answer means is judged by
// core/http_*.c, fed with the header as it came, and redirects are followed
// here, so that every transport has the same rules.
#define _POSIX_C_SOURCE 200809L
#include "baton-posix/transport.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "baton/error.h"
#include "transport_curl_state.h"

static uint32_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000
                      + (uint64_t)now.tv_nsec / 1000000);
}

// ---- The pinned key --------------------------------------------------------

static void write_pin(char out[64], const uint8_t pin[32]) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char prefix[] = "sha256//";
    size_t len = sizeof(prefix) - 1;
    memcpy(out, prefix, len);
    for (size_t i = 0; i < 32; i += 3) {
        uint32_t b = (uint32_t)pin[i] << 16 | (uint32_t)pin[i + 1] << 8
                     | (i + 2 < 32 ? pin[i + 2] : 0u);
        for (unsigned shift = 18; shift <= 18; shift -= 6) {
            out[len++] = digits[b >> shift & 63];
        }
    }
    out[len - 1] = '='; // 32 bytes end one short of a group
    out[len] = 0;
}

// ---- What libcurl calls ----------------------------------------------------

static size_t take_header(char *data, size_t size, size_t count, void *user) {
    struct baton_transport_curl *self = user;
    size_t len = size * count;
    size_t used = 0;
    if (self->verdict != BATON_ERR_AGAIN) {
        return len; // trailers of a chunked body
    }
    int err = baton_http_head_push(&self->head, data, len, &used);
    if (err == 0) {
        err = baton_http_head_judge(&self->head, &self->request);
        if (err == 0
                && self->response.body_bytes
                           > self->options.limits.body_bytes) {
            err = BATON_ERR_NET_TOO_MUCH;
        }
    }
    self->verdict = err;
    // What is no answer ends the transfer, and with it the connection.
    return err == 0 || err == BATON_ERR_AGAIN ? len : 0;
}

static size_t take_body(char *data, size_t size, size_t count, void *user) {
    struct baton_transport_curl *self = user;
    size_t len = size * count;
    if (self->body_len > 0) {
        self->is_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (len > sizeof(self->body)
            || len > self->options.limits.body_bytes - self->received) {
        self->verdict = BATON_ERR_NET_TOO_MUCH;
        return 0;
    }
    memcpy(self->body, data, len);
    self->body_at = 0;
    self->body_len = len;
    self->received += (uint32_t)len;
    return len;
}

// ---- One hop ---------------------------------------------------------------

static int add_header(struct baton_transport_curl *self, const char *name,
        const char *value) {
    size_t bytes = strlen(name) + strlen(value) + 3;
    char *line = malloc(bytes);
    if (line == NULL) {
        return BATON_ERR_NOMEM;
    }
    snprintf(line, bytes, "%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(self->headers, line);
    free(line);
    if (longer == NULL) {
        return BATON_ERR_NOMEM;
    }
    self->headers = longer;
    return 0;
}

static int add_range(struct baton_transport_curl *self) {
    const struct baton_request *request = &self->request;
    char range[48];
    if (request->from == 0 && request->to == 0) {
        return 0;
    }
    int len = snprintf(
            range, sizeof(range), "bytes=%lu-", (unsigned long)request->from);
    if (request->to != 0) {
        snprintf(range + len, sizeof(range) - (size_t)len, "%lu",
                (unsigned long)request->to - 1);
    }
    int err = add_header(self, "Range", range);
    if (err == 0 && request->etag != NULL) {
        err = add_header(self, "If-Range", request->etag);
    }
    return err;
}

static int add_headers(
        struct baton_transport_curl *self, const struct baton_http_url *url) {
    const struct baton_request *request = &self->request;
    struct baton_http_url first;
    curl_slist_free_all(self->headers);
    self->headers = NULL;
    int err = add_header(self, "Accept-Encoding", "identity");
    if (err == 0) {
        err = add_range(self);
    }
    if (err == 0 && request->known_etag != NULL) {
        err = add_header(self, "If-None-Match", request->known_etag);
    }
    if (err == 0 && self->options.authorization != NULL
            && baton_http_url_parse(&first, request->url) == 0
            && baton_http_url_is_same_origin(&first, url)) {
        err = add_header(self, "Authorization", self->options.authorization);
    }
    return err;
}

static void stop(struct baton_transport_curl *self) {
    if (self->is_running) {
        curl_multi_remove_handle(self->multi, self->easy);
    }
    self->is_running = false;
    self->is_paused = false;
    self->body_len = 0;
}

// Whether the kept connection has ended or holds bytes behind the last answer's
// end, which libcurl takes for the next one.
static bool is_spoilt(const struct baton_transport_curl *self) {
    struct pollfd kept = {.fd = (int)self->kept, .events = POLLIN};
    return self->kept != CURL_SOCKET_BAD && poll(&kept, 1, 0) > 0;
}

static int start_hop(struct baton_transport_curl *self) {
    struct baton_http_url url;
    int err = baton_http_url_parse(&url, self->url);
    if (err) {
        return err;
    }
    if (url.is_https && baton_transport_curl_has_chain(self)
            && baton_transport_curl_trust_clock(self) == BATON_CLOCK_NONE) {
        return BATON_ERR_TLS_CLOCK;
    }
    err = add_headers(self, &url);
    if (err) {
        return err;
    }
    uint64_t unix_s = (uint64_t)time(NULL);
    baton_http_head_begin(&self->head, &self->response, self->location,
            sizeof(self->location), (uint32_t)unix_s);
    self->verdict = BATON_ERR_AGAIN;
    self->result = BATON_ERR_AGAIN;
    self->error[0] = 0;
    self->received = 0;
    self->body_len = 0;
    self->is_answer_awaited = false;
    self->since_ms = now_ms();
    memset(&self->pace, 0, sizeof(self->pace));
    long is_fresh = is_spoilt(self) ? 1 : 0;
    if (curl_easy_setopt(self->easy, CURLOPT_FRESH_CONNECT, is_fresh)
                    != CURLE_OK
            || curl_easy_setopt(self->easy, CURLOPT_URL, self->url) != CURLE_OK
            || curl_easy_setopt(self->easy, CURLOPT_HTTPHEADER, self->headers)
                       != CURLE_OK
            || curl_multi_add_handle(self->multi, self->easy) != CURLM_OK) {
        return BATON_ERR_NOMEM;
    }
    self->is_running = true;
    return 0;
}

// ---- Driving it ------------------------------------------------------------

// What the header said of the length must hold also where libcurl does not
// check it, as for a range in chunks.
static int judge_length(const struct baton_transport_curl *self) {
    bool is_known = self->response.body_bytes != 0;
    bool is_right = self->received == self->response.body_bytes;
    return is_known && !is_right ? BATON_ERR_HTTP_LENGTH : 0;
}

static void end_transfer(struct baton_transport_curl *self, CURLcode code) {
    curl_easy_getinfo(self->easy, CURLINFO_ACTIVESOCKET, &self->kept);
    bool is_judged = self->verdict != 0 && self->verdict != BATON_ERR_AGAIN;
    self->result =
            is_judged ? self->verdict : baton_transport_curl_judge(self, code);
    if (self->result == 0) {
        self->result = judge_length(self);
    }
}

// Time limits until the header is complete.
static int check_time(struct baton_transport_curl *self) {
    const struct baton_http_limits *limits = &self->options.limits;
    curl_off_t sent_us = 0;
    curl_easy_getinfo(self->easy, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
    if (!self->is_answer_awaited && sent_us > 0) {
        self->is_answer_awaited = true;
        self->since_ms = now_ms();
    }
    uint32_t limit_ms =
            self->is_answer_awaited ? limits->answer_ms : limits->connect_ms;
    return now_ms() - self->since_ms > limit_ms ? BATON_ERR_NET_TIMEOUT : 0;
}

// Lets libcurl work; waits for the network for at most wait_ms.
static int drive(struct baton_transport_curl *self, uint32_t wait_ms) {
    int running = 0;
    if (wait_ms > 0
            && curl_multi_poll(self->multi, NULL, 0, (int)wait_ms, NULL)
                       != CURLM_OK) {
        return BATON_ERR_NOMEM;
    }
    if (curl_multi_perform(self->multi, &running) != CURLM_OK) {
        return BATON_ERR_NOMEM;
    }
    int left = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(self->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            end_transfer(self, message->data.result);
        }
    }
    return 0;
}

static int follow(struct baton_transport_curl *self) {
    uint8_t limit = self->options.limits.redirects;
    if (limit == 255 || self->redirects >= limit) {
        return BATON_ERR_HTTP_REDIRECTS;
    }
    self->redirects++;
    int err = baton_http_url_resolve(self->url, self->location,
            sizeof(self->location), 0, self->request.may_downgrade);
    if (err) {
        return err;
    }
    memcpy(self->url, self->location, sizeof(self->url));
    stop(self);
    return start_hop(self);
}

// ---- The transport ---------------------------------------------------------

static int start_open(struct baton_transport_curl *self,
        const struct baton_request *request) {
    size_t len = strlen(request->url);
    stop(self);
    self->state = IDLE;
    self->redirects = 0;
    self->request = *request;
    memset(&self->response, 0, sizeof(self->response));
    if (request->to != 0 && request->to <= request->from) {
        return BATON_ERR_ARG;
    }
    if (len >= sizeof(self->url)) {
        return BATON_ERR_URL;
    }
    memcpy(self->url, request->url, len + 1);
    int err = start_hop(self);
    if (err == 0) {
        self->state = OPENING;
    }
    return err;
}

// One step towards the header's end; AGAIN where it is not there yet.
static int step_open(struct baton_transport_curl *self, uint32_t wait_ms) {
    int err = drive(self, wait_ms);
    if (err == 0 && self->verdict == BATON_HTTP_FOLLOW) {
        err = follow(self);
        return err != 0 ? err : BATON_ERR_AGAIN;
    }
    if (err || self->verdict != BATON_ERR_AGAIN) {
        return err != 0 ? err : self->verdict;
    }
    if (self->result != BATON_ERR_AGAIN) {
        return self->result;
    }
    err = check_time(self);
    return err != 0 ? err : BATON_ERR_AGAIN;
}

static int open_url(void *context, const struct baton_request *request,
        struct baton_response *response) {
    struct baton_transport_curl *self = context;
    int err = 0;
    if (self->state != OPENING
            || !baton_http_request_is_same(&self->request, request)) {
        err = start_open(self, request);
    }
    uint32_t start_ms = now_ms();
    uint32_t passed_ms = 0;
    if (err == 0) {
        err = step_open(self, 0);
    }
    while (err == BATON_ERR_AGAIN && passed_ms < STEP_MS) {
        err = step_open(self, STEP_MS - passed_ms);
        passed_ms = now_ms() - start_ms;
    }
    *response = self->response;
    if (err == 0) {
        self->state = READING;
    } else if (err != BATON_ERR_AGAIN) {
        stop(self);
        self->state = IDLE;
    }
    return err;
}

static size_t take_buffered(
        struct baton_transport_curl *self, void *buf, size_t len) {
    size_t count = self->body_len < len ? self->body_len : len;
    memcpy(buf, self->body + self->body_at, count);
    self->body_at += count;
    self->body_len -= count;
    return count;
}

// Waits until there is something to take, the transfer is over, or the time is.
static int await_body(struct baton_transport_curl *self) {
    uint32_t start_ms = now_ms();
    uint32_t passed_ms = 0;
    int err = 0;
    if (self->is_paused) {
        // This hands over what libcurl holds, and may end the transfer.
        self->is_paused = false;
        CURLcode code = curl_easy_pause(self->easy, CURLPAUSE_CONT);
        if (code != CURLE_OK) {
            end_transfer(self, code);
        }
    }
    if (self->body_len == 0) {
        err = drive(self, 0);
    }
    while (err == 0 && self->body_len == 0 && self->result == BATON_ERR_AGAIN
            && passed_ms < STEP_MS) {
        err = drive(self, STEP_MS - passed_ms);
        passed_ms = now_ms() - start_ms;
    }
    return err;
}

static int read_body(void *context, void *buf, size_t len, size_t *got) {
    struct baton_transport_curl *self = context;
    *got = 0;
    if (self->state == ENDED) {
        return self->result;
    }
    if (self->state != READING) {
        return BATON_ERR_STATE;
    }
    if (len == 0) {
        return 0;
    }
    baton_http_pace_start(&self->pace, now_ms());
    int err = self->body_len == 0 ? await_body(self) : 0;
    *got = take_buffered(self, buf, len);
    if (*got == 0 && err == 0) {
        err = self->result;
    }
    int slow = baton_http_pace_stop(
            &self->pace, &self->options.limits, now_ms(), *got);
    if (slow != 0 && (err == BATON_ERR_AGAIN || *got != 0)) {
        err = slow;
        *got = 0;
    }
    if (err != BATON_ERR_AGAIN && *got == 0) {
        stop(self);
        self->result = err;
        self->state = ENDED;
    }
    return err;
}

static void close_transfer(void *context) {
    struct baton_transport_curl *self = context;
    stop(self);
    self->state = IDLE;
}

// ---- Making it -------------------------------------------------------------

static bool is_header_text(const char *text) {
    for (; text != NULL && *text != 0; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7F) {
            return false;
        }
    }
    return true;
}

static int check_options(const struct baton_transport_curl_options *options) {
    if ((options->ca_file != NULL && options->ca_pem != NULL)
            || !is_header_text(options->authorization)
            || !is_header_text(options->user_agent)) {
        return BATON_ERR_ARG;
    }
    bool is_lost =
            options->ca_file != NULL && access(options->ca_file, R_OK) != 0;
    return is_lost ? BATON_ERR_NOENT : 0;
}

static CURLcode set_trust(struct baton_transport_curl *self) {
    const struct baton_transport_curl_options *options = &self->options;
    CURL *easy = self->easy;
    CURLcode code =
            curl_easy_setopt(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    if (options->ca_file != NULL || options->ca_pem != NULL) {
        // Without this the system's folder of CAs would be believed as well.
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (code == CURLE_OK && options->ca_file != NULL) {
        code = curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
    }
    if (code == CURLE_OK && options->ca_pem != NULL) {
        struct curl_blob blob = {
                .len = options->ca_pem_len, .flags = CURL_BLOB_COPY};
        memcpy(&blob.data, &options->ca_pem, sizeof(blob.data));
        code = curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
    }
    if (code == CURLE_OK && options->pin != NULL) {
        write_pin(self->pin, options->pin);
        code = curl_easy_setopt(easy, CURLOPT_PINNEDPUBLICKEY, self->pin);
    }
    bool is_judged = baton_transport_curl_has_chain(self);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, is_judged ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, is_judged ? 2L : 0L);
    return code;
}

static CURLcode set_options(struct baton_transport_curl *self) {
    const struct baton_transport_curl_options *options = &self->options;
    CURL *easy = self->easy;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)BODY_BYTES);
    curl_easy_setopt(
            easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->limits.connect_ms);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, self->error);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, self);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, self);
    return curl_easy_setopt(easy, CURLOPT_USERAGENT,
            options->user_agent != NULL ? options->user_agent : "baton");
}

int baton_transport_curl_make(struct baton_transport_curl **self,
        const struct baton_transport_curl_options *options) {
    *self = NULL;
    int err = check_options(options);
    if (err) {
        return err;
    }
    struct baton_transport_curl *made = calloc(1, sizeof(*made));
    if (made == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(made);
        return BATON_ERR_NOMEM;
    }
    made->transport = (struct baton_transport){.context = made,
            .open = open_url,
            .read = read_body,
            .close = close_transfer};
    made->options = *options;
    made->kept = CURL_SOCKET_BAD;
    baton_http_limits_complete(&made->options.limits);
    made->easy = curl_easy_init();
    made->multi = curl_multi_init();
    if (made->easy == NULL || made->multi == NULL
            || curl_multi_setopt(made->multi, CURLMOPT_MAXCONNECTS, 1L)
                       != CURLM_OK
            || set_options(made) != CURLE_OK || set_trust(made) != CURLE_OK) {
        baton_transport_curl_free(made);
        return BATON_ERR_NOMEM;
    }
    *self = made;
    return 0;
}

const struct baton_transport *baton_transport_curl_get(
        struct baton_transport_curl *self) {
    return &self->transport;
}

const char *baton_transport_curl_message(
        const struct baton_transport_curl *self) {
    return self->error;
}

void baton_transport_curl_free(struct baton_transport_curl *self) {
    if (self == NULL) {
        return;
    }
    stop(self);
    curl_easy_cleanup(self->easy);
    curl_multi_cleanup(self->multi);
    curl_slist_free_all(self->headers);
    free(self);
    curl_global_cleanup();
}
