"""Attacks on a device that fetches: TUF's names, with real requests.

The device is examples/device-c on the virtual ESP32, and the same in Python with
the policy of the Python package; the server answers as the attacker wants. Whatever it does, the device ends on the version that it had,
or on the right one; what it had is verified again at the end.
"""

# SPDX-License-Identifier: MIT
import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from conftest import ROOT
from policy_helpers import POLICIES, python_device
from release_helpers import KEYS, Key, key_set, manifest, sector_list

sys.path.insert(0, str(ROOT / "tests" / "lib"))

from bad_server import Answer, BadServer  # noqa: E402
from image_helpers import noise  # noqa: E402

CHIP = 0  # esp32


class Owner:
    """Who makes the releases: keys and images."""

    def __init__(self, folder, run):
        self.keys = {name: Key(folder / f"{name}.pem")
                     for name in ("root", "a", "b", "thief")}
        self.images = {}
        for number in range(4):
            data = noise(60000) + noise(9000, seed=number + 50)
            (folder / "blob").write_bytes(data)
            run("image", "make", "--chip", "esp32", "--payload", "blob",
                "--app-version", f"v{number}", "-o", f"v{number}.app-bin")
            self.images[number] = (folder / f"v{number}.app-bin").read_bytes()
        run("flash", "make", "--layout", "micropython-4mib-ota", "--ota_0",
            "v0.app-bin", "-o", "dev.bin")
        self.folder = folder


@pytest.fixture(scope="module")
def owner(tmp_path_factory, baton_path):
    folder = tmp_path_factory.mktemp("owner")

    def run(*args):
        subprocess.run([baton_path, *args], cwd=folder, check=True,
                       capture_output=True, timeout=60)

    return Owner(folder, run)


class World:
    """A device that runs v0, and a server."""

    def __init__(self, baton, folder, owner, server, policy):
        self.baton = baton
        self.policy = policy
        self.owner = owner
        self.server = server
        self.folder = folder
        (folder / "fs").mkdir()
        shutil.copy(owner.folder / "dev.bin", folder / "dev.bin")
        self.serve_keys(1, "a")

    def put(self, path, data, **options):
        if isinstance(data, str):
            data = data.encode()
        self.server.files["/" + path] = Answer(data, **options)

    def serve_keys(self, version, *names, signer="root", **changes):
        keys = [self.owner.keys[name] for name in names]
        payload = key_set(*keys, version=version, **changes)
        self.put("keys.jws", self.owner.keys[signer].jws(payload, KEYS))

    def serve(self, number, sequence, signer="a", **changes):
        """A release of image `number` with its files; returns it."""
        image = self.owner.images[number]
        changes = {"chip": CHIP, "version": f"v{number}", **changes}
        payload = manifest(image, sequence=sequence, **changes)
        self.put(payload["payloads"][0]["path"], image)
        self.put(payload["list"]["path"], sector_list(image))
        self.put("stable.jws", self.owner.keys[signer].jws(payload))
        return payload

    def run(self, name="stable.jws", args=(), **settings):
        """The device's boots until it rests; its version, and all it said."""
        self.server.log.clear()
        environment = {
            **os.environ, "BATON_URL": f"{self.server.url}/{name}",
            "BATON_PRODUCT": "lamp", "BATON_PATIENCE_S": "1",
            "BATON_ROOT": text_of(self.owner.keys["root"]), **settings}
        device = ("--micropython", ROOT / "build" / "examples" / "device")
        if self.policy == "python":
            device = python_device(self.folder / "fs", environment)
        done = self.baton(
            "sim", "--flash", "dev.bin", "--fs", "fs", *device, "--max-boots",
            "6", "--timeout", "60", "--json", *args, env=environment)
        *console, last = done.stdout.splitlines()
        report = self.report = json.loads(last)
        assert report["exit"] in (0, 3), last  # at rest, or it said why not
        assert report["violations"] == 0 and report["state"] == "VALID", last
        return report["version"], "\n".join(console)

    def refuses(self, error, version="v0", **settings):
        running, said = self.run(**settings)
        assert f"BATON_ERR_{error}:" in said, said
        assert running == version
        return said

    def takes(self, version, **settings):
        running, said = self.run(**settings)
        assert running == version, said
        return said

    def asked_for(self, part):
        return [request for request in self.server.log
                if part in request.path]

    def sent(self):
        return sum(request.sent for request in self.server.log)


def text_of(key):
    jwk = key.jwk()
    return f"{jwk['x']}.{jwk['y']}"


@pytest.fixture(params=POLICIES)
def world(baton, tmp_path, owner, request):
    with BadServer() as server:
        yield World(baton, tmp_path, owner, server, request.param)


# ---- TUF's names -----------------------------------------------------------

def test_nothing_wrong(world):
    """What all others start from."""
    world.serve(1, 1)
    world.takes("v1")
    world.serve(2, 2)
    world.takes("v2")


def test_attack_arbitrary_software(world):
    world.serve(1, 1, signer="thief")
    world.refuses("KEY_UNKNOWN")
    assert not world.asked_for("payloads")
    thief = world.owner.keys["thief"]
    payload = manifest(world.owner.images[1], chip=CHIP)
    world.put("stable.jws", thief.jws(
        payload, header=thief.header(kid=world.owner.keys["a"].kid)))
    world.refuses("SIGNATURE")
    # The thief's keys.jws does not help.
    world.serve(1, 1, signer="thief")
    world.serve_keys(2, "thief", signer="thief")
    world.refuses("KEY_UNKNOWN")
    world.serve_keys(2, "thief", signer="a")
    world.refuses("KEY_UNKNOWN")
    assert not world.asked_for("payloads")


def test_attack_arbitrary_software_unsigned(world):
    """With a root key, an image by itself is refused, however it is asked."""
    world.put("v1.app-bin", world.owner.images[1])
    running, said = world.run("v1.app-bin")
    assert running == "v0" and "BATON_ERR_UNSIGNED" in said
    assert world.sent() == 0


def test_attack_rollback(world):
    world.serve(2, 2)
    world.takes("v2")
    world.serve(1, 1)
    world.refuses("MANIFEST_OLD", "v2")
    assert not world.asked_for("payloads")
    # An older key set brings nothing back either.
    world.serve_keys(3, "b")
    world.serve(3, 3, signer="b")
    world.takes("v3")
    world.serve_keys(2, "a")
    world.serve(1, 4, signer="a")
    running, said = world.run()
    assert running == "v3" and "KEY" in said


def test_attack_freeze(world):
    world.serve(1, 1, issued=1000, expires=2000)
    world.refuses("MANIFEST_EXPIRED")
    world.serve(1, 1)
    world.serve_keys(1, "a", expires=2000)
    world.refuses("KEYS_EXPIRED")
    world.serve_keys(1, "a")
    world.takes("v1")


def endless(data):
    return Answer(data, endless=True, end="close",
                  headers={"Content-Length": None})


def test_attack_endless_data(world):
    """Each file, one after the other, never ends."""
    payload = world.serve(1, 1)
    files = dict(world.server.files)
    raw = "/" + payload["payloads"][0]["path"]
    for path in ("/stable.jws", "/keys.jws", "/" + payload["list"]["path"],
                 raw):
        data = files[path].data if path == raw else b"A" * 4096
        world.server.files[path] = endless(data)
        began = time.monotonic()
        running, said = world.run()
        assert time.monotonic() - began < 30
        if path.startswith("/lists"):
            assert running == "v1", said  # the list is a help only
            shutil.copy(world.owner.folder / "dev.bin",
                        world.folder / "dev.bin")
            (world.folder / "dev.bin.board").unlink()
        elif path == raw:
            assert running == "v1", said  # all that is signed came
        else:
            assert running == "v0" and "BATON_ERR_" in said, said
        # What is taken is bounded by what was signed; what was sent is more
        # only by what is on its way.
        for request in world.asked_for(path):
            assert request.sent < 8 << 20, path
        assert len(world.asked_for(path)) <= 3, path
        world.server.files.update(files)
    world.takes("v1")


def test_attack_endless_header(world):
    world.serve(1, 1)
    good = world.server.files["/stable.jws"]
    world.server.files["/stable.jws"] = Answer(
        raw=b"HTTP/1.1 200 OK\r\n" + b"X-Y: " + b"z" * (1 << 20),
        endless=False, end="close")
    running, said = world.run()
    assert running == "v0" and "BATON_ERR_" in said
    world.server.files["/stable.jws"] = good
    world.takes("v1")


def test_attack_slow_retrieval(world):
    """A server that drips is left; the good one later goes on from there."""
    payload = world.serve(1, 1)
    files = dict(world.server.files)
    raw = "/" + payload["payloads"][0]["path"]
    for path in ("/stable.jws", "/keys.jws"):
        world.server.files[path] = Answer(files[path].data, drip=(1, 0.1),
                                          drip_after=400)
        world.refuses("NET_STALLED", BATON_TRIES="1")
        world.server.files[path] = files[path]
    # The payload by drops: each time some of it comes, and never enough.
    world.server.files[raw] = Answer(files[raw].data, drip=(1, 0.1),
                                     drip_after=600)
    world.refuses("NET_STALLED", BATON_TRIES="1")
    # A part of it quickly each time: left when it drips, and gone on from.
    world.server.files[raw] = Answer(files[raw].data, drip=(1, 0.1),
                                     drip_after=41000)
    said = world.takes("v1", BATON_TRIES="1")
    assert said.count("NET_STALLED") == 1
    assert sum(request.sent for request in world.asked_for(raw)) < 90000


def test_attack_mix_and_match(world):
    """Parts of two releases under the names of one."""
    other = world.serve(2, 1)
    payload = world.serve(1, 1)
    raw = payload["payloads"][0]["path"]
    sectors = payload["list"]["path"]
    one, two = world.owner.images[1], world.owner.images[2]
    assert len(one) == len(two)
    # Another release's image as a whole, and spliced in at some places.
    for mixed in (two, one[:40960] + two[40960:], two[:4096] + one[4096:],
                  one[:-64] + two[-64:]):
        world.put(raw, mixed)
        running, said = world.run()
        assert running == "v0" and "BATON_ERR_" in said, said
    world.put(raw, one)
    # Another release's list: at most it costs a second fetch.
    world.put(sectors, sector_list(two))
    running, said = world.run()
    assert running in ("v0", "v1"), said
    world.put(sectors, sector_list(one))
    world.takes("v1")
    # One manifest that names files of two.
    mixed = manifest(one, chip=CHIP, sequence=9)
    mixed["payloads"] = other["payloads"]
    world.put("stable.jws", world.owner.keys["a"].jws(mixed))
    world.refuses("MANIFEST_FORMAT", "v1")


def test_attack_wrong_software(world):
    world.serve(1, 1, product="kettle")
    world.refuses("MANIFEST_PRODUCT")
    world.serve(1, 1, chip=9)
    world.refuses("MANIFEST_CHIP")
    # A release where the key set is, and the other way round.
    world.serve(1, 1)
    keys = world.server.files["/keys.jws"]
    release = world.server.files["/stable.jws"]
    world.server.files["/keys.jws"] = release
    world.refuses("JWS_TYPE")
    world.server.files["/keys.jws"] = keys
    world.server.files["/stable.jws"] = keys
    world.refuses("JWS_TYPE")
    assert not world.asked_for("payloads")


def test_attack_fast_forward(world):
    """The highest number by a stolen key, and how the owner recovers."""
    world.serve(1, 1)
    world.takes("v1")
    world.serve(2, 4294967295)
    world.takes("v2")
    world.serve_keys(2, "b", sequence=1)
    world.serve(3, 2, signer="b")
    world.takes("v3")


@pytest.mark.parametrize("permille", [0, 1000])
def test_attack_fast_forward_by_a_withdrawn_key(world, permille):
    """A device that has not seen the new key set yet is not shut out."""
    world.serve(1, 1)
    world.takes("v1")
    world.serve_keys(2, "b")  # without a reset: nobody knows of the theft
    world.serve(2, 4294967295,
                rollout={"permille": permille, "salt": "x"})
    world.refuses("KEY_UNKNOWN", "v1")
    world.serve(3, 2, signer="b")
    world.takes("v3")


def test_attack_key_compromise(world):
    """The key was withdrawn after the device last looked."""
    world.serve(1, 1)
    world.takes("v1")
    world.serve_keys(2, "b")
    world.serve(2, 2, signer="a")  # the thief's, by a key the device trusts
    world.refuses("KEY_UNKNOWN", "v1")
    assert not world.asked_for("payloads")
    # From here on also without looking at keys.jws.
    world.server.files["/keys.jws"] = Answer(status=404)
    world.refuses("KEY_UNKNOWN", "v1")
    world.serve(3, 2, signer="b")
    world.takes("v3")


def test_attack_mirror_tampering(world):
    """One bit of any file; when the mirror is good again, all is well."""
    payload = world.serve(1, 1)
    files = dict(world.server.files)
    raw = "/" + payload["payloads"][0]["path"]
    for path, places in (("/stable.jws", 7), ("/keys.jws", 5), (raw, 9),
                         ("/" + payload["list"]["path"], 3)):
        good = files[path].data
        for at in range(0, len(good), len(good) // places + 1):
            wrong = bytearray(good)
            wrong[at] ^= 1 << at % 8
            world.server.files[path] = Answer(bytes(wrong))
            running, said = world.run()
            if path.startswith("/lists"):
                assert running in ("v0", "v1"), said
                if running == "v1":
                    break
            else:
                assert running == "v0" and "BATON_ERR_" in said, (path, at)
        world.server.files[path] = files[path]
    world.takes("v1")


@pytest.mark.parametrize("mode", ["before", "torn", "garbage", "after"])
def test_trust_survives_every_cut(world, mode):
    """The power is cut at each flash operation that installs a key set and
    notes a sequence number: what was withdrawn stays so."""
    nobody = {"rollout": {"permille": 0, "salt": "x"}}
    world.serve(1, 1, **nobody)
    world.refuses("MANIFEST_ROLLOUT")
    saved = {name: (world.folder / name).read_bytes()
             for name in ("dev.bin", "dev.bin.board")}

    def begin():
        for name, data in saved.items():
            (world.folder / name).write_bytes(data)
        world.serve_keys(2, "b")
        world.serve(2, 5, signer="b", **nobody)

    begin()
    world.refuses("MANIFEST_ROLLOUT")
    operations = world.report["operations"]
    assert 4 <= operations < 100
    for number in range(1, operations + 1):
        begin()
        args = ("--cut-at", number, "--cut-mode", mode, "--seed", number)
        running, said = world.run(args=args)
        assert running == "v0" and world.report["cut"], (number, said)
        world.server.files["/keys.jws"] = Answer(status=404)
        world.serve(3, 9, signer="a")
        world.refuses("KEY_UNKNOWN")
        world.serve(3, 4, signer="b")
        world.refuses("MANIFEST_OLD")
    world.serve(3, 6, signer="b")
    world.takes("v3")
