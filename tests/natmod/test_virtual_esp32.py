# The native module in the virtual ESP32, whose esp32.Partition it works on: a
# whole update, refusals, exceptions on the way, and the power cut anywhere.
# SPDX-License-Identifier: MIT
import json
import os
import random
import shutil
import subprocess

import pytest

from flash_helpers import get, get_records, image, record, PENDING, VALID

LAYOUT = "micropython-4mib-ota"
OTA_1 = 0x190000
SEED = int(os.environ.get("BATON_SEED", str(random.randrange(2**32))))

# Raises in one of its calls, when `left` of them have come; 0: never.
BROKEN_PARTITION = """
class Broken:
    def __init__(self, partition, left):
        self.partition = partition
        self.left = left
    def info(self):
        return self.partition.info()
    def count(self):
        self.left -= 1
        if self.left == 0:
            raise ValueError("broken")
    def readblocks(self, *args):
        self.count()
        return self.partition.readblocks(*args)
    def writeblocks(self, *args):
        self.count()
        return self.partition.writeblocks(*args)
    def ioctl(self, *args):
        self.count()
        return self.partition.ioctl(*args)
"""

OPEN = """
import machine, os, sys
import _baton
from esp32 import Partition

running = Partition(Partition.RUNNING)
slot = running.get_next_update()
otadata = Partition.find(Partition.TYPE_DATA, 0)[0]
SLOT, RUNNING, OTADATA = range(3)
own = int(running.info()[4][-1])


def error_of(function, *args):
    try:
        return function(*args)
    except OSError as error:
        return error.errno
"""

# One script for both versions, and for going on after any cut.
LIFE = OPEN + """
flash = _baton.flash(%s, slot, running, otadata)
version = os.uname().version.split()[0]
_baton.settle(flash, OTADATA, 2, own)
if version == "v2":
    _baton.confirm(flash, OTADATA, 2, own, True)
    print("confirmed", _baton.verify(flash, RUNNING, 0)[4])
else:
    update = _baton.begin(flash, SLOT, RUNNING, 0, os.stat("new.img")[6])
    with open("new.img", "rb") as file:
        piece = bytearray(3000)
        while True:
            n = file.readinto(piece)
            if not n:
                break
            safe = _baton.write(update, memoryview(piece)[:n])
    print("written", _baton.end(update)[4], safe)
    _baton.switch(flash, OTADATA, 2, 1 - own, 0)
    machine.reset()
"""


class Board:
    def __init__(self, baton_path, folder, module, size=150000, old=None, new=None):
        self.baton_path = baton_path
        self.folder = folder
        self.path = folder / "dev.bin"
        self.fs = folder / "fs"
        self.fs.mkdir()
        shutil.copy(module, self.fs)
        self.new = new or image("v2", size=size)
        (self.fs / "new.img").write_bytes(self.new)
        (folder / "old.img").write_bytes(old or image("v1", size=size))
        self.renew()

    def renew(self):
        for path in self.folder.glob("dev.bin*"):
            path.unlink()
        self.call("flash", "make", "--layout", LAYOUT, "--ota_0", "old.img", "-o", "dev.bin")

    def call(self, *args):
        return subprocess.run([self.baton_path, *map(str, args)], text=True, cwd=self.folder,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=120)

    def run(self, script, *args):
        """Returns (console, report)."""
        (self.fs / "main.py").write_text(script)
        done = self.call("sim", "--flash", "dev.bin", "--fs", "fs", "--json", "--no-repl",
                         "--timeout", 60, *args)
        *console, last = done.stdout.splitlines() or [""]
        assert last.startswith("{"), done
        return "\n".join(line for line in console if "boot:" not in line), json.loads(last)


@pytest.fixture
def board(baton_path, tmp_path, natmod):
    return Board(baton_path, tmp_path, natmod("x64", "full"))


BESIDE = OPEN + """
flash = _baton.flash(None, slot, running, otadata)
_baton.ahead(flash, bytearray(8192))
for copy in range(2):
    _baton.settle(flash, OTADATA, 2, own)
    for sector in range(2):
        otadata.ioctl(6, sector)
    otadata.writeblocks(copy, bytes.fromhex(%r), 0)
    _baton.confirm(flash, OTADATA, 2, own, True)
    states = []
    for sector in range(2):
        state = bytearray(4)
        otadata.readblocks(sector, state, 24)
        states.append(state[0])
    print(copy, 2 in states)
"""


def test_a_script_that_writes_beside_it(board):
    """What was read ahead in one call is read anew in the next."""
    console, report = board.run(BESIDE % record(1, PENDING).hex())
    assert console.splitlines()[-2:] == ["0 True", "1 True"], console
    assert report["violations"] == 0


@pytest.mark.parametrize("block", ["None", "bytearray(65536)"])
@pytest.mark.parametrize("size", ["small", "stock", "full"])
def test_life(baton_path, tmp_path, natmod, size, block):
    board = Board(baton_path, tmp_path, natmod("x64", size))
    console, report = board.run(LIFE % block)
    assert f"written v2 {len(board.new) // 4096 * 4096}" in console
    assert "confirmed v2" in console
    assert report["violations"] == 0
    assert get(board.path, OTA_1, len(board.new)) == board.new
    assert get_records(board.path)[1] == record(2, VALID)


STOCK = set("check codec finish flush head payload push records stats verify_p256".split())
SMALL = "ahead begin confirm end flash reject settle switch verify write".split()


@pytest.mark.parametrize("size", ["small", "stock", "full"])
def test_names(baton_path, tmp_path, natmod, size):
    """It is the file that is imported, and the small one has what an update
    takes, no more."""
    board = Board(baton_path, tmp_path, natmod("x64", size))
    console, _ = board.run("import _baton\nprint(_baton.__file__)\n"
                           "print(*(n for n in sorted(dir(_baton)) if n[0] != '_'))\n")
    file, names = console.splitlines()[-2:]
    assert file.endswith("_baton.mpy")
    if size == "small":
        assert names.split() == SMALL
    elif size == "stock":
        assert set(names.split()) == set(SMALL) | STOCK
    else:
        assert set(names.split()) > set(SMALL) | STOCK | {"agent", "agent_step"}


AGENT = """
import _baton, baton, sys
assert _baton.__file__
print(baton.Error(-223).name, baton.Error(-223), sep="|")
"""


def test_package_stands_on_the_module(baton_path, tmp_path, natmod, repo):
    """The compiled package from the file system, not the one that is frozen."""
    board = Board(baton_path, tmp_path, natmod("x64", "full"))
    shutil.copytree(repo / "build" / "packages" / "baton-x64", board.fs, dirs_exist_ok=True)
    console, _ = board.run("import sys\nsys.path[:] = [p for p in sys.path if 'frozen' not in p]\n" + AGENT)
    assert console.splitlines()[-1] == "BATON_ERR_IMAGE_CHIP|the image is for another chip", console


def test_refusals_name_their_code(board):
    script = OPEN + """
flash = _baton.flash(None, slot, running, otadata)
print(error_of(_baton.check, b"PK\\x03\\x04" + bytes(300), 5000, 0x180000, 0))
print(error_of(_baton.verify, flash, SLOT, 0), error_of(_baton.verify, flash, RUNNING, 5))
print(error_of(_baton.verify, flash, 3, 0), error_of(_baton.verify, otadata, 0, 0))
print(error_of(_baton.begin, flash, RUNNING, RUNNING, 0))
print(error_of(_baton.begin, flash, SLOT, RUNNING, 0, 0x180001))
print(error_of(_baton.begin, flash, SLOT, RUNNING, 0, 5000, 0, b"short"))
print(error_of(_baton.switch, flash, RUNNING, 2, 2, 0), error_of(_baton.switch, flash, OTADATA, 2, 2, 0))
print(error_of(_baton.confirm, flash, OTADATA, 2, 1, True))
update = _baton.begin(flash, SLOT, RUNNING, 0)
print(error_of(_baton.write, update, b"<html>" + bytes(300)), error_of(_baton.write, update, b"x"))
print(error_of(_baton.write, flash, b"x"), error_of(_baton.end, 5), error_of(_baton.flash, bytearray(5), slot))
print(_baton.stats(update), _baton.records(flash, OTADATA))
for bad in ((_baton.flash, None, 5), (_baton.write, update, 5), (_baton.flash, None)):
    try:
        bad[0](*bad[1:])
        print("no error")
    except (TypeError, AttributeError) as error:
        print(type(error).__name__)
"""
    console, _ = board.run(script)
    assert get(board.path, OTA_1, 0x180000) == b"\xff" * 0x180000
    assert console.splitlines()[-14:] == [
        "-217", "-220 -223", "-34 -22", "-205", "-231", "-22", "-204 -204", "-286",
        "-218 -218", "-22 -22 -22",
        "(0, 0, 0, 0) (0, (1, 2, True), (4294967295, 4294967295, False))",
        "AttributeError", "TypeError", "TypeError"]


# The example of RFC 7515, appendix A.3.
SIGNATURE = """
import _baton, binascii, hashlib
def b64(text):
    text = text.replace("-", "+").replace("_", "/")
    return binascii.a2b_base64(text + "=" * (-len(text) % 4))
key = b64("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU") + b64("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")
text = b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
signature = b64("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
print(_baton.verify_p256(key, hashlib.sha256(text).digest(), signature))
print(_baton.verify_p256(key, hashlib.sha256(text + b".").digest(), signature))
"""


def test_signature(board):
    console, _ = board.run(SIGNATURE)
    assert console.splitlines()[-2:] == ["True", "False"]


def test_exception_out_of_a_partition(board):
    """What a method of the partition raises comes through as it is, and the
    update it came out of does not go on."""
    script = OPEN + BROKEN_PARTITION + """
flash = _baton.flash(None, Broken(slot, 30), running)
update = _baton.begin(flash, SLOT, RUNNING, 0)
data = open("new.img", "rb").read()
try:
    _baton.write(update, data)
except ValueError as error:
    print(error)
print(error_of(_baton.write, update, data), error_of(_baton.end, update))
update = _baton.begin(flash, SLOT, RUNNING, 0)
_baton.write(update, data)
print(_baton.end(update)[0] == len(data))
"""
    console, _ = board.run(script)
    assert console.splitlines()[-3:] == ["broken", "-200 -200", "True"]


def test_power_cuts(board):
    """Wherever it happens: the next boot has a firmware, and gets to the end."""
    rng = random.Random(SEED)
    _, report = board.run(LIFE % "None")
    total = report["operations"]
    for _ in range(int(os.environ.get("NATMOD_CUTS", "12"))):
        at, mode = rng.randrange(1, total + 1), rng.choice(["before", "torn", "garbage", "after", "weak"])
        board.renew()
        console, report = board.run(LIFE % "None", "--cut-at", at, "--cut-mode", mode, "--seed", SEED % 1000)
        assert "confirmed v2" in console, f"BATON_SEED={SEED}: {at} {mode}: {console}"
        assert get(board.path, OTA_1, len(board.new)) == board.new
