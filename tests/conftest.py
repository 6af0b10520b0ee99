# What all Python tests share: the built command, a web server, the interpreter.
# SPDX-License-Identifier: MIT
#
# scripts/run-tests runs several at once (pytest-xdist): a test writes into its
# tmp_path alone, has ports and terminals from the kernel, and what it builds in
# build/ is built under a lock.
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bad_server import BadServer
from web_servers import Certificates, Nginx

ROOT = Path(__file__).resolve().parent.parent
SERVER_LIMIT_SECONDS = 900

# All servers of the tests are here, whatever proxy leads out.
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "*"


@pytest.fixture(scope="session")
def repo():
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def baton_path():
    """The built command; for tests that start it themselves."""
    path = ROOT / "build" / "baton"
    assert path.is_file(), f"{path} is not built; next: make"
    return path


@pytest.fixture
def baton(baton_path, tmp_path):
    """Runs `baton ARGS` in tmp_path, never through a shell, and returns the
    completed process. `code` is the exit status that must come; None takes
    any. More arguments go to subprocess.run."""

    def run(*args, code=None, timeout=120, **options):
        options.setdefault("cwd", tmp_path)
        options.setdefault("text", True)
        command = [str(baton_path), *map(str, args)]
        done = subprocess.run(
            command, capture_output=True, timeout=timeout, **options
        )
        if code is not None and done.returncode != code:
            pytest.fail(
                f"{' '.join(command)}\nended with {done.returncode}, not "
                f"{code}\nstdout: {done.stdout}\nstderr: {done.stderr}"
            )
        return done

    return run


@pytest.fixture(scope="session")
def micropython():
    """The interpreter of the virtual board."""
    path = ROOT / "build" / "micropython" / "micropython"
    assert path.is_file(), f"{path} is not built; next: make micropython"
    return path


class HttpServer:
    """`python3 -m http.server` on a free port of 127.0.0.1."""

    def __init__(self, folder, log_path):
        self.folder = Path(folder)
        self.log_path = Path(log_path)
        # The server picks the port, so that nobody can take it in between;
        # `timeout` ends it even where this process is killed.
        command = ["timeout", str(SERVER_LIMIT_SECONDS), sys.executable, "-u",
                   "-m", "http.server", "--bind", "127.0.0.1", "0"]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, stdout=subprocess.PIPE, stderr=log
            )
        line = self.process.stdout.readline().decode()
        if " port " not in line:
            self.stop()
            raise RuntimeError(f"no server: {line} {self.log()}")
        self.port = int(line.split(" port ")[1].split()[0])
        self.url = f"http://127.0.0.1:{self.port}"

    def log(self):
        """The request lines so far."""
        return self.log_path.read_text()

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)
        self.process.stdout.close()


@pytest.fixture
def http_server(tmp_path_factory):
    """Call it with a folder: serves it and returns an HttpServer. All of them
    are stopped when the test ends, however it ends."""
    servers = []

    def serve(folder):
        log_path = tmp_path_factory.mktemp("http") / "log"
        servers.append(HttpServer(folder, log_path))
        return servers[-1]

    yield serve
    for server in servers:
        server.stop()


@pytest.fixture
def bad_server():
    """Call it (tls=an ssl.SSLContext): a server that does what its plan says;
    see tests/lib/bad_server.py."""
    servers = []

    def serve(**options):
        servers.append(BadServer(**options))
        return servers[-1]

    yield serve
    for server in servers:
        server.stop()


@pytest.fixture
def nginx(tmp_path_factory):
    """Call it with a folder: nginx with ranges and validators."""
    servers = []

    def serve(root, **options):
        folder = tmp_path_factory.mktemp("nginx")
        servers.append(Nginx(root, folder, **options))
        return servers[-1]

    yield serve
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A CA of the test's own."""
    return Certificates(tmp_path_factory.mktemp("ca"))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter):
    """Leaves the counts for scripts/run-tests."""
    path = os.environ.get("BATON_COUNTS")
    if not path:
        return
    count = {
        name: len(terminalreporter.stats.get(name, []))
        for name in ("passed", "failed", "error", "skipped")
    }
    Path(path).write_text(
        f"{count['passed']} {count['failed'] + count['error']} "
        f"{count['skipped']}\n"
    )


# ---- Ctrl-C ------------------------------------------------------------------
#
# It ends the test of each worker, as it would end it without workers: servers
# and emulators stop with the fixture or the `with` they belong to. A terminal
# sends it to everybody, a script to the process that it knows: the workers get
# it from there, and mind the first one only.

workers = []


def interrupt_once(*_):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def pytest_configure(config):
    if hasattr(config, "workerinput"):
        signal.signal(signal.SIGINT, interrupt_once)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodeready(node):
    workers.append(node.gateway._io.popen.pid)


def pytest_keyboard_interrupt():
    for pid in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
