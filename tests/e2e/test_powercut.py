"""A representative part of the power-cut sweep, and proof that it can fail."""
# SPDX-License-Identifier: MIT
import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(ROOT, "build", "powercut")
sys.path.insert(0, os.path.join(ROOT, "tests", "powercut"))
import mutants  # noqa: E402


def figures(output):
    words = [line for line in output.splitlines() if line.startswith("total ")][0].split()[1:]
    return {name: int(value) for name, value in zip(words[::2], words[1::2])}


def test_sweep_holds():
    done = subprocess.run([PROGRAM, "--stride", "14"], capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout
    total = figures(done.stdout)
    assert total["cuts"] >= 50000
    assert total["faults"] == 0
    assert total["wasted"] <= 2


def test_replay_id_traces_a_case():
    done = subprocess.run(
        [PROGRAM, "--id", "first-update/bytes/rollback/12:torn:28/3:weak"],
        capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("cut: ") == 2
    assert done.stdout.endswith("every boot is right\n")


@pytest.mark.parametrize("bad", ["", "nonsense", "first-update/bytes/rollback/x/-", "a/b/c/1:torn/-"])
def test_bad_replay_id_is_refused(bad):
    done = subprocess.run([PROGRAM, "--id", bad], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "replay id" in done.stderr


@pytest.mark.parametrize("name", sorted(mutants.MUTANTS))
def test_sweep_catches(name, tmp_path):
    done = mutants.run_mutant(name, str(tmp_path))
    assert done.returncode == 1, f"{name} survives the sweep:\n{done.stdout}"
    assert "FAULT" in done.stdout
