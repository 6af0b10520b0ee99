// The two otadata records: which slot is chosen, and in what state.
// SPDX-License-Identifier: MIT
#include "baton/slots.h"

#include <string.h>

#include "baton/error.h"
#include "bytes.h"
#include "crc32.h"

#define SEQ_ERASED 0xFFFFFFFFu

uint32_t baton_slots_crc(uint32_t seq) {
    uint8_t raw[4];
    put_u32(raw, seq);
    // The vendor calls the ROM's CRC with 0xFFFFFFFF as a previous result, so
    // the register starts at its complement, 0.
    return ~crc32_extend(0, raw, sizeof(raw));
}

void baton_slots_decode(const uint8_t raw[BATON_OTADATA_RECORD_BYTES],
        struct baton_slot_record *out) {
    out->seq = get_u32(raw);
    memcpy(out->label, raw + 4, BATON_OTADATA_LABEL_BYTES);
    out->state = get_u32(raw + 24);
    out->crc = get_u32(raw + 28);
}

void baton_slots_encode(const struct baton_slot_record *record,
        uint8_t raw[BATON_OTADATA_RECORD_BYTES]) {
    put_u32(raw, record->seq);
    memcpy(raw + 4, record->label, BATON_OTADATA_LABEL_BYTES);
    put_u32(raw + 24, record->state);
    put_u32(raw + 28, record->crc);
}

int baton_slots_load(const struct baton_flash *flash, uint32_t otadata_addr,
        struct baton_slots *out) {
    for (uint32_t i = 0; i < 2; i++) {
        uint8_t raw[BATON_OTADATA_RECORD_BYTES];
        uint32_t addr = otadata_addr + i * BATON_SECTOR_BYTES;
        int err = flash->read(flash->context, addr, raw, sizeof(raw));
        if (err != 0) {
            return err;
        }
        baton_slots_decode(raw, &out->copy[i]);
    }
    return 0;
}

bool baton_slots_is_excluded(const struct baton_slot_record *record) {
    return record->seq == SEQ_ERASED || record->state == BATON_STATE_INVALID
           || record->state == BATON_STATE_ABORTED;
}

bool baton_slots_is_usable(const struct baton_slot_record *record) {
    return !baton_slots_is_excluded(record)
           && record->crc == baton_slots_crc(record->seq);
}

int baton_slots_active(const struct baton_slots *self) {
    bool first = baton_slots_is_usable(&self->copy[0]);
    bool second = baton_slots_is_usable(&self->copy[1]);
    if (first && second) {
        return self->copy[1].seq > self->copy[0].seq ? 1 : 0;
    }
    if (first) {
        return 0;
    }
    return second ? 1 : -1;
}

uint32_t baton_slots_slot(
        const struct baton_slot_record *record, uint32_t count) {
    // Sequence 0 wraps to the largest number first, as the vendor's does.
    return count == 0 ? UINT32_MAX : (record->seq - 1u) % count;
}

// The smallest sequence number, not below `least`, that points at `slot`; 0
// where there is none left. The vendor could arrive at 0 too, where the number
// of slots is no power of two and `least` is 0; that one points elsewhere.
static uint32_t find_seq(uint32_t least, uint32_t count, uint32_t slot) {
    uint32_t seq = (slot + 1u) % count;
    if (seq < least) {
        uint32_t rest = (least - seq) % count;
        uint32_t up = rest == 0 ? 0 : count - rest;
        if (up > SEQ_ERASED - 1u - least) {
            return 0;
        }
        seq = least + up;
    }
    if (seq == 0) {
        seq = count;
    }
    return seq == SEQ_ERASED ? 0 : seq;
}

int baton_slots_plan(const struct baton_slots *self, uint32_t count,
        uint32_t slot, uint32_t state, enum baton_slots_style style, int *copy,
        struct baton_slot_record *out) {
    if (count == 0 || count > BATON_SLOTS_MAX || slot >= count) {
        return BATON_ERR_SLOT;
    }
    int active = baton_slots_active(self);
    uint32_t seq = slot + 1u;
    int target = 0;
    if (active >= 0) {
        const struct baton_slot_record *now = &self->copy[active];
        bool is_same = baton_slots_slot(now, count) == slot;
        seq = is_same ? now->seq : find_seq(now->seq, count, slot);
        if (seq == 0 && !is_same) {
            return BATON_ERR_SLOT;
        }
        bool keep = is_same && style == BATON_SLOTS_SAME_COPY;
        target = keep ? active : 1 - active;
    }
    *copy = target;
    *out = self->copy[target];
    out->seq = seq;
    out->state = state;
    out->crc = baton_slots_crc(seq);
    return 0;
}

int baton_slots_store(const struct baton_flash *flash, uint32_t otadata_addr,
        int copy, const struct baton_slot_record *record) {
    if (copy < 0 || copy > 1) {
        return BATON_ERR_ARG;
    }
    uint8_t raw[BATON_OTADATA_RECORD_BYTES];
    uint8_t back[BATON_OTADATA_RECORD_BYTES];
    baton_slots_encode(record, raw);
    uint32_t addr = otadata_addr + (uint32_t)copy * BATON_SECTOR_BYTES;
    int err = flash->erase(flash->context, addr, BATON_SECTOR_BYTES);
    if (err != 0) {
        return err;
    }
    err = flash->program(flash->context, addr, raw, sizeof(raw));
    if (err != 0) {
        return err;
    }
    err = flash->read(flash->context, addr, back, sizeof(back));
    if (err != 0) {
        return err;
    }
    return memcmp(raw, back, sizeof(raw)) == 0 ? 0 : BATON_ERR_READBACK;
}

int baton_slots_switch(const struct baton_flash *flash, uint32_t otadata_addr,
        uint32_t count, uint32_t slot, uint32_t state,
        enum baton_slots_style style) {
    struct baton_slots slots;
    int err = baton_slots_load(flash, otadata_addr, &slots);
    if (err != 0) {
        return err;
    }
    int copy;
    struct baton_slot_record record;
    err = baton_slots_plan(&slots, count, slot, state, style, &copy, &record);
    if (err != 0) {
        return err;
    }
    memset(record.label, 0xFF, BATON_OTADATA_COUNT_BYTES);
    return baton_slots_store(flash, otadata_addr, copy, &record);
}

int baton_slots_set_state(const struct baton_flash *flash,
        uint32_t otadata_addr, int copy, uint32_t state) {
    if (copy < 0 || copy > 1) {
        return BATON_ERR_ARG;
    }
    struct baton_slots slots;
    int err = baton_slots_load(flash, otadata_addr, &slots);
    if (err != 0) {
        return err;
    }
    if (slots.copy[copy].state == state) {
        return 0;
    }
    slots.copy[copy].state = state;
    return baton_slots_store(flash, otadata_addr, copy, &slots.copy[copy]);
}

// Nothing to confirm: confirmed, or written without rollback in use.
static bool is_settled(uint32_t state) {
    return state == BATON_STATE_VALID || state == BATON_STATE_UNDEFINED;
}

// Loads the records and finds the copy in force, which must be the running
// slot's.
static int load_running(const struct baton_flash *flash, uint32_t otadata_addr,
        uint32_t count, uint32_t running, struct baton_slots *slots,
        int *active) {
    *active = -1; // stays so where the records could not be read
    int err = baton_slots_load(flash, otadata_addr, slots);
    if (err != 0) {
        return err;
    }
    *active = baton_slots_active(slots);
    if (*active < 0) {
        return BATON_ERR_NO_CHOICE;
    }
    bool is_running = baton_slots_slot(&slots->copy[*active], count) == running;
    return is_running ? 0 : BATON_ERR_NOT_RUNNING;
}

int baton_slots_settle(const struct baton_flash *flash, uint32_t otadata_addr,
        uint32_t count, uint32_t running) {
    struct baton_slots slots;
    int active;
    int err =
            load_running(flash, otadata_addr, count, running, &slots, &active);
    if (err == BATON_ERR_NO_CHOICE) {
        return 0;
    }
    if (active < 0 || (err != 0 && err != BATON_ERR_NOT_RUNNING)) {
        return err;
    }
    uint32_t state = slots.copy[active].state;
    if (err == BATON_ERR_NOT_RUNNING) {
        slots.copy[active].state = BATON_STATE_INVALID;
    } else if (state > BATON_STATE_ABORTED && !is_settled(state)) {
        slots.copy[active].state = BATON_STATE_PENDING;
    } else {
        return 0;
    }
    return baton_slots_store(flash, otadata_addr, active, &slots.copy[active]);
}

// PENDING_VERIFY becomes NEW: all bits of the state cleared, no erase, so a cut
// leaves one of the two.
static int rearm(const struct baton_flash *flash, uint32_t otadata_addr,
        int copy, const struct baton_slot_record *record) {
    static const uint8_t zeros[4] = {0};
    bool by_units = flash->program_bytes > sizeof(zeros);
    if (record->state != BATON_STATE_PENDING || by_units) {
        return 0;
    }
    uint32_t addr = otadata_addr + (uint32_t)copy * BATON_SECTOR_BYTES + 24u;
    return flash->program(flash->context, addr, zeros, sizeof(zeros));
}

// Confirms through the record that is not in force, which has nothing to lose.
static int confirm_by_other(const struct baton_flash *flash,
        uint32_t otadata_addr, uint32_t count, uint32_t running,
        const struct baton_slots *slots, int active) {
    uint32_t seq = find_seq(slots->copy[active].seq + 1u, count, running);
    if (seq == 0) {
        return BATON_ERR_SLOT;
    }
    int err = rearm(flash, otadata_addr, active, &slots->copy[active]);
    if (err != 0) {
        return err;
    }
    struct baton_slot_record record = {.seq = seq,
            .state = BATON_STATE_VALID,
            .crc = baton_slots_crc(seq)};
    memset(record.label, 0xFF, sizeof(record.label));
    err = baton_slots_store(flash, otadata_addr, 1 - active, &record);
    if (err != 0) {
        return err;
    }
    // The record that did the trial points at the same slot and would only be
    // aborted at the next boot.
    uint32_t addr = otadata_addr + (uint32_t)active * BATON_SECTOR_BYTES;
    return flash->erase(flash->context, addr, BATON_SECTOR_BYTES);
}

int baton_slots_confirm(const struct baton_flash *flash, uint32_t otadata_addr,
        uint32_t count, uint32_t running, bool other_boots) {
    struct baton_slots slots;
    int active;
    int err =
            load_running(flash, otadata_addr, count, running, &slots, &active);
    if (err == BATON_ERR_NO_CHOICE && !other_boots) {
        return baton_slots_switch(flash, otadata_addr, count, running,
                BATON_STATE_VALID, BATON_SLOTS_SAME_COPY);
    }
    if (err != 0 || is_settled(slots.copy[active].state)) {
        return err;
    }
    if (!other_boots) {
        return confirm_by_other(
                flash, otadata_addr, count, running, &slots, active);
    }
    memset(slots.copy[active].label, 0xFF, BATON_OTADATA_COUNT_BYTES);
    slots.copy[active].state = BATON_STATE_VALID;
    return baton_slots_store(flash, otadata_addr, active, &slots.copy[active]);
}

int baton_slots_reject(const struct baton_flash *flash, uint32_t otadata_addr,
        uint32_t count, uint32_t running) {
    struct baton_slots slots;
    int active;
    int err =
            load_running(flash, otadata_addr, count, running, &slots, &active);
    if (err != 0) {
        return err;
    }
    slots.copy[active].state = BATON_STATE_INVALID;
    return baton_slots_store(flash, otadata_addr, active, &slots.copy[active]);
}

const char *baton_slots_state_name(uint32_t state) {
    static const char *const names[] = {
            "NEW", "PENDING_VERIFY", "VALID", "INVALID", "ABORTED"};
    if (state < sizeof(names) / sizeof(names[0])) {
        return names[state];
    }
    return state == BATON_STATE_UNDEFINED ? "UNDEFINED" : "UNKNOWN";
}
