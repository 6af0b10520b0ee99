// The sector list: which sectors the slot holds already.
// SPDX-License-Identifier: MIT
//
// 8 bytes of SHA-256 for each sector, compared as they come: the list is never
// in memory. It is believed when all of it came and its own digest is the
// manifest's; otherwise everything is fetched.
#include <string.h>

#include "agent_parts.h"
#include "baton/error.h"

#define ENTRY BATON_MANIFEST_LIST_ENTRY_BYTES

static struct baton_hash_state *list_hash(struct baton_agent *self) {
    return &self->scratch.list.all;
}

static int begin_list(struct baton_agent *self) {
    const struct baton_crypto *crypto = self->config.crypto;
    memset(&self->scratch.list, 0, sizeof(self->scratch.list));
    self->uses_map = false;
    self->fill = 0;
    self->at = 0;
    return crypto->hash_start(
            crypto->context, list_hash(self), BATON_HASH_SHA256);
}

// Without the list the update goes on, and fetches everything.
static int do_without(struct baton_agent *self) {
    baton_agent_parts_close(self);
    self->uses_map = false;
    return baton_agent_fetch_start(self);
}

int baton_agent_list_open(struct baton_agent *self) {
    struct baton_agent_release *release = &self->release;
    if (!self->is_open) {
        int err = baton_manifest_url(self->url, release->of.list_path,
                self->target_url, sizeof(self->target_url));
        err = err != 0 ? err : begin_list(self);
        if (err != 0) {
            return err;
        }
    }
    int err = baton_agent_parts_open(self, 0, 0, NULL);
    if (err == 0) {
        self->phase = PHASE_LIST_READ;
    } else if (err != BATON_ERR_AGAIN && !baton_error_is_retryable(err)) {
        return do_without(self);
    }
    return err;
}

static int hash_sector(
        struct baton_agent *self, uint32_t off, uint32_t len, uint8_t *digest) {
    const struct baton_flash *flash = self->config.flash;
    const struct baton_crypto *crypto = self->config.crypto;
    struct baton_hash_state *hash = &self->scratch.list.sector;
    int err = flash->read(flash->context,
            baton_agent_parts_target(self)->addr + off, self->config.work, len);
    if (err == 0) {
        err = crypto->hash_start(crypto->context, hash, BATON_HASH_SHA256);
    }
    if (err == 0) {
        err = crypto->hash_update(
                crypto->context, hash, self->config.work, len);
    }
    return err != 0 ? err : crypto->hash_finish(crypto->context, hash, digest);
}

// Compares one sector with its entry.
static int compare_entry(struct baton_agent *self, const uint8_t *entry) {
    uint32_t sector = self->at;
    uint32_t size = BATON_SECTOR_BYTES;
    uint32_t off = sector * size;
    uint32_t left = self->release.image_bytes - off;
    uint8_t digest[BATON_SHA256_BYTES];
    int err = hash_sector(self, off, left < size ? left : size, digest);
    if (err == 0 && memcmp(digest, entry, ENTRY) == 0) {
        uint8_t bit = (uint8_t)(1u << (sector % 8u));
        self->scratch.list.map[sector / 8u] |= bit;
    }
    self->at++;
    return err;
}

static int finish_list(struct baton_agent *self) {
    const struct baton_crypto *crypto = self->config.crypto;
    uint8_t digest[BATON_SHA256_BYTES];
    int err = crypto->hash_finish(crypto->context, list_hash(self), digest);
    baton_agent_parts_close(self);
    self->failures = 0;
    uint32_t size = BATON_SECTOR_BYTES;
    uint32_t sectors = (self->release.image_bytes + size - 1u) / size;
    self->uses_map =
            err == 0 && self->at == sectors
            && memcmp(digest, self->release.list_sha256, sizeof(digest)) == 0;
    return err != 0 ? err : baton_agent_fetch_start(self);
}

int baton_agent_list_read(struct baton_agent *self) {
    const struct baton_crypto *crypto = self->config.crypto;
    size_t room;
    uint8_t *entry = baton_agent_parts_io(self, &room);
    size_t got;
    int err = baton_agent_parts_read(
            self, entry + self->fill, ENTRY - self->fill, &got);
    if (err != 0) {
        return baton_error_is_retryable(err) || err == BATON_ERR_AGAIN
                       ? err
                       : do_without(self);
    }
    if (got == 0) {
        return finish_list(self);
    }
    err = crypto->hash_update(
            crypto->context, list_hash(self), entry + self->fill, got);
    self->fill += (uint32_t)got;
    if (err != 0 || self->fill < ENTRY) {
        return err;
    }
    self->fill = 0;
    uint32_t size = BATON_SECTOR_BYTES;
    // More entries than sectors: not the list, and maybe without an end.
    bool is_past = self->at >= BATON_AGENT_MAP_BYTES * 8u
                   || self->at * size >= self->release.image_bytes;
    return is_past ? do_without(self) : compare_entry(self, entry);
}

bool baton_agent_list_has(const struct baton_agent *self, uint32_t sector) {
    return self->uses_map && sector / 8u < BATON_AGENT_MAP_BYTES
           && ((uint32_t)self->scratch.fetch.map[sector / 8u] >> (sector % 8u)
                      & 1u)
                      != 0;
}
