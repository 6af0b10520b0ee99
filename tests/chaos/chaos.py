"""Lives of virtual devices under everything at once: broken connections,
power cuts, crashes of the power supply in the middle of a trial, and a server
whose content changes, lags behind or is damaged.

    chaos.py [--seconds N] [--lives N] [--seed N] [--policy c|python]

A life begins on version 1. In each of its rounds the server may change, the
network is bad by chance, and the power may be cut at any flash operation. After
each round the device must have a version that was published, whole and
verified, and never one older than it had confirmed. In the end the network is
calm, and a last version is published: every device must arrive there. What
`--seed N --lives 1` prints is the same every time."""
# SPDX-License-Identifier: MIT
import argparse
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "lib"),
                str(ROOT / "tests" / "e2e")]

from bad_server import Answer, BadServer  # noqa: E402
from flash_helpers import image  # noqa: E402
from policy_helpers import BOTH, python_device  # noqa: E402

BATON = ROOT / "build" / "baton"
DEVICE = ROOT / "build" / "examples" / "device"
CUTS = ["before", "torn", "garbage", "after", "weak"]
VERSIONS = 7  # 1 is on the device, the last one is where all must arrive
ROUNDS = 4


class Fault(Exception):
    """A device did what it must not."""


def baton(*args, code=0, **options):
    done = subprocess.run([BATON, *map(str, args)], capture_output=True,
                          text=True, timeout=120, **options)
    if code is not None and done.returncode != code:
        raise RuntimeError(f"baton {args}: {done.stdout}{done.stderr}")
    return done


def make_images(folder, rng):
    """Versions that share most of their bytes, some of them moved."""
    body = bytearray(rng.randbytes(60000))
    paths = []
    for number in range(1, VERSIONS + 1):
        for _ in range(12):
            at = rng.randrange(len(body))
            body[at:at + rng.randrange(60)] = rng.randbytes(rng.randrange(60))
        path = folder / f"v{number}.bin"
        path.write_bytes(image(version=f"v{number}", payload=bytes(body)))
        paths.append(path)
    return paths


class Tree:
    """What was published up to each version, as files; made once."""

    def __init__(self, folder, rng):
        self.images = make_images(folder, rng)
        self.root = folder / "root.pem"
        key = folder / "release.pem"
        self.dir = folder / "www"
        baton("key", "new", self.root)
        baton("key", "new", key)
        self.dir.mkdir()
        baton("release", "keys", "--dir", self.dir, "--root", self.root, key)
        self.channels = {}
        for number in range(2, VERSIONS + 1):
            before = self.images[max(0, number - 3):number - 1]
            froms = [arg for path in before for arg in ("--from", path)]
            baton("release", "make", self.images[number - 1], "--dir", self.dir,
                  "--key", key, "--product", "lamp", "--version", f"v{number}",
                  *froms)
            self.channels[number] = (self.dir / "stable.jws").read_bytes()
        self.root_text = json.loads(
            baton("key", "show", "--json", self.root).stdout)["public"]


class Server:
    """Serves a version of the tree through a network that may be bad."""

    def __init__(self, tree):
        self.tree = tree
        self.version = 2
        self.rng = random.Random(0)
        self.badness = 0.0
        self.web = BadServer()
        self.web.files = self  # it asks get(path, default)

    def get(self, path, default):
        name = path.lstrip("/")
        file = self.tree.dir / name
        if name == "stable.jws":
            data = self.tree.channels[self.version]
        elif ".." not in name and file.is_file():
            data = file.read_bytes()
        else:
            return default
        answer = Answer(data, etag='"%d-%s"' % (len(data), name[-20:]))
        if self.rng.random() < self.badness:
            return self.spoil(answer, name)
        return answer

    def spoil(self, answer, name):
        rng, data = self.rng, answer.data
        kind = rng.randrange(12)
        if kind < 3:
            answer.cut_body = rng.randrange(len(data) + 1)
            answer.end = rng.choice(["reset", "close"])
        elif kind == 3:
            answer.cut, answer.end = rng.randrange(120), "reset"
        elif kind == 4:
            return Answer(b"busy", status=rng.choice([500, 503, 429]),
                          headers={"Retry-After": "0"})
        elif kind == 5:
            return Answer(b"gone", status=rng.choice([404, 403]))
        elif kind == 6:
            answer.ranges = False
        elif kind == 7:
            at = rng.randrange(len(data))
            flipped = bytes([data[at] ^ 1 << rng.randrange(8)])
            answer.data = data[:at] + flipped + data[at + 1:]
        elif kind == 8:
            answer.data = data[:rng.randrange(len(data))]
        elif kind == 9:
            answer.extra = rng.randbytes(100)
        elif kind == 10 and name == "stable.jws":
            old = rng.randrange(2, self.version + 1)
            answer.data = self.tree.channels[old]
        else:
            answer.content_range = "bytes 5-9/10"
        return answer


class Life:
    def __init__(self, tree, server, folder, seed, policy):
        self.tree, self.server, self.seed = tree, server, seed
        self.policy = policy
        self.rng = random.Random(seed)
        self.folder = folder
        self.flash = folder / "dev.bin"
        self.confirmed = 1
        self.log = []
        self.stats = collections.Counter()
        server.version = 2
        server.rng = random.Random(seed + 1)
        (folder / "fs").mkdir()
        baton("flash", "make", "--layout", "micropython-4mib-ota", "--ota_0",
              tree.images[0], "-o", self.flash)

    def run(self, cut_at=0, badness=0.0):
        self.server.badness = badness
        args = ["sim", "--flash", self.flash, "--fs", self.folder / "fs",
                "--max-boots", 14, "--timeout", 60, "--no-repl", "--json"]
        if cut_at:
            args += ["--cut-at", cut_at, "--cut-mode", self.rng.choice(CUTS),
                     "--seed", self.rng.randrange(1 << 30)]
        env = dict(os.environ, BATON_URL=f"{self.server.web.url}/stable.jws",
                   BATON_ROOT=self.tree.root_text, BATON_PRODUCT="lamp",
                   BATON_TRIAL_MS="3000")
        if self.rng.random() < 0.3:
            env["BATON_NO_CODEC"] = "1"
        if self.policy == "python":
            args += python_device(self.folder / "fs", env)
        else:
            args += ["--micropython", DEVICE]
        done = baton(*args, code=None, env=env)
        self.log.append(done.stdout)
        self.stats["cuts"] += done.stdout.count("power cut")
        return done.stdout

    def look(self):
        """The version that would boot now; raises a Fault where none would,
        or where it is not one that may."""
        done = baton("flash", "boot", "--json", self.flash, code=None)
        report = json.loads(done.stdout or "{}")
        version = report.get("version", "")
        if done.returncode != 0 or not version:
            raise Fault(f"nothing boots: {done.stdout}{done.stderr}")
        number = int(version[1:])
        if not 1 <= number <= self.server.version:
            raise Fault(f"{version} was never published")
        if number < self.confirmed:
            raise Fault(f"{version} after v{self.confirmed} was confirmed")
        return number

    def note_confirmed(self, output):
        """What the device itself says it has confirmed."""
        if "device: confirmed" in output:
            self.confirmed = max(self.confirmed, self.look())

    def reason(self):
        found = [line.split()[1].rstrip(":") for line in
                 "".join(self.log[-1:]).splitlines()
                 if line.startswith("device: BATON_ERR")]
        return found[-1] if found else ""

    def live(self):
        for _ in range(ROUNDS):
            if self.rng.random() < 0.5:
                self.server.version = min(self.server.version + 1, VERSIONS - 1)
            cut_at = self.rng.choice([0, self.rng.randrange(1, 500)])
            output = self.run(cut_at, self.rng.choice([0.0, 0.1, 0.3, 0.6]))
            self.note_confirmed(output)
            self.look()
        # The right version, or the old one with a reason.
        self.note_confirmed(self.run())
        at = self.look()
        if at != self.server.version:
            if not self.reason():
                raise Fault(f"on v{at} without a reason")
            self.stats[self.reason()] += 1
        else:
            self.stats["arrived"] += 1
        self.server.version = VERSIONS
        for _ in range(3):
            self.note_confirmed(self.run())
            if self.confirmed == VERSIONS:
                return
        raise Fault(f"on v{self.look()}, not on the last one")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--lives", type=int, default=1 << 30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--policy", choices=BOTH, default="c")
    options = parser.parse_args()
    stats, lives, until = collections.Counter(), 0, time.time() + options.seconds
    with tempfile.TemporaryDirectory() as temporary:
        tree = Tree(Path(temporary), random.Random(42))
        server = Server(tree)
        try:
            while lives < options.lives and time.time() < until:
                seed = options.seed + lives
                folder = Path(temporary) / f"life{seed}"
                folder.mkdir()
                life = Life(tree, server, folder, seed, options.policy)
                try:
                    life.live()
                except Fault as fault:
                    print("\n".join(life.log))
                    print(f"chaos: {fault}; again: {sys.argv[0]} --seed {seed} "
                          f"--lives 1 --policy {options.policy}")
                    return 1
                stats.update(life.stats)
                lives += 1
                shutil.rmtree(folder)
        finally:
            server.web.stop()
    told = ", ".join(f"{count} {name}" for name, count in stats.most_common())
    print(f"chaos: {lives} lives, seeds from {options.seed}: {told}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
