// ESP-IDF's OTA handles: begin, write, end.
// SPDX-License-Identifier: MIT
#include "baton-idf/esp_ota_ops.h"

#include <stdlib.h>
#include <string.h>

#include "baton/image.h"
#include "idf_state.h"

#define CIPHER_BLOCK_BYTES 16u

struct ota {
    esp_ota_handle_t handle;
    const esp_partition_t *staging; // is written and verified
    const esp_partition_t *final;   // its type rules the checks
    bool copies_to_final;
    bool needs_erase; // sequential: sectors are erased as they are reached
    bool is_resumed;
    uint32_t wrote;
    uint8_t partial_len; // of a cipher block that waits for more
    uint8_t partial[CIPHER_BLOCK_BYTES];
    struct ota *next;
};

static struct ota *open_otas;
static esp_ota_handle_t last_handle;

unsigned baton_idf_abort_all(void) {
    unsigned count = 0;
    while (open_otas != NULL) {
        struct ota *next = open_otas->next;
        free(open_otas);
        open_otas = next;
        count++;
    }
    return count;
}

void baton_idf_ota_reset(void) {
    baton_idf_abort_all();
    last_handle = 0;
}

static struct ota *find_ota(esp_ota_handle_t handle) {
    struct ota *ota = open_otas;
    while (ota != NULL && ota->handle != handle) {
        ota = ota->next;
    }
    return ota;
}

static void close_ota(struct ota *ota) {
    struct ota **at = &open_otas;
    while (*at != ota) {
        at = &(*at)->next;
    }
    *at = ota->next;
    free(ota);
}

static bool is_claimed(const esp_partition_t *partition) {
    for (const struct ota *ota = open_otas; ota != NULL; ota = ota->next) {
        if (ota->staging == partition || ota->final == partition) {
            return true;
        }
    }
    return false;
}

static esp_err_t open_ota(const esp_partition_t *partition, struct ota **out) {
    if (baton_idf_state.config.release >= BATON_IDF_V6_1
            && is_claimed(partition)) {
        return ESP_ERR_OTA_ALREADY_IN_PROGRESS;
    }
    struct ota *ota = calloc(1, sizeof(*ota));
    if (ota == NULL) {
        return ESP_ERR_NO_MEM;
    }
    ota->handle = ++last_handle;
    ota->staging = partition;
    ota->final = partition;
    ota->next = open_otas;
    open_otas = ota;
    *out = ota;
    return ESP_OK;
}

// An update of the bootloader or the table: images at `staging` get a
// bootloader's checks, and the guard of those regions is lowered for good.
static void prepare_type(
        esp_partition_type_t type, const esp_partition_t *staging) {
    if (type == ESP_PARTITION_TYPE_BOOTLOADER) {
        baton_idf_state.bootloader_addr = staging->address;
    }
    if (type == ESP_PARTITION_TYPE_BOOTLOADER
            || type == ESP_PARTITION_TYPE_PARTITION_TABLE) {
        baton_idf_state.unprotected = true;
    }
}

static bool is_unconfirmed(const esp_partition_t *running) {
    esp_ota_img_states_t state;
    return !baton_idf_state.config.no_rollback
           && esp_ota_get_state_partition(running, &state) == ESP_OK
           && state == ESP_OTA_IMG_PENDING_VERIFY;
}

static esp_err_t check_target(const esp_partition_t *partition) {
    bool is_app = partition->type == ESP_PARTITION_TYPE_APP;
    if (!is_app && baton_idf_state.config.release >= BATON_IDF_V5_5) {
        return ESP_OK;
    }
    if (!baton_idf_is_ota_app(partition)) {
        return ESP_ERR_INVALID_ARG;
    }
    const esp_partition_t *running = esp_ota_get_running_partition();
    if (running == NULL) {
        return ESP_ERR_INVALID_STATE;
    }
    if (partition == running) {
        return ESP_ERR_OTA_PARTITION_CONFLICT;
    }
    return is_unconfirmed(running) ? ESP_ERR_OTA_ROLLBACK_INVALID_STATE
                                   : ESP_OK;
}

static esp_err_t erase_for(
        const esp_partition_t *partition, uint32_t image_size) {
    if (image_size == OTA_WITH_SEQUENTIAL_WRITES) {
        return ESP_OK;
    }
    uint32_t len = partition->size;
    if (image_size != 0 && image_size != OTA_SIZE_UNKNOWN) {
        // In 32 bits, as on the chip: the very largest sizes wrap to 0.
        len = (image_size + partition->erase_size - 1)
              & ~(partition->erase_size - 1);
    }
    return esp_partition_erase_range(partition, 0, len);
}

// Before v5.5 the handle came last, so a failed erase left none.
static esp_err_t begin_old(const esp_partition_t *partition,
        uint32_t image_size, esp_ota_handle_t *out_handle) {
    esp_err_t err = erase_for(partition, image_size);
    struct ota *ota;
    if (err == ESP_OK) {
        err = open_ota(partition, &ota);
    }
    if (err != ESP_OK) {
        return err;
    }
    ota->needs_erase = image_size == OTA_WITH_SEQUENTIAL_WRITES;
    *out_handle = ota->handle;
    return ESP_OK;
}

esp_err_t esp_ota_begin(const esp_partition_t *partition, size_t image_size,
        esp_ota_handle_t *out_handle) {
    uint32_t size = (uint32_t)image_size;
    if (partition == NULL || out_handle == NULL) {
        return ESP_ERR_INVALID_ARG;
    }
    partition = esp_partition_verify(partition);
    if (partition == NULL) {
        return ESP_ERR_NOT_FOUND;
    }
    esp_err_t err = check_target(partition);
    if (err != ESP_OK) {
        return err;
    }
    if (baton_idf_state.config.release < BATON_IDF_V5_5) {
        return begin_old(partition, size, out_handle);
    }
    struct ota *ota;
    err = open_ota(partition, &ota);
    if (err != ESP_OK) {
        return err;
    }
    ota->needs_erase = size == OTA_WITH_SEQUENTIAL_WRITES;
    *out_handle = ota->handle;
    prepare_type(partition->type, partition);
    err = erase_for(partition, size);
    if (err != ESP_OK) {
        return err; // the handle stays open
    }
    if (!baton_idf_state.config.no_rollback
            && baton_idf_is_ota_app(partition)) {
        (void)esp_ota_invalidate_inactive_ota_data_slot();
    }
    return ESP_OK;
}

esp_err_t esp_ota_resume(const esp_partition_t *partition, size_t erase_size,
        size_t image_offset, esp_ota_handle_t *out_handle) {
    enum baton_idf_release release = baton_idf_state.config.release;
    if (release < BATON_IDF_V5_5) {
        return ESP_ERR_NOT_SUPPORTED;
    }
    if (partition == NULL || out_handle == NULL
            || image_offset > partition->size) {
        return ESP_ERR_INVALID_ARG;
    }
    partition = esp_partition_verify(partition);
    if (partition == NULL) {
        return ESP_ERR_NOT_FOUND;
    }
    bool is_app = partition->type == ESP_PARTITION_TYPE_APP;
    if (is_app && !baton_idf_is_ota_app(partition)) {
        return ESP_ERR_INVALID_ARG;
    }
    const esp_partition_t *running = esp_ota_get_running_partition();
    if (running == NULL) {
        return ESP_ERR_INVALID_STATE;
    }
    if (partition == running) {
        return ESP_ERR_OTA_PARTITION_CONFLICT;
    }
    if (is_app && release >= BATON_IDF_MASTER && is_unconfirmed(running)) {
        return ESP_ERR_OTA_ROLLBACK_INVALID_STATE;
    }
    struct ota *ota;
    esp_err_t err = open_ota(partition, &ota);
    if (err != ESP_OK) {
        return err;
    }
    prepare_type(partition->type, partition);
    ota->is_resumed = true;
    ota->wrote = (uint32_t)image_offset;
    ota->needs_erase = (uint32_t)erase_size == OTA_WITH_SEQUENTIAL_WRITES;
    *out_handle = ota->handle;
    return ESP_OK;
}

esp_err_t esp_ota_set_final_partition(esp_ota_handle_t handle,
        const esp_partition_t *final, bool finalize_with_copy) {
    if (baton_idf_state.config.release < BATON_IDF_V5_5) {
        return ESP_ERR_NOT_SUPPORTED;
    }
    if (final == NULL) {
        return ESP_ERR_INVALID_ARG;
    }
    struct ota *ota = find_ota(handle);
    if (ota == NULL) {
        return ESP_ERR_NOT_FOUND;
    }
    if (!ota->is_resumed && ota->wrote != 0) {
        return ESP_ERR_INVALID_STATE;
    }
    if (final == ota->staging) {
        return ESP_OK;
    }
    final = esp_partition_verify(final);
    if (final == NULL) {
        return ESP_ERR_NOT_FOUND;
    }
    ota->final = final;
    ota->copies_to_final = finalize_with_copy;
    prepare_type(final->type, ota->staging);
    return ESP_OK;
}

// Erases the sectors that a write of `size` bytes reaches for the first time.
static esp_err_t erase_ahead(const struct ota *ota, uint32_t size) {
    uint32_t sector = ota->staging->erase_size;
    uint32_t first = ota->wrote / sector;
    uint32_t last = (ota->wrote + size - 1) / sector;
    if (ota->wrote % sector != 0) {
        first++;
        if (last < first) {
            return ESP_OK;
        }
    }
    return esp_partition_erase_range(
            ota->staging, first * sector, (last - first + 1) * sector);
}

static bool has_wrong_magic(
        const struct ota *ota, const uint8_t *data, size_t size) {
    switch (ota->final->type) {
    case ESP_PARTITION_TYPE_APP:
    case ESP_PARTITION_TYPE_BOOTLOADER:
        return data[0] != ESP_IMAGE_HEADER_MAGIC;
    case ESP_PARTITION_TYPE_PARTITION_TABLE:
        return size >= 2 && (data[0] | data[1] << 8) != ESP_PARTITION_MAGIC;
    default:
        return false;
    }
}

// On encrypted flash only whole cipher blocks are written: completes the one
// that waits, and keeps back what is over at the end.
static esp_err_t write_blocks(
        struct ota *ota, const uint8_t *data, uint32_t size) {
    if (ota->partial_len != 0) {
        uint32_t room = CIPHER_BLOCK_BYTES - ota->partial_len;
        uint32_t take = size < room ? size : room;
        memcpy(ota->partial + ota->partial_len, data, take);
        ota->partial_len = (uint8_t)(ota->partial_len + take);
        if (ota->partial_len != CIPHER_BLOCK_BYTES) {
            return ESP_OK;
        }
        esp_err_t err = esp_partition_write(
                ota->staging, ota->wrote, ota->partial, CIPHER_BLOCK_BYTES);
        if (err != ESP_OK) {
            return err;
        }
        // What fills up the last block: zeros until here, ones from here on.
        memset(ota->partial, 0xFF, CIPHER_BLOCK_BYTES);
        ota->partial_len = 0;
        ota->wrote += CIPHER_BLOCK_BYTES;
        data += take;
        size -= take;
    }
    uint32_t rest = size % CIPHER_BLOCK_BYTES;
    if (rest != 0) {
        size -= rest;
        ota->partial_len = (uint8_t)rest;
        memcpy(ota->partial, data + size, rest);
    }
    esp_err_t err = esp_partition_write(ota->staging, ota->wrote, data, size);
    if (err == ESP_OK) {
        ota->wrote += size;
    }
    return err;
}

esp_err_t esp_ota_write(
        esp_ota_handle_t handle, const void *data, size_t size) {
    if (data == NULL) {
        return ESP_ERR_INVALID_ARG;
    }
    if (size == 0) {
        return ESP_OK;
    }
    struct ota *ota = find_ota(handle);
    if (ota == NULL) {
        return ESP_ERR_INVALID_ARG;
    }
    if (ota->needs_erase) {
        esp_err_t err = erase_ahead(ota, (uint32_t)size);
        if (err != ESP_OK) {
            return err;
        }
    }
    if (ota->wrote == 0 && ota->partial_len == 0
            && has_wrong_magic(ota, data, size)) {
        return ESP_ERR_OTA_VALIDATE_FAILED;
    }
    if (esp_flash_encryption_enabled()) {
        return write_blocks(ota, data, (uint32_t)size);
    }
    esp_err_t err = esp_partition_write(ota->staging, ota->wrote, data, size);
    if (err == ESP_OK) {
        ota->wrote += (uint32_t)size;
    }
    return err;
}

esp_err_t esp_ota_write_with_offset(esp_ota_handle_t handle, const void *data,
        size_t size, uint32_t offset) {
    if (data == NULL) {
        return ESP_ERR_INVALID_ARG;
    }
    struct ota *ota = find_ota(handle);
    if (ota == NULL) {
        return ESP_ERR_INVALID_ARG;
    }
    if (ota->needs_erase) {
        baton_idf_fatal("esp_ota_write_with_offset: the handle was begun with "
                        "OTA_WITH_SEQUENTIAL_WRITES");
        return ESP_ERR_INVALID_STATE;
    }
    if (esp_flash_encryption_enabled() && size % CIPHER_BLOCK_BYTES != 0) {
        return ESP_ERR_INVALID_ARG;
    }
    esp_err_t err = esp_partition_write(ota->staging, offset, data, size);
    if (err == ESP_OK) {
        ota->wrote += (uint32_t)size;
    }
    return err;
}

static esp_err_t verify_table(const esp_partition_t *staging) {
    esp_partition_info_t rows[ESP_PARTITION_TABLE_MAX_ENTRIES];
    esp_err_t err = esp_partition_read(staging, 0, rows, sizeof(rows));
    if (err != ESP_OK) {
        return err;
    }
    int count;
    return esp_partition_table_verify(rows, true, &count) == ESP_OK
                   ? ESP_OK
                   : ESP_ERR_OTA_VALIDATE_FAILED;
}

static esp_err_t verify_staging(const struct ota *ota) {
    switch (ota->final->type) {
    case ESP_PARTITION_TYPE_APP:
    case ESP_PARTITION_TYPE_BOOTLOADER:
        return baton_idf_image_validate(
                ota->staging->address, ota->staging->size);
    case ESP_PARTITION_TYPE_PARTITION_TABLE:
        return verify_table(ota->staging);
    default:
        return ESP_OK;
    }
}

static esp_err_t finish(struct ota *ota) {
    if (ota->wrote == 0) {
        return ESP_ERR_INVALID_ARG;
    }
    if (ota->partial_len > 0
            && esp_partition_write(ota->staging, ota->wrote, ota->partial,
                       CIPHER_BLOCK_BYTES)
                       != ESP_OK) {
        return ESP_ERR_INVALID_STATE;
    }
    esp_err_t err = verify_staging(ota);
    if (err != ESP_OK || !ota->copies_to_final) {
        return err;
    }
    return esp_partition_copy(ota->final, 0, ota->staging, 0, ota->final->size);
}

esp_err_t esp_ota_end(esp_ota_handle_t handle) {
    struct ota *ota = find_ota(handle);
    if (ota == NULL) {
        return ESP_ERR_NOT_FOUND;
    }
    esp_err_t err = finish(ota);
    if (ota->final->type == ESP_PARTITION_TYPE_BOOTLOADER) {
        baton_idf_state.bootloader_addr =
                baton_chip_bootloader_addr(baton_idf_chip_id());
    }
    close_ota(ota);
    return err;
}

esp_err_t esp_ota_abort(esp_ota_handle_t handle) {
    struct ota *ota = find_ota(handle);
    if (ota == NULL) {
        return ESP_ERR_NOT_FOUND;
    }
    close_ota(ota);
    return ESP_OK;
}
