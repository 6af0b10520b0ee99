// A byte stream with TLS by OpenSSL: for the HTTP client's tests.
// SPDX-License-Identifier: MIT
#ifndef TESTS_TLS_STREAM_H
#define TESTS_TLS_STREAM_H

#include "socket_stream.h"

struct tls_stream {
    struct baton_stream stream;
    struct socket_stream plain;
    const char *ca_file; // NULL: the system's
    const uint8_t *pin;  // SHA-256 of the server's key; alone, it decides
    const struct baton_clock *clock;
    void *tls; // the connection's, or NULL for a plain one
    bool is_verified;
};

// Fills in `stream`; nothing is connected yet. The rest may be set after it.
void tls_stream_begin(struct tls_stream *self, size_t most);

#endif
