// The module socket, as ESP32 has it, over this machine's sockets.
// SPDX-License-Identifier: MIT
//
// Addresses are tuples of a name or number and a port. A script keeps the
// addresses of its own network: the board's map leads some of them elsewhere.
// Sockets of this machine never block; waiting is done here, in slices, so that
// Ctrl-C, timers and other threads go on.
#define _GNU_SOURCE
#include "firmware.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "py/builtin.h"
#include "py/mphal.h"
#include "py/mpthread.h"
#include "py/runtime.h"
#include "py/stream.h"

#define SLICE_MS     100
#define FOR_EVER     (-1)
#define CHIP_NO_NAME (-202) // what lwip says of a name it cannot find

// The chip's numbers of what Linux numbers otherwise.
enum {
    CHIP_SOL_SOCKET = 0xFFF,
    CHIP_SO_REUSEADDR = 4,
    CHIP_SO_BROADCAST = 32,
    CHIP_SO_EVENTS = 20,
    CHIP_IP_ADD_MEMBERSHIP = 3,
    CHIP_MSG_PEEK = 1,
    CHIP_MSG_DONTWAIT = 8,
    CHIP_AF_INET6 = 10,
};

// Addresses set aside for measurements: they stand for mapped names, which
// have no number of their own.
#define STAND_IN_ADDR 0xC6120001u // 198.18.0.1

struct socket_object {
    mp_obj_base_t base;
    int fd; // -1: closed
    int32_t timeout_ms;
    uint8_t type;
    bool is_new;
    bool peer_closed;
};

static const mp_obj_type_t socket_type;

BATON_NORETURN static void raise_errno(int host_errno) {
    mp_raise_OSError(baton_firmware_errno(host_errno));
}

static const struct baton_board_map *find_map(const char *host, uint16_t port) {
    const struct baton_board_map *maps = baton_board.state->maps;
    for (size_t i = 0; i < BATON_BOARD_MAPS; i++) {
        char stand_in[INET_ADDRSTRLEN];
        struct in_addr addr = {htonl(STAND_IN_ADDR + (uint32_t)i)};
        inet_ntop(AF_INET, &addr, stand_in, sizeof(stand_in));
        if (maps[i].to_port != 0 && (port == 0 || maps[i].port == port)
                && (strcasecmp(maps[i].host, host) == 0
                        || strcmp(stand_in, host) == 0)) {
            return &maps[i];
        }
    }
    return NULL;
}

// A name resolved by this machine; the chip knows no address of version 6.
static void resolve_name(
        const char *host, uint16_t port, struct sockaddr_in *out) {
    struct addrinfo hints = {.ai_family = AF_INET};
    struct addrinfo *found = NULL;
    MP_THREAD_GIL_EXIT();
    int err = getaddrinfo(host, NULL, &hints, &found);
    MP_THREAD_GIL_ENTER();
    if (err) {
        mp_raise_OSError(CHIP_NO_NAME);
    }
    memcpy(out, found->ai_addr, sizeof(*out));
    out->sin_port = htons(port);
    freeaddrinfo(found);
}

static void resolve(const char *host, uint16_t port, struct sockaddr_in *out) {
    *out = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    if (host[0] == '\0' || inet_pton(AF_INET, host, &out->sin_addr) == 1) {
        return;
    }
    if (!baton_network_is_up()) {
        mp_raise_OSError(CHIP_NO_NAME);
    }
    const struct baton_board_map *map = find_map(host, 0);
    if (map != NULL) {
        out->sin_addr.s_addr = htonl(
                STAND_IN_ADDR + (uint32_t)(map - baton_board.state->maps));
        return;
    }
    resolve_name(host, port, out);
}

static uint16_t get_port(mp_obj_t port) {
    return mp_obj_is_str(port) ? (uint16_t)atoi(mp_obj_str_get_str(port))
                               : (uint16_t)baton_firmware_int(port);
}

// The address a tuple names, before any map.
static void get_address(mp_obj_t tuple, struct sockaddr_in *out) {
    mp_obj_t *items;
    mp_obj_get_array_fixed_n(tuple, 2, &items);
    resolve(mp_obj_str_get_str(items[0]), get_port(items[1]), out);
}

// Where a connection to an address really goes.
static void get_peer(mp_obj_t tuple, struct sockaddr_in *out) {
    get_address(tuple, out);
    char host[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &out->sin_addr, host, sizeof(host));
    // Without a network a mapped address cannot be reached either.
    if (!baton_network_is_up()
            && ntohl(out->sin_addr.s_addr) >> 24 != IN_LOOPBACKNET) {
        raise_errno(EHOSTUNREACH);
    }
    const struct baton_board_map *map = find_map(host, ntohs(out->sin_port));
    if (map != NULL) {
        resolve_name(map->to_host, map->to_port, out);
    } else if (find_map(host, 0) != NULL
               && ntohl(out->sin_addr.s_addr) - STAND_IN_ADDR
                          < BATON_BOARD_MAPS) {
        raise_errno(ECONNREFUSED);
    }
}

static mp_obj_t new_address(const struct sockaddr_in *addr) {
    char host[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &addr->sin_addr, host, sizeof(host));
    mp_obj_t items[] = {
            mp_obj_new_str_from_cstr(host),
            MP_OBJ_NEW_SMALL_INT(ntohs(addr->sin_port)),
    };
    return mp_obj_new_tuple(2, items);
}

static struct socket_object *new_socket(int fd, int type) {
    struct socket_object *self =
            mp_obj_malloc_with_finaliser(struct socket_object, &socket_type);
    self->fd = fd;
    self->timeout_ms = FOR_EVER;
    self->type = (uint8_t)type;
    self->is_new = type == SOCK_STREAM;
    self->peer_closed = false;
    return self;
}

static mp_obj_t socket_make_new(const mp_obj_type_t *type, size_t n_args,
        size_t n_kw, const mp_obj_t *args) {
    (void)type;
    mp_arg_check_num(n_args, n_kw, 0, 3, false);
    int32_t value[3] = {AF_INET, SOCK_STREAM, 0};
    for (size_t i = 0; i < n_args; i++) {
        value[i] = baton_firmware_int(args[i]);
    }
    struct socket_object *self = new_socket(-1, value[1]);
    self->fd =
            socket(value[0], value[1] | SOCK_NONBLOCK | SOCK_CLOEXEC, value[2]);
    if (self->fd < 0) {
        raise_errno(errno);
    }
    return MP_OBJ_FROM_PTR(self);
}

// Waits until something can be done, or the time is over. Returns 0 or an
// errno of the chip's.
static int wait_ready(const struct socket_object *self, short events) {
    int32_t waited_ms = 0;
    for (;;) {
        if (self->timeout_ms == 0) {
            return EAGAIN;
        }
        int32_t slice_ms = SLICE_MS;
        if (self->timeout_ms > 0 && self->timeout_ms - waited_ms < slice_ms) {
            slice_ms = self->timeout_ms - waited_ms;
        }
        struct pollfd fd = {.fd = self->fd, .events = events};
        MP_THREAD_GIL_EXIT();
        int ready = poll(&fd, 1, slice_ms);
        MP_THREAD_GIL_ENTER();
        mp_handle_pending(true);
        if (ready > 0) {
            return 0;
        }
        waited_ms += slice_ms;
        if (self->timeout_ms > 0 && waited_ms >= self->timeout_ms) {
            return baton_firmware_errno(ETIMEDOUT);
        }
    }
}

static bool must_wait(int host_errno) {
    return host_errno == EAGAIN || host_errno == EWOULDBLOCK
           || host_errno == EINTR;
}

static mp_obj_t socket_bind(mp_obj_t self_in, mp_obj_t address) {
    struct socket_object *self = MP_OBJ_TO_PTR(self_in);
    struct sockaddr_in addr;
    get_address(address, &addr);
    self->is_new = false;
    if (bind(self->fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
        raise_errno(errno);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(bind_obj, socket_bind);

static mp_obj_t socket_listen(size_t n_args, const mp_obj_t *args) {
    struct socket_object *self = MP_OBJ_TO_PTR(args[0]);
    int32_t backlog = n_args > 1 ? baton_firmware_int(args[1]) : 2;
    self->is_new = false;
    if (listen(self->fd, backlog > 0 ? backlog : 0) != 0) {
        raise_errno(errno);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(listen_obj, 1, 2, socket_listen);

static mp_obj_t socket_accept(mp_obj_t self_in) {
    struct socket_object *self = MP_OBJ_TO_PTR(self_in);
    struct sockaddr_in addr;
    socklen_t len = sizeof(addr);
    int fd;
    while ((fd = accept4(self->fd, (struct sockaddr *)&addr, &len,
                    SOCK_NONBLOCK | SOCK_CLOEXEC))
            < 0) {
        if (!must_wait(errno)) {
            raise_errno(errno);
        }
        int err = wait_ready(self, POLLIN);
        if (err) {
            mp_raise_OSError(err);
        }
    }
    struct socket_object *client = new_socket(fd, SOCK_STREAM);
    client->is_new = false;
    mp_obj_t items[] = {MP_OBJ_FROM_PTR(client), new_address(&addr)};
    return mp_obj_new_tuple(2, items);
}
static MP_DEFINE_CONST_FUN_OBJ_1(accept_obj, socket_accept);

static mp_obj_t socket_connect(mp_obj_t self_in, mp_obj_t address) {
    struct socket_object *self = MP_OBJ_TO_PTR(self_in);
    struct sockaddr_in addr;
    get_peer(address, &addr);
    self->is_new = false;
    if (connect(self->fd, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
        return mp_const_none;
    }
    if (errno != EINPROGRESS || self->timeout_ms == 0) {
        raise_errno(errno);
    }
    int err = wait_ready(self, POLLOUT);
    if (err) {
        mp_raise_OSError(err);
    }
    socklen_t len = sizeof(err);
    getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    if (err) {
        raise_errno(err);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(connect_obj, socket_connect);

static mp_uint_t receive(struct socket_object *self, void *buf, size_t size,
        int flags, struct sockaddr_in *from, int *errcode) {
    if (self->peer_closed) {
        return 0;
    }
    if (self->is_new) {
        *errcode = baton_firmware_errno(ENOTCONN);
        return MP_STREAM_ERROR;
    }
    for (;;) {
        socklen_t len = sizeof(*from);
        ssize_t n = recvfrom(self->fd, buf, size, flags,
                (struct sockaddr *)from, from != NULL ? &len : NULL);
        if (n >= 0) {
            self->peer_closed = n == 0 && size > 0 && self->type == SOCK_STREAM;
            return (mp_uint_t)n;
        }
        *errcode = baton_firmware_errno(errno);
        if (!must_wait(errno) || (flags & MSG_DONTWAIT)) {
            return MP_STREAM_ERROR;
        }
        *errcode = wait_ready(self, POLLIN);
        if (*errcode) {
            return MP_STREAM_ERROR;
        }
    }
}

static mp_uint_t transmit(struct socket_object *self, const void *buf,
        size_t size, const struct sockaddr_in *to, int *errcode) {
    for (;;) {
        ssize_t n = sendto(self->fd, buf, size, MSG_NOSIGNAL,
                (const struct sockaddr *)to, to != NULL ? sizeof(*to) : 0);
        if (n >= 0) {
            return (mp_uint_t)n;
        }
        *errcode = baton_firmware_errno(errno);
        if (!must_wait(errno)) {
            return MP_STREAM_ERROR;
        }
        *errcode = wait_ready(self, POLLOUT);
        if (*errcode) {
            return MP_STREAM_ERROR;
        }
    }
}

static mp_obj_t receive_bytes(
        size_t n_args, const mp_obj_t *args, struct sockaddr_in *from) {
    int32_t wanted = baton_firmware_int(args[1]);
    int32_t flags = n_args > 2 ? baton_firmware_int(args[2]) : 0;
    vstr_t bytes;
    int errcode;
    vstr_init_len(&bytes, wanted > 0 ? (size_t)wanted : 0);
    mp_uint_t n = receive(MP_OBJ_TO_PTR(args[0]), bytes.buf, bytes.len,
            (flags & CHIP_MSG_PEEK ? MSG_PEEK : 0)
                    | (flags & CHIP_MSG_DONTWAIT ? MSG_DONTWAIT : 0),
            from, &errcode);
    if (n == MP_STREAM_ERROR) {
        mp_raise_OSError(errcode);
    }
    bytes.len = n;
    return mp_obj_new_bytes_from_vstr(&bytes);
}

static mp_obj_t socket_recv(size_t n_args, const mp_obj_t *args) {
    return receive_bytes(n_args, args, NULL);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(recv_obj, 2, 3, socket_recv);

static mp_obj_t socket_recvfrom(size_t n_args, const mp_obj_t *args) {
    struct sockaddr_in from = {.sin_family = AF_INET};
    mp_obj_t bytes = receive_bytes(n_args, args, &from);
    mp_obj_t items[] = {bytes, new_address(&from)};
    return mp_obj_new_tuple(2, items);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(recvfrom_obj, 2, 3, socket_recvfrom);

static mp_obj_t socket_send(mp_obj_t self, mp_obj_t data) {
    mp_buffer_info_t buf;
    int errcode;
    mp_get_buffer_raise(data, &buf, MP_BUFFER_READ);
    mp_uint_t n =
            transmit(MP_OBJ_TO_PTR(self), buf.buf, buf.len, NULL, &errcode);
    if (n == MP_STREAM_ERROR) {
        mp_raise_OSError(errcode);
    }
    return mp_obj_new_int_from_uint(n);
}
static MP_DEFINE_CONST_FUN_OBJ_2(send_obj, socket_send);

static mp_obj_t socket_sendall(mp_obj_t self, mp_obj_t data) {
    mp_buffer_info_t buf;
    int errcode;
    mp_get_buffer_raise(data, &buf, MP_BUFFER_READ);
    for (size_t done = 0; done < buf.len;) {
        mp_uint_t n = transmit(MP_OBJ_TO_PTR(self),
                (const char *)buf.buf + done, buf.len - done, NULL, &errcode);
        if (n == MP_STREAM_ERROR) {
            mp_raise_OSError(errcode);
        }
        done += n;
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(sendall_obj, socket_sendall);

static mp_obj_t socket_sendto(mp_obj_t self, mp_obj_t data, mp_obj_t to) {
    mp_buffer_info_t buf;
    struct sockaddr_in addr;
    int errcode;
    mp_get_buffer_raise(data, &buf, MP_BUFFER_READ);
    get_peer(to, &addr);
    mp_uint_t n =
            transmit(MP_OBJ_TO_PTR(self), buf.buf, buf.len, &addr, &errcode);
    if (n == MP_STREAM_ERROR) {
        mp_raise_OSError(errcode);
    }
    return mp_obj_new_int_from_uint(n);
}
static MP_DEFINE_CONST_FUN_OBJ_3(sendto_obj, socket_sendto);

static mp_obj_t socket_setsockopt(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct socket_object *self = MP_OBJ_TO_PTR(args[0]);
    int level = SOL_SOCKET;
    int option;
    switch (baton_firmware_int(args[2])) {
    case CHIP_SO_REUSEADDR:
        option = SO_REUSEADDR;
        break;
    case CHIP_SO_BROADCAST:
        option = SO_BROADCAST;
        break;
    case TCP_NODELAY:
        level = IPPROTO_TCP;
        option = TCP_NODELAY;
        break;
    case CHIP_SO_EVENTS:
        mp_raise_OSError(EOPNOTSUPP);
    default: // taken, without an effect
        return mp_const_none;
    }
    int value = baton_firmware_int(args[3]);
    if (setsockopt(self->fd, level, option, &value, sizeof(value)) != 0) {
        raise_errno(errno);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(
        setsockopt_obj, 4, 4, socket_setsockopt);

static mp_obj_t socket_settimeout(mp_obj_t self_in, mp_obj_t timeout) {
    struct socket_object *self = MP_OBJ_TO_PTR(self_in);
    if (timeout == mp_const_none) {
        self->timeout_ms = FOR_EVER;
        return mp_const_none;
    }
    mp_float_t ms = MICROPY_FLOAT_CONST(1000.0) * mp_obj_get_float(timeout);
    self->timeout_ms = ms > MICROPY_FLOAT_CONST(1e9) ? FOR_EVER : (int32_t)ms;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(settimeout_obj, socket_settimeout);

static mp_obj_t socket_setblocking(mp_obj_t self_in, mp_obj_t blocking) {
    struct socket_object *self = MP_OBJ_TO_PTR(self_in);
    self->timeout_ms = mp_obj_is_true(blocking) ? FOR_EVER : 0;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(setblocking_obj, socket_setblocking);

static mp_obj_t socket_fileno(mp_obj_t self_in) {
    const struct socket_object *self = MP_OBJ_TO_PTR(self_in);
    return MP_OBJ_NEW_SMALL_INT(self->fd);
}
static MP_DEFINE_CONST_FUN_OBJ_1(fileno_obj, socket_fileno);

static mp_obj_t socket_makefile(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    return args[0];
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(makefile_obj, 1, 3, socket_makefile);

static mp_uint_t stream_read(
        mp_obj_t self, void *buf, mp_uint_t size, int *errcode) {
    return receive(MP_OBJ_TO_PTR(self), buf, size, 0, NULL, errcode);
}

static mp_uint_t stream_write(
        mp_obj_t self, const void *buf, mp_uint_t size, int *errcode) {
    return transmit(MP_OBJ_TO_PTR(self), buf, size, NULL, errcode);
}

static mp_uint_t poll_socket(
        const struct socket_object *self, uintptr_t wanted) {
    struct pollfd fd = {.fd = self->fd};
    fd.events = (short)((wanted & MP_STREAM_POLL_RD ? POLLIN : 0)
                        | (wanted & MP_STREAM_POLL_WR ? POLLOUT : 0));
    poll(&fd, 1, 0);
    mp_uint_t ready = (fd.revents & POLLIN ? MP_STREAM_POLL_RD : 0)
                      | (fd.revents & POLLOUT ? MP_STREAM_POLL_WR : 0)
                      | (fd.revents & POLLERR ? MP_STREAM_POLL_ERR : 0)
                      | (fd.revents & POLLHUP ? MP_STREAM_POLL_HUP : 0);
    if (self->is_new) {
        ready |= (wanted & MP_STREAM_POLL_WR) | MP_STREAM_POLL_HUP;
    }
    return ready;
}

static mp_uint_t stream_ioctl(
        mp_obj_t self_in, mp_uint_t request, uintptr_t arg, int *errcode) {
    struct socket_object *self = MP_OBJ_TO_PTR(self_in);
    switch (request) {
    case MP_STREAM_GET_FILENO:
        return (mp_uint_t)self->fd;
    case MP_STREAM_POLL:
        return self->fd < 0 ? MP_STREAM_POLL_NVAL : poll_socket(self, arg);
    case MP_STREAM_CLOSE:
        if (self->fd >= 0) {
            close(self->fd);
            self->fd = -1;
        }
        return 0;
    default:
        *errcode = EINVAL;
        return MP_STREAM_ERROR;
    }
}

static const mp_stream_p_t socket_protocol = {
        .read = stream_read,
        .write = stream_write,
        .ioctl = stream_ioctl,
};

static const mp_rom_map_elem_t socket_locals_table[] = {
        {MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&mp_stream_close_obj)},
        {MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&mp_stream_close_obj)},
        {MP_ROM_QSTR(MP_QSTR_bind), MP_ROM_PTR(&bind_obj)},
        {MP_ROM_QSTR(MP_QSTR_listen), MP_ROM_PTR(&listen_obj)},
        {MP_ROM_QSTR(MP_QSTR_accept), MP_ROM_PTR(&accept_obj)},
        {MP_ROM_QSTR(MP_QSTR_connect), MP_ROM_PTR(&connect_obj)},
        {MP_ROM_QSTR(MP_QSTR_send), MP_ROM_PTR(&send_obj)},
        {MP_ROM_QSTR(MP_QSTR_sendall), MP_ROM_PTR(&sendall_obj)},
        {MP_ROM_QSTR(MP_QSTR_sendto), MP_ROM_PTR(&sendto_obj)},
        {MP_ROM_QSTR(MP_QSTR_recv), MP_ROM_PTR(&recv_obj)},
        {MP_ROM_QSTR(MP_QSTR_recvfrom), MP_ROM_PTR(&recvfrom_obj)},
        {MP_ROM_QSTR(MP_QSTR_setsockopt), MP_ROM_PTR(&setsockopt_obj)},
        {MP_ROM_QSTR(MP_QSTR_settimeout), MP_ROM_PTR(&settimeout_obj)},
        {MP_ROM_QSTR(MP_QSTR_setblocking), MP_ROM_PTR(&setblocking_obj)},
        {MP_ROM_QSTR(MP_QSTR_makefile), MP_ROM_PTR(&makefile_obj)},
        {MP_ROM_QSTR(MP_QSTR_fileno), MP_ROM_PTR(&fileno_obj)},
        {MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&mp_stream_read_obj)},
        {MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&mp_stream_readinto_obj)},
        {MP_ROM_QSTR(MP_QSTR_readline),
                MP_ROM_PTR(&mp_stream_unbuffered_readline_obj)},
        {MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&mp_stream_write_obj)},
};
static MP_DEFINE_CONST_DICT(socket_locals, socket_locals_table);

static MP_DEFINE_CONST_OBJ_TYPE(socket_type, MP_QSTR_socket, MP_TYPE_FLAG_NONE,
        make_new, socket_make_new, protocol, &socket_protocol, locals_dict,
        &socket_locals);

// getaddrinfo(host, port, family, type, protocol, flags)
static mp_obj_t module_getaddrinfo(size_t n_args, const mp_obj_t *args) {
    const char *host = mp_obj_str_get_str(args[0]);
    int32_t type = n_args > 3 ? baton_firmware_int(args[3]) : 0;
    struct sockaddr_in addr;
    resolve(host, get_port(args[1]), &addr);
    mp_obj_t items[] = {
            MP_OBJ_NEW_SMALL_INT(AF_INET),
            MP_OBJ_NEW_SMALL_INT(type != 0 ? type : SOCK_STREAM),
            n_args > 4 ? args[4] : MP_OBJ_NEW_SMALL_INT(0),
            args[0],
            new_address(&addr),
    };
    mp_obj_t info = mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
    return mp_obj_new_list(1, &info);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(
        getaddrinfo_obj, 2, 6, module_getaddrinfo);

static const mp_rom_map_elem_t socket_globals_table[] = {
        {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_socket)},
        {MP_ROM_QSTR(MP_QSTR_socket), MP_ROM_PTR(&socket_type)},
        {MP_ROM_QSTR(MP_QSTR_getaddrinfo), MP_ROM_PTR(&getaddrinfo_obj)},
        {MP_ROM_QSTR(MP_QSTR_AF_INET), MP_ROM_INT(AF_INET)},
        {MP_ROM_QSTR(MP_QSTR_AF_INET6), MP_ROM_INT(CHIP_AF_INET6)},
        {MP_ROM_QSTR(MP_QSTR_SOCK_STREAM), MP_ROM_INT(SOCK_STREAM)},
        {MP_ROM_QSTR(MP_QSTR_SOCK_DGRAM), MP_ROM_INT(SOCK_DGRAM)},
        {MP_ROM_QSTR(MP_QSTR_SOCK_RAW), MP_ROM_INT(SOCK_RAW)},
        {MP_ROM_QSTR(MP_QSTR_IPPROTO_TCP), MP_ROM_INT(IPPROTO_TCP)},
        {MP_ROM_QSTR(MP_QSTR_IPPROTO_UDP), MP_ROM_INT(IPPROTO_UDP)},
        {MP_ROM_QSTR(MP_QSTR_IPPROTO_IP), MP_ROM_INT(IPPROTO_IP)},
        {MP_ROM_QSTR(MP_QSTR_SOL_SOCKET), MP_ROM_INT(CHIP_SOL_SOCKET)},
        {MP_ROM_QSTR(MP_QSTR_SO_REUSEADDR), MP_ROM_INT(CHIP_SO_REUSEADDR)},
        {MP_ROM_QSTR(MP_QSTR_SO_BROADCAST), MP_ROM_INT(CHIP_SO_BROADCAST)},
        {MP_ROM_QSTR(MP_QSTR_IP_ADD_MEMBERSHIP),
                MP_ROM_INT(CHIP_IP_ADD_MEMBERSHIP)},
        {MP_ROM_QSTR(MP_QSTR_TCP_NODELAY), MP_ROM_INT(TCP_NODELAY)},
        {MP_ROM_QSTR(MP_QSTR_MSG_PEEK), MP_ROM_INT(CHIP_MSG_PEEK)},
        {MP_ROM_QSTR(MP_QSTR_MSG_DONTWAIT), MP_ROM_INT(CHIP_MSG_DONTWAIT)},
};
static MP_DEFINE_CONST_DICT(socket_globals, socket_globals_table);

const mp_obj_module_t baton_socket_module = {
        .base = {&mp_type_module},
        .globals = (mp_obj_dict_t *)&socket_globals,
};
MP_REGISTER_EXTENSIBLE_MODULE(MP_QSTR_socket, baton_socket_module);
