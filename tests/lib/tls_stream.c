// A byte stream with TLS by OpenSSL: for the HTTP client's tests.
// SPDX-License-Identifier: MIT
#define _POSIX_C_SOURCE 200809L
#include "tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "baton/error.h"

enum { WAIT_MS = 200 };

static void close_stream(void *context) {
    struct tls_stream *self = context;
    if (self->tls != NULL) {
        SSL_free(self->tls);
    }
    self->tls = NULL;
    self->is_verified = false;
    self->plain.stream.close(&self->plain);
}

static int judge_certificate(const struct tls_stream *self) {
    uint64_t unix_s;
    switch (SSL_get_verify_result(self->tls)) {
    case X509_V_OK:
        return BATON_ERR_TLS;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return BATON_ERR_TLS_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return self->clock->now(self->clock->context, &unix_s)
                               == BATON_CLOCK_SET
                       ? BATON_ERR_TLS_NOT_YET_VALID
                       : BATON_ERR_TLS_CLOCK;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return BATON_ERR_TLS_HOST;
    default:
        return BATON_ERR_TLS_UNTRUSTED;
    }
}

static bool is_pinned(const struct tls_stream *self) {
    uint8_t digest[32];
    unsigned len = 0;
    unsigned char *der = NULL;
    X509 *certificate = SSL_get1_peer_certificate(self->tls);
    int der_len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    EVP_Digest(der, (size_t)der_len, digest, &len, EVP_sha256(), NULL);
    OPENSSL_free(der);
    X509_free(certificate);
    return memcmp(digest, self->pin, sizeof(digest)) == 0;
}

// What a call of OpenSSL's ended with; waits where the network has to.
static int judge(struct tls_stream *self, int result) {
    int fault = SSL_get_error(self->tls, result);
    struct pollfd wait = {.fd = self->plain.fd,
            .events = fault == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN};
    ERR_clear_error();
    if (fault == SSL_ERROR_WANT_READ || fault == SSL_ERROR_WANT_WRITE) {
        (void)poll(&wait, 1, WAIT_MS);
        return BATON_ERR_AGAIN;
    }
    return self->is_verified ? BATON_ERR_NET_RESET : judge_certificate(self);
}

static int make_tls(
        struct tls_stream *self, const char *host, size_t host_len) {
    char name[256];
    SSL_CTX *made = SSL_CTX_new(TLS_client_method());
    bool is_judged = self->pin == NULL || self->ca_file != NULL;
    snprintf(name, sizeof(name), "%.*s", (int)host_len, host);
    SSL_CTX_set_min_proto_version(made, TLS1_2_VERSION);
    SSL_CTX_set_verify(
            made, is_judged ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE
                                   | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (self->ca_file != NULL) {
        (void)SSL_CTX_load_verify_locations(made, self->ca_file, NULL);
    } else {
        SSL_CTX_set_default_verify_paths(made);
    }
    self->tls = SSL_new(made);
    SSL_CTX_free(made);
    X509_VERIFY_PARAM *param = SSL_get0_param(self->tls);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, name) != 1) {
        SSL_set1_host(self->tls, name);
        SSL_set_tlsext_host_name(self->tls, name);
    }
    SSL_set_fd(self->tls, self->plain.fd);
    ERR_clear_error();
    return 0;
}

static int connect_stream(void *context, const char *host, size_t host_len,
        uint16_t port, bool is_tls) {
    struct tls_stream *self = context;
    if (self->tls == NULL) {
        int err = self->plain.stream.connect(
                &self->plain, host, host_len, port, false);
        if (err != 0 || !is_tls) {
            return err;
        }
        make_tls(self, host, host_len);
    }
    int result = SSL_connect(self->tls);
    if (result != 1) {
        return judge(self, result);
    }
    self->is_verified = self->pin == NULL || is_pinned(self);
    return self->is_verified ? 0 : BATON_ERR_TLS_PIN;
}

static size_t limit(const struct tls_stream *self, size_t len) {
    size_t most = self->plain.most;
    return most != 0 && len > most ? most : len;
}

static int send_bytes(
        void *context, const void *data, size_t len, size_t *done) {
    struct tls_stream *self = context;
    if (self->tls == NULL) {
        return self->plain.stream.send(&self->plain, data, len, done);
    }
    int count = SSL_write(self->tls, data, (int)limit(self, len));
    if (count <= 0) {
        return judge(self, count);
    }
    *done = (size_t)count;
    return 0;
}

static int receive(void *context, void *buf, size_t len, size_t *got) {
    struct tls_stream *self = context;
    if (self->tls == NULL) {
        return self->plain.stream.recv(&self->plain, buf, len, got);
    }
    int count = SSL_read(self->tls, buf, (int)limit(self, len));
    if (count <= 0
            && SSL_get_error(self->tls, count) != SSL_ERROR_ZERO_RETURN) {
        return judge(self, count);
    }
    *got = count > 0 ? (size_t)count : 0;
    return 0;
}

void tls_stream_begin(struct tls_stream *self, size_t most) {
    *self = (struct tls_stream){.tls = NULL};
    socket_stream_begin(&self->plain, most);
    self->stream = (struct baton_stream){.context = self,
            .connect = connect_stream,
            .send = send_bytes,
            .recv = receive,
            .close = close_stream};
}
