// Payload encoder: of all ways to copy, the cheapest.
// SPDX-License-Identifier: MIT
//
// Candidates are diagonals (offset in the source minus offset in the new image)
// over intervals of the new image: the blocks found by matching, exact matches
// of the base, those nearest to the surrounding diagonal among equals, and
// matches inside the new image itself. A Viterbi pass over the bytes chooses
// among at most 14 at a time, and literals. Costs are hundredths of a bit, as
// measured from what the coder spends; they are integers, so that the same
// inputs make the same payload on every machine.
#include "codec_image.h"

#include <stdlib.h>
#include <string.h>

#include "../core/bytes.h"

#define DIAGONALS   14
#define LITERAL_WAY DIAGONALS

enum cost {
    COST_HIT = 4,
    COST_REFERENCE = 500, // a miss in a reference field
    COST_LITERAL = 610,
    COST_JUMP_BIT = 160,
    COST_FROM_COPY = 300,
    COST_TO_LITERAL = 400,
    COST_SELF = 1000,
    COST_SELF_BIT = 115,
};

// Those that depend on what is made.
struct costs {
    int miss;
    int jump; // to the base, and one for each bit of it
    int from_literal;
};

static const struct costs packed_costs = {900, 1200, 150};
static const struct costs delta_costs = {900, 1400, 300};
static const struct costs data_costs = {750, 1400, 300}; // a delta, no units

#define EXTEND       16 // bytes by which intervals reach over their match
#define MIN_MATCH    5
#define MIN_SELF     6
#define MIN_PACKED   5
#define CHAIN        64
#define NEIGHBOURS   48
#define HASH_BITS    18
#define MOST_COMPARE 4096

struct interval {
    int32_t from;
    int32_t to;
    int32_t diagonal; // CODEC_SELF added when in the new image
};

// In a number; 0 for 0.
static unsigned count_bits(uint32_t value) {
    unsigned bits = 0;
    for (; value != 0; value >>= 1) {
        bits++;
    }
    return bits;
}

struct choice {
    const struct codec_align *align;
    const uint8_t *old;
    const uint8_t *new;
    int32_t old_len;
    int32_t new_len;
    const struct costs *costs;
    struct interval *intervals;
    size_t count;
    size_t capacity;
    bool failed;
};

static void add_interval(
        struct choice *self, int32_t from, int32_t to, int32_t diagonal) {
    if (self->count == self->capacity) {
        size_t capacity = self->capacity * 2 + 4096;
        void *grown =
                realloc(self->intervals, capacity * sizeof(self->intervals[0]));
        if (grown == NULL) {
            self->failed = true;
            return;
        }
        self->intervals = grown;
        self->capacity = capacity;
    }
    self->intervals[self->count++] = (struct interval){from, to, diagonal};
}

static int32_t common(
        const uint8_t *a, int32_t a_len, const uint8_t *b, int32_t b_len) {
    int32_t most = a_len < b_len ? a_len : b_len;
    int32_t n = 0;
    while (n < most && a[n] == b[n]) {
        n++;
    }
    return n;
}

// ---- Candidates

static void add_blocks(struct choice *self, int32_t *near) {
    const int32_t *source = self->align->source;
    int32_t last = 0;
    for (int32_t i = 0; i < self->new_len;) {
        if (source[i] < 0) {
            near[i++] = last;
            continue;
        }
        int32_t from = i;
        last = source[i] - i;
        for (near[i++] = last;
                i < self->new_len && source[i] == source[i - 1] + 1; i++) {
            near[i] = last;
        }
        add_interval(self, from - EXTEND, i + EXTEND, last);
    }
}

static uint32_t hash_at(const struct choice *self, int32_t at, int32_t min) {
    uint32_t rest = self->new[at + 4]
                    | (min > 5 ? (uint32_t)self->new[at + 5] << 8 : 0);
    return baton_codec_hash(get_u32(self->new + at), rest)
           & ((1u << HASH_BITS) - 1);
}

// Matches inside the new image, by chains of equal hashes.
static void add_self_matches(struct choice *self, int32_t min) {
    size_t heads = (size_t)1 << HASH_BITS;
    int32_t *head = malloc(heads * sizeof(*head));
    int32_t *previous = malloc(((size_t)self->new_len + 1) * sizeof(*head));
    if (head == NULL || previous == NULL) {
        self->failed = true;
        free(head);
        free(previous);
        return;
    }
    memset(head, 0xFF, heads * sizeof(*head));
    for (int32_t k = 0; k + 8 < self->new_len; k++) {
        uint32_t h = hash_at(self, k, min);
        int32_t best = 0;
        int32_t best_at = 0;
        int depth = 0;
        for (int32_t q = head[h]; q >= 0 && depth < CHAIN;
                q = previous[q], depth++) {
            if (best > 0 && k + best < self->new_len
                    && self->new[q + best] != self->new[k + best]) {
                continue;
            }
            int32_t len = common(self->new + q, self->new_len - q,
                    self->new + k, self->new_len - k);
            if (len > best) {
                best = len;
                best_at = q;
            }
        }
        if (best >= min) {
            add_interval(self, k, k + best + 8, CODEC_SELF + best_at - k);
        }
        previous[k] = head[h];
        head[h] = k;
        if (best > 64) {
            for (int32_t end = k + best / 2;
                    k + 1 < end && k + 9 < self->new_len;) {
                k++;
                h = hash_at(self, k, min);
                previous[k] = head[h];
                head[h] = k;
            }
        }
    }
    free(head);
    free(previous);
}

// Where in the suffix array new[at ...] would be: its lower neighbour.
static int32_t find_suffix(
        const struct choice *self, int32_t at, int32_t most) {
    const int32_t *suffixes = self->align->suffixes;
    int32_t low = 0;
    int32_t high = self->old_len - 1;
    while (high - low >= 2) {
        int32_t middle = low + (high - low) / 2;
        int32_t left = self->old_len - suffixes[middle];
        int32_t len = left < most ? left : most;
        int order = memcmp(
                self->old + suffixes[middle], self->new + at, (size_t)len);
        if (order < 0 || (order == 0 && left < most)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static int32_t match_len(
        const struct choice *self, int32_t rank, int32_t at, int32_t most) {
    int32_t suffix = self->align->suffixes[rank];
    return common(
            self->old + suffix, self->old_len - suffix, self->new + at, most);
}

// Among suffixes that match nearly as well as the best: the one nearest to the
// diagonal around here.
static int32_t find_nearest(const struct choice *self, int32_t rank, int32_t at,
        int32_t len, int32_t near) {
    const int32_t *suffixes = self->align->suffixes;
    int32_t enough = len >= 12 ? len * 3 / 4 : len;
    int32_t best = suffixes[rank];
    int64_t best_gap = INT64_MAX;
    for (int32_t way = -1; way <= 1; way += 2) {
        int32_t q = rank;
        for (int t = 0; q >= 0 && q < self->old_len && t < NEIGHBOURS;
                q += way, t++) {
            int32_t most = self->new_len - at;
            if (match_len(
                        self, q, at, most < MOST_COMPARE ? most : MOST_COMPARE)
                    < enough) {
                break;
            }
            int64_t gap = llabs((int64_t)suffixes[q] - at - near);
            if (gap < best_gap) {
                best_gap = gap;
                best = suffixes[q];
            }
        }
    }
    return best;
}

static void add_base_matches(struct choice *self, const int32_t *near) {
    const int32_t *suffixes = self->align->suffixes;
    for (int32_t k = 0; k < self->new_len;) {
        int32_t most = self->new_len - k;
        most = most < MOST_COMPARE ? most : MOST_COMPARE;
        int32_t low = find_suffix(self, k, most);
        int32_t high = low + 1 < self->old_len ? low + 1 : low;
        int32_t low_len = match_len(self, low, k, most);
        int32_t high_len = match_len(self, high, k, most);
        int32_t rank = low_len > high_len ? low : high;
        int32_t len = low_len > high_len ? low_len : high_len;
        if (len < MIN_MATCH) {
            k++;
            continue;
        }
        int32_t nearest = find_nearest(self, rank, k, len, near[k]);
        add_interval(self, k - EXTEND, k + len + EXTEND, suffixes[rank] - k);
        if (nearest != suffixes[rank]) {
            int32_t other = common(self->old + nearest, self->old_len - nearest,
                    self->new + k, most);
            add_interval(self, k - EXTEND, k + other + EXTEND, nearest - k);
        }
        k += len > 64 ? len / 2 : len > 16 ? 4 : 1;
    }
}

static int compare_intervals(const void *a, const void *b) {
    const struct interval *x = a;
    const struct interval *y = b;
    if (x->from != y->from) {
        return x->from < y->from ? -1 : 1;
    }
    if (x->diagonal != y->diagonal) {
        return x->diagonal < y->diagonal ? -1 : 1;
    }
    return x->to < y->to ? -1 : x->to > y->to;
}

// ---- The cheapest way

// The ways to be at one byte: a diagonal each, and as a literal.
struct front {
    int count;
    int32_t diagonal[DIAGONALS];
    int64_t cost[DIAGONALS];
    int32_t last_old[DIAGONALS]; // the base's diagonal last used
    int64_t literal_cost;
    int32_t literal_last;
};

struct viterbi {
    struct interval active[DIAGONALS];
    int active_count;
    size_t next;        // interval
    int32_t *diagonals; // of every byte, DIAGONALS each
    uint8_t *ways;      // which way each came, DIAGONALS + 1 each
};

static bool is_self(int32_t diagonal, int32_t at) {
    return diagonal + at >= CODEC_SELF;
}

static bool is_inside(const struct choice *self, int32_t diagonal, int32_t at) {
    int32_t source = diagonal + at;
    return source >= CODEC_SELF ? source - CODEC_SELF < at
                                : source >= 0 && source < self->old_len;
}

static void activate(struct viterbi *v, const struct interval *interval) {
    int shortest = 0;
    for (int i = 0; i < v->active_count; i++) {
        if (v->active[i].diagonal == interval->diagonal) {
            if (interval->to > v->active[i].to) {
                v->active[i].to = interval->to;
            }
            return;
        }
        if (v->active[i].to < v->active[shortest].to) {
            shortest = i;
        }
    }
    if (v->active_count < DIAGONALS) {
        v->active[v->active_count++] = *interval;
    } else if (interval->to > v->active[shortest].to) {
        v->active[shortest] = *interval;
    }
}

static void update_active(
        const struct choice *self, struct viterbi *v, int32_t at) {
    int kept = 0;
    for (int i = 0; i < v->active_count; i++) {
        if (v->active[i].to > at
                && is_inside(self, v->active[i].diagonal, at)) {
            v->active[kept++] = v->active[i];
        }
    }
    v->active_count = kept;
    while (v->next < self->count && self->intervals[v->next].from <= at) {
        const struct interval *interval = &self->intervals[v->next++];
        if (interval->to > at && is_inside(self, interval->diagonal, at)) {
            activate(v, interval);
        }
    }
}

static int64_t jump_cost(
        const struct choice *self, int32_t from, int32_t diagonal, int32_t at) {
    if (is_self(diagonal, at)) {
        int32_t distance = CODEC_SELF - diagonal;
        return COST_SELF
               + COST_SELF_BIT * (int64_t)count_bits((uint32_t)distance);
    }
    int32_t jump = abs(diagonal - from);
    return self->costs->jump
           + COST_JUMP_BIT * (int64_t)count_bits((uint32_t)jump);
}

static int64_t byte_cost(
        const struct choice *self, int32_t diagonal, int32_t at) {
    int32_t source = diagonal + at;
    if (source >= CODEC_SELF) {
        return self->new[source - CODEC_SELF] == self->new[at]
                       ? COST_HIT
                       : self->costs->miss;
    }
    if (self->old[source] == self->new[at]) {
        return COST_HIT;
    }
    return self->align->new_normal.is_reference[at] ? COST_REFERENCE
                                                    : self->costs->miss;
}

// The cheapest way to be on a diagonal.
static void enter_diagonal(const struct choice *self, const struct front *from,
        struct front *to, int i, int32_t at, uint8_t *way) {
    int32_t diagonal = to->diagonal[i];
    int64_t best = from->literal_cost + self->costs->from_literal
                   + jump_cost(self, from->literal_last, diagonal, at);
    int32_t last = from->literal_last;
    *way = LITERAL_WAY;
    for (int k = 0; k < from->count; k++) {
        int64_t cost = from->cost[k];
        if (from->diagonal[k] != diagonal) {
            cost += COST_FROM_COPY
                    + jump_cost(self, from->last_old[k], diagonal, at);
        }
        if (cost < best || (cost == best && from->diagonal[k] == diagonal)) {
            best = cost;
            last = from->last_old[k];
            *way = (uint8_t)k;
        }
    }
    to->cost[i] = best;
    to->last_old[i] = is_self(diagonal, at) ? last : diagonal;
}

static void step(const struct choice *self, struct viterbi *v,
        const struct front *from, struct front *to, int32_t at) {
    int32_t *diagonals = v->diagonals + (size_t)at * DIAGONALS;
    uint8_t *ways = v->ways + (size_t)at * (DIAGONALS + 1);
    for (int i = 0; i < v->active_count; i++) {
        diagonals[i] = v->active[i].diagonal;
        to->diagonal[i] = diagonals[i];
        enter_diagonal(self, from, to, i, at, &ways[i]);
        to->cost[i] += byte_cost(self, diagonals[i], at);
    }
    to->count = v->active_count;
    to->literal_cost = from->literal_cost + COST_LITERAL;
    to->literal_last = from->literal_last;
    ways[LITERAL_WAY] = LITERAL_WAY;
    for (int k = 0; k < from->count; k++) {
        int64_t cost = from->cost[k] + COST_TO_LITERAL + COST_LITERAL;
        if (cost < to->literal_cost) {
            to->literal_cost = cost;
            to->literal_last = from->last_old[k];
            ways[LITERAL_WAY] = (uint8_t)k;
        }
    }
}

static int cheapest_way(const struct front *front) {
    int best = LITERAL_WAY;
    int64_t cost = front->literal_cost;
    for (int i = 0; i < front->count; i++) {
        if (front->cost[i] < cost) {
            cost = front->cost[i];
            best = i;
        }
    }
    return best;
}

static void find_way(struct choice *self, struct viterbi *v) {
    struct front fronts[2] = {{0}, {0}};
    for (int32_t at = 0; at < self->new_len; at++) {
        update_active(self, v, at);
        step(self, v, &fronts[at & 1], &fronts[(at + 1) & 1], at);
    }
    int way = cheapest_way(&fronts[self->new_len & 1]);
    for (int32_t at = self->new_len - 1; at >= 0; at--) {
        const int32_t *diagonals = v->diagonals + (size_t)at * DIAGONALS;
        self->align->source[at] =
                way == LITERAL_WAY ? CODEC_LITERAL : diagonals[way] + at;
        way = v->ways[(size_t)at * (DIAGONALS + 1) + (size_t)way];
    }
}

bool codec_choose(struct codec_align *align) {
    struct choice self = {.align = align,
            .old = align->old_normal.bytes,
            .new = align->new_normal.bytes,
            .old_len = (int32_t)align->old_image.len,
            .new_len = (int32_t)align->new_image.len};
    self.costs = self.old_len == 0                               ? &packed_costs
                 : align->new_image.layout.machine == CODEC_DATA ? &data_costs
                                                                 : &delta_costs;
    size_t bytes = (size_t)self.new_len + 1;
    int32_t *near = calloc(bytes, sizeof(*near));
    if (near == NULL) {
        return false;
    }
    add_blocks(&self, near);
    add_self_matches(&self, self.old_len > 0 ? MIN_SELF : MIN_PACKED);
    if (self.old_len > 1) {
        add_base_matches(&self, near);
    }
    free(near);
    struct viterbi v = {.diagonals = calloc(bytes, DIAGONALS * sizeof(int32_t)),
            .ways = calloc(bytes, DIAGONALS + 1)};
    bool ok = !self.failed && v.diagonals != NULL && v.ways != NULL;
    if (ok) {
        if (self.count > 0) {
            qsort(self.intervals, self.count, sizeof(self.intervals[0]),
                    compare_intervals);
        }
        find_way(&self, &v);
    }
    free(v.diagonals);
    free(v.ways);
    free(self.intervals);
    return ok;
}

static void drop_normal(struct codec_normal *self) {
    free(self->bytes);
    free(self->is_reference);
}

bool codec_align(struct codec_align *self, const struct codec_image *old_image,
        const struct codec_image *new_image) {
    *self = (struct codec_align){
            .old_image = *old_image, .new_image = *new_image};
    bool ok = codec_normalise_by_content(old_image, &self->old_normal)
              && codec_normalise_by_content(new_image, &self->new_normal)
              && codec_match(self);
    if (ok && old_image->len > 0 && new_image->layout.machine != CODEC_DATA) {
        ok = codec_normalise_by_alignment(self) && codec_match(self);
    }
    ok = ok && codec_choose(self);
    drop_normal(&self->old_normal);
    drop_normal(&self->new_normal);
    free(self->suffixes);
    self->suffixes = NULL;
    return ok;
}
