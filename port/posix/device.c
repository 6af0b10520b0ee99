// The seams of an agent over a virtual ESP32.
// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "baton-posix/device.h"

#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "baton/table.h"

#define NAMESPACE "baton"

// ---- Store ---------------------------------------------------------------

static int error_of(int esp_err) {
    switch (esp_err) {
    case ESP_OK:
        return 0;
    case ESP_ERR_NVS_NOT_FOUND:
        return BATON_ERR_NOENT;
    case ESP_ERR_NVS_INVALID_LENGTH:
    case ESP_ERR_NVS_NOT_ENOUGH_SPACE:
        return BATON_ERR_NOSPC;
    default:
        return BATON_ERR_IO;
    }
}

// The namespace is made when the first value is: a device that only looks
// writes nothing. ns is 0 until it is there.
static int open_namespace(struct baton_device *self, bool can_create) {
    if (self->ns != 0) {
        return 0;
    }
    return error_of(
            baton_nvs_open(&self->nvs, NAMESPACE, can_create, &self->ns));
}

static int get_value(void *context, const char *key, void *buf, size_t *len) {
    struct baton_device *self = context;
    int missing = open_namespace(self, false);
    if (missing != 0) {
        return missing;
    }
    int err = baton_nvs_get_bytes(
            &self->nvs, self->ns, BATON_NVS_BLOB, key, buf, len);
    if (err == ESP_ERR_NVS_INVALID_LENGTH) {
        (void)baton_nvs_get_bytes(
                &self->nvs, self->ns, BATON_NVS_BLOB, key, NULL, len);
    }
    return error_of(err);
}

static int set_value(
        void *context, const char *key, const void *data, size_t len) {
    struct baton_device *self = context;
    int err = open_namespace(self, true);
    if (err != 0) {
        return err;
    }
    return error_of(baton_nvs_set_bytes(
            &self->nvs, self->ns, BATON_NVS_BLOB, key, data, len));
}

static int remove_value(void *context, const char *key) {
    struct baton_device *self = context;
    int err = open_namespace(self, false);
    if (err == 0) {
        err = error_of(baton_nvs_erase_key(&self->nvs, self->ns, key));
    }
    return err == BATON_ERR_NOENT ? 0 : err;
}

// ---- Clock and chance ----------------------------------------------------

static uint64_t ticks_ms(void *context) {
    (void)context;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static enum baton_clock_trust read_clock(void *context, uint64_t *unix_s) {
    (void)context;
    *unix_s = (uint64_t)time(NULL);
    return BATON_CLOCK_SET;
}

static void fill_random(void *context, void *buf, size_t len) {
    (void)context;
    // What it cannot give (never for so few bytes) stays as it was.
    ssize_t ignored = getrandom(buf, len, 0);
    (void)ignored;
}

// ---- Reset ---------------------------------------------------------------

static enum baton_cause read_cause(void *context) {
    const struct baton_device *self = context;
    switch (self->board.state->reset_cause) {
    case BATON_RESET_POWER_ON:
        return BATON_CAUSE_POWER;
    case BATON_RESET_BROWNOUT:
        return BATON_CAUSE_BROWNOUT;
    case BATON_RESET_WATCHDOG:
        return BATON_CAUSE_WATCHDOG;
    case BATON_RESET_DEEP_SLEEP:
        return BATON_CAUSE_WAKE;
    case BATON_RESET_SOFT:
        return BATON_CAUSE_SOFT;
    case BATON_RESET_PANIC:
        return BATON_CAUSE_CRASH;
    default:
        return BATON_CAUSE_RESET;
    }
}

static void reboot(void *context) {
    struct baton_device *self = context;
    self->board.state->reset_cause = BATON_RESET_HARD;
    _exit(BATON_EXIT_RESET);
}

// The one device of this process, for the timer's signal.
static struct baton_board_state *armed_state;

static void watchdog_fires(int sig) {
    (void)sig;
    armed_state->reset_cause = BATON_RESET_WATCHDOG;
    _exit(BATON_EXIT_RESET);
}

static int arm(void *context, uint32_t ms) {
    struct baton_device *self = context;
    armed_state = self->board.state;
    struct sigaction action = {.sa_handler = watchdog_fires};
    struct itimerval timer = {.it_value = {.tv_sec = ms / 1000u,
                                      .tv_usec = (long)(ms % 1000u) * 1000}};
    bool is_set = sigaction(SIGALRM, &action, NULL) == 0
                  && setitimer(ITIMER_REAL, &timer, NULL) == 0;
    return is_set ? 0 : BATON_ERR_IO;
}

// ---- Places --------------------------------------------------------------

static int find_slots(struct baton_device *self,
        const struct baton_partition *rows, size_t count) {
    struct baton_agent_config *config = &self->config;
    config->slot_count = baton_table_slot_count(rows, count);
    for (uint32_t i = 0; i < config->slot_count; i++) {
        const struct baton_partition *row =
                baton_table_find(rows, count, 0x00, (uint8_t)(0x10u + i));
        self->slots[i].addr = row->addr;
        self->slots[i].size_bytes = row->size_bytes;
    }
    config->slots = self->slots;
    return config->slot_count != 0 ? 0 : BATON_ERR_SLOT;
}

static int find_places(struct baton_device *self) {
    static struct baton_partition rows[BATON_TABLE_ROWS_MAX];
    const struct baton_flash *flash = &self->board.nor.flash;
    const struct baton_board_state *state = self->board.state;
    struct baton_agent_config *config = &self->config;
    struct baton_hash_state hash;
    const struct baton_table_options options = {
            .crypto = config->crypto, .hash = &hash};
    size_t count;
    int err = baton_table_load(
            flash, &options, rows, BATON_TABLE_ROWS_MAX, &count);
    if (err != 0) {
        return err;
    }
    const struct baton_partition *otadata =
            baton_table_find(rows, count, 0x01, 0x00);
    const struct baton_partition *nvs =
            baton_table_find(rows, count, 0x01, 0x02);
    if (otadata == NULL || nvs == NULL) {
        return otadata == NULL ? BATON_ERR_NO_OTADATA : BATON_ERR_TABLE_ABSENT;
    }
    config->otadata_addr = otadata->addr;
    config->running = state->running;
    config->place.addr = state->running_addr;
    config->place.size_bytes = state->running_bytes;
    if (baton_nvs_mount(&self->nvs, flash, nvs->addr, nvs->size_bytes)
            != ESP_OK) {
        return BATON_ERR_IO;
    }
    return find_slots(self, rows, count);
}

// ---- The calls -----------------------------------------------------------

static void fill_seams(struct baton_device *self) {
    self->store =
            (struct baton_store){self, get_value, set_value, remove_value};
    self->clock = (struct baton_clock){self, ticks_ms, read_clock};
    self->random = (struct baton_random){self, fill_random};
    self->reset = (struct baton_reset){self, read_cause, reboot, arm};
    struct baton_agent_config *config = &self->config;
    config->flash = &self->board.nor.flash;
    config->crypto = baton_crypto_psa();
    config->chip = &self->board.chip;
    config->store = &self->store;
    config->clock = &self->clock;
    config->random = &self->random;
    config->reset = &self->reset;
    config->device_id = self->board.state->mac;
    config->device_id_len = sizeof(self->board.state->mac);
    config->bootloader = self->board.state->no_rollback != 0
                                 ? BATON_BOOTLOADER_ANY
                                 : BATON_BOOTLOADER_ROLLBACK;
    config->work = self->work;
    config->work_len = sizeof(self->work);
    config->codec = self->codec;
    config->codec_len = sizeof(self->codec);
}

int baton_device_attach(struct baton_device *self) {
    memset(self, 0, sizeof(*self));
    int err = baton_board_attach(&self->board);
    if (err != 0) {
        return err;
    }
    fill_seams(self);
    err = self->config.crypto != NULL ? find_places(self) : BATON_ERR_CRYPTO;
    if (err != 0) {
        baton_device_close(self);
    }
    return err;
}

void baton_device_close(struct baton_device *self) {
    baton_nvs_unmount(&self->nvs);
    baton_board_close(&self->board);
}
