// A byte stream over POSIX sockets, without TLS: for the HTTP client's tests.
// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#include "socket_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "baton/error.h"

enum { WAIT_MS = 200 };

static int map_errno(int fault) {
    if (fault == EAGAIN || fault == EWOULDBLOCK || fault == EINTR
            || fault == EINPROGRESS) {
        return BATON_ERR_AGAIN;
    }
    return fault == EPIPE || fault == ECONNRESET ? BATON_ERR_NET_RESET
                                                 : BATON_ERR_NET_CONNECT;
}

static void close_socket(void *context) {
    struct socket_stream *self = context;
    if (self->fd >= 0) {
        close(self->fd);
    }
    self->fd = -1;
    self->is_connected = false;
}

static int begin_connect(struct socket_stream *self, const char *host,
        size_t host_len, uint16_t port) {
    char name[256];
    char service[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    snprintf(name, sizeof(name), "%.*s", (int)host_len, host);
    snprintf(service, sizeof(service), "%u", (unsigned)port);
    if (getaddrinfo(name, service, &hints, &found) != 0) {
        return BATON_ERR_NET_DNS;
    }
    self->fd = socket(found->ai_family, SOCK_STREAM, 0);
    int err = self->fd < 0 ? BATON_ERR_NOMEM : 0;
    if (err == 0) {
        fcntl(self->fd, F_SETFL, O_NONBLOCK);
        if (connect(self->fd, found->ai_addr, found->ai_addrlen) != 0) {
            err = map_errno(errno);
        }
    }
    freeaddrinfo(found);
    self->connects++;
    return err;
}

static int await(struct socket_stream *self, short events) {
    struct pollfd wait = {.fd = self->fd, .events = events};
    return poll(&wait, 1, WAIT_MS) > 0 ? 0 : BATON_ERR_AGAIN;
}

static int connect_socket(void *context, const char *host, size_t host_len,
        uint16_t port, bool is_tls) {
    struct socket_stream *self = context;
    if (is_tls) {
        return BATON_ERR_TLS;
    }
    int err = 0;
    if (self->fd < 0) {
        err = begin_connect(self, host, host_len, port);
    }
    if (err != 0 && err != BATON_ERR_AGAIN) {
        return err;
    }
    err = await(self, POLLOUT);
    if (err) {
        return err;
    }
    int fault = 0;
    socklen_t len = sizeof(fault);
    getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &fault, &len);
    return fault != 0 ? BATON_ERR_NET_CONNECT : 0;
}

static size_t limit(const struct socket_stream *self, size_t len) {
    return self->most != 0 && len > self->most ? self->most : len;
}

static int send_bytes(
        void *context, const void *data, size_t len, size_t *done) {
    struct socket_stream *self = context;
    int err = await(self, POLLOUT);
    if (err) {
        return err;
    }
    ssize_t count = send(self->fd, data, limit(self, len), MSG_NOSIGNAL);
    if (count < 0) {
        err = map_errno(errno);
        return err == BATON_ERR_AGAIN ? err : BATON_ERR_NET_RESET;
    }
    *done = (size_t)count;
    return 0;
}

static int receive(void *context, void *buf, size_t len, size_t *got) {
    struct socket_stream *self = context;
    int err = await(self, POLLIN);
    if (err) {
        return err;
    }
    ssize_t count = recv(self->fd, buf, limit(self, len), 0);
    if (count < 0) {
        err = map_errno(errno);
        return err == BATON_ERR_AGAIN ? err : BATON_ERR_NET_RESET;
    }
    *got = (size_t)count;
    return 0;
}

void socket_stream_begin(struct socket_stream *self, size_t most) {
    *self = (struct socket_stream){.fd = -1, .most = most};
    self->stream = (struct baton_stream){.context = self,
            .connect = connect_socket,
            .send = send_bytes,
            .recv = receive,
            .close = close_socket};
}
