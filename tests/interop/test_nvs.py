"""NVS partitions made by the vendor's generator, and ours read by another."""
# SPDX-License-Identifier: MIT
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import nvs_reader
import pytest

DRIVER = os.environ.get(
    "NVS_DRIVER", str(Path(__file__).resolve().parents[2] / "build/tests/interop/nvs_driver"))
TYPES = {"u8": 0x01, "i8": 0x11, "u16": 0x02, "i16": 0x12, "u32": 0x04, "i32": 0x14,
         "u64": 0x08, "i64": 0x18, "string": 0x21, "blob": 0x42}
NOT_FOUND, NO_SPACE = 0x1102, 0x1105


def drive(path, lines):
    """The (code, bytes) that each line was answered with."""
    done = subprocess.run([DRIVER, path], input="".join(l + "\n" for l in lines),
                          capture_output=True, text=True, check=True, timeout=120)
    answers = [(int(a.split(" ")[0]), bytes.fromhex(a.split(" ")[1]))
               for a in done.stdout.splitlines()]
    assert answers[0][0] == 0, f"mount: {answers[0][0]:#x}"
    return answers[1:]


def generate(tmp_path, rows, size, version=2):
    """A partition by the vendor's generator; rows are (namespace, key, kind, value)."""
    lines, now = ["key,type,encoding,value"], None
    for number, (namespace, key, kind, value) in enumerate(rows):
        if namespace != now:
            lines.append(f"{namespace},namespace,,")
            now = namespace
        if kind == "blob":
            blob = tmp_path / f"blob{number}"
            blob.write_bytes(value)
            lines.append(f"{key},file,binary,{blob}")
        else:
            lines.append(f"{key},data,{kind},{value}")
    (tmp_path / "in.csv").write_text("\n".join(lines) + "\n")
    out = tmp_path / "nvs.bin"
    subprocess.run([sys.executable, "-m", "esp_idf_nvs_partition_gen", "generate",
                    "--version", str(version), "--outdir", tmp_path, tmp_path / "in.csv",
                    out.name, hex(size)], check=True, capture_output=True, timeout=120)
    return out


def stored(kind, value):
    if kind == "string":
        return value.encode() + b"\0"
    if kind == "blob":
        return value
    return struct.pack("<" + nvs_reader.NUMBERS[TYPES[kind]], value)


def random_rows(rng, count):
    rows = []
    for namespace in range(3):
        for number in range(count):
            kind = rng.choice(list(TYPES))
            if kind == "string":
                value = "".join(rng.choices("abcdefgh-_XYZ", k=rng.choice([1, 30, 31, 32, 500])))
            elif kind == "blob":
                value = rng.randbytes(rng.choice([1, 32, 33, 100, 1900, 4100]))
            else:
                bits = int(kind[1:])
                low = 0 if kind[0] == "u" else -(1 << bits - 1)
                value = rng.choice([low, low + (1 << bits) - 1, rng.randrange(1 << bits) + low])
            rows.append((f"space{namespace}", f"key{number}", kind, value))
    return rows


@pytest.mark.parametrize("seed", range(6))
def test_reads_what_the_generator_makes(tmp_path, seed):
    rows = random_rows(random.Random(seed), 12)
    path = generate(tmp_path, rows, 0x20000)
    before = path.read_bytes()
    answers = drive(path, [f"get {ns} {key} {TYPES[kind]}" for ns, key, kind, _ in rows])
    assert answers == [(0, stored(kind, value)) for _, _, kind, value in rows]
    # A look changes nothing.
    assert path.read_bytes() == before
    assert drive(path, ["get space0 nothing 0x14", "get nowhere key0 0x14"]) == [
        (NOT_FOUND, b""), (NOT_FOUND, b"")]


def test_reads_the_first_blob_format(tmp_path):
    rows = [("space", "small", "blob", b"abc"), ("space", "larger", "blob", bytes(range(256)) * 7),
            ("space", "number", "i32", -5)]
    path = generate(tmp_path, rows, 0x4000, version=1)
    image = bytearray(path.read_bytes())
    assert image[8] == 0xFF
    answers = drive(path, [f"get {ns} {key} {TYPES[kind]}" for ns, key, kind, _ in rows])
    assert answers == [(0, stored(kind, value)) for _, _, kind, value in rows]
    # A change stores it in the format of today.
    drive(path, [f"set space small 0x42 {b'new'.hex()}"])
    assert nvs_reader.read(path.read_bytes())["space"]["small"] == ("blob", b"new")


def test_goes_on_where_the_generator_stopped(tmp_path):
    rows = random_rows(random.Random(77), 10)
    path = generate(tmp_path, rows, 0x20000)
    expected = nvs_reader.read(path.read_bytes())
    drive(path, ["set space0 fresh 0x14 2a000000", f"set space1 key0 0x42 {b'other'.hex()}",
                 "erase space2 key1"])
    expected["space0"]["fresh"] = 42
    expected["space1"]["key0"] = ("blob", b"other")
    del expected["space2"]["key1"]
    assert nvs_reader.read(path.read_bytes()) == expected


@pytest.mark.parametrize("pages", [3, 4, 7])
def test_another_reader_agrees_after_many_changes(tmp_path, pages):
    rng = random.Random(pages)
    path = tmp_path / "nvs.bin"
    path.write_bytes(b"\xff" * 4096 * pages)
    model = {"one": {}, "two": {}}
    for _ in range(60):
        lines, changes = [], []
        for _ in range(40):
            namespace, key = rng.choice(list(model)), f"key{rng.randrange(12)}"
            kind = rng.choice(list(TYPES) + ["erase"])
            if kind == "erase":
                lines.append(f"erase {namespace} {key}")
                changes.append((namespace, key, None))
                continue
            if kind in ("string", "blob"):
                data = rng.randbytes(rng.choice([0, 1, 31, 32, 33, 300, 1000, 4050]))
                data = data[:3999].replace(b"\0", b"x") + b"\0" if kind == "string" else data
                value = data if kind == "string" else ("blob", data)
            else:
                data = rng.randbytes(TYPES[kind] & 15)
                value = struct.unpack("<" + nvs_reader.NUMBERS[TYPES[kind]], data)[0]
            lines.append(f"set {namespace} {key} {TYPES[kind]} {data.hex()}.")
            changes.append((namespace, key, value))
        for (code, _), (namespace, key, value) in zip(drive(path, lines), changes):
            if value is None:
                assert code == (0 if key in model[namespace] else NOT_FOUND)
                model[namespace].pop(key, None)
            elif code == 0:
                model[namespace][key] = value
            else:
                assert code == NO_SPACE, f"{code:#x}"
        found = nvs_reader.read(path.read_bytes())
        assert {ns: found.get(ns, {}) for ns in model} == model
