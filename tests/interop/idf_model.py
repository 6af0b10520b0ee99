"""ESP-IDF's partition and OTA functions, modelled naively from their
description alone.

Deliberately plain and slow, sharing nothing with port/posix/: what both agree
on over many random boards is likely right in both. Every call returns the line
that tests/interop/idf_driver.c would print.
"""
# SPDX-License-Identifier: MIT
import functools
import hashlib
import struct
import zlib

OK, FAIL = 0, -1
INVALID_ARG, INVALID_STATE, INVALID_SIZE = 0x102, 0x103, 0x104
NOT_FOUND, NOT_SUPPORTED, NOT_ALLOWED = 0x105, 0x106, 0x10D
CONFLICT, VALIDATE_FAILED, SMALL_SEC_VER = 0x1501, 0x1503, 0x1504
ROLLBACK_FAILED, ROLLBACK_INVALID_STATE = 0x1505, 0x1506
ALREADY_IN_PROGRESS = 0x1507
IMAGE_INVALID, FLASH_OP_FAIL = 0x2002, 0x6001

APP, DATA, BOOTLOADER, TABLE, ANY = 0, 1, 2, 3, 0xFF
NEW, PENDING, VALID, INVALID, ABORTED = range(5)
UNDEFINED = ERASED = 0xFFFFFFFF
SEQUENTIAL, UNKNOWN = 0xFFFFFFFE, 0xFFFFFFFF
FLASH_BYTES = 0x40000
TABLE_ADDR = 0x8000
SECTOR = 4096
V5_4, V5_5, V6_0, V6_1, MASTER = 504, 505, 600, 601, 999
ABORTS, FAILS, ALLOWED = range(3)


class Fatal(Exception):
    """The chip would assert or abort."""


class Failed(Exception):
    """A call ends here, with this code."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


def crc_of(seq):
    return zlib.crc32(struct.pack("<I", seq), 0xFFFFFFFF) & 0xFFFFFFFF


class Record:
    def __init__(self, raw):
        self.seq, self.label, self.state, self.crc = struct.unpack("<I20sII", raw)

    def raw(self):
        return struct.pack("<I20sII", self.seq, self.label, self.state, self.crc)

    def crc_good(self):
        return self.crc == crc_of(self.seq)

    def usable(self):
        excluded = self.seq == ERASED or self.state in (INVALID, ABORTED)
        return not excluded and self.crc_good()

    def written(self):
        return self.seq != ERASED and self.crc_good()


class Part:
    def __init__(self, type_, subtype, addr, size, label, encrypted, readonly):
        self.type, self.subtype, self.addr, self.size = type_, subtype, addr, size
        self.label, self.encrypted, self.readonly = label, encrypted, readonly

    def is_slot(self):
        return self.type == APP and 0x10 <= self.subtype <= 0x1F

    def text(self):
        return f"{self.type},{self.subtype},{self.addr:x},{self.size:x},{self.label}"


class Handle:
    def __init__(self, part):
        self.staging = self.final = part
        self.copy = self.need_erase = self.resumed = False
        self.wrote = 0
        self.partial = b""
        self.filler = b"\0"


@functools.lru_cache(maxsize=4096)
def verify_bytes(content, size, is_bootloader):
    """The image at the start of `content`, which goes on to the end of the
    chip, in a partition of `size`; its length and whether it has a digest."""

    def take(at, length):
        if at + length > len(content):
            raise Failed(FAIL)
        return content[at : at + length]

    header = take(0, 24)
    if header[0] != 0xE9:
        raise Failed(IMAGE_INVALID)
    chip, _, low, high = struct.unpack_from("<HBHH", header, 12)
    too_new = not is_bootloader and high not in (0, 65535) and high < 300
    if chip != 0 or low > 300 or too_new:
        raise Failed(FAIL)
    if header[1] > 16:
        raise Failed(IMAGE_INVALID)
    at = 24
    checksum = 0xEF
    for index in range(header[1]):
        load, length = struct.unpack("<II", take(at, 8))
        at += 8
        if length % 4 != 0 or length >= 16 << 20:
            raise Failed(IMAGE_INVALID)
        if index == 0 and length < 256 and not is_bootloader:
            raise Failed(IMAGE_INVALID)
        mapped = 0x400D0000 <= load < 0x40400000 or 0x3F400000 <= load < 0x3F800000
        if mapped and load % 65536 != at % 65536:
            raise Failed(IMAGE_INVALID)
        for byte in take(at, length):
            checksum ^= byte
        at += length
    end = (at + 1 + 15) // 16 * 16
    if take(end - 1, 1)[0] != checksum:
        raise Failed(IMAGE_INVALID)
    digest = header[23] != 0
    total = end + (32 if digest else 0)
    if digest:
        right = take(end, 32) == hashlib.sha256(content[:end]).digest()
        if not right and not is_bootloader:
            raise Failed(IMAGE_INVALID)
    if total > size:
        raise Failed(IMAGE_INVALID)
    return total, digest


class Board:
    def __init__(self, flash, running, release, protect, no_rollback, anti,
                 encrypted, blind, efuse):
        self.flash = bytearray(flash)
        self.running_addr, self.release = running, release or V5_5
        self.protect, self.rollback, self.anti = protect, not no_rollback, anti
        self.encrypted, self.blind, self.efuse = encrypted, blind, efuse
        self.parts = []
        self.running = None
        self.handles = {}
        self.last_handle = 0
        self.unprotected = False
        self.bootloader_addr = 0x1000
        self.ops = []

    # The flash.

    def note(self, op, addr, length):
        if self.ops and self.ops[-1][0] == op and sum(self.ops[-1][1:]) == addr:
            addr = self.ops[-1][1]
            length += self.ops.pop()[2]
        self.ops.append((op, addr, length))

    def region(self, addr, length):
        """A write there must be allowed."""
        for p in self.load():
            inside = p.addr <= addr < p.addr + p.size
            if p.readonly and (inside or addr < p.addr < addr + length):
                raise Failed(NOT_ALLOWED)
        if self.protect == ALLOWED or self.unprotected:
            return
        safe = addr > TABLE_ADDR + 0xC00
        if safe:
            p = self.get_running()
            inside = p.addr <= addr < p.addr + p.size
            safe = not inside and not addr < p.addr < addr + length
        if not safe:
            if self.protect == ABORTS:
                raise Fatal
            raise Failed(INVALID_ARG)

    def flash_write(self, addr, data, guarded=True):
        if guarded:
            self.region(addr, len(data))
        if addr + len(data) > FLASH_BYTES:
            raise Failed(INVALID_ARG)
        if not guarded and addr % 16 != 0:
            raise Failed(INVALID_ARG)
        if not guarded and len(data) % 16 != 0:
            raise Failed(INVALID_SIZE)
        if not guarded and not self.blind:
            # A block of ciphertext cannot become another one.
            for off in range(0, len(data), 16):
                now = bytes(self.flash[addr + off : addr + off + 16])
                if now not in (b"\xff" * 16, bytes(data[off : off + 16])):
                    raise Failed(FLASH_OP_FAIL)
        for off in range(0, len(data), 8192):
            piece = data[off : off + 8192]
            at = addr + off
            old = int.from_bytes(self.flash[at : at + len(piece)], "little")
            new = int.from_bytes(piece, "little")
            if new & ~old and not self.blind:
                raise Failed(FLASH_OP_FAIL)
            self.flash[at : at + len(piece)] = (new & old).to_bytes(len(piece), "little")
            self.note("P", at, len(piece))

    def flash_erase(self, addr, length):
        self.region(addr, length)
        if addr + length > FLASH_BYTES or addr % SECTOR or length % SECTOR:
            raise Failed(INVALID_ARG)
        if length:
            self.flash[addr : addr + length] = b"\xff" * length
            self.note("E", addr, length)

    # The table.

    def load(self):
        if self.parts:
            return self.parts
        parts = []
        at = TABLE_ADDR
        while at < TABLE_ADDR + SECTOR and self.flash[at : at + 2] == b"\xaa\x50":
            type_, subtype, addr, size, label, flags = struct.unpack_from(
                "<BBII16sI", self.flash, at + 2)
            always = type_ in (APP, BOOTLOADER, TABLE) or (
                type_ == DATA and subtype in (0x00, 0x04, 0x90))
            parts.append(Part(
                type_, subtype, addr, size, label.split(b"\0")[0].decode(),
                self.encrypted and (always or bool(flags & 1)), bool(flags & 2)))
            at += 32
        md5 = hashlib.md5(self.flash[TABLE_ADDR:at]).digest()
        if self.flash[at : at + 2] == b"\xeb\xeb" and self.flash[at + 16 : at + 32] == md5:
            self.parts = parts
        return self.parts

    def find(self, type_, subtype, label=None):
        if type_ == ANY and subtype != ANY:
            return []
        return [p for p in self.load()
                if type_ in (ANY, p.type) and subtype in (ANY, p.subtype)
                and label in (None, p.label)]

    def first(self, type_, subtype):
        found = self.find(type_, subtype)
        return found[0] if found else None

    def slot(self, index):
        return self.first(APP, 0x10 + index)

    def otadata(self):
        return self.first(DATA, 0)

    def count(self):
        n = 0
        while n < 16 and self.slot(n):
            n += 1
        return n

    def in_table(self, part):
        label = part.label or None
        for p in self.find(part.type, part.subtype, label):
            same = (p.addr, p.size, p.encrypted) == (part.addr, part.size, part.encrypted)
            if same:
                return p
        return None

    # Partitions.

    def check(self, part, off, length):
        if off > part.size:
            raise Failed(INVALID_ARG)
        if length > part.size - off:
            raise Failed(INVALID_SIZE)

    def read(self, part, off, length):
        self.check(part, off, length)
        if part.addr + off + length > FLASH_BYTES:
            raise Failed(INVALID_ARG)
        return bytes(self.flash[part.addr + off : part.addr + off + length])

    def write(self, part, off, data):
        if part.readonly:
            raise Failed(NOT_ALLOWED)
        self.check(part, off, len(data))
        self.flash_write(part.addr + off, data, guarded=not part.encrypted)

    def erase(self, part, off, length):
        if part.readonly:
            raise Failed(NOT_ALLOWED)
        self.check(part, off, length)
        if length % SECTOR:
            raise Failed(INVALID_SIZE)
        if off % SECTOR:
            raise Failed(INVALID_ARG)
        self.flash_erase(part.addr + off, length)

    def copy(self, dest, dest_off, src, src_off, length):
        if dest is None or src is None or dest is src:
            raise Failed(INVALID_ARG)
        if src_off > src.size or dest_off > dest.size:
            raise Failed(INVALID_SIZE)
        to_erase = length
        if length == UNKNOWN:
            length = src.size - src_off
            to_erase = dest.size - dest_off
        if src_off + length > src.size or dest_off + length > dest.size:
            raise Failed(INVALID_SIZE)
        self.erase(dest, dest_off, (to_erase + SECTOR - 1) // SECTOR * SECTOR)
        for off in range(0, length, SECTOR):
            step = min(SECTOR, length - off)
            self.write(dest, dest_off + off, self.read(src, src_off + off, step))

    def image(self, part):
        """Length and "has a digest", or Failed."""
        is_bootloader = part.addr == self.bootloader_addr
        return verify_bytes(bytes(self.flash[part.addr :]), part.size, is_bootloader)

    def verifies(self, part):
        try:
            self.image(part)
        except Failed:
            return False
        return True

    def description(self, part):
        raw = self.read(part, 0x20, 256)
        magic, version = struct.unpack_from("<II", raw)
        if magic != 0xABCD5432:
            raise Failed(NOT_FOUND)
        return version, raw[16:48].split(b"\0")[0].decode("latin1")

    def allowed(self, part):
        try:
            return self.description(part)[0] >= self.efuse
        except Failed:
            return False

    # Otadata.

    def records(self):
        at = self.otadata().addr
        return [Record(bytes(self.flash[at + i * SECTOR : at + i * SECTOR + 32]))
                for i in range(2)]

    def active(self):
        first, second = self.records()
        if first.usable() and second.usable():
            return 1 if second.seq > first.seq else 0
        return 0 if first.usable() else 1 if second.usable() else -1

    def slot_of(self, record):
        return ((record.seq - 1) & 0xFFFFFFFF) % self.count()

    def store(self, copy, record):
        part = self.otadata()
        self.erase(part, copy * SECTOR, SECTOR)
        self.write(part, copy * SECTOR, record.raw())

    def get_running(self):
        if self.running is None:
            for p in self.find(APP, ANY):
                if p.addr <= self.running_addr < p.addr + p.size:
                    self.running = p
                    break
            else:
                raise Fatal
        return self.running

    def state_of(self, part):
        if not part.is_slot():
            raise Failed(NOT_SUPPORTED)
        if not self.otadata() or self.count() == 0:
            raise Failed(NOT_FOUND)
        for record in self.records():
            if record.crc_good() and self.slot_of(record) == part.subtype - 0x10:
                return record.state
        raise Failed(NOT_FOUND)

    def forget_last(self, with_app):
        if not self.otadata() or self.count() == 0 or self.active() < 0:
            raise Failed(FAIL)
        copy = 1 - self.active()
        record = self.records()[copy]
        if not record.written():
            raise Failed(FAIL)
        part = self.slot(self.slot_of(record))
        if part is None or part is self.get_running():
            raise Failed(FAIL)
        if with_app:
            self.erase(part, 0, part.size)
        self.erase(self.otadata(), copy * SECTOR, SECTOR)

    def unconfirmed(self):
        if not self.rollback:
            return False
        try:
            return self.state_of(self.get_running()) == PENDING
        except Failed:
            return False

    def rollback_possible(self):
        if not self.otadata() or self.count() == 0 or self.active() < 0:
            return False
        other = self.records()[1 - self.active()]
        if not other.usable():
            factory = self.first(APP, 0)
            return not self.anti and factory is not None and self.verifies(factory)
        part = self.slot(self.slot_of(other))
        if part is None or not self.verifies(part):
            return False
        return not self.anti or self.allowed(part)

    def change_state(self, state):
        copy = self.active()
        record = self.records()[copy]
        record.state = state
        self.store(copy, record)

    def needs_active(self):
        if not self.otadata():
            raise Failed(NOT_FOUND)
        if self.active() < 0 or self.count() == 0:
            raise Failed(FAIL)

    def mark_invalid(self):
        self.needs_active()
        if not self.rollback_possible():
            raise Failed(ROLLBACK_FAILED)
        self.change_state(INVALID)

    def choose(self, part):
        if part.type != APP:
            raise Failed(INVALID_ARG)
        if part.subtype == 0:
            if not self.otadata():
                raise Failed(NOT_FOUND)
            self.erase(self.otadata(), 0, self.otadata().size)
            return
        if self.anti and self.description(part)[0] < self.efuse:
            self.erase(part, 0, part.size)
            raise Failed(SMALL_SEC_VER)
        if not self.otadata():
            raise Failed(NOT_FOUND)
        k, n = part.subtype & 0x0F, self.count()
        if k >= n:
            raise Failed(INVALID_ARG)
        records, active = self.records(), self.active()
        if active < 0:
            copy, seq = 0, k + 1
        elif self.release >= V6_0 and self.slot_of(records[active]) == k:
            copy, seq = active, records[active].seq
        else:
            copy = 1 - active
            seq = (k + 1) % n
            if seq < records[active].seq:
                seq += (records[active].seq - seq + n - 1) // n * n
            if seq > 0xFFFFFFFF:
                raise Fatal
        record = records[copy]
        record.seq, record.crc = seq, crc_of(seq)
        record.state = NEW if self.rollback else UNDEFINED
        self.store(copy, record)

    def default_boot(self):
        slots = [self.slot(i) for i in range(16) if self.slot(i)]
        candidates = [self.first(APP, 0), *slots, self.first(APP, 0x20)]
        return next((p for p in candidates if p), None)

    def table_verifies(self, part):
        """As the bootloader looks at a table."""
        rows = self.read(part, 0, 0xC00)
        seen_md5 = False
        for at in range(0, 0xC00, 32):
            row = rows[at : at + 32]
            if row[:2] == b"\xaa\x50":
                addr, size = struct.unpack_from("<II", row, 4)
                if addr > FLASH_BYTES or addr + size > FLASH_BYTES:
                    return False
            elif row[:2] == b"\xeb\xeb":
                if seen_md5 or row[16:] != hashlib.md5(rows[:at]).digest():
                    return False
                seen_md5 = True
            else:
                return row[:4] == b"\xff\xff\xff\xff" and at > 0
        return False

    # Calls: the arguments as the driver takes them, the answer as it prints it.

    def partition(self, word):
        if word == "-":
            return None
        if word[0] == "#":
            index = int(word[1:])
            return self.load()[index] if index < len(self.load()) else None
        type_, subtype, addr, size, encrypted, readonly, label = word.split(",")
        return Part(int(type_), int(subtype), int(addr), int(size), label,
                    encrypted != "0", readonly != "0")

    def call(self, line):
        name, *words = line.split()
        self.ops = []
        try:
            answer = getattr(self, "call_" + name)(*words)
        except Fatal:
            answer = "fatal"
        except Failed as failed:
            answer = str(failed.code)
        ops = "".join(f" {op}{addr:x}+{length:x}" for op, addr, length in self.ops)
        return f"{answer} |{ops}"

    def text(self, part):
        return part.text() if part else "none"

    def open(self, part):
        if self.release >= V6_1:
            for handle in self.handles.values():
                if part in (handle.staging, handle.final):
                    raise Failed(ALREADY_IN_PROGRESS)
        self.last_handle += 1
        self.handles[self.last_handle] = Handle(part)
        return self.handles[self.last_handle]

    def prepare(self, type_, staging):
        if type_ == BOOTLOADER:
            self.bootloader_addr = staging.addr
        if type_ in (BOOTLOADER, TABLE):
            self.unprotected = True

    def begin(self, part, size):
        if part is None:
            raise Failed(INVALID_ARG)
        part = self.in_table(part)
        if part is None:
            raise Failed(NOT_FOUND)
        if part.type == APP or self.release < V5_5:
            if not part.is_slot():
                raise Failed(INVALID_ARG)
            if part is self.get_running():
                raise Failed(CONFLICT)
            if self.unconfirmed():
                raise Failed(ROLLBACK_INVALID_STATE)
        if self.release < V5_5:
            self.begin_erase(part, size)
        handle = self.open(part)
        handle.need_erase = size == SEQUENTIAL
        if self.release < V5_5:
            return
        self.prepare(part.type, part)
        self.begin_erase(part, size)
        if self.rollback and part.is_slot():
            try:
                self.forget_last(False)
            except Failed:
                pass

    def begin_erase(self, part, size):
        if size in (0, UNKNOWN):
            self.erase(part, 0, part.size)
        elif size != SEQUENTIAL:
            self.erase(part, 0, (size + SECTOR - 1) // SECTOR * SECTOR % 2**32)

    def call_ota_begin(self, part, size):
        before = self.last_handle
        try:
            self.begin(self.partition(part), int(size))
            code = OK
        except Failed as failed:
            code = failed.code
        handle = self.last_handle if self.last_handle != before else 0
        return f"{code} {handle}"

    def call_ota_resume(self, part, erase_size, off):
        try:
            handle = self.resume(self.partition(part), int(erase_size), int(off))
        except Failed as failed:
            return f"{failed.code} 0"
        return f"0 {handle}"

    def resume(self, part, erase_size, off):
        if self.release < V5_5:
            raise Failed(NOT_SUPPORTED)
        if part is None or off > part.size:
            raise Failed(INVALID_ARG)
        part = self.in_table(part)
        if part is None:
            raise Failed(NOT_FOUND)
        if part.type == APP and not part.is_slot():
            raise Failed(INVALID_ARG)
        if part is self.get_running():
            raise Failed(CONFLICT)
        if self.release >= MASTER and part.type == APP and self.unconfirmed():
            raise Failed(ROLLBACK_INVALID_STATE)
        handle = self.open(part)
        self.prepare(part.type, part)
        handle.resumed = True
        handle.wrote = off
        handle.need_erase = erase_size == SEQUENTIAL
        return self.last_handle

    def call_ota_set_final_partition(self, number, word, copy):
        final = self.partition(word)
        if self.release < V5_5:
            raise Failed(NOT_SUPPORTED)
        if final is None:
            raise Failed(INVALID_ARG)
        handle = self.handles.get(int(number))
        if handle is None:
            raise Failed(NOT_FOUND)
        if handle.wrote and not handle.resumed:
            raise Failed(INVALID_STATE)
        if final is not handle.staging:
            final = self.in_table(final)
            if final is None:
                raise Failed(NOT_FOUND)
            handle.final, handle.copy = final, copy != "0"
            self.prepare(final.type, handle.staging)
        return "0"

    def call_ota_write(self, number, hexes):
        if hexes == "-":
            raise Failed(INVALID_ARG)
        data = bytes.fromhex(hexes.rstrip("."))
        if not data:
            return "0"
        handle = self.handles.get(int(number))
        if handle is None:
            raise Failed(INVALID_ARG)
        if handle.need_erase:
            first = handle.wrote // SECTOR
            last = (handle.wrote + len(data) - 1) // SECTOR
            if handle.wrote % SECTOR == 0:
                self.erase(handle.staging, first * SECTOR, (last - first + 1) * SECTOR)
            elif last > first:
                self.erase(handle.staging, (first + 1) * SECTOR, (last - first) * SECTOR)
        if handle.wrote == 0 and not handle.partial:
            kind = handle.final.type
            if kind in (APP, BOOTLOADER) and data[0] != 0xE9:
                raise Failed(VALIDATE_FAILED)
            if kind == TABLE and len(data) >= 2 and data[:2] != b"\xaa\x50":
                raise Failed(VALIDATE_FAILED)
        if self.encrypted:
            if handle.partial:
                take = 16 - len(handle.partial)
                handle.partial += data[:take]
                data = data[take:]
                if len(handle.partial) < 16:
                    return "0"
                # Where this fails the block stays, complete, and waits.
                self.write(handle.staging, handle.wrote, handle.partial)
                handle.partial = b""
                handle.filler = b"\xff"
                handle.wrote += 16
            whole = len(data) // 16 * 16
            handle.partial, data = data[whole:], data[:whole]
        self.write(handle.staging, handle.wrote, data)
        handle.wrote += len(data)
        return "0"

    def call_ota_write_with_offset(self, number, off, hexes):
        if hexes == "-":
            raise Failed(INVALID_ARG)
        data = bytes.fromhex(hexes.rstrip("."))
        handle = self.handles.get(int(number))
        if handle is None:
            raise Failed(INVALID_ARG)
        if handle.need_erase:
            raise Fatal
        if self.encrypted and len(data) % 16:
            raise Failed(INVALID_ARG)
        self.write(handle.staging, int(off), data)
        handle.wrote += len(data)
        return "0"

    def call_ota_end(self, number):
        handle = self.handles.get(int(number))
        if handle is None:
            raise Failed(NOT_FOUND)
        code = OK
        try:
            self.finish(handle)
        except Failed as failed:
            code = failed.code
        if handle.final.type == BOOTLOADER:
            self.bootloader_addr = 0x1000
        del self.handles[int(number)]
        return str(code)

    def finish(self, handle):
        if handle.wrote == 0:
            raise Failed(INVALID_ARG)
        staging, final = handle.staging, handle.final
        if handle.partial:
            block = handle.partial + handle.filler * (16 - len(handle.partial))
            try:
                self.write(staging, handle.wrote, block)
            except Failed:
                raise Failed(INVALID_STATE) from None
        if final.type in (APP, BOOTLOADER) and not self.verifies(staging):
            raise Failed(VALIDATE_FAILED)
        if final.type == TABLE and not self.table_verifies(staging):
            raise Failed(VALIDATE_FAILED)
        if handle.copy:
            self.copy(final, 0, staging, 0, final.size)

    def call_ota_abort(self, number):
        if self.handles.pop(int(number), None) is None:
            raise Failed(NOT_FOUND)
        return "0"

    def call_ota_set_boot_partition(self, word):
        part = self.partition(word)
        if part is None:
            raise Failed(INVALID_ARG)
        if not self.verifies(part):
            raise Failed(VALIDATE_FAILED)
        self.choose(part)
        return "0"

    def call_ota_set_boot_partition_skip_validate(self, word):
        part = self.partition(word)
        if self.release < V6_1:
            raise Failed(NOT_SUPPORTED)
        if part is None:
            raise Failed(INVALID_ARG)
        self.choose(part)
        return "0"

    def call_ota_get_boot_partition(self):
        if not self.otadata():
            return "none"
        if self.active() < 0 or self.count() == 0:
            return self.text(self.default_boot())
        return self.text(self.slot(self.slot_of(self.records()[self.active()])))

    def call_ota_get_running_partition(self):
        return self.get_running().text()

    def call_ota_get_next_update_partition(self, word):
        start = self.partition(word)
        start = self.get_running() if start is None else self.in_table(start)
        if start is None:
            raise Fatal
        slots = [self.slot(i) for i in range(16) if self.slot(i)]
        if not slots:
            return "none"
        if start not in slots:
            return slots[0].text()
        return slots[(slots.index(start) + 1) % len(slots)].text()

    def call_ota_get_app_partition_count(self):
        return str(self.count())

    def call_ota_get_partition_description(self, word):
        part = self.partition(word)
        if part is None:
            raise Failed(INVALID_ARG)
        if part.type != APP:
            raise Failed(NOT_SUPPORTED)
        version, text = self.description(part)
        return f"0 {version} {text}"

    def call_ota_mark_app_valid_cancel_rollback(self):
        try:
            self.needs_active()
            if self.records()[self.active()].state == VALID:
                return f"0 {self.efuse}"
            self.change_state(VALID)
            if self.anti:
                version = self.description(self.get_running())[0]
                if version > 32:
                    raise Failed(INVALID_ARG)
                if version < self.efuse:
                    raise Failed(FAIL)
                self.efuse = version
        except Failed as failed:
            return f"{failed.code} {self.efuse}"
        return f"0 {self.efuse}"

    def call_ota_mark_app_invalid_rollback(self):
        if self.release < V5_5:
            raise Failed(NOT_SUPPORTED)
        self.mark_invalid()
        return "0"

    def call_ota_mark_app_invalid_rollback_and_reboot(self):
        try:
            self.mark_invalid()
        except Failed as failed:
            return f"{failed.code} 0"
        return "0 1"

    def call_ota_check_rollback_is_possible(self):
        return str(int(self.rollback_possible()))

    def call_ota_get_state_partition(self, word):
        part = self.partition(word)
        try:
            if part is None:
                raise Failed(INVALID_ARG)
            return f"0 {self.state_of(part)}"
        except Failed as failed:
            return f"{failed.code} 0"

    def call_ota_get_last_invalid_partition(self):
        if not self.otadata() or self.count() == 0:
            return "none"
        bad = [r for r in self.records()
               if r.written() and r.state in (INVALID, ABORTED)]
        if not bad:
            return "none"
        part = self.slot(self.slot_of(min(bad, key=lambda r: r.seq)))
        return part.text() if part and self.verifies(part) else "none"

    def call_ota_erase_last_boot_app_partition(self):
        self.forget_last(True)
        return "0"

    def call_ota_invalidate_inactive_ota_data_slot(self):
        if self.release < V5_5:
            raise Failed(NOT_SUPPORTED)
        self.forget_last(False)
        return "0"

    def call_partition_find(self, type_, subtype, label):
        found = self.find(int(type_), int(subtype), None if label == "-" else label)
        return " ".join(["found", *(p.text() for p in found)])

    def call_partition_verify(self, word):
        part = self.partition(word)
        if part is None:
            raise Fatal
        return self.text(self.in_table(part))

    def call_partition_read(self, word, off, length):
        part = self.partition(word)
        if part is None:
            raise Fatal
        try:
            data = self.read(part, int(off), int(length))
        except Failed as failed:
            return f"{failed.code} "
        return f"0 {data.hex() if len(data) <= 64 else ''}"

    def call_partition_write(self, word, off, hexes):
        part = self.partition(word)
        if part is None:
            raise Fatal
        if hexes == "-":
            # A missing buffer is told last.
            if part.readonly:
                raise Failed(NOT_ALLOWED)
            self.check(part, int(off), 0)
            if not part.encrypted:
                self.region(part.addr + int(off), 0)
            raise Failed(INVALID_ARG)
        self.write(part, int(off), bytes.fromhex(hexes.rstrip(".")))
        return "0"

    def call_partition_erase_range(self, word, off, length):
        part = self.partition(word)
        if part is None:
            raise Fatal
        self.erase(part, int(off), int(length))
        return "0"

    def call_partition_copy(self, dest_word, dest_off, src_word, src_off, length):
        dest, src = self.partition(dest_word), self.partition(src_word)
        self.copy(dest, int(dest_off), src, int(src_off), int(length))
        return "0"

    def call_partition_get_sha256(self, word):
        part = self.partition(word)
        if part is None:
            raise Fatal
        if part.size == 0:
            return f"{INVALID_ARG} "
        length = part.size
        if part.type == APP:
            try:
                length, digest = self.image(part)
            except Failed:
                return f"{IMAGE_INVALID} "
            content = self.flash[part.addr : part.addr + length]
            if digest:
                return f"0 {content[-32:].hex()}"
            return f"0 {hashlib.sha256(content).hexdigest()}"
        if part.addr + length > FLASH_BYTES:
            return f"{FAIL} "
        content = self.flash[part.addr : part.addr + length]
        return f"0 {hashlib.sha256(content).hexdigest()}"
