// Runs the payload decoder and its parts, for tests that try thousands.
// SPDX-License-Identifier: MIT
//
// Each request on standard input: a letter, a u32 length and that many bytes;
// each answer on standard output: an i32 error, a u32 length and the bytes.
// Numbers are little-endian.
//
//   'D'  decode: u32 most bytes a push, u32 budget, u32 restart point, u32
//        length of the base, the base, u32 length of what is there already (to
//        restart from), these bytes, the payload. Answers the image.
//   'U'  units: u32 machine, u32 place, u32 address, u32 new address, u32
//        delta, u32 segments, (u32 address, u32 length, u32 is code) of each,
//        and two areas (u32 address, u32 length); then the bytes. Answers for
//        each unit: u32 kind, length, class, word, target, the word for target
//        + delta at the new address.
//   'M'  the address map: u32 capacity, then u32 0 (put), 1 (get), u32 address,
//        u32 delta. Answers for each get: u32 delta, other, trust; and at the
//        end all entries.
//   'C'  coder: u32 kind of each decision, then the bytes to decode, see there.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../core/codec_state.h"
#include "baton-posix/crypto.h"
#include "baton/codec.h"
#include "baton/error.h"

struct bytes {
    uint8_t *at;
    size_t len;
};

static struct bytes answer;

static void put(const void *data, size_t len) {
    if (len == 0) {
        return;
    }
    answer.at = realloc(answer.at, answer.len + len);
    if (answer.at == NULL) {
        abort();
    }
    memcpy(answer.at + answer.len, data, len);
    answer.len += len;
}

static void encode_u32(uint8_t *raw, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        raw[i] = (uint8_t)(value >> (8 * i));
    }
}

static void put_u32(uint32_t value) {
    uint8_t raw[4];
    encode_u32(raw, value);
    put(raw, sizeof(raw));
}

static uint32_t decode_u32(const uint8_t *raw) {
    return raw[0] | (uint32_t)raw[1] << 8 | (uint32_t)raw[2] << 16
           | (uint32_t)raw[3] << 24;
}

static uint32_t take_u32(struct bytes *in) {
    if (in->len < 4) {
        abort();
    }
    uint32_t value = decode_u32(in->at);
    in->at += 4;
    in->len -= 4;
    return value;
}

static struct bytes take(struct bytes *in, uint32_t len) {
    if (in->len < len) {
        abort();
    }
    struct bytes taken = {in->at, len};
    in->at += len;
    in->len -= len;
    return taken;
}

// ---- The whole decoder

struct world {
    struct bytes old;
    uint8_t *image;
    uint32_t written;
    uint32_t capacity;
};

// What the interface promises is checked: a broken promise ends the driver.
static int read_old(void *context, uint32_t off, void *buf, size_t len) {
    const struct world *self = context;
    if (off > self->old.len || len > self->old.len - off) {
        abort();
    }
    memcpy(buf, self->old.at + off, len);
    return 0;
}

static int read_new(void *context, uint32_t off, void *buf, size_t len) {
    const struct world *self = context;
    if (off > self->written || len > self->written - off) {
        abort();
    }
    memcpy(buf, self->image + off, len);
    return 0;
}

static int write_new(void *context, const void *data, size_t len) {
    struct world *self = context;
    if (len == 0 || len > 256 || len > self->capacity - self->written) {
        abort();
    }
    memcpy(self->image + self->written, data, len);
    self->written += (uint32_t)len;
    return 0;
}

static int push_all(struct baton_codec *codec, const uint8_t *data, size_t len,
        size_t piece) {
    int err = 0;
    while (len > 0 || err == BATON_CODEC_MORE) {
        size_t now = len < piece ? len : piece;
        size_t used;
        err = baton_codec_push(codec, data, now, &used);
        if (used > now) {
            abort();
        }
        if (err != 0 && err != BATON_CODEC_MORE) {
            return err;
        }
        data += used;
        len -= used;
    }
    return baton_codec_end(codec);
}

static int decode(struct bytes in) {
    uint32_t piece = take_u32(&in);
    uint32_t budget = take_u32(&in);
    uint32_t restart = take_u32(&in);
    struct world world = {0};
    world.old = take(&in, take_u32(&in));
    struct bytes before = take(&in, take_u32(&in));
    struct baton_codec_info info;
    int err = baton_codec_header_read(in.at, in.len, &info);
    if (err) {
        return err;
    }
    if (info.old_bytes > world.old.len) {
        return BATON_ERR_ARG;
    }
    world.capacity = info.new_bytes;
    world.image = malloc(info.new_bytes);
    void *state = malloc(info.state_bytes);
    struct baton_codec_config config = {.context = &world,
            .read_old = read_old,
            .read_new = read_new,
            .write = write_new,
            .crypto = baton_crypto_psa(),
            .state = state,
            .state_len = info.state_bytes,
            .budget_bytes = budget};
    struct baton_codec codec;
    err = baton_codec_begin(&codec, &config, &info);
    if (err == 0 && restart != 0) {
        world.written = (uint32_t)before.len;
        memcpy(world.image, before.at, before.len);
        err = baton_codec_resume(&codec, restart);
        if (err == 0) {
            (void)take(&in, info.segment_off[restart]);
        }
    }
    if (err == 0) {
        err = push_all(&codec, in.at, in.len, piece);
    }
    put(world.image, world.written);
    free(world.image);
    free(state);
    return err;
}

// ---- Parts

static int walk_units(struct bytes in) {
    struct codec_layout layout = {
            .machine = take_u32(&in), .count = BATON_CODEC_AREAS_MAX};
    uint32_t place = take_u32(&in);
    uint32_t addr = take_u32(&in);
    uint32_t new_addr = take_u32(&in);
    uint32_t delta = take_u32(&in);
    for (uint32_t left = take_u32(&in); left > 0; left--) {
        struct codec_segment *s = &layout.segments[layout.count++];
        s->addr = take_u32(&in);
        s->len = take_u32(&in);
        s->place = take_u32(&in) != 0 ? CODEC_PLACE_CODE : CODEC_PLACE_DATA;
    }
    for (int i = 0; i < (int)BATON_CODEC_AREAS_MAX; i++) {
        layout.segments[i].addr = take_u32(&in);
        layout.segments[i].len = take_u32(&in);
        layout.segments[i].place = CODEC_PLACE_DATA;
    }
    struct codec_registers registers = {{{0}}};
    while (in.len > 0) {
        // A copy that ends where the bytes do, so that reading on is found.
        uint32_t len = in.len < 103 ? (uint32_t)in.len : 103;
        uint8_t *seen = malloc(len);
        memcpy(seen, in.at, len);
        struct codec_view view = {.at = seen,
                .len = len,
                .addr = addr,
                .place = place,
                .layout = &layout,
                .registers = &registers};
        struct codec_unit unit = {0};
        baton_codec_unit_read(&view, &unit);
        free(seen);
        bool moves = unit.kind != CODEC_PLAIN;
        put_u32(unit.kind);
        put_u32(unit.len);
        put_u32(unit.class);
        put_u32(unit.word);
        put_u32(moves ? unit.target : 0);
        uint32_t word = unit.word;
        if (moves) {
            word = baton_codec_unit_build(&unit, unit.target + delta, new_addr);
        }
        put_u32(word);
        if (unit.kind == CODEC_HI) {
            baton_codec_rv32_note(&unit, addr, word, new_addr, &registers);
        }
        (void)take(&in, unit.len);
        addr += unit.len;
        new_addr += unit.len;
    }
    return 0;
}

static int run_map(struct bytes in) {
    struct codec_map map = {.capacity = take_u32(&in)};
    map.entries = calloc(map.capacity, sizeof(*map.entries));
    while (in.len > 0) {
        uint32_t what = take_u32(&in);
        uint32_t addr = take_u32(&in);
        int32_t delta = (int32_t)take_u32(&in);
        struct codec_guess guess;
        if (what == 0) {
            baton_codec_map_put(&map, addr, delta);
        } else {
            baton_codec_map_get(&map, addr, &guess);
            put_u32((uint32_t)guess.delta);
            put_u32((uint32_t)guess.other);
            put_u32(guess.trust);
        }
    }
    for (uint32_t i = 0; i < map.count; i++) {
        put_u32(map.entries[i].addr);
        put_u32((uint32_t)(map.entries[i].delta_age >> 8));
    }
    free(map.entries);
    return 0;
}

// Decisions of four kinds in turn, with counters and weights chosen by their
// number, for as many bytes as there are, 4000 at most; answers each decision.
static int run_coder(struct bytes in) {
    static struct codec codec;
    static struct codec_golomb golomb;
    static codec_counter counters[2][64];
    static int16_t weights[8][4];
    memset(&codec, 0, sizeof(codec));
    memset(&golomb, 0, sizeof(golomb));
    memset(counters, 0, sizeof(counters));
    memset(weights, 0, sizeof(weights));
    codec.range = 1;
    codec.in_len =
            (uint32_t)(in.len < sizeof(codec.in) ? in.len : sizeof(codec.in));
    memcpy(codec.in, in.at, codec.in_len);
    for (uint32_t n = 0; n < 4000 && codec.in_at <= codec.in_len; n++) {
        uint32_t answered;
        if (n % 4 == 0) {
            answered = baton_codec_ask(&codec, &counters[0][n / 4 % 16]);
        } else if (n % 4 == 1) {
            answered = baton_codec_ask_number(&codec, &golomb);
        } else {
            bool is_literal = n % 4 == 3;
            for (uint32_t i = 0; i < CODEC_MIXED; i++) {
                codec.mixed[i] =
                        &counters[is_literal][16 + i * 12 + n / (4 + i) % 12];
            }
            answered = baton_codec_ask_mixed(&codec,
                    weights[n / 4 % 4 + 4 * is_literal], is_literal ? 4 : 7);
        }
        put_u32(answered);
    }
    return 0;
}

static int serve(int letter, struct bytes in) {
    switch (letter) {
    case 'D':
        return decode(in);
    case 'U':
        return walk_units(in);
    case 'M':
        return run_map(in);
    case 'C':
        return run_coder(in);
    default:
        abort();
    }
}

int main(void) {
    uint8_t head[5];
    while (fread(head, 1, sizeof(head), stdin) == sizeof(head)) {
        struct bytes in = {.len = decode_u32(head + 1)};
        uint8_t *whole = malloc(in.len + 1);
        in.at = whole;
        if (whole == NULL || fread(whole, 1, in.len, stdin) != in.len) {
            return 1;
        }
        answer.len = 0;
        int err = serve(head[0], in);
        uint8_t raw[8];
        encode_u32(raw, (uint32_t)err);
        encode_u32(raw + 4, (uint32_t)answer.len);
        fwrite(raw, 1, sizeof(raw), stdout);
        fwrite(answer.at, 1, answer.len, stdout);
        fflush(stdout);
        free(whole);
    }
    free(answer.at);
    return 0;
}
