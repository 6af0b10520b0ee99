# The chip, as the agent in C asks for it: store, clock, resets.
# SPDX-License-Identifier: MIT
#
# What C calls returns a number, 0 or one of Baton's codes, and raises nothing.
# What an application's own function raises is kept, and raised once C is done.
import utime as time

import _baton
import umachine as machine
from micropython import const

_NOENT = const(-2)
_IO = const(-5)
_NOSPC = const(-28)

# ESP-IDF's, as OSError carries them.
_NVS_NOT_FOUND = const(-0x1102)
_NVS_NO_SPACE = const(-0x1105)
_NVS_LENGTH = const(-0x110C)
_NVS_TOO_LONG = const(-0x110E)

# enum baton_cause
_POWER = const(1)
_WAKE = const(3)
_RESET = const(4)
_WATCHDOG = const(6)
_SOFT = const(7)

_SECONDS_1970_TO_2000 = const(946684800)
_ASK_AGAIN_MS = const(1000)

# Whether an agent has asked for the cause of this boot already: another one is
# no other boot.
_told_cause = False


def unix_time():
    """Seconds since 1970, whatever year this MicroPython counts from."""
    now = time.time()
    return now if time.gmtime(0)[0] == 1970 else now + _SECONDS_1970_TO_2000


def build_time():
    """When the running firmware was built, a day early, in unix seconds; 0
    where it does not say. The clock cannot be right before."""
    import uos as os

    try:
        date = os.uname().version.split(" on ")[1]
        year, month, day = (int(part) for part in date[:10].split("-"))
        seconds = time.mktime((year, month, day, 0, 0, 0, 0, 0)) - 86400
    except (IndexError, ValueError, AttributeError):
        return 0
    if time.gmtime(0)[0] != 1970:
        seconds += _SECONDS_1970_TO_2000
    return seconds


def _read_cause():
    cause = machine.reset_cause()
    if cause == machine.SOFT_RESET:
        return _SOFT
    if hasattr(_baton, "cause"):
        return _baton.cause()
    # A panic looks like a reset by software here, and what has no number, by
    # USB above all, was wanted by somebody outside.
    if cause == machine.PWRON_RESET or cause == 0:
        return _POWER
    if cause == machine.WDT_RESET:
        return _WATCHDOG
    if cause == machine.DEEPSLEEP_RESET:
        return _WAKE
    return _RESET


class Port:
    def __init__(self, feed=None, decide=None, event=None, ntp="pool.ntp.org"):
        self.user_feed = feed
        self.user_decide = decide
        self.user_event = event
        self.ntp = ntp
        self.raised = None
        self.floor = max(build_time(), 1700000000)
        self.timer = None
        self._cause = None
        self._asked_ntp_ms = None
        try:
            from esp32 import NVS

            self._nvs = NVS("baton")
        except (ImportError, OSError):
            self._nvs = None

    # ---- store

    def get(self, key, buf):
        """The value's length; the value is in buf."""
        if self._nvs is None:
            return _NOENT
        try:
            return self._nvs.get_blob(key, buf)
        except OSError as exc:
            return {_NVS_NOT_FOUND: _NOENT, _NVS_LENGTH: _NOSPC}.get(exc.errno, _IO)

    def set(self, key, data):
        if self._nvs is None:
            return _NOSPC
        try:
            self._nvs.set_blob(key, data)
            self._nvs.commit()
            return 0
        except OSError as exc:
            return _NOSPC if exc.errno in (_NVS_NO_SPACE, _NVS_TOO_LONG) else _IO

    def remove(self, key):
        if self._nvs is None:
            return 0
        try:
            self._nvs.erase_key(key)
            self._nvs.commit()
            return 0
        except OSError as exc:
            return 0 if exc.errno == _NVS_NOT_FOUND else _IO

    # ---- clock

    ticks = staticmethod(time.ticks_ms)

    def now(self):
        """Unix seconds; 0 where the clock was never set."""
        now = unix_time()
        return now if now >= self.floor else 0

    def clock_is_set(self):
        """Whether the time is known; asks a time server where it is not, at
        most once in ten seconds."""
        if self.now():
            return True
        if self.ntp:
            ticks = time.ticks_ms()
            last = self._asked_ntp_ms
            if last is None or time.ticks_diff(ticks, last) > 10000:
                self._asked_ntp_ms = ticks
                self.ask_time()
        return self.now() != 0

    def ask_time(self, timeout_s=1):
        """Sets the clock from self.ntp. A time before the running firmware was
        built is not believed. Returns whether it was set."""
        import usocket as socket

        query = bytearray(48)
        query[0] = 0x1B
        sock = None
        try:
            address = socket.getaddrinfo(self.ntp, 123, 0, socket.SOCK_DGRAM)[0][-1]
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.settimeout(timeout_s)
            sock.sendto(query, address)
            answer = sock.recv(48)
        except OSError:
            return False
        finally:
            if sock:
                sock.close()
        if len(answer) < 48:
            return False
        # The protocol counts from 1900, and begins anew in 2036.
        seconds = int.from_bytes(answer[40:44], "big")
        seconds += 0x7C558180 if seconds < 0x80000000 else -2208988800
        if seconds < self.floor:
            return False
        if time.gmtime(0)[0] != 1970:
            seconds -= _SECONDS_1970_TO_2000
        t = time.gmtime(seconds)
        machine.RTC().datetime((t[0], t[1], t[2], t[6], t[3], t[4], t[5], 0))
        return True

    # ---- random

    def fill(self, buf):
        import uos as os

        buf[:] = os.urandom(len(buf))
        return 0

    # ---- reset

    def cause(self):
        global _told_cause
        if self._cause is None:
            self._cause = _SOFT if _told_cause else _read_cause()
            _told_cause = True
        return self._cause

    def reboot(self):
        machine.reset()

    def arm(self, ms):
        """Resets the chip after ms, whatever the script does then; 0: not."""
        if hasattr(_baton, "arm"):
            return _baton.arm(ms)
        if self.timer is not None:
            self.timer.deinit()
            self.timer = None
        if not ms:
            return 0
        for number in (3, 1, 0):  # the last one there is: scripts begin at 0
            try:
                self.timer = machine.Timer(number)
                self.timer.init(
                    mode=machine.Timer.ONE_SHOT, period=ms,
                    callback=lambda _: machine.reset(),
                )
                return 0
            except (OSError, ValueError):
                self.timer = None
        return _IO

    # ---- the application

    def feed(self):
        if self.user_feed:
            self._call(self.user_feed)
        return 0

    def decide(self, question, release):
        """0: yes; else the milliseconds after which to ask again."""
        if self.user_decide is None:
            return 0
        answer = self._call(self.user_decide, question, release)
        if self.raised or answer is False:
            return _ASK_AGAIN_MS
        return 0 if answer is None or answer is True else int(answer)

    def event(self, kind, code, value):
        if self.user_event:
            self._call(self.user_event, kind, code, value)
        return 0

    def _call(self, function, *args):
        try:
            return function(*args)
        except Exception as exc:
            self.raised = exc
