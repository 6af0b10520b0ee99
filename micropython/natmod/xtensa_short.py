"""Shorter instructions for what LLVM writes, in the assembly of xtensa.py.

  movi aT, 63; and aD, aS, aT       extui aD, aS, 0, 6
  movi aT, 0; bne aX, aT, L         bnez aX, L
  bne aX, aY, L1; j L2; L1:         beq aX, aY, L2; L1:
  b... L1; ...; L1: j L2            b... L2
  beqz aX, L                        beqz.n aX, L

The first two where aT is not read again, by the liveness of registers; branches
where they reach: distances are counted with every instruction as long as it is
now, and those between only get shorter.
"""
# SPDX-License-Identifier: MIT
import re

LABEL = re.compile(r"([A-Za-z_.$][\w.$]*):")
REGISTER = re.compile(r"a(\d+)$")
NUMBER = re.compile(r"-?\d+$")
INVERSE = {"beq": "bne", "blt": "bge", "bltu": "bgeu", "beqz": "bnez", "bltz": "bgez",
           "beqi": "bnei", "blti": "bgei", "bltui": "bgeui"}
INVERSE.update({b: a for a, b in INVERSE.items()})
TO_ZERO = {"beq": "beqz", "bne": "bnez", "blt": "bltz", "bge": "bgez"}
FAR = ("beqz", "bnez", "bltz", "bgez")  # reach 2 KiB, others 128 bytes
# What writes its first operand, and reads the others; all else only reads.
WRITES = set("""movi movi.n mov.n add add.n addi addi.n addmi sub and or xor slli srli srai
    sll srl sra src extui sext l32i l32i.n l8ui l16ui l16si l32r mull muluh mulsh quou remu
    quos rems min max minu maxu neg abs addx2 addx4 addx8 subx2 subx4 subx8""".split())
READS = set("beqz.n bnez.n s32i s32i.n s16i s8i ssl ssr ssai memw entry retw.n j call8 callx8".split()) | set(INVERSE)
CALL_WRITES = sum(1 << n for n in range(8, 16))
CALL_READS = sum(1 << n for n in range(10, 16))
RESULTS = sum(1 << n for n in range(2, 6))
ALL = (1 << 16) - 1


class Line:
    def __init__(self, text):
        self.text = text
        found = LABEL.match(text)
        self.label = found[1] if found else None
        words = text.replace(",", " ").split()
        is_code = not found and words and not words[0].startswith(".")
        self.op = words[0] if is_code else None
        self.args = words[1:] if is_code else []

    def become(self, op, *args):
        self.__init__(f"\t{op}\t{', '.join(args)}")

    def registers(self, args):
        return sum({1 << int(found[1]) for arg in args if (found := REGISTER.match(arg))})

    def is_branch(self):
        return self.op in INVERSE or self.op in ("beqz.n", "bnez.n")

    def size(self):
        return 0 if self.op is None else 2 if self.op.endswith(".n") else 3

    def reads(self):
        if self.op in WRITES:
            return self.registers(self.args[1:])
        if self.op in ("call8", "callx8"):
            return CALL_READS | self.registers(self.args)
        if self.op == "retw.n":
            return RESULTS
        return self.registers(self.args) if self.op in READS else ALL

    def writes(self):
        if self.op in WRITES:
            return self.registers(self.args[:1])
        return CALL_WRITES if self.op in ("call8", "callx8") else 0


def live_after(lines):
    """For every line the registers that may be read after it."""
    labels = {line.label: at for at, line in enumerate(lines) if line.label}
    before = [0] * (len(lines) + 1)
    after = [0] * len(lines)
    changes = True
    while changes:
        changes = False
        for at in range(len(lines) - 1, -1, -1):
            line = lines[at]
            live = 0 if line.op in ("j", "retw.n") else before[at + 1]
            if line.op == "j" or line.is_branch():
                live |= before[labels[line.args[-1]]]
            after[at] = live
            if line.op:
                live = live & ~line.writes() | line.reads()
            if live != before[at]:
                before[at] = live
                changes = True
    return after


def constant(lines, at, register, literals):
    """Where, before a line and in one straight run, the register is loaded with
    a number for this line alone; and the number."""
    bit = 1 << int(register[1:])
    for there in range(at - 1, -1, -1):
        line = lines[there]
        if line.label or line.op in ("j", "retw.n") or line.is_branch():
            return None, None
        if line.op and line.writes() & bit:
            if line.op not in ("movi", "movi.n", "l32r"):
                return None, None
            value = literals.get(line.args[1], "") if line.op == "l32r" else line.args[1]
            return (there, int(value)) if NUMBER.match(value) else (None, None)
        if line.op and line.reads() & bit:
            return None, None
    return None, None


def mask_bits(value):
    """How many low bits a mask has that extui can take; 0: it cannot."""
    value &= 0xFFFFFFFF
    count = value.bit_length()
    return count if value == (1 << count) - 1 and 1 <= count <= 16 else 0


def use_constants(lines, literals):
    after = live_after(lines)
    for at, line in enumerate(lines):
        if line.op != "and" and line.op not in TO_ZERO:
            continue
        operands = line.args[-2:] if line.op == "and" else line.args[:2]
        orders = [operands] if line.op in ("blt", "bge") else [operands, operands[::-1]]
        for kept, register in orders:
            bit = 1 << int(register[1:])
            if kept == register or after[at] & bit & ~line.writes():
                continue
            there, value = constant(lines, at, register, literals)
            if there is None:
                continue
            if line.op == "and" and mask_bits(value):
                line.become("extui", line.args[0], kept, "0", str(mask_bits(value)))
            elif line.op in TO_ZERO and value == 0:
                line.become(TO_ZERO[line.op], kept, line.args[2])
            else:
                continue
            lines[there].__init__("")
            break
    return [line for line in lines if line.text]


def places(lines):
    """Offsets of lines, from the beginning of a function or more."""
    at, out = 0, []
    for line in lines:
        out.append(at)
        at += line.size()
    return out


def reaches(op, distance):
    """From the address of an instruction on."""
    far = 2048 if op in FAR else 128
    return -far <= distance - 4 < far


def next_code(lines, at):
    while at < len(lines) and lines[at].op is None:
        at += 1
    return at


def thread(lines):
    """Branches to jumps go where those go; jumps to what follows vanish."""
    labels = {line.label: at for at, line in enumerate(lines) if line.label}
    offsets = places(lines)
    for at, line in enumerate(lines):
        if line.op != "j" and not line.is_branch():
            continue
        there = next_code(lines, labels[line.args[-1]])
        if lines[there].op == "j" and there != at:
            to = lines[there].args[0]
            if to != line.args[-1] and (
                    line.op == "j" or reaches(line.op, offsets[labels[to]] - offsets[at])):
                line.become(line.op, *line.args[:-1], to)
        elif line.op == "j" and at < labels[line.args[0]] and there == next_code(lines, at + 1):
            line.__init__("")
    return [line for line in lines if line.text]


def invert(lines):
    """Branches over a jump."""
    labels = {line.label: at for at, line in enumerate(lines) if line.label}
    offsets = places(lines)
    for at, (line, jump) in enumerate(zip(lines, lines[1:])):
        if not line.is_branch() or jump.op != "j":
            continue
        over = labels[line.args[-1]]
        if over <= at or next_code(lines, over) != next_code(lines, at + 2):
            continue
        op, to = INVERSE[line.op], jump.args[0]
        distance = offsets[labels[to]] - offsets[at]
        if reaches(op, distance - jump.size() if distance > 0 else distance):
            line.become(op, *line.args[:-1], to)
            jump.__init__("")
    return [line for line in lines if line.text]


def drop_dead(lines):
    """Labels that nothing names, and code that nothing reaches."""
    named = {word for line in lines if line.op for word in line.args}
    named |= {word for line in lines if not line.op and not line.label
              for word in re.findall(r"[\w.$]+", line.text)}
    out, is_dead = [], False
    for line in lines:
        if line.label:
            if line.label.startswith(".LBB") and line.label not in named:
                continue
            is_dead = False
        if not (is_dead and line.op):
            out.append(line)
        if line.op in ("j", "retw.n"):
            is_dead = True
    return out


def narrow_branches(lines):
    """Returns how many."""
    count = 0
    labels = {line.label: at for at, line in enumerate(lines) if line.label}
    offsets = places(lines)
    for at, line in enumerate(lines):
        if line.op in ("beqz", "bnez"):
            there = labels[line.args[1]]
            distance = offsets[there] - offsets[at] - 1  # with one byte less
            # Not to what follows: that would be a step back.
            if distance - 4 <= 63 and at < next_code(lines, at + 1) < there:
                line.become(line.op + ".n", *line.args)
                count += 1
    return count


def shorten(text_lines, literals):
    lines = use_constants([Line(text) for text in text_lines], literals)
    count = None
    while count != len(lines):
        count = len(lines)
        lines = drop_dead(invert(thread(lines)))
    while narrow_branches(lines):
        pass
    return [line.text for line in lines]
