"""Slow models of the payload codec's arithmetic, from docs/CODEC.md: the range
coder, the adaptive probabilities and their mixing, the address map."""
# SPDX-License-Identifier: MIT
import math

from codec_units_model import MASK, signed


def logistic(i):
    return min(65535, round(65536 / (1 + math.exp(-i / 4))))


def squash(x):
    """The probability of a logit, of 65536; linear between multiples of 64."""
    i, rest = divmod(min(abs(x), 3071), 64)
    p = logistic(i) + (logistic(i + 1) - logistic(i)) * rest // 64
    p = min(p, 65534)
    return p if x >= 0 else 65536 - p


def stretch(p):
    """The logit of p of 8192, from the middle of the step that p lies in."""
    q = min(p, 8192 - p)
    if q < 64:
        middle = q or 0.5
    elif q < 512:
        middle = q // 8 * 8 + 3.5
    else:
        middle = q // 64 * 64 + 31.5
    x = round(256 * math.log((8192 - middle) / middle))
    return -x if p < 4096 else x


STRETCH = [stretch(p) for p in range(8192)]


def hash2(a, b):
    h = (a * 0x9E3779B1 + b * 0x85EBCA77) & MASK
    h = (h ^ h >> 15) * 0x2C1B3C6D & MASK
    return h ^ h >> 13


class Coder:
    """Range decoder, counters, mixing."""

    RATES = [1, 2, 2, 3, 4, 5, 5, 5]
    ODDS = [1, 2, 4, 4, 8, 16, 32, 256]

    def __init__(self, data):
        self.data = data
        self.at = 4
        self.code = int.from_bytes((data + bytes(4))[:4], "big")
        self.range = MASK
        self.dice = 12345

    def decide(self, p):
        bound = self.range * p >> 16
        yes = self.code < bound
        if yes:
            self.range = bound
        else:
            self.code = self.code - bound & MASK
            self.range -= bound
        while self.range < 1 << 24:
            byte = self.data[self.at] if self.at < len(self.data) else 0
            self.at += 1
            self.range <<= 8
            self.code = (self.code << 8 | byte) & MASK
        return int(yes)

    def update(self, counters, key, yes, limit=7):
        self.dice = (self.dice * 1664525 + 1013904223) & MASK
        p, seen = divmod(counters[key], 8)
        step = ((8191 if yes else 0) - p) * 256 >> self.RATES[seen]
        p = min(max(p + (step + (self.dice >> 24) >> 8), 1), 8190)
        if seen < limit and (self.dice >> 16) % self.ODDS[seen] == 0:
            seen += 1
        counters[key] = p * 8 + seen

    def ask(self, counters, key):
        yes = self.decide(min(max(counters[key] // 8 * 8, 32), 65503))
        self.update(counters, key, yes)
        return yes

    def ask_mixed(self, counters, weights, is_literal=False):
        """counters: (table, key) of each."""
        logits = [STRETCH[table[key] >> 3] for table, key in counters]
        p = squash(sum(w * x for w, x in zip(weights, logits)) >> 14)
        yes = self.decide(p)
        miss = (yes * 65536 - p) * 20
        for i, (table, key) in enumerate(counters):
            weights[i] += logits[i] * (miss >> 6) + (1 << 13) >> 14
            weights[i] = min(max(weights[i], -32768), 32767)
            self.update(table, key, yes, 4 if is_literal else 7)
        return yes

    def ask_number(self, table, is_signed):
        bits = 0
        while bits < 23 and self.ask(table, ("exponent", bits)):
            bits += 1
        number = 1
        for i in range(bits - 1, -1, -1):
            if i == bits - 1:
                key = ("high", bits)
            elif i == 1:
                key = "low 1"
            elif i == 0:
                key = ("low 0", number & 1)
            else:
                key = "middle"
            number = number * 2 + self.ask(table, key)
        number -= 1
        if is_signed and number and self.ask(table, "sign"):
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
        self.dice = 1

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
        below, above = self.around(addr)
        if None not in (below, above) and (
                self.delta[below] == self.delta[above] == delta):
            return
        if len(self.delta) == self.capacity:
            self.forget_one()
        self.delta[addr] = signed(delta, 24)
        self.touch(addr)
        keys = sorted(self.delta)
        i = keys.index(addr)

        def equal(*places):
            return len({self.delta[keys[k]] for k in places}) == 1
        if i >= 2 and equal(i - 2, i - 1, i):
            self.remove(keys[i - 1])
        elif i + 2 < len(keys) and equal(i, i + 1, i + 2):
            self.remove(keys[i + 1])

    def get(self, addr):
        """(delta, other, trust)"""
        self.clock += 1
        below, above = self.around(addr)
        if below is not None:
            self.touch(below)
        if above is not None and below != addr:
            self.touch(above)
        if below == addr:
            other = 0
            if above is not None and above - addr <= self.FAR:
                other = self.delta[above]
            return self.delta[addr], other, 7
        gap_below = addr - below if below is not None else MASK
        gap_above = above - addr if above is not None else MASK
        a = self.delta[below] if gap_below <= self.FAR else 0
        b = self.delta[above] if gap_above <= self.FAR else 0
        if not self.delta:
            return 0, 0, 0
        if a == b:
            gap = min(gap_below, gap_above)
            return a, 0, 6 if gap < 256 else 5 if gap < 4096 else 4
        gap = gap_below
        if gap_above <= self.FAR and (
                gap_below > self.FAR or gap_below > gap_above * 2):
            a, b, gap = b, a, gap_above
        return a, b, 3 if gap < 64 else 2 if gap < 1024 else 1
