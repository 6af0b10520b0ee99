// Decoding payloads from memory, with every callback's range checked.
// SPDX-License-Identifier: MIT
#ifndef BATON_TESTS_PAYLOADS_H
#define BATON_TESTS_PAYLOADS_H

#include "baton/codec.h"

struct payloads {
    const uint8_t *old; // a copy that ends where the base does
    uint32_t old_len;
    uint8_t *out;
    uint32_t out_len; // written so far
    uint32_t out_max;
    uint32_t reached; // made so far, what is not written yet included
    uint64_t bytes_read;
    uint64_t bytes_read_back; // those of them that were of `out`
    uint32_t calls;           // of all callbacks
    uint32_t fail_at;         // the call that fails with BATON_ERR_IO; 0: none
};

struct payloads_job {
    const uint8_t *payload;
    size_t len;
    const uint8_t *old;
    size_t old_len;
    size_t step;     // bytes pushed at a time; 0: all
    uint32_t budget; // of a push
    uint32_t restart;
    const uint8_t *before; // the image, of which what is before it is there
};

// Decodes a payload. self->out is the caller's to free, whatever is returned:
// what baton_codec_header_read, begin, resume, push or end did, or
// BATON_ERR_RANGE where a callback was called out of range, or a push went far
// over its budget.
int payloads_decode(struct payloads *self, const struct payloads_job *job);

// The same in memory of the caller: self->old and self->out, their lengths, and
// a state of info->state_bytes. With a restart, what is before it is in
// self->out, and self->out_len says so.
int payloads_run(struct payloads *self, const struct payloads_job *job,
        const struct baton_codec_info *info, void *state);

#endif
