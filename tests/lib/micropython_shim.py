"""What files of micropython/package/baton need to be imported by CPython."""
# SPDX-License-Identifier: MIT
import calendar
import importlib.util
import sys
import time
from types import ModuleType
from unittest import mock

PACKAGE = "micropython/package/baton"


def load_package(repo, **native):
    """The package without its face: `import baton.trial` works from then on."""
    micropython = ModuleType("micropython")
    micropython.const = lambda value: value
    baton = ModuleType("_baton")
    vars(baton).update(native)
    package = ModuleType("baton")
    package.__path__ = [str(repo / PACKAGE)]
    sys.modules.update(micropython=micropython, _baton=baton, baton=package)


def load(repo, name, **native):
    """One file of the package, by itself; native: functions of _baton."""
    micropython = ModuleType("micropython")
    micropython.const = lambda value: value
    baton = ModuleType("_baton")
    vars(baton).update(native)
    clock = ModuleType("time")
    clock.time = lambda: int(time.time())
    clock.ticks_ms = lambda: time.monotonic_ns() // 1000000 & 0x3FFFFFFF
    clock.ticks_diff = (
        lambda a, b: (a - b + 0x20000000 & 0x3FFFFFFF) - 0x20000000)
    clock.mktime = lambda fields: calendar.timegm(fields[:6])
    spec = importlib.util.spec_from_file_location(
        f"baton_{name}", repo / PACKAGE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    with mock.patch.dict(sys.modules, micropython=micropython, _baton=baton,
                         time=clock):
        spec.loader.exec_module(module)
    return module
