// How far an update came, marked in the last sector of its slot.
// SPDX-License-Identifier: MIT
#include "journal.h"

#include <string.h>

#include "bytes.h"
#include "crc32.h"

#define MAGIC        0x314A7442u
#define HEADER_BYTES 64u
#define ID_OFF       8u
#define ID_BYTES     16u
#define HEAD_OFF     24u
#define CRC_OFF      60u
#define MARKS_OFF    HEADER_BYTES
#define MARK_BYTES   4u

static uint32_t sector_of(const struct baton_journal_place *place) {
    uint32_t bytes = place->flash->sector_bytes;
    return bytes != 0 ? bytes : BATON_SECTOR_BYTES;
}

static uint32_t count_sectors(const struct baton_journal_place *place) {
    uint32_t sector = sector_of(place);
    return place->image_bytes / sector
           + (place->image_bytes % sector != 0 ? 1u : 0u);
}

// Bytes that one mark takes: several, so that rubbish is none; fewer where the
// image has so many sectors; what flash is programmed in at least.
static uint32_t unit_of(const struct baton_journal_place *place) {
    uint32_t least = place->flash->program_bytes;
    uint32_t room = sector_of(place) - MARKS_OFF;
    uint32_t unit = MARK_BYTES;
    while (unit > 1u && count_sectors(place) > room / unit) {
        unit /= 2u;
    }
    return unit > least ? unit : least;
}

// Sectors that one mark stands for.
static uint32_t sectors_per_unit(const struct baton_journal_place *place) {
    uint32_t units = (sector_of(place) - MARKS_OFF) / unit_of(place);
    return (count_sectors(place) + units - 1u) / units;
}

static void make_header(const struct baton_journal_place *place,
        const uint8_t *id, const uint8_t *head, uint8_t header[HEADER_BYTES]) {
    memset(header, 0xFF, HEADER_BYTES);
    put_u32(header, MAGIC);
    put_u32(header + 4, place->image_bytes);
    memcpy(header + ID_OFF, id, ID_BYTES);
    memcpy(header + HEAD_OFF, head, BATON_UPDATE_HEAD_BYTES);
    put_u32(header + CRC_OFF, ~crc32_extend(UINT32_MAX, header, CRC_OFF));
}

// Erased flash need not read as 0xFF where it is encrypted; a mark is zeros.
static bool is_mark(const uint8_t *unit, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (unit[i] != 0) {
            return false;
        }
    }
    return true;
}

// Marks are read as long as they follow each other.
static int count_marks(const struct baton_agent_journal *self,
        const struct baton_journal_place *place, uint32_t *marked) {
    const struct baton_flash *flash = place->flash;
    uint32_t sectors = count_sectors(place);
    uint32_t addr = self->addr + MARKS_OFF;
    *marked = 0;
    while (*marked < sectors) {
        uint8_t unit[32];
        int err = flash->read(flash->context, addr, unit, unit_of(place));
        if (err != 0 || !is_mark(unit, unit_of(place))) {
            return err;
        }
        *marked += sectors_per_unit(place);
        addr += unit_of(place);
    }
    *marked = sectors;
    return 0;
}

int baton_journal_open(struct baton_agent_journal *self,
        const struct baton_journal_place *place,
        const uint8_t id[BATON_SHA256_BYTES]) {
    memset(self, 0, sizeof(*self));
    uint32_t sector = sector_of(place);
    uint32_t needed = count_sectors(place);
    if (place->image_bytes == 0 || needed >= place->slot_bytes / sector) {
        return 0;
    }
    const struct baton_flash *flash = place->flash;
    self->addr = place->slot_addr + place->slot_bytes - sector;
    uint8_t raw[HEADER_BYTES];
    uint8_t header[HEADER_BYTES];
    int err = flash->read(flash->context, self->addr, raw, sizeof(raw));
    if (err != 0) {
        return err;
    }
    make_header(place, id, raw + HEAD_OFF, header);
    if (memcmp(raw, header, sizeof(raw)) != 0) {
        return 0;
    }
    memcpy(self->head, raw + HEAD_OFF, sizeof(self->head));
    self->started = true;
    self->has_head = true;
    return count_marks(self, place, &self->marked);
}

int baton_journal_start(struct baton_agent_journal *self,
        const struct baton_journal_place *place,
        const uint8_t id[BATON_SHA256_BYTES],
        const uint8_t head[BATON_UPDATE_HEAD_BYTES]) {
    if (self->addr == 0) {
        return 0;
    }
    const struct baton_flash *flash = place->flash;
    int err = flash->erase(flash->context, self->addr, sector_of(place));
    if (err != 0) {
        return err;
    }
    uint8_t raw[HEADER_BYTES];
    make_header(place, id, head, raw);
    err = flash->program(flash->context, self->addr, raw, sizeof(raw));
    if (err != 0) {
        return err;
    }
    self->started = true;
    self->has_head = true;
    self->marked = 0;
    memcpy(self->head, head, sizeof(self->head));
    return 0;
}

int baton_journal_mark(struct baton_agent_journal *self,
        const struct baton_journal_place *place, uint32_t sector) {
    static const uint8_t zeros[32] = {0};
    const struct baton_flash *flash = place->flash;
    uint32_t per_unit = sectors_per_unit(place);
    bool is_last = sector >= count_sectors(place);
    while (self->started && self->marked < sector) {
        if (sector - self->marked < per_unit && !is_last) {
            return 0;
        }
        uint32_t off = self->marked / per_unit * unit_of(place);
        int err = flash->program(flash->context, self->addr + MARKS_OFF + off,
                zeros, unit_of(place));
        if (err != 0) {
            return err;
        }
        self->marked += per_unit;
    }
    return 0;
}

int baton_journal_forget(struct baton_agent_journal *self,
        const struct baton_journal_place *place) {
    self->marked = 0;
    self->has_head = false;
    if (!self->started) {
        return 0;
    }
    self->started = false;
    const struct baton_flash *flash = place->flash;
    return flash->erase(flash->context, self->addr, sector_of(place));
}
