# Colour LEDs: the colours are kept and sent to a pin that nothing hangs on.
# SPDX-License-Identifier: MIT
from machine import bitstream

_TIMING = ((400, 1000, 1000, 400), (400, 850, 800, 450))


class NeoPixel:
    ORDER = (1, 0, 2, 3)  # green first

    def __init__(self, pin, n, bpp=3, timing=1):
        self.pin = pin
        self.n = n
        self.bpp = bpp
        self.buf = bytearray(n * bpp)
        self.timing = _TIMING[timing] if isinstance(timing, int) else timing
        self.pin.init(pin.OUT)

    def __len__(self):
        return self.n

    def __setitem__(self, index, colour):
        for i in range(self.bpp):
            self.buf[index * self.bpp + self.ORDER[i]] = colour[i]

    def __getitem__(self, index):
        at = index * self.bpp
        return tuple(self.buf[at + self.ORDER[i]] for i in range(self.bpp))

    def fill(self, colour):
        for index in range(self.n):
            self[index] = colour

    def write(self):
        bitstream(self.pin, 0, self.timing, self.buf)
