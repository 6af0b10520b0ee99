"""Program files and flash contents that tests of images start from."""

# SPDX-License-Identifier: MIT
import struct

XTENSA = 0x5E
RISCV = 0xF3

PROGBITS = 1
NOBITS = 8


def make_elf(machine, sections, entry=0x40081234):
    """An ELF program. Sections are (name, address, bytes), or a number of
    bytes in place of them for .bss."""
    names = b"\0"
    headers = [struct.pack("<10I", *[0] * 10)]
    data = b""
    for name, address, content in sections:
        is_bss = isinstance(content, int)
        data += b"\0" * (-(52 + len(data)) % 4)
        offset = 52 + len(data)
        headers.append(struct.pack(
            "<10I", len(names), NOBITS if is_bss else PROGBITS, 2, address,
            offset, content if is_bss else len(content), 0, 0, 4, 0))
        names += name.encode() + b"\0"
        data += b"" if is_bss else content
    strings_at = 52 + len(data)
    headers.append(struct.pack(
        "<10I", len(names), 3, 0, 0, strings_at, len(names) + 10, 0, 0, 1, 0))
    names += b".shstrtab\0"
    table_at = strings_at + len(names)
    header = b"\x7fELF\x01\x01\x01" + b"\0" * 9 + struct.pack(
        "<HHIIIIIHHHHHH", 2, machine, 1, entry, 0, table_at, 0, 52, 0, 0, 40,
        len(headers), len(headers) - 1)
    return header + data + names + b"".join(headers)


def descriptor(version=b"v0.1", project=b"own", date=b"Jan  2 2024",
               time=b"03:04:05", idf=b"v5.4", secure_version=0, mmu_page=16):
    """The application descriptor as a build leaves it, without ELF digest."""
    return struct.pack(
        "<II8x32s32s16s16s32s32xHHB75x", 0xABCD5432, secure_version, version,
        project, time, date, idf, 0, 199, mmu_page)


def noise(size, seed=1):
    """Bytes that look like code: the same for the same seed."""
    out = bytearray()
    state = seed
    while len(out) < size:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out += struct.pack("<Q", state)
    return bytes(out[:size])
