// Where things are on this chip, and all seams together.
// SPDX-License-Identifier: MIT
#include "baton-esp-idf/port.h"

#include <string.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "esp_efuse.h"
#include "esp_mac.h"
#include "esp_ota_ops.h"
#include "hal/efuse_hal.h"
#include "sdkconfig.h"

static int find_slots(struct baton_esp_idf *self) {
    struct baton_agent_config *config = &self->config;
    const esp_partition_t *running = esp_ota_get_running_partition();
    config->running = BATON_BOOT_FACTORY;
    config->place.addr = running->address;
    config->place.size_bytes = running->size;
    uint32_t count = 0;
    while (count < BATON_SLOTS_MAX) {
        const esp_partition_t *slot = esp_partition_find_first(
                ESP_PARTITION_TYPE_APP, ESP_PARTITION_SUBTYPE_OTA(count), NULL);
        if (slot == NULL) {
            break;
        }
        if (slot->address == running->address) {
            config->running = (int)count;
        }
        self->slots[count].addr = slot->address;
        self->slots[count].size_bytes = slot->size;
        count++;
    }
    config->slots = self->slots;
    config->slot_count = count;
    return count != 0 ? 0 : BATON_ERR_SLOT;
}

static int find_records(struct baton_esp_idf *self) {
    const esp_partition_t *otadata = esp_partition_find_first(
            ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_OTA, NULL);
    if (otadata == NULL) {
        return BATON_ERR_NO_OTADATA;
    }
    self->config.otadata_addr = otadata->address;
    return 0;
}

// The chip as the running image's header names it: that one booted.
static int find_chip(struct baton_esp_idf *self) {
    uint8_t header[BATON_IMAGE_HEADER_BYTES];
    int err = self->flash.read(
            self, self->config.place.addr, header, sizeof(header));
    if (err != 0) {
        return err;
    }
    struct baton_image_info info;
    err = baton_image_decode(header, sizeof(header), &info);
    self->chip.id = err == 0 ? info.header.chip_id : BATON_CHIP_ANY;
    self->chip.revision = (uint16_t)efuse_hal_chip_revision();
    self->chip.block_revision = (uint16_t)efuse_hal_blk_version();
    self->chip.ignore_max_revision =
            efuse_hal_get_disable_wafer_version_major();
    self->chip.ignore_max_block_revision =
            efuse_hal_get_disable_blk_version_major();
    self->chip.secure_version = esp_efuse_read_secure_version();
    return err;
}

static void fill_config(struct baton_esp_idf *self) {
    struct baton_agent_config *config = &self->config;
    config->flash = &self->flash;
    config->crypto = baton_crypto_psa();
    config->chip = &self->chip;
    config->transport = &self->transport;
    config->store = &self->store;
    config->clock = &self->clock;
    config->random = &self->random;
    config->reset = &self->reset;
    config->device_id = self->mac;
    config->device_id_len = sizeof(self->mac);
#if CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE
    config->bootloader = BATON_BOOTLOADER_ROLLBACK;
#endif
#ifdef CONFIG_BATON_TRIAL_SECONDS
    config->trial_ms = CONFIG_BATON_TRIAL_SECONDS * 1000u;
#endif
    config->work = self->options.work;
    config->work_len = self->options.work_len;
    config->codec = self->options.codec;
    config->codec_len = self->options.codec_len;
}

int baton_esp_idf_begin(struct baton_esp_idf *self,
        const struct baton_esp_idf_options *options) {
    memset(self, 0, sizeof(*self));
    self->options = *options;
    if (options->work == NULL || options->work_len < BATON_ESP_IDF_WORK_BYTES) {
        return BATON_ERR_ARG;
    }
    baton_http_limits_complete(&self->options.limits);
    baton_esp_idf_flash(self);
    baton_esp_idf_store(self);
    baton_esp_idf_system(self);
    baton_esp_idf_transport(self);
    fill_config(self);
    if (self->config.crypto == NULL) {
        return BATON_ERR_CRYPTO;
    }
    if (esp_efuse_mac_get_default(self->mac) != ESP_OK) {
        return BATON_ERR_IO;
    }
    int err = find_records(self);
    err = err != 0 ? err : find_slots(self);
    return err != 0 ? err : find_chip(self);
}

void baton_esp_idf_end(struct baton_esp_idf *self) {
    self->transport.close(self->transport.context);
}
