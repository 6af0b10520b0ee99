"""Random flashes through core/boot.c and through the naive model."""
# SPDX-License-Identifier: MIT
import os
import random
import subprocess

from boot_model import ERASED, Device, Record, Row, crc_of

DRIVER = os.path.join(os.path.dirname(__file__), "../../build/tests/interop/boot_driver")
CASES = int(os.environ.get("BOOT_CASES", "100000"))
BATCH = 5000
APPS = [0x00, 0x10, 0x11, 0x12, 0x13, 0x20]
SEQS = [0, 1, 2, 3, 4, 5, 6, 7, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFD, 0xFFFFFFFE, ERASED]
STATES = [0, 1, 2, 3, 4, 5, 7, ERASED]


def random_rows(rng):
    subtypes = [s for s in APPS if rng.random() < 0.6]
    if rng.random() < 0.15:
        subtypes += [rng.choice(APPS + [0x1F, 0x21, 0x0F, 0x30])]
    rng.shuffle(subtypes)
    rows = [] if rng.random() < 0.03 else [[1, 0, 0xD000, 0x2000, 0, 0]]
    if rows and rng.random() < 0.03:
        rows[0][3] = rng.choice([0x1000, 0x1FFF, 0x3000])
    for place, subtype in enumerate(subtypes):
        size = rng.choice([0x1000, 0x1000, 0x1000, 0x210, 0x20F, 0x1F0, 0x1EF, 0])
        image = rng.choice([1, 1, 1, 1, 0, 2, 3, 4, 5, 6])
        rows.append([0, subtype, 0x10000 * (place + 1), size, image, rng.randrange(4)])
    if rows and rng.random() < 0.02:
        rows[-1][2] = rng.choice([0x140000, 0x140001, 0x13F001, 0xFFFFF000])
        rows[-1][4] = 0
    return rows


def random_copy(rng):
    if rng.random() < 0.12:
        return [0, ERASED, ERASED, 2, 0xFF]
    crc = rng.choice([0, 0, 0, 0, 1, 2])
    return [1, rng.choice(SEQS), rng.choice(STATES), crc, rng.choice([0xFF, 0xFE, 0x00])]


def make_case(seed):
    rng = random.Random(seed)
    rollback = rng.random() < 0.7
    anti = rollback and rng.random() < 0.35
    return {
        "rollback": rollback,
        "anti": anti,
        "test": rng.random() < 0.03,
        "efuse": rng.randrange(4) if anti else 0,
        "md5": rng.choice([1] * 18 + [0, 2]),
        "rows": random_rows(rng),
        "copies": [random_copy(rng), random_copy(rng)],
    }


def case_line(case):
    words = [case["rollback"], case["anti"], case["test"], case["efuse"], case["md5"]]
    words.append(len(case["rows"]))
    for row in case["rows"]:
        words += row
    for copy in case["copies"]:
        words += copy
    return " ".join(str(int(w)) for w in words)


def model_record(copy):
    present, seq, state, crc, label = copy
    if not present:
        return Record(ERASED, b"\xff" * 20, ERASED, ERASED)
    value = {0: crc_of(seq), 1: crc_of(seq) ^ 0x800, 2: ERASED}[crc]
    return Record(seq, bytes([label]) * 20, state, value)


def model_answer(case):
    device = Device(
        [Row(*row) for row in case["rows"]],
        case["md5"],
        [model_record(copy) for copy in case["copies"]],
        case["rollback"],
        case["anti"],
        case["efuse"],
        case["test"],
    )
    index = device.boot()
    records = " ".join(record.hex() for record in device.records)
    return f"{index} {device.burnt} {records} {device.writes}"


def test_random_flashes_boot_as_the_model_says():
    start = int(os.environ.get("BOOT_SEED", "1"))
    seen = {}
    for first in range(start, start + CASES, BATCH):
        cases = [make_case(seed) for seed in range(first, min(first + BATCH, start + CASES))]
        done = subprocess.run(
            [DRIVER],
            input="\n".join(case_line(c) for c in cases) + "\n",
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        answers = done.stdout.splitlines()
        assert len(answers) == len(cases)
        for offset, (case, answer) in enumerate(zip(cases, answers)):
            expected = model_answer(case)
            seen[answer.split()[0]] = seen.get(answer.split()[0], 0) + 1
            assert answer == expected, (
                f"BOOT_SEED={first + offset} BOOT_CASES=1\n"
                f"case  {case}\nmodel {expected}\ncore  {answer}"
            )
    if CASES >= 10000:
        # The cases reach every kind of outcome, often.
        for index in ("-99", "-2", "-1", "0", "1", "2", "3"):
            assert seen.get(index, 0) > CASES // 1000, (index, seen)
