"""Fetches by a transport of Baton's, through tests/interop/transport_driver or,
of the Python package, python_transport.py."""
# SPDX-License-Identifier: MIT
import json
import select
import subprocess
import sys
from types import SimpleNamespace

LIMIT_SECONDS = 60


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
            assert self.process.wait(10) == 0
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
