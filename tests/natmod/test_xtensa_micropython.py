# The native modules of ESP32 in the interpreter they are for: real MicroPython,
# compiled for Xtensa, imports the very files that a chip imports, under
# qemu-xtensa. What there is of a chip are partitions in memory.
# SPDX-License-Identifier: MIT
import hashlib
import shutil
import subprocess
import time

import pytest

from flash_helpers import INVALID, NEW, PENDING, VALID, image, record
from release_helpers import Key, unb64
from test_virtual_esp32 import SMALL

SIZES = ["small", "stock", "full"]
SLOT_BYTES = 0x10000

PARTITIONS = """
import gc, hashlib, host, sys
import _baton

WASTE = [None] * 6000
PIECES = [b"\\xa5" * size for size in (4096, 240, 16)]


def fill_memory():
    "Writes over everything that nothing refers to."
    gc.collect()
    at = 0
    for piece in PIECES:
        try:
            while True:
                WASTE[at] = bytearray(piece)
                at += 1
        except MemoryError:
            pass
    for i in range(at):
        WASTE[i] = None
    gc.collect()


def nothing():
    pass


class Partition:
    hook = nothing

    def __init__(self, subtype, addr, data):
        self.subtype, self.addr, self.data = subtype, addr, data
    def info(self):
        return (0, self.subtype, self.addr, len(self.data), "part", False)
    def span(self, n, off, buf):
        Partition.hook()
        at = n * 4096 + off
        if at + len(buf) > len(self.data):
            raise RuntimeError("outside of the partition")
        return at
    def readblocks(self, n, buf, off):
        at = self.span(n, off, buf)
        buf[:] = memoryview(self.data)[at:at + len(buf)]
    def writeblocks(self, n, buf, off):
        at = self.span(n, off, buf)
        old = bytes(memoryview(self.data)[at:at + len(buf)])
        if old != b"\\xff" * len(old):
            for i in range(len(old)):
                if ~old[i] & buf[i]:
                    raise RuntimeError("not erased")
        self.data[at:at + len(buf)] = buf
    def ioctl(self, op, n):
        Partition.hook()
        if op != 6 or n * 4096 >= len(self.data):
            raise RuntimeError("no such call")
        self.data[n * 4096:n * 4096 + 4096] = b"\\xff" * 4096
        return 0


def blank(size):
    return bytearray(b"\\xff" * size)


def error_of(function, *args):
    try:
        return function(*args)
    except OSError as error:
        return error.errno


def hash_of(partition):
    digest = hashlib.sha256(partition.data).digest()
    return "".join("%02x" % byte for byte in digest)


def again(partition):
    return Partition(partition.subtype, partition.addr, partition.data)


def install(new, size):
    "Nothing but the update refers to the flash of it and what that is of."
    own = _baton.flash(None, again(slot), again(running))
    _baton.ahead(own, bytearray(600))
    update = _baton.begin(own, SLOT, RUNNING, 0, len(new))
    del own
    for at in range(0, len(new), size):
        safe = _baton.write(update, memoryview(new)[at:at + size])
    print("written", safe, *_baton.end(update))


SLOT, RUNNING, OTADATA = range(3)
old = host.read("old.bin")
new = host.read("new.bin")
slot = Partition(0x11, 0x20000, blank(0x10000))
running = Partition(0x10, 0x10000, bytearray(old) + blank(0x10000 - len(old)))
otadata = Partition(0, 0xd000, bytearray(host.read("otadata.bin")))
flash = _baton.flash(None, slot, running, otadata)
"""


def padded(data):
    return hashlib.sha256(data.ljust(SLOT_BYTES, b"\xff")).hexdigest()


@pytest.fixture(scope="module")
def interpreter(repo):
    if not shutil.which("qemu-xtensa"):
        pytest.skip("qemu-xtensa is missing")
    out = repo / "build" / "micropython-xtensawin"
    made = subprocess.run([repo / "scripts" / "micropython", "xtensa", "--out", out], cwd=repo,
                          capture_output=True, text=True, timeout=900)
    if " needs " in made.stderr:
        pytest.skip(made.stderr.strip().splitlines()[0])
    assert made.returncode == 0, made.stderr
    return out


@pytest.fixture(scope="module")
def images():
    data = bytes(i * i * i >> 5 & 0xFF for i in range(30000))
    return (image("v1", payload=data[:14000] + data[14500:]),
            image("v2", payload=data[:3000] + b"A change of some bytes" + data[3100:]))


@pytest.fixture
def run(interpreter, natmod, images, tmp_path):
    """run(size, script) returns the lines that the script prints."""
    old, new = images
    (tmp_path / "old.bin").write_bytes(old)
    (tmp_path / "new.bin").write_bytes(new)
    (tmp_path / "otadata.bin").write_bytes(record(1, VALID).ljust(8192, b"\xff"))

    def run(size, script):
        (tmp_path / "main.py").write_text(script)
        done = subprocess.run(
            ["qemu-xtensa", "-cpu", "dc233c", interpreter, "main.py", natmod("xtensawin", size).parent],
            cwd=tmp_path, capture_output=True, timeout=300)
        assert done.returncode == 0, done
        return done.stdout.decode().splitlines()

    return run


@pytest.mark.parametrize("size", SIZES)
def test_import(run, natmod, tmp_path, size):
    """The interpreter takes this architecture's file, and no other's."""
    module = natmod("xtensawin", size)
    other = bytearray(module.read_bytes())
    other[2] = 9 << 2 | other[2] & 3  # xtensa without windows
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "_baton.mpy").write_bytes(other)
    lines = run(size, """
import sys
print(sys.implementation._mpy >> 10, sys.implementation._mpy & 0x3ff)
import _baton
print(_baton.__file__)
print(*(name for name in sorted(dir(_baton)) if name[0] != "_"))
del sys.modules["_baton"]
sys.path[:] = ["other"]
try:
    import _baton
    print("no error")
except ValueError as error:
    print(error)
""")
    assert lines[0] == f"10 {3 << 8 | 6}"
    assert lines[1] == str(module)
    names = lines[2].split()
    assert names == SMALL if size == "small" else set(names) > set(SMALL) | {"verify_p256"}
    assert lines[3] == "incompatible .mpy arch"


LIFE = PARTITIONS + """
COLLECT
_baton.settle(flash, OTADATA, 2, 0)
print("verified", *_baton.verify(flash, RUNNING, 0))
install(new, 700)
print(hash_of(slot), hash_of(running))
_baton.switch(flash, OTADATA, 2, 1, 0)


def records():
    print(*("".join("%02x" % byte for byte in otadata.data[at:at + 32]) for at in (0, 4096)))


records()
# The new version runs, confirms, and updates to the next one, which gives up.
_baton.confirm(flash, OTADATA, 2, 1, True)
records()
_baton.settle(flash, OTADATA, 2, 1)
slot, running = running, slot
install(old, 4097)
print(hash_of(running), hash_of(slot))
_baton.switch(flash, OTADATA, 2, 0, 1)
_baton.reject(flash, OTADATA, 2, 0)
records()
"""


# What is alive by the module's own variables only would be overwritten in every
# call of a partition, or by the next object.
COLLECT = {"as usual": "", "in calls": "Partition.hook = fill_memory", "always": "gc.threshold(1)"}


@pytest.mark.parametrize("collect", COLLECT)
@pytest.mark.parametrize("size", SIZES)
def test_life(run, images, size, collect):
    old, new = images
    lines = iter(run(size, LIFE.replace("COLLECT", COLLECT[collect])))

    def told(word, data, version):
        return f"{word} {len(data)} {data[-32:]} 0 0 {version} blink Sep 11 2025 12:00:00 v5.4.2"

    assert next(lines) == told("verified", old, "v1")
    assert next(lines) == told(f"written {len(new) // 4096 * 4096}", new, "v2")
    assert next(lines) == f"{padded(new)} {padded(old)}"
    after_switch, after_confirm = next(lines).split(), next(lines).split()
    assert after_switch == [record(1, VALID).hex(), record(2, NEW).hex()]
    assert after_confirm == [record(1, VALID).hex(), record(2, VALID).hex()]
    assert next(lines) == told(f"written {len(old) // 4096 * 4096}", old, "v1")
    assert next(lines) == f"{padded(new)} {padded(old)}"
    assert next(lines).split() == [record(3, INVALID).hex(), record(2, VALID).hex()]
    assert next(lines, None) is None


REFUSALS = PARTITIONS + """
print(error_of(_baton.verify, flash, SLOT, 0), error_of(_baton.verify, flash, RUNNING, 5))
print(error_of(_baton.verify, flash, 3, 0), error_of(_baton.verify, otadata, 0, 0))
print(error_of(_baton.begin, flash, RUNNING, RUNNING, 0))
print(error_of(_baton.begin, flash, SLOT, RUNNING, 0, 0x10001))
print(error_of(_baton.begin, flash, SLOT, RUNNING, 0, 5000, 0, b"short"))
print(error_of(_baton.begin, flash, SLOT, RUNNING, 0, 1 << 40), error_of(_baton.begin, flash, -1, RUNNING, 0))
print(error_of(_baton.switch, flash, RUNNING, 2, 2, 0), error_of(_baton.switch, flash, OTADATA, 2, 2, 0))
print(error_of(_baton.confirm, flash, OTADATA, 2, 1, True))
update = _baton.begin(flash, SLOT, RUNNING, 0)
print(error_of(_baton.write, update, b"<html>" + bytes(300)), error_of(_baton.write, update, b"x"))
print(error_of(_baton.write, flash, b"x"), error_of(_baton.end, 5))
for bad in ((_baton.flash, None, 5), (_baton.write, update, 5), (_baton.flash, None), (_baton.end,)):
    try:
        bad[0](*bad[1:])
        print("no error")
    except (TypeError, AttributeError) as error:
        print(type(error).__name__)
damaged = bytearray(new)
damaged[20000] ^= 1
try:
    install(damaged, 1000)
except OSError as error:
    print(error.errno, slot.data[:32] == b"\\xff" * 32)
print(hash_of(running), bytes(otadata.data) == host.read("otadata.bin"))
"""
CHECK = """
print(error_of(_baton.check, b"PK\x03\x04" + bytes(300), 5000, 0x180000, 0), _baton.check(new[:288], len(new), 0x10000, 0))
print(error_of(_baton.flash, bytearray(5), slot))
print(*_baton.stats(update), *_baton.records(flash, OTADATA))
"""


@pytest.mark.parametrize("size", SIZES)
def test_refusals_name_their_code(run, images, size):
    lines = run(size, REFUSALS + CHECK * (size != "small"))
    more = ["-217 None", "-22", "0 0 0 0 0 (1, 2, True) (4294967295, 4294967295, False)"]
    assert lines == [
        "-220 -223", "-34 -22", "-205", "-231", "-22", "-22 -22", "-204 -204", "-286", "-218 -218",
        "-22 -22", "AttributeError", "TypeError", "TypeError", "TypeError", "-228 True",
        f"{padded(images[0])} True"] + more * (size != "small")


# An exception of Python's goes through the module's functions to Python again,
# out of every call of a partition that a life of updates makes.
BROKEN = PARTITIONS + """
begun = bytes(otadata.data)


class Countdown:
    def __init__(self, left):
        self.left = left
    def __call__(self):
        self.left -= 1
        if self.left < 0:
            raise ValueError(self)


def live():
    global update
    update = None
    slot.data[:] = blank(len(slot.data))
    otadata.data[:] = begun
    flash = _baton.flash(None, slot, running, otadata)
    _baton.verify(flash, RUNNING, 0)
    update = _baton.begin(flash, SLOT, RUNNING, 0, len(new))
    for at in range(0, len(new), 7000):
        _baton.write(update, memoryview(new)[at:at + 7000])
    _baton.end(update)
    _baton.switch(flash, OTADATA, 2, 1, 0)
    _baton.confirm(flash, OTADATA, 2, 1, True)


count = 0
while True:
    Partition.hook = Countdown(count)
    try:
        live()
        break
    except ValueError as error:
        assert error.args[0] is Partition.hook
    Partition.hook = nothing
    if update:  # it ended, or does not go on
        assert error_of(_baton.write, update, new) == error_of(_baton.end, update) == -200
    count += 1
print(count, hash_of(slot), hash_of(running), *(otadata.data[at + 24] for at in (0, 4096)))
"""


@pytest.mark.parametrize("size", SIZES)
def test_exception_out_of_a_partition(run, images, size):
    old, new = images
    count, *hashes, first, second = run(size, BROKEN)[-1].split()
    assert int(count) > 40
    assert hashes == [padded(new), padded(old)]
    assert (int(first), int(second)) == (VALID, VALID)


SIGNATURES = """
import _baton, host
for at in range(0, len(host.read("signed.bin")), 160):
    key, digest, signature = (host.read("signed.bin")[at + a:at + b] for a, b in ((0, 64), (64, 96), (96, 160)))
    print(_baton.verify_p256(key, digest, signature))
"""


def test_signature(run, tmp_path):
    """By openssl; then with one bit changed. The high half of a product is an
    instruction that the emulator lacks, so this is slow."""
    key = Key(tmp_path / "key.pem")
    signed = key.point + hashlib.sha256(b"A text.").digest() + key.sign("A text.")
    changed = signed[:159] + bytes([signed[159] ^ 1])
    (tmp_path / "signed.bin").write_bytes(signed + changed)
    assert run("stock", SIGNATURES) == ["True", "False"]


PAYLOAD = PARTITIONS + """
COLLECT
data = host.read("payload")
info = _baton.payload(data[:512])
print(*info)
update = _baton.begin(_baton.flash(None, again(slot), again(running)), SLOT, RUNNING, 0, info[4], 0, info[5])
codec = _baton.codec(update, RUNNING, data[:512], bytearray(info[3]))
print(error_of(_baton.finish, codec))
at, more = 0, True
while more or at < len(data):
    used, more, safe = _baton.push(codec, data[at:at + 500])
    at += used
_baton.finish(codec)
print(safe, *_baton.end(update)[:1])
print(hash_of(slot))
damaged = bytearray(data)
damaged[(info[0] + len(data)) // 2] ^= 0x10
update = _baton.begin(flash, SLOT, RUNNING, 0, info[4], 0, info[5])
codec = _baton.codec(update, RUNNING, damaged[:512], bytearray(info[3]))
try:
    at, more = 0, True
    while more or at < len(data):
        used, more, safe = _baton.push(codec, damaged[at:at + 500])
        at += used
    _baton.finish(codec)
    _baton.end(update)
except OSError as error:
    print(error.errno < -200)
for bad in (b"PK" + bytes(200), data[:20], b""):
    print(error_of(_baton.payload, bad), end=" ")
print()
"""


@pytest.mark.parametrize("size, encoding, collect", [
    ("stock", "packed", "as usual"), ("stock", "delta", "as usual"), ("stock", "raw", "as usual"),
    ("stock", "delta", "in calls"), ("stock", "packed", "always"), ("full", "delta", "always")])
def test_payload(run, baton, images, tmp_path, size, encoding, collect):
    old, new = images
    options = {"packed": [], "delta": ["--from", "old.bin"], "raw": ["--raw"]}[encoding]
    baton("pack", "new.bin", *options, "-o", "payload", code=0)
    packed = (tmp_path / "payload").read_bytes()
    told, early, written, found, *refused = run(size, PAYLOAD.replace("COLLECT", COLLECT[collect]))
    header, number, profile, state, length, told = told.split(None, 5)
    assert int(number) == {"raw": 0, "packed": 1, "delta": 2}[encoding]
    assert int(length) == len(new)
    assert told == " ".join(map(str, [
        hashlib.sha256(new).digest(), len(old) if encoding == "delta" else 0,
        hashlib.sha256(old).digest() if encoding == "delta" else bytes(32), f"({header},)", len(packed)]))
    assert early == "-335"
    assert written == f"{len(new) // 4096 * 4096} {len(new)}"
    assert found == padded(new)
    assert refused == ["True", "-330 -335 -335 "]


# The agent, with all that it asks of Python: a whole update from a signed
# release, the restart, and the trial, which the server's answer ends.
AGENT = PARTITIONS + """
gc.threshold(1)


class Port:
    def __init__(self):
        self.values, self.time, self.reboots = {}, 0, 0
    def get(self, key, buf):
        value = self.values.get(key)
        if value is None or len(value) > len(buf):
            return -2 if value is None else -28
        buf[:len(value)] = value
        return len(value)
    def set(self, key, data):
        self.values[key] = bytes(data)
        return 0
    def remove(self, key):
        self.values.pop(key, None)
        return 0
    def ticks(self):
        self.time += 5
        return self.time
    def now(self):
        return NOW
    def fill(self, buf):
        buf[:] = bytes(i * 37 & 0xFF for i in range(len(buf)))
        return 0
    def cause(self):
        return 1
    def reboot(self):
        self.reboots += 1
    def arm(self, ms):
        return 0
    def feed(self):
        return 0
    def decide(self, question, release):
        if release:
            print("decide", question, *release)
        return 0
    def event(self, kind, code, value):
        return 0


class Server:
    def connect(self, host, port, secure):
        print("connect", host, port, secure)
        self.asked, self.answer = b"", b""
        return 0
    def send(self, data):
        self.asked += bytes(data)
        while b"\\r\\n\\r\\n" in self.asked:
            head, self.asked = self.asked.split(b"\\r\\n\\r\\n", 1)
            lines = str(head, "ascii").split("\\r\\n")
            body = host.read("www" + lines[0].split()[1])
            answer, total = "200 OK", len(body)
            for line in lines:
                if line.lower().startswith("range: bytes="):
                    first, last = line[13:].split("-")
                    first, last = int(first), min(int(last or total), total - 1)
                    body = body[first:last + 1]
                    answer = "206 Part\\r\\nContent-Range: bytes %d-%d/%d" % (first, last, total)
            print(lines[0].split()[1].split("/")[1], answer[:3], len(body))
            self.answer += b"HTTP/1.1 %s\\r\\nContent-Length: %d\\r\\n\\r\\n" % (
                bytes(answer, "ascii"), len(body)) + body
        return len(data)
    def recv(self, buf):
        count = min(len(buf), len(self.answer), 1300)
        buf[:count] = self.answer[:count]
        self.answer = self.answer[count:]
        return count if count else -11
    def close(self):
        pass


port = Port()
NUMBERS = (0, 300000, 0, 0, 0, 0, 0, 3, 0, 1, 0)


def start(running_slot):
    parts = _baton.flash(None, again(running), again(slot), again(otadata))
    return _baton.agent(port, parts, (2, running_slot), ("lamp", "", b"1234", ""), NUMBERS, host.read("root.bin"))


def work(agent):
    codec = bytearray(_baton.agent_codec_bytes())
    _baton.agent_check(agent, "http://server.example:8000/stable.jws", None, 0, Server(), None, codec)
    del codec
    for step in range(20000):
        state, wait, done, total, error = _baton.agent_step(agent)
        if state == 0 or port.reboots:
            print("ended", state, error, done)
            return
    print("no end", state, wait, done, total, error)


work(start(0))
print(slot.data[:len(new)] == new, *(otadata.data[at + 24] for at in (0, 4096)))
port.reboots = 0
# The bootloader.
otadata.data[4096:4128] = host.read("pending.bin")
agent = start(1)
print(*_baton.agent_status(agent)[8:])
work(agent)
print(*(otadata.data[at + 24] for at in (0, 4096)), port.reboots)
"""


def test_agent(run, baton, images, tmp_path):
    old, new = images
    for name in ("root.pem", "release.pem"):
        baton("key", "new", name, code=0)
    baton("release", "keys", "--dir", "www", "--root", "root.pem", "release.pem", code=0)
    baton("release", "make", "new.bin", "--dir", "www", "--key", "release.pem", "--product", "lamp",
          "--from", "old.bin", code=0)
    text = baton("key", "show", "--text", "root.pem", code=0).stdout.strip()
    (tmp_path / "root.bin").write_bytes(b"".join(map(unb64, text.split("."))))
    (tmp_path / "pending.bin").write_bytes(record(2, PENDING))
    script = AGENT.replace("NOW", str(int(time.time())))
    delta, = (path.stat().st_size for path in (tmp_path / "www").rglob("*.delta"))
    jws, keys = ((tmp_path / "www" / name).stat().st_size for name in ("stable.jws", "keys.jws"))
    assert run("full", script) == [
        "connect server.example 8000 False", f"stable.jws 200 {jws}", f"keys.jws 200 {keys}",
        f"stable.jws 200 {jws}", f"decide 0 v2 1 {len(new)} ", f"payloads 200 {delta}",
        f"ended 5 0 {len(new)}", f"True {VALID} {NEW}", "2 1 v1 v2",
        "connect server.example 8000 False", "stable.jws 206 1", "connect server.example 8000 False",
        f"stable.jws 200 {jws}", "ended 0 0 0", f"{VALID} {VALID} 0"]
