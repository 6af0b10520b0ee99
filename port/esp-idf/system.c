// Clock, chance and reset.
// SPDX-License-Identifier: MIT
#include "baton-esp-idf/port.h"

#include <time.h>

#include "baton/error.h"
#include "esp_random.h"
#include "esp_system.h"
#include "esp_timer.h"

// 2024-01-01: a clock that stands before it was never set.
#define CLOCK_FLOOR_S 1704067200

static uint64_t ticks_ms(void *context) {
    (void)context;
    return (uint64_t)esp_timer_get_time() / 1000u;
}

// SNTP or a person set it; the time is kept over a reset, and then it may have
// drifted, but not back.
static enum baton_clock_trust read_clock(void *context, uint64_t *unix_s) {
    (void)context;
    time_t now = time(NULL);
    *unix_s = now > 0 ? (uint64_t)now : 0;
    return now < CLOCK_FLOOR_S ? BATON_CLOCK_NONE : BATON_CLOCK_SET;
}

static void fill_random(void *context, void *buf, size_t len) {
    (void)context;
    esp_fill_random(buf, len);
}

static enum baton_cause read_cause(void *context) {
    (void)context;
    switch (esp_reset_reason()) {
    case ESP_RST_POWERON:
    case ESP_RST_EXT:
    case ESP_RST_USB:
    case ESP_RST_JTAG:
        return BATON_CAUSE_POWER;
    case ESP_RST_BROWNOUT:
    case ESP_RST_PWR_GLITCH:
        return BATON_CAUSE_BROWNOUT;
    case ESP_RST_DEEPSLEEP:
        return BATON_CAUSE_WAKE;
    case ESP_RST_SW:
        return BATON_CAUSE_RESET;
    case ESP_RST_PANIC:
    case ESP_RST_CPU_LOCKUP:
        return BATON_CAUSE_CRASH;
    case ESP_RST_INT_WDT:
    case ESP_RST_TASK_WDT:
    case ESP_RST_WDT:
        return BATON_CAUSE_WATCHDOG;
    default:
        return BATON_CAUSE_UNKNOWN;
    }
}

static void reboot(void *context) {
    (void)context;
    esp_restart();
}

static void deadline_is_over(void *context) {
    (void)context;
    esp_restart();
}

// The timer's task runs above the application's: a loop that never ends does
// not keep it from firing. With interrupts off only a watchdog does.
static int arm(void *context, uint32_t ms) {
    struct baton_esp_idf *self = context;
    if (self->timer == NULL) {
        const esp_timer_create_args_t args = {
                .callback = deadline_is_over, .name = "baton"};
        esp_timer_handle_t timer;
        if (esp_timer_create(&args, &timer) != ESP_OK) {
            return BATON_ERR_IO;
        }
        self->timer = timer;
    }
    (void)esp_timer_stop(self->timer); // one that does not run is as good
    if (ms == 0) {
        return 0;
    }
    esp_err_t err = esp_timer_start_once(self->timer, (uint64_t)ms * 1000u);
    return err == ESP_OK ? 0 : BATON_ERR_IO;
}

void baton_esp_idf_system(struct baton_esp_idf *self) {
    self->clock = (struct baton_clock){self, ticks_ms, read_clock};
    self->random = (struct baton_random){self, fill_random};
    self->reset = (struct baton_reset){self, read_cause, reboot, arm};
}
