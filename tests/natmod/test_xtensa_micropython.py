# The native modules of ESP32 in the interpreter they are for: real MicroPython,
# compiled for Xtensa, imports the very files that a chip imports, under
# qemu-xtensa. What there is of a chip are partitions in memory.
# SPDX-License-Identifier: MIT
import hashlib
import shutil
import subprocess

import pytest

from flash_helpers import INVALID, NEW, VALID, image, record

SIZES = ["small", "stock", "full"]
SLOT_BYTES = 0x10000

PARTITIONS = """
import gc, hashlib, host, sys
import _baton

WASTE = [None] * 6000
PIECES = [b"\\xa5" * size for size in (4096, 240, 16)]


def fill_memory():
    "Writes over everything that nothing refers to."
    gc.collect()
    at = 0
    for piece in PIECES:
        try:
            while True:
                WASTE[at] = bytearray(piece)
                at += 1
        except MemoryError:
            pass
    for i in range(at):
        WASTE[i] = None
    gc.collect()


def nothing():
    pass


class Partition:
    hook = nothing

    def __init__(self, subtype, addr, data):
        self.subtype, self.addr, self.data = subtype, addr, data
    def info(self):
        return (0, self.subtype, self.addr, len(self.data), "part", False)
    def span(self, n, off, buf):
        Partition.hook()
        at = n * 4096 + off
        if at + len(buf) > len(self.data):
            raise RuntimeError("outside of the partition")
        return at
    def readblocks(self, n, buf, off):
        at = self.span(n, off, buf)
        buf[:] = memoryview(self.data)[at:at + len(buf)]
    def writeblocks(self, n, buf, off):
        at = self.span(n, off, buf)
        old = bytes(memoryview(self.data)[at:at + len(buf)])
        if old != b"\\xff" * len(old):
            for i in range(len(old)):
                if ~old[i] & buf[i]:
                    raise RuntimeError("not erased")
        self.data[at:at + len(buf)] = buf
    def ioctl(self, op, n):
        Partition.hook()
        if op != 6 or n * 4096 >= len(self.data):
            raise RuntimeError("no such call")
        self.data[n * 4096:n * 4096 + 4096] = b"\\xff" * 4096
        return 0


def blank(size):
    return bytearray(b"\\xff" * size)


def error_of(function, *args):
    try:
        return function(*args)
    except OSError as error:
        return error.errno


def hash_of(partition):
    digest = hashlib.sha256(partition.data).digest()
    return "".join("%02x" % byte for byte in digest)


def install(new, size):
    update = _baton.begin(flash, SLOT, RUNNING, 0, len(new))
    for at in range(0, len(new), size):
        safe = _baton.write(update, memoryview(new)[at:at + size])
    print("written", safe, *_baton.end(update))


SLOT, RUNNING, OTADATA = range(3)
old = host.read("old.bin")
new = host.read("new.bin")
slot = Partition(0x11, 0x20000, blank(0x10000))
running = Partition(0x10, 0x10000, bytearray(old) + blank(0x10000 - len(old)))
otadata = Partition(0, 0xd000, bytearray(host.read("otadata.bin")))
flash = _baton.flash(None, slot, running, otadata)
"""


def padded(data):
    return hashlib.sha256(data.ljust(SLOT_BYTES, b"\xff")).hexdigest()


@pytest.fixture(scope="module")
def interpreter(repo):
    if not shutil.which("qemu-xtensa"):
        pytest.skip("qemu-xtensa is missing")
    out = repo / "build" / "micropython-xtensawin"
    made = subprocess.run([repo / "scripts" / "micropython", "xtensa", "--out", out], cwd=repo,
                          capture_output=True, text=True, timeout=900)
    if " needs " in made.stderr:
        pytest.skip(made.stderr.strip().splitlines()[0])
    assert made.returncode == 0, made.stderr
    return out


@pytest.fixture(scope="module")
def images():
    return (image("v1", payload=b"old", size=24000),
            image("v2", payload=bytes(i * i >> 3 & 0xFF for i in range(30000)), size=31000))


@pytest.fixture
def run(interpreter, natmod, images, tmp_path):
    """run(size, script) returns the lines that the script prints."""
    old, new = images
    (tmp_path / "old.bin").write_bytes(old)
    (tmp_path / "new.bin").write_bytes(new)
    (tmp_path / "otadata.bin").write_bytes(record(1, VALID).ljust(8192, b"\xff"))

    def run(size, script):
        (tmp_path / "main.py").write_text(script)
        done = subprocess.run(
            ["qemu-xtensa", "-cpu", "dc233c", interpreter, "main.py", natmod("xtensawin", size).parent],
            cwd=tmp_path, capture_output=True, timeout=300)
        assert done.returncode == 0, done
        return done.stdout.decode().splitlines()

    return run


SMALL = "begin confirm end flash reject settle switch verify write".split()


@pytest.mark.parametrize("size", SIZES)
def test_import(run, natmod, tmp_path, size):
    """The interpreter takes this architecture's file, and no other's."""
    module = natmod("xtensawin", size)
    other = bytearray(module.read_bytes())
    other[2] = 9 << 2 | other[2] & 3  # xtensa without windows
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "_baton.mpy").write_bytes(other)
    lines = run(size, """
import sys
print(sys.implementation._mpy >> 10, sys.implementation._mpy & 0x3ff)
import _baton
print(_baton.__file__)
print(*(name for name in sorted(dir(_baton)) if name[0] != "_"))
del sys.modules["_baton"]
sys.path[:] = ["other"]
try:
    import _baton
    print("no error")
except ValueError as error:
    print(error)
""")
    assert lines[0] == f"10 {3 << 8 | 6}"
    assert lines[1] == str(module)
    names = lines[2].split()
    assert names == SMALL if size == "small" else set(names) > set(SMALL) | {"verify_p256"}
    assert lines[3] == "incompatible .mpy arch"


LIFE = PARTITIONS + """
Partition.hook = HOOK
_baton.settle(flash, OTADATA, 2, 0)
print("verified", *_baton.verify(flash, RUNNING, 0))
install(new, 700)
print(hash_of(slot), hash_of(running))
_baton.switch(flash, OTADATA, 2, 1, 0)


def records():
    print(*("".join("%02x" % byte for byte in otadata.data[at:at + 32]) for at in (0, 4096)))


records()
# The new version runs, confirms, and updates to the next one, which gives up.
_baton.confirm(flash, OTADATA, 2, 1, True)
records()
_baton.settle(flash, OTADATA, 2, 1)
flash = _baton.flash(None, running, slot, otadata)
install(old, 4097)
print(hash_of(slot), hash_of(running))
_baton.switch(flash, OTADATA, 2, 0, 1)
_baton.reject(flash, OTADATA, 2, 0)
records()
"""


@pytest.mark.parametrize("hook", ["nothing", "fill_memory"])
@pytest.mark.parametrize("size", SIZES)
def test_life(run, images, size, hook):
    """With fill_memory, what is alive by the module's own variables only would
    be overwritten in every call of a partition."""
    old, new = images
    lines = iter(run(size, LIFE.replace("HOOK", hook)))

    def told(word, data, version):
        return f"{word} {len(data)} {data[-32:]} 0 0 {version} blink Sep 11 2025 12:00:00 v5.4.2"

    assert next(lines) == told("verified", old, "v1")
    assert next(lines) == told(f"written {len(new) // 4096 * 4096}", new, "v2")
    assert next(lines) == f"{padded(new)} {padded(old)}"
    after_switch, after_confirm = next(lines).split(), next(lines).split()
    assert after_switch == [record(1, VALID).hex(), record(2, NEW).hex()]
    assert after_confirm == [record(1, VALID).hex(), record(2, VALID).hex()]
    assert next(lines) == told(f"written {len(old) // 4096 * 4096}", old, "v1")
    assert next(lines) == f"{padded(new)} {padded(old)}"
    assert next(lines).split() == [record(3, INVALID).hex(), record(2, VALID).hex()]
    assert next(lines, None) is None
