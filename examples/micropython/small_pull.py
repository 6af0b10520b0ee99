"""Pull a firmware from a plain web server with Baton's small native module, on
stock MicroPython with OTA partitions. Call it main.py on the device.

Once:           baton install --port /dev/ttyUSB0 --small
On the server:  put the .app-bin there as firmware.app-bin, then
                python3 -m http.server 8000
"""

import vfs
from esp32 import Partition

# A stock firmware's file system reads flash by 128 bytes, each time at the price
# of a command. By 1024 what follows is imported in a fraction of the time.
try:
    files = vfs.VfsLfs2(Partition.find(Partition.TYPE_DATA, label="vfs")[0], readsize=1024)
    vfs.umount("/")
    vfs.mount(files, "/")
except (OSError, IndexError):
    pass  # another file system

import time

import baton_small
import machine
import network

SSID = "workshop"
PASSWORD = "secret"
URL = "http://192.168.4.2:8000/firmware.app-bin"
TRIAL_MS = 120000

on_trial = baton_small.begin()
print("running, on trial" if on_trial else "running")
if on_trial:
    # A new firmware that does not get as far as confirm() goes back by itself:
    # an unconfirmed one gets one boot only.
    timer = machine.Timer(1)
    timer.init(mode=machine.Timer.ONE_SHOT, period=TRIAL_MS, callback=lambda _: machine.reset())

wlan = network.WLAN(network.STA_IF)
wlan.active(True)
if not wlan.isconnected():
    wlan.connect(SSID, PASSWORD)
while not wlan.isconnected():
    time.sleep_ms(100)

try:
    # That the server answers shows that the next update can come: it may stay.
    baton_small.reach(URL)
    if on_trial:
        timer.deinit()
        baton_small.confirm()
        print("confirmed")
    # Nothing is fetched where the server has what runs, or was rolled back.
    baton_small.pull(URL)
except OSError as error:
    print("no update:", error)
