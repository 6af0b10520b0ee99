"""What is fetched again after a power cut, from servers that others wrote.

The device is examples/device-c on the virtual ESP32, and its twin in Python. The power goes in each
sector of the image, and at random flash operations; how far the download had
come is read off the slot, and what is asked for afterwards off the server's
log."""
# SPDX-License-Identifier: MIT
import hashlib
import os
import random
import re
import subprocess

import pytest

from flash_helpers import image
from policy_helpers import POLICIES, python_device
from web_servers import Nginx

SECTOR = 4096
SLOT_0, SLOT_1 = 0x10000, 0x190000
OPERATIONS = 18  # erase, 16 pages, mark: of one sector
OTHER_ERASES = 6
# In Python sectors gather, up to a block, before they are written and marked.
SECTORS = {"c": 11, "python": 41}
LOST = {"c": 2, "python": 17}


@pytest.fixture(params=POLICIES, autouse=True)
def policy(request, monkeypatch):
    monkeypatch.setattr(Device, "policy", request.param)
    payload = random.Random(1).randbytes(SECTORS[request.param] * SECTOR + 1234)
    monkeypatch.setattr(Device, "image", image("v2", payload=payload))
    monkeypatch.setattr(Device, "near", image("v0", payload=payload))


class Device:
    policy = "c"
    image = near = b""

    def __init__(self, baton, repo, folder, env, slot_1=None):
        self.baton, self.folder, self.env = baton, folder, env
        self.program = repo / "build" / "examples" / "device"
        self.flash = folder / "dev.bin"
        (folder / "fs").mkdir(exist_ok=True)
        (folder / "v1.bin").write_bytes(image("v1", payload=bytes(5000)))
        args = ["--ota_0", folder / "v1.bin"]
        if slot_1:
            (folder / "v0.bin").write_bytes(slot_1)
            args += ["--ota_1", folder / "v0.bin"]
        for name in ("dev.bin", "dev.bin.board"):
            (folder / name).unlink(missing_ok=True)
        baton("flash", "make", "--layout", "micropython-4mib-ota", *args, "-o",
              self.flash, code=0)

    def run(self, *args, code=0):
        device = ("--micropython", self.program, "--no-repl")
        if self.policy == "python":
            device = python_device(self.folder / "fs", self.env)
        return self.baton(
            "sim", "--flash", self.flash, "--fs", self.folder / "fs", *device,
            *args, code=code, env={**os.environ, **self.env})

    def slot(self):
        data = self.flash.read_bytes()
        return data[SLOT_1:SLOT_1 + len(self.image)]

    def sectors_in_order(self):
        """Whole sectors of the image on flash, from the first; its header is
        the last thing that is written."""
        new = self.image
        slot, count = new[:32] + self.slot()[32:], 0
        while (slot[count * SECTOR:(count + 1) * SECTOR]
               == new[count * SECTOR:(count + 1) * SECTOR]
               and (count + 1) * SECTOR <= len(new)):
            count += 1
        return count


def cuts():
    """In the middle of each sector, between sectors, and anywhere."""
    step = 1 if Device.policy == POLICIES[0] else 3
    sectors = len(Device.image) // SECTOR
    ats = [6 + k * OPERATIONS for k in range(sectors)]
    ats += [1 + k * OPERATIONS for k in range(0, sectors, 3)]
    rng = random.Random(7)
    ats += [rng.randrange(1, sectors * OPERATIONS) for _ in range(8)]
    return ats[::step]


def served_lengths(nginx, name):
    """Bytes of each answer for a file, in order."""
    return [int(line.split('"')[2].split()[1])
            for line in nginx.access_log().splitlines()
            if f"/{name} " in line]


@pytest.fixture
def nginx(tmp_path):
    (tmp_path / "www").mkdir()
    (tmp_path / "nginx").mkdir()
    server = Nginx(tmp_path / "www", tmp_path / "nginx")
    yield server
    server.stop()


@pytest.mark.parametrize("kind", ["digest", "etag"])
def test_plain_image_from_nginx(baton, repo, tmp_path, nginx, kind):
    (tmp_path / "www" / "app.bin").write_bytes(Device.image)
    env = {"BATON_URL": f"{nginx.url}/app.bin"}
    if kind == "digest":
        env["BATON_SHA256"] = hashlib.sha256(Device.image).hexdigest()
    else:
        env["BATON_UNSIGNED"] = "1"
    for at in cuts():
        device = Device(baton, repo, tmp_path, env)
        device.run("--cut-at", at, "--max-boots", 1, "--seed", at, code=4)
        had = device.sectors_in_order()
        before = len(served_lengths(nginx, "app.bin"))
        device.run("--max-boots", 9)
        assert device.slot() == Device.image, f"cut at {at}"
        # The head, then the rest; then the new version's check.
        lengths = served_lengths(nginx, "app.bin")[before:]
        rest = max(lengths)
        most = len(Device.image) - had * SECTOR + LOST[device.policy] * SECTOR
        assert rest <= most, f"cut at {at}: {had} sectors, then {rest} bytes"
        others = sum(lengths) - rest
        assert others <= 4 * 288, f"cut at {at}: {lengths}"


def publish(baton, tmp_path):
    www = tmp_path / "www"
    for name in ("root", "release"):
        baton("key", "new", tmp_path / f"{name}.pem", code=0)
    (tmp_path / "v2.bin").write_bytes(Device.image)
    baton("release", "keys", "--dir", www, "--root", tmp_path / "root.pem",
          tmp_path / "release.pem", code=0)
    baton("release", "make", tmp_path / "v2.bin", "--dir", www, "--key",
          tmp_path / "release.pem", "--product", "lamp", "--raw-only", code=0)
    shown = baton("key", "show", tmp_path / "root.pem", code=0).stdout
    return dict(line.split(None, 1) for line in shown.splitlines())["public"]


@pytest.mark.parametrize("slot_1", ["blank", "near"])
def test_release_from_nginx(baton, repo, tmp_path, nginx, slot_1):
    root = publish(baton, tmp_path)
    name = f"{hashlib.sha256(Device.image).hexdigest()}.raw"
    env = {"BATON_URL": f"{nginx.url}/stable.jws", "BATON_ROOT": root,
           "BATON_PRODUCT": "lamp"}
    step = 3 if Device.policy == POLICIES[0] else 9
    for at in cuts() if slot_1 == "blank" else range(1, 80, step):
        device = Device(baton, repo, tmp_path, env,
                        Device.near if slot_1 == "near" else None)
        device.run("--cut-at", at, "--max-boots", 1, "--seed", at, code=None)
        slot = Device.image[:32] + device.slot()[32:]
        missing = sum(
            slot[off:off + SECTOR] != Device.image[off:off + SECTOR]
            for off in range(0, len(Device.image), SECTOR))
        before = len(served_lengths(nginx, name))
        device.run("--max-boots", 9)
        assert device.slot() == Device.image, f"cut at {at}"
        fetched = sum(served_lengths(nginx, name)[before:])
        assert fetched <= (missing + LOST[device.policy]) * SECTOR, (
            f"cut at {at}: {missing} sectors were missing, "
            f"{fetched} bytes came")


def test_without_ranges(baton, repo, tmp_path, http_server):
    """python3 -m http.server sends everything again; nothing is written
    twice, and the right version comes out."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "app.bin").write_bytes(Device.image)
    server = http_server(tmp_path / "www")
    env = {"BATON_URL": f"{server.url}/app.bin",
           "BATON_SHA256": hashlib.sha256(Device.image).hexdigest()}
    for at in cuts()[::3]:
        device = Device(baton, repo, tmp_path, env)
        device.run("--cut-at", at, "--max-boots", 1, "--seed", at, code=4)
        had = device.sectors_in_order()
        report = device.run("--max-boots", 9).stdout
        assert device.slot() == Device.image, f"cut at {at}: {report}"
        # What is missing, and records, marks and the store.
        erases = int(re.search(r"operations, (\d+) erases", report)[1])
        most = -(-len(Device.image) // SECTOR) - had + OTHER_ERASES
        assert erases <= most, f"cut at {at}: {had} sectors, {erases} erases"


def test_changed_between_attempts(baton, repo, tmp_path, nginx):
    """Another file under the same name: what was fetched of the first is not
    spliced with it."""
    path = tmp_path / "www" / "app.bin"
    env = {"BATON_URL": f"{nginx.url}/app.bin", "BATON_UNSIGNED": "1"}
    other = image("v3", payload=random.Random(3).randbytes(11 * SECTOR + 1234))
    for at in (40, 100, 160):
        path.write_bytes(Device.image)
        os.utime(path, (1000000000, 1000000000))
        device = Device(baton, repo, tmp_path, env)
        device.run("--cut-at", at, "--max-boots", 1, "--seed", at, code=4)
        path.write_bytes(other)
        device.run("--max-boots", 9)
        assert device.flash.read_bytes()[SLOT_1:SLOT_1 + len(other)] == other


def test_program_is_short(repo):
    """examples/device-c is what it says: a device in under 150 lines."""
    text = (repo / "examples" / "device-c" / "device.c").read_text()
    assert len(text.splitlines()) < 150
    assert subprocess.run(
        ["grep", "-c", "malloc", repo / "examples" / "device-c" / "device.c"],
        capture_output=True, text=True).stdout.strip() == "0"
