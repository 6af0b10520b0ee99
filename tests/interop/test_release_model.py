"""The core's reader of signed payloads, and the Python package's, against a model
in Python.

BATON_SEED draws other cases, BATON_CASES more of them; a failure prints the
payload."""

# SPDX-License-Identifier: MIT
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

import release_model

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "tests" / "e2e")]

from flash_helpers import image  # noqa: E402
from policy_helpers import POLICIES  # noqa: E402

DRIVER = ROOT / "build" / "tests" / "interop" / "manifest_driver"
SEED = int(os.environ.get("BATON_SEED", "1"))
CASES = int(os.environ.get("BATON_CASES", "1500"))
SHA = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
SHB = "_wECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"


def drive(kind, payloads):
    lines = "".join(f"{kind} {data.hex()}\n" for data in payloads)
    done = subprocess.run([DRIVER], input=lines, capture_output=True,
                          text=True, check=True, timeout=300)
    return done.stdout.splitlines()


READER = r"""
import binascii, sys
import _baton as whole
class native:
    error = whole.error
    verify_p256 = lambda *args: True
sys.modules["_baton"] = native
from baton import manifest, trust
KEY = bytes(range(64))
class Store:
    def get(self, name, raw):
        return -2
    def set(self, name, data):
        return 0
def wrap(kind, data):
    header = '{"alg":"ES256","kid":"%s","typ":"%s"}' % (
        str(manifest.key_id(KEY), "ascii"), kind)
    parts = (header.encode(), data, bytes(64))
    return b".".join(manifest.b64(part) for part in parts)
def read(kind, data):
    if kind == "json":
        manifest.parse(data)
        return ()
    known = trust.Trust(Store())
    if kind == "keys":
        known.root = KEY
        manifest.install_keys(known, wrap("baton-keys+jws", data), 1000)
        return known.version, len(known.keys), known.sequence
    known.keys = [KEY]
    m = manifest.Manifest(wrap("baton-release+jws", data), known)
    is_in = m.is_in(bytes((1, 2, 3)))
    return m.sequence, m.bytes, len(m.payloads), int(is_in), m.pick(None, 15904, 0)
with open("cases") as file:
    for line in file:
        kind, data = line.rstrip("\n").split(" ")
        try:
            print("BATON_OK", *read(kind, binascii.unhexlify(data)))
        except OSError as exc:
            print(native.error(exc.args[0])[0])
"""


class Drive:
    """The reader in C, or the Python package's on the virtual ESP32."""

    def __init__(self, policy, baton, folder):
        self.policy, self.baton, self.folder = policy, baton, folder

    def __call__(self, kind, payloads):
        if self.policy == "c":
            return drive(kind, payloads)
        fs = self.folder / "fs"
        if not fs.is_dir():
            fs.mkdir()
            (self.folder / "v1").write_bytes(image("v1", size=5000))
            self.baton("flash", "make", "--layout", "micropython-4mib-ota",
                       "--ota_0", "v1", "-o", "dev.bin", code=0)
        (fs / "main.py").write_text(READER)
        (fs / "cases").write_text("".join(
            f"{kind} {data.hex()}\n" for data in payloads))
        done = self.baton("sim", "--flash", "dev.bin", "--fs", "fs", "--no-repl",
                          "--quiet", "--timeout", 300, timeout=300)
        return done.stdout.splitlines()


@pytest.fixture(params=POLICIES)
def read(request, baton, tmp_path):
    return Drive(request.param, baton, tmp_path)


def compare(drive, kind, payloads, model):
    answers = drive(kind, payloads)
    assert len(answers) == len(payloads)
    verdicts = {}
    for data, answer in zip(payloads, answers):
        wanted = model(data)
        assert answer == wanted, f"seed {SEED}: {data!r}"
        verdict = answer.split(" ")[0]
        verdicts[verdict] = verdicts.get(verdict, 0) + 1
    return verdicts


# ---- JSON ------------------------------------------------------------------

PIECES = ['{', '}', '[', ']', ',', ':', ' ', '\n', '\t', '\r', '"a"', '"b"',
          '"c":', '"d":1', '""', '"é"', '"\\u00e9"', '"\\ud83d\\ude00"',
          '"\\ud800"', '"\\u0000"', '"\\', '\\', '/', '0', '-0', '01', '1.5',
          '1e9', '1E', '.5', '-', '+1', '18446744073709551616', 'true', 'false',
          'null', 'nul', 'NaN', "'a'", '\0', '\x01', '\x7f', '\u2028', '{}',
          '[]', '{"a":1}', '{"a":1,"a":2}', '[' * 7, ']' * 7]


def draw_value(draw, depth):
    kind = draw.randrange(8 if depth < 9 else 5)
    if kind < 2:
        return draw.choice([0, 1, 7, 4294967295, -3, 1.5, True, None])
    if kind < 5:
        return draw.choice(["", "a", "é", "\n", "\"\\/", "\U0001F600", "x" * 40])
    if kind == 5:
        return [draw_value(draw, depth + 1) for _ in range(draw.randrange(4))]
    names = ["a", "b", "c", "é", "long name", ""] + [
        f"n{number}" for number in range(70)]
    count = draw.choice([0, 1, 2, 3, 3, 20, 64, 66])
    depth += 9 if count > 9 else 2  # many members hold nothing large
    return {name: draw_value(draw, depth)
            for name in draw.sample(names, count)}


def spoil(draw, text):
    for _ in range(draw.choice([0, 0, 1, 1, 1, 2, 4])):
        at = draw.randrange(len(text) + 1)
        cut = at + draw.choice([0, 0, 1, 1, 2, 8])
        text = text[:at] + draw.choice(["", *PIECES]) + text[cut:]
    return text


def draw_json(draw):
    if draw.random() < 0.3:
        return "".join(draw.choice(PIECES)
                       for _ in range(draw.randrange(12))).encode()
    value = {"a": draw_value(draw, 1), "b": draw_value(draw, 1)}
    text = json.dumps(value, ensure_ascii=draw.random() < 0.5,
                      separators=draw.choice([(",", ":"), (" , ", " : ")]))
    data = spoil(draw, text).encode("utf-8", "surrogatepass")
    if draw.random() < 0.05:
        at = draw.randrange(len(data))
        data = data[:at] + bytes([draw.randrange(256)]) + data[at + 1:]
    return data[:16000]


def test_json(read):
    draw = random.Random(SEED)
    found = compare(read, "json", [draw_json(draw) for _ in range(CASES)],
                    release_model.check)
    for verdict in ("BATON_OK", "BATON_ERR_JSON_FORMAT",
                    "BATON_ERR_JSON_DUPLICATE", "BATON_ERR_JSON_LIMIT"):
        assert found.get(verdict, 0) > CASES / 300, found


# ---- Releases and key sets -------------------------------------------------

def good_release():
    return {
        "format": 1, "product": "lamp", "chip": 5, "version": "1.2",
        "sequence": 7, "issued": 1700000000, "expires": 1800000000,
        "image": {"bytes": 9000, "sha256": SHA},
        "list": {"bytes": 24, "sha256": SHB, "path": "lists/ab"},
        "payloads": [
            {"encoding": "raw", "bytes": 9000, "sha256": SHA, "path": "p/a.raw"},
            {"encoding": "packed", "profile": "S", "bytes": 5000,
             "sha256": SHB, "path": "p/b.packed"},
            {"encoding": "delta", "profile": "M", "bytes": 50, "sha256": SHB,
             "path": "p/c.delta", "base": {"bytes": 8000, "sha256": SHB}}],
        "board": "c3", "rollout": {"permille": 500, "salt": "x"}, "boot": 1,
        "secure_version": 3, "mpy": 774, "notes": "a\nb",
    }


def good_keys():
    key = {"kty": "EC", "crv": "P-256", "x": SHA, "y": SHB}
    return {"format": 1, "version": 3, "expires": 2000,
            "keys": [dict(key), {**key, "alg": "ES256"}], "sequence": 9}


VALUES = [0, 1, 2, 5, 24, 32, 255, 256, 1000, 1001, 5000, 9000, 9001, 65534,
          65535, 65536, 1 << 24, (1 << 24) + 1, 2**32 - 1, 2**32, 253402300799,
          253402300800, 2**64, -1, 1.0, True, None, "", "a", "x" * 32, "x" * 33,
          "x" * 63, "x" * 64, "é" * 16, "é" * 17, "a\n", "a\x7f", "\x1b", "raw",
          "packed", "delta", "later", "S", "M", "XL", SHA, SHB, SHA[:-1],
          SHA + "A", SHA[:-1] + "9", SHA[:-1] + "=", "a/b", "/a", "a/", "a//b",
          "../a", "a/../b", "a/.b", ".a", "a.b", "a:b", "é", "p" * 127,
          "p" * 128, "P-256", "P-384", "EC", "oct", [], {}, [1], {"a": 1}]


def places(value, at=()):
    """Every place in a document, as a tuple of steps."""
    steps = value.items() if isinstance(value, dict) else (
        enumerate(value) if isinstance(value, list) else ())
    for step, inner in steps:
        yield at + (step,)
        yield from places(inner, at + (step,))


def change(draw, document):
    for _ in range(draw.choice([0, 1, 1, 1, 1, 2, 2, 3])):
        where = draw.choice(list(places(document)))
        holder = document
        for step in where[:-1]:
            holder = holder[step]
        kind = draw.randrange(10)
        if kind < 2:
            del holder[where[-1]]
        elif kind == 2 and isinstance(holder, dict):
            holder[draw.choice(["later", "d", "base", "profile", "salt"])] = \
                draw.choice(VALUES)
        elif kind == 3 and isinstance(holder[where[-1]], list):
            holder[where[-1]] *= draw.choice([2, 3, 4])
        elif kind == 4 and isinstance(holder[where[-1]], int):
            holder[where[-1]] += draw.choice([-1, 1])
        else:
            holder[where[-1]] = draw.choice(VALUES)
        if not document:
            break
    return document


def draw_document(draw, good):
    items = list(change(draw, good()).items())
    draw.shuffle(items)
    text = json.dumps(dict(items), ensure_ascii=draw.random() < 0.5)
    if draw.random() < 0.1:
        text = spoil(draw, text)
    return text.encode("utf-8", "surrogatepass")[:2900]


@pytest.mark.parametrize("kind, good, model", [
    ("release", good_release, release_model.release),
    ("keys", good_keys, release_model.keys)])
def test_documents(read, kind, good, model):
    draw = random.Random(SEED)
    payloads = [draw_document(draw, good) for _ in range(CASES)]
    if kind == "keys":
        payloads = [data[:1300] for data in payloads]
    found = compare(read, kind, payloads, model)
    for verdict in ("BATON_OK", "BATON_ERR_MANIFEST_FORMAT",
                    "BATON_ERR_JSON_FORMAT", "BATON_ERR_MANIFEST_VERSION"):
        assert found.get(verdict, 0) > CASES / 300, found


def test_the_good_ones_are_good(read):
    for kind, good in (("release", good_release), ("keys", good_keys)):
        answer = read(kind, [json.dumps(good()).encode()])[0]
        assert answer.startswith("BATON_OK ")
