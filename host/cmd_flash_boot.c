// `baton flash boot`: which slot a flash boots, and why.
// SPDX-License-Identifier: MIT
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "cli.h"
#include "commands.h"
#include "flash_file.h"

#define COMMAND       "baton flash boot"
#define EXPLAIN_BYTES 160u

struct boot {
    const char *path;
    const char *chip_name;
    bool as_json;
    bool commits;
    bool has_secure_version;
    uint32_t secure_version;
    struct flash_file file;
    struct baton_boot_config config;
    struct baton_boot_result result;
    struct baton_names names;
};

static void print_help(void) {
    printf("Usage: baton flash boot [OPTIONS] FLASH\n"
           "\n"
           "Decides as the bootloader would which partition of a flash file\n"
           "boots, and says why. Nothing is written without --commit.\n"
           "\n"
           "  --explain           the reasons, numbered (the default)\n"
           "  --json              {\"slot\": ..., \"version\": ..., \"why\": "
           "[...]}\n"
           "  --commit            write what the bootloader would write\n"
           "  --no-rollback       a bootloader built without rollback\n"
           "  --anti-rollback     a bootloader built with anti-rollback\n"
           "  --chip CHIP         default: the board file's, else the images'\n"
           "  --secure-version N  of the eFuse; default: the board file's\n"
           "\n"
           "Example:\n"
           "  baton flash boot dev.bin --explain\n"
           "\n"
           "Exit codes: 0 something boots, 1 nothing does, 2 wrong usage\n");
}

// The eFuse of a flash without a board is the number that was given.
static int burn_version(void *context, uint32_t version) {
    struct boot *self = context;
    struct baton_board_state *state = self->file.open_board.state;
    if (version > 32) {
        return BATON_ERR_ARG;
    }
    if (state != NULL) {
        state->secure_version = version;
    }
    return 0;
}

static void describe_selected(struct boot *self) {
    const struct baton_boot_result *result = &self->result;
    if (result->index == BATON_BOOT_NONE) {
        return;
    }
    flash_file_names(self->file.bytes + result->addr, result->info.len_bytes,
            &result->info, &self->names);
}

static int explain(const struct boot *self, size_t i, char *out) {
    return baton_boot_explain(&self->result.events[i], out, EXPLAIN_BYTES);
}

static bool is_write(const struct baton_boot_event *event) {
    return event->step == BATON_BOOT_ABORTED || event->step == BATON_BOOT_TRIAL
           || event->step == BATON_BOOT_FIRST_RECORD
           || event->step == BATON_BOOT_BURNED;
}

static bool has_writes(const struct boot *self) {
    for (size_t i = 0; i < self->result.event_count; i++) {
        if (is_write(&self->result.events[i])) {
            return true;
        }
    }
    return false;
}

static void add_records(cJSON *json, const struct boot *self) {
    cJSON *records = cJSON_AddArrayToObject(json, "records_after");
    if (!self->result.has_otadata) {
        return;
    }
    uint32_t count =
            baton_table_slot_count(self->file.rows, self->file.row_count);
    for (int copy = 0; copy < 2; copy++) {
        cJSON_AddItemToArray(
                records, flash_record_json(&self->result.records, copy, count));
    }
}

static void print_json(const struct boot *self) {
    const struct baton_boot_result *result = &self->result;
    cJSON *json = cJSON_CreateObject();
    if (result->index == BATON_BOOT_NONE) {
        cJSON_AddNullToObject(json, "slot");
        cJSON_AddNullToObject(json, "version");
    } else {
        cJSON_AddStringToObject(
                json, "slot", baton_boot_index_name(result->index));
        cJSON_AddStringToObject(json, "version", self->names.version);
        cJSON_AddNumberToObject(json, "addr", result->addr);
        cJSON_AddNumberToObject(json, "size", result->size_bytes);
    }
    cJSON *why = cJSON_AddArrayToObject(json, "why");
    for (size_t i = 0; i < result->event_count; i++) {
        char line[EXPLAIN_BYTES];
        if (explain(self, i, line) == 0) {
            cJSON_AddItemToArray(why, cJSON_CreateString(line));
        }
    }
    cJSON_AddBoolToObject(json, "writes", has_writes(self));
    cJSON_AddBoolToObject(json, "committed", self->commits);
    add_records(json, self);
    flash_print_json(json);
}

static void print_text(const struct boot *self) {
    const struct baton_boot_result *result = &self->result;
    if (result->index == BATON_BOOT_NONE) {
        printf("%s boots nothing:\n", self->path);
    } else {
        printf("%s boots %s%s%s at 0x%x:\n", self->path,
                baton_boot_index_name(result->index),
                self->names.version[0] != '\0' ? ", " : "", self->names.version,
                (unsigned)result->addr);
    }
    for (size_t i = 0; i < result->event_count; i++) {
        char line[EXPLAIN_BYTES];
        if (explain(self, i, line) == 0) {
            printf("  %2zu. %s\n", i + 1, line);
        }
    }
    if (has_writes(self) && !self->commits) {
        printf("  Nothing was written; --commit writes what the bootloader "
               "would.\n");
    }
}

static int decide(struct boot *self) {
    static uint8_t work[16384];
    static struct baton_image image;
    struct flash_file *file = &self->file;
    if (self->chip_name != NULL) {
        file->chip.id = baton_chip_id(self->chip_name);
        file->chip.revision = baton_board_revision(file->chip.id);
        file->is_chip_known = true;
    }
    if (self->has_secure_version) {
        file->chip.secure_version = self->secure_version;
    }
    if (file->has_board && file->board.no_rollback) {
        self->config.no_rollback = true;
    }
    if (file->has_board && file->board.anti_rollback) {
        self->config.anti_rollback = true;
    }
    self->config.flash = file->flash;
    self->config.crypto = baton_crypto_psa();
    self->config.chip = &file->chip;
    self->config.dry_run = !self->commits;
    self->config.burn_secure_version = burn_version;
    self->config.context = self;
    self->config.work = work;
    self->config.work_len = sizeof(work);
    return baton_boot_decide(&image, &self->config, &self->result);
}

static int run(struct boot *self) {
    if ((self->commits && flash_is_in_use(COMMAND, self->path))
            || !flash_file_open(
                    &self->file, COMMAND, self->path, self->commits)) {
        return CLI_REFUSED;
    }
    int err = decide(self);
    if (err) {
        flash_file_close(&self->file);
        return cli_refuse(COMMAND, self->path, err);
    }
    describe_selected(self);
    if (self->as_json) {
        print_json(self);
    } else {
        print_text(self);
    }
    flash_file_close(&self->file);
    return self->result.index == BATON_BOOT_NONE ? CLI_REFUSED : CLI_OK;
}

static int parse_arguments(struct boot *self, int argc, char **argv) {
    static const struct option options[] = {
            {"help", no_argument, NULL, 'h'},
            {"explain", no_argument, NULL, 'e'},
            {"json", no_argument, NULL, 'j'},
            {"commit", no_argument, NULL, 'c'},
            {"no-rollback", no_argument, NULL, 'n'},
            {"anti-rollback", no_argument, NULL, 'a'},
            {"chip", required_argument, NULL, 'C'},
            {"secure-version", required_argument, NULL, 's'},
            {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'h':
            print_help();
            return -1;
        case 'e':
            self->as_json = false;
            break;
        case 'j':
            self->as_json = true;
            cli_refuse_in_json();
            break;
        case 'c':
            self->commits = true;
            break;
        case 'n':
            self->config.no_rollback = true;
            break;
        case 'a':
            self->config.anti_rollback = true;
            break;
        case 'C':
            self->chip_name = optarg;
            break;
        case 's':
            self->has_secure_version = true;
            if (!cli_parse_u32(
                        "--secure-version", optarg, &self->secure_version)) {
                return CLI_USAGE;
            }
            break;
        default:
            return cli_usage(COMMAND, "see the options");
        }
    }
    if (self->chip_name != NULL
            && baton_chip_id(self->chip_name) == BATON_CHIP_ANY) {
        return cli_usage(COMMAND, "unknown chip '%s'", self->chip_name);
    }
    if (self->config.no_rollback && self->config.anti_rollback) {
        return cli_usage(COMMAND, "--anti-rollback needs rollback");
    }
    if (optind + 1 != argc) {
        return cli_usage(COMMAND, "give one flash file");
    }
    self->path = argv[optind];
    return CLI_OK;
}

int cmd_flash_boot(int argc, char **argv) {
    static struct boot self;
    int code = parse_arguments(&self, argc, argv);
    if (code != CLI_OK) {
        return code < 0 ? CLI_OK : code;
    }
    return run(&self);
}
