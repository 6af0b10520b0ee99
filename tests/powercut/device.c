// A small device for power-cut sweeps, and what must hold on it.
// SPDX-License-Identifier: MIT
#include "device.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/world.h"
#include "baton/error.h"
#include "fast_crypto.h"

#define SECTOR BATON_SECTOR_BYTES
#define SLOTS  2u

static const struct baton_chip chip = {.revision = 300};

void device_fault(struct device *self, const char *format, ...) {
    if (self->fault[0] != 0) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(self->fault, sizeof(self->fault), format, args);
    va_end(args);
}

// ---- The factory ---------------------------------------------------------

uint32_t device_slot_addr(int index) {
    return 0x10000u
           + (uint32_t)(index - BATON_BOOT_FACTORY) * DEVICE_SLOT_BYTES;
}

const uint8_t *device_image_bytes(enum device_image image, size_t *len) {
    static uint8_t *made[IMAGE_COUNT];
    static size_t lens[IMAGE_COUNT];
    if (made[image] == NULL) {
        // The new image ends inside its third sector, and has a sector in
        // common with the old one.
        struct world_image spec = {
                .payload_bytes = 8200, .fill = (uint8_t)image};
        made[image] = world_make_image(&spec, &lens[image]);
    }
    *len = lens[image];
    return made[image];
}

static void put_u32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint8_t *put_row(uint8_t *row, uint8_t type, uint8_t subtype,
        uint32_t addr, uint32_t size) {
    memset(row, 0, 32);
    row[0] = 0xAA;
    row[1] = 0x50;
    row[2] = type;
    row[3] = subtype;
    put_u32(row + 4, addr);
    put_u32(row + 8, size);
    row[12] = (uint8_t)('a' + subtype % 26);
    return row + 32;
}

void device_begin(struct device *self, bool rollback, bool has_factory) {
    memset(self, 0, sizeof(*self));
    memset(self->bytes, 0xFF, sizeof(self->bytes));
    self->state.powered = 1;
    self->rollback = rollback;
    self->has_factory = has_factory;
    uint8_t *row = self->bytes + BATON_TABLE_ADDR;
    row = put_row(row, BATON_TYPE_DATA, BATON_SUBTYPE_DATA_OTA,
            DEVICE_OTADATA_ADDR, BATON_OTADATA_BYTES);
    if (has_factory) {
        row = put_row(row, BATON_TYPE_APP, BATON_SUBTYPE_APP_FACTORY,
                device_slot_addr(BATON_BOOT_FACTORY), DEVICE_SLOT_BYTES);
    }
    for (int slot = 0; slot < (int)SLOTS; slot++) {
        row = put_row(row, BATON_TYPE_APP,
                (uint8_t)(BATON_SUBTYPE_APP_OTA_0 + slot),
                device_slot_addr(slot), DEVICE_SLOT_BYTES);
    }
}

void device_put_image(struct device *self, int index, enum device_image image) {
    size_t len;
    const uint8_t *bytes = device_image_bytes(image, &len);
    memcpy(self->bytes + device_slot_addr(index), bytes, len);
}

void device_put_record(
        struct device *self, int copy, uint32_t seq, uint32_t state) {
    uint8_t *at = self->bytes + DEVICE_OTADATA_ADDR + (uint32_t)copy * SECTOR;
    put_u32(at, seq);
    put_u32(at + 24, state);
    put_u32(at + 28, baton_slots_crc(seq));
}

void device_attach(struct device_port *port, struct device *device,
        const struct device_geometry *geometry) {
    port->device = device;
    int err = baton_nor_begin(&port->nor, device->bytes, DEVICE_FLASH_BYTES,
            geometry->program_bytes, &device->state, NULL);
    if (err != 0) {
        abort();
    }
    port->nor.flash.block_bytes = geometry->block_bytes;
}

// ---- Booting -------------------------------------------------------------

static enum device_image identify(const struct device *self, int index) {
    for (enum device_image image = IMAGE_FACTORY; image < IMAGE_COUNT;
            image++) {
        size_t len;
        const uint8_t *bytes = device_image_bytes(image, &len);
        if (memcmp(self->bytes + device_slot_addr(index), bytes, len) == 0) {
            return image;
        }
    }
    return IMAGE_NONE;
}

static bool record_says(
        const struct baton_boot_result *result, int slot, uint32_t state) {
    int active = baton_slots_active(&result->records);
    return active >= 0
           && baton_slots_slot(&result->records.copy[active], SLOTS)
                      == (uint32_t)slot
           && result->records.copy[active].state == state;
}

// Nothing but the new image is left to boot.
static bool is_alone(const struct device *self) {
    return !self->has_factory
           && identify(self, self->running == 0 ? 1 : 0) == IMAGE_NONE;
}

static void judge_new(
        struct device *self, const struct baton_boot_result *result) {
    if (!self->may_boot_new) {
        device_fault(self, "the new image boots before a switch was begun");
    }
    if (self->was_rejected) {
        device_fault(self, "a rejected image boots");
    }
    bool on_trial = record_says(result, result->index, BATON_STATE_PENDING);
    bool settled = record_says(result, result->index, BATON_STATE_VALID)
                   && self->confirm_begun;
    bool is_known = !self->rollback || on_trial || settled || is_alone(self);
    if (!is_known && self->weak_record) {
        self->residues++;
    } else if (!is_known) {
        device_fault(self, "the new image boots without a trial");
    }
    self->trials += on_trial ? 1 : 0;
    self->trial_boots += on_trial ? 1 : 0;
    // The boot after the last allowed finds out that it is one too many. Each
    // cut may make rubbish of a count, and begin it anew.
    uint32_t cuts = self->cuts - self->cuts_then;
    if (self->trial_boots > (cuts + 1u) * (DEVICE_TRIAL_BOOTS + 1u)) {
        device_fault(self, "a trial does not end");
    }
    if (on_trial && self->trial_over && self->weak_record) {
        self->residues++;
    } else if (on_trial && self->trial_over) {
        device_fault(self, "a trial that is over goes on");
    }
}

static void judge_boot(
        struct device *self, const struct baton_boot_result *result) {
    if (result->index == BATON_BOOT_NONE) {
        device_fault(self, "nothing boots");
        return;
    }
    self->running = result->index;
    self->image = identify(self, result->index);
    if (self->image == IMAGE_NONE) {
        device_fault(self, "%s boots and is none of the images",
                baton_boot_index_name(result->index));
    } else if (self->image == IMAGE_NEW) {
        judge_new(self, result);
    }
    bool left = self->confirmed != IMAGE_NONE && self->image != self->confirmed;
    bool is_trial = self->image == IMAGE_NEW && self->may_boot_new;
    if (left && !is_trial && !self->may_leave) {
        device_fault(self, "confirmed image %d was left for %d",
                (int)self->confirmed, (int)self->image);
    }
    if (self->must_boot_new && self->image != IMAGE_NEW && !self->may_leave) {
        device_fault(self, "a finished switch was lost");
    }
}

void device_power_on(struct device_port *port) {
    struct device *self = port->device;
    bool is_otadata = self->state.last_cut_addr >= DEVICE_OTADATA_ADDR
                      && self->state.last_cut_addr
                                 < DEVICE_OTADATA_ADDR + BATON_OTADATA_BYTES;
    if (is_otadata && self->state.last_cut_mode == BATON_NOR_CUT_WEAK) {
        self->weak_record = true;
    }
    self->cuts++;
    self->cause = BATON_CAUSE_POWER;
    baton_nor_power_on(&port->nor);
}

bool device_boot(struct device_port *port) {
    static struct baton_image image;
    static uint8_t work[1024];
    struct device *self = port->device;
    struct baton_boot_config config = {.flash = &port->nor.flash,
            .crypto = fast_crypto(),
            .chip = &chip,
            .no_rollback = !self->rollback,
            .work = work,
            .work_len = sizeof(work)};
    struct baton_boot_result result;
    if (baton_boot_decide(&image, &config, &result) != 0) {
        device_fault(self, "the boot decision refuses its configuration");
        return false;
    }
    if (self->state.powered == 0) {
        return false;
    }
    judge_boot(self, &result);
    return self->fault[0] == 0;
}

// ---- Updating ------------------------------------------------------------

static struct baton_update_config configure(
        struct device_port *port, int slot, void *work, size_t work_len) {
    size_t len;
    device_image_bytes(IMAGE_NEW, &len);
    struct baton_update_config config = {.flash = &port->nor.flash,
            .crypto = fast_crypto(),
            .chip = &chip,
            .slot_addr = device_slot_addr(slot),
            .slot_bytes = DEVICE_SLOT_BYTES,
            .running_addr = device_slot_addr(port->device->running),
            .running_bytes = DEVICE_SLOT_BYTES,
            .image_bytes = (uint32_t)len,
            .work = work,
            .work_len = work_len};
    return config;
}

static uint32_t count_wrong_sectors(const struct device *self, int slot) {
    size_t len;
    const uint8_t *image = device_image_bytes(IMAGE_NEW, &len);
    const uint8_t *at = self->bytes + device_slot_addr(slot);
    uint32_t wrong = 0;
    for (size_t off = 0; off < len; off += SECTOR) {
        size_t take = len - off < SECTOR ? len - off : SECTOR;
        wrong += memcmp(at + off, image + off, take) != 0;
    }
    return wrong;
}

static int write_forward(
        struct baton_update *update, const uint8_t *image, size_t len) {
    // A piece that is no divisor of a sector, as networks give them.
    int err = 0;
    for (size_t at = 0; at < len && err == 0; at += 1460) {
        size_t take = len - at < 1460 ? len - at : 1460;
        err = baton_update_write(update, image + at, take);
    }
    return err;
}

static int write_shuffled(
        struct baton_update *update, const uint8_t *image, size_t len) {
    static const uint32_t order[] = {2, 0, 1};
    int err = 0;
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]) && err == 0; i++) {
        uint32_t off = order[i] * SECTOR;
        size_t take = len - off < SECTOR ? len - off : SECTOR;
        err = baton_update_write_at(update, off, image + off, take);
    }
    return err;
}

// What the slot reads as after a finished update, weak bits included.
static bool reads_right(struct device_port *port, int slot) {
    size_t len;
    const uint8_t *image = device_image_bytes(IMAGE_NEW, &len);
    uint8_t buf[1024];
    for (size_t off = 0; off < len; off += sizeof(buf)) {
        size_t take = len - off < sizeof(buf) ? len - off : sizeof(buf);
        if (port->nor.flash.read(port->nor.flash.context,
                    device_slot_addr(slot) + (uint32_t)off, buf, take)
                        != 0
                || memcmp(buf, image + off, take) != 0) {
            return false;
        }
    }
    return true;
}

static int update_once(struct device_port *port, int slot,
        enum device_order order, struct baton_update *update) {
    static uint8_t work[2 * SECTOR];
    struct baton_update_config config =
            configure(port, slot, work, sizeof(work));
    size_t len;
    const uint8_t *image = device_image_bytes(IMAGE_NEW, &len);
    int err = baton_update_begin(update, &config);
    if (err == 0) {
        err = order == ORDER_FORWARD ? write_forward(update, image, len)
                                     : write_shuffled(update, image, len);
    }
    return err != 0 ? err : baton_update_end(update);
}

int device_update(struct device_port *port, int slot, enum device_order order) {
    static struct baton_update update;
    struct device *self = port->device;
    uint8_t before[DEVICE_SLOT_BYTES];
    uint32_t running_addr = device_slot_addr(self->running);
    memcpy(before, self->bytes + running_addr, sizeof(before));
    bool was_clean = self->bytes[device_slot_addr(slot)] == BATON_IMAGE_MAGIC;
    uint32_t wrong = count_wrong_sectors(self, slot);
    int err = update_once(port, slot, order, &update);
    if (err != 0 && self->state.powered != 0) {
        // Weak bits that showed only in `end`: written once more.
        err = update_once(port, slot, order, &update);
    }
    if (memcmp(before, self->bytes + running_addr, sizeof(before)) != 0) {
        device_fault(self, "the running slot was written");
    }
    if (err != 0) {
        if (self->state.powered != 0) {
            device_fault(self, "the update fails: %s", baton_error_name(err));
        }
        return err;
    }
    if (!reads_right(port, slot)) {
        device_fault(self, "the update ended well and the slot is wrong");
    }
    uint32_t erased = update.stats.sectors_erased;
    if (!was_clean && update.stats.blocks_erased == 0 && erased > wrong) {
        uint32_t wasted = erased - wrong;
        self->wasted_sectors =
                wasted > self->wasted_sectors ? wasted : self->wasted_sectors;
        if (wasted > 2) {
            device_fault(
                    self, "%u sectors were written again", (unsigned)wasted);
        }
    }
    return 0;
}

int device_abort_update(struct device_port *port, int slot) {
    static struct baton_update update;
    static uint8_t work[2 * SECTOR];
    struct baton_update_config config =
            configure(port, slot, work, sizeof(work));
    size_t len;
    const uint8_t *image = device_image_bytes(IMAGE_NEW, &len);
    int err = baton_update_begin(&update, &config);
    if (err == 0) {
        err = baton_update_write(&update, image, 5000);
    }
    if (err == 0) {
        baton_update_abort(&update);
        port->device->update_aborted = true;
    }
    return err;
}

int device_switch(struct device_port *port, int slot) {
    struct device *self = port->device;
    if (identify(self, slot) == IMAGE_NONE || !reads_right(port, slot)) {
        device_fault(self, "a switch to a slot that does not verify");
    }
    self->may_boot_new = true;
    self->trial_boots = 0;
    self->cuts_then = self->cuts;
    self->trial_over = false;
    int err = baton_slots_switch(&port->nor.flash, DEVICE_OTADATA_ADDR, SLOTS,
            (uint32_t)slot,
            self->rollback ? BATON_STATE_NEW : BATON_STATE_UNDEFINED,
            BATON_SLOTS_OTHER_COPY);
    self->must_boot_new = err == 0 && !self->rollback;
    return err;
}

// ---- After the boot ------------------------------------------------------

static bool verifies(struct device_port *port, int index) {
    static struct baton_image image;
    static uint8_t work[512];
    struct baton_image_config config = {.crypto = fast_crypto(), .chip = &chip};
    return baton_image_verify(&image, &config, &port->nor.flash,
                   device_slot_addr(index), DEVICE_SLOT_BYTES, work,
                   sizeof(work))
           == 0;
}

// Whether a boot without the record in force finds a good image.
static bool other_boots(struct device_port *port) {
    struct baton_slots slots;
    if (baton_slots_load(&port->nor.flash, DEVICE_OTADATA_ADDR, &slots) != 0) {
        return false;
    }
    int active = baton_slots_active(&slots);
    const struct baton_slot_record *other = &slots.copy[1 - active];
    if (active >= 0 && baton_slots_is_usable(other)) {
        uint32_t slot = baton_slots_slot(other, SLOTS);
        return slot != (uint32_t)port->device->running
               && verifies(port, (int)slot);
    }
    return port->device->has_factory && verifies(port, BATON_BOOT_FACTORY);
}

int device_settle(struct device_port *port) {
    int running = port->device->running;
    return running < 0 ? 0
                       : baton_slots_settle(&port->nor.flash,
                               DEVICE_OTADATA_ADDR, SLOTS, (uint32_t)running);
}

int device_confirm(struct device_port *port) {
    struct device *self = port->device;
    self->confirm_begun = true;
    int err = baton_slots_confirm(&port->nor.flash, DEVICE_OTADATA_ADDR, SLOTS,
            (uint32_t)self->running, other_boots(port));
    if (err == 0) {
        self->confirmed = self->image;
        if (self->image != IMAGE_NEW) {
            self->may_boot_new = false;
        }
    }
    return err;
}

int device_reject(struct device_port *port) {
    struct device *self = port->device;
    self->may_leave = true;
    int err = baton_slots_reject(&port->nor.flash, DEVICE_OTADATA_ADDR, SLOTS,
            (uint32_t)self->running);
    if (err == 0) {
        self->was_rejected = true;
        self->must_boot_new = false;
    }
    return err;
}

static struct baton_trial_config configure_trial(struct device_port *port) {
    struct baton_trial_config config = {.flash = &port->nor.flash,
            .otadata_addr = DEVICE_OTADATA_ADDR,
            .slot_count = SLOTS,
            .running = (uint32_t)port->device->running,
            .max_boots = DEVICE_TRIAL_BOOTS};
    return config;
}

enum baton_trial_verdict device_trial(
        struct device_port *port, struct baton_trial_count *count) {
    struct device *self = port->device;
    struct baton_trial_config config = configure_trial(port);
    enum baton_trial_verdict verdict;
    int err = baton_trial_boot(&config, self->cause, &verdict, count);
    self->cause = BATON_CAUSE_RESET;
    if (err != 0 && self->state.powered != 0) {
        device_fault(self, "the trial fails: %s", baton_error_name(err));
    }
    if (err == 0 && verdict == BATON_TRIAL_OVER) {
        self->trial_over = true;
    }
    if (err == 0 && verdict == BATON_TRIAL_NONE && !self->confirm_begun) {
        self->trial_lost = self->weak_record;
    }
    return err != 0 ? BATON_TRIAL_OVER : verdict;
}

void device_mark_reset(struct device_port *port) {
    struct baton_trial_config config = configure_trial(port);
    int err = baton_trial_mark_reset(&config);
    if (err != 0 && port->device->state.powered != 0) {
        device_fault(port->device, "no mark: %s", baton_error_name(err));
    }
}

void device_end_trial(struct device_port *port, enum baton_trial_end why) {
    struct baton_trial_config config = configure_trial(port);
    int err = baton_trial_end(&config, why);
    if (err == 0) {
        port->device->trial_over = true;
    } else if (port->device->state.powered != 0) {
        device_fault(port->device, "no end: %s", baton_error_name(err));
    }
}

uint32_t device_record_state(struct device_port *port) {
    struct baton_slots slots;
    if (baton_slots_load(&port->nor.flash, DEVICE_OTADATA_ADDR, &slots) != 0) {
        return BATON_STATE_UNDEFINED;
    }
    int active = baton_slots_active(&slots);
    return active >= 0 ? slots.copy[active].state : BATON_STATE_UNDEFINED;
}

bool device_was_given_up(struct device_port *port, int slot) {
    struct baton_slots slots;
    if (baton_slots_load(&port->nor.flash, DEVICE_OTADATA_ADDR, &slots) != 0) {
        return false;
    }
    for (int copy = 0; copy < 2; copy++) {
        const struct baton_slot_record *record = &slots.copy[copy];
        bool is_out = record->state == BATON_STATE_ABORTED
                      || record->state == BATON_STATE_INVALID;
        if (is_out && record->crc == baton_slots_crc(record->seq)
                && baton_slots_slot(record, SLOTS) == (uint32_t)slot) {
            return true;
        }
    }
    return false;
}
