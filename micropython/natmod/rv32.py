#!/usr/bin/env python3
"""Shortens the calls in GCC's assembly of a whole module for RISC-V.

  rv32.py IN.s OUT.s AS [OPTION ...]     AS, OPTION: how to assemble

GCC writes a call as two instructions of 4 bytes, which reach anywhere; a linker
would shorten them, but mpy_ld.py does not. Here a call within the module
becomes a jal, which reaches 1 MiB, or a c.jal of 2 bytes, which reaches 2 KiB.
Functions are put into an order in which many calls are that near. Which ones
are is seen by assembling it, again until nothing changes, as code that gets
shorter only comes nearer.
"""
# SPDX-License-Identifier: MIT
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

CALL = re.compile(r"\tcall\t(?:t0,)?([\w.$]+)(?:@plt)?$")
SAVE = re.compile(r"\tcall\tt0,")
TAIL = re.compile(r"\ttail\t([\w.$]+)(?:@plt)?$")
SECTION = re.compile(r"\t\.section\t\.text")
BEGIN = re.compile(r"\t\.type\t([\w.$]+), @function")
NEAR = 2046  # bytes that a c.jal reaches
ROUNDS = 50
TRIALS = 10000
MARK = ".Lbaton_call_"
END = ""


def direct(lines):
    """Direct calls, all code in one section; a label at each that may be short."""
    out, targets = [], {}
    for line in lines:
        call, tail = CALL.match(line), TAIL.match(line)
        if call and SAVE.match(line):
            out.append(f"\tjal\tt0,{call[1]}")
        elif call:
            name = f"{MARK}{len(targets)}"
            targets[name] = call[1]
            out += [f"{name}:", f"\tjal\t{call[1]}"]
        elif tail:
            out.append(f"\tj\t{tail[1]}")
        elif SECTION.match(line):
            out.append("\t.text")
        else:
            out.append(line)
    return out, targets


def cut(lines):
    """What is not in a function, and the functions: their lines by name."""
    outside, functions, name = [], {}, None
    for line in lines:
        begin = BEGIN.match(line)
        if begin:
            name = begin[1]
            functions[name] = []
        (functions[name] if name else outside).append(line)
        if name and line.startswith(f"\t.size\t{name},"):
            name = None
    return outside, functions


def count_near(order, sizes, calls):
    middle, at = {}, 0
    for name in order:
        middle[name] = at + sizes[name] // 2
        at += sizes[name]
    return sum(abs(middle[a] - middle[b]) <= NEAR for a, b in calls), middle


def arrange(lines, targets, assembler):
    """The functions in another order: each near the middle of what calls it and
    what it calls, by turns; then single ones are moved where that does good."""
    outside, functions = cut(lines)
    starts = addresses(lines, assembler)
    starts = {name: starts[name] for name in (*functions, END)}
    in_order = sorted(starts.values())
    sizes = {name: in_order[in_order.index(start) + 1] - start
             for name, start in starts.items() if name != END}
    calls = [(name, targets[line[:-1]]) for name, text in functions.items() for line in text
             if line[:-1] in targets and targets[line[:-1]] in functions]
    order = list(functions)
    best, (most, middle) = order, count_near(order, sizes, calls)
    for _ in range(ROUNDS):
        pull = {name: [middle[name]] for name in order}
        for a, b in calls:
            pull[a].append(middle[b])
            pull[b].append(middle[a])
        # Far ones are given up.
        order = sorted(order, key=lambda name: sorted(pull[name])[len(pull[name]) // 2])
        near, middle = count_near(order, sizes, calls)
        if near > most:
            best, most = order, near
    dice = random.Random(1)  # the same code from the same sources
    for _ in range(TRIALS):
        order = list(best)
        order.insert(dice.randrange(len(order)), order.pop(dice.randrange(len(order))))
        near, _ = count_near(order, sizes, calls)
        if near >= most:
            best, most = order, near
    head = next((at for at, line in enumerate(outside) if line == "\t.text"), 0)
    code = [line for name in best for line in functions[name]]
    return outside[:head] + ["\t.text"] + code + outside[head:]


def addresses(lines, assembler):
    """Of the symbols in .text, labels of calls included, and of its end."""
    from elftools.elf import elffile

    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "a.s"), Path(folder, "a.o")
        source.write_text("\n".join(lines) + "\n")
        subprocess.run([*assembler, "--keep-locals", source, "-o", result], check=True)
        with open(result, "rb") as file:
            elf = elffile.ELFFile(file)
            text = elf.get_section_index(".text")
            found = {symbol.name: symbol["st_value"]
                     for symbol in elf.get_section_by_name(".symtab").iter_symbols()
                     if symbol["st_shndx"] == text}
            return {**found, END: elf.get_section(text).data_size}


def shorten(lines, targets, assembler):
    short = set()
    while True:
        at = addresses(lines, assembler)
        found = {name for name, target in targets.items()
                 if target in at and abs(at[target] - at[name]) <= NEAR} - short
        if not found:
            return lines
        short |= found
        lines = [line.replace("jal", "c.jal", 1) if before[:-1] in found else line
                 for before, line in zip([""] + lines, lines)]


def main(argv):
    if len(argv) < 4:
        print(__doc__, file=sys.stderr)
        return 2
    lines, targets = direct(Path(argv[1]).read_text().splitlines())
    lines = shorten(arrange(lines, targets, argv[3:]), targets, argv[3:])
    lines = [line for line in lines if not line.startswith(MARK)]
    Path(argv[2]).write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
