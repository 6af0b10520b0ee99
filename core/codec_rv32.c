// The payload decoder's model of RISC-V code: what refers to an address.
// SPDX-License-Identifier: MIT
//
// Jumps, branches and pairs of a hi and a lo part change when code moves,
// though the program does not. A hi part's target is known only with its lo
// part, so that is looked for a short way ahead; registers remember hi parts
// until something else is written to them, so that the lo parts that follow,
// several for one hi part often, need no bits of their own. Immediates that
// are no part of an address are numbers of strings, or offsets of fields:
// they, too, change together. Fields of formats: "The RISC-V Instruction Set
// Manual, Volume I".
#include "codec_state.h"

#include "bytes.h"

#define LOOK_INSTRUCTIONS 24

enum {
    OP_LOAD = 0x03,
    OP_LOAD_FP = 0x07,
    OP_IMM = 0x13,
    OP_AUIPC = 0x17,
    OP_STORE = 0x23,
    OP_STORE_FP = 0x27,
    OP_LUI = 0x37,
    OP_BRANCH = 0x63,
    OP_JALR = 0x67,
    OP_JAL = 0x6F,
};

static uint32_t sign_extend(uint32_t value, unsigned bits) {
    uint32_t sign = 1u << (bits - 1);
    return ((value & (2 * sign - 1)) ^ sign) - sign;
}

static bool fits(uint32_t value, unsigned bits) {
    return sign_extend(value, bits) == value;
}

// Where the bits of an immediate lie: from the word's bit, so many, to the
// immediate's bit.
struct field {
    uint8_t from;
    uint8_t bits;
    uint8_t to;
};

enum format { FORMAT_I, FORMAT_S, FORMAT_B, FORMAT_J, FORMAT_CJ, FORMAT_CB };

static const struct field formats[][8] = {
        [FORMAT_I] = {{20, 12, 0}},
        [FORMAT_S] = {{7, 5, 0}, {25, 7, 5}},
        [FORMAT_B] = {{8, 4, 1}, {25, 6, 5}, {7, 1, 11}, {31, 1, 12}},
        [FORMAT_J] = {{21, 10, 1}, {20, 1, 11}, {12, 8, 12}, {31, 1, 20}},
        [FORMAT_CJ] = {{3, 3, 1}, {11, 1, 4}, {2, 1, 5}, {7, 1, 6}, {6, 1, 7},
                {9, 2, 8}, {8, 1, 10}, {12, 1, 11}},
        [FORMAT_CB] = {{3, 2, 1}, {10, 2, 3}, {2, 1, 5}, {5, 2, 6}, {12, 1, 8}},
};
static const uint8_t format_bits[] = {12, 12, 13, 21, 12, 9};

static uint32_t get_immediate(uint32_t word, enum format format) {
    uint32_t value = 0;
    for (unsigned i = 0; i < 8 && formats[format][i].bits != 0; i++) {
        const struct field *f = &formats[format][i];
        value |= (word >> f->from & ((1u << f->bits) - 1)) << f->to;
    }
    return sign_extend(value, format_bits[format]);
}

static bool put_immediate(uint32_t *word, enum format format, uint32_t value) {
    if (!fits(value, format_bits[format])
            || ((value & 1) != 0 && format > FORMAT_S)) {
        return false;
    }
    for (unsigned i = 0; i < 8 && formats[format][i].bits != 0; i++) {
        const struct field *f = &formats[format][i];
        uint32_t mask = ((1u << f->bits) - 1) << f->from;
        *word = (*word & ~mask) | ((value >> f->to << f->from) & mask);
    }
    return true;
}

static enum format immediate_format(uint32_t word) {
    uint32_t op = word & 0x7F;
    return op == OP_STORE || op == OP_STORE_FP ? FORMAT_S : FORMAT_I;
}

// May this instruction hold the lo part of an address in its base register?
static bool takes_lo(uint32_t word) {
    switch (word & 0x7F) {
    case OP_IMM:
        return (word >> 12 & 7) == 0;
    case OP_LOAD:
    case OP_LOAD_FP:
    case OP_JALR:
    case OP_STORE:
    case OP_STORE_FP:
        return true;
    default:
        return false;
    }
}

static uint32_t find_lo(const struct codec_view *view, uint32_t reg) {
    uint32_t at = 4;
    for (int i = 0; i < LOOK_INSTRUCTIONS && at + 4 <= view->len; i++) {
        uint32_t word = get_u32(view->at + at);
        if ((word & 3) != 3) {
            at += 2;
            continue;
        }
        if ((word >> 15 & 31) == reg && takes_lo(word)) {
            return get_immediate(word, immediate_format(word));
        }
        at += 4;
    }
    return 0;
}

static uint32_t hi_value(uint32_t word, uint32_t addr) {
    uint32_t base = (word & 0x7F) == OP_AUIPC ? addr : 0;
    return base + (word & 0xFFFFF000);
}

// The register that a compressed instruction writes, or may.
static uint32_t compressed_target(uint32_t word) {
    uint32_t row = word >> 13 & 7;
    switch (word & 3) {
    case 0:
        return 8 + (word >> 2 & 7);
    case 1:
        return row == 4 ? 8 + (word >> 7 & 7) : word >> 7 & 31;
    default:
        return row <= 4 ? word >> 7 & 31 : 0;
    }
}

static void read_compressed(
        const struct codec_view *view, struct codec_unit *unit) {
    uint32_t word = unit->word & 0xFFFF;
    uint32_t row = word >> 13;
    unit->word = word;
    unit->len = 2;
    unit->class = (uint8_t)(32 + (row << 2 | (word & 3)));
    if ((word & 3) == 1 && (row == 1 || row == 5)) {
        unit->kind = CODEC_CJ;
        unit->target = view->addr + get_immediate(word, FORMAT_CJ);
    } else if ((word & 3) == 1 && row >= 6) {
        unit->kind = CODEC_CB;
        unit->target = view->addr + get_immediate(word, FORMAT_CB);
    }
    if (view->registers != NULL) {
        view->registers->known &= ~(1u << compressed_target(word));
    }
}

static void read_immediate(
        const struct codec_view *view, struct codec_unit *unit) {
    const struct codec_registers *registers = view->registers;
    uint32_t base = unit->word >> 15 & 31;
    uint32_t value = get_immediate(unit->word, immediate_format(unit->word));
    if (!takes_lo(unit->word)) {
        return;
    }
    if (registers != NULL && (registers->known >> base & 1) != 0) {
        unit->kind = CODEC_LO;
        unit->reg = (uint8_t)base;
        unit->target = registers->old_value[base] + value;
    } else if (base == 0) {
        unit->kind = CODEC_IMM;
        unit->target = CODEC_NUMBERS + value;
    } else if (base != 2) {
        unit->kind = CODEC_IMM;
        unit->target = CODEC_OFFSETS + value;
    }
}

static bool writes_register(uint32_t op) {
    return op != OP_STORE && op != OP_STORE_FP && op != OP_BRANCH
           && op != OP_LOAD_FP;
}

void baton_codec_rv32_read(
        const struct codec_view *view, struct codec_unit *unit) {
    if ((view->addr & 1) != 0 || view->len < 4) {
        return;
    }
    uint32_t word = get_u32(view->at);
    unit->word = word;
    if ((word & 3) != 3) {
        read_compressed(view, unit);
        return;
    }
    uint32_t op = word & 0x7F;
    uint32_t rd = word >> 7 & 31;
    unit->len = 4;
    unit->class = (uint8_t)(op >> 2);
    if (op == OP_JAL) {
        unit->kind = CODEC_JAL;
        unit->target = view->addr + get_immediate(word, FORMAT_J);
    } else if (op == OP_BRANCH) {
        unit->kind = CODEC_BRANCH;
        unit->target = view->addr + get_immediate(word, FORMAT_B);
    } else if (op == OP_AUIPC || op == OP_LUI) {
        uint32_t target = hi_value(word, view->addr) + find_lo(view, rd);
        if (op == OP_AUIPC
                || baton_codec_place_of(view, target) != CODEC_PLACE_NONE) {
            unit->kind = CODEC_HI;
            unit->reg = (uint8_t)rd;
            unit->target = target;
            return;
        }
    } else {
        read_immediate(view, unit);
    }
    if (view->registers != NULL && writes_register(op)
            && !(unit->kind == CODEC_LO && rd == unit->reg)) {
        view->registers->known &= ~(1u << rd);
    }
}

bool baton_codec_rv32_build(const struct codec_unit *unit, uint32_t target,
        uint32_t addr, const struct codec_registers *registers,
        uint32_t *word) {
    *word = unit->word;
    switch (unit->kind) {
    case CODEC_JAL:
        return put_immediate(word, FORMAT_J, target - addr);
    case CODEC_BRANCH:
        return put_immediate(word, FORMAT_B, target - addr);
    case CODEC_CJ:
        return put_immediate(word, FORMAT_CJ, target - addr);
    case CODEC_CB:
        return put_immediate(word, FORMAT_CB, target - addr);
    case CODEC_HI:
        target -= (unit->word & 0x7F) == OP_AUIPC ? addr : 0;
        *word = (unit->word & 0xFFF) | ((target + 0x800) & 0xFFFFF000);
        return true;
    case CODEC_IMM:
        target -= (unit->word >> 15 & 31) == 0 ? CODEC_NUMBERS : CODEC_OFFSETS;
        return put_immediate(word, immediate_format(unit->word), target);
    default:
        return put_immediate(word, immediate_format(unit->word),
                target - registers->new_value[unit->reg]);
    }
}

void baton_codec_rv32_note(const struct codec_unit *unit, uint32_t old_addr,
        uint32_t word, uint32_t addr, struct codec_registers *registers) {
    uint32_t op = unit->word & 0x7F;
    if (unit->kind == CODEC_HI) {
        registers->known |= 1u << unit->reg;
        registers->old_value[unit->reg] = hi_value(unit->word, old_addr);
        registers->new_value[unit->reg] = hi_value(word, addr);
    } else if (unit->kind == CODEC_LO && (op == OP_IMM || op == OP_LOAD)
               && (unit->word >> 7 & 31) == unit->reg) {
        registers->known &= ~(1u << unit->reg);
    }
}
