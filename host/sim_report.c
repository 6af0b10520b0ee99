// How a simulation ended, in one line and as JSON.
// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#include <string.h>

#include "flash_file.h"
#include "sim.h"

static const struct {
    int code;
    const char *text;
} ends[] = {
        [SIM_END_NOT_YET] = {1, "not ended"},
        [SIM_END_SCRIPTS] = {0, "scripts ended"},
        [SIM_END_REPL] = {0, "REPL closed"},
        [SIM_END_ASLEEP] = {0, "asleep for ever"},
        [SIM_END_NOTHING_BOOTS] = {1, "nothing boots"},
        [SIM_END_EXCEPTION] = {3, "a script ended in an exception"},
        [SIM_END_MAX_BOOTS] = {4, "maximum of boots reached"},
        [SIM_END_TIMEOUT] = {5, "time is up"},
        [SIM_END_NO_INTERPRETER] = {6, "the interpreter does not start"},
        [SIM_END_INTERRUPTED] = {128, "interrupted"},
};

int sim_exit_code(const struct sim *self) {
    int code = ends[self->end].code;
    return self->end == SIM_END_INTERRUPTED ? code + self->end_signal : code;
}

// The record's state of the slot that ran, as the application would be told:
// the first copy with a right CRC that points at it. NULL: no record does.
static const char *slot_state(const struct sim *self) {
    struct baton_partition rows[BATON_TABLE_ROWS_MAX];
    struct baton_slots records;
    size_t row_count = 0;
    const struct baton_board_state *state = self->board.state;
    uint8_t *bytes = self->board.flash_bytes;
    if (state->running < 0
            || flash_load_table(bytes, state->flash_bytes, rows, &row_count)
                       != 0) {
        return NULL;
    }
    const struct baton_partition *otadata = baton_table_find(
            rows, row_count, BATON_TYPE_DATA, BATON_SUBTYPE_DATA_OTA);
    uint32_t count = baton_table_slot_count(rows, row_count);
    if (otadata == NULL || otadata->size_bytes < BATON_OTADATA_BYTES
            || otadata->addr > state->flash_bytes - BATON_OTADATA_BYTES) {
        return NULL;
    }
    for (int copy = 0; copy < 2; copy++) {
        struct baton_slot_record *record = &records.copy[copy];
        baton_slots_decode(
                bytes + otadata->addr + (uint32_t)copy * BATON_SECTOR_BYTES,
                record);
        if (record->seq != UINT32_MAX
                && record->crc == baton_slots_crc(record->seq)
                && baton_slots_slot(record, count)
                           == (uint32_t)state->running) {
            return baton_slots_state_name(record->state);
        }
    }
    return NULL;
}

static bool has_run(const struct sim *self) {
    return self->starts > 0;
}

static void print_line(const struct sim *self) {
    const struct baton_nor_stats *now = &self->board.state->nor.stats;
    const struct baton_nor_stats *then = &self->stats_before;
    const char *state = slot_state(self);
    // Where nothing else is printed the line must not be taken for output of
    // the firmware.
    FILE *out =
            self->options.is_quiet || self->options.as_json ? stderr : stdout;
    fflush(stdout);
    fprintf(out, "%sbaton sim: %s after %u boot%s",
            self->options.is_quiet ? "" : "\n", ends[self->end].text,
            (unsigned)self->boots, self->boots == 1 ? "" : "s");
    if (has_run(self)) {
        fprintf(out, ": %s%s%s%s%s",
                baton_boot_index_name(self->board.state->running),
                self->names.version[0] != '\0' ? " " : "", self->names.version,
                state != NULL ? " " : "", state != NULL ? state : "");
    }
    uint64_t us = self->board.state->clock_us - self->clock_before_us;
    fprintf(out,
            "; flash %llu operations, %llu erases; %llu.%01llu s on the "
            "virtual clock\n",
            (unsigned long long)(now->operations - then->operations),
            (unsigned long long)(now->sector_erases - then->sector_erases
                                 + now->block_erases - then->block_erases),
            (unsigned long long)(us / 1000000),
            (unsigned long long)(us / 100000 % 10));
}

static void add_cut(cJSON *json, const struct sim *self) {
    const struct baton_nor_state *nor = &self->board.state->nor;
    if (nor->cuts == self->cuts_before) {
        cJSON_AddNullToObject(json, "cut");
        return;
    }
    cJSON *cut = cJSON_AddObjectToObject(json, "cut");
    cJSON_AddNumberToObject(cut, "operation",
            (double)(nor->last_cut_number - self->stats_before.operations));
    cJSON_AddStringToObject(cut, "mode",
            baton_nor_cut_name((enum baton_nor_cut)nor->last_cut_mode));
    cJSON_AddStringToObject(
            cut, "of", baton_nor_op_name((enum baton_nor_op)nor->last_cut_op));
    cJSON_AddNumberToObject(cut, "addr", nor->last_cut_addr);
    cJSON_AddNumberToObject(cut, "length", nor->last_cut_bytes);
    cJSON_AddNumberToObject(cut, "torn_bytes", nor->last_cut_torn);
}

static void add_number(
        cJSON *json, const char *name, uint64_t now, uint64_t then) {
    cJSON_AddNumberToObject(json, name, (double)(now - then));
}

static void print_json(const struct sim *self) {
    const struct baton_board_state *state = self->board.state;
    const struct baton_nor_stats *now = &state->nor.stats;
    const struct baton_nor_stats *then = &self->stats_before;
    const char *slot =
            has_run(self) ? baton_boot_index_name(state->running) : NULL;
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "end", ends[self->end].text);
    cJSON_AddNumberToObject(json, "exit", sim_exit_code(self));
    cJSON_AddNumberToObject(json, "boots", self->boots);
    cJSON_AddNumberToObject(json, "starts", self->starts);
    cJSON_AddNumberToObject(json, "crashes", self->crashes);
    const char *texts[][2] = {{"slot", slot},
            {"version", slot != NULL ? self->names.version : NULL},
            {"state", slot != NULL ? slot_state(self) : NULL}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cJSON_AddItemToObject(json, texts[i][0],
                texts[i][1] != NULL ? cJSON_CreateString(texts[i][1])
                                    : cJSON_CreateNull());
    }
    add_cut(json, self);
    add_number(json, "operations", now->operations, then->operations);
    add_number(json, "sector_erases", now->sector_erases, then->sector_erases);
    add_number(json, "block_erases", now->block_erases, then->block_erases);
    add_number(json, "page_programs", now->page_programs, then->page_programs);
    add_number(json, "bytes_programmed", now->bytes_programmed,
            then->bytes_programmed);
    add_number(json, "bytes_read", now->bytes_read, then->bytes_read);
    add_number(json, "violations", now->violations, then->violations);
    add_number(json, "flash_busy_us", now->busy_us, then->busy_us);
    add_number(json, "virtual_us", state->clock_us, self->clock_before_us);
    char *text = cJSON_PrintUnformatted(json);
    if (text != NULL) {
        puts(text);
    }
    cJSON_free(text);
    cJSON_Delete(json);
}

void sim_report(const struct sim *self) {
    print_line(self);
    if (self->options.as_json) {
        print_json(self);
    }
    fflush(stdout);
}
