"""What a trial writes: the agent in Python against the one in C, record by record,
flash operation by flash operation.

BATON_SEED draws other cases, BATON_CASES more of them."""
# SPDX-License-Identifier: MIT
import binascii
import os
import random
import struct
import subprocess

import pytest

from conftest import ROOT
from micropython_shim import load_package

DRIVER = ROOT / "build" / "tests" / "interop" / "trial_driver"
SEED = int(os.environ.get("BATON_SEED", "1"))
CASES = int(os.environ.get("BATON_CASES", "6000"))
NONE, GOES_ON, OVER = range(3)
TRIAL, REBOOTING = 6, 5
DOES = ([("boot", cause) for cause in range(8)] * 2 + [("mark", 0), ("network", 0)]
        + [("end", why) for why in range(3)])


@pytest.fixture(scope="module")
def parts():
    return load_package(ROOT, "policy", "trial", "journal")[:2]


class Otadata:
    """A partition on memory that only loses bits."""

    def __init__(self, records):
        self.data = bytearray(b"\xff" * 8192)
        for copy, record in enumerate(records):
            self.data[copy * 4096:copy * 4096 + 32] = record
        self.erases = self.programs = 0

    def readblocks(self, number, buf, off=0):
        at = number * 4096 + off
        buf[:] = self.data[at:at + len(buf)]

    def writeblocks(self, number, data, off):
        self.programs += 1
        for at, byte in enumerate(data, number * 4096 + off):
            self.data[at] &= byte

    def ioctl(self, number, sector):
        assert number == 6
        self.erases += 1
        self.data[sector * 4096:(sector + 1) * 4096] = b"\xff" * 4096
        return 0


class Agent:
    """Of the agent, what a trial uses."""

    def __init__(self, records, unit, slots, running, boots, failures):
        self.otadata = Otadata(records)
        self.encrypted = unit > 4
        self.count, self.running = slots, running
        self.trial_boots, self.trial_failures = boots, failures
        self.trial_ms = 1000
        self.trial_boot = 0
        self.state = 0
        self.port = self

    def arm(self, ms):
        pass

    def now(self):
        return 0

    def tell(self, *args):
        pass

    def close(self):
        pass

    def load_tried(self):
        return [0, 0, 0, 0, bytes(8)]

    def go(self, state, phase):
        self.state = state


def answer(parts, case):
    """As the driver prints it."""
    policy, trial = parts
    first, second, *numbers, word, value = case
    agent = Agent((first, second), *numbers)
    err = 0
    try:
        if word == "boot":
            # On a settled device not even trial.py is imported.
            if not policy.is_settled(agent):
                trial.begin(agent, value)
        elif word == "mark":
            trial.mark_reset(agent)
        elif word == "network":
            trial._note_network(agent)
        else:
            trial._end(agent, value)
    except OSError as exc:
        err = exc.args[0]
    verdict = NONE
    if word == "boot":
        verdict = {TRIAL: GOES_ON, REBOOTING: OVER}.get(agent.state, NONE)
    data = agent.otadata.data
    return (f"{err} {verdict} {agent.trial_boot} {data[:32].hex()} "
            f"{data[4096:4128].hex()} {agent.otadata.erases} "
            f"{agent.otadata.programs}")


def cleared(count, size):
    bits = (1 << 8 * size) - 1
    return (bits << count & bits).to_bytes(size, "little")


def draw_label(draw):
    kind = draw.randrange(8)
    if kind == 0:
        return b"\xff" * 20
    if kind == 1:
        return draw.randbytes(20)
    boots = draw.randrange(13)
    label = bytearray(
        cleared(boots, 2) + cleared(draw.choice([0, 0, 1, 2, 3, 4]), 1)
        + draw.choice([b"\xff\xff", cleared(boots, 2), draw.randbytes(2)])
        + bytes([draw.choice([0xFF, 0xFF, 0xFF, 0xFB, 0xF3, 0xF2, 0xFE, 0xFD,
                              0x0F, 0xF7]),
                 draw.choice([0xFF, 0xFE, 0xFD, 0xFC])]) + b"\xff" * 13)
    if kind == 2:
        at = draw.randrange(7)
        label[at] ^= 1 << draw.randrange(8)
    return bytes(label)


def draw_record(draw):
    if draw.random() < 0.15:
        return b"\xff" * 32
    seq = draw.choice([0, 1, 2, 3, 4, 5, 0xFFFFFFFE, draw.randrange(1 << 32)])
    state = draw.choice([0, 1, 1, 1, 2, 3, 4, 5, 0xFFFFFFFF, 0xFFFFFF00])
    raw = struct.pack("<I", seq)
    crc = binascii.crc32(raw, 0xFFFFFFFF)
    if draw.random() < 0.1:
        crc ^= 1 << draw.randrange(32)
    return raw + draw_label(draw) + struct.pack("<II", state, crc)


def draw_case(draw):
    slots = draw.choice([2, 2, 2, 3, 4])
    return (draw_record(draw), draw_record(draw), draw.choice([1, 1, 1, 16]),
            slots, draw.randrange(slots), draw.choice([0, 0, 1, 4, 16]),
            draw.choice([0, 0, 1, 8]), *draw.choice(DOES))


def test_records(parts):
    draw = random.Random(SEED)
    cases = [draw_case(draw) for _ in range(CASES)]
    lines = "".join(
        " ".join(word.hex() if isinstance(word, bytes) else str(word)
                 for word in case) + "\n" for case in cases)
    done = subprocess.run([DRIVER], input=lines, capture_output=True, text=True,
                          check=True, timeout=300)
    wanted = done.stdout.splitlines()
    assert len(wanted) == len(cases)
    verdicts = [0, 0, 0]
    for case, want in zip(cases, wanted):
        assert answer(parts, case) == want, f"seed {SEED}: {case}"
        verdicts[int(want.split()[1])] += 1
    assert min(verdicts) > CASES / 50, verdicts
