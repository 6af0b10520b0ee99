# Baton's own methods in the benchmark.
# SPDX-License-Identifier: MIT
import subprocess

import peers

# What a profile allows for the decoder's state and context.
RAM = {"S": 16 * peers.KIB, "M": 32 * peers.KIB}


def pack(profile, base):
    return [peers.BATON, "pack", *base, "--profile", profile, "-o", "{patch}",
            "{new}"]


def unpack(base):
    return [peers.BATON, "unpack", *base, "-o", "{out}", "{patch}"]


def method(name, profile, is_delta):
    base = ["--from", "{old}"] if is_delta else []
    return peers.Method(
        f"Baton {name}, {profile}", pack(profile, base), unpack(base), None,
        lambda old, new: RAM[profile], is_delta, is_ours=True,
        toggle="baton_codec_push")


def is_there():
    done = subprocess.run([peers.BATON, "pack", "--help"], check=False,
                          capture_output=True)
    return done.returncode == 0


METHODS = [method("delta", "S", True), method("delta", "M", True),
           method("packed", "S", False), method("packed", "M", False),
           ] if is_there() else []
