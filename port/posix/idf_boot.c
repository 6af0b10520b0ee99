// ESP-IDF's choice of what boots: otadata by the application's rules.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "baton/error.h"
#include "baton/slots.h"
#include "baton-idf/esp_efuse.h"
#include "baton-idf/esp_ota_ops.h"
#include "baton-idf/esp_system.h"
#include "idf_state.h"

_Static_assert(sizeof(esp_ota_select_entry_t) == BATON_OTADATA_RECORD_BYTES,
        "esp_ota_select_entry_t is not as on flash");

static const esp_partition_t *running_partition;
static esp_app_desc_t running_desc;
static bool has_running_desc;

void baton_idf_boot_reset(void) {
    running_partition = NULL;
    has_running_desc = false;
}

bool baton_idf_is_ota_app(const esp_partition_t *partition) {
    return partition->type == ESP_PARTITION_TYPE_APP
           && partition->subtype >= ESP_PARTITION_SUBTYPE_APP_OTA_MIN
           && partition->subtype < ESP_PARTITION_SUBTYPE_APP_OTA_MAX;
}

static const esp_partition_t *find_app(uint32_t subtype) {
    return esp_partition_find_first(
            ESP_PARTITION_TYPE_APP, (esp_partition_subtype_t)subtype, NULL);
}

static const esp_partition_t *find_slot(uint32_t slot) {
    return slot < BATON_SLOTS_MAX
                   ? find_app(ESP_PARTITION_SUBTYPE_APP_OTA_MIN + slot)
                   : NULL;
}

static const esp_partition_t *find_otadata(void) {
    return esp_partition_find_first(
            ESP_PARTITION_TYPE_DATA, ESP_PARTITION_SUBTYPE_DATA_OTA, NULL);
}

uint8_t esp_ota_get_app_partition_count(void) {
    uint8_t count = 0;
    while (count < BATON_SLOTS_MAX && find_slot(count) != NULL) {
        count++;
    }
    return count;
}

// What every call below begins with.
struct choice {
    const esp_partition_t *otadata; // NULL: none, and nothing else is set
    struct baton_slots records;
    uint32_t count; // gap-free run of slots
    int active;     // copy, or -1
};

static struct choice read_choice(void) {
    struct choice choice = {.otadata = find_otadata(), .active = -1};
    if (choice.otadata == NULL) {
        return choice;
    }
    if (baton_slots_load(baton_idf_state.config.flash, choice.otadata->address,
                &choice.records)
            != 0) {
        choice.otadata = NULL;
        return choice;
    }
    choice.count = esp_ota_get_app_partition_count();
    choice.active = baton_slots_active(&choice.records);
    return choice;
}

// One sector, in place: a power cut in between loses this record alone.
static esp_err_t write_record(const esp_partition_t *otadata, int copy,
        const struct baton_slot_record *record) {
    uint8_t raw[BATON_OTADATA_RECORD_BYTES];
    baton_slots_encode(record, raw);
    uint32_t off = (uint32_t)copy * otadata->erase_size;
    esp_err_t err =
            esp_partition_erase_range(otadata, off, otadata->erase_size);
    if (err != ESP_OK) {
        return err;
    }
    return esp_partition_write(otadata, off, raw, sizeof(raw));
}

static esp_err_t write_state(const struct choice *choice, uint32_t state) {
    struct baton_slot_record record = choice->records.copy[choice->active];
    record.state = state;
    return write_record(choice->otadata, choice->active, &record);
}

static bool has_good_crc(const struct baton_slot_record *record) {
    return record->crc == baton_slots_crc(record->seq);
}

static bool is_written(const struct baton_slot_record *record) {
    return record->seq != UINT32_MAX && has_good_crc(record);
}

// Running and next.

const esp_partition_t *esp_ota_get_running_partition(void) {
    if (running_partition != NULL) {
        return running_partition;
    }
    uint32_t addr = baton_idf_state.config.running_addr;
    esp_partition_iterator_t it = esp_partition_find(
            ESP_PARTITION_TYPE_APP, ESP_PARTITION_SUBTYPE_ANY, NULL);
    while (it != NULL) {
        const esp_partition_t *p = esp_partition_get(it);
        if (p->address <= addr && addr - p->address < p->size) {
            esp_partition_iterator_release(it);
            running_partition = p;
            return p;
        }
        it = esp_partition_next(it);
    }
    baton_idf_fatal("esp_ota_get_running_partition: no app partition holds the "
                    "running code");
    return NULL;
}

const esp_app_desc_t *esp_app_get_description(void) {
    if (!has_running_desc) {
        const esp_partition_t *running = esp_ota_get_running_partition();
        if (esp_ota_get_partition_description(running, &running_desc)
                != ESP_OK) {
            memset(&running_desc, 0, sizeof(running_desc));
        }
        has_running_desc = true;
    }
    return &running_desc;
}

const esp_partition_t *esp_ota_get_next_update_partition(
        const esp_partition_t *start_from) {
    const esp_partition_t *start = start_from == NULL
                                           ? esp_ota_get_running_partition()
                                           : esp_partition_verify(start_from);
    if (start == NULL) {
        if (start_from != NULL) {
            baton_idf_fatal(
                    "esp_ota_get_next_update_partition: start_from is not "
                    "in the partition table");
        }
        return NULL;
    }
    const esp_partition_t *first = NULL;
    bool is_next = false;
    for (uint32_t slot = 0; slot < BATON_SLOTS_MAX; slot++) {
        const esp_partition_t *p = find_slot(slot);
        if (p == NULL) {
            continue;
        }
        if (first == NULL) {
            first = p;
        }
        if (is_next && p != start) {
            return p;
        }
        is_next = is_next || p == start;
    }
    return first;
}

// What boots.

static const esp_partition_t *find_default(void) {
    const esp_partition_t *found = find_app(ESP_PARTITION_SUBTYPE_APP_FACTORY);
    for (uint32_t slot = 0; found == NULL && slot < BATON_SLOTS_MAX; slot++) {
        found = find_slot(slot);
    }
    return found != NULL ? found : find_app(ESP_PARTITION_SUBTYPE_APP_TEST);
}

const esp_partition_t *esp_ota_get_boot_partition(void) {
    struct choice choice = read_choice();
    if (choice.otadata == NULL) {
        return NULL;
    }
    if (choice.active < 0 || choice.count == 0) {
        return find_default();
    }
    return find_slot(baton_slots_slot(
            &choice.records.copy[choice.active], choice.count));
}

// The smallest number, not below `least`, that points at `slot` by the vendor's
// arithmetic. It differs from baton_slots_plan at both ends: it can be 0 or
// 0xFFFFFFFF, which point elsewhere or nowhere. False where the vendor's loop
// runs past 32 bits and does not come back.
static bool next_seq(
        uint32_t least, uint32_t count, uint32_t slot, uint32_t *seq) {
    uint64_t next = (slot + 1) % count;
    if (next < least) {
        next += (least - next + count - 1) / count * count;
    }
    *seq = (uint32_t)next;
    return next <= UINT32_MAX;
}

static esp_err_t select_slot(uint32_t slot) {
    struct choice choice = read_choice();
    if (choice.otadata == NULL) {
        return ESP_ERR_NOT_FOUND;
    }
    if (slot >= choice.count) {
        return ESP_ERR_INVALID_ARG;
    }
    int copy = 0;
    uint32_t seq = slot + 1;
    if (choice.active >= 0) {
        const struct baton_slot_record *now =
                &choice.records.copy[choice.active];
        bool in_place = baton_idf_state.config.release >= BATON_IDF_V6_0
                        && baton_slots_slot(now, choice.count) == slot;
        copy = in_place ? choice.active : 1 - choice.active;
        seq = now->seq;
        // Before v6.0 a slot that is chosen already comes out here with the
        // same number.
        if (!in_place && !next_seq(now->seq, choice.count, slot, &seq)) {
            baton_idf_fatal(
                    "esp_ota_set_boot_partition: sequence numbers are used "
                    "up");
            return ESP_ERR_INVALID_STATE;
        }
    }
    struct baton_slot_record record = choice.records.copy[copy];
    record.seq = seq;
    record.state = baton_idf_state.config.no_rollback ? BATON_STATE_UNDEFINED
                                                      : BATON_STATE_NEW;
    record.crc = baton_slots_crc(seq);
    return write_record(choice.otadata, copy, &record);
}

// An image that the eFuse does not allow is destroyed, not only refused.
static esp_err_t check_secure_version(const esp_partition_t *partition) {
    esp_app_desc_t desc;
    esp_err_t err = esp_ota_get_partition_description(partition, &desc);
    if (err != ESP_OK) {
        return err;
    }
    if (esp_efuse_check_secure_version(desc.secure_version)) {
        return ESP_OK;
    }
    err = esp_partition_erase_range(partition, 0, partition->size);
    return err != ESP_OK ? err : ESP_ERR_OTA_SMALL_SEC_VER;
}

static esp_err_t set_boot(const esp_partition_t *partition) {
    if (partition->type != ESP_PARTITION_TYPE_APP) {
        return ESP_ERR_INVALID_ARG;
    }
    if (partition->subtype == ESP_PARTITION_SUBTYPE_APP_FACTORY) {
        const esp_partition_t *otadata = find_otadata();
        return otadata == NULL
                       ? ESP_ERR_NOT_FOUND
                       : esp_partition_erase_range(otadata, 0, otadata->size);
    }
    if (baton_idf_state.config.anti_rollback) {
        esp_err_t err = check_secure_version(partition);
        if (err != ESP_OK) {
            return err;
        }
    }
    // Only the low bits count: the test application becomes slot 0.
    return select_slot((uint32_t)partition->subtype & 0x0Fu);
}

esp_err_t esp_ota_set_boot_partition(const esp_partition_t *partition) {
    if (partition == NULL) {
        return ESP_ERR_INVALID_ARG;
    }
    esp_err_t err =
            baton_idf_image_validate(partition->address, partition->size);
    return err != ESP_OK ? err : set_boot(partition);
}

esp_err_t esp_ota_set_boot_partition_skip_validate(
        const esp_partition_t *partition) {
    if (baton_idf_state.config.release < BATON_IDF_V6_1) {
        return ESP_ERR_NOT_SUPPORTED;
    }
    return partition == NULL ? ESP_ERR_INVALID_ARG : set_boot(partition);
}

// Confirming and going back. All of these act on the record in force, whatever
// partition is running.

static bool is_bootable(const esp_partition_t *partition) {
    return partition != NULL
           && baton_idf_image_validate(partition->address, partition->size)
                      == ESP_OK;
}

static bool is_new_enough(const esp_partition_t *partition) {
    esp_app_desc_t desc;
    return !baton_idf_state.config.anti_rollback
           || (esp_ota_get_partition_description(partition, &desc) == ESP_OK
                   && esp_efuse_check_secure_version(desc.secure_version));
}

bool esp_ota_check_rollback_is_possible(void) {
    struct choice choice = read_choice();
    if (choice.otadata == NULL || choice.count == 0 || choice.active < 0) {
        return false;
    }
    const struct baton_slot_record *other =
            &choice.records.copy[1 - choice.active];
    if (!baton_slots_is_usable(other)) {
        return !baton_idf_state.config.anti_rollback
               && is_bootable(find_app(ESP_PARTITION_SUBTYPE_APP_FACTORY));
    }
    const esp_partition_t *slot =
            find_slot(baton_slots_slot(other, choice.count));
    return is_bootable(slot) && is_new_enough(slot);
}

static esp_err_t burn_running_version(void) {
    esp_app_desc_t desc;
    esp_err_t err = esp_ota_get_partition_description(
            esp_ota_get_running_partition(), &desc);
    return err != ESP_OK ? err
                         : esp_efuse_update_secure_version(desc.secure_version);
}

esp_err_t esp_ota_mark_app_valid_cancel_rollback(void) {
    struct choice choice = read_choice();
    if (choice.otadata == NULL) {
        return ESP_ERR_NOT_FOUND;
    }
    if (choice.active < 0 || choice.count == 0) {
        return ESP_FAIL;
    }
    if (choice.records.copy[choice.active].state == BATON_STATE_VALID) {
        return ESP_OK;
    }
    esp_err_t err = write_state(&choice, BATON_STATE_VALID);
    if (err != ESP_OK || !baton_idf_state.config.anti_rollback) {
        return err;
    }
    return burn_running_version();
}

static esp_err_t mark_invalid(void) {
    struct choice choice = read_choice();
    if (choice.otadata == NULL) {
        return ESP_ERR_NOT_FOUND;
    }
    if (choice.active < 0 || choice.count == 0) {
        return ESP_FAIL;
    }
    if (!esp_ota_check_rollback_is_possible()) {
        return ESP_ERR_OTA_ROLLBACK_FAILED;
    }
    return write_state(&choice, BATON_STATE_INVALID);
}

esp_err_t esp_ota_mark_app_invalid_rollback(void) {
    return baton_idf_state.config.release < BATON_IDF_V5_5
                   ? ESP_ERR_NOT_SUPPORTED
                   : mark_invalid();
}

esp_err_t esp_ota_mark_app_invalid_rollback_and_reboot(void) {
    esp_err_t err = mark_invalid();
    if (err == ESP_OK) {
        esp_restart();
    }
    return err;
}

esp_err_t esp_ota_get_state_partition(
        const esp_partition_t *partition, esp_ota_img_states_t *ota_state) {
    if (partition == NULL || ota_state == NULL) {
        return ESP_ERR_INVALID_ARG;
    }
    if (!baton_idf_is_ota_app(partition)) {
        return ESP_ERR_NOT_SUPPORTED;
    }
    struct choice choice = read_choice();
    if (choice.otadata == NULL || choice.count == 0) {
        return ESP_ERR_NOT_FOUND;
    }
    uint32_t slot =
            (uint32_t)partition->subtype - ESP_PARTITION_SUBTYPE_APP_OTA_MIN;
    // The first that matches, not the newest.
    for (int i = 0; i < 2; i++) {
        const struct baton_slot_record *record = &choice.records.copy[i];
        if (has_good_crc(record)
                && baton_slots_slot(record, choice.count) == slot) {
            *ota_state = (esp_ota_img_states_t)record->state;
            return ESP_OK;
        }
    }
    return ESP_ERR_NOT_FOUND;
}

static bool is_rejected(const struct baton_slot_record *record) {
    return is_written(record)
           && (record->state == BATON_STATE_INVALID
                   || record->state == BATON_STATE_ABORTED);
}

// The rejected copy with the smaller sequence number, copy 0 on a tie; -1.
static int find_rejected(const struct baton_slots *records) {
    bool first = is_rejected(&records->copy[0]);
    bool second = is_rejected(&records->copy[1]);
    if (first && second) {
        return records->copy[1].seq < records->copy[0].seq ? 1 : 0;
    }
    if (first) {
        return 0;
    }
    return second ? 1 : -1;
}

const esp_partition_t *esp_ota_get_last_invalid_partition(void) {
    struct choice choice = read_choice();
    if (choice.otadata == NULL || choice.count == 0) {
        return NULL;
    }
    int copy = find_rejected(&choice.records);
    if (copy < 0) {
        return NULL;
    }
    const esp_partition_t *slot = find_slot(
            baton_slots_slot(&choice.records.copy[copy], choice.count));
    return is_bootable(slot) ? slot : NULL;
}

static esp_err_t forget_last_boot(bool erase_app) {
    struct choice choice = read_choice();
    if (choice.otadata == NULL || choice.active < 0 || choice.count == 0) {
        return ESP_FAIL;
    }
    int copy = 1 - choice.active;
    const struct baton_slot_record *record = &choice.records.copy[copy];
    if (!is_written(record)) {
        return ESP_FAIL;
    }
    const esp_partition_t *slot =
            find_slot(baton_slots_slot(record, choice.count));
    if (slot == NULL) {
        return ESP_FAIL;
    }
    const esp_partition_t *running = esp_ota_get_running_partition();
    if (running == NULL || slot == running) {
        return ESP_FAIL;
    }
    if (erase_app) {
        esp_err_t err = esp_partition_erase_range(slot, 0, slot->size);
        if (err != ESP_OK) {
            return err;
        }
    }
    return esp_partition_erase_range(choice.otadata,
            (uint32_t)copy * choice.otadata->erase_size,
            choice.otadata->erase_size);
}

esp_err_t esp_ota_erase_last_boot_app_partition(void) {
    return forget_last_boot(true);
}

esp_err_t esp_ota_invalidate_inactive_ota_data_slot(void) {
    return baton_idf_state.config.release < BATON_IDF_V5_5
                   ? ESP_ERR_NOT_SUPPORTED
                   : forget_last_boot(false);
}
