// The version a person knows a firmware by, found in the image itself.
// SPDX-License-Identifier: MIT
//
// Text is looked at a line at a time, a line being what stands between bytes
// that are not printable. A line longer than the buffer is looked at in pieces
// that overlap by more than the longest match.
#include "baton/names.h"

#include <string.h>

#define KEPT_BYTES 192u // of a line that is too long; the overlap
#define DATE_BYTES 10u

// How sure a version or a board is: a later find replaces a less sure one.
enum {
    RANK_NONE,
    RANK_PLATFORM, // "MicroPython-1.25.0-xtensa-..."; "... with ESP32"
    RANK_BARE,     // "v1.25.0 on 2025-04-15";  "; ... with ESP32"
    RANK_BANNER,   // the prompt's line
};

// A piece of the line, from and up to these indices.
struct piece {
    size_t from;
    size_t to;
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool starts(
        const struct baton_names *self, size_t at, const char *text) {
    size_t len = strlen(text);
    return len <= self->fill - at && memcmp(self->line + at, text, len) == 0;
}

static bool ends(const struct baton_names *self, size_t at, const char *text) {
    size_t len = strlen(text);
    return len <= at && memcmp(self->line + at - len, text, len) == 0;
}

static bool is_date(const struct baton_names *self, size_t at) {
    static const char form[] = "0000-00-00";
    if (self->fill - at < DATE_BYTES) {
        return false;
    }
    for (size_t i = 0; i < DATE_BYTES; i++) {
        char c = self->line[at + i];
        if (form[i] == '0' ? !is_digit(c) : c != form[i]) {
            return false;
        }
    }
    bool is_last = at + DATE_BYTES == self->fill;
    return is_last ? self->is_end : !is_digit(self->line[at + DATE_BYTES]);
}

static bool copy(const struct baton_names *self, struct piece piece, char *out,
        size_t capacity) {
    size_t len = piece.to - piece.from;
    if (len == 0 || len >= capacity) {
        return false;
    }
    memcpy(out, self->line + piece.from, len);
    out[len] = 0;
    return true;
}

static void set_system(struct baton_names *self, const char *system) {
    size_t i = 0;
    for (; system[i] != 0 && i + 1 < sizeof(self->system); i++) {
        self->system[i] = system[i];
    }
    self->system[i] = 0;
}

// "Generic ESP32 module with ESP32", from `from` to the end of the line.
static void take_board(struct baton_names *self, size_t from, uint8_t rank) {
    size_t at = self->fill;
    while (at > from && !starts(self, at, " with ")) {
        at--;
    }
    struct piece board = {from, at};
    struct piece chip = {at + strlen(" with "), self->fill};
    bool fits = at > from && board.to - board.from < sizeof(self->board)
                && chip.from < chip.to
                && chip.to - chip.from < sizeof(self->chip);
    bool is_name =
            fits && memchr(self->line + from, '%', self->fill - from) == NULL
            && memchr(self->line + chip.from, ' ', chip.to - chip.from) == NULL;
    if (!is_name || rank <= self->board_rank) {
        return;
    }
    copy(self, board, self->board, sizeof(self->board));
    copy(self, chip, self->chip, sizeof(self->chip));
    self->board_rank = rank;
}

static const char *find_system(const struct baton_names *self, size_t at) {
    if (ends(self, at, "MicroPython ")) {
        return "MicroPython";
    }
    return ends(self, at, "CircuitPython ") ? "CircuitPython" : NULL;
}

// " on 2025-04-15" stands at `at`; what is in front decides.
static void take_version(struct baton_names *self, size_t at) {
    struct piece version = {at, at};
    while (version.from > 0 && self->line[version.from - 1] != ' ') {
        version.from--;
    }
    if (version.from == at || (version.from == 0 && self->is_cut)) {
        return;
    }
    const char *system = find_system(self, version.from);
    uint8_t rank = system != NULL ? RANK_BANNER : RANK_BARE;
    bool has_v = self->line[version.from] == 'v';
    size_t digit = version.from + (has_v ? 1 : 0);
    bool is_version = is_digit(self->line[digit]) && (has_v || system != NULL);
    if (is_version && rank > self->version_rank
            && copy(self, version, self->version, sizeof(self->version))) {
        struct piece date = {at + 4, at + 4 + DATE_BYTES};
        copy(self, date, self->date, sizeof(self->date));
        set_system(self, system != NULL ? system : "MicroPython");
        self->version_rank = rank;
    }
    size_t after = at + 4 + DATE_BYTES;
    if (is_version && system != NULL && self->is_end
            && starts(self, after, "; ")) {
        take_board(self, after + 2, RANK_BANNER);
    }
}

// "MicroPython-1.25.0-xtensa-IDFv5.2.2-..." stands at `at`.
static void take_platform(struct baton_names *self, size_t at) {
    struct piece version = {at + strlen("MicroPython-"), 0};
    version.to = version.from;
    while (version.to < self->fill && !starts(self, version.to, "-xtensa")
            && !starts(self, version.to, "-riscv")) {
        version.to++;
    }
    bool is_version = version.to < self->fill
                      && is_digit(self->line[version.from])
                      && version.to - version.from + 1 < sizeof(self->version);
    if (!is_version || self->version_rank >= RANK_PLATFORM) {
        return;
    }
    self->version[0] = 'v';
    copy(self, version, self->version + 1, sizeof(self->version) - 1);
    set_system(self, "MicroPython");
    self->version_rank = RANK_PLATFORM;
}

static void read_line(struct baton_names *self, bool is_end) {
    self->is_end = is_end;
    for (size_t i = 0; i + 4 < self->fill; i++) {
        if (self->line[i] == ' ' && starts(self, i, " on ")
                && is_date(self, i + 4)) {
            take_version(self, i);
        } else if (self->line[i] == 'M' && starts(self, i, "MicroPython-")) {
            take_platform(self, i);
        }
    }
    if (!is_end || self->is_cut) {
        return;
    }
    if (starts(self, 0, "; ")) {
        take_board(self, 2, RANK_BARE);
    } else if (self->fill > 0) {
        // Any line may end so; only a chip's name makes it a board's.
        size_t at = self->fill;
        while (at > 0 && !starts(self, at, " with ESP32")) {
            at--;
        }
        if (at > 0) {
            take_board(self, 0, RANK_PLATFORM);
        }
    }
}

void baton_names_begin(struct baton_names *self) {
    memset(self, 0, sizeof(*self));
}

static void end_line(struct baton_names *self) {
    // No match is shorter.
    if (self->fill > DATE_BYTES) {
        read_line(self, true);
    }
    self->fill = 0;
    self->is_cut = false;
}

void baton_names_push(struct baton_names *self, const void *data, size_t len) {
    const uint8_t *next = data;
    for (size_t i = 0; i < len; i++) {
        if (next[i] < 0x20 || next[i] > 0x7E) {
            end_line(self);
            continue;
        }
        if (self->fill == sizeof(self->line)) {
            read_line(self, false);
            memmove(self->line, self->line + self->fill - KEPT_BYTES,
                    KEPT_BYTES);
            self->fill = KEPT_BYTES;
            self->is_cut = true;
        }
        self->line[self->fill++] = (char)next[i];
    }
}

void baton_names_finish(struct baton_names *self) {
    end_line(self);
}
