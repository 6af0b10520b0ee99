# What becomes of a new firmware that crashes, hangs, sleeps or is reset.
import machine
import time
from esp32 import Partition

running = Partition(Partition.RUNNING)
slot = Partition("ota_1")
names = {getattr(Partition, "APP_STATE_" + n): n
         for n in ("NEW", "PENDING_VERIFY", "VALID", "INVALID", "ABORTED")}
try:
    with open("turn") as file:
        turn = int(file.read())
except OSError:
    turn = 0


def trial():
    with open("turn", "w") as file:
        file.write(str(turn + 1))
    slot.set_boot()
    print("  now", names[slot.app_state()])
    machine.reset()


label = running.info()[4]
print(turn, label, names[running.app_state()], machine.reset_cause())
if label == "ota_0":
    if turn == 0:
        handle = slot.ota_begin()
        buf = bytearray(4096)
        for block in range(8):
            running.readblocks(block, buf)
            slot.ota_write(handle, buf)
        slot.ota_end(handle)
        trial()
    print("  the other", names[slot.app_state()])
    if turn < 3:
        trial()
elif turn == 1:
    print("  resets")
    machine.reset()
elif turn == 2:
    print("  hangs")
    machine.WDT(timeout=100)
    while True:
        time.sleep_ms(10)
elif turn == 3:
    print("  gives up", Partition.check_rollback_is_possible())
    Partition.mark_app_invalid_rollback_and_reboot()
