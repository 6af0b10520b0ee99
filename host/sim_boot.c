// The virtual ESP32's bootloader: the decision, as a console shows it.
// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#include <stdarg.h>
#include <string.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "flash_file.h"
#include "sim.h"

// From reset to the application's first instruction, image verification (which
// the flash charges) not counted.
#define BOOT_US       250000u
#define EXPLAIN_BYTES 160u

void sim_log(const struct sim *self, char level, const char *format, ...) {
    if (self->options.is_quiet) {
        return;
    }
    uint64_t us = self->board.state->clock_us - self->reset_at_us;
    printf("%c (%llu) boot: ", level, (unsigned long long)(us / 1000));
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
}

static const char *reset_text(uint32_t cause) {
    switch (cause) {
    case BATON_RESET_POWER_ON:
        return "rst:0x1 (POWERON_RESET)";
    case BATON_RESET_WATCHDOG:
        return "rst:0x8 (TG1WDT_SYS_RESET)";
    case BATON_RESET_DEEP_SLEEP:
        return "rst:0x5 (DEEPSLEEP_RESET)";
    case BATON_RESET_BROWNOUT:
        return "rst:0xf (RTCWDT_BROWN_OUT_RESET)";
    default:
        return "rst:0xc (SW_CPU_RESET)";
    }
}

static void log_reset(const struct sim *self) {
    const struct baton_board_state *state = self->board.state;
    if (self->options.is_quiet) {
        return;
    }
    printf("\n%s, boot %u of a virtual %s v%u.%u, flash %u MiB\n",
            reset_text(state->reset_cause), (unsigned)self->boots,
            flash_chip_text(state->chip_id), state->chip_revision / 100u,
            state->chip_revision % 100u, (unsigned)(state->flash_bytes >> 20));
}

// The rows as the bootloader lists them; a bad table is told by the decision,
// whose reads are those that count.
static void log_table(const struct sim *self) {
    struct baton_partition rows[BATON_TABLE_ROWS_MAX];
    size_t count;
    (void)flash_load_table(self->board.flash_bytes,
            self->board.state->flash_bytes, rows, &count);
    for (size_t i = 0; i < count; i++) {
        const char *type = baton_table_type_name(rows[i].type);
        const char *subtype =
                baton_table_subtype_name(rows[i].type, rows[i].subtype);
        sim_log(self, 'I', "%2zu %-16s %-4s %-7s 0x%06x 0x%06x", i,
                rows[i].label, type != NULL ? type : "?",
                subtype != NULL ? subtype : "?", (unsigned)rows[i].addr,
                (unsigned)rows[i].size_bytes);
    }
}

static char event_level(const struct baton_boot_event *event) {
    switch (event->step) {
    case BATON_BOOT_TABLE_BAD:
    case BATON_BOOT_OTADATA_SMALL:
    case BATON_BOOT_REFUSED:
    case BATON_BOOT_WRITE_FAILED:
    case BATON_BOOT_NOTHING:
        return 'E';
    case BATON_BOOT_ABORTED:
    case BATON_BOOT_TOO_OLD:
    case BATON_BOOT_FALLBACK:
        return 'W';
    default:
        return 'I';
    }
}

static void log_events(const struct sim *self) {
    const struct baton_boot_result *boot = &self->boot;
    for (size_t i = 0; i < boot->event_count; i++) {
        const struct baton_boot_event *event = &boot->events[i];
        char line[EXPLAIN_BYTES];
        // What the bootloader had in mind when the power went is not said.
        if (event->step == BATON_BOOT_WRITE_FAILED
                && self->board.state->nor.powered == 0) {
            return;
        }
        if (event->step != BATON_BOOT_SELECTED
                && baton_boot_explain(event, line, sizeof(line)) == 0) {
            sim_log(self, event_level(event), "%s", line);
        }
    }
}

static void log_selected(const struct sim *self) {
    const struct baton_boot_result *boot = &self->boot;
    const char *version = self->names.version;
    sim_log(self, 'I', "boot %s at 0x%x: %s%s%u bytes, verified",
            baton_boot_index_name(boot->index), (unsigned)boot->addr, version,
            version[0] != '\0' ? ", " : "", (unsigned)boot->info.len_bytes);
}

static int burn_version(void *context, uint32_t version) {
    struct baton_board *board = context;
    if (version > 32) {
        return BATON_ERR_ARG;
    }
    board->state->secure_version = version;
    baton_board_refresh(board);
    return 0;
}

// After a deep sleep the bootloader of MicroPython's builds loads the partition
// that ran before, and looks neither at otadata nor at the digest.
static bool wake(struct sim *self) {
    const struct baton_board_state *state = self->board.state;
    const struct baton_flash *flash = &self->board.nor.flash;
    uint8_t head[BATON_IMAGE_HEAD_BYTES];
    struct baton_image_info info;
    if (state->reset_cause != BATON_RESET_DEEP_SLEEP
            || self->options.verifies_on_wake
            || flash->read(
                       flash->context, state->running_addr, head, sizeof(head))
                       != 0
            || baton_image_decode(head, sizeof(head), &info) != 0
            || info.header.chip_id != self->board.chip.id) {
        return false;
    }
    sim_log(self, 'I', "woke from deep sleep: %s again, unverified",
            baton_boot_index_name(state->running));
    return true;
}

static void note_running(struct sim *self) {
    struct baton_board_state *state = self->board.state;
    const struct baton_boot_result *boot = &self->boot;
    state->running = boot->index;
    state->running_addr = boot->addr;
    state->running_bytes = boot->size_bytes;
    flash_file_names(self->board.flash_bytes + boot->addr, boot->info.len_bytes,
            &boot->info, &self->names);
}

static int decide(struct sim *self) {
    static uint8_t work[16384];
    static struct baton_image image;
    const struct baton_board_state *state = self->board.state;
    struct baton_boot_config config = {
            .flash = &self->board.nor.flash,
            .crypto = baton_crypto_psa(),
            .chip = &self->board.chip,
            .no_rollback = state->no_rollback != 0,
            .anti_rollback = state->anti_rollback != 0,
            .burn_secure_version = burn_version,
            .context = &self->board,
            .work = work,
            .work_len = sizeof(work),
    };
    return baton_boot_decide(&image, &config, &self->boot);
}

enum sim_boot_outcome sim_boot(struct sim *self) {
    struct baton_board_state *state = self->board.state;
    self->boots++;
    state->boots++;
    state->wdt_timeout_ms = 0;
    if (state->reset_cause == BATON_RESET_POWER_ON
            || state->reset_cause == BATON_RESET_BROWNOUT) {
        state->rtc_len_bytes = 0;
        memset(state->rtc, 0, sizeof(state->rtc));
    }
    self->reset_at_us = state->clock_us;
    log_reset(self);
    state->clock_us += BOOT_US;
    if (wake(self)) {
        return SIM_BOOTED;
    }
    log_table(self);
    int err = decide(self);
    if (err) {
        sim_log(self, 'E', "%s", baton_strerror(err));
        return SIM_BOOT_NOTHING;
    }
    log_events(self);
    if (state->nor.powered == 0) {
        return SIM_BOOT_POWER_CUT;
    }
    if (self->boot.index == BATON_BOOT_NONE) {
        return SIM_BOOT_NOTHING;
    }
    note_running(self);
    log_selected(self);
    return SIM_BOOTED;
}
