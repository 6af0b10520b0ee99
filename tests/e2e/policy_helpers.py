"""Tests of the agent's policy, in C and in Python.

BATON_POLICY: "c" or "python" for one of them, else both."""
# SPDX-License-Identifier: MIT
import json
import os
import shutil
from urllib.parse import urlsplit

from conftest import ROOT

BOTH = ("c", "python")
POLICIES = [name for name in BOTH
            if os.environ.get("BATON_POLICY", name) == name]


def hide_agent(fs):
    """Makes the virtual ESP32's _baton that of a stock firmware for what begins
    with `import stock`."""
    shutil.copy(ROOT / "tests" / "lib" / "stock.py", fs)


def python_device(fs, env, *urls):
    """The arguments of `baton sim` for a device whose policy is Python, with the
    environment of examples/device-c, and servers at these URLs."""
    hide_agent(fs)
    (fs / "boot.py").write_text("")
    shutil.copy(ROOT / "tests" / "lib" / "device_main.py", fs / "main.py")
    settings = {name[6:]: str(value) for name, value in env.items()
                if name.startswith("BATON_") and value not in (None, "")}
    if "CA" in settings:
        shutil.copy(settings["CA"], fs / "ca.pem")
        settings["CA"] = "ca.pem"
    (fs / "settings.json").write_text(json.dumps(settings))
    args = ["--no-repl"]
    for url in (settings["URL"], *urls):
        place = urlsplit(url)
        args += ["--map", f"{place.netloc}=127.0.0.1:{place.port}"]
    return args
