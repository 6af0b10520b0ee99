# Measures every method on every pair: `make bench`.
# SPDX-License-Identifier: MIT
import argparse
import filecmp
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile

import ours
import peers

ROOT = peers.ROOT


def arguments():
    parser = argparse.ArgumentParser(
        prog="make bench", description="Measures Baton and its peers on pairs "
        "of images: bytes, encoder, decoder.")
    parser.add_argument("pairs", nargs="*", metavar="DIR",
                        help="a folder of NAME/old.bin and NAME/new.bin")
    parser.add_argument("--only", metavar="TEXT", default="",
                        help="methods whose name contains this")
    parser.add_argument("--count", choices=["none", "ours", "all"],
                        default="all", help="whose decoder's instructions to "
                        "count; but for our deltas only on images up to 512 "
                        "KiB")
    parser.add_argument("--again", metavar="FILE", help="measure nothing: the "
                        "tables of these results")
    parser.add_argument("--json", metavar="FILE", help="results for gate.py")
    parser.add_argument("--doc", metavar="FILE",
                        help="put the table between the marks in this file")
    return parser.parse_args()


def fill(command, names):
    return [part.format(**names) for part in command]


def split_output(command):
    """A command and the file that takes its standard output."""
    if ">" in command:
        at = command.index(">")
        return command[:at], command[at + 1]
    return command, os.devnull


def run(command):
    """Returns processor seconds and peak resident bytes."""
    command, output = split_output(command)
    with open(output, "wb") as stdout:
        process = subprocess.Popen(command, stdout=stdout,
                                   stderr=subprocess.PIPE)
    text = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{text.decode()}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def instructions(command, toggle=None):
    """Counts under callgrind; `toggle` limits it to one function."""
    command, output = split_output(command)
    extra = [f"--toggle-collect={toggle}"] if toggle else []
    with open(output, "wb") as stdout:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
             *extra, *command],
            stdout=stdout, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONHASHSEED": "0"}, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    return int(found.group(1))


def count(method, names):
    decoding = instructions(fill(method.decode, names), method.toggle)
    if method.toggle:
        return decoding
    return decoding - instructions(fill(method.idle, names))


def wants_count(method, new_len, how):
    if how == "none" or not shutil.which("valgrind"):
        return False
    if method.is_ours and method.is_delta:
        return True
    is_small = new_len <= 512 * 1024
    return is_small and (method.is_ours or (how == "all" and method.idle))


def measure(method, old, new, work, how):
    names = {"old": old, "new": new, "patch": os.path.join(work, "patch"),
             "out": os.path.join(work, "out")}
    for name in ("patch", "out"):
        if os.path.exists(names[name]):
            os.remove(names[name])
    seconds, memory = run(fill(method.encode, names))
    run(fill(method.decode, names))
    if not filecmp.cmp(new, names["out"], shallow=False):
        raise RuntimeError(f"{method.name}: decoded to something else")
    new_len = os.path.getsize(new)
    row = {"method": method.name, "is_ours": method.is_ours,
           "is_delta": method.is_delta,
           "bytes": os.path.getsize(names["patch"]),
           "seconds": round(seconds, 2), "memory": memory,
           "ram": method.ram(os.path.getsize(old), new_len)}
    if wants_count(method, new_len, how):
        row["instructions"] = count(method, names)
    return row


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def measure_pair(name, folder, options):
    old, new = (os.path.join(folder, f"{which}.bin")
                for which in ("old", "new"))
    pair = {"pair": name, "old": os.path.getsize(old),
            "new": os.path.getsize(new), "rows": []}
    with tempfile.TemporaryDirectory() as work:
        for method in ours.METHODS + peers.DELTAS + peers.FULLS:
            if options.only not in method.name:
                continue
            progress(f"{name}: {method.name}")
            pair["rows"].append(measure(method, old, new, work, options.count))
    progress("")
    return pair


def find_pairs(folders):
    found = {}
    for folder in folders:
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            if os.path.isfile(os.path.join(path, "old.bin")):
                found[name] = path
    return found


def size(value):
    for unit, bound in (("MB", 1 << 20), ("KB", 1 << 10)):
        if value >= bound:
            return f"{value / bound:.1f} {unit}"
    return f"{value} B"


HEAD = ["method", "bytes", "of image", "encoder", "memory",
        "instructions a byte", "decoder RAM"]


def cells(row, pair):
    per_byte = "-"
    if "instructions" in row:
        per_byte = f"{row['instructions'] / pair['new']:.0f}"
    return [row["method"], str(row["bytes"]),
            f"{100 * row['bytes'] / pair['new']:.2f} %",
            f"{row['seconds']:.1f} s", f"{row['memory'] / 2**20:.0f} MB",
            per_byte, size(row["ram"]) if row["ram"] else "small"]


def table(head, rows):
    widths = [max(len(row[i]) for row in [head, *rows])
              for i in range(len(head))]

    def line(row):
        return "| " + " | ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths))) + " |"
    rule = "|" + "|".join("-" * (width + 1) + (":" if i else "-")
                          for i, width in enumerate(widths)) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])


def pair_table(pair):
    deltas = sorted((row for row in pair["rows"] if row["is_delta"]),
                    key=lambda row: row["bytes"])
    fulls = sorted((row for row in pair["rows"] if not row["is_delta"]),
                   key=lambda row: row["bytes"])
    title = f"**{pair['pair']}**: {pair['old']} to {pair['new']} bytes"
    return f"{title}\n\n" + table(
        HEAD, [cells(row, pair) for row in deltas + fulls])


def least(pair, wanted):
    """The smallest row of those wanted."""
    return min(filter(wanted, pair["rows"]), key=lambda row: row["bytes"],
               default=None)


SUMMARY_HEAD = ["pair", "image", "Baton S", "Baton M", "peer in 32 KB",
                "any peer", "packed S", "packed M", "best full image"]


def summary_cells(pair):
    """Baton's deltas and packed images beside the best of the others."""
    def ours(name):
        return least(pair, lambda row: row["method"] == f"Baton {name}")

    def peer(is_delta, ram):
        return least(pair, lambda row: not row["is_ours"]
                     and row["is_delta"] == is_delta and row["ram"] <= ram)

    def tell(row, has_name=False):
        if row is None:
            return "-"
        name = f" {row['method']}" if has_name else ""
        return f"{row['bytes']}{name}"
    return [pair["pair"], str(pair["new"]), tell(ours("delta, S")),
            tell(ours("delta, M")), tell(peer(True, 32 * peers.KIB), True),
            tell(peer(True, math.inf), True), tell(ours("packed, S")),
            tell(ours("packed, M")), tell(peer(False, math.inf), True)]


def summary(pairs):
    return "**All pairs**, bytes\n\n" + table(
        SUMMARY_HEAD, [summary_cells(pair) for pair in pairs])


def versions():
    """What was measured, by the tools' own words."""
    def first(*command):
        try:
            done = subprocess.run(command, capture_output=True, text=True,
                                  check=False)
        except FileNotFoundError:
            return ""
        number = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
        return f"{command[0]} {number.group()}" if number else command[0]
    with open(os.path.join(peers.HERE, "requirements.txt"),
              encoding="ascii") as file:
        packages = [line.strip().replace("==", " ") for line in file]
    bsdiff = subprocess.run(
        ["dpkg-query", "-W", "-f", "bsdiff ${Version}", "bsdiff"],
        capture_output=True, text=True, check=False).stdout
    return ", ".join(filter(None, [
        first("xz", "-V"), first("zstd", "-V"), first("xdelta3", "-V"),
        bsdiff, first("valgrind", "--version"), *packages]))


def put_in(path, text):
    begin, end = "<!-- bench: begin -->", "<!-- bench: end -->"
    with open(path, encoding="utf-8") as file:
        before, rest = file.read().split(begin)
    _, after = rest.split(end)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}{begin}\n{text}\n{end}{after}")


def main():
    options = arguments()
    if options.again:
        with open(options.again, encoding="ascii") as file:
            pairs = json.load(file)
    else:
        pairs = []
        found = find_pairs(options.pairs)
        if not found:
            sys.exit("make bench: no NAME/old.bin in "
                     + " ".join(options.pairs))
        for name, folder in found.items():
            pairs.append(measure_pair(name, folder, options))
            print(pair_table(pairs[-1]) + "\n", flush=True)
    parts = [summary(pairs), *map(pair_table, pairs),
             "Versions: " + versions() + "."]
    print("\n\n".join(parts if options.again else [parts[0], parts[-1]]))
    if options.json:
        with open(options.json, "w", encoding="ascii") as file:
            json.dump(pairs, file, indent=1)
    if options.doc:
        put_in(options.doc, "\n\n".join(parts))


main()
