"""A serial line between a program and a port: two pseudo-terminals and what
lies between them, which can lose and damage bytes, or break."""
# SPDX-License-Identifier: MIT
import fcntl
import os
import pty
import select
import subprocess
import termios
import threading
import tty


def own_terminal():
    """Ctrl-C on the line interrupts the program."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Wire:
    """`device` is the port for the host's side. The program is started on the
    other; its output so far is in `log`."""

    def __init__(self, command, **options):
        self.far, far_side = pty.openpty()
        settings = termios.tcgetattr(far_side)
        settings[1] &= ~termios.OPOST  # a serial line adds nothing to line ends
        termios.tcsetattr(far_side, termios.TCSANOW, settings)
        self.near, self._near_side = pty.openpty()
        tty.setraw(self._near_side)
        self.device = os.ttyname(self._near_side)
        self.log = bytearray()
        self.to_device = 0  # bytes that the host has sent
        self.damage = None  # called with (offset, data) of what the host sends
        self._stop = threading.Event()
        self.process = subprocess.Popen(command, stdin=far_side, stdout=far_side, stderr=far_side,
                                        preexec_fn=own_terminal, **options)
        os.close(far_side)
        self._thread = threading.Thread(target=self._relay, daemon=True)
        self._thread.start()

    def _relay(self):
        while not self._stop.is_set():
            ready, _, _ = select.select([self.far, self.near], [], [], 0.2)
            try:
                for fd in ready:
                    data = os.read(fd, 4096)
                    if fd == self.far:
                        self.log += data
                        os.write(self.near, data)
                    else:
                        start = self.to_device
                        self.to_device += len(data)
                        if self.damage:
                            data = self.damage(start, data)
                        os.write(self.far, data)
            except OSError:
                return

    def text(self):
        return bytes(self.log).decode(errors="replace")

    def close(self):
        self._stop.set()
        self._thread.join(timeout=5)
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(timeout=5)
        for fd in (self.far, self.near, self._near_side):
            os.close(fd)
