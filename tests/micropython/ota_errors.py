# ESP-IDF's OTA functions on Partition: every error that Python can reach.
from esp32 import Partition

running = Partition(Partition.RUNNING)
slot = running.get_next_update()
vfs = Partition("vfs")
head = bytearray(32768)
running.readblocks(0, head)
SIZE = 4096
image = bytes(head).rstrip(b"\xff")
SEQUENTIAL = Partition.OTA_WITH_SEQUENTIAL_WRITES


def attempt(name, function, *args, **kwargs):
    try:
        print(name, "->", function(*args, **kwargs))
    except Exception as exc:
        print(name, "->", type(exc).__name__, *exc.args)


def first(part, count=4):
    buf = bytearray(count)
    part.readblocks(0, buf)
    return bytes(buf)


print("-- begin")
attempt("running", running.ota_begin)
attempt("running, sequential", running.ota_begin, SEQUENTIAL)
attempt("larger than the slot", slot.ota_begin, 0x180001)
attempt("2**32", slot.ota_begin, 1 << 32)
attempt("-2**31 - 1", slot.ota_begin, -(1 << 31) - 1)
attempt("a text", slot.ota_begin, "4096")
attempt("two sizes", slot.ota_begin, 1, 2)
attempt("another keyword", slot.ota_begin, size=1)

print("-- wrong handles")
for bad in (0, 99, 0xFFFFFFFF, -1):
    attempt("write", slot.ota_write, bad, b"x")
    attempt("write nothing", slot.ota_write, bad, b"")
    attempt("write with offset", slot.ota_write_with_offset, bad, b"x", 0)
    attempt("end", slot.ota_end, bad)
    attempt("abort", slot.ota_abort, bad)
attempt("a handle of 33 bits", slot.ota_write, 1 << 32, b"x")
attempt("no handle", slot.ota_end, None)

print("-- write")
handle = slot.ota_begin(SIZE)
attempt("no buffer", slot.ota_write, handle, 5)
attempt("text is a buffer", vfs.ota_write, handle, "text")
attempt("wrong magic", slot.ota_write, handle, b"\xe8")
print(first(slot))
attempt("again, right", slot.ota_write, handle, image)
attempt("end", slot.ota_end, handle)
attempt("second end", slot.ota_end, handle)
attempt("abort after end", slot.ota_abort, handle)
attempt("write after end", slot.ota_write, handle, image)

handle = slot.ota_begin(SIZE)
attempt("end without a write", slot.ota_end, handle)
attempt("second end", slot.ota_end, handle)

handle = slot.ota_begin(SIZE)
attempt("abort", slot.ota_abort, handle)
attempt("second abort", slot.ota_abort, handle)

print("-- not an image")
handle = slot.ota_begin(SIZE)
slot.ota_write(handle, image[:-1])
attempt("digest cut", slot.ota_end, handle)
attempt("second end", slot.ota_end, handle)
handle = slot.ota_begin(SIZE)
slot.ota_write(handle, image[:300])
slot.ota_write(handle, bytes([image[300] ^ 1]))
slot.ota_write(handle, image[301:])
attempt("a bit changed", slot.ota_end, handle)
attempt("set_boot", slot.set_boot)
handle = slot.ota_begin(SIZE)
slot.ota_write(handle, image[:12] + b"\x05\x00" + image[14:])
attempt("of another chip", slot.ota_end, handle)

print("-- past the end")
handle = slot.ota_begin(SIZE)
attempt("offset = size", slot.ota_write_with_offset, handle, b"x", 0x180000)
attempt("offset > size", slot.ota_write_with_offset, handle, b"x", 0x180001)
attempt("offset -1", slot.ota_write_with_offset, handle, b"x", -1)
attempt("offset 2**32", slot.ota_write_with_offset, handle, b"x", 1 << 32)
attempt("last byte", slot.ota_write_with_offset, handle, b"x", 0x17FFFF)
attempt("over the end", slot.ota_write_with_offset, handle, b"xy", 0x17FFFF)
attempt("nothing, at 0", slot.ota_write_with_offset, handle, b"", 0)
attempt("nothing, beyond", slot.ota_write_with_offset, handle, b"", 0x180001)
attempt("no buffer", slot.ota_write_with_offset, handle, None, 0)
attempt("no offset", slot.ota_write_with_offset, handle, b"x")
attempt("the magic is not looked at", slot.ota_write_with_offset, handle, b"\xe8", 0)
attempt("end", slot.ota_end, handle)

print("-- sequential")
handle = slot.ota_begin(SEQUENTIAL)
attempt("with offset", slot.ota_write_with_offset, handle, b"\xe9", 0)
attempt("with offset, nothing", slot.ota_write_with_offset, handle, b"", 0)
attempt("wrong magic", slot.ota_write, handle, b"text")
print("erased by then", first(slot))
attempt("again, right", slot.ota_write, handle, image)
attempt("with offset", slot.ota_write_with_offset, handle, b"x", 5000)
attempt("end", slot.ota_end, handle)
attempt("with offset, closed", slot.ota_write_with_offset, handle, b"x", 0)

print("-- data partitions")
handle = vfs.ota_begin(SIZE)
attempt("any first byte", vfs.ota_write, handle, b"data")
attempt("end", vfs.ota_end, handle)
attempt("description", vfs.app_description)
attempt("state", vfs.app_state)
attempt("set_boot", vfs.set_boot)

print("-- descriptions and states")
slot.ota_abort(slot.ota_begin(SIZE))
attempt("nothing in the slot", slot.app_description)
attempt("no record", slot.app_state)
attempt("possible", Partition.check_rollback_is_possible)
attempt("mark invalid", Partition.mark_app_invalid_rollback_and_reboot)
attempt("running", running.app_state)

print("-- otadata lost")
otadata = Partition.find(Partition.TYPE_DATA, 0)[0]
otadata.writeblocks(0, b"\xff" * 8192)
attempt("state", running.app_state)
attempt("possible", Partition.check_rollback_is_possible)
attempt("mark invalid", Partition.mark_app_invalid_rollback_and_reboot)
attempt("mark valid", Partition.mark_app_valid_cancel_rollback)

print("-- attributes")
attempt("unknown", getattr, slot, "ota_resume")
attempt("unknown of the type", getattr, Partition, "ota_resume")
attempt("set", setattr, slot, "info", 1)
attempt("no partition", Partition, "nothing")
attempt("neither boot nor running", Partition, 2)
attempt("no arguments", Partition)
attempt("of no partition", Partition.ota_begin, 5)
