// Headers: every value, cut and split at every byte, and what they mean.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "baton/error.h"
#include "baton/http.h"

enum { LOCATION_BYTES = 64, NOW = 784111777 }; // Sun, 06 Nov 1994 08:49:37

static struct baton_http_head head;
static struct baton_response response;
static char location[LOCATION_BYTES];

static void begin(void) {
    memset(location, '!', sizeof(location));
    baton_http_head_begin(&head, &response, location, sizeof(location), NOW);
}

// Pushes in pieces of `step` bytes; returns how many of all were used.
static int push(const char *text, size_t len, size_t step, size_t *used) {
    int err = BATON_ERR_AGAIN;
    begin();
    *used = 0;
    for (size_t at = 0; at < len && err == BATON_ERR_AGAIN; at += step) {
        size_t count = len - at < step ? len - at : step;
        size_t took = 0;
        err = baton_http_head_push(&head, text + at, count, &took);
        assert_true(took <= count);
        assert_true(err != BATON_ERR_AGAIN || took == count);
        *used += took;
    }
    return err;
}

static int read_head(const char *text) {
    size_t used;
    return push(text, strlen(text), strlen(text), &used);
}

#define OK "HTTP/1.1 200 OK\r\n"

static const char full[] =
        "HTTP/1.1 206 Partial Content\r\n"
        "Server: some/1.0\r\n"
        "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        "Content-Length:100\r\n"
        "CONTENT-RANGE: \t bytes 200-299/1234 \t\r\n"
        "ETag: \"abc-1\"\r\n"
        "X-Long: ................................................"
        "................................................................\r\n"
        "Retry-After: Sun, 06 Nov 1994 08:51:17 GMT\r\n"
        "Connection: Keep-Alive\r\n"
        "Location: /elsewhere  \r\n"
        "X-Empty:\r\n"
        "\r\n";

static void check_full(void) {
    assert_int_equal(head.status, 206);
    assert_true(head.keeps_alive && head.has_length && head.has_range
                && head.has_range_total);
    assert_false(head.is_chunked || head.is_encoded);
    assert_int_equal(head.length, 100);
    assert_int_equal(head.range_from, 200);
    assert_int_equal(head.range_to, 300);
    assert_int_equal(head.range_total, 1234);
    assert_string_equal(response.etag, "\"abc-1\"");
    assert_int_equal(response.retry_after_s, 100);
    assert_string_equal(location, "/elsewhere");
    assert_int_equal(head.location_len, 10);
}

static void test_any_pieces(void **state) {
    char text[sizeof(full) + 4];
    size_t used;
    (void)state;
    memcpy(text, full, sizeof(full) - 1);
    memcpy(text + sizeof(full) - 1, "BODY", 4);
    for (size_t step = 1; step <= sizeof(text); step++) {
        assert_int_equal(push(text, sizeof(full) + 3, step, &used), 0);
        assert_int_equal(used, sizeof(full) - 1);
        check_full();
    }
}

static void test_two_pieces(void **state) {
    (void)state;
    for (size_t cut = 0; cut < sizeof(full) - 1; cut++) {
        size_t used;
        begin();
        assert_int_equal(
                baton_http_head_push(&head, full, cut, &used), BATON_ERR_AGAIN);
        assert_int_equal(used, cut);
        assert_int_equal(baton_http_head_push(&head, full + cut,
                                 sizeof(full) - 1 - cut, &used),
                0);
        assert_int_equal(used, sizeof(full) - 1 - cut);
        check_full();
    }
}

static void test_line_ends(void **state) {
    (void)state;
    assert_int_equal(read_head("HTTP/1.1 200\nContent-Length: 5\n\n"), 0);
    assert_int_equal(head.length, 5);
    // A line that goes on in the next one.
    assert_int_equal(
            read_head(OK "Content-Length:\r\n\t 7\r\nETag: \"x\"\r\n\r\n"), 0);
    assert_int_equal(head.length, 7);
    assert_string_equal(response.etag, "\"x\"");
    assert_int_equal(read_head("HTTP/1.0 200 OK\r\n\r\n"), 0);
    assert_false(head.keeps_alive);
    assert_int_equal(read_head("HTTP/1.0 200 OK\r\n"
                               "Connection: x, keep-alive\r\n\r\n"),
            0);
    assert_true(head.keeps_alive);
    assert_int_equal(read_head(OK "Connection: TE,  Close\r\n\r\n"), 0);
    assert_false(head.keeps_alive);
    assert_int_equal(read_head(OK "Connection: closed\r\n\r\n"), 0);
    assert_true(head.keeps_alive);
}

static void test_refused(void **state) {
    static const struct {
        const char *text;
        int err;
    } cases[] = {
            {"<html>", BATON_ERR_HTTP_FORMAT},
            {"h", BATON_ERR_HTTP_FORMAT},
            {"\r\n", BATON_ERR_HTTP_FORMAT},
            {"HTTP/2 200", BATON_ERR_HTTP_FORMAT},
            {"HTTP/1.1 2x0 OK\r\n\r\n", BATON_ERR_HTTP_FORMAT},
            {"HTTP/1.1 20 OK\r\n\r\n", BATON_ERR_HTTP_FORMAT},
            {"HTTP/1.1 2000\r\n\r\n", BATON_ERR_HTTP_FORMAT},
            {"HTTP/1.1 099 OK\r\n\r\n", BATON_ERR_HTTP_FORMAT},
            {"HTTP/1.1\r\n\r\n", BATON_ERR_HTTP_FORMAT},
            {"HTTP/1.1-200 OK\r\n\r\n", BATON_ERR_HTTP_FORMAT},
            {"HTTP/1.1 101 Switching\r\n\r\n", BATON_ERR_HTTP_FORMAT},
            {OK "no colon\r\n\r\n", BATON_ERR_HTTP_FORMAT},
            {OK "Content-Length: x\r\n\r\n", BATON_ERR_HTTP_FORMAT},
            {OK "Content-Length: -1\r\n\r\n", BATON_ERR_HTTP_FORMAT},
            {OK "Content-Length: 1 2\r\n\r\n", BATON_ERR_HTTP_FORMAT},
            {OK "Content-Length:\r\n\r\n", BATON_ERR_HTTP_FORMAT},
            {OK "Content-Length: 4\r\nContent-Length: 5\r\n\r\n",
                    BATON_ERR_HTTP_FORMAT},
            {OK "Content-Length: 4\r\nContent-Length: 4\r\n\r\n", 0},
            {OK "Content-Length: 4294967294\r\n\r\n", 0},
            {OK "Content-Length: 4294967295\r\n\r\n", BATON_ERR_NET_TOO_MUCH},
            {OK "Content-Length: 18446744073709551617\r\n\r\n",
                    BATON_ERR_NET_TOO_MUCH},
            {OK "Content-Range: bytes 5-4/9\r\n\r\n", BATON_ERR_HTTP_FORMAT},
            {OK "Content-Range: bytes 5-6\r\n\r\n", BATON_ERR_HTTP_FORMAT},
            {OK "Content-Range: bytes 5-/9\r\n\r\n", BATON_ERR_HTTP_FORMAT},
            {OK "Content-Range: bytes 5-6/\r\n\r\n", BATON_ERR_HTTP_FORMAT},
            {OK "Content-Range: bytes 5-6/7x\r\n\r\n", BATON_ERR_HTTP_FORMAT},
            {OK "Content-Range: bytes 5-6/**\r\n\r\n", BATON_ERR_HTTP_FORMAT},
            {OK "Content-Range: pages 5-6/7\r\n\r\n", BATON_ERR_HTTP_FORMAT},
            {OK "Content-Range: bytes 5-9999999999/*\r\n\r\n",
                    BATON_ERR_NET_TOO_MUCH},
            {OK "Content-Range: bytes 5-6/*\r\n\r\n", 0},
            {OK "Location: "
                "/23456789-123456789-123456789-123456789-123456789-123456789-"
                "12\r\n\r\n",
                    0},
            {OK "Location: "
                "/23456789-123456789-123456789-123456789-123456789-123456789-"
                "123\r\n\r\n",
                    BATON_ERR_HTTP_HEADER_SIZE},
            {OK "X: y\r\n\rZ", BATON_ERR_HTTP_FORMAT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int err = read_head(cases[i].text);
        if (err != cases[i].err) {
            fail_msg("%s: %s", cases[i].text, baton_error_name(err));
        }
    }
    size_t used;
    assert_int_equal(
            push(OK "X: a\0b\r\n\r\n", 28, 28, &used), BATON_ERR_HTTP_FORMAT);
}

static void test_interim(void **state) {
    (void)state;
    assert_int_equal(read_head("HTTP/1.1 100 Continue\r\n"
                               "ETag: \"no\"\r\nContent-Length: 9\r\n\r\n"
                               "HTTP/1.1 103 Early Hints\r\n"
                               "Location: /no\r\n\r\n" OK "X: y\r\n\r\n"),
            0);
    assert_int_equal(head.status, 200);
    assert_false(head.has_length);
    assert_int_equal(head.location_len, 0);
    assert_string_equal(response.etag, "");
}

static void test_etags(void **state) {
    static const struct {
        const char *line;
        const char *etag;
    } cases[] = {
            {"ETag: \"\"", "\"\""},
            {"etag:\"a/b+c=\"", "\"a/b+c=\""},
            {"ETag: W/\"weak\"", ""},
            {"ETag: bare", ""},
            {"ETag: \"", ""},
            {"ETag: \"a\"b\"", ""},
            {"ETag: \"a b\"", ""},
            {"ETag: \"23456789-123456789-123456789-123456789-123456789-1234567"
             "89-123456789-\"",
                    "\"23456789-123456789-123456789-123456789-123456789-1234567"
                    "89-123456789-\""},
            {"ETag: \"23456789-123456789-123456789-123456789-123456789-1234567"
             "89-123456789-1\"",
                    ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256] = OK;
        strcat(text, cases[i].line);
        strcat(text, "\r\n\r\n");
        assert_int_equal(read_head(text), 0);
        assert_string_equal(response.etag, cases[i].etag);
    }
}

static void test_retry_after(void **state) {
    static const struct {
        const char *lines;
        uint32_t seconds;
    } cases[] = {
            {"Retry-After: 120", 120},
            {"Retry-After: 99999999999", UINT32_MAX},
            {"Retry-After: soon", 0},
            {"Retry-After: Sun, 06 Nov 1994 08:49:36 GMT", 0},
            {"Retry-After: Sun, 06 Nov 1994 08:50:37 GMT", 60},
            {"Retry-After: Mon, 07 Nov 1994 08:49:37 GMT", 86400},
            {"Retry-After: Wed, 01 Mar 2000 00:00:00 GMT\r\n"
             "Date: Mon, 28 Feb 2000 00:00:00 GMT",
                    2 * 86400},
            {"Date: Sat, 28 Feb 2026 23:59:59 GMT\r\n"
             "Retry-After: Sun, 01 Mar 2026 00:00:00 GMT",
                    1},
            {"Date: Thu, 31 Dec 2026 23:59:00 GMT\r\n"
             "Retry-After: Fri, 01 Jan 2027 00:00:00 GMT",
                    60},
            {"Date: today\r\n"
             "Retry-After: Sun, 06 Nov 1994 08:50:37 GMT",
                    60},
            {"Retry-After: Sun, 06 Nov 1994 25:50:37 GMT", 0},
            {"Retry-After: Sun, 06 Xyz 1994 08:50:37 GMT", 0},
            {"Retry-After: Sunday, 06-Nov-94 08:49:37 GMT", 0},
            {"Retry-After: Sun Nov  6 08:50:37 1994", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256] = "HTTP/1.1 503 Busy\r\n";
        strcat(text, cases[i].lines);
        strcat(text, "\r\n\r\n");
        assert_int_equal(read_head(text), 0);
        if (response.retry_after_s != cases[i].seconds) {
            fail_msg(
                    "%s: %u", cases[i].lines, (unsigned)response.retry_after_s);
        }
    }
}

static void test_size(void **state) {
    static char text[BATON_HTTP_HEADER_BYTES + 1];
    static const char end[] = "\r\n\r\n";
    size_t used;
    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, OK "X: ", sizeof(OK) + 2);
    size_t len = BATON_HTTP_HEADER_BYTES;
    memcpy(text + len - 4, end, 4);
    assert_int_equal(push(text, len, len, &used), 0);
    assert_int_equal(push(text, len, 777, &used), 0);
    memset(text + len - 4, 'x', 4);
    memcpy(text + len - 3, end, 4);
    assert_int_equal(
            push(text, len + 1, len + 1, &used), BATON_ERR_HTTP_HEADER_SIZE);
    // Interim answers without end are one header too.
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
    for (size_t at = 0; at < sizeof(text); at++) {
        text[at] = interim[at % (sizeof(interim) - 1)];
    }
    assert_int_equal(push(text, len, 25, &used), BATON_ERR_AGAIN);
    assert_int_equal(
            push(text, len + 1, 25, &used), BATON_ERR_HTTP_HEADER_SIZE);
}

// ---- What it means ---------------------------------------------------------

struct judged {
    const char *what;
    const char *header; // behind "HTTP/1.1 "
    struct baton_request request;
    int verdict;
    uint32_t from;
    uint32_t body;
    uint32_t total;
};

static const struct judged verdicts[] = {
        {"whole", "200 OK\r\nContent-Length: 9", {0}, 0, 0, 9, 9},
        {"other 200", "203 Non\r\nContent-Length: 9", {0}, 0, 0, 9, 9},
        {"no length", "200 OK\r\n", {0}, 0, 0, 0, 0},
        {"chunks", "200 OK\r\nTransfer-Encoding: chunked", {0}, 0, 0, 0, 0},
        {"chunks go before a length",
                "200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked",
                {0}, 0, 0, 0, 0},
        {"no ranges", "200 OK\r\nContent-Length: 9", {.from = 4}, 0, 0, 9, 9},
        {"range to the end",
                "206 P\r\nContent-Length: 5\r\nContent-Range: bytes 4-8/9",
                {.from = 4}, 0, 4, 5, 9},
        {"range within",
                "206 P\r\nContent-Length: 2\r\nContent-Range: bytes 4-5/9",
                {.from = 4, .to = 6}, 0, 4, 2, 9},
        {"range from the start",
                "206 P\r\nContent-Length: 6\r\nContent-Range: bytes 0-5/9",
                {.to = 6}, 0, 0, 6, 9},
        {"range past the end",
                "206 P\r\nContent-Length: 5\r\nContent-Range: bytes 4-8/9",
                {.from = 4, .to = 100}, 0, 4, 5, 9},
        {"range, total unknown",
                "206 P\r\nContent-Length: 2\r\nContent-Range: bytes 4-5/*",
                {.from = 4, .to = 6}, 0, 4, 2, 0},
        {"range in chunks",
                "206 P\r\nTransfer-Encoding: chunked\r\n"
                "Content-Range: bytes 4-5/9",
                {.from = 4, .to = 6}, 0, 4, 2, 9},
        {"range in chunks, and a length besides",
                "206 P\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n"
                "Content-Range: bytes 4-5/9",
                {.from = 4, .to = 6}, 0, 4, 2, 9},
        {"range not asked for", "206 P\r\nContent-Range: bytes 0-8/9", {0},
                BATON_ERR_HTTP_RANGE, 0, 0, 0},
        {"range elsewhere", "206 P\r\nContent-Range: bytes 5-8/9", {.from = 4},
                BATON_ERR_HTTP_RANGE, 0, 0, 0},
        {"range too long", "206 P\r\nContent-Range: bytes 4-6/9",
                {.from = 4, .to = 6}, BATON_ERR_HTTP_RANGE, 0, 0, 0},
        {"range too short", "206 P\r\nContent-Range: bytes 4-4/9",
                {.from = 4, .to = 6}, BATON_ERR_HTTP_RANGE, 0, 0, 0},
        {"not to the end", "206 P\r\nContent-Range: bytes 4-7/9", {.from = 4},
                BATON_ERR_HTTP_RANGE, 0, 0, 0},
        {"past the end", "206 P\r\nContent-Range: bytes 4-9/9", {.from = 4},
                BATON_ERR_HTTP_RANGE, 0, 0, 0},
        {"no range in 206", "206 P\r\nContent-Length: 5", {.from = 4},
                BATON_ERR_HTTP_RANGE, 0, 0, 0},
        {"range and length differ",
                "206 P\r\nContent-Length: 4\r\nContent-Range: bytes 4-8/9",
                {.from = 4}, BATON_ERR_HTTP_LENGTH, 4, 5, 9},
        {"416", "416 R\r\nContent-Range: bytes */9", {.from = 40},
                BATON_ERR_HTTP_RANGE, 0, 0, 9},
        {"416 alone", "416 R\r\n", {.from = 40}, BATON_ERR_HTTP_RANGE, 0, 0, 0},
        {"the same file", "206 P\r\nETag: \"a\"\r\nContent-Range: bytes 4-8/9",
                {.from = 4, .etag = "\"a\""}, 0, 4, 5, 9},
        {"another file", "206 P\r\nETag: \"b\"\r\nContent-Range: bytes 4-8/9",
                {.from = 4, .etag = "\"a\""}, BATON_ERR_HTTP_CHANGED, 0, 0, 0},
        {"another file, whole", "200 OK\r\nETag: \"b\"\r\nContent-Length: 9",
                {.from = 4, .etag = "\"a\""}, BATON_ERR_HTTP_CHANGED, 0, 0, 0},
        {"whole, no validator", "200 OK\r\nContent-Length: 9",
                {.from = 4, .etag = "\"a\""}, 0, 0, 9, 9},
        {"unchanged", "304 N\r\nETag: \"a\"", {.known_etag = "\"a\""}, 0, 0, 0,
                0},
        {"unchanged what", "304 N\r\n", {0}, BATON_ERR_HTTP_STATUS, 0, 0, 0},
        {"gzip", "200 OK\r\nContent-Encoding: gzip", {0},
                BATON_ERR_HTTP_ENCODING, 0, 0, 0},
        {"gzip in chunks", "200 OK\r\nTransfer-Encoding: gzip, chunked", {0},
                BATON_ERR_HTTP_ENCODING, 0, 0, 0},
        {"identity", "200 OK\r\nContent-Encoding: identity", {0}, 0, 0, 0, 0},
        {"no place", "302 Found\r\n", {0}, BATON_ERR_HTTP_FORMAT, 0, 0, 0},
        {"choices", "300 M\r\nLocation: /x", {0}, BATON_ERR_HTTP_STATUS, 0, 0,
                0},
        {"no content", "204 N\r\n", {0}, BATON_ERR_HTTP_STATUS, 0, 0, 0},
};

static int judge(const char *header, const struct baton_request *request) {
    char text[512] = "HTTP/1.1 ";
    strcat(text, header);
    strcat(text, "\r\n\r\n");
    assert_int_equal(read_head(text), 0);
    return baton_http_head_judge(&head, request);
}

static void test_verdicts(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
        const struct judged *c = &verdicts[i];
        int verdict = judge(c->header, &c->request);
        if (verdict != c->verdict || response.from != c->from
                || response.body_bytes != c->body
                || response.total_bytes != c->total
                || response.unchanged != (verdict == 0 && head.status == 304)) {
            fail_msg("%s: %s, %u, %u of %u", c->what, baton_error_name(verdict),
                    (unsigned)response.from, (unsigned)response.body_bytes,
                    (unsigned)response.total_bytes);
        }
    }
}

static int expect_of(unsigned status) {
    switch (status) {
    case 200:
    case 203:
        return 0;
    case 206:
        return BATON_ERR_HTTP_RANGE;
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return BATON_HTTP_FOLLOW;
    case 401:
    case 403:
    case 407:
        return BATON_ERR_HTTP_DENIED;
    case 404:
    case 410:
        return BATON_ERR_HTTP_NOT_FOUND;
    case 408:
    case 425:
    case 429:
        return BATON_ERR_HTTP_BUSY;
    case 416:
        return BATON_ERR_HTTP_RANGE;
    default:
        return status / 100 == 5 ? BATON_ERR_HTTP_BUSY : BATON_ERR_HTTP_STATUS;
    }
}

static void test_every_status(void **state) {
    static const struct baton_request request = {.url = "http://h/"};
    (void)state;
    for (unsigned status = 200; status < 1000; status++) {
        char header[] = "000 Reason\r\nLocation: /x";
        header[0] = (char)('0' + status / 100);
        header[1] = (char)('0' + status / 10 % 10);
        header[2] = (char)('0' + status % 10);
        assert_int_equal(judge(header, &request), expect_of(status));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_any_pieces),
            cmocka_unit_test(test_two_pieces),
            cmocka_unit_test(test_line_ends),
            cmocka_unit_test(test_refused),
            cmocka_unit_test(test_interim),
            cmocka_unit_test(test_etags),
            cmocka_unit_test(test_retry_after),
            cmocka_unit_test(test_size),
            cmocka_unit_test(test_verdicts),
            cmocka_unit_test(test_every_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
