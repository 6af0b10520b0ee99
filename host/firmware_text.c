// A file's survey for people.
// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <string.h>

#include "baton/error.h"
#include "firmware.h"

static void print_label(const char *label) {
    printf("  %-14s", label);
}

// Text of an image may hold anything; a terminal gets printable bytes only.
static void print_clean(const char *text) {
    for (; *text != 0; text++) {
        putchar(*text >= 0x20 && *text < 0x7F ? *text : '?');
    }
}

static void print_field(const char *label, const char *text) {
    if (text[0] != 0) {
        print_label(label);
        print_clean(text);
        putchar('\n');
    }
}

static void print_hex(const uint8_t *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        printf("%02x", data[i]);
    }
}

static const char *chip_text(uint16_t chip_id) {
    static char unknown[24];
    const char *name = baton_chip_name(chip_id);
    if (name != NULL) {
        return name;
    }
    snprintf(unknown, sizeof(unknown), "unknown chip %u", chip_id);
    return unknown;
}

static void print_revision(const struct baton_image_header *header) {
    bool has_max = header->max_revision != 0 && header->max_revision != 0xFFFF;
    printf(", revision v%u.%u", header->min_revision / 100u,
            header->min_revision % 100u);
    if (has_max) {
        printf(" to v%u.%u", header->max_revision / 100u,
                header->max_revision % 100u);
    } else {
        printf(" and later");
    }
}

// "v1.25.0 on 2025-04-15 (found in the image's text)"
static void print_version(const struct firmware_image *image) {
    const struct baton_names *names = &image->names;
    const char *from;
    const char *version = firmware_version(image, &from);
    bool is_text = strcmp(from, "text") == 0;
    print_field("project", firmware_project(image));
    if (version[0] != 0) {
        print_label("version");
        print_clean(version);
        if (is_text && names->date[0] != 0) {
            printf(" on %s", names->date);
        }
        printf("%s\n",
                is_text ? "  (from its text; its descriptor says none)" : "");
    }
    if (!is_text && names->version[0] != 0) {
        print_label("text says");
        printf("%s %s", names->system, names->version);
        printf(names->date[0] != 0 ? " on %s\n" : "\n", names->date);
    }
    if (names->board[0] != 0) {
        print_label("board");
        printf("%s with %s\n", names->board, names->chip);
    }
}

static void print_descriptor(const struct firmware_image *image) {
    const struct baton_app_descriptor *d = &image->info.descriptor;
    if (!image->info.has_descriptor) {
        print_field("descriptor", "none (made before ESP-IDF 3.3, or without "
                                  "ESP-IDF)");
        return;
    }
    if (strcmp(d->project_name, "arduino-lib-builder") == 0) {
        print_field("", "(the Arduino framework's own; the sketch's name is "
                        "not in the descriptor)");
    }
    if (d->date[0] != 0 || d->time[0] != 0) {
        print_label("built");
        print_clean(d->date);
        printf("%s", d->date[0] != 0 ? " " : "");
        print_clean(d->time);
        putchar('\n');
    }
    print_field("ESP-IDF", d->idf_version);
    if (firmware_has_elf_sha256(d)) {
        print_label("ELF SHA-256");
        print_hex(d->elf_sha256, BATON_SHA256_BYTES);
        putchar('\n');
    }
    if (d->secure_version != 0) {
        print_label("secure version");
        printf("%u\n", (unsigned)d->secure_version);
    }
}

static void print_header(const struct firmware_image *image) {
    const struct baton_image_header *header = &image->info.header;
    print_label("chip");
    printf("%s", chip_text(header->chip_id));
    print_revision(header);
    putchar('\n');
    print_label("flash");
    printf("%s, %s, %s\n", firmware_flash_mode(header->spi_mode),
            firmware_flash_frequency(header->chip_id, header->spi_speed),
            firmware_flash_size(header->spi_size));
    print_label("entry");
    printf("0x%08x\n", (unsigned)header->entry_addr);
}

static const char *memory_text(const char *memory) {
    static const char *const words[][2] = {
            {"flash_data", "flash, constants"},
            {"flash_code", "flash, code"},
            {"flash", "flash, mapped"},
            {"iram", "RAM for code (IRAM)"},
            {"dram", "RAM for data (DRAM)"},
            {"ram", "RAM"},
            {"rtc_fast", "RTC fast memory"},
            {"rtc_slow", "RTC slow memory"},
            {"psram", "external RAM"},
            {"tcm", "tightly coupled RAM"},
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(memory, words[i][0]) == 0) {
            return words[i][1];
        }
    }
    return memory;
}

static void print_segments(const struct firmware_image *image) {
    if (image->segment_count == 0) {
        return;
    }
    printf("\n  segment  address        bytes    offset  memory\n");
    for (uint8_t i = 0; i < image->segment_count; i++) {
        const struct baton_image_segment *segment = &image->segments[i];
        printf("  %7u  0x%08x  %8u  0x%06x  %s\n", segment->index,
                (unsigned)segment->load_addr, (unsigned)segment->len_bytes,
                (unsigned)segment->data_off,
                memory_text(firmware_memory(image->info.header.chip_id,
                        image->page_log2, segment->load_addr)));
    }
    putchar('\n');
}

static void print_sums(const struct firmware_image *image) {
    const struct baton_image_info *info = &image->info;
    if (image->err == 0) {
        print_label("length");
        printf("%u bytes (0x%x)\n", (unsigned)info->len_bytes,
                (unsigned)info->len_bytes);
    }
    bool has_checksum = image->err == 0 || image->err == BATON_ERR_IMAGE_DIGEST;
    if (has_checksum || image->err == BATON_ERR_IMAGE_CHECKSUM) {
        print_label("checksum");
        printf("0x%02x, %s\n", info->checksum,
                has_checksum ? "right" : "WRONG");
    }
    if (!has_checksum) {
        return;
    }
    print_label("SHA-256");
    if (info->has_digest) {
        print_hex(info->digest, BATON_SHA256_BYTES);
        printf(", %s\n", info->digest_ok ? "right"
                         : image->is_bootloader
                                 ? "not right (flashing tools patch a "
                                   "bootloader's header)"
                                 : "WRONG");
    } else {
        printf("none appended\n");
    }
}

static void print_signature(const struct firmware_signature *signature) {
    if (signature->block_count == 0) {
        return;
    }
    print_label("signature");
    printf("Secure Boot v2, %u block%s at 0x%x (keys not checked)\n",
            signature->block_count, signature->block_count == 1 ? "" : "s",
            (unsigned)signature->off);
    for (uint8_t i = 0; i < signature->block_count; i++) {
        print_label("");
        printf("%s: CRC %s, %s\n", signature->blocks[i].scheme,
                signature->blocks[i].crc_ok ? "right" : "WRONG",
                signature->blocks[i].digest_ok
                        ? "for this image"
                        : "NOT for this image (its digest differs)");
    }
}

static void print_trailing(const struct firmware *self) {
    if (self->trailing_bytes == 0 || self->image.err != 0) {
        return;
    }
    print_label("after it");
    printf("%u bytes%s\n", (unsigned)self->trailing_bytes,
            self->trailing_is_blank                  ? ", all 0xFF"
            : self->image.signature.block_count != 0 ? " (the signature)"
                                                     : "");
}

static void print_image(const struct firmware_image *image) {
    if (image->is_bootloader) {
        print_field("ESP-IDF", image->idf_version);
        print_field("built", image->date);
    } else {
        print_version(image);
        print_descriptor(image);
    }
    print_header(image);
    print_segments(image);
    print_sums(image);
    print_signature(&image->signature);
}

// An application inside a larger file.
static void print_app(const struct firmware *self, size_t index) {
    const struct firmware_image *image = &self->apps[index].image;
    const char *from;
    const char *project = firmware_project(image);
    const char *version = firmware_version(image, &from);
    printf("\n  ");
    print_clean(self->rows[self->apps[index].row].label);
    printf(": ");
    if (image->err != 0) {
        printf("%s\n", baton_strerror(image->err));
        return;
    }
    print_clean(project);
    printf("%s", project[0] != 0 ? " " : "");
    print_clean(version);
    bool is_text = strcmp(from, "text") == 0 && image->names.date[0] != 0;
    printf("%s%s%s\n", is_text ? " on " : "", is_text ? image->names.date : "",
            project[0] != 0 || version[0] != 0 ? ", good" : "good");
    if (image->names.board[0] != 0) {
        print_label("  board");
        printf("%s with %s\n", image->names.board, image->names.chip);
    }
    print_label("  in the file");
    printf("offset 0x%x, %u bytes\n", (unsigned)image->off,
            (unsigned)image->info.len_bytes);
}

static const char *type_text(const struct baton_partition *row) {
    static char text[32];
    const char *type = baton_table_type_name(row->type);
    const char *subtype = baton_table_subtype_name(row->type, row->subtype);
    char numbers[2][8];
    snprintf(numbers[0], sizeof(numbers[0]), "0x%02x", row->type);
    snprintf(numbers[1], sizeof(numbers[1]), "0x%02x", row->subtype);
    snprintf(text, sizeof(text), "%s/%s", type != NULL ? type : numbers[0],
            subtype != NULL ? subtype : numbers[1]);
    return text;
}

static void print_table(const struct firmware *self) {
    printf("\n  partition         type               address       bytes\n");
    for (size_t i = 0; i < self->row_count; i++) {
        const struct baton_partition *row = &self->rows[i];
        printf("  ");
        print_clean(row->label);
        printf("%*s%-18s 0x%06x  %10u\n", (int)(18 - strlen(row->label)), "",
                type_text(row), (unsigned)row->addr, (unsigned)row->size_bytes);
    }
}

// A name as one word of a shell's command line.
static void print_quoted(const char *text) {
    putchar('\'');
    for (; *text != 0; text++) {
        if (*text == '\'') {
            printf("'\\''");
        } else {
            putchar(*text);
        }
    }
    putchar('\'');
}

// A label as a file name: the table may hold anything.
static void print_file_name(const char *label) {
    for (; *label != 0; label++) {
        bool is_plain = (*label >= '0' && *label <= '9')
                        || (*label >= 'A' && *label <= 'Z')
                        || (*label >= 'a' && *label <= 'z') || *label == '-';
        putchar(is_plain ? *label : '_');
    }
    printf(".app-bin\n");
}

static void print_cut(const char *path, const struct firmware *self) {
    for (size_t i = 0; i < self->app_count; i++) {
        const struct firmware_image *image = &self->apps[i].image;
        if (image->err == 0) {
            printf("\n  To cut the application out:\n    tail -c +%u ",
                    (unsigned)image->off + 1);
            print_quoted(path);
            printf(" | head -c %u > ", (unsigned)image->info.len_bytes);
            print_file_name(self->rows[self->apps[i].row].label);
            return;
        }
    }
}

static void print_merged(const char *path, const struct firmware *self) {
    print_label("flash");
    printf("the file begins at flash address 0x%x\n",
            (unsigned)self->flash_base);
    if (self->has_image) {
        const struct firmware_image *image = &self->image;
        print_label("bootloader");
        printf("at 0x%x in the file, for %s%s", (unsigned)image->off,
                chip_text(image->info.header.chip_id),
                image->idf_version[0] != 0 ? ", ESP-IDF " : "");
        print_clean(image->idf_version);
        putchar('\n');
    }
    print_label("table");
    printf("at 0x%x in the file\n", (unsigned)self->table_off);
    print_table(self);
    for (size_t i = 0; i < self->app_count; i++) {
        print_app(self, i);
    }
    print_cut(path, self);
}

static const char *kind_text(const struct firmware *self) {
    if (self->err == BATON_ERR_IS_MERGED) {
        return "a merged file (a flash from the bootloader on)";
    }
    if (self->err == BATON_ERR_IS_BOOTLOADER) {
        return "a bootloader";
    }
    return self->err == BATON_ERR_IS_TABLE ? "a partition table"
                                           : "an application image";
}

void firmware_print_text(const char *path, const struct firmware *self) {
    if (!self->has_image && !self->has_table) {
        return;
    }
    printf("%s: %s", path, kind_text(self));
    if (self->err == 0) {
        printf(", whole and right");
    }
    printf("\n\n");
    if (self->err == BATON_ERR_IS_MERGED) {
        print_merged(path, self);
    } else if (self->has_table) {
        print_table(self);
    } else if (self->image.info.header.segment_count != 0) {
        print_image(&self->image);
        print_trailing(self);
    }
}
