# The sector list of a release: which sectors the slot holds already.
# SPDX-License-Identifier: MIT
#
# 8 bytes of SHA-256 for each sector, compared as they come, several sectors by one
# read: each command to the flash costs more than what it moves. It is believed
# when all of it came and its own digest is the manifest's.
import uhashlib as hashlib

from micropython import const

from . import fetch, policy
from .url import place_of

_SECTOR = const(4096)


def open(agent):
    url = place_of(agent.url, agent.release.list[2])
    if not agent.is_open:
        agent.map = bytearray((agent.slot_bytes // _SECTOR + 7) // 8)
        agent.sha = hashlib.sha256()
        agent.entries = b""
        agent.at = 0
    try:
        if agent.open(url):
            agent.next(_read, open)
    except OSError as exc:
        if policy.is_passing(policy.code_of(exc)):
            raise
        _do_without(agent)


def _go_on(agent):
    policy.forget("sectors")
    fetch.start(agent)


def _do_without(agent):
    # Without the list the update goes on, and fetches everything.
    agent.close()
    agent.map = agent.sha = None
    _go_on(agent)


def _read(agent):
    entries = agent.entries
    if len(entries) >= 8:
        left = agent.release.image_bytes - agent.at * _SECTOR
        if left <= 0:
            _do_without(agent)  # more than sectors: not the list
        else:
            _compare(agent, entries, left)
        return
    piece = memoryview(agent.buf)[:256]
    try:
        got = agent.read(piece)
    except OSError as exc:
        if policy.is_passing(policy.code_of(exc)):
            raise
        _do_without(agent)
        return
    if got:
        agent.sha.update(piece[:got])
        agent.entries = entries + bytes(piece[:got])
    elif got == 0:
        agent.close()
        agent.failures = 0
        size, sha256, _ = agent.release.list
        if agent.at * 8 != size or agent.sha.digest() != sha256:
            agent.map = None
        agent.sha = None
        _go_on(agent)


def _memory(agent):
    # What gathers, and the decoder's memory, is not in use yet.
    most = agent.buf
    for other in (agent.memory, agent.codec_state):
        if other is not None and len(other) > len(most):
            most = other
    return memoryview(most)


def _compare(agent, entries, left):
    memory = _memory(agent)
    count = min(len(entries) // 8, len(memory) // _SECTOR, -(-left // _SECTOR))
    memory = memory[:min(count * _SECTOR, left)]
    agent.parts[agent.target].readblocks(agent.at, memory)
    for i in range(count):
        data = memory[i * _SECTOR:(i + 1) * _SECTOR]
        if hashlib.sha256(data).digest()[:8] == entries[i * 8:i * 8 + 8]:
            agent.map[agent.at >> 3] |= 1 << (agent.at & 7)
        agent.at += 1
    agent.entries = entries[count * 8:]
