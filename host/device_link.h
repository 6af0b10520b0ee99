// Commands to a script on the device (device_script.h), with data and answers.
// SPDX-License-Identifier: MIT
#ifndef BATON_HOST_DEVICE_LINK_H
#define BATON_HOST_DEVICE_LINK_H

#include "repl.h"

#define DEVICE_DATA_MAX 4096u

// What every command that talks to a device is told about it.
struct device_options {
    const char *port;
    uint32_t baud; // 0: 115200
    bool is_verbose;
};

// Takes --port ('p'), --baud ('b') and --verbose ('v') from getopt's optarg. On
// failure prints what is wrong: the value, or an option that is none of these.
bool device_take_option(
        const char *command, struct device_options *self, int option);

// The ordinary CRC-32, continued from `crc` (0 to begin).
uint32_t device_crc32(uint32_t crc, const void *data, size_t len);

// Sends a command without data. a and size are below 2^20.
// Returns  as repl_answer
int device_command(
        struct repl *self, char op, uint32_t a, uint32_t size, uint32_t crc);

// Sends a command of no data and reads its answer.
// Returns  as repl_answer
int device_ask(
        struct repl *self, char op, uint32_t a, uint32_t size, int timeout_ms);

// Sends a command with data and waits for its answer, ":K". What was damaged on
// the way is sent again.
// Returns  as repl_answer, and BATON_ERR_DEVICE_WRITE
int device_send(
        struct repl *self, char op, uint32_t a, const void *data, size_t len);

// Waits for ":K".
int device_expect_ok(struct repl *self);

// Opens the port and enters the raw REPL, then starts a script behind the link.
// A port that does not open is told why.
// Returns  0, and those of repl_open, repl_enter, repl_start
int device_open(struct repl *self, const char *command,
        const struct device_options *options);
int device_start(struct repl *self, const char *script);

// As device_start, for a script that takes commands: waits until it does.
int device_serve(struct repl *self, const char *script);

#endif
