// The seams between Baton and the platform: structs of callbacks.
// SPDX-License-Identifier: MIT
//
// A port fills these structs in and keeps them alive as long as anything that
// was given them is in use. Every callback gets the struct's `context` first
// and returns 0 or a negative `enum baton_err`; callbacks are never called
// from more than one place at once for the same struct.
#ifndef BATON_PORT_H
#define BATON_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Geometry that holds for every ESP32-class chip.
#define BATON_SECTOR_BYTES 4096u
#define BATON_BLOCK_BYTES  65536u

// NOR flash, addressed from the first byte of the chip.
//
// The rules of NOR hold here, and a port that is not the chip itself enforces
// them:
// - an erase sets every bit of whole sectors; nothing else sets a bit;
// - a program only clears bits. Programming a bit from 0 to 1 is refused with
//   BATON_ERR_NOR by a port that can tell, and corrupts silently on one that
//   cannot: callers erase first;
// - reads have any address and length inside the chip; programs start and end
//   on `program_bytes`; erases start and end on `sector_bytes`. Anything else
//   is BATON_ERR_ARG, anything past the end BATON_ERR_RANGE, and neither
//   touches the flash;
// - a call that returns 0 is finished: its bytes survive a power cut. A cut
//   inside an erase or a program leaves the touched range undefined, and what
//   reads right there may read differently later.
struct baton_flash {
    void *context;

    // Errors: BATON_ERR_RANGE, BATON_ERR_IO.
    int (*read)(void *context, uint32_t addr, void *buf, size_t len);

    // Errors: BATON_ERR_ARG (alignment), BATON_ERR_RANGE, BATON_ERR_NOR,
    // BATON_ERR_IO.
    int (*program)(void *context, uint32_t addr, const void *buf, size_t len);

    // One call is one erase command where len is sector_bytes or block_bytes
    // (then aligned to it); longer ranges are a port's own loop.
    // Errors: BATON_ERR_ARG (alignment), BATON_ERR_RANGE, BATON_ERR_IO.
    int (*erase)(void *context, uint32_t addr, size_t len);

    uint32_t size_bytes;    // the whole chip; a multiple of sector_bytes
    uint32_t sector_bytes;  // smallest erase; 0 means 4096
    uint32_t block_bytes;   // a larger single erase command; 0 means none
    uint32_t program_bytes; // smallest program, a power of two up to 32; 0
                            // means 1 (16 or 32 on encrypted flash)
};

// Hash functions a port has to offer.
enum baton_hash {
    BATON_HASH_SHA256, // 32 bytes: images
    BATON_HASH_MD5,    // 16 bytes: the partition table's own checksum row
};

#define BATON_SHA256_BYTES 32u
#define BATON_MD5_BYTES    16u

#define BATON_P256_KEY_BYTES       64u
#define BATON_P256_SIGNATURE_BYTES 64u

// Memory of one running hash, owned by whoever runs it. A port may keep a
// library's context in it, but nothing that has to be released: a hash that is
// given up is simply forgotten.
struct baton_hash_state {
    uint64_t opaque[32];
};

struct baton_crypto {
    void *context;

    // Errors of all three: BATON_ERR_CRYPTO.
    int (*hash_start)(void *context, struct baton_hash_state *state,
            enum baton_hash kind);
    int (*hash_update)(void *context, struct baton_hash_state *state,
            const void *data, size_t len);
    // Writes 32 or 16 bytes to digest.
    int (*hash_finish)(
            void *context, struct baton_hash_state *state, uint8_t *digest);

    // Checks an ECDSA signature on P-256 over a SHA-256 digest. The key is X
    // then Y, the signature r then s, each 32 bytes, big-endian. NULL where
    // nothing signed is ever handled.
    // Errors: BATON_ERR_SIGNATURE (wrong, or not a key at all),
    // BATON_ERR_CRYPTO.
    int (*verify_p256)(void *context, const uint8_t key[BATON_P256_KEY_BYTES],
            const uint8_t digest[BATON_SHA256_BYTES],
            const uint8_t signature[BATON_P256_SIGNATURE_BYTES]);
};

// What the running chip is: facts from eFuse and build, no callbacks.
#define BATON_CHIP_ANY 0xFFFFu

struct baton_chip {
    uint16_t id;             // the image header's chip id; BATON_CHIP_ANY: take
                             // whatever the image says
    uint16_t revision;       // major * 100 + minor
    uint16_t block_revision; // eFuse block, major * 100 + minor
    bool ignore_max_revision;       // the "disable wafer version" eFuse
    bool ignore_max_block_revision; // the "disable block version" eFuse
    uint8_t mmu_page_log2;   // build default where selectable; 0 means 16
    uint32_t secure_version; // number of bits set in the eFuse field
};

// A small memory of named values that survives power cuts: NVS on ESP32. A set
// that is cut short leaves the old value or the new one. Keys are 1 to 15
// characters; values up to 2048 bytes.
struct baton_store {
    void *context;

    // Reads a value. *len: capacity in, length out.
    // Errors: BATON_ERR_NOENT, BATON_ERR_NOSPC (the value is longer; *len says
    // how long), BATON_ERR_IO.
    int (*get)(void *context, const char *key, void *buf, size_t *len);

    // Replaces a value; on flash when it returns. Writing what is there already
    // costs nothing. Errors: BATON_ERR_NOSPC, BATON_ERR_IO.
    int (*set)(void *context, const char *key, const void *data, size_t len);

    // Forgets a value; one that is not there is no error. Errors: BATON_ERR_IO.
    int (*remove)(void *context, const char *key);
};

// How far the wall clock can be believed.
enum baton_clock_trust {
    BATON_CLOCK_NONE,  // never set since power-on
    BATON_CLOCK_FLOOR, // not before this moment, and maybe much later: kept
                       // over a reset, or taken from a build date
    BATON_CLOCK_SET,   // set from a network or by a person
};

struct baton_clock {
    void *context;

    // Milliseconds since some moment of this boot; never goes back.
    uint64_t (*ticks_ms)(void *context);

    // Seconds since 1970-01-01 00:00 UTC, and how sure.
    enum baton_clock_trust (*now)(void *context, uint64_t *unix_s);
};

// Unpredictable bytes: jitter needs no more than different devices to differ.
struct baton_random {
    void *context;
    void (*fill)(void *context, void *buf, size_t len);
};

// Why this boot happened.
enum baton_cause {
    BATON_CAUSE_UNKNOWN,  // a chip that does not say; judged as RESET
    BATON_CAUSE_POWER,    // power-on, reset pin
    BATON_CAUSE_BROWNOUT, // the supply fell
    BATON_CAUSE_WAKE,     // from deep sleep
    BATON_CAUSE_RESET,    // by software: intended, or a panic that the chip
                          // cannot tell from it
    BATON_CAUSE_CRASH,    // panic, where the chip tells it apart
    BATON_CAUSE_WATCHDOG,
    BATON_CAUSE_SOFT, // no boot: the interpreter alone started anew
};

struct baton_reset {
    void *context;
    enum baton_cause (*cause)(void *context);

    // Resets the chip at once. Does not return on a chip; in a simulation it
    // may.
    void (*reboot)(void *context);

    // Makes the chip reset by itself after ms milliseconds, whatever the
    // program does then, without any further call; 0 takes it back. NULL where
    // there is no such timer. Errors: BATON_ERR_ARG (too long), BATON_ERR_IO.
    int (*arm)(void *context, uint32_t ms);
};

// What is asked of a server. Strings are borrowed until the transport's close.
struct baton_request {
    const char *url; // http or https, absolute
    uint32_t from;   // first byte wanted
    uint32_t to;     // one past the last; 0: to the end
    // The file the range is of: sent as If-Range, must be a strong ETag (with
    // its quotes); NULL: none.
    const char *etag;
    // A file that was seen before: sent as If-None-Match; NULL: none.
    const char *known_etag;
    // A redirect from https to http may be followed, as what comes is checked
    // by a signature or a digest.
    bool may_downgrade;
};

#define BATON_ETAG_BYTES 72u // with the terminator; a longer one is dropped

struct baton_response {
    bool unchanged;         // 304: known_etag still holds, there is no body
    uint32_t from;          // first byte of the body within the file: 0, or the
                            // request's `from` where the server kept to it
    uint32_t body_bytes;    // length of the body; 0: not known
    uint32_t total_bytes;   // length of the file; 0: not known
    uint32_t retry_after_s; // with BATON_ERR_HTTP_BUSY: 0, or how long to wait
    char etag[BATON_ETAG_BYTES]; // strong, quotes included; "" for none
};

// One connection at a time. No call takes longer than about a second unless the
// network's own name lookup or TLS handshake does; what would take longer
// returns BATON_ERR_AGAIN and is called again with the same arguments.
// baton_error_is_retryable says of any error whether trying later can help.
struct baton_transport {
    void *context;

    // Connects, sends the request, follows redirects, reads the headers.
    // Ends what was open before.
    // Errors: BATON_ERR_AGAIN, BATON_ERR_ARG (an empty range), BATON_ERR_URL,
    // BATON_ERR_NET_*, BATON_ERR_TLS_*, BATON_ERR_HTTP_*, BATON_ERR_NOMEM.
    int (*open)(void *context, const struct baton_request *request,
            struct baton_response *response);

    // Reads up to len bytes of the body. *got == 0 with a result of 0 is the
    // body's end, and only when all of it came.
    // Errors: BATON_ERR_AGAIN (nothing yet), BATON_ERR_NET_*,
    // BATON_ERR_TLS_*, BATON_ERR_HTTP_*.
    int (*read)(void *context, void *buf, size_t len, size_t *got);

    // May keep the connection for the next open to the same host.
    void (*close)(void *context);
};

#endif
