// A byte stream over POSIX sockets, without TLS: for the HTTP client's tests.
// SPDX-License-Identifier: MIT
#ifndef TESTS_SOCKET_STREAM_H
#define TESTS_SOCKET_STREAM_H

#include "baton/http.h"

struct socket_stream {
    struct baton_stream stream;
    int fd;
    bool is_connected;
    size_t most;       // bytes that one send or recv moves; 0: no limit
    uint32_t connects; // how often a connection was begun
};

// Fills in `stream`; nothing is connected yet.
void socket_stream_begin(struct socket_stream *self, size_t most);

#endif
