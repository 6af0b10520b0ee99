// Fuzzes the HTTP client: whatever a server sends, in any pieces.
// SPDX-License-Identifier: MIT
//
// Input: switches, 3 piece sizes, then what each connection brings, with a byte
// 0xFF between one and the next. Or, by a switch: a base address, a byte 0xFF,
// and a reference to resolve.
#include <string.h>

#include "baton/error.h"
#include "baton/http.h"
#include "require.h"

#define OPTION_BYTES 4u
#define INPUT_MAX    (1u << 17)
#define BODY_MAX     5000u
#define CALLS_MAX    (1u << 21)

enum { ADDRESS = 1, RANGE = 2, ETAG = 4, KNOWN = 8, DOWNGRADE = 16, ENDS = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// ---- Addresses -------------------------------------------------------------

static void check_url(const char *text, size_t bytes) {
    struct baton_http_url url;
    require(memchr(text, 0, bytes) != NULL, "an address ends in its buffer");
    require(baton_http_url_parse(&url, text) == 0, "an address is one");
    for (const char *at = text; *at != 0; at++) {
        require((unsigned char)*at > ' ' && *at != 0x7F, "nothing ends a line");
    }
    require(url.host_len > 0 && url.port > 0, "it has a host and a port");
    require(url.host + url.host_len <= url.path, "its parts are in order");
}

static void resolve(const uint8_t *data, size_t size, bool may_downgrade) {
    char base[256];
    char buf[300];
    const uint8_t *gap = memchr(data, 0xFF, size);
    size_t base_len = gap != NULL ? (size_t)(gap - data) : size;
    size_t to_len = gap != NULL ? size - base_len - 1 : 0;
    if (base_len >= sizeof(base) || to_len >= sizeof(buf)) {
        return;
    }
    memcpy(base, data, base_len);
    base[base_len] = 0;
    memcpy(buf, data + size - to_len, to_len);
    buf[to_len] = 0;
    struct baton_http_url url;
    bool is_base = baton_http_url_parse(&url, base) == 0;
    bool is_https = is_base && url.is_https;
    int err = baton_http_url_resolve(base, buf, sizeof(buf), 0, may_downgrade);
    require(is_base || err == BATON_ERR_URL, "a base is an address");
    if (err == 0) {
        check_url(buf, sizeof(buf));
        (void)baton_http_url_parse(&url, buf);
        require(url.is_https || !is_https || may_downgrade,
                "nobody is led out of https");
    }
}

// ---- A server --------------------------------------------------------------

struct server {
    const uint8_t *data;
    size_t size;
    size_t at;
    size_t next; // where the next connection begins
    const uint8_t *pieces;
    bool is_split; // into those pieces
    bool ends;
    bool is_first; // the connection goes to the first origin
    uint32_t calls;
    uint32_t connects;
    char request[64]; // the end of what was sent
};

static uint32_t now_ms;

static int connect_server(void *context, const char *host, size_t host_len,
        uint16_t port, bool is_tls) {
    struct server *server = context;
    require(host_len > 0 && host_len < 256 && port > 0, "a host is named");
    server->is_first =
            host_len == 1 && (*host | 32) == 'h' && port == 443 && is_tls;
    server->connects++;
    server->at = server->next < server->size ? server->next : server->size;
    const uint8_t *gap =
            memchr(server->data + server->at, 0xFF, server->size - server->at);
    server->next =
            gap != NULL ? (size_t)(gap - server->data) + 1 : server->size;
    return 0;
}

static void take_request(struct server *server, const char *data, size_t len) {
    size_t room = sizeof(server->request) - 1;
    for (size_t i = 0; i < len; i++) {
        memmove(server->request, server->request + 1, room - 1);
        server->request[room - 1] = data[i];
        const char *secret = "Authorization: secret";
        require(server->is_first
                        || strcmp(server->request + room - strlen(secret),
                                   secret)
                                   != 0,
                "credentials stay at their origin");
    }
}

static int send_server(
        void *context, const void *data, size_t len, size_t *done) {
    struct server *server = context;
    require(len > 0, "something is sent");
    require(++server->calls < CALLS_MAX, "calls are bounded");
    *done = server->is_split ? 1 + server->pieces[0] % len : len;
    take_request(server, data, *done);
    return 0;
}

static int receive_server(void *context, void *buf, size_t len, size_t *got) {
    struct server *server = context;
    require(len > 0, "there is room");
    require(++server->calls < CALLS_MAX, "calls are bounded");
    now_ms += 1;
    if (server->is_split && server->calls % 3 == 0) {
        return BATON_ERR_AGAIN;
    }
    size_t end = server->next;
    if (end > server->at && server->data[end - 1] == 0xFF) {
        end--;
    }
    size_t left = end > server->at ? end - server->at : 0;
    size_t most = 1 + server->pieces[server->calls % 3];
    *got = len < left ? len : left;
    if (server->is_split && *got > most) {
        *got = most;
    }
    memcpy(buf, server->data + server->at, *got);
    server->at += *got;
    if (*got == 0 && !server->ends) {
        return BATON_ERR_NET_RESET;
    }
    return 0;
}

static void close_server(void *context) {
    (void)context;
}

static uint64_t get_ticks(void *context) {
    (void)context;
    return now_ms;
}

static enum baton_clock_trust get_clock(void *context, uint64_t *unix_s) {
    (void)context;
    *unix_s = 784111777;
    return BATON_CLOCK_SET;
}

// ---- The client ------------------------------------------------------------

struct result {
    int err;
    struct baton_response response;
    uint8_t body[BODY_MAX];
    size_t len;
    uint32_t connects;
};

static void read_all(struct result *result,
        const struct baton_transport *transport, size_t chunk) {
    size_t got = 1;
    while (result->err == BATON_ERR_AGAIN || (result->err == 0 && got > 0)) {
        size_t room = BODY_MAX - result->len;
        uint8_t spare[1];
        bool is_full = room == 0;
        size_t count = is_full ? 1 : chunk < room ? chunk : room;
        result->err = transport->read(transport->context,
                is_full ? spare : result->body + result->len, count, &got);
        require(got <= count, "no more comes than there is room");
        require(result->err == 0 || got == 0, "an error brings nothing");
        require(!is_full || got == 0, "the cap holds");
        result->len += got;
    }
}

static void fetch(struct result *result, struct server *server,
        const struct baton_request *request, size_t buf_bytes, size_t chunk) {
    static char url[300];
    static uint8_t buf[512];
    struct baton_http http;
    struct baton_stream stream = {.context = server,
            .connect = connect_server,
            .send = send_server,
            .recv = receive_server,
            .close = close_server};
    struct baton_clock clock = {.ticks_ms = get_ticks, .now = get_clock};
    struct baton_http_config config = {.stream = &stream,
            .clock = &clock,
            .limits = {.body_bytes = BODY_MAX},
            .authorization = "secret",
            .url = url,
            .url_bytes = sizeof(url),
            .buf = buf,
            .buf_bytes = buf_bytes};
    memset(result, 0, sizeof(*result));
    now_ms = 0;
    require(baton_http_begin(&http, &config) == 0, "it begins");
    do {
        result->err = http.transport.open(&http, request, &result->response);
    } while (result->err == BATON_ERR_AGAIN);
    if (result->err == 0) {
        read_all(result, &http.transport, chunk);
    }
    http.transport.close(&http);
    baton_http_end(&http);
    result->connects = server->connects;
}

static void check(
        const struct result *result, const struct baton_request *request) {
    const struct baton_response *response = &result->response;
    size_t len = strlen(response->etag);
    require(result->connects <= 6, "redirects are bounded");
    require(len == 0
                    || (len >= 2 && response->etag[0] == '"'
                            && response->etag[len - 1] == '"'),
            "an etag has its quotes");
    if (result->err != 0) {
        return;
    }
    require(response->from == 0 || response->from == request->from,
            "the part is the one that was asked for");
    require(response->body_bytes == 0 || response->body_bytes == result->len,
            "all of it came");
    require(!response->unchanged
                    || (request->known_etag != NULL && result->len == 0),
            "nothing changed");
    require(request->to == 0 || response->from == 0
                    || result->len <= request->to - request->from,
            "no more came");
}

static bool is_same(const struct result *a, const struct result *b) {
    return a->err == b->err && a->len == b->len && a->connects == b->connects
           && memcmp(a->body, b->body, a->len) == 0
           && memcmp(&a->response, &b->response, sizeof(a->response)) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct result whole;
    static struct result split;
    if (size < OPTION_BYTES || size > INPUT_MAX) {
        return 0;
    }
    uint8_t options = data[0];
    struct baton_request request = {.url = "https://h/a",
            .from = (options & RANGE) != 0 ? 4 : 0,
            .to = (options & RANGE) != 0 ? 9 : 0,
            .etag = (options & ETAG) != 0 ? "\"a\"" : NULL,
            .known_etag = (options & KNOWN) != 0 ? "\"b\"" : NULL,
            .may_downgrade = (options & DOWNGRADE) != 0};
    struct server server = {.data = data + OPTION_BYTES,
            .size = size - OPTION_BYTES,
            .pieces = data + 1,
            .ends = (options & ENDS) != 0};
    if ((options & ADDRESS) != 0) {
        resolve(server.data, server.size, request.may_downgrade);
        return 0;
    }
    struct server again = server;
    again.is_split = true;
    fetch(&whole, &server, &request, 512, BODY_MAX);
    check(&whole, &request);
    fetch(&split, &again, &request, 64, 1u + data[3]);
    require(is_same(&whole, &split), "pieces give the same result");
    return 0;
}
