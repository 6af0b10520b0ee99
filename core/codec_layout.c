// The payload decoder's view of both images: which addresses their bytes have.
// SPDX-License-Identifier: MIT
//
// The base's segments are read from its headers. Those of the new image are
// learned as their headers are decoded, each before what it describes, so they
// cost nothing; after a restart they are read back. The formats: docs/FORMAT.md.
#include "codec_state.h"

#include <string.h>

#include "baton/error.h"
#include "baton/image.h"
#include "bytes.h"

#define SEGMENT_HEADER_BYTES 8u

// Adds a segment by its header. False where it lies outside the image.
static bool add_segment(struct codec_layout *layout, const uint8_t *header,
        uint32_t off, uint32_t image_bytes, uint16_t code) {
    uint32_t len = get_u32(header + 4);
    if (layout->count == CODEC_SEGMENTS || len > image_bytes - off) {
        return false;
    }
    layout->segments[layout->count] = (struct codec_segment){.off = off,
            .addr = get_u32(header),
            .len = len,
            .is_code = (code >> layout->count & 1) != 0};
    layout->count++;
    return true;
}

int baton_codec_layout_read_old(struct codec *self) {
    const struct baton_codec_config *config = self->config;
    const struct baton_codec_info *info = self->info;
    uint8_t header[SEGMENT_HEADER_BYTES];
    uint32_t off = BATON_IMAGE_HEADER_BYTES;
    self->old_layout.count = 0;
    if (info->machine == CODEC_DATA || info->old_bytes < off) {
        return 0;
    }
    int err = config->read_old(config->context, 0, header, sizeof(header));
    for (uint32_t left = header[1]; err == 0 && left > 0; left--) {
        if (info->old_bytes - off < sizeof(header)) {
            break;
        }
        err = config->read_old(config->context, off, header, sizeof(header));
        off += SEGMENT_HEADER_BYTES;
        if (err != 0
                || !add_segment(&self->old_layout, header, off, info->old_bytes,
                        info->old_code)) {
            break;
        }
        off += get_u32(header + 4);
    }
    return err;
}

// At self->next_event: a segment's header, or its data, has ended.
void baton_codec_layout_event(struct codec *self) {
    const uint8_t *last = self->page + self->page_len; // 8 bytes
    bool was_header = self->new_place == CODEC_PLACE_NONE;
    self->new_place = CODEC_PLACE_NONE;
    self->unit_len = 0;
    self->next_event = UINT32_MAX;
    if (self->new_off == 2) {
        self->segments_left = last[7];
    } else if (was_header) {
        struct codec_layout *layout = &self->new_layout;
        self->segments_left--;
        if (!add_segment(layout, last, self->new_off, self->info->new_bytes,
                    self->info->new_code)) {
            return;
        }
        const struct codec_segment *added =
                &layout->segments[layout->count - 1];
        if (added->len > 0) {
            self->new_bias = added->addr - added->off;
            self->new_place =
                    added->is_code ? CODEC_PLACE_CODE : CODEC_PLACE_DATA;
            self->next_event = self->new_off + added->len;
            return;
        }
    }
    if (self->segments_left > 0) {
        self->next_event =
                (self->new_off == 2 ? BATON_IMAGE_HEADER_BYTES : self->new_off)
                + SEGMENT_HEADER_BYTES;
    }
}

static int read_recent(struct codec *self, uint32_t off) {
    uint32_t len = off < CODEC_RECENT_BYTES ? off : CODEC_RECENT_BYTES;
    memset(self->page, 0, CODEC_RECENT_BYTES);
    return len == 0 ? 0
                    : self->config->read_new(self->config->context, off - len,
                            self->page + CODEC_RECENT_BYTES - len, len);
}

int baton_codec_layout_restart(struct codec *self, uint32_t off) {
    self->new_layout.count = 0;
    self->new_place = CODEC_PLACE_NONE;
    self->new_bias = 0;
    self->segments_left = 0;
    self->page_len = 0;
    self->window_len = 0;
    self->next_event = self->info->machine == CODEC_DATA ? UINT32_MAX : 2;
    // What happened on the way happens again, from what was written.
    while (self->next_event <= off) {
        self->new_off = self->next_event;
        int err = read_recent(self, self->new_off);
        if (err) {
            return err;
        }
        baton_codec_layout_event(self);
    }
    self->new_off = off;
    return read_recent(self, off);
}
