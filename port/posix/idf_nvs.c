// ESP-IDF's non-volatile storage functions over Baton's.
// SPDX-License-Identifier: MIT
#include "baton-idf/nvs_flash.h"

#include <stdlib.h>
#include <string.h>

#include "baton-posix/nvs.h"
#include "idf_state.h"

struct open_namespace {
    nvs_handle_t handle;
    uint8_t ns;
    bool is_readonly;
    struct open_namespace *next;
};

static struct baton_nvs storage;
static struct open_namespace *open_namespaces;
static nvs_handle_t last_handle;

static bool is_mounted(void) {
    return storage.image != NULL;
}

void baton_idf_nvs_reset(void) {
    while (open_namespaces != NULL) {
        nvs_close(open_namespaces->handle);
    }
    baton_nvs_unmount(&storage);
    last_handle = 0;
}

static const esp_partition_t *find_nvs(void) {
    return esp_partition_find_first(ESP_PARTITION_TYPE_DATA,
            ESP_PARTITION_SUBTYPE_DATA_NVS, NVS_DEFAULT_PART_NAME);
}

esp_err_t nvs_flash_init(void) {
    if (is_mounted()) {
        return ESP_OK;
    }
    const esp_partition_t *nvs = find_nvs();
    if (nvs == NULL) {
        return ESP_ERR_NOT_FOUND;
    }
    return baton_nvs_mount(
            &storage, baton_idf_state.config.flash, nvs->address, nvs->size);
}

esp_err_t nvs_flash_deinit(void) {
    if (!is_mounted()) {
        return ESP_ERR_NVS_NOT_INITIALIZED;
    }
    baton_idf_nvs_reset();
    return ESP_OK;
}

esp_err_t nvs_flash_erase(void) {
    baton_idf_nvs_reset();
    const esp_partition_t *nvs = find_nvs();
    return nvs == NULL ? ESP_ERR_NOT_FOUND
                       : esp_partition_erase_range(nvs, 0, nvs->size);
}

esp_err_t nvs_open(const char *namespace_name, nvs_open_mode_t open_mode,
        nvs_handle_t *out_handle) {
    if (!is_mounted()) {
        return ESP_ERR_NVS_NOT_INITIALIZED;
    }
    struct open_namespace *entry = calloc(1, sizeof(*entry));
    if (entry == NULL) {
        return ESP_ERR_NO_MEM;
    }
    entry->is_readonly = open_mode == NVS_READONLY;
    int err = baton_nvs_open(
            &storage, namespace_name, !entry->is_readonly, &entry->ns);
    if (err != ESP_OK) {
        free(entry);
        return err;
    }
    entry->handle = ++last_handle;
    entry->next = open_namespaces;
    open_namespaces = entry;
    *out_handle = entry->handle;
    return ESP_OK;
}

void nvs_close(nvs_handle_t handle) {
    struct open_namespace **at = &open_namespaces;
    while (*at != NULL && (*at)->handle != handle) {
        at = &(*at)->next;
    }
    struct open_namespace *entry = *at;
    if (entry != NULL) {
        *at = entry->next;
        free(entry);
    }
}

static esp_err_t find_handle(nvs_handle_t handle, bool to_write, uint8_t *ns) {
    const struct open_namespace *entry = open_namespaces;
    while (entry != NULL && entry->handle != handle) {
        entry = entry->next;
    }
    if (entry == NULL) {
        return ESP_ERR_NVS_INVALID_HANDLE;
    }
    *ns = entry->ns;
    return to_write && entry->is_readonly ? ESP_ERR_NVS_READ_ONLY : ESP_OK;
}

esp_err_t nvs_commit(nvs_handle_t handle) {
    uint8_t ns;
    esp_err_t err = find_handle(handle, false, &ns);
    return err != ESP_OK ? err : baton_nvs_commit(&storage);
}

esp_err_t nvs_erase_key(nvs_handle_t handle, const char *key) {
    uint8_t ns;
    esp_err_t err = find_handle(handle, true, &ns);
    return err != ESP_OK ? err : baton_nvs_erase_key(&storage, ns, key);
}

esp_err_t nvs_erase_all(nvs_handle_t handle) {
    uint8_t ns;
    esp_err_t err = find_handle(handle, true, &ns);
    return err != ESP_OK ? err : baton_nvs_erase_all(&storage, ns);
}

static esp_err_t set_number(nvs_handle_t handle, enum baton_nvs_type type,
        const char *key, const void *value) {
    uint8_t ns;
    esp_err_t err = find_handle(handle, true, &ns);
    return err != ESP_OK ? err
                         : baton_nvs_set_number(&storage, ns, type, key, value);
}

static esp_err_t get_number(nvs_handle_t handle, enum baton_nvs_type type,
        const char *key, void *value) {
    uint8_t ns;
    esp_err_t err = find_handle(handle, false, &ns);
    return err != ESP_OK ? err
                         : baton_nvs_get_number(&storage, ns, type, key, value);
}

// NOLINTBEGIN(bugprone-macro-parentheses): a type takes no parentheses.
#define DEFINE_NUMBER(suffix, ctype, type)                                     \
    esp_err_t nvs_set_##suffix(                                                \
            nvs_handle_t handle, const char *key, ctype value) {               \
        return set_number(handle, type, key, &value);                          \
    }                                                                          \
    esp_err_t nvs_get_##suffix(                                                \
            nvs_handle_t handle, const char *key, ctype *out_value) {          \
        return get_number(handle, type, key, out_value);                       \
    }

DEFINE_NUMBER(i8, int8_t, BATON_NVS_I8)
DEFINE_NUMBER(u8, uint8_t, BATON_NVS_U8)
DEFINE_NUMBER(i16, int16_t, BATON_NVS_I16)
DEFINE_NUMBER(u16, uint16_t, BATON_NVS_U16)
DEFINE_NUMBER(i32, int32_t, BATON_NVS_I32)
DEFINE_NUMBER(u32, uint32_t, BATON_NVS_U32)
DEFINE_NUMBER(i64, int64_t, BATON_NVS_I64)
DEFINE_NUMBER(u64, uint64_t, BATON_NVS_U64)
// NOLINTEND(bugprone-macro-parentheses)

static esp_err_t set_bytes(nvs_handle_t handle, enum baton_nvs_type type,
        const char *key, const void *value, size_t len) {
    uint8_t ns;
    esp_err_t err = find_handle(handle, true, &ns);
    return err != ESP_OK
                   ? err
                   : baton_nvs_set_bytes(&storage, ns, type, key, value, len);
}

static esp_err_t get_bytes(nvs_handle_t handle, enum baton_nvs_type type,
        const char *key, void *value, size_t *len) {
    uint8_t ns;
    esp_err_t err = find_handle(handle, false, &ns);
    size_t unused = 0;
    if (err == ESP_OK) {
        err = baton_nvs_get_bytes(&storage, ns, type, key,
                len != NULL ? value : NULL, len != NULL ? len : &unused);
    }
    return err == ESP_OK && len == NULL ? ESP_ERR_NVS_INVALID_LENGTH : err;
}

esp_err_t nvs_set_str(nvs_handle_t handle, const char *key, const char *value) {
    return set_bytes(handle, BATON_NVS_STR, key, value, strlen(value) + 1);
}

esp_err_t nvs_set_blob(nvs_handle_t handle, const char *key, const void *value,
        size_t length) {
    return set_bytes(handle, BATON_NVS_BLOB, key, value, length);
}

esp_err_t nvs_get_str(
        nvs_handle_t handle, const char *key, char *out_value, size_t *length) {
    return get_bytes(handle, BATON_NVS_STR, key, out_value, length);
}

esp_err_t nvs_get_blob(
        nvs_handle_t handle, const char *key, void *out_value, size_t *length) {
    return get_bytes(handle, BATON_NVS_BLOB, key, out_value, length);
}
