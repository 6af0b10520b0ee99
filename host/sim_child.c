// Starts the interpreter of the virtual ESP32 and waits for it.
// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "sim.h"

// A script that was asked to stop has so long to do it.
#define GRACE_MS 2000u
// No wait is longer, so that the clock is looked at.
#define WAIT_MS 60000u

uint64_t sim_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

void sim_child_prepare(struct sim *self) {
    // An inherited "ignore" would take the interpreter's exit status away.
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&self->signals);
    sigaddset(&self->signals, SIGCHLD);
    sigaddset(&self->signals, SIGINT);
    sigaddset(&self->signals, SIGTERM);
    sigaddset(&self->signals, SIGHUP);
    self->stop_signals = self->signals;
    sigaddset(&self->signals, SIM_SIGNAL_POWER_CUT);
    sigaddset(&self->signals, SIM_SIGNAL_BROWNOUT);
    sigprocmask(SIG_BLOCK, &self->signals, &self->old_signals);
}

static void exec_interpreter(const struct sim *self, pid_t parent, int fd) {
    // The interpreter dies with the supervisor, however that ends.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1);
    }
    sigprocmask(SIG_SETMASK, &self->old_signals, NULL);
    setenv(BATON_BOARD_ENV, self->options.flash_path, 1);
    setenv("BATON_FS", self->options.fs_path, 1);
    if (self->options.idf_release != NULL) {
        setenv(BATON_BOARD_RELEASE_ENV, self->options.idf_release, 1);
    } else {
        unsetenv(BATON_BOARD_RELEASE_ENV);
    }
    if (self->options.is_encrypted) {
        setenv(BATON_BOARD_ENCRYPTED_ENV, "1", 1);
    } else {
        unsetenv(BATON_BOARD_ENCRYPTED_ENV);
    }
    if (self->has_repl) {
        setenv("BATON_REPL", "1", 1);
    } else {
        unsetenv("BATON_REPL");
    }
    char *argv[] = {(char *)(uintptr_t)self->options.interpreter, NULL};
    execv(argv[0], argv);
    int err = errno;
    ssize_t ignored = write(fd, &err, sizeof(err));
    (void)ignored;
    _exit(127);
}

// Returns the process id, or a negative errno.
static pid_t start_interpreter(const struct sim *self) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return -errno;
    }
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        exec_interpreter(self, parent, fds[1]);
    }
    int err = pid < 0 ? errno : 0;
    close(fds[1]);
    // The pipe closes when the exec succeeds, or brings the reason it did not.
    if (err == 0 && read(fds[0], &err, sizeof(err)) == (ssize_t)sizeof(err)) {
        waitpid(pid, NULL, 0);
    }
    close(fds[0]);
    return err != 0 ? -err : pid;
}

static uint64_t min_deadline(uint64_t a, uint64_t b) {
    return a == 0 || (b != 0 && b < a) ? b : a;
}

// The next signal, or 0 when the deadline (0: none) has come.
static int wait_signal(
        const sigset_t *signals, uint64_t deadline_ms, siginfo_t *info) {
    for (;;) {
        uint64_t now = sim_now_ms();
        uint64_t left = WAIT_MS;
        if (deadline_ms != 0) {
            left = deadline_ms > now ? deadline_ms - now : 0;
        }
        left = left < WAIT_MS ? left : WAIT_MS;
        struct timespec ts = {
                .tv_sec = (time_t)(left / 1000),
                .tv_nsec = (long)(left % 1000) * 1000000,
        };
        int sig = sigtimedwait(signals, info, &ts);
        if (sig > 0) {
            return sig;
        }
        if (deadline_ms != 0 && sim_now_ms() >= deadline_ms) {
            return 0;
        }
    }
}

static struct sim_child wait_interpreter(struct sim *self, pid_t pid) {
    int stop_signal = 0;
    uint64_t stop_deadline_ms = 0;
    bool timed_out = false;
    int status;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        siginfo_t info;
        int sig = wait_signal(&self->signals,
                min_deadline(self->deadline_ms, stop_deadline_ms), &info);
        if (sig == SIGCHLD) {
            continue;
        }
        if (sig == 0) {
            timed_out = stop_deadline_ms == 0;
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            break;
        }
        if (sig == SIM_SIGNAL_POWER_CUT || sig == SIM_SIGNAL_BROWNOUT) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return (struct sim_child){SIM_CHILD_UNPOWERED, sig};
        }
        // What a terminal sends went to the interpreter as well.
        if (info.si_code != SI_KERNEL) {
            kill(pid, sig);
        }
        // At a prompt Ctrl-C is the interpreter's own business.
        if (sig != SIGINT || !self->has_repl) {
            stop_signal = sig;
            stop_deadline_ms = sim_now_ms() + GRACE_MS;
        }
    }
    if (stop_signal != 0) {
        return (struct sim_child){SIM_CHILD_INTERRUPTED, stop_signal};
    }
    if (timed_out) {
        return (struct sim_child){SIM_CHILD_TIMEOUT, 0};
    }
    if (WIFSIGNALED(status)) {
        return (struct sim_child){SIM_CHILD_KILLED, WTERMSIG(status)};
    }
    return (struct sim_child){SIM_CHILD_EXITED, WEXITSTATUS(status)};
}

struct sim_child sim_child_run(struct sim *self) {
    struct termios terminal;
    bool has_terminal =
            isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &terminal) == 0;
    fflush(stdout);
    pid_t pid = start_interpreter(self);
    if (pid < 0) {
        return (struct sim_child){SIM_CHILD_NOT_STARTED, (int)-pid};
    }
    self->starts++;
    struct sim_child child = wait_interpreter(self, pid);
    // A firmware that died at its prompt left the terminal raw.
    if (has_terminal) {
        tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal);
    }
    return child;
}

int sim_child_pending_signal(struct sim *self) {
    struct timespec none = {0, 0};
    int sig;
    while ((sig = sigtimedwait(&self->stop_signals, NULL, &none)) > 0) {
        if (sig != SIGCHLD) {
            return sig;
        }
    }
    return 0;
}
