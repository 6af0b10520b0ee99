// What the parts of the payload decoder share: the model and its questions.
// SPDX-License-Identifier: MIT
//
// One routine models an image for both directions. It asks for every decision
// ("is this unit as predicted?", "does the literal run end?") by its question
// and the probability of a yes. In a decoder the range coder answers; in the
// host's encoder an oracle that knows the image does, and writes the answer
// down with the same probability. So both sides hold the same state at every
// decision, and cannot disagree about the format.
#ifndef BATON_CORE_CODEC_STATE_H
#define BATON_CORE_CODEC_STATE_H

#include "baton/codec.h"

#define CODEC_VERSION 1u

#define CODEC_IN_BYTES     192u // input waiting to be decoded
#define CODEC_STEP_BYTES   128u // most input that one step takes
#define CODEC_PAGE_BYTES   256u // output waiting to be written
#define CODEC_RECENT_BYTES 8u   // output kept for the contexts
#define CODEC_WINDOW_BYTES 512u // of what is copied from
#define CODEC_LOOK_BYTES   104u // how far a unit looks ahead
#define CODEC_DELTAS       7    // kept
#define CODEC_SEGMENTS     16u  // of an image

enum codec_feature {
    CODEC_FEATURE_DIGEST = 1, // the image's last 32 bytes are computed
};

enum codec_place {
    CODEC_PLACE_NONE, // outside the segments
    CODEC_PLACE_DATA,
    CODEC_PLACE_CODE,
};

// The questions, in the order in which a step may ask them.
enum codec_question {
    CODEC_ASK_RUN,       // are the next 64 bytes all as predicted?
    CODEC_ASK_UNIT,      // is this unit as predicted (self->predicted)?
    CODEC_ASK_ELSEWHERE, // is it the same instruction, with another target?
    CODEC_ASK_DELTA,     // is that target's delta this number?
    CODEC_ASK_BYTE,      // is the byte as the one copied from?
    CODEC_ASK_FIX,       // does the copy go on after this byte?
    CODEC_ASK_LITERAL,   // do literals follow (and not a realignment)?
    CODEC_ASK_BIT,       // a bit of a byte, the highest first
    CODEC_ASK_END,       // does the run of literals end?
    CODEC_ASK_SELF,      // does the copy go on from the new image?
    CODEC_ASK_SOURCE,    // where does it go on in the base (a number)
    CODEC_ASK_FAR,       // how far back does it go on (a number)
    CODEC_ASK_MOVE,      // a delta that is none of those (a number)
};

// The parts of a number: `number` of such a question is the part << 8 | which
// bit. Is its exponent larger, is this bit set, is it negative?
enum codec_part {
    CODEC_PART_EXPONENT = 1,
    CODEC_PART_BIT = 2,
    CODEC_PART_SIGN = 3,
};

enum codec_machine {
    CODEC_DATA = 0,
    CODEC_RV32 = 1,
    CODEC_XTENSA = 2,
};

// A probability of a yes in its high 13 bits, and in the low 3 how much it has
// seen, which sets how fast it adapts.
typedef uint16_t codec_counter;

// Adaptive Exp-Golomb numbers.
#define CODEC_EXPONENTS 24u
struct codec_golomb {
    codec_counter exponent[CODEC_EXPONENTS];
    codec_counter high[CODEC_EXPONENTS]; // the bit after the first
    codec_counter low[3];                // the two lowest bits
    codec_counter middle;
    codec_counter sign;
};

struct codec_segment {
    uint32_t off; // in the image
    uint32_t addr;
    uint32_t len;
    bool is_code;
};

struct codec_layout {
    uint32_t count;
    uint32_t last; // found
    struct codec_segment segments[CODEC_SEGMENTS];
};

// What hi parts (lui, auipc) the registers hold.
struct codec_registers {
    uint32_t known; // a bit for each
    uint32_t old_value[32];
    uint32_t new_value[32];
};

enum codec_kind {
    CODEC_PLAIN,    // nothing that moves
    CODEC_POINTER,  // an address in data, or in a literal pool
    CODEC_RELATIVE, // an address relative to its own (.eh_frame)
    CODEC_BACK,     // how far back something begins (.eh_frame)
    CODEC_NUMBER,   // a number of 16 bits: of a string, of a field
    CODEC_OBJECT,   // a MicroPython object that holds such a number
    CODEC_JAL,
    CODEC_HI,
    CODEC_LO,
    CODEC_BRANCH,
    CODEC_CJ,
    CODEC_CB,
    CODEC_IMM, // a number in an instruction
    CODEC_CALL,
    CODEC_L32R,
    CODEC_J,
    CODEC_MOVI,
    CODEC_KINDS,
};

// An instruction, or a word of data.
struct codec_unit {
    uint8_t kind;
    uint8_t len;
    uint8_t class;   // of instructions: a context
    uint8_t reg;     // CODEC_HI, CODEC_LO
    uint32_t word;   // its bytes
    uint32_t target; // what it refers to
};

// Numbers have a space of addresses of their own.
#define CODEC_NUMBERS 0xF0000000u
#define CODEC_OFFSETS 0xF1000000u

// A place in an image that a unit is read from.
struct codec_view {
    const uint8_t *at;
    uint32_t len;  // bytes to be seen
    uint32_t addr; // 0: outside the segments
    uint8_t machine;
    const struct codec_layout *layout;
    const struct baton_codec_area *areas;
    bool has_relative; // data may hold addresses relative to its own
    struct codec_registers *registers; // NULL: not tracked
};

struct codec_map_entry {
    uint32_t addr;
    int32_t delta_age; // delta << 8 | age
};

// The address map: where what was at an address went.
struct codec_map {
    struct codec_map_entry *entries; // by rising address
    uint16_t count;
    uint16_t capacity;
    uint32_t clock; // of look-ups
    uint32_t dice;
};

// Two guesses, and how good they are.
struct codec_guess {
    int32_t delta;
    int32_t other;
    uint8_t trust; // 0 ... 7
};

// All adaptive probabilities and weights; they begin anew at every restart,
// by the table in codec_model.c.
#define CODEC_MIXED        4u
#define CODEC_FLAGS        256u
#define CODEC_FLAG_WEIGHTS (64u + CODEC_KINDS)
struct codec_model {
    codec_counter run[8];
    codec_counter elsewhere[CODEC_KINDS];
    codec_counter recent_delta[8];
    codec_counter fix[64];
    codec_counter literal[64];
    codec_counter end[24];
    codec_counter go_self[2];
    codec_counter expected[8 * 27];
    struct codec_golomb delta[5];
    struct codec_golomb jump[4];
    codec_counter flag[CODEC_MIXED][CODEC_FLAGS];
    int16_t flag_weight[CODEC_FLAG_WEIGHTS][CODEC_MIXED];
    int16_t literal_weight[32][CODEC_MIXED];
};

struct codec {
    const struct baton_codec_info *info;
    const struct baton_codec_config *config;

    // The host's encoder; NULL: decode.
    int (*oracle)(void *context, enum codec_question question, int32_t number,
            uint32_t probability);
    void *oracle_context;

    // Range decoder
    uint32_t range;
    uint32_t code;
    uint32_t in_left; // bytes of the segment that are not in `in` yet
    uint16_t in_at;
    uint16_t in_len;
    uint16_t in_past; // bytes taken after the segment's end
    uint32_t dice;    // for rounding

    // Output
    uint32_t new_off; // the next byte
    uint32_t new_end; // of this restart segment
    uint16_t page_len;
    int status; // of the callbacks

    // Where in the new image this is
    uint32_t next_event; // where a segment header or data ends
    uint32_t segments_left;
    uint32_t new_bias; // address minus offset; valid inside a segment
    uint8_t new_place; // enum codec_place
    uint8_t unit_first;
    uint8_t unit_at;
    uint8_t unit_len;

    // The copy
    bool copying;
    bool from_new;
    uint32_t source;
    uint32_t limit;     // where what is copied from ends
    uint32_t bound;     // where the unit ends
    uint32_t unit_off;  // where it began
    uint32_t pending;   // its end, when its prediction failed
    uint32_t predicted; // its bytes
    uint32_t addr;      // of the source; 0: none
    uint32_t seen;      // bytes from the source on, in the window and segment
    struct codec_unit unit;
    uint8_t unit_class;
    uint8_t unit_place;
    uint32_t history; // misses, the last in bit 0
    uint32_t run;     // bytes since the last miss
    uint32_t since;   // bytes since the realignment
    uint32_t literals;
    uint32_t hold_source; // where the last copy from the base stopped
    uint32_t hold_new;
    uint32_t sure; // bytes left of a run that is as predicted
    bool had_run;
    uint32_t next_run; // no run before
    bool realigned;    // and nothing was written since

    // Numbers that tend to come again
    int32_t base; // what a number is relative to
    int32_t deltas[CODEC_DELTAS];
    int32_t last_difference[2];

    struct codec_registers registers;
    struct codec_layout old_layout;
    struct codec_layout new_layout; // as far as it is known

    uint32_t window_off;
    uint16_t window_len;
    bool window_new;
    struct codec_map map;
    codec_counter *literal_table[3];
    codec_counter *mixed[CODEC_MIXED]; // what the next decision mixes
    uint8_t in[CODEC_IN_BYTES];
    uint8_t page[CODEC_RECENT_BYTES + CODEC_PAGE_BYTES];
    uint8_t window[CODEC_WINDOW_BYTES];
    struct codec_model model;
};

// ---- codec_coder.c: decisions

uint32_t baton_codec_hash(uint32_t a, uint32_t b);
unsigned baton_codec_log2(uint32_t value); // bits in value; 0 for 0
void baton_codec_coder_begin(struct codec *self);
int baton_codec_ask(struct codec *self, enum codec_question question,
        int32_t number, codec_counter *counter);
// Mixes the counters in self->mixed.
int baton_codec_ask_mixed(struct codec *self, enum codec_question question,
        int32_t number, int16_t *weights);
// A number, self->base added.
int32_t baton_codec_ask_number(struct codec *self, enum codec_question question,
        struct codec_golomb *golomb, bool is_signed);

// ---- codec_map.c: the address map

void baton_codec_map_put(struct codec_map *self, uint32_t addr, int32_t delta);
void baton_codec_map_get(
        struct codec_map *self, uint32_t addr, struct codec_guess *guess);

// ---- codec_unit.c, codec_rv32.c, codec_xtensa.c: units

// Where an address points by the layout and the areas.
enum codec_place baton_codec_place_of(
        const struct codec_view *view, uint32_t word);
void baton_codec_unit_read(
        const struct codec_view *view, struct codec_unit *unit);
void baton_codec_rv32_read(
        const struct codec_view *view, struct codec_unit *unit);
void baton_codec_xtensa_read(
        const struct codec_view *view, struct codec_unit *unit);
// Builds the unit for another target at another address. False where it
// cannot express that.
bool baton_codec_unit_build(const struct codec_unit *unit, uint32_t target,
        uint32_t addr, const struct codec_registers *registers, uint32_t *word);
bool baton_codec_rv32_build(const struct codec_unit *unit, uint32_t target,
        uint32_t addr, const struct codec_registers *registers, uint32_t *word);
bool baton_codec_xtensa_build(const struct codec_unit *unit, uint32_t target,
        uint32_t addr, uint32_t *word);
// After a unit became `word` at `addr`: what its register holds now.
void baton_codec_rv32_note(const struct codec_unit *unit, uint32_t old_addr,
        uint32_t word, uint32_t addr, struct codec_registers *registers);

// ---- codec_layout.c: the images' segments

int baton_codec_layout_read_old(struct codec *self);
void baton_codec_layout_event(struct codec *self);
// Learns the new image's segments up to an offset from what was written.
int baton_codec_layout_restart(struct codec *self, uint32_t off);

// ---- codec.c

int baton_codec_model_init(struct codec *model,
        const struct baton_codec_config *config,
        const struct baton_codec_info *info);
int baton_codec_segment_begin(struct codec *model, uint32_t k);

// ---- codec_literal.c: bytes

// A byte, given what the copy has there, or without (old < 0); class: 2 a new
// one, 3 one mended in a unit of class below 40, 4 in another.
unsigned baton_codec_ask_literal(struct codec *self, int old, unsigned class);

// ---- codec_model.c: one step of the image

void baton_codec_model_begin(struct codec *self);
int baton_codec_step(struct codec *self);
int baton_codec_flush(struct codec *self);

#endif
