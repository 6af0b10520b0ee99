// Makes signed documents for tests, right ones and wrong ones.
// SPDX-License-Identifier: MIT
#ifndef BATON_TESTS_SIGNER_H
#define BATON_TESTS_SIGNER_H

#include <stddef.h>
#include <stdint.h>

#include "baton/port.h"

struct signer {
    uint32_t id;     // of the private key in the library
    uint8_t key[64]; // X then Y
    char key_id[44]; // its thumbprint
    char jwk[160];   // the public key
};

// A key made from a number: the same number, the same key.
void signer_begin(struct signer *self, uint8_t number);

// A document with the usual header. Returns its length; terminated.
size_t signer_sign(const struct signer *self, const char *type,
        const char *payload, char *out, size_t capacity);

// The same with any header and any payload, signed as it stands.
size_t signer_sign_raw(const struct signer *self, const char *header,
        const void *payload, size_t len, char *out, size_t capacity);

// A store in memory, some of whose calls can fail.
#define MEMORY_STORE_VALUES 8

struct memory_store {
    struct baton_store store;
    struct {
        char key[16];
        uint8_t data[512];
        size_t len;
        int used;
    } values[MEMORY_STORE_VALUES];
    unsigned writes;   // so far
    unsigned fails_at; // this write fails, and so do all after it; 0: none
};

void memory_store_begin(struct memory_store *self);

#endif
