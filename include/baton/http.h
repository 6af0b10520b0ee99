// HTTP/1.1 for update agents: addresses, headers, bodies, a whole client.
// SPDX-License-Identifier: MIT
//
// The pieces stand alone: a port that has a library for HTTP takes the rules of
// what an answer means (head, judge, pace), one that has no more than a byte
// stream takes the client. Nothing here allocates or keeps a buffer of its own
// beyond the structs. Formats: RFC 9110 and RFC 9112 for HTTP, RFC 3986 for
// addresses.
#ifndef BATON_HTTP_H
#define BATON_HTTP_H

#include "baton/port.h"

// ---- Addresses -------------------------------------------------------------

// Where an absolute http or https address leads. Points into its text.
struct baton_http_url {
    const char *host; // as written; an IPv6 literal with its brackets
    const char *path; // begins with '/' or '?', or is empty; no fragment
    uint16_t host_len;
    uint16_t path_len;
    uint16_t port;
    bool is_https;
};

// Splits an address. Credentials in it (user@host), spaces and control
// characters are refused, so that nothing of it can end a header line.
// Errors: BATON_ERR_URL.
int baton_http_url_parse(struct baton_http_url *self, const char *url);

// Whether both lead to the same scheme, host and port: the only place where
// credentials may go.
bool baton_http_url_is_same_origin(
        const struct baton_http_url *self, const struct baton_http_url *other);

// Makes the reference at buf + at (a Location, with its terminator) absolute
// and puts it at the front of buf, without fragment and dot segments. base is
// an address that parses; it may be buf itself where at is behind its end.
// Errors: BATON_ERR_URL (also: of another scheme than http and https),
// BATON_ERR_HTTP_HEADER_SIZE (longer than buf_len), BATON_ERR_HTTP_DOWNGRADE
// (from https to http, and that was not allowed).
int baton_http_url_resolve(const char *base, char *buf, size_t buf_len,
        size_t at, bool may_downgrade);

// Whether both ask for the same, as the next call of an open that returned
// BATON_ERR_AGAIN does. Strings are compared by their addresses.
bool baton_http_request_is_same(
        const struct baton_request *self, const struct baton_request *other);

// ---- Limits ----------------------------------------------------------------

struct baton_http_limits {
    uint32_t connect_ms;   // for name lookup, connecting, handshake; 0: 15000
    uint32_t answer_ms;    // from then to the header's end; 0: 30000
    uint32_t rate_bytes_s; // slowest body that is put up with; 0: 128
    uint32_t rate_s;       // measured over this time of waiting; 0: 30
    uint32_t body_bytes;   // longest body taken; 0: 64 MiB
    uint8_t redirects;     // how many are followed; 0: 5; 255: none
};

// Replaces each 0 by its default.
void baton_http_limits_complete(struct baton_http_limits *self);

// Holds a body to its minimum rate. Only time spent waiting for the server
// counts; what the caller does between two reads that brought bytes does not.
struct baton_http_pace {
    uint32_t last_ms;
    uint32_t waited_ms;
    uint32_t bytes;
    bool is_waiting;
};

// At the beginning of a read.
void baton_http_pace_start(struct baton_http_pace *self, uint32_t now_ms);

// At its end. Errors: BATON_ERR_NET_STALLED.
int baton_http_pace_stop(struct baton_http_pace *self,
        const struct baton_http_limits *limits, uint32_t now_ms, size_t got);

// ---- Headers ---------------------------------------------------------------

// The longest header that is read, all lines together (long lines that are of
// no interest cost no memory), and how much is kept of a line of interest.
#define BATON_HTTP_HEADER_BYTES 65536u
#define BATON_HTTP_LINE_BYTES   96u

// What an answer's header says.
struct baton_http_head {
    uint16_t status;
    bool keeps_alive; // the connection may serve another request
    bool has_length;
    bool has_range;
    bool has_range_total;
    bool is_chunked;
    bool is_encoded;     // the content, or the transfer in more than chunks
    uint32_t length;     // Content-Length
    uint32_t range_from; // Content-Range
    uint32_t range_to;   // one past the last byte
    uint32_t range_total;
    uint32_t location_len; // bytes of Location; 0: none

    // Private
    struct baton_response *response;
    char *location;
    size_t location_bytes;
    uint32_t date_s;
    uint32_t retry_date_s;
    uint32_t count;
    uint8_t state;
    uint8_t line_len;
    bool is_status_read;
    bool is_cut;
    bool is_location;
    char line[BATON_HTTP_LINE_BYTES];
};

// Starts to read a header. ETag and Retry-After go to response, which is
// cleared first; Location, shorter by two bytes than its buffer, to location. now_s (seconds since
// 1970, 0: not known) serves a Retry-After that is a date where the answer has
// no Date. All pointers are borrowed until the header is read and judged.
void baton_http_head_begin(struct baton_http_head *self,
        struct baton_response *response, char *location, size_t location_bytes,
        uint32_t now_s);

// Feeds the next bytes, any number. *used says how many belong to the header;
// what follows is the body. Interim answers (1xx) are passed over.
// Returns 0 at the header's end, or BATON_ERR_AGAIN for more.
// Errors: BATON_ERR_HTTP_FORMAT, BATON_ERR_HTTP_HEADER_SIZE (also: a Location
// longer than its buffer), BATON_ERR_NET_TOO_MUCH (a length of 4 GiB or more).
int baton_http_head_push(struct baton_http_head *self, const void *data,
        size_t len, size_t *used);

// baton_http_head_judge: not an error, follow Location.
#define BATON_HTTP_FOLLOW 1

// Says what the header means as an answer to request, and completes response.
// Returns 0 (the body follows, or response->unchanged) or BATON_HTTP_FOLLOW.
// Errors: BATON_ERR_HTTP_FORMAT, _STATUS, _NOT_FOUND, _DENIED, _BUSY, _RANGE
// (response->total_bytes has the length where the server told it), _CHANGED,
// _ENCODING, _LENGTH.
int baton_http_head_judge(const struct baton_http_head *self,
        const struct baton_request *request);

// ---- Bodies ----------------------------------------------------------------

// Tells content from framing. Whoever reads takes `left` bytes of content, says
// so with baton_http_body_take, and has what lies between looked at by
// baton_http_body_frame.
struct baton_http_body {
    uint32_t left; // bytes of content that come next
    bool is_end;   // nothing comes any more

    // Private
    bool is_exact;
    bool is_chunked;
    bool is_open; // ends with the connection
    uint8_t state;
    uint32_t limit;
    uint32_t received;
    uint32_t size;    // of the next chunk, as far as it is read
    uint32_t framing; // bytes of it since the last content
};

// Begins the body behind a header that was judged good. limit_bytes: the
// longest that is taken. Errors: BATON_ERR_NET_TOO_MUCH (it says it is longer).
int baton_http_body_begin(struct baton_http_body *self,
        const struct baton_http_head *head, uint32_t limit_bytes);

// Passes over framing, up to the next content or the end. *used: how many of
// the bytes that was. Returns 0, or BATON_ERR_AGAIN for more bytes.
// Errors: BATON_ERR_HTTP_FORMAT, BATON_ERR_HTTP_LENGTH (more or less than the
// header said), BATON_ERR_NET_TOO_MUCH, BATON_ERR_HTTP_HEADER_SIZE (framing
// without end).
int baton_http_body_frame(struct baton_http_body *self, const void *data,
        size_t len, size_t *used);

// Says that count bytes of content, no more than left, were taken.
void baton_http_body_take(struct baton_http_body *self, size_t count);

// Says that the connection has ended. Returns 0 where the body is whole.
// Errors: BATON_ERR_HTTP_LENGTH.
int baton_http_body_cut(struct baton_http_body *self);

// ---- The client ------------------------------------------------------------

// A connection, one at a time. No call takes longer than about a second; what
// would returns BATON_ERR_AGAIN and is called again with the same arguments.
struct baton_stream {
    void *context;

    // Looks the name up, connects and, with is_tls, makes sure who answers.
    // host has no terminator; an IPv6 address comes without brackets.
    // Errors: BATON_ERR_AGAIN, BATON_ERR_NET_*, BATON_ERR_TLS_*,
    // BATON_ERR_NOMEM.
    int (*connect)(void *context, const char *host, size_t host_len,
            uint16_t port, bool is_tls);

    // Sends; *done is how many of the bytes went, at least one.
    // Errors: BATON_ERR_AGAIN, BATON_ERR_NET_RESET.
    int (*send)(void *context, const void *data, size_t len, size_t *done);

    // Receives; *got == 0 is the other side's orderly end (with TLS only where
    // it said so). Errors: BATON_ERR_AGAIN, BATON_ERR_NET_RESET.
    int (*recv)(void *context, void *buf, size_t len, size_t *got);

    // Ends the connection, also one that is being made, or none.
    void (*close)(void *context);
};

struct baton_http_config {
    const struct baton_stream *stream;
    const struct baton_clock *clock;
    struct baton_http_limits limits;

    // Value of an Authorization header, such as "Bearer ...". Goes to the
    // scheme, host and port of the request's own URL, never further.
    const char *authorization;
    const char *user_agent; // NULL: "baton"
    // Refuses https with BATON_ERR_TLS_CLOCK where the clock was never set:
    // for every stream that judges a certificate's dates.
    bool needs_clock;

    // Where redirects go, and the name of a connection that is kept. The
    // longest Location that is followed; a second one needs both in it. Object
    // stores sign theirs: 1 to 2 KiB. At least 64.
    char *url;
    size_t url_bytes;

    // For requests, headers and framing; content goes to the reader's own
    // buffer. At least 64; about 512 needs few calls of the stream.
    uint8_t *buf;
    size_t buf_bytes;
};

// A transport over a stream. Private but `transport`, which is what the agent
// is given.
struct baton_http {
    struct baton_transport transport;
    struct baton_http_config config;
    struct baton_request request;
    struct baton_http_head head;
    struct baton_http_body body;
    struct baton_http_pace pace;
    const char *current; // address of this hop: request.url or config.url
    uint32_t since_ms;
    uint32_t sent; // of the request
    uint32_t buf_at;
    uint32_t buf_len;
    int err; // what ended it
    uint8_t state;
    uint8_t redirects;
    bool is_kept;   // a connection of an earlier request, to config.url
    bool is_reused; // so is the one in use: it may have ended meanwhile
};

// Sets self up; everything config points at is borrowed until the end.
// Errors: BATON_ERR_ARG (buffers too small; user agent or authorization with
// control characters).
int baton_http_begin(
        struct baton_http *self, const struct baton_http_config *config);

// Ends a connection that was kept. The transport may be used again.
void baton_http_end(struct baton_http *self);

#endif
