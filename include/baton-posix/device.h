// The seams of an agent over a virtual ESP32: everything but the transport.
// SPDX-License-Identifier: MIT
//
// For a program that plays the firmware: `baton sim --micropython PROGRAM` is
// its bootloader and supervisor. A reset and a power cut end the process, as
// they end a firmware; the supervisor starts it again.
#ifndef BATON_POSIX_DEVICE_H
#define BATON_POSIX_DEVICE_H

#include "baton-posix/board.h"
#include "baton-posix/nvs.h"
#include "baton/agent.h"

#define BATON_DEVICE_WORK_BYTES (BATON_SECTOR_BYTES + 1024u)

// Fields but `config` are private.
struct baton_device {
    struct baton_agent_config config; // all but transport is filled in
    struct baton_board board;
    struct baton_nvs nvs;
    uint8_t ns;
    struct baton_boot_place slots[BATON_SLOTS_MAX];
    struct baton_store store;
    struct baton_clock clock;
    struct baton_random random;
    struct baton_reset reset;
    uint8_t work[BATON_DEVICE_WORK_BYTES];
    // Pointers are longer here than on a chip.
    uint64_t codec[(sizeof(struct baton_agent_codec)
                           + 2u * BATON_CODEC_STATE_S_BYTES)
                   / 8u];
};

// Opens the board that the environment names (BATON_BOARD_ENV), mounts its NVS
// and fills in the configuration: flash and places, chip, store (namespace
// "baton"), the system's clock and random numbers, the board's reset, the base
// MAC as device id, memory. The deadline of a trial is a timer of the process:
// when it fires, the board resets by its watchdog. self must stay where it is.
//
// Returns     0, those of baton_board_attach and baton_table_load,
//             BATON_ERR_NO_OTADATA, BATON_ERR_SLOT (no slots),
//             BATON_ERR_TABLE_ABSENT (no nvs partition), BATON_ERR_IO (the NVS
//             cannot be mounted), BATON_ERR_CRYPTO
int baton_device_attach(struct baton_device *self);

void baton_device_close(struct baton_device *self);

#endif
