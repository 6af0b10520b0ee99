"""What every transport owes the agent: one suite for libcurl's and for Baton's
own HTTP clients, in C and in Python, against a server that misbehaves as told, nginx and python's
http.server. Certificates: test_transport_tls.py."""
# SPDX-License-Identifier: MIT
import hashlib
import os
import random
import re
import time
import zlib

import pytest

from bad_server import Answer, Request, build, cut_at
from fetcher import Fetcher

DATA = bytes(zlib.crc32(b"%d" % i) & 0xFF for i in range(40000))
ETAG = '"v1-40000"'
GOOD = Answer(DATA, etag=ETAG)
CUT_SHORT = {"NET_RESET", "HTTP_LENGTH"}

# What each is started with. The smallest buffers, a byte at a time, have every
# piece of the client wait everywhere.
KINDS = {
    "curl": {},
    "http": {},
    "http-tiny": {"buf": 64, "url_bytes": 64, "most": 3, "chunk": 7},
    "python": {},
}
if os.environ.get("BATON_POLICY") == "python":
    KINDS["python-tiny"] = KINDS["http-tiny"]


@pytest.fixture(scope="module")
def fetchers(repo):
    """One of each kind; starting Python for each test takes too long."""
    made = {}

    def get(kind):
        options = {"transport": kind.split("-")[0],
                   "answer_ms": 8000, "rate_s": 8, **KINDS[kind]}
        if not kind.startswith("python"):
            return Fetcher(repo, **options)
        if kind not in made:
            made[kind] = Fetcher(repo, **options)
        return made[kind]

    yield get
    for fetcher in made.values():
        fetcher.__exit__()


@pytest.fixture(params=KINDS)
def fetch(request, fetchers):
    """Call it with a URL and a driver's fields; see fetcher.py."""
    fetcher = fetchers(request.param)
    yield fetcher
    if fetcher.knows_tags:
        fetcher.__exit__()


@pytest.fixture(params=["curl", "http", "python"])
def quick(request, repo):
    """The two, for tests of time, with short limits."""
    with Fetcher(repo, transport=request.param, answer_ms=600, rate_s=1,
                 rate_bytes_s=2000) as fetcher:
        yield fetcher


@pytest.fixture
def server(bad_server):
    made = bad_server()
    made.files["/app"] = GOOD
    return made


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def check_whole(got, data=DATA, start=0):
    assert got.error == "OK", got
    assert got.bytes == len(data) and got.sha256 == sha256(data)
    assert getattr(got, "from") == start


# ---- As it should be --------------------------------------------------------

def test_whole(fetch, server):
    got = fetch(server.url + "/app")
    check_whole(got)
    assert got.body_bytes == got.total_bytes == len(DATA)
    assert got.etag == ETAG and not getattr(got, "unchanged", False)
    request = server.log[0]
    assert request.method == "GET" and request.path == "/app"
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["user-agent"] == "baton"
    assert set(request.headers) <= {"host", "accept-encoding", "user-agent",
                                    "accept"}


def test_address(fetch, server):
    for path in ("", "?q=1", "/a/./b/../c?d=e/../f#g", "/%20;x=y"):
        server.clear()
        fetch(server.url + path)
        sent = path.split("#")[0]
        assert server.log[0].path == (
            sent if sent.startswith("/") else "/" + sent)


def test_ranges(fetch, server):
    size = len(DATA)
    for start, end in ((0, 1), (0, size), (1, 0), (100, 200), (size - 1, 0),
                       (4096, size + 5), (size - 1, size)):
        got = fetch(server.url + "/app", **{"from": start}, to=end)
        check_whole(got, DATA[start:end or None], start)
        assert got.total_bytes == size
        assert server.log[-1].range == (start, end or None)


def test_no_ranges(fetch, server):
    server.files["/app"] = Answer(DATA, ranges=False)
    got = fetch(server.url + "/app", **{"from": 1000}, to=2000)
    check_whole(got)


def test_validators(fetch, server):
    url = server.url + "/app"
    check_whole(fetch(url, etag=ETAG, **{"from": 500}), DATA[500:], 500)
    assert server.log[-1].headers["if-range"] == ETAG
    if fetch.knows_tags:
        got = fetch(url, known_etag=ETAG)
        assert got.error == "OK" and got.unchanged and got.bytes == 0
        check_whole(fetch(url, known_etag='"other"'))
    server.files["/app"] = Answer(DATA[::-1], etag='"v2"')
    got = fetch(url, etag=ETAG, **{"from": 500})
    assert got.error == "HTTP_CHANGED" and got.bytes == 0
    # A server that has ranges but ignores If-Range.
    server.files["/app"] = lambda request: (
        request.headers.pop("if-range"), server_v2)[1]
    server_v2 = Answer(DATA[::-1], etag='"v2"')
    assert fetch(url, etag=ETAG, **{"from": 500}).error == "HTTP_CHANGED"


def test_weak_validator(fetch, server):
    server.files["/app"] = Answer(DATA, etag='W/"v1"')
    got = fetch(server.url + "/app")
    check_whole(got)
    assert got.etag == ""


@pytest.mark.parametrize("chunks", [1, 7, 4096, 100000])
def test_chunks(fetch, server, chunks):
    data = DATA[:3000] if chunks == 1 else DATA
    server.files["/app"] = Answer(data, chunks=chunks)
    got = fetch(server.url + "/app")
    check_whole(got, data)
    assert got.body_bytes == 0
    got = fetch(server.url + "/app", **{"from": 10}, to=900)
    check_whole(got, data[10:900], 10)
    assert got.body_bytes == 890


def test_chunks_with_trimmings(fetch, server):
    raw = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
           b"Content-Length: 3\r\n\r\n"
           b"005;name=\"value\"\r\nhello\r\n6\r\n world\r\n0\r\n"
           b"Trailer: x\r\nContent-Length: 99\r\n\r\n")
    server.files["/app"] = Answer(raw=raw)
    check_whole(fetch(server.url + "/app"), b"hello world")


def test_to_the_end_of_the_connection(fetch, server):
    server.files["/app"] = Answer(DATA, version="1.0", end="close",
                                  headers={"Content-Length": None})
    got = fetch(server.url + "/app")
    check_whole(got)
    assert got.body_bytes == 0


def test_empty(fetch, server):
    server.files["/app"] = Answer(b"")
    check_whole(fetch(server.url + "/app"), b"")
    server.files["/app"] = Answer(b"", chunks=1)
    check_whole(fetch(server.url + "/app"), b"")


def test_interim_answers(fetch, server):
    server.files["/app"] = Answer(
        DATA, interim=b"HTTP/1.1 100 Continue\r\n\r\n"
                      b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    check_whole(fetch(server.url + "/app"))


def test_many_headers(fetch, server):
    """As from an object store behind a proxy: tens of headers, long lines."""
    headers = {f"x-amz-meta-{i}": "v" * (i * 40) for i in range(50)}
    server.files["/app"] = Answer(DATA, etag=ETAG, headers=headers)
    got = fetch(server.url + "/app")
    check_whole(got)
    assert got.etag == ETAG


@pytest.mark.parametrize("kind", ["lines", "line", "interim"])
def test_header_without_end(fetch, server, kind):
    start = b"HTTP/1.1 200 OK\r\n"
    raw = {"lines": start + b"X: y\r\n" * 40000,
           "line": start + b"X: " + b"y" * 300000,
           "interim": b"HTTP/1.1 100 Continue\r\n\r\n" * 8000}[kind]
    server.files["/app"] = Answer(raw=raw, end="close")
    assert fetch(server.url + "/app").error == "HTTP_HEADER_SIZE"


def test_stop_and_next(fetch, server):
    """Closing in the middle leaves nothing behind for the next request."""
    for _ in range(3):
        assert fetch(server.url + "/app", keep=1, stop=100).bytes >= 100
        check_whole(fetch(server.url + "/app", keep=1))


def test_kept_connection(fetch, server):
    for _ in range(5):
        check_whole(fetch(server.url + "/app", keep=1))
        check_whole(fetch(server.url + "/app", keep=1, to=10), DATA[:10])
        assert not fetch.knows_tags or fetch(
            server.url + "/app", keep=1, known_etag=ETAG).unchanged
    assert server.connections == 1


def test_kept_connection_ends(fetch, server):
    """Servers end idle connections when they like: that is no error."""
    for end in ("close", "reset"):
        server.files["/app"] = Answer(DATA, end=end,
                                      headers={"Connection": "keep-alive"})
        before = server.connections
        for _ in range(3):
            check_whole(fetch(server.url + "/app", keep=1))
            time.sleep(0.03)
        assert server.connections == before + 3


def test_other_server(fetch, server, bad_server):
    other = bad_server()
    other.files["/app"] = Answer(DATA[:10])
    for _ in range(2):
        check_whole(fetch(server.url + "/app", keep=1))
        check_whole(fetch(other.url + "/app", keep=1), DATA[:10])


# ---- Cut short --------------------------------------------------------------

@pytest.mark.parametrize("end", ["close", "reset"])
def test_cut_in_the_header(fetch, server, end):
    length = len(build(GOOD, Request("GET", "/app", {}, 0))[0])
    assert length > 60
    for cut in range(length):
        server.files["/app"] = cut_at(GOOD, cut, end)
        got = fetch(server.url + "/app")
        assert got.error == "NET_RESET" and got.stage == "open", cut


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("chunks", [0, 1000])
def test_cut_in_the_body(fetch, server, end, chunks):
    seed = random.randrange(2 ** 32)
    choose = random.Random(seed)
    count = 250 if fetch.knows_tags else 25  # Python takes its time
    for cut in sorted(choose.sample(range(len(DATA)), count)) + [0]:
        server.files["/app"] = Answer(
            DATA, etag=ETAG, chunks=chunks, cut_body=cut, end=end,
            headers={"Connection": "keep-alive"})
        got = fetch(server.url + "/app")
        assert got.stage == "read", (seed, cut)
        assert got.error in CUT_SHORT, (seed, cut, got)
        # What came before the cut is there and right; a reset may take some of
        # it along.
        assert got.bytes <= cut
        if end == "close":
            assert got.error == "HTTP_LENGTH"
            assert chunks or got.bytes == cut
        assert got.sha256 == sha256(DATA[:got.bytes])


def test_wrong_lengths(fetch, server):
    server.files["/app"] = Answer(DATA, length=len(DATA) + 1, end="close")
    got = fetch(server.url + "/app")
    assert got.error == "HTTP_LENGTH" and got.bytes == len(DATA)
    # A client cannot tell more bytes from a next answer: it takes as many as
    # were announced.
    server.files["/app"] = Answer(DATA, length=len(DATA) - 1, end="close")
    check_whole(fetch(server.url + "/app"), DATA[:-1])
    server.files["/app"] = Answer(DATA, headers={"Content-Length": "12x"})
    assert fetch(server.url + "/app").error == "HTTP_FORMAT"
    server.files["/app"] = Answer(DATA, headers={"Content-Length": "-5"})
    assert fetch(server.url + "/app").error == "HTTP_FORMAT"
    server.files["/app"] = Answer(DATA, headers={"Content-Length": 1 << 32})
    assert fetch(server.url + "/app").error == "NET_TOO_MUCH"


def test_garbage_behind_the_end(fetch, server):
    for extra in (b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad",
                  b"\0" * 5000):
        server.files["/app"] = Answer(DATA, extra=extra)
        before = server.connections
        for _ in range(3):
            check_whole(fetch(server.url + "/app", keep=1))
        # Never taken for the next answer.
        assert server.connections == before + 3
        fetch(server.url + "/no")


# ---- Wrong answers ----------------------------------------------------------

@pytest.mark.parametrize("content_range, error", [
    ("bytes 1001-39999/40000", "HTTP_RANGE"),
    ("bytes 0-39999/40000", "HTTP_RANGE"),
    ("bytes 999-39999/40000", "HTTP_RANGE"),
    ("bytes 1000-39998/40000", "HTTP_RANGE"),
    ("bytes 1000-40000/40000", "HTTP_RANGE"),
    ("bytes 1000-39999/39999", "HTTP_RANGE"),
    ("bytes */40000", "HTTP_RANGE"),
    ("bytes 1000-39999/40001", "HTTP_RANGE"),
    ("bytes 1000-39997/39998", "HTTP_LENGTH"),
    ("1000-39999/40000", "HTTP_FORMAT"),
    ("bytes nonsense", "HTTP_FORMAT"),
])
def test_wrong_range(fetch, server, content_range, error):
    server.files["/app"] = Answer(DATA, content_range=content_range)
    got = fetch(server.url + "/app", **{"from": 1000})
    assert got.error == error and got.bytes == 0


def test_range_without_content_range(fetch, server):
    server.files["/app"] = Answer(DATA, headers={"Content-Range": None})
    assert fetch(server.url + "/app", **{"from": 9}).error == "HTTP_RANGE"


def test_range_not_satisfiable(fetch, server):
    got = fetch(server.url + "/app", **{"from": len(DATA)})
    assert got.error == "HTTP_RANGE" and got.total_bytes == len(DATA)


@pytest.mark.parametrize("status, error", [
    (400, "HTTP_STATUS"), (401, "HTTP_DENIED"), (403, "HTTP_DENIED"),
    (404, "HTTP_NOT_FOUND"), (410, "HTTP_NOT_FOUND"), (412, "HTTP_STATUS"),
    (416, "HTTP_RANGE"), (418, "HTTP_STATUS"), (429, "HTTP_BUSY"),
    (500, "HTTP_BUSY"), (502, "HTTP_BUSY"), (503, "HTTP_BUSY"),
    (504, "HTTP_BUSY"), (204, "HTTP_STATUS"), (304, "HTTP_STATUS"),
    (300, "HTTP_STATUS"), (302, "HTTP_FORMAT"),
])
def test_status(fetch, server, status, error):
    server.files["/app"] = Answer(b"words", status=status)
    got = fetch(server.url + "/app")
    assert got.error == error and got.stage == "open"
    assert got.retry_after_s == 0


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after(fetch, server, status):
    server.files["/app"] = Answer(
        b"later", status=status, headers={"Retry-After": "120"})
    got = fetch(server.url + "/app")
    assert got.error == "HTTP_BUSY" and got.retry_after_s == 120
    server.files["/app"] = Answer(b"later", status=status, headers={
        "Date": "Sat, 28 Feb 2026 23:59:59 GMT",
        "Retry-After": "Sun, 01 Mar 2026 00:01:00 GMT"})
    assert fetch(server.url + "/app").retry_after_s == 61
    then = time.strftime("%a, %d %b %Y %H:%M:%S GMT",
                         time.gmtime(time.time() + 100))
    server.files["/app"] = Answer(b"later", status=status,
                                  headers={"Retry-After": then})
    assert 40 <= fetch(server.url + "/app").retry_after_s <= 100


def test_encodings(fetch, server):
    server.files["/app"] = Answer(DATA, headers={"Content-Encoding": "gzip"})
    assert fetch(server.url + "/app").error == "HTTP_ENCODING"
    server.files["/app"] = Answer(
        DATA, headers={"Content-Encoding": "identity"})
    check_whole(fetch(server.url + "/app"))


@pytest.mark.parametrize("raw", [
    b"SSH-2.0-OpenSSH_9\r\n", b"<html>login</html>", b"\0\0\0\0", b"\r\n\r\n",
    b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
])
def test_not_http(fetch, server, raw):
    server.files["/app"] = Answer(raw=raw, end="close")
    assert fetch(server.url + "/app").error == "HTTP_FORMAT"


@pytest.mark.parametrize("body", [b"x\r\nhello\r\n", b"\r\n", b"5\r\nhelloX\r\n",
                                  b"-1\r\n"])
def test_bad_chunks(fetch, server, body):
    server.files["/app"] = Answer(
        raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert fetch(server.url + "/app").error == "HTTP_FORMAT"


# ---- Redirects --------------------------------------------------------------

def redirect(to, status=302, **more):
    return Answer(b"<p>over there", status=status,
                  headers={"Location": to, **more})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(fetch, server, status):
    for to in (server.url + "/app", "/app", "app", "../app?q#frag",
               f"//127.0.0.1:{server.port}/x/../app"):
        server.files["/d/old"] = redirect(to, status)
        server.files["/d/app"] = server.files["/app?q"] = GOOD
        got = fetch(server.url + "/d/old", **{"from": 5}, etag=ETAG)
        check_whole(got, DATA[5:], 5)
        # Everything that was asked is asked again.
        assert server.log[-1].range == (5, None)
        assert server.log[-1].headers["if-range"] == ETAG


def test_redirect_limit(fetch, server):
    for i in range(8):
        server.files[f"/{i}"] = redirect(f"/{i + 1}")
    server.files["/8"] = GOOD
    check_whole(fetch(server.url + "/3"))
    assert fetch(server.url + "/2").error == "HTTP_REDIRECTS"
    check_whole(fetch(server.url + "/0", redirects=8))
    assert fetch(server.url + "/7", redirects=255).error == "HTTP_REDIRECTS"
    server.files["/loop"] = redirect("/loop")
    server.clear()
    assert fetch(server.url + "/loop").error == "HTTP_REDIRECTS"
    assert len(server.log) == 6


@pytest.mark.parametrize("to", ["ftp://127.0.0.1/x", "file:///etc/passwd",
                                "http://user:pw@127.0.0.1/", "/a b",
                                "javascript:alert(1)", "http://:80/"])
def test_redirect_elsewhere(fetch, server, to):
    server.files["/app"] = redirect(to)
    assert fetch(server.url + "/app").error == "URL"


def test_credentials_stay(fetch, server, bad_server):
    other = bad_server()
    other.files["/app"] = redirect(server.url + "/app")
    server.files["/there"] = redirect(other.url + "/app")
    server.files["/here"] = redirect("/app")
    secret = "Bearer abc"
    check_whole(fetch(server.url + "/here", authorization=secret))
    assert [r.headers.get("authorization") for r in server.log] == [secret] * 2
    server.clear()
    # Away, and back again: only the origin itself gets to see them.
    check_whole(fetch(server.url + "/there", authorization=secret))
    assert [r.headers.get("authorization") for r in server.log] == [secret] * 2
    assert [r.headers.get("authorization") for r in other.log] == [None]


# ---- Time -------------------------------------------------------------------

def test_no_answer(quick, server):
    server.files["/app"] = Answer(cut=0, end="hang")
    got = quick.in_time(server.url + "/app", most_s=3)
    assert got.error == "NET_TIMEOUT" and got.again >= 1
    assert got.took_s > 0.55


def test_header_in_drips(quick, server):
    server.files["/app"] = Answer(DATA, drip=(1, 0.05))
    got = quick.in_time(server.url + "/app")
    assert got.error == "NET_TIMEOUT" and got.stage == "open"


def test_body_in_drips(quick, server):
    server.files["/app"] = Answer(DATA, drip=(20, 0.05), drip_after=1000)
    got = quick.in_time(server.url + "/app")
    assert got.error == "NET_STALLED" and got.stage == "read"
    server.files["/app"] = Answer(DATA, drip=(400, 0.02))
    check_whole(quick(server.url + "/app"))


def test_body_stops(quick, server):
    server.files["/app"] = Answer(DATA, cut_body=9000, end="hang")
    got = quick.in_time(server.url + "/app")
    assert got.error == "NET_STALLED" and got.bytes <= 9000
    assert got.took_s > 0.9


def test_framing_in_drips(quick, server):
    """Chunk extensions are not progress."""
    raw = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;"
           + b"x" * 3000)
    server.files["/app"] = Answer(raw=raw, drip=(10, 0.02), drip_after=100)
    got = quick.in_time(server.url + "/app")
    assert got.error == "NET_STALLED" and got.bytes == 0


# ---- Too much ---------------------------------------------------------------

def test_endless(fetch, server):
    """A body without end, and without a length, stops at the cap."""
    server.files["/app"] = Answer(DATA, endless=True,
                                  headers={"Content-Length": None})
    got = fetch(server.url + "/app", body_bytes=50000)
    assert got.error == "NET_TOO_MUCH" and got.stage == "read"
    assert got.bytes <= 50000
    # What the server could send is bounded by what lies in buffers.
    assert server.sent < 16 << 20


def test_endless_chunks(fetch, server):
    server.files["/app"] = Answer(raw=(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"3e8\r\n" + b"x" * 1000 + b"\r\n"),
        extra=(b"3e8\r\n" + b"x" * 1000 + b"\r\n") * 60)
    got = fetch(server.url + "/app", body_bytes=50000)
    assert got.error == "NET_TOO_MUCH" and got.bytes <= 50000


def test_cap(fetch, server):
    check_whole(fetch(server.url + "/app", body_bytes=len(DATA)))
    got = fetch(server.url + "/app", body_bytes=len(DATA) - 1)
    assert got.error == "NET_TOO_MUCH" and got.stage == "open"
    server.files["/app"] = Answer(DATA, chunks=1000)
    check_whole(fetch(server.url + "/app", body_bytes=len(DATA)))
    assert fetch(server.url + "/app",
                 body_bytes=len(DATA) - 1).error == "NET_TOO_MUCH"
    server.files["/app"] = Answer(DATA, end="close",
                                  headers={"Content-Length": None})
    check_whole(fetch(server.url + "/app", body_bytes=len(DATA)))
    assert fetch(server.url + "/app",
                 body_bytes=len(DATA) - 1).error == "NET_TOO_MUCH"


# ---- Nobody there -----------------------------------------------------------

def test_nobody(fetch, server):
    server.stop()
    got = fetch(server.url + "/app")
    assert got.error == "NET_CONNECT" and got.stage == "open"
    assert fetch("http://no-such-host.invalid/").error == "NET_DNS"


@pytest.mark.parametrize("url", ["", "app.bin", "ftp://h/", "http://",
                                 "http://u:p@127.0.0.1/", "http://h:0/"])
def test_bad_address(fetch, url):
    assert fetch(url).error == "URL"


def test_bad_range(fetch, server):
    got = fetch(server.url + "/app", **{"from": 10}, to=10)
    assert got.error == "ARG"
    assert not server.log


# ---- Servers of others ------------------------------------------------------

def test_nginx(fetch, nginx, tmp_path):
    (tmp_path / "app").write_bytes(DATA)
    server = nginx(tmp_path, more="""
        location /moved { return 302 /app; }
        location /busy { add_header Retry-After 7 always; return 503; }""")
    url = server.url + "/app"
    whole = fetch(url)
    check_whole(whole)
    assert whole.etag.startswith('"') and whole.total_bytes == len(DATA)
    for start, end in ((0, 1), (5000, 0), (39999, 0), (100, 70000)):
        got = fetch(url, etag=whole.etag, **{"from": start}, to=end)
        check_whole(got, DATA[start:end or None], start)
    assert not fetch.knows_tags or fetch(url, known_etag=whole.etag).unchanged
    assert fetch(url, **{"from": 40000}).error == "HTTP_RANGE"
    assert fetch(server.url + "/no").error == "HTTP_NOT_FOUND"
    check_whole(fetch(server.url + "/moved"))
    busy = fetch(server.url + "/busy")
    assert busy.error == "HTTP_BUSY" and busy.retry_after_s == 7
    (tmp_path / "app").write_bytes(DATA + b"+")
    got = fetch(url, etag=whole.etag, **{"from": 5000})
    assert got.error == "HTTP_CHANGED"


def test_nginx_keeps_the_connection(fetch, nginx, tmp_path):
    (tmp_path / "app").write_bytes(DATA)
    server = nginx(tmp_path, more='add_header X-Requests $connection_requests;')
    for start in range(0, len(DATA), 4096):
        check_whole(fetch(server.url + "/app", keep=1, **{"from": start},
                          to=start + 4096), DATA[start:start + 4096], start)
    assert len(server.access_log().splitlines()) == 10


def test_python_server(fetch, http_server, tmp_path):
    (tmp_path / "app").write_bytes(DATA)
    server = http_server(tmp_path)
    check_whole(fetch(server.url + "/app"))
    # It has no ranges: all of it comes.
    check_whole(fetch(server.url + "/app", **{"from": 1000}, to=2000))
    assert fetch(server.url + "/no").error == "HTTP_NOT_FOUND"


def test_every_error_is_documented(repo):
    """docs/NETWORK.md has each code, its number, and whether it is tried
    again."""
    header = (repo / "include" / "baton" / "error.h").read_text()
    codes = {name: number for name, number in re.findall(
        r"BATON_ERR_(\w+) = (-3[789]\d),", header)}
    source = (repo / "core" / "error.c").read_text()
    body = source[source.index("bool baton_error_is_retryable"):]
    again = set(re.findall(r"case BATON_ERR_(\w+):", body))
    rows = re.findall(r"^\| (\w+) \| (-\d+) \| .* \| (no|yes|from its start) "
                      r"\| .*\|$", (repo / "docs/NETWORK.md").read_text(), re.M)
    assert {name: number for name, number, _ in rows} == codes
    assert {name for name, _, yes in rows if yes != "no"} == (
        again & set(codes))
