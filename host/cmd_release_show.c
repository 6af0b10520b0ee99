// `baton release show`: what a signed release or key set says.
// SPDX-License-Identifier: MIT
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton/error.h"
#include "baton/image.h"
#include "baton/jws.h"
#include "cli.h"
#include "commands.h"
#include "release.h"

#define COMMAND "baton release show"

static void print_help(void) {
    printf("Usage: " COMMAND " [--json] FILE\n\n"
           "Shows a channel's signed manifest (stable.jws) or a key set "
           "(keys.jws). Nothing is\nchecked but its form: 'baton release "
           "verify' says who signed it.\n\n"
           "  --json   the payload as JSON, with the key's id\n\n"
           "Example:\n"
           "  " COMMAND " www/stable.jws\n\n"
           "Exit codes: 0 shown, 1 not a signed document, 2 wrong usage.\n");
}

static void print_time(const cJSON *payload, const char *name) {
    char text[24];
    release_format_time((uint64_t)release_number(payload, name), text);
    printf("%-10s%s\n", name, text);
}

// Where it comes from is not known: what a terminal would obey is left out.
static void print_text(const char *label, const char *text) {
    printf("%-10s", label);
    for (; *text != 0; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '\n') {
            printf("\n%-10s", "");
        } else {
            putchar(c < 0x20 || c == 0x7F ? '?' : c);
        }
    }
    putchar('\n');
}

static void print_payloads(const cJSON *payload) {
    const cJSON *item;
    const char *label = "payloads";
    cJSON_ArrayForEach(
            item, cJSON_GetObjectItemCaseSensitive(payload, "payloads")) {
        char text[256];
        snprintf(text, sizeof(text), "%s %s %.0f bytes  %s",
                release_text(item, "encoding"), release_text(item, "profile"),
                release_number(item, "bytes"), release_text(item, "path"));
        print_text(label, text);
        label = "";
    }
}

static void print_release(const cJSON *payload) {
    const cJSON *image = cJSON_GetObjectItemCaseSensitive(payload, "image");
    const cJSON *rollout = cJSON_GetObjectItemCaseSensitive(payload, "rollout");
    const char *board = release_text(payload, "board");
    const char *chip =
            baton_chip_name((uint16_t)release_number(payload, "chip"));
    double permille =
            rollout != NULL ? release_number(rollout, "permille") : 1000;
    double mpy = release_number(payload, "mpy");
    print_text("product", release_text(payload, "product"));
    print_text("board", board[0] != 0 ? board : "any");
    print_text("chip", chip != NULL ? chip : "unknown");
    print_text("version", release_text(payload, "version"));
    printf("%-10s%.0f\n", "sequence", release_number(payload, "sequence"));
    print_time(payload, "issued");
    print_time(payload, "expires");
    printf("%-10s%.0f bytes, sha256 ", "image", release_number(image, "bytes"));
    print_text("", release_text(image, "sha256"));
    print_payloads(payload);
    printf("%-10s%g %% of devices\n", "rollout", permille / 10);
    print_text(
            "boot", release_number(payload, "boot") == 1 ? "rollback" : "none");
    printf("%-10s%.0f\n", "secure", release_number(payload, "secure_version"));
    if (mpy > 0) {
        printf("%-10s%u.%u\n", "mpy", (unsigned)mpy & 0xFF,
                (unsigned)mpy >> 8 & 3);
    }
    if (release_text(payload, "notes")[0] != 0) {
        print_text("notes", release_text(payload, "notes"));
    }
}

static void print_keys(const cJSON *payload) {
    const cJSON *item;
    printf("%-10s%.0f\n", "version", release_number(payload, "version"));
    print_time(payload, "expires");
    if (release_number(payload, "sequence") != 0) {
        printf("%-10sresets it to %.0f\n", "sequence",
                release_number(payload, "sequence"));
    }
    cJSON_ArrayForEach(
            item, cJSON_GetObjectItemCaseSensitive(payload, "keys")) {
        char text[KEY_TEXT_BYTES];
        snprintf(text, sizeof(text), "%s.%s", release_text(item, "x"),
                release_text(item, "y"));
        print_text("key", text);
    }
}

static int print_json(struct release_document *document) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "type", document->type);
    cJSON_AddStringToObject(json, "kid", document->key_id);
    cJSON_AddItemToObject(json, "payload", document->payload);
    document->payload = NULL;
    char *text = cJSON_Print(json);
    printf("%s\n", text != NULL ? text : "{}");
    free(text);
    cJSON_Delete(json);
    return CLI_OK;
}

static int show(struct release_document *document, bool as_json) {
    if (as_json) {
        return print_json(document);
    }
    bool is_keys = strcmp(document->type, BATON_JWS_TYPE_KEYS) == 0;
    print_text("type", document->type);
    print_text("signed by", document->key_id);
    if (is_keys) {
        print_keys(document->payload);
    } else {
        print_release(document->payload);
    }
    return CLI_OK;
}

int cmd_release_show(int argc, char **argv) {
    static const struct option options[] = {
            {"json", no_argument, NULL, 'j'},
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    bool as_json = false;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            print_help();
            return CLI_OK;
        }
        if (option != 'j') {
            return cli_usage(COMMAND, "wrong option");
        }
        as_json = true;
        cli_refuse_in_json();
    }
    if (optind + 1 != argc) {
        return cli_usage(COMMAND, "give one file");
    }
    struct release_document document;
    if (!release_document_read(COMMAND, argv[optind], &document)) {
        return CLI_REFUSED;
    }
    int code = show(&document, as_json);
    release_document_free(&document);
    return code;
}
