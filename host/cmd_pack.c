// `baton pack`: an image as a payload, packed or as a delta.
// SPDX-License-Identifier: MIT
#include <cjson/cJSON.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton/error.h"
#include "cli.h"
#include "codec_encode.h"
#include "commands.h"

#define COMMAND "baton pack"

struct pack {
    const char *new_path;
    const char *old_path;
    const char *out_path;
    uint8_t profile;
    bool is_raw;
    bool explain;
    bool as_json;
    struct codec_pack codec;
    uint8_t *old;
    uint8_t *new;
};

static const char *const encodings[] = {"raw", "packed", "delta"};
static const char *const profiles[] = {"S", "M"};
static const char *const machines[] = {"data", "rv32", "xtensa"};
static const char *const purposes[CODEC_PURPOSES] = {
        "copies", "references", "fixes", "literals", "realignments"};

static void print_help(void) {
    printf("Usage: " COMMAND " NEW [--from OLD] [OPTIONS] -o PAYLOAD\n\n"
           "Packs an image for the way to a device, which decodes it while it "
           "downloads it.\nWith --from it is a delta against the image that "
           "the device runs; without, it\nneeds no base. The result has been "
           "decoded again and compared before it is\nwritten; the same inputs "
           "give the same bytes on every machine.\n\n"
           "  --from OLD            the image that runs on the device\n"
           "  --profile S|M         memory of the device: 16 KiB (default) or "
           "32 KiB\n"
           "  --raw                 store the image as it is\n"
           "  --explain             say where the bytes go\n"
           "  --json                report as JSON\n"
           "  -o, --output PAYLOAD  the file to make\n\n"
           "Example:\n"
           "  " COMMAND " v1.27.app-bin --from v1.26.app-bin -o "
           "v1.26-v1.27.delta\n\n"
           "Exit codes: 0 made, 1 refused, 2 wrong usage.\n");
}

// ---- Report

static double bytes_of(uint64_t cost) {
    return (double)cost / 2048;
}

static uint64_t sum_of(const struct codec_report *report, int purpose) {
    uint64_t sum = 0;
    for (unsigned i = 0; i <= CODEC_SEGMENTS; i++) {
        sum += report->cost[i][purpose];
    }
    return sum;
}

static void print_rows(const struct codec_report *report) {
    printf("\n  %-20s %10s", "segment", "bytes");
    for (int k = 0; k < CODEC_PURPOSES; k++) {
        printf(" %12s", purposes[k]);
    }
    printf("\n");
    for (unsigned i = 0; i <= CODEC_SEGMENTS; i++) {
        uint64_t all = 0;
        for (int k = 0; k < CODEC_PURPOSES; k++) {
            all += report->cost[i][k];
        }
        if (all == 0 && report->bytes[i] == 0) {
            continue;
        }
        char name[32] = "headers";
        if (i < report->segment_count) {
            snprintf(name, sizeof(name), "0x%08x %s", report->addr[i],
                    report->is_code[i] ? "code" : "data");
        }
        printf("  %-20s %10u", name, report->bytes[i]);
        for (int k = 0; k < CODEC_PURPOSES; k++) {
            printf(" %12.0f", bytes_of(report->cost[i][k]));
        }
        printf("\n");
    }
    printf("  %-20s %10s", "together", "");
    for (int k = 0; k < CODEC_PURPOSES; k++) {
        printf(" %12.0f", bytes_of(sum_of(report, k)));
    }
    printf("\n");
}

static void explain(const struct pack *self) {
    const struct codec_report *report = &self->codec.report;
    const struct baton_codec_info *info = &self->codec.info;
    printf("%s: %zu bytes, %.2f %% of %u (%s, profile %s, %s)\n",
            self->out_path, self->codec.payload_len,
            100.0 * (double)self->codec.payload_len / info->new_bytes,
            info->new_bytes, encodings[info->encoding], profiles[info->profile],
            machines[info->machine]);
    printf("\n  header        %10u bytes, with both digests and %u restart "
           "points\n",
            info->header_bytes, info->segment_count);
    if (info->encoding == BATON_CODEC_RAW) {
        return;
    }
    printf("  references    %10u that did not move as their neighbours\n"
           "  fixes         %10u units mended within copies\n"
           "  literals      %10u bytes that are new\n"
           "  realignments  %10u places where a copy begins\n"
           "  decoder state %10u bytes\n",
            report->references, report->fixes, report->literals,
            report->realignments, info->state_bytes);
    print_rows(report);
}

static void add_report(cJSON *json, const struct codec_report *report) {
    cJSON *bytes = cJSON_AddObjectToObject(json, "payload_use");
    for (int k = 0; k < CODEC_PURPOSES; k++) {
        uint64_t used = sum_of(report, k) / 2048;
        cJSON_AddNumberToObject(bytes, purposes[k], (double)used);
    }
    cJSON_AddNumberToObject(json, "references", report->references);
    cJSON_AddNumberToObject(json, "fixes", report->fixes);
    cJSON_AddNumberToObject(json, "literals", report->literals);
    cJSON_AddNumberToObject(json, "realignments", report->realignments);
}

static void print_json(const struct pack *self) {
    const struct baton_codec_info *info = &self->codec.info;
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "payload", self->out_path);
    cJSON_AddStringToObject(json, "encoding", encodings[info->encoding]);
    cJSON_AddStringToObject(json, "profile", profiles[info->profile]);
    cJSON_AddStringToObject(json, "machine", machines[info->machine]);
    cJSON_AddNumberToObject(
            json, "payload_bytes", (double)self->codec.payload_len);
    cJSON_AddNumberToObject(json, "image_bytes", info->new_bytes);
    cJSON_AddNumberToObject(json, "base_bytes", info->old_bytes);
    cJSON_AddNumberToObject(json, "header_bytes", info->header_bytes);
    cJSON_AddNumberToObject(json, "state_bytes", info->state_bytes);
    cJSON_AddNumberToObject(json, "restart_points", info->segment_count);
    add_report(json, &self->codec.report);
    char *text = cJSON_Print(json);
    puts(text != NULL ? text : "{}");
    free(text);
    cJSON_Delete(json);
}

// ---- Options

static const struct option options[] = {
        {"from", required_argument, NULL, 'f'},
        {"profile", required_argument, NULL, 'p'},
        {"raw", no_argument, NULL, 'r'},
        {"explain", no_argument, NULL, 'e'},
        {"json", no_argument, NULL, 'j'},
        {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
};

static int take_option(struct pack *self, int option) {
    switch (option) {
    case 'f':
        self->old_path = optarg;
        return CLI_OK;
    case 'p':
        if (strcmp(optarg, "S") != 0 && strcmp(optarg, "M") != 0) {
            return cli_usage(COMMAND, "--profile: S or M, not '%s'", optarg);
        }
        self->profile = optarg[0] == 'M' ? BATON_CODEC_PROFILE_M
                                         : BATON_CODEC_PROFILE_S;
        return CLI_OK;
    case 'r':
        self->is_raw = true;
        return CLI_OK;
    case 'e':
        self->explain = true;
        return CLI_OK;
    case 'j':
        self->as_json = true;
        return CLI_OK;
    case 'o':
        self->out_path = optarg;
        return CLI_OK;
    default:
        return cli_usage(COMMAND, "see '" COMMAND " --help'");
    }
}

static int check_options(struct pack *self, int argc, char **argv) {
    if (argc - optind != 1) {
        return cli_usage(COMMAND, "give one image");
    }
    if (self->out_path == NULL) {
        return cli_usage(COMMAND, "give -o PAYLOAD");
    }
    if (self->is_raw && self->old_path != NULL) {
        return cli_usage(COMMAND, "--raw takes no --from");
    }
    self->new_path = argv[optind];
    return CLI_OK;
}

// ---- Work

static bool read_image(
        const char *path, uint8_t **data, const uint8_t **out, uint32_t *len) {
    size_t bytes;
    if (!cli_read_file(path, data, &bytes)) {
        return false;
    }
    if (bytes > 0x1000000) {
        cli_refuse(COMMAND, path, BATON_ERR_IMAGE_TOO_LARGE);
        return false;
    }
    *out = *data;
    *len = (uint32_t)bytes;
    return true;
}

static void on_progress(uint32_t done, uint32_t total) {
    cli_progress("packing", done, total);
}

static int pack(struct pack *self) {
    struct codec_pack *codec = &self->codec;
    codec->profile = self->profile;
    codec->encoding = self->is_raw             ? BATON_CODEC_RAW
                      : self->old_path != NULL ? BATON_CODEC_DELTA
                                               : BATON_CODEC_PACKED;
    codec->on_progress = on_progress;
    if (!read_image(self->new_path, &self->new, &codec->new, &codec->new_len)
            || (self->old_path != NULL
                    && !read_image(self->old_path, &self->old, &codec->old,
                            &codec->old_len))) {
        return CLI_REFUSED;
    }
    if (self->old_path != NULL && codec->old_len == 0) {
        return cli_refuse(COMMAND, self->old_path, BATON_ERR_IS_EMPTY);
    }
    int err = codec_pack(codec);
    if (err != 0) {
        return cli_refuse(COMMAND, self->new_path, err);
    }
    if (!cli_write_file(self->out_path, codec->payload, codec->payload_len)) {
        return CLI_REFUSED;
    }
    if (self->as_json) {
        print_json(self);
    } else if (self->explain) {
        explain(self);
    }
    return CLI_OK;
}

int cmd_pack(int argc, char **argv) {
    struct pack self = {0};
    int c;
    while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
        if (c == 'h') {
            print_help();
            return CLI_OK;
        }
        int code = take_option(&self, c);
        if (code != CLI_OK) {
            return code;
        }
    }
    if (self.as_json) {
        cli_refuse_in_json();
    }
    int code = check_options(&self, argc, argv);
    if (code == CLI_OK) {
        code = pack(&self);
    }
    free(self.codec.payload);
    free(self.old);
    free(self.new);
    return code;
}
