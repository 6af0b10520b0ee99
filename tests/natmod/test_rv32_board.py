# Native module and `baton push` on the board that boots what was written.
# SPDX-License-Identifier: MIT
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "port" / "qemu-rv32" / "tools"))
import board_trials  # noqa: E402
import qemu_board  # noqa: E402
from board_trials import IMAGE_ADDR, NEW, OLD  # noqa: E402
from test_virtual_esp32 import SIGNATURE  # noqa: E402

BUILD = ROOT / "build" / "board"

pytestmark = pytest.mark.skipif(
    shutil.which(qemu_board.QEMU) is None,
    reason=f"{qemu_board.QEMU} is not installed; next: scripts/setup board")

START = """import _baton, uctypes, machine
from esp32 import Partition as P
names = ["ota_0", "ota_1", "otadata"]
f = _baton.flash(None, *[P(name) for name in names])
run = names.index(P(P.RUNNING).info()[4])
_baton.settle(f, 2, 2, run)
"""


def put_file(board, name, data):
    board.run(f"file = open({name!r}, 'wb')")
    for off in range(0, len(data), 512):
        board.run(f"file.write({data[off:off + 512]!r})")
    board.run("file.close()")


def test_the_native_module_updates_the_board(natmod, tmp_path):
    """The same .mpy that an ESP32-C3 loads: it verifies, writes, switches and
    confirms, and what it wrote is what then runs."""
    module = natmod("rv32imc", "small").read_bytes()
    trials = board_trials.Trials(BUILD, tmp_path, quiet=True)
    with trials.board() as board:
        board.wait_boot()
        put_file(board, "_baton.mpy", module)
        assert OLD in board.run(START + "print(_baton.verify(f, run, 5))")
        assert NEW in board.run(
            START
            + f"m = memoryview(uctypes.bytearray_at({IMAGE_ADDR}, "
            f"{trials.size}))\n"
            f"u = _baton.begin(f, 1 - run, run, 5, {trials.size})\n"
            f"for i in range(0, {trials.size}, 4096):\n"
            "    _baton.write(u, m[i:i + 4096])\n"
            "print(_baton.end(u))\n"
            "_baton.switch(f, 2, 2, 1 - run, 0)\n")
        board.reset()
        assert board.wait_boot() == f"ota_1 {NEW} on trial"
        # In the new firmware the module confirms it.
        board.run(START + "_baton.confirm(f, 2, 2, run, True)")
        board.reset()
        assert board.wait_boot() == f"ota_1 {NEW}"
        assert int(board.run(board_trials.STATE)) == board_trials.VALID


DECODE = """head = open("payload", "rb").read(512)
i = _baton.payload(head)
u = _baton.begin(f, 1 - run, run, 5, i[4], 0, i[5])
state = bytearray(i[3])
c = _baton.codec(u, run, head, state)
with open("payload", "rb") as file:
    more, data = False, file.read(700)
    while data or more:
        used, more, safe = _baton.push(c, data)
        data = data[used:] or (b"" if more else file.read(700))
_baton.finish(c)
print(_baton.end(u)[4], safe)
_baton.switch(f, 2, 2, 1 - run, 0)
"""
def test_the_stock_module_decodes_on_the_board(baton, natmod, tmp_path):
    """A delta against what runs, and a signature; what was decoded boots."""
    module = natmod("rv32imc", "stock").read_bytes()
    baton("pack", BUILD / "v1.26.1.app-bin", "--from", BUILD / "v1.26.0.app-bin", "-o",
          tmp_path / "payload", code=0)
    trials = board_trials.Trials(BUILD, tmp_path, quiet=True)
    with trials.board() as board:
        board.wait_boot()
        put_file(board, "_baton.mpy", module)
        put_file(board, "payload", (tmp_path / "payload").read_bytes())
        assert board.run(SIGNATURE).split() == ["True", "False"]
        assert f"{NEW} {trials.size // 4096 * 4096}" in board.run(START + DECODE)
        board.reset()
        assert board.wait_boot() == f"ota_1 {NEW} on trial"


def test_push_to_the_board(baton, tmp_path):
    """`baton push` over a pseudo-terminal: the board restarts into what came,
    here a program that switches it off."""
    board_trials.make_flash(tmp_path / "dev.bin", BUILD)
    qemu_board.make_unit0(tmp_path / "unit0", BUILD / "bootloader.bin")
    qemu_board.spread((tmp_path / "dev.bin").read_bytes(), tmp_path / "unit1")
    command = qemu_board.qemu_command(tmp_path / "unit0", tmp_path / "unit1")
    process = subprocess.Popen(
        command + ["-serial", "pty"], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        port = re.search(r"/dev/\S+", process.stdout.readline())[0]
        time.sleep(1)  # the prompt; before, nobody reads
        done = baton("push", "--port", port, "-v", BUILD / "off.app-bin",
                     code=0)
        assert "1 of 1 sectors sent, verified, chosen" in (
            done.stdout + done.stderr)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    flash = qemu_board.gather(tmp_path / "unit1")
    assert (BUILD / "off.app-bin").read_bytes() in flash[0x1C0000:0x1D0000]
