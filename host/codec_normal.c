// Payload encoder: images with their references replaced by what they mean.
// SPDX-License-Identifier: MIT
//
// Two builds of one program differ in almost every instruction that refers to
// an address, although nothing but the address has changed. Matching works on
// images in which each such field holds a hash instead: first of the content
// at the target, then, once a rough alignment is known, of the address in the
// base that the target corresponds to.
#include "codec_image.h"

#include <stdlib.h>
#include <string.h>

#include "../core/bytes.h"

#define CONTENT_BYTES 12u
#define VOTES         (1u << 20)
#define PROBES        64u

// ---- Replacing

static void mark(struct codec_normal *out, uint32_t off, uint32_t from,
        uint32_t to, uint32_t word) {
    for (uint32_t i = from; i < to; i++) {
        out->bytes[off + i] = (uint8_t)(word >> (8 * i));
        out->is_reference[off + i] = true;
    }
}

static void replace(struct codec_normal *out, uint32_t off,
        const struct codec_unit *unit, bool is_code, uint32_t h) {
    uint32_t w = unit->word;
    switch (unit->kind) {
    case CODEC_JAL:
    case CODEC_HI:
        mark(out, off, 1, 4, (w & 0xFFF) | h << 12);
        break;
    case CODEC_ADD:
    case CODEC_LOAD:
    case CODEC_JALR:
        mark(out, off, 2, 4, (w & 0xFFFFF) | h >> 20 << 20);
        break;
    case CODEC_STORE:
        h >>= 20;
        mark(out, off, 0, 4, (w & 0x01FFF07F) | (h & 31) << 7 | h >> 5 << 25);
        break;
    case CODEC_CALL:
        mark(out, off, 0, 3, (w & 0x3F) | h << 6);
        break;
    case CODEC_L32R:
        mark(out, off, 1, 3, h << 8);
        break;
    case CODEC_POINTER:
        mark(out, off, 0, is_code ? 2 : 3, h);
        break;
    case CODEC_RELATIVE:
        mark(out, off, 0, 3, h);
        out->bytes[off + 3] = 0;
        break;
    case CODEC_BACK:
        mark(out, off, 0, 4, 1);
        break;
    default:
        break;
    }
}

static void replace_segment(const struct codec_image *image,
        const struct codec_segment *segment, codec_identity identity,
        const void *context, struct codec_normal *out) {
    struct codec_registers registers = {{{0}}};
    bool is_code = segment->place == CODEC_PLACE_CODE;
    uint32_t end = segment->off + segment->len;
    uint32_t off = segment->off;
    while (off + 4 <= end) {
        struct codec_view view =
                codec_image_view(image, off, segment, &registers);
        struct codec_unit unit;
        baton_codec_unit_read(&view, &unit);
        if (unit.kind != CODEC_PLAIN && unit.target < CODEC_NUMBERS - 0x1000) {
            uint32_t h = identity != NULL
                                 ? identity(context, image, unit.target)
                                 : 0;
            replace(out, off, &unit, is_code, h);
        }
        if (unit.kind == CODEC_HI) {
            baton_codec_rv32_note(
                    &unit, view.addr, unit.word, view.addr, &registers);
        }
        off += is_code && unit.len < 2 ? 2 : unit.len;
    }
}

bool codec_normalise(const struct codec_image *image, codec_identity identity,
        const void *context, struct codec_normal *out) {
    out->bytes = malloc(image->len + 1u);
    out->is_reference = calloc(image->len + 1u, sizeof(bool));
    if (out->bytes == NULL || out->is_reference == NULL) {
        return false;
    }
    if (image->len > 0) {
        memcpy(out->bytes, image->data, image->len);
    }
    for (uint32_t i = BATON_CODEC_AREAS_MAX; i < image->layout.count; i++) {
        replace_segment(
                image, &image->layout.segments[i], identity, context, out);
    }
    return true;
}

// ---- By content

static uint32_t scramble(uint32_t h) {
    h ^= h >> 15;
    h *= 0x2C1B3C6Du;
    return h ^ h >> 13;
}

static uint32_t identify_content(
        const void *context, const struct codec_image *image, uint32_t target) {
    const struct codec_normal *blank = context;
    for (uint32_t i = BATON_CODEC_AREAS_MAX; i < image->layout.count; i++) {
        const struct codec_segment *s = &image->layout.segments[i];
        if (target - s->addr >= s->len) {
            continue;
        }
        uint32_t off = s->off + (target - s->addr);
        uint32_t end = s->off + s->len;
        uint32_t h = 0x811C9DC5;
        for (uint32_t k = 0; k < CONTENT_BYTES && off + k < end; k++) {
            h = (h ^ blank->bytes[off + k]) * 0x01000193;
        }
        return scramble(h);
    }
    return 0;
}

static void drop_normal(struct codec_normal *self) {
    free(self->bytes);
    free(self->is_reference);
    *self = (struct codec_normal){0};
}

bool codec_normalise_by_content(
        const struct codec_image *image, struct codec_normal *out) {
    struct codec_normal blank = {0};
    bool ok = codec_normalise(image, NULL, NULL, &blank)
              && codec_normalise(image, identify_content, &blank, out);
    drop_normal(&blank);
    return ok;
}

// ---- By alignment

// Which address in the base an address of the new image corresponds to, by the
// majority of the references that were aligned.
struct vote {
    uint32_t is;
    uint32_t was;
    int count;
};

struct votes {
    struct vote *table;
    const struct codec_align *align;
};

static struct vote *find_vote(const struct votes *self, uint32_t is) {
    uint32_t h = baton_codec_hash(is, 77);
    for (unsigned i = 0; i < PROBES; i++) {
        struct vote *vote = &self->table[(h + i) % VOTES];
        if (vote->count == 0 || vote->is == is) {
            return vote;
        }
    }
    return NULL;
}

static void cast_vote(struct votes *self, uint32_t is, uint32_t was) {
    struct vote *vote = find_vote(self, is);
    if (vote == NULL) {
        return;
    }
    if (vote->count > 0 && vote->was == was) {
        vote->count++;
    } else if (vote->count > 1) {
        vote->count--;
    } else {
        *vote = (struct vote){is, was, 1};
    }
}

struct pair {
    struct codec_registers old_registers;
    struct codec_registers new_registers;
};

// A unit of the new image and the one it is aligned with.
static void compare_units(struct votes *self, struct pair *pair,
        const struct codec_view *is, struct codec_unit *unit,
        uint32_t was_off) {
    const struct codec_image *image = &self->align->old_image;
    const struct codec_segment *s =
            baton_codec_layout_find(&image->layout, was_off);
    if (s == NULL || s->off + s->len - was_off < unit->len) {
        return;
    }
    struct codec_registers registers = pair->old_registers;
    struct codec_view was = codec_image_view(image, was_off, s, &registers);
    struct codec_unit other;
    baton_codec_unit_read(&was, &other);
    if (unit->kind == CODEC_PLAIN || unit->kind != other.kind) {
        return;
    }
    if (unit->target < CODEC_NUMBERS - 0x1000) {
        cast_vote(self, unit->target, other.target);
    }
    if (unit->kind == CODEC_HI && unit->reg == other.reg) {
        baton_codec_rv32_note(
                unit, is->addr, unit->word, is->addr, &pair->new_registers);
        baton_codec_rv32_note(
                &other, was.addr, other.word, was.addr, &pair->old_registers);
    }
}

static void vote_segment(
        struct votes *self, const struct codec_segment *segment) {
    const struct codec_image *image = &self->align->new_image;
    const int32_t *source = self->align->source;
    struct pair pair = {0};
    bool is_code = segment->place == CODEC_PLACE_CODE;
    uint32_t end = segment->off + segment->len;
    uint32_t off = segment->off;
    while (off + 4 <= end) {
        struct codec_registers registers = pair.new_registers;
        struct codec_view view =
                codec_image_view(image, off, segment, &registers);
        struct codec_unit unit;
        baton_codec_unit_read(&view, &unit);
        int32_t was = source[off];
        if (was >= 0 && was < CODEC_SELF
                && source[off + unit.len - 1u] == was + (int32_t)unit.len - 1) {
            compare_units(self, &pair, &view, &unit, (uint32_t)was);
        }
        off += is_code && unit.len < 2 ? 2 : unit.len;
    }
}

static uint32_t identify_alignment(
        const void *context, const struct codec_image *image, uint32_t target) {
    const struct votes *self = context;
    uint32_t was = target;
    if (image == &self->align->new_image) {
        const struct vote *vote = find_vote(self, target);
        was = target ^ 0x5A000000;
        if (vote != NULL && vote->count != 0) {
            was = vote->was;
        } else {
            for (uint32_t i = BATON_CODEC_AREAS_MAX; i < image->layout.count;
                    i++) {
                const struct codec_segment *s = &image->layout.segments[i];
                if (target - s->addr >= s->len) {
                    continue;
                }
                int32_t off = self->align->source[s->off + (target - s->addr)];
                const struct codec_segment *from =
                        off >= 0 && off < CODEC_SELF ? baton_codec_layout_find(
                                &self->align->old_image.layout, (uint32_t)off)
                                                     : NULL;
                if (from != NULL) {
                    was = from->addr + ((uint32_t)off - from->off);
                }
                break;
            }
        }
    }
    return baton_codec_hash(was, 99);
}

bool codec_normalise_by_alignment(struct codec_align *self) {
    struct votes votes = {
            .table = calloc(VOTES, sizeof(struct vote)), .align = self};
    if (votes.table == NULL) {
        return false;
    }
    for (uint32_t i = BATON_CODEC_AREAS_MAX; i < self->new_image.layout.count;
            i++) {
        vote_segment(&votes, &self->new_image.layout.segments[i]);
    }
    drop_normal(&self->old_normal);
    drop_normal(&self->new_normal);
    bool ok = codec_normalise(&self->old_image, identify_alignment, &votes,
                      &self->old_normal)
              && codec_normalise(&self->new_image, identify_alignment, &votes,
                      &self->new_normal);
    free(votes.table);
    return ok;
}
