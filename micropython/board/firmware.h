// What the virtual ESP32's modules share: the board, its errors, its ends.
// SPDX-License-Identifier: MIT
#ifndef BATON_BOARD_FIRMWARE_H
#define BATON_BOARD_FIRMWARE_H

#include <stdbool.h>
#include <stdint.h>

#include "py/obj.h"

#include "baton-posix/board.h"
#include "esp_err.h"

#define BATON_NORETURN __attribute__((noreturn))

// The board this firmware runs on.
extern struct baton_board baton_board;

// Attaches the board that the environment names, and ESP-IDF's functions to
// it, as a boot of the chip does. Prints why where that fails.
bool baton_firmware_begin(void);

// The end of this boot; the supervisor goes on from there. Callable from any
// thread. Nothing is flushed: the chip does not do that either.
BATON_NORETURN void baton_firmware_exit(enum baton_board_exit status);
BATON_NORETURN void baton_firmware_reset(enum baton_reset_cause cause);

// Raises OSError(-code, "ESP_ERR_...") unless the code is ESP_OK.
void baton_firmware_check(esp_err_t code);

// An int as the chip's 32-bit interpreter takes it: OverflowError beyond.
int32_t baton_firmware_int(mp_obj_t value);

// A host errno as the chip's C library numbers it.
int baton_firmware_errno(int host_errno);

// What os.uname() tells of the image in the running partition: "v1.26.1",
// "v1.26.1 on 2025-09-11", "Generic ESP32 module with ESP32".
struct baton_firmware_name {
    char release[48];
    char version[80];
    char machine[128];
};
void baton_firmware_name(struct baton_firmware_name *out);

// Makes the module sys tell the same; before any script runs.
void baton_sys_begin(void);
// "MicroPython v1.26.1 on 2025-09-11", once that is done.
const char *baton_sys_banner(void);

// The console: raw while the REPL reads, back to normal at the end.
void baton_console_begin(void);
void baton_console_repl(bool on);
void baton_console_restore(void);
// True once a REPL cannot read any more.
bool baton_console_is_at_end(void);

// A thread rings alarms when their time has come; on the chip, a timer does.
struct baton_alarm {
    struct baton_alarm *next;
    uint64_t at_us;
    uint64_t period_us; // 0: once
    // Called on the alarms' own thread; must not set or clear an alarm.
    void (*ring)(struct baton_alarm *alarm);
};
void baton_alarm_set(
        struct baton_alarm *alarm, uint64_t after_us, uint64_t period_us);
void baton_alarm_clear(struct baton_alarm *alarm);
uint64_t baton_clock_us(void); // since the process began

// True while alarms or threads could still do something.
bool baton_work_is_pending(void);

// Seconds to add to this machine's clock, and the time of the chip's clock.
extern int64_t baton_clock_offset_s;
void baton_clock_now(int64_t *seconds, int32_t *micros); // since 2000

// Goes on with a watchdog that was started before a soft reset.
void baton_wdt_begin(void);

// Whether the board is in a network, for sockets.
bool baton_network_is_up(void);

extern const mp_obj_type_t baton_esp32_nvs_type;
extern const mp_obj_type_t baton_files_type;
extern const mp_obj_type_t baton_machine_pin_type;
extern const mp_obj_type_t baton_machine_rtc_type;
extern const mp_obj_type_t baton_machine_timer_type;
extern const mp_obj_type_t baton_machine_wdt_type;

#endif
