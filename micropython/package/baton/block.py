# Erasing 64 KiB by one command on a stock firmware, without memory for it.
# SPDX-License-Identifier: MIT
#
# esp32.Partition erases what it is about to write. Given a buffer at address 0
# it erases, and ESP-IDF then refuses to write: a null pointer is no source.
import uctypes
from micropython import const

_BLOCK = const(65536)
_SECTOR = const(4096)
_INVALID_ARG = const(-258)  # ESP_ERR_INVALID_ARG
_READBACK = const(-202)


def eraser(parts, probe):
    """A function (address, bytes), or None where this firmware would read at
    address 0. That is seen by writing no bytes from there to `probe`."""
    nothing = uctypes.bytearray_at(0, _BLOCK)
    is_known = False  # that it does so; all that is written is read back later
    try:
        probe.writeblocks(0, uctypes.bytearray_at(0, 0), 0)
        return None
    except OSError as exc:
        if exc.args[0] != _INVALID_ARG:
            return None

    def erase(addr, _):
        nonlocal is_known
        for part in parts:
            _, _, start, size, _, _ = part.info()
            if start <= addr < start + size:
                break
        number = (addr - start) // _SECTOR
        try:
            part.writeblocks(number, nothing)
        except OSError as exc:
            if exc.args[0] != _INVALID_ARG:
                raise
        if is_known:
            return
        piece = bytearray(32)
        for off in (0, _BLOCK - len(piece)):
            part.readblocks(number, piece, off)
            if piece != b"\xff" * len(piece):
                raise OSError(_READBACK)
        is_known = True

    return erase
