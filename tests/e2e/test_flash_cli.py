# baton flash make, info and boot.
# SPDX-License-Identifier: MIT
import gzip
import hashlib
import io
import json
import struct
import zipfile

import pytest

from flash_helpers import (
    ABORTED, BLANK, INVALID, NEW, OTADATA_ADDR, PENDING, SECTOR, TABLE_ADDR,
    UNDEFINED, VALID, bootloader, get, get_records, image, put, put_records,
    record, seq_crc, table,
)

MICROPYTHON = "micropython-4mib-ota"
OTA_0, OTA_1 = 0x10000, 0x190000
SLOT_BYTES = 0x180000


@pytest.fixture
def make(baton, tmp_path):
    """Makes dev.bin of images given by partition; returns its path."""

    def run(*args, layout=MICROPYTHON, name="dev.bin", **images):
        words = []
        for partition, data in images.items():
            (tmp_path / f"{partition}.img").write_bytes(data)
            words += [f"--{partition}", f"{partition}.img"]
        source = ["--layout", layout] if layout else []
        baton("flash", "make", *source, *words, *args, "-o", name, code=0)
        return tmp_path / name

    return run


def info_of(baton, path, code=0):
    return json.loads(baton("flash", "info", path, "--json", code=code).stdout)


def boot_of(baton, path, *args, code=0):
    done = baton("flash", "boot", path, "--json", *args, code=code)
    return json.loads(done.stdout)


# ---- make ------------------------------------------------------------------


def test_make_places_everything(make, tmp_path):
    old = image("v1.26.0", size=50000)
    new = image("v1.26.1", size=70000)
    nvs = bytes(range(256)) * 16
    path = make(ota_0=old, ota_1=new, nvs=nvs)
    flash = path.read_bytes()
    expected = bytearray(b"\xff" * 0x400000)
    rows = [
        ("nvs", 1, 2, 0x9000, 0x4000),
        ("otadata", 1, 0, 0xD000, 0x2000),
        ("phy_init", 1, 1, 0xF000, 0x1000),
        ("ota_0", 0, 0x10, OTA_0, SLOT_BYTES),
        ("ota_1", 0, 0x11, OTA_1, SLOT_BYTES),
    ]
    for addr, data in [(TABLE_ADDR, table(rows)), (0x9000, nvs),
                       (OTA_0, old), (OTA_1, new)]:
        expected[addr:addr + len(data)] = data
    assert flash == bytes(expected)
    assert (tmp_path / "dev.bin.board").is_file()


@pytest.mark.parametrize("layout, mib", [
    ("micropython-4mib-ota", 4), ("micropython-8mib-ota", 8),
    ("idf-two-ota", 4), ("idf-single-app", 2),
])
def test_make_chooses_the_size(make, layout, mib):
    assert make(layout=layout).stat().st_size == mib << 20


@pytest.mark.parametrize("text, size", [
    ("4MB", 4 << 20), ("8M", 8 << 20), ("16MB", 16 << 20),
    ("0x400000", 4 << 20), ("8192K", 8 << 20),
])
def test_make_takes_a_size(make, text, size):
    assert make("--size", text).stat().st_size == size


@pytest.mark.parametrize("text", ["3M", "512K", "32M", "0x400001", "big", "-4M"])
def test_make_refuses_odd_sizes(baton, text):
    baton("flash", "make", "--layout", MICROPYTHON, "--size", text,
          "-o", "dev.bin", code=2)


def test_make_refuses_a_size_that_is_too_small(baton, tmp_path):
    done = baton("flash", "make", "--layout", MICROPYTHON, "--size", "2M",
                 "-o", "dev.bin", code=1)
    assert "0x310000" in done.stderr and "--size" in done.stderr
    assert not (tmp_path / "dev.bin").exists()


CSV = """# name, type, subtype, offset, size
nvs, data, nvs, 0x9000, 0x5000
otadata, data, ota, 0xe000, 0x2000
app0, app, ota_0, 0x10000, 0x140000
app1, app, ota_1, 0x150000, 0x140000
spiffs, data, spiffs, 0x290000, 0x170000
"""


def test_make_takes_tables_of_any_form(make, tmp_path):
    app = image("v7", size=9000)
    (tmp_path / "a.csv").write_text(CSV)
    rows = [
        ("nvs", 1, 2, 0x9000, 0x5000), ("otadata", 1, 0, 0xE000, 0x2000),
        ("app0", 0, 0x10, 0x10000, 0x140000),
        ("app1", 0, 0x11, 0x150000, 0x140000),
        ("spiffs", 1, 0x82, 0x290000, 0x170000),
    ]
    (tmp_path / "a.bin").write_bytes(table(rows))
    first = make("--table", "a.csv", layout=None, app1=app)
    second = make("--table", "a.bin", layout=None, name="two.bin", ota_1=app)
    assert first.read_bytes() == second.read_bytes()
    assert get(first, 0x150000, len(app)) == app
    assert get(first, TABLE_ADDR, 0xC00) == table(rows)


def test_make_names_the_line_of_a_bad_table(baton, tmp_path):
    (tmp_path / "a.csv").write_text(CSV.replace("0x150000", "0x140000"))
    done = baton("flash", "make", "--table", "a.csv", "-o", "dev.bin", code=1)
    assert "line 5" in done.stderr
    (tmp_path / "b.bin").write_bytes(b"\xaa\x50" + bytes(30) + b"rubbish" * 9)
    done = baton("flash", "make", "--table", "b.bin", "-o", "dev.bin", code=1)
    assert "BATON_ERR_TABLE" in done.stderr


def html():
    return b"<!DOCTYPE html><html><body>404 not found</body></html>" * 20


def zipped():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("firmware.app-bin", image(size=5000))
    return out.getvalue()


def merged():
    """What lies at 0x1000 of a factory image: bootloader, table, application."""
    rows = [("nvs", 1, 2, 0x9000, 0x6000), ("factory", 0, 0, 0x10000, 0x100000)]
    raw = bootloader().ljust(0x7000, b"\xff") + table(rows)
    return raw.ljust(0xF000, b"\xff") + image(size=5000)


WRONG_FILES = {
    "empty": (b"", "BATON_ERR_IS_EMPTY"),
    "blank": (b"\xff" * 5000, "BATON_ERR_IS_BLANK"),
    "bootloader": (bootloader(), "BATON_ERR_IS_BOOTLOADER"),
    "table": (table([("nvs", 1, 2, 0x9000, 0x6000)]), "BATON_ERR_IS_TABLE"),
    "elf": (b"\x7fELF\x01\x01\x01" + bytes(500), "BATON_ERR_IS_ELF"),
    "gzip": (gzip.compress(image(size=5000)), "BATON_ERR_IS_GZIP"),
    "zip": (zipped(), "BATON_ERR_IS_ZIP"),
    "html": (html(), "BATON_ERR_IS_HTML"),
    "cut in the head": (image(size=5000)[:200], "BATON_ERR_IMAGE_TRUNCATED"),
    "cut later": (image(size=5000)[:3000], "BATON_ERR_IMAGE_TRUNCATED"),
    "rubbish": (bytes(range(256)) * 20, "BATON_ERR_IMAGE_MAGIC"),
    "other chip": (image(chip="esp32c3"), "BATON_ERR_IMAGE_CHIP"),
    "flipped byte": (image(size=5000)[:900] + b"?" + image(size=5000)[901:],
                     "BATON_ERR_IMAGE_CHECKSUM"),
    "flipped digest": (image()[:-1] + b"?", "BATON_ERR_IMAGE_DIGEST"),
}


@pytest.mark.parametrize("kind", WRONG_FILES)
def test_make_refuses_by_name(baton, tmp_path, kind):
    data, error = WRONG_FILES[kind]
    (tmp_path / "wrong.file").write_bytes(data)
    done = baton("flash", "make", "--layout", MICROPYTHON, "--chip", "esp32",
                 "--ota_0", "wrong.file", "-o", "dev.bin", code=1)
    assert error in done.stderr and "wrong.file" in done.stderr
    assert done.stdout == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["wrong.file"]


def test_make_tells_a_merged_image(baton, tmp_path):
    (tmp_path / "firmware.bin").write_bytes(merged())
    done = baton("flash", "make", "--layout", MICROPYTHON, "--ota_0",
                 "firmware.bin", "-o", "dev.bin", code=1)
    assert "BATON_ERR_IS_MERGED" in done.stderr \
        or "BATON_ERR_IS_BOOTLOADER" in done.stderr
    assert ".app-bin" in done.stderr


def test_make_refuses_what_is_too_large(baton, make, tmp_path):
    exact = image(size=SLOT_BYTES)
    exact = image(size=SLOT_BYTES + SLOT_BYTES - len(exact))
    assert len(exact) <= SLOT_BYTES
    make(ota_0=exact)
    (tmp_path / "large.img").write_bytes(image(size=SLOT_BYTES + 4096))
    done = baton("flash", "make", "--layout", MICROPYTHON, "--ota_0",
                 "large.img", "-o", "x.bin", code=1)
    assert "'ota_0'" in done.stderr and "1572864" in done.stderr
    (tmp_path / "nvs.img").write_bytes(bytes(0x4001))
    done = baton("flash", "make", "--layout", MICROPYTHON, "--nvs", "nvs.img",
                 "-o", "x.bin", code=1)
    assert "'nvs'" in done.stderr
    assert not (tmp_path / "x.bin").exists()


def test_make_forced_takes_a_broken_image(make, baton):
    broken = image(size=6000)[:-1] + b"?"
    path = make("--force", ota_0=image(size=5000), ota_1=broken)
    assert get(path, OTA_1, len(broken)) == broken
    errors = [i["error"] for i in info_of(baton, path)["images"]]
    assert errors == [None, "BATON_ERR_IMAGE_DIGEST"]


def test_make_takes_the_chip_of_the_images(make, baton, tmp_path):
    app = image(chip="esp32c3")
    assert info_of(baton, make(ota_1=app))["chip"] == "esp32c3"
    assert info_of(baton, make())["chip"] == "esp32"
    assert info_of(baton, make("--chip", "esp32s3"))["chip"] == "esp32s3"
    (tmp_path / "c3.img").write_bytes(app)
    (tmp_path / "esp32.img").write_bytes(image())
    done = baton("flash", "make", "--layout", MICROPYTHON, "--ota_0", "c3.img",
                 "--ota_1", "esp32.img", "-o", "x.bin", code=1)
    assert "esp32.img" in done.stderr and "c3.img" in done.stderr


def test_make_places_the_bootloader(make, baton, tmp_path):
    for chip, addr in [("esp32", 0x1000), ("esp32c3", 0)]:
        data = bootloader(chip)
        (tmp_path / "boot.img").write_bytes(data)
        path = make("--bootloader", "boot.img", ota_0=image(chip=chip))
        assert get(path, addr, len(data)) == data
        assert get(path, addr + len(data), 16) == b"\xff" * 16
    wrong = {"app.img": image(), "c3.img": bootloader("esp32c3"),
             "merged.img": merged(), "text.img": b"hello" * 100}
    for name, data in wrong.items():
        (tmp_path / name).write_bytes(data)
        baton("flash", "make", "--layout", MICROPYTHON, "--chip", "esp32",
              "--bootloader", name, "-o", "x.bin", code=1)
    assert not (tmp_path / "x.bin").exists()


def test_make_writes_the_choice(make, baton):
    images = {"ota_0": image("a"), "ota_1": image("b")}
    for slot, state, name in [("ota_0", None, "VALID"), ("ota_1", None, "VALID"),
                              ("ota_1", "new", "NEW"),
                              ("ota_1", "undefined", "UNDEFINED")]:
        words = ["--boot-state", state] if state else []
        path = make("--boot", slot, *words, **images)
        records = info_of(baton, path)["otadata"]["records"]
        assert [records[0]["slot"], records[0]["state"]] == [slot, name]
        assert records[0]["active"] and records[1]["blank"]
        assert boot_of(baton, path)["slot"] == slot
    path = make("--boot", "factory", layout="idf-two-ota", factory=image("f"))
    assert get_records(path) == (BLANK, BLANK)
    assert boot_of(baton, path)["slot"] == "factory"


def test_make_refuses_a_choice_that_cannot_be(baton):
    for layout, slot in [(MICROPYTHON, "ota_2"), (MICROPYTHON, "nvs"),
                         ("idf-single-app", "ota_0")]:
        baton("flash", "make", "--layout", layout, "--boot", slot,
              "-o", "x.bin", code=1)


def test_make_lists_partitions_for_a_wrong_name(baton, tmp_path):
    (tmp_path / "a.img").write_bytes(image())
    done = baton("flash", "make", "--layout", MICROPYTHON, "--ota_2", "a.img",
                 "-o", "x.bin", code=1)
    assert "ota_2" in done.stderr and "nvs, otadata, phy_init, ota_0" \
        in done.stderr
    done = baton("flash", "make", "--layout", MICROPYTHON, "--ota_0", "a.img",
                 "--ota_0=a.img", "-o", "x.bin", code=1)
    assert "twice" in done.stderr


@pytest.mark.parametrize("args", [
    [], ["-o", "x.bin"], ["--layout", MICROPYTHON],
    ["--layout", MICROPYTHON, "--table", "t.csv", "-o", "x.bin"],
    ["--layout", MICROPYTHON, "-o", "-"],
    ["--layout", MICROPYTHON, "-o", "x.bin", "--chip", "esp99"],
    ["--layout", MICROPYTHON, "-o", "x.bin", "--boot-state", "maybe"],
    ["--layout", MICROPYTHON, "-o", "x.bin", "extra"],
    ["--layout", MICROPYTHON, "-o", "x.bin", "--ota_0"],
    ["--layout"],
])
def test_make_usage(baton, tmp_path, args):
    done = baton("flash", "make", *args, code=2)
    assert "--help" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_make_unknown_layout_and_files(baton):
    baton("flash", "make", "--layout", "nope", "-o", "x.bin", code=1)
    baton("flash", "make", "--table", "nope.csv", "-o", "x.bin", code=1)
    baton("flash", "make", "--layout", MICROPYTHON, "--ota_0", "nope",
          "-o", "x.bin", code=1)
    baton("flash", "make", "--layout", MICROPYTHON, "-o", "no/dir/x.bin",
          code=1)


def test_make_replaces_flash_and_board(make, baton):
    path = make(ota_0=image("one", chip="esp32c3"))
    boot_of(baton, path, "--commit")
    assert info_of(baton, path)["wear"]["operations"] > 0
    make(ota_0=image("two"))
    after = info_of(baton, path)
    assert after["chip"] == "esp32" and after["wear"]["operations"] == 0
    assert after["images"][0]["version"] == "two"


def test_make_reports(make, baton, tmp_path):
    (tmp_path / "a.img").write_bytes(image("v3.2.1"))
    done = baton("flash", "make", "--layout", MICROPYTHON, "--ota_0", "a.img",
                 "-o", "dev.bin", code=0)
    assert "v3.2.1" in done.stdout and "baton sim" in done.stdout
    done = baton("flash", "make", "--layout", MICROPYTHON, "--ota_0", "a.img",
                 "--json", "-o", "dev.bin", code=0)
    report = json.loads(done.stdout)
    assert report["chip"] == "esp32" and report["size"] == 4 << 20
    assert report["contents"][0]["partition"] == "ota_0"
    assert report["contents"][0]["version"] == "v3.2.1"


# ---- info ------------------------------------------------------------------


def test_info_describes_images(make, baton):
    named = image("v2.0.1", project="lamp", secure_version=3, size=40000)
    text = (b"\0MicroPython v1.25.0 on 2025-04-15; Generic ESP32 module with "
            b"ESP32\0v1.25.0 on 2025-04-15\0")
    plain = image("", project="", payload=text, size=30000)
    report = info_of(baton, make(ota_0=named, ota_1=plain))
    first, second = report["images"]
    assert first["ok"] and first["error"] is None
    assert first["version"] == "v2.0.1" and first["project"] == "lamp"
    assert first["secure_version"] == 3 and first["idf_version"] == "v5.4.2"
    assert first["length"] == len(named) and first["slot"] == "ota_0"
    assert first["digest"] == named[-32:].hex()
    assert first["sha256"] == hashlib.sha256(named).hexdigest()
    assert first["elf_sha256"] == bytes(range(32)).hex()
    assert second["version"] == "v1.25.0"
    assert second["version_date"] == "2025-04-15"
    assert second["board"] == "Generic ESP32 module"
    assert second["project"] is None


def test_info_says_exactly_what_is_wrong(make, baton):
    good = image(size=20000)
    path = make(ota_0=good, ota_1=good)
    faults = [
        (OTA_1, b"\0", "BATON_ERR_IMAGE_MAGIC"),
        (OTA_1 + 12, b"\x05", "BATON_ERR_IMAGE_CHIP"),
        (OTA_1 + 1, b"\x11", "BATON_ERR_IMAGE_SEGMENT_COUNT"),
        (OTA_1 + 5000, bytes([good[5000] ^ 1]), "BATON_ERR_IMAGE_CHECKSUM"),
        (OTA_1 + len(good) - 1, bytes([good[-1] ^ 1]),
         "BATON_ERR_IMAGE_DIGEST"),
        (OTA_1, b"\xff" * len(good), "BATON_ERR_IS_BLANK"),
        (OTA_1, b"\x1f\x8b\x08" + bytes(100), "BATON_ERR_IS_GZIP"),
        (OTA_1, bootloader(), "BATON_ERR_IS_BOOTLOADER"),
    ]
    for addr, data, error in faults:
        put(path, OTA_1, good.ljust(30000, b"\xff"))
        put(path, addr, data)
        first, second = info_of(baton, path)["images"]
        assert first["ok"]
        assert (second["ok"], second["error"]) == (False, error)
        assert second["reason"]
        assert second["error"] != "" and "sha256" not in second


def test_info_describes_records(make, baton):
    path = make(ota_0=image("a"), ota_1=image("b"))
    states = {NEW: "NEW", PENDING: "PENDING_VERIFY", VALID: "VALID",
              INVALID: "INVALID", ABORTED: "ABORTED", UNDEFINED: "UNDEFINED",
              77: "UNKNOWN"}
    for state, name in states.items():
        put_records(path, record(5, state), record(4, VALID, crc=1))
        otadata = info_of(baton, path)["otadata"]
        first, second = otadata["records"]
        usable = name not in ("INVALID", "ABORTED")
        assert first["state"] == name and first["seq"] == 5
        assert first["crc_ok"] and first["slot"] == "ota_0"
        assert first["usable"] == usable and first["active"] == usable
        assert otadata["active"] == (0 if usable else None)
        assert second["slot"] == "ota_1" and not second["crc_ok"]
        assert not second["usable"] and second["crc"] == "00000001"
        text = baton("flash", "info", path, code=0).stdout
        assert name in text and "CRC wrong" in text


@pytest.mark.parametrize("label, text, trial", [
    (b"", None, None),
    (b"a label of someone's", None, None),
    (b"\xf8\xff\xfe\xff\xff\xff\xfc",
     "trial: 3 boots, 1 failures, crashed, something answered\n",
     (3, 1, True, True, False, False, False)),
    (b"\x00\xfc\xff\xff\xff\xf2",
     "trial: 10 boots, 0 failures, inconclusive, over\n",
     (10, 0, False, False, True, False, True)),
    (b"\xfe\xff\xff\xff\xff\xf1", "trial: 1 boots, 0 failures, given up, over\n",
     (1, 0, False, False, False, True, True)),
])
def test_info_tells_of_a_trial(make, baton, label, text, trial):
    path = make(ota_0=image("a"), ota_1=image("b"))
    raw = record(2, ABORTED)
    put_records(path, record(1, VALID),
                raw[:4] + label.ljust(20, b"\xff") + raw[24:])
    found = info_of(baton, path)["otadata"]["records"]
    assert found[0]["trial"] is None
    names = ("boots", "failures", "crashed", "network", "inconclusive",
             "given_up", "over")
    assert found[1]["trial"] == (trial and dict(zip(names, trial)))
    shown = baton("flash", "info", path, code=0).stdout
    assert (text or "record 1") in shown
    assert ("trial:" in shown) == (text is not None)


def test_info_changes_nothing(make, baton, tmp_path):
    path = make(ota_0=image())
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    baton("flash", "info", path, code=0)
    baton("flash", "boot", path, code=0)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    (tmp_path / "dev.bin.board").unlink()
    report = info_of(baton, path)
    assert report["board"] is None and report["wear"] is None
    assert report["chip"] == "esp32"
    assert not (tmp_path / "dev.bin.board").exists()
    path.chmod(0o444)
    baton("flash", "info", path, code=0)


def test_info_of_a_bad_table(make, baton):
    path = make(ota_0=image())
    put(path, TABLE_ADDR + 40, b"\0\0")
    report = info_of(baton, path, code=1)
    assert not report["table"]["ok"]
    assert report["table"]["error"] == "BATON_ERR_TABLE_MD5"
    text = baton("flash", "info", path, code=1).stdout
    assert "0x8000" in text


def test_info_without_otadata(make, baton):
    path = make(layout="idf-single-app", factory=image("f"))
    report = info_of(baton, path)
    assert report["otadata"]["error"] == "BATON_ERR_NO_OTADATA"
    assert report["images"][0]["partition"] == "factory"


@pytest.mark.parametrize("size", [0, 1, 100, 65535, 65537, 4 << 20 | 4096])
def test_info_refuses_what_is_no_flash(baton, tmp_path, size):
    (tmp_path / "x.bin").write_bytes(b"\xff" * size)
    for name in ("info", "boot"):
        done = baton("flash", name, "x.bin", code=1)
        assert "not a flash" in done.stderr


def test_info_refuses_what_is_not_there(baton, tmp_path):
    for name in ("info", "boot"):
        baton("flash", name, "missing.bin", code=1)
        baton("flash", name, tmp_path, code=1)
        baton("flash", name, code=2)
        baton("flash", name, "a", "b", code=2)
        baton("flash", name, "--what", code=2)


def test_info_refuses_a_damaged_board(make, baton, tmp_path):
    path = make(ota_0=image())
    board = tmp_path / "dev.bin.board"
    whole = board.read_bytes()
    for data in (b"", whole[:-1], whole + b"x", b"\0" * len(whole)):
        board.write_bytes(data)
        for name in ("info", "boot"):
            done = baton("flash", name, path, code=1)
            assert "board" in done.stderr


def test_info_of_random_flash(baton, tmp_path):
    # No content of a flash may crash the tool or hang it.
    seed = b"baton"
    for round_ in range(8):
        out = bytearray()
        while len(out) < 1 << 20:
            seed = hashlib.sha256(seed + bytes([round_])).digest()
            out += seed * 64
        rows = [("nvs", 1, 2, 0x9000, 0x4000), ("otadata", 1, 0, 0xD000, 0x2000),
                ("a", 0, 0x10, 0x10000, 0x40000), ("b", 0, 0x11, 0xF0000, 0x10000)]
        if round_ % 2:
            out[TABLE_ADDR:TABLE_ADDR + 0xC00] = table(rows)
        (tmp_path / "r.bin").write_bytes(out)
        for name in ("info", "boot"):
            done = baton("flash", name, "r.bin", "--json")
            assert done.returncode in (0, 1)
            json.loads(done.stdout)


# ---- boot ------------------------------------------------------------------

# The bootloader's choices with factory F (in idf-two-ota) or without (in the
# MicroPython table): records, images that are bad, rollback; what boots, and
# the records' states afterwards.
V, N, P, I, A = VALID, NEW, PENDING, INVALID, ABORTED
VECTORS = [
    # layout, copy 0, copy 1, bad, rollback, boots, states after
    ("FAB", None, None, "", "any", "factory", (None, None)),
    ("AB", None, None, "", "any", "ota_0", (V, None)),
    ("FAB", (1, N), None, "", "off", "ota_0", (N, None)),
    ("FAB", (1, N), None, "", "on", "ota_0", (P, None)),
    ("FAB", (1, N), None, "A", "on", "factory", (P, None)),
    ("FAB", (1, P), None, "", "off", "ota_0", (P, None)),
    ("FAB", (1, P), None, "", "on", "factory", (A, None)),
    ("AB", (1, P), None, "", "on", "ota_0", (A, None)),
    ("FAB", (1, P, 5), (2, V), "", "on", "ota_1", (A, V)),
    ("FAB", (1, V), (2, P), "", "on", "ota_0", (V, A)),
    ("FAB", (1, V), (2, V, 5), "", "any", "ota_0", (V, V)),
    ("FAB", (2, V), (2, N), "", "on", "ota_1", (V, N)),
    ("FAB", (1, V), (2, N), "", "on", "ota_1", (V, P)),
    ("AB", (1, I), (2, A), "", "any", "ota_0", (I, A)),
    ("AB", (1, V, 5), (2, V, 5), "", "any", "ota_0", (V, V)),
    ("FAB", (1, V, 5), (2, V, 5), "", "any", "factory", (V, V)),
    ("FAB", (1, V), (2, V), "B", "any", "ota_0", (V, V)),
    ("FAB", (3, V), (2, V), "AF", "any", "ota_1", (V, V)),
    ("FAB", (1, 7), None, "", "on", "ota_0", (7, None)),
    ("FAB", (0xFFFFFFFE, V), (1, V), "", "any", "ota_1", (V, V)),
    ("FAB", (1, V), (2, V), "ABF", "any", None, (V, V)),
    ("AB", None, None, "AB", "any", None, (None, None)),
]
ADDRS = {"FAB": {"F": 0x10000, "A": 0x110000, "B": 0x210000},
         "AB": {"A": OTA_0, "B": OTA_1}}


def expand():
    for number, vector in enumerate(VECTORS):
        for mode in ("on", "off") if vector[4] == "any" else (vector[4],):
            yield pytest.param(*vector[:4], mode, *vector[5:],
                               id=f"{number}-{mode}")


@pytest.mark.parametrize("kind, copy_0, copy_1, bad, mode, boots, after",
                         expand())
def test_boot_vectors(make, baton, kind, copy_0, copy_1, bad, mode, boots,
                      after):
    layout = {"FAB": "idf-two-ota", "AB": MICROPYTHON}[kind]
    names = {"F": "factory", "A": "ota_0", "B": "ota_1"}
    path = make(layout=layout, **{names[k]: image(k) for k in kind})
    for letter in bad:
        put(path, ADDRS[kind][letter] + 300, b"\xa5\x5a\x33\xcc")
    raw = [record(*c) if c else BLANK for c in (copy_0, copy_1)]
    put_records(path, *raw)
    flags = ["--no-rollback"] if mode == "off" else []
    code = 0 if boots else 1
    before = path.read_bytes()
    dry = boot_of(baton, path, *flags, code=code)
    assert path.read_bytes() == before
    done = boot_of(baton, path, *flags, "--commit", code=code)
    assert dry["slot"] == done["slot"] == boots
    assert dry["why"] == done["why"] and dry["why"]
    assert dry["records_after"] == done["records_after"]
    if boots:
        letter = {"factory": "F", "ota_0": "A", "ota_1": "B"}[boots]
        assert done["version"] == letter
        assert done["addr"] == ADDRS[kind][letter]
    found = get_records(path)
    for old, new, state in zip(raw, found, after):
        if state is None:
            assert new == BLANK
        elif old == BLANK:
            assert new == record(1, VALID)
        else:
            assert new == old[:24] + struct.pack("<I", state) + old[28:]
    # Everything else is as it was.
    rest = path.read_bytes()
    assert rest[:OTADATA_ADDR] == before[:OTADATA_ADDR]
    assert rest[OTADATA_ADDR + 2 * SECTOR:] == before[OTADATA_ADDR + 2 * SECTOR:]
    assert done["writes"] == (found != tuple(raw))


def test_boot_commit_counts_on_the_board(make, baton, tmp_path):
    path = make(ota_0=image("a"), ota_1=image("b"))
    put_records(path, record(1, VALID), record(2, NEW))
    boot_of(baton, path, "--commit")
    wear = info_of(baton, path)["wear"]
    assert wear["sector_erases"] == 1 and wear["page_programs"] == 1
    assert wear["most_worn_addr"] == OTADATA_ADDR + SECTOR
    # NEW to PENDING_VERIFY to ABORTED, then settled: nothing more is written.
    assert boot_of(baton, path, "--commit")["slot"] == "ota_0"
    assert boot_of(baton, path, "--commit")["slot"] == "ota_0"
    assert info_of(baton, path)["wear"]["operations"] == 4
    board = tmp_path / "dev.bin.board"
    board.unlink()
    put_records(path, record(1, VALID), record(2, NEW))
    assert boot_of(baton, path, "--commit")["slot"] == "ota_1"
    assert get_records(path)[1] == record(2, PENDING)
    assert not board.exists()


ANTI_ROLLBACK = [
    # eFuse, copy 0, copy 1 (A has secure version 2, B 1), boots, eFuse after
    (0, None, (2, VALID), "ota_1", 1),
    (0, (1, VALID), None, "ota_0", 2),
    (2, (1, VALID), (2, VALID), "ota_0", 2),
    (3, (1, VALID), (2, VALID), None, 3),
    (0, None, (2, NEW), "ota_1", 0),
]


@pytest.mark.parametrize("efuse, copy_0, copy_1, boots, after", ANTI_ROLLBACK)
def test_boot_anti_rollback(make, baton, efuse, copy_0, copy_1, boots, after):
    path = make(ota_0=image("A", secure_version=2),
                ota_1=image("B", secure_version=1))
    put_records(path, *[record(*c) if c else BLANK for c in (copy_0, copy_1)])
    # The board's eFuse is set by a first, harmless commit with the option.
    code = 0 if boots else 1
    flags = ["--anti-rollback", "--secure-version", efuse]
    dry = boot_of(baton, path, *flags, code=code)
    assert dry["slot"] == boots
    assert info_of(baton, path)["board"]["secure_version"] == 0
    boot_of(baton, path, *flags, "--commit", code=code)
    burned = info_of(baton, path)["board"]["secure_version"]
    assert burned == (after if after != efuse else 0)


def test_boot_minds_the_chip(make, baton, tmp_path):
    path = make(ota_0=image("a"))
    assert boot_of(baton, path)["slot"] == "ota_0"
    report = boot_of(baton, path, "--chip", "esp32c3", code=1)
    assert report["slot"] is None and report["version"] is None
    assert any("another chip" in line for line in report["why"])
    (tmp_path / "dev.bin.board").unlink()
    assert boot_of(baton, path)["slot"] == "ota_0"
    assert boot_of(baton, path, "--chip", "esp32s3", code=1)["slot"] is None


def test_boot_explains(make, baton):
    path = make(layout="idf-two-ota", factory=image("F"), ota_0=image("A"))
    put_records(path, record(1, VALID), record(2, NEW))
    for args in ([], ["--explain"]):
        text = baton("flash", "boot", path, *args, code=0).stdout
        lines = text.splitlines()
        assert "boots ota_0, A at 0x110000" in lines[0]
        assert lines[1].startswith("   1. ")
        assert "ota_1" in text and "--commit" in lines[-1]
    text = baton("flash", "boot", path, "--commit", code=0).stdout
    assert "--commit" not in text
    put(path, TABLE_ADDR, b"\0")
    text = baton("flash", "boot", path, code=1).stdout
    assert "boots nothing" in text and "table" in text


def test_boot_usage(make, baton):
    path = make(ota_0=image())
    for args in (["--chip", "esp99"], ["--secure-version", "x"],
                 ["--no-rollback", "--anti-rollback"], ["--what"]):
        baton("flash", "boot", path, *args, code=2)


@pytest.mark.parametrize("command", [
    ["flash", "make"], ["flash", "info"], ["flash", "boot"], ["sim"],
])
def test_help_has_an_example(baton, command):
    done = baton(*command, "--help", code=0)
    assert done.stderr == ""
    assert "Example:\n  baton " + " ".join(command) in done.stdout
    assert "Exit codes:" in done.stdout
    assert max(map(len, done.stdout.splitlines())) < 80


def test_seq_crc_of_the_helpers():
    # The vectors the vendor's tools agree on.
    assert seq_crc(1) == 0x4743989A and seq_crc(2) == 0x55F63774


@pytest.mark.parametrize("cut", [0, 0x1000])
def test_make_names_a_merged_file(baton, tmp_path, cut):
    merged = bytearray(b"\xff" * 0x30000)
    parts = {
        0x1000: bootloader(),
        0x8000: table([("nvs", 1, 2, 0x9000, 0x4000), ("factory", 0, 0, 0x10000, 0x20000)]),
        0x10000: image("v1"),
    }
    for addr, data in parts.items():
        merged[addr:addr + len(data)] = data
    (tmp_path / "merged.bin").write_bytes(merged[cut:])
    done = baton("flash", "make", "--json", "--layout", "micropython-4mib-ota",
                 "--ota_0", "merged.bin", "-o", "dev.bin", code=1)
    assert "merged .bin" in done.stderr
    assert json.loads(done.stdout)["error"]["code"] == "BATON_ERR_IS_MERGED"
    assert not (tmp_path / "dev.bin").exists()
