// `baton release keys`: makes the key set that the root key signs.
// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "baton/error.h"
#include "baton/jws.h"
#include "cli.h"
#include "commands.h"
#include "release.h"

#define COMMAND "baton release keys"

struct keys_run {
    const char *dir;
    const char *out_path;
    const char *root_path;
    const char *expires_text;
    const char *version_text;
    uint32_t version;
    uint32_t sequence;
    char *path;
    char **key_paths;
    int key_count;
};

static void print_help(void) {
    printf("Usage: " COMMAND " --dir TREE --root KEY [OPTIONS] RELEASEKEY ...\n"
           "\n"
           "Makes keys.jws: the keys whose releases devices take from now on, "
           "all of them, up\nto four. To withdraw a key, leave it out. Only "
           "this needs the root key; -o makes\nthe file where that is kept, "
           "to be carried to the tree.\n\n"
           "  --dir TREE          the folder of the releases\n"
           "  -o FILE             or the file to make\n"
           "  --root KEY          the root key, a private one\n"
           "  --version N         default auto: one more than the file that "
           "is there\n"
           "  --expires TIME      2y (the default), 2027-01-31, never: then "
           "no release is\n                      taken until a new key set "
           "is there\n"
           "  --reset-sequence N  the highest sequence number becomes N: "
           "after a stolen key\n                      signed a higher one\n\n"
           "Example:\n"
           "  " COMMAND " --dir www --root root.pem release.pem\n\n"
           "A release key may be given by its private or its public file; "
           "only the public part\nis published.\n\n"
           "Exit codes: 0 published, 1 refused, 2 wrong usage.\n");
}

static bool take_option(struct keys_run *self, int option) {
    switch (option) {
    case 'd':
        self->dir = optarg;
        return true;
    case 'o':
        self->out_path = optarg;
        return true;
    case 'r':
        self->root_path = optarg;
        return true;
    case 'v':
        self->version_text = optarg;
        return strcmp(optarg, "auto") == 0
               || cli_parse_u32("--version", optarg, &self->version);
    case 'e':
        self->expires_text = optarg;
        return true;
    case 's':
        return cli_parse_u32("--reset-sequence", optarg, &self->sequence);
    default:
        cli_usage(COMMAND, "wrong option");
        return false;
    }
}

static bool parse_options(
        struct keys_run *self, int argc, char **argv, int *code) {
    static const struct option options[] = {
            {"dir", required_argument, NULL, 'd'},
            {"output", required_argument, NULL, 'o'},
            {"root", required_argument, NULL, 'r'},
            {"version", required_argument, NULL, 'v'},
            {"expires", required_argument, NULL, 'e'},
            {"reset-sequence", required_argument, NULL, 's'},
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    int option;
    *code = CLI_USAGE;
    while ((option = getopt_long(argc, argv, "ho:", options, NULL)) != -1) {
        if (option == 'h') {
            print_help();
            *code = CLI_OK;
            return false;
        }
        if (!take_option(self, option)) {
            return false;
        }
    }
    self->key_paths = argv + optind;
    self->key_count = argc - optind;
    if ((self->dir != NULL) == (self->out_path != NULL)
            || self->root_path == NULL || self->key_count < 1
            || self->key_count > (int)BATON_TRUST_KEYS_MAX) {
        cli_usage(COMMAND, "give --dir or -o, --root, and one to four keys");
        return false;
    }
    return true;
}

static bool find_version(struct keys_run *self, const struct key *root) {
    struct stat st;
    if (strcmp(self->version_text, "auto") != 0) {
        return true;
    }
    self->version = 1;
    if (stat(self->path, &st) != 0) {
        return true;
    }
    struct release_document now;
    if (!release_document_open(
                COMMAND, self->path, BATON_JWS_TYPE_KEYS, root, 1, &now)) {
        fprintf(stderr, "  The key set that is there is not by this root: give "
                        "--version.\n");
        return false;
    }
    self->version = (uint32_t)release_number(now.payload, "version") + 1;
    release_document_free(&now);
    return true;
}

static bool add_keys(
        const struct keys_run *self, const struct key *root, cJSON *list) {
    for (int i = 0; i < self->key_count; i++) {
        struct key key;
        if (!key_read(COMMAND, self->key_paths[i], false, &key)) {
            return false;
        }
        bool is_root = strcmp(key.id, root->id) == 0;
        key_forget(&key);
        if (is_root) {
            cli_usage(COMMAND,
                    "%s: this is the root key; releases need a key of their "
                    "own",
                    self->key_paths[i]);
            return false;
        }
        char *text = key_write_jwk(&key, false);
        cJSON_AddItemToArray(list, cJSON_Parse(text));
        free(text);
    }
    return true;
}

static int publish(struct keys_run *self, const struct key *root) {
    uint64_t now;
    uint64_t expires;
    if (!release_now(COMMAND, &now)
            || !release_parse_time(
                    COMMAND, "--expires", self->expires_text, now, &expires)) {
        return CLI_USAGE;
    }
    cJSON *payload = cJSON_CreateObject();
    cJSON_AddNumberToObject(payload, "format", 1);
    cJSON_AddNumberToObject(payload, "version", self->version);
    cJSON_AddNumberToObject(payload, "expires", (double)expires);
    if (self->sequence != 0) {
        cJSON_AddNumberToObject(payload, "sequence", self->sequence);
    }
    char *jws = NULL;
    if (add_keys(self, root, cJSON_AddArrayToObject(payload, "keys"))) {
        jws = release_sign(COMMAND, payload, BATON_JWS_TYPE_KEYS, root);
    }
    cJSON_Delete(payload);
    bool ok = jws != NULL && release_publish(COMMAND, self->path, jws);
    free(jws);
    if (ok) {
        printf("%s: version %u, %d %s\n", self->path, (unsigned)self->version,
                self->key_count, self->key_count == 1 ? "key" : "keys");
    }
    return ok ? CLI_OK : CLI_REFUSED;
}

int cmd_release_keys(int argc, char **argv) {
    struct keys_run self = {.expires_text = "2y", .version_text = "auto"};
    int code;
    if (!parse_options(&self, argc, argv, &code)) {
        return code;
    }
    self.path = self.dir != NULL ? release_join(self.dir, RELEASE_KEYS_NAME)
                                 : strdup(self.out_path);
    struct key root;
    code = CLI_REFUSED;
    if (self.path != NULL
            && (self.dir == NULL || release_make_folder(COMMAND, self.dir))
            && key_read(COMMAND, self.root_path, true, &root)) {
        code = find_version(&self, &root) ? publish(&self, &root) : CLI_REFUSED;
        key_forget(&root);
    }
    free(self.path);
    return code;
}
