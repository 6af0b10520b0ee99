// How a fuzz target says that an invariant does not hold.
// SPDX-License-Identifier: MIT
#ifndef BATON_TESTS_FUZZ_REQUIRE_H
#define BATON_TESTS_FUZZ_REQUIRE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static inline void require(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

#endif
