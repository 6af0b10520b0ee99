# The core in the ESP32's instruction set and calling convention: compiled by
# the native module's own way, run by qemu-xtensa, against the same program on
# this machine.
# SPDX-License-Identifier: MIT
import hashlib
import shutil
import struct
import subprocess

import pytest

from flash_helpers import image

FLAGS = ["-std=c11", "-ffreestanding", "-fno-common", "-Iinclude", "-Icore"]
KEPT = "run,memcpy,memset,memmove,memcmp,__muldi3"
# dc233c has no high half of a product; all else that llc uses of ESP32's it has.
FEATURES = "-fp,-loop,-mac16,-dfpaccel,-s32c1i,-bool,-mul32high"


def find_llvm():
    for version in range(25, 21, -1):
        tools = {name: f"{name}-{version}" for name in ("clang", "llc", "llvm-mc", "llvm-link", "opt")}
        if all(map(shutil.which, tools.values())):
            return tools
    return None


@pytest.fixture(scope="module")
def programs(repo, tmp_path_factory):
    """The program for this machine and for Xtensa."""
    tools = find_llvm()
    if tools is None or not shutil.which("xtensa-lx106-elf-ld") or not shutil.which("qemu-xtensa"):
        pytest.skip("clang and LLVM 22 or later, xtensa-lx106-elf-ld or qemu-xtensa is missing")
    folder = tmp_path_factory.mktemp("xtensa")

    def call(*command):
        done = subprocess.run([str(word) for word in command], cwd=repo, capture_output=True, text=True)
        assert done.returncode == 0, done
        return done.stdout.strip()

    sources = ["tests/natmod/core_on_xtensa.c", *map(str, sorted(repo.glob("core/*.c"))),
               *map(str, sorted(repo.glob("port/freestanding/*.c")))]
    native, xtensa = folder / "native", folder / "xtensa"
    call("cc", "-O1", *FLAGS, *sources, "-o", native)
    include = call(tools["clang"], "-print-resource-dir") + "/include"
    objects = []
    for number, source in enumerate(sources):
        objects.append(folder / f"{number}.bc")
        call(tools["clang"], "--target=xtensa", "-emit-llvm", "-Oz", *FLAGS, "-fno-jump-tables",
             "-fno-builtin", "-fomit-frame-pointer", "-nostdinc", "-isystem", include, "-isystem",
             "scripts/freestanding", "-c", source, "-o", objects[-1])
    call(tools["llvm-link"], *objects, "-o", folder / "linked.bc")
    call(tools["opt"], f"--internalize-public-api-list={KEPT}",
         "-passes=internalize,globaldce,default<Oz>,mergefunc,globaldce", folder / "linked.bc", "-o",
         folder / "all.bc")
    call(tools["llc"], "-mcpu=esp32", f"-mattr={FEATURES}", "--function-sections", folder / "all.bc",
         "-o", folder / "llc.s")
    repair = "micropython/natmod/xtensa.py"
    call("/usr/bin/python3", repair, "assembly", folder / "llc.s", folder / "all.s")
    with open(folder / "all.s", "a") as file:
        file.write((repo / "tests/natmod/xtensa_start.S").read_text())
    call(tools["llvm-mc"], "-triple=xtensa", "-mcpu=esp32", "-filetype=obj", folder / "all.s", "-o",
         folder / "all.o")
    call("/usr/bin/python3", repair, "object", folder / "all.o")
    call("/usr/bin/python3", repair, "settle", folder / "all.o")
    call("xtensa-lx106-elf-ld", "--no-relax", folder / "all.o", "-o", xtensa)
    return native, xtensa


@pytest.fixture
def lines(programs, baton, tmp_path):
    """Runs both on a payload, and returns what each prints, by step."""
    old = image("v1", payload=bytes(i * i >> 3 & 0xFF for i in range(30000)), size=60000)
    new = image("v2", payload=bytes(i * i >> 3 & 0xFF for i in range(31000)), size=61000)
    (tmp_path / "old").write_bytes(old)
    (tmp_path / "new").write_bytes(new)

    def run(*options):
        baton("pack", "new", *options, "-o", "payload", code=0)
        payload = (tmp_path / "payload").read_bytes()
        data = struct.pack("<III", len(old), len(payload), len(new)) + old + payload + new
        native, xtensa = programs
        here = subprocess.run([native], input=data, capture_output=True, timeout=60, check=True)
        there = subprocess.run(["qemu-xtensa", "-cpu", "dc233c", xtensa], input=data,
                               capture_output=True, timeout=300)
        assert there.returncode == 0, there
        assert there.stdout == here.stdout
        steps = {}
        for line in there.stdout.decode().splitlines():
            name, status, digest = line.split()
            steps.setdefault(name, []).append((int(status), digest))
        return steps, data, new

    return run


@pytest.mark.parametrize("options", [[], ["--from", "old"], ["--raw"], ["--from", "old", "--profile", "M"]])
def test_same_as_here(lines, options):
    steps, data, new = lines(*options)
    digest = hashlib.sha256(new).hexdigest()
    assert steps["input"] == [(0, hashlib.sha256(data).hexdigest())]
    assert [status for status, _ in steps["signed"] + steps["forged"]] == [0, -300]
    assert steps["decode"] == [(0, digest)]
    assert steps["write"][0][0] == steps["end"][0][0] == steps["verify"][0][0] == 0
    assert steps["verify"][0][1] == hashlib.sha256(new[-32:]).hexdigest()
    assert steps["damaged"][0][0] == -228
    assert [status for status, _ in steps["switch"]] == [0] * 5
    assert steps["other"][0][0] == -286
    assert steps["confirm"][0][0] <= 0 and len(steps["trial"]) == 4
