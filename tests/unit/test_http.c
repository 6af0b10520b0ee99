// The HTTP client over a stream that waits, breaks and ends at every call.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "baton/error.h"
#include "baton/http.h"

enum { ANSWER_BYTES = 4096, CALLS_MAX = 5000 };

// A stream played from a text. Every answer is released by a request's end.
struct line {
    const char *answers[4]; // one for each request, in order
    unsigned asked;         // requests that came
    size_t at;              // of the answer that is being sent
    char request[1024];     // the last one
    size_t request_len;
    char hosts[128]; // every connection that was begun
    unsigned connects;
    unsigned closes;
    bool is_open;
    bool is_deaf; // never takes a connection

    size_t most;      // bytes moved by a call
    bool waits;       // every other call says AGAIN
    bool ends;        // behind each answer
    unsigned calls;   // counted to fail_at
    unsigned fail_at; // 0: never
    int fail_with;
    uint32_t now_ms;
    uint32_t ms_of_call;
    enum baton_clock_trust trust;
};

static struct line line;

// Whether this call waits or fails, as planned.
static int count_call(void) {
    line.calls++;
    line.now_ms += line.ms_of_call;
    assert_true(line.calls < CALLS_MAX);
    if (line.calls == line.fail_at) {
        return line.fail_with;
    }
    return line.waits && line.calls % 2 == 1 ? BATON_ERR_AGAIN : 0;
}

static int connect_line(void *context, const char *host, size_t host_len,
        uint16_t port, bool is_tls) {
    (void)context;
    int err = count_call();
    if (err) {
        return err;
    }
    assert_false(line.is_open);
    if (line.is_deaf) {
        return BATON_ERR_AGAIN;
    }
    size_t len = strlen(line.hosts);
    snprintf(line.hosts + len, sizeof(line.hosts) - len, "%.*s:%u%s ",
            (int)host_len, host, (unsigned)port, is_tls ? "s" : "");
    line.is_open = true;
    line.connects++;
    line.request_len = 0;
    line.at = 0;
    return 0;
}

static int send_line(
        void *context, const void *data, size_t len, size_t *done) {
    (void)context;
    assert_true(line.is_open && len > 0);
    int err = count_call();
    if (err) {
        return err;
    }
    len = len < line.most ? len : line.most;
    assert_true(line.request_len + len < sizeof(line.request));
    memcpy(line.request + line.request_len, data, len);
    line.request_len += len;
    line.request[line.request_len] = 0;
    *done = len;
    if (strstr(line.request, "\r\n\r\n") != NULL) {
        line.asked++;
        line.at = 0;
    }
    return 0;
}

static int receive_line(void *context, void *buf, size_t len, size_t *got) {
    (void)context;
    assert_true(line.is_open && len > 0);
    int err = count_call();
    if (err) {
        return err;
    }
    const char *answer = line.asked > 0 ? line.answers[line.asked - 1] : "";
    size_t left = strlen(answer + line.at);
    len = len < line.most ? len : line.most;
    len = len < left ? len : left;
    memcpy(buf, answer + line.at, len);
    line.at += len;
    *got = len;
    line.request_len = 0; // the next request begins
    return len == 0 && !line.ends ? BATON_ERR_AGAIN : 0;
}

static void close_line(void *context) {
    (void)context;
    line.is_open = false;
    line.closes++;
}

static uint64_t get_ticks(void *context) {
    (void)context;
    return line.now_ms;
}

static enum baton_clock_trust get_clock(void *context, uint64_t *unix_s) {
    (void)context;
    *unix_s = 0;
    return line.trust;
}

static const struct baton_stream stream = {.connect = connect_line,
        .send = send_line,
        .recv = receive_line,
        .close = close_line};
static const struct baton_clock ticking = {
        .ticks_ms = get_ticks, .now = get_clock};

static struct baton_http http;
static char url[128];
static uint8_t buf[64];

static void setup(const char *first, const char *second) {
    line = (struct line){.answers = {first, second},
            .most = 1000,
            .ms_of_call = 10,
            .trust = BATON_CLOCK_SET};
    struct baton_http_config config = {.stream = &stream,
            .clock = &ticking,
            .authorization = "Bearer abc",
            .needs_clock = true,
            .url = url,
            .url_bytes = sizeof(url),
            .buf = buf,
            .buf_bytes = sizeof(buf)};
    assert_int_equal(baton_http_begin(&http, &config), 0);
}

struct result {
    int err;
    bool is_read; // it got as far as the body
    char body[256];
    size_t len;
    struct baton_response response;
};

static void fetch(struct result *result, const struct baton_request *request,
        size_t chunk) {
    const struct baton_transport *transport = &http.transport;
    size_t got = 1;
    memset(result, 0, sizeof(*result));
    do {
        result->err =
                transport->open(transport->context, request, &result->response);
    } while (result->err == BATON_ERR_AGAIN);
    result->is_read = result->err == 0;
    while (result->is_read && got > 0) {
        assert_true(result->len + chunk < sizeof(result->body));
        result->err = transport->read(
                transport->context, result->body + result->len, chunk, &got);
        assert_true(result->err == 0 || got == 0);
        result->len += got;
        if (result->err == BATON_ERR_AGAIN) {
            got = 1;
        }
    }
    transport->close(transport->context);
}

static void fetch_url(struct result *result, const char *text) {
    struct baton_request request = {.url = text};
    fetch(result, &request, 40);
}

#define LENGTH_5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
#define CHUNKS   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define BEGUN    "\r\nAccept-Encoding: identity\r\nUser-Agent: baton\r\n"

static void test_request(void **state) {
    static const struct {
        struct baton_request request;
        const char *sent;
    } cases[] = {
            {{.url = "http://h"}, "GET / HTTP/1.1\r\nHost: h" BEGUN
                                  "Authorization: Bearer abc\r\n\r\n"},
            {{.url = "http://h:81?q#f"}, "GET /?q HTTP/1.1\r\nHost: h:81" BEGUN
                                         "Authorization: Bearer abc\r\n\r\n"},
            {{.url = "http://[::1]/a/../b", .from = 4294967295u},
                    "GET /a/../b HTTP/1.1\r\nHost: [::1]" BEGUN
                    "Range: bytes=4294967295-\r\n"
                    "Authorization: Bearer abc\r\n\r\n"},
            {{.url = "http://h/", .to = 1, .etag = "\"e\""},
                    "GET / HTTP/1.1\r\nHost: h" BEGUN
                    "Range: bytes=0-0\r\nIf-Range: \"e\"\r\n"
                    "Authorization: Bearer abc\r\n\r\n"},
            {{.url = "http://h/", .from = 10, .to = 20, .known_etag = "\"k\""},
                    "GET / HTTP/1.1\r\nHost: h" BEGUN
                    "Range: bytes=10-19\r\nIf-None-Match: \"k\"\r\n"
                    "Authorization: Bearer abc\r\n\r\n"},
            {{.url = "http://h/", .etag = "\"without a range\""},
                    "GET / HTTP/1.1\r\nHost: h" BEGUN
                    "Authorization: Bearer abc\r\n\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t most = 1; most <= 64; most += 3) {
            struct result result;
            setup(LENGTH_5 "hello", NULL);
            line.most = most;
            line.waits = most % 2 == 0;
            fetch(&result, &cases[i].request, 40);
            assert_int_equal(result.err, 0);
            assert_string_equal(line.request, cases[i].sent);
        }
    }
    assert_string_equal(line.hosts, "h:80 ");
}

struct exchange {
    const char *first;
    const char *second;
    const char *url;
    int err;
    const char *body;
    const char *hosts;
};

static const struct exchange exchanges[] = {
        {LENGTH_5 "hello", NULL, "http://h/", 0, "hello", "h:80 "},
        {CHUNKS "5\r\nhello\r\n3;x\r\nyou\r\n0\r\nA: b\r\n\r\n", NULL,
                "http://h/", 0, "helloyou", "h:80 "},
        {"HTTP/1.1 302 F\r\nLocation: /there\r\nContent-Length: 2\r\n\r\nxx",
                CHUNKS "5\r\nhello\r\n0\r\n\r\n", "http://h/here", 0, "hello",
                "h:80 h:80 "},
        {"HTTP/1.1 302 F\r\nLocation: https://[::2]:9/y\r\n\r\n",
                LENGTH_5 "hello", "http://h/here", 0, "hello", "h:80 ::2:9s "},
        {"HTTP/1.1 302 F\r\nLocation: http://o/\r\n\r\n", NULL, "https://h",
                BATON_ERR_HTTP_DOWNGRADE, "", "h:443s "},
        {"HTTP/1.1 404 N\r\n\r\n", NULL, "http://h/", BATON_ERR_HTTP_NOT_FOUND,
                "", "h:80 "},
        {CHUNKS "5\r\nhello!", NULL, "http://h/", BATON_ERR_HTTP_FORMAT,
                "hello", "h:80 "},
};

enum { EXCHANGES = sizeof(exchanges) / sizeof(exchanges[0]) };

static void play(const struct exchange *c, struct result *result, size_t chunk,
        unsigned fail_at) {
    struct baton_request request = {.url = c->url};
    setup(c->first, c->second);
    line.fail_at = fail_at;
    line.fail_with = BATON_ERR_NET_RESET;
    line.most = chunk;
    line.waits = chunk % 2 == 1;
    fetch(result, &request, chunk);
}

static void test_exchanges(void **state) {
    (void)state;
    for (size_t i = 0; i < EXCHANGES; i++) {
        for (size_t chunk = 1; chunk < 70; chunk++) {
            struct result result;
            play(&exchanges[i], &result, chunk, 0);
            assert_int_equal(result.err, exchanges[i].err);
            assert_int_equal(result.len, strlen(exchanges[i].body));
            assert_memory_equal(result.body, exchanges[i].body, result.len);
            assert_string_equal(line.hosts, exchanges[i].hosts);
        }
    }
}

// Each call of the stream fails once: the error comes out, and what came
// before it is right.
static void test_every_call_fails(void **state) {
    (void)state;
    for (size_t i = 0; i < EXCHANGES; i++) {
        struct result whole;
        play(&exchanges[i], &whole, 9, 0);
        unsigned calls = line.calls;
        for (unsigned at = 1; at <= calls; at++) {
            struct result result;
            play(&exchanges[i], &result, 9, at);
            assert_int_equal(result.err, BATON_ERR_NET_RESET);
            assert_true(result.len <= whole.len);
            assert_memory_equal(result.body, whole.body, result.len);
            assert_false(line.is_open);
        }
    }
}

// The connection ends behind each byte of the answer.
static void test_every_end(void **state) {
    static const char *answers[] = {exchanges[0].first, exchanges[1].first};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char cut[256];
        size_t head = (size_t)(strstr(answers[i], "\r\n\r\n") - answers[i]) + 4;
        for (size_t len = 0; len < strlen(answers[i]); len++) {
            struct result result;
            memcpy(cut, answers[i], len);
            cut[len] = 0;
            setup(cut, NULL);
            line.ends = true;
            fetch_url(&result, "http://h/");
            assert_int_equal(result.err,
                    len < head ? BATON_ERR_NET_RESET : BATON_ERR_HTTP_LENGTH);
        }
    }
}

// ---- Connections that are kept ---------------------------------------------

static void test_kept(void **state) {
    struct result result;
    (void)state;
    setup(LENGTH_5 "hello", CHUNKS "3\r\nyou\r\n0\r\n\r\n");
    line.answers[2] = "HTTP/1.1 304 N\r\n\r\n";
    line.answers[3] = LENGTH_5 "again";
    fetch_url(&result, "http://h/a");
    fetch_url(&result, "http://H:80/b");
    assert_memory_equal(result.body, "you", 3);
    struct baton_request known = {.url = "http://h/c", .known_etag = "\"k\""};
    fetch(&result, &known, 40);
    assert_true(result.response.unchanged);
    assert_int_equal(line.connects, 1);
    fetch_url(&result, "http://h:81/");
    assert_memory_equal(result.body, "again", 5);
    assert_string_equal(line.hosts, "h:80 h:81 ");
    assert_true(line.is_open);
    baton_http_end(&http);
    assert_false(line.is_open);
}

static void test_not_kept(void **state) {
    static const char *answers[] = {
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n"
            "\r\nhello",
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            LENGTH_5 "hello!",
            CHUNKS "5\r\nhello\r\n0\r\n\r\n!",
            "HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 302 F\r\nLocation: ftp://x\r\n\r\n",
            CHUNKS "x",
            // Longer than the client's buffer, and one byte too long.
            "HTTP/1.1 200 OK\r\nContent-Length: 120\r\n\r\n"
            "0123456789012345678901234567890123456789"
            "0123456789012345678901234567890123456789"
            "0123456789012345678901234567890123456789!",
            "HTTP/1.1 200 OK\r\n\r\nto the end",
            "HTTP/1.1 206 P\r\nTransfer-Encoding: chunked\r\n"
            "Content-Range: bytes 4-8/9\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct result result;
        struct baton_request request = {.url = "http://h/",
                .from = strstr(answers[i], "206") != NULL ? 4 : 0};
        setup(answers[i], LENGTH_5 "again");
        line.ends = true;
        fetch(&result, &request, 100);
        assert_false(line.is_open);
        fetch_url(&result, "http://h/");
        assert_int_equal(result.err, 0);
        assert_memory_equal(result.body, "again", 5);
        assert_int_equal(line.connects, 2);
    }
}

// A name that does not fit the buffer is one connection that is not kept.
static void test_long_name(void **state) {
    struct result result;
    char text[160] = "http://";
    (void)state;
    memset(text + 7, 'a', 140);
    setup(LENGTH_5 "hello", LENGTH_5 "again");
    fetch_url(&result, text);
    assert_int_equal(result.err, 0);
    assert_false(line.is_open);
}

static void test_closed_in_between(void **state) {
    (void)state;
    // Each call of the second request fails once; the first of them that is
    // on the kept connection is made good by a new one.
    for (unsigned at = 1; at < 6; at++) {
        struct result result;
        setup(LENGTH_5 "hello", LENGTH_5 "again");
        line.answers[2] = LENGTH_5 "again";
        fetch_url(&result, "http://h/");
        line.fail_at = line.calls + at;
        line.fail_with = BATON_ERR_NET_RESET;
        fetch_url(&result, "http://h/");
        assert_int_equal(result.err,
                result.is_read && result.len < 5 ? BATON_ERR_NET_RESET : 0);
        assert_true(line.connects <= 2);
    }
}

// What an earlier answer left in a kept connection is no answer.
static void test_spoilt_in_between(void **state) {
    struct result result;
    (void)state;
    setup(LENGTH_5 "hello", "left over" LENGTH_5 "wrong");
    line.answers[2] = LENGTH_5 "again";
    fetch_url(&result, "http://h/");
    fetch_url(&result, "http://h/");
    assert_int_equal(result.err, 0);
    assert_memory_equal(result.body, "again", 5);
    assert_int_equal(line.connects, 2);
    // On a new connection it is an error.
    setup("left over" LENGTH_5 "wrong", NULL);
    fetch_url(&result, "http://h/");
    assert_int_equal(result.err, BATON_ERR_HTTP_FORMAT);
}

static void test_redirect_limit(void **state) {
    static const char moved[] = "HTTP/1.1 308 P\r\nLocation: /x\r\n\r\n";
    struct result result;
    (void)state;
    for (uint8_t limit = 1; limit <= 3; limit++) {
        setup(moved, moved);
        line.answers[2] = LENGTH_5 "hello";
        http.config.limits.redirects = limit;
        fetch_url(&result, "http://h/");
        assert_int_equal(result.err, limit < 2 ? BATON_ERR_HTTP_REDIRECTS : 0);
    }
    setup(moved, NULL);
    http.config.limits.redirects = 255;
    fetch_url(&result, "http://h/");
    assert_int_equal(result.err, BATON_ERR_HTTP_REDIRECTS);
}

static void test_close_early(void **state) {
    const struct baton_transport *transport = &http.transport;
    struct baton_response response;
    struct result result;
    (void)state;
    setup(LENGTH_5 "hello", LENGTH_5 "again");
    struct baton_request request = {.url = "http://h/"};
    size_t got;
    char byte[8];
    assert_int_equal(transport->read(transport->context, byte, 1, &got),
            BATON_ERR_STATE);
    assert_int_equal(
            transport->open(transport->context, &request, &response), 0);
    assert_int_equal(transport->read(transport->context, byte, 0, &got), 0);
    assert_int_equal(transport->read(transport->context, byte, 2, &got), 0);
    assert_int_equal(got, 2);
    // A new open ends what was open.
    fetch_url(&result, "http://h/");
    assert_memory_equal(result.body, "again", 5);
    assert_int_equal(line.connects, 2);
}

static void test_other_request_while_opening(void **state) {
    const struct baton_transport *transport = &http.transport;
    struct baton_response response;
    struct result result;
    (void)state;
    setup(LENGTH_5 "hello", NULL);
    struct baton_request request = {.url = "http://slow/"};
    line.fail_at = 1;
    line.fail_with = BATON_ERR_AGAIN;
    assert_int_equal(transport->open(transport->context, &request, &response),
            BATON_ERR_AGAIN);
    fetch_url(&result, "http://h/");
    assert_int_equal(result.err, 0);
    assert_string_equal(line.hosts, "h:80 ");
}

// ---- Limits ----------------------------------------------------------------

static void test_time(void **state) {
    static const struct {
        const char *answer;
        uint32_t after_ms; // the connection, at the least
        int err;
    } cases[] = {
            {"", 30000, BATON_ERR_NET_TIMEOUT},
            {"HTTP/1.1 200 OK\r\n", 30000, BATON_ERR_NET_TIMEOUT},
            {LENGTH_5, 30000, BATON_ERR_NET_STALLED},
            {LENGTH_5 "hell", 30000, BATON_ERR_NET_STALLED},
            {CHUNKS, 30000, BATON_ERR_NET_STALLED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct result result;
        setup(cases[i].answer, NULL);
        line.ms_of_call = 100;
        fetch_url(&result, "http://h/");
        assert_int_equal(result.err, cases[i].err);
        assert_in_range(
                line.now_ms, cases[i].after_ms, cases[i].after_ms + 2000);
    }
    struct result result;
    setup("", NULL);
    line.is_deaf = true;
    line.ms_of_call = 100;
    fetch_url(&result, "http://h/");
    assert_int_equal(result.err, BATON_ERR_NET_TIMEOUT);
    assert_in_range(line.now_ms, 15000, 16000);
}

static void test_long_calls(void **state) {
    const struct baton_transport *transport = &http.transport;
    struct baton_response response;
    struct baton_request request = {.url = "http://h/"};
    (void)state;
    // A header that comes byte by byte does not hold a call for ever.
    setup(LENGTH_5 "hello", NULL);
    line.most = 1;
    line.ms_of_call = 100;
    int err = BATON_ERR_AGAIN;
    while (err == BATON_ERR_AGAIN) {
        uint32_t start_ms = line.now_ms;
        err = transport->open(transport->context, &request, &response);
        assert_true(line.now_ms - start_ms <= 700);
    }
    assert_int_equal(err, 0);
}

static void test_clock(void **state) {
    struct result result;
    (void)state;
    setup(LENGTH_5 "hello", NULL);
    line.trust = BATON_CLOCK_NONE;
    fetch_url(&result, "https://h/");
    assert_int_equal(result.err, BATON_ERR_TLS_CLOCK);
    assert_int_equal(line.connects, 0);
    line.trust = BATON_CLOCK_FLOOR;
    fetch_url(&result, "https://h/");
    assert_int_equal(result.err, 0);
}

static void test_config(void **state) {
    struct baton_http_config config = {.stream = &stream,
            .clock = &ticking,
            .url = url,
            .url_bytes = 64,
            .buf = buf,
            .buf_bytes = 64};
    (void)state;
    assert_int_equal(baton_http_begin(&http, &config), 0);
    config.url_bytes = 63;
    assert_int_equal(baton_http_begin(&http, &config), BATON_ERR_ARG);
    config.url_bytes = 64;
    config.buf_bytes = 63;
    assert_int_equal(baton_http_begin(&http, &config), BATON_ERR_ARG);
    config.buf_bytes = 64;
    config.authorization = "a\r\nX: y";
    assert_int_equal(baton_http_begin(&http, &config), BATON_ERR_ARG);
    config.authorization = NULL;
    config.user_agent = "a\nb";
    assert_int_equal(baton_http_begin(&http, &config), BATON_ERR_ARG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_request),
            cmocka_unit_test(test_exchanges),
            cmocka_unit_test(test_every_call_fails),
            cmocka_unit_test(test_every_end),
            cmocka_unit_test(test_kept),
            cmocka_unit_test(test_not_kept),
            cmocka_unit_test(test_long_name),
            cmocka_unit_test(test_closed_in_between),
            cmocka_unit_test(test_spoilt_in_between),
            cmocka_unit_test(test_redirect_limit),
            cmocka_unit_test(test_close_early),
            cmocka_unit_test(test_other_request_while_opening),
            cmocka_unit_test(test_time),
            cmocka_unit_test(test_long_calls),
            cmocka_unit_test(test_clock),
            cmocka_unit_test(test_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
