# ESP-IDF's OTA functions from Python, where one script on one flash is not
# enough: other images and tables, a web server, a power cut.
# SPDX-License-Identifier: MIT
#
# The scripts tests/micropython/ota_*.py are run by test_micropython_board.py.
# BATON_OTA_CUTS: how many power cuts, "all" for every operation and mode;
# BATON_SEED: of torn lengths, rubbish and weak bits.
import json
import os
import shutil
import subprocess

import pytest

from conftest import ROOT
from flash_helpers import (
    ABORTED, NEW, PENDING, VALID, descriptor, get, get_records, image, put,
    put_records, record, table)

EXAMPLE = ROOT / "examples/micropython/ota_native.py"
LAYOUT = "micropython-4mib-ota"
OTA_0, OTA_1 = 0x10000, 0x190000
ADDRESS = "192.168.4.2:8000"
SEED = int(os.environ.get("BATON_SEED", "1"))
CUTS = os.environ.get("BATON_OTA_CUTS", "60")
MODES = ("before", "torn", "garbage", "after", "weak")


class Device:
    def __init__(self, baton_path, folder):
        self.baton_path = baton_path
        self.folder = folder
        self.path = folder / "dev.bin"
        self.fs = folder / "fs"
        self.fs.mkdir()

    def call(self, *args):
        return subprocess.run(
            [self.baton_path, *map(str, args)], cwd=self.folder, text=True,
            capture_output=True, stdin=subprocess.DEVNULL, timeout=120)

    def make(self, *args, layout=LAYOUT):
        done = self.call("flash", "make", "--layout", layout, "-o", "dev.bin",
                         *args)
        assert done.returncode == 0, done.stderr

    def run(self, *args):
        """What the firmware printed, as lines, and the report."""
        done = self.call("sim", "--flash", "dev.bin", "--fs", "fs", "--json",
                         "--quiet", "--timeout", 60, "--max-boots", 12, *args)
        *console, last = done.stdout.splitlines()
        assert last.startswith("{"), done
        return console, json.loads(last)

    def script(self, text, *args):
        (self.fs / "main.py").write_text(
            "from esp32 import Partition\n"
            "def attempt(function, *args):\n"
            "    try:\n"
            "        print(function(*args))\n"
            "    except OSError as exc:\n"
            "        print(exc.args)\n" + text)
        console, report = self.run(*args)
        assert report["end"] == "scripts ended", console
        return console, report


@pytest.fixture
def device(baton_path, micropython, tmp_path):
    assert micropython.is_file()
    return Device(baton_path, tmp_path)


def describe(version, project, time, date, idf, sha, secure_version=0):
    """A descriptor whose texts fill their fields as they please."""
    raw = bytearray(descriptor())
    raw[4:8] = secure_version.to_bytes(4, "little")
    for off, size, text in ((16, 32, version), (48, 32, project),
                            (80, 16, time), (96, 16, date), (112, 32, idf),
                            (144, 32, sha)):
        raw[off:off + size] = text.ljust(size, b"\0")
    return bytes(raw)


@pytest.mark.parametrize("fields, expected", [
    ((b"v" * 32, b"p" * 32, b"t" * 16, b"d" * 16, b"i" * 32, b"\xff" * 32),
     ("v" * 32, "p" * 32, "t" * 16, "d" * 16, "i" * 32, b"\xff" * 32)),
    ((b"v" * 31, b"p" * 31, b"t" * 15, b"d" * 15, b"i" * 31, b""),
     ("v" * 31, "p" * 31, "t" * 15, "d" * 15, "i" * 31, bytes(32))),
    ((b"",) * 6, ("",) * 5 + (bytes(32),)),
    # What comes after a terminator is not part of the text.
    ((b"v1\0junk", b"a b", "ü\u20ac".encode(), b"\0x", b"v5", b"\1"),
     ("v1", "a b", "ü\u20ac", "", "v5", b"\1" + bytes(31))),
])
@pytest.mark.parametrize("secure_version", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_description(device, fields, expected, secure_version):
    # Of a slot, where the image need not be whole.
    (device.folder / "v1.img").write_bytes(image())
    device.make("--ota_0", "v1.img")
    put(device.path, OTA_1 + 0x20, describe(*fields, secure_version))
    console, _ = device.script("print(Partition('ota_1').app_description())")
    assert eval(console[0]) == (secure_version, *expected)


def test_descriptor_magic(device):
    (device.folder / "v1.img").write_bytes(image())
    device.make("--ota_0", "v1.img")
    put(device.path, OTA_1 + 0x20, b"\x32\x54\xcd\xaa" + descriptor()[4:])
    console, _ = device.script("attempt(Partition('ota_1').app_description)")
    assert console == ["(-261, 'ESP_ERR_NOT_FOUND')"]


@pytest.mark.parametrize("state, shown", [
    (NEW, 1), (VALID, 2), (7, 7), (0x7FFFFFFF, 0x7FFFFFFF),
    (0x80000000, -0x80000000), (0xFFFFFFFF, -1)])
def test_state(device, state, shown):
    # What the bootloader does not know, Python sees as it is.
    (device.folder / "v1.img").write_bytes(image())
    device.make("--ota_0", "v1.img")
    put_records(device.path, record(1, state), b"\xff" * 32)
    console, _ = device.script("attempt(Partition('ota_0').app_state)")
    assert console == [str(shown)]


def test_factory(device):
    for name in ("factory", "ota_0"):
        (device.folder / name).write_bytes(image("v1", project=name))
    device.make("--factory", "factory", "--ota_0", "ota_0", layout="idf-two-ota")
    console, _ = device.script(
        "factory, slot = Partition('factory'), Partition('ota_0')\n"
        "print(Partition(Partition.RUNNING).info()[4])\n"
        "attempt(factory.ota_begin)\n"
        "attempt(factory.app_state)\n"
        "attempt(slot.app_state)\n"
        "attempt(Partition.check_rollback_is_possible)\n"
        "attempt(Partition.mark_app_invalid_rollback_and_reboot)\n"
        "attempt(slot.set_boot)\n"
        "attempt(slot.app_state)\n"
        "attempt(Partition.check_rollback_is_possible)\n")
    assert console == [
        "factory", "(-258, 'ESP_ERR_INVALID_ARG')",
        "(95, 'ESP_ERR_NOT_SUPPORTED')", "(-261, 'ESP_ERR_NOT_FOUND')",
        "False", "(1, 'ESP_FAIL')", "None", "0", "True"]


def test_no_otadata(device):
    rows = [("nvs", 1, 2, 0x9000, 0x4000), ("ota_0", 0, 0x10, 0x10000, 0x80000)]
    (device.folder / "v1.img").write_bytes(image())
    device.make("--ota_0", "v1.img")
    put(device.path, 0x8000, table(rows))
    console, _ = device.script(
        "part = Partition('ota_0')\n"
        "attempt(part.app_state)\n"
        "attempt(Partition.check_rollback_is_possible)\n"
        "attempt(Partition.mark_app_invalid_rollback_and_reboot)\n"
        "attempt(part.get_next_update().ota_begin)\n")
    assert console == [
        "(-261, 'ESP_ERR_NOT_FOUND')", "False", "(-261, 'ESP_ERR_NOT_FOUND')",
        "(-5377, 'ESP_ERR_OTA_PARTITION_CONFLICT')"]


def test_begin_forgets_the_record_of_the_slot(device):
    # So that a crash in the update cannot roll back into half an image.
    for name in ("v1", "v2"):
        (device.folder / name).write_bytes(image(name))
    device.make("--ota_0", "v1", "--ota_1", "v2")
    put_records(device.path, record(1, VALID), record(2, VALID))
    console, report = device.script(
        "slot = Partition('ota_0')\n"
        "attempt(slot.app_state)\n"
        "attempt(Partition.check_rollback_is_possible)\n"
        "attempt(slot.ota_begin, 4096)\n"
        "attempt(slot.app_state)\n"
        "attempt(Partition.check_rollback_is_possible)\n")
    assert console == ["2", "True", "1", "(-261, 'ESP_ERR_NOT_FOUND')", "False"]
    assert get_records(device.path) == (b"\xff" * 32, record(2, VALID))
    assert get(device.path, OTA_0, 4096) == b"\xff" * 4096
    assert report["sector_erases"] == 2


def test_mark_invalid_boots_the_other(device):
    for name in ("v1", "v2"):
        (device.folder / name).write_bytes(image(name))
    device.make("--ota_0", "v1", "--ota_1", "v2")
    put_records(device.path, record(1, VALID), record(2, VALID))
    console, report = device.script(
        "part = Partition(Partition.RUNNING)\n"
        "print(part.info()[4], Partition('ota_1').app_state())\n"
        "if part.info()[4] == 'ota_1':\n"
        "    Partition.mark_app_invalid_rollback_and_reboot()\n"
        "    print('never here')\n")
    assert console == ["ota_1 2", "ota_0 3"]
    assert (report["slot"], report["boots"]) == ("ota_0", 2)


def test_crash_aborts(device):
    for name in ("v1", "v2"):
        (device.folder / name).write_bytes(image(name))
    device.make("--ota_0", "v1", "--ota_1", "v2")
    put_records(device.path, record(1, VALID), record(2, NEW))
    console, report = device.script(
        "import uctypes\n"
        "print(Partition(Partition.RUNNING).info()[4],"
        " Partition('ota_1').app_state())\n"
        "if Partition(Partition.RUNNING).info()[4] == 'ota_1':\n"
        "    uctypes.bytearray_at(8, 4)[0] = 1\n")
    assert (console[0], console[-1]) == (f"ota_1 {PENDING}", f"ota_0 {ABORTED}")
    assert report["crashes"] == 1


def test_built_without_rollback(device):
    for name in ("v1", "v2"):
        (device.folder / name).write_bytes(image(name))
    device.make("--ota_0", "v1", "--ota_1", "v2")
    console, _ = device.script(
        "slot = Partition('ota_1')\n"
        "if Partition(Partition.RUNNING).info()[4] == 'ota_0':\n"
        "    slot.set_boot()\n"
        "    print(slot.app_state())\n"
        "    import machine\n"
        "    machine.reset()\n"
        "print(slot.app_state())\n"
        "attempt(Partition('ota_0').ota_begin)\n", "--no-rollback")
    # Unconfirmed for ever, and no reason to refuse the next update.
    assert console == ["-1", "-1", "1"]


def test_package_of_the_same_name(device):
    # A Python package `baton` comes first, and can take in the built-in one.
    (device.folder / "v1.img").write_bytes(image())
    device.make("--ota_0", "v1.img")
    package = device.fs / "baton"
    package.mkdir(parents=True)
    (package / "update.py").write_text("print('baton.update')\n")
    (package / "__init__.py").write_text(
        "import sys\n"
        "path = sys.path[:]\n"
        "sys.path.clear()\n"
        "try:\n"
        "    from baton import *\n"
        "finally:\n"
        "    sys.path.extend(path)\n")
    console, _ = device.script(
        "import baton.update\n"
        "print(baton.Partition is Partition, baton.__path__)\n")
    assert console == ["baton.update", "True baton"]


def serve(device, http_server, new):
    folder = device.folder / "www"
    folder.mkdir()
    (folder / "firmware.app-bin").write_bytes(new)
    server = http_server(folder)
    shutil.copy(EXAMPLE, device.fs / "main.py")
    return ["--map", f"{ADDRESS}=127.0.0.1:{server.port}"], folder


def test_example(device, http_server):
    old, new = image("v1", size=50000), image("v2", size=70001)
    (device.folder / "v1.img").write_bytes(old)
    device.make("--ota_0", "v1.img")
    args, folder = serve(device, http_server, new)
    console, report = device.run(*args)
    assert console == ["running ota_0 v1", "written to ota_1 v2",
                       "running ota_1 v2", "confirmed", "up to date"]
    assert (report["slot"], report["version"], report["state"]) \
        == ("ota_1", "v2", "VALID")
    assert get(device.path, OTA_1, len(new)) == new
    # Nothing to do: nothing written.
    console, report = device.run(*args)
    assert console == ["running ota_1 v2", "up to date"]
    assert report["operations"] == 0
    # And back into the first slot.
    (folder / "firmware.app-bin").write_bytes(image("v3"))
    console, report = device.run(*args)
    assert console[-3:] == ["running ota_0 v3", "confirmed", "up to date"]
    assert report["violations"] == 0


@pytest.mark.parametrize("change, error", [
    (lambda new: new[:-1], "(-5379, 'ESP_ERR_OTA_VALIDATE_FAILED')"),
    (lambda new: b"<html>" + new, "(-5379, 'ESP_ERR_OTA_VALIDATE_FAILED')"),
    (lambda new: new[:500] + b"\1" + new[501:],
     "(-5379, 'ESP_ERR_OTA_VALIDATE_FAILED')"),
    (lambda new: new + bytes(0x180000), "(-260, 'ESP_ERR_INVALID_SIZE')"),
    (lambda new: b"", "(-258, 'ESP_ERR_INVALID_ARG')"),
])
def test_example_refuses(device, http_server, change, error):
    (device.folder / "v1.img").write_bytes(image("v1"))
    device.make("--ota_0", "v1.img")
    args, _ = serve(device, http_server, change(image("v2", size=9000)))
    console, report = device.run(*args)
    assert console[-1] == f"OSError: {error}"
    assert (report["end"], report["slot"], report["boots"]) \
        == ("a script ended in an exception", "ota_0", 1)
    _, report = device.run(*args)
    assert report["slot"] == "ota_0"


def cuts(operations):
    """(operation, mode) pairs, spread over both."""
    every = [(at, mode) for at in range(1, operations + 1) for mode in MODES]
    if CUTS == "all":
        return every
    count = min(int(CUTS), len(every))
    return [every[i * len(every) // count] for i in range(count)]


def test_example_survives_power_cuts(device, http_server):
    new = image("v2", size=9000)
    (device.folder / "v1.img").write_bytes(image("v1", size=9000))
    device.make("--ota_0", "v1.img")
    args, _ = serve(device, http_server, new)
    names = ("dev.bin", "dev.bin.board")
    for name in names:
        shutil.copy(device.folder / name, device.folder / (name + ".new"))
    _, report = device.run(*args)
    happened = 0
    outcomes = {"v1": 0, "v2": 0}
    for at, mode in cuts(report["operations"]):
        for name in names:
            shutil.copy(device.folder / (name + ".new"), device.folder / name)
        replay = ["--cut-at", at, "--cut-mode", mode, "--seed", SEED]
        _, report = device.run(*args, *replay)
        happened += report["cut"] is not None
        # Weak bits flip after they read right once: give them the time to.
        for _ in range(3):
            console, report = device.run(*args)
        seen = (replay, console, report)
        assert report["end"] == "scripts ended", seen
        assert (report["slot"], report["version"]) \
            in (("ota_0", "v1"), ("ota_1", "v2")), seen
        assert report["violations"] == 0, seen
        if report["version"] == "v2":
            assert report["state"] == "VALID", seen
            assert get(device.path, OTA_1, len(new)) == new, seen
        outcomes[report["version"]] += 1
    print(f"{happened} cuts:", outcomes)
    assert happened == sum(outcomes.values())
    # Only a trial that the cut ended is given up.
    assert outcomes["v2"] > outcomes["v1"]
