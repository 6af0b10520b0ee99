// `baton key new`: makes a private key.
// SPDX-License-Identifier: MIT
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "baton/error.h"
#include "cli.h"
#include "commands.h"
#include "key_file.h"

#define COMMAND "baton key new"

static void print_help(void) {
    printf("Usage: " COMMAND " [--jwk] FILE\n\n"
           "Makes a private key (P-256) for signing releases or, as the root, "
           "key sets. The\nfile is new (one that is there is never "
           "overwritten) and yours alone (0600);\nthe public key is printed. "
           "Keep the root key off the machines that publish.\n\n"
           "  --jwk   as a JWK, in place of PEM\n"
           "  --json  print id and public key as JSON\n\n"
           "Example:\n"
           "  " COMMAND " root.pem\n"
           "  " COMMAND " release.pem\n\n"
           "'openssl ecparam -name prime256v1 -genkey -noout' makes keys that "
           "work as well.\n\n"
           "Exit codes: 0 made, 1 refused, 2 wrong usage.\n");
}

static bool create(const struct key *key, const char *path, bool as_jwk) {
    char *text = as_jwk ? key_write_jwk(key, true) : key_write_pem(key, true);
    if (text == NULL) {
        cli_refuse(COMMAND, path, BATON_ERR_NOMEM);
        return false;
    }
    bool ok = key_create_file(COMMAND, path, text);
    for (char *at = text; *at != 0; at++) {
        *at = 0;
    }
    free(text);
    return ok;
}

static void report(const struct key *key, bool as_json) {
    char text[KEY_TEXT_BYTES];
    key_write_text(key, text);
    if (as_json) {
        printf("{\"id\":\"%s\",\"public\":\"%s\"}\n", key->id, text);
    } else {
        printf("id      %s\npublic  %s\n", key->id, text);
    }
}

int cmd_key_new(int argc, char **argv) {
    static const struct option options[] = {
            {"jwk", no_argument, NULL, 'k'},
            {"json", no_argument, NULL, 'j'},
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    bool as_jwk = false;
    bool as_json = false;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'k':
            as_jwk = true;
            break;
        case 'j':
            as_json = true;
            break;
        case 'h':
            print_help();
            return CLI_OK;
        default:
            return cli_usage(COMMAND, "wrong option");
        }
    }
    if (optind + 1 != argc) {
        return cli_usage(COMMAND, "give the name of the file to make");
    }
    struct key key;
    if (!key_generate(COMMAND, &key)) {
        return CLI_REFUSED;
    }
    bool ok = create(&key, argv[optind], as_jwk);
    key_forget(&key);
    if (!ok) {
        return CLI_REFUSED;
    }
    report(&key, as_json);
    return CLI_OK;
}
