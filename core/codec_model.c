// The payload decoder's state machine: an image as copies and literals.
// SPDX-License-Identifier: MIT
//
//   literals --end--> realignment --> copy <--+ unit or byte as predicted,
//      ^                  ^             |     | or mended: the copy goes on
//      |                  +---- miss ---+-----+
//      +------------- miss -----+
//
// A copy has no length: it goes on, unit by unit, from the base or from the
// new image itself, until a miss says that it does not. A unit that refers to
// an address is predicted through the address map, anything else to stay as it
// is; a miss in a unit is told byte by byte. After 32 bytes as predicted one
// decision may cover the next 64 ("run"), which makes decoding fast where
// nothing happened. Every step ends after at most a unit, a byte or a
// realignment, and no two realignments follow each other, so the work for a
// byte of output is bounded whatever the input says.
#include "codec_state.h"

#include <string.h>

#include "baton/error.h"
#include "bytes.h"

#define RUN_BYTES 64u
#define RUN_AFTER 48u
#define SETTLED   24u // bytes after which a realignment enters the map

// Which numbers share their statistics.
static const uint8_t number_class[CODEC_KINDS] = {
        0, 1, 2, 0, 4, 4, 1, 1, 1, 2, 2, 2, 4, 1, 3, 2, 4};

static unsigned log2_capped(uint32_t value, unsigned most) {
    unsigned bits = baton_codec_log2(value);
    return bits < most ? bits : most;
}

static unsigned flag(bool is_set, unsigned bit) {
    return (unsigned)is_set << bit;
}

// What each field of struct codec_model begins with, in their order.
#define FIELD(name) (sizeof(((struct codec_model *)0)->name) / 2)
static const struct {
    uint16_t count;
    uint16_t value;
} initial[] = {
        {FIELD(run), 50000},
        {FIELD(elsewhere), 32768},
        {FIELD(recent_delta), 20000},
        {FIELD(fix), 32768},
        {FIELD(literal), 32768},
        {FIELD(end), 6000},
        {FIELD(go_self), 8000},
        {FIELD(expected), 32768},
        {FIELD(delta), 32768},
        {FIELD(jump), 32768},
        {FIELD(flag), 57000},
        {FIELD(flag_weight), 5000},
        {FIELD(literal_weight), 4000},
};

static codec_counter *fill(
        codec_counter *counters, uint32_t count, unsigned value) {
    for (; count > 0; count--) {
        *counters++ = (codec_counter)(value & ~7u);
    }
    return counters;
}

void baton_codec_model_begin(struct codec *self) {
    codec_counter *at = self->model.run;
    for (unsigned i = 0; i < sizeof(initial) / sizeof(initial[0]); i++) {
        at = fill(at, initial[i].count, initial[i].value);
    }
    for (int i = 0; i < 3; i++) {
        fill(self->literal_table[i], 1u << self->info->literal_log2[i], 32768);
    }
    self->map.count = 0;
    self->map.clock = 0;
    self->map.dice = 1;
    self->dice = 12345;
    self->registers.known = 0;
    memset(self->deltas, 0, sizeof(self->deltas));
    memset(self->last_difference, 0, sizeof(self->last_difference));
    self->copying = false;
    self->from_new = false;
    self->source = self->new_off;
    self->hold_source = self->new_off;
    self->hold_new = self->new_off;
    self->bound = self->source;
    self->pending = 0;
    self->history = 0;
    self->run = 0;
    self->since = 0;
    self->literals = 0;
    self->sure = 0;
    self->had_run = false;
    self->next_run = 0;
    self->realigned = false;
    self->unit_len = 0;
    self->unit_at = 0;
}

// ---- Output

int baton_codec_flush(struct codec *self) {
    int err = 0;
    if (self->page_len != 0) {
        err = self->config->write(self->config->context,
                self->page + CODEC_RECENT_BYTES, self->page_len);
        memmove(self->page, self->page + self->page_len, CODEC_RECENT_BYTES);
        self->page_len = 0;
    }
    return err;
}

static int put(struct codec *self, uint32_t word, unsigned len) {
    // A page is written before a whole unit might not fit.
    int err =
            self->page_len > CODEC_PAGE_BYTES - 4 ? baton_codec_flush(self) : 0;
    put_u32(self->page + CODEC_RECENT_BYTES + self->page_len, word);
    self->page_len = (uint16_t)(self->page_len + len);
    self->realigned = false;
    self->new_off += len;
    self->sure -= self->sure < len ? self->sure : len;
    if (self->new_off == self->next_event) {
        baton_codec_layout_event(self);
    }
    return err;
}

// The bytes of an instruction, by its first one; of a word, to its end.
static unsigned unit_length(const struct codec *self, unsigned first) {
    if (self->new_place != CODEC_PLACE_CODE) {
        return 4 - ((self->new_off + self->new_bias) & 3);
    }
    if (self->info->machine == CODEC_RV32) {
        return (first & 3) == 3 ? 4 : 2;
    }
    return (first & 15) < 8 ? 3 : (first & 15) < 14 ? 2 : 4;
}

static int put_byte(struct codec *self, unsigned byte) {
    if (self->unit_at >= self->unit_len) {
        self->unit_first = (uint8_t)byte;
        self->unit_len = (uint8_t)unit_length(self, byte);
        self->unit_at = 0;
    }
    self->unit_at++;
    return put(self, byte, 1);
}

// ---- Realignment

static int realign_to_new(struct codec *self) {
    bool is_code = self->new_place == CODEC_PLACE_CODE;
    self->base = 1;
    uint32_t distance = (uint32_t)baton_codec_ask_number(
            self, CODEC_ASK_FAR, &self->model.jump[2 + is_code], false);
    self->source = self->new_off - distance;
    return distance <= self->new_off ? 0 : BATON_ERR_CODEC_CORRUPT;
}

// Relative to where the last copy from the base would be by now.
static int realign_to_old(struct codec *self) {
    self->base =
            (int32_t)(self->hold_source + (self->new_off - self->hold_new));
    self->source = (uint32_t)baton_codec_ask_number(self, CODEC_ASK_SOURCE,
            &self->model.jump[self->literals > 0], true);
    return self->source < self->info->old_bytes ? 0 : BATON_ERR_CODEC_CORRUPT;
}

// Decides where the copy goes on.
static int realign(struct codec *self) {
    bool to_new = self->info->old_bytes == 0;
    if (self->realigned || (to_new && self->new_off == 0)) {
        return BATON_ERR_CODEC_CORRUPT;
    }
    if (!to_new && self->new_off > 0) {
        to_new = baton_codec_ask(self, CODEC_ASK_SELF, 0,
                &self->model.go_self[self->literals > 0]);
    }
    int err = to_new ? realign_to_new(self) : realign_to_old(self);
    if (err) {
        return err;
    }
    self->from_new = to_new;
    self->copying = true;
    self->realigned = true;
    self->bound = self->source;
    self->pending = 0;
    self->since = 0;
    self->run = 0;
    self->history = 0;
    self->literals = 0;
    return 0;
}

static int step_literal(struct codec *self) {
    uint32_t n = self->literals;
    if (n > 0) {
        unsigned length = n < 7 ? n : 7;
        bool ends = baton_codec_ask(self, CODEC_ASK_END, 0,
                &self->model.end[length + 8u * self->new_place]);
        if (ends) {
            return realign(self);
        }
    }
    self->literals++;
    return put_byte(self, baton_codec_ask_literal(self, -1, 2));
}

// ---- The copy

// Makes the source visible: from the byte before it as far as a unit looks
// ahead and the image is known.
static int look(struct codec *self) {
    const struct baton_codec_config *config = self->config;
    self->limit = self->from_new ? self->new_off : self->info->old_bytes;
    uint32_t from = self->source > 0 ? self->source - 1 : 0;
    uint32_t left = self->limit - from;
    uint32_t need = left < CODEC_LOOK_BYTES ? left : CODEC_LOOK_BYTES;
    uint32_t skipped = from - self->window_off;
    if (self->window_new == self->from_new && skipped <= self->window_len
            && need <= self->window_len - skipped) {
        return 0;
    }
    self->window_new = self->from_new;
    self->window_off = from;
    self->window_len =
            (uint16_t)(left < CODEC_WINDOW_BYTES ? left : CODEC_WINDOW_BYTES);
    if (!self->from_new) {
        return config->read_old(
                config->context, from, self->window, self->window_len);
    }
    // What waits in the page is written first, where it is needed.
    int err = from + self->window_len > self->new_off - self->page_len
                      ? baton_codec_flush(self)
                      : 0;
    return err ? err
               : config->read_new(
                       config->context, from, self->window, self->window_len);
}

// Most often it is the segment found before.
static const struct codec_segment *find_segment(
        struct codec_layout *layout, uint32_t off) {
    const struct codec_segment *s = &layout->segments[layout->last];
    if (layout->last < layout->count && off - s->off < s->len) {
        return s;
    }
    for (uint32_t i = 0; i < layout->count; i++) {
        s = &layout->segments[i];
        if (off - s->off < s->len) {
            layout->last = i;
            return s;
        }
    }
    return NULL;
}

// What a unit at the source may see: no more than its segment and the window.
static void locate(struct codec *self, struct codec_view *view) {
    uint32_t at = self->source - self->window_off;
    struct codec_layout *layout =
            self->from_new ? &self->new_layout : &self->old_layout;
    view->layout = layout;
    view->areas = self->info->areas;
    view->has_relative = self->info->machine == CODEC_RV32;
    view->registers = &self->registers;
    view->at = self->window + at;
    view->len = self->window_len - at;
    view->addr = 0;
    view->machine = CODEC_DATA;
    self->unit_place = CODEC_PLACE_NONE;
    const struct codec_segment *s = find_segment(layout, self->source);
    if (s != NULL) {
        uint32_t passed = self->source - s->off;
        view->addr = s->addr + passed;
        view->machine = s->is_code ? self->info->machine : CODEC_DATA;
        view->len = view->len < s->len - passed ? view->len : s->len - passed;
        self->unit_place = s->is_code ? CODEC_PLACE_CODE : CODEC_PLACE_DATA;
    }
    if (view->len > CODEC_LOOK_BYTES - 1) {
        view->len = CODEC_LOOK_BYTES - 1;
    }
    self->addr = view->addr;
}

// The new image's next `len` bytes came from here.
static void copy_on(struct codec *self, unsigned len) {
    self->source += len;
    self->since += len;
    if (self->from_new || self->since < SETTLED || self->since >= SETTLED + 4) {
        return;
    }
    // The realignment has settled: what refers here went where this did.
    uint32_t start = self->source - self->since;
    const struct codec_segment *s = find_segment(&self->old_layout, start);
    if (s != NULL && self->new_place != CODEC_PLACE_NONE) {
        uint32_t was = s->addr + (start - s->off);
        uint32_t is = self->new_off - self->since + self->new_bias;
        baton_codec_map_put(&self->map, was, (int32_t)(is - was));
    }
    self->since = SETTLED + 4;
}

// The unit, with the bytes self->predicted.
static int put_unit(struct codec *self) {
    const struct codec_unit *unit = &self->unit;
    if (unit->kind == CODEC_HI || unit->kind == CODEC_LO) {
        baton_codec_rv32_note(unit, self->addr, self->predicted,
                self->new_off + self->new_bias, &self->registers);
    }
    self->unit_len = 0;
    self->unit_at = 0;
    int err = put(self, self->predicted, unit->len);
    copy_on(self, unit->len);
    return err;
}

static void move_to_front(int32_t *list, int32_t value) {
    int i = 0;
    while (i < CODEC_DELTAS - 1 && list[i] != value) {
        i++;
    }
    memmove(list + 1, list, (size_t)i * sizeof(*list));
    list[0] = value;
}

// The delta of a target that the map did not predict.
static int32_t ask_delta(struct codec *self, const struct codec_guess *guess) {
    struct codec_model *m = &self->model;
    if (guess->other != guess->delta
            && baton_codec_ask(
                    self, CODEC_ASK_DELTA, guess->other, &m->recent_delta[7])) {
        return guess->other;
    }
    for (int i = 0; i < CODEC_DELTAS - 1; i++) {
        int32_t delta = self->deltas[i];
        if (delta != guess->delta && delta != guess->other
                && baton_codec_ask(
                        self, CODEC_ASK_DELTA, delta, &m->recent_delta[i])) {
            return delta;
        }
    }
    self->base = guess->delta;
    return baton_codec_ask_number(self, CODEC_ASK_MOVE,
            &m->delta[number_class[self->unit.kind]], true);
}

// A flag, mixed from counters of four contexts.
static bool ask_flag(struct codec *self, enum codec_question question,
        const uint32_t contexts[CODEC_MIXED], unsigned set) {
    struct codec_model *m = &self->model;
    for (unsigned i = 0; i < CODEC_MIXED; i++) {
        self->mixed[i] =
                &m->flag[i][baton_codec_hash(contexts[i], set) % CODEC_FLAGS];
    }
    bool yes = baton_codec_ask_mixed(self, question, 0, m->flag_weight[set]);
    self->history = self->history << 1 | !yes;
    return yes;
}

// Is the unit as predicted?
static bool ask_unit(struct codec *self, const struct codec_guess *guess) {
    const struct codec_unit *unit = &self->unit;
    bool is_plain = unit->kind == CODEC_PLAIN;
    unsigned run = log2_capped(self->run, 11);
    uint32_t history = self->history;
    uint32_t trust = guess->trust;
    uint32_t same = flag(guess->delta == 0, 0)
                    | flag(guess->other == guess->delta, 1)
                    | flag(self->from_new, 2);
    uint32_t contexts[CODEC_MIXED] = {
            (history & 7) | run << 3 | flag(self->since < 16, 7),
            self->unit_class | (history & 3) << 7 | flag(run > 5, 9)
                    | same << 10,
            is_plain ? (unit->word & 0xFF) | (uint32_t)self->unit_class << 8
                     : trust | (history & 1) << 4,
            is_plain ? unit->word
                     : baton_codec_hash((uint32_t)guess->delta, trust)};
    unsigned set =
            is_plain ? self->unit_place * 4u + flag(run > 2, 1) + self->from_new
                     : 64u + unit->kind;
    return ask_flag(self, CODEC_ASK_UNIT, contexts, set);
}

// The same instruction, with a target that the map did not predict.
static int put_elsewhere(struct codec *self, const struct codec_guess *guess) {
    struct codec_unit *unit = &self->unit;
    int32_t delta = ask_delta(self, guess);
    move_to_front(self->deltas, delta);
    baton_codec_map_put(&self->map, unit->target, delta);
    self->run = 0;
    return baton_codec_unit_build(unit, unit->target + (uint32_t)delta,
                   self->new_off + self->new_bias, &self->registers,
                   &self->predicted)
                   ? put_unit(self)
                   : BATON_ERR_CODEC_CORRUPT;
}

// A whole unit. *done: it was as predicted, or has another target.
static int step_unit(
        struct codec *self, const struct codec_view *view, bool *done) {
    struct codec_unit *unit = &self->unit;
    struct codec_guess guess = {.trust = 4};
    baton_codec_unit_read(view, unit);
    uint32_t end = self->new_off + unit->len;
    self->unit_off = self->source;
    self->bound = self->source + unit->len;
    self->unit_class =
            (uint8_t)(self->unit_place == CODEC_PLACE_CODE
                              ? unit->class
                              : 64 + self->unit_place * 2u + unit->class);
    if (end > self->new_end || end > self->next_event || unit->len < 2) {
        return 0;
    }
    if (self->new_place == CODEC_PLACE_NONE) {
        unit->kind = CODEC_PLAIN;
    }
    bool is_reference = unit->kind != CODEC_PLAIN;
    if (is_reference && !self->from_new) {
        baton_codec_map_get(&self->map, unit->target, &guess);
    }
    if (!is_reference
            || !baton_codec_unit_build(unit,
                    unit->target + (uint32_t)guess.delta,
                    self->new_off + self->new_bias, &self->registers,
                    &self->predicted)) {
        self->predicted = unit->word;
    }
    *done = true;
    if (self->sure > 0 || ask_unit(self, &guess)) {
        self->run += unit->len;
        if (guess.trust < 4) {
            baton_codec_map_put(&self->map, unit->target, guess.delta);
        }
        return put_unit(self);
    }
    if (is_reference && !self->from_new
            && baton_codec_ask(self, CODEC_ASK_ELSEWHERE, 0,
                    &self->model.elsewhere[unit->kind])) {
        return put_elsewhere(self, &guess);
    }
    if (unit->kind == CODEC_HI) {
        self->registers.known &= ~(1u << unit->reg);
    }
    self->pending = self->bound;
    *done = false;
    return 0;
}

static bool ask_byte(struct codec *self, const uint8_t *at) {
    unsigned index = self->source - self->unit_off;
    index = index < 3 ? index : 3;
    unsigned run = log2_capped(self->run, 7);
    unsigned pending = self->pending > self->source;
    unsigned class = self->unit_class * 4u + index;
    unsigned before = self->source > 0 ? at[-1] : 0;
    unsigned after = self->source + 1 < self->limit ? at[1] : 0;
    uint32_t contexts[CODEC_MIXED] = {
            (self->history & 7) | run << 3 | pending << 6,
            class | (self->history & 3) << 9 | flag(run > 5, 11),
            at[0] | class << 8, at[0] | after << 8 | before << 16};
    return ask_flag(self, CODEC_ASK_BYTE, contexts,
            16 + (self->unit_place * 4u + index) * 4u + flag(run > 2, 1)
                    + pending);
}

// A byte of a copy whose unit is not as predicted.
static int step_byte(struct codec *self, const uint8_t *at) {
    struct codec_model *m = &self->model;
    bool has_old = self->source < self->limit;
    if (has_old && (self->sure > 0 || ask_byte(self, at))) {
        self->run++;
        int err = put_byte(self, at[0]);
        copy_on(self, 1);
        return err;
    }
    self->run = 0;
    self->sure = 0;
    unsigned context = (self->history & 7)
                       | flag(self->pending > self->source, 3)
                       | flag(self->since < 8, 4) | flag(self->from_new, 5);
    if (has_old && baton_codec_ask(self, CODEC_ASK_FIX, 0, &m->fix[context])) {
        unsigned class = self->unit_class < 40 ? 3 : 4;
        int err = put_byte(self, baton_codec_ask_literal(self, at[0], class));
        copy_on(self, 1);
        return err;
    }
    if (!self->from_new) {
        self->hold_source = self->source;
        self->hold_new = self->new_off;
    }
    self->literals = 0;
    if (baton_codec_ask(self, CODEC_ASK_LITERAL, 0, &m->literal[context])) {
        self->copying = false;
        return step_literal(self);
    }
    return realign(self);
}

static bool may_run(const struct codec *self) {
    return self->sure == 0 && self->run >= RUN_AFTER
           && self->since >= SETTLED + 4 && self->new_off >= self->next_run
           && self->new_end - self->new_off >= RUN_BYTES;
}

static void step_run(struct codec *self) {
    unsigned context = flag(self->had_run, 0)
                       | flag(self->unit_place == CODEC_PLACE_CODE, 1)
                       | flag(self->from_new, 2);
    self->had_run =
            baton_codec_ask(self, CODEC_ASK_RUN, 0, &self->model.run[context]);
    if (self->had_run) {
        self->sure = RUN_BYTES;
        self->history <<= 2;
    } else {
        self->next_run = self->new_off + RUN_BYTES;
    }
}

static int step_copy(struct codec *self) {
    struct codec_view view;
    int err = look(self);
    if (err) {
        return err;
    }
    locate(self, &view);
    bool done = false;
    if (self->source >= self->bound && self->source < self->limit) {
        if (may_run(self)) {
            step_run(self);
        }
        err = step_unit(self, &view, &done);
    }
    return err || done ? err : step_byte(self, view.at);
}

// The first decision after a restart: where to begin.
static int step_first(struct codec *self) {
    if (self->info->old_bytes == 0) {
        return step_literal(self);
    }
    if (baton_codec_ask(self, CODEC_ASK_LITERAL, 0, &self->model.literal[0])) {
        return step_literal(self);
    }
    return realign(self);
}

int baton_codec_step(struct codec *self) {
    if (self->copying) {
        return step_copy(self);
    }
    return self->literals > 0 ? step_literal(self) : step_first(self);
}
