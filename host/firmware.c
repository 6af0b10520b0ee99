// What a firmware file holds: one image, or a flash's worth of things.
// SPDX-License-Identifier: MIT
#include "firmware.h"

#include <string.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"

#define BOOTLOADER_MAGIC    0x50u
#define BOOTLOADER_IDF_OFF  8u
#define BOOTLOADER_DATE_OFF 40u

// Tables are looked for this far into a file: the default is 0x8000, and
// projects with large bootloaders move it up to the first megabyte.
#define TABLE_SEARCH_BYTES 0x100000u

static void hash(const uint8_t *data, size_t len, uint8_t *digest) {
    const struct baton_crypto *crypto = baton_crypto_psa();
    static struct baton_hash_state state;
    memset(digest, 0, BATON_SHA256_BYTES);
    if (crypto->hash_start(crypto->context, &state, BATON_HASH_SHA256) == 0
            && crypto->hash_update(crypto->context, &state, data, len) == 0) {
        (void)crypto->hash_finish(crypto->context, &state, digest);
    }
}

static bool is_blank(const uint8_t *data, size_t len) {
    size_t i = 0;
    while (i < len && data[i] == 0xFF) {
        i++;
    }
    return i == len;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

// ---- One image -----------------------------------------------------------

static void note_segment(
        void *context, const struct baton_image_segment *segment) {
    struct firmware_image *image = context;
    image->segments[image->segment_count++] = *segment;
}

static void verify_with(struct firmware_image *self, const uint8_t *data,
        size_t len, uint32_t limit, uint8_t page_log2) {
    const struct baton_chip chip = {
            .id = BATON_CHIP_ANY, .mmu_page_log2 = page_log2};
    struct baton_image_config config = {
            .crypto = baton_crypto_psa(),
            .chip = &chip,
            .limit_bytes = limit,
            .is_bootloader = self->is_bootloader,
            .on_segment = note_segment,
            .context = self,
    };
    static struct baton_image image;
    self->segment_count = 0;
    self->err = baton_image_begin(&image, &config);
    if (self->err == 0) {
        (void)baton_image_push(&image, data, len);
        self->err = baton_image_finish(&image);
    }
    self->info = *baton_image_result(&image);
    self->page_log2 = baton_chip_page_log2(self->info.header.chip_id,
            self->info.descriptor.mmu_page_log2, page_log2);
}

// An image laid out for another page size than the default does not say so
// before ESP-IDF 5.4: the size is the one with which its segments line up.
static void verify(struct firmware_image *self, const uint8_t *data, size_t len,
        uint32_t limit) {
    verify_with(self, data, len, limit, 0);
    bool is_unsaid = baton_chip_has_page_choice(self->info.header.chip_id)
                     && self->info.descriptor.mmu_page_log2 == 0;
    for (uint8_t page = 15;
            self->err == BATON_ERR_IMAGE_MAPPING && is_unsaid && page >= 13;
            page--) {
        verify_with(self, data, len, limit, page);
    }
}

static void read_bootloader(
        struct firmware_image *self, const uint8_t *data, size_t len) {
    if (len < BATON_IMAGE_HEAD_BYTES
            || data[BATON_IMAGE_DESCRIPTOR_OFF] != BOOTLOADER_MAGIC) {
        return;
    }
    const uint8_t *descriptor = data + BATON_IMAGE_DESCRIPTOR_OFF;
    memcpy(self->idf_version, descriptor + BOOTLOADER_IDF_OFF, 32);
    memcpy(self->date, descriptor + BOOTLOADER_DATE_OFF, 24);
}

static void read_image(struct firmware_image *self, const uint8_t *data,
        size_t len, uint32_t off, uint32_t limit, bool is_bootloader) {
    memset(self, 0, sizeof(*self));
    self->off = off;
    self->is_bootloader = is_bootloader;
    verify(self, data + off, len - off, limit);
    if (is_bootloader) {
        read_bootloader(self, data + off, len - off);
    }
    if (self->err != 0) {
        return;
    }
    if (!is_bootloader) {
        baton_names_begin(&self->names);
        baton_names_push(&self->names, data + off, self->info.len_bytes);
        baton_names_finish(&self->names);
    }
    firmware_find_signature(
            &self->signature, data + off, self->info.len_bytes, len - off);
}

// ---- A table and what it leads to ----------------------------------------

static bool parse_table(struct firmware *self, uint32_t off) {
    const uint8_t *table = self->data + off;
    size_t len = smaller(self->len - off, BATON_TABLE_BYTES);
    struct baton_hash_state hash;
    struct baton_table_options options = {
            .crypto = baton_crypto_psa(), .hash = &hash};
    if (len < BATON_TABLE_ROW_BYTES || table[0] != 0xAA || table[1] != 0x50) {
        return false;
    }
    int err = baton_table_parse(table, len - len % BATON_TABLE_ROW_BYTES,
            &options, self->rows, BATON_TABLE_ROWS_MAX, &self->row_count, NULL);
    return err == 0 && self->row_count > 0;
}

// An old application, without a descriptor, is one too.
static bool find_app(
        const struct firmware *self, size_t row, uint32_t base, uint32_t *off) {
    const struct baton_partition *partition = &self->rows[row];
    *off = partition->addr - base;
    if (partition->type != BATON_TYPE_APP || partition->addr < base
            || *off >= self->len) {
        return false;
    }
    int err = baton_image_identify(self->data + *off,
            smaller(self->len - *off, BATON_IMAGE_HEAD_BYTES));
    return err == 0 || err == BATON_ERR_IMAGE_DESCRIPTOR;
}

static uint32_t count_apps(const struct firmware *self, uint32_t base) {
    uint32_t count = 0;
    for (size_t i = 0; i < self->row_count; i++) {
        uint32_t off;
        count += find_app(self, i, base, &off) ? 1 : 0;
    }
    return count;
}

// A file need not begin at the flash's first byte: on many chips the
// bootloader does not, and MicroPython's files begin with it.
static uint32_t find_base(const struct firmware *self) {
    static const uint32_t bases[] = {0x0, 0x1000, 0x2000};
    uint32_t best = 0;
    uint32_t best_count = 0;
    for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
        uint32_t count = count_apps(self, bases[i]);
        if (count > best_count) {
            best = bases[i];
            best_count = count;
        }
    }
    bool is_shifted = best_count == 0 && self->table_off < BATON_TABLE_ADDR;
    return is_shifted ? BATON_TABLE_ADDR - self->table_off : best;
}

static void read_apps(struct firmware *self) {
    for (size_t i = 0;
            i < self->row_count && self->app_count < FIRMWARE_APPS_MAX; i++) {
        uint32_t off;
        if (!find_app(self, i, self->flash_base, &off)) {
            continue;
        }
        uint32_t limit = self->rows[i].size_bytes;
        self->apps[self->app_count].row = i;
        read_image(&self->apps[self->app_count].image, self->data, self->len,
                off, limit <= BATON_IMAGE_SIZE_MAX ? limit : 0, false);
        self->app_count++;
    }
}

static void find_table(struct firmware *self) {
    size_t end = smaller(self->len, TABLE_SEARCH_BYTES);
    for (uint32_t off = BATON_SECTOR_BYTES; off < end && !self->has_table;
            off += BATON_SECTOR_BYTES) {
        self->has_table = parse_table(self, off);
        self->table_off = off;
    }
    if (self->has_table) {
        self->flash_base = find_base(self);
        read_apps(self);
    } else {
        self->row_count = 0;
    }
}

// The bootloader of a file that begins with blank flash lies where its chip
// wants it.
static void find_bootloader(struct firmware *self) {
    static const uint32_t addrs[] = {0x0, 0x1000, 0x2000};
    for (size_t i = 0; i < sizeof(addrs) / sizeof(addrs[0]); i++) {
        uint32_t off = addrs[i] - self->flash_base;
        bool is_there =
                addrs[i] >= self->flash_base && off < self->len
                && baton_image_identify(self->data + off,
                           smaller(self->len - off, BATON_IMAGE_HEAD_BYTES))
                           == BATON_ERR_IS_BOOTLOADER;
        if (is_there && !self->has_image) {
            self->has_image = true;
            read_image(&self->image, self->data, self->len, off, 0, true);
        }
    }
}

// ---- The file ------------------------------------------------------------

static bool has_mapped_segment(const struct firmware_image *image) {
    for (uint8_t i = 0; i < image->segment_count; i++) {
        if (image->segments[i].mapped) {
            return true;
        }
    }
    return false;
}

// An application that other systems made (Zephyr, for one) may have a first
// segment that is too short for the vendor's newest check: whole, but not
// what an update takes.
static void survey_app(struct firmware *self) {
    self->has_image = true;
    read_image(&self->image, self->data, self->len, 0, 0, false);
    self->err = self->image.err;
    if (self->err == BATON_ERR_IMAGE_SEGMENT) {
        static struct firmware_image other;
        read_image(&other, self->data, self->len, 0, 0, true);
        if (other.err == 0 && has_mapped_segment(&other)) {
            self->image = other;
            self->image.is_bootloader = false;
            self->err = BATON_ERR_IMAGE_DESCRIPTOR;
        }
    }
}

// What begins in RAM is a bootloader, if all of it is for RAM.
static void survey_ram(struct firmware *self) {
    self->has_image = true;
    read_image(&self->image, self->data, self->len, 0, 0, true);
    if (has_mapped_segment(&self->image)) {
        survey_app(self);
    }
}

static void note_trailing(struct firmware *self) {
    if (self->has_image && self->image.err == 0) {
        uint32_t end = self->image.off + self->image.info.len_bytes;
        self->trailing_bytes = (uint32_t)(self->len - end);
        self->trailing_is_blank =
                is_blank(self->data + end, self->trailing_bytes);
    }
}

// A merged file, a flash, or none.
static void survey_flash(struct firmware *self) {
    find_table(self);
    if (self->has_table) {
        find_bootloader(self);
        self->err = BATON_ERR_IS_MERGED;
    } else if (self->err == BATON_ERR_IS_BOOTLOADER) {
        survey_ram(self);
    }
}

void firmware_survey(struct firmware *self, const uint8_t *data, size_t len) {
    memset(self, 0, sizeof(*self));
    self->data = data;
    self->len = len;
    hash(data, len, self->sha256);
    self->err =
            baton_image_identify(data, smaller(len, BATON_IMAGE_HEAD_BYTES));
    switch (self->err) {
    case 0:
    case BATON_ERR_IMAGE_DESCRIPTOR:
    case BATON_ERR_IMAGE_TRUNCATED:
        survey_app(self);
        break;
    case BATON_ERR_IS_TABLE:
        self->has_table = parse_table(self, 0);
        break;
    case BATON_ERR_IS_BOOTLOADER:
    case BATON_ERR_IS_BLANK:
    case BATON_ERR_IMAGE_MAGIC:
        survey_flash(self);
        break;
    default:
        break;
    }
    note_trailing(self);
}

const char *firmware_kind(const struct firmware *self) {
    switch (self->err) {
    case BATON_ERR_IS_MERGED:
        return "merged";
    case BATON_ERR_IS_BOOTLOADER:
        return "bootloader";
    case BATON_ERR_IS_TABLE:
        return "partition_table";
    case BATON_ERR_IS_EMPTY:
        return "empty";
    case BATON_ERR_IS_BLANK:
        return "blank";
    case BATON_ERR_IS_ELF:
        return "elf";
    case BATON_ERR_IS_GZIP:
        return "gzip";
    case BATON_ERR_IS_ZIP:
        return "zip";
    case BATON_ERR_IS_HTML:
        return "html";
    case BATON_ERR_IS_UF2:
        return "uf2";
    case BATON_ERR_IS_TEXT:
        return "text";
    case BATON_ERR_IS_ESP8266:
        return "esp8266";
    case BATON_ERR_IS_OTADATA:
        return "otadata";
    default:
        return self->has_image ? "application" : "unknown";
    }
}

const char *firmware_version(
        const struct firmware_image *image, const char **from) {
    const char *version = image->info.descriptor.version;
    *from = version[0] != 0 ? "descriptor" : "text";
    if (version[0] == 0) {
        version = image->names.version;
    }
    *from = version[0] != 0 ? *from : "";
    return version;
}

const char *firmware_project(const struct firmware_image *image) {
    const char *project = image->info.descriptor.project_name;
    return project[0] != 0 ? project : image->names.system;
}

bool firmware_has_elf_sha256(const struct baton_app_descriptor *descriptor) {
    static const uint8_t none[BATON_SHA256_BYTES];
    return memcmp(descriptor->elf_sha256, none, sizeof(none)) != 0;
}
