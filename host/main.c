// The `baton` command: finds the subcommand and runs it.
// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <string.h>

#include "baton/version.h"
#include "cli.h"
#include "commands.h"

static const struct cli_command commands[] = {
        {"image", "info", cmd_image_info,
                "say what a firmware file is, and whether it is whole"},
        {"image", "check", cmd_image_check,
                "check that a file can be an update for a device"},
        {"image", "make", cmd_image_make,
                "make an application image from an ELF or from bytes"},
        {"table", "make", cmd_table_make,
                "make a partition table from CSV, as ESP-IDF's generator does"},
        {"table", "show", cmd_table_show,
                "show a partition table, also from a flash image"},
        {"table", "check", cmd_table_check,
                "check a partition table by ESP-IDF's rules"},
        {"flash", "make", cmd_flash_make,
                "make a flash file from a partition table and images"},
        {"flash", "info", cmd_flash_info, "show what a flash file holds"},
        {"flash", "boot", cmd_flash_boot,
                "say which slot a flash boots, and why"},
        {"key", "new", cmd_key_new, "make a private key for signing"},
        {"key", "show", cmd_key_show,
                "show a key file's public key, id, other forms"},
        {"release", "make", cmd_release_make,
                "publish an image as a signed release"},
        {"release", "show", cmd_release_show,
                "show a signed release or key set"},
        {"release", "verify", cmd_release_verify,
                "judge a release as a device would, and its files"},
        {"release", "sign", cmd_release_sign,
                "sign a release anew, with a new expiry"},
        {"release", "expire", cmd_release_expire, "withdraw a release"},
        {"release", "rollout", cmd_release_rollout,
                "set the share of devices that take a release"},
        {"release", "keys", cmd_release_keys,
                "make the key set, signed by the root key"},
        {"release", "prune", cmd_release_prune,
                "delete the files that no channel names"},
        {"sim", NULL, cmd_sim, "run a virtual ESP32 on a flash file"},
        {"pack", NULL, cmd_pack,
                "pack an image for the way to a device, or as a delta"},
        {"unpack", NULL, cmd_unpack, "decode a payload, as a device does"},
        {"install", NULL, cmd_install,
                "put Baton on a device with stock MicroPython"},
        {"push", NULL, cmd_push,
                "update a device over its serial MicroPython prompt"},
        {NULL, NULL, NULL, NULL},
};

static void print_help(FILE *out, const char *group) {
    fprintf(out,
            "Baton %s: over-the-air updates for ESP32-class chips\n\n"
            "Usage: baton COMMAND [OPTIONS] ...\n\nCommands:\n",
            BATON_VERSION_STRING);
    for (const struct cli_command *c = commands; c->run != NULL; c++) {
        if (group != NULL && strcmp(group, c->group) != 0) {
            continue;
        }
        fprintf(out, "  %-7s %-7s %s\n", c->group,
                c->name != NULL ? c->name : "", c->summary);
    }
    fprintf(out, "\n'baton COMMAND --help' explains one, with an example.\n"
                 "Exit codes: 0 ok, 1 refused, 2 wrong usage.\n");
}

static const struct cli_command *find_command(
        int argc, char **argv, bool *group_exists) {
    *group_exists = false;
    for (const struct cli_command *c = commands; c->run != NULL; c++) {
        if (strcmp(argv[1], c->group) != 0) {
            continue;
        }
        *group_exists = true;
        if (c->name == NULL || (argc > 2 && strcmp(argv[2], c->name) == 0)) {
            return c;
        }
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr, NULL);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0
            || strcmp(argv[1], "help") == 0) {
        print_help(stdout, NULL);
        return CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("baton %s\n", BATON_VERSION_STRING);
        return CLI_OK;
    }
    bool group_exists;
    const struct cli_command *command = find_command(argc, argv, &group_exists);
    if (command == NULL && group_exists) {
        bool asked = argc > 2 && strcmp(argv[2], "--help") == 0;
        if (argc > 2 && !asked) {
            fprintf(stderr, "baton: unknown command '%s %s'\n", argv[1],
                    argv[2]);
        }
        print_help(asked ? stdout : stderr, argv[1]);
        return asked ? CLI_OK : CLI_USAGE;
    }
    if (command == NULL) {
        fprintf(stderr, "baton: unknown command '%s'\n  next: baton --help\n",
                argv[1]);
        return CLI_USAGE;
    }
    char full_name[64];
    snprintf(full_name, sizeof(full_name), "baton %s%s%s", command->group,
            command->name != NULL ? " " : "",
            command->name != NULL ? command->name : "");
    int used = command->name != NULL ? 2 : 1;
    argv[used] = full_name;
    return command->run(argc - used, argv + used);
}
