# The native module on real MicroPython for a Cortex-M3, in an emulated board
# without flash: partitions in RAM that keep the rules of NOR, files in RAM, too. Installed by
# baton install, over the emulated serial port.
# SPDX-License-Identifier: MIT
import os
import select
import shutil
import subprocess
import time
import tty

import pytest

from flash_helpers import image
from wire import Wire

MOUNT = """
import io, vfs
class Writer:
    def __init__(self, data):
        self.data = data
    def write(self, piece):
        self.data.extend(piece)
        return len(piece)
    def close(self):
        pass
class Files:
    def __init__(self):
        self.data = {}
    def mount(self, readonly, mkfs):
        pass
    def umount(self):
        pass
    def name(self, path):
        path = path.lstrip("/")
        if path not in self.data:
            raise OSError(2)
        return path
    def open(self, path, mode):
        if "w" in mode:
            self.data[path.lstrip("/")] = data = bytearray()
            return Writer(data)
        return io.BytesIO(self.data[self.name(path)])
    def stat(self, path):
        if path.strip("/") == "lib":
            return (0x4000,) + 9 * (0,)
        self.name(path)
        return (0x8000,) + 9 * (0,)
    def mkdir(self, path):
        pass
    def remove(self, path):
        del self.data[self.name(path)]
    def rename(self, old, new):
        self.data[new.lstrip("/")] = self.data.pop(self.name(old))
    def chdir(self, path):
        pass
vfs.mount(Files(), "/")
print("mounted")
"""
# This board's memory is small, and the texts of errors are in it.
PARTITIONS = """
import os, sys
sys.path.append("/lib")
os.remove("/lib/baton_small/errors.txt")
import _baton
class Partition:
    def __init__(self, addr, size):
        self.addr = addr
        self.data = bytearray(size)
        for i in range(size):
            self.data[i] = 0xff
    def info(self):
        return (0, 0x10, self.addr, len(self.data), "part", False)
    def readblocks(self, n, buf, off=0):
        at = n * 4096 + off
        buf[:] = memoryview(self.data)[at:at + len(buf)]
    def writeblocks(self, n, buf, off):
        at = n * 4096 + off
        for i in range(len(buf)):
            if ~self.data[at + i] & buf[i]:
                raise ValueError("no erase")
            self.data[at + i] = buf[i]
    def ioctl(self, op, n):
        if op == 6:
            self.data[n * 4096:n * 4096 + 4096] = b"\\xff" * 4096
        return 0
slot, running, otadata = Partition(0x20000, 12288), Partition(0x10000, 4096), Partition(0xd000, 8192)
flash = _baton.flash(None, slot, running, otadata)
update = _baton.begin(flash, 0, 1, 5, %d)
print("begun")
"""
FINISH = """
print(_baton.end(update)[4])
_baton.switch(flash, 2, 2, 1, 1)
_baton.confirm(flash, 2, 2, 1, True)
import binascii
print(str(binascii.hexlify(otadata.data[:32] + otadata.data[4096:4128]), "ascii"))
"""


class Prompt:
    """The raw prompt, from this side."""

    def __init__(self, wire):
        self.fd = os.open(wire.device, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd)

    def read_to(self, end, seconds=60):
        data, until = b"", time.monotonic() + seconds
        while not data.endswith(end):
            ready, _, _ = select.select([self.fd], [], [], max(0, until - time.monotonic()))
            assert ready, data
            data += os.read(self.fd, 1)
        return data

    def run(self, script):
        os.write(self.fd, b"\r\x03\x03\r\x01")
        self.read_to(b"CTRL-B to exit")
        self.read_to(b">")
        for at in range(0, len(script), 64):
            os.write(self.fd, script[at:at + 64].encode())
            time.sleep(0.005)
        os.write(self.fd, b"\x04")
        self.read_to(b"OK")
        output = self.read_to(b"\x04")[:-1].decode()
        error = self.read_to(b"\x04")[:-1].decode()
        self.read_to(b">")
        assert error == "", error
        return output.split()


@pytest.fixture
def board(repo, tmp_path):
    for tool in ("qemu-system-arm", "arm-none-eabi-gcc"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is missing")
    elf = repo / "build" / "firmware-armv7m.elf"
    made = subprocess.run([repo / "scripts" / "micropython", "armv7m", "--out", elf], cwd=repo,
                          capture_output=True, text=True, timeout=900)
    if "newlib" in made.stderr:
        pytest.skip(made.stderr.strip())
    assert made.returncode == 0, made.stderr
    wire = Wire(["qemu-system-arm", "-machine", "mps2-an385", "-display", "none", "-monitor", "none",
                 "-semihosting", "-chardev", "stdio,id=line,signal=off", "-serial", "chardev:line",
                 "-kernel", elf])
    prompt = Prompt(wire)
    prompt.read_to(b">>> ")
    yield wire, prompt
    os.close(prompt.fd)
    wire.close()


def test_installs_and_updates(board, baton, natmod):
    wire, prompt = board
    natmod("armv7m", "small")
    assert prompt.run(MOUNT) == ["mounted"]
    done = baton("install", "--port", wire.device, "--small", "-v", code=0, timeout=120)
    assert "for armv7m" in done.stdout
    new = image("v2", chip="esp32c3", size=9000)
    assert prompt.run(PARTITIONS % len(new)) == ["begun"]
    for at in range(0, len(new), 1000):
        prompt.run(f"_baton.write(update, {new[at:at + 1000]!r})")
    version, records = prompt.run(FINISH)
    assert version == "v2"
    raw = bytes.fromhex(records)
    assert raw[:4] == b"\x02\0\0\0" and raw[24:28] == b"\x02\0\0\0" or raw[32:36] == b"\x02\0\0\0" and raw[56:60] == b"\x02\0\0\0"
