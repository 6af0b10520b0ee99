# The package `baton` as a stock firmware has it: compiled files in /lib, the native
# module without an agent, the policy in Python. On the virtual ESP32.
# SPDX-License-Identifier: MIT
import json
import random
import shutil
import subprocess

import pytest

from flash_helpers import image
from test_virtual_esp32 import OTA_1

SIZE = 150000
URL = "http://192.168.4.2:8000/stable.jws"

BOOT = """
import sys
sys.path.insert(0, "/lib")
import baton
baton.start(deadline_s=60)
"""
MAIN = """
import os, network, time, baton, _baton
print("runs", os.uname().version.split(" ")[0])
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("workshop", "secret-key")
while not wlan.isconnected():
    time.sleep_ms(20)
try:
    print(baton.update(%r, keys=%r, product="lamp", retry_min_ms=10))
except baton.Error as exc:
    print(exc.name, exc)
print(hasattr(_baton, "agent"), _baton.__file__, baton.__file__[-12:],
      baton.status()["encoding"])
"""


class Board:
    def __init__(self, baton, folder, module, http_server):
        self.baton, self.folder = baton, folder
        self.fs = folder / "fs"
        shutil.copytree(module.parents[3] / "packages" / "baton-x64",
                        self.fs / "lib")
        body = random.Random(3).randbytes(SIZE // 2) + bytes(SIZE // 2)
        (folder / "v1").write_bytes(image("v1", payload=body))
        (folder / "v2").write_bytes(image("v2", payload=body[:70000] + body[70100:]))
        for name in ("root.pem", "release.pem"):
            self.call("key", "new", name)
        self.call("release", "keys", "--dir", "www", "--root", "root.pem",
                  "release.pem")
        key = self.call("key", "show", "--text", "root.pem").strip()
        (self.fs / "boot.py").write_text(BOOT)
        (self.fs / "main.py").write_text(MAIN % (URL, key))
        self.server = http_server(folder / "www")
        self.renew()

    def call(self, *args):
        return self.baton(*args, code=0).stdout

    def renew(self):
        for path in self.folder.glob("dev.bin*"):
            path.unlink()
        self.call("flash", "make", "--layout", "micropython-4mib-ota", "--ota_0",
                  "v1", "-o", "dev.bin")

    def release(self, *options):
        self.call("release", "make", "v2", "--dir", "www", "--key", "release.pem",
                  "--product", "lamp", "--version", "v2", "--mpy", "6.3", *options)

    def run(self, *options):
        done = self.baton(
            "sim", "--flash", "dev.bin", "--fs", "fs", "--no-repl", "--json",
            "--quiet", "--max-boots", 9, "--timeout", 60, "--map",
            f"192.168.4.2:8000=127.0.0.1:{self.server.port}", *options)
        *console, last = done.stdout.splitlines()
        return console, json.loads(last)


@pytest.fixture
def board(baton, micropython, tmp_path, natmod, http_server):
    assert micropython.is_file()
    return Board(baton, tmp_path, natmod("x64", "stock"), http_server)


@pytest.mark.parametrize("options, encoding", [
    (["--from", "v1"], "delta"), ([], "packed"), (["--raw-only"], "raw")])
def test_a_life(board, options, encoding):
    board.release(*options)
    console, report = board.run()
    assert console == ["runs v1", "runs v2", "False",
                       f"False /lib/_baton.mpy __init__.mpy {encoding}"], console
    assert (report["slot"], report["version"], report["state"]) \
        == ("ota_1", "v2", "VALID")
    # At rest it writes nothing.
    console, report = board.run()
    assert console[:2] == ["runs v2", "False"] and report["operations"] == 0


def test_a_refusal_has_its_sentence(board):
    board.release()
    path = board.folder / "www" / "stable.jws"
    data = path.read_bytes()
    path.write_bytes(data[:-5] + b"AAAA" + data[-1:])
    console, _ = board.run()
    assert console[1] == "BATON_ERR_SIGNATURE the signature is not by the key"


def test_leaves_no_garbage(board):
    """A chip's heap grows by memory of Wi-Fi, which has it back when nothing is left
    in it, and by a collection: after a failure that must not wait for another."""
    main = board.fs / "main.py"
    main.write_text(main.read_text().replace("baton.Error as exc:", """baton.Error as exc:
    import gc
    used = gc.mem_alloc()
    gc.collect()
    print("garbage", used - gc.mem_alloc())"""))
    board.release()
    path = board.folder / "www" / "stable.jws"
    data = path.read_bytes()
    path.write_bytes(data[:-5] + b"AAAA" + data[-1:])
    console, _ = board.run()
    word, garbage = console[1].split()
    assert word == "garbage" and int(garbage) < 4096, console


@pytest.mark.parametrize("mode", ["before", "torn", "garbage", "after", "weak"])
def test_power_cuts(board, mode):
    board.release("--from", "v1")
    for at in range(random.Random(mode).randrange(10, 60), 700, 97):
        board.renew()
        console, report = board.run("--cut-at", at, "--cut-mode", mode, "--seed", at)
        assert (report["version"], report["state"]) == ("v2", "VALID"), (at, console)
        assert report["violations"] == 0


WATCHED = """
import esp32, sys


class Watched:
    TYPE_APP, TYPE_DATA = esp32.Partition.TYPE_APP, esp32.Partition.TYPE_DATA
    RUNNING = esp32.Partition.RUNNING
    calls = []

    @staticmethod
    def find(*args):
        return [Watched(part) for part in esp32.Partition.find(*args)]

    def __init__(self, part):
        self.part = esp32.Partition(part) if isinstance(part, int) else part
        self.label = self.part.info()[4]

    def __getattr__(self, name):
        return getattr(self.part, name)

    def note(self, what, n, buf):
        if self.label == "ota_1":
            Watched.calls.append((what, n, len(buf)))

    def readblocks(self, n, buf, off=0):
        self.note("r", n, buf)
        self.part.readblocks(n, buf, off)

    def writeblocks(self, n, buf, off=None):
        self.note("e" if off is None else "w", n, buf)
        self.part.writeblocks(n, buf) if off is None else self.part.writeblocks(n, buf, off)


check = baton.Agent.check


def with_little_memory(self, *args, **kwargs):
    sys.modules["baton.policy"].memory = lambda *_: None
    return check(self, *args, **kwargs)


baton.Partition = Watched
baton.Agent.check = with_little_memory
"""


def test_commands_to_the_flash(board):
    """Each costs more than what it moves. Where nothing can be had to gather in,
    the decoder's memory serves: the sector list is compared by three sectors,
    written is by two. Whether a block's erase erases is looked at once."""
    main = board.fs / "main.py"
    main.write_text(main.read_text().replace("wlan =", WATCHED + "wlan =", 1).replace(
        "retry_min_ms=10", "retry_min_ms=10, reboot=False")
        + "for call in Watched.calls: print(*call)\n")
    board.release("--raw-only")
    console, report = board.run()
    calls = [line.split() for line in console if line[:2] in ("r ", "w ", "e ")]
    reads = [int(size) for what, _, size in calls if what == "r"]
    writes = [int(size) for what, _, size in calls if what == "w"]
    image_bytes = (board.folder / "v2").stat().st_size
    sectors = -(-image_bytes // 4096)
    assert (report["slot"], sectors) == ("ota_0", 37)
    # 37 sectors by three; the rest of the image's last sector is not read.
    assert reads.count(12288) >= sectors // 3 and 4096 not in reads
    # The first sector is marked by itself.
    assert sum(1 for size in writes if size >= 4000) <= sectors // 2 + 4, writes
    assert reads.count(32) <= 3, reads


SPOILED = 3, 30


@pytest.mark.parametrize("gathers", [True, False])
def test_weak_pages_behind_skipped_sectors(board, gathers):
    """What was in flight at a cut reads right and is weak. It is written again
    also where many sectors lay before it that the slot held already, so that
    nothing is found broken at the end, and fetched once more."""
    near = bytearray((board.folder / "v2").read_bytes())
    for sector in SPOILED:
        near[sector * 4096 + 300] ^= 1
    main = board.fs / "main.py"
    main.write_text(main.read_text().replace(
        "product=", "event=lambda kind, *_: kind == 4 and print('payload'), "
        f"block={None if gathers else False}, product="))
    board.release("--raw-only")
    at, report = 0, {"cut": True}
    while report["cut"]:
        at += 1
        board.renew()
        flash = bytearray((board.folder / "dev.bin").read_bytes())
        flash[OTA_1:OTA_1 + len(near)] = near
        (board.folder / "dev.bin").write_bytes(flash)
        console, report = board.run("--cut-at", at, "--cut-mode", "weak", "--seed", at)
        assert (report["version"], report["state"]) == ("v2", "VALID"), (at, console)
        assert "payload payload" not in " ".join(console), (at, console)
    assert at > 100
