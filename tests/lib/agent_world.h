// A device for tests of the agent, whole and in memory: chip, store, clock,
// and a server whose answers can go wrong.
// SPDX-License-Identifier: MIT
#ifndef BATON_TESTS_AGENT_WORLD_H
#define BATON_TESTS_AGENT_WORLD_H

#include "baton/agent.h"
#include "signer.h"
#include "world.h"

#define AGENT_WORLD_FILES 8

struct agent_file {
    char path[128]; // behind the host
    uint8_t *data;  // borrowed
    size_t len;
    const char *etag; // with quotes, or ""
};

struct agent_server {
    struct baton_transport transport;
    struct agent_file files[AGENT_WORLD_FILES];
    size_t file_count;
    bool no_ranges;
    bool no_length; // as with a chunked body
    int open_err;   // every open fails with it; 0: none
    uint32_t retry_after_s;
    uint64_t break_after; // bytes of bodies until a read fails, once; 0: never
    int break_err;
    // What happened.
    uint64_t sent; // bytes of bodies
    unsigned requests;
    char report[256]; // the last address asked for with a query
    // The body that is being sent.
    const struct agent_file *open;
    uint32_t pos;
    uint32_t end;
};

struct agent_world {
    struct world world;
    struct memory_store store;
    struct agent_server server;
    struct baton_clock clock;
    struct baton_random random;
    struct baton_reset reset;
    struct baton_boot_result boot;
    struct baton_boot_place slots[2];
    uint64_t now_ms;
    uint64_t unix_s;
    enum baton_clock_trust trust;
    enum baton_cause cause;
    unsigned reboots;
    uint32_t armed_ms;
    bool wants_reboot;
    struct baton_agent_config config; // set what a test wants before boot
    struct baton_agent agent;
    uint8_t work[BATON_SECTOR_BYTES + 1024];
    uint64_t codec[5000];
    // The last event of each kind, and how many there were.
    struct baton_agent_event last[16];
    unsigned events[16];
};

// A chip with two slots of slot_bytes, ota_0 running an image made from `old`.
void agent_world_begin(struct agent_world *self, uint32_t slot_bytes,
        const struct world_image *old, uint32_t program_bytes);
void agent_world_end(struct agent_world *self);

// Decides as the bootloader does and begins the agent. Fails the test where
// nothing boots. Returns what baton_agent_begin did.
int agent_world_boot(struct agent_world *self, enum baton_cause cause);

// Serves bytes at "http://host/<path>".
struct agent_file *agent_world_serve(struct agent_world *self, const char *path,
        const void *data, size_t len, const char *etag);

// Steps until IDLE, a reset or a power cut; time passes as the agent asks for
// it. Returns the error that IDLE came with, BATON_AGENT_REBOOTING for a reset,
// BATON_ERR_IO when the power went.
int agent_world_run(struct agent_world *self);

// Checks and runs.
int agent_world_update(
        struct agent_world *self, const struct baton_agent_source *source);

// The slot that runs and the state of its record.
uint32_t agent_world_running(const struct agent_world *self);
uint32_t agent_world_state(struct agent_world *self);

void agent_world_sha256(const void *data, size_t len, uint8_t *digest);

// A channel "stable.jws" with a release of this image, signed; served with its
// payload and its sector list. Free nothing.
struct agent_release {
    // Set before: a packed or delta payload beside the raw one; NULL: none.
    const uint8_t *coded;
    size_t coded_len;
    const char *coding;  // "packed" or "delta"
    const uint8_t *base; // of a delta
    size_t base_len;
    // Filled in.
    char jws[4200];
    uint8_t *list;
    char payload_path[96];
    char coded_path[96];
    char list_path[96];
};
void agent_world_publish(struct agent_world *self, struct agent_release *out,
        const struct signer *signer, uint8_t *image, size_t len,
        uint32_t sequence);

#endif
