# What becomes of a release whose trial failed, on the virtual ESP32 with a real
# server: an outage turns no fleet away from a release for good, a release that
# crashes is left alone until a higher sequence comes.
# SPDX-License-Identifier: MIT
import json
import signal
import socket
import subprocess

import pytest

from flash_helpers import ABORTED, get_records, image
from policy_helpers import POLICIES, hide_agent
from test_trial import Label

SIZE = 60_000
ADDRESS = "192.168.4.2:8000"
CHANNEL = f"http://{ADDRESS}/stable.jws"
OPTIONS = "product='lamp', retries=1, retry_min_ms=10, retry_max_ms=20"

BOOT = """
import os
version = os.uname().version.split(" ")[0]
print("runs", version)
import baton
baton.start(deadline_s={deadline}, {options})
"""

WIFI = """
import network, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("workshop", "secret-key")
while not wlan.isconnected():
    time.sleep_ms(20)
"""

MAIN = WIFI + """
text = baton.status()["text"]
if version == "v1" and text:
    print("after:", text)
try:
    print("updated", baton.update({channel!r}, keys={key!r}, {options}))
except baton.Error as exc:
    print("no update:", exc.name)
"""


class Fleet:
    """One device of many: what happens to it happens to all of them."""

    def __init__(self, baton, folder, http_server, policy):
        self.baton = baton
        self.policy = policy
        self.folder = folder
        self.fs = folder / "fs"
        self.fs.mkdir()
        (folder / "www").mkdir()
        (folder / "v1").write_bytes(image("v1", size=SIZE))
        self.path = folder / "dev.bin"
        self.call("flash", "make", "--layout", "micropython-4mib-ota",
                  "--ota_0", "v1", "-o", "dev.bin")
        for name in ("root.pem", "release.pem"):
            self.call("key", "new", name)
        self.call("release", "keys", "--dir", "www", "--root", "root.pem",
                  "release.pem")
        self.key = self.call("key", "show", "--text", "root.pem").strip()
        self.server = http_server(folder / "www")
        self.boot()
        self.main()

    def call(self, *args):
        return self.baton(*args, code=0).stdout

    def release(self, version):
        (self.folder / version).write_bytes(image(version, size=SIZE))
        self.call("release", "make", version, "--dir", "www", "--key",
                  "release.pem", "--product", "lamp", "--version", version)

    def boot(self, deadline=1, options=OPTIONS):
        text = BOOT.format(deadline=deadline, options=options)
        if self.policy == "python":
            hide_agent(self.fs)
            text = "import stock\n" + text
        (self.fs / "boot.py").write_text(text)

    def main(self, new=""):
        """new: what the script does first where v1 does not run."""
        text = MAIN.format(channel=CHANNEL, key=self.key, options=OPTIONS)
        if new:
            text = f"if version != 'v1':\n    {new}\n" + text
        (self.fs / "main.py").write_text(text)

    def run(self, *options, is_down=False, boots=40, timeout=60):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # and never listens
            port = closed.getsockname()[1] if is_down else self.server.port
            done = self.baton(
                "sim", "--flash", "dev.bin", "--fs", "fs", "--no-repl",
                "--json", "--quiet", "--max-boots", boots, "--timeout",
                timeout, "--map", f"{ADDRESS}=127.0.0.1:{port}", *options)
        *console, last = done.stdout.splitlines()
        return console, json.loads(last)

    def switch(self):
        """v2 is in place; its first boot is the next one."""
        self.release("v2")
        _, report = self.run(boots=1)
        assert (report["end"], report["slot"]) \
            == ("maximum of boots reached", "ota_0")

    def label(self):
        return Label(get_records(self.path)[1])


@pytest.fixture(params=POLICIES)
def fleet(baton, micropython, tmp_path, http_server, request):
    return Fleet(baton, tmp_path, http_server, request.param)


def payloads(fleet):
    """The requests for a payload, of whatever encoding."""
    return [line for line in fleet.server.log().splitlines()
            if "GET /payloads/" in line]


def expect(report, slot, version, state="VALID"):
    assert (report["slot"], report["version"], report["state"]) \
        == (slot, version, state), report


def test_a_good_release(fleet):
    fleet.switch()
    console, report = fleet.run()
    assert console == ["runs v2", "updated False"]
    expect(report, "ota_1", "v2")
    assert len(payloads(fleet)) == 1


@pytest.mark.parametrize("outage", ["server", "wifi"])
def test_an_outage_ends_no_release(fleet, outage):
    """The trial of v2 falls into an outage. The server: the script calls the
    agent, which finds nobody. Wi-Fi: the script waits for it and calls nothing,
    so that the deadline ends each boot."""
    fleet.boot(deadline=5 if outage == "server" else 1)
    fleet.switch()
    if outage == "server":
        console, report = fleet.run(is_down=True)
    else:
        console, report = fleet.run("--wifi", "no-ap", timeout=12)
    versions = [line for line in console if line.startswith("runs ")]
    boots = 1 if outage == "server" else 4
    assert versions == ["runs v2"] * boots + ["runs v1"], console
    expect(report, "ota_0", "v1")
    label = fleet.label()
    assert (label.state, label.over) == (ABORTED, True)
    assert (label.network, label.crashed) == (False, False)
    assert label.inconclusive == (outage == "server")

    # It is over: the same release, from the slot.
    before = len(payloads(fleet))
    console, report = fleet.run()
    assert [line for line in console if line.startswith("runs ")] \
        == ["runs v1", "runs v2"]
    expect(report, "ota_1", "v2")
    assert len(payloads(fleet)) == before


def test_three_times_and_no_more(fleet):
    """A version that never comes online, where the old one does."""
    fleet.main(new="import machine; machine.reset()")
    fleet.switch()
    console, report = fleet.run()
    # Three trials of three boots each; one more boot finds each to be over.
    assert console.count("runs v2") == 3 * 4
    assert console[-1] == "no update: BATON_ERR_RELEASE_FAILED"
    expect(report, "ota_0", "v1")
    assert len(payloads(fleet)) == 1
    # Nothing more of it, whenever the device looks.
    console, report = fleet.run()
    assert console[-1] == "no update: BATON_ERR_RELEASE_FAILED"
    assert report["boots"] == 1 and len(payloads(fleet)) == 1
    # A higher sequence is another release.
    fleet.main()
    fleet.release("v3")
    console, report = fleet.run()
    expect(report, "ota_1", "v3")


@pytest.mark.parametrize("new, boots", [
    ("import uctypes; uctypes.bytearray_at(8, 4)[0] = 1", 4),
    ("import machine; machine.WDT(timeout=50); print('hangs', end='')\n"
     "    while True: pass", 4),
    ("baton.revert()", 1),
], ids=["crash", "watchdog", "given up"])
def test_a_release_that_fails_is_tried_once(fleet, new, boots):
    fleet.main(new=new)
    fleet.switch()
    console, report = fleet.run()
    assert sum("runs v2" in line for line in console) == boots
    assert console[-1] == "no update: BATON_ERR_RELEASE_FAILED"
    expect(report, "ota_0", "v1")
    # Also with the server down in between, and after a power cut.
    fleet.run(is_down=True)
    console, report = fleet.run()
    assert console[-1] == "no update: BATON_ERR_RELEASE_FAILED"
    fleet.main()
    fleet.release("v3")
    console, report = fleet.run()
    expect(report, "ota_1", "v3")


def test_resets_after_the_network_answered(fleet):
    """Nobody can blame the network for these."""
    fleet.boot(deadline=20, options=OPTIONS + ", confirm='application'")
    main = (fleet.fs / "main.py").read_text()
    (fleet.fs / "main.py").write_text(WIFI + f"""
if version == "v2":
    import machine
    agent = baton._agent
    agent.check({CHANNEL!r})
    for _ in range(50):
        agent.step()
        time.sleep_ms(10)
    machine.reset()
""" + main)
    fleet.switch()
    console, report = fleet.run()
    assert console.count("runs v2") == 4
    assert console[-1] == "no update: BATON_ERR_RELEASE_FAILED"
    label = fleet.label()
    assert (label.network, label.crashed) == (True, False)


def test_power_is_cut_before_the_first_count(fleet):
    """The bootloader ends that trial; the release is not to blame."""
    fleet.switch()
    # The first flash operations are the bootloader's, of NEW to PENDING_VERIFY;
    # then the label.
    console, report = fleet.run("--cut-at", 3, "--cut-mode", "before")
    assert [line for line in console if line.startswith("runs ")] \
        == ["runs v2", "runs v1", "runs v2"]
    expect(report, "ota_1", "v2")
    assert len(payloads(fleet)) == 1


def test_the_record_is_lost(fleet):
    """A cut in the bootloader's own rewrite of the record: nobody knows how
    that trial ended, and the release is tried again."""
    fleet.switch()
    console, report = fleet.run("--cut-at", 2, "--cut-mode", "before")
    assert [line for line in console if line.startswith("runs ")] \
        == ["runs v1", "runs v2"]
    expect(report, "ota_1", "v2")
    assert len(payloads(fleet)) == 1


def test_a_lamp_behind_a_switch(fleet, baton_path):
    """Ten times on and off while the server is down, each time too short for
    anything: that says nothing about the release."""
    fleet.boot(deadline=30)
    fleet.switch()
    fleet.main(new="print('ready')\n    import time; time.sleep(20)")
    process = subprocess.Popen(
        [baton_path, "sim", "--flash", "dev.bin", "--fs", "fs",
         "--no-repl", "--quiet", "--timeout", "60", "--wifi", "no-ap"],
        cwd=fleet.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        text=True)
    runs = []
    for line in process.stdout:
        if line.startswith("runs "):
            runs.append(line.strip())
        if line == "ready\n":
            process.send_signal(signal.SIGUSR1)
        if runs and runs[-1] == "runs v1":
            process.terminate()
            break
    process.stdout.close()
    process.wait(timeout=30)
    assert runs == ["runs v2"] * 11 + ["runs v1"]
    label = fleet.label()
    assert (label.boots, label.failures, label.over) == (10, 0, True)
    fleet.main()
    console, report = fleet.run()
    expect(report, "ota_1", "v2")
