# What runs here: its length and the SHA-256 of its file, when it was built; and
# whether a file was tried here before.
# SPDX-License-Identifier: MIT
import uhashlib as hashlib
import ustruct as struct
import utime as time

from micropython import const

from . import policy

_SECTOR = const(4096)
_GOOD = const(4)
_TRYING = const(1)
_FAILED = const(2)
_OPEN = const(3)
_RELEASE_FAILED = const(-321)
_RANGE = const(-34)

_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"


def _read(agent, off, size):
    part = agent.parts[agent.own]
    if off + size > part.info()[3]:
        raise OSError(_RANGE)
    raw = bytearray(size)
    part.readblocks(off // _SECTOR, raw, off % _SECTOR)
    return raw


def _measure(agent):
    """The file's length: checksum, digest, and where it is signed for Secure
    Boot the sector with the signature. None for what is no image."""
    try:
        head = _read(agent, 0, 24)
        if head[0] != 0xE9 or head[1] > 16:
            return None
        end = 24
        for _ in range(head[1]):
            size = struct.unpack_from("<I", _read(agent, end, 8), 4)[0]
            if size >= 0x1000000:
                return None
            end += 8 + size
        end = (end + 16 & ~15) + (32 if head[23] else 0)
        sector = end + 4095 & ~4095
    except OSError as exc:
        policy.code_of(exc)
        return None
    try:
        magic = _read(agent, sector, 4)
        if magic[0] == 0xE7 and magic[1] in (2, 3) and not magic[3]:
            end = sector + _SECTOR
    except OSError as exc:
        policy.code_of(exc)
    return end if end <= agent.parts[agent.own].info()[3] else None


def _text(raw):
    return str(bytes(raw).split(b"\0", 1)[0], "utf-8")


def _build_time(date, clock):
    """Of a descriptor, as unix seconds less a day, since a build machine may be
    anywhere; 0 where it is none."""
    try:
        at = _MONTHS.find(date[:3])
        hour, minute, second = (int(part) for part in clock.split(":"))
        day, year = int(date[4:6]), int(date[7:])
        if at < 0 or at % 3 or year < 1971:
            return 0
        seconds = time.mktime((year, at // 3 + 1, day, hour, minute, second, 0, 0))
    except (ValueError, OverflowError):
        return 0
    if time.gmtime(0)[0] != 1970:
        seconds += 946684800
    return seconds - 86400


def begin(agent):
    agent.own_bytes = _measure(agent) or 0
    agent.at = 0
    agent.sha = hashlib.sha256()
    agent.built = 0
    app = _read(agent, 32, 144)
    if struct.unpack_from("<I", app)[0] == 0xABCD5432:
        agent.built = _build_time(_text(app[96:112]), _text(app[80:96]))
        if not agent.old:
            try:
                agent.old = policy.cut(_text(app[16:48]))
            except ValueError:
                pass


def find(agent):
    """Hashes a buffer's worth; True at the end. agent.identity is (length,
    SHA-256), False where something that is no image runs."""
    if agent.identity is not None:
        return True
    if agent.sha is None:
        begin(agent)
    left = agent.own_bytes - agent.at
    if left > 0:
        # What gathers, and the decoder's memory, is not in use yet.
        data = max((m for m in (agent.buf, agent.memory, agent.codec_state) if m), key=len)
        data = memoryview(data)
        data = data[:min(left, len(data) // _SECTOR * _SECTOR)]
        agent.parts[agent.own].readblocks(agent.at // _SECTOR, data, 0)
        agent.sha.update(data)
        agent.at += len(data)
        if left > len(data):
            return False
    agent.identity = (agent.own_bytes and
                      (agent.own_bytes, agent.sha.digest()))
    agent.sha = None
    agent.at = 0
    return True


def identify(agent):
    is_plain = not policy.is_channel(agent.url)
    if is_plain and agent.sha256 is None:
        # Then nothing is compared with the digest of what runs.
        begin(agent)
        agent.sha = None
    elif not find(agent):
        return
    if is_plain:
        from . import fetch

        fetch.plain_start(agent)
    else:
        from . import channel

        channel.start(agent)


def tried(agent, id):
    """RELEASE_FAILED where this file was tried here and failed, else 0; and
    whether it was confirmed, and runs. A cut may have come between the
    confirmation and its note."""
    verdict, tries, slot, _, known = agent.load_tried()
    if known != id[:8]:
        return 0, False
    is_over = verdict == _FAILED or (
        verdict == _OPEN and tries >= agent.inconclusive_max)
    is_good = verdict == _GOOD or verdict == _TRYING
    return (_RELEASE_FAILED if is_over else 0), is_good and slot == agent.running
