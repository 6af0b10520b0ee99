// Payload encoder: header and settings; and the way back.
// SPDX-License-Identifier: MIT
#include "codec_encode.h"

#include <stdlib.h>
#include <string.h>

#include "../core/bytes.h"
#include "baton-posix/crypto.h"
#include "baton/error.h"

static int hash(const uint8_t *data, size_t len, uint8_t *digest) {
    const struct baton_crypto *crypto = baton_crypto_psa();
    struct baton_hash_state state;
    int err = crypto->hash_start(crypto->context, &state, BATON_HASH_SHA256);
    err = err ? err : crypto->hash_update(crypto->context, &state, data, len);
    return err ? err : crypto->hash_finish(crypto->context, &state, digest);
}

// ---- Header

// The inverse of core/codec.c's decode_header.
static size_t put_header(uint8_t *at, const struct baton_codec_info *info,
        const uint32_t *lens) {
    size_t len = 96;
    memset(at, 0, len);
    put_u32(at, 0x50746142); // "BatP"
    at[4] = CODEC_VERSION;
    at[5] = info->encoding;
    at[6] = info->features;
    at[7] = info->machine;
    memcpy(at + 8, info->literal_log2, 3);
    at[11] = info->map_eighth;
    put_u32(at + 12, info->new_bytes);
    put_u32(at + 16, info->old_bytes);
    put_u32(at + 20, info->code);
    put_u32(at + 24, info->areas[0]);
    put_u32(at + 28, info->areas[1]);
    memcpy(at + 32, info->new_sha256, BATON_SHA256_BYTES);
    memcpy(at + 64, info->old_sha256, BATON_SHA256_BYTES);
    for (uint32_t i = 0; i < info->segment_count; i++) {
        put_u16(at + len, (uint16_t)lens[i]);
        at[len + 2] = (uint8_t)(lens[i] >> 16);
        len += 3;
    }
    return len;
}

// Are the image's last 32 bytes the SHA-256 of what is before them?
static bool ends_with_digest(const struct codec_pack *self) {
    uint8_t digest[BATON_SHA256_BYTES];
    uint32_t body = self->new_len - BATON_SHA256_BYTES;
    return self->new_len > BATON_SHA256_BYTES
           && (self->new_len - 1) / BATON_CODEC_SEGMENT_BYTES
                      == (body - 1) / BATON_CODEC_SEGMENT_BYTES
           && hash(self->new, body, digest) == 0
           && memcmp(digest, self->new + body, sizeof(digest)) == 0;
}

static int fill_info(struct codec_pack *self,
        const struct codec_image *old_image,
        const struct codec_image *new_image,
        const struct codec_settings *settings) {
    struct baton_codec_info *info = &self->info;
    memset(info, 0, sizeof(*info));
    info->encoding = self->encoding;
    info->new_bytes = self->new_len;
    info->segment_count = (self->new_len - 1) / BATON_CODEC_SEGMENT_BYTES + 1;
    memcpy(info->literal_log2, settings->literal_log2, 3);
    info->map_eighth = settings->map_eighth;
    if (new_image != NULL && self->encoding != BATON_CODEC_RAW) {
        info->machine = (uint8_t)new_image->layout.machine;
        info->code = new_image->code << 16;
        info->features = ends_with_digest(self) ? CODEC_FEATURE_DIGEST : 0;
        memcpy(info->areas, new_image->areas, sizeof(info->areas));
    }
    int err = hash(self->new, self->new_len, info->new_sha256);
    if (err == 0 && old_image != NULL && self->encoding == BATON_CODEC_DELTA) {
        info->old_bytes = self->old_len;
        info->code |= old_image->code & 0xFFFF;
        err = hash(self->old, self->old_len, info->old_sha256);
    }
    return err;
}

// ---- Encode

// Names the segments that the report tells of.
static void describe(
        struct codec_report *report, const struct codec_image *image) {
    const struct codec_segment *s = image->layout.segments;
    *report = (struct codec_report){.segment_count = 0};
    for (uint32_t i = BATON_CODEC_AREAS_MAX; i < image->layout.count; i++) {
        uint32_t row = report->segment_count++;
        report->addr[row] = s[i].addr;
        report->bytes[row] = s[i].len;
        report->is_code[row] = s[i].place == CODEC_PLACE_CODE;
    }
}

static int encode_with(struct codec_pack *self, const struct codec_align *align,
        const struct codec_settings *settings) {
    uint8_t header[BATON_CODEC_HEADER_MAX];
    uint32_t lens[BATON_CODEC_SEGMENTS_MAX] = {0};
    uint8_t *body = NULL;
    struct baton_codec_info info;
    int err = fill_info(self, &align->old_image, &align->new_image, settings);
    size_t header_len = put_header(header, &self->info, lens);
    memset(header + header_len, 0, sizeof(header) - header_len);
    err = err ? err : baton_codec_header_read(header, sizeof(header), &info);
    describe(&self->report, &align->new_image);
    err = err ? err : codec_encode(align, &info, &body, lens, &self->report);
    if (err) {
        return err;
    }
    (void)put_header(body, &self->info, lens);
    self->payload = body;
    self->payload_len = header_len;
    for (uint32_t i = 0; i < info.segment_count; i++) {
        self->payload_len += lens[i];
    }
    return baton_codec_header_read(
            self->payload, self->payload_len, &self->info);
}

static int store(struct codec_pack *self) {
    static const struct codec_settings unused = {{8, 8, 8}, 1};
    uint8_t header[BATON_CODEC_HEADER_MAX];
    uint32_t lens[BATON_CODEC_SEGMENTS_MAX];
    int err = fill_info(self, NULL, NULL, &unused);
    for (uint32_t i = 0; i < self->info.segment_count; i++) {
        uint32_t left = self->new_len - i * BATON_CODEC_SEGMENT_BYTES;
        lens[i] = left < BATON_CODEC_SEGMENT_BYTES ? left
                                                   : BATON_CODEC_SEGMENT_BYTES;
    }
    size_t header_len = put_header(header, &self->info, lens);
    self->payload_len = header_len + self->new_len;
    self->payload = malloc(self->payload_len);
    if (err != 0 || self->payload == NULL) {
        return err != 0 ? err : BATON_ERR_NOMEM;
    }
    memcpy(self->payload, header, header_len);
    memcpy(self->payload + header_len, self->new, self->new_len);
    return baton_codec_header_read(
            self->payload, self->payload_len, &self->info);
}

static int verify(const struct codec_pack *self) {
    uint8_t *image = NULL;
    size_t len = 0;
    int err = codec_unpack(self->payload, self->payload_len, self->old,
            self->old_len, &image, &len);
    if (err == 0
            && (len != self->new_len || memcmp(image, self->new, len) != 0)) {
        err = BATON_ERR_CODEC_DIGEST;
    }
    free(image);
    return err;
}

// What fits the profiles, with and without use for the address map: more for
// literals, or more for the map. Which is better depends on the image, so all
// are tried.
#define ATTEMPTS 2
static const struct codec_settings settings_of[2][2][ATTEMPTS] = {
        {{{{11, 9, 9}, 528 / 8}, {{10, 9, 9}, 784 / 8}},
                {{{12, 9, 8}, 1}, {{11, 10, 11}, 1}}},
        {{{{11, 11, 10}, 2040 / 8}, {{12, 11, 9}, 1656 / 8}},
                {{{12, 12, 12}, 1}, {{13, 11, 11}, 1}}},
};

static void tell_progress(const struct codec_pack *self, uint32_t done) {
    if (self->on_progress != NULL) {
        self->on_progress(done, ATTEMPTS + 2);
    }
}

// The smallest of the attempts. self->payload is NULL before.
static int encode(struct codec_pack *self, const struct codec_align *align) {
    // Without a base, or instructions, nothing is looked up in the map.
    bool needs_map = self->encoding == BATON_CODEC_DELTA
                     && align->new_image.layout.machine != CODEC_DATA;
    struct codec_pack best = {.payload = NULL};
    int err = 0;
    for (uint32_t i = 0; i < ATTEMPTS && err == 0; i++) {
        struct codec_pack attempt = *self;
        err = encode_with(
                &attempt, align, &settings_of[self->profile][!needs_map][i]);
        bool is_better =
                best.payload == NULL || attempt.payload_len < best.payload_len;
        free(is_better ? best.payload : attempt.payload);
        best = is_better ? attempt : best;
        tell_progress(self, i + 2);
    }
    *self = best;
    return err;
}

int codec_pack(struct codec_pack *self) {
    struct codec_align align = {0};
    struct codec_image old_image = {0};
    struct codec_image new_image;
    uint32_t areas[BATON_CODEC_AREAS_MAX];
    if (self->new_len == 0) {
        return BATON_ERR_IS_EMPTY;
    }
    if (self->new_len > 0x1000000 || self->old_len > 0x1000000) {
        return BATON_ERR_IMAGE_TOO_LARGE;
    }
    if (self->encoding == BATON_CODEC_RAW) {
        int err = store(self);
        return err ? err : verify(self);
    }
    bool has_base = self->encoding == BATON_CODEC_DELTA;
    codec_image_open(&new_image, self->new, self->new_len);
    if (has_base) {
        codec_image_open(&old_image, self->old, self->old_len);
        if (old_image.layout.machine != new_image.layout.machine) {
            old_image.layout = (struct codec_layout){0};
            new_image.layout = (struct codec_layout){0};
        }
    }
    codec_image_find_areas(has_base ? &old_image : &new_image, areas);
    codec_image_set_areas(&old_image, areas);
    codec_image_set_areas(&new_image, areas);
    tell_progress(self, 0);
    int err = BATON_ERR_NOMEM;
    if (codec_align(&align, &old_image, &new_image)) {
        tell_progress(self, 1);
        err = encode(self, &align);
    }
    free(align.source);
    err = err ? err : verify(self);
    tell_progress(self, ATTEMPTS + 2);
    return err;
}

// ---- Decode

struct unpacking {
    const uint8_t *old;
    uint8_t *out;
    uint32_t len;
};

static int read_old(void *context, uint32_t off, void *buf, size_t len) {
    const struct unpacking *self = context;
    memcpy(buf, self->old + off, len);
    return 0;
}

static int read_new(void *context, uint32_t off, void *buf, size_t len) {
    const struct unpacking *self = context;
    memcpy(buf, self->out + off, len);
    return 0;
}

static int write_new(void *context, const void *data, size_t len) {
    struct unpacking *self = context;
    memcpy(self->out + self->len, data, len);
    self->len += (uint32_t)len;
    return 0;
}

static int decode(const struct baton_codec_info *info,
        struct unpacking *unpacking, const uint8_t *payload, size_t len) {
    struct baton_codec codec;
    struct baton_codec_config config = {.context = unpacking,
            .read_old = read_old,
            .read_new = read_new,
            .write = write_new,
            .crypto = baton_crypto_psa(),
            .state = malloc(info->state_bytes),
            .state_len = info->state_bytes};
    size_t used;
    int err = config.state == NULL ? BATON_ERR_NOMEM
                                   : baton_codec_begin(&codec, &config, info);
    err = err ? err : baton_codec_push(&codec, payload, len, &used);
    err = err ? err : baton_codec_end(&codec);
    free(config.state);
    return err;
}

int codec_unpack(const uint8_t *payload, size_t payload_len, const uint8_t *old,
        size_t old_len, uint8_t **out, size_t *out_len) {
    struct baton_codec_info info;
    uint8_t digest[BATON_SHA256_BYTES];
    *out = NULL;
    int err = baton_codec_header_read(payload, payload_len, &info);
    if (err) {
        return err;
    }
    if (info.old_bytes != 0
            && (old == NULL || old_len < info.old_bytes
                    || hash(old, info.old_bytes, digest) != 0
                    || memcmp(digest, info.old_sha256, sizeof(digest)) != 0)) {
        return BATON_ERR_CODEC_BASE;
    }
    struct unpacking unpacking = {
            .old = old, .out = malloc((size_t)info.new_bytes + 1)};
    err = unpacking.out == NULL
                  ? BATON_ERR_NOMEM
                  : decode(&info, &unpacking, payload, payload_len);
    if (err == 0
            && (hash(unpacking.out, info.new_bytes, digest) != 0
                    || memcmp(digest, info.new_sha256, sizeof(digest)) != 0)) {
        err = BATON_ERR_CODEC_DIGEST;
    }
    if (err) {
        free(unpacking.out);
        return err;
    }
    *out = unpacking.out;
    *out_len = info.new_bytes;
    return 0;
}
