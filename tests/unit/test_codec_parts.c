// The pieces of the payload decoder, each by itself.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../core/bytes.h"
#include "../../core/codec_state.h"
#include "../../host/codec_encode.h"
#include "../lib/programs.h"

// ---- The coder

struct decisions {
    struct codec_writer writer;
    uint32_t state;
};

// What the encoder's side answers: at random, as often yes as it is likely.
static bool decide(void *context, const void *asked, uint32_t probability) {
    struct decisions *self = context;
    (void)asked;
    bool yes = (programs_random(&self->state) & 0xFFFF) < probability;
    codec_writer_put(&self->writer, yes, probability);
    return yes;
}

#define COUNTERS 8u

struct asked {
    codec_counter counters[COUNTERS];
    struct codec_golomb golomb;
    int16_t weights[CODEC_MIXED];
};

static void begin_asked(struct asked *self) {
    for (unsigned i = 0; i < COUNTERS; i++) {
        self->counters[i] = (codec_counter)((int)(i * 8192) - 32768);
    }
    memset(&self->golomb, 0, sizeof(self->golomb));
    memset(self->weights, 0, sizeof(self->weights));
}

static uint32_t ask_any(struct codec *codec, struct asked *self, unsigned n) {
    for (unsigned i = 0; i < CODEC_MIXED; i++) {
        codec->mixed[i] = &self->counters[(n + i) % COUNTERS];
    }
    switch (n % 3) {
    case 0:
        return baton_codec_ask(codec, &self->counters[n % COUNTERS]);
    case 1:
        return baton_codec_ask_mixed(codec, self->weights, n % 2 != 0 ? 4 : 7);
    default:
        return baton_codec_ask_number(codec, &self->golomb);
    }
}

static void decodes_what_was_decided(void **state) {
    (void)state;
    enum { DECISIONS = 60 };
    for (uint32_t seed = 0; seed < 500; seed++) {
        static struct codec codec;
        struct decisions decisions = {.state = seed};
        struct asked asked;
        uint32_t answers[DECISIONS];
        memset(&codec, 0, sizeof(codec));
        codec.oracle = decide;
        codec.oracle_context = &decisions;
        begin_asked(&asked);
        codec_writer_begin(&decisions.writer);
        unsigned count = 0;
        while (count < DECISIONS
                && decisions.writer.len + 40 < CODEC_IN_BYTES) {
            answers[count] = ask_any(&codec, &asked, count);
            count++;
        }
        codec_writer_end(&decisions.writer, 0);
        assert_true(decisions.writer.len <= CODEC_IN_BYTES);
        memset(&codec, 0, sizeof(codec));
        memcpy(codec.in, decisions.writer.bytes, decisions.writer.len);
        codec.in_len = (uint32_t)decisions.writer.len;
        codec.range = 1;
        begin_asked(&asked);
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(ask_any(&codec, &asked, i), answers[i]);
        }
        // The decoder has taken all, and no more than it may.
        assert_in_range(codec.in_at, codec.in_len, codec.in_len + 4);
        free(decisions.writer.bytes);
    }
}

// A step may take no more input than is waiting for it: the longest question
// is a number, and each decision takes two bytes at most.
static void takes_two_bytes_a_decision(void **state) {
    (void)state;
    static struct codec codec;
    for (unsigned fill = 0; fill < 256; fill += 85) {
        codec_counter counter = INT16_MIN;
        memset(&codec, 0, sizeof(codec));
        memset(codec.in, (int)fill, sizeof(codec.in));
        codec.in_len = CODEC_IN_BYTES;
        codec.range = 1u << 24;
        for (int i = 0; i < 80; i++) {
            uint32_t before = codec.in_at;
            (void)baton_codec_ask(&codec, &counter);
            assert_true(codec.in_at - before <= 2);
            counter = i % 2 != 0 ? INT16_MIN : INT16_MAX - 7;
        }
    }
}

// ---- The address map

static void map_predicts_by_neighbours(void **state) {
    (void)state;
    struct codec_map_entry entries[8];
    struct codec_map map = {.entries = entries, .capacity = 8};
    struct codec_guess guess;
    baton_codec_map_get(&map, 1000, &guess);
    assert_int_equal(guess.delta, 0);
    assert_int_equal(guess.trust, CODEC_AGREED);
    baton_codec_map_put(&map, 1000, 4);
    baton_codec_map_put(&map, 3000, -8);
    baton_codec_map_get(&map, 1000, &guess);
    assert_int_equal(guess.delta, 4);
    assert_int_equal(guess.trust, CODEC_KNOWN);
    baton_codec_map_get(&map, 1100, &guess);
    assert_int_equal(guess.delta, 4);
    assert_int_equal(guess.other, -8);
    baton_codec_map_get(&map, 2990, &guess);
    assert_int_equal(guess.delta, -8);
    assert_int_equal(guess.other, 4);
    assert_int_equal(guess.trust, CODEC_DOUBTED);
    baton_codec_map_put(&map, 3000, 4);
    baton_codec_map_get(&map, 2000, &guess);
    assert_int_equal(guess.delta, 4);
    assert_int_equal(guess.trust, CODEC_AGREED);
    baton_codec_map_put(&map, 2000, 4);
    baton_codec_map_get(&map, 2000, &guess);
    assert_int_equal(guess.trust, CODEC_KNOWN);
    // Too far away says nothing.
    baton_codec_map_get(&map, 0x40000000, &guess);
    assert_int_equal(guess.delta, 0);
}

static void map_stays_sorted_and_in_bounds(void **state) {
    (void)state;
    struct codec_map_entry entries[17] = {{0}};
    struct codec_map map = {.entries = entries, .capacity = 16};
    struct codec_guess guess;
    uint32_t random = 9;
    entries[16].addr = 0xDEADBEEF;
    for (int i = 0; i < 20000; i++) {
        uint32_t addr = programs_random(&random) % 64 * 0x4000000u;
        int32_t delta = (int32_t)(programs_random(&random) % 5) - 2;
        baton_codec_map_put(&map, addr, delta);
        baton_codec_map_get(&map, programs_random(&random), &guess);
        assert_true(map.count <= 16 && guess.trust <= CODEC_KNOWN);
        for (unsigned k = 1; k < map.count; k++) {
            assert_true(entries[k - 1].addr < entries[k].addr);
        }
    }
    assert_int_equal(entries[16].addr, 0xDEADBEEF);
}

// ---- Units

static void fill_layout(struct codec_layout *layout, uint32_t machine) {
    *layout = (struct codec_layout){.machine = machine,
            .count = 3,
            .segments = {{.addr = 0x3FC80000,
                                 .len = 0x60000,
                                 .place = CODEC_PLACE_DATA},
                    {.off = 32,
                            .addr = 0x3C000020,
                            .len = 0x40000,
                            .place = CODEC_PLACE_DATA},
                    {.off = 0x40028,
                            .addr = 0x42000020,
                            .len = 0x100000,
                            .place = CODEC_PLACE_CODE}}};
}

// Any bytes: a unit has a length, reads nothing past its view, and is built
// again from its own target as it was.
static void units_build_what_they_read(void **state) {
    (void)state;
    struct codec_layout layout;
    uint32_t random = 3;
    unsigned seen[CODEC_KINDS] = {0};
    for (int i = 0; i < 400000; i++) {
        // Data, then code, of two machines.
        uint32_t machine = i % 2 != 0 ? CODEC_RV32 : CODEC_XTENSA;
        fill_layout(&layout, machine);
        uint32_t len = 1 + programs_random(&random) % 12;
        uint8_t *bytes = malloc(len); // so that reading past it is found
        for (uint32_t k = 0; k < len; k++) {
            bytes[k] = (uint8_t)programs_random(&random);
        }
        if (i % 7 == 0 && len >= 4) {
            put_u32(bytes, 0x42000020 + (programs_random(&random) & 0xFFFFF));
        } else if (i % 11 == 0 && len >= 4) {
            put_u32(bytes, 8 * (64 + programs_random(&random) % 2000) + 2);
        } else if (i % 13 == 0 && len >= 4) {
            put_u32(bytes, 0 - (programs_random(&random) & 0xFFFFF));
        } else if (i % 17 == 0 && len >= 8) {
            put_u32(bytes, 0x7FF00 + (programs_random(&random) & 0xFC));
            put_u32(bytes + 4, 0 - (programs_random(&random) & 0xFFF));
        }
        struct codec_registers registers;
        for (int k = 0; k < 32; k++) {
            registers.value[0][k] = registers.value[1][k] =
                    programs_random(&random) % 2 * programs_random(&random)
                    << 12;
        }
        uint32_t addr = 0x42000020 + (programs_random(&random) & 0xFFFFE);
        struct codec_view view = {.at = bytes,
                .len = len,
                .addr = addr,
                .place = i % 4 < 2 ? CODEC_PLACE_DATA : CODEC_PLACE_CODE,
                .layout = &layout,
                .registers = &registers};
        struct codec_unit unit;
        baton_codec_unit_read(&view, &unit);
        assert_in_range(unit.len, 1, len < 4 ? len : 4);
        assert_true(unit.kind < CODEC_KINDS);
        seen[unit.kind]++;
        if (unit.kind != CODEC_PLAIN) {
            uint32_t word =
                    baton_codec_unit_build(&unit, unit.target, view.addr);
            uint32_t mask =
                    unit.len == 4 ? UINT32_MAX : (1u << 8 * unit.len) - 1;
            if (unit.kind == CODEC_HI) {
                mask = 0xFFF; // the hi part depends on the lo part's sign
            }
            assert_int_equal(word & mask, unit.word & mask);
        }
        free(bytes);
    }
    for (int kind = 0; kind < CODEC_KINDS; kind++) {
        assert_true(seen[kind] > 0);
    }
}

// A pair of auipc and addi follows its target wherever both go.
static void pairs_of_hi_and_lo_move(void **state) {
    (void)state;
    struct codec_layout layout;
    struct codec_registers registers = {{{0}}};
    uint8_t code[8];
    uint32_t random = 4;
    fill_layout(&layout, CODEC_RV32);
    for (int i = 0; i < 10000; i++) {
        uint32_t old_addr = 0x42000020 + (programs_random(&random) & 0xFFFFC);
        uint32_t new_addr = 0x42000020 + (programs_random(&random) & 0xFFFFC);
        uint32_t old_to = 0x42000020 + (programs_random(&random) & 0xFFFFF);
        uint32_t new_to = 0x42000020 + (programs_random(&random) & 0xFFFFF);
        uint32_t offset = old_to - old_addr;
        put_u32(code, 0x517 | ((offset + 0x800) & 0xFFFFF000));
        put_u32(code + 4, 0x50513 | (offset & 0xFFF) << 20);
        struct codec_view view = {.at = code,
                .len = 8,
                .addr = old_addr,
                .place = CODEC_PLACE_CODE,
                .layout = &layout,
                .registers = &registers};
        struct codec_unit unit;
        baton_codec_unit_read(&view, &unit);
        assert_int_equal(unit.kind, CODEC_HI);
        assert_int_equal(unit.target, old_to);
        uint32_t hi = baton_codec_unit_build(&unit, new_to, new_addr);
        baton_codec_rv32_note(&unit, old_addr, hi, new_addr, &registers);
        view.at += 4;
        view.addr += 4;
        view.len -= 4;
        baton_codec_unit_read(&view, &unit);
        assert_int_equal(unit.kind, CODEC_ADD);
        assert_int_equal(unit.target, old_to);
        uint32_t lo = baton_codec_unit_build(&unit, new_to, new_addr + 4);
        uint32_t made =
                new_addr + (hi & 0xFFFFF000) + ((lo >> 20 ^ 0x800) - 0x800);
        assert_int_equal(made, new_to);
        // addi overwrites the register.
        assert_int_equal(registers.value[0][10], 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(decodes_what_was_decided),
            cmocka_unit_test(takes_two_bytes_a_decision),
            cmocka_unit_test(map_predicts_by_neighbours),
            cmocka_unit_test(map_stays_sorted_and_in_bounds),
            cmocka_unit_test(units_build_what_they_read),
            cmocka_unit_test(pairs_of_hi_and_lo_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
