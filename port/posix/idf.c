// The ESP-IDF layer's ground: the board attached, errors, restart, eFuse.
// SPDX-License-Identifier: MIT
#include "baton-posix/idf.h"

#include <stdio.h>
#include <stdlib.h>

#include "baton/error.h"
#include "baton/image.h"
#include "baton-idf/esp_efuse.h"
#include "baton-idf/esp_image_format.h"
#include "baton-idf/esp_ota_ops.h"
#include "baton-idf/esp_system.h"
#include "baton-idf/nvs.h"
#include "baton-posix/board.h"
#include "idf_state.h"

struct baton_idf_state baton_idf_state;

int baton_idf_attach(const struct baton_idf_config *config) {
    baton_idf_detach();
    bool no_burn = config->chip == NULL || config->no_rollback
                   || config->burn_secure_version == NULL;
    if (config->flash == NULL || config->crypto == NULL
            || (config->anti_rollback && no_burn)) {
        return BATON_ERR_ARG;
    }
    baton_idf_state.config = *config;
    if (config->release == 0) {
        baton_idf_state.config.release = BATON_IDF_V5_5;
    }
    if (config->table_addr == 0) {
        baton_idf_state.config.table_addr = ESP_PARTITION_TABLE_OFFSET;
    }
    baton_idf_state.bootloader_addr =
            baton_chip_bootloader_addr(baton_idf_chip_id());
    return 0;
}

void baton_idf_detach(void) {
    baton_idf_nvs_reset();
    baton_idf_ota_reset();
    baton_idf_boot_reset();
    baton_idf_partition_reset();
    baton_idf_state = (struct baton_idf_state){0};
}

uint16_t baton_idf_chip_id(void) {
    const struct baton_chip *chip = baton_idf_state.config.chip;
    return chip != NULL ? chip->id : BATON_CHIP_ANY;
}

void baton_idf_fatal(const char *what) {
    if (baton_idf_state.config.fatal != NULL) {
        baton_idf_state.config.fatal(baton_idf_state.config.context, what);
        return;
    }
    fprintf(stderr, "abort: %s\n", what);
    abort();
}

void esp_restart(void) {
    if (baton_idf_state.config.restart != NULL) {
        baton_idf_state.config.restart(baton_idf_state.config.context);
        return;
    }
    exit(BATON_EXIT_RESET);
}

esp_reset_reason_t esp_reset_reason(void) {
    return (esp_reset_reason_t)baton_idf_state.config.reset_reason;
}

struct error_name {
    esp_err_t code;
    const char *name;
};

#define NAME(code)                                                             \
    { code, #code }

static const struct error_name error_names[] = {
        NAME(ESP_OK),
        NAME(ESP_FAIL),
        NAME(ESP_ERR_NO_MEM),
        NAME(ESP_ERR_INVALID_ARG),
        NAME(ESP_ERR_INVALID_STATE),
        NAME(ESP_ERR_INVALID_SIZE),
        NAME(ESP_ERR_NOT_FOUND),
        NAME(ESP_ERR_NOT_SUPPORTED),
        NAME(ESP_ERR_TIMEOUT),
        NAME(ESP_ERR_INVALID_RESPONSE),
        NAME(ESP_ERR_INVALID_CRC),
        NAME(ESP_ERR_INVALID_VERSION),
        NAME(ESP_ERR_INVALID_MAC),
        NAME(ESP_ERR_NOT_FINISHED),
        NAME(ESP_ERR_NOT_ALLOWED),
        NAME(ESP_ERR_NVS_BASE),
        NAME(ESP_ERR_NVS_NOT_INITIALIZED),
        NAME(ESP_ERR_NVS_NOT_FOUND),
        NAME(ESP_ERR_NVS_TYPE_MISMATCH),
        NAME(ESP_ERR_NVS_READ_ONLY),
        NAME(ESP_ERR_NVS_NOT_ENOUGH_SPACE),
        NAME(ESP_ERR_NVS_INVALID_NAME),
        NAME(ESP_ERR_NVS_INVALID_HANDLE),
        NAME(ESP_ERR_NVS_REMOVE_FAILED),
        NAME(ESP_ERR_NVS_KEY_TOO_LONG),
        NAME(ESP_ERR_NVS_PAGE_FULL),
        NAME(ESP_ERR_NVS_INVALID_STATE),
        NAME(ESP_ERR_NVS_INVALID_LENGTH),
        NAME(ESP_ERR_NVS_NO_FREE_PAGES),
        NAME(ESP_ERR_NVS_VALUE_TOO_LONG),
        NAME(ESP_ERR_NVS_PART_NOT_FOUND),
        NAME(ESP_ERR_NVS_NEW_VERSION_FOUND),
        NAME(ESP_ERR_OTA_BASE),
        NAME(ESP_ERR_OTA_PARTITION_CONFLICT),
        NAME(ESP_ERR_OTA_SELECT_INFO_INVALID),
        NAME(ESP_ERR_OTA_VALIDATE_FAILED),
        NAME(ESP_ERR_OTA_SMALL_SEC_VER),
        NAME(ESP_ERR_OTA_ROLLBACK_FAILED),
        NAME(ESP_ERR_OTA_ROLLBACK_INVALID_STATE),
        NAME(ESP_ERR_OTA_ALREADY_IN_PROGRESS),
        NAME(ESP_ERR_OTA_SPI_MODE_MISMATCH),
        NAME(ESP_ERR_IMAGE_BASE),
        NAME(ESP_ERR_IMAGE_FLASH_FAIL),
        NAME(ESP_ERR_IMAGE_INVALID),
        NAME(ESP_ERR_WIFI_BASE),
        NAME(ESP_ERR_MESH_BASE),
        NAME(ESP_ERR_FLASH_BASE),
        NAME(ESP_ERR_FLASH_OP_FAIL),
        NAME(ESP_ERR_FLASH_OP_TIMEOUT),
        NAME(ESP_ERR_FLASH_NOT_INITIALISED),
        NAME(ESP_ERR_FLASH_UNSUPPORTED_HOST),
        NAME(ESP_ERR_FLASH_UNSUPPORTED_CHIP),
        NAME(ESP_ERR_FLASH_PROTECTED),
        NAME(ESP_ERR_HW_CRYPTO_BASE),
        NAME(ESP_ERR_MEMPROT_BASE),
};

static const char *find_name(esp_err_t code) {
    for (size_t i = 0; i < sizeof(error_names) / sizeof(error_names[0]); i++) {
        if (error_names[i].code == code) {
            return error_names[i].name;
        }
    }
    return NULL;
}

const char *esp_err_to_name(esp_err_t code) {
    const char *name = find_name(code);
    return name != NULL ? name : "UNKNOWN ERROR";
}

const char *esp_err_to_name_r(esp_err_t code, char *buf, size_t buflen) {
    const char *name = find_name(code);
    if (name != NULL) {
        snprintf(buf, buflen, "%s", name);
    } else {
        snprintf(buf, buflen, "Unknown error 0x%x(%d)", (unsigned)code, code);
    }
    return buf;
}

void _esp_error_check_failed_without_abort(esp_err_t rc, const char *file,
        int line, const char *function, const char *expression) {
    fprintf(stderr, "ESP_ERROR_CHECK failed: %s (0x%x) at %s:%d, %s: %s\n",
            esp_err_to_name(rc), (unsigned)rc, file, line, function,
            expression);
}

void _esp_error_check_failed(esp_err_t rc, const char *file, int line,
        const char *function, const char *expression) {
    _esp_error_check_failed_without_abort(rc, file, line, function, expression);
    baton_idf_fatal("ESP_ERROR_CHECK failed");
}

uint32_t esp_efuse_read_secure_version(void) {
    const struct baton_chip *chip = baton_idf_state.config.chip;
    return chip != NULL ? chip->secure_version : 0;
}

bool esp_efuse_check_secure_version(uint32_t secure_version) {
    return secure_version >= esp_efuse_read_secure_version();
}

// Bits of the eFuse field; the vendor's build can choose fewer.
static uint32_t secure_version_bits(void) {
    switch (baton_idf_chip_id()) {
    case ESP_CHIP_ID_ESP32:
        return 32;
    case ESP_CHIP_ID_ESP32C2:
        return 4;
    case ESP_CHIP_ID_ESP32C5:
        return 9;
    default:
        return 16;
    }
}

esp_err_t esp_efuse_update_secure_version(uint32_t secure_version) {
    if (secure_version > secure_version_bits()) {
        return ESP_ERR_INVALID_ARG;
    }
    uint32_t now = esp_efuse_read_secure_version();
    if (secure_version < now) {
        return ESP_FAIL;
    }
    if (secure_version == now) {
        return ESP_OK;
    }
    if (baton_idf_state.config.burn_secure_version == NULL) {
        return ESP_ERR_NOT_SUPPORTED;
    }
    int err = baton_idf_state.config.burn_secure_version(
            baton_idf_state.config.context, secure_version);
    return err == 0 ? ESP_OK : ESP_FAIL;
}
