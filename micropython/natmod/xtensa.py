#!/usr/bin/env python3
"""Makes of LLVM's Xtensa output what MicroPython's mpy_ld.py can link.

  xtensa.py assembly IN.s OUT.s   before llvm-mc
  xtensa.py object FILE.o         after it, in place
  xtensa.py settle FILE.o         then, for the GNU linker instead of mpy_ld.py

Assembly: llc spreads literals over the sections of their functions. Here all
of them go into one .literal section, once each, all code into one .text, and
all constants into .data.rel.ro, which may hold addresses and is loaded into
data memory: ESP32 reads instruction memory by whole words only. Symbols become
global, so that relocations name them. Calls of functions of this file become
direct, and instructions take their 16-bit form where they have one, or
another that is shorter (xtensa_short.py).

Object: llvm-mc leaves a placeholder in the immediate of an l32r that carries a
relocation, and mpy_ld.py adds to what it finds there: it becomes 0. Calls it
leaves open altogether: they get their distance. The GNU linker of a processor
without windows refuses the relocations of such calls: settle takes them out.
"""
# SPDX-License-Identifier: MIT
import re
import sys

from xtensa_short import shorten

LITERAL = re.compile(r"\s+\.literal\s+(\S+?),\s*(\S+)")
LABEL = re.compile(r"([A-Za-z_.$][\w.$]*):")
L32R = re.compile(r"\s+l32r\s+(a\d+),\s*(\S+)")
CALLX8 = re.compile(r"\s+callx8\s+(a\d+)\s*$")
NUMBER = re.compile(r"-?\d+$")
SLOT0_OP = 20  # R_XTENSA_SLOT0_OP
L32R_OP, CALL_OP = 1, 5  # the lowest four bits of an instruction


class Failure(Exception):
    pass


def strip_comment(line):
    """llc writes comments behind '#'; strings keep theirs."""
    return line if '"' in line else line.split("#", 1)[0].rstrip()


def split(lines):
    """Takes literals out, and gives each line the kind of its section."""
    literals = {}
    code, data, bss = [], [], []
    target = code
    for line in lines:
        line = strip_comment(line)
        found = LITERAL.match(line)
        if found:
            literals[found[1]] = found[2]
            continue
        word = line.split(None, 1)
        if not word or word[0] in (".literal_position", ".file", ".ident", ".addrsig", ".addrsig_sym"):
            continue
        if word[0] in (".section", ".text", ".data", ".bss"):
            name = word[1].split(",")[0].strip('"') if word[0] == ".section" else word[0]
            if name.startswith(".text"):
                target = code
            elif name.startswith(".rodata") or name.startswith(".data.rel.ro"):
                target = data
            elif name.startswith(".bss"):
                target = bss
            elif name.startswith(".note"):
                target = []
            else:
                raise Failure(f"section {name}: a native module has no such data")
            continue
        if word[0] == ".comm":
            name, size, align = word[1].split(",")
            bss += [f"\t.balign\t{align}", f"{name}:", f"\t.space\t{size}"]
            continue
        if word[0] == ".local":
            continue
        target.append(line)
    return literals, code, data, bss


def defined(lines):
    return {found[1] for line in lines if (found := LABEL.match(line)) and not found[1].startswith(".L")}


def call_directly(lines, literals, functions):
    """l32r aN, literal of a function; ...; callx8 aN, in one straight run where
    nothing else uses aN: the load goes, the call names the function. aN is dead
    after a call, as the callee's window lies over it (a8 and up)."""
    out = list(lines)
    for at, line in enumerate(lines):
        load = L32R.match(line)
        if not load or literals.get(load[2]) not in functions:
            continue
        register = load[1]
        if int(register[1:]) < 8:
            continue
        for after in range(at + 1, len(lines)):
            text = lines[after]
            call = CALLX8.match(text)
            if call and call[1] == register:
                out[at] = ""
                out[after] = f"\tcall8\t{literals[load[2]]}"
                break
            if call or LABEL.match(text) or re.search(rf"\b{register}\b", text):
                break
            if text.split()[0].startswith(("b", "j", "ret")):
                break
    return [line for line in out if line]


def narrow(line):
    """The 16-bit form of an instruction, where it has one."""
    words = line.replace(",", " ").split()
    if not words or not line[0].isspace():
        return line
    op, args = words[0], words[1:]
    if op == "or" and len(args) == 3 and args[1] == args[2]:
        return f"\tmov.n\t{args[0]}, {args[1]}"
    if op in ("l32i", "s32i") and int(args[2]) <= 60 and int(args[2]) % 4 == 0:
        return f"\t{op}.n\t{args[0]}, {args[1]}, {args[2]}"
    if op == "add":
        return f"\tadd.n\t{args[0]}, {args[1]}, {args[2]}"
    if op == "addi" and (args[2] == "-1" or 1 <= int(args[2]) <= 15):
        return f"\taddi.n\t{args[0]}, {args[1]}, {args[2]}"
    if op == "movi" and NUMBER.match(args[1]) and -32 <= int(args[1]) <= 95:
        return f"\tmovi.n\t{args[0]}, {args[1]}"
    return line


def return_at_once(lines):
    """A jump to a return becomes one, which is shorter."""
    ends = set()
    labels = []
    for line in lines:
        found = LABEL.match(line)
        if found:
            labels.append(found[1])
        elif line.split()[0] == "retw.n":
            ends.update(labels)
        if not found and not line.split()[0].startswith("."):
            labels = []
    return ["\tretw.n" if line.split()[0] == "j" and line.split()[-1] in ends else line for line in lines]


def rewrite(text):
    # Local names of constants become global ones; of code they stay local.
    text = re.sub(r"(?<![\w.])\.L(?!BB|CPI|func_end|tmp|JTI)([\w.]+)", r"baton_local_\1", text)
    literals, code, data, bss = split(text.splitlines())
    if any(".LJTI" in value for value in literals.values()):
        raise Failure("a jump table: compile with -fno-jump-tables")
    code = return_at_once(call_directly(code, literals, defined(code)))
    code = shorten([narrow(line) for line in code], literals)
    used = set(re.findall(r"\.LCPI\w+", "\n".join(code)))
    out = ["\t.section\t.literal,\"ax\",@progbits", "\t.p2align\t2"]
    for name, value in literals.items():
        if name in used:
            out += [f"{name}:", f"\t.long\t{value}"]
    for head, lines in (
        ("\t.text", code),
        ("\t.section\t.data.rel.ro,\"aw\",@progbits", data),
        ("\t.section\t.bss,\"aw\",@nobits", bss),
    ):
        if lines:
            out.append(head)
            out += [f"\t.globl\t{name}" for name in sorted(defined(lines))]
            out += lines
    return "\n".join(out) + "\n"


def patch_object(path):
    """Finishes what llvm-mc left open, in place: the immediates of l32r, which
    the linker adds to, and calls within .text, which it takes as done."""
    from elftools.elf import elffile

    with open(path, "rb") as file:
        elf = elffile.ELFFile(file)
        code = elf.get_section_by_name(".text")
        symbols = elf.get_section_by_name(".symtab")
        relocs = list(elf.get_section_by_name(".rela.text").iter_relocations())
        text_index = elf.get_section_index(".text")
        start, raw = code["sh_offset"], bytearray(code.data())
        if code.data_alignment < 4 or elf.get_section_by_name(".literal").data_alignment < 4:
            raise Failure("code or literals are not aligned")
        for reloc in relocs:
            at, symbol = reloc["r_offset"], symbols.get_symbol(reloc["r_info_sym"])
            if reloc["r_info_type"] != SLOT0_OP:
                raise Failure(f"a relocation at {at:#x} that is of no instruction")
            if raw[at] & 15 == L32R_OP:
                raw[at + 1 : at + 3] = b"\0\0"
            elif raw[at] & 15 == CALL_OP and symbol["st_shndx"] == text_index:
                target = symbol["st_value"] + reloc["r_addend"]
                words = (target - (at & ~3) - 4) >> 2
                if target % 4 or not -(1 << 17) <= words < 1 << 17:
                    raise Failure(f"the call at {at:#x} does not reach {symbol.name}")
                word = (words & 0x3FFFF) << 6 | raw[at] & 0x3F
                raw[at : at + 3] = word.to_bytes(3, "little")
            else:
                raise Failure(f"an unknown instruction at {at:#x}")
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(raw)


def settle_calls(path):
    from elftools.elf import elffile

    with open(path, "r+b") as file:
        elf = elffile.ELFFile(file)
        code = elf.get_section_by_name(".text").data()
        table = elf.get_section_by_name(".rela.text")
        for index, reloc in enumerate(table.iter_relocations()):
            if code[reloc["r_offset"]] & 15 == CALL_OP:
                file.seek(table["sh_offset"] + index * table["sh_entsize"] + 4)
                file.write((reloc["r_info_sym"] << 8).to_bytes(4, "little"))


def main(argv):
    try:
        if len(argv) == 4 and argv[1] == "assembly":
            with open(argv[2]) as file:
                text = rewrite(file.read())
            with open(argv[3], "w") as file:
                file.write(text)
        elif len(argv) == 3 and argv[1] == "object":
            patch_object(argv[2])
        elif len(argv) == 3 and argv[1] == "settle":
            settle_calls(argv[2])
        else:
            print(__doc__, file=sys.stderr)
            return 2
    except Failure as why:
        print(f"xtensa.py: {argv[2]}: {why}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
