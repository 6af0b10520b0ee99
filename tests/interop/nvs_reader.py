"""An independent, strict reader of ESP-IDF's NVS format, version 2.

It shares nothing with port/posix/. Whatever the format does not allow is an
error here, so that what we write is not only readable but right.
"""
# SPDX-License-Identifier: MIT
import struct
import zlib

STATES = {0xFFFFFFFF: "free", 0xFFFFFFFE: "active", 0xFFFFFFFC: "full", 0xFFFFFFF8: "freeing"}
NUMBERS = {0x01: "B", 0x11: "b", 0x02: "H", 0x12: "h", 0x04: "I", 0x14: "i", 0x08: "Q", 0x18: "q"}
STRING, OLD_BLOB, CHUNK, INDEX = 0x21, 0x41, 0x42, 0x48
ERASED, WRITTEN, EMPTY = 0, 2, 3


def crc(data):
    return zlib.crc32(data, 0xFFFFFFFF) & 0xFFFFFFFF


def entries(page):
    """(namespace, type, chunk, key, data field, bytes) of a page's values."""
    bits = int.from_bytes(page[32:64], "little")
    states = [bits >> 2 * i & 3 for i in range(126)]
    assert bits >> 252 == 15, "the bits after the last entry are not entries"
    assert 1 not in states, "a state that is none"
    written = [i for i, s in enumerate(states) if s != EMPTY]
    assert written == list(range(len(written))), "an empty entry among others"
    index = 0
    while index < 126:
        raw = page[64 + 32 * index : 96 + 32 * index]
        if states[index] != WRITTEN:
            assert states[index] != EMPTY or raw == b"\xff" * 32, "empty, with something in it"
            index += 1
            continue
        ns, type_, span, chunk, sum_ = struct.unpack_from("<BBBBI", raw)
        assert sum_ == crc(raw[:4] + raw[8:]), f"entry {index}: checksum"
        key = raw[8:24].split(b"\0")[0]
        assert len(key) <= 15 and not raw[8 + len(key) : 24].strip(b"\0"), "key not padded"
        field, data = raw[24:32], None
        if type_ in (STRING, OLD_BLOB, CHUNK):
            size, reserved, data_sum = struct.unpack("<HHI", field)
            assert reserved == 0xFFFF and span == 1 + (size + 31) // 32
            data = page[96 + 32 * index : 96 + 32 * index + size]
            rest = page[96 + 32 * index + size : 64 + 32 * (index + span)]
            assert rest == b"\xff" * len(rest), "bytes after the data"
            assert data_sum == crc(data), f"entry {index}: checksum of the data"
        else:
            assert type_ in NUMBERS or type_ == INDEX, f"entry {index}: type {type_:#x}"
            assert span == 1
            if type_ in NUMBERS:
                used = struct.calcsize(NUMBERS[type_])
                assert field[used:] == b"\xff" * (8 - used), "bytes after the number"
        if type_ != CHUNK:
            assert chunk == 0xFF
        assert states[index : index + span] == [WRITTEN] * span
        yield ns, type_, chunk, key.decode(), field, data
        index += span


def pages_of(image):
    pages = []
    for at in range(0, len(image), 4096):
        page = image[at : at + 4096]
        state, seq, version = struct.unpack_from("<IIB", page)
        if state == 0xFFFFFFFF:
            continue
        assert state in STATES, f"page at {at:#x}: state {state:#x}"
        assert struct.unpack_from("<I", page, 28)[0] == crc(page[4:28]), f"page at {at:#x}"
        assert version == 0xFE
        pages.append((seq, STATES[state], page))
    pages.sort(key=lambda p: p[0])
    assert len({p[0] for p in pages}) == len(pages), "two pages with one number"
    assert [p[1] for p in pages[:-1]] == ["full"] * (len(pages) - 1), "old pages are full"
    assert len(pages) < len(image) // 4096, "no spare page"
    return [p[2] for p in pages]


def read(image):
    """{namespace: {key: number, bytes of a string, or ("blob", bytes)}}"""
    found = [e for page in pages_of(image) for e in entries(page)]
    names = {}
    for ns, type_, _, key, field, _ in found:
        if ns == 0:
            assert type_ == 0x01 and field[0] not in names
            names[field[0]] = key
    values = {name: {} for name in names.values()}
    chunks = {(e[0], e[3], e[2]): e[5] for e in found if e[1] == CHUNK}
    assert len(chunks) == len([e for e in found if e[1] == CHUNK]), "a chunk twice"
    for ns, type_, _, key, field, data in found:
        if ns == 0 or type_ == CHUNK:
            continue
        if type_ in NUMBERS:
            value = struct.unpack_from("<" + NUMBERS[type_], field)[0]
        elif type_ == INDEX:
            size, count, first = struct.unpack_from("<IBB", field)
            assert first in (0, 0x80)
            value = b"".join(chunks.pop((ns, key, first + i)) for i in range(count))
            assert len(value) == size
            value = ("blob", value)
        else:
            value = data if type_ == STRING else ("blob", data)
        assert key not in values[names[ns]], f"{key} twice"
        values[names[ns]][key] = value
    assert not chunks, f"chunks without an index: {list(chunks)}"
    return values
