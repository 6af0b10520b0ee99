// Fetches by any of the transports, for tests in Python that play the server.
// SPDX-License-Identifier: MIT
//
// Each line on standard input is one request: fields NAME=VALUE with a tab
// between them; each answer is a line of JSON. What `url`, `from`, `to`, `etag`
// and `known_etag` mean is said in port.h, the limits' names in http.h. Besides:
//   transport=curl|http   which; curl where it is not said
//   keep=1                with the transport of the line before
//   downgrade=1           may_downgrade
//   ca_file, ca_pem       a file; the second is given from memory
//   pin=HEX  authorization  agent  clock=none|floor|set
//   chunk=N               how much is asked of each read
//   stop=N                close after so many bytes
//   buf=N  url_bytes=N  most=N  the HTTP client's memory, and how many bytes
//                         its stream moves at a time
#define _POSIX_C_SOURCE 200809L
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../lib/tls_stream.h"
#include "baton-posix/crypto.h"
#include "baton-posix/transport.h"
#include "baton/error.h"

enum { LINE_BYTES = 65536, CHUNK_BYTES = 65536 };

static char line[LINE_BYTES];
static char empty[] = "";

// The value of a field, or NULL. Fields end in 0 once split.
static char *get(const char *name) {
    size_t len = strlen(name);
    for (char *at = line; *at != 0; at += strlen(at) + 1) {
        if (strncmp(at, name, len) == 0 && at[len] == '=') {
            return at + len + 1;
        }
    }
    return NULL;
}

static uint32_t get_number(const char *name) {
    const char *text = get(name);
    return text != NULL ? (uint32_t)strtoul(text, NULL, 0) : 0;
}

static bool is(const char *name, const char *value) {
    const char *text = get(name);
    return text != NULL && strcmp(text, value) == 0;
}

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t get_ticks(void *context) {
    (void)context;
    return now_ms();
}

static enum baton_clock_trust get_clock(void *context, uint64_t *unix_s) {
    (void)context;
    *unix_s = (uint64_t)time(NULL);
    if (is("clock", "none")) {
        *unix_s = 0;
        return BATON_CLOCK_NONE;
    }
    return is("clock", "floor") ? BATON_CLOCK_FLOOR : BATON_CLOCK_SET;
}

static const struct baton_clock wall = {
        .ticks_ms = get_ticks, .now = get_clock};

static void get_limits(struct baton_http_limits *limits) {
    *limits = (struct baton_http_limits){.connect_ms = get_number("connect_ms"),
            .answer_ms = get_number("answer_ms"),
            .rate_bytes_s = get_number("rate_bytes_s"),
            .rate_s = get_number("rate_s"),
            .body_bytes = get_number("body_bytes"),
            .redirects = (uint8_t)get_number("redirects")};
}

// ---- libcurl ---------------------------------------------------------------

static struct baton_transport_curl *curl;
static char kept[4][LINE_BYTES]; // what a transport borrows outlives its line
static uint8_t pin[32];

static char *keep(int slot, const char *name) {
    const char *text = get(name);
    if (text == NULL) {
        return NULL;
    }
    snprintf(kept[slot], sizeof(kept[slot]), "%s", text);
    return kept[slot];
}

static const uint8_t *get_pin(void) {
    const char *text = get("pin");
    if (text == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof(pin); i++) {
        char byte[3] = {text[2 * i], text[2 * i + 1], 0};
        pin[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
    return pin;
}

static size_t read_file(const char *path, char *buf, size_t bytes) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    size_t len = fread(buf, 1, bytes, file);
    fclose(file);
    return len;
}

static int make_curl(const struct baton_transport **transport) {
    struct baton_transport_curl_options options = {
            .ca_file = keep(0, "ca_file"),
            .authorization = keep(1, "authorization"),
            .user_agent = keep(2, "agent"),
            .pin = get_pin(),
            .clock = get("clock") != NULL ? &wall : NULL};
    if (get("ca_pem") != NULL) {
        options.ca_pem = kept[3];
        options.ca_pem_len = read_file(get("ca_pem"), kept[3], sizeof(kept[3]));
    }
    get_limits(&options.limits);
    baton_transport_curl_free(curl);
    int err = baton_transport_curl_make(&curl, &options);
    *transport = err == 0 ? baton_transport_curl_get(curl) : NULL;
    return err;
}

// ---- The HTTP client -------------------------------------------------------

static struct baton_http http;
static struct tls_stream stream;
static bool is_http;

static int make_http(const struct baton_transport **transport) {
    static char url[4096];
    static uint8_t buf[4096];
    struct baton_http_config config = {.stream = &stream.stream,
            .clock = &wall,
            .authorization = keep(1, "authorization"),
            .user_agent = keep(2, "agent"),
            // A pinned key alone has no dates.
            .needs_clock = get("pin") == NULL || get("ca_file") != NULL,
            .url = url,
            .url_bytes = get("url_bytes") != NULL ? get_number("url_bytes")
                                                  : sizeof(url),
            .buf = buf,
            .buf_bytes = get("buf") != NULL ? get_number("buf") : 512};
    get_limits(&config.limits);
    if (is_http) {
        baton_http_end(&http);
    }
    tls_stream_begin(&stream, get_number("most"));
    stream.ca_file = keep(0, "ca_file");
    stream.pin = get_pin();
    stream.clock = &wall;
    *transport = &http.transport;
    int err = baton_http_begin(&http, &config);
    is_http = err == 0;
    return err;
}

static int make(const struct baton_transport **transport) {
    return is("transport", "http") ? make_http(transport)
                                   : make_curl(transport);
}

// ---- One request -----------------------------------------------------------

struct outcome {
    const char *stage;
    struct baton_response response;
    uint32_t bytes;
    uint64_t longest_ms; // of any call
    uint32_t again;      // calls that had nothing yet
    uint8_t digest[32];
};

static void note_call(struct outcome *outcome, uint64_t start_ms, int err) {
    uint64_t took_ms = now_ms() - start_ms;
    if (took_ms > outcome->longest_ms) {
        outcome->longest_ms = took_ms;
    }
    outcome->again += err == BATON_ERR_AGAIN ? 1 : 0;
}

static int read_all(
        const struct baton_transport *transport, struct outcome *outcome) {
    static uint8_t buf[CHUNK_BYTES];
    const struct baton_crypto *crypto = baton_crypto_psa();
    struct baton_hash_state hash;
    uint32_t chunk = get("chunk") != NULL ? get_number("chunk") : 4096;
    uint32_t stop = get("stop") != NULL ? get_number("stop") : UINT32_MAX;
    size_t got = 1;
    int err = crypto->hash_start(crypto->context, &hash, BATON_HASH_SHA256);
    while ((err == 0 && got > 0 && outcome->bytes < stop)
            || err == BATON_ERR_AGAIN) {
        uint64_t start_ms = now_ms();
        err = transport->read(transport->context, buf, chunk, &got);
        note_call(outcome, start_ms, err);
        if (err == 0) {
            crypto->hash_update(crypto->context, &hash, buf, got);
            outcome->bytes += (uint32_t)got;
        }
    }
    crypto->hash_finish(crypto->context, &hash, outcome->digest);
    if (err == 0 && got == 0
            && transport->read(transport->context, buf, chunk, &got) != 0) {
        fprintf(stderr, "the end does not stay\n");
        exit(2);
    }
    return err;
}

static int fetch(
        const struct baton_transport *transport, struct outcome *outcome) {
    struct baton_request request = {
            .url = get("url") != NULL ? get("url") : empty,
            .from = get_number("from"),
            .to = get_number("to"),
            .etag = get("etag"),
            .known_etag = get("known_etag"),
            .may_downgrade = get_number("downgrade") != 0};
    int err = BATON_ERR_AGAIN;
    outcome->stage = "open";
    while (err == BATON_ERR_AGAIN) {
        uint64_t start_ms = now_ms();
        err = transport->open(transport->context, &request, &outcome->response);
        note_call(outcome, start_ms, err);
    }
    if (err == 0) {
        outcome->stage = "read";
        err = read_all(transport, outcome);
    }
    transport->close(transport->context);
    return err;
}

static void print_text(const char *name, const char *text) {
    printf("\"%s\": \"", name);
    for (; *text != 0; text++) {
        if (*text == '"' || *text == '\\' || (unsigned char)*text < ' ') {
            printf("\\u%04x", (unsigned char)*text);
        } else {
            putchar(*text);
        }
    }
    printf("\", ");
}

static void print_outcome(int err, const struct outcome *outcome) {
    const struct baton_response *response = &outcome->response;
    printf("{\"error\": \"%s\", ", baton_error_name(err));
    print_text("stage", outcome->stage);
    print_text("etag", response->etag);
    printf("\"unchanged\": %s, \"from\": %u, \"body_bytes\": %u, "
           "\"total_bytes\": %u, \"retry_after_s\": %u, \"bytes\": %u, "
           "\"longest_ms\": %u, \"again\": %u, \"connects\": %u, "
           "\"sha256\": \"",
            response->unchanged ? "true" : "false", (unsigned)response->from,
            (unsigned)response->body_bytes, (unsigned)response->total_bytes,
            (unsigned)response->retry_after_s, (unsigned)outcome->bytes,
            (unsigned)outcome->longest_ms, (unsigned)outcome->again,
            (unsigned)stream.plain.connects);
    for (size_t i = 0; i < sizeof(outcome->digest); i++) {
        printf("%02x", outcome->digest[i]);
    }
    printf("\"}\n");
    fflush(stdout);
}

int main(void) {
    const struct baton_transport *transport = NULL;
    // OpenSSL writes to a connection that may be gone.
    signal(SIGPIPE, SIG_IGN);
    while (fgets(line, sizeof(line) - 1, stdin) != NULL) {
        struct outcome outcome = {.stage = "make"};
        size_t len = strcspn(line, "\n");
        line[len] = 0;
        line[len + 1] = 0; // ends the list of fields
        for (size_t i = 0; i < len; i++) {
            line[i] = line[i] == '\t' ? (char)0 : line[i];
        }
        int err = 0;
        if (transport == NULL || !get_number("keep")) {
            err = make(&transport);
        }
        if (err == 0) {
            err = fetch(transport, &outcome);
        }
        print_outcome(err, &outcome);
    }
    baton_transport_curl_free(curl);
    if (is_http) {
        baton_http_end(&http);
    }
    return 0;
}
