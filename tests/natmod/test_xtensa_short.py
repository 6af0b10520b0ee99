# The rules of xtensa_short.py, one by one: what each makes shorter, and what it
# must leave alone. test_xtensa.py runs what comes out of all of them.
# SPDX-License-Identifier: MIT
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "micropython" / "natmod"))
from xtensa_short import mask_bits, reaches, shorten  # noqa: E402


def short(text, literals=None):
    """Code as a list of "op a, b", labels without an indent, after the rules."""
    lines = [line if line.endswith(":") else "\t" + line.replace(" ", "\t", 1)
             for line in map(str.strip, text.strip().splitlines())]
    return [" ".join(line.split()) for line in shorten(lines, literals or {})]


def body(text):
    return [" ".join(line.split()) for line in text.strip().splitlines()]


@pytest.mark.parametrize("value, bits", [
    (1, 1), (3, 2), (255, 8), (65535, 16), (0, 0), (131071, 0), (2, 0), (-1, 0), (6, 0), (-4, 0)])
def test_masks(value, bits):
    assert mask_bits(value) == bits


def test_mask_becomes_a_field():
    assert short("""
        movi.n a9, 63
        and a8, a8, a9
        l32r a11, .LCPI0_0
        l32i.n a12, a2, 4
        and a2, a11, a12
        movi a10, 255
        and a10, a10, a3
        s32i.n a10, a2, 0
        s32i.n a8, a2, 0
        retw.n""", {".LCPI0_0": "65535"}) == body("""
        extui a8, a8, 0, 6
        l32i.n a12, a2, 4
        extui a2, a12, 0, 16
        extui a10, a3, 0, 8
        s32i.n a10, a2, 0
        s32i.n a8, a2, 0
        retw.n""")


@pytest.mark.parametrize("text", [
    # The mask is read again: at once, elsewhere, in the next round, by a call.
    "movi.n a9, 63; and a8, a8, a9; s32i.n a9, a2, 0; retw.n",
    "movi.n a9, 63; and a8, a8, a9; beqi a8, 5, .LBB0_1; retw.n; .LBB0_1:; s8i a9, a2, 0; retw.n",
    "movi.n a9, 7; .LBB0_1:; and a8, a8, a9; l8ui a8, a8, 0; beqi a8, 5, .LBB0_1; retw.n",
    "movi.n a11, 63; and a10, a3, a11; call8 f; retw.n",
    "movi.n a3, 63; and a2, a2, a3; retw.n",
    # It is no such mask, no number, or not in the same run.
    "movi.n a9, 62; and a8, a8, a9; s8i a8, a2, 0; retw.n",
    "l32r a9, .LCPI0_1; and a8, a8, a9; s8i a8, a2, 0; retw.n",
    "movi.n a9, 63; j .LBB0_2; .LBB0_1:; movi.n a9, 1; .LBB0_2:; and a8, a8, a9; s8i a8, a2, 0;"
    " beqi a8, 5, .LBB0_1; retw.n",
    "movi.n a9, 63; and a8, a9, a9; s8i a8, a2, 0; retw.n",
])
def test_masks_that_stay(text):
    lines = text.replace(";", "\n")
    assert short(lines, {".LCPI0_1": "mp_fun_table"}) == body(lines)


def test_comparison_with_zero():
    assert short("""
        movi.n a9, 0
        bne a8, a9, .LBB0_2
        movi.n a10, 0
        blt a3, a10, .LBB0_2
        movi.n a10, 0
        blt a10, a3, .LBB0_2
        addi.n a3, a3, 1
        .LBB0_2:
        retw.n""") == body("""
        bnez.n a8, .LBB0_2
        bltz a3, .LBB0_2
        movi.n a10, 0
        blt a10, a3, .LBB0_2
        addi.n a3, a3, 1
        .LBB0_2:
        retw.n""")


@pytest.mark.parametrize("text", [
    "movi.n a9, 0; bne a8, a9, .LBB0_1; s8i a9, a2, 0; .LBB0_1:; retw.n",
    "movi.n a9, 0; bne a8, a9, .LBB0_1; retw.n; .LBB0_1:; s8i a9, a2, 0; retw.n",
    "movi.n a9, 1; bne a8, a9, .LBB0_1; addi.n a3, a3, 1; .LBB0_1:; retw.n",
    "movi.n a9, 0; bltu a8, a9, .LBB0_1; addi.n a3, a3, 1; .LBB0_1:; retw.n",
])
def test_comparisons_that_stay(text):
    lines = text.replace(";", "\n")
    assert short(lines) == body(lines)


def filled(count):
    return "\n".join(["s8i a3, a2, 0"] * count)


@pytest.mark.parametrize("op, inverse", [
    ("beq a3, a4,", "bne a3, a4,"), ("bltu a3, a4,", "bgeu a3, a4,"), ("bgei a3, 5,", "blti a3, 5,")])
@pytest.mark.parametrize("count, is_near", [(1, True), (42, True), (43, False)])
def test_branch_over_a_jump(op, inverse, count, is_near):
    text = f"""
        {op} .LBB0_1
        j .LBB0_2
        .LBB0_1:
        {filled(count)}
        .LBB0_2:
        addi.n a2, a2, 1
        retw.n"""
    near = f"{inverse} .LBB0_2\n{filled(count)}\n.LBB0_2:\naddi.n a2, a2, 1\nretw.n"
    assert short(text) == body(near if is_near else text)


def test_branches_to_jumps():
    """They go where those go; what nothing reaches then is dropped."""
    assert short("""
        beqi a3, 5, .LBB0_1
        s8i a3, a2, 0
        j .LBB0_3
        .LBB0_1:
        j .LBB0_2
        s8i a4, a2, 0
        .LBB0_3:
        s8i a5, a2, 0
        .LBB0_2:
        retw.n""") == body("""
        beqi a3, 5, .LBB0_2
        s8i a3, a2, 0
        s8i a5, a2, 0
        .LBB0_2:
        retw.n""")


def test_a_loop_of_its_own_stays():
    lines = ".LBB0_1:\nj .LBB0_1\n.LBB0_2:\nj .LBB0_2"
    assert short("beqi a3, 5, .LBB0_2\n" + lines) == body("beqi a3, 5, .LBB0_2\n" + lines)


@pytest.mark.parametrize("between, op", [
    (0, "beqz"), (1, "beqz.n"), (21, "beqz.n"), (22, "beqz")])
def test_narrow_branches(between, op):
    """4 to 67 bytes ahead, counted from the instruction."""
    text = f"beqz a3, .LBB0_1\n{filled(between)}\n.LBB0_1:\nretw.n"
    assert short(text) == body(text.replace("beqz", op, 1))
    back = f".LBB0_1:\n{filled(between)}\nbeqz a3, .LBB0_1\nretw.n"
    assert short(back) == body(back)


def test_narrow_branches_bring_others_near():
    """65 bytes and three branches: one after the other comes within reach."""
    text = "beqz a3, .LBB0_1\n" + "bnez a4, .LBB0_2\n" * 3 + filled(19) + "\n.LBB0_1:\nretw.n\n.LBB0_2:\n"
    assert short(text + "retw.n") == body(text.replace("z a", "z.n a") + "retw.n")


def test_reach():
    assert [reaches("beq", d) for d in (-124, -125, 131, 132)] == [True, False, True, False]
    assert [reaches("bnez", d) for d in (-2044, -2045, 2051, 2052)] == [True, False, True, False]
