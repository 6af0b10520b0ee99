// The steps of a boot decision as lines for a person.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "baton/boot.h"
#include "baton/error.h"

struct line {
    char *out;
    size_t capacity;
    size_t len;
    bool is_full;
};

static void add_text(struct line *line, const char *text) {
    size_t len = strlen(text);
    if (line->is_full || len >= line->capacity - line->len) {
        line->is_full = true;
        return;
    }
    memcpy(line->out + line->len, text, len + 1);
    line->len += len;
}

static void add_number(struct line *line, uint32_t value) {
    char digits[11];
    size_t at = sizeof(digits) - 1;
    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + value % 10u);
        value /= 10u;
    } while (value != 0);
    add_text(line, digits + at);
}

const char *baton_boot_index_name(int index) {
    static const char slots[][8] = {"ota_0", "ota_1", "ota_2", "ota_3", "ota_4",
            "ota_5", "ota_6", "ota_7", "ota_8", "ota_9", "ota_10", "ota_11",
            "ota_12", "ota_13", "ota_14", "ota_15"};
    if (index == BATON_BOOT_FACTORY) {
        return "factory";
    }
    if (index == BATON_BOOT_TEST) {
        return "test";
    }
    bool is_slot = index >= 0 && index < (int)BATON_SLOTS_MAX;
    return is_slot ? slots[index] : "none";
}

static void add_record(
        struct line *line, const struct baton_boot_event *event) {
    add_text(line, "record ");
    add_number(line, (uint32_t)event->index);
    if (event->err == 0) {
        add_text(line, ": sequence ");
        add_number(line, event->value);
        add_text(line, ", can be chosen");
    } else if (event->value == UINT32_MAX) {
        add_text(line, ": blank");
    } else if (event->err == BATON_ERR_RECORD_CRC) {
        add_text(line, ": its CRC is wrong");
    } else {
        add_text(line, ": sequence ");
        add_number(line, event->value);
        add_text(line, ", out of the choice (invalid or aborted)");
    }
}

// What each step reads as: a text before the name of its partition or copy and
// one after. `uses` says what stands between.
enum uses { NOTHING, PARTITION, COPY };

static const struct {
    const char *before;
    const char *after;
    enum uses uses;
} steps[] = {
        [BATON_BOOT_TABLE_BAD] = {"the partition table is bad", "", NOTHING},
        [BATON_BOOT_NO_OTADATA] = {"the table has no otadata: factory first",
                "", NOTHING},
        [BATON_BOOT_OTADATA_SMALL] = {"otadata cannot be used", "", NOTHING},
        [BATON_BOOT_RECORD] = {"", "", NOTHING},
        [BATON_BOOT_ABORTED] = {"record ",
                " was on trial and not confirmed: now ABORTED", COPY},
        [BATON_BOOT_NO_RECORD] = {"no record is in force: start with ", "",
                PARTITION},
        [BATON_BOOT_CHOSEN] = {"the record in force points at ", "", PARTITION},
        [BATON_BOOT_TRIAL] = {"record ",
                " is NEW: now PENDING_VERIFY, this boot is its trial", COPY},
        [BATON_BOOT_TOO_OLD] = {"",
                " is refused: its secure version is too old", PARTITION},
        [BATON_BOOT_REFUSED] = {"", " is refused", PARTITION},
        [BATON_BOOT_FALLBACK] = {"fall back to ", "", PARTITION},
        [BATON_BOOT_FIRST_RECORD] = {"otadata was blank: record 0 now says ",
                ", VALID", PARTITION},
        [BATON_BOOT_BURNED] = {"eFuse secure version raised to ", "", NOTHING},
        [BATON_BOOT_WRITE_FAILED] = {"a write failed", "", NOTHING},
        [BATON_BOOT_SELECTED] = {"boot ", "", PARTITION},
        [BATON_BOOT_NOTHING] = {"nothing boots: the chip resets", "", NOTHING},
};

static void add_step(struct line *line, const struct baton_boot_event *event) {
    add_text(line, steps[event->step].before);
    if (steps[event->step].uses == PARTITION) {
        add_text(line, baton_boot_index_name(event->index));
    } else if (steps[event->step].uses == COPY) {
        add_number(line, (uint32_t)event->index);
    }
    add_text(line, steps[event->step].after);
    if (event->step == BATON_BOOT_BURNED) {
        add_number(line, event->value);
    }
    bool says_why = event->step == BATON_BOOT_TABLE_BAD
                    || event->step == BATON_BOOT_OTADATA_SMALL
                    || event->step == BATON_BOOT_REFUSED
                    || event->step == BATON_BOOT_WRITE_FAILED;
    if (says_why && event->err != 0) {
        add_text(line, ": ");
        add_text(line, baton_strerror(event->err));
    }
}

int baton_boot_explain(
        const struct baton_boot_event *event, char *out, size_t capacity) {
    struct line line = {.out = out, .capacity = capacity};
    if (capacity == 0) {
        return BATON_ERR_NOSPC;
    }
    out[0] = 0;
    if (event->step >= sizeof(steps) / sizeof(steps[0])) {
        return BATON_ERR_ARG;
    }
    if (event->step == BATON_BOOT_RECORD) {
        add_record(&line, event);
    } else {
        add_step(&line, event);
    }
    return line.is_full ? BATON_ERR_NOSPC : 0;
}
