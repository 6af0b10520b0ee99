// A device: the update agent over a virtual ESP32, as firmware would use it.
// SPDX-License-Identifier: MIT
//
// `baton sim --micropython device` boots it, again after each reset. What is
// asked of it comes from the environment:
//
//   BATON_URL        a channel (….jws) or an image
//   BATON_SHA256     of the image, 64 hexadecimal digits
//   BATON_UNSIGNED   1: take an image that nothing vouches for
//   BATON_ROOT       the root key, "x.y" as `baton key show` prints it
//   BATON_CA         file with the CAs that https servers are judged by
//   BATON_PRODUCT    what a release must be for
//   BATON_TRIAL_MS   deadline of a trial
//   BATON_PATIENCE_S how long a server that drips is put up with
//   BATON_TRIES      failures without progress that end an update
//   BATON_NO_CODEC   1: a device without memory for packed and delta payloads
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "baton-posix/device.h"
#include "baton-posix/transport.h"
#include "baton/error.h"

static struct baton_device device;
static struct baton_agent agent;
static struct baton_transport_curl *transport;

static const char *setting(const char *name) {
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? value : NULL;
}

static uint32_t number(const char *name) {
    const char *value = setting(name);
    return value != NULL ? (uint32_t)strtoul(value, NULL, 10) : 0;
}

static void say(void *context, const struct baton_agent_event *event) {
    (void)context;
    switch (event->kind) {
    case BATON_AGENT_EVENT_STATE:
        printf("device: %s\n", baton_agent_state_name((int)event->value));
        break;
    case BATON_AGENT_EVENT_CURRENT:
        printf("device: up to date\n");
        break;
    case BATON_AGENT_EVENT_RESUMED:
        printf("device: %u bytes are here already\n", (unsigned)event->value);
        break;
    case BATON_AGENT_EVENT_PAYLOAD:
        printf("device: payload %u\n", (unsigned)event->value);
        break;
    case BATON_AGENT_EVENT_CONFIRMED:
        printf("device: confirmed\n");
        break;
    default:
        if (event->err != 0) {
            printf("device: %s: %s\n", baton_error_name(event->err),
                    baton_strerror(event->err));
        }
    }
    fflush(stdout);
}

static void sleep_ms(void *context, uint32_t ms) {
    (void)context;
    struct timespec time = {ms / 1000u, (long)(ms % 1000u) * 1000000};
    nanosleep(&time, NULL);
}

static int fail(int err) {
    if (err != 0) {
        printf("device: %s: %s; next: %s\n", baton_error_name(err),
                baton_strerror(err), baton_error_hint(err));
    }
    return err != 0 ? BATON_EXIT_SCRIPT_ERROR : BATON_EXIT_SCRIPTS_DONE;
}

static int read_sha256(uint8_t *digest, const uint8_t **out) {
    const char *hex = setting("BATON_SHA256");
    if (hex == NULL) {
        return 0;
    }
    for (size_t i = 0; i < BATON_SHA256_BYTES; i++) {
        unsigned byte;
        if (sscanf(hex + 2 * i, "%2x", &byte) != 1) {
            return BATON_ERR_ARG;
        }
        digest[i] = (uint8_t)byte;
    }
    *out = digest;
    return 0;
}

static int install_root(void) {
    const char *text = setting("BATON_ROOT");
    struct baton_trust trust;
    uint8_t key[BATON_P256_KEY_BYTES];
    int err = text != NULL ? baton_trust_key_parse(text, key) : 0;
    if (text == NULL || err != 0) {
        return err;
    }
    err = baton_trust_load(&trust, &device.store);
    return err != 0 ? err : baton_trust_set_root(&trust, &device.store, key);
}

static int start(void) {
    struct baton_transport_curl_options options = {
            .ca_file = setting("BATON_CA")};
    options.limits.rate_s = number("BATON_PATIENCE_S");
    int err = baton_device_attach(&device);
    if (err == 0) {
        err = baton_transport_curl_make(&transport, &options);
    }
    if (err != 0) {
        return err;
    }
    device.config.transport = baton_transport_curl_get(transport);
    device.config.product = setting("BATON_PRODUCT");
    device.config.event = say;
    device.config.retry_min_ms = 20;
    device.config.retry_max_ms = 500;
    device.config.retry_max_count = (uint16_t)number("BATON_TRIES");
    device.config.trial_ms = number("BATON_TRIAL_MS");
    if (setting("BATON_NO_CODEC") != NULL) {
        device.config.codec_len = 0;
    }
    err = baton_agent_begin(&agent, &device.config);
    return err != 0 ? err : install_root();
}

int main(void) {
    uint8_t digest[BATON_SHA256_BYTES];
    struct baton_agent_source source = {.url = setting("BATON_URL"),
            .allow_unsigned = setting("BATON_UNSIGNED") != NULL,
            .trusted_tls = setting("BATON_CA") != NULL};
    int err = start();
    err = err != 0 ? err : read_sha256(digest, &source.sha256);
    err = err != 0 ? err : baton_agent_check(&agent, &source);
    // On success this ends in a reset, and the next boot in a new version.
    err = err != 0 ? err : baton_agent_run(&agent, sleep_ms, NULL);
    return fail(err);
}
