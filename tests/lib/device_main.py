# The device of examples/device-c in Python, for tests of the agent whose policy is
# Python: settings.json has the environment that the one in C is given.
# SPDX-License-Identifier: MIT
import json

import stock  # noqa: F401
import baton
from baton import net

_STATES = ("idle", "checking", "fetching", "verifying", "ready", "rebooting",
           "trial", "waiting")
_STATE, _CURRENT, _PAYLOAD, _RESUMED, _CONFIRMED = 0, 1, 4, 5, 10


def say(kind, err, value):
    if kind == _STATE:
        print("device:", _STATES[value])
    elif kind == _CURRENT:
        print("device: up to date")
    elif kind == _RESUMED:
        print("device: %d bytes are here already" % value)
    elif kind == _PAYLOAD:
        print("device: payload", value)
    elif kind == _CONFIRMED:
        print("device: confirmed")
    elif err:
        exc = baton.Error(err)
        print("device: %s: %s" % (exc.name, exc.text))


def join():
    import network
    import time

    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    wlan.connect("workshop", "secret-key")
    while not wlan.isconnected():
        time.sleep_ms(5)


def main():
    with open("settings.json") as file:
        settings = json.load(file)

    def number(name):
        return int(settings.get(name, 0))

    net.Stream.rate_s = number("PATIENCE_S") or net.Stream.rate_s
    agent = baton.Agent(
        product=settings.get("PRODUCT", ""), event=say, retry_min_ms=20,
        retry_max_ms=500, retries=number("TRIES"), keys=settings.get("ROOT"),
        deadline_s=(number("TRIAL_MS") or 300000) / 1000,
        codec="NO_CODEC" not in settings)
    if agent.state != baton.REBOOTING:
        join()
        agent.check(
            settings["URL"], sha256=settings.get("SHA256"), ca=settings.get("CA"),
            allow_unsigned="UNSIGNED" in settings)
    # On success this ends in a reset, and the next boot in a new version.
    agent._run()


try:
    main()
except baton.Error as exc:
    print("device: %s: %s; next: %s" % (exc.name, exc.text, exc.hint))
