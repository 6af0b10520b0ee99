// The trial of a new version: how many boots it gets, and which ends count.
// SPDX-License-Identifier: MIT
//
// The vendor's bootloader gives a new image one boot: at the next one it marks
// the record ABORTED and the old version is back, whatever ended the trial. A
// trial is therefore re-armed at each of its boots: PENDING_VERIFY (1) becomes
// NEW (0) by clearing one bit, no erase, so that a power cut or an intended
// reset costs nothing. Baton counts in the record's 20 label bytes, which the
// bootloader keeps and its CRC does not cover; a count is bits cleared from
// the lowest up, so each step is one program without an erase.
//
//   label byte  0-1   boots of this trial (16 bits; 10 by default are the cap)
//               2     failures: boots that ended in a crash or a watchdog
//               3-4   intended resets: bit n - 1 is cleared before a reset that
//                     the program wants in boot n, so that the next boot does
//                     not take it for a crash
//               5     flags, true when the bit is cleared:
//                     bit 0  ran out of time without any network
//                            (inconclusive, not a failure)
//                     bit 1  given up by the application
//                     bit 2  over: a cap was reached, or baton_trial_end
//                     bit 3  ... and written down in the state as well
//               6     what was seen, true when the bit is cleared:
//                     bit 0  something answered from the network
//                     bit 1  a failure was certainly a crash or a watchdog
//               7-19  left alone
//
// A label with bytes 0-6 all ones is one nobody counted in: baton_slots_switch
// leaves it so. esp_ota_set_boot_partition keeps the label instead: a trial it
// begins starts a new count where the one before had ended by Baton's hand
// (bit 3), and goes on with the old count where it had not. A label whose counts
// are not cleared from the lowest bit up, or without any of the four unused
// flags, is somebody else's: it is begun anew by rewriting the record.
//
// Flash that is programmed in units above 4 bytes (encrypted) cannot clear
// single bits: there the record is rewritten, erase and program, and a cut in
// between loses the trial, not the device.
//
// All of this needs a bootloader with rollback. Nothing that runs on trial may
// start an update: it would take the old version away (docs/TRIAL.md).
#ifndef BATON_TRIAL_H
#define BATON_TRIAL_H

#include "baton/slots.h"

#define BATON_TRIAL_BOOTS_MAX    16u
#define BATON_TRIAL_FAILURES_MAX 8u

struct baton_trial_config {
    const struct baton_flash *flash;
    uint32_t otadata_addr;
    uint32_t slot_count;
    uint32_t running;     // slot; one that is none (factory) is never on trial
    uint8_t max_boots;    // boots of any cause; 0 means 10, at most 16
    uint8_t max_failures; // 0 means 3, at most 8
};

enum baton_trial_verdict {
    BATON_TRIAL_NONE,    // the running slot is not on trial
    BATON_TRIAL_GOES_ON, // re-armed: the next boot is this slot's too
    BATON_TRIAL_OVER,    // a cap is reached, or an end that a cut interrupted
                         // is now complete; not re-armed: reset, and the old
                         // version is back
};

// What a label tells.
struct baton_trial_count {
    uint8_t boots;
    uint8_t failures;
    bool counted;      // the version ran far enough to count at all
    bool inconclusive; // ran out of time without any network
    bool given_up;     // by the application
    bool network;      // something answered while it ran
    bool crashed;      // a failure was a crash or a watchdog, not only a reset
                       // without a mark, as a deadline that passed is one
    bool over;         // ended by Baton; else, where the state is ABORTED, by
                       // the bootloader: a boot that did not reach
                       // baton_trial_boot's last write
};

// Reads a label; out is all zero where nobody counted in it, or somebody else.
void baton_trial_decode(const uint8_t label[BATON_OTADATA_LABEL_BYTES],
        struct baton_trial_count *out);

// Counts and re-arms; once per boot, right after baton_slots_settle and before
// anything that can fail.
//
// The boot is counted, whatever its cause; the one after the last allowed is
// OVER. A boot of this version is a failure when the next one's cause is CRASH
// or WATCHDOG, or RESET or UNKNOWN and baton_trial_mark_reset was not called.
// How the boot before the trial's first ended says nothing about this version.
//
// cause   of this boot: how the boot before ended
// verdict, count  receive the outcome; count may be NULL
// Flash       nothing where the running slot is not on trial. Else one program
//             of label bytes (two after the first certain crash), then one of
//             the state. In units, or where the
//             label is somebody else's, one record rewritten as by
//             baton_slots_store. OVER after SOFT or WAKE, where the bootloader
//             has not looked at the record: a program and a rewrite
// Power loss  before the state is cleared the trial ends at the next boot, as
//             with the vendor's alone. Where the record is rewritten it can be
//             lost: the other version boots
// Returns     0, BATON_ERR_ARG (caps), BATON_ERR_RANGE, BATON_ERR_NOR,
//             BATON_ERR_IO, BATON_ERR_READBACK
int baton_trial_boot(const struct baton_trial_config *config,
        enum baton_cause cause, enum baton_trial_verdict *verdict,
        struct baton_trial_count *count);

// Marks the reset that follows as intended. Call it before every reset that is
// no failure; does nothing where no trial runs.
//
// Flash       one program of one label byte; in units one record rewritten
// Power loss  in units the record can be lost: the other version boots
// Returns     0, BATON_ERR_RANGE, BATON_ERR_NOR, BATON_ERR_IO,
//             BATON_ERR_READBACK
int baton_trial_mark_reset(const struct baton_trial_config *config);

// Notes that something answered from the network. A trial that ends by resets
// without a mark, or by the cap of boots, and never got so far is inconclusive:
// the network may be down for everybody, and a script that waits for it before
// it does anything else ends by the deadline.
//
// Flash       one program of one label byte, once for each trial; in units
//             nothing, as a rewrite would risk the trial
// Returns     as baton_trial_mark_reset
int baton_trial_note_network(const struct baton_trial_config *config);

enum baton_trial_end {
    BATON_TRIAL_END_TIMEOUT,      // out of time, with network: a failure
    BATON_TRIAL_END_INCONCLUSIVE, // out of time, and no network at all
    BATON_TRIAL_END_GIVEN_UP,     // the application said so
};

// Ends the trial against the running version: the next boot is the old one's.
// The state becomes PENDING_VERIFY again, which the bootloader aborts; where
// that takes an erase, the record is rewritten.
//
// Flash       up to three programs of label bytes, then as baton_slots_store
// Power loss  the trial goes on where not even the label was written; else the
//             old version boots, or the next baton_trial_boot says OVER
// Returns     0, BATON_ERR_STATE (no trial; nothing was written), BATON_ERR_ARG (why),
//             BATON_ERR_RANGE, BATON_ERR_NOR, BATON_ERR_IO, BATON_ERR_READBACK
int baton_trial_end(
        const struct baton_trial_config *config, enum baton_trial_end why);

// What the record of a slot tells of its last trial; for the version that runs
// after a rollback. Of two records that point at `slot` the newer one.
//
// record  receives the record; seq is 0xFFFFFFFF where none points at `slot`,
//         as after a cut that lost it, and then nothing is known of the trial
// count   receives the counts; all zero where there are none; may be NULL
// Flash       two reads of 32 bytes
// Returns     0, BATON_ERR_RANGE, BATON_ERR_IO
int baton_trial_look(const struct baton_trial_config *config, uint32_t slot,
        struct baton_slot_record *record, struct baton_trial_count *count);

#endif
