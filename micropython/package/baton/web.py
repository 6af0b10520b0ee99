# HTTP/1.1 for the agent in Python, over a connection of net.py that never waits
# for long. What an answer means is as core/http*.c have it.
# SPDX-License-Identifier: MIT
import utime as time

from micropython import const

from .url import fail, origin, resolve, split

_AGAIN = const(-11)
_ARG = const(-22)
_STATE = const(-200)
_RESET = const(-373)
_TIMEOUT = const(-374)
_STALLED = const(-375)
_TOO_MUCH = const(-376)
_FORMAT = const(-384)
_HEADER_SIZE = const(-385)
_STATUS = const(-386)
_NOT_FOUND = const(-387)
_DENIED = const(-388)
_BUSY = const(-389)
_RANGE = const(-390)
_CHANGED = const(-391)
_REDIRECTS = const(-392)
_ENCODING = const(-394)
_LENGTH = const(-395)

_CONNECT_MS = const(15000)
_ANSWER_MS = const(30000)
_RATE_BYTES = const(128)  # a second, over stream.rate_s of waiting
_REDIRECTS_MAX = const(5)
_STEP_MS = const(500)
_HEADER_MAX = const(65536)
_LINE_MAX = const(1024)
_VALUE_MAX = const(95)
_ETAG_MAX = const(63)
_BODY_MAX = const(67108864)
_BUF = const(512)

_IDLE = const(0)
_CONNECTING = const(1)
_SENDING = const(2)
_HEADER = const(3)
_BODY = const(4)
_OVER = const(5)

_MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"


def number(text):
    """The number that a text begins with, and what is behind it; None where
    there is none. 32 bits are as much as counts."""
    end = 0
    while end < len(text) and text[end].isdigit():
        end += 1
    if not end:
        return None, text
    return min(int(text[:min(end, 11)]), 0xFFFFFFFF), text[end:]


def read_date(text):
    """A date as seconds, from whatever year time.mktime counts; 0 for none."""
    try:
        words = text.split(" ")
        day, month, year = words[1:4]
        h, m, s = words[4].split(":")
        at = _MONTHS.find(month.lower())
        if len(text) != 29 or at < 0 or at % 3:
            return 0
        return time.mktime((int(year), at // 3 + 1, int(day), int(h), int(m),
                            int(s), 0, 0))
    except (ValueError, IndexError, OverflowError):
        return 0


class Http:
    def __init__(self, stream, port, authorization):
        if authorization is not None:
            for c in authorization:
                if c < " " or c == "\x7f":
                    fail(_ARG)
        self.stream = stream
        self.port = port
        self.authorization = authorization
        self.buf = bytearray(_BUF)
        self.have = memoryview(self.buf)[:0]
        self.state = _IDLE
        self.kept = None  # whose connection is open
        self.retry_after_s = 0
        self.answer()

    def answer(self):
        # What the header said.
        self.status = 0
        self.start = self.body_bytes = self.total_bytes = 0
        self.etag = ""
        self.keeps_alive = self.is_chunked = self.is_encoded = False
        self.length = self.range = self.location = None
        self.range_total = None
        self.retry_after_s = 0
        self.retry_date = 0
        self.date = time.time() if self.port.now() else 0

    def hang_up(self):
        self.stream.close()
        self.kept = None
        self.is_reused = False
        self.have = self.have[:0]

    # ---- Opening

    def open(self, url, start, end, etag, may_downgrade):
        """True once the header is there and fits what was asked for: bytes
        start to end (0: all there are), if the file is still of that tag."""
        if not _CONNECTING <= self.state <= _HEADER:
            self.close()
            self.answer()
            if end and end <= start:
                fail(_ARG)
            self.url = self.current = url
            self.asked = (start, end, etag)
            self.may_downgrade = may_downgrade
            self.is_reused = self.kept is not None and self.kept == origin(url)
            if not self.is_reused:
                split(url)
                self.hang_up()
            self.kept = None
            self.redirects = 0
            self.begin_hop()
        began = time.ticks_ms()
        try:
            while self.state != _BODY:
                if not self.step() or (
                        time.ticks_diff(time.ticks_ms(), began) > _STEP_MS
                        and self.state != _BODY):
                    return False
        except OSError:
            self.hang_up()
            self.state = _IDLE
            raise
        self.waited_ms = self.paced = 0
        self.is_waiting = False
        return True

    def begin_hop(self):
        self.state = _CONNECTING
        self.since = time.ticks_ms()

    def step(self):
        # Whether something went on.
        limit = _ANSWER_MS
        try:
            if self.state == _CONNECTING:
                limit = _CONNECT_MS
                went_on = self.connect()
            elif self.state == _SENDING:
                went_on = self.send()
            else:
                went_on = self.receive_header()
        except OSError as exc:
            # A server may end a kept connection at any time.
            if not self.is_reused or exc.args[0] not in (_RESET, _FORMAT):
                raise
            self.hang_up()
            self.begin_hop()
            return True
        if self.state != _BODY and time.ticks_diff(
                time.ticks_ms(), self.since) > limit:
            fail(_TIMEOUT)
        return went_on

    def connect(self):
        scheme, place, host, port, path = split(self.current)
        if not self.is_reused:
            err = self.stream.connect(host, port, scheme == "https")
            if err == _AGAIN:
                return False
            if err:
                fail(err)
        start, end, etag = self.asked
        lines = ["GET %s%s HTTP/1.1" % ("" if path[:1] == "/" else "/", path),
                 "Host: " + place, "Accept-Encoding: identity",
                 "User-Agent: baton"]
        if start or end:
            lines.append("Range: bytes=%d-%s" % (start, end - 1 if end else ""))
            if etag:
                lines.append("If-Range: " + etag)
        # Credentials are for the place that they were given for alone.
        if self.authorization and origin(self.url) == origin(self.current):
            lines.append("Authorization: " + self.authorization)
        self.request = memoryview("\r\n".join(lines + ["", ""]).encode())
        self.state = _SENDING
        self.since = time.ticks_ms()
        return True

    def send(self):
        done = self.stream.send(self.request)
        if done == _AGAIN or done == 0:
            return False
        if done < 0:
            fail(done)
        self.request = self.request[done:]
        if not self.request:
            self.request = None
            self.state = _HEADER
            self.line = b""
            self.pending = None  # a line that may go on in the next one
            self.header_bytes = 0
            self.answer()
        return True

    def receive(self):
        """Fills the own buffer; False where nothing came. Empty at the end."""
        got = self.stream.recv(self.buf)
        if got == _AGAIN:
            return False
        if got < 0:
            fail(got)
        self.have = memoryview(self.buf)[:got]
        return True

    # ---- The header

    def receive_header(self):
        if not self.have and not self.receive():
            return False
        if not self.have:
            fail(_RESET)
        data = bytes(self.have)
        end = data.find(b"\n") + 1
        piece = data[:end or len(data)]
        self.have = self.have[len(piece):]
        self.header_bytes += len(piece)
        if self.header_bytes > _HEADER_MAX:
            fail(_HEADER_SIZE)
        if b"\0" in piece:
            fail(_FORMAT)
        if len(self.line) <= _LINE_MAX:
            self.line += piece
        start = self.line[:7]
        if not self.status and self.pending is None and (
                start != b"HTTP/1."[:len(start)]):
            fail(_FORMAT)
        if end:
            self.end_line(self.line)
            self.line = b""
        return True

    def end_line(self, line):
        # A line that begins with a blank goes on with the one before.
        if self.pending is not None and line[:1] in (b" ", b"\t"):
            self.pending = (self.pending + b" " + line.strip())[:_LINE_MAX + 1]
            return
        if self.pending is not None:
            self.take_line(self.pending)
        line = line.rstrip(b"\r\n\t ") if line.strip() else b""
        self.pending = line
        if line or not self.status:
            return
        if self.status >= 200:
            self.end_header()
        elif self.status == 101:  # was not asked for
            fail(_FORMAT)
        else:
            self.answer()
            self.pending = None

    def take_line(self, line):
        is_cut = len(line) > _LINE_MAX
        try:
            line = str(line, "utf-8")
        except ValueError:
            line = "".join(chr(c) for c in line)
        if not self.status:
            status, rest = number(line[9:])
            if len(line) < 12 or line[8] != " " or status is None \
                    or not 100 <= status <= 999 or rest[:1] not in ("", " "):
                fail(_FORMAT)
            self.status = status
            self.keeps_alive = line[7] != "0"
            return
        name, colon, value = line.partition(":")
        name = name.lower()
        value = value.lstrip(" \t")
        if not colon and not is_cut:
            fail(_FORMAT)
        if name == "location":
            if is_cut:
                fail(_HEADER_SIZE)
            self.location = value
        elif len(line) <= _VALUE_MAX:
            self.take(name, value)
        elif name in ("content-encoding", "transfer-encoding"):
            self.is_encoded = True
        elif name in ("content-length", "content-range"):
            fail(_FORMAT)

    def take(self, name, value):
        lower = value.lower()
        if name == "content-length":
            length, rest = number(value)
            if length is None or rest or self.length not in (None, length):
                fail(_FORMAT)
            if length == 0xFFFFFFFF:
                fail(_TOO_MUCH)
            self.length = length
        elif name == "content-range":
            self.take_range(lower)
        elif name == "etag":
            inside = value[1:-1]
            is_strong = (2 <= len(value) <= _ETAG_MAX and value[0] == '"'
                         and value[-1] == '"' and '"' not in inside)
            for c in inside:
                is_strong = is_strong and c > " "
            self.etag = value if is_strong else ""
        elif name == "retry-after":
            seconds, _ = number(value)
            if seconds is None:
                self.retry_date = read_date(value)
            else:
                self.retry_after_s = seconds
        elif name == "date":
            self.date = read_date(value) or self.date
        elif name == "transfer-encoding":
            self.is_chunked = lower == "chunked"
            self.is_encoded = self.is_encoded or not self.is_chunked
        elif name == "content-encoding":
            self.is_encoded = self.is_encoded or lower != "identity"
        elif name == "connection":
            words = [word.strip() for word in lower.split(",")]
            if "close" in words:
                self.keeps_alive = False
            elif "keep-alive" in words:
                self.keeps_alive = True

    def take_range(self, value):
        # "bytes 0-99/1234", "bytes 0-99/*", or with 416 "bytes */1234".
        if not value.startswith("bytes "):
            fail(_FORMAT)
        value = value[6:]
        if value[:1] == "*":
            rest = value[1:]
        else:
            first, rest = number(value)
            if first is None or rest[:1] != "-":
                fail(_FORMAT)
            last, rest = number(rest[1:])
            if last is None or last < first:
                fail(_FORMAT)
            if last == 0xFFFFFFFF:
                fail(_TOO_MUCH)
            self.range = (first, last + 1)
        if rest[:1] != "/":
            fail(_FORMAT)
        if rest != "/*":
            self.range_total, rest = number(rest[1:])
            if self.range_total is None or rest:
                fail(_FORMAT)
            if self.range_total == 0xFFFFFFFF:
                fail(_TOO_MUCH)

    def end_header(self):
        self.pending = None
        if self.retry_date > self.date and self.date:
            self.retry_after_s = self.retry_date - self.date
        status = self.status
        if status in (200, 203, 206):
            self.judge_file()
            self.begin_body()
        elif status in (301, 302, 303, 307, 308):
            if not self.location:
                fail(_FORMAT)
            self.follow()
        elif status in (401, 403, 407):
            fail(_DENIED)
        elif status in (404, 410):
            fail(_NOT_FOUND)
        elif status == 416:
            if self.range is None:
                self.total_bytes = self.range_total or 0
            fail(_RANGE)
        elif status in (408, 425, 429) or 500 <= status < 600:
            fail(_BUSY)
        else:
            fail(_STATUS)

    def follow(self):
        # The rest of a redirect's answer is not worth reading.
        self.hang_up()
        if self.redirects == _REDIRECTS_MAX:
            fail(_REDIRECTS)
        self.redirects += 1
        self.current = resolve(self.current, self.location, self.may_downgrade)
        self.begin_hop()

    def judge_file(self):
        start, end, etag = self.asked
        if self.is_encoded:
            fail(_ENCODING)
        if etag and self.etag and etag != self.etag:
            fail(_CHANGED)
        is_counted = self.length is not None and not self.is_chunked
        if self.status != 206:
            if is_counted:
                self.body_bytes = self.total_bytes = self.length
            return
        # The part that was asked for, all of it, and nothing else.
        total = self.range_total
        if total is not None and (end == 0 or end > total):
            end = total
        if not (start or self.asked[1]) or self.range is None \
                or self.range[0] != start or (end and self.range[1] != end):
            fail(_RANGE)
        self.start = start
        self.body_bytes = self.range[1] - start
        self.total_bytes = total or 0
        if is_counted and self.length != self.body_bytes:
            fail(_LENGTH)

    # ---- The body

    def begin_body(self):
        is_counted = self.length is not None and not self.is_chunked
        length = self.length if is_counted else self.body_bytes
        if length > _BODY_MAX:
            fail(_TOO_MUCH)
        self.is_exact = is_counted or self.status == 206
        self.room = length if self.is_exact else _BODY_MAX
        self.is_open = not self.is_chunked and not self.is_exact
        self.left = 0 if self.is_chunked else self.room
        self.is_end = not self.is_chunked and not self.left
        self.frame = b""
        self.framing = 0
        self.is_first = True  # no chunk came yet
        self.is_trailer = False
        self.err = 0
        self.state = _BODY

    def read(self, buf):
        """Bytes of the body into buf: how many, 0 at the end, None for none
        yet."""
        if self.state == _OVER:
            if self.err:
                fail(self.err)
            return 0
        if self.state != _BODY:
            fail(_STATE)
        began = time.ticks_ms()
        if not self.is_waiting:
            self.last = began
        got = None
        try:
            while got is None and not self.is_end:
                got = self.content(buf) if self.left else self.pass_frame()
                if got is None:
                    break
                if got < 0:  # framing, and there is more of it
                    got = None
                    if time.ticks_diff(time.ticks_ms(), began) > _STEP_MS:
                        break
            if self.is_end and got is None:
                got = 0
            self.pace(got or 0)
        except OSError as exc:
            self.err = exc.args[0]
            self.state = _OVER
            raise
        if got == 0:
            self.state = _OVER
        return got

    def pace(self, got):
        # Only time spent waiting for the server counts.
        now = time.ticks_ms()
        self.waited_ms += time.ticks_diff(now, self.last)
        self.last = now
        self.paced += got
        self.is_waiting = not got
        rate_s = self.stream.rate_s
        if self.waited_ms >= rate_s * 1000:
            is_slow = self.paced < _RATE_BYTES * rate_s
            self.waited_ms = self.paced = 0
            if is_slow and not self.is_end:
                fail(_STALLED)

    def content(self, buf):
        # Content goes straight to the reader, but for the last of it: bytes
        # behind the end must not stay unseen in a connection that is kept.
        size = min(len(buf), self.left)
        if not self.have and self.left < _BUF:
            if not self.receive():
                return None
            if not self.have:
                return self.cut()
        if self.have:
            got = min(size, len(self.have))
            buf[:got] = self.have[:got]
            self.have = self.have[got:]
        else:
            if size == self.left:
                size -= 1
            if size < len(buf):
                buf = memoryview(buf)[:size]
            got = self.stream.recv(buf)
            if got == _AGAIN:
                return None
            if got < 0:
                fail(got)
            if not got:
                return self.cut()
        self.left -= got
        self.room -= got
        self.framing = 0
        if not self.left and self.is_exact and not self.is_chunked:
            self.is_end = True
        return got

    def cut(self):
        if not self.is_open:
            fail(_LENGTH)
        self.is_end = True
        return 0

    def pass_frame(self):
        # -1: goes on; None: nothing came.
        if not self.have and not self.receive():
            return None
        if not self.have:
            return self.cut()
        if not self.is_chunked:
            fail(_TOO_MUCH)  # as much as is taken was taken, and there is more
        data = bytes(self.have)
        end = data.find(b"\n") + 1
        piece = data[:end or len(data)]
        self.have = self.have[len(piece):]
        self.framing += len(piece)
        if self.framing > _HEADER_MAX:
            fail(_HEADER_SIZE)
        if len(self.frame) < 80:
            self.frame += piece
        if end:
            line = self.frame.strip()
            self.frame = b""
            self.end_frame(line)
        return -1

    def end_frame(self, line):
        if self.is_trailer:
            if not line:
                self.is_end = True
                if self.is_exact and self.room:
                    fail(_LENGTH)
            return
        if not line and not self.is_first:
            return  # the end of the chunk before
        size = line.split(b";", 1)[0].split(b" ", 1)[0]
        self.is_first = False
        # int() takes signs and underscores as well.
        if not size or size[:1] in (b"-", b"+") or b"_" in size:
            fail(_FORMAT)
        try:
            left = int(size, 16)
        except ValueError:
            fail(_FORMAT)
        if left > self.room:
            fail(_LENGTH if self.is_exact else _TOO_MUCH)
        self.left = left
        self.is_trailer = not left

    def close(self):
        """Ends the request; the connection is kept where it may serve again."""
        if self.state == _IDLE:
            return
        is_kept = (self.state >= _BODY and self.is_end and not self.err
                   and self.keeps_alive and not self.have and not self.is_open)
        if not is_kept:
            self.hang_up()
        self.kept = origin(self.current) if is_kept else None
        self.state = _IDLE
