"""Attacks on releases, by the names that TUF gives them.

The files are made by openssl and Python alone; `baton release verify` judges
them by the device's code. What needs a device that fetches is in the tests of
the agent; what a device remembers over restarts is in tests/unit/test_trust.c.
"""

# SPDX-License-Identifier: MIT
import hashlib
import hmac
import json
import subprocess

import pytest

from image_helpers import noise
from release_helpers import KEYS, Key, b64, key_set, manifest, publish, unb64


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """root, release, other: P-256; k1 and p384: not."""
    folder = tmp_path_factory.mktemp("keys")
    out = {name: Key(folder / f"{name}.pem")
           for name in ("root", "release", "next", "other")}
    out["k1"] = Key(folder / "k1.pem", "secp256k1")
    out["p384"] = Key(folder / "p384.pem", "secp384r1")
    return out


@pytest.fixture(scope="module")
def image(tmp_path_factory, baton_path):
    folder = tmp_path_factory.mktemp("image")
    (folder / "blob").write_bytes(noise(50000))
    subprocess.run([baton_path, "image", "make", "--chip", "esp32c3",
                    "--payload", "blob", "--app-version", "1.2.0", "-o",
                    "lamp.app-bin"], cwd=folder, check=True, timeout=60)
    return (folder / "lamp.app-bin").read_bytes()


class Tree:
    """What a server gives out, and what a device says to it."""

    def __init__(self, baton, folder, keys, image):
        self.baton = baton
        self.folder = folder
        self.keys = keys
        self.image = image
        folder.mkdir()
        self.payload = publish(folder, image, keys["root"], keys["release"])

    def put(self, text, name="stable.jws"):
        if isinstance(text, str):
            text = text.encode("latin-1")
        (self.folder / name).write_bytes(text)

    def sign(self, key="release", **changes):
        self.put(self.keys[key].jws(manifest(self.image, **changes)))

    def put_keys(self, signer, *names, **changes):
        members = [self.keys[name] for name in names]
        self.put(self.keys[signer].jws(key_set(*members, **changes), KEYS),
                 "keys.jws")

    def says(self, *args):
        """The error's name; "" where the release is taken."""
        done = self.baton(
            "release", "verify", "--json", "--root", self.keys["root"].path,
            *args, self.folder / "stable.jws")
        answer = json.loads(done.stdout) if done.stdout else {"ok": False}
        assert answer["ok"] == (done.returncode == 0), done.stderr
        if answer["ok"]:
            return ""
        if "error" not in answer:
            return "FILE"  # the manifest is good, a file it names is not
        assert answer["error"]["hint"]
        return answer["error"]["code"].removeprefix("BATON_ERR_")


@pytest.fixture
def tree(baton, tmp_path, keys, image):
    out = Tree(baton, tmp_path / "www", keys, image)
    assert out.says() == ""
    return out


# ---- TUF's names -----------------------------------------------------------

def test_attack_arbitrary_software(tree, keys):
    """Software by somebody else, in every way to claim a trusted key."""
    tree.sign("other")
    assert tree.says() == "KEY_UNKNOWN"
    payload = manifest(tree.image)
    claims = keys["other"].header(kid=keys["release"].kid)
    tree.put(keys["other"].jws(payload, header=claims))
    assert tree.says() == "SIGNATURE"
    tree.sign("root")  # the root signs key sets, not software
    assert tree.says() == "KEY_UNKNOWN"
    tree.put(keys["other"].jws(payload, header=keys["other"].header(
        jwk=keys["other"].jwk())))
    assert tree.says() == "JWS_FORMAT"
    # The attacker's own keys.jws, by no root, and by the release key.
    tree.sign("other")
    tree.put_keys("other", "other")
    assert tree.says() == "KEY_UNKNOWN"
    tree.put_keys("release", "other")
    assert tree.says() == "KEY_UNKNOWN"
    tree.put(keys["other"].jws(
        key_set(keys["other"]),
        header=keys["other"].header(KEYS, kid=keys["root"].kid)), "keys.jws")
    assert tree.says() == "SIGNATURE"


def test_attack_rollback(tree):
    tree.sign(sequence=7)
    assert tree.says("--seen", "7") == ""
    assert tree.says("--seen", "8") == "MANIFEST_OLD"


def test_attack_freeze(tree):
    tree.sign(issued=1000, expires=2000)
    assert tree.says("--at", "@1999") == ""
    assert tree.says("--at", "@2000") == "MANIFEST_EXPIRED"
    # Without a clock it cannot be told; whether that is enough is an option.
    assert tree.says("--at", "never") == ""
    assert tree.says("--at", "never", "--need-clock") == "MANIFEST_NO_CLOCK"


def test_attack_freeze_of_keys(tree):
    tree.put_keys("root", "release", expires=2000)
    assert tree.says("--at", "@1999") == ""
    assert tree.says("--at", "@2000") == "KEYS_EXPIRED"


def test_attack_endless_data(tree):
    """A file that does not end is refused by its length, unparsed."""
    good = (tree.folder / "stable.jws").read_bytes()
    for extra in (b"A", b"\n", b"." + b"A" * 100, b"A" * 10_000_000):
        tree.put(good + extra)
        long = len(good) + len(extra) > 4096
        assert tree.says() == ("JWS_TOO_LARGE" if long else "JWS_FORMAT")
    keys = (tree.folder / "keys.jws").read_bytes()
    tree.put(good)
    tree.put(keys + b"A" * 10_000_000, "keys.jws")
    assert tree.says() == "JWS_TOO_LARGE"


def test_attack_mix_and_match(tree, keys, image, tmp_path):
    """Files of two releases together: each names its own by digest."""
    other = noise(50000, seed=2)
    payload = publish(tree.folder, other, keys["root"], keys["release"])
    (tree.folder / payload["payloads"][0]["path"]).write_bytes(image)
    assert tree.says() == "FILE"
    # One manifest's payload with another's image, both digests right.
    mixed = manifest(image)
    mixed["payloads"] = manifest(other)["payloads"]
    tree.put(keys["release"].jws(mixed))
    assert tree.says() == "MANIFEST_FORMAT"
    # Another's sector list of the same length.
    mixed = manifest(image)
    mixed["list"] = manifest(noise(len(image), seed=3))["list"]
    assert mixed["list"]["bytes"] == manifest(image)["list"]["bytes"]
    tree.put(keys["release"].jws(mixed))
    assert tree.says() == "FILE"
    # One release's header and payload with another's signature.
    one = keys["release"].jws(manifest(image)).split(".")
    two = keys["release"].jws(manifest(image, sequence=8)).split(".")
    tree.put(".".join([two[0], two[1], one[2]]))
    assert tree.says() == "SIGNATURE"


def test_attack_wrong_software(tree, keys):
    assert tree.says("--product", "lamp", "--chip", "esp32c3") == ""
    assert tree.says("--product", "kettle") == "MANIFEST_PRODUCT"
    assert tree.says("--chip", "esp32") == "MANIFEST_CHIP"
    tree.sign(board="lamp-a")
    assert tree.says("--board", "lamp-a") == ""
    assert tree.says("--board", "lamp-b") == "MANIFEST_BOARD"
    # An image for another chip than its manifest says.
    tree.sign(chip=0)
    assert tree.says("--chip", "esp32") == "IMAGE_CHIP"
    # A key set where a release is looked for, and the other way round.
    release = (tree.folder / "stable.jws").read_bytes()
    tree.put((tree.folder / "keys.jws").read_bytes())
    assert tree.says() == "JWS_TYPE"
    tree.put(release, "keys.jws")
    assert tree.says() == "JWS_TYPE"


def test_attack_fast_forward(tree):
    """A stolen key signs the highest number; a new key set sets it back."""
    tree.sign("next", sequence=8)
    tree.put_keys("root", "next", version=2)
    assert tree.says("--seen", "4294967295") == "MANIFEST_OLD"
    tree.sign("release", sequence=4294967295)
    assert tree.says() == "KEY_UNKNOWN"
    # The reset itself: tests/unit/test_trust.c, test_attack_fast_forward.


def test_attack_key_compromise(tree):
    """A stolen key is withdrawn by a key set without it."""
    tree.put_keys("root", "release", "next", version=1)
    assert tree.says() == ""
    tree.put_keys("root", "next", version=2)
    assert tree.says() == "KEY_UNKNOWN"
    tree.sign("next")
    assert tree.says() == ""


def test_attack_mirror_tampering(tree):
    """One bit anywhere in any file of the tree."""
    tampered = 0
    for path in sorted(tree.folder.rglob("*")):
        if path.is_dir():
            continue
        good = path.read_bytes()
        step = max(1, len(good) // 12)
        for at in range(0, len(good), step):
            wrong = bytearray(good)
            wrong[at] ^= 1 << at % 8
            path.write_bytes(wrong)
            assert tree.says() != "", f"{path} byte {at} bit {at % 8}"
            tampered += 1
        path.write_bytes(good[:-1])
        assert tree.says() != ""
        path.write_bytes(good)
    assert tampered > 40
    assert tree.says() == ""
    (tree.folder / tree.payload["list"]["path"]).unlink()
    assert tree.says() == "FILE"


# ---- What a signature can be instead ---------------------------------------

def test_unsigned(tree):
    payload = manifest(tree.image)
    for text in (json.dumps(payload), b64(json.dumps(payload)), "", ".", "..",
                 "a.b.c", tree.image.decode("latin-1")[:3000]):
        tree.put(text)
        assert tree.says() == "JWS_FORMAT", text[:50]


def test_truncated(tree):
    good = (tree.folder / "stable.jws").read_text()
    for cut in [*range(0, len(good), 61), len(good) - 1]:
        tree.put(good[:cut])
        assert tree.says() == "JWS_FORMAT", cut


def test_alg_none(tree, keys):
    payload = b64(json.dumps(manifest(tree.image)))
    signature = keys["release"].jws("{}").split(".")[2]
    for alg in ("none", "None", "NONE", "nOnE", ""):
        header = b64(json.dumps(keys["release"].header(alg=alg)))
        tree.put(f"{header}.{payload}.")
        assert tree.says() == "JWS_FORMAT"
        tree.put(f"{header}.{payload}.{signature}")
        assert tree.says() == "JWS_ALGORITHM"


def test_hs256_with_the_public_key_as_secret(tree, keys):
    payload = b64(json.dumps(manifest(tree.image)))
    header = b64(json.dumps(keys["release"].header(alg="HS256")))
    message = f"{header}.{payload}"
    public = keys["release"].point
    for secret in (public, b"\x04" + public, keys["release"].kid.encode()):
        mac = hmac.new(secret, message.encode(), hashlib.sha256).digest()
        tree.put(f"{message}.{b64(mac)}")
        assert tree.says() == "JWS_FORMAT"
        tree.put(f"{message}.{b64(mac + mac)}")
        assert tree.says() == "JWS_ALGORITHM"


def test_other_algorithms(tree, keys):
    for alg in ("ES384", "ES512", "ES256K", "RS256", "PS256", "EdDSA",
                "es256", "ES256 ", None, 1, ["ES256"]):
        header = keys["release"].header(alg=alg)
        tree.put(keys["release"].jws(manifest(tree.image), header=header))
        assert tree.says() == "JWS_ALGORITHM", alg
    # ES256 in name, another hash in fact.
    tree.put(keys["release"].jws(manifest(tree.image), digest="sha384"))
    assert tree.says() == "SIGNATURE"


def test_wrong_curve(tree, keys):
    for name in ("k1", "p384"):
        key = keys[name]
        # It claims to be the release key ...
        header = keys["release"].header()
        tree.put(key.jws(manifest(tree.image), header=header))
        assert tree.says() == ("SIGNATURE" if name == "k1" else "JWS_FORMAT")
    # ... and the root vouches for it.
    for name in ("k1", "p384"):
        tree.put_keys("root", name)
        tree.put(keys[name].jws(manifest(tree.image)))
        assert tree.says() == "MANIFEST_FORMAT"
    payload = key_set(keys["p384"])
    payload["keys"][0]["crv"] = "P-256"
    tree.put(keys["root"].jws(payload, KEYS), "keys.jws")
    assert tree.says() == "MANIFEST_FORMAT"


def test_point_of_another_curve_as_key(tree, keys):
    """A secp256k1 point under P-256's name, with its own id in the header."""
    jwk = {**keys["k1"].jwk(), "crv": "P-256"}
    text = json.dumps(jwk, sort_keys=True, separators=(",", ":"))
    kid = b64(hashlib.sha256(text.encode()).digest())
    payload = key_set(keys["release"])
    payload["keys"] = [jwk]
    tree.put(keys["root"].jws(payload, KEYS), "keys.jws")
    tree.put(keys["k1"].jws(manifest(tree.image),
                            header=keys["k1"].header(kid=kid)))
    assert tree.says() == "SIGNATURE"


def test_weak_signatures(tree, keys):
    """r and s of 0, of the group's order, and beyond it."""
    order = int("ffffffff00000000ffffffffffffffff"
                "bce6faada7179e84f3b9cac2fc632551", 16)
    head, payload, _ = keys["release"].jws(manifest(tree.image)).split(".")
    for r in (0, 1, order - 1, order, order + 1, 2**256 - 1):
        for s in (0, 1, order, 2**256 - 1):
            raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
            tree.put(f"{head}.{payload}.{b64(raw)}")
            assert tree.says() == "SIGNATURE", (r, s)


def test_duplicated_members(tree, keys):
    text = json.dumps(manifest(tree.image))
    for more in ('"sequence":9,', '"format":1,', '"later":1,"later":1,',
                 '"later":{"a":[{"b":1,"b":1}]},'):
        tree.put(keys["release"].jws("{" + more + text[1:]))
        assert tree.says() == "JSON_DUPLICATE", more
    inner = text.replace('"image": {', '"image": {"bytes":1,')
    assert inner != text
    tree.put(keys["release"].jws(inner))
    assert tree.says() == "JSON_DUPLICATE"
    # The same name in another spelling.
    tree.put(keys["release"].jws(
        '{"\\u0073equence":9,' + text[1:]))
    assert tree.says() == "JSON_FORMAT"
    header = json.dumps(keys["release"].header())
    for more in ('"alg":"ES256",', '"alg":"none",',
                 f'"kid":"{keys["release"].kid}",'):
        tree.put(keys["release"].jws(manifest(tree.image),
                                     header="{" + more + header[1:]))
        assert tree.says() == "JWS_FORMAT", more
    tree.put(keys["root"].jws(
        json.dumps(key_set(keys["release"]))[:-1] + ',"version":2}', KEYS),
        "keys.jws")
    tree.sign()
    assert tree.says() == "JSON_DUPLICATE"


def test_non_canonical_base64(tree, keys):
    """Every other spelling of the same bytes."""
    letters = ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
               "0123456789-_")
    payload = manifest(tree.image)
    while len(json.dumps(payload)) % 3 != 1:  # 4 unused bits at its end
        payload["version"] += "x"
    parts = keys["release"].jws(payload).split(".")
    tree.put(".".join(parts))
    assert tree.says("--no-files") == ""
    for which in (1, 2):
        last = letters.index(parts[which][-1])
        assert last & 15 == 0
        for bits in range(1, 16):
            wrong = list(parts)
            wrong[which] = parts[which][:-1] + letters[last + bits]
            assert unb64(wrong[which]) == unb64(parts[which])
            tree.put(".".join(wrong))
            # The payload is not decoded before the signature holds.
            assert tree.says() == ("SIGNATURE" if which == 1
                                   else "JWS_FORMAT")
    tree.put("{}.{}==.{}".format(*parts))
    assert tree.says() == "SIGNATURE"
    for text in ("{}=.{}.{}", "{}.{}.{}==", " {}.{}.{}",
                 "{}.{}.{}\n", "{}.{}.{}\r\n", "{}\n.{}.{}", "{}.{}.{}.",
                 "{}.{}.{}.{}", "\ufeff{}.{}.{}".encode().decode("latin-1")):
        tree.put(text.format(*parts, parts[0]))
        assert tree.says() == "JWS_FORMAT", text
    # Signed as it stands: with padding, in the other alphabet, with a break.
    message = f"{parts[0]}.{parts[1]}"
    for wrong in (message + "==", message[:-4] + "\n" + message[-4:],
                  message + "+", message + "/"):
        tree.put(wrong + "." + b64(keys["release"].sign(wrong)))
        assert tree.says() == "JWS_FORMAT", wrong[-10:]


def test_a_published_private_key_is_no_key(tree, keys):
    payload = key_set(keys["release"])
    payload["keys"][0]["d"] = b64(b"\1" * 32)
    tree.put(keys["root"].jws(payload, KEYS), "keys.jws")
    assert tree.says() == "MANIFEST_FORMAT"
