# ESP-IDF's OTA functions on Partition: every member, used well.
import array
import gc

import baton
import esp32
from esp32 import Partition

print(baton.Partition is esp32.Partition, baton.__name__)
running = Partition(Partition.RUNNING)
slot = running.get_next_update()
print(running, running.info())
print(slot, slot.info())

# Every way to an object gives the methods.
found = Partition.find(type=Partition.TYPE_APP, label="ota_1", block_size=512)
ways = [running, slot, Partition("ota_1"), Partition("ota_1", 512),
        baton.Partition(Partition.BOOT), running.find()[1], found[0]]
for part in ways:
    print(part.info()[4], type(part) is Partition, part.ioctl(5, 0),
          isinstance(part, baton.Partition), hasattr(part, "ota_begin"))
print(Partition.find(label="nothing"))


class Slot(Partition):
    def erase(self):
        self.ota_abort(self.ota_begin())


mine = Slot("ota_1")
mine.erase()
print(mine.info()[4], isinstance(mine, Partition), mine.get_next_update().info()[4])

# Constants, on the type and on an object.
for name in ("NEW", "PENDING_VERIFY", "VALID", "INVALID", "ABORTED", "UNDEFINED"):
    print(name, getattr(Partition, "APP_STATE_" + name),
          getattr(slot, "APP_STATE_" + name))
print(Partition.OTA_SIZE_UNKNOWN, Partition.OTA_WITH_SEQUENTIAL_WRITES)
print(Partition.BOOT, Partition.RUNNING, Partition.TYPE_APP, Partition.TYPE_DATA)

description = running.app_description()
print(description)
print([type(item).__name__ for item in description], len(description[6]))
print(running.app_state() == Partition.APP_STATE_VALID)
print(Partition.check_rollback_is_possible(), slot.check_rollback_is_possible())

# The image of the running partition, as short as it is.
head = bytearray(32768)
running.readblocks(0, head)
size = head.rfind(b"\xff" * 64)
while head[size - 1] == 0xFF:
    size -= 1
image = bytes(head[:size])


def starts_with(part, data):
    buf = bytearray(len(data))
    part.readblocks(0, buf)
    return buf == data


def blank_from(part, off, length):
    buf = bytearray(length)
    part.readblocks(0, buf, off)
    return buf == b"\xff" * length


# Every kind of buffer, in sequence.
pieces = [
    image[:100],
    bytearray(image[100:101]),
    memoryview(image)[101:333],
    array.array("B", image[333:1000]),
    array.array("I", image[1000:2000]),
    memoryview(bytearray(image[2000:4097])),
    bytearray(),
    memoryview(b""),
    image[4097:],
]
for begin in (slot.ota_begin, lambda: slot.ota_begin(0),
              lambda: slot.ota_begin(size), lambda: slot.ota_begin(image_size=size),
              lambda: slot.ota_begin(Partition.OTA_SIZE_UNKNOWN),
              lambda: slot.ota_begin(0xFFFFFFFF),
              lambda: slot.ota_begin(Partition.OTA_WITH_SEQUENTIAL_WRITES),
              lambda: slot.ota_begin(0xFFFFFFFE)):
    handle = begin()
    results = {slot.ota_write(handle, piece) for piece in pieces}
    results.add(slot.ota_end(handle))
    print(handle, results, starts_with(slot, image),
          slot.app_description() == description)

# What begin erases: everything, or what the image needs.
slot.writeblocks(20, b"\0" * 4096)
slot.ota_abort(slot.ota_begin(4097))
print(blank_from(slot, 0, 8192), blank_from(slot, 20 * 4096, 4096))
slot.ota_abort(slot.ota_begin())
print(blank_from(slot, 20 * 4096, 4096))

# By offset, backwards.
handle = slot.ota_begin(size)
for off in range(size - size % 100, -1, -100):
    slot.ota_write_with_offset(handle, memoryview(image)[off:off + 100], off)
print(slot.ota_end(handle), starts_with(slot, image))

# What is open stays open while garbage is collected.
handle = slot.ota_begin(size)
gc.collect()
junk = [bytearray(1000) for _ in range(20)]
slot.ota_write_with_offset(handle, image, 0)
print(slot.ota_end(handle))

# Two handles at once, and the object does not matter to write and end.
first = slot.ota_begin(4096)
second = Partition("vfs").ota_begin(4096)
running.ota_write(second, b"data")
running.ota_write(first, image)
print(second - first, running.ota_end(first), running.ota_end(second))
print(starts_with(Partition("vfs"), b"data"), starts_with(slot, image))

# set_boot by either type, bound and unbound.
print(Partition.set_boot(slot), slot.app_state())
print(baton.Partition.set_boot(running), Partition(Partition.BOOT).info()[4])
print(slot.set_boot(), Partition(Partition.BOOT).info()[4])
print(Partition.check_rollback_is_possible())
