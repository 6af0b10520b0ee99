# The package baton_small on the small native module, in the virtual ESP32: an
# update from a plain web server, trial, confirmation, rollback.
# SPDX-License-Identifier: MIT
import hashlib
import http.server
import os
import random
import shutil
import threading

import pytest

from flash_helpers import get, get_records, image, record, VALID
from test_virtual_esp32 import Board, OTA_1

SEED = int(os.environ.get("BATON_SEED", str(random.randrange(2**32))))

SCRIPT = """
import machine, os, sys
import _baton
import baton_small
assert _baton.__file__ and "small" in baton_small.__file__
version = os.uname().version.split()[0]
on_trial = baton_small.begin()
print("runs", version, on_trial)
URL = %r
"""
LIFE = SCRIPT + """
if on_trial:
    baton_small.confirm()
    baton_small.confirm()
print("pull", baton_small.pull(URL, block=%s))
"""


class Server(http.server.ThreadingHTTPServer):
    """One file, with ranges and a validator; `cut` bytes into each answer the
    connection ends."""

    daemon_threads = True

    def __init__(self, data):
        super().__init__(("127.0.0.1", 0), Handler)
        self.data, self.cut, self.asked = data, 1 << 30, []
        self.tag, self.has_ranges = '"one"', True
        self.url = f"http://127.0.0.1:{self.server_port}/firmware.bin"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted, start = self.headers.get("Range"), 0
        server.asked.append(wanted)
        if wanted and server.has_ranges and self.headers.get("If-Range") == server.tag:
            start = int(wanted[6:-1])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(server.data) - start))
        self.send_header("ETag", server.tag)
        if server.has_ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        self.wfile.write(server.data[start:][: server.cut])
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def board(baton_path, tmp_path, natmod, repo):
    board = Board(baton_path, tmp_path, natmod("x64", "small"))
    shutil.copytree(repo / "build" / "packages" / "baton-small-x64", board.fs, dirs_exist_ok=True)
    return board


@pytest.fixture
def server(board):
    server = Server(board.new)
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("block", ["None", "bytearray(65536)", "bytearray(4096)"])
def test_life(board, server, block):
    console, report = board.run(LIFE % (server.url, block))
    assert "runs v1 False" in console and "runs v2 True" in console
    assert console.splitlines()[-1] == "pull False"  # it is what runs
    assert get(board.path, OTA_1, len(board.new)) == board.new
    assert get_records(board.path)[1] == record(2, VALID)
    assert report["violations"] == 0 and report["boots"] == 2
    # 150,000 bytes, and no sector by itself: what lies behind is nobody's. Two
    # records were written before and one by the switch.
    assert report["block_erases"] == 3 and report["sector_erases"] <= 4
    # A settled device writes nothing.
    console, report = board.run(LIFE % (server.url, block))
    assert report["sector_erases"] == report["page_programs"] == 0


@pytest.mark.parametrize("at", [100, 8300, 70000, -1], ids=str)
@pytest.mark.parametrize("ranges", [True, False])
def test_another_file_of_the_same_build(board, server, ranges, at):
    """A firmware that was patched has the head of the one it was made of: the
    rest decides. From a server without ranges what was compared is not fetched
    again."""
    server.has_ranges = ranges
    fields = {"size": 150000}
    old = image("v1", payload=bytes(149000), **fields)
    payload = bytearray(149000)
    payload[at] = 1
    server.data = image("v1", payload=bytes(payload), **fields)
    assert server.data[:288] == old[:288] and server.data != old
    (board.folder / "old.img").write_bytes(old)
    board.renew()
    script = SCRIPT % server.url + """
if on_trial:
    baton_small.confirm()
print("pull", baton_small.pull(URL))
"""
    console, report = board.run(script)
    assert [line for line in console.splitlines() if line.startswith(("runs", "pull"))] == [
        "runs v1 False", "runs v1 True", "pull False"]
    assert get(board.path, OTA_1, len(server.data)) == server.data
    assert get_records(board.path)[1] == record(2, VALID)
    # The first bytes; then the last ones, and all of it; or what was opened.
    tail = f"bytes={len(old) - 32}-"
    assert server.asked == ([None, tail, None, None, tail] if ranges else [None] * 2)


def test_power_cuts(board, server):
    """Wherever it happens: the next boot has a firmware, and gets to the end;
    what was in flight is written again."""
    rng = random.Random(SEED)
    script = LIFE % (server.url, "None")
    _, report = board.run(script)
    total = report["operations"]
    for _ in range(int(os.environ.get("NATMOD_CUTS", "8"))):
        at, mode = rng.randrange(1, total + 1), rng.choice(["before", "torn", "garbage", "after", "weak"])
        board.renew()
        console, report = board.run(script, "--cut-at", at, "--cut-mode", mode, "--seed", SEED % 1000)
        if mode == "weak" and "runs v2" not in console:
            # What is weak read right when it was compared, and no more when all
            # was verified: refused, and written again at the next start.
            assert "the image's checksum is wrong" in console, f"BATON_SEED={SEED}: {at} {mode}: {console}"
            console, report = board.run(script)
        assert "runs v2 True" in console and "pull False" in console, f"BATON_SEED={SEED}: {at} {mode}: {console}"
        assert get(board.path, OTA_1, len(board.new)) == board.new, f"BATON_SEED={SEED}: {at} {mode}"


@pytest.mark.parametrize("ranges", [True, False])
def test_connection_breaks(board, server, ranges):
    server.cut, server.has_ranges = (40000, True) if ranges else (60000, False)
    script = SCRIPT % server.url + "print('pull', baton_small.pull(URL, reset=False))\n"
    console, _ = board.run(script)
    if ranges:
        assert "pull True" in console, console
        assert server.asked[0] is None and server.asked[1] == "bytes=40000-"
        assert get(board.path, OTA_1, len(board.new)) == board.new
    else:  # never further than the server lets it
        assert "ended early" in console
        assert get(board.path, OTA_1, 32) == b"\xff" * 32


def test_file_changes_on_the_way(board, server):
    server.cut = 40000
    script = SCRIPT % server.url + "baton_small.pull(URL)\n"
    original = Handler.do_GET

    def once(self):
        original(self)
        self.server.tag = '"two"'

    Handler.do_GET = once
    try:
        console, _ = board.run(script)
    finally:
        Handler.do_GET = original
    assert "has changed" in console
    assert get(board.path, OTA_1, 32) == b"\xff" * 32


def test_wrong_file_is_refused_in_words(board, server):
    server.data = image("v2", chip="esp32c3", size=9000)
    board.run(SCRIPT % server.url)  # the bootloader's first record
    console, report = board.run(SCRIPT % server.url + "baton_small.pull(URL)\n")
    assert "the image is for another chip" in console
    assert report["sector_erases"] == 0


@pytest.mark.parametrize("option", ["", "--encrypted"])
def test_sha256_of_the_file(board, server, option):
    """What is on flash has it, or is not made an image."""
    script = SCRIPT % server.url + """
import hashlib
if not on_trial:
    sha = bytearray(hashlib.sha256(open("new.img", "rb").read()).digest())
    sha[3] ^= %s
    print("pull", baton_small.pull(URL, sha256=bytes(sha)))
"""
    console, report = board.run(script % 1, *[option] * bool(option))
    assert "SHA-256" in console, console
    assert get(board.path, OTA_1, 32) == b"\xff" * 32 and report["violations"] == 0
    console, report = board.run(script % 0, *[option] * bool(option))
    assert "runs v2 True" in console and report["violations"] == 0, console
    assert get(board.path, OTA_1, len(board.new)) == board.new


WATCHED = """
import esp32
calls = []


class Watched:
    def __init__(self, part):
        self.part = part

    def __getattr__(self, name):
        return getattr(self.part, name)

    def readblocks(self, n, buf, off=0):
        calls.append("r")
        self.part.readblocks(n, buf, off)

    def writeblocks(self, n, buf, *off):
        calls.append("w" if off else "e")
        if is_deaf:
            return
        self.part.writeblocks(n, buf, *off)

    def set_boot(self):
        calls.append("boot")
        self.part.set_boot()


Device = baton_small._Device


def device():
    self = Device()
    self.slot = Watched(self.slot)
    return self


baton_small._Device = device
"""


def test_commands_to_the_flash(board, server):
    """Each costs more than what it moves: one write for 16 KiB, one erase for a
    block, nothing is looked at behind the first sector that differs."""
    script = SCRIPT % server.url + WATCHED + """
is_deaf = False
if version == "v1":
    baton_small.pull(URL, reset=False)
    print("calls", "".join(call[0] for call in calls))
"""
    console, _ = board.run(script)
    calls = next(line for line in console.splitlines() if line.startswith("calls"))
    # Asked whether a null pointer is refused; the first block erased and looked
    # at; its pieces; the sector that differs looked at, the second block; the
    # third; the tail looked at, the head, ESP-IDF's turn.
    assert calls == "calls " + "w" + "er" + "wwww" + "re" + "wwww" + "e" + "ww" + "rwb", console


def test_flash_that_takes_nothing(board, server):
    """A slot that kept its old image would verify: it is told by its end."""
    old = image("v3", size=len(board.new))
    (board.fs / "third.img").write_bytes(old)
    script = SCRIPT % server.url + WATCHED + """
is_deaf = False
slot = Device().slot
with open("third.img", "rb") as old:
    for n in range(37):
        slot.writeblocks(n, (old.read(4096) + bytes(4096))[:4096])
baton_small._nothing = lambda slot: None
is_deaf = True
baton_small.pull(URL)
"""
    console, _ = board.run(script)
    assert "the flash does not hold what was written to it" in console, console
    assert "runs v1 False" in board.run(SCRIPT % server.url)[0]


def test_digest_that_does_not_end_the_file(board, server):
    """Behind a signed image is its signature. A slot that kept another image with
    the same end would verify: all of it is read back for sha256."""
    old = image("v3", size=len(board.new))
    size = -(-max(len(old), len(board.new)) // 4096) * 4096
    server.data, old = (data.ljust(size, b"\xff") + b"\x5a" * 4096
                        for data in (board.new, old))
    (board.fs / "third.img").write_bytes(old)
    digest = hashlib.sha256(server.data).digest()
    script = SCRIPT % server.url + WATCHED + f"""
is_deaf = False
slot = Device().slot
with open("third.img", "rb") as old:
    for n in range({len(server.data) // 4096}):
        slot.writeblocks(n, old.read(4096))
baton_small._nothing = lambda slot: None
is_deaf = DEAF
baton_small.pull(URL, sha256={digest!r})
"""
    console, _ = board.run(script.replace("DEAF", "True"))
    assert "not the one that was asked for (SHA-256 differs)" in console, console
    assert "runs v1 False" in board.run(SCRIPT % server.url)[0]
    assert "runs v2 True" in board.run(script.replace("DEAF", "version != 'v1'"))[0]


def test_twice_before_the_reset(board, server):
    """The record of what runs stays: it is what a trial goes back to."""
    script = SCRIPT % server.url + """
if version == "v1" and machine.reset_cause() == machine.PWRON_RESET:
    print("pull", baton_small.pull(URL, reset=False), baton_small.pull(URL))
if version == "v2":
    machine.reset()
"""
    console, _ = board.run(script)
    assert [line for line in console.splitlines() if line.startswith("runs")] == [
        "runs v1 False", "runs v2 True", "runs v1 False"], console
    assert record(1, VALID) in get_records(board.path)


def test_damaged_file(board, server):
    """Refused by what reads it back from flash, in words; no image is left."""
    data = bytearray(board.new)
    data[100000] ^= 1
    server.data = bytes(data)
    console, _ = board.run(SCRIPT % server.url + "baton_small.pull(URL)\n")
    assert "the image's checksum is wrong" in console, console
    assert get(board.path, OTA_1, 32) == b"\xff" * 32
    assert "runs v1 False" in board.run(SCRIPT % server.url)[0]


def test_trial_that_is_not_confirmed(board, server):
    """The next restart brings the old firmware back, and the same file is not
    fetched again until it is another one."""
    script = SCRIPT % server.url + """
if on_trial:
    machine.reset()
print("pull", baton_small.pull(URL))
"""
    console, report = board.run(script)
    assert [line for line in console.splitlines() if line.startswith(("runs", "pull"))] == [
        "runs v1 False", "runs v2 True", "runs v1 False", "pull False"]
    server.data = image("v3", size=150000)
    console, _ = board.run(script.replace("    machine.reset()", "    pass"))
    assert "runs v3 True" in console
    assert "the running version is on trial itself" in console  # nothing to go back to


def test_example(board, server, repo):
    """Unchanged, by the address that is written in it."""
    script = (repo / "examples" / "micropython" / "small_pull.py").read_text()
    console, report = board.run(script, "--map", f"192.168.4.2:8000=127.0.0.1:{server.server_port}")
    assert [line for line in console.splitlines() if line.startswith(("running", "confirmed", "no"))] == [
        "running", "running, on trial", "confirmed"], console
    assert get_records(board.path)[1] == record(2, VALID)


def test_rollback(board, server):
    script = SCRIPT % server.url + """
if version == "v1":
    print("pull", baton_small.pull(URL))
else:
    baton_small.confirm()
    baton_small.rollback()
"""
    console, _ = board.run(script)
    assert [line for line in console.splitlines() if line.startswith(("runs", "pull"))] == [
        "runs v1 False", "runs v2 True", "runs v1 False", "pull False"]
