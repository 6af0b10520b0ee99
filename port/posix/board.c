// The virtual ESP32's flash file and board file, mapped shared.
// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#define _XOPEN_SOURCE   700

#include "baton-posix/board.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "baton/error.h"

#define MIB 0x100000u

// The file is this struct, so its layout must not depend on padding.
_Static_assert(sizeof(struct baton_board_state) % 8 == 0, "padding");
_Static_assert(BATON_BOARD_SECTORS *BATON_SECTOR_BYTES == 16 * MIB, "wear");

static const struct {
    uint16_t chip_id;
    uint16_t revision;
} chips[] = {
        {0, 300},  // ESP32 v3.0
        {2, 100},  // S2 v1.0
        {5, 4},    // C3 v0.4
        {9, 2},    // S3 v0.2
        {12, 102}, // C2 v1.2
        {13, 1},   // C6 v0.1
        {16, 1},   // H2 v0.1
        {18, 100}, // P4 v1.0
        {20, 100}, // C61 v1.0
        {23, 100}, // C5 v1.0
};

static int error_of_errno(void) {
    return errno == ENOENT ? BATON_ERR_NOENT : BATON_ERR_IO;
}

static bool is_flash_size(uint64_t bytes) {
    return bytes >= MIB && bytes <= 16 * MIB && (bytes & (bytes - 1)) == 0;
}

static int board_path(const char *flash_path, char out[PATH_MAX]) {
    int n = snprintf(out, PATH_MAX, "%s" BATON_BOARD_SUFFIX, flash_path);
    return n > 0 && n < PATH_MAX ? 0 : BATON_ERR_ARG;
}

// An Espressif address, its lower half from the path.
static void derive_mac(const char *flash_path, uint8_t mac[6]) {
    char full[PATH_MAX];
    if (realpath(flash_path, full) != NULL) {
        flash_path = full;
    }
    uint32_t hash = 2166136261u;
    for (const char *c = flash_path; *c != '\0'; c++) {
        hash = (hash ^ (uint8_t)*c) * 16777619u;
    }
    mac[0] = 0x24;
    mac[1] = 0x6F;
    mac[2] = 0x28;
    mac[3] = (uint8_t)(hash >> 16);
    mac[4] = (uint8_t)(hash >> 8);
    mac[5] = (uint8_t)hash;
}

uint16_t baton_board_revision(uint16_t chip_id) {
    for (size_t i = 0; i < sizeof(chips) / sizeof(chips[0]); i++) {
        if (chips[i].chip_id == chip_id) {
            return chips[i].revision;
        }
    }
    return 0;
}

void baton_board_set_chip(struct baton_board_state *state, uint16_t chip_id) {
    state->chip_id = chip_id;
    state->chip_revision = baton_board_revision(chip_id);
}

void baton_board_defaults(struct baton_board_state *state,
        const char *flash_path, uint32_t flash_bytes) {
    memset(state, 0, sizeof(*state));
    state->magic = BATON_BOARD_MAGIC;
    state->format = BATON_BOARD_FORMAT;
    state->flash_bytes = flash_bytes;
    state->program_bytes = 1;
    state->reset_cause = BATON_RESET_POWER_ON;
    state->nor.powered = 1;
    baton_board_set_chip(state, 0);
    derive_mac(flash_path, state->mac);
    strcpy(state->profile, "w25q32jv");
}

// A file of another size is not this format, whatever it begins with.
static int check_state(const struct baton_board_state *state, uint64_t len) {
    if (len != sizeof(*state) || state->magic != BATON_BOARD_MAGIC
            || state->format != BATON_BOARD_FORMAT
            || !is_flash_size(state->flash_bytes)) {
        return BATON_ERR_ARG;
    }
    return 0;
}

static int read_state(int fd, struct baton_board_state *out) {
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return BATON_ERR_IO;
    }
    if ((uint64_t)st.st_size != sizeof(*out)) {
        return BATON_ERR_ARG;
    }
    if (pread(fd, out, sizeof(*out), 0) != (ssize_t)sizeof(*out)) {
        return BATON_ERR_IO;
    }
    return check_state(out, (uint64_t)st.st_size);
}

int baton_board_peek(const char *flash_path, struct baton_board_state *out) {
    char path[PATH_MAX];
    int err = board_path(flash_path, path);
    if (err) {
        return err;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return error_of_errno();
    }
    err = read_state(fd, out);
    close(fd);
    return err;
}

static bool write_all(int fd, const void *data, size_t len) {
    const uint8_t *from = data;
    while (len > 0) {
        ssize_t n = write(fd, from, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        from += n;
        len -= (size_t)n;
    }
    return true;
}

// Through a temporary, so that nobody maps half of a board.
int baton_board_create(
        const char *flash_path, const struct baton_board_state *state) {
    char path[PATH_MAX];
    char temporary[PATH_MAX];
    int err = board_path(flash_path, path);
    int n = snprintf(temporary, sizeof(temporary),
            "%s" BATON_BOARD_SUFFIX ".XXXXXX", flash_path);
    if (err || n >= (int)sizeof(temporary)) {
        return BATON_ERR_ARG;
    }
    int fd = mkstemp(temporary);
    if (fd < 0) {
        return BATON_ERR_IO;
    }
    bool ok = write_all(fd, state, sizeof(*state)) && fchmod(fd, 0644) == 0;
    ok = close(fd) == 0 && ok;
    if (!ok || rename(temporary, path) != 0) {
        unlink(temporary);
        return BATON_ERR_IO;
    }
    return 0;
}

static void print_violation(void *context, uint32_t addr, const char *what) {
    (void)context;
    (void)addr;
    fprintf(stderr, "baton: flash: NOR rule broken: %s\n", what);
}

static int map_file(const char *path, int *fd, void **mapped, size_t *len) {
    *fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat st;
    if (*fd < 0 || fstat(*fd, &st) != 0) {
        return error_of_errno();
    }
    if (!S_ISREG(st.st_mode) || st.st_size <= 0) {
        return BATON_ERR_ARG;
    }
    *len = (size_t)st.st_size;
    void *at = mmap(NULL, *len, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (at == MAP_FAILED) {
        return BATON_ERR_IO;
    }
    *mapped = at;
    return 0;
}

static int map_flash(
        struct baton_board *self, const char *flash_path, size_t *len) {
    void *mapped = NULL;
    int err = map_file(flash_path, &self->flash_fd, &mapped, len);
    if (err) {
        return err;
    }
    self->flash_bytes = mapped;
    return is_flash_size(*len) ? 0 : BATON_ERR_ARG;
}

static int map_state(struct baton_board *self, const char *flash_path,
        uint32_t flash_bytes) {
    struct baton_board_state fresh;
    int err = baton_board_peek(flash_path, &fresh);
    if (err == BATON_ERR_NOENT) {
        baton_board_defaults(&fresh, flash_path, flash_bytes);
        err = baton_board_create(flash_path, &fresh);
    }
    if (err) {
        return err;
    }
    if (fresh.flash_bytes != flash_bytes) {
        return BATON_ERR_ARG;
    }
    char path[PATH_MAX];
    void *mapped = NULL;
    size_t len = 0;
    err = board_path(flash_path, path);
    if (!err) {
        err = map_file(path, &self->state_fd, &mapped, &len);
    }
    if (err) {
        return err;
    }
    if (len != sizeof(*self->state)) {
        munmap(mapped, len);
        return BATON_ERR_ARG;
    }
    self->state = mapped;
    return 0;
}

int baton_board_open(struct baton_board *self, const char *flash_path) {
    *self = (struct baton_board){.flash_fd = -1, .state_fd = -1};
    size_t len = 0;
    int err = map_flash(self, flash_path, &len);
    if (self->flash_bytes != NULL) {
        self->nor.flash.size_bytes = (uint32_t)len; // for close
    }
    if (!err) {
        err = map_state(self, flash_path, (uint32_t)len);
    }
    if (!err) {
        err = baton_nor_begin(&self->nor, self->flash_bytes, (uint32_t)len,
                self->state->program_bytes, &self->state->nor,
                self->state->wear);
    }
    if (err) {
        baton_board_close(self);
        return err;
    }
    self->nor.clock_us = &self->state->clock_us;
    self->nor.violation = print_violation;
    baton_board_refresh(self);
    return 0;
}

static void exit_at_power_cut(void *context) {
    (void)context;
    _exit(BATON_EXIT_POWER_CUT);
}

int baton_board_attach(struct baton_board *self) {
    const char *path = getenv(BATON_BOARD_ENV);
    if (path == NULL || *path == '\0') {
        *self = (struct baton_board){.flash_fd = -1, .state_fd = -1};
        return BATON_ERR_NOENT;
    }
    int err = baton_board_open(self, path);
    if (err) {
        return err;
    }
    self->nor.power_off = exit_at_power_cut;
    return 0;
}

void baton_board_close(struct baton_board *self) {
    if (self->flash_bytes != NULL) {
        munmap(self->flash_bytes, self->nor.flash.size_bytes);
    }
    if (self->state != NULL) {
        munmap(self->state, sizeof(*self->state));
    }
    if (self->flash_fd >= 0) {
        close(self->flash_fd);
    }
    if (self->state_fd >= 0) {
        close(self->state_fd);
    }
    *self = (struct baton_board){.flash_fd = -1, .state_fd = -1};
}

struct baton_chip baton_board_chip(const struct baton_board_state *state) {
    return (struct baton_chip){
            .id = state->chip_id,
            .revision = state->chip_revision,
            .secure_version = state->secure_version,
    };
}

void baton_board_refresh(struct baton_board *self) {
    const struct baton_board_state *state = self->state;
    self->chip = baton_board_chip(state);
    char name[sizeof(state->profile) + 1] = {0};
    memcpy(name, state->profile, sizeof(state->profile));
    self->nor.profile = baton_nor_profile(name);
}
