// The payload decoder's address map: where what was at an address went.
// SPDX-License-Identifier: MIT
//
// Code and data move in blocks, so what refers to them changes by few distinct
// deltas. The map is a sorted array of (address in the base, delta); between
// two entries that agree everything is assumed to have moved alike, so entries
// between equal neighbours are not kept. It learns from what is decoded. When
// it is full it forgets the entry least recently used of some taken at random,
// which costs no list and no search, and is as good as the oldest of all.
#include "codec_state.h"

#include <string.h>

// Neighbours farther away than this say nothing.
#define FAR 0x400000u
// Look-ups that an age counts.
#define AGE_SHIFT 6

static int32_t delta_of(const struct codec_map_entry *entry) {
    return entry->delta_age >> 8;
}

static void set_entry(
        struct codec_map *self, uint32_t i, uint32_t addr, int32_t delta) {
    self->entries[i].addr = addr;
    self->entries[i].delta_age =
            (int32_t)((uint32_t)delta << 8 | (self->clock >> AGE_SHIFT & 0xFF));
}

static void touch(struct codec_map *self, uint32_t i) {
    set_entry(self, i, self->entries[i].addr, delta_of(&self->entries[i]));
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

static void drop(struct codec_map *self, uint32_t i) {
    self->count--;
    memmove(&self->entries[i], &self->entries[i + 1],
            (self->count - i) * sizeof(self->entries[0]));
}

static void forget_one(struct codec_map *self) {
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
    drop(self, oldest);
}

static bool is_same(const struct codec_map *self, uint32_t i, uint32_t k) {
    return delta_of(&self->entries[i]) == delta_of(&self->entries[k]);
}

void baton_codec_map_put(struct codec_map *self, uint32_t addr, int32_t delta) {
    uint32_t i = find_above(self, addr);
    if (i > 0 && self->entries[i - 1].addr == addr) {
        set_entry(self, i - 1, addr, delta);
        return;
    }
    if (i > 0 && i < self->count && is_same(self, i - 1, i)
            && delta_of(&self->entries[i]) == delta) {
        return;
    }
    if (self->count == self->capacity) {
        forget_one(self);
        i = find_above(self, addr);
    }
    memmove(&self->entries[i + 1], &self->entries[i],
            (self->count - i) * sizeof(self->entries[0]));
    self->count++;
    set_entry(self, i, addr, delta);
    if (i >= 2 && is_same(self, i - 2, i) && is_same(self, i - 1, i)) {
        drop(self, i - 1);
    } else if (i + 2 < self->count && is_same(self, i, i + 1)
               && is_same(self, i, i + 2)) {
        drop(self, i + 1);
    }
}

void baton_codec_map_get(
        struct codec_map *self, uint32_t addr, struct codec_guess *guess) {
    uint32_t i = find_above(self, addr);
    uint32_t below = UINT32_MAX;
    uint32_t above = UINT32_MAX;
    int32_t delta_below = 0;
    int32_t delta_above = 0;
    self->clock++;
    if (i > 0) {
        touch(self, i - 1);
        below = addr - self->entries[i - 1].addr;
        delta_below = below <= FAR ? delta_of(&self->entries[i - 1]) : 0;
    }
    if (i < self->count) {
        if (below != 0) {
            touch(self, i);
        }
        above = self->entries[i].addr - addr;
        delta_above = above <= FAR ? delta_of(&self->entries[i]) : 0;
    }
    guess->delta = delta_below;
    guess->other = delta_above;
    if (below == 0) {
        guess->trust = 7;
    } else if (self->count == 0) {
        guess->trust = 0;
    } else if (delta_below == delta_above) {
        uint32_t gap = below < above ? below : above;
        guess->other = 0;
        guess->trust = gap < 256 ? 6 : gap < 4096 ? 5 : 4;
    } else {
        uint32_t gap = below;
        if (above <= FAR && (below > FAR || below > above * 2)) {
            guess->delta = delta_above;
            guess->other = delta_below;
            gap = above;
        }
        guess->trust = gap < 64 ? 3 : gap < 1024 ? 2 : 1;
    }
}
