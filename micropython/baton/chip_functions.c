// What a firmware of one's own has of ESP-IDF that Python does not reach.
// SPDX-License-Identifier: MIT
#include <stddef.h>
#include <stdint.h>

#include "py/mphal.h"
#include "py/runtime.h"

#include "baton/error.h"
#include "baton/port.h"
#include "esp_partition.h"
#include "esp_system.h"
#include "esp_timer.h"
#include "functions.h"
#include "modesp32.h"

// Outlives a soft reset, as the deadline of a trial must.
static esp_timer_handle_t deadline;

static void restart(void *unused) {
    (void)unused;
    esp_restart();
}

// arm(ms): resets the chip then, whatever the interpreter does; 0: not.
static mp_obj_t arm(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    uint32_t ms = baton_binding_u32(args[0]);
    if (deadline == NULL) {
        const esp_timer_create_args_t timer = {
                .callback = restart, .name = "baton"};
        check_esp_err(esp_timer_create(&timer, &deadline));
    }
    (void)esp_timer_stop(deadline); // one that does not run is as good
    if (ms != 0) {
        check_esp_err(esp_timer_start_once(deadline, (uint64_t)ms * 1000u));
    }
    return MP_OBJ_NEW_SMALL_INT(0);
}
MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(baton_chip_arm_obj, 1, 1, arm);

// cause(): enum baton_cause, with a panic told from a reset by software.
static mp_obj_t read_cause(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    (void)args;
    enum baton_cause cause = BATON_CAUSE_UNKNOWN;
    switch (esp_reset_reason()) {
    case ESP_RST_POWERON:
    case ESP_RST_EXT:
    case ESP_RST_USB:
    case ESP_RST_JTAG:
        cause = BATON_CAUSE_POWER;
        break;
    case ESP_RST_BROWNOUT:
    case ESP_RST_PWR_GLITCH:
        cause = BATON_CAUSE_BROWNOUT;
        break;
    case ESP_RST_DEEPSLEEP:
        cause = BATON_CAUSE_WAKE;
        break;
    case ESP_RST_SW:
        cause = BATON_CAUSE_RESET;
        break;
    case ESP_RST_PANIC:
    case ESP_RST_CPU_LOCKUP:
        cause = BATON_CAUSE_CRASH;
        break;
    case ESP_RST_INT_WDT:
    case ESP_RST_TASK_WDT:
    case ESP_RST_WDT:
        cause = BATON_CAUSE_WATCHDOG;
        break;
    default:
        break;
    }
    return MP_OBJ_NEW_SMALL_INT(cause);
}
MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(baton_chip_cause_obj, 0, 0, read_cause);

static const esp_partition_t *find_partition(uint32_t addr, uint32_t len) {
    const esp_partition_t *found = NULL;
    esp_partition_iterator_t i = esp_partition_find(
            ESP_PARTITION_TYPE_ANY, ESP_PARTITION_SUBTYPE_ANY, NULL);
    for (; i != NULL && found == NULL; i = esp_partition_next(i)) {
        const esp_partition_t *it = esp_partition_get(i);
        if (addr >= it->address && addr - it->address <= it->size
                && len <= it->size - (addr - it->address)) {
            found = it;
        }
    }
    esp_partition_iterator_release(i);
    return found;
}

// erase(addr, len): within one partition, by the largest commands that fit.
static mp_obj_t erase(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    uint32_t addr = baton_binding_u32(args[0]);
    uint32_t len = baton_binding_u32(args[1]);
    const esp_partition_t *partition = find_partition(addr, len);
    if (partition == NULL) {
        baton_binding_check(BATON_ERR_RANGE);
    }
    check_esp_err(esp_partition_erase_range(
            partition, addr - partition->address, len));
    return mp_const_none;
}
MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(baton_chip_erase_obj, 2, 2, erase);
