// What the two files of the transport over libcurl share.
// SPDX-License-Identifier: MIT
#ifndef PORT_POSIX_TRANSPORT_CURL_STATE_H
#define PORT_POSIX_TRANSPORT_CURL_STATE_H

#include <curl/curl.h>

#include "baton-posix/transport.h"

enum {
    STEP_MS = 200, // how long a call waits for the network
    BODY_BYTES = CURL_MAX_WRITE_SIZE,
    URL_BYTES = 8192,
};

enum state { IDLE, OPENING, READING, ENDED };

struct baton_transport_curl {
    struct baton_transport transport;
    struct baton_transport_curl_options options;
    CURL *easy;
    CURLM *multi;
    struct curl_slist *headers;
    char pin[64]; // as libcurl wants it

    enum state state;
    struct baton_request request; // what is being opened
    struct baton_response response;
    struct baton_http_head head;
    struct baton_http_pace pace;
    int verdict; // on the header: see baton_http_head_judge; AGAIN: not yet
    int result;  // of the transfer, once it is over; AGAIN: not yet
    bool is_running;
    bool is_paused;
    bool is_answer_awaited; // connected, the request is on its way
    curl_socket_t kept;     // what the last transfer went over
    uint32_t redirects;
    uint32_t since_ms; // when the hop or the wait for its answer began
    uint32_t received;
    char url[URL_BYTES];      // of this hop
    char location[URL_BYTES]; // of the next
    char error[CURL_ERROR_SIZE];
    size_t body_at;
    size_t body_len;
    uint8_t body[BODY_BYTES];
};

// Whether certificates are judged at all: not where a pinned key alone decides.
bool baton_transport_curl_has_chain(const struct baton_transport_curl *self);

enum baton_clock_trust baton_transport_curl_trust_clock(
        const struct baton_transport_curl *self);

// What libcurl's code for a transfer that is over means, by how far it came.
int baton_transport_curl_judge(
        const struct baton_transport_curl *self, CURLcode code);

#endif
