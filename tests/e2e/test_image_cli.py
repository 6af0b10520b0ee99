"""baton image info, check and make, as a person or a script uses them."""

# SPDX-License-Identifier: MIT
import gzip
import hashlib
import json
import struct
import subprocess
import zipfile
import zlib

import pytest

from image_helpers import RISCV, XTENSA, descriptor, make_elf, noise

BANNER = (b"\0MicroPython v1.25.0 on 2025-04-15; Generic ESP32 module with "
          b"ESP32\r\n\0")


@pytest.fixture
def blob(tmp_path):
    path = tmp_path / "blob.bin"
    path.write_bytes(noise(70001))
    return path


@pytest.fixture
def image(baton, blob, tmp_path):
    """The first command of the issue."""
    baton("image", "make", "--chip", "esp32", "--payload", blob,
          "--app-version", "v1.26.1", "--project", "micropython",
          "--date", "Sep 11 2025", "--time", "12:00:00", "-o", "new.app-bin",
          code=0)
    return tmp_path / "new.app-bin"


def info(baton, path, code=0, **options):
    done = baton("image", "info", "--json", path, code=code, **options)
    assert done.stderr == ""
    return json.loads(done.stdout)


def is_right(data):
    """The rules of the format, once more and by themselves."""
    at = 24
    checksum = 0xEF
    for _ in range(data[1]):
        length = struct.unpack_from("<I", data, at + 4)[0]
        for byte in data[at + 8:at + 8 + length]:
            checksum ^= byte
        at += 8 + length
    end = (at + 16) // 16 * 16
    digest = hashlib.sha256(data[:end]).digest()
    return (data[end - 1] == checksum and data[end:end + 32] == digest
            and len(data) == end + 32)


# ---- make ------------------------------------------------------------------

def test_make_payload(baton, image, blob):
    data = image.read_bytes()
    payload = blob.read_bytes()
    assert is_right(data)
    assert data[0x120:0x120 + len(payload)] == payload
    told = info(baton, image)
    assert told["ok"] and told["kind"] == "application"
    assert told["chip"] == "esp32"
    assert told["version"] == "v1.26.1"
    assert told["version_from"] == "descriptor"
    assert told["project"] == "micropython"
    assert told["descriptor"]["date"] == "Sep 11 2025"
    assert told["descriptor"]["time"] == "12:00:00"
    assert told["descriptor"]["elf_sha256"] == (
        hashlib.sha256(payload).hexdigest())
    assert told["sha256"] == hashlib.sha256(data).hexdigest()
    assert told["image_bytes"] == len(data) == told["size_bytes"]
    assert told["digest"] == data[-32:].hex()
    assert told["checksum_ok"] and told["digest_ok"]
    assert told["trailing_bytes"] == 0
    assert told["error"] is None


ELF_SECTIONS = [
    (".flash.text", 0x42010020, noise(3001, 2)),
    (".flash.appdesc", 0x3C000020, descriptor()),
    (".flash.rodata", 0x3C000120, noise(500, 3)),
    (".iram0.text", 0x40380000, noise(1000, 4)),
    (".dram0.data", 0x3FC80000, noise(77, 5)),
    (".dram0.bss", 0x3FC90000, 4096),
]


@pytest.fixture
def elf(tmp_path):
    path = tmp_path / "firmware.elf"
    path.write_bytes(make_elf(RISCV, ELF_SECTIONS, entry=0x40380010))
    return path


def loaded_bytes(path, told):
    """What ends up at each address, by the segments that info lists."""
    data = path.read_bytes()
    memory = {}
    for segment in told["segments"]:
        if segment["memory"] != "padding":
            content = data[segment["data_off"]:][:segment["len_bytes"]]
            for i, byte in enumerate(content):
                memory[segment["load_addr"] + i] = byte
    return memory


def test_make_from_elf(baton, elf, tmp_path):
    """The second command of the issue: fields of the ELF's own descriptor stay
    but for those that options give."""
    baton("image", "make", "--chip", "esp32c3", "--elf", elf, "--app-version",
          "v1.26.1", "-o", "new.app-bin", code=0)
    made = tmp_path / "new.app-bin"
    told = info(baton, made)
    assert is_right(made.read_bytes())
    assert told["chip"] == "esp32c3"
    assert told["entry_addr"] == 0x40380010
    assert told["version"] == "v1.26.1"
    assert told["project"] == "own"
    assert told["descriptor"]["date"] == "Jan  2 2024"
    assert told["descriptor"]["max_block_revision"] == 199
    assert told["descriptor"]["elf_sha256"] == (
        hashlib.sha256(elf.read_bytes()).hexdigest())
    memory = loaded_bytes(made, told)
    for name, address, content in ELF_SECTIONS:
        if name not in (".flash.appdesc", ".dram0.bss"):
            found = bytes(memory[address + i] for i in range(len(content)))
            assert found == content, name
    assert [s["memory"] for s in told["segments"]] == [
        "flash_data", "dram", "iram", "padding", "flash_code"]


def test_make_ram_program(baton, tmp_path):
    """A bare board's program gets a descriptor in front and stays as it is."""
    code = noise(9999, 6) + BANNER
    (tmp_path / "bare.elf").write_bytes(make_elf(
        RISCV, [(".text", 0x80000000, code), (".data", 0x80400000, b"data")],
        entry=0x80000000))
    baton("image", "make", "--chip", "esp32c3", "--elf", "bare.elf",
          "-o", "bare.app-bin", code=0)
    told = info(baton, "bare.app-bin")
    assert [(s["load_addr"], s["len_bytes"]) for s in told["segments"]] == [
        (0x3C000020, 256), (0x80000000, (len(code) + 3) // 4 * 4),
        (0x80400000, 4)]
    assert told["version"] == "v1.25.0"
    assert told["version_from"] == "text"
    assert told["names"] == {
        "system": "MicroPython", "version": "v1.25.0", "date": "2025-04-15",
        "board": "Generic ESP32 module", "chip": "ESP32"}


@pytest.mark.parametrize("chip,machine", [
    ("esp32", XTENSA), ("esp32s2", XTENSA), ("esp32s3", XTENSA),
    ("esp32c2", RISCV), ("esp32c3", RISCV), ("esp32c5", RISCV),
    ("esp32c6", RISCV), ("esp32c61", RISCV), ("esp32h2", RISCV),
    ("esp32h21", RISCV), ("esp32h4", RISCV), ("esp32p4", RISCV),
    ("esp32s31", RISCV)])
def test_every_chip(baton, blob, tmp_path, chip, machine):
    baton("image", "make", "--chip", chip, "--payload", blob, "-o", "p.bin",
          code=0)
    assert info(baton, "p.bin")["chip"] == chip
    (tmp_path / "ram.elf").write_bytes(
        make_elf(machine, [(".text", 0x4FF00010, b"1234567")]))
    baton("image", "make", "--chip", chip, "--elf", "ram.elf", "-o", "e.bin",
          code=0)
    assert info(baton, "e.bin")["segments"][1]["load_addr"] == 0x4FF00010
    other = XTENSA + RISCV - machine
    (tmp_path / "other.elf").write_bytes(
        make_elf(other, [(".text", 0x4FF00010, b"1234567")]))
    done = baton("image", "make", "--chip", chip, "--elf", "other.elf",
                 "-o", "no.bin", code=1)
    assert "BATON_ERR_ELF_MACHINE" in done.stderr
    assert not (tmp_path / "no.bin").exists()


def test_make_options(baton, blob):
    baton("image", "make", "--chip", "esp32c6", "--payload", blob,
          "--idf-version", "v5.5.1", "--secure-version", "7",
          "--min-rev", "0.1", "--max-rev", "v1.99", "--flash-mode", "qio",
          "--flash-freq", "20m", "--flash-size", "8MB", "--mmu-page", "32K",
          "--no-digest", "-o", "x.bin", code=0)
    told = info(baton, "x.bin")
    assert told["descriptor"]["idf_version"] == "v5.5.1"
    assert told["descriptor"]["secure_version"] == 7
    assert told["descriptor"]["mmu_page_bytes"] == 32768
    assert told["min_revision"] == 1
    assert told["max_revision"] == 199
    assert told["flash_mode"] == "qio"
    assert told["flash_frequency"] == "20m"
    assert told["flash_size"] == "8MB"
    assert told["digest"] is None and told["digest_ok"] is None


def test_make_is_reproducible(baton, blob, elf, tmp_path):
    """Without a date given, the same input makes the same image; with
    SOURCE_DATE_EPOCH that is the date."""
    for name, source in (("p", ["--payload", blob]), ("e", ["--elf", elf])):
        for i in (1, 2):
            baton("image", "make", "--chip", "esp32c3", *source, "-o",
                  f"{name}{i}.bin", code=0, env={})
        assert ((tmp_path / f"{name}1.bin").read_bytes()
                == (tmp_path / f"{name}2.bin").read_bytes())
    assert info(baton, "p1.bin")["descriptor"]["date"] is None
    baton("image", "make", "--chip", "esp32c3", "--payload", blob, "-o",
          "dated.bin", code=0, env={"SOURCE_DATE_EPOCH": "1757592000"})
    dated = info(baton, "dated.bin")["descriptor"]
    assert (dated["date"], dated["time"]) == ("Sep 11 2025", "12:00:00")
    # What the ELF says of itself is not overwritten by it.
    baton("image", "make", "--chip", "esp32c3", "--elf", elf, "-o",
          "kept.bin", code=0, env={"SOURCE_DATE_EPOCH": "1757592000"})
    assert info(baton, "kept.bin")["descriptor"]["date"] == "Jan  2 2024"


def test_make_full_fields(baton, blob):
    """A field of 32 bytes has no terminator; one more is refused."""
    text = "x" * 32
    baton("image", "make", "--chip", "esp32", "--payload", blob,
          "--app-version", text, "--date", "d" * 16, "-o", "x.bin", code=0)
    told = info(baton, "x.bin")
    assert told["version"] == text
    assert told["descriptor"]["date"] == "d" * 16
    for option in ("--app-version", "--project", "--idf-version"):
        baton("image", "make", "--chip", "esp32", "--payload", blob, option,
              text + "x", "-o", "y.bin", code=2)


def test_make_to_standard_output(baton, blob, image):
    done = baton("image", "make", "--chip", "esp32", "--payload", "-",
                 "--app-version", "v1.26.1", "--project", "micropython",
                 "--date", "Sep 11 2025", "--time", "12:00:00", "-o", "-",
                 code=0, text=False, input=blob.read_bytes())
    assert done.stdout == image.read_bytes()


def test_make_json(baton, blob):
    done = baton("image", "make", "--chip", "esp32", "--payload", blob, "-o",
                 "x.bin", "--json", code=0)
    assert json.loads(done.stdout) == info(baton, "x.bin")


@pytest.mark.parametrize("arguments", [
    [], ["--chip", "esp32"], ["--chip", "esp32", "--payload", "blob.bin"],
    ["--payload", "blob.bin", "-o", "x"],
    ["--chip", "esp8266", "--payload", "blob.bin", "-o", "x"],
    ["--chip", "esp32", "--payload", "blob.bin", "--elf", "e", "-o", "x"],
    ["--chip", "esp32", "--payload", "blob.bin", "-o", "x", "more"],
    ["--chip", "esp32", "--payload", "blob.bin", "-o", "x", "--flash-mode",
     "dia"],
    ["--chip", "esp32c2", "--payload", "blob.bin", "-o", "x", "--flash-freq",
     "80m"],
    ["--chip", "esp32", "--payload", "blob.bin", "-o", "x", "--mmu-page",
     "32K"],
    ["--chip", "esp32", "--payload", "blob.bin", "-o", "x", "--min-rev",
     "3.x"],
    ["--chip", "esp32", "--payload", "blob.bin", "-o", "x",
     "--secure-version", "-1"],
    ["--chip", "esp32", "--payload", "blob.bin", "-o", "x", "--nonsense"]])
def test_make_usage(baton, blob, tmp_path, arguments):
    baton("image", "make", *arguments, code=2)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("content,name", [
    (b"", "ELF_FORMAT"), (b"\x7fELF", "ELF_FORMAT"),
    (make_elf(RISCV, [(".bss", 0x80000000, 400)]), "ELF_EMPTY"),
    (make_elf(RISCV, [(".a", 0x80000000, b"12345"),
                      (".b", 0x80000004, b"12345")]), "ELF_LAYOUT"),
    (make_elf(RISCV, [(f".{i}", 0x80000000 + 256 * i, b"1234")
                      for i in range(16)]), "ELF_LAYOUT")])
def test_make_refuses(baton, tmp_path, content, name):
    (tmp_path / "bad.elf").write_bytes(content)
    done = baton("image", "make", "--chip", "esp32c3", "--elf", "bad.elf",
                 "-o", "x.bin", code=1)
    assert f"BATON_ERR_{name}" in done.stderr
    assert not (tmp_path / "x.bin").exists()


# ---- Files that are something else -----------------------------------------

def bootloader():
    """RAM segments alone, with the descriptor of newer bootloaders."""
    head = struct.pack("<B2xBI32s24s16x", 0x50, 0, 1, b"v5.4.1",
                       b"Apr  1 2025 10:00:00")
    body = head + noise(3000, 7)
    body += b"\0" * (-len(body) % 4)
    data = struct.pack("<BBBBIB3xHBHH4xB", 0xE9, 1, 2, 0x20, 0x40380000, 0xEE,
                       5, 0, 0, 99, 1)
    data += struct.pack("<II", 0x3FCD5820, len(body)) + body
    checksum = 0xEF
    for byte in body:
        checksum ^= byte
    data += b"\0" * (15 - len(data) % 16) + bytes([checksum])
    return data + hashlib.sha256(data).digest()


@pytest.fixture
def table(baton, tmp_path):
    (tmp_path / "p.csv").write_text(
        "nvs, data, nvs, 0x9000, 0x4000\n"
        "otadata, data, ota, 0xd000, 0x2000\n"
        "ota_0, app, ota_0, 0x10000, 0x20000\n"
        "ota_1, app, ota_1, 0x30000, 0x1f000\n")
    baton("table", "make", "p.csv", "-o", "table.bin", code=0)
    return tmp_path / "table.bin"


def merge(base, pieces):
    """A file that begins at flash address base."""
    end = max(addr + len(data) for addr, data in pieces)
    out = bytearray(b"\xFF" * (end - base))
    for addr, data in pieces:
        out[addr - base:addr - base + len(data)] = data
    return bytes(out)


OTADATA = struct.pack("<I20sII", 1, b"\xFF" * 20, 0xFFFFFFFF, 0x4743989A)

KINDS = {
    "empty": b"",
    "blank": b"\xFF" * 5000,
    "elf": make_elf(RISCV, ELF_SECTIONS),
    "gzip": gzip.compress(noise(999)),
    "html": b"\n <!DOCTYPE html><html><title>404</title>",
    "uf2": struct.pack("<II", 0x0A324655, 0x9E5D5157) + noise(504),
    "text": b"404: Not Found",
    "otadata": OTADATA + b"\xFF" * 8160,
    "bootloader": bootloader(),
    "esp8266": struct.pack("<BBBBIII", 0xE9, 1, 2, 0x40, 0x4010F000,
                           0x4010F000, 3488) + noise(3488),
}


@pytest.mark.parametrize("kind", KINDS)
def test_other_kinds(baton, tmp_path, kind):
    """Named the same by info, by check, and in JSON, each with a next step."""
    (tmp_path / "f").write_bytes(KINDS[kind])
    told = info(baton, "f", code=1)
    assert told["kind"] == kind
    assert told["ok"] is False
    code = f"BATON_ERR_IS_{kind.upper()}"
    assert told["error"]["code"] == code
    assert told["error"]["hint"]
    for command in (["info"], ["check"], ["check", "--chip", "esp32"]):
        done = baton("image", *command, "f", code=1)
        assert code in done.stderr
        assert told["error"]["message"] in done.stderr
        assert "next: " + told["error"]["hint"] in done.stderr
    done = baton("image", "check", "--json", "f", code=1)
    assert json.loads(done.stdout)["error"] == told["error"]


def test_zip(baton, tmp_path):
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as archive:
        archive.writestr("a", "b")
    assert info(baton, "f.zip", code=1)["kind"] == "zip"


def test_table(baton, table):
    told = info(baton, table, code=1)
    assert told["kind"] == "partition_table"
    assert [p["label"] for p in told["partitions"]] == [
        "nvs", "otadata", "ota_0", "ota_1"]
    done = baton("image", "info", table, code=1)
    assert "app/ota_1" in done.stdout
    assert "BATON_ERR_IS_TABLE" in done.stderr


def test_bootloader(baton, tmp_path):
    (tmp_path / "b.bin").write_bytes(KINDS["bootloader"])
    told = info(baton, "b.bin", code=1)
    assert told["chip"] == "esp32c3"
    assert told["idf_version"] == "v5.4.1"
    assert told["date"] == "Apr  1 2025 10:00:00"
    assert told["digest_ok"] is True
    # As a flashing tool leaves it.
    patched = bytearray(KINDS["bootloader"])
    patched[2] = 0
    (tmp_path / "b.bin").write_bytes(patched)
    told = info(baton, "b.bin", code=1)
    assert told["checksum_ok"] is True
    assert told["digest_ok"] is False


# A name that a printed command has to quote.
NAME = "merged file's.bin"


@pytest.mark.parametrize("base,first", [
    (0x0, 0x0), (0x0, 0x1000), (0x1000, 0x1000), (0x0, 0x2000),
    (0x2000, 0x2000)])
def test_merged(baton, image, table, tmp_path, base, first):
    """Wherever the file begins: the table is found, and the application, which
    can be cut out with the command that is printed."""
    app = image.read_bytes()
    merged = merge(base, [(first, bootloader()), (0x8000, table.read_bytes()),
                          (0xD000, OTADATA), (0x10000, app),
                          (0x30000, app[:-1] + b"!")])
    (tmp_path / NAME).write_bytes(merged)
    told = info(baton, NAME, code=1)
    assert told["kind"] == "merged"
    assert told["error"]["code"] == "BATON_ERR_IS_MERGED"
    assert told["table_off"] == 0x8000 - base
    assert told["flash_base"] == base
    assert told["bootloader"]["off"] == first - base
    assert told["bootloader"]["chip"] == "esp32c3"
    assert [a["label"] for a in told["applications"]] == ["ota_0", "ota_1"]
    inside = told["applications"][0]
    assert inside["ok"] and inside["off"] == 0x10000 - base
    assert inside["image_bytes"] == len(app)
    assert inside["version"] == "v1.26.1"
    assert told["applications"][1]["error"]["code"] == "BATON_ERR_IMAGE_DIGEST"
    done = baton("image", "info", NAME, code=1)
    command = done.stdout.strip().splitlines()[-1].strip()
    subprocess.run(command, shell=True, cwd=tmp_path, check=True)
    assert (tmp_path / "ota_0.app-bin").read_bytes() == app
    done = baton("image", "check", NAME, code=1)
    assert "BATON_ERR_IS_MERGED" in done.stderr
    assert f"offset 0x{0x10000 - base:x}, {len(app)} bytes" in done.stderr


def test_merged_without_application(baton, table, tmp_path):
    merged = merge(0, [(0, bootloader()), (0x8000, table.read_bytes())])
    (tmp_path / "f").write_bytes(merged)
    told = info(baton, "f", code=1)
    assert told["kind"] == "merged" and told["applications"] == []
    baton("image", "info", "f", code=1)


# ---- Damaged images --------------------------------------------------------

def test_damage(baton, image, tmp_path):
    good = image.read_bytes()

    def told(data):
        (tmp_path / "f").write_bytes(data)
        done = baton("image", "info", "f", code=1)
        told = info(baton, "f", code=1)
        assert told["error"]["code"] in done.stderr
        assert told["kind"] == "application"
        return told

    def flipped(at):
        return good[:at] + bytes([good[at] ^ 0x40]) + good[at + 1:]

    assert told(good[:1000])["error"]["code"] == "BATON_ERR_IMAGE_TRUNCATED"
    assert told(good[:100])["error"]["code"] == "BATON_ERR_IMAGE_TRUNCATED"
    assert told(good[:-1])["error"]["code"] == "BATON_ERR_IMAGE_TRUNCATED"
    bad = told(flipped(5000))
    assert bad["error"]["code"] == "BATON_ERR_IMAGE_CHECKSUM"
    assert bad["checksum_ok"] is False and bad["version"] == "v1.26.1"
    bad = told(flipped(len(good) - 1))
    assert bad["error"]["code"] == "BATON_ERR_IMAGE_DIGEST"
    assert bad["checksum_ok"] is True and bad["digest_ok"] is False
    assert told(flipped(24))["error"]["code"] == "BATON_ERR_IMAGE_MAPPING"


def test_trailing_bytes(baton, image, tmp_path):
    data = image.read_bytes()
    for tail, blank in ((b"\xFF" * 100, True), (b"more", False)):
        (tmp_path / "f").write_bytes(data + tail)
        told = info(baton, "f")
        assert told["image_bytes"] == len(data)
        assert told["trailing_bytes"] == len(tail)
        assert told["trailing_is_blank"] is blank


def test_signature_form(baton, image, tmp_path):
    """A Secure Boot v2 sector by its form: CRC and digest of each block."""
    data = image.read_bytes()
    data += b"\xFF" * (-len(data) % 4096)
    digest = hashlib.sha256(data).digest()
    block = (struct.pack("<BBBB", 0xE7, 2, 0, 0) + digest).ljust(1196, b"r")
    block += struct.pack("<I", zlib.crc32(block)) + b"\0" * 16
    wrong = bytearray(block)
    wrong[10] ^= 1
    sector = (block + bytes(wrong)).ljust(4096, b"\xFF")
    (tmp_path / "signed").write_bytes(data + sector)
    signature = info(baton, "signed")["signature"]
    assert signature["off"] == len(data)
    assert signature["blocks"] == [
        {"scheme": "RSA-3072", "crc_ok": True, "digest_ok": True},
        {"scheme": "RSA-3072", "crc_ok": False, "digest_ok": False}]
    out = baton("image", "info", "signed", code=0).stdout
    assert "2 blocks" in out and "NOT for this image" in out


def test_hostile_text(baton, blob):
    """What an image says of itself cannot drive a terminal or break JSON."""
    baton("image", "make", "--chip", "esp32", "--payload", blob,
          "--app-version", "\x1b[31m\"\\\u00e4", "-o", "x.bin", code=0)
    assert info(baton, "x.bin")["version"] == '?[31m"\\??'
    assert "\x1b" not in baton("image", "info", "x.bin", code=0).stdout


def test_missing_file(baton):
    done = baton("image", "info", "nowhere", code=1)
    assert "nowhere: No such file" in done.stderr
    done = baton("image", "info", "--json", "nowhere", code=1)
    assert json.loads(done.stdout)["error"]["code"] == "BATON_ERR_NOENT"
    baton("image", "info", code=2)
    baton("image", "info", "a", "b", code=2)
    for command in ("info", "check", "make"):
        done = baton("image", command, "--help", code=0)
        assert "Example:" in done.stdout and "Exit codes:" in done.stdout


# ---- check -----------------------------------------------------------------

def test_check(baton, image):
    """The command of the issue: silent when it is right."""
    done = baton("image", "check", "--chip", "esp32", "--slot-size",
                 "0x180000", image, code=0)
    assert done.stdout == "" and done.stderr == ""
    done = baton("image", "check", "-v", "--chip", "esp32", image, code=0)
    assert "ok" in done.stdout and "v1.26.1" in done.stdout


def refusal(baton, *arguments):
    done = baton("image", "check", *arguments, code=1)
    told = json.loads(
        baton("image", "check", "--json", *arguments, code=1).stdout)
    assert told["ok"] is False
    assert told["error"]["code"] in done.stderr
    return told["error"]["code"][len("BATON_ERR_IMAGE_"):]


def test_check_refuses(baton, image, blob):
    size = image.stat().st_size
    assert refusal(baton, "--chip", "esp32c3", image) == "CHIP"
    assert refusal(baton, "--slot-size", size - 1, image) == "TOO_LARGE"
    baton("image", "check", "--slot-size", size, image, code=0)
    assert refusal(baton, "--secure-version", 1, image) == "SECURE_VERSION"
    baton("image", "make", "--chip", "esp32", "--payload", blob, "--min-rev",
          "3.0", "--max-rev", "3.99", "--no-digest", "-o", "x.bin", code=0)
    assert refusal(baton, "x.bin") == "NO_DIGEST"
    allowed = ["--allow-no-digest", "x.bin"]
    baton("image", "check", *allowed, code=0)
    baton("image", "check", "--chip-rev", "3.1", *allowed, code=0)
    assert refusal(baton, "--chip-rev", "1.1", *allowed) == "REVISION"
    assert refusal(baton, "--chip-rev", "v4.0", *allowed) == "REVISION"
    data = bytearray(image.read_bytes())
    data[1000] ^= 1
    image.write_bytes(data)
    assert refusal(baton, image) == "CHECKSUM"


def test_check_table(baton, image, table, tmp_path):
    """The smallest slot limits; it may be given as CSV too."""
    for path in (table, tmp_path / "p.csv"):
        baton("image", "check", "--table", path, image, code=0)
    (tmp_path / "small.csv").write_text(
        "otadata, data, ota, 0xd000, 0x2000\n"
        "ota_0, app, ota_0, 0x10000, 0x20000\n"
        "ota_1, app, ota_1, 0x30000, 0x10000\n")
    done = baton("image", "check", "--table", "small.csv", image, code=1)
    assert "BATON_ERR_IMAGE_TOO_LARGE" in done.stderr
    assert "ota_1 has 65536" in done.stderr
    (tmp_path / "none.csv").write_text("f, app, factory, 0x10000, 1M\n")
    done = baton("image", "check", "--table", "none.csv", image, code=1)
    assert "BATON_ERR_SLOT" in done.stderr


@pytest.mark.parametrize("arguments", [
    [], ["--chip", "esp33", "f"], ["--chip-rev", "x", "f"],
    ["--slot-size", "1Q", "f"], ["--nonsense", "f"], ["a", "b"]])
def test_check_usage(baton, arguments):
    baton("image", "check", *arguments, code=2)
