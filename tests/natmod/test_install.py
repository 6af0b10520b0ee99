# baton install, and mpremote's mip with the same packages, into the virtual
# ESP32 at the end of a serial line.
# SPDX-License-Identifier: MIT
import json
import subprocess
import sys

import pytest

from test_push import Device
from wire import Wire

MPREMOTE = "tools/mpremote/mpremote.py"


@pytest.fixture
def device(baton_path, tmp_path):
    device = Device(baton_path, tmp_path)
    device.start()
    yield device
    device.stop()


@pytest.fixture
def packages(repo, natmod):
    natmod("x64", "full")
    return repo / "build" / "packages"


def install(device, *args, code=0):
    done = subprocess.run([device.baton, "install", "--port", device.wire.device, *map(str, args)],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == code, f"{done} {device.wire.text()[-2000:]}"
    return done


def check_files(device, packages, name):
    for target, _ in json.loads((packages / name / "package.json").read_text())["urls"]:
        there = device.folder / "fs" / "lib" / target
        assert there.read_bytes() == (packages / name / target).read_bytes()


@pytest.mark.parametrize("size", ["small-", ""])
def test_picks_the_package_by_the_firmware(device, packages, size):
    done = install(device, "-v", *["--small"] * bool(size))
    assert "for x64" in done.stdout and done.stderr == ""
    check_files(device, packages, f"baton-{size}x64")
    # Once more over what is there.
    assert install(device, *["--small"] * bool(size)).stdout == ""
    check_files(device, packages, f"baton-{size}x64")


def test_removes_what_an_installation_before_left(device, packages, repo):
    """Its files, which are in parts.bin now; nobody else's."""
    folder = device.folder / "fs" / "lib" / "baton"
    folder.mkdir(parents=True)
    names = [path.stem for path in (repo / "micropython" / "package" / "baton").glob("*.py")]
    for name in names:
        (folder / f"{name}.mpy").write_bytes(b"M\x06old")
    (folder / "mine.mpy").write_bytes(b"mine")
    install(device)
    assert sorted(path.name for path in folder.iterdir()) == [
        "__init__.mpy", "errors.txt", "mine.mpy", "parts.bin"]
    check_files(device, packages, "baton-x64")


def test_waits_for_a_board_that_boots(device, packages):
    """What the tries before have sent is still in the line when the prompt comes."""
    device.stop()
    boots = 'stty raw -echo; echo boots; sleep 4; exec "$0" "$@"'
    device.wire = Wire(["sh", "-c", boots, device.baton, "sim", "--flash", "dev.bin", "--fs", "fs",
                        "--timeout", "100"], cwd=device.folder)
    device.wait_for("boots")
    install(device, "--small")
    check_files(device, packages, "baton-small-x64")


def test_goes_on_where_bytes_were_lost(device, packages):
    lost = []

    def damage(at, data):
        if at > 20000 and not lost:
            lost.append(at)
            return data[1:]
        return data

    device.wire.damage = damage
    install(device, "--small")
    assert lost
    check_files(device, packages, "baton-small-x64")


def test_refusals(device, packages, tmp_path):
    empty = tmp_path / "none"
    empty.mkdir()
    done = install(device, "--packages", empty, code=1)
    assert "BATON_ERR_PACKAGE" in done.stderr and "it runs MicroPython" in done.stderr
    # Neither files from elsewhere nor files to elsewhere.
    for pair in (["../boot.py", "x"], ["/boot.py", "x"], ["x", "../../dev.bin"], ["x"], ["x", "http://x"]):
        folder = empty / "baton-x64"
        folder.mkdir(exist_ok=True)
        (folder / "x").write_text("x")
        (folder / "package.json").write_text(json.dumps({"urls": [["y", "x"], pair]}))
        assert "BATON_ERR_PACKAGE" in install(device, "--packages", empty, code=1).stderr
    for name in ("../boot.py", "/boot.py", 5):
        (folder / "package.json").write_text(json.dumps({"urls": [["y", "x"]], "obsolete": ["z", name]}))
        assert "BATON_ERR_PACKAGE" in install(device, "--packages", empty, code=1).stderr
    (device.folder / "fs" / "lib" / "y").unlink()
    (device.folder / "fs" / "lib").rmdir()
    assert list((device.folder / "fs").rglob("*")) == []
    # A module that does not load is told at once.
    (folder / "package.json").write_text(json.dumps({"urls": [["_baton.mpy", "x"]]}))
    done = install(device, "--packages", empty, code=1)
    assert "BATON_ERR_DEVICE" in done.stderr and "Error" in done.stderr


@pytest.mark.parametrize("by", ["index", "address"])
def test_mip_installs_the_same(device, packages, http_server, repo, by):
    source = subprocess.run([repo / "scripts" / "micropython", "source"], capture_output=True,
                            text=True, check=True).stdout.strip()
    server = http_server(packages)
    what = (["--index", server.url + "/index", "baton-x64"] if by == "index"
            else [server.url + "/baton-x64/package.json"])
    (device.folder / "fs" / "lib").mkdir()
    done = subprocess.run([sys.executable, f"{source}/{MPREMOTE}", "connect", device.wire.device,
                           "resume", "mip", "install", "--target", "/lib", *what],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{done} {device.wire.text()[-2000:]}"
    check_files(device, packages, "baton-x64")
