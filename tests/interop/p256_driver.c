// Answers for the model in Python: one line of 160 bytes in hex (key, digest,
// signature) on stdin, one status on stdout.
// SPDX-License-Identifier: MIT
#include <stdio.h>

#include "baton-freestanding/p256.h"

enum { KEY = 64, DIGEST = 32, SIGNATURE = 64, ALL = KEY + DIGEST + SIGNATURE };

int main(void) {
    uint8_t input[ALL];
    size_t have = 0;
    unsigned value;
    while (scanf("%2x", &value) == 1) {
        input[have++] = (uint8_t)value;
        if (have == ALL) {
            printf("%d\n", baton_p256_verify(
                                   input, input + KEY, input + KEY + DIGEST));
            have = 0;
        }
    }
    return have == 0 ? 0 : 1;
}
