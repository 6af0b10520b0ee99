"""Random partition tables through core/table*.c and through the naive model."""
# SPDX-License-Identifier: MIT
import hashlib
import os
import random
import struct
import subprocess

import pytest
from table_model import Options, Refused, binary_to_csv, csv_to_binary

DRIVER = os.path.join(os.path.dirname(__file__), "../../build/tests/interop/table_driver")
CASES = int(os.environ.get("TABLE_CASES", "20000"))
BATCH = 1000

ENVIRON = {
    "T_TYPE": "data",
    "T_SIZE": "0x3000",
    "T_ROW": "v,data,fat,,4K",
    "T_NONE": "",
    "T_HASH": "# gone",
    "T_DOLLAR": "$T_TYPE",
    "T_ODD": "$NOBODY",
    "T_K": "k",
}
NUMBERS = [
    "0", "1", "00", "010", "0_0", "4096", "+4096", "4_096", "_1", "1_", "1__0", "0x1000", "0X9000",
    "0x_1000", "0x", "0x1g", "0o10000", "0b1", "0b2", "4k", "4K", "1M", "1m", "64k", "1mk", "1kM",
    "1 k", "1k k", "k", "MM", "-1M", "-2M", "-4M", "-0x10000", "-1", "- 1", "1.5", "12K", "0x2000",
    "0x3000", "0x180000", "0x10000", "0x20000", "0x110000", "0x9000", "0x9001", "0x8000", "3M",
    "4294967295", "4294967296", "0xfffff000", "-0x100010000", "0x1" + "0" * 40, "1" + "0" * 30,
    "٤٠٩٦", "４k", "4\u212a", "4\u212aM", "1\u3000k", "²", "1\x1f", "1\x00", "$T_SIZE", "${T_SIZE}",
    "4$T_K", "$NOBODY", "", "", "", "",
]
TYPES = [
    "app", "data", "bootloader", "partition_table", "0", "1", "2", "3", "0x40", "254", "255", "256",
    "-1", "APP", "Data", "appk", "datak", "App m", "apple", "", "$T_TYPE", "0x00", "1k",
]
SUBTYPES = [
    "factory", "test", "ota_0", "ota_1", "ota_15", "ota_16", "tee_0", "tee_2", "ota", "phy", "nvs",
    "coredump", "nvs_keys", "nvs_\u212aeys", "efuse", "undefined", "fat", "spiffs", "littlefs",
    "tee_ota", "primary", "recovery", "FACTORY", "factoryk", "otam", "spiffsk", "", "0", "0x10",
    "0x20", "0x90", "255", "256", "-1",
]
NAMES = [
    "nvs", "otadata", "phy_init", "factory", "ota_0", "ota_1", "vfs", "a b", "", "#x", "x#", "app",
    "sixteen_letters_", "seventeen_letters", "seventeen_letterz", "имя", "имя_раздела", "\U0001f98a",
    "fifteen_letters\u00e9", "a\0b", "a\0", "$T_ROW", "$T_NONE", "$T_HASH", "$T_DOLLAR", "$T_ODD",
    "$NOBODY", "x$NOBODY", "${NOBODY}", "\\$NOBODY", "${T_TYPE", "$", "$1", "\ufeffn", '"q"',
]
FLAGS = [
    "", "", "", "", "encrypted", "readonly", "encrypted:readonly", ":", "readonly::readonly",
    "Encrypted", "secret", "encrypted : readonly",
]
SPACES = ["", "", "", "", " ", "  ", "\t", "\u00a0", "\u3000", "\x1f"]
LINE_ENDS = ["\n"] * 12 + ["\r\n", "\r", "\v", "\f", "\x1c", "\x1e", "\x85", "\u2028", "\u2029", "\n\n"]
OTHER_LINES = [
    "# comment", "  # comment", "", "   ", "# $NOBODY", "$NOBODY # x", "$T_HASH", "$T_NONE",
    "$T_ROW", " $NOBODY", "${NOBODY}",
]
USUAL = [
    ["nvs", "data", "nvs", "", "0x4000", ""],
    ["otadata", "data", "ota", "", "0x2000", ""],
    ["phy_init", "data", "phy", "", "0x1000", ""],
    ["factory", "app", "factory", "", "1M", ""],
    ["ota_0", "app", "ota_0", "", "0x180000", ""],
    ["ota_1", "app", "ota_1", "", "1536K", ""],
    ["vfs", "data", "fat", "", "64K", ""],
    ["log", "data", "coredump", "", "64K", "encrypted"],
    ["bl", "bootloader", "primary", "N/A", "N/A", ""],
    ["table", "partition_table", "primary", "", "", ""],
    ["bl2", "bootloader", "ota", "", "", ""],
    ["rescue", "bootloader", "recovery", "", "", ""],
    ["tee", "data", "tee_ota", "", "8K", ""],
]


def random_fields(rng, index):
    if index < len(USUAL) and rng.random() < 0.8:
        fields = list(USUAL[index])
        if rng.random() < 0.12:
            column = rng.randrange(6)
            fields[column] = rng.choice([NAMES, TYPES, SUBTYPES, NUMBERS, NUMBERS, FLAGS][column])
        return fields
    return [
        rng.choice(NAMES) if rng.random() < 0.5 else f"p{index}",
        rng.choice(TYPES) if rng.random() < 0.5 else rng.choice(["app", "data", "64"]),
        rng.choice(SUBTYPES) if rng.random() < 0.5 else "1",
        rng.choice(NUMBERS) if rng.random() < 0.3 else "",
        rng.choice(NUMBERS),
        rng.choice(FLAGS),
    ]


def random_line(rng, index):
    if rng.random() < 0.1:
        return rng.choice(OTHER_LINES)
    fields = random_fields(rng, index)
    if rng.random() < 0.05:
        fields = fields[:rng.randrange(1, 6)]
    if rng.random() < 0.05:
        fields.append("more")
    return ",".join(rng.choice(SPACES) + field + rng.choice(SPACES) for field in fields)


def damage(rng, data):
    pieces = [b",", b"k", b"\0", b"$", b"{", b"}", b"\\", b"\xff", b"\xc3", b"\xed\xa0\x80", b"-",
              b"_", b"0", b"#", b"\n", b"\xe2\x80\xa8", b"\xe2\x84\xaa"]
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data) + 1)
        how = rng.randrange(3)
        data = data[:at] + (rng.choice(pieces) if how else b"") + data[at + (how != 1):]
    return data


def random_csv(rng):
    count = rng.choice([0, 1, 2, 3, 5, 7, 13])
    first = rng.randrange(5)
    lines = [random_line(rng, first + i) for i in range(count)]
    if rng.random() < 0.02:
        lines = [f"p{i},data,1,,4K" for i in range(rng.choice([93, 94, 95, 96]))]
    data = "".join(line + rng.choice(LINE_ENDS) for line in lines).encode()
    if rng.random() < 0.1:
        data = b"\xef\xbb\xbf" + data
    return damage(rng, data) if rng.random() < 0.2 else data


def random_row(rng, index):
    return struct.pack(
        "<2sBBII16sI",
        b"\xaaP",
        rng.choice([0, 1, 1, 1, 2, 3, 0x40, 0xFF]),
        rng.choice([0, 1, 2, 3, 6, 0x10 + index % 16, 0x20, 0x30, 0x81, 0x90, 0xFE]),
        rng.choice([0x9000, 0x10000 * (index + 1), 0x10000 * (index + 1), rng.randrange(1 << 32)]),
        rng.choice([0x1000, 0x2000, 0x3000, 0x10000, 0, 0x400, 0x401, rng.randrange(1 << 32)]),
        rng.choice([b"p%d" % index] * 6 + [b"same", b"", b"\xc3\xa9", b"\xc3", b"x,y", b"a\0rest",
                                           b"sixteen_letters_"]),
        rng.choice([0, 0, 0, 1, 2, 3, 4, 0x80000001]),
    )


def random_binary(rng):
    data = b"".join(random_row(rng, i) for i in range(rng.choice([1, 1, 2, 3, 5])))
    md5_row = b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(data).digest()
    data += md5_row * rng.choice([0, 1, 1, 1, 1, 1, 1, 2])
    if rng.random() < 0.05:
        data += random_row(rng, 7)
    data += b"\xff" * rng.choice([0, 16, 32, 32, 32, 64, 0xC00 - len(data)])
    if rng.random() < 0.1:
        at = rng.randrange(2, len(data))
        data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1:]
    return data + bytes(rng.choice([0, 0, 0, 5, 32]))


def random_options(rng):
    table = rng.choice([0x8000] * 12 + [0, 0x8001, 0x9000, 0x10000, 0xFFFFF000])
    primary = rng.choice([None, None, 0, 0x1000, 0x2000])
    return Options(
        table=table,
        md5=rng.random() > 0.1,
        verify=rng.random() > 0.2,
        primary=primary if primary is None or primary < table else None,
        recovery=rng.choice([None, None, 0x200000, 0x3F0000]),
        flash=rng.choice([0, 0, 0, 0, 1 << 20, 4 << 20]),
        secure_v1=rng.random() < 0.1,
        environ=ENVIRON,
    )


def make_case(seed):
    rng = random.Random(seed)
    is_csv = rng.random() < 0.7
    return is_csv, random_csv(rng) if is_csv else random_binary(rng), random_options(rng)


def expected(is_csv, data, options):
    try:
        return csv_to_binary(data, options) if is_csv else binary_to_csv(data, options)
    except Refused:
        return None


def request(is_csv, data, options):
    switches = (
        (not options.md5)
        | (not options.verify) << 1
        | (options.primary is not None) << 2
        | (options.recovery is not None) << 3
        | options.secure_v1 << 4
        | (options.table == 0) << 5
    )
    return (b"C" if is_csv else b"B") + struct.pack(
        "<BIIIII", switches, options.table, options.primary or 0, options.recovery or 0,
        options.flash, len(data)) + data


def run_driver(cases):
    done = subprocess.run([DRIVER], input=b"".join(request(*case) for case in cases),
                          capture_output=True, timeout=300, env={**os.environ, **ENVIRON}, check=True)
    answers, at = [], 0
    while at < len(done.stdout):
        err, length = struct.unpack_from("<iI", done.stdout, at)
        answers.append(None if err else done.stdout[at + 8:at + 8 + length])
        at += 8 + length
    assert len(answers) == len(cases)
    return answers


@pytest.fixture(autouse=True)
def no_other_variables(monkeypatch):
    monkeypatch.delenv("NOBODY", raising=False)


def test_random_tables():
    accepted = {True: 0, False: 0}
    for first in range(0, CASES, BATCH):
        seeds = range(first, min(first + BATCH, CASES))
        cases = [make_case(seed) for seed in seeds]
        for seed, case, answer in zip(seeds, cases, run_driver(cases)):
            assert answer == expected(*case), (
                f"seed {seed}: {case[1]!r} {vars(case[2])}")
            accepted[case[0]] += answer is not None
    # Enough of both kinds got through for this to mean something.
    assert accepted[True] > CASES // 20 and accepted[False] > CASES // 20
