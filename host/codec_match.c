// Payload encoder: blocks of the new image that resemble the base.
// SPDX-License-Identifier: MIT
//
// Looks for approximate matches the way bsdiff does (Colin Percival, "Naive
// differences of executable code"): exact matches from a suffix array, extended
// both ways while more bytes agree than differ. Gaps are filled with shorter
// exact matches.
#include "codec_image.h"

#include <divsufsort.h>
#include <stdlib.h>
#include <string.h>

#define MIN_GAIN  8 // by which a match must beat going on as before
#define MIN_FILL  6
#define MIN_EQUAL 4 // bytes of a short match that agree as they are

struct match {
    const uint8_t *old;
    const uint8_t *new;
    int32_t old_len;
    int32_t new_len;
    const int32_t *suffixes;
    int32_t *source;
    int32_t last_new; // where the block before began
    int32_t last_old;
};

static int32_t common(
        const uint8_t *a, int32_t a_len, const uint8_t *b, int32_t b_len) {
    int32_t most = a_len < b_len ? a_len : b_len;
    int32_t n = 0;
    while (n < most && a[n] == b[n]) {
        n++;
    }
    return n;
}

// The longest match for new[at ...] of at most `most` bytes.
static int32_t search(
        const struct match *self, int32_t at, int32_t most, int32_t *found) {
    const uint8_t *wanted = self->new + at;
    int32_t low = 0;
    int32_t high = self->old_len - 1;
    while (high - low >= 2) {
        int32_t middle = low + (high - low) / 2;
        int32_t suffix = self->suffixes[middle];
        int32_t left = self->old_len - suffix;
        int32_t len = left < most ? left : most;
        int order = memcmp(self->old + suffix, wanted, (size_t)len);
        if (order < 0 || (order == 0 && left < most)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    int32_t a = self->suffixes[low];
    int32_t b = self->suffixes[high];
    int32_t a_len = common(self->old + a, self->old_len - a, wanted, most);
    int32_t b_len = common(self->old + b, self->old_len - b, wanted, most);
    *found = a_len > b_len ? a : b;
    return a_len > b_len ? a_len : b_len;
}

static void put_block(
        struct match *self, int32_t new_off, int32_t old_off, int32_t len) {
    for (int32_t i = 0; i < len; i++) {
        self->source[new_off + i] = old_off + i;
    }
}

// How far the block before goes on, up to `scan`.
static int32_t extend_forward(const struct match *self, int32_t scan) {
    int32_t best = 0;
    int32_t best_score = 0;
    int32_t equal = 0;
    int32_t i = 0;
    while (self->last_new + i < scan && self->last_old + i < self->old_len) {
        equal += self->old[self->last_old + i] == self->new[self->last_new + i];
        i++;
        if (equal * 2 - i > best_score) {
            best_score = equal * 2 - i;
            best = i;
        }
    }
    return best;
}

static int32_t extend_back(
        const struct match *self, int32_t scan, int32_t position) {
    int32_t best = 0;
    int32_t best_score = 0;
    int32_t equal = 0;
    for (int32_t i = 1; scan >= self->last_new + i && position >= i; i++) {
        equal += self->old[position - i] == self->new[scan - i];
        if (equal * 2 - i > best_score) {
            best_score = equal * 2 - i;
            best = i;
        }
    }
    return best;
}

// Where two blocks overlap by `overlap`: how much of it the first one keeps.
static int32_t split(const struct match *self, int32_t forward, int32_t back,
        int32_t overlap, int32_t scan, int32_t position) {
    int32_t best = 0;
    int32_t best_score = 0;
    int32_t score = 0;
    for (int32_t i = 0; i < overlap; i++) {
        int32_t first = forward - overlap + i;
        score += self->new[self->last_new + first]
                 == self->old[self->last_old + first];
        score -= self->new[scan - back + i] == self->old[position - back + i];
        if (score > best_score) {
            best_score = score;
            best = i + 1;
        }
    }
    return best;
}

static void end_block(struct match *self, int32_t scan, int32_t position) {
    int32_t forward = extend_forward(self, scan);
    int32_t back = scan < self->new_len ? extend_back(self, scan, position) : 0;
    int32_t overlap = self->last_new + forward - (scan - back);
    if (overlap > 0) {
        int32_t kept = split(self, forward, back, overlap, scan, position);
        forward += kept - overlap;
        back -= kept;
    }
    put_block(self, self->last_new, self->last_old, forward);
    self->last_new = scan - back;
    self->last_old = position - back;
}

static bool agrees(const struct match *self, int32_t at, int32_t shift) {
    int32_t old_off = at + shift;
    return old_off >= 0 && old_off < self->old_len
           && self->old[old_off] == self->new[at];
}

static void find_blocks(struct match *self) {
    int32_t scan = 0;
    int32_t len = 0;
    int32_t position = 0;
    int32_t shift = 0; // of the block before
    while (scan < self->new_len) {
        int32_t as_before = 0; // bytes that agree if that went on
        int32_t counted = scan += len;
        for (; scan < self->new_len; scan++) {
            len = search(self, scan, self->new_len - scan, &position);
            for (; counted < scan + len; counted++) {
                as_before += agrees(self, counted, shift);
            }
            if ((len == as_before && len != 0) || len > as_before + MIN_GAIN) {
                break;
            }
            as_before -= agrees(self, scan, shift);
        }
        if (len != as_before || scan == self->new_len) {
            end_block(self, scan, position);
            shift = position - scan;
        }
    }
}

static void fill_gap(struct match *self, const struct codec_align *align,
        int32_t from, int32_t to) {
    while (from < to) {
        int32_t position;
        int32_t len = search(self, from, to - from, &position);
        int32_t equal = 0;
        for (int32_t i = 0; i < len; i++) {
            equal += align->old_image.data[position + i]
                     == align->new_image.data[from + i];
        }
        if (len >= MIN_FILL && equal >= MIN_EQUAL) {
            put_block(self, from, position, len);
            from += len;
        } else {
            from++;
        }
    }
}

bool codec_match(struct codec_align *self) {
    int32_t old_len = (int32_t)self->old_image.len;
    int32_t new_len = (int32_t)self->new_image.len;
    free(self->suffixes);
    self->suffixes = malloc(((size_t)old_len + 1) * sizeof(int32_t));
    if (self->source == NULL) {
        self->source = malloc(((size_t)new_len + 8) * sizeof(int32_t));
    }
    if (self->suffixes == NULL || self->source == NULL
            || (old_len > 0
                    && divsufsort(
                               self->old_normal.bytes, self->suffixes, old_len)
                               != 0)) {
        return false;
    }
    for (int32_t i = 0; i < new_len + 8; i++) {
        self->source[i] = CODEC_LITERAL;
    }
    if (old_len == 0) {
        return true;
    }
    struct match match = {.old = self->old_normal.bytes,
            .new = self->new_normal.bytes,
            .old_len = old_len,
            .new_len = new_len,
            .suffixes = self->suffixes,
            .source = self->source};
    find_blocks(&match);
    for (int32_t i = 0; i < new_len;) {
        int32_t end = i;
        while (end < new_len && self->source[end] < 0) {
            end++;
        }
        fill_gap(&match, self, i, end);
        i = end + 1;
    }
    return true;
}
