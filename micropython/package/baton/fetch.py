# From an offer to a slot that is written, verified and switched to: plain images
# and raw payloads, what is done about failures.
# SPDX-License-Identifier: MIT
import uhashlib as hashlib
import ustruct as struct

import _baton
from micropython import const

from . import policy
from .journal import Journal, erase
from .url import place_of

_SECTOR = const(4096)
_BLOCK = const(65536)
# Of the heap, for what comes while the block is taken, Wi-Fi and TLS.
_SPARE = const(40960)
_SPARE_TLS = const(81920)
# That old may be what gathers in memory, which a cut takes.
_GATHER_MS = const(10000)
_GATHER = const(12288)  # two sectors, and one that is compared
_PIECES = const(16)
_HEAD = const(288)  # of an image: what decides whether it is one for this device

_CHECKING = const(1)
_FETCHING = const(2)
_VERIFYING = const(3)
_READY = const(4)
_REBOOTING = const(5)

_MAY_FETCH = const(0)
_MAY_SWITCH = const(1)
_MAY_REBOOT = const(2)

_EVENT_CURRENT = const(1)
_EVENT_FOUND = const(2)
_EVENT_PAYLOAD = const(4)
_EVENT_RESUMED = const(5)
_EVENT_SWITCHED = const(8)

_TRYING = const(1)
_OPEN = const(3)

_IS_EMPTY = const(-210)
_IMAGE_TOO_LARGE = const(-231)
_FILE_LENGTH = const(-323)
_TOO_MUCH = const(-376)
_CHANGED = const(-391)
_LENGTH = const(-395)
_FLASH_ERRORS = (-5, -22, -34, -200, -201, -202, -203)

_STATE_NEW = const(0)
_STATE_UNDEFINED = const(0xFFFFFFFF)
_ENCRYPTED_UNIT = const(16)


class Release:
    def __init__(self):
        self.is_signed = False
        self.sha256 = None
        self.journal_id = None  # stands for this very file
        self.encoding = self.index = self.sequence = 0
        self.image_bytes = self.payload_bytes = 0  # 0: not known
        self.path = self.list = None
        self.etag = ""


def signed_start(agent, sha256, bytes, encoding, index, payload_bytes, path, list):
    release = agent.release = Release()
    release.is_signed = True
    release.sha256 = release.journal_id = sha256
    release.image_bytes = bytes
    release.encoding = encoding
    release.index = index
    release.payload_bytes = payload_bytes
    release.path = path
    release.list = list
    release.sequence = agent.sequence
    begin(agent)


# ---- A plain image: its first bytes decide ---------------------------------


def plain_start(agent):
    release = agent.release = Release()
    release.sha256 = agent.sha256
    agent.vouched = agent.sha256 is not None
    if agent.sha256 is not None and agent.identity and (
            agent.sha256 == agent.identity[1]):
        agent.tell(_EVENT_CURRENT)
        agent.decline(0)
        return
    agent.next(plain_open)


def plain_open(agent):
    # A server that knows ranges sends no more than that of an image which is
    # refused or runs already.
    agent.fill = 0
    if not agent.open(agent.url, 0, _HEAD):
        return
    release, http = agent.release, agent.http
    release.image_bytes = release.payload_bytes = http.total_bytes
    release.etag = http.etag
    if release.image_bytes > agent.slot_bytes:
        raise OSError(_IMAGE_TOO_LARGE)
    # What the journal calls this file: its digest, or else its URL, length and
    # strong ETag together. Without any of them nothing can be resumed.
    release.journal_id = release.sha256
    if release.sha256 is None and http.etag and release.image_bytes:
        sha = hashlib.sha256(agent.url.encode())
        sha.update(b"\0" + struct.pack("<I", release.image_bytes))
        sha.update(http.etag.encode())
        release.journal_id = sha.digest()
    agent.next(_plain_head, plain_open)


def _plain_head(agent):
    head = memoryview(agent.buf)
    if agent.fill < _HEAD:
        got = agent.read(head[agent.fill:_HEAD])
        if got is None:
            return
        agent.fill += got
        if got and agent.fill < _HEAD:
            return
    head = head[:agent.fill]
    if not head:
        raise OSError(_IS_EMPTY)
    release = agent.release
    # The writer judges it, and writes nothing of it yet.
    update = _baton.begin(agent.flash, agent.target, agent.own, agent.chip,
                          release.image_bytes, 0, release.sha256)
    _baton.write(update, head)
    if agent.fill < _HEAD:
        _baton.end(update)
    update = None
    from . import identity

    err, is_same = 0, False
    if release.journal_id is not None:
        err, is_same = identity.tried(agent, release.journal_id)
    # The store can be older than what runs (flashed by a cable, say).
    is_same = is_same and 0 < agent.own_bytes == release.image_bytes
    if not err and not is_same and release.sha256 is None:
        is_same = _is_same_head(agent, head)
    if not err and not is_same:
        _plain_install(agent, head)
        return
    if is_same:
        agent.tell(_EVENT_CURRENT)
    agent.decline(err)


def _is_same_head(agent, head):
    """True where the running image begins with the same bytes and they name the
    build: the descriptor's digest of the ELF file is there."""
    names_build = any(head[176:208])
    bytes = agent.release.image_bytes
    if not names_build or not agent.own_bytes or bytes not in (
            0, agent.own_bytes):
        return False
    own = bytearray(_HEAD)
    agent.parts[agent.own].readblocks(0, own, 0)
    return own == head


def _plain_install(agent, head):
    agent.tell(_EVENT_FOUND)
    if not agent.may(_MAY_FETCH):
        agent.close()
        agent.next(plain_open)
        return
    # The whole file is on its way where the server does not know ranges.
    goes_on = agent.http.body_bytes != _HEAD or agent.release.image_bytes == _HEAD
    if not goes_on:
        agent.close()
    head = bytes(head)  # the buffer is used meanwhile
    policy.forget("identity", "trust")
    begin(agent)
    if agent.phase is not _body_open or agent.is_resumed:
        agent.close()
        return
    agent.pos = agent.at = 0
    agent.run_end = agent.release.image_bytes
    _feed(agent, head)
    if goes_on:
        agent.next(_body_read, _body_open)


# ---- Beginning -------------------------------------------------------------


def begin(agent):
    """Starts, or starts again, to fetch the release; what an earlier attempt
    left on flash is found and used, unless is_fresh."""
    release = agent.release
    journal = agent.journal = Journal(
        agent.parts[agent.target], release.image_bytes,
        _ENCRYPTED_UNIT if agent.encrypted else 1, release.journal_id)
    if agent.is_fresh:
        journal.forget()
    agent.is_resumed = journal.marked != 0
    agent.map = None
    agent.codec = None
    agent.total = release.payload_bytes
    agent.encoding = release.encoding
    agent.done = journal.marked * _SECTOR
    agent.tell(_EVENT_PAYLOAD, 0, release.encoding)
    if agent.is_resumed:
        agent.tell(_EVENT_RESUMED, 0, agent.done)
    agent.is_payload = True
    is_whole = agent.is_resumed and agent.done >= release.image_bytes
    if release.list and not agent.is_fresh and not is_whole and not release.encoding:
        from . import sectors

        agent.go(_FETCHING, sectors.open)
    else:
        agent.go(_FETCHING, start)
        start(agent)


def _take_block(agent):
    # 64 KiB are erased by one command, in a fraction of the time: by a way that
    # needs no memory, or by as much of the heap to write.
    block = None
    if not agent.encrypted:
        from .block import eraser

        block = eraser(agent.parts, agent.parts[agent.target])
    if block is None:
        spare = _SPARE_TLS if agent.url.startswith("https") else _SPARE
        block = policy.memory(_BLOCK, 0, spare)
        if block is None or len(block) < _BLOCK:
            return
    agent.flash = _baton.flash(block, *agent.parts)


def begin_update(agent, off):
    journal, release = agent.journal, agent.release
    wants_block = agent.port.takes_block and agent.flash is agent.plain_flash
    if wants_block and (not off or agent.map is not None):
        _take_block(agent)
    agent.has_head = off != 0
    if off and agent.map is not None:
        _distrust(agent)
    agent.noted = journal.marked * _SECTOR if off else 0
    agent.noted_ms = agent.now()
    # Sectors gather, as each command to the flash costs more than what it
    # moves: also in the decoder's memory, where it has nothing to decode.
    memory, spare = agent.memory, agent.codec_state
    if memory is not None and spare is not None and not release.encoding and (
            len(memory) < _GATHER <= len(spare)):
        memory = memoryview(spare)[:_GATHER]
    agent.update = _baton.begin(
        agent.flash, agent.target, agent.own, agent.chip, release.image_bytes,
        off, release.sha256, journal.head if off else None, agent.map, memory)


def _distrust(agent):
    # What was in flight when the last attempt was cut reads right, and may be
    # weak. It was no more than what gathers, behind the last mark.
    sector = agent.journal.marked
    end = sector + _BLOCK // _SECTOR
    while sector < end and not _is_needed(agent, sector):
        agent.map[sector >> 3] &= ~(1 << (sector & 7))
        sector += 1


def start(agent):
    """Goes on to the body, once it is known which sectors the slot holds."""
    release = agent.release
    done = agent.journal.marked * _SECTOR
    is_whole = agent.is_resumed and done >= release.image_bytes
    if agent.is_resumed and (
            agent.journal.marked >= release.image_bytes // _SECTOR):
        _renew_first(agent)
    if release.encoding and not is_whole:
        from . import payload

        agent.pos = agent.run_end = agent.fill = 0
        agent.next(payload.open)
        return
    agent.at = done
    begin_update(agent, done)
    if is_whole:
        agent.go(_VERIFYING, _end)
    else:
        agent.next(_body_open)


def _renew_first(agent):
    # The head may have been programmed already, and cut: bits that cannot be
    # set again, or that read right and are weak. The first sector is written
    # anew before its head is programmed once more.
    part = agent.parts[agent.target]
    part.readblocks(0, agent.buf)
    erase(part, 0)
    part.writeblocks(0, memoryview(agent.buf)[32:], 32)


def mark(agent, off):
    """So many bytes are safe on flash: sees to the journal."""
    agent.done = max(agent.done, off)
    journal = agent.journal
    if journal.id is None:
        return
    if not journal.started:
        head = _baton.head(agent.update)
        if head is None:
            return
        journal.start(head)
    journal.mark(off // _SECTOR)


def note(agent, safe, is_pause=False):
    """As mark(), but where more follow at once a block is marked together."""
    agent.done = max(agent.done, safe)
    if safe > agent.noted and (
            is_pause or safe // _BLOCK > agent.noted // _BLOCK):
        agent.noted = safe
        agent.noted_ms = agent.now()
        mark(agent, safe)


def keep(agent):
    """What has gathered goes to flash: the next bytes may be long in coming."""
    if agent.update is not None:
        note(agent, _baton.flush(agent.update), True)


def keep_old(agent):
    if agent.now() - agent.noted_ms > _GATHER_MS:
        agent.noted_ms = agent.now()
        keep(agent)


# ---- The body --------------------------------------------------------------


def _is_needed(agent, sector):
    # The first one has to pass through memory for its head.
    if agent.map is None or (sector == 0 and not agent.has_head):
        return True
    return not agent.map[sector >> 3] >> (sector & 7) & 1


def _next_run(agent):
    """The next bytes to fetch, at or after agent.at; empty at the end."""
    end = agent.release.image_bytes
    at = agent.at
    if not end:
        return at, 0  # its length is not known: all there is
    while at < end and not at % _SECTOR and not _is_needed(agent, at // _SECTOR):
        at += _SECTOR
    start = min(at, end)
    if agent.map is None:
        return start, end
    while at < end and (at % _SECTOR or _is_needed(agent, at // _SECTOR)):
        at = (at // _SECTOR + 1) * _SECTOR
    return start, min(at, end)


def request(agent, start, end):
    """Asks for bytes of the payload, or of the plain image, and checks that
    they are of the same file as before."""
    release, http = agent.release, agent.http
    url = agent.url
    if release.is_signed:
        url = place_of(url, release.path)
    # A payload of a release is named by its digest; a plain image by its tag.
    etag = release.etag if start and not release.is_signed else ""
    if not agent.open(url, start, end, etag or None):
        return False
    total, wanted = http.total_bytes, release.payload_bytes
    if total and wanted and total != wanted:
        raise OSError(_FILE_LENGTH if release.is_signed else _CHANGED)
    # Asked for as a condition, the whole file means: another one.
    if etag and http.start != start and http.etag != etag:
        raise OSError(_CHANGED)
    return True


def _body_open(agent):
    start, end = _next_run(agent)
    whole = agent.release.image_bytes
    if start != agent.at:
        # What is in flight follows what is marked, also behind sectors that the
        # slot held already.
        note(agent, start, True)
    if whole and start == whole:
        mark(agent, whole)
        finish_body(agent)
        return
    if not request(agent, start, 0 if end == whole else end):
        return
    # What lies before was skipped, or is passed over as it comes again.
    agent.at = start
    agent.pos = agent.http.start
    agent.run_end = end
    agent.next(_body_read, _body_open)


def finish_body(agent):
    agent.close()
    agent.codec = None
    agent.go(_VERIFYING, _end)


def _body_read(agent):
    # Several pieces by one step, which must not take long.
    done = agent.done
    for _ in range(_PIECES):
        end, pos = agent.run_end, agent.pos
        size = len(agent.buf)
        if end and end - pos < size:
            size = end - pos
        piece = memoryview(agent.buf)[:size]
        got = agent.read(piece) if size else 0
        if got is None:
            break
        if not got:
            _end_run(agent)
            return
        _feed(agent, piece[:got])
        if agent.done != done:
            return
    keep_old(agent)


def _end_run(agent):
    end = agent.run_end
    if not end:
        finish_body(agent)
    elif agent.pos < end:
        raise OSError(_LENGTH)
    else:
        agent.close()
        keep(agent)
        agent.next(_body_open)


def _feed(agent, data):
    """Writes bytes that follow each other, or passes them over."""
    pos = agent.pos
    end = agent.pos = pos + len(data)
    if pos < agent.at:  # a server that knows no ranges sends it again
        if end <= agent.at:
            return
        data = data[agent.at - pos:]
        pos = agent.at
    agent.at = end
    agent.gain(end - pos)
    if agent.map is not None and not _is_needed(agent, pos // _SECTOR):
        return
    note(agent, _baton.write(agent.update, data, pos))
    if not agent.has_head and end >= _SECTOR:
        agent.has_head = True
        keep(agent)


# ---- From a slot that is written to a reset into it ------------------------


def _end(agent):
    info = _baton.end(agent.update, True)
    if info is None:
        return
    agent.done = info[0]
    if not agent.new:
        agent.new = policy.cut(info[4])
    # If this version is tried again, nothing is fetched.
    agent.journal.mark(agent.journal.sectors)
    agent.is_payload = False
    agent.update = None
    agent.go(_READY, _ready)


def _is_tried_again(agent, tried):
    id = agent.release.journal_id or bytes(8)
    return tried[0] == _OPEN and tried[4] == id[:8]


def _ready(agent):
    if not agent.held_back:
        # A trial without any network says nothing; the next one of the same
        # version waits, longer each time.
        tried = agent.load_tried()
        if _is_tried_again(agent, tried):
            agent.wait(agent.retry_max_ms * tried[1])
        agent.held_back = True
    elif not agent.keep_running and agent.may(_MAY_SWITCH):
        switch(agent)


def switch(agent):
    # The store first: if the switch follows and the new version fails, the old
    # one knows which it was. If it does not follow, the record names a slot
    # that nothing points at, which means nothing.
    agent.seconds = (agent.now() - agent.started_ms) // 1000
    agent.error = 0
    tried = agent.load_tried()
    id = agent.release.journal_id or bytes(8)
    agent.save_tried([_TRYING, tried[1] if _is_tried_again(agent, tried) else 0,
                      agent.target, agent.release.sequence, id[:8]])
    agent.save_status()
    # Without rollback in the bootloader there is no trial.
    _baton.switch(agent.flash, agent.count, agent.count, agent.target,
                  _STATE_NEW if agent.bootloader == 1 else _STATE_UNDEFINED)
    agent.tell(_EVENT_SWITCHED, 0, agent.target)
    agent.go(_REBOOTING, reboot)


def reboot(agent):
    if not agent.keep_running and agent.may(_MAY_REBOOT):
        agent.next(None)
        agent.port.reboot()


# ---- When it turns out to be wrong -----------------------------------------


def is_broken(agent):
    try:
        keep(agent)
    except OSError as exc:
        policy.code_of(exc)  # the next write says so again
    # What follows may be of another file, where nothing tells them apart.
    if agent.phase is not agent.again:
        # But of a sector list, which has a digest under way, all of it comes again.
        agent.is_resumed = agent.is_resumed or agent.sha is None


def recover(agent, err):
    """What is done about an error of the payload that is being fetched: another
    payload, everything once more, or nothing (the error is returned)."""
    if err in _FLASH_ERRORS or err == _TOO_MUCH:
        return err
    # Another file now: look at it anew, once. What is on flash is compared.
    if err == _CHANGED and not agent.is_fresh:
        agent.is_fresh = True
        _start_over(agent, plain_open)
        return 0
    # What was found on flash may be to blame: fetch all of it once more.
    if (agent.is_resumed or agent.map is not None) and not agent.is_fresh:
        agent.is_fresh = True
        agent.close()
        agent.update = None
        agent.fill = agent.pos = agent.run_end = 0
        begin(agent)
        return 0
    if not agent.release.is_signed:
        return err
    agent.failed |= 1 << agent.release.index
    agent.payload_err = err
    agent.is_fresh = False
    from . import identity

    _start_over(agent, identity.identify)
    return 0


def _start_over(agent, phase):
    agent.close()
    agent.update = agent.codec = None
    agent.is_resumed = agent.is_payload = False
    agent.at = 0
    agent.go(_CHECKING, phase)
