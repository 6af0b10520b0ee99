// A virtual NOR flash over plain memory: rules, wear, time, power cuts.
// SPDX-License-Identifier: MIT
//
// The memory may be shared with a file and the process killed at any
// instruction. Counters move before the bytes, and a weak range is forgotten
// only after the erase that heals it: whatever is half done then looks like an
// operation that was cut.
#include "baton-posix/nor.h"

#include <stdio.h>
#include <string.h>

#include "baton/error.h"

// One bit in at most so many bytes of a weak range is flipped.
#define WEAK_GRANULE_BYTES 32u

static const struct baton_nor_profile profiles[] = {
        {"w25q32jv", 400, 45000, 150000, 100},
        {"gd25q32c", 600, 50000, 250000, 100},
        {"zb25vq32", 500, 45000, 250000, 100},
        {"xm25qh32", 500, 40000, 300000, 100},
};

static const char *const cut_names[] = {
        [BATON_NOR_CUT_NONE] = "none",
        [BATON_NOR_CUT_BEFORE] = "before",
        [BATON_NOR_CUT_TORN] = "torn",
        [BATON_NOR_CUT_GARBAGE] = "garbage",
        [BATON_NOR_CUT_AFTER] = "after",
        [BATON_NOR_CUT_WEAK] = "weak",
};

static const char *const op_names[] = {
        [BATON_NOR_OP_NONE] = "none",
        [BATON_NOR_OP_ERASE_SECTOR] = "sector erase",
        [BATON_NOR_OP_ERASE_BLOCK] = "block erase",
        [BATON_NOR_OP_PROGRAM] = "page program",
};

// One command of the chip.
struct operation {
    enum baton_nor_op op;
    uint32_t addr;
    uint32_t len;
    const uint8_t *data; // of a program
    uint32_t busy_us;
};

// A well-spread number for each (seed, index).
static uint64_t mix(uint64_t seed, uint64_t index) {
    uint64_t z = seed * 0xD1342543DE82EF95u + (index + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint32_t min_u32(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

static uint32_t max_u32(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

static void charge_us(struct baton_nor *self, uint64_t us) {
    if (self->profile == NULL) {
        return;
    }
    self->state->stats.busy_us += us;
    if (self->clock_us != NULL) {
        *self->clock_us += us;
    }
}

static void charge_read(struct baton_nor *self, size_t len) {
    self->state->stats.bytes_read += len;
    if (self->profile == NULL) {
        return;
    }
    uint64_t ns = (uint64_t)len * self->profile->read_ns_per_byte
                  + self->state->rest_ns;
    self->state->rest_ns = (uint32_t)(ns % 1000);
    charge_us(self, ns / 1000);
}

// ---- Weak ranges ---------------------------------------------------------

// The bits of the byte at `addr` that this range reads flipped.
static uint8_t weak_mask(const struct baton_nor_weak *weak, uint32_t addr) {
    uint32_t off = addr - weak->base;
    uint32_t index = off / weak->granule;
    uint64_t r = mix(weak->seed, index);
    bool flips = index == 0 || (r >> 63) != 0;
    if (!flips || (r >> 8) % weak->granule != off % weak->granule) {
        return 0;
    }
    return (uint8_t)(1u << (r & 7u));
}

static uint32_t weak_page(const struct baton_nor_weak *weak, uint32_t addr) {
    return addr / BATON_NOR_PAGE_BYTES - weak->base / BATON_NOR_PAGE_BYTES;
}

static bool was_seen(const struct baton_nor_weak *weak, uint32_t addr) {
    uint32_t page = weak_page(weak, addr);
    return (weak->seen[page / 32] >> (page % 32) & 1u) != 0;
}

static void mark_seen(struct baton_nor_weak *weak, uint32_t from, uint32_t to) {
    for (uint32_t page = weak_page(weak, from); page <= weak_page(weak, to - 1);
            page++) {
        weak->seen[page / 32] |= 1u << (page % 32);
    }
}

// The byte as a read sees it that follows the first one.
static uint8_t read_weak_byte(const struct baton_nor *self, uint32_t addr) {
    uint8_t mask = 0;
    for (size_t i = 0; i < BATON_NOR_WEAK_MAX; i++) {
        const struct baton_nor_weak *weak = &self->state->weak[i];
        if (addr >= weak->addr && addr - weak->addr < weak->len_bytes
                && was_seen(weak, addr)) {
            mask |= weak_mask(weak, addr);
        }
    }
    return self->bytes[addr] ^ mask;
}

// Spoils what a read of weak ranges returned, then remembers the read.
static void apply_weak(
        struct baton_nor *self, uint32_t addr, uint8_t *buf, size_t len) {
    uint32_t end = addr + (uint32_t)len;
    for (size_t i = 0; i < BATON_NOR_WEAK_MAX; i++) {
        const struct baton_nor_weak *weak = &self->state->weak[i];
        uint32_t from = max_u32(addr, weak->addr);
        uint32_t to = min_u32(end, weak->addr + weak->len_bytes);
        for (uint32_t a = from; a < to; a++) {
            buf[a - addr] = read_weak_byte(self, a);
        }
    }
    for (size_t i = 0; i < BATON_NOR_WEAK_MAX; i++) {
        struct baton_nor_weak *weak = &self->state->weak[i];
        uint32_t from = max_u32(addr, weak->addr);
        uint32_t to = min_u32(end, weak->addr + weak->len_bytes);
        if (from < to) {
            mark_seen(weak, from, to);
        }
    }
}

// Makes the flips of part of a weak range permanent.
static void bake(struct baton_nor *self, const struct baton_nor_weak *weak,
        uint32_t from, uint32_t to) {
    for (uint32_t addr = from; addr < to; addr++) {
        self->bytes[addr] ^= weak_mask(weak, addr);
    }
}

static struct baton_nor_weak *find_free(struct baton_nor *self) {
    for (size_t i = 0; i < BATON_NOR_WEAK_MAX; i++) {
        if (self->state->weak[i].len_bytes == 0) {
            return &self->state->weak[i];
        }
    }
    return NULL;
}

static void add_weak(
        struct baton_nor *self, uint32_t addr, uint32_t len, uint64_t seed) {
    struct baton_nor_weak fresh = {
            .addr = addr,
            .len_bytes = len,
            .seed = (uint32_t)seed,
            .base = addr,
            .granule = min_u32(len, WEAK_GRANULE_BYTES),
    };
    struct baton_nor_weak *weak = find_free(self);
    if (weak == NULL) {
        weak = &self->state->weak[mix(fresh.seed, 0) % BATON_NOR_WEAK_MAX];
        bake(self, weak, weak->addr, weak->addr + weak->len_bytes);
    }
    *weak = fresh;
}

// An erase makes its range sound again; what is left of a weak range on either
// side stays weak.
static void heal(struct baton_nor *self, uint32_t addr, uint32_t len) {
    uint32_t end = addr + len;
    for (size_t i = 0; i < BATON_NOR_WEAK_MAX; i++) {
        struct baton_nor_weak *weak = &self->state->weak[i];
        uint32_t weak_end = weak->addr + weak->len_bytes;
        if (weak->addr >= end || weak_end <= addr) {
            continue;
        }
        if (weak_end > end && weak->addr >= addr) {
            weak->len_bytes = weak_end - end;
            weak->addr = end;
            continue;
        }
        if (weak_end > end) {
            struct baton_nor_weak *right = find_free(self);
            if (right != NULL) {
                *right = *weak;
                right->addr = end;
                right->len_bytes = weak_end - end;
            } else {
                bake(self, weak, end, weak_end);
            }
        }
        weak->len_bytes = weak->addr < addr ? addr - weak->addr : 0;
    }
}

// ---- Operations ----------------------------------------------------------

// Does the first `len` bytes of an operation.
static void perform(
        struct baton_nor *self, const struct operation *o, uint32_t len) {
    if (o->op == BATON_NOR_OP_PROGRAM) {
        memcpy(self->bytes + o->addr, o->data, len);
        return;
    }
    memset(self->bytes + o->addr, 0xFF, len);
    heal(self, o->addr, len);
}

// The same plan at the same place leaves the same, whatever came before.
static uint64_t cut_seed(
        const struct baton_nor *self, const struct operation *o) {
    return mix(mix(self->state->seed, self->state->cut_index), o->addr);
}

static void scramble(struct baton_nor *self, const struct operation *o) {
    uint64_t seed = cut_seed(self, o);
    for (uint32_t i = 0; i < o->len; i++) {
        uint8_t rubbish = (uint8_t)(mix(seed, i / 8) >> (i % 8 * 8));
        uint8_t *byte = &self->bytes[o->addr + i];
        *byte = o->op == BATON_NOR_OP_PROGRAM ? *byte & rubbish : rubbish;
    }
    if (o->op != BATON_NOR_OP_PROGRAM) {
        heal(self, o->addr, o->len);
    }
}

static uint32_t torn_len(
        const struct baton_nor *self, const struct operation *o) {
    if (self->state->cut_torn != UINT32_MAX) {
        return min_u32(self->state->cut_torn, o->len);
    }
    if (o->len < 2) {
        return 0;
    }
    return 1u + (uint32_t)(cut_seed(self, o) % (o->len - 1u));
}

static void count_operation(struct baton_nor *self, const struct operation *o) {
    struct baton_nor_stats *stats = &self->state->stats;
    charge_us(self, o->busy_us);
    if (o->op == BATON_NOR_OP_PROGRAM) {
        stats->page_programs++;
        stats->bytes_programmed += o->len;
        return;
    }
    stats->sector_erases += o->op == BATON_NOR_OP_ERASE_SECTOR;
    stats->block_erases += o->op == BATON_NOR_OP_ERASE_BLOCK;
    for (uint32_t i = 0; self->wear != NULL && i < o->len;
            i += BATON_SECTOR_BYTES) {
        self->wear[(o->addr + i) / BATON_SECTOR_BYTES]++;
    }
}

static void cut_power(struct baton_nor *self, const struct operation *o) {
    struct baton_nor_state *state = self->state;
    enum baton_nor_cut mode = (enum baton_nor_cut)state->cut_mode;
    state->cut_at = 0;
    state->last_cut_op = (uint32_t)o->op;
    state->last_cut_mode = (uint32_t)mode;
    state->last_cut_addr = o->addr;
    state->last_cut_bytes = o->len;
    state->last_cut_torn = 0;
    state->last_cut_number = state->stats.operations;
    if (mode != BATON_NOR_CUT_BEFORE) {
        count_operation(self, o);
    }
    if (mode == BATON_NOR_CUT_TORN) {
        state->last_cut_torn = torn_len(self, o);
        perform(self, o, state->last_cut_torn);
    } else if (mode == BATON_NOR_CUT_GARBAGE) {
        scramble(self, o);
    } else if (mode == BATON_NOR_CUT_AFTER) {
        perform(self, o, o->len);
    } else if (mode == BATON_NOR_CUT_WEAK) {
        perform(self, o, o->len);
        add_weak(self, o->addr, o->len, cut_seed(self, o));
    }
    state->cuts++;
    state->powered = 0;
    if (self->power_off != NULL) {
        self->power_off(self->context);
    }
}

// Gives the chip one command.
static int run(struct baton_nor *self, const struct operation *o) {
    struct baton_nor_state *state = self->state;
    state->stats.operations++;
    if (state->cut_at != 0 && state->stats.operations >= state->cut_at) {
        cut_power(self, o);
        return BATON_ERR_IO;
    }
    count_operation(self, o);
    perform(self, o, o->len);
    return 0;
}

// ---- The callbacks -------------------------------------------------------

static int check(const struct baton_nor *self, uint32_t addr, size_t len,
        uint32_t align) {
    if (addr > self->flash.size_bytes || len > self->flash.size_bytes - addr) {
        return BATON_ERR_RANGE;
    }
    if (addr % align != 0 || len % align != 0) {
        return BATON_ERR_ARG;
    }
    return self->state->powered != 0 ? 0 : BATON_ERR_IO;
}

static int read_flash(void *context, uint32_t addr, void *buf, size_t len) {
    struct baton_nor *self = context;
    int err = check(self, addr, len, 1);
    if (err || len == 0) {
        return err;
    }
    memcpy(buf, self->bytes + addr, len);
    apply_weak(self, addr, buf, len);
    charge_read(self, len);
    return 0;
}

// Refuses a program that would set a bit, before it touches anything.
static int check_rule(struct baton_nor *self, uint32_t addr,
        const uint8_t *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        uint8_t old = self->bytes[addr + i];
        if ((data[i] & (uint8_t)~old) == 0) {
            continue;
        }
        self->state->stats.violations++;
        if (self->violation != NULL) {
            char what[96];
            snprintf(what, sizeof(what),
                    "program at 0x%06x (%zu bytes) would set bits at 0x%06x:"
                    " 0x%02x over 0x%02x",
                    (unsigned)addr, len, (unsigned)(addr + i), data[i], old);
            self->violation(self->context, addr + (uint32_t)i, what);
        }
        return BATON_ERR_NOR;
    }
    return 0;
}

static int program_flash(
        void *context, uint32_t addr, const void *buf, size_t len) {
    struct baton_nor *self = context;
    const uint8_t *data = buf;
    int err = check(self, addr, len, self->flash.program_bytes);
    if (!err) {
        err = check_rule(self, addr, data, len);
    }
    size_t done = 0;
    while (!err && done < len) {
        uint32_t at = addr + (uint32_t)done;
        uint32_t room = BATON_NOR_PAGE_BYTES - at % BATON_NOR_PAGE_BYTES;
        struct operation o = {
                .op = BATON_NOR_OP_PROGRAM,
                .addr = at,
                .len = len - done < room ? (uint32_t)(len - done) : room,
                .data = data + done,
        };
        o.busy_us = self->profile != NULL ? self->profile->program_page_us : 0;
        err = run(self, &o);
        done += o.len;
    }
    return err;
}

static int erase_flash(void *context, uint32_t addr, size_t len) {
    struct baton_nor *self = context;
    const struct baton_nor_profile *p = self->profile;
    uint32_t block = self->flash.block_bytes;
    int err = check(self, addr, len, BATON_SECTOR_BYTES);
    size_t done = 0;
    while (!err && done < len) {
        struct operation o = {
                .op = BATON_NOR_OP_ERASE_SECTOR,
                .addr = addr + (uint32_t)done,
                .len = BATON_SECTOR_BYTES,
                .busy_us = p != NULL ? p->erase_sector_us : 0,
        };
        if (block != 0 && o.addr % block == 0 && len - done >= block) {
            o.op = BATON_NOR_OP_ERASE_BLOCK;
            o.len = block;
            o.busy_us = p != NULL ? p->erase_block_us : 0;
        }
        err = run(self, &o);
        done += o.len;
    }
    return err;
}

int baton_nor_begin(struct baton_nor *self, uint8_t *bytes, uint32_t size_bytes,
        uint32_t program_bytes, struct baton_nor_state *state, uint32_t *wear) {
    if (bytes == NULL || state == NULL || size_bytes == 0
            || size_bytes % BATON_BLOCK_BYTES != 0 || program_bytes == 0
            || program_bytes > 32
            || (program_bytes & (program_bytes - 1u)) != 0) {
        return BATON_ERR_ARG;
    }
    *self = (struct baton_nor){
            .flash =
                    {
                            .context = self,
                            .read = read_flash,
                            .program = program_flash,
                            .erase = erase_flash,
                            .size_bytes = size_bytes,
                            .sector_bytes = BATON_SECTOR_BYTES,
                            .block_bytes = BATON_BLOCK_BYTES,
                            .program_bytes = program_bytes,
                    },
            .bytes = bytes,
            .wear = wear,
            .state = state,
    };
    baton_nor_power_on(self);
    return 0;
}

void baton_nor_power_on(struct baton_nor *self) {
    self->state->powered = 1;
}

void baton_nor_plan_cut(struct baton_nor *self, uint64_t at,
        enum baton_nor_cut mode, uint32_t torn_bytes) {
    bool none = at == 0 || mode == BATON_NOR_CUT_NONE;
    self->state->cut_mode = (uint32_t)mode;
    self->state->cut_torn = torn_bytes;
    self->state->cut_index = (uint32_t)at;
    self->state->cut_at = none ? 0 : self->state->stats.operations + at;
}

const struct baton_nor_profile *baton_nor_profile_at(size_t index) {
    return index < sizeof(profiles) / sizeof(profiles[0]) ? &profiles[index]
                                                          : NULL;
}

const struct baton_nor_profile *baton_nor_profile(const char *name) {
    for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
        if (strcmp(profiles[i].name, name) == 0) {
            return &profiles[i];
        }
    }
    return NULL;
}

enum baton_nor_cut baton_nor_cut_mode(const char *name) {
    for (int mode = BATON_NOR_CUT_BEFORE; mode <= BATON_NOR_CUT_WEAK; mode++) {
        if (strcmp(cut_names[mode], name) == 0) {
            return (enum baton_nor_cut)mode;
        }
    }
    return BATON_NOR_CUT_NONE;
}

const char *baton_nor_cut_name(enum baton_nor_cut mode) {
    return (unsigned)mode <= BATON_NOR_CUT_WEAK ? cut_names[mode] : "none";
}

const char *baton_nor_op_name(enum baton_nor_op op) {
    return (unsigned)op <= BATON_NOR_OP_PROGRAM ? op_names[op] : "none";
}
