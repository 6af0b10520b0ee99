"""Pull a firmware image from a plain web server with ESP-IDF's own OTA
functions, and boot it. For a MicroPython ESP32 firmware that contains the
module baton (docs/MICROPYTHON.md); ota_pull.py does it on a stock one.

On the server:  put the .app-bin there as firmware.app-bin, then
                python3 -m http.server 8000
On the device:  set the three names below, copy this file over as main.py.
"""

import time

import machine
import network
import requests
from baton import Partition

SSID = "workshop"
PASSWORD = "secret"
URL = "http://192.168.4.2:8000/firmware.app-bin"


def connect():
    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    if not wlan.isconnected():
        wlan.connect(SSID, PASSWORD)
    for _ in range(200):
        if wlan.isconnected():
            return
        time.sleep_ms(100)
    raise OSError("no Wi-Fi")


def state(part):
    try:
        return part.app_state()
    except OSError:
        return None  # no record of it


def build(head):
    # Version, build time and the ELF's SHA-256: what tells a build from others.
    return bytes(head[0x30:0xD0])


def build_in(part):
    head = bytearray(0xD0)
    part.readblocks(0, head, 0)
    return build(head)


def fill(source, buf):
    """Read until buf is full or the data ends; a socket gives what it has."""
    have = 0
    while have < len(buf):
        n = source.readinto(buf[have:])
        if not n:
            break
        have += n
    return have


def write(source, size, slot, buf, have):
    # Erased in one go, for exactly this size. Sequential writes, sector by
    # sector: slot.ota_begin(Partition.OTA_WITH_SEQUENTIAL_WRITES).
    handle = slot.ota_begin(size)
    try:
        done = 0
        while have:
            slot.ota_write(handle, buf[:have])  # no copy is made
            done += have
            have = fill(source, buf[:min(len(buf), size - done)])
        if done < size:
            raise OSError("the connection ended after %d bytes" % done)
    except BaseException:
        slot.ota_abort(handle)
        raise
    # The chip verifies the image. The handle is gone even where that fails.
    slot.ota_end(handle)


def pull(source, size, running):
    slot = running.get_next_update()
    buf = memoryview(bytearray(4096))
    have = fill(source, buf[:min(len(buf), size)])
    if build(buf) == build_in(running):
        print("up to date")
        return False
    if build(buf) == build_in(slot) and state(slot) in (
        Partition.APP_STATE_ABORTED, Partition.APP_STATE_INVALID
    ):
        print("this build was tried and rolled back: not again")
        return False
    write(source, size, slot, buf, have)
    slot.set_boot()  # on trial: it has to confirm itself
    print("written to", slot.info()[4], slot.app_description()[1])
    return True


def main():
    running = Partition(Partition.RUNNING)
    print("running", running.info()[4], running.app_description()[1])
    connect()
    response = requests.get(URL)
    try:
        if response.status_code != 200:
            raise OSError("the server said %d" % response.status_code)
        # Wi-Fi and server were reached: this firmware can be updated again.
        # Its own record is looked at, as the call confirms what was chosen to
        # boot, and that need not be what runs.
        if state(running) == Partition.APP_STATE_PENDING_VERIFY:
            Partition.mark_app_valid_cancel_rollback()
            print("confirmed")
        size = int(response.headers["Content-Length"])
        if pull(response.raw, size, running):
            machine.reset()
    finally:
        response.close()


main()
