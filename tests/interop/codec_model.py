"""A second decoder of payloads, slow and plain, from docs/CODEC.md."""
# SPDX-License-Identifier: MIT
import hashlib
from collections import defaultdict
from dataclasses import dataclass

from codec_parts_model import AddressMap, Coder, hash2
from codec_units_model import (
    DATA, IN_CODE, IN_DATA, KINDS, MASK, NONE, RV32, Registers, Segment, Unit, View,
    build_unit, note_rv32, read_unit, signed)

SEGMENT_BYTES = 256 * 1024


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
    new_bytes = at(12, 4)
    areas = [(at(off + 2, 2) << 16, at(off, 2) << 16) for off in (24, 28)]
    count = -(-new_bytes // SEGMENT_BYTES)
    lengths = [at(96 + 3 * i, 3) for i in range(count)]
    end = 96 + 3 * count
    bodies = []
    for length in lengths:
        bodies.append(payload[end:end + length])
        end += length
    if end != len(payload):
        raise Corrupt("another length")
    return Header(
        encoding=payload[5], features=payload[6], machine=payload[7],
        literal_log2=list(payload[8:11]), map_entries=8 * payload[11],
        new_bytes=new_bytes, old_bytes=at(16, 4), old_code=at(20, 2),
        new_code=at(22, 2), areas=areas, new_sha256=payload[32:64],
        old_sha256=payload[64:96], bodies=bodies)


# ---- Layout

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
        self.event = 32 if header.machine != DATA else None

    def follow(self, out):
        """At most one event; True when there was one."""
        if len(out) != self.event:
            return False
        if len(out) == 32:
            self.left = out[1]
        at = len(out)
        was_header = self.place == NONE
        self.place, self.event = NONE, None
        if was_header and self.left > 0:
            self.left -= 1
            if not add_segment(self.segments, out[-8:], at,
                               self.header.new_bytes, self.header.new_code):
                return True
            added = self.segments[-1]
            self.bias = added.addr - added.off & MASK
            if added.len:
                self.place = IN_CODE if added.is_code else IN_DATA
                self.event = at + added.len
                return True
        if self.left > 0:
            self.event = at + 8
        return True


# ---- The image

class Tables:
    """Adaptive probabilities and weights, as they begin."""

    def __init__(self):
        self.counters = {}
        self.weights = {}

    def __getitem__(self, name):
        return self.counters.setdefault(name, defaultdict(lambda: 32768))

    def weight(self, name, index):
        return self.weights.setdefault((name, index), [0] * 4)


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
        self.source = self.hold = 0
        self.history = self.run = self.since = self.sure = 0
        self.next_run = 0
        self.deltas = [0] * 6
        self.last_difference = [0, 0]
        self.phase_first = self.phase_at = self.phase_len = 0
        self.unit = Unit()
        self.place = NONE

    def decode(self):
        while len(self.out) < self.end:
            self.step()
        if self.coder.at < len(self.coder.data):
            raise Corrupt("input left")

    def step(self):
        if self.copying:
            self.step_copy()
        else:
            self.step_end()
        if self.coder.at > len(self.coder.data) + 4:
            raise Corrupt("input over")

    @property
    def new_addr(self):
        return len(self.out) + self.layout.bias & MASK

    # Output

    def put(self, data):
        for byte in data:
            self.out.append(byte)
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
        return self.out[-n] if n <= len(self.out) - self.start else 0

    # Literals

    def literal_place(self):
        """Odd or even in data, where in an instruction in code."""
        if self.layout.place != IN_CODE:
            return self.new_addr & 1
        return 2 + (self.phase_at if self.phase_at < self.phase_len else 0)

    def literal_phase(self, at):
        """That, and what instruction it is of; of data, what is before."""
        if at < 2:
            return at | self.recent(1) >> 4 << 3
        if at == 2:
            return 2
        if self.header.machine == RV32:
            return at | (self.phase_first >> 2 & 31) << 3
        return at | (self.phase_first & 15) << 3

    def ask_literal(self, old=None):
        logs = self.header.literal_log2
        is_code = int(self.layout.place == IN_CODE)
        has_old = int(old is not None)
        at = self.literal_place()
        last = self.recent(1) >> (6 if logs[1] < 11 else 0)
        before = 0 if logs[2] < 11 else self.recent(2)
        if has_old and not is_code:
            before = 256 + old
        bases = [hash2(1, has_old | self.literal_phase(at) << 1),
                 hash2(0x100 + last, is_code), hash2(0x7000 + before, at),
                 hash2(0x9000, at)]
        known = ""  # the bits so far
        candidates = []
        if has_old:
            candidates = [f"{value & 255:08b}" for value in (
                old + self.last_difference[0], old + self.last_difference[1],
                old)]
        for bit in range(7, -1, -1):
            partial = int("1" + known, 2)
            mixed = []
            for i, base in zip([0, 1, 2, 2], bases):
                slot = (base + partial * 0x9E35) % (1 << logs[i])
                mixed.append((self.tables["table", i], slot))
            if has_old:
                agreed = 0
                for text in candidates:
                    agreed *= 3
                    if text.startswith(known):
                        agreed += 1 + int(text[len(known)])
                mixed[3] = self.tables["expected"], bit * 27 + agreed
            weights = self.tables.weight(
                "literal", (has_old, at, bit >> 1 + has_old))
            known += str(self.coder.ask_mixed(mixed, weights, True))
        byte = int(known, 2)
        if has_old and byte - old != self.last_difference[0]:
            self.last_difference = [byte - old, self.last_difference[0]]
        return byte

    # Realignment

    def step_end(self):
        if self.coder.ask(self.tables["end"], self.copying):
            self.realign()
        else:
            self.copying = False
            self.put_byte(self.ask_literal())

    def realign(self):
        self.from_new = bool(self.coder.ask(self.tables["from_new"], 0))
        limit = len(self.out) if self.from_new else len(self.old)
        self.base = len(self.out) + (0 if self.from_new else self.hold) & MASK
        self.source = self.base + self.coder.ask_number(
            self.tables["jump"]) & MASK
        if self.source >= limit:
            raise Corrupt("source")
        self.copying = True
        self.since = self.run = self.history = 0

    # The copy

    def step_copy(self):
        image = self.out if self.from_new else self.old
        segments = self.layout.segments if self.from_new else self.old_segments
        limit = len(image)
        end, addr = limit, 0
        self.place = NONE
        for segment in segments:
            if segment.off <= self.source < segment.off + segment.len:
                addr = segment.addr + self.source - segment.off & MASK
                self.place = IN_CODE if segment.is_code else IN_DATA
                end = min(end, segment.off + segment.len)
                break
        end = min(end, self.source + 104)
        view = View(bytes(image[self.source:end]), addr, self.place,
                    self.header.machine, segments, self.header.areas,
                    self.registers)
        self.settle(addr)
        if self.source < limit:
            if self.may_run():
                self.step_run()
            self.read_unit(view)
            if self.step_unit():
                return
            self.run = 0
            context = self.history & 7 | self.from_new << 3
            # A copy puts something.
            if self.since == 0 or self.coder.ask(self.tables["mend"], context):
                self.mend()
                return
        self.sure = 0
        if not self.from_new:
            self.hold = self.source - len(self.out)
        self.step_end()

    def settle(self, addr):
        if not self.from_new and 24 <= self.since < 28:
            if addr:
                self.map.put(addr - self.since & MASK,
                             signed(self.new_addr - addr, 32))
            self.since = 28

    def may_run(self):
        return (self.sure == 0 and self.run >= 32
                and len(self.out) >= self.next_run)

    def step_run(self):
        if self.coder.ask(self.tables["run"], 0):
            self.sure = 64
        else:
            self.next_run = len(self.out) + 64

    def read_unit(self, view):
        unit = self.unit = read_unit(view)
        self.unit_addr = view.addr
        after = len(self.out) + unit.len
        event = self.layout.event
        if after > self.end or (event is not None and after > event):
            unit.kind, unit.len = "PLAIN", 1

    def put_unit(self, word):
        unit = self.unit
        if unit.kind == "HI":
            note_rv32(unit, self.unit_addr, word, self.new_addr,
                      self.registers)
        self.phase_len = self.phase_at = 0
        self.put((word & MASK).to_bytes(4, "little")[:unit.len])
        self.copy_on(unit.len)

    def copy_on(self, count):
        self.source += count
        self.since += count

    def ask_flag(self, contexts, kind):
        """Mixed from counters of four contexts, which are hashed."""
        mixed = [(self.tables["flag", i], hash2(context, kind) & 255)
                 for i, context in enumerate(contexts)]
        yes = self.coder.ask_mixed(mixed, self.tables.weight("flag", kind))
        self.history = self.history << 1 | (not yes)
        return bool(yes)

    def ask_unit(self, delta, other, trust):
        unit, recent = self.unit, self.history & 7
        same = (delta == 0) | (other == delta) << 1
        contexts = [min(self.since, 31) if self.from_new else 0,
                    unit.cls | recent << 7 | same << 10]
        if unit.kind == "PLAIN":
            return self.ask_flag(
                [*contexts, unit.word & 255 | unit.cls << 8, unit.word],
                4 + self.place)
        return self.ask_flag([*contexts, trust, delta << 2 & MASK | trust],
                             6 + KINDS.index(unit.kind))

    def step_unit(self):
        """False: its bytes are told one by one, or the copy ends."""
        unit = self.unit
        is_reference = unit.kind != "PLAIN"
        moves = is_reference and not self.from_new
        delta, other, trust = 0, 0, 1
        if moves:
            delta, other, trust = self.map.get(unit.target)
        word = unit.word
        if is_reference:
            word = build_unit(unit, unit.target + delta, self.new_addr)
        if self.sure or self.ask_unit(delta, other, trust):
            self.run += unit.len
            if trust == 0:
                self.map.put(unit.target, delta)
            self.put_unit(word)
            return True
        if moves and self.coder.ask(self.tables["elsewhere"], 0):
            delta = self.ask_delta(delta, other)
            self.map.put(unit.target, delta)
            self.run = 0
            self.put_unit(build_unit(
                unit, unit.target + delta, self.new_addr))
            return True
        return False

    def ask_delta(self, delta, other):
        recent = self.tables["recent"]
        for i, candidate in enumerate([other, *self.deltas]):
            if candidate != delta and self.coder.ask(recent, i):
                del self.deltas[i - 1 if i else -1]
                break
        else:
            candidate = signed(
                delta + self.coder.ask_number(self.tables["delta"]), 32)
            self.deltas.pop()
        self.deltas.insert(0, candidate)
        return candidate

    def mend(self):
        for i in range(self.unit.len):
            byte = self.unit.word >> 8 * i & 255
            if not self.ask_byte(i, byte):
                byte = self.ask_literal(byte)
            self.put_byte(byte)
            self.copy_on(1)

    def ask_byte(self, i, byte):
        recent = self.history & 7
        cls = self.unit.cls * 4 + i
        return self.ask_flag(
            [recent | i << 3 | self.unit.len << 6, cls | recent << 9,
             byte | cls << 8, byte | self.recent(1) << 8], self.place)


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
        return b"".join(header.bodies)
    out = bytearray()
    decode_from(header, old, out)
    return bytes(out)
