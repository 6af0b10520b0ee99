// MicroPython's raw REPL on a serial port: start a script, talk to it.
// SPDX-License-Identifier: MIT
//
// The device's receive buffer is small (260 bytes on ESP32) and has no flow
// control, so nothing is ever sent that the device has not asked for: scripts
// go by the REPL's own raw-paste windows, data by windows of REPL_WINDOW bytes
// that the script acknowledges with '+', at most two of them on their way.
#ifndef BATON_HOST_REPL_H
#define BATON_HOST_REPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPL_WINDOW 128u

struct repl {
    int fd;
    size_t have; // bytes received and not yet taken
    size_t at;
    uint8_t buf[1024];
    char line[256];   // the last answer
    char error[2048]; // what a script that failed printed
};

// Opens the port. Returns 0 or BATON_ERR_SERIAL; errno says why.
int repl_open(struct repl *self, const char *port, uint32_t baud);

// Interrupts what runs and enters the raw REPL.
//
// Returns  0, BATON_ERR_NO_REPL, BATON_ERR_SERIAL
int repl_enter(struct repl *self);

// Starts a script, of pieces that are sent one after the other up to a NULL.
//
// Returns  0, BATON_ERR_DEVICE_SILENT, BATON_ERR_DEVICE, BATON_ERR_SERIAL
int repl_start(struct repl *self, const char *const *pieces);

// Reads the next line of output that begins with ':' into self->line, without
// that and the line end.
//
// Returns  0, BATON_ERR_DEVICE (the script ended; self->error has what it
//          printed last), BATON_ERR_DEVICE_SILENT, BATON_ERR_SERIAL
int repl_answer(struct repl *self, int timeout_ms);

// Sends data in windows, for a script that reads and acknowledges them.
// Returns  as repl_answer
int repl_send(struct repl *self, const void *data, size_t len);

// Waits for the script's end.
// Returns  0, BATON_ERR_DEVICE (it failed), BATON_ERR_DEVICE_SILENT,
//          BATON_ERR_SERIAL
int repl_finish(struct repl *self, int timeout_ms);

// Leaves the raw REPL, unless the device restarts, and closes the port.
void repl_close(struct repl *self, bool restarts);

// Prints what a script that failed had to say, then refuses as cli_refuse.
int repl_refuse(const struct repl *self, const char *command, const char *what,
        int err);

#endif
