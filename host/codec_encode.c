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

struct encoder {
    const struct codec_align *align;
    struct codec *model;
    struct codec *saved; // while a run is tried
    size_t state_bytes;
    struct codec_writer writer;
    struct codec_report *report;
    int32_t delta; // of the target that is being asked for
    bool is_trial;
    bool trial_failed;
};

// ---- What is true

static int32_t here(const struct codec *model) {
    return (int32_t)model->source + (model->from_new ? CODEC_SELF : 0);
}

// Do the next bytes come from here on?
static bool goes_on(const struct encoder *self, uint32_t len) {
    const int32_t *source = self->align->source + self->model->new_off;
    for (uint32_t i = 0; i < len; i++) {
        if (source[i] != here(self->model) + (int32_t)i) {
            return false;
        }
    }
    return true;
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
    return goes_on(self, len)
           && ((new_word(self, len) ^ model->predicted) & mask) == 0;
}

static bool is_byte_as_copied(const struct encoder *self) {
    const struct codec *model = self->model;
    const struct codec_image *image =
            model->from_new ? &self->align->new_image : &self->align->old_image;
    return goes_on(self, 1) && image->data[model->source] == new_word(self, 1);
}

// What the unit's counterpart in the new image refers to.
static bool find_target(const struct encoder *self, uint32_t *target) {
    const struct codec *model = self->model;
    const struct codec_unit *unit = &model->unit;
    const struct codec_image *image = &self->align->new_image;
    struct codec_registers registers = model->registers;
    for (uint32_t i = 0; i < image->layout.count; i++) {
        const struct codec_segment *s = &image->layout.segments[i];
        if (model->new_off - s->off >= s->len) {
            continue;
        }
        // A lo part is relative to what its register holds now.
        memcpy(registers.old_value, registers.new_value,
                sizeof(registers.old_value));
        struct codec_view view =
                codec_image_view(image, model->new_off, s, &registers);
        struct codec_unit found;
        baton_codec_unit_read(&view, &found);
        *target = found.target;
        if (unit->kind == CODEC_POINTER) {
            *target = new_word(self, 4);
        } else if (unit->kind == CODEC_RELATIVE) {
            *target = view.addr + new_word(self, 4);
        } else if (unit->kind == CODEC_BACK) {
            *target = view.addr - new_word(self, 4);
        } else if (unit->kind == CODEC_NUMBER) {
            *target = CODEC_NUMBERS + new_word(self, 2);
        } else if (unit->kind == CODEC_OBJECT) {
            *target = CODEC_NUMBERS + (new_word(self, 4) >> 3);
        } else {
            return found.kind == unit->kind;
        }
        return true;
    }
    return false;
}

static bool is_elsewhere(struct encoder *self) {
    const struct codec *model = self->model;
    const struct codec_unit *unit = &model->unit;
    uint32_t target;
    uint32_t word;
    if (!goes_on(self, unit->len) || !find_target(self, &target)
            || !baton_codec_unit_build(unit, target,
                    model->new_off + model->new_bias, &model->registers, &word)
            || word != new_word(self, unit->len)) {
        return false;
    }
    self->delta = (int32_t)(target - unit->target);
    return abs(self->delta) <= 0x200000;
}

static int step_trial(struct encoder *self) {
    struct codec *model = self->model;
    uint32_t before = model->new_off;
    int32_t source = here(model);
    int err = baton_codec_step(model);
    uint32_t len = model->new_off - before;
    for (uint32_t i = 0; i < len; i++) {
        const uint8_t *made =
                model->page + CODEC_RECENT_BYTES + model->page_len - (len - i);
        if (self->align->source[before + i] != source + (int32_t)i
                || *made != self->align->new_image.data[before + i]) {
            self->trial_failed = true;
        }
    }
    return err;
}

// Tries a run on a copy of the model.
static bool is_run(struct encoder *self) {
    memcpy(self->saved, self->model, self->state_bytes);
    self->is_trial = true;
    self->trial_failed = false;
    self->model->sure = 64;
    bool first = true;
    while (!self->trial_failed && (first || self->model->sure > 0)) {
        first = false;
        if (step_trial(self) != 0) {
            self->trial_failed = true;
        }
    }
    self->is_trial = false;
    memcpy(self->model, self->saved, self->state_bytes);
    return !self->trial_failed;
}

// ---- Answers

static int answer_number(struct encoder *self, int32_t wanted, int32_t number) {
    int64_t value = (int64_t)wanted - self->model->base;
    uint32_t magnitude = (uint32_t)llabs(value) + 1;
    int bit = number & 0xFF;
    switch (number >> 8) {
    case CODEC_PART_EXPONENT:
        return (int)baton_codec_log2(magnitude) - 1 > bit;
    case CODEC_PART_BIT:
        return (int)(magnitude >> bit & 1);
    default:
        return value < 0;
    }
}

static int answer(
        struct encoder *self, enum codec_question question, int32_t number) {
    const struct codec *model = self->model;
    int32_t source = self->align->source[model->new_off];
    int32_t distance = (int32_t)model->new_off - (source - CODEC_SELF);
    switch (question) {
    case CODEC_ASK_RUN:
        return is_run(self);
    case CODEC_ASK_UNIT:
        return is_unit_as_predicted(self);
    case CODEC_ASK_ELSEWHERE:
        return is_elsewhere(self);
    case CODEC_ASK_BYTE:
        return is_byte_as_copied(self);
    case CODEC_ASK_FIX:
        return goes_on(self, 1);
    case CODEC_ASK_LITERAL:
        return source < 0;
    case CODEC_ASK_END:
        return source >= 0;
    case CODEC_ASK_BIT:
        return self->align->new_image.data[model->new_off] >> number & 1;
    case CODEC_ASK_SELF:
        return source >= CODEC_SELF;
    case CODEC_ASK_FAR:
        return answer_number(self, distance, number);
    case CODEC_ASK_SOURCE:
        return answer_number(self, source, number);
    case CODEC_ASK_DELTA:
        return self->delta == number;
    default:
        return answer_number(self, self->delta, number);
    }
}

// ---- What it costs

static enum codec_purpose purpose_of(
        const struct codec *model, enum codec_question question) {
    switch (question) {
    case CODEC_ASK_RUN:
    case CODEC_ASK_UNIT:
    case CODEC_ASK_BYTE:
        return CODEC_FOR_COPIES;
    case CODEC_ASK_ELSEWHERE:
    case CODEC_ASK_DELTA:
    case CODEC_ASK_MOVE:
        return CODEC_FOR_REFERENCES;
    case CODEC_ASK_FIX:
        return CODEC_FOR_FIXES;
    case CODEC_ASK_BIT:
        return model->copying ? CODEC_FOR_FIXES : CODEC_FOR_LITERALS;
    case CODEC_ASK_LITERAL:
    case CODEC_ASK_END:
        return CODEC_FOR_LITERALS;
    default:
        return CODEC_FOR_REALIGNMENTS;
    }
}

static void note_cost(struct encoder *self, enum codec_question question,
        int yes, uint32_t probability) {
    struct codec_report *report = self->report;
    const struct codec *model = self->model;
    uint32_t segment = CODEC_SEGMENTS;
    for (uint32_t i = 0; i < model->new_layout.count; i++) {
        const struct codec_segment *s = &model->new_layout.segments[i];
        if (model->new_off - s->off < s->len) {
            segment = i;
        }
    }
    enum codec_purpose purpose = purpose_of(model, question);
    // Only for the report; nothing that is written depends on it.
    double bits = -log2((yes ? probability : 65536 - probability) / 65536.0);
    report->cost[segment][purpose] += (uint64_t)(bits * 256 + 0.5);
    report->references += question == CODEC_ASK_ELSEWHERE && yes;
    report->fixes += question == CODEC_ASK_FIX && yes;
    report->literals += question == CODEC_ASK_BIT && !model->copying
                        && self->model->literals > 0;
    report->realignments += question == CODEC_ASK_SELF;
}

static int ask(void *context, enum codec_question question, int32_t number,
        uint32_t probability) {
    struct encoder *self = context;
    if (self->is_trial) {
        self->trial_failed = true;
        return 0;
    }
    int yes = answer(self, question, number);
    codec_writer_put(&self->writer, yes, probability);
    if (self->report != NULL) {
        note_cost(self, question, yes, probability);
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

static int write_nothing(void *context, const void *data, size_t len) {
    (void)context;
    (void)data;
    (void)len;
    return 0;
}

static int encode_segments(struct encoder *self,
        const struct baton_codec_info *info, uint32_t *lens) {
    for (uint32_t k = 0; k < info->segment_count; k++) {
        size_t start = self->writer.len;
        int err = baton_codec_segment_begin(self->model, k);
        codec_writer_begin(&self->writer);
        self->model->oracle = ask;
        self->model->oracle_context = self;
        while (err == 0 && self->model->new_off < self->model->new_end) {
            err = baton_codec_step(self->model);
        }
        codec_writer_end(&self->writer, start);
        lens[k] = (uint32_t)(self->writer.len - start);
        if (err != 0 || self->writer.failed) {
            return err != 0 ? err : BATON_ERR_NOMEM;
        }
    }
    return 0;
}

int codec_encode(const struct codec_align *align,
        const struct baton_codec_info *info, uint8_t **out, uint32_t *lens,
        struct codec_report *report) {
    struct encoder self = {.align = align,
            .model = calloc(1, info->state_bytes),
            .saved = malloc(info->state_bytes),
            .state_bytes = info->state_bytes,
            .report = report};
    struct baton_codec_config config = {.context = &self,
            .read_old = read_old,
            .read_new = read_new,
            .write = write_nothing,
            .state = self.model};
    self.writer.bytes = malloc(info->header_bytes);
    self.writer.capacity = info->header_bytes;
    self.writer.len = info->header_bytes;
    int err = BATON_ERR_NOMEM;
    if (self.model != NULL && self.saved != NULL && self.writer.bytes != NULL) {
        err = baton_codec_model_init(self.model, &config, info);
    }
    if (err == 0) {
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
