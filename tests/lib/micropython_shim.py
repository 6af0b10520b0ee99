"""What files of micropython/package/baton need to be imported by CPython."""
# SPDX-License-Identifier: MIT
import calendar
import importlib
import sys
import time
from types import ModuleType

PACKAGE = "micropython/package/baton"
ALIKE = "binascii", "errno", "hashlib", "os", "select", "socket", "struct"


def load_package(repo, *names, **native):
    """These files of the package, without its face; native: functions of
    _baton."""
    micropython = ModuleType("micropython")
    micropython.const = lambda value: value
    baton = ModuleType("_baton")
    vars(baton).update(native)
    package = ModuleType("baton")
    package.__path__ = [str(repo / PACKAGE)]
    clock = ModuleType("time")
    clock.time = lambda: int(time.time())
    clock.ticks_ms = lambda: time.monotonic_ns() // 1000000 & 0x3FFFFFFF
    clock.ticks_diff = (
        lambda a, b: (a - b + 0x20000000 & 0x3FFFFFFF) - 0x20000000)
    clock.mktime = lambda fields: calendar.timegm(fields[:6])
    sys.modules.update(micropython=micropython, _baton=baton, baton=package,
                       utime=clock)
    for name in ALIKE:
        sys.modules["u" + name] = importlib.import_module(name)
    return [importlib.import_module(f"baton.{name}") for name in names]
