// What the two files of the update writer share.
// SPDX-License-Identifier: MIT
#ifndef BATON_CORE_UPDATE_PARTS_H
#define BATON_CORE_UPDATE_PARTS_H

#include "baton/update.h"

enum {
    STATE_IDLE,
    STATE_WRITING,
    STATE_VERIFYING,
    STATE_HASHING,
    STATE_DONE,
    STATE_FAILED,
};

// Sets the state to FAILED; an error sticks: later calls repeat it.
int baton_update_parts_fail(struct baton_update *self, int err);

// The sector that is filling.
uint8_t *baton_update_parts_buffer(struct baton_update *self);

int baton_update_parts_read_slot(
        struct baton_update *self, uint32_t off, void *buf, size_t len);

int baton_update_parts_compare(struct baton_update *self, uint32_t off,
        const uint8_t *data, uint32_t len, bool *is_same);

// Writes what has gathered in the buffer.
int baton_update_parts_flush(struct baton_update *self);

// That, after the last byte.
int baton_update_parts_finish(struct baton_update *self);

#endif
