"""Whom a transport believes: each fault of a certificate has its own error, and
nothing is fetched over a connection that was not verified. The certificates are
made by openssl while the tests run."""
# SPDX-License-Identifier: MIT
import hashlib
import socket
import ssl
import threading
import zlib

import pytest

from bad_server import Answer
from fetcher import Fetcher
from web_servers import Certificates, OpensslServer

DATA = bytes(zlib.crc32(b"%d" % i) & 0xFF for i in range(40000))
GOOD = Answer(DATA, etag='"v1"')
DAY = 86400


@pytest.fixture(params=["curl", "http"])
def fetch(request, repo):
    """libcurl, and Baton's client over a stream of OpenSSL's (tests/lib)."""
    with Fetcher(repo, transport=request.param, answer_ms=8000) as fetcher:
        fetcher.is_curl = request.param == "curl"
        yield fetcher


@pytest.fixture(scope="session")
def other_ca(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("other-ca"), "Other CA")


@pytest.fixture(scope="session")
def good(certificates):
    return certificates.issue("good")


@pytest.fixture
def serve(bad_server):
    """Call it with a certificate: a server that has /app."""
    def start(certificate, context=None, **options):
        context = context or Certificates.context(certificate)
        server = bad_server(tls=context, **options)
        server.files["/app"] = GOOD
        return server

    return start


def check_whole(got, data=DATA):
    assert got.error == "OK", got
    assert got.sha256 == hashlib.sha256(data).hexdigest()


def check_refused(got, error, server=None):
    assert got.error == error and got.stage == "open", got
    # No request went out, and with it no credentials.
    assert server is None or not server.log


def test_ca(fetch, serve, good, certificates):
    server = serve(good)
    url = server.url + "/app"
    check_whole(fetch(url, ca_file=certificates.ca))
    if fetch.is_curl:
        check_whole(fetch(url, ca_pem=certificates.ca))
    server.connections = 0
    got = fetch(url, ca_file=certificates.ca, **{"from": 30000})
    check_whole(got, DATA[30000:])
    for _ in range(3):
        check_whole(fetch(url, ca_file=certificates.ca, keep=1))
    assert server.connections == 1


def test_unknown_ca(fetch, serve, good, other_ca, certificates):
    server = serve(good)
    url = server.url + "/app"
    secret = "Bearer abc"
    # The system's CAs do not know it, nor does another one.
    check_refused(fetch(url, authorization=secret), "TLS_UNTRUSTED", server)
    check_refused(fetch(url, ca_file=other_ca.ca, authorization=secret),
                  "TLS_UNTRUSTED", server)
    # Two CAs in one file.
    both = certificates.folder / "both.pem"
    both.write_bytes(other_ca.ca.read_bytes() + certificates.ca.read_bytes())
    check_whole(fetch(url, ca_file=both))
    if fetch.is_curl:
        check_whole(fetch(url, ca_pem=both))
        only = fetch(url, ca_pem=other_ca.ca)
        check_refused(only, "TLS_UNTRUSTED")


def test_self_signed(fetch, serve, certificates):
    made = certificates.self_signed("alone")
    server = serve(made)
    url = server.url + "/app"
    check_refused(fetch(url), "TLS_UNTRUSTED", server)
    check_refused(fetch(url, ca_file=certificates.ca), "TLS_UNTRUSTED", server)
    check_whole(fetch(url, ca_file=made[0]))


@pytest.mark.parametrize("names", ["DNS:other.example", "IP:127.0.0.2",
                                   "DNS:127.0.0.1.example"])
def test_wrong_host(fetch, serve, certificates, names):
    server = serve(certificates.issue("wrong-host", names=names))
    got = fetch(server.url + "/app", ca_file=certificates.ca)
    check_refused(got, "TLS_HOST", server)


def test_host_by_name(fetch, serve, certificates):
    made = certificates.issue("by-name", names="DNS:localhost")
    server = serve(made, host="localhost")
    check_whole(fetch(server.url + "/app", ca_file=certificates.ca))
    by_address = server.url.replace("localhost", "127.0.0.1") + "/app"
    check_refused(fetch(by_address, ca_file=certificates.ca), "TLS_HOST")


def test_expired(fetch, serve, certificates):
    made = certificates.issue("expired", start=-2 * DAY, end=-60)
    server = serve(made)
    for clock in ("set", "floor"):
        got = fetch(server.url + "/app", ca_file=certificates.ca, clock=clock)
        check_refused(got, "TLS_EXPIRED", server)


def test_not_yet_valid(fetch, serve, certificates):
    made = certificates.issue("early", start=DAY, end=2 * DAY)
    server = serve(made)
    url = server.url + "/app"
    check_refused(fetch(url, ca_file=certificates.ca), "TLS_NOT_YET_VALID",
                  server)
    check_refused(fetch(url, ca_file=certificates.ca, clock="set"),
                  "TLS_NOT_YET_VALID", server)
    # A clock that only knows "not before": it is the clock that is early.
    check_refused(fetch(url, ca_file=certificates.ca, clock="floor"),
                  "TLS_CLOCK", server)


def test_clock_never_set(fetch, serve, good, certificates):
    server = serve(good)
    url = server.url + "/app"
    check_refused(fetch(url, ca_file=certificates.ca, clock="none"),
                  "TLS_CLOCK", server)
    assert server.connections == 0
    # A pinned key has no dates.
    check_whole(fetch(url, pin=certificates.pin(good), clock="none"))


def test_clock_plain(fetch, bad_server):
    server = bad_server()
    server.files["/app"] = GOOD
    check_whole(fetch(server.url + "/app", clock="none"))


def test_pin(fetch, serve, good, other_ca, certificates):
    server = serve(good)
    url = server.url + "/app"
    right = certificates.pin(good)
    wrong = right[:-1] + ("0" if right[-1] != "0" else "1")
    check_refused(fetch(url, pin=wrong), "TLS_PIN", server)
    check_refused(fetch(url, pin=wrong, ca_file=certificates.ca), "TLS_PIN",
                  server)
    # With a CA, both must hold.
    check_refused(fetch(url, pin=right, ca_file=other_ca.ca), "TLS_UNTRUSTED",
                  server)
    check_whole(fetch(url, pin=right))
    check_whole(fetch(url, pin=right, ca_file=certificates.ca))


@pytest.mark.parametrize("more", [
    {"names": "DNS:other.example"}, {"start": -2 * DAY, "end": -60}])
def test_pin_alone_decides(fetch, serve, certificates, more):
    made = certificates.issue("pinned", **more)
    server = serve(made)
    check_whole(fetch(server.url + "/app", pin=certificates.pin(made)))
    got = fetch(server.url + "/app", pin=certificates.pin(made),
                ca_file=certificates.ca)
    assert got.error in ("TLS_HOST", "TLS_EXPIRED")


def test_new_certificate_of_a_pinned_key(fetch, serve, good, certificates):
    """A pin outlives the certificate: it is of the key."""
    renewed = certificates.issue("renewed", key=good[1])
    server = serve(renewed)
    check_whole(fetch(server.url + "/app", pin=certificates.pin(good)))


def test_bad_options(fetch, serve, good, certificates):
    server = serve(good)
    url = server.url + "/app"
    if fetch.is_curl:
        got = fetch(url, ca_file=certificates.folder / "no-such.pem")
        assert got.error == "NOENT" and got.stage == "make"
        got = fetch(url, ca_file=certificates.ca, ca_pem=certificates.ca)
        assert got.error == "ARG" and got.stage == "make"
    got = fetch(url, ca_file=certificates.ca, authorization="a\x01b")
    assert got.error == "ARG" and got.stage == "make"
    # A file that is no certificate trusts nobody.
    for how in ("ca_file", "ca_pem") if fetch.is_curl else ("ca_file",):
        check_refused(fetch(url, **{how: good[1]}), "TLS_UNTRUSTED", server)


# ---- No TLS to be had -------------------------------------------------------

def test_plain_server(fetch, http_server, tmp_path, certificates):
    server = http_server(tmp_path)
    url = server.url.replace("http:", "https:")
    check_refused(fetch(url, ca_file=certificates.ca), "TLS")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls(fetch, serve, good, certificates):
    context = Certificates.context(good)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    server = serve(good, context)
    got = fetch(server.url + "/app", ca_file=certificates.ca)
    check_refused(got, "TLS", server)


def test_silent_handshake(fetch, bad_server, certificates):
    server = bad_server()  # waits for a request that it can read
    url = server.url.replace("http:", "https:")
    got = fetch.in_time(url, ca_file=certificates.ca, connect_ms=600)
    check_refused(got, "NET_TIMEOUT")


def test_broken_handshake(fetch, certificates):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        def hang_up():
            connection, _ = listening.accept()
            connection.recv(5)
            connection.close()

        thread = threading.Thread(target=hang_up, daemon=True)
        thread.start()
        url = f"https://127.0.0.1:{listening.getsockname()[1]}/"
        got = fetch(url, ca_file=certificates.ca)
        thread.join(5)
    assert got.error in ("TLS", "NET_RESET") and got.stage == "open"


# ---- What TLS adds to HTTP --------------------------------------------------

@pytest.mark.parametrize("end", ["close", "drop", "reset"])
def test_cut(fetch, serve, good, certificates, end):
    server = serve(good)
    url = server.url + "/app"
    for cut in (0, 1, 100, 20000, len(DATA) - 1):
        for chunks in (0, 1000):
            server.files["/app"] = Answer(
                DATA, chunks=chunks, cut_body=cut, end=end,
                headers={"Connection": "keep-alive"})
            got = fetch(url, ca_file=certificates.ca)
            assert got.error in ("HTTP_LENGTH", "NET_RESET"), (cut, chunks)
            assert got.bytes <= cut
        server.files["/app"] = Answer(DATA, etag='"v1"', cut=cut % 60, end=end)
        got = fetch(url, ca_file=certificates.ca)
        assert got.error == "NET_RESET" and got.stage == "open", (cut, end)


def test_no_length(fetch, serve, good, certificates):
    """libcurl does not ask for TLS's own end: there nobody can tell whether a
    body without a length is whole, and the answer says so."""
    server = serve(good)
    headers = {"Content-Length": None, "Connection": "close"}
    for end in ("close", "drop"):
        server.files["/app"] = Answer(DATA, headers=headers, end=end)
        got = fetch(server.url + "/app", ca_file=certificates.ca)
        assert got.body_bytes == 0 and got.total_bytes == 0
        if end == "close" or fetch.is_curl:
            check_whole(got)
        else:
            assert got.error == "NET_RESET" and got.stage == "read"


def test_downgrade(fetch, serve, good, bad_server, certificates):
    plain = bad_server()
    plain.files["/app"] = GOOD
    server = serve(good)
    server.files["/moved"] = Answer(
        status=302, headers={"Location": plain.url + "/app"})
    url = server.url + "/moved"
    options = {"ca_file": certificates.ca, "authorization": "Bearer abc"}
    check_refused(fetch(url, **options), "HTTP_DOWNGRADE", plain)
    check_whole(fetch(url, downgrade=1, **options))
    assert "authorization" not in plain.log[0].headers
    # Up again is always right.
    plain.files["/up"] = Answer(
        status=301, headers={"Location": server.url + "/app"})
    server.clear()
    check_whole(fetch(plain.url + "/up", **options))
    assert "authorization" not in server.log[0].headers


def test_redirect_to_another_certificate(fetch, serve, good, certificates):
    """Every hop is verified."""
    alone = serve(certificates.self_signed("next-hop"))
    server = serve(good)
    server.files["/moved"] = Answer(
        status=307, headers={"Location": alone.url + "/app"})
    got = fetch(server.url + "/moved", ca_file=certificates.ca)
    check_refused(got, "TLS_UNTRUSTED", alone)


# ---- Servers of others ------------------------------------------------------

def test_nginx(fetch, nginx, tmp_path, good, certificates, other_ca):
    (tmp_path / "app").write_bytes(DATA)
    server = nginx(tmp_path, certificate=good)
    url = server.url + "/app"
    whole = fetch(url, ca_file=certificates.ca)
    check_whole(whole)
    for start in range(0, len(DATA), 10000):
        got = fetch(url, ca_file=certificates.ca, etag=whole.etag,
                    keep=int(start > 0), **{"from": start}, to=start + 10000)
        check_whole(got, DATA[start:start + 10000])
    assert fetch(url, ca_file=other_ca.ca).error == "TLS_UNTRUSTED"


def test_openssl(fetch, tmp_path, good, certificates, other_ca):
    (tmp_path / "app").write_bytes(DATA)
    server = OpensslServer(tmp_path, tmp_path / "log", good)
    try:
        check_whole(fetch(server.url + "/app", ca_file=certificates.ca))
        check_whole(fetch(server.url + "/app", pin=certificates.pin(good)))
        got = fetch(server.url + "/app", ca_file=other_ca.ca)
        check_refused(got, "TLS_UNTRUSTED")
    finally:
        server.stop()
