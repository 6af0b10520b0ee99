// What the parts of the payload decoder share: the model and its decisions.
// SPDX-License-Identifier: MIT
//
// One routine models an image for both directions. It asks for every decision
// ("is this unit as predicted?", "does the literal run end?") with the counter
// or the weights that give the probability of a yes. In a decoder the range
// coder answers; in the host's encoder an oracle that knows the image does: it
// sees by that counter which decision it is, and writes the answer down with
// the same probability. So both sides hold the same state at every decision,
// and cannot disagree about the format.
//
// An error, of a callback or of the payload, sticks in `status`; what is read
// after it is anything, but within bounds, and the step that it was found in
// is the last.
#ifndef BATON_CORE_CODEC_STATE_H
#define BATON_CORE_CODEC_STATE_H

#include "baton/codec.h"

#define CODEC_VERSION 1u

#define CODEC_IN_BYTES     192u // input waiting to be decoded
#define CODEC_STEP_BYTES   128u // most input that one step takes
#define CODEC_PAGE_BYTES   256u // output waiting to be written
#define CODEC_RECENT_BYTES 2u   // output kept for the contexts
#define CODEC_WINDOW_BYTES 512u // of what is copied from
#define CODEC_LOOK_BYTES   104u // how far a unit looks ahead
#define CODEC_RECENT       6    // deltas kept
#define CODEC_SEGMENTS     18u  // of an image, and areas
#define CODEC_NEVER        0xFFFFFFFFu

enum codec_feature {
    CODEC_FEATURE_DIGEST = 1, // the image's last 32 bytes are computed
};

enum codec_machine {
    CODEC_DATA = 0,
    CODEC_RV32 = 1,
    CODEC_XTENSA = 2,
};

// A probability of a yes, less one half, in its high 13 bits, and in the low 3
// how much it has seen, which sets how fast it adapts.
typedef int16_t codec_counter;

// Adaptive Exp-Golomb numbers.
#define CODEC_EXPONENTS 24u
struct codec_golomb {
    codec_counter exponent[CODEC_EXPONENTS];
    codec_counter high[CODEC_EXPONENTS]; // the bit after the first
    codec_counter low[3];                // the others, by place
    codec_counter sign;
};

enum codec_place {
    CODEC_PLACE_NONE, // outside the segments
    CODEC_PLACE_DATA,
    CODEC_PLACE_CODE,
};

struct codec_segment {
    uint32_t off; // in the image; of an area: beyond any
    uint32_t addr;
    uint32_t len;
    uint32_t place; // enum codec_place
};

// Where an image's bytes lie: its areas, then the segments that are known.
struct codec_layout {
    uint32_t machine;
    uint32_t count;
    struct codec_segment segments[CODEC_SEGMENTS];
};

// The hi parts (lui, auipc) that registers hold; 0: none.
struct codec_registers {
    uint32_t value[2][32]; // in the base; in the new image
};

// Rows of a table in codec_unit.c; those from CODEC_ADD on may be a lo part.
enum codec_kind {
    CODEC_PLAIN,    // nothing that moves
    CODEC_POINTER,  // an address in data, or in a literal pool
    CODEC_RELATIVE, // an address relative to its own (.eh_frame)
    CODEC_BACK,     // how far back something begins (.eh_frame)
    CODEC_JAL,
    CODEC_BRANCH,
    CODEC_CJ,
    CODEC_CB,
    CODEC_HI,    // lui, auipc
    CODEC_ADD,   // an address's lo part, or a number
    CODEC_LOAD,  // the same
    CODEC_JALR,  // the same
    CODEC_STORE, // the same
    CODEC_CALL,
    CODEC_L32R,
    CODEC_J,
    CODEC_KINDS,
};

// What a copy takes at once: an instruction, or a word of data.
struct codec_unit {
    uint32_t kind;
    uint32_t len;
    uint32_t class;   // a context
    uint32_t word;    // its bytes
    uint32_t target;  // what it refers to
    uint32_t number;  // that, relative to its base
    uint32_t reg;     // that an instruction writes, or seems to
    uint32_t base[2]; // what an immediate adds to, in base and new image
};

// Numbers have a space of addresses of their own.
#define CODEC_NUMBERS 0xF0000000u

// A place in an image that a unit is read from.
struct codec_view {
    const uint8_t *at;
    uint32_t len;   // bytes to be seen
    uint32_t addr;  // 0: outside the segments
    uint32_t place; // enum codec_place
    const struct codec_layout *layout;
    const struct codec_segment *segment; // of what was looked at last, or NULL
    struct codec_registers *registers;
};

struct codec_map_entry {
    uint32_t addr;
    int32_t delta_age; // delta << 8 | age
};

// The address map: where what was at an address went.
struct codec_map {
    struct codec_map_entry *entries; // by rising address
    uint32_t count;
    uint32_t capacity;
    uint32_t clock; // of look-ups
    uint32_t dice;
};

// Counters by a hash.
struct codec_table {
    codec_counter *counters;
    uint32_t mask;
};

enum codec_trust {
    CODEC_DOUBTED, // one on either side, which differ
    CODEC_AGREED,  // the same on both sides
    CODEC_KNOWN,   // of this address
};

// Two guesses, the better one first.
struct codec_guess {
    int32_t delta;
    int32_t other;
    uint32_t trust; // enum codec_trust
};

// Weights of a flag: by place those of a byte, then of a unit that is PLAIN;
// then those of a reference by kind.
#define CODEC_BYTE_WEIGHTS  0u
#define CODEC_PLAIN_WEIGHTS 4u
#define CODEC_KIND_WEIGHTS  6u
#define CODEC_FLAG_WEIGHTS  (CODEC_KIND_WEIGHTS + CODEC_KINDS)

// All adaptive probabilities and weights. They begin at 0, one half and
// CODEC_WEIGHT, anew at every restart.
#define CODEC_MIXED  4u
#define CODEC_WEIGHT 5400
#define CODEC_FLAGS  256u
struct codec_model {
    codec_counter run;       // are the next 64 bytes all as predicted?
    codec_counter from_new;  // does the copy go on from the new image?
    codec_counter end[2];    // is it a realignment, after a literal; a copy?
    codec_counter mend[16];  // is the unit mended, and the copy goes on?
    codec_counter elsewhere; // is it the same unit, with another target?
    codec_counter recent[CODEC_RECENT + 1]; // is its delta this one?
    struct codec_golomb delta;              // one that is none of those
    struct codec_golomb jump;               // where the copy goes on
    codec_counter expected[8 * 27];
    codec_counter flag[CODEC_MIXED][CODEC_FLAGS];
    // Is this unit as predicted; is this byte?
    int16_t flag_weight[CODEC_FLAG_WEIGHTS][CODEC_MIXED];
    int16_t literal_weight[48][CODEC_MIXED]; // of a byte's bits
};

// Zero at every restart, but for the first few fields and those that say where
// in the image it is.
struct codec {
    const struct baton_codec_info *info;
    struct baton_codec *owner;
    uint32_t range;
    uint32_t code;
    uint32_t in_at;
    uint32_t in_len;
    uint32_t dice; // for rounding
    int status;    // the first error

    // Output
    uint32_t new_off;  // the next byte
    uint32_t new_bias; // its address less its offset
    uint32_t new_place;
    uint32_t new_event; // where a segment header or data ends
    uint32_t page_len;
    uint32_t phase;     // bytes of an instruction that literals are in
    uint32_t phase_len; // of how many
    uint32_t phase_first;

    // The copy
    uint32_t copying;  // 1: yes
    uint32_t from_new; // 1: what is copied is of the new image
    uint32_t source;
    uint32_t history;  // misses, the last in bit 0
    uint32_t run;      // bytes since the last miss
    uint32_t since;    // bytes since the realignment
    uint32_t hold;     // source less new_off where a copy from the base ended
    uint32_t sure;     // bytes left of a run that is as predicted
    uint32_t next_run; // no run before
    uint32_t predicted;
    struct codec_unit unit;
    struct codec_guess guess;
    struct codec_view view;
    uint32_t window_off;
    uint32_t window_len;
    uint32_t new_end; // of this restart segment
    uint32_t in_left; // bytes of the segment that are not in `in` yet

    // The host's encoder; NULL: decode.
    bool (*oracle)(void *context, const void *asked, uint32_t probability);
    void *oracle_context;

    uint32_t base; // what a number is relative to
    int32_t deltas[CODEC_RECENT];
    int32_t last_difference[2];
    codec_counter *mixed[CODEC_MIXED]; // what the next decision mixes
    struct codec_map map;
    struct codec_table literal_table[CODEC_MIXED];
    struct codec_registers registers;
    uint8_t in[CODEC_IN_BYTES];
    uint8_t page[CODEC_RECENT_BYTES + CODEC_PAGE_BYTES];
    uint8_t window[CODEC_WINDOW_BYTES + 1];
    struct codec_model model;
    struct codec_layout layout[2]; // of the base; of the new image, as known
};

// ---- codec_coder.c: decisions

uint32_t baton_codec_hash(uint32_t a, uint32_t b);
uint32_t baton_codec_coder_byte(struct codec *self); // past the end: 0
bool baton_codec_ask(struct codec *self, codec_counter *counter);
// Mixes the counters in self->mixed; they adapt down to rate `limit`.
bool baton_codec_ask_mixed(struct codec *self, int16_t *weights, int limit);
uint32_t baton_codec_ask_number(
        struct codec *self, struct codec_golomb *golomb);

// ---- codec_map.c: the address map

void baton_codec_map_put(struct codec_map *self, uint32_t addr, int32_t delta);
void baton_codec_map_get(
        struct codec_map *self, uint32_t addr, struct codec_guess *guess);

// ---- codec_unit.c: units

// A number of `len` bytes, little-endian.
uint32_t baton_codec_word(const uint8_t *at, uint32_t len);
// An instruction's bytes, by its first one.
uint32_t baton_codec_unit_length(uint32_t machine, uint32_t first);
void baton_codec_unit_read(
        const struct codec_view *view, struct codec_unit *unit);
// The number in its bytes.
uint32_t baton_codec_unit_number(struct codec_unit *unit);
// What a unit refers to, at an address of the base (side 0) or of the new image
// (1); of CODEC_HI without a lo part.
uint32_t baton_codec_unit_target(
        struct codec_unit *unit, uint32_t addr, unsigned side);
// The unit's bytes for another target at another address; as they are where it
// cannot express that.
uint32_t baton_codec_unit_build(
        struct codec_unit *unit, uint32_t target, uint32_t addr);

// ---- codec_rv32.c, codec_xtensa.c: instructions, with 4 bytes to be seen

// In `number` a lo part that is to be added.
void baton_codec_rv32_read(
        const struct codec_view *view, struct codec_unit *unit);
// After a CODEC_HI became `word` at `addr`: what its register holds now.
void baton_codec_rv32_note(struct codec_unit *unit, uint32_t old_addr,
        uint32_t word, uint32_t addr, struct codec_registers *registers);
void baton_codec_xtensa_read(
        const struct codec_view *view, struct codec_unit *unit);

// ---- codec_layout.c: the images' segments, and their bytes

// What lies at an offset; NULL: nothing.
const struct codec_segment *baton_codec_layout_find(
        const struct codec_layout *layout, uint32_t off);
// Where an address points.
enum codec_place baton_codec_layout_place(
        const struct codec_layout *layout, uint32_t addr);
// Reads an image's bytes; of the new one those that wait are written first.
void baton_codec_layout_fetch(struct codec *self, bool from_new, uint32_t off,
        void *buf, uint32_t len);
void baton_codec_layout_flush(struct codec *self);
// Learns the segments of an image whose first bytes are known, and where the
// output is in them.
void baton_codec_layout_read(struct codec *self, bool from_new);

// ---- codec.c

// Keeps the first error.
void baton_codec_fail(struct codec *self, int err);
// Where the image ends for the model.
uint32_t baton_codec_body_end(const struct baton_codec_info *info);
// The next bytes of the image, whose end is the model's new_off.
int baton_codec_write(struct baton_codec *self, const void *data, uint32_t len);

// ---- codec_model.c: one step of the image

// Begins with the image's segment k.
void baton_codec_model_begin(struct codec *self, struct baton_codec *owner,
        const struct baton_codec_info *info, uint32_t k);
void baton_codec_model_step(struct codec *self);

// ---- codec_literal.c: bytes

// A byte, given what the copy has there, or without (old < 0).
uint32_t baton_codec_literal_ask(struct codec *self, int old);

#endif
