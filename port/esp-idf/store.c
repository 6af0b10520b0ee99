// The agent's few values, in NVS.
// SPDX-License-Identifier: MIT
#include "baton-esp-idf/port.h"

#include "baton/error.h"
#include "nvs.h"

#define NAMESPACE "baton"

static int error_of(esp_err_t err) {
    switch (err) {
    case ESP_OK:
        return 0;
    case ESP_ERR_NVS_NOT_FOUND:
        return BATON_ERR_NOENT;
    case ESP_ERR_NVS_INVALID_LENGTH:
    case ESP_ERR_NVS_NOT_ENOUGH_SPACE:
        return BATON_ERR_NOSPC;
    default:
        return BATON_ERR_IO;
    }
}

// The namespace is made when the first value is. A handle for reading alone is
// given back at once, so that one for writing can follow.
static int get_value(void *context, const char *key, void *buf, size_t *len) {
    (void)context;
    nvs_handle_t nvs;
    int err = error_of(nvs_open(NAMESPACE, NVS_READONLY, &nvs));
    if (err != 0) {
        return err;
    }
    err = error_of(nvs_get_blob(nvs, key, buf, len));
    if (err == BATON_ERR_NOSPC) {
        (void)nvs_get_blob(nvs, key, NULL, len); // how long it is
    }
    nvs_close(nvs);
    return err;
}

static int set_value(
        void *context, const char *key, const void *data, size_t len) {
    (void)context;
    nvs_handle_t nvs;
    int err = error_of(nvs_open(NAMESPACE, NVS_READWRITE, &nvs));
    if (err != 0) {
        return err;
    }
    err = error_of(nvs_set_blob(nvs, key, data, len));
    err = err != 0 ? err : error_of(nvs_commit(nvs));
    nvs_close(nvs);
    return err;
}

static int remove_value(void *context, const char *key) {
    (void)context;
    nvs_handle_t nvs;
    int err = error_of(nvs_open(NAMESPACE, NVS_READWRITE, &nvs));
    if (err != 0) {
        return err;
    }
    err = error_of(nvs_erase_key(nvs, key));
    err = err != 0 ? err : error_of(nvs_commit(nvs));
    nvs_close(nvs);
    return err == BATON_ERR_NOENT ? 0 : err;
}

void baton_esp_idf_store(struct baton_esp_idf *self) {
    self->store =
            (struct baton_store){self, get_value, set_value, remove_value};
}
