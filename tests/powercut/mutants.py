"""Breaks the code in ways a power cut punishes, and shows that the sweep sees it."""
# SPDX-License-Identifier: MIT
#
# Each mutant is one replacement in a copy of one source. A replacement whose
# text is not there exactly once fails: then the mutant has to be written anew.
import glob
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

MUTANTS = {
    # name: (file, what stands there, what replaces it)
    "no-read-back": (
        "core/update_end.c",
        "        return begin_end(self);\n",
        "        int begun = begin_end(self);\n"
        "        return begun == BATON_UPDATE_MORE ? program_head(self) : begun;\n",
    ),
    "switch-before-verify": (
        "tests/powercut/scenarios.c",
        "    if (device_update(port, slot, order) == 0) {\n        device_switch(port, slot);\n    }\n",
        "    device_switch(port, slot);\n    device_update(port, slot, order);\n",
    ),
    "erase-both-records": (
        "core/slots.c",
        "    int err = flash->erase(flash->context, addr, BATON_SECTOR_BYTES);\n",
        "    int err = flash->erase(\n"
        "            flash->context, otadata_addr, 2u * BATON_SECTOR_BYTES);\n",
    ),
    "record-before-erase": (
        "core/slots.c",
        "    int err = flash->erase(flash->context, addr, BATON_SECTOR_BYTES);\n",
        "    int err = flash->program(flash->context, addr, raw, sizeof(raw));\n"
        "    if (err == 0) {\n"
        "        err = flash->erase(flash->context, addr, BATON_SECTOR_BYTES);\n"
        "    }\n",
    ),
    "trust-a-record-without-its-end": (
        "core/slots.c",
        "    return !baton_slots_is_excluded(record)\n"
        "           && record->crc == baton_slots_crc(record->seq);\n",
        "    return !baton_slots_is_excluded(record);\n",
    ),
    "confirm-whatever-runs": (
        "core/slots.c",
        "    return is_running ? 0 : BATON_ERR_NOT_RUNNING;\n",
        "    (void)is_running;\n    return 0;\n",
    ),
    "trial-without-end": (
        "core/trial.c",
        "        is_over = is_at_cap(config, record.label);\n",
        "        (void)is_at_cap;\n",
    ),
    "trial-goes-on-after-its-end": (
        "core/trial.c",
        "    record->state = BATON_STATE_PENDING;\n    return write_record(",
        "    record->state = BATON_STATE_NEW;\n    return write_record(",
    ),
    "trial-in-the-other-record": (
        "core/trial.c",
        "    self->copy = active;\n",
        "    self->copy = 1 - active;\n",
    ),
}


def build(directory, file):
    """The sweep, of this file and for the rest of what make built."""
    objects = os.path.join(ROOT, "build", "obj", "tests", "powercut")
    rest = [path for path in sorted(glob.glob(os.path.join(objects, "*.o")))
            if os.path.basename(path) != os.path.basename(file)[:-2] + ".o"]
    program = os.path.join(directory, "powercut")
    # The libraries give what the file does not.
    subprocess.run(
        ["gcc", "-std=c11", "-O2", "-w", f"-I{ROOT}/include", "-iquote",
         os.path.join(ROOT, os.path.dirname(file)), os.path.join(directory, os.path.basename(file)),
         *rest, f"{ROOT}/build/libtest.a", f"{ROOT}/build/libbaton.a",
         "-lmbedcrypto", "-lcrypto", "-o", program],
        check=True, timeout=300)
    return program


def mutate(directory, name):
    file, old, new = MUTANTS[name]
    with open(os.path.join(ROOT, file)) as source:
        text = source.read()
    assert text.count(old) == 1, f"{name}: its text is {text.count(old)} times in {file}"
    with open(os.path.join(directory, os.path.basename(file)), "w") as mutant:
        mutant.write(text.replace(old, new))
    return file


def run_mutant(name, directory):
    """The sweep's result with this mutation."""
    return subprocess.run(
        [build(directory, mutate(directory, name)), "--first-fault", "--stride", "40"],
        capture_output=True, text=True, timeout=600, check=False)
