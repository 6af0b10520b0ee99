"""The update agent over networks that break: examples/device-c on a virtual
ESP32, and servers on real sockets. How much is fetched twice after each cut, in
bytes that the server counted; what the device says where it cannot go on.
Attacks are in test_attacks_device.py, everything at once in tests/chaos."""
# SPDX-License-Identifier: MIT
import hashlib
import json
import os
import random
import shutil
import subprocess
import time

import pytest

from bad_server import Answer
from flash_helpers import SECTOR, image
from policy_helpers import POLICIES, python_device

LAYOUT = "micropython-4mib-ota"
SIZE = 100000
SEED = int(os.environ.get("BATON_SEED", random.randrange(2 ** 32)))

V1 = image("v1", size=9000)
V2 = image("v2", size=SIZE)
V3 = image("v3", payload=b"another one", size=SIZE)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Device:
    """v1 is confirmed in ota_0; ota_1 is free."""

    def __init__(self, repo, baton, folder, template, policy):
        self.policy = policy
        self.program = repo / "build" / "examples" / "device"
        assert self.program.is_file(), "next: make test-build"
        self.baton = baton
        self.folder = folder
        self.template = template
        self.servers = []  # that a redirect leads to
        (folder / "fs").mkdir()
        self.reset()

    def reset(self):
        for path in self.folder.glob("dev.bin*"):
            path.unlink()
        for path in self.template.parent.glob("dev.bin*"):
            shutil.copy(path, self.folder / path.name)

    def run(self, url, *args, patience=2, code=None, **settings):
        """What the firmware said, and the report."""
        env = {**os.environ, "BATON_URL": url,
               "BATON_PATIENCE_S": str(patience)}
        env.update((f"BATON_{name.upper()}", str(value))
                   for name, value in settings.items())
        device = ("--micropython", self.program)
        if self.policy == "python":
            device = python_device(self.folder / "fs", env, *self.servers)
        done = self.baton(
            "sim", "--flash", "dev.bin", "--fs", "fs", *device, "--json", "--quiet", "--max-boots", "20",
            "--timeout", "60", *args, env=env, code=code)
        *console, last = done.stdout.splitlines()
        return console, json.loads(last)


@pytest.fixture(scope="session")
def template(baton_path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("template")
    (folder / "v1.img").write_bytes(V1)
    subprocess.run(
        [baton_path, "flash", "make", "--layout", LAYOUT, "--ota_0", "v1.img",
         "-o", "dev.bin"], cwd=folder, check=True, capture_output=True)
    return folder / "dev.bin"


@pytest.fixture(params=POLICIES)
def device(repo, baton, tmp_path, template, request):
    return Device(repo, baton, tmp_path, template, request.param)


class Tree:
    """A release of V2 and what a device must know to take it."""

    def __init__(self, baton_path, folder):
        self.folder = folder
        (folder / "v2.app-bin").write_bytes(V2)
        www = folder / "www"

        def run(*args):
            return subprocess.run([baton_path, *args], cwd=folder, check=True,
                                  capture_output=True, text=True).stdout

        root = run("key", "new", "root.pem")
        run("key", "new", "release.pem")
        run("release", "keys", "--dir", "www", "--root", "root.pem",
            "release.pem")
        run("release", "make", "v2.app-bin", "--dir", "www", "--key",
            "release.pem", "--product", "lamp")
        public = root.split("public")[1].split()[0]
        self.settings = {"root": public, "product": "lamp"}
        self.files = {"/" + str(path.relative_to(www)): path.read_bytes()
                      for path in www.rglob("*") if path.is_file()}

    @property
    def channel(self):
        return "/stable.jws"


@pytest.fixture(scope="session")
def tree(baton_path, tmp_path_factory):
    return Tree(baton_path, tmp_path_factory.mktemp("release"))


@pytest.fixture
def server(bad_server):
    return bad_server()


def serve(server, files, **more):
    server.clear()
    for path, data in files.items():
        server.files[path] = Answer(data, etag=f'"{sha256(data)[:16]}"', **more)


def is_on(report, version):
    slot = "ota_0" if version == "v1" else "ota_1"
    return (report["slot"], report["version"]) == (slot, version)


def check_updated(console, report, version="v2"):
    assert is_on(report, version) and report["state"] == "VALID", console
    assert report["violations"] == 0


def check_kept(console, report, error):
    assert is_on(report, "v1"), console
    assert f"BATON_ERR_{error}" in console[-1], console


def plain(data=V2):
    return {"sha256": sha256(data)}


# ---- As it should be --------------------------------------------------------

@pytest.mark.parametrize("kind", ["nginx", "http.server"])
def test_servers(device, tree, nginx, http_server, kind):
    www = tree.folder / "www"
    server = nginx(www) if kind == "nginx" else http_server(www)
    check_updated(*device.run(server.url + tree.channel, **tree.settings))
    console, report = device.run(server.url + tree.channel, **tree.settings)
    assert "device: up to date" in console and report["operations"] == 0
    device.reset()
    (tree.folder / "www" / "fw.bin").write_bytes(V2)
    check_updated(*device.run(server.url + "/fw.bin", **plain()))


# ---- Cut connections --------------------------------------------------------

def cuts():
    choose = random.Random(SEED)
    return (list(range(0, len(V2), SECTOR))
            + [choose.randrange(len(V2)) for _ in range(15)])


class CutOnce:
    """Cuts one answer, once so many bytes of the image were sent in all."""

    def __init__(self, server, path, data, at, **options):
        self.server = server
        self.answer = Answer(data, **options)
        self.at = at
        server.files[path] = self

    def __call__(self, request):
        start = request.range[0] if request.range and self.answer.ranges else 0
        length = len(self.answer.data)
        if self.at is None or start > self.at:
            return self.answer
        if request.range and request.range[1]:
            length = request.range[1]
        if self.at >= length:
            return self.answer
        cut, self.at = self.at - start, None
        return Answer(self.answer.data, etag=self.answer.etag,
                      ranges=self.answer.ranges, cut_body=cut, end="close",
                      headers={"Connection": "keep-alive"})


def image_bytes(server, path):
    return sum(r.sent for r in server.log if r.path == path)


def test_resume_of_a_plain_image(device, server, record_property):
    most = 0
    for cut in cuts():
        server.clear()
        device.reset()
        CutOnce(server, "/fw.bin", V2, cut, etag='"v2"')
        check_updated(*device.run(server.url + "/fw.bin", **plain()))
        twice = image_bytes(server, "/fw.bin") - len(V2)
        # Two sectors, and the probes: the first bytes at each start, and the
        # byte that shows that the server is there.
        assert twice <= 2 * SECTOR + 3 * 288 + 1, (SEED, cut, twice)
        most = max(most, twice)
    record_property("most_bytes_twice", most)


def test_resume_of_a_release(device, server, tree, record_property):
    path = next(p for p, data in tree.files.items() if data == V2)
    most = 0
    for cut in cuts():
        serve(server, tree.files)
        device.reset()
        CutOnce(server, path, V2, cut, etag='"v2"')
        check_updated(*device.run(
            server.url + tree.channel, no_codec=1, **tree.settings))
        twice = image_bytes(server, path) - len(V2)
        assert twice <= 2 * SECTOR, (SEED, cut, twice)
        most = max(most, twice)
    record_property("most_bytes_twice", most)


def test_resume_over_a_power_cut(device, server):
    """The power goes while the connection stands."""
    for number in range(20, 460, 40):
        server.clear()
        device.reset()
        server.files["/fw.bin"] = Answer(V2, etag='"v2"')
        console, report = device.run(
            server.url + "/fw.bin", "--cut-at", number, "--seed", SEED,
            **plain())
        check_updated(console, report)
        assert report["cut"] is not None
        starts = [r.range[0] for r in server.log
                  if r.range and r.range[1] is None]
        assert len(starts) == 2
        # What was on flash by then: 15 pages and an erase for each sector.
        done = (number - 4) // 17 * SECTOR
        # Python marks blocks of them.
        lost = 17 if device.policy == "python" else 2
        assert starts[1] >= done - lost * SECTOR, (number, starts)


def test_no_ranges(device, server):
    """Everything is fetched again, and the sectors that are right stay."""
    for cut in (0, 5000, 50000, len(V2) - 1):
        server.clear()
        device.reset()
        CutOnce(server, "/fw.bin", V2, cut, ranges=False)
        check_updated(*device.run(server.url + "/fw.bin", **plain()))


CHANGE_AT = (300, 4096, 50000, len(V2) - 1)


def change(server, cut, etags):
    """V2 is cut off, and what comes from then on is V3."""
    server.clear()
    first = CutOnce(server, "/fw.bin", V2, cut, etag=etags[0])
    then = Answer(V3, etag=etags[1])
    server.files["/fw.bin"] = (
        lambda request: first(request) if first.at is not None else then)


@pytest.mark.parametrize("settings", [plain(V3), {"unsigned": 1}])
@pytest.mark.parametrize("etags", [('"a"', '"b"'), ('"a"', None)])
def test_the_file_changes(device, server, etags, settings):
    """Never half of one and half of the other: the new one, from its start."""
    for cut in CHANGE_AT:
        device.reset()
        change(server, cut, etags)
        check_updated(*device.run(server.url + "/fw.bin", **settings), "v3")


def test_the_file_changes_unseen(device, server):
    """Without validators only the digest can tell; the next check succeeds."""
    for cut in CHANGE_AT:
        device.reset()
        change(server, cut, (None, None))
        console, report = device.run(server.url + "/fw.bin", **plain(V3))
        if not is_on(report, "v3"):
            check_kept(console, report, "IMAGE_")
            console, report = device.run(server.url + "/fw.bin", **plain(V3))
        check_updated(console, report, "v3")


def test_another_file_than_asked_for(device, server):
    for cut in CHANGE_AT:
        device.reset()
        change(server, cut, ('"a"', '"b"'))
        console, report = device.run(server.url + "/fw.bin", **plain(V2))
        check_kept(console, report, "IMAGE_SHA256")


# ---- Answers that are none --------------------------------------------------

def test_not_there(device, server):
    console, report = device.run(server.url + "/fw.bin", **plain())
    check_kept(console, report, "HTTP_NOT_FOUND")
    assert len(server.log) == 1


@pytest.mark.parametrize("fault", [
    Answer(status=500), Answer(status=429), Answer(cut=0, end="reset"),
    Answer(raw=b"HTTP/1.1 2", end="close"), Answer(raw=b"<html>", end="close"),
])
def test_faults_that_pass(device, server, fault):
    server.files["/fw.bin"] = Answer(V2)
    server.plan = [fault] * 3
    check_updated(*device.run(server.url + "/fw.bin", **plain()))


def test_downgrade(device, server, bad_server, certificates):
    """From https to http only what is vouched for by its digest."""
    secure = bad_server(tls=certificates.context(certificates.issue("agent")))
    secure.files["/fw.bin"] = Answer(
        status=302, headers={"Location": server.url + "/fw.bin"})
    server.files["/fw.bin"] = Answer(V2)
    device.servers.append(server.url)
    # The interpreter's TLS knows no addresses in certificates.
    url = f"https://localhost:{secure.port}/fw.bin"
    console, report = device.run(url, ca=certificates.ca)
    check_kept(console, report, "HTTP_DOWNGRADE")
    assert not server.log
    check_updated(*device.run(url, ca=certificates.ca, **plain()))


def test_certificates(device, bad_server, certificates):
    for label, error, options in (
            ("expired", "TLS_EXPIRED", {"start": -2 * 86400, "end": -60}),
            ("wrong", "TLS_HOST", {"names": "DNS:other.example"})):
        made = certificates.issue("agent-" + label, **options)
        server = bad_server(tls=certificates.context(made))
        server.files["/fw.bin"] = Answer(V2)
        console, report = device.run(
            server.url + "/fw.bin", ca=certificates.ca, **plain())
        check_kept(console, report, error)
        assert not server.log
