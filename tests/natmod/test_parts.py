# The files of the package `baton` in one, parts.bin: what is imported out of it,
# what that spares a chip's file system, and what becomes of a damaged one. On
# the virtual ESP32, with littlefs on a device that counts what is read.
# SPDX-License-Identifier: MIT
import runpy
import shutil

import pytest

import test_stock_policy

SAYS = ("[Errno 5] EIO: /lib/baton/parts.bin is damaged or another version's:"
        " install baton again")

# Mounts a file system, of the geometry that ESP32's firmware gives it, with
# what lay in a folder of the machine's files.
FILES = """
import os, sys, vfs
Vfs = getattr(vfs, KIND)


class Disk:
    reads = 0

    def __init__(self, file):
        self.file = file

    def readblocks(self, block, buf, offset=0):
        Disk.reads += 1
        self.file.seek(block * 4096 + offset)
        self.file.readinto(buf)

    def writeblocks(self, block, buf, offset=0):
        self.file.seek(block * 4096 + offset)
        self.file.write(buf)

    def ioctl(self, op, arg):
        return {4: 512, 5: 4096}.get(op, 0)


def copy(folder, to):
    os.mkdir(to)
    for name, kind, *_ in sorted(os.ilistdir(folder)):
        path = folder + "/" + name
        if kind == 0x4000:
            copy(path, to + "/" + name)
            continue
        with open(path, "rb") as file, open(to + "/" + name, "wb") as copied:
            piece = file.read(1024)
            while piece:
                copied.write(piece)
                piece = file.read(1024)


def mount_files(folder):
    disk = Disk(open("/disk", "w+b"))
    Vfs.mkfs(disk)
    vfs.mount(Vfs(disk), "/disk")
    copy(folder, "/disk/lib")
    vfs.umount("/disk")
    vfs.umount("/")
    vfs.mount(Vfs(disk), "/")
    sys.path[:] = ["", "/lib"]
    return disk


def count():
    reads, Disk.reads = Disk.reads, 0
    return reads
"""

UPDATE = "KIND = 'VfsLfs2'\n" + FILES + """
import network, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("workshop", "secret-key")
while not wlan.isconnected():
    time.sleep_ms(20)
mount_files("/pkg")
count()
import baton
print("import", count())
baton.start()
print("start", count())
print("update", baton.update(%r, keys=%r, product="lamp", reboot=False), count(), baton.__path__)
"""


class Board(test_stock_policy.Board):
    def __init__(self, *args):
        super().__init__(*args)
        self.package = self.fs / "lib" / "baton"

    def run_main(self, script):
        (self.fs / "boot.py").write_text("")
        (self.fs / "main.py").write_text(script)
        console, _ = self.run()
        return console


@pytest.fixture
def board(baton, micropython, tmp_path, natmod, http_server):
    assert micropython.is_file()
    return Board(baton, tmp_path, natmod("x64", "stock"), http_server)


def count_reads(board):
    board.renew()
    url, key = test_stock_policy.URL, board.call("key", "show", "--text", "root.pem").strip()
    console = board.run_main(UPDATE % (url, key))
    assert console[-1].startswith("update True "), console
    return {line.split()[0]: int(line.split()[-2 if "update" in line else -1]) for line in console}


def test_reads_of_flash(board, repo):
    """Found, opened and read: less than half of what the same takes as loose
    files."""
    board.release()
    shutil.move(board.fs / "lib", board.fs / "pkg")
    bundled = count_reads(board)
    (board.fs / "pkg" / "baton" / "parts.bin").unlink()
    for path in (repo / "build" / "natmod" / "python" / "baton").glob("*.mpy"):
        shutil.copy(path, board.fs / "pkg" / "baton")
    loose = count_reads(board)
    assert 2 * sum(bundled.values()) < sum(loose.values()), (bundled, loose)


EACH = """
import sys
sys.path[:] = ["", "/lib"]
import baton
assert baton.__path__ == "/.baton" and baton.__file__ == "/lib/baton/__init__.mpy"
import os
names = [name[:-4] for name, *_ in os.ilistdir("/.baton")]
for name in names:
    module = __import__("baton." + name, None, None, (name,))
    assert module.__file__ == "/.baton/" + name + ".mpy", module.__file__
    assert os.stat(module.__file__)[0] == 0x8000
print(*sorted(names))
"""


def test_each_module_comes_out_of_it(board, repo):
    """Whatever an installation of before has left beside it."""
    for name in ("url", "policy", "errors"):
        (board.package / f"{name}.mpy").write_bytes(b"M\x06old")
        (board.package / f"{name}.py").write_text("raise ValueError")
    names = sorted(path.stem for path in (repo / "micropython" / "package" / "baton").glob("*.py"))
    names.remove("__init__")
    assert board.run_main(EACH) == [" ".join(names)]


AGAIN = """
import os, sys
sys.path[:] = ["", "/lib"]
import baton
from baton import policy, url
first = url
policy.forget()
assert not hasattr(baton, "url") and "baton.url" not in sys.modules
from baton import policy, url
assert url is not first and url.__file__ == "/.baton/url.mpy"
# Another import of the whole takes its place.
old = baton
for name in [name for name in sys.modules if name.startswith("baton")]:
    del sys.modules[name]
import baton
from baton import journal
assert baton is not old and os.listdir("/").count(".baton") == 1
# It is looked for where it was, wherever the work goes on.
del sys.modules["baton"], sys.modules["baton.journal"]
sys.path[:] = ["lib", ""]
import baton
assert baton.__file__ == "lib/baton/__init__.mpy"
os.chdir("/lib")
from baton import journal, report
print(journal.__file__, report.__file__)
for refused in (lambda: open("/.baton/url.mpy", "w"), lambda: open("/.baton/none.mpy"),
                lambda: open("/.baton/x", "w"), lambda: os.stat("/.baton/none")):
    try:
        refused()
        print("taken")
    except OSError:
        pass
print(baton.Error(-223), len(os.stat("/.baton")), os.listdir("/.baton")[0])
"""


def test_again_and_again(board):
    assert board.run_main(AGAIN) == [
        "/.baton/journal.mpy /.baton/report.mpy", "the image is for another chip 10 port.mpy"]
    assert not list(board.package.glob("x"))


SOFT_RESET = """
import machine, os, sys
sys.path[:] = ["", "/lib"]
print(".baton" in os.listdir("/"), end=" ")
import baton
from baton import report
print(report.__file__)
if not "again" in os.listdir("/"):
    open("/again", "w").close()
    machine.soft_reset()
"""


def test_soft_reset(board):
    console = board.run_main(SOFT_RESET)
    assert [line for line in console if "report" in line] == ["False /.baton/report.mpy"] * 2, console


DAMAGE = """
import os, sys
sys.path[:] = ["", "/lib"]
PATH = "/lib/baton/parts.bin"
with open(PATH, "rb") as file:
    whole = file.read()
head = int.from_bytes(whole[6:8], "little") + 12
lines = str(whole[12:head], "utf8").split("\\n")[:-1]


def write(data):
    with open(PATH, "wb") as file:
        file.write(data)


def error_of(function):
    for name in [name for name in sys.modules if name.startswith("baton")]:
        del sys.modules[name]
    try:
        function()
    except OSError as exc:
        return str(exc)


def take(*names):
    import baton
    for name in names:
        __import__("baton." + name)


def damaged(at):
    data = bytearray(whole)
    data[at] ^= 1 << at % 8
    return data


def expect(function, says, at):
    said = error_of(function)
    if said != says:
        print("at", at, "it says", said)


# The head, wherever it ends and whatever is wrong with it.
for at in range(head):
    write(whole[:at])
    expect(take, SAYS, at)
    write(damaged(at))
    expect(take, SAYS, at)
# A file in it: that one, and no other.
for line in lines:
    name, start, size, _ = line.split()
    name, start, size = name[1:-4], int(start), int(size)
    others = [line.split()[0][1:-4] for line in lines]
    for at in (start, start + size // 2, start + size - 1):
        write(damaged(at))
        expect(lambda: take(name), SAYS, at)
        if name not in ("policy", "journal", "url"):  # which others take
            others = [other for other in ("policy", "port", "journal", "url") if other != name]
            expect(lambda: take(*others), None, at)
        write(whole[:at])
        expect(lambda: take(name), SAYS, at)
write(whole)
expect(lambda: take("policy", "port"), None, "the end")
# boot.py goes on.
write(damaged(len(whole) // 2))
for line in lines:
    if line.startswith("/policy."):
        write(damaged(int(line.split()[1])))
error_of(take)
import baton
print("start", baton.start())
"""


def test_damage_is_told_in_words(board):
    assert board.run_main(f"SAYS = {SAYS!r}\n{DAMAGE}") == [
        "baton: " + SAYS, "start False"]


def test_another_build_is_refused(board, repo):
    """As after a power cut while a version is installed over another: no
    mixture of them runs."""
    package = runpy.run_path(str(repo / "micropython" / "natmod" / "package.py"))
    parts = package["parts_of"](repo / "build" / "natmod")
    script = "import sys\nsys.path[:] = ['', '/lib']\nimport baton\nfrom baton import url\nprint('runs')\n"
    (board.package / "parts.bin").write_bytes(package["bundle"](parts))
    assert board.run_main(script) == ["runs"]
    (board.package / "parts.bin").write_bytes(package["bundle"](parts[:-1]))
    assert board.run_main(script)[-1] == "OSError: " + SAYS


REMOUNT = FILES + """
disk = mount_files("/pkg")
PATH = "/lib/baton/parts.bin"
import baton
from baton import url
# A file system is mounted anew: the file that is open belongs to none.
vfs.umount("/")
file, disk.file = disk.file, None
vfs.mount(Vfs(Disk(file)), "/")
from baton import report
# The file is replaced, and others lie where it was.
with open(PATH, "rb") as file, open(PATH + ".new", "wb") as copied:
    copied.write(file.read())
os.remove(PATH)
os.rename(PATH + ".new", PATH)
at = 0
try:
    while True:
        at += 1
        with open("/fill%d" % at, "wb") as file:
            file.write(b"x" * 40000)
except OSError as exc:
    print("full", exc.errno)
from baton import trust
os.remove("/fill1")
# Closed while nothing is done.
baton._drop()
print(baton._parts._file)
from baton import trial
baton._drop()
os.remove(PATH)
try:
    from baton import web
except OSError as exc:
    print(exc)
"""


@pytest.mark.parametrize("kind", ["VfsLfs2", "VfsFat"])
def test_files_change_under_it(board, kind):
    shutil.move(board.fs / "lib", board.fs / "pkg")
    console = board.run_main(f"KIND = {kind!r}\n{REMOUNT}")
    assert console == ["full 28", "None", SAYS]
