"""Updates of the board that are ended in the middle, and what boots then.

Each trial begins with the same flash: the old version runs and is confirmed,
the other slot holds a still older one. The new version lies in RAM, so that an
update is over in a fraction of a second.
"""
# SPDX-License-Identifier: MIT
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import qemu_board
from qemu_board import CUTS, Board, BoardError, Ended

ROOT = Path(__file__).resolve().parents[3]
OLD, NEW, OLDER = "v1.26.0", "v1.26.1", "v1.25.0"
IMAGE_ADDR = 0x84000000

SWITCH = """import baton
P = baton.Partition
P(P.RUNNING).get_next_update().set_boot()
"""
CONFIRM = """import baton
baton.Partition.mark_app_valid_cancel_rollback()
"""
STATE = "import baton\nprint(baton.Partition(1).app_state())"
VALID, PENDING = 2, 1

# Prints a letter for each step, so that it is known how far it came.
UPDATE = """import baton, uctypes, machine, sys
P = baton.Partition
p = P(P.RUNNING).get_next_update()
m = memoryview(uctypes.bytearray_at({addr}, {size}))
h = p.ota_begin({size})
for i in range(0, {size}, 4096):
    p.ota_write(h, m[i:i + 4096])
sys.stdout.write('W')
p.ota_end(h)
sys.stdout.write('E')
p.set_boot()
sys.stdout.write('S')
machine.reset()
"""


def update_script(size):
    """The update from an image of `size` bytes in RAM, reset included."""
    return UPDATE.format(addr=IMAGE_ADDR, size=size)


def make_flash(path, build, old_label=OLD, older=None):
    """The flash as the board sees it, with the old version in ota_0."""
    command = [ROOT / "build" / "baton", "flash", "make", "--table",
               ROOT / "port" / "qemu-rv32" / "partitions.csv", "--ota_0",
               build / f"{old_label}.app-bin", "--boot", "ota_0",
               "--size", "4MB", "-o", path]
    if older:
        command += ["--ota_1", older]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


class Wrong(Exception):
    """What booted is not what may boot."""


class Trials:
    """Everything the trials share; its files are in `work`."""

    def __init__(self, build, work, quiet=False):
        self.quiet = quiet
        self.work = Path(work)
        self.work.mkdir(parents=True, exist_ok=True)
        self.unit0 = self.work / "unit0"
        self.unit1 = self.work / "unit1"
        self.image = self.work / "new.app-bin"  # a later build leaves it alone
        self.image.write_bytes((build / f"{NEW}.app-bin").read_bytes())
        self.size = self.image.stat().st_size
        older = self.work / "older.app-bin"
        subprocess.run(
            [ROOT / "build" / "baton", "image", "make", "--chip", "esp32c3",
             "--elf", build / f"{OLD}.elf", "--app-version", OLDER,
             "-o", older], check=True, stdout=subprocess.DEVNULL)
        make_flash(self.work / "dev.bin", build, older=older)
        qemu_board.make_unit0(self.unit0, build / "bootloader-cuts.bin")
        qemu_board.spread((self.work / "dev.bin").read_bytes(), self.unit1)
        with self.board() as board:  # makes the file system
            board.wait_boot()
        self.flash = qemu_board.gather(self.unit1)

    def board(self):
        return Board(self.unit0, self.unit1,
                     ram_file=(self.image, IMAGE_ADDR))

    def update(self, board, steps):
        """One whole update; appends the steps that are over to `steps`."""
        board.begin(update_script(self.size))
        for mark, step in ((b"W", "written"), (b"E", "verified"),
                           (b"S", "switched")):
            if not board.read_until(mark, other=b"\x04"):
                board.finish()  # says what it raised
            steps.append(step)
        line = board.wait_boot()
        if NEW not in line or "on trial" not in line:
            raise Wrong(f"after the switch '{line}' boots")
        steps.append("started")
        board.run(CONFIRM)
        steps.append("confirmed")
        board.reset()
        line = board.wait_boot()
        if NEW not in line or "on trial" in line:
            raise Wrong(f"after the confirmation '{line}' boots")
        steps.append("started again")

    def check(self, steps):
        """What boots after an update that came so far; then the update again,
        to its end. Returns what booted."""
        with self.board() as board:
            line = board.wait_boot()
            trial = "on trial" in line
            if OLD in line:
                booted = "old"
                wrong = "confirmed" in steps or trial
            elif NEW in line:
                booted = "new, on trial" if trial else "new"
                wrong = "verified" not in steps
                if not trial and "started" not in steps:
                    wrong = True
            else:
                booted, wrong = line, True
            if wrong:
                raise Wrong(f"after {steps or ['nothing']} '{line}' boots")
            if booted == "old":
                self.update(board, [])
            elif trial:
                board.run(CONFIRM)
            if int(board.run(STATE)) != VALID:
                raise Wrong("the new version is not VALID in the end")
        return booted

    # ---- SIGKILL at a random moment ---------------------------------------

    def duration(self):
        """Seconds that a whole update takes here, now, at its quickest."""
        seconds = []
        for _ in range(3):
            qemu_board.restore(self.unit1, self.flash)
            with self.board() as board:
                board.wait_boot()
                began = time.monotonic()
                self.update(board, [])
                seconds.append(time.monotonic() - began)
        return min(seconds)

    def kill_once(self, fraction, duration):
        """Returns the steps that were over and what booted."""
        qemu_board.restore(self.unit1, self.flash)
        steps = []
        board = self.board()
        try:
            board.wait_boot()
            timer = threading.Timer(fraction * duration, board.process.kill)
            timer.start()
            try:
                self.update(board, steps)
            except Ended:
                pass
            timer.join()
        finally:
            board.kill()
        return steps, self.check(steps)

    def kill(self, count, seed, only=None):
        numbers = range(count)
        if only:
            seed, number = map(int, only.split(":"))
            numbers = [number]
        duration = self.duration()
        tally = Tally("SIGKILL", len(numbers), self.quiet)
        for number in numbers:
            fraction = random.Random(f"{seed}:{number}").uniform(0, 1.02)
            tally.trial(f"{seed}:{number}",
                        lambda f=fraction: self.kill_once(f, duration))
        return tally.report()

    # ---- a cut at a flash command, whole or torn ---------------------------

    def commands(self):
        """How many flash commands an update has, bootloader included."""
        qemu_board.restore(self.unit1, self.flash)
        with self.board() as board:
            board.wait_boot()
            board.run("import baton\nbaton.cut(0, 0)")
            self.update(board, [])
            return int(board.run("import baton\nprint(baton.cut(0, 0))"))

    def cut_once(self, number, kind):
        qemu_board.restore(self.unit1, self.flash)
        steps = []
        with self.board() as board:
            board.wait_boot()
            board.run(f"import baton\nbaton.cut({number}, {CUTS.index(kind)})")
            try:
                self.update(board, steps)
                raise Wrong(f"the power was not cut: {steps}")
            except Ended:
                pass
        return steps, self.check(steps)

    def cuts(self, every=1, only=None, plan=None):
        count = self.commands()
        if only:
            number, kind = only.split(":")
            plan = [(int(number), kind)]
        elif not plan:
            plan = [(n, kind) for n in range(1, count + 1, every)
                    for kind in CUTS]
        tally = Tally(f"cuts at {count} flash commands", len(plan), self.quiet)
        for number, kind in plan:
            tally.trial(f"{number}:{kind}",
                        lambda n=number, k=kind: self.cut_once(n, k))
        return tally.report()


class Tally:
    """Counts trials by where they ended and what booted."""

    def __init__(self, name, total, quiet):
        self.name, self.total, self.quiet = name, total, quiet
        self.outcomes = Counter()
        self.failures = []
        self.began = time.monotonic()

    def trial(self, replay, run):
        try:
            steps, booted = run()
            self.outcomes[steps[-1] if steps else "writing", booted] += 1
        except (Wrong, BoardError) as err:
            self.failures.append(replay)
            print(f"FAILED {replay}: {err}", flush=True)
        done = sum(self.outcomes.values()) + len(self.failures)
        if self.quiet:
            return
        if sys.stdout.isatty():
            print(f"\r{done}/{self.total}", end="", flush=True)
        elif done % 100 == 0:
            print(f"{done}/{self.total}", flush=True)

    def report(self):
        """Prints the table; returns how many failed."""
        if self.quiet:
            return len(self.failures)
        seconds = time.monotonic() - self.began
        print(f"\r{self.name}: {self.total} trials in {seconds:.0f} s")
        order = ["writing", "written", "verified", "switched", "started",
                 "confirmed", "started again"]
        for last in order:
            for booted in ("old", "new, on trial", "new"):
                count = self.outcomes[last, booted]
                if count:
                    print(f"  last step over: {last:14} {count:5} times "
                          f"{booted}")
        print(f"  failed: {len(self.failures)} "
              + " ".join(self.failures[:20]), flush=True)
        return len(self.failures)
