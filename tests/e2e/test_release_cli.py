"""baton release, as a release engineer and a script use it."""

# SPDX-License-Identifier: MIT
import hashlib
import json
import os
import stat
import subprocess
import threading
import time

import pytest

from image_helpers import noise
from release_helpers import b64, sector_list

DAY = 86400


@pytest.fixture
def image(baton, tmp_path):
    (tmp_path / "blob").write_bytes(noise(30000))
    baton("image", "make", "--chip", "esp32s3", "--payload", "blob",
          "--app-version", "2.0.1", "--secure-version", "3", "-o",
          "lamp.app-bin", code=0)
    return tmp_path / "lamp.app-bin"


@pytest.fixture
def keys(baton):
    for name in ("root.pem", "release.pem"):
        baton("key", "new", name, code=0)


@pytest.fixture
def make(baton, image, keys):
    """Publishes to www; more options may be given."""

    def run(*args, code=0, **options):
        return baton("release", "make", image, "--dir", "www", "--key",
                     "release.pem", "--product", "lamp", *args, code=code,
                     **options)

    return run


def shown(baton, path="www/stable.jws"):
    return json.loads(baton("release", "show", "--json", path,
                            code=0).stdout)["payload"]


def verify(baton, *args, code=0):
    return baton("release", "verify", "--key", "release.pem", *args,
                 "www/stable.jws", code=code)


# ---- Making ----------------------------------------------------------------

def test_make(baton, make, image, tmp_path):
    before = int(time.time())
    done = make("--board", "lamp-s3", "--rollout", "12.5", "--notes", "Hé\nb",
                "--boot", "rollback")
    after = int(time.time())
    assert "sequence 1, 12.5 % of devices" in done.stdout
    assert done.stderr == ""
    payload = shown(baton)
    data = image.read_bytes()
    digest = b64(hashlib.sha256(data).digest())
    assert before <= payload["issued"] <= after
    assert payload["expires"] == payload["issued"] + 90 * DAY
    assert payload["product"] == "lamp" and payload["board"] == "lamp-s3"
    assert payload["chip"] == 9 and payload["version"] == "2.0.1"
    assert payload["secure_version"] == 3 and payload["boot"] == 1
    assert payload["mpy"] == 0 and payload["notes"] == "Hé\nb"
    assert payload["image"] == {"bytes": len(data), "sha256": digest}
    assert payload["rollout"]["permille"] == 125
    assert (tmp_path / "www" / payload["list"]["path"]).read_bytes() == \
        sector_list(data)
    verify(baton)


def test_every_file_is_named_by_its_content(baton, make, tmp_path):
    make()
    files = [path for path in (tmp_path / "www").rglob("*") if path.is_file()]
    assert len(files) >= 3
    for path in files:
        if path.name != "stable.jws":
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            assert path.name.split(".")[0] == digest
        assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_second_release_leaves_the_first_ones_files(baton, make, image,
                                                      tmp_path):
    make()
    first = shown(baton)
    kept = {path: path.stat().st_mtime_ns
            for path in (tmp_path / "www").rglob("*")
            if path.is_file() and path.name != "stable.jws"}
    (tmp_path / "blob").write_bytes(noise(30000, seed=9))
    baton("image", "make", "--chip", "esp32s3", "--payload", "blob",
          "--app-version", "2.0.2", "-o", image, code=0)
    make()
    second = shown(baton)
    assert (first["sequence"], second["sequence"]) == (1, 2)
    assert first["image"] != second["image"]
    assert first["rollout"]["salt"] != second["rollout"]["salt"]
    for path, changed in kept.items():
        assert path.stat().st_mtime_ns == changed
    # The same image again: no file is written but the channel's.
    make()
    assert shown(baton)["sequence"] == 3
    assert not [path for path in (tmp_path / "www").rglob("*.??????")
                if path.suffix not in (".raw", ".packed", ".delta")]


def test_channels_are_apart(baton, make):
    make("--channel", "beta", "--sequence", "50")
    make()
    assert shown(baton)["sequence"] == 1
    assert shown(baton, "www/beta.jws")["sequence"] == 50
    for name in ("keys", "", "a/b", "../x", "a.b", "x" * 65):
        make("--channel", name, code=2)


def test_the_same_in_is_the_same_out(baton, make, tmp_path):
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    out = []
    for _ in range(2):
        make("--sequence", "5", env=environment)
        out.append((tmp_path / "www" / "stable.jws").read_bytes())
    assert out[0] == out[1]
    assert shown(baton)["issued"] == 1700000000


def test_what_a_device_would_refuse_is_not_published(baton, make, tmp_path):
    make()
    before = (tmp_path / "www" / "stable.jws").read_bytes()
    for args, error in (
            (["--version", "x" * 64], "MANIFEST_FORMAT"),
            (["--board", "x" * 33], "MANIFEST_FORMAT"),
            (["--version", "a\x07b"], "MANIFEST_FORMAT"),
            (["--salt", "x" * 33], "MANIFEST_FORMAT"),
            (["--expires", "2001-01-01"], "MANIFEST_FORMAT"),
            (["--sequence", "0"], "MANIFEST_FORMAT"),
            (["--notes", "x" * 3500], "JWS_TOO_LARGE")):
        done = make(*args, code=1)
        assert f"BATON_ERR_{error}" in done.stderr, args
        assert "a device would refuse it" in done.stderr
    assert (tmp_path / "www" / "stable.jws").read_bytes() == before


def test_wrong_images_are_refused(baton, keys, tmp_path):
    (tmp_path / "page").write_text("<!DOCTYPE html><html>no</html>")
    done = baton("release", "make", "page", "--dir", "www", "--key",
                 "release.pem", "--product", "lamp", code=1)
    assert "BATON_ERR_IS_HTML" in done.stderr
    assert not (tmp_path / "www").exists()


def test_usage(baton, make, tmp_path):
    for args in (["--rollout", "101"], ["--rollout", "2.55"],
                 ["--rollout", "-1"], ["--rollout", "x"], ["--expires", "soon"],
                 ["--expires", "90"], ["--expires", "2026-02-30"],
                 ["--expires", "-1d"], ["--mpy", "6"], ["--mpy", "6.4"],
                 ["--boot", "maybe"], ["--sequence", "-1"], ["--nonsense"]):
        done = make(*args, code=2)
        assert done.stderr, args
    baton("release", "make", "x", code=2)
    baton("release", "verify", "x", code=2)
    baton("release", "show", code=2)
    baton("release", "nonsense", code=2)
    baton("key", "show", code=2)
    assert not (tmp_path / "www" / "stable.jws").exists()
    for command in ("key new", "key show", "release make", "release show",
                    "release verify", "release sign", "release expire",
                    "release rollout", "release keys", "release prune"):
        done = baton(*command.split(), "--help", code=0)
        assert "Example:" in done.stdout and done.stderr == ""


def test_a_public_key_does_not_sign(baton, make, tmp_path):
    (tmp_path / "public.pem").write_text(
        baton("key", "show", "--pem", "release.pem", code=0).stdout)
    done = make("--key", "public.pem", code=1)
    assert "this is a public key" in done.stderr and "next:" in done.stderr


def test_micropython_says_its_mpy_version(baton, keys, tmp_path):
    for version, mpy in (("1.19.1", 6), ("1.20.0", 262), ("1.22.2", 518),
                         ("1.23.0", 774), ("1.26.1", 774), ("1.99.0", None)):
        (tmp_path / "blob").write_bytes(
            noise(9000) + f"\0MicroPython v{version} on 2025-04-15; Generic "
            "ESP32 module with ESP32\r\n\0".encode())
        baton("image", "make", "--chip", "esp32", "--payload", "blob", "-o",
              "m.app-bin", code=0)
        args = ("release", "make", "m.app-bin", "--dir", "www", "--key",
                "release.pem", "--product", "m")
        if mpy is None:
            assert "--mpy" in baton(*args, code=2).stderr
            baton(*args, "--mpy", "6.3", code=0)
            mpy = 774
        else:
            baton(*args, code=0)
        assert shown(baton)["mpy"] == mpy
        assert shown(baton)["version"] == f"v{version}"
        verify(baton, "--mpy", f"{mpy & 255}.{mpy >> 8}")
        assert "MANIFEST_MPY" in verify(baton, "--mpy", "5.0", code=1).stderr


# ---- Payloads --------------------------------------------------------------

def text_image(baton, tmp_path, name, version, lines):
    (tmp_path / "blob").write_text("\n".join(
        f"line {number} of {number * 77 % 991}" for number in lines))
    baton("image", "make", "--chip", "esp32s3", "--payload", "blob",
          "--app-version", version, "-o", name, code=0)
    return tmp_path / name


def test_packed_and_deltas(baton, make, image, tmp_path):
    """Each base that is worth it gets a delta; what does not pay is left
    out."""
    make("--raw-only")
    assert [entry["encoding"] for entry in shown(baton)["payloads"]] == ["raw"]
    one = text_image(baton, tmp_path, "one.app-bin", "1", range(3000))
    two = text_image(baton, tmp_path, "two.app-bin", "2", range(1, 3001))
    make_it = ("release", "make", "lamp.app-bin", "--dir", "www", "--key",
               "release.pem", "--product", "lamp")
    image.write_bytes(two.read_bytes())
    baton(*make_it, "--from-channel", code=0)  # the noise above: no use
    found = shown(baton)["payloads"]
    assert [entry["encoding"] for entry in found] == ["raw", "packed"]
    text_image(baton, tmp_path, "lamp.app-bin", "3", range(2, 3002))
    baton(*make_it, "--from", one, "--from-channel", "--profile", "M", code=0)
    found = shown(baton)["payloads"]
    assert [entry["encoding"] for entry in found] == [
        "raw", "packed", "delta", "delta"]
    assert [entry.get("profile") for entry in found] == [None, "M", "M", "M"]
    for entry, base in zip(found[2:], (one, two)):
        data = base.read_bytes()
        assert entry["base"] == {
            "bytes": len(data), "sha256": b64(hashlib.sha256(data).digest())}
        assert entry["bytes"] < found[1]["bytes"] < found[0]["bytes"]
        baton("unpack", f"www/{entry['path']}", "--from", base, "-o", "again",
              code=0)
        assert (tmp_path / "again").read_bytes() == image.read_bytes()
    verify(baton)
    # The delta's base is in the tree: it is decoded, too.
    broken = dict(found[3])
    path = tmp_path / "www" / broken["path"]
    wrong = bytearray(path.read_bytes())
    wrong[-5] ^= 1
    digest = hashlib.sha256(wrong).digest()
    path.write_bytes(wrong)
    broken["sha256"] = b64(digest)
    payload = shown(baton)
    payload["payloads"][3] = broken
    (tmp_path / "m.json").write_text(json.dumps(payload))
    baton("release", "sign", "--payload", "m.json", "--key", "release.pem",
          "-o", "www/stable.jws", code=0)
    assert "CODEC_" in verify(baton, code=1).stderr


def test_many_bases(baton, make, image, tmp_path):
    """As many deltas as are allowed fit into a manifest."""
    bases = []
    for number in range(6):
        path = text_image(baton, tmp_path, f"{number}.app-bin", str(number),
                          range(number, 2000 + number))
        bases += ["--from", path]
    text_image(baton, tmp_path, "lamp.app-bin", "9", range(9, 2009))
    make("--board", "b" * 32, "--version", "v" * 63, "--salt", "s" * 32,
         *bases[:10])
    assert len(shown(baton)["payloads"]) == 7
    assert (tmp_path / "www" / "stable.jws").stat().st_size <= 4096
    make(*bases, code=2)
    make("--profile", "XL", code=2)
    make("--from", "missing", code=1)


# ---- Changing --------------------------------------------------------------

def test_rollout(baton, make):
    make("--rollout", "0")
    devices = [f"24{number:010x}" for number in range(25)]

    def who():
        return {device for device in devices
                if verify(baton, "--no-files", "--id", device,
                          code=None).returncode == 0}

    assert who() == set()
    last = set()
    for percent in ("20", "50%", "99.9", "100"):
        baton("release", "rollout", "--dir", "www", "--key", "release.pem",
              percent, code=0)
        assert last <= who()
        last = who()
        assert shown(baton)["sequence"] == 1
    assert last == set(devices)
    baton("release", "rollout", "--dir", "www", "--key", "release.pem", "0",
          code=0)
    assert who() == set()
    baton("release", "rollout", "--dir", "www", "--key", "release.pem", "101",
          code=2)


def test_expire_and_sign_anew(baton, make):
    make()
    first = shown(baton)
    baton("release", "expire", "--dir", "www", "--key", "release.pem", code=0)
    assert "MANIFEST_EXPIRED" in verify(baton, code=1).stderr
    # Devices without a clock are kept off by the rollout.
    assert "MANIFEST_ROLLOUT" in verify(baton, "--at", "never", "--id", "01",
                                        code=1).stderr
    baton("release", "sign", "--dir", "www", "--key", "release.pem",
          "--expires", "10d", code=0)
    verify(baton)
    verify(baton, "--at", "9d")
    assert "MANIFEST_EXPIRED" in verify(baton, "--at", "11d", code=1).stderr
    baton("release", "rollout", "--dir", "www", "--key", "release.pem", "100",
          code=0)
    last = shown(baton)
    for name in ("issued", "expires"):
        first.pop(name), last.pop(name)
    assert first == last


def test_sign_keeps_what_it_does_not_know(baton, make, tmp_path):
    make()
    payload = {**shown(baton), "later": {"a": [1, 2]}}
    (tmp_path / "m.json").write_text(json.dumps(payload))
    baton("release", "sign", "--payload", "m.json", "--key", "release.pem",
          "-o", "www/stable.jws", code=0)
    assert shown(baton) == payload
    baton("release", "rollout", "--dir", "www", "--key", "release.pem", "5",
          code=0)
    assert shown(baton)["later"] == {"a": [1, 2]}
    (tmp_path / "m.json").write_text('{"format":1,"format":1}')
    done = baton("release", "sign", "--payload", "m.json", "--key",
                 "release.pem", "-o", "x.jws", code=1)
    assert "JSON_DUPLICATE" in done.stderr
    assert not (tmp_path / "x.jws").exists()


def test_signing_by_another_key(baton, make):
    """The owner of a stolen key publishes the same release by the next one."""
    make()
    baton("key", "new", "next.pem", code=0)
    baton("release", "keys", "--dir", "www", "--root", "root.pem",
          "release.pem", code=0)
    judged = ("release", "verify", "--root", "root.pem", "www/stable.jws")
    baton(*judged, code=0)
    done = baton("release", "keys", "--dir", "www", "--root", "root.pem",
                 "next.pem", code=0)
    assert "version 2, 1 key" in done.stdout
    assert "KEY_UNKNOWN" in baton(*judged, code=1).stderr
    done = baton("release", "sign", "--dir", "www", "--key", "next.pem",
                 code=1)
    assert "KEY_UNKNOWN" in done.stderr
    baton("release", "sign", "--dir", "www", "--key", "next.pem", "--was",
          "release.pem", code=0)
    baton(*judged, code=0)


def test_nothing_of_somebody_elses_is_signed(baton, make, image, tmp_path):
    """Who can write to the tree does not get a signature that way."""
    make()
    baton("release", "keys", "--dir", "www", "--root", "root.pem",
          "release.pem", code=0)
    baton("key", "new", "thief.pem", code=0)
    payload = {**shown(baton), "sequence": 4294967294}
    (tmp_path / "m.json").write_text(json.dumps(payload))
    baton("release", "sign", "--payload", "m.json", "--key", "thief.pem",
          "-o", "www/stable.jws", code=0)
    ours = ("--dir", "www", "--key", "release.pem")
    for args in (("sign", *ours), ("expire", *ours), ("rollout", *ours, "50"),
                 ("make", image, *ours, "--product", "lamp"),
                 ("make", image, *ours, "--product", "lamp", "--sequence", "9",
                  "--from-channel")):
        done = baton("release", *args, code=1)
        assert "BATON_ERR_KEY_UNKNOWN" in done.stderr, args
    assert shown(baton)["sequence"] == 4294967294
    make("--sequence", "9")
    verify(baton)
    # Likewise the number of a key set.
    baton("key", "new", "other.pem", code=0)
    baton("release", "keys", "--dir", "www", "--root", "other.pem",
          "--version", "4294967294", "thief.pem", code=0)
    keys_of = ("release", "keys", "--dir", "www", "--root", "root.pem",
               "release.pem")
    assert "KEY_UNKNOWN" in baton(*keys_of, code=1).stderr
    baton(*keys_of, "--version", "2", code=0)
    baton("release", "verify", "--root", "root.pem", "www/stable.jws", code=0)


# ---- Publishing ------------------------------------------------------------

def test_a_reader_never_finds_half_a_file(baton, make, tmp_path):
    """A server reads while the channel is replaced again and again."""
    make("--raw-only")
    path = tmp_path / "www" / "stable.jws"
    stopped = threading.Event()
    seen = set()

    def read():
        while not stopped.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for permille in range(1, 31):
            baton("release", "rollout", "--dir", "www", "--key", "release.pem",
                  f"{permille / 10}", code=0)
    finally:
        stopped.set()
        reader.join()
    assert len(seen) > 5
    for number, data in enumerate(seen):
        (tmp_path / "seen.jws").write_bytes(data)
        baton("release", "verify", "--no-files", "--key", "release.pem",
              "seen.jws", code=0)


def test_killed_at_any_moment(baton, baton_path, make, image, tmp_path):
    """What a channel names is always there, whenever publishing stops."""
    command = [baton_path, "release", "make", image, "--dir", "www", "--key",
               "release.pem", "--product", "lamp"]
    ends = set()
    for number in range(40):
        text_image(baton, tmp_path, "lamp.app-bin", str(number),
                   range(number, number + 900))
        process = subprocess.Popen(command, cwd=tmp_path,
                                   stdout=subprocess.DEVNULL)
        try:
            process.wait(timeout=number * 0.001)
        except subprocess.TimeoutExpired:
            process.kill()
        ends.add(process.wait() == 0)
        if (tmp_path / "www" / "stable.jws").exists():
            verify(baton)
    make()
    verify(baton)
    assert False in ends


# ---- Key sets --------------------------------------------------------------

def test_key_sets(baton, keys, tmp_path):
    for name in ("b", "c", "d", "e"):
        baton("key", "new", f"{name}.pem", code=0)
    (tmp_path / "b.pub").write_text(
        baton("key", "show", "--pem", "b.pem").stdout)
    (tmp_path / "c.txt").write_text(
        baton("key", "show", "--text", "c.pem").stdout)
    keys_of = ("release", "keys", "--root", "root.pem")
    baton(*keys_of, "-o", "keys.jws", "--expires", "never",
          "--reset-sequence", "41", "release.pem", "b.pub", "c.txt", "d.pem",
          code=0)
    payload = shown(baton, "keys.jws")
    assert payload["version"] == 1 and payload["expires"] == 0
    assert payload["sequence"] == 41 and len(payload["keys"]) == 4
    assert all(set(key) == {"kty", "crv", "x", "y"} for key in payload["keys"])
    baton(*keys_of, "-o", "keys.jws", "b.pub", code=0)
    payload = shown(baton, "keys.jws")
    assert payload["version"] == 2 and "sequence" not in payload
    now = time.time()
    assert abs(payload["expires"] - now - 730 * DAY) < 60
    baton(*keys_of, "-o", "keys.jws", "--version", "9", "b.pub", code=0)
    assert shown(baton, "keys.jws")["version"] == 9
    baton(*keys_of, "-o", "x", "release.pem", "b.pem", "c.pem", "d.pem",
          "e.pem", code=2)
    baton(*keys_of, "-o", "x", code=2)
    done = baton(*keys_of, "-o", "x", "root.pem", code=1)
    assert "this is the root key" in done.stderr
    assert not (tmp_path / "x").exists()


# ---- Showing ---------------------------------------------------------------

def test_show(baton, make):
    make("--rollout", "2.5", "--notes", "one\ntwo")
    text = baton("release", "show", "www/stable.jws", code=0).stdout
    for part in ("product   lamp", "board     any", "chip      esp32s3",
                 "version   2.0.1", "sequence  1", "2.5 % of devices",
                 "one\n          two", "raw"):
        assert part in text, part


def test_show_prints_nothing_that_a_terminal_obeys(baton, tmp_path):
    payload = b64('{"product":"\\u001b]0;x\\u0007","version":"\\u001b[2J"}')
    header = b64('{"typ":"baton-release+jws","kid":"\\u001b[31m"}')
    (tmp_path / "x.jws").write_text(f"{header}.{payload}.AAAA")
    text = baton("release", "show", "x.jws", code=0).stdout
    assert "\x1b" not in text and "\x07" not in text


def test_show_what_is_no_document(baton, tmp_path):
    for text in ("", "a.b.c", "{}", "e30.e30", "e30.WzFd.AA"):
        (tmp_path / "x").write_text(text)
        done = baton("release", "show", "x", code=1)
        assert "JWS_FORMAT" in done.stderr, text
    baton("release", "show", "missing", code=1)
