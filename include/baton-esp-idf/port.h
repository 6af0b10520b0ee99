// Baton's agent on ESP-IDF: its seams over ESP-IDF's own functions.
// SPDX-License-Identifier: MIT
//
// Flash goes through esp_partition_*, so that flash encryption and write
// protection hold; records through the otadata partition; the store through
// NVS; TLS through esp_http_client. Written for ESP-IDF v5.3 and later.
#ifndef BATON_ESP_IDF_PORT_H
#define BATON_ESP_IDF_PORT_H

#include "baton/agent.h"
#include "baton/http.h"

struct baton_esp_idf_options {
    // PEM of the CAs that https servers are judged by; NULL: the certificate
    // bundle, where the configuration has one. Borrowed.
    const char *ca_pem;
    const char *authorization; // header, such as "Bearer ..."; NULL: none
    struct baton_http_limits limits;

    void *work; // BATON_ESP_IDF_WORK_BYTES or more
    size_t work_len;
    void *codec; // memory for packed and delta payloads; see agent.h
    size_t codec_len;
};

#define BATON_ESP_IDF_WORK_BYTES                                               \
    (BATON_SECTOR_BYTES + BATON_AGENT_CODEC_IO_BYTES)
#define BATON_ESP_IDF_LOCATION_BYTES 1024u

// Fields but `config` are private.
struct baton_esp_idf {
    struct baton_agent_config config;
    struct baton_esp_idf_options options;
    struct baton_flash flash;
    struct baton_chip chip;
    struct baton_store store;
    struct baton_clock clock;
    struct baton_random random;
    struct baton_reset reset;
    struct baton_transport transport;
    struct baton_boot_place slots[BATON_SLOTS_MAX];
    uint8_t mac[6];
    void *timer; // the deadline's
    // The transfer under way.
    void *client;
    struct baton_request request;
    struct baton_response response;
    struct baton_http_head head;
    struct baton_http_pace pace;
    int verdict;
    uint32_t left; // of the body
    bool has_length;
    uint8_t redirects;
    char location[BATON_ESP_IDF_LOCATION_BYTES];
    char url[BATON_ESP_IDF_LOCATION_BYTES]; // of a hop behind a redirect
};

// Fills in the whole configuration of an agent but what only the application
// knows (product, policy, hooks). nvs_flash_init() has been called. self and
// what the options point at must stay where they are.
//
// Flash       none; the namespace "baton" is made with its first value
// Returns     0, BATON_ERR_ARG (no work, or too little),
//             BATON_ERR_NO_OTADATA, BATON_ERR_SLOT (no OTA slots),
//             BATON_ERR_CRYPTO, BATON_ERR_IO (the MAC cannot be read)
int baton_esp_idf_begin(struct baton_esp_idf *self,
        const struct baton_esp_idf_options *options);

// Closes what is open. The deadline of a trial goes on.
void baton_esp_idf_end(struct baton_esp_idf *self);

// ---- The pieces, for a port that takes only some of them -------------------

void baton_esp_idf_flash(struct baton_esp_idf *self);
void baton_esp_idf_store(struct baton_esp_idf *self);
void baton_esp_idf_system(struct baton_esp_idf *self);
void baton_esp_idf_transport(struct baton_esp_idf *self);

#endif
