// `baton release sign`, `expire`, `rollout`: a published release signed anew.
// SPDX-License-Identifier: MIT
//
// The sequence number stays: devices that run this release do nothing, and all
// others see the same image under new terms.
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton/error.h"
#include "baton/jws.h"
#include "cli.h"
#include "commands.h"
#include "release.h"

enum change { CHANGE_SIGN, CHANGE_EXPIRE, CHANGE_ROLLOUT };

struct change_run {
    enum change what;
    const char *command;
    const char *dir;
    const char *channel;
    const char *key_path;
    const char *was_path; // the key before it
    const char *expires_text;
    const char *in_path;  // a payload to sign, in place of the channel's
    const char *out_path; // and where to
    uint16_t permille;
};

static void print_help(const struct change_run *self) {
    printf("Usage: %s --dir TREE --key KEY [OPTIONS]%s\n\n", self->command,
            self->what == CHANGE_ROLLOUT ? " PERCENT" : "");
    switch (self->what) {
    case CHANGE_SIGN:
        printf("Signs a channel's release again, with a new time and expiry: "
               "before the old one\nexpires, or by another key. Or signs a "
               "manifest written by hand.\n\n");
        break;
    case CHANGE_EXPIRE:
        printf("Withdraws a channel's release: it expires now, and is rolled "
               "out to no device.\nDevices that have it keep it; publish a "
               "higher sequence number to replace it.\n\n");
        break;
    default:
        printf("Sets the share of devices that take a channel's release. Those "
               "in at 10 %% are in\nat 25 %%, too; a lower number stops "
               "devices that have not started. 0 halts.\n\n");
    }
    printf("  --dir TREE        the folder of the release\n"
           "  --channel NAME    default stable\n"
           "  --key KEY         the release key, a private one; the release is "
           "by it, or by\n"
           "  --was KEY         the key before it: anybody else's is "
           "refused\n");
    if (self->what == CHANGE_SIGN) {
        printf("  --expires TIME    90d (the default), 12h, 2027-01-31, never\n"
               "  --payload FILE    sign this JSON as it is, in place of the "
               "channel's\n"
               "  -o FILE           and write it here\n");
    }
    printf("\nExample:\n  %s --dir www --key release.pem%s\n\n"
           "Exit codes: 0 published, 1 refused, 2 wrong usage.\n",
            self->command, self->what == CHANGE_ROLLOUT ? " 25" : "");
}

static bool take_option(struct change_run *self, int option) {
    bool is_sign = self->what == CHANGE_SIGN;
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
    case 'w':
        self->was_path = optarg;
        return true;
    case 'e':
        self->expires_text = optarg;
        return is_sign;
    case 'p':
        self->in_path = optarg;
        return is_sign;
    case 'o':
        self->out_path = optarg;
        return is_sign;
    default:
        return false;
    }
}

static bool parse_options(
        struct change_run *self, int argc, char **argv, int *code) {
    static const struct option options[] = {
            {"dir", required_argument, NULL, 'd'},
            {"channel", required_argument, NULL, 'c'},
            {"key", required_argument, NULL, 'k'},
            {"was", required_argument, NULL, 'w'},
            {"expires", required_argument, NULL, 'e'},
            {"payload", required_argument, NULL, 'p'},
            {"output", required_argument, NULL, 'o'},
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    int option;
    *code = CLI_USAGE;
    while ((option = getopt_long(argc, argv, "ho:", options, NULL)) != -1) {
        if (option == 'h') {
            print_help(self);
            *code = CLI_OK;
            return false;
        }
        if (!take_option(self, option)) {
            cli_usage(self->command, "wrong option");
            return false;
        }
    }
    int wanted = self->what == CHANGE_ROLLOUT ? 1 : 0;
    bool is_file = self->in_path != NULL && self->out_path != NULL;
    bool has_place = (self->dir != NULL) != is_file
                     && (self->in_path != NULL) == (self->out_path != NULL);
    if (optind + wanted != argc || !has_place || self->key_path == NULL) {
        cli_usage(self->command, "give --dir and --key%s%s",
                wanted == 1 ? ", and the percentage" : "",
                self->what == CHANGE_SIGN ? ", or --payload, -o and --key"
                                          : "");
        return false;
    }
    return wanted == 0
           || release_parse_percent(
                   self->command, argv[optind], &self->permille);
}

static void set_permille(cJSON *payload, uint16_t permille) {
    cJSON *rollout = cJSON_GetObjectItemCaseSensitive(payload, "rollout");
    if (!cJSON_IsObject(rollout)) {
        rollout = cJSON_AddObjectToObject(payload, "rollout");
        cJSON_AddStringToObject(rollout, "salt", "");
    }
    release_set_number(rollout, "permille", permille);
}

static bool change_payload(const struct change_run *self, cJSON *payload) {
    uint64_t now;
    uint64_t expires;
    if (!release_now(self->command, &now)) {
        return false;
    }
    switch (self->what) {
    case CHANGE_SIGN:
        if (!release_parse_time(self->command, "--expires", self->expires_text,
                    now, &expires)) {
            return false;
        }
        release_set_number(payload, "issued", (double)now);
        release_set_number(payload, "expires", (double)expires);
        return true;
    case CHANGE_EXPIRE:
        // It must have been valid for a second.
        if (release_number(payload, "issued") >= (double)now) {
            release_set_number(payload, "issued", (double)now - 1);
        }
        release_set_number(payload, "expires", (double)now);
        set_permille(payload, 0);
        return true;
    default:
        set_permille(payload, self->permille);
        return true;
    }
}

static int publish(const struct change_run *self, const cJSON *payload,
        const struct key *key, const char *path) {
    char *jws =
            release_sign(self->command, payload, BATON_JWS_TYPE_RELEASE, key);
    bool ok = jws != NULL && release_publish(self->command, path, jws);
    free(jws);
    return ok ? CLI_OK : CLI_REFUSED;
}

static int sign_file(const struct change_run *self, const struct key *key) {
    uint8_t *data;
    size_t len;
    if (!cli_read_file(self->in_path, &data, &len)) {
        return CLI_REFUSED;
    }
    int err = baton_json_check((char *)data, len);
    cJSON *payload = err == 0 ? cJSON_Parse((char *)data) : NULL;
    free(data);
    int code = payload != NULL ? publish(self, payload, key, self->out_path)
                               : cli_refuse(self->command, self->in_path,
                                       err != 0 ? err : BATON_ERR_JSON_FORMAT);
    cJSON_Delete(payload);
    return code;
}

// keys: the one that signs, then the one before it where that was given.
static int change_channel(const struct change_run *self, const char *path,
        const struct key *keys, size_t key_count) {
    struct release_document document;
    if (!release_document_open(self->command, path, BATON_JWS_TYPE_RELEASE,
                keys, key_count, &document)) {
        return CLI_REFUSED;
    }
    int code = change_payload(self, document.payload)
                       ? publish(self, document.payload, &keys[0], path)
                       : CLI_USAGE;
    release_document_free(&document);
    return code;
}

static int run_with_keys(const struct change_run *self, struct key *keys) {
    size_t key_count = self->was_path != NULL ? 2 : 1;
    if (!key_read(self->command, self->key_path, true, &keys[0])
            || (key_count == 2
                    && !key_read(
                            self->command, self->was_path, false, &keys[1]))) {
        return CLI_REFUSED;
    }
    if (self->in_path != NULL) {
        return sign_file(self, &keys[0]);
    }
    char *path = release_channel_path(self->command, self->dir, self->channel);
    int code = path != NULL ? change_channel(self, path, keys, key_count)
                            : CLI_USAGE;
    free(path);
    return code;
}

static int run(enum change what, const char *command, int argc, char **argv) {
    struct change_run self = {.what = what,
            .command = command,
            .channel = "stable",
            .expires_text = "90d"};
    int code;
    if (!parse_options(&self, argc, argv, &code)) {
        return code;
    }
    static struct key keys[2];
    code = run_with_keys(&self, keys);
    key_forget(&keys[0]);
    key_forget(&keys[1]);
    return code;
}

int cmd_release_sign(int argc, char **argv) {
    return run(CHANGE_SIGN, "baton release sign", argc, argv);
}

int cmd_release_expire(int argc, char **argv) {
    return run(CHANGE_EXPIRE, "baton release expire", argc, argv);
}

int cmd_release_rollout(int argc, char **argv) {
    return run(CHANGE_ROLLOUT, "baton release rollout", argc, argv);
}
