// Writing a new image to the slot that is not running.
// SPDX-License-Identifier: MIT
//
// Bytes gather in a buffer of one sector or several. Each full sector is compared
// with the flash and written only where it differs; what lies in a block that
// was just erased goes by one command. What a cut leaves, by moment:
// - before the first sector's erase: the old image, whole;
// - after it, until `end` programs the head: no header, so no image;
// - while the head is programmed: a torn header fails the digest, a whole one
//   belongs to an image that was verified. Either way nothing points here yet.
#include "baton/update.h"

#include <string.h>

#include "baton/error.h"
#include "update_parts.h"

#define NO_SECTOR UINT32_MAX

// An error sticks: later calls repeat it.
int baton_update_parts_fail(struct baton_update *self, int err) {
    self->status = err;
    self->state = STATE_FAILED;
    return err;
}

uint8_t *baton_update_parts_buffer(struct baton_update *self) {
    return self->config.work;
}

static uint32_t base_of(const struct baton_update *self) {
    return self->off - self->fill;
}

static bool is_blank(const uint8_t *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (data[i] != 0xFF) {
            return false;
        }
    }
    return true;
}

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

static uint32_t round_up(uint32_t value, uint32_t unit) {
    uint32_t rest = value % unit;
    return rest == 0 ? value : value + (unit - rest);
}

// ---- Flash ---------------------------------------------------------------

int baton_update_parts_read_slot(
        struct baton_update *self, uint32_t off, void *buf, size_t len) {
    const struct baton_flash *flash = self->config.flash;
    return flash->read(flash->context, self->config.slot_addr + off, buf, len);
}

int baton_update_parts_compare(struct baton_update *self, uint32_t off,
        const uint8_t *data, uint32_t len, bool *is_same) {
    *is_same = true;
    for (uint32_t at = 0; at < len && *is_same;) {
        uint8_t piece[64];
        uint32_t take =
                len - at < sizeof(piece) ? len - at : (uint32_t)sizeof(piece);
        int err = baton_update_parts_read_slot(self, off + at, piece, take);
        if (err != 0) {
            return err;
        }
        *is_same = memcmp(piece, data + at, take) == 0;
        at += take;
    }
    return 0;
}

static int erase_range(struct baton_update *self, uint32_t off, uint32_t len) {
    const struct baton_flash *flash = self->config.flash;
    int err = flash->erase(flash->context, self->config.slot_addr + off, len);
    if (err != 0) {
        return err;
    }
    if (len == self->sector_bytes) {
        self->stats.sectors_erased++;
    } else {
        self->stats.blocks_erased++;
    }
    self->erased_from = off;
    self->erased_to = off + len;
    return 0;
}

static int program(struct baton_update *self, uint32_t off, const uint8_t *data,
        uint32_t len) {
    const struct baton_flash *flash = self->config.flash;
    if (is_blank(data, len)) {
        return 0;
    }
    self->stats.bytes_programmed += len;
    return flash->program(
            flash->context, self->config.slot_addr + off, data, len);
}

static bool is_erased_by_us(const struct baton_update *self, uint32_t off) {
    return off >= self->erased_from
           && off + self->sector_bytes <= self->erased_to;
}

// The sectors from `off` on are no longer blank. Of a range erased ahead only one
// side is remembered; the other is simply erased again when it comes.
static void consume_erased(
        struct baton_update *self, uint32_t off, uint32_t len) {
    if (!is_erased_by_us(self, off)) {
        return;
    }
    if (off == self->erased_from) {
        self->erased_from = off + len;
    } else {
        self->erased_to = off;
    }
}

static bool is_any_kept(
        const struct baton_update *self, uint32_t off, uint32_t len) {
    uint32_t sector = off / self->sector_bytes;
    uint32_t end = (off + len) / self->sector_bytes;
    while (sector < end
            && ((uint32_t)self->config.keep[sector / 8u] >> sector % 8u & 1u)
                       == 0) {
        sector++;
    }
    return sector < end;
}

// The larger erase destroys what lies ahead, so it is for updates that bring
// all of it: those that say what they keep, or from the beginning, in order.
static bool can_erase_block(const struct baton_update *self, uint32_t off) {
    const struct baton_update_config *config = &self->config;
    uint32_t block = self->block_bytes;
    uint32_t end = config->image_bytes != 0
                           ? round_up(config->image_bytes, self->sector_bytes)
                           : config->slot_bytes;
    if (block == 0 || config->no_block_erase || off > end || block > end - off
            || (config->slot_addr + off) % block != 0) {
        return false;
    }
    if (config->keep != NULL) {
        return !is_any_kept(self, off, block);
    }
    // Behind an unfinished update's first sector lie sectors worth keeping.
    return self->sequential && config->resume_off == 0
           && (off != 0 || self->was_clean);
}

static int erase_for(struct baton_update *self, uint32_t off) {
    bool whole_block = can_erase_block(self, off);
    return erase_range(
            self, off, whole_block ? self->block_bytes : self->sector_bytes);
}

// Takes the header away before anything else of the slot changes.
static int start(struct baton_update *self) {
    if (self->started) {
        return 0;
    }
    int err = erase_for(self, 0);
    if (err != 0) {
        return err;
    }
    self->started = true;
    self->first_blank = true;
    consume_erased(self, 0, self->sector_bytes);
    return 0;
}

// ---- Sectors -------------------------------------------------------------

static int write_first(
        struct baton_update *self, const uint8_t *data, uint32_t len) {
    int err = start(self);
    if (err == 0 && !self->first_blank) {
        err = erase_range(self, 0, self->sector_bytes);
        consume_erased(self, 0, self->sector_bytes);
    }
    if (err != 0) {
        return err;
    }
    self->first_blank = false;
    self->have_head = true;
    memcpy(self->head, data, sizeof(self->head));
    return program(self, BATON_UPDATE_HEAD_BYTES,
            data + BATON_UPDATE_HEAD_BYTES, len - BATON_UPDATE_HEAD_BYTES);
}

static uint8_t *second_buffer(struct baton_update *self) {
    size_t used = self->gather_bytes;
    bool has_room = self->config.work_len - used >= self->sector_bytes;
    return has_room ? baton_update_parts_buffer(self) + used : NULL;
}

// Whether this update finds out by itself what was in flight when an earlier one
// was cut short: the last right sector before the first that differs.
static bool can_hold(struct baton_update *self) {
    return second_buffer(self) != NULL && self->config.keep == NULL
           && self->sequential;
}

// Keeps a sector that was skipped until it is known whether the next differs.
static void hold_sector(struct baton_update *self, uint32_t off,
        const uint8_t *data, uint32_t len) {
    if (can_hold(self) && !self->was_clean && !self->differed) {
        uint8_t *second = second_buffer(self);
        memcpy(second, data, len);
        memset(second + len, 0xFF, self->sector_bytes - len);
        self->held_off = off;
    }
}

static int rewrite_held(struct baton_update *self) {
    uint32_t off = self->held_off;
    self->held_off = NO_SECTOR;
    if (off == NO_SECTOR) {
        return 0;
    }
    int err = erase_range(self, off, self->sector_bytes);
    if (err != 0) {
        return err;
    }
    consume_erased(self, off, self->sector_bytes);
    return program(self, off, second_buffer(self), self->sector_bytes);
}

// Whether what is on flash there may be weak, though it reads right.
static bool is_suspect(struct baton_update *self, uint32_t off) {
    const struct baton_update_config *config = &self->config;
    uint32_t suspect =
            config->suspect_off != 0 ? config->suspect_off : config->resume_off;
    return suspect != 0 && off == suspect && !can_hold(self);
}

// Whether flash may keep what it has at `off`. A caller that says what is kept
// has compared, and means the rest to be written.
static int can_skip(struct baton_update *self, uint32_t off,
        const uint8_t *data, uint32_t len, bool *result) {
    *result = false;
    if (self->config.keep != NULL || is_suspect(self, off)
            || is_blank(data, len)) {
        return 0;
    }
    return baton_update_parts_compare(self, off, data, len, result);
}

// One sector, or as many as lie in what is erased: *taken bytes of them.
static int write_other(struct baton_update *self, uint32_t off,
        const uint8_t *data, uint32_t len, uint32_t *taken) {
    uint32_t sector = self->sector_bytes;
    *taken = len < sector ? len : sector;
    if (!is_erased_by_us(self, off)) {
        bool skip;
        int err = can_skip(self, off, data, *taken, &skip);
        if (err == 0 && skip) {
            self->stats.sectors_skipped++;
            hold_sector(self, off, data, *taken);
            return 0;
        }
        err = err != 0 ? err : start(self);
        err = err != 0 ? err : rewrite_held(self);
        self->differed = true;
        err = err != 0 ? err : erase_for(self, off);
        if (err != 0) {
            return err;
        }
    }
    uint32_t erased = self->erased_to - off;
    *taken = len < erased ? len : erased;
    // Behind a part of a sector nothing comes.
    consume_erased(self, off, *taken);
    return program(self, off, data, *taken);
}

// Checks what the first bytes tell, before the first erase.
static int check_head(struct baton_update *self, uint32_t have) {
    if (self->checked) {
        return 0;
    }
    self->checked = true;
    return baton_image_check(baton_update_parts_buffer(self), have,
            self->config.image_bytes, &self->image_config);
}

// Writes the first bytes of the buffer, whole program units; the rest of the
// last one as erased flash reads.
static int write_gathered(struct baton_update *self, uint32_t len) {
    uint8_t *data = baton_update_parts_buffer(self);
    uint32_t off = base_of(self);
    const struct baton_flash *flash = self->config.flash;
    uint32_t unit = flash->program_bytes != 0 ? flash->program_bytes : 1u;
    uint32_t end = round_up(len, unit);
    memset(data + len, 0xFF, end - len);
    int err = off == 0 ? check_head(self, len) : 0;
    for (uint32_t at = 0; err == 0 && at < end;) {
        uint32_t taken =
                end - at < self->sector_bytes ? end - at : self->sector_bytes;
        err = off + at == 0 ? write_first(self, data, taken)
                            : write_other(self, off + at, data + at, end - at,
                                    &taken);
        at += taken;
    }
    return err;
}

int baton_update_parts_flush(struct baton_update *self) {
    int err = self->fill != 0 ? write_gathered(self, self->fill) : 0;
    // What failed stays counted as not written.
    self->fill = err == 0 ? 0 : self->fill;
    return err;
}

int baton_update_parts_finish(struct baton_update *self) {
    int err = baton_update_parts_flush(self);
    // Where nothing differed the last sector may be the one.
    return err != 0 ? err : rewrite_held(self);
}

// ---- The calls -----------------------------------------------------------

static bool is_config_complete(const struct baton_update_config *config) {
    return config->flash != NULL && config->crypto != NULL
           && config->chip != NULL && config->work != NULL
           && config->slot_bytes != 0;
}

// The head is programmed alone, so it has to be whole units.
static bool is_unit_usable(const struct baton_flash *flash) {
    uint32_t unit = flash->program_bytes != 0 ? flash->program_bytes : 1u;
    return BATON_UPDATE_HEAD_BYTES % unit == 0;
}

static int check_config(struct baton_update *self) {
    const struct baton_update_config *config = &self->config;
    uint32_t sector = self->sector_bytes;
    if (!is_unit_usable(config->flash) || self->gather_bytes % sector != 0
            || config->work_len < self->gather_bytes
            || config->slot_addr % sector != 0
            || config->slot_bytes % sector != 0
            || config->resume_off % sector != 0
            || (config->resume_head != NULL && config->resume_off == 0)
            || sector % BATON_UPDATE_HEAD_BYTES != 0
            || config->slot_bytes > BATON_IMAGE_SIZE_MAX) {
        return BATON_ERR_ARG;
    }
    uint32_t size = config->flash->size_bytes;
    if (config->slot_addr > size
            || config->slot_bytes > size - config->slot_addr
            || config->resume_off > config->slot_bytes) {
        return BATON_ERR_RANGE;
    }
    // Where one begins before the other the difference wraps to a large number.
    bool overlaps =
            config->running_addr - config->slot_addr < config->slot_bytes
            || config->slot_addr - config->running_addr < config->running_bytes;
    if (config->running_bytes != 0 && overlaps) {
        return BATON_ERR_RUNNING_SLOT;
    }
    return config->image_bytes > config->slot_bytes ? BATON_ERR_IMAGE_TOO_LARGE
                                                    : 0;
}

int baton_update_begin(
        struct baton_update *self, const struct baton_update_config *config) {
    memset(self, 0, sizeof(*self));
    if (!is_config_complete(config)) {
        return baton_update_parts_fail(self, BATON_ERR_ARG);
    }
    self->config = *config;
    const struct baton_flash *flash = config->flash;
    self->sector_bytes =
            flash->sector_bytes != 0 ? flash->sector_bytes : BATON_SECTOR_BYTES;
    self->block_bytes = flash->block_bytes;
    self->gather_bytes = config->gather_bytes != 0 ? config->gather_bytes
                                                   : self->sector_bytes;
    self->held_off = NO_SECTOR;
    self->sequential = true;
    self->off = config->resume_off;
    self->image_config.crypto = config->crypto;
    self->image_config.chip = config->chip;
    self->image_config.limit_bytes = config->slot_bytes;
    self->image_config.need_digest = config->sha256 == NULL;
    int err = check_config(self);
    uint8_t magic = 0;
    if (err == 0) {
        err = baton_update_parts_read_slot(self, 0, &magic, sizeof(magic));
    }
    if (err != 0) {
        return baton_update_parts_fail(self, err);
    }
    // An unfinished update has no header, and a bad one in its place would
    // only cost a few skips.
    self->was_clean = magic == BATON_IMAGE_MAGIC;
    if (config->resume_head != NULL) {
        memcpy(self->head, config->resume_head, sizeof(self->head));
        self->have_head = true;
        self->started = true;
        self->checked = true;
    }
    self->state = STATE_WRITING;
    return 0;
}

static int check_room(const struct baton_update *self, size_t len) {
    const struct baton_update_config *config = &self->config;
    if (len > config->slot_bytes - self->off) {
        return BATON_ERR_IMAGE_TOO_LARGE;
    }
    bool is_past = config->image_bytes != 0
                   && (self->off > config->image_bytes
                           || len > config->image_bytes - self->off);
    return is_past ? BATON_ERR_RANGE : 0;
}

// Up to an address that is a multiple of the buffer's length: where a block can
// be erased one begins.
static uint32_t room_in_buffer(const struct baton_update *self) {
    uint32_t size = self->gather_bytes;
    uint32_t addr = self->config.slot_addr + base_of(self);
    return size - addr % size - self->fill;
}

int baton_update_write(
        struct baton_update *self, const void *data, size_t len) {
    if (self->state != STATE_WRITING) {
        return self->status != 0 ? self->status : BATON_ERR_STATE;
    }
    int err = check_room(self, len);
    const uint8_t *from = data;
    while (err == 0 && len > 0) {
        uint32_t room = room_in_buffer(self);
        size_t take = len < room ? len : room;
        memcpy(baton_update_parts_buffer(self) + self->fill, from, take);
        self->fill += (uint32_t)take;
        self->off += (uint32_t)take;
        from += take;
        len -= take;
        if (base_of(self) == 0 && self->fill >= BATON_IMAGE_HEAD_BYTES) {
            err = check_head(self, self->fill);
        }
        if (err == 0 && take == room) {
            err = baton_update_parts_flush(self);
        }
    }
    return err != 0 ? baton_update_parts_fail(self, err) : 0;
}

int baton_update_write_at(
        struct baton_update *self, uint32_t off, const void *data, size_t len) {
    if (self->state != STATE_WRITING) {
        return self->status != 0 ? self->status : BATON_ERR_STATE;
    }
    if (off != self->off) {
        bool may_leave = self->fill % self->sector_bytes == 0
                         || self->off == self->config.image_bytes;
        if (!may_leave || off % self->sector_bytes != 0
                || off > self->config.slot_bytes) {
            return baton_update_parts_fail(self, BATON_ERR_ARG);
        }
        int err = baton_update_parts_finish(self);
        if (err != 0) {
            return baton_update_parts_fail(self, err);
        }
        self->sequential = false;
        self->off = off;
    }
    return baton_update_write(self, data, len);
}

int baton_update_flush(struct baton_update *self) {
    if (self->state != STATE_WRITING) {
        return self->status != 0 ? self->status : BATON_ERR_STATE;
    }
    uint32_t rest = self->fill % self->sector_bytes;
    uint32_t whole = self->fill - rest;
    if (whole == 0) {
        return 0;
    }
    int err = write_gathered(self, whole);
    if (err != 0) {
        return baton_update_parts_fail(self, err);
    }
    uint8_t *data = baton_update_parts_buffer(self);
    memmove(data, data + whole, rest);
    self->fill = rest;
    return 0;
}

void baton_update_abort(struct baton_update *self) {
    self->state = STATE_IDLE;
    self->status = 0;
}

const struct baton_image_info *baton_update_info(
        const struct baton_update *self) {
    return baton_image_result(&self->image);
}

// Reads what lies at `off` in one place: in the head that is held back, on
// flash, or in the buffer. *len: how much is wanted, then how much was read.
static int read_piece(
        struct baton_update *self, uint32_t off, uint8_t *to, uint32_t *len) {
    uint32_t base = base_of(self);
    if (self->have_head && off < sizeof(self->head)) {
        *len = least(*len, (uint32_t)sizeof(self->head) - off);
        memcpy(to, self->head + off, *len);
        return 0;
    }
    if (off >= base) {
        memcpy(to, baton_update_parts_buffer(self) + (off - base), *len);
        return 0;
    }
    *len = least(*len, base - off);
    return baton_update_parts_read_slot(self, off, to, *len);
}

int baton_update_read(
        struct baton_update *self, uint32_t off, void *buf, size_t len) {
    if (off > self->off || len > self->off - off) {
        return BATON_ERR_ARG;
    }
    uint8_t *to = buf;
    uint32_t left = (uint32_t)len;
    int err = 0;
    while (err == 0 && left > 0) {
        uint32_t taken = left;
        err = read_piece(self, off, to, &taken);
        off += taken;
        to += taken;
        left -= taken;
    }
    return err;
}

const uint8_t *baton_update_head(const struct baton_update *self) {
    return self->have_head ? self->head : NULL;
}

uint32_t baton_update_offset(const struct baton_update *self) {
    uint32_t base = base_of(self);
    return self->sector_bytes == 0 ? 0 : base - base % self->sector_bytes;
}
