// Payload encoder: an image's segments, and which of its words are addresses.
// SPDX-License-Identifier: MIT
#include "codec_image.h"

#include <stdlib.h>
#include <string.h>

#include "../core/bytes.h"
#include "baton/image.h"

#define PAGE_LOG2 16u
#define PAGES     65536u

static bool is_code_address(uint32_t addr) {
    return addr >= 0x40000000 && addr < 0x50000000;
}

// Does a segment outside the chips' address windows hold RISC-V code? Jumps
// that stay inside it are frequent in code, and rare elsewhere.
static bool looks_like_rv32(
        const uint8_t *data, const struct codec_segment *segment) {
    uint32_t jumps = 0;
    for (uint32_t i = 0; i + 4 <= segment->len; i += 2) {
        struct codec_layout none = {.machine = CODEC_RV32};
        struct codec_registers registers = {{{0}}};
        struct codec_view view = {.at = data + segment->off + i,
                .len = 4,
                .addr = segment->addr + i,
                .place = CODEC_PLACE_CODE,
                .layout = &none,
                .registers = &registers};
        struct codec_unit unit;
        baton_codec_unit_read(&view, &unit);
        jumps += unit.kind == CODEC_JAL
                 && unit.target - segment->addr < segment->len;
    }
    return jumps > segment->len / 200;
}

// Adds the segment k.
static void add_segment(struct codec_image *self, uint32_t k, uint32_t off,
        const uint8_t *header) {
    struct codec_segment *s = &self->layout.segments[BATON_CODEC_AREAS_MAX + k];
    *s = (struct codec_segment){
            .off = off, .addr = get_u32(header), .len = get_u32(header + 4)};
    bool is_code =
            is_code_address(s->addr)
            || (s->addr >= 0x60000000 && self->layout.machine == CODEC_RV32
                    && looks_like_rv32(self->data, s));
    s->place = is_code ? CODEC_PLACE_CODE : CODEC_PLACE_DATA;
    if (is_code) {
        self->code |= 1u << k;
    }
    self->layout.count++;
}

void codec_image_open(
        struct codec_image *self, const uint8_t *data, uint32_t len) {
    *self = (struct codec_image){.data = data, .len = len};
    if (len < BATON_IMAGE_HEAD_BYTES || data[0] != BATON_IMAGE_MAGIC) {
        return;
    }
    self->layout.machine =
            baton_chip_is_riscv(get_u16(data + 12)) ? CODEC_RV32 : CODEC_XTENSA;
    codec_image_set_areas(self, (uint32_t[BATON_CODEC_AREAS_MAX]){0});
    self->layout.count = BATON_CODEC_AREAS_MAX;
    uint32_t off = BATON_IMAGE_HEADER_BYTES;
    for (uint32_t k = 0;
            k < data[1] && k < CODEC_SEGMENTS - BATON_CODEC_AREAS_MAX; k++) {
        if (len - off < 8 || get_u32(data + off + 4) > len - off - 8) {
            break;
        }
        add_segment(self, k, off + 8, data + off);
        off += 8 + get_u32(data + off + 4);
    }
}

static bool is_ram(uint32_t addr) {
    return (addr >= 0x3FC00000 && addr < 0x40000000)
           || (addr >= 0x3FFA0000 && addr < 0x40000000)
           || (addr >= 0x40800000 && addr < 0x40900000);
}

static uint32_t *count_pages(const struct codec_image *self) {
    uint32_t *pages = calloc(PAGES, sizeof(*pages));
    for (uint32_t i = 0; pages != NULL && i < self->layout.count; i++) {
        const struct codec_segment *s = &self->layout.segments[i];
        if (s->place == CODEC_PLACE_CODE
                && self->layout.machine == CODEC_RV32) {
            continue;
        }
        for (uint32_t at = (0 - s->addr) & 3; at + 4 <= s->len; at += 4) {
            pages[get_u32(self->data + s->off + at) >> PAGE_LOG2]++;
        }
    }
    return pages;
}

void codec_image_find_areas(
        const struct codec_image *self, uint32_t areas[BATON_CODEC_AREAS_MAX]) {
    unsigned count = 0;
    uint32_t ram = UINT32_MAX;
    memset(areas, 0, BATON_CODEC_AREAS_MAX * sizeof(areas[0]));
    uint32_t *pages = count_pages(self);
    for (uint32_t i = BATON_CODEC_AREAS_MAX; i < self->layout.count; i++) {
        const struct codec_segment *s = &self->layout.segments[i];
        if (is_ram(s->addr) && s->addr < ram) {
            ram = s->addr;
        }
        // Constants that are linked and not loaded follow those that are.
        uint32_t page = (s->addr + s->len) >> PAGE_LOG2;
        uint32_t end = page;
        while (pages != NULL && s->place == CODEC_PLACE_DATA && s->len > 65536
                && end < page + 8 && pages[end] > 32) {
            end++;
        }
        if (end > page && count < BATON_CODEC_AREAS_MAX - 1) {
            areas[count++] = page << PAGE_LOG2 | (end - page);
        }
    }
    free(pages);
    if (ram != UINT32_MAX) {
        areas[count] = (ram & ~0xFFFFu) | 6;
    }
}

void codec_image_set_areas(
        struct codec_image *self, const uint32_t areas[BATON_CODEC_AREAS_MAX]) {
    memcpy(self->areas, areas, sizeof(self->areas));
    for (unsigned i = 0; i < BATON_CODEC_AREAS_MAX; i++) {
        self->layout.segments[i] =
                (struct codec_segment){.off = CODEC_NEVER / 2,
                        .addr = areas[i] >> PAGE_LOG2 << PAGE_LOG2,
                        .len = areas[i] << PAGE_LOG2,
                        .place = CODEC_PLACE_DATA};
    }
}

struct codec_view codec_image_view(const struct codec_image *self, uint32_t off,
        const struct codec_segment *segment,
        struct codec_registers *registers) {
    return (struct codec_view){.at = self->data + off,
            .len = segment->off + segment->len - off,
            .addr = segment->addr + (off - segment->off),
            .place = segment->place,
            .layout = &self->layout,
            .registers = registers};
}
