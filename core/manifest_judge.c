// Whether a release is for this device, now, and by which payload.
// SPDX-License-Identifier: MIT
#include "baton/manifest.h"

#include <string.h>

#include "baton/error.h"

int baton_manifest_rollout(const struct baton_manifest *self,
        const struct baton_crypto *crypto, const uint8_t *id, size_t id_len,
        bool *is_in) {
    struct baton_hash_state state;
    uint8_t digest[BATON_SHA256_BYTES];
    // The salt's terminator is the zero byte between the two.
    int err = crypto->hash_start(crypto->context, &state, BATON_HASH_SHA256);
    if (err == 0) {
        err = crypto->hash_update(
                crypto->context, &state, self->salt, strlen(self->salt) + 1);
    }
    if (err == 0 && id_len > 0) {
        err = crypto->hash_update(crypto->context, &state, id, id_len);
    }
    if (err == 0) {
        err = crypto->hash_finish(crypto->context, &state, digest);
    }
    if (err != 0) {
        return err;
    }
    uint64_t place = (uint64_t)digest[0] << 24 | (uint64_t)digest[1] << 16
                     | (uint64_t)digest[2] << 8 | digest[3];
    *is_in = place * 1000 >> 32 < self->rollout_permille;
    return 0;
}

static int judge_kind(const struct baton_manifest *self,
        const struct baton_device_facts *facts) {
    if (facts->product != NULL && strcmp(facts->product, self->product) != 0) {
        return BATON_ERR_MANIFEST_PRODUCT;
    }
    if (facts->board != NULL && self->board[0] != 0
            && strcmp(facts->board, self->board) != 0) {
        return BATON_ERR_MANIFEST_BOARD;
    }
    return facts->chip_id == BATON_CHIP_ANY || facts->chip_id == self->chip_id
                   ? 0
                   : BATON_ERR_MANIFEST_CHIP;
}

static int judge_age(const struct baton_manifest *self,
        const struct baton_trust *trust, const struct baton_trust_time *time,
        bool need_clock) {
    if (need_clock && !time->is_set) {
        return BATON_ERR_MANIFEST_NO_CLOCK;
    }
    if (trust->keys_expires != 0 && trust->keys_expires <= time->unix_s) {
        return BATON_ERR_KEYS_EXPIRED;
    }
    if (self->expires != 0 && self->expires <= time->unix_s) {
        return BATON_ERR_MANIFEST_EXPIRED;
    }
    return self->sequence < trust->sequence ? BATON_ERR_MANIFEST_OLD : 0;
}

static bool has_module(const struct baton_device_facts *facts, uint16_t mpy) {
    for (size_t i = 0; i < facts->mpy_count; i++) {
        if (facts->mpy[i] == mpy) {
            return true;
        }
    }
    return facts->mpy_count == 0;
}

static int judge_fit(const struct baton_manifest *self,
        const struct baton_device_facts *facts) {
    if (self->secure_version < facts->secure_version) {
        return BATON_ERR_IMAGE_SECURE_VERSION;
    }
    if (self->image_bytes > facts->slot_bytes) {
        return BATON_ERR_IMAGE_TOO_LARGE;
    }
    if (self->boot > facts->bootloader) {
        return BATON_ERR_MANIFEST_BOOTLOADER;
    }
    return has_module(facts, self->mpy) ? 0 : BATON_ERR_MANIFEST_MPY;
}

int baton_manifest_judge(const struct baton_manifest *self,
        const struct baton_trust *trust, const struct baton_crypto *crypto,
        const struct baton_device_facts *facts,
        const struct baton_trust_time *time,
        const struct baton_manifest_options *options) {
    bool need_clock = options != NULL && options->need_clock;
    int err = judge_kind(self, facts);
    if (err == 0) {
        err = judge_age(self, trust, time, need_clock);
    }
    if (err == 0) {
        err = judge_fit(self, facts);
    }
    if (err != 0 || (options != NULL && options->ignore_rollout)) {
        return err;
    }
    bool is_in = false;
    err = baton_manifest_rollout(
            self, crypto, facts->id, facts->id_len, &is_in);
    return err != 0 ? err : is_in ? 0 : BATON_ERR_MANIFEST_ROLLOUT;
}

// ---- Payloads -------------------------------------------------------------

static bool is_usable(const struct baton_manifest_payload *payload,
        const struct baton_manifest_wish *wish) {
    if (payload->encoding == BATON_CODEC_RAW) {
        return true;
    }
    size_t need = payload->profile == BATON_CODEC_PROFILE_S
                          ? BATON_CODEC_STATE_S_BYTES
                  : payload->profile == BATON_CODEC_PROFILE_M
                          ? BATON_CODEC_STATE_M_BYTES
                          : SIZE_MAX;
    if (wish->state_bytes < need) {
        return false;
    }
    if (payload->encoding == BATON_CODEC_PACKED) {
        return true;
    }
    return payload->encoding == BATON_CODEC_DELTA && wish->base_sha256 != NULL
           && payload->base_bytes == wish->base_bytes
           && memcmp(payload->base_sha256, wish->base_sha256,
                      BATON_SHA256_BYTES)
                      == 0;
}

int baton_manifest_payload_pick(const struct baton_manifest *self,
        const struct baton_manifest_wish *wish) {
    int best = BATON_ERR_MANIFEST_PAYLOAD;
    for (int i = 0; i < self->payload_count; i++) {
        bool has_failed = (wish->failed >> i & 1u) != 0;
        if (!has_failed && is_usable(&self->payloads[i], wish)
                && (best < 0
                        || self->payloads[i].bytes
                                   < self->payloads[best].bytes)) {
            best = i;
        }
    }
    return best;
}

// ---- URLs -----------------------------------------------------------------

// The length of "http://" or "https://" in any case; 0 for anything else.
static size_t scheme_len(const char *url) {
    static const char wanted[] = "https://";
    size_t at = 0;
    for (size_t i = 0; wanted[i] != 0; i++) {
        char c = url[at];
        if (c == wanted[i] || (c >= 'A' && c <= 'Z' && c + 32 == wanted[i])) {
            at++;
        } else if (wanted[i] != 's') {
            return 0;
        }
    }
    return at;
}

int baton_manifest_url(
        const char *channel_url, const char *path, char *out, size_t capacity) {
    size_t start = scheme_len(channel_url);
    size_t end = start + strcspn(channel_url + start, "?#");
    if (start == 0 || end == start || channel_url[start] == '/') {
        return BATON_ERR_ARG;
    }
    size_t keep = end;
    while (keep > start && channel_url[keep - 1] != '/') {
        keep--;
    }
    // A server's name alone: its root is the folder.
    bool adds_slash = keep == start;
    keep = adds_slash ? end : keep;
    size_t path_len = strlen(path);
    if (keep + (adds_slash ? 1 : 0) + path_len + 1 > capacity) {
        return BATON_ERR_NOSPC;
    }
    memcpy(out, channel_url, keep);
    if (adds_slash) {
        out[keep] = '/';
        keep++;
    }
    memcpy(out + keep, path, path_len + 1);
    return 0;
}
