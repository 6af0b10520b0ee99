// The bootloader's decision: which partition a flash boots, and why.
// SPDX-License-Identifier: MIT
//
// The order of the steps, and what is written between them, is the vendor's:
//
//   table -> records -> PENDING_VERIFY becomes ABORTED -> choice
//         -> NEW becomes PENDING_VERIFY -> load: chosen slot, then downwards to
//            factory, then upwards, then test -> first record of a blank otadata
//
// A record is rewritten before the image it points at is verified, and a
// fallback leaves the records as they are: the next boot then finds
// PENDING_VERIFY and gives the slot up.
#include "baton/boot.h"

#include <string.h>

#include "baton/error.h"
#include "bytes.h"

#define TABLE_ROWS          96u
#define ROW_MAGIC           0x50AAu
#define ROW_MAGIC_MD5       0xEBEBu
#define ROW_MAGIC_END       0xFFFFu
#define SEQ_ERASED          0xFFFFFFFFu
#define PARTITION_BYTES_MAX BATON_IMAGE_SIZE_MAX
#define WORK_BYTES_MIN      64u

struct decision {
    const struct baton_boot_config *config;
    struct baton_image *image;
    struct baton_boot_result *result;
    uint32_t secure_version; // of the eFuse, as it is now
    bool first_record;       // otadata is blank: note what boots
};

static void add_event(struct decision *self, enum baton_boot_step step,
        int index, int err, uint32_t value) {
    struct baton_boot_result *result = self->result;
    if (result->event_count == BATON_BOOT_EVENTS_MAX) {
        return;
    }
    struct baton_boot_event *event = &result->events[result->event_count++];
    event->step = (uint8_t)step;
    event->index = (int8_t)index;
    event->err = (int16_t)err;
    event->value = value;
}

// ---- The table -----------------------------------------------------------

static void note_row(struct baton_boot_layout *layout, const uint8_t *row) {
    struct baton_boot_place place = {get_u32(row + 4), get_u32(row + 8)};
    uint8_t type = row[2];
    uint8_t subtype = row[3];
    if (type == BATON_TYPE_DATA && subtype == BATON_SUBTYPE_DATA_OTA) {
        layout->otadata = place;
    }
    if (type != BATON_TYPE_APP) {
        return;
    }
    if (subtype == BATON_SUBTYPE_APP_FACTORY) {
        layout->factory = place;
    } else if (subtype == BATON_SUBTYPE_APP_TEST) {
        layout->test = place;
    } else if ((subtype & 0xF0u) == BATON_SUBTYPE_APP_OTA_0) {
        layout->slots[subtype & 0x0Fu] = place;
        layout->slot_rows++;
    }
}

// Compares the MD5 row with the rows before it, which ends the hash.
static int check_md5(const struct baton_crypto *crypto,
        struct baton_hash_state *hash, const uint8_t *row) {
    uint8_t digest[BATON_MD5_BYTES];
    int err = crypto->hash_finish(crypto->context, hash, digest);
    if (err != 0) {
        return err;
    }
    bool is_same = memcmp(digest, row + 16, sizeof(digest)) == 0;
    return is_same ? 0 : BATON_ERR_TABLE_MD5;
}

static int check_row_bounds(
        const struct baton_flash *flash, const uint8_t *row) {
    uint32_t addr = get_u32(row + 4);
    uint32_t size = get_u32(row + 8);
    if (addr > flash->size_bytes || size > flash->size_bytes - addr) {
        return BATON_ERR_TABLE_BOUNDS;
    }
    return 0;
}

static int load_layout(const struct baton_boot_config *config,
        struct baton_boot_layout *layout, struct baton_hash_state *hash) {
    const struct baton_flash *flash = config->flash;
    const struct baton_crypto *crypto = config->crypto;
    uint32_t addr =
            config->table_addr != 0 ? config->table_addr : BATON_TABLE_ADDR;
    bool seen_md5 = false;
    int err = crypto->hash_start(crypto->context, hash, BATON_HASH_MD5);
    for (uint32_t i = 0; i < TABLE_ROWS && err == 0; i++) {
        uint8_t row[BATON_TABLE_ROW_BYTES];
        err = flash->read(flash->context, addr + i * BATON_TABLE_ROW_BYTES, row,
                sizeof(row));
        if (err != 0) {
            return err;
        }
        uint16_t magic = get_u16(row);
        if (magic == ROW_MAGIC_END && row[2] == 0xFF && row[3] == 0xFF
                && i > 0) {
            return 0;
        }
        if (magic == ROW_MAGIC) {
            err = check_row_bounds(flash, row);
            note_row(layout, row);
        } else if (magic == ROW_MAGIC_MD5 && !seen_md5) {
            seen_md5 = true;
            err = check_md5(crypto, hash, row);
        } else {
            return BATON_ERR_TABLE_MAGIC;
        }
        if (err == 0 && !seen_md5) {
            err = crypto->hash_update(crypto->context, hash, row, sizeof(row));
        }
    }
    return err != 0 ? err : BATON_ERR_TABLE_END;
}

// The partition of an index; of size 0 where the table has none.
static struct baton_boot_place find_place(
        const struct baton_boot_layout *layout, int index) {
    struct baton_boot_place none = {0, 0};
    if (index == BATON_BOOT_FACTORY) {
        return layout->factory;
    }
    if (index == BATON_BOOT_TEST) {
        return layout->test;
    }
    bool is_slot = index >= 0 && index < (int)BATON_SLOTS_MAX;
    return is_slot ? layout->slots[index] : none;
}

// ---- Records and eFuse ---------------------------------------------------

static void write_record(struct decision *self, int copy) {
    if (self->config->dry_run) {
        return;
    }
    int err = baton_slots_store(self->config->flash,
            self->result->layout.otadata.addr, copy,
            &self->result->records.copy[copy]);
    // The vendor goes on with what it has in memory, and so does this.
    if (err != 0) {
        add_event(self, BATON_BOOT_WRITE_FAILED, copy, err, 0);
    }
}

static bool read_secure_version(
        const struct decision *self, int index, uint32_t *version) {
    struct baton_boot_place place = find_place(&self->result->layout, index);
    struct baton_app_descriptor descriptor;
    if (place.size_bytes == 0
            || baton_image_describe(
                       self->config->flash, place.addr, &descriptor)
                       != 0) {
        return false;
    }
    *version = descriptor.secure_version;
    return true;
}

static bool is_new_enough(struct decision *self, int index) {
    if (!self->config->anti_rollback) {
        return true;
    }
    uint32_t version = 0;
    if (read_secure_version(self, index, &version)
            && version >= self->secure_version) {
        return true;
    }
    add_event(self, BATON_BOOT_TOO_OLD, index, BATON_ERR_IMAGE_SECURE_VERSION,
            version);
    return false;
}

static void burn_version(struct decision *self, int index) {
    uint32_t version;
    if (!self->config->anti_rollback
            || !read_secure_version(self, index, &version)
            || version <= self->secure_version) {
        return;
    }
    if (!self->config->dry_run) {
        int err = self->config->burn_secure_version(
                self->config->context, version);
        if (err != 0) {
            add_event(self, BATON_BOOT_WRITE_FAILED, index, err, version);
            return;
        }
    }
    self->secure_version = version;
    add_event(self, BATON_BOOT_BURNED, index, 0, version);
}

static void abort_pending(struct decision *self) {
    for (int copy = 0; copy < 2; copy++) {
        struct baton_slot_record *record = &self->result->records.copy[copy];
        if (record->state != BATON_STATE_PENDING) {
            continue;
        }
        record->state = BATON_STATE_ABORTED;
        add_event(self, BATON_BOOT_ABORTED, copy, 0, record->seq);
        write_record(self, copy);
    }
}

static void note_records(struct decision *self) {
    for (int copy = 0; copy < 2; copy++) {
        const struct baton_slot_record *record =
                &self->result->records.copy[copy];
        int err = 0;
        if (baton_slots_is_excluded(record)) {
            err = BATON_ERR_RECORD_EXCLUDED;
        } else if (!baton_slots_is_usable(record)) {
            err = BATON_ERR_RECORD_CRC;
        }
        add_event(self, BATON_BOOT_RECORD, copy, err, record->seq);
    }
}

// ---- The choice ----------------------------------------------------------

static bool is_initial(const struct baton_slot_record *record) {
    return record->seq == SEQ_ERASED
           || record->crc != baton_slots_crc(record->seq);
}

// The copy in force among those whose image the eFuse still allows.
static int find_allowed(struct decision *self) {
    struct baton_slots allowed = self->result->records;
    for (int copy = 0; copy < 2; copy++) {
        struct baton_slot_record *record = &allowed.copy[copy];
        uint32_t slot =
                baton_slots_slot(record, self->result->layout.slot_rows);
        int index = slot < BATON_SLOTS_MAX ? (int)slot : BATON_BOOT_NONE;
        if (baton_slots_is_usable(record) && !is_new_enough(self, index)) {
            record->seq = SEQ_ERASED;
        }
    }
    return baton_slots_active(&allowed);
}

static int take_copy(struct decision *self, int copy) {
    struct baton_slot_record *record = &self->result->records.copy[copy];
    int slot = (int)baton_slots_slot(record, self->result->layout.slot_rows);
    add_event(self, BATON_BOOT_CHOSEN, slot, 0, (uint32_t)copy);
    if (record->state == BATON_STATE_NEW && !self->config->no_rollback) {
        record->state = BATON_STATE_PENDING;
        add_event(self, BATON_BOOT_TRIAL, copy, 0, record->seq);
        write_record(self, copy);
    }
    if (record->state == BATON_STATE_VALID) {
        burn_version(self, slot);
    }
    return slot;
}

static int choose_without_record(struct decision *self, int index) {
    add_event(self, BATON_BOOT_NO_RECORD, index, 0, 0);
    return index;
}

static int choose_index(struct decision *self) {
    const struct baton_slots *records = &self->result->records;
    bool is_blank =
            is_initial(&records->copy[0]) && is_initial(&records->copy[1]);
    if (self->config->anti_rollback) {
        self->first_record = is_blank;
        int copy = is_blank || self->result->layout.slot_rows == 0
                           ? -1
                           : find_allowed(self);
        return copy >= 0 ? take_copy(self, copy)
                         : choose_without_record(self, BATON_BOOT_FACTORY);
    }
    bool none_left = baton_slots_is_excluded(&records->copy[0])
                     && baton_slots_is_excluded(&records->copy[1]);
    if (none_left || self->result->layout.slot_rows == 0) {
        if (self->result->layout.factory.addr != 0) {
            return choose_without_record(self, BATON_BOOT_FACTORY);
        }
        self->first_record = is_blank;
        return choose_without_record(self, 0);
    }
    int copy = baton_slots_active(records);
    return copy >= 0 ? take_copy(self, copy)
                     : choose_without_record(self, BATON_BOOT_FACTORY);
}

static int select_start(struct decision *self) {
    if (self->result->layout.otadata.addr == 0) {
        add_event(self, BATON_BOOT_NO_OTADATA, 0, BATON_ERR_NO_OTADATA, 0);
        return BATON_BOOT_FACTORY;
    }
    if (self->result->layout.otadata.size_bytes < BATON_OTADATA_BYTES) {
        add_event(self, BATON_BOOT_OTADATA_SMALL, 0, BATON_ERR_OTADATA_SIZE,
                self->result->layout.otadata.size_bytes);
        return BATON_BOOT_NONE;
    }
    int err = baton_slots_load(self->config->flash,
            self->result->layout.otadata.addr, &self->result->records);
    if (err != 0) {
        add_event(self, BATON_BOOT_OTADATA_SMALL, 0, err, 0);
        return BATON_BOOT_NONE;
    }
    self->result->has_otadata = true;
    if (!self->config->no_rollback) {
        abort_pending(self);
    }
    note_records(self);
    return choose_index(self);
}

// ---- Loading -------------------------------------------------------------

static bool try_place(struct decision *self, int index) {
    struct baton_boot_place place = find_place(&self->result->layout, index);
    const struct baton_boot_config *config = self->config;
    struct baton_image_config image_config = {
            .crypto = config->crypto,
            .chip = config->chip,
    };
    int err = place.size_bytes > PARTITION_BYTES_MAX
                      ? BATON_ERR_IMAGE_TOO_LARGE
                      : baton_image_verify(self->image, &image_config,
                              config->flash, place.addr, place.size_bytes,
                              config->work, config->work_len);
    if (err != 0) {
        add_event(self, BATON_BOOT_REFUSED, index, err, 0);
        return false;
    }
    self->result->index = index;
    self->result->addr = place.addr;
    self->result->size_bytes = place.size_bytes;
    self->result->info = *baton_image_result(self->image);
    return true;
}

static void write_first_record(struct decision *self, int index) {
    struct baton_slot_record *record = &self->result->records.copy[0];
    record->seq = (uint32_t)index + 1u;
    memset(record->label, 0xFF, sizeof(record->label));
    record->state = BATON_STATE_VALID;
    record->crc = baton_slots_crc(record->seq);
    add_event(self, BATON_BOOT_FIRST_RECORD, index, 0, record->seq);
    write_record(self, 0);
    burn_version(self, index);
}

// True when this partition boots.
static bool try_index(struct decision *self, int index, int start) {
    if (find_place(&self->result->layout, index).size_bytes == 0) {
        if (index == start) {
            add_event(self, BATON_BOOT_REFUSED, index, BATON_ERR_NOENT, 0);
        }
        return false;
    }
    if (index != start) {
        add_event(self, BATON_BOOT_FALLBACK, index, 0, 0);
    }
    if (!is_new_enough(self, index) || !try_place(self, index)) {
        return false;
    }
    if (index >= 0 && self->first_record) {
        write_first_record(self, index);
    }
    return true;
}

static bool load_image(struct decision *self, int start) {
    int end = self->result->layout.slot_rows < BATON_SLOTS_MAX
                      ? (int)self->result->layout.slot_rows
                      : (int)BATON_SLOTS_MAX;
    for (int index = start; index >= BATON_BOOT_FACTORY; index--) {
        if (try_index(self, index, start)) {
            return true;
        }
    }
    for (int index = start + 1; index < end; index++) {
        if (try_index(self, index, start)) {
            return true;
        }
    }
    if (self->result->layout.test.size_bytes == 0) {
        return false;
    }
    add_event(self, BATON_BOOT_FALLBACK, BATON_BOOT_TEST, 0, 0);
    return try_place(self, BATON_BOOT_TEST);
}

static bool run_decision(struct decision *self, struct baton_hash_state *hash) {
    int err = load_layout(self->config, &self->result->layout, hash);
    if (err != 0) {
        add_event(self, BATON_BOOT_TABLE_BAD, 0, err, 0);
        return false;
    }
    int start = select_start(self);
    if (start == BATON_BOOT_NONE) {
        return false;
    }
    if (self->config->test_requested) {
        return self->result->layout.test.size_bytes != 0
               && try_place(self, BATON_BOOT_TEST);
    }
    return load_image(self, start);
}

int baton_boot_decide(struct baton_image *self,
        const struct baton_boot_config *config,
        struct baton_boot_result *result) {
    bool complete = config->flash != NULL && config->crypto != NULL
                    && config->chip != NULL && config->work != NULL
                    && config->work_len >= WORK_BYTES_MIN;
    bool can_burn = config->burn_secure_version != NULL || config->dry_run;
    if (!complete || (config->anti_rollback && !can_burn)
            || (config->anti_rollback && config->no_rollback)) {
        return BATON_ERR_ARG;
    }
    memset(result, 0, sizeof(*result));
    result->index = BATON_BOOT_NONE;
    memset(&result->records, 0xFF, sizeof(result->records));
    struct decision decision = {
            .config = config,
            .image = self,
            .result = result,
            .secure_version = config->chip->secure_version,
    };
    // The image verifier's hash is free until the first image is read.
    bool boots = run_decision(&decision, &self->hash);
    add_event(&decision, boots ? BATON_BOOT_SELECTED : BATON_BOOT_NOTHING,
            result->index, boots ? 0 : BATON_ERR_NOTHING_BOOTS, 0);
    return 0;
}
