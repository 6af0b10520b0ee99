"""Random boards and calls through port/posix/idf_*.c and the naive model."""
# SPDX-License-Identifier: MIT
import functools
import hashlib
import operator
import os
import random
import struct
import subprocess
import zlib
from pathlib import Path

from idf_model import (ABORTS, ALLOWED, ERASED, FAILS, FLASH_BYTES, MASTER, SEQUENTIAL,
                       TABLE_ADDR, UNKNOWN, V5_4, V5_5, V6_0, V6_1, Board, crc_of)

DRIVER = os.environ.get(
    "IDF_DRIVER", str(Path(__file__).resolve().parents[2] / "build/tests/interop/idf_driver"))
CALLS = int(os.environ.get("IDF_CALLS", "100000"))
CALLS_PER_BOARD = 25
BATCH = 100

SEQS = [0, 1, 2, 3, 4, 5, 6, 7, 0x80000000, 0xFFFFFFFD, 0xFFFFFFFE, ERASED]
STATES = [0, 0, 1, 1, 2, 2, 2, 3, 4, 7, ERASED]


@functools.lru_cache(maxsize=None)
def make_image(kind, size, version, seed):
    """An image of about `size` bytes; `kind` says what is wrong with it."""
    body = bytearray(random.Random(seed).randbytes((size - 24 - 8 - 48) // 4 * 4))
    body[0:8] = struct.pack("<II", 0xABCD5432, version)
    body[16:48] = f"v{seed}".encode().ljust(32, b"\0")
    if kind == "no descriptor":
        body[0:4] = b"\0\0\0\0"
    if kind == "short segment":
        body = body[:252]
    load = {"mapped": 0x3F400020, "misplaced": 0x3F400024}.get(kind, 0x40080000)
    header = struct.pack("<BBBBIB3xHBHH4xB", 0xE9, 1, 2, 0x20, 0x40080000, 0xEE,
                         9 if kind == "chip" else 0, 0, 301 if kind == "revision" else 0,
                         299 if kind == "old revision" else 0,
                         0 if kind == "no digest" else 1)
    image = header + struct.pack("<II", load, len(body)) + bytes(body)
    if kind == "two segments":
        image = image[:1] + b"\x02" + image[2:] + struct.pack("<II", 0x50000000, 4) + b"abcd"
        body += b"abcd"
    image += bytes((15 - len(image)) % 16) + bytes([functools.reduce(operator.xor, body, 0xEF)])
    if kind != "no digest":
        image += hashlib.sha256(image).digest()
    flip = {"magic": 0, "length": 28, "digest": len(image) - 1, "data": len(image) // 2}
    if kind in flip:
        image = bytearray(image)
        image[flip[kind]] ^= 1
    return bytes(image)


GOOD = ["good", "good", "good", "good", "mapped", "no digest", "two segments"]
BAD = ["magic", "length", "digest", "data", "chip", "revision", "old revision", "misplaced",
       "no descriptor", "short segment"]


def any_image(rng, size=None):
    kind = rng.choice(GOOD) if rng.random() < 0.7 else rng.choice(BAD)
    size = size or rng.choice([600, 600, 700, 1500, 4096, 4112, 5000, 9000])
    return make_image(kind, size, rng.randrange(4), rng.randrange(5))


def random_table(rng):
    """Rows as (type, subtype, addr, size, label, flags), in table order."""
    rows = [(1, 2, 0x1000, "nvs", 0)]
    if rng.random() < 0.97:
        rows.append((1, 0, rng.choice([0x2000] * 30 + [0x1000, 0x3000]), "otadata",
                     rng.choice([0] * 30 + [2])))
    slots = rng.choice([0, 1, 2, 2, 2, 2, 2, 3, 4])
    apps = [0x10 + i for i in range(slots)]
    if apps and rng.random() < 0.08:
        apps.remove(rng.choice(apps))
    apps += [s for s, chance in ((0, 0.5), (0x20, 0.15), (0x30, 0.05), (0x31, 0.05), (0x0F, 0.02))
             if rng.random() < chance]
    if rng.random() < 0.1:
        rng.shuffle(apps)
    for subtype in apps:
        size = rng.choice([0x1000, 0x2000, 0x3000, 0x3000, 0x11000])
        rows.append((0, subtype, size, f"app{subtype:x}", rng.choice([0] * 20 + [2])))
    if rng.random() < 0.3:
        rows.append((1, 6, 0x2000, "locked", 2))
    if rng.random() < 0.3:
        rows.append((0x40, 5, 0x3000, "sixteen-byte-lab", 1))
    for type_, subtype, label in ((2, 1, "boot1"), (3, 1, "table1")):
        if rng.random() < 0.15:
            rows.append((type_, subtype, 0x2000, label, 0))
    placed = []
    at = 0x9000
    for type_, subtype, size, label, flags in rows:
        if at + size > FLASH_BYTES:
            break
        placed.append((type_, subtype, at, size, label, flags))
        at += size + rng.choice([0, 0, 0, 0x1000])
    if rng.random() < 0.15:
        placed.append((3, 0, TABLE_ADDR, 0x1000, "table0", 0))
    if rng.random() < 0.02:
        placed.append((1, 0x82, rng.choice([FLASH_BYTES - 0x1000, FLASH_BYTES]), 0x2000, "past", 0))
    return placed


def table_bytes(rows, md5=True):
    raw = b"".join(struct.pack("<HBBII16sI", 0x50AA, t, s, addr, size, label.encode(), flags)
                   for t, s, addr, size, label, flags in rows)
    if md5:
        raw += b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(raw).digest()
    return raw


def random_record(rng):
    if rng.random() < 0.2:
        return b""
    seq = rng.choice(SEQS[:8]) if rng.random() < 0.9 else rng.choice(SEQS)
    crc = crc_of(seq) ^ (0x100 if rng.random() < 0.08 else 0)
    label = rng.choice([b"\xff" * 20, rng.randbytes(20)])
    return struct.pack("<I20sII", seq, label, rng.choice(STATES), crc)


class Session:
    """One board and its calls, and what the model says to each."""

    def __init__(self, seed):
        self.rng = rng = random.Random(seed)
        self.rows = random_table(rng)
        self.images = {}
        self.lines = []
        self.answers = []
        flash = bytearray(b"\xff" * FLASH_BYTES)

        def load(addr, data):
            flash[addr : addr + len(data)] = data
            self.lines.append(f"load {addr} {data.hex()}")

        apps = [r for r in self.rows if r[0] == 0]
        running = rng.choice(apps)[2] if apps and rng.random() < 0.98 else 0x9000
        no_rollback = rng.random() < 0.2
        anti = not no_rollback and rng.random() < 0.2
        config = (running, rng.choice([0, V5_4, V5_5, V5_5, V5_5, V6_0, V6_1, MASTER]),
                  rng.choice([ABORTS] * 4 + [FAILS, ALLOWED]), no_rollback, anti,
                  rng.random() < 0.15, rng.random() < 0.2, rng.randrange(4) if anti else 0)
        self.lines.append("board " + " ".join(str(int(c)) for c in config))
        md5 = rng.random() < 0.99
        load(TABLE_ADDR, table_bytes(self.rows, md5))
        if md5 and rng.random() < 0.01:
            load(TABLE_ADDR + 4, b"\x01")
        for type_, subtype, addr, size, label, _ in self.rows:
            if (type_, subtype) == (1, 0):
                for copy in range(2):
                    load(addr + 0x1000 * copy, random_record(rng))
            elif type_ in (0, 2) and rng.random() < 0.8:
                image = any_image(rng)
                if len(image) <= size or rng.random() < 0.05:
                    load(addr, image)
            elif label == "locked" and rng.random() < 0.3:
                load(addr, any_image(rng, 700))
        self.lines = [line for line in self.lines if not line.endswith(" ")]
        self.board = Board(flash, *config)
        self.lines.append("attach")
        self.answers.append("0 |")
        for _ in range(CALLS_PER_BOARD):
            self.call(self.pick())
        self.lines.append("sum")
        self.answers.append(f"{zlib.adler32(self.board.flash)} |")

    def call(self, line):
        before = self.board.last_handle
        self.lines.append(line)
        self.answers.append(self.board.call(line))
        if self.board.last_handle != before:
            handle = self.board.handles[self.board.last_handle]
            if handle.final.type == 3:
                self.images[self.board.last_handle] = self.random_table_file()
            else:
                room = handle.staging.size
                image = any_image(self.rng)
                self.images[self.board.last_handle] = (
                    image if len(image) <= room else any_image(self.rng, 700))

    def random_table_file(self):
        data = bytearray(table_bytes(self.rows, self.rng.random() < 0.8))
        if self.rng.random() < 0.3:
            data[self.rng.randrange(len(data))] ^= 1 << self.rng.randrange(8)
        return bytes(data.ljust(0xC00, b"\xff"))

    # Arguments.

    def part(self, kinds=None, null=0.03):
        rng = self.rng
        if rng.random() < null:
            return "-"
        choices = [i for i, r in enumerate(self.rows) if kinds is None or kinds(r)]
        index = rng.choice(choices) if choices and rng.random() < 0.95 else rng.randrange(
            len(self.rows))
        if rng.random() < 0.85:
            return f"#{index}"
        type_, subtype, addr, size, label, flags = self.rows[index]
        part = self.board.load()[index] if index < len(self.board.load()) else None
        encrypted = int(part.encrypted) if part else 0
        change = rng.randrange(8)
        if change == 0:
            addr += 0x1000
        elif change == 1:
            size = max(0x1000, size - 0x1000)
        elif change == 2:
            subtype = rng.choice([0x10, 0x11, 0x12, 0x20, 0x30, 0x31, 0])
        elif change == 3:
            encrypted ^= 1
        return f"{type_},{subtype},{addr},{size},{encrypted},{int(bool(flags & 2))},{label}"

    def slot(self, **options):
        return self.part(lambda r: r[0] == 0 and 0x10 <= r[1] <= 0x1F, **options)

    def target(self):
        rng = self.rng
        return self.slot() if rng.random() < 0.7 else self.part()

    def handle(self):
        known = list(self.board.handles)
        if known and self.rng.random() < 0.95:
            return self.rng.choice(known)
        return self.rng.choice([0, 1, 2, 3, 99])

    def length(self, limit):
        rng = self.rng
        return min(limit, rng.choice([1, 2, 15, 16, 17, 32, 100, 256, 1000, 4095, 4096, 4097, limit]))

    # Calls.

    def pick(self):
        rng = self.rng
        if self.board.handles and rng.random() < 0.55:
            return self.pick_on_handle()
        return rng.choice([
            self.pick_begin, self.pick_begin, self.pick_begin, self.pick_resume, self.pick_choice,
            self.pick_choice, self.pick_plain, self.pick_plain, self.pick_plain,
            self.pick_partition])()

    def pick_begin(self):
        size = self.rng.choice([0, 0, UNKNOWN, SEQUENTIAL, SEQUENTIAL, 1, 4096, 4097, 8192, 0x3000,
                                0x3001, 0x11000, 0x20000, 0xFFFFFFFD, 0xFFFFF001, 0xFFFFF000])
        return f"ota_begin {self.target()} {size}"

    def pick_resume(self):
        off = self.rng.choice([0, 0, 1, 16, 100, 4096, 5000, 0x3000, 0x11001])
        return f"ota_resume {self.target()} {self.rng.choice([0, SEQUENTIAL, 4096])} {off}"

    def pick_on_handle(self):
        rng = self.rng
        number = self.handle()
        handle = self.board.handles.get(number)
        image = self.images.get(number, b"\xe9" * 40)
        wrote = handle.wrote + len(handle.partial) if handle else 0
        if rng.random() < 0.12:
            return rng.choice([
                f"ota_abort {number}", f"ota_end {number}", f"ota_write {number} -",
                f"ota_write {number} .", f"ota_write_with_offset {number} 0 -",
                f"ota_write_with_offset {number} {rng.choice([0, 0x3000, 0x20000])} .",
                f"ota_set_final_partition {number} {self.part()} {rng.randrange(2)}",
                f"ota_set_final_partition {number} {self.part()} {rng.randrange(2)}"])
        if wrote >= len(image):
            if rng.random() < 0.8:
                return f"ota_end {number}"
            image = rng.randbytes(20000)
        if rng.random() < 0.1:
            off = rng.randrange(len(image))
            size = self.length(len(image) - off) // rng.choice([1, 16]) * 16 or 16
            off = rng.choice([off, off // 16 * 16])
            return f"ota_write_with_offset {number} {off} {image[off:off + size].hex()}."
        data = image[wrote : wrote + self.length(len(image) - wrote)]
        if rng.random() < 0.5:
            data = image[wrote:]
        if rng.random() < 0.03:
            data = rng.randbytes(len(data))
        return f"ota_write {number} {data.hex()}."

    def pick_choice(self):
        name = self.rng.choice(["ota_set_boot_partition"] * 4
                               + ["ota_set_boot_partition_skip_validate"])
        apps = self.rng.random() < 0.9
        return f"{name} {self.part((lambda r: r[0] == 0) if apps else None)}"

    def pick_plain(self):
        rng = self.rng
        return rng.choice([
            "ota_get_boot_partition", "ota_get_running_partition",
            f"ota_get_next_update_partition {self.part(null=0.5)}",
            "ota_get_app_partition_count", f"ota_get_partition_description {self.part()}",
            "ota_mark_app_valid_cancel_rollback", "ota_mark_app_invalid_rollback",
            "ota_mark_app_invalid_rollback_and_reboot", "ota_check_rollback_is_possible",
            f"ota_get_state_partition {self.target()}", "ota_get_last_invalid_partition",
            "ota_erase_last_boot_app_partition", "ota_invalidate_inactive_ota_data_slot"])

    def pick_partition(self):
        rng = self.rng
        off = rng.choice([0, 0, 1, 16, 4096, 0x1FF0, 0x2000, 0x2001, 0x3000])
        length = rng.choice([0, 1, 16, 40, 4096, 0x2000, 0x3000])
        data = "-" if rng.random() < 0.05 else rng.randbytes(length).hex() + "."
        label = rng.choice(["-", "-", "nvs", "locked", "nothing", "sixteen-byte-lab"])
        return rng.choice([
            f"partition_find {rng.choice([0, 1, 2, 3, 0x40, 255])} "
            f"{rng.choice([255, 255, 0, 2, 6, 0x10])} {label}",
            f"partition_verify {self.part()}",
            f"partition_read {self.part()} {off} {length}",
            f"partition_write {self.part()} {off} {data}",
            f"partition_erase_range {self.part()} {off} {rng.choice([0, 1, 4096, 8192])}",
            f"partition_copy {self.part()} {off} {self.part()} {rng.choice([0, 16, 4096])} "
            f"{rng.choice([0, 100, 4096, 5000, UNKNOWN])}",
            f"partition_get_sha256 {self.part()}"])


def run_driver(sessions):
    done = subprocess.run([DRIVER], input="\n".join(l for s in sessions for l in s.lines) + "\n",
                          capture_output=True, encoding="latin1", timeout=600)
    return done.stdout.split("\n")[:-1], done


def compare(session, seed, answers):
    asked = [l for l in session.lines if l.split()[0] not in ("board", "load")]
    for number, (line, expected, answer) in enumerate(zip(asked, session.answers, answers)):
        assert answer == expected, (
            f"IDF_SEED={seed} IDF_CALLS={CALLS_PER_BOARD} replays this\n"
            f"board  {session.lines[0]}\ntable  {session.rows}\ncall   {number}: {line[:300]}\n"
            f"model  {expected}\nours   {answer}\nbefore {asked[max(0, number - 4):number]}")


def test_random_calls_answer_as_the_model_does():
    start = int(os.environ.get("IDF_SEED", "1"))
    boards = max(1, CALLS // CALLS_PER_BOARD)
    seen = {}
    for first in range(start, start + boards, BATCH):
        seeds = range(first, min(first + BATCH, start + boards))
        sessions = [Session(seed) for seed in seeds]
        answers, done = run_driver(sessions)
        for seed, session in zip(seeds, sessions):
            compare(session, seed, answers[: len(session.answers)])
            answers = answers[len(session.answers) :]
            for line, answer in zip(session.lines[-CALLS_PER_BOARD - 1 :],
                                    session.answers[-CALLS_PER_BOARD - 1 :]):
                key = (line.split()[0], answer.split()[0])
                seen[key] = seen.get(key, 0) + 1
        assert not answers and done.returncode == 0, f"{done.returncode} {done.stderr}"
    if CALLS >= 50000:
        check_coverage(seen)


def check_coverage(seen):
    """Every outcome that a call can have must have come up."""
    outcomes = {
        "ota_begin": [0, 0x102, 0x104, 0x105, 0x10D, 0x1501, 0x1506, 0x1507, "fatal"],
        "ota_resume": [0, 0x102, 0x105, 0x106, 0x1501, 0x1506, 0x1507],
        "ota_set_final_partition": [0, 0x102, 0x103, 0x105, 0x106],
        "ota_write": [0, 0x102, 0x104, 0x1503, 0x6001],
        "ota_write_with_offset": [0, 0x102, 0x104, "fatal"],
        "ota_end": [0, 0x102, 0x104, 0x105, 0x1503],
        "ota_abort": [0, 0x105],
        "ota_set_boot_partition": [0, 0x102, 0x105, 0x10D, 0x1503, 0x1504],
        "ota_set_boot_partition_skip_validate": [0, 0x102, 0x106],
        "ota_mark_app_valid_cancel_rollback": [0, -1, 0x105],
        "ota_mark_app_invalid_rollback": [0, -1, 0x105, 0x106, 0x1505],
        "ota_mark_app_invalid_rollback_and_reboot": [0, -1, 0x105, 0x1505],
        "ota_check_rollback_is_possible": [0, 1],
        "ota_get_state_partition": [0, 0x102, 0x105, 0x106],
        "ota_erase_last_boot_app_partition": [0, -1],
        "ota_invalidate_inactive_ota_data_slot": [0, -1, 0x106],
        "ota_get_partition_description": [0, 0x102, 0x105, 0x106],
        "ota_get_next_update_partition": ["none", "fatal"],
        "partition_write": [0, 0x102, 0x104, 0x10D, 0x6001, "fatal"],
        "partition_erase_range": [0, 0x102, 0x104, 0x10D, "fatal"],
        "partition_copy": [0, 0x102, 0x104, 0x10D, "fatal"],
        "partition_get_sha256": [0, 0x2002, "fatal"],
    }
    missing = [(call, outcome) for call, expected in outcomes.items() for outcome in expected
               if (call, str(outcome)) not in seen]
    assert not missing, missing
