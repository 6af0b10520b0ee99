// What every port's flash must do, as rules that run on any of them.
// SPDX-License-Identifier: MIT
#include "flash_contract.h"

#include <string.h>

#include "baton/error.h"

// One run of one rule.
struct trial {
    const struct flash_contract *c;
    const struct baton_flash *flash;
    struct flash_contract_fault *fault;
    uint32_t sector;
    uint32_t block; // 0: no block erase
    uint32_t unit;  // of programs
    uint32_t base;
    uint32_t end;
};

static bool fail(struct trial *t, const char *what, uint32_t addr, int err) {
    *t->fault = (struct flash_contract_fault){what, addr, err};
    return false;
}

static uint8_t pattern(uint32_t addr, uint32_t seed) {
    uint32_t x = (addr + 1u) * 2654435761u ^ seed * 40503u;
    return (uint8_t)(x ^ x >> 13 ^ x >> 24);
}

// ---- Steps: each says what went wrong ------------------------------------

static bool erase(struct trial *t, uint32_t addr, size_t len) {
    int err = t->flash->erase(t->flash->context, addr, len);
    return err == 0 || fail(t, "an erase failed", addr, err);
}

static bool program(
        struct trial *t, uint32_t addr, const void *data, size_t len) {
    int err = t->flash->program(t->flash->context, addr, data, len);
    return err == 0 || fail(t, "a program failed", addr, err);
}

static bool program_pattern(
        struct trial *t, uint32_t addr, uint32_t len, uint32_t seed) {
    for (uint32_t done = 0; done < len;) {
        uint32_t n = len - done < t->sector ? len - done : t->sector;
        for (uint32_t i = 0; i < n; i++) {
            t->c->work[i] = pattern(addr + done + i, seed);
        }
        if (!program(t, addr + done, t->c->work, n)) {
            return false;
        }
        done += n;
    }
    return true;
}

static bool expect(struct trial *t, uint32_t addr, uint32_t len, bool is_blank,
        uint32_t seed, const char *what) {
    for (uint32_t done = 0; done < len;) {
        uint32_t n = len - done < t->sector ? len - done : t->sector;
        uint8_t *buf = t->c->work;
        int err = t->flash->read(t->flash->context, addr + done, buf, n);
        if (err) {
            return fail(t, "a read failed", addr + done, err);
        }
        for (uint32_t i = 0; i < n; i++) {
            uint8_t want = is_blank ? 0xFF : pattern(addr + done + i, seed);
            if (buf[i] != want) {
                return fail(t, what, addr + done + i, 0);
            }
        }
        done += n;
    }
    return true;
}

static bool expect_blank(
        struct trial *t, uint32_t addr, uint32_t len, const char *what) {
    return expect(t, addr, len, true, 0, what);
}

static bool expect_pattern(struct trial *t, uint32_t addr, uint32_t len,
        uint32_t seed, const char *what) {
    return expect(t, addr, len, false, seed, what);
}

static bool expect_err(
        struct trial *t, int err, int want, uint32_t addr, const char *what) {
    return err == want || fail(t, what, addr, err);
}

// ---- Rules ---------------------------------------------------------------

static bool has_a_geometry(struct trial *t) {
    const struct baton_flash *f = t->flash;
    bool unit_ok = t->unit <= 32 && (t->unit & (t->unit - 1u)) == 0;
    if (!unit_ok) {
        return fail(t, "program_bytes is not a power of two up to 32", 0, 0);
    }
    if (t->sector % t->unit != 0 || t->sector < 256) {
        return fail(t, "sector_bytes does not fit program_bytes", 0, 0);
    }
    if (f->size_bytes == 0 || f->size_bytes % t->sector != 0) {
        return fail(t, "size_bytes is not whole sectors", 0, 0);
    }
    return t->block == 0 || (t->block % t->sector == 0 && t->block > t->sector)
           || fail(t, "block_bytes is not whole sectors", 0, 0);
}

static bool erases_a_sector(struct trial *t) {
    uint32_t addr = t->base + t->sector;
    return erase(t, t->base, 3 * t->sector)
           && program_pattern(t, t->base, 3 * t->sector, 1)
           && erase(t, addr, t->sector)
           && expect_blank(t, addr, t->sector, "an erased byte is not 0xFF")
           && expect_pattern(t, t->base, t->sector, 1,
                   "an erase touched the sector before")
           && expect_pattern(t, addr + t->sector, t->sector, 1,
                   "an erase touched the sector after")
           && erase(t, addr, t->sector)
           && expect_blank(t, addr, t->sector, "a second erase spoils");
}

static bool erases_a_block(struct trial *t) {
    if (t->block == 0) {
        return true;
    }
    uint32_t addr = t->base + t->block;
    uint32_t before = addr - t->sector;
    uint32_t after = addr + t->block;
    return erase(t, before, t->sector) && erase(t, after, t->sector)
           && program_pattern(t, before, t->sector, 2)
           && program_pattern(t, after, t->sector, 2)
           && erase(t, addr, t->block) && program_pattern(t, addr, t->block, 3)
           && erase(t, addr, t->block)
           && expect_blank(t, addr, t->block, "an erased block is not blank")
           && expect_pattern(t, before, t->sector, 2,
                   "a block erase touched the sector before")
           && expect_pattern(t, after, t->sector, 2,
                   "a block erase touched the sector after");
}

// From the middle of one block to the middle of the third, as a loop of the
// port's own.
static bool erases_a_long_range(struct trial *t) {
    uint32_t from = t->base + t->sector;
    uint32_t to = t->end - t->sector;
    return erase(t, t->base, t->end - t->base)
           && program_pattern(t, t->base, t->end - t->base, 4)
           && erase(t, from, to - from)
           && expect_blank(t, from, to - from, "a long erase left bytes")
           && expect_pattern(t, t->base, t->sector, 4,
                   "a long erase touched the sector before")
           && expect_pattern(
                   t, to, t->sector, 4, "a long erase touched the one after");
}

static bool keeps_what_is_programmed(struct trial *t) {
    return erase(t, t->base, 3 * t->sector)
           && program_pattern(t, t->base, t->sector, 5)
           && expect_pattern(t, t->base, t->sector, 5,
                   "flash does not hold what was programmed")
           && program_pattern(t, t->base + 2 * t->sector, t->sector, 6)
           && erase(t, t->base + t->sector, t->sector)
           && expect_pattern(t, t->base, t->sector, 5,
                   "data changed while other sectors were written");
}

// Every start inside a page, lengths that cross into the next ones.
static bool programs_at_any_unit(struct trial *t) {
    static const uint32_t unit_counts[] = {1, 2, 3, 7, 8, 9, 17, 300};
    uint32_t step = t->unit < 8 ? 8 + t->unit : t->unit;
    for (uint32_t start = 0; start <= 512; start += step) {
        for (size_t i = 0; i < sizeof(unit_counts) / sizeof(uint32_t); i++) {
            uint32_t from = t->base + t->unit + start / t->unit * t->unit;
            uint32_t len = unit_counts[i] * t->unit;
            uint32_t room = t->base + 2 * t->sector - t->unit - from;
            len = len < room ? len : room;
            if (!erase(t, t->base, 2 * t->sector)
                    || !program_pattern(t, from, len, start + 7)
                    || !expect_pattern(t, from, len, start + 7,
                            "a program did not land where it should")
                    || !expect_blank(t, t->base, from - t->base,
                            "a program touched bytes before it")
                    || !expect_blank(t, from + len,
                            t->base + 2 * t->sector - from - len,
                            "a program touched bytes after it")) {
                return false;
            }
        }
    }
    return true;
}

static bool only_clears_bits(struct trial *t) {
    if (!t->c->reprograms) {
        return true;
    }
    uint8_t *buf = t->c->work;
    if (!erase(t, t->base, t->sector)) {
        return false;
    }
    for (unsigned step = 0; step < 8; step++) {
        memset(buf, (int)(0xFFu << (step + 1) & 0xFFu), 64);
        if (!program(t, t->base, buf, 64)) {
            return false;
        }
    }
    int err = t->flash->read(t->flash->context, t->base, buf, 64);
    for (uint32_t i = 0; i < 64; i++) {
        if (err || buf[i] != 0) {
            return fail(
                    t, "bits that were cleared came back", t->base + i, err);
        }
    }
    memset(buf, 0, 64);
    return program(t, t->base, buf, 64); // no change is no fault
}

// The byte that breaks the rule comes last, in another page than the first.
static bool refuses_to_set_a_bit(struct trial *t) {
    if (!t->c->tells_nor) {
        return true;
    }
    uint32_t len = 1024;
    uint32_t last = t->base + len - 1;
    uint8_t *buf = t->c->work;
    if (!erase(t, t->base, t->sector)) {
        return false;
    }
    memset(buf, 0x7F, t->unit);
    if (!program(t, t->base + len - t->unit, buf, t->unit)) {
        return false;
    }
    memset(buf, 0, len);
    buf[len - 1] = 0x80;
    int err = t->flash->program(t->flash->context, t->base, buf, len);
    if (!expect_err(t, err, BATON_ERR_NOR, last,
                "a program that sets a bit is not refused with ERR_NOR")
            || !expect_blank(t, t->base, len - t->unit,
                    "a refused program touched the flash")) {
        return false;
    }
    err = t->flash->read(t->flash->context, last, buf, 1);
    return (err == 0 && buf[0] == 0x7F)
           || fail(t, "a refused program touched the flash", last, err);
}

static bool reads_any_range(struct trial *t) {
    static const uint32_t lens[] = {0, 1, 2, 3, 4, 5, 15, 31, 33, 255, 257};
    uint8_t *buf = t->c->work;
    if (!erase(t, t->base, 2 * t->sector)
            || !program_pattern(t, t->base, 2 * t->sector, 9)) {
        return false;
    }
    for (uint32_t off = 0; off < 40; off++) {
        for (size_t i = 0; i < sizeof(lens) / sizeof(uint32_t); i++) {
            uint32_t addr = t->base + t->sector - 20 + off;
            memset(buf, 0xA5, lens[i] + 16);
            int err = t->flash->read(t->flash->context, addr, buf + 8, lens[i]);
            if (err) {
                return fail(t, "a read inside the chip failed", addr, err);
            }
            for (uint32_t b = 0; b < lens[i] + 16; b++) {
                bool is_data = b >= 8 && b < lens[i] + 8;
                uint8_t want = is_data ? pattern(addr + b - 8, 9) : 0xA5;
                if (buf[b] != want) {
                    return fail(t,
                            is_data ? "a read returned wrong bytes"
                                    : "a read wrote outside its buffer",
                            addr + b - 8, 0);
                }
            }
        }
    }
    return true;
}

static bool leaves_the_source_alone(struct trial *t) {
    uint8_t *buf = t->c->work;
    if (!erase(t, t->base, t->sector)
            || !program_pattern(t, t->base, t->sector, 10)) {
        return false;
    }
    for (uint32_t i = 0; i < t->sector; i++) {
        if (buf[i] != pattern(t->base + i, 10)) {
            return fail(t, "a program changed the caller's data", i, 0);
        }
    }
    return true;
}

static bool does_nothing_for_no_bytes(struct trial *t) {
    const struct baton_flash *f = t->flash;
    uint8_t byte = 0;
    uint32_t at[] = {t->base, t->base + t->sector, f->size_bytes};
    if (!erase(t, t->base, 2 * t->sector)
            || !program_pattern(t, t->base, 2 * t->sector, 11)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        int err = f->read(f->context, at[i], &byte, 0);
        err = err ? err : f->program(f->context, at[i], &byte, 0);
        err = err ? err : f->erase(f->context, at[i], 0);
        if (err) {
            return fail(t, "length 0 inside the chip is refused", at[i], err);
        }
    }
    return expect_pattern(t, t->base, 2 * t->sector, 11,
            "a call of length 0 touched the flash");
}

// Ranges that reach past the end, by a little, by a lot, and around zero.
static bool stays_inside_the_chip(struct trial *t) {
    const struct baton_flash *f = t->flash;
    uint32_t size = f->size_bytes;
    const struct {
        uint32_t addr;
        size_t len;
    } bad[] = {
            {size, t->sector},
            {size - t->sector, 2 * t->sector},
            {size + t->sector, t->sector},
            {size + t->sector, 0},
            {0, (size_t)size + t->sector},
            {0u - t->sector, t->sector},
            {0u - t->sector, 2 * t->sector},
            {t->base, (size_t)0 - t->sector},
            {size - t->sector, (size_t)0 - t->sector},
    };
    if (!erase(t, t->base, t->sector)
            || !program_pattern(t, t->base, t->sector, 12)) {
        return false;
    }
    uint8_t *buf = t->c->work;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint32_t addr = bad[i].addr;
        int err = f->read(f->context, addr, buf, bad[i].len);
        if (!expect_err(t, err, BATON_ERR_RANGE, addr,
                    "a read past the end is not ERR_RANGE")) {
            return false;
        }
        err = f->program(f->context, addr, buf, bad[i].len);
        if (!expect_err(t, err, BATON_ERR_RANGE, addr,
                    "a program past the end is not ERR_RANGE")) {
            return false;
        }
        err = f->erase(f->context, addr, bad[i].len);
        if (!expect_err(t, err, BATON_ERR_RANGE, addr,
                    "an erase past the end is not ERR_RANGE")) {
            return false;
        }
    }
    int err = f->read(f->context, size - 1, buf, 1);
    return expect_err(t, err, 0, size - 1, "the last byte cannot be read")
           && expect_pattern(t, t->base, t->sector, 12,
                   "a refused call touched the flash");
}

static bool refuses_bad_alignment(struct trial *t) {
    const struct baton_flash *f = t->flash;
    uint8_t *zeros = t->c->work + t->sector;
    if (!erase(t, t->base, 2 * t->sector)
            || !program_pattern(t, t->base, 2 * t->sector, 13)) {
        return false;
    }
    memset(zeros, 0, t->sector);
    for (uint32_t off = 1; off < t->unit; off++) {
        int err = f->program(f->context, t->base + off, zeros, t->unit);
        int err2 = f->program(f->context, t->base, zeros, t->unit + off);
        if (err != BATON_ERR_ARG || err2 != BATON_ERR_ARG) {
            return fail(t, "an unaligned program is not ERR_ARG", t->base + off,
                    err != BATON_ERR_ARG ? err : err2);
        }
    }
    const uint32_t offs[] = {1, 16, 256, t->sector / 2, t->sector - 1};
    for (size_t i = 0; i < sizeof(offs) / sizeof(offs[0]); i++) {
        int err = f->erase(f->context, t->base + offs[i], t->sector);
        int err2 = f->erase(f->context, t->base, t->sector + offs[i]);
        int err3 = f->erase(f->context, t->base, offs[i]);
        if (err != BATON_ERR_ARG || err2 != BATON_ERR_ARG
                || err3 != BATON_ERR_ARG) {
            return fail(t, "an unaligned erase is not ERR_ARG",
                    t->base + offs[i], err);
        }
    }
    return expect_pattern(
            t, t->base, 2 * t->sector, 13, "a refused call touched the flash");
}

static const struct {
    const char *name;
    bool (*run)(struct trial *t);
} rules[] = {
        {"has_a_geometry", has_a_geometry},
        {"erases_a_sector", erases_a_sector},
        {"erases_a_block", erases_a_block},
        {"erases_a_long_range", erases_a_long_range},
        {"keeps_what_is_programmed", keeps_what_is_programmed},
        {"programs_at_any_unit", programs_at_any_unit},
        {"only_clears_bits", only_clears_bits},
        {"refuses_to_set_a_bit", refuses_to_set_a_bit},
        {"reads_any_range", reads_any_range},
        {"leaves_the_source_alone", leaves_the_source_alone},
        {"does_nothing_for_no_bytes", does_nothing_for_no_bytes},
        {"stays_inside_the_chip", stays_inside_the_chip},
        {"refuses_bad_alignment", refuses_bad_alignment},
};

const char *flash_contract_run(const struct flash_contract *self, size_t index,
        struct flash_contract_fault *fault) {
    if (index >= sizeof(rules) / sizeof(rules[0])) {
        return NULL;
    }
    const struct baton_flash *flash = self->flash;
    struct trial trial = {
            .c = self,
            .flash = flash,
            .fault = fault,
            .sector = flash->sector_bytes ? flash->sector_bytes
                                          : BATON_SECTOR_BYTES,
            .block = flash->block_bytes,
            .unit = flash->program_bytes ? flash->program_bytes : 1,
            .base = self->addr,
            .end = self->addr + self->len_bytes,
    };
    *fault = (struct flash_contract_fault){NULL, 0, 0};
    rules[index].run(&trial);
    return rules[index].name;
}
