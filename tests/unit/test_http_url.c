// Addresses: what is refused, and redirects as RFC 3986 resolves them.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "baton/error.h"
#include "baton/http.h"

static void test_parts(void **state) {
    static const struct {
        const char *url;
        const char *host;
        const char *path;
        uint16_t port;
        bool is_https;
    } good[] = {
            {"http://h", "h", "", 80, false},
            {"https://h", "h", "", 443, true},
            {"HTTPS://a.b-c_d.E:8443/x?y=z", "a.b-c_d.E", "/x?y=z", 8443, true},
            {"http://10.0.0.1:1/", "10.0.0.1", "/", 1, false},
            {"http://h:65535?q", "h", "?q", 65535, false},
            {"http://h:/p", "h", "/p", 80, false},
            {"http://[fe80::1]:80/p#frag", "[fe80::1]", "/p", 80, false},
            {"http://[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", "", 80, false},
            {"http://h#f", "h", "", 80, false},
            {"http://h/%20\xC3\xA4;a=b,c:d@e", "h", "/%20\xC3\xA4;a=b,c:d@e",
                    80, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct baton_http_url url;
        assert_int_equal(baton_http_url_parse(&url, good[i].url), 0);
        assert_int_equal(url.host_len, strlen(good[i].host));
        assert_memory_equal(url.host, good[i].host, url.host_len);
        assert_int_equal(url.path_len, strlen(good[i].path));
        assert_memory_equal(url.path, good[i].path, url.path_len);
        assert_int_equal(url.port, good[i].port);
        assert_int_equal(url.is_https, good[i].is_https);
    }
}

static void test_refused(void **state) {
    static const char *bad[] = {"", "h", "/x", "http:/h", "http://", "ftp://h",
            "http:///x", "http://:80", "http://u@h/", "http://u:p@h/",
            "http://h:0/", "http://h:65536/", "http://h:99999999999/",
            "http://h:x/", "http://h /", "http://h/a b", "http://h/a\r\nX: y",
            "http://h/\x7F", "http://h\\x", "http://[::1", "http://[]",
            "http://[g::1]/", "http://::1/", "http://[::1]x/", "http://h%41/",
            "httpx://h", "https:h", "http://h\t", " http://h"};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct baton_http_url url;
        if (baton_http_url_parse(&url, bad[i]) != BATON_ERR_URL) {
            fail_msg("taken: %s", bad[i]);
        }
    }
    char host[] = "http://0123456789012345678901234567890123456789012345678901"
                  "23456789012345678901234567890123456789012345678901234567890"
                  "12345678901234567890123456789012345678901234567890123456789"
                  "01234567890123456789012345678901234567890123456789012345678"
                  "90123456789012345678901234567890";
    struct baton_http_url url;
    assert_int_equal(baton_http_url_parse(&url, host), BATON_ERR_URL);
    host[7 + 255] = 0;
    assert_int_equal(baton_http_url_parse(&url, host), 0);
}

static void test_origins(void **state) {
    static const struct {
        const char *a;
        const char *b;
        bool is_same;
    } pairs[] = {
            {"http://h/a", "http://H:80/b", true},
            {"https://h", "https://h:443", true},
            {"http://h", "https://h", false},
            {"http://h:443", "https://h:443", false},
            {"http://h", "http://h:81", false},
            {"http://h", "http://h.", false},
            {"http://h", "http://hh", false},
            {"http://a", "http://b", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct baton_http_url a;
        struct baton_http_url b;
        assert_int_equal(baton_http_url_parse(&a, pairs[i].a), 0);
        assert_int_equal(baton_http_url_parse(&b, pairs[i].b), 0);
        assert_int_equal(
                baton_http_url_is_same_origin(&a, &b), pairs[i].is_same);
        assert_int_equal(
                baton_http_url_is_same_origin(&b, &a), pairs[i].is_same);
    }
}

struct redirect {
    const char *base;
    const char *to;
    const char *result; // NULL: refused
};

// The reference behind the base, and in front of a base elsewhere.
static int resolve_at(
        const struct redirect *c, size_t at, char *buf, size_t len) {
    char base[128];
    strcpy(base, c->base);
    strcpy(buf, c->base);
    strcpy(buf + at, c->to);
    return baton_http_url_resolve(at == 0 ? base : buf, buf, len, at, false);
}

static void check_redirect(const struct redirect *c) {
    char buf[256];
    size_t places[] = {0, strlen(c->base) + 1, 100};
    for (size_t i = 0; i < 3; i++) {
        int err = resolve_at(c, places[i], buf, sizeof(buf));
        if (c->result == NULL) {
            assert_int_equal(err, BATON_ERR_URL);
            continue;
        }
        if (err != 0 || strcmp(buf, c->result) != 0) {
            fail_msg("%s to %s at %zu: %s, %s", c->base, c->to, places[i],
                    baton_error_name(err), buf);
        }
    }
}

static void test_redirects(void **state) {
    // The second group: RFC 3986, 5.4, as far as it concerns http.
    static const struct redirect cases[] = {
            {"http://h/a", "http://o/x#f", "http://o/x"},
            {"http://h/a", "HTTPS://o:1", "HTTPS://o:1"},
            {"http://h", "x", "http://h/x"},
            {"http://h?q", "x", "http://h/x"},
            {"http://h?q", "#f", "http://h?q"},
            {"http://h", "", "http://h/"},
            {"http://h:81/a/b", "/c?d", "http://h:81/c?d"},
            {"https://h/a/b", "//o/c", "https://o/c"},
            {"http://h/a", "x/../../y", "http://h/y"},
            {"http://h/a", "/x/..", "http://h/"},
            {"http://h/a", "/x/../..?..", "http://h/?.."},
            {"http://h/a", "/x//../y", "http://h/x/y"},
            {"http://h/a", "/...", "http://h/..."},
            {"http://h/a", "ftp://o/", NULL},
            {"http://h/a", "javascript:x", NULL},
            {"http://h/a", "http://u@o/", NULL},
            {"http://h/a", "/x y", NULL},
            {"http://h/a", "///x", NULL},

            {"http://a/b/c/d;p?q", "g", "http://a/b/c/g"},
            {"http://a/b/c/d;p?q", "./g", "http://a/b/c/g"},
            {"http://a/b/c/d;p?q", "g/", "http://a/b/c/g/"},
            {"http://a/b/c/d;p?q", "/g", "http://a/g"},
            {"http://a/b/c/d;p?q", "//g", "http://g"},
            {"http://a/b/c/d;p?q", "?y", "http://a/b/c/d;p?y"},
            {"http://a/b/c/d;p?q", "g?y", "http://a/b/c/g?y"},
            {"http://a/b/c/d;p?q", "g#s", "http://a/b/c/g"},
            {"http://a/b/c/d;p?q", ";x", "http://a/b/c/;x"},
            {"http://a/b/c/d;p?q", "g;x?y#s", "http://a/b/c/g;x?y"},
            {"http://a/b/c/d;p?q", "", "http://a/b/c/d;p?q"},
            {"http://a/b/c/d;p?q", ".", "http://a/b/c/"},
            {"http://a/b/c/d;p?q", "..", "http://a/b/"},
            {"http://a/b/c/d;p?q", "../g", "http://a/b/g"},
            {"http://a/b/c/d;p?q", "../..", "http://a/"},
            {"http://a/b/c/d;p?q", "../../g", "http://a/g"},
            {"http://a/b/c/d;p?q", "../../../g", "http://a/g"},
            {"http://a/b/c/d;p?q", "/./g", "http://a/g"},
            {"http://a/b/c/d;p?q", "/../g", "http://a/g"},
            {"http://a/b/c/d;p?q", "g.", "http://a/b/c/g."},
            {"http://a/b/c/d;p?q", "..g", "http://a/b/c/..g"},
            {"http://a/b/c/d;p?q", "./../g", "http://a/b/g"},
            {"http://a/b/c/d;p?q", "./g/.", "http://a/b/c/g/"},
            {"http://a/b/c/d;p?q", "g;x=1/../y", "http://a/b/c/y"},
            {"http://a/b/c/d;p?q", "g?y/../x", "http://a/b/c/g?y/../x"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_redirect(&cases[i]);
    }
}

static void test_room(void **state) {
    static const struct redirect cases[] = {
            {"http://h/a/b", "c/d", "http://h/a/c/d"},
            {"http://host", "c/d", "http://host/c/d"},
    };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (size_t len = 4; len < 40; len++) {
            char buf[256];
            memset(buf, '!', sizeof(buf));
            strcpy(buf, cases[i].to);
            int err = baton_http_url_resolve(cases[i].base, buf, len, 0, false);
            bool has_room = len > strlen(cases[i].result);
            assert_int_equal(err, has_room ? 0 : BATON_ERR_HTTP_HEADER_SIZE);
            assert_int_equal(buf[len], '!');
        }
    }
}

static void test_downgrade(void **state) {
    (void)state;
    char buf[64] = "http://h/";
    assert_int_equal(
            baton_http_url_resolve("https://h/", buf, sizeof(buf), 0, false),
            BATON_ERR_HTTP_DOWNGRADE);
    strcpy(buf, "http://h/");
    assert_int_equal(
            baton_http_url_resolve("https://h/", buf, sizeof(buf), 0, true), 0);
    strcpy(buf, "https://h/");
    assert_int_equal(
            baton_http_url_resolve("http://h/", buf, sizeof(buf), 0, false), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_parts),
            cmocka_unit_test(test_refused),
            cmocka_unit_test(test_origins),
            cmocka_unit_test(test_redirects),
            cmocka_unit_test(test_room),
            cmocka_unit_test(test_downgrade),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
