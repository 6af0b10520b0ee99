// Bodies: counted, in chunks, to the connection's end; split at every byte.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "baton/error.h"
#include "baton/http.h"

enum { LIMIT = 20 };

struct body {
    const char *what;
    const char *header;
    const char *bytes;
    const char *content; // of what is read before the end or the error
    int err;             // AGAIN: it goes on; LENGTH: also when it is cut here
    const char *rest;    // behind the end; NULL: not reached
};

#define CHUNKED "200 OK\r\nTransfer-Encoding: chunked"

static const struct body bodies[] = {
        {"counted", "200 OK\r\nContent-Length: 5", "hello+", "hello", 0, "+"},
        {"empty", "200 OK\r\nContent-Length: 0", "+", "", 0, "+"},
        {"counted short", "200 OK\r\nContent-Length: 5", "hell", "hell",
                BATON_ERR_AGAIN, NULL},
        {"open", "200 OK", "hello", "hello", BATON_ERR_AGAIN, NULL},
        {"open, as much as is taken", "200 OK", "01234567890123456789",
                "01234567890123456789", BATON_ERR_AGAIN, NULL},
        {"open, too much", "200 OK", "012345678901234567890",
                "01234567890123456789", BATON_ERR_NET_TOO_MUCH, NULL},
        {"chunks", CHUNKED, "5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n+", "helloyou",
                0, "+"},
        {"no chunk", CHUNKED, "0\r\n\r\n+", "", 0, "+"},
        {"other sizes", CHUNKED,
                "00005\r\nhello\r\nB\r\nhello world\r\n"
                "000\r\n\r\n",
                "hellohello world", 0, ""},
        {"lower case", CHUNKED, "b\r\nhello world\r\n0\r\n\r\n", "hello world",
                0, ""},
        {"line ends alone", CHUNKED, "5\nhello\n0\n\n+", "hello", 0, "+"},
        {"extensions", CHUNKED,
                "5;a=b;c=\"d\"\r\nhello\r\n3 \r\nyou\r\n0;x\r\n\r\n+",
                "helloyou", 0, "+"},
        {"trailers", CHUNKED, "1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n+", "x", 0,
                "+"},
        {"no size", CHUNKED, "\r\nhello", "", BATON_ERR_HTTP_FORMAT, NULL},
        {"bad size", CHUNKED, "g\r\nhello", "", BATON_ERR_HTTP_FORMAT, NULL},
        {"bad size behind", CHUNKED, "5g\r\nhello", "", BATON_ERR_HTTP_FORMAT,
                NULL},
        {"negative", CHUNKED, "-5\r\nhello", "", BATON_ERR_HTTP_FORMAT, NULL},
        {"too long a chunk", CHUNKED, "5\r\nhello!\r\n0\r\n\r\n", "hello",
                BATON_ERR_HTTP_FORMAT, NULL},
        {"too large", CHUNKED, "14\r\n01234567890123456789\r\n1\r\nx",
                "01234567890123456789", BATON_ERR_NET_TOO_MUCH, NULL},
        {"one too large", CHUNKED, "15\r\n012345678901234567890", "",
                BATON_ERR_NET_TOO_MUCH, NULL},
        {"32 bits", CHUNKED, "ffffffff\r\nx", "", BATON_ERR_NET_TOO_MUCH, NULL},
        {"33 bits", CHUNKED, "100000005\r\nhello", "", BATON_ERR_NET_TOO_MUCH,
                NULL},
        {"range", "206 P\r\nContent-Range: bytes 4-8/9", "hello+", "hello", 0,
                "+"},
        {"range in chunks",
                "206 P\r\nTransfer-Encoding: chunked\r\n"
                "Content-Range: bytes 4-8/9",
                "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n+", "hello", 0, "+"},
        {"range in chunks, too short",
                "206 P\r\nTransfer-Encoding: chunked\r\n"
                "Content-Range: bytes 4-8/9",
                "4\r\nhell\r\n0\r\n\r\n", "hell", BATON_ERR_HTTP_LENGTH, NULL},
        {"range in chunks, too long",
                "206 P\r\nTransfer-Encoding: chunked\r\n"
                "Content-Range: bytes 4-8/9",
                "6\r\nhello!\r\n0\r\n\r\n", "", BATON_ERR_HTTP_LENGTH, NULL},
};

static struct baton_http_head head;
static struct baton_http_body body;

static int begin(const char *header) {
    static struct baton_response response;
    static const struct baton_request request = {.from = 4};
    static char location[64];
    char text[256] = "HTTP/1.1 ";
    size_t used;
    strcat(text, header);
    strcat(text, "\r\n\r\n");
    baton_http_head_begin(&head, &response, location, sizeof(location), 0);
    assert_int_equal(baton_http_head_push(&head, text, strlen(text), &used), 0);
    int err = baton_http_head_judge(&head, &request);
    return err != 0 ? err : baton_http_body_begin(&body, &head, LIMIT);
}

struct reader {
    char content[64];
    size_t len;
    const char *rest;
};

// Reads what the bytes hold; content in pieces of at most `most`.
static int read(
        struct reader *reader, const char *data, size_t len, size_t most) {
    int err = 0;
    while (err == 0 && !body.is_end) {
        if (body.left == 0) {
            size_t used;
            err = baton_http_body_frame(&body, data, len, &used);
            assert_true(used <= len);
            data += used;
            len -= used;
            continue;
        }
        size_t count = len < body.left ? len : body.left;
        count = count < most ? count : most;
        if (count == 0) {
            return BATON_ERR_AGAIN;
        }
        memcpy(reader->content + reader->len, data, count);
        reader->len += count;
        baton_http_body_take(&body, count);
        data += count;
        len -= count;
    }
    reader->rest = data;
    return err;
}

static void check(const struct body *c, const struct reader *reader, int err) {
    if (err != c->err || reader->len != strlen(c->content)
            || memcmp(reader->content, c->content, reader->len) != 0
            || (err == 0 && strcmp(reader->rest, c->rest) != 0)) {
        fail_msg("%s: %s, %.*s", c->what, baton_error_name(err),
                (int)reader->len, reader->content);
    }
}

static void test_whole(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        const struct body *c = &bodies[i];
        for (size_t most = 1; most < 8; most++) {
            struct reader reader = {0};
            assert_int_equal(begin(c->header), 0);
            int err = read(&reader, c->bytes, strlen(c->bytes), most);
            check(c, &reader, err);
        }
    }
}

// Two pieces, and a connection that ends between them.
static void test_every_cut(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        const struct body *c = &bodies[i];
        size_t len = strlen(c->bytes);
        for (size_t cut = 0; cut <= len; cut++) {
            struct reader reader = {0};
            assert_int_equal(begin(c->header), 0);
            int err = read(&reader, c->bytes, cut, 64);
            if (err == BATON_ERR_AGAIN) {
                struct baton_http_body there = body;
                int want = body.is_open ? 0 : BATON_ERR_HTTP_LENGTH;
                assert_int_equal(baton_http_body_cut(&body), want);
                assert_true(want != 0 || body.is_end);
                body = there;
                err = read(&reader, c->bytes + cut, len - cut, 64);
                check(c, &reader, err);
            }
        }
    }
}

static void test_announced(void **state) {
    (void)state;
    assert_int_equal(begin("200 OK\r\nContent-Length: 20"), 0);
    assert_int_equal(
            begin("200 OK\r\nContent-Length: 21"), BATON_ERR_NET_TOO_MUCH);
    assert_int_equal(begin("206 P\r\nContent-Range: bytes 4-24/25"),
            BATON_ERR_NET_TOO_MUCH);
}

// Framing alone must not go on for ever.
static void test_endless_framing(void **state) {
    static const char *starts[] = {"1;", "1\r\nx\r\n0\r\n", "0000000000"};
    static const char *more[] = {"aaaaaaaaaa", "A: bcdef\r\n", "0000000000"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct reader reader = {0};
        size_t count = 0;
        assert_int_equal(begin(CHUNKED), 0);
        int err = read(&reader, starts[i], strlen(starts[i]), 64);
        while (err == BATON_ERR_AGAIN && count < 2 * BATON_HTTP_HEADER_BYTES) {
            err = read(&reader, more[i], 10, 64);
            count += 10;
        }
        assert_int_equal(err, BATON_ERR_HTTP_HEADER_SIZE);
        assert_in_range(count, BATON_HTTP_HEADER_BYTES - 16,
                BATON_HTTP_HEADER_BYTES + 16);
    }
}

// As long as content comes, framing may be long.
static void test_long_framing(void **state) {
    static const char chunk[] = "1\r\nx\r\n";
    struct reader reader = {0};
    (void)state;
    assert_int_equal(begin(CHUNKED), 0);
    for (int i = 0; i < LIMIT; i++) {
        assert_int_equal(read(&reader, "1;", 2, 64), BATON_ERR_AGAIN);
        for (int j = 0; j < 5000; j++) {
            assert_int_equal(read(&reader, "a", 1, 64), BATON_ERR_AGAIN);
        }
        assert_int_equal(read(&reader, chunk + 1, sizeof(chunk) - 2, 64),
                BATON_ERR_AGAIN);
    }
    assert_int_equal(reader.len, LIMIT);
}

static void test_pace(void **state) {
    struct baton_http_limits limits = {.rate_bytes_s = 100, .rate_s = 10};
    struct baton_http_pace pace = {0};
    uint32_t now = UINT32_MAX - 5000; // the clock's low half turns over
    (void)state;
    // 10 s of waiting at 100 bytes a second is enough, 99 is not.
    for (uint32_t rate = 99; rate <= 100; rate++) {
        memset(&pace, 0, sizeof(pace));
        for (int i = 0; i < 9; i++) {
            baton_http_pace_start(&pace, now);
            now += 1000;
            assert_int_equal(
                    baton_http_pace_stop(&pace, &limits, now, rate), 0);
            now += 60000; // the reader's own time
        }
        baton_http_pace_start(&pace, now);
        now += 1000;
        assert_int_equal(baton_http_pace_stop(&pace, &limits, now, rate),
                rate == 100 ? 0 : BATON_ERR_NET_STALLED);
    }
    // Every 10 s are judged by themselves.
    memset(&pace, 0, sizeof(pace));
    for (int i = 1; i <= 39; i++) {
        baton_http_pace_start(&pace, now);
        now += 1000;
        int want = i == 30 ? BATON_ERR_NET_STALLED : 0;
        size_t got = i <= 10 ? 1000 : i <= 20 ? 100 : i == 30 ? 1 : 0;
        assert_int_equal(baton_http_pace_stop(&pace, &limits, now, got), want);
    }
    // Between two reads that had nothing the wait goes on.
    memset(&pace, 0, sizeof(pace));
    baton_http_pace_start(&pace, now);
    assert_int_equal(baton_http_pace_stop(&pace, &limits, now, 0), 0);
    now += 9999;
    baton_http_pace_start(&pace, now);
    assert_int_equal(baton_http_pace_stop(&pace, &limits, now, 0), 0);
    now += 1;
    baton_http_pace_start(&pace, now);
    assert_int_equal(baton_http_pace_stop(&pace, &limits, now, 0),
            BATON_ERR_NET_STALLED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_whole),
            cmocka_unit_test(test_every_cut),
            cmocka_unit_test(test_announced),
            cmocka_unit_test(test_endless_framing),
            cmocka_unit_test(test_long_framing),
            cmocka_unit_test(test_pace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
