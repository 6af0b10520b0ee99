# The life of a firmware: copied to the other slot, tried without a word and
# taken back, tried again and kept, left for the first one again.
import machine
import os
import struct
from esp32 import Partition

STATES = {0: "NEW", 1: "PENDING", 2: "VALID", 3: "INVALID", 4: "ABORTED"}


def records():
    buf = bytearray(32)
    found = []
    for sector in range(2):
        Partition("otadata").readblocks(sector, buf)
        seq, state = struct.unpack_from("<I20xI", buf)
        found.append("-" if seq == 0xFFFFFFFF else "%d %s" % (seq, STATES[state]))
    return " / ".join(found)


def copy(source, target):
    size = source.info()[3]
    buf = bytearray(4096)
    blank = b"\xff" * len(buf)
    for block in range(size // len(buf)):
        source.readblocks(block, buf)
        if buf == blank:
            break
        target.writeblocks(block, buf)
    print("copied", block, "blocks")


def tell(what):
    print("  %s: %s" % (what, records()))


try:
    with open("step") as f:
        step = int(f.read())
except OSError:
    step = 0
with open("step", "w") as f:
    f.write(str(step + 1))

running = Partition(Partition.RUNNING)
boot = Partition(Partition.BOOT)
other = running.get_next_update()
print("step %d, cause %d: %s runs, %s is chosen: %s" % (
    step, machine.reset_cause(), running.info()[4], boot.info()[4], records()))

if step == 0:
    copy(running, other)
    other.set_boot()
    tell("switched")
elif step == 1:
    assert running.info()[4] == "ota_1"
    # Says nothing, so it is taken back.
elif step == 2:
    assert running.info()[4] == "ota_0"
    other.set_boot()
    tell("switched")
elif step == 3:
    assert running.info()[4] == "ota_1"
    Partition.mark_app_valid_cancel_rollback()
    tell("confirmed")
elif step == 4:
    assert running.info()[4] == "ota_1"
    other.set_boot()
    tell("switched back")
elif step == 5:
    assert running.info()[4] == "ota_0"
    Partition.mark_app_valid_cancel_rollback()
    tell("confirmed")
    # On this ESP-IDF the same call on the slot in force writes the other
    # record, with the same number: the tie goes to record 0.
    running.set_boot()
    tell("switched to itself")
elif step == 6:
    tell("after that")
    os.remove("step")
    print("done")

if step < 6:
    machine.reset()
