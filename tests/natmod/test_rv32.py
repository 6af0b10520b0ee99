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
    target = ["\t.type\ttarget, @function", "target:", "\tret"]
    call = ["caller:", "\tcall\ttarget@plt", "\tret"]
    between = ["\tlui\ta0, 0x12345"] * gap
    near = ["\tcall\ttarget", "\ttail\ttarget"]
    between = near + between if backwards else between + near
    body = target + between + call if backwards else call + between + target
    return "\n".join(["\t.section\t.text.startup,\"ax\",@progbits", *body,
                      "\tcall\tt0,__riscv_save_3", "\t.section\t.rodata", "\t.word\t1"]) + "\n"


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("gap, size", GAPS)
def test_calls(repo, tmp_path, gap, size, backwards):
    if not shutil.which(AS):
        pytest.skip(f"{AS} is missing")
    (tmp_path / "in.s").write_text(source(gap, backwards))
    subprocess.run(["/usr/bin/python3", repo / "micropython/natmod/rv32.py", "in.s", "out.s", AS, *OPTIONS],
                   cwd=tmp_path, check=True, timeout=60)
    subprocess.run([AS, *OPTIONS, "out.s", "-o", "out.o"], cwd=tmp_path, check=True)
    dump = subprocess.run(["riscv64-unknown-elf-objdump", "-dr", "out.o"], cwd=tmp_path, check=True,
                          capture_output=True, text=True).stdout
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
