// Prints the table of errors for package/baton/errors.py.
// SPDX-License-Identifier: MIT
#include "baton/error.h"

#include <stdio.h>
#include <string.h>

int main(void) {
    for (int code = -1; code > -1000; code--) {
        const char *name = baton_error_name(code);
        if (strcmp(name, "BATON_ERR_UNKNOWN") != 0) {
            printf("%d|%s|%s|%s\n", code, name, baton_strerror(code),
                    baton_error_hint(code));
        }
    }
    return 0;
}
