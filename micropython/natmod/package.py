#!/usr/bin/env python3
"""Lays out packages for `baton install` and for mip.

  package.py NATMOD OUT ARCH ...

Of each architecture OUT gets baton-ARCH, the module "stock" and the compiled
package baton, and baton-small-ARCH, the small module and the package
baton_small: their files and a package.json that names them. OUT/index is a
package index of all of them, for mip's --index. Packages of architectures that are not named stay as they are.
"""
# SPDX-License-Identifier: MIT
import hashlib
import json
import re
import shutil
import sys
from pathlib import Path

ABI = "6"  # what mip asks an index for: the version of the .mpy format
HASH_DIGITS = 8
# By the module that each stands on.
PACKAGES = {"stock": "baton", "small": "baton_small"}


def version_of(header):
    return re.search(r'BATON_VERSION_STRING "([^"]+)"', header.read_text())[1]


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def files_of(natmod, arch, size):
    """Where a file goes on the device, and where it is."""
    yield "_baton.mpy", natmod / arch / size / "_baton.mpy"
    python = natmod / "python"
    for path in sorted((python / PACKAGES[size]).iterdir()):
        yield str(path.relative_to(python)), path


def lay_out(natmod, out, arch, size, version):
    name = f"{PACKAGES[size]}-{arch}".replace("_", "-")
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    urls, hashes = [], []
    for target, source in files_of(natmod, arch, size):
        data = source.read_bytes()
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        (folder / target).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()[:HASH_DIGITS]
        stored = out / "index" / "file" / digest[:2] / digest
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_bytes(data)
        urls.append([target, target])
        hashes.append([target, digest])
    write_json(folder / "package.json", {"v": 1, "version": version, "deps": [], "urls": urls})
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
    main(*sys.argv[1:])
