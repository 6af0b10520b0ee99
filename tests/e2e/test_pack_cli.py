"""baton pack and unpack, and the payloads that every later release decodes."""

# SPDX-License-Identifier: MIT
import json
from pathlib import Path

import pytest

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "codec"
PAYLOADS = sorted(path.name for path in VECTORS.iterdir()
                  if path.suffix in (".raw", ".packed", ".delta"))


def image_of(name):
    """The image that a vector holds."""
    if name == "restart.packed":
        return bytes((i // 5 * 3 + i % 5) & 255 for i in range(600000))
    machine = name.split(".")[0].split("-")[0]
    return (VECTORS / f"{machine}.new").read_bytes()


def base_of(name):
    if not name.endswith(".delta"):
        return []
    return ["--from", VECTORS / (name.split("-")[0] + ".old")]


def test_vectors_are_there():
    assert len(PAYLOADS) == 14


# These files were made when format version 1 was settled. They are never made
# again: what was published must still be decoded.
@pytest.mark.parametrize("name", PAYLOADS)
def test_golden(baton, tmp_path, name):
    baton("unpack", VECTORS / name, *base_of(name), "-o", "out", code=0)
    assert (tmp_path / "out").read_bytes() == image_of(name)


@pytest.mark.parametrize("options", [[], ["--profile", "M"]])
@pytest.mark.parametrize("machine", ["rv32", "xtensa", "data"])
def test_same_inputs_same_bytes(baton, tmp_path, machine, options):
    for out in ("a", "b"):
        baton("pack", VECTORS / f"{machine}.new", "--from",
              VECTORS / f"{machine}.old", *options, "-o", out, code=0)
    payload = (tmp_path / "a").read_bytes()
    assert payload == (tmp_path / "b").read_bytes()
    assert len(payload) < len(image_of(f"{machine}-S.delta")) / 2


def test_explain(baton, tmp_path):
    result = baton("pack", VECTORS / "rv32.new", "--from",
                   VECTORS / "rv32.old", "-o", "out", "--explain", code=0)
    size = (tmp_path / "out").stat().st_size
    assert f"out: {size} bytes" in result.stdout
    for word in ("references", "fixes", "literals", "realignments", "0x42000020",
                 "code", "decoder state"):
        assert word in result.stdout


def test_json(baton, tmp_path):
    result = baton("pack", VECTORS / "rv32.new", "--from",
                   VECTORS / "rv32.old", "--json", "-o", "out", code=0)
    report = json.loads(result.stdout)
    assert report["encoding"] == "delta"
    assert report["machine"] == "rv32"
    assert report["payload_bytes"] == (tmp_path / "out").stat().st_size
    assert report["state_bytes"] < 16384
    used = sum(report["payload_use"].values()) + report["header_bytes"]
    assert abs(used - report["payload_bytes"]) < 16


def test_quiet_on_success(baton):
    result = baton("pack", VECTORS / "data.new", "-o", "out", code=0)
    assert result.stdout == "" and result.stderr == ""


def test_refuses_another_base(baton, tmp_path):
    result = baton("unpack", VECTORS / "rv32-S.delta", "--from",
                   VECTORS / "xtensa.old", "-o", "out", code=1)
    assert "BATON_ERR_CODEC_BASE" in result.stderr
    assert "next:" in result.stderr
    assert not (tmp_path / "out").exists()
    baton("unpack", VECTORS / "rv32-S.delta", "-o", "out", code=1)


def test_refuses_a_broken_payload(baton, tmp_path):
    payload = bytearray((VECTORS / "rv32-S.packed").read_bytes())
    (tmp_path / "short").write_bytes(payload[:-20])
    result = baton("unpack", "short", "-o", "out", code=1)
    assert "BATON_ERR_CODEC_TRUNCATED" in result.stderr
    payload[len(payload) // 2] ^= 1
    (tmp_path / "broken").write_bytes(payload)
    result = baton("unpack", "broken", "-o", "out", code=1)
    assert "BATON_ERR_CODEC" in result.stderr
    (tmp_path / "text").write_text("no payload at all")
    result = baton("unpack", "text", "-o", "out", code=1)
    assert "BATON_ERR_CODEC_FORMAT" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("arguments", [
    ["pack"], ["pack", "new"], ["pack", "-o", "out"],
    ["pack", "new", "--profile", "L", "-o", "out"],
    ["pack", "new", "--raw", "--from", "old", "-o", "out"],
    ["pack", "new", "--nonsense", "-o", "out"],
    ["unpack"], ["unpack", "payload"], ["unpack", "-o", "out"],
])
def test_usage(baton, arguments):
    baton(*arguments, code=2)


def test_refuses_no_file_and_no_bytes(baton, tmp_path):
    baton("pack", "absent", "-o", "out", code=1)
    (tmp_path / "empty").write_bytes(b"")
    result = baton("pack", "empty", "-o", "out", code=1)
    assert "BATON_ERR_IS_EMPTY" in result.stderr
    (tmp_path / "one").write_bytes(b"1")
    baton("pack", "one", "--from", "empty", "-o", "out", code=1)


@pytest.mark.parametrize("command", ["pack", "unpack"])
def test_help_has_an_example(baton, command):
    assert "Example:" in baton(command, "--help", code=0).stdout
