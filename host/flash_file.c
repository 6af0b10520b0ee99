// A flash file as the flash subcommands see it: bytes, board, table, images.
// SPDX-License-Identifier: MIT
#define _XOPEN_SOURCE 700
#include "flash_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "baton/trial.h"
#include "cli.h"

#define FLASH_BYTES_MAX ((off_t)128 << 20)

static bool refuse(const char *command, const char *path, const char *why,
        const char *next) {
    fprintf(stderr, "%s: %s: %s\n", command, path, why);
    if (next != NULL) {
        fprintf(stderr, "  next: %s\n", next);
    }
    return false;
}

static bool map_bytes(
        struct flash_file *self, const char *command, bool is_writable) {
    int fd = open(self->path, (is_writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) {
        int saved = errno;
        if (fd >= 0) {
            close(fd);
        }
        return refuse(command, self->path, strerror(saved), NULL);
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size > FLASH_BYTES_MAX
            || st.st_size % (off_t)BATON_BLOCK_BYTES != 0) {
        close(fd);
        return refuse(command, self->path,
                "not a flash: its length is not whole 64 KiB blocks",
                "make one with 'baton flash make', or read out a whole chip");
    }
    void *mapped = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE,
            is_writable ? MAP_SHARED : MAP_PRIVATE, fd, 0);
    close(fd);
    if (mapped == MAP_FAILED) {
        return refuse(command, self->path, strerror(errno), NULL);
    }
    self->bytes = mapped;
    self->size_bytes = (uint32_t)st.st_size;
    return true;
}

static bool read_board(struct flash_file *self, const char *command) {
    int err = baton_board_peek(self->path, &self->board);
    if (err == BATON_ERR_NOENT) {
        return true;
    }
    if (err || self->board.flash_bytes != self->size_bytes) {
        return refuse(command, self->path,
                "the board file beside it is damaged or of another flash",
                "remove it (FLASH.board): a new one is made with defaults");
    }
    self->has_board = true;
    self->nor_state = self->board.nor;
    return true;
}

static bool start_flash(
        struct flash_file *self, const char *command, bool is_writable) {
    if (is_writable && self->has_board) {
        int err = baton_board_open(&self->open_board, self->path);
        if (err) {
            cli_refuse(command, self->path, err);
            return false;
        }
        self->flash = &self->open_board.nor.flash;
        return true;
    }
    uint32_t unit = self->has_board ? self->board.program_bytes : 1;
    int err = baton_nor_begin(&self->nor, self->bytes, self->size_bytes, unit,
            &self->nor_state, NULL);
    if (err) {
        cli_refuse(command, self->path, err);
        return false;
    }
    self->flash = &self->nor.flash;
    return true;
}

int flash_load_table(uint8_t *bytes, uint32_t size_bytes,
        struct baton_partition rows[BATON_TABLE_ROWS_MAX], size_t *count) {
    struct baton_hash_state hash;
    struct baton_table_options options = {
            .crypto = baton_crypto_psa(), .hash = &hash};
    struct baton_nor_state state = {.powered = 1};
    struct baton_nor nor;
    *count = 0;
    int err = baton_nor_begin(&nor, bytes, size_bytes, 1, &state, NULL);
    if (!err) {
        err = baton_table_load(
                &nor.flash, &options, rows, BATON_TABLE_ROWS_MAX, count);
    }
    if (err) {
        *count = 0;
    }
    return err;
}

// The simulator holds a lock on the board file.
bool flash_is_in_use(const char *command, const char *path) {
    char board_path[PATH_MAX];
    int n = snprintf(
            board_path, sizeof(board_path), "%s" BATON_BOARD_SUFFIX, path);
    int fd = n < PATH_MAX ? open(board_path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        return false;
    }
    bool is_used = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    if (is_used) {
        refuse(command, path, "a 'baton sim' runs on this flash",
                "wait for it, or work on a copy");
    }
    return is_used;
}

uint16_t flash_file_find_chip(const uint8_t *bytes, size_t len,
        const struct baton_partition *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct baton_partition *row = &rows[i];
        struct baton_image_info info;
        if (row->type == BATON_TYPE_APP && row->addr < len
                && len - row->addr >= BATON_IMAGE_HEAD_BYTES
                && baton_image_decode(
                           bytes + row->addr, BATON_IMAGE_HEAD_BYTES, &info)
                           == 0
                && baton_chip_name(info.header.chip_id) != NULL) {
            return info.header.chip_id;
        }
    }
    return BATON_CHIP_ANY;
}

static void find_chip(struct flash_file *self) {
    if (self->has_board) {
        self->chip = baton_board_chip(&self->board);
        self->is_chip_known = true;
        return;
    }
    uint16_t id = flash_file_find_chip(
            self->bytes, self->size_bytes, self->rows, self->row_count);
    self->chip =
            (struct baton_chip){.id = id, .revision = baton_board_revision(id)};
    self->is_chip_known = id != BATON_CHIP_ANY;
}

bool flash_file_open(struct flash_file *self, const char *command,
        const char *path, bool is_writable) {
    memset(self, 0, sizeof(*self));
    self->path = path;
    self->open_board.flash_fd = -1;
    self->open_board.state_fd = -1;
    if (baton_crypto_psa() == NULL) {
        cli_refuse(command, path, BATON_ERR_CRYPTO);
        return false;
    }
    if (!map_bytes(self, command, is_writable) || !read_board(self, command)
            || !start_flash(self, command, is_writable)) {
        flash_file_close(self);
        return false;
    }
    self->table_err = flash_load_table(
            self->bytes, self->size_bytes, self->rows, &self->row_count);
    find_chip(self);
    return true;
}

void flash_file_close(struct flash_file *self) {
    if (self->open_board.state != NULL) {
        baton_board_close(&self->open_board);
    }
    if (self->bytes != NULL) {
        munmap(self->bytes, self->size_bytes);
        self->bytes = NULL;
    }
}

int flash_file_verify(struct flash_file *self, uint32_t addr,
        uint32_t limit_bytes, struct baton_image_info *info) {
    static uint8_t work[16384];
    struct baton_image image;
    struct baton_image_config config = {
            .crypto = baton_crypto_psa(),
            .chip = self->is_chip_known ? &self->chip : NULL,
    };
    memset(info, 0, sizeof(*info));
    int err = baton_image_verify(&image, &config, self->flash, addr,
            limit_bytes, work, sizeof(work));
    *info = *baton_image_result(&image);
    return err;
}

void flash_file_names(const uint8_t *bytes, size_t len,
        const struct baton_image_info *info, struct baton_names *out) {
    baton_names_begin(out);
    baton_names_push(out, bytes, len);
    baton_names_finish(out);
    if (info->has_descriptor && info->descriptor.version[0] != '\0') {
        snprintf(out->version, sizeof(out->version), "%s",
                info->descriptor.version);
    }
}

const char *flash_chip_text(uint16_t chip_id) {
    static char unknown[16];
    const char *name = baton_chip_name(chip_id);
    if (name != NULL) {
        return name;
    }
    snprintf(unknown, sizeof(unknown), "chip %u", chip_id);
    return unknown;
}

void flash_hex(const uint8_t *data, size_t len, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * len] = '\0';
}

void flash_print_json(cJSON *json) {
    char *text = cJSON_Print(json);
    if (text != NULL) {
        puts(text);
    }
    cJSON_free(text);
    cJSON_Delete(json);
}

static void add_trial(cJSON *json, const struct baton_slot_record *record) {
    struct baton_trial_count count;
    baton_trial_decode(record->label, &count);
    if (!count.counted && !count.over) {
        cJSON_AddNullToObject(json, "trial");
        return;
    }
    cJSON *trial = cJSON_AddObjectToObject(json, "trial");
    cJSON_AddNumberToObject(trial, "boots", count.boots);
    cJSON_AddNumberToObject(trial, "failures", count.failures);
    cJSON_AddBoolToObject(trial, "crashed", count.crashed);
    cJSON_AddBoolToObject(trial, "network", count.network);
    cJSON_AddBoolToObject(trial, "inconclusive", count.inconclusive);
    cJSON_AddBoolToObject(trial, "given_up", count.given_up);
    cJSON_AddBoolToObject(trial, "over", count.over);
}

cJSON *flash_record_json(
        const struct baton_slots *records, int copy, uint32_t count) {
    const struct baton_slot_record *record = &records->copy[copy];
    char text[2 * BATON_OTADATA_LABEL_BYTES + 1];
    cJSON *json = cJSON_CreateObject();
    bool is_blank = record->seq == UINT32_MAX;
    cJSON_AddNumberToObject(json, "copy", copy);
    cJSON_AddBoolToObject(json, "blank", is_blank);
    cJSON_AddNumberToObject(json, "seq", record->seq);
    cJSON_AddStringToObject(
            json, "state", baton_slots_state_name(record->state));
    cJSON_AddNumberToObject(json, "state_value", record->state);
    snprintf(text, sizeof(text), "%08x", (unsigned)record->crc);
    cJSON_AddStringToObject(json, "crc", text);
    cJSON_AddBoolToObject(
            json, "crc_ok", record->crc == baton_slots_crc(record->seq));
    cJSON_AddBoolToObject(json, "usable", baton_slots_is_usable(record));
    cJSON_AddBoolToObject(json, "active", baton_slots_active(records) == copy);
    uint32_t slot = baton_slots_slot(record, count);
    if (!is_blank && slot < BATON_SLOTS_MAX) {
        cJSON_AddStringToObject(json, "slot", baton_boot_index_name((int)slot));
    } else {
        cJSON_AddNullToObject(json, "slot");
    }
    flash_hex(record->label, sizeof(record->label), text);
    cJSON_AddStringToObject(json, "label", text);
    add_trial(json, record);
    return json;
}
