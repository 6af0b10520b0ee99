# Images, tables and otadata made independently of the code under test.
# SPDX-License-Identifier: MIT
import hashlib
import struct
import zlib

SECTOR = 4096
TABLE_ADDR = 0x8000
OTADATA_ADDR = 0xD000
BLANK = b"\xff" * 32

# State numbers of an otadata record.
NEW, PENDING, VALID, INVALID, ABORTED = range(5)
UNDEFINED = 0xFFFFFFFF

# Chip id, and where the image's constants lie, for the chips used here.
CHIPS = {"esp32": (0, 0x3F400020), "esp32c3": (5, 0x3C000020)}


def descriptor(version="", project="blink", secure_version=0, date="Sep 11 2025"):
    return struct.pack(
        "<II8x32s32s16s16s32s32sHHBB74x",
        0xABCD5432, secure_version, version.encode(), project.encode(),
        b"12:00:00", date.encode(), b"v5.4.2", bytes(range(32)), 0, 65535, 0, 0,
    )


def seal(header_and_segments, checksum):
    """Appends padding, checksum and digest."""
    pad = -(len(header_and_segments) + 1) % 16
    body = header_and_segments + bytes(pad) + bytes([checksum])
    return body + hashlib.sha256(body).digest()


def image(version="v1.0", payload=b"", chip="esp32", size=0, **fields):
    """An application image of one segment; `size` pads the payload."""
    chip_id, load_addr = CHIPS[chip]
    data = descriptor(version, **fields) + payload
    data += bytes(i * 7 & 0xFF for i in range(max(0, size - len(data) - 100)))
    data += bytes(-len(data) % 4)
    header = struct.pack("<BBBBIB3xHBHH4xB", 0xE9, 1, 2, 0x20, 0x40080000,
                         0xEE, chip_id, 0, 0, 65535, 1)
    checksum = 0xEF
    for byte in data:
        checksum ^= byte
    return seal(header + struct.pack("<II", load_addr, len(data)) + data,
                checksum)


def bootloader(chip="esp32", size=20000):
    chip_id, _ = CHIPS[chip]
    data = bytes([0x50, 0, 0, 0]) + bytes(76)
    data += bytes(i * 5 & 0xFF for i in range(size))
    data += bytes(-len(data) % 4)
    header = struct.pack("<BBBBIB3xHBHH4xB", 0xE9, 1, 2, 0x20, 0x40080000,
                         0xEE, chip_id, 0, 0, 65535, 1)
    checksum = 0xEF
    for byte in data:
        checksum ^= byte
    return seal(header + struct.pack("<II", 0x3FFF0000, len(data)) + data,
                checksum)


def table(rows):
    """A binary table of (label, type, subtype, addr, size)."""
    raw = b"".join(
        struct.pack("<HBBII16sI", 0x50AA, type_, subtype, addr, size,
                    label.encode(), 0)
        for label, type_, subtype, addr, size in rows
    )
    raw += b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(raw).digest()
    return raw.ljust(0xC00, b"\xff")


def seq_crc(seq):
    return zlib.crc32(struct.pack("<I", seq), 0xFFFFFFFF)


def record(seq, state, crc=None):
    """The 32 bytes of an otadata record."""
    crc = seq_crc(seq) if crc is None else crc
    return struct.pack("<I20sII", seq, b"\xff" * 20, state, crc)


def put(path, addr, data):
    with open(path, "r+b") as file:
        file.seek(addr)
        file.write(data)


def get(path, addr, length):
    with open(path, "rb") as file:
        file.seek(addr)
        return file.read(length)


def put_records(path, copy_0, copy_1, addr=OTADATA_ADDR):
    put(path, addr, copy_0.ljust(SECTOR, b"\xff"))
    put(path, addr + SECTOR, copy_1.ljust(SECTOR, b"\xff"))


def get_records(path, addr=OTADATA_ADDR):
    return get(path, addr, 32), get(path, addr + SECTOR, 32)
