# The commands in the documents are run, and what they print is compared.
# SPDX-License-Identifier: MIT
#
# A ```console block right after a line `<!-- test -->` is a session:
#
#     $ build/baton image info new.app-bin
#     chip       esp32
#     ...
#
# Lines after `$ ` are run by bash, those that follow are what it must print on
# both outputs; a line of `...` stands for any lines, `...` within one for any
# text. No such lines: only the exit status counts, which must be 0. `# exit 1`
# after a command is the status that must come. All sessions of a document run
# in order, in one temporary folder that looks like the checkout; what they
# write stays there.
import re
import subprocess

import pytest

from conftest import ROOT

MARK = "<!-- test -->"
DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md")
    for path in ROOT.glob(pattern)
)
TESTED = [
    path for path in DOCUMENTS if MARK in (ROOT / path).read_text().split("\n")
]


def sessions(text):
    """Yields (line number, lines) of each marked block."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line != MARK:
            continue
        fence = lines[number + 1].strip()
        assert fence == "```console", f"line {number + 2}: no ```console"
        end = lines.index("```", number + 2)
        yield number + 3, lines[number + 2:end]


def steps(number, lines):
    """Splits a session into (line number, command, status, expected lines)."""
    found = []
    for offset, line in enumerate(lines):
        if line.startswith("$ "):
            status = re.search(r"\s+# exit (\d+)$", line)
            command = line[2:status.start()] if status else line[2:]
            found.append((number + offset, [command],
                          int(status[1]) if status else 0, []))
        elif found and found[-1][1][-1].endswith("\\") and not found[-1][3]:
            found[-1][1].append(line)
        else:
            assert found, f"line {number + offset}: no command before it"
            found[-1][3].append(line.rstrip())
    return found


def pattern(expected):
    """A regular expression for the expected lines."""
    parts = []
    for line in expected:
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            words = (re.escape(word) for word in line.split("..."))
            parts.append(r".*?".join(words) + r"[ \t]*\n")
    return re.compile("".join(parts))


def make_checkout(folder):
    """Links every entry of the checkout but the version control's."""
    for entry in ROOT.iterdir():
        if entry.name != ".git":
            (folder / entry.name).symlink_to(entry)


@pytest.mark.parametrize("path", TESTED, ids=str)
def test_commands(path, tmp_path):
    make_checkout(tmp_path)
    for number, lines in sessions((ROOT / path).read_text()):
        for at, command, status, expected in steps(number, lines):
            done = subprocess.run(
                ["bash", "-c", "\n".join(command)], cwd=tmp_path, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, timeout=180,
            )
            where = f"{path}:{at}: {command[0]}\n{done.stdout}"
            assert done.returncode == status, where
            if expected and not pattern(expected).fullmatch(done.stdout):
                pytest.fail(f"{where}--- expected:\n" + "\n".join(expected))


@pytest.mark.parametrize("path", DOCUMENTS, ids=str)
def test_links(path):
    """A link to a file of the checkout leads to one."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "",
                  (ROOT / path).read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        name = target.split("#")[0]
        if name and "://" not in name and not name.startswith("mailto:"):
            found = (ROOT / path).parent / name
            assert found.exists(), f"{path}: {target}"
