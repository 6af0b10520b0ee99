# A soft reset ends the handles that are open: none is left for the next run.
import machine
from esp32 import Partition

slot = Partition(Partition.RUNNING).get_next_update()
if machine.reset_cause() != machine.SOFT_RESET:
    handles = [slot.ota_begin(4096), slot.ota_begin(Partition.OTA_WITH_SEQUENTIAL_WRITES)]
    slot.ota_write(handles[0], b"\xe9")
    slot.ota_write(handles[1], b"\xe9")
    print(len(handles), "open")
    machine.soft_reset()
for handle in range(1, 9):
    for function in (slot.ota_end, slot.ota_abort):
        try:
            function(handle)
            print(handle, "was open")
        except OSError as exc:
            assert exc.args[1] == "ESP_ERR_NOT_FOUND"
print("none is left;", "next is new:", slot.ota_begin() > 0)
