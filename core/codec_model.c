// The payload decoder's state machine: an image as copies and literals.
// SPDX-License-Identifier: MIT
//
//   literals --end--> realignment --> copy <--+ unit as predicted, or for
//      ^                  ^             |     | another target, or mended:
//      |                  +---- end ----+     | the copy goes on
//      |                                +-----+
//      +------------- no end -----------+
//
// A copy has no length: it goes on, unit by unit, from the base or from the
// new image itself, until a miss says that it does not. A unit that refers to
// an address is predicted through the address map, anything else to stay as it
// is. One that is not as predicted has another target, or is mended, byte by
// byte, or ends the copy. After 32 bytes as predicted one decision may cover
// the next 64 ("run"), which makes decoding fast where nothing happened. Every
// step ends after at most such a run, a unit, a byte or a realignment, and what
// follows a realignment puts a unit, so the work for a byte of output is bounded
// whatever the input says.
#include "codec_state.h"

#include <string.h>

#include "baton/error.h"
#include "bytes.h"

#define RUN_BYTES 64u
#define RUN_AFTER 32u
#define SETTLED   24u // bytes after which a realignment enters the map

static uint32_t flag(uint32_t is_set, uint32_t bit) {
    return is_set << bit;
}

static uint32_t new_addr(const struct codec *self) {
    return self->new_off + self->new_bias;
}

void baton_codec_model_begin(struct codec *self, struct baton_codec *owner,
        const struct baton_codec_info *info, uint32_t k) {
    memset(self, 0, info->state_bytes);
    self->owner = owner;
    self->info = info;
    self->in_left = info->segment_off[k + 1] - info->segment_off[k];
    self->range = 1;
    self->new_off = k * BATON_CODEC_SEGMENT_BYTES;
    self->new_end = baton_codec_body_end(info);
    if (self->new_end > self->new_off + BATON_CODEC_SEGMENT_BYTES) {
        self->new_end = self->new_off + BATON_CODEC_SEGMENT_BYTES;
    }
    codec_counter *table = (codec_counter *)(self + 1);
    for (int i = 0; i < 3; i++) {
        uint32_t size = 1u << info->literal_log2[i];
        self->literal_table[i] = (struct codec_table){table, size - 1};
        table += size;
    }
    self->literal_table[3] = self->literal_table[2];
    self->map.entries = (void *)table;
    self->map.capacity = info->map_eighth * 8u;
    self->view.registers = &self->registers;
    baton_codec_layout_read(self, false);
    baton_codec_layout_read(self, true);
}

// ---- Output

static void put(struct codec *self, uint32_t word, uint32_t len) {
    // A page is written before a whole unit might not fit.
    if (self->page_len > CODEC_PAGE_BYTES - 4) {
        baton_codec_layout_flush(self);
    }
    put_u32(self->page + CODEC_RECENT_BYTES + self->page_len, word);
    self->page_len += len;
    self->new_off += len;
    self->sure -= self->sure < len ? self->sure : len;
    if (self->new_off == self->new_event) {
        baton_codec_layout_read(self, true);
    }
}

// The bytes of an instruction, by its first one; of a word, to its end.
static uint32_t phase_length(const struct codec *self, uint32_t first) {
    return self->new_place == CODEC_PLACE_CODE
                   ? baton_codec_unit_length(self->info->machine, first)
                   : 4 - (new_addr(self) & 3);
}

static void put_byte(struct codec *self, uint32_t byte) {
    if (self->phase >= self->phase_len) {
        self->phase_first = byte;
        self->phase_len = phase_length(self, byte);
        self->phase = 0;
    }
    self->phase++;
    put(self, byte, 1);
}

static void copy_on(struct codec *self, uint32_t len) {
    self->source += len;
    self->since += len;
}

// ---- Realignment

// Decides where the copy goes on: near where the last one from the base would
// be by now, or so far back in the new image.
static void realign(struct codec *self) {
    uint32_t limit = self->info->old_bytes;
    self->from_new = baton_codec_ask(self, &self->model.from_new);
    self->base = self->new_off;
    if (self->from_new) {
        limit = self->new_off;
    } else {
        self->base += self->hold;
    }
    self->source = self->base + baton_codec_ask_number(self, &self->model.jump);
    if (self->source >= limit) {
        baton_codec_fail(self, BATON_ERR_CODEC_CORRUPT);
    }
    self->copying = 1;
    self->since = 0;
    self->run = 0;
    self->history = 0;
}

// Behind a literal or a copy: another copy, or a literal.
static void step_end(struct codec *self) {
    if (baton_codec_ask(self, &self->model.end[self->copying])) {
        realign(self);
    } else {
        self->copying = 0;
        put_byte(self, baton_codec_literal_ask(self, -1));
    }
}

// ---- The copy

// Makes the source visible, as far as a unit looks ahead and the image is
// known, and says where it is.
static void look(struct codec *self) {
    struct codec_view *view = &self->view;
    struct codec_layout *layout = &self->layout[self->from_new];
    uint32_t limit = self->from_new ? self->new_off : self->info->old_bytes;
    uint32_t left = limit - self->source;
    uint32_t skipped = self->source - self->window_off;
    view->len = left < CODEC_LOOK_BYTES ? left : CODEC_LOOK_BYTES;
    if (view->layout != layout || skipped > self->window_len
            || view->len > self->window_len - skipped) {
        skipped = 0;
        self->window_off = self->source;
        self->window_len =
                left < CODEC_WINDOW_BYTES ? left : CODEC_WINDOW_BYTES;
        baton_codec_layout_fetch(self, self->from_new, self->source,
                self->window, self->window_len);
    }
    const struct codec_segment *s = view->segment;
    if (view->layout != layout || s == NULL
            || self->source - s->off >= s->len) {
        s = baton_codec_layout_find(layout, self->source);
    }
    view->at = self->window + skipped;
    view->addr = 0;
    view->place = CODEC_PLACE_NONE;
    view->layout = layout;
    view->segment = s;
    if (s != NULL) {
        left = s->len - (self->source - s->off);
        view->addr = s->addr + (self->source - s->off);
        view->place = s->place;
        view->len = left < view->len ? left : view->len;
    }
}

// When a realignment has settled: what refers to where it began went where
// this does.
static void settle(struct codec *self) {
    if (!self->from_new && self->since - SETTLED < 4) {
        uint32_t addr = self->view.addr;
        if (addr != 0) {
            baton_codec_map_put(&self->map, addr - self->since,
                    (int32_t)(new_addr(self) - addr));
        }
        self->since = SETTLED + 4;
    }
}

// The unit, with the bytes self->predicted.
static void put_unit(struct codec *self) {
    struct codec_unit *unit = &self->unit;
    if (unit->kind == CODEC_HI) {
        baton_codec_rv32_note(unit, self->view.addr, self->predicted,
                new_addr(self), &self->registers);
    }
    self->phase_len = 0;
    copy_on(self, unit->len);
    put(self, self->predicted, unit->len);
}

static void predict(struct codec *self, int32_t delta) {
    struct codec_unit *unit = &self->unit;
    self->predicted = baton_codec_unit_build(
            unit, unit->target + (uint32_t)delta, new_addr(self));
}

// The delta of a target that the map did not predict.
static int32_t ask_delta(struct codec *self) {
    codec_counter *counter = self->model.recent;
    int32_t *deltas = self->deltas;
    int32_t delta = self->guess.other;
    int i = 0;
    while (delta == self->guess.delta || !baton_codec_ask(self, &counter[i])) {
        if (i == CODEC_RECENT) {
            self->base = (uint32_t)self->guess.delta;
            delta = (int32_t)(self->base
                              + baton_codec_ask_number(
                                      self, &self->model.delta));
            break;
        }
        delta = deltas[i++];
    }
    i = i == 0 ? CODEC_RECENT : i;
    memmove(deltas + 1, deltas, ((size_t)i - 1) * sizeof(*deltas));
    deltas[0] = delta;
    return delta;
}

// A flag, mixed from counters of four contexts.
static bool ask_flag(
        struct codec *self, const uint32_t *contexts, uint32_t set) {
    struct codec_model *m = &self->model;
    for (uint32_t i = 0; i < CODEC_MIXED; i++) {
        self->mixed[i] =
                &m->flag[i][baton_codec_hash(contexts[i], set) % CODEC_FLAGS];
    }
    bool yes = baton_codec_ask_mixed(self, m->flag_weight[set], 7);
    self->history = self->history << 1 | !yes;
    return yes;
}

// Is the unit as predicted?
static bool ask_unit(struct codec *self) {
    const struct codec_unit *unit = &self->unit;
    const struct codec_guess *guess = &self->guess;
    uint32_t same = flag(guess->delta == 0, 10)
                    | flag(guess->other == guess->delta, 11);
    uint32_t set = CODEC_KIND_WEIGHTS + unit->kind;
    // Copies from the new image end soon, or go on for long.
    uint32_t since = self->since < 31 ? self->since : 31;
    uint32_t contexts[CODEC_MIXED] = {self->from_new ? since : 0,
            unit->class | (self->history & 7) << 7 | same, guess->trust,
            (uint32_t)guess->delta << 2 | guess->trust};
    if (unit->kind == CODEC_PLAIN) {
        contexts[2] = (unit->word & 0xFF) | unit->class << 8;
        contexts[3] = unit->word;
        set = CODEC_PLAIN_WEIGHTS + self->view.place;
    }
    return ask_flag(self, contexts, set);
}

// Is the byte of a unit that is mended the one that the copy has?
static bool ask_byte(struct codec *self, uint32_t i, uint32_t byte) {
    const struct codec_unit *unit = &self->unit;
    uint32_t recent = self->history & 7;
    uint32_t class = unit->class << 2 | i;
    uint32_t before = self->page[self->page_len + 1];
    uint32_t contexts[CODEC_MIXED] = {recent | i << 3 | unit->len << 6,
            class | recent << 9, byte | class << 8, byte | before << 8};
    return ask_flag(self, contexts, CODEC_BYTE_WEIGHTS + self->view.place);
}

// Finds the unit and what becomes of it.
static void read_unit(struct codec *self) {
    struct codec_unit *unit = &self->unit;
    baton_codec_unit_read(&self->view, unit);
    self->guess = (struct codec_guess){.trust = CODEC_AGREED};
    self->predicted = unit->word;
    if (self->new_off + unit->len > self->new_end
            || self->new_off + unit->len > self->new_event) {
        unit->kind = CODEC_PLAIN;
        unit->len = 1;
    }
    if (unit->kind == CODEC_PLAIN) {
        return;
    }
    if (!self->from_new) {
        baton_codec_map_get(&self->map, unit->target, &self->guess);
    }
    predict(self, self->guess.delta);
}

// Puts the unit, as predicted or for another target. False: it is neither.
static bool step_unit(struct codec *self) {
    struct codec_unit *unit = &self->unit;
    int32_t delta = self->guess.delta;
    bool learns = self->guess.trust == CODEC_DOUBTED;
    if (self->sure > 0 || ask_unit(self)) {
        self->run += unit->len;
    } else if (unit->kind != CODEC_PLAIN && !self->from_new
               && baton_codec_ask(self, &self->model.elsewhere)) {
        delta = ask_delta(self);
        predict(self, delta);
        self->run = 0;
        learns = true;
    } else {
        return false;
    }
    if (learns) {
        baton_codec_map_put(&self->map, unit->target, delta);
    }
    put_unit(self);
    return true;
}

// Puts the unit's bytes, those that changed as literals.
static void mend(struct codec *self) {
    struct codec_unit *unit = &self->unit;
    uint32_t word = unit->word;
    for (uint32_t i = 0; i < unit->len; i++) {
        uint32_t byte = word & 255;
        word >>= 8;
        if (!ask_byte(self, i, byte)) {
            byte = baton_codec_literal_ask(self, (int)byte);
        }
        copy_on(self, 1);
        put_byte(self, byte);
    }
}

// Are the next bytes all as predicted?
static void ask_run(struct codec *self) {
    if (self->sure == 0 && self->run >= RUN_AFTER
            && self->new_off >= self->next_run) {
        if (baton_codec_ask(self, &self->model.run)) {
            self->sure = RUN_BYTES;
        } else {
            self->next_run = self->new_off + RUN_BYTES;
        }
    }
}

// A unit of a copy, or its end.
static void step_copy(struct codec *self) {
    look(self);
    settle(self);
    if (self->view.len > 0) {
        ask_run(self);
        read_unit(self);
        if (step_unit(self)) {
            return;
        }
        self->run = 0;
        // Every copy puts a unit, so that no two realignments follow.
        uint32_t context = (self->history & 7) | flag(self->from_new, 3);
        if (self->since == 0
                || baton_codec_ask(self, &self->model.mend[context])) {
            mend(self);
            return;
        }
    }
    self->sure = 0;
    if (!self->from_new) {
        self->hold = self->source - self->new_off;
    }
    step_end(self);
}

void baton_codec_model_step(struct codec *self) {
    if (self->info->encoding == BATON_CODEC_RAW) {
        put(self, baton_codec_coder_byte(self), 1);
    } else if (self->copying) {
        do { // a run takes no input
            step_copy(self);
        } while (self->sure > 0 && self->new_off < self->new_end
                 && self->status == 0);
    } else {
        step_end(self);
    }
}
