"""A slow model of the payload codec's units, from the instruction sets' manuals
and docs/CODEC.md: what in an image refers to an address."""
# SPDX-License-Identifier: MIT
from dataclasses import dataclass, field

DATA, RV32, XTENSA = 0, 1, 2
MASK = 0xFFFFFFFF
NUMBERS = 0xF0000000
NONE, IN_DATA, IN_CODE = 0, 1, 2
LOOK_INSTRUCTIONS = 24
KINDS = ["PLAIN", "POINTER", "RELATIVE", "BACK", "JAL", "BRANCH",
         "CJ", "CB", "HI", "ADD", "LOAD", "JALR", "STORE", "CALL", "L32R", "J"]

# Immediates in the manual's notation: the word's highest bit that holds a
# part, and the immediate's bits from there downwards.
FORMATS = {
    "I": [(31, "11:0")],
    "S": [(31, "11:5"), (11, "4:0")],
    "B": [(31, "12|10:5"), (11, "4:1|11")],
    "J": [(31, "20|10:1|11|19:12")],
    "CJ": [(12, "11|4|9:8|10|6|7|3:1|5")],
    "CB": [(12, "8|4:3"), (6, "7:6|2:1|5")],
}


def places(name):
    """(bit of the word, bit of the immediate) of a format."""
    found = []
    for high, text in FORMATS[name]:
        bits = []
        for part in text.split("|"):
            first, _, last = part.partition(":")
            bits += range(int(first), int(last or first) - 1, -1)
        found += [(high - i, bit) for i, bit in enumerate(bits)]
    return found


PLACES = {name: places(name) for name in FORMATS}
WIDTH = {name: max(bit for _, bit in pairs) + 1
         for name, pairs in PLACES.items()}
STEP = {name: 1 << min(bit for _, bit in pairs)
        for name, pairs in PLACES.items()}


def signed(value, width):
    value %= 1 << width
    return value - (1 << width) if value >> (width - 1) else value


def get_immediate(word, name):
    value = sum((word >> at & 1) << bit for at, bit in PLACES[name])
    return signed(value, WIDTH[name])


def put_immediate(word, name, value):
    """None where the instruction cannot express it."""
    value = signed(value, 32)
    if signed(value, WIDTH[name]) != value or value % STEP[name]:
        return None
    for at, bit in PLACES[name]:
        word = word & ~(1 << at) | (value >> bit & 1) << at
    return word


@dataclass
class Segment:
    off: int
    addr: int
    len: int
    is_code: bool


@dataclass
class View:
    """Bytes from one place of an image on, to where its segment ends."""
    data: bytes
    addr: int
    place: int
    machine: int  # of the image
    segments: list
    areas: list  # (address, length)
    registers: object = None

    def word(self, off=0, size=4):
        return int.from_bytes(self.data[off:off + size], "little")


@dataclass
class Registers:
    old: dict = field(default_factory=dict)
    new: dict = field(default_factory=dict)

    def forget(self, reg):
        self.old.pop(reg, None)
        self.new.pop(reg, None)


@dataclass
class Unit:
    kind: str = "PLAIN"
    len: int = 1
    cls: int = 0
    reg: int = 0
    word: int = 0
    target: int = 0
    base: int = 0  # of an immediate, in the new image


def place_of(view, value):
    value &= MASK
    for addr, length in view.areas:
        if addr <= value < addr + length:
            return IN_DATA
    for s in view.segments:
        if s.addr <= value < s.addr + s.len:
            return IN_CODE if s.is_code else IN_DATA
    return NONE


def is_address(view, value):
    return place_of(view, value) != NONE


def is_code(view, value):
    return place_of(view, value) == IN_CODE


# ---- Data

def read_data(view, unit):
    if unit.len != 4:
        return
    word = unit.word
    has_relative = view.machine == RV32
    if is_address(view, word):
        unit.kind, unit.target = "POINTER", word
    elif has_relative and is_code(view, view.addr + word):
        unit.kind, unit.target = "RELATIVE", view.addr + word & MASK
    elif (has_relative and 0 < word < 0x80000 and word % 4 == 0
          and len(view.data) >= 8
          and is_code(view, view.addr + 4 + view.word(4))):
        unit.kind, unit.target = "BACK", view.addr - word & MASK


# ---- RISC-V

LOAD, LOAD_FP, OP_IMM, AUIPC = 0x03, 0x07, 0x13, 0x17
STORE, STORE_FP, LUI, BRANCH, JALR, JAL = 0x23, 0x27, 0x37, 0x63, 0x67, 0x6F


LO_KINDS = {LOAD: "LOAD", LOAD_FP: "LOAD", OP_IMM: "ADD", JALR: "JALR",
            STORE: "STORE", STORE_FP: "STORE"}


def lo_kind(word):
    """What may hold an address's lo part."""
    op = word & 0x7F
    if op == OP_IMM and word >> 12 & 7 != 0:
        return None
    return LO_KINDS.get(op)


def lo_format(word):
    return "S" if lo_kind(word) == "STORE" else "I"


def find_lo(view, reg):
    off = 4
    for _ in range(LOOK_INSTRUCTIONS):
        if off + 4 > len(view.data):
            break
        word = view.word(off)
        if word & 3 != 3:
            off += 2
            continue
        if word >> 15 & 31 == reg and lo_kind(word):
            return get_immediate(word, lo_format(word))
        off += 4
    return 0


def hi_part(word, addr):
    return (word & 0xFFFFF000) + (addr if word & 0x7F == AUIPC else 0) & MASK


def read_compressed(view, unit):
    word = unit.word = view.word(0, 2)
    row, column = word >> 13, word & 3
    unit.len, unit.cls = 2, 32 + row * 4 + column
    if column == 1 and row in (1, 5):
        unit.kind = "CJ"
    elif column == 1 and row in (6, 7):
        unit.kind = "CB"
    if unit.kind != "PLAIN":
        unit.target = view.addr + get_immediate(word, unit.kind) & MASK


def read_rv32(view, unit):
    if view.addr % 2 or len(view.data) < 4:
        return
    word = unit.word = view.word()
    if word & 3 != 3:
        read_compressed(view, unit)
        return
    op, rd, rs1 = word & 0x7F, word >> 7 & 31, word >> 15 & 31
    unit.len, unit.cls, unit.reg = 4, op >> 2, rd
    if op == JAL:
        unit.kind, unit.target = "JAL", view.addr + get_immediate(word, "J")
    elif op == BRANCH:
        unit.kind, unit.target = "BRANCH", view.addr + get_immediate(word, "B")
    elif op in (AUIPC, LUI):
        target = hi_part(word, view.addr) + find_lo(view, rd)
        if op == AUIPC or is_address(view, target):
            unit.kind, unit.target = "HI", target
    elif lo_kind(word):
        unit.kind = lo_kind(word)
        space = NUMBERS + (rs1 << 20)
        unit.base = view.registers.new.get(rs1, space)
        unit.target = (view.registers.old.get(rs1, space)
                       + get_immediate(word, lo_format(word)))
    unit.target &= MASK
    if op not in (STORE, STORE_FP, BRANCH):
        view.registers.forget(rd)


def build_rv32(unit, target, addr):
    relative = {"JAL": "J", "BRANCH": "B", "CJ": "CJ", "CB": "CB"}
    if unit.kind in relative:
        return put_immediate(unit.word, relative[unit.kind], target - addr)
    if unit.kind == "HI":
        if unit.word & 0x7F == AUIPC:
            target -= addr
        return unit.word & 0xFFF | target + 0x800 & 0xFFFFF000
    return put_immediate(unit.word, lo_format(unit.word), target - unit.base)


def note_rv32(unit, old_addr, word, addr, registers):
    """A hi part that is 0 is none."""
    registers.forget(unit.reg)
    if hi_part(unit.word, old_addr) != 0:
        registers.old[unit.reg] = hi_part(unit.word, old_addr)
        registers.new[unit.reg] = hi_part(word, addr)


# ---- Xtensa

def is_literal(view, off):
    if (view.addr + off) % 4 or off + 4 > len(view.data):
        return False
    word = view.word(off)
    return 0x3C <= word >> 24 <= 0x42 and is_address(view, word)


def is_entry(view, off):
    return ((view.addr + off) % 4 == 0 and off + 2 <= len(view.data)
            and view.word(off, 2) & 0x0FFF == 0x0136)


def read_xtensa(view, unit):
    if len(view.data) < 4:
        return
    unit.word = view.word()
    if is_literal(view, 0):
        unit.kind, unit.len, unit.cls, unit.target = "POINTER", 4, 17, unit.word
        return
    op0 = unit.cls = unit.word & 15
    unit.len = 3 if op0 < 8 else 2 if op0 < 14 else 4
    unit.word = view.word(0, unit.len)
    if op0 < 8:
        offset = signed(unit.word >> 6, 18)
        if op0 == 5:
            unit.kind = "CALL"
            unit.target = (view.addr // 4 + offset + 1) * 4 & MASK
        elif op0 == 1:
            unit.kind = "L32R"
            literal = (unit.word >> 8) - 0x10000
            unit.target = ((view.addr + 3) // 4 + literal) * 4 & MASK
        elif op0 == 6 and unit.word >> 4 & 3 == 0:
            unit.kind, unit.target = "J", view.addr + offset & MASK
    cut = [off for off in range(1, unit.len)
           if is_literal(view, off) or is_entry(view, off)]
    if cut:
        unit.kind, unit.len = "PLAIN", cut[0]
        unit.word = view.word(0, unit.len)


def build_xtensa(unit, target, addr):
    if unit.kind == "CALL":
        offset = signed(target - (addr // 4 + 1) * 4, 32)
        if offset % 4 or not -0x80000 <= offset < 0x80000:
            return None
        return unit.word & 0x3F | offset // 4 % (1 << 18) << 6
    if unit.kind == "L32R":
        offset = signed(target - (addr + 3) // 4 * 4, 32)
        if offset % 4 or not -0x40000 <= offset < 0:
            return None
        return unit.word & 0xFF | offset // 4 % (1 << 16) << 8
    offset = signed(target - addr, 32)
    if not -0x20000 <= offset < 0x20000:
        return None
    return unit.word & 0x3F | offset % (1 << 18) << 6


# ---- Both

def read_unit(view):
    unit = Unit(len=min(4 - view.addr % 4, len(view.data)),
                cls=64 + 2 * view.place)
    if view.place == NONE:
        unit.len = 1
    is_instruction = view.place == IN_CODE and len(view.data) >= 4
    unit.word = view.word(0, unit.len)
    if is_instruction and view.machine == XTENSA:
        read_xtensa(view, unit)
    elif is_instruction:
        read_rv32(view, unit)
    elif view.place == IN_DATA:
        read_data(view, unit)
    return unit


def build_unit(unit, target, addr):
    """The unit's bytes for another target at another address; as it is where
    it cannot express that."""
    word = build_new(unit, target & MASK, addr)
    return unit.word if word is None else word


def build_new(unit, target, addr):
    if unit.kind == "POINTER":
        return target
    if unit.kind == "RELATIVE":
        return target - addr & MASK
    if unit.kind == "BACK":
        return addr - target & MASK
    if unit.kind in ("CALL", "L32R", "J"):
        return build_xtensa(unit, target, addr)
    return build_rv32(unit, target, addr)
