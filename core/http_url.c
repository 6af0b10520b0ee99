// Addresses: their parts, and redirects relative to them.
// SPDX-License-Identifier: MIT
#include "baton/http.h"

#include <string.h>

#include "baton/error.h"
#include "http_text.h"

static bool is_host_char(char c, bool is_literal) {
    bool is_digit = c >= '0' && c <= '9';
    bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (is_literal) {
        return is_digit || c == ':' || c == '.'
               || (is_letter && (c | 32) < 'g');
    }
    return is_digit || is_letter || c == '-' || c == '.' || c == '_';
}

// Length of the host at the start of text; 0 where there is none.
static size_t measure_host(const char *text) {
    bool is_literal = *text == '[';
    size_t start = is_literal ? 1 : 0;
    size_t len = start;
    while (is_host_char(text[len], is_literal)) {
        len++;
    }
    if (len == start || len > 255) {
        return 0;
    }
    if (is_literal) {
        return text[len] == ']' ? len + 1 : 0;
    }
    return len;
}

// Length of what is sent of a path and query; a fragment stays here.
static int measure_path(const char *text, uint16_t *len) {
    size_t i = 0;
    while (text[i] != 0 && text[i] != '#') {
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7F || i == 0xFFFF) {
            return BATON_ERR_URL;
        }
        i++;
    }
    *len = (uint16_t)i;
    return 0;
}

// The scheme; returns what comes behind it, or NULL.
static const char *parse_scheme(struct baton_http_url *self, const char *url) {
    const char *secure = baton_http_text_after(url, "https://");
    self->is_https = secure != NULL;
    return secure != NULL ? secure : baton_http_text_after(url, "http://");
}

int baton_http_url_parse(struct baton_http_url *self, const char *url) {
    self->host = parse_scheme(self, url);
    if (self->host == NULL) {
        return BATON_ERR_URL;
    }
    self->host_len = (uint16_t)measure_host(self->host);
    const char *at = self->host + self->host_len;
    uint32_t port = self->is_https ? 443 : 80;
    if (*at == ':') {
        const char *end = baton_http_text_number(++at, &port);
        at = end != NULL ? end : at;
    }
    bool is_end = *at == 0 || *at == '/' || *at == '?' || *at == '#';
    if (self->host_len == 0 || port == 0 || port > 0xFFFF || !is_end) {
        return BATON_ERR_URL;
    }
    self->port = (uint16_t)port;
    self->path = at;
    return measure_path(at, &self->path_len);
}

bool baton_http_url_is_same_origin(
        const struct baton_http_url *self, const struct baton_http_url *other) {
    return self->is_https == other->is_https && self->port == other->port
           && self->host_len == other->host_len
           && baton_http_text_is_same(self->host, other->host, self->host_len);
}

static size_t find(const char *text, size_t len, char c) {
    size_t i = 0;
    while (i < len && text[i] != c) {
        i++;
    }
    return i;
}

// Whether the reference names a scheme of its own.
static bool has_scheme(const char *text) {
    for (; *text != 0 && *text != '/' && *text != '?' && *text != '#'; text++) {
        if (*text == ':') {
            return true;
        }
    }
    return false;
}

// How much of the base stays in front of a reference.
static size_t measure_kept(
        const struct baton_http_url *base, const char *start, const char *to) {
    size_t authority = (size_t)(base->path - start);
    size_t path_len = find(base->path, base->path_len, '?');
    if (to[0] == '/' && to[1] == '/') {
        return base->is_https ? 6 : 5; // "https:"
    }
    if (to[0] == '/') {
        return authority;
    }
    if (to[0] == '?') {
        return authority + path_len;
    }
    if (to[0] == 0 || to[0] == '#') {
        return authority + base->path_len;
    }
    while (path_len > 0 && base->path[path_len - 1] != '/') {
        path_len--;
    }
    return authority + path_len;
}

// Takes "." and ".." out of a path, in place: every segment begins with '/'.
static void remove_dots(char *path) {
    size_t end = 0;
    while (path[end] != 0 && path[end] != '?' && path[end] != '#') {
        end++;
    }
    size_t out = 0;
    size_t step;
    for (size_t in = 0; in < end; in += step) {
        step = 1 + find(path + in + 1, end - in - 1, '/');
        size_t len = step;
        bool is_last = in + len == end;
        bool is_dot = len == 2 && path[in + 1] == '.';
        bool is_up = len == 3 && path[in + 1] == '.' && path[in + 2] == '.';
        while (is_up && out > 0 && path[--out] != '/') {
        }
        if (is_dot || is_up) {
            // A directory keeps its slash.
            len = is_last ? 1 : 0;
            path[out] = '/';
        } else {
            memmove(path + out, path + in, len);
        }
        out += len;
    }
    memmove(path + out, path + end, strlen(path + end) + 1);
}

int baton_http_url_resolve(const char *base, char *buf, size_t buf_len,
        size_t at, bool may_downgrade) {
    struct baton_http_url url;
    int err = baton_http_url_parse(&url, base);
    if (err) {
        return err;
    }
    bool was_https = url.is_https;
    char *to = buf + at;
    to[find(to, strlen(to), '#')] = 0;
    size_t kept = has_scheme(to) ? 0 : measure_kept(&url, base, to);
    // A base without a path has the path "/".
    bool is_bare = kept == (size_t)(url.path - base);
    size_t slash = is_bare && to[0] != '/' ? 1 : 0;
    size_t len = strlen(to) + 1;
    if (kept + slash + len > buf_len) {
        return BATON_ERR_HTTP_HEADER_SIZE;
    }
    memmove(buf + kept + slash, to, len);
    memmove(buf, base, kept);
    if (slash != 0) {
        buf[kept] = '/';
    }
    err = baton_http_url_parse(&url, buf);
    if (err) {
        return err;
    }
    if (*url.path == '/') {
        remove_dots(buf + (url.path - buf));
    }
    bool is_downgrade = was_https && !url.is_https && !may_downgrade;
    return is_downgrade ? BATON_ERR_HTTP_DOWNGRADE : 0;
}
