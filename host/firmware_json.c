// A file's survey as JSON.
// SPDX-License-Identifier: MIT
//
// Addresses and sizes are numbers, digests are hexadecimal text. What an image
// does not say is null; the keys of a kind are always the same.
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "baton/error.h"
#include "firmware.h"

static void add_hex(
        cJSON *object, const char *key, const uint8_t *data, size_t len) {
    char text[2 * BATON_SHA256_BYTES + 1];
    for (size_t i = 0; i < len; i++) {
        snprintf(text + 2 * i, 3, "%02x", data[i]);
    }
    cJSON_AddStringToObject(object, key, text);
}

// Bytes that are not ASCII become '?': what stands in an image need not be
// UTF-8.
static void add_text(cJSON *object, const char *key, const char *text) {
    if (text == NULL || text[0] == 0) {
        cJSON_AddNullToObject(object, key);
        return;
    }
    char clean[128];
    size_t i = 0;
    for (; text[i] != 0 && i + 1 < sizeof(clean); i++) {
        clean[i] = '?';
        if (text[i] >= 0x20 && text[i] < 0x7F) {
            clean[i] = text[i];
        }
    }
    clean[i] = 0;
    cJSON_AddStringToObject(object, key, clean);
}

static void add_limit(cJSON *object, const char *key, uint16_t value) {
    if (value == 0 || value == 0xFFFF) {
        cJSON_AddNullToObject(object, key);
    } else {
        cJSON_AddNumberToObject(object, key, value);
    }
}

static void add_error(cJSON *object, int err) {
    if (err == 0) {
        cJSON_AddNullToObject(object, "error");
        return;
    }
    cJSON *error = cJSON_AddObjectToObject(object, "error");
    cJSON_AddStringToObject(error, "code", baton_error_name(err));
    cJSON_AddNumberToObject(error, "number", err);
    cJSON_AddStringToObject(error, "message", baton_strerror(err));
    add_text(error, "hint", baton_error_hint(err));
}

static void add_descriptor(cJSON *object, const struct baton_image_info *info) {
    if (!info->has_descriptor) {
        cJSON_AddNullToObject(object, "descriptor");
        return;
    }
    const struct baton_app_descriptor *d = &info->descriptor;
    cJSON *json = cJSON_AddObjectToObject(object, "descriptor");
    cJSON_AddNumberToObject(json, "secure_version", d->secure_version);
    add_text(json, "version", d->version);
    add_text(json, "project_name", d->project_name);
    add_text(json, "date", d->date);
    add_text(json, "time", d->time);
    add_text(json, "idf_version", d->idf_version);
    if (firmware_has_elf_sha256(d)) {
        add_hex(json, "elf_sha256", d->elf_sha256, BATON_SHA256_BYTES);
    } else {
        cJSON_AddNullToObject(json, "elf_sha256");
    }
    cJSON_AddNumberToObject(json, "min_block_revision", d->min_block_revision);
    add_limit(json, "max_block_revision", d->max_block_revision);
    if (d->mmu_page_log2 != 0 && d->mmu_page_log2 < 32) {
        cJSON_AddNumberToObject(json, "mmu_page_bytes",
                (double)((uint32_t)1 << d->mmu_page_log2));
    } else {
        cJSON_AddNullToObject(json, "mmu_page_bytes");
    }
}

static void add_names(cJSON *object, const struct baton_names *names) {
    cJSON *json = cJSON_AddObjectToObject(object, "names");
    add_text(json, "system", names->system);
    add_text(json, "version", names->version);
    add_text(json, "date", names->date);
    add_text(json, "board", names->board);
    add_text(json, "chip", names->chip);
}

static void add_segments(cJSON *object, const struct firmware_image *image) {
    cJSON *list = cJSON_AddArrayToObject(object, "segments");
    for (uint8_t i = 0; i < image->segment_count; i++) {
        const struct baton_image_segment *segment = &image->segments[i];
        cJSON *json = cJSON_CreateObject();
        cJSON_AddItemToArray(list, json);
        cJSON_AddNumberToObject(json, "index", segment->index);
        cJSON_AddNumberToObject(json, "load_addr", segment->load_addr);
        cJSON_AddNumberToObject(json, "len_bytes", segment->len_bytes);
        cJSON_AddNumberToObject(json, "data_off", segment->data_off);
        cJSON_AddStringToObject(json, "memory",
                firmware_memory(image->info.header.chip_id, image->page_log2,
                        segment->load_addr));
    }
}

static void add_header(cJSON *object, const struct baton_image_header *header) {
    add_text(object, "chip", baton_chip_name(header->chip_id));
    cJSON_AddNumberToObject(object, "chip_id", header->chip_id);
    cJSON_AddNumberToObject(object, "min_revision", header->min_revision);
    add_limit(object, "max_revision", header->max_revision);
    cJSON_AddNumberToObject(object, "entry_addr", header->entry_addr);
    cJSON_AddStringToObject(
            object, "flash_mode", firmware_flash_mode(header->spi_mode));
    cJSON_AddStringToObject(object, "flash_frequency",
            firmware_flash_frequency(header->chip_id, header->spi_speed));
    cJSON_AddStringToObject(
            object, "flash_size", firmware_flash_size(header->spi_size));
}

static void add_signature(
        cJSON *object, const struct firmware_signature *signature) {
    if (signature->block_count == 0) {
        cJSON_AddNullToObject(object, "signature");
        return;
    }
    cJSON *json = cJSON_AddObjectToObject(object, "signature");
    cJSON_AddNumberToObject(json, "off", signature->off);
    cJSON *list = cJSON_AddArrayToObject(json, "blocks");
    for (uint8_t i = 0; i < signature->block_count; i++) {
        cJSON *block = cJSON_CreateObject();
        cJSON_AddItemToArray(list, block);
        cJSON_AddStringToObject(block, "scheme", signature->blocks[i].scheme);
        cJSON_AddBoolToObject(block, "crc_ok", signature->blocks[i].crc_ok);
        cJSON_AddBoolToObject(
                block, "digest_ok", signature->blocks[i].digest_ok);
    }
}

static void add_digests(cJSON *object, const struct firmware_image *image) {
    const struct baton_image_info *info = &image->info;
    bool has_checksum = image->err == 0 || image->err == BATON_ERR_IMAGE_DIGEST
                        || image->err == BATON_ERR_IMAGE_CHECKSUM;
    if (has_checksum) {
        cJSON_AddBoolToObject(
                object, "checksum_ok", image->err != BATON_ERR_IMAGE_CHECKSUM);
    } else {
        cJSON_AddNullToObject(object, "checksum_ok");
    }
    bool has_digest =
            info->has_digest
            && (image->err == 0 || image->err == BATON_ERR_IMAGE_DIGEST);
    if (has_digest) {
        add_hex(object, "digest", info->digest, BATON_SHA256_BYTES);
        cJSON_AddBoolToObject(object, "digest_ok", info->digest_ok);
    } else {
        cJSON_AddNullToObject(object, "digest");
        cJSON_AddNullToObject(object, "digest_ok");
    }
}

static void add_image(cJSON *object, const struct firmware_image *image) {
    const struct baton_image_info *info = &image->info;
    const char *from = "";
    add_header(object, &info->header);
    if (image->is_bootloader) {
        add_text(object, "idf_version", image->idf_version);
        add_text(object, "date", image->date);
    } else {
        add_text(object, "project", firmware_project(image));
        add_text(object, "version", firmware_version(image, &from));
        add_text(object, "version_from", from);
        add_descriptor(object, info);
        add_names(object, &image->names);
        add_signature(object, &image->signature);
    }
    add_segments(object, image);
    if (image->err == 0) {
        cJSON_AddNumberToObject(object, "image_bytes", info->len_bytes);
    } else {
        cJSON_AddNullToObject(object, "image_bytes");
    }
    add_digests(object, image);
}

static void add_partitions(cJSON *object, const struct firmware *self) {
    cJSON_AddNumberToObject(object, "table_off", self->table_off);
    cJSON_AddNumberToObject(object, "flash_base", self->flash_base);
    cJSON *list = cJSON_AddArrayToObject(object, "partitions");
    for (size_t i = 0; i < self->row_count; i++) {
        const struct baton_partition *row = &self->rows[i];
        cJSON *json = cJSON_CreateObject();
        cJSON_AddItemToArray(list, json);
        add_text(json, "label", row->label);
        cJSON_AddNumberToObject(json, "type", row->type);
        add_text(json, "type_name", baton_table_type_name(row->type));
        cJSON_AddNumberToObject(json, "subtype", row->subtype);
        add_text(json, "subtype_name",
                baton_table_subtype_name(row->type, row->subtype));
        cJSON_AddNumberToObject(json, "addr", row->addr);
        cJSON_AddNumberToObject(json, "size_bytes", row->size_bytes);
    }
}

static void add_apps(cJSON *object, const struct firmware *self) {
    cJSON *list = cJSON_AddArrayToObject(object, "applications");
    for (size_t i = 0; i < self->app_count; i++) {
        const struct firmware_image *image = &self->apps[i].image;
        cJSON *json = cJSON_CreateObject();
        cJSON_AddItemToArray(list, json);
        add_text(json, "label", self->rows[self->apps[i].row].label);
        cJSON_AddNumberToObject(json, "off", image->off);
        cJSON_AddBoolToObject(json, "ok", image->err == 0);
        add_image(json, image);
        add_error(json, image->err);
    }
}

static void print(cJSON *json) {
    char *text = cJSON_Print(json);
    if (text != NULL) {
        puts(text);
    }
    cJSON_free(text);
    cJSON_Delete(json);
}

static void add_contents(cJSON *json, const struct firmware *self) {
    if (self->has_table) {
        add_partitions(json, self);
        add_apps(json, self);
        if (self->has_image) {
            cJSON *bootloader = cJSON_AddObjectToObject(json, "bootloader");
            cJSON_AddNumberToObject(bootloader, "off", self->image.off);
            cJSON_AddBoolToObject(bootloader, "ok", self->image.err == 0);
            add_image(bootloader, &self->image);
        } else {
            cJSON_AddNullToObject(json, "bootloader");
        }
    } else if (self->has_image) {
        add_image(json, &self->image);
        if (self->image.err == 0) {
            cJSON_AddNumberToObject(
                    json, "trailing_bytes", self->trailing_bytes);
            cJSON_AddBoolToObject(
                    json, "trailing_is_blank", self->trailing_is_blank);
        }
    }
}

static cJSON *start(const char *path, const struct firmware *self, int err) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "file", path);
    cJSON_AddStringToObject(json, "kind", firmware_kind(self));
    cJSON_AddBoolToObject(json, "ok", err == 0);
    cJSON_AddNumberToObject(json, "size_bytes", (double)self->len);
    add_hex(json, "sha256", self->sha256, BATON_SHA256_BYTES);
    return json;
}

void firmware_print_json(const char *path, const struct firmware *self) {
    cJSON *json = start(path, self, self->err);
    add_contents(json, self);
    add_error(json, self->err);
    print(json);
}

void firmware_print_json_verdict(
        const char *path, const struct firmware *self, int err) {
    cJSON *json = start(path, self, err);
    const char *from;
    const struct firmware_image *image = &self->image;
    bool is_app = self->has_image && !image->is_bootloader;
    add_text(json, "chip",
            self->has_image ? baton_chip_name(image->info.header.chip_id)
                            : NULL);
    add_text(json, "version", is_app ? firmware_version(image, &from) : NULL);
    if (is_app && image->err == 0) {
        cJSON_AddNumberToObject(json, "image_bytes", image->info.len_bytes);
    } else {
        cJSON_AddNullToObject(json, "image_bytes");
    }
    add_error(json, err);
    print(json);
}

void firmware_print_json_unread(const char *path) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "file", path);
    cJSON_AddNullToObject(json, "kind");
    cJSON_AddFalseToObject(json, "ok");
    add_error(json, access(path, F_OK) != 0 ? BATON_ERR_NOENT : BATON_ERR_IO);
    print(json);
}
