"""A naive model of the vendor's partition table generator.

Written from the description of the format alone (docs/FORMAT.md), not from
core/. It has Python do what the vendor's generator, a Python program, leaves to
Python as well: decoding, splitting lines, stripping white space, reading
integers.
"""
# SPDX-License-Identifier: MIT
import hashlib
import re

TYPES = {"app": 0, "data": 1, "bootloader": 2, "partition_table": 3}
SUBTYPES = {
    0: {"factory": 0, "test": 0x20, "tee_0": 0x30, "tee_1": 0x31}
    | {f"ota_{slot}": 0x10 + slot for slot in range(16)},
    1: {
        "ota": 0,
        "phy": 1,
        "nvs": 2,
        "coredump": 3,
        "nvs_keys": 4,
        "efuse": 5,
        "undefined": 6,
        "esphttpd": 0x80,
        "fat": 0x81,
        "spiffs": 0x82,
        "littlefs": 0x83,
        "tee_ota": 0x90,
    },
    2: {"primary": 0, "ota": 1, "recovery": 2},
    3: {"primary": 0, "ota": 1},
}
ENCRYPTED, READONLY = 1, 2


class Refused(Exception):
    """The generator takes this for an error."""


class Options:
    def __init__(self, table=0x8000, md5=True, verify=True, primary=None, recovery=None,
                 flash=0, secure_v1=False, environ=None):
        self.table = table
        self.md5 = md5
        self.verify = verify
        self.primary = primary
        self.recovery = recovery
        self.flash = flash
        self.secure_v1 = secure_v1
        self.environ = environ or {}


class Row:
    def __init__(self, name, type_, subtype, offset, size, flags):
        self.name = name
        self.type = type_
        self.subtype = subtype
        self.offset = offset
        self.size = size
        self.flags = flags

    @property
    def end(self):
        return self.offset + self.size

    def is_a(self, type_name, subtype_name):
        type_ = TYPES[type_name]
        return (self.type, self.subtype) == (type_, SUBTYPES[type_][subtype_name])

    def is_primary(self):
        return self.is_a("bootloader", "primary") or self.is_a("partition_table", "primary")

    def offset_step(self):
        return 0x10000 if self.type == TYPES["app"] else 0x1000


def expand(line, environ):
    def value(match):
        return environ.get(match["braced"] if match["plain"] is None else match["plain"], match[0])

    pattern = r"\$(?:(?P<plain>[0-9A-Za-z_]+)|\{(?P<braced>[^}]*)\})"
    line = re.sub(pattern, value, line)
    # Only the beginning of the line is looked at for what is left.
    if re.match(r"\$[A-Za-z_]", line):
        raise Refused("unknown variable")
    return line


def number(text, keywords):
    """A number with suffixes, or a keyword; a suffix works on either."""
    factor = 1
    while text[-1:].lower() in ("k", "m"):
        factor *= 1024 if text[-1].lower() == "k" else 1024 * 1024
        text = text[:-1]
    try:
        return int(text, 0) * factor
    except ValueError:
        pass
    if text.lower() not in keywords:
        raise Refused(f"neither number nor keyword: {text!r}")
    return keywords[text.lower()] * factor


def read_row(line, options):
    fields = [field.strip() for field in line.split(",")]
    name, type_, subtype, offset, size, flags = (fields + [""] * 6)[:6]
    if type_ == "":
        raise Refused("no type")
    type_ = number(type_, TYPES)
    if subtype == "" and type_ == TYPES["app"]:
        raise Refused("no subtype")
    subtype = 6 if subtype == "" else number(subtype, SUBTYPES.get(type_, {}))
    row = Row(name, type_, subtype, None, None, 0)
    row.offset = read_offset(row, offset, options)
    row.size = read_size(row, size, options)
    for flag in filter(None, flags.split(":")):
        if flag not in ("encrypted", "readonly"):
            raise Refused("unknown flag")
        row.flags |= ENCRYPTED if flag == "encrypted" else READONLY
    return row


def read_offset(row, text, options):
    if row.is_a("partition_table", "primary"):
        return options.table
    for which, given in (("primary", options.primary), ("recovery", options.recovery)):
        if row.is_a("bootloader", which):
            if given is None:
                raise Refused("the bootloader's offset is not given")
            return given
    return None if text == "" else number(text, {})


def read_size(row, text, options):
    if row.type == TYPES["partition_table"]:
        return 0x1000
    if row.type == TYPES["bootloader"]:
        if options.primary is None:
            raise Refused("the bootloader's offset is not given")
        return options.table - options.primary
    if text == "":
        raise Refused("no size")
    return number(text, {})


def place(rows, options):
    free = options.table + 0x1000
    for row in rows:
        if row.is_primary():
            continue
        if row.offset is None:
            row.offset = -(-free // row.offset_step()) * row.offset_step()
        elif row.offset < free:
            raise Refused("overlap")
        if row.size < 0:
            row.size = -row.size - row.offset
        free = row.end


def verify_row(row, options):
    if row.offset % row.offset_step() != 0:
        raise Refused("offset not aligned")
    if row.type == TYPES["app"] and row.size % (0x10000 if options.secure_v1 else 0x1000) != 0:
        raise Refused("size not aligned")
    readonly = row.flags & READONLY
    if readonly and (row.is_a("data", "ota") or row.is_a("data", "coredump")):
        raise Refused("cannot be readonly")
    if not readonly and row.is_a("data", "nvs") and row.size < 0x3000:
        raise Refused("nvs too small")


def verify(rows, options):
    for row in rows:
        verify_row(row, options)
    if len({row.name for row in rows}) != len(rows):
        raise Refused("duplicate name")
    in_order = sorted(rows, key=lambda row: row.offset)
    for row in in_order:
        if row.offset < options.table + 0x1000 and not row.is_primary():
            raise Refused("below the table")
    for before, after in zip(in_order, in_order[1:]):
        if after.offset < before.end:
            raise Refused("overlap")
    for kind in ("ota", "tee_ota"):
        otadata = [row for row in rows if row.is_a("data", kind)]
        if len(otadata) > 1 or any(row.size != 0x2000 for row in otadata):
            raise Refused("otadata")


def check(rows, options):
    if options.verify:
        verify(rows, options)
    if options.flash and rows:
        highest = max(rows, key=lambda row: row.offset)
        if highest.end > options.flash:
            raise Refused("larger than the flash")


def encode(rows, options):
    out = b""
    for row in rows:
        if not (0 <= row.type < 2**8 and 0 <= row.subtype < 2**8):
            raise Refused("type or subtype out of range")
        if not (0 <= row.offset < 2**32 and 0 <= row.size < 2**32):
            raise Refused("offset or size out of range")
        out += b"\xaa\x50" + bytes([row.type, row.subtype])
        out += row.offset.to_bytes(4, "little") + row.size.to_bytes(4, "little")
        out += row.name.encode()[:16].ljust(16, b"\0") + row.flags.to_bytes(4, "little")
    if options.md5:
        out += b"\xeb\xeb".ljust(16, b"\xff") + hashlib.md5(out).digest()
    if len(out) >= 0xC00:
        raise Refused("too many rows")
    return out.ljust(0xC00, b"\xff")


def csv_to_binary(data, options):
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Refused("not text") from None
    rows = []
    for line in text.splitlines():
        line = expand(line, options.environ).strip()
        if line and not line.startswith("#"):
            rows.append(read_row(line, options))
    place(rows, options)
    check(rows, options)
    return encode(rows, options)


def decode(data, options):
    rows, hashed = [], b""
    for at in range(0, len(data) + 1, 32):
        raw = data[at:at + 32]
        if len(raw) < 32:
            raise Refused("cut short")
        if raw == b"\xff" * 32:
            return rows
        if options.md5 and raw[:2] == b"\xeb\xeb":
            if raw[16:] != hashlib.md5(hashed).digest():
                raise Refused("md5")
            continue
        hashed += raw
        if raw[:2] != b"\xaa\x50":
            raise Refused("magic")
        try:
            name = raw[12:28].split(b"\0")[0].decode()
        except UnicodeDecodeError:
            raise Refused("name") from None
        rows.append(Row(name, raw[2], raw[3], int.from_bytes(raw[4:8], "little"),
                        int.from_bytes(raw[8:12], "little"),
                        raw[28] & (ENCRYPTED | READONLY)))
    raise AssertionError("not reached")


def keyword(value, keywords):
    return next((name for name, known in keywords.items() if known == value), str(value))


def size_text(size):
    for unit, letter in ((1 << 20, "M"), (1 << 10, "K")):
        if size % unit == 0:
            return f"{size // unit}{letter}"
    return hex(size)


def binary_to_csv(data, options):
    rows = decode(data, options)
    check(rows, options)
    lines = ["# ESP-IDF Partition Table", "# Name, Type, SubType, Offset, Size, Flags"]
    for row in rows:
        flags = [name for name, bit in (("encrypted", 1), ("readonly", 2)) if row.flags & bit]
        lines.append(",".join([
            row.name,
            keyword(row.type, TYPES),
            keyword(row.subtype, SUBTYPES.get(row.type, {})),
            hex(row.offset),
            size_text(row.size),
            ":".join(flags),
        ]))
    return "".join(line + "\n" for line in lines).encode()
