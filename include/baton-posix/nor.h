// A virtual NOR flash over plain memory: rules, wear, time, power cuts.
// SPDX-License-Identifier: MIT
//
// The memory may be a mapped file, so that every finished operation survives
// the death of the process. An operation is what the chip knows as one: a
// sector erase, a block erase, a program of one page (256 bytes or less; longer
// programs are split at page boundaries, as drivers do). Operations are counted
// from 1; a plan cuts the power at one of them.
#ifndef BATON_POSIX_NOR_H
#define BATON_POSIX_NOR_H

#include "baton/port.h"

#define BATON_NOR_PAGE_BYTES 256u
#define BATON_NOR_WEAK_MAX   8u

// What a cut leaves of the operation it hits.
enum baton_nor_cut {
    BATON_NOR_CUT_NONE,
    BATON_NOR_CUT_BEFORE,  // nothing of it happened
    BATON_NOR_CUT_TORN,    // a prefix happened, the rest not
    BATON_NOR_CUT_GARBAGE, // the touched range holds rubbish; of a program:
                           // rubbish that only cleared bits
    BATON_NOR_CUT_AFTER,   // all of it happened
    BATON_NOR_CUT_WEAK,    // all of it seems to have happened: each page of
                           // the touched range reads right in the first read
                           // that touches it, and with some bits flipped in
                           // every later one, until it is erased again
};

enum baton_nor_op {
    BATON_NOR_OP_NONE,
    BATON_NOR_OP_ERASE_SECTOR,
    BATON_NOR_OP_ERASE_BLOCK,
    BATON_NOR_OP_PROGRAM,
};

// Typical times of a chip's datasheet.
struct baton_nor_profile {
    const char *name; // "w25q32jv", "gd25q32c"
    uint32_t program_page_us;
    uint32_t erase_sector_us;
    uint32_t erase_block_us;
    uint32_t read_ns_per_byte;
};

struct baton_nor_stats {
    uint64_t operations;    // erases and page programs, all boots together; the
                            // one a cut hit is counted
    uint64_t sector_erases; // these three without one cut before it began
    uint64_t block_erases;
    uint64_t page_programs;
    uint64_t bytes_programmed;
    uint64_t bytes_read;
    uint64_t busy_us;    // on the virtual clock
    uint64_t violations; // programs refused because they would set a bit
};

struct baton_nor_weak {
    uint32_t addr;
    uint32_t len_bytes; // 0: entry unused
    uint32_t seed;
    uint32_t base;    // start of the operation's range; addr may have moved
    uint32_t granule; // one bit may be flipped in each granule from base on
    uint32_t seen[8]; // pages, from base's page on, that were read once
};

// Everything that outlives a process; plain numbers, may sit in a mapped file.
// All zero is a new chip.
struct baton_nor_state {
    struct baton_nor_stats stats;
    uint64_t cut_at;   // operation to cut at; 0: never
    uint32_t cut_mode; // enum baton_nor_cut
    uint32_t cut_torn; // bytes of the torn prefix; UINT32_MAX: from seed
    uint32_t seed;     // of torn lengths, rubbish and weak bits
    uint32_t powered;  // 0 after the cut: every call fails
    uint32_t cuts;     // cuts that happened
    uint32_t rest_ns;  // of reads, not yet in busy_us
    // What the last cut hit.
    uint32_t last_cut_op; // enum baton_nor_op
    uint32_t last_cut_mode;
    uint32_t last_cut_addr;
    uint32_t last_cut_bytes; // of the operation
    uint32_t last_cut_torn;  // bytes of it that happened, mode TORN
    uint32_t cut_index;      // as planned, a part of the seed
    uint64_t last_cut_number;
    struct baton_nor_weak weak[BATON_NOR_WEAK_MAX];
};

struct baton_nor {
    struct baton_flash flash; // hand this to Baton; context is this struct
    uint8_t *bytes;           // flash.size_bytes of them
    uint32_t *wear;           // erases of each sector; may be NULL
    struct baton_nor_state *state;
    const struct baton_nor_profile *profile; // NULL: time is not charged
    uint64_t *clock_us; // a clock that moves with busy_us; may be NULL
    // Called when the power goes; may end the process. If it returns, every
    // call fails with BATON_ERR_IO until baton_nor_power_on. May be NULL.
    void (*power_off)(void *context);
    // Called with a line about a broken NOR rule (a program that would set a
    // bit); may be NULL. The program is refused.
    void (*violation)(void *context, uint32_t addr, const char *what);
    void *context;
};

// Fills in self->flash and the defaults; the power is on. bytes, state and wear
// are borrowed and keep what they hold.
//
// size_bytes   of the chip, a multiple of 65536
// program_bytes  1, 2, 4, 8, 16 or 32
// Returns      0, BATON_ERR_ARG
int baton_nor_begin(struct baton_nor *self, uint8_t *bytes, uint32_t size_bytes,
        uint32_t program_bytes, struct baton_nor_state *state, uint32_t *wear);

// After a cut: calls work again. What the cut left stays; weak ranges stay
// weak until they are erased.
void baton_nor_power_on(struct baton_nor *self);

// Plans a cut at operation `at` of those yet to come (1: the next one); 0 or
// BATON_NOR_CUT_NONE: none.
//
// torn_bytes   for BATON_NOR_CUT_TORN: how much of the operation happens, more
//              than it has being all of it; UINT32_MAX: at least one byte and
//              not all, by the state's seed
void baton_nor_plan_cut(struct baton_nor *self, uint64_t at,
        enum baton_nor_cut mode, uint32_t torn_bytes);

// A profile by name, NULL for an unknown one; walk names by index.
const struct baton_nor_profile *baton_nor_profile(const char *name);
const struct baton_nor_profile *baton_nor_profile_at(size_t index);

// A cut mode by name ("before", "torn", "garbage", "after", "weak"), NONE for
// an unknown one; and the name of a mode.
enum baton_nor_cut baton_nor_cut_mode(const char *name);
const char *baton_nor_cut_name(enum baton_nor_cut mode);

// "sector erase", "block erase", "page program", "none".
const char *baton_nor_op_name(enum baton_nor_op op);

#endif
