// `baton key show`: the public key and its id; other forms of a key.
// SPDX-License-Identifier: MIT
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton/error.h"
#include "cli.h"
#include "commands.h"
#include "key_file.h"

#define COMMAND "baton key show"

enum form {
    FORM_SUMMARY,
    FORM_TEXT,
    FORM_ID,
    FORM_JWK,
    FORM_PEM,
    FORM_C,
    FORM_JSON
};

static void print_help(void) {
    printf("Usage: " COMMAND " [FORM] [--private -o FILE] KEY\n\n"
           "Shows the public key of a key file: PEM (also made by openssl), "
           "JWK (also made by\njose), or the text x.y. Nothing secret is "
           "printed; a private key in another form\ngoes to a new file of "
           "mode 0600.\n\n"
           "  --text      x.y, as devices and 'baton.update(keys=...)' take "
           "it\n"
           "  --id        its id, as in a signed document's kid\n"
           "  --jwk       a JWK\n"
           "  --pem       PEM\n"
           "  --c         the 64 bytes for a C array\n"
           "  --json      all about it\n"
           "  --private   the private key, with --jwk or --pem\n"
           "  -o FILE     the new file for it\n\n"
           "Example:\n"
           "  " COMMAND " --c root.pem\n"
           "  " COMMAND " --private --jwk -o release.jwk release.pem\n\n"
           "Exit codes: 0 shown, 1 not a key, 2 wrong usage.\n");
}

static void print_c(const struct key *key) {
    printf("// P-256, id %s\n", key->id);
    for (size_t i = 0; i < BATON_P256_KEY_BYTES; i++) {
        printf("0x%02X,%s", key->point[i], i % 8 == 7 ? "\n" : " ");
    }
}

static int print_made(char *text) {
    if (text == NULL) {
        return cli_refuse(COMMAND, NULL, BATON_ERR_NOMEM);
    }
    printf("%s", text);
    free(text);
    return CLI_OK;
}

static int show(const struct key *key, enum form form) {
    char text[KEY_TEXT_BYTES];
    key_write_text(key, text);
    switch (form) {
    case FORM_TEXT:
        printf("%s\n", text);
        return CLI_OK;
    case FORM_ID:
        printf("%s\n", key->id);
        return CLI_OK;
    case FORM_JWK:
        return print_made(key_write_jwk(key, false));
    case FORM_PEM:
        return print_made(key_write_pem(key, false));
    case FORM_C:
        print_c(key);
        return CLI_OK;
    case FORM_JSON:
        printf("{\"id\":\"%s\",\"public\":\"%s\",\"private\":%s}\n", key->id,
                text, key->is_private ? "true" : "false");
        return CLI_OK;
    default:
        printf("id      %s\npublic  %s\nfile    %s\n", key->id, text,
                key->is_private ? "private key" : "public key");
        return CLI_OK;
    }
}

static int convert(const struct key *key, enum form form, const char *path) {
    char *text = form == FORM_JWK ? key_write_jwk(key, true)
                                  : key_write_pem(key, true);
    if (text == NULL) {
        return cli_refuse(COMMAND, path, BATON_ERR_NOMEM);
    }
    bool ok = key_create_file(COMMAND, path, text);
    memset(text, 0, strlen(text));
    free(text);
    return ok ? CLI_OK : CLI_REFUSED;
}

struct show {
    enum form form;
    bool is_private;
    const char *out_path;
};

static bool take_option(struct show *self, int option) {
    switch (option) {
    case 't':
        self->form = FORM_TEXT;
        return true;
    case 'i':
        self->form = FORM_ID;
        return true;
    case 'k':
        self->form = FORM_JWK;
        return true;
    case 'p':
        self->form = FORM_PEM;
        return true;
    case 'c':
        self->form = FORM_C;
        return true;
    case 'j':
        self->form = FORM_JSON;
        return true;
    case 's':
        self->is_private = true;
        return true;
    case 'o':
        self->out_path = optarg;
        return true;
    default:
        return false;
    }
}

int cmd_key_show(int argc, char **argv) {
    static const struct option options[] = {
            {"text", no_argument, NULL, 't'},
            {"id", no_argument, NULL, 'i'},
            {"jwk", no_argument, NULL, 'k'},
            {"pem", no_argument, NULL, 'p'},
            {"c", no_argument, NULL, 'c'},
            {"json", no_argument, NULL, 'j'},
            {"private", no_argument, NULL, 's'},
            {"output", required_argument, NULL, 'o'},
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    struct show self = {.form = FORM_SUMMARY};
    int option;
    while ((option = getopt_long(argc, argv, "ho:", options, NULL)) != -1) {
        if (option == 'h') {
            print_help();
            return CLI_OK;
        }
        if (!take_option(&self, option)) {
            return cli_usage(COMMAND, "wrong option");
        }
    }
    if (optind + 1 != argc) {
        return cli_usage(COMMAND, "give one key file");
    }
    bool is_form = self.form == FORM_JWK || self.form == FORM_PEM;
    if (self.is_private != (self.out_path != NULL)
            || (self.is_private && !is_form)) {
        return cli_usage(COMMAND, "--private, --jwk or --pem, and -o go "
                                  "together");
    }
    struct key key;
    if (!key_read(COMMAND, argv[optind], self.is_private, &key)) {
        return CLI_REFUSED;
    }
    int code = self.is_private ? convert(&key, self.form, self.out_path)
                               : show(&key, self.form);
    key_forget(&key);
    return code;
}
