// ESP-IDF's image verification and descriptions over Baton's.
// SPDX-License-Identifier: MIT
#include "baton-idf/esp_image_format.h"

#include <stdio.h>
#include <string.h>

#include "baton/error.h"
#include "baton/image.h"
#include "baton-idf/esp_ota_ops.h"
#include "idf_state.h"

#define WORK_BYTES 4096u

_Static_assert(sizeof(esp_image_header_t) == BATON_IMAGE_HEADER_BYTES,
        "esp_image_header_t is not as on flash");
_Static_assert(sizeof(esp_app_desc_t) == BATON_IMAGE_DESCRIPTOR_BYTES,
        "esp_app_desc_t is not as on flash");
_Static_assert(sizeof(esp_bootloader_desc_t) == 80,
        "esp_bootloader_desc_t is not as on flash");

static esp_err_t image_error(int err) {
    switch (err) {
    case 0:
        return ESP_OK;
    case BATON_ERR_IO:
    case BATON_ERR_RANGE:
    case BATON_ERR_CRYPTO:
    case BATON_ERR_IMAGE_CHIP:
    case BATON_ERR_IMAGE_REVISION:
    case BATON_ERR_IMAGE_DESCRIPTOR:
        return ESP_FAIL;
    default:
        return ESP_ERR_IMAGE_INVALID;
    }
}

static void note_segment(
        void *context, const struct baton_image_segment *segment) {
    esp_image_metadata_t *data = context;
    data->segments[segment->index] = (esp_image_segment_header_t){
            segment->load_addr, segment->len_bytes};
    data->segment_data[segment->index] = data->start_addr + segment->data_off;
}

esp_err_t esp_image_verify(esp_image_load_mode_t mode,
        const esp_partition_pos_t *part, esp_image_metadata_t *data) {
    (void)mode;
    if (baton_idf_state.config.flash == NULL) {
        return ESP_ERR_FLASH_NOT_INITIALISED;
    }
    if (data == NULL || part == NULL || part->size > BATON_IMAGE_SIZE_MAX) {
        return ESP_ERR_INVALID_ARG;
    }
    memset(data, 0, sizeof(*data));
    data->start_addr = part->offset;
    const struct baton_image_config config = {
            .crypto = baton_idf_state.config.crypto,
            .chip = baton_idf_state.config.chip,
            .is_bootloader = part->offset == baton_idf_state.bootloader_addr,
            .on_segment = note_segment,
            .context = data,
    };
    struct baton_image image;
    uint8_t work[WORK_BYTES];
    int err = baton_image_verify(&image, &config, baton_idf_state.config.flash,
            part->offset, part->size, work, sizeof(work));
    if (err == 0) {
        err = baton_idf_state.config.flash->read(
                baton_idf_state.config.flash->context, part->offset,
                &data->image, sizeof(data->image));
    }
    if (err != 0) {
        memset(data, 0, sizeof(*data));
        return image_error(err);
    }
    const struct baton_image_info *info = baton_image_result(&image);
    data->image_len = info->len_bytes;
    memcpy(data->image_digest, info->digest, sizeof(data->image_digest));
    data->secure_version = info->descriptor.secure_version;
    data->mmu_page_size = (uint32_t)1 << image.mmu_page_log2;
    return ESP_OK;
}

esp_err_t baton_idf_image_validate(uint32_t addr, uint32_t size) {
    const esp_partition_pos_t pos = {addr, size};
    esp_image_metadata_t data;
    return esp_image_verify(ESP_IMAGE_VERIFY, &pos, &data) == ESP_OK
                   ? ESP_OK
                   : ESP_ERR_OTA_VALIDATE_FAILED;
}

esp_err_t esp_ota_get_partition_description(
        const esp_partition_t *partition, esp_app_desc_t *app_desc) {
    if (partition == NULL || app_desc == NULL) {
        return ESP_ERR_INVALID_ARG;
    }
    if (partition->type != ESP_PARTITION_TYPE_APP) {
        return ESP_ERR_NOT_SUPPORTED;
    }
    esp_err_t err = esp_partition_read(
            partition, BATON_IMAGE_DESCRIPTOR_OFF, app_desc, sizeof(*app_desc));
    if (err != ESP_OK) {
        return err;
    }
    return app_desc->magic_word == ESP_APP_DESC_MAGIC_WORD ? ESP_OK
                                                           : ESP_ERR_NOT_FOUND;
}

esp_err_t esp_ota_get_bootloader_description(
        const esp_partition_t *bootloader_partition,
        esp_bootloader_desc_t *desc) {
    if (desc == NULL) {
        return ESP_ERR_INVALID_ARG;
    }
    uint32_t primary_addr = baton_chip_bootloader_addr(baton_idf_chip_id());
    const esp_partition_t primary = {
            .flash_chip = esp_flash_default_chip,
            .address = primary_addr,
            .size = baton_idf_state.config.table_addr - primary_addr,
    };
    if (bootloader_partition == NULL) {
        bootloader_partition = &primary;
    }
    esp_err_t err = esp_partition_read(bootloader_partition,
            BATON_IMAGE_DESCRIPTOR_OFF, desc, sizeof(*desc));
    if (err != ESP_OK) {
        return err;
    }
    return desc->magic_byte == ESP_BOOTLOADER_DESC_MAGIC_BYTE
                   ? ESP_OK
                   : ESP_ERR_NOT_FOUND;
}

esp_err_t esp_ota_check_image_validity(esp_partition_type_t type,
        const esp_image_header_t *img_hdr, const esp_app_desc_t *app_desc) {
    if (baton_idf_state.config.release < BATON_IDF_V6_1) {
        return ESP_ERR_NOT_SUPPORTED;
    }
    bool is_app = type == ESP_PARTITION_TYPE_APP;
    if (img_hdr == NULL || (!is_app && type != ESP_PARTITION_TYPE_BOOTLOADER)) {
        return ESP_ERR_INVALID_ARG;
    }
    const struct baton_chip *chip = baton_idf_state.config.chip;
    if (chip != NULL && chip->id != BATON_CHIP_ANY) {
        uint16_t max = img_hdr->max_chip_rev_full;
        bool has_max = is_app && !chip->ignore_max_revision && max != 0
                       && max != 0xFFFF;
        if (img_hdr->chip_id != chip->id
                || chip->revision < img_hdr->min_chip_rev_full
                || (has_max && chip->revision > max)) {
            return ESP_ERR_INVALID_VERSION;
        }
    }
    if (!is_app || app_desc == NULL) {
        return ESP_OK;
    }
    uint8_t running = esp_app_get_description()->spi_flash_mode;
    bool differs = running != 0 && app_desc->spi_flash_mode != 0
                   && running != app_desc->spi_flash_mode;
    return differs ? ESP_ERR_OTA_SPI_MODE_MISMATCH : ESP_OK;
}

const esp_app_desc_t *esp_ota_get_app_description(void) {
    return esp_app_get_description();
}

int esp_app_get_elf_sha256(char *dst, size_t size) {
    const esp_app_desc_t *desc = esp_app_get_description();
    size_t count = 0;
    while (count < sizeof(desc->app_elf_sha256) && size >= 2 * count + 3) {
        snprintf(dst + 2 * count, 3, "%02x", desc->app_elf_sha256[count]);
        count++;
    }
    if (size > 0) {
        dst[2 * count] = '\0';
    }
    return size > 0 ? (int)(2 * count + 1) : 0;
}

int esp_ota_get_app_elf_sha256(char *dst, size_t size) {
    return esp_app_get_elf_sha256(dst, size);
}
