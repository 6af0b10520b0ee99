// Runs calls of ESP-IDF's functions described on standard input, one line each,
// for an independent model to compare with.
// SPDX-License-Identifier: MIT
//
// board RUNNING RELEASE PROTECT NO_ROLLBACK ANTI ENCRYPTED BLIND SECURE_VERSION
//             a blank flash, with what the configuration says
// load ADDR HEX        bytes onto it
// attach
// anything else is a call: its ESP-IDF name without "esp_" and its arguments.
//   A partition is "-" (NULL), "#N" (row N of the table) or a structure of the
//   caller's own: TYPE,SUBTYPE,ADDR,SIZE,ENCRYPTED,READONLY,LABEL
// An attach or a call is answered by one line: what came back, "|", and the
// erases and programs that followed from it, adjacent ones as one.
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton-idf/esp_efuse.h"
#include "baton-idf/esp_flash.h"
#include "baton-idf/esp_ota_ops.h"
#include "baton-posix/crypto.h"
#include "baton-posix/idf.h"
#include "baton-posix/nor.h"

#define FLASH_BYTES 0x40000u
#define LINE_BYTES  0x60000u

static uint8_t flash_bytes[FLASH_BYTES];
static struct baton_nor nor;
static struct baton_nor_state nor_state;
static struct baton_flash flash;
static struct baton_idf_config config;
static struct baton_chip chip;
static jmp_buf fatal_exit;
static unsigned restarts;

static char line[LINE_BYTES];
static uint8_t data[LINE_BYTES / 2];

// What the call did so far, and the last operation, which may still grow.
static char ops[8192];
static char last_op;
static uint32_t last_addr;
static uint32_t last_len;

static void flush_op(void) {
    size_t used = strlen(ops);
    if (last_op != '\0') {
        snprintf(ops + used, sizeof(ops) - used, " %c%x+%x", last_op,
                (unsigned)last_addr, (unsigned)last_len);
    }
    last_op = '\0';
}

static void note(char op, uint32_t addr, size_t len) {
    if (last_op != op || last_addr + last_len != addr) {
        flush_op();
        last_op = op;
        last_addr = addr;
        last_len = 0;
    }
    last_len += (uint32_t)len;
}

static int program_flash(
        void *context, uint32_t addr, const void *buf, size_t len) {
    int err = nor.flash.program(context, addr, buf, len);
    if (err == 0) {
        note('P', addr, len);
    }
    return err;
}

static int erase_flash(void *context, uint32_t addr, size_t len) {
    note('E', addr, len);
    return nor.flash.erase(context, addr, len);
}

static void restart(void *context) {
    (void)context;
    restarts++;
}

static void die(void *context, const char *what) {
    (void)context;
    (void)what;
    longjmp(fatal_exit, 1);
}

static int burn(void *context, uint32_t version) {
    (void)context;
    chip.secure_version = version;
    return 0;
}

// Arguments.

static const char *next_word(void) {
    const char *word = strtok(NULL, " \n");
    if (word == NULL) {
        fprintf(stderr, "idf_driver: an argument is missing\n");
        exit(2);
    }
    return word;
}

static uint32_t next_u32(void) {
    return (uint32_t)strtoul(next_word(), NULL, 0);
}

static uint8_t digit(char c) {
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

// "-" is no buffer at all, "." one of no bytes.
static const uint8_t *next_hex(size_t *len) {
    const char *hex = next_word();
    *len = 0;
    if (strcmp(hex, "-") == 0) {
        return NULL;
    }
    for (; hex[0] != '.' && hex[0] != '\0'; hex += 2) {
        data[(*len)++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
    }
    return data;
}

static esp_partition_t own[2];

static const esp_partition_t *next_partition(esp_partition_t *mine) {
    const char *word = next_word();
    if (word[0] == '-') {
        return NULL;
    }
    if (word[0] == '#') {
        long index = strtol(word + 1, NULL, 10);
        esp_partition_iterator_t it = esp_partition_find(
                ESP_PARTITION_TYPE_ANY, ESP_PARTITION_SUBTYPE_ANY, NULL);
        for (; it != NULL && index > 0; index--) {
            it = esp_partition_next(it);
        }
        const esp_partition_t *found =
                it != NULL ? esp_partition_get(it) : NULL;
        esp_partition_iterator_release(it);
        return found;
    }
    unsigned type, subtype, addr, size, encrypted, readonly;
    memset(mine, 0, sizeof(*mine));
    sscanf(word, "%u,%u,%u,%u,%u,%u,%16s", &type, &subtype, &addr, &size,
            &encrypted, &readonly, mine->label);
    mine->flash_chip = esp_flash_default_chip;
    mine->type = (esp_partition_type_t)type;
    mine->subtype = (esp_partition_subtype_t)subtype;
    mine->address = addr;
    mine->size = size;
    mine->erase_size = 4096;
    mine->encrypted = encrypted != 0;
    mine->readonly = readonly != 0;
    return mine;
}

// Calls.

static void print_partition(const esp_partition_t *partition) {
    if (partition == NULL) {
        printf("none");
    } else {
        printf("%u,%u,%x,%x,%s", (unsigned)partition->type,
                (unsigned)partition->subtype, (unsigned)partition->address,
                (unsigned)partition->size, partition->label);
    }
}

static void call_begin(void) {
    const esp_partition_t *partition = next_partition(&own[0]);
    uint32_t size = next_u32();
    esp_ota_handle_t handle = 0;
    int err = esp_ota_begin(partition, size, &handle);
    printf("%d %u", err, (unsigned)handle);
}

static void call_resume(void) {
    const esp_partition_t *partition = next_partition(&own[0]);
    uint32_t erase = next_u32();
    uint32_t off = next_u32();
    esp_ota_handle_t handle = 0;
    int err = esp_ota_resume(partition, erase, off, &handle);
    printf("%d %u", err, (unsigned)handle);
}

static void call_final(void) {
    uint32_t handle = next_u32();
    const esp_partition_t *partition = next_partition(&own[0]);
    bool copy = next_u32() != 0;
    printf("%d", esp_ota_set_final_partition(handle, partition, copy));
}

static void call_write(void) {
    uint32_t handle = next_u32();
    size_t len;
    const uint8_t *bytes = next_hex(&len);
    printf("%d", esp_ota_write(handle, bytes, len));
}

static void call_write_with_offset(void) {
    uint32_t handle = next_u32();
    uint32_t off = next_u32();
    size_t len;
    const uint8_t *bytes = next_hex(&len);
    printf("%d", esp_ota_write_with_offset(handle, bytes, len, off));
}

static void call_end(void) {
    printf("%d", esp_ota_end(next_u32()));
}

static void call_abort(void) {
    printf("%d", esp_ota_abort(next_u32()));
}

static void call_set_boot(void) {
    printf("%d", esp_ota_set_boot_partition(next_partition(&own[0])));
}

static void call_set_boot_skip(void) {
    printf("%d",
            esp_ota_set_boot_partition_skip_validate(next_partition(&own[0])));
}

static void call_get_boot(void) {
    print_partition(esp_ota_get_boot_partition());
}

static void call_get_running(void) {
    print_partition(esp_ota_get_running_partition());
}

static void call_get_next(void) {
    print_partition(esp_ota_get_next_update_partition(next_partition(&own[0])));
}

static void call_count(void) {
    printf("%u", esp_ota_get_app_partition_count());
}

static void call_description(void) {
    const esp_partition_t *partition = next_partition(&own[0]);
    esp_app_desc_t desc;
    memset(&desc, 0, sizeof(desc));
    int err = esp_ota_get_partition_description(partition, &desc);
    printf("%d", err);
    if (err == ESP_OK) {
        printf(" %u %.32s", (unsigned)desc.secure_version, desc.version);
    }
}

static void call_mark_valid(void) {
    int err = esp_ota_mark_app_valid_cancel_rollback();
    printf("%d %u", err, (unsigned)chip.secure_version);
}

static void call_mark_invalid(void) {
    printf("%d", esp_ota_mark_app_invalid_rollback());
}

static void call_mark_invalid_and_reboot(void) {
    unsigned before = restarts;
    int err = esp_ota_mark_app_invalid_rollback_and_reboot();
    printf("%d %u", err, restarts - before);
}

static void call_rollback_possible(void) {
    printf("%d", esp_ota_check_rollback_is_possible());
}

static void call_get_state(void) {
    esp_ota_img_states_t state = ESP_OTA_IMG_NEW;
    int err = esp_ota_get_state_partition(next_partition(&own[0]), &state);
    printf("%d %u", err, (unsigned)state);
}

static void call_last_invalid(void) {
    print_partition(esp_ota_get_last_invalid_partition());
}

static void call_erase_last_boot(void) {
    printf("%d", esp_ota_erase_last_boot_app_partition());
}

static void call_invalidate_inactive(void) {
    printf("%d", esp_ota_invalidate_inactive_ota_data_slot());
}

static void call_find(void) {
    uint32_t type = next_u32();
    uint32_t subtype = next_u32();
    const char *label = next_word();
    esp_partition_iterator_t it = esp_partition_find((esp_partition_type_t)type,
            (esp_partition_subtype_t)subtype,
            strcmp(label, "-") == 0 ? NULL : label);
    printf("found");
    for (; it != NULL; it = esp_partition_next(it)) {
        putchar(' ');
        print_partition(esp_partition_get(it));
    }
}

static void call_verify(void) {
    print_partition(esp_partition_verify(next_partition(&own[0])));
}

static void print_hex(const uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        printf("%02x", bytes[i]);
    }
}

static void call_read(void) {
    const esp_partition_t *partition = next_partition(&own[0]);
    uint32_t off = next_u32();
    uint32_t len = next_u32();
    uint8_t *buf = calloc(1, 0x40000);
    int err = esp_partition_read(partition, off, buf, len);
    printf("%d ", err);
    if (err == ESP_OK && len <= 64) {
        print_hex(buf, len);
    }
    free(buf);
}

static void call_partition_write(void) {
    const esp_partition_t *partition = next_partition(&own[0]);
    uint32_t off = next_u32();
    size_t len;
    const uint8_t *bytes = next_hex(&len);
    printf("%d", esp_partition_write(partition, off, bytes, len));
}

static void call_erase_range(void) {
    const esp_partition_t *partition = next_partition(&own[0]);
    uint32_t off = next_u32();
    printf("%d", esp_partition_erase_range(partition, off, next_u32()));
}

static void call_copy(void) {
    const esp_partition_t *dest = next_partition(&own[0]);
    uint32_t dest_off = next_u32();
    const esp_partition_t *src = next_partition(&own[1]);
    uint32_t src_off = next_u32();
    printf("%d", esp_partition_copy(dest, dest_off, src, src_off, next_u32()));
}

static void call_sha256(void) {
    uint8_t digest[32];
    int err = esp_partition_get_sha256(next_partition(&own[0]), digest);
    printf("%d ", err);
    if (err == ESP_OK) {
        print_hex(digest, sizeof(digest));
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} calls[] = {
        {"ota_begin", call_begin},
        {"ota_resume", call_resume},
        {"ota_set_final_partition", call_final},
        {"ota_write", call_write},
        {"ota_write_with_offset", call_write_with_offset},
        {"ota_end", call_end},
        {"ota_abort", call_abort},
        {"ota_set_boot_partition", call_set_boot},
        {"ota_set_boot_partition_skip_validate", call_set_boot_skip},
        {"ota_get_boot_partition", call_get_boot},
        {"ota_get_running_partition", call_get_running},
        {"ota_get_next_update_partition", call_get_next},
        {"ota_get_app_partition_count", call_count},
        {"ota_get_partition_description", call_description},
        {"ota_mark_app_valid_cancel_rollback", call_mark_valid},
        {"ota_mark_app_invalid_rollback", call_mark_invalid},
        {"ota_mark_app_invalid_rollback_and_reboot",
                call_mark_invalid_and_reboot},
        {"ota_check_rollback_is_possible", call_rollback_possible},
        {"ota_get_state_partition", call_get_state},
        {"ota_get_last_invalid_partition", call_last_invalid},
        {"ota_erase_last_boot_app_partition", call_erase_last_boot},
        {"ota_invalidate_inactive_ota_data_slot", call_invalidate_inactive},
        {"partition_find", call_find},
        {"partition_verify", call_verify},
        {"partition_read", call_read},
        {"partition_write", call_partition_write},
        {"partition_erase_range", call_erase_range},
        {"partition_copy", call_copy},
        {"partition_get_sha256", call_sha256},
};

static void run_guarded(void (*run)(void)) {
    if (setjmp(fatal_exit) == 0) {
        run();
    } else {
        printf("fatal");
    }
}

static void run_call(const char *name) {
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (strcmp(calls[i].name, name) == 0) {
            run_guarded(calls[i].run);
            return;
        }
    }
    fprintf(stderr, "idf_driver: no call %s\n", name);
    exit(2);
}

static void set_board(void) {
    memset(flash_bytes, 0xFF, sizeof(flash_bytes));
    memset(&nor_state, 0, sizeof(nor_state));
    if (baton_nor_begin(&nor, flash_bytes, FLASH_BYTES, 1, &nor_state, NULL)
            != 0) {
        exit(2);
    }
    flash = nor.flash;
    flash.program = program_flash;
    flash.erase = erase_flash;
    chip = (struct baton_chip){.revision = 300};
    config = (struct baton_idf_config){
            .flash = &flash,
            .crypto = baton_crypto_psa(),
            .chip = &chip,
            .burn_secure_version = burn,
            .restart = restart,
            .fatal = die,
    };
    config.running_addr = next_u32();
    config.release = (enum baton_idf_release)next_u32();
    config.protect = (enum baton_idf_protect)next_u32();
    config.no_rollback = next_u32() != 0;
    config.anti_rollback = next_u32() != 0;
    config.flash_encryption = next_u32() != 0;
    config.blind_program = next_u32() != 0;
    chip.secure_version = next_u32();
}

// Adler-32 of all of the flash.
static uint32_t flash_sum(void) {
    uint64_t low = 1;
    uint64_t high = 0;
    for (uint32_t i = 0; i < FLASH_BYTES; i++) {
        low += flash_bytes[i];
        high += low;
    }
    return (uint32_t)(high % 65521u << 16 | low % 65521u);
}

int main(void) {
    while (fgets(line, sizeof(line), stdin) != NULL) {
        const char *word = strtok(line, " \n");
        if (word == NULL) {
            continue;
        }
        if (strcmp(word, "board") == 0) {
            set_board();
        } else if (strcmp(word, "load") == 0) {
            uint32_t addr = next_u32();
            size_t len;
            const uint8_t *bytes = next_hex(&len);
            memcpy(flash_bytes + addr, bytes, len);
        } else if (strcmp(word, "attach") == 0) {
            printf("%d |\n", baton_idf_attach(&config));
        } else if (strcmp(word, "sum") == 0) {
            printf("%u |\n", (unsigned)flash_sum());
        } else {
            run_call(word);
            flush_op();
            printf(" |%s\n", ops);
            ops[0] = '\0';
        }
    }
    baton_idf_detach();
    return 0;
}
