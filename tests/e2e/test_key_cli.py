"""baton key: files that are private, and keys of other programs."""

# SPDX-License-Identifier: MIT
import json
import os
import stat

import pytest

from release_helpers import b64, openssl


def test_private_keys_are_private_and_never_overwritten(baton, tmp_path):
    for path, options in (("a.pem", []), ("a.jwk", ["--jwk"])):
        os.umask(0)
        baton("key", "new", *options, path, code=0)
        assert stat.S_IMODE((tmp_path / path).stat().st_mode) == 0o600
        before = (tmp_path / path).read_bytes()
        done = baton("key", "new", path, code=1)
        assert "File exists" in done.stderr and "next:" in done.stderr
        assert (tmp_path / path).read_bytes() == before
    os.umask(0o022)
    (tmp_path / "link.pem").symlink_to(tmp_path / "elsewhere.pem")
    baton("key", "new", "link.pem", code=1)
    assert not (tmp_path / "elsewhere.pem").exists()
    done = baton("key", "show", "--private", "--pem", "-o", "a.pem", "a.jwk",
                 code=1)
    assert "File exists" in done.stderr


def test_nothing_secret_is_printed(baton, tmp_path):
    done = baton("key", "new", "--jwk", "a.jwk", code=0)
    secret = json.loads((tmp_path / "a.jwk").read_text())["d"]
    text = done.stdout + done.stderr
    for form in ([], ["--jwk"], ["--pem"], ["--c"], ["--text"], ["--json"]):
        done = baton("key", "show", *form, "a.jwk", code=0)
        text += done.stdout + done.stderr
    assert secret not in text
    assert "PRIVATE" not in text


@pytest.mark.parametrize("args", [
    ["ecparam", "-name", "prime256v1", "-genkey"],  # parameters in front
    ["ecparam", "-name", "prime256v1", "-genkey", "-noout"],
    ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
])
def test_keys_made_by_openssl(baton, tmp_path, args):
    (tmp_path / "o.pem").write_bytes(openssl(*args))
    (tmp_path / "o.pem").chmod(0o600)
    public = openssl("pkey", "-in", tmp_path / "o.pem", "-pubout")
    assert baton("key", "show", "--pem", "o.pem",
                 code=0).stdout == public.decode()
    (tmp_path / "o.pub").write_bytes(public)
    told = json.loads(baton("key", "show", "--json", "o.pub", code=0).stdout)
    assert not told["private"]
    der = openssl("pkey", "-in", tmp_path / "o.pem", "-pubout", "-outform",
                  "DER")
    assert told["public"] == f"{b64(der[-64:-32])}.{b64(der[-32:])}"


def test_keys_with_leading_zeros(baton, tmp_path):
    """A scalar far below the order, which other tools write shorter."""
    prefix = bytes.fromhex("30310201010420")
    for number in (1, 2, 255, 1 << 200):
        der = (prefix + number.to_bytes(32, "big")
               + bytes.fromhex("a00a06082a8648ce3d030107"))
        (tmp_path / "k.pem").write_bytes(openssl(
            "ec", "-inform", "DER", data=der))
        (tmp_path / "k.pem").chmod(0o600)
        (tmp_path / "k.jwk").unlink(missing_ok=True)
        baton("key", "show", "--private", "--jwk", "-o", "k.jwk", "k.pem",
              code=0)
        jwk = json.loads((tmp_path / "k.jwk").read_text())
        assert jwk["d"] == b64(number.to_bytes(32, "big"))


def test_a_key_from_another_program(baton, tmp_path):
    """One that is kept locked is unlocked on the way."""
    baton("key", "new", "a.pem", code=0)
    locked = openssl("pkcs8", "-topk8", "-in", tmp_path / "a.pem", "-v2",
                     "aes256", "-passout", "pass:secret")
    (tmp_path / "locked.pem").write_bytes(locked)
    done = baton("key", "show", "locked.pem", code=1)
    assert "locked by a passphrase" in done.stderr
    open_key = openssl("pkey", "-in", tmp_path / "locked.pem", "-passin",
                       "pass:secret")
    baton("release", "keys", "-o", "keys.jws", "--root", "-",
          write_public(baton, tmp_path), code=0, input=open_key.decode())
    done = baton("key", "show", "--id", "a.pem", code=0)
    told = json.loads(baton("release", "show", "--json", "keys.jws").stdout)
    assert told["kid"] == done.stdout.strip()


def write_public(baton, tmp_path):
    baton("key", "new", "b.pem", code=0)
    text = baton("key", "show", "--text", "b.pem", code=0).stdout
    (tmp_path / "b.txt").write_text(text)
    return "b.txt"


def test_what_is_no_key(baton, tmp_path):
    for name, args in (
            ("k1", ["ecparam", "-name", "secp256k1", "-genkey", "-noout"]),
            ("p384", ["ecparam", "-name", "secp384r1", "-genkey", "-noout"]),
            ("bp", ["ecparam", "-name", "brainpoolP256r1", "-genkey",
                    "-noout"]),
            ("rsa", ["genrsa", "2048"])):
        (tmp_path / name).write_bytes(openssl(*args))
    good = json.loads('{"kty":"EC","crv":"P-256",'
                      '"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",'
                      '"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",'
                      '"d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}')
    (tmp_path / "good").write_text(json.dumps(good))
    (tmp_path / "good").chmod(0o600)
    baton("key", "show", "good", code=0)
    for name, change in (("mismatch", {"d": good["x"]}), ("crv", {"crv": "P"}),
                         ("kty", {"kty": "oct"}), ("short", {"x": "AA"}),
                         ("zero", {"d": "A" * 43})):
        (tmp_path / name).write_text(json.dumps({**good, **change}))
    for name, data in (("empty", b""), ("text", b"a key"), ("nul", b"{}\0{}"),
                       ("pem", b"-----BEGIN EC PRIVATE KEY-----\nAAAA\n"
                               b"-----END EC PRIVATE KEY-----\n")):
        (tmp_path / name).write_bytes(data)
    for name in ("k1", "p384", "bp", "rsa", "mismatch", "crv", "kty", "short",
                 "zero", "empty", "text", "nul", "pem"):
        done = baton("key", "show", name, code=1)
        assert "BATON_ERR_KEY_FORMAT" in done.stderr, name


def test_readable_private_keys_are_warned_of(baton, tmp_path):
    baton("key", "new", "a.pem", code=0)
    assert baton("key", "show", "a.pem").stderr == ""
    (tmp_path / "a.pem").chmod(0o644)
    assert "chmod 600" in baton("key", "show", "a.pem", code=0).stderr
