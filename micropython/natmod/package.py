#!/usr/bin/env python3
"""Lays out packages for `baton install` and for mip.

  package.py NATMOD OUT ARCH ...
  package.py --sum NATMOD       (prints what __init__ has to know of parts.bin)

Of each architecture OUT gets baton-ARCH, the module "stock" and the compiled
package baton, and baton-small-ARCH, the small module and the package
baton_small: their files and a package.json that names them. OUT/index is a
package index of all of them, for mip's --index. Packages of architectures that
are not named stay as they are.

The files of baton but __init__ and the texts are one, parts.bin:

  4   "BPRT"
  2   1, the version of this form
  2   size of the head
  4   CRC-32 of the head
      the head: a line "/NAME OFFSET SIZE CRC" for each, the CRC in hex
      the files

Numbers are little-endian; offsets are from the beginning. __init__ takes the head
that it was built with, and by that these very files, no other's.
"""
# SPDX-License-Identifier: MIT
import hashlib
import json
import re
import shutil
import struct
import sys
import zlib
from pathlib import Path

ABI = "6"  # what mip asks an index for: the version of the .mpy format
HASH_DIGITS = 8
# By the module that each stands on.
PACKAGES = {"stock": "baton", "small": "baton_small"}

PARTS = "parts.bin"
MAGIC, FORM = b"BPRT", 1
PREFIX = struct.Struct("<4sHHI")
# In the order in which an update takes them; the others come behind.
ORDER = ("port", "policy", "net", "web", "url", "identity", "channel", "trust", "manifest",
         "fetch", "journal", "sectors", "payload", "block", "trial", "report", "errors")


def version_of(header):
    return re.search(r'BATON_VERSION_STRING "([^"]+)"', header.read_text())[1]


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def bundle(paths):
    """parts.bin of these files."""
    files = [(path.name, path.read_bytes()) for path in paths]

    def head(start):
        text = ""
        for name, data in files:
            text += f"/{name} {start:06} {len(data)} {zlib.crc32(data):08x}\n"
            start += len(data)
        return text.encode()

    size = len(head(0))  # the same for every offset
    text = head(PREFIX.size + size)
    assert len(text) == size < 1 << 16
    prefix = PREFIX.pack(MAGIC, FORM, size, zlib.crc32(text))
    return prefix + text + b"".join(data for _, data in files)


def print_sum(natmod):
    crc = PREFIX.unpack_from(bundle(parts_of(natmod)))[3]
    print(f"_PARTS_SUM = const({crc:#x})")


def place_in_order(path):
    known = path.stem in ORDER
    return not known, ORDER.index(path.stem) if known else 0, path.stem


def parts_of(natmod):
    paths = (natmod / "python" / "baton").glob("*.mpy")
    return sorted((path for path in paths if path.stem != "__init__"), key=place_in_order)


def files_of(natmod, arch, size):
    """Where a file goes on the device, and what is in it."""
    name, parts = PACKAGES[size], []
    yield "_baton.mpy", (natmod / arch / size / "_baton.mpy").read_bytes()
    if size == "stock":
        parts = parts_of(natmod)
        yield f"{name}/{PARTS}", bundle(parts)
    # __init__ is the last to arrive: what it takes is there.
    paths = sorted((natmod / "python" / name).iterdir(), key=lambda path: (path.stem == "__init__", path))
    for path in paths:
        if path not in parts:
            yield f"{name}/{path.name}", path.read_bytes()


def obsolete(natmod, size):
    """What an installation of before has and nothing needs: `baton install`
    removes it; mip does not know the word, and there it is never looked at."""
    return sorted(f"baton/{path.name}" for path in parts_of(natmod)) if size == "stock" else []


def store(path, data):
    """The name says what is in it; somebody may be reading it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_bytes(data)
    new.replace(path)


def lay_out(natmod, out, arch, size, version):
    name = f"{PACKAGES[size]}-{arch}".replace("_", "-")
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    urls, hashes = [], []
    for target, data in files_of(natmod, arch, size):
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        (folder / target).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()[:HASH_DIGITS]
        store(out / "index" / "file" / digest[:2] / digest, data)
        urls.append([target, target])
        hashes.append([target, digest])
    write_json(folder / "package.json", {"v": 1, "version": version, "deps": [], "urls": urls,
                                         "obsolete": obsolete(natmod, size)})
    for wanted in (version, "latest"):
        write_json(out / "index" / "package" / ABI / name / f"{wanted}.json",
                   {"v": 1, "version": version, "deps": [], "hashes": hashes})


def main(natmod, out, *archs):
    version = version_of(Path(__file__).resolve().parents[2] / "include/baton/version.h")
    for arch in archs:
        for size in PACKAGES:
            lay_out(Path(natmod), Path(out), arch, size, version)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    if sys.argv[1] == "--sum":
        print_sum(Path(sys.argv[2]))
        sys.exit()
    main(*sys.argv[1:])
