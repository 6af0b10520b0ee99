// `baton push`: updates a device over its serial REPL, without a network.
// SPDX-License-Identifier: MIT
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "cli.h"
#include "commands.h"
#include "device_link.h"
#include "device_script.h"
#include "firmware.h"

#define COMMAND "baton push"

enum { SESSIONS = 3, ANSWER_MS = 10000, VERIFY_MS = 120000 };
enum { HASH_DIGITS = 16 };

struct push {
    struct device_options device;
    const char *path;
    bool keeps_running; // no reset at the end
    const uint8_t *image;
    uint32_t len;
    uint32_t sectors;
    char slot[24];
    char running[24];
    uint32_t slot_bytes;
    uint32_t chip_id;
    uint32_t sent;   // sectors
    uint8_t *wanted; // one byte for each sector: it is to be written
    struct repl repl;
};

static void print_help(void) {
    printf("Usage: " COMMAND " --port PORT [OPTIONS] FIRMWARE\n\n"
           "Writes a firmware into the slot that does not run, over the "
           "MicroPython prompt on\na serial port, verifies it, and restarts "
           "into it. The device needs no network and\nno library, only "
           "firmware with update slots. Only sectors that differ are sent,\n"
           "so that the same command again goes on where it was stopped.\n\n"
           "  --port PORT    /dev/ttyUSB0, /dev/ttyACM0 ...\n"
           "  --baud N       default 115200\n"
           "  --no-reset     the new firmware starts at the next reset\n"
           "  -v, --verbose  say what was done\n\n"
           "Example:\n"
           "  " COMMAND " --port /dev/ttyUSB0 ESP32_GENERIC-OTA.app-bin\n\n"
           "The new firmware is on trial: it has to call\n"
           "esp32.Partition.mark_app_valid_cancel_rollback(), or the next "
           "restart brings the\nold one back.\n\n"
           "Exit codes: 0 done, 1 refused, 2 wrong usage.\n");
}

static bool parse_options(struct push *self, int argc, char **argv, int *code) {
    static const struct option options[] = {
            {"port", required_argument, NULL, 'p'},
            {"baud", required_argument, NULL, 'b'},
            {"no-reset", no_argument, NULL, 'n'},
            {"verbose", no_argument, NULL, 'v'},
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    int option;
    *code = CLI_USAGE;
    while ((option = getopt_long(argc, argv, "hv", options, NULL)) != -1) {
        switch (option) {
        case 'n':
            self->keeps_running = true;
            break;
        case 'h':
            print_help();
            *code = CLI_OK;
            return false;
        default:
            if (!device_take_option(COMMAND, &self->device, option)) {
                return false;
            }
        }
    }
    if (self->device.port == NULL || optind + 1 != argc) {
        cli_usage(COMMAND, "give --port and one firmware file");
        return false;
    }
    self->path = argv[optind];
    return true;
}

// ---- What the device says ------------------------------------------------

// Which slot it is, how large, and what chip runs.
static int ask_slot(struct push *self) {
    int err = device_ask(&self->repl, 'I', 0, 0, ANSWER_MS);
    if (err != 0) {
        return err;
    }
    unsigned size;
    unsigned chip;
    if (sscanf(self->repl.line, "%23s %u %23s %u", self->slot, &size,
                self->running, &chip)
            != 4) {
        return BATON_ERR_DEVICE_SLOTS;
    }
    self->slot_bytes = size;
    self->chip_id = chip;
    return 0;
}

// Everything that speaks against the image, before anything is written.
static int judge(const struct push *self) {
    struct baton_chip chip = {
            .id = (uint16_t)self->chip_id,
            .revision = UINT16_MAX,
            .block_revision = UINT16_MAX,
            .ignore_max_revision = true,
            .ignore_max_block_revision = true,
    };
    struct baton_image_config config = {
            .crypto = baton_crypto_psa(),
            .chip = &chip,
            .limit_bytes = self->slot_bytes,
            .need_digest = true,
    };
    return baton_image_check(
            self->image, BATON_IMAGE_HEAD_BYTES, self->len, &config);
}

static void get_sector(const struct push *self, uint32_t n, uint8_t *out) {
    uint32_t off = n * BATON_SECTOR_BYTES;
    uint32_t have = self->len - off;
    if (have > BATON_SECTOR_BYTES) {
        have = BATON_SECTOR_BYTES;
    }
    memset(out, 0xFF, BATON_SECTOR_BYTES);
    memcpy(out, self->image + off, have);
}

static int hash(const void *data, size_t len, char *hex, size_t digits) {
    const struct baton_crypto *crypto = baton_crypto_psa();
    struct baton_hash_state state;
    uint8_t digest[BATON_SHA256_BYTES] = {0};
    int err = crypto->hash_start(crypto->context, &state, BATON_HASH_SHA256);
    if (err == 0) {
        err = crypto->hash_update(crypto->context, &state, data, len);
    }
    if (err == 0) {
        err = crypto->hash_finish(crypto->context, &state, digest);
    }
    for (size_t i = 0; i < digits / 2; i++) {
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    return err;
}

// Marks the sectors that differ, and the one that was in flight when an earlier
// push was cut short, whatever it reads as.
static int compare(struct push *self) {
    int err = device_ask(&self->repl, 'H', self->sectors, 0, ANSWER_MS);
    if (err != 0) {
        return err;
    }
    unsigned long in_flight = strtoul(self->repl.line, NULL, 10);
    for (uint32_t n = 0; n < self->sectors; n++) {
        uint8_t sector[BATON_SECTOR_BYTES];
        char own[HASH_DIGITS + 1];
        get_sector(self, n, sector);
        err = hash(sector, sizeof(sector), own, HASH_DIGITS);
        if (err == 0) {
            err = repl_answer(&self->repl, ANSWER_MS);
        }
        if (err != 0) {
            return err;
        }
        bool is_same = strcmp(self->repl.line, own) == 0;
        self->wanted[n] = !is_same || (in_flight != 0 && n == in_flight);
    }
    return 0;
}

// ---- Writing -------------------------------------------------------------

static int send_sector(struct push *self, uint32_t n) {
    uint8_t sector[BATON_SECTOR_BYTES];
    get_sector(self, n, sector);
    int err = device_send(&self->repl, 'W', n, sector, sizeof(sector));
    self->sent += err == 0;
    return err;
}

// The first sector goes last: without it the slot holds no image.
static int send_sectors(struct push *self) {
    uint32_t total = 0;
    uint32_t done = 0;
    for (uint32_t n = 0; n < self->sectors; n++) {
        total += self->wanted[n];
    }
    if (total == 0) {
        return 0;
    }
    int err = device_ask(&self->repl, 'B', 0, 0, ANSWER_MS);
    for (uint32_t n = 1; n < self->sectors && err == 0; n++) {
        if (self->wanted[n]) {
            err = send_sector(self, n);
            cli_progress(self->slot, (uint64_t)++done * BATON_SECTOR_BYTES,
                    (uint64_t)(total + 1) * BATON_SECTOR_BYTES);
        }
    }
    if (err == 0) {
        err = send_sector(self, 0);
    }
    cli_progress(self->slot, 1, 1);
    return err;
}

static int verify(struct push *self) {
    char own[2 * BATON_SHA256_BYTES + 1];
    int err = hash(self->image, self->len, own, sizeof(own) - 1);
    if (err == 0) {
        err = device_ask(&self->repl, 'D', self->len / BATON_SECTOR_BYTES,
                self->len % BATON_SECTOR_BYTES, VERIFY_MS);
    }
    if (err != 0) {
        return err;
    }
    return strcmp(self->repl.line, own) == 0 ? 0 : BATON_ERR_DEVICE_WRITE;
}

// From the first question to the switch.
static int run_session(struct push *self) {
    int err = device_serve(&self->repl, device_script_push);
    if (err == 0) {
        err = ask_slot(self);
    }
    if (err == 0) {
        err = judge(self);
    }
    if (err == 0) {
        err = compare(self);
    }
    if (err == 0) {
        err = send_sectors(self);
    }
    if (err == 0) {
        err = verify(self);
    }
    if (err == 0) {
        err = device_command(&self->repl, 'S', 0, 0, 0);
    }
    return err != 0 ? err : device_expect_ok(&self->repl);
}

static int run(struct push *self) {
    int err = device_open(&self->repl, COMMAND, &self->device);
    if (err == 0) {
        err = run_session(self);
    }
    // A byte that got lost on the way leaves both sides waiting.
    for (int i = 1; i < SESSIONS && err == BATON_ERR_DEVICE_SILENT; i++) {
        err = repl_enter(&self->repl);
        if (err == 0) {
            err = run_session(self);
        }
    }
    bool is_refused =
            err != 0 && err != BATON_ERR_SERIAL && err != BATON_ERR_DEVICE
            && err != BATON_ERR_DEVICE_SILENT && err != BATON_ERR_NO_REPL;
    if (is_refused || (err == 0 && self->keeps_running)) {
        (void)device_command(&self->repl, 'Q', 0, 0, 0);
        (void)repl_finish(&self->repl, ANSWER_MS);
    } else if (err == 0) {
        (void)device_command(&self->repl, 'R', 0, 0, 0);
    }
    return err;
}

static int push(struct push *self, const struct firmware *firmware) {
    if (firmware->err != 0) {
        return cli_refuse(COMMAND, self->path, firmware->err);
    }
    self->image = firmware->data;
    self->len = firmware->image.info.len_bytes;
    if (firmware->image.signature.block_count != 0) {
        self->len = (uint32_t)firmware->len; // with its signature sector
    }
    self->sectors = (self->len + BATON_SECTOR_BYTES - 1) / BATON_SECTOR_BYTES;
    self->wanted = calloc(self->sectors, 1);
    if (self->wanted == NULL) {
        return cli_refuse(COMMAND, self->path, BATON_ERR_NOMEM);
    }
    int err = run(self);
    if (err != 0) {
        bool is_image = err > BATON_ERR_SERIAL;
        repl_refuse(&self->repl, COMMAND,
                is_image ? self->path : self->device.port, err);
    } else if (self->device.is_verbose) {
        printf("%s: %s: %u of %u sectors sent, verified, chosen; %s\n",
                self->device.port, self->slot, (unsigned)self->sent,
                (unsigned)self->sectors,
                self->keeps_running ? "starts at the next reset"
                                    : "restarting into it, on trial");
    }
    repl_close(&self->repl, err == 0 && !self->keeps_running);
    free(self->wanted);
    return err != 0 ? CLI_REFUSED : CLI_OK;
}

int cmd_push(int argc, char **argv) {
    struct push self = {.repl = {.fd = -1}};
    int code;
    if (!parse_options(&self, argc, argv, &code)) {
        return code;
    }
    uint8_t *data;
    size_t len;
    if (!cli_read_file(self.path, &data, &len)) {
        return CLI_REFUSED;
    }
    struct firmware *firmware = malloc(sizeof(*firmware));
    if (firmware == NULL) {
        free(data);
        return cli_refuse(COMMAND, self.path, BATON_ERR_NOMEM);
    }
    firmware_survey(firmware, data, len);
    code = push(&self, firmware);
    free(firmware);
    free(data);
    return code;
}
