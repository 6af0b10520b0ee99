// What libcurl's ways to fail mean.
// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#include "transport_curl_state.h"

#include <string.h>
#include <time.h>

#include "baton/error.h"

// CURLE_TOO_LARGE, which libcurl 8.6 and later have for a line of the header.
#define CODE_TOO_LARGE 100

// 2024-01-01: a clock before it was never set.
#define CLOCK_FLOOR_S 1704067200

bool baton_transport_curl_has_chain(const struct baton_transport_curl *self) {
    const struct baton_transport_curl_options *options = &self->options;
    return options->pin == NULL || options->ca_file != NULL
           || options->ca_pem != NULL;
}

enum baton_clock_trust baton_transport_curl_trust_clock(
        const struct baton_transport_curl *self) {
    const struct baton_clock *clock = self->options.clock;
    uint64_t unix_s;
    if (clock != NULL) {
        return clock->now(clock->context, &unix_s);
    }
    return time(NULL) < CLOCK_FLOOR_S ? BATON_CLOCK_NONE : BATON_CLOCK_SET;
}

// libcurl passes on what OpenSSL found: X509_V_ERR_ and these numbers.
static int judge_certificate(const struct baton_transport_curl *self) {
    long found = 0;
    curl_easy_getinfo(self->easy, CURLINFO_SSL_VERIFYRESULT, &found);
    switch (found) {
    case 0:
    case 1: // the chain was not complained about, so it was the name
    case 62:
    case 64:
        return BATON_ERR_TLS_HOST;
    case 9:
        return baton_transport_curl_trust_clock(self) == BATON_CLOCK_SET
                       ? BATON_ERR_TLS_NOT_YET_VALID
                       : BATON_ERR_TLS_CLOCK;
    case 10:
        return BATON_ERR_TLS_EXPIRED;
    default:
        return BATON_ERR_TLS_UNTRUSTED;
    }
}

static int judge_break(const struct baton_transport_curl *self) {
    // libcurl tells a bad chunk by its message only.
    return strstr(self->error, "chunk") != NULL ? BATON_ERR_HTTP_FORMAT
                                                : BATON_ERR_NET_RESET;
}

int baton_transport_curl_judge(
        const struct baton_transport_curl *self, CURLcode code) {
    bool is_head = self->verdict == BATON_ERR_AGAIN;
    switch (code) {
    case CURLE_OK:
        return is_head ? BATON_ERR_NET_RESET : 0;
    case CURLE_URL_MALFORMAT:
        return BATON_ERR_URL;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return BATON_ERR_NET_DNS;
    case CURLE_COULDNT_CONNECT:
        return BATON_ERR_NET_CONNECT;
    case CURLE_OPERATION_TIMEDOUT:
        return BATON_ERR_NET_TIMEOUT;
    case CURLE_SSL_CONNECT_ERROR:
        return BATON_ERR_TLS;
    case CURLE_PEER_FAILED_VERIFICATION:
        return judge_certificate(self);
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return BATON_ERR_TLS_UNTRUSTED;
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
        return BATON_ERR_TLS_PIN;
    case CURLE_PARTIAL_FILE:
        return is_head ? BATON_ERR_NET_RESET : BATON_ERR_HTTP_LENGTH;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: // HTTP/0.9: no header at all
        return BATON_ERR_HTTP_FORMAT;
    case CURLE_OUT_OF_MEMORY:
        // libcurl ends a single line of more than 100 KB with this.
        return is_head && self->head.count > 0 ? BATON_ERR_HTTP_HEADER_SIZE
                                               : BATON_ERR_NOMEM;
    default:
        return (int)code == CODE_TOO_LARGE ? BATON_ERR_HTTP_HEADER_SIZE
                                           : judge_break(self);
    }
}
