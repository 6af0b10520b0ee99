# The virtual ESP32's MicroPython: scripts of tests/micropython under baton sim,
# their output compared with what the chip gives.
# SPDX-License-Identifier: MIT
import difflib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from flash_helpers import image

SCRIPTS = Path(__file__).resolve().parent.parent / "micropython"
LAYOUT = "micropython-4mib-ota"


class Board:
    """A flash file and a directory, and the runs of baton sim on them."""

    def __init__(self, baton_path, folder):
        self.baton_path = baton_path
        self.folder = folder
        self.fs = folder / "fs"
        self.fs.mkdir()

    def call(self, *args, **options):
        return subprocess.run(
            [self.baton_path, *map(str, args)], cwd=self.folder, text=True,
            capture_output=True, stdin=subprocess.DEVNULL, timeout=120,
            **options)

    def make(self, *args, layout=LAYOUT):
        done = self.call("flash", "make", "--layout", layout, "-o", "dev.bin",
                         *args)
        assert done.returncode == 0, done.stderr

    def run(self, *args):
        """What the firmware printed, and the report."""
        done = self.call("sim", "--flash", "dev.bin", "--fs", "fs", "--json",
                         "--quiet", "--timeout", 60, *args)
        *console, last = done.stdout.splitlines()
        return "".join(line + "\n" for line in console), json.loads(last)


@pytest.fixture
def board(baton_path, micropython, tmp_path):
    assert micropython.is_file()
    board = Board(baton_path, tmp_path)
    (tmp_path / "v1.img").write_bytes(image("v1.0", project="micropython"))
    board.make("--ota_0", "v1.img")
    return board


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.py")),
                         ids=lambda path: path.stem)
def test_script(board, script):
    shutil.copy(script, board.fs / "main.py")
    console, report = board.run("--max-boots", 12, "--mac", "24:6f:28:00:00:01")
    expected = script.with_suffix(".py.exp").read_text()
    assert console == expected, "\n" + "".join(difflib.unified_diff(
        expected.splitlines(True), console.splitlines(True), "expected",
        "printed"))
    assert report["end"] == "scripts ended"
    assert report["crashes"] == 0
