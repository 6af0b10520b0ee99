// The update code of an ESP-IDF application, as it would run on the chip.
// SPDX-License-Identifier: MIT
//
// Nothing in here knows of a PC: the same file is a source of the firmware and
// of test_app_update.c.
#include "app_update.h"

#include <stdlib.h>
#include <string.h>

#include "esp_app_format.h"
#include "esp_log.h"
#include "esp_ota_ops.h"
#include "nvs.h"
#include "nvs_flash.h"

static const char *TAG = "update";

#define BUFFER_BYTES 1024

static esp_err_t count_update(void) {
    nvs_handle_t nvs;
    esp_err_t err = nvs_open("update", NVS_READWRITE, &nvs);
    if (err != ESP_OK) {
        return err;
    }
    uint32_t count = 0;
    err = nvs_get_u32(nvs, "count", &count);
    if (err == ESP_OK || err == ESP_ERR_NVS_NOT_FOUND) {
        err = nvs_set_u32(nvs, "count", count + 1);
    }
    if (err == ESP_OK) {
        err = nvs_commit(nvs);
    }
    nvs_close(nvs);
    return err;
}

uint32_t app_update_count(void) {
    nvs_handle_t nvs;
    uint32_t count = 0;
    if (nvs_open("update", NVS_READONLY, &nvs) == ESP_OK) {
        nvs_get_u32(nvs, "count", &count);
        nvs_close(nvs);
    }
    return count;
}

void app_start(bool (*works)(void)) {
    esp_err_t err = nvs_flash_init();
    if (err == ESP_ERR_NVS_NO_FREE_PAGES
            || err == ESP_ERR_NVS_NEW_VERSION_FOUND) {
        ESP_ERROR_CHECK(nvs_flash_erase());
        err = nvs_flash_init();
    }
    ESP_ERROR_CHECK(err);

    const esp_partition_t *running = esp_ota_get_running_partition();
    esp_ota_img_states_t state;
    if (esp_ota_get_state_partition(running, &state) != ESP_OK
            || state != ESP_OTA_IMG_PENDING_VERIFY) {
        return;
    }
    if (works()) {
        ESP_LOGI(TAG, "%s works, staying", running->label);
        ESP_ERROR_CHECK(esp_ota_mark_app_valid_cancel_rollback());
    } else {
        ESP_LOGE(TAG, "%s does not work, going back", running->label);
        esp_ota_mark_app_invalid_rollback_and_reboot();
    }
}

static bool is_refused(const esp_app_desc_t *offered) {
    const esp_app_desc_t *mine = esp_app_get_description();
    if (memcmp(offered->version, mine->version, sizeof(mine->version)) == 0) {
        ESP_LOGW(TAG, "version %.32s is running already", offered->version);
        return true;
    }
    const esp_partition_t *invalid = esp_ota_get_last_invalid_partition();
    esp_app_desc_t failed;
    if (invalid != NULL
            && esp_ota_get_partition_description(invalid, &failed) == ESP_OK
            && memcmp(offered->version, failed.version, sizeof(failed.version))
                       == 0) {
        ESP_LOGW(TAG, "version %.32s has failed before", offered->version);
        return true;
    }
    return false;
}

static esp_err_t write_image(esp_ota_handle_t ota, app_read_t read, void *from,
        char *buffer, size_t len) {
    while (len > 0) {
        esp_err_t err = esp_ota_write(ota, buffer, len);
        if (err != ESP_OK) {
            return err;
        }
        len = read(from, buffer, BUFFER_BYTES);
    }
    return ESP_OK;
}

static esp_err_t update_from(app_read_t read, void *from, char *buffer) {
    size_t len = read(from, buffer, BUFFER_BYTES);
    const size_t desc_off =
            sizeof(esp_image_header_t) + sizeof(esp_image_segment_header_t);
    if (len < desc_off + sizeof(esp_app_desc_t)) {
        return ESP_ERR_INVALID_SIZE;
    }
    esp_app_desc_t offered;
    memcpy(&offered, buffer + desc_off, sizeof(offered));
    if (is_refused(&offered)) {
        return ESP_ERR_INVALID_VERSION;
    }
    const esp_partition_t *next = esp_ota_get_next_update_partition(NULL);
    if (next == NULL) {
        return ESP_ERR_NOT_FOUND;
    }
    ESP_LOGI(TAG, "writing %.32s to %s at 0x%x", offered.version, next->label,
            (unsigned)next->address);
    esp_ota_handle_t ota;
    esp_err_t err = esp_ota_begin(next, OTA_WITH_SEQUENTIAL_WRITES, &ota);
    if (err != ESP_OK) {
        return err;
    }
    err = write_image(ota, read, from, buffer, len);
    if (err != ESP_OK) {
        esp_ota_abort(ota);
        return err;
    }
    err = esp_ota_end(ota);
    return err != ESP_OK ? err : esp_ota_set_boot_partition(next);
}

esp_err_t app_update(app_read_t read, void *from) {
    char *buffer = malloc(BUFFER_BYTES);
    if (buffer == NULL) {
        return ESP_ERR_NO_MEM;
    }
    esp_err_t err = update_from(read, from, buffer);
    free(buffer);
    if (err == ESP_OK) {
        err = count_update();
    }
    if (err != ESP_OK) {
        ESP_LOGE(TAG, "no update: %s", esp_err_to_name(err));
    }
    return err;
}
