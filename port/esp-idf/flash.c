// Flash over ESP-IDF's partitions.
// SPDX-License-Identifier: MIT
//
// The core's addresses are the chip's. Each call finds the partition that holds
// the range and goes through it, so that encryption is ESP-IDF's business.
#include "baton-esp-idf/port.h"

#include "baton/error.h"
#include "esp_flash.h"
#include "esp_partition.h"

static const esp_partition_t *find_in(
        esp_partition_type_t type, uint32_t addr, size_t len) {
    const esp_partition_t *found = NULL;
    esp_partition_iterator_t at =
            esp_partition_find(type, ESP_PARTITION_SUBTYPE_ANY, NULL);
    while (at != NULL && found == NULL) {
        const esp_partition_t *one = esp_partition_get(at);
        bool holds = addr >= one->address && addr - one->address <= one->size
                     && len <= one->size - (addr - one->address);
        found = holds ? one : NULL;
        at = esp_partition_next(at);
    }
    esp_partition_iterator_release(at);
    return found;
}

static const esp_partition_t *find(uint32_t addr, size_t len) {
    const esp_partition_t *found = find_in(ESP_PARTITION_TYPE_APP, addr, len);
    return found != NULL ? found : find_in(ESP_PARTITION_TYPE_DATA, addr, len);
}

static int error_of(esp_err_t err) {
    switch (err) {
    case ESP_OK:
        return 0;
    case ESP_ERR_INVALID_ARG:
        return BATON_ERR_ARG;
    case ESP_ERR_INVALID_SIZE:
        return BATON_ERR_RANGE;
    default:
        return BATON_ERR_IO;
    }
}

static int read_flash(void *context, uint32_t addr, void *buf, size_t len) {
    (void)context;
    const esp_partition_t *part = find(addr, len);
    return part == NULL ? BATON_ERR_RANGE
                        : error_of(esp_partition_read(
                                part, addr - part->address, buf, len));
}

static int program_flash(
        void *context, uint32_t addr, const void *buf, size_t len) {
    (void)context;
    const esp_partition_t *part = find(addr, len);
    return part == NULL ? BATON_ERR_RANGE
                        : error_of(esp_partition_write(
                                part, addr - part->address, buf, len));
}

static int erase_flash(void *context, uint32_t addr, size_t len) {
    (void)context;
    const esp_partition_t *part = find(addr, len);
    return part == NULL ? BATON_ERR_RANGE
                        : error_of(esp_partition_erase_range(
                                part, addr - part->address, len));
}

// The end of the highest partition: nothing of ours lies behind it.
static uint32_t find_end(void) {
    uint32_t end = 0;
    static const esp_partition_type_t types[] = {
            ESP_PARTITION_TYPE_APP, ESP_PARTITION_TYPE_DATA};
    for (size_t i = 0; i < 2; i++) {
        esp_partition_iterator_t at =
                esp_partition_find(types[i], ESP_PARTITION_SUBTYPE_ANY, NULL);
        for (; at != NULL; at = esp_partition_next(at)) {
            const esp_partition_t *part = esp_partition_get(at);
            uint32_t here = part->address + part->size;
            end = here > end ? here : end;
        }
        esp_partition_iterator_release(at);
    }
    return end;
}

void baton_esp_idf_flash(struct baton_esp_idf *self) {
    const esp_partition_t *slot = esp_partition_find_first(
            ESP_PARTITION_TYPE_APP, ESP_PARTITION_SUBTYPE_APP_OTA_0, NULL);
    bool is_encrypted = slot != NULL && slot->encrypted;
    self->flash = (struct baton_flash){
            .context = self,
            .read = read_flash,
            .program = program_flash,
            .erase = erase_flash,
            .size_bytes = find_end(),
            .sector_bytes = BATON_SECTOR_BYTES,
            .block_bytes = BATON_BLOCK_BYTES,
            .program_bytes = is_encrypted ? 16u : 1u,
    };
}
