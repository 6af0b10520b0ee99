# The methods that the benchmark compares, each as commands to run.
# SPDX-License-Identifier: MIT
#
# A method that is a Python package runs as `worker.py`, so that its time and
# its memory are those of a process of its own, as for the others.
import dataclasses
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BATON = os.path.join(ROOT, os.environ.get("BUILD", "build"), "baton")
KIB = 1024
MIB = 1024 * KIB


@dataclasses.dataclass(frozen=True)
class Method:
    """One way to send `new` to a device that may have `old`.

    encode, decode, idle: argument lists with {old} {new} {patch} {out}, and
    ">" before the file that takes the standard output; idle
    does everything that decode does but the decoding. A decoder that is not
    compiled code has no `idle`, and its instructions are not counted.
    ram: bytes that its format makes a decoder hold, of (old, new) lengths.
    """

    name: str
    encode: list
    decode: list
    idle: list | None
    ram: object
    is_delta: bool = True
    is_ours: bool = False
    toggle: str | None = None


def worker(name, ram, is_delta=True, is_native=True):
    def run(verb):
        return [sys.executable, os.path.join(HERE, "worker.py"), name, verb,
                "{old}", "{new}", "{patch}", "{out}"]
    return Method(name, run("encode"), run("decode"),
                  run("idle") if is_native else None, ram, is_delta)


def both_images(extra):
    return lambda old, new: old + new + extra


def at_least(size):
    return lambda old, new: size


def window(limit, extra=0):
    return lambda old, new: min(limit, 1 << (new - 1).bit_length()) + extra


# An LZMA decoder's probabilities, lc + lp = 3.
LZMA = 16 * KIB
# A bzip2 decoder at level 9, from its manual: 100 KB and 4 bytes a byte.
BZIP2 = 100_000 + 4 * 900_000

DELTAS = [
    worker("detools heatshrink w8", at_least(256), is_native=False),
    worker("detools heatshrink w11", at_least(2 * KIB), is_native=False),
    worker("detools crle", at_least(0), is_native=False),
    worker("detools lzma", window(8 * MIB, LZMA), is_native=False),
    Method("bsdiff (bzip2)", ["bsdiff", "{old}", "{new}", "{patch}"],
           ["bspatch", "{old}", "{out}", "{patch}"], ["true"],
           both_images(3 * BZIP2)),
    worker("bsdiff + zstd", both_images(0)),
    worker("bsdiff + xz", both_images(0)),
    Method("xdelta3 -9",
           ["xdelta3", "-q", "-f", "-e", "-9", "-B", "67108864",
            "-s", "{old}", "{new}", "{patch}"],
           ["xdelta3", "-q", "-f", "-d", "-s", "{old}", "{patch}", "{out}"],
           ["xdelta3", "-V"], lambda old, new: old + min(new, 8 * MIB)),
    Method("zstd -22 --patch-from",
           ["zstd", "-q", "-f", "--ultra", "-22", "--long=27", "--patch-from", "{old}",
            "{new}", "-o", "{patch}"],
           ["zstd", "-q", "-f", "-d", "--long=27", "--patch-from", "{old}",
            "{patch}", "-o", "{out}"],
           ["zstd", "-V"], both_images(0)),
    worker("HDiffPatch lzma2 16k", at_least(16 * KIB + LZMA)),
    worker("HDiffPatch lzma2 4m", window(4 * MIB, LZMA)),
    worker("HPatchLite tuz 16k", at_least(16 * KIB)),
]

FULLS = [
    Method("xz -9e", ["xz", "-9e", "-T1", "-c", "{new}", ">", "{patch}"],
           ["xz", "-d", "-c", "{patch}", ">", "{out}"], ["xz", "-V"],
           window(64 * MIB, LZMA), is_delta=False),
    Method("zstd -22",
           ["zstd", "-q", "-f", "--ultra", "-22", "{new}", "-o", "{patch}"],
           ["zstd", "-q", "-f", "-d", "{patch}", "-o", "{out}"],
           ["zstd", "-V"], window(128 * MIB), is_delta=False),
    worker("brotli -q 11 -w 24", window(16 * MIB), is_delta=False),
    worker("heatshrink w11", at_least(2 * KIB), is_delta=False),
    worker("heatshrink w8", at_least(256), is_delta=False),
]
