// Building an application image from the parts of a program.
// SPDX-License-Identifier: MIT
//
// Parts that touch form a run, and a run is a segment. Where that gives more
// segments than an image can have, or two in one page, parts with a gap between
// them are taken together and the gap is filled. A run that is mapped from
// flash must lie in the image at the offset its address has in a page, so
// something has to fill the way there: pieces of the runs for RAM, which may
// lie anywhere, and zeros when those are used up.
//
// The layout is walked twice by the same code: first dry, to count segments
// and bytes and find what cannot be laid out, then writing.
#include <string.h>

#include "baton/error.h"
#include "baton/image.h"
#include "bytes.h"
#include "image_rules.h"

#define CHECKSUM_SEED 0xEFu

// ESP-IDF bootloaders for ESP32 once failed to map the last page of a segment
// that reaches less than this into it.
#define CHIP_ID_ESP32   0u
#define ESP32_LAST_PAGE 0x24u

#define MMU_PAGE_LOG2_MAX 16u
#define MMU_PAGE_LOG2_MIN 13u

// Alignment of sections leaves gaps up to here, thousands of them where every
// function has a section of its own.
#define GAP_MAX 64u

static const uint8_t zeros[64];

// Parts that follow one another without a gap.
struct run {
    size_t first;
    size_t next; // one past the last part
    uint32_t addr;
    uint32_t len;
    bool mapped;
};

static bool is_mapped(const struct baton_image_builder *self, size_t part) {
    return baton_chip_is_mapped(self->spec->header.chip_id, self->page_log2,
            self->spec->parts[part].load_addr);
}

static uint32_t align_up(uint32_t value) {
    return (value + 3) & ~3u;
}

// Whether a part belongs to the run that ends at `end`.
static bool goes_on(const struct baton_image_builder *self, size_t part,
        uint32_t end, bool mapped) {
    uint32_t addr = self->spec->parts[part].load_addr;
    if (is_mapped(self, part) != mapped) {
        return false;
    }
    if (addr <= align_up(end)) {
        return true;
    }
    bool shares_page =
            mapped && addr >> self->page_log2 == (end - 1) >> self->page_log2;
    return self->fills_gaps && (addr - end < GAP_MAX || shares_page);
}

static struct run get_run(
        const struct baton_image_builder *self, size_t first) {
    const struct baton_image_part *parts = self->spec->parts;
    struct run run = {
            .first = first,
            .next = first + 1,
            .addr = parts[first].load_addr & ~3u,
            .mapped = is_mapped(self, first),
    };
    uint32_t end = parts[first].load_addr + parts[first].len_bytes;
    while (run.next < self->spec->part_count
            && goes_on(self, run.next, end, run.mapped)) {
        end = parts[run.next].load_addr + parts[run.next].len_bytes;
        run.next++;
    }
    run.len = align_up(end) - run.addr;
    return run;
}

static int write(
        struct baton_image_builder *self, const void *data, uint32_t len) {
    if (len > BATON_IMAGE_SIZE_MAX - self->pos) {
        return BATON_ERR_ELF_LAYOUT;
    }
    self->pos += len;
    if (self->is_dry || len == 0) {
        return 0;
    }
    const struct baton_crypto *crypto = self->spec->crypto;
    if (self->spec->header.digest_appended != 0
            && crypto->hash_update(crypto->context, &self->hash, data, len)
                       != 0) {
        return BATON_ERR_CRYPTO;
    }
    return self->sink(self->context, data, len);
}

static int write_data(
        struct baton_image_builder *self, const uint8_t *data, uint32_t len) {
    for (uint32_t i = 0; !self->is_dry && i < len; i++) {
        self->checksum ^= data[i];
    }
    return write(self, data, len);
}

static int write_zeros(struct baton_image_builder *self, uint32_t len) {
    int err = 0;
    while (len > 0 && err == 0) {
        uint32_t count = len < sizeof(zeros) ? len : (uint32_t)sizeof(zeros);
        err = write(self, zeros, count);
        len -= count;
    }
    return err;
}

static int write_header(struct baton_image_builder *self, uint8_t count) {
    const struct baton_image_header *header = &self->spec->header;
    uint8_t raw[BATON_IMAGE_HEADER_BYTES] = {BATON_IMAGE_MAGIC, count};
    raw[2] = header->spi_mode;
    raw[3] = (uint8_t)(header->spi_size << 4 | (header->spi_speed & 0x0F));
    put_u32(raw + 4, header->entry_addr);
    raw[8] = header->wp_pin;
    put_u16(raw + 12, header->chip_id);
    raw[14] = (uint8_t)(header->min_revision / 100); // for old bootloaders
    put_u16(raw + 15, header->min_revision);
    put_u16(raw + 17, header->max_revision);
    raw[23] = header->digest_appended != 0;
    return write(self, raw, sizeof(raw));
}

static int write_segment_header(
        struct baton_image_builder *self, uint32_t load_addr, uint32_t len) {
    if (self->segment_count == BATON_IMAGE_SEGMENTS_MAX) {
        return BATON_ERR_ELF_LAYOUT;
    }
    self->segment_count++;
    uint8_t raw[IMAGE_SEGMENT_HEADER_BYTES];
    put_u32(raw, load_addr);
    put_u32(raw + 4, len);
    return write(self, raw, sizeof(raw));
}

// Writes len bytes of a run from off on: its parts, and zeros between them.
static int write_run(struct baton_image_builder *self, const struct run *run,
        uint32_t off, uint32_t len) {
    uint32_t addr = run->addr + off;
    uint32_t end = addr + len;
    int err = 0;
    for (size_t i = run->first; i < run->next && addr < end && err == 0; i++) {
        const struct baton_image_part *part = &self->spec->parts[i];
        uint32_t part_end = part->load_addr + part->len_bytes;
        if (part->load_addr > addr) {
            uint32_t to = part->load_addr < end ? part->load_addr : end;
            err = write_zeros(self, to - addr);
            addr = to;
        }
        if (err == 0 && addr < end && part_end > addr) {
            uint32_t to = part_end < end ? part_end : end;
            err = write_data(
                    self, part->data + (addr - part->load_addr), to - addr);
            addr = to;
        }
    }
    return err != 0 ? err : write_zeros(self, end - addr);
}

// The next run for RAM that is not wholly written; false: there is none.
static bool find_ram(struct baton_image_builder *self, struct run *run) {
    while (self->ram_part < self->spec->part_count) {
        *run = get_run(self, self->ram_part);
        if (!run->mapped && self->ram_off < run->len) {
            return true;
        }
        self->ram_part = run->next;
        self->ram_off = 0;
    }
    return false;
}

// Writes up to `most` bytes of a run for RAM as a segment.
static int write_ram(struct baton_image_builder *self, const struct run *run,
        uint32_t most) {
    uint32_t left = run->len - self->ram_off;
    uint32_t len = left < most ? left : most;
    int err = write_segment_header(self, run->addr + self->ram_off, len);
    if (err == 0) {
        err = write_run(self, run, self->ram_off, len);
    }
    self->ram_off += len;
    return err;
}

// Fills the way to where a mapped segment's data can begin.
static int write_filling(struct baton_image_builder *self, uint32_t addr) {
    uint32_t page_mask = ((uint32_t)1 << self->page_log2) - 1;
    int err = 0;
    while (err == 0) {
        uint32_t data_off = self->pos + IMAGE_SEGMENT_HEADER_BYTES;
        uint32_t gap = (addr - data_off) & page_mask;
        if (gap == 0) {
            return 0;
        }
        // The filling has a header of its own.
        uint32_t len = (gap - IMAGE_SEGMENT_HEADER_BYTES) & page_mask;
        struct run ram;
        if (len > IMAGE_SEGMENT_HEADER_BYTES && find_ram(self, &ram)) {
            err = write_ram(self, &ram, len);
        } else {
            err = write_segment_header(self, 0, len);
            err = err != 0 ? err : write_zeros(self, len);
        }
    }
    return err;
}

static uint32_t extra_for_last_page(
        const struct baton_image_builder *self, uint32_t len) {
    if (self->spec->header.chip_id != CHIP_ID_ESP32) {
        return 0;
    }
    uint32_t page_mask = ((uint32_t)1 << self->page_log2) - 1;
    uint32_t end = self->pos + IMAGE_SEGMENT_HEADER_BYTES + len;
    uint32_t reach = end & page_mask;
    return reach < ESP32_LAST_PAGE ? ESP32_LAST_PAGE - reach : 0;
}

// Writes a mapped run, with the added descriptor in front where it belongs
// there; the run may be empty.
static int write_mapped(struct baton_image_builder *self, const struct run *run,
        uint32_t descriptor_addr) {
    uint32_t front = descriptor_addr != 0 ? BATON_IMAGE_DESCRIPTOR_BYTES : 0;
    uint32_t addr = descriptor_addr != 0 ? descriptor_addr : run->addr;
    int err = write_filling(self, addr);
    if (err != 0) {
        return err;
    }
    uint32_t extra = extra_for_last_page(self, front + run->len);
    err = write_segment_header(self, addr, front + run->len + extra);
    if (err == 0) {
        err = write_data(self, self->descriptor, front);
    }
    if (err == 0) {
        err = write_run(self, run, 0, run->len);
    }
    return err != 0 ? err : write_zeros(self, extra);
}

static int write_first(struct baton_image_builder *self) {
    struct run run = {0};
    if (self->first_part < self->spec->part_count) {
        run = get_run(self, self->first_part);
    } else if (self->descriptor_addr == 0) {
        return 0;
    }
    return write_mapped(self, &run, self->descriptor_addr);
}

static int write_segments(struct baton_image_builder *self) {
    int err = write_first(self);
    size_t i = 0;
    while (err == 0 && i < self->spec->part_count) {
        struct run run = get_run(self, i);
        if (run.mapped && i != self->first_part && run.len > 0) {
            err = write_mapped(self, &run, 0);
        }
        i = run.next;
    }
    struct run ram;
    while (err == 0 && find_ram(self, &ram)) {
        err = write_ram(self, &ram, ram.len);
    }
    return err;
}

static int write_end(struct baton_image_builder *self) {
    int err = write_zeros(self, 15 - self->pos % 16);
    if (err == 0) {
        err = write(self, &self->checksum, 1);
    }
    if (err != 0 || self->spec->header.digest_appended == 0) {
        return err;
    }
    const struct baton_crypto *crypto = self->spec->crypto;
    uint8_t digest[BATON_SHA256_BYTES] = {0};
    if (!self->is_dry
            && crypto->hash_finish(crypto->context, &self->hash, digest) != 0) {
        return BATON_ERR_CRYPTO;
    }
    // The hash is finished: write() must not go on with it.
    if (sizeof(digest) > BATON_IMAGE_SIZE_MAX - self->pos) {
        return BATON_ERR_ELF_LAYOUT;
    }
    return self->is_dry ? 0 : self->sink(self->context, digest, sizeof(digest));
}

static int lay_out(
        struct baton_image_builder *self, bool is_dry, uint8_t count) {
    self->is_dry = is_dry;
    self->pos = 0;
    self->segment_count = 0;
    self->checksum = CHECKSUM_SEED;
    self->ram_part = 0;
    self->ram_off = 0;
    int err = write_header(self, count);
    if (err == 0) {
        err = write_segments(self);
    }
    return err != 0 ? err : write_end(self);
}

// Every part loadable, in order, and no two mapped runs in one page.
static int check_parts(const struct baton_image_builder *self) {
    const struct baton_image_part *parts = self->spec->parts;
    uint32_t end = IMAGE_LOADABLE_FROM;
    for (size_t i = 0; i < self->spec->part_count; i++) {
        if (parts[i].load_addr < end
                || parts[i].len_bytes >= BATON_IMAGE_SIZE_MAX
                || parts[i].load_addr > UINT32_MAX - 3 - parts[i].len_bytes) {
            return BATON_ERR_ELF_LAYOUT;
        }
        end = parts[i].load_addr + parts[i].len_bytes;
    }
    bool has_page = false;
    uint32_t last_page = 0;
    size_t i = 0;
    while (i < self->spec->part_count) {
        struct run run = get_run(self, i);
        if (run.mapped && run.len > 0) {
            if (has_page && run.addr >> self->page_log2 <= last_page) {
                return BATON_ERR_ELF_LAYOUT;
            }
            last_page = (run.addr + run.len - 1) >> self->page_log2;
            has_page = true;
        }
        i = run.next;
    }
    return 0;
}

// True where no part lies in the added descriptor's place. A part that is not
// mapped may still reach into the window from below it.
static bool is_place_free(const struct baton_image_builder *self) {
    uint32_t addr = self->descriptor_addr;
    for (size_t i = 0; i < self->spec->part_count; i++) {
        const struct baton_image_part *part = &self->spec->parts[i];
        if (part->load_addr < addr + BATON_IMAGE_DESCRIPTOR_BYTES
                && part->load_addr + part->len_bytes > addr) {
            return false;
        }
    }
    return true;
}

// Chooses where an added descriptor goes: the first page of constants that no
// run touches, or directly before the first mapped run.
static int place_descriptor(struct baton_image_builder *self) {
    uint16_t chip_id = self->spec->header.chip_id;
    uint32_t page_mask = ((uint32_t)1 << self->page_log2) - 1;
    uint32_t page = baton_chip_data_addr(chip_id);
    bool is_first = true;
    size_t i = 0;
    while (i < self->spec->part_count) {
        struct run run = get_run(self, i);
        if (run.mapped && run.len > 0) {
            if (is_first && (run.addr & page_mask) == BATON_IMAGE_HEAD_BYTES) {
                self->first_part = i;
                self->descriptor_addr = run.addr - BATON_IMAGE_DESCRIPTOR_BYTES;
                return is_place_free(self) ? 0 : BATON_ERR_ELF_LAYOUT;
            }
            is_first = false;
            uint32_t end = run.addr + run.len;
            if (end > page && run.addr <= page + page_mask) {
                page = (end + page_mask) & ~page_mask;
            }
        }
        i = run.next;
    }
    self->descriptor_addr = page + BATON_IMAGE_DESCRIPTOR_OFF;
    bool is_mapped = baton_chip_is_mapped(chip_id, self->page_log2, page);
    return is_mapped && is_place_free(self) ? 0 : BATON_ERR_ELF_LAYOUT;
}

static bool has_magic(const struct baton_image_part *part) {
    return part->len_bytes >= BATON_IMAGE_DESCRIPTOR_BYTES
           && get_u32(part->data) == DESCRIPTOR_MAGIC;
}

// The first part of the run that brings a descriptor of its own; part_count:
// none does.
static size_t find_descriptor(const struct baton_image_builder *self) {
    size_t i = 0;
    while (i < self->spec->part_count) {
        struct run run = get_run(self, i);
        if (run.mapped && has_magic(&self->spec->parts[i])) {
            return i;
        }
        i = run.next;
    }
    return i;
}

// A page size that is neither asked for nor in the descriptor shows in where
// the descriptor lies: at 0x20 of a page.
static uint8_t choose_page(const struct baton_image_builder *self) {
    const struct baton_image_spec *spec = self->spec;
    const struct baton_image_part *part =
            self->first_part < spec->part_count ? &spec->parts[self->first_part]
                                                : NULL;
    uint8_t wanted = spec->mmu_page_log2;
    if (wanted == 0) {
        wanted = part != NULL ? part->data[DESCRIPTOR_MMU_PAGE_OFF]
                              : spec->descriptor.mmu_page_log2;
    }
    uint8_t guess = MMU_PAGE_LOG2_MAX;
    while (part != NULL && guess > MMU_PAGE_LOG2_MIN
            && ((part->load_addr - BATON_IMAGE_DESCRIPTOR_OFF)
                       & (((uint32_t)1 << guess) - 1))
                       != 0) {
        guess--;
    }
    return baton_chip_page_log2(spec->header.chip_id, wanted, guess);
}

static int prepare(struct baton_image_builder *self) {
    const struct baton_image_spec *spec = self->spec;
    bool has_own = !spec->add_descriptor;
    self->page_log2 = MMU_PAGE_LOG2_MAX;
    self->first_part = has_own ? find_descriptor(self) : spec->part_count;
    self->page_log2 = choose_page(self);
    int err = check_parts(self);
    if (err != 0) {
        return err;
    }
    if (!has_own) {
        baton_image_encode_descriptor(&spec->descriptor, self->descriptor);
        return place_descriptor(self);
    }
    // On some chips the page size moves the window's end.
    self->first_part = find_descriptor(self);
    if (self->first_part == spec->part_count) {
        return 0;
    }
    uint32_t page_mask = ((uint32_t)1 << self->page_log2) - 1;
    uint32_t addr = spec->parts[self->first_part].load_addr;
    return (addr & page_mask) == BATON_IMAGE_DESCRIPTOR_OFF
                   ? 0
                   : BATON_ERR_ELF_LAYOUT;
}

// Lays out without writing.
static int plan(struct baton_image_builder *self, bool fills_gaps) {
    self->fills_gaps = fills_gaps;
    int err = prepare(self);
    return err != 0 ? err : lay_out(self, true, 0);
}

int baton_image_build(struct baton_image_builder *self,
        const struct baton_image_spec *spec, baton_image_sink sink,
        void *context) {
    memset(self, 0, sizeof(*self));
    self->spec = spec;
    self->sink = sink;
    self->context = context;
    if (spec->header.digest_appended != 0 && spec->crypto == NULL) {
        return BATON_ERR_ARG;
    }
    if (baton_chip_name(spec->header.chip_id) == NULL) {
        return BATON_ERR_IMAGE_CHIP;
    }
    int err = plan(self, false);
    if (err != 0) {
        err = plan(self, true);
    }
    if (err != 0) {
        return err;
    }
    if (spec->header.digest_appended != 0
            && spec->crypto->hash_start(
                       spec->crypto->context, &self->hash, BATON_HASH_SHA256)
                       != 0) {
        return BATON_ERR_CRYPTO;
    }
    return lay_out(self, false, self->segment_count);
}
