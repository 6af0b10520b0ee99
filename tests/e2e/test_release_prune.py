"""baton release prune: what goes from a tree that grew, and what stays."""

# SPDX-License-Identifier: MIT
import json
import shutil

import pytest

from release_helpers import b64, unb64


@pytest.fixture
def publish(baton, tmp_path):
    """Publishes an image of this version; returns the manifest's payload."""
    baton("key", "new", "release.pem", code=0)

    def run(version, *args, channel="stable"):
        (tmp_path / "blob").write_text("\n".join(
            f"line {number} of {number * 77 % 991}"
            for number in range(version, version + 1500)))
        baton("image", "make", "--chip", "esp32s3", "--payload", "blob",
              "--app-version", str(version), "-o", "lamp.app-bin", code=0)
        baton("release", "make", "lamp.app-bin", "--dir", "www", "--key",
              "release.pem", "--product", "lamp", "--channel", channel, *args,
              code=0)
        return json.loads(baton("release", "show", "--json",
                                f"www/{channel}.jws", code=0).stdout)["payload"]

    return run


@pytest.fixture
def prune(baton):
    """Returns what was deleted."""

    def run(*args):
        done = baton("release", "prune", "--dir", "www", "--json", *args,
                     code=0)
        report = json.loads(done.stdout)
        assert report["ok"] and done.stderr == ""
        return set(report["removed"])

    return run


def named(manifest):
    return {manifest["list"]["path"],
            *(entry["path"] for entry in manifest["payloads"])}


def tree(tmp_path):
    www = tmp_path / "www"
    return {str(path.relative_to(www)) for path in www.rglob("*")
            if not path.is_dir() and path.suffix != ".jws"}


def test_what_no_channel_names_goes(baton, publish, prune, tmp_path):
    releases = [publish(version) for version in range(5)]
    beta = publish(9, channel="beta")
    everything = tree(tmp_path)
    assert everything == set().union(*map(named, releases), named(beta))
    last = named(releases[4]) | named(beta)
    for keep, kept in (("9", releases), ("4", releases), ("2", releases[2:])):
        stay = last.union(*map(named, kept))
        assert prune("--keep", keep, "--dry-run") == everything - stay
        assert tree(tmp_path) == everything
    told = baton("release", "prune", "--dir", "www", "--dry-run", code=0)
    assert set(told.stdout.split()) == {
        f"www/{path}" for path in everything - last - named(releases[3])}
    done = baton("release", "prune", "--dir", "www", code=0)
    assert done.stdout == done.stderr == ""
    assert tree(tmp_path) == last | named(releases[3])
    assert prune() == set()
    assert prune("--keep", "0") == named(releases[3])
    assert tree(tmp_path) == last
    for channel in ("stable", "beta"):
        baton("release", "verify", "--key", "release.pem",
              f"www/{channel}.jws", code=0)


def test_the_bytes_that_went_are_told(baton, publish, tmp_path):
    first = publish(1)
    publish(2)
    sizes = sum((tmp_path / "www" / path).stat().st_size
                for path in named(first))
    done = baton("release", "prune", "--dir", "www", "--keep", "0", "--json",
                 "--dry-run", code=0)
    assert json.loads(done.stdout)["bytes"] == sizes
    assert json.loads(done.stdout)["dry_run"] is True


def test_bases_of_deltas_stay(baton, publish, prune, tmp_path):
    """What verify decodes a delta with; of its release all else goes."""
    first = publish(1)
    second = publish(2, "--from-channel")
    base = unb64(second["payloads"][2]["base"]["sha256"]).hex()
    assert prune("--keep", "0") == named(first) - {f"payloads/{base}.raw"}
    baton("release", "verify", "--key", "release.pem", "www/stable.jws",
          code=0)
    # A kept release keeps its deltas, too.
    publish(3)
    assert prune("--keep", "1") == {f"payloads/{base}.raw"}
    assert named(second) < tree(tmp_path)


def test_a_release_published_again(publish, prune, tmp_path):
    """What its payloads were before is not kept for its image's sake."""
    first = publish(1)
    again = publish(1, "--raw-only")
    assert prune("--keep", "0") == named(first) - named(again)


def test_other_files_stay(publish, prune, tmp_path):
    old = publish(1)
    publish(2)
    www = tmp_path / "www"
    raw = old["payloads"][0]["path"]
    packed = old["payloads"][1]["path"]
    mine = {
        "index.html": b"x", "payloads/README": b"x", "payloads/a.raw": b"x",
        f"payloads/{'0' * 64}.raw": b"not what its name says",
        f"payloads/{'0' * 64}": b"x", f"lists/{'0' * 64}.raw": b"x",
        raw + ".bak": b"x", raw + ".x1Yz0a": b"x",
        raw.upper().replace("PAYLOADS", "payloads"): b"x",
        f"other/{raw[9:]}": (www / raw).read_bytes(),
        packed[:-len(".packed")] + ".delta2": (www / packed).read_bytes()}
    for path, data in mine.items():
        (www / path).parent.mkdir(exist_ok=True)
        (www / path).write_bytes(data)
    target = tmp_path / "precious"
    target.write_bytes((www / raw).read_bytes())
    (www / raw).unlink()
    (www / raw).symlink_to(target)
    assert prune("--keep", "0") == named(old) - {raw}
    assert (www / raw).is_symlink() and target.exists()
    for path, data in mine.items():
        assert (www / path).read_bytes() == data


def test_in_doubt_nothing_goes(baton, publish, tmp_path):
    publish(1)
    manifest = publish(2)
    everything = tree(tmp_path)

    def refuses(part):
        done = baton("release", "prune", "--dir", "www", "--keep", "0", code=1)
        assert part in done.stderr and "next:" in done.stderr
        assert tree(tmp_path) == everything

    other = tmp_path / "www" / "other.jws"
    header, payload, signature = (
        tmp_path / "www" / "stable.jws").read_text().split(".")
    manifest["image"]["sha256"] = "short"
    for text, part in (
            ("cut off", "JWS_FORMAT"),
            (f"{b64('{}')}.{payload}.{signature}", "JWS_TYPE"),
            (f"{header}.{b64(json.dumps(manifest))}.{signature}",
             "MANIFEST_FORMAT")):
        other.write_text(text)
        refuses(part)
    other.unlink()
    (tmp_path / "www" / "stable.jws").unlink()
    refuses("there is no release in it")
    baton("release", "prune", "--dir", "nowhere", code=1)
    baton("release", "prune", code=2)
    baton("release", "prune", "--dir", "www", "--keep", "-1", code=2)
    baton("release", "prune", "--dir", "www", "extra", code=2)
    assert tree(tmp_path) == everything


def test_a_tree_with_no_folders(baton, publish, prune, tmp_path):
    publish(1)
    for folder in ("payloads", "lists"):
        shutil.rmtree(tmp_path / "www" / folder)
    assert prune() == set()
