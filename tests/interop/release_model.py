"""Releases and key sets read a second time, slowly, after docs/FORMAT.md.

Nothing here is Python's own JSON reader, which is too kind. `check` takes bytes
and returns an error's name; `release` and `keys` return it with facts."""

# SPDX-License-Identifier: MIT
import base64
import hashlib
import re

OK = "BATON_OK"
DEPTH, NAMES = 8, 64
ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n",
           "r": "\r", "t": "\t"}
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


class Wrong(Exception):
    """Carries an error's name."""


class Reader:
    """A recursive descent through the text, from left to right."""

    def __init__(self, text):
        self.text = text
        self.at = 0
        self.depth = 0
        self.names = 0

    def wrong(self, what="FORMAT"):
        raise Wrong(f"BATON_ERR_JSON_{what}")

    def space(self):
        while self.text[self.at:self.at + 1] in (" ", "\t", "\n", "\r"):
            self.at += 1

    def peek(self):
        self.space()
        return self.text[self.at:self.at + 1]

    def take(self, wanted):
        if self.text[self.at:self.at + 1] != wanted:
            self.wrong()
        self.at += 1

    def hex4(self):
        digits = self.text[self.at:self.at + 4]
        if not re.fullmatch("[0-9a-fA-F]{4}", digits):
            self.wrong()
        self.at += 4
        return int(digits, 16)

    def escape(self):
        letter = self.text[self.at:self.at + 1]
        self.at += 1
        if letter != "u":
            if letter not in ESCAPES or not letter:
                self.wrong()
            return ESCAPES[letter]
        point = self.hex4()
        if point == 0 or 0xDC00 <= point <= 0xDFFF:
            self.wrong()
        if 0xD800 <= point <= 0xDBFF:
            self.take("\\")
            self.take("u")
            low = self.hex4()
            if not 0xDC00 <= low <= 0xDFFF:
                self.wrong()
            point = 0x10000 + (point - 0xD800) * 0x400 + low - 0xDC00
        return chr(point)

    def string(self, can_escape=True):
        self.take('"')
        out = ""
        while True:
            letter = self.text[self.at:self.at + 1]
            self.at += 1
            if letter == "" or ord(letter) < 0x20:
                self.wrong()
            if letter == '"':
                return out
            if letter != "\\":
                out += letter
            elif can_escape:
                out += self.escape()
            else:
                self.wrong()

    def name(self, members):
        self.space()
        name = self.string(can_escape=False)
        if name in members:
            self.wrong("DUPLICATE")
        if self.names == NAMES:
            self.wrong("LIMIT")
        self.names += 1
        self.space()
        self.take(":")
        return name

    def container(self, end):
        if self.depth == DEPTH:
            self.wrong("LIMIT")
        self.depth += 1
        before = self.names
        out = {} if end == "}" else []
        self.at += 1
        if self.peek() != end:
            while True:
                if end == "}":
                    name = self.name(out)
                    out[name] = None
                    out[name] = self.value()
                else:
                    out.append(self.value())
                if self.peek() == end:
                    break
                self.take(",")
        self.at += 1
        self.depth -= 1
        self.names = before
        return out

    def value(self):
        letter = self.peek()
        if letter == "{":
            return self.container("}")
        if letter == "[":
            return self.container("]")
        if letter == '"':
            return self.string()
        for word, value in (("true", True), ("false", False), ("null", None)):
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        found = NUMBER.match(self.text, self.at)
        if not found:
            self.wrong()
        self.at = found.end()
        text = found[0]
        return int(text) if text.isascii() and text.isdigit() else float("nan")


def parse(data):
    if len(data) > 65535:
        raise Wrong("BATON_ERR_JSON_LIMIT")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Wrong("BATON_ERR_JSON_FORMAT") from None
    reader = Reader(text)
    if reader.peek() != "{":
        reader.wrong()
    out = reader.value()
    if reader.peek() != "":
        reader.wrong()
    return out


def check(data):
    try:
        parse(data)
    except Wrong as wrong:
        return str(wrong)
    return OK


# ---- Members ---------------------------------------------------------------

def need(holds):
    if not holds:
        raise Wrong("BATON_ERR_MANIFEST_FORMAT")


def number(value, most, least=0):
    need(type(value) is int and least <= value <= most)
    return value


def text(value, most, extra=""):
    need(type(value) is str and len(value.encode()) <= most)
    need(all(c in extra or (ord(c) >= 0x20 and ord(c) != 0x7F)
             for c in value))
    return value


def digest(value):
    need(type(value) is str and re.fullmatch("[A-Za-z0-9_-]{43}", value))
    raw = base64.urlsafe_b64decode(value + "=")
    need(base64.urlsafe_b64encode(raw).decode() == value + "=")
    return raw


def path(value):
    text(value, 127)
    need(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
                      r"(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*", value))


def members(value, *names):
    need(type(value) is dict and all(name in value for name in names))
    return value


def format_of(document):
    version = document.get("format")
    need(type(version) is int and 1 <= version <= 2**32 - 1)
    if version > 1:
        raise Wrong("BATON_ERR_MANIFEST_VERSION")


LATEST = 253402300799
IMAGE = 16 << 20


def payload(value, image):
    members(value, "encoding", "bytes", "sha256", "path")
    text(value["encoding"], 16)
    number(value["bytes"], IMAGE, 1)
    sha = digest(value["sha256"])
    path(value["path"])
    if "profile" in value:
        text(value["profile"], 16)
    base = 0
    if "base" in value:
        members(value["base"], "bytes", "sha256")
        base = number(value["base"]["bytes"], IMAGE)
        digest(value["base"]["sha256"])
    if value["encoding"] == "raw":
        need(value["bytes"] == image["bytes"])
        need(sha == digest(image["sha256"]))
    if value["encoding"] == "delta":
        need(base > 0)


def read_release(m):
    format_of(m)
    members(m, "product", "chip", "version", "sequence", "issued", "expires",
            "image", "list", "payloads")
    need(text(m["product"], 32))
    text(m.get("board", ""), 32)
    number(m["chip"], 65534)
    text(m["version"], 63)
    number(m["sequence"], 2**32 - 1, 1)
    issued, expires = number(m["issued"], LATEST), number(m["expires"], LATEST)
    need(expires == 0 or expires > issued)
    image = members(m["image"], "bytes", "sha256")
    size = number(image["bytes"], IMAGE, 1)
    digest(image["sha256"])
    sectors = members(m["list"], "bytes", "sha256", "path")
    need(number(sectors["bytes"], 2**32 - 1) == (size + 4095) // 4096 * 8)
    digest(sectors["sha256"])
    path(sectors["path"])
    need(type(m["payloads"]) is list and 1 <= len(m["payloads"]) <= 8)
    for value in m["payloads"]:
        payload(value, image)
    rollout = members(m.get("rollout", {"permille": 1000, "salt": ""}),
                      "permille", "salt")
    number(rollout["permille"], 1000)
    text(rollout["salt"], 32)
    number(m.get("boot", 0), 255)
    number(m.get("secure_version", 0), 2**32 - 1)
    number(m.get("mpy", 0), 65535)
    text(m.get("notes", ""), 4096, extra="\n\t")
    return rollout


def release(data):
    """For a device with id 01 02 03 and memory for profile S, no base."""
    try:
        m = parse(data)
        rollout = read_release(m)
    except Wrong as wrong:
        return str(wrong)
    place = int.from_bytes(hashlib.sha256(
        rollout["salt"].encode() + b"\0\1\2\3").digest()[:4], "big")
    usable = [(value["bytes"], index)
              for index, value in enumerate(m["payloads"])
              if value["encoding"] == "raw"
              or (value["encoding"] == "packed" and value.get("profile") == "S")]
    is_in = place * 1000 // 2**32 < rollout["permille"]
    return (f"{OK} {m['sequence']} {m['image']['bytes']} {len(m['payloads'])} "
            f"{int(is_in)} {min(usable)[1] if usable else -315}")


def keys(data):
    """For a device with no key set yet, at second 1000."""
    try:
        m = parse(data)
        format_of(m)
        members(m, "version", "expires", "keys")
        number(m["version"], 2**32 - 1, 1)
        expires = number(m["expires"], LATEST)
        number(m.get("sequence", 0), 2**32 - 1)
        need(type(m["keys"]) is list and 1 <= len(m["keys"]) <= 4)
        for key in m["keys"]:
            members(key, "kty", "crv", "x", "y")
            need(key["kty"] == "EC" and key["crv"] == "P-256")
            digest(key["x"]), digest(key["y"])
            need("d" not in key)
    except Wrong as wrong:
        return str(wrong)
    if expires != 0 and expires <= 1000:
        return "BATON_ERR_KEYS_EXPIRED"
    return f"{OK} {m['version']} {len(m['keys'])} {m.get('sequence', 0)}"
