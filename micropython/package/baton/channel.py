# Checking: what runs, what the channel offers, whether it is for this device.
# SPDX-License-Identifier: MIT
#
# The manifest is fetched again after the keys were: a key that was withdrawn
# must not install anything, and whoever holds it would never make a device
# look at the keys by itself.
import uhashlib as hashlib
import ustruct as struct
import utime as time

from micropython import const

from . import policy

_SECTOR = const(4096)
_OWN_BUF = const(16384)
_OWN_SPARE = const(32768)
_EVENT_CURRENT = const(1)
_EVENT_FOUND = const(2)
_GOOD = const(4)
_TRYING = const(1)
_FAILED = const(2)
_OPEN = const(3)
_JWS_TOO_LARGE = const(-296)
_KEYS_OLD = const(-293)
_KEYS_EXPIRED = const(-294)
_KEY_UNKNOWN = const(-299)
_NOT_FOUND = const(-387)
_ROLLOUT = const(-314)
_RELEASE_FAILED = const(-321)
_RANGE = const(-34)

_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"


# ---- What runs: its length and the SHA-256 of its file ---------------------


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


def _begin_identity(agent):
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


def find_identity(agent):
    """Hashes a buffer's worth; True at the end. agent.identity is (length,
    SHA-256), False where something that is no image runs."""
    if agent.identity is not None:
        return True
    if agent.sha is None:
        _begin_identity(agent)
        agent.own_buf = policy.memory(_OWN_BUF, 0, _OWN_SPARE) or agent.buf
    left = agent.own_bytes - agent.at
    if left > 0:
        data = memoryview(agent.own_buf)[:left]
        agent.parts[agent.own].readblocks(agent.at // _SECTOR, data, 0)
        agent.sha.update(data)
        agent.at += len(data)
        if left > len(data):
            return False
    agent.identity = (agent.own_bytes and
                      (agent.own_bytes, agent.sha.digest()))
    agent.sha = agent.own_buf = None
    agent.at = 0
    return True


def identify(agent):
    is_plain = not policy.is_channel(agent.url)
    if is_plain and agent.sha256 is None:
        # Then nothing is compared with the digest of what runs.
        _begin_identity(agent)
        agent.sha = None
    elif not find_identity(agent):
        return
    if is_plain:
        from . import fetch

        fetch.plain_start(agent)
        return
    from . import trust

    agent.trust = trust.Trust(agent.port)
    agent.keys_fetched = agent.trust.root is None
    agent.next(_channel_open)


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


# ---- Documents -------------------------------------------------------------


def _open_document(agent, url, most):
    # The signature in the document vouches for it, whatever brings it.
    agent.vouched = True
    agent.fill = 0
    if not agent.open(url):
        return False
    if agent.http.body_bytes > most:
        raise OSError(_JWS_TOO_LARGE)
    return True


def _read_document(agent, most):
    """All of it, when it is there."""
    # One byte more than is allowed tells a longer one.
    room = most - agent.fill
    to = memoryview(agent.buf)[agent.fill:most] if room else memoryview(bytearray(1))
    got = agent.read(to)
    if got and not room:
        raise OSError(_JWS_TOO_LARGE)
    if got is None or got:
        agent.fill += got or 0
        return None
    agent.failures = 0  # not before: a part of it is no use
    agent.close()
    # What a text editor adds is no part of it.
    return bytes(memoryview(agent.buf)[:agent.fill]).rstrip(b"\r\n")


def _time(agent):
    """What is known of the time: it is that, or later unless the clock is set."""
    now = agent.port.now()
    return (now, True) if now and now >= agent.built else (agent.built, False)


# ---- Keys ------------------------------------------------------------------


def _fetch_keys(agent, why):
    if agent.keys_fetched:
        raise OSError(why)
    agent.wanted_err = why
    agent.next(_keys_open)


def _keys_open(agent):
    from . import manifest
    from .url import place_of

    url = place_of(agent.url, "keys.jws")
    try:
        is_open = _open_document(agent, url, manifest.KEYS_MAX)
    except OSError as exc:
        if policy.code_of(exc) != _NOT_FOUND:
            raise
        if agent.wanted_err:
            raise OSError(agent.wanted_err)
        # A publisher need not put it beside every channel.
        agent.keys_fetched = True
        agent.close()
        agent.next(_channel_open)
        return
    if is_open:
        agent.next(_keys_read, _keys_open)


def _keys_read(agent):
    from . import manifest

    text = _read_document(agent, manifest.KEYS_MAX)
    if text is None:
        return
    agent.keys_fetched = True
    agent.next(_channel_open)
    try:
        manifest.install_keys(agent.trust, text, _time(agent)[0])
    except OSError as exc:
        # A mirror that lags behind serves old keys beside an older manifest;
        # the newer set that is installed goes on to judge it.
        if policy.code_of(exc) != _KEYS_OLD:
            raise
        if agent.wanted_err:
            raise OSError(agent.wanted_err)


# ---- The manifest ----------------------------------------------------------


def _channel_open(agent):
    from . import manifest

    if _open_document(agent, agent.url, manifest.MANIFEST_MAX):
        agent.next(_channel_read, _channel_open)


def _channel_read(agent):
    from . import manifest

    text = _read_document(agent, manifest.MANIFEST_MAX)
    if text is None:
        return
    try:
        offer = manifest.Manifest(text, agent.trust)
    except OSError as exc:
        if policy.code_of(exc) != _KEY_UNKNOWN:
            raise
        _fetch_keys(agent, _KEY_UNKNOWN)
        return
    _decide(agent, offer)


def _decide(agent, offer):
    now, is_set = _time(agent)
    err = offer.judge(agent, agent.trust, now, is_set)
    if err == _KEYS_EXPIRED:
        _fetch_keys(agent, err)
        return
    if err and err != _ROLLOUT:
        raise OSError(err)
    # By a key that was withdrawn a number must not count: it could be the
    # highest there is, and shut out every release of the owner's.
    if offer.sequence > agent.trust.sequence and not agent.keys_fetched:
        _fetch_keys(agent, 0)
        return
    agent.trust.note(offer.sequence)
    if agent.identity == (offer.bytes, offer.sha256):
        agent.tell(_EVENT_CURRENT)
        agent.decline(0)
    elif err:
        agent.decline(err)
    else:
        _install(agent, offer)


def _install(agent, offer):
    err, _ = tried(agent, offer.sha256)
    if err:
        agent.decline(err)
        return
    from . import fetch

    index = offer.pick(agent.identity, fetch.room(agent), agent.failed)
    if index < 0:
        raise OSError(agent.payload_err or index)
    if not agent.keys_fetched:
        _fetch_keys(agent, 0)
        return
    agent.tell(_EVENT_FOUND, 0, offer.sequence)
    # The answer to "not now" is a new check: by then there may be another.
    agent.next(_channel_open)
    if not agent.may(0, (offer.version, offer.sequence, offer.bytes, offer.notes)):
        return
    payload = offer.payloads[index]
    release = fetch.Release()
    release.is_signed = True
    release.sha256 = release.journal_id = offer.sha256
    release.encoding = payload.encoding
    release.index = index
    release.image_bytes = offer.bytes
    release.payload_bytes = payload.bytes
    release.path = payload.path
    release.list = (offer.list_bytes, offer.list_sha256, offer.list_path)
    agent.release = release
    agent.sequence = release.sequence = offer.sequence
    agent.new = policy.cut(offer.version)
    agent.trust = offer = payload = None
    policy.forget("manifest", "trust", "channel")
    fetch.begin(agent)
