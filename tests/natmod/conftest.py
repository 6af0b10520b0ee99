# What the tests of the native modules share: building them, and an update.
# SPDX-License-Identifier: MIT
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))


@pytest.fixture(scope="session")
def natmod():
    """natmod(arch, size) builds _baton.mpy and returns its path; skips where
    the compiler for it cannot be had."""
    built = {}

    def build(arch, size):
        if arch not in built:
            done = subprocess.run([ROOT / "scripts" / "natmod", arch], cwd=ROOT, text=True,
                                  capture_output=True, timeout=300)
            built[arch] = done
        done = built[arch]
        if done.returncode and " needs " in done.stderr:
            pytest.skip(done.stderr.strip().splitlines()[0])
        assert done.returncode == 0, done.stdout + done.stderr
        return ROOT / "build" / "natmod" / arch / size / "_baton.mpy"

    return build
