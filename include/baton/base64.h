// base64url without padding (RFC 4648 section 5), strictly.
// SPDX-License-Identifier: MIT
#ifndef BATON_BASE64_H
#define BATON_BASE64_H

#include <stddef.h>
#include <stdint.h>

// Characters that `bytes` bytes become; a terminator comes on top.
#define BATON_BASE64_CHARS(bytes) (((bytes)*4u + 2u) / 3u)

// Writes BATON_BASE64_CHARS(len) characters and a terminator.
void baton_base64_encode(const void *data, size_t len, char *out);

// Decodes text that is the one encoding of its bytes: no padding, no white
// space, no other letters, unused bits zero.
//
// out, capacity  may begin where `text` does: what is decoded is never ahead of
//                what is read. Undefined on an error
// out_len     receives the number of bytes
// Returns     0, BATON_ERR_JWS_FORMAT, BATON_ERR_NOSPC
int baton_base64_decode(const char *text, size_t len, void *out,
        size_t capacity, size_t *out_len);

#endif
