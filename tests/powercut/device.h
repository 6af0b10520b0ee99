// A small device for power-cut sweeps, and what must hold on it.
// SPDX-License-Identifier: MIT
//
// The device boots by core/boot.c, runs one of a few known images, and does
// what the application of a scenario does. Next to the flash stands a record of
// what happened (which image was confirmed, which switch was begun) that no
// power cut touches: by it every boot is judged.
#ifndef BATON_TESTS_DEVICE_H
#define BATON_TESTS_DEVICE_H

#include "baton-posix/nor.h"
#include "baton/boot.h"
#include "baton/trial.h"
#include "baton/update.h"

#define DEVICE_FLASH_BYTES  0x20000u
#define DEVICE_OTADATA_ADDR 0xD000u
#define DEVICE_SLOT_BYTES   0x4000u
#define DEVICE_TRIAL_BOOTS  4u // cap of a trial

// The images that exist.
enum device_image {
    IMAGE_NONE, // anything else: never boots
    IMAGE_FACTORY,
    IMAGE_OLD,
    IMAGE_NEW,
    IMAGE_COUNT,
};

struct device_geometry {
    const char *name;
    uint32_t program_bytes;
    uint32_t block_bytes;
};

struct device {
    // What a power cut can hit.
    uint8_t bytes[DEVICE_FLASH_BYTES];
    struct baton_nor_state state;

    // What it cannot.
    bool rollback;
    bool has_factory;
    int running;                 // index that booted
    enum device_image image;     // what it is
    enum device_image confirmed; // must not be left by itself
    bool may_boot_new;           // a switch to it was begun
    bool must_boot_new;          // ... and finished, without rollback
    bool may_leave;              // a rollback was asked for
    bool was_rejected;           // ... and finished
    bool update_aborted;
    bool confirm_begun;
    bool weak_record;       // a weak cut hit otadata
    uint32_t trials;        // boots of an unconfirmed image
    enum baton_cause cause; // of the next boot
    uint32_t trial_boots;   // boots on trial since the last switch
    uint32_t cuts_then;     // cuts at the last switch
    bool trial_over;        // ... and it came to its end since
    bool trial_lost; // a weak bit made the record say VALID: nothing can tell

    // Figures.
    uint32_t cuts;
    uint32_t wasted_sectors; // erased though they held the right bytes
    uint32_t residues; // boots of the new image under a state no one wrote

    // A broken invariant, "" for none.
    char fault[160];
};

// The flash over a device's bytes; one for each thread of control.
struct device_port {
    struct baton_nor nor;
    struct device *device;
};

// A blank device with a table of two slots, and factory where asked.
void device_begin(struct device *self, bool rollback, bool has_factory);
void device_attach(struct device_port *port, struct device *device,
        const struct device_geometry *geometry);

// Puts an image into a partition, and records into otadata, as the factory
// does: past the flash's own rules.
void device_put_image(struct device *self, int index, enum device_image image);
void device_put_record(
        struct device *self, int copy, uint32_t seq, uint32_t state);
const uint8_t *device_image_bytes(enum device_image image, size_t *len);
uint32_t device_slot_addr(int index);

// Power comes back after a cut.
void device_power_on(struct device_port *port);

// Boots. False when the power was cut, or nothing could be booted (a fault).
bool device_boot(struct device_port *port);

// The calls an application makes. Each returns 0 or the first error; after a
// power cut nothing works any more.
enum device_order { ORDER_FORWARD, ORDER_SHUFFLED };
int device_update(struct device_port *port, int slot, enum device_order order);
int device_abort_update(struct device_port *port, int slot);
int device_switch(struct device_port *port, int slot);
int device_settle(struct device_port *port);
int device_confirm(struct device_port *port);
int device_reject(struct device_port *port);

// What runs first on a version that is on trial. BATON_TRIAL_OVER also where
// the power went.
enum baton_trial_verdict device_trial(
        struct device_port *port, struct baton_trial_count *count);
void device_mark_reset(struct device_port *port);
void device_end_trial(struct device_port *port, enum baton_trial_end why);

// The state of the record in force, or BATON_STATE_UNDEFINED.
uint32_t device_record_state(struct device_port *port);
// A record that points at this slot says ABORTED or INVALID.
bool device_was_given_up(struct device_port *port, int slot);

void device_fault(struct device *self, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

#endif
