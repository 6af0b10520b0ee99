// ESP-IDF's one-shot timers over the board's alarms.
// SPDX-License-Identifier: MIT
#include "esp_timer.h"

#include <stdlib.h>

#include "firmware.h"

struct esp_timer {
    struct baton_alarm alarm;
    esp_timer_create_args_t args;
    bool is_running;
};

static void ring(struct baton_alarm *alarm) {
    struct esp_timer *self =
            (struct esp_timer *)((char *)alarm
                                 - offsetof(struct esp_timer, alarm));
    self->is_running = false;
    self->args.callback(self->args.arg);
}

esp_err_t esp_timer_create(
        const esp_timer_create_args_t *args, esp_timer_handle_t *out) {
    if (args == NULL || args->callback == NULL || out == NULL) {
        return ESP_ERR_INVALID_ARG;
    }
    *out = calloc(1, sizeof(**out));
    if (*out == NULL) {
        return ESP_ERR_NO_MEM;
    }
    (*out)->args = *args;
    (*out)->alarm.ring = ring;
    return ESP_OK;
}

esp_err_t esp_timer_start_once(esp_timer_handle_t timer, uint64_t timeout_us) {
    if (timer == NULL) {
        return ESP_ERR_INVALID_ARG;
    }
    if (timer->is_running) {
        return ESP_ERR_INVALID_STATE;
    }
    timer->is_running = true;
    baton_alarm_set(&timer->alarm, timeout_us, 0);
    return ESP_OK;
}

esp_err_t esp_timer_stop(esp_timer_handle_t timer) {
    if (timer == NULL) {
        return ESP_ERR_INVALID_ARG;
    }
    if (!timer->is_running) {
        return ESP_ERR_INVALID_STATE;
    }
    baton_alarm_clear(&timer->alarm);
    timer->is_running = false;
    return ESP_OK;
}
