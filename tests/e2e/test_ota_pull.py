# examples/micropython/ota_pull.py on the virtual board, against a real web
# server: what a user of stock MicroPython gets.
# SPDX-License-Identifier: MIT
import json
import shutil

import pytest

from flash_helpers import bootloader, image, table

ADDRESS = "192.168.4.2:8000"  # in the script
SIZE = 60000


class Device:
    """A board with the example scripts, and the folder a server serves."""

    def __init__(self, baton, http_server, repo, folder):
        self.baton = baton
        self.www = folder / "www"
        self.fs = folder / "fs"
        self.www.mkdir()
        self.fs.mkdir()
        for name in ("boot.py", "ota_pull.py"):
            shutil.copy(repo / "examples" / "micropython" / name, self.fs)
        (folder / "old.img").write_bytes(image("v1", size=SIZE))
        baton("flash", "make", "--layout", "micropython-4mib-ota", "--ota_0",
              "old.img", "-o", "dev.bin", code=0)
        self.server = http_server(self.www)

    def publish(self, data):
        (self.www / "firmware.app-bin").write_bytes(data)

    def start(self, *options, code=0):
        """One power-on; returns the report and what the scripts printed."""
        done = self.baton(
            "sim", "--flash", "dev.bin", "--fs", self.fs, "--no-repl", "--json",
            "--max-boots", "8", "--timeout", "100", "--map",
            f"{ADDRESS}=127.0.0.1:{self.server.port}", *options, code=code)
        *console, report = done.stdout.splitlines()
        return json.loads(report), "\n".join(console)


@pytest.fixture
def device(baton, http_server, repo, tmp_path, micropython):
    return Device(baton, http_server, repo, tmp_path)


def erases(report):
    return report["sector_erases"] + report["block_erases"]


def test_updates_once_and_back(device):
    device.publish(image("v2", size=SIZE))
    report, console = device.start()
    assert (report["slot"], report["version"], report["state"]) == ("ota_1", "v2", "VALID")
    assert "switched; restarting" in console
    assert report["boots"] == 2

    # Nothing new: one request, nothing written.
    report, console = device.start()
    assert "up to date" in console
    assert report["operations"] == 0

    device.publish(image("v3", size=SIZE))
    report, _ = device.start()
    assert (report["slot"], report["version"], report["state"]) == ("ota_0", "v3", "VALID")


def test_a_build_that_was_rolled_back_is_not_tried_again(device):
    # The new version never reaches the server: it cannot confirm itself.
    device.publish(image("v2", size=SIZE))
    broken = "import os\nif os.uname().version.startswith('v2'): import machine; machine.reset()\n"
    path = device.fs / "boot.py"
    path.write_text(broken + path.read_text())
    report, console = device.start()
    assert (report["slot"], report["version"], report["state"]) == ("ota_0", "v1", "VALID")
    assert "tried and rolled back: not again" in console

    # Another build is another chance.
    device.publish(image("v3", size=SIZE))
    report, _ = device.start()
    assert (report["slot"], report["version"]) == ("ota_1", "v3")


WRONG_FILES = {
    "bootloader": bootloader(),
    "merged .bin": b"\xff" * 0x1000 + bootloader(),
    "partition table": table([("a", 0, 0x10, 0x10000, 0x10000)]).ljust(4096, b"\xff"),
    "web page": b"\n<!DOCTYPE html><title>404</title>" + bytes(5000),
    "empty": b"",
    "cut short": image("v2", size=SIZE)[:1000],
    "gzip": b"\x1f\x8b\x08" + bytes(9000),
    "ELF": b"\x7fELF" + bytes(9000),
    "another chip": image("v2", chip="esp32c3", size=SIZE),
    "do not fit": image("v2", size=0x180000 + 4096),
}


@pytest.mark.parametrize("kind", WRONG_FILES)
def test_wrong_files_are_refused_before_the_first_erase(device, kind):
    device.publish(image("v1", size=SIZE))
    device.start()  # settles the first record and NVS
    device.publish(WRONG_FILES[kind])
    report, console = device.start()
    assert "no update:" in console and kind in console
    assert erases(report) == 0
    assert (report["slot"], report["version"]) == ("ota_0", "v1")


def test_a_truncated_image_is_never_booted(device):
    device.publish(image("v2", size=SIZE)[:-1000])
    report, console = device.start()
    assert "no update: the image is damaged or cut short" in console
    assert (report["slot"], report["version"], report["boots"]) == ("ota_0", "v1", 1)
    # The whole file is no build that was tried and rolled back.
    device.publish(image("v2", size=SIZE))
    report, _ = device.start()
    assert (report["slot"], report["version"]) == ("ota_1", "v2")


def test_without_network_or_server(device):
    path = device.fs / "ota_pull.py"
    text = path.read_text()
    assert "WIFI_TIMEOUT_S = 20\n" in text
    path.write_text(text.replace("WIFI_TIMEOUT_S = 20\n", "WIFI_TIMEOUT_S = 2\n"))
    report, console = device.start("--wifi", "no-ap")
    assert "no update: no Wi-Fi" in console
    assert report["boots"] == 1
    device.server.stop()
    report, console = device.start()
    assert "no update:" in console
    assert report["boots"] == 1
