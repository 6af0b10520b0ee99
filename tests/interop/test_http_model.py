"""Answers as servers write them, and such that were cut off or altered, read by
Python's own http.client and by all transports. What was not touched all of
them read; what was, the transports read as the model does, or refuse it. Cases
come from a seed: BATON_SEED replays them."""
# SPDX-License-Identifier: MIT
import hashlib
import http.client
import os
import random

import pytest

from bad_server import Answer
from fetcher import Fetcher

SEED = int(os.environ.get("BATON_SEED", random.randrange(2 ** 32)))
CASES = int(os.environ.get("BATON_HTTP_CASES", "400"))
NAMES = ["Server", "Date", "X-A", "x-b", "Vary", "Cache-Control", "Via"]


def make_case(choose, data):
    """An answer: names in any case, blanks, lines and chunks."""
    lines = [b"HTTP/1.%d 200%s" % (choose.choice([0, 1, 1, 1]),
                                   choose.choice([b" OK", b"", b" \xc3\xa4"]))]
    headers = []
    for _ in range(choose.randrange(6)):
        value = bytes(choose.choices(b"abc =;,\"()\t:", k=choose.randrange(200)))
        headers.append((choose.choice(NAMES).encode(), value.strip()))
    kind = choose.choice(["length", "length", "chunked", "chunked", "close"])
    body = data
    if kind == "length":
        headers.append((b"Content-Length", b"%d" % len(data)))
    elif kind == "chunked":
        headers.append((b"Transfer-Encoding", b"chunked"))
        body = make_chunks(choose, data)
    choose.shuffle(headers)
    for name, value in headers:
        name = choose.choice([name, name.lower(), name.upper()])
        gap = choose.choice([b"", b" ", b"  ", b"\t"])
        # http.client takes a blank behind "chunked" for a part of it.
        tail = b"" if value == b"chunked" else choose.choice([b"", b" "])
        lines.append(name + b":" + gap + value + tail)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def make_chunks(choose, data):
    out, at = b"", 0
    while at < len(data):
        size = min(choose.choice([1, 2, 15, 16, 100, 1000]), len(data) - at)
        digits = choose.choice([b"%x", b"%X", b"0%x", b"%x;a=b", b"%x;c"])
        out += digits % size + b"\r\n" + data[at:at + size] + b"\r\n"
        at += size
    trailers = choose.choice([b"", b"X-T: y\r\n", b"A: b\r\nC: d\r\n"])
    return out + b"0\r\n" + trailers + b"\r\n"


def spoil(choose, raw):
    """Cut off, or a digit changed."""
    if choose.random() < 0.6:
        return raw[:choose.randrange(len(raw))]
    places = [i for i, byte in enumerate(raw) if 0x30 <= byte <= 0x39]
    at = choose.choice(places)
    return raw[:at] + bytes([choose.randrange(0x30, 0x3A)]) + raw[at + 1:]


def ask_model(port):
    """(body, None) or (None, why not)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        if answer.status not in (200, 203):
            return None, f"status {answer.status}"
        return answer.read(), None
    except (http.client.HTTPException, OSError, ValueError) as error:
        return None, repr(error)
    finally:
        connection.close()


@pytest.mark.parametrize("transport", ["curl", "http", "python"])
def test_same_as_the_model(repo, bad_server, transport):
    server = bad_server()
    seen = {"read": 0, "refused": 0}
    with Fetcher(repo, transport=transport, buf=64, most=50) as fetch:
        for number in range(CASES):
            choose = random.Random(f"{SEED} {number}")
            data = choose.randbytes(choose.choice([0, 1, 50, 3000]))
            raw = make_case(choose, data)
            is_touched = choose.random() < 0.5
            raw = spoil(choose, raw) if is_touched else raw
            server.files["/"] = Answer(raw=raw, end="close")
            body, error = ask_model(server.port)
            got = fetch(server.url + "/")
            replay = (f"BATON_SEED={SEED}, case {number}: {raw[:400]!r}, "
                      f"model: {error}, transport: {got}")
            if not is_touched:
                assert body == data and got.error == "OK", replay
            if got.error == "OK":
                check_read(raw, body, got, replay)
            seen["read" if got.error == "OK" else "refused"] += 1
    assert seen["read"] > CASES / 2 and seen["refused"] > CASES / 10, seen


def check_read(raw, body, got, replay):
    # A chunk one byte longer than its size, whose end is then "\n" alone, is
    # let pass, as a line that ends so is.
    is_chunked = b"chunked" in raw.split(b"\r\n\r\n")[0].lower()
    if body is not None:
        assert got.sha256 == hashlib.sha256(body).hexdigest(), replay
    else:
        assert is_chunked and raw.endswith(b"\r\n\r\n"), replay
