// The update agent for Python: package/baton/__init__.py has its face.
// SPDX-License-Identifier: MIT
//
// Policy is the agent's (core/); what the chip and the network do comes from
// Python objects (python_port.h, python_stream.h). An exception that passes
// through a call leaves the agent as a power cut would: it cannot go on then,
// a new one can.
#include "baton/agent.h"

#include "baton-freestanding/crypto.h"
#include "baton-freestanding/p256.h"
#include "baton/error.h"
#include "python_port.h"
#include "python_stream.h"
#include "slot_functions.h"

enum { SLOTS_MAX = 16 };
enum { WORK_BYTES = BATON_SECTOR_BYTES + BATON_AGENT_CODEC_IO_BYTES };
enum { HEADER_BYTES = 14, HEADER_CHIP_OFF = 12 };

// The bits of the options that Python gives; as in package/baton/__init__.py.
enum {
    CONFIRM_BY_APPLICATION = 1,
    KEEP_RUNNING = 2,
    REQUIRE_CLOCK = 4,
};
enum { ALLOW_UNSIGNED = 1, TRUSTED_TLS = 2 };

// Where Python gives what.
enum { TEXT_PRODUCT, TEXT_BOARD, TEXT_DEVICE_ID, TEXT_REPORT, TEXTS };
enum {
    NUMBER_FLAGS,
    NUMBER_TRIAL_MS,
    NUMBER_TRIAL_BOOTS,
    NUMBER_TRIAL_FAILURES,
    NUMBER_INCONCLUSIVE,
    NUMBER_RETRY_MIN_MS,
    NUMBER_RETRY_MAX_MS,
    NUMBER_RETRIES,
    NUMBER_TOTAL_MAX,
    NUMBER_BOOTLOADER,
    NUMBER_MPY,
    NUMBERS,
};

struct agent_handle {
    struct baton_binding_handle handle;
    bool is_busy; // a call is under way, or ended by an exception
    struct baton_partition_flash *flash;
    struct baton_python_port port;
    struct baton_python_stream stream;
    struct baton_chip chip;
    struct baton_crypto crypto;
    struct baton_boot_place slots[SLOTS_MAX];
    uint16_t mpy;
    mp_obj_t texts; // kept alive, as the agent borrows them
    mp_obj_t codec;
    struct baton_agent agent;
};

static struct agent_handle *enter(mp_obj_t object) {
    struct agent_handle *self =
            baton_binding_handle(object, BATON_HANDLE_AGENT);
    if (self->is_busy) {
        baton_binding_check(BATON_ERR_STATE);
    }
    self->is_busy = true;
    baton_partition_flash_forget(self->flash);
    return self;
}

static mp_obj_t leave(struct agent_handle *self, int err) {
    self->is_busy = false;
    baton_binding_check(err);
    return mp_const_none;
}

// ---- What the agent asks and tells ---------------------------------------

static mp_obj_t new_text(const char *text) {
    return mp_obj_new_str(text, strlen(text));
}

static uint32_t decide(void *context, enum baton_agent_question question,
        const struct baton_manifest *release) {
    struct agent_handle *self = context;
    mp_obj_t args[] = {MP_OBJ_NEW_SMALL_INT(question), mp_const_none};
    if (release != NULL) {
        mp_obj_t items[] = {
                new_text(release->version),
                mp_obj_new_int_from_uint(release->sequence),
                mp_obj_new_int_from_uint(release->image_bytes),
                new_text(release->notes),
        };
        args[1] = mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
    }
    return (uint32_t)baton_python_ask(
            self->port.object, MP_QSTR_decide, 2, args);
}

static void tell(void *context, const struct baton_agent_event *event) {
    struct agent_handle *self = context;
    mp_obj_t args[] = {
            MP_OBJ_NEW_SMALL_INT(event->kind),
            MP_OBJ_NEW_SMALL_INT(event->err),
            mp_obj_new_int_from_uint(event->value),
    };
    baton_python_ask(self->port.object, MP_QSTR_event, 3, args);
}

static void feed(void *context) {
    struct agent_handle *self = context;
    baton_python_ask(self->port.object, MP_QSTR_feed, 0, NULL);
}

// ---- Making one ----------------------------------------------------------

// The items of a tuple in their order.
static void get_items(mp_obj_t tuple, size_t count, mp_obj_t *out) {
    baton_binding_unpack(tuple, count, out);
    for (size_t i = 0; i < count / 2; i++) {
        mp_obj_t item = out[i];
        out[i] = out[count - 1 - i];
        out[count - 1 - i] = item;
    }
}

// Python's tuple: how many slots there are, which come first in the flash's
// partitions, then otadata, then what runs where that is no slot (-1).
static void set_places(struct agent_handle *self,
        struct baton_agent_config *config, mp_obj_t tuple) {
    mp_obj_t items[2];
    get_items(tuple, 2, items);
    uint32_t count = baton_binding_u32(items[0]);
    mp_int_t running = (mp_int_t)mp_obj_get_int(items[1]);
    const struct baton_flash_partition *it = self->flash->partition;
    if (count < 1 || count > SLOTS_MAX || running >= (mp_int_t)count
            || count + (running < 0 ? 2u : 1u) != self->flash->count) {
        baton_binding_check(BATON_ERR_ARG);
    }
    for (uint32_t i = 0; i < count; i++) {
        self->slots[i].addr = it[i].addr;
        self->slots[i].size_bytes = it[i].size_bytes;
    }
    config->slots = self->slots;
    config->slot_count = count;
    config->otadata_addr = it[count].addr;
    const struct baton_flash_partition *place = &it[count + 1];
    config->running = BATON_BOOT_FACTORY;
    if (running >= 0) {
        place = &it[running];
        config->running = (int)running;
    }
    config->place.addr = place->addr;
    config->place.size_bytes = place->size_bytes;
}

// The chip is what the image that runs on it is for.
static int find_chip(
        struct agent_handle *self, const struct baton_boot_place *place) {
    uint8_t header[HEADER_BYTES];
    int err = self->flash->flash.read(
            self->flash->flash.context, place->addr, header, sizeof(header));
    baton_binding_chip(&self->chip, mp_const_none);
    self->chip.id = (uint16_t)(header[HEADER_CHIP_OFF]
                               | header[HEADER_CHIP_OFF + 1] << 8);
    return err;
}

// NULL where it is empty.
static const char *get_text(mp_obj_t object) {
    const char *text = mp_obj_str_get_str(object);
    return text[0] != '\0' ? text : NULL;
}

static void set_texts(struct agent_handle *self,
        struct baton_agent_config *config, mp_obj_t tuple) {
    mp_obj_t items[TEXTS];
    get_items(tuple, TEXTS, items);
    mp_buffer_info_t id;
    self->texts = tuple;
    config->product = get_text(items[TEXT_PRODUCT]);
    config->board = get_text(items[TEXT_BOARD]);
    config->report_url = get_text(items[TEXT_REPORT]);
    baton_binding_data(items[TEXT_DEVICE_ID], &id);
    config->device_id = id.buf;
    config->device_id_len = id.len;
}

static void set_numbers(struct agent_handle *self,
        struct baton_agent_config *config, mp_obj_t tuple) {
    mp_obj_t items[NUMBERS];
    get_items(tuple, NUMBERS, items);
    uint32_t number[NUMBERS];
    for (size_t i = 0; i < NUMBERS; i++) {
        number[i] = baton_binding_u32(items[i]);
    }
    uint32_t flags = number[NUMBER_FLAGS];
    config->confirm_by_application = (flags & CONFIRM_BY_APPLICATION) != 0;
    config->keep_running = (flags & KEEP_RUNNING) != 0;
    config->require_clock = (flags & REQUIRE_CLOCK) != 0;
    config->trial_ms = number[NUMBER_TRIAL_MS];
    config->trial_max_boots = (uint8_t)number[NUMBER_TRIAL_BOOTS];
    config->trial_max_failures = (uint8_t)number[NUMBER_TRIAL_FAILURES];
    config->inconclusive_max = (uint8_t)number[NUMBER_INCONCLUSIVE];
    config->retry_min_ms = number[NUMBER_RETRY_MIN_MS];
    config->retry_max_ms = number[NUMBER_RETRY_MAX_MS];
    config->retry_max_count = (uint16_t)number[NUMBER_RETRIES];
    config->total_max_bytes = number[NUMBER_TOTAL_MAX];
    config->bootloader = (uint8_t)number[NUMBER_BOOTLOADER];
    self->mpy = (uint16_t)number[NUMBER_MPY];
    config->mpy = &self->mpy;
    config->mpy_count = self->mpy != 0 ? 1 : 0;
}

// The root key is installed by the device's own program, which is trusted.
static int set_root(struct agent_handle *self, const uint8_t *key) {
    struct baton_trust trust;
    int err = baton_trust_load(&trust, &self->port.store);
    if (err && err != BATON_ERR_TRUST_STORE) {
        return err;
    }
    return baton_trust_set_root(&trust, &self->port.store, key);
}

// agent(port, flash, (slots, running), texts, numbers, root)
static mp_obj_t agent_new(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct baton_agent_config config;
    struct agent_handle *self =
            baton_binding_new_handle(BATON_HANDLE_AGENT, sizeof(*self));
    void *volatile pinned = self;
    self->is_busy = true;
    memset(&config, 0, sizeof(config));
    self->flash = baton_binding_flash(args[1]);
    baton_python_port_begin(&self->port, args[0]);
    baton_crypto_init(&self->crypto);
    self->crypto.verify_p256 = baton_p256_callback;
    baton_binding_check(baton_python_stream_begin(
            &self->stream, &self->port.clock, MP_OBJ_NULL, mp_const_none));
    set_places(self, &config, args[2]);
    set_texts(self, &config, args[3]);
    set_numbers(self, &config, args[4]);
    config.flash = &self->flash->flash;
    config.crypto = &self->crypto;
    config.chip = &self->chip;
    config.transport = &self->stream.http.transport;
    config.store = &self->port.store;
    config.clock = &self->port.clock;
    config.random = &self->port.random;
    config.reset = &self->port.reset;
    config.work = m_malloc(WORK_BYTES);
    config.work_len = WORK_BYTES;
    config.decide = decide;
    config.event = tell;
    config.feed = feed;
    config.context = self;
    int err = find_chip(self, &config.place);
    if (err == 0 && args[5] != mp_const_none) {
        err = set_root(
                self, baton_binding_bytes(args[5], BATON_P256_KEY_BYTES));
    }
    if (err == 0) {
        err = baton_agent_begin(&self->agent, &config);
    }
    leave(self, err);
    return MP_OBJ_FROM_PTR(pinned);
}
BATON_FUNCTION(baton_agent_obj, 6, 6, agent_new);

// ---- Using it ------------------------------------------------------------

// agent_check(agent, url, sha256, flags, stream, authorization, codec)
static mp_obj_t agent_check(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct agent_handle *self = enter(args[0]);
    self->is_busy = false; // what can be raised here leaves everything as it is
    struct baton_agent_source source;
    memset(&source, 0, sizeof(source));
    source.url = mp_obj_str_get_str(args[1]);
    if (args[2] != mp_const_none) {
        source.sha256 = baton_binding_bytes(args[2], BATON_SHA256_BYTES);
    }
    uint32_t flags = baton_binding_u32(args[3]);
    source.allow_unsigned = (flags & ALLOW_UNSIGNED) != 0;
    source.trusted_tls = (flags & TRUSTED_TLS) != 0;
    mp_buffer_info_t codec = {0};
    if (args[6] != mp_const_none) {
        mp_get_buffer_raise(args[6], &codec, MP_BUFFER_WRITE);
    }
    int err = baton_agent_check(&self->agent, &source);
    if (err == 0) {
        // Nothing is open, and nothing is being decoded.
        err = baton_python_stream_begin(
                &self->stream, &self->port.clock, args[4], args[5]);
        self->codec = args[6];
        self->agent.config.codec = codec.buf;
        self->agent.config.codec_len = codec.len;
    }
    baton_binding_check(err);
    return mp_const_none;
}
BATON_FUNCTION(baton_agent_check_obj, 7, 7, agent_check);

// agent_codec_bytes(): what agent_check wants to be given for small payloads
static mp_obj_t agent_codec_bytes(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    (void)args;
    return MP_OBJ_NEW_SMALL_INT(
            sizeof(struct baton_agent_codec) + BATON_CODEC_STATE_S_BYTES);
}
BATON_FUNCTION(baton_agent_codec_bytes_obj, 0, 0, agent_codec_bytes);

// (state, ms to wait, bytes done, bytes in all, error)
static mp_obj_t agent_step(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct agent_handle *self = enter(args[0]);
    struct baton_agent_progress progress;
    int state = baton_agent_step(&self->agent, &progress);
    leave(self, state < 0 ? state : 0);
    mp_obj_t items[] = {
            MP_OBJ_NEW_SMALL_INT(state),
            mp_obj_new_int_from_uint(progress.wait_ms),
            mp_obj_new_int_from_uint(progress.done),
            mp_obj_new_int_from_uint(progress.total),
            MP_OBJ_NEW_SMALL_INT(progress.err),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
BATON_FUNCTION(baton_agent_step_obj, 1, 1, agent_step);

static mp_obj_t agent_confirm(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct agent_handle *self = enter(args[0]);
    return leave(self, baton_agent_confirm(&self->agent));
}
BATON_FUNCTION(baton_agent_confirm_obj, 1, 1, agent_confirm);

static mp_obj_t agent_reject(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct agent_handle *self = enter(args[0]);
    return leave(self, baton_agent_reject(&self->agent));
}
BATON_FUNCTION(baton_agent_reject_obj, 1, 1, agent_reject);

static mp_obj_t agent_revert(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct agent_handle *self = enter(args[0]);
    return leave(self, baton_agent_revert(&self->agent));
}
BATON_FUNCTION(baton_agent_revert_obj, 1, 1, agent_revert);

static mp_obj_t agent_switch(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct agent_handle *self = enter(args[0]);
    return leave(self, baton_agent_switch(&self->agent));
}
BATON_FUNCTION(baton_agent_switch_obj, 1, 1, agent_switch);

static mp_obj_t agent_cancel(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct agent_handle *self = enter(args[0]);
    baton_agent_cancel(&self->agent);
    return leave(self, 0);
}
BATON_FUNCTION(baton_agent_cancel_obj, 1, 1, agent_cancel);

// The reset that follows is none that the version on trial is to blame for.
static mp_obj_t agent_mark(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct agent_handle *self = enter(args[0]);
    return leave(self, baton_trial_mark_reset(&self->agent.trial));
}
BATON_FUNCTION(baton_agent_mark_obj, 1, 1, agent_mark);

// The fields of struct baton_agent_status, in their order.
static mp_obj_t agent_status(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    struct agent_handle *self = enter(args[0]);
    const struct baton_agent_status *status = baton_agent_status(&self->agent);
    self->is_busy = false;
    mp_obj_t items[] = {
            MP_OBJ_NEW_SMALL_INT(self->agent.state),
            MP_OBJ_NEW_SMALL_INT(status->error),
            mp_obj_new_int_from_uint(status->attempts),
            mp_obj_new_int_from_uint(status->bytes),
            mp_obj_new_int_from_uint(status->total),
            mp_obj_new_int_from_uint(status->done),
            mp_obj_new_int_from_uint(status->seconds),
            mp_obj_new_int_from_uint(status->sequence),
            MP_OBJ_NEW_SMALL_INT(status->encoding),
            MP_OBJ_NEW_SMALL_INT(status->trial_boot),
            new_text(status->from),
            new_text(status->to),
    };
    return mp_obj_new_tuple(MP_ARRAY_SIZE(items), items);
}
BATON_FUNCTION(baton_agent_status_obj, 1, 1, agent_status);
