"""Images to encode and to decode against, made by chance: code that refers to
itself, data that points into it, and programs linked in two versions."""
# SPDX-License-Identifier: MIT
import functools
import random
import struct

import codec_units_model as units


def rv32_code(rng, addr, size):
    """Instructions that refer to each other, and some that are nonsense."""
    out = b""
    while len(out) < size:
        what = rng.randrange(8)
        reg = rng.choice([0, 2, 5, 10, 11])
        if what == 0:
            out += struct.pack("<I", rng.getrandbits(20) << 12 | reg << 7
                               | rng.choice([0x17, 0x37]))
            if rng.random() < 0.5:  # with its lo part right behind
                out += struct.pack("<I", rng.choice([0, 0x800, 0x7FF]) << 20
                                   | reg << 15 | reg << 7 | 0x13)
        elif what < 4:
            op = rng.choice([0x03, 0x07, 0x13, 0x23, 0x27, 0x67, 0x33])
            out += struct.pack("<I", rng.getrandbits(12) << 20 | reg << 15
                               | rng.randrange(4) << 12
                               | rng.choice([reg, 12]) << 7 | op)
        elif what == 4:
            out += struct.pack("<I", rng.getrandbits(25) << 7
                               | rng.choice([0x63, 0x6F]))
        elif what == 5:
            out += struct.pack("<I", 0x37 | reg << 7
                               | (addr + rng.randrange(size) & 0xFFFFF000))
        else:
            out += struct.pack("<H", rng.getrandbits(16))
    return out


def xtensa_code(rng, addr, size):
    out = b""
    while len(out) < size:
        what = rng.randrange(8)
        if what == 0:
            out += bytes(-len(out) % 4) + struct.pack(
                "<I", rng.choice([addr + rng.randrange(size), 0x42FFFFFC,
                                  0x43000000, 0x3C000000, 0x3BFFFFFC]))
        elif what == 1:
            out += b"\x36" + bytes([rng.randrange(256), rng.randrange(4)])
        elif what < 6:
            op0 = rng.choice([0x05, 0x01, 0x06, 0x46, 0x02, 0x15, 0x25, 0x35])
            tail = rng.choice([0xA0, rng.randrange(256)])
            out += bytes([op0 | rng.randrange(16) << 4 & 0xC0, tail,
                          rng.randrange(256)])
        else:
            out += bytes(rng.choices(range(256), k=3))
    return out


def data_words(rng, addr, size):
    out = b""
    while len(out) < size:
        out += struct.pack("<I", rng.choice([
            addr + rng.randrange(size), rng.randrange(size), rng.randrange(64),
            rng.getrandbits(32), rng.randrange(0x2000) * 8 + 2,
            rng.randrange(0x3000) << 16, -rng.randrange(size) & units.MASK]))
        if rng.random() < 0.1:  # how far back, then where the code is
            out += struct.pack("<I", rng.choice([4, 0x7FFFC, 0x80000, 0x80004]))
            out += struct.pack("<I", rng.randrange(64) * 4 - len(out) & units.MASK)
    return out


MAKERS = [data_words, rv32_code, xtensa_code]


@functools.cache
def make_image(seed, machine, addr, size):
    """An application image: two segments of data, one of code."""
    rng = random.Random(seed)
    parts = [(addr ^ 0x6000000, data_words(rng, addr, 3000)),
             (addr, MAKERS[machine](rng, addr, size)),
             (0x3FFB0000, data_words(rng, addr, 2000))]
    if seed % 5 == 4:  # more segments than a decoder keeps, one of them empty
        parts[2:2] = [(0x3FFB8000 + 64 * i, data_words(rng, addr, 8 * i))
                      for i in range(14)]
    image = bytes([0xE9, len(parts)]) + bytes(22)
    for start, data in parts:
        data = data[:len(data) // 4 * 4]
        image += struct.pack("<2I", start, len(data)) + data
    return image


# ---- Programs in two versions

CHIPS = {units.RV32: 5, units.XTENSA: 0}
CODE = {units.RV32: 0x42000020, units.XTENSA: 0x400D0020}
RODATA = {units.RV32: 0x3C000020, units.XTENSA: 0x3F400020}


class Program:
    """Functions that call each other, and constants that point at them; kept
    as parts, so that it can be changed and linked again."""

    def __init__(self, rng, machine, functions):
        self.machine = machine
        self.constants = [bytes(rng.choices(range(32, 127), k=rng.randrange(
            4, 40))) + b"\0" for _ in range(functions)]
        self.table = [rng.randrange(functions) for _ in range(functions // 2)]
        self.functions = [self.make_function(rng, functions)
                          for _ in range(functions)]

    def make_function(self, rng, functions):
        parts = []
        for _ in range(rng.randrange(3, 30)):
            what = rng.randrange(6)
            if what < 2:
                parts.append(("call", rng.randrange(functions)))
            elif what == 2:
                parts.append(("constant", rng.randrange(functions)))
            elif self.machine == units.RV32:
                parts.append(("bytes", struct.pack(
                    "<H", rng.choice([0x4501, 0x8082, 0x852E, 0x1141]))))
            else:
                parts.append(("bytes", bytes([rng.choice([0x20, 0x30, 0xC0]),
                                              rng.randrange(256), 0x20])))
        return parts

    def change(self, rng, functions):
        """Another version: some functions get or lose a part."""
        for _ in range(functions):
            parts = rng.choice(self.functions)
            at = rng.randrange(len(parts) + 1)
            if rng.random() < 0.7:
                parts[at:at] = self.make_function(rng, len(self.functions))[:3]
            else:
                del parts[at:at + 2]
        i = rng.randrange(len(self.constants))
        self.constants[i] = b"changed " + self.constants[i]

    def size(self, part):
        kind, value = part
        if kind == "bytes":
            return len(value)
        if self.machine == units.RV32:
            return {"call": 4, "constant": 8}[kind]
        return 3

    def link(self, version):
        """An application image."""
        places, at = [], RODATA[self.machine] + 32 + 4 * len(self.table)
        for text in self.constants:
            places.append(at)
            at += len(text)
        starts, literals, at = [], [], CODE[self.machine]
        for parts in self.functions:
            wanted = sorted({value for kind, value in parts
                             if kind == "constant"})
            if self.machine != units.XTENSA:
                wanted = []
            literals.append({value: at + 4 * i
                             for i, value in enumerate(wanted)})
            at += 4 * len(wanted)
            starts.append(at)
            at += sum(map(self.size, parts)) + 3 * (
                self.machine == units.XTENSA)
            at += -at % 4
        code = b"".join(
            self.link_function(number, starts, literals[number], places)
            for number in range(len(self.functions)))
        rodata = version.encode().ljust(32, b"\0") + b"".join(
            struct.pack("<I", starts[i]) for i in self.table)
        rodata += b"".join(self.constants)
        rodata += bytes(-len(rodata) % 4)
        header = bytearray([0xE9, 2]) + bytes(22)
        header[12] = CHIPS[self.machine]
        return (bytes(header)
                + struct.pack("<2I", RODATA[self.machine], len(rodata)) + rodata
                + struct.pack("<2I", CODE[self.machine], len(code)) + code)

    def link_function(self, number, starts, literals, places):
        at = starts[number]
        out = b"".join(struct.pack("<I", places[i]) for i in literals)
        code = b""
        if self.machine == units.XTENSA:
            code = bytes([0x36, 0x41, 0x00])
        for kind, value in self.functions[number]:
            pc = at + len(code)
            if kind == "bytes":
                code += value
            elif self.machine == units.RV32:
                code += link_rv32(kind, pc, starts, places, value)
            else:
                unit = units.Unit(
                    "CALL" if kind == "call" else "L32R", 3,
                    word=0x25 if kind == "call" else 0xA1)
                target = starts[value] if kind == "call" else literals[value]
                code += units.build_xtensa(unit, target, pc).to_bytes(
                    3, "little")
        return out + code + bytes(-(at + len(code)) % 4)


def link_rv32(kind, pc, starts, places, value):
    if kind == "call":
        return struct.pack("<I", units.put_immediate(
            0xEF, "J", starts[value] - pc))
    target = places[value]  # lui a0, %hi; addi a0, a0, %lo
    lo = units.signed(target, 12)
    return struct.pack("<2I", 0x537 | target - lo & 0xFFFFF000,
                       units.put_immediate(0x50513, "I", lo))
