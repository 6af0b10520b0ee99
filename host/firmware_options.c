// Options that the image commands share.
// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "firmware.h"

bool firmware_parse_chip(
        const char *command, const char *text, uint16_t *chip_id) {
    *chip_id = baton_chip_id(text);
    if (*chip_id != BATON_CHIP_ANY) {
        return true;
    }
    fprintf(stderr, "%s: unknown chip '%s'\n  next: one of", command, text);
    for (uint16_t id = 0; id < 256; id++) {
        if (baton_chip_name(id) != NULL) {
            fprintf(stderr, " %s", baton_chip_name(id));
        }
    }
    fprintf(stderr, "\n");
    return false;
}

bool firmware_parse_revision(
        const char *option, const char *text, uint32_t *out) {
    const char *number = text[0] == 'v' || text[0] == 'V' ? text + 1 : text;
    char *end;
    unsigned long major = strtoul(number, &end, 10);
    bool ok = number[0] >= '0' && number[0] <= '9' && major <= UINT16_MAX;
    unsigned long revision = major;
    if (ok && *end == '.') {
        const char *minor_text = end + 1;
        unsigned long minor = strtoul(minor_text, &end, 10);
        ok = minor_text[0] >= '0' && minor_text[0] <= '9' && minor < 100;
        revision = major * 100 + minor;
    }
    if (!ok || *end != 0 || revision > UINT16_MAX) {
        fprintf(stderr,
                "baton: %s: '%s' is not a revision (use 3.1, or 301 for the "
                "same)\n",
                option, text);
        return false;
    }
    *out = (uint32_t)revision;
    return true;
}
