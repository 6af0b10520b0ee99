// What start.S gives: Linux, and the windows of the registers.
// SPDX-License-Identifier: MIT
#ifndef HOST_H
#define HOST_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { O_RDONLY = 0, O_DIRECTORY = 0x10000 };

int linux_open(const char *path, int flags, int mode);
int linux_close(int fd);
int linux_read(int fd, void *to, size_t len);
int linux_write(int fd, const void *from, size_t len);
int linux_handle(int signal, const void *action, void *old, size_t mask_bytes);
void linux_exit(int status) __attribute__((noreturn));
void *linux_map(void *at, size_t len, int rights, int flags, int fd, int page);

// Gives the processor the instructions it lacks.
void host_emulate(void);

// Calls visit with the end of the stack, after every register of every function
// that is under way has been put on it.
void with_stack(void (*visit)(void *from));

int run(uint32_t *args);

#endif
