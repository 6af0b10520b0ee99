// `baton release verify`: judges a release as a device would, and its files.
// SPDX-License-Identifier: MIT
//
// The device's own code opens and judges the manifest here; nothing is taken
// from the host's JSON reader.
#define _POSIX_C_SOURCE 200809L
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "cli.h"
#include "commands.h"
#include "firmware.h"
#include "release.h"

#define COMMAND "baton release verify"

#define ID_BYTES_MAX 32u

struct verify {
    const char *path;
    const char *root_path;
    const char *keys_path;
    const char *key_path;
    const char *at_text;
    bool need_clock;
    bool has_id;
    bool has_no_files;
    bool as_json;
    uint32_t seen;
    uint16_t mpy;
    uint8_t id[ID_BYTES_MAX];
    struct baton_device_facts facts;
    struct baton_trust_time time;
    struct baton_trust trust;
    struct baton_manifest manifest;
    char *dir;
    uint8_t *data;
    const char *wrong; // the file that an error is about
};

static void print_help(void) {
    printf("Usage: " COMMAND " (--root KEY | --key KEY) [OPTIONS] FILE\n\n"
           "Judges a channel's file (www/stable.jws) as a device would that "
           "trusts this key,\nthen checks that every file it names is beside "
           "it, whole and unaltered, and that\npacked payloads (and deltas "
           "whose base is in the tree) decode to the image.\n\n"
           "  --root KEY          the root key; keys.jws is taken from beside "
           "FILE\n"
           "  --keys FILE         or from here\n"
           "  --key KEY           a release key, without any key set\n"
           "                      (keys may be public or private files)\n"
           "  --product NAME, --board NAME, --chip CHIP\n"
           "                      the device's; what is not given is not "
           "compared\n"
           "  --seen N            the highest sequence number it has seen\n"
           "  --at TIME           its clock (default now; never: it has "
           "none)\n"
           "  --need-clock        it is set to refuse while it has none\n"
           "  --slot-bytes SIZE   of the slot that would be written\n"
           "  --secure-version N  the eFuse's\n"
           "  --boot WHAT         its bootloader: none, rollback (the "
           "default)\n"
           "  --mpy VERSION       the .mpy files it has: 6.3\n"
           "  --id HEX            its id, for the rollout (default: every "
           "device)\n"
           "  --no-files          look at the manifest alone\n"
           "  --json              the verdict as JSON\n\n"
           "Example:\n"
           "  " COMMAND " --root root.pem www/stable.jws\n\n"
           "Exit codes: 0 good, 1 refused, 2 wrong usage.\n");
}

// ---- Options --------------------------------------------------------------

static const struct option options[] = {
        {"root", required_argument, NULL, 'r'},
        {"keys", required_argument, NULL, 'K'},
        {"key", required_argument, NULL, 'k'},
        {"product", required_argument, NULL, 'p'},
        {"board", required_argument, NULL, 'b'},
        {"chip", required_argument, NULL, 'c'},
        {"seen", required_argument, NULL, 's'},
        {"at", required_argument, NULL, 'a'},
        {"need-clock", no_argument, NULL, 'C'},
        {"slot-bytes", required_argument, NULL, 'S'},
        {"secure-version", required_argument, NULL, 'V'},
        {"boot", required_argument, NULL, 'B'},
        {"mpy", required_argument, NULL, 'm'},
        {"id", required_argument, NULL, 'i'},
        {"no-files", no_argument, NULL, 'n'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
};

static bool take_id(struct verify *self) {
    size_t len = strlen(optarg);
    bool ok = len > 0 && len % 2 == 0 && len / 2 <= ID_BYTES_MAX
              && strspn(optarg, "0123456789abcdefABCDEF") == len;
    for (size_t i = 0; ok && i < len / 2; i++) {
        char digits[3] = {optarg[2 * i], optarg[2 * i + 1], 0};
        self->id[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    if (!ok) {
        cli_usage(COMMAND, "--id: '%s' is not hexadecimal", optarg);
        return false;
    }
    self->has_id = true;
    self->facts.id = self->id;
    self->facts.id_len = len / 2;
    return true;
}

static bool take_fact(struct verify *self, int option) {
    switch (option) {
    case 'c':
        return firmware_parse_chip(COMMAND, optarg, &self->facts.chip_id);
    case 's':
        return cli_parse_u32("--seen", optarg, &self->seen);
    case 'S':
        return cli_parse_u32("--slot-bytes", optarg, &self->facts.slot_bytes);
    case 'V':
        return cli_parse_u32(
                "--secure-version", optarg, &self->facts.secure_version);
    case 'B':
        return release_parse_boot(COMMAND, optarg, &self->facts.bootloader);
    case 'm':
        self->facts.mpy = &self->mpy;
        self->facts.mpy_count = 1;
        return release_parse_mpy(COMMAND, optarg, &self->mpy);
    case 'i':
        return take_id(self);
    default:
        cli_usage(COMMAND, "wrong option");
        return false;
    }
}

static bool take_option(struct verify *self, int option) {
    switch (option) {
    case 'r':
        self->root_path = optarg;
        return true;
    case 'K':
        self->keys_path = optarg;
        return true;
    case 'k':
        self->key_path = optarg;
        return true;
    case 'p':
        self->facts.product = optarg;
        return true;
    case 'b':
        self->facts.board = optarg;
        return true;
    case 'a':
        self->at_text = optarg;
        return true;
    case 'C':
        self->need_clock = true;
        return true;
    case 'n':
        self->has_no_files = true;
        return true;
    case 'j':
        self->as_json = true;
        cli_refuse_in_json();
        return true;
    default:
        return take_fact(self, option);
    }
}

static bool set_time(struct verify *self) {
    uint64_t now;
    if (!release_now(COMMAND, &now)) {
        return false;
    }
    self->time = (struct baton_trust_time){.unix_s = now, .is_set = true};
    if (self->at_text != NULL) {
        self->time.is_set = strcmp(self->at_text, "never") != 0;
        return release_parse_time(
                COMMAND, "--at", self->at_text, now, &self->time.unix_s);
    }
    return true;
}

static bool parse_options(
        struct verify *self, int argc, char **argv, int *code) {
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
    if (optind + 1 != argc
            || (self->root_path == NULL) == (self->key_path == NULL)) {
        cli_usage(COMMAND, "give one file, and --root or --key");
        return false;
    }
    self->path = argv[optind];
    return set_time(self);
}

// ---- The manifest ---------------------------------------------------------

static int install_keys(struct verify *self, const char *path) {
    uint8_t *data;
    size_t len;
    if (!cli_read_file(path, &data, &len)) {
        self->wrong = NULL;
        return BATON_ERR_KEY_UNKNOWN;
    }
    int err = baton_trust_install_keys(&self->trust, baton_crypto_psa(), NULL,
            (char *)data, len, &self->time);
    free(data);
    return err;
}

static int begin_trust(struct verify *self) {
    struct key key;
    bool has_root = self->root_path != NULL;
    if (!key_read(COMMAND, has_root ? self->root_path : self->key_path, false,
                &key)) {
        return BATON_ERR_KEY_FORMAT;
    }
    key_forget(&key);
    baton_trust_load(&self->trust, NULL);
    if (!has_root) {
        return baton_trust_pin_key(&self->trust, key.point);
    }
    char *beside = release_join(self->dir, RELEASE_KEYS_NAME);
    const char *path = self->keys_path != NULL ? self->keys_path : beside;
    self->wrong = path;
    int err = baton_trust_set_root(&self->trust, NULL, key.point);
    err = err != 0 || path == NULL ? err : install_keys(self, path);
    if (err != 0 && self->wrong != NULL) {
        cli_refuse(COMMAND, path, err);
    }
    free(beside);
    return err;
}

static int judge(struct verify *self) {
    size_t len;
    if (!cli_read_file(self->path, &self->data, &len)) {
        return BATON_ERR_IO;
    }
    const struct baton_crypto *crypto = baton_crypto_psa();
    int err = baton_manifest_open(
            &self->manifest, (char *)self->data, len, &self->trust, crypto);
    const struct baton_manifest_options judge_options = {
            .need_clock = self->need_clock, .ignore_rollout = !self->has_id};
    if (err == 0) {
        err = baton_trust_note_sequence(&self->trust, NULL, self->seen);
    }
    if (err == 0) {
        err = baton_manifest_judge(&self->manifest, &self->trust, crypto,
                &self->facts, &self->time, &judge_options);
    }
    if (err != 0) {
        cli_refuse(COMMAND, self->path, err);
    }
    return err;
}

// ---- The files ------------------------------------------------------------

static bool complain(const char *path, const char *what) {
    fprintf(stderr,
            COMMAND ": %s: %s\n  next: publish the release again with 'baton "
                    "release make'\n",
            path, what);
    return false;
}

// Reads a file of the tree and holds it against length and digest.
static uint8_t *read_file(const struct verify *self, const char *path,
        uint32_t bytes, const uint8_t *sha256) {
    char *full = release_join(self->dir, path);
    uint8_t *data = NULL;
    size_t len;
    uint8_t digest[BATON_SHA256_BYTES];
    if (full == NULL || !cli_read_file(full, &data, &len)) {
        free(full);
        return NULL;
    }
    bool ok = len == bytes && release_sha256(data, len, digest)
              && memcmp(digest, sha256, sizeof(digest)) == 0;
    if (!ok) {
        complain(full, len != bytes ? "has another length than the manifest "
                                      "says"
                                    : "is not what the manifest says (SHA-256 "
                                      "differs)");
        free(data);
        data = NULL;
    }
    free(full);
    return data;
}

// The list is the image's, and the image one that a device can take.
static bool check_image(
        const struct verify *self, const uint8_t *image, const uint8_t *list) {
    static struct firmware firmware;
    size_t len;
    uint8_t *wanted =
            release_make_list(image, self->manifest.image_bytes, &len);
    bool is_list = wanted != NULL && len == self->manifest.list_bytes
                   && memcmp(wanted, list, len) == 0;
    free(wanted);
    firmware_survey(&firmware, image, self->manifest.image_bytes);
    if (firmware.err != 0) {
        cli_refuse(COMMAND, "the image", firmware.err);
        return false;
    }
    if (firmware.image.info.header.chip_id != self->manifest.chip_id) {
        cli_refuse(COMMAND, "the image", BATON_ERR_IMAGE_CHIP);
        return false;
    }
    return is_list
           || complain(self->manifest.list_path,
                   "is not the sector list of this image");
}

static bool check_payload(const struct verify *self,
        const struct baton_manifest_payload *payload, const uint8_t *data,
        const uint8_t *list) {
    if (payload->encoding == BATON_CODEC_RAW) {
        return check_image(self, data, list);
    }
    int err = payload->encoding <= BATON_CODEC_DELTA ? release_decode(
                      self->dir, &self->manifest, payload, data)
                                                     : 0; // of a later release
    if (err != 0) {
        cli_refuse(COMMAND, payload->path, err);
    }
    return err == 0;
}

static bool check_files(const struct verify *self) {
    const struct baton_manifest *m = &self->manifest;
    uint8_t *list =
            read_file(self, m->list_path, m->list_bytes, m->list_sha256);
    bool ok = list != NULL;
    for (unsigned i = 0; i < m->payload_count; i++) {
        const struct baton_manifest_payload *payload = &m->payloads[i];
        uint8_t *data =
                read_file(self, payload->path, payload->bytes, payload->sha256);
        ok = data != NULL && ok;
        ok = ok && check_payload(self, payload, data, list);
        free(data);
    }
    free(list);
    return ok;
}

// ---- The command ----------------------------------------------------------

static int run(struct verify *self) {
    if (begin_trust(self) != 0 || judge(self) != 0
            || (!self->has_no_files && !check_files(self))) {
        return CLI_REFUSED;
    }
    const struct baton_manifest *m = &self->manifest;
    if (self->as_json) {
        printf("{\"ok\":true,\"sequence\":%u,\"payloads\":%u}\n",
                (unsigned)m->sequence, m->payload_count);
    } else {
        printf("%s: good: %s %s, sequence %u\n", self->path, m->product,
                m->version, (unsigned)m->sequence);
    }
    return CLI_OK;
}

static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? strdup(".")
                         : strndup(path, (size_t)(slash - path) + 1);
}

int cmd_release_verify(int argc, char **argv) {
    static struct verify self = {
            .facts = {.chip_id = BATON_CHIP_ANY,
                    .slot_bytes = UINT32_MAX,
                    .bootloader = BATON_BOOTLOADER_ROLLBACK}};
    int code;
    if (parse_options(&self, argc, argv, &code)) {
        self.dir = folder_of(self.path);
        code = self.dir != NULL ? run(&self) : CLI_REFUSED;
    }
    free(self.dir);
    free(self.data);
    return code;
}
