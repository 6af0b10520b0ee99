// `baton image info`: says what a firmware file is.
// SPDX-License-Identifier: MIT
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "baton/error.h"
#include "cli.h"
#include "commands.h"
#include "firmware.h"

#define COMMAND "baton image info"

static void print_help(void) {
    printf("Usage: " COMMAND " [--json] FILE\n\n"
           "Says what a firmware file is, and whether it is whole: project, "
           "version, board,\nchip, segments, checksum, digest, signature. "
           "MicroPython's version is found in\nthe image's text. A file that "
           "is something else is named, and what is inside a\nmerged .bin is "
           "listed.\n\n"
           "  --json   as JSON\n\n"
           "Example:\n"
           "  baton image info ESP32_GENERIC-OTA-20250415-v1.25.0.app-bin\n\n"
           "Exit codes: 0 a good application image, 1 anything else, 2 wrong "
           "usage.\n");
}

int cmd_image_info(int argc, char **argv) {
    static const struct option options[] = {
            {"json", no_argument, NULL, 'j'},
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    bool as_json = false;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
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
        return cli_usage(COMMAND, "give one file");
    }
    const char *path = argv[optind];
    uint8_t *data;
    size_t len;
    if (!cli_read_file(path, &data, &len)) {
        if (as_json) {
            firmware_print_json_unread(path);
        }
        return CLI_REFUSED;
    }
    struct firmware *firmware = malloc(sizeof(*firmware));
    if (firmware == NULL) {
        free(data);
        return cli_refuse(COMMAND, path, BATON_ERR_NOMEM);
    }
    firmware_survey(firmware, data, len);
    int err = firmware->err;
    if (as_json) {
        firmware_print_json(path, firmware);
    } else {
        firmware_print_text(path, firmware);
        fflush(stdout);
        if (err != 0) {
            cli_refuse(COMMAND, path, err);
        }
    }
    free(firmware);
    free(data);
    return err == 0 ? CLI_OK : CLI_REFUSED;
}
