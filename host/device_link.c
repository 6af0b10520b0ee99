// Commands to a script on the device (device_script.h), with data and answers.
// SPDX-License-Identifier: MIT
#include "device_link.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "../core/crc32.h"
#include "baton/error.h"
#include "cli.h"
#include "device_script.h"

// A device answers when its file system has written, which takes long where
// each small piece is a command to a slow flash.
enum { TRIES = 5, ANSWER_MS = 60000 };

uint32_t device_crc32(uint32_t crc, const void *data, size_t len) {
    return ~crc32_extend(~crc, data, len);
}

static size_t encode(uint8_t *out, const uint8_t *data, size_t len) {
    static const char special[] = "\x03\n\r\x11\x13\x1a\x1c\x1d}";
    size_t to = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = data[i];
        if (byte != 0 && strchr(special, byte) != NULL) {
            out[to++] = DEVICE_ESCAPE;
            byte ^= 0x40;
        }
        out[to++] = byte;
    }
    return to;
}

int device_command(
        struct repl *self, char op, uint32_t a, uint32_t size, uint32_t crc) {
    char text[64];
    snprintf(text, sizeof(text), "%c%05x%05x%08x\n", op, (unsigned)a,
            (unsigned)size, (unsigned)crc);
    return repl_send(self, text, DEVICE_COMMAND_BYTES);
}

int device_expect_ok(struct repl *self) {
    int err = repl_answer(self, ANSWER_MS);
    if (err != 0) {
        return err;
    }
    return strcmp(self->line, "K") == 0 ? 0 : BATON_ERR_DEVICE_WRITE;
}

int device_send(
        struct repl *self, char op, uint32_t a, const void *data, size_t len) {
    uint8_t encoded[2 * DEVICE_DATA_MAX];
    size_t size = encode(encoded, data, len);
    uint32_t crc = device_crc32(0, data, len);
    for (int i = 0; i < TRIES; i++) {
        int err = device_command(self, op, a, (uint32_t)size, crc);
        if (err == 0) {
            err = repl_send(self, encoded, size);
        }
        if (err == 0) {
            err = repl_answer(self, ANSWER_MS);
        }
        if (err != 0) {
            return err;
        }
        if (strcmp(self->line, "K") == 0) {
            return 0;
        }
    }
    return BATON_ERR_DEVICE_WRITE;
}

bool device_take_option(
        const char *command, struct device_options *self, int option) {
    switch (option) {
    case 'p':
        self->port = optarg;
        return true;
    case 'b':
        return cli_parse_u32("--baud", optarg, &self->baud);
    case 'v':
        self->is_verbose = true;
        return true;
    default:
        cli_usage(command, "wrong option");
        return false;
    }
}

int device_ask(
        struct repl *self, char op, uint32_t a, uint32_t size, int timeout_ms) {
    int err = device_command(self, op, a, size, 0);
    return err != 0 ? err : repl_answer(self, timeout_ms);
}

int device_open(struct repl *self, const char *command,
        const struct device_options *options) {
    uint32_t baud = options->baud != 0 ? options->baud : 115200;
    int err = repl_open(self, options->port, baud);
    if (err == 0) {
        err = repl_enter(self);
    }
    if (err == BATON_ERR_SERIAL) {
        fprintf(stderr, "%s: %s: %s\n", command, options->port,
                strerror(errno));
    }
    return err;
}

int device_start(struct repl *self, const char *script) {
    const char *const pieces[] = {device_script_link, script, NULL};
    return repl_start(self, pieces);
}

// Its imports are looked for in the file system first.
int device_serve(struct repl *self, const char *script) {
    int err = device_start(self, script);
    return err != 0 ? err : device_expect_ok(self);
}
