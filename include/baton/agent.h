// The update agent: check, fetch, verify, switch, try, confirm or go back.
// SPDX-License-Identifier: MIT
//
// A state machine that the application drives with baton_agent_step. A step
// does one bounded piece of work: a read from the transport, a sector of flash,
// a record. It fits a bare loop, a FreeRTOS task or an asyncio task.
//
//   begin --> IDLE --check--> CHECKING --> FETCHING --> VERIFYING --> READY
//     |        ^                 |            |             |           |
//     |        +--- an error, or nothing to do ------------+        REBOOTING
//     |        +--- healthy ---+                                        |
//     +--> TRIAL --------------+                                     a reset
//     |        +--- out of time, or given up --> REBOOTING --> old version
//     +--> REBOOTING (this boot was the trial's last)
//
// WAITING stands in for any of the middle ones while the agent backs off or has
// been told to wait. What was downloaded is never lost to a wait, to a reset or
// to a power cut: see journal below.
//
// The journal. An update marks in the last sector of the slot which sectors of
// the image are on flash; that sector is free unless the image needs it. A
// restart goes on from the first one without a mark. It is a hint: what counts
// is the digest of the whole image, and if that fails the journal is forgotten
// and everything is fetched once more.
#ifndef BATON_AGENT_H
#define BATON_AGENT_H

#include "baton/boot.h"
#include "baton/codec.h"
#include "baton/manifest.h"
#include "baton/trial.h"
#include "baton/trust.h"
#include "baton/update.h"

#define BATON_AGENT_URL_BYTES     256u // with the terminator
#define BATON_AGENT_VERSION_BYTES 33u
#define BATON_AGENT_IO_BYTES      304u // least room behind the sector in work
// With packed and delta payloads it has to hold their header.
#define BATON_AGENT_CODEC_IO_BYTES BATON_CODEC_HEADER_MAX
#define BATON_AGENT_PATH_BYTES     (BATON_MANIFEST_PATH_MAX + 1u)

enum baton_agent_state {
    BATON_AGENT_IDLE,
    BATON_AGENT_CHECKING,
    BATON_AGENT_FETCHING,
    BATON_AGENT_VERIFYING,
    BATON_AGENT_READY,     // verified, not yet switched to
    BATON_AGENT_REBOOTING, // records are written: reset now
    BATON_AGENT_TRIAL,
    BATON_AGENT_WAITING, // nothing to do before `wait_ms` is over
};

// Questions to the application; see `decide`.
enum baton_agent_question {
    BATON_AGENT_MAY_FETCH,   // a newer release was found
    BATON_AGENT_MAY_SWITCH,  // it is on flash and verified
    BATON_AGENT_MAY_REBOOT,  // everything is written; the reset is next
    BATON_AGENT_MAY_CONFIRM, // server reached: is the application healthy too?
};

enum baton_agent_event_kind {
    BATON_AGENT_EVENT_STATE,       // value: the new state
    BATON_AGENT_EVENT_CURRENT,     // what the server offers runs already
    BATON_AGENT_EVENT_FOUND,       // value: sequence, 0 for a plain image
    BATON_AGENT_EVENT_DECLINED,    // err: why this release is not for now
    BATON_AGENT_EVENT_PAYLOAD,     // value: encoding that is being fetched
    BATON_AGENT_EVENT_RESUMED,     // value: bytes found on flash
    BATON_AGENT_EVENT_RETRY,       // err: what failed; value: ms until the next
    BATON_AGENT_EVENT_FAILED,      // err: this update was given up
    BATON_AGENT_EVENT_SWITCHED,    // value: slot
    BATON_AGENT_EVENT_TRIAL,       // value: which boot of the trial this is
    BATON_AGENT_EVENT_CONFIRMED,   // value: slot
    BATON_AGENT_EVENT_ROLLED_BACK, // err: why the trial ended
};

struct baton_agent_event {
    uint8_t kind;
    int err;
    uint32_t value;
};

// How the last update went; kept over resets. Written to the store when an
// update ends, never while a settled device has nothing to do.
struct baton_agent_status {
    uint8_t state;      // enum baton_agent_state, as of now
    int32_t error;      // of the last attempt; 0: none
    uint32_t attempts;  // connections that the last update took
    uint32_t bytes;     // fetched by it, over all attempts since begin
    uint32_t total;     // bytes of the payload; 0: not known
    uint32_t done;      // bytes of the image on flash
    uint32_t seconds;   // from its start to its end, resets not counted
    uint32_t sequence;  // of the release; 0 for a plain image
    uint8_t encoding;   // enum baton_codec_encoding
    uint8_t trial_boot; // 0: not on trial
    bool unreported;    // its end was not told yet
    char from[BATON_AGENT_VERSION_BYTES]; // versions as the manifest, or the
    char to[BATON_AGENT_VERSION_BYTES];   // image, names them; may be ""
};

// The device. Everything is borrowed for the agent's life; zero means default
// where one is given.
struct baton_agent_config {
    const struct baton_flash *flash;
    const struct baton_crypto *crypto;
    const struct baton_chip *chip;
    const struct baton_transport *transport;
    const struct baton_store *store;
    const struct baton_clock *clock;
    const struct baton_random *random;
    const struct baton_reset *reset;

    // Where things are; from the partition table.
    uint32_t otadata_addr;
    const struct baton_boot_place *slots;
    uint32_t slot_count;
    int running;                   // slot, or BATON_BOOT_FACTORY
    struct baton_boot_place place; // of what runs

    // What a release must be for; "" or NULL: releases for anything are taken.
    const char *product;
    const char *board;
    const uint8_t *device_id; // decides about staged rollouts; any bytes
    size_t device_id_len;
    uint8_t bootloader;  // enum baton_bootloader: what it can do
    const uint16_t *mpy; // see struct baton_device_facts
    size_t mpy_count;
    uint64_t build_unix_s; // of what runs: time never lies before it; 0: from
                           // the running image's descriptor, if that has one
    bool require_clock;    // refuse releases while the clock is not set,
                           // where they expire (default: expiry is judged
                           // against the floor)

    // Memory for packed and delta payloads, aligned to 8: sizeof(struct
    // baton_agent_codec) and BATON_CODEC_STATE_S_BYTES (or _M_) or more; 0: raw
    // payloads only.
    void *codec;
    size_t codec_len;
    void *work; // one sector and BATON_AGENT_IO_BYTES or more, with
                // codec_len BATON_AGENT_CODEC_IO_BYTES
    size_t work_len;

    // Where an update's end is told to, as a GET with a query
    // (core/agent_report.c) before the next check; NULL: nowhere. The outcome
    // waits over resets until it was sent once.
    const char *report_url;

    // Policy.
    uint32_t retry_min_ms;    // first back-off; default 1 s; doubles, jittered
    uint32_t retry_max_ms;    // default 5 min
    uint16_t retry_max_count; // failures without a sector in between that end
                              // an update; default 10
    uint32_t total_max_bytes; // fetched for one update; default 4 slots
    uint32_t trial_ms;        // deadline of a trial; default 5 min
    uint8_t trial_max_boots;  // default 10
    uint8_t trial_max_failures; // default 3
    // Between them the agent waits retry_max_ms, then twice that.
    uint8_t inconclusive_max;    // tries of a release without network;
                                 // default 3
    bool no_block_erase;         // as in struct baton_update_config
    bool confirm_by_application; // wait for baton_agent_confirm; default: the
                                 // update server's answer is enough
    bool keep_running; // stop in READY until baton_agent_switch, and in
                       // REBOOTING without a reset

    // Asks the application. Returns 0 for yes, else the milliseconds after
    // which to ask again. release is NULL for a plain image. NULL: always yes.
    uint32_t (*decide)(void *context, enum baton_agent_question question,
            const struct baton_manifest *release);

    // Tells the application. Must not call back into the agent. May be NULL.
    void (*event)(void *context, const struct baton_agent_event *event);

    // Feeds the watchdog; called at least once for each sector read or
    // written. May be NULL.
    void (*feed)(void *context);
    void *context;
};

// Where an update comes from. Strings are copied, except that `url` must fit
// BATON_AGENT_URL_BYTES.
struct baton_agent_source {
    const char *url;       // a channel (its path ends in .jws) or an image
    const uint8_t *sha256; // of a plain image; NULL: not known
    // Take an image that nothing vouches for.
    bool allow_unsigned;
    // Release keys that the application brings, for a device without a root
    // key; pin_count of them. Copied nowhere: alive until the check is over.
    const uint8_t (*pins)[BATON_P256_KEY_BYTES];
    size_t pin_count;
    // The transport verifies the server by a CA or key that the application
    // gave; then https vouches for a plain image where no root key is set.
    bool trusted_tls;
};

// ---- What the agent keeps to itself --------------------------------------

// Which sectors need not be fetched: one bit for each.
#define BATON_AGENT_MAP_BYTES (BATON_IMAGE_SIZE_MAX / BATON_SECTOR_BYTES / 8u)

struct baton_agent_release {
    bool is_signed;
    bool has_sha256;
    bool has_id; // journal_id stands for this very file
    uint8_t encoding;
    uint8_t payload; // its index in the manifest
    uint32_t sequence;
    uint32_t image_bytes; // 0: not known
    uint32_t payload_bytes;
    uint32_t list_bytes;                // 0: none
    uint8_t sha256[BATON_SHA256_BYTES]; // of the image
    uint8_t journal_id[BATON_SHA256_BYTES];
    uint8_t list_sha256[BATON_SHA256_BYTES];
    char path[BATON_AGENT_PATH_BYTES]; // of the payload
    union {
        char list_path[BATON_AGENT_PATH_BYTES];
        char etag[BATON_ETAG_BYTES]; // of a plain image, while it is fetched
    } of;
};

// The journal of the update that runs.
struct baton_agent_journal {
    uint32_t addr;   // of its sector; 0: there is no room for one
    uint32_t marked; // sectors of the image known to be on flash
    bool started;    // its header is on flash
    bool has_head;
    uint8_t head[BATON_UPDATE_HEAD_BYTES];
};

// What a packed or delta payload needs besides the codec's own state.
struct baton_agent_codec {
    struct baton_codec_info info;
    struct baton_codec codec;
};

// Memory that the phases take turns in.
union baton_agent_scratch {
    struct {
        struct baton_trust trust;
        struct baton_manifest manifest;
    } check;
    struct {
        uint8_t map[BATON_AGENT_MAP_BYTES];
        struct baton_update update;
    } fetch;
    struct {
        uint8_t map[BATON_AGENT_MAP_BYTES]; // becomes fetch.map
        struct baton_hash_state all;
        struct baton_hash_state sector;
    } list;
    struct {
        struct baton_image_config config;
        struct baton_image image;
    } other;
    struct baton_hash_state hash;
};

// An agent. Fields are private; read it by the functions below.
struct baton_agent {
    struct baton_agent_config config;
    struct baton_agent_source source; // url points at the copy
    char url[BATON_AGENT_URL_BYTES];
    char target_url[BATON_AGENT_URL_BYTES]; // what is being fetched
    uint8_t source_sha256[BATON_SHA256_BYTES];
    uint8_t state;
    uint8_t phase;      // what the next step does
    uint8_t wait_state; // what WAITING goes back to
    uint8_t goal;       // what verifying the other slot is for
    bool is_open;       // the transport
    bool is_identified;
    bool keys_fetched;
    bool is_fresh;   // everything is being fetched once more
    bool is_resumed; // of this image not all was fetched in this run
    bool uses_map;
    bool held_back; // before another trial of the same version
    bool codec_ready;
    bool codec_pending; // the codec has more to do with what it was given
    bool saw_server;    // in this trial
    bool saw_network;   // in this trial: something answered
    bool wants_confirm;
    bool wants_check;  // once the trial is over
    int wanted_err;    // why keys were fetched
    int payload_err;   // why the last payload did not work
    uint8_t failed;    // payloads that did not work, a bit for each
    uint16_t failures; // in a row, without progress
    uint32_t gained;   // bytes of the payload since the last one
    uint64_t wait_until_ms;
    uint64_t started_ms; // of the update
    uint64_t trial_started_ms;
    uint32_t target; // slot that is written
    uint32_t other;  // slot that is verified
    bool other_boots;
    uint32_t fill;           // bytes gathered in work or the io buffer
    uint32_t at;             // position in what is read or hashed
    uint32_t pos;            // position in the payload of the next body byte
    uint32_t run_end;        // where this request's bytes are no more needed
    uint32_t identity_bytes; // of the image that runs; 0: none known
    uint8_t identity[BATON_SHA256_BYTES];
    struct baton_trial_config trial;
    struct baton_agent_status status;
    struct baton_agent_release release;
    struct baton_agent_journal journal;
    struct baton_response response;
    union baton_agent_scratch scratch;
};

// ---- Calls ---------------------------------------------------------------

// Starts the agent; as early at boot as the records can be reached, before the
// network is up, and once per boot. Puts right what a cut left in the records,
// counts and re-arms a trial, arms its deadline, learns how the last one ended.
//
// config      copied; what it points at is borrowed
// Flash       nothing on a settled device. In a trial as baton_trial_boot;
//             after one that failed, one write of the store
// Power loss  as baton_trial_boot and baton_slots_settle
// Returns     0, BATON_ERR_ARG (a callback is missing, work too small), and
//             those of baton_trial_boot, baton_slots_settle and the store. After
//             an error only baton_agent_status may be called
int baton_agent_begin(
        struct baton_agent *self, const struct baton_agent_config *config);

// Asks for an update from a source; it happens in the steps that follow. During
// a trial the source is what proves that the update server can be reached; the
// check itself follows once the version is confirmed.
//
// Flash       nothing
// Returns     0, BATON_ERR_URL (not http or https, or too long),
//             BATON_ERR_UNSIGNED (nothing vouches for what would come: give a
//             sha256, a channel or allow_unsigned; with a root key installed an
//             image without a signature needs allow_unsigned),
//             BATON_ERR_STATE (an update is under way)
int baton_agent_check(
        struct baton_agent *self, const struct baton_agent_source *source);

// What a step says besides the state.
struct baton_agent_progress {
    uint32_t wait_ms; // nothing to do before; 0: go on
    uint32_t done;    // bytes of the image on flash
    uint32_t total;   // of them all; 0: not known
    int err;          // in IDLE: how the last check ended; 0: well
};

// Does the next piece of work.
//
// progress    may be NULL
// Flash       at most one erase command and one sector programmed; records as
//             their calls say
// Power loss  the running version stays, or (from READY on) the new one is
//             tried; what was downloaded is used after it
// Returns     the state after it (enum baton_agent_state). In REBOOTING the
//             reset is made by this call, unless config.keep_running
int baton_agent_step(
        struct baton_agent *self, struct baton_agent_progress *progress);

// Steps until there is nothing to do but wait for the next check: returns how
// it ended. Waits by calling `sleep`.
//
// Returns     0 (up to date, or IDLE after a trial), the error that ended it,
//             or BATON_AGENT_REBOOTING with keep_running
int baton_agent_run(struct baton_agent *self,
        void (*sleep)(void *context, uint32_t ms), void *context);

// The application is healthy: confirms at the next steps, whatever the server
// does. Without a trial nothing happens.
//
// Returns     0, BATON_ERR_STATE
int baton_agent_confirm(struct baton_agent *self);

// Gives the version on trial up: the old one comes back with the reset that the
// next step makes, and this release is not tried again.
//
// Flash       as baton_trial_end, one write of the store
// Returns     0, BATON_ERR_STATE (no trial), those of baton_trial_end
int baton_agent_reject(struct baton_agent *self);

// Goes back to the other slot's version after confirmation, if it still
// verifies; the next steps verify, switch and reset. What runs now is not
// installed again before a higher sequence.
//
// Returns     0, BATON_ERR_STATE (an update or a trial is under way),
//             BATON_ERR_SLOT (there is no other)
int baton_agent_revert(struct baton_agent *self);

// With keep_running, in READY: switches to the new version.
//
// Flash       one record, one write of the store
// Returns     0, BATON_ERR_STATE, those of baton_slots_switch and the store
int baton_agent_switch(struct baton_agent *self);

// Gives up what is under way; what is on flash stays for the next check.
void baton_agent_cancel(struct baton_agent *self);

const struct baton_agent_status *baton_agent_status(
        const struct baton_agent *self);

// The name of a state: "idle", "checking" ...
const char *baton_agent_state_name(int state);

#endif
