"""Payloads made by chance: the model of the decoder asks, chance answers, and
what a range coder makes of the answers is a payload."""
# SPDX-License-Identifier: MIT
import struct

import codec_model as model
from codec_parts_model import Coder
from codec_units_model import signed


def make_payload(rng, machine, old, new_bytes, bodies):
    """A payload with a right header and whatever bodies."""
    head = struct.pack(
        "<4s8B2I2H", b"BatP", 1, model.DELTA if old else model.PACKED, 0,
        machine, rng.randrange(8, 13), rng.randrange(8, 12),
        rng.randrange(8, 12), rng.choice([1, 4, 64]), new_bytes, len(old),
        0b010 if old else 0, 0b010)
    for page in (0x3FFC, 0x5000):
        head += struct.pack("<HH", rng.randrange(4), page)
    head += bytes(64)
    return replace_bodies(head, bodies)


def replace_bodies(payload, bodies):
    lengths = [struct.pack("<I", len(body))[:3] for body in bodies]
    return payload[:96] + b"".join(lengths) + b"".join(bodies)


class Inventor(Coder):
    """Answers a decoder's questions as chance wants it, mostly what the model
    expects, and writes down the bytes that would have answered so."""

    def __init__(self, rng, decoder):
        super().__init__(b"")
        self.rng, self.decoder = rng, decoder
        self.surprise = rng.choice([0, 0.003, 0.05])
        self.low, self.shifts = 0, 0
        self.forced = []

    def decide(self, p):
        p_yes = 0.5 if self.rng.random() < self.surprise else p / 65536
        yes = self.rng.random() < p_yes
        if self.forced:
            yes = self.forced.pop(0)
        while self.range < 1 << 24:
            self.range <<= 8
            self.low <<= 8
            self.shifts += 1
        bound = (self.range >> 16) * p
        if yes:
            self.range = bound
        else:
            self.low += bound
            self.range -= bound
        return int(yes)

    def ask_number(self, table):
        """Numbers that lead somewhere."""
        decoder, rng = self.decoder, self.rng
        if table is not decoder.tables["jump"]:
            number = rng.choice([0, 2, -2, 4, -8, 64, 4096])
        elif decoder.from_new:
            number = -rng.randrange(
                rng.choice([1, 40, len(decoder.out)]) or 1) - 1
        elif rng.random() < 0.5:
            number = rng.randrange(-40, 40)
        else:
            number = signed(rng.randrange(len(decoder.old) or 1)
                            - decoder.base, 32)
        bits = (abs(number) + 1).bit_length() - 1
        self.forced = [1] * bits + [0] * (bits < 23) + [
            int(bit) for bit in f"{abs(number) + 1:b}"[1:]] + [
                number < 0] * (number != 0)
        return super().ask_number(table)

    def body(self):
        """As few bytes as name this number and not a longer one."""
        size = self.shifts
        for spare in (4, 3, 2, 1, 0):
            step = 1 << 8 * spare
            value = -(-self.low // step) * step
            if value < self.low + self.range:
                return value.to_bytes(size, "big")[:max(size - spare, 0)]
        raise AssertionError("a range holds its own low end")


def random_body(rng):
    """Random bytes; with runs of one kind, which say yes or no for long."""
    body = b""
    while len(body) < 200:
        if rng.random() < 0.2:
            body += bytes([rng.choice([0, 255])]) * rng.randrange(6)
        else:
            body += bytes(rng.choices(range(256), k=rng.randrange(60)))
    return body


def invent(rng, machine, old, before, new_bytes):
    """A payload that decodes to something, and what it decodes to; None where
    chance led into a wall."""
    bodies, coders = [b""] * (new_bytes // model.SEGMENT_BYTES + 1), []
    payload = make_payload(rng, machine, old, new_bytes, bodies)
    header = model.read_header(payload)
    out = bytearray(before)
    first = len(before) // model.SEGMENT_BYTES

    def make_coder(decoder):
        coders.append(Inventor(rng, decoder))
        return coders[-1]
    try:
        model.decode_from(header, old, out, first, make_coder)
    except model.Corrupt:
        return None
    bodies = [b""] * first + [coder.body() for coder in coders]
    return replace_bodies(payload, bodies), bytes(out)
