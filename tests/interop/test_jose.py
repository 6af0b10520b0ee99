"""Releases and keys against Debian's `jose`, both ways."""

# SPDX-License-Identifier: MIT
import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from image_helpers import noise  # noqa: E402
from release_helpers import (  # noqa: E402
    KEYS, RELEASE, Key, entry, key_set, manifest, publish, sector_list)


def jose(*args, data=None, code=0):
    done = subprocess.run(["jose", *map(str, args)], input=data,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return done.stdout


class JoseKey:
    """A key that jose made, and a document that it signs."""

    def __init__(self, path):
        self.path = path
        jose("jwk", "gen", "-i", '{"alg":"ES256"}', "-o", path)
        path.chmod(0o600)
        self.kid = jose("jwk", "thp", "-i", path)

    def jwk(self):
        return json.loads(jose("jwk", "pub", "-i", self.path))

    def jws(self, payload, kind=RELEASE):
        text = self.path.with_suffix(".json")
        text.write_text(json.dumps(payload))
        header = {"protected": {"alg": "ES256", "kid": self.kid, "typ": kind}}
        return jose("jws", "sig", "-I", text, "-k", self.path, "-s",
                    json.dumps(header), "-c")


@pytest.fixture
def image(baton, tmp_path):
    (tmp_path / "blob").write_bytes(noise(30000))
    baton("image", "make", "--chip", "esp32", "--payload", "blob",
          "--app-version", "3.1", "-o", "a.app-bin", code=0)
    return tmp_path / "a.app-bin"


def test_jose_verifies_what_baton_signs(baton, image, tmp_path):
    baton("key", "new", "root.pem", code=0)
    baton("key", "new", "release.pem", code=0)
    baton("release", "keys", "--dir", "www", "--root", "root.pem",
          "release.pem", code=0)
    baton("release", "make", image, "--dir", "www", "--key", "release.pem",
          "--product", "lamp", "--notes", "Grüße\n\"quoted\"", code=0)
    for name, file in (("release", "stable.jws"), ("root", "keys.jws")):
        jwk = tmp_path / f"{name}.jwk"
        jwk.write_text(baton("key", "show", "--jwk", f"{name}.pem",
                             code=0).stdout)
        kid = baton("key", "show", "--id", f"{name}.pem").stdout.strip()
        assert jose("jwk", "thp", "-i", jwk) == kid
        payload = jose("jws", "ver", "-i", tmp_path / "www" / file, "-k", jwk,
                       "-O-")
        shown = json.loads(baton("release", "show", "--json",
                                 f"www/{file}", code=0).stdout)
        assert json.loads(payload) == shown["payload"]
        assert shown["kid"] == kid
    # The other one's key verifies nothing.
    jose("jws", "ver", "-i", tmp_path / "www" / "stable.jws", "-k",
         tmp_path / "root.jwk", code=1)


def test_baton_verifies_what_jose_signs(baton, image, tmp_path):
    root = JoseKey(tmp_path / "root.jwk")
    release = JoseKey(tmp_path / "release.jwk")
    (tmp_path / "www").mkdir()
    publish(tmp_path / "www", image.read_bytes(), root, release, chip=0)
    good = ("release", "verify", "--root", root.path, "www/stable.jws")
    assert "good: lamp 1.2.0, sequence 7" in baton(*good, code=0).stdout
    assert baton("key", "show", "--id", release.path).stdout.strip() == \
        release.kid
    # Signed by another of jose's keys, under its own name and under this one.
    other = JoseKey(tmp_path / "other.jwk")
    path = tmp_path / "www" / "stable.jws"
    payload = manifest(image.read_bytes(), chip=0)
    path.write_text(other.jws(payload))
    assert "BATON_ERR_KEY_UNKNOWN" in baton(*good, code=1).stderr
    other.kid = release.kid
    path.write_text(other.jws(payload))
    assert "BATON_ERR_SIGNATURE" in baton(*good, code=1).stderr


@pytest.mark.parametrize("form", ["--jwk", "--pem"])
def test_private_keys_go_both_ways(baton, tmp_path, form):
    """A key made here signs with jose and openssl, and the other way round."""
    baton("key", "new", "ours.pem", code=0)
    baton("key", "show", "--private", form, "-o", "ours.out", "ours.pem",
          code=0)
    theirs = JoseKey(tmp_path / "theirs.jwk")
    baton("key", "show", "--private", form, "-o", "theirs.out", theirs.path,
          code=0)
    for name, public in (("ours.out", "ours.pem"), ("theirs.out", theirs.path)):
        assert (baton("key", "show", "--text", name, code=0).stdout
                == baton("key", "show", "--text", public, code=0).stdout)
        if form == "--jwk":
            (tmp_path / "text").write_text("signed")
            jose("jws", "sig", "-I", tmp_path / "text", "-k", tmp_path / name)
        else:
            subprocess.run(["openssl", "ec", "-in", name, "-check", "-noout"],
                           cwd=tmp_path, check=True, capture_output=True)


def test_second_implementation_makes_the_same_files(baton, image, tmp_path):
    """Names, digests and sector list by Python are what `make` publishes."""
    Key(tmp_path / "release.pem")
    baton("release", "make", image, "--dir", "www", "--key", "release.pem",
          "--product", "lamp", "--sequence", "7", code=0)
    shown = json.loads(baton("release", "show", "--json",
                             "www/stable.jws").stdout)["payload"]
    data = image.read_bytes()
    mine = manifest(data)
    assert shown["image"] == mine["image"]
    assert shown["list"] == mine["list"]
    assert mine["payloads"][0] in shown["payloads"]
    assert (tmp_path / "www" / mine["list"]["path"]).read_bytes() == \
        sector_list(data)
    assert (tmp_path / "www" / mine["payloads"][0]["path"]).read_bytes() == data
    assert entry(data, mine["payloads"][0]["path"])["bytes"] == len(data)


def test_key_set_of_jose_keys(baton, tmp_path):
    """Public JWKs as jose writes them, with alg and key_ops, in a set."""
    root = JoseKey(tmp_path / "root.jwk")
    release = JoseKey(tmp_path / "release.jwk")
    payload = key_set()
    payload["keys"] = [release.jwk()]
    assert "key_ops" in payload["keys"][0]
    (tmp_path / "keys.jws").write_text(root.jws(payload, KEYS))
    (tmp_path / "stable.jws").write_text(release.jws(manifest(noise(5000))))
    baton("release", "verify", "--no-files", "--root", root.path,
          "stable.jws", code=0)
