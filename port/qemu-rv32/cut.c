// Power cuts at a chosen flash command.
// SPDX-License-Identifier: MIT
#include "cut.h"

#include <string.h>

#include "board.h"

#define PLAN_ADDR  (BOARD_HANDOVER_ADDR + 0xF00u)
#define KEPT_BYTES 1024u

static uint8_t buffer[BOARD_FLASH_BUFFER_BYTES];

struct board_cut *board_cut_plan(void) {
    return (struct board_cut *)PLAN_ADDR;
}

static void fill_random(uint8_t *out, size_t len, uint32_t seed) {
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525u + 1013904223u;
        out[i] = (uint8_t)(seed >> 24);
    }
}

static void tear_erase(uint32_t at, uint32_t kind, uint32_t seed) {
    size_t len = kind == BOARD_CUT_TORN ? KEPT_BYTES : sizeof(buffer);
    if (kind == BOARD_CUT_TORN) {
        memcpy(buffer, board_flash_bytes(at), len);
    } else {
        fill_random(buffer, len, seed);
    }
    board_flash_erase_sector(at);
    board_flash_write_buffer(at, buffer, len);
}

// A bit that was to be cleared is, or not: rubbish is or-ed to what was to be
// there, and what was there stays on top.
static void tear_program(uint32_t at, const uint8_t *data, size_t len,
        uint32_t kind, uint32_t seed) {
    if (kind == BOARD_CUT_TORN) {
        if (len > 1) {
            board_flash_write_buffer(at, data, len / 2);
        }
        return;
    }
    const uint8_t *old = board_flash_bytes(at);
    fill_random(buffer, len, seed);
    for (size_t i = 0; i < len; i++) {
        buffer[i] = (uint8_t)(old[i] & (data[i] | buffer[i]));
    }
    board_flash_write_buffer(at, buffer, len);
}

static void follow_plan(uint32_t at, const uint8_t *data, size_t len) {
    struct board_cut *plan = board_cut_plan();
    if (plan->magic != BOARD_CUT_MAGIC || ++plan->count != plan->at) {
        return;
    }
    bool is_torn =
            plan->kind == BOARD_CUT_TORN || plan->kind == BOARD_CUT_GARBAGE;
    if (data == NULL && is_torn) {
        tear_erase(at, plan->kind, plan->count);
    } else if (data == NULL && plan->kind == BOARD_CUT_AFTER) {
        board_flash_erase_sector(at);
    } else if (is_torn) {
        tear_program(at, data, len, plan->kind, plan->count);
    } else if (plan->kind == BOARD_CUT_AFTER) {
        board_flash_write_buffer(at, data, len);
    }
    board_power_off();
}

void board_cut_install(struct board_flash *flash) {
    flash->on_command = follow_plan;
}
