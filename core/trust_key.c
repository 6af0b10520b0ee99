// Keys as text, and what is known of the time.
// SPDX-License-Identifier: MIT
#include "baton/trust.h"

#include <string.h>

#include "baton/base64.h"
#include "baton/error.h"

#define COORDINATE_BYTES (BATON_P256_KEY_BYTES / 2)
#define COORDINATE_CHARS BATON_BASE64_CHARS(COORDINATE_BYTES)
#define DAY_S            86400u

// The hash is of the JWK's required members in the order of their names, with
// no space (RFC 7638 section 3).
int baton_trust_key_id(const struct baton_crypto *crypto,
        const uint8_t key[BATON_P256_KEY_BYTES],
        char out[BATON_KEY_ID_CHARS + 1]) {
    static const char head[] = "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"";
    static const char middle[] = "\",\"y\":\"";
    static const char tail[] = "\"}";
    char x[COORDINATE_CHARS + 1];
    char y[COORDINATE_CHARS + 1];
    baton_base64_encode(key, COORDINATE_BYTES, x);
    baton_base64_encode(key + COORDINATE_BYTES, COORDINATE_BYTES, y);
    const char *const pieces[] = {head, x, middle, y, tail};

    struct baton_hash_state state;
    uint8_t digest[BATON_SHA256_BYTES];
    int err = crypto->hash_start(crypto->context, &state, BATON_HASH_SHA256);
    for (size_t i = 0; err == 0 && i < sizeof(pieces) / sizeof(pieces[0]);
            i++) {
        err = crypto->hash_update(
                crypto->context, &state, pieces[i], strlen(pieces[i]));
    }
    if (err == 0) {
        err = crypto->hash_finish(crypto->context, &state, digest);
    }
    if (err == 0) {
        baton_base64_encode(digest, sizeof(digest), out);
    }
    return err;
}

int baton_trust_key_parse(const char *text, uint8_t key[BATON_P256_KEY_BYTES]) {
    uint8_t point[BATON_P256_KEY_BYTES];
    size_t len;
    if (strlen(text) != 2 * COORDINATE_CHARS + 1
            || text[COORDINATE_CHARS] != '.'
            || baton_base64_decode(
                       text, COORDINATE_CHARS, point, COORDINATE_BYTES, &len)
                       != 0
            || baton_base64_decode(text + COORDINATE_CHARS + 1,
                       COORDINATE_CHARS, point + COORDINATE_BYTES,
                       COORDINATE_BYTES, &len)
                       != 0) {
        return BATON_ERR_KEY_FORMAT;
    }
    memcpy(key, point, sizeof(point));
    return 0;
}

struct baton_trust_time baton_trust_time_read(
        const struct baton_clock *clock, uint64_t build_unix_s) {
    struct baton_trust_time time = {.unix_s = build_unix_s};
    uint64_t now = 0;
    enum baton_clock_trust trust =
            clock != NULL ? clock->now(clock->context, &now) : BATON_CLOCK_NONE;
    // A clock from before the build was set wrong.
    if (trust != BATON_CLOCK_NONE && now >= build_unix_s) {
        time.unix_s = now;
        time.is_set = trust == BATON_CLOCK_SET;
    }
    return time;
}

// ---- Build dates ----------------------------------------------------------

// Two characters, the first of which may be a space; 100 for anything else.
static unsigned two_digits(const char *text) {
    unsigned tens = text[0] == ' ' ? 0 : (unsigned)(text[0] - '0');
    unsigned ones = (unsigned)(text[1] - '0');
    return tens > 9 || ones > 9 ? 100 : tens * 10 + ones;
}

// 1 ... 12; 0 for anything else.
static unsigned month_of(const char *text) {
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (unsigned i = 0; i < 12; i++) {
        if (memcmp(text, names + (size_t)i * 3, 3) == 0) {
            return i + 1;
        }
    }
    return 0;
}

static uint64_t days_since_1970(unsigned year, unsigned month, unsigned day) {
    // Years begin in March, so that the leap day is their last.
    unsigned y = month > 2 ? year : year - 1;
    unsigned m = month > 2 ? month - 3 : month + 9;
    unsigned days =
            y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1;
    return days - 719468u;
}

uint64_t baton_trust_build_time(const char *date, const char *time) {
    if (strlen(date) != 11 || date[3] != ' ' || date[6] != ' ') {
        return 0;
    }
    unsigned month = month_of(date);
    unsigned day = two_digits(date + 4);
    unsigned century = two_digits(date + 7);
    unsigned year = century * 100 + two_digits(date + 9);
    if (month == 0 || day < 1 || day > 31 || century < 19 || century > 99
            || year < 1971 || year > 9999) {
        return 0;
    }
    uint64_t seconds = days_since_1970(year, month, day) * DAY_S;
    if (strlen(time) == 8 && time[2] == ':' && time[5] == ':'
            && two_digits(time) < 24 && two_digits(time + 3) < 60
            && two_digits(time + 6) < 61) {
        seconds += two_digits(time) * 3600u + two_digits(time + 3) * 60u
                   + two_digits(time + 6);
    }
    return seconds - DAY_S;
}
