// Fuzzes the payload decoder: any payload, onto bases that hold programs.
// SPDX-License-Identifier: MIT
//
// Input: twelve options, then a payload's body, for which a header is made that
// fits; or with FLAG_WHOLE a payload. Every body means something to a range
// decoder, so that nearly all of them reach the model. What they decode to is
// small, and all memory static, so that there are many.
#include <string.h>

#include "../../core/bytes.h"
#include "../lib/payloads.h"
#include "../lib/programs.h"
#include "baton/error.h"
#include "require.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define HAS_SANITIZER 1
#endif
#endif

#define PAYLOAD_MAX  4096u
#define OUTPUT_MAX   2048u
#define RESTARTS_MAX 2u
#define BEFORE_MAX   (RESTARTS_MAX * BATON_CODEC_SEGMENT_BYTES)
#define LONG_MAX     (BATON_CODEC_SEGMENT_BYTES + OUTPUT_MAX)
// Has a whole payload's image be that long.
#define LONG  0xB1u
#define BASES 4u

#define FEATURE_DIGEST 1u
#define DIGEST_BYTES   32u

// Where a header has its fields: docs/CODEC.md.
enum header {
    HEADER_ENCODING = 5,
    HEADER_FEATURES = 6,
    HEADER_MACHINE = 7,
    HEADER_LITERALS = 8,
    HEADER_MAP = 11,
    HEADER_NEW_BYTES = 12,
    HEADER_OLD_BYTES = 16,
    HEADER_OLD_CODE = 20,
    HEADER_NEW_CODE = 22,
    HEADER_AREAS = 24,
    HEADER_LENGTHS = 96,
};

enum flag {
    FLAG_WHOLE = 1,   // no header is made
    FLAG_DELTA = 2,   // else packed
    FLAG_DIGEST = 4,  // computed, not sent
    FLAG_LARGE = 8,   // an address map of up to 128 * 8 entries, not of 32
    FLAG_FIT = 16,    // the image ends where the body does
    FLAG_PIECES = 32, // again, in pieces
    FLAG_FAIL = 64,   // again, with a callback that fails
    FLAG_RESTART = 128,
};

enum option {
    OPTION_FLAGS = 0,
    OPTION_BASE = 1,     // and machine, and which segments hold code
    OPTION_NEW = 2,      // two bytes: how long the image is
    OPTION_TABLES = 4,   // how large the literal tables are
    OPTION_MAP = 5,      // and the address map
    OPTION_STEP = 6,     // bytes pushed at a time, or which callback fails
    OPTION_BUDGET = 7,   // of a push
    OPTION_PATCH = 8,    // two bytes: where the base is changed, and how
    OPTION_RESTART = 10, // which restart point; of a whole payload, its sum
    OPTION_FIT = 11,     // by how much the image is shorter
    OPTION_BYTES = 12,
};

struct base {
    struct images image;
    uint8_t machine;
};

// What all decodings of one input share.
struct trial {
    const uint8_t *options;
    uint8_t *payload;
    struct payloads_job job;
    struct baton_codec_info info;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// ---- Bases

static uint8_t before[BEFORE_MAX]; // what lies before a restart

// Words of data that refer to something, each in its own way.
static void put_references(struct images *image) {
    uint8_t *data = image->data + 32;
    uint32_t addr = get_u32(image->data + 24);
    put_u32(data, 0x42000020u - addr);
    put_u32(data + 4, 8);
    put_u32(data + 8, 0x42000040u - (addr + 8));
    put_u32(data + 20, 0x3FC80010);
}

// An image whose second segment ends soon after the first restart point, and
// its third soon after the second.
static void make_before(const struct images *image) {
    for (size_t i = 0; i < BEFORE_MAX; i++) {
        before[i] = (uint8_t)(i * i >> 7);
    }
    memcpy(before, image->data, image->len);
    before[1] = 4;
    uint32_t off = 32 + get_u32(before + 28);
    for (uint32_t k = 1; k <= RESTARTS_MAX; k++) {
        uint32_t end = k * BATON_CODEC_SEGMENT_BYTES + 60;
        put_u32(before + off, k == 1 ? 0x42000020 : 0x3FC80000);
        put_u32(before + off + 4, end - off - 8);
        off = end;
    }
}

static const struct base *base_of(unsigned kind) {
    static struct base bases[BASES];
    if (bases[0].image.data != NULL) {
        return &bases[kind % BASES];
    }
    for (unsigned i = 0; i < BASES; i++) {
        bool is_xtensa = i % 2 != 0;
        bases[i].machine = is_xtensa ? 2 : 1;
        programs_make(&bases[i].image,
                &(struct programs_spec){.chip_id = is_xtensa ? 0 : 5,
                        .seed = i,
                        .functions = i < 2 ? 6 : 40,
                        .changed = 100,
                        .constants = i < 2 ? 2 : 8});
        put_references(&bases[i].image);
    }
    bases[2].image.len -= 300; // the code ends within the segment
    make_before(&bases[0].image);
    return &bases[kind % BASES];
}

// The base with a byte changed, of the headers most often.
static const uint8_t *patch(const struct base *base, const uint8_t *options) {
    static uint8_t patched[8192];
    size_t len = base->image.len;
    memcpy(patched, base->image.data, len);
    if (options[OPTION_PATCH + 1] != 0) {
        patched[options[OPTION_PATCH] % len] ^= options[OPTION_PATCH + 1];
    }
    return patched;
}

// ---- Payloads

// Stored, without a model.
static bool is_raw(const uint8_t *options) {
    return (options[OPTION_BASE] & 0x3C) == 0x3C;
}

static uint32_t restart_of(const uint8_t *options) {
    return (options[OPTION_FLAGS] & FLAG_RESTART) != 0 && !is_raw(options)
                   ? 1 + options[OPTION_RESTART] % RESTARTS_MAX
                   : 0;
}

// After a restart all that is before it is hashed: seldom.
static bool has_digest(const uint8_t *options) {
    return (options[OPTION_FLAGS] & FLAG_DIGEST) != 0
           && (restart_of(options) == 0 || options[OPTION_RESTART] >= 240);
}

// Mostly short: long images say little that short ones do not.
static uint32_t image_bytes(const uint8_t *options) {
    uint32_t n = get_u16(options + OPTION_NEW);
    bool is_long = n >> 11 == 31;
    return 1 + (is_long ? n % 1024 : n % 128)
           + restart_of(options) * BATON_CODEC_SEGMENT_BYTES;
}

static void put_tables(uint8_t *header, const uint8_t *options) {
    uint8_t tables = options[OPTION_TABLES];
    bool is_large = (options[OPTION_FLAGS] & FLAG_LARGE) != 0;
    for (unsigned i = 0; i < 3; i++) {
        header[HEADER_LITERALS + i] = (uint8_t)(8 + (tables >> 2 * i & 3));
    }
    header[HEADER_MAP] =
            (uint8_t)(1 + options[OPTION_MAP] % (is_large ? 128 : 4));
}

static uint8_t encoding_of(const uint8_t *options) {
    return is_raw(options)                             ? BATON_CODEC_RAW
           : (options[OPTION_FLAGS] & FLAG_DELTA) != 0 ? BATON_CODEC_DELTA
                                                       : BATON_CODEC_PACKED;
}

// Returns the header's length.
static size_t put_header(uint8_t *header, const struct base *base,
        const uint8_t *options, size_t body) {
    uint8_t encoding = encoding_of(options);
    uint32_t restart = restart_of(options);
    uint8_t mode = options[OPTION_BASE];
    size_t len = HEADER_LENGTHS + 3 * (restart + 1);
    memset(header, 0, len);
    memcpy(header, "BatP\1", 5);
    header[HEADER_ENCODING] = encoding;
    header[HEADER_FEATURES] = has_digest(options) ? FEATURE_DIGEST : 0;
    header[HEADER_MACHINE] =
            (mode & 12) != 12 ? base->machine : (mode >> 4) % 3;
    put_tables(header, options);
    uint32_t bytes = is_raw(options) ? (uint32_t)body : image_bytes(options);
    put_u32(header + HEADER_NEW_BYTES,
            bytes + (has_digest(options) ? DIGEST_BYTES : 0));
    put_u32(header + HEADER_OLD_BYTES,
            encoding == BATON_CODEC_DELTA ? (uint32_t)base->image.len : 0);
    put_u16(header + HEADER_OLD_CODE, 2);
    put_u16(header + HEADER_NEW_CODE, mode >> 6 == 3 ? 7 : 2);
    put_u16(header + HEADER_AREAS, 6);
    put_u16(header + HEADER_AREAS + 2, 0x3FC8);
    put_u16(header + len - 3, (uint16_t)body);
    return len;
}

// False: the input is none.
static bool read_input(struct trial *self, const uint8_t *data, size_t size) {
    static uint8_t payload[PAYLOAD_MAX];
    self->payload = payload;
    if (size < OPTION_BYTES || size > PAYLOAD_MAX - 256) {
        return false;
    }
    const struct base *base = base_of(data[OPTION_BASE]);
    const uint8_t *body = data + OPTION_BYTES;
    size_t len = size - OPTION_BYTES;
    bool is_whole = (data[OPTION_FLAGS] & FLAG_WHOLE) != 0;
    size_t head = is_whole ? 0 : put_header(payload, base, data, len);
    memcpy(payload + head, body, len);
    self->options = data;
    self->job = (struct payloads_job){.payload = payload,
            .len = head + len,
            .old = patch(base, data),
            .old_len = base->image.len,
            .restart = is_whole ? 0 : restart_of(data)};
    return true;
}

// Long images say little that short ones do not, and take their time: they have
// a sum that few altered ones keep.
static uint32_t output_max(const struct trial *self) {
    uint32_t start = self->job.restart * BATON_CODEC_SEGMENT_BYTES;
    unsigned sum = 0;
    for (size_t i = 0; i < self->job.len; i++) {
        sum += self->payload[i];
    }
    bool is_long = start == 0 && self->options[OPTION_RESTART] == sum % 256;
    return is_long ? LONG_MAX : start + OUTPUT_MAX;
}

// ---- Decoding

// Memory that ends where it should: what is behind must not be touched.
static void guard(uint8_t *memory, size_t len, size_t size) {
#ifdef HAS_SANITIZER
    ASAN_UNPOISON_MEMORY_REGION(memory, len);
    ASAN_POISON_MEMORY_REGION(memory + len, size - len);
#else
    (void)memory;
    (void)len;
    (void)size;
#endif
}

// A state that holds `fill` and nothing else: what depends on it differs in the
// second decoding.
static uint8_t *make_state(size_t len, uint8_t fill) {
    static _Alignas(8) uint8_t state[BATON_CODEC_STATE_M_BYTES];
    guard(state, len, sizeof(state));
    memset(state, fill, len);
    return state;
}

// Where decoding number `turn` writes; before a restart, its image is there.
static uint8_t *output_of(unsigned turn, uint32_t restart) {
    static uint8_t all[2][LONG_MAX];
    static uint8_t rest[2][BEFORE_MAX + OUTPUT_MAX];
    if (restart == 0) {
        return all[turn];
    }
    if (rest[turn][0] == 0) {
        memcpy(rest[turn], before, BEFORE_MAX);
    }
    // What another input decoded to from an earlier restart.
    for (uint32_t k = 1; k < restart; k++) {
        uint32_t off = k * BATON_CODEC_SEGMENT_BYTES;
        memcpy(rest[turn] + off, before + off, OUTPUT_MAX);
    }
    return rest[turn];
}

static int decode(struct trial *self, unsigned turn, struct payloads *result) {
    const struct baton_codec_info *info = &self->info;
    uint32_t start = self->job.restart * BATON_CODEC_SEGMENT_BYTES;
    result->old = self->job.old;
    result->old_len = info->old_bytes;
    result->out = output_of(turn, self->job.restart);
    result->out_max = info->new_bytes;
    result->out_len = start;
    uint8_t *state = make_state(info->state_bytes, turn == 0 ? 0xA5 : 0x3C);
    int err = payloads_run(result, &self->job, info, state);
    uint64_t made = result->reached - start;
    require(err != BATON_ERR_RANGE, "callbacks are called within their range");
    require(result->bytes_read <= 4000 + 1100 * made + info->new_bytes,
            "the work for a byte is bounded");
    require(err != 0 || result->out_len == info->new_bytes,
            "an image is whole, or there is an error");
    return err;
}

// A body that ended before the image did: has the image end there as well, a
// few bytes back, so that it may be whole.
static int fit(struct trial *self, struct payloads *result, int err) {
    uint32_t less = 1 + self->options[OPTION_FIT] % 8u;
    uint32_t start = self->job.restart * BATON_CODEC_SEGMENT_BYTES;
    if (err != BATON_ERR_CODEC_CORRUPT || result->reached <= start + less
            || (self->options[OPTION_FLAGS] & FLAG_WHOLE) != 0) {
        return err;
    }
    put_u32(self->payload + HEADER_NEW_BYTES,
            result->reached - less
                    + (has_digest(self->options) ? DIGEST_BYTES : 0));
    err = baton_codec_header_read(self->payload, self->job.len, &self->info);
    require(err == 0, "a shorter image has a header");
    *result = (struct payloads){0};
    return decode(self, 0, result);
}

// Again in pieces, or with a callback that fails: the same result, or that
// callback's.
static void repeat(struct trial *self, const struct payloads *first, int err) {
    const uint8_t *options = self->options;
    struct payloads again = {0};
    if ((options[OPTION_FLAGS] & FLAG_FAIL) != 0) {
        again.fail_at = 1 + options[OPTION_STEP] % (first->calls + 1);
        err = again.fail_at <= first->calls ? BATON_ERR_IO : err;
    } else {
        self->job.step = 1 + options[OPTION_STEP] % 100u;
        self->job.budget = options[OPTION_BUDGET] * 3u;
    }
    require(decode(self, 1, &again) == err, "another time, the same result");
    uint32_t start = self->job.restart * BATON_CODEC_SEGMENT_BYTES;
    require(memcmp(first->out + start, again.out + start, again.out_len - start)
                    == 0,
            "and the same image");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct trial trial;
    struct payloads result = {0};
    if (!read_input(&trial, data, size)
            || baton_codec_header_read(
                       trial.payload, trial.job.len, &trial.info)
                       != 0
            || trial.info.new_bytes > output_max(&trial)
            || trial.info.old_bytes > trial.job.old_len) {
        return 0;
    }
    uint8_t flags = data[OPTION_FLAGS];
    int err = decode(&trial, 0, &result);
    if ((flags & FLAG_FIT) != 0) {
        err = fit(&trial, &result, err);
    }
    if ((flags & (FLAG_PIECES | FLAG_FAIL)) != 0) {
        repeat(&trial, &result, err);
    }
    return 0;
}
