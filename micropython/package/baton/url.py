# Addresses: their parts, redirects relative to them, files beside a channel.
# SPDX-License-Identifier: MIT
from micropython import const

_ARG = const(-22)
_NOSPC = const(-28)
_URL = const(-370)
_HEADER_SIZE = const(-385)
_DOWNGRADE = const(-393)

LENGTH_MAX = 1024  # of an address that a redirect leads to


def fail(code):
    raise OSError(code)


def split(url):
    """Scheme, host with its port as written, host, port and path of an address.
    Nothing of it can end a header line."""
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if scheme not in ("http", "https"):
        fail(_URL)
    end = len(rest)
    for mark in "/?#":
        at = rest.find(mark)
        if at >= 0:
            end = min(end, at)
    place, path = rest[:end], rest[end:].split("#", 1)[0]
    host, port = place, ""
    is_literal = place[:1] == "["
    if is_literal:
        host, bracket, port = place[1:].partition("]")
        if not bracket or port and port[0] != ":":
            fail(_URL)
        port = port[1:] if port else ""
        known = "0123456789abcdef:."
    else:
        host, colon, port = place.partition(":")
        known = "0123456789abcdefghijklmnopqrstuvwxyz-._"
    if not host or len(host) > 255 or place[-1] == ":":
        fail(_URL)
    for c in host.lower():
        if c not in known:
            fail(_URL)
    if port and not port.isdigit():
        fail(_URL)
    number = int(port) if port else 443 if scheme == "https" else 80
    if not 0 < number < 65536:
        fail(_URL)
    for c in path:
        if c <= " " or c == "\x7f":
            fail(_URL)
    return scheme, place, host, number, path


def origin(url):
    scheme, _, host, port, _ = split(url)
    return scheme, host.lower(), port


def _without_dots(path):
    path, mark, query = path.partition("?")
    out = []
    parts = path.split("/")[1:]
    for index, part in enumerate(parts):
        is_last = index == len(parts) - 1
        if part in (".", ".."):
            if part == ".." and out:
                out.pop()
            if is_last:
                out.append("")
        else:
            out.append(part)
    return "/" + "/".join(out) + mark + query


def resolve(base, to, may_downgrade):
    """The address that a Location leads to."""
    scheme, place, _, _, path = split(base)
    to = to.split("#", 1)[0]
    head = scheme + "://" + place
    slash = to.find("/")
    colon = to.find(":")
    query = to.find("?")
    has_scheme = colon >= 0 and (slash < 0 or colon < slash) and (
        query < 0 or colon < query)
    if has_scheme:
        pass
    elif to.startswith("//"):
        to = scheme + ":" + to
    elif to.startswith("/"):
        to = head + to
    elif to.startswith("?"):
        to = head + (path.split("?", 1)[0] or "/") + to
    elif not to:
        to = head + path
    else:
        folder = path.split("?", 1)[0].rpartition("/")[0]
        to = head + folder + "/" + to
    if len(to) >= LENGTH_MAX:
        fail(_HEADER_SIZE)
    now, place, _, _, path = split(to)
    if path[:1] == "/":
        to = now + "://" + place + _without_dots(path)
    if scheme == "https" and now != "https" and not may_downgrade:
        fail(_DOWNGRADE)
    return to


def place_of(url, path):
    """A path in place of what follows the last '/' of the channel's URL."""
    for end in "#?":
        url = url.split(end, 1)[0]
    scheme, mark, rest = url.partition("://")
    host, slash, folder = rest.partition("/")
    if not host:
        fail(_ARG)
    folder = folder.rpartition("/")[0]
    out = scheme + mark + host + "/" + (folder + "/" if folder else "") + path
    if len(out.encode()) > 255:
        fail(_NOSPC)
    return out
