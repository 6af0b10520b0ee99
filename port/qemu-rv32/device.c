// What the board's firmware does about its own slots.
// SPDX-License-Identifier: MIT
#include "device.h"

#include "baton-freestanding/crypto.h"
#include "baton/error.h"
#include "cut.h"

static const struct baton_partition *find_slot(
        const struct board_device *self, uint32_t slot) {
    return baton_table_find(self->rows, self->row_count, BATON_TYPE_APP,
            (uint8_t)(BATON_SUBTYPE_APP_OTA_0 + slot));
}

int board_device_slot(
        const struct board_device *self, const struct baton_partition *row) {
    bool is_slot = row != NULL && row->type == BATON_TYPE_APP
                   && row->subtype >= BATON_SUBTYPE_APP_OTA_0
                   && row->subtype < BATON_SUBTYPE_APP_OTA_0 + self->slot_count;
    return is_slot ? row->subtype - BATON_SUBTYPE_APP_OTA_0 : -1;
}

static int load_table(struct board_device *self) {
    struct baton_table_options options = {
            .crypto = &self->crypto,
            .hash = &self->image.hash,
    };
    int err = baton_table_load(&self->flash.records, &options, self->rows,
            BOARD_ROWS_MAX, &self->row_count);
    if (err != 0) {
        return err;
    }
    const struct baton_partition *otadata = baton_table_find(self->rows,
            self->row_count, BATON_TYPE_DATA, BATON_SUBTYPE_DATA_OTA);
    self->slot_count = baton_table_slot_count(self->rows, self->row_count);
    if (otadata == NULL || self->slot_count == 0) {
        return BATON_ERR_NO_OTADATA;
    }
    self->otadata_addr = otadata->addr;
    return 0;
}

// What the bootloader left; another one, or none, leaves nothing.
static void find_running(struct board_device *self) {
    const struct board_handover *handover = board_handover();
    self->running = NULL;
    for (size_t i = 0; i < self->row_count; i++) {
        const struct baton_partition *row = &self->rows[i];
        if (handover->magic == BOARD_HANDOVER_MAGIC
                && handover->result.index != BATON_BOOT_NONE
                && row->type == BATON_TYPE_APP
                && row->addr == handover->result.addr) {
            self->running = row;
        }
    }
}

int board_device_begin(struct board_device *self) {
    board_flash_begin(&self->flash);
    board_flash_begin_esp32(&self->flash);
    board_cut_install(&self->flash);
    baton_crypto_init(&self->crypto);
    self->chip = (struct baton_chip){.id = BOARD_CHIP_ID};
    self->running = NULL;
    self->is_updating = false;
    int err = load_table(self);
    if (err != 0) {
        return err;
    }
    find_running(self);
    int slot = board_device_slot(self, self->running);
    return slot < 0 ? 0
                    : baton_slots_settle(&self->flash.records,
                            self->otadata_addr, self->slot_count,
                            (uint32_t)slot);
}

const struct baton_flash *board_device_flash(
        const struct board_device *self, uint32_t addr) {
    return addr < BOARD_FLASH_SMALL_BYTES ? &self->flash.records
                                          : &self->flash.images;
}

const struct baton_partition *board_device_boot_row(struct board_device *self) {
    struct baton_slots slots;
    if (baton_slots_load(&self->flash.records, self->otadata_addr, &slots)
            != 0) {
        return NULL;
    }
    int active = baton_slots_active(&slots);
    return active < 0 ? NULL
                      : find_slot(self, baton_slots_slot(&slots.copy[active],
                                                self->slot_count));
}

const struct baton_partition *board_device_next_row(struct board_device *self) {
    int slot = board_device_slot(self, self->running);
    uint32_t next = (uint32_t)(slot + 1) % self->slot_count;
    return (int)next == slot ? NULL : find_slot(self, next);
}

int board_device_update_begin(struct board_device *self,
        const struct baton_partition *row, uint32_t image_bytes) {
    if (board_device_slot(self, row) < 0) {
        return BATON_ERR_SLOT;
    }
    if (self->running == NULL) {
        return BATON_ERR_STATE;
    }
    uint32_t state;
    if (board_device_state(self, self->running, &state) == 0
            && state == BATON_STATE_PENDING) {
        return BATON_ERR_ON_TRIAL;
    }
    struct baton_update_config config = {
            .flash = &self->flash.images,
            .crypto = &self->crypto,
            .chip = &self->chip,
            .slot_addr = row->addr,
            .slot_bytes = row->size_bytes,
            .running_addr = self->running->addr,
            .running_bytes = self->running->size_bytes,
            .image_bytes = image_bytes,
            .work = self->work,
            .work_len = sizeof(self->work),
    };
    int err = baton_update_begin(&self->update, &config);
    self->is_updating = err == 0;
    return err;
}

static int verify(
        struct board_device *self, const struct baton_partition *row) {
    struct baton_image_config config = {
            .crypto = &self->crypto,
            .chip = &self->chip,
    };
    uint8_t work[512];
    return baton_image_verify(&self->image, &config, &self->flash.images,
            row->addr, row->size_bytes, work, sizeof(work));
}

int board_device_switch(
        struct board_device *self, const struct baton_partition *row) {
    int slot = board_device_slot(self, row);
    int err = slot < 0 ? BATON_ERR_SLOT : verify(self, row);
    return err != 0
                   ? err
                   : baton_slots_switch(&self->flash.records,
                           self->otadata_addr, self->slot_count, (uint32_t)slot,
                           BATON_STATE_NEW, BATON_SLOTS_SAME_COPY);
}

int board_device_state(struct board_device *self,
        const struct baton_partition *row, uint32_t *state) {
    int slot = board_device_slot(self, row);
    if (slot < 0) {
        return BATON_ERR_SLOT;
    }
    struct baton_slots slots;
    int err =
            baton_slots_load(&self->flash.records, self->otadata_addr, &slots);
    if (err != 0) {
        return err;
    }
    int active = baton_slots_active(&slots);
    for (int i = 0; i < 2; i++) {
        int copy = active == 1 ? 1 - i : i; // the one in force first
        const struct baton_slot_record *record = &slots.copy[copy];
        if (record->crc == baton_slots_crc(record->seq)
                && baton_slots_slot(record, self->slot_count)
                           == (uint32_t)slot) {
            *state = record->state;
            return 0;
        }
    }
    return BATON_ERR_NOENT;
}

bool board_device_can_roll_back(struct board_device *self) {
    struct baton_slots slots;
    if (baton_slots_load(&self->flash.records, self->otadata_addr, &slots)
            != 0) {
        return false;
    }
    const struct baton_partition *other = baton_table_find(self->rows,
            self->row_count, BATON_TYPE_APP, BATON_SUBTYPE_APP_FACTORY);
    int active = baton_slots_active(&slots);
    if (active >= 0 && baton_slots_is_usable(&slots.copy[1 - active])) {
        other = find_slot(self,
                baton_slots_slot(&slots.copy[1 - active], self->slot_count));
    }
    return other != NULL && other != self->running && verify(self, other) == 0;
}

int board_device_confirm(struct board_device *self) {
    int slot = board_device_slot(self, self->running);
    if (slot < 0) {
        return BATON_ERR_STATE;
    }
    int err = baton_slots_confirm(&self->flash.records, self->otadata_addr,
            self->slot_count, (uint32_t)slot, board_device_can_roll_back(self));
    if (err == 0) {
        board_set_deadline(0);
    }
    return err;
}

int board_device_reject(struct board_device *self) {
    int slot = board_device_slot(self, self->running);
    if (slot < 0) {
        return BATON_ERR_STATE;
    }
    return !board_device_can_roll_back(self)
                   ? BATON_ERR_NOTHING_BOOTS
                   : baton_slots_reject(&self->flash.records,
                           self->otadata_addr, self->slot_count,
                           (uint32_t)slot);
}
