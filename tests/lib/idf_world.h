// The small virtual chip with ESP-IDF's functions attached, and a log of what
// they do to the flash.
// SPDX-License-Identifier: MIT
#ifndef BATON_TESTS_IDF_WORLD_H
#define BATON_TESTS_IDF_WORLD_H

#include <setjmp.h>

#include "baton-idf/esp_ota_ops.h"
#include "baton-posix/idf.h"
#include "world.h"

struct idf_world {
    struct world world;
    struct baton_flash flash; // logs, then hands on
    struct baton_idf_config config;
    // Every erase and program since the last look: "E 10000 1000; P d000 20; "
    char log[2048];
    unsigned restarts;
    bool expects_fatal;
    jmp_buf fatal_exit;
    char fatal_text[128];
};

// A chip with this table, every app partition holding a good image, otadata
// blank, attached with `running_subtype` running.
void idf_world_begin(struct idf_world *self, enum world_table table,
        uint32_t slot_bytes, uint8_t running_subtype);
void idf_world_end(struct idf_world *self);

// Attaches again, as after a reset, with what self->config says now.
void idf_world_attach(struct idf_world *self);

// Adds a row to the table on flash. Attach again afterwards.
void idf_world_add_row(
        struct idf_world *self, const struct baton_partition *row);

const esp_partition_t *idf_world_app(uint32_t subtype);

// The log so far; empties it at the next operation.
const char *idf_world_log(struct idf_world *self);

// A record on flash.
struct baton_slot_record idf_world_record(struct idf_world *self, int copy);

// Fails the test unless the statement ends in the fatal hook.
#define EXPECT_FATAL(self, statement)                                          \
    do {                                                                       \
        (self)->expects_fatal = true;                                          \
        if (setjmp((self)->fatal_exit) == 0) {                                 \
            statement;                                                         \
            fail_msg("did not abort: %s", #statement);                         \
        }                                                                      \
        (self)->expects_fatal = false;                                         \
    } while (0)

#endif
