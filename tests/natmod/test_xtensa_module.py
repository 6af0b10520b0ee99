# The linked module for ESP32, instruction by instruction: what it loads and what
# it calls. A wrong distance would be found by a chip only.
# SPDX-License-Identifier: MIT
import re
import subprocess

import pytest


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self):
        value = 0
        while True:
            byte = self.take(1)[0]
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value


def code_of(mpy):
    """The code of a .mpy file with one native function."""
    reader = Reader(mpy)
    assert reader.take(2) == b"M\x06"
    assert reader.take(1)[0] == 10 << 2 | 3  # xtensawin, 6.3
    reader.take(1)
    names, objects = reader.number(), reader.number()
    assert objects == 0
    for _ in range(names):
        length = reader.number()
        if not length & 1:
            reader.take((length >> 1) + 1)
    return reader.take(reader.number() >> 3)


def functions_of(path):
    """Offset and size of every function, and the size of .text."""
    symbols = subprocess.run(["readelf", "-sW", path], capture_output=True, text=True, check=True).stdout
    sections = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout
    found = re.findall(r": ([0-9a-f]{8}) +(\d+) FUNC", symbols)
    text = re.search(r" \.text +PROGBITS +\S+ +\S+ ([0-9a-f]+)", sections)[1]
    return {int(start, 16): int(size) for start, size in found}, int(text, 16)


@pytest.mark.parametrize("size", ["small", "stock", "full"])
def test_loads_and_calls(natmod, size):
    path = natmod("xtensawin", size)
    code = code_of(path.read_bytes())
    functions, text = functions_of(path.parent / "all.o")
    assert len(functions) > 40
    base = len(code) - text  # table of addresses and literals lie before it
    assert base % 4 == 0
    calls, loads = 0, 0
    for start, length in functions.items():
        at, end = base + start, base + start + length
        assert start % 4 == 0 and code[at] & 15 == 6 and code[at] >> 4 == 3  # entry
        while at < end:
            low = code[at] & 15
            if 8 <= low <= 13:
                at += 2
                continue
            word = int.from_bytes(code[at:at + 3], "little")
            if low == 1:  # l32r
                target = (at + 3 & ~3) + ((word >> 8) - 0x10000) * 4
                assert 4 <= target < base, f"{at:#x} loads from {target:#x}"
                loads += 1
            elif low == 5:  # call8
                assert word >> 4 & 3 == 2
                distance = word >> 6
                distance -= (distance & 1 << 17) << 1
                target = (at & ~3) + 4 + distance * 4
                assert target - base in functions, f"{at:#x} calls {target:#x}"
                calls += 1
            at += 3
        assert at == end
    assert loads > 100 and calls > 100
    jump = int.from_bytes(code[:3], "little")
    assert jump & 0x3F == 6 and (jump >> 6) + 4 - base in functions


@pytest.mark.parametrize("size", ["small", "stock", "full"])
def test_no_address_leads_into_code(natmod, size):
    """Executable memory of a chip can be read by whole words only. There is
    nothing but functions in it, literals aside, which l32r reads; and the only
    addresses in it that the module knows are those of functions to call."""
    path = natmod("xtensawin", size).parent / "all.o"
    functions, text = functions_of(path)
    at = 0
    for start, length in sorted(functions.items()):
        assert 0 <= start - at < 4
        at = start + length
    assert 0 <= text - at < 4
    sections, relocs = (subprocess.run(["readelf", option, path], capture_output=True, text=True,
                                       check=True).stdout for option in ("-SW", "-rW"))
    data = subprocess.run(["readelf", "-sW", path], capture_output=True, text=True, check=True).stdout
    numbers = {name: number for number, name in re.findall(r"\[ *(\d+)\] (\.\S+)", sections)}
    places = {name: (section, int(value, 16)) for value, section, name in re.findall(
        r": ([0-9a-f]{8}) .* (\d+|UND) (\S+)$", data, re.M)}
    known = 0
    for name, more in re.findall(r" R_XTENSA_32 +[0-9a-f]+ +(\S+) \+ ([0-9a-f]+)", relocs):
        section, value = places[name]
        assert section != numbers[".literal"]
        if section == numbers[".text"]:
            assert value + int(more, 16) in functions, name
            known += 1
    assert known > 8
