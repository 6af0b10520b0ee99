// An ESP-IDF application that keeps itself up to date: one task.
// SPDX-License-Identifier: MIT
#include "baton-esp-idf/port.h"
#include "baton/error.h"
#include "esp_event.h"
#include "esp_log.h"
#include "esp_netif.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "nvs_flash.h"
#include "protocol_examples_common.h"
#include "sdkconfig.h"

#define CHANNEL  "https://example.org/lamp/stable.jws"
#define CHECK_MS 3600000u
#define STACK    8192
#define CODEC_SIZE                                                             \
    (sizeof(struct baton_agent_codec) + BATON_CODEC_STATE_S_BYTES)

static const char *TAG = "update";

// The root key: `baton key show root.pem` prints it.
static const char root_key[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                               ".AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

static struct baton_esp_idf port;
static struct baton_agent agent;
static uint8_t work[BATON_ESP_IDF_WORK_BYTES];
#if CONFIG_BATON_CODEC
static uint64_t codec[(CODEC_SIZE + 7) / 8];
#endif

static void say(void *context, const struct baton_agent_event *event) {
    (void)context;
    if (event->kind == BATON_AGENT_EVENT_STATE) {
        ESP_LOGI(TAG, "%s", baton_agent_state_name((int)event->value));
    } else if (event->err != 0) {
        ESP_LOGW(TAG, "%s", baton_strerror(event->err));
    }
}

static int install_root(void) {
    uint8_t key[BATON_P256_KEY_BYTES];
    struct baton_trust trust;
    int err = baton_trust_key_parse(root_key, key);
    err = err != 0 ? err : baton_trust_load(&trust, &port.store);
    return err != 0 ? err : baton_trust_set_root(&trust, &port.store, key);
}

static void sleep_ms(void *context, uint32_t ms) {
    (void)context;
    vTaskDelay(pdMS_TO_TICKS(ms));
}

static void update_task(void *unused) {
    (void)unused;
    const struct baton_agent_source source = {.url = CHANNEL};
    for (;;) {
        int err = baton_agent_check(&agent, &source);
        err = err != 0 ? err : baton_agent_run(&agent, sleep_ms, NULL);
        if (err != 0) {
            ESP_LOGW(TAG, "%s", baton_error_hint(err));
        }
        vTaskDelay(pdMS_TO_TICKS(CHECK_MS));
    }
}

void app_main(void) {
    const struct baton_esp_idf_options options = {
        .work = work,
        .work_len = sizeof(work),
#if CONFIG_BATON_CODEC
        .codec = codec,
        .codec_len = sizeof(codec),
#endif
    };
    ESP_ERROR_CHECK(nvs_flash_init());
    // First: a trial is counted and its deadline armed before anything fails.
    int err = baton_esp_idf_begin(&port, &options);
    port.config.product = "lamp";
    port.config.event = say;
    err = err != 0 ? err : baton_agent_begin(&agent, &port.config);
    err = err != 0 ? err : install_root();
    if (err != 0) {
        ESP_LOGE(TAG, "%s", baton_strerror(err));
        return;
    }
    ESP_ERROR_CHECK(esp_netif_init());
    ESP_ERROR_CHECK(esp_event_loop_create_default());
    ESP_ERROR_CHECK(example_connect());
    xTaskCreate(update_task, "update", STACK, NULL, 5, NULL);
}
