// What the agent keeps in the store: how the last update went, and which
// release was tried.
// SPDX-License-Identifier: MIT
//
// Both are written field by field, little-endian, with a format number in
// front. A value that this release does not understand counts as none.
#include <string.h>

#include "agent_parts.h"
#include "baton/error.h"
#include "bytes.h"

#define STATUS_KEY    "agent.status"
#define STATUS_FORMAT 1u
#define STATUS_BYTES  (31u + 2u * BATON_AGENT_VERSION_BYTES)

#define TRIED_KEY    "agent.tried"
#define TRIED_FORMAT 1u
#define TRIED_BYTES  20u

// Reads a value of just this length and format; *is_there tells.
static int load(const struct baton_store *store, const char *key, uint8_t *raw,
        size_t expected, bool *is_there) {
    size_t len = expected;
    int err = store->get(store->context, key, raw, &len);
    *is_there = err == 0 && len == expected && raw[0] == 1u;
    bool is_none = err == BATON_ERR_NOENT || err == BATON_ERR_NOSPC;
    return is_none ? 0 : err;
}

int baton_agent_status_load(struct baton_agent *self) {
    uint8_t raw[STATUS_BYTES];
    bool is_there;
    int err = load(self->config.store, STATUS_KEY, raw, sizeof(raw), &is_there);
    struct baton_agent_status *to = &self->status;
    memset(to, 0, sizeof(*to));
    if (err != 0 || !is_there) {
        return err;
    }
    to->encoding = raw[1];
    to->error = (int32_t)get_u32(raw + 2);
    to->attempts = get_u32(raw + 6);
    to->bytes = get_u32(raw + 10);
    to->total = get_u32(raw + 14);
    to->done = get_u32(raw + 18);
    to->seconds = get_u32(raw + 22);
    to->sequence = get_u32(raw + 26);
    to->unreported = raw[30] != 0;
    memcpy(to->from, raw + 31, BATON_AGENT_VERSION_BYTES);
    memcpy(to->to, raw + 31 + BATON_AGENT_VERSION_BYTES,
            BATON_AGENT_VERSION_BYTES);
    to->from[BATON_AGENT_VERSION_BYTES - 1] = '\0';
    to->to[BATON_AGENT_VERSION_BYTES - 1] = '\0';
    return 0;
}

int baton_agent_status_save(struct baton_agent *self) {
    const struct baton_agent_status *from = &self->status;
    const struct baton_store *store = self->config.store;
    uint8_t raw[STATUS_BYTES];
    raw[0] = STATUS_FORMAT;
    raw[1] = from->encoding;
    put_u32(raw + 2, (uint32_t)from->error);
    put_u32(raw + 6, from->attempts);
    put_u32(raw + 10, from->bytes);
    put_u32(raw + 14, from->total);
    put_u32(raw + 18, from->done);
    put_u32(raw + 22, from->seconds);
    put_u32(raw + 26, from->sequence);
    raw[30] = from->unreported;
    memcpy(raw + 31, from->from, BATON_AGENT_VERSION_BYTES);
    memcpy(raw + 31 + BATON_AGENT_VERSION_BYTES, from->to,
            BATON_AGENT_VERSION_BYTES);
    return store->set(store->context, STATUS_KEY, raw, sizeof(raw));
}

int baton_agent_trial_load(
        const struct baton_agent *self, struct baton_agent_tried *out) {
    uint8_t raw[TRIED_BYTES];
    bool is_there;
    int err = load(self->config.store, TRIED_KEY, raw, sizeof(raw), &is_there);
    memset(out, 0, sizeof(*out));
    if (err != 0 || !is_there) {
        return err;
    }
    out->verdict = raw[1];
    out->tries = raw[2];
    out->slot = raw[3];
    out->sequence = get_u32(raw + 4);
    memcpy(out->id, raw + 8, sizeof(out->id));
    return 0;
}

int baton_agent_trial_save(
        const struct baton_agent *self, const struct baton_agent_tried *tried) {
    const struct baton_store *store = self->config.store;
    uint8_t raw[TRIED_BYTES] = {
            TRIED_FORMAT, tried->verdict, tried->tries, (uint8_t)tried->slot};
    put_u32(raw + 4, tried->sequence);
    memcpy(raw + 8, tried->id, sizeof(tried->id));
    return store->set(store->context, TRIED_KEY, raw, sizeof(raw));
}
