// Images that hold made-up programs, as two builds of one source would.
// SPDX-License-Identifier: MIT
#include "programs.h"

#include <stdlib.h>
#include <string.h>

#define DESCRIPTOR_BYTES 288u
#define CONSTANTS        200u // of 16 bytes each

struct program {
    const struct programs_spec *spec;
    uint32_t code_addr;
    uint32_t data_addr; // of the constants
    uint32_t constants;
    uint32_t *starts; // of the functions, from the code's beginning
    uint8_t *out;     // NULL: only count
    uint32_t at;
};

uint32_t programs_random(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void put(struct program *self, uint32_t word, unsigned len) {
    for (unsigned i = 0; i < len; i++, self->at++) {
        if (self->out != NULL) {
            self->out[self->at] = (uint8_t)(word >> (8 * i));
        }
    }
}

static uint32_t jal(uint32_t offset) {
    return 0xEF | (offset >> 20 & 1) << 31 | (offset >> 1 & 0x3FF) << 21
           | (offset >> 11 & 1) << 20 | (offset >> 12 & 0xFF) << 12;
}

static void put_rv32(struct program *self, uint32_t choice, uint32_t number) {
    uint32_t reg = 10 + number % 6;
    uint32_t function = number % self->spec->functions;
    uint32_t target = self->data_addr + number % self->constants * 16;
    uint32_t offset = target - (self->code_addr + self->at);
    if (choice < 3) {
        put(self, jal(self->starts[function] - self->at), 4);
    } else if (choice < 5) {
        put(self, 0x17 | reg << 7 | ((offset + 0x800) & 0xFFFFF000), 4);
        put(self, 0x13 | reg << 7 | reg << 15 | (offset & 0xFFF) << 20, 4);
    } else if (choice < 6) {
        put(self, 0x13 | reg << 7 | (200 + number % 900) << 20, 4);
    } else if (choice < 8) {
        put(self, 0x4501 | reg << 7, 2); // c.li
        put(self, 0x8082 ^ (number & 0x40), 2);
    } else {
        put(self, 0x03 | reg << 7 | 8 << 15 | (number & 0x7FC) << 20, 4);
    }
}

static void put_xtensa(struct program *self, uint32_t choice, uint32_t number) {
    uint32_t function = number % self->spec->functions;
    uint32_t here = self->code_addr + self->at;
    if (choice < 4) {
        uint32_t target = self->code_addr + self->starts[function];
        uint32_t offset = (target - ((here & ~3u) + 4)) >> 2;
        put(self, 0x25 | offset << 6, 3); // call8
    } else if (choice < 6) {
        put(self, 0x21 | (0xFFFF - number % 8) << 8, 3); // l32r
    } else if (choice < 7) {
        put(self, 0xA002 | (number & 0x70) | number << 16, 3); // movi
    } else {
        put(self, number % 2 != 0 ? 0x000008 | (number & 0xFF0) : 0x20, 3);
    }
}

static void put_function(struct program *self, unsigned i) {
    uint32_t state = self->spec->seed + i * 7919u;
    unsigned count = 8 + programs_random(&state) % 16;
    bool is_xtensa = self->spec->chip_id == 0;
    self->starts[i] = self->at;
    if (is_xtensa) {
        for (unsigned k = 0; k < 3; k++) {
            put(self,
                    self->data_addr
                            + programs_random(&state) % self->constants * 16,
                    4);
        }
        self->starts[i] = self->at;
        put(self, 0x004136, 3); // entry
    }
    count += i == self->spec->changed ? 5 : 0;
    for (unsigned k = 0; k < count; k++) {
        uint32_t number = programs_random(&state);
        uint32_t choice = programs_random(&state) % 10;
        if (is_xtensa) {
            put_xtensa(self, choice, number);
        } else {
            put_rv32(self, choice, number);
        }
    }
    while (self->at % 4 != 0) {
        put(self, 0, 1);
    }
}

static void put_functions(struct program *self) {
    self->at = 0;
    for (unsigned i = 0; i < self->spec->functions; i++) {
        put_function(self, i);
    }
}

void programs_make(struct images *self, const struct programs_spec *spec) {
    bool is_xtensa = spec->chip_id == 0;
    uint32_t data = is_xtensa ? 0x3F400020 : 0x3C000020;
    uint32_t data_off = spec->constants != 0 ? 0 : DESCRIPTOR_BYTES;
    uint32_t constants = spec->constants != 0 ? spec->constants : CONSTANTS;
    struct program program = {.spec = spec,
            .code_addr = is_xtensa ? 0x400D0020 : 0x42000020,
            .data_addr = data + data_off,
            .constants = constants,
            .starts = calloc(spec->functions, sizeof(uint32_t))};
    put_functions(&program); // where they are
    uint32_t data_len = data_off + constants * 16 + 4 * spec->functions;
    struct images_spec image = {.chip_id = spec->chip_id,
            .no_descriptor = spec->constants != 0,
            .segments = {{data, data_len}, {program.code_addr, program.at}}};
    images_make(self, &image);
    uint8_t *text = self->data + 32 + data_off;
    uint32_t state = spec->seed;
    for (uint32_t i = 0; i < constants * 16; i++) {
        text[i] =
                (uint8_t)("etaoinshrdlu\0\0\0 "[programs_random(&state) % 16]);
    }
    for (uint32_t i = 0; i < spec->functions; i++) {
        uint32_t addr = program.code_addr + program.starts[i];
        for (unsigned k = 0; k < 4; k++) {
            text[constants * 16 + 4 * i + k] = (uint8_t)(addr >> (8 * k));
        }
    }
    program.out = self->data + 32 + data_len + 8;
    put_functions(&program);
    free(program.starts);
    images_seal(self);
}
