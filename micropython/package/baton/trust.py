# What a device trusts: a root key, its key set, the highest sequence seen. The
# values in the store are those of core/trust.c.
# SPDX-License-Identifier: MIT
import ustruct as struct

from micropython import const

_NOENT = const(-2)
_NOSPC = const(-28)
_TRUST_STORE = const(-291)

_KEY = const(64)
_KEYS_MAX = const(4)
_KEYS_HEAD = "<B8sIQIB"  # layout, root's tag, version, expires, sequence, count
_KEYS_HEAD_BYTES = const(26)
_SEQ = "<B8sII"  # layout, root's tag, version of the set, sequence


def _get(port, name, most):
    raw = bytearray(most)
    size = port.get(name, raw)
    if size == _NOENT:
        return None
    if size == _NOSPC or size == 0 or (size > 0 and raw[0] != 1):
        raise OSError(_TRUST_STORE)
    if size < 0:
        raise OSError(size)
    return bytes(memoryview(raw)[:size])


def _set(port, name, data):
    err = port.set(name, data)
    if err < 0:
        raise OSError(err)


class Trust:
    def __init__(self, port):
        self.port = port
        self.root = None
        self.version = self.expires = self.sequence = 0
        self.keys = []
        raw = _get(port, "trust.root", 1 + _KEY)
        if raw is not None:
            if len(raw) != 1 + _KEY:
                raise OSError(_TRUST_STORE)
            self.root = raw[1:]
        self._load_keys()
        raw = _get(port, "trust.seq", 17)
        if raw is not None:
            if len(raw) != 17:
                raise OSError(_TRUST_STORE)
            _, tag, version, sequence = struct.unpack(_SEQ, raw)
            if tag == self._tag() and version == self.version:
                self.sequence = max(self.sequence, sequence)

    def _tag(self):
        return bytes(8) if self.root is None else self.root[:8]

    def _load_keys(self):
        raw = _get(self.port, "trust.keys", _KEYS_HEAD_BYTES + _KEYS_MAX * _KEY)
        if raw is None:
            return
        if (len(raw) < _KEYS_HEAD_BYTES or raw[25] > _KEYS_MAX
                or len(raw) != _KEYS_HEAD_BYTES + raw[25] * _KEY):
            raise OSError(_TRUST_STORE)
        _, tag, version, expires, sequence, _ = struct.unpack(_KEYS_HEAD, raw)
        if self.root is None or tag != self._tag():
            return
        self.version, self.expires, self.sequence = version, expires, sequence
        self.keys = [raw[at:at + _KEY]
                     for at in range(_KEYS_HEAD_BYTES, len(raw), _KEY)]

    def install(self, version, expires, sequence, keys):
        """With a new set comes the sequence that it starts from: its own, or
        the highest seen under the set before it."""
        sequence = sequence or self.sequence
        _set(self.port, "trust.keys", struct.pack(
            _KEYS_HEAD, 1, self._tag(), version, expires, sequence, len(keys))
            + b"".join(keys))
        self.version, self.expires, self.sequence = version, expires, sequence
        self.keys = keys

    def note(self, sequence):
        if sequence > self.sequence:
            _set(self.port, "trust.seq", struct.pack(
                _SEQ, 1, self._tag(), self.version, sequence))
            self.sequence = sequence


def set_root(port, key):
    """The root key is given by the device's own program, which is trusted."""
    try:
        if Trust(port).root == key:
            return
    except OSError as exc:
        if exc.args[0] != _TRUST_STORE:
            raise
    _set(port, "trust.root", b"\1" + key)
