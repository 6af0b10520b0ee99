// The console: this machine's terminal as the chip's serial port.
// SPDX-License-Identifier: MIT
//
// The REPL needs a terminal that passes every key on. While a script runs
// under it, Ctrl-C has to make a signal again. Ctrl-] ends the simulation, as
// the chip has no key for that.
#include "firmware.h"

#include <poll.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "py/mphal.h"
#include "shared/runtime/pyexec.h"

#define KEY_CTRL_C        3
#define KEY_CTRL_D        4
#define KEY_CLOSE_BRACKET 29 // Ctrl-]

static struct termios normal;
static struct termios raw;
static bool is_terminal;
static bool is_raw;
static bool is_at_end;

int __real_mp_hal_stdin_rx_chr(void);
int __wrap_mp_hal_stdin_rx_chr(void);
void __real_mp_hal_set_interrupt_char(char c);
void __wrap_mp_hal_set_interrupt_char(char c);

void baton_console_begin(void) {
    is_terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &normal) == 0;
    raw = normal;
    raw.c_iflag &= ~(tcflag_t)(BRKINT | ICRNL | INPCK | ISTRIP | IXON);
    raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON | IEXTEN | ISIG);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
}

void baton_console_repl(bool on) {
    is_raw = is_terminal && on;
    if (!is_terminal) {
        return;
    }
    tcsetattr(STDIN_FILENO, TCSANOW, on ? &raw : &normal);
    if (on && pyexec_mode_kind == PYEXEC_MODE_FRIENDLY_REPL) {
        mp_hal_stdout_tx_str("(Ctrl-] ends the simulation)\r\n");
    }
}

void baton_console_restore(void) {
    if (is_raw) {
        tcsetattr(STDIN_FILENO, TCSANOW, &normal);
    }
}

bool baton_console_is_at_end(void) {
    return is_at_end;
}

// After a Ctrl-D, which MicroPython also makes of an end: whether it was one.
static bool is_closed(void) {
    struct stat st;
    if (fstat(STDIN_FILENO, &st) != 0 || !S_ISFIFO(st.st_mode)) {
        return true;
    }
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&fd, 1, 0) == 1 && !(fd.revents & POLLIN)
           && (fd.revents & (POLLHUP | POLLERR | POLLNVAL));
}

int __wrap_mp_hal_stdin_rx_chr(void) {
    int c = __real_mp_hal_stdin_rx_chr();
    if (is_terminal && c == KEY_CLOSE_BRACKET) {
        baton_firmware_exit(BATON_EXIT_REPL_CLOSED);
    }
    if (c == KEY_CTRL_D && !is_terminal) {
        is_at_end = is_closed();
    }
    return c;
}

void __wrap_mp_hal_set_interrupt_char(char c) {
    if (is_raw) {
        struct termios running = raw;
        running.c_lflag |= c == KEY_CTRL_C ? ISIG : 0;
        tcsetattr(STDIN_FILENO, TCSANOW, &running);
    }
    __real_mp_hal_set_interrupt_char(c);
}
