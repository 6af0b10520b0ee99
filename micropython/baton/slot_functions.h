// What the files of functions share: handles, chips, the form of a function.
// SPDX-License-Identifier: MIT
#ifndef BATON_MICROPYTHON_SLOT_FUNCTIONS_H
#define BATON_MICROPYTHON_SLOT_FUNCTIONS_H

#include "baton/update.h"
#include "functions.h"
#include "partition_flash.h"

#define BATON_FUNCTION(name, least, most, function)                            \
    MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(name, least, most, function)

// Of kind BATON_HANDLE_UPDATE.
struct baton_update_handle {
    struct baton_binding_handle handle;
    struct baton_partition_flash *flash;
    // A call is under way, or ended by an exception out of the partition: the
    // update cannot go on then.
    bool is_busy;
    struct baton_chip chip;
    struct baton_crypto crypto;
    uint8_t sha256[BATON_SHA256_BYTES];
    struct baton_update update;
};

struct baton_partition_flash *baton_binding_flash(mp_obj_t object);

// The update of a handle, for a call that may not come back; ERR_STATE where
// one is under way, or did not come back. Then: the call's result, raised.
struct baton_update_handle *baton_binding_enter(mp_obj_t object);
void baton_binding_leave(struct baton_update_handle *self, int err);

// The chip of an id, or any for None. Its revision cannot be had from Python,
// so what an image demands of that is left to the bootloader.
void baton_binding_chip(struct baton_chip *chip, mp_obj_t id);

#endif
