// What the HTTP files share: ASCII in any case, decimal numbers.
// SPDX-License-Identifier: MIT
#ifndef CORE_HTTP_TEXT_H
#define CORE_HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Whether text begins with prefix, which is in lower case; returns what comes
// behind it, or NULL.
const char *baton_http_text_after(const char *text, const char *prefix);

// Reads a decimal number, UINT32_MAX for all that are larger; returns what
// comes behind it, or NULL where there is no digit.
const char *baton_http_text_number(const char *text, uint32_t *out);

// Whether len bytes are the same, in any case.
bool baton_http_text_is_same(const char *a, const char *b, size_t len);

#endif
