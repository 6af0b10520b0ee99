# Makes the virtual ESP32's _baton what the native module is for a stock firmware:
# `import stock` before baton. The agent's policy is Python's then.
# SPDX-License-Identifier: MIT
import sys

import _baton as _whole

_NAMES = ("flash", "verify", "begin", "write", "end", "head", "flush", "settle", "switch",
          "confirm", "reject", "verify_p256", "payload", "codec", "push", "finish",
          # What stock firmware has not, but the tests of both agents expect.
          "error", "cause", "arm", "erase")


class _Native:
    pass


for _name in _NAMES:
    if hasattr(_whole, _name):
        setattr(_Native, _name, getattr(_whole, _name))
sys.modules["_baton"] = _Native
