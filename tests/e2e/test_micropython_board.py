# The virtual ESP32's MicroPython: scripts of tests/micropython under baton sim,
# their output compared with what the chip gives.
# SPDX-License-Identifier: MIT
import difflib
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import tty
from pathlib import Path

import pytest

from flash_helpers import image

SCRIPTS = Path(__file__).resolve().parent.parent / "micropython"
LAYOUT = "micropython-4mib-ota"


class Board:
    """A flash file and a directory, and the runs of baton sim on them."""

    def __init__(self, baton_path, folder):
        self.baton_path = baton_path
        self.folder = folder
        self.fs = folder / "fs"
        self.fs.mkdir()

    def call(self, *args, **options):
        return subprocess.run(
            [self.baton_path, *map(str, args)], cwd=self.folder, text=True,
            capture_output=True, stdin=subprocess.DEVNULL, timeout=120,
            **options)

    def make(self, *args, layout=LAYOUT):
        done = self.call("flash", "make", "--layout", layout, "-o", "dev.bin",
                         *args)
        assert done.returncode == 0, done.stderr

    def run(self, *args):
        """What the firmware printed, and the report."""
        done = self.call("sim", "--flash", "dev.bin", "--fs", "fs", "--json",
                         "--quiet", "--timeout", 60, *args)
        *console, last = done.stdout.splitlines()
        return "".join(line + "\n" for line in console), json.loads(last)


@pytest.fixture
def board(baton_path, micropython, tmp_path):
    assert micropython.is_file()
    board = Board(baton_path, tmp_path)
    (tmp_path / "v1.img").write_bytes(image("v1.0", project="micropython"))
    board.make("--ota_0", "v1.img")
    return board


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.py")),
                         ids=lambda path: path.stem)
def test_script(board, script):
    shutil.copy(script, board.fs / "main.py")
    console, report = board.run("--max-boots", 12, "--mac", "24:6f:28:00:00:01")
    expected = script.with_suffix(".py.exp").read_text()
    assert console == expected, "\n" + "".join(difflib.unified_diff(
        expected.splitlines(True), console.splitlines(True), "expected",
        "printed"))
    assert report["end"] == "scripts ended"
    assert report["crashes"] == 0


def run_script(board, text, *args):
    (board.fs / "main.py").write_text(text)
    return board.run("--max-boots", 4, *args)


TRY = """
from esp32 import Partition
def attempt(call, *args):
    try:
        print(call(*args))
    except Exception as exc:
        print(type(exc).__name__, exc.args)
"""


def use_table(board, csv, *images):
    (board.folder / "table.csv").write_text(csv)
    (board.folder / "table.bin").unlink(missing_ok=True)
    done = board.call("table", "make", "table.csv", "-o", "table.bin")
    assert done.returncode == 0, done.stderr
    done = board.call("flash", "make", "--table", "table.bin", "--size", "4M",
                      *images, "-o", "other.bin")
    assert done.returncode == 0, done.stderr
    (board.folder / "other.bin").replace(board.folder / "dev.bin")


def test_single_application(board):
    use_table(board, "nvs,data,nvs,0x9000,0x6000\n"
              "factory,app,factory,0x10000,1M\n", "--factory", "v1.img")
    console, _ = run_script(board, TRY + """
part = Partition(Partition.RUNNING)
attempt(part.info)
attempt(part.get_next_update)
attempt(part.set_boot)
attempt(Partition.mark_app_valid_cancel_rollback)
attempt(lambda: [p.info()[4:5] for p in Partition.find(Partition.TYPE_DATA)])
""")
    assert console.splitlines() == [
        "(0, 0, 65536, 1048576, 'factory', False)",
        "OSError (2,)",
        "OSError (-261, 'ESP_ERR_NOT_FOUND')",
        "OSError (-261, 'ESP_ERR_NOT_FOUND')",
        "[('nvs',), ('vfs',)]",
    ]


FACTORY = ("nvs,data,nvs,0x9000,0x4000\notadata,data,ota,0xd000,0x2000\n"
           "factory,app,factory,0x10000,1M\nota_0,app,ota_0,0x110000,1M\n"
           "notes,data,undefined,0x210000,64K,readonly\n")


def test_factory_application(board):
    use_table(board, FACTORY, "--factory", "v1.img", "--ota_0", "v1.img")
    console, _ = run_script(board, TRY + """
part = Partition(Partition.RUNNING)
attempt(lambda: part.info()[4])
attempt(lambda: part.get_next_update().info()[4])
attempt(Partition.mark_app_valid_cancel_rollback)
attempt(Partition("notes").writeblocks, 0, bytes(4096))
attempt(Partition("notes").writeblocks, 0, b"x", 0)
attempt(Partition("ota_0").set_boot)
attempt(lambda: Partition(Partition.BOOT).info()[4])
attempt(part.set_boot)
attempt(lambda: Partition(Partition.BOOT).info()[4])
""")
    assert console.splitlines() == [
        "factory", "ota_0",
        "OSError (1, 'ESP_FAIL')",
        "OSError (-269, 'ESP_ERR_NOT_ALLOWED')",
        "OSError (-269, 'ESP_ERR_NOT_ALLOWED')",
        "None", "ota_0", "None", "factory",
    ]


@pytest.mark.parametrize("write", [
    "Partition(Partition.RUNNING).writeblocks(0, bytes(4096))",
    "Partition(Partition.RUNNING).ioctl(6, 0)",
    "import esp; esp.flash_erase(16)",
    "import esp; esp.flash_erase(8)",
    "import esp; esp.flash_write(0x1000, b'x')",
])
def test_write_to_the_firmware_itself_panics(board, write):
    before = (board.folder / "dev.bin").read_bytes()
    console, report = run_script(
        board, "import machine\nprint('cause', machine.reset_cause())\n"
        "if machine.reset_cause() == 1:\n"
        "    from esp32 import Partition; " + write + "\n")
    assert "cause 1\n" in console and "cause 2\n" in console
    assert "Rebooting..." in console
    assert report["end"] == "scripts ended" and report["boots"] == 2
    after = (board.folder / "dev.bin").read_bytes()
    assert after[:0xd000] == before[:0xd000]
    assert after[0xf000:] == before[0xf000:]


WIFI = """
import network, time
wlan = network.WLAN()
wlan.active(True)
wlan.connect("home", "secret")
seen = [wlan.status()]
for _ in range(200):
    if wlan.status() != seen[-1]:
        seen.append(wlan.status())
        break
    time.sleep_ms(5)
print(seen, wlan.isconnected(), len(wlan.scan()))
"""


@pytest.mark.parametrize("args, line", [
    ((), "[1010] True 1"),
    (("--wifi-delay", 100), "[1001, 1010] True 1"),
    (("--wifi-delay", 100, "--wifi", "no-ap"), "[1001, 201] False 0"),
    (("--wifi-delay", 100, "--wifi", "bad-key"), "[1001, 202] False 1"),
])
def test_wifi(board, args, line):
    console, _ = run_script(board, WIFI, *args)
    assert console == line + "\n"


FETCH = """
import network, requests, socket
network.WLAN().active(True)
network.WLAN().connect("home", "secret")
r = requests.get("http://%s/hello.txt")
print(r.status_code, r.text)
try:
    socket.socket().connect(("update.example", 81))
except OSError as exc:
    print(exc.errno)
"""


@pytest.mark.parametrize("address", ["192.168.4.2:8000", "update.example"])
def test_map(board, http_server, tmp_path, address):
    (tmp_path / "hello.txt").write_text("hello")
    server = http_server(tmp_path)
    there = f"127.0.0.1:{server.port}"
    console, _ = run_script(
        board, FETCH % address, "--map", "192.168.4.2:8000=" + there,
        "--map", "update.example:80=" + there)
    assert console == "200 hello\n111\n"


def test_boot_py_that_fails_keeps_main_py_from_running(board):
    (board.fs / "boot.py").write_text("print('boot')\n1 / 0\n")
    console, report = run_script(board, "print('main')\n")
    assert console.splitlines() == [
        "boot", "Traceback (most recent call last):",
        '  File "boot.py", line 2, in <module>',
        "ZeroDivisionError: divide by zero"]
    assert report["end"] == "a script ended in an exception"


def test_boot_py_and_main_py_share_their_names(board):
    (board.fs / "boot.py").write_text("answer = 42\n")
    console, _ = run_script(
        board, "print(__name__, answer, sorted(globals()))\n")
    assert console == "__main__ 42 ['__name__', 'answer', 'bdev', 'gc', 'vfs']\n"


def test_errors_need_no_memory(board):
    console, _ = run_script(board, """
import micropython
from esp32 import Partition
micropython.alloc_emergency_exception_buf(100)
def attempt(call):
    try:
        call()
    except OSError as exc:
        return exc
set_boot = Partition("nvs").set_boot
exc = None
micropython.heap_lock()
exc = attempt(set_boot)
micropython.heap_unlock()
print(type(exc), exc.args)
""")
    assert console == "<class 'OSError'> (-5379,)\n"


def test_no_scripts(board):
    console, report = board.run()
    assert console == "" and report["end"] == "scripts ended"


def test_timers_and_threads_go_on_after_the_scripts(board):
    console, report = run_script(board, """
import _thread, time
from machine import Timer
def work():
    time.sleep_ms(50)
    print("thread")
    Timer(0).init(mode=Timer.ONE_SHOT, period=50, callback=lambda t: print("timer"))
_thread.start_new_thread(work, ())
print("main")
""")
    assert console == "main\nthread\ntimer\n"
    assert report["end"] == "scripts ended"


def test_heap_is_the_chips(board):
    console, report = run_script(board, """
import gc
print(100000 < gc.mem_free() < 262144)
bytearray(100000)
bytearray(1500000)
""")
    assert console.startswith("True\nTraceback")
    assert "MemoryError: memory allocation failed" in console
    assert report["end"] == "a script ended in an exception"


NAMES = """
import os, sys
print(os.uname().release, "|", os.uname().version, "|", os.uname().machine)
print(sys.version, "|", sys.implementation.version, sys.implementation._machine)
"""


@pytest.mark.parametrize("text, release, numbers", [
    # What a real image says in its constants goes before its descriptor.
    (b"\0MicroPython v1.27.3 on 2026-01-02; Generic ESP32S3 module with "
     b"ESP32S3\0v1.27.3 on 2026-01-02\0", "1.27.3", "(1, 27, 3, '')"),
    (b"\0MicroPython v1.28.0-preview.7.gabc on 2026-01-02; Generic ESP32S3 "
     b"module with ESP32S3\0", "1.28.0-preview.7.gabc",
     "(1, 28, 0, 'preview')"),
])
def test_names_are_those_of_the_running_image(board, text, release, numbers):
    (board.folder / "real.img").write_bytes(image("", payload=text))
    board.make("--ota_0", "real.img")
    console, _ = run_script(board, NAMES)
    version = f"v{release} on 2026-01-02"
    machine = "Generic ESP32S3 module with ESP32S3"
    assert console.splitlines() == [
        f"{release} | {version} | {machine}",
        f"3.4.0; MicroPython {version} | {numbers} {machine}",
    ]


def test_interpreter_says_what_it_wants(micropython):
    done = subprocess.run([micropython], capture_output=True, text=True,
                          env={}, timeout=30)
    assert done.returncode == 2 and "next: " in done.stderr


class Terminal:
    """baton sim on a terminal of its own."""

    def __init__(self, board):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(board.folder)
            tty.setraw(0)  # before the interpreter looks at how it is set
            os.execv(board.baton_path,
                     ["baton", "sim", "--flash", "dev.bin", "--fs", "fs"])

    def send(self, text):
        os.write(self.fd, text)

    def expect(self, text):
        """What came up to and with the text."""
        while text not in self.seen:
            ready, _, _ = select.select([self.fd], [], [], 30)
            assert ready, self.seen
            self.seen += os.read(self.fd, 4096)
        end = self.seen.index(text) + len(text)
        found, self.seen = self.seen[:end], self.seen[end:]
        return found

    def wait(self):
        _, status = os.waitpid(self.pid, 0)
        self.pid = None
        return os.waitstatus_to_exitcode(status)

    def stop(self):
        if self.pid is not None:
            os.kill(self.pid, signal.SIGTERM)
            self.wait()
        os.close(self.fd)


@pytest.fixture
def terminal(board):
    (board.fs / "main.py").write_text("print('main ran')\n")
    terminal = Terminal(board)
    yield terminal
    terminal.stop()


def test_prompts_are_what_tools_expect(terminal):
    terminal.expect(b"main ran")
    terminal.expect(b">>> ")
    terminal.send(b"\r\x03\x01")
    terminal.expect(b"raw REPL; CTRL-B to exit\r\n>")
    terminal.send(b"import sys\nprint(sys.platform)\x04")
    assert b"esp32" in terminal.expect(b"\x04\x04>")
    # A soft reset keeps the raw prompt and leaves main.py out.
    terminal.send(b"\x04")
    assert b"main ran" not in terminal.expect(b"raw REPL; CTRL-B to exit\r\n>")
    terminal.send(b"import machine\nprint(machine.reset_cause())\x04")
    assert b"OK5" in terminal.expect(b"\x04\x04>")
    terminal.send(b"\x02")
    terminal.expect(b">>> ")
    # By its first line the loop runs, and Ctrl-C is a signal.
    terminal.send(b"for i in range(9, 10 ** 9): print(1111 * i)\r\r")
    terminal.expect(b"\n9999")
    terminal.send(b"\x03")
    terminal.expect(b"KeyboardInterrupt")
    terminal.expect(b">>> ")
    terminal.send(b"\x04")
    assert b"main ran" in terminal.expect(b">>> ")
    terminal.send(b"\x1d")
    assert terminal.wait() == 0
