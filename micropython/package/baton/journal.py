# How far an update came, marked in the last sector of its slot, as core/journal.c
# has it.
# SPDX-License-Identifier: MIT
import ubinascii as binascii
import ustruct as struct

from micropython import const

_MAGIC = const(0x314A7442)
_SECTOR = const(4096)
_HEADER = const(64)
_ERASE = const(6)
_IO = const(-5)


def erase(part, sector):
    if part.ioctl(_ERASE, sector):
        raise OSError(_IO)


class Journal:
    """id: which file; None where nothing can tell."""

    def __init__(self, part, image_bytes, unit, id):
        slot_sectors = part.info()[3] // _SECTOR
        self.part = part
        self.id = id
        self.image_bytes = image_bytes
        self.sectors = (image_bytes + _SECTOR - 1) // _SECTOR
        self.marked = 0  # sectors of the image known to be on flash
        self.started = False
        self.head = None
        self.place = None
        if id is None or not image_bytes or self.sectors >= slot_sectors:
            return
        self.place = slot_sectors - 1
        # Several bytes for each mark, so that rubbish is none; fewer where
        # there are many; what flash is programmed in at least.
        size = 4
        room = _SECTOR - _HEADER
        while size > 1 and self.sectors > room // size:
            size //= 2
        self.unit = max(size, unit)
        units = room // self.unit
        self.per_unit = (self.sectors + units - 1) // units
        raw = bytearray(_HEADER)
        part.readblocks(self.place, raw, 0)
        head = bytes(raw[24:56])
        if raw == self._header(head):
            self.head = head
            self.started = True
            self._count()

    def _header(self, head):
        raw = struct.pack("<II16s32sI", _MAGIC, self.image_bytes, self.id[:16],
                          head, 0xFFFFFFFF)
        return raw + struct.pack("<I", binascii.crc32(raw))

    def _count(self):
        # As long as they follow each other.
        unit, at = self.unit, _HEADER
        raw = bytearray(min(256, unit * 64))
        blank = bytes(unit)
        while self.marked < self.sectors:
            raw = raw[:min(len(raw), _SECTOR - at)]
            self.part.readblocks(self.place, raw, at)
            at += len(raw)
            for i in range(0, len(raw), unit):
                if raw[i:i + unit] != blank:
                    return
                self.marked += self.per_unit
                if self.marked >= self.sectors:
                    self.marked = self.sectors
                    return

    def start(self, head):
        if self.place is None:
            return
        erase(self.part, self.place)
        self.part.writeblocks(self.place, self._header(head), 0)
        self.started = True
        self.marked = 0
        self.head = head

    def mark(self, sector):
        """Marks all sectors before this one."""
        if not self.started or self.marked >= sector:
            return
        units = (sector - self.marked) // self.per_unit
        if sector >= self.sectors:
            units = -(-(self.sectors - self.marked) // self.per_unit)
        if units:
            off = _HEADER + self.marked // self.per_unit * self.unit
            self.part.writeblocks(self.place, bytes(units * self.unit), off)
            self.marked += units * self.per_unit

    def forget(self):
        self.marked = 0
        self.head = None
        if self.started:
            self.started = False
            erase(self.part, self.place)
