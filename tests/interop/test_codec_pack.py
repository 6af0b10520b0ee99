"""What `baton pack` makes, decoded by the model, by `baton unpack`, in pieces
and from every restart point."""
# SPDX-License-Identifier: MIT
import hashlib
import random

import codec_model as model
import codec_units_model as units
import pytest
from codec_images import MAKERS, Program
from test_codec_model import driver  # noqa: F401

MACHINES = pytest.mark.parametrize(
    "machine", [units.RV32, units.XTENSA], ids=["rv32", "xtensa"])


def two_versions(seed, machine, functions=60):
    rng = random.Random(seed)
    program = Program(rng, machine, functions)
    old = program.link("v1.26.0")
    program.change(rng, 3)
    new = program.link("v1.26.1")
    if seed % 2:  # an appended SHA-256, as images of the chips have
        old, new = ((image[:23] + b"\1" + image[24:]) for image in (old, new))
        old, new = (image + bytes(-len(image) % 16) for image in (old, new))
        old, new = (image + hashlib.sha256(image).digest()
                    for image in (old, new))
    return old, new


def pack(baton, tmp_path, new, old=None, *options):
    (tmp_path / "new").write_bytes(new)
    base = ()
    if old is not None:
        (tmp_path / "old").write_bytes(old)
        base = ("--from", "old")
    baton("pack", "new", *base, *options, "-o", "payload", code=0)
    return (tmp_path / "payload").read_bytes()


@MACHINES
@pytest.mark.parametrize("seed", range(1, 5))
def test_delta_as_the_model_decodes_it(
        baton, tmp_path, driver, machine, seed):  # noqa: F811
    old, new = two_versions(seed, machine)
    payload = pack(baton, tmp_path, new, old)
    header = model.read_header(payload)
    assert header.encoding == model.DELTA
    assert header.machine == machine
    assert header.old_sha256 == hashlib.sha256(old).digest()
    assert header.new_sha256 == hashlib.sha256(new).digest()
    assert model.decode(payload, old) == new
    assert driver.decode(payload, old, 1, 1) == (0, new)
    assert len(payload) < 0.1 * len(new)


@MACHINES
@pytest.mark.parametrize("profile", ["S", "M"])
def test_packed_as_the_model_decodes_it(baton, tmp_path, machine, profile):
    _, new = two_versions(7, machine, 20)
    payload = pack(baton, tmp_path, new, None, "--profile", profile)
    header = model.read_header(payload)
    assert header.encoding == model.PACKED
    assert model.decode(payload) == new
    assert len(payload) < len(new)


def test_plain_data_as_the_model_decodes_it(baton, tmp_path):
    rng = random.Random(5)
    old = b"".join(rng.choice([b"alpha ", b"beta ", b"\0\1\2"])
                   for _ in range(1500))
    new = old[:2000] + b"something new" + old[1500:6000]
    payload = pack(baton, tmp_path, new, old)
    assert model.read_header(payload).machine == units.DATA
    assert model.decode(payload, old) == new


def test_random_bytes_cost_little_more_than_themselves(baton, tmp_path):
    new = bytes(random.Random(1).choices(range(256), k=5000))
    payload = pack(baton, tmp_path, new)
    assert len(payload) < len(new) + 200
    assert model.decode(payload) == new


@pytest.mark.parametrize("first", [0, 1, 127, 128, 255])
def test_any_first_byte(baton, tmp_path, first):
    for new in (bytes([first]), bytes([first]) * 1000, bytes([first, 255, 0])):
        assert model.decode(pack(baton, tmp_path, new)) == new


def long_pair(machine):
    """Several restart segments, each with something new in it."""
    rng = random.Random(11)
    code = MAKERS[machine](rng, 0x42000020, 3000)
    pieces = [code[at:at + 40] for at in range(0, len(code), 40)]
    old = b"".join(rng.choice(pieces) for _ in range(14000))
    new = bytearray(old)
    for at in range(1000, len(new), 50000):
        new[at:at + 4] = b"news" + bytes(rng.randrange(5))
    return old, bytes(new)


@pytest.mark.parametrize("base", [True, False], ids=["delta", "packed"])
def test_every_restart_point(baton, tmp_path, driver, base):  # noqa: F811
    old, new = long_pair(units.RV32)
    payload = pack(baton, tmp_path, new, old if base else None)
    old = old if base else b""
    assert driver.decode(payload, old, 4096) == (0, new)
    assert driver.decode(payload, old, 1000, 5000) == (0, new)
    count = len(model.read_header(payload).bodies)
    assert count == 3
    for k in range(1, count):
        before = new[:k * model.SEGMENT_BYTES]
        err, got = driver.decode(payload, old, 777, 0, k, before)
        assert (err, got) == (0, new), f"restart point {k}"


@MACHINES
def test_broken_payloads_never_unpack(baton, tmp_path, machine):
    rng = random.Random(3)
    old, new = two_versions(3, machine, 20)
    payload = pack(baton, tmp_path, new, old)
    for case in range(40):
        hurt = bytearray(payload)
        if case % 4 == 0:
            del hurt[rng.randrange(len(hurt)):]
        else:
            hurt[rng.randrange(len(hurt))] ^= 1 << rng.randrange(8)
        (tmp_path / "hurt").write_bytes(hurt)
        done = baton("unpack", "hurt", "--from", "old", "-o", "out", code=None)
        if done.returncode == 0:  # a byte that says nothing
            assert (tmp_path / "out").read_bytes() == new
            (tmp_path / "out").unlink()
        else:
            assert done.returncode == 1
            assert "next:" in done.stderr
            assert not (tmp_path / "out").exists()


def test_another_base_is_refused(baton, tmp_path):
    old, new = two_versions(3, units.RV32, 20)
    pack(baton, tmp_path, new, old)
    (tmp_path / "other").write_bytes(old[:-1] + b"!")
    done = baton("unpack", "payload", "--from", "other", "-o", "out", code=1)
    assert "next:" in done.stderr
    baton("unpack", "payload", "-o", "out", code=None)
    assert not (tmp_path / "out").exists()
