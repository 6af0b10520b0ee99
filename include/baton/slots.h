// The two otadata records: which slot is chosen, and in what state.
// SPDX-License-Identifier: MIT
//
// Format: ESP-IDF's otadata partition, two 4 KiB sectors, one 32-byte record
// at the start of each (docs/FORMAT.md). Bit-compatible with the vendor's
// bootloader and esp_ota_ops: either side reads what the other wrote.
//
// A "copy" is one of the two records (0 or 1); a "slot" is an application
// partition ota_0 ... ota_15.
#ifndef BATON_SLOTS_H
#define BATON_SLOTS_H

#include "baton/port.h"

#define BATON_OTADATA_BYTES        0x2000u
#define BATON_OTADATA_RECORD_BYTES 32u
#define BATON_OTADATA_LABEL_BYTES  20u
#define BATON_OTADATA_COUNT_BYTES  7u // of the label, used by trial.h
#define BATON_SLOTS_MAX            16u

enum baton_slot_state {
    BATON_STATE_NEW = 0,     // written, not yet booted
    BATON_STATE_PENDING = 1, // booted once, not yet confirmed
    BATON_STATE_VALID = 2,   // confirmed
    BATON_STATE_INVALID = 3, // rejected by the application
    BATON_STATE_ABORTED = 4, // rejected by the bootloader
};
#define BATON_STATE_UNDEFINED 0xFFFFFFFFu // rollback not in use

struct baton_slot_record {
    uint32_t seq; // 0xFFFFFFFF: erased
    uint8_t label[BATON_OTADATA_LABEL_BYTES];
    uint32_t state; // enum baton_slot_state or BATON_STATE_UNDEFINED
    uint32_t crc;   // over seq alone
};

struct baton_slots {
    struct baton_slot_record copy[2];
};

// The record's CRC of a sequence number: CRC-32 continued from 0xFFFFFFFF over
// the four little-endian bytes; not the ordinary CRC-32 of them.
uint32_t baton_slots_crc(uint32_t seq);

// Converts between a record and its 32 bytes on flash. Any bytes decode.
void baton_slots_decode(const uint8_t raw[BATON_OTADATA_RECORD_BYTES],
        struct baton_slot_record *out);
void baton_slots_encode(const struct baton_slot_record *record,
        uint8_t raw[BATON_OTADATA_RECORD_BYTES]);

// Reads both records.
//
// otadata_addr  flash address of the otadata partition
// Flash         two reads of 32 bytes
// Returns       0, BATON_ERR_RANGE, BATON_ERR_IO
int baton_slots_load(const struct baton_flash *flash, uint32_t otadata_addr,
        struct baton_slots *out);

// True when a record is out of the choice whatever its CRC says: erased,
// INVALID or ABORTED.
bool baton_slots_is_excluded(const struct baton_slot_record *record);

// True when a record can be chosen: not excluded, and its CRC is right.
bool baton_slots_is_usable(const struct baton_slot_record *record);

// The copy in force: the usable one with the larger sequence number, copy 0 on
// a tie; -1 when neither is usable.
int baton_slots_active(const struct baton_slots *self);

// The slot a record points at, of `count` slots; count 0 gives UINT32_MAX.
uint32_t baton_slots_slot(
        const struct baton_slot_record *record, uint32_t count);

// How set_boot on the slot that is already active is written.
enum baton_slots_style {
    BATON_SLOTS_SAME_COPY,  // ESP-IDF v6.0 and later
    BATON_SLOTS_OTHER_COPY, // ESP-IDF before v6.0, MicroPython's today: the
                            // same sequence into the other record
};

// Works out the record that makes `slot` the choice, without touching flash.
//
// count  number of slots, 1 to 16
// slot   0 to count - 1
// state  of the new record
// copy   receives which copy is to be written
// out    receives the record; label bytes are kept from that copy
// Returns 0, BATON_ERR_SLOT (slot or count out of range, or sequence numbers
//         used up)
int baton_slots_plan(const struct baton_slots *self, uint32_t count,
        uint32_t slot, uint32_t state, enum baton_slots_style style, int *copy,
        struct baton_slot_record *out);

// Writes one record: erases its sector, programs 32 bytes, reads them back.
//
// Flash       one sector erase, one program of 32 bytes, one read
// Power loss  that copy reads as erased, as rubbish or as the new record; the
//             other copy is untouched. Rubbish passes the CRC once in 2^32.
// Returns     0, BATON_ERR_ARG (copy), BATON_ERR_READBACK, BATON_ERR_RANGE,
//             BATON_ERR_NOR, BATON_ERR_IO
int baton_slots_store(const struct baton_flash *flash, uint32_t otadata_addr,
        int copy, const struct baton_slot_record *record);

// Makes `slot` the one to boot next. The caller has verified its image. The
// label bytes that trial.h counts in become 0xFF: a new trial.
//
// Flash       as baton_slots_store, on the copy that is not in force (unless
//             `slot` is in force already and style is BATON_SLOTS_SAME_COPY)
// Power loss  the old choice or the new one
// Returns     0, BATON_ERR_SLOT, and those of baton_slots_store
int baton_slots_switch(const struct baton_flash *flash, uint32_t otadata_addr,
        uint32_t count, uint32_t slot, uint32_t state,
        enum baton_slots_style style);

// Rewrites the state of one copy in place, other fields kept.
//
// Flash       as baton_slots_store; nothing when the state is that already
// Power loss  that record can be lost; the other copy is untouched
// Returns     0, and those of baton_slots_load and baton_slots_store
int baton_slots_set_state(const struct baton_flash *flash,
        uint32_t otadata_addr, int copy, uint32_t state);

// Puts right at boot what a cut can have left in the records, before anything
// else reads or writes them:
// - a record in force that points at another slot than the one that runs was
//   passed over by the bootloader (its image is bad), or has changed since it
//   was read: it becomes INVALID;
// - a state that is none of the known ones, on the running slot, would never be
//   rolled back: it becomes PENDING_VERIFY, on trial.
// Call it once, before any switch of this boot; a switch makes the first case
// look the same. For that reason never at a start that the bootloader did not
// decide: after a soft reset of the interpreter, or a wake from deep sleep
// that skips verification.
//
// Flash        nothing where nothing is wrong, else as baton_slots_set_state
// Returns      0, and those of baton_slots_load and baton_slots_store
int baton_slots_settle(const struct baton_flash *flash, uint32_t otadata_addr,
        uint32_t count, uint32_t running);

// Confirms the slot that runs: it stays until an update or a rollback. The
// label bytes that trial.h counts in become 0xFF.
//
// The vendor's own call rewrites whichever record is in force, even when that
// slot failed to boot and another one runs; this one refuses then.
//
// running      the slot that runs
// other_boots  a boot without the record in force would find a good image by
//              the other record, or factory
// Flash        nothing when it is VALID already, or undefined (no rollback in
//              use). With other_boots as
//              baton_slots_store on the record in force. Without, that record
//              is made NEW again by clearing its one bit (not on flash that is
//              programmed in units, which may be encrypted), then the other
//              one is written, VALID, with the next sequence for this slot,
//              and the first is erased
// Power loss   with other_boots: confirmed, or the other image boots. Without:
//              confirmed, or one more trial boot
// Returns      0, BATON_ERR_NO_CHOICE (no record in force while something else
//              would boot; with nothing else, one is written),
//              BATON_ERR_NOT_RUNNING, BATON_ERR_SLOT, and those of
//              baton_slots_load and baton_slots_store
int baton_slots_confirm(const struct baton_flash *flash, uint32_t otadata_addr,
        uint32_t count, uint32_t running, bool other_boots);

// Rejects the slot that runs: the next boot takes the other record's, or
// factory. The caller has made sure that one of them boots.
//
// Flash        as baton_slots_store on the record in force
// Power loss   this slot, or the other
// Returns      as baton_slots_confirm
int baton_slots_reject(const struct baton_flash *flash, uint32_t otadata_addr,
        uint32_t count, uint32_t running);

// The name of a state: "NEW", "PENDING_VERIFY", "VALID", "INVALID", "ABORTED",
// "UNDEFINED"; "UNKNOWN" for any other number.
const char *baton_slots_state_name(uint32_t state);

#endif
