"""Some lives of virtual devices under everything at once; `make chaos` lives
many more."""
# SPDX-License-Identifier: MIT
import subprocess
import sys

import pytest

from policy_helpers import POLICIES


@pytest.mark.parametrize("policy", POLICIES)
def test_lives(repo, policy):
    done = subprocess.run(
        [sys.executable, repo / "tests" / "chaos" / "chaos.py", "--lives", "12",
         "--seed", "1000", "--policy", policy],
        capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    words = done.stdout.replace(",", "").split()
    assert "cuts" in words and int(words[words.index("cuts") - 1]) > 0
