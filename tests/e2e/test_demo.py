# `make demo` shows what it says, from images of a real firmware.
# SPDX-License-Identifier: MIT
import subprocess


def run_demo(repo, *arguments):
    return subprocess.run(
        ["scripts/demo", *map(str, arguments)], cwd=repo, capture_output=True,
        text=True, timeout=600, check=False)


def rows(output):
    table = output.split("== Before and after")[1].splitlines()
    return [line.split() for line in table if "ota_" in line]


def test_demo(repo, micropython):
    done = run_demo(repo)
    assert done.returncode == 0, done.stdout + done.stderr
    before, first, nothing, following = rows(done.stdout)
    assert before[1:3] == ["ota_0", "v1.26.0"]
    assert first[2:5] == ["ota_1", "v1.26.1", "VALID"]
    assert nothing[2:5] == ["ota_1", "v1.26.1", "VALID"]
    assert nothing[6] == "0"
    assert following[2:5] == ["ota_0", "v1.26.2", "VALID"]


def test_demo_with_an_image_of_yours(repo, baton, tmp_path, micropython):
    (tmp_path / "blob").write_bytes(bytes(range(256)) * 900)
    baton("image", "make", "--chip", "esp32", "--payload", "blob",
          "--app-version", "v9.9", "-o", "mine.app-bin", code=0)
    done = run_demo(repo, tmp_path / "mine.app-bin")
    assert done.returncode == 0, done.stdout + done.stderr
    assert rows(done.stdout)[1][2:5] == ["ota_1", "v9.9", "VALID"]


def test_demo_refuses_what_is_no_image(repo, tmp_path, micropython):
    (tmp_path / "page.html").write_text("<html>not found</html>")
    done = run_demo(repo, tmp_path / "page.html")
    assert done.returncode == 1
    assert "web page" in done.stdout + done.stderr
