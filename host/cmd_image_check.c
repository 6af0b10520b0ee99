// `baton image check`: whether a file can be an update for a device.
// SPDX-License-Identifier: MIT
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "cli.h"
#include "commands.h"
#include "firmware.h"

#define COMMAND "baton image check"

struct check {
    const char *path;
    const char *table_path;
    const char *slot; // whose size limits, for a message
    uint32_t slot_bytes;
    uint32_t secure_version;
    uint32_t revision;
    bool has_revision;
    bool needs_no_digest;
    bool as_json;
    bool is_verbose;
    uint16_t chip_id;
};

static void print_help(void) {
    printf("Usage: " COMMAND " [OPTIONS] FILE\n\n"
           "Checks that a file is an application image, whole, and right for "
           "a device, as\nan update does before and after it writes. Says "
           "nothing when it is.\n\n"
           "  --chip CHIP          the device's chip: esp32, esp32c3 ...\n"
           "  --chip-rev REV       its revision, 3.1 or 301 (default: not "
           "checked)\n"
           "  --slot-size SIZE     the slot it must fit: 0x180000, 1536K\n"
           "  --table FILE         a partition table, CSV or binary: its "
           "smallest slot\n"
           "  --secure-version N   what the device's eFuse demands\n"
           "  --allow-no-digest    take an image that carries no SHA-256\n"
           "  -v, --verbose        say so when it is right\n"
           "  --json               as JSON\n\n"
           "Example:\n"
           "  " COMMAND " --chip esp32 --slot-size 0x180000 new.app-bin\n\n"
           "Exit codes: 0 right, 1 refused, 2 wrong usage.\n");
}

static bool parse_options(
        struct check *self, int argc, char **argv, int *code) {
    static const struct option options[] = {
            {"chip", required_argument, NULL, 'c'},
            {"chip-rev", required_argument, NULL, 'r'},
            {"slot-size", required_argument, NULL, 's'},
            {"table", required_argument, NULL, 't'},
            {"secure-version", required_argument, NULL, 'e'},
            {"allow-no-digest", no_argument, NULL, 'd'},
            {"verbose", no_argument, NULL, 'v'},
            {"json", no_argument, NULL, 'j'},
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    int option;
    *code = CLI_USAGE;
    while ((option = getopt_long(argc, argv, "hv", options, NULL)) != -1) {
        bool ok = true;
        switch (option) {
        case 'c':
            ok = firmware_parse_chip(COMMAND, optarg, &self->chip_id);
            break;
        case 'r':
            self->has_revision = true;
            ok = firmware_parse_revision("--chip-rev", optarg, &self->revision);
            break;
        case 's':
            ok = cli_parse_u32("--slot-size", optarg, &self->slot_bytes);
            self->slot = "the slot";
            break;
        case 't':
            self->table_path = optarg;
            break;
        case 'e':
            ok = cli_parse_u32(
                    "--secure-version", optarg, &self->secure_version);
            break;
        case 'd':
            self->needs_no_digest = true;
            break;
        case 'v':
            self->is_verbose = true;
            break;
        case 'j':
            self->as_json = true;
            break;
        case 'h':
            print_help();
            *code = CLI_OK;
            return false;
        default:
            cli_usage(COMMAND, "wrong option");
            return false;
        }
        if (!ok) {
            return false;
        }
    }
    if (optind + 1 != argc) {
        cli_usage(COMMAND, "give one file");
        return false;
    }
    self->path = argv[optind];
    return true;
}

static bool is_slot(const struct baton_partition *row) {
    return row->type == BATON_TYPE_APP
           && row->subtype >= BATON_SUBTYPE_APP_OTA_0
           && row->subtype < BATON_SUBTYPE_APP_TEST;
}

// Takes the smallest slot: the image may go into any.
static int read_table(struct check *self, const uint8_t *data, size_t len) {
    static struct baton_partition rows[BATON_TABLE_ROWS_MAX];
    static char label[BATON_TABLE_LABEL_BYTES + 1];
    struct baton_hash_state hash;
    struct baton_table_options options = {
            .crypto = baton_crypto_psa(), .hash = &hash};
    size_t count;
    bool is_binary = len >= 2 && data[0] == 0xAA && data[1] == 0x50;
    int err = is_binary
                      ? baton_table_parse(data, len, &options, rows,
                              BATON_TABLE_ROWS_MAX, &count, NULL)
                      : baton_table_parse_csv((const char *)data, len, &options,
                              rows, BATON_TABLE_ROWS_MAX, &count, NULL);
    if (err != 0) {
        return err;
    }
    for (size_t i = 0; i < count; i++) {
        bool is_smaller =
                self->slot_bytes == 0 || rows[i].size_bytes < self->slot_bytes;
        if (is_slot(&rows[i]) && is_smaller) {
            self->slot_bytes = rows[i].size_bytes;
            memcpy(label, rows[i].label, sizeof(label));
            self->slot = label;
        }
    }
    return self->slot_bytes != 0 ? 0 : BATON_ERR_SLOT;
}

static int load_table(struct check *self) {
    uint8_t *data;
    size_t len;
    if (!cli_read_file(self->table_path, &data, &len)) {
        return CLI_REFUSED;
    }
    int err = read_table(self, data, len);
    free(data);
    return err != 0 ? cli_refuse(COMMAND, self->table_path, err) : CLI_OK;
}

// A revision that was not given is taken to be one the image allows.
static struct baton_chip describe_chip(
        const struct check *self, const struct baton_image_info *info) {
    const struct baton_image_header *header = &info->header;
    struct baton_chip chip = {
            .id = self->chip_id,
            .revision = self->has_revision ? (uint16_t)self->revision
                                           : header->min_revision,
            .block_revision = info->descriptor.min_block_revision,
            .ignore_max_block_revision = true,
            .secure_version = self->secure_version,
    };
    if (chip.id == BATON_CHIP_ANY && self->has_revision) {
        chip.id = header->chip_id;
    }
    return chip;
}

static int judge(const struct check *self, const struct firmware *firmware) {
    const struct firmware_image *image = &firmware->image;
    struct baton_chip chip = describe_chip(self, &image->info);
    struct baton_image_config config = {
            .crypto = baton_crypto_psa(),
            .chip = &chip,
            .limit_bytes = self->slot_bytes,
            .need_digest = !self->needs_no_digest,
    };
    if (firmware->has_image && !image->is_bootloader) {
        chip.mmu_page_log2 = image->page_log2;
    }
    // The survey names a merged file, which its first bytes cannot.
    if (firmware->err == BATON_ERR_IS_MERGED) {
        return firmware->err;
    }
    size_t head = firmware->len < BATON_IMAGE_HEAD_BYTES
                          ? firmware->len
                          : BATON_IMAGE_HEAD_BYTES;
    int err = baton_image_check(
            firmware->data, head, (uint32_t)firmware->len, &config);
    if (err == BATON_ERR_IS_BOOTLOADER && firmware->has_image
            && !image->is_bootloader) {
        // It begins in RAM, but is not all for RAM: another system's program.
        return BATON_ERR_IMAGE_DESCRIPTOR;
    }
    static struct baton_image verifier;
    if (err == 0) {
        err = baton_image_begin(&verifier, &config);
    }
    if (err == 0) {
        (void)baton_image_push(&verifier, firmware->data, firmware->len);
        err = baton_image_finish(&verifier);
    }
    return err;
}

// What a person has to know beside the sentence.
static void print_detail(
        const struct check *self, const struct firmware *firmware, int err) {
    const struct baton_image_header *header = &firmware->image.info.header;
    const char *chip = baton_chip_name(header->chip_id);
    switch (err) {
    case BATON_ERR_IMAGE_CHIP:
        fprintf(stderr, "  it is for %s, not for %s\n",
                chip != NULL ? chip : "an unknown chip",
                baton_chip_name(self->chip_id));
        break;
    case BATON_ERR_IMAGE_TOO_LARGE:
        fprintf(stderr, "  it has %zu bytes, %s has %u\n", firmware->len,
                self->slot != NULL ? self->slot : "the largest slot",
                self->slot != NULL ? (unsigned)self->slot_bytes
                                   : BATON_IMAGE_SIZE_MAX);
        break;
    case BATON_ERR_IMAGE_REVISION:
        fprintf(stderr, "  it is for revisions from v%u.%u on",
                header->min_revision / 100u, header->min_revision % 100u);
        if (header->max_revision != 0 && header->max_revision != 0xFFFF) {
            fprintf(stderr, " to v%u.%u", header->max_revision / 100u,
                    header->max_revision % 100u);
        }
        fprintf(stderr, "\n");
        break;
    case BATON_ERR_IMAGE_SECURE_VERSION:
        fprintf(stderr, "  its secure version is %u, %u is needed\n",
                (unsigned)firmware->image.info.descriptor.secure_version,
                (unsigned)self->secure_version);
        break;
    case BATON_ERR_IS_MERGED:
        for (size_t i = 0; i < firmware->app_count; i++) {
            const struct firmware_image *image = &firmware->apps[i].image;
            fprintf(stderr,
                    "  the application is inside: offset 0x%x, %u bytes\n",
                    (unsigned)image->off, (unsigned)image->info.len_bytes);
        }
        break;
    default:
        break;
    }
}

static int report(
        const struct check *self, const struct firmware *firmware, int err) {
    if (self->as_json) {
        firmware_print_json_verdict(self->path, firmware, err);
        return err != 0 ? CLI_REFUSED : CLI_OK;
    }
    if (err != 0) {
        cli_refuse(COMMAND, self->path, err);
        print_detail(self, firmware, err);
        return CLI_REFUSED;
    }
    if (self->is_verbose) {
        const char *from;
        const char *version = firmware_version(&firmware->image, &from);
        printf("%s: ok, %s%s%s, %zu bytes\n", self->path,
                baton_chip_name(firmware->image.info.header.chip_id),
                version[0] != 0 ? ", " : "", version, firmware->len);
    }
    return CLI_OK;
}

int cmd_image_check(int argc, char **argv) {
    struct check self = {.chip_id = BATON_CHIP_ANY};
    int code;
    if (!parse_options(&self, argc, argv, &code)) {
        return code;
    }
    if (self.table_path != NULL) {
        code = load_table(&self);
        if (code != CLI_OK) {
            return code;
        }
    }
    uint8_t *data;
    size_t len;
    if (!cli_read_file(self.path, &data, &len)) {
        if (self.as_json) {
            firmware_print_json_unread(self.path);
        }
        return CLI_REFUSED;
    }
    struct firmware *firmware = malloc(sizeof(*firmware));
    code = CLI_REFUSED;
    if (firmware == NULL) {
        cli_refuse(COMMAND, self.path, BATON_ERR_NOMEM);
    } else {
        firmware_survey(firmware, data, len);
        code = report(&self, firmware, judge(&self, firmware));
    }
    free(firmware);
    free(data);
    return code;
}
