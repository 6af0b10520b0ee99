// What the board's firmware does about its own slots: one struct over core/.
// SPDX-License-Identifier: MIT
#ifndef BOARD_DEVICE_H
#define BOARD_DEVICE_H

#include "baton/image.h"
#include "baton/slots.h"
#include "baton/table.h"
#include "baton/update.h"
#include "board.h"
#include "flash.h"

#define BOARD_ROWS_MAX 16u

struct board_device {
    struct board_flash flash;
    struct baton_crypto crypto;
    struct baton_chip chip;
    struct baton_partition rows[BOARD_ROWS_MAX];
    size_t row_count;
    uint32_t slot_count;
    uint32_t otadata_addr;
    const struct baton_partition *running; // NULL: not started by Baton
    struct baton_image image;              // scratch
    struct baton_update update;
    bool is_updating;
    // Two sectors, so that one that may have been in flight is written again.
    uint8_t work[2 * BOARD_FLASH_SECTOR_BYTES];
};

// Reads the table and puts the records right: call it once, first of all.
//
// Flash       reads; writes only what baton_slots_settle does
// Returns     0, those of baton_table_load and of baton_slots_settle,
//             BATON_ERR_NO_OTADATA
int board_device_begin(struct board_device *self);

// The view that erases what lies at this address.
const struct baton_flash *board_device_flash(
        const struct board_device *self, uint32_t addr);

// The slot of a partition, 0 ...; -1 where it is none.
int board_device_slot(
        const struct board_device *self, const struct baton_partition *row);

// The partition that boots next, by the records alone; NULL: none is chosen.
const struct baton_partition *board_device_boot_row(struct board_device *self);

// The slot an update goes to: the one after the running one. NULL: none.
const struct baton_partition *board_device_next_row(struct board_device *self);

// Begins an update of a slot; one that is under way is given up.
//
// Returns     0, BATON_ERR_SLOT, BATON_ERR_STATE (not started by Baton),
//             BATON_ERR_ON_TRIAL, and those of baton_update_begin
int board_device_update_begin(struct board_device *self,
        const struct baton_partition *row, uint32_t image_bytes);

// Verifies the image in a slot and makes it the one to boot next, on trial.
//
// Returns     0, BATON_ERR_SLOT, those of baton_image_verify and of
//             baton_slots_switch
int board_device_switch(
        struct board_device *self, const struct baton_partition *row);

// The state of the record that points at a slot.
//
// Returns     0, BATON_ERR_NOENT (no record does), BATON_ERR_SLOT
int board_device_state(struct board_device *self,
        const struct baton_partition *row, uint32_t *state);

// True where a boot without the record in force would find a good image.
bool board_device_can_roll_back(struct board_device *self);

// Confirms the running firmware, and takes the trial's deadline away.
//
// Returns     0, BATON_ERR_STATE, and those of baton_slots_confirm
int board_device_confirm(struct board_device *self);

// Rejects the running firmware: a reset then boots the other one.
//
// Returns     0, BATON_ERR_STATE, BATON_ERR_NOTHING_BOOTS (there is no other),
//             and those of baton_slots_reject
int board_device_reject(struct board_device *self);

#endif
