# Two firmwares take turns, by offsets and then in sequence: tried, rolled back
# for want of a confirmation, confirmed, rejected. One step at each boot.
import machine
from esp32 import Partition

STATES = ("NEW", "PENDING_VERIFY", "VALID", "INVALID", "ABORTED", "UNDEFINED")
BLOCK = 4096


def name(part):
    return part.info()[4]


def state(part):
    try:
        value = part.app_state()
    except OSError as exc:
        return exc.args[1]
    for text in STATES:
        if value == getattr(Partition, "APP_STATE_" + text):
            return text


def refused(function, *args):
    try:
        function(*args)
    except OSError as exc:
        return exc.args
    return "allowed"


def copy(source, target, by_offset):
    blocks = source.ioctl(4, 0)
    numbers = range(blocks)
    if by_offset:
        handle = target.ota_begin()
        numbers = reversed(numbers)
    else:
        handle = target.ota_begin(Partition.OTA_WITH_SEQUENTIAL_WRITES)
    buf = bytearray(BLOCK)
    for number in numbers:
        source.readblocks(number, buf)
        if by_offset:
            target.ota_write_with_offset(handle, buf, number * BLOCK)
        else:
            target.ota_write(handle, buf)
    target.ota_end(handle)
    return blocks


try:
    with open("life") as file:
        turn, step, old = file.read().split()
    turn, step = int(turn), int(step)
except OSError:
    turn, step, old = 0, 0, "ota_0"


def remember():
    with open("life", "w") as file:
        file.write("%d %d %s" % (turn, step, old))


running = Partition(Partition.RUNNING)
other = running.get_next_update()
print(turn, step, name(running), state(running), name(other), state(other),
      Partition.check_rollback_is_possible())
if step == 5:
    assert name(running) == old
    print("went back")
    turn, step = turn + 1, 0
if turn == 2:
    print("done")
elif step == 0:
    assert name(running) == old
    print(refused(running.ota_begin))
    print("copied", copy(running, other, by_offset=turn == 0))
    assert running.app_description()[6] == other.app_description()[6]
    other.set_boot()
    print("chosen", name(other), state(other))
elif step == 1:
    assert name(running) != old
    print("unconfirmed:", refused(other.ota_begin))
    print("unconfirmed, itself:", refused(running.ota_begin))
elif step == 2:
    assert name(running) == old
    Partition.set_boot(other)
    print("chosen again", state(other))
elif step == 3:
    assert name(running) != old
    Partition.mark_app_valid_cancel_rollback()
    print("confirmed", state(running))
elif step == 4:
    assert name(running) != old
    assert Partition.check_rollback_is_possible()
    step += 1
    remember()
    running.mark_app_invalid_rollback_and_reboot()
    print("never here")
if turn < 2:
    step += 1
    remember()
    machine.reset()
