// Fetching a raw payload: the ranges that the slot does not hold already.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "agent_parts.h"
#include "baton/error.h"

struct baton_journal_place baton_agent_fetch_place(
        const struct baton_agent *self) {
    const struct baton_boot_place *target = baton_agent_parts_target(self);
    struct baton_journal_place place = {self->config.flash, target->addr,
            target->size_bytes, self->release.image_bytes};
    return place;
}

static uint32_t round_up(uint32_t value, uint32_t unit) {
    uint32_t rest = value % unit;
    return rest == 0 ? value : value + (unit - rest);
}

// ---- Beginning -----------------------------------------------------------

static int open_journal(struct baton_agent *self) {
    memset(&self->journal, 0, sizeof(self->journal));
    if (!self->release.has_id) {
        return 0;
    }
    struct baton_journal_place place = baton_agent_fetch_place(self);
    int err = baton_journal_open(
            &self->journal, &place, self->release.journal_id);
    if (err == 0 && self->is_fresh) {
        err = baton_journal_forget(&self->journal, &place);
    }
    return err;
}

int baton_agent_fetch_begin(struct baton_agent *self) {
    int err = open_journal(self);
    if (err != 0) {
        return err;
    }
    uint32_t sector = baton_agent_parts_sector(self);
    uint32_t marked = self->journal.marked;
    self->is_resumed = marked != 0;
    self->uses_map = false;
    self->codec_ready = false;
    self->status.total = self->release.payload_bytes;
    self->status.encoding = self->release.encoding;
    self->status.done = marked * sector;
    baton_agent_parts_tell(
            self, BATON_AGENT_EVENT_PAYLOAD, 0, self->release.encoding);
    if (self->is_resumed) {
        baton_agent_parts_tell(
                self, BATON_AGENT_EVENT_RESUMED, 0, self->status.done);
    }
    baton_agent_parts_go(self, BATON_AGENT_FETCHING, PHASE_LIST_OPEN);
    bool is_whole =
            self->is_resumed && self->status.done >= self->release.image_bytes;
    bool wants_list = self->release.list_bytes != 0 && !self->is_fresh
                      && !is_whole && sector == BATON_SECTOR_BYTES
                      && !baton_agent_payload_is_coded(self);
    return wants_list ? 0 : baton_agent_fetch_start(self);
}

int baton_agent_fetch_update(struct baton_agent *self, uint32_t off) {
    const struct baton_agent_config *config = &self->config;
    const struct baton_agent_release *release = &self->release;
    const struct baton_boot_place *target = baton_agent_parts_target(self);
    uint32_t sector = baton_agent_parts_sector(self);
    struct baton_update_config update = {
            .flash = config->flash,
            .crypto = config->crypto,
            .chip = config->chip,
            .slot_addr = target->addr,
            .slot_bytes = target->size_bytes,
            .running_addr = config->place.addr,
            .running_bytes = config->place.size_bytes,
            .image_bytes = release->image_bytes,
            .resume_off = off,
            .suspect_off = off != 0 ? self->journal.marked * sector : 0,
            .resume_head = off != 0 ? self->journal.head : NULL,
            .sha256 = release->has_sha256 ? release->sha256 : NULL,
            .keep = self->uses_map ? self->scratch.fetch.map : NULL,
            .no_block_erase = config->no_block_erase,
            .work = config->work,
            .work_len = sector,
    };
    return baton_update_begin(&self->scratch.fetch.update, &update);
}

// The head may have been programmed already, and cut: bits that cannot be set
// again, or that read right and are weak. The first sector is written anew,
// from what it holds, before its head is programmed once more.
static int renew_first(struct baton_agent *self) {
    const struct baton_flash *flash = self->config.flash;
    uint32_t addr = baton_agent_parts_target(self)->addr;
    uint32_t sector = baton_agent_parts_sector(self);
    uint32_t bytes = self->release.image_bytes;
    uint8_t *work = self->config.work;
    if (!self->is_resumed || self->journal.marked < bytes / sector) {
        return 0;
    }
    int err = flash->read(flash->context, addr, work, sector);
    if (err == 0) {
        err = flash->erase(flash->context, addr, sector);
    }
    if (err != 0) {
        return err;
    }
    return flash->program(flash->context, addr + BATON_UPDATE_HEAD_BYTES,
            work + BATON_UPDATE_HEAD_BYTES, sector - BATON_UPDATE_HEAD_BYTES);
}

int baton_agent_fetch_start(struct baton_agent *self) {
    uint32_t sector = baton_agent_parts_sector(self);
    uint32_t done = self->journal.marked * sector;
    uint32_t bytes = self->release.image_bytes;
    bool is_whole = self->is_resumed && done >= bytes;
    int err = renew_first(self);
    if (err != 0) {
        return err;
    }
    if (baton_agent_payload_is_coded(self) && !is_whole) {
        self->phase = PHASE_BODY_OPEN;
        return 0;
    }
    self->phase = is_whole ? PHASE_END : PHASE_BODY_OPEN;
    self->at = done;
    err = baton_agent_fetch_update(self, done);
    if (err == 0 && is_whole) {
        baton_agent_parts_go(self, BATON_AGENT_VERIFYING, PHASE_END);
    }
    return err;
}

// ---- The journal ---------------------------------------------------------

int baton_agent_fetch_mark(struct baton_agent *self, uint32_t off) {
    struct baton_journal_place place = baton_agent_fetch_place(self);
    const uint8_t *head = baton_update_head(&self->scratch.fetch.update);
    uint32_t sector = baton_agent_parts_sector(self);
    self->status.done = off;
    if (head == NULL || !self->release.has_id) {
        return 0;
    }
    int err = 0;
    if (!self->journal.started) {
        err = baton_journal_start(
                &self->journal, &place, self->release.journal_id, head);
    }
    return err != 0 ? err
                    : baton_journal_mark(&self->journal, &place, off / sector);
}

// ---- The body ------------------------------------------------------------

// The sector in flight when the last attempt was cut may read right and be
// weak, and the first one has to pass through memory for its head.
static bool is_needed(const struct baton_agent *self, uint32_t sector) {
    uint32_t suspect = self->scratch.fetch.update.config.suspect_off;
    bool is_suspect =
            suspect != 0 && sector == suspect / baton_agent_parts_sector(self);
    bool is_first = sector == 0
                    && baton_update_head(&self->scratch.fetch.update) == NULL;
    return is_suspect || is_first || !baton_agent_list_has(self, sector);
}

// The next bytes to fetch, [from, to), at or after self->at; empty at the end.
static void next_run(struct baton_agent *self, uint32_t *from, uint32_t *to) {
    uint32_t size = baton_agent_parts_sector(self);
    uint32_t end = self->release.image_bytes;
    uint32_t at = self->at;
    *from = at;
    *to = 0;
    if (end == 0) {
        return; // its length is not known: all there is
    }
    while (at < end && at % size == 0 && !is_needed(self, at / size)) {
        at += size;
    }
    *from = at < end ? at : end;
    while (at < end && (at % size != 0 || is_needed(self, at / size))) {
        at = round_up(at + 1u, size);
    }
    *to = at < end ? at : end;
}

static int finish_body(struct baton_agent *self) {
    baton_agent_parts_close(self);
    baton_agent_parts_go(self, BATON_AGENT_VERIFYING, PHASE_END);
    return 0;
}

// The URL of what is fetched: a payload, or the plain image itself.
static int set_url(struct baton_agent *self) {
    if (self->release.is_signed) {
        return baton_manifest_url(self->url, self->release.path,
                self->target_url, sizeof(self->target_url));
    }
    memcpy(self->target_url, self->url, strlen(self->url) + 1);
    return 0;
}

int baton_agent_fetch_request(
        struct baton_agent *self, uint32_t from, uint32_t to) {
    if (!self->is_open) {
        int err = set_url(self);
        if (err != 0) {
            return err;
        }
    }
    // A payload of a release is named by its digest; a plain image by its ETag.
    const char *etag = self->release.of.etag;
    bool has_etag = !self->release.is_signed && etag[0] != '\0' && from != 0;
    int err = baton_agent_parts_open(self, from, to, has_etag ? etag : NULL);
    if (err != 0) {
        return err;
    }
    uint32_t total = self->response.total_bytes;
    uint32_t wanted = self->release.payload_bytes;
    if (total != 0 && wanted != 0 && total != wanted) {
        return self->release.is_signed ? BATON_ERR_FILE_LENGTH
                                       : BATON_ERR_HTTP_CHANGED;
    }
    // Asked for as a condition, the whole file means: another one.
    bool is_new = has_etag && self->response.from != from
                  && strcmp(self->response.etag, etag) != 0;
    return is_new ? BATON_ERR_HTTP_CHANGED : 0;
}

static int open_run(struct baton_agent *self) {
    uint32_t from;
    uint32_t to;
    next_run(self, &from, &to);
    uint32_t end = self->release.image_bytes;
    // What is in flight follows what is marked, also behind sectors that the
    // slot held already.
    int err = from != self->at ? baton_agent_fetch_mark(self, from) : 0;
    if (err != 0) {
        return err;
    }
    if (end != 0 && from == end) {
        err = baton_agent_fetch_mark(self, end);
        return err != 0 ? err : finish_body(self);
    }
    err = baton_agent_fetch_request(self, from, to == end ? 0 : to);
    if (err != 0) {
        return err;
    }
    // What lies before was skipped, or is passed over as it comes again.
    self->at = from;
    self->pos = self->response.from;
    self->run_end = to;
    self->phase = PHASE_BODY_READ;
    return 0;
}

int baton_agent_fetch_open(struct baton_agent *self) {
    return baton_agent_payload_is_coded(self) ? baton_agent_payload_open(self)
                                              : open_run(self);
}

// Writes bytes of one sector, or passes them over.
static int feed_piece(
        struct baton_agent *self, const uint8_t *data, uint32_t len) {
    uint32_t size = baton_agent_parts_sector(self);
    uint32_t off = self->pos;
    self->pos += len;
    if (off < self->at) {
        return 0; // a server that knows no ranges sends it again
    }
    self->at = self->pos;
    baton_agent_parts_gain(self, len);
    if (!is_needed(self, off / size)) {
        return 0;
    }
    int err =
            baton_update_write_at(&self->scratch.fetch.update, off, data, len);
    if (err != 0 || self->at % size != 0) {
        return err;
    }
    return baton_agent_fetch_mark(self, self->at);
}

int baton_agent_fetch_feed(
        struct baton_agent *self, const uint8_t *data, size_t len) {
    uint32_t size = baton_agent_parts_sector(self);
    while (len > 0) {
        uint32_t room = size - self->pos % size;
        if (self->pos < self->at && self->at - self->pos < room) {
            room = self->at - self->pos;
        }
        uint32_t take = len < room ? (uint32_t)len : room;
        int err = feed_piece(self, data, take);
        if (err != 0) {
            return err;
        }
        data += take;
        len -= take;
    }
    return 0;
}

static int read_run(struct baton_agent *self) {
    uint32_t end = self->run_end;
    size_t len;
    uint8_t *io = baton_agent_parts_io(self, &len);
    if (end != 0 && end - self->pos < len) {
        len = end - self->pos;
    }
    size_t got = 0;
    int err = len != 0 ? baton_agent_parts_read(self, io, len, &got) : 0;
    if (err != 0) {
        return err;
    }
    if (got != 0) {
        return baton_agent_fetch_feed(self, io, got);
    }
    if (end == 0) {
        return finish_body(self); // its length was not known
    }
    if (self->pos < end) {
        return BATON_ERR_HTTP_LENGTH;
    }
    baton_agent_parts_close(self);
    self->phase = PHASE_BODY_OPEN;
    return 0;
}

int baton_agent_fetch_read(struct baton_agent *self) {
    return baton_agent_payload_is_coded(self) ? baton_agent_payload_read(self)
                                              : read_run(self);
}
