"""Images compared with the vendor's esptool: what it reads of ours, what we
read of its, and that both make the same bytes of a program."""

# SPDX-License-Identifier: MIT
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from esptool.cmds import elf2image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))
from image_helpers import (  # noqa: E402
    RISCV, XTENSA, descriptor, make_elf, noise)

TOOLS = Path(sys.executable).parent

# Chips with their flash-mapped windows and RAM for code and for data.
XTENSA_CHIPS = {
    "esp32": (0x3F400000, 0x400D0000, 0x40080000, 0x3FFB0000),
    "esp32s2": (0x3F000000, 0x40080000, 0x40028000, 0x3FFC0000),
    "esp32s3": (0x3C000000, 0x42000000, 0x40374000, 0x3FC90000),
}
RISCV_CHIPS = {
    "esp32c2": (0x3C000000, 0x42000000, 0x40380000, 0x3FCB0000),
    "esp32c3": (0x3C000000, 0x42000000, 0x40380000, 0x3FC90000),
    "esp32c5": (0x42000000, 0x42100000, 0x40800000, 0x40820000),
    "esp32c6": (0x42000000, 0x42100000, 0x40800000, 0x40820000),
    "esp32c61": (0x42000000, 0x42100000, 0x40800000, 0x40820000),
    "esp32h2": (0x42000000, 0x42100000, 0x40800000, 0x40820000),
    "esp32p4": (0x40000000, 0x40100000, 0x4FF00000, 0x4FF40000),
}
CHIPS = {**XTENSA_CHIPS, **RISCV_CHIPS}

# What stands for the slowest header byte on each chip.
PLAIN_FREQUENCY = {"esp32c2": "30m", "esp32c6": "80m", "esp32h2": "24m"}


def make_with_esptool(chip, elf):
    """elf2image with the settings that are our defaults. Called, not run: that
    saves half a second each time."""
    return elf2image(str(elf), chip, flash_mode="dio", flash_size="4MB",
                     flash_freq=PLAIN_FREQUENCY.get(chip, "40m"))


def machine_of(chip):
    return XTENSA if chip in XTENSA_CHIPS else RISCV


def run(tool, *arguments, cwd):
    done = subprocess.run([str(TOOLS / tool), *map(str, arguments)], cwd=cwd,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read_with_esptool(path, chip):
    """esptool's own words: segments, and that checksum and digest are right."""
    out = run("esptool", "--chip", chip, "image-info", path, cwd=path.parent)
    assert re.search(r"^Checksum: 0x\w+ \(valid\)", out, re.M), out
    segments = re.findall(
        r"^ +\d+  0x(\w+)  0x(\w+)  0x(\w+)", out, re.M)
    return out, [(int(addr, 16), int(size, 16), int(off, 16) + 8)
                 for size, addr, off in segments]


def told_by_baton(baton, path, code=0):
    return json.loads(
        baton("image", "info", "--json", path, code=code).stdout)


def compare(baton, path, chip):
    out, segments = read_with_esptool(path, chip)
    told = told_by_baton(baton, path)
    assert told["chip"] == chip
    assert [(s["load_addr"], s["len_bytes"], s["data_off"])
            for s in told["segments"]] == segments
    if told["digest"] is not None:
        assert f"Validation hash: {told['digest']} (valid)" in out
    entry = re.search(r"Entry point: 0x(\w+)", out)
    assert told["entry_addr"] == (int(entry[1], 16) if entry else 0)
    return out, told


@pytest.mark.parametrize("chip", CHIPS)
def test_payload_images(baton, tmp_path, chip):
    (tmp_path / "blob").write_bytes(noise(100000))
    for extra in ([], ["--no-digest"]):
        baton("image", "make", "--chip", chip, "--payload", "blob",
              "--app-version", "v1.26.1", "--project", "micropython",
              "--date", "Sep 11 2025", "--time", "12:00:00",
              "--idf-version", "v5.5.1", "--secure-version", "3",
              "--min-rev", "0.1", "--max-rev", "1.99", *extra,
              "-o", "x.bin", code=0)
        out, told = compare(baton, tmp_path / "x.bin", chip)
        assert "Project name: micropython\n" in out
        assert "App version: v1.26.1\n" in out
        assert "Compile time: Sep 11 2025 12:00:00\n" in out
        assert "ESP-IDF: v5.5.1\n" in out
        assert "Secure version: 3" in out
        assert "Minimal chip revision: v0.1" in out
        assert "Maximal chip revision: v1.99" in out
        assert f"SHA256: {told['descriptor']['elf_sha256']}\n" in out


def programs(chip):
    """Programs of several shapes. The last part of each name says what is
    special."""
    data, code, iram, dram = CHIPS[chip]
    rodata = [(".flash.appdesc", data + 0x20, descriptor()),
              (".flash.rodata", data + 0x120, noise(1000, 1))]
    text = (".flash.text", code + 0x20, noise(70000, 2))
    yield "plain", [*rodata, text,
                    (".iram0.text", iram, noise(20000, 3)),
                    (".dram0.data", dram, noise(3000, 4)),
                    (".dram0.bss", dram + 3000, 500)]
    yield "no RAM", [*rodata, text]
    yield "little RAM", [*rodata, text, (".dram0.data", dram, b"1234")]
    yield "much RAM", [*rodata, text,
                       (".iram0.text", iram, noise(100001, 5)),
                       (".dram0.data", dram, noise(90002, 6))]
    yield "text first in the file", [text, (".dram0.data", dram, noise(77, 7)),
                                     *rodata]
    yield "touching sections", [
        *rodata, text, (".iram0.vectors", iram, noise(1024, 8)),
        (".iram0.text", iram + 1024, noise(999, 9)),
        (".iram0.data", iram + 2024, noise(5, 10))]
    for past in (0x1C, 0x20, 0x24, 0x28):
        big = noise(0x10000 - 0x120 + past, 11)
        yield f"ends at {past:#x} of a page", [
            rodata[0], (".flash.rodata", data + 0x120, big), text]


@pytest.mark.parametrize("chip", CHIPS)
def test_same_bytes_as_elf2image(baton, tmp_path, chip):
    for name, sections in programs(chip):
        elf = tmp_path / "firmware.elf"
        elf.write_bytes(make_elf(machine_of(chip), sections))
        baton("image", "make", "--chip", chip, "--elf", elf, "-o", "ours.bin",
              code=0)
        ours = tmp_path / "ours.bin"
        assert ours.read_bytes() == make_with_esptool(chip, elf), name
        baton("image", "check", "--chip", chip, ours, code=0)
        if name == "plain":
            compare(baton, ours, chip)


@pytest.mark.parametrize("chip", CHIPS)
def test_program_without_descriptor(baton, tmp_path, chip):
    elf = tmp_path / "firmware.elf"
    _, code, iram, _ = CHIPS[chip]
    elf.write_bytes(make_elf(machine_of(chip), [
        (".flash.text", code + 0x20, noise(5000, 2)),
        (".iram0.text", iram, noise(2000, 3))]))
    baton("image", "make", "--chip", chip, "--elf", elf, "--app-version",
          "v7", "-o", "x.bin", code=0)
    out, _ = compare(baton, tmp_path / "x.bin", chip)
    assert "App version: v7\n" in out


@pytest.mark.parametrize("chip,page", [
    ("esp32c2", 16384), ("esp32c2", 32768), ("esp32c6", 8192),
    ("esp32c6", 32768), ("esp32h2", 16384), ("esp32c61", 8192)])
def test_smaller_pages(baton, tmp_path, chip, page):
    """Said by the descriptor, and guessed where an old one does not say."""
    data, code, iram, _ = CHIPS[chip]
    for said in (page.bit_length() - 1, 0):
        elf = tmp_path / "firmware.elf"
        elf.write_bytes(make_elf(RISCV, [
            (".flash.appdesc", data + page + 0x20, descriptor(mmu_page=said)),
            (".flash.text", code + 3 * page + 0x20, noise(9000, 2)),
            (".iram0.text", iram, noise(2000, 3))]))
        baton("image", "make", "--chip", chip, "--elf", elf, "-o", "ours.bin",
              code=0)
        theirs = make_with_esptool(chip, elf)
        assert (tmp_path / "ours.bin").read_bytes() == theirs
        compare(baton, tmp_path / "ours.bin", chip)


def make_bootloader(tmp_path, chip):
    """A program for RAM alone, as esptool makes bootloaders."""
    _, _, iram, dram = CHIPS[chip]
    elf = tmp_path / "bootloader.elf"
    elf.write_bytes(make_elf(machine_of(chip), [
        (".iram.text", iram, noise(9000, 1)),
        (".dram0.data", dram, noise(4000, 2))]))
    run("esptool", "--chip", chip, "elf2image", "-o", "bootloader.bin", elf,
        cwd=tmp_path)
    return tmp_path / "bootloader.bin"


@pytest.mark.parametrize("chip,bootloader_addr,target", [
    ("esp32", 0x1000, 0x0), ("esp32", 0x1000, 0x1000), ("esp32s3", 0, 0),
    ("esp32c3", 0, 0), ("esp32c6", 0, 0), ("esp32p4", 0x2000, 0x0),
    ("esp32p4", 0x2000, 0x2000)])
def test_merged_files(baton, tmp_path, chip, bootloader_addr, target):
    bootloader = make_bootloader(tmp_path, chip)
    told = told_by_baton(baton, bootloader, code=1)
    assert told["kind"] == "bootloader" and told["chip"] == chip
    (tmp_path / "blob").write_bytes(noise(50000))
    baton("image", "make", "--chip", chip, "--payload", "blob",
          "--app-version", "v1.26.1", "-o", "app.bin", code=0)
    (tmp_path / "p.csv").write_text(
        "otadata, data, ota, 0xd000, 0x2000\n"
        "ota_0, app, ota_0, 0x10000, 1M\nota_1, app, ota_1, , 1M\n")
    baton("table", "make", "p.csv", "-o", "table.bin", code=0)
    run("esptool", "--chip", chip, "merge-bin", "-o", "merged.bin",
        "--target-offset", hex(target), hex(bootloader_addr), bootloader,
        "0x8000", "table.bin", "0x10000", "app.bin", cwd=tmp_path)
    told = told_by_baton(baton, tmp_path / "merged.bin", code=1)
    assert told["kind"] == "merged"
    assert told["flash_base"] == target
    assert told["bootloader"]["off"] == bootloader_addr - target
    [app] = told["applications"]
    assert app["label"] == "ota_0" and app["ok"]
    assert app["off"] == 0x10000 - target
    assert app["version"] == "v1.26.1"
    done = baton("image", "check", "--chip", chip, "merged.bin", code=1)
    assert "BATON_ERR_IS_MERGED" in done.stderr


@pytest.mark.parametrize("scheme,name", [
    ("rsa3072", "RSA-3072"), ("ecdsa256", "ECDSA P-256"),
    ("ecdsa192", "ECDSA P-192"), ("ecdsa384", "ECDSA P-384")])
def test_signed_images(baton, tmp_path, scheme, name):
    """Secure Boot v2 as espsecure signs it, once and twice."""
    (tmp_path / "blob").write_bytes(noise(9000))
    baton("image", "make", "--chip", "esp32c3", "--payload", "blob", "-o",
          "app.bin", code=0)
    for key in ("1.pem", "2.pem"):
        run("espsecure", "generate-signing-key", "--version", "2", "--scheme",
            scheme, key, cwd=tmp_path)
    run("espsecure", "sign-data", "--version", "2", "--keyfile", "1.pem",
        "-o", "signed.bin", "app.bin", cwd=tmp_path)
    run("espsecure", "sign-data", "--version", "2", "--append-signatures",
        "--keyfile", "2.pem", "-o", "twice.bin", "signed.bin", cwd=tmp_path)
    block = {"scheme": name, "crc_ok": True, "digest_ok": True}
    for path, count in (("signed.bin", 1), ("twice.bin", 2)):
        told = told_by_baton(baton, tmp_path / path)
        assert told["signature"]["blocks"] == [block] * count
        assert told["signature"]["off"] % 4096 == 0
    data = bytearray((tmp_path / "signed.bin").read_bytes())
    data[told_by_baton(baton, tmp_path / "app.bin")["image_bytes"]] ^= 1
    (tmp_path / "patched.bin").write_bytes(data)
    told = told_by_baton(baton, tmp_path / "patched.bin")
    assert told["signature"]["blocks"] == [{**block, "digest_ok": False}]
