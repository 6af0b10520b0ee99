# The board that executes: QEMU's RISC-V machine under Baton's own bootloader.
# SPDX-License-Identifier: MIT
import json
import random
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "port" / "qemu-rv32" / "tools"))
import board_trials  # noqa: E402
import qemu_board  # noqa: E402
from board_trials import CONFIRM, NEW, OLD, SWITCH  # noqa: E402
from qemu_board import Board, Ended, ScriptError  # noqa: E402

BUILD = ROOT / "build" / "board"
OTADATA = 0xD000
SLOTS = (0x40000, 0x1C0000)
TABLE = 0x8000

pytestmark = pytest.mark.skipif(
    shutil.which(qemu_board.QEMU) is None,
    reason=f"{qemu_board.QEMU} is not installed; next: scripts/setup board")


@pytest.fixture(scope="module")
def old():
    return (BUILD / f"{OLD}.app-bin").read_bytes()


@pytest.fixture(scope="module")
def new():
    return (BUILD / f"{NEW}.app-bin").read_bytes()


@pytest.fixture(scope="module")
def flash(tmp_path_factory):
    """The flash of a board that has been on once: OLD in ota_0, confirmed, and
    a file system."""
    work = tmp_path_factory.mktemp("flash")
    board_trials.make_flash(work / "dev.bin", BUILD)
    start = Starter(work)
    with start((work / "dev.bin").read_bytes()) as board:
        assert OLD in board.wait_boot()
    return start.gather()


class Starter:
    """Starts boards on one flash file; a second start goes on with it."""

    def __init__(self, work):
        self.unit0 = work / "unit0"
        self.unit1 = work / "unit1"
        self.use("bootloader")

    def use(self, bootloader):
        qemu_board.make_unit0(self.unit0, BUILD / f"{bootloader}.bin")

    def __call__(self, flash=None, image=None):
        """image: bytes for RAM, where board_trials.update_script() takes it."""
        ram_file = None
        if image is not None:
            path = self.unit1.with_name("image")
            path.write_bytes(image)
            ram_file = (path, board_trials.IMAGE_ADDR)
        if flash is not None:
            if self.unit1.is_file():
                qemu_board.restore(self.unit1, flash)
            else:
                qemu_board.spread(flash, self.unit1)
        return Board(self.unit0, self.unit1, ram_file)

    def gather(self):
        return qemu_board.gather(self.unit1)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return Starter(tmp_path_factory.mktemp("board"))


@pytest.fixture(autouse=True)
def same_bootloader(start):
    yield
    start.use("bootloader")


def put(flash, addr, data):
    return flash[:addr] + data + flash[addr + len(data):]


def version(board):
    return board.run("import sys\nprint(sys.version)")


def boot_log(board):
    return board.run("import baton\nprint('\\n'.join(baton.boot_log()))")


def cause(board):
    return int(board.run("import baton\nprint(baton.reset_cause())"))


# ---- C tests on the board --------------------------------------------------

# Those that take more than some seconds there run with `scripts/board tests`.
FAST = ["base64", "boot", "chip", "digest", "error", "flash_board",
        "flash_store", "http_body", "http_head", "http_url", "image_check",
        "json", "names", "slots", "table", "table_csv", "table_names",
        "table_verify"]


@pytest.mark.parametrize("name", FAST)
def test_c_tests(name, tmp_path):
    """The core's unit tests, as they are, in the board's machine code; and the
    flash contract on its flash."""
    passed, text = qemu_board.run_program(
        BUILD / "tests" / f"test_{name}.elf", tmp_path / "unit1")
    assert passed, text
    assert " 0 failed" in text and not text.startswith("board: 0 passed")


def test_bootloader_is_small():
    assert (BUILD / "bootloader.bin").stat().st_size < 12 * 1024


# ---- The life of an update -------------------------------------------------

def test_whole_life(start, flash, old, new):
    with start(flash) as board:
        assert board.wait_boot() == f"ota_0 {OLD}"
        assert f"MicroPython {OLD} on" in version(board)
        assert cause(board) == qemu_board.CAUSE_POWER_ON
        board.push(new)
        # Pushed is not chosen.
        board.reset()
        assert board.wait_boot() == f"ota_0 {OLD}"
        board.run(SWITCH)
        board.reset()
        assert board.wait_boot() == f"ota_1 {NEW} on trial"
        assert f"MicroPython {NEW} on" in version(board)
        assert cause(board) == qemu_board.CAUSE_SOFT
        assert "this boot is its trial" in boot_log(board)
        assert int(board.run(board_trials.STATE)) == board_trials.PENDING
        # On trial the other slot is what a failure goes back to.
        with pytest.raises(ScriptError, match="-322"):
            board.push(old[:4096])
        board.run(CONFIRM)
        board.reset()
        assert board.wait_boot() == f"ota_1 {NEW}"
    with start(image=old) as board:  # power off, and on again
        assert board.wait_boot() == f"ota_1 {NEW}"
        # And the other way round, over what is there.
        board.begin(board_trials.update_script(len(old)))
        assert board.wait_boot() == f"ota_0 {OLD} on trial"
        board.run(CONFIRM)
        board.reset()
        assert board.wait_boot() == f"ota_0 {OLD}"
    with start() as board:
        assert board.wait_boot() == f"ota_0 {OLD}"
        assert cause(board) == qemu_board.CAUSE_POWER_ON


def switched(start, flash, image):
    """A board that has taken an image, chosen it, and is resetting."""
    board = start(flash, image)
    try:
        board.wait_boot()
        board.begin(board_trials.update_script(len(image)))
        if not board.read_until(b"WES", other=b"\x04"):
            board.finish()
    except BaseException:
        board.kill()
        raise
    return board


def test_trap_in_the_trial(start, flash, new):
    with switched(start, flash, new) as board:
        assert "on trial" in board.wait_boot()
        board.begin("import machine\nmachine.mem32[0x0f000000]")
        board.read_until(b"baton: trap 00000005")
        assert board.wait_boot() == f"ota_0 {OLD}"
        assert cause(board) == qemu_board.CAUSE_PANIC
        assert "was on trial and not confirmed" in boot_log(board)


def test_reset_in_the_trial(start, flash, new):
    with switched(start, flash, new) as board:
        board.wait_boot()
        board.reset()
        assert board.wait_boot() == f"ota_0 {OLD}"


def test_power_cut_in_the_trial(start, flash, new):
    with switched(start, flash, new) as board:
        board.wait_boot()
    with start() as board:
        assert board.wait_boot() == f"ota_0 {OLD}"


def test_rejected_by_the_application(start, flash, new):
    with switched(start, flash, new) as board:
        board.wait_boot()
        board.begin("import baton\nbaton.Partition."
                    "mark_app_invalid_rollback_and_reboot()")
        assert board.wait_boot() == f"ota_0 {OLD}"


def test_firmware_that_traps_at_once(start, flash):
    with switched(start, flash, (BUILD / "trap.app-bin").read_bytes()) as board:
        board.read_until(b"ota_1 trap on trial")
        board.read_until(b"baton: trap 00000002 at 80000000")
        assert board.wait_boot() == f"ota_0 {OLD}"


def test_firmware_that_hangs(start, flash):
    """The trial's deadline ends it, here after one second."""
    start.use("bootloader-hasty")
    with switched(start, flash, (BUILD / "hang.app-bin").read_bytes()) as board:
        board.read_until(b"ota_1 hang on trial")
        board.read_until(b"the trial's time is over", timeout=20)
        assert board.wait_boot() == f"ota_0 {OLD}"
        assert cause(board) == qemu_board.CAUSE_WATCHDOG


def test_a_confirmed_firmware_has_no_deadline(start, flash, new):
    with switched(start, flash, new) as board:
        board.wait_boot()
        board.run("import baton\nbaton.deadline(3000)\n"
                  "baton.Partition.mark_app_valid_cancel_rollback()")
        board.run("import time\ntime.sleep(4)")
        assert int(board.run(board_trials.STATE)) == board_trials.VALID


def test_a_deadline_of_the_application(start, flash, new):
    with switched(start, flash, new) as board:
        board.wait_boot()
        board.begin("import baton\nbaton.deadline(100)\nwhile True: pass")
        board.read_until(b"the trial's time is over")
        assert board.wait_boot() == f"ota_0 {OLD}"


def test_a_settled_board_writes_nothing(start, flash):
    with start(flash) as board:
        board.wait_boot()
        board.run("import baton\nbaton.cut(0, 0)")
        board.reset()
        board.wait_boot()
        assert int(board.run("import baton\nprint(baton.cut(0, 0))")) == 0
    assert start.gather() == flash


# ---- What is refused -------------------------------------------------------

def test_refused_images(start, flash, new, baton, tmp_path):
    (tmp_path / "blob").write_bytes(bytes(5000))
    baton("image", "make", "--chip", "esp32", "--payload", "blob", "-o",
          "esp32.app-bin", code=0)
    damaged = bytearray(new)
    damaged[200000] ^= 1
    for image, error in [
        ((tmp_path / "esp32.app-bin").read_bytes(), "another chip"),
        (bytes(damaged), "checksum"),
        (new[:-1], "cut short"),
    ]:
        with pytest.raises(ScriptError, match=error):
            switched(start, flash, image)
    with start() as board:
        assert board.wait_boot() == f"ota_0 {OLD}"
        with pytest.raises(ScriptError, match="OSError"):
            board.run(SWITCH)
        with pytest.raises(ScriptError, match="never written"):
            board.run("import baton\nP = baton.Partition\n"
                      "P(P.RUNNING).ota_begin(0)")
        with pytest.raises(ScriptError, match="never written"):
            board.run("import baton\nP = baton.Partition\n"
                      "P(P.RUNNING).writeblocks(0, bytes(262144))")
        # A program without an erase before it, which the emulator would do.
        with pytest.raises(ScriptError, match="without an erase"):
            board.run("import baton\np = baton.Partition('nvs')\n"
                      "p.writeblocks(0, bytes(4096))\n"
                      "p.writeblocks(0, b'\\x01', 8)")
        board.reset()
        assert board.wait_boot() == f"ota_0 {OLD}"


def test_blocks(start, flash):
    with start(flash) as board:
        board.wait_boot()
        assert board.run(
            "import baton\n"
            "p = baton.Partition('nvs')\n"
            "print(p.ioctl(4, 0), p.ioctl(5, 0))\n"
            "p.writeblocks(1, bytes(range(256)) * 16)\n"
            "b = bytearray(10)\n"
            "p.readblocks(1, b, 250)\n"
            "print(b == bytes([250, 251, 252, 253, 254, 255, 0, 1, 2, 3]))\n"
            "p.ioctl(6, 1)\n"
            "p.readblocks(1, b, 250)\n"
            "print(b == b'\\xff' * 10)\n"
            "q = baton.Partition('ota_1')\n"
            "print(q.ioctl(4, 0), q.ioctl(5, 0))\n"
        ).split() == ["4", "4096", "True", "True", "6", "262144"]
        for call in ("p.readblocks(4, bytearray(1))",
                     "p.readblocks(3, bytearray(4097))",
                     "p.readblocks(3, bytearray(1), 4096)",
                     "p.readblocks(-1, bytearray(1))",
                     "p.ioctl(6, 4)"):
            with pytest.raises(ScriptError, match="OSError"):
                board.run(f"import baton\np = baton.Partition('nvs')\n{call}")


def test_files_survive_the_power(start, flash):
    with start(flash) as board:
        board.wait_boot()
        board.run("f = open('main.py', 'w')\nf.write('X = 42')\nf.close()")
    with start() as board:
        board.wait_boot()
        assert board.run("import main\nprint(main.X)").strip() == "42"


# ---- The bootloader alone --------------------------------------------------

def end_of(board):
    """What the board printed before it switched itself off, and its status."""
    with board:
        status = board.wait_end(20)
        return board.output.decode(), status


def test_nothing_boots(start, flash, old):
    text, status = end_of(start(put(flash, TABLE, b"\xff" * 3072)))
    assert "nothing boots" in text and status == 1
    bad = put(flash, SLOTS[0] + 1000, b"\0\0\0\0")
    text, status = end_of(start(bad))
    assert "nothing boots" in text and status == 1


def test_falls_back_to_what_verifies(start, flash, new):
    both = put(put(flash, SLOTS[1], new), SLOTS[0] + 1000, b"\0\0\0\0")
    with start(both) as board:
        # Its record is ota_0's, so this is no trial.
        assert board.wait_boot() == f"ota_1 {NEW}"


def image_of(segments, entry):
    """An image by hand, checksum and SHA-256 right."""
    import hashlib
    descriptor = struct.pack("<I12x32s32s", 0xABCD5432, b"odd", b"odd")
    segments = [(0x3C000020, descriptor.ljust(256, b"\0")), *segments]
    out = struct.pack("<BBBBIBxxxHxHHxxxxB", 0xE9, len(segments), 2, 0x20,
                      entry, 0xEE, 5, 0, 0xFFFF, 1)
    checksum = 0xEF
    for addr, data in segments:
        out += struct.pack("<II", addr, len(data)) + data
        for byte in data:
            checksum ^= byte
    out += bytes(15 - len(out) % 16) + bytes([checksum])
    return out + hashlib.sha256(out).digest()


@pytest.mark.parametrize("segments, entry", [
    ([(0x87FDFFF0, b"\x13\0\0\0" * 8)], 0x87FDFFF0),  # into the bootloader's
    ([(0x20000000, b"\x13\0\0\0" * 8)], 0x20000000),  # no RAM there
    ([(0x7FFFFFF0, b"\x13\0\0\0" * 8)], 0x80000000),
    ([(0xFFFFFFF0, b"\x13\0\0\0" * 8)], 0xFFFFFFF0),  # around zero
    ([(0x80000000, b"\x13\0\0\0" * 8)], 0x80000020),  # entry past the end
    ([(0x80000000, b"\x13\0\0\0" * 8)], 0x7FFFFFFC),
    ([], 0x80000000),
])
def test_images_that_cannot_be_loaded(start, flash, segments, entry):
    """Whole and right, and still not for this memory: never jumped to."""
    image = image_of(segments, entry)
    text, status = end_of(start(put(flash, SLOTS[0], image)))
    assert "cannot be loaded" in text and status == 1
    with switched(start, flash, image) as board:
        board.read_until(b"ota_1 odd on trial")
        board.read_until(b"cannot be loaded")
        assert board.wait_boot() == f"ota_0 {OLD}"


def record(seq, state):
    raw = struct.pack("<I20sI", seq, b"\xff" * 20, state)
    # The vendor's CRC: the ordinary one, continued from 0xFFFFFFFF.
    return raw + struct.pack("<I", zlib.crc32(struct.pack("<I", seq),
                                              0xFFFFFFFF))


def random_device(rng, flash, image):
    """Any two records, and in each slot a good image, a bad one or none."""
    for addr in SLOTS:
        there = image
        kind = rng.random()
        if kind < 0.2:
            there = image[:300] + bytes([image[300] ^ 0x12]) + image[301:]
        elif kind < 0.35:
            there = b""
        flash = put(flash, addr, there.ljust(0x1000, b"\xff"))
    for copy in range(2):
        raw = b"\xff" * 32
        if rng.random() < 0.85:
            raw = record(rng.choice([0, 1, 2, 3, 4, 5, 0xFFFFFFFE]),
                         rng.choice([0, 1, 2, 3, 4, 7, 0xFFFFFFFF]))
        if rng.random() < 0.1:
            raw = raw[:28] + bytes(4)
        flash = put(flash, OTADATA + 0x1000 * copy, raw.ljust(4096, b"\xff"))
    return flash


def test_decides_as_the_host_does(start, flash, baton, tmp_path):
    """The board's bootloader and `baton flash boot --commit` on the same
    flash: the same slot, and the same records afterwards."""
    image = (BUILD / "off.app-bin").read_bytes()
    seen = set()
    for seed in range(40):
        device = random_device(random.Random(seed), flash, image)
        (tmp_path / "dev.bin").write_bytes(device)
        done = baton("flash", "boot", "dev.bin", "--chip", "esp32c3",
                     "--commit", "--json")
        wanted = json.loads(done.stdout)["slot"]
        text, status = end_of(start(device))
        booted = text.split("baton: ")[-1].split()[0] if status == 0 else None
        assert booted == wanted, f"seed {seed}: {text}"
        assert start.gather() == (tmp_path / "dev.bin").read_bytes(), (
            f"seed {seed}: {text}")
        seen.add(booted)
    assert seen == {"ota_0", "ota_1", None}


# ---- Ends in the middle ----------------------------------------------------

@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    return board_trials.Trials(BUILD, tmp_path_factory.mktemp("trials"),
                               quiet=True)


def test_some_kills(trials):
    """A few of `make board-kill`; the seed of a run by hand is another one."""
    assert trials.kill(6, seed=26) == 0


def test_some_cuts(trials):
    """Whole and torn flash commands: the first and the last ones, which are
    the header's and the records', and some in between."""
    count = trials.commands()
    assert count > 100
    plan = [1, 2, count // 2, *range(count - 6, count + 1)]
    assert trials.cuts(plan=[(n, ("torn", "garbage")[n % 2])
                             for n in plan]) == 0


def test_the_check_sees_a_wrong_boot(trials, new):
    """A device that chose before it had written, or lost what was confirmed."""
    chosen = put(put(trials.flash, SLOTS[1], new), OTADATA + 0x1000,
                 record(2, board_trials.VALID))
    for flash, steps in ((chosen, ["written"]), (chosen, ["switched"]),
                         (trials.flash, ["started", "confirmed"])):
        qemu_board.restore(trials.unit1, flash)
        with pytest.raises(board_trials.Wrong):
            trials.check(steps)
