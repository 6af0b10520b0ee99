# baton sim with the real interpreter: an update by a common script, the power
# cut at every flash operation in every way.
# SPDX-License-Identifier: MIT
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess

import pytest

from flash_helpers import get, get_records, image, NEW, record, VALID

LAYOUT = "micropython-4mib-ota"
OTA_1 = 0x190000
SEED = int(os.environ.get("BATON_SEED", "1"))

# An updater as people write it: no check of what was written, every block
# rewritten after an interruption.
MAIN = """
import machine, os
from esp32 import Partition

part = Partition(Partition.RUNNING)
print("running", part.info()[4], os.uname().version, machine.reset_cause())
if os.uname().version.split()[0] == "v2":
    Partition.mark_app_valid_cancel_rollback()
    print("confirmed")
else:
    slot = part.get_next_update()
    buf = bytearray(4096)
    block = 0
    with open("new.img", "rb") as file:
        while True:
            n = file.readinto(buf)
            if not n:
                break
            for i in range(n, 4096):
                buf[i] = 0xFF
            slot.writeblocks(block, buf)
            block += 1
    slot.set_boot()
    machine.reset()
"""


class Board:
    def __init__(self, baton_path, folder, size):
        self.baton_path = baton_path
        self.folder = folder
        self.path = folder / "dev.bin"
        self.fs = folder / "fs"
        self.new = image("v2", size=size)
        self.fs.mkdir()
        (self.fs / "main.py").write_text(MAIN)
        (self.fs / "new.img").write_bytes(self.new)
        (folder / "old.img").write_bytes(image("v1", size=size))
        self.call("flash", "make", "--layout", LAYOUT, "--ota_0", "old.img",
                  "-o", "dev.bin")
        for name in ("dev.bin", "dev.bin.board"):
            shutil.copy(folder / name, folder / (name + ".new"))

    def renew(self):
        for name in ("dev.bin", "dev.bin.board"):
            shutil.copy(self.folder / (name + ".new"), self.folder / name)

    def call(self, *args, **options):
        return subprocess.run([self.baton_path, *map(str, args)], text=True,
                              cwd=self.folder, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=120, **options)

    def run(self, *args):
        """Returns (console, report, standard error)."""
        done = self.call("sim", "--flash", "dev.bin", "--fs", "fs", "--json",
                         "--timeout", 60, *args)
        *console, last = done.stdout.splitlines() or [""]
        assert last.startswith("{"), done
        report = json.loads(last)
        assert report["exit"] == done.returncode
        return "\n".join(console), report, done.stderr


@pytest.fixture
def board(baton_path, micropython, tmp_path):
    # `baton sim` finds the interpreter by itself.
    assert micropython.is_file()
    return Board(baton_path, tmp_path, 6000)


def expect_updated(board, report):
    assert (report["end"], report["slot"], report["version"],
            report["state"]) == ("scripts ended", "ota_1", "v2", "VALID")
    assert report["violations"] == 0
    assert get(board.path, OTA_1, len(board.new)) == board.new


def test_update(board):
    console, report, _ = board.run()
    expect_updated(board, report)
    assert re.findall(r"^running (\w+) (\w+).* (\d)$", console, re.M) \
        == [("ota_0", "v1", "1"), ("ota_1", "v2", "2")]
    # A settled device writes nothing.
    _, report, _ = board.run()
    assert report["operations"] == 0 and report["boots"] == 1


def survive(board, at, mode):
    """Cuts once, then runs to the end. Returns whether the cut happened."""
    board.renew()
    replay = f"--cut-at {at} --cut-mode {mode} --seed {SEED}"
    console, report, errors = board.run("--cut-at", at, "--cut-mode", mode,
                                        "--seed", SEED, "--max-boots", 12)
    try:
        expect_updated(board, report)
        # Then nothing is written any more. A weak record reads right once
        # and may be lost after that, with the switch or the confirmation in
        # it; the script then does them again.
        for _ in range(4 if mode == "weak" else 1):
            _, again, _ = board.run()
            expect_updated(board, again)
            if again["operations"] == 0:
                break
        assert again["operations"] == 0
    except AssertionError as error:
        raise AssertionError(
            f"{replay}: {error}\n{console}\n{errors}") from error
    return report["cut"] is not None


@pytest.mark.parametrize("mode", ["before", "torn", "garbage", "after", "weak"])
def test_power_cut_at_every_operation(board, mode):
    at = 1
    while survive(board, at, mode):
        at += 1
    # First record, two sectors, the switch, the trial, the confirmation.
    assert at - 1 == 2 + 2 * 17 + 2 + 2 + 2


CAUSES = """
import machine, sys, time
cause = machine.reset_cause()
print("cause", cause, sys.argv)
with open("log", "a") as log:
    log.write("%d" % cause)
with open("log") as log:
    step = len(log.read())
if step == 1:
    machine.reset()
elif step == 2:
    machine.soft_reset()
elif step == 3:
    machine.deepsleep(3000)
elif step == 4:
    machine.WDT(timeout=200)
    while True:
        pass
"""


def test_reset_causes(board):
    (board.fs / "main.py").write_text(CAUSES)
    _, report, _ = board.run()
    assert (board.fs / "log").read_text() == "12543"
    assert report["end"] == "scripts ended"
    assert report["boots"] == 4 and report["starts"] == 5
    assert report["virtual_us"] > 3000000


@pytest.mark.parametrize("script, code", [
    ("print('fine')", 0), ("raise ValueError('no')", 3), ("def", 3),
    ("import machine; machine.deepsleep()", 0),
    ("import machine; machine.reset()", 4), ("while True: pass", 5),
])
def test_exit_status(board, script, code):
    (board.fs / "main.py").write_text(script + "\n")
    seconds = 1 if code == 5 else 60
    _, report, _ = board.run("--max-boots", 3, "--timeout", seconds)
    assert report["exit"] == code


def test_crash_of_the_interpreter(board):
    # A real crash of the process, not of a script.
    (board.fs / "main.py").write_text(
        "import machine, uctypes\n"
        "print('cause', machine.reset_cause())\n"
        "if machine.reset_cause() == 1:\n"
        "    uctypes.bytearray_at(8, 4)[0] = 1\n")
    console, report, _ = board.run()
    assert report["crashes"] == 1 and report["end"] == "scripts ended"
    assert "signal 11" in console and "cause 2" in console


def test_killed_in_an_update_it_goes_on(board):
    (board.fs / "main.py").write_text(
        MAIN.replace("block += 1", "block += 1; print('block', block)"))
    for last in range(1, 3):
        board.renew()
        process = subprocess.Popen(
            [board.baton_path, "sim", "--flash", "dev.bin", "--fs", "fs"],
            cwd=board.folder, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE)
        for line in process.stdout:
            if line == f"block {last}\n":
                break
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        assert process.returncode == -signal.SIGKILL
        # A power cycle decides by what is on the flash.
        _, report, _ = board.run()
        expect_updated(board, report)


POWER = """
import machine
cause = machine.reset_cause()
rtc = machine.RTC()
print("cause", cause, "memory", rtc.memory())
with open("log", "a") as log:
    log.write("x")
rtc.memory(b"kept")
with open("log") as log:
    step = len(log.read())
if step < 3:
    print("ready")
while step < 3:
    pass
"""


@pytest.mark.parametrize("number, reason, what", [
    (signal.SIGUSR1, "rst:0x1 (POWERON_RESET)", "power cut"),
    (signal.SIGUSR2, "rst:0xf (RTCWDT_BROWN_OUT_RESET)", "brownout"),
])
def test_power_is_cut_by_a_signal(board, number, reason, what):
    (board.fs / "main.py").write_text(POWER)
    process = subprocess.Popen(
        [board.baton_path, "sim", "--flash", "dev.bin", "--fs", "fs"],
        cwd=board.folder, stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line == "ready\n":
            process.send_signal(number)
    assert process.wait(timeout=30) == 0
    output = "".join(lines)
    # What the chip knows; MicroPython tells the two apart no more than it does.
    assert output.count(what + "\n") == 2
    assert output.count(reason) == (3 if number == signal.SIGUSR1 else 2)
    assert output.count("cause 1 memory b''") == 3
    assert "after 3 boots" in lines[-1]


def test_planned_brownout(board):
    console, report, _ = board.run("--cut-at", 5, "--brownout")
    assert "\nbrownout, mode torn, at flash operation 5: " in console
    assert console.count("RTCWDT_BROWN_OUT_RESET") == 1
    expect_updated(board, report)


def test_watchdog_outlives_a_soft_reset(board):
    (board.fs / "main.py").write_text(
        "import machine, time\n"
        "print('cause', machine.reset_cause())\n"
        "if machine.reset_cause() == 1:\n"
        "    machine.WDT(timeout=300)\n"
        "    machine.soft_reset()\n"
        "while machine.reset_cause() == 5:\n"
        "    pass\n")
    console, report, _ = board.run()
    assert re.findall(r"^cause (\d)$", console, re.M) == ["1", "5", "3"]
    assert report["boots"] == 2


def test_interrupt_ends_a_script(board):
    (board.fs / "main.py").write_text("print('ready')\nwhile True: pass\n")
    process = subprocess.Popen(
        [board.baton_path, "sim", "--flash", "dev.bin", "--fs", "fs"],
        cwd=board.folder, stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for line in process.stdout:
        if line == "ready\n":
            break
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGINT
    assert "KeyboardInterrupt" in output


def test_prompt(board):
    (board.fs / "main.py").write_text("print('main ran')\n")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [board.baton_path, "sim", "--flash", "dev.bin", "--fs", "fs"],
        cwd=board.folder, stdin=slave, stdout=slave, stderr=slave,
        start_new_session=True)
    os.close(slave)
    seen = b""

    def expect(text):
        nonlocal seen
        while text not in seen:
            ready, _, _ = select.select([master], [], [], 30)
            assert ready, seen
            seen += os.read(master, 4096)
        seen = seen.split(text, 1)[1]

    expect(b"main ran")
    expect(b">>> ")
    os.write(master, b"print(6 * 7)\r")
    expect(b"\n42\r\n>>> ")
    os.write(master, b"import machine; machine.reset()\r")
    expect(b"rst:0xc (SW_CPU_RESET)")
    expect(b"main ran")
    expect(b">>> ")
    process.terminate()
    expect(b"baton sim: interrupted")
    assert process.wait(timeout=30) == 128 + signal.SIGTERM
    os.close(master)


@pytest.mark.parametrize("release, copies", [
    ([], (VALID, NEW)),  # before v6.0: the same sequence, in the other record
    (["--idf-release", "6.0"], (NEW, None)),
])
def test_idf_release(baton, tmp_path, micropython, release, copies):
    """set_boot on the slot that is in force already."""
    (tmp_path / "old.img").write_bytes(image("v1"))
    fs = tmp_path / "fs"
    fs.mkdir()
    (fs / "main.py").write_text(
        "from esp32 import Partition\nPartition(Partition.RUNNING).set_boot()\n")
    baton("flash", "make", "--layout", LAYOUT, "--ota_0", "old.img", "-o", "dev.bin", code=0)
    baton("sim", "--flash", "dev.bin", "--fs", fs, "--no-repl", *release, code=0)
    expected = tuple(b"\xff" * 32 if state is None else record(1, state) for state in copies)
    assert get_records(tmp_path / "dev.bin") == expected


def test_unknown_idf_release_is_refused(baton, tmp_path):
    done = baton("sim", "--flash", "x", "--fs", "y", "--idf-release", "7", code=2)
    assert "--idf-release" in done.stderr
