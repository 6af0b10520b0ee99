# A confirmation blesses what the record in force names, not what runs: after a
# bad image the old firmware must not confirm.
import machine
import struct
from esp32 import Partition


def records():
    buf = bytearray(32)
    found = []
    for sector in range(2):
        Partition("otadata").readblocks(sector, buf)
        found.append(struct.unpack_from("<I20xI", buf))
    return found


running = Partition(Partition.RUNNING)
other = running.get_next_update()
print(machine.reset_cause(), running.info()[4], Partition(Partition.BOOT).info()[4], records())
if machine.reset_cause() == machine.PWRON_RESET:
    buf = bytearray(4096)
    running.readblocks(0, buf)
    other.writeblocks(0, buf)
    other.set_boot()
    other.writeblocks(0, b"\x00" * 16, 80)  # rot, after the check
    machine.reset()
Partition.mark_app_valid_cancel_rollback()
print("confirmed", records())
try:
    other.set_boot()
except OSError as exc:
    print(exc.args)
