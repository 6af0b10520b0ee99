// A device for tests of the agent.
// SPDX-License-Identifier: MIT
#include "agent_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "baton/error.h"

#define HOST "http://host/"

// ---- The server ----------------------------------------------------------

static const struct agent_file *find_file(
        const struct agent_server *self, const char *url) {
    size_t host = strlen(HOST);
    for (size_t i = 0; i < self->file_count; i++) {
        if (strncmp(url, HOST, host) == 0
                && strcmp(url + host, self->files[i].path) == 0) {
            return &self->files[i];
        }
    }
    return NULL;
}

static int open_file(void *context, const struct baton_request *request,
        struct baton_response *response) {
    struct agent_server *self = context;
    self->requests++;
    if (strchr(request->url, '?') != NULL) {
        snprintf(self->report, sizeof(self->report), "%s", request->url);
    }
    memset(response, 0, sizeof(*response));
    response->retry_after_s = self->retry_after_s;
    if (self->open_err != 0) {
        return self->open_err;
    }
    const struct agent_file *file = find_file(self, request->url);
    if (file == NULL) {
        return BATON_ERR_HTTP_NOT_FOUND;
    }
    uint32_t len = (uint32_t)file->len;
    bool is_same =
            request->etag == NULL || strcmp(request->etag, file->etag) == 0;
    bool is_range = (request->from != 0 || request->to != 0) && is_same
                    && !self->no_ranges;
    if (is_range && request->from >= len) {
        return BATON_ERR_HTTP_RANGE;
    }
    self->open = file;
    self->pos = is_range ? request->from : 0;
    bool to_end = !is_range || request->to == 0 || request->to > len;
    self->end = to_end ? len : request->to;
    response->from = self->pos;
    response->body_bytes =
            self->no_length && !is_range ? 0 : self->end - self->pos;
    response->total_bytes = self->no_length ? 0 : len;
    snprintf(response->etag, sizeof(response->etag), "%s", file->etag);
    return 0;
}

static int read_file(void *context, void *buf, size_t len, size_t *got) {
    struct agent_server *self = context;
    assert_non_null(self->open);
    size_t left = self->end - self->pos;
    *got = len < left ? len : left;
    if (self->break_after != 0) {
        if (self->sent + *got >= self->break_after) {
            self->break_after = 0;
            self->open = NULL;
            *got = 0;
            return self->break_err;
        }
    }
    memcpy(buf, self->open->data + self->pos, *got);
    self->pos += (uint32_t)*got;
    self->sent += *got;
    return 0;
}

static void close_file(void *context) {
    struct agent_server *self = context;
    self->open = NULL;
}

// ---- The rest of the device ----------------------------------------------

static uint64_t ticks_ms(void *context) {
    struct agent_world *self = context;
    return self->now_ms;
}

static enum baton_clock_trust read_clock(void *context, uint64_t *unix_s) {
    struct agent_world *self = context;
    *unix_s = self->unix_s + self->now_ms / 1000;
    return self->trust;
}

static void fill_random(void *context, void *buf, size_t len) {
    (void)context;
    memset(buf, 0x5A, len);
}

static enum baton_cause read_cause(void *context) {
    struct agent_world *self = context;
    return self->cause;
}

static void reboot(void *context) {
    struct agent_world *self = context;
    self->wants_reboot = true;
    self->reboots++;
}

static int arm(void *context, uint32_t ms) {
    struct agent_world *self = context;
    self->armed_ms = ms;
    return 0;
}

static void note_event(void *context, const struct baton_agent_event *event) {
    struct agent_world *self = context;
    assert_true(event->kind < 16);
    self->last[event->kind] = *event;
    self->events[event->kind]++;
}

void agent_world_begin(struct agent_world *self, uint32_t slot_bytes,
        const struct world_image *old, uint32_t program_bytes) {
    memset(self, 0, sizeof(*self));
    world_begin(&self->world, WORLD_A_B, slot_bytes, program_bytes);
    world_put_image(&self->world, 0x10, old);
    memory_store_begin(&self->store);
    self->now_ms = 1000;
    self->unix_s = 1750000000;
    self->trust = BATON_CLOCK_SET;
    self->clock = (struct baton_clock){self, ticks_ms, read_clock};
    self->random = (struct baton_random){self, fill_random};
    self->reset = (struct baton_reset){self, read_cause, reboot, arm};
    self->server.transport = (struct baton_transport){
            &self->server, open_file, read_file, close_file};
    for (uint32_t i = 0; i < 2; i++) {
        const struct baton_partition *row =
                world_app(&self->world, (uint8_t)(0x10 + i));
        self->slots[i] = (struct baton_boot_place){row->addr, row->size_bytes};
    }
    self->config = (struct baton_agent_config){.flash = &self->world.nor.flash,
            .crypto = self->world.crypto,
            .chip = &self->world.chip,
            .transport = &self->server.transport,
            .store = &self->store.store,
            .clock = &self->clock,
            .random = &self->random,
            .reset = &self->reset,
            .otadata_addr = WORLD_OTADATA_ADDR,
            .slots = self->slots,
            .slot_count = 2,
            .bootloader = BATON_BOOTLOADER_ROLLBACK,
            .event = note_event,
            .context = self,
            .work = self->work,
            .work_len = sizeof(self->work),
            .codec = self->codec,
            .codec_len = sizeof(self->codec)};
}

void agent_world_end(struct agent_world *self) {
    world_end(&self->world);
}

int agent_world_boot(struct agent_world *self, enum baton_cause cause) {
    baton_nor_power_on(&self->world.nor);
    self->cause = cause;
    self->wants_reboot = false;
    self->armed_ms = 0;
    self->server.open = NULL;
    assert_int_equal(world_boot(&self->world, NULL, &self->boot), 0);
    if (self->world.state.powered == 0) {
        return BATON_ERR_IO; // a cut in the bootloader
    }
    assert_true(self->boot.index >= 0);
    self->config.running = self->boot.index;
    memset(self->work, 0xA5, sizeof(self->work));
    memset(&self->agent, 0xA5, sizeof(self->agent));
    return baton_agent_begin(&self->agent, &self->config);
}

struct agent_file *agent_world_serve(struct agent_world *self, const char *path,
        const void *data, size_t len, const char *etag) {
    struct agent_server *server = &self->server;
    struct agent_file *file = NULL;
    for (size_t i = 0; i < server->file_count; i++) {
        if (strcmp(server->files[i].path, path) == 0) {
            file = &server->files[i];
        }
    }
    if (file == NULL) {
        assert_true(server->file_count < AGENT_WORLD_FILES);
        file = &server->files[server->file_count++];
    }
    snprintf(file->path, sizeof(file->path), "%s", path);
    file->data = (uint8_t *)(uintptr_t)data;
    file->len = len;
    file->etag = etag;
    return file;
}

int agent_world_run(struct agent_world *self) {
    for (unsigned steps = 0; steps < 1000000; steps++) {
        struct baton_agent_progress progress;
        uint64_t reads = self->world.state.stats.bytes_read;
        uint64_t erases = self->world.state.stats.sector_erases
                          + self->world.state.stats.block_erases;
        int state = baton_agent_step(&self->agent, &progress);
        if (self->world.state.powered == 0) {
            return BATON_ERR_IO;
        }
        // What a step may do is bounded.
        assert_true(self->world.state.stats.bytes_read - reads < 0x5000);
        uint64_t now = self->world.state.stats.sector_erases
                       + self->world.state.stats.block_erases;
        assert_true(now - erases <= 3);
        if (self->wants_reboot) {
            return BATON_AGENT_REBOOTING;
        }
        if (state == BATON_AGENT_IDLE) {
            return progress.err;
        }
        self->now_ms += progress.wait_ms != 0 ? progress.wait_ms : 1;
    }
    fail_msg("the agent does not come to an end");
    return 0;
}

int agent_world_update(
        struct agent_world *self, const struct baton_agent_source *source) {
    int err = baton_agent_check(&self->agent, source);
    return err != 0 ? err : agent_world_run(self);
}

uint32_t agent_world_running(const struct agent_world *self) {
    return (uint32_t)self->boot.index;
}

uint32_t agent_world_state(struct agent_world *self) {
    struct baton_slots slots;
    assert_int_equal(baton_slots_load(&self->world.nor.flash,
                             WORLD_OTADATA_ADDR, &slots),
            0);
    int active = baton_slots_active(&slots);
    return active < 0 ? BATON_STATE_UNDEFINED : slots.copy[active].state;
}

// ---- Releases ------------------------------------------------------------

#include "baton-posix/crypto.h"

void agent_world_sha256(const void *data, size_t len, uint8_t *digest) {
    const struct baton_crypto *crypto = baton_crypto_psa();
    struct baton_hash_state hash;
    assert_int_equal(crypto->hash_start(NULL, &hash, BATON_HASH_SHA256), 0);
    assert_int_equal(crypto->hash_update(NULL, &hash, data, len), 0);
    assert_int_equal(crypto->hash_finish(NULL, &hash, digest), 0);
}

static void encode_base64url(const uint8_t *data, size_t len, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs"
                                 "tuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | data[i];
        count += 8;
        while (count >= 6) {
            count -= 6;
            *out++ = digits[bits >> count & 63u];
        }
    }
    if (count > 0) {
        *out++ = digits[bits << (6 - count) & 63u];
    }
    *out = '\0';
}

static void name_by_digest(
        char *out, size_t capacity, const char *format, const uint8_t *digest) {
    char hex[65];
    for (size_t i = 0; i < 32; i++) {
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    snprintf(out, capacity, format, hex);
}

// A second payload's entry in the manifest, with a comma in front.
static void describe_coded(
        struct agent_release *out, char *text, size_t capacity) {
    uint8_t digest[32];
    char digest_text[44];
    char base_text[200] = "";
    text[0] = '\0';
    if (out->coded == NULL) {
        return;
    }
    if (out->base != NULL) {
        agent_world_sha256(out->base, out->base_len, digest);
        encode_base64url(digest, 32, digest_text);
        snprintf(base_text, sizeof(base_text),
                ",\"base\":{\"bytes\":%zu,\"sha256\":\"%s\"}", out->base_len,
                digest_text);
    }
    agent_world_sha256(out->coded, out->coded_len, digest);
    encode_base64url(digest, 32, digest_text);
    name_by_digest(out->coded_path, sizeof(out->coded_path),
            "payloads/%s.coded", digest);
    snprintf(text, capacity,
            ",{\"encoding\":\"%s\",\"profile\":\"S\",\"bytes\":%zu,"
            "\"sha256\":\"%s\",\"path\":\"%s\"%s}",
            out->coding, out->coded_len, digest_text, out->coded_path,
            base_text);
}

void agent_world_publish(struct agent_world *self, struct agent_release *out,
        const struct signer *signer, uint8_t *image, size_t len,
        uint32_t sequence) {
    size_t sectors = (len + 4095) / 4096;
    out->list = malloc(sectors * 8);
    for (size_t i = 0; i < sectors; i++) {
        uint8_t digest[32];
        size_t left = len - i * 4096;
        agent_world_sha256(image + i * 4096, left < 4096 ? left : 4096, digest);
        memcpy(out->list + i * 8, digest, 8);
    }
    uint8_t image_digest[32];
    uint8_t list_digest[32];
    char image_text[44];
    char list_text[44];
    agent_world_sha256(image, len, image_digest);
    agent_world_sha256(out->list, sectors * 8, list_digest);
    encode_base64url(image_digest, 32, image_text);
    encode_base64url(list_digest, 32, list_text);
    name_by_digest(out->payload_path, sizeof(out->payload_path),
            "payloads/%s.raw", image_digest);
    name_by_digest(
            out->list_path, sizeof(out->list_path), "lists/%s", list_digest);
    char coded[600];
    describe_coded(out, coded, sizeof(coded));
    char payload[3000];
    snprintf(payload, sizeof(payload),
            "{\"format\":1,\"product\":\"lamp\",\"chip\":0,\"version\":\"v%u\","
            "\"sequence\":%u,\"issued\":1700000000,\"expires\":1800000000,"
            "\"image\":{\"bytes\":%zu,\"sha256\":\"%s\"},"
            "\"list\":{\"bytes\":%zu,\"sha256\":\"%s\",\"path\":\"%s\"},"
            "\"payloads\":[{\"encoding\":\"raw\",\"bytes\":%zu,\"sha256\":"
            "\"%s\",\"path\":\"%s\"}%s]}",
            (unsigned)sequence, (unsigned)sequence, len, image_text,
            sectors * 8, list_text, out->list_path, len, image_text,
            out->payload_path, coded);
    size_t jws_len = signer_sign(
            signer, "baton-release+jws", payload, out->jws, sizeof(out->jws));
    agent_world_serve(self, "fw/stable.jws", out->jws, jws_len, "\"c\"");
    char path[128];
    snprintf(path, sizeof(path), "fw/%s", out->payload_path);
    agent_world_serve(self, path, image, len, "\"p\"");
    if (out->coded != NULL) {
        snprintf(path, sizeof(path), "fw/%s", out->coded_path);
        agent_world_serve(self, path, out->coded, out->coded_len, "\"d\"");
    }
    snprintf(path, sizeof(path), "fw/%s", out->list_path);
    agent_world_serve(self, path, out->list, sectors * 8, "\"l\"");
}
