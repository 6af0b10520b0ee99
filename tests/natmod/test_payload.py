# Packed and delta payloads through the module's codec, in the virtual ESP32:
# decoded into the slot, resumed, refused, cut; loaded as a native module, and
# compiled in.
# SPDX-License-Identifier: MIT
import random
import subprocess

import pytest

from flash_helpers import get, image
from test_virtual_esp32 import BROKEN_PARTITION, OPEN, OTA_1, Board

SEGMENT = 262144


def words(rng, count):
    """Bytes that a codec finds something in."""
    pool = [rng.randbytes(rng.randrange(3, 9)) for _ in range(300)]
    return b"".join(rng.choice(pool) for _ in range(count))


@pytest.fixture(scope="session")
def payloads(baton_path, tmp_path_factory):
    """(old, new, {encoding: payload}); the image has three segments."""
    folder = tmp_path_factory.mktemp("payloads")
    rng = random.Random(2204)
    data = words(rng, 110000)[:540000]
    at = 200000
    changed = data[:at] + words(rng, 300) + data[at + 100:]
    old, new = image("v1", payload=data), image("v2", payload=changed)
    assert 2 * SEGMENT < len(new) < 3 * SEGMENT
    (folder / "old.img").write_bytes(old)
    (folder / "new.img").write_bytes(new)
    made = {}
    for encoding, options in (("packed", []), ("delta", ["--from", "old.img"]), ("raw", ["--raw"])):
        subprocess.run([baton_path, "pack", "new.img", *options, "-o", encoding], cwd=folder,
                       check=True, capture_output=True, timeout=120)
        made[encoding] = (folder / encoding).read_bytes()
    return old, new, made


@pytest.fixture(params=["module", "compiled in"])
def board(request, baton_path, tmp_path, natmod, payloads):
    old, new, made = payloads
    board = Board(baton_path, tmp_path, natmod("x64", "stock"), old=old, new=new)
    if request.param == "compiled in":
        (board.fs / "_baton.mpy").unlink()
    for encoding, payload in made.items():
        (board.fs / encoding).write_bytes(payload)
    return board


HELPERS = OPEN + """
flash = _baton.flash(None, slot, running, otadata)
state = bytearray(15904)


def info_of(name):
    with open(name, "rb") as file:
        return file.read(512)


def feed(codec, file, size=700, until=1 << 30):
    "Returns how many bytes of the image are on flash."
    safe, data, more = 0, b"", True
    while safe < until:
        if not data and not more:
            data = file.read(size)
            if not data:
                break
        used, more, safe = _baton.push(codec, data)
        data = data[used:]
    return safe
"""

DECODE = HELPERS + """
head = info_of(NAME)
info = _baton.payload(head)
print(*info[:4], info[4], info[6], info[9], len(info[8]), info[8][0])
update = _baton.begin(flash, SLOT, RUNNING, 0, info[4], 0, info[5])
codec = _baton.codec(update, RUNNING, head, state)
print(error_of(_baton.finish, codec))
with open(NAME, "rb") as file:
    print(feed(codec, file))
_baton.finish(codec)
print(_baton.end(update)[4])
"""


@pytest.mark.parametrize("encoding", ["packed", "delta", "raw"])
def test_decode(board, payloads, encoding):
    old, new, made = payloads
    console, report = board.run(f"NAME = {encoding!r}\n" + DECODE)
    told, cut, safe, version = console.splitlines()[-4:]
    header, number, profile, state, size, base, payload, count, first = map(int, told.split())
    assert (number, profile) == ({"raw": 0, "packed": 1, "delta": 2}[encoding], 0)
    assert (size, base) == (len(new), len(old) if encoding == "delta" else 0)
    assert (payload, count, first) == (len(made[encoding]), 3, header)
    assert header < 512 and state <= 15904
    assert (cut, safe, version) == ("-335", str(len(new) // 4096 * 4096), "v2")
    assert report["violations"] == 0
    assert get(board.path, OTA_1, len(new)) == new


AHEAD = HELPERS + BROKEN_PARTITION + """
head = info_of("delta")
info = _baton.payload(head)
for size in (0, 1, 100, 513, 3072, 100000):
    base = Broken(running, 0)
    flash = _baton.flash(None, slot, base)
    update = _baton.begin(flash, SLOT, RUNNING, 0, info[4], 0, info[5])
    ahead = bytearray(size) if size else None
    codec = _baton.codec(update, RUNNING, head, state, ahead)
    with open("delta", "rb") as file:
        feed(codec, file)
    _baton.finish(codec)
    version = _baton.end(update)[4]
    Partition(slot.info()[4]).writeblocks(0, bytearray(4096))
    print(size, -base.left, version)

update = _baton.begin(flash, SLOT, RUNNING, 0)
codec = _baton.codec(update, RUNNING, head, state, memoryview(ahead)[5:])
print(error_of(_baton.push, codec, head) is None)
ahead = bytearray(40)
codec = _baton.codec(update, RUNNING, head, state, ahead)
ahead.extend(b"12345678" * 300)
print(error_of(_baton.push, codec, head))
"""


def test_reads_the_base_ahead(board, payloads):
    """In memory of any length; that is to stay where it is."""
    old, _, _ = payloads
    console, _ = board.run(AHEAD)
    *sizes, fits, moved = console.splitlines()[-8:]
    reads = []
    for line in sizes:
        size, count, version = line.split()
        assert version == "v2"
        reads.append(int(count))
    # Windows of 512 bytes overlap by what a unit looks ahead.
    assert all(len(old) // 512 < count < len(old) // 400 for count in reads[:4])
    assert reads[4] < len(old) // 2000 and reads[5] < 20
    assert (fits, moved) == ("False", "-200")


RESUME = HELPERS + """
head = info_of(NAME)
info = _baton.payload(head)
update = _baton.begin(flash, SLOT, RUNNING, 0, info[4], 0, info[5])
with open(NAME, "rb") as file:
    safe = feed(_baton.codec(update, RUNNING, head, state), file, until=400000)
begun = _baton.head(update)
k = safe // 262144
print(safe, k, begun == open("new.img", "rb").read(32))

update = _baton.begin(flash, SLOT, RUNNING, 0, info[4], k * 262144, info[5], begun)
codec = _baton.codec(update, RUNNING, head, state)
with open(NAME, "rb") as file:
    file.seek(info[8][k])
    feed(codec, file, 1300)
_baton.finish(codec)
print(_baton.end(update)[4], _baton.stats(update)[0])
for off in (4096, 262144 + 4096):
    update = _baton.begin(flash, SLOT, RUNNING, 0, info[4], off, info[5], begun)
    print(error_of(_baton.codec, update, RUNNING, head, state))
"""


@pytest.mark.parametrize("encoding", ["packed", "delta"])
def test_resume(board, payloads, encoding):
    """From the restart point before what is missing; what is made again up to
    there is compared, not written, but for the sector in flight."""
    _, new, _ = payloads
    console, report = board.run(f"NAME = {encoding!r}\n" + RESUME)
    first, second, *refused = console.splitlines()[-4:]
    safe, k, same = first.split()
    assert 400000 <= int(safe) < 410000 and (k, same) == ("1", "True")
    assert second.split() == ["v2", str((int(safe) - SEGMENT) // 4096)]
    assert refused == ["-22", "-22"]
    assert report["violations"] == 0
    assert get(board.path, OTA_1, len(new)) == new


REFUSE = HELPERS + """
for bad in (b"PK" + bytes(200), b"BatP\\x02", b"BatP\\x01", info_of("packed")[:100], b""):
    print(error_of(_baton.payload, bad), end=" ")
head = info_of("delta")
update = _baton.begin(flash, SLOT, RUNNING, 0)
print(error_of(_baton.codec, update, RUNNING, head, bytearray(5000)),
      error_of(_baton.codec, update, RUNNING, head, memoryview(bytearray(20001))[1:]),
      error_of(_baton.codec, update, 3, head, state),
      error_of(_baton.codec, update, 2, head, state),
      error_of(_baton.codec, flash, RUNNING, head, state),
      error_of(_baton.push, update, b""), error_of(_baton.finish, update), _baton.head(update))
for bad in ((update, RUNNING, head, 5), (update, RUNNING, head, bytes(16000))):
    try:
        _baton.codec(*bad)
        print("no error")
    except TypeError:
        print("TypeError", end=" ")

data = bytearray(open("delta", "rb").read())
data[len(data) // 2] ^= 0x10
codec = _baton.codec(update, RUNNING, head, state)
state.extend(b"12345678" * 300)
moved = error_of(_baton.push, codec, data)
state = bytearray(15904)
info = _baton.payload(head)
update = _baton.begin(flash, SLOT, RUNNING, 0, info[4], 0, info[5])
codec = _baton.codec(update, RUNNING, head, state)
try:
    used, more = 0, True
    while more or used < len(data):
        taken, more, safe = _baton.push(codec, memoryview(data)[used:])
        used += taken
    _baton.finish(codec)
    _baton.end(update)
    print("no error")
except OSError as error:
    print(moved, error.errno in (-334, -335, -330, -206, -217, -220, -226, -227), error.errno)
"""


def test_refusals(board):
    console, report = board.run(REFUSE)
    first, second = console.splitlines()[-2:]
    assert first.split() == ["-330", "-331", "-335", "-335", "-335", "-332", "-22", "-34", "-333",
                             "-22", "-22", "-22", "None"]
    assert second.split()[:4] == ["TypeError", "TypeError", "-200", "True"]
    assert get(board.path, OTA_1, 1) == b"\xff"


BROKEN = HELPERS + BROKEN_PARTITION + """
head = info_of("delta")
data = open("delta", "rb").read()
for left in (1, 3, 30, 31, 32, 33):
    base = Broken(running, left if left < 30 else 0)
    flash = _baton.flash(None, Broken(slot, left if left >= 30 else 0), base)
    update = _baton.begin(flash, SLOT, RUNNING, 0)
    try:
        codec = None
        codec = _baton.codec(update, RUNNING, head, state)
        feed(codec, open("delta", "rb"))
        print("no error")
    except ValueError as error:
        print(error, end=" ")
    if codec:
        print(error_of(_baton.push, codec, data), error_of(_baton.end, update))
    else:
        print(_baton.codec(update, RUNNING, head, state) is None)
"""


def test_exception_out_of_a_partition(board):
    """It comes through as it is, and ends the update it came out of; a decoder
    that never came to be leaves the update as it was."""
    console, _ = board.run(BROKEN)
    assert console.splitlines()[-6:] == ["broken False"] + ["broken -200 -200"] * 5
