"""The payload decoder and its parts, beside slow models of them."""
# SPDX-License-Identifier: MIT
import os
import random
import struct
import subprocess
from collections import defaultdict

import codec_model as model
import codec_parts_model as parts
import codec_units_model as units
import pytest
from codec_images import MAKERS, make_image
from codec_inventor import invent, make_payload, random_body

ROOT = os.path.join(os.path.dirname(__file__), "../..")
DRIVER = os.environ.get(
    "CODEC_DRIVER", os.path.join(ROOT, "build/tests/interop/codec_driver"))
CASES = int(os.environ.get("CODEC_CASES", "40"))
SEED = int(os.environ.get("CODEC_SEED", "1"))
TRUNCATED = -335  # BATON_ERR_CODEC_TRUNCATED


class Driver:
    def __init__(self):
        self.process = subprocess.Popen(
            [DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, letter, data):
        """(error, answer)"""
        pipe = self.process.stdin
        pipe.write(letter + struct.pack("<I", len(data)) + data)
        pipe.flush()
        head = self.process.stdout.read(8)
        assert len(head) == 8, "the driver ended"
        err, length = struct.unpack("<iI", head)
        return err, self.process.stdout.read(length)

    def decode(self, payload, old=b"", piece=1 << 20, budget=0, restart=0,
               before=b""):
        return self.ask(b"D", struct.pack(
            "<4I", piece, budget, restart, len(old)) + old + struct.pack(
                "<I", len(before)) + before + payload)


@pytest.fixture(scope="module")
def driver():
    assert os.path.isfile(DRIVER), f"{DRIVER} is not built; next: make test-build"
    started = Driver()
    yield started
    started.process.stdin.close()
    started.process.wait()


def numbers(data, row):
    count = len(data) // 4
    flat = struct.unpack(f"<{count}I", data)
    return [flat[i:i + row] for i in range(0, count, row)]


def case_ids():
    return range(SEED, SEED + CASES)


# ---- Parts

def coder_answers(data):
    """What the driver's run_coder does."""
    coder = parts.Coder(data[:192])
    counters = [dict.fromkeys(range(64), 32768) for _ in range(2)]
    weights = [[0] * 4 for _ in range(8)]
    golomb = defaultdict(lambda: 32768)
    n = 0
    while n < 4000 and coder.at <= min(len(data), 192):
        turn = n % 4
        if turn == 0:
            yield coder.ask(counters[0], n // 4 % 16)
        elif turn == 1:
            yield coder.ask_number(golomb) & units.MASK
        else:
            is_literal = turn == 3
            row = counters[is_literal]
            mixed = [(row, 16 + i * 12 + n // (4 + i) % 12)
                     for i in range(4)]
            yield coder.ask_mixed(
                mixed, weights[n // 4 % 4 + 4 * is_literal], is_literal)
        n += 1


@pytest.mark.parametrize("seed", case_ids())
def test_coder(driver, seed):
    rng = random.Random(seed)
    data = bytes(rng.choices(range(256), k=192))
    if seed % 3 == 0:  # long runs of certainty
        data = bytes([rng.choice([0, 255])]) * 8 + bytes(184)
    got = [row[0] for row in numbers(driver.ask(b"C", data)[1], 1)]
    assert got == list(coder_answers(data)), f"CODEC_SEED={seed}"


@pytest.mark.parametrize("seed", case_ids())
def test_address_map(driver, seed):
    rng = random.Random(seed)
    capacity = rng.choice([8, 9, 16, 64])
    space = rng.choice([64, 4096, 1 << 23, 1 << 32])
    deltas = [rng.randrange(-0x800000, 0x800000) for _ in range(3)] + [0, 16]
    slow = parts.AddressMap(capacity)
    asked, want = struct.pack("<I", capacity), []
    for _ in range(rng.choice([30, 600])):
        what, addr = rng.choice([0, 0, 1, 1, 1]), rng.randrange(space)
        delta = rng.choice(deltas)
        asked += struct.pack("<IIi", what, addr, delta)
        if what == 0:
            slow.put(addr, delta)
        else:
            want += [value & units.MASK for value in slow.get(addr)]
    for addr in sorted(slow.delta):
        want += [addr, slow.delta[addr] & units.MASK]
    got = [row[0] for row in numbers(driver.ask(b"M", asked)[1], 1)]
    assert got == want, f"CODEC_SEED={seed}"


def walk(data, view, new_addr, delta):
    """What the driver's walk_units does."""
    registers = view.registers = units.Registers()
    rows, at = [], 0
    while at < len(data):
        view.data = data[at:at + 103]
        unit = units.read_unit(view)
        moves = unit.kind != "PLAIN"
        built = unit.word
        if moves:
            built = units.build_unit(unit, unit.target + delta, new_addr)
        if unit.kind == "HI":
            units.note_rv32(unit, view.addr, built, new_addr, registers)
        rows.append((
            units.KINDS.index(unit.kind), unit.len, unit.cls, unit.word,
            unit.target if moves else 0, built))
        at += unit.len
        view.addr = view.addr + unit.len & units.MASK
        new_addr = new_addr + unit.len & units.MASK
    return rows


@pytest.mark.parametrize("seed", case_ids())
def test_units(driver, seed):
    rng = random.Random(seed)
    machine, place = rng.randrange(3), rng.randrange(3)
    addr = rng.choice([0x42000020, 0x400D0020, 0x3F400020, 0x80000000])
    addr += rng.choice([0, 0, 0, 1, 2, 3])
    data = MAKERS[machine if place == units.IN_CODE else 0](rng, addr, 2000)
    machine = machine or units.RV32
    segments = [units.Segment(0, addr - addr % 16, 0x1800, True),
                units.Segment(0, 0x3FFB0000, 0x4000, False)]
    areas = [(0x42FF0000, 0x20000), (0x3BFF0000, rng.choice([0, 0x20000]))]
    new_addr = addr + rng.choice([0, 4, 0x1234, 0x100000])
    delta = rng.choice(
        [0, 2, 4, 0x800, 0x1000, 0x1230, -0x4000, 0x300000])
    asked = struct.pack("<6I", machine, place, addr, new_addr & units.MASK,
                        delta & units.MASK, 2)
    for segment in segments:
        asked += struct.pack("<3I", segment.addr, segment.len, segment.is_code)
    for area in areas:
        asked += struct.pack("<2I", *area)
    got = numbers(driver.ask(b"U", asked + data)[1], 6)
    want = walk(data, units.View(b"", addr, place, machine, segments, areas),
                new_addr, delta)
    for number, (ours, theirs) in enumerate(zip(got, want)):
        assert ours == theirs, f"CODEC_SEED={seed}, unit {number}"
    assert len(got) == len(want)


# ---- Whole segments of random bytes

def answer_of(header, old, before, first):
    """What the model makes of it, and whether it is corrupt."""
    out = bytearray(before)
    try:
        model.decode_from(header, old, out, first)
    except model.Corrupt:
        return bytes(out), True
    return bytes(out), False


@pytest.mark.parametrize("seed", case_ids())
def test_random_streams(driver, seed):
    rng = random.Random(seed)
    machine = rng.randrange(3)
    addr = rng.choice([0x42000020, 0x400D0020])
    old = make_image(seed, machine, addr, 12000) if rng.random() < 0.9 else b""
    before, first = b"", 0
    bodies = [random_body(rng)]
    if rng.random() < 0.8:  # in an image that has begun well
        before = make_image(1, machine, addr, model.SEGMENT_BYTES + 9000)
        before, first = before[:model.SEGMENT_BYTES], 1
        bodies.insert(0, b"")
    payload = make_payload(rng, machine, old, len(before) + rng.choice(
        [300, 5000, 100000]), bodies)
    header = model.read_header(payload)
    want, is_corrupt = answer_of(header, old, before, first)
    err, got = driver.decode(payload, old, rng.choice([1, 7, 4096]),
                             rng.choice([0, 1, 1000]), first, before)
    assert (err != 0) == is_corrupt, f"CODEC_SEED={seed}"
    assert want.startswith(got), f"CODEC_SEED={seed}"
    assert len(want) - len(got) < 256 + 4, f"CODEC_SEED={seed}"


@pytest.mark.parametrize("seed", case_ids())
def test_invented_payloads(driver, seed):
    rng = random.Random(seed)
    machine = rng.randrange(3)
    addr = rng.choice([0x42000020, 0x400D0020])
    old = make_image(seed, machine, addr, 12000) if rng.random() < 0.9 else b""
    before = b""
    if rng.random() < 0.8:
        before = make_image(1, machine, addr, model.SEGMENT_BYTES + 9000)
        before = before[:model.SEGMENT_BYTES]
    size = rng.choice([300, 3000, 9000])
    made = None
    while made is None:
        made = invent(rng, machine, old, before, len(before) + size)
    payload, want = made
    header = model.read_header(payload)
    assert answer_of(header, old, before, len(before) // model.SEGMENT_BYTES
                     ) == (want, False), f"CODEC_SEED={seed}"
    err, got = driver.decode(payload, old, rng.choice([1, 7, 4096]),
                             rng.choice([0, 1, 1000]), 1 if before else 0,
                             before)
    assert err == 0, f"CODEC_SEED={seed}"
    assert got == want, f"CODEC_SEED={seed}"


# ---- Broken payloads

def small_payload(seed, most):
    """One with 25 ... most coded bytes."""
    rng = random.Random(seed)
    machine = rng.randrange(1, 3)
    old = make_image(seed, machine, 0x42000020, 400)
    while True:
        made = invent(rng, machine, old, b"", rng.randrange(100, 1500))
        if made and 25 <= len(model.read_header(made[0]).bodies[0]) <= most:
            return made[0], old, made[1]


@pytest.mark.parametrize("seed", range(SEED, SEED + 4))
def test_every_truncation(driver, seed):
    payload, old, want = small_payload(seed, 300)
    assert driver.decode(payload, old) == (0, want)
    for length in range(len(payload)):
        err, _ = driver.decode(payload[:length], old, 64)
        assert err == TRUNCATED, f"CODEC_SEED={seed}, {length} bytes"


@pytest.mark.parametrize("seed", range(SEED, SEED + 2))
def test_every_changed_byte(driver, seed):
    """Nothing is read or written out of bounds (the driver would end); what
    comes out is an error, or an image of the length that the header names."""
    payload, old, _ = small_payload(seed, 60)
    head = len(payload) - sum(map(len, model.read_header(payload).bodies))
    for at in range(len(payload)):
        values = range(256) if at >= head else [
            payload[at] ^ 1 << bit for bit in range(8)]
        for value in values:
            hurt = payload[:at] + bytes([value]) + payload[at + 1:]
            err, got = driver.decode(hurt, old, 16)
            assert err != 0 or len(got) == model.read_header(hurt).new_bytes


@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_changed_bytes_as_the_model_says(driver, seed):
    rng = random.Random(seed)
    payload, old, _ = small_payload(seed, 300)
    header = model.read_header(payload)
    for _ in range(40):
        hurt = bytearray(payload)
        head = len(payload) - sum(map(len, header.bodies))
        hurt[rng.randrange(head, len(payload))] ^= 1 << rng.randrange(8)
        hurt = bytes(hurt)
        want, is_corrupt = answer_of(model.read_header(hurt), old, b"", 0)
        err, got = driver.decode(hurt, old, 50)
        assert (err != 0) == is_corrupt, f"CODEC_SEED={seed} {hurt.hex()}"
        assert want.startswith(got), f"CODEC_SEED={seed} {hurt.hex()}"
