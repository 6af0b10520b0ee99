# baton sim, the supervisor, with a stand-in for the interpreter that does what
# a file of steps says (tests/interop/sim_driver.c).
# SPDX-License-Identifier: MIT
import json
import os
import pty
import re
import signal
import subprocess
import termios
import time

import pytest

from flash_helpers import (
    ABORTED, BLANK, NEW, OTADATA_ADDR, PENDING, SECTOR, VALID, get,
    get_records, image, put, put_records, record,
)

LAYOUT = "micropython-4mib-ota"
OTA_0, OTA_1 = 0x10000, 0x190000
SCRATCH = 0x310000  # behind the slots
BOOT_US = 250000
CUT_MODES = ["before", "torn", "garbage", "after", "weak"]
SEED = int(os.environ.get("BATON_SEED", "1"))


class Device:
    """dev.bin with v1 in ota_0 and v2 in ota_1, and its file system."""

    def __init__(self, baton, driver, folder):
        self.baton = baton
        self.driver = driver
        self.path = folder / "dev.bin"
        self.fs = folder / "fs"
        self.fs.mkdir()
        for name, version in (("ota_0", "v1"), ("ota_1", "v2")):
            (folder / f"{name}.img").write_bytes(image(version, size=9000))
        baton("flash", "make", "--layout", LAYOUT, "--ota_0", "ota_0.img",
              "--ota_1", "ota_1.img", "-o", self.path, code=0)

    def steps(self, *lines):
        (self.fs / "steps").write_text("\n".join(lines) + "\n")
        (self.fs / "starts").unlink(missing_ok=True)

    def args(self, *more):
        return ["sim", "--flash", self.path, "--fs", self.fs, "--micropython",
                self.driver, *more]

    def run(self, *lines, args=(), code=0):
        """Runs to the end; returns (console, report)."""
        if lines:
            self.steps(*lines)
        done = self.baton(*self.args("--json", *args), code=code,
                          stdin=subprocess.DEVNULL)
        *console, last = done.stdout.splitlines()
        report = json.loads(last)
        assert report["exit"] == code
        return "\n".join(console), report

    def info(self):
        done = self.baton("flash", "info", self.path, "--json", code=0)
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def driver(repo):
    path = repo / "build" / "tests" / "interop" / "sim_driver"
    assert path.is_file(), f"{path} is not built; next: make test-build"
    return path


@pytest.fixture
def device(baton, driver, tmp_path):
    return Device(baton, driver, tmp_path)


def causes(console):
    return [int(c) for c in re.findall(r"^cause (\d+)", console, re.M)]


def running(console):
    return re.findall(r"^cause \d+ running (\w+)", console, re.M)


# ---- How a boot comes and ends ---------------------------------------------


def test_every_reset_has_its_cause(device):
    console, report = device.run(
        "show reset 2", "show reset 3", "show sleep 1000000", "show soft",
        "show signal 9", "show exit 1", "show reset 6", "show exit 0",
    )
    assert causes(console) == [1, 2, 3, 4, 5, 7, 7, 6]
    assert report["boots"] == 7 and report["starts"] == 8
    assert report["crashes"] == 2
    assert report["end"] == "scripts ended"
    for text in ("rst:0x1 (POWERON_RESET)", "rst:0xc (SW_CPU_RESET)",
                 "rst:0x8 (TG1WDT_SYS_RESET)", "rst:0x5 (DEEPSLEEP_RESET)",
                 "rst:0xf (RTCWDT_BROWN_OUT_RESET)", "deep sleep for 1.000 s",
                 "signal 9", "status 1"):
        assert text in console, text


def test_console_shows_table_choice_and_reason(device):
    put_records(device.path, record(1, VALID), record(2, NEW))
    console, _ = device.run("exit 0")
    for text in ("otadata", "0x190000", "the record in force points at ota_1",
                 "record 1 is NEW: now PENDING_VERIFY",
                 "boot ota_1 at 0x190000: v2, "):
        assert text in console, text
    assert re.search(r"^I \(\d+\) boot: ", console, re.M)


@pytest.mark.parametrize("steps, code, end", [
    ("exit 0", 0, "scripts ended"), ("exit 69", 0, "REPL closed"),
    ("sleep 0", 0, "asleep for ever"),
    ("exit 68", 3, "a script ended in an exception"),
    ("reset 2", 4, "maximum of boots reached"),
    ("soft", 4, "maximum of boots reached"),
    ("hang", 5, "time is up"),
])
def test_exit_status_tells_the_end(device, steps, code, end):
    seconds = 1 if code == 5 else 60
    _, report = device.run(
        steps, args=["--max-boots", 3, "--timeout", seconds], code=code)
    assert report["end"] == end
    if code == 4:
        assert report["starts"] == 3


def test_endless_resets_are_bounded(device):
    _, report = device.run("reset 2", code=4)
    assert report["boots"] == 100
    _, report = device.run("reset 2", args=["--max-boots", 0, "--timeout", 1],
                           code=5)
    assert report["boots"] > 3


def test_nothing_boots(device):
    for addr in (OTA_0, OTA_1):
        put(device.path, addr, b"\0")
    console, report = device.run("exit 0", code=1)
    assert report["boots"] == 1 and report["starts"] == 0
    assert report["slot"] is None and report["end"] == "nothing boots"
    assert "E (" in console and "nothing boots: the chip resets" in console
    put(device.path, 0x8000, b"\0")
    console, _ = device.run(code=1)
    assert "the partition table is bad" in console


def test_trial_confirmed(device):
    _, first = device.run("switch 1 0 reset 2", "confirm reset 2", "exit 0")
    assert (first["slot"], first["version"], first["state"]) \
        == ("ota_1", "v2", "VALID")
    assert get_records(device.path) == (record(1, VALID), record(2, VALID))


@pytest.mark.parametrize("ending", ["reset 2", "reset 3", "signal 9"])
def test_trial_not_confirmed_goes_back(device, ending):
    console, report = device.run("show switch 1 0 reset 2", f"show {ending}",
                                 "show exit 0")
    assert running(console) == ["ota_0", "ota_1", "ota_0"]
    assert (report["slot"], report["state"]) == ("ota_0", "VALID")
    assert get_records(device.path)[1] == record(2, ABORTED)


def test_trial_of_a_broken_image_falls_back(device):
    put(device.path, OTA_1 + 500, b"\xa5\x5a")
    console, report = device.run("show switch 1 0 reset 2", "show exit 0")
    assert running(console) == ["ota_0", "ota_0"]
    assert "ota_1 is refused" in console and "fall back to ota_0" in console
    assert get_records(device.path)[1] == record(2, PENDING)
    assert report["version"] == "v1"


def test_settled_device_writes_nothing(device):
    device.run("exit 0")
    _, report = device.run("reset 2", args=["--max-boots", 5], code=4)
    assert report["operations"] == 0 and report["bytes_read"] > 0


def test_without_rollback(device):
    console, report = device.run("show switch 1 0 reset 2", "show reset 2",
                                 "show exit 0", args=["--no-rollback"])
    assert running(console) == ["ota_0", "ota_1", "ota_1"]
    assert report["state"] == "NEW"


def test_anti_rollback_burns_the_efuse(device, tmp_path):
    (tmp_path / "s2.img").write_bytes(image("v3", secure_version=2, size=9000))
    device.baton("flash", "make", "--layout", LAYOUT, "--ota_0", "ota_0.img",
                 "--ota_1", "s2.img", "-o", device.path, code=0)
    console, _ = device.run("switch 1 0 reset 2", "confirm reset 2",
                            "show switch 0 0 reset 2", "show exit 0",
                            args=["--anti-rollback"])
    # Confirmed, the version is burnt at the next boot, and the way back closed.
    assert re.findall(r"secure (\d+)", console) == ["2", "2"]
    assert running(console) == ["ota_1", "ota_1"]
    assert device.info()["board"]["secure_version"] == 2


# ---- Memory, sleep, clock --------------------------------------------------


def rtc(console):
    return re.findall(r"rtc '(\w*)'", console)


def test_rtc_memory_survives_all_but_power(device):
    console, _ = device.run(
        "rtc kept reset 2", "show reset 3", "show sleep 5", "show soft",
        "show signal 9", "show erase 0x310000 4096", "show exit 0",
        args=["--cut-at", 3],  # 1 and 2 are the first otadata record
    )
    assert rtc(console) == ["kept"] * 5 + [""]
    assert causes(console)[-1] == 1
    console, _ = device.run("show rtc again exit 0")
    assert rtc(console) == [""]
    console, _ = device.run("show exit 0")
    assert rtc(console) == [""]  # a new run is a power on


def test_deep_sleep_loads_the_same_partition_unverified(device):
    put_records(device.path, record(1, VALID), record(2, NEW))
    steps = ["show sleep 60000000", "show reset 2", "show exit 0"]
    console, report = device.run(*steps)
    assert running(console) == ["ota_1", "ota_1", "ota_0"]
    assert "woke from deep sleep: ota_1 again" in console
    assert report["virtual_us"] > 60000000 + 3 * BOOT_US
    # set_boot and then sleep: the old firmware wakes.
    put_records(device.path, record(1, VALID), BLANK)
    console, _ = device.run("show switch 1 0 sleep 1000", "show exit 0")
    assert running(console) == ["ota_0", "ota_0"]
    assert get_records(device.path)[1] == record(2, NEW)
    # A bootloader that verifies on wake decides anew.
    put_records(device.path, record(1, VALID), record(2, NEW))
    console, _ = device.run(*steps, args=["--verify-on-wake"])
    assert running(console) == ["ota_1", "ota_0", "ota_0"]
    # No image left to wake: decided anew as well.
    put_records(device.path, record(1, VALID), record(2, VALID))
    console, _ = device.run("show erase 0x190000 4096 sleep 1000",
                            "show exit 0")
    assert running(console) == ["ota_1", "ota_0"]


def test_clock_is_the_sum_of_its_parts(device):
    device.run("exit 0")
    _, report = device.run("sleep 2500000", "reset 2",
                           "erase 0x310000 0x1000 erase 0x320000 0x10000 "
                           "program 0x310000 600 0 exit 0")
    assert report["virtual_us"] == report["flash_busy_us"] + 3 * BOOT_US \
        + 2500000
    assert report["flash_busy_us"] == 45000 + 150000 + 3 * 400 \
        + report["bytes_read"] * 100 // 1000
    assert (report["sector_erases"], report["block_erases"],
            report["page_programs"], report["operations"]) == (1, 1, 3, 5)


def test_profile_sets_the_times(device):
    device.run("exit 0")
    times = {}
    for name in ("w25q32jv", "gd25q32c"):
        _, report = device.run("erase 0x310000 0x1000 exit 0",
                               args=["--profile", name])
        times[name] = round(report["flash_busy_us"]
                            - report["bytes_read"] / 10, -1)
        assert device.info()["board"]["profile"] == name
    assert times == {"w25q32jv": 45000, "gd25q32c": 50000}


# ---- What the firmware sees ------------------------------------------------


def test_options_reach_the_firmware(device):
    console, _ = device.run("show exit 0", args=[
        "--chip-rev", "3.1", "--secure-version", "0", "--mac",
        "a0:b1:c2:d3:e4:f5", "--wifi", "no-ap", "--wifi-delay", "1500",
        "--map", "192.168.1.10:8000=127.0.0.1:40001",
        "--profile", "gd25q32c",
    ])
    assert ("chip 0 rev 301 secure 0 mac a0b1c2d3e4f5 wifi 1 1500 map "
            "192.168.1.10:8000=127.0.0.1:40001 profile gd25q32c") in console
    assert "v3.1" in console
    # The chip stays what it is, its surroundings do not.
    console, _ = device.run("show exit 0", args=["--wifi", "bad-key"])
    assert ("rev 301 secure 0 mac a0b1c2d3e4f5 wifi 2 0 map :0=:0 profile "
            "gd25q32c") in console


def test_chip_is_the_one_of_the_images(device, tmp_path):
    (tmp_path / "c3.img").write_bytes(image("c3", chip="esp32c3"))
    device.baton("flash", "make", "--layout", LAYOUT, "--ota_0", "c3.img",
                 "-o", device.path, code=0)
    (tmp_path / "dev.bin.board").unlink()
    console, report = device.run("show exit 0")
    assert "chip 5 rev 4 " in console and "virtual esp32c3 v0.4" in console
    assert report["version"] == "c3"
    console, _ = device.run("exit 0", args=["--chip", "esp32"], code=1)
    assert "another chip" in console
    _, report = device.run("exit 0", args=["--chip", "esp32c3"])
    assert report["slot"] == "ota_0"


def shell(path, text):
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def test_interpreter_gets_stdio_directory_and_names(device, tmp_path):
    script = shell(tmp_path / "interpreter", 'pwd; cat; echo "board '
                   '$BATON_BOARD fs $BATON_FS repl ${BATON_REPL-unset}"\n')
    done = device.baton("sim", "--flash", "dev.bin", "--fs", "fs",
                        "--micropython", script, "--quiet", input="typed\n",
                        code=0)
    assert done.stdout.splitlines() == [
        str(tmp_path), "typed",
        f"board {tmp_path}/dev.bin fs {tmp_path}/fs repl unset",
    ]
    assert done.stderr.startswith("baton sim: scripts ended after 1 boot")


def test_interpreter_named_by_the_environment(device, tmp_path):
    script = shell(tmp_path / "mine", "echo mine; exit 69\n")
    done = device.baton("sim", "--flash", "dev.bin", "--fs", "fs", code=0,
                        env={**os.environ, "BATON_MICROPYTHON": str(script)},
                        stdin=subprocess.DEVNULL)
    assert "\nmine\n" in done.stdout and "REPL closed" in done.stdout


def test_interpreter_that_does_not_start(device, tmp_path):
    (tmp_path / "text").write_text("hello")
    for path in (tmp_path / "missing", tmp_path / "text", tmp_path):
        done = device.baton("sim", "--flash", "dev.bin", "--fs", "fs",
                            "--micropython", path, code=6)
        assert str(path) in done.stderr


def test_summary_line(device):
    device.steps("switch 1 0 reset 2", "confirm exit 0")
    done = device.baton(*device.args(), code=0, stdin=subprocess.DEVNULL)
    assert re.fullmatch(
        r"baton sim: scripts ended after 2 boots: ota_1 v2 VALID; flash 8 "
        r"operations, 4 erases; \d\.\d s on the virtual clock",
        done.stdout.splitlines()[-1])
    assert done.stderr == ""


def test_verbose_tells_flash_statistics(device):
    device.steps("exit 0")
    done = device.baton(*device.args("--verbose"), code=0,
                        stdin=subprocess.DEVNULL)
    assert "flash so far: 2 operations (1 sector erases" in done.stdout


# ---- Power cuts ------------------------------------------------------------

# Operations 1 and 2 of this firmware: they come after the two of the blank
# otadata's first record.
OPERATIONS = {
    "sector": (3, "erase 0x310000 4096", "sector erase", 4096, 0x00, 0xFF),
    "block": (3, "erase 0x310000 0x10000", "block erase", 65536, 0x00, 0xFF),
    "page": (3, "program 0x310000 256 0x0F", "page program", 256, 0xFF, 0x0F),
}


@pytest.mark.parametrize("mode", CUT_MODES)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_cut_in_the_firmware(device, operation, mode):
    at, step, name, length, before, after = OPERATIONS[operation]
    put(device.path, SCRATCH, bytes([before]) * 65536)
    console, report = device.run(
        f"show {step} show reset 2",
        f"show differs {SCRATCH} {length} {after} "
        f"differs {SCRATCH} {length} {after} exit 0",
        args=["--cut-at", at, "--cut-mode", mode, "--seed", SEED],
    )
    assert causes(console) == [1, 1]
    cut = report["cut"]
    assert (cut["operation"], cut["mode"], cut["of"], cut["addr"],
            cut["length"]) == (at, mode, name, SCRATCH, length)
    assert f"power cut, mode {mode}, at flash operation {at}: {name}" \
        in console
    found = get(device.path, SCRATCH, length)
    changed = sum(byte == after for byte in found)
    if mode == "before":
        assert found == bytes([before]) * length
    elif mode == "torn":
        torn = cut["torn_bytes"]
        assert 0 < torn < length
        assert found == bytes([after]) * torn \
            + bytes([before]) * (length - torn)
    elif mode == "garbage":
        assert 0 < length - changed and len(set(found)) > 10
    else:
        assert changed == length
    first, second = map(int, re.findall(r": (\d+) of", console))
    if mode == "weak":
        assert first == 0 and second > 0
    elif mode == "after":
        assert first == second == 0
    assert report["operations"] == at  # and no second cut


def test_cut_torn_bytes_are_given(device):
    put(device.path, SCRATCH, bytes(4096))
    _, report = device.run("erase 0x310000 4096", "exit 0", args=[
        "--cut-at", 3, "--cut-mode", "torn", "--torn-bytes", 1234])
    assert report["cut"]["torn_bytes"] == 1234
    assert get(device.path, SCRATCH, 4096) == b"\xff" * 1234 + bytes(2862)


def test_cut_is_replayed_by_its_seed(device):
    results = []
    device.run("exit 0")
    for seed in (1, 1, 2):
        put(device.path, SCRATCH, bytes(4096))
        device.run("erase 0x310000 4096", "exit 0",
                   args=["--cut-at", 1, "--cut-mode", "garbage", "--seed",
                         seed])
        results.append(get(device.path, SCRATCH, 4096))
    assert results[0] == results[1] != results[2]


def test_cut_after_the_last_operation_does_not_happen(device):
    _, report = device.run("erase 0x310000 4096", args=["--cut-at", 4])
    assert report["cut"] is None and report["boots"] == 1
    # A plan ends with its run.
    _, report = device.run("erase 0x310000 0x5000")
    assert report["cut"] is None and report["operations"] == 5


@pytest.mark.parametrize("mode", CUT_MODES)
@pytest.mark.parametrize("start", ["blank", "new", "pending"])
def test_cut_in_the_bootloader(device, start, mode):
    records = {"blank": (BLANK, BLANK),
               "new": (record(1, VALID), record(2, NEW)),
               "pending": (record(1, VALID), record(2, PENDING))}[start]
    # An erase and a program of a record: cut at either, then at both again.
    for at in (1, 2):
        put_records(device.path, *records)
        console, report = device.run("show reset 2", "show reset 2",
                                     "show exit 0",
                                     args=["--cut-at", at, "--cut-mode", mode])
        assert report["cut"]["operation"] == at
        assert OTADATA_ADDR <= report["cut"]["addr"] < OTADATA_ADDR + 2 * SECTOR
        assert report["boots"] == 4 and report["starts"] == 3
        assert causes(console) == [1, 2, 2]
        # The first record says VALID, and the trial was not confirmed: what
        # was cut costs a record, never the device.
        assert set(running(console)[1:]) == {"ota_0"}
        assert set(running(console)) <= {"ota_0", "ota_1"}


def test_weak_flash_outlives_the_process(device):
    put(device.path, SCRATCH, bytes(4096))
    device.run("erase 0x310000 4096", "exit 0",
               args=["--cut-at", 3, "--cut-mode", "weak"])
    check = f"differs {SCRATCH} 4096 255 exit 0"
    counts = []
    for _ in range(3):
        console, _ = device.run(check)
        counts += map(int, re.findall(r": (\d+) of", console))
    assert counts[0] == 0 and counts[1] == counts[2] > 0
    # Two weak ranges at a time.
    device.run("erase 0x311000 4096", "exit 0",
               args=["--cut-at", 1, "--cut-mode", "weak"])
    console, _ = device.run(f"differs {SCRATCH} 4096 255 "
                            f"differs {SCRATCH + SECTOR} 4096 255 "
                            f"differs {SCRATCH + SECTOR} 4096 255 exit 0")
    found = [int(n) for n in re.findall(r": (\d+) of", console)]
    assert found[0] == counts[1] and found[1] == 0 and found[2] > 0
    console, _ = device.run(f"erase {SCRATCH} 8192 "
                            f"differs {SCRATCH} 8192 255 " * 2 + "exit 0")
    assert set(re.findall(r": (\d+) of", console)) == {"0"}


def test_rule_of_nor_is_loud(device):
    device.steps(f"erase {SCRATCH} 4096 program {SCRATCH} 16 0x0F "
                 f"program {SCRATCH} 16 0xF0 exit 0")
    done = device.baton(*device.args("--json"), code=3,
                        stdin=subprocess.DEVNULL)
    assert "NOR rule broken" in done.stderr and "0x310000" in done.stderr
    assert "BATON_ERR_NOR" in done.stdout
    assert json.loads(done.stdout.splitlines()[-1])["violations"] == 1
    assert get(device.path, SCRATCH, 16) == b"\x0f" * 16


# ---- Signals, time, death --------------------------------------------------


def start(device, *args, **options):
    command = [str(device.baton_path), *map(str, device.args(*args))]
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(command, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, **options)


@pytest.fixture
def started(device, baton_path):
    """Starts a simulation in the background, and ends it with the test."""
    device.baton_path = baton_path
    processes = []

    def run(*args, **options):
        processes.append(start(device, *args, **options))
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def interpreter_pid(process):
    for line in process.stdout:
        found = re.match(r"hanging as (\d+)", line)
        if found:
            return int(found.group(1))
    raise AssertionError("the firmware did not start")


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, what, seconds=20):
    for _ in range(seconds * 100):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError(f"in vain: {what}")


@pytest.mark.parametrize("step", ["hang", "stubborn"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM,
                                    signal.SIGHUP])
def test_signals_end_both(device, started, number, step):
    device.steps(step)
    process = started()
    pid = interpreter_pid(process)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert not is_alive(pid)
    assert "baton sim: interrupted after 1 boot" in output


def test_time_ends_both(device, started):
    device.steps("stubborn")
    process = started("--timeout", 1)
    pid = interpreter_pid(process)
    assert process.wait(timeout=30) == 5
    assert not is_alive(pid)


def test_interpreter_never_survives(device, started):
    for _ in range(5):
        device.steps("stubborn")
        process = started()
        pid = interpreter_pid(process)
        process.kill()
        process.wait()
        wait_until(lambda: not is_alive(pid), "the interpreter dies as well")


def test_one_flash_runs_once(device, started):
    device.steps("hang")
    process = started()
    interpreter_pid(process)
    before = device.path.read_bytes()
    for args in (device.args(), ["flash", "boot", device.path, "--commit"],
                 ["flash", "make", "--layout", LAYOUT, "-o", device.path]):
        done = device.baton(*args, code=1)
        assert "a 'baton sim' runs on this flash" in done.stderr
    assert device.path.read_bytes() == before
    assert device.info()["board"]["boots"] == 1  # looking is always allowed
    process.kill()
    process.wait()
    device.run("exit 0")


def update_steps(killed_after=None):
    """An update: 64 sectors erased and programmed, then the switch. Perhaps
    the supervisor is killed on the way."""
    steps = []
    for i in range(64):
        if i == killed_after:
            steps.append("orphan")
        addr = SCRATCH + i * SECTOR
        steps.append(f"erase {addr} {SECTOR} program {addr} {SECTOR} {i}")
    return ["show " + " ".join(steps) + " switch 1 0 reset 2",
            "show confirm exit 0"]


@pytest.mark.parametrize("killed_after", [0, 1, 17, 40, 62, 63])
def test_killed_in_an_update_it_goes_on(device, started, killed_after):
    total = b"".join(bytes([i]) * SECTOR for i in range(64))
    put(device.path, SCRATCH, bytes(64 * SECTOR))
    put_records(device.path, record(1, VALID), BLANK)
    device.steps(*update_steps(killed_after))
    process = started()
    process.communicate(timeout=30)  # until the interpreter is gone, too
    assert process.returncode == -signal.SIGKILL
    found = get(device.path, SCRATCH, len(total))
    finished = 0
    while found[finished * SECTOR:][:SECTOR] == bytes([finished]) * SECTOR \
            and finished < 64:
        finished += 1
    assert finished >= killed_after
    # Behind the sector in flight nothing has changed.
    rest = found[(finished + 1) * SECTOR:]
    assert rest == bytes(len(rest))
    put_records(device.path, record(1, VALID), BLANK)
    _, report = device.run(*update_steps())
    assert (report["slot"], report["state"]) == ("ota_1", "VALID")
    assert report["violations"] == 0
    assert get(device.path, SCRATCH, len(total)) == total


# ---- On a terminal ---------------------------------------------------------


def run_on_terminal(device, interpreter, *args):
    """Runs on a terminal of its own; returns (exit, output, modes changed)."""
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    command = [str(device.baton_path), "sim", "--flash", str(device.path),
               "--fs", str(device.fs), "--micropython", str(interpreter), *args]
    process = subprocess.Popen(command, stdin=slave, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True,
                               start_new_session=True)
    output, _ = process.communicate(timeout=60)
    changed = termios.tcgetattr(slave) != before
    os.close(slave)
    os.close(master)
    return process.returncode, output, changed


def test_prompt_on_a_terminal(device, baton_path, tmp_path):
    device.baton_path = baton_path
    script = shell(tmp_path / "i", 'echo "repl ${BATON_REPL-unset}"; exit 69\n')
    code, output, _ = run_on_terminal(device, script)
    assert code == 0 and "repl 1\n" in output and "REPL closed" in output
    code, output, _ = run_on_terminal(device, script, "--no-repl")
    assert code == 0 and "repl unset\n" in output


def test_terminal_is_restored(device, baton_path, tmp_path):
    device.baton_path = baton_path
    script = shell(tmp_path / "i", "stty raw -echo; kill -SEGV $$\n")
    code, output, changed = run_on_terminal(device, script, "--max-boots", "2")
    assert code == 4 and "signal 11" in output
    assert not changed


def test_interrupt_at_a_prompt_is_the_firmwares(device, baton_path, tmp_path):
    device.baton_path = baton_path
    script = shell(tmp_path / "i", 'trap "echo caught; exit 69" INT\n'
                   'echo ready; while :; do sleep 0.05; done\n')
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [str(baton_path), "sim", "--flash", str(device.path), "--fs",
         str(device.fs), "--micropython", str(script)], stdin=slave,
        stdout=subprocess.PIPE, text=True, start_new_session=True)
    for line in process.stdout:
        if line == "ready\n":
            break
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    os.close(slave)
    os.close(master)
    assert process.returncode == 0
    assert "caught" in output and "REPL closed" in output


# ---- Wrong usage -----------------------------------------------------------


@pytest.mark.parametrize("args", [
    [], ["--flash", "dev.bin"], ["--fs", "fs"],
    ["--flash", "dev.bin", "--fs", "missing"],
    ["--flash", "dev.bin", "--fs", "dev.bin"],
    ["--flash", "dev.bin", "--fs", "fs", "extra"],
    ["--flash", "dev.bin", "--fs", "fs", "--what"],
    *[["--flash", "dev.bin", "--fs", "fs", *pair] for pair in (
        ["--chip", "esp99"], ["--profile", "tape"], ["--cut-mode", "slowly"],
        ["--cut-mode", "none"], ["--cut-at", "x"], ["--max-boots", "-1"],
        ["--wifi", "maybe"], ["--mac", "1:2:3"], ["--mac", "zz:1:2:3:4:5"],
        ["--chip-rev", "new"], ["--map", "a:1"], ["--map", "a:1=b"],
        ["--map", "a:0=b:1"], ["--map", "a:1=b:65536"], ["--map", ":1=b:1"],
        ["--no-rollback", "--anti-rollback"], ["--timeout"],
        ["--map", "a:1=b:2"] * 9,
    )],
])
def test_usage(device, args):
    before = device.path.read_bytes()
    done = device.baton("sim", *args, code=2)
    assert done.stderr.startswith("baton") and done.stdout == ""
    assert device.path.read_bytes() == before


def test_refuses_what_is_no_flash(device, tmp_path):
    device.steps("exit 0")
    for size in (0, 100, 3 << 20, 32 << 20):
        with open(tmp_path / "x.bin", "wb") as file:
            file.truncate(size)
        done = device.baton("sim", "--flash", "x.bin", "--fs", "fs",
                            "--micropython", device.driver, code=1)
        assert "x.bin" in done.stderr
    done = device.baton("sim", "--flash", "none.bin", "--fs", "fs",
                        "--micropython", device.driver, code=1)
    assert "baton flash make" in done.stderr
