"""baton table make, show and check, as a person or a script uses them."""

# SPDX-License-Identifier: MIT
import json
import os
import struct
from pathlib import Path

import pytest

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "table"
OPTIONS = json.loads((VECTORS / "options.json").read_text())
NAMES = sorted(path.stem for path in VECTORS.glob("*.csv"))

SOUND = """# name, type, subtype, offset, size, flags
nvs,      data, nvs,   0x9000,   0x4000
otadata,  data, ota,   0xd000,   0x2000
phy_init, data, phy,   0xf000,   0x1000
ota_0,    app,  ota_0, 0x10000,  0x180000
ota_1,    app,  ota_1, 0x190000, 0x180000
"""


@pytest.fixture
def sound(tmp_path):
    path = tmp_path / "partitions.csv"
    path.write_text(SOUND)
    return path


@pytest.fixture
def table(baton, sound, tmp_path):
    baton("table", "make", sound, "-o", "table.bin", code=0)
    return tmp_path / "table.bin"


def environment(name):
    return {**os.environ, **OPTIONS.get(name, {}).get("env", {})}


def arguments(name):
    return OPTIONS.get(name, {}).get("args", [])


# The vectors' binaries and texts were made by the vendor's generator.
@pytest.mark.parametrize("name", NAMES)
def test_vector_to_binary(baton, tmp_path, name):
    baton(
        "table",
        "make",
        VECTORS / f"{name}.csv",
        "-o",
        "out.bin",
        *arguments(name),
        env=environment(name),
        code=0,
    )
    assert (tmp_path / "out.bin").read_bytes() == (VECTORS / f"{name}.bin").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_vector_to_text(baton, name):
    text = VECTORS / f"{name}.text"
    done = baton(
        "table", "show", "--csv", VECTORS / f"{name}.bin", *arguments(name), text=False
    )
    if text.exists():
        assert (done.returncode, done.stdout) == (0, text.read_bytes())
    else:
        # The generator does not read its own table back either.
        assert (done.returncode, done.stdout) == (1, b"")


def test_vectors_are_there():
    assert len(NAMES) >= 30
    assert set(OPTIONS) <= set(NAMES)


@pytest.mark.parametrize(
    "layout", ["micropython-4mib-ota", "micropython-8mib-ota", "idf-two-ota", "idf-single-app"]
)
def test_layout(baton, tmp_path, layout):
    baton("table", "make", "--layout", layout, "-o", "out.bin", code=0)
    assert (tmp_path / "out.bin").read_bytes() == (VECTORS / f"{layout}.bin").read_bytes()
    assert layout in baton("table", "make", "--help", code=0).stdout


def test_layout_moves_with_the_table(baton):
    baton(
        "table",
        "make",
        "--layout",
        "idf-two-ota",
        "--offset",
        "0x10000",
        "-o",
        "t.bin",
        code=0,
    )
    shown = json.loads(
        baton("table", "show", "--json", "--offset", "0x10000", "t.bin", code=0).stdout
    )
    assert shown["partitions"][0]["offset"] == 0x11000
    assert shown["ok"] is True


def test_unknown_layout(baton):
    done = baton("table", "make", "--layout", "tasmota", "-o", "x", code=2)
    assert "tasmota" in done.stderr


def test_file_that_cannot_be_written(baton, sound):
    assert "nowhere" in baton("table", "make", sound, "-o", "nowhere/x", code=1).stderr
    done = baton("table", "make", sound, "-o", "nowhere/x", "--json", code=1)
    assert json.loads(done.stdout)["error"]["code"] == "BATON_ERR_IO"


@pytest.mark.parametrize("command", ["make", "show", "check"])
def test_help_has_an_example(baton, command):
    for option in ("--help", "-h"):
        text = baton("table", command, option, code=0).stdout
        assert "Example" in text and f"baton table {command} " in text
        assert "Exit codes" in text


@pytest.mark.parametrize(
    "args",
    [
        ["make"],
        ["make", "partitions.csv", "more.csv", "-o", "x"],
        ["make", "partitions.csv", "--layout", "idf-two-ota", "-o", "x"],
        ["make", "partitions.csv", "-o", "-", "--json"],
        ["make", "partitions.csv", "-o", "x", "--flash-size", "four"],
        ["make", "partitions.csv", "-o", "x", "--flash-size", "4"],
        ["make", "partitions.csv", "-o", "x", "--offset", "-1"],
        ["make", "partitions.csv", "-o", "x", "--secure=v3"],
        ["make", "partitions.csv", "-o", "x", "--primary-bootloader-offset", "0x8000"],
        ["make", "partitions.csv", "-o", "x", "--frobnicate"],
        ["show"],
        ["show", "a", "b"],
        ["show", "--csv", "--json", "partitions.csv"],
        ["check"],
    ],
    ids=" ".join,
)
def test_wrong_usage(baton, sound, tmp_path, args):
    done = baton("table", *args, code=2)
    assert done.stdout == ""
    assert done.stderr.count("next:") == 1
    assert not (tmp_path / "x").exists()


def test_make_writes_to_standard_output(baton, sound, table):
    done = baton("table", "make", sound, "-o", "-", text=False, code=0)
    assert done.stdout == table.read_bytes()
    assert len(done.stdout) == 0xC00
    # And reads standard input.
    done = baton("table", "make", "-", "-o", "-", input=SOUND.encode(), text=False, code=0)
    assert done.stdout == table.read_bytes()


def test_make_refuses_and_leaves_no_file(baton, tmp_path):
    (tmp_path / "bad.csv").write_text("nvs,data,nvs,,0x4000\nnvs,data,fat,,1M\n")
    (tmp_path / "out.bin").write_bytes(b"old")
    done = baton("table", "make", "bad.csv", "-o", "out.bin", code=1)
    assert "line 2: 'nvs'" in done.stderr
    assert "BATON_ERR_TABLE_DUPLICATE" in done.stderr
    assert "line 1" in done.stderr
    assert (tmp_path / "out.bin").read_bytes() == b"old"
    baton("table", "make", "bad.csv", "-o", "out.bin", "--no-verify", code=0)
    assert len((tmp_path / "out.bin").read_bytes()) == 0xC00


def test_make_refuses_a_binary_table(baton, table):
    done = baton("table", "make", table, "-o", "x", code=2)
    assert "table show --csv" in done.stderr


def test_make_json(baton, sound):
    told = json.loads(baton("table", "make", sound, "-o", "t.bin", "--json", code=0).stdout)
    assert told["ok"] is True and told["file"] == "t.bin"
    assert told["slots"] == 2 and told["otadata"] is True and told["end"] == 0x310000
    assert [row["name"] for row in told["partitions"]] == [
        "nvs",
        "otadata",
        "phy_init",
        "ota_0",
        "ota_1",
    ]
    assert told["warnings"] == []


def test_flash_size_is_checked_without_the_rules_too(baton, tmp_path):
    (tmp_path / "a.csv").write_text("a,data,fat,0x3ff000,0x1001\n")
    for more in ([], ["--no-verify"]):
        done = baton("table", "make", "a.csv", "-o", "x", "--flash-size", "4MB", *more, code=1)
        assert "it ends at 0x400001, the flash at 0x400000" in done.stderr
        baton("table", "make", "a.csv", "-o", "x", "--flash-size", "8mb", *more, code=0)
        baton("table", "make", "a.csv", "-o", "x", "--flash-size", "0x500000", *more, code=0)


@pytest.mark.parametrize(
    "words",
    [["--secure", "v1"], ["--secure", "V1"], ["--secure"], ["--secure=v1"]],
    ids=" ".join,
)
def test_secure_v1(baton, tmp_path, words):
    (tmp_path / "a.csv").write_text("a,app,ota_0,,0x101000\n")
    for args in (["a.csv", *words, "-o", "x"], [*words, "-o", "x", "a.csv"]):
        done = baton("table", "make", *args, code=1)
        assert "its size 0x101000 is no multiple of 0x10000" in done.stderr
    baton("table", "make", "a.csv", "--secure", "v2", "-o", "x", code=0)
    baton("table", "make", "a.csv", "-o", "x", code=0)


def test_show_for_people(baton, table):
    text = baton("table", "show", table, code=0).stdout
    lines = text.splitlines()
    assert "5 partitions, 2 slots, ending at 0x310000" in lines[0]
    slot = next(line for line in lines if line.strip().startswith("ota_1 "))
    assert slot.split()[:8] == [
        "ota_1",
        "app",
        "ota_1",
        "0x190000",
        "1.5",
        "MiB",
        "0x180000",
        "0x310000",
    ]
    assert slot.endswith("<- slot 1")
    # Columns stand under their headings.
    heading = lines[2]
    rows = lines[3:8]
    assert all(row.index("0x", 0) + 8 == heading.index("offset") + 6 for row in rows)
    assert len({row.split("<-")[0].rstrip()[-8:] for row in rows}) == 5
    assert not any(line.endswith(" ") for line in lines)


def test_show_says_what_is_missing_for_updates(baton, tmp_path):
    (tmp_path / "a.csv").write_text("nvs,data,nvs,,16K\nfactory,app,factory,,1M\n")
    assert (
        "they need ota_0, ota_1 and otadata" in baton("table", "show", "a.csv", code=0).stdout
    )
    (tmp_path / "b.csv").write_text("o,data,ota,,8K\na,app,ota_0,,1M\nb,app,ota_2,,1M\n")
    text = baton("table", "show", "b.csv", code=0).stdout
    assert "slot 2 (not used: a slot before it is missing)" in text


def test_show_tells_free_space(baton, table):
    text = baton("table", "show", "--flash-size", "4MB", table, code=0).stdout
    assert "0x310000 to 0x400000 (960 KiB) is in no partition; MicroPython" in text
    assert "is in no partition" not in baton("table", "show", table, code=0).stdout


def test_show_json(baton, table):
    told = json.loads(baton("table", "show", "--json", table, code=0).stdout)
    assert told["format"] == "binary" and told["md5"] is True and told["ok"] is True
    assert told["table_offset"] == 0x8000
    assert told["partitions"][4] == {
        "name": "ota_1",
        "type": "app",
        "type_number": 0,
        "subtype": "ota_1",
        "subtype_number": 0x11,
        "offset": 0x190000,
        "size": 0x180000,
        "end": 0x310000,
        "flags": [],
        "flags_raw": 0,
        "slot": 1,
    }


def test_show_csv_reads_back(baton, table, tmp_path):
    text = baton("table", "show", "--csv", table, code=0).stdout
    assert text.splitlines()[2] == "nvs,data,nvs,0x9000,16K,"
    (tmp_path / "again.csv").write_text(text)
    baton("table", "make", "again.csv", "-o", "again.bin", code=0)
    assert (tmp_path / "again.bin").read_bytes() == table.read_bytes()


def test_show_of_a_broken_table(baton, tmp_path):
    (tmp_path / "a.csv").write_text("a,data,1,0x9001,4K\n")
    done = baton("table", "show", "a.csv", code=0)
    assert "0x009001" in done.stdout and "BATON_ERR_TABLE_ALIGN" in done.stderr
    told = json.loads(baton("table", "show", "--json", "a.csv", code=0).stdout)
    assert told["ok"] is False and told["error"]["code"] == "BATON_ERR_TABLE_ALIGN"
    assert len(told["partitions"]) == 1
    done = baton("table", "show", "--csv", "a.csv", code=1)
    assert done.stdout == ""
    done = baton("table", "show", "--csv", "--no-verify", "a.csv", code=0)
    assert done.stdout.endswith("a,data,phy,0x9001,4K,\n")


def bootloader(chip_id):
    return struct.pack("<BBBBIB3xH10x", 0xE9, 1, 2, 0x20, 0x40080000, 0xEE, chip_id)[:24]


@pytest.mark.parametrize("at", [0x8000, 0x1000, 0x9000, 0x10000, 0x20000])
def test_table_in_a_flash_image(baton, tmp_path, table, at):
    image = bytearray(b"\xff" * 0x400000)
    image[at : at + 0xC00] = table.read_bytes()
    (tmp_path / "flash.bin").write_bytes(image)
    told = json.loads(baton("table", "show", "--json", "flash.bin", code=0).stdout)
    assert told["format"] == "flash" and told["found_at"] == at
    assert told["table_offset"] == at
    assert len(told["partitions"]) == 5
    assert f"found at {at:#x}" in baton("table", "show", "flash.bin", code=0).stdout
    assert told["ok"] is (at <= 0x8000)


def test_table_at_a_given_offset_comes_first(baton, tmp_path, table):
    image = bytearray(b"\xff" * 0x400000)
    image[0x8000:0x8C00] = table.read_bytes()
    baton(
        "table",
        "make",
        "--layout",
        "idf-single-app",
        "--offset",
        "0x30000",
        "-o",
        "far.bin",
        code=0,
    )
    image[0x30000:0x30C00] = (tmp_path / "far.bin").read_bytes()
    (tmp_path / "flash.bin").write_bytes(image)
    told = json.loads(
        baton("table", "show", "--json", "--offset", "0x30000", "flash.bin", code=0).stdout
    )
    assert told["found_at"] == 0x30000 and told["slots"] == 0 and told["ok"] is True
    told = json.loads(baton("table", "show", "--json", "flash.bin", code=0).stdout)
    assert told["found_at"] == 0x8000 and told["slots"] == 2


@pytest.mark.parametrize(
    "chip_id, base",
    [(0, 0x1000), (2, 0x1000), (5, 0), (9, 0), (13, 0), (18, 0x2000), (23, 0x2000)],
)
def test_table_in_a_merged_file(baton, tmp_path, table, chip_id, base):
    image = bytearray(b"\xff" * (0x30000 - base))
    image[0:24] = bootloader(chip_id)
    image[0x8000 - base : 0x8C00 - base] = table.read_bytes()
    (tmp_path / "merged.bin").write_bytes(image)
    told = json.loads(baton("table", "show", "--json", "merged.bin", code=0).stdout)
    assert told["found_at"] == 0x8000 - base
    assert told["table_offset"] == 0x8000
    assert baton("table", "check", "merged.bin", code=0).stdout.startswith("merged.bin: ok")


def test_damaged_table_in_a_flash_image(baton, tmp_path, table):
    image = bytearray(b"\xff" * 0x100000)
    image[0x8000:0x8C00] = table.read_bytes()
    image[0x8008] ^= 1
    (tmp_path / "flash.bin").write_bytes(image)
    done = baton("table", "show", "flash.bin", code=1)
    assert "the table at 0x8000" in done.stderr and "BATON_ERR_TABLE_MD5" in done.stderr
    # A whole one elsewhere is found all the same.
    image[0xC000:0xCC00] = table.read_bytes()
    (tmp_path / "flash.bin").write_bytes(image)
    assert "found at 0xc000" in baton("table", "show", "flash.bin", code=0).stdout


@pytest.mark.parametrize(
    "content, words",
    [
        (b"\x7fELF\x01\x01\x01" + bytes(300), "ELF"),
        (b"\x1f\x8b\x08" + bytes(300), "gzip"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (b"\xff" * 0x10000, "erased flash"),
        (
            bootloader(0) + bytes(8) + b"\x32\x54\xcd\xab" + bytes(300),
            "application or bootloader image",
        ),
        (bytes(5000), ""),
    ],
    ids=["elf", "gzip", "html", "blank", "application", "zeros"],
)
def test_files_without_a_table(baton, tmp_path, content, words):
    (tmp_path / "x").write_bytes(content)
    for command in ("show", "check"):
        done = baton("table", command, "x", code=1)
        assert "there is no partition table in this file" in done.stderr
        assert words in done.stderr and "next:" in done.stderr


def test_missing_file(baton):
    assert "No such file" in baton("table", "show", "x.bin", code=1).stderr
    told = json.loads(baton("table", "check", "--json", "x.bin", code=1).stdout)
    assert told["ok"] is False and told["error"]["code"] == "BATON_ERR_NOENT"


def test_check_is_quiet_when_asked(baton, table):
    assert "ok: 5 partitions, 2 slots" in baton("table", "check", table, code=0).stdout
    done = baton("table", "check", "-q", table, code=0)
    assert (done.stdout, done.stderr) == ("", "")


REFUSED = [
    (
        "a,data,1,,4K\nb,dato,1,,4K",
        "BATON_ERR_CSV_KEYWORD",
        2,
        "type",
        "the types are app, data, bootloader, partition_table",
    ),
    (
        "b,bootloader,2nd,,4K",
        "BATON_ERR_CSV_KEYWORD",
        1,
        "subtype",
        "bootloader has primary, ota, recovery",
    ),
    ("b,0x40,mine,,4K", "BATON_ERR_CSV_KEYWORD", 1, "subtype", "type 0x40 has no keywords"),
    ("# c\n\nb,app,,,4K", "BATON_ERR_CSV_FIELD", 3, "subtype", ""),
    ("a,data,1,,4 KB", "BATON_ERR_CSV_NUMBER", 1, "size", ""),
    ("a,data,1,,4K,secret", "BATON_ERR_CSV_FLAG", 1, "flags", ""),
    ("a,bootloader,primary,,", "BATON_ERR_CSV_OFFSET", 1, "offset", ""),
    ("a,data,1,0xa000,-0x9000", "BATON_ERR_CSV_RANGE", 1, "size", ""),
    ("$NOT_SET", "BATON_ERR_CSV_VARIABLE", 1, "name", ""),
    (
        "a,data,1,,4K\nb,data,1,0x9fff,4K",
        "BATON_ERR_TABLE_OVERLAP",
        2,
        None,
        "it begins at 0x9fff, and 'a' (line 1) ends at 0xa000",
    ),
    (
        "a,data,1,0x8000,4K",
        "BATON_ERR_TABLE_OVERLAP",
        1,
        None,
        "the partition table ends at 0x9000",
    ),
    (
        "a,data,1,,4K\nb,app,ota_0,0x11000,4K",
        "BATON_ERR_TABLE_ALIGN",
        2,
        None,
        "its offset 0x11000 is no multiple of 0x10000",
    ),
    (
        "a,app,ota_0,,0x1800",
        "BATON_ERR_TABLE_ALIGN",
        1,
        None,
        "its size 0x1800 is no multiple of 0x1000",
    ),
    (
        "a,data,ota,,8K\n\nb,data,ota,,8K",
        "BATON_ERR_TABLE_OTADATA",
        3,
        None,
        "the first one is 'a' (line 1)",
    ),
    ("a,data,ota,,4K", "BATON_ERR_TABLE_OTADATA", 1, None, "its size is 0x1000"),
    ("a,data,ota,,8K,readonly", "BATON_ERR_TABLE_READONLY", 1, None, ""),
    ("a,data,nvs,,8K", "BATON_ERR_TABLE_NVS", 1, None, "its size is 0x2000"),
    (
        "a,data,1,,4K\nb,data,1,,4K\na,data,1,,4K",
        "BATON_ERR_TABLE_DUPLICATE",
        3,
        None,
        "the other is 'a' (line 1)",
    ),
    ("\n".join(f"p{i},data,1,,4K" for i in range(96)), "BATON_ERR_TABLE_ROWS", 96, None, ""),
    ("a,data,1,,4K\n# \u00fc".encode("latin-1"), "BATON_ERR_CSV_TEXT", 2, None, ""),
]


@pytest.mark.parametrize(
    "text, code, line, field, detail", REFUSED, ids=lambda value: str(value)[:40]
)
def test_check_says_what_is_wrong(baton, tmp_path, text, code, line, field, detail):
    path = tmp_path / "bad.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    environ = {key: value for key, value in os.environ.items() if key != "NOT_SET"}
    done = baton("table", "check", path, code=1, env=environ)
    assert done.stdout == ""
    assert f"line {line}: " in done.stderr and code in done.stderr
    assert detail in done.stderr
    assert field is None or f"{field}: " in done.stderr
    error = json.loads(baton("table", "check", "--json", path, code=1, env=environ).stdout)[
        "error"
    ]
    assert error["code"] == code and error["line"] == line
    assert error.get("field") == field
    assert error["detail"] == detail or detail in error["detail"]
    assert error["message"] and error["number"] < 0


def test_check_of_binary_names_rows(baton, tmp_path):
    (tmp_path / "a.csv").write_text("a,data,1,,4K\na,data,1,,4K\n")
    baton("table", "make", "--no-verify", "a.csv", "-o", "a.bin", code=0)
    done = baton("table", "check", "a.bin", code=1)
    assert "row 2: 'a'" in done.stderr and "'a' (row 1)" in done.stderr
    error = json.loads(baton("table", "check", "--json", "a.bin", code=1).stdout)["error"]
    assert error["row"] == 2 and error["other_row"] == 1 and "line" not in error


def test_warnings(baton, tmp_path):
    (tmp_path / "a.csv").write_text(
        "nvs,data,fat,,4K\napp,data,1,,4K\nseventeen_letters,data,1,,4K\nseventeen_letterz,data,1,,0\n"
    )
    done = baton("table", "check", "a.csv", code=0)
    assert "'nvs' (line 1) has the name of another type or subtype" in done.stderr
    assert "'app' (line 2) has the name of another type or subtype" in done.stderr
    assert "'seventeen_letter' (line 3) is cut" in done.stderr
    assert (
        "'seventeen_letter' (line 4) has the same name as 'seventeen_letter' (line 3)"
        in done.stderr
    )
    assert "'seventeen_letter' (line 4) is empty" in done.stderr
    told = json.loads(baton("table", "check", "--json", "a.csv", code=0).stdout)
    assert len(told["warnings"]) == done.stderr.count("warning:") == 6
    assert baton("table", "make", "-q", "a.csv", "-o", "x", code=0).stderr == ""


def test_warnings_of_binary(baton, tmp_path):
    row = struct.pack("<2sBBII16sI", b"\xaaP", 1, 1, 0x9000, 0x1000, b"a\x1b[2J", 0x84)
    (tmp_path / "a.bin").write_bytes(row + b"\xff" * 32)
    done = baton("table", "check", "a.bin", code=0)
    assert "unknown flags 0x00000084" in done.stderr
    assert "the table has no MD5 row" in done.stderr
    assert "unprintable" in done.stderr
    shown = baton("table", "show", "a.bin", code=0)
    assert "\x1b" not in shown.stdout + shown.stderr
    assert (
        "no MD5 row" not in baton("table", "check", "--disable-md5sum", "a.bin", code=0).stderr
    )


def test_cut_label_is_no_trouble_for_json(baton, tmp_path):
    text = baton(
        "table", "show", "--json", VECTORS / "name-cut-in-a-letter.csv", code=0
    ).stdout
    assert json.loads(text)["partitions"][0]["name"] == "fifteen_letters\ufffd"
    error = json.loads(
        baton("table", "show", "--json", VECTORS / "name-cut-in-a-letter.bin", code=1).stdout
    )
    assert error["error"]["code"] == "BATON_ERR_TABLE_LABEL"


# The vendor's generator takes this mark for UTF-16 and then refuses the text.
def test_utf32_little_endian(baton, tmp_path):
    text = (VECTORS / "utf32-be.csv").read_bytes().decode("utf-32")
    (tmp_path / "le.csv").write_bytes(b"\xff\xfe\0\0" + text.encode("utf-32-le"))
    baton("table", "make", "le.csv", "-o", "le.bin", code=0)
    assert (tmp_path / "le.bin").read_bytes() == (VECTORS / "utf32-be.bin").read_bytes()


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xfea",
        b"\xff\xfe\x00\xd8",
        b"\xfe\xff\xdc\x00\x00a",
        b"\xff\xfe\0\0\x00\x00\x11\x00",
    ],
    ids=["odd", "half pair", "low first", "past the end"],
)
def test_bad_wide_text(baton, tmp_path, raw):
    (tmp_path / "a.csv").write_bytes(raw)
    assert "BATON_ERR_CSV_TEXT" in baton("table", "make", "a.csv", "-o", "x", code=1).stderr


def test_a_binary_of_many_rows(baton, tmp_path):
    """More rows than a chip reads are shown, as by the vendor's generator."""
    rows = b"".join(
        struct.pack("<2sBBII16sI", b"\xaaP", 1, 1, 0x9000 + 0x1000 * i, 0x1000, b"p%d" % i, 0)
        for i in range(200)
    )
    (tmp_path / "a.bin").write_bytes(rows + b"\xff" * 32)
    text = baton("table", "show", "--csv", "a.bin", code=0).stdout
    assert len(text.splitlines()) == 202
    (tmp_path / "b.bin").write_bytes(rows[:32] * 5000 + b"\xff" * 32)
    assert "BATON_ERR_TABLE_ROWS" in baton("table", "show", "b.bin", code=1).stderr
