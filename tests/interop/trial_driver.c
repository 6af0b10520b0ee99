// Counts, marks and ends trials as told on standard input, for another program
// to do the same with the records (tests/interop/test_trial_records.py).
// SPDX-License-Identifier: MIT
//
// A case is a line of words: both records as 64 hexadecimal digits each, the
// unit that flash is programmed in, how many slots there are, which runs, the
// caps of boots and failures, then what is done and its number:
//   boot CAUSE, mark 0, network 0, end WHY
// The answer: error, verdict, boots, both records, erases and programs.
#include <stdio.h>
#include <string.h>

#include "baton/error.h"
#include "baton/trial.h"

enum { SECTORS = 2, RECORD = 32 };

static uint8_t memory[SECTORS * BATON_SECTOR_BYTES];
static unsigned erases;
static unsigned programs;

static int read_flash(void *context, uint32_t addr, void *buf, size_t len) {
    (void)context;
    memcpy(buf, memory + addr, len);
    return 0;
}

static int program_flash(
        void *context, uint32_t addr, const void *buf, size_t len) {
    (void)context;
    for (size_t i = 0; i < len; i++) {
        memory[addr + i] &= ((const uint8_t *)buf)[i];
    }
    programs++;
    return 0;
}

static int erase_flash(void *context, uint32_t addr, size_t len) {
    (void)context;
    memset(memory + addr, 0xFF, len);
    erases++;
    return 0;
}

static bool set_record(int copy, const char *hex) {
    for (size_t i = 0; i < RECORD; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1) {
            return false;
        }
        memory[(size_t)copy * BATON_SECTOR_BYTES + i] = (uint8_t)byte;
    }
    return true;
}

static void print_record(int copy) {
    putchar(' ');
    for (size_t i = 0; i < RECORD; i++) {
        printf("%02x", memory[(size_t)copy * BATON_SECTOR_BYTES + i]);
    }
}

static void run(const struct baton_trial_config *config, const char *word,
        unsigned value) {
    enum baton_trial_verdict verdict = BATON_TRIAL_NONE;
    struct baton_trial_count count = {0};
    int err = BATON_ERR_ARG;
    if (strcmp(word, "boot") == 0) {
        err = baton_trial_boot(
                config, (enum baton_cause)value, &verdict, &count);
    } else if (strcmp(word, "mark") == 0) {
        err = baton_trial_mark_reset(config);
    } else if (strcmp(word, "network") == 0) {
        err = baton_trial_note_network(config);
    } else if (strcmp(word, "end") == 0) {
        err = baton_trial_end(config, (enum baton_trial_end)value);
    }
    unsigned boots = verdict == BATON_TRIAL_GOES_ON ? count.boots : 0;
    printf("%d %d %u", err, (int)verdict, boots);
    print_record(0);
    print_record(1);
    printf(" %u %u\n", erases, programs);
}

int main(void) {
    char first[80];
    char second[80];
    char word[16];
    unsigned unit, slots, running, boots, failures, value;
    while (scanf("%79s %79s %u %u %u %u %u %15s %u", first, second, &unit,
                   &slots, &running, &boots, &failures, word, &value)
            == 9) {
        struct baton_flash flash = {.read = read_flash,
                .program = program_flash,
                .erase = erase_flash,
                .size_bytes = sizeof(memory),
                .program_bytes = unit};
        struct baton_trial_config config = {.flash = &flash,
                .slot_count = slots,
                .running = running,
                .max_boots = (uint8_t)boots,
                .max_failures = (uint8_t)failures};
        memset(memory, 0xFF, sizeof(memory));
        erases = programs = 0;
        if (!set_record(0, first) || !set_record(1, second)) {
            return 2;
        }
        run(&config, word, value);
    }
    return 0;
}
