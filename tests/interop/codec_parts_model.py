"""Slow models of the payload codec's arithmetic, from docs/CODEC.md: the range
coder, the adaptive probabilities and their mixing, the address map."""
# SPDX-License-Identifier: MIT
import math

from codec_units_model import MASK, signed


def logistic(i):
    return min(65534, round(65536 / (1 + math.exp(-i / 2))))


def squash(x):
    """The probability of a logit, of 65536; linear between multiples of 128."""
    i, rest = divmod(min(x if x >= 0 else -1 - x, 3071), 128)
    p = logistic(i) + (logistic(i + 1) - logistic(i)) * rest // 128
    return p if x >= 0 else 65535 - p


def logit(q):
    return round(256 * math.log((8192 - q - 0.5) / (q + 0.5)))


def stretch(p):
    """The logit of p of 8192, nearly: linear between every 32nd or 256th."""
    q = min(p, 8191 - p)
    step = 1 if q < 32 else 32 if q < 512 else 256
    low = q // step * step
    x = logit(low) - (logit(low) - logit(low + step)) * (q - low) // step
    return x if p >= 4096 else -1 - x


STRETCH = [stretch(p) for p in range(8192)]


WEIGHT = 5400


def hash2(a, b):
    h = (a * 0x9E3779B1 + b * 0x85EBCA77) & MASK
    h = (h ^ h >> 15) * 0x2C1B3C6D & MASK
    return h ^ h >> 13


class Coder:
    """Range decoder, counters, mixing."""

    RATES = [120, 64, 48, 36, 20, 10, 8, 8]

    def __init__(self, data):
        self.data = data
        self.at = 0
        self.code = 0
        self.range = 1
        self.dice = 0

    def decide(self, p):
        while self.range < 1 << 24:
            byte = self.data[self.at] if self.at < len(self.data) else 0
            self.at += 1
            self.range <<= 8
            self.code = self.code << 8 | byte
        bound = (self.range >> 16) * p
        yes = self.code < bound
        if yes:
            self.range = bound
        else:
            self.code -= bound
            self.range -= bound
        return int(yes)

    def roll(self):
        """Once for every decision."""
        self.dice = (self.dice * 1664525 + 1013904223) & MASK

    def update(self, counters, key, yes, limit=7):
        p, seen = divmod(counters[key], 8)
        step = ((8191 if yes else 0) - p) * self.RATES[seen]
        p += step + 128 >> 8
        if seen < limit and self.dice >> 24 < self.RATES[seen]:
            seen += 1
        counters[key] = p * 8 + seen

    def ask(self, counters, key):
        p = counters[key]
        yes = self.decide(p - (p - 32768 >> 10))
        self.roll()
        self.update(counters, key, yes)
        return yes

    def ask_mixed(self, counters, weights, is_literal=False):
        """counters: (table, key) of each."""
        logits = [STRETCH[table[key] >> 3] for table, key in counters]
        p = squash(sum((w + WEIGHT) * x
                       for w, x in zip(weights, logits)) >> 14)
        yes = self.decide(p)
        self.roll()
        miss = yes * 65536 - p >> 2
        for i, (table, key) in enumerate(counters):
            weights[i] += logits[i] * miss + (1 << 13) >> 14
            weights[i] = signed(weights[i], 16)
            self.update(table, key, yes, 4 if is_literal else 7)
        return yes

    def ask_number(self, table):
        bits = 0
        while bits < 23 and self.ask(table, ("exponent", bits)):
            bits += 1
        number = 1
        for i in range(bits - 1, -1, -1):
            key = ("high", bits) if i == bits - 1 else ("low", min(i, 2))
            number = number * 2 + self.ask(table, key)
        number -= 1
        if number and self.ask(table, "sign"):
            number = -number
        return number


# ---- The address map

class AddressMap:
    FAR = 0x400000

    def __init__(self, capacity):
        self.capacity = capacity
        self.delta = {}
        self.stamp = {}
        self.clock = 0
        self.dice = 0

    def around(self, addr):
        """The nearest entries at or below, and above."""
        below = max((a for a in self.delta if a <= addr), default=None)
        above = min((a for a in self.delta if a > addr), default=None)
        return below, above

    def touch(self, addr):
        self.stamp[addr] = self.clock >> 6 & 255

    def remove(self, addr):
        del self.delta[addr], self.stamp[addr]

    def forget_one(self):
        worst, worst_age = 0, 0
        keys = sorted(self.delta)
        for _ in range(8):
            self.dice = (self.dice * 1664525 + 1013904223) & MASK
            i = (self.dice >> 16) * len(keys) >> 16
            age = (self.clock >> 6) - self.stamp[keys[i]] & 255
            if age >= worst_age:
                worst, worst_age = i, age
        self.remove(keys[worst])

    def put(self, addr, delta):
        if addr in self.delta:
            self.delta[addr] = signed(delta, 24)
            self.touch(addr)
            return
        if len(self.delta) == self.capacity:
            self.forget_one()
        self.delta[addr] = signed(delta, 24)
        self.touch(addr)

    def get(self, addr):
        """(delta, other, trust)"""
        self.clock += 1
        found = []
        for near in self.around(addr):
            gap, delta = MASK, 0
            if near is not None:
                self.touch(near)
                if abs(near - addr) <= self.FAR:
                    gap, delta = abs(near - addr), self.delta[near]
            found.append((gap, delta))
        (gap, delta), (above, other) = found
        trust = 2
        if gap != 0:
            if gap // 2 > above:
                delta, other = other, delta
            trust = 1 if delta == other else 0
        return delta, other, trust
