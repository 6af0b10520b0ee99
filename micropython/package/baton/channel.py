# Checking: what the channel offers, whether it is for this device.
# SPDX-License-Identifier: MIT
#
# The manifest is fetched again after the keys were: a key that was withdrawn
# must not install anything, and whoever holds it would never make a device
# look at the keys by itself.
from micropython import const

from . import policy, trust
from .identity import tried

_EVENT_CURRENT = const(1)
_EVENT_FOUND = const(2)
_JWS_TOO_LARGE = const(-296)
_KEYS_OLD = const(-293)
_KEYS_EXPIRED = const(-294)
_KEY_UNKNOWN = const(-299)
_NOT_FOUND = const(-387)
_ROLLOUT = const(-314)


def start(agent):
    agent.trust = trust.Trust(agent.port)
    agent.keys_fetched = agent.trust.root is None
    agent.next(_channel_open)


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
    index = offer.pick(agent.identity, policy.room(agent), agent.failed)
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
    agent.sequence = offer.sequence
    agent.new = policy.cut(offer.version)
    agent.found = (offer.sha256, offer.bytes, payload.encoding, index, payload.bytes,
                   payload.path, (offer.list_bytes, offer.list_sha256, offer.list_path))
    agent.next(_fetch)


def _fetch(agent):
    # What judged the offer makes room for what fetches it, in a step of its own:
    # nothing holds the offer any more.
    agent.trust = None
    policy.forget("manifest", "trust", "channel", "identity")
    from . import fetch

    found, agent.found = agent.found, None
    fetch.signed_start(agent, *found)
