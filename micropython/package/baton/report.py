# How an update ended, as a GET that any web server can log: see
# core/agent_report.c.
# SPDX-License-Identifier: MIT
import ubinascii as binascii

from . import policy


def _value(text):
    out = ""
    for c in text.encode():
        is_plain = 48 <= c <= 57 or 65 <= c <= 90 or 97 <= c <= 122 or c in b".-_"
        out += chr(c) if is_plain else "%%%02x" % c
    return out


def _url(agent):
    url = agent.report_url
    url += ("&" if "?" in url else "?") + "id="
    url += str(binascii.hexlify(agent.device_id), "ascii")
    url += "&from=" + _value(agent.old) + "&to=" + _value(agent.new)
    return url + "&sequence=%d&error=%d&bytes=%d&seconds=%d&attempts=%d" % (
        agent.sequence, agent.error, agent.bytes, agent.seconds, agent.attempts)


def send(agent):
    err = 0
    try:
        if not agent.is_open:
            agent.report = _url(agent)
            if len(agent.report) > 255:
                raise OSError(-370)
        if not agent.open(agent.report, 0, 1):
            return
    except OSError as exc:
        err = policy.code_of(exc)
    agent.close()
    agent.report = None
    # Without a server the check would fail as well: the report waits.
    if not policy.is_passing(err):
        agent.unreported = False
        agent.save_status()
    agent.start()
