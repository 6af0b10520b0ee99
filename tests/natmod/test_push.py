# baton push into the virtual ESP32, whose prompt is at the other end of a line
# that can lose, damage and break.
# SPDX-License-Identifier: MIT
import os
import random
import subprocess
import time

import pytest

from flash_helpers import get, get_records, image, NEW, record, VALID
from wire import Wire

LAYOUT = "micropython-4mib-ota"
OTA_1 = 0x190000
SECTORS = 24
SEED = int(os.environ.get("BATON_SEED", str(random.randrange(2**32))))


class Device:
    def __init__(self, baton_path, folder, layout=LAYOUT):
        self.baton = baton_path
        self.folder = folder
        self.path = folder / "dev.bin"
        rng = random.Random(SEED)
        self.old = image("v1", payload=rng.randbytes(5000))
        self.new = image("v2", payload=bytes(range(256)) * 16 + rng.randbytes(4096 * SECTORS - 9000))
        (folder / "old.img").write_bytes(self.old)
        (folder / "new.img").write_bytes(self.new)
        (folder / "fs").mkdir()
        app = "--ota_0" if "ota" in layout else "--factory"
        made = subprocess.run([baton_path, "flash", "make", "--layout", layout, app, "old.img",
                               "-o", "dev.bin"], cwd=folder, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        self.wire = None

    def start(self):
        self.wire = Wire([self.baton, "sim", "--flash", "dev.bin", "--fs", "fs", "--timeout", "100"],
                         cwd=self.folder)
        self.wait_for(">>> ")

    def stop(self):
        if self.wire:
            self.wire.close()
            self.wire = None

    def wait_for(self, text, after=""):
        """Waits for a text behind the last place of another one. What is sent
        before a prompt is there can end the simulation's interpreter."""
        end = time.monotonic() + 90
        while True:
            seen, place, rest = self.wire.text().rpartition(after) if after else ("", "-", self.wire.text())
            if place and text in rest:
                return
            assert time.monotonic() < end, self.wire.text()[-2000:]
            time.sleep(0.05)

    def push(self, *args, code=0, file="new.img", timeout=90):
        done = subprocess.run([self.baton, "push", "--port", self.wire.device, *args, file],
                              cwd=self.folder, capture_output=True, text=True, timeout=timeout)
        assert done.returncode == code, f"BATON_SEED={SEED}: {done} {self.wire.text()[-2000:]}"
        return done

    def check_written(self):
        assert get(self.path, OTA_1, len(self.new)) == self.new
        assert get_records(self.path)[1][:4] == b"\x02\0\0\0"


@pytest.fixture
def device(baton_path, tmp_path):
    device = Device(baton_path, tmp_path)
    device.start()
    yield device
    device.stop()


def sent(done):
    words = done.stdout.split()
    return int(words[words.index("of") - 1])


def test_update_and_restart(device):
    done = device.push("-v")
    assert sent(done) == (len(device.new) + 4095) // 4096
    assert done.stderr == ""
    device.wait_for("boot ota_1")
    device.check_written()
    device.wait_for(">>> ", after="boot ota_1")
    # The old slot is the next one now; the same file is not there yet.
    again = device.push("-v", "--no-reset")
    assert "ota_0" in again.stdout and sent(again) > 0
    # A third time all of it is there.
    assert sent(device.push("-v", "--no-reset")) == 0


def test_without_reset_it_says_nothing_and_leaves_a_prompt(device):
    done = device.push("--no-reset")
    assert done.stdout == done.stderr == ""
    device.check_written()
    assert get_records(device.path)[1] == record(2, NEW)
    device.wait_for(">>> ", after=">R")


def test_goes_on_after_a_power_cut(device):
    # The line breaks for good in the middle, and so does the device.
    device.wire.damage = lambda at, data: data if at < 60000 else b""
    push = subprocess.Popen([device.baton, "push", "--port", device.wire.device, "new.img"],
                            cwd=device.folder)
    end = time.monotonic() + 90
    while device.wire.to_device <= 60000:
        assert push.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    time.sleep(0.5)  # what has arrived is written
    assert push.poll() is None
    push.kill()
    push.wait()
    device.stop()
    assert get(device.path, OTA_1, 32) == b"\xff" * 32
    device.start()
    done = device.push("-v")
    assert 5 < sent(done) < 20
    device.wait_for("boot ota_1")
    device.check_written()


def test_damaged_and_lost_bytes(device):
    rng = random.Random(SEED)
    seen = [0, 0]

    # From where the first sectors go on: one bit in 40 chunks, one byte lost.
    # Not what comes last: nobody could tell that a reset was asked for.
    def damage(at, data):
        if at < 8000 or at > 8000 + len(device.new) * 3 // 4:
            return data
        if rng.random() < 0.02:
            where = rng.randrange(len(data))
            seen[0] += 1
            return data[:where] + bytes([data[where] ^ 0x20]) + data[where + 1:]
        if at > 50000 and not seen[1] and len(data) > 50:
            seen[1] = 1
            return data[:20] + data[21:]
        return data

    device.wire.damage = damage
    for _ in range(4):
        done = subprocess.run([device.baton, "push", "--port", device.wire.device, "new.img"],
                              cwd=device.folder, capture_output=True, text=True, timeout=120)
        if done.returncode == 0:
            break
    assert done.returncode == 0, f"BATON_SEED={SEED}: {done}"
    assert seen[0] and seen[1]
    device.wire.damage = None
    device.wait_for("boot ota_1")
    device.check_written()


def test_wrong_files_change_nothing(device):
    before = device.path.read_bytes()
    (device.folder / "c3.img").write_bytes(image("v2", chip="esp32c3"))
    (device.folder / "large.img").write_bytes(image("v2", size=0x190000))
    damaged = bytearray(device.new)
    damaged[5000] ^= 1
    (device.folder / "damaged.img").write_bytes(damaged)
    for file, name in (("c3.img", "IMAGE_CHIP"), ("large.img", "IMAGE_TOO_LARGE"),
                       ("damaged.img", "IMAGE_CHECKSUM"), ("dev.bin", "IS_")):
        done = device.push(file=file, code=1)
        assert f"BATON_ERR_{name}" in done.stderr and "next: " in done.stderr
    assert device.path.read_bytes()[0x10000:] == before[0x10000:]


def test_interrupts_what_runs(device):
    with open(device.wire.device, "wb", buffering=0) as port:
        port.write(b"while True: pass\r\r\r")
    time.sleep(0.5)
    device.push("--no-reset")
    device.check_written()


def test_firmware_without_slots(baton_path, tmp_path):
    device = Device(baton_path, tmp_path, layout="idf-single-app")
    try:
        device.start()
        assert "BATON_ERR_DEVICE_SLOTS" in device.push(code=1).stderr
    finally:
        device.stop()


def test_nothing_there(baton, tmp_path):
    (tmp_path / "new.img").write_bytes(image("v2"))
    done = baton("push", "--port", "/dev/nowhere", "new.img", code=1)
    assert "No such file" in done.stderr and "BATON_ERR_SERIAL" in done.stderr
    silent = Wire(["sleep", "60"])
    try:
        done = baton("push", "--port", silent.device, "new.img", code=1)
        assert "BATON_ERR_NO_REPL" in done.stderr
    finally:
        silent.close()
    baton("push", "new.img", code=2)
    assert "Example" in baton("push", "--help", code=0).stdout
