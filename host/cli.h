// What the subcommands of the host command share.
// SPDX-License-Identifier: MIT
#ifndef BATON_HOST_CLI_H
#define BATON_HOST_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Exit codes.
enum {
    CLI_OK = 0,
    CLI_REFUSED = 1,
    CLI_USAGE = 2,
};

// One subcommand: `baton image info` has group "image" and name "info";
// `baton sim` has name NULL.
struct cli_command {
    const char *group;
    const char *name;
    // argv[0] is the full name ("baton image info"), for getopt_long. Returns
    // an exit code.
    int (*run)(int argc, char **argv);
    const char *summary; // one line, for `baton --help`
};

// Reads a whole file ("-": standard input) into memory of its own, one zero
// byte added. On failure prints why and returns false. Caller frees *data.
bool cli_read_file(const char *path, uint8_t **data, size_t *len);

// Writes a file through a temporary beside it and a rename, so that nobody
// finds half of it ("-": standard output). On failure prints why.
bool cli_write_file(const char *path, const void *data, size_t len);

// Parses a size or an address: decimal, 0x, suffix K or M. On failure prints
// which option is wrong.
bool cli_parse_u32(const char *option, const char *text, uint32_t *out);

// Prints "baton image check: FILE: sentence" and "  next: hint" to standard
// error; `what` may be NULL. Returns CLI_REFUSED.
int cli_refuse(const char *command, const char *what, int err);

// From now on cli_refuse says the same as a JSON object on standard output.
void cli_refuse_in_json(void);

// Prints "baton image check: message" to standard error. Returns CLI_USAGE.
int cli_usage(const char *command, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

// A progress line on standard error, only when that is a terminal and the work
// has taken more than a second; total 0 prints bytes alone. done == total ends
// the line.
void cli_progress(const char *label, uint64_t done, uint64_t total);

#endif
