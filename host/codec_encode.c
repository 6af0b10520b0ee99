// Payload encoder: answers the model's questions, and writes them down.
// SPDX-License-Identifier: MIT
//
// The model is the decoder's own (core/codec_model.c). Where a decoder asks its
// range coder, this asks the image and the chosen way to copy it.
#include "codec_encode.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../core/bytes.h"
#include "baton/error.h"

// The decisions, by what is asked for.
enum question {
    ASK_RUN,
    ASK_UNIT,
    ASK_ELSEWHERE,
    ASK_RECENT, // is the delta this one?
    ASK_DELTA,  // a number: the delta
    ASK_BYTE,
    ASK_MEND,
    ASK_BIT,
    ASK_END,
    ASK_FROM_NEW,
    ASK_JUMP, // a number: where the copy goes on
};

struct encoder {
    const struct codec_align *align;
    struct codec *model;
    struct codec *saved; // while a run is tried
    size_t state_bytes;
    struct codec_writer writer;
    struct codec_report *report;
    int32_t delta; // of the target that is being asked for
    int bits_left; // of the number that is being asked for
    uint32_t bit;  // of the byte that was asked for last
    bool is_trial;
    bool trial_failed;
};

// ---- What is asked

struct range {
    const void *at;
    size_t len;
};

static enum question identify(const struct codec_model *m, const void *asked) {
    const struct range ranges[] = {
            [ASK_RUN] = {&m->run, sizeof(m->run)},
            [ASK_UNIT] = {m->flag_weight, sizeof(m->flag_weight)},
            [ASK_ELSEWHERE] = {&m->elsewhere, sizeof(m->elsewhere)},
            [ASK_RECENT] = {m->recent, sizeof(m->recent)},
            [ASK_DELTA] = {&m->delta, sizeof(m->delta)},
            // A byte's sets come first.
            [ASK_BYTE] = {m->flag_weight, sizeof(m->flag_weight[0]) * 3},
            [ASK_MEND] = {m->mend, sizeof(m->mend)},
            [ASK_BIT] = {m->literal_weight, sizeof(m->literal_weight)},
            [ASK_END] = {m->end, sizeof(m->end)},
            [ASK_FROM_NEW] = {&m->from_new, sizeof(m->from_new)},
            [ASK_JUMP] = {&m->jump, sizeof(m->jump)},
    };
    int i = ASK_JUMP;
    while ((uintptr_t)asked - (uintptr_t)ranges[i].at >= ranges[i].len) {
        i--;
    }
    return (enum question)i;
}

// ---- What is true

static int32_t here(const struct codec *model) {
    return (int32_t)model->source + (model->from_new ? CODEC_SELF : 0);
}

// Does the next byte come from here? A unit goes on to its end, also where what
// follows would come from elsewhere.
static bool goes_on(const struct encoder *self) {
    return self->align->source[self->model->new_off] == here(self->model);
}

static uint32_t new_word(const struct encoder *self, uint32_t len) {
    const uint8_t *at = self->align->new_image.data + self->model->new_off;
    uint32_t word = 0;
    for (uint32_t i = 0; i < len; i++) {
        word |= (uint32_t)at[i] << (8 * i);
    }
    return word;
}

static bool is_unit_as_predicted(const struct encoder *self) {
    const struct codec *model = self->model;
    uint32_t len = model->unit.len;
    uint32_t mask = len == 4 ? UINT32_MAX : (1u << (8 * len)) - 1;
    return goes_on(self)
           && ((new_word(self, len) ^ model->predicted) & mask) == 0;
}

static bool is_byte_as_copied(const struct encoder *self) {
    const struct codec *model = self->model;
    const struct codec_image *image =
            model->from_new ? &self->align->new_image : &self->align->old_image;
    return image->data[model->source] == new_word(self, 1);
}

// What the unit's counterpart in the new image refers to.
static bool find_target(const struct encoder *self, uint32_t *target) {
    const struct codec *model = self->model;
    struct codec_unit found = model->unit;
    uint32_t addr = model->new_off + model->new_bias;
    found.word = new_word(self, found.len);
    if (model->unit.kind != CODEC_HI) {
        *target = baton_codec_unit_target(&found, addr, 1);
        return true;
    }
    // A lo part follows somewhere.
    const struct codec_image *image = &self->align->new_image;
    const struct codec_segment *s =
            baton_codec_layout_find(&image->layout, model->new_off);
    struct codec_registers registers = {{{0}}};
    if (s == NULL) {
        return false;
    }
    struct codec_view view =
            codec_image_view(image, model->new_off, s, &registers);
    baton_codec_unit_read(&view, &found);
    *target = found.target;
    return found.kind == CODEC_HI;
}

static bool is_elsewhere(struct encoder *self) {
    struct codec *model = self->model;
    struct codec_unit *unit = &model->unit;
    uint32_t target;
    if (!goes_on(self) || !find_target(self, &target)
            || baton_codec_unit_build(
                       unit, target, model->new_off + model->new_bias)
                       != new_word(self, unit->len)) {
        return false;
    }
    self->delta = (int32_t)(target - unit->target);
    return abs(self->delta) <= 0x200000;
}

// Is what waits to be written right?
static bool is_page_right(const struct encoder *self) {
    const struct codec *model = self->model;
    return memcmp(model->page + CODEC_RECENT_BYTES,
                   self->align->new_image.data + model->new_off
                           - model->page_len,
                   model->page_len)
           == 0;
}

static void step_trial(struct encoder *self) {
    struct codec *model = self->model;
    self->trial_failed = self->trial_failed || !goes_on(self);
    baton_codec_model_step(model);
    if (model->status != 0 || !is_page_right(self)) {
        self->trial_failed = true;
    }
}

// Tries a run on a copy of the model.
static bool is_run(struct encoder *self) {
    memcpy(self->saved, self->model, self->state_bytes);
    self->is_trial = true;
    self->trial_failed = false;
    self->model->sure = 64;
    while (!self->trial_failed && self->model->sure > 0
            && self->model->new_off < self->model->new_end) {
        step_trial(self);
    }
    self->is_trial = false;
    memcpy(self->model, self->saved, self->state_bytes);
    return !self->trial_failed;
}

// ---- Answers

// Of a number: how many bits it has, those after the first, its sign.
static bool answer_number(struct encoder *self,
        const struct codec_golomb *golomb, const codec_counter *asked,
        int32_t wanted) {
    int64_t value = (int64_t)wanted - (int32_t)self->model->base;
    uint32_t magnitude = (uint32_t)llabs(value) + 1;
    if (asked == &golomb->sign) {
        return value < 0;
    }
    if (asked < golomb->exponent + CODEC_EXPONENTS) {
        self->bits_left = 31 - __builtin_clz(magnitude);
        return self->bits_left > asked - golomb->exponent;
    }
    self->bits_left--;
    return (magnitude >> self->bits_left & 1) != 0;
}

static bool answer_bit(struct encoder *self) {
    self->bit = (self->bit - 1) & 7;
    return (self->align->new_image.data[self->model->new_off] >> self->bit & 1)
           != 0;
}

static bool answer_recent(
        const struct encoder *self, const codec_counter *asked) {
    const struct codec *model = self->model;
    ptrdiff_t i = asked - model->model.recent;
    return self->delta == (i == 0 ? model->guess.other : model->deltas[i - 1]);
}

static bool answer(struct encoder *self, const void *asked) {
    const struct codec_model *m = &self->model->model;
    int32_t source = self->align->source[self->model->new_off];
    switch (identify(m, asked)) {
    case ASK_RUN:
        return is_run(self);
    case ASK_UNIT:
        return is_unit_as_predicted(self);
    case ASK_ELSEWHERE:
        return is_elsewhere(self);
    case ASK_BYTE:
        return is_byte_as_copied(self);
    case ASK_MEND:
        return goes_on(self);
    case ASK_END:
        return source >= 0;
    case ASK_BIT:
        return answer_bit(self);
    case ASK_FROM_NEW:
        return source >= CODEC_SELF;
    case ASK_JUMP:
        return answer_number(self, &m->jump, asked,
                source >= CODEC_SELF ? source - CODEC_SELF : source);
    case ASK_RECENT:
        return answer_recent(self, asked);
    default:
        return answer_number(self, &m->delta, asked, self->delta);
    }
}

// ---- What it costs

static enum codec_purpose purpose_of(
        const struct codec *model, enum question question) {
    switch (question) {
    case ASK_RUN:
    case ASK_UNIT:
    case ASK_BYTE:
        return CODEC_FOR_COPIES;
    case ASK_ELSEWHERE:
    case ASK_RECENT:
    case ASK_DELTA:
        return CODEC_FOR_REFERENCES;
    case ASK_MEND:
        return CODEC_FOR_FIXES;
    case ASK_BIT:
        return model->copying ? CODEC_FOR_FIXES : CODEC_FOR_LITERALS;
    case ASK_END:
        return CODEC_FOR_LITERALS;
    default:
        return CODEC_FOR_REALIGNMENTS;
    }
}

static void note_cost(struct encoder *self, const void *asked, bool yes,
        uint32_t probability) {
    struct codec_report *report = self->report;
    const struct codec *model = self->model;
    const struct codec_layout *layout = &self->align->new_image.layout;
    enum question question = identify(&model->model, asked);
    uint32_t segment = CODEC_SEGMENTS;
    const struct codec_segment *s =
            baton_codec_layout_find(layout, model->new_off);
    if (s != NULL) {
        segment = (uint32_t)(s - layout->segments) - BATON_CODEC_AREAS_MAX;
    }
    enum codec_purpose purpose = purpose_of(model, question);
    // Only for the report; nothing that is written depends on it.
    double bits = -log2((yes ? probability : 65536 - probability) / 65536.0);
    report->cost[segment][purpose] += (uint64_t)(bits * 256 + 0.5);
    report->references += question == ASK_ELSEWHERE && yes;
    report->fixes += question == ASK_MEND && yes;
    report->literals += question == ASK_BIT && !model->copying;
    report->realignments += question == ASK_FROM_NEW;
}

static bool ask(void *context, const void *asked, uint32_t probability) {
    struct encoder *self = context;
    if (self->is_trial) {
        self->trial_failed = true;
        return false;
    }
    bool yes = answer(self, asked);
    codec_writer_put(&self->writer, yes, probability);
    if (self->report != NULL) {
        note_cost(self, asked, yes, probability);
    }
    return yes;
}

// ---- All of it

static int read_old(void *context, uint32_t off, void *buf, size_t len) {
    const struct encoder *self = context;
    memcpy(buf, self->align->old_image.data + off, len);
    return 0;
}

static int read_new(void *context, uint32_t off, void *buf, size_t len) {
    const struct encoder *self = context;
    memcpy(buf, self->align->new_image.data + off, len);
    return 0;
}

static int write_new(void *context, const void *data, size_t len) {
    struct encoder *self = context;
    (void)data;
    (void)len;
    self->trial_failed = self->trial_failed || !is_page_right(self);
    return 0;
}

static int encode_segments(struct encoder *self,
        const struct baton_codec_info *info, uint32_t *lens) {
    struct baton_codec owner = {.model = self->model,
            .hashed = CODEC_NEVER,
            .config = {.context = self,
                    .read_old = read_old,
                    .read_new = read_new,
                    .write = write_new}};
    for (uint32_t k = 0; k < info->segment_count; k++) {
        size_t start = self->writer.len;
        baton_codec_model_begin(self->model, &owner, info, k);
        codec_writer_begin(&self->writer);
        self->model->oracle = ask;
        self->model->oracle_context = self;
        while (self->model->status == 0
                && self->model->new_off < self->model->new_end) {
            baton_codec_model_step(self->model);
        }
        codec_writer_end(&self->writer, start);
        lens[k] = (uint32_t)(self->writer.len - start);
        if (self->model->status != 0 || self->writer.failed) {
            return self->writer.failed ? BATON_ERR_NOMEM : self->model->status;
        }
    }
    return 0;
}

int codec_encode(const struct codec_align *align,
        const struct baton_codec_info *info, uint8_t **out, uint32_t *lens,
        struct codec_report *report) {
    struct encoder self = {.align = align,
            .model = malloc(info->state_bytes),
            .saved = malloc(info->state_bytes),
            .state_bytes = info->state_bytes,
            .report = report};
    self.writer.bytes = malloc(info->header_bytes);
    self.writer.capacity = info->header_bytes;
    self.writer.len = info->header_bytes;
    int err = BATON_ERR_NOMEM;
    if (self.model != NULL && self.saved != NULL && self.writer.bytes != NULL) {
        err = encode_segments(&self, info, lens);
    }
    free(self.model);
    free(self.saved);
    if (err != 0) {
        free(self.writer.bytes);
        return err;
    }
    *out = self.writer.bytes;
    return 0;
}
