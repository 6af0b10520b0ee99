// The payload decoder's Xtensa: which instructions refer to what.
// SPDX-License-Identifier: MIT
//
// ("Xtensa Instruction Set Architecture Reference Manual".) Calls, jumps and
// loads of literals, which are words between the functions, mostly addresses.
// Instructions of two and three bytes, and literals among them, leave no sure
// way to tell where one begins; so an aligned word that looks like an address is
// taken for a literal, and a function's first instruction (entry) on an aligned
// address begins a unit, whatever the instruction before it seemed to be.
#include "codec_state.h"

#define CLASS_LITERAL 17u // classes of instructions are 0 ... 15

static bool is_literal(const struct codec_view *view, uint32_t off) {
    if (((view->addr + off) & 3) != 0 || view->len < off + 4) {
        return false;
    }
    uint32_t word = baton_codec_word(view->at + off, 4);
    return word - 0x3C000000 < 0x07000000
           && baton_codec_layout_place(view->layout, word) != CODEC_PLACE_NONE;
}

static bool is_entry(const struct codec_view *view, uint32_t off) {
    return ((view->addr + off) & 3) == 0 && view->len >= off + 2
           && (baton_codec_word(view->at + off, 2) & 0xFFF) == 0x136;
}

void baton_codec_xtensa_read(
        const struct codec_view *view, struct codec_unit *unit) {
    if (is_literal(view, 0)) {
        unit->kind = CODEC_POINTER;
        unit->class = CLASS_LITERAL;
        unit->len = 4;
        unit->word = baton_codec_word(view->at, 4);
        return;
    }
    unit->class = view->at[0] & 15;
    unit->len = baton_codec_unit_length(CODEC_XTENSA, unit->class);
    for (uint32_t off = 1; off < unit->len; off++) {
        if (is_literal(view, off) || is_entry(view, off)) {
            unit->len = off;
        }
    }
    unit->word = baton_codec_word(view->at, unit->len);
    if (unit->len != 3) {
        return;
    }
    if (unit->class == 1) {
        unit->kind = CODEC_L32R;
    } else if (unit->class == 5) {
        unit->kind = CODEC_CALL;
    } else if ((unit->word & 0x3F) == 6) { // not a branch
        unit->kind = CODEC_J;
    }
}
