"""A web server that misbehaves as told, on real sockets of 127.0.0.1.

    with BadServer() as server:
        server.files["/app.bin"] = Answer(data, etag='"v1"')
        server.plan.append(Answer(data, cut_body=1000, end="reset"))
        ...
        server.log[0].range, server.log[0].sent

Each request takes the first answer of `plan`; when there is none left, that of
its path in `files`; else 404. An answer may be a function of the request that
returns one. Nothing is left to chance, and everything ends: a server that is
told to hang does so until stop(), or for LIMIT_SECONDS.
"""
# SPDX-License-Identifier: MIT
import re
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field, replace

LIMIT_SECONDS = 60


@dataclass
class Answer:
    """What is sent for one request. Without more than data it is right."""

    data: bytes = b""
    status: int = 200        # 200 becomes 206 or 304 where it should
    headers: dict = field(default_factory=dict)  # None takes one out
    etag: str = None
    ranges: bool = True      # keep to Range and If-Range
    chunks: int = 0          # send the body in chunks of this size
    version: str = "1.1"
    raw: bytes = None        # instead of all that: these bytes, as they are
    interim: bytes = b""     # in front of the header

    length: int = None       # a wrong Content-Length
    content_range: str = None  # a wrong Content-Range
    extra: bytes = b""       # behind the end

    cut: int = None          # send so many bytes of the whole answer
    cut_body: int = None     # send so many bytes of the body
    end: str = "keep"        # then: keep, close, reset, hang, or with TLS
                             # drop: close without a word
    endless: bool = False    # then: the body over and over
    delay: float = 0         # before anything, in seconds
    drip: tuple = None       # (bytes, seconds): so many each time
    drip_after: int = 0      # this much of the answer comes at once


@dataclass
class Request:
    method: str
    path: str
    headers: dict            # names in lower case
    connection: int          # counts connections from 1
    sent: int = 0            # bytes of the body that were sent
    status: int = 0

    @property
    def range(self):
        """(first, last + 1 or None) or None."""
        found = re.fullmatch(r"bytes=(\d+)-(\d*)",
                             self.headers.get("range", ""))
        if not found:
            return None
        last = int(found[2]) + 1 if found[2] else None
        return int(found[1]), last


def build(answer, request):
    """The header and the body of an answer, and its status."""
    data, status, headers = answer.data, answer.status, {}
    asked = request.range if answer.ranges and status == 200 else None
    if asked and request.headers.get("if-range") not in (None, answer.etag):
        asked = None
    known = request.headers.get("if-none-match")
    if answer.etag:
        headers["ETag"] = answer.etag
        if known == answer.etag and status == 200:
            status, data, asked = 304, b"", None
    if asked:
        first, last = asked[0], min(asked[1] or len(data), len(data))
        if first >= len(data):
            status, headers["Content-Range"] = 416, f"bytes */{len(data)}"
            data = b""
        else:
            status = 206
            headers["Content-Range"] = f"bytes {first}-{last - 1}/{len(data)}"
            data = data[first:last]
    if answer.content_range is not None:
        headers["Content-Range"] = answer.content_range
    length = len(data) if answer.length is None else answer.length
    if answer.chunks:
        headers["Transfer-Encoding"] = "chunked"
        data = b"".join(
            b"%x\r\n%s\r\n" % (len(part), part)
            for part in (data[i:i + answer.chunks]
                         for i in range(0, len(data), answer.chunks))
        ) + b"0\r\n\r\n"
    elif status != 304:
        headers["Content-Length"] = length
    if answer.end == "close":
        headers["Connection"] = "close"
    headers.update(answer.headers)
    head = f"HTTP/{answer.version} {status} Reason\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in headers.items()
        if value is not None)
    return head.encode("latin-1") + b"\r\n", data, status


class BadServer:
    """`tls` is an ssl.SSLContext. `host` is only what the URL says."""

    def __init__(self, tls=None, host="127.0.0.1"):
        self.plan = []
        self.files = {}
        self.log = []
        self.connections = 0
        self.handshake_errors = []
        self._tls = tls
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._threads = []
        self._open = set()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._socket.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://{host}:{self.port}"
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self._stopped.is_set():
            return
        self._stopped.set()
        # A thread in accept() notices nothing of a close.
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            pass
        self._accepting.join(5)
        self._socket.close()
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        for thread in self._threads:
            thread.join(5)

    def clear(self):
        """Forgets plan and log, for the next case."""
        self.plan.clear()
        self.log.clear()

    @property
    def sent(self):
        """Bytes of bodies, over all requests."""
        return sum(request.sent for request in self.log)

    # ---- Connections --------------------------------------------------------

    def _accept(self):
        while not self._stopped.is_set():
            connection, _ = self._socket.accept()
            with self._lock:
                self.connections += 1
                number = self.connections
            thread = threading.Thread(
                target=self._serve, args=(connection, number), daemon=True)
            self._threads = [t for t in self._threads if t.is_alive()]
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection, number):
        with self._lock:
            self._open.add(connection)
        plain = connection
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(LIMIT_SECONDS)
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
                with self._lock:
                    self._open.add(connection)
            while not self._stopped.is_set():
                request = self._receive(connection, number)
                if request is None or not self._answer(connection, request):
                    return
        except ssl.SSLError as error:
            self.handshake_errors.append(str(error))
        except OSError:
            pass  # the client went away
        finally:
            with self._lock:
                self._open -= {plain, connection}
            connection.close()

    def _receive(self, connection, number):
        text = b""
        while b"\r\n\r\n" not in text:
            data = connection.recv(65536)
            if not data:
                return None
            text += data
        lines = text.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = {}
        for line in lines[1:-2]:
            name, value = line.split(": ", 1)
            assert name.lower() not in headers, f"{name} comes twice"
            headers[name.lower()] = value
        return Request(method, path, headers, number)

    def _choose(self, request):
        with self._lock:
            self.log.append(request)
            if self.plan:
                answer = self.plan.pop(0)
            else:
                answer = self.files.get(request.path, Answer(status=404))
        return answer(request) if callable(answer) else answer

    def _answer(self, connection, request):
        """Returns whether the connection goes on."""
        answer = self._choose(request)
        if answer.raw is not None:
            head, body, request.status = answer.raw, b"", 0
        else:
            head, body, request.status = build(answer, request)
        body += answer.extra
        head = answer.interim + head
        if answer.cut_body is not None:
            body = body[:answer.cut_body]
        if answer.cut is not None:
            head, body = head[:answer.cut], body[:max(
                0, answer.cut - len(head))]
        self._stopped.wait(answer.delay)
        self._send(connection, request, answer, head + body, len(head))
        until = time.monotonic() + LIMIT_SECONDS
        while (answer.endless and not self._stopped.is_set()
               and time.monotonic() < until):
            connection.sendall(body)
            request.sent += len(body)
        return self._end(connection, answer.end)

    def _send(self, connection, request, answer, data, head_len):
        at = 0
        step, pause = answer.drip or (len(data), 0)
        while at < len(data) and not self._stopped.is_set():
            count = max(step, answer.drip_after - at)
            connection.sendall(data[at:at + count])
            at = min(at + count, len(data))
            request.sent = max(0, at - head_len)
            self._stopped.wait(pause)

    def _end(self, connection, end):
        if end == "hang":
            self._stopped.wait(LIMIT_SECONDS)
        if end == "reset":
            # A close without lingering resets, once what was sent is there.
            time.sleep(0.003)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                  struct.pack("ii", 1, 0))
        if end == "close" and self._tls:
            connection.settimeout(1)
            connection.unwrap()
        return end == "keep"


def cut_at(answer, count, end="close"):
    """The same answer, cut off after count bytes of header and body; what it
    says of itself stays, but for that the connection is going to be closed."""
    return replace(answer, cut=count, end=end)
