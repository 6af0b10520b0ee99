# Updates with the small native module: from a plain web server, verified, on
# trial. docs/STOCK.md tells how to use it.
# SPDX-License-Identifier: MIT
import gc

import _baton
from esp32 import Partition

_SLOT, _RUNNING, _OTADATA = range(3)  # as the partitions are given to flash()
_OTA_0 = 0x10
_SECTOR = 4096
_BLOCK = 65536  # what one erase command takes at most
_SPARE = 16384  # memory that is left to others
_HEAD = 288
_HAS_DIGEST = 23  # in the head: a SHA-256 of everything ends the image
_DIGEST = 32
_HELD = 32  # bytes of the head that are written last
_PIECE = 16384  # read at once, written at once
_COMPARED = 8192
_INVALID_ARG = -258  # ESP_ERR_INVALID_ARG
_NEW, _PENDING, _INVALID, _ABORTED = 0, 1, 3, 4
_TRIES = 5
_ERR_ON_TRIAL = -322
_ERR_SHA256 = -233
_ERR_READBACK = -202


class Error(OSError):
    """What was refused. args[0] is the code; str() the sentence, hint what can
    be done."""

    def __init__(self, code):
        from .errors import describe

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


def _memory(most):
    """As much as can be spared, of 4096 bytes up to `most`. The more, the fewer
    commands to the flash, each of which stops the chip."""
    while most > _SECTOR:
        gc.collect()
        try:
            memory = bytearray(most)
            if gc.mem_free() >= _SPARE:
                return memory
        except MemoryError:
            pass
        memory = None
        most //= 2
    return bytearray(_SECTOR)


class _Device:
    def __init__(self):
        self.running = Partition(Partition.RUNNING)
        self.slot = self.running.get_next_update()
        self.otadata = Partition.find(Partition.TYPE_DATA, 0)[0]
        apps = Partition.find(Partition.TYPE_APP)
        self.slots = sum(1 for p in apps if p.info()[1] >> 4 == 1)
        self.own = self.running.info()[1] - _OTA_0
        self.other = self.slot.info()[1] - _OTA_0
        self.chip = self.head(self.running)[12] | self.head(self.running)[13] << 8
        self.flash = _baton.flash(None, self.slot, self.running, self.otadata)

    def head(self, partition):
        head = bytearray(_HEAD)
        partition.readblocks(0, head, 0)
        return head

    def state(self, slot):
        """Of the newest record that points at the slot; None without one."""
        return self.record(slot)[1]

    def record(self, slot):
        found = (0, None)
        for copy in range(2):
            raw = bytearray(32)
            self.otadata.readblocks(copy, raw, 0)
            seq, state = int.from_bytes(raw[:4], "little"), int.from_bytes(raw[24:28], "little")
            if 0 < seq < 0xFFFFFFFF and (seq - 1) % self.slots == slot:
                found = max(found, (seq, state))
        return found

    def verify(self):
        """The image in the other slot."""
        _baton.ahead(self.flash, _memory(_PIECE))
        _call(_baton.verify, self.flash, _SLOT, self.chip)

    def call(self, function, *args):
        return _call(function, self.flash, _OTADATA, self.slots, *args)


# Imported where they are used: modules that can be extended are looked for in the
# file system, which takes its time at every boot.
def _restart():
    import machine

    machine.reset()


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
        device.verify()
        other_boots = True
    except OSError:
        other_boots = False
    device.call(_baton.confirm, device.own, other_boots)


def rollback():
    """Goes back to the other slot's firmware, if that is whole; restarts."""
    device = _Device()
    device.verify()
    device.call(_baton.reject, device.own)
    _restart()


# ---- The web -------------------------------------------------------------


class _Body:
    """The body of an answer to GET. size is the file's; is_part tells whether
    it begins at the offset that was asked for, or with the file."""

    def __init__(self, url, offset=0, tag=None):
        try:
            import usocket as socket  # not looked for in the file system
        except ImportError:
            import socket

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
        if offset:
            ask += "Range: bytes=%d-\r\n" % offset
            if tag:
                ask += "If-Range: %s\r\n" % tag
        self.stream.write((ask + "\r\n").encode())
        self.read_head(offset)

    def read_head(self, offset):
        status = int(self.stream.readline().split(None, 2)[1])
        self.size = self.tag = None
        self.has_ranges = False
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
            elif key == "accept-ranges":
                self.has_ranges = value == "bytes"
            elif key == "transfer-encoding":
                raise OSError("the server sends chunks: a plain file is needed")
        if status not in (200, 206) or self.size is None:
            raise OSError("the server answers %d" % status)
        self.is_part = status == 206
        if self.is_part:
            self.size += offset

    def read(self, buf):
        got = self.stream.readinto(buf)
        if not got:
            raise OSError("the connection ended early")
        return got

    def close(self):
        self.stream.close()


class _File:
    """The file on the server, from its beginning on. The connection is taken up
    again where it breaks, if the file is still the same one."""

    def __init__(self, url):
        self.url, self.tries = url, 0
        self.body = _Body(url)
        self.size, self.tag = self.body.size, self.body.tag
        self.at = 0  # bytes that came
        # Of those, what fill() gives once more: `known` bytes, which a
        # partition has too, from `again` on, and then the rest.
        self.again, self.known, self.partition, self.rest = 0, 0, None, b""

    def close(self):
        if self.body:
            self.body.close()
        self.body = None

    def check(self, body):
        self.body = body
        if body.size != self.size or body.tag != self.tag:
            raise ValueError("the file on the server has changed")

    def reopen(self):
        body = _Body(self.url, self.at if self.tag else 0, self.tag)
        self.check(body)
        left = 0 if body.is_part else self.at
        piece = memoryview(bytearray(512))
        while left:
            left -= body.read(piece[:min(left, len(piece))])

    def receive(self, buf):
        done = 0
        while done < len(buf):
            try:
                if self.body is None:
                    self.reopen()
                got = self.body.read(buf[done:done + _PIECE])
            except OSError:
                self.close()
                self.tries += 1
                if self.tries == _TRIES:
                    raise
                continue
            done += got
            self.at += got

    def fill(self, buf):
        """The file's next bytes, as many as the buffer takes."""
        take = min(len(buf), self.known - self.again)
        if take:
            at = self.again
            self.partition.readblocks(at // _SECTOR, buf[:take], at % _SECTOR)
            self.again += take
            buf = buf[take:]
        take = min(len(buf), len(self.rest))
        buf[:take] = self.rest[:take]
        self.rest = self.rest[take:]
        self.receive(buf[take:])

    def head(self):
        """The first bytes, which fill() gives, too."""
        self.first = self.rest = memoryview(bytearray(min(_HEAD, self.size)))
        self.receive(self.rest)
        return self.first

    def is_in(self, partition):
        """Whether a partition, which has the same head, holds all of the file."""
        by_ranges = self.body and self.body.has_ranges
        if by_ranges or self.at != len(self.first):
            self.close()
            self.at = self.again = self.known = 0
            self.rest = b""
        if by_ranges and self.first[_HAS_DIGEST] and self.size > _HEAD + _DIGEST:
            known = self.is_digest_in(partition)
            if known is not None:
                return known
        new, old = memoryview(bytearray(_COMPARED)), memoryview(bytearray(_COMPARED))
        at = 0
        while at < self.size:
            count = min(_COMPARED, self.size - at)
            piece = new[:count]
            self.fill(piece)
            partition.readblocks(at // _SECTOR, old[:count], 0)
            if piece != old[:count]:
                self.partition, self.known, self.rest = partition, at, piece
                return False
            at += count
        return True

    def is_digest_in(self, partition):
        """By the file's last bytes alone, from a server that has ranges. None
        where it sends the whole file instead, from the beginning on."""
        at = self.size - _DIGEST
        self.check(_Body(self.url, at, self.tag))
        if not self.body.is_part:
            return None
        new, old = memoryview(bytearray(_DIGEST)), bytearray(_DIGEST)
        self.at = at
        self.receive(new)
        self.close()
        self.at = 0
        partition.readblocks(at // _SECTOR, old, at % _SECTOR)
        return new == old


def reach(url):
    """Asks for the file, without fetching it; returns its length. That a new
    firmware can do this shows that it can be updated again."""
    body = _Body(url)
    body.close()
    return body.size


# ---- Writing -------------------------------------------------------------


def _nothing(slot):
    """A buffer at address 0, which Partition.writeblocks erases 64 KiB for, before
    ESP-IDF refuses to write from there. None where it would not refuse."""
    import uctypes

    try:
        slot.writeblocks(0, uctypes.bytearray_at(0, 0), 0)
    except OSError as error:
        if error.args[0] == _INVALID_ARG and not slot.info()[5]:
            return uctypes.bytearray_at(0, _BLOCK)


class _Sectors:
    """Writes the slot's sectors in order, except the first ones that are right
    already, as an update that was cut leaves them. The last of these can be the
    one that was in flight, which reads right and is not: it is written again with
    the first that differs. Behind that one nothing is looked at any more: each
    command to the flash stops the chip, and costs more than what it moves."""

    def __init__(self, slot):
        self.slot = slot
        self.end = slot.info()[3]
        self.old = bytearray(_SECTOR)
        self.erased = 0  # what lies below is, by a block erase
        self.nothing = _nothing(slot)
        self.differs = self.skipped = False  # some sector; the one before

    def write(self, at, data):
        while data and at >= self.erased and not self.differs:
            if self.is_right(at, data[:_SECTOR]):
                self.skipped = True
                at += _SECTOR
                data = data[_SECTOR:]
                continue
            self.differs = True
            if self.skipped:
                self.slot.readblocks(at // _SECTOR - 1, self.old)
                self.slot.writeblocks(at // _SECTOR - 1, self.old)
        if not data:
            return
        if at < self.erased or self.erase_block(at):
            self.slot.writeblocks(at // _SECTOR, data, 0)
        else:
            self.slot.writeblocks(at // _SECTOR, data)

    def erase_block(self, at):
        """Without memory for it; whether that was possible."""
        if self.nothing is None or at % _BLOCK or at + _BLOCK > self.end:
            return False
        try:
            self.slot.writeblocks(at // _SECTOR, self.nothing)
        except OSError as error:
            if error.args[0] != _INVALID_ARG:
                raise
        if not self.erased:  # this firmware's way is known then
            piece = bytearray(32)
            self.slot.readblocks(at // _SECTOR, piece, 0)
            if piece != b"\xff" * len(piece):
                raise Error(_ERR_READBACK)
        self.erased = at + _BLOCK
        return True

    def is_right(self, at, data):
        old = self.old
        self.slot.readblocks(at // _SECTOR, old)
        # Blank is believed of no flash that was not erased here.
        return old == data and not (old[0] & old[-1] == 255 and all(b == 255 for b in old))

    def write_first(self, data):
        """All but the head, which stays erased: without it there is no image."""
        self.head = bytes(data[:_HELD])
        if self.erase_block(0):
            self.slot.writeblocks(0, data[_HELD:], _HELD)
        elif self.slot.info()[5]:  # encrypted: 0xFF is not what is erased
            for n in range(len(data) // _SECTOR):
                self.slot.ioctl(6, n)
            self.slot.writeblocks(0, data[_HELD:], _HELD)
        else:
            data[:_HELD] = b"\xff" * _HELD
            self.slot.writeblocks(0, data)

    def check(self, at, data):
        """That flash has these bytes there."""
        old = bytearray(len(data))
        self.slot.readblocks(at // _SECTOR, old, at % _SECTOR)
        if old != data:
            raise Error(_ERR_READBACK)

    def ends_with_digest(self, size, first):
        """Whether the image's digest ends the file: behind it may be a signature."""
        if not first[_HAS_DIGEST]:
            return False
        at, header = 24, bytearray(first[24:32])
        for left in range(first[1] - 1, -1, -1):
            at += 8 + int.from_bytes(header[4:], "little")
            if at > size:
                return False
            if left:
                self.slot.readblocks(at // _SECTOR, header, at % _SECTOR)
        return at // 16 * 16 + 16 + _DIGEST == size

    def check_all(self, size, sha256, buf):
        import uhashlib

        sha = uhashlib.sha256()
        for at in range(0, size, len(buf)):
            piece = buf[:size - at]
            self.slot.readblocks(at // _SECTOR, piece, 0)
            if at == 0:
                piece[:_HELD] = self.head
            sha.update(piece)
        if sha.digest() != sha256:
            raise Error(_ERR_SHA256)

    def write_head(self):
        self.slot.writeblocks(0, self.head, 0)


def _write(slot, file, sha256, block, progress):
    """In pieces of 16 KiB; where a block erase needs memory, of up to a block.

    The file is hashed as it comes. Where its last 32 bytes, which are seen to be
    on flash, are the digest of all before them, ESP-IDF, which reads all that
    back to choose it, has nothing else to compare it with."""
    import uhashlib

    sectors = _Sectors(slot)
    sha = uhashlib.sha256()
    # What Python's heap has taken once it keeps: TLS needs some the next time.
    is_large = sectors.nothing is None and not file.url.startswith("https:")
    buf = memoryview(block or _memory(_BLOCK if is_large else _PIECE))
    at, tail = 0, b""
    while at < file.size:
        count = min(len(buf), _BLOCK - at % _BLOCK, file.size - at)
        file.fill(buf[:count])
        sha.update(buf[:count])
        tail = (tail + bytes(buf[max(count - _DIGEST, 0):count]))[-_DIGEST:]
        whole = -(-count // _SECTOR) * _SECTOR
        buf[count:whole] = b"\xff" * (whole - count)
        if at:
            sectors.write(at, buf[:whole])
        else:
            sectors.write_first(buf[:whole])
        at += count
        if progress:
            progress(at, file.size)
    file.close()
    if sha256 and sha.digest() != sha256:
        raise Error(_ERR_SHA256)
    sectors.check(file.size - _DIGEST, tail)
    if sha256 and not sectors.ends_with_digest(file.size, file.first):
        sectors.check_all(file.size, sha256, buf)
    sectors.write_head()


def _switch(device):
    """ESP-IDF reads the image back, verifies it, and chooses it, on trial: through
    the cache, which is quicker than anything that can be done from here."""
    seq, state = device.record(device.other)
    # Chosen already, before a reset: set_boot would take the record of what runs
    # for the other slot, too.
    is_chosen = seq > device.record(device.own)[0] and state == _NEW
    try:
        if is_chosen:
            device.verify()
        else:
            device.slot.set_boot()
    except OSError:
        try:
            device.verify()  # says what is wrong with it
        finally:
            device.slot.ioctl(6, 0)
        raise


def pull(url, sha256=None, block=None, progress=None, reset=True):
    """Fetches a firmware into the slot that does not run, verifies it, and
    restarts into it, on trial. Not while this one is on trial. Returns False
    where the server has what runs, or what was rolled back before.

    sha256    of the file, bytes, where it is known
    block     memory to work in, a bytearray of 4096 bytes or a multiple; None:
              16384, or up to 65536 where a block erase needs memory
    progress  is called with (bytes done, bytes in all)
    reset     False: the new firmware starts at the next reset; returns True
    """
    device = _Device()
    if device.own >= 0 and device.state(device.own) in (_NEW, _PENDING):
        raise Error(_ERR_ON_TRIAL)  # the other slot is what it can go back to
    file = _File(url)
    head = file.head()
    for partition in (device.running, device.slot):
        if partition == device.slot and device.state(device.other) not in (_INVALID, _ABORTED):
            continue
        if head == device.head(partition)[:len(head)] and file.is_in(partition):
            file.close()
            return False
    update = _call(_baton.begin, device.flash, _SLOT, _RUNNING, device.chip, file.size, 0, sha256)
    _call(_baton.write, update, head)  # judges it, and writes nothing yet
    if file.size < _HEAD:
        _call(_baton.end, update)
    _write(device.slot, file, sha256, block, progress)
    _switch(device)
    if reset:
        _restart()
    return True
