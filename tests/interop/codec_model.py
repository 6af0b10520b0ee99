"""A second decoder of payloads, slow and plain, from docs/CODEC.md."""
# SPDX-License-Identifier: MIT
import hashlib
from collections import defaultdict
from dataclasses import dataclass

from codec_parts_model import AddressMap, Coder, hash2
from codec_units_model import (
    DATA, KINDS, MASK, RV32, Registers, Segment, Unit, View, build_unit, note_rv32,
    read_unit, signed)

SEGMENT_BYTES = 256 * 1024
KINDS_CLASS = {
    "POINTER": 1, "RELATIVE": 2, "BACK": 0, "NUMBER": 4, "OBJECT": 4, "JAL": 1,
    "HI": 1, "LO": 1, "BRANCH": 2, "CJ": 2, "CB": 2, "IMM": 4, "CALL": 1,
    "L32R": 3, "J": 2, "MOVI": 4}


class Corrupt(Exception):
    pass


# ---- Header

@dataclass
class Header:
    encoding: int
    machine: int
    features: int
    literal_log2: list
    map_entries: int
    old_code: int
    new_code: int
    areas: list
    old_bytes: int
    old_sha256: bytes
    new_bytes: int
    new_sha256: bytes
    bodies: list  # the coded bytes of each restart segment


RAW, PACKED, DELTA = 0, 1, 2
COMPUTED_DIGEST = 1


def read_header(payload):
    if len(payload) < 96 or payload[:5] != b"BatP\x01":
        raise Corrupt("another format or version")

    def at(off, size):
        return int.from_bytes(payload[off:off + size], "little")
    new_bytes = at(14, 4)
    areas = [(at(off, 2) << 16, at(off + 2, 1) << 16) for off in (90, 93)]
    count = -(-new_bytes // SEGMENT_BYTES)
    end = 96
    if payload[5] == RAW:
        bodies = [payload[end:]]
    else:
        lengths = [at(end + 3 * i, 3) for i in range(count)]
        end += 3 * count
        bodies = []
        for length in lengths:
            bodies.append(payload[end:end + length])
            end += length
        if end != len(payload):
            raise Corrupt("another length")
    return Header(
        encoding=payload[5], machine=payload[8], features=payload[7],
        literal_log2=list(payload[9:12]), map_entries=at(12, 2),
        new_bytes=new_bytes, new_sha256=payload[18:50], old_bytes=at(50, 4),
        old_sha256=payload[54:86], old_code=at(86, 2), new_code=at(88, 2),
        areas=areas, bodies=bodies)


# ---- Layout

NONE, IN_DATA, IN_CODE = 0, 1, 2


def add_segment(segments, header, off, image_bytes, code):
    length = int.from_bytes(header[4:8], "little")
    if len(segments) == 16 or length > image_bytes - off:
        return False
    segments.append(Segment(off, int.from_bytes(header[:4], "little"), length,
                            bool(code >> len(segments) & 1)))
    return True


def read_layout(image, code):
    """The segments of a whole image, up to the first that does not fit."""
    segments, off = [], 24
    if len(image) < off:
        return segments
    for _ in range(image[1]):
        if len(image) - off < 8:
            break
        header = image[off:off + 8]
        off += 8
        if not add_segment(segments, header, off, len(image), code):
            break
        off += segments[-1].len
    return segments


class NewLayout:
    """Follows the new image as it is decoded."""

    def __init__(self, header):
        self.header = header
        self.segments = []
        self.place = NONE
        self.bias = 0
        self.left = 0
        self.event = 2 if header.machine != DATA else None

    def follow(self, out):
        """At most one event; True when there was one."""
        if len(out) != self.event:
            return False
        was_header = self.place == NONE and len(out) != 2
        first = len(out) == 2
        self.place, self.event = NONE, None
        if first:
            self.left = out[1]
        elif was_header:
            self.left -= 1
            if not add_segment(self.segments, out[-8:], len(out),
                               self.header.new_bytes, self.header.new_code):
                return True
            added = self.segments[-1]
            if added.len:
                self.bias = added.addr - added.off & MASK
                self.place = IN_CODE if added.is_code else IN_DATA
                self.event = added.off + added.len
                return True
        if self.left > 0:
            self.event = (24 if first else len(out)) + 8
        return True


# ---- The image

def capped(value, most):
    return min(value.bit_length(), most)


def to_front(values, value):
    if value in values[:-1]:
        values.remove(value)
    else:
        values.pop()
    values.insert(0, value)


class Tables:
    """Adaptive probabilities and weights, as they begin."""

    START = {"run": 50000, "recent_delta": 20000, "flag": 57000, "end": 6000,
             "go_self": 8000}
    WEIGHT = {"flag": 5000, "literal": 4000}

    def __init__(self):
        self.counters = {}
        self.weights = {}

    def __getitem__(self, name):
        if name not in self.counters:
            key = name[0] if isinstance(name, tuple) else name
            start = self.START.get(key, 32768) & ~7
            self.counters[name] = defaultdict(lambda: start)
        return self.counters[name]

    def weight(self, name, index):
        start = self.WEIGHT[name] & ~7
        return self.weights.setdefault((name, index), [start] * 4)


class Decoder:
    """One restart segment; `out` is what was decoded before it."""

    def __init__(self, header, old, old_segments, out, layout, body):
        self.header, self.old, self.old_segments = header, old, old_segments
        self.out, self.layout = out, layout
        self.coder = Coder(body)
        self.tables = Tables()
        self.map = AddressMap(header.map_entries)
        self.registers = Registers()
        self.start = len(out)
        self.end = min(self.start + SEGMENT_BYTES, header.new_bytes - (
            32 if header.features & COMPUTED_DIGEST else 0))
        self.copying = self.from_new = False
        self.source = self.hold_source = self.hold_new = self.bound = self.start
        self.pending = self.history = self.run = self.since = 0
        self.literals = self.sure = 0
        self.had_run = 0
        self.next_run = 0
        self.realigned = False
        self.deltas = [0] * 7
        self.last_difference = [0, 0]
        self.phase_first = self.phase_at = self.phase_len = 0
        self.unit, self.unit_class, self.unit_off = Unit(), 0, 0
        self.place = NONE

    def decode(self):
        while len(self.out) < self.end:
            self.step()
        if self.coder.at < len(self.coder.data):
            raise Corrupt("input left")

    def step(self):
        if self.copying:
            self.step_copy()
        elif self.literals:
            self.step_literal()
        elif not self.old or self.coder.ask(self.tables["literal"], 0):
            self.step_literal()
        else:
            self.realign()
        if self.coder.at > len(self.coder.data) + 4:
            raise Corrupt("input over")

    @property
    def new_addr(self):
        return len(self.out) + self.layout.bias & MASK

    # Output

    def put(self, data):
        for byte in data:
            self.out.append(byte)
        self.realigned = False
        self.sure = max(0, self.sure - len(data))
        if self.layout.follow(self.out):
            self.phase_len = 0

    def put_byte(self, byte):
        if self.phase_at >= self.phase_len:
            self.phase_first, self.phase_at = byte, 0
            if self.layout.place != IN_CODE:
                self.phase_len = 4 - self.new_addr % 4
            elif self.header.machine == RV32:
                self.phase_len = 4 if byte & 3 == 3 else 2
            else:
                op0 = byte & 15
                self.phase_len = 3 if op0 < 8 else 2 if op0 < 14 else 4
        self.phase_at += 1
        self.put([byte])

    def recent(self, n):
        return self.out[-n] if n <= len(self.out) else 0

    # Literals

    def step_literal(self):
        n = self.literals
        if n:
            if self.coder.ask(self.tables["end"],
                              min(n, 7) + 8 * self.layout.place):
                self.realign()
                return
        self.literals += 1
        self.put_byte(self.ask_literal(None, 2))

    def literal_phase(self):
        if self.layout.place != IN_CODE:
            return self.new_addr % 2 | self.recent(1) >> 4 << 1
        if self.phase_at >= self.phase_len:
            return 4
        cls = self.phase_first & 15
        if self.header.machine == RV32:
            cls = self.phase_first >> 2 & 31
        return self.phase_at | 4 | cls << 3

    def ask_literal(self, old, cls):
        logs = self.header.literal_log2
        is_code = int(self.layout.place == IN_CODE)
        has_old = int(old is not None)
        last = self.recent(1) >> (6 if logs[1] < 11 else 0)
        before = 0 if logs[2] < 11 else self.recent(2)
        bases = [hash2(1 + cls, has_old | self.literal_phase() << 1),
                 hash2(0x100 + last, is_code), hash2(0x7000 + before, is_code)]
        kind = 2 + (cls == 4) if has_old else is_code
        known = ""  # the bits so far
        candidates = []
        if has_old:
            candidates = [f"{value & 255:08b}" for value in (
                old + self.last_difference[0], old + self.last_difference[1],
                old)]
        for bit in range(7, -1, -1):
            partial = int("1" + known, 2)
            mixed = [(self.tables["table", i], (base + partial * 0x9E35) % (
                1 << logs[i])) for i, base in enumerate(bases)]
            agreed = 0
            for text in candidates:
                agreed *= 3
                if text.startswith(known):
                    agreed += 1 + int(text[len(known)])
            mixed.append((self.tables["expected"], bit * 27 + agreed))
            weights = self.tables.weight("literal", (kind, bit))
            known += str(self.coder.ask_mixed(mixed, weights, True))
        byte = int(known, 2)
        if has_old and byte - old != self.last_difference[0]:
            self.last_difference = [byte - old, self.last_difference[0]]
        return byte

    # Realignment

    def realign(self):
        to_new = not self.old
        if self.realigned or (to_new and not self.out):
            raise Corrupt("realignment")
        if self.old and self.out:
            to_new = bool(self.coder.ask(
                self.tables["go_self"], int(self.literals > 0)))
        if to_new:
            self.realign_to_new()
        else:
            self.realign_to_old()
        self.from_new, self.copying, self.realigned = to_new, True, True
        self.bound = self.source
        self.pending = self.since = self.run = self.history = 0
        self.literals = 0

    def realign_to_new(self):
        self.base = 1
        distance = self.base + self.coder.ask_number(
            self.tables["jump", 2 + (self.layout.place == IN_CODE)], False)
        if distance > len(self.out):
            raise Corrupt("distance")
        self.source = len(self.out) - distance

    def realign_to_old(self):
        self.base = self.hold_source + len(self.out) - self.hold_new & MASK
        self.source = self.base + self.coder.ask_number(
            self.tables["jump", int(self.literals > 0)], True) & MASK
        if self.source >= len(self.old):
            raise Corrupt("source")

    # The copy

    def step_copy(self):
        image = self.out if self.from_new else self.old
        segments = self.layout.segments if self.from_new else self.old_segments
        limit = len(image)
        end, addr, machine = limit, 0, DATA
        self.place = NONE
        for segment in segments:
            if segment.off <= self.source < segment.off + segment.len:
                addr = segment.addr + self.source - segment.off & MASK
                machine = self.header.machine if segment.is_code else DATA
                self.place = IN_CODE if segment.is_code else IN_DATA
                end = min(end, segment.off + segment.len)
                break
        end = min(end, self.source + 103)
        view = View(bytes(image[self.source:end]), addr, machine, segments,
                    self.header.areas, self.header.machine == RV32,
                    self.registers)
        done = False
        if self.bound <= self.source < limit:
            if self.may_run():
                self.step_run()
            done = self.step_unit(view)
        if not done:
            self.step_byte(image)

    def may_run(self):
        return (self.sure == 0 and self.run >= 48 and self.since >= 28
                and len(self.out) >= self.next_run
                and self.end - len(self.out) >= 64)

    def step_run(self):
        context = (self.had_run | (self.place == IN_CODE) << 1
                   | self.from_new << 2)
        self.had_run = self.coder.ask(self.tables["run"], context)
        if self.had_run:
            self.sure = 64
            self.history <<= 2
        else:
            self.next_run = len(self.out) + 64

    def step_unit(self, view):
        unit = self.unit = read_unit(view)
        self.unit_addr = view.addr
        self.unit_off = self.source
        self.bound = self.source + unit.len
        self.unit_class = (unit.cls if self.place == IN_CODE
                           else 64 + self.place * 2 + unit.cls)
        after = len(self.out) + unit.len
        event = self.layout.event
        if (after > self.end or unit.len < 2
                or (event is not None and after > event)):
            return False
        if self.layout.place == NONE:
            unit.kind = "PLAIN"
        if not self.predict_unit():
            self.pending = self.bound
            return False
        return True

    def put_unit(self, word):
        unit = self.unit
        if unit.kind in ("HI", "LO"):
            note_rv32(unit, self.unit_addr, word, self.new_addr,
                      self.registers)
        self.phase_len = self.phase_at = 0
        self.put((word & MASK).to_bytes(4, "little")[:unit.len])
        self.copy_on(unit.len)

    def copy_on(self, count):
        self.source += count
        self.since += count
        if self.from_new or not 24 <= self.since < 28:
            return
        start = self.source - self.since
        for segment in self.old_segments:
            if (segment.off <= start < segment.off + segment.len
                    and self.layout.place != NONE):
                was = segment.addr + start - segment.off & MASK
                delta = signed(self.new_addr - self.since - was, 32)
                self.map.put(was, delta)
                break
        self.since = 28

    def ask_flag(self, contexts, kind):
        """Mixed from counters of four contexts, which are hashed."""
        mixed = [(self.tables["flag", i], hash2(context, kind) & 255)
                 for i, context in enumerate(contexts)]
        yes = self.coder.ask_mixed(mixed, self.tables.weight("flag", kind))
        self.history = self.history << 1 | (not yes)
        return bool(yes)

    def ask_unit(self, delta, other, trust):
        unit, history, cls = self.unit, self.history, self.unit_class
        run = capped(self.run, 11)
        same = (delta == 0) | (other == delta) << 1 | self.from_new << 2
        contexts = [history & 7 | run << 3 | (self.since < 16) << 7,
                    cls | (history & 3) << 7 | (run > 5) << 9 | same << 10]
        if unit.kind == "PLAIN":
            contexts += [unit.word & 255 | cls << 8, unit.word]
            kind = self.place * 4 + (run > 2) * 2 + self.from_new
        else:
            contexts += [trust | (history & 1) << 4,
                         hash2(delta & MASK, trust)]
            kind = 64 + KINDS.index(unit.kind)
        return self.ask_flag(contexts, kind)

    def predict_unit(self):
        """False: it is to be told byte by byte."""
        unit, tables = self.unit, self.tables
        moves = unit.kind != "PLAIN"
        delta, other, trust = 0, 0, 4
        if moves and not self.from_new:
            delta, other, trust = self.map.get(unit.target)
        built = build_unit(unit, unit.target + delta, self.new_addr,
                           self.registers) if moves else None
        if self.sure or self.ask_unit(delta, other, trust):
            self.run += unit.len
            if trust < 4:
                self.map.put(unit.target, delta)
            self.put_unit(unit.word if built is None else built)
            return True
        if moves and not self.from_new and self.coder.ask(
                tables["elsewhere"], unit.kind):
            delta = self.ask_delta(delta, other)
            to_front(self.deltas, delta)
            self.map.put(unit.target, delta)
            self.run = 0
            word = build_unit(unit, unit.target + delta, self.new_addr,
                              self.registers)
            if word is None:
                raise Corrupt("unit")
            self.put_unit(word)
            return True
        if unit.kind == "HI":
            self.registers.forget(unit.reg)
        return False

    def ask_delta(self, delta, other):
        recent = self.tables["recent_delta"]
        if other != delta and self.coder.ask(recent, 7):
            return other
        for i, candidate in enumerate(self.deltas[:6]):
            if candidate not in (delta, other) and self.coder.ask(recent, i):
                return candidate
        table = self.tables["delta", KINDS_CLASS[self.unit.kind]]
        return signed(delta + self.coder.ask_number(table, True), 32)

    def step_byte(self, image):
        has_old = self.source < len(image)
        if has_old and (self.sure or self.ask_byte(image)):
            self.run += 1
            self.put_byte(image[self.source])
            self.copy_on(1)
            return
        self.run = self.sure = 0
        context = (self.history & 7 | (self.pending > self.source) << 3
                   | (self.since < 8) << 4 | self.from_new << 5)
        if has_old and self.coder.ask(self.tables["fix"], context):
            cls = 3 if self.unit_class < 40 else 4
            self.put_byte(self.ask_literal(image[self.source], cls))
            self.copy_on(1)
            return
        if not self.from_new:
            self.hold_source, self.hold_new = self.source, len(self.out)
        self.literals = 0
        if self.coder.ask(self.tables["literal"], context):
            self.copying = False
            self.step_literal()
        else:
            self.realign()

    def ask_byte(self, image):
        at = self.source
        index = min(at - self.unit_off, 3)
        run = capped(self.run, 7)
        pending = self.pending > at
        cls = self.unit_class * 4 + index
        before = image[at - 1] if at else 0
        after = image[at + 1] if at + 1 < len(image) else 0
        return self.ask_flag(
            [self.history & 7 | run << 3 | pending << 6,
             cls | (self.history & 3) << 9 | (run > 5) << 11,
             image[at] | cls << 8, image[at] | after << 8 | before << 16],
            16 + (self.place * 4 + index) * 4 + (run > 2) * 2 + pending)


def decode_from(header, old, out, first=0, make_coder=None):
    """Decodes the restart segments from `first` on, behind `out`. A coder that
    make_coder makes of a decoder may answer instead of the segment's bytes."""
    old = old if header.encoding == DELTA else b""
    old_segments = []
    if header.machine != DATA:
        old_segments = read_layout(old, header.old_code)
    layout = NewLayout(header)
    while layout.event is not None and layout.event <= len(out):
        layout.follow(out[:layout.event])
    for body in header.bodies[first:]:
        decoder = Decoder(header, old, old_segments, out, layout, body)
        if make_coder:
            decoder.coder = make_coder(decoder)
        decoder.decode()
    if header.features & COMPUTED_DIGEST:
        out += hashlib.sha256(out).digest()


def decode(payload, old=b""):
    """The image of a payload, or Corrupt. Does not check its SHA-256."""
    header = read_header(payload)
    if header.encoding == RAW:
        return header.bodies[0]
    out = bytearray()
    decode_from(header, old, out)
    return bytes(out)
