// Fetching over http and https by libcurl.
// SPDX-License-Identifier: MIT
//
// Programs that use it link with -lcurl, of the flavour built on OpenSSL: which
// of a certificate's faults it was is told in OpenSSL's numbers, and the other
// flavours report each of them as BATON_ERR_TLS_UNTRUSTED or _HOST.
#ifndef BATON_POSIX_TRANSPORT_H
#define BATON_POSIX_TRANSPORT_H

#include "baton/http.h"

// All of it is borrowed until baton_transport_curl_free. Zero is a default.
//
// A certificate is always judged: by the CAs given, or those of the system. A
// pinned key is asked for besides; where a pin is given and no CA, the key
// alone decides, and the certificate's names, dates and signer are not looked
// at.
struct baton_transport_curl_options {
    const char *ca_file; // PEM, one or many CAs, instead of the system's
    const void *ca_pem;  // the same in memory; not both
    size_t ca_pem_len;
    // SHA-256 of the server's public key (DER of its SubjectPublicKeyInfo).
    const uint8_t *pin;

    // Value of an Authorization header, such as "Bearer ...". Goes to the
    // scheme, host and port of the request's own URL, never further.
    const char *authorization;
    const char *user_agent; // NULL: "baton"

    struct baton_http_limits limits;

    // Tells whether certificates can be judged: where it was never set, https
    // is refused before a connection is made (BATON_ERR_TLS_CLOCK). What is
    // compared with the certificate's dates is the system's clock. NULL: the
    // system's is believed where it is past the beginning of 2024.
    const struct baton_clock *clock;
};

struct baton_transport_curl;

// Makes a transport. Errors: BATON_ERR_ARG (both CAs; user agent or
// authorization with control characters), BATON_ERR_NOENT (ca_file cannot be
// read), BATON_ERR_NOMEM.
int baton_transport_curl_make(struct baton_transport_curl **self,
        const struct baton_transport_curl_options *options);

// What the agent is given; lives as long as self.
const struct baton_transport *baton_transport_curl_get(
        struct baton_transport_curl *self);

// The last error as libcurl tells it, for a log; "" for none.
const char *baton_transport_curl_message(
        const struct baton_transport_curl *self);

// Closes every connection. NULL is allowed.
void baton_transport_curl_free(struct baton_transport_curl *self);

#endif
