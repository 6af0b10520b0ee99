"""Fetches by a transport of Baton's, through tests/interop/transport_driver or,
of the Python package, python_transport.py."""
# SPDX-License-Identifier: MIT
import json
import select
import subprocess
import sys
import time
from types import SimpleNamespace

LIMIT_SECONDS = 60
CALL_MS = 1500
TRIES = 5


class Fetcher:
    """Call it with a URL and the driver's fields; returns the driver's answer.
    `error` comes without BATON_ERR_. What is given here holds for every call."""

    def __init__(self, repo, **fields):
        path = repo / "build" / "tests" / "interop" / "transport_driver"
        command = [str(path)]
        if fields.get("transport") == "python":
            path = repo / "tests" / "interop" / "python_transport.py"
            command = [sys.executable, str(path)]
        assert path.is_file(), f"{path} is not built; next: make test-build"
        self.fields = fields
        self.knows_tags = command == [str(path)]  # known_etag
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            assert self.process.wait(60) == 0
        finally:
            self.process.kill()
            self.process.stdout.close()

    def __call__(self, url, **fields):
        fields = {"url": url, **self.fields, **fields}
        self.process.stdin.write("\t".join(
            f"{name}={value}" for name, value in fields.items()) + "\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [],
                                    LIMIT_SECONDS)
        assert ready, f"no end: {fields}"
        line = self.process.stdout.readline()
        assert line, f"the driver died: {fields}"
        got = SimpleNamespace(**json.loads(line))
        got.error = got.error.replace("BATON_ERR_", "").replace("BATON_", "")
        return got

    def in_time(self, url, most_s=4, **fields):
        """The same of what has to end by itself within seconds, and has no call
        that takes longer than about one. Others use the machine as well, so the
        best of some tries counts; what hangs, does so in each."""
        for _ in range(TRIES):
            start = time.monotonic()
            got = self(url, **fields)
            got.took_s = time.monotonic() - start
            if got.took_s < most_s and got.longest_ms < CALL_MS:
                return got
        raise AssertionError(f"too slow, {TRIES} times: {got}")
