// A release's manifest for tests, member by member.
// SPDX-License-Identifier: MIT
#ifndef BATON_TESTS_RELEASE_H
#define BATON_TESTS_RELEASE_H

#include <stddef.h>

#define RELEASE_SHA256 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define OTHER_SHA256   "_wECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

struct release_member {
    const char *name;
    const char *value; // as JSON
};

extern const struct release_member release_members[];
extern const size_t release_member_count;

// Writes a good release, with `name` replaced by (or, where it is none of a
// release's, with one more member of) this value; NULL as the value leaves it
// out; NULL as the name changes nothing.
void release_write(
        char *out, size_t capacity, const char *name, const char *value);

#endif
