// `baton flash make`: a flash file from a partition table and images.
// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "cli.h"
#include "commands.h"
#include "firmware.h"
#include "flash_file.h"
#include "flash_make.h"

#define COMMAND FLASH_MAKE_COMMAND

static bool refuse(const char *what, const char *why, const char *next) {
    fprintf(stderr, COMMAND ": %s: %s\n", what, why);
    if (next != NULL) {
        fprintf(stderr, "  next: %s\n", next);
    }
    return false;
}

// ---- The table -----------------------------------------------------------

static bool refuse_table(
        const char *what, int err, const struct baton_table_fault *fault) {
    char where[160];
    snprintf(where, sizeof(where), "%s", what);
    if (fault->line != 0) {
        snprintf(where, sizeof(where), "%s: line %u", what,
                (unsigned)fault->line);
    } else if (fault->text[0] != '\0') {
        snprintf(where, sizeof(where), "%s: '%s'", what, fault->text);
    }
    cli_refuse(COMMAND, where, err);
    return false;
}

static bool parse_table(struct flash_make *self, const char *what,
        const uint8_t *data, size_t len) {
    struct baton_hash_state hash;
    struct baton_table_options options = {
            .crypto = baton_crypto_psa(), .hash = &hash};
    struct baton_table_fault fault = {.row = -1, .other_row = -1};
    bool is_binary = len >= 2 && data[0] == 0xAA && data[1] == 0x50;
    int err = is_binary ? baton_table_parse(data, len, &options, self->rows,
                      BATON_TABLE_ROWS_MAX, &self->row_count, &fault)
                        : baton_table_parse_csv((const char *)data, len,
                                &options, self->rows, BATON_TABLE_ROWS_MAX,
                                &self->row_count, &fault);
    if (!err) {
        err = baton_table_verify(self->rows, self->row_count, &options, &fault);
    }
    return err == 0 || refuse_table(what, err, &fault);
}

static bool load_table(struct flash_make *self) {
    if (self->layout != NULL) {
        const char *csv = baton_table_layout_csv(self->layout);
        if (csv == NULL) {
            return refuse(self->layout, "no such layout",
                    "'" COMMAND " --help' lists them");
        }
        return parse_table(
                self, self->layout, (const uint8_t *)csv, strlen(csv));
    }
    uint8_t *data;
    size_t len;
    if (!cli_read_file(self->table_path, &data, &len)) {
        return false;
    }
    bool ok = parse_table(self, self->table_path, data, len);
    free(data);
    return ok;
}

static bool choose_size(struct flash_make *self) {
    uint32_t end = 0;
    for (size_t i = 0; i < self->row_count; i++) {
        uint32_t row_end = self->rows[i].addr + self->rows[i].size_bytes;
        end = row_end > end ? row_end : end;
    }
    uint32_t fitting = 0x100000;
    while (fitting < end && fitting < FLASH_MAKE_SIZE_BYTES_MAX) {
        fitting *= 2;
    }
    if (self->size_bytes == 0) {
        self->size_bytes = fitting;
    }
    if (end > self->size_bytes) {
        char why[80];
        snprintf(why, sizeof(why), "it ends at 0x%x, the flash at 0x%x",
                (unsigned)end, (unsigned)self->size_bytes);
        return refuse("the partition table", why,
                end > FLASH_MAKE_SIZE_BYTES_MAX
                        ? "a flash has at most 16 MiB here"
                        : "give a larger --size");
    }
    return true;
}

// By label, or an application by the name of its subtype.
static const struct baton_partition *find_row(
        const struct flash_make *self, const char *name) {
    const struct baton_partition *row =
            baton_table_find_label(self->rows, self->row_count, name);
    for (size_t i = 0; row == NULL && i < self->row_count; i++) {
        const struct baton_partition *r = &self->rows[i];
        const char *subtype = baton_table_subtype_name(r->type, r->subtype);
        if (r->type == BATON_TYPE_APP && subtype != NULL
                && strcmp(subtype, name) == 0) {
            row = r;
        }
    }
    return row;
}

static bool refuse_name(const struct flash_make *self, const char *name) {
    fprintf(stderr,
            COMMAND ": there is no partition '%s' in the table\n"
                    "  next: it has",
            name);
    for (size_t i = 0; i < self->row_count; i++) {
        fprintf(stderr, "%s %s", i == 0 ? "" : ",", self->rows[i].label);
    }
    fprintf(stderr, "\n");
    return false;
}

// ---- What goes in --------------------------------------------------------

// The first bytes cannot tell a merged file from what it begins with; the whole
// file can.
static int name_fault(const struct flash_content *content, int err) {
    static struct firmware survey;
    firmware_survey(&survey, content->data, content->len);
    return survey.err == BATON_ERR_IS_MERGED ? survey.err : err;
}

static bool verify_app(
        struct flash_content *content, const struct flash_make *self) {
    struct baton_image image;
    struct baton_chip chip = {
            .id = self->chip_id,
            .revision = baton_board_revision(self->chip_id),
    };
    struct baton_image_config config = {
            .crypto = baton_crypto_psa(),
            .chip = self->chip_id != BATON_CHIP_ANY ? &chip : NULL,
            .limit_bytes = content->row->size_bytes,
    };
    int err = baton_image_check(
            content->data, content->len, (uint32_t)content->len, &config);
    if (err == 0) {
        err = baton_image_begin(&image, &config);
    }
    if (err == 0) {
        (void)baton_image_push(&image, content->data, content->len);
        err = baton_image_finish(&image);
        content->info = *baton_image_result(&image);
    }
    if (err == 0 || self->is_forced) {
        return true;
    }
    cli_refuse(COMMAND, content->path, name_fault(content, err));
    if (err == BATON_ERR_IMAGE_CHIP
            && baton_image_decode(content->data, content->len, &content->info)
                       == 0) {
        fprintf(stderr, "  it is for %s",
                flash_chip_text(content->info.header.chip_id));
        fprintf(stderr, ", this flash for %s (%s)\n",
                flash_chip_text(self->chip_id), self->chip_from);
    }
    return false;
}

static bool check_content(
        struct flash_make *self, struct flash_content *content) {
    const struct baton_partition *row = content->row;
    if (content->len > row->size_bytes) {
        char why[120];
        snprintf(why, sizeof(why), "%zu bytes do not fit '%s' of %u bytes",
                content->len, row->label, (unsigned)row->size_bytes);
        return refuse(content->path, why,
                row->type == BATON_TYPE_APP
                        ? baton_error_hint(BATON_ERR_IMAGE_TOO_LARGE)
                        : NULL);
    }
    if (row->type != BATON_TYPE_APP) {
        return true;
    }
    struct baton_image_info info;
    if (self->chip_id == BATON_CHIP_ANY
            && baton_image_decode(content->data, content->len, &info) == 0
            && baton_chip_name(info.header.chip_id) != NULL) {
        self->chip_id = info.header.chip_id;
        self->chip_from = content->path;
    }
    return verify_app(content, self);
}

static bool load_contents(struct flash_make *self) {
    for (size_t i = 0; i < self->content_count; i++) {
        struct flash_content *content = &self->contents[i];
        content->row = find_row(self, content->name);
        if (content->row == NULL) {
            return refuse_name(self, content->name);
        }
        if (!cli_read_file(content->path, &content->data, &content->len)
                || !check_content(self, content)) {
            return false;
        }
        for (size_t k = 0; k < i; k++) {
            if (self->contents[k].row == content->row) {
                return refuse(content->row->label, "given twice", NULL);
            }
        }
    }
    if (self->chip_id == BATON_CHIP_ANY) {
        self->chip_id = baton_chip_id("esp32");
    }
    return true;
}

static bool place_table(struct flash_make *self) {
    struct baton_hash_state hash;
    struct baton_table_options options = {
            .crypto = baton_crypto_psa(), .hash = &hash};
    int err = baton_table_encode(self->rows, self->row_count, &options,
            self->bytes + BATON_TABLE_ADDR);
    if (err) {
        cli_refuse(COMMAND, NULL, err);
    }
    return err == 0;
}

static bool place_bootloader(struct flash_make *self) {
    if (self->bootloader_path == NULL) {
        return true;
    }
    uint8_t *data;
    size_t len;
    if (!cli_read_file(self->bootloader_path, &data, &len)) {
        return false;
    }
    uint32_t addr = baton_chip_bootloader_addr(self->chip_id);
    struct baton_image_info info;
    bool ok = false;
    if (baton_image_decode(data, len, &info) != 0) {
        refuse(self->bootloader_path, "this is not a bootloader",
                "a bootloader begins with the byte 0xE9");
    } else if (baton_image_identify(data, len) == 0) {
        refuse(self->bootloader_path,
                "this is an application, not a bootloader",
                "give it to --factory or --ota_0");
    } else if (info.header.chip_id != self->chip_id) {
        cli_refuse(COMMAND, self->bootloader_path, BATON_ERR_IMAGE_CHIP);
    } else if (len > BATON_TABLE_ADDR - addr) {
        refuse(self->bootloader_path,
                "it reaches over the partition table at 0x8000",
                "is this a merged .bin? give the bootloader alone");
    } else {
        memcpy(self->bytes + addr, data, len);
        ok = true;
    }
    free(data);
    return ok;
}

static bool place_choice(struct flash_make *self) {
    if (self->boot == NULL) {
        return true;
    }
    const struct baton_partition *row = find_row(self, self->boot);
    if (row == NULL) {
        return refuse_name(self, self->boot);
    }
    bool is_slot = row->type == BATON_TYPE_APP
                   && (row->subtype & 0xF0u) == BATON_SUBTYPE_APP_OTA_0;
    const struct baton_partition *otadata = baton_table_find(self->rows,
            self->row_count, BATON_TYPE_DATA, BATON_SUBTYPE_DATA_OTA);
    if (row->type == BATON_TYPE_APP && row->subtype == 0) {
        return true; // blank otadata boots factory
    }
    if (!is_slot || otadata == NULL) {
        return refuse(self->boot,
                is_slot ? "the table has no otadata to write the choice to"
                        : "it is no slot that otadata can choose",
                NULL);
    }
    uint32_t count = baton_table_slot_count(self->rows, self->row_count);
    int err = baton_slots_switch(&self->nor.flash, otadata->addr, count,
            row->subtype - BATON_SUBTYPE_APP_OTA_0, self->boot_state,
            BATON_SLOTS_SAME_COPY);
    if (err) {
        cli_refuse(COMMAND, self->boot, err);
    }
    return err == 0;
}

static bool fill_flash(struct flash_make *self) {
    self->bytes = malloc(self->size_bytes);
    if (self->bytes == NULL) {
        cli_refuse(COMMAND, NULL, BATON_ERR_NOMEM);
        return false;
    }
    memset(self->bytes, 0xFF, self->size_bytes);
    int err = baton_nor_begin(&self->nor, self->bytes, self->size_bytes, 1,
            &self->nor_state, NULL);
    if (err) {
        cli_refuse(COMMAND, self->out_path, err);
        return false;
    }
    if (!place_table(self)) {
        return false;
    }
    for (size_t i = 0; i < self->content_count; i++) {
        const struct flash_content *c = &self->contents[i];
        memcpy(self->bytes + c->row->addr, c->data, c->len);
    }
    return place_bootloader(self) && place_choice(self);
}

static bool write_board(const struct flash_make *self) {
    struct baton_board_state *state = malloc(sizeof(*state));
    int err = BATON_ERR_NOMEM;
    if (state != NULL) {
        baton_board_defaults(state, self->out_path, self->size_bytes);
        baton_board_set_chip(state, self->chip_id);
        err = baton_board_create(self->out_path, state);
    }
    free(state);
    if (err) {
        cli_refuse(COMMAND, self->out_path, err);
    }
    return err == 0;
}

// ---- The report ----------------------------------------------------------

static void find_names(
        const struct flash_content *c, struct baton_names *names) {
    memset(names, 0, sizeof(*names));
    if (c->row->type == BATON_TYPE_APP) {
        flash_file_names(c->data, c->len, &c->info, names);
    }
}

static void print_report(const struct flash_make *self) {
    printf("%s: %u MiB flash for %s\n", self->out_path,
            (unsigned)(self->size_bytes >> 20), flash_chip_text(self->chip_id));
    for (size_t i = 0; i < self->row_count; i++) {
        const struct baton_partition *row = &self->rows[i];
        printf("  0x%06x  %5u KiB  %-16s", (unsigned)row->addr,
                (unsigned)(row->size_bytes >> 10), row->label);
        for (size_t k = 0; k < self->content_count; k++) {
            const struct flash_content *c = &self->contents[k];
            struct baton_names names;
            if (c->row == row) {
                find_names(c, &names);
                printf(" %s  %s", c->path, names.version);
            }
        }
        printf("\n");
    }
    printf("  next: baton sim --flash %s --fs DIR\n", self->out_path);
}

static void print_json(const struct flash_make *self) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "file", self->out_path);
    cJSON_AddNumberToObject(json, "size", self->size_bytes);
    cJSON_AddStringToObject(json, "chip", flash_chip_text(self->chip_id));
    cJSON *contents = cJSON_AddArrayToObject(json, "contents");
    for (size_t i = 0; i < self->content_count; i++) {
        const struct flash_content *c = &self->contents[i];
        struct baton_names names;
        find_names(c, &names);
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "partition", c->row->label);
        cJSON_AddNumberToObject(item, "addr", c->row->addr);
        cJSON_AddStringToObject(item, "file", c->path);
        cJSON_AddNumberToObject(item, "length", (double)c->len);
        if (c->row->type == BATON_TYPE_APP) {
            cJSON_AddStringToObject(item, "version", names.version);
        }
        cJSON_AddItemToArray(contents, item);
    }
    flash_print_json(json);
}

static int make_flash(struct flash_make *self) {
    if (baton_crypto_psa() == NULL) {
        return cli_refuse(COMMAND, NULL, BATON_ERR_CRYPTO);
    }
    if (!load_table(self) || !choose_size(self) || !load_contents(self)
            || !fill_flash(self) || flash_is_in_use(COMMAND, self->out_path)
            || !cli_write_file(self->out_path, self->bytes, self->size_bytes)
            || !write_board(self)) {
        return CLI_REFUSED;
    }
    if (self->as_json) {
        print_json(self);
    } else {
        print_report(self);
    }
    return CLI_OK;
}

int cmd_flash_make(int argc, char **argv) {
    static struct flash_make self;
    int code = flash_make_parse_options(&self, argc, argv);
    if (code == CLI_OK) {
        code = make_flash(&self);
    } else if (code < 0) {
        code = CLI_OK;
    }
    for (size_t i = 0; i < self.content_count; i++) {
        free(self.contents[i].data);
    }
    free(self.bytes);
    return code;
}
