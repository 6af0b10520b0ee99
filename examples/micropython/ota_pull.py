"""Pull a firmware image from a plain web server into the slot that is not
running, and boot it. For any MicroPython ESP32 with OTA partitions, stock
firmware, no library.

On the server:  put the .app-bin there as firmware.app-bin, then
                python3 -m http.server 8000
On the device:  set the four names below, copy this file and boot.py over.
"""

import os
import time

import machine
import network
import uhashlib
import urequests
from esp32 import NVS, Partition

SSID = "workshop"
PASSWORD = "secret"
URL = "http://192.168.4.2:8000/firmware.app-bin"
WIFI_TIMEOUT_S = 20

SECTOR = 4096
# What people serve by mistake, by its first bytes.
MISTAKES = (
    (b"\xaa\x50", "a partition table"),
    (b"\x7fELF", "an ELF file"),
    (b"\x1f\x8b", "gzip-compressed"),
    (b"PK", "a zip archive"),
    (b"UF2\n", "a UF2 file"),
    (b"<", "a web page"),
    (b"\xff" * 32, "blank flash, or a merged .bin with a bootloader in front"),
)


def connect():
    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    if not wlan.isconnected():
        wlan.connect(SSID, PASSWORD)
    end = time.ticks_add(time.ticks_ms(), WIFI_TIMEOUT_S * 1000)
    while not wlan.isconnected():
        if time.ticks_diff(end, time.ticks_ms()) < 0:
            raise OSError("no Wi-Fi after %d s" % WIFI_TIMEOUT_S)
        time.sleep_ms(100)
    return wlan.ifconfig()[0]


def name(part):
    return part.info()[4]


def first_sector(part):
    buf = bytearray(SECTOR)
    part.readblocks(0, buf)
    return buf


def build_of(head):
    # The first sector holds the image's descriptor: version, build time and
    # the SHA-256 of the ELF, so it tells one build from every other.
    return uhashlib.sha256(head).digest()


def confirm(running):
    # Only what the bootloader chose can be confirmed: when the chosen slot did
    # not boot and the old one runs instead, this call would bless the bad one.
    if name(Partition(Partition.BOOT)) == name(running):
        Partition.mark_app_valid_cancel_rollback()


def tried_before(build, remember=False):
    # A build that was tried and is not what runs was rolled back: it is not
    # fetched again until the server has another one.
    nvs = NVS("ota_pull")
    if remember:
        nvs.set_blob("tried", build)
        nvs.commit()
        return True
    last = bytearray(len(build))
    try:
        nvs.get_blob("tried", last)
    except OSError:
        return False
    return bytes(last) == build


def refuse_mistakes(head):
    text = bytes(head[:64]).lstrip()
    for magic, what in MISTAKES:
        if text.startswith(magic):
            raise OSError("this is %s; use the .app-bin" % what)
    if not head:
        raise OSError("the file is empty; check the URL")
    if len(head) < SECTOR:
        raise OSError("the file is cut short; download it again, whole")
    if head[0] != 0xE9:
        raise OSError("this is no ESP image; use the .app-bin")
    if head[32:36] != b"\x32\x54\xcd\xab":
        raise OSError("this is a bootloader, alone or in front of a merged .bin; use the .app-bin")


def write_sector(part, index, data, old):
    part.readblocks(index, old)
    if old[: len(data)] == data:
        return 0
    if len(data) < SECTOR:
        data = data + b"\xff" * (SECTOR - len(data))
    part.writeblocks(index, data)
    return 1


def download(source, total, head, part):
    """Write the image; its first sector last, so that half of it is nothing."""
    old = bytearray(SECTOR)
    part.writeblocks(0, b"\xff" * SECTOR)
    hasher = uhashlib.sha256(head)
    done = len(head)
    index = 1
    written = 1
    shown = -1
    while done < total:
        data = source.read(min(SECTOR, total - done))
        if not data:
            raise OSError("the server closed the connection at %d" % done)
        while len(data) < min(SECTOR, total - done):
            more = source.read(min(SECTOR, total - done) - len(data))
            if not more:
                raise OSError("the server closed the connection at %d" % done)
            data += more
        hasher.update(data)
        written += write_sector(part, index, data, old)
        index += 1
        done += len(data)
        percent = done * 100 // total
        if percent // 10 != shown:
            shown = percent // 10
            print("  %3d %%  %d bytes" % (percent, done))
    part.writeblocks(0, head + b"\xff" * (SECTOR - len(head)))
    check(part, total, hasher.digest())
    return written


def check(part, total, expected):
    hasher = uhashlib.sha256()
    buf = bytearray(SECTOR)
    view = memoryview(buf)
    for index in range((total + SECTOR - 1) // SECTOR):
        part.readblocks(index, buf)
        hasher.update(view[: min(SECTOR, total - index * SECTOR)])
    if hasher.digest() != expected:
        raise OSError("the flash does not hold what was downloaded")


def count_down(seconds=3):
    print("updating in", end=" ")
    for left in range(seconds, 0, -1):
        print(left, end=" ")
        time.sleep(1)
    print("(Ctrl-C stops it)" if seconds else "")


def pull(running, source, total):
    head = source.read(min(SECTOR, total))
    refuse_mistakes(head)
    build = build_of(head)
    if build == build_of(first_sector(running)):
        print("up to date: the server has what runs")
        return False
    part = running.get_next_update()
    if head[12:14] != first_sector(running)[12:14]:
        raise OSError("this image is for another chip")
    if total > part.info()[3]:
        raise OSError("%d bytes do not fit into %s" % (total, name(part)))
    if tried_before(build):
        print("the server's build was tried and rolled back: not again")
        return False
    count_down()
    print("downloading %d bytes into %s" % (total, name(part)))
    sectors = download(source, total, head, part)
    print("flash holds what was sent; %d sectors written" % sectors)
    try:
        part.set_boot()  # the chip verifies the whole image
    except OSError as exc:
        raise OSError("the image is damaged or cut short (%s)" % exc.args[-1])
    tried_before(build, remember=True)
    return True


def main():
    running = Partition(Partition.RUNNING)
    print("running %s, %s" % (name(running), os.uname().version))
    try:
        print("connected as", connect())
        response = urequests.get(URL)
        try:
            if response.status_code != 200:
                raise OSError("the server said %d" % response.status_code)
            # Wi-Fi and the server were reached: this firmware can be updated
            # again, which is what a new version has to prove.
            confirm(running)
            total = int(response.headers["Content-Length"])
            switched = pull(running, response.raw, total)
        finally:
            response.close()
    except OSError as exc:
        print("no update:", exc)
        return
    if switched:
        print("switched; restarting")
        machine.reset()
