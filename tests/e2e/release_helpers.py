"""Releases made without Baton: openssl signs, Python writes everything else.

It follows docs/FORMAT.md, so it is a second implementation of that page."""

# SPDX-License-Identifier: MIT
import base64
import hashlib
import json
import subprocess

RELEASE = "baton-release+jws"
KEYS = "baton-keys+jws"


def b64(data):
    if isinstance(data, str):
        data = data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def openssl(*args, data=None):
    done = subprocess.run(["openssl", *map(str, args)], input=data,
                          capture_output=True, check=True, timeout=60)
    return done.stdout


def raw_signature(der, size=32):
    """r and s out of their DER."""
    assert der[0] == 0x30
    at = 3 if der[1] == 0x81 else 2
    out = b""
    for _ in range(2):
        assert der[at] == 2
        number = der[at + 2:at + 2 + der[at + 1]]
        out += number.lstrip(b"\0").rjust(size, b"\0")
        at += 2 + der[at + 1]
    return out


class Key:
    """A key by `openssl ecparam`."""

    def __init__(self, path, curve="prime256v1"):
        self.path = path
        self.curve = curve
        openssl("ecparam", "-name", curve, "-genkey", "-noout", "-out", path)
        path.chmod(0o600)
        der = openssl("ec", "-in", path, "-pubout", "-outform", "DER")
        self.size = {"prime256v1": 32, "secp256k1": 32, "secp384r1": 48}[curve]
        self.point = der[-2 * self.size:]

    def jwk(self, **more):
        name = {"prime256v1": "P-256", "secp384r1": "P-384"}.get(
            self.curve, self.curve)
        return {"kty": "EC", "crv": name, "x": b64(self.point[:self.size]),
                "y": b64(self.point[self.size:]), **more}

    @property
    def kid(self):
        text = json.dumps(self.jwk(), sort_keys=True, separators=(",", ":"))
        return b64(hashlib.sha256(text.encode()).digest())

    def sign(self, message, digest="sha256"):
        der = openssl("dgst", "-" + digest, "-sign", self.path,
                      data=message.encode())
        return raw_signature(der, self.size)

    def header(self, kind=RELEASE, **changes):
        return {"alg": "ES256", "kid": self.kid, "typ": kind, **changes}

    def jws(self, payload, kind=RELEASE, header=None, **options):
        """A document; payload and header may be text, to be signed as it
        is."""
        header = self.header(kind) if header is None else header
        message = ".".join(
            b64(part if isinstance(part, (str, bytes)) else json.dumps(part))
            for part in (header, payload))
        return message + "." + b64(self.sign(message, **options))


def sector_list(image):
    return b"".join(hashlib.sha256(image[at:at + 4096]).digest()[:8]
                    for at in range(0, len(image), 4096))


def entry(data, path):
    return {"bytes": len(data), "sha256": b64(hashlib.sha256(data).digest()),
            "path": path}


def manifest(image, **changes):
    """A release of an image, raw; None as a change leaves a member out."""
    sectors = sector_list(image)
    name = hashlib.sha256(image).hexdigest()
    list_name = hashlib.sha256(sectors).hexdigest()
    raw = entry(image, f"payloads/{name}.raw")
    out = {
        "format": 1, "product": "lamp", "chip": 5, "version": "1.2.0",
        "sequence": 7, "issued": 1700000000, "expires": 4000000000,
        "image": {"bytes": raw["bytes"], "sha256": raw["sha256"]},
        "list": entry(sectors, f"lists/{list_name}"),
        "payloads": [{"encoding": "raw", **raw}],
    }
    out.update(changes)
    return {name: value for name, value in out.items() if value is not None}


def key_set(*keys, **changes):
    return {"format": 1, "version": 1, "expires": 4000000000,
            "keys": [key.jwk() for key in keys], **changes}


def publish(tree, image, root, release, **changes):
    """A whole tree; returns the manifest's payload."""
    payload = manifest(image, **changes)
    for path, data in ((payload["payloads"][0]["path"], image),
                       (payload["list"]["path"], sector_list(image))):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(data)
    (tree / "stable.jws").write_text(release.jws(payload))
    (tree / "keys.jws").write_text(root.jws(key_set(release), KEYS))
    return payload
