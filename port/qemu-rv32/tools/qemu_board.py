"""The emulated board from Python: its two flash files, QEMU, the raw prompt.

Only the standard library is used. QEMU gets one end of a socket pair as its
UART, so that not a byte is lost and nothing outlives this process.
"""
# SPDX-License-Identifier: MIT
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

UNIT_BYTES = 32 << 20  # of each flash unit; QEMU takes no other file
SECTOR_BYTES = 256 << 10
SMALL_SECTOR_BYTES = 4 << 10
SMALL_BYTES = 0x40000  # the part with small sectors
LARGE_AT = 0x1000000  # where the large ones begin, on the chip
FLASH_BYTES = 0x400000
QEMU = "qemu-system-riscv32"

CAUSE_POWER_ON, CAUSE_WATCHDOG, CAUSE_SOFT, CAUSE_PANIC = 1, 3, 5, 6
CUTS = ("before", "torn", "garbage", "after")


def chip_offset(addr):
    """Where an address of the board's flash is on the chip (flash.h)."""
    if addr >= SMALL_BYTES:
        return LARGE_AT + addr - SMALL_BYTES
    sector, off = divmod(addr, SMALL_SECTOR_BYTES)
    return sector * SECTOR_BYTES + off


def _runs():
    """Address, chip offset and length of each piece that is in one place."""
    for addr in range(0, SMALL_BYTES, SMALL_SECTOR_BYTES):
        yield addr, chip_offset(addr), SMALL_SECTOR_BYTES
    yield SMALL_BYTES, LARGE_AT, FLASH_BYTES - SMALL_BYTES


def make_unit0(path, bootloader):
    """Flash unit 0: the bootloader, then nothing."""
    image = Path(bootloader).read_bytes()
    Path(path).write_bytes(image + b"\xff" * (UNIT_BYTES - len(image)))


def spread(flash, path):
    """Writes the file of flash unit 1 from a flash as the board sees it (what
    `baton flash make` makes)."""
    flash = flash.ljust(FLASH_BYTES, b"\xff")
    if len(flash) != FLASH_BYTES:
        raise ValueError("the board's flash has 4 MiB")
    unit = bytearray(b"\xff" * UNIT_BYTES)
    for addr, at, count in _runs():
        unit[at:at + count] = flash[addr:addr + count]
    Path(path).write_bytes(unit)


def gather(path):
    """The opposite: the flash as the board sees it, for `baton flash boot`."""
    flash = bytearray(FLASH_BYTES)
    with open(path, "rb") as unit:
        for addr, at, count in _runs():
            unit.seek(at)
            flash[addr:addr + count] = unit.read(count)
    return bytes(flash)


def restore(path, flash):
    """Makes a used unit 1 hold `flash` again; writes only what differs, so
    that a thousand runs do not write a thousand files."""
    flash = flash.ljust(FLASH_BYTES, b"\xff")
    with open(path, "r+b") as unit:
        for addr, at, count in _runs():
            for off in range(0, count, SECTOR_BYTES):
                n = min(SECTOR_BYTES, count - off)
                unit.seek(at + off)
                want = flash[addr + off:addr + off + n]
                if unit.read(n) != want:
                    unit.seek(at + off)
                    unit.write(want)


def qemu_command(unit0, unit1):
    """QEMU with the board's two flash units, and no UART yet."""
    return [
        QEMU, "-machine", "virt", "-bios", "none", "-display", "none",
        "-monitor", "none", "-nodefaults",
        "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={unit0}",
        "-drive", f"if=pflash,unit=1,format=raw,file={unit1}",
    ]


def run_program(elf, unit1, timeout=300):
    """Runs a C test on the board, in RAM, with flash of its own. Returns
    whether it passed, and what it printed."""
    if not Path(unit1).is_file():
        spread(b"", unit1)
    done = subprocess.run(
        [QEMU, "-machine", "virt", "-bios", elf, "-display", "none",
         "-monitor", "none", "-serial", "stdio",
         "-drive", f"if=pflash,unit=1,format=raw,file={unit1}"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=timeout, check=False)
    return done.returncode == 0, done.stdout + done.stderr


class BoardError(Exception):
    """The board did not do what was asked; the text says what came."""


class Ended(BoardError):
    """QEMU has ended."""


class ScriptError(BoardError):
    """The script on the board raised; the text is its traceback."""


class Board:
    """A running board. Use it as a context manager: QEMU ends with it."""

    def __init__(self, unit0, unit1, ram_file=None, echo=None):
        """ram_file: (path, address), bytes laid into RAM before the start.
        echo: called with every piece of text the board prints."""
        self.output = b""
        self.echo = echo
        ours, theirs = socket.socketpair()
        command = qemu_command(unit0, unit1) + [
            "-chardev", f"socket,id=uart,fd={theirs.fileno()}",
            "-serial", "chardev:uart",
        ]
        if ram_file:
            path, addr = ram_file
            command += ["-device",
                        f"loader,file={path},addr={addr:#x},force-raw=on"]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log,
        )
        theirs.close()
        self.uart = ours

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        """SIGKILL: what was not finished on flash is not there."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.uart.close()
        self.log.close()

    def wait_end(self, timeout=60):
        """Waits until QEMU has ended by itself; returns its exit status."""
        deadline = time.monotonic() + timeout
        try:
            while time.monotonic() < deadline:
                self._receive(0.5)
        except Ended:
            pass
        return self.process.wait(max(1, deadline - time.monotonic()))

    def _receive(self, seconds):
        if not select.select([self.uart], [], [], seconds)[0]:
            return
        try:
            data = self.uart.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.log.seek(0)
            said = self.log.read().decode(errors="replace")
            raise Ended(f"QEMU ended: {said}{self.output[-400:]!r}")
        if self.echo:
            self.echo(data.decode(errors="replace"))
        self.output += data

    def read_until(self, mark, timeout=60, other=None):
        """Waits for `mark` and returns what came before it, mark included.
        Where `other` comes first, returns None and leaves it all there."""
        deadline = time.monotonic() + timeout
        while mark not in self.output:
            if other is not None and other in self.output:
                return None
            left = deadline - time.monotonic()
            if left <= 0:
                raise BoardError(
                    f"no {mark!r} within {timeout} s: {self.output[-400:]!r}"
                )
            self._receive(left)
        end = self.output.index(mark) + len(mark)
        taken, self.output = self.output[:end], self.output[end:]
        return taken

    def send(self, data):
        try:
            self.uart.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise Ended("QEMU ended") from None

    # ---- MicroPython ------------------------------------------------------

    def wait_boot(self, timeout=60):
        """Waits for the bootloader's line and MicroPython's prompt; returns
        the bootloader's line."""
        line = self.read_until(b"baton: ", timeout)
        line = self.read_until(b"\n", timeout).decode().strip()
        self.read_until(b">>> ", timeout)
        self.send(b"\x01")
        self.read_until(b"raw REPL; CTRL-B to exit\r\n>", timeout)
        return line

    def begin(self, code):
        """Starts a script at the raw prompt."""
        self.send(code.encode() + b"\x04")
        self.read_until(b"OK")

    def finish(self, timeout=60):
        """Waits for the end of the script; returns what it printed."""
        out = self.read_until(b"\x04", timeout)[:-1].decode()
        error = self.read_until(b"\x04", timeout)[:-1].decode()
        self.read_until(b">", timeout)
        if error:
            raise ScriptError(error)
        return out

    def run(self, code, timeout=60):
        self.begin(code)
        return self.finish(timeout).replace("\r\n", "\n")

    def reset(self):
        """machine.reset(); the next thing to do is wait_boot()."""
        self.send(b"import machine\nmachine.reset()\n\x04")

    def push(self, image, chunk=256, progress=None):
        """Sends an image to the slot that does not run: each chunk is
        acknowledged before the next one goes. Does not switch to it."""
        self.begin(
            "import sys, baton\n"
            "p = baton.Partition(baton.Partition.RUNNING).get_next_update()\n"
            f"h, left = p.ota_begin({len(image)}), {len(image)}\n"
            f"b = memoryview(bytearray({chunk}))\n"
            "print('ready')\n"
            "while left:\n"
            f"    c = b[:min(left, {chunk})]\n"
            "    sys.stdin.buffer.readinto(c)\n"
            "    p.ota_write(h, c)\n"
            "    left -= len(c)\n"
            "    sys.stdout.write('.')\n"
            "p.ota_end(h)\n"
        )
        # Where the script raises, finish() says what.
        going = self.read_until(b"ready\r\n", other=b"\x04")
        for off in range(0, len(image) if going else 0, chunk):
            self.send(image[off:off + chunk])
            if not self.read_until(b".", other=b"\x04"):
                break
            if progress:
                progress(min(off + chunk, len(image)), len(image))
        self.finish()
