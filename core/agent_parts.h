// What the files of the agent share.
// SPDX-License-Identifier: MIT
//
// A phase is what the next step does; a state is what the application sees. A
// phase function does one bounded piece of work and returns 0, or an error:
// BATON_ERR_AGAIN (nothing came yet), one that is worth a retry, or one that
// ends the update.
#ifndef BATON_CORE_AGENT_PARTS_H
#define BATON_CORE_AGENT_PARTS_H

#include "baton/agent.h"
#include "journal.h"

enum agent_phase {
    PHASE_REST,
    PHASE_REPORT,   // agent_report.c
    PHASE_IDENTIFY, // agent_check.c
    PHASE_CHANNEL_OPEN,
    PHASE_CHANNEL_READ,
    PHASE_KEYS_OPEN,
    PHASE_KEYS_READ,
    PHASE_PLAIN_OPEN, // agent_plain.c
    PHASE_PLAIN_HEAD,
    PHASE_LIST_OPEN, // agent_list.c
    PHASE_LIST_READ,
    PHASE_BODY_OPEN, // agent_fetch.c
    PHASE_BODY_READ,
    PHASE_END, // agent_install.c
    PHASE_READY,
    PHASE_REBOOT,
    PHASE_GATE, // agent_trial.c
    PHASE_OTHER,
    PHASE_CONFIRM,
    PHASE_COUNT
};

enum agent_goal { GOAL_CONFIRM, GOAL_REVERT };

// ---- agent.c -------------------------------------------------------------

uint64_t baton_agent_parts_now(const struct baton_agent *self);
void baton_agent_parts_tell(
        struct baton_agent *self, uint8_t kind, int err, uint32_t value);
void baton_agent_parts_go(
        struct baton_agent *self, enum baton_agent_state state, uint8_t phase);
// Waits before `phase` is done, as part of what is under way.
void baton_agent_parts_wait(struct baton_agent *self, uint32_t ms);
// Ends what is under way, well (0) or not.
void baton_agent_parts_finish(struct baton_agent *self, int err);
// Asks the application; true for go on, else a wait has begun.
bool baton_agent_parts_may(struct baton_agent *self,
        enum baton_agent_question question,
        const struct baton_manifest *release);

// Opens `target_url` for bytes from ... to (0: the end), and closes it.
int baton_agent_parts_open(
        struct baton_agent *self, uint32_t from, uint32_t to, const char *etag);
int baton_agent_parts_read(
        struct baton_agent *self, void *buf, size_t len, size_t *got);
void baton_agent_parts_close(struct baton_agent *self);

// Counts bytes of the payload that are of use. Only a sector's worth of them
// makes up for failures: a server that drips and stalls must not hold an update
// for as long as it likes.
void baton_agent_parts_gain(struct baton_agent *self, uint32_t bytes);

const struct baton_boot_place *baton_agent_parts_target(
        const struct baton_agent *self);
uint32_t baton_agent_parts_sector(const struct baton_agent *self);
// The room behind the sector in work.
uint8_t *baton_agent_parts_io(const struct baton_agent *self, size_t *len);

// Begins the check itself.
void baton_agent_parts_start(struct baton_agent *self);
// True where a URL's path ends in ".jws".
bool baton_agent_parts_is_channel(const char *url);

// ---- agent_report.c ------------------------------------------------------

bool baton_agent_report_is_due(const struct baton_agent *self);
int baton_agent_report_send(struct baton_agent *self);

// ---- agent_identity.c ----------------------------------------------------

// Sets is_identified when it is done.
int baton_agent_identity_step(struct baton_agent *self);
// True where this very file runs; bytes 0: its length is not known.
bool baton_agent_identity_is(const struct baton_agent *self, uint32_t bytes,
        const uint8_t sha256[BATON_SHA256_BYTES]);

// ---- agent_check.c -------------------------------------------------------

// Ends the check; nothing is wrong with what the server offers.
void baton_agent_check_decline(struct baton_agent *self, int err);
// BATON_ERR_RELEASE_FAILED where this image was tried here and failed; id: the
// first 8 bytes of its SHA-256 or journal id. *is_current where it was
// confirmed and runs.
int baton_agent_check_tried(
        struct baton_agent *self, const uint8_t *id, bool *is_current);

int baton_agent_check_identify(struct baton_agent *self);
int baton_agent_check_channel_open(struct baton_agent *self);
int baton_agent_check_channel_read(struct baton_agent *self);
int baton_agent_check_keys_open(struct baton_agent *self);
int baton_agent_check_keys_read(struct baton_agent *self);

// ---- agent_plain.c -------------------------------------------------------

int baton_agent_plain_start(struct baton_agent *self);
int baton_agent_plain_open(struct baton_agent *self);
int baton_agent_plain_head(struct baton_agent *self);

// ---- agent_list.c --------------------------------------------------------

int baton_agent_list_open(struct baton_agent *self);
int baton_agent_list_read(struct baton_agent *self);
bool baton_agent_list_has(const struct baton_agent *self, uint32_t sector);

// ---- agent_fetch.c -------------------------------------------------------

// Starts, or starts again, to fetch the release; what an earlier attempt left
// on flash is found and used, unless is_fresh.
int baton_agent_fetch_begin(struct baton_agent *self);
// Goes on to the body, once it is known which sectors the slot holds.
int baton_agent_fetch_start(struct baton_agent *self);
struct baton_journal_place baton_agent_fetch_place(
        const struct baton_agent *self);
// Feeds bytes of a raw payload that begin at self->pos.
int baton_agent_fetch_feed(
        struct baton_agent *self, const uint8_t *data, size_t len);
int baton_agent_fetch_open(struct baton_agent *self);
int baton_agent_fetch_read(struct baton_agent *self);

// ---- agent_payload.c -----------------------------------------------------

// Packed and delta payloads.
int baton_agent_payload_open(struct baton_agent *self);
int baton_agent_payload_read(struct baton_agent *self);
// Bytes for the codec's own state.
size_t baton_agent_payload_room(const struct baton_agent *self);
bool baton_agent_payload_is_coded(const struct baton_agent *self);
// Asks for bytes of the payload, or of the plain image, and checks that they
// are of the same file as before.
int baton_agent_fetch_request(
        struct baton_agent *self, uint32_t from, uint32_t to);
// Begins the update at `off`, with what the journal knows.
int baton_agent_fetch_update(struct baton_agent *self, uint32_t off);
// A sector is on flash: sees to the journal.
int baton_agent_fetch_mark(struct baton_agent *self, uint32_t off);

// ---- agent_install.c -----------------------------------------------------

int baton_agent_install_end(struct baton_agent *self);
int baton_agent_install_ready(struct baton_agent *self);
int baton_agent_install_reboot(struct baton_agent *self);
int baton_agent_install_switch(struct baton_agent *self);
// What is done about an error of the payload that is being fetched: another
// payload, everything once more, or nothing (the error is returned).
int baton_agent_install_recover(struct baton_agent *self, int err);

// ---- agent_trial.c -------------------------------------------------------

// What the store keeps of the release that was last switched to.
struct baton_agent_tried {
    uint8_t verdict; // enum baton_agent_verdict
    uint8_t tries;   // without a result
    uint32_t slot;
    uint32_t sequence;
    uint8_t id[8]; // of the image's SHA-256, or of its journal id
};

enum baton_agent_verdict {
    BATON_AGENT_VERDICT_NONE,
    BATON_AGENT_VERDICT_TRYING,
    BATON_AGENT_VERDICT_FAILED,
    BATON_AGENT_VERDICT_OPEN, // inconclusive: may be tried again
    BATON_AGENT_VERDICT_GOOD, // confirmed
};

int baton_agent_trial_load(
        const struct baton_agent *self, struct baton_agent_tried *out);
int baton_agent_trial_save(
        const struct baton_agent *self, const struct baton_agent_tried *tried);
int baton_agent_trial_begin(struct baton_agent *self);
int baton_agent_trial_gate(struct baton_agent *self);
int baton_agent_trial_other(struct baton_agent *self);
int baton_agent_trial_confirm(struct baton_agent *self);
// Ends the trial when its time is over.
int baton_agent_trial_watch(struct baton_agent *self);

// ---- agent_status.c ------------------------------------------------------

int baton_agent_status_load(struct baton_agent *self);
int baton_agent_status_save(struct baton_agent *self);

#endif
