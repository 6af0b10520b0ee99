// The board under the interpreter: attaching it, its errors, its ends.
// SPDX-License-Identifier: MIT
#include "firmware.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "py/objstr.h"
#include "py/runtime.h"

#include "baton-posix/crypto.h"
#include "baton-posix/idf.h"
#include "baton/error.h"
#include "baton/image.h"
#include "baton/names.h"
#include "esp_app_desc.h"
#include "esp_flash.h"
#include "esp_ota_ops.h"
#include "esp_partition.h"
#include "esp_system.h"

// The chip's C library numbers these differently from Linux.
enum {
    CHIP_EADDRINUSE = 112,
    CHIP_ECONNABORTED = 113,
    CHIP_ENETUNREACH = 114,
    CHIP_ETIMEDOUT = 116,
    CHIP_EHOSTUNREACH = 118,
    CHIP_EINPROGRESS = 119,
    CHIP_EALREADY = 120,
    CHIP_EISCONN = 127,
    CHIP_ENOTCONN = 128,
};

struct baton_board baton_board;

void baton_firmware_exit(enum baton_board_exit status) {
    baton_console_restore();
    _exit((int)status);
}

void baton_firmware_reset(enum baton_reset_cause cause) {
    baton_board.state->reset_cause = cause;
    baton_firmware_exit(BATON_EXIT_RESET);
}

static void lose_power(void *context) {
    (void)context;
    baton_firmware_exit(BATON_EXIT_POWER_CUT);
}

static void restart(void *context) {
    (void)context;
    baton_firmware_reset(BATON_RESET_HARD);
}

// Where ESP-IDF gives up, the chip panics and starts again.
static void panic(void *context, const char *what) {
    (void)context;
    printf("\nabort: %s\nRebooting...\n", what);
    fflush(stdout);
    baton_firmware_reset(BATON_RESET_PANIC);
}

static int burn_secure_version(void *context, uint32_t version) {
    (void)context;
    baton_board.state->secure_version = version;
    baton_board_refresh(&baton_board);
    return 0;
}

// A table without a file system's partition gets one, as on the chip: from its
// end to the end of the flash.
static void add_file_system(void) {
    if (esp_partition_find_first(
                ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_ANY, "vfs")
                    != NULL
            || esp_partition_find_first(ESP_PARTITION_TYPE_DATA,
                       ESP_PARTITION_SUBTYPE_ANY, "ffat")
                       != NULL) {
        return;
    }
    uint32_t end = 0;
    esp_partition_iterator_t i = esp_partition_find(
            ESP_PARTITION_TYPE_ANY, ESP_PARTITION_SUBTYPE_ANY, NULL);
    for (; i != NULL; i = esp_partition_next(i)) {
        const esp_partition_t *partition = esp_partition_get(i);
        if (partition->address + partition->size > end) {
            end = partition->address + partition->size;
        }
    }
    uint32_t size = baton_board.state->flash_bytes;
    if (end > 0 && end < size) {
        esp_partition_register_external(esp_flash_default_chip, end, size - end,
                "vfs", ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_FAT,
                NULL);
    }
}

// A soft reset is none that the chip knows of; what came before it is
// forgotten here.
static esp_reset_reason_t reset_reason(uint32_t cause) {
    switch (cause) {
    case BATON_RESET_POWER_ON:
        return ESP_RST_POWERON;
    case BATON_RESET_HARD:
        return ESP_RST_SW;
    case BATON_RESET_WATCHDOG:
        return ESP_RST_TASK_WDT;
    case BATON_RESET_DEEP_SLEEP:
        return ESP_RST_DEEPSLEEP;
    case BATON_RESET_BROWNOUT:
        return ESP_RST_BROWNOUT;
    case BATON_RESET_PANIC:
        return ESP_RST_PANIC;
    default:
        return ESP_RST_UNKNOWN;
    }
}

static int attach(void) {
    int err = baton_board_attach(&baton_board);
    if (err) {
        return err;
    }
    const struct baton_board_state *state = baton_board.state;
    baton_board.nor.power_off = lose_power;
    const char *release = getenv(BATON_BOARD_RELEASE_ENV);
    struct baton_idf_config config = {
            .flash = &baton_board.nor.flash,
            .crypto = baton_crypto_psa(),
            .chip = &baton_board.chip,
            .running_addr = state->running_addr,
            .no_rollback = state->no_rollback,
            .anti_rollback = state->anti_rollback,
            .burn_secure_version = burn_secure_version,
            .release = release != NULL ? (enum baton_idf_release)atoi(release)
                                       : BATON_IDF_V5_5,
            .flash_encryption = getenv(BATON_BOARD_ENCRYPTED_ENV) != NULL,
            .restart = restart,
            .fatal = panic,
            .reset_reason = (int)reset_reason(state->reset_cause),
    };
    return baton_idf_attach(&config);
}

bool baton_firmware_begin(void) {
    int err = attach();
    if (err) {
        fprintf(stderr,
                "micropython: board: %s\n  next: start it by 'baton "
                "sim', which names the board in " BATON_BOARD_ENV "\n",
                baton_strerror(err));
        return false;
    }
    add_file_system();
    return true;
}

void baton_firmware_check(esp_err_t code) {
    int number = -code;
    switch (code) {
    case ESP_OK:
        return;
    case ESP_ERR_NO_MEM:
        number = ENOMEM;
        break;
    case ESP_ERR_TIMEOUT:
        number = CHIP_ETIMEDOUT;
        break;
    case ESP_ERR_NOT_SUPPORTED:
        number = EOPNOTSUPP;
        break;
    default:
        break;
    }
    // Where there is no memory for the name the number must do.
    mp_obj_str_t *name = m_new_obj_maybe(mp_obj_str_t);
    if (name == NULL) {
        mp_raise_OSError(number);
    }
    name->base.type = &mp_type_str;
    name->data = (const byte *)esp_err_to_name(code);
    name->len = strlen((const char *)name->data);
    name->hash = qstr_compute_hash(name->data, name->len);
    mp_obj_t args[] = {MP_OBJ_NEW_SMALL_INT(number), MP_OBJ_FROM_PTR(name)};
    nlr_raise(mp_obj_exception_make_new(&mp_type_OSError, 2, 0, args));
}

int32_t baton_firmware_int(mp_obj_t value) {
    mp_int_t word = mp_obj_get_int(value);
    if (word < INT32_MIN || word > INT32_MAX) {
        mp_raise_msg(&mp_type_OverflowError,
                MP_ERROR_TEXT("overflow converting long int to machine word"));
    }
    return (int32_t)word;
}

int baton_firmware_errno(int host_errno) {
    switch (host_errno) {
    case EADDRINUSE:
        return CHIP_EADDRINUSE;
    case ECONNABORTED:
        return CHIP_ECONNABORTED;
    case ENETUNREACH:
        return CHIP_ENETUNREACH;
    case ETIMEDOUT:
        return CHIP_ETIMEDOUT;
    case EHOSTUNREACH:
        return CHIP_EHOSTUNREACH;
    case EINPROGRESS:
        return CHIP_EINPROGRESS;
    case EALREADY:
        return CHIP_EALREADY;
    case EISCONN:
        return CHIP_EISCONN;
    case ENOTCONN:
        return CHIP_ENOTCONN;
    default:
        return host_errno;
    }
}

// Reads past the flash's own counters: naming an image is no work of the chip.
static void scan_running_image(struct baton_names *names) {
    const esp_partition_t *running = esp_ota_get_running_partition();
    baton_names_begin(names);
    if (running != NULL) {
        baton_names_push(names, baton_board.flash_bytes + running->address,
                running->size);
    }
    baton_names_finish(names);
}

// As an ESP32's image says it; otherwise as a stock one for this chip would.
static void name_machine(
        const struct baton_names *names, char *out, size_t capacity) {
    if (strncmp(names->chip, "ESP32", 5) == 0) {
        snprintf(out, capacity, "%s with %s", names->board, names->chip);
        return;
    }
    char chip[BATON_NAMES_CHIP_BYTES] = "ESP32";
    const char *name = baton_chip_name(baton_board.state->chip_id);
    for (size_t i = 0; name != NULL && name[i] && i + 1 < sizeof(chip); i++) {
        chip[i] = (char)unichar_toupper((unichar)name[i]);
        chip[i + 1] = '\0';
    }
    snprintf(out, capacity, "Generic %s module with %s", chip, chip);
}

// A descriptor's "Sep 11 2025" as "2025-09-11"; left alone in another form.
static void name_date(const char *raw, char out[BATON_NAMES_DATE_BYTES]) {
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char month[4];
    unsigned day, year;
    char text[sizeof(((esp_app_desc_t *)0)->date) + 1] = {0};
    memcpy(text, raw, sizeof(text) - 1);
    const char *at = NULL;
    if (sscanf(text, "%3s %2u %4u", month, &day, &year) == 3) {
        at = strstr(months, month);
    }
    if (at != NULL && day < 32 && year < 10000) {
        snprintf(out, BATON_NAMES_DATE_BYTES, "%04u-%02u-%02u", year % 10000,
                (unsigned)(at - months) / 3 % 12 + 1, day % 32);
    } else {
        snprintf(out, BATON_NAMES_DATE_BYTES, "%.10s", text);
    }
}

void baton_firmware_name(struct baton_firmware_name *out) {
    struct baton_names names;
    scan_running_image(&names);
    const esp_app_desc_t *app = esp_app_get_description();
    if (names.version[0] == '\0') {
        memcpy(names.version, app->version, sizeof(app->version));
    }
    if (names.date[0] == '\0') {
        name_date(app->date, names.date);
    }
    const char *version = names.version;
    snprintf(out->release, sizeof(out->release), "%s",
            version + (version[0] == 'v'));
    snprintf(out->version, sizeof(out->version), "%s%s%s", version,
            *version != '\0' && names.date[0] != '\0' ? " on " : "",
            names.date);
    name_machine(&names, out->machine, sizeof(out->machine));
}
