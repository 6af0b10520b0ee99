// Payload encoder: the range encoder.
// SPDX-License-Identifier: MIT
#include "codec_encode.h"

#include <stdlib.h>

// Zero bytes that a decoder takes from beyond a piece's end.
#define TRIM_MAX 4

// Bytes above the first one, which are zero: range begins as one unit of them.
#define LEAD 4

static void add_byte(struct codec_writer *self, uint8_t byte) {
    if (self->lead < LEAD) {
        self->lead++;
        return;
    }
    if (self->len == self->capacity) {
        size_t capacity = self->capacity * 2 + 65536;
        void *grown = realloc(self->bytes, capacity);
        if (grown == NULL) {
            self->failed = true;
            return;
        }
        self->bytes = grown;
        self->capacity = capacity;
    }
    self->bytes[self->len++] = byte;
}

void codec_writer_begin(struct codec_writer *self) {
    self->low = 0;
    self->range = 1;
    self->held = 0;
    self->lead = 0;
    self->first = 0;
}

// Takes the highest byte of `low`. It waits while it is 0xFF, as a carry may
// come, and so does the one before. No carry reaches beyond the first byte.
static void shift(struct codec_writer *self) {
    if (self->held == 0 || (uint32_t)self->low < 0xFF000000u
            || self->low >> 32 != 0) {
        uint8_t carry = (uint8_t)(self->low >> 32);
        uint8_t byte = self->first;
        for (; self->held != 0; self->held--) {
            add_byte(self, (uint8_t)(byte + carry));
            byte = 0xFF;
        }
        self->first = (uint8_t)(self->low >> 24);
    }
    self->held++;
    self->low = (self->low & 0x00FFFFFFu) << 8;
}

void codec_writer_put(
        struct codec_writer *self, bool yes, uint32_t probability) {
    while (self->range < 1u << 24) {
        self->range <<= 8;
        shift(self);
    }
    uint32_t bound = (self->range >> 16) * probability;
    if (yes) {
        self->range = bound;
    } else {
        self->low += bound;
        self->range -= bound;
    }
}

void codec_writer_end(struct codec_writer *self, size_t start) {
    // The roundest number in the range: its zeros need not be sent.
    for (unsigned bits = 32; bits > 0; bits--) {
        uint64_t mask = ((uint64_t)1 << bits) - 1;
        uint64_t round = (self->low + mask) & ~mask;
        if (round < self->low + self->range) {
            self->low = round;
            break;
        }
    }
    for (int i = 0; i < 5; i++) {
        shift(self);
    }
    for (int i = 0; i < TRIM_MAX && self->len > start
                    && self->bytes[self->len - 1] == 0;
            i++) {
        self->len--;
    }
}
