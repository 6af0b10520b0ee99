"""A second decoder of payloads, slow and plain, from docs/CODEC.md."""
# SPDX-License-Identifier: MIT
import hashlib
from collections import defaultdict
from dataclasses import dataclass

from codec_parts_model import AddressMap, Coder, hash2
from codec_units_model import (
    DATA, MASK, RV32, Registers, Segment, Unit, View, build_unit, note_rv32,
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
    at = 12

    def take(count):
        nonlocal at
        at += count
        if at > len(payload):
            raise Corrupt("cut short")
        return payload[at - count:at]

    def take_number():
        value = 0
        for i in range(4):
            byte = take(1)[0]
            value |= (byte & 127) << 7 * i
            if byte < 128:
                break
        return value

    def take_half():
        return int.from_bytes(take(2), "little")
    if payload[:5] != b"BatP\x01":
        raise Corrupt("another format or version")
    encoding, features, machine = payload[5] & 15, payload[6], payload[7]
    new_bytes, new_sha256 = take_number(), take(32)
    old_bytes, old_sha256 = 0, bytes(32)
    if encoding == DELTA:
        old_bytes, old_sha256 = take_number(), take(32)
    areas, machine = machine >> 4, machine & 15
    old_code = new_code = 0
    places = []
    if machine or areas:
        old_code = take_half() if encoding == DELTA else 0
        new_code = take_half()
        for _ in range(areas):
            addr = take_half() << 16
            places.append((addr, take(1)[0] << 16))
    count = (new_bytes + SEGMENT_BYTES - 1) // SEGMENT_BYTES
    if encoding == RAW:
        bodies = [payload[at:]]
    else:
        lengths = [take_number() for _ in range(count)]
        bodies = [take(length) for length in lengths]
        if at != len(payload):
            raise Corrupt("bytes after the end")
    return Header(
        encoding, machine, features,
        [payload[8] & 15, payload[8] >> 4, payload[9]],
        int.from_bytes(payload[10:12], "little"), old_code, new_code, places,
        old_bytes, old_sha256, new_bytes, new_sha256, bodies)


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

    START = {"run": 50000, "reference": 58000, "reference_any": 58000,
             "reference_class": 58000, "recent_delta": 20000, "plain": 62000,
             "byte": 60000, "end": 6000, "go_self": 8000,
             "distance_recent": 8000}
    WEIGHT = {"reference": 6500, "plain": 5500, "byte": 5500, "literal": 4000}

    def __init__(self):
        self.counters = {}
        self.weights = {}

    def __getitem__(self, name):
        if name not in self.counters:
            key = name[0] if isinstance(name, tuple) else name
            start = self.START.get(key, 32768) & ~7
            self.counters[name] = defaultdict(lambda: start)
        return self.counters[name]

    def weight(self, name, index, count):
        return self.weights.setdefault(
            (name, index), [self.WEIGHT[name]] * count)


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
        self.literals = self.self_history = self.sure = self.streak = 0
        self.next_run = 0
        self.realigned = False
        self.deltas, self.jumps, self.distances = [0] * 7, [0] * 3, [0] * 3
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
            length = n if n < 8 else 5 + capped(n, 10)
            if self.coder.ask(self.tables["end"],
                              length + 16 * self.layout.place):
                self.realign()
                return
        self.literals += 1
        self.put_byte(self.ask_literal(None, 2))

    def ask_literal(self, old, cls):
        is_code = self.layout.place == IN_CODE
        at = self.phase_at if self.phase_at < self.phase_len else 0
        phase = self.new_addr % 4
        if is_code:
            first = self.phase_first & 15
            if self.header.machine == RV32:
                first = self.phase_first >> 2 & 31
            phase = at | 4 | (first << 3 if at else 0)
        has_old = int(old is not None)
        bases = [hash2(1 + cls, has_old | phase << 1),
                 hash2(0x100 + self.recent(1), has_old),
                 hash2(0x4000 + old, cls) if has_old
                 else hash2(self.recent(4) | 0x7000, 5 + phase)]
        kind = 2 + (cls == 4) if has_old else int(is_code)
        known = ""  # the bits so far
        if has_old:
            candidates = [f"{value & 255:08b}" for value in (
                old + self.last_difference[0], old + self.last_difference[1],
                old)]
        for bit in range(7, -1, -1):
            partial = int("1" + known, 2)
            mixed = []
            for i, base in enumerate(bases):
                index = base + partial * 0x9E35 & (
                    (1 << self.header.literal_log2[i]) - 1)
                mixed.append((self.tables["table", i], index))
            if has_old:
                agreed = 0
                for text in candidates:
                    agrees = text.startswith(known)
                    agreed = agreed * 3 + (
                        1 + int(text[len(known)]) if agrees else 0)
                mixed.append((self.tables["expected"], bit * 27 + agreed))
            weights = self.tables.weight("literal", (kind, bit), len(mixed))
            known += str(self.coder.ask_mixed(mixed, weights, 12, True))
        byte = int(known, 2)
        if has_old and byte - old != self.last_difference[0]:
            self.last_difference = [byte - old, self.last_difference[0]]
        return byte

    # Realignment

    def realign(self):
        n = self.literals
        context = 0 if n == 0 else 1 if n < 4 else 2 if n < 16 else 3
        to_new = not self.old
        if self.realigned or (to_new and not self.out):
            raise Corrupt("realignment")
        if self.old and self.out:
            to_new = bool(self.coder.ask(
                self.tables["go_self"],
                self.self_history & 3 | (4 if n else 0)))
        self.self_history = self.self_history << 1 | to_new
        if to_new:
            self.realign_to_new()
        else:
            self.realign_to_old(context)
            to_front(self.jumps, signed(len(self.out) - self.source, 32))
        self.from_new, self.copying, self.realigned = to_new, True, True
        self.bound = self.source
        self.pending = self.since = self.run = self.history = 0
        self.literals = 0

    def realign_to_new(self):
        distance = 0
        for i in range(3):
            if distance == 0 and self.coder.ask(
                    self.tables["distance_recent"], i):
                distance = self.distances[i]
        if distance == 0:
            table = self.tables[
                "jump", 3 if self.layout.place == IN_CODE else 2]
            self.base = 1
            distance = self.base + self.coder.ask_number(table, False)
        if not 0 < distance <= len(self.out):
            raise Corrupt("distance")
        to_front(self.distances, distance)
        self.source = len(self.out) - distance

    def find_mapped(self):
        if self.layout.place == NONE:
            return None
        addr = self.map.invert(self.new_addr)
        if addr is None:
            return None
        for segment in self.old_segments:
            if segment.addr <= addr < segment.addr + segment.len:
                return segment.off + addr - segment.addr
        return None

    def realign_to_old(self, context):
        at = len(self.out)
        near = self.hold_source + at - self.hold_new & MASK
        mapped = self.find_mapped()
        candidates = [near, self.hold_source, mapped] + [
            at - jump & MASK for jump in self.jumps]
        for i, candidate in enumerate(candidates):
            if candidate is None or candidate >= len(self.old):
                continue
            if candidate in candidates[:i]:
                continue
            if self.coder.ask(self.tables["source", i], context):
                self.source = candidate
                return
        is_near = self.coder.ask(self.tables["source", 7], context)
        self.base = near if is_near or mapped is None else mapped
        self.source = self.base + self.coder.ask_number(
            self.tables["jump", 0 if is_near else 1], True) & MASK
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
                    self.header.areas, self.registers)
        done = False
        if self.bound <= self.source < limit:
            if self.may_run():
                self.step_run()
            done = self.step_unit(view)
        if not done:
            self.step_byte(image)

    def may_run(self):
        return (self.sure == 0 and self.run >= 32 and self.since >= 28
                and len(self.out) >= self.next_run
                and self.end - len(self.out) >= 64)

    def step_run(self):
        context = (min(self.streak, 7) | (self.place == IN_CODE) << 3
                   | self.from_new << 4)
        if self.coder.ask(self.tables["run"], context):
            self.sure = 64
            self.streak += 1
            self.history <<= 2
        else:
            self.streak = 0
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
        if after > self.end or (event is not None and after > event):
            return False
        done = False
        if unit.kind != "PLAIN" and self.layout.place != NONE:
            done = self.step_reference()
        elif unit.len > 1:
            unit.kind = "PLAIN"
            done = self.step_plain(view)
        if not done and unit.len > 1:
            self.pending = self.bound
        return done

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
                guess, _, trust = self.map.get(was)
                if guess != delta or trust < 4:
                    self.map.put(was, delta)
                break
        self.since = 28

    def step_plain(self, view):
        unit = self.unit
        word = view.word(0, unit.len)
        if self.sure:
            hit = True
        else:
            run = capped(self.run, 11)
            cls, history = self.unit_class, self.history
            mixed = [
                (self.tables["plain", 0], history & 7 | run << 3
                 | (self.since < 16) << 7),
                (self.tables["plain", 1], hash2(
                    cls, history & 3 | (run > 5) << 2) & 255),
                (self.tables["plain", 2], hash2(word & 255, cls) & 255),
                (self.tables["plain", 3], hash2(word, 3) & 255)]
            weights = self.tables.weight(
                "plain", (self.place, run > 2, self.from_new), 4)
            hit = self.coder.ask_mixed(mixed, weights, 12)
            self.history = history << 1 | (not hit)
        if hit:
            self.run += unit.len
            self.put_unit(word)
        return bool(hit)

    def step_reference(self):
        unit, tables = self.unit, self.tables
        delta, other, trust = 0, 0, 4
        if not self.from_new:
            delta, other, trust = self.map.get(unit.target)
        built = build_unit(unit, unit.target + delta, self.new_addr,
                           self.registers)
        predicted = unit.word if built is None else built
        if self.sure:
            hit = True
        else:
            history = self.history
            group = KINDS_CLASS[unit.kind]
            mixed = [
                (tables["reference", unit.kind, trust],
                 history & 1 | (self.run > 7) << 1),
                (tables["reference_any", trust],
                 history & 7 | (built is not None) << 3),
                (tables["reference_class", group],
                 history & 3 | (delta == 0) << 2 | (other == delta) << 3
                 | (trust > 4) << 4 | self.from_new << 5)]
            weights = tables.weight("reference", unit.kind, 3)
            hit = self.coder.ask_mixed(mixed, weights, 8)
            self.history = history << 1 | (not hit)
        if hit:
            self.run += unit.len
            if not self.from_new and trust < 4:
                self.map.put(unit.target, delta)
            self.put_unit(predicted)
            return True
        if not self.from_new and self.coder.ask(
                tables["elsewhere", unit.kind], self.history >> 1 & 3):
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
        mixed = [
            (self.tables["byte", 0],
             self.history & 7 | run << 3 | pending << 6),
            (self.tables["byte", 1],
             hash2(cls, self.history & 3 | (run > 5) << 2) & 127),
            (self.tables["byte", 2], hash2(image[at], cls) & 127),
            (self.tables["byte", 3],
             hash2(image[at] | after << 8 | before << 16, 3) & 127)]
        weights = self.tables.weight(
            "byte", (self.place, index, run > 2, pending), 4)
        hit = self.coder.ask_mixed(mixed, weights, 12)
        self.history = self.history << 1 | (not hit)
        return hit


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
