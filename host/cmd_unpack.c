// `baton unpack`: the image that a payload holds.
// SPDX-License-Identifier: MIT
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "baton/error.h"
#include "cli.h"
#include "codec_encode.h"
#include "commands.h"

#define COMMAND "baton unpack"

static void print_help(void) {
    printf("Usage: " COMMAND " PAYLOAD [--from OLD] -o NEW\n\n"
           "Decodes a payload as a device does, and checks the SHA-256 of its "
           "base and of\nthe image. Nothing is written unless all is right.\n\n"
           "  --from OLD        the base of a delta\n"
           "  --json            refuse in JSON\n"
           "  -o, --output NEW  the file to make\n\n"
           "Example:\n"
           "  " COMMAND " v1.26-v1.27.delta --from v1.26.app-bin -o "
           "v1.27.app-bin\n\n"
           "Exit codes: 0 made, 1 refused, 2 wrong usage.\n");
}

struct unpack {
    const char *path;
    const char *old_path;
    const char *out_path;
    uint8_t *payload;
    uint8_t *old;
    uint8_t *out;
};

static int unpack(struct unpack *self) {
    size_t payload_len;
    size_t old_len = 0;
    size_t out_len;
    if (!cli_read_file(self->path, &self->payload, &payload_len)
            || (self->old_path != NULL
                    && !cli_read_file(self->old_path, &self->old, &old_len))) {
        return CLI_REFUSED;
    }
    int err = codec_unpack(self->payload, payload_len, self->old, old_len,
            &self->out, &out_len);
    if (err != 0) {
        return cli_refuse(COMMAND,
                err == BATON_ERR_CODEC_BASE && self->old_path != NULL
                        ? self->old_path
                        : self->path,
                err);
    }
    return cli_write_file(self->out_path, self->out, out_len) ? CLI_OK
                                                              : CLI_REFUSED;
}

int cmd_unpack(int argc, char **argv) {
    static const struct option options[] = {
            {"from", required_argument, NULL, 'f'},
            {"json", no_argument, NULL, 'j'},
            {"output", required_argument, NULL, 'o'},
            {"help", no_argument, NULL, 'h'},
            {NULL, 0, NULL, 0},
    };
    struct unpack self = {0};
    int c;
    while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
        switch (c) {
        case 'f':
            self.old_path = optarg;
            break;
        case 'j':
            cli_refuse_in_json();
            break;
        case 'o':
            self.out_path = optarg;
            break;
        case 'h':
            print_help();
            return CLI_OK;
        default:
            return cli_usage(COMMAND, "see '" COMMAND " --help'");
        }
    }
    if (argc - optind != 1 || self.out_path == NULL) {
        return cli_usage(COMMAND, "give one payload, and -o NEW");
    }
    self.path = argv[optind];
    int code = unpack(&self);
    free(self.payload);
    free(self.old);
    free(self.out);
    return code;
}
