# The trial of a new version on the virtual ESP32: every cause of a reset, every
# cut, scripts that stop or hang. docs/TRIAL.md has the tables.
# SPDX-License-Identifier: MIT
#
# BATON_TRIAL_CUTS=all cuts the power at every operation in every mode instead
# of a part of them; BATON_SEED: of torn lengths, rubbish and weak bits.
import json
import os
import shutil
import signal
import subprocess

import pytest

from flash_helpers import (
    ABORTED, INVALID, NEW, VALID, get_records, image, put_records, record)

LAYOUT = "micropython-4mib-ota"
SEED = int(os.environ.get("BATON_SEED", "1"))
ALL_CUTS = os.environ.get("BATON_TRIAL_CUTS") == "all"
MODES = ("before", "torn", "garbage", "after", "weak")

BOOT = """
import os, machine
version = os.uname().version.split()[0]
with open("log", "a") as log:
    log.write(version + " " + str(machine.reset_cause()) + "\\n")
print("boot", version)
{before}
import baton
baton.start({options})
"""

MAIN = """
import baton, machine, time
from esp32 import Partition
def trial_boot():
    return baton.status()["trial_boot"]
if version == "v2":
{body}
else:
    print("old", baton.status()["error"])
"""


def indent(text):
    return "".join("    " + line + "\n" for line in text.strip().splitlines())


def count_cleared(bits, width):
    """How many bits are cleared, which must be the lowest ones."""
    cleared = ~bits & ((1 << width) - 1)
    assert cleared & (cleared + 1) == 0, bin(bits)
    return cleared.bit_length()


class Label:
    """What docs/TRIAL.md says of a record's label, decoded independently."""

    def __init__(self, raw):
        label = raw[4:24]
        self.boots = count_cleared(label[0] | label[1] << 8, 16)
        self.failures = count_cleared(label[2], 8)
        self.marks = [n + 1 for n in range(16)
                      if not (label[3] | label[4] << 8) >> n & 1]
        self.inconclusive, self.given_up, self.over = (
            not label[5] >> bit & 1 for bit in range(3))
        self.network, self.crashed = (
            not label[6] >> bit & 1 for bit in range(2))
        assert label[7:] == b"\xff" * 13
        self.state = int.from_bytes(raw[24:28], "little")


class Device:
    """v1 is confirmed in ota_0; v2 in ota_1 was switched to."""

    def __init__(self, baton_path, folder):
        self.baton_path = baton_path
        self.folder = folder
        self.path = folder / "dev.bin"
        self.fs = folder / "fs"
        self.fs.mkdir()
        for version in ("v1", "v2"):
            (folder / version).write_bytes(image(version, size=6000))
        done = subprocess.run(
            [baton_path, "flash", "make", "--layout", LAYOUT, "--ota_0", "v1",
             "--ota_1", "v2", "-o", "dev.bin"],
            cwd=folder, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        put_records(self.path, record(1, VALID), record(2, NEW))
        for name in ("dev.bin", "dev.bin.board"):
            if (folder / name).exists():
                shutil.copy(folder / name, folder / (name + ".new"))

    def renew(self):
        for name in ("dev.bin", "dev.bin.board"):
            if (self.folder / (name + ".new")).exists():
                shutil.copy(self.folder / (name + ".new"), self.folder / name)
            else:
                (self.folder / name).unlink(missing_ok=True)
        (self.fs / "log").unlink(missing_ok=True)

    def script(self, body, options="deadline_s=30", before=""):
        (self.fs / "boot.py").write_text(
            BOOT.format(options=options, before=before))
        (self.fs / "main.py").write_text(MAIN.format(body=indent(body)))

    def command(self, *args):
        return [self.baton_path, "sim", "--flash", "dev.bin", "--fs", "fs",
                "--quiet", "--json", "--timeout", "60", "--max-boots", "30",
                "--seed", str(SEED), *map(str, args)]

    def run(self, *args):
        """What the firmware printed, and the report."""
        done = subprocess.run(
            self.command(*args), cwd=self.folder, text=True, timeout=120,
            capture_output=True, stdin=subprocess.DEVNULL)
        *console, last = done.stdout.splitlines() or [""]
        assert last.startswith("{"), done
        report = json.loads(last)
        assert report["violations"] == 0, done
        return console, report

    def run_with_signal(self, number, *args):
        """Sends the supervisor a signal whenever v2 says that it is ready."""
        process = subprocess.Popen(
            self.command(*args), cwd=self.folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if lines[-1] == "ready":
                process.send_signal(number)
        assert process.wait(timeout=60) in (0, 3)
        return lines[:-1], json.loads(lines[-1])

    def boots(self):
        """The versions that ran, in order, with machine.reset_cause()."""
        return [tuple(line.split())
                for line in (self.fs / "log").read_text().splitlines()]

    def label(self):
        return Label(get_records(self.path)[1])


@pytest.fixture
def device(baton_path, micropython, tmp_path):
    return Device(baton_path, tmp_path)


def expect_rollback(device, report, boots, failures, causes=None):
    """v2 got so many boots (and one that found that to be enough), so many of
    them failed; then v1 was back for good."""
    assert (report["end"], report["slot"]) == ("scripts ended", "ota_0")
    versions = [version for version, _ in device.boots()]
    assert versions == ["v2"] * (boots + 1) + ["v1"], device.boots()
    if causes is not None:
        assert [int(cause) for _, cause in device.boots()] == causes
    label = device.label()
    assert (label.state, label.over) == (ABORTED, True)
    assert (label.boots, label.failures) == (boots, failures)
    assert get_records(device.path)[0] == record(1, VALID)
    # The next boot is the old version's too, and leaves the records alone.
    before = get_records(device.path)
    device.run()
    assert device.boots()[-1][0] == "v1"
    assert get_records(device.path) == before


# ---- How a boot ends -----------------------------------------------------

HANG_IN_CALLBACK = """
def callback(timer):
    while True:
        pass
machine.Timer(0, mode=machine.Timer.ONE_SHOT, period=1, callback=callback)
time.sleep(20)
"""

# Backtracks for longer than anybody waits, in C.
HANG_IN_C = """
import re
re.match("(a|aa)*(a|aa)*(a|aa)*b", "a" * 300)
"""

CRASH = """
import uctypes
uctypes.bytearray_at(8, 4)[0] = 1
"""


@pytest.mark.parametrize("body, boots, failures, cause", [
    ("machine.reset()", 3, 3, 2),
    ("baton.reset()", 5, 0, 2),
    ("machine.soft_reset()", 5, 0, 5),
    ("machine.WDT(timeout=100)\nwhile True:\n    pass", 3, 3, 3),
    (CRASH, 3, 3, 2),
    ("machine.deepsleep(50)", 5, 0, 4),
])
def test_resets(device, body, boots, failures, cause):
    device.script(body, "deadline_s=30, trial_boots=5")
    _, report = device.run()
    certain = "WDT" in body or body == CRASH
    assert (device.label().crashed, device.label().network) == (certain, False)
    # The switch was before the first boot: the power was just turned on.
    expect_rollback(device, report, boots, failures,
                    [1] + [cause] * boots + [2])


@pytest.mark.parametrize("body", [
    "raise ValueError('no')",
    "import a_module_that_is_not_there",
    "while True:\n    pass",
    "time.sleep(20)",
    HANG_IN_CALLBACK,
    HANG_IN_C,
], ids=["exception", "import", "loop", "sleep", "callback", "c"])
def test_deadline_needs_no_step(device, body):
    device.script(body, "deadline_s=1, trial_failures=2")
    _, report = device.run()
    expect_rollback(device, report, 2, 2)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2],
                         ids=["power", "brownout"])
def test_power(device, number):
    device.script("print('ready')\ntime.sleep(20)",
                  "deadline_s=30, trial_boots=4, trial_failures=1")
    _, report = device.run_with_signal(number)
    expect_rollback(device, report, 4, 0, [1] * 5 + [2])


# ---- As stock firmware has it: machine.Timer and machine.reset_cause() ------

STOCK = """
import baton.port
class Native:
    pass
baton.port._baton = Native
"""


@pytest.mark.parametrize("body", [
    "raise ValueError('no')", "while True:\n    pass", "time.sleep(20)",
], ids=["exception", "loop", "sleep"])
def test_stock_deadline(device, body):
    device.script(body, "deadline_s=1, trial_failures=2", before=STOCK)
    _, report = device.run()
    expect_rollback(device, report, 2, 2)
    assert not device.label().crashed


@pytest.mark.parametrize("body, boots, failures, crashed", [
    ("machine.reset()", 3, 3, False),
    ("baton.reset()", 5, 0, False),
    ("machine.soft_reset()", 5, 0, False),
    ("machine.WDT(timeout=100)\nwhile True:\n    pass", 3, 3, True),
    (CRASH, 3, 3, False),  # a panic looks like a reset by software
    ("machine.deepsleep(50)", 5, 0, False),
])
def test_stock_resets(device, body, boots, failures, crashed):
    device.script(body, "deadline_s=30, trial_boots=5", before=STOCK)
    _, report = device.run()
    expect_rollback(device, report, boots, failures)
    assert device.label().crashed == crashed


def test_stock_brownout(device):
    device.script("print('ready')\ntime.sleep(20)",
                  "deadline_s=30, trial_boots=3, trial_failures=1",
                  before=STOCK)
    _, report = device.run_with_signal(signal.SIGUSR2)
    expect_rollback(device, report, 3, 0)


def test_exception_in_boot_py_after_start(device):
    device.script("pass", "deadline_s=1, trial_failures=1")
    with open(device.fs / "boot.py", "a") as boot:
        boot.write("if version == 'v2':\n    raise ValueError('no')\n")
    _, report = device.run()
    expect_rollback(device, report, 1, 1)


# ---- Before the agent runs -----------------------------------------------

@pytest.mark.parametrize("before, cause", [
    ("if version == 'v2': machine.reset()", "2"),
    ("if version == 'v2':\n    machine.WDT(timeout=50)\n    while True: pass",
     "3"),
])
def test_dies_before_the_agent(device, before, cause):
    device.script("pass", before=before)
    console, report = device.run()
    assert device.boots() == [("v2", "1"), ("v1", cause)]
    label = device.label()
    assert (label.state, label.boots, label.over) == (ABORTED, 0, False)
    assert report["slot"] == "ota_0"


def test_dies_before_the_agent_later(device):
    """The bootloader alone ends a trial that was re-armed, too."""
    device.script("baton.reset()", before=(
        "with open('log') as log:\n"
        "    if version == 'v2' and log.read().count('v2') == 3:\n"
        "        machine.reset()"))
    device.run()
    assert [version for version, _ in device.boots()] == ["v2"] * 3 + ["v1"]
    label = device.label()
    assert (label.state, label.boots, label.over) == (ABORTED, 2, False)
    assert label.marks == [1, 2]


def test_power_goes_before_the_agent(device):
    device.script("pass", before=(
        "if version == 'v2':\n"
        "    import time\n"
        "    print('ready')\n"
        "    time.sleep(20)"))
    device.run_with_signal(signal.SIGUSR1)
    assert device.boots() == [("v2", "1"), ("v1", "1")]
    label = device.label()
    assert (label.state, label.boots, label.over) == (ABORTED, 0, False)


# ---- Confirmed, given up -------------------------------------------------

CONFIRM = """
if trial_boot() == 3:
    assert baton.confirm()
elif trial_boot():
    baton.reset()
"""


@pytest.mark.parametrize("args", [(), ("--encrypted",)], ids=["", "encrypted"])
def test_confirm(device, args):
    device.script(CONFIRM, "deadline_s=30")
    _, report = device.run(*args)
    assert (report["slot"], report["state"]) == ("ota_1", "VALID")
    assert [version for version, _ in device.boots()] == ["v2"] * 3
    assert get_records(device.path) == (record(1, VALID), record(2, VALID))
    # Confirmed, nothing counts any more, and nothing is written.
    device.script("machine.reset()" if not args else "pass")
    _, report = device.run("--max-boots", 6, *args)
    assert {version for version, _ in device.boots()} == {"v2"}
    assert report["operations"] == 0


def test_confirm_takes_the_deadline_back(device):
    device.script("baton.confirm()\ntime.sleep(2)", "deadline_s=1")
    _, report = device.run()
    assert device.boots() == [("v2", "1")]
    assert (report["end"], report["state"]) == ("scripts ended", "VALID")


@pytest.mark.parametrize("args", [(), ("--encrypted",)], ids=["", "encrypted"])
def test_given_up(device, args):
    device.script("baton.revert()")
    _, report = device.run(*args)
    assert [version for version, _ in device.boots()] == ["v2", "v1"]
    label = device.label()
    assert (label.state, label.boots, label.given_up, label.over) \
        == (ABORTED, 1, True, True)


def test_vendors_confirm(device):
    """mark_app_valid_cancel_rollback() works on a re-armed record."""
    device.script("print('app', Partition(Partition.RUNNING).app_state())\n"
                  "Partition.mark_app_valid_cancel_rollback()\n"
                  "if machine.reset_cause() == 1: machine.reset()")
    console, report = device.run()
    assert console.count("app 0") == 1  # APP_STATE_NEW, not PENDING_VERIFY
    assert console.count("app 2") == 1
    assert report["state"] == "VALID"
    assert [version for version, _ in device.boots()] == ["v2"] * 2


def test_vendors_reject(device):
    device.script(
        "print('possible', Partition.check_rollback_is_possible())\n"
        "Partition.mark_app_invalid_rollback_and_reboot()")
    console, report = device.run()
    assert "possible True" in console
    assert [version for version, _ in device.boots()] == ["v2", "v1"]
    assert device.label().state == INVALID


def test_other_updaters_are_not_refused(device):
    """What docs/TRIAL.md warns of: on a re-armed record esp_ota_begin works,
    and takes the old version's record away."""
    device.script(
        "other = Partition(Partition.RUNNING).get_next_update()\n"
        "print('begun', other.ota_begin(4096))\n", before=(
            "from esp32 import Partition\n"
            "if version == 'v2':\n"
            "    try:\n"
            "        Partition('ota_0').ota_begin(4096)\n"
            "    except OSError as exc:\n"
            "        print(exc.args[1])\n"
            "    print(Partition('ota_1').app_state())"))
    console, _ = device.run("--max-boots", 1, "--timeout", 6)
    assert console[:4] == ["boot v2", "ESP_ERR_OTA_ROLLBACK_INVALID_STATE", "1",
                           "begun 1"]
    assert get_records(device.path)[0] == b"\xff" * 32


def test_soft_reset_after_a_rejection_keeps_the_old_version(device):
    """What runs no more decides nothing: the record of the old version is not
    taken for one that failed to boot."""
    device.script(
        "if machine.reset_cause() != machine.SOFT_RESET:\n"
        "    import _baton\n"
        "    from baton import _places\n"
        "    parts, slots, running = _places()\n"
        "    flash = _baton.flash(None, *parts)\n"
        "    _baton.reject(flash, slots, slots, running)\n"
        "    machine.soft_reset()\n"
        "machine.reset()")
    console, _ = device.run()
    assert [version for version, _ in device.boots()] \
        == ["v2", "v2", "v1"], console
    assert get_records(device.path)[0] == record(1, VALID)


# ---- Encrypted flash -----------------------------------------------------

@pytest.mark.parametrize("body, boots, failures", [
    ("machine.reset()", 3, 3), ("baton.reset()", 5, 0),
    ("machine.soft_reset()", 5, 0), ("machine.deepsleep(50)", 5, 0),
])
def test_encrypted(device, body, boots, failures):
    """Records are rewritten whole; the counts are the same."""
    device.script(body, "deadline_s=30, trial_boots=5")
    _, report = device.run("--encrypted")
    expect_rollback(device, report, boots, failures)


# ---- Cuts ----------------------------------------------------------------

TWO_BOOTS = """
if trial_boot() == 2:
    baton.confirm()
elif trial_boot():
    baton.reset()
"""

CRASHES = "machine.reset()"

GIVES_UP = """
if trial_boot() == 2:
    baton.revert()
baton.reset()
"""


def survive(device, at, mode, args):
    """One cut. The device ends on one of its versions, whole, and settled."""
    device.renew()
    _, report = device.run("--cut-at", at, "--cut-mode", mode, *args)
    what = (at, mode, device.boots(), report)
    assert report["end"] == "scripts ended", what
    assert report["slot"] in ("ota_0", "ota_1"), what
    assert report["state"] == "VALID", what
    # A confirmed version stays; a trial that ended does not begin again.
    _, again = device.run(*args)
    assert again["slot"] == report["slot"], what
    assert again["operations"] == 0, (what, again)
    return report


@pytest.mark.parametrize("args", [(), ("--encrypted",)], ids=["", "encrypted"])
@pytest.mark.parametrize("body, ends", [
    (TWO_BOOTS, {"ota_0", "ota_1"}), (CRASHES, {"ota_0"}), (GIVES_UP, {"ota_0"}),
], ids=["confirmed", "crashes", "given-up"])
def test_power_cut_at_every_operation(device, body, ends, args):
    device.script(body, "deadline_s=30, trial_failures=2")
    seen = set()
    at = 1
    while True:
        modes = MODES if ALL_CUTS else (MODES[at % len(MODES)],)
        reports = [survive(device, at, mode, args) for mode in modes]
        seen.update(report["slot"] for report in reports)
        if reports[0]["cut"] is None:
            break
        at += 1
    assert at > 8
    # A cut may end a trial early. Nothing else than health confirms one.
    assert seen == ends
