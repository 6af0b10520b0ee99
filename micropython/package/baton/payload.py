# Fetching a packed or delta payload: what comes is decoded into the slot.
# SPDX-License-Identifier: MIT
#
# The header is fetched first. Where an earlier attempt left sectors on flash,
# decoding begins at the restart point before the first one that is missing; what
# is made again up to there is compared and not written.
import _baton
from micropython import const

from . import fetch, policy

_SECTOR = const(4096)
_SEGMENT = const(262144)
_HEADER_MAX = const(512)
_IO = const(1024)

_CODEC_FORMAT = const(-330)
_CODEC_MEMORY = const(-332)
_CODEC_BASE = const(-333)
_CODEC_TRUNCATED = const(-335)
_LENGTH = const(-395)


def open(agent):
    most = agent.release.payload_bytes
    is_ready = agent.codec is not None
    start = max(agent.pos, agent.run_end) if is_ready else 0
    if start and start >= most:
        agent.next(_read, open)  # all of it waits in memory
        return
    # Only a header's worth, where what follows may lie elsewhere.
    may_jump = not is_ready and agent.is_resumed
    if not fetch.request(
            agent, start, _HEADER_MAX if may_jump and most > _HEADER_MAX else 0):
        return
    agent.pos = agent.http.start
    agent.run_end = start
    if not is_ready:
        agent.fill = 0
    agent.next(_read, open)


def _read(agent):
    if agent.codec is None:
        _read_header(agent)
        return
    if agent.is_more or agent.left:
        _push(agent)
        return
    pos = agent.pos
    if pos >= agent.release.payload_bytes:
        _baton.finish(agent.codec)
        fetch.keep(agent)
        fetch.mark(agent, agent.release.image_bytes)
        fetch.finish_body(agent)
        return
    size = _IO
    skip = agent.run_end - pos
    if skip > 0:
        size = min(size, skip)
    piece = memoryview(agent.buf)[:size]
    got = agent.read(piece)
    if got is None:
        return
    if not got:
        raise OSError(_LENGTH)
    agent.pos = pos + got
    if skip <= 0:
        agent.left = piece[:got]
        agent.gain(got)
    fetch.keep_old(agent)


def _push(agent):
    used, agent.is_more, safe = _baton.push(agent.codec, agent.left)
    agent.left = agent.left[used:]
    # Behind a restart point sectors come again that are marked already.
    fetch.note(agent, safe)


def _read_header(agent):
    head = memoryview(agent.buf)
    got = agent.read(head[agent.fill:_HEADER_MAX])
    if got is None:
        return
    agent.fill += got
    head = head[:agent.fill]
    try:
        info = _baton.payload(head)
    except OSError as exc:
        if policy.code_of(exc) != _CODEC_TRUNCATED or not got or (
                agent.fill >= _HEADER_MAX):
            raise
        return
    _begin(agent, info, head)


def _begin(agent, info, head):
    (_, encoding, _, state_bytes, image_bytes, sha256, base_bytes, base_sha256,
     offsets, payload_bytes) = info
    release = agent.release
    if (encoding != release.encoding or payload_bytes != release.payload_bytes
            or image_bytes != release.image_bytes or sha256 != release.sha256):
        raise OSError(_CODEC_FORMAT)
    if base_bytes and agent.identity != (base_bytes, base_sha256):
        raise OSError(_CODEC_BASE)
    if state_bytes > len(agent.codec_state):
        raise OSError(_CODEC_MEMORY)
    point = agent.journal.marked * _SECTOR // _SEGMENT
    fetch.begin_update(agent, point * _SEGMENT)
    # The base is read ahead in what the buffer has beyond a piece.
    agent.codec = _baton.codec(
        agent.update, agent.own, head, agent.codec_state, memoryview(agent.buf)[_IO:])
    agent.is_more = False
    agent.left = head[:0] if point else head
    agent.pos = offsets[point] if point else agent.fill
    if agent.is_resumed:
        agent.close()
        agent.next(open)
