// The board's second-stage bootloader: decides, loads, jumps.
// SPDX-License-Identifier: MIT
//
// The decision is core/boot.c's, on flash unit 1. What is chosen has been
// verified; its segments are then copied to RAM. A firmware on trial starts with
// a deadline: the timer's interrupt, like any trap, comes back here and resets
// the board, and the next boot gives the trial up.
#include <string.h>

#include "baton-freestanding/crypto.h"
#include "baton/error.h"
#include "baton/image.h"
#include "board.h"
#include "cut.h"
#include "flash.h"

#define SEGMENT_HEADER_BYTES 8u
#define INTERRUPT            0x80000000u

_Noreturn void board_main(void);
_Noreturn void board_trap(uint32_t cause, uint32_t pc, uint32_t value);

static struct board_flash flash;
static struct baton_image image;
static uint8_t work[4096];

static struct board_handover *begin_handover(void) {
    struct board_handover *handover = board_handover();
    if (handover->magic != BOARD_HANDOVER_MAGIC) {
        memset(handover, 0, sizeof(*handover));
        handover->magic = BOARD_HANDOVER_MAGIC;
        handover->next_cause = BOARD_CAUSE_POWER_ON;
    }
    handover->cause = handover->next_cause;
    handover->next_cause = 0;
    handover->boots++;
    return handover;
}

static uint32_t get_u32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16
           | (uint32_t)p[3] << 24;
}

static bool fits_ram(uint32_t addr, uint32_t len) {
    return addr >= BOARD_RAM_ADDR && addr < BOARD_RAM_END
           && len <= BOARD_RAM_END - addr;
}

// Copies what the image loads to RAM. What a chip would read through its flash
// mapping stays where it is: here only the descriptor lies there.
static int load_segments(const struct baton_boot_result *result) {
    const struct baton_image_header *header = &result->info.header;
    uint32_t addr = result->addr + BATON_IMAGE_HEADER_BYTES;
    bool has_entry = false;
    for (unsigned i = 0; i < header->segment_count; i++) {
        uint8_t raw[SEGMENT_HEADER_BYTES];
        int err = flash.records.read(&flash, addr, raw, sizeof(raw));
        if (err != 0) {
            return err;
        }
        uint32_t to = get_u32(raw);
        uint32_t len = get_u32(raw + 4);
        addr += SEGMENT_HEADER_BYTES;
        if (!baton_chip_is_mapped(BOARD_CHIP_ID, 0, to)) {
            if (!fits_ram(to, len)) {
                return BATON_ERR_IMAGE_SEGMENT;
            }
            err = flash.records.read(&flash, addr, (void *)to, len);
            if (err != 0) {
                return err;
            }
            has_entry |= header->entry_addr - to < len;
        }
        addr += len;
    }
    return has_entry ? 0 : BATON_ERR_IMAGE_SEGMENT;
}

static void print_number(const char *before, int value) {
    board_print(before);
    board_print_hex((uint32_t)value);
}

// Numbers, as texts would double the bootloader; the firmware has the texts.
static void print_events(const struct baton_boot_result *result) {
    for (unsigned i = 0; i < result->event_count; i++) {
        const struct baton_boot_event *event = &result->events[i];
        print_number("baton: step ", event->step);
        print_number(" of ", event->index);
        print_number(" err ", event->err);
        print_number(" value ", (int)event->value);
        board_print("\n");
    }
}

// The record in force is on trial, and it is its slot that boots.
static bool is_trial(const struct baton_boot_result *result) {
    int copy = baton_slots_active(&result->records);
    if (!result->has_otadata || copy < 0) {
        return false;
    }
    const struct baton_slot_record *record = &result->records.copy[copy];
    return record->state == BATON_STATE_PENDING
           && baton_slots_slot(record, result->layout.slot_rows)
                      == (uint32_t)result->index;
}

static void print_choice(const struct baton_boot_result *result) {
    int index = result->index;
    board_print("baton: ");
    if (index >= 0) {
        char slot[2] = {(char)('0' + index % 10), 0};
        board_print(index >= 10 ? "ota_1" : "ota_");
        board_print(slot);
    } else {
        board_print(index == BATON_BOOT_TEST ? "test" : "factory");
    }
    board_print(" ");
    board_print(result->info.descriptor.version);
    board_print(is_trial(result) ? " on trial\n" : "\n");
}

static void decide(struct baton_boot_result *result) {
    struct baton_crypto crypto;
    baton_crypto_init(&crypto);
    struct baton_chip chip = {.id = BOARD_CHIP_ID};
    struct baton_boot_config config = {
            .flash = &flash.records,
            .crypto = &crypto,
            .chip = &chip,
            .work = work,
            .work_len = sizeof(work),
    };
    baton_boot_decide(&image, &config, result);
}

void board_main(void) {
    struct board_handover *handover = begin_handover();
    struct baton_boot_result *result = &handover->result;
    board_uart_begin();
    board_flash_begin(&flash);
    board_cut_install(&flash);
    decide(result);
    if (result->index == BATON_BOOT_NONE) {
        print_events(result);
        board_print("baton: nothing boots\n");
        board_fail();
    }
    print_choice(result);
    int err = load_segments(result);
    if (err != 0) {
        print_number("baton: cannot be loaded, err ", err);
        board_print("\n");
        // A trial is given up by the next boot; anything else would only come
        // here again.
        if (is_trial(result)) {
            board_reset(BOARD_CAUSE_PANIC);
        }
        board_fail();
    }
    board_set_deadline(is_trial(result) ? BOARD_TRIAL_MS : 0);
    __asm volatile("fence.i" ::: "memory");
    ((void (*)(void))result->info.header.entry_addr)();
    board_reset(BOARD_CAUSE_PANIC); // a firmware that returns has failed
}

void board_trap(uint32_t cause, uint32_t pc, uint32_t value) {
    if ((cause & INTERRUPT) != 0) {
        board_print("\nbaton: the trial's time is over\n");
        board_reset(BOARD_CAUSE_WATCHDOG);
    }
    struct board_handover *handover = board_handover();
    handover->trap[0] = cause;
    handover->trap[1] = pc;
    handover->trap[2] = value;
    print_number("\nbaton: trap ", (int)cause);
    print_number(" at ", (int)pc);
    print_number(" value ", (int)value);
    board_print("\n");
    board_reset(BOARD_CAUSE_PANIC);
}
