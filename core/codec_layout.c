// The payload decoder's view of both images: which addresses their bytes have.
// SPDX-License-Identifier: MIT
//
// The base's segments are read from its headers. Those of the new image are
// learned as their headers are decoded, each before what it describes, so they
// cost nothing: whenever one is complete all are read again, as they are after
// a restart. The formats: docs/FORMAT.md.
#include "codec_state.h"

#include <string.h>

#include "baton/image.h"

#define HEADER_BYTES 8u // of a segment

void baton_codec_fail(struct codec *self, int err) {
    self->status = self->status != 0 ? self->status : err;
}

const struct codec_segment *baton_codec_layout_find(
        const struct codec_layout *layout, uint32_t off) {
    // Not in the areas.
    for (uint32_t i = BATON_CODEC_AREAS_MAX; i < layout->count; i++) {
        const struct codec_segment *s = &layout->segments[i];
        if (off - s->off < s->len) {
            return s;
        }
    }
    return NULL;
}

enum codec_place baton_codec_layout_place(
        const struct codec_layout *layout, uint32_t addr) {
    for (uint32_t i = 0; i < layout->count; i++) {
        const struct codec_segment *s = &layout->segments[i];
        if (addr - s->addr < s->len) {
            return s->place;
        }
    }
    return CODEC_PLACE_NONE;
}

void baton_codec_layout_flush(struct codec *self) {
    if (self->page_len != 0) {
        baton_codec_fail(
                self, baton_codec_write(self->owner,
                              self->page + CODEC_RECENT_BYTES, self->page_len));
        memmove(self->page, self->page + self->page_len, CODEC_RECENT_BYTES);
        self->page_len = 0;
    }
}

void baton_codec_layout_fetch(struct codec *self, bool from_new, uint32_t off,
        void *buf, uint32_t len) {
    const struct baton_codec_config *config = &self->owner->config;
    if (from_new) {
        baton_codec_layout_flush(self);
    }
    baton_codec_fail(self, (from_new ? config->read_new : config->read_old)(
                                   config->context, off, buf, len));
}

static void add(struct codec_layout *layout, uint32_t off, uint32_t addr,
        uint32_t len, uint32_t is_code) {
    layout->segments[layout->count++] =
            (struct codec_segment){off, addr, len, CODEC_PLACE_DATA + is_code};
}

void baton_codec_layout_read(struct codec *self, bool from_new) {
    const struct baton_codec_info *info = self->info;
    struct codec_layout *layout = &self->layout[from_new];
    uint32_t code = from_new ? info->code >> 16 : info->code;
    uint32_t end = from_new ? info->new_bytes : info->old_bytes;
    uint32_t known = from_new ? self->new_off : end;
    uint32_t off = BATON_IMAGE_HEADER_BYTES;
    uint8_t header[HEADER_BYTES] = {[1] = 1};
    layout->machine = info->machine;
    layout->count = 0;
    self->new_place = CODEC_PLACE_NONE;
    self->new_event = CODEC_NEVER;
    self->new_bias = 0;
    self->phase_len = 0;
    for (unsigned i = 0; i < BATON_CODEC_AREAS_MAX; i++) {
        add(layout, CODEC_NEVER / 2, info->areas[i] >> 16 << 16,
                info->areas[i] << 16, 0);
    }
    if (info->machine == CODEC_DATA) {
        return;
    }
    if (known >= off + HEADER_BYTES) {
        baton_codec_layout_fetch(self, from_new, 0, header, HEADER_BYTES);
    }
    for (uint32_t left = header[1]; left > 0; left--, code >>= 1) {
        self->new_event = off + HEADER_BYTES;
        if (known < self->new_event) {
            return;
        }
        baton_codec_layout_fetch(self, from_new, off, header, HEADER_BYTES);
        off = self->new_event;
        self->new_event = CODEC_NEVER;
        uint32_t addr = baton_codec_word(header, 4);
        uint32_t len = baton_codec_word(header + 4, 4);
        if (layout->count == CODEC_SEGMENTS || len > end - off) {
            return;
        }
        add(layout, off, addr, len, code & 1);
        self->new_bias = addr - off;
        off += len;
        if (known < off) {
            self->new_event = off;
            self->new_place = layout->segments[layout->count - 1].place;
            return;
        }
    }
}
