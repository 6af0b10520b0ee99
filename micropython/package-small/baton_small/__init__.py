# Updates with the small native module: from a plain web server, verified, on
# trial. docs/STOCK.md tells how to use it.
# SPDX-License-Identifier: MIT
import machine
import socket
import struct

import _baton
from esp32 import Partition

from .errors import describe

_SLOT, _RUNNING, _OTADATA = range(3)  # as the partitions are given to flash()
_OTA_0 = 0x10
_HEAD = 288
_NEW, _PENDING, _INVALID, _ABORTED = 0, 1, 3, 4
_TRIES = 5
_ERR_ON_TRIAL = -322


class Error(OSError):
    """What was refused. args[0] is the code; str() the sentence, hint what can
    be done."""

    def __init__(self, code):
        self.name, self.text, self.hint = describe(code)
        super().__init__(code, self.text)

    def __str__(self):
        return self.text


def _call(function, *args):
    try:
        return function(*args)
    except OSError as error:
        if len(error.args) == 1 and error.args[0] <= -200:
            raise Error(error.args[0])
        raise


class _Device:
    def __init__(self, block=None):
        self.running = Partition(Partition.RUNNING)
        self.slot = self.running.get_next_update()
        self.otadata = Partition.find(Partition.TYPE_DATA, 0)[0]
        apps = Partition.find(Partition.TYPE_APP)
        self.slots = sum(1 for p in apps if p.info()[1] >> 4 == 1)
        self.own = self.running.info()[1] - _OTA_0
        self.other = self.slot.info()[1] - _OTA_0
        self.chip = self.head(self.running)[12] | self.head(self.running)[13] << 8
        self.flash = _baton.flash(block, self.slot, self.running, self.otadata)

    def head(self, partition):
        head = bytearray(_HEAD)
        partition.readblocks(0, head, 0)
        return head

    def state(self, slot):
        """Of the newest record that points at the slot; None without one."""
        found = (0, None)
        for copy in range(2):
            raw = bytearray(32)
            self.otadata.readblocks(copy, raw, 0)
            seq, state = struct.unpack("<I20xI", raw)
            if 0 < seq < 0xFFFFFFFF and (seq - 1) % self.slots == slot:
                found = max(found, (seq, state))
        return found[1]

    def call(self, function, *args):
        return _call(function, self.flash, _OTADATA, self.slots, *args)


def begin():
    """Puts right what a power cut can have left; call it once, at boot.
    Returns whether the running firmware is on trial."""
    device = _Device()
    if device.own < 0:
        return False  # factory runs
    device.call(_baton.settle, device.own)
    return device.state(device.own) in (_NEW, _PENDING)


def confirm():
    """The running firmware stays. Nothing is written where it is confirmed."""
    device = _Device()
    if device.own < 0 or device.state(device.own) not in (_NEW, _PENDING):
        return
    try:
        _baton.verify(device.flash, _SLOT, device.chip)
        other_boots = True
    except OSError:
        other_boots = False
    device.call(_baton.confirm, device.own, other_boots)


def rollback():
    """Goes back to the other slot's firmware, if that is whole; restarts."""
    device = _Device()
    _call(_baton.verify, device.flash, _SLOT, device.chip)
    device.call(_baton.reject, device.own)
    machine.reset()


# ---- The web -------------------------------------------------------------


class _Body:
    """The body of an answer to GET, from an offset on."""

    def __init__(self, url, offset=0, tag=None):
        scheme, _, host, path = (url + "/" * (url.count("/") < 3)).split("/", 3)
        name, _, port = host.partition(":")
        secure = scheme == "https:"
        address = socket.getaddrinfo(name, int(port or (443 if secure else 80)), 0, socket.SOCK_STREAM)[0][-1]
        self.socket = self.stream = socket.socket()
        self.socket.settimeout(20)
        self.socket.connect(address)
        if secure:
            import ssl
            self.stream = ssl.wrap_socket(self.socket, server_hostname=name)
        ask = "GET /%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nAccept-Encoding: identity\r\n" % (path, host)
        if offset and tag:
            ask += "Range: bytes=%d-\r\nIf-Range: %s\r\n" % (offset, tag)
        self.stream.write((ask + "\r\n").encode())
        self.read_head(offset)

    def read_head(self, offset):
        status = int(self.stream.readline().split(None, 2)[1])
        self.size = self.tag = None
        while True:
            line = self.stream.readline().decode().strip()
            if not line:
                break
            key, _, value = line.partition(":")
            key, value = key.lower(), value.strip()
            if key == "content-length":
                self.size = int(value)
            elif key == "etag" and not value.startswith("W/"):
                self.tag = value
            elif key == "transfer-encoding":
                raise OSError("the server sends chunks: a plain file is needed")
        if status not in (200, 206) or self.size is None:
            raise OSError("the server answers %d" % status)
        if status == 206:
            self.size += offset
        else:
            self.skip(offset)

    def skip(self, count):
        piece = memoryview(bytearray(512))
        while count:
            count -= self.read(piece[:min(count, len(piece))])

    def read(self, buf):
        got = self.stream.readinto(buf)
        if not got:
            raise OSError("the connection ended early")
        return got

    def close(self):
        self.stream.close()


def _copy(url, body, update, done, progress):
    """Writes the rest of the body; takes the connection up again where it
    breaks. Only the file of the same tag is gone on with."""
    buf = memoryview(bytearray(4096))
    size, tag, tries = body.size, body.tag, 0
    while done < size:
        try:
            if body is None:
                body = _Body(url, done, tag)
                if body.size != size or body.tag != tag:
                    raise ValueError("the file on the server has changed")
            got = body.read(buf[:min(len(buf), size - done)])
        except OSError:
            tries += 1
            if tries == _TRIES:
                raise
            if body:
                body.close()
                body = None
            continue
        _call(_baton.write, update, buf[:got])
        done += got
        if progress:
            progress(done, size)
    body.close()


def reach(url):
    """Asks for the file, without fetching it; returns its length. That a new
    firmware can do this shows that it can be updated again."""
    body = _Body(url)
    body.close()
    return body.size


def pull(url, sha256=None, block=None, progress=None, reset=True):
    """Fetches a firmware into the slot that does not run, verifies it, and
    restarts into it, on trial. Not while this one is on trial. Returns False where the server has what runs, or
    what was rolled back before.

    sha256    of the file, bytes, where it is known
    block     a bytearray of 65536, to erase faster
    progress  is called with (bytes done, bytes in all)
    reset     False: the new firmware starts at the next reset; returns True
    """
    device = _Device(block)
    if device.own >= 0 and device.state(device.own) in (_NEW, _PENDING):
        raise Error(_ERR_ON_TRIAL)  # the other slot is what it can go back to
    body = _Body(url)
    head = memoryview(bytearray(min(_HEAD, body.size)))
    at = 0
    while at < len(head):
        at += body.read(head[at:])
    if head == device.head(device.running) or (
            head == device.head(device.slot) and device.state(device.other) in (_INVALID, _ABORTED)):
        body.close()
        return False
    update = _call(_baton.begin, device.flash, _SLOT, _RUNNING, device.chip, body.size, 0, sha256)
    _call(_baton.write, update, head)
    _copy(url, body, update, at, progress)
    _call(_baton.end, update)
    device.call(_baton.switch, device.other, _NEW)
    if reset:
        machine.reset()
    return True
