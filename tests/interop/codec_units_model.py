"""A slow model of the payload codec's units, from the instruction sets' manuals
and docs/CODEC.md: what in an image refers to an address."""
# SPDX-License-Identifier: MIT
from dataclasses import dataclass, field

DATA, RV32, XTENSA = 0, 1, 2
MASK = 0xFFFFFFFF
NUMBERS, OFFSETS = 0xF0000000, 0xF1000000
LOOK_INSTRUCTIONS = 24
KINDS = ["PLAIN", "POINTER", "RELATIVE", "BACK", "NUMBER", "OBJECT", "JAL",
         "HI", "LO", "BRANCH", "CJ", "CB", "IMM", "CALL", "L32R", "J", "MOVI"]

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
    machine: int
    segments: list
    areas: list  # (address, length)
    has_relative: bool = True  # addresses relative to their own, in data
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


def inside(value, ranges):
    return any(addr <= value < addr + length for addr, length in ranges)


def is_address(view, value):
    return inside(value & MASK, view.areas + [
        (s.addr, s.len) for s in view.segments])


def is_code(view, value):
    value &= MASK
    return any(s.is_code and s.addr <= value < s.addr + s.len
               for s in view.segments)


def is_number(value):
    return 64 <= value < 0x2000


# ---- Data

def read_data(view, unit):
    if unit.len == 2:
        read_half(unit)
    if unit.len != 4:
        return
    word = unit.word
    after = view.word(4) if len(view.data) >= 8 else 0
    if is_address(view, word):
        unit.kind, unit.target = "POINTER", word
    elif view.has_relative and is_code(view, view.addr + word):
        unit.kind, unit.target = "RELATIVE", view.addr + word & MASK
    elif (view.has_relative and 0 < word < 0x80000 and word % 4 == 0
          and not is_address(view, after)
          and is_code(view, view.addr + 4 + after)):
        unit.kind, unit.target = "BACK", view.addr - word & MASK
    elif word % 8 == 2 and is_number(word // 8):
        unit.kind, unit.target = "OBJECT", NUMBERS + word // 8
    elif is_number(word % 65536) or is_number(word // 65536):
        unit.len = 2
        read_half(unit)


def read_half(unit):
    unit.cls, unit.word = 1, unit.word & 0xFFFF
    if is_number(unit.word):
        unit.kind, unit.target = "NUMBER", NUMBERS + unit.word


# ---- RISC-V

LOAD, LOAD_FP, OP_IMM, AUIPC = 0x03, 0x07, 0x13, 0x17
STORE, STORE_FP, LUI, BRANCH, JALR, JAL = 0x23, 0x27, 0x37, 0x63, 0x67, 0x6F


def lo_format(word):
    """The format of an immediate that may be an address's lo part."""
    op = word & 0x7F
    if op in (STORE, STORE_FP):
        return "S"
    if op in (LOAD, LOAD_FP, JALR) or (op == OP_IMM and word >> 12 & 7 == 0):
        return "I"
    return None


def find_lo(view, reg):
    off = 4
    for _ in range(LOOK_INSTRUCTIONS):
        if off + 4 > len(view.data):
            break
        word = view.word(off)
        if word & 3 != 3:
            off += 2
            continue
        if word >> 15 & 31 == reg and lo_format(word):
            return get_immediate(word, lo_format(word))
        off += 4
    return 0


def hi_part(word, addr):
    return (word & 0xFFFFF000) + (addr if word & 0x7F == AUIPC else 0) & MASK


def written_by_compressed(word):
    """The register that a compressed instruction writes, or may write: what
    would be one in its format."""
    row, column = word >> 13 & 7, word & 3
    if column == 0:
        return 8 + (word >> 2 & 7)
    if column == 1 and row == 4:
        return 8 + (word >> 7 & 7)
    if column == 2 and row > 4:
        return 0
    return word >> 7 & 31


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
    if view.registers is not None:
        view.registers.forget(written_by_compressed(word))


def read_immediate(view, unit):
    name, base = lo_format(unit.word), unit.word >> 15 & 31
    if name is None:
        return
    value = get_immediate(unit.word, name)
    if view.registers is not None and base in view.registers.old:
        unit.kind, unit.reg = "LO", base
        unit.target = view.registers.old[base] + value & MASK
    elif base != 2:
        unit.kind = "IMM"
        unit.target = (OFFSETS if base else NUMBERS) + value & MASK


def read_rv32(view, unit):
    if view.addr % 2 or len(view.data) < 4:
        return
    word = unit.word = view.word()
    if word & 3 != 3:
        read_compressed(view, unit)
        return
    op, rd = word & 0x7F, word >> 7 & 31
    unit.len, unit.cls = 4, op >> 2
    if op == JAL:
        unit.kind, unit.target = "JAL", view.addr + get_immediate(word, "J") & MASK
    elif op == BRANCH:
        unit.kind, unit.target = "BRANCH", view.addr + get_immediate(word, "B") & MASK
    elif op in (AUIPC, LUI):
        target = hi_part(word, view.addr) + find_lo(view, rd) & MASK
        if op == AUIPC or is_address(view, target):
            unit.kind, unit.reg, unit.target = "HI", rd, target
            return
    else:
        read_immediate(view, unit)
    keeps = op in (STORE, STORE_FP, BRANCH, LOAD_FP)
    if view.registers is not None and not keeps and not (
            unit.kind == "LO" and unit.reg == rd):
        view.registers.forget(rd)


def build_rv32(unit, target, addr, registers):
    relative = {"JAL": "J", "BRANCH": "B", "CJ": "CJ", "CB": "CB"}
    if unit.kind in relative:
        return put_immediate(unit.word, relative[unit.kind], target - addr)
    if unit.kind == "HI":
        if unit.word & 0x7F == AUIPC:
            target -= addr
        return unit.word & 0xFFF | target + 0x800 & 0xFFFFF000
    if unit.kind == "IMM":
        target -= OFFSETS if unit.word >> 15 & 31 else NUMBERS
    else:
        target -= registers.new.get(unit.reg, 0)
    return put_immediate(unit.word, lo_format(unit.word), target)


def note_rv32(unit, old_addr, word, addr, registers):
    if unit.kind == "HI":
        registers.old[unit.reg] = hi_part(unit.word, old_addr)
        registers.new[unit.reg] = hi_part(word, addr)
    elif (unit.kind == "LO" and unit.word & 0x7F in (OP_IMM, LOAD)
          and unit.word >> 7 & 31 == unit.reg):
        registers.forget(unit.reg)


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
    if op0 >= 8:
        unit.len = 2 if op0 < 14 else 4
    else:
        unit.len, unit.word = 3, view.word(0, 3)
        offset = signed(unit.word >> 6, 18)
        if op0 == 5:
            unit.kind = "CALL"
            unit.target = (view.addr // 4 + offset + 1) * 4 & MASK
        elif op0 == 1:
            unit.kind = "L32R"
            literal = (unit.word >> 8) - 0x10000
            unit.target = ((view.addr + 3) // 4 + literal) * 4 & MASK
        elif op0 == 6 and unit.word >> 4 & 3 == 0:
            unit.kind, unit.target = "J", view.addr + 4 + offset & MASK
        elif op0 == 2 and unit.word >> 12 & 15 == 10:
            number = signed(unit.word >> 16 | unit.word & 0xF00, 12)
            unit.kind, unit.target = "MOVI", NUMBERS + number & MASK
    cut = [off for off in range(1, unit.len)
           if is_literal(view, off) or is_entry(view, off)]
    if cut:
        unit.kind, unit.len = "PLAIN", cut[0]


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
    if unit.kind == "J":
        offset = signed(target - addr - 4, 32)
        if not -0x20000 <= offset < 0x20000:
            return None
        return unit.word & 0x3F | offset % (1 << 18) << 6
    number = signed(target - NUMBERS, 32)
    if not -0x800 <= number < 0x800:
        return None
    return unit.word & 0xF0FF | number & 0xF00 | (number & 0xFF) << 16


# ---- Both

def read_unit(view):
    unit = Unit(len=min(4 - view.addr % 4, len(view.data)))
    unit.word = view.word(0, unit.len)
    if view.addr and view.machine == RV32:
        read_rv32(view, unit)
    elif view.addr and view.machine == XTENSA:
        read_xtensa(view, unit)
    elif view.addr:
        read_data(view, unit)
    return unit


def build_unit(unit, target, addr, registers):
    """The unit's bytes for another target at another address, or None."""
    target &= MASK
    if unit.kind == "POINTER":
        return target
    if unit.kind == "RELATIVE":
        return target - addr & MASK
    if unit.kind == "BACK":
        return addr - target & MASK
    if unit.kind in ("NUMBER", "OBJECT"):
        number = target - NUMBERS & MASK
        if number >= 0x10000:
            return None
        return number if unit.kind == "NUMBER" else number * 8 + 2
    if unit.kind in ("CALL", "L32R", "J", "MOVI"):
        return build_xtensa(unit, target, addr)
    return build_rv32(unit, target, addr, registers)
