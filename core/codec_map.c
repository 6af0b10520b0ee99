// The payload decoder's address map: where what was at an address went.
// SPDX-License-Identifier: MIT
//
// Code and data move in blocks, so what refers to them changes by few distinct
// deltas. The map is a sorted array of (address in the base, delta); between
// two entries that agree everything is assumed to have moved alike. It learns
// from what is decoded. When it is full it forgets the entry least recently
// used of some taken at random, which costs no list and no search, and is as
// good as the oldest of all.
#include "codec_state.h"

#include <string.h>

// Neighbours farther away than this say nothing.
#define FAR 0x400000u
// Look-ups that an age counts.
#define AGE_SHIFT 6

static void set_entry(
        struct codec_map *self, uint32_t i, uint32_t addr, int32_t delta) {
    self->entries[i].addr = addr;
    self->entries[i].delta_age =
            (int32_t)((uint32_t)delta << 8 | (self->clock >> AGE_SHIFT & 0xFF));
}

// The first entry above addr.
static uint32_t find_above(const struct codec_map *self, uint32_t addr) {
    uint32_t low = 0;
    uint32_t high = self->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (self->entries[middle].addr <= addr) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint32_t find_oldest(struct codec_map *self) {
    uint32_t oldest = 0;
    uint32_t oldest_age = 0;
    for (int tries = 0; tries < 8; tries++) {
        self->dice = self->dice * 1664525u + 1013904223u;
        uint32_t i = ((self->dice >> 16) * self->count) >> 16;
        uint32_t stamp = (uint32_t)self->entries[i].delta_age;
        uint32_t age = ((self->clock >> AGE_SHIFT) - stamp) & 0xFF;
        if (age >= oldest_age) {
            oldest_age = age;
            oldest = i;
        }
    }
    return oldest;
}

void baton_codec_map_put(struct codec_map *self, uint32_t addr, int32_t delta) {
    struct codec_map_entry *entries = self->entries;
    uint32_t i = find_above(self, addr);
    if (i > 0 && entries[i - 1].addr == addr) {
        set_entry(self, i - 1, addr, delta);
        return;
    }
    // What lies between the entry that goes and the new one's place moves.
    uint32_t gone = self->count;
    if (gone == self->capacity) {
        gone = find_oldest(self);
    } else {
        self->count++;
    }
    uint32_t from = i;
    uint32_t to = i + 1;
    uint32_t moved = gone - i;
    if (gone < i) {
        i--;
        from = gone + 1;
        to = gone;
        moved = i - gone;
    }
    memmove(&entries[to], &entries[from], moved * sizeof(*entries));
    set_entry(self, i, addr, delta);
}

// An entry's distance from addr and its delta, which is 0 where it is far.
static uint32_t use(
        struct codec_map *self, uint32_t i, uint32_t addr, int32_t *delta) {
    *delta = 0;
    if (i >= self->count) {
        return UINT32_MAX;
    }
    struct codec_map_entry *entry = &self->entries[i];
    uint32_t gap = entry->addr > addr ? entry->addr - addr : addr - entry->addr;
    int32_t value = entry->delta_age >> 8;
    set_entry(self, i, entry->addr, value);
    if (gap > FAR) {
        return UINT32_MAX;
    }
    *delta = value;
    return gap;
}

void baton_codec_map_get(
        struct codec_map *self, uint32_t addr, struct codec_guess *guess) {
    uint32_t i = find_above(self, addr);
    self->clock++;
    uint32_t below = use(self, i - 1, addr, &guess->delta);
    uint32_t above = use(self, i, addr, &guess->other);
    if (below != 0 && below / 2 > above) {
        int32_t delta = guess->delta;
        guess->delta = guess->other;
        guess->other = delta;
    }
    guess->trust = below == 0                     ? CODEC_KNOWN
                   : guess->delta == guess->other ? CODEC_AGREED
                                                  : CODEC_DOUBTED;
}
