// Which image runs: its length and the SHA-256 of its file.
// SPDX-License-Identifier: MIT
//
// A version field may be empty (MicroPython's is) and can be wrong; digests
// cannot. They tell that a release runs already, and that a delta fits.
#include <string.h>

#include "agent_parts.h"
#include "baton/error.h"
#include "bytes.h"

#define SIGNATURE_MAGIC  0xE7u
#define SIGNATURE_SECTOR 4096u

static int read_place(
        const struct baton_agent *self, uint32_t off, void *buf, uint32_t len) {
    const struct baton_flash *flash = self->config.flash;
    uint32_t size = self->config.place.size_bytes;
    if (off > size || len > size - off) {
        return BATON_ERR_RANGE;
    }
    return flash->read(flash->context, self->config.place.addr + off, buf, len);
}

// The end of the last segment; *has_digest from the header.
static int walk_segments(
        const struct baton_agent *self, uint32_t *end, bool *has_digest) {
    uint8_t header[BATON_IMAGE_HEADER_BYTES];
    int err = read_place(self, 0, header, sizeof(header));
    if (err != 0) {
        return err;
    }
    if (header[0] != BATON_IMAGE_MAGIC
            || header[1] > BATON_IMAGE_SEGMENTS_MAX) {
        return BATON_ERR_IMAGE_MAGIC;
    }
    *has_digest = header[23] != 0;
    *end = sizeof(header);
    for (uint8_t i = 0; i < header[1]; i++) {
        uint8_t segment[8];
        err = read_place(self, *end, segment, sizeof(segment));
        if (err != 0) {
            return err;
        }
        uint32_t len = get_u32(segment + 4);
        if (len >= BATON_IMAGE_SIZE_MAX) {
            return BATON_ERR_IMAGE_SEGMENT;
        }
        *end += (uint32_t)sizeof(segment) + len;
    }
    return 0;
}

// The file's length: checksum, digest, and where the image is signed for
// Secure Boot the sector with the signature.
static int measure(const struct baton_agent *self, uint32_t *bytes) {
    bool has_digest;
    int err = walk_segments(self, bytes, &has_digest);
    if (err != 0) {
        return err;
    }
    *bytes = (*bytes + 16u) & ~15u;
    *bytes += has_digest ? BATON_SHA256_BYTES : 0u;
    uint32_t sector =
            (*bytes + SIGNATURE_SECTOR - 1u) & ~(SIGNATURE_SECTOR - 1u);
    uint8_t magic[4];
    bool is_signed = read_place(self, sector, magic, sizeof(magic)) == 0
                     && magic[0] == SIGNATURE_MAGIC
                     && (magic[1] == 2 || magic[1] == 3) && magic[3] == 0;
    if (is_signed) {
        *bytes = sector + SIGNATURE_SECTOR;
    }
    return *bytes <= self->config.place.size_bytes ? 0 : BATON_ERR_RANGE;
}

static void set_build_time(struct baton_agent *self) {
    if (self->config.build_unix_s != 0) {
        return;
    }
    struct baton_app_descriptor app;
    int err = baton_image_describe(
            self->config.flash, self->config.place.addr, &app);
    if (err != 0) {
        return;
    }
    self->config.build_unix_s = baton_trust_build_time(app.date, app.time);
    if (self->status.from[0] == '\0') {
        memcpy(self->status.from, app.version, sizeof(app.version));
    }
}

static int start_hash(struct baton_agent *self) {
    set_build_time(self);
    if (measure(self, &self->identity_bytes) != 0) {
        // Something that is no image runs (a board in development): it cannot
        // be current, nor a base.
        self->identity_bytes = 0;
        self->is_identified = true;
        return 0;
    }
    const struct baton_crypto *crypto = self->config.crypto;
    return crypto->hash_start(
            crypto->context, &self->scratch.hash, BATON_HASH_SHA256);
}

static int hash_some(struct baton_agent *self) {
    const struct baton_crypto *crypto = self->config.crypto;
    uint32_t left = self->identity_bytes - self->at;
    uint32_t sector = baton_agent_parts_sector(self);
    uint32_t take = left < sector ? left : sector;
    int err = read_place(self, self->at, self->config.work, take);
    if (err == 0) {
        err = crypto->hash_update(
                crypto->context, &self->scratch.hash, self->config.work, take);
    }
    self->at += take;
    if (err != 0 || self->at < self->identity_bytes) {
        return err;
    }
    self->is_identified = true;
    return crypto->hash_finish(
            crypto->context, &self->scratch.hash, self->identity);
}

int baton_agent_identity_step(struct baton_agent *self) {
    // Also after a check that was given up half-way here.
    if (self->at == 0) {
        int err = start_hash(self);
        if (err != 0 || self->is_identified) {
            return err;
        }
    }
    return hash_some(self);
}

bool baton_agent_identity_is(const struct baton_agent *self, uint32_t bytes,
        const uint8_t sha256[BATON_SHA256_BYTES]) {
    return self->identity_bytes != 0
           && (bytes == 0 || bytes == self->identity_bytes)
           && memcmp(sha256, self->identity, BATON_SHA256_BYTES) == 0;
}
