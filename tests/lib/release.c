// A release's manifest for tests, member by member.
// SPDX-License-Identifier: MIT
#include "release.h"

#include <stdio.h>
#include <string.h>

const struct release_member release_members[] = {
        {"format", "1"},
        {"product", "\"lamp\""},
        {"chip", "5"},
        {"version", "\"1.2.0\""},
        {"sequence", "7"},
        {"issued", "1700000000"},
        {"expires", "1800000000"},
        {"image", "{\"bytes\":100000,\"sha256\":\"" RELEASE_SHA256 "\"}"},
        {"list", "{\"bytes\":200,\"sha256\":\"" OTHER_SHA256
                 "\",\"path\":\"lists/ab12\"}"},
        {"payloads",
                "[{\"encoding\":\"raw\",\"bytes\":100000,\"sha256\":"
                "\"" RELEASE_SHA256 "\",\"path\":\"payloads/ab.raw\"},"
                "{\"encoding\":\"packed\",\"profile\":\"S\",\"bytes\":60000,"
                "\"sha256\":\"" OTHER_SHA256
                "\",\"path\":\"payloads/cd.packed\"},"
                "{\"encoding\":\"delta\",\"profile\":\"M\",\"bytes\":5000,"
                "\"sha256\":\"" OTHER_SHA256
                "\",\"path\":\"payloads/ef.delta\",\"base\":{\"bytes\":99000,"
                "\"sha256\":\"" OTHER_SHA256 "\"}}]"},
        {"board", "\"lamp-c3\""},
        {"rollout", "{\"permille\":250,\"salt\":\"x1\"}"},
        {"boot", "1"},
        {"secure_version", "2"},
        {"mpy", "774"},
        {"notes", "\"Caf\\u00e9\\nlights\""},
};

const size_t release_member_count =
        sizeof(release_members) / sizeof(release_members[0]);

static void add(
        char *out, size_t capacity, const char *name, const char *value) {
    size_t len = strlen(out);
    snprintf(out + len, capacity - len, "%s\"%s\":%s", len > 1 ? "," : "", name,
            value);
}

void release_write(
        char *out, size_t capacity, const char *name, const char *value) {
    int is_done = name == NULL;
    strcpy(out, "{");
    for (size_t i = 0; i < release_member_count; i++) {
        const struct release_member *member = &release_members[i];
        int is_it = name != NULL && strcmp(member->name, name) == 0;
        const char *text = is_it ? value : member->value;
        is_done = is_done || is_it;
        if (text != NULL) {
            add(out, capacity, member->name, text);
        }
    }
    if (!is_done && value != NULL) {
        add(out, capacity, name, value);
    }
    strcat(out, "}");
}
