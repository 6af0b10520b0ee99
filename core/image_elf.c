// Reading a program's loadable sections from an ELF file.
// SPDX-License-Identifier: MIT
//
// 32-bit little-endian executables only. Every offset is checked against the
// file before it is followed.
#include <string.h>

#include "baton/error.h"
#include "baton/image.h"
#include "bytes.h"
#include "image_rules.h"

#define ELF_HEADER_BYTES     52u
#define SECTION_HEADER_BYTES 40u

#define ELF_TYPE_EXECUTABLE 2u
#define ELF_MACHINE_XTENSA  0x5Eu
#define ELF_MACHINE_RISCV   0xF3u

#define SECTION_FLAG_ALLOC 2u

// Kinds of sections that occupy memory and have bytes in the file.
enum {
    SECTION_PROGBITS = 1,
    SECTION_INIT_ARRAY = 14,
    SECTION_FINI_ARRAY = 15,
    SECTION_PREINIT_ARRAY = 16,
};

static const uint8_t ident[] = {
        0x7F, 'E', 'L', 'F', 1 /* 32 bit */, 1 /* little-endian */, 1};

static bool fits(size_t len, uint32_t off, uint32_t count) {
    return off <= len && count <= len - off;
}

static int check_header(const uint8_t *elf, size_t len, uint16_t chip_id) {
    if (len < ELF_HEADER_BYTES || memcmp(elf, ident, sizeof(ident)) != 0
            || get_u16(elf + 16) != ELF_TYPE_EXECUTABLE) {
        return BATON_ERR_ELF_FORMAT;
    }
    uint32_t machine = baton_chip_is_riscv(chip_id) ? ELF_MACHINE_RISCV
                                                    : ELF_MACHINE_XTENSA;
    if (get_u16(elf + 18) != machine) {
        return BATON_ERR_ELF_MACHINE;
    }
    uint32_t table_off = get_u32(elf + 32);
    uint32_t entry_bytes = get_u16(elf + 46);
    uint32_t count = get_u16(elf + 48);
    return entry_bytes == SECTION_HEADER_BYTES && count != 0
                           && fits(len, table_off, count * entry_bytes)
                   ? 0
                   : BATON_ERR_ELF_FORMAT;
}

static bool is_loaded(const uint8_t *header) {
    uint32_t type = get_u32(header + 4);
    bool has_bytes = type == SECTION_PROGBITS || type == SECTION_INIT_ARRAY
                     || type == SECTION_FINI_ARRAY
                     || type == SECTION_PREINIT_ARRAY;
    return has_bytes && (get_u32(header + 8) & SECTION_FLAG_ALLOC) != 0
           && get_u32(header + 12) >= IMAGE_LOADABLE_FROM
           && get_u32(header + 20) != 0;
}

static void insert(struct baton_image_part *parts, size_t count,
        const struct baton_image_part *part) {
    size_t i = count;
    while (i > 0 && parts[i - 1].load_addr > part->load_addr) {
        parts[i] = parts[i - 1];
        i--;
    }
    parts[i] = *part;
}

static bool has_overlap(const struct baton_image_part *parts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t room = i + 1 < count
                                ? parts[i + 1].load_addr - parts[i].load_addr
                                : UINT32_MAX - parts[i].load_addr;
        if (parts[i].len_bytes > room) {
            return true;
        }
    }
    return false;
}

int baton_image_parse_elf(const uint8_t *elf, size_t len, uint16_t chip_id,
        struct baton_image_part *parts, size_t capacity, size_t *count,
        uint32_t *entry_addr) {
    *count = 0;
    int err = check_header(elf, len, chip_id);
    if (err != 0) {
        return err;
    }
    *entry_addr = get_u32(elf + 24);
    const uint8_t *table = elf + get_u32(elf + 32);
    uint32_t section_count = get_u16(elf + 48);
    for (uint32_t i = 0; i < section_count; i++) {
        const uint8_t *header = table + i * SECTION_HEADER_BYTES;
        if (!is_loaded(header)) {
            continue;
        }
        uint32_t off = get_u32(header + 16);
        struct baton_image_part part = {
                .load_addr = get_u32(header + 12),
                .len_bytes = get_u32(header + 20),
        };
        if (!fits(len, off, part.len_bytes)) {
            return BATON_ERR_ELF_FORMAT;
        }
        part.data = elf + off;
        if (*count == capacity) {
            return BATON_ERR_NOSPC;
        }
        insert(parts, *count, &part);
        (*count)++;
    }
    if (*count == 0) {
        return BATON_ERR_ELF_EMPTY;
    }
    return has_overlap(parts, *count) ? BATON_ERR_ELF_LAYOUT : 0;
}
