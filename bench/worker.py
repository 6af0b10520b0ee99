# One method that is a Python package, in a process of its own:
#   worker.py METHOD encode|decode|idle OLD NEW PATCH OUT
# SPDX-License-Identifier: MIT
import importlib
import io
import lzma
import struct
import sys

PACKAGES = {"detools": "detools", "bsdiff": "bsdiff4.core",
            "HDiffPatch": "hdiffpatch", "HPatchLite": "hdiffpatch",
            "brotli": "brotli", "heatshrink": "heatshrink2"}


def xz(data):
    return lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)


def detools(package, compression, window=8):
    def encode(old, new):
        out = io.BytesIO()
        package.create_patch(
            io.BytesIO(old), io.BytesIO(new), out, compression=compression,
            heatshrink_window_sz2=window, heatshrink_lookahead_sz2=7)
        return out.getvalue()

    def decode(old, patch):
        out = io.BytesIO()
        package.apply_patch(io.BytesIO(old), io.BytesIO(patch), out)
        return out.getvalue()
    return encode, decode


def bsdiff(core, pack, unpack):
    """bsdiff's three streams, each packed by another compressor."""
    def encode(old, new):
        streams = [pack(bytes(part)) for part in core.diff(old, new)]
        head = struct.pack("<4I", len(new), *map(len, streams))
        return head + b"".join(streams)

    def decode(old, patch):
        size, *lengths = struct.unpack_from("<4I", patch)
        streams, at = [], 16
        for length in lengths:
            streams.append(unpack(patch[at:at + length]))
            at += length
        control = core.decode_control(streams[0]) if hasattr(
            core, "decode_control") else streams[0]
        return core.patch(old, size, control, streams[1], streams[2])
    return encode, decode


def zstandard():
    package = importlib.import_module("zstandard")
    return (lambda data: package.ZstdCompressor(level=22).compress(data),
            lambda data: package.ZstdDecompressor().decompress(data))


def hdiffpatch(package, config):
    return (lambda old, new: package.diff(old, new, config),
            lambda old, patch: package.apply(old, patch))


def hpatchlite(package, config):
    return (lambda old, new: package.diff_lite(old, new, compression=config),
            lambda old, patch: package.apply_lite(old, patch))


def heatshrink(package, window):
    return (lambda old, new: package.encode(new, window_sz2=window,
                                            lookahead_sz2=4),
            lambda old, patch: package.decode(patch, window_sz2=window,
                                              lookahead_sz2=4))


def method(name):
    package = importlib.import_module(PACKAGES[name.split()[0]])
    match name:
        case "detools heatshrink w8":
            return detools(package, "heatshrink", 8)
        case "detools heatshrink w11":
            return detools(package, "heatshrink", 11)
        case "detools crle" | "detools lzma":
            return detools(package, name.split()[1])
        case "bsdiff + xz":
            return bsdiff(package, xz, lzma.decompress)
        case "bsdiff + zstd":
            return bsdiff(package, *zstandard())
        case "HDiffPatch lzma2 16k":
            return hdiffpatch(package, package.Lzma2Config(9, window=14))
        case "HDiffPatch lzma2 4m":
            return hdiffpatch(package, package.Lzma2Config(9, window=22))
        case "HPatchLite tuz 16k":
            return hpatchlite(package, package.TuzConfig(dict_size=1 << 14))
        case "brotli -q 11 -w 24":
            return (lambda old, new: package.compress(new, quality=11,
                                                      lgwin=24),
                    lambda old, patch: package.decompress(patch))
        case "heatshrink w11" | "heatshrink w8":
            return heatshrink(package, int(name.split("w")[1]))
    sys.exit(f"worker.py: no method '{name}'")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def main():
    name, verb, old, new, patch, out = sys.argv[1:]
    encode, decode = method(name)
    if verb == "encode":
        write(patch, encode(read(old), read(new)))
    elif verb == "decode":
        write(out, decode(read(old), read(patch)))
    else:
        read(old), read(patch)
        write(out, read(new))


main()
