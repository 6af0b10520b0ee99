"""The bootloader's choice, modelled naively from its description alone.

Deliberately plain and slow, sharing nothing with core/: what both agree on over
many random flashes is likely right in both.
"""
# SPDX-License-Identifier: MIT
import struct
import zlib

NEW, PENDING, VALID, INVALID, ABORTED = range(5)
FACTORY, TEST, RESET = -1, -2, -99
ERASED = 0xFFFFFFFF
OTADATA = 0xD000
FLASH_BYTES = 0x140000


def crc_of(seq):
    return zlib.crc32(struct.pack("<I", seq), 0xFFFFFFFF) & 0xFFFFFFFF


class Record:
    def __init__(self, seq, label, state, crc):
        self.seq, self.label, self.state, self.crc = seq, label, state, crc

    def excluded(self):
        return self.seq == ERASED or self.state in (INVALID, ABORTED)

    def crc_good(self):
        return self.crc == crc_of(self.seq)

    def usable(self):
        return not self.excluded() and self.crc_good()

    def initial(self):
        return self.seq == ERASED or not self.crc_good()

    def hex(self):
        raw = struct.pack("<I20sII", self.seq, self.label, self.state, self.crc)
        return raw.hex()


class Row:
    def __init__(self, type_, subtype, addr, size, image, version):
        self.type, self.subtype, self.addr, self.size = type_, subtype, addr, size
        self.image, self.version = image, version

    def in_flash(self):
        return self.addr <= FLASH_BYTES and self.addr + self.size <= FLASH_BYTES

    def verifies(self):
        # Kinds: 1 good, 4 good without digest, 5 the same without descriptor.
        length = {1: 528, 4: 496, 5: 496}.get(self.image)
        return length is not None and length <= self.size

    def secure_version(self):
        return None if self.image in (0, 5) else self.version


class Device:
    def __init__(self, rows, md5, records, rollback, anti, efuse, test_held):
        self.rows, self.md5, self.records = rows, md5, records
        self.rollback, self.anti, self.test_held = rollback, anti, test_held
        self.efuse = efuse
        self.burnt = 0
        self.writes = 0
        self.note_first = False

    def last_row(self, type_, subtype):
        found = [r for r in self.rows if (r.type, r.subtype) == (type_, subtype)]
        return found[-1] if found else None

    def partition(self, index):
        if index == FACTORY:
            return self.last_row(0, 0x00)
        if index == TEST:
            return self.last_row(0, 0x20)
        return self.last_row(0, 0x10 + index) if 0 <= index < 16 else None

    def slot_count(self):
        return len([r for r in self.rows if r.type == 0 and 0x10 <= r.subtype <= 0x1F])

    def new_enough(self, index):
        if not self.anti:
            return True
        part = self.partition(index)
        version = part.secure_version() if part and part.size else None
        return version is not None and version >= self.efuse

    def burn(self, index):
        part = self.partition(index)
        version = part.secure_version() if part and part.size else None
        if self.anti and version is not None and version > self.efuse:
            self.efuse = self.burnt = version

    def boot(self):
        if not self.rows or self.md5 == 2:
            return RESET
        if not all(r.in_flash() for r in self.rows):
            return RESET
        start = self.choose()
        if start == RESET:
            return RESET
        if self.test_held:
            part = self.partition(TEST)
            return TEST if part and part.size and part.verifies() else RESET
        return self.load(start)

    def choose(self):
        otadata = self.last_row(1, 0)
        if otadata is None:
            return FACTORY
        if otadata.size < 0x2000:
            return RESET
        if self.rollback:
            for record in self.records:
                if record.state == PENDING:
                    record.state = ABORTED
                    self.writes += 1
        both_initial = all(r.initial() for r in self.records)
        if self.anti:
            if both_initial:
                self.note_first = True
                return FACTORY
            return self.take([r.usable() and self.record_allowed(r) for r in self.records])
        if all(r.excluded() for r in self.records) or self.slot_count() == 0:
            if self.partition(FACTORY):
                return FACTORY
            self.note_first = both_initial
            return 0
        return self.take([r.usable() for r in self.records])

    def slot_of(self, record):
        return ((record.seq - 1) % 2**32) % self.slot_count()

    def record_allowed(self, record):
        return self.slot_count() > 0 and self.new_enough(self.slot_of(record))

    def take(self, good):
        if not any(good):
            return FACTORY
        copy = 0 if good[0] else 1
        if all(good) and self.records[1].seq > self.records[0].seq:
            copy = 1
        record = self.records[copy]
        slot = self.slot_of(record)
        if self.rollback and record.state == NEW:
            record.state = PENDING
            self.writes += 1
        if record.state == VALID:
            self.burn(slot)
        return slot

    def attempt(self, index):
        part = self.partition(index)
        if part is None or part.size == 0:
            return False
        if not self.new_enough(index) or not part.verifies():
            return False
        if index >= 0 and self.note_first:
            seq = index + 1
            self.records[0] = Record(seq, b"\xff" * 20, VALID, crc_of(seq))
            self.writes += 1
            self.burn(index)
        return True

    def load(self, start):
        for index in list(range(start, FACTORY - 1, -1)) + list(range(start + 1, self.slot_count())):
            if self.attempt(index):
                return index
        test = self.partition(TEST)
        return TEST if test and test.size and test.verifies() else RESET
