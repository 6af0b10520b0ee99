# Signed documents and what they say: JWS, strict JSON, manifests, key sets. The
# format is docs/FORMAT.md, the rules are those of core/jws.c, json.c and manifest.c.
# SPDX-License-Identifier: MIT
import ubinascii as binascii
import uhashlib as hashlib

import _baton
from micropython import const

_JWS_FORMAT = const(-295)
_JWS_TOO_LARGE = const(-296)
_JWS_ALGORITHM = const(-297)
_JWS_TYPE = const(-298)
_TRUST_NONE = const(-290)
_KEYS_OLD = const(-293)
_KEYS_EXPIRED = const(-294)
_KEY_UNKNOWN = const(-299)
_SIGNATURE = const(-300)
_JSON_FORMAT = const(-301)
_JSON_DUPLICATE = const(-302)
_JSON_LIMIT = const(-303)
_MANIFEST_FORMAT = const(-304)
_MANIFEST_VERSION = const(-305)
_PRODUCT = const(-306)
_BOARD = const(-307)
_CHIP = const(-308)
_NO_CLOCK = const(-309)
_EXPIRED = const(-310)
_OLD = const(-311)
_BOOTLOADER = const(-312)
_MPY = const(-313)
_ROLLOUT = const(-314)
_PAYLOAD = const(-315)
_TOO_LARGE = const(-231)

MANIFEST_MAX = const(4096)
KEYS_MAX = const(2048)
_HEADER_MAX = const(192)
_DEPTH_MAX = const(8)
_NAMES_MAX = const(64)
_IMAGE_MAX = const(0x1000000)
_U32 = const(0xFFFFFFFF)
_TIME_MAX = const(253402300799)


def fail(code):
    raise OSError(code)


# ---- JSON ------------------------------------------------------------------

_SPACE = b" \t\n\r"
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n",
            "r": "\r", "t": "\t"}


class _Reader:
    """Strict: names are unique and plain, and no text holds a NUL."""

    def __init__(self, text):
        self.text = text
        self.at = 0
        self.names = 0

    def peek(self):
        text, at = self.text, self.at
        while at < len(text) and text[at] in _SPACE:
            at += 1
        self.at = at
        return text[at] if at < len(text) else 0

    def take(self, wanted):
        if self.peek() != wanted:
            fail(_JSON_FORMAT)
        self.at += 1

    def string(self):
        self.take(34)
        start = at = self.at
        text = self.text
        while True:
            end = text.find(b'"', at)
            if end < 0:
                fail(_JSON_FORMAT)
            count = 0
            while end - count > at and text[end - 1 - count] == 92:
                count += 1
            at = end + 1
            if not count & 1:
                break
        self.at = at
        raw = text[start:end]
        for c in raw:
            if c < 32:
                fail(_JSON_FORMAT)
        return str(raw, "utf-8")

    def unescape(self, text):
        pieces = text.split("\\")
        out = [pieces[0]]
        index = 1
        while index < len(pieces):
            piece = pieces[index]
            index += 1
            if not piece:  # a backslash behind this one
                if index == len(pieces):
                    fail(_JSON_FORMAT)
                out.append("\\" + pieces[index])
                index += 1
            elif piece[0] != "u":
                if piece[0] not in _ESCAPES:
                    fail(_JSON_FORMAT)
                out.append(_ESCAPES[piece[0]] + piece[1:])
            else:
                point = self.hex4(piece[1:5])
                rest = piece[5:]
                if 0xD800 <= point < 0xDC00:
                    low = pieces[index] if index < len(pieces) else ""
                    index += 1
                    if rest or low[:1] != "u":
                        fail(_JSON_FORMAT)
                    half = self.hex4(low[1:5])
                    if not 0xDC00 <= half < 0xE000:
                        fail(_JSON_FORMAT)
                    point = 0x10000 + ((point - 0xD800) << 10) + half - 0xDC00
                    rest = low[5:]
                elif not point or 0xDC00 <= point < 0xE000:
                    fail(_JSON_FORMAT)
                out.append(chr(point) + rest)
        return "".join(out)

    def hex4(self, digits):
        if len(digits) != 4:
            fail(_JSON_FORMAT)
        for c in digits:
            if c not in "0123456789abcdefABCDEF":
                fail(_JSON_FORMAT)
        return int(digits, 16)

    def digits(self):
        text, start = self.text, self.at
        while self.at < len(text) and 48 <= text[self.at] <= 57:
            self.at += 1
        return self.at - start

    def number(self):
        # What is no plain whole number is None, which no field takes.
        text, start = self.text, self.at
        is_plain = text[start] != 45
        if not is_plain:
            self.at += 1
        first = self.at
        count = self.digits()
        if not count or (count > 1 and text[first] == 48):
            fail(_JSON_FORMAT)
        if text[self.at:self.at + 1] == b".":
            self.at += 1
            is_plain = False
            if not self.digits():
                fail(_JSON_FORMAT)
        if text[self.at:self.at + 1] in (b"e", b"E"):
            self.at += 1
            is_plain = False
            if text[self.at:self.at + 1] in (b"+", b"-"):
                self.at += 1
            if not self.digits():
                fail(_JSON_FORMAT)
        return int(text[start:self.at]) if is_plain and count < 20 else None

    def value(self, depth):
        c = self.peek()
        if c == 123 or c == 91:
            if depth == _DEPTH_MAX:
                fail(_JSON_LIMIT)
            self.at += 1
            return self.members(depth + 1) if c == 123 else self.elements(depth + 1)
        if c == 34:
            text = self.string()
            return self.unescape(text) if "\\" in text else text
        if c == 45 or 48 <= c <= 57:
            return self.number()
        for word, value in ((b"true", True), (b"false", False), (b"null", None)):
            if self.text[self.at:self.at + len(word)] == word:
                self.at += len(word)
                return value
        fail(_JSON_FORMAT)

    def members(self, depth):
        out = {}
        if self.peek() == 125:
            self.at += 1
            return out
        while True:
            name = self.string()
            if "\\" in name:
                fail(_JSON_FORMAT)
            if name in out:
                fail(_JSON_DUPLICATE)
            self.names += 1
            if self.names > _NAMES_MAX:
                fail(_JSON_LIMIT)
            self.take(58)
            out[name] = self.value(depth)
            if self.peek() == 125:
                self.at += 1
                self.names -= len(out)
                return out
            self.take(44)

    def elements(self, depth):
        out = []
        if self.peek() == 93:
            self.at += 1
            return out
        while True:
            out.append(self.value(depth))
            if self.peek() == 93:
                self.at += 1
                return out
            self.take(44)


def parse(text):
    """The object that a JSON text is."""
    reader = _Reader(text)
    if reader.peek() != 123:
        fail(_JSON_FORMAT)
    try:
        str(text, "utf-8")
        out = reader.value(0)
    except ValueError:
        fail(_JSON_FORMAT)
    if reader.peek() or reader.at != len(text):
        fail(_JSON_FORMAT)
    return out


# ---- JWS -------------------------------------------------------------------


def b64(data):
    text = binascii.b2a_base64(data).rstrip(b"\n=")
    return text.replace(b"+", b"-").replace(b"/", b"_")


def unb64(text):
    """base64url without padding, in the one spelling that there is."""
    try:
        data = binascii.a2b_base64(
            text.replace(b"-", b"+").replace(b"_", b"/") + b"=" * (-len(text) % 4))
    except ValueError:
        data = None
    # The interpreter passes over what is no letter.
    if data is None or b64(data) != text:
        fail(_JWS_FORMAT)
    return data


def key_id(key):
    sha = hashlib.sha256(b'{"crv":"P-256","kty":"EC","x":"')
    sha.update(b64(key[:32]))
    sha.update(b'","y":"')
    sha.update(b64(key[32:]))
    sha.update(b'"}')
    return b64(sha.digest())


def _read_header(text, kind):
    """The key's id. An unsigned document's header names its algorithm too, and
    no key: that is said before anything else about it."""
    if len(text) > _HEADER_MAX * 4 // 3 + 2:
        fail(_JWS_FORMAT)
    try:
        raw = unb64(text)
        header = parse(raw)
    except OSError:
        fail(_JWS_FORMAT)
    if raw[:1] != b"{" or raw[-1:] != b"}" or len(raw) > _HEADER_MAX \
            or "alg" not in header:
        fail(_JWS_FORMAT)
    if header["alg"] != "ES256":
        fail(_JWS_ALGORITHM)
    typ, kid = header.get("typ", kind), header.get("kid")
    if type(typ) is not str:
        fail(_JWS_FORMAT)
    if typ != kind:
        fail(_JWS_TYPE)
    if len(header) != 3 or "typ" not in header or type(kid) is not str \
            or len(kid) != 43:
        fail(_JWS_FORMAT)
    return kid.encode()


def open_jws(text, kind, most, keys):
    """The payload of a document that one of the keys has signed. Nothing of it
    is decoded before the signature holds."""
    if len(text) > most:
        fail(_JWS_TOO_LARGE)
    first = text.find(b".")
    second = text.find(b".", first + 1)
    if first < 0 or second < 0 or len(text) - second != 87:
        fail(_JWS_FORMAT)
    signature = unb64(text[second + 1:])
    kid = _read_header(text[:first], kind)
    for key in keys:
        if key_id(key) == kid:
            break
    else:
        fail(_KEY_UNKNOWN)
    digest = hashlib.sha256(memoryview(text)[:second]).digest()
    if not _baton.verify_p256(key, digest, signature):
        fail(_SIGNATURE)
    return parse(unb64(text[first + 1:second]))


# ---- Fields ----------------------------------------------------------------


def _number(value, most):
    if type(value) is not int or not 0 <= value <= most:
        fail(_MANIFEST_FORMAT)
    return value


def _text(value, most, allowed=""):
    if type(value) is not str or len(value.encode()) > most:
        fail(_MANIFEST_FORMAT)
    for c in value:
        if (c < " " or c == "\x7f") and c not in allowed:
            fail(_MANIFEST_FORMAT)
    return value


def _bytes32(value):
    if type(value) is not str or len(value) != 43:
        fail(_MANIFEST_FORMAT)
    try:
        return unb64(value.encode())
    except OSError:
        fail(_MANIFEST_FORMAT)


def _path(value):
    # Segments of letters, digits and "-_.", none empty or beginning with a dot.
    at_start = True
    for c in _text(value, 127):
        is_plain = ("a" <= c <= "z" or "A" <= c <= "Z" or "0" <= c <= "9"
                    or c in "-_")
        if not is_plain and (at_start or c not in "./"):
            fail(_MANIFEST_FORMAT)
        at_start = c == "/"
    if at_start:
        fail(_MANIFEST_FORMAT)
    return value


def _object(value):
    if type(value) is not dict:
        fail(_MANIFEST_FORMAT)
    return value


def _list(value, most):
    if type(value) is not list or not 0 < len(value) <= most:
        fail(_MANIFEST_FORMAT)
    return value


def _file(value, most):
    """Length and SHA-256."""
    value = _object(value)
    return _number(value.get("bytes"), most), _bytes32(value.get("sha256"))


def _check_format(document):
    number = document.get("format")
    if _number(number, _U32) != 1:
        fail(_MANIFEST_VERSION if number else _MANIFEST_FORMAT)


# ---- Key sets --------------------------------------------------------------


def _key(value):
    value = _object(value)
    # A private key that was published is nobody's secret any more.
    if value.get("kty") != "EC" or value.get("crv") != "P-256" or "d" in value:
        fail(_MANIFEST_FORMAT)
    return _bytes32(value.get("x")) + _bytes32(value.get("y"))


def install_keys(trust, text, now):
    """Judges a key set and installs it where it is newer than the one there
    is."""
    if trust.root is None:
        fail(_TRUST_NONE)
    value = open_jws(text, "baton-keys+jws", KEYS_MAX, (trust.root,))
    _check_format(value)
    version = _number(value.get("version"), _U32)
    expires = _number(value.get("expires"), _TIME_MAX)
    keys = [_key(key) for key in _list(value.get("keys"), 4)]
    sequence = _number(value.get("sequence", 0), _U32)
    if not version:
        fail(_MANIFEST_FORMAT)
    if version < trust.version:
        fail(_KEYS_OLD)
    if expires and expires <= now:
        fail(_KEYS_EXPIRED)
    if version != trust.version:
        trust.install(version, expires, sequence, keys)


# ---- Manifests -------------------------------------------------------------

_ENCODINGS = ("raw", "packed", "delta")


class _Payload:
    def __init__(self, value):
        value = _object(value)
        encoding = _text(value.get("encoding"), 16)
        # What a later release brings is never picked.
        self.encoding = _ENCODINGS.index(encoding) if encoding in _ENCODINGS else -1
        self.bytes, self.sha256 = _file(value, _IMAGE_MAX)
        self.path = _path(value.get("path"))
        profile = _text(value["profile"], 16) if "profile" in value else ""
        self.state_bytes = {"S": 15904, "M": 32128}.get(profile, 1 << 29)
        self.base = _file(value["base"], _IMAGE_MAX) if "base" in value else None


class Manifest:
    """The facts of a release; its signature is checked first."""

    def __init__(self, text, trust):
        if trust.root is None and not trust.keys:
            fail(_TRUST_NONE)
        o = open_jws(text, "baton-release+jws", MANIFEST_MAX, trust.keys)
        _check_format(o)
        get = o.get
        self.product = _text(get("product"), 32)
        self.chip = _number(get("chip"), 0xFFFE)
        self.version = _text(get("version"), 63)
        self.sequence = _number(get("sequence"), _U32)
        issued = _number(get("issued"), _TIME_MAX)
        self.expires = _number(get("expires"), _TIME_MAX)
        self.bytes, self.sha256 = _file(get("image"), _IMAGE_MAX)
        self.list_bytes, self.list_sha256 = _file(get("list"), _U32)
        self.list_path = _path(o["list"].get("path"))
        self.payloads = [_Payload(value) for value in _list(get("payloads"), 8)]
        self.board = _text(get("board", ""), 32)
        rollout = _object(get("rollout", {"permille": 1000, "salt": ""}))
        self.permille = _number(rollout.get("permille"), 1000)
        self.salt = _text(rollout.get("salt"), 32)
        self.boot = _number(get("boot", 0), 255)
        _number(get("secure_version", 0), _U32)  # the chip's cannot be known
        self.mpy = _number(get("mpy", 0), 0xFFFF)
        self.notes = _text(get("notes", ""), MANIFEST_MAX, "\n\t")
        sectors = (self.bytes + 4095) // 4096
        if not (self.sequence and self.bytes and self.product
                and self.list_bytes == 8 * sectors
                and (not self.expires or self.expires > issued)):
            fail(_MANIFEST_FORMAT)
        for payload in self.payloads:
            self._check(payload)

    def _check(self, payload):
        is_sound = payload.bytes > 0
        if payload.encoding == 0:
            is_sound = is_sound and (
                payload.bytes == self.bytes and payload.sha256 == self.sha256)
        elif payload.encoding == 2:
            is_sound = is_sound and payload.base is not None and payload.base[0]
        if not is_sound:
            fail(_MANIFEST_FORMAT)

    def judge(self, agent, trust, now, is_set):
        """0, or why this release is not for this device, or not now."""
        if agent.product and agent.product != self.product:
            return _PRODUCT
        if agent.board and self.board and agent.board != self.board:
            return _BOARD
        if agent.chip != self.chip:
            return _CHIP
        if agent.flags & 4 and not is_set:
            return _NO_CLOCK
        if trust.expires and trust.expires <= now:
            return _KEYS_EXPIRED
        if self.expires and self.expires <= now:
            return _EXPIRED
        if self.sequence < trust.sequence:
            return _OLD
        if self.bytes > agent.slot_bytes:
            return _TOO_LARGE
        if self.boot > agent.bootloader:
            return _BOOTLOADER
        if agent.mpy and agent.mpy != self.mpy:
            return _MPY
        return 0 if self.is_in(agent.device_id) else _ROLLOUT

    def is_in(self, device_id):
        """Whether a device is within the first permille of a rollout."""
        sha = hashlib.sha256(self.salt.encode() + b"\0")
        sha.update(device_id)
        place = int.from_bytes(sha.digest()[:4], "big")
        return place * 1000 >> 32 < self.permille

    def pick(self, identity, room, failed):
        """The smallest payload that this device can use, by its index."""
        best = -1
        for index, payload in enumerate(self.payloads):
            encoding = payload.encoding
            is_usable = encoding == 0 or (
                encoding > 0 and payload.state_bytes <= room
                and (encoding == 1 or payload.base == identity))
            if is_usable and not failed >> index & 1 and (
                    best < 0 or payload.bytes < self.payloads[best].bytes):
                best = index
        return best if best >= 0 else _PAYLOAD
