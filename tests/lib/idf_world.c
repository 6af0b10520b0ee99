// The small virtual chip with ESP-IDF's functions attached.
// SPDX-License-Identifier: MIT
#include "idf_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void note(struct idf_world *self, char what, uint32_t addr, size_t len) {
    size_t used = strlen(self->log);
    snprintf(self->log + used, sizeof(self->log) - used, "%c %x %zx; ", what,
            (unsigned)addr, len);
}

static int read_flash(void *context, uint32_t addr, void *buf, size_t len) {
    struct idf_world *self = context;
    const struct baton_flash *flash = &self->world.nor.flash;
    return flash->read(flash->context, addr, buf, len);
}

static int program_flash(
        void *context, uint32_t addr, const void *buf, size_t len) {
    struct idf_world *self = context;
    const struct baton_flash *flash = &self->world.nor.flash;
    note(self, 'P', addr, len);
    return flash->program(flash->context, addr, buf, len);
}

static int erase_flash(void *context, uint32_t addr, size_t len) {
    struct idf_world *self = context;
    const struct baton_flash *flash = &self->world.nor.flash;
    note(self, 'E', addr, len);
    return flash->erase(flash->context, addr, len);
}

static void restart(void *context) {
    struct idf_world *self = context;
    self->restarts++;
}

static void die(void *context, const char *what) {
    struct idf_world *self = context;
    snprintf(self->fatal_text, sizeof(self->fatal_text), "%s", what);
    if (!self->expects_fatal) {
        fprintf(stderr, "unexpected abort: %s\n", what);
        abort();
    }
    longjmp(self->fatal_exit, 1);
}

static int burn(void *context, uint32_t version) {
    struct idf_world *self = context;
    self->world.chip.secure_version = version;
    return 0;
}

void idf_world_attach(struct idf_world *self) {
    if (baton_idf_attach(&self->config) != 0) {
        fprintf(stderr, "idf_world: attach failed\n");
        abort();
    }
}

void idf_world_begin(struct idf_world *self, enum world_table table,
        uint32_t slot_bytes, uint8_t running_subtype) {
    memset(self, 0, sizeof(*self));
    world_begin(&self->world, table, slot_bytes, 1);
    self->flash = self->world.nor.flash;
    self->flash.context = self;
    self->flash.read = read_flash;
    self->flash.program = program_flash;
    self->flash.erase = erase_flash;
    for (size_t i = 0; i < self->world.row_count; i++) {
        if (self->world.rows[i].type == BATON_TYPE_APP) {
            const struct world_image spec = {.fill = (uint8_t)i};
            world_put_image(&self->world, self->world.rows[i].subtype, &spec);
        }
    }
    self->config = (struct baton_idf_config){
            .flash = &self->flash,
            .crypto = self->world.crypto,
            .chip = &self->world.chip,
            .running_addr = world_app(&self->world, running_subtype)->addr,
            .burn_secure_version = burn,
            .restart = restart,
            .fatal = die,
            .context = self,
    };
    idf_world_attach(self);
}

void idf_world_end(struct idf_world *self) {
    baton_idf_detach();
    world_end(&self->world);
}

void idf_world_add_row(
        struct idf_world *self, const struct baton_partition *row) {
    struct world *world = &self->world;
    world->rows[world->row_count++] = *row;
    struct baton_hash_state hash;
    const struct baton_table_options options = {
            .crypto = world->crypto, .hash = &hash};
    if (baton_table_encode(world->rows, world->row_count, &options,
                world->bytes + BATON_TABLE_ADDR)
            != 0) {
        fprintf(stderr, "idf_world: table\n");
        abort();
    }
}

const esp_partition_t *idf_world_app(uint32_t subtype) {
    return esp_partition_find_first(
            ESP_PARTITION_TYPE_APP, (esp_partition_subtype_t)subtype, NULL);
}

const char *idf_world_log(struct idf_world *self) {
    static char log[sizeof(self->log)];
    memcpy(log, self->log, sizeof(log));
    self->log[0] = '\0';
    return log;
}

struct baton_slot_record idf_world_record(struct idf_world *self, int copy) {
    struct baton_slot_record record;
    baton_slots_decode(
            self->world.bytes + WORLD_OTADATA_ADDR + (uint32_t)copy * 0x1000u,
            &record);
    return record;
}
