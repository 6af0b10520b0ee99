// The payload decoder's RISC-V: which instructions refer to what.
// SPDX-License-Identifier: MIT
//
// ("The RISC-V Instruction Set Manual, Volume I".) Jumps, branches and pairs of
// a hi and a lo part. A hi part's target is known only with its lo part, so that
// is looked for a short way ahead; registers remember hi parts until something
// else is written to them, so that the lo parts that follow, several for one hi
// part often, need no bits of their own. Immediates that are no part of an
// address are numbers of strings, or offsets of fields: by register, they have
// a space of addresses of their own.
#include "bytes.h"
#include "codec_state.h"

#define LOOK_INSTRUCTIONS 24

// By class.
static const uint8_t kinds[64] = {
        [0x03 >> 2] = CODEC_LOAD,
        [0x07 >> 2] = CODEC_LOAD,
        [0x13 >> 2] = CODEC_ADD,
        [0x17 >> 2] = CODEC_HI,
        [0x23 >> 2] = CODEC_STORE,
        [0x27 >> 2] = CODEC_STORE,
        [0x37 >> 2] = CODEC_HI,
        [0x63 >> 2] = CODEC_BRANCH,
        [0x67 >> 2] = CODEC_JALR,
        [0x6F >> 2] = CODEC_JAL,
        [32 + (1 << 2 | 1)] = CODEC_CJ,
        [32 + (5 << 2 | 1)] = CODEC_CJ,
        [32 + (6 << 2 | 1)] = CODEC_CB,
        [32 + (7 << 2 | 1)] = CODEC_CB,
};

// An instruction, of a compressed one its two bytes alone.
static void classify(struct codec_unit *unit, uint32_t word) {
    unit->word = word;
    unit->len = 4;
    unit->class = word >> 2 & 31;
    if ((word & 3) != 3) {
        unit->word = word & 0xFFFF;
        unit->len = 2;
        unit->class = 32 + (unit->word >> 13 << 2 | (word & 3));
    }
    unit->kind = kinds[unit->class];
    // Of additions only those of an immediate.
    if (unit->kind == CODEC_ADD && (word & 0x7000) != 0) {
        unit->kind = CODEC_PLAIN;
    }
}

static uint32_t rs1_of(uint32_t word) {
    return word >> 15 & 31;
}

// The lo part for what a register is given here; 0: none in sight.
static uint32_t find_lo(const struct codec_view *view, uint32_t reg) {
    struct codec_unit unit;
    uint32_t at = 4;
    for (int i = 0; i < LOOK_INSTRUCTIONS && at + 4 <= view->len; i++) {
        classify(&unit, baton_codec_word(view->at + at, 4));
        if (unit.kind >= CODEC_ADD && rs1_of(unit.word) == reg) {
            return baton_codec_unit_number(&unit);
        }
        at += unit.len;
    }
    return 0;
}

void baton_codec_rv32_read(
        const struct codec_view *view, struct codec_unit *unit) {
    struct codec_registers *registers = view->registers;
    uint32_t word = get_u32(view->at);
    uint32_t rs1 = rs1_of(word);
    classify(unit, word);
    unit->reg = word >> 7 & 31;
    for (int side = 0; side < 2; side++) {
        unit->base[side] = registers->value[0][rs1] != 0
                                   ? registers->value[side][rs1]
                                   : CODEC_NUMBERS + (rs1 << 20);
    }
    if (unit->kind != CODEC_BRANCH && unit->kind != CODEC_STORE
            && unit->len == 4) {
        registers->value[0][unit->reg] = 0;
    }
    if (unit->kind == CODEC_HI) {
        unit->number = find_lo(view, unit->reg);
        // lui (not auipc) loads numbers, too.
        if ((word & 0x20) != 0
                && baton_codec_layout_place(
                           view->layout, (word & 0xFFFFF000) + unit->number)
                           == CODEC_PLACE_NONE) {
            unit->kind = CODEC_PLAIN;
        }
    }
}

void baton_codec_rv32_note(struct codec_unit *unit, uint32_t old_addr,
        uint32_t word, uint32_t addr, struct codec_registers *registers) {
    registers->value[0][unit->reg] = baton_codec_unit_target(unit, old_addr, 0);
    unit->word = word;
    registers->value[1][unit->reg] = baton_codec_unit_target(unit, addr, 1);
}
