"""The HTTP client of the Python package as transport_driver.c drives the others:
a request for each line on standard input, an answer for each on standard output.
"""
# SPDX-License-Identifier: MIT
import hashlib
import json
import re
import select
import socket
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lib"))

from micropython_shim import load_package  # noqa: E402

AGAIN, DNS, CONNECT, RESET = -11, -371, -372, -373
WAIT_MS = 100
NAMES = {int(number): name for name, number in re.findall(
    r"BATON_ERR_(\w+) = (-\d+)", (ROOT / "include/baton/error.h").read_text())}
LIMITS = {"connect_ms": "_CONNECT_MS", "answer_ms": "_ANSWER_MS",
          "rate_bytes_s": "_RATE_BYTES", "body_bytes": "_BODY_MAX",
          "redirects": "_REDIRECTS_MAX", "url_bytes": "_LINE_MAX"}

web, url = load_package(ROOT, "web", "url")
usual = {name: getattr(web, name) for name in LIMITS.values()}


class Stream:
    """As net.Stream has it."""

    def __init__(self, fields):
        self.most = int(fields.get("most", 0)) or 1 << 30
        self.rate_s = int(fields.get("rate_s", 30))
        self.socket = None

    def connect(self, host, port, secure):
        try:
            address = socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)[0]
        except OSError:
            return DNS
        self.socket = socket.socket(address[0])
        try:
            self.socket.connect(address[-1])
        except OSError:
            return CONNECT
        self.socket.setblocking(False)
        return 0

    def _move(self, call, event):
        poll = select.poll()
        poll.register(self.socket, event)
        try:
            return call() if poll.poll(WAIT_MS) else AGAIN
        except BlockingIOError:
            return AGAIN
        except OSError:
            return RESET

    def send(self, data):
        return self._move(lambda: self.socket.send(data[:self.most]),
                          select.POLLOUT)

    def recv(self, buf):
        view = memoryview(buf)[:self.most]
        return self._move(lambda: self.socket.recv_into(view), select.POLLIN)

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None


class Clock:
    def __init__(self, fields):
        self.is_set = fields.get("clock") is None

    def now(self):
        return int(time.time()) if self.is_set else 0


class Calls:
    """What the agent would call once in a step."""

    def __init__(self):
        self.longest_ms = self.again = 0

    def __call__(self, function, *args):
        began = time.monotonic()
        try:
            result = function(*args)
        finally:
            took_ms = int((time.monotonic() - began) * 1000)
            self.longest_ms = max(self.longest_ms, took_ms)
        self.again += result is None or result is False
        return result


def make(fields):
    for name, constant in LIMITS.items():
        setattr(web, constant, int(fields.get(name, usual[constant])))
    if web._REDIRECTS_MAX == 255:
        web._REDIRECTS_MAX = 0
    url.LENGTH_MAX = int(fields.get("url_bytes", 1024))
    web._BUF = int(fields.get("buf", 512))
    return web.Http(Stream(fields), Clock(fields), fields.get("authorization"))


def fetch(http, fields, out):
    start, end = int(fields.get("from", 0)), int(fields.get("to", 0))
    calls, digest = Calls(), hashlib.sha256()
    buf = bytearray(int(fields.get("chunk", 4096)))
    error = 0
    try:
        while not calls(http.open, fields["url"], start, end, fields.get("etag"),
                        bool(int(fields.get("downgrade", 0)))):
            pass
        out["stage"] = "read"
        while out["bytes"] < int(fields.get("stop", 1 << 32)):
            got = calls(http.read, buf)
            if got:
                digest.update(memoryview(buf)[:got])
                out["bytes"] += got
            elif got == 0:
                assert http.read(buf) == 0, "the end does not stay"
                break
    except OSError as exc:
        error = exc.args[0]
    http.close()
    out.update({
        "error": NAMES.get(error, "OK"), "etag": http.etag, "from": http.start,
        "body_bytes": http.body_bytes, "total_bytes": http.total_bytes,
        "retry_after_s": http.retry_after_s, "sha256": digest.hexdigest(),
        "longest_ms": calls.longest_ms, "again": calls.again})


def main():
    http = None
    for line in sys.stdin:
        fields = dict(field.split("=", 1)
                      for field in line.rstrip("\n").split("\t"))
        if http is None or not int(fields.get("keep", 0)):
            if http:
                http.hang_up()
            http = make(fields)
        out = {"stage": "open", "bytes": 0}
        fetch(http, fields, out)
        print(json.dumps(out), flush=True)


if __name__ == "__main__":
    main()
