# The package's store, clock and resets, as the agent in C calls them.
import machine
import time

import _baton
import baton
import baton.port as module
from baton.port import Port, build_time, unix_time


def run():
    try:
        raise baton.Error(-370)
    except OSError as exc:
        print(exc, exc.errno, exc.code, exc.name)
        print(exc.hint)
    print(baton.Error(-99999), baton.Error(-99999).hint == "")

    port = Port(ntp=None)
    buf = bytearray(8)
    print(port.get("key", buf))

    # Store: NVS, where a value that does not fit is told.
    print(port.set("key", b"value"), port.get("key", buf), bytes(buf))
    print(port.set("key", bytearray(b"")), port.get("key", buf))
    print(port.set("key", memoryview(b"longer value")), port.get("key", buf))
    print(port.remove("key"), port.remove("key"), port.get("key", buf))
    print(port.set("much too long a key", b""), port.set("big", bytes(20000)))

    # Clock: nothing before the firmware was built is believed.
    print(time.gmtime(build_time() - 946684800)[:3])
    before = unix_time()
    print(port.now() >= before > 1700000000, port.clock_is_set())
    machine.RTC().datetime((2000, 1, 1, 5, 0, 0, 0, 0))
    print(port.now(), port.clock_is_set())
    machine.RTC().datetime((2025, 9, 9, 1, 0, 0, 0, 0))
    print(port.now())
    machine.RTC().datetime((2025, 9, 11, 3, 0, 0, 0, 0))
    print(port.now() - 1757548800 < 5, port.clock_is_set())

    print(port.fill(buf), buf != bytearray(8), len(buf))

    # The application's answers; what it raises waits until C is done.
    def decide(question, release):
        return {0: None, 1: True, 2: False, 3: 500}[question]

    port = Port(decide=decide, feed=lambda: 1 // 0, event=print, ntp=None)
    print([port.decide(question, None) for question in range(4)])
    print(port.feed(), repr(port.raised), port.event(1, 2, 3), Port().decide(0, None))

    # A deadline by the interpreter's timer, where _baton has none.
    module._baton = time
    print(port.arm(30), port.arm(0))
    time.sleep_ms(60)
    print(port.arm(3600000), port.timer, port.cause() == 1)
    print(port.arm(0))
    module._baton = _baton

    # The deadline comes whatever the script does, and only if it is not taken back.
    print(port.arm(50), port.arm(0))
    time.sleep_ms(100)
    print("no reset", port.arm(50))
    while True:
        pass


if machine.reset_cause() == machine.PWRON_RESET:
    run()
print("reset by the deadline")
