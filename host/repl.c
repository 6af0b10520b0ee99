// MicroPython's raw REPL on a serial port: start a script, talk to it.
// SPDX-License-Identifier: MIT
#define _DEFAULT_SOURCE
#include "repl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "baton/error.h"
#include "cli.h"

#define KEY_CTRL_A    "\x01"
#define KEY_CTRL_B    "\x02"
#define KEY_CTRL_C    "\x03"
#define KEY_CTRL_D    "\x04"
#define KEY_RAW_PASTE "\x05"
#define END_OF_OUTPUT 0x04
#define MORE_WINDOW   0x01

enum {
    ANSWER_MS = 5000,
    ENTER_TRIES = 16, // an ESP32 takes seconds to boot
    ENTER_MS = 700,
    QUIET_MS = 300,
    OLD_CHUNK = 64, // for a REPL without raw-paste mode
    OLD_PAUSE_US = 10000,
};

static speed_t speed_of(uint32_t baud) {
    switch (baud) {
    case 9600:
        return B9600;
    case 57600:
        return B57600;
    case 230400:
        return B230400;
    case 460800:
        return B460800;
    case 921600:
        return B921600;
    default:
        return B115200;
    }
}

int repl_open(struct repl *self, const char *port, uint32_t baud) {
    memset(self, 0, sizeof(*self));
    self->fd = open(port, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    struct termios settings;
    if (self->fd < 0 || tcgetattr(self->fd, &settings) != 0) {
        return BATON_ERR_SERIAL;
    }
    cfmakeraw(&settings);
    // Closing the port must not reset the board by its modem lines.
    settings.c_cflag &= ~(tcflag_t)(HUPCL | CSTOPB | CRTSCTS);
    settings.c_cflag |= CLOCAL | CREAD;
    cfsetspeed(&settings, speed_of(baud));
    return tcsetattr(self->fd, TCSANOW, &settings) == 0 ? 0 : BATON_ERR_SERIAL;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int wait_for(struct repl *self, short events, int64_t until) {
    for (;;) {
        int64_t left = until - now_ms();
        struct pollfd fd = {.fd = self->fd, .events = events};
        int ready = poll(&fd, 1, left > 0 ? (int)left : 0);
        if (ready > 0) {
            return (fd.revents & events) ? 0 : BATON_ERR_SERIAL;
        }
        if (ready == 0) {
            return BATON_ERR_DEVICE_SILENT;
        }
        if (errno != EINTR) {
            return BATON_ERR_SERIAL;
        }
    }
}

static int write_all(struct repl *self, const void *data, size_t len) {
    const uint8_t *at = data;
    while (len > 0) {
        ssize_t sent = write(self->fd, at, len);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) {
            return BATON_ERR_SERIAL;
        }
        if (sent < 0) {
            int err = wait_for(self, POLLOUT, now_ms() + ANSWER_MS);
            if (err != 0) {
                return err;
            }
            continue;
        }
        at += sent;
        len -= (size_t)sent;
    }
    return 0;
}

static int write_text(struct repl *self, const char *text) {
    return write_all(self, text, strlen(text));
}

// The next byte from the device.
static int read_byte(struct repl *self, uint8_t *out, int64_t until) {
    while (self->at == self->have) {
        int err = wait_for(self, POLLIN, until);
        if (err != 0) {
            return err;
        }
        ssize_t got = read(self->fd, self->buf, sizeof(self->buf));
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            return BATON_ERR_SERIAL;
        }
        self->at = 0;
        self->have = got > 0 ? (size_t)got : 0;
    }
    *out = self->buf[self->at++];
    return 0;
}

// Reads until the text has come by.
static int skip_to(struct repl *self, const char *text, int timeout_ms) {
    int64_t until = now_ms() + timeout_ms;
    size_t len = strlen(text);
    char tail[64] = {0};
    for (;;) {
        uint8_t byte;
        int err = read_byte(self, &byte, until);
        if (err != 0) {
            return err;
        }
        memmove(tail, tail + 1, len - 1);
        tail[len - 1] = (char)byte;
        if (memcmp(tail, text, len) == 0) {
            return 0;
        }
    }
}

static void drop_input(struct repl *self) {
    tcflush(self->fd, TCIFLUSH);
    self->have = 0;
    self->at = 0;
}

// A board that was booting answers all that earlier tries have sent.
static int drain(struct repl *self) {
    int64_t until = now_ms() + ANSWER_MS;
    int err = 0;
    while (err == 0 && now_ms() < until) {
        uint8_t byte;
        err = read_byte(self, &byte, now_ms() + QUIET_MS);
    }
    return err == BATON_ERR_DEVICE_SILENT ? 0 : err;
}

// A board that boots, or a script that catches the interrupt, takes a few
// tries.
int repl_enter(struct repl *self) {
    for (int i = 0; i < ENTER_TRIES; i++) {
        int err = write_text(self, "\r" KEY_CTRL_C KEY_CTRL_C);
        if (err == BATON_ERR_SERIAL) {
            return err;
        }
        usleep(100000);
        drop_input(self);
        err = write_text(self, "\r" KEY_CTRL_A);
        if (err == 0) {
            err = skip_to(self, "raw REPL; CTRL-B to exit", ENTER_MS);
        }
        if (err == 0) {
            err = skip_to(self, ">", ENTER_MS);
        }
        if (err == 0 && i > 0) {
            err = drain(self);
        }
        if (err == 0 || err == BATON_ERR_SERIAL) {
            return err;
        }
    }
    return BATON_ERR_NO_REPL;
}

// ---- Scripts -------------------------------------------------------------

struct paste {
    size_t window; // what one more grant allows
    size_t left;
};

// Sends by raw-paste windows. A device that ends the paste says so itself.
static int paste_text(struct repl *self, struct paste *paste, const char *at) {
    size_t len = strlen(at);
    while (len > 0) {
        while (paste->left == 0 || self->at != self->have) {
            uint8_t byte;
            int err = read_byte(self, &byte, now_ms() + ANSWER_MS);
            if (err != 0) {
                return err;
            }
            if (byte != MORE_WINDOW) {
                return BATON_ERR_DEVICE;
            }
            paste->left += paste->window;
        }
        size_t take = len < paste->left ? len : paste->left;
        int err = write_all(self, at, take);
        if (err != 0) {
            return err;
        }
        paste->left -= take;
        at += take;
        len -= take;
    }
    return 0;
}

// A REPL from before raw-paste mode: slowly.
static int type_text(struct repl *self, const char *at) {
    for (size_t len = strlen(at); len > 0;) {
        size_t take = len < OLD_CHUNK ? len : OLD_CHUNK;
        int err = write_all(self, at, take);
        if (err != 0) {
            return err;
        }
        usleep(OLD_PAUSE_US);
        at += take;
        len -= take;
    }
    return 0;
}

// Asks for raw-paste mode; window is 0 where there is none.
static int begin_paste(struct repl *self, struct paste *paste) {
    uint8_t answer[4];
    memset(paste, 0, sizeof(*paste));
    int err = write_text(self, KEY_RAW_PASTE "A" KEY_CTRL_A);
    for (size_t i = 0; i < 2 && err == 0; i++) {
        err = read_byte(self, &answer[i], now_ms() + ANSWER_MS);
    }
    if (err != 0) {
        return err;
    }
    if (answer[0] != 'R' || answer[1] != 1) {
        return answer[0] == 'R' ? 0 : skip_to(self, ">", ANSWER_MS);
    }
    for (size_t i = 2; i < 4 && err == 0; i++) {
        err = read_byte(self, &answer[i], now_ms() + ANSWER_MS);
    }
    paste->window = (size_t)answer[2] | (size_t)answer[3] << 8;
    paste->left = paste->window;
    return paste->window != 0 ? err : BATON_ERR_DEVICE;
}

int repl_start(struct repl *self, const char *const *pieces) {
    struct paste paste;
    self->error[0] = '\0';
    int err = begin_paste(self, &paste);
    for (; *pieces != NULL && err == 0; pieces++) {
        err = paste.window != 0 ? paste_text(self, &paste, *pieces)
                                : type_text(self, *pieces);
    }
    if (err == 0) {
        err = write_text(self, KEY_CTRL_D);
    }
    if (err == 0) {
        // Grants may still come before the end is acknowledged.
        err = skip_to(self, paste.window != 0 ? KEY_CTRL_D : "OK", ANSWER_MS);
    }
    return err;
}

// What follows the end of the output: the error's text, and the prompt.
static int read_end(struct repl *self) {
    size_t len = 0;
    for (;;) {
        uint8_t byte;
        int err = read_byte(self, &byte, now_ms() + ANSWER_MS);
        if (err != 0) {
            return err;
        }
        if (byte == END_OF_OUTPUT) {
            break;
        }
        if (len < sizeof(self->error) - 1) {
            self->error[len++] = (char)byte;
        }
    }
    self->error[len] = '\0';
    int err = skip_to(self, ">", ANSWER_MS); // the prompt
    return len != 0 ? BATON_ERR_DEVICE : err;
}

int repl_answer(struct repl *self, int timeout_ms) {
    int64_t until = now_ms() + timeout_ms;
    size_t len = 0;
    bool is_answer = false;
    bool is_first = true;
    for (;;) {
        uint8_t byte;
        int err = read_byte(self, &byte, until);
        if (err != 0) {
            return err;
        }
        if (byte == END_OF_OUTPUT) {
            (void)read_end(self);
            return BATON_ERR_DEVICE;
        }
        if (byte == '\n') {
            if (is_answer) {
                self->line[len] = '\0';
                return 0;
            }
            is_first = true;
            continue;
        }
        if (byte == '\r' || (byte == '+' && is_first)) {
            continue;
        }
        if (is_first) {
            is_answer = byte == ':';
            len = 0;
        } else if (len < sizeof(self->line) - 1) {
            self->line[len++] = (char)byte;
        }
        is_first = false;
    }
}

// One acknowledgement of a window.
static int await_window(struct repl *self) {
    uint8_t byte;
    do {
        int err = read_byte(self, &byte, now_ms() + ANSWER_MS);
        if (err != 0) {
            return err;
        }
        if (byte == END_OF_OUTPUT) {
            (void)read_end(self);
            return BATON_ERR_DEVICE;
        }
    } while (byte != '+');
    return 0;
}

int repl_send(struct repl *self, const void *data, size_t len) {
    const uint8_t *at = data;
    size_t open_windows = 0;
    while (len > 0) {
        size_t take = len < REPL_WINDOW ? len : REPL_WINDOW;
        int err = open_windows == 2 ? await_window(self) : 0;
        if (err == 0) {
            open_windows -= open_windows == 2;
            err = write_all(self, at, take);
        }
        if (err != 0) {
            return err;
        }
        open_windows++;
        at += take;
        len -= take;
    }
    for (; open_windows > 0; open_windows--) {
        int err = await_window(self);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

int repl_finish(struct repl *self, int timeout_ms) {
    int err = skip_to(self, KEY_CTRL_D, timeout_ms);
    return err != 0 ? err : read_end(self);
}

void repl_close(struct repl *self, bool restarts) {
    if (self->fd < 0) {
        return;
    }
    if (!restarts) {
        (void)write_text(self, "\r" KEY_CTRL_B);
    }
    close(self->fd);
    self->fd = -1;
}

int repl_refuse(const struct repl *self, const char *command, const char *what,
        int err) {
    if (err == BATON_ERR_DEVICE && self->error[0] != '\0') {
        fprintf(stderr, "%s", self->error);
    }
    return cli_refuse(command, what, err);
}
