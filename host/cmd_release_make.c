// `baton release make`: publishes an image as a signed release.
// SPDX-License-Identifier: MIT
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "baton/base64.h"
#include "baton/error.h"
#include "baton/jws.h"
#include "cli.h"
#include "commands.h"
#include "firmware.h"
#include "release.h"

#define COMMAND "baton release make"

struct make {
    const char *image_path;
    const char *dir;
    const char *channel;
    const char *key_path;
    const char *product;
    const char *board;
    const char *version;
    const char *notes;
    const char *salt;
    const char *expires_text;
    const char *sequence_text;
    bool has_mpy;
    bool as_json;
    uint16_t mpy;
    uint16_t permille;
    uint8_t boot;
    uint8_t profile;
    bool is_raw_only;
    bool is_from_channel;
    const char *base_paths[RELEASE_BASES_MAX];
    size_t base_count;
    char *channel_base; // the image that the channel has now
    uint32_t sequence;
    uint64_t issued;
    uint64_t expires;
    char *channel_path;
    struct key key;
    struct firmware *firmware;
    uint8_t *image;
    size_t image_len;
    cJSON *payload;
};

static void print_help(void) {
    printf("Usage: " COMMAND " IMAGE --dir TREE --key KEY --product NAME "
           "[OPTIONS]\n\n"
           "Publishes an application image: payload and sector list under "
           "names that carry\ntheir digest, and at last the channel's signed "
           "manifest, replaced at once. TREE is\na folder for any web server. "
           "The new release is one that devices with this key\ntake, or "
           "nothing is published.\n\n"
           "  --dir TREE        the folder; made where missing\n"
           "  --channel NAME    which file in it (default stable: "
           "stable.jws)\n"
           "  --key KEY         the release key, a private one\n"
           "  --product NAME    devices of another product refuse it\n"
           "  --board NAME      and those of another board (default: any)\n"
           "  --version TEXT    default: the image's own\n"
           "  --sequence N      devices take none below the highest seen;\n"
           "                    default auto: one more than the channel "
           "has by this\n                    key\n"
           "  --expires TIME    90d (the default), 12h, 2027-01-31, never\n"
           "  --rollout PERCENT of devices that take it now (default 100)\n"
           "  --salt TEXT       another salt, other devices first (default: "
           "by image)\n"
           "  --boot WHAT       what the bootloader must do: none (default), "
           "rollback\n"
           "  --mpy VERSION     of .mpy files that the image loads: 6.3, "
           "none (default:\n                    by its MicroPython "
           "version)\n"
           "  --notes TEXT      for people\n"
           "  --from IMAGE      add a delta for devices that run this one (up "
           "to 5 times)\n"
           "  --from-channel    and for those that run what the channel has "
           "now\n"
           "  --profile S|M     memory for packed payloads and deltas: 16 KiB "
           "(default),\n                    32 KiB\n"
           "  --raw-only        do not pack\n"
           "  --json            report as JSON\n\n"
           "Example:\n"
           "  " COMMAND " lamp.app-bin --dir www --key release.pem \\\n"
           "      --product lamp --rollout 25\n\n"
           "Exit codes: 0 published, 1 refused, 2 wrong usage.\n");
}

// ---- Options --------------------------------------------------------------

static const struct option options[] = {
        {"dir", required_argument, NULL, 'd'},
        {"channel", required_argument, NULL, 'c'},
        {"key", required_argument, NULL, 'k'},
        {"product", required_argument, NULL, 'p'},
        {"board", required_argument, NULL, 'b'},
        {"version", required_argument, NULL, 'v'},
        {"sequence", required_argument, NULL, 's'},
        {"expires", required_argument, NULL, 'e'},
        {"rollout", required_argument, NULL, 'r'},
        {"salt", required_argument, NULL, 'S'},
        {"boot", required_argument, NULL, 'B'},
        {"mpy", required_argument, NULL, 'm'},
        {"notes", required_argument, NULL, 'n'},
        {"from", required_argument, NULL, 'f'},
        {"from-channel", no_argument, NULL, 'F'},
        {"profile", required_argument, NULL, 'P'},
        {"raw-only", no_argument, NULL, 'R'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
};

static bool take_base(struct make *self, const char *path) {
    if (self->base_count == RELEASE_BASES_MAX) {
        cli_usage(COMMAND, "--from: a manifest has room for %u deltas",
                RELEASE_BASES_MAX);
        return false;
    }
    self->base_paths[self->base_count] = path;
    self->base_count++;
    return true;
}

static bool take_payload_option(struct make *self, int option) {
    switch (option) {
    case 'f':
        return take_base(self, optarg);
    case 'F':
        self->is_from_channel = true;
        return true;
    case 'P':
        self->profile = strcmp(optarg, "M") == 0 ? BATON_CODEC_PROFILE_M
                                                 : BATON_CODEC_PROFILE_S;
        if (strcmp(optarg, "S") != 0 && strcmp(optarg, "M") != 0) {
            cli_usage(COMMAND, "--profile: '%s' is neither S nor M", optarg);
            return false;
        }
        return true;
    case 'R':
        self->is_raw_only = true;
        return true;
    default:
        cli_usage(COMMAND, "wrong option");
        return false;
    }
}

static bool take_text(struct make *self, int option) {
    switch (option) {
    case 'd':
        self->dir = optarg;
        return true;
    case 'c':
        self->channel = optarg;
        return true;
    case 'k':
        self->key_path = optarg;
        return true;
    case 'p':
        self->product = optarg;
        return true;
    case 'b':
        self->board = optarg;
        return true;
    case 'v':
        self->version = optarg;
        return true;
    case 'n':
        self->notes = optarg;
        return true;
    case 'S':
        self->salt = optarg;
        return true;
    default:
        return take_payload_option(self, option);
    }
}

static bool take_option(struct make *self, int option) {
    switch (option) {
    case 's':
        self->sequence_text = optarg;
        return strcmp(optarg, "auto") == 0
               || cli_parse_u32("--sequence", optarg, &self->sequence);
    case 'e':
        self->expires_text = optarg;
        return true;
    case 'r':
        return release_parse_percent(COMMAND, optarg, &self->permille);
    case 'B':
        return release_parse_boot(COMMAND, optarg, &self->boot);
    case 'm':
        self->has_mpy = true;
        return release_parse_mpy(COMMAND, optarg, &self->mpy);
    case 'j':
        self->as_json = true;
        cli_refuse_in_json();
        return true;
    default:
        return take_text(self, option);
    }
}

static bool parse_options(struct make *self, int argc, char **argv, int *code) {
    int option;
    *code = CLI_USAGE;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            print_help();
            *code = CLI_OK;
            return false;
        }
        if (!take_option(self, option)) {
            return false;
        }
    }
    if (optind + 1 != argc || self->dir == NULL || self->key_path == NULL
            || self->product == NULL) {
        cli_usage(COMMAND, "give one image, --dir, --key and --product");
        return false;
    }
    self->image_path = argv[optind];
    if (!release_now(COMMAND, &self->issued)
            || !release_parse_time(COMMAND, "--expires", self->expires_text,
                    self->issued, &self->expires)) {
        return false;
    }
    self->channel_path =
            release_channel_path(COMMAND, self->dir, self->channel);
    return self->channel_path != NULL;
}

// ---- The image ------------------------------------------------------------

static bool read_image(struct make *self) {
    if (!cli_read_file(self->image_path, &self->image, &self->image_len)) {
        return false;
    }
    self->firmware = malloc(sizeof(*self->firmware));
    if (self->firmware == NULL) {
        cli_refuse(COMMAND, self->image_path, BATON_ERR_NOMEM);
        return false;
    }
    firmware_survey(self->firmware, self->image, self->image_len);
    if (self->firmware->err != 0) {
        cli_refuse(COMMAND, self->image_path, self->firmware->err);
        return false;
    }
    return true;
}

static bool find_version(struct make *self) {
    const char *from;
    if (self->version == NULL) {
        self->version = firmware_version(&self->firmware->image, &from);
    }
    if (self->version[0] == 0) {
        cli_usage(COMMAND, "the image does not say its version: give "
                           "--version");
        return false;
    }
    const struct baton_names *names = &self->firmware->image.names;
    if (self->has_mpy || strcmp(names->system, "MicroPython") != 0) {
        return true;
    }
    self->mpy = release_mpy_of(names->version);
    if (self->mpy == 0) {
        cli_usage(COMMAND,
                "MicroPython %s is not known here: give --mpy (in it, "
                "sys.implementation._mpy & 0xff, and >> 8 & 3)",
                names->version);
    }
    return self->mpy != 0;
}

// One more than what the channel has.
static bool find_sequence(struct make *self, const cJSON *now) {
    double last = release_number(now, "sequence");
    if (strcmp(self->sequence_text, "auto") != 0) {
        return true;
    }
    if (last < 1 || last >= UINT32_MAX) {
        cli_usage(COMMAND,
                "%s: there is no number after its sequence number; a key set "
                "with --reset-sequence starts again, then give --sequence",
                self->channel_path);
        return false;
    }
    self->sequence = (uint32_t)last + 1;
    return true;
}

// The raw payload of what the channel has.
static bool find_channel_base(struct make *self, const cJSON *now) {
    const cJSON *item;
    cJSON_ArrayForEach(
            item, cJSON_GetObjectItemCaseSensitive(now, "payloads")) {
        if (strcmp(release_text(item, "encoding"), "raw") == 0) {
            self->channel_base =
                    release_join(self->dir, release_text(item, "path"));
            return self->channel_base != NULL
                   && take_base(self, self->channel_base);
        }
    }
    return true;
}

// A channel that is not there yet begins at 1.
static bool read_channel(struct make *self) {
    struct stat st;
    struct release_document now;
    if (stat(self->channel_path, &st) != 0) {
        bool is_auto = strcmp(self->sequence_text, "auto") == 0;
        self->sequence = is_auto ? 1 : self->sequence;
        return true;
    }
    // What somebody else put there decides nothing: a number from it could be
    // the last there is.
    bool is_needed =
            strcmp(self->sequence_text, "auto") == 0 || self->is_from_channel;
    if (!is_needed) {
        return true;
    }
    if (!release_document_open(COMMAND, self->channel_path,
                BATON_JWS_TYPE_RELEASE, &self->key, 1, &now)) {
        fprintf(stderr, "  The channel's present release is not by this key: "
                        "give --sequence, and no --from-channel.\n");
        return false;
    }
    bool ok =
            find_sequence(self, now.payload)
            && (!self->is_from_channel || find_channel_base(self, now.payload));
    release_document_free(&now);
    return ok;
}

// ---- The manifest ---------------------------------------------------------

static bool add_list(struct make *self) {
    char path[RELEASE_PATH_BYTES];
    size_t len;
    uint8_t *list = release_make_list(self->image, self->image_len, &len);
    if (list == NULL) {
        cli_refuse(COMMAND, self->image_path, BATON_ERR_NOMEM);
        return false;
    }
    bool ok = release_put(COMMAND, self->dir, "lists", "", list, len, path);
    if (ok) {
        release_add_file(cJSON_AddObjectToObject(self->payload, "list"), list,
                len, path);
    }
    free(list);
    return ok;
}

static bool add_payloads(struct make *self) {
    const struct release_image image = {
            .command = COMMAND,
            .dir = self->dir,
            .data = self->image,
            .len = self->image_len,
            .profile = self->profile,
            .is_raw_only = self->is_raw_only,
            .base_count = self->base_count,
    };
    struct release_image filled = image;
    memcpy(filled.base_paths, self->base_paths, sizeof(filled.base_paths));
    return release_add_payloads(
            &filled, cJSON_AddArrayToObject(self->payload, "payloads"));
}

static void add_rollout(struct make *self) {
    char salt[16];
    uint8_t digest[BATON_SHA256_BYTES];
    release_sha256(self->image, self->image_len, digest);
    baton_base64_encode(digest, 8, salt);
    cJSON *rollout = cJSON_AddObjectToObject(self->payload, "rollout");
    cJSON_AddNumberToObject(rollout, "permille", self->permille);
    cJSON_AddStringToObject(
            rollout, "salt", self->salt != NULL ? self->salt : salt);
}

static bool build(struct make *self) {
    cJSON *m = cJSON_CreateObject();
    self->payload = m;
    const struct baton_image_info *info = &self->firmware->image.info;
    cJSON_AddNumberToObject(m, "format", 1);
    cJSON_AddStringToObject(m, "product", self->product);
    if (self->board != NULL) {
        cJSON_AddStringToObject(m, "board", self->board);
    }
    cJSON_AddNumberToObject(m, "chip", info->header.chip_id);
    cJSON_AddStringToObject(m, "version", self->version);
    cJSON_AddNumberToObject(m, "sequence", self->sequence);
    cJSON_AddNumberToObject(m, "issued", (double)self->issued);
    cJSON_AddNumberToObject(m, "expires", (double)self->expires);
    release_add_file(cJSON_AddObjectToObject(m, "image"), self->image,
            self->image_len, NULL);
    if (!add_list(self) || !add_payloads(self)) {
        return false;
    }
    add_rollout(self);
    cJSON_AddNumberToObject(m, "boot", self->boot);
    cJSON_AddNumberToObject(
            m, "secure_version", info->descriptor.secure_version);
    cJSON_AddNumberToObject(m, "mpy", self->mpy);
    if (self->notes != NULL) {
        cJSON_AddStringToObject(m, "notes", self->notes);
    }
    return true;
}

static void report(const struct make *self) {
    char expires[24];
    release_format_time(self->expires, expires);
    if (self->as_json) {
        cJSON *json = cJSON_CreateObject();
        cJSON_AddTrueToObject(json, "ok");
        cJSON_AddStringToObject(json, "file", self->channel_path);
        cJSON_AddItemReferenceToObject(json, "payload", self->payload);
        char *text = cJSON_PrintUnformatted(json);
        printf("%s\n", text != NULL ? text : "{}");
        free(text);
        cJSON_Delete(json);
        return;
    }
    printf("%s: %s %s, sequence %u, %u.%u %% of devices, expires %s\n",
            self->channel_path, self->product, self->version,
            (unsigned)self->sequence, self->permille / 10u,
            self->permille % 10u, expires);
}

static int run(struct make *self) {
    if (!read_image(self)) {
        return CLI_REFUSED;
    }
    if (!find_version(self)) {
        return CLI_USAGE;
    }
    if (!key_read(COMMAND, self->key_path, true, &self->key)
            || !read_channel(self) || !build(self)) {
        return CLI_REFUSED;
    }
    char *jws = release_sign(
            COMMAND, self->payload, BATON_JWS_TYPE_RELEASE, &self->key);
    bool ok = jws != NULL && release_publish(COMMAND, self->channel_path, jws);
    free(jws);
    if (!ok) {
        return CLI_REFUSED;
    }
    report(self);
    return CLI_OK;
}

int cmd_release_make(int argc, char **argv) {
    static struct make self = {.channel = "stable",
            .expires_text = "90d",
            .sequence_text = "auto",
            .permille = 1000};
    int code;
    if (parse_options(&self, argc, argv, &code)) {
        code = run(&self);
    }
    key_forget(&self.key);
    cJSON_Delete(self.payload);
    free(self.channel_path);
    free(self.channel_base);
    free(self.firmware);
    free(self.image);
    return code;
}
