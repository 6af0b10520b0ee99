# What rv32.py makes of GCC's calls: each reaches its target, and is as short as
# the distance allows. The code itself runs on the board (test_rv32_board.py).
# SPDX-License-Identifier: MIT
import re
import shutil
import subprocess

import pytest

AS = "riscv64-unknown-elf-as"
OPTIONS = ["-march=rv32imc", "-mabi=ilp32", "-mno-relax"]
# (between the call and its target, instructions of 4 bytes; bytes of the call)
GAPS = [(0, 2), (300, 2), (505, 2), (512, 4), (3000, 4)]


def source(gap, backwards):
    """One call over a gap that holds a second one, which shortens it."""
    target = ["target:", "\tret"]
    call = ["caller:", "\tcall\ttarget@plt", "\tret"]
    between = ["\tlui\ta0, 0x12345"] * gap
    near = ["\tcall\ttarget", "\ttail\ttarget"]
    between = near + between if backwards else between + near
    body = target + between + call if backwards else call + between + target
    return "\n".join(["\t.section\t.text.startup,\"ax\",@progbits",
                      "\t.type\tall, @function", "all:", "\tnop", *body, "\tcall\tt0,__riscv_save_3",
                      "\t.size\tall, .-all", "\t.section\t.rodata", "\t.word\t1"]) + "\n"


def shortened(repo, folder, text):
    """The disassembly."""
    if not shutil.which(AS):
        pytest.skip(f"{AS} is missing")
    (folder / "in.s").write_text(text)
    subprocess.run(["/usr/bin/python3", repo / "micropython/natmod/rv32.py", "in.s", "out.s", AS, *OPTIONS],
                   cwd=folder, check=True, timeout=60)
    subprocess.run([AS, *OPTIONS, "out.s", "-o", "out.o"], cwd=folder, check=True)
    return subprocess.run(["riscv64-unknown-elf-objdump", "-dr", "out.o"], cwd=folder, check=True,
                          capture_output=True, text=True).stdout


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("gap, size", GAPS)
def test_calls(repo, tmp_path, gap, size, backwards):
    dump = shortened(repo, tmp_path, source(gap, backwards))
    target = int(re.search(r"(\w+) <target>:", dump)[1], 16)
    caller = int(re.search(r"(\w+) <caller>:", dump)[1], 16)
    calls = re.findall(r"^ +(\w+):\t(\w+)\s+jal\t(?:ra,)?(\w+) <target>", dump, re.M)
    assert len(calls) == 2 and all(int(to, 16) == target for _, _, to in calls)
    sizes = {int(at, 16): len(code) // 2 for at, code, _ in calls}
    assert sizes[caller] == size
    assert min(sizes.values()) == 2  # the one beside the target
    assert re.search(r"jal\tt0,.*\n.*R_RISCV_JAL\t__riscv_save_3", dump)
    assert re.search(rf"j\t0*{target:x} <target>", dump)
    assert "R_RISCV_CALL" not in dump


def function(name, calls, gap):
    return [f"\t.type\t{name}, @function", f"{name}:", *(f"\tcall\t{to}" for to in calls),
            *["\tlui\ta0, 0x12345"] * gap, "\tret", f"\t.size\t{name}, .-{name}",
            "\t.section\t.rodata", f"\t.word\t{len(name)}", "\t.text"]


def test_order(repo, tmp_path):
    """Functions that call each other come together, however far they were; none
    is lost, and constants stay as they are."""
    lines = ["\t.option\tpic", "\t.text"]
    for name, calls in (("a1", ["a2", "a3"]), ("b1", ["b2"]), ("c1", []), ("d1", []),
                        ("a2", ["a3"]), ("b2", ["b1"]), ("a3", ["a1"])):
        lines += function(name, calls, 150 if name[0] in "ab" else 700)
    dump = shortened(repo, tmp_path, "\n".join(lines) + "\n")
    at = {name: int(start, 16) for start, name in re.findall(r"^(\w+) <(\w\d)>:", dump, re.M)}
    assert len(at) == 7
    calls = re.findall(r"^ +\w+:\t(\w+)\s+jal\t(?:ra,)?(\w+) <(\w\d)>", dump, re.M)
    assert len(calls) == 6
    assert all(int(to, 16) == at[name] for _, to, name in calls)
    assert all(len(code) == 4 for code, _, _ in calls)
    words = subprocess.run(["riscv64-unknown-elf-objdump", "-sj", ".rodata", "out.o"], cwd=tmp_path,
                           check=True, capture_output=True, text=True).stdout
    assert words.count("02000000") == 7
