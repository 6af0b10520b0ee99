// The bootloader's decision: which partition a flash boots, and why.
// SPDX-License-Identifier: MIT
//
// One function over flash that decides, and writes, exactly as ESP-IDF's
// second-stage bootloader does (docs/FORMAT.md). The virtual ESP32 boots by
// it; a tool calls it with dry_run to explain a flash image.
#ifndef BATON_BOOT_H
#define BATON_BOOT_H

#include "baton/image.h"
#include "baton/slots.h"
#include "baton/table.h"

#define BATON_BOOT_NONE    (-99) // nothing to boot: the chip resets
#define BATON_BOOT_TEST    (-2)
#define BATON_BOOT_FACTORY (-1) // 0 ... 15: slot

#define BATON_BOOT_EVENTS_MAX 48

// Steps of the decision, in the order they happened.
enum baton_boot_step {
    BATON_BOOT_TABLE_BAD,     // err: why; nothing boots
    BATON_BOOT_NO_OTADATA,    // the table has none: factory first
    BATON_BOOT_OTADATA_SMALL, // smaller than 0x2000: nothing boots
    BATON_BOOT_RECORD,        // index: copy; value: seq; err: 0 usable, or
                              // BATON_ERR_RECORD_EXCLUDED, _RECORD_CRC
    BATON_BOOT_ABORTED,       // index: copy that was PENDING_VERIFY
    BATON_BOOT_NO_RECORD,     // no usable record: index is where to start
    BATON_BOOT_CHOSEN,        // index: slot; value: copy in force
    BATON_BOOT_TRIAL,         // index: copy; NEW became PENDING_VERIFY
    BATON_BOOT_TOO_OLD,       // index: partition; value: secure version
    BATON_BOOT_REFUSED,       // index: partition; err: its image's fault
    BATON_BOOT_FALLBACK,      // index: partition now tried instead
    BATON_BOOT_FIRST_RECORD,  // index: slot written to copy 0 as VALID
    BATON_BOOT_BURNED,        // value: secure version burnt to eFuse
    BATON_BOOT_WRITE_FAILED,  // err: a record could not be written
    BATON_BOOT_SELECTED,      // index: partition that boots
    BATON_BOOT_NOTHING,       // no partition boots
};

struct baton_boot_event {
    uint8_t step; // enum baton_boot_step
    int8_t index; // partition (BATON_BOOT_FACTORY ...) or copy
    int16_t err;  // 0 or enum baton_err
    uint32_t value;
};

struct baton_boot_config {
    const struct baton_flash *flash;
    const struct baton_crypto *crypto;
    const struct baton_chip *chip;
    uint32_t table_addr; // 0 means BATON_TABLE_ADDR
    bool no_rollback;    // a bootloader built without rollback
    bool anti_rollback;  // needs rollback
    bool test_requested; // the test GPIO is held
    bool dry_run;        // write nothing, say what would be written
    // Raises the eFuse secure version; may be NULL without anti_rollback.
    // Not called in a dry run. Errors: BATON_ERR_ARG, BATON_ERR_IO.
    int (*burn_secure_version)(void *context, uint32_t version);
    void *context;
    void *work; // at least 64 bytes; larger is faster
    size_t work_len;
};

// A partition's place on flash; of size 0 where the table has none.
struct baton_boot_place {
    uint32_t addr;
    uint32_t size_bytes;
};

// What the bootloader takes from the table.
struct baton_boot_layout {
    struct baton_boot_place factory;
    struct baton_boot_place test;
    struct baton_boot_place otadata;
    struct baton_boot_place slots[BATON_SLOTS_MAX];
    uint32_t slot_rows; // rows, as the bootloader counts: gaps do not matter
};

struct baton_boot_result {
    int index;     // BATON_BOOT_NONE, _TEST, _FACTORY, or a slot
    uint32_t addr; // of the partition that boots
    uint32_t size_bytes;
    struct baton_image_info info;
    struct baton_slots records; // as they are (in a dry run: would be) after
    bool has_otadata;
    struct baton_boot_layout layout;
    uint8_t event_count;
    struct baton_boot_event events[BATON_BOOT_EVENTS_MAX];
};

// Decides what to boot.
//
// self        scratch for image verification
// Flash       reads; with rollback, a sector erase and a 32-byte program for
//             each copy found PENDING_VERIFY and for one found NEW; one for
//             the first record of a blank otadata
// Power loss  a record being rewritten can be lost, as on the vendor's; the
//             next boot then decides from the other one
// Returns     0 with result->index, also BATON_BOOT_NONE;
//             BATON_ERR_ARG (config)
int baton_boot_decide(struct baton_image *self,
        const struct baton_boot_config *config,
        struct baton_boot_result *result);

// One event as a line for a person, without a newline.
//
// Returns     0, BATON_ERR_NOSPC (120 bytes are enough), BATON_ERR_ARG (no such step)
int baton_boot_explain(
        const struct baton_boot_event *event, char *out, size_t capacity);

// The name of a partition by index: "factory", "test", "ota_0" ... "ota_15",
// "none".
const char *baton_boot_index_name(int index);

#endif
