# The benchmark measures, decodes back and refuses what comes out wrong.
# SPDX-License-Identifier: MIT
import json
import os
import random
import subprocess
import sys


def run_bench(repo, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "bench/bench.py", *map(str, arguments)], cwd=repo,
        capture_output=True, text=True, timeout=300, check=False,
        env=os.environ | environment)


def make_pair(folder):
    rng = random.Random(1)
    old = bytes(rng.choices(range(8), k=4000))
    pair = folder / "pairs" / "little"
    pair.mkdir(parents=True)
    (pair / "old.bin").write_bytes(old)
    (pair / "new.bin").write_bytes(old[:2000] + b"new" + old[2000:])
    return folder / "pairs"


def test_measures_what_there_is(repo, baton_path, tmp_path):
    pairs = make_pair(tmp_path)
    done = run_bench(repo, pairs, "--only", "Baton", "--count", "none",
                     "--json", tmp_path / "results.json")
    assert done.returncode == 0, done.stderr
    (pair,) = json.loads((tmp_path / "results.json").read_text())
    assert (pair["pair"], pair["old"], pair["new"]) == ("little", 4000, 4003)
    sizes = {row["method"]: row["bytes"] for row in pair["rows"]}
    assert set(sizes) == {"Baton delta, S", "Baton delta, M",
                          "Baton packed, S", "Baton packed, M"}
    assert sizes["Baton delta, S"] < 200 < sizes["Baton packed, S"]
    again = run_bench(repo, "--again", tmp_path / "results.json")
    assert f"| Baton delta, S  |   {sizes['Baton delta, S']} |" in again.stdout


def test_a_decoder_that_is_wrong_is_noticed(repo, tmp_path):
    fake = tmp_path / "build" / "baton"
    fake.parent.mkdir()
    # Makes files as asked, of something else.
    fake.write_text('#!/bin/sh\nwhile [ $# -gt 1 ]; do\n'
                    '  [ "$1" != -o ] || echo no >"$2"\n  shift\ndone\n')
    fake.chmod(0o755)
    done = run_bench(repo, make_pair(tmp_path), "--only", "Baton",
                     "--count", "none", BUILD=str(fake.parent))
    assert done.returncode != 0
    assert "decoded to something else" in done.stderr


def test_no_pairs_are_told(repo, tmp_path):
    done = run_bench(repo, tmp_path)
    assert done.returncode == 1
    assert "no NAME/old.bin" in done.stderr


def gate(repo, results, pairs):
    results.write_text(json.dumps(pairs))
    return subprocess.run(["bench/gate", results], cwd=repo, text=True,
                          capture_output=True, timeout=300, check=False)


def result(pair, method, size, **more):
    return {"pair": pair, "old": 10, "new": 10**6, "rows": [
        {"method": method, "is_ours": method.startswith("Baton"),
         "is_delta": True, "bytes": size, "seconds": 1.0, "memory": 2**20,
         "ram": 16384} | more]}


def test_the_gate_holds_a_pair_to_the_prototype(repo, tmp_path):
    results = tmp_path / "results.json"
    for size, verdict in ((1629 + 120, "ok  "), (1629 + 121, "MISS")):
        done = gate(repo, results, [
            result("mpy_s3_minor", "Baton delta, S", size)])
        assert f"{verdict}  mpy_s3_minor: delta: {size} B" in done.stdout
        assert done.returncode in (0, 1), done.stderr


def test_the_gate_holds_the_encoder_to_its_time(repo, tmp_path):
    done = gate(repo, tmp_path / "results.json", [
        result("mine", "Baton delta, S", 10, seconds=5.5)])
    assert "MISS  mine: Baton delta, S, encoder: 5.5 s" in done.stdout
    assert done.returncode == 1
