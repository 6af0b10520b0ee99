#!/usr/bin/env python3
"""Shortens the calls in GCC's assembly of a whole module for RISC-V.

  rv32.py IN.s OUT.s AS [OPTION ...]     AS, OPTION: how to assemble

GCC writes a call as two instructions of 4 bytes, which reach anywhere; the
linker would shorten them, but mpy_ld.py is none. Here a call within the module
becomes a jal, which reaches 1 MiB, or a c.jal of 2 bytes, which reaches 2 KiB:
which ones those are is seen by assembling it, again until nothing changes, as
code that gets shorter only comes nearer.
"""
# SPDX-License-Identifier: MIT
import re
import subprocess
import sys
import tempfile
from pathlib import Path

CALL = re.compile(r"\tcall\t(?:t0,)?([\w.$]+)(?:@plt)?$")
SAVE = re.compile(r"\tcall\tt0,")
TAIL = re.compile(r"\ttail\t([\w.$]+)(?:@plt)?$")
SECTION = re.compile(r"\t\.section\t\.text")
NEAR = 2046  # bytes that a c.jal reaches
MARK = ".Lbaton_call_"


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


def addresses(lines, assembler):
    """Of the symbols in .text, labels of calls included."""
    from elftools.elf import elffile

    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "a.s"), Path(folder, "a.o")
        source.write_text("\n".join(lines) + "\n")
        subprocess.run([*assembler, "--keep-locals", source, "-o", result], check=True)
        with open(result, "rb") as file:
            elf = elffile.ELFFile(file)
            text = elf.get_section_index(".text")
            return {symbol.name: symbol["st_value"]
                    for symbol in elf.get_section_by_name(".symtab").iter_symbols()
                    if symbol["st_shndx"] == text}


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
    lines = shorten(lines, targets, argv[3:])
    lines = [line for line in lines if not line.startswith(MARK)]
    Path(argv[2]).write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
