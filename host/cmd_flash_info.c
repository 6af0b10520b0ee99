// `baton flash info`: what a flash file holds.
// SPDX-License-Identifier: MIT
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baton-posix/crypto.h"
#include "baton/error.h"
#include "baton/trial.h"
#include "cli.h"
#include "commands.h"
#include "flash_file.h"

#define COMMAND "baton flash info"

// What an application partition holds.
struct finding {
    const struct baton_partition *row;
    int err; // 0: verified
    struct baton_image_info info;
    struct baton_names names;
    uint8_t sha256[BATON_SHA256_BYTES]; // of the whole image
};

struct report {
    struct flash_file file;
    struct finding findings[BATON_TABLE_ROWS_MAX];
    size_t finding_count;
    int records_err;
    struct baton_slots records;
    uint32_t slot_count;
};

static void print_help(void) {
    printf("Usage: baton flash info [--json] FLASH\n"
           "\n"
           "Shows the partition table, the otadata records, every application\n"
           "image with its version and whether it verifies, and the wear\n"
           "where a board file is beside it. Nothing is changed.\n"
           "\n"
           "  --json   as JSON\n"
           "\n"
           "Example:\n"
           "  baton flash info dev.bin\n"
           "\n"
           "Exit codes: 0 shown, 1 not a flash or its table is bad,\n"
           "  2 wrong usage\n");
}

static void hash_image(
        const uint8_t *data, size_t len, uint8_t sha256[BATON_SHA256_BYTES]) {
    const struct baton_crypto *crypto = baton_crypto_psa();
    struct baton_hash_state state;
    memset(sha256, 0, BATON_SHA256_BYTES);
    if (crypto->hash_start(crypto->context, &state, BATON_HASH_SHA256) == 0
            && crypto->hash_update(crypto->context, &state, data, len) == 0) {
        (void)crypto->hash_finish(crypto->context, &state, sha256);
    }
}

// What a partition holds that is no application: it tells more than the rule of
// an image that it breaks, and a bootloader breaks none. A missing descriptor
// is no fault to the bootloader.
static int identify_content(const uint8_t *head, uint32_t len) {
    int err = baton_image_identify(head, len);
    return err != BATON_ERR_IMAGE_DESCRIPTOR ? err : 0;
}

static void examine_app(
        struct report *self, const struct baton_partition *row) {
    struct finding *found = &self->findings[self->finding_count++];
    struct flash_file *file = &self->file;
    found->row = row;
    if (row->addr >= file->size_bytes
            || row->size_bytes > file->size_bytes - row->addr) {
        found->err = BATON_ERR_TABLE_BOUNDS;
        return;
    }
    const uint8_t *bytes = file->bytes + row->addr;
    uint32_t head_len = row->size_bytes < BATON_IMAGE_HEAD_BYTES
                                ? row->size_bytes
                                : BATON_IMAGE_HEAD_BYTES;
    found->err = identify_content(bytes, head_len);
    int err = flash_file_verify(file, row->addr, row->size_bytes, &found->info);
    found->err = found->err != 0 ? found->err : err;
    if (found->err != 0) {
        memset(&found->info, 0, sizeof(found->info));
        (void)baton_image_decode(bytes, head_len, &found->info);
    }
    if (found->err == BATON_ERR_IS_BLANK) {
        return;
    }
    uint32_t len = found->err == 0 ? found->info.len_bytes : row->size_bytes;
    flash_file_names(bytes, len, &found->info, &found->names);
    if (found->err == 0) {
        hash_image(bytes, len, found->sha256);
    }
}

static void examine(struct report *self) {
    struct flash_file *file = &self->file;
    for (size_t i = 0; i < file->row_count; i++) {
        if (file->rows[i].type == BATON_TYPE_APP) {
            examine_app(self, &file->rows[i]);
        }
    }
    const struct baton_partition *otadata = baton_table_find(file->rows,
            file->row_count, BATON_TYPE_DATA, BATON_SUBTYPE_DATA_OTA);
    self->records_err = otadata == NULL ? BATON_ERR_NO_OTADATA
                        : otadata->size_bytes < BATON_OTADATA_BYTES
                                ? BATON_ERR_OTADATA_SIZE
                                : baton_slots_load(file->flash, otadata->addr,
                                        &self->records);
    self->slot_count = baton_table_slot_count(file->rows, file->row_count);
}

static uint32_t count_used_sectors(
        const struct flash_file *file, const struct baton_partition *row) {
    uint32_t used = 0;
    for (uint32_t off = 0; off < row->size_bytes; off += BATON_SECTOR_BYTES) {
        bool is_used = false;
        for (uint32_t i = 0; i < BATON_SECTOR_BYTES && !is_used; i++) {
            uint32_t addr = row->addr + off + i;
            is_used = addr < file->size_bytes && file->bytes[addr] != 0xFF;
        }
        used += is_used;
    }
    return used;
}

static uint64_t count_erases(
        const struct flash_file *file, uint32_t *most, uint32_t *most_addr) {
    uint64_t erases = 0;
    *most = 0;
    *most_addr = 0;
    uint32_t sectors = file->size_bytes / BATON_SECTOR_BYTES;
    for (uint32_t i = 0; i < sectors && i < BATON_BOARD_SECTORS; i++) {
        uint32_t wear = file->board.wear[i];
        erases += wear;
        if (wear > *most) {
            *most = wear;
            *most_addr = i * BATON_SECTOR_BYTES;
        }
    }
    return erases;
}

static void format_mac(const uint8_t mac[6], char out[18]) {
    snprintf(out, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
            mac[3], mac[4], mac[5]);
}

static const char *subtype_text(
        const struct baton_partition *row, char out[8]) {
    const char *name = baton_table_subtype_name(row->type, row->subtype);
    if (name != NULL) {
        return name;
    }
    snprintf(out, 8, "0x%02x", row->subtype);
    return out;
}

static const char *type_text(const struct baton_partition *row, char out[8]) {
    const char *name = baton_table_type_name(row->type);
    if (name != NULL) {
        return name;
    }
    snprintf(out, 8, "0x%02x", row->type);
    return out;
}

// ---- JSON ----------------------------------------------------------------

static void add_board(cJSON *json, const struct flash_file *file) {
    const struct baton_board_state *board = &file->board;
    if (!file->has_board) {
        cJSON_AddNullToObject(json, "board");
        cJSON_AddNullToObject(json, "wear");
        return;
    }
    char mac[18];
    format_mac(board->mac, mac);
    cJSON *item = cJSON_AddObjectToObject(json, "board");
    cJSON_AddNumberToObject(item, "revision", board->chip_revision);
    cJSON_AddNumberToObject(item, "secure_version", board->secure_version);
    cJSON_AddStringToObject(item, "mac", mac);
    cJSON_AddStringToObject(item, "profile", board->profile);
    cJSON_AddNumberToObject(item, "boots", board->boots);
    cJSON_AddNumberToObject(item, "clock_us", (double)board->clock_us);
    uint32_t most;
    uint32_t most_addr;
    uint64_t erases = count_erases(file, &most, &most_addr);
    const struct baton_nor_stats *stats = &board->nor.stats;
    cJSON *wear = cJSON_AddObjectToObject(json, "wear");
    cJSON_AddNumberToObject(wear, "operations", (double)stats->operations);
    cJSON_AddNumberToObject(
            wear, "sector_erases", (double)stats->sector_erases);
    cJSON_AddNumberToObject(wear, "block_erases", (double)stats->block_erases);
    cJSON_AddNumberToObject(
            wear, "page_programs", (double)stats->page_programs);
    cJSON_AddNumberToObject(
            wear, "bytes_programmed", (double)stats->bytes_programmed);
    cJSON_AddNumberToObject(wear, "violations", (double)stats->violations);
    cJSON_AddNumberToObject(wear, "erased_sectors", (double)erases);
    cJSON_AddNumberToObject(wear, "most_worn", most);
    cJSON_AddNumberToObject(wear, "most_worn_addr", most_addr);
}

static void add_table(cJSON *json, const struct flash_file *file) {
    cJSON *table = cJSON_AddObjectToObject(json, "table");
    cJSON_AddNumberToObject(table, "addr", BATON_TABLE_ADDR);
    cJSON_AddBoolToObject(table, "ok", file->table_err == 0);
    if (file->table_err) {
        cJSON_AddStringToObject(
                table, "error", baton_error_name(file->table_err));
    } else {
        cJSON_AddNullToObject(table, "error");
    }
    cJSON *rows = cJSON_AddArrayToObject(table, "partitions");
    for (size_t i = 0; i < file->row_count; i++) {
        const struct baton_partition *row = &file->rows[i];
        char text[8];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "label", row->label);
        cJSON_AddStringToObject(item, "type", type_text(row, text));
        cJSON_AddStringToObject(item, "subtype", subtype_text(row, text));
        cJSON_AddNumberToObject(item, "addr", row->addr);
        cJSON_AddNumberToObject(item, "size", row->size_bytes);
        cJSON_AddBoolToObject(item, "encrypted",
                (row->flags & BATON_PARTITION_ENCRYPTED) != 0);
        cJSON_AddBoolToObject(
                item, "readonly", (row->flags & BATON_PARTITION_READONLY) != 0);
        cJSON_AddNumberToObject(
                item, "used_sectors", count_used_sectors(file, row));
        cJSON_AddItemToArray(rows, item);
    }
}

static void add_records(cJSON *json, const struct report *self) {
    cJSON *otadata = cJSON_AddObjectToObject(json, "otadata");
    cJSON *records = cJSON_AddArrayToObject(otadata, "records");
    if (self->records_err) {
        cJSON_AddStringToObject(
                otadata, "error", baton_error_name(self->records_err));
        return;
    }
    cJSON_AddNullToObject(otadata, "error");
    for (int copy = 0; copy < 2; copy++) {
        cJSON_AddItemToArray(records,
                flash_record_json(&self->records, copy, self->slot_count));
    }
    int active = baton_slots_active(&self->records);
    if (active < 0) {
        cJSON_AddNullToObject(otadata, "active");
    } else {
        cJSON_AddNumberToObject(otadata, "active", active);
    }
}

static void add_text(cJSON *json, const char *name, const char *text) {
    if (text[0] == '\0') {
        cJSON_AddNullToObject(json, name);
    } else {
        cJSON_AddStringToObject(json, name, text);
    }
}

static void add_image_details(cJSON *item, const struct finding *found) {
    const struct baton_app_descriptor *app = &found->info.descriptor;
    char hex[2 * BATON_SHA256_BYTES + 1];
    cJSON_AddStringToObject(
            item, "chip", flash_chip_text(found->info.header.chip_id));
    add_text(item, "version", found->names.version);
    add_text(item, "version_date", found->names.date);
    add_text(item, "system", found->names.system);
    add_text(item, "board", found->names.board);
    add_text(item, "project", app->project_name);
    add_text(item, "date", app->date);
    add_text(item, "time", app->time);
    add_text(item, "idf_version", app->idf_version);
    cJSON_AddNumberToObject(item, "secure_version", app->secure_version);
    flash_hex(app->elf_sha256, sizeof(app->elf_sha256), hex);
    cJSON_AddStringToObject(item, "elf_sha256", hex);
    if (found->err != 0) {
        return;
    }
    cJSON_AddNumberToObject(item, "length", found->info.len_bytes);
    flash_hex(found->info.digest, BATON_SHA256_BYTES, hex);
    add_text(item, "digest", found->info.has_digest ? hex : "");
    flash_hex(found->sha256, BATON_SHA256_BYTES, hex);
    cJSON_AddStringToObject(item, "sha256", hex);
}

static void add_images(cJSON *json, const struct report *self) {
    cJSON *images = cJSON_AddArrayToObject(json, "images");
    for (size_t i = 0; i < self->finding_count; i++) {
        const struct finding *found = &self->findings[i];
        char text[8];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "partition", found->row->label);
        cJSON_AddStringToObject(item, "slot", subtype_text(found->row, text));
        cJSON_AddNumberToObject(item, "addr", found->row->addr);
        cJSON_AddNumberToObject(item, "size", found->row->size_bytes);
        cJSON_AddBoolToObject(item, "ok", found->err == 0);
        if (found->err == 0) {
            cJSON_AddNullToObject(item, "error");
            cJSON_AddNullToObject(item, "reason");
        } else {
            cJSON_AddStringToObject(
                    item, "error", baton_error_name(found->err));
            cJSON_AddStringToObject(item, "reason", baton_strerror(found->err));
        }
        if (found->err != BATON_ERR_IS_BLANK) {
            add_image_details(item, found);
        }
        cJSON_AddItemToArray(images, item);
    }
}

static void print_json(const struct report *self) {
    cJSON *json = cJSON_CreateObject();
    const struct flash_file *file = &self->file;
    cJSON_AddStringToObject(json, "file", file->path);
    cJSON_AddNumberToObject(json, "size", file->size_bytes);
    if (file->is_chip_known) {
        cJSON_AddStringToObject(json, "chip", flash_chip_text(file->chip.id));
    } else {
        cJSON_AddNullToObject(json, "chip");
    }
    add_table(json, file);
    add_records(json, self);
    add_images(json, self);
    add_board(json, file);
    flash_print_json(json);
}

// ---- Text ----------------------------------------------------------------

static void print_image(const struct finding *found) {
    const struct baton_names *names = &found->names;
    if (names->version[0] != '\0') {
        printf("%s%s%s, ", names->version, names->date[0] != '\0' ? " on " : "",
                names->date);
    }
    if (found->err == 0) {
        printf("%u bytes, verified%s", (unsigned)found->info.len_bytes,
                found->info.has_digest ? "" : " (no digest)");
    } else if (found->err == BATON_ERR_IS_BLANK) {
        printf("blank");
    } else {
        printf("%s", baton_strerror(found->err));
    }
}

static void print_rows(const struct report *self) {
    const struct flash_file *file = &self->file;
    printf("\n  %-16s %-5s %-9s %-9s %-9s %s\n", "partition", "type", "subtype",
            "address", "size", "holds");
    size_t app = 0;
    for (size_t i = 0; i < file->row_count; i++) {
        const struct baton_partition *row = &file->rows[i];
        char type[8];
        char subtype[8];
        printf("  %-16s %-5s %-9s 0x%06x  0x%06x  ", row->label,
                type_text(row, type), subtype_text(row, subtype),
                (unsigned)row->addr, (unsigned)row->size_bytes);
        uint32_t used = count_used_sectors(file, row);
        if (row->type == BATON_TYPE_APP) {
            print_image(&self->findings[app++]);
        } else if (used == 0) {
            printf("blank");
        } else {
            printf("%u of %u sectors used", (unsigned)used,
                    (unsigned)(row->size_bytes / BATON_SECTOR_BYTES));
        }
        printf("\n");
    }
}

static void print_trial(const struct baton_slot_record *record) {
    struct baton_trial_count count;
    baton_trial_decode(record->label, &count);
    if (!count.counted && !count.over) {
        return;
    }
    printf("            trial: %u boots, %u failures%s%s%s%s%s\n",
            (unsigned)count.boots, (unsigned)count.failures,
            count.crashed ? ", crashed" : "",
            count.network ? ", something answered" : "",
            count.given_up ? ", given up" : "",
            count.inconclusive ? ", inconclusive" : "",
            count.over ? ", over" : "");
}

static void print_records(const struct report *self) {
    if (self->records_err) {
        printf("\n  otadata   %s\n", baton_strerror(self->records_err));
        return;
    }
    printf("\n");
    for (int copy = 0; copy < 2; copy++) {
        const struct baton_slot_record *record = &self->records.copy[copy];
        uint32_t slot = baton_slots_slot(record, self->slot_count);
        printf("  record %d  ", copy);
        if (record->seq == UINT32_MAX) {
            printf("blank\n");
            continue;
        }
        printf("sequence %u, %s, %s, %s%s\n", (unsigned)record->seq,
                slot < BATON_SLOTS_MAX ? baton_boot_index_name((int)slot)
                                       : "no slot",
                baton_slots_state_name(record->state),
                record->crc == baton_slots_crc(record->seq) ? "CRC right"
                                                            : "CRC wrong",
                baton_slots_active(&self->records) == copy ? "  <- in force"
                                                           : "");
        print_trial(record);
    }
}

static void print_wear(const struct flash_file *file) {
    if (!file->has_board) {
        return;
    }
    uint32_t most;
    uint32_t most_addr;
    const struct baton_nor_stats *stats = &file->board.nor.stats;
    (void)count_erases(file, &most, &most_addr);
    printf("\n  flash     %llu operations: %llu sector erases, %llu block "
           "erases, %llu page programs\n",
            (unsigned long long)stats->operations,
            (unsigned long long)stats->sector_erases,
            (unsigned long long)stats->block_erases,
            (unsigned long long)stats->page_programs);
    if (most > 0) {
        printf("  wear      most worn sector: 0x%06x, %u erases\n",
                (unsigned)most_addr, (unsigned)most);
    }
    if (stats->violations > 0) {
        printf("  faults    %llu programs refused for breaking the rules of "
               "NOR\n",
                (unsigned long long)stats->violations);
    }
}

static void print_text(const struct report *self) {
    const struct flash_file *file = &self->file;
    printf("%s: %u KiB flash", file->path, (unsigned)(file->size_bytes >> 10));
    if (file->is_chip_known) {
        printf(", %s", flash_chip_text(file->chip.id));
    }
    if (file->has_board) {
        char mac[18];
        format_mac(file->board.mac, mac);
        printf(" v%u.%u, MAC %s, secure version %u, %u boots",
                file->chip.revision / 100u, file->chip.revision % 100u, mac,
                (unsigned)file->chip.secure_version,
                (unsigned)file->board.boots);
    }
    printf("\n");
    if (file->table_err) {
        printf("  the partition table at 0x%x: %s\n", BATON_TABLE_ADDR,
                baton_strerror(file->table_err));
    } else {
        print_rows(self);
        print_records(self);
    }
    print_wear(file);
}

int cmd_flash_info(int argc, char **argv) {
    static const struct option options[] = {
            {"help", no_argument, NULL, 'h'},
            {"json", no_argument, NULL, 'j'},
            {NULL, 0, NULL, 0},
    };
    bool as_json = false;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            print_help();
            return CLI_OK;
        }
        if (option != 'j') {
            return cli_usage(COMMAND, "see the options");
        }
        as_json = true;
        cli_refuse_in_json();
    }
    if (optind + 1 != argc) {
        return cli_usage(COMMAND, "give one flash file");
    }
    struct report *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return cli_refuse(COMMAND, NULL, BATON_ERR_NOMEM);
    }
    int code = CLI_REFUSED;
    if (flash_file_open(&self->file, COMMAND, argv[optind], false)) {
        examine(self);
        if (as_json) {
            print_json(self);
        } else {
            print_text(self);
        }
        code = self->file.table_err ? CLI_REFUSED : CLI_OK;
        flash_file_close(&self->file);
    }
    free(self);
    return code;
}
